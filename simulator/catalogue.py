"""All registers besides the household table, in the order in which they are made: each may look at earlier ones.

Belongs here: filling and advancing all of them. What one holds is in the module of its subject.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from simulator import drops, firm_registers, people_registers, registers, service_registers
from simulator.chance import Dice
from simulator.day import Day
from simulator.dirt import DirtRates
from simulator.faults import Target
from simulator.person import DAY_ZERO, PERSON_COLUMNS, Person
from simulator.registers import DATABASES, Everybody, News, Register, Table
from simulator.schema import Connection
from simulator.server import Server


def all_registers() -> list[Register]:
    """Every register, made anew."""
    return [*people_registers.registers(), *firm_registers.registers(), *service_registers.registers()]


def targets() -> dict[str, tuple[str, Target]]:
    """By dataset the database of a register's table and the table; files have none."""
    return {
        register.place.dataset: (register.place.database, registers.target_of(register))
        for register in all_registers()
        if isinstance(register.place, Table)
    }


def fill(server: Server, home: Path, seed: int, rates: DirtRates, truth: Connection) -> None:
    """Day 0 of every register: records in the truth, rows in their databases, files in their folders."""
    people = _people(truth)
    found = all_registers()
    for database in DATABASES:
        mine = [register for register in found if _database(register) == database]
        with server.connect(database) as department:
            registers.create(department, [one.place for one in mine if isinstance(one.place, Table)])
            department.commit()
    for register in found:
        city = Everybody(DAY_ZERO, people, Dice(seed, "register", register.place.dataset), truth)
        delivery = registers.first_delivery(register, city, rates, truth)
        if isinstance(register.place, Table):
            with server.connect(register.place.database) as department:
                registers.show(department, delivery)
                registers.index(department, [register])
        else:
            drops.prepare(home, DAY_ZERO, register, delivery.rows)
    drops.deliver(home, DAY_ZERO)


def advance(
    seed: int, rates: DirtRates, truth: Connection, day: Day, databases: Mapping[str, Connection], home: Path
) -> None:
    """A later day of every register: the truth and the databases in the open transactions, files not yet delivered."""
    for register in all_registers():
        dice = Dice(seed, "register", register.place.dataset, day.today.isoformat())
        delivery = registers.later_delivery(register, News(day, truth, dice), rates)
        place = register.place
        if isinstance(place, Table):
            if delivery.rows or delivery.gone:
                registers.show(databases[place.database], delivery)
        elif drops.is_due(place, day.today):
            drops.prepare(home, day.today, register, registers.whole(truth, register) if place.whole else delivery.rows)


def _database(register: Register) -> str | None:
    return register.place.database if isinstance(register.place, Table) else None


def _people(truth: Connection) -> list[Person]:
    rows = truth.execute(f"SELECT {', '.join(PERSON_COLUMNS)} FROM truth.person ORDER BY rybh")
    return [Person(*row) for row in rows]
