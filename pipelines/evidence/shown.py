"""The rules of a contract that hold for what a channel shows of a model: those of a row and of uniqueness, about
columns that it shows as they are.

Rules of the table as a whole (volumes, totals) and of two tables are asked of the model: a channel may leave rows away.
Of a count that may be withheld only the value is judged, where there is one. Nothing is measured here.
"""

from pipelines.contracts.forms.words import LogicalType
from pipelines.contracts.resolved import Product
from pipelines.contracts.rules import Rule

UNIQUE = "unique"
_OF_VALUES = frozenset({"between", "in_codes", "matches", "max_length"})
"""Rules that an empty cell passes."""


def shown_rules(product: Product) -> tuple[Rule, ...]:
    """The rules that a candidate of a product must pass, in the order of the contract."""
    kept = {column.source for column in product.columns if column.mask is None and column.name == column.source}
    return tuple(rule for rule in product.contract.rules if _holds(rule, kept, withheld(product)))


def shown_types(product: Product) -> dict[str, LogicalType]:
    """The type of every column that a channel shows; reading contracts holds it against what its mask makes."""
    return {column.name: column.column.definition.logicalType for column in product.columns}


def withheld(product: Product) -> frozenset[str]:
    """The columns of a table of counts in which single cells may be emptied."""
    anonymity = product.form.anonymity
    if anonymity is None:
        return frozenset()
    emptied = {name for breakdown in anonymity.breakdowns for name in breakdown.counts} | anonymity.rates.keys()
    return frozenset(emptied | ({anonymity.count} if anonymity.emptied else set()))


def _holds(rule: Rule, kept: set[str], emptied: frozenset[str]) -> bool:
    if not set(rule.columns) <= kept or not (rule.about.scope == "row" or rule.verb == UNIQUE):
        return False
    return rule.verb in _OF_VALUES or emptied.isdisjoint(rule.columns)
