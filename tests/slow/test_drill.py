"""The drill on a city and with faults that nobody chose: all are found, and nothing else is told."""

from pathlib import Path

import pytest

from citylake.drill import drill, report
from pipelines.settings import REPOSITORY, Settings
from simulator.disturbances import KINDS
from tests.city import seed_from_clock

pytestmark = pytest.mark.slow


def test_every_fault_of_deliveries_is_found_and_nothing_else(tmp_path: Path) -> None:
    seed = seed_from_clock() % 2**31
    print(f"\ndrill seed {seed} (repeat with citylake demo drill --seed {seed})")
    settings = Settings(tmp_path / "home", REPOSITORY, 0, 0, f"sqlite:///{tmp_path / 'home' / 'register.db'}")
    result = drill(settings, seed, 3_000, print)
    print(report(result))
    told = {score.kind for score in result.scores}
    assert told | set(result.undetectable) >= {*KINDS, "late", "corrected"}
    assert [score for score in result.scores if score.recall < 1 or score.precision < 1] == []
    assert not result.false_alarms and result.ordinary > 50
    assert not (settings.home / "drill").exists()
