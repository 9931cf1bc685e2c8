"""Identity numbers against the standard, an implementation of its own, and python-stdnum as a second opinion."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from pipelines.codecs import gb11643
from tests.memory import connection

Run = Callable[..., Any]

VECTORS = json.loads((Path(__file__).parent / "test_vectors.json").read_text("utf-8"))["ric"]["valid"]
PROVINCES = {
    11,
    12,
    13,
    14,
    15,
    21,
    22,
    23,
    *range(31, 38),
    *range(41, 47),
    *range(50, 55),
    *range(61, 66),
    71,
    81,
    82,
    83,
}
PREDICATES = (gb11643.well_formed, gb11643.check_digit_right, gb11643.content_right)


def man(number: str) -> str:
    return gb11643.of_sex(number, "'1'")


def woman(number: str) -> str:
    return gb11643.of_sex(number, "'2'")


def born(number: str) -> str:
    return gb11643.born_on(number, "DATE '1985-04-15'")


EXPRESSIONS = (*PREDICATES, gb11643.birth_date, man, woman, born, gb11643.upgrade)


def check_digit(body: str) -> str:
    """ISO 7064 MOD 11-2 as the standard's formula states it: sum of a_i * 2^(i-1) is 1 modulo 11, i from the right."""
    total = sum(int(digit) * pow(2, 17 - index, 11) for index, digit in enumerate(body))
    rest = (12 - total) % 11
    return "X" if rest == 10 else str(rest)


def number(prefix: str, birth: str = "19850415", sequence: str = "013") -> str:
    body = prefix + birth + sequence
    return body + check_digit(body)


def content(body: str) -> bool:
    try:
        date(int(body[6:10]), int(body[10:12]), int(body[12:14]))
    except ValueError:
        return False
    return int(body[:2]) in PROVINCES or body[0] == "9"


def accepted(run: Run, text: str) -> bool:
    return run(gb11643.content_right, text) is True  # it is NULL where an earlier predicate fails


bodies = st.from_regex(r"[1-9][0-9]{16}", fullmatch=True).filter(str.isascii)
dates = st.dates(date(1, 1, 1), date(9999, 12, 31)).map(lambda day: day.strftime("%m%d").join([f"{day.year:04d}", ""]))
right_bodies = st.tuples(
    st.sampled_from(sorted(PROVINCES)).map(str), st.integers(0, 9999).map("{:04d}".format), dates,
    st.integers(0, 999).map("{:03d}".format),
).map("".join)  # fmt: skip
right_numbers = right_bodies.map(lambda body: body + check_digit(body))


@pytest.mark.parametrize("text", VECTORS)
def test_the_vectors_are_accepted(run: Run, text: str) -> None:
    assert check_digit(text[:17]) == text[17]
    assert accepted(run, text)
    assert run(gb11643.birth_date, text) == date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    odd = int(text[16]) % 2 == 1
    assert (run(man, text), run(woman, text)) == (odd, not odd)
    assert run(born, text) == (text[6:14] == "19850415")
    assert run(gb11643.upgrade, text) == text


@given(body=bodies)
@settings(max_examples=150, deadline=None)
def test_any_number_is_accepted_iff_province_and_date_are_right(run: Run, body: str) -> None:
    text = body + check_digit(body)
    assert run(gb11643.check_digit_right, text) is True
    assert run(gb11643.content_right, text) is content(body)


@given(text=right_numbers)
@settings(max_examples=100, deadline=None)
def test_right_numbers_are_accepted(run: Run, text: str) -> None:
    assert accepted(run, text)
    assert run(gb11643.birth_date, text).strftime("%Y%m%d").zfill(8) == text[6:14]


@given(text=right_numbers, position=st.integers(0, 17), digit=st.sampled_from("0123456789X"))
@settings(max_examples=150, deadline=None)
def test_a_changed_character_is_refused(run: Run, text: str, position: int, digit: str) -> None:
    changed = text[:position] + digit + text[position + 1 :]
    assert accepted(run, changed) is (changed == text)


@given(text=right_numbers, position=st.integers(0, 16))
@settings(max_examples=150, deadline=None)
def test_swapped_neighbours_are_refused(run: Run, text: str, position: int) -> None:
    swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
    assert accepted(run, swapped) is (swapped == text)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=24))
@settings(max_examples=150, deadline=None)
def test_no_text_is_an_error(run: Run, text: str) -> None:
    run(lambda value: " IS NULL, ".join(expression(value) for expression in EXPRESSIONS), text)
    if not text.isascii():
        assert not accepted(run, text)


def test_null_stays_null(run: Run) -> None:
    assert [run(expression, None) for expression in EXPRESSIONS] == [None] * len(EXPRESSIONS)


def test_each_defect_is_reported_once(run: Run) -> None:
    def verdicts(text: str) -> list[bool | None]:
        return [run(predicate, text) for predicate in PREDICATES]

    assert verdicts("34150220050101001") == [False, None, None]
    assert verdicts("341502200501010018") == [True, False, None]
    assert verdicts(number("341502", "20050229")) == [True, True, False]
    assert verdicts(number("991502")) == [True, True, True]
    assert verdicts(number("161502")) == [True, True, False]


@pytest.mark.parametrize("birth", ["00000101", "20051301", "20050001", "20050132", "19000229", "20050431"])
def test_no_such_day(run: Run, birth: str) -> None:
    assert run(gb11643.content_right, number("341502", birth)) is False
    assert run(gb11643.birth_date, number("341502", birth)) is None


@pytest.mark.parametrize("birth", ["20000229", "00010101", "99991231"])
def test_a_day_at_the_edge(run: Run, birth: str) -> None:
    assert run(gb11643.birth_date, number("341502", birth)) is not None


@given(body=st.from_regex(r"[1-9][0-9]{14}", fullmatch=True).filter(str.isascii))
@settings(max_examples=100, deadline=None)
def test_the_first_generation_is_upgraded(run: Run, body: str) -> None:
    longer = body[:6] + "19" + body[6:]
    assert run(gb11643.upgrade, body) == longer + check_digit(longer)
    assert run(gb11643.upgrade, run(gb11643.upgrade, body)) == longer + check_digit(longer)


@pytest.mark.parametrize(
    "text", ["", "34150285041501", "3415028504150133", "34150285041501X", "０" * 15, "034150850415013"]
)
def test_what_is_no_old_number_is_not_upgraded(run: Run, text: str) -> None:
    assert run(gb11643.upgrade, text) == text


def test_the_address_is_that_of_the_first_registration(run: Run) -> None:
    for prefix in ("342400", "342401", "342422", "342423", "342425", "342426", "342427", "341521", "342400"):
        assert accepted(run, number(prefix))


@pytest.mark.parametrize(
    ("prefix", "birth"),
    [
        ("341502", "19700101"),  # Jin'an exists since 1999; late registrations and corrected numbers carry it
        ("341504", "20100101"),  # Yeji exists since 2015
        ("342401", "20030415"),  # old prefix used on after the prefecture became a city
        ("342425", "20051001"),
        ("830000", "19850415"),  # residence permit of Taiwan
        ("810000", "19850415"),  # of Hong Kong
        ("911124", "19850415"),  # permanent resident, new style
        ("460300", "19850415"),
    ],
)
def test_stdnum_refuses_right_numbers_by_birthplace(run: Run, prefix: str, birth: str) -> None:
    text = number(prefix, birth)
    assert accepted(run, text)
    with pytest.raises(ValidationError):
        ric.validate(text)


@pytest.mark.parametrize("text", ["119999198504150135", "340106195004150132", "420223195004150134"])
def test_stdnum_fails_where_it_should_answer(run: Run, text: str) -> None:
    assert run(gb11643.check_digit_right, text) is True
    with pytest.raises(KeyError):
        ric.validate(text)


@given(text=right_numbers)
@settings(max_examples=100, deadline=None)
def test_whatever_stdnum_accepts_is_accepted(run: Run, text: str) -> None:
    try:
        ric.validate(text)
    except (ValidationError, KeyError):
        return
    assert accepted(run, text)


def test_a_million_numbers_take_seconds() -> None:
    with connection() as con:
        con.execute("CREATE TABLE t AS SELECT (341502198504150000 + i % 10000)::VARCHAR AS v FROM range(1000000) s(i)")
        query = f"SELECT count(*) FILTER (WHERE {gb11643.content_right('v')}) FROM t"
        row = con.execute(query).fetchone()
        assert row is not None
        assert 80_000 < row[0] < 100_000  # one in eleven, less those whose check digit is X
