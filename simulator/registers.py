"""Registers: what departments besides the household office deliver, each a table of a database or files in a folder.

Belongs here: what a register is, and how its rows, its dirt and its days reach databases, files and the truth. What
stands in one register belongs to the module of its subject, mistakes to `mistakes`.

A register is made from the truth: on day 0 from everybody, on later days from what happened. Its clean rows are kept
in ``truth.record``, so that a later day can change them. The same seed gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import chain
from typing import Protocol

from psycopg import sql

from simulator.chance import Dice
from simulator.day import Day
from simulator.dirt import DirtRates, Planted
from simulator.faults import Target, true_table
from simulator.loading import copy_line, write_planted
from simulator.mistakes import PLAUSIBLE, REFUSABLE_KINDS, Mistake
from simulator.person import PERSON_COLUMNS, Person
from simulator.records import Records
from simulator.schema import TRUTH, Connection, create_backstage
from simulator.server import READER

Row = list[str | None]
"""A row as text, one value per column of its place; a file's ragged row may have more or fewer."""

WEEKLY, MONTHLY, TERMLY = "weekly", "monthly", "termly"
"""When a file that holds a whole register is due."""
FEWEST = 2
"""A mistake whose kind has a rate above zero is planted at least this often, up to a tenth of a register's rows."""
MOST = 0.1
LATE = "late"
"""What is planted in a row that comes days after the moment it carries."""
REPORTED_LATE = "reported_late"
"""What is planted in a row that carries the day on which it was written, long after what it is about."""
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
"""How COPY writes what would end a column or a line."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a department's database. `moment`: the index of the column that says when a row was written.

    `keeps`: rows are never changed, only added (a log); otherwise a row replaces that of the same key.
    """

    database: str
    schema: str
    name: str
    columns: tuple[tuple[str, str], ...]
    keeps: bool = False
    moment: int = -1

    @property
    def dataset(self) -> str:
        """As a contract names it."""
        return f"{self.schema}.{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(name for name, _ in self.columns)


@dataclass(frozen=True, slots=True)
class Files:
    """Files ``<stem>_<YYYYMMDD>.<kind>`` in ``drops/<folder>``. `whole`: each holds all records, not only new ones, and
    is due at every `cadence`; without, a day's news are its file.
    """

    folder: str
    stem: str
    kind: str
    names: tuple[str, ...]
    encoding: str = "utf-8"
    whole: bool = False
    cadence: str = WEEKLY

    @property
    def pattern(self) -> str:
        """The names of the files."""
        return f"{self.stem}_*.{self.kind}"

    @property
    def dataset(self) -> str:
        """As a contract names it."""
        return self.pattern


@dataclass(frozen=True, slots=True)
class Interface(Files):
    """Files that nobody sees: an interface answers with what they say (`interfaces`)."""

    @property
    def dataset(self) -> str:
        """As a contract names it."""
        return f"api/{self.folder}/{self.stem}"


@dataclass(slots=True)
class Everybody:
    """What a register is made from on day 0: `people` live, the `dead` are still in the household table."""

    today: date
    people: list[Person]
    dice: Dice
    truth: Connection
    dead: Sequence[Person] = ()

    def households(self) -> Iterator[list[Person]]:
        """The people by household, in order."""
        home: list[Person] = []
        for person in self.people:
            if home and home[0].household != person.household:
                yield home
                home = []
            home.append(person)
        if home:
            yield home


@dataclass(slots=True)
class News:
    """What a register learns of a day, and whom it may look up. Changes of people are in ``day.changed``."""

    day: Day
    truth: Connection
    dice: Dice
    rates: DirtRates

    @property
    def today(self) -> date:
        """The day."""
        return self.day.today

    def changed(self, kind: str) -> list[Person]:
        """Those whom the events of a kind were about (`simulator.day`: BIRTH, DEATH, MOVE ...)."""
        return [self.day.changed[event.rybh] for event in self.day.events if event.kind == kind]

    def household(self, person: Person) -> list[Person]:
        """The person's household as it is after this day, without the dead and departed."""
        found = {one.rybh: one for one in self._household_of(person.household)}
        found |= {one.rybh: one for one in self.day.changed.values() if one.household == person.household}
        return [one for one in found.values() if one.status == "living"]

    def people(self, count: int) -> list[Person]:
        """Some living people drawn by lot, each as it is after this day."""
        drawn = [f"RY{self.dice.below(self.day.state.next_record):010d}" for _ in range(count * 2)]
        homes = Records(self.truth).households_of(drawn)
        found = [next(one for one in homes[rybh] if one.rybh == rybh) for rybh in dict.fromkeys(drawn) if rybh in homes]
        now = [self.day.changed.get(one.rybh, one) for one in found]
        return [one for one in now if one.status == "living"][:count]

    def record(self, dataset: str, key: str) -> Row | None:
        """The clean row of a record as it was yesterday."""
        found = self.truth.execute("SELECT row FROM truth.record WHERE dataset = %s AND key = %s", [dataset, key])
        row = found.fetchone()
        return list(row[0]) if row else None

    def some(self, dataset: str, count: int, salt: str = "") -> list[Row]:
        """Some clean records drawn by lot, never ones with a mistake in them."""
        rows = self.truth.execute(
            "SELECT row FROM truth.record WHERE dataset = %s AND mistake IS NULL ORDER BY md5(key || %s), key LIMIT %s",
            [dataset, self.today.isoformat() + salt, count],
        )
        return [list(row[0]) for row in rows]

    def count(self, dataset: str) -> int:
        """How many records a register ever had; use it to number new ones."""
        found = self.truth.execute("SELECT count(*) FROM truth.record WHERE dataset = %s", [dataset]).fetchone()
        return int(found[0]) if found else 0

    def _household_of(self, number: str) -> list[Person]:
        columns = ", ".join(PERSON_COLUMNS)
        rows = self.truth.execute(f"SELECT {columns} FROM truth.person WHERE household = %s ORDER BY rybh", [number])
        return [Person(*row) for row in rows]


@dataclass(slots=True)
class Change:
    """What a day does to a register: rows that are new or changed, keys of rows that are gone, and those of the rows
    that are reported late, with the column of the day they are about."""

    rows: list[Row] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    late: list[tuple[Row, int]] = field(default_factory=list)


class Register(Protocol):
    """One register. `key`: index of the key column. `mistakes`: what its clerks get wrong."""

    place: Table | Files
    key: int
    mistakes: tuple[Mistake, ...]

    def initial(self, city: Everybody) -> Iterable[Row]:
        """The clean rows of day 0, one per key (of a change log: one per change, keyed by its number)."""
        ...

    def day(self, news: News) -> Change:
        """What a later day brings."""
        ...


@dataclass(slots=True)
class Delivery:
    """Rows of a register as they are to be shown, and what was planted in them."""

    register: Register
    rows: list[Row]
    gone: list[str]
    planted: list[Planted]


def create(department: Connection, tables: Sequence[Table]) -> None:
    """The tables of one database, empty, readable by the platform."""
    create_backstage(department)
    for schema in dict.fromkeys(table.schema for table in tables):
        department.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        department.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), sql.Identifier(READER))
        )
    for table in tables:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in table.columns)
        place = sql.Identifier(table.schema, table.name)
        department.execute(sql.SQL("CREATE TABLE {} (" + columns.replace("{", "{{") + ")").format(place))
        department.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(place, sql.Identifier(READER)))


def index(department: Connection, registers: Iterable[Register]) -> None:
    """Indexes on key and moment; made after loading, which they would slow."""
    for register in registers:
        table = register.place
        if not isinstance(table, Table):
            continue
        for column in {register.key, *([table.moment] if table.moment >= 0 else [])}:
            department.execute(
                sql.SQL("CREATE INDEX ON {} ({})").format(
                    sql.Identifier(table.schema, table.name), sql.Identifier(table.names[column])
                )
            )


def first_delivery(register: Register, city: Everybody, rates: DirtRates, truth: Connection) -> Delivery:
    """Day 0 of a register: its rows in the truth, its mistakes planted."""
    clean = list(register.initial(city))
    delivery, marks = with_mistakes(register, clean, rates, city.today, city.dice)
    _remember(truth, register, clean, marks)
    write_planted(truth, delivery.planted)
    return delivery


def later_delivery(register: Register, news: News) -> Delivery:
    """A later day of a register; corrected rows end their planted mistake."""
    change = register.day(news)
    delivery, marks = with_mistakes(register, change.rows, news.rates, news.today, news.dice, fewest=0)
    dataset = register.place.dataset
    keys = [str(row[register.key]) for row in change.rows]
    news.truth.execute("DELETE FROM truth.record WHERE dataset = %s AND key = ANY(%s)", [dataset, keys + change.gone])
    news.truth.execute(
        "UPDATE truth.planted SET ended = %s WHERE ended IS NULL AND dataset = %s AND rybh = ANY(%s)",
        [news.today, dataset, keys + change.gone],
    )
    _remember(news.truth, register, change.rows, marks)
    delivery.planted += _late(register, change.rows, news.today)
    for row, column in change.late:
        late = Mistake(REPORTED_LATE, REPORTED_LATE, column, lambda row, dice: [row])
        delivery.planted.append(_entry(register, late, row, row, news.today))
    write_planted(news.truth, delivery.planted)
    delivery.gone = change.gone
    return delivery


def _late(register: Register, clean: Sequence[Row], today: date) -> Iterator[Planted]:
    """Rows that a table shows only days after the moment they carry: nothing is wrong with them, but they are easily
    overlooked."""
    place = register.place
    if not isinstance(place, Table) or place.moment < 0:
        return
    late = Mistake(LATE, LATE, place.moment, lambda row, dice: [row])
    for row in clean:
        if datetime.fromisoformat(str(row[place.moment])).date() < today:
            yield _entry(register, late, row, row, today)


def target_of(register: Register) -> Target:
    """A register's table as one that may be delivered wrongly."""
    table = register.place
    assert isinstance(table, Table)
    return Target(table.schema, table.name, table.names[register.key], table.names)


def show(department: Connection, delivery: Delivery) -> None:
    """Write a delivery into the department's table."""
    table, key = delivery.register.place, delivery.register.key
    assert isinstance(table, Table)
    place = true_table(department, target_of(delivery.register))
    if not table.keeps:
        keys = [row[key] for row in delivery.rows] + list(delivery.gone)
        department.execute(
            sql.SQL("DELETE FROM {} WHERE {}::text = ANY(%s)").format(place, sql.Identifier(table.names[key])), [keys]
        )
    names = sql.SQL(", ").join(map(sql.Identifier, table.names))
    with (
        department.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(place, names)) as copy,
    ):
        copy.write("".join(copy_line(_without_tabs(row)) for row in delivery.rows))


def corrected(register: Register, truth: Connection, today: date) -> Delivery:
    """The rows of a register in which a mistake lasts, as they should be; the truth says that it has ended."""
    dataset = register.place.dataset
    rows = truth.execute(
        "UPDATE truth.record SET mistake = NULL, shown = NULL WHERE dataset = %s AND mistake IS NOT NULL RETURNING row",
        [dataset],
    ).fetchall()
    truth.execute("UPDATE truth.planted SET ended = %s WHERE ended IS NULL AND dataset = %s", [today, dataset])
    return Delivery(register, [list(row) for (row,) in rows], [], [])


def whole(truth: Connection, register: Register) -> list[Row]:
    """All rows of a register as they are to be shown, mistakes included, in order of their keys."""
    rows = truth.execute(
        "SELECT row, shown FROM truth.record WHERE dataset = %s ORDER BY key", [register.place.dataset]
    )
    return [one for row, shown in rows for one in ([row] if shown is None else shown)]


def with_mistakes(
    register: Register, clean: Sequence[Row], rates: DirtRates, day: date, dice: Dice, fewest: int = FEWEST
) -> tuple[Delivery, dict[int, tuple[str, list[Row]]]]:
    """The rows to deliver and, by position, the mistake and what is shown instead of the clean row."""
    marks: dict[int, tuple[str, list[Row]]] = {}
    planted: list[Planted] = []
    for wanted, mistake in _places(register.mistakes, len(clean), rates, dice, fewest):
        for position in chain(range(wanted, len(clean)), range(wanted)):
            if position in marks:
                continue
            rows = mistake.made_in(clean, position, dice)
            if rows is not None:
                marks[position] = (mistake.name, rows)
                planted.append(_entry(register, mistake, clean[position], rows[-1] if rows else clean[position], day))
                break
    shown = [row for number, row in enumerate(clean) for row in (marks[number][1] if number in marks else [row])]
    return Delivery(register, shown, [], planted), marks


def _places(
    mistakes: Sequence[Mistake], rows: int, rates: DirtRates, dice: Dice, fewest: int
) -> Iterator[tuple[int, Mistake]]:
    cards: list[Mistake] = []
    for mistake in mistakes:
        alike = sum(other.weight for other in mistakes if other.kind == mistake.kind)
        wanted = rates.of(mistake.kind) * mistake.weight / alike * rows
        if wanted > 0:
            count = int(wanted) + (dice.random() < wanted - int(wanted))
            cards.extend([mistake] * max(count, fewest))
    dice.shuffle(cards)
    cards = cards[: max(int(rows * MOST), min(len(mistakes), rows // 3))]
    for number, mistake in enumerate(cards):
        yield int((number + dice.random()) * rows / len(cards)), mistake


def _entry(register: Register, mistake: Mistake, clean: Row, refused: Row, day: date) -> Planted:
    place = register.place
    at = refused[place.moment] if isinstance(place, Table) and 0 <= place.moment < len(refused) else None
    return Planted(
        day=day,
        dataset=place.dataset,
        rybh=str(clean[register.key]),
        column=place.names[mistake.column],
        kind=mistake.kind,
        defect=mistake.name,
        refusable=mistake.kind in REFUSABLE_KINDS,
        undetectable=mistake.kind == PLAUSIBLE,
        also=tuple(sorted(mistake.also)),
        shown=refused[mistake.column] if mistake.column < len(refused) else None,
        true=clean[mistake.column],
        gxsj=datetime.fromisoformat(at) if at and len(at) >= 19 else datetime(day.year, day.month, day.day),
    )


def _remember(
    truth: Connection, register: Register, clean: Sequence[Row], marks: dict[int, tuple[str, list[Row]]]
) -> None:
    statement = sql.SQL("COPY {} (dataset, key, row, mistake, shown) FROM STDIN").format(
        sql.Identifier(TRUTH, "record")
    )
    dataset, key = register.place.dataset, register.key
    lines = []
    for number, row in enumerate(clean):
        mistake, shown = marks.get(number, (None, None))
        note = None if shown is None else json.dumps(shown, ensure_ascii=False)
        values = (dataset, row[key], _array(row), mistake, note)
        lines.append("\t".join("\\N" if value is None else value.translate(_ESCAPES) for value in values) + "\n")
    with truth.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write("".join(lines))


def _array(row: Row) -> str:
    """A row as PostgreSQL writes arrays: several times as fast as letting the driver do it."""
    quoted = ["NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in row]
    return "{" + ",".join(quoted) + "}"


def _without_tabs(row: Row) -> Row:
    return [None if value is None else value.replace("\t", " ").replace("\n", " ").replace("\r", " ") for value in row]
