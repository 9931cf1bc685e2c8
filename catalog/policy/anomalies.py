"""Reads that are not as those before: far more rows, at odd hours, and repeated tries of what no grant opens.

Judged by use (a grant, or a product that a recipient reads without one) and day of the city from counts of the audit,
once a day is over, and told as issues, each once: an issue has counts, the number of a grant or of an audit row, never
a name or a value. The security officer closes it.
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
from catalog.policy.decision import MARTS, Reason
from catalog.policy.inquiry import COMMAND, again, bounds, said
from pipelines.contracts.calendar import WorkCalendar
from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.limits import AnomaliesForm
from pipelines.issues import Finding, Issues
from pipelines.issues.feedback import require_harmless
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.store import now
from pipelines.register.tables import access
from pipelines.register.tables import audit as table
from pipelines.register.tables import issue as issues
from pipelines.register.tables import issue_act as acts
from pipelines.release.ledger import RELEASE, Ledger

AREA: Final = "anomaly"
DAYS: Final = 7
"""How many days that are over are looked at, so that a job which did not run for a few misses none."""
MAD: Final = 1.4826
"""Of a normal distribution: standard deviations in a median absolute deviation."""
PUSHED: Final = ("tables", "files")
"""Roads by which citylake delivers, at hours of its own."""
OUTSIDE: Final = (
    *(Reason.GRANT_REQUIRED, Reason.GRANT_ROAD, Reason.NOT_SHARED, Reason.LOOKUP_ONLY),
    *(Reason.COLUMN_NOT_GRANTED, Reason.UNKNOWN_PRODUCT, Reason.PURPOSE_OTHER),
)
"""Why what no grant opens is denied. A grant that is over or not yet approved was somebody's once."""
Kind = Literal["bulk", "eager", "night"]


@dataclass(frozen=True)
class Use:
    """By what somebody reads: a grant, or a product by a recipient that needs none for it."""

    grant: int | None
    recipient: str | None = None
    product: str | None = None


@dataclass(frozen=True)
class Had:
    """What was read on one use on one day: how often, how many of these at odd hours, how many rows; and the number of
    the first row of the audit."""

    reads: int
    odd: int
    rows: int
    first: int = 0


@dataclass(frozen=True)
class Refused:
    """What one recipient was denied on one day that no grant of theirs opens: how often, how many products, and the
    number of the first row."""

    count: int
    products: int
    first: int


@dataclass(frozen=True)
class Unusual:
    """A day of a use that is not as the days before: `found` is more than `usual`, in rows, in reads with the nights
    before, or, of a use that is new, in rows with those of the whole product."""

    kind: Kind
    found: int
    usual: int


def unusual(past: Sequence[Had], day: Had, form: AnomaliesForm, whole: int | None = None) -> list[Unusual]:
    """What is unusual about a day of a use, by the days before on which there was one; `whole`: how many rows the
    product has, by which it is judged until there are enough days. As many nights make a habit of reading at night."""
    found = list[Unusual]()
    if len(past) < form.leastDays:
        if whole is not None and day.rows > max(form.floor, form.times * whole):
            found.append(Unusual("eager", day.rows, whole))
    else:
        rows = [had.rows for had in past]
        middle = median(rows)
        spread = MAD * median(abs(one - middle) for one in rows)
        if day.rows > max(form.floor, form.times * middle, middle + form.deviations * spread):
            found.append(Unusual("bulk", day.rows, int(middle)))
    nights = sum(1 for had in past if had.odd)
    if day.odd and nights < form.leastDays:
        found.append(Unusual("night", day.odd, nights))
    return found


def counted(register: Register, city: CityForm, form: AnomaliesForm, day: date) -> dict[Use, Had]:
    """What was read by each use on a day of the city."""
    zone = ZoneInfo(city.timezone)
    start, end = bounds(day, day, zone)
    works = city.workCalendar is None or WorkCalendar(city.workCalendar).works(day)
    opens, closes = (_at(day, hour, zone) for hour in ((form.opens, form.closes) if works else (0, 0)))
    columns = table.c
    with register.engine.connect() as connection:
        rows = sa.cast(said(connection, "rows"), sa.BigInteger)
        outside = ((columns.at < opens) | (columns.at >= closes)) & said(connection, "road").not_in(PUSHED)
        # whoever a grant was given to, and whichever version of the product: it is one use
        by = (
            columns.grant,
            sa.case((columns.grant.is_(None), columns.recipient)).label("recipient"),
            sa.case((columns.grant.is_(None), columns.product)).label("product"),
        )
        counts = (
            sa.func.count().label("reads"),
            sa.func.coalesce(sa.func.sum(sa.case((outside, 1), else_=0)), 0).label("odd"),
            sa.func.coalesce(sa.func.sum(sa.case((again(connection), 0), else_=rows)), 0).label("rows"),
            sa.func.min(columns.sequence).label("first"),
        )
        # an act on a grant names it too and reads nothing; what the command line does says no road
        read = (
            (columns.outcome == "allowed") & said(connection, "road").is_not(None) & columns.action.not_in(users.ACTS)
        )
        used = columns.grant.is_not(None) | (columns.recipient.is_not(None) & columns.product.is_not(None))
        query = sa.select(*by, *counts).where(columns.at >= start, columns.at < end, read, used)
        found = connection.execute(query.group_by(*by)).all()
    return {
        Use(row.grant, row.recipient, row.product): Had(int(row.reads), int(row.odd), int(row.rows), int(row.first))
        for row in found
    }


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
    found = list(_findings(register, city, form, [today - timedelta(days=back) for back in range(days, 0, -1)]))
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
    register: Register, city: CityForm, form: AnomaliesForm, days: Sequence[date]
) -> Iterator[tuple[str, Finding]]:
    zone = ZoneInfo(city.timezone)
    first = days[0] - timedelta(days=form.pastDays)
    span = [first + timedelta(days=number) for number in range((days[-1] - first).days + 1)]
    by_day = {day: counted(register, city, form, day) for day in span}
    granted = {row["id"]: row["product"] for row in register.rows(sa.select(access.c.id, access.c.product))}
    wholes = _wholes(register)
    for day in days:
        before = [by_day[day - timedelta(days=back)] for back in range(form.pastDays, 0, -1)]
        for use, had in sorted(by_day[day].items(), key=lambda one: one[1].first):
            product = use.product if use.grant is None else granted.get(use.grant, "—")
            past = [one[use] for one in before if use in one]
            for one in unusual(past, had, form, wholes.get(str(product))):
                about = {"product": product, "day": day, "days": len(past), "found": one.found, "usual": one.usual}
                yield _finding(use, had, one, about | {"opens": form.opens, "closes": form.closes})
        for _, tries in sorted(refused(register, zone, day).items()):
            if tries.count >= form.refusals:
                told = {"day": day, "count": tries.count, "products": tries.products, "row": tries.first}
                yield "audit", Finding(f"{AREA}.beyond", told, "warning", f"{day}.{tries.first}", tries.count)


def _wholes(register: Register) -> dict[str, int]:
    """How many rows products have, or had before they were withdrawn; the analysts' database those of its channel."""
    found = {name: int(entry.body.get("rows", 0)) for name, entry in Ledger(register).newest(RELEASE).items()}
    channel = MARTS.partition("/")[0]
    return found | {MARTS: sum(rows for name, rows in found.items() if name.partition("/")[0] == channel)}


def _finding(use: Use, had: Had, one: Unusual, about: Mapping[str, Any]) -> tuple[str, Finding]:
    """Of a use without a grant, the row of the audit is named that leads to whose it is."""
    if use.grant is None:
        about = {**about, "row": had.first}
        return "audit", Finding(f"{AREA}.free_{one.kind}", about, "warning", f"{about['day']}.{had.first}", one.found)
    about = {**about, "grant": use.grant}
    return f"grant/{use.grant}", Finding(f"{AREA}.{one.kind}", about, "warning", f"{about['day']}", one.found)


def _at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """The moment (UTC) of an hour of a day; hour 24 is the end of it."""
    found = bounds(day + timedelta(days=hour // 24), None, zone)[0]
    assert found is not None
    return found if hour % 24 == 0 else datetime.combine(day, time(hour), zone).astimezone(found.tzinfo)
