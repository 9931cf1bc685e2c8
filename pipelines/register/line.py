"""Appending to a chain on PostgreSQL in two round trips, on a connection that is kept for it: what every read writes.

Nothing here waits: whoever appends is told to wait for the socket, a thread or an event loop as it likes. A thread has
to ask for the interpreter back after every answer, and beside a busy loop it gets it after 5 ms at the soonest; so the
loop waits itself. Belongs here: what is sent and read. Does not belong here: who waits for whom (`group`).
"""

import asyncio
import contextlib
import json
import select
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import errors, pq

from pipelines.register import chain
from pipelines.register.chain import Entry
from pipelines.register.store import Register
from pipelines.register.tables import NUMBER

_Steps = Generator[bool, None, list[bool]]
"""Each step is one to wait for: until the socket can be read from, or, if it is true, written to as well."""
_Answers = Generator[bool, None, list[pq.abc.PGresult]]
_FINE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


class Line:
    """A connection past SQLAlchemy and past the driver's cursors, in libpq's pipeline mode. For one at a time."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._libpq.nonblocking = 1
        self._libpq.enter_pipeline_mode()
        self._prepared = set[str]()

    def close(self) -> None:
        """Give the connection up; what it had not committed is not there."""
        self._connection.close()

    def append(self, table: sa.Table, entries: Sequence[Entry]) -> list[bool]:
        """`chain.append_plainly` on PostgreSQL in a transaction of its own, durable when this returns.

        Raises psycopg.Error; then the line is to be closed.
        """
        steps, polled = self._append(table, entries), select.poll()
        try:
            while True:
                polled.register(self._libpq.socket, select.POLLIN | (select.POLLOUT if next(steps) else 0))
                polled.poll()
        except StopIteration as done:
            return list(done.value)

    async def append_in_loop(self, table: sa.Table, entries: Sequence[Entry]) -> list[bool]:
        """The same for an event loop, which goes on meanwhile."""
        steps = self._append(table, entries)
        try:
            while True:
                await self._ready(next(steps))
        except StopIteration as done:
            return list(done.value)

    async def _ready(self, writing: bool) -> None:
        loop, socket = asyncio.get_running_loop(), self._libpq.socket
        ready = asyncio.Event()
        loop.add_reader(socket, ready.set)
        if writing:
            loop.add_writer(socket, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(socket)
            if writing:
                loop.remove_writer(socket)

    def _append(self, table: sa.Table, entries: Sequence[Entry]) -> _Steps:
        name = table.name
        if name not in self._prepared:
            yield from self._prepare(table)
        *_, number, last = yield from self._trip("begin", f"lock_{name}", "number", f"newest_{name}")
        basis = int(_value(number, 0)) if number.ntuples else None
        newest = (int(_value(last, 0)), _value(last, 1)) if last.ntuples else None
        written = [entry.stands(basis) for entry in entries]
        rows = chain.linked(newest, chain.pairs(entries, written))
        yield from self._trip((f"into_{name}", json.dumps(rows, default=str)), "commit")
        return written

    def _prepare(self, table: sa.Table) -> _Answers:
        """Have the statements of a table parsed, once."""
        name = table.name
        newest = chain.newest(table).compile(compile_kwargs={"literal_binds": True})
        statements = {
            f"lock_{name}": chain.place_of(table),
            f"newest_{name}": str(newest),
            f"into_{name}": f"INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, $1)",
        }
        if not self._prepared:
            statements |= {"begin": "BEGIN", "commit": "COMMIT", "number": NUMBER}
        for each, text in statements.items():
            self._libpq.send_prepare(each.encode(), text.encode())
        self._prepared.add(name)
        return self._answers()

    def _trip(self, *asked: str | tuple[str, str]) -> _Answers:
        """Have prepared statements executed, each alone or with its parameter."""
        for one in asked:
            name, values = (one, None) if isinstance(one, str) else (one[0], [one[1].encode()])
            self._libpq.send_query_prepared(name.encode(), values)
        return self._answers()

    def _answers(self) -> _Answers:
        """What the server says to all that was sent."""
        found, libpq = list[pq.abc.PGresult](), self._libpq
        libpq.pipeline_sync()
        while True:
            unsent = bool(libpq.flush())
            if unsent or libpq.is_busy():
                yield unsent
                libpq.consume_input()
                continue
            answer = libpq.get_result()
            if answer is None:  # the end of what one statement gives
                continue
            if answer.status == pq.ExecStatus.PIPELINE_SYNC:
                return found
            if answer.status not in _FINE:
                raise _error(answer)
            found.append(answer)


def taken(register: Register) -> Line | None:
    """A line that is open and that nobody uses, for `used`."""
    with contextlib.suppress(IndexError):
        line: Line = register.lines.pop()
        return line
    return None


@contextlib.contextmanager
def used(register: Register, line: Line | None) -> Iterator[Line]:
    """A line, opened if there is none, kept for the next; with an error it is closed: nothing of what broke is left.

    Errors are those of SQLAlchemy."""
    with register.told_as_sqlalchemy_does():
        line = line or Line(register.apart())
        try:
            yield line
        except BaseException:
            line.close()
            raise
        register.lines.append(line)


def _value(answer: pq.abc.PGresult, column: int) -> str:
    return (answer.get_value(0, column) or b"").decode()


def _error(answer: pq.abc.PGresult) -> psycopg.Error:
    state = (answer.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    said = (answer.error_message or b"").decode("utf-8", "replace")
    try:
        return errors.lookup(state)(said)
    except KeyError:
        return psycopg.OperationalError(said)
