"""The databases of the demo's server: the household office's tables, the truth, the read-only login, who may see what.

`psb` is the household office's: schema `hzgl` is what the data platform sees; in every department's database, schema
`backstage` holds the simulator's notes. `truth` is the simulator's alone. Tables of other departments: `registers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from simulator.department import COLUMNS, SCHEMA, TABLE
from simulator.person import PERSON_COLUMNS
from simulator.server import READER, Server

TRUTH = "truth"
BACKSTAGE = "backstage"

Connection = psycopg.Connection[tuple[Any, ...]]

_PERSON_TYPES = {"birth": "date", "updated": "timestamp(0)", "ended": "date"}
_NULLABLE = {"education", "phone", "remarks", "defect", "ended"}

_TRUTH_TABLES = f"""
CREATE SCHEMA {TRUTH};
CREATE TABLE {TRUTH}.person ({
    ", ".join(
        f"{name} {_PERSON_TYPES.get(name, 'text')}{'' if name in _NULLABLE else ' NOT NULL'}" for name in PERSON_COLUMNS
    )
});
CREATE TABLE {TRUTH}.planted (
    day date NOT NULL, dataset text NOT NULL, rybh text NOT NULL, "column" text NOT NULL, kind text NOT NULL,
    defect text NOT NULL, refusable boolean NOT NULL, undetectable boolean NOT NULL, also text[] NOT NULL,
    shown text, "true" text, gxsj timestamp(0) NOT NULL, ended date
);
CREATE TABLE {TRUTH}.event (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day date NOT NULL,          -- the day the department's table shows it
    registered date NOT NULL,   -- the day of GXSJ; earlier than day: a late row
    kind text NOT NULL,
    rybh text NOT NULL,
    changes jsonb NOT NULL      -- record number -> column -> [before, after], for everybody concerned
);
CREATE TABLE {TRUTH}.fault (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, day date NOT NULL, ended date, kind text NOT NULL,
    dataset text NOT NULL, "column" text, value text, share float8 NOT NULL, seed bigint NOT NULL, keys text[] NOT NULL
);
CREATE TABLE {TRUTH}.record (
    dataset text NOT NULL, key text NOT NULL, row text[] NOT NULL,
    mistake text, shown jsonb   -- what is delivered instead of the row, where something was planted
);
CREATE TABLE {TRUTH}.state (
    seed bigint NOT NULL, persons integer NOT NULL, rates jsonb NOT NULL, day date NOT NULL,
    living integer NOT NULL, next_record integer NOT NULL, next_household integer NOT NULL
);
"""
# Built after loading: filling an index row by row costs several times as much.
TRUTH_INDEXES = f"""
ALTER TABLE {TRUTH}.person ADD PRIMARY KEY (rybh);
CREATE UNIQUE INDEX ON {TRUTH}.person (id_number);
CREATE INDEX ON {TRUTH}.person (household);
CREATE INDEX ON {TRUTH}.planted (rybh);
CREATE INDEX ON {TRUTH}.record (dataset, key);
"""
# Not unique: the department never declared a key, and duplicates are among its defects.
DEPARTMENT_INDEXES = f'CREATE INDEX ON {SCHEMA}."{TABLE}" ("RYBH")'

_DEPARTMENT_TABLES = f"""
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}."{TABLE}" ({", ".join(f'"{name}" {kind}' for name, kind in COLUMNS)});
GRANT USAGE ON SCHEMA {SCHEMA} TO {READER};
GRANT SELECT ON {SCHEMA}."{TABLE}" TO {READER};
"""


_BACKSTAGE_TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {BACKSTAGE};
CREATE TABLE IF NOT EXISTS {BACKSTAGE}.fault (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, dataset text NOT NULL,
    kind text NOT NULL, "column" text, value text, share float8 NOT NULL DEFAULT 1, seed bigint NOT NULL DEFAULT 0,
    keys text[] NOT NULL DEFAULT '{{}}'
);
"""


def create_databases(server: Server, departments: Sequence[str]) -> None:
    """Make the truth and the departments' databases anew and empty; whoever reads what they held is cut off."""
    with server.connect("postgres", autocommit=True) as connection:
        _create_reader(connection, server.reader_password)
        for name in (TRUTH, *departments):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
            if name != TRUTH:
                grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
                connection.execute(grant.format(sql.Identifier(name), sql.Identifier(READER)))


def create_truth_tables(connection: Connection) -> None:
    """The tables of the truth, without indexes."""
    connection.execute(_TRUTH_TABLES)


def create_department_tables(connection: Connection) -> None:
    """The department's table, without indexes."""
    connection.execute(_DEPARTMENT_TABLES)
    create_backstage(connection)


def create_backstage(connection: Connection) -> None:
    """The simulator's notes on the faults of a database, unless they are there."""
    connection.execute(_BACKSTAGE_TABLES)


def database_exists(server: Server, name: str) -> bool:
    """Whether the server holds a database of this name."""
    with server.connect("postgres") as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        return found is not None


def _create_reader(connection: Connection, password: str) -> None:
    # Hashed here, so that the password itself can never turn up in the server's log.
    verifier = connection.pgconn.encrypt_password(password.encode(), READER.encode(), b"scram-sha-256").decode()
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [READER]).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(READER)))
    connection.execute(
        sql.SQL("ALTER ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
            sql.Identifier(READER), sql.Literal(verifier)
        )
    )
    connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(READER)))
