"""What a recipient read in a period, summed up from the audit: the facts of a receipt of reads.

Reads that were alike (product, version, policy, columns, grant, purpose, file) are one entry with their number, so that
a million look-ups by key are one line. Belongs here: the sums. Does not belong here: asking the audit row by row
(`inquiry`), signing (`catalog.delivery.receipt`).
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.policy import inquiry, users
from catalog.policy.audit import ABOUT
from catalog.policy.inquiry import Asked
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.tables import audit as table
from pipelines.register.times import as_utc

MOST_ENTRIES: Final = 10_000
"""Of a receipt; what was read in more ways is asked for in shorter periods."""
_KEPT: Final = ("action", "product", "version", "grant", "application")
_TEXTS: Final = ("road", "policy", "purpose", "format", "file")
_JSON: Final = ("columns", "used", "aggregates", "divisions", "organisations", "limited_by", "masks", "since")
"""What bodies say in JSON."""
_NAMING: Final = ("table.query", "table.changes")
"""Answers that name files: no row is given before one of them is read."""


@dataclass(frozen=True)
class Reads:
    """What was read: `entries` by likeness; `denied`: how often the answer was none; `newest`, `hash`: the last row of
    the audit that was looked at, whatever it is about, and where the chain stood there."""

    entries: list[dict[str, Any]]
    denied: int
    newest: int
    hash: str


def summed(register: Register, zone: ZoneInfo, asked: Asked) -> Reads:
    """What answers a question about one recipient comes to. `rows` of an entry: those that were given, of files the
    rows of the file, also where `part` says that it was asked for in parts; `named`: those of the files that an answer
    named. Raises CitylakeError for too many entries."""
    with register.engine.connect() as connection:
        newest = sa.select(table.c.sequence, table.c.hash).order_by(table.c.sequence.desc()).limit(1)
        last: Any = connection.execute(newest).one_or_none()
        sequence, hashed = last or (0, chain.FIRST)
        upto = table.c.sequence <= sequence
        others = {*ABOUT, *users.ACTS, *users.LOOKS}  # name a product and show no row of it
        read = (table.c.product.is_not(None), table.c.action.not_in(others), inquiry.gave(connection), upto)
        lines = connection.execute(_lines(connection, zone, replace(asked, outcome="allowed"), read)).mappings().all()
        refused = inquiry.conditions(connection, zone, asked)
        count = sa.select(sa.func.count()).select_from(table)
        denied = connection.execute(count.where(*refused, upto, table.c.outcome != "allowed")).scalar_one()
    if len(lines) > MOST_ENTRIES:
        raise CitylakeError("receipt.too_many", most=MOST_ENTRIES)
    return Reads([_entry(dict(line)) for line in lines], denied, sequence, hashed)


def _lines(
    connection: sa.Connection, zone: ZoneInfo, asked: Asked, more: tuple[sa.ColumnElement[bool], ...]
) -> sa.Select[Any]:
    named = [inquiry.said(connection, name).label(f"_{name}") for name in (*_TEXTS, *_JSON)]
    named += [_hash(connection).label("_sha256"), inquiry.said(connection, "range").is_not(None).label("_part")]
    rows = sa.cast(inquiry.said(connection, "rows"), sa.BigInteger)
    again = inquiry.again(connection)
    of_file = table.c.action.in_(inquiry.AGAIN)
    given = (sa.case((of_file, None), (again, 0), else_=rows).label("_given"), sa.case((of_file, rows)).label("_whole"))
    columns = [table.c[name] for name in (*_KEPT, "at", "sequence")]
    each = sa.select(*columns, *named, *given).where(*inquiry.conditions(connection, zone, asked), *more).subquery()
    alike = [each.c[name] for name in _KEPT] + [each.c[f"_{name}"] for name in (*_TEXTS, *_JSON, "sha256", "part")]
    totals = (
        sa.func.count().label("reads"),
        sa.func.coalesce(sa.func.sum(each.c["_given"]), sa.func.max(each.c["_whole"])).label("rows"),
        sa.func.min(each.c.at).label("first"),
        sa.func.max(each.c.at).label("last"),
    )
    return sa.select(*alike, *totals).group_by(*alike).order_by(sa.func.min(each.c.sequence)).limit(MOST_ENTRIES + 1)


def _hash(connection: sa.Connection) -> sa.ColumnElement[Any]:
    """The SHA-256 of what was given. Of answers of the row API only if it was all there is: any other is one of as many
    as there are questions."""
    some = (table.c.action == "rows.read") & inquiry.said(connection, "whole").is_(None)
    return sa.case((some, None), else_=inquiry.said(connection, "sha256"))


def _entry(line: dict[str, Any]) -> dict[str, Any]:
    """One line as the receipt says it; what is not known is left out."""
    found = {name.removeprefix("_"): value for name, value in line.items() if value is not None}
    found |= {name: int(found[name]) for name in ("reads", "rows") if name in found}
    if found["action"] in _NAMING and "rows" in found:
        found["named"] = found.pop("rows")
    for name in _JSON:
        if isinstance(found.get(name), str):  # SQLite gives a number as it stands
            found[name] = json.loads(found[name])
    for name in ("first", "last"):
        found[name] = as_utc(line[name]).isoformat(timespec="seconds")
    return {name: value for name, value in found.items() if value != [] and value is not False}
