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
}
# Values of January 2025 (per month, in 亿元 of the real city) and the growth from month to month.
_MONTHLY_TOTALS = {"retail_sales": (92.0, 0.004), "fiscal_revenue": (15.5, 0.006)}
_SECTORS = ("gdp_primary", "gdp_secondary", "gdp_tertiary")
"""Gross domestic product is the sum of these as published, so that the figures add up."""
_DIGITS = {"urbanisation_rate": 2, "digital_core_share_province": 2, "industrial_growth": 1, "cpi": 1}
# Day of the following month on which a monthly figure comes out, and month and day for yearly ones.
_MONTHLY_DAYS = {"fiscal_revenue": 4, "cpi": 9, "industrial_growth": 18, "retail_sales": 18}
_FIRST_RELEASES = {
    "gdp": (1, 25),
    "gdp_primary": (1, 25),
    "gdp_secondary": (1, 25),
    "gdp_tertiary": (1, 25),
    "digital_core_value_added": (5, 20),
    "digital_core_share_province": (5, 20),
    "resident_population": (4, 10),
    "urbanisation_rate": (4, 10),
}
_FINAL_RELEASE = (12, 28)
"""Yearly accounts are verified once, at the end of the year in which they first came out."""
_REVISED = frozenset({"gdp", "gdp_primary", "gdp_secondary", "gdp_tertiary", "digital_core_value_added"})
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


@cache
def indicators() -> dict[str, dict[str, str]]:
    """The catalogue of indicators by code."""
    text = files("simulator").joinpath("data/macro_series.csv").read_text(encoding="utf-8")
    return {row["code"]: row for row in csv.DictReader(text.splitlines())}


def published(seed: int, persons: int, by: date) -> list[Observation]:
    """Everything published until and on a day, in order of publication; ``persons`` are those of day 0."""
    observations = [*_annual(seed, persons, by.year), *_monthly(seed, persons, by)]
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
            release = _moment(date(year + 1, *_FIRST_RELEASES[code]))
            verified = _moment(date(year + 1, *_FINAL_RELEASE))
            for area, final in _final_values(seed, persons, code, year):
                if code not in _REVISED:
                    yield Observation(code, area, str(year), _written(code, final), 0, release, "年报")
                    continue
                first = _preliminary(seed, persons, code, year)
                yield Observation(code, area, str(year), _written(code, first), 0, release, "初步核算")
                yield Observation(code, area, str(year), _written(code, final), 1, verified, "最终核实")


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
    return [(CITY, value if code == "urbanisation_rate" else value * _scale(persons))]


def _preliminary(seed: int, persons: int, code: str, year: int) -> float:
    """What the bureau published first: a little off."""
    if code == "gdp":
        return sum(round(_preliminary(seed, persons, part, year), 4) for part in _SECTORS)
    return _final_values(seed, persons, code, year)[0][1] * _about(_dice(seed, "first", code, str(year)), 0.008)


def _monthly(seed: int, persons: int, by: date) -> Iterator[Observation]:
    for code in _MONTHLY_DAYS:
        total = 0.0
        for year, month in _months_before(by):
            dice = _dice(seed, code, CITY, f"{year}-{month:02d}")
            if code in _MONTHLY_TOTALS:
                base, growth = _MONTHLY_TOTALS[code]
                months = (year - FIRST_MONTHLY_YEAR) * 12 + month - 1
                this_month = base * _scale(persons) * (1 + growth) ** months * _about(dice, 0.04)
                total = this_month if month == 1 else total + this_month
                value = total
            else:
                value = {"cpi": 100.1, "industrial_growth": 7.6}[code] + 1.4 * (dice.random() - 0.5)
            yield from _with_correction(dice, code, year, month, value)


def _with_correction(dice: Dice, code: str, year: int, month: int, value: float) -> Iterator[Observation]:
    first_day = date(year + month // 12, month % 12 + 1, _MONTHLY_DAYS[code])
    note = "累计值" if code in _MONTHLY_TOTALS else "月度"
    period = f"{year}-{month:02d}"
    yield Observation(code, CITY, period, _written(code, value), 0, _moment(first_day), note)
    if dice.chance(_SHARE_REVISED):
        later = first_day + timedelta(days=dice.between(12, 40))
        corrected = value * _about(dice, 0.005)
        yield Observation(code, CITY, period, _written(code, corrected), 1, _moment(later), "修订")


def _months_before(by: date) -> list[tuple[int, int]]:
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
