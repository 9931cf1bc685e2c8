"""A register that is delivered whole each day: refused rows go out as a workbook, come back, and stay corrected."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from python_calamine import CalamineWorkbook

from pipelines.admission import granted
from pipelines.contracts.load import load
from pipelines.held import decide_batch
from pipelines.issues import Issues
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Stage
from pipelines.run import Run, opened
from pipelines.settings import Settings
from tests.commands.test_quarantine import (
    REASON,
    SOURCE,
    WORD,
    Home,
    book,
    call,
    export,
    home,
    person,
    project,
    take_back,
)

__all__ = ["home", "project"]

DAILY = [person(f"F{number}") for number in range(60)]
NO_KEY, TOO_MANY = person("", XM="李四光"), person("F1", XM="王五一")
WRONG = person("F70", GMSFHM="341502200501010018")
DIRTY = [NO_KEY, TOO_MANY, WRONG]
RULES = {"record_no.required", "key.duplicate", "id_number.gb11643_check_digit"}


@pytest.fixture
def register(home: Home) -> Iterator[Home]:
    """The source as a register of which at most one row in fifty may be gone from one day to the next."""
    contract = home.settings.contracts / "sources" / f"{SOURCE}.yaml"
    lines = contract.read_text("utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("load:"))
    lines[place] = "load: {mode: snapshot_diff, key: [record_no], deletionCeiling: 0.02, volumeFloor: 0.9}"
    contract.write_text("\n".join(lines) + "\n", "utf-8")
    yield home


def right(row: dict[str, Any]) -> dict[str, str]:
    if not row["DJBH"]:
        return {"DJBH": "F71"}
    return {"DJBH": "F72"} if row["DJBH"] == "F1" else {"GMSFHM": "341502200501010019"}


def returned(home: Home, folder: Path) -> Path:
    """The exported rows as the department sends them back."""
    rows = export(folder / "out.xlsx")
    return book(folder / "back.xlsx", [row | right(row) for row in rows])


def rules(home: Home) -> set[str]:
    return {row["code"].removeprefix("admit.refused:") for row in home.issues()}


@pytest.mark.long
def test_a_register_is_corrected_and_stays_so(register: Home, tmp_path: Path) -> None:
    register.deliver(*DAILY, *DIRTY)
    assert rules(register) == RULES
    rows = export(tmp_path / "out.xlsx")
    assert [name in row[REASON] for name, row in zip(["DJBH", "DJBH", "GMSFHM"], rows, strict=True)] == [True] * 3
    notice = CalamineWorkbook.from_path(str(tmp_path / "out.xlsx")).get_sheet_by_index(0).to_python()
    assert any("整表交付" in text and "业务系统" in text for (text,) in notice)
    result = take_back(book(tmp_path / "back.xlsx", [row | right(row) for row in rows]))
    assert result.exit_code == 0, result.output
    (pull,) = (one for one in register.receipts(Stage.PULL) if one.body["origin"].startswith("returned:"))
    assert pull.batch == 2 and len(pull.body["returned"]["answers"]) == 3
    assert register.issues() == [] and call("list").output == ""
    closed = register.asked(lambda one: Issues(one).proved(SOURCE))
    assert [row["text"]["proof"] for row in closed] == [{"batches": [2]}] * 3
    assert {"F70", "F71", "F72"} <= set(register.current())

    outcome = register.deliver(*DAILY, *DIRTY, person("F61"))  # the next day, the dirty rows as they were
    assert (outcome.status, outcome.admitted.inserted, outcome.admitted.deleted) == ("admitted", 1, 0)
    core = register.current()
    assert (core["F70"]["id_number"], core["F71"]["name"], core["F72"]["name"]) == (
        "341502200501010019", "李四光", "王五一",
    )  # fmt: skip
    assert core["F1"]["name"] == "张三丰" and register.issues() == [] and call("list").output == ""

    # the department corrects its system: one row under its right key, one as it was returned, one dropped
    outcome = register.deliver(*DAILY, person("F71", 2, XM="李四光"), person("F70", 2), person("F61"))
    assert (outcome.admitted.updated, outcome.admitted.deleted, outcome.message) == (2, 1, "")
    assert "F72" not in register.current() and register.issues() == []


def test_a_cell_of_a_corrected_register_is_explained_to_the_returned_batch(register: Home, tmp_path: Path) -> None:
    register.deliver(*DAILY, *DIRTY)
    assert take_back(returned(register, tmp_path)).exit_code == 0
    register.deliver(*DAILY, *DIRTY, person("F61"))
    origin, raw = register.explained("2:2", "id_number")
    assert origin.startswith("returned:returned.xlsx#") and raw == "341502200501010019"


def test_rows_taken_back_and_killed_are_admitted_before_the_next_table(
    register: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register.deliver(*DAILY, *DIRTY)
    file = returned(register, tmp_path)

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Run, "_admit", kill)
        register.run(lambda run: run.take_back(SOURCE, file, "专员", "核对"))
    assert rules(register) == RULES
    outcome = register.deliver(*DAILY, *DIRTY, person("F61"))
    assert (outcome.admitted.batch, outcome.admitted.deleted) == (3, 0)
    assert register.issues() == [] and {"F70", "F71", "F72"} <= set(register.current())


def step_killed(settings: Settings, place: str, step: str, *about: Any) -> None:
    """A step of a run that the kernel ends where it first calls `place`."""
    with opened(settings, "killed") as run, patch(place, lambda *_: os.kill(os.getpid(), signal.SIGKILL)):
        getattr(run, step)(SOURCE, *about)


def killed(home: Home, place: str, step: str, *about: Any) -> None:
    arguments = (home.settings, place, step, *about)
    process = multiprocessing.get_context("spawn").Process(target=step_killed, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.long
def test_a_table_that_a_killed_run_took_in_is_recorded_before_the_next_one(register: Home, tmp_path: Path) -> None:
    """What it ended would stand otherwise: a wrong row that comes again would be kept back in silence."""
    register.deliver(*DAILY, *DIRTY)
    assert take_back(returned(register, tmp_path)).exit_code == 0
    register.put(*DAILY, NO_KEY, TOO_MANY)
    killed(register, "pipelines.admission.admit.Batch._keep_hashes", "ingest")
    assert "F70" not in register.current() and [one.batch for one in register.receipts(Stage.ADMIT)] == [2, 1]
    with pytest.raises(CitylakeError, match="in core already"):
        decide_batch(register.settings, SOURCE, 3, Stage.REJECT, "专员", "不全")
    outcome = register.deliver(*DAILY, *DIRTY)
    assert (outcome.status, outcome.admitted.batch) == ("admitted", 4)
    assert [one.batch for one in register.receipts(Stage.ADMIT)] == [4, 3, 2, 1]
    assert rules(register) == {"id_number.gb11643_check_digit"} and {"F71", "F72"} <= set(register.current())


@pytest.mark.long
@pytest.mark.parametrize("place", ["register.receipts.Receipts.add", "admission.granted.write", "run.Run._asked"])
def test_a_correction_that_counts_says_who_asked_for_it(home: Home, place: str) -> None:
    """Else it would be applied, and nobody be told who had received what was wrong."""
    home.deliver(person("F1"))
    about = {"who": "专员", "why": "核对", "since": "2026-11-28"}
    asked = granted.Asked("r1", "name", {"record_no": "F1"}, "F1", "张三丰", "李四光", True, **about)
    killed(home, f"pipelines.{place}", "ask", asked, "1:0")
    known = {receipt.body["id"] for receipt in home.receipts(Stage.CORRECTION)}
    contract = load(home.settings.contracts).sources[SOURCE]
    assert {one.id for one in granted.read(home.settings.lake, contract)} <= known


def test_nothing_is_taken_back_while_the_newest_table_is_held(register: Home, tmp_path: Path) -> None:
    register.deliver(*DAILY, *DIRTY)
    file = returned(register, tmp_path)
    assert register.deliver(*DAILY[:5], *DIRTY).status == "held"
    result = take_back(file)
    assert result.exit_code == 1 and "第 2 批尚未入库" in result.output and "citylake reject" in result.output
    decide_batch(register.settings, SOURCE, 2, Stage.REJECT, "专员", "不全")
    assert take_back(file).exit_code == 0
    assert register.issues() == [] and {"F70", "F71", "F72"} <= set(register.current())
    held = register.deliver(*DAILY[:40], *DIRTY)  # three rows came back last, but the table had 63
    assert held.status == "held" and "本次只送来 43 行，上次 63 行" in held.message


def test_a_batch_that_a_later_table_has_overtaken_cannot_be_confirmed(register: Home) -> None:
    """Core would take its rows for newer than they are."""
    register.deliver(*DAILY)
    register.deliver(*DAILY[:5])
    register.deliver(*DAILY, person("F61"))
    with pytest.raises(CitylakeError, match=SOURCE):
        decide_batch(register.settings, SOURCE, 2, Stage.CONFIRM, WORD[1], WORD[3])


def test_the_table_as_it_was_is_looked_at_once_more_after_a_return(register: Home, tmp_path: Path) -> None:
    register.deliver(*DAILY, *DIRTY)
    assert take_back(returned(register, tmp_path)).exit_code == 0
    before = register.current()
    outcome = register.deliver(*DAILY, *DIRTY)
    changed = outcome.admitted.inserted + outcome.admitted.updated + outcome.admitted.deleted
    assert (outcome.status, changed, register.current()) == ("admitted", 0, before)
    assert register.deliver(*DAILY, *DIRTY).status == "unchanged" and register.issues() == []
