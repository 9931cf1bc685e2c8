"""Fixtures of the dbt tests; the small city they build is in court."""

import shutil
from pathlib import Path

import pytest
from court import CONTROL, MODELS, City, cases

from pipelines.lake.zones import Lake

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The real project without its models."""
    target = tmp_path / "project"
    shutil.copytree(REPOSITORY / "dbt_project", target, ignore=shutil.ignore_patterns("models", "tests"))
    return target


@pytest.fixture
def city(tmp_path: Path, project: Path) -> City:
    """1000 cases in batch 1 and three divisions; nothing built yet."""
    lake = Lake(tmp_path / "湖 lake")
    lake.prepare()
    city = City(lake, project, tmp_path / "work", {}, dict(MODELS))
    city.load("court/case", cases(1, "I", "1000"))
    control = CONTROL.format(op="I", batch=1, row="row_number() over ()")
    divisions = "(values ('341500', '金安区'), ('341501', '裕安区'), ('341502', '叶集区')) t(division, name)"
    city.load("court/division", f"select division, name, {control} from {divisions}")
    return city
