"""Receiving into a lake of its own, by a real contract, register and receipts: of any source, of the air stations'
broker, of an interface."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from pipelines.admission.receive import receive
from pipelines.contracts.load import load
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from tests.connectors.brokers import HOST, PASSWORD, USER

REPOSITORY = Path(__file__).resolve().parents[2]
ARGUMENTS = {
    "connection": "hc",
    "path": "pages",
    "records": "data/list",
    "parameters": {"page": "$page", "size": "$size"},
    "paging": {"by": "page", "size": 3},
}


class RawLake:
    """One home and one source; made anew by each process that works on it."""

    def __init__(self, home: Path, source: str) -> None:
        self.lake = Lake(home / "lake")
        self.lake.prepare()
        self.register = Register(f"sqlite:///{home / 'register.db'}")
        self.register.upgrade()
        self.receipts = Receipts(self.register, "test")
        self.contracts = load(REPOSITORY / "data_contracts")
        self.contract = self.contracts.sources[source]

    def receive(self, secret: str) -> bool:
        """One pull; whether it brought a new batch."""
        delivery = receive(self.contract, self.contracts, self.lake, lambda _: secret, self.receipts)
        return delivery is not None and delivery.new

    def batches(self) -> list[str]:
        """The files of rows of all batches that have a receipt, in order."""
        folder = self.lake.raw(self.contract.org, self.contract.dataset)
        last = self.receipts.last(Stage.PULL, self.contract.id)
        return [str(folder / str(batch) / "rows.parquet") for batch in range(1, (last.batch or 0) + 1)] if last else []

    def ids(self, batches: list[str]) -> list[str]:
        """The ids in some batches."""
        query = "SELECT id FROM read_parquet(?, union_by_name = true)"
        return [row[0] for row in duckdb.execute(query, [batches]).fetchall()]


class AirLake(RawLake):
    """What the stations publish, by their contract."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, "eeb/air_station_hour")
        arguments = {**self.contract.connector.arguments, "client_id": "citylake", "quiet": 0.2}
        self.contract = replace(self.contract, connector=replace(self.contract.connector, arguments=arguments))

    def receive_from(self, port: int) -> bool:
        """One pull from a broker of this machine; whether it brought a new batch."""
        return self.receive(f"mqtt://{USER}:{quote(PASSWORD, safe='')}@{HOST}:{port}")


class RestLake(RawLake):
    """What an interface tells: one column, `id`."""

    def __init__(self, home: Path, **arguments: Any) -> None:
        super().__init__(home, "dsrb/division")
        connector = replace(self.contract.connector, verb="rest_api", arguments=ARGUMENTS | arguments)
        column = replace(self.contract.columns[0], physical_name="id")
        self.contract = replace(self.contract, connector=connector, columns=[column])
