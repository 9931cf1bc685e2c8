"""Address matching against the simulator's truth: precision and recall for every way of writing an address.

`python -m benchmarks.addresses [ADDRESSES] [SEED]`, 200,000 if not said; the seed is drawn and printed. One address in
thirty is missing in the register, and its texts are to be given none. Ways marked * leave out what tells an address
from its neighbours, or mean none; they are not in the sums. The ways of writing and the matcher have one author.
"""

import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import duckdb
import pyarrow as pa

from pipelines.geo.addresses import MATCHED, match
from simulator import divisions
from simulator.address_dirt import WAYS
from simulator.addresses import StandardAddress, taken_apart
from simulator.chance import Dice
from simulator.places import names

MISSING = 30
LEVELS = {4: "province", 6: "county", 9: "town", 12: "village"}


@dataclass(frozen=True)
class Told:
    """How texts of one way were answered. `known`: how many mean an address that the register has."""

    way: str
    resolvable: bool
    texts: int
    known: int
    answered: int
    right: int

    @property
    def precision(self) -> float:
        """Right answers among those given."""
        return self.right / self.answered if self.answered else 1.0

    @property
    def recall(self) -> float:
        """Right answers among the texts whose address is in the register."""
        return self.right / self.known if self.known else 1.0


def written(count: int, seed: int) -> Iterator[StandardAddress]:
    """So many different addresses, where people live."""
    dice, seen = Dice(seed, "addresses"), set()
    while len(seen) < count:
        village = divisions.random_village(dice)
        text = divisions.address(dice, village)
        if text not in seen:
            seen.add(text)
            found = taken_apart(text, village.code)
            assert found is not None
            yield found


def division_list() -> list[tuple[str, str, str]]:
    """Code, name and level of all divisions, from the simulator's copy."""
    return [(code, name, "city" if code == "341500" else LEVELS[len(code)]) for code, name in names().items()]


def measure(con: duckdb.DuckDBPyConnection, count: int, seed: int, hinted: bool) -> list[Told]:
    """Write each address in every way that suits it and match them all."""
    dice = Dice(seed, "ways")
    everything = list(written(count, seed))
    register, texts, ways, truth, hints = [], [], [], [], []
    for number, one in enumerate(everything):
        if number % MISSING:
            register.append((f"A{number}", one.division, one.street, one.gate, one.building, "", one.room))
        way = WAYS[number % len(WAYS)]
        text = way.write(one, dice)
        if text is not None:
            texts.append(text)
            ways.append(way.name)
            truth.append(f"A{number}" if number % MISSING and way.name != "no_such_number" else None)
            hints.append(one.division if hinted else None)
    names_ = ("address_id", "division_code", "street", "gate", "building", "unit", "room")
    standard = pa.table(dict(zip(names_, map(list, zip(*register, strict=True)), strict=True)))
    said = pa.table({"text": texts, "way": ways, "truth": pa.array(truth, pa.string()),
                     "hint": pa.array(hints, pa.string())})  # fmt: skip
    con.register("standard", standard)
    con.register("said", said)
    match(con, "SELECT text, hint FROM said", "FROM standard", division_list())
    rows = con.execute(f"""
        SELECT way, count(*), count(truth), count(address_id), count(*) FILTER (address_id = truth)
        FROM said s JOIN {MATCHED} m ON m.text = s.text AND m.hint IS NOT DISTINCT FROM s.hint GROUP BY way
    """).fetchall()
    found = {row[0]: row[1:] for row in rows}
    return [Told(way.name, way.resolvable, *found[way.name]) for way in WAYS if way.name in found]


def main(count: int, seed: int) -> None:
    """Print what was measured."""
    print(f"seed {seed}, {count:,} addresses, {len(WAYS)} ways of writing")
    for hinted in (False, True):
        with duckdb.connect() as con:
            started = resource.getrusage(resource.RUSAGE_SELF)
            before = started.ru_utime + started.ru_stime, time.monotonic()
            told = measure(con, count, seed, hinted)
            ended = resource.getrusage(resource.RUSAGE_SELF)
        print(f"\n{'with' if hinted else 'without'} the division the row is registered under, "
              f"CPU {ended.ru_utime + ended.ru_stime - before[0]:.1f} s with making the texts, "
              f"wall {time.monotonic() - before[1]:.1f} s, peak {ended.ru_maxrss / 1024:.0f} MB")  # fmt: skip
        print("| way | texts | in register | answered | precision | recall |\n|---|---|---|---|---|---|")
        for one in told:
            mark = "" if one.resolvable else " *"
            print(f"| {one.way}{mark} | {one.texts} | {one.known} | {one.answered} "
                  f"| {one.precision:.4f} | {one.recall:.4f} |")  # fmt: skip
        known, answered, right = (
            list(accumulate(getattr(one, name) for one in told if one.resolvable))[-1]
            for name in ("known", "answered", "right")
        )
        print(f"| all but * | | {known} | {answered} | {right / answered:.5f} | {right / known:.4f} |")


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(arguments[0] if arguments else 200_000, arguments[1] if len(arguments) > 1 else int.from_bytes(os.urandom(4)))
