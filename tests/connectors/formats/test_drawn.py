"""Files drawn by chance, whole, damaged and cut off, in every format but CSV: what was written is read, or it is
refused by name; a row is found where its place says that it stands.

Checksums of xlsx, zip and gzip tell every flipped bit, so their rows are those that were written or none. The others
have none: what they say when damaged is asked of the plainest reader there is.
"""

import gzip
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyogrio.raw
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.connectors.base import UNREAD
from pipelines.connectors.formats import Place, opened
from pipelines.geo import wkt
from pipelines.messages import CitylakeError
from tests.connectors.formats.reading import local, read
from tests.connectors.formats.test_archive import tarred, zipped
from tests.connectors.formats.test_tables import POLYGON, dbf
from tests.connectors.formats.xls import xls

many, some = settings(max_examples=60, deadline=None), settings(max_examples=20, deadline=None)
"""A workbook costs a process of its own each time."""
Rows = list[list[str]]
PIECES = ["a", "甲", "䃥", "𠮷", " ", "\n", "\r", "\t", "<", "&", '"', "'", "_x000D_", "_x0041_", "]]>", "\u3000",
          "\u200b", "é", "0", "=1", "#N/A", "1E5", "\ufeff", "TRUE", "，"]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
tables = st.lists(st.tuples(texts, texts).map(list), min_size=1, max_size=6)


def cells(rows: Sequence[dict[str, str | None]]) -> list[list[str]]:
    """The cells of rows that were read, none of them refused."""
    assert all(row[UNREAD] is None for row in rows)
    return [[row["id"] or "", row["name"] or ""] for row in rows]


def placed(data: bytes, format: Any, expected: Sequence[str] = (), **options: Any) -> list[Place]:
    with tempfile.TemporaryDirectory() as folder:
        file = local(Path(folder), data, expected)
        with opened(file, format, **options) as table:
            return list(table.places())


def damaged(data: st.DataObject, whole: bytes) -> bytes:
    """A file of which a byte was changed, the end is missing, or some bytes were lost or doubled."""
    at = data.draw(st.integers(0, len(whole) - 1), label="at")
    kind = data.draw(st.sampled_from(["byte", "bit", "cut", "lost", "doubled"]), label="kind")
    if kind == "cut":
        return whole[:at]
    if kind == "lost":
        return whole[:at] + whole[at + data.draw(st.integers(1, 8)) :]
    if kind == "doubled":
        return whole[: at + 4] + whole[at:]
    changed = data.draw(st.integers(0, 255)) if kind == "byte" else whole[at] ^ 1 << data.draw(st.integers(0, 7))
    return whole[:at] + bytes([changed]) + whole[at + 1 :]


def read_or_refused(data: bytes, format: Any, **options: Any) -> list[dict[str, str | None]] | None:
    """The rows, or None for what was refused in words; anything else is an error of the test."""
    try:
        return read(data, format, **options)
    except CitylakeError as error:
        assert error.text("zh") and error.text("en")
        return None


# workbooks


def book(rows: Rows, top: int = 0, left: int = 0, blank: Sequence[int] = (), sheet: str = "企业") -> bytes:
    """A workbook of texts, its header below and beside empty cells, empty lines before some rows."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as written:
        page = written.add_worksheet(sheet)
        line = top
        for number, row in enumerate([["id", "name"], *rows]):
            line += number in blank
            for column, text in enumerate(row):
                if text:
                    page.write_string(line, left + column, text)
            line += 1
    return out.getvalue()


@some
@given(tables, st.integers(0, 3), st.integers(0, 3), st.sets(st.integers(1, 6), max_size=3))
def test_texts_of_a_workbook_are_read_and_found_at_their_cells(
    rows: Rows, top: int, left: int, blank: set[int]
) -> None:
    data, written = book(rows, top, left, sorted(blank)), [row for row in rows if any(row)]
    assert cells(read(data, "xlsx", header_row=top + 1)) == written
    lines = [top + 2 + number + sum(one <= number + 1 for one in blank) for number in range(len(rows))]
    expected = [line for line, row in zip(lines, rows, strict=True) if any(row)]
    found = placed(data, "xlsx", header_row=top + 1)
    assert [(place.of, place.number) for place in found] == [("企业", line) for line in expected]
    assert {place.letters["name"] for place in found} <= {"ABCDE"[left + 1]}


@some
@given(tables, st.data())
def test_a_damaged_workbook_says_what_was_written_or_nothing(rows: Rows, data: st.DataObject) -> None:
    whole = book(rows)
    found = read_or_refused(damaged(data, whole), "xlsx")
    assert found is None or cells(found) == [row for row in rows if any(row)]


# The library takes U+FEFF before a text of an old workbook for its byte order; cleaning would take that sign away, too.
unmarked = texts.filter(lambda text: text[:1] not in ("\ufeff", "\ufffe"))


@some
@given(st.lists(st.tuples(unmarked, unmarked | st.floats(-1e14, 1e14)).map(list), min_size=1, max_size=5), st.data())
def test_old_workbooks_are_read_and_damaged_ones_never_crash(rows: list[list[Any]], data: st.DataObject) -> None:
    whole = xls([["id", "name"], *rows])
    read_rows = read(whole, "xls")
    kept = [row for row in rows if row[0] or row[1] != ""]
    assert len(read_rows) == len(kept)
    for row, (first, second) in zip(read_rows, kept, strict=True):
        shown = row["name"] or ""
        assert (row["id"] or "") == first and (float(shown) == second if isinstance(second, float) else shown == second)
    read_or_refused(damaged(data, whole), "xls")


# tables of fixed width


@many
@given(st.lists(st.tuples(st.integers(-9999, 99999), st.text("a甲乙 1'", max_size=3)), max_size=5), st.data())
def test_a_dbf_is_read_and_a_damaged_one_is_what_its_bytes_say(
    rows: list[tuple[int, str]], data: st.DataObject
) -> None:
    encoding = data.draw(st.sampled_from(["gbk", "utf-8"]))
    fields = [("id", "N", 5), ("name", "C", 9)]
    records = [b" " + str(number).rjust(5).encode() + text.encode(encoding).ljust(9) for number, text in rows]
    whole = dbf(fields, records, encoding=encoding)
    found = read(whole, "dbf", encoding=encoding)
    assert [[row["id"], row["name"] or ""] for row in found] == [[str(n), text.rstrip(" ")] for n, text in rows]
    start = len(whole) - len(b"".join(records)) - 1
    bad = bytearray(whole)
    at = data.draw(st.integers(start, len(whole) - 1))
    bad[at] = data.draw(st.integers(0, 255))
    expected: list[tuple[str, str] | None] = []
    for number in range(len(records)):
        record = bytes(bad[start + number * 15 : start + (number + 1) * 15])
        try:
            texts_ = record[1:6].strip(b" \0").decode("ascii"), record[6:].rstrip(b" \0").decode(encoding)
            expected += [texts_] if record[:1] != b"*" else []
        except UnicodeDecodeError:
            expected += [None] if record[:1] != b"*" else []
    if (again := read_or_refused(bytes(bad), "dbf", encoding=encoding)) is not None:
        assert [None if row[UNREAD] else (row["id"] or "", row["name"] or "") for row in again] == expected


# JSON and XML


objects = st.lists(
    st.fixed_dictionaries({"id": texts, "name": texts | st.integers() | st.none()}), min_size=1, max_size=5
)


@many
@given(objects, st.data())
def test_damaged_json_is_what_the_standard_library_reads(found: list[dict[str, Any]], data: st.DataObject) -> None:
    bad = damaged(data, json.dumps(found, ensure_ascii=data.draw(st.booleans())).encode())
    rows = read_or_refused(bad, "json")
    if rows is None:
        return
    reference = json.loads(bad.decode("utf-8-sig"), parse_int=str, parse_float=str)
    for row, one in zip(rows, reference, strict=True):
        if row[UNREAD] is None:
            assert {name: row[name] for name in one} == {
                name: (value or None) if isinstance(value, str) else value and json.dumps(value, ensure_ascii=False)
                for name, value in one.items()
                if value is None or isinstance(value, str)
            } | {name: row[name] for name, value in one.items() if not (value is None or isinstance(value, str))}


@many
@given(objects, st.lists(st.sampled_from(["", " ", "{", "[1]"]), max_size=4), st.data())
def test_lines_of_json_are_found_at_their_lines(
    found: list[dict[str, Any]], others: list[str], data: st.DataObject
) -> None:
    lines = data.draw(st.permutations([*map(json.dumps, found), *others]))
    body = "\n".join(lines).encode()
    rows, places = read(body, "ndjson"), placed(body, "ndjson")
    assert [lines[place.number - 1] for place in places] == [line for line in lines if line.strip()]
    for row, place in zip(rows, places, strict=True):
        said = lines[place.number - 1]
        assert row[UNREAD] == (said if said in others else None)
        assert said in others or (row["id"] or "") == json.loads(said)["id"]


@many
@given(
    st.lists(st.tuples(st.text("a甲<&", max_size=4), st.text("a甲<&]>", max_size=4)), min_size=1, max_size=5), st.data()
)
def test_damaged_xml_is_what_the_standard_library_reads(found: list[tuple[str, str]], data: st.DataObject) -> None:
    root = ElementTree.Element("r")
    for one in found:
        element = ElementTree.SubElement(root, "row")
        for name, text in zip(("id", "name"), one, strict=True):
            ElementTree.SubElement(element, name).text = text
    bad = damaged(data, ElementTree.tostring(root, data.draw(st.sampled_from(["utf-8", "us-ascii", "utf-16"]))))
    if (rows := read_or_refused(bad, "xml", records="row")) is None:
        return
    reference = [one for one in ElementTree.fromstring(bad) if one.tag == "row"]
    for row, element in zip(rows, reference, strict=True):
        if row[UNREAD] is None:
            values = {child.tag.rpartition("}")[2]: child.text or None for child in element if not len(child)}
            assert {name: row[name] for name in values} == values or len(values) < len(element)


# geodata


def package(folder: Path, names: list[str], driver: str, ending: str, **options: Any) -> list[Path]:
    shapes = np.array([POLYGON] * len(names), dtype=object)
    pyogrio.raw.write(folder / f"a{ending}", shapes, [np.array(names, dtype=object)], ["name"], driver=driver,
                      geometry_type="Polygon", crs="EPSG:4490", **options)  # fmt: skip
    return sorted(folder.iterdir())


labels = st.lists(st.text("a甲乙-1", min_size=1, max_size=5), min_size=1, max_size=4)


@some
@given(labels, st.sampled_from([("GPKG", ".gpkg", "gpkg"), ("ESRI Shapefile", ".shp", "shapefile"),
                                ("GeoJSON", ".geojson", "geojson")]), st.data())  # fmt: skip
def test_features_are_read_and_damaged_ones_never_crash(
    names: list[str], kind: tuple[str, str, str], data: st.DataObject
) -> None:
    driver, ending, format = kind
    with tempfile.TemporaryDirectory() as folder:
        encoding = {"encoding": "GBK"} if format == "shapefile" else {}
        parts = {path.name: path.read_bytes() for path in package(Path(folder), names, driver, ending, **encoding)}
    whole = zipped(parts) if format == "shapefile" else parts[f"a{ending}"]
    rows = read(whole, format)
    assert [row["name"] for row in rows] == names
    assert format == "geojson" or {row["geometry"] for row in rows} == {wkt.of_wkb(POLYGON)}
    assert [place.number for place in placed(whole, format)] == [*range(1, len(names) + 1)]
    if format == "shapefile":  # each part by itself: of the archive the checksum would tell
        part = data.draw(st.sampled_from(sorted(parts)))
        whole = zipped(parts | {part: damaged(data, parts[part])})
    else:
        whole = damaged(data, whole)
    read_or_refused(whole, format)


@some
@given(labels, st.integers(0, 10_000))
def test_a_geopackage_cut_off_is_whole_or_refused(names: list[str], end: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (path,) = package(Path(folder), names, "GPKG", ".gpkg")
        whole = path.read_bytes()
    rows = read_or_refused(whole[: len(whole) * end // 10_000], "gpkg")
    assert rows is None or [row["name"] for row in rows] == names


# archives


MEMBERS = st.dictionaries(
    st.sampled_from(["a.csv", "b/甲.csv", "c d.csv", "é.csv"]),
    st.lists(st.text("a甲", min_size=1, max_size=3), max_size=3),
    min_size=1,
)


def packed(members: dict[str, bytes], kind: str) -> bytes:
    return zipped(members) if kind == "zip" else tarred(members, "w" if kind == "tar" else "w:gz")


@pytest.mark.long
@many
@given(MEMBERS, st.sampled_from(["zip", "tar", "tar.gz"]), st.data())
def test_members_are_read_found_and_damaged_archives_say_nothing_else(
    members: dict[str, list[str]], kind: str, data: st.DataObject
) -> None:
    files = {name: "\n".join(["id,name", *(f"{one},x" for one in ids), ""]).encode() for name, ids in members.items()}
    whole = packed(files, kind)
    ids = [one for name in sorted(members) for one in members[name]]
    assert [row["id"] for row in read(whole, member="*.csv")] == ids
    places = placed(whole, "csv", member="*.csv")
    assert [(place.file.removeprefix("交付[1].csv/"), place.number) for place in places] == [
        (name, number) for name in sorted(members) for number in range(2, len(members[name]) + 2)
    ]
    found = read_or_refused(damaged(data, whole), "csv", member="*.csv")
    assert found is None or kind == "tar" or [row["id"] for row in found] == ids  # a plain tar has sums of names only


@many
@given(
    st.lists(
        st.sampled_from(["..", ".", "a", "/", "\\", "C:", "etc", "~", "a.csv", "\u2215", " "]), min_size=1, max_size=6
    ),
    st.data(),
)
def test_no_name_leads_out_of_the_folder(parts: list[str], data: st.DataObject) -> None:
    """Whatever a member is called, nothing is written but below the folder of the pull."""
    name = data.draw(st.sampled_from(["/", "\\", ""])).join(parts) or "a"
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "in" / "ner"
        inner.mkdir(parents=True)
        file = local(inner, packed({name: b"id,name\n1,x\n"}, data.draw(st.sampled_from(["zip", "tar"]))))
        try:
            with opened(file, "csv", "*") as table:
                assert table.write(file.request) == 1
        except CitylakeError as error:
            assert error.text("zh")
        assert [path.name for path in Path(folder).iterdir()] == ["in"]
        assert [path.name for path in inner.parent.iterdir()] == ["ner"]
        assert {path.name for path in inner.iterdir()} <= {"交付[1].csv", "rows.parquet", "scratch"}


@pytest.mark.parametrize("depth", [1, 2])
def test_bombs_within_bombs_are_stopped_at_the_first(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = gzip.compress(bytes(2_000_000))
    for _ in range(depth):
        data = zipped({"a.csv": data})
    with pytest.raises(CitylakeError) as caught:
        read(data, member="*")
    assert caught.value.code == "format.nested_archive"
