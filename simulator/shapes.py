"""Shapes on the ground, as departments draw them: well-known text in degrees of CGCS2000, and files that hold it.

Belongs here: drawing, shifting, and the two formats GeoJSON and GeoPackage. What is drawn belongs to the registers.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

Position = tuple[float, float]
GEOMETRY = "geometry"
"""The column of a file that is drawn: well-known text of a point or a line, or nothing."""
_PAIR = re.compile(r"(-?[0-9.]+) (-?[0-9.]+)")
_CHANGED = "2026-01-01T00:00:00.000Z"
"""When packages say that they were written: the same seed gives the same bytes."""


def metres(latitude: float) -> Position:
    """Metres of a degree of longitude and of latitude, on the ellipsoid of CGCS2000."""
    square = 0.0066943800229
    flat = 1 - square * math.sin(math.radians(latitude)) ** 2
    prime = 6378137.0 / math.sqrt(flat)
    return math.radians(prime * math.cos(math.radians(latitude))), math.radians(prime * (1 - square) / flat)


def rectangle(x: float, y: float, wide: float, deep: float, turned: float) -> str:
    """A polygon of so many metres around a position; `turned` in radians."""
    corners = [(-wide, -deep), (wide, -deep), (wide, deep), (-wide, deep), (-wide, -deep)]
    cosine, sine = math.cos(turned), math.sin(turned)
    return polygon([moved(x, y, (a * cosine - b * sine) / 2, (a * sine + b * cosine) / 2) for a, b in corners])


def moved(x: float, y: float, east: float, north: float) -> Position:
    """A position so many metres away."""
    of_longitude, of_latitude = metres(y)
    return x + east / of_longitude, y + north / of_latitude


def polygon(ring: Sequence[Position]) -> str:
    return f"POLYGON (({_joined(ring)}))"


def line(path: Sequence[Position]) -> str:
    return f"LINESTRING ({_joined(path)})"


def point(x: float, y: float) -> str:
    return f"POINT ({_joined([(x, y)])})"


def positions(text: str) -> list[Position]:
    """The positions of a well-known text, one after the other."""
    return [(float(x), float(y)) for x, y in _PAIR.findall(text)]


def shifted(text: str, east: float, north: float) -> str:
    """A well-known text moved by so many degrees."""
    return _each(text, lambda x, y: (x + east, y + north))


def in_gcj(text: str) -> str:
    """A well-known text as an export from a commercial map gives it: in GCJ-02, half a kilometre off."""
    return _each(text, _gcj)


def swapped(text: str) -> str:
    """A well-known text with latitude before longitude."""
    return _each(text, lambda x, y: (y, x))


def feature_collection(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """A GeoJSON document, with its reference system told as it was before RFC 7946."""
    features = []
    for row in rows:
        values = dict(zip(names, row, strict=True))
        text = values.pop(GEOMETRY, None)
        features.append({"type": "Feature", "properties": values, "geometry": None if text is None else _geojson(text)})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}
    return json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}, ensure_ascii=False, indent=0)


def write_package(target: Path, layer: str, names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    """A GeoPackage (OGC 12-128r18) with one layer of points."""
    target.unlink(missing_ok=True)
    plain = [name for name in names if name != GEOMETRY]
    at = list(names).index(GEOMETRY)
    con = sqlite3.connect(target)
    try:
        con.executescript(_PACKAGE)
        listed = ", ".join(f'"{name}" TEXT' for name in plain)
        con.execute(f'CREATE TABLE "{layer}" (fid INTEGER PRIMARY KEY AUTOINCREMENT, geom POINT, {listed})')
        con.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change, srs_id) VALUES (?, ?, ?, ?, ?)",
            [layer, "features", layer, _CHANGED, 4490],
        )
        con.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'POINT', 4490, 0, 0)", [layer])
        columns, marks = "".join(f', "{name}"' for name in plain), ", ".join("?" * (len(plain) + 1))
        con.executemany(
            f'INSERT INTO "{layer}" (geom{columns}) VALUES ({marks})',
            [[_blob(row[at]), *(value for number, value in enumerate(row) if number != at)] for row in rows],
        )
        con.commit()
    finally:
        con.close()


def _gcj(longitude: float, latitude: float) -> Position:
    """A position in GCJ-02, by the formula that is found alike in many programs."""
    x, y = longitude - 105, latitude - 35
    waves = 20 * math.sin(6 * math.pi * x) + 20 * math.sin(2 * math.pi * x)
    root = math.sqrt(abs(x))
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + waves * 2 / 3
    north += (20 * math.sin(math.pi * y) + 40 * math.sin(math.pi * y / 3)) * 2 / 3
    north += (160 * math.sin(math.pi * y / 12) + 320 * math.sin(math.pi * y / 30)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + waves * 2 / 3
    east += (20 * math.sin(math.pi * x) + 40 * math.sin(math.pi * x / 3)) * 2 / 3
    east += (150 * math.sin(math.pi * x / 12) + 300 * math.sin(math.pi * x / 30)) * 2 / 3
    square = 0.00669342162296594323
    flat = 1 - square * math.sin(math.radians(latitude)) ** 2
    meridian, parallel = (
        6378245 * (1 - square) / flat**1.5,
        6378245 / math.sqrt(flat) * math.cos(math.radians(latitude)),
    )
    return longitude + math.degrees(east / parallel), latitude + math.degrees(north / meridian)


def _each(text: str, change: Callable[[float, float], Position]) -> str:
    return _PAIR.sub(lambda found: _joined([change(float(found[1]), float(found[2]))]), text)


def _joined(path: Sequence[Position]) -> str:
    return ", ".join(f"{x:.7f} {y:.7f}" for x, y in path)


def _geojson(text: str) -> dict[str, object]:
    path = [list(one) for one in positions(text)]
    if text.startswith("POINT"):
        return {"type": "Point", "coordinates": path[0]}
    return {"type": "LineString", "coordinates": path}


def _blob(text: str | None) -> bytes | None:
    """A point with the head of a package's geometry: no envelope, little-endian."""
    if text is None:
        return None
    ((x, y),) = positions(text)
    return struct.pack("<2sBBiBIdd", b"GP", 0, 1, 4490, 1, 1, x, y)


_PACKAGE = """
PRAGMA application_id = 1196444487;
PRAGMA user_version = 10300;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
INSERT INTO gpkg_spatial_ref_sys VALUES
    ('Undefined Cartesian', -1, 'NONE', -1, 'undefined', NULL),
    ('Undefined geographic', 0, 'NONE', 0, 'undefined', NULL),
    ('CGCS2000', 4490, 'EPSG', 4490, 'GEOGCS["China Geodetic Coordinate System 2000",DATUM["China_2000",'
     || 'SPHEROID["CGCS2000",6378137,298.257222101]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],'
     || 'AUTHORITY["EPSG","4490"]]', NULL);
CREATE TABLE gpkg_contents (table_name TEXT PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
    description TEXT DEFAULT '', last_change DATETIME NOT NULL, min_x DOUBLE, min_y DOUBLE, max_x DOUBLE,
    max_y DOUBLE, srs_id INTEGER REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
    PRIMARY KEY (table_name, column_name));
"""
