"""What Dagster watches: files that are dropped, and sources that are late."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from assets.anomalies import anomalies
from assets.corrections import corrections
from assets.definitions import build_definitions
from assets.drops import look
from assets.overdue import overdue
from assets.reports import measured
from assets.sources import source_key
from pipelines.contracts.load import Contracts
from pipelines.evidence.freshness import watch
from pipelines.issues import Issues
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import receipt
from pipelines.settings import Settings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, repository: Path) -> Settings:
    settings = Settings(tmp_path / "home", repository, 0, 0, f"sqlite:///{tmp_path / 'home' / 'register.db'}")
    settings.prepare()
    return settings


@pytest.fixture
def register(settings: Settings) -> Iterator[Register]:
    register = Register(settings.register_url)
    register.upgrade()
    yield register
    register.close()


def delivered(register: Register, source: str, stage: Stage, at: datetime) -> None:
    Receipts(register, "test").add(stage, source, {"origin": "x"}, 1)
    with register.begin() as connection:
        newest = sa.select(sa.func.max(receipt.c.id)).scalar_subquery()
        connection.execute(sa.update(receipt).where(receipt.c.id == newest).values(at=at))


def test_a_complete_file_asks_for_one_run(settings: Settings, contracts: Contracts, tmp_path: Path) -> None:
    folder = tmp_path / "drops"
    folder.mkdir()
    settings.store_secret("hc_drop", f"file://{folder}")
    definitions = build_definitions(settings)
    (sensor,) = definitions.get_repository_def().sensor_defs

    def evaluate(cursor: str | None) -> dg.SensorResult:
        with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance, cursor) as context:
            return sensor(context)

    assert evaluate(None).run_requests in (None, [])
    (folder / "birth_20260101.csv").write_text("half")
    assert evaluate(None).run_requests in (None, [])
    (folder / "birth_20260101.csv.ok").touch()
    first = evaluate(None)
    assert len(first.run_requests) == 1
    assert evaluate(first.cursor).run_requests in (None, [])
    (folder / "birth_20260102.csv").write_text("more")
    (folder / "birth_20260102.csv.ok").touch()
    second = evaluate(first.cursor)
    assert len(second.run_requests) == 1 and second.run_requests[0].run_key != first.run_requests[0].run_key
    assert look(contracts, settings)[1] == [source_key("hc/birth_certificate")]


def test_a_late_source_is_an_issue_until_it_delivers(register: Register, contracts: Contracts) -> None:
    daily, weekly, never = "amr/enterprise", "hc/health_record", "cab/marriage"
    delivered(register, daily, Stage.PULL, NOW - timedelta(days=2, hours=1))
    delivered(register, weekly, Stage.PULL, NOW - timedelta(days=8))
    found = {seen.source: seen for seen in watch(contracts, register, NOW)}
    assert (found[daily].days_late, found[weekly].days_late, found[never].last) == (1, 0, None)
    issue = Issues(register).open(daily)[0]
    assert issue["owner"] == "amr" and "逾期 1 天" in issue["text"]["zh"]
    delivered(register, daily, Stage.SEEN, NOW)  # asked, and nothing was new: what is there is fresh
    assert {seen.source: seen.days_late for seen in watch(contracts, register, NOW)}[daily] == 0
    assert Issues(register).open(daily) == []


@pytest.mark.long
def test_the_checks_say_which_source_is_late(
    settings: Settings, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(register, "amr/enterprise", Stage.PULL, datetime.now(UTC) - timedelta(days=9))
    delivered(register, "drc/permit", Stage.SEEN, datetime.now(UTC))
    monkeypatch.setenv("CITYLAKE_HOME", str(settings.home))
    monkeypatch.setenv("CITYLAKE_REGISTER", settings.register_url)
    job = build_definitions(settings).resolve_job_def("freshness")
    result = job.execute_in_process()
    checks = {check.asset_key: check for check in result.get_asset_check_evaluations()}
    late, fresh = (checks[source_key(name)] for name in ("amr/enterprise", "drc/permit"))
    assert (late.passed, fresh.passed) == (False, True)
    assert late.metadata["逾期天数"].value == 8  # nine days and a moment, of which two are granted


@pytest.mark.parametrize("asset", [anomalies, corrections, measured, overdue])
def test_a_job_without_the_lock_may_be_the_first_that_meets_a_register(
    asset: dg.AssetsDefinition, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first start, and after an update: it brings the register up to date."""
    monkeypatch.setenv("CITYLAKE_HOME", str(settings.home))
    monkeypatch.setenv("CITYLAKE_REGISTER", settings.register_url)
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([asset], instance=instance).success
