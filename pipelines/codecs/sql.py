"""Quoting for SQL text. Every other module builds statements from these, so nothing is quoted by hand."""

import math
from collections.abc import Iterable


def identifier(name: str) -> str:
    """A column or table name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A string, finite number, boolean or None as an SQL literal. Raises ValueError for NaN and infinity."""
    if type(value) is str:  # first: code lists are thousands of these in every statement
        return "'" + value.replace("'", "''") + "'"
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def literals(values: Iterable[object]) -> str:
    """Literals separated by commas, for an IN list."""
    return ", ".join(map(literal, values))


def repeated(columns: str, rows: str) -> str:
    """A query of the hashes of those values of some columns that more than one row has; `rows` stands after FROM.

    Each is compared with the one before it in order: where nearly all are there once, groups take twice the CPU (six
    million keys: 1.8 s, and 0.9).
    """
    hashes = f"SELECT hash({columns}) AS h FROM {rows}"
    return f"SELECT h FROM (SELECT h, lag(h) OVER (ORDER BY h) AS before FROM ({hashes})) WHERE h = before"


def where(answer: str, asked: str) -> str:
    """A predicate that is NULL unless another is true.

    A division by zero is NULL for DuckDB. A CASE would say the same, but what stands inside a CASE is computed for it
    alone: several rules about one number would take it apart several times.
    """
    return f"(({answer})::INT // coalesce({asked}, false)::INT = 1)"


def answered(verdict: str, answers: Iterable[bool | None]) -> str:
    """A predicate by the number that a function gave, counted from 0; NULL for no number.

    Not a CASE: what stands inside a CASE is computed for it alone, so each rule of a column would call the function.
    """
    return f"list_extract([{literals(answers)}], {verdict} + 1)"
