"""Linking in a published town: against the simulator's truth, in libraries, in `explain`, and by the command line."""

from collections.abc import Iterator

import duckdb
import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.codecs import sm3
from pipelines.contracts.load import Contracts
from pipelines.linkage import tables
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.explain import Explainer
from simulator import Planted
from tests.city import Town, published_town

pytestmark = pytest.mark.server
DATASETS = {"ehr_*.csv": "hc/health_record", "shjz.T_DBDX": "cab/subsistence_allowance"}
PERSON = "lib_population__person"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def links(town: Town, columns: str, where: str = "true") -> list[tuple[str, ...]]:
    read = tables.read(town.settings.lake, tables.LINK)
    with duckdb.connect() as con:
        return con.execute(f"SELECT {columns} FROM {read} WHERE {where} ORDER BY ALL").fetchall()


def planted(town: Town) -> list[Planted]:
    """Rows that do not say rightly who they are about."""
    return [entry for entry in town.city.planted() if entry.kind == "identity" and entry.dataset in DATASETS]


def test_rows_are_about_whom_they_truly_are(town: Town) -> None:
    known = {(dataset, key): person for dataset, key, person in links(town, "dataset, row_key, person_id")}
    registered = {person for (person,) in town.rows(PERSON, "person_id")}
    key = town.settings.key("pseudonym")
    right = wrong = there = 0
    for entry in planted(town):
        true = sm3.signature(key, (entry.true or "").encode())[: sm3.ID_LENGTH]
        person = known.get((DATASETS[entry.dataset], entry.rybh))
        there += true in registered
        right += person == true
        wrong += person is not None and person != true
    print(f"{there} rows about registered persons, {right} linked to them, {wrong} to others")
    assert there > 60
    assert wrong <= 1
    assert right >= 0.9 * there


def test_libraries_know_what_was_linked_and_explain_tells_how(town: Town, contracts: Contracts) -> None:
    found = links(town, "person_id, link_batch, link_row, weight", "basis = 'model' AND dataset = 'hc/health_record'")
    with town.register() as register, Explainer(contracts, town.settings.lake, register) as explainer:
        told = 0
        for person, batch, row, weight in found[:40]:
            if not town.rows(PERSON, "1", f"person_id = '{person}' AND source_rows LIKE '%hc/health_record%'"):
                continue  # the record is not an active one
            cells = explainer.explain(PERSON, {"person_id": person}).cells
            rows = {source.row for cell in cells for source in cell.sources if source.row.dataset == "hc/health_record"}
            for one in rows:
                if (one.batch, one.number) == (batch, row):
                    assert one.linked is not None and one.linked.basis == "model"
                    assert (one.linked.weight, one.linked.model) == (weight, "1")
                    told += 1
        assert told > 0


def test_a_row_with_somebody_elses_number_is_not_about_its_bearer(town: Town) -> None:
    key = town.settings.key("pseudonym")
    for entry in planted(town):
        if not entry.defect.startswith("others_id"):
            continue
        bearer = sm3.signature(key, (entry.shown or "").encode())[: sm3.ID_LENGTH]
        where = f"dataset = '{DATASETS[entry.dataset]}' AND row_key = '{entry.rybh}'"
        assert bearer not in {person for (person,) in links(town, "person_id", where)}


def test_nothing_is_linked_again_when_nothing_was_delivered(town: Town) -> None:
    with town.register() as register:
        before = Receipts(register, "test").last(Stage.LINK, "linkage")
    town.run("again", sources=[])
    with town.register() as register:
        assert Receipts(register, "test").last(Stage.LINK, "linkage") == before


def test_the_steward_sees_no_values_unless_asked_for_and_that_is_recorded(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    runner = CliRunner()
    assert runner.invoke(app, ["linkage", "review", "--values"]).exit_code == 1  # who looks?
    listed = runner.invoke(app, ["linkage", "review"])
    assert listed.exit_code == 0, listed.output
    shown = runner.invoke(app, ["linkage", "review", "--values", "--who", "张专员"])
    assert shown.exit_code == 0, shown.output
    assert runner.invoke(app, ["linkage", "decide", "999999", "accept", "--who", "a", "--why", "b"]).exit_code == 1
    assert runner.invoke(app, ["linkage", "decide", "1", "perhaps", "--who", "a", "--why", "b"]).exit_code == 1
