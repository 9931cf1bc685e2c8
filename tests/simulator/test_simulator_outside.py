"""Broker and portal behind their real protocols: nothing is lost, little comes twice, restarts do no harm."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import paho.mqtt.client as paho
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from simulator import DemoCity, DirtRates, air, air_feed
from simulator.broker import IN_FLIGHT
from simulator.daemons import Daemon
from simulator.outbox import Key, Outbox, receipt
from simulator.outside import Outside
from simulator.server import ServerError
from tests.simulator.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

SEED, PERSONS = 7, 2_000
TOPIC, PLATFORM = "luan/air/+/hour", "citylake-eeb-air"
FIRST_DAY = date(2026, 1, 1)
CSV = "dataset/macro/observations.csv"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    found = Outside(tmp_path, SEED, PERSONS, DirtRates())
    found.start()
    yield found
    found.stop()


class Subscriber:
    """A client with a session of its own that acknowledges as many messages as it is allowed to, as they come."""

    def __init__(
        self,
        address: str,
        client: str = PLATFORM,
        clean: bool = False,
        password: str | None = None,
        acknowledging: float = float("inf"),
    ) -> None:
        parts = urlsplit(address)
        self.messages: list[paho.MQTTMessage] = []
        self.refused = threading.Event()
        self._own: object = None
        self._arrived = threading.Event()
        self._acknowledging = acknowledging
        self._deciding = threading.Lock()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client, clean_session=clean, manual_ack=True)
        self._client.username_pw_set(parts.username, password or parts.password)
        self._client.on_connect = self._connected
        self._client.on_message = self._keep
        self._client.connect(str(parts.hostname), int(parts.port or 0))
        self._client.loop_start()

    def drain(self, quiet: float = 0.6, wanted: int = 0) -> list[tuple[str, str]]:
        """What has come once nothing more comes; a machine with other work to do is waited for until `wanted` did."""
        while self._arrived.wait(quiet if len(self.messages) >= wanted else 60):
            self._arrived.clear()
        return [(message.topic, message.payload.decode()) for message in self.messages]

    def catch_up(self) -> None:
        """Acknowledge what was not, and from now on everything."""
        with self._deciding:  # messages come meanwhile: each is acknowledged here or when it comes
            for message in self.messages[int(self._acknowledging) :]:
                self._client.ack(message.mid, message.qos)
            self._acknowledging = float("inf")

    def leave(self) -> None:
        """Say goodbye and return when the broker has read it, and so every acknowledgement before it: whoever comes
        again earlier takes the connection over, and what was still unread on the old one comes again."""
        self._client.disconnect()
        self._client.loop_stop()
        wait_until(lambda: not is_open(self._own))

    def _connected(self, client: paho.Client, _u: object, _f: object, reason: paho.ReasonCode, _p: object) -> None:
        connection = client.socket()
        assert connection is not None
        self._own = connection.getsockname()
        if reason.is_failure:
            self.refused.set()
        else:
            client.subscribe(TOPIC, 1)

    def _keep(self, client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
        with self._deciding:
            self.messages.append(message)
            if len(self.messages) <= self._acknowledging:
                client.ack(message.mid, message.qos)
        self._arrived.set()


def is_open(address: object) -> bool:
    """Whether the other end of a connection from this address has not closed it yet."""
    states = (psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT)
    return any(end.raddr == address and end.status in states for end in psutil.net_connections("tcp"))


def wait_until(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError after a minute, which no machine needs however much else it does."""
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


def collect(
    outside: Outside, client: str = PLATFORM, acknowledging: float = float("inf"), wanted: int = 0
) -> list[tuple[str, str]]:
    subscriber = Subscriber(outside.connections()["eeb_broker"], client, acknowledging=acknowledging)
    found = subscriber.drain(wanted=wanted)
    subscriber.leave()
    return found


def handed_over(until: date) -> Counter[tuple[str, str]]:
    days = [FIRST_DAY + timedelta(days=number) for number in range((until - FIRST_DAY).days + 1)]
    return Counter(message for day in days for message in air_feed.messages(SEED, DirtRates(), day))


def test_whoever_comes_first_gets_the_whole_backlog_once(outside: Outside) -> None:
    outside.hand_over(FIRST_DAY)

    wanted = handed_over(FIRST_DAY)
    assert Counter(collect(outside, wanted=wanted.total())) == wanted
    assert collect(outside) == []


def test_every_hour_of_every_station_arrives_through_restarts_and_broken_connections(outside: Outside) -> None:
    got: list[tuple[str, str]] = []
    outside.hand_over(FIRST_DAY)
    got += collect(outside, acknowledging=500, wanted=500 + IN_FLIGHT)
    outside.hand_over(FIRST_DAY + timedelta(days=1))
    outside.stop()
    outside.start()
    got += collect(outside, acknowledging=0, wanted=IN_FLIGHT)
    outside.stop()
    outside.hand_over(FIRST_DAY + timedelta(days=2))
    outside.start()
    wanted = handed_over(FIRST_DAY + timedelta(days=2))
    got += collect(outside, wanted=wanted.total() - 500)

    assert set(got) == set(wanted)
    heard = set(re.findall(r'"ts":"([^"]+)"', "".join(body for topic, body in got if "LA01" in topic)))
    hours = {f"{(datetime(2025, 12, 25) + timedelta(hours=hour)).isoformat()}+08:00" for hour in range(24 * 9)}
    wrong = {
        entry.rybh[5:]
        for number in range(3)
        for entry in air_feed.planted(SEED, DirtRates(), FIRST_DAY + timedelta(days=number))
    }
    assert len(hours - heard - wrong) <= 3  # late ones of the last day
    assert collect(outside) == []


def test_what_was_not_acknowledged_comes_again_marked_as_such(outside: Outside) -> None:
    outside.hand_over(FIRST_DAY)
    wanted = handed_over(FIRST_DAY)
    begun = collect(outside, acknowledging=1_000, wanted=1_000 + IN_FLIGHT)
    subscriber = Subscriber(outside.connections()["eeb_broker"])
    rest = subscriber.drain(wanted=wanted.total() - 1_000)
    subscriber.leave()

    assert len(begun) == 1_000 + IN_FLIGHT
    assert rest[:IN_FLIGHT] == begun[1_000:]
    assert [message.dup for message in subscriber.messages] == [True] * IN_FLIGHT + [False] * (len(rest) - IN_FLIGHT)
    assert Counter(begun[:1_000] + rest) == wanted


def test_a_slow_acknowledgement_is_one(outside: Outside) -> None:
    """Platforms acknowledge what they have written to the disk; the library alone waits for five seconds only."""
    outside.hand_over(FIRST_DAY)
    total = handed_over(FIRST_DAY).total()
    subscriber = Subscriber(outside.connections()["eeb_broker"], acknowledging=0)
    assert len(subscriber.drain(quiet=6.0, wanted=IN_FLIGHT)) == IN_FLIGHT
    subscriber.catch_up()
    subscriber.drain(wanted=total)
    subscriber.leave()

    assert not any(message.dup for message in subscriber.messages)
    assert len(subscriber.messages) == total
    assert collect(outside) == []


def test_messages_of_a_new_day_come_over_an_open_connection(outside: Outside) -> None:
    outside.hand_over(FIRST_DAY)
    subscriber = Subscriber(outside.connections()["eeb_broker"])
    before = len(subscriber.drain(wanted=handed_over(FIRST_DAY).total()))
    outside.hand_over(FIRST_DAY + timedelta(days=1))
    after = subscriber.drain(wanted=handed_over(FIRST_DAY + timedelta(days=1)).total())
    subscriber.leave()

    assert Counter(after[before:]) == Counter(air_feed.messages(SEED, DirtRates(), FIRST_DAY + timedelta(days=1)))


def test_every_persistent_session_is_served_for_itself_and_passing_ones_are_not(outside: Outside) -> None:
    outside.hand_over(FIRST_DAY)
    wanted = handed_over(FIRST_DAY)
    collect(outside, wanted=wanted.total())
    passing = Subscriber(outside.connections()["eeb_broker"], "passing", clean=True)

    assert Counter(collect(outside, "another platform/2", wanted=wanted.total())) == wanted
    assert passing.drain() == []
    passing.leave()


def test_a_wrong_password_is_refused(outside: Outside) -> None:
    outside.hand_over(FIRST_DAY)
    intruder = Subscriber(outside.connections()["eeb_broker"], "intruder", password="guessed")

    assert intruder.refused.wait(60)
    assert intruder.drain() == []
    intruder.leave()


def test_a_killed_daemon_starts_again_on_its_port_and_remembers(outside: Outside, tmp_path: Path) -> None:
    outside.hand_over(FIRST_DAY)
    total = handed_over(FIRST_DAY).total()
    collect(outside, acknowledging=700, wanted=700 + IN_FLIGHT)
    addresses = outside.connections()
    for name in ("broker", "portal"):
        os.kill(int((tmp_path / f"{name}.pid").read_text()), signal.SIGKILL)
        while Daemon(tmp_path, name).is_running():
            time.sleep(0.01)
    outside.start()

    assert outside.connections() == addresses
    assert len(collect(outside, wanted=total - 700)) == total - 700


def test_a_daemon_started_twice_is_one_and_secrets_are_private(outside: Outside, tmp_path: Path) -> None:
    broker = Daemon(tmp_path, "broker")

    assert not broker.start()
    assert (tmp_path / "broker.json").stat().st_mode & 0o777 == 0o600
    broker.stop()
    broker.stop()
    assert not broker.is_running()


def test_a_connected_client_does_not_keep_the_broker_from_stopping(outside: Outside, tmp_path: Path) -> None:
    outside.hand_over(FIRST_DAY)
    subscriber = Subscriber(outside.connections()["eeb_broker"], acknowledging=10)
    subscriber.drain(wanted=10 + IN_FLIGHT)
    outside.stop()  # it says so when one of them does not end

    assert not Daemon(tmp_path, "broker").is_running()
    subscriber.leave()


def test_a_daemon_that_cannot_serve_says_why(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text('{"port": 0}')

    with pytest.raises(ServerError, match="KeyError: 'password'"):
        Daemon(tmp_path, "broker").start()
    assert not Daemon(tmp_path, "broker").is_running()


def test_receipts_cut_off_by_a_kill_do_not_count(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(FIRST_DAY, [("a/b", "1"), ("a/b", "2")])
    with outbox.receipts("c") as receipts:
        receipts.write(receipt(Key("2026-01-01", 0)) + "2026-01-01 1")

    assert outbox.acknowledged("c") == {Key("2026-01-01", 0)}
    assert [message.payload for message in outbox.messages("2026-01-01")] == [b"1", b"2"]


def test_a_day_is_handed_over_once_and_missed_days_are_made_up_for(tmp_path: Path) -> None:
    outside = Outside(tmp_path, SEED, PERSONS, DirtRates())
    outside.hand_over(FIRST_DAY)
    first = (tmp_path / "air" / "2026-01-01.jsonl").read_bytes()
    outside.hand_over(FIRST_DAY + timedelta(days=3))

    assert sorted(file.stem for file in (tmp_path / "air").glob("*.jsonl")) == [
        f"2026-01-0{day}" for day in range(1, 5)
    ]
    assert (tmp_path / "air" / "2026-01-01.jsonl").read_bytes() == first


def test_the_portal_answers_conditionally(outside: Outside) -> None:
    outside.hand_over(FIRST_DAY)
    with httpx.Client(base_url=outside.connections()["sb_portal"], trust_env=False) as client:
        answer = client.get(CSV)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.text.startswith("indicator,area,period,value,revision,published_at,note,yoy,ytd\n")
        tag, modified = answer.headers["ETag"], answer.headers["Last-Modified"]
        assert re.fullmatch('"[0-9a-f]{32}"', tag)
        assert parsedate_to_datetime(modified).date() <= FIRST_DAY

        assert client.get(CSV, headers={"If-None-Match": tag}).status_code == 304
        assert client.get(CSV, headers={"If-None-Match": f'"other", W/{tag}'}).status_code == 304
        assert client.get(CSV, headers={"If-Modified-Since": modified}).status_code == 304
        # A tag decides alone.
        assert client.get(CSV, headers={"If-None-Match": '"other"', "If-Modified-Since": modified}).status_code == 200
        assert client.get(CSV, headers={"If-Modified-Since": "nonsense"}).status_code == 200
        head = client.head(CSV)
        assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", tag)
        assert client.get("dataset/macro/other.csv").status_code == 404
        assert client.get("..%2f..%2fbroker.json").status_code == 404


def test_new_figures_change_tag_and_date(outside: Outside) -> None:
    outside.hand_over(FIRST_DAY)
    with httpx.Client(base_url=outside.connections()["sb_portal"], trust_env=False) as client:
        before = client.get(CSV)
        outside.hand_over(date(2026, 1, 9))
        after = client.get(CSV, headers={"If-None-Match": before.headers["ETag"]})

    assert after.status_code == 200 and after.text.startswith(before.text)
    assert "cpi,341500,2025-12" in after.text and "cpi,341500,2025-12" not in before.text
    assert parsedate_to_datetime(after.headers["Last-Modified"]) > parsedate_to_datetime(
        before.headers["Last-Modified"]
    )


def test_the_portal_fails_and_dawdles_on_demand(outside: Outside, tmp_path: Path) -> None:
    outside.hand_over(FIRST_DAY)
    faults = tmp_path / "portal.faults.json"
    with httpx.Client(base_url=outside.connections()["sb_portal"], trust_env=False) as client:
        faults.write_text(json.dumps({"status": 503}))
        assert client.get(CSV).status_code == 503
        faults.write_text(json.dumps({"delay": 0.4}))
        begin = time.monotonic()
        assert client.get(CSV).status_code == 200
        assert time.monotonic() - begin > 0.4
        faults.unlink()
        assert client.get(CSV).status_code == 200


def test_the_city_starts_stops_and_feeds_both(town: Town) -> None:
    city: DemoCity = town.city
    addresses = city.connections()
    city.stop()
    with pytest.raises(OSError):
        Subscriber(addresses["eeb_broker"])
    city.start()

    assert city.connections() == addresses
    outside = Outside(city.home, city.seed, city.persons, city.dirt)
    wanted = (7 + 1 + len(town.daily)) * 24 * len(air.stations()) - 30
    messages = collect(outside, "first visitor", wanted=wanted)
    assert len({(topic, body) for topic, body in messages}) >= wanted
    assert {"luan/air/+/hour", CSV} <= {entry.dataset for entry in city.planted()}


@pytest.mark.long
def test_the_same_seed_gives_the_same_tables_messages_and_figures(town: Town, tmp_path: Path) -> None:
    other = Town(tmp_path / "city")
    other.city.stop()

    assert other.first == town.first and other.daily == town.daily
    assert other.planted == town.planted
    for pattern in ("air/*.jsonl", f"portal/{CSV}"):
        mine = {file.name: file.read_bytes() for file in town.city.home.glob(pattern)}
        assert mine and mine == {file.name: file.read_bytes() for file in other.city.home.glob(pattern)}
