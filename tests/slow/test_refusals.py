"""Refused and cleaned rows against what the simulator planted: recall and precision per source and kind, and the values
in core that cleaning was to mend, on a city nobody chose.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from citylake.compared import across, rows
from citylake.compared.scores import summed, table
from pipelines.contracts.load import Contracts
from pipelines.evidence.across import Seen
from pipelines.preparation import core_versions
from pipelines.register.receipts import Stage
from pipelines.run import opened
from simulator import DirtRates
from tests.city import Town, seed_from_clock
from tests.release.test_whole_way import differences

pytestmark = pytest.mark.slow

EXACT = frozenset({"format", "encoding", "check_digit", "code", "range", "type", "torn_row", "excel_number"})
"""Kinds a single value tells; the others look at several values or rows."""
COMPLETE = frozenset({rows.CLEANABLE, rows.LINE_BREAK, rows.LATE, rows.CORRECTED})
"""Of what is not refused: all of it must have come, and be right."""
DIRT = DirtRates(encoding=0.0004)
DAYS = 3


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    seed = seed_from_clock()
    print(f"\ncity seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    town = Town(tmp_path, persons=60_000, seed=seed, dirt=DIRT)
    yield town
    town.close()


def test_everything_planted_is_refused_and_nothing_else(town: Town, contracts: Contracts) -> None:
    for day in range(DAYS):
        if day:
            town.city.tick()
        with opened(town.settings, f"day {day}") as run:
            statuses = {name: run.ingest(name).status for name in contracts.sources}
        assert set(statuses.values()) <= {"admitted", "unchanged"}, statuses
    planted = town.city.planted()
    judged = rows.judged(contracts)
    assert {rows.place(source) for source in judged} == {item.dataset for item in planted}
    assert set(rows.undetectable(planted)) == {"plausible"}
    scores = []
    for source in judged:
        compared = rows.compare(source, contracts, town.settings.lake, planted, rows.delivered_until(source, town.city))
        assert not compared.strangers, (source.id, len(compared.strangers), compared.strangers[0].kinds)
        assert not compared.unmended, (source.id, compared.unmended[0])
        for score in compared.scores:
            about = f"{source.id} {score.kind}: recall {score.recall:.4f}, precision {score.precision:.4f}"
            print(f"{about}, planted {score.planted}")
            floor = 1.0 if score.kind in EXACT | COMPLETE else 0.99
            assert score.recall >= floor and score.precision >= floor, (source.id, score)
        assert any(score.planted for score in compared.scores), source.id
        scores += compared.scores
    print(table(scores, rows.undetectable(planted)))
    # bearers of one number are told apart by linkage, which no delivery waits for (test_bearers)
    assert {score.kind for score in scores} == set(rows.ORDER) - {rows.SHARED}


def test_what_shows_only_beside_other_rows_is_named(town: Town, contracts: Contracts) -> None:
    for day in range(DAYS):
        if day:
            town.city.tick()
        with opened(town.settings, f"day {day}") as run:
            assert {run.ingest(name).status for name in contracts.sources} <= {"admitted", "unchanged"}
            run.preparation.compare(core_versions(run.contracts, run.lake, run.receipts))
            last = {name: run.receipts.last(Stage.ACROSS, name) for name in contracts.sources}
    seen = {name: Seen.read(receipt.body) for name, receipt in last.items() if receipt}
    scores = summed(across.compare(contracts, town.settings.lake, town.city, seen))
    print(table(scores, {}))
    assert {score.kind for score in scores if score.planted} == set(across.KINDS.values())
    for score in scores:
        assert score.recall == 1.0 and score.precision >= 0.999, score


def test_the_state_of_core_is_the_truth(town: Town) -> None:
    for day in range(2):
        if day:
            town.city.tick()
        town.run(f"day {day}")
    assert differences(town) == []
