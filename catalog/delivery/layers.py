"""Layers as files that geographic programs open: GeoJSON, GeoPackage, GeoParquet, from the same rows as any download.

A product is a layer if it shows a column of geometries as it is. Positions are longitude and latitude of CGCS2000
(EPSG:4490), in this order in every format. GeoPackage and GeoParquet say so; GeoJSON cannot: RFC 7946 knows WGS 84
alone and its readers take the numbers for that, less than a metre beside. What the columns are called, the licence and
the version travel with the file. Which rows may be given out is decided elsewhere.
"""

import json
import math
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.codecs.sql import identifier
from pipelines.contracts.resolved import Product
from pipelines.contracts.texts import LANGUAGES
from pipelines.geo import shapes
from pipelines.geo.shapes import Box, Shape
from pipelines.messages import translate
from pipelines.register.times import as_utc
from pipelines.release.ledger import Recorded

AT_ONCE: Final = 5_000
"""Rows in memory together."""
ROW_GROUP: Final = 50_000
CRS: Final = "EPSG:4490"
_CODE: Final = 4490
PROJJSON: Final[dict[str, Any]] = {
    "$schema": "https://proj.org/schemas/v0.7/projjson.schema.json",
    "type": "GeographicCRS",
    "name": "China Geodetic Coordinate System 2000",
    "datum": {
        "type": "GeodeticReferenceFrame",
        "name": "China 2000",
        "ellipsoid": {"name": "CGCS2000", "semi_major_axis": 6378137, "inverse_flattening": 298.257222101},
    },
    "coordinate_system": {
        "subtype": "ellipsoidal",
        "axis": [
            {"name": "Geodetic latitude", "abbreviation": "Lat", "direction": "north", "unit": "degree"},
            {"name": "Geodetic longitude", "abbreviation": "Lon", "direction": "east", "unit": "degree"},
        ],
    },
    "id": {"authority": "EPSG", "code": _CODE},
}
_WKT: Final = (
    'GEOGCS["China Geodetic Coordinate System 2000",DATUM["China_2000",SPHEROID["CGCS2000",6378137,298.257222101,'
    'AUTHORITY["EPSG","1024"]],AUTHORITY["EPSG","1043"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4490"]]'
)
_WGS84: Final = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,'
    'AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]'
)
_SQLITE: Final = {"BIGINT": "INTEGER", "INTEGER": "INTEGER", "DOUBLE": "REAL", "BOOLEAN": "BOOLEAN", "DATE": "DATE"}
"""The column type of a GeoPackage by that of DuckDB; times are DATETIME, all else TEXT."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A column beside the geometry: what it is called, its unit, and the mask that it is shown through."""

    name: str
    title: str
    title_en: str
    unit: str | None
    mask: str | None = None

    @property
    def about(self) -> dict[str, str | None]:
        """What a format that takes JSON says of it."""
        said = {"zh": self.title, "en": self.title_en, "unit": self.unit}
        return said if self.mask is None else {**said, "mask": self.mask}


@dataclass(frozen=True)
class Layer:
    """What a file says besides its rows. `geometry`: their column of it; `key`: the one that tells features apart."""

    name: str
    title: str
    title_en: str
    geometry: str
    key: str | None
    fields: tuple[Field, ...]
    licence: str
    version: int
    as_of: str
    changed: datetime

    @property
    def about(self) -> dict[str, Any]:
        """All of it for formats that take JSON."""
        return {
            "title": {"zh": self.title, "en": self.title_en},
            "crs": CRS,
            "note": {language: translate("layer.note", language) for language in LANGUAGES},
            "version": self.version,
            "as_of": self.as_of,
            "licence": self.licence,
            "fields": {one.name: one.about for one in self.fields},
        }


def layer_of(
    product: Product, release: Recorded, shown: Sequence[str], masks: Mapping[str, str] | None = None
) -> Layer | None:
    """The layer that a released product is with the columns a caller may see; None if they hold no geometry. `masks`:
    of columns that the caller sees otherwise than the product shows them."""
    mine = masks or {}
    seen = (replace(column, mask=mine.get(column.name, column.mask)) for column in product.columns)
    columns = {column.name: column for column in seen if column.name in shown}
    geometry = next(
        (name for name, one in columns.items() if one.mask is None and one.column.definition.geometry), None
    )
    if geometry is None:
        return None
    keys = [name for name, one in columns.items() if one.source in product.contract.form.key and one.mask is None]
    fields = []
    for name, one in columns.items():
        if name != geometry:
            meaning = one.column.definition
            fields.append(Field(name, meaning.businessName, meaning.businessNameEn, meaning.unit, one.mask))
    return Layer(
        name=product.name,
        title=product.form.name,
        title_en=product.form.nameEn,
        geometry=geometry,
        key=keys[0] if len(keys) == len(product.contract.form.key) == 1 else None,
        fields=tuple(fields),
        licence=product.form.licence or "—",
        version=release.version or 0,
        as_of=str(release.body.get("as_of", "—")),
        changed=as_utc(release.at),
    )


def write_geojson(con: duckdb.DuckDBPyConnection, query: str, target: Path, layer: Layer) -> None:
    """A FeatureCollection (RFC 7946), one feature a line; what the layer is stands in the foreign member `about`."""
    box: Box | None = None
    with target.open("w", encoding="utf-8") as out:
        out.write(f'{{"type":"FeatureCollection","name":{_json(layer.name)},"about":{_json(layer.about)},"features":[')
        separator = "\n"
        for row, shape in _features(con, query, layer):
            box = _joined(box, shape)
            feature: Row = {"type": "Feature"}
            if layer.key is not None:
                feature["id"] = row[layer.key]
            geometry = {"type": shape.kind, "coordinates": shape.coordinates} if shape else None
            values = {one.name: _plain_json(row[one.name]) for one in layer.fields}
            feature |= {"geometry": geometry, "properties": values}
            out.write(f"{separator}{_json(feature)}")
            separator = ",\n"
        out.write("\n]" + (f',"bbox":{_json(box)}' if box else "") + "}\n")


def write_gpkg(con: duckdb.DuckDBPyConnection, query: str, target: Path, layer: Layer) -> None:
    """A GeoPackage 1.3 (OGC 12-128r18) with one layer and, by the schema extension, the titles of its columns.

    `target` is new or empty: whoever made it says who may read it.
    """
    types = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE {query}").fetchall()}
    listed = ", ".join(f"{identifier(one.name)} {_sqlite_type(types[one.name])}" for one in layer.fields)
    names = ", ".join(map(identifier, [layer.geometry, *(one.name for one in layer.fields)]))
    marks = ", ".join("?" * (len(layer.fields) + 1))
    table, kind = identifier(layer.name), _kind(con, query, layer)
    with closing(sqlite3.connect(target)) as package:
        package.executescript(_SCHEMA)
        package.execute(
            f"CREATE TABLE {table} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
            f"{identifier(layer.geometry)} {kind}{', ' if listed else ''}{listed})"
        )
        box: Box | None = None
        for row, shape in _features(con, query, layer):
            box = _joined(box, shape)
            values = [_plain(row[one.name]) for one in layer.fields]
            package.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", [_blob(shape), *values])
        _described(package, layer, kind, box)
        package.commit()


def write_geoparquet(con: duckdb.DuckDBPyConnection, query: str, target: Path, layer: Layer) -> None:
    """GeoParquet 1.1.0: geometries as well-known binary, the reference system as PROJJSON, and the box of all."""
    schema = con.execute(f"SELECT * FROM ({query}) LIMIT 0").to_arrow_table().schema
    at = schema.get_field_index(layer.geometry)
    schema = schema.set(at, pa.field(layer.geometry, pa.binary())).remove_metadata()
    box, kinds = None, set[str]()
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in con.execute(query).to_arrow_reader(ROW_GROUP):
            found = [_shape(text) for text in batch.column(at).to_pylist()]
            for shape in found:
                box, kinds = _joined(box, shape), kinds | ({shape.kind} if shape else set())
            blobs = pa.array([shapes.to_wkb(shape) if shape else None for shape in found], pa.binary())
            writer.write_batch(pa.RecordBatch.from_arrays(
                [blobs if number == at else column for number, column in enumerate(batch.columns)], schema=schema
            ))  # fmt: skip
        column = {
            "encoding": "WKB", "geometry_types": sorted(kinds), "crs": PROJJSON, "edges": "planar",
            "orientation": "counterclockwise", **({"bbox": list(box)} if box else {}),
        }  # fmt: skip
        geo = {"version": "1.1.0", "primary_column": layer.geometry, "columns": {layer.geometry: column}}
        writer.add_key_value_metadata({"geo": _json(geo), "about": _json(layer.about)})


WRITERS: Mapping[str, Callable[[duckdb.DuckDBPyConnection, str, Path, Layer], None]] = {
    "geojson": write_geojson,
    "gpkg": write_gpkg,
    "geoparquet": write_geoparquet,
}


def _features(con: duckdb.DuckDBPyConnection, query: str, layer: Layer) -> Iterator[tuple[Row, Shape | None]]:
    """Rows with their geometry, rings wound as the formats want them."""
    found = con.execute(query)
    names = [name for name, *_ in found.description or ()]
    while rows := found.fetchmany(AT_ONCE):
        for values in rows:
            row = dict(zip(names, values, strict=True))
            yield row, _shape(row[layer.geometry])


def _shape(text: str | None) -> Shape | None:
    return None if text is None else shapes.wound(shapes.read(text))


def _joined(box: Box | None, shape: Shape | None) -> Box | None:
    if shape is None:
        return box
    west, south, east, north = shape.box
    if box is None:
        return west, south, east, north
    return min(box[0], west), min(box[1], south), max(box[2], east), max(box[3], north)


def _plain(value: Any) -> Any:
    """A value that JSON and SQLite take: days and times as ISO 8601, times in UTC."""
    if isinstance(value, datetime):
        return as_utc(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ")[:-4] + "Z"
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


def _plain_json(value: Any) -> Any:
    """The same, and nothing for a number that JSON does not have."""
    plain = _plain(value)
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _kind(con: duckdb.DuckDBPyConnection, query: str, layer: Layer) -> str:
    """The type of all geometries of a layer, GEOMETRY if there are several."""
    name = f"upper(trim(split_part({identifier(layer.geometry)}, '(', 1)))"
    kinds = [kind for (kind,) in con.execute(f"SELECT DISTINCT {name} FROM ({query})").fetchall() if kind]
    return str(kinds[0]) if len(kinds) == 1 else "GEOMETRY"


def _sqlite_type(kind: str) -> str:
    return "DATETIME" if kind.startswith("TIMESTAMP") else _SQLITE.get(kind, "TEXT")


def _blob(shape: Shape | None) -> bytes | None:
    """Geometry of a GeoPackage: little-endian, with an envelope unless it is a point (2.1.3)."""
    if shape is None:
        return None
    envelope = b""
    if shape.kind != "Point":
        west, south, east, north = shape.box
        envelope = struct.pack("<4d", west, east, south, north)
    return struct.pack("<2sBBi", b"GP", 0, 3 if envelope else 1, _CODE) + envelope + shapes.to_wkb(shape)


def _described(package: sqlite3.Connection, layer: Layer, kind: str, box: Box | None) -> None:
    """The tables in which a GeoPackage says what it holds."""
    changed = layer.changed.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    about = f"{layer.title} / {layer.title_en}；v{layer.version}，{layer.as_of}；{layer.licence}"
    package.execute(
        "INSERT INTO gpkg_contents VALUES (?, 'features', ?, ?, ?, ?, ?, ?, ?, ?)",
        [layer.name, layer.title, about, changed, *(box or (None,) * 4), _CODE],
    )
    package.execute(
        "INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, 0, 0)", [layer.name, layer.geometry, kind, _CODE]
    )
    package.executemany(
        "INSERT INTO gpkg_data_columns VALUES (?, ?, ?, ?, ?, NULL, NULL)",
        [
            (layer.name, one.name, f"{one.title}（{one.name}）", one.title, f"{one.title_en} {one.unit or ''}".strip())
            for one in layer.fields
        ],
    )
    package.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", [
        ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", None),
        ("Undefined geographic SRS", 0, "NONE", 0, "undefined", None),
        ("WGS 84 geodetic", 4326, "EPSG", 4326, _WGS84, None),
        ("China Geodetic Coordinate System 2000", _CODE, "EPSG", _CODE, _WKT, "CGCS2000"),
    ])  # fmt: skip


_SCHEMA = """
PRAGMA application_id = 0x47504B47;
PRAGMA user_version = 10300;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
    description TEXT DEFAULT '', last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
    CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
    CONSTRAINT uk_gc_table_name UNIQUE (table_name),
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
    definition TEXT NOT NULL, scope TEXT NOT NULL,
    CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
CREATE TABLE gpkg_data_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT,
    description TEXT, mime_type TEXT, constraint_name TEXT,
    CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name), CONSTRAINT gdc_tn UNIQUE (table_name, name));
CREATE TABLE gpkg_data_column_constraints (constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL, value TEXT,
    min NUMERIC, min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT,
    CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value));
INSERT INTO gpkg_extensions VALUES
    ('gpkg_data_columns', NULL, 'gpkg_schema', 'http://www.geopackage.org/spec/#extension_schema', 'read-write'),
    ('gpkg_data_column_constraints', NULL, 'gpkg_schema', 'http://www.geopackage.org/spec/#extension_schema',
     'read-write');
"""
