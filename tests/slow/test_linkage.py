"""Linking against the truth on a city nobody chose: precision, recall by kind of defect, questions asked."""

import pytest

from benchmarks.linkage import evaluate
from tests.city import seed_from_clock

pytestmark = pytest.mark.slow


def test_rows_are_linked_as_well_as_promised() -> None:
    seed = seed_from_clock()
    print(f"\ncity seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    found, _ = evaluate(60_000, seed)
    for group, tally in found.items():
        print(
            f"{group}: precision {tally.precision:.5f}, recall {tally.recall:.4f}, asked {tally.asked} of {tally.rows}"
        )
    everybody, wanting = found["all rows"], found["number missing or wrong"]
    assert everybody.precision >= 0.9995 and everybody.recall >= 0.99
    assert found["birth date and address there"].recall >= 0.97
    assert wanting.recall >= 0.90
    assert wanting.precision >= 0.995
    assert found["residue"].asked <= 0.005 * found["residue"].rows
