"""Questions a minute, rows and bytes a day: counted for whom they belong to, told on every answer, refused in time."""

import ipaddress
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog.metering import Metering
from catalog.policy import administration, audit, quotas
from catalog.policy.decision import Caller, Reason
from catalog.policy.quotas import Quotas, Used, Who
from citylake.main import app as commands
from pipelines.register.store import now
from pipelines.register.tables import usage
from tests.catalog.small_city import ADMINISTRATOR, AGES, PERSONS, City, bearer

API, ROWS = "/api/v1", f"/api/v1/products/{PERSONS}/rows"
TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
DAY = date(2026, 11, 26)
HEADERS = {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-policy"}


@pytest.fixture(autouse=True)
def moment(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The moment of every question of a test: midnight in the city must not fall into one."""
    return fixed(monkeypatch)


def fixed(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Now, for all questions from now on."""
    moment = now()
    monkeypatch.setattr("catalog.metering.now", lambda: moment)
    return moment


def limited(city: City, **limits: str) -> TestClient:
    """A client of a service whose city has other limits for these classes."""
    city.limit("{callers: {" + ", ".join(f"{kind}: {{{text}}}" for kind, text in limits.items()) + "}}")
    client = city.client()
    client.app.state.desk.quotas._rates._clock = lambda: 0.0  # type: ignore[attr-defined]  # nothing flows in
    return client


def quota(client: TestClient, token: str | None = None) -> dict[str, dict[str, int]]:
    return dict(client.get(f"{API}/quota", headers=bearer(token) if token else {}).json())


def test_every_answer_of_a_road_of_programs_says_what_is_left(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    cases: dict[str, Callable[[], Response]] = {
        "rows": lambda: client.get(ROWS, headers=bearer(token)),
        "key": lambda: client.get(f"{ROWS}?person_ref=eq.x", headers=bearer(token)),
        "unchanged": lambda: client.get(ROWS, headers={**bearer(token), "If-None-Match": "*"}),
        "bad question": lambda: client.get(f"{ROWS}?nothing=eq.1", headers=bearer(token)),
        "bad token": lambda: client.get(ROWS, headers=bearer("cl_wrong")),
        "no token": lambda: client.get(ROWS),
        "no such product": lambda: client.get(f"{API}/products/open/nothing"),
        "no such address": lambda: client.get(f"{API}/nothing"),
        "no such method": lambda: client.delete(ROWS),
        "description": lambda: client.get(f"{API}/openapi.json"),
        "list": lambda: client.head(f"{API}/products"),
        "quota": lambda: client.get(f"{API}/quota"),
        "shares": lambda: client.get("/delta-sharing/shares"),
        "query": lambda: client.post(f"{TABLE}/query", json={}, headers=bearer(token)),
        "bad query": lambda: client.post(f"{TABLE}/query", content=b"{", headers=bearer(token)),
        "too large": lambda: client.post(f"{TABLE}/query", content=b"x" * 70_000),
        "file": lambda: client.get("/delta-sharing/files/open/nothing/v0/x/y"),
        "licence": lambda: client.get("/verify/licence/1"),
        "download": lambda: client.get(f"/datasets/{AGES}/download/csv"),
        "preview": lambda: client.get(f"/datasets/{AGES}/preview"),
        "marts": lambda: client.get("/marts/marts.duckdb"),
    }
    for name, ask in cases.items():
        answer = ask()
        assert answer.headers.keys() >= HEADERS, (name, answer.status_code)
        limit, left = int(answer.headers["ratelimit-limit"]), int(answer.headers["ratelimit-remaining"])
        assert 0 <= left < limit and answer.headers["ratelimit-policy"] == f"{limit};w=60"
    assert not HEADERS & client.get("/datasets").headers.keys(), "pages are not counted"


def test_one_too_many_is_refused_in_each_roads_own_form(own_city: City, moment: datetime) -> None:
    client = limited(own_city, anonymous="perMinute: 3, rowsPerDay: 1000, bytesPerDay: 1000000")
    token = own_city.recipient("甲")
    own_city.grant("甲")
    asked = [client.get(f"{API}/products/{AGES}/rows?limit=1") for _ in range(3)]
    assert [(one.status_code, one.headers["ratelimit-remaining"]) for one in asked] == [
        (200, "2"),
        (200, "1"),
        (200, "0"),
    ]
    roads = [f"{API}/products", "/delta-sharing/shares", f"/datasets/{AGES}/download/csv", "/verify/licence/1"]
    refused = [client.get(road) for road in roads]
    page = client.get(f"/datasets/{AGES}/preview", headers={"Accept": "text/html"})
    for answer in (*refused, page):
        assert answer.status_code == 429 and 1 <= int(answer.headers["retry-after"]) <= 20
        assert answer.headers["ratelimit-reset"] == answer.headers["retry-after"]
        hours = [moment + timedelta(hours=8, seconds=later) for later in (0, 25)]
        assert any(f"{hour:%Y-%m-%dT%H:}" in answer.text for hour in hours), "the moment it opens"
    assert refused[0].headers["content-type"] == "application/problem+json" and refused[0].json()["rule"] == "too_many"
    assert [one.json()["errorCode"] for one in refused[1:]] == ["RESOURCE_EXHAUSTED"] * 3
    assert "<h1>" in page.text and "请求太频繁" in page.text
    rows = audit.recent(own_city.register, 2)
    told = [(row["outcome"], row["body"].get("reason"), row["body"].get("tries")) for row in rows]
    assert told == [("denied", "too_many", 1), ("allowed", None, None)], "the others are told together, later"
    assert client.get(ROWS, headers=bearer(token)).status_code == 200, "others go on"
    assert client.get("/datasets").status_code == 200


def test_who_is_counted_together(own_city: City) -> None:
    """An organisation's recipients; an application by itself; a bad, revoked or suspended token by its address."""
    narrow = "perMinute: 2, rowsPerDay: 1000, bytesPerDay: 1000000"
    client = limited(own_city, anonymous=narrow, organisation=narrow, application=narrow)
    one, same, other = own_city.recipient("甲"), own_city.recipient("乙"), own_city.recipient("丙", "cab")
    register = own_city.register
    administration.create_application(register, own_city.contracts, "系统", "psb", actor=ADMINISTRATOR)
    system = administration.issue_token(register, "甲", application_name="系统", actor=ADMINISTRATOR)

    def status(token: str) -> int:
        return client.get(f"{API}/products", headers=bearer(token)).status_code

    assert [status(one), status(same), status(one), status(same)] == [200, 200, 429, 429]
    assert [status(other), status(system.token), status(system.token), status(system.token)] == [200, 200, 200, 429]
    administration.revoke_token(register, system.id, actor=ADMINISTRATOR)
    assert [status(system.token), status("cl_wrong"), status(other)] == [401, 401, 200]
    assert [status(system.token), status("cl_wrong")] == [429, 429], "nobody spends what is another's"


def test_when_the_day_is_spent_no_road_gives_data(
    own_city: City, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = limited(own_city, organisation="perMinute: 1000, rowsPerDay: 100, bytesPerDay: 100000000")
    token, other = own_city.recipient("甲"), own_city.recipient("乙", "cab")
    own_city.grant("甲"), own_city.grant("乙")
    shown = bearer(token)
    lines = client.post(f"{TABLE}/query", headers=shown, json={}).text.splitlines()
    signed = json.loads(lines[-1])["file"]["url"]
    assert quota(client, token)["rows"] == {"per_day": 100, "used": 0, "left": 100}
    for used in (40, 80, 120):
        assert client.get(ROWS, headers=shown).status_code == 200
        assert quota(client, token)["rows"] == {"per_day": 100, "used": used, "left": max(0, 100 - used)}
    assert client.get(f"{ROWS}?limit=1", headers={**shown, "If-None-Match": "*"}).status_code == 429
    data = {
        "rows": lambda: client.get(ROWS, headers=shown),
        "download": lambda: client.get(f"/datasets/{PERSONS}/download/csv", headers=shown),
        "open download": lambda: client.get(f"/datasets/{AGES}/download/csv", headers=shown),
        "preview": lambda: client.get(f"/datasets/{PERSONS}/preview", headers=shown),
        "query": lambda: client.post(f"{TABLE}/query", headers=shown, json={}),
        "changes": lambda: client.get(f"{TABLE}/changes?startingVersion=0", headers=shown),
        "signed": lambda: client.get(signed),
        "marts": lambda: client.get("/marts/marts.duckdb", headers=shown),
    }
    midnight = datetime.combine(moment + timedelta(hours=32), datetime.min.time())
    for name, ask in data.items():
        answer = ask()
        assert answer.status_code == 429, name
        assert f"{midnight:%Y-%m-%d}T00:00" in answer.text, "opens at midnight"
        assert 0 < int(answer.headers["retry-after"]) <= 86_401
        row = audit.recent(own_city.register, 1)[0]
        assert (row["outcome"], row["body"]["reason"], row["recipient"]) == ("denied", "quota_spent", "甲"), name
    about = [f"{TABLE}/metadata", f"{API}/products/{PERSONS}", f"{API}/quota", "/delta-sharing/shares", "/access"]
    assert {client.get(road, headers=shown).status_code for road in about} == {200}
    assert client.get(ROWS, headers=bearer(other)).status_code == 200, "another organisation's day is its own"
    client.app.state.desk.quotas.write_all()  # type: ignore[attr-defined]
    assert own_city.client().get(ROWS, headers=shown).status_code == 429, "also when it is started again"
    tomorrow = moment + timedelta(days=1)
    monkeypatch.setattr("catalog.metering.now", lambda: tomorrow)
    assert client.get(ROWS, headers=shown).status_code == 200


def test_bytes_are_those_that_were_sent(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    shown, sent = bearer(token), 0

    def ask(path: str, **headers: str) -> None:
        nonlocal sent
        answer = client.get(path, headers={**shown, **headers})
        sent += len(answer.content) if answer.status_code < 300 else 0
        assert quota(client, token)["bytes"]["used"] == sent, path

    lines = client.post(f"{TABLE}/query", headers=shown, json={})
    sent += len(lines.content)
    signed = json.loads(lines.text.splitlines()[-1])["file"]["url"]
    ask(f"/datasets/{PERSONS}/download/csv")
    ask(f"/datasets/{PERSONS}/download/xlsx")
    ask(f"/datasets/{PERSONS}/download/csv", Range="bytes=0-99")
    ask(signed)
    ask(signed, Range="bytes=10-19")
    ask(ROWS)
    ask(f"{ROWS}?format=csv&limit=7")
    ask(f"{ROWS}?nothing=eq.1")
    rows = quota(client, token)["rows"]["used"]
    client.head(f"/datasets/{PERSONS}/download/csv", headers=shown)
    client.head(f"{ROWS}?limit=1000", headers=shown)
    left = quota(client, token)
    assert (left["bytes"]["used"], left["rows"]["used"]) == (sent, rows), "a look costs nothing"


@pytest.mark.parametrize("road", ["download", "signed"])
def test_of_a_part_of_a_file_its_share_of_the_rows_counts(own_city: City, road: str) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    shown, path = bearer(token), f"/datasets/{PERSONS}/download/csv"
    if road == "signed":
        lines = client.post(f"{TABLE}/query", headers=shown, json={}).text.splitlines()
        path = json.loads(lines[-1])["file"]["url"]
    size, used = int(client.head(path, headers=shown).headers["content-length"]), 0
    for asked, sent in (("bytes=0-", size), (f"bytes=0-{size // 2}", size // 2 + 1), ("bytes=0-0", 1)):
        answer = client.get(path, headers={**shown, "Range": asked})
        assert (answer.status_code, len(answer.content)) == (206, sent)
        used += -(-40 * sent // size)
        assert quota(client, token)["rows"]["used"] == used, asked
    stale = client.get(path, headers={**shown, "Range": "bytes=0-0", "If-Range": '"other"'})
    assert stale.status_code == 200 and quota(client, token)["rows"]["used"] == used + 40


def test_an_answer_counts_from_its_beginning(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else any number of downloads could begin before the first has ended."""
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    found, reserve = list[Used](), Metering._reserve

    def reserved(self: Metering, meter: Any, length: int) -> None:
        reserve(self, meter, length)
        found.append(self._desk.quotas.used(meter.standing.who, meter.day))

    monkeypatch.setattr(Metering, "_reserve", reserved)
    answer = client.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(token))
    assert found == [Used(40, len(answer.content))] and quota(client, token)["rows"]["used"] == 40


def test_the_command_and_the_page_show_what_is_used(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    client.get(ROWS, headers=bearer(token))
    client.get(f"/datasets/{AGES}/download/csv")
    client.app.state.desk.quotas.write_all()  # type: ignore[attr-defined]
    page = client.get("/access?lang=en", headers=bearer(token)).text
    assert "Used today" in page and '<td class="number">40</td>' in page
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(own_city.settings.project))
    said = [json.loads(line) for line in CliRunner().invoke(commands, ["access", "quota"]).output.splitlines()]
    found = {line["caller"]: line for line in said}
    assert found["organisation"]["name"] == "psb" and found["organisation"]["rows"]["used"] == 40
    assert found["anonymous"]["rows"]["used"] == 96
    names = [row["name"] for row in own_city.register.rows(sa.select(usage))]
    assert "testclient" not in str(names), "addresses are kept as keyed hashes"
    assert CliRunner().invoke(commands, ["access", "quota", "--day", "2020-01-01"]).output == ""


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1), st.integers(0, 1), st.integers(0, 20_000), st.integers(0, 20_000_000), st.floats(0, 60)
        ),
        min_size=1,
        max_size=15,
    )
)
def test_nothing_is_lost_between_processes(city: City, given_: list[tuple[int, int, int, int, float]]) -> None:
    """Two services over one register: together they count all that either gave, exactly once it was written, and at no
    time does one of them know less than it gave itself and the register was told."""
    clock = Clock()
    with city.register.begin() as connection:
        connection.execute(sa.delete(usage))
    both = [Quotas(city.register, lambda: b"k", clock) for _ in range(2)]
    callers, total = [Who("organisation", "psb"), Who("application", "系统")], {0: Used(), 1: Used()}
    for service, caller, rows, size, later in given_:
        clock.at += later
        who, mine = callers[caller], both[service]
        if mine.spend(who, DAY, rows, size):
            mine.write(who, DAY)
        total[caller] = Used(total[caller].rows + rows, total[caller].bytes + size)
        clock.at += quotas.LOOK_SECONDS
        unknown = both[1 - service]._accounts.get((DAY, who))
        waiting = Used() if unknown is None else Used(unknown.rows, unknown.bytes)
        assert waiting.rows < quotas.WRITE_ROWS and waiting.bytes < quotas.WRITE_BYTES
        assert mine.used(who, DAY) == Used(total[caller].rows - waiting.rows, total[caller].bytes - waiting.bytes)
    for mine in both:
        mine.write_all()
    told = quotas.of_day(city.register, DAY)
    assert [told.get(who, Used()) for who in callers] == [total[0], total[1]]


def test_what_cannot_be_written_is_kept(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, who = Clock(), Who("organisation", "umb")
    mine, day = Quotas(city.register, lambda: b"k", clock), date(2026, 12, 1)
    assert mine.spend(who, day, 5, 7)
    with monkeypatch.context() as patch:
        patch.setattr(quotas, "_add", lambda *_: (_ for _ in ()).throw(sa.exc.OperationalError("", {}, Exception())))
        mine.write(who, day)
    assert mine.used(who, day) == Used(5, 7) and quotas.of_day(city.register, day) == {}
    mine.write(who, day)
    mine.write(who, day)
    assert quotas.of_day(city.register, day) == {who: Used(5, 7)} and mine.used(who, day) == Used(5, 7)


def test_what_is_left_of_yesterday_is_written(city: City) -> None:
    mine, yesterday, day = Quotas(city.register, lambda: b"k"), date(2026, 12, 5), date(2026, 12, 6)
    one, other = Who("organisation", "hc"), Who("organisation", "ctb")
    mine.spend(one, yesterday, 9_000, 9)
    mine.spend(other, day, 1, 1)
    mine.write(other, day)
    assert quotas.of_day(city.register, yesterday) == {one: Used(9_000, 9)} and len(mine._accounts) == 1


def test_a_look_during_a_writing_forgets_nothing(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, who, day = Clock(), Who("organisation", "sto"), date(2026, 12, 7)
    mine = Quotas(city.register, lambda: b"k", clock)
    look = mine._written

    def late(*about: Any) -> Used:
        before = look(*about)
        mine.spend(who, day, 5_000_000, 3)
        mine.write(who, day)
        return before

    monkeypatch.setattr(mine, "_written", late)
    assert mine.used(who, day) == Used(5_000_000, 3)
    monkeypatch.setattr(mine, "_written", look)
    assert mine.used(who, day) == Used(5_000_000, 3)


def test_old_days_are_forgotten(city: City) -> None:
    mine, who = Quotas(city.register, lambda: b"k"), Who("organisation", "eeb")
    old, kept, new = date(2025, 1, 1), date(2025, 1, 2), date(2025, 1, 2) + timedelta(days=quotas.KEPT_DAYS)
    for day in (old, kept, new):
        mine.spend(who, day, 1, 1)
        mine.write(who, day)
    days = [row["day"] for row in city.register.rows(sa.select(usage).where(usage.c.name == "eeb"))]
    assert days == [kept.isoformat(), new.isoformat()] and {day for day, _ in mine._accounts} == {new}


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_who_has_a_network_of_ipv6_has_one_measure(address: ipaddress.IPv6Address, host: int) -> None:
    if address.ipv4_mapped is not None:
        assert quotas.network(str(address)) == str(address.ipv4_mapped)
        return
    neighbour = ipaddress.IPv6Address(int(address) >> 64 << 64 | host)
    if neighbour.ipv4_mapped is None:
        assert quotas.network(str(neighbour)) == quotas.network(str(address))


@given(st.ip_addresses(), st.dates(), st.dates())
def test_an_address_is_kept_as_a_name_of_one_day(address: object, one: date, other: date) -> None:
    mine = Quotas(None, lambda: b"k")  # type: ignore[arg-type]
    names = {mine.who(Caller(), str(address), day).name for day in (one, other)}
    assert len(names) == len({one, other}) and all(str(address) not in name for name in names)
    assert mine.who(Caller("r", problem=Reason.SUSPENDED, organisation="psb"), str(address), one).kind == "anonymous"


def test_acknowledging_without_a_token_is_counted_too(own_city: City) -> None:
    client = limited(own_city, anonymous="perMinute: 3, rowsPerDay: 1000, bytesPerDay: 1000000")
    tries = [client.post("/access/acknowledge", data={"notice": "1", "note": "x"}).status_code for _ in range(6)]
    assert tries == [401, 401, 401, 429, 429, 429]
    denied = [row for row in audit.recent(own_city.register, 20) if row["action"] == "notice.acknowledge"]
    assert len(denied) == 4, "of what is too much one row a minute"
