"""The statistics bureau's open-data portal: a daemon, ``python -m simulator.portal HOME``, serving files over HTTP.

Every file under ``HOME/portal`` has a strong ETag and a date and may be asked for conditionally; publishing files
belongs to `outside`. The same daemon answers for the interfaces below ``api/`` (`interfaces`) to whoever has the key.
Tests make the portal misbehave with ``HOME/portal.faults.json``: ``status`` answers every request with that code,
``delay`` waits so many seconds first.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from simulator.daemons import PORTAL, detach, read_notes
from simulator.interfaces import PATH, Interfaces
from simulator.server import HOST

KEY_HEADER = "X-Api-Key"
"""The header that holds the key of an interface."""


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files under ``folder``."""

    folder: Path
    faults: Path
    interfaces: Interfaces
    key: str
    protocol_version = "HTTP/1.1"
    server_version = "open-data-portal"
    sys_version = ""

    def do_GET(self) -> None:
        """Send a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send what is known about a file."""
        self._answer(with_body=False)

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are not logged: a demo that runs for weeks would fill the disk with them."""

    def _answer(self, with_body: bool) -> None:
        fault = json.loads(self.faults.read_text()) if self.faults.exists() else {}
        time.sleep(fault.get("delay", 0))
        if "status" in fault:
            self._fail(HTTPStatus(fault["status"]))
            return
        if urlsplit(self.path).path.startswith(f"/{PATH}"):
            self._answer_question(with_body)
            return
        try:
            content, modified = self._read()
        except (OSError, ValueError):
            self._fail(HTTPStatus.NOT_FOUND)
            return
        tag = f'"{sha256(content).hexdigest()[:32]}"'
        unchanged = self._is_known(tag, modified)
        self.send_response(HTTPStatus.NOT_MODIFIED if unchanged else HTTPStatus.OK)
        self.send_header("ETag", tag)
        self.send_header("Last-Modified", format_datetime(modified, usegmt=True))
        if not unchanged:
            self.send_header("Content-Type", "text/csv; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body and not unchanged:
            self.wfile.write(content)

    def _answer_question(self, with_body: bool) -> None:
        """Send a page of an interface."""
        if not secrets.compare_digest(self.headers.get(KEY_HEADER, ""), self.key):
            self._fail(HTTPStatus.UNAUTHORIZED)
            return
        address = urlsplit(self.path)
        try:
            content = self.interfaces.answer(address.path.removeprefix(f"/{PATH}"), dict(parse_qsl(address.query)))
        except ValueError:
            self._fail(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _read(self) -> tuple[bytes, datetime]:
        """The file asked for and its date.

        Raises:
            ValueError: the path leads out of the folder.
        """
        file = (self.folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        if not file.is_relative_to(self.folder):
            raise ValueError(file)
        with file.open("rb") as stream:
            modified = datetime.fromtimestamp(int(os.fstat(stream.fileno()).st_mtime), UTC)
            return stream.read(), modified

    def _is_known(self, tag: str, modified: datetime) -> bool:
        """Whether the client has this very file (RFC 9110 13.2.2: a tag decides alone where one is given)."""
        tags = self.headers.get("If-None-Match")
        if tags is not None:
            return tags.strip() == "*" or tag in (entry.strip().removeprefix("W/") for entry in tags.split(","))
        since = self.headers.get("If-Modified-Since")
        try:
            return since is not None and modified <= parsedate_to_datetime(since)
        except (TypeError, ValueError):
            return False

    def _fail(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def serve(home: Path, ready: Callable[[], None]) -> None:
    """Serve the home's portal until the process is told to end."""
    Handler.folder = (home / PORTAL).resolve()
    Handler.faults = home / f"{PORTAL}.faults.json"
    notes = read_notes(home, PORTAL)
    Handler.interfaces, Handler.key = Interfaces(home.resolve()), str(notes["password"])
    with ThreadingHTTPServer((HOST, notes["port"]), Handler) as server:
        server.daemon_threads = True
        # Not within the handler: shutdown waits for the loop that the handler interrupts.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        ready()
        server.serve_forever(poll_interval=0.05)


def main(home: Path) -> None:
    """Become the daemon of a home."""
    detach(home, PORTAL, lambda ready: serve(home, ready))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
