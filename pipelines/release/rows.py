"""Released rows by their key, every value as text.

Belongs here: reading rows of one released version. Does not belong here: what they mean (explain, history).
"""

from collections.abc import Mapping
from functools import cached_property

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.resolved import Contracts, Product, ProductContract
from pipelines.engine import connect
from pipelines.lake import delta
from pipelines.lake.errors import LakeError
from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.ledger import Ledger, Recorded

Row = dict[str, str | None]
UNREADABLE = (DeltaError, LakeError, OSError, duckdb.ProgrammingError, duckdb.IOException)
"""What reading a version raises that is no more, or has not the columns of today. Not too little memory: that says
nothing of the version."""


class ReleasedRows:
    """Rows of the models that are published in one home."""

    def __init__(self, contracts: Contracts, lake: Lake, register: Register) -> None:
        self.contracts = contracts
        self.lake = lake
        self.ledger = Ledger(register)
        self.published = self.ledger.published()
        self.con = connect(lake.scratch())
        self._counted: dict[tuple[str, int, str], int] = {}

    @cached_property
    def kept(self) -> list[Recorded]:
        """Every release whose version was not ended, in order, as of the first asking: the ledger is long."""
        return self.ledger.kept_releases()

    def published_model(self, model: str) -> tuple[ProductContract, Recorded]:
        """A model's contract and release. Raises CitylakeError for a model that is unknown or not published."""
        if model not in self.contracts.models:
            raise CitylakeError("explain.no_model", model=model, known="、".join(sorted(self.contracts.models)))
        if model not in self.published:
            raise CitylakeError("explain.not_released", model=model)
        return self.contracts.models[model], self.published[model]

    def release(self, model: str, version: int) -> Recorded:
        """The release of a model's version. Raises CitylakeError if it is no longer kept."""
        found = (one for one in reversed(self.kept) if (one.subject, one.version) == (model, version))
        if (entry := next(found, None)) is None:
            raise CitylakeError("explain.not_kept", model=model, version=version)
        return entry

    def one(self, contract: ProductContract, version: int | None, key: Mapping[str, str]) -> Row:
        """The one row with this key. Raises CitylakeError if there is none or several, or a column is unknown."""
        rows = self.some(contract, version, key, "LIMIT 2")
        if len(rows) != 1:
            code = "explain.several_rows" if rows else "explain.no_row"
            raise CitylakeError(code, model=contract.form.model, key="、".join(contract.form.key))
        return rows[0]

    def some(
        self, contract: ProductContract, version: int | None, wanted: Mapping[str, str | None], end: str
    ) -> list[Row]:
        """The rows with these values, in the columns of the contract that the version has; `end` orders and bounds
        them."""
        table = self._table(contract, version)
        names = _columns(contract, table)
        listed = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in names)
        query = f"SELECT {listed} FROM {delta.scan(table).source} WHERE {fits(wanted)} {end}"
        return [dict(zip(names, values, strict=True)) for values in self.con.execute(query).fetchall()]

    def count(self, contract: ProductContract, version: int | None, wanted: Mapping[str, str | None]) -> int:
        """How many rows have these values."""
        query = f"SELECT count(*) FROM {self.relation(contract, version)} WHERE {fits(wanted)}"
        ((total,),) = self.con.execute(query).fetchall()
        return int(total)

    def count_of_product(self, product: Product, version: int, within: str) -> int:
        """How many rows of a version of a product fit a condition; each is counted once. Raises LakeError."""
        asked = (product.id, version, within)
        if asked not in self._counted:
            query = f"SELECT count(*) FROM {self.relation_of_product(product, version)} WHERE {within}"
            ((total,),) = self.con.execute(query).fetchall()
            self._counted[asked] = int(total)
        return self._counted[asked]

    def columns(self, contract: ProductContract, version: int | None) -> list[str]:
        """The columns of a contract that a released version has: those that came since stand in none before."""
        return _columns(contract, self._table(contract, version))

    def relation(self, contract: ProductContract, version: int | None) -> str:
        """SQL of one released version."""
        return delta.scan(self._table(contract, version)).source

    def _table(self, contract: ProductContract, version: int | None) -> DeltaTable:
        return delta.open_table(self.lake.released(contract.library, contract.form.model), version)

    def relation_of_product(self, product: Product, version: int | None) -> str:
        """SQL of one released version of a product. Raises LakeError."""
        return delta.scan(delta.open_table(self.lake.product(product.channel, product.name), version)).source


def _columns(contract: ProductContract, table: DeltaTable) -> list[str]:
    there = {field.name for field in table.schema().fields}
    return [column.name for column in contract.columns if column.name in there]


def fits(wanted: Mapping[str, str | None]) -> str:
    """SQL that a row has these values, given as text."""
    values = {name: "NULL" if value is None else literal(value) for name, value in wanted.items()}
    same = (f"CAST({identifier(name)} AS VARCHAR) IS NOT DISTINCT FROM {value}" for name, value in values.items())
    return " AND ".join(same) or "true"
