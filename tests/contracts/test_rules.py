"""Each rule verb in DuckDB: a true case, a false case, a NULL case, and a case at the boundary."""

from datetime import date
from typing import Any

import pytest

from pipelines.contracts.rules import Context, Rule, rules
from pipelines.messages import catalogue
from pipelines.verbs import VerbError
from tests.memory import connection

TODAY = date(2026, 11, 23)
LISTS = {"sex": frozenset({"0", "1", "2", "9", "it's"})}
ID = "341502200501010019"  # male, born 2005-01-01
WRONG_DIGIT = "341502200501010018"
CREDIT_CODE = "91341502MA2N12344B"
CERTIFICATE = "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.002.S"

AREA = {"geometry": "polygon"}
# verb, arguments, type of the value, value, expected (True, False or None)
ROW_CASES: list[tuple[str, dict[str, Any], str, Any, bool | None]] = [
    ("not_test", {}, "VARCHAR", "软件测试有限公司", True),
    ("not_test", {}, "VARCHAR", "测试", False),
    ("not_test", {}, "VARCHAR", "六安某公司（测试）", False),
    ("not_test", {}, "VARCHAR", "Test 1", False),
    ("not_test", {}, "VARCHAR", None, None),
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
    ("gb32100_format", {}, "VARCHAR", CREDIT_CODE, True),
    ("gb32100_format", {}, "VARCHAR", "N2341502MF12345670", True),
    ("gb32100_format", {}, "VARCHAR", CREDIT_CODE.lower(), False),
    ("gb32100_format", {}, "VARCHAR", "98341502MA2N12344B", False),
    ("gb32100_format", {}, "VARCHAR", None, None),
    ("gb32100_check_digit", {}, "VARCHAR", CREDIT_CODE, True),
    ("gb32100_check_digit", {}, "VARCHAR", CREDIT_CODE[:17] + "C", False),
    ("gb32100_check_digit", {}, "VARCHAR", "91341502MA2N123458", False),
    ("gb32100_check_digit", {}, "VARCHAR", CREDIT_CODE[:17], None),
    ("gb32100_check_digit", {}, "VARCHAR", None, None),
    ("gb11714_format", {}, "VARCHAR", "M000100Y4", True),
    ("gb11714_format", {}, "VARCHAR", "M000100Y-4", False),
    ("gb11714_format", {}, "VARCHAR", None, None),
    ("gb11714_check_digit", {}, "VARCHAR", "M000100Y4", True),
    ("gb11714_check_digit", {}, "VARCHAR", "M000100Y5", False),
    ("gb11714_check_digit", {}, "VARCHAR", "M000100Y-4", None),
    ("certificate_format", {}, "VARCHAR", CERTIFICATE, True),
    ("certificate_format", {}, "VARCHAR", CERTIFICATE + ".0", False),
    ("certificate_format", {}, "VARCHAR", None, None),
    ("certificate_check_digit", {}, "VARCHAR", CERTIFICATE, True),
    ("certificate_check_digit", {}, "VARCHAR", CERTIFICATE[:-1] + "T", False),
    ("certificate_check_digit", {}, "VARCHAR", CERTIFICATE + ".0", None),
    ("phone", {}, "VARCHAR", "13812345678", True),
    ("phone", {}, "VARCHAR", "0564-3312345", False),
    ("phone", {}, "VARCHAR", None, None),
    ("phone", {"kind": "any"}, "VARCHAR", "13812345678", True),
    ("phone", {"kind": "any"}, "VARCHAR", "0564-3312345", True),
    ("phone", {"kind": "any"}, "VARCHAR", "138****5678", False),
    ("phone", {"kind": "any"}, "VARCHAR", None, None),
    ("plate", {}, "VARCHAR", "皖NDA1234", True),
    ("plate", {}, "VARCHAR", "皖N123O5", False),
    ("plate", {}, "VARCHAR", None, None),
    ("cell_whole", {}, "VARCHAR", "3.41502200501010E+17", False),
    ("cell_whole", {}, "VARCHAR", "-1.00000000000000E+15", False),
    ("cell_whole", {}, "VARCHAR", "341502200501010013", True),
    ("cell_whole", {}, "VARCHAR", "3.41E+17", False),
    ("cell_whole", {}, "VARCHAR", "6E+18", False),
    ("cell_whole", {}, "VARCHAR", "342401199003071E+17", False),
    ("cell_whole", {}, "VARCHAR", "12E45", True),
    ("cell_whole", {}, "VARCHAR", "1.5E-07", True),
    ("cell_whole", {}, "VARCHAR", "号 3.41502200501010E+17", True),
    ("cell_whole", {}, "VARCHAR", "#DIV/0!", False),
    ("cell_whole", {}, "VARCHAR", "#NO_RESULT!=A2&B2", False),
    ("cell_whole", {}, "VARCHAR", "=====", True),
    ("cell_whole", {}, "VARCHAR", "=> 见附件", True),
    ("cell_whole", {}, "VARCHAR", "#1", True),
    ("cell_whole", {}, "VARCHAR", "1=1", True),
    ("cell_whole", {}, "VARCHAR", None, None),
    ("not_masked", {}, "VARCHAR", "张三", True),
    ("not_masked", {}, "VARCHAR", "", True),
    ("not_masked", {}, "VARCHAR", "138****5678", False),
    ("not_masked", {}, "VARCHAR", "张＊\n", False),
    ("not_masked", {}, "VARCHAR", None, None),
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
    ("wkt", AREA, "VARCHAR", "POLYGON ((116 31, 117 31, 117 32, 116 31))", True),
    ("wkt", AREA, "VARCHAR", "POLYGON((116 31,117 31,117.5 32,116 31),(1 1,2 1,2 2,1 1))", True),
    ("wkt", AREA, "VARCHAR", "MULTIPOLYGON (((116 31, 117 31, 117 32, 116 31)), ((1 1, 2 1, 2 2, 1 1)))", True),
    ("wkt", AREA, "VARCHAR", "POLYGON ((116 31, 117 31, 116 31))", False),
    ("wkt", AREA, "VARCHAR", "POLYGON ((39500000 1, 39500001 1, 39500001 2, 39500000 1))", False),
    ("wkt", AREA, "VARCHAR", "POINT (116 31)", False),
    ("wkt", AREA, "VARCHAR", "POLYGON EMPTY", False),
    ("wkt", {"geometry": "point"}, "VARCHAR", "POINT (116.5 31.7)", True),
    ("wkt", {"geometry": "point"}, "VARCHAR", "POINT (31.7 116.5)", False),
    ("wkt", {"geometry": "point"}, "VARCHAR", "LINESTRING (116 31, 117 31)", False),
    ("wkt", {"geometry": "line"}, "VARCHAR", "LINESTRING (116 31, 117 31)", True),
    ("wkt", {"geometry": "line"}, "VARCHAR", "MULTILINESTRING ((116 31, 117 31), (116 32, 117 32, 117 31))", True),
    ("wkt", {"geometry": "line"}, "VARCHAR", "LINESTRING (116 31)", False),
    ("wkt", AREA, "VARCHAR", None, None),
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

ORDER, AGE = {"earlier": "a", "later": "b"}, {"birth": "a", "at": "b", "years": 18}
CASE = {"column": "a", "when": "b", "values": ["3", "it's"]}
FINE = {"column": "a", "text": "b", "per": 10000}
SUBJECT = {"column": "a", "kind": "b", "person": "1"}

# verb, arguments, SQL of the values of a and b, expected (True, False or None)
SUM = {"column": "a", "parts": ["b", "b"]}
SAYS = {"column": "a", "part": "issuer", "other": "b"}
PART = {"column": "a", "other": "b", "length": 6, "other_start": 3}
TWO_CASES: list[tuple[str, dict[str, Any], str, str, bool | None]] = [
    ("ordered", ORDER, "DATE '2026-11-23'", "DATE '2026-11-23'", True),
    ("ordered", ORDER, "DATE '2026-11-23'", "DATE '2026-11-22'", False),
    ("ordered", ORDER, "TIMESTAMPTZ '2026-11-23 08:00:00+08'", "TIMESTAMPTZ '2026-11-23 07:59:00+08'", False),
    ("ordered", ORDER, "TIMESTAMPTZ '2026-11-23 08:00:00+08'", "DATE '2026-11-23'", True),
    ("ordered", ORDER, "TIMESTAMPTZ '2026-11-24 00:00:00+08'", "DATE '2026-11-23'", False),
    ("ordered", ORDER, "DATE '2026-11-23'", "TIMESTAMPTZ '2026-11-23 00:00:00+08'", True),
    ("ordered", ORDER, "DATE '2026-11-23'", "TIMESTAMPTZ '2026-11-22 23:59:00+08'", False),
    ("ordered", ORDER, "5::BIGINT", "5.5::DOUBLE", True),
    ("ordered", ORDER, "5::BIGINT", "4::BIGINT", False),
    ("ordered", ORDER, "NULL::DATE", "DATE '2026-11-23'", None),
    ("ordered", ORDER, "DATE '2026-11-23'", "NULL::TIMESTAMPTZ", None),
    ("same_part", PART, "'341502012001'", "'0234150299'", True),
    ("same_part", PART, "'341502012001'", "'0234150399'", False),
    ("same_part", PART, "NULL::VARCHAR", "'0234150399'", None),
    ("certificate_says", SAYS, f"'{CERTIFICATE}'", "'11430000006122244L'", True),
    ("certificate_says", SAYS, f"'{CERTIFICATE}'", "'91341502MA2N12344B'", False),
    ("certificate_says", SAYS, f"'{CERTIFICATE}'", "NULL::VARCHAR", None),
    ("certificate_says", SAYS, f"'{CERTIFICATE}.0'", "'11430000006122244L'", None),
    ("certificate_says", SAYS, f"'{CERTIFICATE.replace('11430000006122244L', '341500')}'", "'341500'", None),
    ("certificate_says", SAYS | {"part": "type"}, f"'{CERTIFICATE}'", "'11100000000013338W011'", True),
    ("certificate_says", SAYS | {"part": "type"}, f"'{CERTIFICATE}'", "'11100000000013338W012'", False),
    ("certificate_says", SAYS | {"part": "version"}, f"'{CERTIFICATE}'", "2", True),
    ("certificate_says", SAYS | {"part": "version"}, f"'{CERTIFICATE}'", "3", False),
    ("differs", {"column": "a", "other": "b"}, "'x'", "'y'", True),
    ("differs", {"column": "a", "other": "b"}, "'x'", "'x'", False),
    ("differs", {"column": "a", "other": "b"}, "'x'", "NULL::VARCHAR", None),
    ("age_at_least", AGE, "DATE '2008-11-23'", "DATE '2026-11-23'", True),
    ("age_at_least", AGE, "DATE '2008-11-23'", "DATE '2026-11-22'", False),
    ("age_at_least", AGE, "DATE '2008-02-29'", "DATE '2026-02-28'", True),
    ("age_at_least", AGE, "DATE '2008-02-29'", "DATE '2026-02-27'", False),
    ("age_at_least", AGE | {"years": 20}, "DATE '2008-02-29'", "DATE '2028-02-28'", False),
    ("age_at_least", AGE, "DATE '2008-11-23'", "TIMESTAMPTZ '2026-11-23 00:00:00+08'", True),
    ("age_at_least", AGE, "DATE '2008-11-23'", "NULL::DATE", None),
    ("gb11643_sex", {"column": "a", "sex": "1"}, f"'{ID}'", "NULL", True),
    ("gb11643_sex", {"column": "a", "sex": "2"}, f"'{ID}'", "NULL", False),
    ("gb11643_sex", {"column": "a", "sex": "2"}, f"'{WRONG_DIGIT}'", "NULL", None),
    ("gb11643_age", {"column": "a", "at": "b", "years": 20}, f"'{ID}'", "DATE '2025-01-01'", True),
    ("gb11643_age", {"column": "a", "at": "b", "years": 20}, f"'{ID}'", "DATE '2024-12-31'", False),
    ("gb11643_age", {"column": "a", "at": "b", "years": 20}, f"'{WRONG_DIGIT}'", "DATE '2024-12-31'", None),
    ("subject_code_format", SUBJECT, f"'{ID}'", "'1'", True),
    ("subject_code_format", SUBJECT, "'91341502MA2N12344B'", "'1'", False),
    ("subject_code_format", SUBJECT, "'91341502MA2N12344B'", "'2'", True),
    ("subject_code_format", SUBJECT, "'N2341502MF12345670'", "NULL::VARCHAR", True),
    ("subject_code_format", SUBJECT, "NULL::VARCHAR", "'1'", None),
    ("subject_code_check_digit", SUBJECT, f"'{ID}'", "'1'", True),
    ("subject_code_check_digit", SUBJECT, f"'{WRONG_DIGIT}'", "'1'", False),
    ("subject_code_check_digit", SUBJECT, "'91341502MA2N12344C'", "'2'", False),
    ("subject_code_check_digit", SUBJECT, "'91341502MA2N12344B'", "'2'", True),
    ("subject_code_check_digit", SUBJECT, "'91341502MA2N12344B'", "'1'", None),
    ("told_in_text", FINE, "5.0", "'罚款人民币50000元'", True),
    ("told_in_text", FINE, "50000.0", "'罚款人民币50000元'", False),
    ("told_in_text", FINE, "0.07", "'罚款700元，没收违法所得1.2万元'", True),
    ("told_in_text", FINE, "1.2", "'罚款700元，没收违法所得1.2万元'", True),
    ("told_in_text", FINE, "5.0", "'警告'", None),
    ("told_in_text", FINE, "5.0", "NULL::VARCHAR", None),
    ("told_in_text", FINE, "NULL::DOUBLE", "'罚款700元'", None),
    ("requires", CASE, "'x'", "'3'", True),
    ("requires", CASE, "NULL::VARCHAR", "'3'", False),
    ("requires", CASE, "NULL::VARCHAR", "'it''s'", False),
    ("requires", CASE, "NULL::VARCHAR", "3::BIGINT", False),
    ("requires", CASE, "NULL::DATE", "'4'", None),
    ("requires", CASE, "NULL::DATE", "NULL::VARCHAR", None),
    ("requires", CASE | {"values": ["true"]}, "NULL::DATE", "true", False),
    ("present_with", {"column": "a", "other": "b"}, "'x'", "0", True),
    ("present_with", {"column": "a", "other": "b"}, "NULL::DATE", "0", False),
    ("present_with", {"column": "a", "other": "b"}, "NULL::DATE", "NULL::DATE", None),
    ("adds_up", SUM, "700::DOUBLE", "350::DOUBLE", True),
    ("adds_up", SUM, "0.6::DOUBLE", "0.3::DOUBLE", True),
    ("adds_up", SUM, "700::DOUBLE", "349.99::DOUBLE", False),
    ("adds_up", SUM, "0::BIGINT", "NULL::BIGINT", True),
    ("adds_up", SUM, "NULL::BIGINT", "1::BIGINT", None),
    ("one_of_present", {"columns": ["a", "b"]}, "'x'", "NULL::DATE", True),
    ("one_of_present", {"columns": ["a", "b"]}, "NULL::BIGINT", "0", True),
    ("one_of_present", {"columns": ["a", "b"]}, "NULL::BIGINT", "NULL::DATE", False),
]

COUNTED = {"column": "number", "model": "lib", "by": ["value"]}
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
    ("volume_change", {"maximum": 0.1, "rows": 3}, ["a"] * 7, ["a"] * 10, 0),
    ("volume_change", {"maximum": 0.1, "rows": 3}, ["a"] * 6, ["a"] * 10, 1),
    ("volume_change", {"maximum": 0.1, "rows": 3}, ["a"] * 110, ["a"] * 100, 0),
    ("volume_change", {"maximum": 0.1, "rows": 3}, ["a"] * 112, ["a"] * 100, 2),
    ("sums_to", {"column": "number", "model": "lib"}, ["a", "b"], ["a", "b", "c"], 0),
    ("sums_to", {"column": "number", "model": "lib"}, ["a", "b"], ["a"], 2),
    ("sums_to", {"column": "number", "model": "lib"}, [], [], 0),
    ("sums_to", {"column": "number", "model": "lib"}, [None], [], 1),
    ("counts_rows", COUNTED, ["a", "b"], ["a", "b", "b"], 0),
    ("counts_rows", COUNTED, ["a", "b"], ["b", "a", "a"], 2),
    ("counts_rows", COUNTED, ["a"], ["a", "b"], 1),
    ("counts_rows", COUNTED, ["a", None], ["a", None, None], 0),
    ("counts_rows", COUNTED, ["a"], [], 1),
    ("counts_rows", COUNTED, [], [], 0),
    ("counts_rows", {**COUNTED, "placed": True}, ["a", "b"], ["a", "b", "b", None], 0),
    ("counts_rows", {**COUNTED, "placed": True}, ["a", None], ["a", None, None], 1),
    ("counts_rows", {**COUNTED, "placed": True}, ["a"], ["a", "b", None], 1),
]


def context(**about: Any) -> Context:
    return Context(lists=LISTS, today=TODAY, **about)


@pytest.mark.parametrize(("verb", "arguments", "kind", "value", "expected"), ROW_CASES)
def test_a_rule_about_a_value(
    verb: str, arguments: dict[str, Any], kind: str, value: object, expected: bool | None
) -> None:
    bound = rules[verb].bind({"column": "value", **arguments})
    predicate = Rule("x", verb, ("value",), bound).sql(context())
    row = connection().execute(f'SELECT {predicate} FROM (SELECT ?::{kind} AS "value")', [value]).fetchone()
    assert row == (expected,)


@pytest.mark.parametrize(("verb", "arguments", "number", "other", "expected"), PAIR_CASES)
def test_a_rule_about_two_values(
    verb: str, arguments: dict[str, str], number: str | None, other: str | None, expected: bool | None
) -> None:
    predicate = Rule("x", verb, ("id", "other"), rules[verb].bind(arguments)).sql(context())
    kind = "DATE" if verb.startswith("birth") else "VARCHAR"
    row = (
        connection()
        .execute(f"SELECT {predicate} FROM (SELECT ?::VARCHAR id, ?::{kind} other)", [number, other])
        .fetchone()
    )
    assert row == (expected,)


@pytest.mark.parametrize(("verb", "arguments", "a", "b", "expected"), TWO_CASES)
def test_a_rule_about_two_columns(verb: str, arguments: dict[str, Any], a: str, b: str, expected: bool | None) -> None:
    predicate = Rule("x", verb, ("a", "b"), rules[verb].bind(arguments)).sql(context())
    with connection() as con:
        con.execute("SET TimeZone = 'Asia/Shanghai'")
        assert con.execute(f"SELECT {predicate} FROM (SELECT {a} AS a, {b} AS b)").fetchone() == (expected,)


@pytest.mark.parametrize(("verb", "arguments", "values", "previous", "violations"), TABLE_CASES)
def test_a_rule_about_a_table(
    verb: str, arguments: dict[str, Any], values: list[Any], previous: list[Any] | None, violations: int
) -> None:
    with connection() as con:
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


ONE_OPEN: dict[str, Any] = {
    "columns": ["man", "woman"],
    "event": "kind",
    "opens": ["1"],
    "closes": ["2", "4"],
    "at": "day",
    "ended": ["his", "hers"],
    "values": ["30"],
}
Event = tuple[str, str, str, str, str, str]
"""Man, woman, kind, day, what he and she were before."""

# events known, new events, places of the new ones that contradict
HISTORY_CASES: list[tuple[list[Event], list[Event], list[int]]] = [
    ([], [("a", "b", "1", "2020-01-01", "10", "10")], []),
    ([], [("a", "b", "1", "2020-01-01", "10", "10"), ("a", "c", "1", "2020-01-02", "10", "10")], [1]),
    ([], [("a", "c", "1", "2020-01-02", "10", "10"), ("a", "b", "1", "2020-01-01", "10", "10")], [0]),
    ([("a", "b", "1", "2020-01-01", "10", "10")], [("c", "b", "1", "2021-01-01", "10", "40")], [0]),
    ([("a", "b", "1", "2020-01-01", "10", "10")], [("c", "b", "1", "2021-01-01", "10", "30")], []),
    ([("a", "b", "1", "2020-01-01", "10", "10")], [("c", "b", "1", "2019-01-01", "10", "10")], [0]),
    (
        [("a", "b", "1", "2020-01-01", "10", "10"), ("a", "b", "2", "2020-06-01", "20", "20")],
        [("c", "b", "1", "2021-01-01", "10", "40"), ("a", "d", "1", "2020-06-01", "40", "10")],
        [],
    ),
    (
        [("a", "b", "1", "2020-01-01", "10", "10")],
        [("a", "b", "4", "2020-06-01", "20", "20"), ("a", "d", "1", "2020-06-01", "10", "10")],
        [],
    ),
    ([("a", "b", "1", "2020-01-01", "10", "10")], [("a", "b", "3", "2021-01-01", "20", "20")], []),
    ([("a", "b", "1", "2020-01-01", "10", "10")], [("x", "y", "1", "2021-01-01", "10", "10")], []),
]


@pytest.mark.parametrize(("known", "new", "wrong"), HISTORY_CASES)
def test_nobody_has_two_open_at_once(known: list[Event], new: list[Event], wrong: list[int]) -> None:
    with connection() as con:
        columns = "man VARCHAR, woman VARCHAR, kind VARCHAR, day DATE, his VARCHAR, hers VARCHAR"
        for name, events in (("told", known), ("fresh", new)):
            con.execute(f"CREATE TABLE {name} (_row BIGINT, {columns})")
            for place, event in enumerate(events):
                con.execute(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?)", [place, *event])
        about = context(relation="fresh", previous="told")
        query = Rule("x", "one_open_per", (), rules["one_open_per"].bind(ONE_OPEN)).sql(about)
        assert sorted(row for (row,) in con.execute(query).fetchall()) == wrong


def judged_together(verb: str, about: dict[str, Any], columns: str, known: list[Any], new: list[Any]) -> list[int]:
    """The places of the new events that contradict the known ones or each other."""
    with connection() as con:
        for name, events in (("told", known), ("fresh", new)):
            con.execute(f"CREATE TABLE {name} (_row BIGINT, {columns})")
            for place, event in enumerate(events):
                con.execute(f"INSERT INTO {name} VALUES (?{', ?' * len(event)})", [place, *event])
        query = Rule("x", verb, (), rules[verb].bind(about)).sql(context(relation="fresh", previous="told"))
        return sorted(row for (row,) in con.execute(query).fetchall())


@pytest.mark.parametrize(
    ("known", "new", "wrong"),
    [
        ([], [("a", "1", "2020-01-01"), ("a", "4", "2020-01-01"), ("a", "4", "2021-01-01")], []),
        ([], [("a", "4", "2020-01-01")], [0]),
        ([], [("a", "1", "2020-01-01"), ("b", "5", "2020-01-02")], [1]),
        (
            [("a", "1", "2020-01-01")],
            [("a", "4", "2019-12-31"), ("a", "5", "2020-01-02"), ("b", "5", "2020-01-02")],
            [0, 2],
        ),
        ([("a", "4", "2020-01-01")], [("a", "5", "2020-01-02")], [0]),  # a mortgage is nothing to rest on
        ([], [(None, "4", "2020-01-01"), ("a", "4", None), ("b", "1", None)], []),
        ([], [("a", "1", "2020-01-01"), ("a", "1", "2018-01-01"), ("a", "4", "2019-01-01")], []),
    ],
)
def test_what_needs_another_event_comes_after_it(known: list[Any], new: list[Any], wrong: list[int]) -> None:
    about = {"of": "unit", "event": "kind", "events": ["4", "5"], "needs": ["1"], "at": "day"}
    assert judged_together("preceded_by", about, "unit VARCHAR, kind VARCHAR, day DATE", known, new) == wrong


@pytest.mark.parametrize(
    ("known", "new", "wrong"),
    [
        ([], [("a", 100.0), ("b", 50.0), ("b", 50.0), ("c", 33.33), ("c", 33.33), ("c", 33.34)], []),
        ([], [("a", 60.0), ("b", 50.0), ("b", 60.0), ("c", 100.0)], [0, 1, 2]),
        ([("a", 50.0)], [("a", 50.0), ("b", 50.0)], [1]),
        ([], [("a", None), ("b", None), ("b", 100.0), (None, 5.0)], []),
    ],
)
def test_shares_of_one_thing_are_a_whole(known: list[Any], new: list[Any], wrong: list[int]) -> None:
    about = {"column": "share", "by": "thing", "total": 100.0, "tolerance": 0.05}
    assert judged_together("adds_up_to", about, "thing VARCHAR, share DOUBLE", known, new) == wrong


@pytest.mark.parametrize(
    ("part", "unit", "expected"), [(1.0, "%", True), (3.0, "%", False), (3.0, "个", None), (None, "%", None)]
)
def test_a_share_is_not_above_the_whole(part: float | None, unit: str, expected: bool | None) -> None:
    share = Rule("x", "part_of_whole", (), {"part": "part", "whole": "whole", "when": "unit", "values": ["%"]})
    with connection() as con:
        row = con.execute(
            f"SELECT {share.sql(context())} FROM (SELECT ? AS part, 2.0 AS whole, ? AS unit)", [part, unit]
        )
        assert row.fetchone() == (expected,)


def test_every_verb_is_tried_true_false_and_null() -> None:
    tried: dict[str, set[bool | None]] = {"part_of_whole": {True, False, None}}
    for verb, *_, expected in (*ROW_CASES, *PAIR_CASES, *TWO_CASES):
        tried.setdefault(verb, set()).add(expected)
    table = {verb for verb, *_ in TABLE_CASES} | {"one_open_per", "preceded_by", "adds_up_to"}
    shapes = {verb for verb, found in rules.items() if found.about.scope == "shape"}  # tests/geo/test_judging.py
    across = {verb for verb, found in rules.items() if found.about.scope == "across"}  # tests/evidence/test_across.py
    assert tried.keys() | table | shapes | across == rules.keys()
    assert {verb for verb, found in tried.items() if found != {True, False, None}} == {
        "required",
        "one_of_present",
    }


def test_every_verb_is_described_in_both_languages() -> None:
    assert {verb for verb in rules if catalogue().get(f"rule.{verb}", {}).keys() != {"zh", "en"}} == set()


def test_bounds_are_needed() -> None:
    with pytest.raises(VerbError, match="no_bound"):
        Rule("x", "between", ("value",), {"column": "value"}).sql(context())


def test_a_case_needs_a_value() -> None:
    with pytest.raises(VerbError, match="bad"):
        rules["requires"].bind({"column": "a", "when": "b", "values": []})


@pytest.mark.parametrize(
    "plane", [0x3400, 0x4E00, 0x9FFF, 0x20000, 0x2A700, 0x2B740, 0x2B820, 0x2CEB0, 0x30000, 0x31350]
)
def test_names_may_have_ideographs_of_every_extension(plane: int) -> None:
    predicate = Rule("x", "chinese_name", ("value",), {"column": "value"}).sql(context())
    assert connection().execute(f"SELECT {predicate} FROM (SELECT ? AS value)", ["王" + chr(plane)]).fetchone() == (
        True,
    )
