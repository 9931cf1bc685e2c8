"""What the statistics bureau has published by a day: every figure of the catalogue with all its revisions.

Totals are those of a city of the simulated size, so that figures per head and coverage rates make sense. What is wrong
with some rows belongs to `macro_dirt`, serving the file to `portal`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import accumulate

from simulator import divisions
from simulator.chance import Dice

CITY, PROVINCE = "341500", "340000"
FIRST_YEAR = 2019
FIRST_MONTHLY_YEAR = 2025
REAL_RESIDENTS = 4_393_699
"""Of the census of 2020: totals shrink with the simulated city."""
RESIDENTS_PER_REGISTERED = 1.04
"""The simulated city registers about as many people from elsewhere as leave it for work, and a few more."""

# Values of 2019 and the yearly growth; nominal, in 亿元 of the real city, shares in per cent.
_ANNUAL = {
    "gdp_primary": (222.0, 0.034),
    "gdp_secondary": (560.0, 0.060),
    "gdp_tertiary": (838.0, 0.068),
    "digital_core_value_added": (76.0, 0.118),
    "digital_core_share_province": (6.1, 0.048),
    "urbanisation_rate": (46.1, 0.018),
    "income_urban": (32_200.0, 0.062),
    "income_rural": (13_400.0, 0.082),
    "strategic_emerging_share": (21.5, 0.055),
    "high_tech_share": (31.0, 0.043),
    "high_tech_firms": (290.0, 0.19),
}
_NOT_SCALED = frozenset(
    {"urbanisation_rate", "income_urban", "income_rural", "strategic_emerging_share", "high_tech_share"}
)
# Values of January 2025 (per month, in 亿元 of the real city) and the growth from month to month.
_MONTHLY_TOTALS = {
    "retail_sales": (92.0, 0.004),
    "fiscal_revenue": (15.5, 0.006),
    "trade": (14.2, 0.007),
    "tax_revenue": (9.6, 0.005),
    "electricity": (12.4, 0.005),
}
# Likewise at the end of January 2025.
_BALANCES = {"deposits": (4_350.0, 0.008), "loans": (3_920.0, 0.009)}
_RATES = {"cpi": 100.1, "industrial_growth": 7.6, "industrial_growth_month": 0.6, "fixed_investment_growth": 4.2}
_SECTORS = ("gdp_primary", "gdp_secondary", "gdp_tertiary")
"""Gross domestic product is the sum of these as published, so that the figures add up."""
_DIGITS = {
    **dict.fromkeys(("urbanisation_rate", "digital_core_share_province"), 2),
    **dict.fromkeys(("strategic_emerging_share", "high_tech_share", *_RATES), 1),
    **dict.fromkeys(("income_urban", "income_rural", "high_tech_firms"), 0),
}
# Day of the following month on which a monthly figure comes out, and month and day for yearly ones.
_MONTHLY_DAYS = {
    "fiscal_revenue": 4,
    "tax_revenue": 4,
    "cpi": 9,
    "deposits": 12,
    "loans": 12,
    "electricity": 13,
    "trade": 16,
    "industrial_growth": 18,
    "industrial_growth_month": 18,
    "fixed_investment_growth": 18,
    "retail_sales": 18,
}
_FIRST_RELEASES = {
    "gdp": (1, 25),
    "gdp_primary": (1, 25),
    "gdp_secondary": (1, 25),
    "gdp_tertiary": (1, 25),
    "digital_core_value_added": (5, 20),
    "digital_core_share_province": (5, 20),
    "resident_population": (4, 10),
    "urbanisation_rate": (4, 10),
    "income_urban": (1, 28),
    "income_rural": (1, 28),
    "strategic_emerging_share": (3, 20),
    "high_tech_share": (3, 20),
    "high_tech_firms": (2, 24),
}
_QUARTERS = ((0.213, 4, 20), (0.462, 7, 18), (0.720, 10, 20))
"""Share of the year's product that is made by the end of each of the first three quarters, and when that comes out. The
fourth is the year as it is first reckoned."""
_FINAL_RELEASE = (12, 28)
"""Yearly accounts are verified once, at the end of the year in which they first came out."""
_PRICES = 0.011
"""How much dearer what is produced becomes in a year: growth of production is told at comparable prices."""
_REVISED = frozenset({"gdp", "gdp_primary", "gdp_secondary", "gdp_tertiary", "digital_core_value_added"})
_WITH_GROWTH = _REVISED | {"income_urban", "income_rural", "high_tech_firms"}
"""Yearly figures that come with their growth; of shares and of people none is told."""
_SHARE_REVISED = 0.3
"""Share of monthly figures that are corrected some weeks later."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One published figure."""

    indicator: str
    area: str
    period: str
    value: str
    revision: int
    published: datetime
    note: str
    yoy: str | None = None
    """Growth since the same period a year before in %, where that was published."""
    ytd: str | None = None
    """The total since the beginning of the year, of what is summed up month by month."""


@cache
def indicators() -> dict[str, dict[str, str]]:
    """The catalogue of indicators by code."""
    text = files("simulator").joinpath("data/macro_series.csv").read_text(encoding="utf-8")
    return {row["code"]: row for row in csv.DictReader(text.splitlines())}


def published(seed: int, persons: int, by: date) -> list[Observation]:
    """Everything published until and on a day, in order of publication; ``persons`` are those of day 0."""
    observations = [*_annual(seed, persons, by.year), *_quarterly(seed, persons, by.year), *_monthly(seed, persons, by)]
    known = [entry for entry in observations if entry.published.date() <= by]
    return sorted(known, key=lambda entry: (entry.published, entry.indicator, entry.area, entry.period))


def residents(persons: int, year: int) -> dict[str, int]:
    """Residents of each county at the end of a year, for a city of so many registered people on day 0."""
    # The city shrinks a little every year, as the real one does.
    trend = RESIDENTS_PER_REGISTERED * (1 - 0.004 * (year - 2025))
    return {county: round(count * trend) for county, count in _registered(persons).items()}


@cache
def _registered(persons: int) -> dict[str, int]:
    """How many people `population` registers in each county on day 0."""
    villages = divisions.villages()
    running = list(accumulate(village.weight for village in villages))
    targets = [round(persons * weight / running[-1]) for weight in running]
    counts = dict.fromkeys(divisions.COUNTY_PEOPLE, 0)
    for village, before, after in zip(villages, [0, *targets], targets, strict=False):
        counts[village.county] += after - before
    return counts


def _annual(seed: int, persons: int, last_year: int) -> Iterator[Observation]:
    for year in range(FIRST_YEAR, last_year):
        for code in (code for code, entry in indicators().items() if entry["frequency"] == "Y"):
            release = first_release(code, year)
            verified = _moment(date(year + 1, *_FINAL_RELEASE))
            for area, final in _final_values(seed, persons, code, year):
                earlier = _year_before(seed, persons, code, year)
                if code not in _REVISED:
                    told = "年报"
                    yield Observation(
                        code,
                        area,
                        str(year),
                        _written(code, final),
                        0,
                        release,
                        told,
                        _growth(_written(code, final), earlier),
                    )
                    continue
                first = _preliminary(seed, persons, code, year)
                for number, (value, day, told) in enumerate(
                    ((first, release, "初步核算"), (final, verified, "最终核实"))
                ):
                    prices = _PRICES if code in (*_SECTORS, "gdp") else 0.0
                    growth = _growth(_written(code, value), earlier, prices)
                    yield Observation(code, area, str(year), _written(code, value), number, day, told, growth)


def _quarterly(seed: int, persons: int, last_year: int) -> Iterator[Observation]:
    """Gross domestic product since the beginning of each year, with its growth at comparable prices."""
    before: list[str] = []
    for year in range(FIRST_YEAR, last_year + 1):
        whole = _preliminary(seed, persons, "gdp", year)
        parts = [
            (whole * share * _about(_dice(seed, "gdp_quarter", f"{year}Q{number}"), 0.004), _moment(date(year, *day)))
            for number, (share, *day) in enumerate(_QUARTERS, 1)
        ]
        told = [(_written("gdp", value), day) for value, day in (*parts, (whole, first_release("gdp", year)))]
        for number, (value, day) in enumerate(told):
            earlier = before[number] if before else None
            if number == len(_QUARTERS):  # the whole year grows as the yearly figure does
                earlier = _year_before(seed, persons, "gdp", year)
            growth = _growth(value, earlier, _PRICES)
            yield Observation("gdp_quarter", CITY, f"{year}Q{number + 1}", value, 0, day, "累计值", growth, value)
        before = [value for value, _ in told]


def first_release(code: str, year: int) -> datetime:
    """When a yearly figure comes out first."""
    return _moment(date(year + 1, *_FIRST_RELEASES[code]))


def monthly_release(code: str, year: int, month: int) -> datetime:
    """When a monthly figure comes out first."""
    return _moment(_monthly_day(code, year, month))


def _monthly_day(code: str, year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, _MONTHLY_DAYS[code])


def _year_before(seed: int, persons: int, code: str, year: int) -> str | None:
    """The final value of the year before, of what is told with its growth."""
    if code not in _WITH_GROWTH or year == FIRST_YEAR:
        return None
    return _written(code, _final_values(seed, persons, code, year - 1)[0][1])


def _growth(value: str, earlier: str | None, prices: float = 0.0) -> str | None:
    """The growth that two figures as written show, in % to one decimal, less what ``prices`` rose."""
    return f"{(float(value) / float(earlier) / (1 + prices) - 1) * 100:.1f}" if earlier and float(earlier) else None


def _final_values(seed: int, persons: int, code: str, year: int) -> list[tuple[str, float]]:
    """The areas an indicator is published for, with the values that will stand in the end."""
    if code == "resident_population":
        counties = residents(persons, year)
        return [(CITY, sum(counties.values()) / 10_000), *((area, count / 10_000) for area, count in counties.items())]
    if code == "gdp":
        return [(CITY, sum(round(_final_values(seed, persons, part, year)[0][1], 4) for part in _SECTORS))]
    start, growth = _ANNUAL[code]
    value = start * (1 + growth) ** (year - FIRST_YEAR) * _about(_dice(seed, code, str(year)), 0.005)
    if code == "digital_core_share_province":
        return [(PROVINCE, value)]
    return [(CITY, value if code in _NOT_SCALED else value * _scale(persons))]


def _preliminary(seed: int, persons: int, code: str, year: int) -> float:
    """What the bureau published first: a little off."""
    if code == "gdp":
        return sum(round(_preliminary(seed, persons, part, year), 4) for part in _SECTORS)
    return _final_values(seed, persons, code, year)[0][1] * _about(_dice(seed, "first", code, str(year)), 0.008)


def _monthly(seed: int, persons: int, by: date) -> Iterator[Observation]:
    for code in _MONTHLY_DAYS:
        total, told = 0.0, dict[tuple[int, int], list[Observation]]()
        for year, month in months_before(by):
            months = (year - FIRST_MONTHLY_YEAR) * 12 + month - 1
            dice = _dice(seed, code, CITY, f"{year}-{month:02d}")
            if code in _MONTHLY_TOTALS:
                base, growth = _MONTHLY_TOTALS[code]
                this_month = base * _scale(persons) * (1 + growth) ** months * _about(dice, 0.04)
                total = this_month if month == 1 else total + this_month
                value = total
            elif code in _BALANCES:
                base, growth = _BALANCES[code]
                value = base * _scale(persons) * (1 + growth) ** months * _about(dice, 0.002)
            else:
                value = _RATES[code] + 1.4 * (dice.random() - 0.5)
            told[year, month] = list(_with_correction(dice, code, year, month, value, told.get((year - 1, month), [])))
            yield from told[year, month]


def _with_correction(
    dice: Dice, code: str, year: int, month: int, value: float, before: list[Observation]
) -> Iterator[Observation]:
    """A monthly figure and its correction, if there is one; growth is since what was known then of a year before."""
    first_day = _monthly_day(code, year, month)
    note = "累计值" if code in _MONTHLY_TOTALS else "月度"
    told = [(value, first_day, note)]
    if dice.chance(_SHARE_REVISED):
        later = first_day + timedelta(days=dice.between(12, 40))
        told.append((value * _about(dice, 0.005), later, "修订"))
    for number, (figure, day, words) in enumerate(told):
        written = _written(code, figure)
        total = written if code in _MONTHLY_TOTALS else None
        known = [entry for entry in before if entry.published <= _moment(day)]
        growth = _growth(written, known[-1].value if known and code not in _RATES else None)
        yield Observation(code, CITY, f"{year}-{month:02d}", written, number, _moment(day), words, growth, total)


def months_before(by: date) -> list[tuple[int, int]]:
    """Year and month of every month that was over by a day, since monthly figures are published."""
    return [
        (year, month)
        for year in range(FIRST_MONTHLY_YEAR, by.year + 1)
        for month in range(1, 13)
        if (year, month) < (by.year, by.month)
    ]


def _scale(persons: int) -> float:
    return persons * RESIDENTS_PER_REGISTERED / REAL_RESIDENTS


def _about(dice: Dice, width: float) -> float:
    return 1 + width * (2 * dice.random() - 1)


def _written(code: str, value: float) -> str:
    return f"{value:.{_DIGITS.get(code, 4)}f}"


def _moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 9, 30)


def _dice(seed: int, *labels: str) -> Dice:
    return Dice(seed, "macro", *labels)
