"""Appending to the audit on PostgreSQL, by threads and by an event loop: the rows that SQLAlchemy would store, only
while they stand, all or none of a group, and nothing is left of a connection that broke."""

import asyncio
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from catalog.delivery.rows import router
from catalog.policy import administration
from catalog.policy import audit as audit_trail
from pipelines.register import Register, chain
from pipelines.register.chain import Entry
from pipelines.register.group import NotWritten, gathering, group
from pipelines.register.tables import audit
from simulator.server import HOST, Server
from tests.catalog.small_city import GUARD, PERSONS, City, outcomes
from tests.catalog.test_row_loop import Asking, threads
from tests.register.test_group import ROW, bodies, gathered, together, unbroken, what_stands_is_written

pytestmark = pytest.mark.server
FULL = {**ROW, "recipient": "卫健委", "version": 2**40, "grant": 7, "application": None, "level": 3}


@pytest.fixture
def address(postgres: Server, request: pytest.FixtureRequest) -> str:
    """Of a new database."""
    name = f"line_{zlib.crc32(request.node.name.encode())}"
    with postgres.connect("postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        owner = f"{connection.info.user}:{quote(connection.info.password)}"
    return f"postgresql+psycopg://{owner}@{HOST}:{postgres.port}/{name}"


@pytest.fixture
def register(address: str) -> Iterator[Register]:
    register = Register(address)
    register.upgrade()
    yield register
    register.close()


def _stored(register: Register) -> list[tuple[Any, ...]]:
    texts = ", ".join(f'"{column.name}"::text' for column in audit.c)
    with register.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(f"SELECT {texts} FROM audit ORDER BY sequence"))]


def _cut(register: Register) -> int:
    """End all connections that are kept for appending; how many there were."""
    numbers = [line._libpq.backend_pid for line in register.lines]
    with register.begin() as connection:
        for number in numbers:
            connection.execute(sa.text(f"SELECT pg_terminate_backend({number}, 5000)"))
    return len(numbers)


@pytest.mark.parametrize("at", [datetime(2026, 11, 27, 4, 5, 6, 7, UTC), datetime(2026, 11, 27, tzinfo=UTC)])
def test_rows_are_stored_as_sqlalchemy_stores_them(
    register: Register, monkeypatch: pytest.MonkeyPatch, at: datetime
) -> None:
    monkeypatch.setattr(chain, "now", lambda: at)
    texts = ('{"名":"\\"\'\\\\ \\n𠮷"}', "[]")
    group(register, audit).append(register, [Entry(FULL, texts[0]), Entry(ROW, texts[1])])
    plain = _stored(register)
    with register.begin() as connection:
        connection.execute(sa.delete(audit))
        chain.append_all(connection, audit, [(FULL, texts[0]), ({**FULL, **ROW, "level": None}, texts[1])])
    assert plain == _stored(register) and len(plain) == 2 and unbroken(register)


def test_threads_and_a_loop_make_one_chain(register: Register) -> None:
    async def both() -> None:
        assert await gathered(register, range(3)) == [True] * 3
        assert len(register.lines) == 1, "a thread opened it, the loop goes on with it"
        work = asyncio.to_thread(together, register, 4, 10)
        for begin in range(10, 50, 10):
            assert await gathered(register, range(begin, begin + 10)) == [True] * 10
        assert await work == []

    asyncio.run(both())
    assert len(bodies(register)) == 83 and unbroken(register) and 1 <= len(register.lines) <= 2


def test_a_row_is_written_only_while_it_stands(register: Register) -> None:
    what_stands_is_written(register)
    assert register.lines


def test_more_than_the_socket_takes_at_once(register: Register) -> None:
    async def ask() -> list[bool]:
        mine = gathering(register, audit)
        await mine.append(register, Entry(ROW, "[]"))
        large = Entry(ROW, chain.canonical("长" * 20_000))
        return list(await asyncio.gather(*(mine.append(register, large) for _ in range(300))))

    assert asyncio.run(ask()) == [True] * 300
    group(register, audit).append(register, [Entry(ROW, chain.canonical("长" * 5_000_000))])
    assert len(bodies(register)) == 302 and unbroken(register)


def test_everybody_is_told_that_a_transaction_failed(register: Register) -> None:
    refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full'; END $$"
    assert together(register, 1, 1) == [] and register.lines
    with register.begin() as connection:
        connection.execute(sa.text(refuse))
        connection.execute(sa.text("CREATE TRIGGER r BEFORE INSERT ON audit EXECUTE FUNCTION refuse()"))
    told = asyncio.run(gathered(register, range(9)))
    assert all(isinstance(error, NotWritten) and "full" in str(error.__cause__) for error in told)
    assert len(together(register, 2, 2)) == 4 and not register.lines
    with register.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER r ON audit"))
    assert asyncio.run(gathered(register, range(3))) == [True] * 3
    assert together(register, 2, 2) == [] and len(bodies(register)) == 8 and unbroken(register)


def test_a_connection_that_broke_is_told_once_and_is_another_one_then(register: Register) -> None:
    assert together(register, 1, 1) == [] and _cut(register) == 1
    told = asyncio.run(gathered(register, range(3)))
    assert all(isinstance(error, NotWritten) for error in told) and not register.lines
    assert all(isinstance(error.__cause__, sa.exc.OperationalError) for error in told if isinstance(error, NotWritten))
    assert asyncio.run(gathered(register, range(3))) == [True] * 3 and _cut(register) == 1
    assert len(together(register, 1, 1)) == 1 and together(register, 1, 1) == []
    assert len(bodies(register)) == 5 and unbroken(register)


def test_a_loop_that_ends_in_the_middle_leaves_nothing(register: Register) -> None:
    assert together(register, 1, 1) == []

    async def ask() -> None:
        with register.begin() as connection:  # keeps the audit for itself
            chain.take_place(connection, audit)
            task = asyncio.create_task(gathered(register, range(3)))
            await asyncio.sleep(0.2)
            assert not register.lines and not task.done()

    asyncio.run(ask())
    assert together(register, 1, 1) == [] and len(bodies(register)) == 2 and unbroken(register)


def test_a_row_is_answered_in_the_loop_and_a_revocation_is_heard_at_once(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = City(tmp_path / "city", address)
    city.release(PERSONS)
    monkeypatch.setattr("catalog.listing.CONTRACTS_LOOK_SECONDS", 600)
    with city.client() as client:
        asking = Asking(city, client)
        with threads(monkeypatch) as used:
            assert [asking.ask() for _ in range(3)] == [200] * 3
        assert used == [] and not city.register.lines, "the service has its own"
        other = Register(address)  # as another process acts
        administration.revoke_grant(other, 1, actor=GUARD)
        other.close()
        made = list[int]()
        plain = router.keys.answer

        def noted(*asked: Any) -> bytes:
            made.append(1)
            return plain(*asked)

        monkeypatch.setattr(router.keys, "answer", noted)
        assert asking.ask() == 403 and made == [1], "it was made of what is over, and not given"
    told = outcomes(audit_trail.recent(city.register))
    assert [one for one in told if one[0] == "rows.read"][-1] == ("rows.read", "denied")
    assert audit_trail.first_break(city.register) is None
