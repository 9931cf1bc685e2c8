"""How well rows are linked to persons, and how fast.

`python -m benchmarks.linkage [PERSONS [often] [crowded]]` draws a city at run time and prints its seed (repeat with
CITYLAKE_TEST_SEED). With `often`, four times as many rows are wrong, so that rare kinds can be told. With `crowded`,
people live in as few villages as they really fill, some three thousand in each; else in all of the city, which is as
crowded only with 5,890,000 persons (ten minutes and 9 GB).
`python -m benchmarks.linkage train` makes the model anew, from a city of another, fixed seed. Rows are made by the
simulator in memory and decoded as their contracts would: what is measured is the linkage alone. A share of the persons
stands in no register, as their registrations were refused: nobody can find those, and nobody may take their place.
"""

import json
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks.lookalikes import lookalikes
from pipelines.codecs import functions, gb11643
from pipelines.linkage import matching, residue
from pipelines.linkage.comparisons import COMPARISONS, settings
from pipelines.linkage.matching import MARKS, STRANGER, Model
from simulator import DirtRates, divisions
from simulator.care_registers import HealthRecords
from simulator.chance import Dice
from simulator.divisions import Village
from simulator.identity_dirt import name_change
from simulator.people_registers import Allowances
from simulator.person import DAY_ZERO, Person
from simulator.population import households
from simulator.registers import Everybody, Row, with_mistakes

MODEL = Path(__file__).resolve().parent.parent / "data_contracts" / "linkage" / "person.json"
TRAINING_SEED, TRAINING_PERSONS = 20_261_126, 600_000
VERSION = "2"
ACCEPT, MARGIN, REVIEW, CLOSE = -1.0, 2.0, -2.0, 2.0
"""Thresholds in bits. In a crowded city of 5.9 million less than one in a thousand best candidates is wrong from -1 bit
on where the next one is 2 bits behind, and one in seventeen of those in the bit below."""
REFUSED = 0.012
"""Share of the persons whom no register has."""
ONLY_IDENTITY = DirtRates(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, disputed=0)
OFTEN = replace(ONLY_IDENTITY, identity=0.1)
"""Four times the usual share of rows, the same mistakes: rare kinds and groups have rows enough to be counted. A row is
linked against registrations only, so others that are wrong as well change nothing for it."""
NOTHING = {"", "无", "暂无"}
REGISTERS: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
    ("hc/health_record", HealthRecords(), (1, 2, 15, 16, 3, 4, 5)),
    ("cab/subsistence_allowance", Allowances(), (1, 2, 10, 11, 6, 12, 13)),
)
"""Dataset, register, and where in its rows the marks stand: number, name, sex, birth, division, address, mobile."""
PART = 150_000
"""At least so many persons are drawn at a time."""
SCHEMA = pa.schema([(name, pa.date32() if name == "birth_date" else pa.string()) for name in MARKS])
_COLUMNS = ", ".join(f"{name} {'DATE' if name == 'birth_date' else 'VARCHAR'}" for name in MARKS)
WRONG = ", number missing or wrong"
"""After the name of a group of people: only rows with identity dirt."""
Key = tuple[str, str]
"""Dataset and key of a row."""


@dataclass
class Truth:
    """Whom each row is about; what is wrong with the number of the rows that have identity dirt, and with what else
    they say, and whether birth date and address are there; who is registered, who there is, and who can be taken for
    whom."""

    person: dict[Key, str] = field(default_factory=dict)
    defect: dict[Key, str] = field(default_factory=dict)
    also: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    full: dict[Key, bool] = field(default_factory=dict)
    registered: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    alike: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)


@dataclass
class Tally:
    """Of a group of rows: how many there are, how many are about registered persons, and what was made of them.

    `merged`: of the wrong ones, those about whom the group says that they are alike (`lookalikes`).
    """

    rows: int = 0
    findable: int = 0
    right: int = 0
    wrong: int = 0
    merged: int = 0
    asked: int = 0

    @property
    def precision(self) -> float:
        """Of the rows that are about somebody now, the share that is about the right person."""
        return self.right / max(self.right + self.wrong, 1)

    @property
    def recall(self) -> float:
        """Of the rows about registered persons, the share that is linked to them without anybody being asked."""
        return self.right / max(self.findable, 1)


def load(
    con: duckdb.DuckDBPyConnection,
    seed: int,
    persons: int,
    dirt: DirtRates = ONLY_IDENTITY,
    among: Sequence[Village] = (),
) -> Truth:
    """Relations `registered` and `told` of a city, and its truth. Claims are the numbers themselves."""
    truth = Truth()
    con.execute(f"CREATE TABLE registered (claim VARCHAR, {_COLUMNS})")
    con.execute(f"CREATE TABLE given (dataset VARCHAR, row_key VARCHAR, {_COLUMNS})")
    for part, people in enumerate(_parts(households(seed, persons, among))):
        dice = Dice(seed, "refused", part)
        known = [person for person in people if not dice.chance(REFUSED)]
        truth.people |= {person.id_number for person in people}
        truth.registered |= {person.id_number for person in known}
        for group, alike in lookalikes(people).items():
            truth.alike.setdefault(group, {}).update(alike)
        con.register("part", _table((p.id_number, *_marks(p)) for p in known))
        con.execute("INSERT INTO registered SELECT id_number, * FROM part")
        rows = list(_told(seed, part, people, truth, dirt))
        told = _table(row[2:] for row in rows)
        for position, name in ((1, "row_key"), (0, "dataset")):
            told = told.add_column(0, name, pa.array([row[position] for row in rows], pa.string()))
        con.register("part", told)
        con.execute("INSERT INTO given FROM part")
        con.unregister("part")
    functions.add_to(con)
    right = f"CASE WHEN {gb11643.content_right('id_number')} THEN id_number END"
    cleaned = f"SELECT * REPLACE ({gb11643.upgrade('id_number')} AS id_number) FROM given"
    con.execute(f"CREATE TABLE told AS SELECT *, {right} AS claim FROM ({cleaned})")
    con.execute("DROP TABLE given")
    return truth


def _parts(homes: Iterable[list[Person]]) -> Iterator[list[Person]]:
    """The people of some whole towns at a time: six million at once, with all their rows, take more than a machine."""
    people: list[Person] = []
    for home in homes:
        if len(people) >= PART and home[0].division[:9] != people[-1].division[:9]:
            yield people
            people = []
        people += home
    yield people


def _marks(person: Person) -> tuple[Any, ...]:
    return person.name, person.sex, person.birth, person.division, person.address, person.phone


def _told(seed: int, part: int, people: list[Person], truth: Truth, dirt: DirtRates) -> Iterator[tuple[Any, ...]]:
    for dataset, register, places in REGISTERS:
        dice = Dice(seed, "register", dataset, part)
        everybody = Everybody(DAY_ZERO, people, dice, None)  # type: ignore[arg-type]  # the truth is not asked
        clean = list(register.initial(everybody))
        delivery, _ = with_mistakes(register, clean, dirt, DAY_ZERO, dice)
        truth.person |= {(dataset, f"{part} {row[0]}"): str(row[places[0]]) for row in clean}
        defects = {entry.rybh: entry.defect.removesuffix("_bare") for entry in delivery.planted}
        right = {str(row[0]): row for row in clean}
        for row in delivery.rows:
            number, key = str(row[0]), (dataset, f"{part} {row[0]}")
            if number in defects:
                truth.defect[key] = defects[number]
                truth.also[key] = tuple(_also(right[number], row, places))
                truth.full[key] = row[places[3]] is not None and row[places[5]] is not None
            yield *key, *_decoded(row, places)


def _also(right: Row, row: Row, places: Sequence[int]) -> Iterator[str]:
    """What is wrong with a row beside its number: with the name, and with the birth date if there is one."""
    name, birth = places[1], places[3]
    yield name_change(str(right[name]), str(row[name])) or "name right"
    if row[birth] not in (None, right[birth]):
        yield "day and month exchanged"


def _decoded(row: Row, places: Sequence[int]) -> tuple[Any, ...]:
    """The marks of a row as its contract decodes them."""
    number, name, sex, birth, division, address, mobile = (row[place] for place in places)
    born = None if birth is None else date.fromisoformat(birth)
    return None if (number or "") in NOTHING else number, name, sex, born, division, address, mobile


def _table(rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table([pa.array(values, kind.type) for values, kind in zip(columns, SCHEMA, strict=True)], SCHEMA)


def train() -> None:
    """Write the model file: chances counted in labelled candidate pairs of the training city."""
    with duckdb.connect() as con:
        among = divisions.crowded(TRAINING_SEED, TRAINING_PERSONS)
        truth = load(con, TRAINING_SEED, TRAINING_PERSONS, among=among)
        residue.find(con)
        matching.prepare(con)
        unknown = {name: dict.fromkeys(_levels(name), (0.5, 0.5)) for name in COMPARISONS}
        matching.score(con, settings(unknown, 0.5))
        true = [(*key, person) for key, person in truth.person.items()]
        names = ("dataset", "row_key", "true")
        con.register("truth", pa.table(dict(zip(names, map(list, zip(*true, strict=True)), strict=True))))
        con.execute(
            "CREATE TABLE labelled AS SELECT p.*, p.claim = t.true AS same FROM pair p JOIN residue r USING (number) "
            f"JOIN truth t USING (dataset, row_key) WHERE r.why <> '{STRANGER}' OR p.gamma_id > 0"
        )
        chances = {name: _chances(con, name) for name in COMPARISONS}
        ((prior, pairs),) = con.execute("SELECT avg(same::INT), count(*) FROM labelled").fetchall()
    model = {
        "version": VERSION,
        "trained": "python -m benchmarks.linkage train",
        "seed": TRAINING_SEED,
        "persons": TRAINING_PERSONS,
        "pairs": pairs,
        "accept": ACCEPT,
        "margin": MARGIN,
        "review": REVIEW,
        "close": CLOSE,
        "splink": settings(chances, round(prior, 9)),
    }
    MODEL.parent.mkdir(exist_ok=True)
    MODEL.write_text(json.dumps(model, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"{MODEL}: {pairs} pairs")


def _levels(comparison: str) -> list[str]:
    """The levels of a comparison, the highest number first, without that of missing values."""
    return [level for level in COMPARISONS[comparison] if level != "null"]


def _chances(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, tuple[float, float]]:
    """Level -> chance among pairs of one person and among pairs of two; half a pair is added to each count."""
    levels = _levels(name)
    counted = con.execute(
        f"SELECT gamma_{name}, same, count(*) FROM labelled WHERE gamma_{name} >= 0 GROUP BY ALL"
    ).fetchall()
    counts = {(gamma, same): count for gamma, same, count in counted}
    total = {same: sum(count for (_, s), count in counts.items() if s is same) for same in (True, False)}

    def chance(gamma: int, same: bool) -> float:
        return round((counts.get((gamma, same), 0) + 0.5) / (total[same] + 0.5 * len(levels)), 9)

    numbers = range(len(levels) - 1, -1, -1)
    return {level: (chance(gamma, True), chance(gamma, False)) for level, gamma in zip(levels, numbers, strict=True)}


def evaluate(
    persons: int, seed: int, dirt: DirtRates = ONLY_IDENTITY, among: Sequence[Village] = ()
) -> tuple[dict[str, Tally], dict[str, float]]:
    """Tallies by group of rows, and CPU seconds by stage."""
    with duckdb.connect() as con:
        truth, model = load(con, seed, persons, dirt, among), Model.read(MODEL)
        seconds = {}
        for stage, work in (
            ("exact keys", lambda: residue.find(con)),
            ("candidates", lambda: matching.prepare(con)),
            ("scores", lambda: matching.score(con, model.splink)),
            ("decisions", lambda: matching.decide(con, model, DAY_ZERO)),
        ):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            seconds[stage] = time.process_time() - cpu
            seconds["all, by the clock"] = seconds.get("all, by the clock", 0) + time.perf_counter() - wall
        decided = con.execute(
            "SELECT r.dataset, r.row_key, r.why, r.claim, d.claim, d.word "
            "FROM residue r LEFT JOIN decision d USING (number)"
        ).fetchall()
        kept = dict(con.execute("SELECT (dataset, row_key), claim FROM told WHERE claim IS NOT NULL").fetchall())
    return _tallies(truth, {(row[0], row[1]): row[2:] for row in decided}, kept), seconds


def _tallies(truth: Truth, decided: dict[Key, tuple[Any, ...]], kept: dict[Key, str]) -> dict[str, Tally]:
    found: dict[str, Tally] = defaultdict(Tally)
    for key, true in truth.person.items():
        why, own, best, word = decided.get(key, (None, kept.get(key), None, None))
        person = best if word == "accept" else own if why in (None, STRANGER) else None
        for group in _groups(truth, key, true):
            tally = found[group]
            tally.rows += 1
            tally.findable += true in truth.registered
            tally.right += person == true and true in truth.registered
            tally.wrong += person != true and person in truth.people
            alike = truth.alike.get(group.removesuffix(WRONG), {}).get(true, ())
            tally.merged += person != true and person in alike
            tally.asked += word == "review"
    asked = [row[3] == "review" for row in decided.values()]
    nameless = [row[0] != STRANGER for row in decided.values()]
    found["residue"] = Tally(rows=len(asked), asked=sum(asked))
    found["residue, numbers of strangers left out"] = Tally(
        rows=sum(nameless), asked=sum(one for one, counts in zip(asked, nameless, strict=True) if counts)
    )
    return dict(found)


def _groups(truth: Truth, key: Key, true: str) -> Iterator[str]:
    """The groups that a row counts in. A number that is masked is wrong, not missing."""
    alike = [group for group, people in truth.alike.items() if true in people]
    yield from ("all rows", *alike)
    if key not in truth.defect:
        return
    defect = truth.defect[key]
    yield "number missing or wrong"
    yield "birth date and address there" if truth.full[key] else "birth date or address missing"
    yield defect
    yield from (group + WRONG for group in alike)
    yield from (f"{also}, number {'missing' if defect == 'missing_id' else 'wrong'}" for also in truth.also[key])


def report(tallies: dict[str, Tally]) -> Iterator[str]:
    """A line for each group, and what the review queue is of the rows it stands for."""
    for group, tally in sorted(tallies.items()):
        yield (
            f"{group:58} rows {tally.rows:8} precision {tally.precision:.5f} (wrong {tally.wrong}, of these taken for "
            f"one alike {tally.merged}) recall {tally.recall:.4f} asked {tally.asked} ({tally.asked / tally.rows:.2%})"
        )
    residue, missing = tallies["residue"], tallies["missing_id"]
    yield (
        f"review queue {residue.asked}: {residue.asked / residue.rows:.2%} of the residue ({residue.rows} rows), "
        f"{residue.asked / missing.rows:.2%} of the rows without a number ({missing.rows}), {missing.asked} about these"
    )


def main(arguments: Sequence[str]) -> None:
    """Train, or evaluate and print."""
    if list(arguments[:1]) == ["train"]:
        train()
        return
    persons = int(arguments[0]) if arguments else 60_000
    seed = int(os.environ.get("CITYLAKE_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
    dirt = OFTEN if "often" in arguments else ONLY_IDENTITY
    among = divisions.crowded(seed, persons) if "crowded" in arguments else divisions.villages()
    print(
        f"city seed {seed} (repeat with CITYLAKE_TEST_SEED), {persons} persons in {len(among)} villages, "
        f"{dirt.identity:.1%} of the rows wrong, model {Model.read(MODEL).version}"
    )
    tallies, seconds = evaluate(persons, seed, dirt, among)
    print("\n".join(report(tallies)))
    print(", ".join(f"{stage} {value:.1f} s" for stage, value in seconds.items()))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB, the city in Python included")


if __name__ == "__main__":
    main(sys.argv[1:])
