"""Asking the audit: which rows answer a question, the newest first, a page or all of them, and as CSV.

One query for commands and pages. It reads page by page by place (keyset), each in a short transaction: a million rows
are neither in memory nor keep the register from being written, and rows that come meanwhile are newer than the place.
Belongs here: the question, who may ask it about whom, its answer. Does not belong here: writing the audit (`audit`).
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.policy import audit, users
from catalog.policy.decision import ROADS
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.tables import access as grants
from pipelines.register.tables import account as accounts
from pipelines.register.tables import application as applications
from pipelines.register.tables import audit as table
from pipelines.register.tables import recipient as recipients
from pipelines.register.times import as_utc

ACT: Final = "audit.read"
COMMAND: Final = "command"
"""The road of what was done on the command line."""
ASKED_ROADS: Final = (*ROADS, "oauth", COMMAND)
"""Of rows of the audit: also roads by which no data is read."""
AGAIN: Final = ("file.read",)
"""Reads of files whose rows the question before told of already."""
BATCH: Final = 5_000
COLUMNS: Final = (
    *("sequence", "at", "action", "outcome", "recipient", "organisation", "application", "actor", "road", "product"),
    *("version", "grant", "level", "rows", "columns", "purpose", "reason", "body"),
)
"""Of the CSV: `at` by the city's clocks with their offset, `columns` with spaces between, `body` the whole as JSON."""


@dataclass(frozen=True)
class Asked:
    """A question; what is None does not matter. `first` and `last` are days of the city, both included.

    `recipient`, `application` and `organisation` asked (the organisation's recipients and applications), `actor` is the
    user who did something; `level` is the lowest, `purpose` a part of its text, `case` the case number of a grant;
    `action` is what was done, `outcome` one of `audit.Outcome`, `road` one of `ASKED_ROADS`.
    """

    first: date | None = None
    last: date | None = None
    recipient: str | None = None
    organisation: str | None = None
    application: str | None = None
    actor: str | None = None
    product: str | None = None
    road: str | None = None
    level: int | None = None
    action: str | None = None
    outcome: str | None = None
    grant: int | None = None
    purpose: str | None = None
    case: str | None = None

    def said(self) -> dict[str, Any]:
        """What was asked for, as the audit row of the question says it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def bounds(first: date | None, last: date | None, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """The moments (UTC) at which days of the city begin and are over; None where there is no first or last."""
    start = None if first is None else datetime.combine(first, time(), zone).astimezone(UTC)
    end = None if last is None else datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)
    return start, end


def page(
    register: Register, zone: ZoneInfo, asked: Asked, limit: int, before: int | None = None
) -> list[dict[str, Any]]:
    """At most `limit` rows that answer, the newest first; those older than row number `before`, if it is given.

    Rows have the columns of the audit, `at` in UTC, `body` as a dictionary. No row has the number: none answers.
    """
    with register.engine.connect() as connection:
        query = _query(connection, zone, asked).limit(limit)
        if before is not None:
            at = connection.execute(sa.select(table.c.at).where(table.c.sequence == before)).scalar_one_or_none()
            if at is None:
                return []
            older = (table.c.at < as_utc(at)) | (table.c.sequence < before)
            query = query.where(table.c.at <= as_utc(at), older)
        found = connection.execute(query).mappings().all()
    return [{**row, "at": as_utc(row["at"]), "body": json.loads(row["body"])} for row in found]


def rows(register: Register, zone: ZoneInfo, asked: Asked, batch: int = BATCH) -> Iterator[dict[str, Any]]:
    """All rows that answer, the newest first; `batch` of them are in memory."""
    before: int | None = None
    while found := page(register, zone, asked, batch, before):
        yield from found
        if len(found) < batch:
            return
        before = found[-1]["sequence"]


@dataclass(frozen=True)
class Total:
    """How many rows of the audit have an outcome, and how many rows of products they tell of, each told once."""

    outcome: str
    count: int
    rows: int


def totals(register: Register, zone: ZoneInfo, asked: Asked) -> list[Total]:
    """What all rows that answer come to, by outcome."""
    with register.engine.connect() as connection:
        told = sa.cast(said(connection, "rows"), sa.BigInteger)
        first = table.c.product.is_not(None) & ~again(connection)
        given = sa.func.coalesce(sa.func.sum(sa.case((first, told))), 0)
        query = sa.select(table.c.outcome, sa.func.count(), given).where(*conditions(connection, zone, asked))
        found: Any = connection.execute(query.group_by(table.c.outcome).order_by(table.c.outcome)).all()
    return [Total(outcome, count, int(rows)) for outcome, count, rows in found]


def as_csv(
    register: Register, zone: ZoneInfo, found: Iterable[dict[str, Any]], hidden: frozenset[str] = frozenset()
) -> Iterator[bytes]:
    """Rows as CSV in pieces: RFC 4180 in UTF-8 with byte order mark, values unaltered, empty where nothing is known.
    `hidden`: what bodies say under these names is left out."""
    owners = {row["name"]: row["organisation"] for row in register.rows(sa.select(recipients))}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    text.seek(0), text.truncate()
    yield b"\xef\xbb\xbf" + (",".join(COLUMNS) + "\r\n").encode()
    for number, row in enumerate(found, 1):
        body = {name: value for name, value in row["body"].items() if name not in hidden}
        writer.writerow(_line({**row, "body": body}, zone, owners))
        if number % 500 == 0:
            yield text.getvalue().encode()
            text.seek(0), text.truncate()
    if text.tell():
        yield text.getvalue().encode()


def permitted(register: Register, asked: Asked, actor: str) -> Asked:
    """The question as far as a user may ask it: an auditor or security officer about everybody, a department user about
    their own organisation. A refusal is audited. Raises NotAllowed."""
    with users.acting(register, ACT, actor) as (_, user):
        if users.SEES_ALL & users.counting(user.roles):
            return asked
        if asked.organisation not in (None, user.organisation):
            raise users.NotAllowed("audit.other_organisation", actor=actor, organisation=user.organisation)
        return replace(asked, organisation=user.organisation)


def record(register: Register, asked: Asked, road: str, count: int, **about: Any) -> None:
    """Audit that the audit was asked. `count`: rows in the answer; `about`: the user, or the recipient and its
    application, and facts. Raises AuditUnavailable."""
    named: audit.About = {"recipient": about.pop("recipient", None), "application": about.pop("application", None)}
    body = {"road": road, "asked": asked.said(), "rows": count, **about}
    audit.record(register, ACT, "allowed", body, **named)


def require_known(register: Register, asked: Asked) -> None:
    """Raises CitylakeError for names that nobody ever had: no answer would look like no reads."""
    if asked.first is not None and asked.last is not None and asked.last < asked.first:
        raise CitylakeError("audit.period", first=asked.first, last=asked.last)
    for name, wanted, known in (
        ("outcome", asked.outcome, get_args(audit.Outcome)),
        ("action", asked.action, sorted(audit.ACTIONS)),
        ("road", asked.road, ASKED_ROADS),
    ):
        if wanted is not None and wanted not in known:
            raise CitylakeError("audit.no_such", name=name, value=wanted, known="、".join(known))
    of, theirs = asked.organisation, sa.select(recipients.c.name).where(recipients.c.organisation == asked.organisation)
    for name, wanted, column, own in (
        ("recipient", asked.recipient, recipients.c.name, recipients.c.organisation == of),
        ("application", asked.application, applications.c.name, applications.c.organisation == of),
        ("product", asked.product, table.c.product, sa.true()),
        ("case", asked.case, grants.c.case_number, grants.c.recipient.in_(theirs)),
    ):
        # whoever asks about one organisation does not learn what others have
        there = sa.select(column).where(column == wanted, sa.true() if of is None else own).limit(1)
        if wanted is not None and not register.rows(there):
            raise CitylakeError("audit.unknown", name=name, value=wanted)
    of_somebody = (one.c.organisation for one in (recipients, applications, accounts))
    if of is not None and not any(
        register.rows(sa.select(column).where(column == of).limit(1)) for column in of_somebody
    ):
        raise CitylakeError("audit.unknown", name="organisation", value=of)


def _query(connection: sa.Connection, zone: ZoneInfo, asked: Asked) -> sa.Select[Any]:
    newest_first = (table.c.at.desc(), table.c.sequence.desc())
    return sa.select(table).where(*conditions(connection, zone, asked)).order_by(*newest_first)


def conditions(connection: sa.Connection, zone: ZoneInfo, asked: Asked) -> list[sa.ColumnElement[bool]]:
    """What rows must be like to answer a question."""
    start, end = bounds(asked.first, asked.last, zone)
    columns = table.c
    wanted = [] if start is None else [columns.at >= start]
    wanted += [] if end is None else [columns.at < end]
    for name in ("recipient", "application", "product", "action", "outcome", "grant"):
        if (value := getattr(asked, name)) is not None:
            wanted.append(columns[name] == value)
    if asked.level is not None:
        wanted.append(columns.level >= asked.level)
    for name in ("actor", "road"):
        if (value := getattr(asked, name)) is not None:
            wanted.append(said(connection, name) == value)
    if asked.purpose is not None:
        place = sa.func.strpos if connection.dialect.name == "postgresql" else sa.func.instr  # LIKE differs in case
        wanted.append(place(said(connection, "purpose"), asked.purpose) > 0)
    if asked.organisation is not None:
        wanted.append(_of_organisation(connection, asked.organisation))
    if asked.case is not None:
        of_case = sa.select(grants.c.id).where(grants.c.case_number == asked.case)
        wanted.append(columns.grant.in_(list(connection.execute(of_case).scalars())))
    return wanted


def _of_organisation(connection: sa.Connection, organisation: str) -> sa.ColumnElement[bool]:
    """By names, not by a join: of one name an index gives the rows in order."""

    def names(of: sa.Table) -> list[str]:
        return list(connection.execute(sa.select(of.c.name).where(of.c.organisation == organisation)).scalars())

    return table.c.recipient.in_(names(recipients)) | (
        table.c.recipient.is_(None) & table.c.application.in_(names(applications))
    )


def said(connection: sa.Connection, name: str) -> sa.ColumnElement[Any]:
    """What the body of a row says under a name: text of PostgreSQL, of SQLite text or a number as it stands."""
    if connection.dialect.name != "postgresql":
        found: sa.ColumnElement[Any] = sa.func.json_extract(table.c.body, f"$.{name}")
        return found
    # PostgreSQL has no text with NUL in it, and one such row would stop every question
    body = sa.func.replace(table.c.body, "\\u0000", "\\ufffd")
    text: sa.ColumnElement[Any] = sa.cast(body, sa.JSON)[name].as_string()
    return text


def again(connection: sa.Connection) -> sa.ColumnElement[bool]:
    """Whether a row of the audit tells of rows that another tells of: files of a question, parts of a file after its
    first, and answers that gave nothing. Whoever wrote the row knows what was answered: `whole` is no part."""
    part = sa.func.coalesce(said(connection, "range"), "bytes=0-")
    later = ~part.like("bytes=0-%") & said(connection, "whole").is_(None)
    return table.c.action.in_(AGAIN) | ~gave(connection) | later


def gave(connection: sa.Connection) -> sa.ColumnElement[bool]:
    """Whether an answer that was allowed had anything but its head: a question for headers alone (HEAD) has not, nor
    has one with a status of its own, which says that the caller has it already (304) or that no byte of the file lies
    in the part that was asked for (416)."""
    looked = sa.func.coalesce(said(connection, "method"), "") == "HEAD"
    return ~looked & said(connection, "status").is_(None)


def that_gave(register: Register, query: sa.Select[Any]) -> list[dict[str, Any]]:
    """The rows of a query over the audit, of answers that `gave` anything."""
    with register.engine.connect() as connection:
        return [dict(row) for row in connection.execute(query.where(gave(connection))).mappings()]


def _line(row: dict[str, Any], zone: ZoneInfo, owners: dict[str, str]) -> dict[str, Any]:
    body = row["body"]
    return {
        **{name: row[name] for name in COLUMNS if name in table.c},
        **{name: body.get(name) for name in ("actor", "road", "rows", "purpose", "reason")},
        "at": row["at"].astimezone(zone).isoformat(timespec="microseconds"),
        "organisation": owners.get(row["recipient"]),
        "columns": " ".join(body.get("columns") or ()),
        "body": json.dumps(body, ensure_ascii=False, sort_keys=True),
    }
