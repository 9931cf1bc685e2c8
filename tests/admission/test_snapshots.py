"""A snapshot against core: applying the difference gives the delivery, whichever way core was looked at."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts.forms.sources import FullReplace, SnapshotDiff, WholeTable
from pipelines.contracts.load import Contracts
from pipelines.lake.zones import Lake
from tests.admission.conftest import BOUNDARIES, Intake
from tests.admission.test_load_modes import FATES, batches_of, deliver, lakes

DAY = "2026-01-01 00:00:{:02}"
KEYS, PLACES, VALUES = (
    st.sampled_from([*ascii_lowercase, None]),
    st.integers(0, 20),
    st.sampled_from(["1", "2", "3", "bad"]),
)
ROW = st.tuples(KEYS, PLACES, VALUES)
SNAPSHOTS = batches_of(ROW)
"""Keys may come twice, with the same or another content, be good in one row and bad in the next, and be missing."""


def row(key: str | None, place: int, value: str) -> dict[str, str]:
    """A step of a service case; the code list refuses `bad`."""
    return {"HJBH": key or "", "BJBH": "C1", "HJMC": value, "KSSJ": "2025-12-01 09:00:00", "GXSJ": DAY.format(place)}


LAX = {"key": ["step_no"], "newest": "source_updated_at", "volumeFloor": 0.001}
"""A whole table of which anything may be missing."""
DIFF = SnapshotDiff(mode="snapshot_diff", deletionCeiling=1.0, **LAX)
REPLACE = FullReplace(mode="full_replace", **LAX)


def snapshots(folder: Path, contracts: Contracts, load: WholeTable = DIFF) -> Intake:
    """The steps as a whole table."""
    contract = contracts.sources["dsrb/case_step"]
    return Intake(folder, contracts, replace(contract, form=contract.form.model_copy(update={"load": load})))


def state(source: Intake) -> dict[str, tuple[str, int]]:
    return {key: (row["case_step"], row["source_updated_at"].second) for (key,), row in source.current().items()}


def after(
    known: Mapping[str, tuple[str, int]], delivered: Sequence[tuple[str | None, int, str]]
) -> dict[str, list[tuple[str, int]]]:
    """What each key may be afterwards: the newest of its rows if that is good, else what it was. Ties are open."""
    found: dict[str, list[tuple[str, int]]] = {}
    for key in {key for key, *_ in delivered if key}:
        mine = [(value, place) for other, place, value in delivered if other == key]
        newest = [(value, place) for value, place in mine if place == max(place for _, place in mine)]
        allowed = [told for told in newest if told[0] != "bad"]
        if len(allowed) < len(newest):
            allowed += [known[key]] if key in known else [("", -1)]
        found[key] = allowed
    return found


@pytest.mark.long
@pytest.mark.parametrize("load", [DIFF, REPLACE], ids=["diff", "replace"])
@lakes
@given(deliveries=SNAPSHOTS, forgotten=st.sets(st.integers(0, 5)), fates=FATES)
def test_applying_the_difference_gives_the_delivery(
    contracts: Contracts,
    load: WholeTable,
    deliveries: list[list[tuple[str | None, int, str]]],
    forgotten: set[int],
    fates: list[Any],
) -> None:
    """Now and then the hashes kept beside core are lost, or the process is killed; nobody may see that."""
    with tempfile.TemporaryDirectory() as folder:
        source, known = snapshots(Path(folder), contracts, load), dict[str, tuple[str, int]]()
        for number, (delivered, fate) in enumerate(zip(deliveries, fates, strict=False)):
            if number in forgotten:
                shutil.rmtree(source.lake.root / "hashes")
                source.lake.prepare()
            outcome = deliver(source, [row(*told) for told in delivered], fate)
            assert outcome.received == outcome.accepted + outcome.refused == len(delivered)
            if outcome.core_version is None:
                continue
            source.remember()
            found, allowed = state(source), after(known, delivered)
            assert all(told in allowed[key] for key, told in found.items())
            assert all(key in found or ("", -1) in told for key, told in allowed.items())
            changed = outcome.inserted + outcome.updated + outcome.deleted
            differ = {key for key in {*known, *found} if known.get(key) != found.get(key)}
            assert changed == len(differ), "nothing is written that did not change"
            known = found
        source.check_written_once()
        source.check_as_of()


@pytest.mark.parametrize("load", [DIFF, REPLACE], ids=["diff", "replace"])
def test_kills_are_drawn_at_every_boundary(contracts: Contracts, tmp_path: Path, load: WholeTable) -> None:
    source = snapshots(tmp_path, contracts, load)
    source.deliver([row(key, 1, "1") for key in "abc"])
    source.deliver_killed([row("a", 2, "2"), row("b", 1, "1"), row("d", 1, "bad")], BOUNDARIES)
    assert source.boundaries == BOUNDARIES


@pytest.fixture
def source(tmp_path: Path, contracts: Contracts) -> Intake:
    source = snapshots(tmp_path, contracts)
    source.deliver([row(key, 1, "1") for key in "abc"])
    return source


def kept(source: Intake) -> list[Path]:
    return list(source.lake.hashes(source.contract.org, source.contract.dataset).iterdir())


def test_hashes_of_the_newest_version_are_kept_and_no_others(source: Intake) -> None:
    first = kept(source)
    source.deliver([row("a", 2, "2")])
    second = kept(source)
    assert len(first) == len(second) == 1 and first != second
    source.deliver([row("a", 2, "2")])
    assert kept(source) == second, "a delivery that changes nothing leaves them as they are"


def test_hashes_of_another_version_are_not_believed(source: Intake) -> None:
    """They would say that everything is as it was."""
    (old,) = kept(source)
    copy = old.with_name("copy")
    shutil.copyfile(old, copy)
    source.deliver([row(key, 2, "2") for key in "abc"])
    (new,) = (file for file in kept(source) if file != copy)
    new.unlink()
    copy.rename(old)
    outcome = source.deliver([row(key, 1, "1") for key in "abc"])
    assert outcome.updated == 3


def test_a_column_that_is_new_in_the_contract_changes_the_rows_that_have_it(source: Intake) -> None:
    complete = source.contract
    source.contract = replace(
        complete,
        columns=tuple(column for column in complete.columns if column.name != "ended_at"),
        rules=tuple(rule for rule in complete.rules if "ended_at" not in rule.columns),
        hash="before",
    )
    source.lake = Lake(source.lake.root.parent / "another")
    source.lake.prepare()
    source.deliver([row("a", 1, "1"), row("b", 1, "1")])
    source.contract = replace(complete, hash="after")
    outcome = source.deliver([{**row("a", 1, "1"), "JSSJ": "2025-12-02 09:00:00"}, row("b", 1, "1")])
    assert (outcome.updated, outcome.inserted, outcome.deleted) == (1, 0, 0)
    assert {key: row["ended_at"] is None for (key,), row in source.current().items()} == {"a": False, "b": True}
