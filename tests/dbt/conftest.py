"""Fixtures of the dbt tests; the small city they build is in court."""

from pathlib import Path

import pytest
from court import City, new_city, project_without_models

from pipelines.lake.zones import Lake


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The real project without its models."""
    return project_without_models(tmp_path / "project")


@pytest.fixture
def city(tmp_path: Path, project: Path) -> City:
    """1000 cases in batch 1 and three divisions; nothing built yet."""
    return new_city(Lake(tmp_path / "湖 lake"), project, tmp_path / "work")
