"""Recipients' databases for tests of deliveries: real servers, and one way of looking at what they hold."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from catalog.delivery.deliveries import deliver
from catalog.delivery.desk import Desk
from catalog.delivery.push import Delivered
from catalog.policy.decision import Grant
from simulator.server import HOST as PG_HOST
from simulator.server import Server
from tests.catalog.filing import end_grants
from tests.catalog.small_city import AGES, DIVISIONS, PERSONS, City
from tests.connectors.brokers import HOST
from tests.connectors.databases import MariaDB

WRITER, PASSWORD = "writer", "p@ss/w:r'd %"
RECIPIENT = "前置库"
LISTS = "sharing/credit_list"
DELIVERIES = {
    "persons": {"product": PERSONS},
    "persons_empty": {"product": PERSONS, "whenEnded": "empty"},
    "persons_changes": {"product": PERSONS, "whenEnded": "empty", "changes": "true"},
    "ages": {"product": AGES},
    "divisions": {"product": DIVISIONS},
    "lists": {"product": LISTS},
}
"""What is delivered to a database, into its table `t`, over a connection of its own, for no two may share a table of
one; `name` of the delivery and of the connection is the engine's and this one."""


@dataclass(frozen=True)
class Receiver:
    """A recipient's database. `run`: any statement with all rights; `address`: of an account that may make tables."""

    engine: str
    address: str
    run: Callable[[str], list[tuple[Any, ...]]]

    def quoted(self, name: str) -> str:
        return f"`{name}`" if self.engine == "mariadb" else f'"{name}"'

    def rows(self, table: str, columns: Sequence[str]) -> Counter[tuple[Any, ...]]:
        """What a table holds."""
        listed = ", ".join(map(self.quoted, columns))
        return Counter(tuple(row) for row in self.run(f"SELECT {listed} FROM {table}"))

    def position(self) -> dict[str, Any]:
        """The row of the one delivery in the table of positions."""
        names = ("version", "state", "statement", "signature", "checksum")
        (row,) = self.run(f"SELECT {', '.join(names)} FROM _citylake_position")
        return dict(zip(names, row, strict=True))

    def clear(self) -> None:
        """Drop what was delivered."""
        self.run("DROP TABLE IF EXISTS t")
        self.run("DROP TABLE IF EXISTS t_changes")
        self.run("DROP TABLE IF EXISTS _citylake_position")
        self.run("DROP TABLE IF EXISTS _citylake_dictionary")
        self.run("DROP TABLE IF EXISTS _citylake_progress")
        for name in self.staging():
            self.run(f"DROP TABLE {name}")

    def staging(self) -> list[str]:
        """The tables in which rows are gathered now."""
        listed = "SELECT table_name FROM information_schema.tables WHERE table_name LIKE '%citylake_load_%'"
        return [str(name) for (name,) in self.run(listed)]


def postgres_receiver(server: Server, database: str) -> Receiver:
    """An empty database of a PostgreSQL server."""
    with server.connect("postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")  # type: ignore[call-overload]
        owner = f"{connection.info.user}:{quote(connection.info.password, safe='')}"

    def run(statement: str) -> list[tuple[Any, ...]]:
        with server.connect(database, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    return Receiver("postgresql", f"postgresql://{owner}@{PG_HOST}:{server.port}/{database}", run)


def mariadb_receiver(server: MariaDB, database: str) -> Receiver:
    """An empty database of a MariaDB server."""
    password = PASSWORD.replace("'", "''")
    server.run(
        f"CREATE DATABASE {database} CHARACTER SET utf8mb4",
        f"CREATE USER IF NOT EXISTS {WRITER}@'%' IDENTIFIED BY '{password}'",
        f"GRANT ALL ON {database}.* TO {WRITER}@'%'",
        database=None,
    )
    address = f"mysql://{WRITER}:{quote(PASSWORD, safe='')}@{HOST}:{server.port}/{database}"
    return Receiver("mariadb", address, lambda statement: server.run(statement, database=database))


class Bureaus:
    """A city that delivers into some databases."""

    def __init__(self, city: City, receivers: Sequence[Receiver]) -> None:
        self.city, self.receivers = city, {one.engine: one for one in receivers}
        connections, deliveries = [], []
        for receiver in receivers:
            for given, form in DELIVERIES.items():
                name = f"{receiver.engine}_{given}"
                connections.append(f"  {name}:\n    description: 接收方前置库\n    secret: {receiver.engine}\n")
                said = {"recipient": RECIPIENT, "connection": name, "table": "t", **form}
                lines = "".join(f"    {key}: {value}\n" for key, value in said.items())
                deliveries.append(f"  {name}:\n{lines}")
            city.settings.store_secret(receiver.engine, receiver.address)
        file = city.own_contracts() / "city.yaml"
        added = f"\ndeliveries:\n{''.join(deliveries)}\nconnections:\n{''.join(connections)}"
        file.write_text(file.read_text("utf-8").replace("\nconnections:\n", added, 1), "utf-8")
        city.recipient(RECIPIENT)
        self.desk = Desk(city.settings, city.register)


class Bureau:
    """One of the databases, with one grant at a time."""

    def __init__(self, bureaus: Bureaus, engine: str) -> None:
        self.city, self.desk, self.receiver = bureaus.city, bureaus.desk, bureaus.receivers[engine]

    def grant(self, product: str = PERSONS, **limits: Any) -> Grant:
        """The grant from now on."""
        self.end()
        return self.city.grant(RECIPIENT, product, **limits)

    def end(self) -> None:
        """Revoke every grant."""
        end_grants(self.city, RECIPIENT)

    def name(self, delivery: str) -> str:
        """What city.yaml calls a delivery."""
        return f"{self.receiver.engine}_{delivery}"

    def deliver(self, delivery: str = "persons") -> Delivered:
        made = deliver(self.desk, self.name(delivery), "test")
        assert isinstance(made, Delivered)
        return made

    def expected(self, delivery: str = "persons") -> tuple[list[str], Counter[tuple[Any, ...]]]:
        """The columns and rows of the published version that the grant lets through now."""
        caller = self.desk.callers.on_behalf(RECIPIENT)
        allowed = self.desk.admit(caller, DELIVERIES[delivery]["product"], "test", "test").allowed
        extract = self.desk.views.extract(allowed)
        return list(extract.columns), Counter(self.desk.preview(extract, extract.rows))

    def equal(self, delivery: str = "persons") -> bool:
        """Whether the table holds just that."""
        columns, rows = self.expected(delivery)
        return self.receiver.rows("t", columns) == rows


def openssl(program: str, folder: Path) -> list[str]:
    """The command that checks a receipt offline, as docs/deliveries.md gives it."""
    key, statement, signature = (str(folder / name) for name in ("key.pem", "statement.json", "signature.bin"))
    return [program, "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", statement, "-sigfile", signature]
