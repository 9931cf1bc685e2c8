"""A small city of its own, so that tests do not depend on what Lu'an promises today."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts

Edit = Callable[[str, str, str], None]


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """The folder of contracts of the small city, free to be changed."""
    return Path(shutil.copytree(Path(__file__).parent / "city", tmp_path / "city"))


@pytest.fixture
def edit(city: Path) -> Edit:
    """Replace a text that stands exactly once in a file of the city."""

    def change(file: str, old: str, new: str) -> None:
        text = (city / file).read_text("utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        (city / file).write_text(text.replace(old, new), "utf-8")

    return change


@pytest.fixture(scope="session")
def small() -> Contracts:
    """The contracts of the small city, unchanged."""
    return load(Path(__file__).parent / "city")


@pytest.fixture(scope="session")
def real() -> Contracts:
    """The contracts of the repository."""
    return load(Path(__file__).parents[2] / "data_contracts")
