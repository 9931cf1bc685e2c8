"""Certificate identifiers against published ones, and python-stdnum's ISO 7064."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_37_36

from pipelines.codecs import certificate

Run = Callable[..., Any]

VECTORS = json.loads((Path(__file__).parent / "test_vectors.json").read_text("utf-8"))["ecert"]
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ROOT = "1.2.156.3005.2."
PUBLISHED = [
    "11100000000013338W011.11430000006122244L.20230000403.002.S",
    "11100000000013338W011.11430000006122244L.20230000403.001.U",
    "11100000MB03271699022.340100.000000016.001.9",
    "11100000000013338W087.11370800MB28559184.37080001202411010001.001.3",
]
PREDICATES = (certificate.well_formed, certificate.check_character_right)


def checked(*fields: str) -> str:
    return ROOT + ".".join([*fields, mod_37_36.calc_check_digit("".join(fields))])


signs = st.sampled_from(CHARACTERS)
identifiers = st.builds(
    checked,
    st.tuples(st.text(signs, min_size=18, max_size=18), st.from_regex("[0-9]{3}", fullmatch=True)).map("".join),
    st.text(signs, min_size=18, max_size=18) | st.just("341500"),
    st.text(signs, min_size=1, max_size=40),
    st.integers(0, 999).map("{:03}".format),
)


@pytest.mark.parametrize("fields", PUBLISHED)
def test_published_identifiers_are_accepted(run: Run, fields: str) -> None:
    body, check = fields.replace(".", "")[:-1], fields[-1]
    assert VECTORS[body] == check == mod_37_36.calc_check_digit(body)
    assert run(certificate.check_character_right, ROOT + fields) is True


def test_all_vectors_are_tried() -> None:
    assert {fields.replace(".", "")[:-1] for fields in PUBLISHED} == VECTORS.keys()


@given(text=identifiers)
@settings(max_examples=200, deadline=None)
def test_right_identifiers_are_accepted(run: Run, text: str) -> None:
    assert run(certificate.check_character_right, text) is True


@given(text=identifiers, data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_changed_character_is_refused(run: Run, text: str, data: st.DataObject) -> None:
    places = [place for place in range(len(ROOT), len(text)) if text[place] != "."]
    place, character = data.draw(st.sampled_from(places)), data.draw(signs)
    changed = text[:place] + character + text[place + 1 :]
    assert (run(certificate.check_character_right, changed) is True) is (changed == text)


def test_each_defect_is_reported_once(run: Run) -> None:
    def verdicts(text: str) -> list[bool | None]:
        return [run(predicate, text) for predicate in PREDICATES]

    right = ROOT + PUBLISHED[0]
    assert verdicts(right) == [True, True]
    assert verdicts(right[:-1] + "T") == [True, False]
    for wrong in (
        PUBLISHED[0],
        right[:-2],
        right.replace(".002.", ".02."),
        right.replace("8W011", "8W01A"),
        right.replace("11430000006122244L", "1143000000612224"),
        right.replace("20230000403", "2023-403"),
        right.replace("20230000403", ""),
        right.lower(),
        right.replace("3005", "3006"),
        right + ".0.OFD",
    ):
        assert verdicts(wrong) == [False, None]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
@settings(max_examples=100, deadline=None)
def test_no_text_is_an_error(run: Run, text: str) -> None:
    for predicate in PREDICATES:
        run(predicate, text)
        run(predicate, ROOT + text)


def test_null_stays_null(run: Run) -> None:
    assert [run(predicate, None) for predicate in PREDICATES] == [None, None]


def test_a_hundred_thousand_identifiers_take_no_second() -> None:
    with duckdb.connect() as con:
        serials = "SELECT '.' || (20230000000 + i) || '.001.U' AS s FROM range(100000) r(i)"
        texts = f"SELECT '{ROOT}11100000000013338W011.11430000006122244L' || s AS v FROM ({serials})"
        right = f"count(*) FILTER (WHERE {certificate.check_character_right('v')})"
        row = con.execute(f"SELECT {right} FROM ({texts})").fetchone()
        assert row is not None
        assert 2_000 < row[0] < 4_000  # one in thirty-six
