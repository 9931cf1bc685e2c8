"""How much dirt there is, where it lies, and the record of it that only the simulator may read.

What a defect looks like belongs to `defects`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta

from simulator.chance import Dice
from simulator.defects import DEFECTS, DISPUTED, SHARED, SHARED_NUMBER, Defect, shared_number
from simulator.department import COLUMN_NAMES, DATASET, DIED, ID, UPDATED, Row, row_of
from simulator.person import Person

FEWEST = 3
"""A kind with a rate above zero is planted at least this often for each of its defects."""
DISPUTED_DEATHS = 0.1
"""Share of the deaths about whose day the household office errs, if departments disagree about anything."""
_TAIL = 300
"""Nothing is planned for the last people of the city, so that what did not suit earlier ones still finds a place."""


@dataclass(frozen=True, slots=True)
class DirtRates:
    """Shares of the people whose row carries a defect, by kind; the defects of a kind get equal parts.

    The defaults make 1.2 % of the rows refusable, 3 % cleanable and 0.1 % wrong without anybody being able to tell. In
    registers whose rows may be about people without a usable number, 2.5 % do not say rightly who they are about. Of
    rows that belong to another register 0.1 % refer to nothing, are left out, or do not add up to what stands there. Of
    licences 0.1 % say otherwise than their identifier, and as many values otherwise than another department.
    Three in ten thousand people are registered under the number of somebody else. Of the decisions of later days one
    in twenty is reported after the time that its office has for it.
    """

    completeness: float = 0.0012
    format: float = 0.0024
    check_digit: float = 0.0020
    code: float = 0.0022
    range: float = 0.0014
    consistency: float = 0.0018
    duplicate: float = 0.0010
    cleanable: float = 0.0300
    plausible: float = 0.0010
    encoding: float = 0.0004
    identity: float = 0.0250
    reference: float = 0.0010
    absent: float = 0.0010
    apart: float = 0.0010
    outlying: float = 0.0010
    certificate: float = 0.0010
    disputed: float = 0.0010
    shared: float = 0.0003
    reported_late: float = 0.0500

    def __post_init__(self) -> None:
        rates = asdict(self)
        if any(rate < 0 for rate in rates.values()) or sum(rates.values()) > 0.5:
            raise ValueError(f"rates must not be negative and must add up to at most one half: {rates}")

    def of(self, kind: str) -> float:
        """The rate of a kind."""
        return float(getattr(self, kind))


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted row: what is wrong with it, and what a correct engine should do.

    ``shown`` and ``true`` are the value of ``column`` as delivered and as it should be. For duplicates ``gxsj`` is the
    timestamp of the copy to be refused (of an exact copy, of either). ``also`` names kinds of rules that may fire too.
    ``ended`` is the day the department corrected the row, None while the defect lasts.
    """

    day: date
    dataset: str
    rybh: str
    column: str
    kind: str
    defect: str
    refusable: bool
    undetectable: bool
    also: tuple[str, ...]
    shown: str | None
    true: str | None
    gxsj: datetime
    ended: date | None = None


PLANTED_COLUMNS = tuple(field.name for field in fields(Planted))


def plant(defect: Defect, person: Person, day: date, dice: Dice) -> tuple[list[Row], Planted] | None:
    """Plant a defect in a person's row; None when it does not suit the person (no telephone to misspell, say).

    Marks the person. Returns the rows to deliver, the one to be refused last.
    """
    clean = row_of(person)
    rows = defect.plant(list(clean), person, dice)
    if rows is None:
        return None
    person.defect = defect.name
    refused = rows[-1]
    return rows, Planted(
        day=day,
        dataset=DATASET,
        rybh=person.rybh,
        column=COLUMN_NAMES[defect.column],
        kind=defect.kind,
        defect=defect.name,
        refusable=defect.refusable,
        undetectable=defect.undetectable,
        also=tuple(sorted(defect.also)),
        shown=refused[defect.column],
        true=clean[defect.column],
        gxsj=datetime.fromisoformat(str(refused[UPDATED])),
    )


def quotas(rates: DirtRates, persons: int) -> dict[Defect, int]:
    """How often each defect is planted among so many people."""
    members = {kind: sum(defect.kind == kind for defect in DEFECTS) for kind in asdict(rates)}
    return {
        defect: max(round(rates.of(defect.kind) * persons / members[defect.kind]), FEWEST)
        for defect in DEFECTS
        if rates.of(defect.kind) > 0
    }


def plant_shared(person: Person, other: Person, day: date) -> tuple[list[Row], Planted]:
    """Register a person under the number of another of the same sex and birth date."""
    clean = row_of(person)
    (shown,) = shared_number(list(clean), other.id_number)
    person.defect = SHARED_NUMBER
    return [shown], _accepted(person, day, SHARED, SHARED_NUMBER, clean, shown, ID)


def plant_disputed(person: Person, day: date, rates: DirtRates, dice: Dice) -> tuple[list[Row], Planted] | None:
    """Register the death of one of the dead some days early; None for most, about whom nobody says otherwise.

    Never as early as the funeral home's own mistakes: two wrong days would else agree.
    """
    assert person.ended is not None
    died = person.ended - timedelta(days=dice.between(1, 9))
    if not rates.disputed or died < person.birth or not dice.chance(DISPUTED_DEATHS):
        return None
    clean = row_of(person)
    shown = list(clean)
    shown[DIED] = f"{died:%Y%m%d}"
    person.defect = "death_registered_early"
    return [shown], _accepted(person, day, DISPUTED, person.defect, clean, shown, DIED)


def _accepted(person: Person, day: date, kind: str, defect: str, clean: Row, shown: Row, column: int) -> Planted:
    """What is on record of a household row that no rule refuses."""
    return Planted(
        day=day,
        dataset=DATASET,
        rybh=person.rybh,
        column=COLUMN_NAMES[column],
        kind=kind,
        defect=defect,
        refusable=False,
        undetectable=False,
        also=(),
        shown=shown[column],
        true=clean[column],
        gxsj=datetime.fromisoformat(str(clean[UPDATED])),
    )


class InitialDirt:
    """Spreads the dirt of day 0 evenly over the stream of people: one defect in each of equally long stretches.

    Who was seen with a clean row may have the number that somebody else of the same sex and birth date gets later.
    """

    def __init__(self, seed: int, persons: int, rates: DirtRates) -> None:
        self._dice, self._rates = Dice(seed, "dirt"), rates
        cards = bytearray()
        for defect, quota in quotas(rates, persons).items():
            cards.extend(bytes([DEFECTS.index(defect)]) * quota)
        self._dice.shuffle(cards)
        del cards[persons:]
        self._places = self._stretches(max(persons - _TAIL, persons // 2), cards)
        self._next = next(self._places, None)
        self._waiting: list[Defect] = []
        self._seen = 0
        self._to_share = max(round(rates.shared * persons), FEWEST) if rates.shared > 0 else 0
        self._bearers: dict[tuple[date, str], Person] = {}

    def rows_of(self, person: Person, day: date) -> tuple[list[Row], Planted | None]:
        """The rows the department delivers for the next person of the stream, and what is wrong with them."""
        while self._next is not None and self._next[0] <= self._seen:
            self._waiting.append(self._next[1])
            self._next = next(self._places, None)
        self._seen += 1
        if person.status == "dead":
            return plant_disputed(person, day, self._rates, self._dice) or ([row_of(person)], None)
        for defect in self._waiting:
            planted = plant(defect, person, day, self._dice)
            if planted is not None:
                self._waiting.remove(defect)
                return planted
        if self._to_share:
            other = self._bearers.setdefault((person.birth, person.sex), person)
            if other is not person and other.household != person.household and other.name != person.name:
                self._to_share -= 1
                del self._bearers[person.birth, person.sex]
                return plant_shared(person, other, day)
        return [row_of(person)], None

    def _stretches(self, persons: int, cards: bytearray) -> Iterator[tuple[int, Defect]]:
        for number, card in enumerate(cards):
            yield int((number + self._dice.random()) * persons / len(cards)), DEFECTS[card]
