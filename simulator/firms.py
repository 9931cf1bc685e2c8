"""Firms, self-employed people and co-operatives of the city as the truth knows them: founding, altering, ending.

Only single firms, in memory. The registration authority's tables and their days belong to `firm_registers`, names of
trades to `trades`, code numbers to `organisation_codes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zlib import crc32

from simulator import divisions
from simulator.chance import Dice, deck
from simulator.divisions import Village
from simulator.organisation_codes import social_credit_code
from simulator.person import Person
from simulator.places import names, village_of
from simulator.population import office_second
from simulator.trades import CO_OPERATIVE_TRADES, COMPANY_TRADES, SHOP_TRADES, Trade, brand

COMPANY, SOLE_OWNER_COMPANY, SHARE_COMPANY, BRANCH = "1100", "1130", "1200", "2100"
PARTNERSHIP, SOLE_PROPRIETORSHIP, CO_OPERATIVE, SELF_EMPLOYED = "4500", "4540", "9100", "9500"
"""Codes of entity types."""
WITH_CAPITAL = frozenset({COMPANY, SOLE_OWNER_COMPANY, SHARE_COMPANY})
ACTIVE, REVOKED, DEREGISTERED, MOVED_OUT, CANCELLED = "1", "2", "3", "4", "5"
"""Codes of the registration status."""

_TYPES = deck(f"{SELF_EMPLOYED}*66 {COMPANY}*13 {SOLE_OWNER_COMPANY}*11 {CO_OPERATIVE}*4 {SOLE_PROPRIETORSHIP}*3 "
              f"{BRANCH}*4 {PARTNERSHIP}*1")  # fmt: skip
_STATUSES = deck(f"{ACTIVE}*83 {DEREGISTERED}*11 {REVOKED}*4 {MOVED_OUT}*1 {CANCELLED}*1")
_CAPITALS = {
    SELF_EMPLOYED: deck("0.5 1*3 2*4 3*4 5*5 10*4 20 30"),
    CO_OPERATIVE: deck("20 50*3 100*4 200*2 300 500"),
}
_COMPANY_CAPITALS = deck("3 10*3 30*2 50*6 100*8 200*5 300*3 500*4 600 800 1000*3 2000*2 5000 1080 1200")
_REVOKED_FOR = (
    "成立后无正当理由超过六个月未开业",
    "开业后自行停业连续六个月以上",
    "提交虚假材料取得登记",
    "伪造、涂改营业执照，情节严重",
)
SHARE_WITHOUT_CAPITAL = 0.3
"""Share of those who need not state a capital and do not."""
SHARE_ALTERED = 0.22
_REGISTERS_BEGIN = date(1993, 1, 1)
NAME, CAPITAL, REPRESENTATIVE, DOMICILE, SCOPE = (
    "名称变更",
    "注册资本变更",
    "法定代表人变更",
    "住所变更",
    "经营范围变更",
)
"""Items of an alteration, as the authority writes them."""
_ELSEWHERE, _ELSEWHERE_BEGINS = ("340100", "340103", "340104", "320102", "341202"), 700_000_000
"""Where companies of other cities are registered, and their organisation numbers, which no firm of the city has."""
_SHARE_BY_OWNER = 0.1
"""Of the shops that are not called by the surname alone: those whose name holds the full name of the owner."""
_ITEMS = deck(f"{NAME}*2 {CAPITAL}*3 {REPRESENTATIVE}*3 {DOMICILE}*4 {SCOPE}*3")


@dataclass(slots=True)
class Firm:
    """A market entity; ``number`` counts them, everything else is what the register says now."""

    number: int
    uscc: str
    name: str
    brand: str
    """The part of the name that a new name replaces."""
    entity_type: str
    established: date
    capital: str | None
    industry: str
    county: str
    division: str
    domicile: str
    representative: str
    """The name of the legal representative: a living adult of the truth when the register was written."""
    representative_id: str
    phone: str | None
    superior: str | None
    """The code of the company that a branch belongs to."""
    scope: str
    term_to: date | None
    status: str
    status_date: date | None
    approved: date
    updated: datetime


@dataclass(frozen=True, slots=True)
class Alteration:
    """One altered item of a firm."""

    firm: int
    item: str
    before: str | None
    after: str | None
    altered: date
    updated: datetime


def subject_number(number: int) -> str:
    """The register's own number of its ``number``-th entity."""
    return f"3415000000{number:010d}"


def found(dice: Dice, number: int, person: Person, established: date, entity_type: str | None = None) -> Firm:
    """A new firm whose legal representative is this person, registered on a working day."""
    kind = entity_type or dice.pick(_TYPES)
    village = village_of(person.division)
    trade = dice.pick(_trades_of(kind))
    own = _own(dice, person) if kind == SELF_EMPLOYED else brand(dice)
    prefix = {SELF_EMPLOYED: "92", CO_OPERATIVE: "93"}.get(kind, "91")
    return Firm(
        number=number,
        uscc=social_credit_code(prefix, village.county, number + 1),
        name=_name(dice, kind, trade, village, own),
        brand=own,
        entity_type=kind,
        established=established,
        capital=_capital(dice, kind),
        industry=trade.code,
        county=village.county,
        division=village.code,
        domicile=divisions.address(dice, village),
        representative=person.name,
        representative_id=person.id_number,
        phone=person.phone,
        superior=None,
        scope=trade.scope,
        term_to=_years_later(established, dice.pick((10, 20, 30)))
        if kind in WITH_CAPITAL and dice.chance(0.35)
        else None,
        status=ACTIVE,
        status_date=None,
        approved=established,
        updated=_office_moment(dice, established),
    )


def belong(dice: Dice, branch: Firm, superior: Firm | None) -> None:
    """Make a firm the branch of a company of the city; without one, of a company elsewhere."""
    if superior is None:
        branch.superior = social_credit_code("91", dice.pick(_ELSEWHERE), _ELSEWHERE_BEGINS + branch.number)
        return
    branch.superior, branch.brand = superior.uscc, superior.brand
    branch.name = f"{superior.name}{names()[branch.county]}分公司"


def with_history(dice: Dice, firm: Firm, until: date, former: Callable[[], Person]) -> list[Alteration]:
    """Let the years until a day pass over a firm: how it ended, if it did, and what was altered before.

    Args:
        former: gives somebody who may have been the legal representative before.
    """
    alterations: list[Alteration] = []
    if dice.chance(SHARE_ALTERED):
        days = sorted(_day_between(dice, firm.established, until) for _ in range(dice.between(1, 3)))
        # Backwards from what stands now: what an alteration left is what the next one found.
        stood: dict[str, str | None] = {}
        for day in reversed(days):
            item = _item(dice, firm)
            after = stood.get(item, _current(firm, item))
            stood[item] = _other(lambda item=item: _earlier(dice, firm, item, former), after)
            alterations.insert(0, Alteration(firm.number, item, stood[item], after, day, _office_moment(dice, day)))
        firm.approved, firm.updated = days[-1], alterations[-1].updated
    status = dice.pick(_STATUSES)
    if status != ACTIVE:
        end(dice, firm, status, _day_between(dice, firm.approved, until))
    return alterations


def alter(dice: Dice, firm: Firm, day: date, successor: Person) -> Alteration:
    """Alter one item of a firm that is still in business; ``successor`` may become the legal representative."""
    item = _item(dice, firm)
    before = _current(firm, item)
    if item == REPRESENTATIVE and successor.name != before:
        firm.representative, firm.representative_id, firm.phone = successor.name, successor.id_number, successor.phone
    elif item == CAPITAL:
        firm.capital = _other(lambda: _capital(dice, firm.entity_type) or "10", firm.capital)
    elif item == NAME:
        former = firm.brand
        firm.brand = _other(lambda: brand(dice), former)
        firm.name = firm.name.replace(former, firm.brand)
    elif item == SCOPE:
        firm.scope = _extended(dice, firm.scope)
    else:
        item, before = DOMICILE, firm.domicile
        firm.domicile = _other(lambda: divisions.address(dice, village_of(firm.division)), firm.domicile)
    firm.approved = day
    firm.updated = _office_moment(dice, day)
    return Alteration(firm.number, item, before, _current(firm, item), day, firm.updated)


def registration_number(firm: Firm) -> str:
    """The number of before the unified codes, 15 digits (GS 15-2006): the last checks the others."""
    digits, kept = f"{firm.county}{firm.number % 10**8:08d}", 10
    for digit in digits:
        kept = (kept + int(digit)) % 10 or 10
        kept = kept * 2 % 11
    return f"{digits}{(11 - kept) % 10}"


def is_paid_up(subject: str) -> bool:
    """Whether the holders of the firm of a number have paid what they subscribed; of most nothing is told."""
    return crc32(subject.encode()) % 5 < 2


def revocation_reason(firm: Firm) -> str | None:
    """Why a licence was revoked."""
    return _REVOKED_FOR[firm.number % len(_REVOKED_FOR)] if firm.status == REVOKED else None


def end(dice: Dice, firm: Firm, status: str, day: date) -> None:
    """Strike a firm off (deregistered, revoked, cancelled) or let it move to another city."""
    firm.status = status
    firm.status_date = day
    firm.updated = _office_moment(dice, day)


def _earlier(dice: Dice, firm: Firm, item: str, former: Callable[[], Person]) -> str:
    """A value an item of a firm may have had once."""
    if item == REPRESENTATIVE:
        return former().name
    if item == CAPITAL:
        return _capital(dice, firm.entity_type) or "10"
    if item == NAME:
        return firm.name.replace(firm.brand, brand(dice))
    if item == DOMICILE:
        return divisions.address(dice, village_of(firm.division))
    return _extended(dice, firm.scope)


def _item(dice: Dice, firm: Firm) -> str:
    item = dice.pick(_ITEMS)
    return DOMICILE if item == CAPITAL and firm.capital is None else item


def _current(firm: Firm, item: str) -> str | None:
    return {
        NAME: firm.name,
        CAPITAL: firm.capital,
        REPRESENTATIVE: firm.representative,
        DOMICILE: firm.domicile,
        SCOPE: firm.scope,
    }[item]


def _other(draw: Callable[[], str], than: str | None) -> str:
    """A value other than the one given; in a hamlet there may be none."""
    return next((value for value in (draw() for _ in range(50)) if value != than), draw())


def _extended(dice: Dice, scope: str) -> str:
    extra = dice.pick(("互联网销售", "货物进出口", "包装服务", "会议及展览服务", "仓储服务", "技术咨询服务"))
    return scope.removesuffix(f"；{extra}") if scope.endswith(f"；{extra}") else f"{scope}；{extra}"


def _trades_of(kind: str) -> tuple[Trade, ...]:
    if kind in (SELF_EMPLOYED, SOLE_PROPRIETORSHIP):
        return SHOP_TRADES
    return CO_OPERATIVE_TRADES if kind == CO_OPERATIVE else COMPANY_TRADES


def _own(dice: Dice, person: Person) -> str:
    """What a shop is called: some by the surname of whoever opened it, some by the whole name."""
    if dice.chance(0.25):
        return f"{person.name[0]}记"
    return person.name if dice.chance(_SHARE_BY_OWNER) else brand(dice)


def _name(dice: Dice, kind: str, trade: Trade, village: Village, own: str) -> str:
    county, town = names()[village.county], names()[village.code[:9]]
    if kind == SELF_EMPLOYED:
        return f"{county}{town}{own}{trade.shop}"
    if kind == CO_OPERATIVE:
        return f"{county}{own}{trade.company}专业合作社"
    if kind == SOLE_PROPRIETORSHIP:
        return f"{county}{own}{trade.shop}"
    if kind == PARTNERSHIP:
        return f"六安市{county}{own}{trade.company}中心（有限合伙）"
    if kind == BRANCH:
        return f"{dice.pick(('合肥', '安徽', '南京', '阜阳'))}{own}{trade.company}有限公司六安分公司"
    return f"{dice.pick((f'六安市{county}', '六安市', '六安', '安徽'))}{own}{trade.company}有限公司"


def _capital(dice: Dice, kind: str) -> str | None:
    if kind == BRANCH or (kind not in WITH_CAPITAL and dice.chance(SHARE_WITHOUT_CAPITAL)):
        return None
    return dice.pick(_CAPITALS.get(kind, _COMPANY_CAPITALS))


def _day_between(dice: Dice, first: date, last: date) -> date:
    return first + timedelta(days=dice.between(0, (last - first).days))


def founding_day(dice: Dice, person: Person, until: date) -> date:
    """A day on which somebody of age may have founded a firm, likelier a recent one."""
    begin = max(_REGISTERS_BEGIN, _years_later(person.birth, 18) + timedelta(days=1))
    days = (until - begin).days
    return begin + timedelta(days=int(days * dice.random() ** 0.45))


def _years_later(day: date, years: int) -> date:
    return day.replace(year=day.year + years, day=min(day.day, 28))


def _office_moment(dice: Dice, day: date) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(seconds=office_second(dice))
