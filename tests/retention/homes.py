"""A home with little in it, put there by hand: core, refused rows, raw batches and releases of chosen days.

Time is a parameter: rows and receipts say when they were, and what is due is asked for a day.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from pipelines.codecs.sql import literal
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake import delta
from pipelines.lake.candidate import fingerprint
from pipelines.lake.columns import query_schema
from pipelines.lake.parquet import copy_rows, write_file
from pipelines.register import Register, chain
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import receipt
from pipelines.release.files import changes_of, data_files
from pipelines.release.ledger import RELEASE, Entry, Ledger
from pipelines.retention.apply import Retention
from pipelines.retention.due import Search
from pipelines.settings import Settings
from tests.city import REPOSITORY


def noon(day: date) -> datetime:
    """Midday of a day of the city."""
    return datetime.combine(day, time(4), UTC)


def only(contracts: Contracts, sources: Sequence[str] = (), models: Sequence[str] = (), **periods: str) -> Contracts:
    """Some of the contracts, those named by the last part of their id with another period."""

    def changed(contract: Any) -> Any:
        form = contract.form
        period = periods.get(contract.dataset, form.slaProperties.retention)
        sla = form.slaProperties.model_copy(update={"retention": period})
        return replace(contract, form=form.model_copy(update={"slaProperties": sla}))

    return replace(
        contracts,
        sources={name: changed(contracts.sources[name]) for name in sources},
        models={name: changed(contracts.models[name]) for name in models},
    )


class Home:
    """An installation without departments."""

    def __init__(self, root: Path, contracts: Contracts) -> None:
        self.settings = Settings(root / "home", REPOSITORY, 0, 0, f"sqlite:///{root / 'home' / 'register.db'}")
        self.settings.prepare()
        self.register = Register(self.settings.register_url)
        self.register.upgrade()
        self.contracts, self.lake = contracts, self.settings.lake
        self.ledger, self.receipts = Ledger(self.register), Receipts(self.register, "test")

    @property
    def retention(self) -> Retention:
        return Retention(self.settings, self.contracts, self.register)

    @property
    def search(self) -> Search:
        return Search(self.settings, self.contracts, self.register)

    def put(self, location: Path, query: str, strategy: delta.Strategy = "append") -> int:
        """Commit the rows of a query as the next version of a table."""
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            schema = query_schema(con, query, location.name)
            base = delta.latest(location)
            return delta.commit(location, schema, strategy, base, copy_rows(con, query, location))

    def rows(self, location: Path, columns: str = "*", version: int | None = None) -> list[tuple[Any, ...]]:
        """Rows of a table, ordered."""
        read = delta.scan(delta.open_table(location, version))
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            return con.execute(
                f"SELECT {columns} FROM (SELECT {read.columns} FROM {read.source}) ORDER BY ALL"
            ).fetchall()

    def raw(
        self, source: SourceContract, batch: int, day: date, query: str, admitted: bool = True, **body: Any
    ) -> Path:
        """A raw batch that was received, and admitted, on a day."""
        folder = self.lake.raw(source.org, source.dataset) / str(batch)
        folder.mkdir(parents=True)
        with duckdb.connect() as con:
            rows = write_file(con, query, folder / "rows.parquet")
        (folder / "original.csv").write_text("as it came\n")
        about = {"rows": rows, "origin": "table", "columns": [], "contract": source.hash, **body}
        self.receipts.add(Stage.PULL, source.id, about, batch)
        if admitted:
            self.receipts.add(Stage.ADMIT, source.id, {"core_version": None, "key": source.form.load.key}, batch)
        with self.register.begin() as connection:
            mine = (receipt.c.subject == source.id) & (receipt.c.batch == batch)
            connection.execute(sa.update(receipt).where(mine).values(at=noon(day)))
        return folder

    def release(self, subject: str, day: date, query: str, monkeypatch: Any, **body: Any) -> int:
        """The next version of a subject, published on a day."""
        version = self.put(self.lake.subject(subject), query, "table")
        location, newest = self.lake.subject(subject), self.ledger.newest(RELEASE).get(subject)
        about = {"fingerprint": fingerprint(location, version), "files": [], "inputs": "i"}
        about["data"] = data_files(self.lake, location, version, newest, changes_of(self.ledger.rewritings()))
        about.update(body)
        with monkeypatch.context() as patch:
            patch.setattr(chain, "now", lambda: noon(day))
            self.ledger.record([Entry(RELEASE, subject, f"e{day}", version, about)])
        return version


def values(rows: Sequence[tuple[Any, ...]], *names: str) -> str:
    """A query of rows: texts, whole numbers, days, moments, NULL."""
    listed = ", ".join(f"({', '.join(map(_sql, row))})" for row in rows)
    return f"SELECT * FROM (VALUES {listed}) v({', '.join(names)})"


def _sql(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ {literal(value.isoformat())}"
    if isinstance(value, date):
        return f"DATE {literal(value.isoformat())}"
    return f"{value}::BIGINT" if isinstance(value, int) else literal(str(value))
