"""Layers in three formats, read by programs that are not ours: GDAL, SQLite, Arrow, DuckDB."""

import json
import math
import sqlite3
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pyogrio.raw
import pytest

from catalog.delivery import layers
from catalog.delivery.formats import GEOGRAPHIC, MEDIA_TYPES
from catalog.delivery.layers import Field, Layer, layer_of
from pipelines.contracts.resolved import Contracts
from pipelines.geo import shapes, wkt
from pipelines.release.ledger import Recorded
from tests.catalog.small_city import AGES, COMPONENTS, City, bearer
from tests.city import seed_from_clock

PRODUCTS = ("sharing/parcel", "sharing/building", "sharing/road", COMPONENTS)
ROWS = 120
AT = datetime(2026, 11, 1, 2, 3, 4, tzinfo=UTC)
TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "date": "DATE", "timestamp": "TIMESTAMPTZ"}


@pytest.fixture(params=PRODUCTS)
def layer(request: pytest.FixtureRequest, contracts: Contracts) -> Layer:
    """What the product of a layer says of itself."""
    product = contracts.products[request.param]
    recorded = Recorded(1, AT, "release", product.id, "e", 7, {"as_of": "2026-11-01"}, "")
    found = layer_of(product, recorded, [column.name for column in product.columns])
    assert found is not None
    return found


@pytest.fixture
def con(layer: Layer, contracts: Contracts) -> duckdb.DuckDBPyConnection:
    """A table `rows` with the columns of the product: random shapes of its kind, holes, several parts, nothing."""
    seed = seed_from_clock()
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    product = next(one for one in contracts.products.values() if one.name == layer.name and one.channel == "sharing")
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    kinds = {column.name: column.column.definition for column in product.columns}
    con.execute(f"CREATE TABLE rows ({', '.join(f'{name} {TYPES[one.logicalType]}' for name, one in kinds.items())})")
    for number in range(ROWS):
        values = {name: value(one.logicalType, number, rng) for name, one in kinds.items()}
        geometry = kinds[layer.geometry].geometry
        assert geometry is not None
        values[layer.geometry] = None if number == 5 else text(geometry.kind, number, rng)
        con.execute(f"INSERT INTO rows VALUES ({', '.join('?' * len(values))})", list(values.values()))
    return con


def value(kind: str, number: int, rng: np.random.Generator) -> Any:
    """Something of a type, now and then nothing, with signs that a format must escape."""
    if kind == "string":
        return f"甲\"'\\\n{number:06d}"
    if rng.random() < 0.1:
        return None
    made = {"integer": number, "number": float(rng.uniform(-1e6, 1e6)), "date": date(2020, 1, 1 + number % 28)}
    return made.get(kind, AT)


def text(kind: str, number: int, rng: np.random.Generator) -> str:
    """A shape with seven decimals as sources deliver it; rings run either way."""
    x, y = rng.uniform(115.4, 117.2), rng.uniform(31.1, 32.6)

    def ring(east: float, north: float, half: float, clockwise: bool) -> str:
        corners = [(east - half, north - half), (east + half, north - half), (east + half, north + half),
                   (east - half, north + half)]  # fmt: skip
        path = [*corners, corners[0]]
        return f"({', '.join(f'{a:.7f} {b:.7f}' for a, b in (reversed(path) if clockwise else path))})"

    if kind == "point":
        return f"POINT ({x:.7f} {y:.7f})"
    if kind == "line":
        return f"LINESTRING ({x:.7f} {y:.7f}, {x + 0.01:.7f} {y:.7f}, {x + 0.01:.7f} {y + 0.01:.7f})"
    turned = bool(number % 2)
    polygon = f"({ring(x, y, 0.001, turned)}, {ring(x, y, 0.0005, turned)})"
    if number % 10 == 3:
        return f"MULTIPOLYGON ({polygon}, ({ring(x + 0.01, y, 0.001, turned)}))"
    return f"POLYGON {polygon}"


def expected(con: duckdb.DuckDBPyConnection, layer: Layer) -> list[dict[str, Any]]:
    found = con.execute("SELECT * FROM rows ORDER BY ALL")
    names = [name for name, *_ in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def written(con: duckdb.DuckDBPyConnection, layer: Layer, folder: Path, kind: str) -> Path:
    file = folder / f"layer.{'parquet' if kind == 'geoparquet' else kind}"
    layers.WRITERS[kind](con, "SELECT * FROM rows ORDER BY ALL", file, layer)
    return file


def same(one: str | None, other: str | None) -> bool:
    """Whether two texts are one geometry, whichever way its rings run."""
    if one is None or other is None:
        return one is other
    a, b = shapes.wound(shapes.read(one)), shapes.wound(shapes.read(other))
    return a == b


@pytest.mark.parametrize("kind", ["geojson", "gpkg"])
def test_gdal_opens_it_and_reads_every_feature(
    con: duckdb.DuckDBPyConnection, layer: Layer, tmp_path: Path, kind: str
) -> None:
    file, rows = written(con, layer, tmp_path, kind), expected(con, layer)
    info = pyogrio.read_info(file)
    assert info["features"] == ROWS
    assert {*info["fields"]} - {"id"} == {one.name for one in layer.fields}
    # GeoJSON has no other system than that of WGS 84
    assert info["crs"] == ("EPSG:4490" if kind == "gpkg" else "EPSG:4326")
    meta, _, geometries, fields = pyogrio.raw.read(file)
    columns = dict(zip(meta["fields"], fields, strict=True))
    for number, row in enumerate(rows):
        shape = geometries[number]
        assert same(None if shape is None else wkt.of_wkb(shape), row[layer.geometry])
        for one in layer.fields:
            assert equal(columns[one.name][number], row[one.name]), one.name


def equal(found: Any, wanted: Any) -> bool:
    """Whether numpy's value is ours: it makes numbers of what has no value, and has no days without hours."""
    if wanted is None:
        return found is None or found != found
    if isinstance(wanted, int | float):
        return math.isclose(float(found), wanted, rel_tol=1e-15)
    return str(found)[:10] == str(wanted)[:10] if isinstance(wanted, date) else str(found) == str(wanted)


def test_the_box_told_is_that_of_all_shapes(con: duckdb.DuckDBPyConnection, layer: Layer, tmp_path: Path) -> None:
    boxes = [shapes.read(row[layer.geometry]).box for row in expected(con, layer) if row[layer.geometry]]
    wests, souths, easts, norths = zip(*boxes, strict=True)
    box = [min(wests), min(souths), max(easts), max(norths)]
    document = json.loads(written(con, layer, tmp_path, "geojson").read_text("utf-8"))
    assert document["bbox"] == box
    geo = json.loads(pq.read_metadata(written(con, layer, tmp_path, "geoparquet")).metadata[b"geo"])
    assert geo["columns"][layer.geometry]["bbox"] == box
    with sqlite3.connect(written(con, layer, tmp_path, "gpkg")) as package:
        told = package.execute("SELECT min_x, min_y, max_x, max_y FROM gpkg_contents").fetchone()
    assert list(told) == box


def test_geojson_is_what_rfc_7946_asks_for(con: duckdb.DuckDBPyConnection, layer: Layer, tmp_path: Path) -> None:
    document = json.loads(written(con, layer, tmp_path, "geojson").read_text("utf-8"))
    assert document["type"] == "FeatureCollection" and "crs" not in document
    assert "WGS 84" in document["about"]["note"]["en"] and document["about"]["crs"] == "EPSG:4490"
    assert len({feature["id"] for feature in document["features"]}) == ROWS
    for feature in document["features"]:
        assert feature.keys() == {"type", "id", "geometry", "properties"}
        assert feature["properties"].keys() == {one.name for one in layer.fields}
        geometry = feature["geometry"]
        if geometry and "Polygon" in geometry["type"]:
            polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
            for outer, *holes in polygons:  # the right hand rule
                assert turned(outer) > 0 and all(turned(hole) < 0 for hole in holes)


def turned(ring: list[list[float]]) -> float:
    assert ring[0] == ring[-1]
    return sum((x2 - x1) * (y2 + y1) for (x1, y1), (x2, y2) in pairwise(ring)) * -1


def test_a_geopackage_meets_what_the_standard_asks_of_its_tables(
    con: duckdb.DuckDBPyConnection, layer: Layer, tmp_path: Path
) -> None:
    """OGC 12-128r18: requirements 2 and 3 (the file), 5 to 17 (its tables), 19 to 31 (features), and titles."""
    file = written(con, layer, tmp_path, "gpkg")
    head = file.read_bytes()[:72]
    assert head[:16] == b"SQLite format 3\0" and head[68:72] == b"GPKG"
    with sqlite3.connect(file) as package:
        assert package.execute("PRAGMA user_version").fetchone() == (10300,)
        assert package.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert package.execute("PRAGMA foreign_key_check").fetchall() == []
        systems = package.execute(
            "SELECT srs_id, organization, organization_coordsys_id FROM gpkg_spatial_ref_sys ORDER BY 1"
        ).fetchall()
        assert systems == [(-1, "NONE", -1), (0, "NONE", 0), (4326, "EPSG", 4326), (4490, "EPSG", 4490)]
        contents = "SELECT table_name, data_type, identifier, last_change, srs_id FROM gpkg_contents"
        assert package.execute(contents).fetchall() == [
            (layer.name, "features", layer.title, "2026-11-01T02:03:04.000Z", 4490)
        ]
        ((column, kind, system, z, m),) = package.execute(
            "SELECT column_name, geometry_type_name, srs_id, z, m FROM gpkg_geometry_columns"
        )
        assert (column, system, z, m) == (layer.geometry, 4490, 0, 0)
        info = package.execute(f'PRAGMA table_info("{layer.name}")').fetchall()
        assert [(name, type_, key) for _, name, type_, _, _, key in info][:2] == [
            ("fid", "INTEGER", 1), (layer.geometry, kind, 0),
        ]  # fmt: skip
        titles = dict(package.execute("SELECT column_name, title FROM gpkg_data_columns"))
        assert titles == {one.name: one.title for one in layer.fields}
        for (blob,) in package.execute(f'SELECT "{layer.geometry}" FROM "{layer.name}"'):
            assert blob is None or (blob[:4] == b"GP\0" + bytes([1 if kind == "POINT" else 3]))


def test_geoparquet_says_what_its_standard_asks_for(
    con: duckdb.DuckDBPyConnection, layer: Layer, tmp_path: Path
) -> None:
    file, rows = written(con, layer, tmp_path, "geoparquet"), expected(con, layer)
    table = pq.read_table(file)
    geo = json.loads(pq.read_metadata(file).metadata[b"geo"])
    assert (geo["version"], geo["primary_column"], [*geo["columns"]]) == ("1.1.0", layer.geometry, [layer.geometry])
    about = geo["columns"][layer.geometry]
    shown = [wkt.of_wkb(blob) if blob else None for blob in table[layer.geometry].to_pylist()]
    assert all(same(text, row[layer.geometry]) for text, row in zip(shown, rows, strict=True))
    kinds = {shapes.read(text).kind for text in shown if text}
    assert about["encoding"] == "WKB" and {*about["geometry_types"]} == kinds
    assert about["crs"]["id"] == {"authority": "EPSG", "code": 4490} and about["crs"]["type"] == "GeographicCRS"
    for one in layer.fields:
        assert table[one.name].to_pylist() == [row[one.name] for row in rows]
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{file}')").fetchone() == (ROWS,)


def test_a_layer_without_features_is_still_a_layer(
    con: duckdb.DuckDBPyConnection, layer: Layer, tmp_path: Path
) -> None:
    for kind in ("geojson", "gpkg"):
        file = tmp_path / f"empty.{kind}"
        layers.WRITERS[kind](con, "SELECT * FROM rows WHERE false", file, layer)
        assert pyogrio.read_info(file)["features"] == 0
    layers.WRITERS["geoparquet"](con, "SELECT * FROM rows WHERE false", tmp_path / "empty.parquet", layer)
    assert pq.read_table(tmp_path / "empty.parquet").num_rows == 0


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_that_json_does_not_have_is_left_out(tmp_path: Path, number: str) -> None:
    layer = Layer("spots", "点", "spots", "shape", None, (Field("size", "大小", "size", None),), "—", 0, "—", AT)
    query, target = f"SELECT 'POINT (116.5 31.7)' AS shape, '{number}'::DOUBLE AS size", tmp_path / "spots.geojson"
    layers.WRITERS["geojson"](duckdb.connect(), query, target, layer)
    (feature,) = json.loads(target.read_text("utf-8"))["features"]
    assert feature["properties"] == {"size": None}


def test_what_shows_no_geometry_is_no_layer(contracts: Contracts) -> None:
    for product in contracts.products.values():
        recorded = Recorded(1, AT, "release", product.id, "e", 7, {}, "")
        names = [column.name for column in product.columns if column.column.definition.geometry is None]
        assert layer_of(product, recorded, names) is None
        assert (layer_of(product, recorded, [column.name for column in product.columns]) is not None) == (
            product.id in PRODUCTS
        )


def test_the_portal_gives_a_layer_to_whom_it_was_granted(own_city: City, tmp_path: Path) -> None:
    own_city.release(COMPONENTS, 5)
    token, narrow = own_city.recipient("city-desk", "umb"), own_city.recipient("count-desk", "umb")
    own_city.grant("city-desk", COMPONENTS)
    own_city.grant("count-desk", COMPONENTS, columns=["component_no", "component_class"])
    client, place = own_city.client(), f"/datasets/{COMPONENTS}/download"
    for kind in GEOGRAPHIC:
        assert client.get(f"{place}/{kind}").status_code in (401, 403)
        answer = client.get(f"{place}/{kind}", headers=bearer(token))
        assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPES[kind])
        file = tmp_path / f"component.{'parquet' if kind == 'geoparquet' else kind}"
        file.write_bytes(answer.content)
        found = pq.read_table(file).num_rows if kind == "geoparquet" else pyogrio.read_info(file)["features"]
        assert found == 5
        # who may not see where things are gets no layer, and what is none is not offered as one
        assert client.get(f"{place}/{kind}", headers=bearer(narrow)).status_code == 404
        assert client.get(f"/datasets/{AGES}/download/{kind}").status_code == 404
    assert client.get(f"{place}/csv", headers=bearer(narrow)).status_code == 200
    assert "GeoPackage" in client.get(f"/datasets/{COMPONENTS}", headers=bearer(token)).text
    assert "GeoPackage" not in client.get(f"/datasets/{COMPONENTS}", headers=bearer(narrow)).text
    assert "GeoPackage" not in client.get(f"/datasets/{AGES}").text
