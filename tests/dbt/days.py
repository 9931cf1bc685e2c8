"""Builds of the population library one after the other, by key or whole, and what is published of them.

Belongs here: building, publishing, reading. Does not belong here: what changes between two builds.
"""

from collections.abc import Sequence
from typing import Any

import duckdb
from libraries import AS_OF, PROJECT, Bench

from pipelines.contracts.dbt import generated
from pipelines.lake.build import BuildResult, build
from pipelines.lake.delta import latest, open_table, scan
from pipelines.lake.edition import Edition, Released, write_snapshot
from pipelines.lake.keys import Built, Since, Source
from pipelines.lake.zones import library_of
from pipelines.linkage import tables

PERSON = "lib_population__person"
HISTORY = "lib_population__person_history"
"""Has no key: it looks at the keys for which its subject is built, if that starts from the version that was told of."""
DIVISION = "lib_geography__division"


class Builds:
    """A small core, and what is published of it. `models` are built each time, the divisions with whole builds."""

    def __init__(self, bench: Bench, models: Sequence[str]) -> None:
        self.bench, self.models = bench, models
        self.published: dict[str, Released] = {}
        self.built: dict[str, Built] = {}
        self.told: dict[str, Released] = {}

    def build(self, edition: str, by_key: bool) -> BuildResult:
        """Build all models from what was published last, by key or whole."""
        lake, now = self.bench.lake, self._now()
        snapshot = lake.scratch() / f"{edition}.json"
        told = Edition(edition, AS_OF, dict(self.bench.versions()), tables.shown(lake))
        chosen = [*self.models, *([] if by_key else [DIVISION])]
        write_snapshot(snapshot, told, list(self.published.values()), set(chosen), self.told)
        result = build(
            *(PROJECT, lake, edition, snapshot, chosen),
            work=self.bench.work,
            generated=generated(self.bench.contracts, AS_OF),
            since=Since(now, self.built) if by_key else None,
        )
        failed = {name: model.message for name, model in result.models.items() if model.status != "success"}
        assert failed == {}
        return result

    def publish(self, result: BuildResult, *models: str) -> None:
        """Candidates become what is published; what a model reads is what was published beside it."""
        for name in models:
            location, version = result.models[name].location, result.models[name].version
            assert location is not None and version is not None
            self.published[name] = Released(library_of(name), name, location, version)
        if HISTORY in models:
            self.told[HISTORY] = self.published[PERSON]
        versions = {name: one.version for name, one in self.published.items()}
        for name in models:
            self.built[name] = Built(self._now(), versions)

    def _now(self) -> dict[str, Source]:
        sources = {f"core.{name.replace('/', '__')}": one for name, one in self.bench.versions()}
        return {**sources, **tables.shown(self.bench.lake)}


def rows(result: BuildResult, name: str) -> list[tuple[Any, ...]]:
    location = result.models[name].location
    assert location is not None
    read = scan(open_table(location, latest(location)))
    columns = read.columns.replace('"known_in"', "NULL")  # the edition, whose name differs
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.execute(f"SELECT {columns} FROM {read.source} ORDER BY ALL").fetchall()
