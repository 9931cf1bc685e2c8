"""The rows that fail a rule are those that measuring counts, and each says which row it is."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings

from pipelines.contracts.rules import Context, rules
from pipelines.evidence.failing import Row, of_rule
from pipelines.evidence.rules import measure
from tests.evidence.tables import CONTEXT, RULES, TODAY, filled, rule, tables
from tests.evidence.tables import Row as Values
from tests.memory import connection

MOST = 1000
NO_ROWS = {"row_count", "volume_change", "sums_to"}
"""Verbs about a table as a whole."""


@pytest.mark.long
@settings(max_examples=50, deadline=None)
@given(table=tables)
def test_as_many_rows_fail_as_are_counted(table: list[Values]) -> None:
    con = filled(table)
    counted = {one.rule_id: one.failed for one in measure(con, RULES, CONTEXT)}
    for one in RULES:
        rows = of_rule(con, one, CONTEXT, ["number"], None, MOST)
        if one.verb in NO_ROWS:
            assert rows is None
        elif one.verb == "unique":
            assert rows is not None
            groups = Counter(tuple({**row.key, **row.values}[name] for name in one.columns) for row in rows)
            assert sum(groups.values()) - len(groups) == counted[one.id] and 1 not in groups.values()
        else:
            assert rows is not None and len(rows) == counted[one.id], one.id


def test_every_verb_of_models_names_rows_or_is_known_not_to() -> None:
    con = filled([])
    silent = {one.verb for one in RULES if of_rule(con, one, CONTEXT, ["number"], None, MOST) is None}
    assert silent == NO_ROWS < set(rules)


def test_a_row_has_its_key_its_values_and_its_books() -> None:
    relation = (
        "(SELECT unnest([3, 1, 2]) AS id, unnest(['x', NULL, NULL]) AS a, unnest(['{}', 'p', 'q']) AS source_rows)"
    )
    asked = rule("required", column="a"), Context({}, TODAY, relation), ["id"], "source_rows"
    assert of_rule(connection(), *asked, MOST) == [
        Row({"id": 1}, {"id": 1, "a": None}, "p"),
        Row({"id": 2}, {"id": 2, "a": None}, "q"),
    ]
    assert of_rule(connection(), *asked, 1) == [Row({"id": 1}, {"id": 1, "a": None}, "p")]


def test_a_count_that_is_wrong_says_what_it_should_be() -> None:
    relation = "(SELECT unnest(['1', '3']) AS sex, unnest([4, 0]) AS amount)"
    counts = rule("counts_rows", column="amount", model="people", by=["sex"])
    rows = of_rule(connection(), counts, replace(CONTEXT, relation=relation), ["sex"], None, MOST)
    found = {row.key["sex"]: (row.values["amount"], row.expected) for row in rows or ()}
    assert found == {"1": (4, 5), "2": (None, 1), None: (None, 1)}


def test_rows_that_refer_to_nothing_are_told_by_their_key_and_missing_entries_by_that_of_the_register() -> None:
    relation = "(SELECT unnest([7, 8]) AS id, unnest(['1', '4']) AS sex, unnest(['p', 'q']) AS source_rows)"
    context = replace(CONTEXT, relation=relation)
    refers = rule("refers_to", columns=["sex"], of="people", their=["sex"])
    (row,) = of_rule(connection(), refers, context, ["id"], "source_rows", MOST) or ()
    assert (row.key, row.values["sex"], row.books) == ({"id": 8}, "4", "q")
    covers = rule("covers", columns=["sex"], of="people", their=["sex"])
    (entry,) = of_rule(connection(), covers, context, ["id"], "source_rows", MOST) or ()
    assert (entry.key, entry.values, entry.books) == ({}, {"sex": "2"}, None)
