"""Rule verbs: what a contract may demand of a row or of a table, compiled to SQL.

The same rules judge rows at admission, candidates at the gate and, translated, the Great Expectations suite. A row
rule is a predicate: true, false, or NULL where it does not apply. A table rule counts violations in one scalar query.
A history rule is a query for those new events (`_row`) that contradict what other events say; admission asks it of an
append load, with the batch as `relation` and the events in core as `previous`. A shape rule is a predicate about a
geometry that only admission asks, for geometry is computed nowhere
else. An across rule is a query of what is looked at in two datasets, each with `_good`.
"""

from pipelines.contracts.rules import across, identifiers, relations, rows, shapes
from pipelines.contracts.rules.base import Context, Dimension, Kind, Rule, RuleAbout, days_after_today, rules
from pipelines.contracts.rules.relations import counts_rows

__all__ = [
    "Context",
    "Dimension",
    "Kind",
    "Rule",
    "RuleAbout",
    "across",
    "counts_rows",
    "days_after_today",
    "identifiers",
    "relations",
    "rows",
    "rules",
    "shapes",
]
