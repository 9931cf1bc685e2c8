"""Whole columns of identifiers against the standards' own arithmetic, one text at a time in plain Python."""

import re
from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.codecs import functions, gb11643, gb11714, gb32100
from pipelines.codecs.pairs import MALFORMED
from tests.codecs import test_gb11643 as persons
from tests.codecs import test_gb11714 as organisations
from tests.codecs import test_gb32100 as entities
from tests.memory import connection

Text = str | None


def person(text: str) -> int:
    """1 and the rest modulo 11 of the weighted sum, 16 more where province or date cannot be."""
    if not re.fullmatch("[1-9][0-9]{16}[0-9X]", text):
        return MALFORMED
    total = sum(("0123456789X".index(sign)) * pow(2, 17 - place, 11) for place, sign in enumerate(text))
    return 1 + total % 11 + (0 if persons.content(text[:17]) else 16)


def entity(text: str) -> int:
    """1 right, 2 a wrong check character."""
    kind = text[:1] in entities.KINDS and text[1:2] in entities.KINDS[text[:1]] and text[1:2] != ""
    if not kind or not re.fullmatch(
        f"..[1-9][0-9]{{5}}[{entities.CHARACTERS}]{{8}}[0-9X][{entities.CHARACTERS}]", text
    ):
        return MALFORMED
    return 1 if entities.code(text[:16]) == text else 2


def organisation(text: str) -> int:
    """1 right, 2 a wrong check digit."""
    if not re.fullmatch("[0-9A-Z]{8}[0-9X]", text):
        return MALFORMED
    return 1 if organisations.check_digit(text[:8]) == text[8] else 2


def near(right: st.SearchStrategy[str]) -> st.SearchStrategy[Text]:
    """Right codes, codes with another character anywhere, cut, prolonged, any text at all, nothing."""
    sign = st.characters(exclude_categories=["Cs"])
    place = st.integers(0, 17)
    changed = st.builds(lambda code, at, put: code[:at] + put + code[at + 1 :], right, place, sign)
    digit = st.builds(
        lambda code, at, put: code[:at] + put + code[at + 1 :], right, place, st.sampled_from("0189XYAIZ")
    )
    cut = st.builds(lambda code, at: code[:at], right, place)
    longer = st.builds(lambda code, put: code + put, right, sign)
    return st.one_of(right, right, changed, digit, cut, longer, st.text(sign, max_size=24), st.none())


COLUMNS = [
    (gb11643.FUNCTION, persons.right_numbers, person),
    (gb32100.FUNCTION, entities.codes, entity),
    (gb11714.FUNCTION, organisations.codes, organisation),
]


@pytest.mark.parametrize(("name", "right", "expected"), COLUMNS)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_column_is_judged_as_the_standard_says(
    name: str, right: st.SearchStrategy[str], expected: Callable[[str], int], data: st.DataObject
) -> None:
    texts = data.draw(st.lists(near(right) if data.draw(st.booleans()) else right, max_size=40))
    before, after = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    kind = data.draw(st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]))
    padded = pa.array([*["x"] * before, *texts, *[None] * after], kind)
    column = padded.slice(before, len(texts))
    verdicts = functions.judge(name)(column)
    assert verdicts.type == pa.int8()
    assert verdicts.to_pylist() == [None if text is None else expected(text) for text in texts]
    cut = data.draw(st.integers(0, len(texts)))
    chunks = pa.chunked_array([column.slice(0, cut), column.slice(cut)], kind)
    assert functions.judge(name)(chunks).to_pylist() == verdicts.to_pylist()


@pytest.mark.parametrize(("name", "right", "expected"), COLUMNS)
def test_every_character_in_every_place(
    name: str, right: st.SearchStrategy[str], expected: Callable[[str], int]
) -> None:
    code = {
        gb11643.FUNCTION: "341502198504150139",
        gb32100.FUNCTION: "91341502MA2N12344B",
        gb11714.FUNCTION: "M000100Y4",
    }[name]
    signs = [chr(point) for point in range(128)]
    texts = [code[:place] + sign + code[place + 1 :] for place in range(len(code)) for sign in signs]
    assert functions.judge(name)(pa.array(texts)).to_pylist() == [expected(text) for text in texts]


def test_every_day_of_the_calendar_and_every_other() -> None:
    for century in (0, 18, 19, 20):
        texts = [
            persons.number("341502", f"{century:02}{year:02}{month:02}{day:02}")
            for year in (0, 3, 4, 96, 99)
            for month in range(14)
            for day in range(33)
        ]
        found = functions.judge(gb11643.FUNCTION)(pa.array(texts)).to_pylist()
        assert found == [person(text) for text in texts]


@pytest.mark.parametrize("threads", [1, 2])
def test_more_rows_than_a_vector_holds(threads: int) -> None:
    with connection() as con:
        con.execute(f"SET threads = {threads}")
        made = "(341502198504150000 + i % 10000)::VARCHAR"
        con.execute(f"CREATE TABLE t AS SELECT CASE WHEN i % 7 > 0 THEN {made} END AS v FROM range(300000) s(i)")
        verdicts = con.execute(f"SELECT v, {gb11643.FUNCTION}(v), count(*) FROM t GROUP BY ALL").fetchall()
    assert sum(rows for _, _, rows in verdicts) == 300_000
    assert all(verdict == (None if text is None else person(text)) for text, verdict, _ in verdicts)


@pytest.mark.parametrize("nulls", [0, 1])
def test_verdicts_lie_in_memory_that_is_given_back_without_pythons_lock(nulls: int) -> None:
    """Memory of numpy hung a connection dropped while a thread of DuckDB still gave a result back."""
    texts = pa.concat_arrays([pa.array(["341502200501010019"] * 100_000), pa.nulls(nulls, pa.string())])
    before = pa.total_allocated_bytes()
    found = functions.judge(gb11643.FUNCTION)(texts)
    assert pa.total_allocated_bytes() - before >= len(found)
