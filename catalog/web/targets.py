"""The plan's indicators as pages show them, put in order from the rows of two released products. Pure.

Nothing is computed here: values, numerators and verdicts are those of the release. A target that is printed in words
stays words; it is never turned into a number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

PLAN = "open/plan_indicator"
COUNTIES = "open/county_indicator"
COMMON = {"indicator_code", "indicator_name", "unit", "period", "numerator", "denominator", "value", "as_of"}
PLAN_COLUMNS = frozenset({*COMMON, "direction", "target_year", "target_text", "status", "missing_source", "attained"})
COUNTY_COLUMNS = frozenset({*COMMON, "county_code", "county_name"})
NO_SOURCE = "no_source"
"""The status of an indicator for which no department delivers anything yet."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """A value with what it was divided from, all None where there is none."""

    value: float | None
    numerator: float | None
    denominator: float | None


@dataclass(frozen=True)
class Target:
    """What the plan prints for one year, None for no target, and the verdict: yes, no, not_applicable or None."""

    text: str | None
    attained: str | None


@dataclass(frozen=True)
class Indicator:
    """One indicator: its targets by year and the newest measure. `missing_source` names what is not delivered yet."""

    code: str
    name: str
    direction: str
    unit: str | None
    targets: Mapping[int, Target]
    measure: Measure
    period: str | None
    as_of: date | None
    status: str
    missing_source: str | None


@dataclass(frozen=True)
class CountyIndicator:
    """An indicator that counties have: measures by county code, of the newest period that was released."""

    code: str
    name: str
    unit: str | None
    period: str
    as_of: date | None
    counties: Mapping[str, str]
    measures: Mapping[str, Measure]


def indicators(rows: Iterable[Row]) -> list[Indicator]:
    """The plan's indicators by code."""
    return [_indicator(mine) for mine in _by_code(rows)]


def by_direction(found: Iterable[Indicator]) -> dict[str, list[Indicator]]:
    """The indicators of each direction, in the order of the plan."""
    groups: dict[str, list[Indicator]] = {}
    for indicator in found:
        groups.setdefault(indicator.direction, []).append(indicator)
    return groups


def county_indicators(rows: Iterable[Row]) -> dict[str, CountyIndicator]:
    """What counties have, by indicator code."""
    made = (_county_indicator(mine) for mine in _by_code(rows))
    return {indicator.code: indicator for indicator in made}


def _by_code(rows: Iterable[Row]) -> list[list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: str(row["indicator_code"])):
        groups.setdefault(row["indicator_code"], []).append(row)
    return list(groups.values())


def _indicator(rows: list[Row]) -> Indicator:
    last = max(rows, key=lambda row: int(row["target_year"]))  # every year's row repeats the newest measure
    return Indicator(
        code=last["indicator_code"],
        name=last["indicator_name"],
        direction=last["direction"],
        unit=last["unit"],
        targets={int(row["target_year"]): Target(row["target_text"], row["attained"]) for row in rows},
        measure=_measure(last),
        period=last["period"],
        as_of=last["as_of"],
        status=last["status"],
        missing_source=last["missing_source"],
    )


def _county_indicator(rows: list[Row]) -> CountyIndicator:
    period = max(str(row["period"]) for row in rows)
    mine = sorted((row for row in rows if str(row["period"]) == period), key=lambda row: str(row["county_code"]))
    return CountyIndicator(
        code=mine[0]["indicator_code"],
        name=mine[0]["indicator_name"],
        unit=mine[0]["unit"],
        period=period,
        as_of=mine[0]["as_of"],
        counties={row["county_code"]: row["county_name"] for row in mine},
        measures={row["county_code"]: _measure(row) for row in mine},
    )


def _measure(row: Row) -> Measure:
    return Measure(row["value"], row["numerator"], row["denominator"])
