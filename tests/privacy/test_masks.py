"""Masks hide what they should, for odd values too."""

from collections.abc import Iterator
from datetime import date

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.evidence.gate import TYPES
from pipelines.privacy.masks import masks

CASES = [
    ("id_6_4", "341502200501010019", "341502********0019"),
    ("id_6_4", "34150220050101001", "*" * 18),
    ("id_6_4", "341502850101001", "*" * 18),
    ("id_6_4", "341502", "*" * 18),
    ("id_6_4", "", "*" * 18),
    ("surname", "张三", "张*"),
    ("surname", "欧阳修文", "欧***"),
    ("surname", "𠀀三", "𠀀*"),
    ("surname", "买买提·艾力", "买*****"),
    ("surname", "张", "*"),
    ("surname", "", "*"),
    ("phone_3_4", "13812345678", "138****5678"),
    ("phone_3_4", "1381234", "*" * 11),
    ("phone_3_4", "+8613812345678", "*" * 11),
    ("phone_3_4", "", "*" * 11),
    ("town", "341502001001", "341502001"),
    ("town", "341502001", "341502001"),
    ("town", "341502", "341502"),
    ("town", "341502200501010019", None),
    ("town", "13812345678", None),
    ("town", "张三", None),
    ("town", "", None),
]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with a pseudonym function, as the caller of a mask must provide it."""
    with duckdb.connect() as connection:
        for keyed in ("pseudonym", "sealed"):
            connection.create_function(keyed, lambda text: "0" * 32, ["VARCHAR"], "VARCHAR")
        yield connection


def masked(con: duckdb.DuckDBPyConnection, name: str, value: object, kind: str = "VARCHAR") -> object:
    row = con.execute(f"SELECT {masks[name].function('v')} FROM (SELECT ?::{kind} v)", [value]).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(("name", "value", "expected"), CASES)
def test_a_mask_shows_what_it_says(con: duckdb.DuckDBPyConnection, name: str, value: str, expected: str | None) -> None:
    assert masked(con, name, value) == expected


def test_the_year_of_a_date(con: duckdb.DuckDBPyConnection) -> None:
    assert masked(con, "year", date(2005, 1, 1), "DATE") == 2005
    assert masked(con, "year", "2005-01-01 23:59:59", "TIMESTAMP") == 2005


def test_a_pseudonym_is_made_by_the_registered_function(con: duckdb.DuckDBPyConnection) -> None:
    assert masked(con, "pseudonym", "341502200501010019") == "0" * 32
    assert [name for name, mask in masks.items() if mask.about.needs_key] == ["pseudonym", "sealed"]
    assert [name for name, mask in masks.items() if mask.about.opens] == ["sealed"]


@pytest.mark.parametrize("name", masks)
def test_null_stays_null(con: duckdb.DuckDBPyConnection, name: str) -> None:
    assert masked(con, name, None, "DATE" if name == "year" else "VARCHAR") is None


@pytest.mark.parametrize("name", ["id_6_4", "surname", "phone_3_4"])
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), max_size=20))
@settings(max_examples=150, deadline=None)
def test_no_value_comes_out_unchanged_or_whole(con: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    found = str(masked(con, name, value))
    assert found != value
    assert "*" in found
    assert not value or value not in found


@given(value=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_town_is_never_finer_than_nine_digits(con: duckdb.DuckDBPyConnection, value: str) -> None:
    found = masked(con, "town", value)
    assert found is None or (str(found).isdigit() and len(str(found)) <= 9)


def test_a_mask_makes_the_type_that_it_says(con: duckdb.DuckDBPyConnection) -> None:
    for name, mask in masks.items():
        if mask.about.needs_key:
            continue
        value = "DATE '1980-01-01'" if mask.about.fits == "date" else "'341502198001010001'"
        ((kind,),) = con.execute(f"SELECT typeof({mask.function(value)})").fetchall()
        assert kind in TYPES[mask.about.made], name  # type: ignore[index]


def test_masks_that_show_a_part_say_what_they_fit() -> None:
    assert {name: mask.about.fits for name, mask in masks.items()} == {
        "id_6_4": "id_number",
        "surname": "name",
        "phone_3_4": "mobile",
        "year": "date",
        "town": "divisions",
        "pseudonym": None,
        "sealed": None,
    }
