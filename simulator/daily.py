"""Writing a day into all databases and folders so that a kill at any moment leaves either all of it or nothing.

The departments' parts are prepared first, then the truth's part is committed, then the departments'. Whoever comes next
finds prepared parts and settles them: kept if the truth has reached that day, else rolled back. Files likewise.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from psycopg import sql

from simulator import catalogue, drops
from simulator.day import Day, DaySummary, Event
from simulator.department import COLUMN_NAMES, DATABASE, DATASET, RECORD, SCHEMA, TABLE
from simulator.disturbances import Fault, end, record
from simulator.faults import Target, commit, restore, true_table
from simulator.loading import copy_rows, read_state, write_planted, write_state
from simulator.outside import ELSEWHERE
from simulator.person import PERSON_COLUMNS, Person, values_of
from simulator.records import Records
from simulator.schema import TRUTH, Connection, database_exists
from simulator.server import DATABASES, Server

HOUSEHOLDS = Target(SCHEMA, TABLE, COLUMN_NAMES[RECORD], COLUMN_NAMES)
"""The household table as one that may be delivered wrongly."""
_PREFIX = "simulator "
_UPSERT = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (rybh) DO UPDATE SET {}").format(
    sql.Identifier(TRUTH, "person"),
    sql.SQL(", ").join(map(sql.Identifier, PERSON_COLUMNS)),
    sql.SQL(", ").join(sql.Placeholder() * len(PERSON_COLUMNS)),
    sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in PERSON_COLUMNS if name != "rybh"
    ),
)


class NotPopulated(RuntimeError):
    """The city has no people yet: call ``populate`` first."""


def tables() -> dict[str, tuple[str, Target]]:
    """By dataset every table that may be delivered wrongly, and its database."""
    return {DATASET: (DATABASE, HOUSEHOLDS)} | catalogue.targets()


def tick(server: Server, home: Path, wrongs: Sequence[Fault] = (), ends: Collection[str] = ()) -> DaySummary:
    """Advance the city by one day: the faults of the datasets `ends` are over, the faults `wrongs` are committed.

    Raises:
        NotPopulated: there is no city yet.
    """
    with ExitStack() as stack:
        truth = stack.enter_context(server.connect(TRUTH))
        state = read_state(truth, lock=True)
        if state is None:
            raise NotPopulated("populate the city before its first day")
        departments = {name: stack.enter_context(server.connect(name)) for name in DATABASES}
        day = Day(Records(truth), state)
        summary = day.live()
        for dataset in ends:
            _end(truth, departments, dataset, day.today, home)
        catalogue.advance(state.seed, state.rates, truth, day, departments, home, wrongs)
        _write_truth(truth, day)
        _write_department(departments[DATABASE], day)
        for fault in wrongs:
            if fault.dataset == DATASET:
                record(truth, day.today, commit(departments[DATABASE], HOUSEHOLDS, fault))
            elif fault.dataset in ELSEWHERE:
                record(truth, day.today, fault)
        names = {name: sql.Literal(f"{_PREFIX}{day.today.isoformat()} {name}") for name in departments}
        for name, department in departments.items():
            department.execute(sql.SQL("PREPARE TRANSACTION {}").format(names[name]))
        truth.commit()
        for name, department in departments.items():
            department.autocommit = True
            department.execute(sql.SQL("COMMIT PREPARED {}").format(names[name]))
        drops.deliver(home, day.today)
    return summary


def _end(truth: Connection, departments: Mapping[str, Connection], dataset: str, day: date, home: Path) -> None:
    """End the faults of a dataset; files that were wrong are sent once more as they should have been."""
    if place := tables().get(dataset):
        database, target = place
        restore(departments[database], target)
    elif dataset not in ELSEWHERE:
        drops.correct(home, catalogue.register_of(dataset))
    end(truth, day, dataset)


def settle(server: Server, home: Path) -> None:
    """Finish or undo the departments' parts of a day whose writer was killed."""
    with server.connect("postgres") as connection:
        left = connection.execute(
            "SELECT gid, database FROM pg_prepared_xacts WHERE starts_with(gid, %s)", [_PREFIX]
        ).fetchall()
    reached = _reached(server) if left or any((home / "drops").glob("*/.waiting-*")) else None
    for name, database in left:
        kept = reached is not None and reached >= date.fromisoformat(name.removeprefix(_PREFIX)[:10])
        verdict = sql.SQL("COMMIT PREPARED {}" if kept else "ROLLBACK PREPARED {}")
        with server.connect(database, autocommit=True) as department:
            department.execute(verdict.format(sql.Literal(name)))
    if reached is not None:
        drops.deliver(home, reached)


def _reached(server: Server) -> date | None:
    """The day that the truth has reached."""
    if not database_exists(server, TRUTH):
        return None
    with server.connect(TRUTH) as truth:
        state = read_state(truth)
    return state.day if state else None


def _write_truth(truth: Connection, day: Day) -> None:
    with truth.cursor() as cursor:
        cursor.executemany(_UPSERT, [values_of(person) for person in day.changed.values()])
        cursor.execute(
            "UPDATE truth.planted SET ended = %s WHERE ended IS NULL AND dataset = %s AND rybh = ANY(%s)",
            [day.today, DATASET, day.repaired],
        )
        cursor.executemany(
            "INSERT INTO truth.event (day, registered, kind, rybh, changes) VALUES (%s, %s, %s, %s, %s)",
            [_event_values(event) for event in day.events],
        )
    write_planted(truth, day.planted)
    write_state(truth, day.state)


def _event_values(event: Event) -> tuple[object, ...]:
    changes = json.dumps(event.changes, ensure_ascii=False)
    return event.day, event.registered, event.kind, event.rybh, changes


def _write_department(department: Connection, day: Day) -> None:
    """Replace the rows of everybody who changed, and drop those that were cancelled some days ago.

    The table has no key, so a row is found by its record number.
    """
    table = true_table(department, HOUSEHOLDS)
    numbers = [*_numbers(day.changed.values()), *day.dropped]
    department.execute(sql.SQL('DELETE FROM {} WHERE "RYBH" = ANY(%s)').format(table), [numbers])
    copy_rows(department, table, day.rows())


def _numbers(people: Iterable[Person]) -> list[str]:
    return [person.rybh for person in people]
