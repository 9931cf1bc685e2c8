"""Ids in the lake: whatever was merged and parted, every id that was ever given out is found by exactly one person."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contracts.load import Contracts
from pipelines.lake.zones import Lake
from pipelines.linkage import golden, numbering, tables
from pipelines.register import Register
from pipelines.release.history import history
from pipelines.release.person import Person, present_id
from pipelines.release.rows import ReleasedRows, Row

CLAIMS = [letter * 32 for letter in "abcd"]
PAIRS = [(one, other) for one in CLAIMS for other in CLAIMS if one < other]
Pairs = list[tuple[str, str]]


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    register = Register(f"sqlite:///{tmp_path_factory.mktemp('register') / 'register.db'}")
    register.upgrade()
    yield register
    register.close()


def number(lake: Lake, runs: Sequence[Pairs]) -> None:
    """Claims that are one person, run by run."""
    told = f"SELECT claim FROM {tables.values([(one,) for one in CLAIMS], 'claim')}"
    tables.ensure(lake)
    with duckdb.connect() as con:
        for run, same in enumerate(runs, 1):
            numbering.update(con, lake, told, same, run, {}, ())


def created(lake: Lake) -> list[str]:
    with duckdb.connect() as con:
        events = f"{tables.read(lake, tables.EVENT)} WHERE kind = '{golden.CREATED}'"
        return [one for (one,) in con.execute(f"SELECT person_id FROM {events} ORDER BY ALL").fetchall()]


def people(lake: Lake, contracts: Contracts, register: Register) -> dict[str, Person]:
    """By every id that was ever given out, whom it finds."""
    released = ReleasedRows(contracts, lake, register)
    with closing(released.con):
        found = {one: Person(released, one) for one in created(lake)}
        assert all(present_id(released, one) == person.id for one, person in found.items())
        return found


@pytest.mark.long
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(st.lists(st.sampled_from(PAIRS), max_size=3, unique=True), min_size=2, max_size=7))
def test_every_id_is_found_by_exactly_one_person(contracts: Contracts, register: Register, runs: list[Pairs]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        number(lake, runs)
        found = people(lake, contracts, register)
    present = {one.id: one for one in found.values()}
    held = Counter(each for one in present.values() for each in one.ids)
    assert held.keys() >= found.keys() and set(held.values()) == {1}
    assert all(text in one.ids and present[one.id].ids == one.ids for text, one in found.items())
    assert Counter(claim for one in present.values() for claim in one.claims) == Counter(CLAIMS)


def test_what_was_told_under_an_id_that_ended_stays_its_history(
    tmp_path: Path, contracts: Contracts, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row went with the id; the answer leads on to the id of today. Without a row of its own all is that one's."""
    lake, (one, other), model = Lake(tmp_path), CLAIMS[:2], "lib_population__person"
    number(lake, [[], [(one, other)]])
    went = {"history_field": "record", "history_before": "1", "history_after": "0", "holds_from": "2026-11-01"}
    change = went | {"holds_basis": "delivered", "known_on": "2026-11-02", "known_in": "e1"}
    told: dict[tuple[str, str], list[Row]] = {
        (model, one): [{"person_id": one}], (f"{model}_history", other): [{**change}]
    }  # fmt: skip
    release = SimpleNamespace(version=1)
    published = (contracts.models[model], release, contracts.models[f"{model}_history"], release)
    monkeypatch.setattr("pipelines.release.history._published", lambda *_: published)
    released = ReleasedRows(contracts, lake, register)
    monkeypatch.setattr(released, "some", lambda form, _, key, __: told.get((form.form.model, key["person_id"]), []))
    with closing(released.con):
        ended = history(released, model, {"person_id": other})
        assert (ended.row, len(ended.changes), ended.until_then) == (None, 1, True)
        assert ended.moved == {"person_id": one}
        told[f"{model}_history", other] = []
        now = history(released, model, {"person_id": other})
        assert (now.row, now.moved, now.until_then) == ({"person_id": one}, {"person_id": one}, False)
        assert history(released, model, {"person_id": one}).moved == {}


def test_an_id_of_after_an_undone_merge_is_found_and_looked_for(
    tmp_path: Path, contracts: Contracts, register: Register
) -> None:
    """Two claims that were made one and parted twice: each parting gave a new id, named after no claim."""
    lake, (one, other) = Lake(tmp_path), CLAIMS[:2]
    number(lake, [[], [(one, other)], [], [(one, other)], []])
    found = people(lake, contracts, register)
    first, second = found.keys() - {*CLAIMS}
    assert found[first].id == found[second].id == found[other].id in (first, second)
    assert {*found[other].ids} == {first, second, other} and found[one].ids == (one,)


def test_an_id_that_ended_before_claims_were_written_down_is_found_after_the_next_run(
    tmp_path: Path, contracts: Contracts, register: Register
) -> None:
    lake, (one, other) = Lake(tmp_path), CLAIMS[:2]
    runs: list[Pairs] = [[], [(one, other)], [], [(one, other)]]
    number(lake, runs)
    with duckdb.connect() as con:
        events = f"{tables.read(lake, tables.EVENT)} WHERE kind <> '{golden.ENDED}'"
        tables.replace(con, lake, tables.EVENT, f"SELECT * FROM {events}", len(runs))
        told = f"SELECT claim FROM {tables.values([(one,) for one in CLAIMS], 'claim')}"
        assert numbering.update(con, lake, told, runs[-1], len(runs) + 1, {}, ()) == {golden.ENDED: 2}
        assert numbering.update(con, lake, told, runs[-1], len(runs) + 2, {}, ()) == {}
    found = people(lake, contracts, register)
    assert {person.id for text, person in found.items() if text not in CLAIMS[2:]} == {one}
    assert {*found[one].ids} == found.keys() - {*CLAIMS[2:]}
