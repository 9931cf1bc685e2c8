"""Core of a first delivery without SQL: rows that a look cleared, taken over from raw as columns of Arrow.

Nothing of such a row is to be cleaned, and every value is stored as what it is or written as usual. So a text is taken
as it lies there, and a day, a time or a number needs a cast at most. Texts that repeat come as numbers of a dictionary
and go into core as such; DuckDB would look up each of them anew, which makes its copy dear.

Belongs here: the values of whole columns. Does not belong here: which rows are cleared (`screen`), which of them count
(`changes`), and all other rows of core, which SQL decodes (`compile`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.admission.compile import ROW
from pipelines.admission.looks import STORED, Held, block_rows, plain
from pipelines.admission.screen import Judged
from pipelines.codecs import usual
from pipelines.codecs.local_time import still_since
from pipelines.codecs.texts import booleans, places
from pipelines.contracts.load import Column, SourceContract
from pipelines.lake.parquet import WrittenFile, repeating, write_tables

_INSTANT = pa.timestamp("us", "UTC")
_OPERATION = pa.dictionary(pa.int32(), pa.string())
_BLOCKS = 2
"""How many blocks become a row group of core: as many as make one of a raw file of DuckDB, for each of those has
dictionaries of its own."""

Values = Callable[[Any], Any]
"""From an Arrow column to another."""


@dataclass(frozen=True)
class Told:
    """What of a row of core was not delivered: `derived` columns, each with that which it is computed from; the batch;
    when it was known (`known_at`, microseconds since 1970)."""

    derived: Mapping[str, tuple[str, Values]]
    batch: int
    known_at: int

    def added(self, columns: Mapping[str, Any], rows: Any) -> dict[str, Any]:
        """These columns for some rows. `rows`: their places in raw."""
        derived = {name: values(plain(columns[of])) for name, (of, values) in self.derived.items()}
        inserted = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), len(rows)), pa.array(["I"]))
        batch = pa.repeat(pa.scalar(self.batch, pa.int64()), len(rows))
        known_at = pa.repeat(pa.scalar(self.known_at, _INSTANT), len(rows))
        return {**derived, "_op": inserted, "_batch": batch, ROW: rows, "_known_at": known_at}


@dataclass(frozen=True)
class Takeover:
    """How a raw file is taken over: of each column of core its name in the file, and how it is read."""

    path: Path
    columns: Mapping[str, tuple[str, Values]]

    def write(self, con: duckdb.DuckDBPyConnection, aside: str, told: Told, location: Path) -> list[WrittenFile]:
        """Write all rows below `location` but some. `aside`: a query of the `_row` of those."""
        con.execute(f"CREATE TABLE aside AS {aside}")
        repeat = repeating(pq.read_metadata(self.path))
        known = [name for name, (physical, _) in self.columns.items() if physical in repeat]
        return write_tables(self._tables(con, told), location, [*known, "_op", "_batch", "_known_at"])

    def _tables(self, con: duckdb.DuckDBPyConnection, told: Told) -> Iterator[Any]:
        """What becomes a row group each. Which rows are set aside is asked block by block, for they may be many."""
        with pq.ParquetFile(self.path) as raw:
            footer, schema = raw.metadata, raw.schema_arrow
        texts = [name for name in repeating(footer) if schema.field(name).type == pa.string()]
        wanted, start = [physical for physical, _ in self.columns.values()], 0
        with pq.ParquetFile(self.path, read_dictionary=texts) as raw:
            for group in range(raw.num_row_groups):
                blocks = raw.iter_batches(block_rows(footer), [group], wanted, use_threads=False)
                while some := list(islice(blocks, _BLOCKS)):
                    taken = []
                    for block in some:
                        end = start + len(block)
                        aside = con.execute(f"SELECT {ROW} FROM aside WHERE {ROW} >= {start} AND {ROW} < {end}")
                        taken.append(self._taken(block, start, [row - start for (row,) in aside.fetchall()], told))
                        start = end
                    yield pa.Table.from_batches(taken)

    def _taken(self, block: Any, start: int, aside: list[int], told: Told) -> Any:
        kept = np.ones(len(block), bool)
        kept[aside] = False
        rest = block.filter(booleans(kept))
        columns = {name: read(rest[physical]) for name, (physical, read) in self.columns.items()}
        columns |= told.added(columns, places(np.flatnonzero(kept) + start))
        return pa.RecordBatch.from_arrays([*columns.values()], [*columns])


def takeover(contract: SourceContract, judged: Judged, zone: str, path: Path) -> Takeover | None:
    """How cleared rows are taken over; None if a column takes SQL, or no row was cleared. `zone`: of local times."""
    ahead, columns = still_since(zone)[1], dict[str, tuple[str, Values]]()
    for column in contract.columns:
        read = _read(column, judged, ahead)
        if read is None:
            return None
        columns[column.name] = column.physical_name, read
    return Takeover(path, columns)


def _read(column: Column, judged: Judged, ahead: int) -> Values | None:
    """How a column is read; `ahead`: microseconds from UTC to local time."""
    held, kind = judged.held.get(column.name), column.definition.logicalType
    if held in (*STORED, Held.TEXT, Held.REPEATING):
        return lambda values: _stored(values, ahead)
    if held is not None and column.name in judged.cleared.usual:
        return lambda texts: _stored(plain(texts).cast(usual.ARROW[kind]), ahead)
    return None


def _stored(values: Any, ahead: int) -> Any:
    """A column of values as core has it."""
    if values.type == pa.timestamp("us"):
        return pc.subtract(values.cast(pa.int64()), ahead).cast(_INSTANT)
    if pa.types.is_floating(values.type):
        return pc.add(values, 0.0)  # not -0
    return values.cast(pa.int64()) if pa.types.is_integer(values.type) else values
