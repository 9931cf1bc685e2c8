"""The keys of a core version with the hashes of their rows, kept beside core so that a snapshot is compared with two
columns instead of all.

A cache: it says nothing that core does not say, and may be deleted. A file belongs to one version of core, one engine
and one list of columns; where none fits the hashes are computed from core.
"""

import hashlib
import json
import os
from pathlib import Path

import duckdb

from pipelines.lake.parquet import make_durable, write_file


def stored(folder: Path, version: int, batch: int, layout: list[str]) -> Path:
    """Where the hashes of a version lie. `batch`: the newest in it; `layout`: what was hashed, in order."""
    # DuckDB does not promise that its hash stays the same from one release to the next
    text = json.dumps([duckdb.__version__, layout], ensure_ascii=False)
    return folder / f"{version}-{batch}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.parquet"


def keep(con: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    """Write the hashes of the newest version, whole or not at all, and drop all others of the dataset."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    write_file(con, query, partial)
    make_durable([partial], file.parent)
    drop(file.parent)
    os.replace(partial, file)


def drop(folder: Path) -> None:
    """Forget the hashes of all versions."""
    for file in folder.glob("*.parquet"):
        file.unlink()
