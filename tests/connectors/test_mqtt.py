"""Draining two real brokers: a message is lost neither by a kill nor by a full disk, and none stops the source."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipelines.connectors import mqtt
from pipelines.connectors.base import UNREAD, WIDEST
from pipelines.messages import CitylakeError
from tests.city import seed_from_clock
from tests.connectors.brokers import HOST, PASSWORD, USER, Embedded, Mosquitto, station
from tests.connectors.conftest import OWNER, Puller

pytestmark = pytest.mark.server

TOPIC = "luan/air/1/hour"
ASKED: dict[str, Any] = {"topics": ["luan/air/+/hour"], "client_id": "citylake", "quiet": 0.3}
"""A pull with these ends soon after nothing comes: for those that find nothing, or only what lies in the spool."""


def exactly(count: int) -> dict[str, Any]:
    """The arguments of a pull that ends when this many messages are there, however long they take."""
    return ASKED | {"quiet": 60.0, "largest": count}


def drained(source: Puller, wanted: set[int], largest: int = 200_000) -> list[list[int]]:
    """The messages of pull after pull until all that are wanted have come, some perhaps twice. None of the pulls goes
    by the clock: each ends when it has as many as are missing, or when the connection does."""
    found: list[list[int]] = []
    while missing := wanted.difference(*found):
        rows = source.pull(**exactly(min(largest, len(missing))))
        assert rows is not None, f"nothing came for a minute, and {len(missing)} messages are missing"
        found.append(ids(rows))
    return found


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much else this machine has to do, a broker that works has answered within a minute."""
    monkeypatch.setattr(mqtt, "PATIENCE", 60.0)


def address(port: int, scheme: str = "mqtt") -> str:
    return f"{scheme}://{USER}:{quote(PASSWORD, safe='')}@{HOST}:{port}"


def opened(port: int) -> None:
    mqtt.subscribe(address(port), ASKED["topics"], ASKED["client_id"], "source", OWNER)


@pytest.fixture(params=["mosquitto", "amqtt"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mosquitto | Embedded]:
    broker = Mosquitto(tmp_path / "broker") if request.param == "mosquitto" else Embedded()
    yield broker
    broker.stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker")
    yield broker
    broker.stop()


@pytest.fixture
def source(puller: Callable[..., Puller], mosquitto: Mosquitto) -> Puller:
    opened(mosquitto.port)
    return puller("mqtt", address(mosquitto.port), ["id", "pm25"])


def message(number: int) -> str:
    return json.dumps({"id": str(number), "pm25": number})


def ids(rows: list[dict[str, Any]] | None) -> list[int]:
    return [int(row["id"]) for row in rows or []]


def test_what_came_while_nobody_listened(puller: Callable[..., Puller], broker: Mosquitto | Embedded) -> None:
    opened(broker.port)
    broker.keeps(ASKED["client_id"], 0)
    source = puller("mqtt", address(broker.port), ["id", "pm25"])
    with station(broker.port) as sensor:
        sensor.publish(*map(message, range(15)))
        sensor.publish("elsewhere", topic="luan/water/1")
        broker.keeps(ASKED["client_id"], 15)
    rows = source.pull(**exactly(15))
    assert rows and rows[0] == {"id": "0", "pm25": "0", "_topic": TOPIC, UNREAD: None}
    assert source.pulled and source.pulled.columns == ("id", "pm25")
    later = drained(source, set(range(15)) - {*ids(rows)})  # a message that was told twice took the place of another
    assert {*ids(rows)}.union(*later) == set(range(15))
    while source.pull(**ASKED) is not None:
        pass
    assert list((source.folder / "spool").iterdir()) == []


def test_the_first_pull_opens_the_session(puller: Callable[..., Puller], broker: Mosquitto | Embedded) -> None:
    source = puller("mqtt", address(broker.port), ["id"])
    assert source.pull(**ASKED) is None
    broker.keeps(ASKED["client_id"], 0)
    with station(broker.port) as sensor:
        sensor.publish(message(1))
        broker.keeps(ASKED["client_id"], 1)
    assert ids(source.pull(**exactly(1))) == [1]


def test_many_messages_in_several_batches(source: Puller, mosquitto: Mosquitto) -> None:
    with station(mosquitto.port) as sensor:
        sensor.publish(*map(message, range(5000)))
    batches = drained(source, set(range(5000)), largest=1000)
    assert all(len(batch) <= 1000 + mqtt.GROUP for batch in batches)
    assert sorted(number for batch in batches for number in batch) == list(range(5000))  # each once
    assert len(batches) >= 4


def test_what_was_acknowledged_does_not_come_again(source: Puller, mosquitto: Mosquitto) -> None:
    """Although the broker still sends when the connection ends, which resets it."""
    with station(mosquitto.port) as sensor:
        sensor.publish(*map(message, range(1500)))
    batches = drained(source, set(range(1500)), largest=20)
    assert sorted(number for batch in batches for number in batch) == list(range(1500))


def test_a_look_takes_nothing_from_the_session(
    source: Puller, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    with station(mosquitto.port) as sensor:
        sensor.publish(message(1))
        sensor.publish(message(2), retain=True)
    looked = replace(source.request(), most=5)
    assert mqtt.mqtt(looked, connection="source", **ASKED)
    assert ids(pl.read_parquet(looked.target).to_dicts()) == [2]  # what a broker tells to whoever begins to listen
    assert {*ids(source.pull(**exactly(2)))} == {1, 2}


def test_a_batch_that_was_not_kept_comes_again(source: Puller, mosquitto: Mosquitto) -> None:
    with station(mosquitto.port) as sensor:
        sensor.publish(message(1))
        assert ids(source.pull(keep=False, **exactly(1))) == [1]
        sensor.publish(message(2))
        kept = (ids(source.pull(keep=False, **ASKED)) for _ in range(200))  # for a minute: the spool has 1 already
        assert next(rows for rows in kept if len(rows) > 1) == [1, 2]
        assert ids(source.pull(keep=False, largest=1, **ASKED)) == [1]
        assert source.pulled and source.pulled.more
        assert ids(source.pull(**ASKED)) == [1, 2]
    assert source.pull(**ASKED) is None


@pytest.mark.parametrize(
    "payload",
    [
        "21.5",
        "null",
        '["id"]',
        "",
        "{",
        "中文",
        b"\xff\xfe",
        '{"id": "\\ud800"}',
        '{"\\udc00": 1}',
        "[" * 50_000,
        '{"a":' * 50_000,
        '{"id": ' + "9" * 5000 + "}",
        '{"_topic": "luan/air/9/hour", "id": "9"}',
        f'{{"{UNREAD}": "x"}}',
        '{"": 1}',
        "a\nb\r\u2028\0",
    ],
)
def test_a_message_that_is_no_row_comes_whole_and_stops_nothing(
    source: Puller, mosquitto: Mosquitto, payload: str | bytes
) -> None:
    with station(mosquitto.port) as sensor:
        sensor.publish(message(1), payload, message(3))
    rows = source.pull(**exactly(3))
    assert rows is not None
    assert [row["id"] for row in rows] == ["1", None, "3"]
    whole = "//4=" if isinstance(payload, bytes) else payload or None
    assert [row[UNREAD] for row in rows] == [None, whole, None]
    assert {row["_topic"] for row in rows} == {TOPIC}
    assert source.pull(**ASKED) is None


def test_values_become_text_and_new_keys_show(source: Puller, mosquitto: Mosquitto) -> None:
    odd = {"id": "1", "pm25": 12.5, "_seq": 7, "PM25": None, "at": {"lon": 116.5}, "ok": True}
    with station(mosquitto.port) as sensor:
        sensor.publish(json.dumps(odd).replace("12.5", "12345678901234567.89"), message(2))
    rows = source.pull(**exactly(2))
    assert rows is not None
    assert rows[0] == {
        "id": "1", "pm25": "12345678901234567.89", "_topic": TOPIC, "_seq": "7", "PM25": None, "at": '{"lon": 116.5}',
        "ok": "true", UNREAD: None,
    }  # fmt: skip
    assert source.pulled and set(source.pulled.columns) == {"id", "pm25", "_seq", "PM25", "at", "ok"}


def test_keys_without_end_make_no_columns(source: Puller, mosquitto: Mosquitto) -> None:
    with station(mosquitto.port) as sensor:
        sensor.publish(*(json.dumps({f"2026-11-24 {number}": 1}) for number in range(WIDEST + 50)), message(1))
    rows = source.pull(**exactly(WIDEST + 51))
    assert rows is not None
    assert len(rows[0]) == WIDEST + 4
    assert sum(row[UNREAD] is not None for row in rows) == 50
    assert rows[-1]["id"] == "1"


def test_only_what_is_on_the_disk_is_acknowledged(
    source: Puller, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: that is what is said, and the broker keeps the messages."""

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with station(mosquitto.port) as sensor:
        sensor.publish(message(1))
    with monkeypatch.context() as patch:
        patch.setattr(mqtt.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            source.pull(**exactly(1))
    assert set(ids(source.pull(**exactly(1)))) == {1}


def test_a_torn_spool_file_is_read_up_to_the_tear(source: Puller) -> None:
    spool = source.folder / "spool"
    spool.mkdir(parents=True)
    line = json.dumps({"topic": TOPIC, "payload": message(1)}) + "\n"
    (spool / "1.ndjson").write_text(line + line[:20])
    (spool / "2.ndjson").write_bytes(line.replace("1", "2").encode() + b"\0\0\n" + line.encode())
    (spool / "3.ndjson").touch()
    rows = source.pull(**ASKED)
    assert [row["pm25"] for row in rows or []] == ["1", "2"]


def test_a_restarted_broker_has_kept_everything(source: Puller, mosquitto: Mosquitto) -> None:
    with station(mosquitto.port) as sensor:
        sensor.publish(message(1))
    mosquitto.stop()
    with pytest.raises(CitylakeError) as caught:
        source.pull(**ASKED)
    assert caught.value.code == "pull.unreachable"
    mosquitto.start()
    assert ids(source.pull(**exactly(1))) == [1]


def test_a_broker_that_dies_meanwhile_loses_nothing(
    source: Puller, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    with station(mosquitto.port) as sensor:
        sensor.publish(*map(message, range(2000)))
    real, groups = mqtt._write, 0

    def write(spool: Path, group: list[Any]) -> None:
        nonlocal groups
        groups += 1
        real(spool, group)
        if groups == 2:
            mosquitto.stop()

    monkeypatch.setattr(mqtt, "_write", write)
    first = ids(source.pull(**exactly(2000)))
    assert source.pulled and source.pulled.more
    assert 0 < len(first) < 2000
    with pytest.raises(CitylakeError):
        source.pull(**ASKED)
    mosquitto.start()
    later = drained(source, set(range(2000)) - {*first})
    assert {*first}.union(*later) == set(range(2000))


@pytest.mark.parametrize(
    "wrong",
    [
        "mqtt://citylake:geheim@127.0.0.1:{port}",
        "mqtt://127.0.0.1:{port}",
        "mqtt://citylake:geheim@127.0.0.1:1",
        "mqtt://citylake:geheim@127.0.0.1:port",
        "mqtt://citylake:ge#heim@127.0.0.1:{port}",
        "mqtt://",
        "geheim",
        "tcp://citylake:geheim@127.0.0.1:{port}",
        "mqtts://citylake:geheim@127.0.0.1:{port}",
    ],
)
def test_a_broker_that_cannot_be_read_is_said_without_secrets(
    source: Puller, mosquitto: Mosquitto, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "PATIENCE", 1.0)
    source.secret = wrong.format(port=mosquitto.port)
    with pytest.raises(CitylakeError) as caught:
        source.pull(**ASKED)
    assert caught.value.code == "pull.unreachable"
    assert "heim" not in str(caught.value)
    assert OWNER in str(caught.value)


def test_a_topic_that_is_denied_is_said(puller: Callable[..., Puller]) -> None:
    broker = Embedded()
    try:
        for ask in (puller("mqtt", address(broker.port), ["id"]).pull, forbidden_session(broker.port)):
            with pytest.raises(CitylakeError) as caught:
                ask(**ASKED | {"topics": ["prohibited"]})
            assert caught.value.arguments["problem"] == "Refused"
    finally:
        broker.stop()


def forbidden_session(port: int) -> Callable[..., None]:
    return lambda topics, client_id, quiet: mqtt.subscribe(address(port), topics, client_id, "source", OWNER)


def test_retained_and_quality_0_messages(source: Puller, mosquitto: Mosquitto) -> None:
    with station(mosquitto.port) as sensor:
        sensor.publish(message(1), retain=True)
        sensor.publish(message(2), qos=2)
    assert set().union(*drained(source, {1, 2})) == {1, 2}


def test_encrypted(puller: Callable[..., Puller], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = self_signed(tmp_path)
    broker = Mosquitto(tmp_path / "broker", listener=[f"certfile {certificate}", f"keyfile {key}"])
    try:
        source = puller("mqtt", address(broker.port, "mqtts"), ["id"])
        with pytest.raises(CitylakeError):
            source.pull(**ASKED)  # nobody vouches for it
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert source.pull(**ASKED) is None
    finally:
        broker.stop()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine's address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(__import__("ipaddress").ip_address(HOST))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


CONSUMER = """
import os, random, signal, sys
from pathlib import Path
import paho.mqtt.client as paho
from pipelines.admission import receive
from pipelines.connectors import mqtt
from tests.connectors.raw_lake import AirLake

lake, port, seed = AirLake(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)

def dying(function, calls, before):
    left = [calls]
    def call(*arguments, **named):
        left[0] -= 1
        if left[0] == 0 and before:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return function(*arguments, **named)
        finally:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    return call

place, name, most = chance.choice([
    (mqtt, "_write", 5), (paho.Client, "ack", 300), (os, "fsync", 8), (mqtt, "write_rows", 1),
    (receive, "_keep", 1), (receive, "_content", 1), (receive, "_receipt", 1), (Path, "unlink", 2),
])
setattr(place, name, dying(getattr(place, name), chance.randint(1, most), chance.random() < 0.5))
print("ready", flush=True)
while True:
    lake.receive_from(port)
"""


@pytest.mark.slow
def test_a_killed_consumer_loses_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Twenty consumers die between receiving and acknowledging, or while keeping what they received; each message is
    in raw at least once."""
    from tests.connectors.raw_lake import AirLake

    seed = seed_from_clock()
    print(f"CITYLAKE_TEST_SEED={seed}")
    lake = AirLake(tmp_path / "lake")
    opened(mosquitto.port)
    published, end = 0, threading.Event()

    def publish() -> None:
        nonlocal published
        with station(mosquitto.port) as sensor:
            while not end.is_set():
                sensor.publish(*(message(published + number) for number in range(20)))
                published += 20
                end.wait(0.02)

    stations = threading.Thread(target=publish)
    stations.start()
    try:
        for number in range(20):
            command = [sys.executable, "-c", CONSUMER, str(tmp_path / "lake"), str(mosquitto.port), str(seed + number)]
            consumer = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert consumer.stdout and consumer.stdout.readline() == b"ready\n"
            try:
                consumer.wait(6)
            except subprocess.TimeoutExpired:
                consumer.kill()  # it did not come to the place where it should die: it dies here
            assert consumer.wait() == -signal.SIGKILL
    finally:
        end.set()
        stations.join()
    while lake.receive_from(mosquitto.port):
        pass
    assert published > 1000
    assert set(map(int, lake.ids(lake.batches()))) == set(range(published))
