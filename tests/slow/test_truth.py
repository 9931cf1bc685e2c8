"""The base libraries against the truth of a town that nobody chose, after two weeks of deaths, moves and late notices.

Floors allow for what chance makes of so few people (three deviations); what is measured is in docs/libraries.md.
"""

import math
from collections.abc import Iterator

import pytest

from benchmarks.truth import credit, persons
from benchmarks.truth.__main__ import PERSONS
from benchmarks.truth.counts import MODELS, counts
from benchmarks.truth.licences import in_force
from benchmarks.truth.survival import Rival, Survivors
from benchmarks.truth.town import DAYS, LivedTown
from simulator.standing import AT_HOME, AWAY, CAME_IN, DEAD, GONE
from tests.city import seed_from_clock

pytestmark = [pytest.mark.slow, pytest.mark.server]

MISSED = {AT_HOME: 0.003, AWAY: 0.08, CAME_IN: 0.02, GONE: 0.02, DEAD: 0.03}
"""Of those in the library who truly have a residence status, the share that may be said to have another."""
WRONG = {AT_HOME: 0.003, AWAY: 0.05, CAME_IN: 0.02, GONE: 0.02, DEAD: 0.02}
"""Of those said to have it, the share that may not have it."""
UNSAID = ("moved_out_on", "move_out_kind", "death_kind", "cancelled_on")
"""What only the household register says, for five days: of who was dropped unread nobody knows it."""


def within(count: int, share: float, whole: int) -> bool:
    """Whether a count is no more than a share of the whole, but for chance."""
    allowed = share * whole
    return count <= allowed + 3 * math.sqrt(allowed)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivedTown]:
    seed = seed_from_clock()
    print(f"\ntown seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    town = LivedTown(tmp_path_factory.mktemp("lived"), PERSONS, seed)
    town.deliver()
    for days in DAYS:
        town.live(days)
        town.deliver()
    town.build(*MODELS)
    yield town
    town.close()


@pytest.fixture(scope="module")
def people(town: LivedTown) -> Survivors:
    return persons.survivors(town)


def test_everybody_has_the_residence_status_that_they_truly_have(town: LivedTown) -> None:
    shares, mixed = persons.residence(town)
    print(shares, dict(mixed))
    for status, share in shares.items():
        assert share.true > 5 and share.said > 5, status
        assert within(share.true - share.unknown - share.right, MISSED[status], share.true), (status, mixed)
        assert within(share.said - share.right, WRONG[status], share.said), (status, mixed)


def test_counts_by_town_and_status_are_those_that_the_city_would_publish(town: LivedTown) -> None:
    """Too few are those whose rows were refused. At least half of the towns have a report that nobody spoilt, and what
    it says is the truth."""
    found = counts(town)
    print(found)
    assert within(found.few, 0.035, found.true) and within(found.many, 0.003, found.true)
    assert found.reported > found.towns / 2 and found.apart == ()


def test_a_golden_cell_of_a_person_is_right_or_nobody_said_it(people: Survivors) -> None:
    for name, cells in people.cells().items():
        print(name, cells)
        assert within(cells.cells - cells.right - (cells.empty if name in UNSAID else 0), 0.005, cells.cells), name
        assert within(cells.said.total(), 0.003, cells.cells), name


def test_what_a_source_had_right_and_was_not_believed_is_told_as_a_conflict(people: Survivors) -> None:
    for name in ("name", "mobile", "marital_status"):
        cells = people.cells()[name]
        assert cells.told == cells.said.total(), name


def test_no_other_order_of_departments_is_measurably_better(people: Survivors) -> None:
    rivals: list[tuple[str, Rival]] = [(name, rival) for name in people.columns for rival in people.rivals(name)]
    assert [one for one in rivals if one[1].better] == []
    assert any(rival.worse for _, rival in rivals), "the town cannot tell one order from another"


def test_the_licences_in_force_are_those_that_truly_are(town: LivedTown) -> None:
    for kind, found in in_force(town).items():
        print(kind, found)
        if found.true < 20:
            continue
        assert found.twice <= found.said - found.right, kind
        assert within(found.said - found.right, 0.01, found.said), kind
        assert within(found.true - found.right, 0.05, found.true), kind


def test_credit_is_what_its_offices_decided(town: LivedTown) -> None:
    """Field by field; the public sees nothing that is over or repaired, and every score is that of another formula. A
    changed row that was refused leaves what stood before."""
    town.build(*credit.MODELS)
    for source in credit.LIBRARY:
        found = credit.fields(town, source)
        print(source, found)
        assert found.cells > 300 and within(sum(found.wrong.values()), 0.001, found.cells), source
    for source, shown in credit.public(town).items():
        print(source, shown)
        assert shown.shown > 5 and within(len(shown.wrongly), 0.02, shown.shown), source
    scores = credit.scores(town)
    print(scores)
    assert scores.scored > 50 and within(scores.scored - scores.exact, 0.005, scores.scored)
