"""Persons of the population library against those of the simulator: residence status, and what is true of each."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.truth.survival import Library, Survivors, named, survive
from benchmarks.truth.town import LivedTown
from pipelines.contracts.load import Contracts
from simulator.department import COLUMN_NAMES, row_of
from simulator.standing import AT_HOME, AWAY, CAME_IN, DEAD, GONE, Standing, standings

PERSON = "lib_population__person"
MODELS = ("lib_geography__division", PERSON)
REGISTER, FLOATING = "psb/household_person", "psb/floating_person"
STATUSES = {AT_HOME: "registered", AWAY: "registered_away", CAME_IN: "floating", GONE: "moved_out", DEAD: "dead"}
BY_REGISTER = (
    "name", "sex", "ethnicity", "birth_date", "education", "mobile", "birth_place", "native_place", "military_status",
    "division_code", "address",
)  # fmt: skip
"""Columns whose truth is the clean row of the household register, of who was ever in it."""
WHILE_REGISTERED = ("household_no", "household_relation", "registration_kind", "police_station")
"""The same, of who is in it now."""
WHEN_LEFT = ("moved_out_on", "move_out_kind", "death_kind", "cancelled_on")
"""The same, of who has left it."""
BY_FLOATING = ("name", "sex", "origin_county", "division_code", "address", "mobile", "residence_address")
"""Columns whose truth is the clean row of the floating register, of who stands only there."""
DIGITS = {"marital_status": 1}
"""Columns of which so many characters are compared: remarried is a kind of married."""


@dataclass
class Share:
    """Of one residence status: persons who truly have it, who are said to have it, and both; `unknown`: of the first,
    those whom the library does not know at all, for every row of them was refused."""

    true: int = 0
    said: int = 0
    right: int = 0
    unknown: int = 0

    @property
    def recall(self) -> float:
        """Of those who truly have the status and are in the library, the share that is said to have it."""
        return self.right / max(self.true - self.unknown, 1)

    @property
    def precision(self) -> float:
        """Of those said to have the status the share that truly has it."""
        return self.right / max(self.said, 1)


def residence(town: LivedTown) -> tuple[dict[str, Share], Counter[tuple[str, str, str]]]:
    """Shares by status, and how often one was said for the other on which evidence: true, said, evidence."""
    true, doubtful = standings(town.city), town.doubtful_numbers()
    found = {
        number: (status, evidence)
        for number, status, evidence in town.rows(
            PERSON, "id_number, residence_status, residence_evidence", "id_number is not null"
        )
        if number not in doubtful
    }
    shares, mixed = {status: Share() for status in STATUSES}, Counter[tuple[str, str, str]]()
    for number, one in true.items():
        if number not in doubtful:
            shares[one.status].true += 1
            shares[one.status].unknown += number not in found
    for number, (status, evidence) in found.items():
        shares[status].said += 1
        really = true[number].status if number in true else "nobody"
        shares[status].right += really == status
        if really != status:
            mixed[really, status, evidence] += 1
    return shares, mixed


def survivors(town: LivedTown) -> Survivors:
    """Each column of the library beside the truth: by the matrix, and by each of its sources alone."""
    true = {number: truth_of(one, town.contracts) for number, one in standings(town.city).items()}
    for number in town.doubtful_numbers():
        true.pop(number, None)
    return survive(
        town, Library("population/person", PERSON, "id_number", MODELS, "lib_population__conflict", DIGITS), true
    )


def truth_of(one: Standing, contracts: Contracts) -> dict[str, Any]:
    """The true values of a person, by column; what the simulator does not know is left out."""
    found = dict(_of_register(one, contracts)) if one.person is not None else dict(_of_floating(one, contracts))
    if one.married is not None and one.status != DEAD:
        found["marital_status"] = one.married
    if one.died is not None:
        found["died_on"] = one.died
    if one.lives is not None:
        found["residence_division"] = one.lives
    return {name: value for name, value in found.items() if value is not None}


def _of_register(one: Standing, contracts: Contracts) -> Iterator[tuple[str, Any]]:
    person = one.person
    assert person is not None
    row = named(dict(zip(COLUMN_NAMES, row_of(person), strict=True)), REGISTER, contracts)
    living = person.status == "living"
    for name in (*BY_REGISTER, *(WHILE_REGISTERED if living else WHEN_LEFT)):
        yield name, row[name]


def _of_floating(one: Standing, contracts: Contracts) -> Iterator[tuple[str, Any]]:
    assert one.lodging is not None
    row = named(one.lodging, FLOATING, contracts)
    row["address"] = row["origin_address"]
    for name in BY_FLOATING:
        if name != "residence_address" or one.status == CAME_IN:
            yield name, row[name]
