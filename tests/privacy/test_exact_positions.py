"""Positions that are too exact: pairs in the city's box are found in texts and numbers, other figures are not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.privacy.positions import Box, too_exact
from tests.memory import connection

BOX = Box(115.3, 117.3, 31, 32.7)


def in_texts(*values: str) -> dict[str, int]:
    con = connection()
    con.execute("CREATE TABLE t (a VARCHAR)")
    con.executemany("INSERT INTO t VALUES (?)", [[value] for value in values])
    return too_exact(con, "t", BOX)


def in_numbers(rows: list[tuple[float | None, float | None]], type_: str = "DOUBLE") -> dict[str, int]:
    con = connection()
    con.execute(f"CREATE TABLE t (a {type_}, b {type_})")
    con.executemany("INSERT INTO t VALUES (?, ?)", [list(row) for row in rows])
    return too_exact(con, "t", BOX)


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ("116.123456789,31.987654321", 1),
        ("31.98765, 116.1234", 1),
        ("经度116.12345，纬度31.98765", 1),
        ("POINT(116.5 31.98765)", 1),
        ('{"type": "Point", "coordinates": [116.123456, 31.987654]}', 1),
        ("高12.5米，116.12345,31.98765", 1),
        ("116.1234,31.9876", 0),
        ("121.473701,31.230416", 0),
        ("116.123456", 0),
        ("116.1234567890,88.12345", 0),
        ("0.123456, 0.654321", 0),
        ("2026-11-23 10:00:00.123456", 0),
        ("lat 31.741234 alt 50.2 lon 116.512345", 1),
        ("N31°44'28.4\" E116°30'44.4\"", 1),
        ("北纬31度44分28.4秒，东经116度30分44.4秒", 1),
        ("116°30.7407′E 31°44.473′N", 1),
        ("116°30′44″E，31°44′28″N", 0),  # a second is 31 m
        ("N45°44'28.4\" E116°30'44.4\"", 0),
        ("水温31度，116分28.4秒", 0),
    ],
)
def test_texts(value: str, rows: int) -> None:
    assert in_texts("x", value).get("a", 0) == rows


@settings(max_examples=60, deadline=None)
@given(
    st.integers(11_530_000, 11_730_000).filter(lambda n: n % 10),
    st.integers(3_100_000, 3_270_000),
    st.sampled_from([",", " ", "，", ";", ", ", "，纬度："]),
)
def test_a_pair_in_the_box_is_found(longitude: int, latitude: int, between: str) -> None:
    assert in_texts(f"在{longitude / 100_000:.5f}{between}{latitude / 100_000:.5f}处") == {"a": 1}


@pytest.mark.parametrize("type_", ["DOUBLE", "DECIMAL(18,9)"])
def test_two_columns_of_numbers(type_: str) -> None:
    exact = [(116.123456, 31.987654), (116.5, 31.75), (None, None)]
    assert in_numbers(exact, type_) == {"a, b": 1}
    assert in_numbers([(b, a) for a, b in exact], type_) == {"b, a": 1}
    assert in_numbers([(116.1234, 31.9876), (116.5, 31.75)], type_) == {}
    assert in_numbers([(98.333333, 31.222222)] * 3, type_) == {}


def test_a_row_in_the_box_by_chance_is_none() -> None:
    assert in_numbers([(116.123456, 31.987654), (3.5, 7.25), (80.123456, 12.5)]) == {}


def test_columns_that_a_contract_admits_and_columns_without_figures() -> None:
    con = connection()
    relation = "(SELECT 116.123456::DOUBLE AS a, 31.987654::DOUBLE AS b)"
    assert too_exact(con, relation, BOX, {"a", "b"}) == {}
    assert too_exact(con, "(SELECT 1 AS a)", BOX) == {}


@pytest.mark.parametrize(
    ("easting", "northing", "rows"),
    [
        ("39453112.237 + i", "3512345.118 + i", 50),
        ("453112.237 + i", "3512345.118 + i", 50),
        ("20453112.237 + i", "3512345.118 + i", 50),
        ("453110.0 + 10 * i", "3512340.0 + 10 * i", 0),  # ten metres
        ("39453112.237 + i", "4512345.118 + i", 0),  # far north of the city
        ("45453112.237 + i", "3512345.118 + i", 0),  # another zone
        ("12.237 + i", "3512345.118 + i", 0),
    ],
)
def test_metres_of_the_map_projection(easting: str, northing: str, rows: int) -> None:
    relation = f"(SELECT ({easting})::DOUBLE AS a, ({northing})::DOUBLE AS b FROM range(50) r(i))"
    assert too_exact(connection(), relation, BOX) == ({"a, b": rows} if rows else {})
