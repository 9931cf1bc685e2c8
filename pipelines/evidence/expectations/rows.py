"""Questions about one row: its values, and its columns among each other."""

import datetime
from typing import Any

from pipelines.codecs.sql import identifier, literals
from pipelines.contracts.rules import Context
from pipelines.evidence.expectations.base import Asker, Question, asks, escaped


@asks
def _required(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToNotBeNull", column=column)


@asks
def _max_length(asker: Asker, *, column: str, length: int) -> Question:
    return asker.values("ExpectColumnValueLengthsToBeBetween", column=column, max_value=length)


@asks
def _matches(asker: Asker, *, column: str, pattern: str) -> Question:
    # anchored, because Great Expectations means a search by the operator that DuckDB takes for a full match
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^(?:{pattern})$")


@asks
def _in_codes(asker: Asker, *, column: str, codes: str) -> Question:
    return asker.values("ExpectColumnValuesToBeInSet", column=column, value_set=sorted(asker.context.lists[codes]))


@asks
def _between(asker: Asker, *, column: str, minimum: Any = None, maximum: Any = None) -> Question:
    bounds = {"min_value": _bound(asker.context, minimum), "max_value": _bound(asker.context, maximum)}
    return asker.values("ExpectColumnValuesToBeBetween", column=column, **bounds)


@asks
def _phone(asker: Asker, *, column: str, kind: str = "mobile") -> Question:
    mobile = r"1[3456789]\d{9}"
    fixed = r"(010|02\d)-?[^01\D]\d{7}(-\d{1,6})?|0[^012\D]\d\d-?[^01\D]\d{6}\d?(-\d{1,6})?"
    regex = mobile if kind == "mobile" else f"{mobile}|{fixed}"
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^(?:{regex})$")


@asks
def _plate(asker: Asker, *, column: str) -> Question:
    usual = r"[^\W_]{5}|[^\W_]{4}[挂学警港澳]"
    new_energy = r"[A-HJK][^\W_]\d{4}|\d{5}[A-HJK]"
    # the class of letters and digits is cut down to those of plates by the second pattern
    shape = rf"[{_PLATE_PROVINCES}][A-Z]({usual}|{new_energy})"
    number = identifier(column)
    right = f"regexp_full_match({number}, '{escaped(shape)}') AND NOT regexp_matches({number}, '[IOa-z]')"
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE NOT ({right})")


@asks
def _cell_whole(asker: Asker, *, column: str) -> Question:
    errors = "#N/A|#GETTING_DATA|#NAME[?]|#(DIV/0|REF|VALUE|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|UNKNOWN|CONNECT|BUSY)!"
    regex = rf"^(-?\d+([.]\d+)?E[+]\d\d\d?|{errors}|#NO_RESULT!(?s:.*))$"
    return asker.values("ExpectColumnValuesToNotMatchRegex", column=column, regex=regex)


@asks
def _not_masked(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToNotMatchRegex", column=column, regex="^(?s:.*[*＊].*)$")


@asks
def _not_test(asker: Asker, *, column: str) -> Question:
    return asker.values(
        "ExpectColumnValuesToNotMatchRegex", column=column, regex="^(?is:(测试|test).*|.*[(（]测试[)）])$"
    )


@asks
def _told_in_text(asker: Asker, *, column: str, text: str, per: int) -> Question:
    # whatever stands between two 元 ends with an amount or states none
    piece = r"'([0-9]+(\.[0-9]+)?)(万?)$'"
    pieces = f"unnest(string_split({identifier(text)}, '元')[:-2])"
    rows = f"SELECT row_number() OVER () AS _place, {identifier(column)} AS _amount, {identifier(text)} FROM {{batch}}"
    told = f"SELECT _place, _amount, {pieces} AS _piece FROM ({rows})"
    unit = f"CASE regexp_extract(_piece, {piece}, 3) WHEN '' THEN 1 ELSE 1e4 END"
    yuan = f"regexp_extract(_piece, {piece}, 1)::DOUBLE * {unit}"
    agree = f"bool_or(round({yuan}) = round(_amount * {per}))"
    stated = f"regexp_matches(_piece, {escaped(piece)})"
    return asker.bad_rows(f"SELECT 1 FROM ({told}) WHERE {stated} GROUP BY _place HAVING NOT {agree}")


@asks
def _requires(asker: Asker, *, column: str, when: str, values: list[str]) -> Question:
    asked = f"SELECT {identifier(column)} AS _value, {identifier(when)}::VARCHAR AS _case FROM {{batch}}"
    cases = escaped(f"list_contains([{literals(values)}], _case)")
    return asker.bad_rows(f"SELECT 1 FROM ({asked}) WHERE _value IS NULL AND {cases}")


@asks
def _present_with(asker: Asker, *, column: str, other: str) -> Question:
    value, beside = (f"{identifier(name)}::VARCHAR" for name in (column, other))
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE coalesce({value}, {beside}) IS NOT NULL AND {value} IS NULL")


@asks
def _one_of_present(asker: Asker, *, columns: list[str]) -> Question:
    texts = ", ".join(f"{identifier(name)}::VARCHAR" for name in columns)
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE coalesce({texts}) IS NULL")


@asks
def _ordered(asker: Asker, *, earlier: str, later: str) -> Question:
    first, second = identifier(earlier), identifier(later)
    kinds = {asker.kind(earlier), asker.kind(later)}
    if len(kinds) == 2 and "DATE" in kinds:
        first, second = asker.day(earlier), asker.day(later)
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {first} > {second}")


@asks
def _differs(asker: Asker, *, column: str, other: str) -> Question:
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {identifier(column)} = {identifier(other)}")


@asks
def _age_at_least(asker: Asker, *, birth: str, at: str, years: int) -> Question:
    # days as numbers YYYYMMDD; 28 February counts as the 29th where there is none
    born, day = (f"cast({asker.day(name)} AS BIGINT)" for name in (birth, at))
    year, last = f"({day} // 10000)", f"{day} % 10000 = 228"
    leap = f"({year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0))"
    reached = f"{day} + CASE WHEN {last} AND NOT {leap} THEN 1 ELSE 0 END"
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {reached} - {born} < {years * 10000}")


@asks
def _part_of_whole(asker: Asker, *, part: str, whole: str, when: str, values: list[str]) -> Question:
    cases = escaped(f"list_contains([{literals(values)}], {identifier(when)}::VARCHAR)")
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {cases} AND {identifier(part)} > {identifier(whole)}")


@asks
def _adds_up(asker: Asker, *, column: str, parts: list[str]) -> Question:
    # exact: sums of doubles are compared as decimals
    listed = ", ".join(f"{identifier(name)}::DECIMAL(30, 6)" for name in parts)
    return asker.bad_rows(
        f"SELECT 1 FROM {{batch}} WHERE {identifier(column)}::DECIMAL(30, 6) <> coalesce(list_sum([{listed}]), 0)"
    )


@asks
def _chinese_name(asker: Asker, *, column: str) -> Question:
    # what a name is not: empty, one character, a dot at an end, two dots together, a character of another script
    wrong = r"(?s)|.|·.*|.*·|.*··.*|.*[^·\x{3007}\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{20000}-\x{3ffff}].*"
    return asker.values("ExpectColumnValuesToNotMatchRegex", column=column, regex=f"^(?:{wrong})$")


@asks
def _wkt(asker: Asker, *, column: str, geometry: str) -> Question:
    # positions become p, rings and lines r, polygons s; no such letter can stand in the text itself
    more = {"point": "{0}", "line": "+", "polygon": "{3,}"}[geometry]
    steps = [(r"-?\d{1,3}(\.\d+)? -?\d{1,2}(\.\d+)?", "p"), (rf"\(p(, ?p){more}\)", "r")]
    if geometry == "polygon":
        steps.append((r"\(r(, ?r)*\)", "s"))
    wanted = {
        "point": "POINT ?r",
        "line": r"LINESTRING ?r|MULTILINESTRING ?\(r(, ?r)*\)",
        "polygon": r"POLYGON ?s|MULTIPOLYGON ?\(s(, ?s)*\)",
    }[geometry]
    shape = column = identifier(column)
    for pattern, token in steps:
        shape = f"regexp_replace({shape}, '{pattern}', '{token}', 'g')"
    allowed = f"regexp_full_match({column}, '[MULTIPOYGNESR0-9(),. -]*')"
    formed = f"{allowed} AND regexp_full_match({shape}, '{wanted}')"
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE NOT ({escaped(formed)})")


@asks
def _same_part(asker: Asker, *, column: str, other: str, length: int, start: int = 1, other_start: int = 1) -> Question:
    mine, theirs = (f"{identifier(name)}[{first}:{first + length - 1}]"
                    for name, first in ((column, start), (other, other_start)))  # fmt: skip
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {escaped(f'{mine} <> {theirs}')}")


_PLATE_PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"


def _bound(context: Context, bound: Any) -> Any:
    if not isinstance(bound, str):
        return bound
    today = context.today or datetime.datetime.now(datetime.UTC).date()
    if not bound.startswith("to"):
        return datetime.datetime.fromisoformat(bound)
    later = 1 if bound == "tomorrow" else int(bound.partition("+")[2] or 0)
    return datetime.datetime.fromisoformat(str(today + datetime.timedelta(days=later)))
