"""Linking in a published town: against the simulator's truth, in libraries, in `explain`, and by the command line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

import duckdb
import pytest
from typer.testing import CliRunner

from benchmarks.linkage import MODEL
from citylake.compared import rows
from citylake.main import app
from pipelines.codecs import sm3
from pipelines.contracts.load import Column, Contracts, load
from pipelines.issues import Issues
from pipelines.lake.edition import current_rows
from pipelines.linkage import tables
from pipelines.linkage.bearers import BEARER, SHARED
from pipelines.linkage.matching import Model
from pipelines.linkage.reviews import Reviews
from pipelines.preparation import core_versions
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.explain import Explainer
from simulator import Planted
from tests.catalog.small_city import STEWARD
from tests.city import Town, published_town

pytestmark = pytest.mark.server
DATASETS = {"ehr_*.csv": "hc/health_record", "shjz.T_DBDX": "cab/subsistence_allowance"}
PERSON, REGISTER = "lib_population__person", "psb/household_person"
REGISTERS = (REGISTER, "psb/floating_person")


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


@pytest.mark.long
def test_libraries_know_what_was_linked_and_explain_tells_how(town: Town, contracts: Contracts) -> None:
    found = links(town, "person_id, link_batch, link_row, weight", "basis = 'model' AND dataset = 'hc/health_record'")
    with town.register() as register, Explainer(contracts, town.settings, register) as explainer:
        told = 0
        for person, batch, row, weight in found[:40]:
            if not town.rows(PERSON, "1", f"person_id = '{person}' AND source_rows LIKE '%hc/health_record%'"):
                continue  # the record is not an active one
            cells = explainer.explain(PERSON, {"person_id": person}).cells
            rows = {source.row for cell in cells for source in cell.sources if source.row.dataset == "hc/health_record"}
            for one in rows:
                if (one.batch, one.number) == (batch, row):
                    assert one.linked is not None and one.linked.basis == "model"
                    assert (one.linked.weight, one.linked.model) == (weight, Model.read(MODEL).version)
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


def test_a_number_on_two_people_is_found_and_both_stay_with_what_is_theirs(town: Town, contracts: Contracts) -> None:
    """Of every number that was planted on a second person: both are in the library, each with name, address and
    telephone of its own record, the register is told how many there are, and no value is in what it is told."""
    mistakes = [entry for entry in town.city.planted() if entry.kind == "shared"]
    (score,) = [
        one
        for one in rows.compare(contracts.sources[REGISTER], contracts, town.settings.lake, mistakes, date.max).scores
        if one.kind == rows.SHARED
    ]
    print(
        f"{score.planted} numbers planted on two people, {score.found} told apart of {score.told}, {score.right} right"
    )
    assert score.planted >= 3 and score.right == score.told, "nobody else is told apart"
    with town.register() as register:
        asked = [one for one in Reviews(register).open() if one["why"] == SHARED]
        (issue,) = [one for one in Issues(register).open() if one["code"] == f"linkage.shared:{REGISTER}"]
    assert {entry.rybh for entry in mistakes} <= {key for one in asked for key in _bearers(town, one)}
    apart = links(town, "row_key", f"dataset = '{REGISTER}' AND why = '{SHARED}'")
    assert (issue["owner"], issue["count"]) == ("psb", len(apart))
    parted = links(town, "row_key, person_id", f"dataset = '{REGISTER}' AND why IN ('{SHARED}', '{BEARER}')")
    assert len({person for _, person in parted}) == len(parted) == 2 * score.found
    for key, person in parted:
        ((name, address, place),) = _records(town, f"record_no = '{key}'", "name, address, _batch || ':' || _row")
        ((known, home, told),) = town.rows(PERSON, "name, address, source_rows", f"person_id = '{person}'")
        assert (known, home) == (name, address)
        assert json.loads(told)[REGISTER] == place
        assert not any(value in text for value in (name, address) for text in issue["text"].values())


def test_no_row_of_a_library_is_about_somebody_through_a_number_on_two_people(town: Town, contracts: Contracts) -> None:
    """Whatever stands in a column of ids is a person's, or was told by a source of somebody who stands in no register.
    Outside the population library, where names and addresses link rows as well, it is never that of such a number."""
    key = town.settings.key("pseudonym")
    planted = {sm3.signature(key, number.encode())[: sm3.ID_LENGTH] for number in town.shared_numbers() if number}
    with town.register() as register:
        versions = core_versions(contracts, town.settings.lake, Receipts(register, "test"))
    with duckdb.connect() as con:
        alias, crosswalk = (tables.read(town.settings.lake, name) for name in (tables.ALIAS, tables.CROSSWALK))
        closed = {claim for (claim,) in con.execute(f"SELECT claim FROM {alias} WHERE person_id IS NULL").fetchall()}
        known = {person for (person,) in con.execute(f"SELECT DISTINCT person_id FROM {crosswalk}").fetchall()}
        resting = 0
        for name, version in versions.items():
            for column in _of_persons(contracts.sources[name].all_columns):
                told = con.execute(f"SELECT {column} FROM ({current_rows(version)})").fetchall()
                resting += sum(claim in closed for (claim,) in told) if name not in REGISTERS else 0
                known |= {claim for (claim,) in told} - closed
    print(f"{len(closed)} numbers on two people, of {len(planted)} planted; {resting} rows of departments have one")
    assert closed and closed <= planted and resting
    published = town.published()
    for model, contract in contracts.models.items():
        for column in _of_persons(contract.columns) if model in published else ():
            found = {person for (person,) in town.rows(model, f"DISTINCT {column}", f"{column} IS NOT NULL")}
            assert found <= known, (model, column)
            assert model.startswith("lib_population") or not found & closed, (model, column)


def _of_persons(columns: Iterable[Column]) -> list[str]:
    return [column.name for column in columns if column.definition.personal == "person"]


def _records(town: Town, where: str, columns: str) -> list[tuple[str, ...]]:
    """Current records of the household register."""
    with town.register() as register:
        contracts = load(town.settings.contracts)
        version = core_versions(contracts, town.settings.lake, Receipts(register, "test"))[REGISTER]
    with duckdb.connect() as con:
        return con.execute(f"SELECT {columns} FROM ({current_rows(version)}) WHERE {where}").fetchall()


def _bearers(town: Town, question: Mapping[str, str]) -> set[str]:
    """The records of the register with the number of a question."""
    return {key for (key,) in _records(town, f"person_id = '{question['person']}'", "record_no")}


@pytest.mark.long
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
    shown = runner.invoke(app, ["linkage", "review", "--values", "--who", STEWARD])
    assert shown.exit_code == 0, shown.output
    assert runner.invoke(app, ["linkage", "decide", "999999", "accept", "--who", STEWARD, "--why", "b"]).exit_code == 1
    assert runner.invoke(app, ["linkage", "decide", "1", "perhaps", "--who", STEWARD, "--why", "b"]).exit_code == 1
