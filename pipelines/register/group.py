"""Group commit: rows that many threads append to one chain at the same time are written in one transaction.

There is no thread of its own: whoever comes while nobody writes writes for all who wait, so nothing is left over when a
process ends. Belongs here: waiting for each other. Does not belong here: what the rows say.
"""

import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from pipelines.register import chain
from pipelines.register.store import Register


class NotWritten(Exception):
    """The transaction failed that the row was to be written in: none of its rows is there."""


class _Waiting:
    """A row of somebody who waits for it to be durable."""

    def __init__(self, row: Mapping[str, Any], body: str) -> None:
        self.row = row
        self.body = body
        self.done = False
        self.error: Exception | None = None


class GroupCommit:
    """Appends to one chain of one register. Safe to use from many threads."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self._change = threading.Condition()
        self._queue: list[_Waiting] = []
        self._writing = False

    def append(self, register: Register, row: Mapping[str, Any], body: Any) -> None:
        """Append one row; it is durable when this returns. Raises NotWritten."""
        mine = _Waiting(row, chain.canonical(body))
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

    def _write(self, register: Register, batch: list[_Waiting]) -> None:
        """Write what waits, its own row included, and let everybody go on."""
        error: Exception | None = NotWritten()  # what those who wait are told if this thread is interrupted
        try:
            with register.begin() as connection:
                chain.append_all(connection, self._table, [(one.row, one.body) for one in batch])
            error = None
        except Exception as problem:
            error = problem
        finally:
            with self._change:
                for one in batch:
                    one.done, one.error = True, error
                self._writing = False
                self._change.notify_all()


_groups: WeakKeyDictionary[Register, dict[str, GroupCommit]] = WeakKeyDictionary()
_groups_lock = threading.Lock()


def group(register: Register, table: sa.Table) -> GroupCommit:
    """The one group commit of a chain in this process."""
    with _groups_lock:
        mine = _groups.setdefault(register, {})
        if table.name not in mine:
            mine[table.name] = GroupCommit(table)
        return mine[table.name]
