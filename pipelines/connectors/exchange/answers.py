"""What a Delta Sharing server says, line by line, in either response format: the table and its files.

Whatever would make rows come out wrong is Unsupported, never passed over.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pipelines.lake.delta import IS_TEST

HANDLED = frozenset(
    {"timestampNtz", "typeWidening", "typeWidening-preview", "v2Checkpoint", "vacuumProtocolCheck"}
    | {"columnMapping", "deletionVectors"}  # where the table has the feature and makes no use of it
)
"""Reader features of Delta that ask nothing of whoever reads the files by their list and casts their columns."""
TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
    "void": "VARCHAR",
}
"""Delta's types in SQL. Decimals keep their precision; what is nested becomes JSON."""
NESTED = "JSON"
MADE_UP_HEADER = IS_TEST.replace("_", "-")
"""The header in which a citylake says that what it holds is made up."""
Kind = Literal["insert", "delete", "changes"]
"""What the rows of a file are: there, gone, or each told by a column of its own."""
_KINDS: Mapping[str, Kind] = {"add": "insert", "remove": "delete", "cdf": "changes", "cdc": "changes"}
_DECIMAL = re.compile(r"decimal\(\s*([0-9]+)\s*,\s*([0-9]+)\s*\)")


class Unsupported(Exception):
    """A table that cannot be read rightly here. `feature`: by Delta's name."""

    def __init__(self, feature: str) -> None:
        self.feature = feature
        super().__init__(feature)


@dataclass(frozen=True)
class SharedTable:
    """One version of a table as one recipient sees it. `types`: SQL types by column, in order; `size` and `files`:
    bytes and number of its files where the server says so; `made_up`: whether it says that the rows are."""

    id: str
    version: int
    types: Mapping[str, str]
    partition_by: tuple[str, ...]
    size: int | None = None
    files: int | None = None
    made_up: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(self.types)

    @property
    def position(self) -> dict[str, Any]:
        """What is the same as long as nothing new can be pulled. A grant may change which rows and columns a recipient
        sees; servers then call the table by another id, or its columns differ. Rows may also be left away when a day is
        over, and the table is smaller then."""
        looks = json.dumps([list(self.types.items()), self.partition_by, self.size, self.files])
        return {"version": self.version, "table": self.id, "columns": hashlib.sha256(looks.encode()).hexdigest()}


@dataclass(frozen=True)
class SharedFile:
    """One file. `size` in bytes, 0 where the server does not say; `rows` where it says; `expires`: when the
    address ends, by this machine's steady clock."""

    id: str
    url: str = field(repr=False)
    size: int
    rows: int | None
    expires: float | None
    partition: Mapping[str, str | None]
    kind: Kind = "insert"


def read_table(lines: Sequence[Mapping[str, Any]], version: int, made_up: bool) -> SharedTable:
    """The table told by the lines `protocol` and `metaData`; `made_up`: whether the answer said so beside them.

    Raises Unsupported; KeyError, TypeError or ValueError for lines that are none.
    """
    protocol = next(line["protocol"] for line in lines if "protocol" in line)
    found = next(line["metaData"] for line in lines if "metaData" in line)
    metadata = found.get("deltaMetadata", found)
    _require_reader(protocol.get("deltaProtocol", protocol), metadata.get("configuration") or {})
    if metadata["format"]["provider"] != "parquet":
        raise Unsupported(str(metadata["format"]["provider"])[:40])
    types = {str(one["name"]): _sql_type(one["type"]) for one in json.loads(metadata["schemaString"])["fields"]}
    partition_by = tuple(metadata.get("partitionColumns") or ())
    if not types or not types.keys() >= set(partition_by):
        raise ValueError
    made_up = made_up or f"[{IS_TEST}]" in str(metadata.get("description"))
    size, files = found.get("size"), found.get("numFiles")
    return SharedTable(str(metadata["id"]), version, types, partition_by, size, files, made_up)


def read_change(line: Mapping[str, Any], clock: float) -> SharedFile | None:
    """One file of a change feed, None for a line about something else. Raises as `read_table` does."""
    if "file" in line:  # in the response format delta each action is in one
        single = line["file"]["deltaSingleAction"]
        kind = next(kind for kind in _KINDS if kind in single)
        return replace(
            read_file({**line["file"], "deltaSingleAction": {"add": single[kind]}}, clock), kind=_KINDS[kind]
        )
    kind = next((kind for kind in _KINDS if kind in line), "")
    return replace(read_file(line[kind], clock), kind=_KINDS[kind]) if kind else None


def read_file(said: Mapping[str, Any], clock: float) -> SharedFile:
    """One file told by a line `file`. `clock`: what makes the server's seconds since 1970 this machine's steady clock.
    Raises as `read_table` does."""
    add = said["deltaSingleAction"]["add"] if "deltaSingleAction" in said else said
    if add.get("deletionVector") or said.get("deletionVectorFileId"):
        raise Unsupported("deletionVectors")
    url, expires = add["path"] if "deltaSingleAction" in said else said["url"], said.get("expirationTimestamp")
    if not isinstance(url, str):
        raise TypeError
    stats = json.loads(add["stats"]) if add.get("stats") else {}
    return SharedFile(
        id=str(said["id"]),
        url=url,
        size=int(add.get("size") or said.get("size") or 0),
        rows=stats.get("numRecords"),
        expires=None if expires is None else int(expires) / 1000 + clock,
        partition={str(name): value for name, value in (add.get("partitionValues") or {}).items()},
    )


def _require_reader(protocol: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    version, features = int(protocol["minReaderVersion"]), protocol.get("readerFeatures") or ()
    if version > 3:
        raise Unsupported(f"minReaderVersion {version}")
    for feature in sorted(set(features) - HANDLED):
        raise Unsupported(str(feature)[:40])
    if configuration.get("delta.columnMapping.mode", "none") != "none":
        raise Unsupported("columnMapping")


def _sql_type(told: Any) -> str:
    if isinstance(told, dict):
        return NESTED
    if parts := _DECIMAL.fullmatch(told):
        return f"DECIMAL({parts[1]},{parts[2]})"
    if told not in TYPES:
        raise Unsupported(str(told)[:40])
    return TYPES[told]
