"""Anomalies: what is planted among usual reads is told, once, and nothing else; who may see and close it."""

import random
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog.policy import anomalies, audit
from catalog.policy.anomalies import Had, Unusual, unusual
from catalog.policy.decision import MARTS
from citylake.main import app
from pipelines.contracts.calendar import WorkCalendar
from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.limits import AnomaliesForm
from pipelines.contracts.load import load
from pipelines.issues import Issues
from pipelines.register import Register, chain
from pipelines.register.store import now
from pipelines.register.tables import access, recipient
from pipelines.register.tables import audit as table
from pipelines.release.ledger import RELEASE, WITHDRAWAL, Entry, appended
from pipelines.settings import REPOSITORY
from tests.catalog.small_city import AUDITOR, GUARD, PERSONS, STEWARD, City, bearer
from tests.city import seed_from_clock

ZONE = ZoneInfo("Asia/Shanghai")
COUNTS = st.integers(0, 10**9)


@pytest.fixture(scope="module")
def form() -> CityForm:
    return load(REPOSITORY / "data_contracts").city


def thresholds(form: CityForm) -> AnomaliesForm:
    assert form.anomalies is not None
    return form.anomalies


@given(st.lists(st.tuples(COUNTS, st.integers(0, 2)), max_size=12), COUNTS, st.integers(0, 3), st.none() | COUNTS)
def test_a_day_is_held_against_the_days_before(
    form: CityForm, days: list[tuple[int, int]], rows: int, odd: int, whole: int | None
) -> None:
    limits = thresholds(form)
    past, nights = [one for one, _ in days], sum(1 for _, night in days if night)
    before = [Had(1, night, one) for one, night in days]
    found = {one.kind: one for one in unusual(before, Had(odd + 1, odd, rows), limits, whole)}
    assert ("night" in found) == (odd > 0 and nights < limits.leastDays)
    if len(past) < limits.leastDays:
        assert "bulk" not in found
        assert ("eager" in found) == (whole is not None and rows > limits.floor and rows > limits.times * whole)
        return
    assert "eager" not in found
    if rows <= limits.floor or rows <= limits.times * sorted(past)[(len(past) - 1) // 2]:
        assert "bulk" not in found, "little, or not far from the middle"
    if rows > limits.floor and rows > (limits.times + limits.deviations * 1.4826 + 1) * max(past):
        assert found["bulk"].found == rows, "no spread is more than the most that was read"
    doubled = unusual(before, Had(1, 0, 2 * rows), limits, whole)
    assert "bulk" not in found or doubled[0].kind == "bulk", "who reads more is told as well"


def test_rows_like_those_before_are_not_bulk(form: CityForm) -> None:
    limits = thresholds(form)
    steady = [Had(1, 0, 50_000)] * 20
    assert unusual(steady, Had(1, 0, 150_000), limits) == [], "three times is not more than three times"
    assert unusual(steady, Had(1, 0, 150_001), limits) == [Unusual("bulk", 150_001, 50_000)]
    assert unusual([Had(1, 0, 1)] * 20, Had(1, 0, limits.floor), limits) == []


class Audit:
    """Rows of an audit that are put in order of time and written."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, moment: datetime, outcome: str = "allowed", road: str = "rows", **about: Any) -> None:
        """One row; what the audit has no column for goes into its body."""
        columns = {name: about.pop(name, None) for name in ("recipient", "product", "grant", "version")}
        action = about.pop("action", "rows.read")
        made = {"at": moment.astimezone(ZoneInfo("UTC")), "action": action, "outcome": outcome, **columns}
        self.rows.append({**made, "body": chain.canonical({"road": road, **about})})

    def write(self, register: Register) -> None:
        """Their hashes are only distinct."""
        ordered = sorted(self.rows, key=lambda row: row["at"])
        named = [
            {**row, "sequence": number, "previous": f"{number - 1:064d}", "hash": f"{number:064d}"}
            for number, row in enumerate(ordered, 1)
        ]
        with register.begin() as connection:
            connection.execute(sa.insert(table), named)


def what_is_planted_is_told(register: Register, city: CityForm) -> None:
    """Usual reads of some weeks with three anomalies, and what is none but looks like it; on either database."""
    chance, limits = random.Random(seed_from_clock()), thresholds(city)
    assert city.workCalendar is not None
    works = WorkCalendar(city.workCalendar).works
    today, free, worked = _days(chance, works)
    told = Audit()

    def at(day: date, hour: int) -> datetime:
        return datetime.combine(day, time(hour, chance.randrange(60), chance.randrange(60)), ZONE)

    def usually() -> int:
        return chance.randrange(limits.opens, limits.closes)

    def odd() -> int:
        return chance.choice([*range(limits.opens), *range(limits.closes, 24)])

    usual = {grant: chance.randrange(1, 50_000) for grant in range(1, 8)}
    for back in range(1, limits.pastDays + anomalies.DAYS):
        day = today - timedelta(days=back)
        for grant, rows in usual.items():
            if works(day) and grant != 4:
                told.add(at(day, usually()), grant=grant, rows=int(rows * chance.uniform(0.8, 1.2)))
    told.add(at(worked, usually()), grant=1, rows=10 * usual[1] + limits.floor + 1)
    told.add(at(worked, odd()), grant=2, rows=1)
    for back in range(1, limits.leastDays):  # a few nights of long ago are no habit
        told.add(at(worked - timedelta(days=anomalies.DAYS + back), odd()), grant=2, rows=1)
    told.add(at(free, usually()), grant=3, rows=1)
    for _ in range(limits.leastDays):  # all on one day: nothing is known of days before
        told.add(at(worked, usually()), grant=4, rows=10**7)
    whole, product = chance.randrange(limits.floor, 50_000), "sharing/of_all"
    with register.begin() as connection:
        appended(connection, Entry(RELEASE, product, "e", 0, {"rows": whole}))
    for name, times in (("丁", limits.times + 1), ("戊", limits.times - 1)):
        rows = int(times * whole)
        told.add(at(worked, limits.opens), recipient=name, product=product, rows=rows, version=0)
    for back in range(1, limits.pastDays):  # every night since before the first day that is looked at: a habit
        told.add(at(today - timedelta(days=back + anomalies.DAYS), odd()), recipient="己", product=product, rows=1)
    told.add(at(worked, odd()), recipient="己", product=product, rows=1, version=0)
    told.add(at(worked, odd()), grant=5, rows=1, road=chance.choice(anomalies.PUSHED))
    told.add(at(worked, usually()), grant=6, rows=10**7, action="file.read")
    for road in (None, "web"):
        told.add(at(worked, odd()), grant=7, action="grant.give", road=road)
    parts = {"action": "download", "rows": 10**7}
    told.add(at(worked, usually()), grant=7, method="HEAD", **parts)
    told.add(at(worked, usually()), grant=7, method="GET", range="bytes=500-", **parts)
    with register.begin() as connection:
        gone, mart = {"product": "sharing/gone"}, {"product": "analyst/one"}
        for name in (gone["product"], mart["product"]):
            appended(connection, Entry(RELEASE, name, "e", 0, {"rows": whole}))
        appended(connection, Entry(WITHDRAWAL, gone["product"], "e", None, {}))
        given = {"recipient": "庚", "purpose": "试", "valid_from": now(), "valid_until": now(), "given_by": "试"}
        connection.execute(sa.insert(recipient).values(name="庚", organisation="psb", created=now()))
        for number, one in ((8, gone), (9, {"product": MARTS})):
            connection.execute(sa.insert(access).values(id=number, **given, **one))
    much = int((limits.times + 1) * whole)
    told.add(at(worked, usually()), grant=8, action="download", rows=much, range="bytes=1-", whole=True)
    told.add(at(worked, usually()), grant=9, action="download", rows=much)
    refusals: dict[str, tuple[int, str]] = {
        "甲": (limits.refusals, "grant_required"),
        "乙": (limits.refusals - 1, "grant_required"),
        "辛": (limits.refusals, "purpose_other"),
        "丙": (10 * limits.refusals, chance.choice(["grant_expired", "grant_revoked"])),
    }
    for _ in range(10 * limits.refusals):  # nobody asked: it is we who went on trying
        told.add(
            at(worked, usually()), "denied", recipient="丙", reason="not_shared", road=chance.choice(anomalies.PUSHED)
        )
    for name, (count, reason) in refusals.items():
        for number in range(count):
            told.add(at(worked, usually()), "denied", recipient=name, reason=reason, product=f"sharing/p{number % 3}")
    told.write(register)
    number, other, eager = (_first(register, name) for name in "甲辛丁")
    wanted = {
        ("grant/1", f"anomaly.bulk:{worked}"),
        ("grant/2", f"anomaly.night:{worked}"),
        ("grant/3", f"anomaly.night:{free}"),
        ("grant/8", f"anomaly.eager:{worked}"),
        ("grant/9", f"anomaly.eager:{worked}"),
        ("audit", f"anomaly.beyond:{worked}.{number}"),
        ("audit", f"anomaly.beyond:{worked}.{other}"),
        ("audit", f"anomaly.free_eager:{worked}.{eager}"),
    }
    moment = datetime.combine(today, time(0, 20), ZONE)
    assert anomalies.tell(register, city, moment) == len(wanted)
    found = Issues(register).open()
    assert {(row["subject"], row["code"]) for row in found} == wanted
    assert not any(name in str(row["text"]) for row in found for name in "甲乙丙丁戊己辛")
    assert anomalies.tell(register, city, moment) == 0, "each once"


def _first(register: Register, recipient: str) -> int:
    query = sa.select(sa.func.min(table.c.sequence)).where(table.c.recipient == recipient)
    ((number,),) = [tuple(row.values()) for row in register.rows(query)]
    return int(number)


def _days(chance: random.Random, works: Any) -> tuple[date, date, date]:
    """A day, and of the days before that are looked at one that is free and one that is worked."""
    while True:
        today = date(2026, 4, 1) + timedelta(days=chance.randrange(270))
        before = [today - timedelta(days=back) for back in range(1, anomalies.DAYS + 1)]
        free, worked = [day for day in before if not works(day)], [day for day in before if works(day)]
        if free and worked:
            return today, chance.choice(free), chance.choice(worked)


def test_what_is_planted_is_told(register: Register, form: CityForm) -> None:
    what_is_planted_is_told(register, form)


def test_nothing_is_looked_for_without_thresholds(register: Register, form: CityForm) -> None:
    assert anomalies.tell(register, form.model_copy(update={"anomalies": None}), datetime.now(ZONE)) == 0


def test_real_denials_and_reads_are_counted(own_city: City) -> None:
    """Rows that the catalogue itself writes."""
    client, token = own_city.client(), own_city.recipient("甲")
    given = own_city.grant("甲", PERSONS, columns=["name"])
    for _ in range(3):
        client.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(token))
    for product in ("analyst/division", "analyst/division", "sharing/no_such"):
        client.get(f"/datasets/{product}/preview", headers=bearer(token))
    city = own_city.contracts.city
    rows = audit.recent(own_city.register)
    day = audit_day(rows[0])
    if audit_day(rows[-1]) != day:
        return  # midnight passed
    had = anomalies.counted(own_city.register, city, thresholds(city), day)
    assert {use.grant: (one.reads, one.rows) for use, one in had.items()} == {given.id: (3, 120)}
    (tries,) = anomalies.refused(own_city.register, ZONE, day).values()
    denied = [row["sequence"] for row in rows if row["outcome"] != "allowed"]
    assert (tries.count, tries.products, tries.first) == (3, 1, min(denied))


def audit_day(row: dict[str, Any]) -> date:
    at: datetime = row["at"]
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo("UTC"))).astimezone(ZONE).date()


def test_who_sees_and_closes_them(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Audit()
    yesterday = datetime.now(ZONE) - timedelta(days=1)
    limits = thresholds(own_city.contracts.city)
    with own_city.register.begin() as connection:
        connection.execute(sa.delete(table))
    for _ in range(limits.refusals):
        told.add(yesterday, "denied", recipient="甲", reason="not_shared", product="sharing/a")
    told.write(own_city.register)
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))

    def command(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["audit", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    assert "audit.read" not in command("anomalies", "--who", STEWARD, code=1)
    assert not Issues(own_city.register).open(), "nothing is looked for"
    assert "新发现 1 项，未结 1 项" in command("anomalies", "--who", AUDITOR)
    (row,) = Issues(own_city.register).open()
    signed_in = own_city.client()
    signed_in.post("/login", data={"token": own_city.recipient("乙")})
    for page in (own_city.client().get("/issues").text, signed_in.get("/issues").text):
        assert "anomaly" not in page and row["text"]["zh"] not in page, "for those who may ask about it"
    number = str(row["id"])
    command("settle", number, "--who", AUDITOR, "--why", "已核实", code=1)
    command("settle", number, "--who", GUARD, "--why", "电话 13905640000", code=1)
    Issues(own_city.register).close_others([PERSONS])
    command("settle", number, "--who", GUARD, "--why", "接口联调，已告知")
    assert "没有未结" in command("settle", number, "--who", GUARD, "--why", "再来", code=1)
    assert "新发现 0 项，未结 0 项" in command("anomalies", "--who", GUARD), "it is not opened again"
    closed = CliRunner().invoke(app, ["issues", "--closed"]).output
    assert "反常读取已办结" in closed and "接口联调" in closed and GUARD in closed
