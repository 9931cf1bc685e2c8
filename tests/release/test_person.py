"""What is kept of a person, against a search of every cell of every released and every core table for the id."""

import random
from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.load import Contracts
from pipelines.lake import delta
from pipelines.linkage import tables
from pipelines.messages import CitylakeError
from pipelines.preparation import core_versions
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.person import PERSON, Person
from pipelines.release.rows import ReleasedRows
from tests.catalog.small_city import STEWARD
from tests.city import Town, published_town, seed_from_clock

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


@pytest.fixture(scope="module")
def released(town: Town, contracts: Contracts) -> Iterator[ReleasedRows]:
    with town.register() as register:
        rows = ReleasedRows(contracts, town.settings.lake, register)
        yield rows
        rows.con.close()


@pytest.fixture(scope="module")
def people(town: Town) -> list[str]:
    """Persons nobody chose, householders, owners of firms and persons to whom a row was linked among them."""
    seed = seed_from_clock()
    print(f"CITYLAKE_TEST_SEED={seed}")
    some = [
        ("lib_population__person", "person_id"),
        ("lib_population__household", "head_person_id"),
        ("lib_legal_entity__entity", "legal_representative_person_id"),
        ("lib_legal_entity__control", "controller_person_id"),
    ]
    drawn = random.Random(seed)
    found = [
        str(person)
        for model, column in some
        for (person,) in drawn.sample(town.rows(model, column, f"{column} IS NOT NULL"), 3)
    ]
    links = f"{tables.read(town.settings.lake, tables.LINK)} WHERE basis = 'model'"
    return found + [one for (one,) in duckdb.sql(f"SELECT person_id FROM {links} ORDER BY ALL LIMIT 3").fetchall()]


def rows_with(released: ReleasedRows, relation: str, text: str) -> int:
    """How many rows of a relation have a text in any cell."""
    described = released.con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    texts = [name for name, kind, *_ in described if kind == "VARCHAR"]
    if not texts:
        return 0
    where = " OR ".join(f"{identifier(name)} = {literal(text)}" for name in texts)
    ((count,),) = released.con.execute(f"SELECT count(*) FROM {relation} WHERE {where}").fetchall()
    return int(count)


def test_who_only_represents_a_firm_is_found_too(released: ReleasedRows, town: Town) -> None:
    """No register of persons knows somebody from elsewhere."""
    crosswalk = tables.read(town.settings.lake, tables.CROSSWALK)
    known = {
        one for pair in released.con.execute(f"SELECT claim, person_id FROM {crosswalk}").fetchall() for one in pair
    }
    model, column = "lib_legal_entity__entity", "legal_representative_person_id"
    outside = {one for (one,) in town.rows(model, column, f"{column} IS NOT NULL")} - known
    assert outside
    for person in sorted(outside)[:3]:
        found = Person(released, person)
        assert (found.id, found.ids, found.claims) == (person, (person,), (person,))
        assert model in {one.place for one in found.libraries()}
    with pytest.raises(CitylakeError, match="0000"):
        Person(released, "0000")


@pytest.mark.long
def test_every_row_of_every_library_is_found(released: ReleasedRows, people: list[str]) -> None:
    seen: set[str] = set()
    for person in people:
        kept = {one.place: len(one.rows) for one in Person(released, person).libraries()}
        for model, contract in released.contracts.models.items():
            if model in released.published:
                relation = released.relation(contract, released.published[model].version)
                assert rows_with(released, relation, person) == kept.get(model, 0), model
        seen |= kept.keys()
    assert len(seen) > 8


def test_every_row_of_every_source_is_found(released: ReleasedRows, town: Town, people: list[str]) -> None:
    """Of whole tables, where core has one row for each key, as many as a search finds; linked rows besides."""
    with town.register() as register:
        versions = core_versions(released.contracts, town.settings.lake, Receipts(register, "test"))
    seen: set[str] = set()
    for number in people:
        person = Person(released, number)
        kept = {one.place: one for one in person.sources(versions)}
        for source, version in versions.items():
            read = delta.scan(delta.open_table(version.location, version.version))
            told = f"(SELECT * FROM {read.source} WHERE _op <> 'D')"  # a log of changes also tells what ended
            found = sum(rows_with(released, told, claim) for claim in person.claims)
            if released.contracts.sources[source].form.linkage is None:
                assert found == (len(kept[source].rows) if source in kept else 0), source
            elif found and source not in kept:
                raise AssertionError(source)
        seen |= kept.keys()
    assert {"psb/household_person", "hc/health_record"} <= seen


def test_a_linked_row_is_about_its_person(released: ReleasedRows, town: Town, people: list[str]) -> None:
    with town.register() as register:
        versions = core_versions(released.contracts, town.settings.lake, Receipts(register, "test"))
    links = f"{tables.read(town.settings.lake, tables.LINK)} WHERE basis = 'model' LIMIT 5"
    for dataset, key, owner in released.con.execute(f"SELECT dataset, row_key, person_id FROM {links}").fetchall():
        kept = {one.place: one for one in Person(released, owner).sources(versions)}[dataset]
        (column,) = versions[dataset].key
        assert key in [row[column] for row in kept.rows]


def test_the_command_counts_and_shows_rows_only_when_asked(
    town: Town, people: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    asked = ["person", people[0], "--who", STEWARD, "--why", "本人申请查阅"]
    ((name, number),) = town.rows("lib_population__person", "name, id_number", f"person_id = {literal(people[0])}")
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0 and "lib_population__person" in told.output
    assert number not in told.output and name not in told.output
    shown = CliRunner().invoke(app, [*asked, "--values"])
    assert number in shown.output and name in shown.output
    with town.register() as register:
        receipts = Receipts(register, "test").of_stage(Stage.EXPORT, "person", 10)
    assert [one.body["values"] for one in receipts] == [True, False]


def test_a_relative_is_told_by_kind_alone(released: ReleasedRows, town: Town) -> None:
    """Who the relative is stands in none of a person's rows; the marriage and its day are the person's own."""
    numbered = {one for (one,) in town.rows("lib_population__person", "person_id", "id_number IS NOT NULL")}
    married = town.rows("lib_population__relation", "person_id, related_person_id", "relation_evidence = 'marriage'")
    pairs = [pair for pair in married if pair[1] in numbered]  # a number that does not stand cannot be looked for
    one, other = random.Random(seed_from_clock()).choice(pairs)
    ((number, name),) = town.rows("lib_population__person", "id_number, name", f"person_id = {literal(other)}")
    with town.register() as register:
        versions = core_versions(released.contracts, town.settings.lake, Receipts(register, "test"))
    person = Person(released, one)
    kept = {each.place: each.rows for each in (*person.libraries(), *person.sources(versions))}
    assert not {other, number} & {value for rows in kept.values() for row in rows for value in row.values()}
    (wedding, *_) = kept["cab/marriage"]
    assert name not in wedding.values() and wedding["registered_on"]
    spouses = [row for row in kept["lib_population__relation"] if row["person_relation"] == "10"]
    assert {(row["person_id"], row["related_person_id"]) for row in spouses} == {
        (one, "他人 / somebody else"),
        ("他人 / somebody else", one),
    }


def test_who_represents_does_not_see_whom_a_decision_is_about(released: ReleasedRows, town: Town) -> None:
    """Libraries as sources: no id of the subject stands there, or somebody else's."""
    model = "lib_credit__penalty"
    unlike = "representative_person_id IS NOT NULL AND representative_person_id IS DISTINCT FROM subject_person_id"
    (record, one), *_ = town.rows(model, "credit_record_no, representative_person_id", unlike)
    (rows,) = [kept.rows for kept in Person(released, one).libraries() if kept.place == model]
    (row,) = [row for row in rows if row["credit_record_no"] == record]
    assert row["representative_person_id"] == one and row["subject_name"] == "他人 / somebody else"


def test_nobody_is_told_as_such(released: ReleasedRows) -> None:
    with pytest.raises(CitylakeError, match="person_id"):
        Person(released, "f" * 32)


def test_a_person_is_found_though_a_contract_has_a_column_that_no_release_has_yet(
    released: ReleasedRows, people: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a new contract and the next run somebody may ask to be erased."""
    known = {kept.name for kept in Person(released, people[0]).libraries()}
    assert known
    models = released.contracts.models
    newer = {
        name: replace(model, columns=(*model.columns, replace(column, name="later_person_id")))
        for name, model in models.items()
        for column in [one for one in model.columns if one.definition.personal == PERSON][:1]
    }
    monkeypatch.setattr(released, "contracts", replace(released.contracts, models={**models, **newer}))
    assert {kept.name for kept in Person(released, people[0]).libraries()} == known
