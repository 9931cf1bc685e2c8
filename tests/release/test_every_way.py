"""One city by other ways: what PostgreSQL and folders hold, read from MariaDB, SFTP and S3, admitted and published.

Connectors are tested against raw elsewhere; here raw goes on, and core and libraries must be what they are by the first
way.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from pipelines import synthetic
from pipelines.codecs.sql import identifier
from pipelines.contracts.load import Contracts
from pipelines.lake import delta
from pipelines.lake.content import content_hash
from pipelines.lake.edition import current_state
from pipelines.run import opened
from pipelines.settings import Settings
from tests.city import REPOSITORY, Town, published_town
from tests.connectors.databases import MariaDB
from tests.connectors.store_servers import Backend, backend

pytestmark = [pytest.mark.server, pytest.mark.long]

DATABASES, SFTP, S3 = ("cab", "amr"), ("hc",), ("hpf",)
TYPES = {
    "integer": "int", "bigint": "bigint", "smallint": "smallint", "date": "date", "boolean": "boolean",
    "timestamp without time zone": "datetime(6)", "timestamp with time zone": "timestamp(6)",
    "double precision": "double",
}  # fmt: skip
"""How a column of PostgreSQL is kept in MariaDB; others are texts, but for exact numbers."""


def copied(town: Town, connection: str, tables: list[str], server: MariaDB) -> None:
    """The tables of a department's PostgreSQL, in the database of their schema's name."""
    with psycopg.connect(town.city.connections()[f"{connection}_dsn"]) as there, server.connect(None) as here:
        for place in tables:
            schema, table = place.split(".")
            columns = there.execute(
                "SELECT column_name, data_type, numeric_precision, numeric_scale FROM information_schema.columns "
                "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
                [schema, table],
            ).fetchall()
            listed = ", ".join(f"`{name}` {_type(kind, *size)} NULL" for name, kind, *size in columns)
            names = ", ".join(f'"{name}"' for name, *_ in columns)
            rows = there.execute(f'SELECT {names} FROM "{schema}"."{table}"').fetchall()  # type: ignore[call-overload]
            server.run(
                f"CREATE DATABASE IF NOT EXISTS {schema} CHARACTER SET utf8mb4",
                f"GRANT SELECT ON {schema}.* TO reader@'%'",
                f"CREATE TABLE {schema}.`{table}` ({listed})",
                database=None,
            )
            with here.cursor() as cursor:
                cursor.execute("SET time_zone = '+00:00'")
                cursor.executemany(f"INSERT INTO {schema}.`{table}` VALUES ({', '.join(['%s'] * len(columns))})", rows)


def _type(kind: str, precision: int | None, scale: int | None) -> str:
    if kind == "numeric":
        return f"decimal({precision},{scale})" if precision else "decimal(38,10)"
    return TYPES.get(kind, "longtext")


def put(address: str, store: Backend) -> None:
    """The files of a department's folder; a marker follows what it says is whole."""
    files = sorted(Path(address.removeprefix("file://")).iterdir(), key=lambda file: file.name.endswith(".ok"))
    for file in files:
        if file.is_file():
            store.put(file.name, file.read_bytes())


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("ways"))
    yield town
    town.close()


@pytest.fixture(scope="module")
def other(town: Town, contracts: Contracts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with the same keys that reaches the same city by other ways."""
    folder = tmp_path_factory.mktemp("other")
    settings = Settings(folder / "home", REPOSITORY, 0, 0, f"sqlite:///{folder / 'home' / 'register.db'}")
    settings.prepare()
    shutil.copytree(town.settings.home / "secrets", settings.home / "secrets", dirs_exist_ok=True)
    addresses = town.city.connections()
    with ExitStack() as stack:
        (folder / "mariadb").mkdir()
        server = MariaDB(folder / "mariadb")
        stack.callback(server.stop)
        for name in DATABASES:
            named = [one.connector.arguments for one in contracts.sources.values()]
            tables = [one["table"] for one in named if one.get("connection") == name]
            copied(town, name, tables, server)
            addresses[f"{name}_dsn"] = server.address()
        for kind, names in (("sftp", SFTP), ("s3", S3)):
            for name in names:
                store = stack.enter_context(backend(kind, folder))
                put(addresses[f"{name}_drop"], store)
                addresses[f"{name}_drop"] = store.address
        synthetic.feed(settings, addresses)
        with opened(settings, "other ways") as run:
            done = {name: run.ingest(name) for name in run.contracts.sources}
            assert {name: one.message for name, one in done.items() if one.status == "failed"} == {}
            run.publish()
            assert run.problems == []
        yield settings


def moved(contracts: Contracts) -> list[str]:
    names = {*DATABASES, *SFTP, *S3}
    return [name for name, one in contracts.sources.items() if one.connector.arguments.get("connection") in names]


def content(location: Path, relation: str, types: Mapping[str, Any]) -> tuple[str, int]:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        rows = con.execute(f"SELECT count(*) FROM {relation}").fetchone()
        return content_hash(con, relation, types), rows[0] if rows else 0


def core(settings: Settings, contracts: Contracts, source: str) -> tuple[str, int]:
    """What core says at present, without the places in raw that it was read from."""
    contract, location = contracts.sources[source], settings.lake.core(*source.split("/"))
    table = delta.open_table(location)
    types = {name: kind for name, kind in delta.column_types(table.schema()).items() if not name.startswith("_")}
    state = current_state(delta.scan(table).source, contract.form.load.key, list(types), None, '"')
    listed = ", ".join(map(identifier, types))
    return content(location, f"(SELECT {listed} FROM ({state}))", types)


def test_core_is_the_same(town: Town, other: Settings, contracts: Contracts) -> None:
    sources = moved(contracts)
    assert len(sources) > 10
    for source in sources:
        first, second = core(town.settings, contracts, source), core(other, contracts, source)
        assert first == second and first[1] > 0, source


def test_raw_came_by_the_other_ways(other: Settings, contracts: Contracts) -> None:
    with opened(other, "look") as run:
        kept = {name: run.receipts.pulls(name) for name in moved(contracts)}
    assert all(pulls and pulls[0].body["rows"] > 0 for pulls in kept.values())


def test_libraries_are_the_same(town: Town, other: Settings, contracts: Contracts) -> None:
    published = town.published()
    subjects = [name for name in published if name.startswith("lib_")]
    assert len(subjects) > 10
    with opened(other, "look") as run:
        theirs = run.ledger.published()
    for subject in subjects:
        found = []
        for settings, ledger in ((town.settings, published), (other, theirs)):
            location = settings.lake.subject(subject)
            table = delta.open_table(location, ledger[subject].version)
            types = delta.column_types(table.schema())
            types = {name: kind for name, kind in types.items() if not name.startswith("_")}
            listed = ", ".join(map(identifier, types))
            found.append(content(location, f"(SELECT {listed} FROM {delta.scan(table).source})", types))
        assert found[0] == found[1], subject
