"""Pages written to files: the rows of one answer in one format, with the place where the next page begins.

An answer is complete before its first byte is sent: its rows are counted for the audit, and a mistake is an error,
not half a file. All answers share one DuckDB with one memory limit; what does not fit spills, so the size of an answer
costs disk, never memory.
"""

import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from catalog.delivery import formats, workbooks
from catalog.delivery.folders import PARTIAL, Folders, private
from catalog.delivery.rows import queries
from catalog.delivery.rows.cursors import Place
from catalog.delivery.rows.ordered import Ordered
from catalog.delivery.rows.problems import Problem
from catalog.delivery.rows.question import Question
from catalog.delivery.work import BOOK_COST
from catalog.delivery.workbooks import About
from pipelines import engine
from pipelines.codecs.sql import identifier, literal
from pipelines.lake.errors import LakeError, disk_full_named
from pipelines.waits import waits

MEMORY = os.environ.get("CITYLAKE_ROWS_MEMORY", "512MB")
"""What all answers together may use of DuckDB's memory."""
BATCH = 20_000
GROUP = 20_480
"""Rows of a page that are in memory until they are written: ten vectors of DuckDB."""

MEDIA_TYPES: Mapping[str, str] = {
    "json": formats.MEDIA_TYPES["json"],
    "csv": formats.MEDIA_TYPES["csv"],
    "ndjson": formats.MEDIA_TYPES["ndjson"],
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": formats.MEDIA_TYPES["parquet"],
    "xlsx": formats.MEDIA_TYPES["xlsx"],
}
"""The formats of answers, the one that is given without asking first."""


@dataclass(frozen=True)
class Page:
    """One answer: a folder of its own with the file in it, rows, and where the next page begins, None at the end."""

    folder: Path
    file: Path
    rows: int
    next: Place | None

    def drop(self) -> None:
        """Delete the file."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class _Order:
    """What is to be written where."""

    folder: Path
    query: queries.Query
    question: Question
    limit: int
    kind: str
    about: Callable[[int], About]


class Pages:
    """Writes pages below the folder where views are built. Safe to use from many threads."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._con: duckdb.DuckDBPyConnection | None = None
        self._spill = folders.root / PARTIAL / uuid.uuid4().hex

    def write(
        self,
        question: Question,
        rows: Ordered,
        after: Place | None,
        limit: int,
        kind: str,
        about: Callable[[int], About],
    ) -> Page:
        """The next `limit` rows after a place; `about` says what stands beside so many rows of a book.

        Raises Problem, DoesNotFit for XLSX, LakeError; Busy for a question that looks at many rows.
        """
        waits()
        written = min(limit, rows.rows) * (BOOK_COST if kind == "xlsx" else 1)
        with self._folders.work.place(max(looked_at(question, rows.rows, limit), written)):
            return self._written(question, rows, after, limit, kind, about)

    def _written(
        self,
        question: Question,
        rows: Ordered,
        after: Place | None,
        limit: int,
        kind: str,
        about: Callable[[int], About],
    ) -> Page:
        folder = self._folders.root / PARTIAL / uuid.uuid4().hex
        private(self._folders.root, folder)
        try:
            with self._cursor() as con, disk_full_named(folder):
                query = _asked(con, question, rows, after, limit + 1)
                return self._write(con, _Order(folder, query, question, limit, kind, about))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _write(self, con: duckdb.DuckDBPyConnection, order: _Order) -> Page:
        page, target = literal(str(order.folder / "page.parquet")), order.folder / f"answer.{order.kind}"
        asked = f"COPY ({order.query.text}) TO {page} (FORMAT parquet, ROW_GROUP_SIZE {GROUP})"
        ((found,),) = con.execute(asked, list(order.query.parameters)).fetchall()
        rows = min(int(found), order.limit)
        shown = ", ".join(identifier(column.name) for column in order.question.shown)
        # By position, for LIMIT holds what it lets through in memory to keep its order.
        query = f"SELECT {shown} FROM read_parquet({page}, file_row_number = true) WHERE file_row_number < {rows}"
        if order.kind == "xlsx":
            workbooks.require_rows(rows)
            workbooks.write(con, query, target, order.about(rows))
        elif order.kind == "arrow":
            _write_arrow(con, query, target)
        else:
            formats.WRITERS[order.kind](con, query, target)
        return Page(order.folder, target, rows, _place(con, order.question, page, rows) if found > rows else None)

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._lock:
            if self._con is None or not self._spill.is_dir():  # an erasure drops all that was made of rows, this too
                self._spill = self._folders.root / PARTIAL / uuid.uuid4().hex
                self._con = self._connect()
            else:
                os.utime(self._spill)  # what nobody touched for hours is taken for the rest of a killed process
            cursor = self._con.cursor()
        try:
            yield cursor
        except duckdb.OutOfRangeException as error:
            raise Problem("out_of_range") from error
        except duckdb.Error as error:
            raise LakeError("rows.engine", error=type(error).__name__) from error  # its text may hold values
        finally:
            cursor.close()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        private(self._folders.root, self._spill)
        con = engine.connect(self._spill, MEMORY)
        con.execute(
            "SET threads = 1"
        )  # sums of the same rows are the same to the last bit, and answers run side by side
        con.execute("SET preserve_insertion_order = true")  # pages without a sort rely on it
        con.execute("SET enable_progress_bar = false")
        # It would keep every page that was written, each read once, until all of MEMORY is full of them.
        con.execute("SET enable_external_file_cache = false")
        return con


def looked_at(question: Question, rows: int, limit: int) -> int:
    """How many of so many rows an answer may have to look at: all to filter, sort or put together, else those given."""
    all_of_them = question.filters or question.sort or question.aggregated
    return rows if all_of_them else min(limit, rows)


def _asked(
    con: duckdb.DuckDBPyConnection, question: Question, rows: Ordered, after: Place | None, limit: int
) -> queries.Query:
    """The question for at most `limit` rows after a place. Of many the end is looked for first, by the columns alone
    that choose and order them: then the rows themselves stream."""
    if not queries.streams(question, limit):
        return queries.page(question, rows.path, after, limit)
    end = None
    if limit < rows.rows:
        asked = queries.last(question, rows.path, after, limit)
        end = con.execute(asked.text, list(asked.parameters)).fetchone()
    return queries.until(question, rows.path, after, end)


def _place(con: duckdb.DuckDBPyConnection, question: Question, page: str, rows: int) -> Place:
    """The ordering values of the last row shown."""
    names = [identifier(queries.place_column(number)) for number, _ in enumerate(queries.orders(question))]
    source = f"read_parquet({page}, file_row_number = true) WHERE file_row_number = {rows - 1}"
    (found,) = con.execute(f"SELECT {', '.join(names)} FROM {source}").fetchall()
    return tuple(found)


def _write_arrow(con: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    batches = con.execute(query).to_arrow_reader(BATCH)
    with pa.OSFile(str(target), "wb") as file, pa.ipc.new_stream(file, batches.schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
