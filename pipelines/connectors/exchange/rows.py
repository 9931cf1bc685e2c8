"""Files of a shared table as one raw file: the columns of the table's own schema in its own types.

A file written before a column was there has NULL for it; values of partition columns, which are not in files, come
from the server's list.
"""

from collections.abc import Sequence

import duckdb

from pipelines.codecs.sql import identifier, literal, literals
from pipelines.connectors.base import Request
from pipelines.connectors.exchange.answers import NESTED, SharedTable
from pipelines.connectors.exchange.files import Part
from pipelines.connectors.exchange.server import Server
from pipelines.engine import connect
from pipelines.lake.errors import NO_SPACE
from pipelines.lake.parquet import write_file

_FILE = "_citylake_file"


def write_files(request: Request, table: SharedTable, parts: Sequence[Part], server: Server) -> int:
    """Write all rows to the target and count them. Raises CitylakeError for a file that is no Parquet, values that are
    not of the table's types, and another number of rows than the server told."""
    try:
        with connect(request.scratch) as con:
            count = write_file(con, rows_of(con, table, parts), request.target)
    except duckdb.Error as error:
        if NO_SPACE.search(str(error)):
            raise
        raise server.error("pull.exchange_rows", problem=type(error).__name__) from None  # its text quotes values
    told = [part.rows for part in parts if part.rows is not None]
    if len(told) == len(parts) and sum(told) != count:
        raise server.error("pull.exchange_rows", problem=f"{count} ≠ {sum(told)}")
    return count


def rows_of(con: duckdb.DuckDBPyConnection, table: SharedTable, parts: Sequence[Part]) -> str:
    """A query of all rows of files of a table, none without a file."""
    if not parts:
        return _nothing(table)
    files = literals(str(part.path) for part in parts)
    read = f"read_parquet([{files}], union_by_name = true, hive_partitioning = false, filename = '{_FILE}')"
    found = {name.casefold(): kind for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()}
    columns = []
    for name, kind in table.types.items():
        if name in table.partition_by:
            columns.append(f"{_typed(f'p.{identifier(name)}', kind)} AS {identifier(name)}")
        elif name.casefold() in found:
            columns.append(f"{_typed(f'f.{identifier(name)}', kind)} AS {identifier(name)}")
        else:
            columns.append(f"{_typed('NULL', kind)} AS {identifier(name)}")
    if not table.partition_by:
        return f"SELECT {', '.join(columns)} FROM {read} f"
    return f"SELECT {', '.join(columns)} FROM {read} f JOIN {_partitions(table, parts)} ON p.{_FILE} = f.{_FILE}"


def casts(table: SharedTable) -> str:
    """The columns of a raw file `f` of the table in the table's types."""
    columns = ((identifier(name), "VARCHAR" if kind == NESTED else kind) for name, kind in table.types.items())
    return ", ".join(f"CAST(f.{name} AS {kind}) AS {name}" for name, kind in columns)


def _nothing(table: SharedTable) -> str:
    columns = (f"{_typed('NULL', kind)} AS {identifier(name)}" for name, kind in table.types.items())
    return f"SELECT {', '.join(columns)} WHERE false"


def _typed(value: str, kind: str) -> str:
    return f"to_json({value})::VARCHAR" if kind == NESTED else f"CAST({value} AS {kind})"


def _partitions(table: SharedTable, parts: Sequence[Part]) -> str:
    """`p`, one row a file: its path and its partition values as text; Delta writes NULL as an empty text too.

    As literals: to be given a table, DuckDB loads all of pandas.
    """
    names = ", ".join((_FILE, *map(identifier, table.partition_by)))
    said = ((str(part.path), *(part.partition.get(name) or None for name in table.partition_by)) for part in parts)
    texts = (", ".join(f"{literal(value)}::VARCHAR" for value in values) for values in said)
    return f"(VALUES {', '.join(f'({row})' for row in texts)}) p({names})"
