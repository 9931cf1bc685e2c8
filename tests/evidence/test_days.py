"""Scores kept by day: the last word of a day counts, an earlier day never changes, departments are sums of A and B."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipelines.admission.admit import Admitted
from pipelines.admission.compile import ERASED_ROW
from pipelines.contracts.load import Contracts, load
from pipelines.evidence import days, scores
from pipelines.issues import REFUSED, Finding, Issues
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import RELEASE, WITHDRAWAL, Entry, Ledger
from pipelines.settings import REPOSITORY
from tests.city import seed_from_clock


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load(REPOSITORY / "data_contracts")


@pytest.fixture
def register(tmp_path: Path) -> Register:
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    return register


def admit(register: Register, source: str, batch: int, received: int, by_rule: dict[str, int]) -> None:
    receipts, refused = Receipts(register, "test"), max(by_rule.values(), default=0)
    receipts.add(Stage.PULL, source, {"rows": received}, batch)
    receipts.add(
        Stage.ADMIT, source, vars(Admitted(batch, received, received - refused, refused, by_rule=by_rule)), batch
    )


def test_a_day_stays_as_it_was_written(contracts: Contracts, register: Register, tmp_path: Path) -> None:
    lake, source = Lake(tmp_path / "lake"), "sb/macro_series"
    evening = datetime.now(UTC)
    admit(register, source, 1, 100, {"series_name.required": 4})
    assert days.keep(contracts, register, lake, evening) == 1
    assert days.keep(contracts, register, lake, evening) == 0, "nothing new is written twice"
    (first,) = days.measured(register, [source], date.min, date.max)
    admit(register, source, 2, 50, {"series_name.required": 1})
    assert days.keep(contracts, register, lake, evening) == 1
    (same_day,) = days.measured(register, [source], date.min, date.max)
    assert (first.refused, same_day.refused, same_day.by_rule) == (4, 1, {"series_name.required": 1})
    admit(register, source, 3, 50, {})
    assert days.keep(contracts, register, lake, evening + timedelta(days=1)) == 1
    kept = days.measured(register, [source], date.min, date.max)
    assert kept[0] == same_day and kept[1].day == same_day.day + timedelta(days=1) and kept[1].refused == 0
    assert days.newest_day(register, [source]) == kept[1].day
    assert days.measured(register, [source], kept[1].day, kept[1].day) == kept[1:]
    assert days.measured(register, ["psb/household_person"], date.min, date.max) == []
    assert days.newest_day(register, ["psb/household_person"]) is None


def test_only_what_waits_for_a_correction_is_open(contracts: Contracts, register: Register, tmp_path: Path) -> None:
    """Rows that came back and were accepted are not, nor what was withheld by order; what was measured stays."""
    source, rule, issues = "psb/household_person", "name.required", Issues(register)
    admit(register, source, 1, 100, {rule: 4, ERASED_ROW: 2})
    why = {"subject": source, "rule": rule, "reason_zh": "必填", "reason_en": "required"}
    evening = datetime.now(UTC)
    for waiting in (4, 1, 0):
        found = [Finding(REFUSED, why | {"rows": waiting}, "warning", rule, waiting)] if waiting else []
        issues.report(source, "psb", "admit", found)
        issues.report(source, "psb", "pull", [Finding("pull.no_file", {"file": "x"}, "error")])
        assert days.keep(contracts, register, Lake(tmp_path / "lake"), evening) == 1
        (kept,) = days.measured(register, [source], date.min, date.max)
        assert kept.open == ({rule: waiting} if waiting else {}) and kept.by_rule == {rule: 4}


class Counting(Register):
    """A register that counts what is read of it."""

    read = 0

    def rows(self, statement: sa.Select[Any]) -> list[dict[str, Any]]:
        found = super().rows(statement)
        self.read += len(found)
        return found


def test_of_a_day_only_the_last_word_is_read(contracts: Contracts, register: Register, tmp_path: Path) -> None:
    sources, today = ["sb/macro_series", "psb/household_person"], datetime.now(UTC)
    for ago in (3, 2, 1, 0):
        for batch in range(1, 8):
            for source in sources:
                admit(register, source, batch, 100 + batch, {})
            assert days.keep(contracts, register, Lake(tmp_path / "lake"), today - timedelta(days=ago)) == len(sources)
    counting = Counting(str(register.engine.url))
    last = days.newest_day(counting, sources)
    assert last is not None and counting.read == 1
    found = days.measured(counting, sources, last - timedelta(days=3), last)
    assert counting.read == 1 + len(found) and len(found) == 4 * len(sources)
    by_day = [(last - timedelta(days=ago), one) for ago in (3, 2, 1, 0) for one in sorted(sources)]
    assert [(one.day, one.dataset) for one in found] == by_day
    assert all(one.received == 107 for one in found if one.dataset == sources[0])
    counting.close()


def test_the_day_is_the_citys(contracts: Contracts, register: Register, tmp_path: Path) -> None:
    admit(register, "sb/macro_series", 1, 10, {})
    days.keep(contracts, register, Lake(tmp_path / "lake"), datetime(2030, 1, 31, 16, 30, tzinfo=UTC))
    assert days.newest_day(register, ["sb/macro_series"]) == date(2030, 2, 1)


def test_departments_are_sums_and_no_averages(contracts: Contracts, register: Register, tmp_path: Path) -> None:
    seed = seed_from_clock()
    print("seed", seed)
    draw = random.Random(seed)
    for source in contracts.sources.values():
        rules = [rule.id for rule in source.rules if rule.about.of_rows]
        received = draw.randint(1, 10_000)
        failing = {rule: draw.randint(0, received) for rule in rules if draw.random() < 0.3}
        admit(register, source.id, 1, received, failing)
    days.keep(contracts, register, Lake(tmp_path / "lake"), datetime.now(UTC))
    found = days.measured(register, contracts.sources, date.min, date.max)
    assert {one.dataset for one in found} == set(contracts.sources)
    for organisation, (together,) in days.by_organisation(found).items():
        mine = [one for one in found if one.dataset.startswith(f"{organisation}/")]
        assert together.datasets == len(mine) and together.refused == sum(one.refused for one in mine)
        for place, name in enumerate(scores.DIMENSIONS):
            satisfied = sum(one.scores[place].satisfied for one in mine)
            evaluated = sum(one.scores[place].evaluated for one in mine)
            assert together.scores[place].dimension == name
            assert (together.scores[place].satisfied, together.scores[place].evaluated) == (satisfied, evaluated)
            assert together.scores[place].passed == (satisfied / evaluated if evaluated else None)
    (city,) = days.together(found)
    assert sum(one[0].refused for one in days.by_organisation(found).values()) == city.refused


MODEL, OPENED = "mart_population__age_structure", "open/age_structure_by_county"


def released(register: Register, subject: str, version: int, **body: Any) -> None:
    Ledger(register).record([Entry(RELEASE, subject, "2026-11-01.1", version, body)])


def test_what_is_published_is_measured_each_day_and_its_rules_count_once(
    contracts: Contracts, register: Register, tmp_path: Path
) -> None:
    lake, evening = Lake(tmp_path / "lake"), datetime.now(UTC)
    rule = {"verb": "between", "kind": "range", "dimension": "准确性", "columns": ["persons"]}
    rules = [
        {**rule, "rule": "persons.between", "evaluated": 100, "failed": 3},
        {**rule, "rule": "table.volume_change", "evaluated": 1, "failed": 0},
    ]
    released(register, MODEL, 4, rules=rules)
    released(register, OPENED, 7, model=MODEL, model_version=4)
    released(register, "open/no_contract", 1, model=MODEL, model_version=4)
    released(register, "open/evaluation_month", 1, model="mart_x__not_in_the_ledger", model_version=0)
    assert days.keep(contracts, register, lake, evening) == 2
    assert days.keep(contracts, register, lake, evening) == 0
    owned = days.owners(contracts)
    assert owned[OPENED] == owned[MODEL] and owned["psb/household_person"] == "psb"
    model, product = days.measured(register, owned, date.min, date.max)
    assert [model.dataset, product.dataset] == [MODEL, OPENED]
    for one in (model, product):
        by_name = {score.dimension: score for score in one.scores}
        assert (by_name["准确性"].rules, by_name["准确性"].satisfied, by_name["准确性"].evaluated) == (2, 98, 101)
        assert by_name["可访问性"].passed == 0, "nothing lies in this lake"
        assert one.by_rule == one.open == {"persons.between": 3} and one.organisation == owned[MODEL]
    ((together,),) = days.by_organisation([model, product]).values()
    sums = {score.dimension: (score.satisfied, score.evaluated) for score in together.scores}
    assert together.datasets == 2 and sums["准确性"] == (98, 101), "cut from one version: its rules count once"
    assert sums["可访问性"] == (0, 2)
    Ledger(register).record([Entry(WITHDRAWAL, OPENED, "2026-11-02.1", None, {"reasons": ["x"]})])
    assert days.keep(contracts, register, lake, evening + timedelta(days=1)) == 1
    assert [one.dataset for one in days.measured(register, owned, model.day + timedelta(1), date.max)] == [MODEL]
