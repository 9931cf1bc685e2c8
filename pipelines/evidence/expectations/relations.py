"""Questions about a table as a whole."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from pipelines.codecs.sql import identifier
from pipelines.evidence.expectations.base import Asker, Question, asks, escaped


@asks
def _unique(asker: Asker, *, columns: list[str]) -> Question:
    if len(columns) == 1:
        (column,) = columns
        rows = asker.count(asker.context.relation, column)
        arguments = {"column": column, "min_value": rows}
        question = asker.observed("ExpectColumnUniqueValueCountToBeBetween", lambda found: rows - found, **arguments)
        return Question(question.expectation, lambda result: (rows, question.read(result)[1]))
    # the expectation for several columns counts every row of a group of equals, a rule all but the first of each
    present = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in columns)
    names = ", ".join(identifier(name) for name in columns)
    kept = f"SELECT {names} FROM {{batch}} WHERE {present}"
    different = f"SELECT DISTINCT * FROM ({kept})"
    surplus = f"(SELECT count(*) FROM ({kept})) - (SELECT count(*) FROM ({different}))"
    return asker.bad_rows(f"SELECT 1 FROM range({surplus})")


@asks
def _row_count(asker: Asker, *, minimum: int) -> Question:
    missing: Callable[[int], int] = lambda rows: max(minimum - rows, 0)  # noqa: E731
    return asker.observed("ExpectTableRowCountToBeBetween", missing, min_value=minimum)


@asks
def _volume_change(asker: Asker, *, maximum: float, rows: int = 0) -> Question:
    previous = asker.context.previous
    if previous is None:
        return asker.observed("ExpectTableRowCountToBeBetween", lambda _: 0, min_value=0)
    confirmed = asker.context.confirmed
    before = asker.count(previous) if confirmed is None else confirmed
    moved = max(before * Fraction(str(maximum)), Fraction(rows))
    low, high = max(math.ceil(before - moved), 0), math.floor(before + moved)
    beyond: Callable[[int], int] = lambda found: max(low - found, found - high, 0)  # noqa: E731
    return asker.observed("ExpectTableRowCountToBeBetween", beyond, min_value=low, max_value=high)


@asks
def _sums_to(asker: Asker, *, column: str, model: str) -> Question:
    total = asker.count(asker.context.models[model])
    apart: Callable[[Any], int] = lambda found: math.ceil(abs((found or 0) - total))  # noqa: E731
    return asker.observed("ExpectColumnSumToBeBetween", apart, column=column, min_value=total, max_value=total)


@asks
def _counts_rows(asker: Asker, *, column: str, model: str, by: list[str], placed: bool = False) -> Question:
    # every row of the other model takes one from what is told for its values: nothing may be left, nothing owed
    names, number = ", ".join(identifier(name) for name in by), identifier(column)
    told = f"SELECT {names}, {number} AS _left, {number} IS NULL AS _untold FROM {{batch}}"
    some = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in by if placed) or "true"
    taken = f"SELECT {names}, -1, false FROM {escaped(asker.context.models[model])} WHERE {some}"
    settled = f"GROUP BY {names} HAVING bool_or(_untold) OR sum(_left) <> 0"
    return asker.bad_rows(f"SELECT 1 FROM ({told} UNION ALL {taken}) {settled}")
