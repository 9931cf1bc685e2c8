"""What registers about people have in common: tables of text columns, moments, and how a department writes a person."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from simulator.chance import Dice
from simulator.defects import HOMOPHONES
from simulator.person import FEMALE, MALE, Person, phone_number
from simulator.population import office_second
from simulator.registers import News, Table

TEXT = "varchar(400)"
LATE = 2
"""Days by which a row may be late at most: contracts read three days back."""


def moment(dice: Dice, day: date) -> str:
    """A moment of a day in office hours, as text."""
    return (datetime(day.year, day.month, day.day) + timedelta(seconds=office_second(dice))).isoformat(" ")


def compact(day: date) -> str:
    """YYYYMMDD."""
    return f"{day:%Y%m%d}"


def column_names(text: str) -> tuple[str, ...]:
    """Column names, written with spaces between them."""
    return tuple(text.split())


def table(database: str, schema: str, name: str, columns: str, last: str, keeps: bool = False) -> Table:
    """A table of text columns whose last one is the moment a row was written."""
    texts = tuple((column, TEXT) for column in column_names(columns))
    return Table(database, schema, name, (*texts, (last, "timestamp(0)")), keeps, len(texts))


def phone_of(dice: Dice, person: Person) -> str | None:
    """The telephone this department has: now and then another one than the household office's."""
    return phone_number(dice) if dice.chance(0.08) else person.phone


def name_of(dice: Dice, person: Person) -> str:
    """The name as this department wrote it: seldom with a homophone."""
    if dice.chance(0.003):
        return person.name[:-1] + HOMOPHONES.get(person.name[-1], person.name[-1])
    return person.name


def sex_word(dice: Dice, sex: str) -> str:
    return {MALE: "男", FEMALE: "女"}[sex] if dice.chance(0.5) else sex


def late(dice: Dice, day: date) -> date:
    return day - timedelta(days=dice.between(0, LATE))


def some(news: News, share: float, dataset: str, fewest: int = 2) -> int:
    return max(fewest, round(share * news.count(dataset)))
