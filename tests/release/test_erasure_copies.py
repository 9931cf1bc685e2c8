"""Backups that still hold an erased person: found by name and content, and no order is done before they are purged."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.erasure.copies import still_held
from pipelines.lake.checksums import checksums
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.ledger import ERASURE, Entry, Ledger
from pipelines.settings import REPOSITORY, Settings

NAME = "lake/core/psb/household_person/part-1.parquet"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of three days: the file before the order twice, and once as it is since."""
    for day, content in (("1", "before"), ("2", "before"), ("3", "since")):
        file = tmp_path / "backups" / day / NAME
        file.parent.mkdir(parents=True)
        file.write_text(content, "utf-8")
        (file.parent / "other.parquet").write_text("before", "utf-8")
    return tmp_path / "backups"


@pytest.fixture
def receipt(backup: Path) -> dict[str, Any]:
    old, now = (checksums(backup / day / NAME) for day in ("1", "3"))
    return {"files": {NAME: [old, now], "lake/raw/gone.csv": [checksums(backup / "3" / NAME), None]}}


def test_what_is_as_before_is_found_and_nothing_else(backup: Path, receipt: dict[str, Any]) -> None:
    assert still_held([backup], receipt) == [backup / "1" / NAME, backup / "2" / NAME]
    assert still_held([backup / "3"], receipt) == [] == still_held([], receipt)
    (backup / "3" / "gone.csv").write_text("since", "utf-8")
    assert still_held([backup / "3"], receipt) == [backup / "3" / "gone.csv"]


def test_a_folder_that_is_not_there_is_no_clean_one(backup: Path, receipt: dict[str, Any]) -> None:
    with pytest.raises(CitylakeError, match="CITYLAKE_BACKUPS"):
        still_held([backup / "4"], receipt)


def test_an_order_is_done_when_no_backup_holds_the_person(
    backup: Path, receipt: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    Settings(home, REPOSITORY, 0, 0, "").prepare()
    register = Register(f"sqlite:///{home / 'register.db'}")
    register.upgrade()
    Ledger(register).record([Entry(ERASURE, "删1号", "erasure-1", None, receipt)])
    register.close()
    monkeypatch.setenv("CITYLAKE_HOME", str(home))
    monkeypatch.setenv("CITYLAKE_BACKUPS", f"{backup / '1'}:{backup / '2'}")
    word = ["--who", "专员", "--why", "核对"]

    def checked(order: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["person", "p1", "check-erased", "--order", order, *word])
        return result.exit_code, result.output

    code, output = checked("删1号")
    assert code == 1 and "尚未办结" in output and "2 个文件" in output and str(backup / "2" / NAME) in output
    for day in ("1", "2"):
        (backup / day / NAME).unlink()
    code, output = checked("删1号")
    assert code == 0 and "没有执行前的文件" in output
    assert checked("删2号")[0] == 1
