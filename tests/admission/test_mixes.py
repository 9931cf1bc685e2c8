"""Mixes: days that nobody chose are no other mix, codes exchanged and defaults are, and no rare value is kept."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.admission.drift import HISTORY
from pipelines.admission.mixes import CHANGES, OFTEN, REST, STATES, Mix, folded, moved
from pipelines.admission.profile import ENOUGH
from pipelines.contracts.load import Contracts
from simulator.person import DAY_ZERO
from tests.admission.test_units import AIR, FIRMS, Detector, air, firms, found_in
from tests.city import seed_from_clock

DAYS = 30
Series = Iterator[tuple[list[float], int]]


def shares(dice: random.Random, weights: list[float]) -> list[float]:
    drawn = [dice.gammavariate(max(weight, 1e-3), 1) for weight in weights]
    return [one / sum(drawn) for one in drawn] if sum(drawn) else [1 / len(drawn)] * len(drawn)


def days(dice: random.Random, kind: str) -> Series:
    """The true shares of each day and how many values it brings."""
    parts, size = dice.choice((2, 3, 5, 8, 15)), dice.choice((60, 300, 1_000, 5_000))
    usual, weekend = shares(dice, [1.0] * parts), shares(dice, [1.0] * parts)
    wide = dice.choice((50, 300, 3_000))
    for day in range(DAYS):
        if kind == "slowly changing":
            usual = shares(dice, [3_000 * share for share in usual])
        today = shares(dice, [wide * share for share in usual]) if kind == "restless" else usual
        yield weekend if kind == "other at weekends" and day % 7 > 4 else today, int(size * dice.lognormvariate(0, 0.3))


def drawn(dice: random.Random, parts: list[float], size: int) -> Mix:
    return folded(Counter(map(str, dice.choices(range(len(parts)), parts, k=size))))


@pytest.mark.parametrize("kind", ["steady", "restless", "slowly changing", "other at weekends"])
def test_a_day_is_no_other_mix_because_of_chance_or_of_the_day_of_the_week(kind: str) -> None:
    seed = seed_from_clock()
    print(f"\nseed {seed}")
    dice, told, looked = random.Random(seed), 0, 0
    for _ in range(25):
        before: list[Mix] = []
        for parts, size in days(dice, kind):
            now = drawn(dice, parts, size)
            looked += len(before) >= CHANGES
            told += moved(now, before, ENOUGH, CHANGES) is not None
            before = [now, *before][:HISTORY]
    assert looked == 25 * (DAYS - CHANGES)
    assert told <= 1  # of 500; measured 0 of 16,800


def test_codes_exchanged_and_a_default_filled_in_are_another_mix() -> None:
    seed = seed_from_clock()
    print(f"\nseed {seed}")
    dice = random.Random(seed)
    for _ in range(20):
        parts = [0.6, 0.25, 0.1, 0.05]
        before = [drawn(dice, parts, dice.randrange(800, 1_500)) for _ in range(CHANGES)]
        exchanged = moved(drawn(dice, [0.25, 0.6, 0.1, 0.05], 1_000), before, ENOUGH, CHANGES)
        assert exchanged is not None and {name for name, _, _ in exchanged.parts[:2]} == {"0", "1"}
        default = moved(drawn(dice, [0.3, 0.125, 0.55, 0.025], 1_000), before, ENOUGH, CHANGES)
        assert default is not None and default.parts[0][0] == "2" and default.index > default.usual
        assert moved(drawn(dice, [0.25, 0.6, 0.1, 0.05], 1_000), before[1:], ENOUGH, CHANGES) is None
        assert moved(drawn(dice, [0.25, 0.6, 0.1, 0.05], ENOUGH - 1), before, ENOUGH, CHANGES) is None


def test_what_came_before_is_no_other_mix_again() -> None:
    first, second = {"1": 900, "2": 100}, {"1": 100, "2": 900}
    before = [first] * CHANGES
    assert moved(second, before, ENOUGH, CHANGES) is not None
    assert moved(second, [second, *before], ENOUGH, CHANGES) is None


def test_a_value_of_few_rows_is_kept_by_no_name() -> None:
    assert folded({"1": OFTEN + 1, "2": OFTEN, "3": 1}) == {"1": OFTEN + 1, REST: OFTEN + 1}


@pytest.fixture
def detector(contracts: Contracts, tmp_path: Path) -> Callable[[str], Detector]:
    return lambda source: Detector(contracts.sources[source], contracts, tmp_path)


def test_a_table_with_doubled_amounts_or_exchanged_codes_is_told(detector: Callable[[str], Detector]) -> None:
    seed = seed_from_clock()
    print(f"\nseed {seed}")
    dice = random.Random(seed)
    town, watch = dice.randrange(2**31), detector(FIRMS)
    for number in range(STATES + 1):
        assert found_in(watch.compare(firms(town, DAY_ZERO + timedelta(days=number)))) == []
    rows = firms(town, DAY_ZERO + timedelta(days=STATES + 1))
    doubled = [row | {"REGCAP": double(row["REGCAP"])} for row in rows]
    assert found_in(watch.compare(doubled)) == ["drift.mix:registered_capital"]
    swap = {"1100": "9500", "9500": "1100"}
    exchanged = [row | {"ENTTYPE": swap.get(row["ENTTYPE"] or "", row["ENTTYPE"])} for row in rows]
    drift = watch.compare(exchanged)
    assert found_in(drift) == ["drift.mix:entity_type"] and not drift.held
    text = drift.findings[0].both()
    assert "9500" in text and "→" in text and "{" not in text
    assert found_in(watch.compare(rows)) == []


def double(value: str | None) -> str | None:
    try:
        return None if value is None else f"{float(value) * 2:g}"
    except ValueError:
        return value


def test_days_of_air_are_no_other_mix(detector: Callable[[str], Detector]) -> None:
    seed = seed_from_clock()
    print(f"\nseed {seed}")
    dice, watch = random.Random(seed), detector(AIR)
    town, begin = dice.randrange(2**31), DAY_ZERO + timedelta(days=dice.randrange(365))
    for number in range(CHANGES + 6):  # weather: amounts of a day are compared with those of no other
        assert found_in(watch.compare(air(town, begin + timedelta(days=number)))) == []
