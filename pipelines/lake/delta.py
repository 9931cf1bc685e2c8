"""Everything that touches `_delta_log`: open, scan and commit one version of a Delta table on a local disk.

Belongs here: the log and optimistic commits. Does not belong here: writing Parquet, zones, or deciding which version
readers see.
"""

import json
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from pipelines.codecs.sql import identifier, literal
from pipelines.lake.columns import delta_schema, duckdb_type
from pipelines.lake.errors import (
    BadName,
    ChangedColumns,
    MissingTable,
    NullPartition,
    StaleWrite,
    TornFile,
    disk_full_named,
)
from pipelines.lake.file_stats import kept_stats, written_stats
from pipelines.lake.parquet import WrittenFile, make_durable

Strategy = Literal["table", "append", "replace_partition", "merge"]

# Published versions must stay readable for years: checkpoints are written, but log entries are never dropped.
CONFIGURATION = {"delta.enableExpiredLogCleanup": "false"}
IS_TEST = "is_test"
"""What the metadata of a commit say of made-up data; the table that it makes has it for a description."""
METADATA = "citylake"  # one key of commitInfo holds all we were given, apart from what deltalake adds
PARTITION_VALUE = re.compile(r"[A-Za-z0-9_.-]+")  # anything else is URL-encoded in paths, on which readers differ
PARTITION_TYPES = {"string", "date", "byte", "short", "integer", "long"}


@dataclass(frozen=True)
class Scan:
    """How DuckDB reads one Delta version: `select {columns} from {source}`; the source also offers `filename`."""

    columns: str
    source: str


@dataclass(frozen=True)
class TableFile:
    """One data file of a version: path below the table, bytes, partition values as text, Delta statistics."""

    path: str
    size: int
    partition: dict[str, str]
    stats: dict[str, Any]


def open_table(location: Path, version: int | None = None) -> DeltaTable:
    """A Delta table at one version, by default the latest. Raises MissingTable."""
    try:
        return DeltaTable(location, version=version)
    except DeltaError as error:
        raise _missing(location, version) from error


def _missing(location: Path, version: int | None) -> MissingTable:
    if version is None:
        return MissingTable("lake.no_table", location=str(location))
    return MissingTable("lake.no_version", location=str(location), version=version)


def latest(location: Path) -> int | None:
    """The newest version of a table, None when there is no table."""
    return open_table(location).version() if DeltaTable.is_deltatable(str(location)) else None


def table_files(table: DeltaTable) -> list[TableFile]:
    """The data files of a version, ordered by path."""
    schema, partition_by = table.schema(), table.metadata().partition_columns
    return sorted(
        (
            TableFile(
                path=add["path"],
                size=add["size_bytes"],
                partition={name: str(add[f"partition.{name}"]) for name in partition_by},
                stats=kept_stats(schema, add),
            )
            for add in _adds(table)
        ),
        key=lambda file: file.path,
    )


def strange(table: DeltaTable, made_up: Collection[bool]) -> list[str]:
    """What the log of a version tells its readers besides columns and files that we do not write: by the names of
    Delta's protocol, and columns by theirs. `made_up`: whether the table is described as made-up data, or either."""
    metadata, protocol, fields = table.metadata(), table.protocol(), table.schema().fields
    kept = {
        "protocol": protocol.min_reader_version == 1 and not protocol.reader_features,
        "name": metadata.name is None,
        "description": metadata.description in {IS_TEST if one else None for one in made_up},
        "configuration": metadata.configuration == CONFIGURATION,
    }
    plain = _plain(tuple(column_types(table.schema()).items()))
    columns = {one.name: one.to_json() == ours for one, ours in zip(fields, plain, strict=True)}
    return [name for name, as_ours in [*kept.items(), *columns.items()] if not as_ours]


@lru_cache
def _plain(types: tuple[tuple[str, str], ...]) -> list[str]:
    """Columns as we write them, in Delta's JSON: any may be NULL, and nothing else is said of one."""
    return [field.to_json() for field in delta_schema("", types).fields]


def torn_files(location: Path, files: Iterable[TableFile]) -> list[Path]:
    """Those of the files below `location` that are gone or have not the length their table says."""
    paths = ((location / file.path, file.size) for file in files)
    return [path for path, size in paths if not path.is_file() or path.stat().st_size != size]


def is_readable(location: Path, version: int) -> bool:
    """Whether a version is there, with all of its files in full length."""
    try:
        return not torn_files(location, table_files(open_table(location, version)))
    except MissingTable:
        return False


def row_count(table: DeltaTable) -> int:
    """Rows of a version, from the statistics of its files."""
    return sum(add["num_records"] for add in _adds(table))


def lowest(table: DeltaTable, column: str) -> Any:
    """The smallest value of a column, from statistics; None without rows or where a file with rows has no statistics
    of it."""
    values: list[Any] = [add.get(f"min.{column}") for add in _adds(table) if add["num_records"] != 0]
    return None if None in values else min(values, default=None)


def table_location(table: DeltaTable) -> Path:
    """Where a table lies; deltalake itself gives a percent-encoded address, which no file system call understands."""
    return Path(unquote(table.table_uri.removeprefix("file://")))


def scan(table: DeltaTable) -> Scan:
    """How DuckDB reads one version through read_parquet, with partition columns, columns added later, or no rows.

    deltalake's own pyarrow readers are not used: they lose rows in filtered reads. Raises TornFile if the newest file
    cannot be read.
    """
    types = {field.name: duckdb_type(field.type) for field in table.schema().fields}
    partitions = {name: types[name] for name in table.metadata().partition_columns}
    adds = sorted(_adds(table), key=lambda add: (add["modification_time"], add["path"]))
    location, columns = table_location(table), ", ".join(map(identifier, types))
    if not adds:
        return Scan(columns, f"({_no_rows(types)})")
    paths = [str(location / add["path"]) for add in adds]
    source = _read_parquet(paths, partitions)
    # The newest file almost always has every column; if the schema grew without new rows, an empty branch adds them.
    if types.keys() - partitions.keys() - _names(paths[-1]):
        source = f"({_no_rows(types)} union all by name select *, filename from {source})"
    return Scan(columns, source)


def _names(path: str) -> set[str]:
    try:
        return set(pq.read_schema(path).names)
    except (pa.ArrowInvalid, OSError) as error:
        raise TornFile("lake.torn_file", file=path) from error


def added(table: DeltaTable, earlier: DeltaTable) -> str | None:
    """What DuckDB reads of the files that a table has since an earlier version of it, all columns of the table; None
    if a file of that version is gone. Only of tables without partitions."""
    types = {field.name: duckdb_type(field.type) for field in table.schema().fields}
    now, then = ({add["path"] for add in _adds(one)} for one in (table, earlier))
    if then - now or table.metadata().partition_columns:
        return None
    paths = [str(table_location(table) / path) for path in sorted(now - then)]
    return f"({_no_rows(types)}{f' union all by name from {_read_parquet(paths, {})}' if paths else ''})"


def _read_parquet(paths: Sequence[str], partitions: Mapping[str, str]) -> str:
    options = ""
    if len(paths) > 1:  # older files may have fewer columns; costs 50 us a file to look
        options += ", union_by_name = true"
    if partitions:
        types = ", ".join(f"{identifier(name)}: {kind}" for name, kind in partitions.items())
        options += f", hive_partitioning = true, hive_types = {{{types}}}"
    else:
        options += ", hive_partitioning = false"
    return f"read_parquet([{', '.join(map(literal, paths))}]{options})"


def _no_rows(types: Mapping[str, str]) -> str:
    nulls = ", ".join(f"cast(null as {kind}) as {identifier(name)}" for name, kind in types.items())
    return f"select {nulls}, cast(null as varchar) as filename where false"


def commit(
    location: Path,
    schema: Schema,
    strategy: Strategy,
    base_version: int | None,
    written: Sequence[WrittenFile],
    replaced: Sequence[str] = (),
    partition_by: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    transaction: tuple[str, int] | None = None,
    evolve: bool = False,
) -> int:
    """One Delta transaction over files already written below `location`; returns the new version.

    `base_version` is the version the rows were computed from, None to create the table; anything newer in the table is
    refused. `replaced` are the absolute names of files that go: those a merge rewrote, those of emptied partitions.
    `transaction` is (application id, number). Partitions may be replaced by such with more columns, and `evolve` lets
    an append add columns or lack some: those new are added by a commit of their own, which changes no row, and what was
    there before is NULL in them. A commit that changes nothing and carries no transaction is not written.

    Raises StaleWrite, ChangedColumns, NullPartition, BadName, DiskFull. Whatever is raised, the old version stands.
    """
    _check_partitions(location, schema, partition_by)
    adds = [_new_file(location, schema, file) for file in written]
    with disk_full_named(location):
        make_durable([Path(file.path) for file in written], location)
        if base_version is None:
            return create(location, schema, adds, partition_by, metadata, transaction)
        table = open_table(location, base_version)
        if strategy == "table":
            return write(table, adds, [], metadata, transaction, overwrite=schema)
        if not (evolve and strategy == "append"):
            _require_columns(table, location, schema, more=strategy == "replace_partition")
        table = add_columns(table, location, schema)
        removes = _removed(table, location, strategy, replaced, adds)
        if not (adds or removes or transaction):
            return table.version()
        return write(table, adds, removes, metadata, transaction)


def create(
    location: Path,
    schema: Schema,
    files: Sequence[TableFile],
    partition_by: Sequence[str],
    metadata: Mapping[str, str] | None = None,
    transaction: tuple[str, int] | None = None,
) -> int:
    """Version 0 of a new table. The files must be durable already."""
    location.mkdir(parents=True, exist_ok=True)
    with _stale_named(location, None):
        _create("error", location, schema, files, partition_by, metadata, transaction)
    _make_log_durable(location, 0)
    return 0


def replace(
    table: DeltaTable,
    schema: Schema,
    files: Sequence[TableFile],
    partition_by: Sequence[str],
    metadata: Mapping[str, str],
    transaction: tuple[str, int],
) -> int:
    """The version after `table`, the latest, with other columns, partitioning and files. They must be durable."""
    location, before = table_location(table), table.version()
    _create("overwrite", location, schema, files, partition_by, metadata, transaction)
    _make_log_durable(location, before + 1)
    return before + 1


def _create(
    mode: Literal["error", "overwrite"],
    location: Path,
    schema: Schema,
    files: Sequence[TableFile],
    partition_by: Sequence[str],
    metadata: Mapping[str, str] | None,
    transaction: tuple[str, int] | None,
) -> None:
    create_table_with_add_actions(
        str(location),
        schema,
        [_add_action(file) for file in files],
        mode=mode,
        partition_by=list(partition_by),
        configuration=CONFIGURATION,
        description=IS_TEST if IS_TEST in (metadata or {}) else None,  # deltalake refuses properties of ours
        commit_properties=_properties(metadata, transaction),
    )


def write(
    table: DeltaTable,
    adds: Sequence[TableFile],
    removes: Sequence[TableFile],
    metadata: Mapping[str, str] | None = None,
    transaction: tuple[str, int] | None = None,
    overwrite: Schema | None = None,
) -> int:
    """The version after `table`: its files without `removes` and with `adds`; `overwrite` replaces all and the schema.

    The files must be durable already. Raises StaleWrite when the table has moved on.
    """
    location, before = table_location(table), table.version()
    now = int(time.time() * 1000)
    actions: list[AddAction | RemoveAction] = [_add_action(file) for file in adds]
    actions += [RemoveAction(file.path, True, now, file.size, {**file.partition}) for file in removes]
    with _stale_named(location, before):
        table.create_write_transaction(
            actions,
            "overwrite" if overwrite else "append",  # deltalake takes removes only with "append"
            overwrite or table.schema(),
            table.metadata().partition_columns,
            commit_properties=_properties(metadata, transaction),
        )
    _make_log_durable(location, before + 1)
    return before + 1


def committed(location: Path, app_id: str) -> int | None:
    """The newest transaction number an application committed to a table; None if none, or if there is no table."""
    if not DeltaTable.is_deltatable(str(location)):
        return None
    return open_table(location).transaction_version(app_id)


def transaction_commit(location: Path, app_id: str, number: int) -> int | None:
    """The version that carries a transaction, searched from the newest down; None if there is none."""
    for log in sorted((location / "_delta_log").glob("[0-9]*.json"), reverse=True):
        for action in _log_actions(log):
            if (found := action.get("txn")) and (found["appId"], found["version"]) == (app_id, number):
                return int(log.stem)
    return None


def commit_metadata(location: Path, version: int) -> dict[str, str]:
    """The metadata given to the commit of a version. Raises MissingTable."""
    log = log_file(location, version)
    if not log.exists():
        raise _missing(location, version)
    infos = [action["commitInfo"] for action in _log_actions(log) if "commitInfo" in action]
    return dict(infos[0].get(METADATA, {})) if infos else {}


def log_file(location: Path, version: int) -> Path:
    """Where the commit of a version is written."""
    return location / "_delta_log" / f"{version:020}.json"


def log_lines(log: Path) -> list[bytes]:
    """The actions of one entry of a log, each as JSON. Values in statistics may hold what ends lines of text (U+2028,
    U+0085), and those end none here."""
    return [line for line in log.read_bytes().splitlines() if line]


def _log_actions(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_lines(log)]


def _adds(table: DeltaTable) -> list[dict[str, Any]]:
    adds: list[dict[str, Any]] = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return adds


def _properties(metadata: Mapping[str, str] | None, transaction: tuple[str, int] | None) -> CommitProperties:
    return CommitProperties(
        custom_metadata={METADATA: dict(metadata or {})},
        max_commit_retries=0,  # a retry would accept what another writer changed
        app_transactions=[Transaction(*transaction)] if transaction else None,
    )


def _make_log_durable(location: Path, version: int) -> None:
    make_durable([log_file(location, version)], location)


@contextmanager
def _stale_named(location: Path, base_version: int | None) -> Iterator[None]:
    try:
        yield
    except DeltaError as error:
        if not isinstance(error, CommitFailedError) and "already exists" not in str(error):
            raise
        if base_version is None:
            raise StaleWrite("lake.stale_create", location=str(location)) from error
        raise StaleWrite("lake.stale_write", location=str(location), version=base_version) from error


def _check_partitions(location: Path, schema: Schema, partition_by: Sequence[str]) -> None:
    for field in schema.fields:
        if field.name in partition_by and str(getattr(field.type, "type", "")) not in PARTITION_TYPES:
            raise BadName("lake.partition_type", location=str(location), column=field.name)


def _new_file(location: Path, schema: Schema, file: WrittenFile) -> TableFile:
    for name, value in file.partition.items():
        if value in (None, "NULL", "__HIVE_DEFAULT_PARTITION__"):
            raise NullPartition("lake.partition_null", location=str(location), column=name)
        if not PARTITION_VALUE.fullmatch(value):
            raise BadName("lake.partition_value", location=str(location), column=name, value=value)
    stats = written_stats(schema, file.rows, file.statistics)
    return TableFile(os.path.relpath(file.path, location), file.size, dict(file.partition), stats)


def _add_action(file: TableFile) -> AddAction:
    now = int(time.time() * 1000)
    return AddAction(file.path, file.size, file.partition, now, True, json.dumps(file.stats, ensure_ascii=False))


def _removed(
    table: DeltaTable, location: Path, strategy: Strategy, replaced: Sequence[str], adds: Sequence[TableFile]
) -> list[TableFile]:
    """The files named; for replace_partition also every file of the partitions just written."""
    named = {os.path.relpath(name, location) for name in replaced}
    partitions = [file.partition for file in adds] if strategy == "replace_partition" else []
    if not (named or partitions):
        return []
    return [file for file in table_files(table) if file.path in named or file.partition in partitions]


def column_types(schema: Schema) -> dict[str, str]:
    """Name to Delta type, in column order, nullability left out."""
    return {field.name: duckdb_type(field.type) for field in schema.fields}


def _require_columns(table: DeltaTable, location: Path, schema: Schema, more: bool) -> None:
    """Refuse other columns than the table has; `more`: those that it lacks may come."""
    old, new = column_types(table.schema()), column_types(schema)
    compared = old.keys() if more else old.keys() | new.keys()
    changed = sorted(name for name in compared if old.get(name) != new.get(name))
    if changed:
        raise ChangedColumns("lake.columns_changed", location=str(location), columns=", ".join(changed))


def add_columns(table: DeltaTable, location: Path, schema: Schema) -> DeltaTable:
    """The table with the columns it lacks, nullable, after its own: a commit that changes no row.

    Raises ChangedColumns where types of columns on both sides differ, StaleWrite.
    """
    old = column_types(table.schema())
    changed = sorted(name for name, kind in column_types(schema).items() if old.get(name, kind) != kind)
    if changed:
        raise ChangedColumns("lake.types_changed", location=str(location), columns=", ".join(changed))
    added = [field for field in schema.fields if field.name not in old]
    if not added:
        return table
    before = table.version()
    with _stale_named(location, before):
        table.alter.add_columns(added, commit_properties=_properties(None, None))
    _make_log_durable(location, before + 1)
    return open_table(location, before + 1)
