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
COMMON = frozenset(
    {"indicator_code", "indicator_name", "unit", "period", "numerator", "denominator", "value", "as_of"}
    | {"numerator_definition", "denominator_definition"}
)
PLAN_COLUMNS = COMMON | {
    *("direction", "target_year", "target_text", "target_kind"),
    *("benchmark_value", "status", "missing_source", "attained"),
}
COUNTY_COLUMNS = COMMON | {"county_code", "county_name"}
NO_UNIT = "—"
"""What stands for the unit of a pure number."""
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
    """What the plan prints for one year, and the verdict of the release: yes, no, not_applicable.

    `benchmark` is what a target that compares is compared with, None for all others.
    """

    text: str
    attained: str
    benchmark: float | None


@dataclass(frozen=True)
class Indicator:
    """One indicator: its targets by year and the newest measure. `missing_source` names what is not delivered yet.

    `numerator` and `denominator` say what is counted.
    """

    code: str
    name: str
    direction: str
    unit: str | None
    numerator: str
    denominator: str | None
    targets: Mapping[int, Target]
    measure: Measure
    period: str | None
    as_of: date | None
    status: str
    missing_source: str | None


@dataclass(frozen=True)
class CountyIndicator:
    """An indicator that counties have: names and measures by county code. Not every county need have a value.

    `numerator` and `denominator` say what is counted.
    """

    code: str
    name: str
    unit: str | None
    numerator: str
    denominator: str | None
    period: str | None
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
        unit=_unit(last),
        numerator=last["numerator_definition"],
        denominator=last["denominator_definition"],
        targets={int(row["target_year"]): _target(row) for row in rows},
        measure=_measure(last),
        period=last["period"],
        as_of=last["as_of"],
        status=last["status"],
        missing_source=last["missing_source"],
    )


def _target(row: Row) -> Target:
    benchmark = row["benchmark_value"] if row["target_kind"] == "benchmark" else None
    return Target(row["target_text"], row["attained"], benchmark)


def _county_indicator(rows: list[Row]) -> CountyIndicator:
    mine = sorted(rows, key=lambda row: str(row["county_code"]))
    return CountyIndicator(
        code=mine[0]["indicator_code"],
        name=mine[0]["indicator_name"],
        unit=_unit(mine[0]),
        numerator=mine[0]["numerator_definition"],
        denominator=mine[0]["denominator_definition"],
        period=max((row["period"] for row in mine if row["period"]), default=None),
        as_of=mine[0]["as_of"],
        counties={row["county_code"]: row["county_name"] for row in mine},
        measures={row["county_code"]: _measure(row) for row in mine},
    )


def _unit(row: Row) -> str | None:
    return None if row["unit"] == NO_UNIT else row["unit"]


def _measure(row: Row) -> Measure:
    return Measure(row["value"], row["numerator"], row["denominator"])
