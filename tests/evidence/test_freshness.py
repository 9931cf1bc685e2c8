"""How fresh a dataset is: by the deliveries of its sources, each in the slower of its own and the dataset's cycle."""

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.contracts.load import Contracts
from pipelines.evidence.freshness import Timeliness, of_dataset

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAILY, OTHER_DAILY, YEARLY, IRREGULAR = "amr/enterprise", "drc/penalty", "dsrb/division", "eeb/aqi_breakpoint"


def days(number: float) -> datetime:
    return NOW - timedelta(days=number)


@pytest.mark.parametrize(
    ("cycle", "delivered", "last", "late"),
    [
        ("每日", {DAILY: 1}, 1, 0),
        ("每日", {DAILY: 2.5}, 2.5, 1),
        ("每日", {DAILY: 1, OTHER_DAILY: 5}, 5, 3),  # one fresh source does not hide a late one
        ("每日", {DAILY: 1, YEARLY: 300}, 1, 0),  # a yearly list is asked for once a year
        ("每日", {DAILY: 1, YEARLY: 410}, 410, 10),
        ("每日", {DAILY: 1, IRREGULAR: 3000}, 1, 0),
        ("每月", {DAILY: 30}, 30, 0),  # a monthly dataset does not need daily data daily
        ("每月", {DAILY: 41}, 41, 1),
        ("不定期", {DAILY: 41}, 41, 0),
    ],
)
def test_the_source_that_is_due_first_counts(
    contracts: Contracts, cycle: str, delivered: dict[str, float], last: float, late: int
) -> None:
    found = of_dataset(contracts, cycle, delivered, lambda source: days(delivered[source]))
    assert (found.last, found.days_late(NOW)) == (days(last), late)
    assert (found.due is None) == (cycle == "不定期")


def test_what_never_delivered_or_has_no_contract_says_nothing(contracts: Contracts) -> None:
    known = {DAILY: days(1)}
    found = of_dataset(contracts, "每日", [DAILY, OTHER_DAILY, "gone/away"], known.get)
    assert found == Timeliness(days(1), days(-1))
    assert of_dataset(contracts, "每日", [OTHER_DAILY], known.get) == Timeliness(None, None)
    assert Timeliness(None, None).days_late(NOW) == 0
