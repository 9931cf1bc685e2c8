"""Parquet, DBF and geodata, made by other writers: every value as text that gives it again, every shape untouched."""

import io
import json
import sqlite3
import struct
import zipfile
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio.raw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.connectors.base import UNREAD
from pipelines.connectors.formats import LocalFile
from pipelines.geo import wkt
from pipelines.messages import CitylakeError
from tests.connectors.formats.reading import read, read_file, request

NESTED = pa.list_(pa.struct([("a", pa.decimal128(30, 2))]))


def parquet(folder: Path, **columns: pa.Array) -> LocalFile:
    path = folder / "a[*].parquet"
    pq.write_table(pa.table(columns), path)
    return LocalFile(path, path.name, request(folder))


def test_every_type_of_parquet_as_text(tmp_path: Path) -> None:
    file = parquet(
        tmp_path,
        text=pa.array(["甲", "", None]),
        whole=pa.array([2**64 - 1, 0, None], pa.uint64()),
        exact=pa.array([Decimal("1.10"), Decimal("-0.01"), None], pa.decimal128(38, 2)),
        double=pa.array([0.1 + 0.2, 1e22, None]),
        single=pa.array([0.1, 16777216.0, None], pa.float32()),
        day=pa.array([date(2026, 1, 2), date(1, 1, 1), None]),
        moment=pa.array([1, 10**18 + 1, None], pa.timestamp("ns")),
        zoned=pa.array([datetime(2026, 1, 2, 3, 4, 5, 6000), None, None], pa.timestamp("ms", "Asia/Shanghai")),
        fine=pa.array([10**18 + 1, 10**18, None], pa.timestamp("ns", "Asia/Shanghai")),
        clock=pa.array([time(3, 4, 5, 6), None, None], pa.time64("us")),
        yes=pa.array([True, False, None]),
        bytes=pa.array([b"\xff\x00", b"", None]),
        nested=pa.array([[{"a": Decimal("12345678901234567890.10")}], [], None], NESTED),
        coded=pa.array(["a", "", None]).dictionary_encode(),
    )  # fmt: skip
    rows = read_file(file, "parquet")
    assert [list(row.values()) for row in rows[:2]] == [
        ["甲", "18446744073709551615", "1.10", "0.30000000000000004", "0.1", "2026-01-02",
         "1970-01-01 00:00:00.000000001", "2026-01-02 03:04:05.006+00",
         "2001-09-09 01:46:40.000000001+00", "03:04:05.000006", "true", "ff00",
         '[{"a":12345678901234567890.10}]', "a", None],
        [None, "0", "-0.01", "1e+22", "16777216.0", "0001-01-01", "2001-09-09 01:46:40.000000001", None,
         "2001-09-09 01:46:40+00", None,
         "false", None, "[]", None, None],
    ]  # fmt: skip
    assert set(rows[2].values()) == {None}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([Decimal(10) ** 45], pa.decimal256(50, 2)),
        pa.array([1], pa.time64("ns")),
        pa.array([[1]], pa.list_(pa.timestamp("ns", "UTC"))),
        pa.array([[b"\xff"]]),
    ],
)
def test_types_that_would_lose_something_are_refused(tmp_path: Path, column: pa.Array) -> None:
    with pytest.raises(CitylakeError) as caught:
        read_file(parquet(tmp_path, a=column), "parquet")
    assert caught.value.code == "format.type"


def test_parquet_keeps_the_order_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": pa.array(range(300_000))}), path, row_group_size=50_000)
    rows = read_file(LocalFile(path, path.name, request(tmp_path)), "parquet")
    assert [row["n"] for row in rows] == [str(number) for number in range(300_000)]


def dbf(fields: list[tuple[str, str, int]], records: list[bytes], page: int = 0, encoding: str = "gbk") -> bytes:
    """A dBASE III file, by the book."""
    described = b"".join(
        struct.pack("<11sc4xBB14x", name.encode(encoding), kind.encode(), length, 0) for name, kind, length in fields
    )
    length = 1 + sum(size for _, _, size in fields)
    head = struct.pack("<BBBBIHH17xB2x", 3, 126, 1, 2, len(records), 32 + len(described) + 1, length, page)
    return head + described + b"\r" + b"".join(records) + b"\x1a"


FIELDS = [("编号", "N", 5), ("名称", "C", 6), ("日期", "D", 8), ("有效", "L", 1)]


def record(number: str, name: bytes, day: str = "20260102", valid: str = "T", mark: bytes = b" ") -> bytes:
    return mark + number.rjust(5).encode() + name.ljust(6) + day.encode() + valid.encode()


@pytest.mark.parametrize(("page", "encoding"), [(0x4D, "auto"), (0, "auto"), (0, "gbk"), (0, "gb18030")])
def test_dbf_values_and_what_cannot_be_read(page: int, encoding: Any) -> None:
    records = [
        record("1", "六安".encode("gbk")),
        record("2", "作废".encode("gbk"), mark=b"*"),
        record("3", "六安".encode("gbk") + b"\xb0"),
        record("-1.5", b"", " " * 8, "?"),
    ]
    rows = read(dbf(FIELDS, records, page), "dbf", encoding=encoding)
    assert list(rows[0].values()) == ["1", "六安", "20260102", "T", None]
    assert (rows[1]["名称"], "\\xb0" in (rows[1][UNREAD] or "")) == (None, True)
    assert list(rows[2].values()) == ["-1.5", None, None, None, None]
    assert len(rows) == 3


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_changed_byte_of_a_dbf_never_crashes(data: st.DataObject) -> None:
    whole = bytearray(dbf(FIELDS, [record(str(number), "六安".encode("gbk")) for number in range(3)]))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(whole[: data.draw(st.sampled_from([len(whole), 60]))]), "dbf", encoding="gbk")
    except CitylakeError as error:
        assert error.text("zh") and error.text("en")


def test_dbf_that_breaks_off_or_has_memos_is_said() -> None:
    for data, code in (
        (dbf(FIELDS, [record("1", b"")])[:-9], "format.unreadable"),
        (dbf([("a", "M", 10)], []), "format.type"),
    ):
        with pytest.raises(CitylakeError) as caught:
            read(data, "dbf", encoding="gbk")
        assert caught.value.code == code


def test_dbf_of_clipper_whose_texts_are_longer_than_a_byte_says_is_refused() -> None:
    """Of 300 letters the field says 44, and 1 in the byte of the decimals: all behind it would be read too early."""
    whole = bytearray(dbf([("名称", "C", 44), ("n", "N", 3)], []))
    whole[32 + 17], whole[4:8], whole[10:12] = 1, struct.pack("<I", 1), struct.pack("<H", 1 + 300 + 3)
    with pytest.raises(CitylakeError) as caught:
        read(bytes(whole[:-1]) + b" " + "六安".encode("gbk").ljust(300) + b" 12" + b"\x1a", "dbf", encoding="gbk")
    assert caught.value.code == "format.unreadable"


def test_a_null_of_foxpro_is_no_zero() -> None:
    fields = [("n", "I", 4), ("m", "I", 4), ("名称", "C", 4), ("_NullFlags", "0", 1)]
    value = struct.pack("<ii", 0, 0)
    records = [b" " + value + b"\0" * 4 + bytes([0b01]), b" " + value + "六安".encode("gbk") + bytes([0b10])]
    whole = bytearray(dbf(fields, records))
    whole[32 + 18] = whole[96 + 18] = 0x02  # n and the text may be NULL
    rows = read(bytes(whole), "dbf", encoding="gbk")
    assert [(row["n"], row["m"], row["名称"]) for row in rows] == [(None, "0", None), ("0", "0", None)]


def test_dbf_whose_header_counts_too_few_is_refused() -> None:
    whole = dbf(FIELDS, [record(str(number), b"") for number in range(3)])
    for data in (whole[:4] + struct.pack("<I", 1) + whole[8:], whole.replace(b"\x1a", b"") + b" "):
        with pytest.raises(CitylakeError) as caught:
            read(data, "dbf", encoding="gbk")
        assert caught.value.code == "format.unreadable"
    assert len(read(whole + b"\x1a\0\0", "dbf", encoding="gbk")) == 3


POLYGON = struct.pack("<BIII8d", 1, 3, 1, 4, 0.1, 0.2, 1e-7, 3.0, 116.123456789012345, 31.0, 0.1, 0.2)


def layer(path: Path, driver: str, names: list[str], shape: bytes = POLYGON, **options: Any) -> None:
    pyogrio.raw.write(
        path, np.array([shape, shape], dtype=object), [np.array(names, dtype=object), np.array([1, 2])], ["名称", "n"],
        driver=driver, geometry_type="Polygon", crs="EPSG:4490", **options,
    )  # fmt: skip


def zipped(folder: Path, without: str = "none") -> LocalFile:
    path = folder / "图.zip"
    with zipfile.ZipFile(path, "w") as file:
        for part in sorted((folder / "parts").iterdir()):
            if part.suffix != without:
                file.write(part, f"数据/{part.name}")
    return LocalFile(path, path.name, request(folder, ("_crs",)))


@pytest.mark.parametrize("encoding", ["UTF-8", "GBK"])
def test_shapefile(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "parts").mkdir()
    layer(tmp_path / "parts" / "a.shp", "ESRI Shapefile", ["金安区", "裕安区"], encoding=encoding)
    rows = read_file(zipped(tmp_path), "shapefile")
    assert [(row["名称"], row["n"]) for row in rows] == [("金安区", "1"), ("裕安区", "2")]
    assert "116.12345678901235 31.0" in (rows[0]["geometry"] or "")
    assert "4490" in (rows[0]["_crs"] or "") or "China" in (rows[0]["_crs"] or "")
    with pytest.raises(CitylakeError) as caught:
        read_file(zipped(tmp_path, ".dbf"), "shapefile")
    assert caught.value.code == "format.no_member"


def test_shapefile_that_is_something_else_is_never_opened(tmp_path: Path) -> None:
    """GDAL would follow a virtual data source to any file of this machine."""
    (tmp_path / "parts").mkdir()
    layer(tmp_path / "parts" / "a.shp", "ESRI Shapefile", ["甲", "乙"])
    (tmp_path / "parts" / "a.shp").write_text("<OGRVRTDataSource><OGRVRTLayer name='a'/></OGRVRTDataSource>")
    with pytest.raises(CitylakeError) as caught:
        read_file(zipped(tmp_path), "shapefile")
    assert caught.value.code == "format.unreadable"


def test_a_damaged_reference_system_is_shown_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    layer(tmp_path / "parts" / "a.shp", "ESRI Shapefile", ["甲", "乙"])
    (tmp_path / "parts" / "a.prj").write_text('GEOGCS["damaged"')
    assert {row["_crs"] for row in read_file(zipped(tmp_path), "shapefile")} == {'GEOGCS["damaged"'}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_changed_byte_of_a_parquet_file_never_crashes(data: st.DataObject) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"a": ["x", "甲", None], "b": [1, 2, 3], "c": [[1], [], None]}), out)
    whole = bytearray(out.getvalue())
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(whole), "parquet")
    except CitylakeError as error:
        assert error.text("zh") and error.text("en")


def test_geopackage(tmp_path: Path) -> None:
    path = tmp_path / "图 #1.gpkg"
    layer(path, "GPKG", ["金安区", "裕安区"], layer="区划")
    file = LocalFile(path, path.name, request(tmp_path, ("_crs",)))
    rows = read_file(file, "gpkg")
    assert [(row["名称"], row["n"], row["_crs"]) for row in rows] == [
        ("金安区", "1", "EPSG:4490"),
        ("裕安区", "2", "EPSG:4490"),
    ]
    assert rows[0]["geometry"] == wkt.of_wkb(POLYGON)
    con = sqlite3.connect(path)
    for (trigger,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        con.execute(f'DROP TRIGGER "{trigger}"')
    con.execute("UPDATE 区划 SET 名称 = CAST(x'ff' AS TEXT) WHERE n = 2")
    con.commit()
    con.close()
    assert [row[UNREAD] is None for row in read_file(file, "gpkg")] == [True, False]
    with pytest.raises(CitylakeError) as caught:
        read_file(file, "gpkg", layer="水系")
    assert (caught.value.code, caught.value.arguments["names"]) == ("format.layer", "“区划”")


def test_geojson_keeps_every_digit() -> None:
    shapes = {
        "POINT (116.10 31.2000000000000001)": '{"type": "Point", "coordinates": [116.10, 31.2000000000000001]}',
        "POINT Z (1 2 3)": '{"type": "Point", "coordinates": [1, 2, 3]}',
        "MULTIPOINT ((1 2), (3 4))": '{"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}',
        "POLYGON ((0 0, 1 0, 1 1, 0 0))": '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}',
    }
    shapes["GEOMETRYCOLLECTION (POINT Z (1 2 3))"] = (
        f'{{"type": "GeometryCollection", "geometries": [{shapes["POINT Z (1 2 3)"]}]}}'
    )
    bad = ['{"type": "Curve", "coordinates": []}', '{"type": "Point", "coordinates": ["1", 2]}', "5"]
    features = ", ".join(
        f'{{"type": "Feature", "properties": {{"n": {n}}}, "geometry": {shape}}}'
        for n, shape in enumerate([*shapes.values(), "null", *bad])
    )
    rows = read(f'{{"type": "FeatureCollection", "features": [{features}]}}'.encode(), "geojson", expected=("_crs",))
    assert [row["geometry"] for row in rows[: len(shapes)]] == list(shapes)
    assert (rows[5]["geometry"], rows[5]["n"], rows[5]["_crs"]) == (None, "5", "urn:ogc:def:crs:OGC:1.3:CRS84")
    assert [row[UNREAD] is not None for row in rows[5:]] == [False, True, True, True]


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5), st.sampled_from("<>"))
def test_binary_shapes_come_back_from_text(points: list[tuple[float, float]], order: str) -> None:
    byte = b"\x01" if order == "<" else b"\x00"
    data = byte + struct.pack(f"{order}II", 2, len(points))
    data += b"".join(struct.pack(f"{order}2d", *point) for point in points)
    text = wkt.of_wkb(data)
    found = [tuple(map(float, pair.split())) for pair in text.removeprefix("LINESTRING (").rstrip(")").split(", ")]
    assert found == points
    with pytest.raises(ValueError, match="breaks off"):
        wkt.of_wkb(data[:-1])


@given(st.binary(max_size=60))
def test_any_bytes_are_a_shape_or_a_value_error(data: bytes) -> None:
    try:
        wkt.of_wkb(data)
    except ValueError as error:
        assert str(error)


def test_geojson_of_another_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    layer(path, "GeoJSON", ["金安区", "裕安区"])
    rows = read(path.read_bytes(), "geojson")
    assert [row["名称"] for row in rows] == ["金安区", "裕安区"]
    first = json.loads(path.read_text("utf-8"))["features"][0]["geometry"]["coordinates"][0][0]
    assert (rows[0]["geometry"] or "").startswith(f"POLYGON (({first[0]} {first[1]}")
