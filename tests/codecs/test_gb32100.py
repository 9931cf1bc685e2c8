"""Unified social credit codes against the standard, an implementation of its own, and python-stdnum."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import uscc
from stdnum.exceptions import InvalidFormat

from pipelines.codecs import gb32100
from tests.codecs.test_gb11714 import check_digit

Run = Callable[..., Any]

VECTORS = json.loads((Path(__file__).parent / "test_vectors.json").read_text("utf-8"))["uscc"]
CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
KINDS = {
    "1": "1239", "2": "19", "3": "123459", "4": "19", "5": "12349", "6": "129", "7": "129", "8": "19", "9": "123",
    "A": "19", "N": "1239", "Y": "1",
}  # fmt: skip
PREDICATES = (gb32100.well_formed, gb32100.check_digits_right)
EXPRESSIONS = (*PREDICATES, gb32100.organisation_code, gb32100.division)


def check_character(body: str) -> str:
    """The character that brings the sum of values times powers of three to 0 modulo 31."""
    return CHARACTERS[-sum(CHARACTERS.index(sign) * 3**place for place, sign in enumerate(body)) % 31]


def code(body: str) -> str:
    """16 characters with both check digits."""
    inside = body + check_digit(body[8:])
    return inside + check_character(inside)


def accepted(run: Run, text: str) -> bool:
    return run(gb32100.check_digits_right, text) is True  # it is NULL where an earlier predicate fails


codes = st.tuples(
    st.sampled_from([first + second for first, seconds in KINDS.items() for second in seconds]),
    st.integers(100_000, 999_999).map(str),
    st.text(st.sampled_from(CHARACTERS), min_size=8, max_size=8),
).map("".join).map(code)  # fmt: skip


@pytest.mark.parametrize("text", VECTORS["valid"] + VECTORS["published_valid"])
def test_the_vectors_are_accepted(run: Run, text: str) -> None:
    assert code(text[:16]) == text
    assert accepted(run, text)
    assert run(gb32100.organisation_code, text) == text[8:17]
    assert run(gb32100.division, text) == text[2:8]


@given(text=codes)
@settings(max_examples=150, deadline=None)
def test_right_codes_are_accepted(run: Run, text: str) -> None:
    assert accepted(run, text)


@given(text=codes, position=st.integers(0, 17), character=st.sampled_from(CHARACTERS))
@settings(max_examples=300, deadline=None)
def test_a_changed_character_is_refused(run: Run, text: str, position: int, character: str) -> None:
    changed = text[:position] + character + text[position + 1 :]
    assert accepted(run, changed) is (changed == text)


@given(text=codes, position=st.integers(0, 16))
@settings(max_examples=150, deadline=None)
def test_swapped_neighbours_are_refused(run: Run, text: str, position: int) -> None:
    swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
    assert accepted(run, swapped) is (swapped == text)


@given(first=st.sampled_from(CHARACTERS), second=st.sampled_from(CHARACTERS))
@settings(max_examples=200, deadline=None)
def test_only_known_authorities_and_kinds(run: Run, first: str, second: str) -> None:
    text = code(f"{first}{second}341502MA2N1234")
    assert run(gb32100.well_formed, text) is (second in KINDS.get(first, ""))


def test_each_defect_is_reported_once(run: Run) -> None:
    def verdicts(text: str) -> list[bool | None]:
        return [run(predicate, text) for predicate in PREDICATES]

    right = "91341502MA2N12344B"
    assert verdicts(right) == [True, True]
    assert verdicts(right[:17]) == verdicts(right + "0") == verdicts(right.lower()) == [False, None]
    assert (
        verdicts("91341502IA2N12344B")
        == verdicts("98" + right[2:])
        == verdicts("913415A2" + right[8:])
        == [False, None]
    )
    assert verdicts(right[:17] + "C") == [True, False]
    wrong_inside = right[:16] + "5"
    assert verdicts(wrong_inside + check_character(wrong_inside)) == [True, False]
    assert verdicts(wrong_inside + "B") == [True, False]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=24))
@settings(max_examples=150, deadline=None)
def test_no_text_is_an_error(run: Run, text: str) -> None:
    for expression in EXPRESSIONS:
        run(expression, text)
    if not text.isascii():
        assert not accepted(run, text)


def test_null_stays_null(run: Run) -> None:
    assert [run(expression, None) for expression in EXPRESSIONS] == [None] * 4


def test_parts_of_a_wrong_code_are_not_told(run: Run) -> None:
    for expression in (gb32100.organisation_code, gb32100.division):
        assert run(expression, "91341502MA2N12344C") is None


@given(text=codes.filter(lambda text: text[0].isdigit()))
@settings(max_examples=100, deadline=None)
def test_stdnum_accepts_what_is_accepted_where_digits_begin(text: str) -> None:
    assert uscc.is_valid(text)


@pytest.mark.parametrize("kind", ["N1", "N2", "N3", "A1", "Y1"])
def test_stdnum_refuses_authorities_that_are_letters(run: Run, kind: str) -> None:
    text = code(f"{kind}341502MF123456")
    assert accepted(run, text)
    with pytest.raises(InvalidFormat):
        uscc.validate(text)


def test_stdnum_does_not_look_at_the_organisation_code_inside(run: Run) -> None:
    wrong_inside = "91341502MA2N12345"
    text = wrong_inside + check_character(wrong_inside)
    assert uscc.is_valid(text)
    assert not accepted(run, text)
