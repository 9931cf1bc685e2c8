"""What a question to Great Expectations is, and what builds one. The questions themselves stand beside this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, ClassVar

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.rules import Context, Rule

Result = Mapping[str, Any]
"""What Great Expectations reports of one expectation: `element_count`, `unexpected_count`, `observed_value`, ..."""


@dataclass(frozen=True)
class Question:
    """One expectation and how its result is read: (rows evaluated or None, rows failed)."""

    expectation: Any
    read: Callable[[Result], tuple[int | None, int]]


@dataclass(frozen=True)
class Asker:
    """What builds questions: the library, the connection for counts that bound a question, and the context."""

    gx: ModuleType
    con: duckdb.DuckDBPyConnection
    context: Context

    def count(self, relation: str, column: str | None = None) -> int:
        """Rows of a relation, or those with a value in `column`."""
        what = "*" if column is None else identifier(column)
        ((rows,),) = self.con.execute(f"SELECT count({what}) FROM {relation}").fetchall()
        return int(rows)

    def kind(self, column: str) -> str:
        """The type of a column as DuckDB names it."""
        described = self.con.execute(f"DESCRIBE SELECT {identifier(column)} FROM {self.context.relation}").fetchall()
        return str(described[0][1])

    def day(self, column: str) -> str:
        """The local day of a date or time as text YYYYMMDD."""
        value = identifier(column)
        zoned = self.kind(column) == "TIMESTAMP WITH TIME ZONE"
        return f"strftime({f'{value} AT TIME ZONE {literal(self.context.timezone)}' if zoned else value}, '%Y%m%d')"

    def values(self, name: str, **arguments: Any) -> Question:
        """An expectation about every value of a column."""
        return Question(getattr(self.gx.expectations, name)(**arguments), _values)

    def observed(self, name: str, failed: Callable[[Any], int], **arguments: Any) -> Question:
        """An expectation about one number of the table; `failed` makes violations of it."""
        expectation = getattr(self.gx.expectations, name)(**arguments)
        return Question(expectation, lambda result: (None, failed(result["observed_value"])))

    def bad_rows(self, query: str) -> Question:
        """An expectation that a query finds no rows. `{batch}` in it is the candidate; it may select constants only."""
        return Question(counted_rows()(unexpected_rows_query=query), lambda result: (None, result["observed_value"]))


Builder = Callable[..., Question]


expectations: dict[str, Builder] = {}
"""By rule verb: (asker, the rule's arguments by name) -> question."""


def question(asker: Asker, rule: Rule) -> Question:
    """The expectation for one rule. Raises KeyError for a verb without one."""
    return expectations[rule.verb](asker, **rule.arguments)


@cache
def counted_rows() -> Any:
    """UnexpectedRowsExpectation without its rows: it counts them and fetches none."""
    from great_expectations.expectations.core import UnexpectedRowsExpectation

    class ExpectQueryToFindNoRows(UnexpectedRowsExpectation):
        metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.row_count",)

        def _validate(self, metrics: Any, *_: Any, **__: Any) -> Any:
            found = metrics["unexpected_rows_query.row_count"]
            return {"success": found == 0, "result": {"observed_value": found}}

    return ExpectQueryToFindNoRows


def _values(result: Result) -> tuple[int | None, int]:
    rows, failed = result["element_count"], result["unexpected_count"]
    if rows == 0:  # the sum over no rows is NULL
        return 0, 0
    return rows - result.get("missing_count", 0), failed


def asks(function: Builder) -> Builder:
    expectations[function.__name__.removeprefix("_")] = function
    return function


def escaped(text: str) -> str:
    """Text as a query of Great Expectations needs it: braces doubled, colons not taken for parameters."""
    return text.replace("{", "{{").replace("}", "}}").replace(":", r"\:")
