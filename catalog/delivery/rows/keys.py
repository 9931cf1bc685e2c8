"""Look-ups by key: an index beside the ordered rows, for questions that name one key of the contract and nothing else.

SQLite finds a row by key about 40 times as fast as DuckDB reads it from Parquet. The index holds each row as the line
of JSON that the writer of all answers makes of it, under the place it has in the ordered file, so an answer from here
has the bytes that the long way would give. Built ahead for grants in force, else when somebody first asks
by key; it goes when views go.
"""

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from catalog.delivery import formats
from catalog.delivery.extracts import Extract
from catalog.delivery.rows.columns import Column, column_of
from catalog.delivery.rows.cursors import Place
from catalog.delivery.rows.ordered import Ordered, named, ordered
from catalog.delivery.rows.question import Question
from catalog.delivery.views import Views
from catalog.policy.decision import Allowed
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.resolved import Product
from pipelines.lake.errors import LakeError
from pipelines.waits import waits

FORMAT = 2
"""Part of the folder's name: raise it when indexes are built differently."""
KINDS = ("text", "integer", "date", "boolean")
"""Kinds of columns whose values have one form as text."""
FEW = 100
"""Rows of one key; who has more of them is no short answer."""
_FILE = "keys.sqlite"
_BATCH = 10_000


def key_of(product: Product, columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns of the contract's key, empty if the caller does not see all or they have no one form as text."""
    shown = {column.source: column.name for column in product.columns}
    names = tuple(shown.get(name, "") for name in product.contract.form.key)
    kinds = {column.name: column.kind for column in columns}
    return names if all(kinds.get(name) in KINDS for name in names) else ()


def asked_key(question: Question, key: tuple[str, ...]) -> tuple[str, ...] | None:
    """The values of the key that a question asks for, None for a question about anything else."""
    given = {item.column.name: item.values[0] for item in question.filters if item.operator == "eq"}
    if question.aggregated or question.sort or not key or len(question.filters) != len(key) or given.keys() != set(key):
        return None
    return tuple(given[name] for name in key)


@dataclass
class Keys:
    """The index of one ordered file. Safe to use from many threads."""

    path: Path
    _con: sqlite3.Connection = field(repr=False)
    _mark: tuple[int, int]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, values: tuple[str, ...], after: Place | None, limit: int) -> tuple[list[str], Place | None]:
        """The rows of a key as lines of JSON, and where the next page begins. Raises LakeError."""
        begin = -1 if after is None else int(after[0] or 0)
        query = "SELECT position, line FROM rows WHERE key = ? AND position > ? ORDER BY position LIMIT ?"
        try:
            with self._lock:
                asked = self._con.execute(query, (_text(values), begin, limit + 1))
                found = asked.fetchmany(FEW)
                if len(found) == FEW:
                    waits()
                    found += asked.fetchall()
        except sqlite3.Error as error:
            raise LakeError("rows.engine", error=type(error).__name__) from error
        lines = [line for _, line in found[:limit]]
        return lines, (str(found[limit - 1][0]),) if len(found) > limit else None

    def is_there(self) -> bool:
        """Whether its file is still the one that was opened: an order to erase takes views away."""
        return mark(self.path) == self._mark


def index(views: Views, allowed: Allowed, extract: Extract, rows: Ordered, key: tuple[str, ...]) -> Path:
    """Where the index of an extract by key lies, built if nobody asked before. Raises LakeError."""

    def build(partial: Path) -> None:
        with views.folders.connection() as con:
            con.execute("SET preserve_insertion_order = true")
            _write(con, f"read_parquet({literal(str(rows.path))})", key, partial / _FILE)

    digest = hashlib.sha256(_text(key).encode()).hexdigest()[:8]  # a contract's key may change, a version does not
    return views.beside(allowed, f"{named(extract)}-keys{FORMAT}-{digest}", build, extract.rows) / _FILE


def ready(views: Views, allowed: Allowed, extract: Extract, product: Product) -> None:
    """Make all that questions about an extract are answered from, where nobody asked before. Raises LakeError."""
    rows = ordered(views, allowed, extract)
    if key := key_of(product, [column_of(item) for item in extract.fields]):
        index(views, allowed, extract, rows, key)


def opened(path: Path) -> Keys:
    """The index that lies there."""
    con = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    return Keys(path, con, mark(path) or (0, 0))


def mark(path: Path) -> tuple[int, int] | None:
    """What tells a file from one that took its place, None if it is gone."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def answer(kind: str, lines: Sequence[str], fields: Sequence[str] | None) -> bytes:
    """Lines of JSON as the writers of `formats` write rows; `fields` chooses members, None keeps all."""
    if fields is not None:
        lines = [_chosen(line, fields) for line in lines]
    if kind == "ndjson":
        return "".join(f"{line}\n" for line in lines).encode()
    return f"[\n\t{f',{chr(10)}{chr(9)}'.join(lines)}\n]\n".encode()


def _chosen(line: str, fields: Sequence[str]) -> str:
    row = json.loads(line)
    return json.dumps({name: row[name] for name in fields}, ensure_ascii=False, separators=(",", ":"))


def _write(con: duckdb.DuckDBPyConnection, source: str, key: tuple[str, ...], target: Path) -> None:
    """Write place, key and line of every row; no key where a part of it is missing. No row passes Python's hands one by
    one, which would double the time."""
    text = " || ".join(f"strlen({name}::VARCHAR) || ':' || {name}::VARCHAR" for name in map(identifier, key))
    plain = formats.plain(con, f"SELECT * FROM {source}")
    found = con.execute(
        f'SELECT row_number() OVER () - 1, {text}, to_json("the row")::VARCHAR FROM ({plain}) AS "the row"'
    )
    with closing(sqlite3.connect(target, isolation_level=None)) as index:
        index.execute("PRAGMA journal_mode = OFF")
        index.execute("PRAGMA synchronous = OFF")
        index.execute("CREATE TABLE rows (position INTEGER PRIMARY KEY, key TEXT, line TEXT NOT NULL)")
        index.execute("BEGIN")
        while batch := found.fetchmany(_BATCH):
            index.executemany("INSERT INTO rows VALUES (?, ?, ?)", batch)
        index.execute("CREATE INDEX by_key ON rows (key)")
        index.execute("COMMIT")


def _text(values: Sequence[str]) -> str:
    """One text of several: each with its length in bytes before it, so that no two keys have the same."""
    return "".join(f"{len(value.encode())}:{value}" for value in values)
