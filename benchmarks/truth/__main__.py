"""The figures of a drawn town, for people: `python -m benchmarks.truth [PERSONS]`."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.truth import credit, persons
from benchmarks.truth.counts import MODELS, counts
from benchmarks.truth.licences import in_force
from benchmarks.truth.survival import Survivors
from benchmarks.truth.town import DAYS, LivedTown

PERSONS = 4_000


def report(town: LivedTown) -> Iterator[str]:
    """Everything, line by line."""
    shares, mixed = persons.residence(town)
    for status, share in shares.items():
        yield f"{persons.STATUSES[status]:16} {share} recall {share.recall:.4f} precision {share.precision:.4f}"
    yield from (f"  truly {true}, said {said} ({why}): {count}" for (true, said, why), count in mixed.items())
    yield str(counts(town))
    yield from (f"licence {kind} {found}" for kind, found in in_force(town).items())
    town.build(*credit.MODELS)
    yield from (f"{source} {credit.fields(town, source)}" for source in credit.LIBRARY)
    yield from (f"public {source} {shown}" for source, shown in credit.public(town).items())
    yield str(credit.scores(town))
    yield from survival("person", persons.survivors(town))


def survival(name: str, found: Survivors) -> Iterator[str]:
    """A line for each column: shares, and which other order would be better."""
    for column, cells in sorted(found.cells().items()):
        better = [" > ".join(one.order) for one in found.rivals(column) if one.better]
        yield (
            f"{name}.{column:22} cells {cells.cells:6} right {cells.share:.4f} empty {cells.empty} "
            f"lost {cells.lost:.4f} {dict(cells.said)} better: {better or 'none'}"
        )


def main() -> None:
    """Draw, live, print."""
    seed = int(os.environ.get("CITYLAKE_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PERSONS
    print(f"town seed {seed} (repeat with CITYLAKE_TEST_SEED), {count} persons", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        town = LivedTown(Path(folder), count, seed)
        try:
            town.deliver()
            for days in DAYS:
                town.live(days)
                town.deliver()
            town.build(*MODELS)
            for line in report(town):
                print(line, flush=True)
        finally:
            town.close()


if __name__ == "__main__":
    main()
