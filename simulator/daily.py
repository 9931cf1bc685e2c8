"""Writing a day into both databases so that a kill at any moment leaves either all of it or nothing.

The department's half is prepared first, then the truth's half is committed, then the department's. Whoever comes next
finds a prepared half and settles it: kept if the truth has reached that day, else rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date

from psycopg import sql

from simulator.day import Day, DaySummary, Event
from simulator.department import DATABASE
from simulator.faults import true_table
from simulator.loading import copy_rows, read_state, write_planted, write_state
from simulator.person import PERSON_COLUMNS, Person, values_of
from simulator.records import Records
from simulator.schema import TRUTH, Connection
from simulator.server import Server

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


def tick(server: Server) -> DaySummary:
    """Advance the city by one day.

    Raises:
        NotPopulated: there is no city yet.
    """
    with server.connect(TRUTH) as truth, server.connect(DATABASE) as department:
        state = read_state(truth, lock=True)
        if state is None:
            raise NotPopulated("populate the city before its first day")
        day = Day(Records(truth), state)
        summary = day.live()
        _write_truth(truth, day)
        _write_department(department, day)
        prepared = sql.Literal(_PREFIX + day.today.isoformat())
        department.execute(sql.SQL("PREPARE TRANSACTION {}").format(prepared))
        truth.commit()
        department.autocommit = True
        department.execute(sql.SQL("COMMIT PREPARED {}").format(prepared))
    return summary


def settle(server: Server) -> None:
    """Finish or undo the department's half of a day whose writer was killed."""
    with server.connect("postgres") as connection:
        left = connection.execute(
            "SELECT gid FROM pg_prepared_xacts WHERE database = %s AND starts_with(gid, %s)", [DATABASE, _PREFIX]
        ).fetchall()
    for (name,) in left:
        with server.connect(TRUTH) as truth:
            state = read_state(truth)
        reached = state is not None and state.day >= date.fromisoformat(name.removeprefix(_PREFIX))
        verdict = sql.SQL("COMMIT PREPARED {}" if reached else "ROLLBACK PREPARED {}")
        with server.connect(DATABASE, autocommit=True) as department:
            department.execute(verdict.format(sql.Literal(name)))


def _write_truth(truth: Connection, day: Day) -> None:
    with truth.cursor() as cursor:
        cursor.executemany(_UPSERT, [values_of(person) for person in day.changed.values()])
        cursor.execute(
            "UPDATE truth.planted SET ended = %s WHERE ended IS NULL AND rybh = ANY(%s)", [day.today, day.repaired]
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
    """Replace the rows of everybody who changed. The table has no key, so a row is found by its record number."""
    table = true_table(department)
    department.execute(sql.SQL('DELETE FROM {} WHERE "RYBH" = ANY(%s)').format(table), [_numbers(day.changed.values())])
    copy_rows(department, table, day.rows())


def _numbers(people: Iterable[Person]) -> list[str]:
    return [person.rybh for person in people]
