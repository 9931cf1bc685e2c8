"""Questions about what a table is: which columns it has, and of which type each is."""

from collections.abc import Mapping

from pipelines.contracts.forms.words import LogicalType
from pipelines.evidence.expectations.base import Asker, Question

COLUMNS = "columns"
"""Under which name the columns are asked for; the type of one under `type_of`."""
HELD_AS: Mapping[LogicalType, tuple[str, ...]] = {
    "string": ("VARCHAR",),
    "integer": ("BIGINT", "INTEGER", "SMALLINT", "TINYINT"),
    "number": ("DECIMAL", "DOUBLE", "FLOAT"),
    "boolean": ("BOOLEAN",),
    "date": ("DATE",),
    "timestamp": ("TIMESTAMP WITH TIME ZONE",),
}
"""DuckDB's types of a logical type, said a second time."""


def type_of(column: str) -> str:
    """The name of the question for the type of a column."""
    return f"{column}.type"


def shape(asker: Asker, columns: Mapping[str, LogicalType]) -> dict[str, Question]:
    """By name the questions whether a table has these columns, no others, and each of its type."""
    questions = {type_of(name): _typed(asker, name, logical) for name, logical in columns.items()}
    return {COLUMNS: _columns(asker, columns), **questions}


def _columns(asker: Asker, columns: Mapping[str, LogicalType]) -> Question:
    promised = sorted(columns)
    return asker.observed(
        "ExpectTableColumnsToMatchSet",
        lambda found: len(set(found) ^ set(promised)),
        column_set=promised,
        exact_match=True,
    )


def _typed(asker: Asker, column: str, logical: LogicalType) -> Question:
    held = HELD_AS[logical]
    asked = {"column": column, "type_list": list(held)}
    return asker.observed("ExpectColumnValuesToBeInTypeList", lambda found: int(found not in held), **asked)
