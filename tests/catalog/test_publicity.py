"""Rows whose last day is over are given out by no road, though no run came to release the product again.

Two clocks are set here: that of the desk, and that of the days of publicity; signed addresses keep the real one.
"""

import io
import json
import os
import random
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from catalog.delivery.formats import FORMATS
from catalog.policy.decision import MARTS
from pipelines.register.store import now
from simulator.server import Server
from tests.catalog.conftest import released_city
from tests.catalog.reading import downloaded
from tests.catalog.receiving import LISTS, Bureau, Bureaus, postgres_receiver
from tests.catalog.small_city import City, bearer
from tests.city import seed_from_clock

OPEN, SHARED, ANALYSTS = "open/credit_list_of_legal_persons", LISTS, "analyst/credit_list"
SHARING = "/delta-sharing/shares/{}/schemas/credit/tables/{}"
DAYS = 4
MOMENT = timedelta(microseconds=1)
NAME = re.compile(r"MD[0-9]{5}")
API_FORMATS = ("json", "csv", "ndjson", "parquet")

Entries = dict[str, date | None]
"""Entries in lists by number, with their last day."""


class Clock:
    """What every reader of the time is told."""

    def __init__(self) -> None:
        self.at = now()

    def midnight(self, city: City, day: date) -> None:
        """The first moment of a day in the city."""
        zone = ZoneInfo(city.contracts.city.timezone)
        self.at = datetime.combine(day, time(), zone).astimezone(UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for place in ("catalog.delivery.desk.now", "pipelines.release.publicity.now"):
        monkeypatch.setattr(place, lambda: made.at)
    return made


@pytest.fixture
def start(own_city: City) -> date:
    return now().astimezone(ZoneInfo(own_city.contracts.city.timezone)).date()


def drawn(start: date, dice: random.Random) -> Entries:
    """Entries of every last day from `start` on, and some without an end."""
    days = [*(start + timedelta(days=number) for number in range(DAYS)), None]
    rest = [dice.choice(days) for _ in range(dice.randrange(10, 60))]
    numbers = dice.sample(range(100_000), len(days) + len(rest))
    return {f"MD{number:05}": day for number, day in zip(numbers, [*days, *rest], strict=True)}


def listed(entries: Entries) -> str:
    """The rows of a product of lists."""
    days = {name: "null" if until is None else f"date '{until}'" for name, until in sorted(entries.items())}
    rows = ", ".join(f"('{name}', cast({day} as date))" for name, day in days.items())
    return (
        "select n as list_record_no, '3' as list_type, '91341502MA2N00000X' as uscc, '皖西公司' as entity_name, "
        "'条例' as list_basis, '未公示年报' as list_reason, date '2025-12-30' as listed_on, u as public_until, "
        f"'市场监管局' as authority_name, '11341502MB1N00000X' as authority_uscc from (values {rows}) as t(n, u)"
    )


def publish(city: City, entries: Entries) -> None:
    for product in (OPEN, SHARED, ANALYSTS):
        city.release(product, query=listed(entries))
    city.refresh_marts()


def due(entries: Entries, day: date) -> set[str]:
    """The entries that may be shown on a day."""
    return {name for name, until in entries.items() if until is None or until >= day}


def named(content: bytes, kind: str) -> set[str]:
    """The entries in an answer, whatever its format."""
    if kind == "parquet":
        return {*pq.read_table(io.BytesIO(content)).column("list_record_no").to_pylist()}
    if kind == "xlsx":
        columns, rows = downloaded(content, kind)
        return {str(row[columns.index("list_record_no")]) for row in rows}
    return set(NAME.findall(content.decode()))


def of_product(client: TestClient, product: str, token: str) -> Iterator[tuple[str, set[str]]]:
    """What every road but the analysts' database gives out of a product."""
    channel, name = product.split("/")
    shown, page = bearer(token), f"/datasets/{product}"
    for kind in FORMATS:
        answer = client.get(f"{page}/download/{kind}", headers=shown)
        assert answer.status_code == 200, (kind, answer.text)
        yield f"download {kind}", named(answer.content, kind)
    for kind in API_FORMATS:
        answer = client.get(f"/api/v1/products/{product}/rows?format={kind}&limit=1000", headers=shown)
        assert answer.status_code == 200, (kind, answer.text)
        yield f"rows {kind}", named(answer.content, kind)
    answer = client.post(SHARING.format(channel, name) + "/query", headers=shown, json={})
    files = [json.loads(line)["file"]["url"] for line in answer.text.splitlines()[2:]]
    yield "sharing", {name for url in files for name in named(client.get(url).content, "parquet")}


@pytest.mark.long
@pytest.mark.parametrize("product", [OPEN, SHARED])
def test_every_road_drops_a_row_at_the_midnight_after_its_last_day(
    own_city: City, clock: Clock, start: date, product: str
) -> None:
    print(f"seed {(seed := seed_from_clock())}")
    dice = random.Random(seed)
    entries = drawn(start, dice)
    publish(own_city, entries)
    token, client = own_city.recipient("信用查询"), own_city.client()
    previewed = 0
    for number in range(1, DAYS + 1):
        midnight = start + timedelta(days=number)
        for moment, day in ((-MOMENT, midnight - timedelta(days=1)), (timedelta(), midnight)):
            clock.midnight(own_city, midnight)
            clock.at += moment
            for road, found in of_product(client, product, token):
                assert found == due(entries, day), (road, clock.at)
            preview = named(client.get(f"/datasets/{product}/preview", headers=bearer(token)).content, "html")
            assert preview <= due(entries, day), clock.at
            previewed += len(preview)
            for name in dice.sample(sorted(entries), 5):
                one = client.get(f"/api/v1/products/{product}/rows?list_record_no=eq.{name}", headers=bearer(token))
                assert named(one.content, "json") == {name} & due(entries, day), clock.at
    assert previewed


def test_addresses_and_cursors_from_before_midnight_give_nothing_that_is_over(
    own_city: City, clock: Clock, start: date
) -> None:
    print(f"seed {(seed := seed_from_clock())}")
    entries = drawn(start, random.Random(seed))
    publish(own_city, entries)
    client, table = own_city.client(), SHARING.format(*OPEN.split("/"))
    clock.midnight(own_city, start + timedelta(days=1))
    clock.at -= MOMENT
    lines = [json.loads(line) for line in client.post(f"{table}/query", json={}).text.splitlines()]
    files = [line["file"]["url"] for line in lines[2:]]
    assert {name for url in files for name in named(client.get(url).content, "parquet")} == entries.keys()
    released = client.get(f"/datasets/{OPEN}/download/csv")
    first = client.get(f"/api/v1/products/{OPEN}/rows?limit=2")
    clock.at += MOMENT
    for url in files:
        assert client.get(url).status_code == 403, url
    again = client.get(f"/datasets/{OPEN}/download/csv", headers={"If-None-Match": released.headers["etag"]})
    assert (again.status_code, named(again.content, "csv")) == (200, due(entries, start + timedelta(days=1)))
    onward = client.get(first.links["next"]["url"])
    assert onward.status_code == 400 and not named(onward.content, "json")
    after = [json.loads(line) for line in client.post(f"{table}/query", json={}).text.splitlines()]
    assert after[1]["metaData"]["id"] == lines[1]["metaData"]["id"], "it is the same table for whoever follows it"
    assert client.get(after[2]["file"]["url"]).status_code == 200
    kept = {line["file"]["id"] for line in lines[2:]} & {line["file"]["id"] for line in after[2:]}
    assert not kept, "clients keep files by their identifiers"


def test_a_day_on_which_nothing_ends_needs_no_other_files(own_city: City, clock: Clock, start: date) -> None:
    publish(own_city, {"MD00001": None, "MD00002": start + timedelta(days=3)})
    client, keys = own_city.client(), set()
    for number in range(4):
        clock.midnight(own_city, start + timedelta(days=number))
        keys.add(client.get(f"/datasets/{OPEN}/download/csv").headers["etag"])
    assert len(keys) == 1, "the file made at release"


def test_views_of_days_that_are_over_do_not_pile_up(own_city: City, clock: Clock, start: date) -> None:
    publish(own_city, {f"MD0000{number}": start + timedelta(days=number) for number in range(5)})
    client, views = own_city.client(), own_city.settings.home
    for number in range(1, 4):
        clock.midnight(own_city, start + timedelta(days=number))
        assert client.get(f"/datasets/{OPEN}/download/csv").status_code == 200
        folders = {one for one in views.rglob("*~2*") if one.is_dir()}
        days = {re.findall("~([0-9]{8})", one.name)[0] for one in folders}
        assert days == {f"{start + timedelta(days=number - 1):%Y%m%d}"}
        for one in folders:
            os.utime(one, (one.stat().st_mtime - 2 * 86_400,) * 2)


def test_an_earlier_version_does_not_tell_what_was_repaired_since(own_city: City, start: date) -> None:
    later = start + timedelta(days=300)
    publish(own_city, {"MD00001": later, "MD00002": None})
    client, table = own_city.client(), SHARING.format(*OPEN.split("/"))
    files = [json.loads(line)["file"]["url"] for line in client.post(f"{table}/query").text.splitlines()[2:]]
    publish(own_city, {"MD00002": None})  # the first was repaired
    assert [client.get(url).status_code for url in files] == [403] * len(files)
    assert client.post(f"{table}/query", json={"version": 0}).status_code == 404
    changes = client.get(f"{table}/changes", params={"startingVersion": 1})
    assert changes.status_code == 400 and "重新读取整张表" in changes.json()["message"]
    told = client.get(f"/api/v1/products/{OPEN}").json()
    assert [one["version"] for one in told["versions"]] == [1]


def test_a_release_that_cannot_say_until_when_is_closed(own_city: City, start: date) -> None:
    query = f"select * exclude (public_until) from ({listed({'MD00001': start})})"
    columns = {name: [name, None] for name in ("list_record_no", "uscc")}
    own_city.release(SHARED, query=query, columns=columns)
    token, client = own_city.recipient("信用查询"), own_city.client()
    assert client.get(f"/datasets/{SHARED}/preview", headers=bearer(token)).status_code == 403


def test_analysts_get_no_database_with_a_row_that_is_over(own_city: City, clock: Clock, start: date) -> None:
    entries = drawn(start, random.Random(seed_from_clock()))
    publish(own_city, entries)
    token, client = own_city.recipient("分析组"), own_city.client()
    own_city.grant("分析组", MARTS)
    clock.at = now()  # the grant begins when it is given
    assert client.get("/marts/marts.duckdb", headers=bearer(token)).status_code == 200
    clock.midnight(own_city, start + timedelta(days=1))
    refused = client.get("/marts/marts.duckdb", headers=bearer(token))
    assert refused.status_code == 503 and not NAME.search(refused.text)
    own_city.refresh_marts()
    answer = client.get("/marts/marts.duckdb", headers=bearer(token))
    assert answer.status_code == 200
    with duckdb.connect(str(own_city.settings.marts), read_only=True) as con:
        rows = con.execute("SELECT list_record_no FROM credit.credit_list").fetchall()
    assert {name for (name,) in rows} == due(entries, start + timedelta(days=1))


@pytest.mark.server
def test_a_delivery_takes_away_what_is_over(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> None:
    server = Server(tmp_path_factory.mktemp("postgres"))
    server.start()
    try:
        city = released_city(tmp_path_factory.mktemp("city"))
        bureaus = Bureaus(city, [postgres_receiver(server, "bureau")])
        bureau = Bureau(bureaus, "postgresql")
        start = now().astimezone(ZoneInfo(city.contracts.city.timezone)).date()
        entries = drawn(start, random.Random(seed_from_clock()))
        city.release(SHARED, query=listed(entries))
        assert bureau.deliver("lists").how == "snapshot" and bureau.deliver("lists").how == "unchanged"
        clock.midnight(city, start + timedelta(days=1))
        bureau.deliver("lists")
        held = bureau.receiver.rows("t", ["list_record_no"])
        assert {name for (name,) in held} == due(entries, start + timedelta(days=1))
    finally:
        server.stop()
