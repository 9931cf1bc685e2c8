"""The receiving of air stations into a lake of its own, by the real contract and register."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import duckdb

from pipelines.admission.receive import receive
from pipelines.contracts.load import load
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from tests.connectors.brokers import HOST, PASSWORD, USER

REPOSITORY = Path(__file__).resolve().parents[2]


class RawLake:
    """One home; made anew by each process that works on it."""

    def __init__(self, home: Path) -> None:
        self.lake = Lake(home / "lake")
        self.lake.prepare()
        self.register = Register(f"sqlite:///{home / 'register.db'}")
        self.register.upgrade()
        self.receipts = Receipts(self.register, "test")
        self.contracts = load(REPOSITORY / "data_contracts")
        contract = self.contracts.sources["eeb/air_station_hour"]
        arguments = {**contract.connector.arguments, "client_id": "citylake", "quiet": 0.2}
        self.contract = replace(contract, connector=replace(contract.connector, arguments=arguments))

    def receive(self, port: int) -> bool:
        """One pull; whether it brought a new batch."""
        address = f"mqtt://{USER}:{quote(PASSWORD, safe='')}@{HOST}:{port}"
        delivery = receive(self.contract, self.contracts, self.lake, lambda _: address, self.receipts)
        return delivery is not None and delivery.new

    def ids(self) -> list[int]:
        """The ids of all messages in raw, of batches that have a receipt."""
        folder = self.lake.raw(self.contract.org, self.contract.dataset)
        last = self.receipts.last(Stage.PULL, self.contract.id)
        batches = (
            [str(folder / str(batch) / "rows.parquet") for batch in range(1, (last.batch or 0) + 1)] if last else []
        )
        query = "SELECT id FROM read_parquet(?, union_by_name = true)"
        return [int(row[0]) for row in duckdb.execute(query, [batches]).fetchall()]
