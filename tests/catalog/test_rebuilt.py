"""Views are compared with what the released versions give: whatever is changed where grants are answered from is told,
by folder and file, and what nobody is given is not looked at."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from catalog.delivery import rebuilt
from catalog.delivery.desk import Desk
from catalog.delivery.rebuilt import Compared
from catalog.delivery.views import MADE_BY
from catalog.policy import administration, epochs
from pipelines.lake import parquet
from pipelines.lake.parquet import sha256
from tests.catalog.conftest import released_city
from tests.catalog.filing import add_deliveries, put_into
from tests.catalog.small_city import AGES, GUARD, PERSONS, STEWARD, City, bearer
from tests.connectors.store_servers import FolderBackend

NAME = PERSONS.split("/")[1]
TABLE = f"/delta-sharing/shares/sharing/schemas/population/tables/{NAME}"
ROWS = f"/api/v1/products/{PERSONS}/rows"
VIEW = f"*/{NAME}/v2/????????????????????????????????@*"
"""Folders of policy views of the newest version."""


@pytest.fixture(scope="module")
def read_city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """A city in which every road was read by: tables, changes, rows, keys, downloads, packages, parts of divisions."""
    city, store = released_city(tmp_path_factory.mktemp("read")), FolderBackend(tmp_path_factory.mktemp("store"))
    tokens = {name: city.recipient(name) for name in ("甲", "乙", "县")}
    to = {"341502": {"recipient": "县", "connection": "drop", "folder": "county"}}
    files = {"recipient": "甲", "product": PERSONS, "formats": ["csv", "xlsx"], "connection": "drop", "folder": "all"}
    returned = {"by": "division", "product": PERSONS, "formats": ["ndjson"], "to": to}
    add_deliveries(city, {"drop": store.address}, {"files": files, "returned": returned})
    city.grant("甲", divisions=["341502", "341503"])
    city.grant("乙", columns=["name", "county_name"])
    city.grant("县")
    desk, client = Desk(city.settings, city.register), city.client()
    for number in range(2):
        city.release(PERSONS, 40 + 20 * number)
        for name in ("files", "returned.341502"):
            put_into(desk, name)
    for token in tokens.values():
        (row,) = client.get(f"{ROWS}?limit=1", headers=bearer(token)).json()
        if "person_ref" in row:
            assert client.get(f"{ROWS}?person_ref=eq.{row['person_ref']}", headers=bearer(token)).json() == [row]
        assert client.post(f"{TABLE}/query", json={}, headers=bearer(token)).status_code == 200
        changed = client.get(f"{TABLE}/changes", params={"startingVersion": 2}, headers=bearer(token))
        assert changed.status_code == 200, changed.text
        for kind in ("csv", "xlsx", "json"):
            got = client.get(f"/datasets/{PERSONS}/download/{kind}", headers=bearer(token))
            assert got.status_code == 200, got.text
    assert client.get(f"/api/v1/products/{AGES}/rows?county_code=eq.341502&sex=eq.1&age_band=eq.00-04").json()
    return city


@pytest.fixture
def views(read_city: City, tmp_path: Path) -> Iterator[Path]:
    """Where its views lie; they are as they were after the test."""
    root = read_city.settings.lake.root / "views"
    shutil.copytree(root, tmp_path / "kept")
    yield root
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "kept", root)


def compared(city: City) -> Compared:
    return rebuilt.compared(city.settings, city.register)


def told(city: City, root: Path) -> dict[str, tuple[str, ...]]:
    """The folders that are told as altered, by their place among the views, with the files."""
    return {one.folder.relative_to(root).as_posix(): one.files for one in compared(city).altered}


def folders(root: Path) -> list[Path]:
    return sorted(one for one in root.glob("*/*/v*/*") if ".building" not in one.parts)


def one(root: Path, pattern: str) -> Path:
    return sorted(root.glob(pattern))[0]


def test_what_every_road_made_is_made_again_the_same(read_city: City, views: Path) -> None:
    found, standing = compared(read_city), folders(views)
    for kind in ("-rows1@", "-keys2-", "changes-1-1-", "-package-", "-csv@", "-xlsx-", "-json@", "whole-rows1"):
        assert any(kind in one.name for one in standing), kind
    assert found.altered == [] and found.same == len(standing) - found.idle
    idle = {one.name for one in standing if one.parent.name == "v1" and "-package-" in one.name}
    assert found.idle == len(idle) == 2, "packages of what was published before lead on from nothing"
    assert not list(read_city.settings.lake.scratch().glob("views-*"))


def rewritten(query: str) -> Callable[[Path], None]:
    """Another Parquet file in the place of one, as the same engine writes it. `query`: of a table `it`."""

    def change(file: Path) -> None:
        with duckdb.connect() as con:
            con.execute(f"CREATE TABLE it AS SELECT * FROM read_parquet('{file}')")
            con.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")

    return change


def other_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def by_another_writer(file: Path) -> None:
    """The same rows in the same order, with other statistics beside them."""
    pq.write_table(pq.read_table(file), file, write_statistics=False)


def other_line(file: Path) -> None:
    with closing(sqlite3.connect(file)) as index, index:
        index.execute("UPDATE rows SET line = replace(line, '}', ',\"more\":1}') WHERE position = 0")


def other_key(file: Path) -> None:
    with closing(sqlite3.connect(file)) as index, index:
        index.execute("UPDATE rows SET key = (SELECT max(key) FROM rows WHERE position > 0) || '1' WHERE position = 0")


def other_text(before: str, after: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        text = file.read_text("utf-8")
        assert before in text
        file.write_text(text.replace(before, after, 1), "utf-8")

    return change


EXCHANGED = "SELECT * REPLACE (CASE WHEN rowid = 5 THEN '张四' ELSE name END AS name) FROM it ORDER BY rowid"
ATTACKS: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "a byte of a view": (VIEW, "part-*.parquet", other_byte),
    "another row in a view": (VIEW, "part-*.parquet", rewritten(EXCHANGED)),
    "statistics of a view": (VIEW, "view.json", other_text('numRecords\\": ', 'numRecords\\": 1')),
    "columns of a view": (VIEW, "view.json", other_text('\\"name\\"', '\\"nama\\"')),
    "no description of a view": (VIEW, "view.json", lambda file: file.write_text("{}")),
    "a row left out": (f"*/{NAME}/v2/*-rows1@*", "rows.parquet", rewritten("SELECT * FROM it LIMIT 5")),
    "another order": (f"*/{NAME}/v2/*-rows1@*", "rows.parquet", rewritten("SELECT * FROM it ORDER BY rowid DESC")),
    "statistics in a file": (f"*/{NAME}/v2/*-rows1@*", "rows.parquet", by_another_writer),
    "another number of rows": (f"*/{NAME}/v2/*-rows1@*", "rows.json", other_text('"rows": ', '"rows": 1')),
    "an answer by key": (f"*/{NAME}/v2/*-keys2-*", "keys.sqlite", other_line),
    "a key": (f"*/{NAME}/v2/*-keys2-*", "keys.sqlite", other_key),
    "ordered rows of open data": ("open/*/v0/whole-rows1@*", "rows.parquet", other_byte),
    "a change": (f"*/{NAME}/v2/changes-1-1-*@*", "part-*.parquet", other_byte),
    "a download": (f"*/{NAME}/v2/*-csv@*", "*.csv", other_byte),
    "a checksum": (f"*/{NAME}/v2/*-csv@*", "file.json", other_text('"sha256": "', '"sha256": "0')),
    "a book": (f"*/{NAME}/v2/*-xlsx-*@*", "*.xlsx", other_byte),
    "a file of a package": (f"*/{NAME}/v2/*-package-*@*", "SM3SUMS", other_text("  ", " *")),
    "the terms in a package": (f"*/{NAME}/v2/*-package-*@*", "LICENCE.txt", lambda file: file.write_text("随意使用")),
    "an earlier version": (VIEW.replace("/v2/", "/v1/"), "part-*.parquet", other_byte),
}


@pytest.mark.long
@pytest.mark.parametrize("attack", ATTACKS)
def test_whatever_is_changed_is_told_by_folder_and_file(read_city: City, views: Path, attack: str) -> None:
    where, name, change = ATTACKS[attack]
    file = one(views, f"{where}/{name}")
    folder = file.parent
    before = sha256(file)
    change(file)
    assert sha256(file) != before
    (found,) = compared(read_city).altered
    assert (found.folder, f"v{found.version}", found.product) == (
        folder,
        folder.parent.name,
        folder.parent.parent.relative_to(views).as_posix(),
    )
    assert ("parts[0]" if name == "part-*.parquet" else file.name) in found.files
    assert len(found.files) == (3 if "no description" in attack else 1)


def test_a_changed_view_is_told_also_without_what_it_was_made_from(read_city: City, views: Path) -> None:
    keys = one(views, f"*/{NAME}/v2/*-rows1-keys2-*")
    other_line(keys / "keys.sqlite")
    for made_from in keys.name.partition("-rows1-")[0], keys.name.partition("-keys2-")[0]:
        shutil.rmtree(keys.with_name(f"{made_from}@{MADE_BY}"))
    assert told(read_city, views) == {keys.relative_to(views).as_posix(): ("keys.sqlite",)}


def test_files_that_are_gone_or_were_put_beside_are_told(read_city: City, views: Path) -> None:
    view, rows = one(views, VIEW), one(views, f"*/{NAME}/v2/*-rows1@*")
    (part,) = view.glob("part-*")
    part.unlink()
    (rows / "more.parquet").symlink_to("/nowhere")
    found = told(read_city, views)
    assert set(found) == {one.relative_to(views).as_posix() for one in (view, rows)}
    assert found[rows.relative_to(views).as_posix()] == ("more.parquet",)
    assert found[view.relative_to(views).as_posix()] == ("parts[0]", "view.json")


def test_what_nobody_is_given_is_counted_and_told_once_it_is_given(own_city: City) -> None:
    own_city.recipient("甲")
    given = own_city.grant("甲", divisions=["341502"])
    desk = Desk(own_city.settings, own_city.register)
    extract = desk.views.extract(desk.admit(desk.callers.on_behalf("甲"), PERSONS, "test", "rows").allowed)
    administration.revoke_grant(own_city.register, given.id, actor=STEWARD)
    other_byte(extract.folder / extract.parts[0].name)
    assert compared(own_city) == Compared(idle=1)
    own_city.grant("甲", divisions=["341502"])
    assert [(one.product, one.version) for one in compared(own_city).altered] == [(PERSONS, 0)]
    epochs.rotate(own_city.register, "甲", "换", actor=GUARD, zone="Asia/Shanghai")
    assert compared(own_city) == Compared(idle=1), "new pseudonyms, other views"


def test_what_another_engine_made_is_nobodys(own_city: City) -> None:
    own_city.recipient("甲")
    own_city.grant("甲")
    desk = Desk(own_city.settings, own_city.register)
    extract = desk.views.extract(desk.admit(desk.callers.on_behalf("甲"), PERSONS, "test", "rows").allowed)
    before = extract.folder.with_name(extract.folder.name.replace(MADE_BY, "00000000"))
    extract.folder.rename(before)
    again = desk.views.extract(desk.admit(desk.callers.on_behalf("甲"), PERSONS, "test", "rows").allowed)
    assert again.folder == extract.folder and again.key == extract.key, "clients know it by the same name"
    assert compared(own_city) == Compared(same=1, idle=1)


@pytest.mark.long
@pytest.mark.parametrize(("threads", "size"), [(1, 100_000), (3, 100_000), (3, parquet.FILE_SIZE)])
def test_large_views_are_the_same_by_any_number_of_threads(
    own_city: City, monkeypatch: pytest.MonkeyPatch, threads: int, size: int
) -> None:
    """Also those of several files, and of several row groups in one."""
    monkeypatch.setattr(parquet, "FILE_SIZE", size)
    own_city.recipient("甲")
    own_city.grant("甲")
    own_city.release(PERSONS, 400_000)
    desk = Desk(own_city.settings, own_city.register)
    extract = desk.views.extract(desk.admit(desk.callers.on_behalf("甲"), PERSONS, "test", "rows").allowed)
    assert (len(extract.parts) > 1) == (size == 100_000)
    connect = duckdb.connect

    def with_threads(*given: object, **more: object) -> duckdb.DuckDBPyConnection:
        con = connect(*given, **more)  # type: ignore[arg-type]
        con.execute(f"SET threads = {threads}")
        return con

    monkeypatch.setattr(duckdb, "connect", with_threads)
    assert compared(own_city) == Compared(same=1)
    if len(extract.parts) == 1:
        return
    about = json.loads((extract.folder / "view.json").read_text("utf-8"))
    about["parts"].reverse()
    (extract.folder / "view.json").write_text(json.dumps(about), "utf-8")
    assert [one.version for one in compared(own_city).altered] == [1], "files in another order"
