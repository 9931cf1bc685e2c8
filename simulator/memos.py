"""What the simulator remembers of records besides their rows, and rows already decided on that nobody may see yet.

Kept in ``truth.record`` under names that no department delivers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from simulator.registers import Row
from simulator.schema import Connection

_MEMO, _AHEAD = "memo ", "ahead "


def keep(truth: Connection, dataset: str, memos: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Remember something about records, by key; what was remembered of them before is forgotten."""
    entries = list(memos)
    truth.execute(
        "DELETE FROM truth.record WHERE dataset = %s AND key = ANY(%s)", [_MEMO + dataset, [key for key, _ in entries]]
    )
    _add(truth, _MEMO + dataset, entries)


def find(truth: Connection, dataset: str, keys: Iterable[str]) -> dict[str, Row]:
    """What is remembered of records, by key."""
    rows = truth.execute(
        "SELECT key, row FROM truth.record WHERE dataset = %s AND key = ANY(%s)", [_MEMO + dataset, list(keys)]
    )
    return {key: list(row) for key, row in rows}


def put_ahead(truth: Connection, dataset: str, rows: Iterable[tuple[date, Row]]) -> None:
    """Keep rows until the day on which the department will show them."""
    _add(truth, _AHEAD + dataset, ((day.isoformat(), row) for day, row in rows))


def due(truth: Connection, dataset: str, day: date) -> list[Row]:
    """The rows that are to be shown on a day; they are not kept any longer."""
    found = truth.execute(
        "DELETE FROM truth.record WHERE dataset = %s AND key = %s RETURNING row", [_AHEAD + dataset, day.isoformat()]
    )
    return sorted((list(row) for (row,) in found), key=lambda row: [value or "" for value in row])


def _add(truth: Connection, dataset: str, rows: Iterable[tuple[str, Sequence[str | None]]]) -> None:
    with truth.cursor() as cursor, cursor.copy("COPY truth.record (dataset, key, row) FROM STDIN") as copy:
        for key, row in rows:
            copy.write_row((dataset, key, list(row)))
