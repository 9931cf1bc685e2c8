"""kill -9 at random moments of a run: the last good version stays, nothing is half-visible, the next run recovers."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipelines.contracts.load import load
from pipelines.release.ledger import Ledger
from tests.city import REPOSITORY, Town, seed_from_clock
from tests.release.test_whole_way import PERSON, differences

pytestmark = pytest.mark.slow

KILLS = 50


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("kills"), persons=20_000, seed=5)
    town.run("first")
    yield town
    town.close()


def test_fifty_kills(town: Town) -> None:
    seed = seed_from_clock()
    print(f"\nkill seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    dice = random.Random(seed)
    town.city.tick()
    longest = run_to_the_end(town)
    reached: dict[str, int] = {}
    while sum(reached.values()) < KILLS:
        town.city.tick()
        before = town.published()
        # squared: the first second, with pull and admission in it, gets as many kills as the long rest
        stage = kill_after(town, dice.random() ** 2 * longest)
        if stage != "finished":
            reached[stage] = reached.get(stage, 0) + 1
        check_nothing_is_half_visible(town, before)
        if dice.random() < 0.2:
            run_to_the_end(town)
            assert differences(town) == []
    print(f"killed in: {reached}")
    run_to_the_end(town)
    assert differences(town) == []
    assert not list((town.settings.lake.candidates).glob("*"))


def start(town: Town) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.slow.once", str(town.settings.home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, start_new_session=True)


def run_to_the_end(town: Town) -> float:
    """Let a run finish; returns its seconds after the lock was taken."""
    process = started(town)
    begun = time.monotonic()
    try:
        output, _ = process.communicate(timeout=800)  # pytest itself would end at 900, and leave it running
    finally:
        end(process)
    assert output.split() == ["done"]
    return time.monotonic() - begun


def end(process: subprocess.Popen[str]) -> bool:
    """Kill a run; whether it lived still. One that is left behind has the lock and the folders of whatever follows."""
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return alive


def started(town: Town) -> subprocess.Popen[str]:
    """A run that holds the lock."""
    process = start(town)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def kill_after(town: Town, seconds: float) -> str:
    """Kill a run a while after it took the lock; returns the last stage that left a receipt, or `finished`."""
    process = started(town)
    time.sleep(seconds)
    if not end(process):
        return "finished"
    with town.register() as register, register.engine.connect() as connection:
        return str(connection.exec_driver_sql("SELECT stage FROM receipt ORDER BY id DESC LIMIT 1").scalar())


def check_nothing_is_half_visible(town: Town, before: dict[str, object]) -> None:
    """Readers see one whole edition: the one before the run, or, if its ledger rows were written, the new one."""
    published = town.published()
    contracts = load(town.settings.contracts)
    assert set(published) == {*contracts.models, *contracts.products}
    changed = {subject for subject in published if published[subject] != before[subject]}
    editions = {published[subject].edition for subject in changed}
    assert len(editions) <= 1
    for subject, entry in published.items():
        assert town.rows(subject, "count(*)") == [(entry.body["rows"],)], subject
        for file in entry.body["files"]:
            channel, name = subject.split("/")
            folder = town.settings.lake.root / "released" / "files" / channel / name / f"v{entry.version}"
            assert (folder / file["name"]).stat().st_size == file["size"]
    if changed:
        assert {PERSON, "sharing/person_of_division"} <= changed or PERSON not in changed
    with duckdb.connect(str(town.settings.marts.resolve()), read_only=True) as con:
        shown = sum(product.channel == "analyst" for product in contracts.products.values())
        assert con.execute("SELECT count(*) FROM information.edition").fetchone() == (shown,)
    with town.register() as register:
        assert Ledger(register).first_break() is None


def test_the_home_is_not_left_locked(town: Town) -> None:
    assert end(started(town))
    assert Path(town.settings.home / "run.lock").exists()
    run_to_the_end(town)
