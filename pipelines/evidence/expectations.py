"""For each rule verb the Great Expectations expectation that asks the same question in other words.

Nothing here may call a rule's SQL or the codecs it is made of: a mistake there must not confirm itself. Where Great
Expectations has an expectation of its own it is used; the rest is SQL written a second time.
"""

import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from types import ModuleType
from typing import Any, ClassVar

import duckdb

from pipelines.codecs.sql import identifier
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


def _for(function: Builder) -> Builder:
    expectations[function.__name__.removeprefix("_")] = function
    return function


@_for
def _required(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToNotBeNull", column=column)


@_for
def _max_length(asker: Asker, *, column: str, length: int) -> Question:
    return asker.values("ExpectColumnValueLengthsToBeBetween", column=column, max_value=length)


@_for
def _matches(asker: Asker, *, column: str, pattern: str) -> Question:
    # anchored, because Great Expectations means a search by the operator that DuckDB takes for a full match
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^(?:{pattern})$")


@_for
def _in_codes(asker: Asker, *, column: str, codes: str) -> Question:
    return asker.values("ExpectColumnValuesToBeInSet", column=column, value_set=sorted(asker.context.lists[codes]))


@_for
def _between(asker: Asker, *, column: str, minimum: Any = None, maximum: Any = None) -> Question:
    bounds = {"min_value": _bound(asker.context, minimum), "max_value": _bound(asker.context, maximum)}
    return asker.values("ExpectColumnValuesToBeBetween", column=column, **bounds)


@_for
def _gb11643_format(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^{_NUMBER}$")


@_for
def _gb11643_check_digit(asker: Asker, *, column: str) -> Question:
    return asker.bad_rows(f"SELECT 1 FROM {_formed(column)} WHERE _rest <> 1")


@_for
def _gb11643_content(asker: Asker, *, column: str) -> Question:
    return asker.bad_rows(f"SELECT 1 FROM {_dated(column)} WHERE NOT _real")


@_for
def _birth_date_matches_id(asker: Asker, *, id: str, birth: str) -> Question:
    told = f"strftime({identifier(birth)}, '%Y%m%d')"
    return asker.bad_rows(f"SELECT 1 FROM {_dated(id)} WHERE _real AND {told} <> substr(_number, 7, 8)")


@_for
def _sex_matches_id(asker: Asker, *, id: str, sex: str) -> Question:
    male, odd = f"{identifier(sex)} = '1'", "substr(_number, 17, 1) IN ('1', '3', '5', '7', '9')"
    told = f"{identifier(sex)} IN ('1', '2')"
    return asker.bad_rows(f"SELECT 1 FROM {_dated(id)} WHERE _real AND {told} AND ({male}) <> ({odd})")


@_for
def _chinese_name(asker: Asker, *, column: str) -> Question:
    # what a name is not: empty, one character, a dot at an end, two dots together, a character of another script
    wrong = r"(?s)|.|·.*|.*·|.*··.*|.*[^·\x{3007}\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{20000}-\x{3ffff}].*"
    return asker.values("ExpectColumnValuesToNotMatchRegex", column=column, regex=f"^(?:{wrong})$")


@_for
def _wkt_polygon(asker: Asker, *, column: str) -> Question:
    # points become p, rings r, polygons s; neither letter can stand in the text itself
    steps = (
        (r"-?\d{1,3}(\.\d+)? -?\d{1,2}(\.\d+)?", "p"),
        (r"\(p(, ?p){3,}\)", "r"),
        (r"\(r(, ?r)*\)", "s"),
    )
    shape = column = identifier(column)
    for pattern, token in steps:
        shape = f"regexp_replace({shape}, '{pattern}', '{token}', 'g')"
    allowed = f"regexp_full_match({column}, '[MULTIPOYGN0-9(),. -]*')"
    formed = rf"{allowed} AND regexp_full_match({shape}, 'POLYGON ?s|MULTIPOLYGON ?\(s(, ?s)*\)')"
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE NOT ({_escaped(formed)})")


@_for
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


@_for
def _row_count(asker: Asker, *, minimum: int) -> Question:
    missing: Callable[[int], int] = lambda rows: max(minimum - rows, 0)  # noqa: E731
    return asker.observed("ExpectTableRowCountToBeBetween", missing, min_value=minimum)


@_for
def _volume_change(asker: Asker, *, maximum: float) -> Question:
    previous = asker.context.previous
    if previous is None:
        return asker.observed("ExpectTableRowCountToBeBetween", lambda _: 0, min_value=0)
    before, share = asker.count(previous), Fraction(str(maximum))
    low, high = max(math.ceil(before - before * share), 0), math.floor(before + before * share)
    beyond: Callable[[int], int] = lambda rows: max(low - rows, rows - high, 0)  # noqa: E731
    return asker.observed("ExpectTableRowCountToBeBetween", beyond, min_value=low, max_value=high)


@_for
def _sums_to(asker: Asker, *, column: str, model: str) -> Question:
    total = asker.count(asker.context.models[model])
    apart: Callable[[Any], int] = lambda found: math.ceil(abs((found or 0) - total))  # noqa: E731
    return asker.observed("ExpectColumnSumToBeBetween", apart, column=column, min_value=total, max_value=total)


_NUMBER = r"[1-9]\d{16}(\d|X)"

_PROVINCES = (
    "'11','12','13','14','15','21','22','23','31','32','33','34','35','36','37','41','42','43','44','45','46',"
    "'50','51','52','53','54','61','62','63','64','65','71','81','82','83',"
    "'90','91','92','93','94','95','96','97','98','99'"
)


def _formed(column: str) -> str:
    """Rows with a well-formed number: all columns, `_number`, and `_rest`, which is 1 for a right check digit.

    ISO 7064 as it is defined, by Horner's scheme in base 2: weights and a table of check digits follow from it.
    """
    digits = [f"(strpos('0123456789X', substr(_number, {place}, 1)) - 1)" for place in range(1, 19)]
    sum_ = digits[0]
    for digit in digits[1:]:
        sum_ = f"({sum_} * 2 + {digit})"
    formed = f"regexp_full_match({identifier(column)}, '{_escaped(_NUMBER)}')"
    numbers = f"SELECT *, {identifier(column)} AS _number FROM {{batch}} WHERE {formed}"
    return f"(SELECT *, {sum_} % 11 AS _rest FROM ({numbers}))"


def _dated(column: str) -> str:
    """Rows with a right check digit: all columns, `_number`, and `_real`: province and date exist."""
    year, month, day = (
        f"try_cast(substr(_number, {place}, {length}) AS INTEGER)" for place, length in ((7, 4), (11, 2), (13, 2))
    )
    leap = f"({year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0))"
    february = f"28 + CAST({leap} AS INTEGER)"
    days = f"CASE WHEN {month} = 2 THEN {february} WHEN {month} IN (4, 6, 9, 11) THEN 30 ELSE 31 END"
    date = f"{year} >= 1 AND {month} BETWEEN 1 AND 12 AND {day} BETWEEN 1 AND {days}"
    real = f"substr(_number, 1, 2) IN ({_PROVINCES}) AND {date}"
    return f"(SELECT *, {real} AS _real FROM {_formed(column)} WHERE _rest = 1)"


def _bound(context: Context, bound: Any) -> Any:
    if not isinstance(bound, str):
        return bound
    today = context.today or datetime.datetime.now(datetime.UTC).date()
    named = {"today": today, "tomorrow": today + datetime.timedelta(days=1)}
    return datetime.datetime.fromisoformat(str(named.get(bound, bound)))


def _escaped(text: str) -> str:
    """Text with its braces doubled, as a query of Great Expectations needs it."""
    return text.replace("{", "{{").replace("}", "}}")
