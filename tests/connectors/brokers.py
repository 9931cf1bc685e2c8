"""Two real brokers: Mosquitto, and amqtt inside this process."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session
from paho.mqtt.enums import CallbackAPIVersion

HOST = "127.0.0.1"
USER, PASSWORD = "citylake", "p@ss/w:rd"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A server process with one account; it can be stopped and started again with what it keeps."""

    def __init__(self, folder: Path, *, settings: Sequence[str] = (), listener: Sequence[str] = ()) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if program is None:
            pytest.skip("Mosquitto is not installed")
        self.port = free_port()
        folder.mkdir()
        passwords = folder / "passwords"
        passwords.touch(0o600)
        subprocess.run(["mosquitto_passwd", "-b", passwords, USER, PASSWORD], check=True, capture_output=True)
        configuration = folder / "mosquitto.conf"
        configuration.write_text(
            "\n".join(
                [
                    "user root",
                    "allow_anonymous false",
                    f"password_file {passwords}",
                    "persistence true",
                    f"persistence_location {folder}/",
                    "max_queued_messages 0",  # by default it throws away what is beyond a thousand
                    "log_dest none",
                    *settings,
                    f"listener {self.port} {HOST}",
                    *listener,
                ]
            )
        )
        self._command = [program, "-c", str(configuration)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        wait_for(self.port)

    def keeps(self, client: str, count: int) -> None:
        """Nothing to wait for: what it has acknowledged it has kept."""

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


class Login(BaseAuthPlugin):
    """The one account, for amqtt."""

    async def authenticate(self, *, session: Session) -> bool | None:
        return (session.username, session.password) == (USER, PASSWORD)


class Embedded:
    """amqtt in a thread. It keeps messages only for those who give a name."""

    def __init__(self) -> None:
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._broker = asyncio.run_coroutine_threadsafe(self._make(), self._loop).result(60)
        asyncio.run_coroutine_threadsafe(self._broker.start(), self._loop).result(60)
        wait_for(self.port)

    async def _make(self) -> Broker:
        return Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{self.port}"}},
                "plugins": {
                    "tests.connectors.brokers.Login": {},
                    "amqtt.plugins.topic_checking.TopicTabooPlugin": {},
                },
            }
        )

    def keeps(self, client: str, count: int) -> None:
        """Wait until it knows that a client is away and keeps so many messages for it. It acknowledges before: lost is
        what comes while it takes the client for connected, and what it has not kept when the sender leaves. Raises
        TimeoutError after a minute."""
        end = time.monotonic() + 60
        session, _ = self._broker._sessions[client]
        while session.transitions.state == "connected" or session.retained_messages.qsize() < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{session.retained_messages.qsize()} messages are kept for {client}")
            time.sleep(0.01)

    def stop(self) -> None:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._broker.shutdown(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)


def wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        if time.monotonic() > end:
            raise TimeoutError(f"nothing listens on {port}")
        time.sleep(0.02)


class Station:
    """Publishes with QoS 1; `publish` returns when the broker has everything."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.max_queued_messages_set(0)
        self._client.connect(HOST, port)
        self._client.loop_start()

    def publish(
        self, *payloads: str | bytes, topic: str = "luan/air/1/hour", qos: int = 1, retain: bool = False
    ) -> None:
        sent = [self._client.publish(topic, payload, qos, retain) for payload in payloads]
        for one in sent:
            one.wait_for_publish(60)

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def station(port: int) -> Iterator[Station]:
    found = Station(port)
    try:
        yield found
    finally:
        found.leave()
