"""The analysts' database holds what may be shown now, says what it is, and is named after all that is in it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from pipelines.lake.lineage import upstream
from pipelines.messages import catalogue
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import receipt
from pipelines.release import marts
from pipelines.release.ledger import RELEASE, Entry
from tests.catalog.small_city import BY_COUNTY, DIVISIONS, GEOGRAPHY, ROWS, RULES, TARGETS, City
from tests.release.personal import found_in

INDICATORS, PLAN = "analyst/county_indicator", "analyst/plan_indicator"
NAMED = "FROM duckdb_{kind}s() WHERE NOT internal"
NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
"""Noon in the city."""


@pytest.fixture
def town(tmp_path: Path) -> City:
    """A city with divisions for analysts, cut from version 0 of their model."""
    made = City(tmp_path)
    made.release_model(GEOGRAPHY)
    made.release(DIVISIONS, 3)
    return made


def rows(town: City, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(town.settings.marts), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.execute(query).fetchall()


def delivered(town: City, at: datetime, *, stage: Stage = Stage.PULL, source: str | None = None) -> None:
    """A receipt of every source of the divisions, or of one."""
    chosen = [source] if source else upstream(town.settings.dbt_project, GEOGRAPHY).sources
    for name in chosen:
        Receipts(town.register, "test").add(stage, name, {"origin": "x"}, 1)
        with town.register.begin() as connection:
            newest = sa.select(sa.func.max(receipt.c.id)).scalar_subquery()
            connection.execute(sa.update(receipt).where(receipt.c.id == newest).values(at=at))


def test_every_table_and_column_says_what_it_is(town: City) -> None:
    town.release(INDICATORS, query=BY_COUNTY)
    town.release(PLAN, query=TARGETS)
    town.refresh_marts()
    for kind, least in (("table", 7), ("column", 50)):
        found = rows(town, f"SELECT count(*), count(nullif(trim(comment), '')) {NAMED.format(kind=kind)}")
        assert found[0][0] == found[0][1] >= least, kind
    shown = rows(
        town, "SELECT comment FROM duckdb_columns() WHERE table_name = 'division' AND column_name = 'area_km2'"
    )
    assert shown == [("面积 km² / area",)]


def test_the_scan_for_personal_values_sees_through_compression(town: City) -> None:
    """A control: numbers planted in a mart are found although the file's bytes do not show them."""
    planted = {f"34150219{year}0101{number:04}" for year in range(1950, 2000) for number in range(20)}
    numbers = f"unnest({sorted(planted)})"
    query = f"SELECT * REPLACE (full_name || {numbers} AS full_name) FROM ({ROWS[DIVISIONS]})"
    town.release(DIVISIONS, 1, query=query)  # each number in one row: DuckDB may keep a group of rows as they are
    town.refresh_marts()
    file = town.settings.marts.resolve()
    stored = (
        "SELECT DISTINCT compression FROM pragma_storage_info('geography.division') WHERE column_name = 'full_name'"
    )
    kinds = {kind for (kind,) in rows(town, stored)}
    assert kinds & {"FSST", "DICT_FSST", "Dictionary"}
    data = file.read_bytes()
    visible = {value for value in planted if value.encode() in data}
    assert visible < planted, "bytes alone do not show them all"
    assert found_in(file, planted | {"342401198504150139"}) == planted
    (some,) = rows(town, "SELECT comment FROM duckdb_columns() WHERE column_name = 'area_km2'")
    assert found_in(file, {some[0], "K06"}) == {some[0]}


def test_a_column_made_otherwise_than_the_contract_says_now_is_not_in_the_file(town: City) -> None:
    columns = {column.name: [column.source, column.mask] for column in town.contracts.products[DIVISIONS].columns}
    before = columns | {"full_name": ["full_name", "surname"], "area_km2": ["code", None], "gone": ["gone", None]}
    del before["parent_code"]
    town.release(DIVISIONS, 3, columns=before)
    town.refresh_marts()
    found = {name for (name,) in rows(town, "SELECT column_name FROM duckdb_columns() WHERE table_name = 'division'")}
    assert found == columns.keys() - {"full_name", "area_km2", "parent_code"}


def test_a_product_without_any_column_to_show_is_not_in_the_file(town: City) -> None:
    town.release(INDICATORS, query=BY_COUNTY, columns={})
    town.refresh_marts()
    assert rows(town, "SELECT dataset FROM information.edition") == [("geography.division",)]
    assert rows(town, "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'smart_city'") == [(0,)]


def test_quality_is_that_of_the_version_the_product_was_cut_from(town: City) -> None:
    town.refresh_marts()
    query = "SELECT dimension, rules, evaluated, failed FROM information.quality WHERE rules > 0 ORDER BY ALL"
    before = rows(town, query)
    assert before == [("准确性", 1, 12345, 3), ("完整性", 1, 12345, 0)]
    worse = [rule | {"failed": 12345} for rule in RULES]
    model = town.ledger.published()[GEOGRAPHY]
    for version in range(1, 103):  # far more releases than a page of history has
        town.ledger.record([Entry(RELEASE, GEOGRAPHY, "e2", version, model.body | {"rules": worse})])
    town.refresh_marts()
    assert rows(town, query) == before
    town.release(DIVISIONS, 3, model_version=102)
    town.refresh_marts()
    assert [failed for *_, failed in rows(town, query)] == [12345, 12345]


def test_the_measured_releases_of_many_cost_one_query(town: City) -> None:
    town.release(INDICATORS, query=BY_COUNTY, model_version=7)  # a model release that the ledger does not have
    asked: list[str] = []
    sa.event.listen(town.register.engine, "before_cursor_execute", lambda *event: asked.append(event[2]))
    published = town.ledger.published()
    asked.clear()
    measured = town.ledger.measured(published.values())
    assert len([statement for statement in asked if statement.startswith("SELECT")]) == 1
    model = published[GEOGRAPHY]
    assert measured == {published[DIVISIONS].sequence: model, model.sequence: model}
    assert town.ledger.measured([]) == {}


@pytest.mark.parametrize(
    ("last", "day", "due"),
    [
        (NOON, date(2026, 11, 20), date(2027, 12, 25)),  # fresh: yearly, with grace
        (NOON - timedelta(days=500), date(2025, 7, 8), date(2026, 8, 12)),  # late
        (NOON + timedelta(hours=13), date(2026, 11, 21), date(2027, 12, 26)),  # past midnight in the city
    ],
)
def test_freshness_tells_when_data_came_and_when_they_are_due(town: City, last: datetime, day: date, due: date) -> None:
    delivered(town, last)
    town.refresh_marts()
    at = town.ledger.published()[DIVISIONS].at
    released = at.replace(tzinfo=at.tzinfo or UTC)
    expected = [("geography.division", "每年", released, day, due)]
    assert rows(town, "SELECT * FROM information.freshness") == expected
    town.release(DIVISIONS, 3)  # a contract was edited: the same data once more
    town.refresh_marts()
    assert [row[3:] for row in rows(town, "SELECT * FROM information.freshness")] == [(day, due)]


def test_a_source_that_had_nothing_new_is_fresh_although_nothing_was_released(town: City) -> None:
    delivered(town, NOON - timedelta(days=500))
    town.refresh_marts()
    late = "SELECT dataset FROM information.freshness WHERE due < DATE '2026-11-20'"
    assert rows(town, late) == [("geography.division",)]
    *others, last = upstream(town.settings.dbt_project, GEOGRAPHY).sources
    for source in others:
        delivered(town, NOON, stage=Stage.SEEN, source=source)
        town.refresh_marts()
        assert rows(town, late) == [("geography.division",)], "another source is late still"
    delivered(town, NOON, stage=Stage.SEEN, source=last)
    town.refresh_marts()
    assert rows(town, late) == []


def test_freshness_is_empty_where_nothing_is_known(town: City) -> None:
    town.refresh_marts()
    assert rows(town, "SELECT delivered, due FROM information.freshness") == [(None, None)]


def _say_more(town: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue(), "marts.quality.rules", {"zh": "规则的个数", "en": "number of rules"})


def _rename(town: City, _: pytest.MonkeyPatch) -> None:
    file = town.own_contracts() / "products/geography/division.yaml"
    file.write_text(file.read_text("utf-8").replace("行政区划（分析）", "行政区划（供分析）"), "utf-8")


def _name_a_field(town: City, _: pytest.MonkeyPatch) -> None:
    file = town.own_contracts() / "fields.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("businessNameEn: area\n", "businessNameEn: surface\n", 1), "utf-8")
    assert file.read_text("utf-8") != text


def _judge_the_model(town: City, _: pytest.MonkeyPatch) -> None:
    body = town.ledger.published()[GEOGRAPHY].body
    town.ledger.record([Entry(RELEASE, GEOGRAPHY, "2026-11-01.1", 0, body | {"rules": RULES[:1]})])


CHANGES: dict[str, Callable[[City, pytest.MonkeyPatch], object]] = {
    "a release": lambda town, _: town.release(DIVISIONS, 3),
    "another product": lambda town, _: town.release(INDICATORS, query=BY_COUNTY),
    "its quality": _judge_the_model,
    "a delivery on another day": lambda town, _: delivered(town, NOON + timedelta(days=1)),
    "the name of a dataset": _rename,
    "the name of a column": _name_a_field,
    "a comment of the schema": _say_more,
    "the layout": lambda _, patch: patch.setitem(marts.INFORMATION, "more", {}),
}


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
def test_the_name_tells_all_that_is_in_the_file(town: City, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    delivered(town, NOON)
    town.refresh_marts()
    first = town.settings.marts.resolve()
    town.refresh_marts()
    assert town.settings.marts.resolve() == first
    if change == "the layout":
        monkeypatch.setattr("pipelines.release.marts._build", lambda target, *_: target.write_bytes(b"x"))
        monkeypatch.setitem(catalogue(), "marts.more", {"zh": "更多", "en": "more"})
    CHANGES[change](town, monkeypatch)
    town.refresh_marts()
    second = town.settings.marts.resolve()
    assert second.name != first.name
    assert [file for file in town.settings.marts.parent.glob("*") if not file.is_symlink()] == [second]


def test_what_is_not_in_the_file_does_not_change_its_name(town: City) -> None:
    delivered(town, NOON)
    town.refresh_marts()
    first = town.settings.marts.resolve()
    delivered(town, NOON + timedelta(hours=1))  # the same day
    body = town.ledger.published()[GEOGRAPHY].body
    town.ledger.record([Entry(RELEASE, GEOGRAPHY, "2026-11-02.1", 1, body | {"rules": []})])  # not what it was cut from
    town.release("open/age_structure_by_county", 96)
    town.refresh_marts()
    assert town.settings.marts.resolve() == first


@pytest.mark.long
@pytest.mark.parametrize(
    ("attack", "told"),
    [
        ("DELETE FROM geography.division WHERE rowid = 1", ["geography.division"]),
        ("UPDATE geography.division SET division_name = '假' WHERE rowid = 1", ["geography.division"]),
        ("INSERT INTO geography.division FROM geography.division LIMIT 1", ["geography.division"]),
        ("ALTER TABLE geography.division RENAME division_name TO other", ["geography.division"]),
        ("COMMENT ON TABLE geography.division IS '假'", ["geography.division"]),
        ("COMMENT ON COLUMN geography.division.division_name IS '假'", ["geography.division"]),
        ("UPDATE information.quality SET failed = failed + 1", ["information.quality"]),
        ("UPDATE information.edition SET as_of = as_of - 1", ["information.edition"]),
        ("CREATE VIEW geography.more AS SELECT 1 AS one", ["geography.more"]),
        ("DROP TABLE geography.division", ["geography.division"]),
    ],
)
def test_a_file_that_was_changed_is_told_by_table(town: City, attack: str, told: list[str]) -> None:
    town.refresh_marts()
    file = town.settings.marts.resolve()
    assert marts.altered(town.settings, town.contracts, town.register) == []
    with duckdb.connect(str(file)) as con:
        con.execute(attack)
    assert marts.altered(town.settings, town.contracts, town.register) == told
    file.unlink()
    town.refresh_marts()
    assert marts.altered(town.settings, town.contracts, town.register) == []


@pytest.mark.parametrize("told", [[], ["geography.division"]])
def test_a_file_of_another_name_that_is_given_out_is_compared_by_its_products(town: City, told: list[str]) -> None:
    """As one is until the next run, or as somebody puts one beside it: the catalogue gives it by the products in it."""
    town.refresh_marts()
    file = town.settings.marts.resolve()
    other = file.with_name(f"{file.stem.rpartition('-')[0]}-000000000000.duckdb")
    file.rename(other)
    with duckdb.connect(str(other)) as con:
        con.execute("UPDATE information.quality SET failed = failed + 1")
        if told:
            con.execute("UPDATE geography.division SET division_name = '假' WHERE rowid = 1")
    town.settings.marts.unlink()
    town.settings.marts.symlink_to(other)
    assert marts.altered(town.settings, town.contracts, town.register) == told


def test_a_file_that_is_none_is_told_and_one_that_is_due_is_not(town: City) -> None:
    town.refresh_marts()
    file = town.settings.marts.resolve()
    file.write_bytes(b"x" * 5000)
    assert marts.altered(town.settings, town.contracts, town.register) == [file.name]
    town.release("open/age_structure_by_county", 96)
    town.withdraw(DIVISIONS)
    assert marts.altered(town.settings, town.contracts, town.register) == []


def test_a_lost_file_is_made_again_under_its_name(town: City) -> None:
    everything = "SELECT * FROM geography.division ORDER BY ALL"
    delivered(town, NOON)
    town.refresh_marts()
    file, before = town.settings.marts.resolve(), rows(town, everything)
    file.unlink()
    town.refresh_marts()
    assert town.settings.marts.resolve() == file and rows(town, everything) == before


def test_a_refresh_says_which_file_is_new(town: City) -> None:
    contracts = town.contracts
    made = marts.refresh(town.settings, contracts, town.register)
    assert made == town.settings.marts.resolve()
    assert marts.refresh(town.settings, contracts, town.register) is None
    town.withdraw(DIVISIONS)
    assert marts.refresh(town.settings, contracts, town.register) is None
    assert list(town.settings.marts.parent.iterdir()) == []
