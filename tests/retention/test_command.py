"""`citylake retention` and the daily job: what stewards read and do, on a home with one source's batches."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from assets.resources import run_resource
from assets.retention import ended
from citylake.main import app
from pipelines.contracts.load import Contracts, ProductContract
from pipelines.issues import Issues
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts
from pipelines.release.ledger import HOLD, HOLD_END, RETENTION
from pipelines.retention import terms
from pipelines.retention.apply import JOURNAL
from pipelines.retention.due import Search
from tests.catalog.small_city import GUARD, STEWARD, appoint
from tests.retention.homes import Home

SOURCE = "hsb/settlement"


def told(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["retention", *arguments])


@pytest.fixture
def home(contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Batches of more than ten years, almost ten, and of now; the contract says 10y."""
    home = Home(tmp_path, contracts)
    appoint(home.register, contracts)
    monkeypatch.setenv("CITYLAKE_HOME", str(home.settings.home))
    monkeypatch.setenv("CITYLAKE_REGISTER", home.settings.register_url)
    today = datetime.now(ZoneInfo(contracts.city.timezone)).date()
    for batch, day in enumerate((date(today.year - 11, 1, 1), today - timedelta(3642), today), 1):
        home.raw(contracts.sources[SOURCE], batch, day, f"SELECT 'marker-{batch}' AS said")
    return home


def batches(home: Home) -> set[str]:
    return {path.name for path in home.lake.raw(*SOURCE.split("/")).iterdir()}


def test_a_steward_sees_holds_lifts_and_ends(home: Home) -> None:
    listed = told()
    assert listed.exit_code == 0 and f"{SOURCE}\t原始批次 raw\t10y\t1\t2\t" in listed.output, listed.output
    assert "现在清除" in listed.output and "一个月内到期" in listed.output
    held = told("hold", SOURCE, "--who", STEWARD, "--why", "法院调取")
    assert held.exit_code == 0 and "解除为止" in held.output
    (hold,) = home.ledger.of_kind(HOLD)
    assert f"第 {hold.sequence} 号" in told().output and "法院调取" in told().output
    assert "没有到期且未保全" in told("apply", "--who", STEWARD, "--why", "期满").output and batches(home) == {
        "1",
        "2",
        "3",
    }
    assert told("release", str(hold.sequence), "--who", GUARD, "--why", "调取完毕").exit_code == 0
    assert told("release", str(hold.sequence), "--who", GUARD, "--why", "再来").exit_code == 1
    assert "1 行" in told("apply", "--who", STEWARD, "--why", "期满").output and batches(home) == {"2", "3"}
    assert [entry.body["who"] for entry in home.ledger.of_kind(HOLD_END, RETENTION)] == [GUARD, STEWARD]
    assert told("apply").exit_code == 2, "who and why are needed"
    assert told("hold", "no/thing", "--who", STEWARD, "--why", "无").exit_code == 1
    assert "没有到期" not in told().output and "现在清除" not in told().output


def daily() -> int:
    """The rows that the daily job ends."""
    done = dg.materialize([ended], resources={"run": run_resource}, run_config={})
    (shown,) = done.asset_materializations_for_node(ended.op.name)
    rows = shown.metadata["清除行数"].value
    assert isinstance(rows, int)
    return rows


def test_the_daily_job_waits_for_a_steward_when_a_period_changed(home: Home) -> None:
    assert daily() == 0
    receipts = Receipts(home.register, "before")
    stood = terms.stood(receipts)
    terms.stand(receipts, stood | {SOURCE: ("永久", *stood[SOURCE][1:2], None)})
    for _ in range(2):
        assert daily() == 0 and batches(home) == {"1", "2", "3"}
    (issue,) = Issues(home.register).open(SOURCE)
    assert issue["code"] == "retention.changed" and "永久 → 10y" in issue["text"]["zh"]
    assert "1 行" in told("apply", "--who", STEWARD, "--why", "核对无误").output and batches(home) == {"2", "3"}
    assert daily() == 0 and not Issues(home.register).open(SOURCE)


def test_a_history_with_a_row_that_is_not_found_is_named_and_an_issue(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, asked = "lib_population__person_history", Search._history

    def lacking(search: Search, con: Any, model: ProductContract, *rest: Any) -> Any:
        if model.form.model == history:
            raise CitylakeError("erase.unfound", product="sharing/x", version=3, rows=2)
        return asked(search, con, model, *rest)

    daily()
    monkeypatch.setattr(Search, "_history", lacking)
    monkeypatch.setattr("pipelines.retention.due.horizon", lambda today, period: today)
    assert history in (said := told().output) and "sharing/x 第 3 版" in said
    told("apply", "--who", STEWARD, "--why", "期满")
    (issue,) = Issues(home.register).open(history)
    assert issue["code"] == "retention.unfound" and "sharing/x" in issue["text"]["en"] and not batches(home)
    monkeypatch.setattr(Search, "_history", asked)
    daily()
    assert not Issues(home.register).open(history)


def test_a_hold_that_comes_too_late_is_refused(home: Home) -> None:
    (home.settings.home / JOURNAL).write_text(json.dumps({"due": [{"dataset": SOURCE}]}), "utf-8")
    refused = told("hold", SOURCE, "--who", STEWARD, "--why", "法院调取")
    assert refused.exit_code == 1 and "已来不及" in refused.output and not home.ledger.of_kind(HOLD)
    assert told("hold", "psb/household_person", "--who", STEWARD, "--why", "法院调取").exit_code == 0


def test_the_daily_job_ends_what_is_due_and_shows_counts(home: Home) -> None:
    for ends in (0, 1, 0):  # the first time it only learns the terms
        done = dg.materialize([ended], resources={"run": run_resource}, run_config={})
        (shown,) = done.asset_materializations_for_node(ended.op.name)
        assert shown.metadata["清除行数"].value == ends
        assert [one["dataset"] for one in shown.metadata["已清除"].value] == [SOURCE] * ends
    assert batches(home) == {"2", "3"}
    (entry,) = home.ledger.of_kind(RETENTION)
    assert entry.body["who"].startswith("dagster:")
