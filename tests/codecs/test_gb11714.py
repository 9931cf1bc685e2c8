"""Organisation codes against the standard and an implementation of its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.codecs import gb11714

Run = Callable[..., Any]

CREDIT_CODES = json.loads((Path(__file__).parent / "test_vectors.json").read_text("utf-8"))["uscc"]
VECTORS = [code[8:17] for code in CREDIT_CODES["valid"] + CREDIT_CODES["published_valid"]]
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PREDICATES = (gb11714.well_formed, gb11714.check_digit_right)


def check_digit(body: str) -> str:
    """The digit that brings the sum of values times powers of two, from the right, to 0 modulo 11."""
    total = sum(CHARACTERS.index(character) << (8 - place) for place, character in enumerate(body))
    rest = -total % 11
    return "X" if rest == 10 else str(rest)


codes = st.text(st.sampled_from(CHARACTERS), min_size=8, max_size=8).map(lambda body: body + check_digit(body))


@pytest.mark.parametrize("code", VECTORS)
def test_the_vectors_are_accepted(run: Run, code: str) -> None:
    assert check_digit(code[:8]) == code[8]
    assert run(gb11714.check_digit_right, code) is True


def test_every_check_digit_is_reached() -> None:
    assert {check_digit(f"{number:08}") for number in range(0, 99_999_999, 1_234_567)} == set("0123456789X")


@given(code=codes)
@settings(max_examples=150, deadline=None)
def test_any_code_is_accepted(run: Run, code: str) -> None:
    assert run(gb11714.check_digit_right, code) is True


@given(code=codes, position=st.integers(0, 8), character=st.sampled_from(CHARACTERS))
@settings(max_examples=300, deadline=None)
def test_a_changed_character_is_refused_unless_eleven_apart(run: Run, code: str, position: int, character: str) -> None:
    changed = code[:position] + character + code[position + 1 :]
    # 36 characters share 11 remainders: the standard itself cannot tell 0 from B
    same = position < 8 and (CHARACTERS.index(character) - CHARACTERS.index(code[position])) % 11 == 0
    assert (run(gb11714.check_digit_right, changed) is True) is (same or changed == code)


@pytest.mark.parametrize("text", ["", "M000100Y", "M000100Y44", "M000100Y-4", "m000100Y4", "M000100YA", "Ｍ000100Y4"])
def test_each_defect_is_reported_once(run: Run, text: str) -> None:
    assert [run(predicate, text) for predicate in PREDICATES] == [False, None]
    assert [run(predicate, "M000100Y5") for predicate in PREDICATES] == [True, False]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("M000100Y-4", "M000100Y4"),
        ("M000100Y—4", "M000100Y4"),
        ("m000100y-x", "m000100yx"),
        ("M000100Y4", "M000100Y4"),
        ("M000-100Y4", "M000-100Y4"),
        ("M000100Y-", "M000100Y-"),
        ("M000100Y--4", "M000100Y--4"),
    ],
)
def test_only_the_hyphen_of_the_standard_is_removed(run: Run, text: str, result: str) -> None:
    assert run(gb11714.compact, text) == result


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
@settings(max_examples=150, deadline=None)
def test_no_text_is_an_error(run: Run, text: str) -> None:
    for expression in (*PREDICATES, gb11714.compact):
        run(expression, text)


def test_null_stays_null(run: Run) -> None:
    assert [run(expression, None) for expression in (*PREDICATES, gb11714.compact)] == [None] * 3
