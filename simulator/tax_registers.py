"""The tax bureau: what each taxpayer declared, tax by tax and month by month, in a file of each day's declarations.

Taxpayers are firms and other organisations of earlier registers, and some that no other department tells of:
law firms, trade unions, temples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from zlib import crc32

from simulator.chance import Dice, deck
from simulator.defects import CODE, CONSISTENCY, FORMAT, PLAUSIBLE, RANGE
from simulator.divisions import villages
from simulator.drops import encoding_mistakes
from simulator.firms import DEREGISTERED, SELF_EMPLOYED
from simulator.mistakes import (
    changed,
    code_mistakes,
    constant,
    date_mistakes,
    missing,
    ragged,
    spelled,
    test_row,
)
from simulator.organisation_codes import social_credit_code
from simulator.places import names
from simulator.register_rows import column_names
from simulator.registers import Change, Everybody, Files, News, Register, Row
from simulator.schema import Connection
from simulator.special_mistakes import contradicting, organisation_mistakes, repeated, thousands

NORMAL, ABNORMAL, CLOSED = "1", "2", "3"
"""Codes of a taxpayer's status."""
VALUE_ADDED, COMPANY_INCOME, INCOME, CITY_UPKEEP = "10101", "10104", "10106", "10109"
_LAST_DAY = 15
"""Of a month, until which the month before is declared."""
_OTHERS = ("31", "81", "71")
"""Law firms, trade unions and temples: known to no other register of the city."""
_OTHERS_BEGIN, _OTHERS_PER_PERSON, _FEWEST_OTHERS = 600_000_000, 0.0003, 24
_LEVELS = deck("A*18 B*46 M*24 C*8 D*4")

# Positions count from 1. Firms that ended before the months told of no longer declare.
_FIRMS = """SELECT row[2], row[3], row[4], row[10], row[18], row[19], row[5] FROM truth.record
    WHERE dataset = 'scjg.E_BASEINFO' ORDER BY key"""
_BODIES = """SELECT row[{code}], row[{name}], '', row[{place}], row[{status}], row[{ended}], row[{founded}]
    FROM truth.record WHERE dataset = '{dataset}' ORDER BY key"""
_REGISTERS = (
    {"dataset": "shzz.T_SHZZ", "code": 2, "name": 3, "place": 10, "status": 15, "ended": 16, "founded": 12},
    {"dataset": "jgsydw_*.xlsx", "code": 2, "name": 3, "place": 13, "status": 16, "ended": 17, "founded": 14},
    {"dataset": "njzz_*.xml", "code": 2, "name": 3, "place": 5, "status": 13, "ended": 14, "founded": 12},
)


@dataclass(frozen=True, slots=True)
class Taxpayer:
    """Who declares. `lot` is a number that stays his own: it decides which taxes he pays and on which day."""

    uscc: str
    name: str
    kind: str
    county: str
    founded: date
    ended: date | None
    lot: int


class Declarations:
    """Declarations: the months September to November when the city begins, later those of each day."""

    place = Files(
        "txb",
        "nsxx",
        "csv",
        column_names("SBXH NSRSBH NSRMC NSRZT ZGSWJG ZSXM SKSSQ YBTSE QJSE XYDJ SBRQ BSY"),
        "gb18030",
    )
    key = 0
    mistakes = (
        *organisation_mistakes(1),
        missing(1),
        missing(2),
        test_row(2),
        changed("name_spaced", "cleanable", 2, lambda v, d: f" {v}"),
        *code_mistakes(3, "8"),
        spelled("status_word", 3, {NORMAL: "正常", ABNORMAL: "非正常户", CLOSED: "注销"}),
        constant("tax_no_code", CODE, 5, "19999"),
        spelled("tax_word", 5, {VALUE_ADDED: "增值税", COMPANY_INCOME: "企业所得税", INCOME: "个人所得税"}),
        changed("period_is_a_year", FORMAT, 6, lambda v, d: v[:4]),
        changed("period_month_13", FORMAT, 6, lambda v, d: f"{v[:4]}13"),
        *thousands(7),
        changed("amount_negative", RANGE, 7, lambda v, d: f"-{v}"),
        changed("amount_in_words", FORMAT, 7, lambda v, d: "零申报"),
        changed("amount_in_wan", PLAUSIBLE, 7, lambda v, d: f"{int(v) / 10000:.2f}" if int(v) > 20_000 else None),
        constant("level_no_code", CODE, 9, "E"),
        spelled("level_word", 9, {"A": "A级", "B": "B级", "C": "C级", "D": "D级", "M": "M级"}),
        *date_mistakes(10, CONSISTENCY),
        repeated(0),
        contradicting(0, 7, lambda v, d: str(int(v) + 100)),
        ragged(0, extra=True),
        ragged(0, extra=False),
        *encoding_mistakes(2, "gb18030"),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """Three months of every taxpayer."""
        number = 0
        for month in (date(2025, 9, 1), date(2025, 10, 1), date(2025, 11, 1)):
            for payer in taxpayers(city.truth, len(city.people)):
                for row in _declared(city.dice, payer, month, _filed(payer, month)):
                    yield [f"SB{number:012d}", *row]
                    number += 1

    def day(self, news: News) -> Change:
        """The declarations of this day; after the fifteenth there are none."""
        if news.today.day > _LAST_DAY:
            return Change()
        number, month = news.count(self.place.dataset), _month_before(news.today)
        rows: list[Row] = []
        for payer in taxpayers(news.truth, news.day.state.persons):
            if _filed(payer, month) == news.today:
                rows += [
                    [f"SB{number + len(rows) + place:012d}", *row]
                    for place, row in enumerate(_declared(news.dice, payer, month, news.today))
                ]
        return Change(rows)


def taxpayers(truth: Connection, persons: int) -> Iterator[Taxpayer]:
    """Everybody who declares, in an order that stays: firms, one in eight of the self-employed, some other bodies."""
    queries = [_FIRMS, *(_BODIES.format(**register) for register in _REGISTERS)]
    for place, query in enumerate(queries):
        for code, name, kind, county, status, ended, founded in truth.execute(query).fetchall():
            lot = crc32(code.encode())
            exempt = (kind == SELF_EMPLOYED and lot % 8) or (place and lot % 3)
            if exempt or status in ("4", "5"):
                continue
            closed = date.fromisoformat(ended) if status == DEREGISTERED and ended else None
            yield Taxpayer(code, name, kind, county[:6], date.fromisoformat(founded), closed, lot)
    yield from _known_to_nobody_else(persons)


def registers() -> list[Register]:
    """The registers of this module, made anew."""
    return [Declarations()]


def _known_to_nobody_else(persons: int) -> Iterator[Taxpayer]:
    for number in range(max(_FEWEST_OTHERS, round(_OTHERS_PER_PERSON * persons))):
        dice = Dice(number, "taxpayer of no register")
        kind, village = dice.pick(_OTHERS), dice.pick(villages())
        code = social_credit_code(kind, village.county, _OTHERS_BEGIN + number)
        county = names()[village.county]
        name = {
            "31": f"安徽{dice.pick(('正大', '皖西', '天铭', '金寨', '衡道'))}{number}律师事务所",
            "81": f"{county}{names()[village.code[:9]]}总工会第{number}工会委员会",
            "71": f"{county}{dice.pick(('九公', '龙泉', '观音', '净土'))}{number}寺",
        }[kind]
        yield Taxpayer(code, name, "", village.county, date(2005, 5, 9), None, crc32(code.encode()))


def _declared(dice: Dice, payer: Taxpayer, month: date, filed: date) -> Iterator[Row]:
    """A row for each tax, without its number; none for months before a firm was founded or after it ended."""
    if payer.founded >= month or (payer.ended is not None and payer.ended < month):
        return
    company = payer.kind not in ("", SELF_EMPLOYED)
    taxes = (VALUE_ADDED, COMPANY_INCOME, CITY_UPKEEP) if company and payer.lot % 5 < 2 else (VALUE_ADDED,)
    status = CLOSED if payer.ended is not None and payer.ended <= filed else NORMAL
    if status == NORMAL and payer.lot % 50 == 7:
        status = ABNORMAL
    # One in forty still stands in the bureau's files as it once was written there.
    name = payer.name if payer.lot % 40 else f"{payer.name.removesuffix('有限公司')}（原登记名称）"
    for tax in taxes:
        owed = dice.between(1_000, 90_000) if dice.chance(0.04) else 0
        yield [
            payer.uscc,
            name,
            status,
            f"国家税务总局{names()[payer.county]}税务局",
            tax,
            f"{month:%Y%m}",
            str(dice.between(0, 400) * 25 * (1 + payer.lot % 7 * (payer.lot % 3))),
            str(owed),
            _LEVELS[payer.lot % len(_LEVELS)] if company else None,
            filed.isoformat(),
            "办税员",
        ]


def _filed(payer: Taxpayer, month: date) -> date:
    """The day on which the taxpayer declares a month: always the same one of the next month, never the first."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 2 + payer.lot % (_LAST_DAY - 1))


def _month_before(day: date) -> date:
    return date(day.year - (day.month == 1), (day.month - 2) % 12 + 1, 1)
