"""Periods of contracts, the whole way: eleven years on a town's old data is gone from every byte, it still builds and
publishes, and everything verifies.
"""

import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.lake import delta
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.ledger import RETENTION, Ledger
from pipelines.release.verify import releases
from pipelines.retention.apply import JOURNAL
from pipelines.run import opened
from tests.catalog.small_city import STEWARD
from tests.city import Town, published_town, seed_from_clock
from tests.traces import content, traces

pytestmark = [pytest.mark.server, pytest.mark.slow]

YEARS = timedelta(days=11 * 366)
EVENTS, AIR = "hsb/settlement", "eeb/air_station_hour"
TABLE, CHANGES = "psb/household_person", "psb/floating_person"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town on its second day: rows changed and left, every library has an older version."""
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    town.city.tick()
    town.run("second")
    yield town
    town.close()


def core(town: Town, source: str, columns: str, where: str = "true") -> list[tuple[object, ...]]:
    read = delta.scan(delta.open_table(town.settings.lake.core(*source.split("/"))))
    return duckdb.sql(f"SELECT {columns} FROM {read.source} WHERE {where} ORDER BY ALL").fetchall()


KILLED = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from pipelines.lake import rewrite
from pipelines.retention.apply import JOURNAL
from pipelines.run import opened
from pipelines.settings import Settings

home, project, days, left = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
replaced = rewrite.replace_file

def counted(partial, file):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replaced(partial, file)

rewrite.replace_file = counted
with opened(Settings(Path(home), Path(project), 0, 0, f"sqlite:///{home}/register.db"), "killed") as run:
    run.started += timedelta(days)
    run.retain("甲", "期满")
"""


def test_killed_it_is_finished_by_the_next_run(town: Town, tmp_path: Path) -> None:
    """The process is killed while files are replaced; whatever opens the home next ends it, once, the same."""
    made = []
    for name in ("one", "other"):
        subprocess.run(["cp", "-a", str(town.settings.home), str(tmp_path / name)], check=True)
        home = tmp_path / name
        made.append(replace(town.settings, home=home, register_url=f"sqlite:///{home / 'register.db'}"))
    one, other = made
    with opened(one, "whole") as run:
        run.started += YEARS
        run.retain("甲", "期满")
    at = random.Random(seed_from_clock()).randint(2, 12)
    asked = [sys.executable, "-c", KILLED, str(other.home), str(other.project), str(YEARS.days), str(at)]
    assert subprocess.run(asked).returncode == -signal.SIGKILL and (other.home / JOURNAL).exists()
    with opened(other, "next") as run:
        assert run.today < (run.started + YEARS).date()
    lakes = [{path.relative_to(home.home): content(path) for path in home.home.rglob("*.parquet")} for home in made]
    assert lakes[0] == lakes[1] and not (other.home / JOURNAL).exists()
    bodies = []
    for settings in made:
        register = Register(settings.register_url)
        (entry,) = Ledger(register).of_kind(RETENTION)
        assert {one.state for one in releases(settings.lake, Ledger(register))} == {"ended", "shortened", "unchanged"}
        bodies.append({name: value for name, value in entry.body.items() if name != "files"})
        register.close()
    assert bodies[0] == bodies[1]


def test_eleven_years_on(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    seed = seed_from_clock()
    print(f"CITYLAKE_TEST_SEED={seed}")
    home, lake = town.settings.home, town.settings.lake
    numbers = [str(number) for (number,) in core(town, EVENTS, "DISTINCT settlement_no")]
    marks = [numbers[(seed + one) % len(numbers)] for one in range(3)]
    log = "key, max(_batch) AS newest FROM (SELECT record_no AS key, _batch FROM core) GROUP BY key"
    read = delta.scan(delta.open_table(lake.core(*TABLE.split("/")))).source
    valid = duckdb.sql(
        f"WITH core AS (FROM {read}) SELECT count(*) FROM core JOIN (SELECT {log}) n "
        "ON n.key = core.record_no AND n.newest = core._batch WHERE core._op <> 'D'"
    ).fetchall()
    everything = len(core(town, TABLE, "record_no"))
    assert valid[0][0] < everything and traces(home, marks)
    for source in (CHANGES, AIR):  # without any reading the marts of the air close their gates, rightly
        held = CliRunner().invoke(app, ["retention", "hold", source, "--who", STEWARD, "--why", "调取"])
        assert held.exit_code == 0, held.output
    before = len(core(town, CHANGES, "_batch"))
    with opened(town.settings, "retention") as run:
        day = run.today
        assert run.retain("甲", "期满") is None, "nothing of a new town is due"
        run.started += YEARS
        body = run.retain("甲", "期满")
        assert run.retain("甲", "期满") is None
    assert body is not None
    print({(one["dataset"], one["layer"]): one["rows"] for one in body["due"]})
    assert {one["layer"] for one in body["due"]} == {"raw", "core", "quarantine", "released", "history"}
    assert len(core(town, TABLE, "record_no")) == valid[0][0] and not core(town, EVENTS, "_batch")
    assert len(core(town, CHANGES, "_batch")) == before and {one["dataset"] for one in body["held"]} == {CHANGES, AIR}
    assert not {path for path in traces(home, marks) if not path.startswith("lake/released/")}
    with town.register() as register:
        states = Counter(one.state for one in releases(lake, Ledger(register)))
    assert states["ended"] > 5 and states["corrupt"] == 0
    for source, words in ((EVENTS, "10y"), (CHANGES, "")):
        with opened(town.settings, "replay") as run:
            if words:
                with pytest.raises(CitylakeError, match=words):
                    run.replay(source, day, day)
            else:
                assert run.replay(source, day, day).status in ("admitted", "unchanged")
    ((person, *_), *_) = town.rows("lib_population__person", "person_id")
    asked = ["history", "lib_population__person", f"person_id={person}"]
    then = CliRunner().invoke(app, [*asked, "--known-on", day.isoformat()])
    assert then.exit_code == 1 and "保存期限之外" in then.output, then.output
    outcomes = town.run("third")
    closed = [name for name, outcome in outcomes.items() if getattr(outcome, "findings", None)]
    assert not closed, [outcomes[name] for name in closed]
    assert not [name for name, one in outcomes.items() if getattr(one, "status", "") in ("failed", "held")]
    verified = CliRunner().invoke(app, ["verify"])
    assert verified.exit_code == 0 and "保存期限届满" in verified.output
    listed = CliRunner().invoke(app, ["retention"])
    assert listed.exit_code == 0 and CHANGES in listed.output
