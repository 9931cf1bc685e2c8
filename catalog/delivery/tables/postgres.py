"""Tables of recipients in PostgreSQL: batches by COPY into a table of the session, then by one statement."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from catalog.delivery.tables.rows import CHECK, ROW, Room, Totals
from catalog.delivery.tables.target import (
    DICTIONARY,
    FIELDS,
    MEANINGS,
    MOMENT,
    NOWHERE,
    NUMBER,
    OPERATION,
    POSITIONS,
    PROGRESS,
    SINCE,
    STEPS,
    TIME,
    VERSION,
    Meaning,
    Moment,
    Operation,
    Position,
    Progress,
    check_values,
    column_types,
    fits,
    misfit,
    own_columns,
    read_position,
    read_progress,
    slices,
    staging_name,
)
from pipelines.connectors.database import patience
from pipelines.connectors.database.failures import safe
from pipelines.connectors.database.postgres import patient
from pipelines.contracts.deliveries import CHANGES
from pipelines.messages import CitylakeError

TYPES = {
    "string": "text",
    "long": "bigint",
    "integer": "integer",
    "short": "smallint",
    "byte": "smallint",
    "float": "real",
    "double": "double precision",
    "boolean": "boolean",
    "binary": "bytea",
    "date": "date",
    "timestamp": "timestamp with time zone",
    "timestamp_ntz": "timestamp without time zone",
}
_ALSO = {"text": ("character varying",), "smallint": ("integer", "bigint"), "integer": ("bigint",)}
"""Types of a table that the recipient made which hold the same values; `character` adds blanks."""
_BATCH = sql.Identifier("_citylake_batch")
_COLUMNS = """
SELECT column_name, data_type, numeric_precision, numeric_scale, datetime_precision FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s
"""
_ROOM = """
SELECT column_name, min(character_maximum_length) FROM information_schema.columns
WHERE table_schema = %s AND table_name = ANY(%s) AND character_maximum_length IS NOT NULL GROUP BY column_name
"""
_NAMED = """
SELECT count(*) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indnatts = 1 AND a.attname = %s
"""


class PostgresTable:
    """One table; `table` is `schema.table`, or a table of the schema `public`."""

    def __init__(self, connection: str, table: str, address: str) -> None:
        self.connection, self.table = connection, table
        schema, _, name = table.rpartition(".")
        self._schema, self._name, self._log_name = schema or "public", name, f"{name}{CHANGES}"
        self._target, self._log, self._positions, self._dictionary, self._progress = (
            sql.Identifier(self._schema, one) for one in (name, self._log_name, POSITIONS, DICTIONARY, PROGRESS)
        )
        self._batched = False
        try:
            conninfo = make_conninfo(address, client_encoding="UTF8", **patient(address))
            self._con = psycopg.connect(conninfo, autocommit=True)
            self._con.execute("SET timezone = 'UTC'")
            self._con.execute(sql.SQL("SET lock_timeout = {}").format(f"{patience.LOCK}s"))
            self._con.execute(sql.SQL("SET statement_timeout = {}").format(f"{patience.SILENCE}s"))
        except psycopg.Error as error:
            problem = safe(error, address)
            raise CitylakeError("deliver.unreachable", connection=connection, problem=problem) from None

    def prepare(self, name: str, columns: Mapping[str, Any], changes: bool = False) -> None:
        wanted = column_types(columns, TYPES)
        with self._told():
            if not self._columns(self._name):
                self._create(wanted)
            self._check(wanted)
            if changes:
                self._prepare_log(wanted)
            self._con.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} (delivery text PRIMARY KEY, product text NOT NULL, version bigint, "
                    "policy text NOT NULL, rows bigint NOT NULL, checksum numeric(38) NOT NULL, state text NOT NULL, "
                    "statement text NOT NULL, signature text NOT NULL)"
                ).format(self._positions)
            )
            self._con.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} (delivery text, number integer, column_name text NOT NULL, "
                    "name_zh text NOT NULL, name_en text NOT NULL, type text NOT NULL, level integer NOT NULL, "
                    "mask text, unit text, standard text, codes text, description text, licence text, "
                    "PRIMARY KEY (delivery, number))"
                ).format(self._dictionary)
            )
            self._con.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} (delivery text PRIMARY KEY, product text NOT NULL, "
                    "version bigint NOT NULL, policy text NOT NULL, last_row text NOT NULL, loaded bigint NOT NULL, "
                    "checksum numeric(38) NOT NULL)"
                ).format(self._progress)
            )
            insert = sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING")
            self._con.execute(insert.format(self._positions), (name, *vars(NOWHERE).values()))

    def room(self, changes: bool = False) -> list[Room]:
        tables = [self._name, self._log_name] if changes else [self._name]
        with self._told():
            return [Room(*row) for row in self._con.execute(_ROOM, (self._schema, tables)).fetchall()]

    def exists(self) -> bool:
        with self._told():
            return bool(self._columns(POSITIONS))

    @contextmanager
    def transaction(self, name: str) -> Iterator[Position]:
        with self._told(), self._con.transaction():
            self._batched = False
            listed = sql.SQL(", ").join(map(sql.Identifier, FIELDS))
            select = sql.SQL("SELECT {} FROM {} WHERE delivery = %s FOR UPDATE").format(listed, self._positions)
            yield read_position(self._con.execute(select, (name,)).fetchall())

    def empty(self) -> None:
        self._con.execute(sql.SQL("DELETE FROM {}").format(self._target))

    def put(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], staging: str | None = None) -> None:
        names = own_columns(columns)
        listed = sql.SQL(", ").join(map(sql.Identifier, names))
        if staging is None:
            self._make_batch(listed)
        into = _BATCH if staging is None else self._table(staging)
        try:
            with self._con.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(into, listed)) as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.DataError:
            check_values(self, columns, rows, _zero)
            raise
        if staging is not None:
            return
        rest = sql.SQL(", ").join(
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in names if name != ROW
        )
        insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO UPDATE SET {}")
        self._con.execute(insert.format(self._target, listed, listed, _BATCH, sql.Identifier(ROW), rest))

    def drop(self, names: Sequence[str]) -> None:
        delete = sql.SQL("DELETE FROM {} WHERE {} = ANY(%s)").format(self._target, sql.Identifier(ROW))
        self._con.execute(delete, (list(names),))

    def totals(self, staging: str | None = None) -> Totals:
        with self._told():
            query = sql.SQL("SELECT count(*), coalesce(sum({}), 0) FROM {}")
            row = self._con.execute(query.format(sql.Identifier(CHECK), self._table(staging))).fetchone()
            assert row is not None
            return Totals(int(row[0]), int(row[1]))

    def stage(self, name: str, columns: Sequence[str], progress: Progress) -> None:
        staging, row = self._table(staging_name(name)), sql.Identifier(ROW)
        # of the recipient's table the types alone: its other columns may ask for values that come from their defaults
        listed = sql.SQL(", ").join(map(sql.Identifier, own_columns(columns)))
        places = sql.SQL(", ").join([sql.Placeholder()] * (1 + len(STEPS)))
        with self._told(), self._con.transaction():
            self.unstage(name)
            make = sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA")
            self._con.execute(make.format(staging, listed, self._target))
            named = sql.SQL('ALTER TABLE {} ALTER {} TYPE text COLLATE "C", ADD PRIMARY KEY ({})')
            self._con.execute(named.format(staging, row, row))
            insert = sql.SQL("INSERT INTO {} VALUES ({})").format(self._progress, places)
            self._con.execute(insert, (name, *vars(progress).values()))

    def unstage(self, name: str) -> None:
        staging = self._table(staging_name(name))
        with self._told(), self._con.transaction():
            if self._columns(PROGRESS):  # none where nothing was delivered since tables are loaded in steps
                self._con.execute(sql.SQL("DELETE FROM {} WHERE delivery = %s").format(self._progress), (name,))
            self._con.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(staging))

    def loading(self) -> list[str]:
        with self._told():
            select = sql.SQL("SELECT delivery FROM {}").format(self._progress)
            return [row[0] for row in self._con.execute(select).fetchall()] if self._columns(PROGRESS) else []

    def progress(self, name: str) -> Progress | None:
        listed = sql.SQL(", ").join(map(sql.Identifier, STEPS))
        select = sql.SQL("SELECT {} FROM {} WHERE delivery = %s").format(listed, self._progress)
        found = read_progress(self._con.execute(select, (name,)).fetchall())
        return found if found and self._columns(staging_name(name)) else None

    def advance(self, name: str, progress: Progress) -> None:
        self._set(self._progress, vars(progress), name)

    def take_over(self, staging: str, columns: Sequence[str], rows: int) -> None:
        self.empty()
        row, listed = sql.Identifier(ROW), sql.SQL(", ").join(map(sql.Identifier, own_columns(columns)))
        copy = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE {} >= %s")
        insert = copy.format(self._target, listed, listed, self._table(staging), row)
        for begin, end in slices(rows):
            before = sql.SQL("") if end is None else sql.SQL(" AND {} < %s").format(row)
            self._con.execute(insert + before, (begin,) if end is None else (begin, end))

    def move(self, name: str, position: Position) -> None:
        self._set(self._positions, vars(position), name)

    def present(self, names: Sequence[str]) -> set[str]:
        select = sql.SQL("SELECT {0} FROM {1} WHERE {0} = ANY(%s)").format(sql.Identifier(ROW), self._target)
        return {row[0] for row in self._con.execute(select, (list(names),)).fetchall()}

    def log(self, operation: Operation, at: Moment, names: Sequence[str]) -> None:
        about = sql.SQL(", ").join(map(sql.Identifier, MOMENT))
        shown = sql.SQL(", ").join(map(sql.Identifier, (ROW, *at.columns)))
        insert = sql.SQL("INSERT INTO {} ({}, {}) SELECT %s, %s, %s, %s, {} FROM {} WHERE {} = ANY(%s)")
        statement = insert.format(self._log, about, shown, shown, self._target, sql.Identifier(ROW))
        self._con.execute(statement, (operation, at.version, at.time, at.since, list(names)))

    def begin_log(self, at: Moment) -> None:
        self.clear_log()
        about = sql.SQL(", ").join(map(sql.Identifier, MOMENT))
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ('F', %s, %s, %s)").format(self._log, about)
        self._con.execute(insert, (at.version, at.time, at.since))

    def clear_log(self) -> None:
        if OPERATION in self._columns(self._log_name):
            self._con.execute(sql.SQL("DELETE FROM {}").format(self._log))

    def logged_from(self) -> int | None:
        select = sql.SQL("SELECT min({0}), count(*) - count({0}) FROM {1}").format(sql.Identifier(SINCE), self._log)
        row = self._con.execute(select).fetchone()
        return row[0] if row and row[1] == 0 else None

    def described(self, name: str) -> list[Meaning]:
        listed = sql.SQL(", ").join(map(sql.Identifier, MEANINGS))
        select = sql.SQL("SELECT {} FROM {} WHERE delivery = %s ORDER BY number").format(listed, self._dictionary)
        return [tuple(row) for row in self._con.execute(select, (name,)).fetchall()]

    def describe(self, name: str, said: Sequence[Meaning]) -> None:
        self._con.execute(sql.SQL("DELETE FROM {} WHERE delivery = %s").format(self._dictionary), (name,))
        listed = sql.SQL(", ").join(map(sql.Identifier, ("delivery", *MEANINGS)))
        places = sql.SQL(", ").join([sql.Placeholder()] * (1 + len(MEANINGS)))
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(self._dictionary, listed, places)
        self._con.cursor().executemany(insert, [(name, *one) for one in said])

    def close(self) -> None:
        self._con.close()

    def _table(self, staging: str | None) -> sql.Composable:
        return self._target if staging is None else sql.Identifier(self._schema, staging)

    def _set(self, table: sql.Composable, said: Mapping[str, Any], name: str) -> None:
        sets = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in said)
        update = sql.SQL("UPDATE {} SET {} WHERE delivery = %s").format(table, sets)
        self._con.execute(update, (*said.values(), name))

    def _make_batch(self, listed: sql.Composable) -> None:
        if not self._batched:
            make = sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA")
            self._con.execute(make.format(_BATCH, listed, self._target))
            self._batched = True
        self._con.execute(sql.SQL("TRUNCATE {}").format(_BATCH))

    def _columns(self, table: str) -> dict[str, str]:
        return {row[0]: _kind(*row[1:]) for row in self._con.execute(_COLUMNS, (self._schema, table)).fetchall()}

    def _create(self, columns: Mapping[str, str]) -> None:
        defined = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns.items()]
        own = sql.SQL("{} text PRIMARY KEY, {} bigint NOT NULL").format(sql.Identifier(ROW), sql.Identifier(CHECK))
        listed = sql.SQL(", ").join([*defined, own])
        self._con.execute(sql.SQL("CREATE TABLE {} ({})").format(self._target, listed))

    def _check(self, columns: Mapping[str, str]) -> None:
        there = self._columns(self._name)
        for name, kind in {ROW: "text", CHECK: "bigint"}.items():
            if there.get(name) != kind:
                raise misfit(self, name, f"{there.get(name, '—')} ≠ {kind}")
        quoted = sql.SQL(".").join([sql.Identifier(self._schema), sql.Identifier(self._name)]).as_string(self._con)
        if self._con.execute(_NAMED, (quoted, ROW)).fetchone() == (0,):
            raise misfit(self, ROW, "UNIQUE")
        self._fit(self._target, there, columns)

    def _prepare_log(self, columns: Mapping[str, str]) -> None:
        own = {OPERATION: "text", VERSION: "bigint", TIME: TYPES["timestamp"], ROW: "text"}
        there = self._columns(self._log_name)
        if not there:
            number = sql.SQL("{} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY").format(sql.Identifier(NUMBER))
            self._con.execute(sql.SQL("CREATE TABLE {} ({})").format(self._log, number))
            self._fit(self._log, {}, {**own, SINCE: "bigint", **columns})
        elif missing := [name for name in (NUMBER, *own) if name not in there]:
            raise misfit(self, missing[0], f"{self._log_name} ≠ {CHANGES}")
        else:
            self._fit(self._log, there, {SINCE: "bigint", **columns})

    def _fit(self, table: sql.Composable, there: Mapping[str, str], columns: Mapping[str, str]) -> None:
        """Add the columns that are missing. Raises CitylakeError for one that does not hold its values."""
        for name, kind in columns.items():
            if name not in there:
                add = sql.SQL("ALTER TABLE {} ADD COLUMN {} {}")
                self._con.execute(add.format(table, sql.Identifier(name), sql.SQL(kind)))
            elif not fits(there[name], kind, _ALSO.get(kind, ())):
                raise misfit(self, name, f"{there[name]} ≠ {kind}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            problem = f"{type(error).__name__} {error.sqlstate or ''}".strip()
            raise CitylakeError(
                "deliver.database", connection=self.connection, table=self.table, problem=problem
            ) from None


def _kind(name: str, digits: int | None, places: int | None, fraction: int | None) -> str:
    """A type of the information schema, with the lengths by which values may be cut."""
    if name == "numeric":
        return "decimal" if digits is None else f"decimal({digits},{places})"
    return f"{name}({fraction})" if name.startswith("timestamp") and fraction != 6 else name


def _zero(value: Any) -> str:
    return "NUL (U+0000)" if isinstance(value, str) and "\0" in value else ""
