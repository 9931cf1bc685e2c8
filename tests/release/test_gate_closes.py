"""A failing check, a broken model, a tampered candidate: the last good version stays and an issue has an owner."""

import csv
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.issues import Issues
from pipelines.lake.cleanup import forget_candidates
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts, Stage
from pipelines.release import publish
from pipelines.release.ledger import CONFIRMATION, REFUSAL, RELEASE, Ledger
from pipelines.release.volume import confirm_volume, confirmed_volumes
from pipelines.run import EDITION
from tests.catalog.small_city import STEWARD
from tests.city import REPOSITORY, Town, published_town
from tests.release.test_whole_way import MART, PERSON

pytestmark = [pytest.mark.server, pytest.mark.long]

OPEN = "open/age_structure_by_county"
PERSON_SQL = "dbt_project/models/libraries/population/lib_population__person.sql"
TAGS = "lib_population__person_tag"
EXPIRING = "lib_e_licence__expiring"
EXPIRING_SQL = "dbt_project/models/libraries/e_licence/lib_e_licence__expiring.sql"
TAGS_SQL = "dbt_project/models/libraries/population/lib_population__person_tag.sql"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("gate")
    for part in ("data_contracts", "dbt_project"):
        shutil.copytree(REPOSITORY / part, folder / "project" / part)
    town = published_town(tmp_path_factory, folder, folder / "project")
    yield town
    town.close()


@pytest.fixture
def edited(town: Town) -> Iterator[Any]:
    """Replace text in a project file for one test."""
    kept: dict[Path, str] = {}

    def edit(name: str, old: str, new: str) -> None:
        path = town.settings.project / name
        kept.setdefault(path, path.read_text("utf-8"))
        assert old in kept[path]
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")

    yield edit
    for path, text in kept.items():
        path.write_text(text, "utf-8")


def open_codes(town: Town, subject: str) -> list[tuple[str, str]]:
    with town.register() as register:
        return [(issue["code"], issue["owner"]) for issue in Issues(register).open(subject)]


def test_a_failing_rule_closes_the_gate_for_the_model_and_its_products(town: Town, edited: Any) -> None:
    before = town.published()
    edited("dbt_project/models/marts/population/mart_population__age_structure.sql", "count(*)", "count(*) + 1")
    outcome = town.run("wrong sum", sources=[])[MART]
    assert outcome.version is None
    assert "counts_rows" in outcome.findings[0].text("zh")
    assert town.published() == before
    assert open_codes(town, MART) == [("release.refused", "dsrb")]
    with town.register() as register:
        assert Ledger(register).history(MART, limit=1)[0].kind == REFUSAL


def test_a_model_of_which_departments_cannot_be_told_is_closed_with_its_products(
    town: Town, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was published without them, and nobody was told that anything had failed."""
    before = town.published()

    def fails(*_: Any) -> None:
        raise duckdb.OutOfMemoryException

    monkeypatch.setattr("pipelines.release.editor.notices", fails)
    edited(EXPIRING_SQL, "days_left <= warn_days", "days_left < warn_days")
    outcome = town.run("untold", sources=[])[EXPIRING]
    assert (outcome.version, [one.code for one in outcome.findings]) == (None, ["build.failed"])
    assert town.published() == before
    assert ("build.failed", "dsrb") in open_codes(town, EXPIRING)


def test_the_same_refusal_is_recorded_once(town: Town, edited: Any) -> None:
    edited("dbt_project/models/marts/population/mart_population__age_structure.sql", "count(*)", "count(*) + 1")
    with town.register() as register:
        before = len(Ledger(register).history(MART))
    town.run("wrong again", sources=[])
    with town.register() as register:
        assert len(Ledger(register).history(MART)) == before


def test_a_mended_model_is_released_and_the_issue_closes(town: Town) -> None:
    town.run("mended", sources=[])
    assert open_codes(town, MART) == []


def test_a_steward_gets_the_rows_for_which_a_model_was_refused(
    town: Town, edited: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(town.settings.project))

    def told(file: str, *options: str, code: int = 0) -> str:
        command = ["evidence", "failing", PERSON, "-o", str(tmp_path / file), "--who", STEWARD, "--why", "核实性别"]
        result = CliRunner().invoke(app, [*command, *options])
        assert result.exit_code == code, result.output
        return result.output

    def lines(file: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO((tmp_path / file).read_text("utf-8-sig"))))

    assert "没有不符合规则的行" in told("无.csv", code=1)
    edited(PERSON_SQL, "p.former_name, p.sex,", "p.former_name, case p.sex when '1' then '2' else p.sex end as sex,")
    assert town.run("wrong sexes", sources=[])[PERSON].version is None
    told("遮盖.csv")
    titles, *rows = lines("遮盖.csv")
    assert titles[:3] == ["规则", "原因", "人员统一标识"] and titles[-1] == "来源行"
    with town.register() as register:
        proof = Receipts(register, "test").last(Stage.EVIDENCE, PERSON)
        assert proof is not None
        (failed,) = [one["failed"] for one in proof.body["rules"] if one["failed"]]
    assert len(rows) == failed > 0
    assert {row[2] for row in rows} == {"***"} and all("第" in row[-1] and "批第" in row[-1] for row in rows)
    assert all("公民身份号码=***" in row[3] and "性别代码=***" in row[3] for row in rows)
    told("全.csv", "--values", "--rule", rows[0][0])
    shown = {row[2]: row for row in lines("全.csv")[1:]}
    men = {person: number for person, number in town.rows(PERSON, "person_id, id_number", "sex = '1'")}
    assert shown.keys() <= men.keys() and len(shown) == failed
    assert all(f"公民身份号码={men[person]}" in row[3] and "性别代码=2" in row[3] for person, row in shown.items())
    told("全.xlsx", "--values")
    assert (tmp_path / "全.xlsx").stat().st_size > 0
    assert "没有不符合规则的行" in told("已发布.csv", "--published", code=1)
    assert "没有规则" in told("错.csv", "--rule", "nothing", code=1)
    with town.register() as register:
        receipt = Receipts(register, "test").last(Stage.EXPORT, PERSON)
        assert receipt is not None
        assert (receipt.body["who"], receipt.body["rows"], receipt.body["values"]) == (STEWARD, failed, True)
    town.run("the same again", sources=[])
    told("仍在.csv")
    assert lines("仍在.csv") == lines("遮盖.csv")
    forget_candidates(town.settings.lake)  # as an order to erase does
    assert "已不在" in told("已删.csv", code=1)


def test_a_candidate_goes_when_a_later_one_is_released(town: Town) -> None:
    town.run("mended sexes", sources=[])
    assert list(town.settings.lake.candidates.iterdir()) == []


def test_a_model_that_does_not_build_stops_only_what_stands_on_it(town: Town, edited: Any) -> None:
    before = town.published()
    edited("dbt_project/models/libraries/population/lib_population__person.sql", "p.household_no", "p.no_such_column")
    edited("dbt_project/models/libraries/geography/lib_geography__division.sql", "d.parent_code,", "d.parent_code ,")
    town.run("broken model", sources=[])
    after = town.published()
    assert after["lib_geography__division"].version != before["lib_geography__division"].version
    assert {name: after[name] for name in (PERSON, MART, OPEN)} == {name: before[name] for name in (PERSON, MART, OPEN)}
    ((code, owner),) = open_codes(town, PERSON)
    assert (code, owner) == ("build.failed", "dsrb")
    town.run("mended", sources=[])


def test_a_product_with_small_cells_left_in_is_refused_alone(
    town: Town, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = town.published()
    monkeypatch.setattr("pipelines.release.products.protect", lambda table, anonymity, before: table)
    edited("data_contracts/products/population/age_structure.yaml", "name: 户籍人口年龄结构\n", "name: 年龄结构\n")
    outcomes = town.run("small cells", sources=[])
    assert outcomes[MART].version is not None
    assert outcomes[OPEN].version is None
    assert town.published()[OPEN] == before[OPEN]


def test_a_candidate_changed_after_its_evidence_is_not_published(
    town: Town, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = town.published()
    edited(
        "data_contracts/products/population/age_structure.yaml",
        "name: 户籍人口年龄结构（分析）",
        "name: 年龄结构（分析）",
    )
    original = publish._publish_one

    def tamper(item: Any, *arguments: Any) -> Any:
        log = next(item.location.glob("_delta_log/*0.json"))
        log.write_text(re.sub(r'"size":(\d+)', r'"size":1\1', log.read_text("utf-8")), "utf-8")
        return original(item, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(publish, "_publish_one", tamper)
        town.run("tampered", sources=[])
    assert town.published() == before
    assert open_codes(town, EDITION) == [("release.changed", "dsrb")]
    town.run("honest", sources=[])
    assert open_codes(town, EDITION) == []
    assert town.published()["analyst/age_structure"].version != before["analyst/age_structure"].version


def test_a_change_of_volume_that_a_steward_confirms_is_released_and_the_word_is_used_up(
    town: Town, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(town.settings.project))
    before = town.published()[TAGS]
    edited(TAGS_SQL, "medical_insured_status in ('1', '2')", "false")
    refused = town.run("fewer tags", sources=[])[TAGS]
    assert refused.version is None and refused.rows is not None and refused.rows < before.body["rows"]
    command = f"citylake confirm-volume {TAGS} --who"
    assert command in refused.findings[0].text("zh") and command in refused.findings[0].text("en")
    with town.register() as register, pytest.raises(CitylakeError, match="没有可确认的行数"):
        confirm_volume(register, PERSON, "张专员", "没有未获发布的版本")
    told = CliRunner().invoke(app, ["confirm-volume", TAGS, "--who", STEWARD, "--why", "医保停报，已与医保局核实"])
    assert told.exit_code == 0 and str(refused.rows) in told.output, told.output
    assert town.run("fewer tags confirmed", sources=[])[TAGS].version is not None
    with town.register() as register:
        released, word, refusal, *_ = Ledger(register).history(TAGS)
        assert (released.kind, word.kind, refusal.kind) == (RELEASE, CONFIRMATION, REFUSAL)
        assert released.body["confirmation"] == word.sequence and word.body["refusal"] == refusal.sequence
        assert (word.body["who"], word.body["rows"]) == (STEWARD, released.body["rows"])
        assert confirmed_volumes(Ledger(register)) == {}
        with pytest.raises(CitylakeError, match="没有可确认的行数"):
            confirm_volume(register, TAGS, "张专员", "再次")


def test_a_confirmed_volume_is_not_every_volume(town: Town, edited: Any) -> None:
    """What was taken away by the test before comes back: the steward's word about another change does not help."""
    assert town.run("tags are back", sources=[])[TAGS].version is None
    with town.register() as register:
        confirm_volume(register, TAGS, "张专员", "医保恢复上报")
    edited(TAGS_SQL, "medical_insured_status in ('1', '2')", "false")
    edited(TAGS_SQL, "fund_account_status in ('1', '2')", "false")
    assert town.run("more tags gone", sources=[])[TAGS].version is None
