"""Geometry in plain Python: reading GeoJSON, well-known text, areas. Longitude and latitude in degrees (EPSG:4490).

No map is drawn here, and no model computes geometry: what models need is derived at admission.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

_EARTH_RADIUS_KM = 6371.0088  # mean radius (IUGG); an area is right to about 0.3 %
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_RING = rf"\(\s*{_NUMBER}\s+{_NUMBER}(?:\s*,\s*{_NUMBER}\s+{_NUMBER}){{3,}}\s*\)"
_POLYGON = rf"\(\s*{_RING}(?:\s*,\s*{_RING})*\s*\)"
_WKT = re.compile(rf"(?:POLYGON\s*{_POLYGON}|MULTIPOLYGON\s*\(\s*{_POLYGON}(?:\s*,\s*{_POLYGON})*\s*\))")

Position = Sequence[float]
Ring = Sequence[Position]
Polygon = Sequence[Ring]
"""The outer ring, then the holes."""


def to_wkt(geometry: dict[str, Any]) -> str:
    """A GeoJSON Polygon or MultiPolygon (RFC 7946) as well-known text; heights are dropped.

    Raises ValueError for any other type.
    """
    if geometry["type"] == "Polygon":
        return f"POLYGON {_polygon(geometry['coordinates'])}"
    if geometry["type"] == "MultiPolygon":
        return f"MULTIPOLYGON ({', '.join(_polygon(part) for part in geometry['coordinates'])})"
    raise ValueError(f"geometry type {geometry['type']} is not a polygon")


def from_wkt(wkt: str) -> list[list[list[tuple[float, float]]]]:
    """The polygons of a POLYGON or MULTIPOLYGON: polygons, rings (the first is the outer one), positions in degrees.

    Raises ValueError for anything else and for rings of fewer than four positions.
    """
    if _WKT.fullmatch(wkt.strip()) is None:
        raise ValueError(f"not a polygon in well-known text: {wkt[:40]}")
    return [[_ring(ring) for ring in re.findall(_RING, polygon)] for polygon in re.findall(_POLYGON, wkt)]


def area_km2(wkt: str) -> float:
    """The area on the sphere of a polygon or multipolygon, holes taken off, in square kilometres.

    Raises ValueError as `from_wkt` does.
    """
    return sum(_ring_area(outer) - sum(map(_ring_area, holes)) for outer, *holes in from_wkt(wkt))


def _polygon(rings: Polygon) -> str:
    texts = (", ".join(f"{x} {y}" for x, y, *_ in ring) for ring in rings)
    return f"({', '.join(f'({text})' for text in texts)})"


def _ring(text: str) -> list[tuple[float, float]]:
    pairs = (pair.split() for pair in text.strip("() \n").split(","))
    return [(float(x), float(y)) for x, y in pairs]


def _ring_area(ring: Ring) -> float:
    """Chamberlain and Duquette's formula for a ring on the sphere; a ring left open is closed."""
    total = 0.0
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        total += math.radians(x2 - x1) * (2 + math.sin(math.radians(y1)) + math.sin(math.radians(y2)))
    return abs(total) * _EARTH_RADIUS_KM**2 / 2
