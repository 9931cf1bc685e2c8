"""The figures of a drawn town, for people: `python -m benchmarks.truth [PERSONS]`."""

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from benchmarks.truth import counts
from benchmarks.truth.persons import survivors
from benchmarks.truth.survival import Survivors
from benchmarks.truth.town import DAYS, LivedTown
from citylake.compared import accepted
from citylake.compared.libraries import credit, entities, licences, macro, owners, persons
from citylake.compared.libraries.answers import Answers

PERSONS = 4_000
_ASKED = (accepted, counts, entities, owners, licences, credit, macro)
MODELS = tuple(dict.fromkeys(model for library in _ASKED for model in library.MODELS))
"""All that is measured."""


def report(town: LivedTown) -> Iterator[str]:
    """Everything, line by line."""
    shares, mixed = persons.residence(town)
    for status, share in shares.items():
        yield f"{persons.STATUSES[status]:16} {share} recall {share.recall:.4f} precision {share.precision:.4f}"
    yield from (f"  truly {true}, said {said} ({why}): {count}" for (true, said, why), count in mixed.items())
    yield str(counts.counts(town))
    yield from (f"{name:34} {found}" for name, found in asked(town))
    yield from (f"{source} {credit.fields(town, source)}" for source in credit.LIBRARY)
    yield str(credit.scores(town))
    yield from survival("person", survivors(town))


def asked(town: LivedTown) -> Iterator[tuple[str, Answers]]:
    """Every question about entities, licences, credit and the macro-economy."""
    known = entities.Entities(town)
    for question in ("known", "standing", "in_business", "heads"):
        yield from ((f"{question} {kind}", one) for kind, one in getattr(known, question)().items())
    yield from ((question, getattr(known, question)()) for question in ("branches", "altered", "former_names"))
    owned = owners.Owners(town, known)
    yield from (("holdings", owned.holdings()), ("ends", owned.ends()))
    yield from ((f"control {state}", one) for state, one in owned.control().items())
    held = licences.Licences(town)
    yield from ((f"licence {kind}", one) for kind, one in held.in_force().items())
    yield from ((f"licence {event}", one) for event, one in held.events().items())
    yield from (("several of one type", held.several()), ("expiring", held.expiring()))
    yield "verified today", held.verified(held.log, town.today)
    yield from ((f"public {source}", one) for source, one in credit.public(town, town.today).items())
    yield "known yesterday", macro.known_on(town, town.today - timedelta(days=1))


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
