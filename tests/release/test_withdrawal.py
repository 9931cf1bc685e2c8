"""A withdrawn product stays closed through unattended runs, whatever is built, until it is reinstated."""

import shutil
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from pipelines.contracts.load import load
from pipelines.issues import Issues
from pipelines.lake import delta
from pipelines.register.tables import receipt
from pipelines.release import withdrawal
from pipelines.release.editor import Editor
from pipelines.release.ledger import REFUSAL, WITHDRAWAL, Ledger
from pipelines.run import opened
from tests.city import REPOSITORY, Town, published_town
from tests.release.test_whole_way import MART

pytestmark = [pytest.mark.server, pytest.mark.long]

OPEN, ANALYST = "open/age_structure_by_county", "analyst/age_structure"
CONTRACT = "data_contracts/products/population/age_structure.yaml"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("withdrawal")
    for part in ("data_contracts", "dbt_project"):
        shutil.copytree(REPOSITORY / part, folder / "project" / part)
    town = published_town(tmp_path_factory, folder, folder / "project")
    yield town
    town.close()


def withdraw(town: Town, subject: str) -> None:
    with town.register() as register:
        withdrawal.withdraw(register, load(town.settings.contracts), subject, "王", "漏")


def changed(town: Town, name: str) -> None:
    """Give the contract another name, so that its model and products are built again."""
    path = town.settings.project / CONTRACT
    lines = path.read_text("utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("name: "))
    lines[place] = f"name: {name}"
    path.write_text("\n".join(lines) + "\n", "utf-8")


def test_no_run_releases_it_before_somebody_says_so(town: Town) -> None:
    before = town.published()
    for subject in (OPEN, ANALYST):
        withdraw(town, subject)
    assert town.run("nothing new", sources=[]) == {}, "a withdrawn product is no reason to build"
    changed(town, "年龄结构一")
    with opened(town.settings, "unattended") as run:
        outcomes = {outcome.subject: outcome for outcome in run.publish()}
        assert run.problems == [], "a person's decision is no failure of the run"
    assert outcomes[MART].version is not None and outcomes[OPEN].version is None
    after = town.published()
    assert after[MART].version != before[MART].version and not {OPEN, ANALYST} & after.keys()
    with town.register() as register:
        (issue,) = Issues(register).open(OPEN)
        assert (issue["code"], issue["severity"]) == ("release.withheld", "warning")
        assert "citylake reinstate" in issue["text"]["zh"]
        assert [entry.kind for entry in Ledger(register).history(OPEN, 2)] == [REFUSAL, WITHDRAWAL]
        for subject in (OPEN, ANALYST):
            withdrawal.reinstate(register, subject, "王", "已修正脱敏")
    outcomes = town.run("reinstated", sources=[])  # type: ignore[assignment]
    assert outcomes[OPEN].version is not None and outcomes[ANALYST].version is not None
    assert {OPEN, ANALYST} <= town.published().keys()
    assert town.published()[OPEN].sequence > before[OPEN].sequence
    with town.register() as register:
        assert Issues(register).open(OPEN) == []
        assert Ledger(register).withdrawn() == {}
    assert delta.open_table(town.settings.lake.subject(OPEN), before[OPEN].version) is not None, "files stay"


def test_a_withdrawal_while_a_run_publishes_is_not_run_over(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    release = Editor.release

    def late(self: Editor, *arguments: object) -> object:
        withdraw(town, OPEN)  # the editor has looked at the ledger already
        return release(self, *arguments)  # type: ignore[arg-type]

    changed(town, "年龄结构二")
    monkeypatch.setattr(Editor, "release", late)
    outcomes = town.run("meets a withdrawal", sources=[])
    assert outcomes[OPEN].version is None and outcomes[OPEN].findings[0].code == "release.withheld"
    assert outcomes[ANALYST].version is not None
    assert OPEN not in town.published() and ANALYST in town.published()


def test_scores_that_cannot_be_kept_stop_no_release(town: Town) -> None:
    """The scores of a day are a step of their own: what was published stands, and the operator has an issue."""
    before = town.published()
    with town.register() as register, register.begin() as connection:
        connection.execute(sa.delete(receipt).where(receipt.c.stage == "score"))
        refuse = "BEFORE INSERT ON receipt WHEN NEW.stage = 'score' BEGIN SELECT RAISE(ABORT, 'no scores'); END"
        connection.exec_driver_sql(f"CREATE TRIGGER no_scores {refuse}")
    with opened(town.settings, "no scores") as run:
        run.publish()
        assert list(run.problems) == ["scores"]
    assert town.published() == before
    with town.register() as register:
        assert Issues(register).open("edition") == [] and len(Issues(register).open("scores")) == 1
        with register.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER no_scores")
    town.run("scores again", sources=[])
    with town.register() as register:
        assert Issues(register).open("scores") == []
        assert register.rows(sa.select(receipt).where(receipt.c.stage == "score"))
