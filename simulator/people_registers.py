"""What departments other than the household office know of people: floating population, marriages, cremations,
allowances. Insurance is in `insurance_registers`; births, health records and pupils are in `care_registers`.

All of it follows from the one truth. Departments disagree without being wrong: another telephone, an older spelling of
a name, a death that one knows before the other. That is no dirt; mistakes are listed with each register.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from simulator import divisions, life
from simulator.address_dirt import said
from simulator.addresses import lodging
from simulator.care_registers import Births, HealthRecords, Pupils
from simulator.chance import Dice
from simulator.day import DEATH
from simulator.defects import CODE, CONSISTENCY, DISPUTED, FORMAT, HOMOPHONES, PLAUSIBLE, RANGE, SENTINEL_1899
from simulator.identity import ELSEWHERE, identity_number
from simulator.identity_dirt import IdentityColumns, identity_mistakes
from simulator.insurance_registers import Insurance, Payments
from simulator.mistakes import (
    Mistake,
    changed,
    code_mistakes,
    date_mistakes,
    id_mistakes,
    masked_phone,
    missing,
    name_mistakes,
    spelled,
)
from simulator.names import new_name
from simulator.person import DAY_ZERO, DIVORCED, FEMALE, MALE, NEVER_MARRIED, WIDOWED, Person, phone_number
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
from simulator.registers import Change, Everybody, News, Register, Row, Table
from simulator.special_mistakes import instead_of_nothing


def registers() -> list[Register]:
    """The registers about people, in order."""
    found: list[Register] = [Floating(), Marriages(), Cremations(), Allowances(), Insurance(), Payments()]
    return [*found, Births(), HealthRecords(), Pupils()]


class Floating:
    """Registrations of people who live elsewhere than they are registered; about one in 25."""

    place = table(
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
        masked_phone(9),
        instead_of_nothing("cancelled_sentinel", 11, SENTINEL_1899),
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
            self._outsider(dice, number + n, late(dice, news.today))
            for n in range(some(news, 0.001, self.place.dataset))
        ]
        for row in news.some(self.place.dataset, some(news, 0.0008, self.place.dataset)):
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
        facts = (person.id_number, person.name, person.sex, person.division[:6], person.address, phone_of(dice, person))
        return self._row(dice, number, facts, registered)

    def _row(self, dice: Dice, number: int, facts: tuple[str, str, str, str, str, str | None], registered: date) -> Row:
        identity, name, sex, origin, home, phone = facts
        home_here = lodging(number)
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
            home_here.division,
            said(home_here, Dice(0, "said", number))[0],
            phone,
            compact(registered),
            compact(until) if ended else None,
            "0" if ended else "1",
            "经办员",
            moment(dice, until if ended else registered),
        ]


class Marriages:
    """Marriage registrations: one for every couple, and those of the divorced."""

    place = table(
        "cab",
        "hydj",
        "T_HYDJ",
        "DJZH DJLB NANXM NANZJHM NVXM NVZJHM NANHQZK NVHQZK DJRQ DJJGQH DJY",
        "GXSJ",
        keeps=True,
    )
    key = 0
    mistakes = (
        *id_mistakes(3),
        *id_mistakes(5),
        missing(2),
        spelled("kind_word", 1, {"1": "结婚登记", "2": "离婚登记"}),
        *code_mistakes(1, "9"),
        *code_mistakes(6, "5"),
        *date_mistakes(8),
        Mistake("swapped", CONSISTENCY, 3, lambda row, d: _swapped(row, 3, 5)),
        Mistake("second_marriage", CONSISTENCY, 0, lambda row, d: _second_marriage(row, d)),
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
        taken = self._taken(news, [*men, *women])
        men, women = ([one for one in group if one.id_number not in taken] for group in (men, women))
        for man, woman in list(zip(men, women, strict=False))[: max(2, news.day.state.living // 20_000)]:
            if abs(man.age(news.today) - woman.age(news.today)) < 12 and man.household != woman.household:
                rows.append(self._row(news.dice, man, woman, late(news.dice, news.today), "1"))
        return Change(rows)

    def _taken(self, news: News, single: list[Person]) -> set[str]:
        """Those who are no longer single: the household office learns of a wedding from its own clerks only."""
        widowed = {one.id_number for one in single if one.marital == WIDOWED}
        numbers = [one.id_number for one in single]
        rows = news.truth.execute(
            "SELECT row FROM truth.record WHERE dataset = %s AND (row[4] = ANY(%s) OR row[6] = ANY(%s))",
            [self.place.dataset, numbers, numbers],
        )
        return {
            number
            for (row,) in rows
            for number in (row[3], row[5])
            if number not in widowed or row[8] >= compact(DAY_ZERO)
        }

    def _wedding(self, dice: Dice, man: Person, woman: Person) -> Row | None:
        first = max(_anniversary(man.birth, 22), _anniversary(woman.birth, 20))
        days = (DAY_ZERO - first).days - 10
        if days <= 0:
            return None
        day = first + timedelta(days=dice.below(min(days, 6 * 365)))
        return self._row(dice, man, woman, day, "1" if dice.chance(0.97) else "3")

    def _row(self, dice: Dice, man: Person, woman: Person, day: date, kind: str) -> Row:
        number = f"J{man.division[:6]}-{day.year}-{man.rybh[-7:]}{woman.rybh[-3:]}"
        people = (name_of(dice, man), man.id_number, name_of(dice, woman), woman.id_number)
        single = (NEVER_MARRIED, WIDOWED, DIVORCED)
        before = [one.marital if one.marital in single else NEVER_MARRIED for one in (man, woman)]
        return [number, kind, *people, *before, compact(day), man.division[:6], "登记员", moment(dice, day)]


OLD, UNHEARD = 75, 5
"""From what age, and of how many registered deaths one more, people are cremated before the household office hears."""
LONG_AGO = 10
"""Days before day 0 since which everybody who is cremated was in the household register."""


class Cremations:
    """Cremations of the last two years and of every day: of people of long ago, of those whose death the household
    office has just registered, and of some of whom it has not heard yet."""

    place = table("cab", "hydj", "T_HHDJ", "HHZBH SZZJHM SZXM SWRQ SWDD HHRQ BYG SYBM JBRXM", "GXSJ", keeps=True)
    key = 0
    mistakes = (
        *id_mistakes(1),
        *name_mistakes(2),
        *date_mistakes(3, CONSISTENCY),
        missing(5),
        Mistake("burnt_before_death", CONSISTENCY, 5, lambda row, d: _earlier(row, 5, 40)),
        Mistake("died_early", DISPUTED, 3, lambda row, d: _died_early(row, d)),
    )
    _HALLS = ("六安市殡仪馆", "霍邱县殡仪馆", "舒城县殡仪馆", "金寨县殡仪馆", "霍山县殡仪馆")

    def initial(self, city: Everybody) -> Iterator[Row]:
        dice = city.dice
        for number in range(max(20, len(city.people) // 80)):
            birth = DAY_ZERO - timedelta(days=dice.between(58 * 365, 99 * 365))
            sex, died = dice.pick((MALE, FEMALE)), DAY_ZERO - timedelta(days=dice.between(LONG_AGO, 730))
            identity = identity_number("342423", birth, sex, 300 + number % 190)
            yield self._row(dice, number, identity, new_name(dice, "01", sex, birth.year), died, DAY_ZERO)
        old = [one for one in city.people if one.age(DAY_ZERO) >= OLD]
        dice.shuffle(old)
        for place, one in enumerate([*city.dead, *old[: len(city.dead) // UNHEARD]], number + 1):
            yield self._row(dice, place, one.id_number, one.name, one.ended or late(dice, DAY_ZERO), DAY_ZERO)

    def day(self, news: News) -> Change:
        number = news.count(self.place.dataset)
        dead = news.changed(DEATH)
        # Some families see the hall before the police: the household register still lists the person.
        dead += [one for one in news.people(30) if one.age(news.today) >= OLD][: max(1, len(dead) // UNHEARD)]
        return Change(
            [
                self._row(
                    *(news.dice, number + place, one.id_number, one.name),
                    *(one.ended or late(news.dice, news.today), news.today),
                )
                for place, one in enumerate(dead)
            ]
        )

    def _row(self, dice: Dice, number: int, identity: str, name: str, died: date, today: date) -> Row:
        # A row is written after the cremation: one of tomorrow would move the platform's position beyond late rows.
        burnt = min(died + timedelta(days=dice.between(0, 3)), today)
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
        tuple(
            (name, TEXT)
            for name in column_names(
                "JTBH SQRZJHM SQRXM BZRS JZLB YBZJE XZQH SPRQ BZQSRQ BZZZRQ SQRXB SQRCSRQ JTZZ LXDH"
            )
        ),
    )
    key = 0
    mistakes = (
        *identity_mistakes(IdentityColumns(id=1, name=2, birth=11, address=12, phone=13, dated="%Y%m%d")),
        *name_mistakes(2),
        *code_mistakes(4, "8"),
        *code_mistakes(6, "341504999999"),
        *date_mistakes(7, CONSISTENCY),
        Mistake("benefit_before_approval", CONSISTENCY, 8, lambda row, d: _earlier(row, 8, 400)),
        instead_of_nothing("benefit_without_end", 9, "长期", "9999-12-31", SENTINEL_1899),
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
        gone = [str(row[0]) for row in news.some(self.place.dataset, some(news, 0.005, self.place.dataset))]
        applicants = [one for one in news.people(20) if one.age(news.today) >= 20][:3]
        rows = [self._row(news.dice, news.household(one), news.today - timedelta(days=9)) for one in applicants]
        known = [row for row in rows if news.record(self.place.dataset, str(row[0])) is None]
        return Change(known, gone)

    def _row(self, dice: Dice, household: list[Person], approved: date) -> Row:
        head = household[0]
        urban = head.division[6] == "0"
        amount = (750 if urban else 680) * len(household) - 10 * dice.below(20)
        category = ("1" if dice.chance(0.9) else "3") if urban else ("2" if dice.chance(0.85) else "4")
        facts = (head.id_number, name_of(dice, head), str(len(household)), category, str(amount))
        begin = date(approved.year + approved.month // 12, approved.month % 12 + 1, 1)
        until = compact(date(begin.year + 3, begin.month, 1)) if dice.chance(0.3) else None
        marks = (head.sex, compact(head.birth), head.address, phone_of(dice, head))
        return [f"DB{head.household}", *facts, head.division, compact(approved), compact(begin), until, *marks]


def _anniversary(birth: date, years: int) -> date:
    return date(birth.year + years, birth.month, min(birth.day, 28)) + timedelta(days=3)


def _swapped(row: Row, left: int, right: int) -> list[Row]:
    row[left], row[right] = row[right], row[left]
    return [row]


def _second_marriage(row: Row, dice: Dice) -> list[Row] | None:
    """The man marries again, months later, though nothing ended the marriage."""
    day = datetime.strptime(str(row[8]), "%Y%m%d").date() + timedelta(days=dice.between(30, 200))
    if row[1] != "1" or day >= DAY_ZERO - timedelta(days=30):
        return None
    birth = date(day.year - dice.between(22, 37), dice.between(1, 12), dice.between(1, 28))
    other = identity_number("342423", birth, FEMALE, 495)
    bride = new_name(dice, "01", FEMALE, birth.year)
    second = [f"{row[0]}-2", "1", row[2], row[3], bride, other, DIVORCED, NEVER_MARRIED]
    return [row, [*second, compact(day), *row[9:11], moment(dice, day)]]


def _died_early(row: Row, dice: Dice) -> list[Row] | None:
    """Weeks before the day of which the household office hears; about people of long ago it says nothing."""
    recent = row[3] is not None and row[3] > compact(DAY_ZERO - timedelta(days=LONG_AGO))
    return _earlier(row, 3, dice.between(10, 40)) if recent else None


def _earlier(row: Row, column: int, days: int) -> list[Row] | None:
    value = row[column]
    if value is None:
        return None
    row[column] = compact(datetime.strptime(value, "%Y%m%d").date() - timedelta(days=days))
    return [row]
