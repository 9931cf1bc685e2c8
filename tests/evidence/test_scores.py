"""Scores by GB/T 36344-2018, X = A / B, against counts made by hand; totals and grades."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.admission.compile import UNREADABLE
from pipelines.contracts.load import SourceContract, load
from pipelines.evidence import scores
from pipelines.evidence.scores import ACCESSIBILITY, DIMENSIONS, WEIGHTS, Score

# The small source has seven columns, each of which must be of its type, and 13 rules of rows: 5 of 规范性 (max_length,
# gb11643_format, chinese_name, two in_codes), 4 required, 3 of 准确性 (check digit, two between), 1 of 一致性.
RULES = {"规范性": 5 + 7, "完整性": 4, "准确性": 3, "一致性": 1, "时效性": 0}


@pytest.fixture(scope="module")
def person() -> SourceContract:
    return load(Path(__file__).parents[1] / "contracts" / "city").sources["psb/person"]


def by_name(found: list[Score]) -> dict[str, Score]:
    return {score.dimension: score for score in found}


def test_a_clean_batch_passes_everything(person: SourceContract) -> None:
    found = scores.of_batch(person, 200, {})
    assert [(item.dimension, item.rules, item.evaluated, item.failed) for item in found] == [
        (name, rules, 200 * rules, 0) for name, rules in RULES.items()
    ]
    assert [item.passed for item in found] == [1, 1, 1, 1, None]
    assert scores.total(found) == 1 and scores.grade(1) == "A"


def test_failures_count_where_the_rule_belongs(person: SourceContract) -> None:
    by_rule = {
        "name.required": 8,
        "birth_date.type": 12,
        "id_number.gb11643_check_digit": 6,
        "birth_date_matches_id": 5,
    }
    found = by_name(scores.of_batch(person, 200, by_rule))
    assert found["完整性"].passed == 792 / 800
    assert found["规范性"].passed == pytest.approx(2388 / 2400)
    assert found["准确性"].passed == 594 / 600
    assert found["一致性"].passed == 195 / 200
    assert found["时效性"].passed is None
    by_hand = (0.20 * 0.995 + 0.20 * 0.99 + 0.25 * 0.99 + 0.15 * 0.975) / 0.80
    assert scores.total(list(found.values())) == pytest.approx(by_hand)


def test_a_rule_that_the_contract_lost_is_not_lost(person: SourceContract) -> None:
    found = by_name(scores.of_batch(person, 200, {"name.phone": 9}))
    assert (found["准确性"].rules, found["准确性"].evaluated, found["准确性"].failed) == (4, 800, 9)


def test_rows_that_cannot_be_taken_apart_are_a_rule_of_their_own(person: SourceContract) -> None:
    found = by_name(scores.of_batch(person, 200, {UNREADABLE: 2}))
    assert (found["规范性"].rules, found["规范性"].evaluated, found["规范性"].failed) == (13, 2600, 2)


def test_an_empty_batch_is_not_measured(person: SourceContract) -> None:
    found = scores.of_batch(person, 0, {})
    assert {item.passed for item in found} == {None} and scores.total(found) is None


def test_service_and_rows_are_measured_together(person: SourceContract) -> None:
    found = scores.merged(scores.of_batch(person, 10, {}), scores.of_service(timely=False, readable=True))
    assert tuple(item.dimension for item in found) == DIMENSIONS
    assert by_name(found)["时效性"] == Score("时效性", 1, 1, 1)
    assert by_name(found)[ACCESSIBILITY].passed == 1
    assert scores.total(found) == pytest.approx(0.85)


def test_the_weights_are_a_whole() -> None:
    assert tuple(WEIGHTS) == DIMENSIONS and sum(WEIGHTS.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("score", "letter"),
    [(1, "A"), (0.95, "A"), (0.9499, "B"), (0.9, "B"), (0.8999, "C"), (0.8, "C"), (0.7, "D"), (0.6999, "E"), (0, "E")],
)
def test_grades_begin_at_their_floor(score: float, letter: str) -> None:
    assert scores.grade(score) == letter


counted = st.builds(Score, st.sampled_from(DIMENSIONS), st.just(1), st.integers(0, 1000), st.integers(0, 1200))


@given(st.lists(counted, max_size=8))
def test_a_total_lies_between_the_worst_and_the_best(found: list[Score]) -> None:
    merged = scores.merged(found)
    measured = [item.passed for item in merged if item.passed is not None]
    total = scores.total(merged)
    assert (total is None) == (not measured)
    if total is not None:
        assert min(measured) - 1e-9 <= total <= max(measured) + 1e-9
        assert scores.grade(total) in "ABCDE"
