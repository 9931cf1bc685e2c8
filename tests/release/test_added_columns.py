"""A table that keeps its days gets columns: what was kept before says nothing in them, and stays as it was."""

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.lake import delta
from pipelines.run import Run
from tests.city import REPOSITORY, Town

pytestmark = [pytest.mark.server, pytest.mark.long]

MODEL, PRODUCT = "mart_population__reconciliation", "sharing/population_reconciliation"
SQL = f"dbt_project/models/marts/population/{MODEL}.sql"
CONTRACT = "data_contracts/products/population/reconciliation.yaml"
BIRTHS = ("births_certified", "births_listed", "births_missing")
BEFORE = "as_of, town_code, registered_persons, persons_listed, departures_missing"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town whose first day was published before births were held against each other."""
    folder = tmp_path_factory.mktemp("columns")
    for part in ("data_contracts", "dbt_project"):
        shutil.copytree(REPOSITORY / part, folder / "project" / part)
    for name in (SQL, CONTRACT):
        _without_births(folder / "project" / name)
    town = Town(folder, persons=1_200, project=folder / "project")
    town.run("before")
    for name in (SQL, CONTRACT):
        shutil.copy(REPOSITORY / name, folder / "project" / name)
    yield town
    town.close()


def _without_births(path: Path) -> None:
    """Leave out the columns where they are selected, named and advised about, and nothing else."""
    parts = (
        r"^ +(?:coalesce|cast\(coalesce).* as births_\w+,\n",
        r"^  - births_\w+\n",
        r"^  - between: \{column: births_missing.*\n",
        r", births_\w+(?=[,\]])",
    )
    path.write_text(re.sub("|".join(parts), "", path.read_text("utf-8"), flags=re.MULTILINE), "utf-8")


def test_days_kept_before_have_no_births_and_are_otherwise_as_they_were(town: Town) -> None:
    first = town.published()
    assert first.keys() >= {MODEL, PRODUCT}
    kept = town.rows(MODEL, BEFORE)
    columns = delta.column_types(delta.open_table(town.settings.lake.subject(MODEL)).schema())
    assert kept and columns.keys().isdisjoint(BIRTHS)

    def next_day(run: Run) -> None:
        run.started += timedelta(days=1)

    outcomes = town.run("after", before=next_day, sources=["hc/birth_certificate", "psb/population_report"])
    assert outcomes[MODEL].version == town.published()[MODEL].version != first[MODEL].version  # type: ignore[union-attr]
    old, new = kept[0][0], town.published()[MODEL].body["as_of"]
    for subject in (MODEL, PRODUCT):
        assert town.rows(subject, BEFORE, f"as_of = '{old}'") == kept, subject
        births = ", ".join(f"count({name})" for name in BIRTHS)
        assert town.rows(subject, births, f"as_of = '{old}'") == [(0, 0, 0)], subject
        assert town.rows(subject, births, f"as_of = '{new}'") == [(len(kept),) * 3], subject
