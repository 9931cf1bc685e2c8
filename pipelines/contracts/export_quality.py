"""Rules as ODCS quality entries: a library metric where ODCS has one, else SQL, else citylake's own engine."""

from collections.abc import Callable
from typing import Any

from pipelines.codecs import functions
from pipelines.codecs.sql import identifier
from pipelines.contracts.resolved import Contracts
from pipelines.contracts.rules import Context, Dimension, Kind, Rule
from pipelines.messages import translate

_VALUES_LIMIT = 100
"""Longer code lists are named, not spelt out."""

_DIMENSIONS = {
    Dimension.NORMALISATION: "conformity",
    Dimension.COMPLETENESS: "completeness",
    Dimension.ACCURACY: "accuracy",
    Dimension.CONSISTENCY: "consistency",
    Dimension.TIMELINESS: "timeliness",
}
_OBJECT = "{object}"
"""The placeholder for the judged table in ODCS queries."""

Entry = dict[str, Any]


def rule_entry(rule: Rule, contracts: Contracts, on_fail: str) -> Entry:
    """The quality entry of one rule. `on_fail`: `quarantine` the row, or `withhold` the version."""
    about = rule.about
    check = _CHECKS.get(rule.verb, _sql)(rule, contracts)
    properties: Entry = {
        "verb": rule.verb,
        "arguments": dict(rule.arguments),
        "kind": about.kind.value,
        "dimensionGB": about.dimension.value,
        "onFail": on_fail,
    }
    if about.scope == "row" and not _is_long(rule, contracts):
        predicate = rule.sql(_context(contracts))
        if not functions.called(predicate):
            properties["rowPredicate"] = predicate
    return {
        "id": "".join(sign if sign.isalnum() else "_" for sign in rule.id).strip("_"),
        "name": rule.id,
        "description": translate(f"rule.{rule.verb}", "zh"),
        **check,
        # GB/T 36344 counts uniqueness as accuracy; ODCS has a dimension of its own for it.
        "dimension": "uniqueness" if about.kind is Kind.DUPLICATE else _DIMENSIONS[about.dimension],
        "severity": "error",
        "customProperties": [{"property": name, "value": value} for name, value in properties.items() if value != {}],
    }


def _metric(metric: str, **arguments: Any) -> Entry:
    return {"type": "library", "metric": metric, **({"arguments": arguments} if arguments else {}), "mustBe": 0}


def _in_codes(rule: Rule, contracts: Contracts) -> Entry:
    if _is_long(rule, contracts):
        return _own(rule, contracts)
    return _metric("invalidValues", validValues=sorted(contracts.code_sets[rule.arguments["codes"]]))


def _unique(rule: Rule, _: Contracts) -> Entry:
    return _metric("duplicateValues", properties=list(rule.columns))


def _row_count(rule: Rule, _: Contracts) -> Entry:
    return {"type": "library", "metric": "rowCount", "mustBeGreaterOrEqualTo": rule.arguments["minimum"]}


def _sql(rule: Rule, contracts: Contracts) -> Entry:
    if rule.about.scope in ("history", "shape", "across"):
        return _own(rule, contracts)  # judged at admission only, or beside other datasets
    statement = rule.sql(_context(contracts))
    if functions.called(statement):
        return _own(rule, contracts)  # check digits: no other engine knows the function
    if rule.about.scope == "row":
        statement = f"count(*) FROM {_OBJECT} WHERE NOT ({statement})"
    return {"type": "sql", "query": f"SELECT {statement}", "mustBe": 0, "unit": "rows"}


def _own(rule: Rule, _: Contracts) -> Entry:
    return {"type": "custom", "engine": "citylake", "implementation": {rule.verb: dict(rule.arguments)}}


_CHECKS: dict[str, Callable[[Rule, Contracts], Entry]] = {
    "required": lambda rule, contracts: _metric("nullValues"),
    "matches": lambda rule, contracts: _metric("invalidValues", pattern=rule.arguments["pattern"]),
    "in_codes": _in_codes,
    "unique": _unique,
    "row_count": _row_count,
    "volume_change": _own,  # needs the last release, which no single query of ODCS can name
}


def _is_long(rule: Rule, contracts: Contracts) -> bool:
    return rule.verb == "in_codes" and len(contracts.code_sets[rule.arguments["codes"]]) > _VALUES_LIMIT


def _context(contracts: Contracts) -> Context:
    models = {name: identifier(name) for name in contracts.models}
    zone = contracts.city.timezone
    return Context(lists=contracts.code_sets, today=None, relation=_OBJECT, models=models, timezone=zone)
