"""Policy views: nothing hidden in any byte, keyed for the recipient, whole or not there, built once."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.delivery import folders as folders_module
from catalog.delivery import views as views_module
from catalog.delivery.extracts import WHOLE, Extract
from catalog.delivery.pseudonyms import column_key
from catalog.delivery.push import narrowed
from catalog.delivery.views import Views
from catalog.policy.decision import Allowed, OfOrganisations
from pipelines.codecs.sm3 import keyed_hash
from tests.catalog.small_city import AGES, AUTHORITIES, PERMITS, PERSONS, City, bearer

COLUMNS = ("person_ref", "name", "county_name")


def allowed(product: str = PERSONS, **changes: object) -> Allowed:
    values: dict[str, object] = {
        "product": product,
        "version": 0,
        "columns": COLUMNS,
        "rows": "division_code",
        "divisions": ("341502",),
        "pseudonyms": ("person_ref",),
        "recipient": "甲",
        "grant": 1,
        "purpose": "p",
    }
    return Allowed(**{**values, **changes})  # type: ignore[arg-type]


def rows_of(extract: Extract) -> list[tuple[object, ...]]:
    return duckdb.connect().execute(f"SELECT * FROM {extract.relation}").fetchall()


def all_bytes(folder: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_rows_columns_and_statistics_are_the_views_own(city: City) -> None:
    extract = Views(city.settings).extract(allowed())
    assert extract.columns == COLUMNS
    assert {row[2] for row in rows_of(extract)} == {"金安区"}
    assert extract.rows == len(rows_of(extract)) == 20
    for part in extract.parts:
        stats = json.loads(part.stats)
        assert set(stats["minValues"]) == set(stats["nullCount"]) == set(COLUMNS)
        footer = pq.read_metadata(extract.folder / part.name)
        assert footer.schema.names == list(COLUMNS) and footer.num_rows == part.rows


def test_no_hidden_name_or_value_in_any_byte(city: City) -> None:
    views = Views(city.settings)
    extract = views.extract(allowed())
    hidden = ["id_number", "division_code", "birth_year", "education", "裕安区", "叶集区", "341502****", "341503"]
    hidden += city.values(PERSONS, "person_ref")  # the product's own pseudonyms leave under no name
    for content in all_bytes(extract.folder):
        for text in hidden:
            assert text.encode() not in content, text


def test_rows_of_other_organisations_are_in_no_byte(own_city: City) -> None:
    """Also together with a division, and of a part that is returned to a division."""
    own_city.release(PERMITS, 15)
    columns = tuple(column.name for column in own_city.contracts.products[PERMITS].columns)
    mine = OfOrganisations("authority_uscc", AUTHORITIES[:1])
    base = allowed(PERMITS, columns=columns, divisions=None, rows="credit_record_no", pseudonyms=(), organisations=mine)
    views = Views(own_city.settings)
    extract, two = views.extract(base), views.extract(replace(base, organisations=replace(mine, codes=AUTHORITIES[:2])))
    assert (extract.rows, two.rows) == (3, 6) and extract.key != two.key
    for content in all_bytes(extract.folder):
        assert not [code for code in AUTHORITIES[1:] if code.encode() in content]
    assert {row[0] for row in rows_of(views.extract(replace(base, divisions=("P1",))))} == {"P10"}
    part = narrowed(base, "P5")
    assert part is not None and {row[0] for row in rows_of(views.extract(part))} == {"P5"}
    assert views.has(base) and not views.has(replace(base, organisations=replace(mine, column="nix")))


def test_pseudonyms_differ_between_recipients_and_last(city: City) -> None:
    views = Views(city.settings)
    first, second = (views.extract(allowed(recipient=name)) for name in ("甲", "乙"))
    assert first.key != second.key
    mine, theirs = ([row[0] for row in rows_of(item)] for item in (first, second))
    assert not set(mine) & set(theirs)
    assert mine == sorted(str(item) for item in mine), "an order that is not the view's own would link recipients"
    again = [row[0] for row in rows_of(Views(city.settings).extract(allowed(divisions=None)))]
    assert set(mine) < set(again), "the same person has the same pseudonym in every view of a recipient"


def test_pseudonyms_are_the_keyed_hash_of_the_products(city: City) -> None:
    key = column_key(city.settings.key("recipients"), "甲", "person_ref", 1)
    expected = keyed_hash(key, pa.array(city.values(PERSONS, "person_ref"))).to_pylist()
    shown = rows_of(Views(city.settings).extract(allowed(divisions=None, columns=("person_ref",))))
    assert {row[0] for row in shown} == set(expected)


def test_views_without_pseudonyms_are_shared(city: City) -> None:
    views, limits = Views(city.settings), {"columns": ("name",), "pseudonyms": ()}
    assert views.extract(allowed(recipient="甲", **limits)).key == views.extract(allowed(recipient="乙", **limits)).key


def test_open_products_need_no_view(own_city: City) -> None:
    city = own_city
    columns = tuple(column.name for column in city.contracts.products[AGES].columns)
    open_to_all = allowed(AGES, columns=columns, divisions=None, pseudonyms=(), rows=None, recipient=None)
    extract = Views(city.settings).extract(open_to_all)
    assert extract.key == WHOLE and extract.rows == 96
    assert not (city.settings.lake.root / "views" / "open").exists()
    dropped = allowed(AGES, columns=columns[1:], divisions=None, pseudonyms=(), rows=None, recipient=None)
    assert Views(city.settings).extract(dropped).columns == columns[1:], "a column dropped from the contract is hidden"


def test_a_division_without_rows_is_an_empty_table(city: City) -> None:
    extract = Views(city.settings).extract(allowed(divisions=("341525",)))
    assert (extract.parts, extract.rows, rows_of(extract)) == ((), 0, [])
    assert extract.columns == COLUMNS


def test_concurrent_requests_build_one_view(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    write = views_module.copy_rows
    monkeypatch.setattr(views_module, "copy_rows", lambda *given: built.append("x") or write(*given))
    views, wanted = Views(own_city.settings), allowed()
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: views.extract(wanted), range(12)))
    assert len(built) == 1 and len({item.parts[0].name for item in found}) == 1


def test_the_pipelines_scratch_is_left_alone(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    spills: list[str] = []
    write = views_module.copy_rows

    def seen(con: duckdb.DuckDBPyConnection, *given: Any) -> Any:
        spills.append(str(con.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]))
        return write(con, *given)

    monkeypatch.setattr(views_module, "copy_rows", seen)
    views = Views(own_city.settings)
    for name in ("甲", "乙"):
        views.extract(allowed(recipient=name))
    assert len(set(spills)) == 2, "each build has a spill folder of its own"
    assert all(folder.startswith(str(views.folders.root)) and not Path(folder).exists() for folder in spills)


def test_two_processes_agree_on_the_first_view(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, wanted = Views(own_city.settings), Views(own_city.settings), allowed()
    write = views_module.copy_rows

    def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(views_module, "copy_rows", write)
        other.extract(wanted)
        return write(*given)

    monkeypatch.setattr(views_module, "copy_rows", overtaken)
    assert one.extract(wanted).parts == other.extract(wanted).parts
    assert not list((one.folders.root / ".building").iterdir())


def test_a_failed_build_leaves_nothing(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    views = Views(own_city.settings)

    def fail(*_: object) -> None:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr(views_module, "copy_rows", fail)
        with pytest.raises(OSError, match="disk"):
            views.extract(allowed())
    assert not any(path.is_file() for path in views.folders.root.rglob("*"))
    assert views.extract(allowed()).rows == 20


def test_views_are_private_and_can_be_cleaned(own_city: City) -> None:
    views = Views(own_city.settings)
    extract = views.extract(allowed())
    for folder in (views.folders.root, extract.folder, extract.folder.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    views.clean({PERSONS: {0}})
    assert extract.folder.is_dir()
    views.clean({PERSONS: {1}})
    assert not extract.folder.exists()


def test_views_of_superseded_versions_go_when_nobody_used_them_for_a_day(own_city: City) -> None:
    views = Views(own_city.settings)
    old = views.extract(allowed()).folder
    for version in (1, 2, 3):
        own_city.release(PERSONS, 40 + version)
    views.extract(allowed(version=1))
    assert old.is_dir()
    os.utime(old.parent, (0, 0))
    assert views.extract(allowed()).folder == old, "whoever reads it again keeps it"
    views.extract(allowed(version=2))
    assert old.is_dir()
    os.utime(old.parent, (0, 0))
    views.extract(allowed(version=3))
    assert not old.parent.exists()


def test_a_new_service_keeps_the_views_that_are_read_and_may_be(own_city: City) -> None:
    own_city.recipient("甲")
    views = Views(own_city.settings)
    old = views.extract(allowed()).folder
    own_city.release(PERSONS, 50)
    kept = views.extract(allowed(version=1)).folder
    own_city.client()
    assert old.is_dir() and kept.is_dir()
    os.utime(old.parent, (0, 0))
    own_city.client()
    assert not old.exists() and kept.is_dir()
    own_city.withdraw(PERSONS)
    own_city.client()
    assert not kept.exists()


def test_a_view_that_is_taken_up_while_it_is_dropped_stays(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    views = Views(own_city.settings)
    folder = views.extract(allowed()).folder
    os.utime(folder.parent, (0, 0))
    looks: list[bool] = []
    unused = folders_module._unused

    def taken_up(target: Path, seconds: float) -> bool:
        looks.append(unused(target, seconds))
        if len(looks) == 1:
            views.extract(allowed())
        return looks[-1]

    monkeypatch.setattr(folders_module, "_unused", taken_up)
    views.folders.discard(folder.parent, 3600)
    assert looks == [True, False] and folder.is_dir() and len(rows_of(views.extract(allowed()))) == 20


def test_looking_at_a_page_builds_no_view(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"])
    assert "preview" in client.get(f"/datasets/{PERSONS}", headers=bearer(token)).text
    assert not (own_city.settings.lake.root / "views").exists()
