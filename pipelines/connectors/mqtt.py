"""Connector `mqtt`: what sensors publish, drained from a broker's session and acknowledged only when durable.

A message is written to the spool, synced to the disk, and only then acknowledged. A spool file is deleted when raw
holds its rows and the register says so. So a kill at any moment loses nothing; it may bring a message twice, which is
why contracts load messages as events with a key.
"""

import base64
import json
import os
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
import polars as pl
from paho.mqtt.enums import CallbackAPIVersion

from pipelines.connectors.base import UNREAD, About, Pulled, Request, connectors, require_columns
from pipelines.lake.parquet import make_durable
from pipelines.messages import CitylakeError

PORTS = {"mqtt": 1883, "mqtts": 8883}
PATIENCE = 10.0
"""Seconds in which a broker must answer."""
GROUP = 500
"""Messages synced together at most; fewer when the broker pauses, as it does when its window is full."""
PAUSE = 0.005


@connectors.register(About(asks=False))
def mqtt(
    request: Request,
    *,
    connection: str,
    topics: list[str],
    client_id: str,
    quiet: float = 1.0,
    largest: int = 1_000_000,
) -> Pulled | None:
    """Drain the session `client_id` until nothing came for `quiet` seconds or `largest` messages are there.

    Columns: the keys of the JSON objects, all text; `_topic`; UNREAD holds what was no JSON object. The first
    pull makes the session: the broker keeps what is published afterwards. Position: the spool files that are in raw.
    """
    request.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in request.position.get("spooled", []):
        (request.spool / name).unlink(missing_ok=True)
    more = _drain(request, connection, topics, client_id, quiet, largest)
    spooled = sorted(request.spool.glob("*.ndjson"))
    messages = [json.loads(line) for file in spooled for line in _lines(file)]
    if not messages:
        return None
    frame = _rows(messages, request)
    require_columns(request, frame.columns, connection)
    frame.write_parquet(request.target, compression="zstd")
    shown = tuple(name for name in frame.columns if not name.startswith("_"))
    position = {"spooled": [file.name for file in spooled]}
    return Pulled(frame.height, shown, f"{connection}:{','.join(topics)}", position, more)


def subscribe(address: str, topics: list[str], client_id: str, connection: str, owner: str) -> None:
    """Open the persistent session, so that the broker keeps messages from now on. Raises CitylakeError."""
    with _session(address, topics, client_id, connection, owner, lambda message: None):
        pass


def _drain(request: Request, connection: str, topics: list[str], client_id: str, quiet: float, largest: int) -> bool:
    """Take messages into the spool; whether the broker had more than `largest`."""
    arrived: queue.Queue[paho.MQTTMessage] = queue.Queue()
    taken = 0
    spool = request.spool / f"{time.time_ns():020d}.ndjson"
    address = request.secret(connection)
    with _session(address, topics, client_id, connection, request.owner, arrived.put) as client:
        while taken < largest and (group := _group(arrived, quiet)):
            _write(spool, group)
            for message in group:
                client.ack(message.mid, message.qos)
            taken += len(group)
    return taken >= largest


def _group(arrived: "queue.Queue[paho.MQTTMessage]", quiet: float) -> list[paho.MQTTMessage]:
    """The messages to sync together: empty when nothing came for `quiet` seconds."""
    found: list[paho.MQTTMessage] = []
    wait = quiet
    while len(found) < GROUP:
        try:
            found.append(arrived.get(timeout=wait))
        except queue.Empty:
            break
        wait = PAUSE
    return found


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


def _lines(file: Path) -> list[str]:
    """The whole lines of a spool file: what a kill cut off was never acknowledged and comes again."""
    return file.read_text("utf-8", errors="replace").split("\n")[:-1]


def _rows(messages: list[dict[str, str]], request: Request) -> pl.DataFrame:
    """One row a message, all columns text; columns that no message has are there and empty."""
    rows = [{"_topic": message["topic"], **_fields(message)} for message in messages]
    names = dict.fromkeys((*request.expected, "_topic", UNREAD))
    names |= dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in names}, dict.fromkeys(names, pl.String))


def _fields(message: dict[str, str]) -> dict[str, str | None]:
    """The keys of a JSON object as text, or the payload as it came."""
    payload = message.get("payload")
    try:
        found = json.loads(payload) if payload is not None else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return {UNREAD: payload if payload is not None else message["base64"]}
    return {name: _text(value) for name, value in found.items() if not name.startswith("_")}


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@contextmanager
def _session(
    address: str,
    topics: list[str],
    client_id: str,
    connection: str,
    owner: str,
    receive: Callable[[paho.MQTTMessage], None],
) -> Iterator[paho.Client]:
    """A connected client whose session the broker keeps (MQTT 3.1.1, clean session off), subscribed with QoS 1.

    Raises CitylakeError when the broker does not answer or refuses.
    """
    parts = urlsplit(address)
    events: queue.Queue[str] = queue.Queue()
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id, clean_session=False, protocol=paho.MQTTv311, manual_ack=True
    )
    client.max_queued_messages_set(0)
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "mqtts":
        client.tls_set()
    client.on_connect = lambda _c, _u, _f, reason, _p: events.put("refused" if reason.is_failure else "connected")
    client.on_subscribe = lambda _c, _u, _m, reasons, _p: events.put(
        "refused" if any(reason.is_failure for reason in reasons) else "subscribed"
    )
    client.on_message = lambda _c, _u, message: receive(message)
    try:
        client.connect(parts.hostname or "", parts.port or PORTS.get(parts.scheme, 1883), keepalive=60)
        client.loop_start()
        _expect(events, "connected")
        client.subscribe([(topic, 1) for topic in topics])
        _expect(events, "subscribed")
        yield client
    except (OSError, queue.Empty, _Refused) as error:
        about = {"connection": connection, "problem": type(error).__name__.strip("_")}
        raise CitylakeError("pull.unreachable", **about, owner=owner) from None
    finally:
        client.disconnect()
        client.loop_stop()


class _Refused(Exception):
    """The broker refused the account or a topic."""


def _expect(events: "queue.Queue[str]", wanted: str) -> None:
    if events.get(timeout=PATIENCE) != wanted:
        raise _Refused
