"""What departments have built: stations of 5G, smart schools, venues, farms with sensors, and credit of villages.

Each is a file with the whole register. Stations are of the city as it is, however few of its people are simulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from simulator.care_registers import Pupils
from simulator.chance import deck
from simulator.defects import CONSISTENCY, FORMAT, RANGE
from simulator.divisions import villages
from simulator.drops import encoding_mistakes
from simulator.entities import all_entities
from simulator.firms import CO_OPERATIVE
from simulator.mistakes import (
    Mistake,
    changed,
    code_mistakes,
    date_mistakes,
    duplicate,
    missing,
    ragged,
    spelled,
    test_row,
)
from simulator.person import DAY_ZERO
from simulator.places import names, position
from simulator.register_rows import column_names
from simulator.registers import MONTHLY, TERMLY, Change, Everybody, Files, News, Register, Row
from simulator.special_mistakes import absent, organisation_mistakes

IN_USE, BEING_BUILT, OUT_OF_USE = "1", "2", "3"
"""Codes of the state of a facility."""
_FIRST_STATION = date(2019, 11, 1)
_RURAL = "3"


def registers() -> list[Register]:
    """The registers of this module, made anew."""
    return [Stations(), SmartSchools(), Venues(), Farms(), VillageCredit()]


class Stations:
    """Base stations of 5G, each month in GB 18030: 流波䃥镇 cannot be written in GBK."""

    place = Files(
        "eitb",
        "station",
        "csv",
        column_names("站址编码 运营商 站址名称 频段 县区代码 经度 纬度 状态 开通日期"),
        "gb18030",
        whole=True,
        cadence=MONTHLY,
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        *code_mistakes(1, "7"),
        spelled("operator_word", 1, {"1": "中国电信", "2": "中国移动", "3": "中国联通", "4": "中国广电"}),
        changed("band_in_words", FORMAT, 3, lambda v, d: f"{v}频段"),
        changed("county_left", "code", 4, lambda v, d: "341521"),
        Mistake("position_swapped", RANGE, 5, lambda row, dice: [[*row[:5], row[6], row[5], *row[7:]]]),
        changed("position_of_nowhere", RANGE, 6, lambda v, d: "0"),
        *code_mistakes(7, "6"),
        spelled("status_word", 7, {IN_USE: "在用", BEING_BUILT: "在建", OUT_OF_USE: "退服"}),
        absent("opened_missing", 8, lambda row: row[7] == IN_USE),
        *date_mistakes(8),
        duplicate(0),
        ragged(0, extra=True),
        ragged(0, extra=False),
        *encoding_mistakes(2, "gb18030"),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """Some in each village and community."""
        dice, days = city.dice, (DAY_ZERO - _FIRST_STATION).days
        for village in villages():
            longitude, latitude = position(village.code)
            for number in range(dice.between(4, 8)):
                state = dice.pick(deck(f"{IN_USE}*93 {BEING_BUILT}*5 {OUT_OF_USE}*2"))
                opened = _FIRST_STATION + timedelta(days=dice.below(days))
                yield [
                    f"LA5G{village.code}{number:02d}",
                    dice.pick(("1", "2", "2", "3", "4")),
                    f"{names()[village.code[:9]]}{number + 1}号站",
                    dice.pick(("n28", "n41", "n78", "n79")),
                    village.county,
                    f"{float(longitude) + number / 1000:.6f}",
                    latitude,
                    state,
                    None if state == BEING_BUILT else opened.isoformat(),
                ]

    def day(self, news: News) -> Change:
        """Some stations go into use."""
        rows = []
        for row in news.some(self.place.dataset, 60):
            if row[7] == BEING_BUILT:
                row[7], row[8] = IN_USE, news.today.isoformat()
                rows.append(row)
        return Change(rows)


class SmartSchools:
    """All schools that have pupils, with what was built in them; each term, in a workbook."""

    place = Files(
        "esb",
        "school",
        "xlsx",
        column_names("学校标识码 学校名称 县区代码 城乡类型 智慧学校等级 建成日期 多媒体教室数 接入带宽"),
        whole=True,
        cadence=TERMLY,
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        test_row(1),
        changed("county_left", "code", 2, lambda v, d: "341521"),
        *code_mistakes(3, "9"),
        spelled("place_word", 3, {"1": "城区", "2": "镇区", _RURAL: "乡村"}),
        *code_mistakes(4, "8"),
        absent("built_missing", 5, lambda row: row[4] in ("1", "2")),
        *date_mistakes(5),
        changed("rooms_beyond", RANGE, 6, lambda v, d: f"{v}000"),
        changed("bandwidth_with_unit", FORMAT, 7, lambda v, d: f"{v}Mbps"),
        duplicate(0),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """The schools that the pupils of the term go to."""
        dice = city.dice
        found = city.truth.execute(
            "SELECT DISTINCT row[5], row[6] FROM truth.record WHERE dataset = %s ORDER BY 1, 2",
            [Pupils.place.dataset],
        ).fetchall()
        for code, name in found:
            town = f"34{code[:7]}"
            rural = "1" if town[6] == "0" else "2" if town[6:9] == "100" else _RURAL
            grade = dice.pick(deck("0*3 1*80 2*17"))
            built = date(2019, 1, 1) + timedelta(days=dice.below(2_300))
            yield [
                code,
                name,
                town[:6],
                rural,
                grade,
                None if grade == "0" else built.isoformat(),
                str(dice.between(4, 60)),
                str(dice.pick((100, 200, 500, 1000))),
            ]

    def day(self, news: News) -> Change:
        """The list of a term is made once."""
        return Change()


class Venues:
    """Libraries, museums and other venues of culture and sports, each week in JSON."""

    place = Files(
        "ctb",
        "venue",
        "json",
        column_names("venueCode name type county address lon lat area seats free status"),
        whole=True,
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        test_row(1),
        *code_mistakes(2, "99"),
        changed("county_left", "code", 3, lambda v, d: "341521"),
        Mistake("position_swapped", RANGE, 5, lambda row, dice: [[*row[:5], row[6], row[5], *row[7:]]]),
        changed("area_with_unit", FORMAT, 7, lambda v, d: f"{v}㎡"),
        changed("seats_negative", RANGE, 8, lambda v, d: f"-{v}" if v != "0" else None),
        spelled("free_word", 9, {"1": "是", "0": "否"}),
        *code_mistakes(10, "8"),
        missing(7),
        duplicate(0),
    )
    _OF_COUNTY = (("1", "图书馆"), ("2", "文化馆"), ("3", "博物馆"), ("4", "体育馆"), ("5", "美术馆"))

    def initial(self, city: Everybody) -> Iterator[Row]:
        """Some in each county, and a cultural station in each town."""
        number = 0
        for code, name in names().items():
            kinds = self._OF_COUNTY if len(code) == 6 and not code.endswith("00") else (("6", "综合文化站"),)
            for kind, what in kinds if len(code) in (6, 9) and not code.endswith("1500") else ():
                number += 1
                longitude, latitude = position(code)
                town = name if len(code) == 9 else ""
                yield [
                    f"WH{number:06d}",
                    f"{name}{what}",
                    kind,
                    code[:6],
                    f"安徽省六安市{names()[code[:6]]}{town}文化路{city.dice.between(1, 200)}号",
                    longitude,
                    latitude,
                    str(city.dice.between(3, 200) * 50),
                    str(city.dice.between(20, 800)),
                    "1" if city.dice.chance(0.9) else "0",
                    city.dice.pick(deck(f"{IN_USE}*18 {OUT_OF_USE}")),
                ]

    def day(self, news: News) -> Change:
        """A venue closes for repairs, or opens again."""
        rows = news.some(self.place.dataset, 1)
        for row in rows:
            row[10] = OUT_OF_USE if row[10] == IN_USE else IN_USE
        return Change(rows)


class Farms:
    """Farms of co-operatives with sensors in the fields, each week in JSON."""

    place = Files(
        "ara",
        "farm",
        "json",
        column_names("farmCode uscc name crop county lon lat areaMu sensors status onlineDate"),
        whole=True,
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        *organisation_mistakes(1),
        changed("area_in_words", FORMAT, 7, lambda v, d: f"{v}亩"),
        changed("area_beyond", RANGE, 7, lambda v, d: f"{v}0000"),
        changed("sensors_beyond", RANGE, 8, lambda v, d: f"{v}00000"),
        *code_mistakes(3, "99"),
        spelled("crop_word", 3, {"1": "水稻", "2": "茶叶", "3": "蔬菜"}),
        changed("position_of_nowhere", RANGE, 6, lambda v, d: "0"),
        *date_mistakes(10),
        duplicate(0),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """A farm of most co-operatives."""
        dice, places = city.dice, villages()
        for number, one in enumerate(all_entities(city.truth)):
            if one.kind == CO_OPERATIVE and one.status == "1" and dice.chance(0.7):
                mine = [village for village in places if village.county == one.county]
                longitude, latitude = position(dice.pick(mine).code)
                online = max(one.established, date(2018, 1, 1))
                yield [
                    f"NC{number:07d}",
                    one.uscc,
                    f"{one.name}基地",
                    dice.pick(deck("1*5 2*4 3*3 4*2 5")),
                    one.county,
                    longitude,
                    latitude,
                    str(dice.between(20, 3_000)),
                    str(dice.between(2, 60)),
                    dice.pick(deck(f"{IN_USE}*9 {OUT_OF_USE}")),
                    (online + timedelta(days=dice.below(max(1, (DAY_ZERO - online).days)))).isoformat(),
                ]

    def day(self, news: News) -> Change:
        """More sensors in some fields."""
        rows = news.some(self.place.dataset, 1)
        for row in rows:
            row[8] = str(int(str(row[8])) + 1)
        return Change(rows)


class VillageCredit:
    """What banks and the town think of the households of a village, village by village; each month."""

    place = Files(
        "ara",
        "credit",
        "csv",
        column_names("区划代码 村名 信用等级 评级户数 授信户数 授信金额 评定日期"),
        "gb18030",
        whole=True,
        cadence=MONTHLY,
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        *code_mistakes(2, "E"),
        spelled("grade_word", 2, {"A": "A级", "B": "B级", "C": "C级"}),
        changed("rated_in_words", FORMAT, 3, lambda v, d: f"{v}户"),
        changed("more_granted_than_rated", CONSISTENCY, 4, lambda v, d: "4999"),
        changed("amount_in_yuan", RANGE, 5, lambda v, d: f"{v}0000"),
        *date_mistakes(6),
        duplicate(0),
        ragged(0, extra=True),
        *encoding_mistakes(1, "gb18030"),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """The rural villages."""
        dice = city.dice
        for village in villages():
            if not village.urban:
                rated = dice.between(150, 900)
                granted = rated * dice.between(20, 80) // 100
                yield [
                    village.code,
                    names()[village.code],
                    dice.pick(deck("A*5 B*3 C")),
                    str(rated),
                    str(granted),
                    str(granted * dice.between(3, 9)),
                    (DAY_ZERO - timedelta(days=dice.between(10, 700))).isoformat(),
                ]

    def day(self, news: News) -> Change:
        """Some villages are rated anew."""
        rows = news.some(self.place.dataset, 2)
        for row in rows:
            row[6] = news.today.isoformat()
        return Change(rows)
