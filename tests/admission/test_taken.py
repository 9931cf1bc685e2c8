"""Files that come again: the same one is nothing new, also when it was gone, and an older one puts no table back."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.admission.position import to_batch
from pipelines.admission.receive import Delivery, receive
from pipelines.admission.taken import in_order
from pipelines.contracts.forms.sources import FullReplace
from pipelines.contracts.load import Contracts
from pipelines.register.receipts import Stage
from tests.admission.conftest import Intake
from tests.admission.test_load_modes import Told, intake, step_row
from tests.connectors.raw_lake import RawLake


class DroppedLake(RawLake):
    """A folder of CSV files of one column."""

    def __init__(self, home: Path, **more: object) -> None:
        super().__init__(home, "dsrb/division")
        self.drop = home / "drop"
        self.drop.mkdir()
        given = {"connection": "s", "files": "*.csv", "format": "csv"} | more
        connector = replace(self.contract.connector, verb="file_drop", arguments=given)
        column = replace(self.contract.columns[0], physical_name="id")
        self.contract = replace(self.contract, connector=connector, columns=[column])

    def put(self, name: str, text: str) -> None:
        (self.drop / name).write_text(f"id\n{text}\n")
        (self.drop / f"{name}.ok").touch()

    def gone(self, name: str) -> None:
        (self.drop / name).unlink()
        (self.drop / f"{name}.ok").unlink()

    def pulled(self) -> Delivery | None:
        self.unmarked: dict[str, float] = {}
        return receive(
            self.contract,
            self.contracts,
            self.lake,
            lambda _: f"file://{self.drop}",
            self.receipts,
            unmarked=self.unmarked.__setitem__,
        )

    def new(self) -> bool:
        delivery = self.pulled()
        return delivery is not None and delivery.new


@pytest.mark.parametrize("together", [False, True])
def test_a_file_that_was_gone_and_comes_again_is_nothing_new(tmp_path: Path, together: bool) -> None:
    lake = DroppedLake(tmp_path, together=together)
    lake.put("05.csv", "may")
    assert lake.new()
    lake.put("06.csv", "june")
    assert lake.new()
    lake.gone("05.csv")
    lake.put("07.csv", "july")
    assert lake.new()  # the position does not name 05 any more
    lake.put("05.csv", "may")
    told = lake.pulled()
    assert told and (told.new, told.again) == (False, ("05.csv",))
    later = lake.pulled()
    assert later and (later.new, later.again) == (False, ())  # told once
    lake.put("05.csv", "may, corrected")
    assert lake.new()


def test_a_file_that_waits_for_its_marker_is_told(tmp_path: Path) -> None:
    """Not one that was taken, whose marker may be taken away."""
    lake = DroppedLake(tmp_path)
    lake.put("05.csv", "may")
    assert lake.new() and lake.unmarked == {}
    (lake.drop / "05.csv.ok").unlink()
    (lake.drop / "06.csv").write_text("id\njune\n")
    os.utime(lake.drop / "06.csv", (time.time() - 7200,) * 2)
    assert not lake.new()
    assert list(lake.unmarked) == ["06.csv"] and 7100 < lake.unmarked["06.csv"] < 7300
    lake.put("06.csv", "june")
    lake.put("05.csv", "may, corrected")
    (lake.drop / "05.csv.ok").unlink()
    assert lake.new() and list(lake.unmarked) == ["05.csv"]


def test_going_back_behind_a_batch_reads_its_files_again(tmp_path: Path) -> None:
    lake = DroppedLake(tmp_path)
    for name in ("05.csv", "06.csv", "07.csv"):
        lake.put(name, name)
        assert lake.new()
    to_batch(lake.contract, lake.receipts, 2, "steward", "again")
    assert [lake.new() for _ in range(3)] == [True, True, False]
    lake.gone("06.csv")
    lake.put("08.csv", "08")
    assert lake.new()
    lake.put("06.csv", "06.csv")
    assert not lake.new()


def test_another_way_of_asking_knows_no_files(tmp_path: Path) -> None:
    lake = DroppedLake(tmp_path)
    lake.put("05.csv", "may")
    assert lake.new()
    given = {**lake.contract.connector.arguments, "encoding": "gbk"}
    connector = replace(lake.contract.connector, arguments=given)
    form = lake.contract.form.model_copy(update={"version": "9.9.9"})
    lake.contract = replace(lake.contract, connector=connector, form=form)
    delivery = lake.pulled()
    assert delivery and delivery.again == ()


def tell(source: Intake, name: str, value: str) -> Delivery:
    """A whole table that came as a file."""
    delivery = source.raw([step_row(Told(key, 0, value)) for key in "ab"])
    body = {"rows": 2, "columns": [], "origin": name, "asked": {}, "taken": {name: value}}
    source.receipts.add(Stage.PULL, source.contract.id, body, delivery.batch)
    return delivery


def test_an_older_file_of_a_whole_table_is_held(contracts: Contracts, tmp_path: Path) -> None:
    load = FullReplace(mode="full_replace", key=["step_no"], volumeFloor=0.5)
    source = intake(str(tmp_path), contracts, "dsrb/case_step", load)
    for name in ("t_9.csv", "t_10.csv", "t_10.csv"):
        assert source.admit(tell(source, name, "2")).held == {}
    older = tell(source, "t_8.csv", "1")
    assert source.admit(older).held == {"admit.older_file": {"newest": "t_10.csv"}}
    assert {row["case_step"] for row in source.current().values()} == {"2"}
    source.receipts.add(Stage.CONFIRM, source.contract.id, {}, older.batch)
    assert source.admit(older).held == {}
    assert {row["case_step"] for row in source.current().values()} == {"1"}
    assert list(source.admit(tell(source, "t_9.csv", "3")).held) == ["admit.older_file"]
    assert source.admit(tell(source, "t_11.csv", "3")).held == {}


def test_numbers_in_names_are_ordered_by_their_size() -> None:
    names = ["t_20250501.csv", "t_20250601.csv", "u_2.csv", "u_10.csv", "u_10a.csv"]
    assert sorted(reversed(names), key=in_order) == names
