"""Group commit: one chain and fewer transactions than rows, all or none of a batch, nothing that was told is lost."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipelines.register import Register, chain, store
from pipelines.register.chain import Entry
from pipelines.register.group import GroupCommit, NotWritten, gathering, group
from pipelines.register.tables import audit, basis
from tests.power import configure_durably

ROW = {"recipient": None, "action": "test", "product": None, "version": None, "outcome": "allowed", "grant": None}
WRITER = """
import sys, threading
from pipelines.register import Register
from tests.register.test_group import append
register, told = Register(sys.argv[1]), threading.Lock()
def work(thread):
    for number in range(10_000):
        append(register, [thread, number])
        with told:
            print(thread, number, flush=True)
for thread in range(8):
    threading.Thread(target=work, args=(thread,)).start()
"""


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """One that waits for the disk: rows gather while it does."""
    monkeypatch.setattr(store, "_configure_sqlite", configure_durably)
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    yield register
    register.close()


def _entry(body: Any) -> Entry:
    return Entry(ROW, chain.canonical(body))


def append(register: Register, body: Any) -> None:
    """One row more in the audit, by the group commit of this process."""
    group(register, audit).append(register, [_entry(body)])


def bodies(register: Register) -> list[str]:
    return [row["body"] for row in register.rows(sa.select(audit.c.body).order_by(audit.c.sequence))]


def unbroken(register: Register) -> bool:
    with register.engine.connect() as connection:
        return chain.first_break(connection, audit) is None


def counted(register: Register) -> Counter[str]:
    """Counts commits from now on."""
    found: Counter[str] = Counter()

    def trace(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_trace_callback(lambda statement: found.update(commits=statement == "COMMIT"))

    sa.event.listen(register.engine, "checkout", trace)
    return found


def together(register: Register, threads: int, rows: int) -> list[Exception]:
    """So many threads append so many rows each, all beginning at once; what they were told."""
    start, errors = threading.Barrier(threads), list[Exception]()

    def work(thread: int) -> None:
        start.wait()
        for number in range(rows):
            try:
                append(register, [thread, number])
            except NotWritten as error:
                errors.append(error)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    return errors


def test_rows_that_come_together_are_written_together(register: Register) -> None:
    commits = counted(register)
    assert together(register, 16, 50) == []
    assert sorted(bodies(register)) == sorted(f"[{thread},{number}]" for thread in range(16) for number in range(50))
    assert commits["commits"] < 400, "of 800 rows"
    assert unbroken(register)
    for thread in range(16):
        mine = [body for body in bodies(register) if body.startswith(f"[{thread},")]
        assert mine == [f"[{thread},{number}]" for number in range(50)], "each thread's own rows stay in order"


def test_one_alone_waits_for_nobody(register: Register) -> None:
    append(register, {"b": 1, "a": None})
    assert bodies(register) == ['{"a":null,"b":1}'] and unbroken(register)
    assert group(register, audit) is group(register, audit)


@pytest.mark.parametrize("at", [datetime(2026, 11, 27, 4, 5, 6, 7, UTC), datetime(2026, 11, 27, tzinfo=UTC)])
def test_rows_are_stored_as_sqlalchemy_stores_them(
    register: Register, monkeypatch: pytest.MonkeyPatch, at: datetime
) -> None:
    monkeypatch.setattr(chain, "now", lambda: at)
    full = {**ROW, "recipient": "卫健委", "version": 2**40, "grant": 7, "application": None, "level": 3}
    group(register, audit).append(register, [Entry(full, '{"名":1}'), Entry(ROW, "[]")])
    plain = _stored(register)
    with register.begin() as connection:
        connection.execute(sa.delete(audit))
        chain.append_all(connection, audit, [(full, '{"名":1}'), ({**full, **ROW, "level": None}, "[]")])
    assert plain == _stored(register) and len(plain) == 2


def _stored(register: Register) -> list[tuple[object, ...]]:
    """The rows as the file has them, each value with its type."""
    with closing(sqlite3.connect(str(register.engine.url.database))) as file:
        values = [f'"{column.name}", typeof("{column.name}")' for column in audit.c]
        return file.execute(f"SELECT {', '.join(values)} FROM audit ORDER BY sequence").fetchall()


def test_a_register_that_another_process_keeps_is_told_and_used_again(tmp_path: Path, register: Register) -> None:
    append(register, 1)
    with register.begin_plainly() as connection:
        connection.execute("PRAGMA busy_timeout = 50")
        kept = connection
    with closing(sqlite3.connect(tmp_path / "register.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotWritten) as told:
            append(register, 2)
    cause = told.value.__cause__
    assert isinstance(cause, sa.exc.OperationalError) and "locked" in str(cause.orig)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept.execute("SELECT 1")
    append(register, 3)
    assert bodies(register) == ["1", "3"] and unbroken(register)


def test_the_kept_connection_is_as_durable_as_the_others(register: Register) -> None:
    with closing(Register(str(register.engine.url))) as durable, durable.begin_plainly() as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("synchronous", "journal_mode")]
    assert pragmas == [(2,), ("wal",)]


async def gathered(register: Register, numbers: range) -> list[BaseException | bool]:
    """As many coroutines append a row each, all at once; what they were told."""
    waiting = (gathering(register, audit).append(register, _entry(number)) for number in numbers)
    return await asyncio.gather(*waiting, return_exceptions=True)


def what_stands_is_written(register: Register) -> None:
    """For an empty register: of rows that were decided by a number, those whose number it is."""
    number = register.basis() or 0
    chosen = (None, number, number + 1, number - 1, number)
    entries = [_entry(at)._replace(basis=decided) for at, decided in enumerate(chosen)]
    stands = [True, True, False, False, True]
    assert list(group(register, audit).append(register, entries)) == stands and bodies(register) == ["0", "1", "4"]

    async def ask() -> list[bool]:
        return list(await asyncio.gather(*(gathering(register, audit).append(register, entry) for entry in entries)))

    assert asyncio.run(ask()) == stands
    assert list(group(register, audit).append(register, entries[2:4])) == [False] * 2
    with register.begin() as connection:
        connection.execute(sa.delete(basis))
    assert list(group(register, audit).append(register, entries)) == [True] + [False] * 4
    assert bodies(register) == ["0", "1", "4", "0", "1", "4", "0"] and unbroken(register)


def test_a_row_is_written_only_while_it_stands(register: Register) -> None:
    what_stands_is_written(register)


def test_coroutines_wait_for_a_transaction_together(register: Register) -> None:
    commits = counted(register)
    assert asyncio.run(gathered(register, range(100))) == [True] * 100
    assert sorted(map(int, bodies(register))) == list(range(100)) and unbroken(register)
    assert commits["commits"] == 1

    async def in_turn() -> None:
        for number in range(100, 103):
            await gathering(register, audit).append(register, _entry(number))
            assert bodies(register)[-1] == str(number), "durable when it is told"

    asyncio.run(in_turn())
    assert unbroken(register)


def test_every_coroutine_is_told_that_the_transaction_failed(register: Register) -> None:
    with register.begin() as connection:
        connection.execute(
            sa.text("CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
    told = asyncio.run(gathered(register, range(9)))
    assert all(isinstance(error, NotWritten) and error.__cause__ for error in told) and len(set(map(id, told))) == 9
    assert bodies(register) == []
    with register.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER refuse"))
    assert asyncio.run(gathered(register, range(3))) == [True] * 3 and unbroken(register)


def test_a_coroutine_that_gives_up_takes_nothing_from_the_others(register: Register) -> None:
    async def ask() -> None:
        mine = gathering(register, audit)
        tasks = [asyncio.create_task(mine.append(register, _entry(number))) for number in range(5)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError) and found[1:] == [True] * 4
        await mine.append(register, _entry(5))

    asyncio.run(ask())
    assert sorted(map(int, bodies(register)))[-5:] == [1, 2, 3, 4, 5] and unbroken(register)


def test_what_comes_during_a_transaction_is_in_the_next(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, go_on, plain = threading.Event(), threading.Event(), chain.append_plainly

    def slow(*arguments: Any) -> Any:
        writing.set()
        assert go_on.wait(60)
        return plain(*arguments)

    async def ask() -> None:
        monkeypatch.setattr(chain, "append_plainly", slow)
        first = asyncio.create_task(gathering(register, audit).append(register, _entry(0)))
        assert await asyncio.to_thread(writing.wait, 60)
        others = asyncio.create_task(gathered(register, range(1, 8)))
        await asyncio.sleep(0.05)
        go_on.set()
        assert await others == [True] * 7
        await first

    commits = counted(register)
    asyncio.run(ask())
    assert list(map(int, bodies(register))) == list(range(8)) and unbroken(register) and commits["commits"] == 2


def test_acts_in_transactions_of_their_own_go_between(register: Register) -> None:
    def act(number: int) -> None:
        with register.begin() as connection:
            chain.append(connection, audit, ROW, {"act": number})

    with ThreadPoolExecutor(4) as pool:
        acts = [pool.submit(act, number) for number in range(40)]
        assert together(register, 8, 20) == []
        for one in acts:
            one.result()
    assert len(bodies(register)) == 200 and unbroken(register)


def test_a_transaction_that_fails_fails_for_all_who_wait_in_it(register: Register) -> None:
    with register.begin() as connection:
        connection.execute(
            sa.text("CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
    assert len(together(register, 8, 5)) == 40 and bodies(register) == []
    with register.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER refuse"))
    assert together(register, 8, 5) == [] and len(bodies(register)) == 40 and unbroken(register)


def test_an_interrupt_of_who_writes_is_told_to_those_who_wait(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they would wait for ever, or take their rows for written."""
    writing, go_on, told = threading.Event(), threading.Event(), list[str]()

    def interrupted(*_: object) -> None:
        writing.set()
        assert go_on.wait(60)
        raise KeyboardInterrupt

    mine = GroupCommit(audit)

    def first() -> None:
        with pytest.raises(KeyboardInterrupt):
            mine.append(register, [_entry(1)])
        told.append("interrupted")

    monkeypatch.setattr(chain, "append_plainly", interrupted)
    one = threading.Thread(target=first)
    one.start()
    assert writing.wait(60)
    monkeypatch.undo()
    two = threading.Thread(target=lambda: (mine.append(register, [_entry(2)]), told.append("written")))
    two.start()
    go_on.set()
    one.join(60), two.join(60)
    assert sorted(told) == ["interrupted", "written"] and bodies(register) == ["2"]


def test_nothing_that_was_told_is_lost_when_the_process_is_killed(tmp_path: Path, register: Register) -> None:
    command = [sys.executable, "-c", WRITER, str(register.engine.url)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(200)]
    writer.kill()
    lines += writer.stdout.readlines()
    writer.wait()
    told = {tuple(line.split()) for line in lines if line.endswith("\n")}
    kept = {tuple(body.strip("[]").split(",")) for body in bodies(register)}
    assert len(told) >= 200 and told <= kept and unbroken(register)
