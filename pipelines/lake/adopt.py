"""A table another engine wrote, made one of ours: its files stay, its log is written anew.

Engines differ in what they log: columns that must not be NULL because today none is, statistics that are cut off,
settings we did not choose. Belongs here: statistics read back from the files themselves. Not: writing rows.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from deltalake import Schema
from deltalake.schema import PrimitiveType

from pipelines.lake.columns import delta_schema
from pipelines.lake.delta import TableFile, column_types, create, open_table, table_files
from pipelines.lake.file_stats import kept_stats
from pipelines.lake.parquet import make_durable

UNSURE = {"float", "double"}  # the bounds in a Parquet file do not say whether there are NaN beside them


def adopt(location: Path) -> int:
    """Replace the log of a table by one of ours with the same files; returns its version, 0.

    Version 0 was ours or empty: its files keep their statistics, those of all others are read back. Nobody else may
    use the table meanwhile. Raises MissingTable, RefusedType.
    """
    table = open_table(location)
    ours = {file.path: file for file in table_files(open_table(location, 0))}
    schema = delta_schema(location.name, column_types(table.schema()).items())
    partition_by = table.metadata().partition_columns
    files = [ours.get(file.path) or _read_back(location, schema, file) for file in table_files(table)]
    shutil.rmtree(location / "_delta_log")
    make_durable([location / file.path for file in files], location)
    return create(location, schema, files, partition_by)


def _read_back(location: Path, schema: Schema, file: TableFile) -> TableFile:
    footer = pq.read_metadata(location / file.path)
    seen: dict[str, Any] = {"num_records": footer.num_rows}
    if footer.num_row_groups:
        for name, bounds in _bounds(footer, schema):
            seen |= {f"{kind}.{name}": bound for kind, bound in zip(("min", "max", "null_count"), bounds, strict=True)}
    return TableFile(file.path, file.size, file.partition, kept_stats(schema, seen))


def _bounds(footer: Any, schema: Schema) -> Iterator[tuple[str, tuple[Any, Any, int]]]:
    """Minimum, maximum and number of NULLs of every column that has them in all row groups."""
    plain = {field.name for field in schema.fields if isinstance(field.type, PrimitiveType)}
    sure = {field.name for field in schema.fields if field.name in plain and field.type.type not in UNSURE}
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    for place in range(footer.num_columns):
        parts = [group.column(place) for group in groups]
        name, statistics = parts[0].path_in_schema, [part.statistics for part in parts]
        if name not in sure or not all(part and part.has_null_count for part in statistics):
            continue
        filled = [part for part in statistics if part.has_min_max]
        if filled and all(part.has_min_max or not part.num_values for part in statistics):
            low, high = min(part.min for part in filled), max(part.max for part in filled)
            yield name, (low, high, sum(part.null_count for part in statistics))
