"""Loading day 0 into PostgreSQL: the truth and the department's table side by side, streamed.

Memory does not grow with the city except for the list of planted defects (a few hundred bytes each).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date, datetime

from psycopg import Copy, sql

from simulator import schema
from simulator.department import COLUMN_NAMES, DATABASE, SCHEMA, TABLE, Row
from simulator.dirt import PLANTED_COLUMNS, DirtRates, InitialDirt, Planted
from simulator.person import DAY_ZERO, PERSON_COLUMNS, values_of
from simulator.population import households
from simulator.recent_deaths import RecentDeaths
from simulator.schema import TRUTH, Connection
from simulator.server import Server

_CHUNK = 2_000
"""Rows handed to PostgreSQL at a time."""


@dataclass(frozen=True, slots=True)
class State:
    """The one row of ``truth.state``: which city this is and how far it has come. Its presence means: complete."""

    seed: int
    persons: int
    rates: DirtRates
    day: date
    living: int
    next_record: int
    next_household: int


def populate(
    server: Server,
    seed: int,
    persons: int,
    rates: DirtRates,
    departments: Sequence[str],
    others: Callable[[Connection], None],
    progress: Callable[[int], None] | None = None,
) -> None:
    """Build all databases from nothing. Until the last statement is committed the city counts as not populated.

    Args:
        departments: the databases to make besides the truth.
        others: fills what other departments hold, once everybody stands in the truth, which it is given.
        progress: called now and then with the number of persons loaded so far.
    """
    schema.create_databases(server, departments)
    with server.connect(schema.TRUTH) as truth, server.connect(DATABASE) as department:
        schema.create_truth_tables(truth)
        schema.create_department_tables(department)
        planted, household_count, dead = _copy_people(truth, department, seed, persons, rates, progress)
        write_planted(truth, planted)
        truth.execute(schema.TRUTH_INDEXES)
        department.execute(schema.DEPARTMENT_INDEXES)
        department.commit()
        others(truth)
        write_state(truth, State(seed, persons, rates, DAY_ZERO, persons - dead, persons, household_count))
    for database in (schema.TRUTH, *departments):
        with server.connect(database, autocommit=True) as connection:
            connection.execute("ANALYZE")


def read_state(truth: Connection, *, lock: bool = False) -> State | None:
    """How far the city has come, None when it is not populated; ``lock`` keeps others from advancing it meanwhile."""
    if truth.execute("SELECT to_regclass('truth.state')").fetchone() == (None,):
        return None
    row = truth.execute(
        "SELECT seed, persons, rates, day, living, next_record, next_household FROM truth.state"
        + (" FOR UPDATE" if lock else "")
    ).fetchone()
    return None if row is None else State(row[0], row[1], DirtRates(**row[2]), *row[3:])


def write_state(truth: Connection, state: State) -> None:
    """Replace the state."""
    truth.execute("DELETE FROM truth.state")
    truth.execute(
        "INSERT INTO truth.state (seed, persons, rates, day, living, next_record, next_household)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [
            state.seed,
            state.persons,
            json.dumps(asdict(state.rates)),
            state.day,
            state.living,
            state.next_record,
            state.next_household,
        ],
    )


def write_planted(truth: Connection, planted: Iterable[Planted]) -> None:
    """Add to the list of planted defects."""
    statement = _copy_statement(sql.Identifier(TRUTH, "planted"), PLANTED_COLUMNS)
    with truth.cursor() as cursor, cursor.copy(statement) as copy:
        for entry in planted:
            values = asdict(entry)
            values["also"] = list(entry.also)
            copy.write_row(list(values.values()))


def copy_rows(department: Connection, table: sql.Identifier, rows: Iterable[Row]) -> None:
    """Append rows to the department's table."""
    with department.cursor() as cursor, cursor.copy(_copy_statement(table, COLUMN_NAMES)) as copy:
        copy.write("".join(map(copy_line, rows)))


def copy_line(values: Sequence[str | date | datetime | None]) -> str:
    """One line of PostgreSQL's COPY text format, for values without tabs and line ends (no name or address has any)."""
    # A planted '\N' must arrive as two characters, not as null: hence the doubled backslash.
    return "\t".join(["\\N" if value is None else str(value).replace("\\", "\\\\") for value in values]) + "\n"


def _copy_people(
    truth: Connection,
    department: Connection,
    seed: int,
    persons: int,
    rates: DirtRates,
    progress: Callable[[int], None] | None,
) -> tuple[list[Planted], int, int]:
    """Stream everybody into both tables; returns what was planted, the number of households, and of the dead."""
    dirt, deaths = InitialDirt(seed, persons, rates), RecentDeaths(seed, persons)
    planted: list[Planted] = []
    household_count = made = 0
    with ExitStack() as stack:
        people_copy = _open_copy(stack, truth, sql.Identifier(TRUTH, "person"), PERSON_COLUMNS)
        rows_copy = _open_copy(stack, department, sql.Identifier(SCHEMA, TABLE), COLUMN_NAMES)
        people_lines: list[str] = []
        row_lines: list[str] = []
        for household in households(seed, persons):
            household_count += 1
            deaths.visit(household)
            for person in household:
                rows, entry = dirt.rows_of(person, DAY_ZERO)
                if entry is not None:
                    planted.append(entry)
                row_lines.extend(map(copy_line, rows))
                people_lines.append(copy_line(values_of(person)))
            if len(people_lines) >= _CHUNK:
                made += _flush(people_copy, people_lines)
                _flush(rows_copy, row_lines)
                if progress is not None:
                    progress(made)
        made += _flush(people_copy, people_lines)
        _flush(rows_copy, row_lines)
        if progress is not None:
            progress(made)
    return planted, household_count, deaths.dead


def _copy_statement(table: sql.Identifier, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(table, sql.SQL(", ").join(map(sql.Identifier, columns)))


def _open_copy(stack: ExitStack, connection: Connection, table: sql.Identifier, columns: Sequence[str]) -> Copy:
    cursor = stack.enter_context(connection.cursor())
    return stack.enter_context(cursor.copy(_copy_statement(table, columns)))


def _flush(copy: Copy, lines: list[str]) -> int:
    count = len(lines)
    copy.write("".join(lines))
    lines.clear()
    return count
