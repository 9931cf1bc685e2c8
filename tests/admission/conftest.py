"""Deliveries made by hand: rows go straight into raw, as a connector would have left them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines.admission import as_of
from pipelines.admission.admit import Admitted, admit
from pipelines.admission.receive import Delivery
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake import delta
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts
from pipelines.release.ledger import Ledger

TODAY = date(2026, 11, 23)
Rows = Sequence[dict[str, Any]]


class Intake:
    """One source of one lake: deliver rows, look at what became of them."""

    def __init__(self, root: Path, contracts: Contracts, contract: SourceContract) -> None:
        self.lake = Lake(root / "lake")
        self.lake.prepare()
        self.contracts, self.contract = contracts, contract
        self.register = Register(f"sqlite:///{root / 'register.db'}")
        self.register.upgrade()
        self.receipts = Receipts(self.register, "test")
        self.batch = 0

    @property
    def core(self) -> Path:
        return self.lake.core(self.contract.org, self.contract.dataset)

    @property
    def quarantine(self) -> Path:
        return self.lake.quarantine(self.contract.org, self.contract.dataset)

    def raw(self, rows: Rows) -> Delivery:
        """A delivery as a new batch, not admitted yet."""
        self.batch += 1
        path = self.lake.raw(self.contract.org, self.contract.dataset) / str(self.batch) / "rows.parquet"
        path.parent.mkdir(parents=True)
        columns = [column.physical_name for column in self.contract.columns]
        frame = pl.DataFrame(
            [{name: row.get(name) for name in columns} for row in rows], dict.fromkeys(columns, pl.Utf8)
        )
        frame.write_parquet(path)
        return Delivery(self.batch, len(rows), path, True, ())

    def admit(self, delivery: Delivery) -> Admitted:
        known_at = f"2026-11-23 00:{delivery.batch % 60:02}:00+00"
        arguments = (self.contract, self.contracts, self.lake, b"k" * 32, delivery, TODAY, known_at, self.receipts)
        return admit(*arguments)

    def deliver(self, rows: Rows) -> Admitted:
        return self.admit(self.raw(rows))

    def current(self, batch: int | None = None) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The state of core by key, at present or as of a batch."""
        key, ledger = self.contract.form.load.key, Ledger(self.register)
        if batch is None:
            query = as_of.by_day(self.contract, self.lake, ledger, date(2100, 1, 1), UTC)
        else:
            query = as_of.by_batch(self.contract, self.lake, self.receipts, ledger, batch, UTC)
        rows = duckdb.sql(query).to_arrow_table().to_pylist()
        shown = [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]
        return {tuple(row[name] for name in key): row for row in shown}

    def refused(self, batch: int) -> list[dict[str, Any]]:
        read = delta.scan(delta.open_table(self.quarantine))
        query = f"SELECT {read.columns} FROM {read.source} WHERE _batch = {batch} ORDER BY _row"
        return duckdb.sql(query).to_arrow_table().to_pylist()


@pytest.fixture
def intake(tmp_path: Path, contracts: Contracts) -> Callable[..., Intake]:
    """Make an intake of a real contract, some load settings changed."""

    def make(source: str, **load: Any) -> Intake:
        contract = contracts.sources[source]
        form = contract.form.model_copy(update={"load": contract.form.load.model_copy(update=load)})
        return Intake(tmp_path, contracts, replace(contract, form=form))

    return make
