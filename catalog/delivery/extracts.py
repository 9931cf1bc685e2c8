"""Extracts: what one policy lets through of one version, as plain Parquet files with their own Delta metadata.

An extract is the released table itself when the policy hides nothing, a view built for the policy otherwise.
"""

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from deltalake import DeltaTable

from pipelines.lake import delta
from pipelines.waits import waits

WHOLE = "whole"
"""The key of an extract that is the released table itself."""
ENDED = "~"
"""In a key, before the last day that was over when rows whose days were over were left away."""


@dataclass(frozen=True)
class Part:
    """One Parquet file: name below the folder, bytes, rows, Delta statistics as JSON, partition values as text."""

    name: str
    size: int
    rows: int
    stats: str
    partition: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Extract:
    """Files and columns of one version under one policy. `key` names the policy; `fields` are Delta's own JSON."""

    product: str
    version: int
    key: str
    folder: Path
    fields: tuple[Mapping[str, Any], ...]
    partition_by: tuple[str, ...]
    parts: tuple[Part, ...]
    relation: str = field(repr=False)
    """SQL to read the rows: `SELECT ... FROM {relation}`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(item["name"] for item in self.fields)

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(part.rows for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(part.size for part in self.parts)

    @property
    def id(self) -> str:
        """A stable identifier of the table a caller sees; it stays the same over versions and days."""
        return str(uuid5(NAMESPACE_URL, f"citylake:{self.product}:{self.key.partition(ENDED)[0]}"))

    @property
    def edition(self) -> str:
        """What identifiers of its files begin with: clients keep a file by its identifier, and another version or day
        has other ones."""
        return f"{self.id}-{self.version}{''.join(self.key.partition(ENDED)[1:])}"


class Tables:
    """Extracts that are released tables themselves. A version only changes when an erasure or the end of a period
    rewrites its files and with them its log: recent ones are remembered as long as the log is the same."""

    def __init__(self, location: Callable[[str], Path], most: int = 64) -> None:
        self._location = location
        self._log = cache(lambda product: str(location(product) / "_delta_log"))
        self._most = most
        self._known: OrderedDict[tuple[str, int], tuple[int, Extract]] = OrderedDict()
        self._lock = Lock()

    def get(self, product: str, version: int) -> Extract:
        """The whole of one version. Raises MissingTable."""
        mark = _mark(self._log(product))
        with self._lock:
            if (found := self._known.get((product, version))) and found[0] == mark:
                return found[1]
        waits()
        location = self._location(product)
        made = _whole(product, version, location, delta.open_table(location, version))
        with self._lock:
            self._known[product, version] = mark, made
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return made


def _mark(log: str) -> int:
    """When an entry of a table's log was made or replaced last; 0 without a log."""
    try:
        return os.stat(log).st_mtime_ns
    except FileNotFoundError:
        return 0


def _whole(product: str, version: int, location: Path, table: DeltaTable) -> Extract:
    read = delta.scan(table)
    return Extract(
        product=product,
        version=version,
        key=WHOLE,
        folder=location,
        fields=plain_fields(table.schema().to_json()),
        partition_by=tuple(table.metadata().partition_columns),
        parts=tuple(
            Part(file.path, file.size, file.stats["numRecords"], json.dumps(file.stats), file.partition)
            for file in delta.table_files(table)
        ),
        relation=f"(SELECT {read.columns} FROM {read.source})",
    )


def plain_fields(schema: str) -> tuple[Mapping[str, Any], ...]:
    """The fields of a Delta schema in JSON, without any metadata a writer left in them."""
    fields = json.loads(schema)["fields"]
    return tuple({"name": item["name"], "type": item["type"], "nullable": True, "metadata": {}} for item in fields)
