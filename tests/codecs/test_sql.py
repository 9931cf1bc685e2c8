"""Quoting survives anything that a contract may say."""

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.codecs.sql import identifier, literal, literals


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@settings(max_examples=200, deadline=None)
def test_text_and_names_come_back(text: str) -> None:
    assert duckdb.execute(f"SELECT {literal(text)}").fetchone() == (text,)
    if text:
        assert duckdb.execute(f"SELECT 1 AS {identifier(text)}").description[0][0] == text


@pytest.mark.parametrize("value", [None, True, False, 0, -7, 2**62, 0.5, -1e300, 1e-7])
def test_values_come_back(value: Any) -> None:
    row = duckdb.execute(f"SELECT {literal(value)}").fetchone()
    assert row is not None
    assert row[0] == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        literal(value)


def test_lists_are_separated_by_commas() -> None:
    assert literals(["a", 1, None]) == "'a', 1, NULL"
