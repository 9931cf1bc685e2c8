"""Deliveries by a process that is really killed in the middle, day after day: the recipient's table is what it was or
what it shall be, and the next run makes it the released product under the grant."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.register.receipts import Receipts, Stage
from simulator.server import Server
from tests.catalog.conftest import released_city
from tests.catalog.receiving import Bureau, Bureaus, mariadb_receiver, postgres_receiver
from tests.catalog.small_city import PERSONS, SYNTHETIC
from tests.city import seed_from_clock
from tests.connectors.databases import MariaDB

pytestmark = [pytest.mark.slow, pytest.mark.server]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
ROWS, DAYS = 60_000, 4
OPEN_TRANSACTIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_rows_modified > 0",
}


@pytest.fixture(scope="module")
def bureaus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureaus]:
    postgres, mariadb = Server(tmp_path_factory.mktemp("postgres")), MariaDB(tmp_path_factory.mktemp("mariadb"))
    postgres.start()
    receivers = [postgres_receiver(postgres, "bureau"), mariadb_receiver(mariadb, "bureau")]
    yield Bureaus(released_city(tmp_path_factory.mktemp("killed")), receivers)
    postgres.stop()
    mariadb.stop()


def tomorrow(day: int) -> str:
    """The persons of a day: some are gone, some new, some have another name."""
    kept = f"select * from ({SYNTHETIC}) where cast(substr(id_number, 15) as integer) % 11 <> {day}"
    return f"select * replace (case when birth_year % 5 = {day} then '改*' else name end as name) from ({kept})"


@pytest.mark.parametrize("engine", list(OPEN_TRANSACTIONS))
@pytest.mark.parametrize("columns", [None, ["name", "sex", "birth_year"]], ids=["key", "rows"])
def test_a_run_killed_in_the_middle_changes_nothing_and_the_next_one_goes_on(
    bureaus: Bureaus, engine: str, columns: list[str] | None
) -> None:
    dice, bureau = random.Random(seed_from_clock()), Bureau(bureaus, engine)
    bureau.receiver.clear()
    bureau.grant(columns=columns)
    killed, held = 0, (0, None)
    for day in range(DAYS):
        bureau.city.release(PERSONS, ROWS, query=tomorrow(day))
        for _ in range(3):
            if not _kill_in_the_middle(bureau, dice.uniform(0, 0.2)):
                continue
            if _sums(bureau) == held:
                killed += 1
                break
            assert bureau.equal(), "a killed run is seen as a whole or not at all"
            break  # it was killed after it had committed
        done = bureau.deliver()
        assert bureau.equal()
        assert done.how in ("changes" if day else "snapshot", "unchanged")
        held = _sums(bureau)
    assert killed >= 2, "otherwise this test showed nothing"
    kept = Receipts(bureau.city.register, "test").of_stage(Stage.DELIVERY, bureau.name("persons"), 1)
    assert kept[0].body["statement"] == bureau.receiver.position()["statement"]


def _kill_in_the_middle(bureau: Bureau, patience: float) -> bool:
    """Start a delivery in a process of its own and kill it once it has written; False if it was faster."""
    settings = bureau.city.settings
    where = {"CITYLAKE_HOME": str(settings.home), "CITYLAKE_PROJECT": str(settings.project)}
    command = [sys.executable, "-m", "citylake", "deliver", "run", bureau.name("persons")]
    environment = {**os.environ, **where, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        if bureau.receiver.run(OPEN_TRANSACTIONS[bureau.receiver.engine])[0][0]:
            time.sleep(patience)
            break
        time.sleep(0.01)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    if alive:
        _wait_until_rolled_back(bureau)
    return alive and process.returncode == -signal.SIGKILL


def _wait_until_rolled_back(bureau: Bureau) -> None:
    end = time.monotonic() + 60
    while bureau.receiver.run(OPEN_TRANSACTIONS[bureau.receiver.engine])[0][0]:
        assert time.monotonic() < end
        time.sleep(0.05)


def _sums(bureau: Bureau) -> tuple[object, ...]:
    """Of what others see: nothing if the run was killed while it made the table, which comes before the first row."""
    made = bureau.receiver.run("SELECT count(*) FROM information_schema.tables WHERE table_name = 't'")[0][0]
    return bureau.receiver.run("SELECT count(*), sum(_citylake_check) FROM t")[0] if made else (0, None)
