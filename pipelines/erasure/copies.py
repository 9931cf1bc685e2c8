"""Backups that still hold a person, or may: files from before an order, in the folders of backups that are configured.

Copies of the home are found (rsync, hard links, mounted snapshots, archives); links to folders are not followed but
told, and nothing in a backup is changed. Clean is only what is known to be: the receipt says what the order rewrote,
the lake of now was searched, and of any other file the logs and receipts of now say whether it was written since. A
file in no place of a home is clean only with the bytes that the home has now, or as a register with the receipt. The
time of a file is believed only where it says that the file is older: whoever copies without times makes all of them
new.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from urllib.parse import unquote

from pipelines.erasure.backups import Item, items
from pipelines.lake import scratch
from pipelines.lake.cleanup import VIEWS
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.times import as_utc
from pipelines.release.ledger import ERASURE, Ledger, Recorded
from pipelines.settings import Settings

REGISTER = "register.db"
REGISTERS = (REGISTER, f"{REGISTER}-wal")
"""The register, and beside it what SQLite has written and not put in its place yet."""
INDEX = f"{REGISTER}-shm"
"""The numbers of the pages written ahead: in a copy of a home at work, and holds no row."""
LAKE = "lake"
REMADE = {"marts", VIEWS}
"""Folders of what was made of rows: an order deletes all of it, and its receipt does not name the files."""
ZONES = {"raw", "core", "quarantine", "linkage", "matched", "released", "candidate", "hashes", "corrections", "spool"}
UNTOLD = {"hashes", "corrections", "spool"}
"""Those of them whose files are written anew under their names, and say nowhere when."""
BESIDE = {"logs", "reports", "secrets", "deliveries", "dagster", "dbt", "city", "run.lock", "drill.json"}
"""What a home has beside its lake and says nowhere when it was written."""
SQLITE = b"SQLite format 3\0"
LONGEST_BATCH = 18
"""Digits of the number of a batch that a register can hold."""
LOG, LAST_CHECKPOINT = "_delta_log", "_last_checkpoint"


@dataclass
class Copies:
    """Files of backups: those that are as before an order, those of which nobody knows whether they are, and those that
    nothing here opens."""

    held: list[Path] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)


def copies(settings: Settings, register: Register, order: Recorded) -> Copies:
    """What the backups hold from before an order, which is told by its receipt.

    Raises CitylakeError without any folder, and for a folder or file that is not there or cannot be read: nobody may be
    told that it holds nothing.
    """
    if not settings.backups:
        raise CitylakeError("erase.no_backups", order=order.subject)
    found, since = Copies(), Since(settings, register, order)
    for folder in settings.backups:
        with scratch.folder(settings.lake.scratch(), "copies") as place:
            look = _Look(settings, order, since, Path(place), found)
            for file in items(folder, Path(place), look.is_whole, settings.backups):
                for item in file:
                    look.at(item)
                look.put_registers()
            look.put_told_by_registers()
    return found


class Since:
    """What was written after an order, as the logs, receipts and ledger of now say."""

    def __init__(self, settings: Settings, register: Register, order: Recorded) -> None:
        self.root, self.at_order = settings.lake.root, as_utc(order.at).timestamp()
        self.receipts = Receipts(register, "copies")
        self.released = {
            (entry.subject, str(entry.version)): as_utc(entry.at).timestamp() for entry in Ledger(register).releases()
        }
        self.edition: Callable[[str], float] = cache(lambda name: self._received(Stage.EDITION, name, None))
        self.batch: Callable[[str, int], float] = cache(lambda name, one: self._received(Stage.PULL, name, one))
        self.table: Callable[[Path], dict[str, float]] = cache(_written)

    def wrote(self, parts: tuple[str, ...], log: bytes) -> bool:
        """Whether a file at these parts of a path, the first a zone, was written since. `log`: its bytes, if it is an
        entry of the log of a table."""
        return self._written(parts, log) > self.at_order

    def _written(self, parts: tuple[str, ...], log: bytes) -> float:
        if log:
            return _committed(log)
        match parts:
            case ("raw", org, dataset, batch, *_) if batch.isdecimal() and len(batch) <= LONGEST_BATCH:
                return self.batch(f"{org}/{dataset}", int(batch))
            case ("candidate", edition, *_):
                return self.edition(edition)
            case ("released", "files", channel, product, version, *_):
                return self.released.get((f"{channel}/{product}", version.removeprefix("v")), 0)
        for place in range(len(parts) - 1, 1, -1):
            table = self.root.joinpath(*parts[:place])
            if os.path.isdir(table / LOG):
                return self.table(table).get("/".join(parts[place:]), 0)
        return 0

    def _received(self, stage: Stage, subject: str, batch: int | None) -> float:
        receipt = self.receipts.last(stage, subject, batch)
        return as_utc(receipt.at).timestamp() if receipt else 0


def _written(table: Path) -> dict[str, float]:
    """When the files of a table were written, those of its log too, as its log says."""
    found: dict[str, float] = {}
    for log in sorted((table / LOG).glob("*.json")):
        text = log.read_bytes()
        at = _committed(text)
        found[f"{LOG}/{log.stem}.checkpoint.parquet"] = at
        for line in text.splitlines():
            if (added := json.loads(line).get("add")) is not None:
                found.setdefault(unquote(added["path"]), at)
    return found


def _committed(log: bytes) -> float:
    """When an entry of a log was written, as it says; 0 if it does not."""
    try:
        infos = [json.loads(line).get("commitInfo") for line in log.splitlines() if line]
        return next((float(one["timestamp"]) / 1000 for one in infos if one), 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0


class _Look:
    """Telling what the files of one folder of backups are to one order."""

    def __init__(self, settings: Settings, order: Recorded, since: Since, place: Path, found: Copies) -> None:
        self.home, self.root = settings.home, settings.lake.root
        self.order, self.since, self.place, self.found = order, since, place, found
        self.before: dict[str, set[str]] = {}
        self.left: dict[str, set[str]] = {}
        for name, (old, new) in order.body["files"].items():
            self.before.setdefault(Path(name).name, set()).add(old["sha256"])
            if new is not None:
                self.left.setdefault(Path(name).name, set()).add(new["sha256"])
        self.digests: dict[tuple[int, int], str] = {}
        self.registers: dict[PurePath, dict[str, Path]] = {}
        """The registers that are not judged yet, by folder of the backup: where it and what lies beside it are said to
        be, by name."""
        self.copied: dict[Path, Path] = {}
        self.has_receipt: dict[PurePath, bool] = {}
        self.told_by_register: list[tuple[Item, list[Path]]] = []

    def is_whole(self, below: PurePath) -> bool:
        """Whether a file is of the home, whatever it holds: deliveries are archives too."""
        return below.name in REGISTERS or _zone(below) is not None

    def at(self, item: Item) -> None:
        """Put a file where it belongs, if it is not clean; a register, and what only a register tells, later."""
        below = item.below
        if item.closed:
            self.found.closed.append(item.path)
        elif below.name in REGISTERS:
            self._put_by(item)
        elif REMADE & {*below.parts[:-1]}:
            self.told_by_register.append((item, self.found.held))
        elif (zone := _zone(below)) is not None:
            self._of_lake(item, zone)
        elif item.head and below.name != INDEX:  # an empty file holds nobody
            self._of_other(item)

    def put_registers(self) -> None:
        """Judge the registers of what was looked at since the last time."""
        for folder, files in self.registers.items():
            if folder not in self.has_receipt:
                has = self._has_receipt({name: self.copied.get(file, file) for name, file in files.items()})
                self.has_receipt[folder] = has
                self.found.held += [] if has else files.values()
        for copy in self.copied.values():
            copy.unlink()
        self.registers.clear()
        self.copied.clear()

    def put_told_by_registers(self) -> None:
        """Judge what only the register of its backup tells: clean is what one says that has the receipt of the order,
        unless the file is older by its own time. Folders of backups may have the names of a home's: of the folders that
        may be the home, the nearest with a register is."""
        for item, where in self.told_by_register:
            parts = item.below.parts
            places = [place for place, part in enumerate(parts) if part in REMADE | ZONES | BESIDE | {LAKE}]
            homes = (PurePath(*parts[:place]) for place in reversed(places))
            since = next((self.has_receipt[home] for home in homes if home in self.has_receipt), False)
            if not since or (item.modified is not None and item.modified < self.since.at_order):
                where.append(item.path)

    def _of_lake(self, item: Item, zone: int) -> None:
        """A file of the lake. Clean is what the order left, what the lake has now in its place, and what was written
        since. `zone`: the place of its zone in its path."""
        log = b""
        if item.below.parent.name == LOG and item.below.suffix == ".json":
            item = replace(item, file=item.file or item.copy(self.place / LOG))  # what it says is read, and its hash
            log = (item.file or item.path).read_bytes()
        name = item.below.name
        digest = self._digest(item) if name in self.before or name in self.left else ""
        if digest in self.before.get(name, ()):
            self.found.held.append(item.path)
        elif name != LAST_CHECKPOINT and digest not in self.left.get(name, ()):
            parts = item.below.parts[zone:]
            ours = self.root.joinpath(*parts)
            if self.since.wrote(parts, log) or (
                os.path.isfile(ours) and self._of_file(ours) == (digest or self._digest(item))
            ):
                return
            if parts[0] in UNTOLD:
                self.told_by_register.append((item, self.found.unknown))
            else:
                self.found.unknown.append(item.path)

    def _of_other(self, item: Item) -> None:
        """A file in no place of the lake: its copy under another name, another database, what other programs store.
        Clean is what the order left, what the home has now at the end of this path, and a register with the receipt."""
        if item.head.startswith(SQLITE):
            item = replace(item, file=item.file or item.copy(self.place / "sqlite"))
            if self._has_receipt({REGISTER: item.file or item.path}):
                return
        name, ours = item.below.name, list(self._ours(item.below))
        digest = self._digest(item) if ours or name in self.before or name in self.left else ""
        if digest in self.before.get(name, ()):
            self.found.held.append(item.path)
        elif digest in self.left.get(name, ()) or digest in map(self._of_file, ours):
            return
        elif (BESIDE | {LAKE}) & {*item.below.parts}:
            self.told_by_register.append((item, self.found.unknown))
        else:
            self.found.unknown.append(item.path)

    def _ours(self, below: PurePath) -> Iterator[Path]:
        """The files that the home, its lake or a zone of that has now at a path, or at the end of it. Names in archives
        may be longer than those of files can be: `os.path` says of them that there is no file, `Path` raises."""
        parts = below.parts
        for start in range(len(parts) if ".." not in parts else 0):
            for root in (self.home, self.root, *(self.root / zone for zone in sorted(ZONES))):
                if os.path.isfile(file := root.joinpath(*parts[start:])):
                    yield file

    def _put_by(self, item: Item) -> None:
        """Put a register, or what is written ahead of it, by to be judged with the other one."""
        files = self.registers.setdefault(item.below.parent, {})
        if item.file is not None:
            beside = {name: item.path.with_name(name) for name in REGISTERS}
            files |= {name: file for name, file in beside.items() if file.is_file()}
        else:
            files[item.below.name] = item.path
            self.copied[item.path] = item.copy(self.place / f"{len(self.copied)}-{item.below.name}")

    def _digest(self, item: Item) -> str:
        """The hash of a file; backups of many days are often one file under many names, which is read once."""
        return self._of_file(item.path) if item.file == item.path else item.sha256()

    def _of_file(self, file: Path) -> str:
        about = file.stat()
        one = (about.st_dev, about.st_ino)
        if one not in self.digests:
            self.digests[one] = sha256(file)
        return self.digests[one]

    def _has_receipt(self, files: Mapping[str, Path]) -> bool:
        """Whether a register, with what lies beside it, says of the order that it is done; an empty file holds nobody.
        Read in a copy: SQLite writes beside what it opens."""
        if REGISTER not in files:
            return False
        with TemporaryDirectory(dir=self.place) as place:
            for name, file in files.items():
                shutil.copyfile(file, Path(place, name))
            own = Path(place, REGISTER)
            if own.stat().st_size == 0:
                return True
            try:
                with closing(sqlite3.connect(own)) as con:
                    asked = "SELECT 1 FROM ledger WHERE kind = ? AND subject = ?"
                    return con.execute(asked, (ERASURE, self.order.subject)).fetchone() is not None
            except sqlite3.DatabaseError:
                return False


def _zone(below: PurePath) -> int | None:
    """The place of the zone of the lake in a path, if it is in one."""
    return next((place for place, part in enumerate(below.parts[:-1]) if part in ZONES), None)
