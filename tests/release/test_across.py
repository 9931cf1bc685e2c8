"""Sources held against each other in a published town: what was planted is named, exported under protection, and the
issue closes when it has arrived."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook
from typer.testing import CliRunner

from citylake.compared import across as compared
from citylake.compared.scores import summed
from citylake.main import app
from pipelines.contracts.load import Contracts
from pipelines.evidence.across import Seen
from pipelines.issues import Issues
from pipelines.preparation import core_versions
from pipelines.register.receipts import Receipts, Stage
from pipelines.run import opened
from tests.catalog.small_city import STEWARD
from tests.city import Town, published_town

pytestmark = pytest.mark.enable_socket

SHARES, COVERS = "amr/shareholder", "covers(subject_no:amr/enterprise)"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("across"))
    yield town
    town.close()


def seen(town: Town, contracts: Contracts) -> dict[str, Seen]:
    with town.register() as register:
        receipts = Receipts(register, "test")
        last = {name: receipts.last(Stage.ACROSS, name) for name in contracts.sources}
    return {name: Seen.read(receipt.body) for name, receipt in last.items() if receipt}


def issues(town: Town, source: str) -> dict[str, int]:
    with town.register() as register:
        rows = Issues(register).open(source)
    return {row["code"].partition(":")[2]: row["count"] for row in rows if row["code"].startswith("across.")}


def test_what_was_planted_between_registers_is_named_and_nothing_else(town: Town, contracts: Contracts) -> None:
    found = seen(town, contracts)
    assert found.keys() == {name for name, source in contracts.sources.items() if source.across}
    assert not any(one.waiting for one in found.values())
    scores = summed(compared.compare(contracts, town.settings.lake, town.city, found))
    assert {score.kind for score in scores} == set(compared.KINDS.values())
    assert sum(score.planted for score in scores) > 0
    for score in scores:
        assert score.planted == score.found and score.right == score.told, score
    for name, one in found.items():
        assert issues(town, name) == {looked.rule: looked.open for looked in one.looked if looked.open}


def test_an_issue_names_nobody(town: Town, contracts: Contracts) -> None:
    with town.register() as register:
        texts = [row["text"] for row in Issues(register).open() if row["code"].startswith("across.")]
    numbers = {row["PRIPID"] for row in town.city.records("scjg.E_BASEINFO")}
    assert texts and not any(number in str(text) for text in texts for number in numbers if number)


def test_which_are_missing_is_exported_closed_to_others_and_recorded(
    town: Town, contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(town.settings.contracts.parent))
    file, runner = tmp_path / "缺.xlsx", CliRunner()
    listed = runner.invoke(app, ["across", "list", SHARES])
    assert listed.exit_code == 0 and COVERS in listed.output, listed.output
    done = runner.invoke(app, ["across", "export", SHARES, COVERS, str(file), "--who", STEWARD, "--why", "催送"])
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    looked = next(one for one in seen(town, contracts)[SHARES].looked if one.rule == COVERS)
    rows = CalamineWorkbook.from_path(str(file)).get_sheet_by_index(1).to_python()
    assert rows[0] == ["主体身份代码", "统一社会信用代码", "主体名称"] and len(rows) == looked.failed + 1
    with town.register() as register:
        (receipt,) = Receipts(register, "test").of_stage(Stage.EXPORT, SHARES, 10)
    assert receipt.body["who"] == STEWARD and receipt.body["rows"] == looked.failed
    assert rows[1][0] not in str(receipt.body)
    wrong = runner.invoke(
        app, ["across", "export", SHARES, "covers", str(tmp_path / "x"), "--who", STEWARD, "--why", "b"]
    )
    assert wrong.exit_code == 1 and COVERS in wrong.output and not (tmp_path / "x").exists()


def test_the_issue_closes_when_what_was_missing_has_arrived(town: Town, contracts: Contracts) -> None:
    """The department enters what it had left out, and corrects the rows that were refused."""
    missing = {name for name in issues(town, SHARES)}
    assert missing == {rule.id for rule in contracts.sources[SHARES].across}
    town.city.correct("scjg.E_INV_INVESTMENT")
    town.city.correct("scjg.E_BASEINFO")
    with opened(town.settings, "corrected") as run:
        assert {run.ingest(name).status for name in (SHARES, "amr/enterprise")} == {"admitted"}
        run.preparation.compare(core_versions(run.contracts, run.lake, run.receipts))
    assert issues(town, SHARES) == issues(town, "amr/enterprise") == {}
