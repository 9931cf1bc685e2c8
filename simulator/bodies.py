"""Organisations that no market regulator registers: government bodies, public institutions, social organisations, rural
collectives - what they are called, who represents them, what becomes of them.

Only single organisations, in memory. The tables and files of the offices that register them belong to `body_registers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from simulator.chance import Dice, deck
from simulator.divisions import Village, address, short_name, villages
from simulator.firms import ACTIVE, CANCELLED, DEREGISTERED
from simulator.identity import identity_number
from simulator.names import new_name
from simulator.organisation_codes import authorities, social_credit_code
from simulator.person import FEMALE, MALE, Person
from simulator.places import names

GOVERNMENT, INSTITUTION, MASS = "11", "12", "13"
ASSOCIATION, SERVICE, FOUNDATION = "51", "52", "53"
GROUP_COLLECTIVE, VILLAGE_COLLECTIVE, TOWN_COLLECTIVE = "N1", "N2", "N3"
"""First two characters of the unified social credit code: who registers, and what kind of organisation it is."""

_NUMBERS_BEGIN = {"social": 300_000_000, "staffed": 400_000_000, "collective": 500_000_000}
"""Organisation numbers far from those of firms, so that no two organisations share one."""
_STATUSES = deck(f"{ACTIVE}*88 {DEREGISTERED}*9 {CANCELLED}*3")
_ELSEWHERE = ("340103", "340104", "340111", "340202", "341102", "410105")

_CAUSES = deck("茶产业 羽毛球 摄影家 书法家 物流 餐饮 建筑业 志愿者 慈善 养老服务 中医药 民营企业家 科普 诗词 农村电商")
_CARES = deck("幼儿园*6 养老服务中心*4 职业培训学校*2 社会工作服务中心*3 民办医院 康复中心 艺术培训中心")
_STAFFED = deck("中心小学*6 初级中学*3 卫生院*5 农业技术推广站*3 文化站*3 水利站*2 社会保障事务所*2 疾病预防控制中心")
_OFFICES = deck("人民政府*6 司法所 财政所*2 自然资源所*2")
_PRETTY = deck("金色 阳光 红太阳 启明 育才 爱心 明德 康宁 皖西 大别山 蓝天 春晖 晨光 和谐 向阳")


@dataclass(frozen=True, slots=True)
class Head:
    """Who represents an organisation. Some have no identity number in the file, some live outside the city."""

    name: str
    identity: str | None


@dataclass(frozen=True, slots=True)
class Body:
    """An organisation as it is founded."""

    uscc: str
    name: str
    kind: str
    village: Village
    domicile: str
    founded: date
    head: Head


def head_of(dice: Dice, person: Person) -> Head:
    """Somebody of the city, seldom without a number on file, seldom somebody from elsewhere in his place."""
    if dice.chance(0.05):
        return Head(person.name, None)
    if dice.chance(0.04):
        birth = date(dice.between(1962, 1995), dice.between(1, 12), dice.between(1, 28))
        sex = dice.pick((MALE, FEMALE))
        number = identity_number(dice.pick(_ELSEWHERE), birth, sex, dice.between(0, 299))
        return Head(new_name(dice, "01", sex, birth.year), number)
    return Head(person.name, person.id_number)


def social(dice: Dice, number: int, person: Person, founded: date) -> Body:
    """An association, a private non-enterprise service or a foundation."""
    kind = dice.pick((ASSOCIATION,) * 9 + (SERVICE,) * 10 + (FOUNDATION,))
    village = dice.pick(villages())
    county = names()[village.county]
    mark = _mark(dice, number)
    name = {
        ASSOCIATION: lambda: f"{county}{mark}{dice.pick(_CAUSES)}协会",
        SERVICE: lambda: f"{county}{mark}{dice.pick(_CARES)}",
        FOUNDATION: lambda: f"六安市{mark}慈善基金会",
    }[kind]()
    return _body(dice, "social", kind, number, name, village, founded, person)


def staffed(dice: Dice, number: int, person: Person, founded: date) -> Body:
    """An organisation on the state's payroll; the first ones are the authorities that other registers name."""
    known = list(authorities().values())
    village = dice.pick(villages())
    if number < len(known):
        authority = known[number]
        domicile = f"安徽省六安市金安区佛子岭路{100 + number}号"
        return Body(
            authority.uscc, f"六安{authority.name}", GOVERNMENT, village, domicile, founded, head_of(dice, person)
        )
    kind = dice.pick((GOVERNMENT,) * 3 + (INSTITUTION,) * 15 + (MASS,) * 2)
    county, town = names()[village.county], names()[village.code[:9]]
    name = {
        GOVERNMENT: lambda: f"{county}{town}{dice.pick(_OFFICES)}",
        INSTITUTION: lambda: f"{county}{town}{_mark(dice, number)}{dice.pick(_STAFFED)}",
        MASS: lambda: f"{county}{town}{dice.pick(('工会联合会', '妇女联合会', '科学技术协会'))}",
    }[kind]()
    return _body(dice, "staffed", kind, number, name, village, founded, person)


def collective(dice: Dice, number: int, person: Person, founded: date) -> Body:
    """The economic organisation of a village, of a town (every fourteenth) or of a group within a village."""
    step = 683  # without common factor with the number of villages: neighbours do not follow each other
    village = villages()[number * step % len(villages())]
    kind = TOWN_COLLECTIVE if number % 14 == 0 else GROUP_COLLECTIVE if number % 14 == 7 else VILLAGE_COLLECTIVE
    county, town, place = (names()[village.code[:end]] for end in (6, 9, 12))
    short = short_name(place)
    name = {
        TOWN_COLLECTIVE: f"{county}{town}经济联合总社",
        VILLAGE_COLLECTIVE: f"{county}{town}{short}股份经济合作社",
        GROUP_COLLECTIVE: f"{county}{town}{short}第{1 + number // 14 % 20}经济合作社",
    }[kind]
    return _body(dice, "collective", kind, number, name, village, founded, person)


def ending(dice: Dice, founded: date, until: date) -> tuple[str, date | None]:
    """What the years until a day made of an organisation: status and, unless it goes on, the day it ended."""
    status = dice.pick(_STATUSES)
    if status == ACTIVE or founded >= until:
        return ACTIVE, None
    return status, founded + timedelta(days=dice.between(1, (until - founded).days))


def founding(dice: Dice, first: date, until: date) -> date:
    """A day between two."""
    return first + timedelta(days=dice.between(0, (until - first).days))


def adults(people: Sequence[Person], today: date) -> list[Person]:
    """Those who may represent an organisation."""
    return [person for person in people if 25 < person.age(today) < 65]


Maker = Callable[[Dice, int, Person, date], Body]


def _mark(dice: Dice, number: int) -> str:
    # The number keeps names apart: two organisations of one name would be a finding.
    return f"{dice.pick(_PRETTY)}{'' if number % 3 else dice.pick(('第一', '第二', '实验'))}"


def _body(
    dice: Dice, office: str, kind: str, number: int, name: str, village: Village, founded: date, person: Person
) -> Body:
    code = social_credit_code(kind, village.county, _NUMBERS_BEGIN[office] + number)
    return Body(code, name, kind, village, address(dice, village), founded, head_of(dice, person))
