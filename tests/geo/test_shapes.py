"""Geometries read, measured and written: there and back again, and against what is known of random ones."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.geo import shapes, wkt
from pipelines.geo.shapes import Shape, read

SQUARE = "(116.5 31.7, 116.6 31.7, 116.6 31.8, 116.5 31.8, 116.5 31.7)"
HOLE = "(116.52 31.72, 116.54 31.72, 116.54 31.74, 116.52 31.74, 116.52 31.72)"
POLYGON = f"POLYGON ({SQUARE}, {HOLE})"

Degree = st.floats(-80, 80, allow_nan=False).map(lambda value: round(value, 7))
Corner = st.tuples(Degree, Degree)


def text_of(shape: Shape) -> str:
    """Written by the module that reads what other programs give."""
    return wkt.of_geojson(json.loads(json.dumps({"type": shape.kind, "coordinates": shape.coordinates})), repr)


@st.composite
def anything(draw: st.DrawFn) -> Shape:
    """Any geometry of the five kinds, sound or not."""
    line, ring = st.lists(Corner, min_size=2, max_size=5), st.lists(Corner, min_size=3, max_size=6)
    rings = st.lists(ring.map(lambda corners: [*corners, corners[0]]), min_size=1, max_size=3)
    kinds: dict[str, Any] = {
        "Point": Corner, "LineString": line, "MultiLineString": st.lists(line, min_size=1, max_size=3),
        "Polygon": rings, "MultiPolygon": st.lists(rings, min_size=1, max_size=3),
    }  # fmt: skip
    kind = draw(st.sampled_from(sorted(kinds)))
    return Shape(kind, draw(kinds[kind]))


@given(anything())
def test_every_text_is_read_as_it_was_written(shape: Shape) -> None:
    found = read(text_of(shape))
    assert found == shape
    assert wkt.of_wkb(shapes.to_wkb(found)) == text_of(shape)


@pytest.mark.parametrize(
    "text",
    ["", "POINT EMPTY", "POINT (1)", "POINT (1 2 3)", "POINT ((1 2))", "LINESTRING (1 2, x)", "POLYGON (1 2, 3 4)",
     "CIRCLE (1 2)", "POLYGON ((1 2, 3 4, 5 6, 1 2)", "MULTIPOLYGON (((1 2, 3 4)))) "],
)  # fmt: skip
def test_what_is_no_geometry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no well-known text"):
        read(text)


@given(st.floats(10, 400), st.floats(10, 400), st.floats(0, math.pi), st.floats(31.1, 32.6))
def test_a_rectangle_has_its_area_and_is_covered_by_itself(
    wide: float, deep: float, turned: float, latitude: float
) -> None:
    shape = rectangle(116.5, latitude, wide, deep, turned)
    assert shapes.area_m2(shape) == pytest.approx(wide * deep, rel=2e-4)
    assert shapes.length_m(shape) == pytest.approx(2 * (wide + deep), rel=2e-4)
    assert shapes.closed(shape) and shapes.simple(shape)
    assert shapes.covers(shape, *shapes.inner_point(shape))
    x, y = shapes.inner_point(shape)
    assert shapes.kilometres_from(shape, x, y) * 1000 <= max(wide, deep)


def rectangle(x: float, y: float, wide: float, deep: float, turned: float) -> Shape:
    """A rectangle of so many metres around a position, by the radii of the ellipsoid of WGS 84."""
    e2 = 0.00669437999014
    flat = 1 - e2 * math.sin(math.radians(y)) ** 2
    north = math.radians(6378137 * (1 - e2) / flat**1.5)
    east = math.radians(6378137 / math.sqrt(flat) * math.cos(math.radians(y)))
    cosine, sine = math.cos(turned), math.sin(turned)
    corners = [(-wide / 2, -deep / 2), (wide / 2, -deep / 2), (wide / 2, deep / 2), (-wide / 2, deep / 2)]
    ring = [(x + (a * cosine - b * sine) / east, y + (a * sine + b * cosine) / north) for a, b in corners]
    return Shape("Polygon", [[*ring, ring[0]]])


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        (POLYGON, True),
        ("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))", False),  # a bow tie
        ("POLYGON ((0 0, 4 0, 4 4, 2 0, 0 4, 0 0))", False),  # a corner on another edge
        ("POLYGON ((0 0, 4 0, 6 0, 4 0, 4 4, 0 0))", False),  # a spike
        ("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (3 1, 6 1, 6 2, 3 1))", False),  # a hole that leaves
        ("POLYGON ((0 0, 4 4, 8 8, 0 0))", False),  # no area
        ("POLYGON ((0 0, 0 0, 4 0, 4 4, 0 0))", True),  # a corner told twice is no crossing
        ("POLYGON ((0 0, 2 0, 4 0, 4 4, 0 0))", True),  # a corner on the way
        ("POLYGON ((0 0, 4 0, 0 0))", False),
        ("MULTIPOLYGON (((0 0, 4 0, 4 4, 0 0)), ((9 9, 8 8, 9 8, 9 9)))", True),
        ("LINESTRING (0 0, 2 2, 2 0, 0 2)", True),  # only polygons have an inside
    ],
)
def test_rings_that_cross_are_told(text: str, simple: bool) -> None:
    assert shapes.simple(read(text)) == simple


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=7, unique=True))
def test_crossings_are_those_that_comparing_every_pair_of_edges_finds(corners: list[tuple[int, int]]) -> None:
    ring = [(float(x), float(y)) for x, y in corners]
    edges = list(zip(ring, [*ring[1:], ring[0]], strict=True))
    crossed = any(
        meets(one, two, beside=(b - a) in (1, len(edges) - 1))
        for a, one in enumerate(edges) for b, two in enumerate(edges) if a < b
    )  # fmt: skip
    assert shapes.simple(Shape("Polygon", [[*ring, ring[0]]])) != crossed


def meets(one: Any, two: Any, beside: bool) -> bool:
    """Whether two edges share a position, other than the corner that neighbours share."""
    (a, b), (c, d) = one, two
    ends = {r for p, q, r in ((a, b, c), (a, b, d), (c, d, a), (c, d, b)) if on(p, q, r)}
    if beside:
        return bool(ends - ({a, b} & {c, d}))
    return bool(ends) or (turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0)


def turn(p: Any, q: Any, r: Any) -> float:
    return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))


def on(p: Any, q: Any, r: Any) -> bool:
    between = all(min(p[axis], q[axis]) <= r[axis] <= max(p[axis], q[axis]) for axis in (0, 1))
    return between and turn(p, q, r) == 0
