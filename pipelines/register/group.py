"""Group commit: rows that many threads append to one chain at the same time are written in one transaction.

There is no thread of its own: whoever comes while nobody writes writes for all who wait, so nothing is left over when a
process ends. Coroutines wait without a thread each: one thread at a time writes for all of them. Belongs here: waiting
for each other. Does not belong here: what the rows say.
"""

import asyncio
import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from pipelines.register import chain
from pipelines.register.chain import Entry
from pipelines.register.line import taken, used
from pipelines.register.store import Register
from pipelines.waits import waits


class NotWritten(Exception):
    """The transaction failed that the row was to be written in: none of its rows is there."""


class _Waiting:
    """Rows of somebody who waits for them to be durable."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.done = False
        self.written: Sequence[bool] = ()
        self.error: Exception | None = None


class GroupCommit:
    """Appends to one chain of one register. Safe to use from many threads."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self._change = threading.Condition()
        self._queue: list[_Waiting] = []
        self._writing = False

    def append(self, register: Register, entries: Sequence[Entry]) -> Sequence[bool]:
        """Append rows, all that stand or none; they are durable when this returns which stood. Raises NotWritten."""
        waits()
        mine = _Waiting(entries)
        with self._change:
            self._queue.append(mine)
            while self._writing and not mine.done:
                self._change.wait()
            if not mine.done:
                self._writing = True
                batch, self._queue = self._queue, []
        if not mine.done:
            self._write(register, batch)
        if mine.error is not None:
            raise NotWritten from mine.error
        return mine.written

    def _write(self, register: Register, batch: list[_Waiting]) -> None:
        """Write what waits, its own row included, and let everybody go on."""
        error: Exception | None = NotWritten()  # what those who wait are told if this thread is interrupted
        try:
            written = iter(self._append(register, [entry for one in batch for entry in one.entries]))
            for one in batch:
                one.written = [next(written) for _ in one.entries]
            error = None
        except Exception as problem:
            error = problem
        finally:
            with self._change:
                for one in batch:
                    one.done, one.error = True, error
                self._writing = False
                self._change.notify_all()

    def _append(self, register: Register, entries: list[Entry]) -> list[bool]:
        if register.engine.dialect.name == "sqlite":
            with register.begin_plainly() as plain:
                return chain.append_plainly(plain, self._table, entries)
        with used(register, taken(register)) as line:
            return line.append(self._table, entries)


class Gathering:
    """Appends to one chain of one register for the coroutines of one event loop: what comes during a transaction is in
    the next."""

    def __init__(self, commit: GroupCommit, table: sa.Table) -> None:
        self._commit = commit
        self._table = table
        self._queue: list[tuple[Entry, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def append(self, register: Register, entry: Entry) -> bool:
        """Append one row; it is durable when this returns whether it stood. Raises NotWritten."""
        mine: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append((entry, mine))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(register))
        return await mine

    async def _write_all(self, register: Register) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                await self._write(register, batch)
        finally:
            self._writer = None

    async def _write(self, register: Register, batch: list[tuple[Entry, asyncio.Future[bool]]]) -> None:
        cause: BaseException | None = NotWritten()  # what those who wait are told if this task is cancelled
        written: Sequence[bool] = [False] * len(batch)
        try:
            written = await self._append(register, [entry for entry, _ in batch])
            cause = None
        except NotWritten as problem:
            cause = problem.__cause__
        finally:
            for (_, waiting), stood in zip(batch, written, strict=True):
                if waiting.done():  # whoever waited was cancelled
                    continue
                if cause is None:
                    waiting.set_result(stood)
                else:
                    waiting.set_exception(_failed(cause))

    async def _append(self, register: Register, entries: list[Entry]) -> Sequence[bool]:
        """In the loop over a line that is open; a thread opens one, and writes to SQLite."""
        line = taken(register)
        if line is None:
            return await asyncio.to_thread(self._commit.append, register, entries)
        try:
            with used(register, line):
                return await line.append_in_loop(self._table, entries)
        except Exception as error:
            raise NotWritten from error


def _failed(cause: BaseException) -> NotWritten:
    """An error for each who waits: a traceback is of one alone."""
    error = NotWritten()
    error.__cause__ = cause
    return error


_groups: WeakKeyDictionary[Register, dict[str, GroupCommit]] = WeakKeyDictionary()
_groups_lock = threading.Lock()


def group(register: Register, table: sa.Table) -> GroupCommit:
    """The one group commit of a chain in this process."""
    with _groups_lock:
        mine = _groups.setdefault(register, {})
        if table.name not in mine:
            mine[table.name] = GroupCommit(table)
        return mine[table.name]


_gatherings: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakKeyDictionary[GroupCommit, Gathering]] = (
    WeakKeyDictionary()
)


def gathering(register: Register, table: sa.Table) -> Gathering:
    """The one gathering of a chain in the event loop that runs."""
    commit = group(register, table)
    mine = _gatherings.setdefault(asyncio.get_running_loop(), WeakKeyDictionary())
    if commit not in mine:
        mine[commit] = Gathering(commit, table)
    return mine[commit]
