"""The history of libraries of a small city over some days: with the present rows it gives every earlier release."""

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.contracts.load import Contracts
from pipelines.linkage import golden, tables
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.editor import Outcome
from pipelines.release.history import BOOKS, RECORD, as_of, history
from pipelines.release.ledger import Recorded
from pipelines.release.rows import ReleasedRows, Row
from tests.catalog.small_city import STEWARD
from tests.city import REPOSITORY, Town, published_town

pytestmark = [pytest.mark.server, pytest.mark.long]

PERSON = "lib_population__person"
SUBJECTS = (PERSON, "lib_legal_entity__entity")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Three releases, the third of them without the history of persons, which is told in a run of its own."""
    folder = tmp_path_factory.mktemp("town")
    for part in ("data_contracts", "dbt_project"):
        shutil.copytree(REPOSITORY / part, folder / "project" / part)
    town = published_town(tmp_path_factory, folder, folder / "project")
    town.city.tick(4)
    town.run("second", sources=["psb/household_person", "cab/cremation", "amr/enterprise"])
    town.city.tick()
    model = town.settings.dbt_project / "models/libraries/population/lib_population__person_history.sql"
    text = model.read_text("utf-8")
    model.write_text(text.replace("'ethnicity'", "'no_such_column'"), "utf-8")
    third = town.run("third", sources=["psb/household_person", "amr/enterprise"])
    assert isinstance(third[PERSON], Outcome) and third[PERSON].version is not None
    assert isinstance(third[f"{PERSON}_history"], Outcome) and third[f"{PERSON}_history"].version is None
    model.write_text(text, "utf-8")
    fourth = town.run("fourth", sources=[])
    assert list(fourth) == [f"{PERSON}_history"]
    yield town
    town.close()


@pytest.fixture(scope="module")
def released(town: Town, contracts: Contracts) -> Iterator[ReleasedRows]:
    with town.register() as register:
        rows = ReleasedRows(contracts, town.settings.lake, register)
        yield rows
        rows.con.close()


def rows_of(released: ReleasedRows, model: str, release: Recorded) -> dict[str, Row]:
    """All rows of one release, by key."""
    contract = released.contracts.models[model]
    return {row[contract.form.key[0]] or "": row for row in released.some(contract, release.version, {}, "")}


def undo(rows: dict[str, Row], key: str, changes: list[Row]) -> None:
    """Make the rows those before some changes of one edition: who went is there again, who came is not."""
    came, went = (
        {one[key] or "" for one in changes if one["history_field"] == RECORD and one["history_after"] == after}
        for after in ("1", "0")
    )
    rows |= {name: dict.fromkeys(next(iter(rows.values()))) for name in went}
    for one in changes:
        if one["history_field"] != RECORD and one[key] not in came:
            rows[one[key] or ""][one["history_field"] or ""] = one["history_before"]
    for name in came:
        del rows[name]


@pytest.mark.parametrize("model", SUBJECTS)
def test_the_present_rows_and_their_history_give_every_earlier_release(released: ReleasedRows, model: str) -> None:
    """Also of a release whose history was refused and told later: no change is lost, none is told twice."""
    newest, *earlier = [one for one in released.ledger.history(model) if one.version is not None]
    told_in = {one.edition for one in released.ledger.history(f"{model}_history") if one.version is not None}
    book, told = released.published_model(f"{model}_history")
    key = book.form.key[0]
    changes = released.some(book, told.version, {}, "ORDER BY known_in DESC")
    assert len(earlier) == 2 and len({row["history_field"] for row in changes} - {RECORD}) > 3
    fields = {one.name for one in released.contracts.models[model].columns} - {key, *BOOKS}
    rows = rows_of(released, model, newest)
    for release in (one for one in earlier if one.edition in told_in):
        while changes and (changes[0]["known_in"] or "") > release.edition:
            told_together = [one for one in changes if one["known_in"] == changes[0]["known_in"]]
            changes = changes[len(told_together) :]
            undo(rows, key, told_together)
        was = rows_of(released, model, release)
        assert rows.keys() == was.keys()
        differing = [(name, field) for name in rows for field in fields if rows[name][field] != was[name][field]]
        assert not differing
    assert not changes, "a change that no release shows"


@pytest.mark.parametrize("model", SUBJECTS)
def test_every_column_but_key_and_books_keeps_a_history(contracts: Contracts, model: str) -> None:
    """As of a day a column without one would have its value of today."""
    contract = contracts.models[f"{model}_history"]
    (text,) = [file.read_text("utf-8") for file in REPOSITORY.glob(f"dbt_project/models/*/*/{contract.form.model}.sql")]
    listed = {name.strip().strip("'") for name in text[text.index("[") + 1 : text.index("]")].split(",")} - {""}
    columns = {one.name for one in contracts.models[model].columns}
    assert listed == columns - {*contracts.models[model].form.key, *BOOKS}


def test_a_death_is_true_before_it_is_known(released: ReleasedRows, town: Town) -> None:
    died = town.rows(f"{PERSON}_history", "person_id, history_after", "history_field = 'died_on'")
    assert died
    for person, day in died:
        found = history(released, PERSON, {"person_id": person})
        known = next(change for change in found.changes if change.field == "died_on")
        assert (known.holds_from, known.basis) == (date.fromisoformat(day), "event")
        before = as_of(found, known.holds_from, date(known.known_on.year - 1, 1, 1))
        after = as_of(found, known.holds_from, known.known_on)
        eve = as_of(found, date.fromordinal(known.holds_from.toordinal() - 1), known.known_on)
        assert before and after and eve
        assert before["residence_status"] != "5" and after["residence_status"] == "5"
        assert eve["residence_status"] != "5" and eve["died_on"] is None
        assert eve["residence_evidence"] not in ("cremated", "register_death")
        assert (eve["death_certificate_no"], eve["death_kind"]) == (None, None)


def test_the_command_tells_changes_without_values(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    ((person, day),) = town.rows(f"{PERSON}_history", "person_id, history_after", "history_field = 'died_on'")[:1]
    asked = ["history", PERSON, f"person_id={person}"]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0 and "died_on" in told.output and f"-> {day}" not in told.output
    refused = CliRunner().invoke(app, [*asked, "--values", "--who", STEWARD])
    assert refused.exit_code == 1 and "--why" in refused.output and f"-> {day}" not in refused.output
    shown = [*asked, "--values", "--who", STEWARD, "--why", "核查"]
    assert f"-> {day}" in CliRunner().invoke(app, shown).output
    state = CliRunner().invoke(app, [*shown, "--true-on", day])
    with town.register() as register:
        receipts = Receipts(register, "test").of_stage(Stage.EXPORT, PERSON, 10)
    said = {"who": STEWARD, "why": "核查", "key": {"person_id": person}, "values": True}
    assert sorted((one.body for one in receipts if "key" in one.body), key=str) == sorted(
        ({**said, "true_on": true, "known_on": None} for true in (day, None)), key=str
    )
    assert f"died_on = {day}" in state.output and "residence_status = 5" in state.output
    assert "\nattr_source" not in state.output and "attr_source" in state.output  # said to be left out
    wrong = CliRunner().invoke(app, [*asked, "--true-on", "soon"])
    assert wrong.exit_code == 1 and "soon" in wrong.output


@pytest.mark.parametrize("model", SUBJECTS)
def test_a_library_of_a_day_is_written_and_recorded(
    town: Town, released: ReleasedRows, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against each row by itself."""
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    key = released.contracts.models[model].form.key[0]
    newest = town.rows(f"{model}_history", "max(known_on), max(holds_from)")[0]
    for number, day in enumerate((newest[0] - timedelta(days=1), newest[1])):
        file = tmp_path / f"{number}.parquet"
        options = ["--true-on" if number else "--known-on", str(day), "--who", STEWARD, "--why", "核查"]
        told = CliRunner().invoke(app, ["asof", model, str(file), *options])
        assert told.exit_code == 0 and "attr_source" in told.output, told.output
        written = duckdb.read_parquet(str(file))
        rows = [dict(zip(written.columns, row, strict=True)) for row in written.fetchall()]
        some = {one for (one,) in town.rows(f"{model}_history", f"DISTINCT {key}")[:15]} | {
            one[key] for one in rows[:5]
        }
        for one in some:
            found = as_of(
                history(released, model, {key: one}), day if number else date.max, date.max if number else day
            )
            row = next((row for row in rows if row[key] == one), None)
            assert (row is None) == (found is None)
            assert row is None or found is None or {**row, key: None} == {**dict.fromkeys(row), **found, key: None}
        with town.register() as register:
            receipt = Receipts(register, "test").last(Stage.EXPORT, model)
        assert receipt is not None and receipt.body["rows"] == len(rows)
        assert receipt.body["as_of"] == {"true_on" if number else "known_on": str(day)}
    refused = CliRunner().invoke(app, ["asof", model, str(tmp_path / "a.csv"), "--who", STEWARD, "--why", "核查"])
    assert refused.exit_code == 1 and "--known-on" in refused.output


def test_what_keeps_no_history_says_what_does(released: ReleasedRows) -> None:
    with pytest.raises(CitylakeError, match="lib_population__person"):
        history(released, "lib_population__household", {"household_no": "1"})
    with pytest.raises(CitylakeError):
        history(released, PERSON, {"person_id": "f" * 32})


def test_an_id_that_ended_is_found_under_that_of_today(
    town: Town, released: ReleasedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    lake = town.settings.lake
    ((claim, now),) = released.con.execute(
        f"SELECT claim, person_id FROM {tables.read(lake, tables.CROSSWALK)} JOIN "
        f"{released.relation(released.contracts.models[PERSON], released.published[PERSON].version)} USING (person_id) "
        "ORDER BY claim LIMIT 1"
    ).fetchall()
    old = "e" * 32
    told = tables.values([(old, claim)], "person_id", "other")
    number = tables.committed(lake, tables.CROSSWALK)
    ended = f"SELECT {number} AS number, '{golden.ENDED}' AS kind, * FROM {told}"
    with duckdb.connect() as con:
        tables.append(con, lake, tables.EVENT, ended, number)
    found = history(released, PERSON, {"person_id": old})
    assert (found.moved, found.until_then) == ({"person_id": now}, False)
    assert found.row is not None and found.row["person_id"] == now
    for command in ("explain", "history"):
        shown = CliRunner().invoke(app, [command, PERSON, f"person_id={old}"])
        assert shown.exit_code == 0 and "不再使用" in shown.output and now not in shown.output
        shown = CliRunner().invoke(
            app, [command, PERSON, f"person_id={old}", "--values", "--who", STEWARD, "--why", "核查"]
        )
        assert f"person_id = {now}" in shown.output
