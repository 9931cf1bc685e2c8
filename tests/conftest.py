"""What every test shares: the real contracts, a home of its own, shut sockets, and the list of allowed skips."""

import gc
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pipelines.contracts.load import Contracts, load
from pipelines.privacy.sensitivity import Sensitivity, sensitivity
from pipelines.register import Register
from pipelines.release.ledger import Ledger
from simulator.server import Server
from tests.connectors.databases import MariaDB
from tests.migrated import by_copy
from tests.power import without_waits

REPOSITORY = Path(__file__).resolve().parent.parent

settings.register_profile("citylake", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("citylake")  # how fast a shared machine is at the moment is no property of the code

gc.set_threshold(10_000, 10, 10)
"""A million objects of imports and tests stay until the end: to look through them again and again took a twentieth of
the time, and a fifth of that of collecting the tests."""

ALLOWED_SKIPS = {"conformance material is not there"}
"""Reasons a test may be skipped for. Anything else that is skipped fails the suite."""

if not os.environ.get("CI"):
    ALLOWED_SKIPS |= {  # CI installs them
        "headless Chromium is not installed",
        "Mosquitto is not installed",
        "MariaDB is not installed",
        "R is not installed",
    }

FIRST = ("tests/release/test_whole_way.py", "tests/simulator/", "tests/release/", "tests/linkage/", "tests/dbt/")
"""Where files begin. The first makes the published town while the other processes go through the simulator's tests, and
then nobody waits for it; short files come last, so that no process is long alone."""

_skipped: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("server") or item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.enable_socket)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    return next((turn for turn, begins in enumerate(FIRST) if item.nodeid.startswith(begins)), len(FIRST))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in ALLOWED_SKIPS):
            _skipped.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped:
        print("\nskipped for a reason that tests/conftest.py does not allow:", *_skipped, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def contracts() -> Contracts:
    return load(REPOSITORY / "data_contracts")


@pytest.fixture(scope="session")
def proved(contracts: Contracts, tmp_path_factory: pytest.TempPathFactory) -> Sensitivity:
    """The levels of all columns of the repository's models, derived once a session."""
    folder = tmp_path_factory.mktemp("lineage")
    return sensitivity(contracts, REPOSITORY / "dbt_project", folder, date(2026, 11, 23))


@pytest.fixture(scope="session", autouse=True)
def quiet_dependencies() -> None:
    os.environ |= {"DO_NOT_TRACK": "1", "GX_ANALYTICS_ENABLED": "false", "DAGSTER_DISABLE_TELEMETRY": "1"}


@pytest.fixture(scope="session", autouse=True)
def power(request: pytest.FixtureRequest) -> Iterator[None]:
    """It does not fail, except in the slow suite."""
    slow = any(item.get_closest_marker("slow") for item in request.session.items)
    yield from iter([None]) if slow else without_waits()


@pytest.fixture(scope="session", autouse=True)
def migrations(power: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Of a new register: they take 30 ms, a copy one."""
    yield from by_copy(tmp_path_factory.mktemp("register") / "empty.db")


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    """An empty register of a test's own."""
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    yield register
    register.close()


@pytest.fixture
def ledger(register: Register) -> Ledger:
    """The ledger of an empty register."""
    return Ledger(register)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL of a test file's own."""
    server = Server(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB of a test file's own."""
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    yield server
    server.stop()
