"""Care for the elderly: institutions, and the persons whom civil affairs looks after or pays an allowance for age."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from simulator.chance import Dice, deck
from simulator.day import DEATH
from simulator.defects import CLEANABLE, CONSISTENCY, FORMAT, RANGE
from simulator.mistakes import (
    Mistake,
    changed,
    code_mistakes,
    constant,
    date_mistakes,
    duplicate,
    id_mistakes,
    missing,
    name_mistakes,
    spelled,
    test_row,
)
from simulator.organisation_codes import social_credit_code
from simulator.person import DAY_ZERO, Person
from simulator.places import names, position, village_of
from simulator.register_rows import TEXT, column_names, name_of
from simulator.registers import MONTHLY, Change, Everybody, Files, News, Register, Row, Table
from simulator.special_mistakes import organisation_mistakes

PUBLIC, PRIVATE, PUBLIC_RUN_PRIVATELY = "1", "2", "3"
"""Codes of the kind of institution."""
OF_AGE, VERY_OLD = 65, 80
_KINDS = deck(f"{PUBLIC}*5 {PRIVATE}*3 {PUBLIC_RUN_PRIVATELY}*2")
_FIRST_NUMBER = 5_000_000
"""Credit codes of institutions are far from those of firms."""


def registers() -> list[Register]:
    """The registers of this module, made anew."""
    return [Institutions(), Elderly()]


class Institutions:
    """Institutions, about one in each town: all of them each month, in a workbook."""

    place = Files(
        "cab_exchange",
        "institution",
        "xlsx",
        column_names(
            "统一社会信用代码 机构名称 机构类型 县区代码 床位数 护理型床位数 入住人数 护理人员数 消防合格 医养结合 "
            "经度 纬度 星级"
        ),
        whole=True,
        cadence=MONTHLY,
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        *(mistake for mistake in organisation_mistakes(0) if mistake.kind != CLEANABLE),
        test_row(1),
        *code_mistakes(2, "9"),
        spelled("kind_word", 2, {PUBLIC: "公办", PRIVATE: "民办", PUBLIC_RUN_PRIVATELY: "公建民营"}),
        changed("beds_with_unit", FORMAT, 4, lambda v, d: f"{v}张"),
        changed("beds_beyond", RANGE, 4, lambda v, d: f"{v}000"),
        changed("care_beds_above_beds", CONSISTENCY, 5, lambda v, d: "4999"),
        changed("occupied_above_beds", CONSISTENCY, 6, lambda v, d: "4998"),
        constant("fire_no_code", "code", 8, "待定"),
        spelled("fire_word", 8, {"1": "是", "0": "否"}),
        Mistake("position_swapped", RANGE, 10, lambda row, dice: _swapped(row)),
        changed("position_in_minutes", FORMAT, 11, lambda v, d: f"{v[:2]}°{v[3:5]}′"),
        *code_mistakes(12, "9"),
        missing(4),
        duplicate(0),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """One in each town, a second one in some."""
        dice, number = city.dice, 0
        for town in (code for code in names() if len(code) == 9):
            for _ in range(2 if dice.chance(0.3) else 1):
                number += 1
                yield self._row(dice, number, town)

    def day(self, news: News) -> Change:
        """Some people move in or out."""
        rows = []
        for row in news.some(self.place.dataset, 3):
            row[6] = str(min(int(str(row[4])), max(0, int(str(row[6])) + news.dice.between(-2, 2))))
            rows.append(row)
        return Change(rows)

    def _row(self, dice: Dice, number: int, town: str) -> Row:
        kind, beds = dice.pick(_KINDS), 10 * dice.between(4, 30)
        what = {PUBLIC: "敬老院", PRIVATE: "颐养院", PUBLIC_RUN_PRIVATELY: "养老服务中心"}[kind]
        care = beds * dice.between(20, 70) // 100
        occupied = beds * dice.between(30, 90) // 100
        longitude, latitude = position(town)
        return [
            social_credit_code("12" if kind == PUBLIC else "52", town[:6], _FIRST_NUMBER + number),
            f"{names()[town[:6]]}{names()[town]}{what}{number}",
            kind,
            town[:6],
            str(beds),
            str(care),
            str(occupied),
            str(occupied // 6 + 1),
            "1" if dice.chance(0.96) else "0",
            "1" if dice.chance(0.35) else "0",
            longitude,
            latitude,
            dice.pick(deck("1*3 2*4 3*4 4 5")),
        ]


class Elderly:
    """Everybody of eighty and more, and of the younger those who were assessed; the whole list at any time."""

    place = Table(
        "cab",
        "ylfw",
        "T_LNR",
        tuple((name, TEXT) for name in column_names("LNRBH GMSFHM XM XZQH NLDJ DJBZ BTJE BTQSRQ")),
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        *id_mistakes(1),
        *name_mistakes(2),
        *code_mistakes(3, "341503999999"),
        *code_mistakes(4, "7"),
        spelled("level_word", 4, {"0": "能力完好", "1": "轻度失能", "2": "中度失能", "3": "重度失能", "4": "完全失能"}),
        spelled("alone_word", 5, {"1": "是", "0": "否"}),
        changed("amount_with_unit", FORMAT, 6, lambda v, d: f"{v}元"),
        changed("amount_beyond", RANGE, 6, lambda v, d: f"{v}000" if v != "0" else None),
        *date_mistakes(7),
        changed("paid_when_young", CONSISTENCY, 7, lambda v, d: "1955-06-01"),
        duplicate(0),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """Those who are old enough."""
        for household in city.households():
            for person in household:
                age = person.age(DAY_ZERO)
                if age >= VERY_OLD or (age >= OF_AGE and city.dice.chance(0.1)):
                    yield self._row(city.dice, person, len(household) == 1)

    def day(self, news: News) -> Change:
        """Some are assessed anew; the dead are struck off."""
        gone = [f"LN{one.rybh[2:]}" for one in news.changed(DEATH)]
        rows = [row for row in news.some(self.place.dataset, 3) if row[0] not in gone]
        for row in rows:
            row[4] = str(min(4, int(str(row[4])) + 1))
        return Change(rows, gone)

    def _row(self, dice: Dice, person: Person, alone: bool) -> Row:
        age = person.age(DAY_ZERO)
        reached = person.birth.year + (VERY_OLD if age >= VERY_OLD else OF_AGE)
        begun = min(date(reached + 1, 1, 1), DAY_ZERO - timedelta(days=1))
        paid = (500 if age >= 100 else 100 if age >= 90 else 50) if age >= VERY_OLD else 0
        return [
            f"LN{person.rybh[2:]}",
            person.id_number,
            name_of(dice, person),
            village_of(person.division).code,
            dice.pick(deck("0*60 1*20 2*10 3*6 4*4")),
            "1" if alone else "0",
            str(paid),
            begun.isoformat(),
        ]


def _swapped(row: Row) -> list[Row]:
    row[10], row[11] = row[11], row[10]
    return [row]
