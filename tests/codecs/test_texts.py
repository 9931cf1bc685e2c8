"""Texts looked at as bytes: exactly those are found that have a shape for DuckDB, in any column however stored."""

from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.admission.looks import NOT_HAN, NOT_HAN_LEADS
from pipelines.codecs import texts as looked
from pipelines.codecs.cleaning import steps, touched
from pipelines.codecs.texts import Texts
from pipelines.contracts.rules.rows import CHINESE_NAME
from tests.codecs.test_cleaning import amounts, codes, dates, documents, likely, shape, texts
from tests.memory import Planned

EVERY = "".join(chr(code) for code in (*range(0x30, 0x3A), 0x4E00, 0x7AE0))
near = st.text(st.sampled_from(" \0\t\x85\xa0\u200b\u3000\ufeff·．•，,（[A a-—无男ſKé😀" + EVERY), max_size=12)
any_texts = st.lists(texts | likely | near | codes | dates | amounts | documents | st.just("") | st.none(), max_size=30)


@cache
def every_character(form: str) -> Any:
    """A column of texts of this form, for each character there is one."""
    return pa.array([form.format(chr(code)) for code in range(0x110000) if not 0xD800 <= code < 0xE000])


@pytest.mark.long
@pytest.mark.parametrize("name", steps)
@given(column=any_texts, before=st.integers(0, 3), after=st.integers(0, 3), block=st.sampled_from([1, 7, 1 << 18]))
@settings(max_examples=100, deadline=None)
def test_those_are_found_that_a_step_may_change(
    planned: Planned, name: str, column: list[str | None], before: int, after: int, block: int
) -> None:
    column = [None if text is None else text.replace("\0", "") for text in column]  # no literal has it
    padded = pa.array([*[" 无"] * before, *column, *[None] * after], pa.string()).slice(before, len(column))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looked, "_BLOCK", block)
        found = Texts(padded).shaped([shape(name)]).tolist()
    assert found == [
        n for (n,) in planned.ask(f"SELECT n FROM given WHERE {touched('v', [shape(name)])} ORDER BY n", column)
    ]


@pytest.mark.long
@pytest.mark.parametrize("name", steps)
def test_every_character_that_makes_a_shape_is_a_sign_of_it(name: str) -> None:
    for form in ("{}", "{}x", "x{}", "1{}1"):
        column = every_character(form)
        pattern = f"^(?s:{shape(name).pattern})$"
        expected = pa.compute.indices_nonzero(pa.compute.match_substring_regex(column, pattern))
        assert np.array_equal(Texts(column).shaped([shape(name)]), expected)


@given(column=any_texts, length=st.integers(0, 8))
def test_length_is_that_in_characters(column: list[str | None], length: int) -> None:
    expected = [row for row, text in enumerate(column) if text is not None and len(text) > length]
    assert Texts(pa.array(column, pa.string())).longer(length).tolist() == expected


def test_shapes_are_looked_for_together() -> None:
    column = pa.array([" x", "n/A", "x", None, "", "x\u3000"])
    assert Texts(column).shaped([shape("trim"), shape("null_words")]).tolist() == [0, 1, 4, 5]
    assert Texts(column).shaped([]).tolist() == []


@given(
    column=st.lists(st.text("张三丽中·䷀\u4dbf\u4e00\u9fff\ua000〇㐀𠀀a ", max_size=5) | st.none(), max_size=20),
    before=st.integers(0, 2),
)
def test_names_that_are_none_are_found(column: list[str | None], before: int) -> None:
    padded = pa.array([*["a"] * before, *column], pa.string()).slice(before)
    fits = pa.compute.match_substring_regex(padded, f"^(?:{CHINESE_NAME})$").to_pylist()
    found = Texts(padded).unlike(CHINESE_NAME, NOT_HAN, NOT_HAN_LEADS, 6).tolist()
    assert found == [row for row, fit in enumerate(fits) if fit is False]


@pytest.mark.long
def test_every_character_is_known_to_be_one_of_names_or_not() -> None:
    for form in ("{}", "张{}", "{}三", "{0}{0}"):
        column = every_character(form)
        fits = pa.compute.match_substring_regex(column, f"^(?:{CHINESE_NAME})$")
        expected = pa.compute.indices_nonzero(pa.compute.invert(fits))
        assert np.array_equal(Texts(column).unlike(CHINESE_NAME, NOT_HAN, NOT_HAN_LEADS, 6), expected)


@given(column=st.lists(st.text("0123456789", max_size=20) | st.none(), max_size=8), place=st.integers(0, 9))
def test_eight_bytes_are_those_of_the_text(column: list[str | None], place: int) -> None:
    found = Texts(pa.array(["0", *column], pa.string()).slice(1)).eight(place)
    for text, number in zip(column, found.tolist(), strict=True):
        if text and len(text) >= place + 8:
            assert number == int.from_bytes(text[place : place + 8].encode(), "little")


@given(column=st.lists(st.dates() | st.none(), max_size=20), before=st.integers(0, 2))
def test_days_are_told_by_their_digits(column: list[date | None], before: int) -> None:
    texts = [None if day is None else day.isoformat() for day in column]
    padded = pa.array([*["x"] * before, *texts], pa.string()).slice(before)
    found = Texts(padded).days().tolist()
    for day, number in zip(column, found, strict=True):
        assert day is None or number.to_bytes(8, "little") == day.strftime("%Y%m%d").rjust(8, "0").encode()


odd_bytes = st.lists(
    st.binary(max_size=4)
    | st.text(max_size=4).map(str.encode)
    | st.sampled_from([b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90"]),
    max_size=12,
).map(b"".join)


@given(data=odd_bytes | st.tuples(st.text(max_size=80).map(str.encode), odd_bytes).map(b"".join))
def test_bytes_are_utf8_when_python_says_so(data: bytes) -> None:
    assert looked.is_utf8(data) == _decodes(data)


def test_every_beginning_of_a_character_is_told_from_what_is_none() -> None:
    """All of one and of two bytes, and these with some behind them."""
    heads = [bytes([first, second]) for first in range(256) for second in range(256)]
    for data in (bytes([first]) for first in range(256)):
        assert looked.is_utf8(data) == _decodes(data), data
    for head in heads:
        for tail in (b"", b"\x80", b"\xbf", b"\x80\x80", b"\xbf\xbf", b"\x7f", b"a"):
            assert looked.is_utf8(head + tail) == _decodes(head + tail), head + tail


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(data=st.binary(max_size=60))
def test_signs_are_counted(data: bytes) -> None:
    assert looked.count_of(data, b",") == data.count(b",")
