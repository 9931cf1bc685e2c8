"""Connector `mqtt`: what sensors publish, drained from a broker's session and acknowledged only when durable.

A message is written to the spool, synced to the disk, and only then acknowledged. A spool file is deleted when raw
holds its rows and the register says so. A pull ends when the broker has taken its receipts in. So a kill at any moment
loses nothing; it may bring a message twice, which is why contracts load messages as events with a key.
"""

import base64
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from pipelines.connectors.base import UNREAD, About, Pulled, Request, connectors, object_rows, read_json, write_rows
from pipelines.lake.parquet import make_durable
from pipelines.messages import CitylakeError

PORTS = {"mqtt": 1883, "mqtts": 8883}
TOPIC = "_topic"
"""The column that says where a message was published."""
PATIENCE = 10.0
"""Seconds in which a broker must answer."""
GROUP = 500
"""Messages synced together at most; fewer when the broker pauses, as it does when its window is full."""
PAUSE = 0.005
NOWHERE = "citylake/receipts"
"""A topic that nobody subscribes to."""


@connectors.register(About(asks=False))
def mqtt(
    request: Request,
    *,
    connection: str,
    topics: list[str],
    client_id: str,
    quiet: float = 1.0,
    largest: int = 200_000,
) -> Pulled | None:
    """Drain the session `client_id` until nothing came for `quiet` seconds or `largest` messages are there.

    Columns: the keys of the JSON objects, all text; `_topic`; UNREAD holds what was no JSON object. The first
    pull makes the session: the broker keeps what is published afterwards. Position: the spool files that are in raw.
    """
    origin = f"{connection}:{','.join(topics)}"
    if request.most is not None:
        return _delivered(_seen(request, connection, topics, client_id, quiet, request.most), request, origin)
    request.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in request.position.get("spooled", []):
        (request.spool / name).unlink(missing_ok=True)
    more = _drain(request, connection, topics, client_id, quiet, largest)
    waiting = sorted(request.spool.glob("*.ndjson"))
    messages: list[dict[str, str]] = []
    spooled: list[str] = []
    for file in waiting:
        found = _messages(file)
        if messages and len(messages) + len(found) > largest:
            break
        messages += found
        spooled.append(file.name)
    pulled = _delivered(messages, request, origin)
    return pulled and replace(pulled, position={"spooled": spooled}, more=more or len(spooled) < len(waiting))


def _delivered(messages: list[dict[str, str]], request: Request, origin: str) -> Pulled | None:
    """The messages as rows of the target; None for none."""
    if not messages:
        return None
    names, rows = _rows(messages, request)
    count = write_rows(request, names, rows)
    return Pulled(count, tuple(name for name in names if name != TOPIC), origin)


def _seen(
    request: Request, connection: str, topics: list[str], client_id: str, quiet: float, most: int
) -> list[dict[str, str]]:
    """What is published until nothing came for `quiet` seconds, told to a session of its own that ends with the look:
    that of `client_id` keeps all of it, and whoever drains it is not cut off."""
    arrived: list[paho.MQTTMessage] = []
    passing, address = f"{client_id}-{secrets.token_hex(4)}", request.secret(connection)
    session = _session(address, topics, passing, connection, request.owner, arrived.append, passing=True)
    with session as (client, events):
        try:
            _expect(client, events, "subscribed")
            _wait(client, arrived, quiet)
        except _Failed as error:
            raise _unreachable(connection, error, request.owner) from None
    return [_kept(message) for message in arrived[:most]]


def subscribe(address: str, topics: list[str], client_id: str, connection: str, owner: str) -> None:
    """Open the persistent session, so that the broker keeps messages from now on. Raises CitylakeError."""
    with _session(address, topics, client_id, connection, owner, lambda message: None) as (client, events):
        try:
            _expect(client, events, "subscribed")
        except _Failed as error:
            raise _unreachable(connection, error, owner) from None


def _drain(request: Request, connection: str, topics: list[str], client_id: str, quiet: float, largest: int) -> bool:
    """Take messages into the spool; whether the broker may have more: it had `largest`, or the connection broke."""
    arrived: list[paho.MQTTMessage] = []
    taken = 0
    spool = request.spool / f"{time.time_ns():020d}.ndjson"
    address = request.secret(connection)
    with _session(address, topics, client_id, connection, request.owner, arrived.append) as (client, events):
        try:
            while taken < largest and (_wait(client, arrived, quiet) or _late(client, events, arrived)):
                _write(spool, arrived)
                for message in arrived:
                    client.ack(message.mid, message.qos)
                taken += len(arrived)
                arrived.clear()
            _settle(client, events)
        except _Failed as error:
            if not taken:
                raise _unreachable(connection, error, request.owner) from None
            return True  # what is in the spool is delivered; the next pull finds out how the broker is
    return taken >= largest


def _settle(client: paho.Client, events: list[str]) -> None:
    """Wait until the broker has taken in what was acknowledged. It handles packets in their order, so its answer to one
    sent behind the receipts says so. A connection that is closed while it still brings messages is reset, and receipts
    that the broker has not read by then are gone: their messages would come again. Raises _Failed."""
    client.unsubscribe(NOWHERE)
    _expect(client, events, "settled")


def _late(client: paho.Client, events: list[str], arrived: list[paho.MQTTMessage]) -> bool:
    """Whether messages came with the answer to the subscription. It may stand behind all that the broker has kept, so
    it is waited for only when nothing comes any more."""
    _expect(client, events, "subscribed")
    return bool(arrived)


def _wait(client: paho.Client, arrived: list[paho.MQTTMessage], quiet: float) -> bool:
    """Let messages to be synced together arrive; false when none came for `quiet` seconds.

    Raises _Failed when the connection broke: what came over it is not acknowledged over another, where a broker may
    have given the number of a message to a different one.
    """
    end = time.monotonic() + quiet
    while len(arrived) < GROUP and (left := end - time.monotonic()) > 0:
        before = len(arrived)
        _loop(client, left)
        if len(arrived) > before:
            end = time.monotonic() + PAUSE
    return bool(arrived)


def _loop(client: paho.Client, seconds: float) -> None:
    """Exchange packets with the broker, in this thread: paho's own would connect again by itself."""
    if client.loop(seconds) != paho.MQTT_ERR_SUCCESS:
        raise _Failed("ConnectionError")


def _write(spool: Path, group: list[paho.MQTTMessage]) -> None:
    """Add a group to the spool file; durable when this returns."""
    new = not spool.exists()
    with spool.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(_kept(message), ensure_ascii=False) + "\n" for message in group))
        file.flush()
        os.fsync(file.fileno())
    if new:
        make_durable([], spool.parent)


def _kept(message: paho.MQTTMessage) -> dict[str, str]:
    try:
        return {"topic": message.topic, "payload": message.payload.decode()}
    except UnicodeDecodeError:
        return {"topic": message.topic, "base64": base64.b64encode(message.payload).decode()}


def _messages(file: Path) -> list[dict[str, str]]:
    """The messages up to where a kill cut off the file: what came after was never acknowledged and comes again."""
    found = []
    for line in file.read_bytes().split(b"\n")[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def _rows(messages: list[dict[str, str]], request: Request) -> tuple[tuple[str, ...], Iterator[list[str]]]:
    """One row a message, all columns text; columns of the contract that no message has are there and empty."""
    objects = ((_parsed(message), message.get("payload", message.get("base64", ""))) for message in messages)
    rows = list(object_rows(objects, request, reserved=(TOPIC,)))
    names = dict.fromkeys((*request.expected, TOPIC))
    names |= dict.fromkeys(name for row in rows for name in row if name != UNREAD)
    for message, row in zip(messages, rows, strict=True):
        row[TOPIC] = message["topic"]
    return tuple(names), ([row.get(name) or "" for name in (*names, UNREAD)] for row in rows)


def _parsed(message: dict[str, str]) -> Any:
    """The JSON value of a payload; None if it is none, or one so deep that nobody can read it."""
    try:
        return read_json(message["payload"]) if "payload" in message else None
    except (ValueError, RecursionError):
        return None


@contextmanager
def _session(
    address: str,
    topics: list[str],
    client_id: str,
    connection: str,
    owner: str,
    receive: Callable[[paho.MQTTMessage], None],
    *,
    passing: bool = False,
) -> Iterator[tuple[paho.Client, list[str]]]:
    """A connected client whose session the broker keeps (MQTT 3.1.1, clean session off) unless it is `passing`,
    subscribing with QoS 1, and what the broker has answered.

    Raises CitylakeError when the broker does not answer or refuses.
    """
    events: list[str] = []
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id, clean_session=passing, protocol=paho.MQTTv311, manual_ack=True
    )
    client.on_connect = lambda _c, _u, _f, reason, _p: events.append("refused" if reason.is_failure else "connected")
    client.on_subscribe = lambda _c, _u, _m, reasons, _p: events.append(
        "refused" if any(reason.is_failure for reason in reasons) else "subscribed"
    )
    client.on_unsubscribe = lambda _c, _u, _m, _r, _p: events.append("settled")
    client.on_message = lambda _c, _u, message: receive(message)
    try:
        try:
            _connect(client, address)
            _expect(client, events, "connected")
        except (OSError, ValueError, _Failed) as error:
            raise _unreachable(connection, error, owner) from None
        client.subscribe([(topic, 1) for topic in topics])
        yield client, events
    finally:
        client.disconnect()


def _unreachable(connection: str, error: Exception, owner: str) -> CitylakeError:
    """Other libraries' texts may quote the address, so only the kind of their errors is told."""
    problem = str(error) if isinstance(error, _Failed) else type(error).__name__
    return CitylakeError("pull.unreachable", connection=connection, problem=problem, owner=owner)


def _connect(client: paho.Client, address: str) -> None:
    """Raises OSError, or ValueError for an address that is none: it may hold a password, so nobody is told its text."""
    parts = urlsplit(address)
    if parts.scheme not in PORTS:
        raise ValueError
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "mqtts":
        client.tls_set()
    client.connect(parts.hostname or "", parts.port or PORTS[parts.scheme], keepalive=60)


class _Failed(Exception):
    """The connection ended, or the broker refused or did not answer."""


def _expect(client: paho.Client, events: list[str], wanted: str) -> None:
    """Wait for the broker's answer. Raises _Failed."""
    end = time.monotonic() + PATIENCE
    while wanted not in events:
        if "refused" in events:
            raise _Failed("Refused")
        if (left := end - time.monotonic()) <= 0:
            raise _Failed("Timeout")
        _loop(client, left)
