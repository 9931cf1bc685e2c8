"""Tables of recipients in MySQL and MariaDB. Its DDL commits what is open: tables are made and checked before.

Moments are kept as `datetime(6)` in UTC: its `timestamp` ends in 2038. Only InnoDB has transactions.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pymysql
import sqlalchemy as sa

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
from pipelines.contracts.deliveries import CHANGES
from pipelines.messages import CitylakeError

TYPES = {
    "string": "longtext",
    "long": "bigint",
    "integer": "int",
    "short": "smallint",
    "byte": "smallint",
    "float": "float",
    "double": "double",
    "boolean": "tinyint",
    "binary": "longblob",
    "date": "date",
    "timestamp": "datetime(6)",
    "timestamp_ntz": "datetime(6)",
}
_ALSO = {
    "longtext": ("varchar", "text", "mediumtext"),
    "smallint": ("int", "bigint"),
    "int": ("bigint",),
    "longblob": ("blob", "mediumblob", "varbinary"),
}
"""Types of a table that the recipient made which hold the same values; `char` cuts blanks off the end."""
_WRITTEN = {"longtext": "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"}
_NAME = "char(64) CHARACTER SET ascii COLLATE ascii_bin"
_SESSION = (
    # nothing is cut or turned into zero to make it fit
    "SET SESSION sql_mode = 'TRADITIONAL', time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
_OPTIONS = ("ssl_ca", "ssl_cert", "ssl_key", "unix_socket")
_ROOM = """
SELECT column_name, min(character_maximum_length), data_type NOT IN ('char', 'varchar') FROM information_schema.columns
WHERE table_schema = %s AND table_name IN %s AND character_maximum_length < 4294967295 GROUP BY column_name, 3
"""
_AT_ONCE = 1000
"""Names in one statement."""


class MysqlTable:
    """One table; `table` is `database.table`, or a table of the database that the address names."""

    def __init__(self, connection: str, table: str, address: str) -> None:
        self.connection, self.table = connection, table
        try:
            url = sa.make_url(address)
            database, _, self._name = table.rpartition(".")
            self._database = database or url.database or ""
            self._con: Any = pymysql.connect(
                host=url.host or "localhost",
                port=url.port or 3306,
                user=url.username,
                password=url.password or "",
                database=self._database,
                charset="utf8mb4",
                connect_timeout=patience.CONNECT,
                read_timeout=patience.CONNECT,  # the driver's connect_timeout ends before the server has said anything
                write_timeout=patience.SILENCE,
                autocommit=False,
                **{name: str(url.query[name]) for name in _OPTIONS if name in url.query},
            )
            self._con._read_timeout = patience.SILENCE
            waits = f"SET SESSION innodb_lock_wait_timeout = {patience.LOCK}, lock_wait_timeout = {patience.LOCK}"
            with self._con.cursor() as cursor:
                for statement in (*_SESSION, waits):
                    cursor.execute(statement)
        except (pymysql.MySQLError, sa.exc.ArgumentError, ValueError, OSError) as error:
            problem = safe(error, address)
            raise CitylakeError("deliver.unreachable", connection=connection, problem=problem) from None
        self._log_name = f"{self._name}{CHANGES}"
        self._target, self._log, self._positions, self._dictionary, self._progress = map(
            self._table, (self._name, self._log_name, POSITIONS, DICTIONARY, PROGRESS)
        )

    def prepare(self, name: str, columns: Mapping[str, Any], changes: bool = False) -> None:
        wanted = column_types(columns, TYPES)
        with self._told():
            if not self._columns(self._name):
                defined = [f"{_quoted(column)} {_WRITTEN.get(kind, kind)}" for column, kind in wanted.items()]
                own = f"{_quoted(ROW)} {_NAME} PRIMARY KEY, {_quoted(CHECK)} bigint NOT NULL"
                self._run(f"CREATE TABLE {self._target} ({', '.join(defined)}, {own}) ENGINE = InnoDB")
            self._check(wanted)
            if changes:
                self._prepare_log(wanted)
            self._run(
                f"CREATE TABLE IF NOT EXISTS {self._positions} (delivery varchar(100) CHARACTER SET ascii PRIMARY KEY, "
                "product varchar(200) NOT NULL, version bigint, policy varchar(200) NOT NULL, `rows` bigint NOT NULL, "
                "checksum decimal(38) NOT NULL, state varchar(100) NOT NULL, statement longtext NOT NULL, "
                "signature varchar(200) NOT NULL) ENGINE = InnoDB CHARACTER SET utf8mb4"
            )
            self._run(
                f"CREATE TABLE IF NOT EXISTS {self._dictionary} (delivery varchar(100) CHARACTER SET ascii, "
                "number integer, column_name varchar(200) NOT NULL, name_zh text NOT NULL, name_en text NOT NULL, "
                "`type` varchar(100) NOT NULL, `level` integer NOT NULL, mask varchar(100), unit text, standard text, "
                "codes text, description text, licence text, PRIMARY KEY (delivery, number)) "
                "ENGINE = InnoDB CHARACTER SET utf8mb4"
            )
            self._run(
                f"CREATE TABLE IF NOT EXISTS {self._progress} (delivery varchar(100) CHARACTER SET ascii PRIMARY KEY, "
                "product varchar(200) NOT NULL, version bigint NOT NULL, policy varchar(200) NOT NULL, "
                f"last_row {_NAME} NOT NULL, loaded bigint NOT NULL, checksum decimal(38) NOT NULL) "
                "ENGINE = InnoDB CHARACTER SET utf8mb4"
            )
            self._run(
                f"INSERT IGNORE INTO {self._positions} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (name, *vars(NOWHERE).values()),
            )
            self._con.commit()

    def room(self, changes: bool = False) -> list[Room]:
        tables = [self._name, self._log_name] if changes else [self._name]
        with self._told():
            found = self._run(_ROOM, (self._database, tables))
            return [Room(str(column), int(most), bool(in_bytes)) for column, most, in_bytes in found]

    def exists(self) -> bool:
        with self._told():
            return bool(self._columns(POSITIONS))

    @contextmanager
    def transaction(self, name: str) -> Iterator[Position]:
        with self._told():
            try:
                self._con.begin()
                listed = ", ".join(map(_quoted, FIELDS))
                select = f"SELECT {listed} FROM {self._positions} WHERE delivery = %s FOR UPDATE"
                yield read_position(self._run(select, (name,)))
                self._con.commit()
            except BaseException:
                if self._con.open:
                    self._con.rollback()
                raise

    def empty(self) -> None:
        self._run(f"DELETE FROM {self._target}")

    def put(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], staging: str | None = None) -> None:
        names = [_quoted(name).replace("%", "%%") for name in own_columns(columns)]
        places = ", ".join(["%s"] * len(names))
        sets = ", ".join(f"{name} = VALUES({name})" for name in names)
        into = self._table(staging or self._name).replace("%", "%%")
        insert = f"INSERT INTO {into} ({', '.join(names)}) VALUES ({places}) "
        plain = [tuple(map(_plain, row)) for row in rows]
        try:
            with self._con.cursor() as cursor:
                cursor.executemany(f"{insert} ON DUPLICATE KEY UPDATE {sets}", plain)
        except pymysql.ProgrammingError:
            check_values(self, columns, rows, _not_finite)
            raise

    def drop(self, names: Sequence[str]) -> None:
        for some in _by_thousands(names):
            self._run(f"DELETE FROM {self._target} WHERE {_quoted(ROW)} IN %s", (some,))

    def totals(self, staging: str | None = None) -> Totals:
        with self._told():
            table = self._table(staging or self._name)
            row = self._run(f"SELECT count(*), coalesce(sum({_quoted(CHECK)}), 0) FROM {table}")[0]
            return Totals(int(row[0]), int(row[1]))

    def stage(self, name: str, columns: Sequence[str], progress: Progress) -> None:
        self.unstage(name)
        with self._told():
            self._run(f"CREATE TABLE {self._table(staging_name(name))} LIKE {self._target}")
            places = ", ".join(["%s"] * (1 + len(STEPS)))
            self._run(f"INSERT INTO {self._progress} VALUES ({places})", (name, *vars(progress).values()))
            self._con.commit()

    def unstage(self, name: str) -> None:
        with self._told():  # what is loaded counts by its row of progress alone, which goes first and comes last
            if self._columns(PROGRESS):  # none where nothing was delivered since tables are loaded in steps
                self._run(f"DELETE FROM {self._progress} WHERE delivery = %s", (name,))
            self._con.commit()
            if self._columns(staging_name(name)):
                self._run(f"DROP TABLE {self._table(staging_name(name))}")

    def loading(self) -> list[str]:
        with self._told():
            found = self._run(f"SELECT delivery FROM {self._progress}") if self._columns(PROGRESS) else []
            return [row[0] for row in found]

    def progress(self, name: str) -> Progress | None:
        select = f"SELECT {', '.join(map(_quoted, STEPS))} FROM {self._progress} WHERE delivery = %s"
        found = read_progress(self._run(select, (name,)))
        return found if found and self._columns(staging_name(name)) else None

    def advance(self, name: str, progress: Progress) -> None:
        self._set(self._progress, vars(progress), name)

    def take_over(self, staging: str, columns: Sequence[str], rows: int) -> None:
        self.empty()
        listed = ", ".join(map(_quoted, own_columns(columns)))
        copy = f"INSERT INTO {self._target} ({listed}) SELECT {listed} FROM {self._table(staging)} WHERE {_quoted(ROW)}"
        copy = copy.replace("%", "%%")
        for begin, end in slices(rows):
            before = "" if end is None else f" AND {_quoted(ROW)} < %s"
            self._run(f"{copy} >= %s{before}", (begin,) if end is None else (begin, end))

    def move(self, name: str, position: Position) -> None:
        self._set(self._positions, vars(position), name)

    def present(self, names: Sequence[str]) -> set[str]:
        select = f"SELECT {_quoted(ROW)} FROM {self._target} WHERE {_quoted(ROW)} IN %s"
        return {row[0] for some in _by_thousands(names) for row in self._run(select, (some,))}

    def log(self, operation: Operation, at: Moment, names: Sequence[str]) -> None:
        about, shown = (", ".join(map(_quoted, some)) for some in (MOMENT, (ROW, *at.columns)))
        insert = f"INSERT INTO {self._log} ({about}, {shown}) SELECT ?, ?, ?, ?, {shown} FROM {self._target}"
        insert = f"{insert.replace('%', '%%').replace('?, ?, ?, ?', '%s, %s, %s, %s', 1)} WHERE {_quoted(ROW)} IN %s"
        for some in _by_thousands(names):
            self._run(insert, (operation, at.version, _plain(at.time), at.since, some))

    def begin_log(self, at: Moment) -> None:
        self.clear_log()
        insert = f"INSERT INTO {self._log} ({', '.join(map(_quoted, MOMENT))})"
        self._run(f"{insert} VALUES ('F', %s, %s, %s)", (at.version, _plain(at.time), at.since))

    def clear_log(self) -> None:
        if OPERATION in self._columns(self._log_name):
            self._run(f"DELETE FROM {self._log}")

    def logged_from(self) -> int | None:
        since = _quoted(SINCE)
        first, unknown = self._run(f"SELECT min({since}), count(*) - count({since}) FROM {self._log}")[0]
        return None if first is None or unknown else int(first)

    def described(self, name: str) -> list[Meaning]:
        listed = ", ".join(map(_quoted, MEANINGS))
        select = f"SELECT {listed} FROM {self._dictionary} WHERE delivery = %s ORDER BY number"
        return [tuple(row) for row in self._run(select, (name,))]

    def describe(self, name: str, said: Sequence[Meaning]) -> None:
        self._run(f"DELETE FROM {self._dictionary} WHERE delivery = %s", (name,))
        listed, places = ", ".join(map(_quoted, ("delivery", *MEANINGS))), ", ".join(["%s"] * (1 + len(MEANINGS)))
        with self._con.cursor() as cursor:
            insert = f"INSERT INTO {self._dictionary} ({listed}) VALUES ({places})"
            cursor.executemany(insert, [(name, *one) for one in said])

    def close(self) -> None:
        self._con.close()

    def _table(self, name: str) -> str:
        return f"{_quoted(self._database)}.{_quoted(name)}"

    def _set(self, table: str, said: Mapping[str, Any], name: str) -> None:
        sets = ", ".join(f"{_quoted(column)} = %s" for column in said)
        self._run(f"UPDATE {table} SET {sets} WHERE delivery = %s", (*said.values(), name))

    def _columns(self, table: str) -> dict[str, str]:
        query = (
            "SELECT column_name, data_type, numeric_precision, numeric_scale, datetime_precision "
            "FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        )
        return {str(row[0]): _kind(*row[1:]) for row in self._run(query, (self._database, table))}

    def _check(self, columns: Mapping[str, str]) -> None:
        there = self._columns(self._name)
        for name, kind in {ROW: "char", CHECK: "bigint"}.items():
            if there.get(name) != kind:
                raise misfit(self, name, f"{there.get(name, '—')} ≠ {kind}")
        about = (self._database, self._name)
        keys = self._run(
            "SELECT column_name FROM information_schema.key_column_usage WHERE table_schema = %s AND table_name = %s "
            "AND constraint_name = 'PRIMARY'",
            about,
        )
        if [name for (name,) in keys] != [ROW]:
            raise misfit(self, ROW, "PRIMARY KEY")
        engine = self._run(
            "SELECT engine FROM information_schema.tables WHERE table_schema = %s AND table_name = %s", about
        )
        if str(engine[0][0]).lower() != "innodb":
            raise misfit(self, "—", f"ENGINE = {engine[0][0]} ≠ InnoDB")
        self._fit(self._target, there, columns)

    def _prepare_log(self, columns: Mapping[str, str]) -> None:
        own = {OPERATION: "char(1)", VERSION: "bigint", TIME: "datetime(6)", ROW: _NAME}
        there = self._columns(self._log_name)
        if not there:
            number = f"{_quoted(NUMBER)} bigint AUTO_INCREMENT PRIMARY KEY"
            self._run(f"CREATE TABLE {self._log} ({number}) ENGINE = InnoDB CHARACTER SET utf8mb4")
            self._fit(self._log, {}, {**own, SINCE: "bigint", **columns})
        elif missing := [name for name in (NUMBER, *own) if name not in there]:
            raise misfit(self, missing[0], f"{self._log_name} ≠ {CHANGES}")
        else:
            self._fit(self._log, there, {SINCE: "bigint", **columns})

    def _fit(self, table: str, there: Mapping[str, str], columns: Mapping[str, str]) -> None:
        """Add the columns that are missing. Raises CitylakeError for one that does not hold its values."""
        for name, kind in columns.items():
            if name not in there:
                self._run(f"ALTER TABLE {table} ADD COLUMN {_quoted(name)} {_WRITTEN.get(kind, kind)}")
            elif not fits(there[name], kind, _ALSO.get(kind, ())):
                raise misfit(self, name, f"{there[name]} ≠ {kind}")

    def _run(self, statement: str, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        with self._con.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (pymysql.MySQLError, OSError) as error:
            code = error.args[0] if error.args and isinstance(error.args[0], int) else ""
            problem = f"{type(error).__name__} {code}".strip()
            raise CitylakeError(
                "deliver.database", connection=self.connection, table=self.table, problem=problem
            ) from None


def _by_thousands(names: Sequence[str]) -> Iterator[list[str]]:
    for begin in range(0, len(names), _AT_ONCE):
        yield list(names[begin : begin + _AT_ONCE])


def _kind(name: str, digits: int | None, places: int | None, fraction: int | None) -> str:
    """A type of the information schema, with the lengths by which values may be cut."""
    kind = str(name).lower()
    if kind == "decimal":
        return f"decimal({digits},{places})"
    return f"datetime({fraction})" if kind == "datetime" else kind


def _not_finite(value: Any) -> str:
    return "NaN / Infinity" if isinstance(value, float) and not math.isfinite(value) else ""


def _plain(value: Any) -> Any:
    """A moment without its zone, in UTC: the driver would write what the clock of its zone shows."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _quoted(name: str) -> str:
    return "`{}`".format(name.replace("`", "``"))
