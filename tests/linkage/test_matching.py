"""Scores are the same on any number of threads and in any number of parts, and names that sound alike are alike."""

import duckdb
import pytest

from benchmarks.linkage import MODEL, load
from pipelines.linkage import matching, residue
from pipelines.linkage.matching import Model
from pipelines.linkage.sounds import sound_of
from simulator.person import DAY_ZERO
from tests.city import seed_from_clock


def decisions(seed: int, threads: int) -> list[tuple[object, ...]]:
    model = Model.read(MODEL)
    with duckdb.connect(config={"threads": threads}) as con:
        load(con, seed, 6_000)
        residue.find(con)
        matching.prepare(con)
        matching.score(con, model.splink)
        matching.decide(con, model, DAY_ZERO)
        query = "SELECT dataset, row_key, why, d.* FROM residue r JOIN decision d USING (number) ORDER BY ALL"
        pairs = con.execute("FROM pair ORDER BY ALL").fetchall()
        return [*con.execute(query).fetchall(), *pairs]


def test_scores_depend_neither_on_threads_nor_on_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = seed_from_clock()
    print(f"\ncity seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    alone = decisions(seed, 1)
    assert len(alone) > 100
    monkeypatch.setattr(matching, "SCORED", 20)
    monkeypatch.setattr(matching, "SOUNDED", 1_000)
    assert decisions(seed, 4) == alone


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("李国华", "李帼桦", "sound"),
        ("劉麗", "刘丽", "sound"),
        ("陈思静", "岑诗晋", "near"),
        ("蓝兰", "南兰", "near"),
        ("欧阳国强", "国强欧阳", "sorted_near"),
        ("买买提·艾力", "买买提艾力", "sound"),
    ],
)
def test_names_that_sound_alike(one: str, other: str, alike: str) -> None:
    assert getattr(sound_of(one), alike) == getattr(sound_of(other), alike)


def test_names_that_do_not_sound_alike() -> None:
    assert sound_of("李国华").near != sound_of("李国强").near
    assert sound_of("王芳").sorted_near != sound_of("王芬").sorted_near
