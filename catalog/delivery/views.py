"""Policy views: the rows and columns one policy lets through, written once as Parquet files of their own.

A view holds nothing else in any byte: rows are filtered, columns dropped and pseudonyms keyed for the recipient before
anything is written, and statistics are those of the view's own files. Views can be deleted at any time.
"""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import duckdb
from deltalake import Schema

from catalog.delivery import pseudonyms
from catalog.delivery.extracts import ENDED, WHOLE, Extract, Part, Tables, plain_fields
from catalog.delivery.folders import PARTIAL, Folders
from catalog.delivery.work import Work
from catalog.policy.decision import Allowed, Epoch
from pipelines.codecs.sm4 import Sealer
from pipelines.codecs.sql import identifier, literal
from pipelines.lake.cleanup import VIEWS
from pipelines.lake.columns import query_schema
from pipelines.lake.delta import column_types
from pipelines.lake.errors import LostKey
from pipelines.lake.file_stats import written_stats
from pipelines.lake.parquet import copy_rows
from pipelines.privacy import channel_keys, sealing
from pipelines.privacy import pseudonyms as keyed_hash
from pipelines.privacy.masks import masks
from pipelines.register.chain import canonical
from pipelines.release import publicity
from pipelines.settings import Settings

_OF_DAY = re.compile(f"{ENDED}([0-9]{{8}})")
FORMAT = 2
"""Part of a view's key: raise it when views of the same policy have other rows or columns than before."""
MADE_BY: Final = hashlib.sha256(
    canonical([sqlite3.sqlite_version, *map(version, ("citylake", "duckdb", "pyarrow", "xlsxwriter"))]).encode()
).hexdigest()[:8]
"""What writes the files, as names of folders end with it: the same programs make the same bytes, and what others made
is nobody's (decision 0142)."""
VIEW: Final = "view.json"
"""What stands beside the files of an extract: its columns, and of each file name, size, rows and statistics."""

ABANDONED_SECONDS = 6 * 3600
SUPERSEDED_SECONDS = 24 * 3600


class Views:
    """Extracts for policies, below `lake/views/<channel>/<product>/v<N>/<key>@<MADE_BY>/`."""

    def __init__(
        self, settings: Settings, folders: Folders | None = None, shown_keyed: Callable[[], bool] = lambda: False
    ) -> None:
        """`folders`: where they are made; `shown_keyed`: whether a recipient was shown anything keyed before."""
        self.folders = folders or Folders(settings.lake.root / VIEWS, Work())
        self._settings, self._shown_keyed = settings, shown_keyed
        self._tables = Tables(lambda product: settings.lake.product(*product.split("/")))

    def extract(self, allowed: Allowed) -> Extract:
        """What the decision lets through, building the view if nobody asked before. Raises LakeError, LostKey among
        them, Busy."""
        whole, columns = self._tables.get(allowed.product, allowed.version), self._columns(allowed)
        key = self._key(allowed, whole, columns)
        if key == WHOLE:
            return whole
        folder = self.beside(allowed, key, lambda partial: self._build(partial, whole, allowed, columns), whole.rows)
        return read_extract(folder, allowed.product, allowed.version, key)

    def beside(self, allowed: Allowed, name: str, build: Callable[[Path], None], rows: int) -> Path:
        """A folder among the views of a version, built if nobody asked before; it goes when they go.

        What is made from it has a name that begins with its name and a hyphen. `rows`: how many the building goes
        through. Raises Busy.
        """
        folder = self.folder(allowed.product, allowed.version) / f"{name}@{MADE_BY}"
        if not self._in_use(folder):
            self.folders.get(folder, build, rows)
            self._in_use(folder)
            self._drop_superseded(folder.parent)
        return folder

    def needs_none(self, allowed: Allowed) -> bool:
        """Whether the decision hides nothing of the released table, so that no view is built. Raises LakeError."""
        return self.key(allowed) == WHOLE

    def has(self, allowed: Allowed) -> bool:
        """Whether the version has something of what is allowed, and the columns that limit its rows. Raises LakeError.

        A contract may have gained columns since; a limit that this version cannot apply must close it.
        """
        have = set(self._tables.get(allowed.product, allowed.version).columns)
        return not have.isdisjoint(allowed.columns) and allowed.limiting <= have

    def same(self, one: Allowed, other: Allowed) -> bool:
        """Whether two decisions about a version let the same rows and columns through. Raises LakeError."""
        return self.key(one) == self.key(other)

    def key(self, allowed: Allowed) -> str:
        """The name of what a decision lets through of a version. Raises LakeError."""
        return self._key(allowed, self._tables.get(allowed.product, allowed.version), self._columns(allowed))

    def folder(self, product: str, version: int) -> Path:
        """Where the views of a version lie."""
        channel, name = product.split("/")
        return self.folders.root / channel / name / f"v{version}"

    def note_use(self, folder: Path) -> None:
        """Note that a version is read, so that its folder is not dropped under its readers."""
        with suppress(FileNotFoundError):
            os.utime(folder)

    def clean(self, keep: Mapping[str, Collection[int]]) -> None:
        """Delete the views of every version that is not in `keep` (by product), those before the newest that nobody has
        used for a day, and what killed builds left."""
        kept = {self.folder(product, version) for product, versions in keep.items() for version in versions}
        for folder in self.folders.root.glob("*/*/v*"):
            if folder not in kept and PARTIAL not in folder.parts:
                self.folders.discard(folder)
        for product, versions in keep.items():
            if versions:
                self._drop_superseded(self.folder(product, max(versions)))
        for folder in (self.folders.root / PARTIAL).glob("*"):
            with suppress(FileNotFoundError):  # it was just given up by whoever made it
                if time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)

    def _columns(self, allowed: Allowed) -> tuple[str, ...]:
        """The columns allowed now that this version has."""
        have = self._tables.get(allowed.product, allowed.version).columns
        return tuple(name for name in allowed.columns if name in have)

    def _in_use(self, folder: Path) -> bool:
        """Note that a view is used, so that its version is not dropped under its reader; False if it is not there."""
        try:
            os.utime(folder.parent)
        except FileNotFoundError:
            return False
        return folder.is_dir()

    def _drop_superseded(self, newest: Path) -> None:
        """Delete the views of versions before the newest that nobody has used for a day, and those of the newest that
        were made a day ago for days that are over."""
        for folder in newest.parent.glob("v*"):
            if int(folder.name[1:]) < int(newest.name[1:]):
                self.folders.discard(folder, SUPERSEDED_SECONDS)
        days = {folder: found[1] for folder in newest.glob(f"*{ENDED}*") if (found := _OF_DAY.search(folder.name))}
        for folder, day in days.items():
            if day < max(days.values()):
                self.folders.discard(folder, SUPERSEDED_SECONDS)

    def _key(self, allowed: Allowed, whole: Extract, columns: tuple[str, ...]) -> str:
        """The name of a policy: equal policies share a view, pseudonyms make it the recipient's own. Behind it stands
        the last day that is over, if rows are left away because of that."""
        named, column, day = self._named(allowed, whole, columns), allowed.shown_until, allowed.day
        if column is None or day is None:
            return named
        ended = publicity.last_ended(whole.folder, whole.version, column, day)
        return named if ended is None else f"{named}{ENDED}{ended:%Y%m%d}"

    def _named(self, allowed: Allowed, whole: Extract, columns: tuple[str, ...]) -> str:
        masked = [pair for pair in allowed.coarser if pair[0] in columns]
        if not allowed.limited and not allowed.keyed and not masked and set(columns) == set(whole.columns):
            return WHOLE
        recipient = allowed.recipient or ""
        keyed = pseudonyms.key_id(self.master, recipient, allowed.epoch.number) if allowed.keyed else None
        policy: list[object] = [FORMAT, columns, allowed.rows, allowed.divisions, allowed.pseudonyms, keyed]
        if allowed.organisations is not None:  # every other policy keeps its name, and its views
            policy.append(["organisations", allowed.organisations.column, allowed.organisations.codes])
        if masked:
            policy.append(["masks", masked])
        if allowed.sealed:
            policy.append(["sealed", allowed.sealed])
        return hashlib.sha256(canonical(policy).encode()).hexdigest()[:32]

    @property
    def master(self) -> bytes:
        """The key that those of recipients come from, made at its first use. Raises LostKey: under another one every
        pseudonym would be another, and no key that was handed out would open anything."""
        return self._settings.first_key("recipients", self._shown_keyed)

    def _build(self, partial: Path, whole: Extract, allowed: Allowed, columns: tuple[str, ...]) -> None:
        with self.folders.connection() as con:
            keyed = self._register(con, whole, allowed)
            made = {name: f"{function}({identifier(name)})" for name, function in keyed.items()}
            made |= {name: masks[mask].function(identifier(name)) for name, mask in allowed.coarser}
            query = _query(whole, allowed, columns, made)
            write_extract(con, query, partial, allowed.product)

    def transition(self, con: duckdb.DuckDBPyConnection, allowed: Allowed, before: Epoch) -> str:
        """A query of `column`, `old` and `new` pseudonym of every value that a view shows keyed, from one epoch to
        that of the decision; its functions are registered on the connection. In no order of what is hidden."""
        whole, columns = self._tables.get(allowed.product, allowed.version), self._columns(allowed)
        names = [name for name in columns if name in allowed.pseudonyms]
        old = self._register(con, whole, replace(allowed, epoch=before))
        new = self._register(con, whole, allowed)
        pairs = (
            f'SELECT DISTINCT {literal(name)} AS "column", {old[name]}({identifier(name)}) AS old, '
            f"{new[name]}({identifier(name)}) AS new FROM {whole.relation}{_where(allowed, name)}"
            for name in names
        )
        return f"SELECT * FROM ({' UNION ALL '.join(pairs)}) ORDER BY ALL"

    def _register(self, con: duckdb.DuckDBPyConnection, whole: Extract, allowed: Allowed) -> dict[str, str]:
        """Add a function for each column that is keyed; their names by column."""
        epoch, found = allowed.epoch.number, dict[str, str]()
        for place, name in enumerate(allowed.pseudonyms):
            found[name] = f"{keyed_hash.NAME}_{epoch}_{place}"
            key = pseudonyms.column_key(self.master, allowed.recipient or "", name, epoch)
            keyed_hash.register(con, key, found[name])
        for place, name in enumerate(allowed.sealed):
            released = self._opener(con, whole, name)
            found[name] = f"{sealing.NAME}_{epoch}_{place}"
            mine = Sealer(pseudonyms.sealing_key(self.master, allowed.recipient or "", name, epoch))
            sealing.register(con, partial(_sealed_anew, released, mine), found[name])
        return found

    def _opener(self, con: duckdb.DuckDBPyConnection, whole: Extract, name: str) -> Sealer:
        """What opens a column as it was released. Raises LostKey; in a function of DuckDB nobody would be told which
        file is to be restored."""
        channel, column = whole.product.partition("/")[0], identifier(name)
        opener = channel_keys.sealer_of(self._settings.kept_key, channel)
        asked = f"SELECT {column} FROM {whole.relation} WHERE {column} IS NOT NULL LIMIT 1"
        one = con.execute(asked).fetchone() if name in whole.columns else None
        try:
            if one is not None:
                opener.open(one[0])
        except ValueError:
            file = self._settings.key_file(channel_keys.sealing_key(channel))
            raise LostKey("lake.other_key", file=file, column=name, product=whole.product) from None
        return opener


def _sealed_anew(released: Sealer, mine: Sealer, text: str) -> str:
    """What a release sealed for its channel, sealed for a recipient."""
    return mine.seal(released.open(text))


def _query(whole: Extract, allowed: Allowed, columns: tuple[str, ...], made: Mapping[str, str]) -> str:
    """The rows of a view, ordered by what it shows: an order that came from hidden values would tell of them. `made`:
    the expressions of columns that are not shown as they are."""
    shown = ", ".join(f"{made.get(name, identifier(name))} AS {identifier(name)}" for name in columns)
    first = [name for name in columns if name == allowed.rows]
    order = ", ".join(identifier(name) for name in [*first, *(name for name in columns if name not in first)])
    return f"SELECT * FROM (SELECT {shown} FROM {whole.relation}{_where(allowed)}) ORDER BY {order}"


def _where(allowed: Allowed, filled: str | None = None) -> str:
    """The condition on the rows that are let through; `filled`: and on this column, that it is not empty."""
    limits = [f"{identifier(filled)} IS NOT NULL"] if filled else []
    if allowed.divisions is not None:
        column = identifier(allowed.rows or "")
        within = " OR ".join(f"starts_with({column}, {literal(code)})" for code in allowed.divisions)
        limits.append(f"({within})")
    if allowed.organisations is not None:
        codes = ", ".join(map(literal, allowed.organisations.codes))
        limits.append(f"{identifier(allowed.organisations.column)} IN ({codes})")
    if allowed.shown_until is not None and allowed.day is not None:
        limits.append(publicity.shown_on(allowed.shown_until, allowed.day))
    return f" WHERE {' AND '.join(limits)}" if limits else ""


def write_extract(con: duckdb.DuckDBPyConnection, query: str, folder: Path, subject: str) -> None:
    """Write the rows of a query as the files of an extract. Raises RefusedType, naming `subject`, and DiskFull."""
    con.execute("SET threads = 1")  # several write row groups as they come, which is another order each time
    schema = query_schema(con, query, subject)
    parts = [
        {
            "name": Path(file.path).name,
            "size": file.size,
            "rows": file.rows,
            "stats": json.dumps(written_stats(schema, file.rows, file.statistics), ensure_ascii=False),
        }
        for file in copy_rows(con, query, folder)
    ]
    about = {"schema": schema.to_json(), "parts": parts}
    (folder / VIEW).write_text(json.dumps(about, ensure_ascii=False), "utf-8")


def read_extract(folder: Path, product: str, version: int, key: str) -> Extract:
    """The extract that was written to a folder."""
    about = json.loads((folder / VIEW).read_text("utf-8"))
    fields = plain_fields(about["schema"])
    parts = tuple(Part(**part) for part in about["parts"])
    if parts:
        files = ", ".join(literal(str(folder / part.name)) for part in parts)
        relation = f"read_parquet([{files}], hive_partitioning = false)"
    else:
        types = column_types(Schema.from_json(about["schema"]))
        nulls = (f"cast(null as {kind}) as {identifier(name)}" for name, kind in types.items())
        relation = f"(SELECT {', '.join(nulls)} WHERE false)"
    return Extract(product, version, key, folder, fields, (), parts, relation)
