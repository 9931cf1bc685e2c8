"""Judging a delivery: a look at its texts clears most rows, and only the others are judged in full.

Texts that are nearly all different are dear to judge one by one, and hardly one needs cleaning or has a wrong number in
it. So they are looked at first, a block of rows at a time: for signs of dirt as bytes (`codecs.texts`), for numbers and
codes by tables (`codecs.pairs`). Rows with nothing to be found are cleared: what was looked at is not asked again of
them, everything else is. The others are suspects, and everything is asked of them. So a look may be too strict, but
never too kind. Texts that repeat have a dictionary in the raw file, and DuckDB judges each of those once anyway.

What SQL says belongs to `compile`, what becomes of judged rows to `admit`.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.admission.compile import ROW, Admission, Cleared, raw_rows, shapes
from pipelines.codecs import functions
from pipelines.codecs.pairs import Judge
from pipelines.codecs.sql import identifier, literal
from pipelines.codecs.texts import Shape, Texts, bits, places
from pipelines.connectors.base import EMPTIED
from pipelines.contracts.load import Column, Contracts

WORTH = 50_000
"""Rows below which a look costs more than it saves."""
FEW = 0.25
"""The share of suspects above which it does so, too."""
_ROWS, _BYTES = 122_880, 1 << 26
"""How many rows, and how much of them, are looked at together: a row group of DuckDB, unless its texts are long."""
_NUMBER = "file_row_number"


@dataclass(frozen=True)
class _Look:
    """What is looked for in one column: shapes that cleaning would change, texts too long, what is no right number."""

    name: str
    shapes: Sequence[Shape]
    longest: int | None
    judge: Judge | None
    right: int

    def mark(self, column: Any, suspects: npt.NDArray[np.bool_]) -> None:
        """Mark the rows that the column does not clear."""
        texts = Texts(column)
        if self.shapes:
            suspects[texts.shaped(self.shapes)] = True
        if self.longest is not None:
            suspects[texts.longer(self.longest)] = True
        if self.judge is not None:
            wrong = self.judge.numbers(column) != self.right
            suspects |= wrong & bits(column.is_valid()) if column.null_count else wrong


class Screen:
    """The looks at one raw file, and what they tell of the rows that they clear."""

    def __init__(self, con: duckdb.DuckDBPyConnection, admission: Admission, contracts: Contracts, path: Path) -> None:
        self._con, self._judgements, self._path = con, admission.judgements, path
        clean, rules, right = set[str](), set[str](), set[tuple[str, str]]()
        with pq.ParquetFile(path) as file:
            self._schema, self._metadata = file.schema_arrow, file.metadata
        self.rows: int = self._metadata.num_rows
        self._repeating = [name for name in self._schema.names if self._repeats(name)]
        asked = set(functions.asked(judgement.predicate for judgement in self._judgements))
        count = Counter(column for _, column in asked)
        numbers = {column: name for name, column in asked if count[column] == 1}
        self._looks = []
        for column in admission.contract.columns:
            name = column.physical_name
            if self._is_text(name) and name not in self._repeating and column.name not in admission.replaced:
                look = self._look(column, contracts, numbers.get(column.name))
                self._looks.append(look)
                clean.add(column.name)
                rules.update(self._answered(column.name, numbers.get(column.name)))
                if look.judge:
                    right.add((numbers[column.name], column.name))
        self.cleared = Cleared(clean, rules, right)

    def suspects(self, file: Path) -> int | None:
        """Write the rows that are not cleared to a file, and count them; None if they are no few."""
        found = 0
        if not self._looks:  # then the file need not be read
            return found
        with ExitStack() as closing:
            raw = closing.enter_context(pq.ParquetFile(self._path, read_dictionary=self._repeating))
            written, start = None, 0
            for block in raw.iter_batches(self._block(), use_threads=False):
                marks = np.zeros(len(block), bool)
                for look in self._looks:
                    look.mark(block[look.name], marks)
                rows = np.flatnonzero(marks)
                found += len(rows)
                if found > self.rows * FEW:
                    return None
                if len(rows):
                    some = block.take(places(rows)).append_column(_NUMBER, places(rows + start))
                    written = written or closing.enter_context(pq.ParquetWriter(file, some.schema))
                    written.write_batch(some)
                start += len(block)
        return found

    def _block(self) -> int:
        groups = map(self._metadata.row_group, range(self._metadata.num_row_groups))
        widest = max((group.total_byte_size // group.num_rows for group in groups if group.num_rows), default=0)
        return max(1, min(_ROWS, _BYTES // max(1, int(widest))))

    def _is_text(self, name: str) -> bool:
        return name in self._schema.names and self._schema.field(name).type == pa.string()

    def _repeats(self, name: str) -> bool:
        """Whether a column is one of texts and has a dictionary everywhere."""
        place = self._schema.names.index(name)
        chunks = (self._metadata.row_group(group).column(place) for group in range(self._metadata.num_row_groups))
        return self._is_text(name) and all(chunk.has_dictionary_page for chunk in chunks)

    def _look(self, column: Column, contracts: Contracts, function: str | None) -> _Look:
        lengths = [one.longest for one in self._judgements if one.alone == column.name and one.longest is not None]
        judge, right = (functions.judge(function), functions.right(function)) if function else (None, 0)
        return _Look(column.physical_name, shapes(column, contracts), min(lengths, default=None), judge, right)

    def _answered(self, column: str, function: str | None) -> list[str]:
        """The rules that no cleared row fails."""
        return [
            one.rule
            for one in self._judgements
            if one.alone == column
            and (one.longest is not None or (function and self._passes(one.predicate, function, column)))
        ]

    def _passes(self, predicate: str, function: str, column: str) -> bool:
        """Whether a rule asks for nothing but the answer of a function, and no right number or code fails it."""
        name = identifier(column)
        if name in predicate.replace(f"{function}({name})", ""):
            return False
        asked = functions.answered_right(predicate, function, column)
        probe = f"(VALUES ('', NULL), (NULL, NULL)) t({name}, {EMPTIED})"  # an erased cell is only let off more
        return (False,) not in self._con.execute(f"SELECT {asked} FROM {probe}").fetchall()


def judged(
    con: duckdb.DuckDBPyConnection, admission: Admission, contracts: Contracts, path: Path, kept: str, suspects: Path
) -> str:
    """A query of all rows of a raw file, judged (see `Admission.judged`). Rows that were not cleared by a look are in
    the file `suspects` afterwards, if there are any; it has to stay as long as the query is asked."""
    raw = raw_rows(str(path))
    everything = admission.judged(raw, kept)
    if pq.read_metadata(path).num_rows < WORTH:
        return everything
    screen = Screen(con, admission, contracts, path)
    found = screen.suspects(suspects)
    if found == 0:
        return admission.judged(raw, kept, screen.cleared)
    some = _suspect_rows(suspects)
    if found is None or _columns(con, raw) != _columns(con, some):  # types that Arrow does not have
        suspects.unlink(missing_ok=True)
        return everything
    # only then left out, for judged rows are narrow, and a selection of rows has no dictionaries any more
    cleared = admission.judged(raw, kept, screen.cleared)
    rest = f"SELECT j.* FROM ({cleared}) j ANTI JOIN {some} s ON s.{_NUMBER} = j.{ROW}"
    return f"{rest} UNION ALL {admission.judged(some, kept)}"


def delivered(con: duckdb.DuckDBPyConnection, rows: str, path: Path, suspects: Path) -> str:
    """Some rows as they were delivered, and others (see `raw_rows`): the file of suspects, if that has all of them.
    `rows`: a query with their `_row`."""
    if suspects.exists():
        some = _suspect_rows(suspects)
        others = con.execute(f"SELECT count(*) FROM ({rows}) r ANTI JOIN {some} s ON s.{_NUMBER} = r.{ROW}").fetchone()
        if others == (0,):
            return some
    return raw_rows(str(path))


def _suspect_rows(suspects: Path) -> str:
    return f"read_parquet({literal(str(suspects))})"


def _columns(con: duckdb.DuckDBPyConnection, rows: str) -> set[tuple[str, str]]:
    return {(name, kind) for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
