"""Real estate: registrations of units, one row for each owner, never changed once they are written.

Owners are households of the city and entities of the firm register. What encumbers a unit comes after its first
registration, and the shares of one registration are a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from simulator.chance import Dice, deck
from simulator.defects import CHECK_DIGIT, CLEANABLE, CODE, CONSISTENCY, FORMAT, RANGE
from simulator.entities import Entity, all_entities
from simulator.mistakes import Mistake, changed, code_mistakes, id_mistakes, missing, spelled
from simulator.person import DAY_ZERO, Person
from simulator.places import village_of
from simulator.register_rows import moment, table
from simulator.registers import Change, Everybody, News, Register, Row
from simulator.special_mistakes import absent, contradicting, only, organisation_mistakes, repeated

FIRST, TRANSFER, ALTERATION, MORTGAGE, SEIZURE, CANCELLATION = "1", "2", "3", "4", "5", "6"
"""Codes of the kind of registration."""
PERSON, ENTITY = "1", "2"
"""Codes of the kind of owner."""
UNITS_PER_HOUSEHOLD = 0.28
_OFFICE_OPENED = date(1999, 3, 1)
_DAILY, _FEWEST = 0.00012, 2
_USES = deck("10*30 11*2 12 13*2")
_THIRDS = ("33.33", "33.33", "33.34")
_OWNS = (FIRST, TRANSFER, ALTERATION)
_LATER = ((MORTGAGE, 0.22), (ALTERATION, 0.02), (SEIZURE, 0.012), (CANCELLATION, 0.01))
"""What may happen to a unit after somebody owns it, and how often."""

ROW, REGISTRATION, UNIT, CERTIFICATE, KIND, OWNER_KIND, OWNER, SHARE, USE, AREA, PRICE, AT, LIMITS, PLACE, WRITTEN = (
    range(15)
)
"""Positions of the columns."""


def registers() -> list[Register]:
    """The register of this module, made anew."""
    return [Estates()]


class Estates:
    """The log of registrations."""

    place = table(
        "nrpb",
        "bdc",
        "T_BDCDJ",
        "DJXH YWH BDCDYH BDCQZH DJLX QLRLX QLRZJH QLBL GHYT JZMJ JYJG DJSJ XZZT ZL",
        "GXSJ",
        keeps=True,
    )
    key = ROW

    def __init__(self) -> None:
        self._harmless: set[str] = set()
        """Rows that stand alone in the newest registration of their unit: no other row depends on them."""
        one_rule = (FORMAT, CHECK_DIGIT, CONSISTENCY)
        spoilt = (
            changed("unit_short", FORMAT, UNIT, lambda v, d: v[:-1]),
            changed("unit_without_kind", FORMAT, UNIT, lambda v, d: f"{v[:12]}00{v[14:]}"),
            missing(UNIT),
            absent("certificate_missing", CERTIFICATE, lambda row: row[KIND] in _OWNS),
            *code_mistakes(KIND, "9"),
            *code_mistakes(OWNER_KIND, "7", *one_rule),
            *(only(lambda row: row[OWNER_KIND] == PERSON, mistake) for mistake in id_mistakes(OWNER, *one_rule)),
            *organisation_mistakes(OWNER, *one_rule, suits=lambda row: row[OWNER_KIND] == ENTITY),
            absent("share_missing", SHARE, lambda row: row[KIND] in _OWNS),
            changed("share_not_whole", CONSISTENCY, SHARE, lambda v, d: str(d.between(30, 90))),
            changed("share_beyond", RANGE, SHARE, lambda v, d: "1000", CONSISTENCY),
            *code_mistakes(USE, "98"),
            changed("area_with_unit", FORMAT, AREA, lambda v, d: f"{v}平方米"),
            changed("area_negative", RANGE, AREA, lambda v, d: f"-{v}"),
            changed("price_in_yuan", RANGE, PRICE, lambda v, d: f"{v}0000"),
            missing(AT),
            changed("registered_broken_time", FORMAT, AT, lambda v, d: f"{v[:11]}00:00;00"),
            changed("registered_in_future", RANGE, AT, lambda v, d: f"{int(v[:4]) + 60}-01{v[7:]}", CONSISTENCY),
            Mistake("encumbered_before_registration", CONSISTENCY, AT, lambda row, dice: _too_early(row)),
            changed("limit_no_code", CODE, LIMITS, lambda v, d: "8"),
            contradicting(ROW, AREA, lambda v, d: f"{float(v) + 1:.2f}"),
        )
        self.mistakes: tuple[Mistake, ...] = (
            *(only(lambda row: row[ROW] in self._harmless, mistake) for mistake in spoilt),
            spelled(
                "kind_word", KIND, {FIRST: "首次登记", TRANSFER: "转移登记", MORTGAGE: "抵押登记", SEIZURE: "查封登记"}
            ),
            changed("unit_lower_case", CLEANABLE, UNIT, lambda v, d: v.lower()),
            repeated(ROW),
        )

    def initial(self, city: Everybody) -> Iterable[Row]:
        """All units, with what happened to them, in order of time."""
        dice, rows = city.dice, list[Row]()
        entities = [one for one in all_entities(city.truth) if one.status == "1"]
        for number, household in enumerate(home for home in city.households() if dice.chance(UNITS_PER_HOUSEHOLD)):
            rows += self._history(dice, number, household, entities)
        for number, row in enumerate(sorted(rows, key=lambda row: (str(row[WRITTEN]), str(row[REGISTRATION])))):
            row[ROW] = f"{row[REGISTRATION]}-{number:09d}"
        self._harmless = {str(row[ROW]) for row in _last_of_units(rows)}
        return sorted(rows, key=lambda row: str(row[ROW]).rpartition("-")[2])

    def day(self, news: News) -> Change:
        """Some units are mortgaged, seized or sold."""
        dice, today, rows = news.dice, news.today, list[Row]()
        count = news.count(self.place.dataset)
        wanted = max(_FEWEST, round(news.day.state.living * _DAILY))
        known = [row for row in news.some(self.place.dataset, wanted * 3, "units") if row[KIND] in (FIRST, TRANSFER)]
        buyers = [one for one in news.people(wanted * 2) if one.age(today) >= 22]
        for place, row in enumerate(known[:wanted]):
            kind = dice.pick((MORTGAGE, MORTGAGE, TRANSFER, SEIZURE))
            fresh = [*row]
            fresh[KIND], fresh[LIMITS] = kind, {MORTGAGE: "1", SEIZURE: "2"}.get(kind, "0")
            fresh[SHARE] = "100" if kind == TRANSFER else None
            if kind == TRANSFER and place < len(buyers):
                fresh[OWNER_KIND], fresh[OWNER] = PERSON, buyers[place].id_number
            self._stamp(dice, fresh, today, count + place)
            fresh[ROW] = f"{fresh[REGISTRATION]}-{count + place:09d}"
            rows.append(fresh)
        self._harmless = {str(row[ROW]) for row in rows}
        return Change(rows)

    def _history(self, dice: Dice, number: int, home: list[Person], entities: list[Entity]) -> Iterable[Row]:
        """What happened to a unit of a household: its registrations in order of time."""
        village, owners = village_of(home[0].division), [one for one in home if one.age(DAY_ZERO) >= 22][:3]
        if entities and dice.chance(0.06):  # a shop or a workshop
            owners = []
        first = _OFFICE_OPENED + timedelta(days=dice.below((DAY_ZERO - _OFFICE_OPENED).days - 400))
        rural = not village.urban
        unit = (
            f"{village.county}{dice.between(1, 40):03d}{dice.between(1, 30):03d}{'JC' if rural else 'GB'}"
            f"{number % 100_000:05d}F{dice.between(1, 60):04d}{number // 100_000 + dice.between(1, 300):04d}"
        )
        area = f"{dice.between(60, 180)}.{dice.below(100):02d}"
        price, place = str(dice.between(60, 200)), home[0].address
        facts: Row = [None, None, unit, None, FIRST, None, None, None, "14" if rural else dice.pick(_USES), area]
        day, developer = first, dice.pick(entities) if entities and not rural and dice.chance(0.4) else None
        if developer or not owners:
            code = developer.uscc if developer else dice.pick(entities).uscc if entities else home[0].id_number
            owner = (ENTITY, code) if entities else (PERSON, code)
            yield self._registration(dice, [*facts, None], FIRST, owner, "100", day, number * 8, place)
        if owners:
            kind = TRANSFER if developer else FIRST
            day = first + timedelta(days=dice.between(20, 300) if developer else 0)
            together = owners if len(owners) > 1 and dice.chance(0.35) else owners[:1]
            shares = {1: ("100",), 2: ("50", "50"), 3: _THIRDS}[len(together)]
            stamp = self._registration(dice, [*facts, price], kind, (PERSON, ""), "", day, number * 8 + 1, place)
            for owner_of, share in zip(together, shares, strict=True):
                yield [*stamp[:OWNER], owner_of.id_number, share, *stamp[USE:]]
        for step, (kind, odds) in enumerate(_LATER, 2):
            if owners and dice.chance(odds):
                day = min(day + timedelta(days=dice.between(1, 90)), DAY_ZERO - timedelta(days=1))
                share = "100" if kind == ALTERATION else ""
                owner = (PERSON, owners[0].id_number)
                yield self._registration(dice, [*facts, None], kind, owner, share, day, number * 8 + step, place)

    def _registration(
        self,
        dice: Dice,
        facts: Row,
        kind: str,
        owner: tuple[str, str],
        share: str,
        day: date,
        number: int,
        place: str,
    ) -> Row:
        row: Row = [*facts, None, {MORTGAGE: "1", SEIZURE: "2"}.get(kind, "0"), place, None]
        row[KIND], row[OWNER_KIND], row[OWNER], row[SHARE] = kind, owner[0], owner[1], share or None
        self._stamp(dice, row, day, number)
        return row

    def _stamp(self, dice: Dice, row: Row, day: date, number: int) -> None:
        """Number and time of a registration; a certificate comes with ownership only."""
        row[REGISTRATION] = f"{day:%Y%m%d}{number:09d}"
        owns = row[KIND] in _OWNS
        row[CERTIFICATE] = f"皖（{day.year}）六安市不动产权第{number:08d}号" if owns else None
        row[AT] = row[WRITTEN] = moment(dice, day)


def _last_of_units(rows: list[Row]) -> Iterable[Row]:
    """The rows that are the newest registration of their unit, alone."""
    newest: dict[str, list[Row]] = {}
    for row in rows:  # of one unit they come in order of time
        same = newest.get(str(row[UNIT]), [])
        newest[str(row[UNIT])] = [*same, row] if same and same[0][REGISTRATION] == row[REGISTRATION] else [row]
    return [found[0] for found in newest.values() if len(found) == 1]


def _too_early(row: Row) -> list[Row] | None:
    """A mortgage or seizure from before there was a register."""
    if row[KIND] not in (MORTGAGE, SEIZURE):
        return None
    at = datetime.fromisoformat(str(row[AT]))
    row[AT] = at.replace(year=1992, day=min(at.day, 28)).isoformat(" ")
    return [row]
