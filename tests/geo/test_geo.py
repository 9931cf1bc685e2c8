"""Areas of Lu'an's counties, holes, several polygons, and well-known text there and back."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import geo

BOUNDARIES = Path(__file__).parents[2] / "data_contracts/codes/county_boundary.geojson"
FEATURES = json.loads(BOUNDARIES.read_text("utf-8"))["features"]
# km² computed elsewhere from the same polygons, on the ellipsoid.
AREAS = {
    "341502": 1668.9,
    "341503": 1905.3,
    "341504": 566.9,
    "341522": 3267.5,
    "341523": 2112.1,
    "341524": 3926.0,
    "341525": 2042.1,
}

OUTER = "(116 31, 117 31, 117 32, 116 32, 116 31)"
HOLE = "(116.2 31.2, 116.4 31.2, 116.4 31.4, 116.2 31.4, 116.2 31.2)"
ELSEWHERE = "(118 31, 118.5 31, 118.5 31.5, 118 31.5, 118 31)"


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: str(feature["properties"]["code"]))
def test_the_counties_have_their_areas(feature: dict[str, Any]) -> None:
    area = geo.area_km2(geo.to_wkt(feature["geometry"]))
    assert area == pytest.approx(AREAS[str(feature["properties"]["code"])], rel=0.01)


def test_the_city_is_the_sum_of_its_counties() -> None:
    assert len(FEATURES) == 7
    assert sum(geo.area_km2(geo.to_wkt(feature["geometry"])) for feature in FEATURES) == pytest.approx(15_451, rel=0.01)


def test_a_cell_of_the_grid_has_its_exact_area() -> None:
    exact = 6371.0088**2 * math.radians(1) * (math.sin(math.radians(32)) - math.sin(math.radians(31)))
    assert geo.area_km2(f"POLYGON ({OUTER})") == pytest.approx(exact, rel=1e-4)


def test_holes_are_taken_off() -> None:
    whole, hole = geo.area_km2(f"POLYGON ({OUTER})"), geo.area_km2(f"POLYGON ({HOLE})")
    assert geo.area_km2(f"POLYGON ({OUTER}, {HOLE})") == pytest.approx(whole - hole)


def test_several_polygons_are_added() -> None:
    both = geo.area_km2(f"MULTIPOLYGON (({OUTER}, {HOLE}), ({ELSEWHERE}))")
    parts = (f"POLYGON ({OUTER}, {HOLE})", f"POLYGON ({ELSEWHERE})")
    assert both == pytest.approx(sum(map(geo.area_km2, parts)))


def test_the_direction_of_a_ring_and_its_closing_do_not_matter() -> None:
    area = geo.area_km2(f"POLYGON ({OUTER})")
    assert geo.area_km2("POLYGON((116 31,116 32,117 32,117 31,116 31))") == pytest.approx(area)
    assert geo.area_km2("POLYGON((116 31,117 31,117 32,116 32))") == pytest.approx(area)


positions = st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(lambda pair: [round(part, 6) for part in pair])
rings = st.lists(positions, min_size=3, max_size=8).map(lambda ring: [*ring, ring[0]])
polygons = st.lists(rings, min_size=1, max_size=3)


@given(parts=st.lists(polygons, min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_well_known_text_comes_back(parts: list[list[list[list[float]]]]) -> None:
    expected = [[[tuple(position) for position in ring] for ring in polygon] for polygon in parts]
    assert geo.from_wkt(geo.to_wkt({"type": "MultiPolygon", "coordinates": parts})) == expected
    assert geo.from_wkt(geo.to_wkt({"type": "Polygon", "coordinates": parts[0]})) == expected[:1]


def test_heights_are_dropped() -> None:
    ring = [[116, 31, 5], [117, 31, 5], [117, 32, 5], [116, 31, 5]]
    assert geo.to_wkt({"type": "Polygon", "coordinates": [ring]}) == "POLYGON ((116 31, 117 31, 117 32, 116 31))"


@pytest.mark.parametrize("kind", ["Point", "LineString", "GeometryCollection"])
def test_other_geometries_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind} is not a polygon"):
        geo.to_wkt({"type": kind, "coordinates": []})


@pytest.mark.parametrize("wkt", ["", "POINT (1 2)", "POLYGON EMPTY", "POLYGON ((1 2, 3 4))", f"POLYGON {OUTER}", "x"])
def test_other_texts_are_refused(wkt: str) -> None:
    with pytest.raises(ValueError, match="not a polygon"):
        geo.area_km2(wkt)
