"""Measured counts against a model in plain Python."""

import duckdb
import pytest
from hypothesis import given, settings

from pipelines.contracts.rules import Context, Dimension, Kind, rules
from pipelines.evidence.rules import RuleResult, measure
from tests.draws import draws
from tests.evidence.tables import CASES, CONTEXT, RULES, TODAY, Row, filled, rule, tables
from tests.memory import connection


def test_every_rule_verb_has_a_case() -> None:
    """Rules of events are asked by admission, of what core knows: `tests/admission` has theirs."""
    assert {rule.verb for rule in RULES} == {
        name for name, verb in rules.items() if verb.about.scope in ("row", "table")
    }


@settings(max_examples=draws(35), deadline=None)
@given(table=tables)
def test_measure_counts_what_the_rules_mean(table: list[Row]) -> None:
    results = measure(filled(table), RULES, CONTEXT)
    found = {result.rule_id: (result.evaluated, result.failed) for result in results}
    assert found == {case.rule.id: case.expected(table) for case in CASES}


def test_a_result_says_what_the_rule_is_about() -> None:
    con = connection()
    (result,) = measure(
        con, [rule("required", column="a")], Context({}, TODAY, "(SELECT 1 AS a UNION ALL SELECT NULL)")
    )
    assert result == RuleResult("required(a)", "required", Kind.COMPLETENESS, Dimension.COMPLETENESS, ("a",), 2, 1)


def test_no_rules_no_results() -> None:
    assert measure(connection(), [], CONTEXT) == []


def test_a_difference_of_less_than_one_is_a_failure() -> None:
    context = Context({}, TODAY, "(SELECT 2.6::DOUBLE AS a)", models={"m": "range(3)"})
    (result,) = measure(connection(), [rule("sums_to", column="a", model="m")], context)
    assert result.failed == 1


def test_a_column_that_is_missing_is_an_error() -> None:
    with pytest.raises(duckdb.BinderException):
        measure(connection(), [rule("required", column="b")], Context({}, TODAY, "(SELECT 1 AS a)"))
