"""The market regulation bureau's tables: entities (one row each, as they are now) and alterations (one row per item).

What happens to a firm is in `firms`; permits and penalties are in `credit_registers`, which `registers` adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from simulator import memos
from simulator.chance import Dice, deck
from simulator.credit_registers import Penalties, Permits
from simulator.defects import CODE, CONSISTENCY, DUPLICATE, FORMAT, PLAUSIBLE, RANGE, SENTINEL_1899
from simulator.firms import (
    ACTIVE,
    BRANCH,
    DEREGISTERED,
    REVOKED,
    WITH_CAPITAL,
    Alteration,
    Firm,
    alter,
    belong,
    end,
    found,
    founding_day,
    is_paid_up,
    registration_number,
    revocation_reason,
    subject_number,
    with_history,
)
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
    pasted,
    spelled,
    test_row,
)
from simulator.person import Person
from simulator.places import names
from simulator.registers import Change, Everybody, News, Register, Row, Table
from simulator.special_mistakes import (
    absent,
    before,
    contradicting,
    instead_of_nothing,
    organisation_mistakes,
    repeated,
    thousands,
)

FIRMS_PER_PERSON = 0.1
OF_AGE, TOO_OLD = 18, 75
RENMINBI = "156"
# Per registered person and day, and the fewest a day.
_FOUNDED, _ALTERED, _ENDED, _REPAIRED = (0.00006, 3), (0.00008, 4), (0.00003, 1), (0.00005, 1)
_ENDS = deck(f"{DEREGISTERED}*5 {REVOKED}")
_FULL_WIDTH = {ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}
_FAR = ("9999-09-09", "9999-12-31", "2099-12-31", "长期", "9999-09-09 00:00:00", SENTINEL_1899)

ENTITIES = Table(
    "amr",
    "scjg",
    "E_BASEINFO",
    (
        ("PRIPID", "varchar(40)"),  # the register's own number
        ("UNI_ SOCIAL_CRD_ CD", "varchar(40)"),  # the spaces are part of the name
        ("ENTNAME", "varchar(200)"),
        ("ENTTYPE", "varchar(60)"),
        ("ESTDATE", "varchar(20)"),
        ("REGCAP", "varchar(30)"),  # in 万元
        ("REGCAPCUR", "varchar(20)"),
        ("INDUSTRYCO", "varchar(20)"),
        ("REGORG", "varchar(100)"),
        ("DOMDISTRICT", "varchar(20)"),
        ("DOM", "varchar(300)"),
        ("LEREP", "varchar(100)"),
        ("CERNO", "varchar(40)"),
        ("LEREP_TEL", "varchar(40)"),
        ("OPSCOPE", "varchar(2000)"),
        ("OPFROM", "varchar(20)"),
        ("OPTO", "varchar(20)"),
        ("REGSTATE", "varchar(60)"),
        ("CANDATE", "varchar(20)"),
        ("APPRDATE", "varchar(20)"),
        ("SUP_UNISCID", "varchar(40)"),  # the company that a branch belongs to
        ("REGNO", "varchar(40)"),  # registration number of before the unified codes
        ("RECCAP", "varchar(30)"),  # paid in, in 万元
        ("REVREASON", "varchar(200)"),
        ("S_EXT_TIMESTAMP", "timestamp(0)"),
    ),
    moment=24,
)
(
    SUBJECT,
    USCC,
    NAME,
    TYPE,
    ESTABLISHED,
    CAPITAL,
    CURRENCY,
    INDUSTRY,
    AUTHORITY,
    COUNTY,
    DOMICILE,
    REPRESENTATIVE,
    REPRESENTATIVE_ID,
    PHONE,
    SCOPE,
    TERM_FROM,
    TERM_TO,
    STATUS,
    STATUS_DATE,
    APPROVED,
    SUPERIOR,
    REGISTRATION,
    PAID_IN,
    REVOKED_FOR,
    UPDATED,
) = range(len(ENTITIES.columns))
"""Positions of the columns in a row of ``ENTITIES``."""

ALTERATIONS = Table(
    "amr",
    "scjg",
    "E_ALTER_RECODER",
    (
        ("ALTID", "varchar(40)"),
        ("PRIPID", "varchar(40)"),
        ("ALTITEM", "varchar(100)"),
        ("ALTBE", "varchar(1000)"),
        ("ALTAF", "varchar(1000)"),
        ("ALTDATE", "varchar(20)"),
        ("S_EXT_TIMESTAMP", "timestamp(0)"),
    ),
    keeps=True,
    moment=6,
)


def _needs_capital(row: Row) -> bool:
    return row[TYPE] in WITH_CAPITAL


def _in_yuan(value: str, dice: Dice) -> str | None:
    return f"{int(value)}0000" if value.isdigit() and int(value) <= 1000 else None


def _older_copy(row: Row, dice: Dice) -> list[Row] | None:
    """The row as an earlier export had it, beside the present one."""
    moment = datetime.fromisoformat(str(row[UPDATED]))
    if moment.year < 2000:
        return None
    older = list(row)
    older[UPDATED] = moment.replace(year=moment.year - dice.between(1, 3), day=min(moment.day, 28)).isoformat(" ")
    older[SCOPE] = f"{row[SCOPE]}；咨询服务"
    return [row, older]


ENTITY_MISTAKES: tuple[Mistake, ...] = (
    *organisation_mistakes(USCC),
    missing(USCC),
    missing(NAME),
    test_row(NAME),
    pasted(DOMICILE, "安徽省六安市金安区梅山中路1号"),
    changed("name_spaced", "cleanable", NAME, lambda v, d: f" {v}\u3000"),
    *code_mistakes(TYPE, "9999"),
    spelled("type_word", TYPE, {"1100": "有限责任公司", "9500": "个体工商户", "9100": "合作社", "2100": "分公司"}),
    missing(ESTABLISHED),
    *date_mistakes(ESTABLISHED, CONSISTENCY),
    *thousands(CAPITAL),
    absent("capital_missing", CAPITAL, _needs_capital),
    changed("capital_negative", RANGE, CAPITAL, lambda v, d: f"-{v}"),
    changed("capital_in_yuan", PLAUSIBLE, CAPITAL, _in_yuan),
    constant("currency_no_code", CODE, CURRENCY, "999"),
    spelled("currency_word", CURRENCY, {RENMINBI: "人民币"}),
    changed("industry_without_letter", FORMAT, INDUSTRY, lambda v, d: v[1:]),
    changed("industry_lower_case", "cleanable", INDUSTRY, lambda v, d: v.lower()),
    # 寿县 left the city in 2015; its code is still in old systems.
    constant("county_left", CODE, COUNTY, "341521"),
    absent("county_missing", COUNTY, lambda row: True),
    *name_mistakes(REPRESENTATIVE),
    *id_mistakes(REPRESENTATIVE_ID),
    # Only two: branches are few, and some must be right.
    *(one for one in organisation_mistakes(SUPERIOR) if one.name in ("uscc_wrong_check", "uscc_lower_case")),
    before("term_reversed", TERM_FROM, TERM_TO),
    instead_of_nothing("term_without_end", TERM_TO, *_FAR),
    *code_mistakes(STATUS, "9"),
    missing(STATUS),
    spelled("status_word", STATUS, {"1": "存续（在营、开业、在册）", "2": "吊销", "3": "注销"}),
    absent("status_date_missing", STATUS_DATE, lambda row: row[STATUS] in ("2", "3", "5")),
    before("ended_before_founded", ESTABLISHED, STATUS_DATE),
    instead_of_nothing("status_without_date", STATUS_DATE, *_FAR[:3], "1900-01-01"),
    changed("registration_number_full_width", "cleanable", REGISTRATION, lambda v, d: v.translate(_FULL_WIDTH)),
    changed("registration_number_short", FORMAT, REGISTRATION, lambda v, d: v[:-3]),
    instead_of_nothing("paid_in_placeholder", PAID_IN, "无", "\\N", "暂无"),
    changed("paid_in_negative", RANGE, PAID_IN, lambda v, d: f"-{v}"),
    instead_of_nothing("revocation_placeholder", REVOKED_FOR, "无", "\\N", "暂无"),
    duplicate(SUBJECT),
    Mistake("older_copy", DUPLICATE, SUBJECT, _older_copy),
)

ALTERATION_MISTAKES: tuple[Mistake, ...] = (
    missing(1),
    missing(2),
    changed("item_spaced", "cleanable", 2, lambda v, d: f"{v} "),
    *date_mistakes(5),
    missing(5),
    repeated(0),
    contradicting(0, 4, lambda v, d: f"{v}（更正）"),
)


class Desk:
    """The registration desk: both tables are filled from what happened here."""

    def __init__(self) -> None:
        self.alterations: list[Alteration] = []


class Entities:
    """The register of entities."""

    place = ENTITIES
    key = SUBJECT
    mistakes = ENTITY_MISTAKES

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def initial(self, city: Everybody) -> Iterable[Row]:
        """About a tenth as many entities as people, the ended ones included."""
        adults = [person for person in city.people if OF_AGE < person.age(city.today) < TOO_OLD]
        firms: list[Firm] = []
        for number in range(_wanted(len(city.people)) if adults else 0):
            firms.append(self._grown(city, number, adults, firms))
        self._desk.alterations.sort(key=lambda alteration: alteration.updated)
        memos.keep(city.truth, ENTITIES.dataset, map(_memo, firms))
        return list(map(row_of, firms))

    def day(self, news: News) -> Change:
        """Foundations, alterations, ends, and corrections of rows that were wrong."""
        rows = self._repaired(news)
        touched = {row[SUBJECT] for row in rows}
        active = [
            row
            for row in news.some(ENTITIES.dataset, 3 * (_volume(news, _ALTERED) + _volume(news, _ENDED)))
            if row[STATUS] == ACTIVE and row[SUBJECT] not in touched
        ]
        firms = list(self._existing(news, active))
        ending = firms[: _volume(news, _ENDED)]
        altering = firms[len(ending) : len(ending) + _volume(news, _ALTERED)]
        for firm in ending:
            end(news.dice, firm, news.dice.pick(_ENDS), news.today)
        for firm, successor in zip(altering, _adults(news, len(altering)), strict=False):
            self._desk.alterations.append(alter(news.dice, firm, news.today, successor))
        number = news.count(ENTITIES.dataset)
        founded = [
            found(news.dice, number + count, person, news.today)
            for count, person in enumerate(_adults(news, _volume(news, _FOUNDED)))
        ]
        for firm in founded:
            if firm.entity_type == BRANCH:
                belong(news.dice, firm, None)
        changed_firms = [*ending, *altering, *founded]
        memos.keep(news.truth, ENTITIES.dataset, map(_memo, changed_firms))
        return Change([*rows, *map(row_of, changed_firms)])

    def _grown(self, city: Everybody, number: int, adults: list[Person], before: list[Firm]) -> Firm:
        person = city.dice.pick(adults)
        firm = found(city.dice, number, person, founding_day(city.dice, person, city.today))
        if firm.entity_type == BRANCH:
            older = [one for one in before if one.established < firm.established]
            companies = [one for one in older if one.entity_type in WITH_CAPITAL]
            belong(city.dice, firm, city.dice.pick(companies) if companies and city.dice.chance(0.7) else None)
        self._desk.alterations += with_history(city.dice, firm, city.today, lambda: city.dice.pick(adults))
        return firm

    def _existing(self, news: News, rows: list[Row]) -> Iterator[Firm]:
        remembered = memos.find(news.truth, ENTITIES.dataset, [str(row[SUBJECT]) for row in rows])
        for row in rows:
            yield firm_of(row, remembered[str(row[SUBJECT])])

    def _repaired(self, news: News) -> list[Row]:
        """Rows whose mistake the bureau has found: right again, with a new time."""
        found_rows = news.truth.execute(
            "SELECT row FROM truth.record WHERE dataset = %s AND mistake IS NOT NULL"
            " ORDER BY md5(key || %s), key LIMIT %s",
            [ENTITIES.dataset, news.today.isoformat(), _volume(news, _REPAIRED)],
        )
        rows = [list(row) for (row,) in found_rows]
        for row in rows:
            row[UPDATED] = f"{news.today.isoformat()} {news.dice.between(8, 17):02d}:{news.dice.below(60):02d}:00"
        return rows


class Alterations:
    """The log of alterations."""

    place = ALTERATIONS
    key = 0
    mistakes = ALTERATION_MISTAKES

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def initial(self, city: Everybody) -> Iterable[Row]:
        """Everything altered so far, in order."""
        return self._rows(0)

    def day(self, news: News) -> Change:
        """What was altered today."""
        return Change(self._rows(news.count(ALTERATIONS.dataset)))

    def _rows(self, before_them: int) -> list[Row]:
        return [
            [
                f"ALT{number:012d}",
                subject_number(alteration.firm),
                alteration.item,
                alteration.before,
                alteration.after,
                alteration.altered.isoformat(),
                alteration.updated.isoformat(" "),
            ]
            for number, alteration in enumerate(self._desk.alterations, before_them + 1)
        ]


def registers() -> list[Register]:
    """The registers of this module and those of the credit information office, made anew."""
    desk = Desk()
    return [Entities(desk), Alterations(desk), Permits(), Penalties()]


def row_of(firm: Firm) -> Row:
    """The clean row of a firm."""
    return [
        subject_number(firm.number),
        firm.uscc,
        firm.name,
        firm.entity_type,
        firm.established.isoformat(),
        firm.capital,
        RENMINBI if firm.capital else None,
        firm.industry,
        f"{names()[firm.county]}市场监督管理局",
        firm.county,
        firm.domicile,
        firm.representative,
        firm.representative_id,
        firm.phone,
        firm.scope,
        firm.established.isoformat(),
        _text(firm.term_to),
        firm.status,
        _text(firm.status_date),
        firm.approved.isoformat(),
        firm.superior,
        registration_number(firm),
        firm.capital if firm.entity_type in WITH_CAPITAL and is_paid_up(subject_number(firm.number)) else None,
        revocation_reason(firm),
        firm.updated.isoformat(" "),
    ]


def firm_of(row: Row, memo: Row) -> Firm:
    """The firm of a clean row; ``memo`` is what the simulator remembers of it besides."""
    return Firm(
        number=int(str(row[SUBJECT])[-10:]),
        uscc=str(row[USCC]),
        name=str(row[NAME]),
        brand=str(memo[0]),
        entity_type=str(row[TYPE]),
        established=date.fromisoformat(str(row[ESTABLISHED])),
        capital=row[CAPITAL],
        industry=str(row[INDUSTRY]),
        county=str(row[COUNTY]),
        division=str(memo[1]),
        domicile=str(row[DOMICILE]),
        representative=str(row[REPRESENTATIVE]),
        representative_id=str(row[REPRESENTATIVE_ID]),
        phone=row[PHONE],
        superior=row[SUPERIOR],
        scope=str(row[SCOPE]),
        term_to=_day(row[TERM_TO]),
        status=str(row[STATUS]),
        status_date=_day(row[STATUS_DATE]),
        approved=date.fromisoformat(str(row[APPROVED])),
        updated=datetime.fromisoformat(str(row[UPDATED])),
    )


def _memo(firm: Firm) -> tuple[str, list[str]]:
    return subject_number(firm.number), [firm.brand, firm.division]


def _adults(news: News, count: int) -> list[Person]:
    drawn = news.people(count * 2 + 4)
    return [person for person in drawn if OF_AGE < person.age(news.today) < TOO_OLD][:count]


def _volume(news: News, rate: tuple[float, int]) -> int:
    share, fewest = rate
    return max(fewest, round(share * news.day.state.living))


def _wanted(people: int) -> int:
    return max(1, round(FIRMS_PER_PERSON * people))


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
