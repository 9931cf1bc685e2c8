"""The released cities that tests of the catalogue stand on: one that many share, and fresh ones to change."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.catalog.small_city import AGES, DIVISIONS, PERSONS, City


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """A city with three released products; tests add recipients and grants of their own names only."""
    return released_city(tmp_path_factory.mktemp("city"))


@pytest.fixture
def own_city(tmp_path: Path) -> City:
    """A city that a test may release to, withdraw from and damage."""
    return released_city(tmp_path)


@pytest.fixture
def client(city: City) -> Iterator[TestClient]:
    """A client of the shared city without any cookie."""
    with city.client() as browser:
        yield browser


def released_city(home: Path) -> City:
    """A city with persons (shared under conditions), ages (open) and divisions (analysts)."""
    made = City(home)
    made.release(PERSONS)
    made.release(AGES, 96)
    made.release(DIVISIONS, 3)
    made.release_model()
    return made
