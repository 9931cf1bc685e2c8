"""Parquet files on disk: written by DuckDB or Arrow with the statistics a commit needs, and made durable.

Belongs here: COPY, file names, fsync, links. Does not belong here: the Delta log.
"""

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.codecs.sql import identifier, literal, literals
from pipelines.lake.errors import disk_full_named

FILE_SIZE = 256_000_000
GROUP_SIZE = "16MB"
"""How much of long rows a thread gathers before it writes."""
_LAYOUT = "FORMAT parquet, DICTIONARY_SIZE_LIMIT 3000"
"""A column with more different values in a row group gets no dictionary: a larger limit costs a fifth of the time in
vain and makes no smaller file. One with fewer has one, which makes it cheap to judge."""
TABLE = f"{_LAYOUT}, COMPRESSION zstd, COMPRESSION_LEVEL 1"
"""How COPY writes what others may read."""
OURS = f"{TABLE}, PARQUET_VERSION v2"
"""How it writes what is kept and nobody else reads: half as large, and cheaper to write and to read. Not every reader
knows all of its encodings: Spark has none for numbers whose bytes are split into streams."""
PASSING = f"{_LAYOUT}, COMPRESSION uncompressed"
"""How it writes what is read several times and dropped."""


@dataclass(frozen=True)
class WrittenFile:
    """One new file: absolute path, rows, bytes, statistics by quoted column (`min`, `max`, `null_count`, `has_nan`; as
    DuckDB's texts or Arrow's values), partition values as text."""

    path: str
    rows: int
    size: int
    statistics: Mapping[str, Mapping[str, Any]]
    partition: dict[str, str]


def write_file(con: duckdb.DuckDBPyConnection, query: str, file: Path, form: str = OURS) -> int:
    """Write the rows of a query as one Parquet file and count them. `form`: one of those above. Raises DuckDB's own
    errors."""
    row = con.execute(f"COPY ({query}\n) TO {literal(str(file))} ({form})").fetchone()
    return int(row[0]) if row else 0


def copy_rows(
    con: duckdb.DuckDBPyConnection,
    query: str,
    location: Path,
    partition_by: Sequence[str] = (),
    long_rows: bool = False,
) -> list[WrittenFile]:
    """Write the rows of a query as Parquet files below `location`; an empty result leaves no file. `long_rows`: each
    may have kilobytes, so that not as many as usual are held in memory together; they come in no order.

    The files belong to no table until they are committed. A run killed here leaves orphans for `cleanup.clean`.
    Raises DiskFull, or DuckDB's own error when the query fails.
    """
    layout = f"file_size_bytes {FILE_SIZE}"
    if long_rows:
        layout += f", row_group_size_bytes '{GROUP_SIZE}'"
    if partition_by:
        layout = f"partition_by ({', '.join(map(identifier, partition_by))})"
    location.mkdir(parents=True, exist_ok=True)
    with disk_full_named(location):
        result = con.execute(
            f"copy ({query}\n) to {literal(str(location))} ({TABLE}, "
            f"return_stats true, append true, filename_pattern 'part-{{uuid}}', {layout})"
        )
        names = [column[0] for column in result.description]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return keep_filled(
        WrittenFile(
            path=row["filename"],
            rows=row["count"],
            size=row["file_size_bytes"],
            statistics=row["column_statistics"] or {},
            partition=row["partition_keys"] or {},
        )
        for row in rows
    )


def write_tables(tables: Iterable[Any], location: Path, repeating: Collection[str]) -> list[WrittenFile]:
    """Write Arrow tables of one schema as Parquet files below `location`, each as one row group. `repeating`: columns
    that get a dictionary. Numbers must not be NaN. What is said of `copy_rows` holds here too."""
    location.mkdir(parents=True, exist_ok=True)
    written = []
    with disk_full_named(location):
        rest = (table for table in tables if len(table))
        while (first := next(rest, None)) is not None:
            path = location / f"part-{uuid.uuid4()}.parquet"
            options = {"compression": "zstd", "compression_level": 1, "write_batch_size": 16_384, "store_schema": False}
            with (
                pa.OSFile(str(path), "wb") as file,
                pq.ParquetWriter(file, first.schema, use_dictionary=list(repeating), **options) as writer,
            ):
                writer.write_table(first)
                while file.tell() < FILE_SIZE and (table := next(rest, None)) is not None:
                    writer.write_table(table)
            written.append(_of_footer(path))
    return written


def _of_footer(path: Path) -> WrittenFile:
    footer = pq.read_metadata(path)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    statistics = {}
    for place in range(footer.num_columns):
        parts = [group.column(place).statistics for group in groups]
        filled = [part for part in parts if part.has_min_max]
        statistics[identifier(footer.schema.column(place).path)] = {
            "min": min((part.min for part in filled), default=None),
            "max": max((part.max for part in filled), default=None),
            "null_count": sum(part.null_count for part in parts),
        }
    return WrittenFile(str(path), footer.num_rows, path.stat().st_size, statistics, {})


def repeating(footer: Any) -> list[str]:
    """The columns of a file that have a dictionary in every row group, by its metadata."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    columns = ((footer.schema.column(place).path, place) for place in range(footer.num_columns))
    return [name for name, place in columns if all(group.column(place).has_dictionary_page for group in groups)]


def files_of(location: Path) -> list[Path]:
    """The data files below a table, those that no version needs any more too."""
    return sorted(path for path in location.rglob("*.parquet") if "_delta_log" not in path.parts)


def read_files(files: Sequence[Path]) -> str:
    """The rows of some files with `filename` and `file_row_number`, to stand after FROM."""
    listed = literals(map(str, files))
    return (
        f"read_parquet([{listed}], filename = true, file_row_number = true, union_by_name = true, "
        "hive_partitioning = false)"
    )


def columns_of(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> dict[str, str]:
    """The columns of some files together, with DuckDB's names of their types."""
    rows = con.execute(f"DESCRIBE SELECT * EXCLUDE (filename, file_row_number) FROM {read_files(files)}").fetchall()
    return {name: kind for name, kind, *_ in rows}


def keep_filled(written: Iterable[WrittenFile]) -> list[WrittenFile]:
    """Drop files without rows, which COPY writes for an empty result: an empty table's columns live in its log."""
    kept = []
    for file in written:
        if file.rows:
            kept.append(file)
        else:
            os.remove(file.path)
    return kept


def make_durable(files: Iterable[Path], location: Path) -> None:
    """Flush files below `location` and every folder that names them, so that a machine crash can neither empty nor lose
    them. Makes `location` when it is missing."""
    location.mkdir(parents=True, exist_ok=True)
    folders = {location, location.parent, location.parent.parent}  # a new table and a new library have names too
    for file in files:
        sync(file)
        folders.update(parent for parent in file.parents if parent.is_relative_to(location))
    for folder in sorted(folders):
        sync(folder)


def sha256(file: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link, or a complete copy where the file system cannot link.

    A target that exists is left alone when it has the right length and replaced otherwise, so a killed call can be
    repeated.
    """
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shutil.copyfile(source, partial)
        sync(partial)
    os.replace(partial, target)
