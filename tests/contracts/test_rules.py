"""Each rule verb in DuckDB: a true case, a false case, a NULL case, and a case at the boundary."""

from datetime import date
from typing import Any

import duckdb
import pytest

from pipelines.contracts.rules import Context, Rule, rules
from pipelines.verbs import VerbError

TODAY = date(2026, 11, 23)
LISTS = {"sex": frozenset({"0", "1", "2", "9", "it's"})}
ID = "341502200501010019"  # male, born 2005-01-01
WRONG_DIGIT = "341502200501010018"

# verb, arguments, type of the value, value, expected (True, False or None)
ROW_CASES: list[tuple[str, dict[str, Any], str, Any, bool | None]] = [
    ("required", {}, "VARCHAR", "x", True),
    ("required", {}, "VARCHAR", "", True),
    ("required", {}, "VARCHAR", None, False),
    ("max_length", {"length": 2}, "VARCHAR", "一", True),
    ("max_length", {"length": 2}, "VARCHAR", "𠀀𠀁", True),
    ("max_length", {"length": 2}, "VARCHAR", "abc", False),
    ("max_length", {"length": 2}, "VARCHAR", None, None),
    ("matches", {"pattern": "[0-9]{2}"}, "VARCHAR", "12", True),
    ("matches", {"pattern": "[0-9]{2}"}, "VARCHAR", "123", False),
    ("matches", {"pattern": "[0-9]{2}"}, "VARCHAR", "12\n", False),
    ("matches", {"pattern": "a'b"}, "VARCHAR", "a'b", True),
    ("matches", {"pattern": "[0-9]{2}"}, "VARCHAR", None, None),
    ("in_codes", {"codes": "sex"}, "VARCHAR", "9", True),
    ("in_codes", {"codes": "sex"}, "VARCHAR", "it's", True),
    ("in_codes", {"codes": "sex"}, "VARCHAR", "3", False),
    ("in_codes", {"codes": "sex"}, "VARCHAR", " 9", False),
    ("in_codes", {"codes": "sex"}, "VARCHAR", None, None),
    ("between", {"minimum": 0, "maximum": 9}, "BIGINT", 0, True),
    ("between", {"minimum": 0, "maximum": 9}, "BIGINT", 9, True),
    ("between", {"minimum": 0, "maximum": 9}, "BIGINT", 10, False),
    ("between", {"minimum": 0, "maximum": 9}, "BIGINT", None, None),
    ("between", {"minimum": 0.1}, "DOUBLE", 0.1, True),
    ("between", {"maximum": "today"}, "DATE", TODAY, True),
    ("between", {"maximum": "today"}, "DATE", date(2026, 11, 24), False),
    ("between", {"maximum": "tomorrow"}, "DATE", date(2026, 11, 24), True),
    ("between", {"maximum": "tomorrow"}, "DATE", date(2026, 11, 25), False),
    ("between", {"minimum": "1905-01-01"}, "DATE", date(1905, 1, 1), True),
    ("between", {"minimum": "1905-01-01"}, "DATE", date(1904, 12, 31), False),
    ("between", {"minimum": "1905-01-01"}, "DATE", None, None),
    ("gb11643_format", {}, "VARCHAR", ID, True),
    ("gb11643_format", {}, "VARCHAR", ID[:17] + "x", False),
    ("gb11643_format", {}, "VARCHAR", ID + "0", False),
    ("gb11643_format", {}, "VARCHAR", None, None),
    ("gb11643_check_digit", {}, "VARCHAR", ID, True),
    ("gb11643_check_digit", {}, "VARCHAR", WRONG_DIGIT, False),
    ("gb11643_check_digit", {}, "VARCHAR", "341502", None),
    ("gb11643_check_digit", {}, "VARCHAR", None, None),
    ("gb11643_content", {}, "VARCHAR", ID, True),
    ("gb11643_content", {}, "VARCHAR", "341502200502290016", False),
    ("gb11643_content", {}, "VARCHAR", WRONG_DIGIT, None),
    ("gb11643_content", {}, "VARCHAR", None, None),
    ("chinese_name", {}, "VARCHAR", "王五", True),
    ("chinese_name", {}, "VARCHAR", "流波䃥", True),
    ("chinese_name", {}, "VARCHAR", "王〇", True),
    ("chinese_name", {}, "VARCHAR", "买买提·艾力", True),
    ("chinese_name", {}, "VARCHAR", "阿·买·提", True),
    ("chinese_name", {}, "VARCHAR", "王", False),
    ("chinese_name", {}, "VARCHAR", "买买提··艾力", False),
    ("chinese_name", {}, "VARCHAR", "·王五", False),
    ("chinese_name", {}, "VARCHAR", "买买提・艾力", False),
    ("chinese_name", {}, "VARCHAR", "王 五", False),
    ("chinese_name", {}, "VARCHAR", "王五2", False),
    ("chinese_name", {}, "VARCHAR", "⼀⼆", False),
    ("chinese_name", {}, "VARCHAR", "王\ue863", False),
    ("chinese_name", {}, "VARCHAR", None, None),
    ("wkt_polygon", {}, "VARCHAR", "POLYGON ((116 31, 117 31, 117 32, 116 31))", True),
    ("wkt_polygon", {}, "VARCHAR", "POLYGON((116 31,117 31,117.5 32,116 31),(1 1,2 1,2 2,1 1))", True),
    ("wkt_polygon", {}, "VARCHAR", "MULTIPOLYGON (((116 31, 117 31, 117 32, 116 31)), ((1 1, 2 1, 2 2, 1 1)))", True),
    ("wkt_polygon", {}, "VARCHAR", "POLYGON ((116 31, 117 31, 116 31))", False),
    ("wkt_polygon", {}, "VARCHAR", "POLYGON ((39500000 1, 39500001 1, 39500001 2, 39500000 1))", False),
    ("wkt_polygon", {}, "VARCHAR", "POINT (116 31)", False),
    ("wkt_polygon", {}, "VARCHAR", "POLYGON EMPTY", False),
    ("wkt_polygon", {}, "VARCHAR", None, None),
]  # fmt: skip

PAIR_CASES: list[tuple[str, dict[str, str], str | None, str | None, bool | None]] = [
    ("birth_date_matches_id", {"id": "id", "birth": "other"}, ID, "2005-01-01", True),
    ("birth_date_matches_id", {"id": "id", "birth": "other"}, ID, "2005-01-02", False),
    ("birth_date_matches_id", {"id": "id", "birth": "other"}, WRONG_DIGIT, "2005-01-02", None),
    ("birth_date_matches_id", {"id": "id", "birth": "other"}, ID, None, None),
    ("birth_date_matches_id", {"id": "id", "birth": "other"}, None, "2005-01-01", None),
    ("sex_matches_id", {"id": "id", "sex": "other"}, ID, "1", True),
    ("sex_matches_id", {"id": "id", "sex": "other"}, ID, "2", False),
    ("sex_matches_id", {"id": "id", "sex": "other"}, ID, "0", None),
    ("sex_matches_id", {"id": "id", "sex": "other"}, ID, "9", None),
    ("sex_matches_id", {"id": "id", "sex": "other"}, ID, None, None),
    ("sex_matches_id", {"id": "id", "sex": "other"}, WRONG_DIGIT, "2", None),
]

# verb, arguments, rows of the judged table, rows of the last release (None: no release), violations
TABLE_CASES: list[tuple[str, dict[str, Any], list[Any], list[Any] | None, int]] = [
    ("unique", {"columns": ["value"]}, ["a", "b"], None, 0),
    ("unique", {"columns": ["value"]}, ["a", "a", "a", "b"], None, 2),
    ("unique", {"columns": ["value"]}, [None, None], None, 0),
    ("unique", {"columns": ["value"]}, [], None, 0),
    ("unique", {"columns": ["value", "other"]}, ["a", "a"], None, 0),
    ("row_count", {"minimum": 2}, ["a", "b"], None, 0),
    ("row_count", {"minimum": 2}, ["a"], None, 1),
    ("row_count", {"minimum": 2}, [None, None], None, 0),
    ("row_count", {"minimum": 2}, [], None, 2),
    ("volume_change", {"maximum": 0.05}, ["a"], None, 0),
    ("volume_change", {"maximum": 0.29}, ["a"] * 129, ["a"] * 100, 0),
    ("volume_change", {"maximum": 0.29}, ["a"] * 130, ["a"] * 100, 1),
    ("volume_change", {"maximum": 0.05}, ["a"] * 95, ["a"] * 100, 0),
    ("volume_change", {"maximum": 0.05}, ["a"] * 90, ["a"] * 100, 5),
    ("volume_change", {"maximum": 0.05}, [], [], 0),
    ("sums_to", {"column": "number", "model": "lib"}, ["a", "b"], ["a", "b", "c"], 0),
    ("sums_to", {"column": "number", "model": "lib"}, ["a", "b"], ["a"], 2),
    ("sums_to", {"column": "number", "model": "lib"}, [], [], 0),
    ("sums_to", {"column": "number", "model": "lib"}, [None], [], 1),
]


def context(**about: Any) -> Context:
    return Context(lists=LISTS, today=TODAY, **about)


@pytest.mark.parametrize(("verb", "arguments", "kind", "value", "expected"), ROW_CASES)
def test_a_rule_about_a_value(
    verb: str, arguments: dict[str, Any], kind: str, value: object, expected: bool | None
) -> None:
    bound = rules[verb].bind({"column": "value", **arguments})
    predicate = Rule("x", verb, ("value",), bound).sql(context())
    row = duckdb.execute(f'SELECT {predicate} FROM (SELECT ?::{kind} AS "value")', [value]).fetchone()
    assert row == (expected,)


@pytest.mark.parametrize(("verb", "arguments", "number", "other", "expected"), PAIR_CASES)
def test_a_rule_about_two_values(
    verb: str, arguments: dict[str, str], number: str | None, other: str | None, expected: bool | None
) -> None:
    predicate = Rule("x", verb, ("id", "other"), rules[verb].bind(arguments)).sql(context())
    kind = "DATE" if verb.startswith("birth") else "VARCHAR"
    row = duckdb.execute(f"SELECT {predicate} FROM (SELECT ?::VARCHAR id, ?::{kind} other)", [number, other]).fetchone()
    assert row == (expected,)


@pytest.mark.parametrize(("verb", "arguments", "values", "previous", "violations"), TABLE_CASES)
def test_a_rule_about_a_table(
    verb: str, arguments: dict[str, Any], values: list[Any], previous: list[Any] | None, violations: int
) -> None:
    with duckdb.connect() as con:
        con.execute("CREATE TABLE judged (value VARCHAR, other INTEGER, number BIGINT)")
        con.execute("CREATE TABLE before (value VARCHAR)")
        con.execute(
            "INSERT INTO judged SELECT unnest(?::VARCHAR[]), generate_subscripts(?::VARCHAR[], 1), 0", [values] * 2
        )
        con.execute("UPDATE judged SET number = other")
        con.execute("INSERT INTO before SELECT unnest(?::VARCHAR[])", [previous or []])
        about = context(relation="judged", previous=None if previous is None else "before", models={"lib": "before"})
        sql = Rule("x", verb, (), rules[verb].bind(arguments)).sql(about)
        assert con.execute(f"SELECT {sql}").fetchone() == (violations,)


def test_every_verb_is_tried_true_false_and_null() -> None:
    tried: dict[str, set[bool | None]] = {}
    for verb, *_, expected in ROW_CASES + PAIR_CASES:
        tried.setdefault(verb, set()).add(expected)
    table = {verb for verb, *_ in TABLE_CASES}
    assert tried.keys() | table == rules.keys()
    assert {verb for verb, found in tried.items() if found != {True, False, None}} == {"required"}


def test_bounds_are_needed() -> None:
    with pytest.raises(VerbError, match="no_bound"):
        Rule("x", "between", ("value",), {"column": "value"}).sql(context())


@pytest.mark.parametrize(
    "plane", [0x3400, 0x4E00, 0x9FFF, 0x20000, 0x2A700, 0x2B740, 0x2B820, 0x2CEB0, 0x30000, 0x31350]
)
def test_names_may_have_ideographs_of_every_extension(plane: int) -> None:
    predicate = Rule("x", "chinese_name", ("value",), {"column": "value"}).sql(context())
    assert duckdb.execute(f"SELECT {predicate} FROM (SELECT ? AS value)", ["王" + chr(plane)]).fetchone() == (True,)
