"""A whole city from raw to released libraries, by the engine's own run: what each stage takes.

`python -m benchmarks.city [PERSONS [FOLDER]]`, 60,000 if not said. The simulator draws at most 60,000 persons with all
their sources, and everything is received and admitted (`admit`; the servers of the city are not counted). Then core is
copied until there are enough persons (`clones`), and one run publishes it (`publish`): rules about two sources, linkage
of all rows, addresses, every model, gate and release of all libraries and products, the analysts' database. So what
admission of millions of rows takes is not measured here (`benchmarks.admission` tells what a row costs), everything
after it is. What is about no persons (firms, roads, air) is as large as in the small city.

What stands in the folder is not made again: killed and started again, it goes on with what is not yet admitted, copied
or published. A stage ends with the receipt that tells of it. Seconds are of all processors, memory is the peak of the
process.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clones import clone, row_counts
from benchmarks.contender import Contender, one
from benchmarks.golden import DRAWN, PERSONS, SEED, Watch
from benchmarks.measure import REPOSITORY, table
from pipelines import synthetic
from pipelines.contracts.load import load
from pipelines.linkage import tables
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


def admit(where: str, folder: Path) -> int:
    """Receive and admit everything a small city delivers first. Returns the rows received."""
    persons, home = where.split(" ", 1)
    settings, watch, received = _settings(Path(home) / SMALL), Watch(), 0
    with DemoCity(folder / "city", SEED, min(int(persons), DRAWN)) as city:
        city.populate()
        settings.prepare()
        synthetic.feed(settings, city.connections())
        with opened(settings, "admit") as run, watch.running():
            begun = time.time()
            for source in sorted(run.contracts.sources):
                admitted = run.ingest(source).admitted
                received += admitted.received if admitted else 0
            ended = time.time()
            _told({"problems": list(run.problems)})
    _write(Path(home), "admit", [("receive and admit", ended - begun, *watch.between(begun, ended))])
    return received


def publish(where: str, folder: Path) -> int:
    """Publish a city that stands in core. Returns how many libraries and products were released."""
    home, watch = Path(where.split(" ", 1)[1]), Watch()
    with opened(_settings(home / WHOLE), "publish") as run, watch.running():
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


CONTENDERS: dict[str, Contender] = {"admit": admit, "publish": publish}


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


def _settings(home: Path) -> Settings:
    return Settings(home, REPOSITORY, 0, 0, f"sqlite:///{home / 'register.db'}")


def enlarge(home: Path, copies: int) -> dict[str, int]:
    """Make a home whose core is so many copies of the small one's. Returns the rows of its sources."""
    small, whole = _settings(home / SMALL), _settings(home / WHOLE)
    shutil.rmtree(whole.home, ignore_errors=True)
    shutil.copytree(small.home, whole.home)
    shutil.rmtree(whole.lake.root / "core")
    tables.ensure(small.lake)
    contracts, register = load(whole.contracts), Register(whole.register_url)
    try:
        receipts = Receipts(register, "enlarge")
        sources = clone(small.lake, core_versions(contracts, small.lake, receipts), contracts, whole.lake, copies)
        for name, source in sources.items():
            last = receipts.last(Stage.ADMIT, name)
            assert last is not None
            receipts.add(Stage.ADMIT, name, last.body | {"core_version": source.version}, source.batch)
    finally:
        register.close()
    return row_counts(sources)


def main(persons: int, home: Path) -> None:
    """Admit, enlarge, publish, print."""
    where, counted = f"{persons} {home}", home / "rows.json"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "admit.json").exists():
        shutil.rmtree(home / SMALL, ignore_errors=True)
        table("benchmarks.city", {"admit": admit}, where, runs=1)
    if not counted.exists():
        counted.write_text(json.dumps(enlarge(home, max(persons // DRAWN, 1))), "utf-8")
    rows = json.loads(counted.read_text("utf-8"))
    print(f"{persons} persons, {sum(rows.values())} source rows in {len(rows)} tables")
    table("benchmarks.city", {"publish": publish}, where, runs=1)
    print("\n| stage | wall s | CPU s | peak MB |\n|---|---|---|---|")
    for name in CONTENDERS:
        for stage, *took in json.loads((home / f"{name}.json").read_text("utf-8")):
            print(f"| {stage} | {' | '.join(f'{value:.1f}' for value in took)} |")


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    else:
        count, *rest = sys.argv[1:] or [str(PERSONS)]
        with tempfile.TemporaryDirectory() as temporary:
            main(int(count), Path((rest or [temporary])[0]).resolve())
