"""GCJ-02 and BD-09: the point another program was asked for, there and back again, and what is not shifted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.geo.datums import Datum, transform
from tests.city import seed_from_clock

METRES = 111_320.0
"""A degree of latitude; no degree of longitude is longer."""

lu_an = st.tuples(st.floats(115.3, 117.3), st.floats(31.0, 32.7))
china = st.tuples(st.floats(72.1, 137.7), st.floats(0.9, 55.7))
elsewhere = st.one_of(
    st.tuples(st.floats(-180, 71.9), st.floats(-90, 90)),
    st.tuples(st.floats(138, 180), st.floats(-90, 90)),
    st.tuples(st.floats(-180, 180), st.floats(56, 90)),
    st.tuples(st.floats(-180, 180), st.floats(-90, 0.7)),
)
shifted = st.sampled_from([Datum.GCJ02, Datum.BD09])
any_datum = st.sampled_from(list(Datum))


def test_the_shift_is_what_another_program_gives() -> None:
    """coord-convert 0.2.1 at a point of Lu'an, to five decimals."""
    x, y = transform([116.5217], [31.7350], Datum.CGCS2000, Datum.GCJ02)
    assert x[0] - 116.5217 == pytest.approx(0.00508, abs=5e-6)
    assert y[0] - 31.7350 == pytest.approx(-0.00207, abs=5e-6)


def test_the_shifts_are_hundreds_of_metres_all_over_the_city() -> None:
    rng = np.random.default_rng(seed_from_clock())
    x, y = rng.uniform(115.3, 117.3, 2000), rng.uniform(31.0, 32.7, 2000)
    for datum, low, high in ((Datum.GCJ02, 300, 800), (Datum.BD09, 700, 2000)):
        tx, ty = transform(x, y, Datum.CGCS2000, datum)
        moved = np.hypot((tx - x) * np.cos(np.radians(y)), ty - y) * METRES
        assert moved.min() > low and moved.max() < high, datum


@given(st.lists(st.one_of(lu_an, china), min_size=1, max_size=20), any_datum, any_datum)
@settings(max_examples=300, deadline=None)
def test_there_and_back_again(points: list[tuple[float, float]], source: Datum, target: Datum) -> None:
    """Asked for below 0.1 m; it is far below a millimetre."""
    x, y = np.array(points).T
    back_x, back_y = transform(*transform(x, y, source, target), target, source)
    assert np.hypot(back_x - x, back_y - y).max() * METRES < 1e-4


@given(lu_an)
@settings(max_examples=200, deadline=None)
def test_every_way_leads_to_the_same_place(point: tuple[float, float]) -> None:
    x, y = ([value] for value in point)
    straight = transform(x, y, Datum.WGS84, Datum.BD09)
    in_two_steps = transform(*transform(x, y, Datum.CGCS2000, Datum.GCJ02), Datum.GCJ02, Datum.BD09)
    assert np.array_equal(straight, in_two_steps)
    # BD-09 to GCJ-02 directly: only the second shift is undone
    gcj = transform(*straight, Datum.BD09, Datum.GCJ02)
    assert np.allclose(gcj, transform(x, y, Datum.WGS84, Datum.GCJ02), rtol=0, atol=1e-12)


@given(elsewhere, any_datum, any_datum)
@settings(max_examples=200, deadline=None)
def test_outside_china_nothing_moves(point: tuple[float, float], source: Datum, target: Datum) -> None:
    x, y = transform(*point, source, target)
    assert (float(x), float(y)) == point


@given(china, shifted)
@settings(max_examples=200, deadline=None)
def test_one_point_is_computed_as_in_a_million(point: tuple[float, float], datum: Datum) -> None:
    """The result does not depend on neighbours, nor on the shape asked for."""
    x, y = point
    many = transform(np.full((3, 2), x), np.full((3, 2), y), Datum.CGCS2000, datum)
    alone = transform(x, y, Datum.CGCS2000, datum)
    assert many[0].shape == (3, 2)
    assert np.allclose(many[0], alone[0], rtol=0, atol=1e-13) and np.allclose(many[1], alone[1], rtol=0, atol=1e-13)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("source", list(Datum))
@pytest.mark.parametrize("target", list(Datum))
def test_no_position_stays_none(source: Datum, target: Datum) -> None:
    x, y = transform([np.nan, 116.5, np.inf, 1e300], [31.7, np.nan, 31.7, 1e300], source, target)
    assert not np.isfinite(x[[0, 2]]).any() and np.isnan(y[1]) and x[3] == 1e300
