"""Patterns as tables: exactly those texts fit that RE2 finds to match, and patterns that say more have no table."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.codecs.patterns import FITTING, fixed

PATTERNS = ["1[3-9][0-9]{9}", "[1-9][0-9]{5}", "[A-Z0-9]{18}", "H", "[0-9A-F]{2}x[ab]{1}"]
near = st.one_of(*(st.from_regex(pattern, fullmatch=True) for pattern in PATTERNS), st.text("139Hx甲", max_size=12))


@pytest.mark.parametrize("pattern", PATTERNS)
@given(column=st.lists(near | st.none(), max_size=20), before=st.integers(0, 2))
def test_those_texts_fit_that_match(pattern: str, column: list[str | None], before: int) -> None:
    judge = fixed(pattern)
    assert judge is not None
    texts = pa.array([*["13900000000"] * before, *column], pa.string()).slice(before)
    expected = pc.match_substring_regex(texts, f"^(?:{pattern})$").to_pylist()
    found = judge.numbers(texts) == FITTING
    assert [None if text is None else fits for text, fits in zip(column, found.tolist(), strict=True)] == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "[0-9]+",
        "[0-9]{1,2}",
        "[^0-9]",
        "[-0]",
        "[0-]",
        "[9-0]",
        "[A-z]",
        "a|b",
        "(ab)",
        r"\d",
        ".",
        "年",
        "a{0}",
        "a?",
    ],
)
def test_a_pattern_that_says_more_has_no_table(pattern: str) -> None:
    assert fixed(pattern) is None
