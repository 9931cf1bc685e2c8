"""Whose place a token took, and whether its holder made it by renewal. Changes nothing.

An administrator who rotates decides anew, so what is said here goes no further than that: neither does a bound on
renewals count across it, nor does revoking the old one end the new one.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from pipelines.register.tables import audit, token
from pipelines.register.times import as_utc

RENEW: Final = "token.renew"
"""What the audit calls a renewal; its row says which of the successors were made so."""
WRITTEN: Final = timedelta(hours=1)
"""Within which the row is written after the successor was made, in the same transaction."""


def renewed_from(connection: sa.Connection, token_id: str) -> list[dict[str, Any]]:
    """The rows of the successors of a token that renewals made, the nearest first."""
    found: list[dict[str, Any]] = []
    while (later := _first(connection, token.c.succeeds == token_id)) is not None and _renewed(connection, later):
        found.append(later)
        token_id = later["id"]
    return found


def given(connection: sa.Connection, row: Mapping[str, Any]) -> datetime:
    """When an administrator issued or rotated what renewals made a token of."""
    while row["succeeds"] is not None and _renewed(connection, row):
        older = _first(connection, token.c.id == row["succeeds"])
        assert older is not None
        row = older
    return as_utc(row["created"])


def _first(connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> dict[str, Any] | None:
    row = connection.execute(sa.select(token).where(wanted)).mappings().first()
    return None if row is None else dict(row)


def _renewed(connection: sa.Connection, row: Mapping[str, Any]) -> bool:
    created = as_utc(row["created"])
    told = sa.select(audit.c.body).where(
        audit.c.recipient == row["recipient"],
        audit.c.at.between(created, created + WRITTEN),
        audit.c.action == RENEW,
        audit.c.outcome == "allowed",
        audit.c.body.contains(f'"successor":"{row["id"]}"', autoescape=True),
    )
    return connection.execute(told).first() is not None
