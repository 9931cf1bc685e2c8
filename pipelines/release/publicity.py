"""Until when rows of a released product may be shown, asked whenever they are given out, not only when they are made.

A contract's `shownUntil` names the column that says the last day of a row. What was released stays as it was; who gives
rows out leaves away those whose day is over, by the days of the city. Nothing here decides who may read.
"""

from datetime import date
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.resolved import Contracts
from pipelines.lake import delta
from pipelines.register.store import now


def today(contracts: Contracts) -> date:
    """The day in the city."""
    return now().astimezone(ZoneInfo(contracts.city.timezone)).date()


def shown_on(column: str, day: date) -> str:
    """SQL: whether a row may be shown on a day. Its last day counts; a row without one has no end."""
    name = identifier(column)
    return f"({name} IS NULL OR {name} >= DATE {literal(day.isoformat())})"


def last_ended(location: Path, version: int, column: str, day: date) -> date | None:
    """The latest of the days in a released version that are over, None if every row may be shown.

    While it is the same, so are the rows that are left. Raises MissingTable.
    """
    log = location / "_delta_log"
    return _last_ended(location, version, column, day, log.stat().st_mtime_ns if log.is_dir() else 0)


@lru_cache(maxsize=256)
def _last_ended(location: Path, version: int, column: str, day: date, log: int) -> date | None:
    """`log`: when the table's log changed last, as an order to erase or an ended period changes it."""
    read, name = delta.scan(delta.open_table(location, version)), identifier(column)
    query = f"SELECT max({name}) FROM {read.source} WHERE NOT {shown_on(column, day)}"
    with duckdb.connect() as con:
        found: tuple[date | None] = con.execute(query).fetchone() or (None,)
    return found[0]
