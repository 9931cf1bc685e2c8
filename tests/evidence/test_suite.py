"""The second opinion: it agrees with the measurement on dirty data, notices mistakes, and gives no value away."""

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from hypothesis import given, settings

from pipelines.codecs import certificate, functions, gb11643, gb11714, gb32100
from pipelines.contracts.forms.words import LogicalType
from pipelines.contracts.load import Contracts
from pipelines.contracts.rules import Context, rules
from pipelines.evidence.expectations import Asker, expectations
from pipelines.evidence.expectations.shape import HELD_AS, shape
from pipelines.evidence.gate import TYPES
from pipelines.evidence.rules import measure
from pipelines.evidence.suite import Disagreement, Opinion, SuiteError, agreement, library, second_opinion
from tests.draws import draws
from tests.evidence.tables import CASES, CERTIFICATES, CONTEXT, RULES, TODAY, Row, filled, rule, tables
from tests.memory import connection

MARK = "机密值7f3a"
WITHOUT_EXPECTATION = dict.fromkeys(
    ("one_open_per", "preceded_by", "adds_up_to"),
    "judges new events against those in core, at admission; a release has neither",
) | dict.fromkeys(
    ("shape_closed", "shape_simple", "shape_within", "shape_size", "shape_in_county"),
    "judges a shape at admission, on its connection only; the loader refuses it in products",
)
"""Rule verbs that Great Expectations is not asked about, each with the reason."""


def test_every_rule_verb_has_an_expectation() -> None:
    assert set(expectations) | set(WITHOUT_EXPECTATION) == set(rules)


def test_every_type_and_every_column_of_the_contracts_is_asked_for(contracts: Contracts) -> None:
    logical = get_args(LogicalType)
    assert set(HELD_AS) == set(TYPES) == set(logical)
    for contract in contracts.models.values():
        columns = {column.name: column.definition.logicalType for column in contract.columns}
        asked = shape(Asker(library(), connection(), CONTEXT), columns)
        assert set(asked) == {"columns", *(f"{name}.type" for name in columns)}
        assert not set(asked) & {rule.id for rule in contract.rules}


@pytest.mark.parametrize("logical", HELD_AS)
def test_a_type_is_judged_alike(logical: LogicalType) -> None:
    held = ("VARCHAR", "DECIMAL(10,2)", "BIGINT", "TINYINT", "HUGEINT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMPTZ",
            "BOOLEAN", "VARCHAR[]", "DECIMAL(10,2)[]", "STRUCT(a DECIMAL(1,0))")  # fmt: skip
    con = connection()
    con.execute(f"CREATE TABLE typed ({', '.join(f'c{place} {kind}' for place, kind in enumerate(held))})")
    columns = {f"c{place}": logical for place in range(len(held))}
    opinion = second_opinion(con, [], replace(CONTEXT, relation="typed"), columns)
    accepted = {one.rule_id for one in opinion.opinions if not one.failed} - {"columns"}
    described = con.execute("DESCRIBE typed").fetchall()
    assert accepted == {f"{name}.type" for name, kind, *_ in described if kind in TYPES[logical] or (
        logical == "number" and kind == "DECIMAL(10,2)")}  # fmt: skip
    assert {one["expectation_config"]["meta"]["rule"] for one in opinion.suite["results"] if one["success"]} == {
        "columns",
        *accepted,
    }


@settings(max_examples=draws(10), deadline=None)
@given(table=tables)
def test_both_agree_on_dirty_tables(table: list[Row]) -> None:
    con = filled(table)
    results, opinion = measure(con, RULES, CONTEXT), second_opinion(con, RULES, CONTEXT)
    assert agreement(results, opinion.opinions) == []
    assert {item.rule_id: item.failed for item in opinion.opinions} == {
        case.rule.id: case.expected(table)[1] for case in CASES
    }


@pytest.mark.parametrize(("rows", "failed"), [(71, 0), (70, 1), (129, 0), (130, 1)])
def test_both_agree_at_the_edge_of_a_volume_change(rows: int, failed: int) -> None:
    context = Context({}, TODAY, f"range({rows})", previous="range(100)")
    change = [rule("volume_change", maximum=0.29)]  # 0.29 * 100 is 28.999999999999996 in binary
    con = connection()
    assert measure(con, change, context)[0].failed == failed
    assert second_opinion(con, change, context).opinions == (Opinion("volume_change()", None, failed),)


@pytest.mark.parametrize(("rows", "failed"), [(7, 0), (6, 1), (13, 0), (15, 2)])
def test_both_agree_on_the_few_rows_that_a_small_table_may_move(rows: int, failed: int) -> None:
    context = Context({}, TODAY, f"range({rows})", previous="range(10)")
    change = [rule("volume_change", maximum=0.1, rows=3)]
    con = connection()
    assert measure(con, change, context)[0].failed == failed
    assert second_opinion(con, change, context).opinions == (Opinion("volume_change()", None, failed),)


@pytest.mark.parametrize(("rows", "failed"), [(100, 45), (56, 1), (55, 0), (45, 0), (44, 1)])
def test_both_compare_with_the_volume_that_was_confirmed(rows: int, failed: int) -> None:
    context = Context({}, TODAY, f"range({rows})", previous="range(100)", confirmed=50)
    change = [rule("volume_change", maximum=0.1)]
    con = connection()
    assert measure(con, change, context)[0].failed == failed
    assert second_opinion(con, change, context).opinions == (Opinion("volume_change()", None, failed),)


def test_nothing_to_compare_a_volume_with() -> None:
    context = Context({}, TODAY, "range(3)")
    assert second_opinion(connection(), [rule("volume_change", maximum=0.1)], context).opinions[0].failed == 0


def test_times_are_compared_in_the_zone_of_the_connection() -> None:
    con = connection()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("CREATE TABLE t (a TIMESTAMPTZ)")
    con.executemany("INSERT INTO t VALUES (?)", [[datetime(2026, 11, d, h, tzinfo=UTC)] for d, h in ((24, 0), (24, 1))])
    judged, context = [rule("between", column="a", minimum="1949-10-01", maximum="tomorrow")], Context({}, TODAY, "t")
    assert measure(con, judged, context)[0].failed == 1
    assert agreement(measure(con, judged, context), second_opinion(con, judged, context).opinions) == []


@pytest.mark.parametrize(
    ("module", "constant", "wrong", "verb", "number"),
    [
        (gb11643, "_WEIGHTS", (1,) * 18, "gb11643_check_digit", "11010519491231002X"),
        (gb32100, "_WEIGHTS", (1,) * 17, "gb32100_check_digit", "91341502MA2N12344B"),
        (gb11714, "_WEIGHTS", (1,) * 8, "gb11714_check_digit", "M000100Y4"),
        (certificate, "_ISSUER", "[0-9]{6}", "certificate_format", CERTIFICATES[0]),
    ],
)
def test_a_mistake_of_ours_does_not_confirm_itself(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, constant: str, wrong: object, verb: str, number: str
) -> None:
    context = Context({}, TODAY, f"(SELECT '{number}' AS number)")
    con, judged = connection(), [rule(verb, column="number")]
    assert agreement(measure(con, judged, context), second_opinion(con, judged, context).opinions) == []
    monkeypatch.setattr(module, constant, wrong)
    functions.judge.cache_clear()
    try:
        disagreements = agreement(measure(con, judged, context), second_opinion(con, judged, context).opinions)
    finally:
        functions.judge.cache_clear()
    assert disagreements == [Disagreement(f"{verb}(number)", 1, 0)]


def test_an_unanswered_rule_is_a_disagreement() -> None:
    con = filled([])
    results = measure(con, RULES[:2], CONTEXT)
    assert agreement(results, []) == [Disagreement(result.rule_id, result.failed, None) for result in results]
    assert agreement([], [Opinion("x", None, 0)]) == [Disagreement("x", None, 0)]


def test_a_rule_that_stands_twice_is_answered_twice() -> None:
    twice = [replace(RULES[0], id=name) for name in ("first", "second")]
    assert [item.rule_id for item in second_opinion(filled([]), twice, CONTEXT).opinions] == ["first", "second"]


def test_evaluated_rows_are_compared_too() -> None:
    (result,) = measure(filled([]), RULES[:1], CONTEXT)
    assert agreement([result], [Opinion(result.rule_id, 3, 0)]) == [Disagreement(result.rule_id, 0, 3)]


def test_the_result_holds_no_value_of_a_row() -> None:
    row = (MARK, None, MARK, MARK, MARK, -1, MARK, MARK, MARK, MARK, MARK, MARK, None, None, MARK)
    opinion = second_opinion(filled([row, row]), RULES, CONTEXT)
    assert sum(item.failed > 0 for item in opinion.opinions) >= 10
    text = json.dumps(opinion.suite, ensure_ascii=False)
    assert MARK not in text and MARK.encode("unicode_escape").decode() not in text
    assert [item["expectation_config"]["meta"]["rule"] for item in opinion.suite["results"]]


def test_an_error_holds_no_value_of_a_row() -> None:
    context = Context({}, TODAY, f"(SELECT '{MARK}' AS a)")
    with pytest.raises(SuiteError) as caught:
        second_opinion(connection(), [rule("between", column="a", minimum=1)], context)
    assert caught.value.rule_ids == ("between(a)",) and MARK not in str(caught.value)


def test_nothing_is_sent_written_or_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.chdir(home)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    second_opinion(filled([]), RULES, CONTEXT)
    assert list(home.rglob("*")) == []
    assert capfd.readouterr() == ("", "")


def test_the_connection_is_left_as_it_was() -> None:
    con = filled([])
    con.execute("BEGIN")
    con.execute("CREATE TEMP VIEW mine AS SELECT 1 AS a")
    second_opinion(con, [rule("required", column="a")], Context({}, TODAY, "mine"))
    con.execute("COMMIT")
    views = con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    assert views == [("mine",)]
