"""JSON, NDJSON and XLSX: the rows and columns of the CSV for everybody, values as they are, what a sheet refuses."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import time
import zipfile
from datetime import date, datetime
from pathlib import Path

import duckdb
import pandas
import polars
import pytest
from fastapi.testclient import TestClient

from catalog.delivery import formats, workbooks
from catalog.delivery.workbooks import About, DoesNotFit
from catalog.policy import audit
from pipelines.register.store import now
from tests.catalog.reading import cells, downloaded, sheet
from tests.catalog.small_city import AGES, DIVISIONS, PERSONS, City, bearer

NEW = ("json", "ndjson", "xlsx")
HTML = {"Accept": "text/html"}
VALUES = """
select '0012345678901234567' as id_text, '=1+1' as formula, 'http://evil.example' as link, '12' as digits,
    date '2026-11-01' as day, date '1899-12-31' as old_day, timestamptz '2026-01-02 03:04:05.25+08' as moment,
    9007199254740993 as long_number, 1.5 as number, 'nan'::double as no_number, true as flag, '' as empty,
    null::varchar as nothing
"""


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("SET TimeZone = 'UTC'")
    return made


@pytest.mark.parametrize("kind", NEW)
@pytest.mark.parametrize(
    ("product", "limits"),
    [
        (AGES, None),
        (PERSONS, {}),
        (PERSONS, {"divisions": ["341503"]}),
        (PERSONS, {"columns": ["person_ref", "name"]}),
        (PERSONS, {"divisions": ["341502"], "columns": ["name", "division_code"]}),
        (DIVISIONS, {}),
    ],
)
def test_everybody_gets_the_rows_and_columns_of_the_csv(
    city: City, client: TestClient, product: str, limits: dict[str, list[str]] | None, kind: str
) -> None:
    shown = {}
    if limits is not None:
        name = f"格式测试{kind}{product}{sorted(limits)}"
        shown = bearer(city.recipient(name))
        city.grant(name, product, **limits)
    road = f"/datasets/{product}/download"
    answer, text = client.get(f"{road}/{kind}", headers=shown), client.get(f"{road}/csv", headers=shown)
    assert downloaded(answer.content, kind) == downloaded(text.content, "csv")
    assert answer.headers["x-checksum-sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert answer.headers["content-type"] == formats.MEDIA_TYPES[kind]  # type: ignore[index]
    read = audit.recent(city.register, 2)[1]
    body = read["body"]
    assert (read["action"], body["format"], body["bytes"]) == ("download", kind, len(answer.content))
    assert body["rows"] == len(downloaded(text.content, "csv")[1])


@pytest.mark.parametrize("kind", NEW)
def test_who_may_not_read_gets_no_format(city: City, client: TestClient, kind: str) -> None:
    token = city.recipient(f"无权测试{kind}")
    for product in (PERSONS, DIVISIONS):
        road = f"/datasets/{product}/download/{kind}"
        assert (client.get(road).status_code, client.get(road, headers=bearer(token)).status_code) == (401, 403)
    assert [row["outcome"] for row in audit.recent(city.register, 4)] == ["denied"] * 4


@pytest.mark.parametrize("kind", NEW)
def test_files_are_made_once_and_given_in_ranges(city: City, client: TestClient, kind: str) -> None:
    road = f"/datasets/{AGES}/download/{kind}"
    first, second = client.get(road), client.get(road)
    assert first.content == second.content
    part = client.get(road, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, first.content[2:6])
    head = client.head(road)
    assert head.headers["content-length"] == str(len(first.content)) and head.content == b""
    assert f"_v0.{kind}" in head.headers["content-disposition"]


def test_json_has_every_value(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    formats.WRITERS["json"](con, VALUES, target)
    (record,) = json.loads(target.read_text("utf-8"))
    assert record["id_text"] == "0012345678901234567" and record["formula"] == "=1+1"
    assert (record["day"], record["old_day"]) == ("2026-11-01", "1899-12-31")
    assert record["moment"] == "2026-01-01T19:04:05.25Z"
    assert (record["long_number"], record["number"], record["no_number"]) == (9007199254740993, 1.5, None)
    assert (record["flag"], record["empty"], record["nothing"]) == (True, "", None)


def test_no_rows_are_an_empty_array(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for kind, expected in (("json", "[]"), ("ndjson", "")):
        target = tmp_path / kind
        formats.WRITERS[kind](con, f"SELECT * FROM ({VALUES}) WHERE false", target)
        assert re.sub(r"\s", "", target.read_text("utf-8")) == expected


@pytest.mark.parametrize("values", ["('x'), (NULL), (''), ('y'), (NULL)", "(NULL::INT), (1), (NULL)", "(NULL::DATE)"])
def test_a_file_of_one_column_has_as_many_rows_for_every_reader(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, values: str
) -> None:
    """Readers pass over empty lines; two columns are written as ever."""
    target = tmp_path / "x.csv"
    rows = f"SELECT * FROM (VALUES {values}) t(a)"
    formats.WRITERS["csv"](con, rows, target)
    wanted = len(con.execute(rows).fetchall())
    counts = {
        "duckdb": len(duckdb.read_csv(str(target), header=True).fetchall()),
        "pandas": len(pandas.read_csv(target)),
        "polars": len(polars.read_csv(target)),
        "csv": len(list(csv.DictReader(io.StringIO(target.read_text("utf-8-sig"))))),
    }
    assert set(counts.values()) == {wanted}, counts
    formats.WRITERS["csv"](con, "SELECT NULL AS a, '' AS b", target)
    assert target.read_bytes().endswith(b'\r\n,""\r\n')


def book(con: duckdb.DuckDBPyConnection, query: str, tmp_path: Path) -> bytes:
    target = tmp_path / "x.xlsx"
    workbooks.write(con, query, target, About([("web.sheet.dataset", "=2+2")], [], now()))
    return target.read_bytes()


def test_a_sheet_keeps_text_as_text_and_dates_as_dates(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    content = book(con, VALUES, tmp_path)
    (row,) = sheet(content, 0)
    assert row["id_text"] == "0012345678901234567" and row["digits"] == "12"
    assert (row["formula"], row["link"]) == ("=1+1", "http://evil.example")
    assert (row["day"], row["old_day"]) == (date(2026, 11, 1), "1899-12-31")
    assert row["moment"] == datetime(2026, 1, 1, 19, 4, 5, 250000)
    assert (row["long_number"], row["number"], row["flag"]) == ("9007199254740993", 1.5, True)
    assert row["nothing"] is None


def test_nothing_in_a_book_is_a_formula_or_a_link(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(book(con, VALUES, tmp_path))) as parts:
        sheets = [parts.read(name).decode() for name in parts.namelist() if name.startswith("xl/worksheets/")]
    assert len(sheets) == 2
    assert not any("<f>" in text or "hyperlink" in text for text in sheets)
    assert all("=1+1" in text or "=2+2" in text for text in sheets)


def test_the_second_sheet_tells_licence_and_dictionary_of_what_is_shown(city: City, client: TestClient) -> None:
    shown = client.get(f"/datasets/{AGES}/download/xlsx").content
    found = [cell for row in cells(shown, 1) for cell in row]
    licence = city.contracts.products[AGES].form.licence
    assert licence in found and f"http://catalogue.test/datasets/{AGES}" in found
    assert {"county_code", "县区代码"} <= set(found)
    token = city.recipient("字典测试")
    city.grant("字典测试", columns=["name"])
    shown = client.get(f"/datasets/{PERSONS}/download/xlsx", headers=bearer(token)).content
    found = [cell for row in cells(shown, 1) for cell in row]
    assert "surname" in found and "id_number" not in found


def test_too_many_rows_are_refused_with_another_way(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    client = own_city.client()
    monkeypatch.setattr(workbooks, "MOST_ROWS", 95)
    machine = client.get(f"/datasets/{AGES}/download/xlsx")
    assert machine.status_code == 413 and "CSV" in machine.json()["message"] and "96" in machine.json()["message"]
    page = client.get(f"/datasets/{AGES}/download/xlsx?lang=zh", headers=HTML)
    assert page.status_code == 413 and f"/datasets/{AGES}/download/parquet" in page.text and "超过" in page.text
    assert not any(row["action"] == "download" for row in audit.recent(own_city.register)), "nothing was given out"
    text = client.get(f"/datasets/{AGES}").text
    assert f"/datasets/{AGES}/download/xlsx" not in text and "不提供 XLSX" in text
    assert f"/datasets/{AGES}/download/xlsx" not in client.get(f"/datasets/{AGES}/preview").text
    monkeypatch.setattr(workbooks, "MOST_ROWS", 96)
    assert client.get(f"/datasets/{AGES}/download/xlsx").status_code == 200


def test_a_text_no_cell_can_hold_is_refused_and_not_cut(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert sheet(book(con, "select repeat('x', 32767) as text", tmp_path), 0) == [{"text": "x" * 32767}]
    with pytest.raises(DoesNotFit) as error:
        book(con, "select repeat('x', 32768) as text", tmp_path)
    assert error.value.arguments == {"column": "text"}


def test_the_same_version_is_the_same_book(own_city: City) -> None:
    """Two services that make a book at the same time must not tell two checksums of it."""
    road = f"/datasets/{AGES}/download/xlsx"
    first = own_city.client().get(road).headers["x-checksum-sha256"]
    shutil.rmtree(own_city.settings.lake.root / "views")
    assert own_city.client().get(road).headers["x-checksum-sha256"] == first


def test_files_of_superseded_versions_go_when_nobody_used_them_for_a_day(own_city: City) -> None:
    client = own_city.client()
    client.get(f"/datasets/{AGES}/download/json")
    (old,) = (own_city.settings.lake.root / "views").rglob("age_structure_by_county.json")
    own_city.release(AGES, 102)
    own_city.client()
    assert old.exists()
    yesterday = time.time() - 25 * 3600
    os.utime(old.parents[1], (yesterday, yesterday))
    own_city.client()
    assert not old.exists()
