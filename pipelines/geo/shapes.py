"""One geometry: read from well-known text, its box, size, inner point and soundness, and written for other programs.

Belongs here: points, lines and polygons, alone or several of a kind, positions of two numbers in degrees, one geometry
at a time. Does not belong here: which area of many a point lies in (`areas`), datums, files.
"""

import json
import math
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_PAIR = re.compile(rf"({_NUMBER}) ({_NUMBER})")
_TEXT = re.compile(r"(POINT|LINESTRING|POLYGON|MULTILINESTRING|MULTIPOLYGON) ?(\(.*\))", re.DOTALL)
_NAMES = {
    "POINT": "Point", "LINESTRING": "LineString", "POLYGON": "Polygon",
    "MULTILINESTRING": "MultiLineString", "MULTIPOLYGON": "MultiPolygon",
}  # fmt: skip
_CODES = {"Point": 1, "LineString": 2, "Polygon": 3, "MultiLineString": 5, "MultiPolygon": 6}
_DEPTHS = {"Point": 0, "LineString": 1, "Polygon": 2, "MultiLineString": 2, "MultiPolygon": 3}
"""Lists around a position."""
_AXIS: Final = 6378137.0
_ECCENTRICITY_SQUARED: Final = 1 / 298.257222101 * (2 - 1 / 298.257222101)
"""The ellipsoid of CGCS2000."""

Position = tuple[float, float]
Box = tuple[float, float, float, float]
"""West, south, east, north."""
_Edge = tuple[Position, Position, int, int, int]
"""Where an edge begins and ends, the number of its ring, its place in it, and how many edges that has."""


@dataclass(frozen=True)
class Shape:
    """A geometry. `kind` and the nesting of `coordinates` are those of GeoJSON (RFC 7946)."""

    kind: str
    coordinates: Any

    @property
    def paths(self) -> list[list[Position]]:
        """Every line and ring; a point is a path of one position."""
        if self.kind == "Point":
            return [[self.coordinates]]
        if self.kind == "LineString":
            return [self.coordinates]
        if self.kind == "MultiPolygon":
            return [ring for polygon in self.coordinates for ring in polygon]
        return list(self.coordinates)

    @property
    def polygons(self) -> list[list[list[Position]]]:
        """Polygons of rings, the outer one first; none of points and lines."""
        if self.kind == "Polygon":
            return [self.coordinates]
        return list(self.coordinates) if self.kind == "MultiPolygon" else []

    @property
    def box(self) -> Box:
        """The bounds of all positions."""
        xs, ys = zip(*(position for path in self.paths for position in path), strict=True)
        return min(xs), min(ys), max(xs), max(ys)


def read(text: str) -> Shape:
    """The geometry of a well-known text. Raises ValueError for any other text, for EMPTY and for a third number."""
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError("no well-known text of a point, line or polygon")
    kind, body = _NAMES[found[1]], found[2]
    try:
        nested = json.loads(_PAIR.sub(r"[\1,\2]", body).replace("(", "[").replace(")", "]"))
    except json.JSONDecodeError:
        raise ValueError("no well-known text of a point, line or polygon") from None
    if kind == "Point":
        nested = nested[0] if len(nested) == 1 else None
    return Shape(kind, _positions(nested, _DEPTHS[kind]))


def closed(shape: Shape) -> bool:
    """Every ring ends where it begins; true of what has no rings."""
    return all(ring[0] == ring[-1] for polygon in shape.polygons for ring in polygon)


def simple(shape: Shape) -> bool:
    """No ring of a polygon touches or crosses itself or another of the same polygon (OGC 06-103r4, 6.1.11).

    That two rings may touch in a point is not allowed here: no parcel needs it. True of what has no rings.
    """
    return not any(_tangled(polygon) for polygon in shape.polygons)


def area_m2(shape: Shape) -> float:
    """The area in square metres on the ellipsoid of CGCS2000, holes taken off; 0 of what has no rings.

    Taken as flat around its middle: right to 0.01 % up to a few kilometres across.
    """
    return sum(_flat_area(outer) - sum(map(_flat_area, holes)) for outer, *holes in shape.polygons)


def length_m(shape: Shape) -> float:
    """The length of all paths in metres, measured like `area_m2`."""
    return sum(
        math.dist(first, second) for path in shape.paths for flat in [_flat(path)] for first, second in pairwise(flat)
    )


def inner_point(shape: Shape) -> Position:
    """A position that stands for the geometry: in a polygon, the largest of several; in the middle of a line."""
    if shape.kind == "Point":
        return float(shape.coordinates[0]), float(shape.coordinates[1])
    if shape.polygons:
        return _inside(max(shape.polygons, key=lambda rings: _flat_area(rings[0])))
    longest = max(shape.paths, key=lambda path: length_m(Shape("LineString", path)))
    return _halfway(longest)


def covers(shape: Shape, x: float, y: float) -> bool:
    """Whether a position lies in a polygon of the geometry, by the rule of even and odd crossings."""
    return any(_within(rings, x, y) for rings in shape.polygons)


def kilometres_from(shape: Shape, x: float, y: float) -> float:
    """How far a position is from the nearest path of the geometry."""
    east, north = _scales(y)
    nearest = math.inf
    for path in shape.paths:
        flat = [((px - x) * east, (py - y) * north) for px, py in path]
        nearest = min(nearest, *(_from_origin(a, b) for a, b in zip(flat, flat[1:] or flat, strict=False)))
    return nearest / 1000


def to_wkb(shape: Shape) -> bytes:
    """Well-known binary (ISO 13249-3), little-endian."""
    if shape.kind == "Point":
        return struct.pack("<BIdd", 1, 1, *shape.coordinates)
    head = struct.pack("<BII", 1, _CODES[shape.kind], len(shape.coordinates))
    if shape.kind.startswith("Multi"):
        single = shape.kind.removeprefix("Multi")
        return head + b"".join(to_wkb(Shape(single, part)) for part in shape.coordinates)
    if shape.kind == "LineString":
        return head + _packed(shape.coordinates)
    return head + b"".join(struct.pack("<I", len(ring)) + _packed(ring) for ring in shape.coordinates)


def wound(shape: Shape) -> Shape:
    """The same geometry with outer rings against the clock and holes with it, as RFC 7946 (3.1.6) wants them."""
    if not shape.polygons:
        return shape
    turned = [[_turned(ring, number == 0) for number, ring in enumerate(rings)] for rings in shape.polygons]
    return Shape(shape.kind, turned if shape.kind == "MultiPolygon" else turned[0])


def _positions(nested: Any, depth: int) -> Any:
    """The same nesting, checked: positions of two numbers at this depth, no list empty."""
    if not isinstance(nested, list) or not nested:
        raise ValueError("no well-known text of a point, line or polygon")
    if depth:
        return [_positions(one, depth - 1) for one in nested]
    if len(nested) != 2 or any(isinstance(one, list) for one in nested):
        raise ValueError("no well-known text of a point, line or polygon")
    return float(nested[0]), float(nested[1])


def _scales(latitude: float) -> tuple[float, float]:
    """Metres of a degree of longitude and of latitude."""
    sine = math.sin(math.radians(latitude))
    flat = 1 - _ECCENTRICITY_SQUARED * sine * sine
    prime = _AXIS / math.sqrt(flat)
    meridian = prime * (1 - _ECCENTRICITY_SQUARED) / flat
    return math.radians(prime * math.cos(math.radians(latitude))), math.radians(meridian)


def _flat(path: Sequence[Position]) -> list[Position]:
    """A path in metres from its first position, by the scales in the middle of its latitudes."""
    ys = [y for _, y in path]
    east, north = _scales((min(ys) + max(ys)) / 2)
    (x0, y0) = path[0]
    return [((x - x0) * east, (y - y0) * north) for x, y in path]


def _flat_area(ring: Sequence[Position]) -> float:
    return abs(_signed(_flat(ring)))


def _signed(ring: Sequence[Position]) -> float:
    """The area of a ring of a plane, positive against the clock; a ring left open is closed."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in _edges(ring)) / 2


def _edges(ring: Sequence[Position]) -> Iterator[tuple[Position, Position]]:
    return zip(ring, [*ring[1:], ring[0]], strict=True)


def _turned(ring: Sequence[Position], outer: bool) -> list[Position]:
    return list(ring) if (_signed(_flat(ring)) > 0) == outer else list(reversed(ring))


def _within(rings: Sequence[Sequence[Position]], x: float, y: float) -> bool:
    odd = False
    for ring in rings:
        for (x1, y1), (x2, y2) in _edges(ring):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                odd = not odd
    return odd


def _inside(rings: Sequence[Sequence[Position]]) -> Position:
    """The middle of the box's widest chord through its middle latitude, which lies in the polygon unless it is flat."""
    ys = [y for _, y in rings[0]]
    # not exactly the middle, where a corner is more likely to be than anywhere else
    level = min(ys) + (max(ys) - min(ys)) * 0.4999
    found = sorted(
        x1 + (level - y1) * (x2 - x1) / (y2 - y1)
        for ring in rings
        for (x1, y1), (x2, y2) in _edges(ring)
        if (y1 > level) != (y2 > level)
    )
    if not found:
        return rings[0][0]
    west, east = max(zip(found[::2], found[1::2], strict=False), key=lambda chord: chord[1] - chord[0])
    return (west + east) / 2, level


def _halfway(path: Sequence[Position]) -> Position:
    flat = _flat(path)
    steps = [math.dist(a, b) for a, b in pairwise(flat)]
    left = sum(steps) / 2
    for number, step in enumerate(steps):
        if left <= step and step > 0:
            (x1, y1), (x2, y2) = path[number], path[number + 1]
            return x1 + (x2 - x1) * left / step, y1 + (y2 - y1) * left / step
        left -= step
    return path[0]


def _from_origin(first: Position, second: Position) -> float:
    """The distance of 0, 0 from an edge."""
    (x1, y1), (x2, y2) = first, second
    dx, dy = x2 - x1, y2 - y1
    long = dx * dx + dy * dy
    share = 0.0 if long == 0 else min(1.0, max(0.0, -(x1 * dx + y1 * dy) / long))
    return math.hypot(x1 + share * dx, y1 + share * dy)


def _tangled(rings: Sequence[Sequence[Position]]) -> bool:
    """Whether two edges of a polygon meet elsewhere than one ends where the next begins.

    Edges are looked at from west to east, each beside those that it overlaps: nearly linear for what is drawn.
    """
    edges: list[_Edge] = []
    for number, ring in enumerate(rings):
        corners = [one for one, after in _edges(ring) if one != after]
        if len(corners) < 3:
            return True
        edges += [(one, after, number, place, len(corners)) for place, (one, after) in enumerate(_edges(corners))]
    edges.sort(key=lambda edge: min(edge[0][0], edge[1][0]))
    for number, first in enumerate(edges):
        east = max(first[0][0], first[1][0])
        for second in edges[number + 1 :]:
            if min(second[0][0], second[1][0]) > east:
                break
            if _clash(first, second):
                return True
    return False


def _clash(one: _Edge, two: _Edge) -> bool:
    (a, b, ring, place, size), (c, d, other, beside, _) = one, two
    if ring == other and (place - beside) % size in (1, size - 1):
        before, corner, after = (a, b, d) if (place + 1) % size == beside else (c, d, b)
        ahead = (corner[0] - before[0]) * (after[0] - corner[0]) + (corner[1] - before[1]) * (after[1] - corner[1])
        return _turn(before, corner, after) == 0 and ahead < 0  # a spike: there and back again
    sides = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    touching = ((c, a, b, sides[0]), (d, a, b, sides[1]), (a, c, d, sides[2]), (b, c, d, sides[3]))
    return any(side == 0 and _between(point, start, end) for point, start, end, side in touching)


def _turn(a: Position, b: Position, c: Position) -> float:
    """Positive if c lies left of the way from a to b, 0 on its line."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _between(point: Position, start: Position, end: Position) -> bool:
    return all(min(start[axis], end[axis]) <= point[axis] <= max(start[axis], end[axis]) for axis in (0, 1))


def _packed(path: Sequence[Position]) -> bytes:
    numbers = [number for position in path for number in position]
    return struct.pack(f"<{len(numbers)}d", *numbers)
