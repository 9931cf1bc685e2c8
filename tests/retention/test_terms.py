"""Terms that changed: by a hand, or by a clock."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from pipelines.contracts.load import Contracts
from pipelines.retention import terms

SOURCE = "hsb/settlement"
BEFORE = ("10y", "append", "2016-11-26")


@pytest.mark.parametrize(
    ("now", "differ"),
    [
        (BEFORE, False),
        (("10y", "append", "2016-12-27"), False),
        (("10y", "append", "2016-12-28"), True),  # more than a month at once: a clock
        (("10y", "append", "2015-01-01"), False),  # a clock set back ends nothing
        (("10m", "append", "2016-11-26"), True),
        (("10y", "snapshot_diff", "2016-11-26"), True),
        (("永久", "append", None), True),
    ],
)
def test_what_is_another_term(now: terms.Terms, differ: bool) -> None:
    assert terms.changed({SOURCE: now}, {SOURCE: BEFORE}) == ({SOURCE} if differ else set())


def test_a_dataset_without_terms_before_has_not_changed() -> None:
    assert terms.changed({SOURCE: BEFORE}, {}) == terms.changed({}, {SOURCE: BEFORE}) == set()


def test_terms_of_the_real_contracts_move_on_by_days(contracts: Contracts) -> None:
    days = [terms.of(contracts, date(2026, 1, 1) + timedelta(day)) for day in range(0, 400, 20)]
    assert {*days[0]} == {*contracts.sources, *contracts.models}
    for before, now in pairwise(days):
        assert terms.changed(now, before) == set()
