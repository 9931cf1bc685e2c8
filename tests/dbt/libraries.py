"""The real staging and libraries on a core of a few rows, without admission and gate.

Belongs here: putting rows into core and building. Does not belong here: what the rows mean.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from pipelines.admission.compile import TYPES
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.dbt import generated
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake.build import BuildResult, build
from pipelines.lake.columns import query_schema
from pipelines.lake.delta import commit, latest, open_table, scan
from pipelines.lake.edition import CoreVersion, Edition, write_snapshot
from pipelines.lake.parquet import copy_rows
from pipelines.lake.zones import Lake
from pipelines.linkage import tables

PROJECT = Path(__file__).parents[2] / "dbt_project"
AS_OF = date(2026, 11, 1)
Row = Mapping[str, Any]


@dataclass
class Bench:
    """A core of every source there is, most of them empty, and the libraries built from it on a day."""

    lake: Lake
    contracts: Contracts
    work: Path
    locations: dict[str, Path] = field(default_factory=dict)

    def load(self, dataset: str, *rows: Row, batch: int = 1, op: str = "I", run: int | None = None) -> None:
        """Append one batch of changes; columns a row does not name are NULL, its place in the batch is its `_row`.
        `run`: the run, growing, that admits it: rows of one run become known at one moment. Else each batch its own."""
        source = self.contracts.sources[dataset]
        queries = [
            self._row(source, row, batch, op, None if op == "D" else place, run) for place, row in enumerate(rows)
        ]
        query = " UNION ALL ".join(queries) or self._nothing(source)
        self._append(source, query, self.lake.core(source.org, source.dataset))

    def build(self, *models: str, day: date = AS_OF) -> None:
        """Build models with the views they need; every one must succeed."""
        result = self.attempt(*models, day=day)
        for status in ("error", "skipped"):  # errors first: they are why others were skipped
            assert [model.message for model in result.models.values() if model.status == status] == []
        self.locations |= {name: model.location for name, model in result.models.items() if model.location is not None}

    def attempt(self, *models: str, day: date = AS_OF) -> BuildResult:
        """Build models, whatever comes of it."""
        self.complete()
        snapshot = self.lake.scratch() / "snapshot.json"
        write_snapshot(
            snapshot, Edition(f"e{day:%Y%m%d}", day, dict(self.versions()), tables.shown(self.lake)), [], set(models)
        )
        files = generated(self.contracts, day)
        return build(PROJECT, self.lake, f"e{day:%Y%m%d}", snapshot, models, work=self.work, generated=files)

    def complete(self) -> None:
        """Sources of which nothing was loaded are there, without rows: copies of what was made once beside the folder
        that benches share."""
        for source in self.contracts.sources.values():
            core, empty = self.lake.core(source.org, source.dataset), self.work.parent / "empty cores" / source.hash
            if latest(core) is None:
                if latest(empty) is None:
                    self._append(source, self._nothing(source), empty)
                shutil.copytree(empty, core, dirs_exist_ok=True)
        tables.ensure(self.lake)

    def rows(self, model: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of what was built last, ordered."""
        read = scan(open_table(self.locations[model]))
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            return con.execute(f"SELECT {columns} FROM {read.source} WHERE {where} ORDER BY ALL").fetchall()

    def versions(self) -> Iterator[tuple[str, CoreVersion]]:
        """The newest core version of every source."""
        for dataset, source in self.contracts.sources.items():
            location = self.lake.core(source.org, source.dataset)
            columns = tuple(column.name for column in source.all_columns)
            version = latest(location) or 0
            yield dataset, CoreVersion(location, version, version + 1, tuple(source.form.load.key), columns)

    def _row(
        self, source: SourceContract, row: Row, batch: int, op: str, place: int | None, run: int | None = None
    ) -> str:
        types = {column.name: TYPES[column.definition.logicalType] for column in source.all_columns}
        assert row.keys() <= types.keys(), row.keys() - types.keys()
        values = [f"CAST({literal(row.get(name))} AS {kind}) AS {identifier(name)}" for name, kind in types.items()]
        control = f"{literal(op)} AS _op, {batch}::BIGINT AS _batch, CAST({literal(place)} AS BIGINT) AS _row"
        known_at = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(minutes=batch - 1 if run is None else run - 1)
        return f"SELECT {', '.join(values)}, {control}, TIMESTAMPTZ {literal(known_at.isoformat())} AS _known_at"

    def _nothing(self, source: SourceContract) -> str:
        return f"{self._row(source, {}, 1, 'I', 0)} WHERE false"

    def _append(self, source: SourceContract, query: str, location: Path) -> None:
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            schema = query_schema(con, query, source.id)
            commit(location, schema, "append", latest(location), copy_rows(con, query, location))


def new_bench(folder: Path, contracts: Contracts) -> Bench:
    """Nothing loaded, nothing built. `folder` stands beside those of the other tests: together they parse once."""
    lake = Lake(folder / "lake")
    lake.prepare()
    return Bench(lake, contracts, folder.parent / "dbt of benches")
