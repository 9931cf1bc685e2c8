"""Clearing away what killed and refused runs leave behind. Called at start under the run lock, so nobody is writing.

Belongs here: which files no retained version needs. Does not belong here: which versions are retained.
"""

import json
import re
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.lake.delta import latest, log_file, log_lines, open_table, table_files
from pipelines.lake.scratch import of_another
from pipelines.lake.zones import Lake

VIEWS, ASIDE = "views", ".views-"
"""What the catalogue makes of released rows for single policies, and what it is called while it is deleted."""
UNFINISHED = ("raw/*/*/partial", "hashes/*/*/.*.partial", "corrections/*/.*.partial", "released/files/*/*/.*.partial")
"""Deliveries, files and downloads, below the lake, that a process was making when it was killed."""
LOG_FILE = re.compile(r"\d{20}(\.json|\.checkpoint.*\.parquet)|_last_checkpoint")


@dataclass
class Cleaned:
    """What was removed: files and bytes of tables, and editions whose candidates are gone."""

    files: int = 0
    bytes: int = 0
    editions: list[str] = field(default_factory=list)


def forget_views(lake: Lake) -> None:
    """Delete everything that was made of released rows for single policies. It goes away in one step first: whoever is
    building there cannot finish it from files of before."""
    with suppress(FileNotFoundError):
        (lake.root / VIEWS).rename(lake.root / f"{ASIDE}{uuid.uuid4().hex}")
    for aside in lake.root.glob(f"{ASIDE}*"):
        shutil.rmtree(aside)


def forget_candidates(lake: Lake, kept: Collection[Path] = ()) -> list[str]:
    """Delete all candidates but these; returns the editions of which none is left."""
    gone = []
    for edition in sorted(lake.candidates.glob("*")):
        mine = [one for one in kept if one.is_relative_to(edition) and one.is_dir()]
        for location in edition.glob("*/*"):  # of a model; of products all of a channel
            if location.is_dir() and location not in mine:
                shutil.rmtree(location)
        if not mine:
            shutil.rmtree(edition)
            gone.append(edition.name)
    return gone


def clean(lake: Lake, keep: Mapping[Path, Collection[int]], candidates: Collection[Path] = ()) -> Cleaned:
    """Empty scratch/ but for what other processes are at, drop what was not finished, all candidates but these, and
    files no retained version needs.

    A table named in `keep` retains those versions and its latest; a table not named retains every version. Log entries
    stay, except a torn newest one that a machine crash left behind and no kept version needs. Downloads are of versions
    that were released, so those of versions that `keep` does not name go.
    """
    cleaned = Cleaned()
    _empty(lake.scratch())
    for pattern in UNFINISHED:
        for path in lake.root.glob(pattern):
            _remove(path)
    for folder in lake.root.glob("released/files/*/*/v*"):
        *_, channel, product, version = folder.parts
        if int(version.removeprefix("v")) not in keep.get(lake.product(channel, product), ()):
            _remove(folder)
    cleaned.editions += forget_candidates(lake, candidates)
    for location in _tables(lake):
        kept = keep.get(location)
        _drop_torn_log(location, max(kept or [-1]))
        needed = _all_files(location) if kept is None else _files(location, kept)
        _drop_orphans(location, needed, cleaned)
    return cleaned


def _empty(folder: Path) -> None:
    for path in folder.glob("*"):
        if not of_another(path):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _tables(lake: Lake) -> Iterator[Path]:
    """Every place a table can be, also where only the files of a first, killed run lie."""
    places = ("core/*/*", "quarantine/*/*", "linkage/*", "matched/*/*", "released/*/*", "released/products/*/*")
    for pattern in places:
        for location in sorted(lake.root.glob(pattern)):
            parents = location.relative_to(lake.root).parts
            if (
                location.is_dir()
                and parents[:2] != ("released", "files")
                and (parents[:2] != ("released", "products") or len(parents) == 4)
            ):
                yield location


def _drop_torn_log(location: Path, needed: int) -> None:
    """A crash of the machine between commit and flush can leave the newest entry empty, and the table unreadable."""
    for log in sorted((location / "_delta_log").glob("[0-9]*.json"), reverse=True):
        if int(log.stem) <= needed or _is_complete(log):
            return
        log.unlink()


def _is_complete(log: Path) -> bool:
    try:
        return bool([json.loads(line) for line in log_lines(log)])
    except ValueError:
        return False


def _files(location: Path, versions: Collection[int]) -> set[str]:
    newest = latest(location)
    retained = set(versions) | ({newest} if newest is not None else set())
    return {file.path for version in retained for file in table_files(open_table(location, version))}


def _all_files(location: Path) -> set[str]:
    newest = latest(location)
    logs = [log_file(location, version) for version in range((newest if newest is not None else -1) + 1)]
    lines = (line for log in logs for line in log_lines(log))
    return {json.loads(line)["add"]["path"] for line in lines if line.startswith(b'{"add"')}


def unneeded(location: Path, versions: Collection[int]) -> list[Path]:
    """The files of a table that neither these versions nor its latest need."""
    return list(_orphans(location, _files(location, versions)))


def _drop_orphans(location: Path, needed: set[str], cleaned: Cleaned) -> None:
    for path in _orphans(location, needed):
        cleaned.files += 1
        cleaned.bytes += path.stat().st_size
        path.unlink()


def _orphans(location: Path, needed: set[str]) -> Iterator[Path]:
    for path in sorted(path for path in location.rglob("*") if path.is_file()):
        name = path.relative_to(location)
        in_log = name.parts[0] == "_delta_log"
        if str(name) not in needed and not (in_log and LOG_FILE.fullmatch(path.name)):
            yield path
