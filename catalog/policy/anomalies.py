"""Reads that are not as those before: far more rows, at odd hours, and repeated tries of what no grant opens.

Judged by grant and day of the city from counts of the audit, once a day is over, and told as issues, each once: an
issue has counts, the number of a grant and of an audit row, never a name or a value. The security officer closes it.
Belongs here: counting, judging, telling, settling. Does not belong here: refusing reads (`decision`, `quotas`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.policy import audit, users
from catalog.policy.decision import Reason
from catalog.policy.inquiry import COMMAND, again, bounds, said
from pipelines.contracts.models import AnomaliesForm, CityForm
from pipelines.issues import Finding, Issues
from pipelines.issues.calendar import WorkCalendar
from pipelines.issues.feedback import require_harmless
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.store import now
from pipelines.register.tables import access
from pipelines.register.tables import audit as table
from pipelines.register.tables import issue as issues
from pipelines.register.tables import issue_act as acts

AREA: Final = "anomaly"
DAYS: Final = 7
"""How many days that are over are looked at, so that a job which did not run for a few misses none."""
MAD: Final = 1.4826
"""Of a normal distribution: standard deviations in a median absolute deviation."""
PUSHED: Final = ("tables", "files")
"""Roads by which citylake delivers, at hours of its own."""
OUTSIDE: Final = (
    *(Reason.GRANT_REQUIRED, Reason.GRANT_ROAD, Reason.NOT_SHARED, Reason.LOOKUP_ONLY),
    *(Reason.COLUMN_NOT_GRANTED, Reason.UNKNOWN_PRODUCT),
)
"""Why what no grant opens is denied. A grant that is over or not yet approved was somebody's once."""
Kind = Literal["bulk", "night"]


@dataclass(frozen=True)
class Had:
    """What was read on one grant on one day: how often, how many of these at odd hours, how many rows."""

    reads: int
    odd: int
    rows: int


@dataclass(frozen=True)
class Refused:
    """What one recipient was denied on one day that no grant of theirs opens: how often, how many products, and the
    number of the first row."""

    count: int
    products: int
    first: int


@dataclass(frozen=True)
class Unusual:
    """A day of a grant that is not as the days before: `found` is more than `usual`, in rows or in reads."""

    kind: Kind
    found: int
    usual: int


def unusual(past: Sequence[Had], day: Had, form: AnomaliesForm) -> list[Unusual]:
    """What is unusual about a day of a grant, by the days before on which it was used; nothing if these are too few."""
    if len(past) < form.leastDays:
        return []
    found = list[Unusual]()
    rows = [had.rows for had in past]
    middle = median(rows)
    spread = MAD * median(abs(one - middle) for one in rows)
    most = max(form.floor, form.times * middle, middle + form.deviations * spread)
    if day.rows > most:
        found.append(Unusual("bulk", day.rows, int(middle)))
    if day.odd and not any(had.odd for had in past):
        found.append(Unusual("night", day.odd, 0))
    return found


def counted(register: Register, city: CityForm, form: AnomaliesForm, day: date) -> dict[int, Had]:
    """What was read on each grant on a day of the city."""
    zone = ZoneInfo(city.timezone)
    start, end = bounds(day, day, zone)
    works = city.workCalendar is None or WorkCalendar(city.workCalendar).works(day)
    opens, closes = (_at(day, hour, zone) for hour in ((form.opens, form.closes) if works else (0, 0)))
    columns = table.c
    with register.engine.connect() as connection:
        rows = sa.cast(said(connection, "rows"), sa.BigInteger)
        outside = ((columns.at < opens) | (columns.at >= closes)) & said(connection, "road").not_in(PUSHED)
        counts = (
            sa.func.count().label("reads"),
            sa.func.coalesce(sa.func.sum(sa.case((outside, 1), else_=0)), 0).label("odd"),
            sa.func.coalesce(sa.func.sum(sa.case((again(connection), 0), else_=rows)), 0).label("rows"),
        )
        # an act on a grant names it too and reads nothing: its row has no version and no road
        read = (columns.outcome == "allowed") & columns.grant.is_not(None) & said(connection, "road").is_not(None)
        query = sa.select(columns.grant, *counts).where(columns.at >= start, columns.at < end, read)
        found = connection.execute(query.group_by(columns.grant)).all()
    return {row.grant: Had(int(row.reads), int(row.odd), int(row.rows)) for row in found}


def refused(register: Register, zone: ZoneInfo, day: date) -> dict[str, Refused]:
    """What recipients were denied on a day of the city that no grant opens, by recipient."""
    start, end = bounds(day, day, zone)
    columns = table.c
    with register.engine.connect() as connection:
        denied = (columns.outcome != "allowed") & columns.recipient.is_not(None)
        outside = said(connection, "reason").in_([reason.value for reason in OUTSIDE])
        road = said(connection, "road")
        asked = road.is_(None) | road.not_in(PUSHED)
        counts = (
            sa.func.count().label("tries"),
            sa.func.count(sa.distinct(columns.product)).label("products"),
            sa.func.min(columns.sequence).label("first"),
        )
        query = sa.select(columns.recipient, *counts).where(
            columns.at >= start, columns.at < end, denied, outside, asked
        )
        found = connection.execute(query.group_by(columns.recipient)).all()
    return {row.recipient: Refused(row.tries, row.products, row.first) for row in found}


def tell(register: Register, city: CityForm, moment: datetime, days: int = DAYS) -> int:
    """Open an issue for every anomaly that has none yet, of the days that are over at a moment; returns how many. The
    operator of the city is asked. Nothing is looked for where the city says no thresholds."""
    form = city.anomalies
    if form is None:
        return 0
    today = moment.astimezone(ZoneInfo(city.timezone)).date()
    products = {row["id"]: row["product"] for row in register.rows(sa.select(access.c.id, access.c.product))}
    found = list(
        _findings(register, city, form, [today - timedelta(days=back) for back in range(days, 0, -1)], products)
    )
    opened = 0
    with register.begin() as connection:
        chain.take_place(connection, issues)
        mine = sa.select(issues.c.subject, issues.c.code).where(issues.c.code.startswith(f"{AREA}."))
        known = {(row.subject, row.code) for row in connection.execute(mine)}
        for subject, finding in found:
            if (subject, finding.identity) not in known:
                Issues.open_one(connection, subject, city.operator, finding)
                opened += 1
    return opened


def standing(register: Register, actor: str, road: str = COMMAND) -> list[dict[str, Any]]:
    """The open issues about anomalies, the newest first. Raises NotAllowed."""
    with users.acting(register, "anomaly.list", actor) as (connection, _):
        audit.append(connection, "anomaly.list", "allowed", {"actor": actor, "road": road})
    mine = (issues.c.status == "open") & issues.c.code.startswith(f"{AREA}.")
    return register.rows(sa.select(issues).where(mine).order_by(issues.c.id.desc()))


def settle(register: Register, number: int, why: str, *, actor: str) -> None:
    """Close an anomaly by the security officer's word. Raises CitylakeError for none that is open and for a text that
    holds personal values, NotAllowed."""
    require_harmless(why)
    with users.acting(register, "anomaly.settle", actor) as (connection, _):
        mine = (issues.c.id == number) & (issues.c.status == "open") & issues.c.code.startswith(f"{AREA}.")
        row = connection.execute(sa.select(issues.c.text).where(mine)).first()
        if row is None:
            raise CitylakeError("anomaly.not_open", number=number)
        at, proof = now(), {AREA: why, "who": actor}
        closed = {"status": "closed", "closed": at, "last_seen": at, "text": row.text | {"proof": proof}}
        if not connection.execute(sa.update(issues).where(mine).values(**closed)).rowcount:
            raise CitylakeError("anomaly.not_open", number=number)
        act = {"issue": number, "at": at, "who": actor, "act": "settled", "note": why, "proof": None}
        connection.execute(sa.insert(acts).values(**act))
        audit.append(connection, "anomaly.settle", "allowed", {"actor": actor, "issue": number})


def _findings(
    register: Register, city: CityForm, form: AnomaliesForm, days: Sequence[date], products: Mapping[int, str]
) -> Iterator[tuple[str, Finding]]:
    zone = ZoneInfo(city.timezone)
    first = days[0] - timedelta(days=form.pastDays)
    span = [first + timedelta(days=number) for number in range((days[-1] - first).days + 1)]
    by_day = {day: counted(register, city, form, day) for day in span}
    for day in days:
        before = [by_day[day - timedelta(days=back)] for back in range(form.pastDays, 0, -1)]
        for grant, had in sorted(by_day[day].items()):
            past = [one[grant] for one in before if grant in one]
            for one in unusual(past, had, form):
                about = {"grant": grant, "product": products.get(grant, "—"), "day": day, "days": len(past)}
                about |= {"found": one.found, "usual": one.usual, "opens": form.opens, "closes": form.closes}
                yield (
                    f"grant/{grant}",
                    Finding(f"{AREA}.{one.kind}", about, "warning", f"{day}", one.found),
                )
        for _, tries in sorted(refused(register, zone, day).items()):
            if tries.count >= form.refusals:
                told = {"day": day, "count": tries.count, "products": tries.products, "row": tries.first}
                yield "audit", Finding(f"{AREA}.beyond", told, "warning", f"{day}.{tries.first}", tries.count)


def _at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """The moment (UTC) of an hour of a day; hour 24 is the end of it."""
    found = bounds(day + timedelta(days=hour // 24), None, zone)[0]
    assert found is not None
    return found if hour % 24 == 0 else datetime.combine(day, time(hour), zone).astimezone(found.tzinfo)
