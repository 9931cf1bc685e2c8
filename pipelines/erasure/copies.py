"""Backups that still hold a person: files as they were before an order, in the folders of backups that are configured.

A file is known by its name and SHA-256, which the receipt of the order has. So copies of files are found (rsync, hard
links, mounted snapshots), archives and images are not opened; nothing in a backup is changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError


def still_held(folders: Sequence[Path], receipt: Mapping[str, Any]) -> list[Path]:
    """The files of backups that are what an order, by its receipt, rewrote or removed. Raises CitylakeError for a
    folder that is not there: nobody may be told that it holds nothing."""
    before: dict[str, set[str]] = {}
    for name, (old, _) in receipt["files"].items():
        before.setdefault(Path(name).name, set()).add(old["sha256"])
    return sorted(file for folder in folders for file in _files(folder) if _is_one(file, before))


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise CitylakeError("erase.no_backup_folder", folder=folder)
    return (file for file in folder.rglob("*") if file.is_file())


def _is_one(file: Path, before: Mapping[str, set[str]]) -> bool:
    return file.name in before and sha256(file) in before[file.name]
