"""Files that hospitals and schools drop: birth certificates, health records, pupils of the term."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from simulator import life
from simulator.chance import Dice, deck
from simulator.day import BIRTH, DEATH
from simulator.defects import CLEANABLE, CONSISTENCY, DISPUTED, FORMAT, RANGE
from simulator.drops import NUMBER, encoding_mistakes
from simulator.identity_dirt import IdentityColumns, identity_mistakes
from simulator.mistakes import (
    Mistake,
    changed,
    code_mistakes,
    date_mistakes,
    duplicate,
    id_mistakes,
    masked_phone,
    missing,
    name_mistakes,
    ragged,
    spelled,
    swapped_code,
)
from simulator.person import DAY_ZERO, FEMALE, MALE, Person
from simulator.register_rows import (
    column_names,
    name_of,
    phone_of,
    sex_word,
    some,
)
from simulator.registers import TERMLY, Change, Everybody, Files, News, Row
from simulator.special_mistakes import instead_of_nothing


class Births:
    """Birth certificates: a GBK file of each day's births; the household office learns of them days later."""

    place = Files(
        "hc",
        "birth",
        "csv",
        column_names(
            "出生证编号 新生儿姓名 性别 出生时间 出生体重（克） 接生机构 "
            "母亲姓名 母亲身份证号 父亲姓名 父亲身份证号 居住地区划 接生人员"
        ),
        "gbk",
    )
    key = 0
    mistakes = (
        *id_mistakes(7),
        missing(1),
        changed("time_that_is_none", FORMAT, 3, lambda v, d: "00:00;00"),
        changed("weight_beyond", RANGE, 4, lambda v, d: f"{v}0"),
        changed("number_short", FORMAT, 0, lambda v, d: v[:-1]),
        *code_mistakes(10, "341503999999"),
        ragged(0, extra=True),
        ragged(0, extra=False),
        *encoding_mistakes(1, "gbk"),
        instead_of_nothing("weight_placeholder", 4, "暂无", "\\N"),
    )
    _HOSPITALS = ("六安市人民医院", "六安市妇幼保健院", "霍邱县第一人民医院", "舒城县人民医院", "金寨县人民医院")

    def initial(self, city: Everybody) -> Iterator[Row]:
        number = 0
        for household in city.households():
            for child in household:
                if (DAY_ZERO - child.birth).days <= 200 and (row := self._row(city.dice, number, child, household)):
                    yield row
                    number += 1

    def day(self, news: News) -> Change:
        number = 100_000 + news.count(self.place.dataset)
        rows = []
        for child in news.changed(BIRTH):
            if row := self._row(news.dice, number, child, news.household(child)):
                rows.append(row)
                number += 1
        return Change(rows)

    def _row(self, dice: Dice, number: int, child: Person, household: Iterable[Person]) -> Row | None:
        home = list(household)
        mothers = [one for one in home if one.sex == FEMALE and 18 <= one.age(child.birth) <= 46]
        mother = next((one for one in mothers if life.partner(one, home)), None)
        father = life.partner(mother, home) if mother else None
        if mother is None or father is None or father.sex != MALE:
            return None
        at = datetime(child.birth.year, child.birth.month, child.birth.day) + timedelta(minutes=dice.below(1440))
        row: Row = [
            f"Q{340000000 + number:09d}",
            child.name,
            sex_word(dice, child.sex),
            at.isoformat(" "),
            str(dice.between(2400, 4200)) if dice.chance(0.9) else None,
            dice.pick(self._HOSPITALS),
            mother.name,
            mother.id_number,
            father.name,
            father.id_number,
            child.division,
            "助产士",
        ]
        try:
            "".join(value or "" for value in row).encode("gbk")
        except UnicodeEncodeError:
            return None  # the hospital's system cannot write the name; the certificate is on paper
        return row


def _born_otherwise(value: str, dice: Dice) -> str:
    return f"{date.fromisoformat(value) - timedelta(days=dice.between(1, 400)):%Y-%m-%d}"


class HealthRecords:
    """Health records of nearly everybody: the whole list each week, in GB 18030."""

    place = Files(
        "hc",
        "ehr",
        "csv",
        column_names(
            "健康档案编号 身份证号 姓名 现住址区划 现住址 联系电话 建档日期 "
            "最近随访日期 高血压 糖尿病 家庭医生签约 档案状态 血型 过敏史 责任医生 性别 出生日期"
        ),
        "gb18030",
        whole=True,
    )
    key = 0
    mistakes = (
        *identity_mistakes(IdentityColumns(id=1, name=2, birth=16, address=4, phone=5, dated="%Y-%m-%d")),
        *name_mistakes(2),
        *code_mistakes(3, "341522999999"),
        *date_mistakes(6, CONSISTENCY),
        *code_mistakes(11, "6"),
        masked_phone(5),
        *encoding_mistakes(2, "gb18030"),
        spelled("yes_no_word", 10, {"1": "是", "0": "否"}),
        changed("line_break", CLEANABLE, 13, lambda v, d: f"{v}\n（{d.between(2010, 2025)}年登记）"),
        changed("line_break", CLEANABLE, 14, lambda v, d: f"{v}\r\n代签"),
        duplicate(0),
        ragged(0, extra=True),
        ragged(0, extra=False),
        Mistake("visited_before_opened", CONSISTENCY, 7, lambda row, d: _before(row, 7, 6)),
        changed("sex_of_another", DISPUTED, 15, lambda v, d: {MALE: FEMALE, FEMALE: MALE}[v]),
        changed("born_another_day", DISPUTED, 16, _born_otherwise),
    )
    _ALLERGIES = deck("无*30 青霉素*2 磺胺 “海鲜,花粉” 头孢")

    def initial(self, city: Everybody) -> Iterator[Row]:
        for person in city.people:
            if city.dice.chance(0.93):
                yield self._row(city.dice, person)

    def day(self, news: News) -> Change:
        rows = []
        for row in news.some(self.place.dataset, some(news, 0.0005, self.place.dataset)):
            row[7] = f"{news.today:%Y-%m-%d}"
            rows.append(row)
        rows += [self._row(news.dice, one, news.today) for one in news.changed(BIRTH)]
        gone = [f"{one.rybh[2:]}0000000"[:17] for one in news.changed(DEATH)]
        return Change(rows, gone)

    def _row(self, dice: Dice, person: Person, opened: date | None = None) -> Row:
        age = person.age(DAY_ZERO)
        start = max(date(2010, 1, 1), person.birth)
        opened = opened or start + timedelta(days=dice.below(max(1, (DAY_ZERO - start).days)))
        visited = opened + timedelta(days=dice.below(max(1, (DAY_ZERO - opened).days))) if dice.chance(0.6) else None
        return [
            f"{person.rybh[2:]}0000000"[:17],
            person.id_number,
            name_of(dice, person),
            person.division,
            person.address,
            phone_of(dice, person),
            f"{opened:%Y-%m-%d}",
            f"{visited:%Y-%m-%d}" if visited else None,
            "1" if age > 50 and dice.chance(0.35) else "0",
            "1" if age > 50 and dice.chance(0.12) else "0",
            "1" if dice.chance(0.45) else "0",
            "1" if dice.chance(0.985) else "0",
            dice.pick(("A", "B", "O", "AB", "不详")),
            dice.pick(self._ALLERGIES),
            "责任医生",
            person.sex,
            f"{person.birth:%Y-%m-%d}",
        ]


class Pupils:
    """Pupils of the term: the whole list in a sheet of Excel, some numbers ruined by it."""

    place = Files(
        "esb",
        "pupil",
        "xlsx",
        column_names(
            "学籍号 姓名 身份证号 性别 学校标识码 学校名称 年级 班级 入学日期 学籍状态 户籍区划 "
            "留守儿童 随迁子女 监护人 备注"
        ),
        whole=True,
        cadence=TERMLY,
    )
    key = 0
    mistakes = (
        *id_mistakes(2),
        *name_mistakes(1),
        changed("id_as_number", FORMAT, 2, lambda v, d: NUMBER + v if v.isdigit() else None),
        changed("sex_contradicts", CONSISTENCY, 3, lambda v, d: {"男": "女", "女": "男", "1": "2", "2": "1"}[v]),
        changed("school_short", FORMAT, 4, lambda v, d: v[:-2]),
        *code_mistakes(9, "8"),
        *date_mistakes(8, CONSISTENCY),
        swapped_code(4, 5),
        spelled("yes_no_word", 11, {"1": "是", "0": "否"}),
        duplicate(0),
    )
    _GRADES = (
        *(f"小学{n}年级" for n in "一二三四五六"),
        *(f"初中{n}年级" for n in "一二三"),
        *(f"高中{n}年级" for n in "一二三"),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        for person in city.people:
            if 6 <= self._age(person) < 18 and city.dice.chance(0.97):
                yield self._row(city.dice, person)

    def day(self, news: News) -> Change:
        return Change()  # a term's list is made once; `drops` shows it again at the start of the next

    @staticmethod
    def _age(person: Person) -> int:
        return person.age(date(DAY_ZERO.year - 1, 8, 31))

    def _row(self, dice: Dice, person: Person) -> Row:
        year = self._age(person) - 6
        town = person.division[:9]
        school = 1 + year // 6 * 3 + dice.below(3)
        return [
            f"G{person.id_number}",
            name_of(dice, person),
            person.id_number,
            sex_word(dice, person.sex),
            f"{town[2:]}{school:03d}",
            f"{town}{'小学' if year < 6 else '中学'}{school}",
            self._GRADES[year],
            f"{dice.between(1, 8)}班",
            f"{DAY_ZERO.year - 1 - year}-09-01",
            dice.pick(deck("1*97 3 2")),
            person.division,
            "1" if dice.chance(0.18) else "0",
            "1" if dice.chance(0.06) else "0",
            "监护人",
            None,
        ]


def _before(row: Row, column: int, other: int) -> list[Row] | None:
    """A date that lies before another one of the row."""
    value = row[other]
    if value is None or row[column] is None:
        return None
    row[column] = f"{date.fromisoformat(value) - timedelta(days=200):%Y-%m-%d}"
    return [row]
