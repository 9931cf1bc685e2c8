"""Built by key is built right: days drawn at run time, each model's rows against those of a whole build of that day.

The core is filled without admission, with so few persons that everything meets: several records of a person, deleted
and deleted again, marriages of the merged with themselves, ids that come together and part.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import drawn
import duckdb
import pytest
from days import DIVISION, HISTORY, Builds, rows
from libraries import Bench, new_bench

from pipelines.contracts.load import Contracts
from pipelines.lake import keys
from pipelines.lake.keys import Built, ByKey, Keys
from pipelines.lake.proofs import Input
from pipelines.linkage import tables
from pipelines.linkage.bearers import BEARER, SHARED
from tests.city import seed_from_clock

pytestmark = pytest.mark.slow

BY_KEY = [
    f"lib_population__{name}"
    for name in ("person", "conflict", "household", "person_tag", "relation", "relation_conflict")
]
MODELS = [*BY_KEY, HISTORY, DIVISION]
REGISTER, FLOATING, HEALTH = "psb/household_person", "psb/floating_person", "hc/health_record"
READ_BY_SEVERAL = ("psb__household_person", "psb__floating_person", "hc__health_record", "cab__cremation")
"""Sources that several models read by key, and so are read once for all of them."""
RECORDS = 100
"""Records of a source on the first day."""
SHARE = 0.03
"""Of the records of a source that many change in a day, and of the persons what is known about who they are."""


class Days(Builds):
    """Days that change a small core."""

    def __init__(self, bench: Bench, dice: random.Random) -> None:
        super().__init__(bench, [*BY_KEY, HISTORY])
        self.dice, self.number = dice, 0
        self.records: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in drawn.SOURCES}
        self.alias: dict[str, str | None] = {}
        self.link: dict[str, str | None] = {}
        self.parted: dict[tuple[str, str], tuple[str, str]] = {}
        bench.load("dsrb/division", *(drawn.division(code) for code in drawn.DIVISIONS))
        bench.complete()

    def change(self, share: float = SHARE) -> None:
        """A day: of every source some records are new, others, gone or back; persons come together or part."""
        for name in drawn.SOURCES:
            self.change_source(name, share)
        self._link()

    def change_source(self, name: str, share: float) -> None:
        """Some records of a source are new, others, gone or back."""
        self.number += 1
        source, known = self.bench.contracts.sources[name], self.records[name]
        if not known:
            told = {number: drawn.row(self.dice, source, number) for number in range(RECORDS)}
            self.bench.load(name, *told.values(), batch=self.number)
            known |= told
            return
        chosen = {number for number in range(len(known) + 3) if self.dice.random() < share}
        gone = {number for number in chosen if number in known and self.dice.random() < 0.3}
        told = {number: drawn.row(self.dice, source, number) for number in chosen - gone}
        if told:
            self.bench.load(name, *told.values(), batch=self.number, op="U")
        if gone:
            self.bench.load(name, *(known.pop(number) for number in sorted(gone)), batch=self.number, op="D")
        known |= told

    def _link(self) -> None:
        """Some claims stand for another person or for nobody from now on; some rows of health records are linked, or to
        nobody; some records of registers share their number, and are about somebody who is not what it stands for."""
        for claim in drawn.CLAIMS:
            if self.dice.random() < SHARE:
                self.alias.pop(claim, None)
                if self.dice.random() < 0.7:
                    self.alias[claim] = self.dice.choice([None, *drawn.CLAIMS])
        for record in self.records["hc/health_record"].values():
            if self.dice.random() < SHARE:
                self.link.pop(record["health_record_no"], None)
                if self.dice.random() < 0.7:
                    self.link[record["health_record_no"]] = self.dice.choice([None, *drawn.CLAIMS])
        for dataset in (REGISTER, FLOATING):
            for record in self.records[dataset].values():
                if self.dice.random() < SHARE:
                    self.parted.pop((dataset, record["record_no"]), None)
                    if self.dice.random() < 0.7:
                        about = self.dice.choice([f"own-{record['record_no']}", *drawn.CLAIMS])
                        why = self.dice.choice([SHARED, BEARER])
                        self.parted[dataset, record["record_no"]] = about, why
        links: list[tuple[str | None, ...]] = [
            *(("hc/health_record", row, person, "unknown") for row, person in self.link.items()),
            *((*record, *about) for record, about in self.parted.items()),
        ]
        with duckdb.connect() as con:
            alias = tables.values(list(self.alias.items()), "claim", "person_id")
            tables.replace(con, self.bench.lake, tables.ALIAS, f"SELECT * FROM {alias}")
            link = tables.values(links, "dataset", "row_key", "person_id", "why")
            rest = ", ".join(
                f"CAST(NULL AS {kind}) AS {name}"
                for name, kind in tables.TABLES[tables.LINK].items()
                if name not in ("dataset", "row_key", "person_id", "why")
            )
            tables.replace(con, self.bench.lake, tables.LINK, f"SELECT *, {rest} FROM {link}")


@pytest.fixture
def days(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Days]:
    seed = seed_from_clock()
    print(f"seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    days = Days(new_bench(tmp_path_factory.mktemp("days"), contracts), random.Random(seed))
    days.change(1)
    days.publish(days.build("first", by_key=False), *MODELS)
    yield days


def test_days_built_by_key_have_the_rows_of_whole_builds(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "SHARE", 100)  # so few persons are there that a day concerns many of them
    read_once = list[Mapping[Input, str]]()
    told = Keys._tell

    def noted(self: Keys, once: Mapping[Input, str]) -> None:
        read_once.append(once)
        told(self, once)

    monkeypatch.setattr(Keys, "_tell", noted)
    for number in range(3):
        days.change()
        made, whole = days.build(f"keys{number}", by_key=True), days.build(f"whole{number}", by_key=False)
        assert {name: one.why for name, one in made.by_key.items()} == dict.fromkeys(BY_KEY, "")
        persons = rows(whole, BY_KEY[0])
        assert 0 < (made.by_key[BY_KEY[0]].keys or 0) < len(persons)
        for name in (*BY_KEY, HISTORY):
            assert rows(made, name) == rows(whole, name), name
        assert len(rows(made, HISTORY)) > 0
        if number != 1:  # what is built on the second day is refused, so the third starts from the first
            days.publish(made, *BY_KEY, HISTORY)
    for once in read_once:
        assert {Input(f"staging.stg_{name}", "person_id") for name in READ_BY_SEVERAL} <= once.keys()
        assert not any("kin_" in one.relation or one.relation.startswith("lib.") for one in once)
    for source, dropped in ((REGISTER, "stg_psb__household_person"), (HEALTH, "stg_hc__health_record")):
        days.change_source(source, 0.5)  # alone: what another source tells of the same persons would hide the mistake
        whole = days.build(f"whole-{dropped}", by_key=False)
        with monkeypatch.context() as patched:
            patched.setattr(Keys, "_keys", without(f"staging.{dropped}"))
            mistaken = days.build(f"mistaken-{dropped}", by_key=True)
        assert any(rows(mistaken, name) != rows(whole, name) for name in BY_KEY), dropped
        days.publish(whole, *MODELS)


def without(dropped: str) -> Callable[[Keys, Input, Built], list[str] | ByKey]:
    """How keys are found by somebody who forgets one input."""
    found = Keys._keys
    return lambda keys, one, built: [] if one.relation == dropped else found(keys, one, built)


def test_a_history_looks_at_changed_keys_alone_where_its_subject_starts_from_what_it_told_of(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "SHARE", 100)
    for number, alone in ((0, True), (1, False)):
        days.change()
        made = days.build(f"keys{number}", by_key=True)
        (sql,) = (days.bench.work / "target" / "run").rglob(f"{HISTORY}.sql")
        assert ("where person_id in (select key from" in sql.read_text("utf-8")) == alone
        assert rows(made, HISTORY) == rows(days.build(f"whole{number}", by_key=False), HISTORY) != []
        days.publish(made, *BY_KEY)  # its history is refused, so the next one has to tell of both days


def test_what_is_not_as_it_was_is_built_whole(days: Days) -> None:
    days.change()
    built = days.built["lib_population__conflict"]
    days.built |= {
        "lib_population__person": replace(built, models={"lib_geography__division": 7}),
        "lib_population__conflict": replace(built, sources={}),
    }
    result = days.build("keys", by_key=True)
    why = {name.removeprefix("lib_population__"): one.why for name, one in result.by_key.items()}
    assert why == dict.fromkeys(("person", "household", "person_tag", "relation", "relation_conflict"), "models") | {
        "conflict": "sources"
    }
    whole = days.build("whole", by_key=False)
    assert all(rows(result, name) == rows(whole, name) for name in BY_KEY)


def test_a_day_that_concerns_many_is_built_whole(days: Days) -> None:
    days.change(1)
    assert {one.why for one in days.build("keys", by_key=True).by_key.values()} == {"share", "models"}
