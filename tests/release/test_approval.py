"""A product whose contract asks for two persons, through unattended runs: held, approved, held until its moment, a run
that is stopped before the ledger, released; what it shows changes, and it waits again. What was published stays."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from catalog.policy import releases, users
from pipelines.contracts.load import load
from pipelines.issues import Issues
from pipelines.register.signer import SIGNING, Ed25519Signer
from pipelines.register.store import now
from pipelines.release import bundle
from pipelines.release.approval import unbacked
from pipelines.release.ledger import REFUSAL, RELEASE, Entry, Ledger
from pipelines.run import Run, opened
from tests.catalog.small_city import ADMINISTRATOR, enrolled
from tests.city import REPOSITORY, Town, published_town

pytestmark = [pytest.mark.server, pytest.mark.long]

OPEN, ANALYST = "open/age_structure_by_county", "analyst/age_structure"
MODEL = "mart_population__age_structure"
CONTRACT = "data_contracts/products/population/age_structure.yaml"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("approval")
    for part in ("data_contracts", "dbt_project"):
        shutil.copytree(REPOSITORY / part, folder / "project" / part)
    town = published_town(tmp_path_factory, folder, folder / "project")
    with town.register() as register:
        contracts = load(town.settings.contracts)
        users.create(register, contracts, "甲", "dsrb", ["steward"], actor=ADMINISTRATOR)
        users.create(register, contracts, "乙", "dsrb", ["approver"], actor=ADMINISTRATOR)
    yield town
    town.close()


def rewrite(town: Town, old: str, new: str) -> None:
    path = town.settings.project / CONTRACT
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")


def held(town: Town, reason: str) -> None:
    """The product waits, and a run that only holds it is well; the issue and the ledger say why."""
    with town.register() as register:
        (issue,) = Issues(register).open(OPEN)
        assert (issue["code"], issue["severity"]) == ("release.waits", "warning")
        assert reason in issue["text"]["zh"]
        (row,) = Ledger(register).history(OPEN, 1)
        assert row.kind == REFUSAL and reason in row.body["reasons"][0]


def test_it_waits_for_two_persons_and_its_moment(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, start = town.published(), now()
    since = start + timedelta(seconds=3)  # by the clocks of the runs, which start a second after each other

    def at(second: int) -> Callable[[Run], None]:
        def begun(run: Run) -> None:
            run.started = start + timedelta(seconds=second)

        return begun

    named = "    product: age_structure_by_county\n"
    rewrite(town, named, f"{named}    release: {{approval: standing}}\n")
    with opened(town.settings, "held") as run:
        at(0)(run)
        outcomes = {outcome.subject: outcome for outcome in run.publish()}
        assert run.problems == [], "waiting is no failure of the run"
    assert outcomes[OPEN].version is None and outcomes[ANALYST].version is not None
    assert town.published()[OPEN] == before[OPEN], "what was published stays"
    assert town.published()[MODEL].sequence > before[MODEL].sequence
    held(town, "尚无有效批准")
    assert town.run("nothing new", at(1), sources=[]) == {}, "what waits is no reason to build"

    with town.register() as register:
        contracts = load(town.settings.contracts)
        proposal = releases.propose(register, contracts, OPEN, "每日发布", since, actor="甲")
        approval = releases.approve(register, contracts, OPEN, enrolled(register, "乙"), actor="乙")
    assert town.run("too early", at(2), sources=[]) == {}

    def stopped(self: Ledger, entries: list[Entry], overtaken: object) -> None:
        raise RuntimeError("stopped before the ledger")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "publish", stopped)
        assert town.run("stopped", at(3), sources=[]) == {}
    assert town.published()[OPEN] == before[OPEN]
    rewrite(town, "name: 户籍人口年龄结构\n", "name: 户籍人口年龄结构一\n")
    outcomes = town.run("after", at(4), sources=[])  # type: ignore[assignment]
    assert outcomes[OPEN].version is not None, "another name is not another publication"
    release = town.published()[OPEN]
    assert release.sequence > before[OPEN].sequence
    said = release.body["approval"]
    assert (said["asks"], said["row"], said["proposal"]) == ("standing", approval.sequence, proposal.sequence)
    assert (said["proposer"], said["approver"]) == ("甲", "乙")
    with town.register() as register:
        assert Issues(register).open(OPEN) == []

    rewrite(
        town,
        "一个总数，不按性别和年龄段分}\n    properties: [county_code, county_name, ",
        "一个总数，不按性别和年龄段分}\n    properties: [county_code, ",
    )
    published = town.published()[OPEN]
    outcomes = town.run("shows less", at(5), sources=[])  # type: ignore[assignment]
    assert outcomes[OPEN].version is None and town.published()[OPEN] == published
    held(town, "展示的内容在批准")
    check_bundle(town, tmp_path)


def check_bundle(town: Town, folder: Path) -> None:
    """Auditors find the two words before each release; and find a release that only says so."""
    signer = Ed25519Signer(town.settings.key(SIGNING))
    with town.register() as register:
        ledger = Ledger(register)
        assert list(unbacked(ledger)) == []
        genuine = ledger.published()[OPEN]
        bundle.export(register, signer, folder / "good", "六安市", ZoneInfo("Asia/Shanghai"), None, None, True)
        forged = {**genuine.body, "approval": {**genuine.body["approval"], "proposer": "乙"}}
        ledger.record([Entry(RELEASE, OPEN, "forged", genuine.version, forged)])
        assert [row.edition for row in unbacked(ledger)] == ["forged"]
        bundle.export(register, signer, folder / "forged", "六安市", ZoneInfo("Asia/Shanghai"), None, None, False)
    good, bad = (checked(folder / name) for name in ("good", "forged"))
    assert good.returncode == 0, good.stdout
    assert "两人批准的发布：1 次" in good.stdout
    assert bad.returncode == 1 and "称经两人批准发布，但此前的记录不支持" in bad.stdout


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    assert json.loads((folder / "manifest.json").read_text("utf-8"))["partial"] is False
    return subprocess.run([sys.executable, str(folder / "check.py")], capture_output=True, text=True, check=False)
