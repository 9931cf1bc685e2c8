"""The released cities that tests of the catalogue stand on: one that many share, and fresh ones to change."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from catalog.app import create_app
from pipelines.register.tables import metadata
from simulator.server import Server
from tests.catalog.receiving import Bureau, Bureaus, mariadb_receiver, postgres_receiver
from tests.catalog.signing_in import Clock
from tests.catalog.small_city import (
    AGE_CELLS,
    AGE_MODEL,
    AGES,
    COUNTED,
    COUNTIES,
    DIVISIONS,
    GEOGRAPHY,
    MARRIAGES,
    PERSONS,
    PLAN,
    REGISTER,
    URL,
    City,
    appoint,
)
from tests.connectors.databases import MariaDB


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """A city with three released products; tests add recipients and grants of their own names only."""
    return released_city(tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="session")
def full_city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """A city that has released its indicators, geography and the analysts' database too, with evidence and batches."""
    made = released_city(tmp_path_factory.mktemp("full"))
    made.release(PLAN)
    made.release(COUNTIES)
    made.release_model(GEOGRAPHY)
    made.prove(AGE_MODEL, AGE_CELLS, COUNTED)
    made.admit(REGISTER, 1, 1000, 30, {"name.chinese_name": 20, "birth_date.type": 12})
    made.admit(REGISTER, 2, 1100, 3, {"sex_matches_id": 3})
    made.admit(MARRIAGES, 1, 50, 4, {"male_id_number.gb11643_age": 4})
    made.refresh_marts()
    return made


@pytest.fixture(scope="session")
def released_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released city that is only copied: nobody changes it."""
    home = tmp_path_factory.mktemp("released")
    released_city(home).register.close()
    return home


@pytest.fixture
def own_city(tmp_path: Path, released_home: Path) -> City:
    """A city that a test may release to, withdraw from and damage."""
    shutil.copytree(released_home, tmp_path, dirs_exist_ok=True)
    return City(tmp_path)


@pytest.fixture(scope="module")
def bureaus(tmp_path_factory: pytest.TempPathFactory, postgres: Server, mariadb: MariaDB) -> Bureaus:
    """A city that delivers into a database of a real PostgreSQL and of a real MariaDB."""
    receivers = [postgres_receiver(postgres, "bureau"), mariadb_receiver(mariadb, "bureau")]
    return Bureaus(released_city(tmp_path_factory.mktemp("bureaus")), receivers)


@pytest.fixture(params=("postgresql", "mariadb"))
def bureau(request: pytest.FixtureRequest, bureaus: Bureaus) -> Bureau:
    """One of the two databases, empty, and a grant to it."""
    made = Bureau(bureaus, request.param)
    made.receiver.clear()
    made.city.release(PERSONS)
    made.grant()
    return made


@pytest.fixture(scope="module")
def door_city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """Nothing is released: it is about the door. All tests come from one network."""
    return door(tmp_path_factory.mktemp("door"))


@pytest.fixture
def staffed_city(door_city: City) -> City:
    """The same with people and nothing else in the register: reading contracts takes seconds."""
    with door_city.register.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
    appoint(door_city.register, door_city.contracts)
    return door_city


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("headless Chromium is not installed")
    return found


@pytest.fixture(scope="session")
def app(city: City) -> FastAPI:
    """The service of the shared city: reading all contracts takes a second, and they do not change."""
    return create_app(city.settings)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client of the shared city without any cookie."""
    with TestClient(app, base_url=URL, follow_redirects=False) as browser:
        yield browser


def door(home: Path, register: str | None = None) -> City:
    """A city that has released nothing and lets one network try as often as it likes."""
    made = City(home, register)
    many = "{perMinute: 1000000, rowsPerDay: 1, bytesPerDay: 1}"
    made.limit(f"{{credentials: {{perMinute: 1000000}}, callers: {{anonymous: {many}}}}}")
    return made


def released_city(home: Path, register: str | None = None) -> City:
    """A city with persons (shared under conditions), ages (open) and divisions (analysts)."""
    made = City(home, register)
    made.release(PERSONS)
    made.release(AGES, 96)
    made.release(DIVISIONS, 3)
    made.release_model()
    return made
