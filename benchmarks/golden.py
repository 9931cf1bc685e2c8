"""Golden records of a whole city: what the shipped models of the population library cost, from core to candidates.

`python -m benchmarks.golden [PERSONS [FOLDER [CONTENDER ...]]]`, 60,000 if not said; what stands in the folder is not
made again, and the others need what `first` left there. A small city is drawn by the simulator and admitted, and its
core copied until there are enough persons (`clones`: sources are fed as files). From there on everything is the
engine's own: snapshot, dbt, models, Delta. Measured are

- `first`: everything built for the first time;
- `day`: everything built again after a day on which all departments tell of one person in a hundred anew, histories
  written; one model at a time, since else nobody could say which of them took what;
- `engine`: the same as the engine does it, two models at a time;
- `keys`: that day again, one model at a time, for the keys that changed since the first build where a model has a key;
- `equal`: whether `day` and `keys` made the same rows of every model, by a hash of their content; fails if not;
- `plain`: ten attributes of every person by the same rules, without conflicts, provenance, evidence or history;
- `floor`: only reading what the models read.
"""

import json
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import psutil

from benchmarks.clones import change, clone, read_by, row_counts, small_city
from benchmarks.contender import Contender, one
from benchmarks.measure import REPOSITORY, table
from pipelines.contracts.dbt import generated
from pipelines.contracts.load import load
from pipelines.engine import connect
from pipelines.lake import delta
from pipelines.lake.build import build
from pipelines.lake.edition import CoreVersion, Edition, Released, current_rows, write_snapshot
from pipelines.lake.keys import Built, Since
from pipelines.lake.zones import Lake, library_of
from pipelines.linkage import tables
from pipelines.settings import Settings

PERSONS = 60_000
DRAWN = 60_000
"""So many the simulator draws; the rest are copies."""
SEED = 20_261_126
CHANGED = 100
"""One person in so many is told anew on the second day."""
DIVISION = "lib_geography__division"
GOLDEN = tuple(f"lib_population__{name}" for name in ("person", "conflict", "conflict_count", "person_history"))
"""The golden records: all fields, conflicts, provenance of every cell, and history."""
LIBRARY = tuple(
    f"lib_population__{name}" for name in ("registered", "household", "relation", "relation_conflict", "person_tag")
)
PLAIN = "lib_population__plain"
FOLDER = "models/libraries/population"
ATTRIBUTES = (
    *("id_number", "name", "sex", "birth_date", "household_no", "division_code", "address", "education"),
    *("marital_status", "mobile"),
)
LOOK_SECONDS = 0.05
REST = "start of dbt, keys, interim results"
"""What no model's file tells the end of."""


@dataclass
class Watch:
    """What this process has used by when: seconds of all its processors, and MB."""

    at: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,))
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _watch(self, done: threading.Event) -> None:
        process = psutil.Process()
        while not done.wait(LOOK_SECONDS):
            self.at.append(time.time())
            self.cpu.append(time.process_time())
            self.memory.append(process.memory_info().rss / 2**20)

    def between(self, begin: float, end: float) -> tuple[float, float]:
        """CPU seconds and the highest MB between two moments."""
        first, last = (min(bisect_left(self.at, moment), len(self.at) - 1) for moment in (begin, end))
        return self.cpu[last] - self.cpu[first], max(self.memory[first : last + 1])


def first(where: str, folder: Path) -> int:
    """Build everything for the first time."""
    return _built(Path(where), folder, "first", 1)


def day(where: str, folder: Path) -> int:
    """Build everything again, one model after the other."""
    return _built(Path(where), folder, "day", 1)


def engine(where: str, folder: Path) -> int:
    """Build everything again, as the engine does."""
    return _built(Path(where), folder, "engine", 2)


def keys(where: str, folder: Path) -> int:
    """Build everything again, by key where the engine does."""
    home = Path(where)
    first, shown = _sources(home, "first"), tables.shown(Lake(home / "lake"))
    then = {_relation(name): source for name, source in first.items()} | shown
    now = {_relation(name): source for name, source in _sources(home, "day").items()} | shown
    built = Built(then, dict.fromkeys((DIVISION, *GOLDEN, *LIBRARY), 0))
    return _built(home, folder, "keys", 1, since=Since(now, dict.fromkeys((*GOLDEN, *LIBRARY), built)))


def equal(where: str, folder: Path) -> int:
    """Compare what `day` and `keys` made: rows, and the sum of the hashes of all rows, whatever their order."""
    lake, rows = Lake(Path(where) / "lake"), 0
    with connect(folder / "spill", "4GB") as con:
        for model in (*GOLDEN, *LIBRARY):
            found = []
            for name in ("day", "keys"):
                read = delta.scan(delta.open_table(lake.candidate(name, library_of(model), model)))
                columns = read.columns.replace('"known_in"', "NULL")  # the edition, whose name differs
                content = f"SELECT count(*), sum(CAST(hash({columns}) AS HUGEINT)) FROM {read.source}"
                found.append(con.execute(content).fetchall())
            if found[0] != found[1]:
                raise RuntimeError(f"{model}: {found}")
            rows += found[0][0][0]
    return rows


def plain(where: str, folder: Path) -> int:
    """Ten attributes of every person, by the rules of the shipped model."""
    person = (REPOSITORY / "dbt_project" / FOLDER / f"{GOLDEN[0]}.sql").read_text("utf-8")
    head, _, rest = person.partition("with person as (")
    joins = rest[rest.index("    from {{ ref(") : rest.index("\n)\nselect")]
    chosen = ", ".join(f"{{{{ survive(library, '{name}', sources) }}}} as {name}" for name in ATTRIBUTES)
    model = f"{head}select coalesce(h.person_id, f.person_id) as person_id, {chosen}\n{joins}\n"
    return _built(Path(where), folder, "plain", 1, {f"{FOLDER}/{PLAIN}.sql": model})


def floor(where: str, folder: Path) -> int:
    """Read the current rows of every source that tells of persons, all columns that core has, and nothing else."""
    rows = 0
    with connect(folder / "spill", "4GB") as con:
        for source in _sources(Path(where), "day").values():
            columns = ", ".join(f"max({name})" for name in source.columns)
            (counted, *_) = con.execute(f"SELECT count(*), {columns} FROM ({current_rows(source)})").fetchall()[0]
            rows += counted
    return rows


CONTENDERS: dict[str, Contender] = {
    "first": first,
    "day": day,
    "engine": engine,
    "keys": keys,
    "equal": equal,
    "plain": plain,
    "floor": floor,
}


def _relation(source: str) -> str:
    return f"core.{source.replace('/', '__')}"


def _built(
    home: Path, folder: Path, name: str, threads: int, more: dict[str, str] | None = None, since: Since | None = None
) -> int:
    """Build into candidates of the edition `name`; writes down what each model took. Returns the rows written."""
    settings, lake, today = _settings(home), Lake(home / "lake"), date.today()
    edition = Edition(name, today, _sources(home, "first" if name == "first" else "day"), tables.shown(lake))
    released = [] if name == "first" else [_released(lake, model) for model in (DIVISION, *GOLDEN, *LIBRARY)]
    chosen = [PLAIN] if more else [*GOLDEN, *LIBRARY, *([DIVISION] if name == "first" else [])]
    before = {GOLDEN[-1]: _released(lake, GOLDEN[0])} if name in ("day", "engine", "keys") else {}
    write_snapshot(folder / "snapshot.json", edition, released, set(chosen), before)
    files, watch = generated(load(settings.contracts), today) | (more or {}), Watch()
    with watch.running():
        result = build(
            settings.dbt_project,
            lake,
            name,
            folder / "snapshot.json",
            chosen,
            threads=threads,
            work=home / "dbt",
            generated=files,
            since=since,
        )
    if since:
        print(f"built by key: {result.by_key}", file=sys.stderr)
    took = {}
    for model in chosen:
        of_model = result.models[model]
        if of_model.status != "success":
            raise RuntimeError(f"{model}: {of_model.message}")
        assert of_model.location is not None and of_model.version is not None
        end = delta.log_file(of_model.location, of_model.version).stat().st_mtime
        cpu, memory = watch.between(end - of_model.seconds, end)
        size = sum(file.stat().st_size for file in of_model.location.glob("*.parquet"))
        took[model] = [of_model.rows, cpu, of_model.seconds, memory, size / 2**20]
    all_cpu, peak = watch.between(watch.at[0], watch.at[-1])
    spent = [sum(column) for column in list(zip(*took.values(), strict=True))[1:3]]
    took[REST] = [0, all_cpu - spent[0], watch.at[-1] - watch.at[0] - spent[1], peak, 0]
    (home / f"{name}.json").write_text(json.dumps(took), "utf-8")
    return sum(of_model.rows or 0 for of_model in result.models.values())


def _released(lake: Lake, model: str) -> Released:
    """The first build's candidates stand for a release: what a release adds are links to the same files."""
    return Released(library_of(model), model, lake.candidate("first", library_of(model), model), 0)


def _settings(home: Path) -> Settings:
    return Settings(home, REPOSITORY, 0, 0, f"sqlite:///{home / 'register.db'}")


def _sources(home: Path, name: str) -> dict[str, CoreVersion]:
    told = json.loads((home / f"{name}-sources.json").read_text("utf-8"))
    return {
        source: CoreVersion(Path(location), version, batch, tuple(key), tuple(columns))
        for source, (location, version, batch, key, columns) in told.items()
    }


def _keep(home: Path, name: str, sources: dict[str, CoreVersion]) -> None:
    told = {
        source: [str(one.location), one.version, one.batch, list(one.key), list(one.columns)]
        for source, one in sources.items()
    }
    (home / f"{name}-sources.json").write_text(json.dumps(told), "utf-8")


def prepare(folder: Path, persons: int) -> Path:
    """A home with the core of so many persons, of the first and of the second day."""
    drawn, home = min(persons, DRAWN), folder / f"{persons}"
    small, lake, settings = folder / f"drawn-{drawn}", Lake(home / "lake"), _settings(home)
    contracts = load(settings.contracts)
    if not (small / "first-sources.json").exists():
        small.mkdir(parents=True)
        wanted = read_by((*GOLDEN, *LIBRARY), contracts, settings, small / "dbt")
        _keep(small, "first", small_city(small, drawn, SEED, wanted))
    if not (home / "day-sources.json").exists():
        lake.prepare()
        sources = clone(Lake(small / "home" / "lake"), _sources(small, "first"), contracts, lake, persons // drawn)
        _keep(home, "first", sources)
        _keep(home, "day", change(sources, contracts, lake, CHANGED))
    return home


def main(persons: int, folder: Path, names: Sequence[str]) -> None:
    """Prepare, build, print."""
    home = prepare(folder, persons)
    rows = row_counts(_sources(home, "first"))
    print(f"{persons} persons, {sum(rows.values())} source rows: {json.dumps(rows)}")
    table("benchmarks.golden", names, str(home), runs=1)
    for name in names:
        if (home / f"{name}.json").exists():
            print(f"\n{name}\n| model | rows | CPU s | wall s | MB | MB written |\n|---|---|---|---|---|---|")
            for model, took in json.loads((home / f"{name}.json").read_text("utf-8")).items():
                print(f"| {model} | {' | '.join(f'{value:.1f}' for value in took)} |")


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    else:
        count, *rest = sys.argv[1:] or [str(PERSONS)]
        with tempfile.TemporaryDirectory() as temporary:
            main(int(count), Path((rest or [temporary])[0]).resolve(), rest[1:] or list(CONTENDERS))
