"""Backups that still hold an erased person, or may: no order is done before they are purged."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.contracts.load import Contracts
from pipelines.engine import connect
from pipelines.erasure import copies as module
from pipelines.erasure.copies import Copies
from pipelines.erasure.order import Erasure, Order
from pipelines.lake import delta
from pipelines.lake.checksums import checksums
from pipelines.lake.columns import query_schema
from pipelines.lake.parquet import copy_rows
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import ERASURE, RELEASE, Entry, Ledger, Recorded
from pipelines.settings import REPOSITORY, Settings
from tests.catalog.small_city import GUARD, appoint

NAME = "lake/core/psb/household_person/part-1.parquet"
ORDER = "删1号"


@pytest.fixture
def home(tmp_path: Path, contracts: Contracts) -> Settings:
    """A home as it is since the order; its backups are the folder `backups`."""
    settings = Settings(tmp_path / "home", REPOSITORY, 0, 0, "", backups=(tmp_path / "backups",))
    settings.prepare()
    register = Register(f"sqlite:///{settings.home / 'register.db'}")
    register.upgrade()
    appoint(register, contracts)
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


def copies(home: Settings, order: Recorded) -> Copies:
    """What the command is told."""
    register = Register(f"sqlite:///{home.home / 'register.db'}")
    found = module.copies(home, register, order)
    register.close()
    return found


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
    """Merged with others between the backup and the order, or rewritten in between for another person; a copy that was
    made without times looks as if it were new."""
    merged = write(backups / "2" / "lake/core/psb/household_person/merged.parquet", "of the person")
    other = write(backups / "1" / "lake/core/psb/household_person/other.parquet", "rewritten since")
    assert copies(home, order).unknown == [other, merged]
    for file in (merged, other):
        os.utime(file)
    assert copies(home, order).unknown == [other, merged]


def test_what_the_lake_wrote_since_is_clean_in_a_backup(home: Settings, backups: Path) -> None:
    """By its log, the receipts of deliveries and editions, and the ledger; whatever became of the files in the lake."""
    register = Register(f"sqlite:///{home.home / 'register.db'}")
    receipts, ledger = Receipts(register, "test"), Ledger(register)

    def happens(number: int) -> list[str]:
        """Something is received, built, released and written; the files by which a backup would have it."""
        receipts.add(Stage.PULL, "psb/household_person", {}, number)
        receipts.add(Stage.EDITION, f"e{number}", {})
        ledger.record([Entry(RELEASE, "open/ages", f"e{number}", number, {})])
        table = home.home / "lake/core/psb/living"
        with connect(home.lake.scratch()) as con:
            schema = query_schema(con, "SELECT 1 AS a", "x")
            delta.commit(table, schema, "append", delta.latest(table), copy_rows(con, "SELECT 1 AS a", table))
        (written,) = set(table.glob("*.parquet"))
        told = [f"lake/core/psb/living/{written.name}", f"lake/core/psb/living/_delta_log/{number:020}.json"]
        for name in told:
            (backups / "1" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(home.home / name, backups / "1" / name)
        written.unlink()
        log = table / f"_delta_log/{number:020}.json"
        log.write_text(log.read_text("utf-8") + "\n", "utf-8")  # mended since by another order
        plain = [
            f"lake/raw/psb/household_person/{number}/rows.parquet",
            f"lake/candidate/e{number}/population/m/part.parquet",
            f"lake/released/files/open/ages/v{number}/ages.csv",
        ]
        for name in plain:
            write(backups / "1" / name, "x")
        return [*told, *plain]

    before = happens(0)
    order = ordered(home, backups)
    since = happens(1)
    register.close()
    found = copies(home, order)
    assert sorted(found.unknown) == sorted(backups / "1" / name for name in before)
    assert not {backups / "1" / name for name in since} & {*found.held}


TARS = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


def packed(folder: Path, target: Path) -> Path:
    """An archive of a folder, by the ending of its name; the folder goes."""
    kind = target.name.partition(".")[2]
    if kind in TARS:
        with tarfile.open(target, TARS[kind]) as archive:  # type: ignore[call-overload]
            archive.add(folder, "./home")
    else:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(folder))
    shutil.rmtree(folder)
    return target


@pytest.mark.parametrize("kind", [*TARS, "zip"])
def test_archives_are_looked_into(home: Settings, backups: Path, kind: str) -> None:
    shutil.copyfile(home.home / "register.db", backups / "1" / "register.db")
    write(backups / "1" / "marts/marts-1.duckdb", "of the person")
    write(backups / "1" / "lake/core/psb/household_person/merged.parquet", "of the person")
    write(backups / "1" / "lake/raw/psb/household_person/1/original.zip", "PK\3\4 not one")
    order = ordered(home, backups)
    shutil.rmtree(backups / "2")
    archive = packed(backups / "1", backups / f"1.{kind}")
    found, inside = copies(home, order), {"zip": archive, "tar": archive / "home"}.get(kind, archive / "1.tar" / "home")
    names = {"lake/core/psb/household_person/merged.parquet", "lake/raw/psb/household_person/1/original.zip"}
    assert {*found.unknown} == {inside / name for name in names}
    assert {*found.held} == {inside / name for name in (NAME, "marts/marts-1.duckdb", "register.db")}
    assert not found.closed and not list(home.lake.scratch().iterdir())


def test_an_archive_since_the_order_is_clean_and_one_in_another_is_found(home: Settings, backups: Path) -> None:
    order = ordered(home, backups)
    shutil.rmtree(backups / "2")
    shutil.copytree(home.home, backups / "now", ignore=shutil.ignore_patterns("scratch"))
    (backups / "now" / "marts").mkdir(exist_ok=True)
    (backups / "now" / "marts" / "marts-1.duckdb").write_text("since", "utf-8")
    packed(backups / "now", backups / "now.tar.gz")
    old = packed(backups / "1", backups / "old.tar.gz")
    assert copies(home, order).held == [old / "old.tar" / "home" / NAME]
    with zipfile.ZipFile(backups / "month.zip", "w") as month:
        month.write(old, "old.tar.gz")
    old.unlink()
    assert copies(home, order).held == [backups / "month.zip" / "old.tar.gz" / "old.tar" / "home" / NAME]


PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", PACK)
def test_a_single_file_may_be_packed(home: Settings, backups: Path, kind: str) -> None:
    register = (home.home / "register.db").read_bytes()
    order = ordered(home, backups)
    shutil.rmtree(backups)
    backups.mkdir()
    file = backups / f"register.db.{kind}"
    file.write_bytes(PACK[kind](register))
    assert copies(home, order).held == [file / "register.db"]
    file.write_bytes(PACK[kind]((home.home / "register.db").read_bytes()))
    assert copies(home, order) == Copies()


def test_what_is_not_opened_is_no_clean_backup(home: Settings, backups: Path, order: Recorded) -> None:
    shutil.rmtree(backups)
    backups.mkdir()
    (backups / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c rest")
    (backups / "b").write_bytes(b"\x28\xb5\x2f\xfd rest")
    (backups / "c.img").write_bytes(bytes(2048))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("rows.parquet", "x")
    data = bytearray(content.getvalue())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1  # encrypted, it says
    (backups / "d.zip").write_bytes(data)
    deep = content.getvalue()
    for _ in range(6):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("inner.zip", deep)
        deep = content.getvalue()
    (backups / "e.zip").write_bytes(deep)
    closed = [str(file.relative_to(backups)) for file in copies(home, order).closed]
    assert closed[:4] == ["a.7z", "b", "c.img", "d.zip/rows.parquet"] and closed[4].startswith("e.zip/inner.zip/")
    (backups / "f.tar.gz").write_bytes(gzip.compress(b"x" * 5000)[:-20])
    with pytest.raises(CitylakeError, match=r"f\.tar\.gz"):
        copies(home, order)


NOT_KNOWN = {
    "register.sql": b"--\n-- PostgreSQL database dump\n--\n",
    "marts-20261101.duckdb": bytes(8) + b"DUCK" + bytes(100),
    "core-20261101/psb/household_person/merged.parquet": b"PAR1 merged since",
    "restic/data/ab/ab12": b"\x91\x13" * 400,
    "borg/data/0/1": b"BORG_SEG" + bytes(100),
    "home.cpio": b"070701" + b"0" * 300,
    "home.exe": b"MZ" + bytes(600) + b"PK\3\4",
    f"raw/psb/household_person/{'9' * 25}/rows.parquet": b"x",
    "a/" + NAME.rpartition("/")[2]: b"neither of before nor of since",
}


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_what_nothing_knows_is_no_clean_backup(home: Settings, backups: Path, order: Recorded, name: str) -> None:
    shutil.rmtree(backups)
    file = backups / name
    file.parent.mkdir(parents=True)
    file.write_bytes(NOT_KNOWN[name])
    found = copies(home, order)
    assert [*found.unknown, *found.closed] == [file] and not found.held
    file.write_bytes(b"")
    if "raw" not in file.parts:
        assert copies(home, order) == Copies(), "an empty file holds nobody"


def test_a_register_by_another_name_is_asked_for_the_receipt(home: Settings, backups: Path) -> None:
    named = backups / "register-20261101.db"
    shutil.copyfile(home.home / "register.db", named)
    order = ordered(home, backups)
    for day in ("1", "2"):
        shutil.rmtree(backups / day)
    assert copies(home, order).unknown == [named]
    shutil.copyfile(home.home / "register.db", named)
    assert copies(home, order) == Copies()
    packed = backups / "register-20261101.db.gz"
    packed.write_bytes(gzip.compress(named.read_bytes()))
    assert copies(home, order) == Copies()


def test_what_a_home_has_beside_its_lake_is_clean_beside_its_register(home: Settings, backups: Path) -> None:
    """As the home has it now, or by its time; elsewhere nobody knows."""
    order = ordered(home, backups)
    shutil.rmtree(backups)
    key, log = home.home / "secrets" / "erased.key", backups / "1" / "logs" / "a.log"
    write(key, "key")
    shutil.copytree(key.parent, backups / "1" / "secrets")
    log.parent.mkdir()
    log.write_text("a line", "utf-8")
    assert copies(home, order).unknown == [log]
    shutil.copyfile(home.home / "register.db", backups / "1" / "register.db")
    assert copies(home, order) == Copies()
    write(log, "a line of before")
    assert copies(home, order).unknown == [log]


@pytest.mark.parametrize("folder", ["lake", "logs", "deliveries", "marts"])
def test_what_is_in_a_zip_is_as_old_as_the_zip(home: Settings, backups: Path, folder: str) -> None:
    order = ordered(home, backups)
    shutil.rmtree(backups)
    (backups / folder).mkdir(parents=True)
    shutil.copyfile(home.home / "register.db", backups / "register.db")
    archive = backups / folder / "old.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("rows.csv", "of the person")
    assert copies(home, order) == Copies(), "since the order"
    os.utime(archive, (1_700_000_000, 1_700_000_000))
    found = copies(home, order)
    assert [*found.unknown, *found.held] == [archive / "rows.csv"]


@pytest.mark.parametrize("folder", ["city", "logs", "reports", "dbt", "dagster", "deliveries", "secrets", "lake"])
def test_a_folder_of_backups_may_have_the_name_of_one_of_a_home(home: Settings, backups: Path, folder: str) -> None:
    """Told by the register of its own home, not by one further up, nor by one of another day."""
    before = (home.home / "register.db").read_bytes()
    order = ordered(home, backups)
    shutil.rmtree(backups)
    day = backups / folder / "1"
    files = [day / "logs/a.log", day / "marts/marts-1.duckdb"]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text("since", "utf-8")
    shutil.copyfile(home.home / "register.db", day / "register.db")
    assert copies(home, order) == Copies()
    shutil.copyfile(home.home / "register.db", backups / "register.db")
    (day / "register.db").write_bytes(before)
    found = copies(home, order)
    assert found.unknown == files[:1] and found.held == [day / "register.db", files[1]]
    day.rename(backups / "old")
    (backups / "old" / "register.db").unlink()
    found = copies(home, order)
    assert [*found.unknown, *found.held] == [backups / "old" / file.relative_to(day) for file in files]


LONG = "长" * 86
"""A name of 258 bytes: archives hold such, file systems do not."""
TOO_LONG = {
    "name": LONG,
    "beside": f"logs/{LONG}/a",
    "file": f"lake/core/psb/{LONG}",
    "table": f"core/{LONG}/t/a",
    "batch": f"raw/psb/{LONG}/1/a",
    "path": "/".join(["d" * 200] * 25),
}


@pytest.mark.parametrize("name", TOO_LONG.values(), ids=TOO_LONG)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_no_file_can_have_is_nothing_that_the_home_has(
    home: Settings, backups: Path, order: Recorded, name: str, kind: str
) -> None:
    shutil.rmtree(backups)
    backups.mkdir()
    archive = backups / f"1.{kind}"
    if kind == "tar":
        archive.write_bytes(tarred(**{name: b"x"}))
    else:
        with zipfile.ZipFile(archive, "w") as content:
            content.writestr(name, "x")
    assert copies(home, order).unknown == [archive / name]


def test_links_to_what_is_not_looked_at_are_told(
    home: Settings, backups: Path, order: Recorded, tmp_path: Path
) -> None:
    shutil.rmtree(backups)
    (backups / "1").mkdir(parents=True)
    (backups / "latest").symlink_to(backups / "1")
    assert copies(home, order) == Copies()
    (tmp_path / "elsewhere").mkdir()
    links = [backups / "daily", backups / "nowhere", backups / "self"]
    for link, target in zip(links, (tmp_path / "elsewhere", tmp_path / "gone", backups / "self"), strict=True):
        link.symlink_to(target)
    assert copies(home, order).closed == links[:2]


def tarred(**members: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, b"")
    return content.getvalue()


WHOLE = tarred(first=b"", second=b"before")
DAMAGED = {
    "header.tar": WHOLE[:512] + b"\xff" + WHOLE[513:],
    "cut.tar": WHOLE[:512],
    "half.tar": WHOLE[:700],
    "end.tar": WHOLE[: 3 * 512],
    "one-block.tar": WHOLE[: 4 * 512],
    "joined.tar": tarred(first=b"") + tarred(second=b"before"),
    "joined.zip": zipped("first") + zipped("second"),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_is_read_to_its_end_or_not_clean(
    home: Settings, backups: Path, order: Recorded, name: str, pack: Callable[[bytes], bytes]
) -> None:
    """`tarfile` takes damage behind the first member for the end, and the end of a first archive for that of all."""
    shutil.rmtree(backups)
    backups.mkdir()
    (backups / name).write_bytes(pack(DAMAGED[name]))
    with pytest.raises(CitylakeError, match=name):
        copies(home, order)


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_a_volume_of_an_archive_is_not_clean(home: Settings, backups: Path, order: Recorded, kind: str) -> None:
    """A member that began in the volume before is no file for `tarfile`, which passes it over; the first volume ends
    in one."""
    shutil.rmtree(backups)
    backups.mkdir()
    later, content = tarfile.TarInfo("home/register.db"), b"of the person" * 100
    later.type, later.size = b"M", len(content)
    volume = later.tobuf(tarfile.GNU_FORMAT) + content.ljust(1536, b"\0") + bytes(1024)
    file = backups / f"2.{kind}"
    file.write_bytes(gzip.compress(volume) if kind == "tar.gz" else volume)
    with pytest.raises(CitylakeError) as refused:
        copies(home, order)
    assert refused.value.code == "erase.backup_volume" and "--multi-volume" in str(refused.value)
    first = tarfile.TarInfo("home/register.db")
    first.size = 4096
    cut = first.tobuf(tarfile.GNU_FORMAT) + content
    file.write_bytes(gzip.compress(cut) if kind == "tar.gz" else cut)
    with pytest.raises(CitylakeError, match=file.name):
        copies(home, order)


@pytest.mark.parametrize("kind", PACK)
def test_what_is_packed_is_read_to_its_end(home: Settings, backups: Path, kind: str) -> None:
    """In one stream or several; what stands behind and is none is not passed over. xz and gz may be padded."""
    order = ordered(home, backups)
    register = (home.home / "register.db").read_bytes()
    shutil.rmtree(backups)
    backups.mkdir()
    file, pack = backups / f"register-1.db.{kind}", PACK[kind]
    padding = b"" if kind == "bz2" else bytes(8)
    parts = [pack(register[:300]), padding, pack(b""), pack(register[300:]), padding]
    file.write_bytes(b"".join(parts))
    assert copies(home, order) == Copies()
    whole = pack(register)
    for cut in (whole[: len(whole) // 2], whole[:-1], whole + b"of the person", whole + pack(b"more")[:9]):
        file.write_bytes(cut)
        with pytest.raises(CitylakeError, match=file.name):
            copies(home, order)
    file.write_bytes(pack(b"") + b"of the person")
    with pytest.raises(CitylakeError, match=file.name):
        copies(home, order)


def test_what_stands_ahead_of_a_register_goes_with_it(home: Settings, backups: Path) -> None:
    """Where no register lies beside it nobody knows what it holds."""
    order = ordered(home, backups)
    shutil.rmtree(backups)
    alone = write(backups / "1" / "register.db-wal", "pages")
    assert copies(home, order).held == [alone]
    subprocess.run(["cp", home.home / "register.db", alone.parent], check=True)
    alone.write_bytes(b"")
    assert copies(home, order) == Copies()
    write(alone.with_name("register.db-shm"), "numbers of pages, in a copy of a home at work")
    assert copies(home, order) == Copies()


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
    word = ["--who", GUARD, "--why", "核对"]

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
    closed = write(backups / "2" / "old.7z", "7z\xbc")
    closed.write_bytes(b"7z\xbc\xaf\x27\x1c")
    code, output = checked(ORDER)
    assert code == 1 and "无法打开" in output and str(closed) in output
    monkeypatch.setenv("CITYLAKE_BACKUPS", "")
    code, output = checked(ORDER)
    assert code == 1 and "没有指定备份目录" in output


def test_without_backups_nobody_is_told_that_they_are_clean(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(home.home))
    monkeypatch.delenv("CITYLAKE_BACKUPS", raising=False)
    done = {"places": {}, "refused": [], "kept": [], "unknown": [], "files": {}}
    monkeypatch.setattr(Erasure, "carry_out", lambda *_: done)
    word = ["--order", ORDER, "--who", GUARD, "--why", "本人申请"]
    result = CliRunner().invoke(app, ["person", "p1", "erase", *word])
    assert result.exit_code == 0 and "没有配置备份目录（CITYLAKE_BACKUPS）" in result.output
    assert f"check-erased --order {ORDER}" in result.output and "整版清除" not in result.output


def test_an_order_is_told_to_end_versions_and_tells_which(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(home.home))
    given: list[Order] = []

    def carry_out(_: Erasure, person: str, order: Order) -> dict[str, object]:
        given.append(order)
        return {"places": {}, "refused": [], "kept": [], "unknown": [], "files": {}, "versions": {"open/ages": [0, 2]}}

    monkeypatch.setattr(Erasure, "carry_out", carry_out)
    word = ["--order", ORDER, "--who", GUARD, "--why", "本人申请", "--end-versions"]
    result = CliRunner().invoke(app, ["person", "p1", "erase", *word])
    assert given == [Order(ORDER, GUARD, "本人申请", end_versions=True)]
    assert "open/ages：第 0、2 版" in result.output and "整版清除" in result.output
