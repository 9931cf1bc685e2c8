"""Changes of units, in deliveries that nobody chose: each is found, whatever the day did besides, and nothing else is.

Deliveries are made by the simulator or drawn, and go to profile and comparison alone: no lake, no server.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.admission.drift import HISTORY, LEAST_POWER, Drift, _power, compare
from pipelines.admission.profile import ENOUGH, Profile, profile
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.engine import connect
from simulator import DirtRates, Fault
from simulator.air_feed import messages
from simulator.chance import Dice
from simulator.disturbances import OTHER_UNIT
from simulator.drill import schedule
from simulator.firm_registers import Desk, Entities, row_of
from simulator.firms import found
from simulator.person import DAY_ZERO
from simulator.population import households
from simulator.registers import with_mistakes
from tests.city import seed_from_clock

Rows = list[dict[str, Any]]
AIR, FIRMS = "eeb/air_station_hour", "amr/enterprise"
DAYS = 9
"""As a drill has: the first one, five without a fault, three with."""
TOWNS = 3
MEMORY = "256MB"


@dataclass
class Detector:
    """One source: what it delivers is compared with what it delivered before, and remembered if it is admitted."""

    contract: SourceContract
    contracts: Contracts
    folder: Path
    before: Profile = field(default_factory=lambda: Profile.read({}))

    def look(self, rows: Rows) -> Profile:
        path = self.folder / "rows.parquet"
        names = [column.physical_name for column in self.contract.columns]
        values = [[row.get(name) for name in names] for row in rows]
        pl.DataFrame(values, dict.fromkeys(names, pl.Utf8), orient="row").write_parquet(path)
        with connect(self.folder, MEMORY) as con:
            return profile(con, self.contract, self.contracts, path, self.folder)

    def compare(self, rows: Rows, confirmed: bool = False) -> Drift:
        """How a delivery differs from those before; it is remembered if nothing holds it."""
        drift = compare(self.contract, self.contracts.codes, self.before, self.look(rows), None, confirmed)
        if not drift.held:
            self.before = Profile.read(json.loads(json.dumps(drift.profile.stored())))  # as a receipt keeps it
        return drift


@pytest.fixture
def detector(contracts: Contracts, tmp_path: Path) -> Callable[..., Detector]:
    def make(source: str, **policies: str) -> Detector:
        contract = contracts.sources[source]
        drift = contract.form.drift.model_copy(update=policies)
        return Detector(replace(contract, form=contract.form.model_copy(update={"drift": drift})), contracts, tmp_path)

    return make


def found_in(drift: Drift) -> list[str]:
    return [finding.identity for finding in drift.findings]


def air(seed: int, day: date, faults: Sequence[Fault] = ()) -> Rows:
    """The messages of a day that can be read, as the connector leaves them."""
    rows = []
    for _, body in messages(seed, DirtRates(), day, faults):
        try:
            message = json.loads(body)
        except json.JSONDecodeError:
            continue
        rows.append({name: None if value is None else str(value) for name, value in message.items()})
    return rows


@cache
def registered(seed: int) -> list[list[str | None]]:
    """The clean rows of all firms of a town."""
    people = [person for home in households(seed, 300) for person in home]
    return [row_of(found(Dice(seed, "firm", index), index, one, DAY_ZERO)) for index, one in enumerate(people[:240])]


def firms(seed: int, day: date, faults: Sequence[Fault] = ()) -> Rows:
    """The whole register of firms on a day: three more than on the day before, all with their clerks' mistakes."""
    register, clean = Entities(Desk()), registered(seed)[: 200 + 3 * (day - DAY_ZERO).days]
    shown = with_mistakes(register, clean, DirtRates(), day, Dice(seed, "dirt"))[0].rows
    rows = [dict(zip(register.place.names, row, strict=True)) for row in shown]
    return [row | {str(one.column): scaled(row[str(one.column)], one) for one in faults} for row in rows]


def scaled(value: str | None, fault: Fault) -> str | None:
    try:
        return None if value is None else f"{float(value) * float(str(fault.value)):.10g}"
    except ValueError:
        return value


TOWN: dict[str, Callable[[int, date, Sequence[Fault]], Rows]] = {AIR: air, FIRMS: firms}


def drilled(dataset: str) -> list[Fault]:
    """The changes of units that drills commit with a dataset."""
    faults = [fault for seed in range(60) for day in schedule(seed) for fault in day if fault.kind == OTHER_UNIT]
    return list({(one.column, one.value): one for one in faults if one.dataset == dataset}.values())


@pytest.mark.long
@pytest.mark.parametrize(("source", "dataset", "kinds"), [(AIR, "luan/air/+/hour", 3), (FIRMS, "scjg.E_BASEINFO", 2)])
def test_every_unit_that_drills_change_is_found_and_no_day_without(
    detector: Callable[..., Detector], source: str, dataset: str, kinds: int
) -> None:
    seed = seed_from_clock()
    print(f"\nseed {seed}")
    dice, faults = random.Random(seed), drilled(dataset)
    assert len(faults) == kinds
    for _ in range(TOWNS):
        town, begin = dice.randrange(2**31), DAY_ZERO + timedelta(days=dice.randrange(1, 365) if source == AIR else 0)
        watch = detector(source)
        for day in (begin + timedelta(days=number) for number in range(DAYS)):
            clean = found_in(watch.compare(TOWN[source](town, day, ())))
            assert clean == [], (town, day)
            fault = dice.choice(faults)
            wrong = watch.compare(TOWN[source](town, day + timedelta(days=1), [fault]))
            column = next(one.name for one in watch.contract.columns if one.physical_name == fault.column)
            assert found_in(wrong) == [f"drift.units:{column}"] and wrong.held, (town, day, fault)


SERIES: dict[str, Callable[[random.Random], float]] = {
    "nearly nothing but zeros": lambda dice: 0.0 if dice.random() < 0.8 else dice.lognormvariate(3, 0.8),
    "skewed": lambda dice: dice.lognormvariate(2, 1.6),
    "in two heaps": lambda dice: dice.choice((3, 3_000)) * dice.lognormvariate(0, 0.3),
    "of both signs": lambda dice: dice.gauss(0, 50),
    "always the same": lambda dice: 120.0,
}


@pytest.mark.long
@pytest.mark.parametrize("kind", SERIES)
def test_amounts_however_they_lie_are_no_change_of_units_until_one(
    detector: Callable[..., Detector], kind: str
) -> None:
    seed = seed_from_clock()
    print(f"\nseed {seed}")
    dice, watch = random.Random(seed), detector(AIR)

    def delivery(factor: float = 1.0) -> Rows:
        amounts = [SERIES[kind](dice) * factor for _ in range(dice.choice((250, 400, 1_500)))]
        return [{"pm25": f"{amount:.12g}"} for amount in amounts]

    for _ in range(12):
        assert found_in(watch.compare(delivery())) == []
    factor = dice.choice((1e-4, 1e-3, 1e3, 1e4))
    assert found_in(watch.compare(delivery(factor))) == ["drift.units:pm25"]
    assert found_in(watch.compare(delivery())) == []


def test_what_a_steward_confirms_is_the_unit_from_then_on(detector: Callable[..., Detector]) -> None:
    watch = detector(AIR)
    grams, kilograms = [{"pm25": "3200"}] * 60, [{"pm25": "3.2"}] * 60
    for _ in range(6):
        watch.compare(grams)
    assert watch.compare(kilograms).held
    confirmed = watch.compare(kilograms, confirmed=True)
    assert [finding.severity for finding in confirmed.findings] == ["warning"]
    assert found_in(watch.compare(kilograms)) == []
    assert found_in(watch.compare(grams)) == ["drift.units:pm25"]


def test_a_day_of_nothing_but_zeros_is_no_unit_and_forgets_none(detector: Callable[..., Detector]) -> None:
    watch = detector(AIR)
    watch.compare([{"pm25": "40"}] * 60)
    assert found_in(watch.compare([{"pm25": "0"}] * 60)) == []
    assert found_in(watch.compare([{"pm25": "0"}] * 1_000 + [{"pm25": "0.04"}] * (ENOUGH - 1))) == []
    assert found_in(watch.compare([{"pm25": "0.04"}] * 60)) == ["drift.units:pm25"]


def test_zeros_do_not_end_a_change_of_units_that_is_open(detector: Callable[..., Detector]) -> None:
    watch = detector(AIR, units="quarantine")
    watch.compare([{"pm25": "40"}] * 60)
    assert watch.compare([{"pm25": "0.04"}] * 60).quarantined == {"pm25"}
    assert found_in(watch.compare([{"pm25": "0"}] * 60)) == ["drift.unsettled:pm25"]
    assert found_in(watch.compare([{"pm25": "0.04"}] * 60)) == ["drift.units:pm25"]
    assert found_in(watch.compare([{"pm25": "40"}] * 60)) == []


def test_so_many_levels_are_kept_and_no_more(detector: Callable[..., Detector]) -> None:
    watch = detector(AIR)
    for day in range(HISTORY + 3):
        watch.compare([{"pm25": str(40 + day)}] * 60)
    assert watch.before.looks["pm25"].levels == [float(62 - day) for day in range(HISTORY)]


DAY = st.floats(-0.2, 0.2)


@given(st.lists(DAY, min_size=1, max_size=HISTORY), DAY, st.floats(-3, 6), st.sampled_from((2, 3, 4, 6)), st.booleans())
def test_a_power_of_ten_is_named_whichever_way(
    days: list[float], today: float, level: float, power: int, up: bool
) -> None:
    levels = [10 ** (level + day) for day in days]
    moved = power if up else -power
    assert _power(levels, 10 ** (level + today), 0.05) == 0
    if power > 2:  # days that vary this much can hide a hundredfold
        assert _power(levels, 10 ** (level + today + moved), 0.05) == moved


@given(st.lists(DAY, min_size=3, max_size=HISTORY), DAY, st.sampled_from((-4, -3, 3, 4)), st.data())
def test_one_delivery_that_was_taken_in_a_wrong_unit_does_not_hold_the_right_ones(
    days: list[float], today: float, power: int, data: st.DataObject
) -> None:
    wrong = data.draw(st.integers(0, len(days) - 1))
    levels = [10 ** (day + (power if number == wrong else 0)) for number, day in enumerate(days)]
    assert _power(levels, 10**today, 0.05) == 0
    assert _power(levels, 10 ** (today + power), 0.05) == power


@given(st.floats(1, 1e6), st.floats(0.04, 30))
def test_a_smaller_move_is_none(old: float, moved: float) -> None:
    assert _power([old], old * moved, 0.0) == 0


@given(st.floats(1, 1e6), st.floats(LEAST_POWER, 6, exclude_min=True), st.floats(0.31, 2))
def test_what_is_uncertain_is_told_only_if_it_is_far_enough(old: float, moved: float, error: float) -> None:
    assert (_power([old], old * 10**moved, error) != 0) == (moved > 5 * error)
