"""The page of the plan's systems: complete, fresh, and wrong names are told with their line."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.contracts import coverage
from pipelines.contracts.load import Contracts
from pipelines.messages import CitylakeError


def test_every_project_of_the_plan_has_systems(contracts: Contracts) -> None:
    found = coverage.systems(contracts)
    assert {system.project for system in found} == set(range(1, 25))
    assert len({(system.project, system.name) for system in found}) == len(found)


def test_the_page_in_docs_is_fresh(contracts: Contracts, repository: Path) -> None:
    assert (repository / coverage.PAGE).read_text("utf-8") == coverage.page(contracts)


def test_a_source_without_a_contract_is_told_with_its_line(contracts: Contracts, tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    file = tmp_path / coverage.FILE
    shutil.copy(contracts.root / coverage.FILE, file)
    text = file.read_text("utf-8").splitlines()
    text[3] = text[3].rpartition(",")[0] + ",nobody/nothing"
    file.write_text("\n".join(text) + "\n", "utf-8")
    with pytest.raises(CitylakeError, match=r"plan_systems\.csv 第 4 行：来源 nobody/nothing"):
        coverage.systems(replace(contracts, root=tmp_path))


def test_a_project_that_is_left_out_is_told(contracts: Contracts, tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    lines = (contracts.root / coverage.FILE).read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("24,")]
    (tmp_path / coverage.FILE).write_text("\n".join(kept) + "\n", "utf-8")
    with pytest.raises(CitylakeError, match="24"):
        coverage.systems(replace(contracts, root=tmp_path))
