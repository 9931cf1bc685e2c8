"""The broker of the air stations with the data loggers behind it: a daemon, ``python -m simulator.broker HOME``.

Loggers keep a message until the client itself has acknowledged it, as real ones do: amqtt forgets what was not
acknowledged within five seconds or when the connection breaks, and everything when it stops. So publications go from
the outbox straight to each client's session and leave it when that client's PUBACK has come. What the messages say
belongs to `air`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.broker import Broker, BrokerContext
from amqtt.mqtt.packet import MQTTPacket
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin
from amqtt.session import Session
from paho.mqtt.client import topic_matches_sub

from simulator.daemons import BROKER, USER, detach, read_notes
from simulator.outbox import FOLDER, Key, Message, Outbox, receipt
from simulator.server import HOST

QOS = 1
IN_FLIGHT = 100
"""Most publications a client may owe an acknowledgement for, as brokers allow 20 to some hundreds."""
_PAUSE = 0.1
"""Most seconds between two looks at the outbox and the sessions."""
_FAREWELL = 5
"""Seconds within which clients are parted from."""


class Login(BaseAuthPlugin):
    """Admits the one user; nobody is anonymous."""

    @dataclass
    class Config:
        """The one user's password."""

        password: str

    async def authenticate(self, *, session: Session) -> bool | None:
        """Whether the client gave the right name and password."""
        given = f"{session.username}:{session.password}"
        return hmac.compare_digest(given.encode(), f"{USER}:{self.config.password}".encode())


class Receipts(BasePlugin[BrokerContext]):
    """Tells the loggers of every PUBACK."""

    listener: Callable[[str, int], None]

    async def on_mqtt_packet_received(self, packet: MQTTPacket[Any, Any, Any], session: Session | None = None) -> None:
        """A packet came in; the first one, CONNECT, before there is a session."""
        if isinstance(packet, PubackPacket) and session is not None:
            self.listener(str(session.client_id), packet.packet_id)


class Client:
    """What one persistent session still has to get and to acknowledge."""

    def __init__(self, outbox: Outbox, name: str) -> None:
        self.name = name
        self.filters: frozenset[str] = frozenset()
        self.handler: object = None
        self._acknowledged = outbox.acknowledged(name)
        self._receipts = outbox.receipts(name)
        self._sent: set[Key] = set()
        self._waiting: deque[Message] = deque()
        self._in_flight: dict[int, Message] = {}

    def begin(self, handler: object, filters: frozenset[str], messages: list[Message]) -> None:
        """A new connection or new subscriptions: everything not acknowledged is due again."""
        if handler is not self.handler:
            self._in_flight.clear()
        self.handler, self.filters = handler, filters
        self._waiting.clear()
        on_the_way = {message.key for message in self._in_flight.values()}
        self.add([message for message in messages if message.key not in on_the_way])

    def add(self, messages: list[Message]) -> None:
        """New messages: those the client subscribed to and has not acknowledged will be sent."""
        for message in messages:
            if message.key not in self._acknowledged and any(
                topic_matches_sub(pattern, message.topic) for pattern in self.filters
            ):
                self._waiting.append(message)

    async def send(self, session: Session, writer: Any) -> None:
        """Publish what is due, as far as the number of unacknowledged publications allows."""
        while self._waiting and len(self._in_flight) < IN_FLIGHT:
            message = self._waiting.popleft()
            number = session.next_packet_id
            while number in self._in_flight:
                number = session.next_packet_id
            self._in_flight[number] = message
            again = message.key in self._sent
            self._sent.add(message.key)
            packet = PublishPacket.build(message.topic, message.payload, number, again, QOS, retain=False)
            await packet.to_stream(writer)

    def acknowledge(self, number: int) -> None:
        """The client acknowledged a publication: it will never get it again."""
        message = self._in_flight.pop(number, None)
        if message is not None:
            self._acknowledged.add(message.key)
            self._receipts.write(receipt(message.key))


class Loggers:
    """The stations' data loggers: they hand every message to every persistent session subscribed to its topic."""

    def __init__(self, broker: Broker, outbox: Outbox) -> None:
        self._broker = broker
        self._outbox = outbox
        self._days: set[str] = set()
        self._messages: list[Message] = []
        self._clients: dict[str, Client] = {}
        self._room = asyncio.Event()

    async def work(self) -> None:
        """Deliver for ever."""
        while True:
            self._look_for_new_days()
            for name, (session, handler) in list(self._broker.sessions.items()):
                if session.transitions.state == "connected" and not session.clean_session:
                    # A connection that breaks meanwhile is no error: what was not acknowledged is sent over the next.
                    with contextlib.suppress(OSError):
                        await self._serve(name, session, handler)
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), _PAUSE)

    def acknowledge(self, name: str, number: int) -> None:
        """A client acknowledged a publication."""
        if name in self._clients:
            self._clients[name].acknowledge(number)
            self._room.set()

    async def _serve(self, name: str, session: Session, handler: Any) -> None:
        filters = frozenset(
            pattern
            for pattern, subscribers in self._broker.subscriptions.items()
            if any(subscriber.client_id == name and qos >= QOS for subscriber, qos in subscribers)
        )
        if not filters or handler.writer is None:
            return
        client = self._clients.setdefault(name, Client(self._outbox, name))
        if client.handler is not handler or client.filters != filters:
            client.begin(handler, filters, self._messages)
        await client.send(session, handler.writer)

    def _look_for_new_days(self) -> None:
        for day in self._outbox.days():
            if day not in self._days:
                self._days.add(day)
                messages = self._outbox.messages(day)
                self._messages.extend(messages)
                for client in self._clients.values():
                    client.add(messages)


async def serve(home: Path, ready: Callable[[], None]) -> None:
    """Run broker and loggers until the process is told to end."""
    notes = read_notes(home, BROKER)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{notes['port']}"}},
            "plugins": {
                "simulator.broker.Login": {"password": notes["password"]},
                "simulator.broker.Receipts": {},
            },
        }
    )
    loggers = Loggers(broker, Outbox(home / FOLDER))
    Receipts.listener = loggers.acknowledge
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    await broker.start()
    ready()
    work = asyncio.create_task(loggers.work())
    await asyncio.wait([work, asyncio.create_task(end.wait())], return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    # Later versions of Python would wait for clients that do not leave by themselves.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(broker.shutdown(), _FAREWELL)


def main(home: Path) -> None:
    """Become the daemon of a home."""
    # amqtt warns of every PUBACK it did not wait for; the loggers do.
    logging.basicConfig(level=logging.ERROR)
    detach(home, BROKER, lambda ready: asyncio.run(serve(home, ready)))


if __name__ == "__main__":
    # amqtt loads its plugins by name: they must be those of this module, not of a second copy called __main__.
    from simulator.broker import main as become

    become(Path(sys.argv[1]))
