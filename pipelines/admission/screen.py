"""Judging a delivery: a look clears most rows, and only the others are judged in full.

What is wrong with hardly a row is dear to ask of each by SQL. So rows are looked at first, a block at a time, in the
memory of Arrow. Texts that are nearly all different: for signs of dirt as bytes (`codecs.texts`), for numbers and codes
by tables (`codecs.pairs`). Texts that repeat have a dictionary in the raw file: SQL judges each of those once. What
rules ask of several columns, or of values that are no texts: by numpy (`looks`). Rows with nothing to be found are
cleared: what was looked at is not asked again of them, everything else is. The others are suspects, and everything is
asked of them. So a look may be too strict, but never too kind. Days, times and numbers that came as texts are looked at
too: where hardly one is written unusually (`codecs.usual`), those are suspects, and all others are read by a cast.

What SQL says belongs to `compile`, what becomes of judged rows to `admit`.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.admission.compile import (
    DIRTY,
    NOTHING,
    ROW,
    Admission,
    Cleared,
    Judgement,
    compile_contract,
    of_column,
    raw_rows,
    shapes,
)
from pipelines.admission.looks import ROWS, STORED, Block, Form, Forms, Held, Mask, block_rows, codes
from pipelines.codecs import cleaning, functions, usual
from pipelines.codecs.local_time import still_since
from pipelines.codecs.pairs import Judge
from pipelines.codecs.sql import identifier, literal
from pipelines.codecs.texts import Shape, Texts, places
from pipelines.connectors.base import EMPTIED
from pipelines.contracts.load import Column, Contracts
from pipelines.contracts.rules.rows import NOT_WHOLE
from pipelines.lake.parquet import repeating

WORTH = 300_000
"""Rows below which a look costs more than it saves: SQL takes 0.1 to 0.2 s to be asked of texts that repeat."""
FEW = 0.25
"""The share of suspects above which it does so, too."""
_HARDLY = 0.02
"""The share of a column's first texts that may be written unusually where the others are to gain from that."""
_WAITING = 20_000
"""How many suspects are written together."""
_KNOWN = 100_000
"""How many texts that repeat are remembered."""
_NUMBER = "file_row_number"
_STORED = {
    "TINYINT": (pa.int8(), Held.WHOLE),
    "SMALLINT": (pa.int16(), Held.WHOLE),
    "INTEGER": (pa.int32(), Held.WHOLE),
    "BIGINT": (pa.int64(), Held.WHOLE),
    "DOUBLE": (pa.float64(), Held.NUMBER),
    "BOOLEAN": (pa.bool_(), Held.FLAG),
    "DATE": (pa.date32(), Held.DATE),
    "TIMESTAMP": (pa.timestamp("us"), Held.CLOCK),
    "TIMESTAMP WITH TIME ZONE": (pa.timestamp("us", "UTC"), Held.INSTANT),
}
"""What is taken over as it is stored, by its type in DuckDB: its type in Arrow, and how it lies there."""


@dataclass(frozen=True)
class _Texts:
    """What is looked for in a column of texts: shapes that cleaning would change or a rule refuses, texts too long,
    what is no right number."""

    name: str
    shapes: Sequence[Shape]
    longest: int | None
    judge: Judge | None
    right: int

    def __call__(self, block: Block) -> Mask:
        column = block.column(self.name)
        suspects, texts = np.zeros(len(column), bool), Texts(column)
        if self.shapes:
            suspects[texts.shaped(self.shapes)] = True
        if self.longest is not None:
            suspects[texts.longer(self.longest)] = True
        if self.judge is not None:
            suspects |= (self.judge.numbers(column) != self.right) & block.present(self.name)
        return suspects


class _Repeating:
    """The different texts of a column in which they repeat: each is looked at once, and SQL asks all rules about
    nothing else of each that needs no cleaning."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, admission: Admission, contracts: Contracts, column: Column, folder: Path
    ) -> None:
        self._con, self._name, self._physical, self._folder = con, column.name, column.physical_name, folder
        self._shapes = shapes(column, contracts)
        alone, today = of_column(admission.contract, column), admission.context.today
        assert today is not None  # only exported contracts have none
        self._admission = compile_contract(alone, contracts, today, {self._physical: "VARCHAR"})
        self._good = dict[str | None, bool]()
        self._last: tuple[Any, Mask] = (None, np.zeros(0, bool))

    def __call__(self, block: Block) -> Mask:
        column = block.column(self._name)
        if self._last[0] is None or not column.dictionary.equals(self._last[0]):
            self._last = column.dictionary, self._judged(column.dictionary)
        good = self._last[1]
        if good.all():
            return np.zeros(len(column), bool)
        places = codes(column) + 1
        return ~good.take(np.where(block.missing(self._name), 0, places))

    def _judged(self, dictionary: Any) -> Mask:
        """Of NULL and of each text whether it is clean and fails no rule."""
        texts: list[str | None] = [None, *dictionary.to_pylist()]
        if len(self._good) > _KNOWN:
            self._good.clear()
        if new := [text for text in texts if text not in self._good]:
            self._good |= dict.fromkeys(new, True) | dict.fromkeys(self._failing(new), False)
        good = np.array([self._good[text] for text in texts])
        good[1 + Texts(dictionary).shaped(self._shapes)] = False
        return good

    def _failing(self, texts: list[str | None]) -> Iterator[str | None]:
        """The texts that fail a rule if they are taken as they are."""
        if not self._admission.judgements:
            return
        file = self._folder / f"texts-{uuid.uuid4().hex}.parquet"  # DuckDB remembers what lay in one of the same name
        try:
            pq.write_table(pa.table({self._physical: pa.array(texts, pa.string())}), file)
            rows = self._admission.judged(raw_rows(str(file)), "1 AS one", Cleared([self._name]))
            query = f"SELECT {ROW} FROM ({rows}) WHERE NOT ({self._admission.accepted})"
            failing = self._con.execute(query).fetchall()
        finally:
            file.unlink(missing_ok=True)
        for (row,) in failing:
            yield texts[row]


class _Suspects:
    """The file of suspects. Few at a time are written dearly, so some are kept waiting."""

    def __init__(self, file: Path, closing: ExitStack) -> None:
        self._file, self._closing = file, closing
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[Any] = []

    def add(self, rows: Any) -> None:
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) > _WAITING:
            self.write()

    def write(self) -> None:
        """All that wait."""
        if self._waiting:
            some = pa.Table.from_batches(self._waiting).unify_dictionaries()
            self._writer = self._writer or self._closing.enter_context(pq.ParquetWriter(self._file, some.schema))
            self._writer.write_table(some)
            self._waiting.clear()


class Screen:
    """The looks at one raw file, and what they tell of the rows that they clear. `scratch`: a folder for what is needed
    on the way."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, admission: Admission, contracts: Contracts, path: Path, scratch: Path
    ) -> None:
        self._con, self._admission, self._path = con, admission, path
        with pq.ParquetFile(path) as file:
            self._schema, self._metadata = file.schema_arrow, file.metadata
        self.rows: int = self._metadata.num_rows
        self._repeating = [name for name in repeating(self._metadata) if self._is_text(name)]
        self.held = dict(self._lying())
        """How columns of cleared rows lie in the file."""
        usually = [column for column in admission.contract.columns if self._usual(column)]
        for column in usually:
            if column.definition.logicalType == "date" and column.physical_name not in self._repeating:
                self.held[column.name] = Held.DAY
        self._ahead = still_since(admission.context.timezone)[1]
        self._forms: list[Form] = []
        clean, rules, right = set[str](), set[str](), set[tuple[str, str]]()
        asked = set(functions.asked(judgement.predicate for judgement in admission.judgements))
        count = Counter(column for _, column in asked)
        numbers = {column: name for name, column in asked if count[column] == 1}
        for column in admission.contract.columns:
            name = column.name
            if name not in self.held or self.held[name] in STORED:
                continue
            clean.add(name)
            if column.physical_name in self._repeating:
                self._forms.append(_Repeating(con, admission, contracts, column, scratch))
                rules.update(
                    one.rule for one in self._alone(name) if one.asked is None or one.asked.about.scope == "row"
                )
            else:
                self._forms.append(look := self._look(column, contracts, numbers.get(name)))
                rules.update(self._answered(name, numbers.get(name)))
                if look.judge:
                    right.add((numbers[name], name))
        forms = Forms(con, admission.context, self.held, frozenset(right))
        rules.update(self._formed(forms, rules))
        closed = [column for column in admission.contract.columns if column.name in admission.closed & self.held.keys()]
        self._forms += (forms.open_end(column.name, _open_days(column)) for column in closed)
        self._forms += (forms.unusual(column.name, column.definition.logicalType) for column in usually)
        self.cleared = Cleared(
            clean, [column.name for column in closed], rules, right, [column.name for column in usually]
        )

    def suspects(self, file: Path) -> int | None:
        """Write the rows that are not cleared to a file, and count them; None if they are no few."""
        found = 0
        if not self._forms:  # then the file need not be read
            return found
        with ExitStack() as closing:
            raw = closing.enter_context(pq.ParquetFile(self._path, read_dictionary=self._repeating))
            file_of_them, start = _Suspects(file, closing), 0
            for rows_of_file in raw.iter_batches(block_rows(self._metadata), use_threads=False):
                marks = self._marks(rows_of_file)
                rows = np.flatnonzero(marks)
                found += len(rows)
                if found > self.rows * FEW:
                    return None
                if len(rows):
                    file_of_them.add(rows_of_file.take(places(rows)).append_column(_NUMBER, places(rows + start)))
                start += len(rows_of_file)
            file_of_them.write()
        return found

    def _marks(self, rows: Any) -> Mask:
        """Which rows of a batch are suspects."""
        columns = self._admission.contract.columns
        held = {one.name: rows[one.physical_name] for one in columns if one.name in self.held}
        block = Block(held, self.held, self._ahead)
        marks = np.zeros(len(rows), bool)
        for form in self._forms:
            marks |= form(block)
        return marks

    def _lying(self) -> Iterator[tuple[str, Held]]:
        """The columns that are what was delivered, each with how it lies in the file."""
        for column in self._admission.contract.columns:
            name, physical = column.name, column.physical_name
            if name in self._admission.replaced or physical not in self._schema.names:
                continue
            stored = self._admission.stored.get(name, "DATE" if name in self._admission.closed else "")
            if stored:
                kind, held = _STORED[stored]
                if self._schema.field(physical).type == kind:
                    yield name, held
            elif self._is_text(physical):
                text = Held.REPEATING if physical in self._repeating else Held.TEXT
                yield name, text if column.definition.logicalType == "string" else Held.WRITTEN

    def _formed(self, forms: Forms, answered: Collection[str]) -> list[str]:
        """The rules that no cleared row fails for what they ask of values, or of several columns."""
        rules = []
        for one in self._admission.judgements:
            if one.rule in answered:
                continue
            if form := self._form(forms, one):
                self._forms.append(form)
                rules.append(one.rule)
        return rules

    def _form(self, forms: Forms, one: Judgement) -> Form | None:
        if one.asked is not None:
            return forms.of(one.asked)
        return forms.readable(one.alone) if one.alone and self.held.get(one.alone) in STORED else None

    def _usual(self, column: Column) -> bool:
        """Whether a column is one of texts for something else, of which at first hardly one is written unusually."""
        kind, physical = column.definition.logicalType, column.physical_name
        if self.held.get(column.name) is not Held.WRITTEN or kind not in usual.READ:
            return False
        with pq.ParquetFile(self._path) as file:
            first = next(file.iter_batches(ROWS, columns=[physical], use_threads=False), None)
        if first is None:
            return False
        texts = first.column(0).drop_null()
        return int(usual.unusual(texts, kind, self._admission.context.timezone).sum()) <= len(texts) * _HARDLY

    def _is_text(self, name: str) -> bool:
        return name in self._schema.names and self._schema.field(name).type == pa.string()

    def _look(self, column: Column, contracts: Contracts, function: str | None) -> _Texts:
        lengths = [length for one in self._alone(column.name) if (length := _longest(one)) is not None]
        judge, right = (functions.judge(function), functions.right(function)) if function else (None, 0)
        wrong = [shape for one in self._alone(column.name) if (shape := _wrong(one)) is not None]
        looked = [*shapes(column, contracts), *wrong]
        return _Texts(column.name, looked, min(lengths, default=None), judge, right)

    def _answered(self, column: str, function: str | None) -> list[str]:
        """The rules that no cleared row fails."""
        return [
            one.rule
            for one in self._alone(column)
            if _longest(one) is not None or _wrong(one) or (function and self._passes(one.predicate, function, column))
        ]

    def _alone(self, column: str) -> list[Judgement]:
        """What is asked of a column and nothing else."""
        return [one for one in self._admission.judgements if one.alone == column]

    def _passes(self, predicate: str, function: str, column: str) -> bool:
        """Whether a rule asks for nothing but the answer of a function, and no right number or code fails it."""
        name = identifier(column)
        if name in predicate.replace(f"{function}({name})", ""):
            return False
        asked = functions.answered_right(predicate, function, column)
        probe = f"(VALUES ('', NULL), (NULL, NULL)) t({name}, {EMPTIED})"  # an erased cell is only let off more
        return (False,) not in self._con.execute(f"SELECT {asked} FROM {probe}").fetchall()


def _open_days(column: Column) -> Iterator[date]:
    """The days that stand for none."""
    for step in column.clean:
        if step.verb == "open_end":
            for day in cleaning.open_ends(**step.arguments):
                with suppress(ValueError):  # a word, or no day
                    yield date.fromisoformat(day)


def _wrong(one: Judgement) -> Shape | None:
    """The shape of the texts that a rule refuses, if it asks for nothing else."""
    return NOT_WHOLE if one.asked is not None and one.asked.verb == "cell_whole" else None


def _longest(one: Judgement) -> int | None:
    """How many characters a text may have, if that is what is asked."""
    return one.asked.arguments["length"] if one.asked and one.asked.verb == "max_length" else None


class Judged(NamedTuple):
    """A query of judged rows (see `Admission.judged`), what is known of those that are not in the file of suspects, and
    how columns of theirs lie in raw. Where columns of texts for something else are written as usual, all suspects count
    as dirty."""

    query: str
    cleared: Cleared = NOTHING
    held: Mapping[str, Held] = MappingProxyType({})


def judged(
    con: duckdb.DuckDBPyConnection, admission: Admission, contracts: Contracts, path: Path, kept: str, suspects: Path
) -> Judged:
    """All rows of a raw file, judged. Rows that were not cleared by a look are in the file `suspects` afterwards, if
    there are any; it has to stay as long as the query is asked."""
    raw = raw_rows(str(path))
    everything = Judged(admission.judged(raw, kept))
    if pq.read_metadata(path).num_rows < WORTH:
        return everything
    screen = Screen(con, admission, contracts, path, suspects.parent)
    found = screen.suspects(suspects)
    if found == 0:
        return Judged(admission.judged(raw, kept, screen.cleared), screen.cleared, screen.held)
    some = _suspect_rows(suspects)
    if found is None or _columns(con, raw) != _columns(con, some):  # types that Arrow does not have
        suspects.unlink(missing_ok=True)
        return everything
    # only then left out, for judged rows are narrow, and a selection of rows has no dictionaries any more
    cleared = admission.judged(raw, kept, screen.cleared)
    rest = f"SELECT j.* FROM ({cleared}) j ANTI JOIN {some} s ON s.{_NUMBER} = j.{ROW}"
    told = admission.judged(some, kept)
    if screen.cleared.usual:
        told = f"SELECT * REPLACE (true AS {DIRTY}) FROM ({told})"
    return Judged(f"{rest} UNION ALL {told}", screen.cleared, screen.held)


def suspected(suspects: Path) -> str:
    """A query of the `_row` of all suspects."""
    some = _suspect_rows(suspects) if suspects.exists() else f"(SELECT NULL::BIGINT AS {_NUMBER} LIMIT 0)"
    return f"SELECT {_NUMBER} AS {ROW} FROM {some}"


def suspects_but(others: str, path: Path, suspects: Path) -> str:
    """All suspects but some other rows, as raw rows to be inserted (see `Admission.decoded`). `others`: a query of
    their `_row`."""
    some = _suspect_rows(suspects) if suspects.exists() else f"(FROM {raw_rows(str(path))} LIMIT 0)"
    return f"SELECT s.*, 'I' AS _op, true AS {DIRTY} FROM {some} s ANTI JOIN ({others}) o ON o.{ROW} = s.{_NUMBER}"


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
