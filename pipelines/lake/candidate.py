"""Candidates: cloned from the released version, fingerprinted for evidence, promoted in one transaction.

Belongs here: moving whole file sets between candidate/ and released/. Does not belong here: whether a candidate may be
released, and which released version readers see.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from deltalake import DeltaTable

from pipelines.lake.delta import (
    TableFile,
    add_columns,
    column_types,
    committed,
    create,
    latest,
    open_table,
    replace,
    table_files,
    torn_files,
    transaction_commit,
    write,
)
from pipelines.lake.errors import ChangedColumns, TornFile, disk_full_named
from pipelines.lake.parquet import link, make_durable


def clone_released(released: Path, version: int, candidate: Path) -> None:
    """Make `candidate` a table whose version 0 has the files, statistics and columns of one released version.

    The files are hard links (copies across devices), the log is new. Raises MissingTable, TornFile, DiskFull.
    """
    source = open_table(released, version)
    files = table_files(source)
    with disk_full_named(candidate):
        _link_all(released, candidate, files)
        create(candidate, source.schema(), files, source.metadata().partition_columns)


def fingerprint(location: Path, version: int) -> str:
    """SHA-256 (hex) of what a version is: columns, partitioning, and path, size, statistics of every file.

    Evidence is bound to it. A promoted version has the fingerprint of its candidate. Raises MissingTable.
    """
    table = open_table(location, version)
    content = [*_shape(table), [astuple(file) for file in table_files(table)]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def promote(
    candidate: Path,
    candidate_version: int,
    released: Path,
    *,
    allow_schema_change: bool,
    metadata: Mapping[str, str],
    transaction: tuple[str, int],
) -> int:
    """Make the released table equal to a candidate version and return the released version.

    Links the files it lacks, flushes them to disk, then commits adds and removes in one transaction, from whatever
    state a killed run may have left. Repeated with the same transaction it returns the same version; when the table
    is equal already it writes nothing. Raises ChangedColumns, TornFile, StaleWrite, MissingTable, DiskFull.
    """
    if (done := _already(released, transaction)) is not None:
        return done
    source = open_table(candidate, candidate_version)
    files = table_files(source)
    newest = latest(released)
    target = None if newest is None else open_table(released, newest)
    if target is not None and _shape(target) != _shape(source) and not allow_schema_change:
        raise ChangedColumns("lake.release_columns", location=str(released))
    with disk_full_named(released):
        _link_all(candidate, released, files)
        make_durable([released / file.path for file in files], released)
        if target is None:
            return create(released, source.schema(), files, source.metadata().partition_columns, metadata, transaction)
        return _make_equal(target, released, source, files, metadata, transaction)


def _already(released: Path, transaction: tuple[str, int]) -> int | None:
    number = committed(released, transaction[0])
    return None if number is None or number < transaction[1] else transaction_commit(released, *transaction)


def _make_equal(
    target: DeltaTable,
    released: Path,
    source: DeltaTable,
    files: Sequence[TableFile],
    metadata: Mapping[str, str],
    transaction: tuple[str, int],
) -> int:
    current = table_files(target)
    old, new = {file.path for file in current}, {file.path for file in files}
    schema, partition_by = source.schema(), source.metadata().partition_columns
    if target.metadata().partition_columns != partition_by:
        return replace(target, schema, files, partition_by, metadata, transaction)
    if _shape(target) != _shape(source):
        if not old & new:
            return write(target, files, [], metadata, transaction, overwrite=schema)
        if not _grew(
            target, source
        ):  # one commit must not both remove and add a file; nobody is told of the empty version
            emptied = write(target, [], [], overwrite=schema)
            return write(open_table(released, emptied), files, [], metadata, transaction)
        target = add_columns(target, released, schema)
    adds = [file for file in files if file.path not in old]
    removes = [file for file in current if file.path not in new]
    if not (adds or removes):
        return target.version()
    return write(target, adds, removes, metadata, transaction)


def _grew(old: DeltaTable, new: DeltaTable) -> bool:
    """Whether all that differs are columns after the old ones."""
    before, after = list(column_types(old.schema()).items()), list(column_types(new.schema()).items())
    return after[: len(before)] == before


def _shape(table: DeltaTable) -> tuple[list[tuple[str, str]], list[str]]:
    return list(column_types(table.schema()).items()), table.metadata().partition_columns


def _link_all(source: Path, target: Path, files: Sequence[TableFile]) -> None:
    if torn := torn_files(source, files):
        raise TornFile("lake.torn_file", file=str(torn[0]))
    for file in files:
        link(source / file.path, target / file.path)
