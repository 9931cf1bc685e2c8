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

from pipelines.codecs.sql import identifier, literal, literals
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
def _gb32100_format(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^{_CREDIT_CODE}$")


@_for
def _gb32100_check_digit(asker: Asker, *, column: str) -> Question:
    wrong = f"({_credit_rest('_code')}) <> 0 OR ({_organisation_rest('substr(_code, 9)')}) <> 0"
    return asker.bad_rows(f"SELECT 1 FROM {_coded(column, _CREDIT_CODE)} WHERE {wrong}")


@_for
def _gb11714_format(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^{_ORGANISATION_CODE}$")


@_for
def _gb11714_check_digit(asker: Asker, *, column: str) -> Question:
    wrong = f"({_organisation_rest('_code')}) <> 0"
    return asker.bad_rows(f"SELECT 1 FROM {_coded(column, _ORGANISATION_CODE)} WHERE {wrong}")


@_for
def _certificate_format(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^{_CERTIFICATE}$")


@_for
def _certificate_check_digit(asker: Asker, *, column: str) -> Question:
    # ISO 7064 as it is defined: a sum of 0 counts as 36, and the check character is what 37 lacks
    body = "regexp_replace(regexp_extract(_code, '3005[.]2[.](.*)[.].$', 1), '[.]', '', 'g')"
    values = f"list_transform(regexp_extract_all({body}, '.'), lambda c: strpos('{_CHARACTERS}', c) - 1)"
    step = "CASE (p + x) % 36 WHEN 0 THEN 72 ELSE (p + x) % 36 * 2 END % 37"
    rest = f"(37 - list_reduce(list_prepend(36, {values}), lambda p, x: {step})) % 36"
    wrong = f"strpos('{_CHARACTERS}', right(_code, 1)) - 1 <> {rest}"
    return asker.bad_rows(f"SELECT 1 FROM {_coded(column, _CERTIFICATE)} WHERE {wrong}")


@_for
def _phone(asker: Asker, *, column: str, kind: str = "mobile") -> Question:
    mobile = r"1[3456789]\d{9}"
    fixed = r"(010|02\d)-?[^01\D]\d{7}(-\d{1,6})?|0[^012\D]\d\d-?[^01\D]\d{6}\d?(-\d{1,6})?"
    regex = mobile if kind == "mobile" else f"{mobile}|{fixed}"
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^(?:{regex})$")


@_for
def _plate(asker: Asker, *, column: str) -> Question:
    usual = r"[^\W_]{5}|[^\W_]{4}[挂学警港澳]"
    new_energy = r"[A-HJK][^\W_]\d{4}|\d{5}[A-HJK]"
    # the class of letters and digits is cut down to those of plates by the second pattern
    shape = rf"[{_PLATE_PROVINCES}][A-Z]({usual}|{new_energy})"
    number = identifier(column)
    right = f"regexp_full_match({number}, '{_escaped(shape)}') AND NOT regexp_matches({number}, '[IOa-z]')"
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE NOT ({right})")


@_for
def _not_masked(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToNotMatchRegex", column=column, regex="^(?s:.*[*＊].*)$")


@_for
def _not_test(asker: Asker, *, column: str) -> Question:
    return asker.values(
        "ExpectColumnValuesToNotMatchRegex", column=column, regex="^(?is:(测试|test).*|.*[(（]测试[)）])$"
    )


@_for
def _told_in_text(asker: Asker, *, column: str, text: str, per: int) -> Question:
    # whatever stands between two 元 ends with an amount or states none
    piece = r"'([0-9]+(\.[0-9]+)?)(万?)$'"
    pieces = f"unnest(string_split({identifier(text)}, '元')[:-2])"
    rows = f"SELECT row_number() OVER () AS _place, {identifier(column)} AS _amount, {identifier(text)} FROM {{batch}}"
    told = f"SELECT _place, _amount, {pieces} AS _piece FROM ({rows})"
    unit = f"CASE regexp_extract(_piece, {piece}, 3) WHEN '' THEN 1 ELSE 1e4 END"
    yuan = f"regexp_extract(_piece, {piece}, 1)::DOUBLE * {unit}"
    agree = f"bool_or(round({yuan}) = round(_amount * {per}))"
    stated = f"regexp_matches(_piece, {_escaped(piece)})"
    return asker.bad_rows(f"SELECT 1 FROM ({told}) WHERE {stated} GROUP BY _place HAVING NOT {agree}")


@_for
def _requires(asker: Asker, *, column: str, when: str, values: list[str]) -> Question:
    asked = f"SELECT {identifier(column)} AS _value, {identifier(when)}::VARCHAR AS _case FROM {{batch}}"
    cases = _escaped(f"list_contains([{literals(values)}], _case)")
    return asker.bad_rows(f"SELECT 1 FROM ({asked}) WHERE _value IS NULL AND {cases}")


@_for
def _present_with(asker: Asker, *, column: str, other: str) -> Question:
    value, beside = (f"{identifier(name)}::VARCHAR" for name in (column, other))
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE coalesce({value}, {beside}) IS NOT NULL AND {value} IS NULL")


@_for
def _one_of_present(asker: Asker, *, columns: list[str]) -> Question:
    texts = ", ".join(f"{identifier(name)}::VARCHAR" for name in columns)
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE coalesce({texts}) IS NULL")


@_for
def _ordered(asker: Asker, *, earlier: str, later: str) -> Question:
    first, second = identifier(earlier), identifier(later)
    kinds = {asker.kind(earlier), asker.kind(later)}
    if len(kinds) == 2 and "DATE" in kinds:
        first, second = asker.day(earlier), asker.day(later)
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {first} > {second}")


@_for
def _differs(asker: Asker, *, column: str, other: str) -> Question:
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {identifier(column)} = {identifier(other)}")


@_for
def _age_at_least(asker: Asker, *, birth: str, at: str, years: int) -> Question:
    # days as numbers YYYYMMDD; 28 February counts as the 29th where there is none
    born, day = (f"cast({asker.day(name)} AS BIGINT)" for name in (birth, at))
    year, last = f"({day} // 10000)", f"{day} % 10000 = 228"
    leap = f"({year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0))"
    reached = f"{day} + CASE WHEN {last} AND NOT {leap} THEN 1 ELSE 0 END"
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {reached} - {born} < {years * 10000}")


@_for
def _part_of_whole(asker: Asker, *, part: str, whole: str, when: str, values: list[str]) -> Question:
    cases = _escaped(f"list_contains([{literals(values)}], {identifier(when)}::VARCHAR)")
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {cases} AND {identifier(part)} > {identifier(whole)}")


@_for
def _adds_up(asker: Asker, *, column: str, parts: list[str]) -> Question:
    # exact: sums of doubles are compared as decimals
    listed = ", ".join(f"{identifier(name)}::DECIMAL(30, 6)" for name in parts)
    return asker.bad_rows(
        f"SELECT 1 FROM {{batch}} WHERE {identifier(column)}::DECIMAL(30, 6) <> coalesce(list_sum([{listed}]), 0)"
    )


@_for
def _gb11643_sex(asker: Asker, *, column: str, sex: str) -> Question:
    parities = {"1": "'1', '3', '5', '7', '9'", "2": "'0', '2', '4', '6', '8'"}
    return asker.bad_rows(
        f"SELECT 1 FROM {_dated(column)} WHERE _real AND substr(_number, 17, 1) NOT IN ({parities[sex]})"
    )


@_for
def _gb11643_age(asker: Asker, *, column: str, at: str, years: int) -> Question:
    day = f"cast({asker.day(at)} AS BIGINT)"
    year, last = f"({day} // 10000)", f"{day} % 10000 = 228"
    leap = f"({year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0))"
    reached = f"{day} + CASE WHEN {last} AND NOT {leap} THEN 1 ELSE 0 END"
    young = f"{reached} - cast(substr(_number, 7, 8) AS BIGINT) < {years * 10000}"
    return asker.bad_rows(f"SELECT 1 FROM {_dated(column)} WHERE _real AND {young}")


@_for
def _subject_code_format(asker: Asker, *, column: str, kind: str, person: str) -> Question:
    code, natural = identifier(column), f"{identifier(kind)} = {_escaped(literal(person))}"
    wrong = (
        f"({natural} AND NOT regexp_full_match({code}, '{_escaped(_NUMBER)}')) OR "
        f"(({natural}) IS NOT TRUE AND NOT regexp_full_match({code}, '{_escaped(_CREDIT_CODE)}'))"
    )
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {wrong}")


@_for
def _subject_code_check_digit(asker: Asker, *, column: str, kind: str, person: str) -> Question:
    natural = f"{identifier(kind)} = {_escaped(literal(person))}"
    credit = f"({natural}) IS NOT TRUE AND regexp_full_match({identifier(column)}, '{_escaped(_CREDIT_CODE)}')"
    codes = f"(SELECT {identifier(column)} AS _code FROM {{batch}} WHERE {credit})"
    wrong = f"({_credit_rest('_code')}) <> 0 OR ({_organisation_rest('substr(_code, 9)')}) <> 0"
    people = f"SELECT 1 FROM {_formed(column)} WHERE {natural} AND _rest <> 1"
    return asker.bad_rows(f"{people} UNION ALL SELECT 1 FROM {codes} WHERE {wrong}")


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


@_for
def _sums_to(asker: Asker, *, column: str, model: str) -> Question:
    total = asker.count(asker.context.models[model])
    apart: Callable[[Any], int] = lambda found: math.ceil(abs((found or 0) - total))  # noqa: E731
    return asker.observed("ExpectColumnSumToBeBetween", apart, column=column, min_value=total, max_value=total)


@_for
def _counts_rows(asker: Asker, *, column: str, model: str, by: list[str]) -> Question:
    # every row of the other model takes one from what is told for its values: nothing may be left, nothing owed
    names, number = ", ".join(identifier(name) for name in by), identifier(column)
    told = f"SELECT {names}, {number} AS _left, {number} IS NULL AS _untold FROM {{batch}}"
    taken = f"SELECT {names}, -1, false FROM {_escaped(asker.context.models[model])}"
    settled = f"GROUP BY {names} HAVING bool_or(_untold) OR sum(_left) <> 0"
    return asker.bad_rows(f"SELECT 1 FROM ({told} UNION ALL {taken}) {settled}")


_NUMBER = r"[1-9]\d{16}(\d|X)"

_PROVINCES = (
    "'11','12','13','14','15','21','22','23','31','32','33','34','35','36','37','41','42','43','44','45','46',"
    "'50','51','52','53','54','61','62','63','64','65','71','81','82','83',"
    "'90','91','92','93','94','95','96','97','98','99'"
)

_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CREDIT_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_CODE = (
    "(11|12|13|19|21|29|31|32|33|34|35|39|41|49|51|52|53|54|59|61|62|69|71|72|79|81|89|91|92|93|A1|A9|N1|N2|N3|N9|Y1)"
    r"[1-9]\d{5}[0-9A-HJ-NP-RTUWXY]{8}[\dX][0-9A-HJ-NP-RTUWXY]"
)
_ORGANISATION_CODE = r"[\dA-Z]{8}[\dX]"
_CERTIFICATE = r"1[.]2[.]156[.]3005[.]2[.][\dA-Z]{18}\d{3}[.]([\dA-Z]{18}|\d{6})[.][\dA-Z]{1,}[.]\d{3}[.][\dA-Z]"
_PLATE_PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"


def _coded(column: str, pattern: str) -> str:
    """Rows whose value matches the pattern, as `_code`."""
    codes = f"SELECT {identifier(column)} AS _code FROM {{batch}}"
    return f"(SELECT _code FROM ({codes}) WHERE regexp_full_match(_code, '{_escaped(pattern)}'))"


def _organisation_rest(code: str) -> str:
    """0 for a right check digit in position 9: with it, the sum of value * 2^(9 - place) is divisible by 11."""
    sum_ = "0"
    for place in range(1, 10):
        value = f"(strpos('{_CHARACTERS}', substr({code}, {place}, 1)) - 1)"
        # X as the check digit is 10, not the value of the letter
        sum_ = f"(({sum_}) * 2 + {value if place < 9 else f'least({value}, 10)'})"
    return f"{sum_} % 11"


def _credit_rest(code: str) -> str:
    """0 for a right check character in position 18, by Horner's scheme in base 3 from position 17 to 1."""
    values = [f"(strpos('{_CREDIT_CHARACTERS}', substr({code}, {place}, 1)) - 1)" for place in range(1, 19)]
    sum_ = "0"
    for value in reversed(values[:17]):
        sum_ = f"(({sum_}) * 3 + {value})"
    return f"({sum_} + {values[17]}) % 31"


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
    if not bound.startswith("to"):
        return datetime.datetime.fromisoformat(bound)
    later = 1 if bound == "tomorrow" else int(bound.partition("+")[2] or 0)
    return datetime.datetime.fromisoformat(str(today + datetime.timedelta(days=later)))


def _escaped(text: str) -> str:
    """Text as a query of Great Expectations needs it: braces doubled, colons not taken for parameters."""
    return text.replace("{", "{{").replace("}", "}}").replace(":", r"\:")
