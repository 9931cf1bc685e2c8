"""What dbt learns from contracts: its sources. Generated for each build, never committed."""

import json

from pipelines.contracts.load import Contracts


def generated(contracts: Contracts) -> dict[str, str]:
    """The generated files of the dbt project: relative path -> text (YAML, written as JSON)."""
    core = [
        {"name": f"{source.org}__{source.dataset}", "description": f"{source.form.name}：{source.form.description}"}
        for source in contracts.sources.values()
    ]
    lake = [{"name": "edition", "description": "本次版次：编号与统计时点 / the edition: its id and day"}]
    sources = [
        {"name": "core", "schema": "core", "tables": core},
        {"name": "lake", "schema": "lake", "tables": lake},
    ]
    return {"models/sources.yml": json.dumps({"version": 2, "sources": sources}, ensure_ascii=False, indent=1)}
