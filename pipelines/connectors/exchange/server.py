"""The requests of the Delta Sharing protocol, and which of them are asked again. What answers mean is in `answers`.

Messages name the connection and the table, never an address: those of files are keys themselves.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from pipelines.connectors.credentials import Credentials, InHeader, Token
from pipelines.connectors.exchange.answers import (
    MADE_UP_HEADER,
    SharedFile,
    SharedTable,
    Unsupported,
    read_change,
    read_file,
    read_table,
)
from pipelines.connectors.exchange.profile import Profile
from pipelines.connectors.oauth import NoToken
from pipelines.messages import CitylakeError

ATTEMPTS = 3
PAUSE = 1.0
"""Seconds before the second attempt; twice as long before the third."""
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
PATIENCE = 1800.0
"""Seconds that one answer may take: a server that sends a byte now and then would hold up everything."""
LONGEST_LINE = 64 << 20
"""Bytes. A line tells of one file or of the columns."""
CAPABILITIES = "delta-sharing-capabilities"
END = "includeendstreamaction=true"
TABLE_VERSION = "delta-table-version"
NO_FEED = (
    "pull.exchange_answer",
    "pull.exchange_no_table",
    "pull.exchange_refused",
    "pull.exchange_unsupported",
    "pull.exchange_unreachable",
)
"""What a server without a feed of these versions answers, or one that fails at it. Whether it has the table and answers
at all, the snapshot shows."""
PASSING = (408, 429, 500, 502, 503, 504)
"""Statuses that mean a passing fault of the server."""

T = TypeVar("T")
Line = Mapping[str, Any]
Answer = tuple[SharedTable, list[SharedFile]]


class Interrupted(Exception):
    """Something that may pass: the server did not answer, broke off, or an address was not good any more. `code` and
    `about` say it as a message if it does not pass."""

    def __init__(self, code: str, **about: object) -> None:
        self.code, self.about = code, about
        super().__init__(code)


class NoFeed(Exception):
    """No change feed leads from the rows that are kept to the published version. `why`: a plain word."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class Server:
    """One table at one server, asked as one recipient. To be closed, as a context manager."""

    def __init__(self, profile: Profile, connection: str, table: str, owner: str) -> None:
        self.connection, self.table, self.owner = connection, table, owner
        share, schema, name = (quote(part, safe="") for part in table.split("."))
        self._shares = f"{profile.endpoint}/shares"
        self._address = f"{self._shares}/{share}/schemas/{schema}/tables/{name}"
        headers = {CAPABILITIES: f"responseformat=parquet,delta;{END}"}
        self._oauth = profile.client
        bearer = InHeader("Authorization", f"Bearer {profile.token}")
        self._proof: Credentials = Token(self._token) if profile.client else bearer
        # Government networks have proxies for the way out; a source is reached directly, as its address says.
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False, headers=headers)
        self.files = httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=True)
        """For files, which their addresses alone open: the token is none of a store's business."""

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()
        self.files.close()

    def metadata(self) -> SharedTable:
        """The published version as this recipient sees it, without its files. Raises CitylakeError."""
        return self._patiently(lambda: self._read("GET", "metadata")[0])

    def query(self) -> Answer:
        """The published version with all its files and fresh addresses. Raises CitylakeError."""
        return self._patiently(lambda: self._read("POST", "query"))

    def changes(self, first: int, last: int) -> Answer:
        """The files that tell what these versions changed. Raises NoFeed if the server has no feed of them, refuses it,
        fails at it each time or answers what is none; CitylakeError for one that does not know this recipient."""
        try:
            return self._patiently(
                lambda: self._read("GET", "changes", {"startingVersion": first, "endingVersion": last})
            )
        except CitylakeError as error:
            if error.code not in NO_FEED:
                raise
            why = error.arguments.get("status") or error.arguments.get("problem") or "answer"
            raise NoFeed(str(why)) from None

    def offered(self) -> list[str]:
        """All tables that this recipient may read, as contracts name them. Raises CitylakeError."""
        found = [
            one
            for share in self._listed(self._shares)
            for one in self._listed(f"{self._shares}/{_part(share)}/all-tables")
        ]
        return sorted(f"{one['share']}.{one['schema']}.{one['name']}" for one in found)

    def error(self, code: str, **about: object) -> CitylakeError:
        """An error about this table."""
        return CitylakeError(code, connection=self.connection, table=self.table, owner=self.owner, **about)

    def _patiently(self, ask: Callable[[], T]) -> T:
        attempt = 1
        while True:
            try:
                return ask()
            except Unsupported as problem:
                raise self.error("pull.exchange_unsupported", feature=problem.feature) from None
            except Interrupted as problem:
                if attempt == ATTEMPTS:
                    raise self.error(problem.code, **problem.about) from None
            time.sleep(PAUSE * attempt)
            attempt += 1

    def _read(self, method: str, what: str, asked: Line | None = None) -> Answer:
        """One answer, with the pages that follow it. Files are kept in short form only: there may be very many."""
        told: list[Line] = []
        files: list[SharedFile] = []
        try:
            version, clock, made_up = 0, 0.0, False
            question: Line = asked or {}
            while True:
                page = None
                for line in self._lines(method, what, question):
                    if TABLE_VERSION in line:
                        version, clock = int(line[TABLE_VERSION]), _clock(line["date"])
                        made_up = line[MADE_UP_HEADER] == "true"
                    elif what == "changes" and (change := read_change(line, clock)):
                        files.append(change)
                    elif "file" in line:
                        files.append(read_file(line["file"], clock))
                    elif "endStreamAction" in line:
                        page = line["endStreamAction"].get("nextPageToken")
                    else:
                        told.append(line)
                if not page:
                    return read_table(told, version, made_up), files
                question = {**(asked or {}), "pageToken": page}
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
            raise self.error("pull.exchange_answer") from None

    def _listed(self, address: str) -> list[Line]:
        return self._patiently(lambda: self._items(address))

    def _items(self, address: str) -> list[Line]:
        """The items of a list of the protocol, of all its pages."""
        found: list[Line] = []
        page = None
        try:
            while True:
                with closing(self._arrive("GET", address, None, {"pageToken": page} if page else None)) as response:
                    self._require_ok(response)
                    said = json.loads(response.read())
                found += said.get("items") or []
                page = said.get("nextPageToken")
                if not page:
                    return found
        except httpx.RequestError as error:
            raise Interrupted("pull.exchange_unreachable", problem=type(error).__name__) from None
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise self.error("pull.exchange_answer") from None

    def _lines(self, method: str, what: str, question: Line) -> Iterator[Line]:
        """What an answer's headers say in a line of their own, then its lines. When they end, the last has come."""
        body, params = (question, None) if method == "POST" else (None, question)
        try:
            with closing(self._arrive(method, f"{self._address}/{what}", body, params)) as response:
                self._require_ok(response)
                said = {name: response.headers.get(name, "") for name in ("date", MADE_UP_HEADER)}
                yield {TABLE_VERSION: response.headers[TABLE_VERSION], **said}
                last: Line = {}
                for text in _split(response):
                    last = json.loads(text)
                    yield last
                ends = END in response.headers.get(CAPABILITIES, "").replace(" ", "").lower()
        except httpx.RequestError as error:
            raise Interrupted("pull.exchange_unreachable", problem=type(error).__name__) from None
        end = last.get("endStreamAction")
        if (ends and end is None and what != "metadata") or (end and end.get("errorMessage")):  # metadata has no stream
            raise Interrupted("pull.exchange_unreachable", problem="EndOfStream")

    def _arrive(self, method: str, address: str, body: Line | None, params: Line | None) -> httpx.Response:
        """An answer, its body not read yet; asked once more with a new token if the one at hand has ended."""
        response = self._send(method, address, body, params)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._proof.renew():
            response.close()
            response = self._send(method, address, body, params)
        return response

    def _send(self, method: str, address: str, body: Line | None, params: Line | None) -> httpx.Response:
        request = self._client.build_request(method, address, json=body, params=params)
        self._proof.sign(request)
        return self._client.send(request, stream=True)

    def _token(self) -> str:
        """A new token of the profile's client. Raises Interrupted, CitylakeError or httpx.RequestError."""
        assert self._oauth is not None
        try:
            return self._oauth.token(self._client)
        except NoToken as error:
            if error.passing:
                raise Interrupted("pull.exchange_no_token", problem=error.problem) from None
            raise self.error("pull.exchange_no_token", problem=error.problem) from None

    def _require_ok(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == httpx.codes.OK:
            return
        if status in PASSING:
            raise Interrupted("pull.exchange_unreachable", problem=f"HTTP {status}")
        about = {"status": status, "reason": _reason(response)}
        codes = {401: "pull.exchange_denied", 403: "pull.exchange_denied", 404: "pull.exchange_no_table"}
        raise self.error(codes.get(status, "pull.exchange_refused"), **about)


def _part(item: Line) -> str:
    return quote(str(item["name"]), safe="")


def _split(response: httpx.Response) -> Iterator[bytes]:
    """The lines of a body, cut at line feeds only. Raises ValueError for one too long, httpx.ReadTimeout for a body
    that takes too long."""
    rest, end = b"", time.monotonic() + PATIENCE
    for chunk in response.iter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > LONGEST_LINE:
            raise ValueError
        if time.monotonic() > end:
            raise httpx.ReadTimeout("")
    if rest.strip():
        yield rest


def _reason(response: httpx.Response) -> str:
    """The server's error code, if it is a plain word; its text may be anything."""
    try:
        code = json.loads(response.read()).get("errorCode")
    except (ValueError, AttributeError, RecursionError):
        return "—"
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z0-9_.]{1,80}", code) else "—"


def _clock(answered: str) -> float:
    """What to add to a server's time, in seconds since 1970, to have it by this machine's steady clock. Servers whose
    answers show no time are taken to be right."""
    try:
        theirs = parsedate_to_datetime(answered).timestamp()
    except ValueError:
        theirs = time.time()
    return time.monotonic() - theirs
