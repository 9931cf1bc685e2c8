"""All registers besides the household table, in the order in which they are made: each may look at earlier ones.

Belongs here: filling and advancing all of them. What one holds is in the module of its subject.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from simulator import (
    address_registers,
    body_registers,
    credit_follow_up,
    disturbances,
    drops,
    elderly_registers,
    estate_registers,
    facility_registers,
    faults,
    firm_registers,
    fund_registers,
    hotline_registers,
    land_registers,
    medical_registers,
    people_registers,
    registers,
    service_registers,
    share_registers,
    statistics_registers,
    street_registers,
    tax_registers,
    urban_registers,
)
from simulator.chance import Dice
from simulator.day import Day
from simulator.dirt import DirtRates
from simulator.disturbances import HELD_BACK, REPLAYED, SURGE, TOO_LATE, Fault
from simulator.faults import Target
from simulator.office_hours import closing
from simulator.person import DAY_ZERO, PERSON_COLUMNS, Person
from simulator.registers import Delivery, Everybody, Files, News, Register, Table
from simulator.schema import Connection
from simulator.server import DATABASES, Server

_TOLD_AGAIN = 20
"""Entries of a log that a broken replication tells again."""


def all_registers() -> list[Register]:
    """Every register, made anew."""
    subjects = (
        people_registers,
        statistics_registers,
        firm_registers,
        credit_follow_up,
        service_registers,
        medical_registers,
        hotline_registers,
        urban_registers,
        estate_registers,
        fund_registers,
        address_registers,
        land_registers,
        street_registers,
        body_registers,
        tax_registers,
        share_registers,
        elderly_registers,
        facility_registers,
    )
    return [register for subject in subjects for register in subject.registers()]


def targets() -> dict[str, tuple[str, Target]]:
    """By dataset the database of a register's table and the table; files have none."""
    return {
        register.place.dataset: (register.place.database, registers.target_of(register))
        for register in all_registers()
        if isinstance(register.place, Table)
    }


def register_of(dataset: str) -> Register:
    """The register that a contract calls so, made anew."""
    return next(register for register in all_registers() if register.place.dataset == dataset)


def fill(server: Server, home: Path, seed: int, rates: DirtRates, truth: Connection) -> None:
    """Day 0 of every register: records in the truth, rows in their databases, files in their folders."""
    known = _people(truth)
    people, dead = ([one for one in known if (one.status == "dead") == over] for over in (False, True))
    found = all_registers()
    for database in DATABASES:
        mine = [register for register in found if _database(register) == database]
        with server.connect(database) as department:
            registers.create(department, [one.place for one in mine if isinstance(one.place, Table)])
            department.commit()
    for register in found:
        city = Everybody(DAY_ZERO, people, Dice(seed, "register", register.place.dataset), truth, dead)
        delivery = registers.first_delivery(register, city, rates, truth)
        if isinstance(register.place, Table):
            with server.connect(register.place.database) as department:
                registers.show(department, delivery)
                registers.index(department, [register])
        else:
            drops.prepare(home, DAY_ZERO, register, delivery.rows)
    drops.deliver(home, DAY_ZERO)


def advance(
    seed: int,
    rates: DirtRates,
    truth: Connection,
    day: Day,
    databases: Mapping[str, Connection],
    home: Path,
    wrongs: Sequence[Fault],
) -> None:
    """A later day of every register: the truth and the databases in the open transactions, files not yet delivered.

    `wrongs`: the faults that departments commit on this day; they are entered into the ledger.
    """
    for register in all_registers():
        dice = Dice(seed, "register", register.place.dataset, day.today.isoformat())
        delivery = registers.later_delivery(register, News(day, truth, dice, rates))
        place = register.place
        mine = [fault for fault in wrongs if fault.dataset == place.dataset]
        if isinstance(place, Table):
            department = databases[place.database]
            if delivery.rows or delivery.gone:
                registers.show(department, delivery)
            for fault in mine:
                concerned = _concerned(fault, department, delivery, day.today)
                disturbances.record(
                    truth, day.today, faults.commit(department, registers.target_of(register), concerned)
                )
        else:
            for fault in mine:
                disturbances.record(truth, day.today, fault)
            _prepare(home, day, register, delivery, truth)


def _prepare(home: Path, day: Day, register: Register, delivery: Delivery, truth: Connection) -> None:
    """The file of a day, on which one is due or a fault brings one: without news all is sent once more."""
    place = register.place
    assert isinstance(place, Files)
    lasting = disturbances.lasting(truth, place.dataset)
    if not lasting and (not delivery.rows if not place.whole else not drops.is_due(place, day.today)):
        return
    rows = registers.whole(truth, register) if place.whole or not delivery.rows else delivery.rows
    drops.prepare(home, day.today, register, rows, lasting)


def _concerned(fault: Fault, department: Connection, delivery: Delivery, today: date) -> Fault:
    """The fault with the rows it concerns: the first third of the day's, the last ones of a log, or all of them, which
    were written on this day."""
    if fault.kind in (HELD_BACK, TOO_LATE):
        new = list(dict.fromkeys(str(row[delivery.register.key]) for row in delivery.rows))
        return replace(fault, keys=tuple(new[: max(1, len(new) // 3)]))
    if fault.kind == REPLAYED:
        target = registers.target_of(delivery.register)
        return replace(fault, keys=tuple(faults.newest_keys(department, target, _TOLD_AGAIN)))
    return replace(fault, value=closing(today).isoformat(" ")) if fault.kind == SURGE else fault


def _database(register: Register) -> str | None:
    return register.place.database if isinstance(register.place, Table) else None


def _people(truth: Connection) -> list[Person]:
    rows = truth.execute(f"SELECT {', '.join(PERSON_COLUMNS)} FROM truth.person ORDER BY rybh")
    return [Person(*row) for row in rows]
