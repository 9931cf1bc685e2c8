"""A whole city from raw to released libraries, by the engine's own run: what each stage takes.

`python -m benchmarks.city [PERSONS [FOLDER]]`, 60,000 if not said. The simulator draws at most 60,000 persons with all
their sources, and everything is received and admitted (`small`). What tells of no persons (firms, roads, air) is
received once more, into a home of its own. Then files are written of what departments would deliver of so many copies
of the others that there are enough persons (`clones`). From there all is measured, in one home: those files are
received into raw, judged and admitted (`admit`), and one run publishes the city (`publish`): rules about two sources,
linkage of all rows, addresses, every model, gate and release of all libraries and products, the analysts' database.
At this size sources are Parquet files; what a database takes for the same is in `benchmarks.admission`.

What stands in the folder is not made again: killed and started again, it goes on with what is not yet written, admitted
or published. A stage ends with the receipt that tells of it. Seconds are of all processors, memory is the peak of the
process.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from benchmarks.clones import FILES, about_persons, deliver
from benchmarks.contender import Contender, one
from benchmarks.golden import DRAWN, PERSONS, SEED, Watch
from benchmarks.measure import REPOSITORY, table
from pipelines import synthetic
from pipelines.contracts.load import load
from pipelines.preparation import core_versions
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.times import as_utc
from pipelines.run import Run, opened
from pipelines.settings import Settings
from simulator import DemoCity

SMALL, WHOLE = "small", "whole"
STAGES = {
    "across": "rules about two sources",
    "link": "linkage",
    "edition": "addresses, layers",
    "build": "models",
    "evidence": "gate, products",
    "marts": "release, analysts' database",
}
"""Stages of a publishing run by the receipt that ends them."""
DEAREST = 12
"""So many subjects of the gate are named."""
Took = tuple[str, float, float, float]
"""A stage, its wall seconds, CPU seconds and MB."""


def small(where: str, folder: Path) -> int:
    """Receive and admit everything a small city delivers first, and what is about no persons once more, for the whole
    one. Returns the rows received by the first."""
    persons, home = where.split(" ", 1)
    received = 0
    with DemoCity(folder / "city", SEED, min(int(persons), DRAWN)) as city:
        city.populate()
        for settings in (_settings(Path(home) / SMALL), _whole(Path(home))):
            settings.prepare()
            synthetic.feed(settings, city.connections())
            with opened(settings, "small") as run:
                left_out = about_persons(run.contracts) if received else set()
                received += _ingest(run, run.contracts.sources.keys() - left_out)
    return received


def admit(where: str, folder: Path) -> int:
    """Receive and admit the files of a whole city. Returns the rows received."""
    home, watch = Path(where.split(" ", 1)[1]), Watch()
    with opened(_whole(home), "admit") as run, watch.running():
        begun = time.time()
        received = _ingest(run, about_persons(run.contracts))
        ended = time.time()
    _write(home, "admit", [("receive and admit", ended - begun, *watch.between(begun, ended))])
    return received


def _ingest(run: Run, sources: Collection[str]) -> int:
    """The rows that were received of these sources. How many were refused, and what was not admitted, is told."""
    received = refused = 0
    for source in sorted(sources):
        admitted = run.ingest(source).admitted
        if admitted is None or admitted.held:
            _told({"not admitted": source, "held": admitted and admitted.held})
        else:
            received, refused = received + admitted.received, refused + admitted.refused
    _told({"received": received, "refused": refused, "problems": list(run.problems)})
    return received


def publish(where: str, folder: Path) -> int:
    """Publish a city that stands in core. Returns how many libraries and products were released."""
    home, watch = Path(where.split(" ", 1)[1]), Watch()
    with opened(_whole(home), "publish") as run, watch.running():
        begun = time.time()
        outcomes = run.publish()
        ended = time.time()
        refused = [
            (one.subject, [finding.both() for finding in one.findings]) for one in outcomes if one.version is None
        ]
        _told({"problems": list(run.problems), "not released": refused})
        took = _stages(run, watch, begun, ended)
    _write(home, "publish", took)
    return sum(outcome.version is not None for outcome in outcomes)


CONTENDERS: dict[str, Contender] = {"small": small, "admit": admit, "publish": publish}


def _stages(run: Run, watch: Watch, begun: float, ended: float) -> list[Took]:
    """What the run took until each of the receipts that end a stage, and after the last."""
    found: list[Took] = []
    subjects: list[Took] = []
    receipts = [told for told in run.receipts.of_run(run.id) if as_utc(told.at).timestamp() >= begun]
    for stage, name in STAGES.items():
        before = begun
        for receipt in receipts:
            if receipt.stage == stage:
                at = as_utc(receipt.at).timestamp()
                if stage == Stage.EVIDENCE:
                    subjects.append((f"- {receipt.subject}", at - before, *watch.between(before, at)))
                before = at
        if before > begun:
            found.append((name, before - begun, *watch.between(begun, before)))
            begun = before
    dearest = sorted(subjects, key=lambda took: took[2], reverse=True)[:DEAREST]
    return [*found, ("scores of sources", ended - begun, *watch.between(begun, ended)), *dearest]


def _told(what: object) -> None:
    print(what, file=sys.stderr, flush=True)


def _write(home: Path, name: str, took: list[Took]) -> None:
    (home / f"{name}.json").write_text(json.dumps(took), "utf-8")


def _settings(home: Path, project: Path = REPOSITORY) -> Settings:
    return Settings(home, project, 0, 0, f"sqlite:///{home / 'register.db'}")


def _whole(home: Path) -> Settings:
    """The home of the whole city, whose contracts are made to take files."""
    project = home / "project"
    if not project.exists():
        for name in ("data_contracts", "dbt_project"):
            shutil.copytree(REPOSITORY / name, project / name)
    return _settings(home / WHOLE, project)


def write_files(home: Path, copies: int) -> dict[str, int]:
    """Write what the departments of so many copies of the small city deliver. Returns the rows of their files."""
    small, whole, files = _settings(home / SMALL), _whole(home), home / "files"
    shutil.rmtree(files, ignore_errors=True)
    contracts, register = load(small.contracts), Register(small.register_url)
    try:
        sources = core_versions(contracts, small.lake, Receipts(register, "files"))
    finally:
        register.close()
    connection = contracts.city.connections[FILES]
    whole.store_secret(connection.secret, files.as_uri())
    return deliver(sources, contracts, whole.project, files, copies)


def main(persons: int, home: Path) -> None:
    """Draw, write files, admit, publish, print."""
    where, counted = f"{persons} {home}", home / "rows.json"
    home.mkdir(parents=True, exist_ok=True)
    if not counted.exists():
        for name in (SMALL, WHOLE, "project"):
            shutil.rmtree(home / name, ignore_errors=True)
        table("benchmarks.city", {"small": small}, where, runs=1)
        counted.write_text(json.dumps(write_files(home, max(persons // DRAWN, 1))), "utf-8")
    rows = json.loads(counted.read_text("utf-8"))
    print(f"{persons} persons, {sum(rows.values())} source rows about them in {len(rows)} files")
    for name in ("admit", "publish"):
        if not (home / f"{name}.json").exists():
            table("benchmarks.city", {name: CONTENDERS[name]}, where, runs=1)
    print("\n| stage | wall s | CPU s | peak MB |\n|---|---|---|---|")
    for name in ("admit", "publish"):
        for stage, *took in json.loads((home / f"{name}.json").read_text("utf-8")):
            print(f"| {stage} | {' | '.join(f'{value:.1f}' for value in took)} |")


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    else:
        count, *rest = sys.argv[1:] or [str(PERSONS)]
        with tempfile.TemporaryDirectory() as temporary:
            main(int(count), Path((rest or [temporary])[0]).resolve())
