"""How much each caller asked for, against the limits of its class: questions a minute, rows and bytes a day.

Questions are counted in memory, of one process. Rows and bytes are added up in the register, so that a restart forgets
nothing and commands see them; what is not written yet is small (`WRITE_ROWS`, `WRITE_BYTES`, `WRITE_SECONDS`). Decides
nothing about data and knows no protocol.
"""

import hashlib
import hmac
import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.policy.decision import Caller
from catalog.policy.rates import Rates
from pipelines.contracts.forms.limits import CallersForm, QuotaForm
from pipelines.register import Register, chain
from pipelines.register.tables import usage as table

log = logging.getLogger(__name__)

Kind = Literal["anonymous", "application", "organisation"]
WRITE_ROWS, WRITE_BYTES, WRITE_SECONDS = 10_000, 10_000_000, 30.0
"""What one caller had since the register was told, at most, before it is told again."""
LOOK_SECONDS: Final = 10.0
"""How long a look at what other processes told the register stays good."""
KEPT_DAYS: Final = 92


@dataclass(frozen=True)
class Who:
    """Whose questions are counted together."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Standing:
    """How a caller stands within its minute. `wait`: seconds until it may ask, 0 if this question was let in; `left`
    and `full`: questions left, and seconds until all are there again."""

    who: Who
    limits: QuotaForm
    left: int
    full: int
    wait: int


@dataclass(frozen=True)
class Used:
    """What a caller had on one day."""

    rows: int = 0
    bytes: int = 0

    def spent(self, limits: QuotaForm) -> bool:
        """Whether nothing is left of the day."""
        return self.rows >= limits.rowsPerDay or self.bytes >= limits.bytesPerDay


@dataclass
class _Account:
    """One caller's day: what the register said last and when, and what it was not told yet. `writing`: how many are
    telling it just now; `turn`: how many have."""

    written: Used = field(default_factory=Used)
    rows: int = 0
    bytes: int = 0
    looked: float = float("-inf")
    told: float = float("-inf")
    writing: int = 0
    turn: int = 0

    def settle(self, had: Used, sign: int) -> None:
        """Move what was had from untold to told, or back."""
        self.rows, self.bytes = self.rows - sign * had.rows, self.bytes - sign * had.bytes
        self.written = Used(self.written.rows + sign * had.rows, self.written.bytes + sign * had.bytes)


class Quotas:
    """The counts of one service. Safe to use from many threads. `clock`: seconds that never go back."""

    def __init__(
        self, register: Register, key: Callable[[], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._register = register
        self._key = key
        self._clock = clock
        self._rates = Rates(clock)
        self._guard = threading.Lock()
        self._accounts: dict[tuple[date, Who], _Account] = {}

    def who(self, caller: Caller, address: str, day: date) -> Who:
        """Whose question this is: of the application that a good token is for, else of its organisation, else of the
        address, which is kept as a keyed hash of this day alone."""
        if caller.problem is None and caller.application is not None:
            return Who("application", caller.application)
        if caller.problem is None and caller.organisation is not None:
            return Who("organisation", caller.organisation)
        text = f"{day} {network(address)}".encode()
        return Who("anonymous", hmac.new(self._key(), text, hashlib.sha256).hexdigest()[:16])

    def ask(self, who: Who, limits: CallersForm) -> Standing:
        """Count a question, if there is one left in this minute. Touches nothing but memory."""
        mine: QuotaForm = getattr(limits, who.kind)
        taken = self._rates.take(_bucket(who), mine.perMinute)
        return Standing(who, mine, taken.left, taken.full, taken.wait)

    def untold(self, who: Who) -> int:
        """How many of a caller's questions were refused that the audit is to be told of now."""
        return self._rates.untold(_bucket(who))

    def used(self, who: Who, day: date) -> Used:
        """What a caller had today, by this process until now and by others until a moment ago. Raises
        SQLAlchemyError: whoever cannot be counted gets nothing."""
        with self._guard:
            mine = self._accounts.setdefault((day, who), _Account())
            fresh = self._clock() - mine.looked < LOOK_SECONDS
            turn = mine.turn
        if not fresh:
            written = self._written(who, day)
            with self._guard:
                if not mine.writing and mine.turn == turn:  # else the look may be of before or after a writing
                    mine.written, mine.looked = written, self._clock()
        with self._guard:
            return Used(mine.written.rows + mine.rows, mine.written.bytes + mine.bytes)

    def spend(self, who: Who, day: date, rows: int, size: int) -> bool:
        """Count what was given; whether the register should be told now, by `write`."""
        with self._guard:
            mine = self._accounts.setdefault((day, who), _Account())
            mine.rows, mine.bytes = mine.rows + rows, mine.bytes + size
            late = self._clock() - mine.told > WRITE_SECONDS and (mine.rows > 0 or mine.bytes > 0)
            return late or mine.rows >= WRITE_ROWS or mine.bytes >= WRITE_BYTES

    def write(self, who: Who, day: date) -> None:
        """Tell the register what a caller had since, and what is left of days before. What cannot be written is kept
        for the next time."""
        with self._guard:
            left = [one for one, mine in self._accounts.items() if one[0] < day and (mine.rows or mine.bytes)]
        self._write([*left, (day, who)])
        with self._guard:
            for one, mine in list(self._accounts.items()):
                if one[0] < day and not (mine.rows or mine.bytes or mine.writing):
                    del self._accounts[one]

    def write_all(self) -> None:
        """Tell the register everything, before the service stops."""
        with self._guard:
            left = [one for one, mine in self._accounts.items() if mine.rows or mine.bytes]
        self._write(left)

    def _write(self, chosen: Sequence[tuple[date, Who]]) -> None:
        given: dict[tuple[date, Who], Used] = {}
        with self._guard:
            for one in chosen:
                mine = self._accounts.setdefault(one, _Account())
                given[one] = Used(mine.rows, mine.bytes)
                mine.settle(given[one], 1)
                mine.told, mine.writing = self._clock(), mine.writing + 1
        try:
            with self._register.begin() as connection:
                for (day, who), had in given.items():
                    _add(connection, who, day, had)
        except sa.exc.SQLAlchemyError as error:
            log.error("usage cannot be written: %s", type(error).__name__)
            with self._guard:
                for one, had in given.items():
                    self._accounts[one].settle(had, -1)
        finally:
            with self._guard:
                for one in given:
                    mine = self._accounts[one]
                    mine.writing, mine.turn = mine.writing - 1, mine.turn + 1

    def _written(self, who: Who, day: date) -> Used:
        query = sa.select(table.c.rows, table.c.bytes).where(_mine(who, day))
        return next((Used(row["rows"], row["bytes"]) for row in self._register.rows(query)), Used())


def of_day(register: Register, day: date) -> dict[Who, Used]:
    """What every caller had on a day, as far as the register was told."""
    query = sa.select(table).where(table.c.day == day.isoformat()).order_by(table.c.kind, table.c.name)
    return {Who(row["kind"], row["name"]): Used(row["rows"], row["bytes"]) for row in register.rows(query)}


def left_of_day(limits: QuotaForm, used: Used) -> dict[str, dict[str, int]]:
    """Limit, used and left of a day's rows and bytes."""
    found = {"rows": (limits.rowsPerDay, used.rows), "bytes": (limits.bytesPerDay, used.bytes)}
    return {name: {"per_day": most, "used": had, "left": max(0, most - had)} for name, (most, had) in found.items()}


def network(address: str) -> str:
    """What stands for a caller's address: of IPv6 the /64, which one subscriber has whole."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def today(moment: datetime, zone: str) -> date:
    """The day that counts at a moment."""
    return moment.astimezone(ZoneInfo(zone)).date()


def opens(moment: datetime, zone: str) -> datetime:
    """When the next day begins."""
    local = moment.astimezone(ZoneInfo(zone))
    return datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), ZoneInfo(zone))


def _bucket(who: Who) -> str:
    return f"{who.kind} {who.name}"


def _add(connection: sa.Connection, who: Who, day: date, had: Used) -> None:
    chain.take_place(connection, table)
    more = {"rows": table.c.rows + had.rows, "bytes": table.c.bytes + had.bytes}
    if connection.execute(sa.update(table).where(_mine(who, day)).values(**more)).rowcount == 0:
        row = {"day": day.isoformat(), "kind": who.kind, "name": who.name, "rows": had.rows, "bytes": had.bytes}
        connection.execute(sa.insert(table).values(**row))
        connection.execute(sa.delete(table).where(table.c.day < (day - timedelta(days=KEPT_DAYS)).isoformat()))


def _mine(who: Who, day: date) -> sa.ColumnElement[bool]:
    return (table.c.day == day.isoformat()) & (table.c.kind == who.kind) & (table.c.name == who.name)
