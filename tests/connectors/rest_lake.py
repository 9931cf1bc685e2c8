"""The receiving of an interface's records into a lake of its own, by a real contract, register and receipts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from pipelines.admission.receive import receive
from pipelines.contracts.load import load
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage

REPOSITORY = Path(__file__).resolve().parents[2]
ARGUMENTS = {
    "connection": "hc",
    "path": "pages",
    "records": "data/list",
    "parameters": {"page": "$page", "size": "$size"},
    "paging": {"by": "page", "size": 3},
}


class RestLake:
    """One home; made anew by each process that works on it."""

    def __init__(self, home: Path, **arguments: Any) -> None:
        self.lake = Lake(home / "lake")
        self.lake.prepare()
        self.register = Register(f"sqlite:///{home / 'register.db'}")
        self.register.upgrade()
        self.receipts = Receipts(self.register, "test")
        self.contracts = load(REPOSITORY / "data_contracts")
        contract = self.contracts.sources["dsrb/division"]
        connector = replace(contract.connector, verb="rest_api", arguments=ARGUMENTS | arguments)
        column = replace(contract.columns[0], physical_name="id")
        self.contract = replace(contract, connector=connector, columns=[column])

    def receive(self, secret: str) -> bool:
        """One pull; whether it brought a new batch."""
        delivery = receive(self.contract, self.contracts, self.lake, lambda _: secret, self.receipts)
        return delivery is not None and delivery.new

    def ids(self) -> list[str]:
        """The ids in the last batch that has a receipt."""
        last = self.receipts.last(Stage.PULL, self.contract.id)
        assert last is not None
        file = self.lake.raw(self.contract.org, self.contract.dataset) / str(last.batch) / "rows.parquet"
        return [row[0] for row in duckdb.execute("SELECT id FROM read_parquet(?)", [str(file)]).fetchall()]
