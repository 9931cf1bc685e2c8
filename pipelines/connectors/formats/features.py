"""Formats `geojson`, `shapefile` and `gpkg`: features, their geometry as well-known text in the file's own coordinates.

Which reference system that is stands in column `_crs`, for a contract that expects it. Nothing is projected here.
Attributes are read by readers of our own; GDAL only takes shapes apart, and only files that are what they are said to
be: it would open others, and through them any file of this machine.
"""

import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.codecs.sql import identifier
from pipelines.connectors.base import Encoding, header_names, listed
from pipelines.connectors.formats.dbase import DbfTable
from pipelines.connectors.formats.objects import (
    array,
    coordinate,
    document,
    dumped,
    flat,
    has_repeated,
    table_of_objects,
)
from pipelines.connectors.formats.table import FormatAbout, LocalFile, Table, formats, numbered, table_of_rows
from pipelines.geo import wkt
from pipelines.privacy.source_names import shown

GEOMETRY, CRS = "geometry", "_crs"
BATCH = 5_000
"""Shapes taken apart together."""

_WGS84 = "urn:ogc:def:crs:OGC:1.3:CRS84"
_SHP, _SQLITE = struct.pack(">i", 9994), b"SQLite format 3\0"
_ENVELOPES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}


@formats.register(FormatAbout())
def geojson(file: LocalFile, *, encoding: Encoding = "utf-8") -> Table:
    """A FeatureCollection: properties and geometry. A feature with a geometry that is none is one row with only its
    text, in UNREAD."""
    found = document(file, encoding)
    features = array(file, found, "features")
    crs = _named(found) if CRS in file.request.expected else None
    return table_of_objects(
        file,
        lambda: ((_feature(one, crs), dumped(one)) for one in features),
        numbered(file, lambda: features, "features"),
    )


@formats.register(FormatAbout(archive=True))
def shapefile(file: LocalFile, *, encoding: Encoding = "auto") -> Table:
    """A zip with one .shp and what belongs to it. Raises CitylakeError when a part is missing or they do not fit."""
    parts = {path.suffix: path for path in file.path.iterdir()}
    missing = [suffix for suffix in (".shp", ".shx", ".dbf") if suffix not in parts]
    if missing:
        raise file.error("format.no_member", pattern=", ".join(missing))
    with parts[".shp"].open("rb") as stream:
        if stream.read(4) != _SHP:
            raise file.error("format.unreadable", format="shapefile", problem="shp")
    declared = parts[".cpg"].read_text("latin-1").strip() if ".cpg" in parts else ""
    attributes = DbfTable(LocalFile(parts[".dbf"], file.origin, file.request), encoding, declared)
    crs = _reference(parts.get(".prj"))
    names = header_names([*attributes.names, *_own(file)], file.origin, file.request.owner)
    return table_of_rows(names, _shapes(file, parts[".shp"], attributes, crs), attributes.places)


@formats.register(FormatAbout())
def gpkg(file: LocalFile, *, layer: str | None = None) -> Table:
    """One layer of a GeoPackage, the only one if none is named. Raises CitylakeError for other files and layers."""
    with file.path.open("rb") as stream:
        if stream.read(len(_SQLITE)) != _SQLITE:
            raise file.error("format.unreadable", format="gpkg", problem="SQLite")
    try:
        package = _Package(file, layer)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise file.error("format.unreadable", format="gpkg", problem=type(error).__name__) from None
    names = header_names([*package.attributes, *_own(file)], file.origin, file.request.owner)
    return table_of_rows(names, package.rows(), numbered(file, package.rows, package.table))


def layers_of(file: LocalFile) -> list[str]:
    """The layers of a GeoPackage; none of a file that is no such one."""
    try:
        with closing(sqlite3.connect(f"{file.path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as con:
            return [name for (name,) in con.execute("SELECT table_name FROM gpkg_geometry_columns ORDER BY 1")]
    except sqlite3.Error:
        return []


def _named(found: Any) -> str:
    """The reference system that a document names as old GeoJSON did; else the one of RFC 7946."""
    try:
        return str(found["crs"]["properties"]["name"])
    except (KeyError, TypeError):
        return _WGS84


def _feature(feature: Any, crs: str | None) -> dict[str, str | None] | None:
    if not isinstance(feature, dict) or has_repeated(feature):
        return None
    columns = flat(feature.get("properties") or {})
    if columns is None or GEOMETRY in columns:
        return None
    geometry = feature.get("geometry")
    try:
        columns[GEOMETRY] = None if geometry is None else wkt.of_geojson(geometry, coordinate)
    except (ValueError, AttributeError):
        return None
    return columns if crs is None else {**columns, CRS: crs}


def _own(file: LocalFile) -> list[str]:
    """The columns that come beside the attributes."""
    return [GEOMETRY, CRS] if CRS in file.request.expected else [GEOMETRY]


def _reference(path: Path | None) -> str:
    """What the file says of its reference system. It is taken away, because GDAL fails on one that is damaged."""
    if path is None:
        return ""
    text = path.read_text("utf-8", "backslashreplace").strip()
    path.unlink()
    return text


def _shapes(file: LocalFile, path: Path, attributes: DbfTable, crs: str) -> Iterator[list[str]]:
    """Attributes and shapes with the same record number. GDAL leaves deleted records out, as `attributes` does."""
    from pyogrio.errors import DataSourceError

    own = [crs] if CRS in file.request.expected else []
    rows = attributes.rows()
    try:
        for number, shape in _geometries(path):
            found, row = next(rows, (-1, []))
            if found != number:
                raise file.error("format.shapes_differ", record=number + 1)
            yield [*row[:-1], wkt.of_wkb(shape) if shape else "", *own, row[-1]]
    except (DataSourceError, ValueError, pa.ArrowException) as error:
        raise file.error("format.unreadable", format="shapefile", problem=type(error).__name__) from None
    if (rest := next(rows, None)) is not None:
        raise file.error("format.shapes_differ", record=rest[0] + 1)


def _geometries(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Record number and well-known binary of each shape."""
    import pyogrio.raw  # with it come pandas and GDAL: half a second and 60 MB of every process that reads no shapes

    opened = pyogrio.raw.open_arrow(path, columns=[], return_fids=True, batch_size=BATCH, use_pyarrow=True)
    with opened as (about, reader):
        name = about["geometry_name"] or "wkb_geometry"
        for batch in reader:
            numbers, shapes = batch.column(about["fid_column"] or "OGC_FID"), batch.column(name)
            yield from zip(numbers.to_pylist(), shapes.to_pylist(), strict=True)


class _Package:
    """A layer of a GeoPackage, read as the SQLite table that it is. Values that are no text stay as SQLite has them."""

    def __init__(self, file: LocalFile, layer: str | None) -> None:
        self.file = file
        with self._connect() as con:
            known = [name for (name,) in con.execute("SELECT table_name FROM gpkg_geometry_columns ORDER BY 1")]
            wanted = [name for name in known if layer is None or name.decode() == layer]
            if len(wanted) != 1:
                names = listed(shown([name.decode() for name in known]))
                raise file.error("format.layer", layer=layer or "—", names=names)
            self.table = wanted[0].decode()
            query = "SELECT column_name, srs_id FROM gpkg_geometry_columns WHERE table_name = ?"
            (geometry, system) = con.execute(query, [self.table]).fetchone()
            columns = con.execute("SELECT name FROM pragma_table_info(?)", [self.table]).fetchall()
            query = "SELECT organization, organization_coordsys_id FROM gpkg_spatial_ref_sys WHERE srs_id = ?"
            reference = con.execute(query, [system]).fetchone() or (b"", system)
        self.geometry = geometry.decode()
        self.crs = f"{reference[0].decode()}:{reference[1]}"
        self.attributes = [name.decode() for (name,) in columns if name != geometry]

    def rows(self) -> Iterator[list[str]]:
        own = [self.crs] if CRS in self.file.request.expected else []
        names = ", ".join(map(identifier, [*self.attributes, self.geometry]))
        try:
            with self._connect() as con:
                for *values, shape in con.execute(f"SELECT {names} FROM {identifier(self.table)} ORDER BY rowid"):
                    yield self._row(values, shape, own)
        except sqlite3.Error as error:
            raise self.file.error("format.unreadable", format="gpkg", problem=type(error).__name__) from None

    def _row(self, values: Sequence[Any], shape: bytes | None, own: list[str]) -> list[str]:
        try:
            return [*map(_sql_text, values), _shape(shape) if shape else "", *own, ""]
        except (ValueError, struct.error, KeyError):
            texts = (one.decode("utf-8", "backslashreplace") if isinstance(one, bytes) else str(one) for one in values)
            return [*[""] * (len(values) + 1 + len(own)), "\t".join(texts) or "—"]

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """Read-only, nothing beside the file, text as bytes: what is no UTF-8 is found row by row."""
        con = sqlite3.connect(f"{self.file.path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        con.text_factory = bytes
        try:
            yield con
        finally:
            con.close()


def _sql_text(value: Any) -> str:
    """A value of SQLite as text. Text comes as bytes, and so do real bytes, which only text can be told from."""
    if value is None:
        return ""
    return value.decode() if isinstance(value, bytes) else repr(value)


def _shape(blob: bytes) -> str:
    """Geometry of a GeoPackage: a header, perhaps an envelope, then well-known binary."""
    if blob[:2] != b"GP":
        raise ValueError("no GeoPackage geometry")
    return wkt.of_wkb(blob[8 + _ENVELOPES[(blob[3] >> 1) & 7] :])
