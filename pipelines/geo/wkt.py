"""Any geometry as well-known text: from well-known binary (as databases and GDAL give it) and from GeoJSON.

Coordinates are neither changed nor rounded: numbers of eight bytes get the shortest text that gives them again, numbers
of GeoJSON keep their own. Reading well-known text does not belong here.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_KINDS = {
    1: "POINT", 2: "LINESTRING", 3: "POLYGON", 4: "MULTIPOINT", 5: "MULTILINESTRING", 6: "MULTIPOLYGON",
    7: "GEOMETRYCOLLECTION",
}  # fmt: skip
_DEPTHS = {
    "Point": 0, "LineString": 1, "MultiPoint": 2, "Polygon": 2, "MultiLineString": 2, "MultiPolygon": 3,
}  # fmt: skip
_DEEPEST = 20
"""Collections inside of each other."""


def of_wkb(data: bytes) -> str:
    """The text of a geometry in ISO or extended WKB. Raises ValueError for curves and for bytes that are no WKB."""
    try:
        text, end = _geometry(data, 0, 0)
    except struct.error:
        raise ValueError("well-known binary breaks off") from None
    if end != len(data):
        raise ValueError("well-known binary goes on after its end")
    return text


def of_geojson(geometry: Mapping[str, Any], number: Callable[[Any], str] = str, depth: int = 0) -> str:
    """The text of a GeoJSON geometry (RFC 7946); `number` gives a coordinate's text. Raises ValueError for no such."""
    kind = geometry.get("type")
    if kind == "GeometryCollection" and depth < _DEEPEST and isinstance(geometry.get("geometries"), list):
        parts = [of_geojson(_mapping(part), number, depth + 1) for part in geometry["geometries"]]
        return f"GEOMETRYCOLLECTION ({', '.join(parts)})" if parts else "GEOMETRYCOLLECTION EMPTY"
    coordinates = geometry.get("coordinates")
    if kind not in _DEPTHS or not isinstance(coordinates, list):
        raise ValueError(f"geometry type {kind!s:.40} is none of GeoJSON")
    if not coordinates:
        return f"{kind.upper()} EMPTY"
    sizes: set[int] = set()
    if kind == "MultiPoint":
        coordinates = [[position] for position in coordinates]
    text = _nested(coordinates, _DEPTHS[kind], number, sizes)
    if len(sizes) != 1:
        raise ValueError("positions of different length")
    return f"{kind.upper()}{' Z' if sizes == {3} else ''} {text if _DEPTHS[kind] else f'({text})'}"


def _nested(value: Any, depth: int, number: Callable[[Any], str], sizes: set[int]) -> str:
    if not isinstance(value, list) or not value:
        raise ValueError("coordinates are no list")
    if depth:
        return f"({', '.join(_nested(one, depth - 1, number, sizes) for one in value)})"
    if len(value) not in (2, 3):
        raise ValueError("a position has two or three numbers")
    sizes.add(len(value))
    return " ".join(map(number, value))


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a geometry is an object")
    return value


def _geometry(data: bytes, at: int, depth: int) -> tuple[str, int]:
    order = "<" if data[at : at + 1] == b"\x01" else ">"
    (code,) = struct.unpack_from(f"{order}I", data, at + 1)
    at += 5
    if code & 0x20000000:
        at += 4  # the reference system of extended WKB
    has_z, has_m = bool(code & 0x80000000), bool(code & 0x40000000)
    thousands, kind = divmod(code & 0x0FFFFFFF, 1000)
    has_z, has_m = has_z or thousands in (1, 3), has_m or thousands in (2, 3)
    if kind not in _KINDS or thousands > 3 or depth > _DEEPEST:
        raise ValueError(f"geometry type {code} has no well-known text here")
    name = _KINDS[kind] + {(True, True): " ZM", (True, False): " Z", (False, True): " M"}.get((has_z, has_m), "")
    size = 2 + has_z + has_m
    if kind == 1:
        text, at = _position(data, at, order, size)
        return (f"{name} ({text})" if text else f"{name} EMPTY"), at
    (count,) = struct.unpack_from(f"{order}I", data, at)
    at += 4
    parts: list[str] = []
    for _ in range(count):
        if kind == 2:
            part, at = _position(data, at, order, size)
        elif kind == 3:
            part, at = _ring(data, at, order, size)
        else:
            part, at = _geometry(data, at, depth + 1)
            part = part if kind == 7 else part.removeprefix(name.removeprefix("MULTI")).lstrip()
        parts.append(part)
    return (f"{name} ({', '.join(parts)})" if parts else f"{name} EMPTY"), at


def _ring(data: bytes, at: int, order: str, size: int) -> tuple[str, int]:
    (count,) = struct.unpack_from(f"{order}I", data, at)
    at += 4
    positions = []
    for _ in range(count):
        text, at = _position(data, at, order, size)
        positions.append(text)
    return f"({', '.join(positions)})", at


def _position(data: bytes, at: int, order: str, size: int) -> tuple[str, int]:
    """A position as text, empty if it is none; and where the next begins."""
    numbers: Sequence[float] = struct.unpack_from(f"{order}{size}d", data, at)
    empty = all(map(math.isnan, numbers))
    return "" if empty else " ".join(map(repr, numbers)), at + 8 * size
