"""Looking up registered entities: what other registers may know of the firms of `firm_registers`. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from simulator.schema import Connection

# Positions count from 1: credit code, name, type, foundation, industry, county, representative, their identity number,
# telephone, status.
_QUERY = (
    "SELECT row[2], row[3], row[4], row[5], row[8], row[10], row[12], row[13], row[14], row[18], row[19], row[20]"
    " FROM truth.record WHERE dataset = 'scjg.E_BASEINFO'"
)
_ACTIVE = " AND row[18] = '1'"


@dataclass(frozen=True, slots=True)
class Entity:
    """A registered entity as the register of this day knows it."""

    uscc: str
    name: str
    kind: str
    established: date
    industry: str
    county: str
    representative: str
    representative_id: str
    phone: str | None
    status: str
    ended: date | None
    approved: date


def all_entities(truth: Connection) -> list[Entity]:
    """All of them, in order of their numbers, the ended ones included."""
    return _entities(truth.execute(_QUERY + " ORDER BY key"))


def some_active(truth: Connection, salt: str, count: int) -> list[Entity]:
    """Some that are in business, drawn by lot."""
    return _entities(truth.execute(_QUERY + _ACTIVE + " ORDER BY md5(key || %s), key LIMIT %s", [salt, count]))


def touched(truth: Connection, day: date) -> list[Entity]:
    """Those that were founded, altered or ended on a day."""
    text = day.isoformat()
    query = _QUERY + " AND (row[5] = %s OR row[19] = %s OR row[20] = %s) ORDER BY key"
    return _entities(truth.execute(query, [text, text, text]))


def _entities(rows: Iterable[tuple[Any, ...]]) -> list[Entity]:
    return [
        Entity(
            uscc=uscc,
            name=name,
            kind=kind,
            established=date.fromisoformat(established),
            industry=industry,
            county=county,
            representative=representative,
            representative_id=representative_id,
            phone=phone,
            status=status,
            ended=date.fromisoformat(ended) if ended else None,
            approved=date.fromisoformat(approved),
        )
        for (
            uscc,
            name,
            kind,
            established,
            industry,
            county,
            representative,
            representative_id,
            phone,
            status,
            ended,
            approved,
        ) in rows
    ]
