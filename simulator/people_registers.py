"""What departments other than the household office know of people: floating population, marriages, cremations,
allowances, insurance, births, health records, pupils.

All of it follows from the one truth. Departments disagree without being wrong: another telephone, an older spelling of
a name, a death that one knows before the other. That is no dirt; mistakes are listed with each register.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from simulator import divisions, life
from simulator.chance import Dice, deck
from simulator.day import BIRTH, DEATH
from simulator.defects import CODE, CONSISTENCY, FORMAT, HOMOPHONES, PLAUSIBLE, RANGE
from simulator.drops import NUMBER
from simulator.identity import ELSEWHERE, identity_number
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
    ragged,
    spelled,
)
from simulator.names import new_name
from simulator.person import DAY_ZERO, FEMALE, MALE, Person, phone_number
from simulator.population import office_second
from simulator.registers import Change, Everybody, Files, News, Register, Row, Table

_TEXT = "varchar(400)"
_LATE = 2
"""Days by which a row may be late at most: contracts read three days back."""


def registers() -> list[Register]:
    """The registers about people, in order."""
    return [Floating(), Marriages(), Cremations(), Allowances(), Insurance(), Births(), HealthRecords(), Pupils()]


def moment(dice: Dice, day: date) -> str:
    """A moment of a day in office hours, as text."""
    return (datetime(day.year, day.month, day.day) + timedelta(seconds=office_second(dice))).isoformat(" ")


def compact(day: date) -> str:
    """YYYYMMDD."""
    return f"{day:%Y%m%d}"


def _names(text: str) -> tuple[str, ...]:
    """Column names, written with spaces between them."""
    return tuple(text.split())


def _table(database: str, schema: str, name: str, columns: str, last: str, keeps: bool = False) -> Table:
    """A table of text columns whose last one is the moment a row was written."""
    texts = tuple((column, _TEXT) for column in _names(columns))
    return Table(database, schema, name, (*texts, (last, "timestamp(0)")), keeps, len(texts))


def _phone(dice: Dice, person: Person) -> str | None:
    """The telephone this department has: now and then another one than the household office's."""
    return phone_number(dice) if dice.chance(0.08) else person.phone


def _name(dice: Dice, person: Person) -> str:
    """The name as this department wrote it: seldom with a homophone."""
    if dice.chance(0.003):
        return person.name[:-1] + HOMOPHONES.get(person.name[-1], person.name[-1])
    return person.name


def _sex_word(dice: Dice, sex: str) -> str:
    return {MALE: "男", FEMALE: "女"}[sex] if dice.chance(0.5) else sex


def _late(dice: Dice, day: date) -> date:
    return day - timedelta(days=dice.between(0, _LATE))


def _some(news: News, share: float, dataset: str, fewest: int = 2) -> int:
    return max(fewest, round(share * news.count(dataset)))


class Floating:
    """Registrations of people who live elsewhere than they are registered; about one in 25."""

    place = _table(
        "psb",
        "hzgl",
        "T_LDRK_DJ",
        "DJBH GMSFHM XM XBDM JZZH HJXZQH HJDZ JZXZQH JZDZ LXDH DJRQ ZXRQ DJZT CZRXM",
        "GXSJ",
    )
    key = 0
    mistakes = (
        *id_mistakes(1),
        *name_mistakes(2),
        spelled("sex_word", 3, {"1": "男性", "2": "女性"}),
        *code_mistakes(7, "341502999999"),
        *date_mistakes(10, CONSISTENCY),
        changed("status_no_code", CODE, 12, lambda v, d: "5"),
        changed("sex_contradicts", CONSISTENCY, 3, lambda v, d: "2" if v == "1" else "1"),
        changed("wrong_name", PLAUSIBLE, 2, lambda v, d: v[:-1] + HOMOPHONES.get(v[-1], v[-1])),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        dice, number = city.dice, 0
        for _ in range(max(30, len(city.people) * 3 // 100)):
            yield self._outsider(dice, number, DAY_ZERO - timedelta(days=dice.between(3, 900)))
            number += 1
        for person in city.people:
            if person.age(DAY_ZERO) >= 18 and dice.chance(0.01):
                yield self._insider(dice, number, person, DAY_ZERO - timedelta(days=dice.between(3, 900)))
                number += 1

    def day(self, news: News) -> Change:
        dice, number = news.dice, news.count(self.place.dataset)
        rows = [
            self._outsider(dice, number + n, _late(dice, news.today))
            for n in range(_some(news, 0.001, self.place.dataset))
        ]
        for row in news.some(self.place.dataset, _some(news, 0.0008, self.place.dataset)):
            if row[12] == "1":
                row[11], row[12], row[14] = compact(news.today), "0", moment(dice, news.today)
                rows.append(row)
        return Change(rows)

    def _outsider(self, dice: Dice, number: int, registered: date) -> Row:
        birth = DAY_ZERO - timedelta(days=dice.between(17 * 365, 62 * 365))
        prefix, _, _ = dice.pick([one for one in ELSEWHERE if one[1] <= birth.year <= one[2]])
        sex = dice.pick((MALE, FEMALE))
        # The upper half of a day's numbers is never reached by those registered in the city.
        identity = identity_number(prefix, birth, sex, 300 + number % 190)
        home = f"{prefix}户籍地{dice.pick(divisions.GROUPS)}{dice.between(1, 180)}号"
        name = new_name(dice, "01", sex, birth.year)
        return self._row(dice, number, (identity, name, sex, prefix, home, phone_number(dice)), registered)

    def _insider(self, dice: Dice, number: int, person: Person, registered: date) -> Row:
        facts = (person.id_number, person.name, person.sex, person.division[:6], person.address, _phone(dice, person))
        return self._row(dice, number, facts, registered)

    def _row(self, dice: Dice, number: int, facts: tuple[str, str, str, str, str, str | None], registered: date) -> Row:
        identity, name, sex, origin, home, phone = facts
        village = divisions.random_village(dice)
        ended = registered + timedelta(days=400) < DAY_ZERO and dice.chance(0.5)
        until = min(DAY_ZERO - timedelta(days=1), registered + timedelta(days=dice.between(100, 400)))
        return [
            f"LD{number:08d}",
            identity,
            name,
            sex,
            f"JZ{number:010d}",
            origin,
            home,
            village.code,
            divisions.address(dice, village),
            phone,
            compact(registered),
            compact(until) if ended else None,
            "0" if ended else "1",
            "经办员",
            moment(dice, until if ended else registered),
        ]


class Marriages:
    """Marriage registrations: one for every couple, and those of the divorced."""

    place = _table("cab", "hydj", "T_HYDJ", "DJZH DJLB NANXM NANZJHM NVXM NVZJHM DJRQ DJJGQH DJY", "GXSJ", keeps=True)
    key = 0
    mistakes = (
        *id_mistakes(3),
        *id_mistakes(5),
        missing(2),
        spelled("kind_word", 1, {"1": "结婚登记", "2": "离婚登记"}),
        *code_mistakes(1, "9"),
        *date_mistakes(6),
        Mistake("swapped", CONSISTENCY, 3, lambda row, d: _swapped(row, 3, 5)),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        for household in city.households():
            for man in household:
                if man.sex != MALE:
                    continue
                woman = life.partner(man, household)
                if woman is not None and woman.sex == FEMALE and (row := self._wedding(city.dice, man, woman)):
                    yield row

    def day(self, news: News) -> Change:
        rows, single = [], [one for one in news.people(400) if one.marital in ("10", "30", "40")]
        men = [one for one in single if one.sex == MALE and one.age(news.today) >= 22]
        women = [one for one in single if one.sex == FEMALE and one.age(news.today) >= 20]
        for man, woman in list(zip(men, women, strict=False))[: max(2, news.day.state.living // 20_000)]:
            if abs(man.age(news.today) - woman.age(news.today)) < 12 and man.household != woman.household:
                rows.append(self._row(news.dice, man, woman, _late(news.dice, news.today), "1"))
        return Change(rows)

    def _wedding(self, dice: Dice, man: Person, woman: Person) -> Row | None:
        first = max(_anniversary(man.birth, 22), _anniversary(woman.birth, 20))
        days = (DAY_ZERO - first).days - 10
        if days <= 0:
            return None
        day = first + timedelta(days=dice.below(min(days, 6 * 365)))
        return self._row(dice, man, woman, day, "1" if dice.chance(0.97) else "3")

    def _row(self, dice: Dice, man: Person, woman: Person, day: date, kind: str) -> Row:
        number = f"J{man.division[:6]}-{day.year}-{man.rybh[-7:]}{woman.rybh[-3:]}"
        people = (_name(dice, man), man.id_number, _name(dice, woman), woman.id_number)
        return [number, kind, *people, compact(day), man.division[:6], "登记员", moment(dice, day)]


class Cremations:
    """Cremations of the last two years and of every day; some people are still in the household register."""

    place = _table("cab", "hydj", "T_HHDJ", "HHZBH SZZJHM SZXM SWRQ SWDD HHRQ BYG SYBM JBRXM", "GXSJ", keeps=True)
    key = 0
    mistakes = (
        *id_mistakes(1),
        *name_mistakes(2),
        *date_mistakes(3, CONSISTENCY),
        missing(5),
        Mistake("burnt_before_death", CONSISTENCY, 5, lambda row, d: _earlier(row, 5, 40)),
    )
    _HALLS = ("六安市殡仪馆", "霍邱县殡仪馆", "舒城县殡仪馆", "金寨县殡仪馆", "霍山县殡仪馆")

    def initial(self, city: Everybody) -> Iterator[Row]:
        dice = city.dice
        for number in range(max(20, len(city.people) // 80)):
            birth = DAY_ZERO - timedelta(days=dice.between(58 * 365, 99 * 365))
            sex, died = dice.pick((MALE, FEMALE)), DAY_ZERO - timedelta(days=dice.between(5, 730))
            identity = identity_number("342423", birth, sex, 300 + number % 190)
            yield self._row(dice, number, identity, new_name(dice, "01", sex, birth.year), died)

    def day(self, news: News) -> Change:
        number = news.count(self.place.dataset)
        dead = news.changed(DEATH)
        # Some families see the hall before the police: the household register still lists the person.
        dead += [one for one in news.people(30) if one.age(news.today) >= 75][: max(1, len(dead) // 5)]
        return Change(
            [
                self._row(news.dice, number + place, one.id_number, one.name, _late(news.dice, news.today))
                for place, one in enumerate(dead)
            ]
        )

    def _row(self, dice: Dice, number: int, identity: str, name: str, died: date) -> Row:
        burnt = died + timedelta(days=dice.between(0, 3))
        cause = dice.pick(("I64", "I21", "C34", "J44", "E14"))
        place = dice.pick(("家中", "医院", "养老机构"))
        hall = dice.pick(self._HALLS)
        dates = (compact(died), place, compact(burnt))
        return [f"HH{number:09d}", identity, name, *dates, hall, cause, "经办员", moment(dice, burnt)]


class Allowances:
    """Families that receive an allowance this month; the whole list at any time."""

    place = Table(
        "cab",
        "shjz",
        "T_DBDX",
        tuple((name, _TEXT) for name in _names("JTBH SQRZJHM SQRXM BZRS JZLB YBZJE XZQH SPRQ")),
    )
    key = 0
    mistakes = (
        *id_mistakes(1),
        *name_mistakes(2),
        *code_mistakes(4, "8"),
        *code_mistakes(6, "341504999999"),
        *date_mistakes(7),
        changed("amount_beyond", RANGE, 5, lambda v, d: f"{v}000"),
        changed("amount_grouped", FORMAT, 5, lambda v, d: f"1,{v}0000"),
        changed("amount_thousands", "cleanable", 5, lambda v, d: f"{int(v):,}" if int(v) >= 1000 else None),
        spelled("category_word", 4, {"1": "城市低保", "2": "农村低保"}),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        for household in city.households():
            if city.dice.chance(0.03):
                yield self._row(city.dice, household, DAY_ZERO - timedelta(days=city.dice.between(40, 1500)))

    def day(self, news: News) -> Change:
        if news.today.day != 1:
            return Change()
        gone = [str(row[0]) for row in news.some(self.place.dataset, _some(news, 0.005, self.place.dataset))]
        applicants = [one for one in news.people(20) if one.age(news.today) >= 20][:3]
        rows = [self._row(news.dice, news.household(one), news.today - timedelta(days=9)) for one in applicants]
        known = [row for row in rows if news.record(self.place.dataset, str(row[0])) is None]
        return Change(known, gone)

    def _row(self, dice: Dice, household: list[Person], approved: date) -> Row:
        head = household[0]
        urban = head.division[6] == "0"
        amount = (750 if urban else 680) * len(household) - 10 * dice.below(20)
        category = ("1" if dice.chance(0.9) else "3") if urban else ("2" if dice.chance(0.85) else "4")
        facts = (head.id_number, _name(dice, head), str(len(household)), category, str(amount))
        return [f"DB{head.household}", *facts, head.division, compact(approved)]


class Insurance:
    """Changes of insurance, numbered in the order in which they were booked."""

    place = Table(
        "hrssb",
        "sb",
        "AC02_BG",
        (
            ("BGXH", "bigint"),
            *(
                (name, _TEXT)
                for name in _names("BGLX AAC001 AAE140 AAE135 AAC003 AAB001 AAB004 AAC008 AAC030 AAE180 AAE005 AAE011")
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
        for row in news.some(self.place.dataset, _some(news, 0.0006, self.place.dataset)):
            row[1] = "U"
            row[10] = str(int(row[10] or "3000") + 100 * dice.between(1, 9))
            rows.append(row)
        for one in news.changed(DEATH):
            rows += [["", "D", *row[2:]] for row in self._career(dice, one)[-1:]]
        stamps = sorted(moment(dice, _late(dice, news.today)) for _ in rows)
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
            _name(dice, person),
            f"U{unit:07d}" if employed else None,
            f"六安市第{unit}用人单位" if employed else None,
            "1",
            compact(enrolled),
            str(100 * dice.between(30, 140)) if employed else None,
            _phone(dice, person),
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


class Births:
    """Birth certificates: a GBK file of each day's births; the household office learns of them days later."""

    place = Files(
        "hc",
        "birth",
        "csv",
        _names(
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
        constant("weight_placeholder", "cleanable", 4, "暂无"),
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
            _sex_word(dice, child.sex),
            at.isoformat(" "),
            str(dice.between(2400, 4200)),
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


class HealthRecords:
    """Health records of nearly everybody: the whole list each week, in GB 18030."""

    place = Files(
        "hc",
        "ehr",
        "csv",
        _names(
            "健康档案编号 身份证号 姓名 现住址区划 现住址 联系电话 建档日期 "
            "最近随访日期 高血压 糖尿病 家庭医生签约 档案状态 血型 过敏史 责任医生"
        ),
        "gb18030",
        whole=True,
    )
    key = 0
    mistakes = (
        *id_mistakes(1),
        *name_mistakes(2),
        *code_mistakes(3, "341522999999"),
        *date_mistakes(6, CONSISTENCY),
        *code_mistakes(11, "6"),
        spelled("yes_no_word", 10, {"1": "是", "0": "否"}),
        duplicate(0),
        ragged(0, extra=True),
        ragged(0, extra=False),
        Mistake("visited_before_opened", CONSISTENCY, 7, lambda row, d: _before(row, 7, 6)),
    )
    _ALLERGIES = deck("无*30 青霉素*2 磺胺 “海鲜,花粉” 头孢")

    def initial(self, city: Everybody) -> Iterator[Row]:
        for person in city.people:
            if city.dice.chance(0.93):
                yield self._row(city.dice, person)

    def day(self, news: News) -> Change:
        rows = []
        for row in news.some(self.place.dataset, _some(news, 0.0005, self.place.dataset)):
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
        allergy = dice.pick(self._ALLERGIES)
        return [
            f"{person.rybh[2:]}0000000"[:17],
            person.id_number,
            _name(dice, person),
            person.division,
            person.address,
            _phone(dice, person),
            f"{opened:%Y-%m-%d}",
            f"{visited:%Y-%m-%d}" if visited else None,
            "1" if age > 50 and dice.chance(0.35) else "0",
            "1" if age > 50 and dice.chance(0.12) else "0",
            "1" if dice.chance(0.45) else "0",
            "1" if dice.chance(0.985) else "0",
            dice.pick(("A", "B", "O", "AB", "不详")),
            f"{allergy}\n（{opened.year}年登记）" if dice.chance(0.05) else allergy,
            "责任医生",
        ]


class Pupils:
    """Pupils of the term: the whole list in a sheet of Excel, some numbers ruined by it."""

    place = Files(
        "esb",
        "pupil",
        "xlsx",
        _names("学籍号 姓名 身份证号 性别 学校标识码 学校名称 年级 班级 入学日期 学籍状态 户籍区划 监护人 备注"),
        whole=True,
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
            _name(dice, person),
            person.id_number,
            _sex_word(dice, person.sex),
            f"{town[2:]}{school:03d}",
            f"{town}{'小学' if year < 6 else '中学'}{school}",
            self._GRADES[year],
            f"{dice.between(1, 8)}班",
            f"{DAY_ZERO.year - 1 - year}-09-01",
            dice.pick(deck("1*97 3 2")),
            person.division,
            "监护人",
            None,
        ]


def _anniversary(birth: date, years: int) -> date:
    return date(birth.year + years, birth.month, min(birth.day, 28)) + timedelta(days=3)


def _swapped(row: Row, left: int, right: int) -> list[Row]:
    row[left], row[right] = row[right], row[left]
    return [row]


def _earlier(row: Row, column: int, days: int) -> list[Row] | None:
    value = row[column]
    if value is None:
        return None
    row[column] = compact(datetime.strptime(value, "%Y%m%d").date() - timedelta(days=days))
    return [row]


def _before(row: Row, column: int, other: int) -> list[Row] | None:
    """A date that lies before another one of the row."""
    value = row[other]
    if value is None or row[column] is None:
        return None
    row[column] = f"{date.fromisoformat(value) - timedelta(days=200):%Y-%m-%d}"
    return [row]
