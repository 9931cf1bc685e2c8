"""What the SQL of a model refers to is what dbt's graph says it is built from."""

from datetime import date
from pathlib import Path

from pipelines.contracts.dbt import LOG, generated
from pipelines.contracts.load import Contracts
from pipelines.lake.lineage import upstream
from pipelines.lake.models import Model, models


def test_lineage_by_sql_is_the_lineage_of_dbt(repository: Path, contracts: Contracts, tmp_path: Path) -> None:
    project = repository / "dbt_project"
    graph = models(project, tmp_path, generated(contracts, date(2026, 11, 1)))
    for name in contracts.models:
        expected = _sources(graph, name)
        assert set(upstream(project, name).sources) == expected, name
        assert expected <= contracts.sources.keys()


def _sources(graph: dict[str, Model], name: str) -> set[str]:
    model = graph[name]
    core = (source.removesuffix(LOG) for source in model.sources if source.startswith("core."))  # not lake.edition
    own = {source.removeprefix("core.").replace("__", "/") for source in core}
    return own.union(*(_sources(graph, parent) for parent in model.depends_on))


def test_a_walk_ends_at_the_models_that_it_is_not_to_pass(repository: Path, contracts: Contracts) -> None:
    found = upstream(repository / "dbt_project", "mart_population__reconciliation", contracts.models)
    assert set(found.models) & contracts.models.keys() == {"lib_geography__division", "lib_population__person"}
    assert found.sources == (
        "hc/birth_certificate",
        "psb/floating_person",
        "psb/household_person",
        "psb/population_report",
    )  # insurance and all else that persons are made of is behind the library
