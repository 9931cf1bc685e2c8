"""Published versions of a town are built again from what they were built from, and nothing published is touched."""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from citylake.main import app
from pipelines.erasure.order import Erasure, Order
from pipelines.lake import delta
from pipelines.lake.errors import RunLocked
from pipelines.lake.lock import run_lock
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError
from pipelines.register import chain
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import ledger, receipt
from pipelines.release.ledger import Ledger
from pipelines.release.made import ENGINES, MADE
from pipelines.release.reproduce import Reproduced, reproduce
from pipelines.run import opened
from tests.city import REPOSITORY, Town, published_town, seed_from_clock

pytestmark = pytest.mark.server

PERSON, PRODUCT = "lib_population__person", "sharing/person_of_division"
MATCHES = "lib_geography__address_match"
SOURCES = ("psb/household_person", "psb/floating_person", "hc/health_record", "cab/marriage", "cab/cremation")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def files(town: Town) -> dict[Path, str]:
    """Every file of the lake."""
    return {file: sha256(file) for file in town.settings.lake.root.rglob("*") if file.is_file()}


def require_equal(found: Reproduced, town: Town) -> None:
    assert found.differs is None and found.content == found.published, found
    assert found.recorded == (None if found.found.orders else found.content)
    assert found.rows == len(town.rows(found.subject, version=found.version))
    assert found.bytes_equal != bool(found.because)
    assert found.found.state != "corrupt"


def command(town: Town, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    result = CliRunner().invoke(app, ["reproduce", *arguments])
    return result.exit_code, result.output


@pytest.mark.long
def test_a_product_with_pseudonyms(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(town)
    code, output = command(town, monkeypatch, PRODUCT)
    assert code == 0, output
    assert "内容一致，字节" in output and "content equal, bytes" in output
    (said,) = (entry.body["content"] for name, entry in town.published().items() if name == PRODUCT)
    assert said in output and "账本发布记录所载相同" in output
    assert files(town) == before
    assert not list(town.settings.lake.scratch().glob("reproduce-*"))


@contextmanager
def rewritten(location: Path, version: int, change: str) -> Iterator[None]:
    """The first file of a version of a table written again with this change of a column; as it was afterwards."""
    (file, *_) = delta.table_files(delta.open_table(location, version))
    path = location / file.path
    before = path.read_bytes()
    path.unlink()  # the file may be linked
    (path.parent / "before.parquet").write_bytes(before)
    rows = f"read_parquet('{path.parent / 'before.parquet'}', file_row_number = true)"
    duckdb.sql(f"COPY (SELECT * EXCLUDE (file_row_number) REPLACE ({change}) FROM {rows}) TO '{path}' (FORMAT parquet)")
    try:
        yield
    finally:
        path.write_bytes(before)
        (path.parent / "before.parquet").unlink()


@pytest.mark.long
def test_a_tampered_file_is_found_by_its_subject(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    location, version = town.settings.lake.subject(PERSON), town.published()[PERSON].version or 0
    with rewritten(location, version, "CASE WHEN file_row_number = 7 THEN '某' ELSE name END AS name"):
        code, output = command(town, monkeypatch, PERSON)
    assert code == 1, output
    assert f"{PERSON} 版本 {version}：内容不同。只在重建中的 1 行，只在发布版本中的 1 行；不同的列：name。" in output
    assert "某" not in output  # it says no values
    assert output.count(town.published()[PERSON].body["content"]) == 4  # rebuilt and in the ledger, not published


def test_the_same_rows_in_other_files_are_not_equal(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    location, version = town.settings.lake.subject(PERSON), town.published()[PERSON].version or 0
    with rewritten(location, version, "name AS name"):
        code, output = command(town, monkeypatch, PERSON)
    assert code == 1 and "不能视为一致" in output and "内容一致" not in output, output


def core_of(town: Town) -> tuple[Path, int]:
    """The table of core that persons come from, and the version that they were built from."""
    with town.register() as register:
        edition = Receipts(register, "").last(Stage.EDITION, town.published()[PERSON].edition)
    assert edition is not None
    return town.settings.lake.core("psb", "household_person"), edition.body["sources"]["core.psb__household_person"]


def test_a_changed_source_is_told_from_a_changed_release(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    location, version = core_of(town)
    (file, *_) = delta.table_files(delta.open_table(location, version))
    logs = {log: log.read_text("utf-8") for log in (location / "_delta_log").glob("*.json")}
    with rewritten(location, version, "CASE WHEN file_row_number = 7 THEN '某' ELSE name END AS name"):
        code, output = command(town, monkeypatch, PERSON)
        assert code == 2 and f"core.psb__household_person 版本 {version}" in output, output
        now = (location / file.path).stat().st_size
        for log, text in logs.items():  # who may write everything writes the size, too
            log.write_text(text.replace(f'"size":{file.size}', f'"size":{now}'), "utf-8")
        try:
            code, output = command(town, monkeypatch, PERSON)
        finally:
            for log, text in logs.items():
                log.write_text(text, "utf-8")
    assert code == 1 and "改动过的是构建所用的来源" in output and "内容一致" not in output, output


def test_a_source_that_was_vacuumed_is_named(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    location, version = core_of(town)
    for gone in (location / delta.table_files(delta.open_table(location, version))[0].path, location / "_delta_log"):
        moved = gone.with_name("moved-away")
        gone.rename(moved)
        try:
            code, output = command(town, monkeypatch, PERSON)
        finally:
            moved.rename(gone)
        assert code == 2 and f"core.psb__household_person 版本 {version}" in output, output


def test_a_ledger_that_was_edited_vouches_for_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = town.published()[PERSON]
    mine = ledger.c.sequence == entry.sequence

    def write(body: str) -> None:
        with town.register() as register, register.begin() as connection:
            connection.execute(sa.update(ledger).where(mine).values(body=body))

    write(chain.canonical({**entry.body, "approver": "某"}))
    try:
        code, output = command(town, monkeypatch, PERSON)
    finally:
        write(chain.canonical(entry.body))
    assert code == 2 and f"第 {entry.sequence} 行" in output, output
    with town.register() as register:
        assert Ledger(register).first_break() is None


def test_what_cannot_be_reproduced_is_told(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, words in ((("lib_x__y",), "没有现行发布"), ((PERSON, "--version", "77"), "没有")):
        code, output = command(town, monkeypatch, *arguments)
        assert code == 2 and words in output
    with run_lock(town.settings.home, "other"), pytest.raises(RunLocked):
        reproduce(town.settings, PERSON)

    with town.register() as register:
        edition = town.published()[PERSON].edition
        mine = (receipt.c.stage == Stage.EDITION.value) & (receipt.c.subject == edition)
        (row,) = register.rows(sa.select(receipt).where(mine))
        for body, raised in (({**row["body"], "sources": {}}, True), (row["body"], False)):
            with register.begin() as connection:
                connection.execute(sa.update(receipt).where(mine).values(body=body))
            if raised:
                with pytest.raises(CitylakeError, match="不符"):
                    reproduce(town.settings, PERSON)

    project = tmp_path / "project"
    for part in ("data_contracts", "dbt_project"):
        shutil.copytree(REPOSITORY / part, project / part)
    (model,) = (project / "dbt_project").rglob(f"{PERSON}.sql")
    model.write_text(f"{model.read_text('utf-8')}\n-- another\n", "utf-8")
    with pytest.raises(CitylakeError) as told:
        reproduce(replace(town.settings, project=project), PERSON)
    assert told.value.code == "reproduce.other_code"
    assert str(model.relative_to(project / "dbt_project")) in str(told.value)
    assert str(told.value).count(".sql") == 2  # the one file, in both languages


@pytest.mark.slow
def test_subjects_drawn_at_random(town: Town) -> None:
    seed = seed_from_clock()
    print("seed", seed)
    for subject in random.Random(seed).sample(sorted(town.published()), 8):
        require_equal(reproduce(town.settings, subject), town)


@pytest.mark.slow
def test_a_second_day_and_an_erasure(town: Town) -> None:
    first = {name: entry.version for name, entry in town.published().items()}
    earlier = town.published()[MATCHES]
    town.city.tick(2)
    town.run("second", sources=SOURCES)
    with opened(town.settings, "repair"):  # drops what was matched on the first day
        with town.register() as register:
            then = Receipts(register, "").last(Stage.EDITION, earlier.edition)
        assert then is not None
        matched = town.settings.lake.matched("address")
        table = delta.open_table(matched, then.body["sources"]["matched.address"])
        assert delta.torn_files(matched, delta.table_files(table))
    require_equal(reproduce(town.settings, MATCHES, earlier.version), town)

    counts = "open/age_structure_by_county"  # what it withholds depends on the release before
    for subject in (PERSON, f"{PERSON}_history", "mart_population__town_day", PRODUCT, counts):
        assert town.published()[subject].version != first[subject]
        require_equal(reproduce(town.settings, subject), town)
        require_equal(reproduce(town.settings, subject, first[subject]), town)

    with town.register() as register:
        receipts = {one.stage: one for one in Receipts(register, "").of_run("second")}
        edition, how = receipts[Stage.EDITION], receipts[Stage.BUILD].body["by_key"][PERSON]
        assert edition.body[MADE][ENGINES]["duckdb"] == duckdb.__version__
        before = len(Ledger(register).releases())
    found = reproduce(town.settings, PERSON)
    said = "threads" if how["why"] else "by_key"  # whole on the first day of a week
    assert found.bytes_equal or [one.code for one in found.because] == [f"reproduce.because.{said}"]
    person = town.rows(PERSON, "person_id", f"residence_status = '1' AND {town.alone('person_id')}")[0][0]
    with opened(town.settings, "erase", erasing=True) as run:
        Erasure(town.settings, run.contracts, run.register).carry_out(person, Order("删1号", "专员", "本人申请删除"))
    for subject in (PERSON, "mart_population__town_day"):  # the count keeps the person whom its sources lost
        try:
            found = reproduce(town.settings, subject)
        except CitylakeError as error:
            assert error.code == "reproduce.rewritten" and "删1号" in str(error)
        else:
            require_equal(found, town)
            assert found.orders == ("删1号",)
    with town.register() as register:
        assert len(Ledger(register).releases()) == before
