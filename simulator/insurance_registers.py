"""Social insurance: the log of enrolments, and the contributions of the employed month by month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from simulator.chance import Dice
from simulator.day import DEATH
from simulator.defects import FORMAT, PLAUSIBLE, RANGE, SENTINEL_1899
from simulator.mistakes import (
    Mistake,
    changed,
    code_mistakes,
    constant,
    date_mistakes,
    id_mistakes,
    masked_phone,
    missing,
    name_mistakes,
    spelled,
)
from simulator.person import DAY_ZERO, Person
from simulator.register_rows import (
    TEXT,
    column_names,
    compact,
    late,
    moment,
    name_of,
    phone_of,
    some,
    table,
)
from simulator.registers import Change, Everybody, News, Row, Table
from simulator.schema import Connection
from simulator.special_mistakes import absent, instead_of_nothing, only, thousands

_CREMATIONS = "hydj.T_HHDJ"
"""The register of those for whom somebody may go on paying."""


class Insurance:
    """Changes of insurance, numbered in the order in which they were booked."""

    place = Table(
        "hrssb",
        "sb",
        "AC02_BG",
        (
            ("BGXH", "bigint"),
            *(
                (name, TEXT)
                for name in column_names(
                    "BGLX AAC001 AAE140 AAE135 AAC003 AAB001 AAB004 AAC008 AAC030 AAE180 AAE005 AAE011"
                )
            ),
            ("AAE036", "timestamp(0)"),
        ),
        keeps=True,
        moment=13,
    )
    key = 0
    mistakes = (
        *id_mistakes(4),
        *name_mistakes(5),
        *code_mistakes(3, "999"),
        *code_mistakes(8, "7"),
        *date_mistakes(9),
        masked_phone(11),
        missing(1),
        changed("base_is_text", FORMAT, 10, lambda v, d: "三千元"),
        spelled("operation_word", 1, {"I": "新增", "U": "变更", "D": "删除"}),
        constant("employer_missing", "completeness", 6, None),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        changes = [change for person in city.people for change in self._career(city.dice, person)]
        changes.sort(key=lambda row: (str(row[13]), str(row[2])))
        for number, row in enumerate(changes, 1):
            yield [str(number), *row[1:]]

    def day(self, news: News) -> Change:
        dice, number, rows = news.dice, news.count(self.place.dataset), list[Row]()
        for row in news.some(self.place.dataset, some(news, 0.0006, self.place.dataset)):
            row[1] = "U"
            row[10] = str(int(row[10] or "3000") + 100 * dice.between(1, 9))
            rows.append(row)
        if rows:  # one of them was booked wrongly, and again on the same day
            rows.append([*rows[0][:10], str(int(rows[0][10] or "3000") + 50), *rows[0][11:]])
        dead = [one.id_number for one in news.changed(DEATH)]
        rows += [["", "D", *row[2:]] for row in _last_changes(news.truth, dead) if row[1] != "D"]
        stamps = sorted(moment(dice, late(dice, news.today)) for _ in rows)
        return Change(
            [[str(number + place), *row[1:13], at] for place, (row, at) in enumerate(zip(rows, stamps, strict=True), 1)]
        )

    def _career(self, dice: Dice, person: Person) -> list[Row]:
        """Enrolment, and what may have followed: of a grown person nearly always, of a child never."""
        age = person.age(DAY_ZERO)
        if age < 17 or not dice.chance(0.9):
            return []
        employed = age < 60 and dice.chance(0.42 if person.division[6] == "0" else 0.24)
        kind = ("110" if dice.chance(0.85) else "120") if employed else "170"
        years = min(age - 16, 24)
        enrolled = date(DAY_ZERO.year - 1 - dice.below(years), dice.between(1, 12), dice.between(1, 28))
        unit = dice.below(4000)
        facts: Row = [
            "",
            "I",
            f"S{person.rybh[2:]}",
            kind,
            person.id_number,
            name_of(dice, person),
            f"U{unit:07d}" if employed else None,
            f"六安市第{unit}用人单位" if employed else None,
            "1",
            compact(enrolled),
            str(100 * dice.between(30, 140)) if employed else None,
            phone_of(dice, person),
            "经办员",
        ]
        found = [[*facts, moment(dice, enrolled)]]
        if dice.chance(0.2):
            later = enrolled + timedelta(days=dice.below(max(1, (DAY_ZERO - enrolled).days - 5)) + 1)
            status = dice.pick(("1", "1", "2", "4"))
            found.append([*facts[:1], "U", *facts[2:8], status, *facts[9:], moment(dice, later)])
            if status == "4" and dice.chance(0.5):
                last = min(later + timedelta(days=30), DAY_ZERO - timedelta(days=1))
                found.append([*facts[:1], "D", *facts[2:], moment(dice, last)])
        return found


class Payments:
    """Contributions of the employed: a row for each month, written again when the money has come."""

    place = table(
        "hrssb",
        "sb",
        "AC43",
        "JFMXBH AAC001 AAE140 AAE002 AAE003 AAE135 AAB001 AAE180 AAE020 AAE022 AAE078 AAE079",
        "AAE036",
    )
    key = 0
    _DAY = 20
    """The day of the month on which the contributions of the month are booked."""

    def __init__(self) -> None:
        self._of_dead: set[str] = set()
        self.mistakes: tuple[Mistake, ...] = (
            *id_mistakes(5),
            missing(1),
            *code_mistakes(2, "999"),
            changed("period_in_words", FORMAT, 3, lambda v, d: f"{v[:4]}年{v[4:]}月"),
            changed("period_is_no_month", FORMAT, 3, lambda v, d: f"{v[:4]}13"),
            changed("base_beyond", RANGE, 7, lambda v, d: f"{v}0000"),
            *thousands(7),
            code_mistakes(10, "3")[0],
            spelled("paid_word", 10, {"1": "是", "0": "否"}),
            absent("paid_without_date", 11, lambda row: row[10] == "1"),
            instead_of_nothing("paid_on_sentinel", 11, SENTINEL_1899),
            # Only who compares departments can tell that somebody is paid for after their death.
            only(
                lambda row: row[0] in self._of_dead,
                changed("paid_after_death", PLAUSIBLE, 3, lambda v, d: _month_later(_month_later(v))),
            ),
        )

    def initial(self, city: Everybody) -> Iterator[Row]:
        insured = employed(city.truth)
        for period in ("202511", "202512"):
            for row in insured:
                yield self._row(city.dice, row, period)
        yield from self._of_cremated(city)

    def day(self, news: News) -> Change:
        dice, rows = news.dice, list[Row]()
        if news.today.day == self._DAY:
            rows += [self._row(dice, row, f"{news.today:%Y%m}") for row in employed(news.truth)]
        for row in news.some(self.place.dataset, 400):
            if row[10] == "0" and row[3] != f"{news.today:%Y%m}":
                row[10], row[11], row[12] = "1", compact(news.today), moment(dice, news.today)
                rows.append(row)
        return Change(rows)

    def _of_cremated(self, city: Everybody) -> Iterator[Row]:
        """The last contributions of some who died within two years: for the month of their death."""
        found = city.truth.execute("SELECT row FROM truth.record WHERE dataset = %s ORDER BY key", [_CREMATIONS])
        for number, (dead,) in enumerate(found):
            if number % 5 == 0:
                facts: Row = [*[None] * 2, f"T{number:010d}", "110", dead[1], None, f"U{number % 4000:07d}"]
                row = self._row(city.dice, [*facts, *[None] * 3, "3600"], str(dead[3])[:6])
                self._of_dead.add(str(row[0]))
                yield row

    def _row(self, dice: Dice, insured: Row, period: str) -> Row:
        number, kind, unit, base = str(insured[2]), str(insured[3]), insured[6], int(insured[10] or "3600")
        booked = date(int(period[:4]), int(period[4:]), self._DAY)
        paid = dice.chance(0.97)
        return [
            f"{number}{kind}{period}",
            number,
            kind,
            period,
            period,
            insured[4],
            unit,
            str(base),
            f"{base * 0.16:.2f}",
            f"{base * 0.08:.2f}",
            "1" if paid else "0",
            compact(booked) if paid else None,
            moment(dice, booked),
        ]


def employed(truth: Connection) -> list[Row]:
    """The last change of everybody who is employed and insured as such."""
    return [row for row in _last_changes(truth) if row[1] != "D" and row[3] in ("110", "120") and row[8] == "1"]


def _last_changes(truth: Connection, numbers: list[str] | None = None) -> list[Row]:
    """The last change of each insured person, or of those with these identity numbers."""
    rows = truth.execute(
        "SELECT DISTINCT ON (row[3]) row FROM truth.record WHERE dataset = %s AND (%s::text[] IS NULL OR "
        "row[5] = ANY(%s)) ORDER BY row[3], key::bigint DESC",
        [Insurance.place.dataset, numbers, numbers],
    )
    return [row for (row,) in rows]


def _month_later(period: str) -> str:
    year, month = int(period[:4]), int(period[4:])
    return f"{year + month // 12}{month % 12 + 1:02d}"
