"""Points in areas against a judge that computes in fractions: on edges and corners, in holes, of several areas."""

import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import geo
from pipelines.geo.areas import NOWHERE, Areas
from tests.city import seed_from_clock
from tests.draws import draws

BOUNDARIES = Path(__file__).parents[2] / "data_contracts/codes/county_boundary.geojson"
FEATURES = json.loads(BOUNDARIES.read_text("utf-8"))["features"]
COUNTIES = {feature["properties"]["code"]: geo.to_wkt(feature["geometry"]) for feature in FEATURES}
LU_AN = Areas(tuple(COUNTIES), tuple(COUNTIES.values()))

Point = tuple[float, float]
Ring = list[Point]


def judge(wkt: str, point: Point) -> bool:
    """Whether a point lies in a polygon or on its boundary, in fractions: crossings of a ray to the east."""
    x, y = map(Fraction, point)
    odd = False
    for polygon in geo.from_wkt(wkt):
        for ring in polygon:
            for one, other in zip(ring, [*ring[1:], ring[0]], strict=True):
                (x1, y1), (x2, y2) = (tuple(map(Fraction, end)) for end in (one, other))
                across = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)
                if across == 0 and min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
                    return True
                if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                    odd = not odd
    return odd


def wkt_of(polygons: Sequence[Sequence[Ring]]) -> str:
    return geo.to_wkt({"type": "MultiPolygon", "coordinates": polygons})


# Coordinates on a coarse grid make points on edges, on corners and on shared boundaries likely; thirds are not exact.
coordinates = st.one_of(
    st.integers(0, 6).map(float), st.integers(0, 18).map(lambda number: number / 3), st.floats(-1, 7)
)
positions = st.tuples(coordinates, coordinates)
rings = st.lists(positions, min_size=3, max_size=7).map(lambda ring: [*ring, ring[0]])
areas = st.lists(st.lists(rings, min_size=1, max_size=3), min_size=1, max_size=2)


@pytest.mark.long
@given(
    st.lists(areas, min_size=1, max_size=3),
    st.lists(positions, min_size=1, max_size=30),
    st.sampled_from([1, 2, 7, 64]),
)
@settings(max_examples=draws(100), deadline=None)
def test_points_are_where_fractions_say(parts: list[list[list[Ring]]], points: list[Point], cells: int) -> None:
    texts = [wkt_of(area) for area in parts]
    corners = [corner for area in parts for polygon in area for ring in polygon for corner in ring]
    middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairwise(corners)]
    points = [*points, *corners, *middles]
    x, y = np.array(points).T
    index = Areas([str(number) for number in range(len(texts))], texts, cells)
    expected = [[judge(text, point) for text in texts] for point in points]
    first = [row.index(True) if True in row else NOWHERE for row in expected]
    assert index.locate(x, y).tolist() == first
    for number in range(len(texts)):
        inside = index.contains(np.full(x.size, number), x, y)
        assert inside.tolist() == [row[number] for row in expected]


@pytest.mark.long
def test_points_of_the_city_are_where_fractions_say() -> None:
    seed = seed_from_clock()
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(115.2, 117.4, 300), rng.uniform(30.9, 32.8, 300)
    codes = LU_AN.code_at(x, y).to_pylist()
    for point, code in zip(zip(x, y, strict=True), codes, strict=True):
        assert code == next((one for one, wkt in COUNTIES.items() if judge(wkt, point)), None)
    assert len(set(codes)) > 5


def test_the_share_of_points_is_the_share_of_area() -> None:
    seed, drawn = seed_from_clock(), 400_000
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(115.2, 117.4, drawn), rng.uniform(30.9, 32.8, drawn)
    found = LU_AN.locate(x, y)
    box = geo.area_km2("POLYGON ((115.2 30.9, 117.4 30.9, 117.4 32.8, 115.2 32.8, 115.2 30.9))")
    for number, wkt in enumerate(COUNTIES.values()):
        share = geo.area_km2(wkt) / box
        luck = (share * (1 - share) / drawn) ** 0.5
        # degrees are a little shorter in the north of the box, so equal areas do not get equal numbers of points
        assert (found == number).mean() == pytest.approx(share, abs=6 * luck)


def test_nowhere_is_nowhere() -> None:
    x = [np.nan, 116.5, 0.0, np.inf, -1e300, 31.7]
    y = [31.7, np.nan, 0.0, 31.7, 1e300, 116.5]
    assert LU_AN.code_at(x, y).to_pylist() == [None] * 6
    assert not LU_AN.contains(np.array([0, 0, 0, 0, 0, NOWHERE]), x, y).any()
    assert Areas([], []).code_at([116.5], [31.7]).to_pylist() == [None]


def test_what_is_no_polygon_is_refused() -> None:
    with pytest.raises(ValueError, match="not a polygon"):
        Areas(["1"], ["POINT (1 2)"])
