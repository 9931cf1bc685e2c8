"""A recipient whom the city delivers to by itself, into a database of its own and a folder, and what it holds there.

Belongs here: delivering, and looking at what is held as the recipient does. Does not belong here: what ought to be.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from catalog.delivery.deliveries import deliver
from catalog.delivery.desk import Desk, Refused
from simulator.server import Server
from tests.catalog.every_road import Row, text
from tests.catalog.filing import FOLDER, Office, add_deliveries
from tests.catalog.receiving import postgres_receiver
from tests.catalog.small_city import PERSONS, City
from tests.connectors.store_servers import FolderBackend

RECIPIENT = "自动接收方"
PushedRoad = Literal["tables", "files"]
PUSHED: tuple[PushedRoad, ...] = ("tables", "files")
"""The roads by which it is delivered to, and what its deliveries are called."""


class Pushed:
    """One recipient: its table is emptied when nothing covers the rows any more, its folder is kept."""

    def __init__(self, city: City, server: Server, home: Path) -> None:
        self.database, store = postgres_receiver(server, "pushed"), FolderBackend(home)
        to = {"recipient": RECIPIENT, "product": PERSONS}
        table = {**to, "connection": "front", "table": "t", "whenEnded": "empty", "changes": True}
        folder = {**to, "connection": "drop", "folder": FOLDER}
        add_deliveries(
            city, {"front": self.database.address, "drop": store.address}, {"tables": table, "files": folder}
        )
        city.recipient(RECIPIENT)
        self.desk = Desk(city.settings, city.register)
        self.office = Office(store, FOLDER, home)

    def deliver(self, road: PushedRoad) -> str | None:
        """Deliver by a road; why that was refused, None if it was not."""
        try:
            deliver(self.desk, road, "test")
        except Refused as refused:
            return refused.reason.value
        return None

    def held(self, road: PushedRoad, columns: Sequence[str]) -> Counter[Row]:
        """All rows that it holds, of them these columns."""
        if road == "tables":
            self._require_changes()
            if not columns:
                return Counter({(): int(self.database.run("SELECT count(*) FROM t")[0][0])})
            found = self.database.rows("t", columns)
            return Counter(tuple(text(value) for value in row) for row in found.elements())
        self.office.take()
        places = [self.office.columns.index(name) for name in columns]
        return Counter(tuple(text(row[place]) for place in places) for row in self.office.rows.elements())

    def _require_changes(self) -> None:
        """The table of changes tells of no row and no value, beside those that went, that the table does not have."""
        names = "SELECT column_name FROM information_schema.columns WHERE table_name = 't'"
        own = [f'"{name}"' for (name,) in self.database.run(names) if name != "_citylake_check"]
        latest = """SELECT DISTINCT ON (_citylake_row) * FROM t_changes WHERE _citylake_operation <> 'F'
            ORDER BY _citylake_row, _citylake_number DESC"""
        shown = ", ".join(own)
        more = f"SELECT {shown} FROM ({latest}) AS c WHERE _citylake_operation <> 'D' EXCEPT SELECT {shown} FROM t"
        assert self.database.run(more) == []
        told = self.database.run("SELECT count(*), count(*) FILTER (WHERE _citylake_operation = 'F') FROM t_changes")
        ended = self.database.run("SELECT count(*) FROM _citylake_position WHERE state NOT IN ('', 'current')")
        assert told == [(0, 0)] or (told[0][1] == 1 and ended == [(0,)]), "it goes with the rows that an end takes away"
