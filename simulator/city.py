"""The demo city as its visitors use it: start, populate, live on, misbehave, stop.

Only this class is meant for callers; everything it does is done in the modules it names.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from psycopg import sql
from psycopg.rows import dict_row

from simulator import catalogue, daily, disturbances, drops, faults, loading, registers
from simulator.day import DaySummary
from simulator.department import DATABASE, DATASET, SCHEMA, TABLE
from simulator.dirt import PLANTED_COLUMNS, DirtRates, Planted
from simulator.disturbances import HALF, MISSING_COLUMN, NEW_COLUMN, RENAMED_COLUMN, Fault, PlantedFault
from simulator.loading import State
from simulator.outside import Outside
from simulator.person import PERSON_COLUMNS, Person
from simulator.registers import Table
from simulator.schema import TRUTH, Connection, database_exists
from simulator.server import DATABASES, HOST, READER, Server

DEFAULT_SEED, DEFAULT_PERSONS, MOST_PERSONS = 341500, 60_000, 10_000_000
FOLDERS = ("hc", "esb", "hpf", "sto", "ara", "txb", "cab_exchange", "eitb", "ctb", "nrpb_exchange", "umb_exchange")
"""Where departments drop files."""


class OtherCity(ValueError):
    """Under this home lives a city of another seed, size or dirt."""


class DemoCity:
    """A city of invented people behind a real database server, everything under ``home``.

    The same seed, number of persons and rates give the same city, byte for byte, on day 0 and on every later day.
    Several processes may use one home: what changes the city is done by one at a time.
    """

    def __init__(
        self,
        home: Path,
        seed: int = DEFAULT_SEED,
        persons: int = DEFAULT_PERSONS,
        dirt: DirtRates = DirtRates(),  # noqa: B008 - frozen
    ) -> None:
        if not 1 <= persons <= MOST_PERSONS:
            raise ValueError(f"a city has 1 to {MOST_PERSONS:,} persons, not {persons:,}")
        self.home = home.resolve()
        self.seed, self.persons, self.dirt = seed, persons, dirt
        self._server = Server(self.home)
        self._outside = Outside(self.home, seed, persons, dirt)
        self._started_here = False

    @classmethod
    def open(cls, home: Path) -> Self:
        """The city that lives under ``home``, whatever its seed and size.

        Raises:
            FileNotFoundError: no city was ever started there.
        """
        plan = json.loads((home / "simulator.json").read_text())
        return cls(home, plan["seed"], plan["persons"], DirtRates(**plan["dirt"]))

    def start(self) -> None:
        """Start the database server, making it first if need be, the broker and the portal; running ones are used.

        Raises:
            OtherCity: another city lives under this home.
            ServerError: one of them does not come up.
        """
        with self._alone():
            self._claim_home()
            self._started_here |= self._server.start()
            daily.settle(self._server, self.home)
            self._outside.start()
            if self._is_populated():
                self._outside.hand_over(self._state().day, self.planted_faults())

    def stop(self) -> None:
        """Stop all servers (no department answers); ``start`` brings everything back, on the same ports."""
        with self._alone():
            self._outside.stop()
            self._server.stop()
            self._started_here = False

    def populate(self, progress: Callable[[int], None] | None = None) -> None:
        """Fill the city; does nothing when it is complete, and begins anew when it was interrupted."""
        with self._alone():
            if not self._is_populated():
                shutil.rmtree(self.home / "drops", ignore_errors=True)
                loading.populate(
                    self._server, self.seed, self.persons, self.dirt, DATABASES, self._fill_registers, progress
                )
            self._outside.hand_over(self._state().day)

    def tick(self, days: int = 1, wrongs: Sequence[Fault] = (), ends: Collection[str] = ()) -> list[DaySummary]:
        """Let days pass; returns what each brought. Every day is written entirely or not at all.

        With the last of them the faults of the datasets `ends` are over, and departments commit the faults `wrongs`.
        """
        self._state()
        summaries = []
        for left in reversed(range(days)):
            with self._alone():
                daily.settle(self._server, self.home)
                changes = ((), ()) if left else (wrongs, ends)
                summaries.append(daily.tick(self._server, self.home, *changes))
                self._outside.hand_over(summaries[-1].day, self.planted_faults())
        return summaries

    def correct(self, dataset: str) -> int:
        """The department corrects every mistake that lasts in a table of its database; returns how many rows."""
        today = self._state().day
        register = catalogue.register_of(dataset)
        place = register.place
        if not isinstance(place, Table):
            raise ValueError(f"{dataset} is no table of a database")
        with (
            self._alone(),
            self._server.connect(TRUTH) as truth,
            self._server.connect(place.database) as department,
        ):
            delivery = registers.corrected(register, truth, today)
            registers.show(department, delivery)
        return len(delivery.rows)

    def planted_faults(self) -> list[PlantedFault]:
        """Every fault of a whole delivery that was ever committed, in order."""
        with self._server.connect(TRUTH) as truth:
            return disturbances.committed(truth)

    @property
    def today(self) -> date:
        """The simulated date; 2026-01-01 until the first tick."""
        return self._state().day

    @property
    def reader_dsn(self) -> str:
        """The URL under which the data platform reads the household office's database. A secret: never log it."""
        return self.connections()["psb_dsn"]

    def connections(self) -> dict[str, str]:
        """How the data platform reaches every department: connection strings by the name of the secret."""
        address = f"{READER}:{self._server.reader_password}@{HOST}:{self._server.port}"
        databases = {f"{name}_dsn": f"postgresql://{address}/{name}" for name in DATABASES}
        folders = {f"{name}_drop": f"file://{drops.folder(self.home, name)}" for name in FOLDERS}
        return databases | folders | self._outside.connections()

    def planted(self) -> list[Planted]:
        """Everything wrong that was ever planted, by day, record and cell; corrected rows have ``ended`` set."""
        self._state()
        columns = sql.SQL(", ").join(map(sql.Identifier, PLANTED_COLUMNS))
        query = sql.SQL("SELECT {} FROM truth.planted").format(columns)
        with self._server.connect(TRUTH) as truth:
            found = [
                Planted(**{**row, "also": tuple(row["also"])})
                for row in truth.cursor(row_factory=dict_row).execute(query)
            ]
        # records of two registers may have one number: an order by it alone would be the database's, not the seed's
        order = attrgetter("day", "rybh", "dataset", "column", "defect", "gxsj")
        return sorted([*found, *self._outside.planted()], key=order)

    def records(self, dataset: str) -> list[dict[str, str | None]]:
        """The clean row of every record of a register, by column, in order of its key."""
        names = catalogue.register_of(dataset).place.names
        with self._server.connect(TRUTH) as truth:
            rows = truth.execute("SELECT row FROM truth.record WHERE dataset = %s ORDER BY key", [dataset]).fetchall()
        return [dict(zip(names, row, strict=True)) for (row,) in rows]

    def records_of(self, dataset: str, keys: Collection[str]) -> dict[str, dict[str, str | None]]:
        """The clean rows of some records of a register by key; none of what is no table or file."""
        with self._server.connect(TRUTH) as truth:
            query = "SELECT key, row FROM truth.record WHERE dataset = %s AND key = ANY(%s)"
            rows = truth.execute(query, [dataset, list(keys)]).fetchall()
        names = catalogue.register_of(dataset).place.names if rows else ()
        return {key: dict(zip(names, row, strict=True)) for key, row in rows}

    def people(self) -> list[Person]:
        """Everybody of the household register as they truly are at present, in order of record numbers: the living, the
        dead and the departed. A defect that a person's row carries is no part of the truth."""
        columns = sql.SQL(", ").join(map(sql.Identifier, PERSON_COLUMNS))
        query = sql.SQL("SELECT {} FROM truth.person ORDER BY rybh").format(columns)
        with self._server.connect(TRUTH) as truth:
            return [Person(*row) for row in truth.execute(query)]

    def department_rows(self) -> Iterator[dict[str, Any]]:
        """The rows of the department's table as it shows itself at present, streamed."""
        self._state()
        with (
            self._server.connect(DATABASE) as department,
            department.cursor("rows", row_factory=dict_row) as cursor,
        ):
            cursor.itersize = 5_000
            yield from cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(SCHEMA, TABLE)))

    def department_count(self) -> int:
        """How many rows the department's table shows at present."""
        self._state()
        with self._server.connect(DATABASE) as department:
            (count,) = department.execute(
                sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(SCHEMA, TABLE))
            ).fetchone() or (0,)
            return int(count)

    def rename_column(self, old: str, new: str, dataset: str = DATASET) -> None:
        """Fault: a column of a table comes under another name."""
        self._commit(Fault(RENAMED_COLUMN, dataset, old, new))

    def drop_column(self, name: str, dataset: str = DATASET) -> None:
        """Fault: a column of a table is no longer delivered."""
        self._commit(Fault(MISSING_COLUMN, dataset, name))

    def add_column(self, name: str, dataset: str = DATASET) -> None:
        """Fault: a table comes with a column that nobody spoke of."""
        self._commit(Fault(NEW_COLUMN, dataset, name))

    def deliver_half(self, fraction: float = 0.5, seed: int = 0, dataset: str = DATASET) -> None:
        """Fault: a table suddenly holds only about this fraction of its records."""
        self._commit(Fault(HALF, dataset, share=fraction, seed=seed))

    def restore(self, dataset: str = DATASET) -> None:
        """End all faults of a table; nothing is lost, days that passed meanwhile included."""
        today = self._state().day
        database, table = daily.tables()[dataset]
        with self._alone():
            daily.settle(self._server, self.home)
            with self._server.connect(TRUTH) as truth, self._server.connect(database) as department:
                faults.restore(department, table)
                disturbances.end(truth, today, dataset)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A server that somebody else started is theirs to stop.
        if self._started_here:
            self.stop()

    def _commit(self, fault: Fault) -> None:
        """Commit a fault of a table at once."""
        today = self._state().day
        database, table = daily.tables()[fault.dataset]
        with self._alone():
            daily.settle(self._server, self.home)
            with self._server.connect(TRUTH) as truth, self._server.connect(database) as department:
                disturbances.record(truth, today, faults.commit(department, table, fault))

    def _state(self) -> State:
        """How far the city has come.

        Raises:
            NotPopulated: there are no people yet, or not all of them.
        """
        if database_exists(self._server, TRUTH):
            with self._server.connect(TRUTH) as truth:
                state = loading.read_state(truth)
            if state is not None:
                return state
        raise daily.NotPopulated(f"the city under {self.home} has no people yet: populate it first")

    def _fill_registers(self, truth: Connection) -> None:
        catalogue.fill(self._server, self.home, self.seed, self.dirt, truth)

    def _is_populated(self) -> bool:
        try:
            self._state()
        except daily.NotPopulated:
            return False
        return True

    def _claim_home(self) -> None:
        plan = {"seed": self.seed, "persons": self.persons, "dirt": asdict(self.dirt)}
        note = self.home / "simulator.json"
        if note.exists():
            found = json.loads(note.read_text())
            if found != plan:
                raise OtherCity(f"{self.home} holds the city {found}, not {plan}; choose another home or remove it")
            return
        fresh = note.with_suffix(".new")
        fresh.write_text(json.dumps(plan, indent=2))
        fresh.replace(note)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes out while the city changes; the system frees the lock of a killed process."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
