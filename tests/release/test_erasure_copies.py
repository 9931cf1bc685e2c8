"""Backups that still hold an erased person, or may: no order is done before they are purged."""

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.erasure.copies import Copies, copies
from pipelines.lake.checksums import checksums
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.ledger import ERASURE, Entry, Ledger, Recorded
from pipelines.settings import REPOSITORY, Settings

NAME = "lake/core/psb/household_person/part-1.parquet"
ORDER = "删1号"


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A home as it is since the order; its backups are the folder `backups`."""
    settings = Settings(tmp_path / "home", REPOSITORY, 0, 0, "", backups=(tmp_path / "backups",))
    settings.prepare()
    register = Register(f"sqlite:///{settings.home / 'register.db'}")
    register.upgrade()
    register.close()
    for name, content in ((NAME, "since"), ("lake/core/psb/household_person/other.parquet", "nobody")):
        write(settings.home / name, content)
    return settings


@pytest.fixture
def backups(home: Settings) -> Path:
    """Two days: files as they were before the order."""
    for day in ("1", "2"):
        shutil.copytree(home.home / "lake", home.backups[0] / day / "lake")
        write(home.backups[0] / day / NAME, "before")
    return home.backups[0]


@pytest.fixture
def order(home: Settings, backups: Path) -> Recorded:
    return ordered(home, backups)


def ordered(home: Settings, backups: Path) -> Recorded:
    """The receipt of the order, recorded now: one file was rewritten, another one dropped."""
    old, now = checksums(backups / "1" / NAME), checksums(home.home / NAME)
    receipt = {"files": {NAME: [old, now], "lake/raw/gone.csv": [now, None]}}
    register = Register(f"sqlite:///{home.home / 'register.db'}")
    (recorded,) = Ledger(register).record([Entry(ERASURE, ORDER, "erasure-1", None, receipt)])
    register.close()
    return recorded


def write(file: Path, content: str) -> Path:
    """A file that is older than whatever comes after it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "utf-8")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    return file


def test_what_is_as_before_is_found_and_nothing_else(home: Settings, backups: Path, order: Recorded) -> None:
    assert copies(home, order).held == [backups / "1" / NAME, backups / "2" / NAME]
    for day in ("1", "2"):
        write(backups / day / NAME, "since")
    assert copies(home, order) == Copies()
    dropped = write(backups / "1" / "gone.csv", "since")
    assert copies(home, order).held == [dropped]


def test_what_an_order_deletes_without_naming_it_is_held_in_a_backup(home: Settings, backups: Path) -> None:
    """The register, which loses what it says of the person, the analysts' database, views of recipients."""
    shutil.copyfile(home.home / "register.db", backups / "1" / "register.db")
    remade = [
        write(backups / "1" / "lake/views/3f/rows.parquet", "of the person"),
        write(backups / "1" / "marts/marts-1.duckdb", "of the person"),
        backups / "1" / "register.db",
    ]
    order = ordered(home, backups)
    write(backups / "1" / NAME, "since")
    write(backups / "2" / NAME, "since")
    assert sorted(copies(home, order).held) == sorted(remade)
    shutil.copyfile(home.home / "register.db", backups / "1" / "register.db")
    for file in remade[:2]:
        os.utime(file)
    assert copies(home, order) == Copies(), "a backup since the order, with its receipt"


def test_a_file_of_before_that_the_lake_does_not_know_any_more_is_not_clean(
    home: Settings, backups: Path, order: Recorded
) -> None:
    """Merged with others between the backup and the order, or rewritten in between for another person."""
    merged = write(backups / "2" / "lake/core/psb/household_person/merged.parquet", "of the person")
    other = write(backups / "1" / "lake/core/psb/household_person/other.parquet", "rewritten since")
    assert copies(home, order).unknown == [other, merged]
    os.utime(merged)
    assert copies(home, order).unknown == [other], "a file that is newer than the order was written without the person"


def test_what_cannot_be_looked_into_is_no_clean_backup(
    home: Settings, backups: Path, order: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("household_person"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", denied)
        with pytest.raises(CitylakeError, match="Permission denied"):
            copies(home, order)
    shutil.rmtree(backups)
    with pytest.raises(CitylakeError, match="CITYLAKE_BACKUPS"):
        copies(home, order)


def test_an_order_is_done_when_no_backup_holds_the_person(
    home: Settings, backups: Path, order: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(home.home))
    monkeypatch.setenv("CITYLAKE_BACKUPS", f"{backups / '1'}:{backups / '2'}")
    word = ["--who", "专员", "--why", "核对"]

    def checked(order: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["person", "p1", "check-erased", "--order", order, *word])
        return result.exit_code, result.output

    code, output = checked(ORDER)
    assert code == 1 and "尚未办结" in output and "2 个文件" in output and str(backups / "2" / NAME) in output
    for day in ("1", "2"):
        (backups / day / NAME).unlink()
    merged = write(backups / "1" / "lake/core/psb/household_person/merged.parquet", "of the person")
    code, output = checked(ORDER)
    assert code == 1 and "无法断定" in output and str(merged) in output
    merged.unlink()
    code, output = checked(ORDER)
    assert code == 0 and "没有执行前的文件" in output
    assert checked("删2号")[0] == 1
    monkeypatch.setenv("CITYLAKE_BACKUPS", "")
    code, output = checked(ORDER)
    assert code == 1 and "没有指定备份目录" in output
