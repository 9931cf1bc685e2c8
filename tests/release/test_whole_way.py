"""One record, the whole way, on a small city: published, correct, repeatable, and unharmed by what departments do."""

import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from pipelines.contracts.load import Contracts
from pipelines.held import decide_batch
from pipelines.issues import Issues
from pipelines.lake import delta
from pipelines.messages import CitylakeError
from pipelines.register import heads
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.signer import SIGNING, Ed25519Signer
from pipelines.register.tables import audit
from pipelines.release import bundle
from pipelines.release.ledger import Ledger
from pipelines.run import opened
from tests.city import Town, published_town
from tests.release.personal import found_in

pytestmark = pytest.mark.server

SOURCE = "psb/household_person"
PERSON, MART = "lib_population__person", "mart_population__age_structure"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def test_everything_is_published(town: Town, contracts: Contracts) -> None:
    assert set(town.published()) == {*contracts.models, *contracts.products}
    with town.register() as register:
        assert Ledger(register).first_break() is None


def test_an_auditor_checks_it_without_citylake(town: Town, tmp_path: Path) -> None:
    signer = Ed25519Signer(town.settings.key(SIGNING))
    with town.register() as register:
        assert sum(len(head.leaves) for head in heads.listed(register)) == len(Ledger(register).releases())
        heads.seal(register, signer, ZoneInfo("Asia/Shanghai"), audit)  # the users of the town were made since its run
        done = bundle.export(
            register, signer, tmp_path / "bundle", "六安市", ZoneInfo("Asia/Shanghai"), None, None, False
        )
    assert done.evidence == done.rows == len(town.published())
    command = [sys.executable, "-I", str(tmp_path / "bundle" / "check.py"), "--lake", str(town.settings.lake.root)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert f"evidence files: {done.rows} agree" in checked.stdout
    marked = town.rows(PERSON, "id_number, name, mobile", "mobile is not null and length(name) > 2")[:500]
    text = "".join(path.read_text("utf-8") for path in (tmp_path / "bundle").rglob("*.json*"))
    assert {value for values in marked for value in values if value in text} == set()


def test_departments_are_told_of_the_licences_that_end(town: Town, contracts: Contracts) -> None:
    model = "lib_e_licence__expiring"
    groups = town.rows(model, "DISTINCT issuer_uscc, licence_name, year(valid_to), month(valid_to)")
    departments = contracts.codes["authorities"].rows
    with town.register() as register:
        told = Issues(register).open(model)
    assert len(told) == len(groups) > 0
    assert {issue["owner"] for issue in told} == {departments[group[0]]["organisation"] for group in groups}
    assert sum(issue["count"] for issue in told) == len(town.rows(model))


def test_received_is_accepted_plus_refused(town: Town) -> None:
    with town.register() as register:
        body = Receipts(register, "first").last(Stage.ADMIT, SOURCE).body
    assert body["received"] == body["accepted"] + body["refused"] == town.city.department_count()


def test_the_divisions_are_those_of_luan(town: Town) -> None:
    assert town.published()["lib_geography__division"].body["rows"] == 2124
    counties = town.rows("lib_geography__division", "full_name, round(area_km2)", "area_km2 is not null")
    assert len(counties) == 7
    assert ("金寨县", 3929.0) in counties


@pytest.mark.long
def test_an_unchanged_city_releases_nothing(town: Town, contracts: Contracts) -> None:
    with town.register() as register:
        built = Receipts(register, "first").last(Stage.EDITION, town.published()[PERSON].edition).body["as_of"]
    if built != datetime.now(ZoneInfo(contracts.city.timezone)).date().isoformat():
        town.run("the city's day turned over")  # everything that knows the day is built anew
    before = town.published()
    outcomes = town.run("again")
    assert set(outcomes) == set(contracts.sources)  # no model, no product
    for outcome in outcomes.values():  # a source that is read with an overlap may tell known rows again
        done = outcome.admitted
        assert outcome.status == "unchanged" or done.inserted + done.updated + done.deleted == 0
    assert town.published() == before


def test_the_shared_product_hides_what_it_must(town: Town) -> None:
    assert town.published()["sharing/person_of_division"].body["rows"] == town.published()[PERSON].body["rows"]
    rows = town.rows("sharing/person_of_division", "id_number, name")
    assert all((number is None or "********" in number) and name[1:] == "*" * (len(name) - 1) for number, name in rows)


def test_open_cells_have_at_least_k_persons(town: Town) -> None:
    cells = town.rows("open/age_structure_by_county", "persons")
    assert cells
    assert min(cells)[0] >= 10
    files = town.published()["open/age_structure_by_county"].body["files"]
    assert {file["format"] for file in files} == {"csv", "parquet"}


def test_the_marts_hold_the_analysts_products_and_nothing_else(town: Town, contracts: Contracts) -> None:
    with duckdb.connect(str(town.settings.marts), read_only=True) as con:
        tables = {
            f"{schema}.{name}"
            for schema, name in con.sql("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        }
        for kind in ("table", "column"):
            silent = f"duckdb_{kind}s() WHERE NOT internal AND nullif(trim(comment), '') IS NULL"
            assert con.sql(f"SELECT * FROM {silent}").fetchall() == []
        described = con.sql("SELECT count(*) FROM information.indicators").fetchone()
    products = [one for one in contracts.products.values() if one.channel == "analyst"]
    information = {f"information.{name}" for name in ("edition", "freshness", "quality", "indicators")}
    assert tables == {f"{one.contract.library}.{one.name}" for one in products} | information
    assert described == (40,)


def test_no_value_of_the_marts_is_personal(town: Town) -> None:
    """Numbers, names and telephones that core holds stand nowhere in the file, whatever column they might hide in."""
    marked = town.rows(PERSON, "id_number, name, mobile", "mobile is not null and length(name) > 2")
    assert len(marked) > 500
    assert found_in(town.settings.marts.resolve(), {value for values in marked[:500] for value in values}) == set()


def test_analysts_can_follow_a_person_but_not_to_anybody_else(town: Town) -> None:
    """A pseudonym of the analysts' channel joins within it, and with nothing outside it."""
    with duckdb.connect(str(town.settings.marts), read_only=True) as con:
        shown = {row[0] for row in con.sql("SELECT applicant_ref FROM gov_service.service_case").fetchall()}
    inside = {row[0] for row in town.rows("mart_gov_service__case", "applicant_id")}
    shared = {row[0] for row in town.rows("sharing/case_of_county", "applicant_ref")}
    assert len(shown) == len(inside) == len(shared)
    assert not (shown & inside | shown & shared | inside & shared) - {None}  # of a number on two people: nobody


@pytest.mark.long
def test_a_renamed_column_stops_the_source_and_nothing_else(town: Town) -> None:
    before = town.published()
    town.city.rename_column("XM", "XM_NEW")
    try:
        outcome = town.run("renamed")[SOURCE]
    finally:
        town.city.restore()
    assert outcome.status == "failed"
    assert "XM_NEW" in outcome.message and "“XM”" in outcome.message
    assert town.published() == before
    with town.register() as register:
        assert [issue["owner"] for issue in Issues(register).open(SOURCE) if issue["code"].startswith("pull.")] == [
            "psb"
        ]
    assert town.run("restored", sources=[SOURCE])[SOURCE].status == "unchanged"
    with town.register() as register:
        assert not [issue for issue in Issues(register).open(SOURCE) if issue["code"].startswith("pull.")]


@pytest.mark.long
def test_a_database_that_is_down_is_an_issue_of_its_owner(town: Town) -> None:
    before = town.published()
    town.city.stop()
    try:
        outcome = town.run("down", sources=[SOURCE])[SOURCE]
    finally:
        town.city.start()
    assert outcome.status == "failed"
    assert "市公安局" in outcome.message
    assert "password" not in outcome.message and town.city.reader_dsn.split(":")[2].split("@")[0] not in outcome.message
    assert town.published() == before


@pytest.mark.long
def test_half_a_snapshot_is_held_and_the_steward_decides(town: Town) -> None:
    before = town.published()
    town.city.deliver_half(0.5, seed=3)
    try:
        outcome = town.run("half", sources=[SOURCE])[SOURCE]
        assert outcome.status == "held"
        assert town.published() == before
        assert town.run("still half", sources=[SOURCE])[SOURCE].status == "held"
        with town.register() as register:
            batch = Receipts(register, "x").last(Stage.HOLD, SOURCE).batch
        decide_batch(town.settings, SOURCE, batch, Stage.REJECT, "专员", "传输中断")
        assert town.run("rejected", sources=[SOURCE])[SOURCE].status == "rejected"
    finally:
        town.city.restore()
    assert town.run("whole", sources=[SOURCE])[SOURCE].status in ("admitted", "unchanged")
    assert town.rows(PERSON, "person_id") == town.rows(PERSON, "person_id", version=before[PERSON].version)


@pytest.mark.long
def test_after_some_days(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is what the source last delivered, products refused for a moment are tried again, earlier versions
    stay as they were, and who reads the marts meanwhile keeps them. One test, for what changed is built once."""
    before, old = town.published()[PERSON], town.rows(PERSON)
    summed = "SELECT sum(persons), max(as_of) FROM population.age_structure"

    def fail(*_: Any, **__: Any) -> None:
        raise duckdb.OutOfMemoryException("for a moment")

    town.city.tick(3)
    with duckdb.connect(str(town.settings.marts.resolve()), read_only=True) as reader:
        read = reader.execute(summed).fetchone()
        with monkeypatch.context() as patched:
            patched.setattr("pipelines.release.editor.prove_product", fail)
            outcomes = town.run("tick, short of memory")
        assert outcomes["sharing/person_of_division"].version is None
        after = outcomes[PERSON].version
        assert after not in (None, before.version)
        outcomes = town.run("enough memory", sources=[])
        assert outcomes["sharing/person_of_division"].version is not None
        assert reader.execute(summed).fetchone() == read
    with duckdb.connect(str(town.settings.marts.resolve()), read_only=True) as reader:
        assert reader.execute(summed).fetchone() != read
    assert town.rows(PERSON) == town.rows(PERSON, version=after) != old
    assert town.rows(PERSON, version=before.version) == old
    assert differences(town) == []


def differences(town: Town) -> list[str]:
    """Persons whose library row is not what 公安 last delivered in an accepted row, either way, unexplained.

    A person whose present row is refused rightly keeps the last accepted one; a person without any is rightly absent.
    """
    planted = [item for item in town.city.planted() if item.ended is None]
    refused = {item.rybh for item in planted if item.refusable and item.kind != "duplicate"}
    delivered, newest = dict[str, tuple[str, str]](), dict[str, Any]()
    for row in town.city.department_rows():
        if row["RYBH"] not in refused and row["ZXBS"] != "1" and newest.get(row["RYBH"], row["GXSJ"]) <= row["GXSJ"]:
            newest[row["RYBH"]] = row["GXSJ"]
            number = upgraded(unicodedata.normalize("NFKC", row["GMSFHM"]).strip().upper())
            delivered[number] = (row["SSXQ"], row["HH"])
    registered = town.rows(PERSON, "id_number, division_code, household_no", "household_no is not null")
    library = {number: (division, household) for number, division, household in registered}
    unclear = town.shared_numbers() | {None}
    wrong = [
        number for number, expected in delivered.items() if number not in unclear and library.get(number) != expected
    ]
    kept = set(library) - set(delivered) - unclear
    return wrong + sorted(kept - accepted_before(town, refused))


def accepted_before(town: Town, records: set[str]) -> set[str]:
    """The identity numbers that core ever accepted for these record numbers."""
    read = delta.scan(delta.open_table(town.settings.lake.core(*SOURCE.split("/"))))
    rows = duckdb.sql(f"SELECT DISTINCT record_no, id_number FROM {read.source}").fetchall()
    return {number for record, number in rows if record in records}


def upgraded(number: str) -> str:
    """GB 11643's 18 digits of a 15-digit number, computed apart from the engine."""
    if len(number) != 15:
        return number
    longer = number[:6] + "19" + number[6:]
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return longer + "10X98765432"[sum(int(d) * w for d, w in zip(longer, weights, strict=True)) % 11]


@pytest.mark.long
def test_a_source_that_fails_in_an_unexpected_way_harms_only_itself(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("张三 342401198504150139")

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.run.receive", fail)
        outcomes = town.run("odd failure")
    assert {outcomes[name].status for name in ("dsrb/division", SOURCE)} == {"failed"}
    assert "ZeroDivisionError" in outcomes[SOURCE].message
    assert "342401198504150139" not in outcomes[SOURCE].message
    log = town.settings.home / "logs" / "odd failure.log"
    assert "ZeroDivisionError" in log.read_text("utf-8")
    assert town.settings.home.stat().st_mode & 0o077 == 0


@pytest.mark.long
def test_a_confirmed_batch_is_admitted_although_the_source_moved_on(town: Town) -> None:
    town.city.deliver_half(0.5, seed=4)
    try:
        assert town.run("half again", sources=[SOURCE])[SOURCE].status == "held"
        with town.register() as register:
            batch = Receipts(register, "x").last(Stage.HOLD, SOURCE).batch
        decide_batch(town.settings, SOURCE, batch, Stage.CONFIRM, "专员", "确认迁出")
        with pytest.raises(CitylakeError, match="已有决定"):
            decide_batch(town.settings, SOURCE, batch, Stage.REJECT, "专员", "反悔")
        town.city.tick(1)
        with opened(town.settings, "moved on") as run:
            run.ingest(SOURCE)
        with town.register() as register:
            assert Receipts(register, "x").last(Stage.ADMIT, SOURCE, batch) is not None
    finally:
        town.city.restore()
