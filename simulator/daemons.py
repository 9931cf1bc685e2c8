"""Servers of the demo city that are programs of their own: starting, finding and stopping them, and their ports.

A daemon outlives the process that started it. What it serves belongs to the module it runs (`broker`, `portal`).
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator.server import HOST, ServerError

# Below the ports that systems give to outgoing connections: one of those might take ours while the server is down.
_PORTS = range(20_000, 32_000)
BROKER, PORTAL = "broker", "portal"
"""Names of the daemons, which are also those of their modules."""
USER = "citylake"
"""The only user of a daemon that asks for one."""
_PATIENCE = 30
"""Seconds within which a daemon must have stopped."""


class Daemon:
    """The program ``python -m simulator.<name> <home>``; ``home/<name>.json`` (0600) keeps its port and password."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.name = name
        self._log = home / f"{name}.log"
        self._lock = _lock_of(home, name)

    def start(self) -> bool:
        """Start the daemon unless it runs already, whoever started it. True when this call started it.

        Raises:
            ServerError: it does not come up; its own last words are in the message.
        """
        if self.is_running():
            return False
        self._choose_port()
        with self._log.open("a") as log:
            # The program returns when the daemon, its child, serves or has failed.
            result = subprocess.run(
                [sys.executable, "-m", f"simulator.{self.name}", str(self.home)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if result.returncode != 0:
            raise ServerError(f"{self.name} does not start: {self._log.read_text(errors='replace')[-2000:]}")
        return True

    def stop(self) -> None:
        """Stop the daemon if it runs; it may finish the request it is at."""
        if not self.is_running():
            return
        os.kill(int(self._lock.read_text()), signal.SIGTERM)
        patience = time.monotonic() + _PATIENCE
        while self.is_running():
            if time.monotonic() > patience:
                raise ServerError(f"{self.name} does not stop within {_PATIENCE} seconds")
            time.sleep(0.02)

    def is_running(self) -> bool:
        """Whether the daemon lives: it holds its lock as long as it does, however it ends."""
        if not self._lock.exists():
            return False
        with self._lock.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    @property
    def port(self) -> int:
        """The loopback port; it is kept over restarts as long as nobody else has taken it."""
        return int(read_notes(self.home, self.name)["port"])

    @property
    def password(self) -> str:
        """The password of the daemon's only user."""
        return str(read_notes(self.home, self.name)["password"])

    def _choose_port(self) -> None:
        notes = read_notes(self.home, self.name) or {"port": 0, "password": secrets.token_urlsafe(24)}
        if not _is_free(int(notes["port"])):
            notes["port"] = next(port for port in iter(lambda: secrets.choice(_PORTS), None) if _is_free(port))
            _write_notes(self.home, self.name, notes)


def read_notes(home: Path, name: str) -> dict[str, Any]:
    """What is noted about a daemon: ``port`` and ``password``; empty before its first start."""
    file = home / f"{name}.json"
    notes: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return notes


def detach(home: Path, name: str, serve: Callable[[Callable[[], None]], None]) -> None:
    """Become a daemon that runs ``serve``; the calling process ends as soon as ``serve`` says that it is ready.

    ``serve`` gets the function to say so with, and returns when the daemon is to end.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        # Nothing to read means that the daemon ended before it was ready.
        os._exit(0 if os.read(reading, 1) else 1)
    os.close(reading)
    os.setsid()
    os.chdir("/")
    with _lock_of(home, name).open("a+") as lock:
        _hold(lock.fileno())
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()

        def ready() -> None:
            os.write(writing, b"!")
            os.close(writing)

        serve(ready)


def _hold(lock: int) -> None:
    """Lock for good; whoever only asks whether the daemon runs lets go at once."""
    for _ in range(100):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            time.sleep(0.02)
    raise ServerError("another daemon serves this home")


def _lock_of(home: Path, name: str) -> Path:
    return home / f"{name}.pid"


def _write_notes(home: Path, name: str, notes: dict[str, Any]) -> None:
    fresh = home / f"{name}.json.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(notes, file)
    fresh.replace(home / f"{name}.json")


def _is_free(port: int) -> bool:
    if port not in _PORTS:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
