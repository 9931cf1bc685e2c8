"""HTTP manners of all connectors that ask servers: what is sent, to whom, how often, and when to give up.

Bodies go to files as they come. Credentials are sent to the connection's own host only, whatever a redirect says. No
message, and no log of the library underneath, tells an address: it may hold a key. What a body means, and how pages
follow each other, does not belong here.
"""

import hashlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx

from pipelines.connectors.base import Request
from pipelines.connectors.credentials import Auth, BadSecret, Secret, credentials
from pipelines.connectors.oauth import NoToken, OAuthClient
from pipelines.messages import CitylakeError

ATTEMPTS = 5
PAUSE = 1.0
"""Seconds before the second attempt; twice as long before each further one, less up to half of it by chance."""
LONGEST_PAUSE = 120.0
"""Seconds that a server may ask us to wait (Retry-After) before the pull ends; the next run goes on."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
PATIENCE = 1800.0
"""Seconds that a body may take: a server that sends a byte now and then would hold up everything."""
REDIRECTS = 5
_FOR_EVERYBODY = ("Accept", "If-None-Match", "If-Modified-Since")
"""Headers that another host may see."""

T = TypeVar("T")

for _name in ("httpx", "httpcore.connection", "httpcore.http11"):  # they log addresses and headers
    logging.getLogger(_name).addFilter(lambda _: False)


class Refused(Exception):
    """The server answered, and not with what was asked for."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


class Unreadable(Exception):
    """The body is not what it should be. `problem` is told to people: never what the body says."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class _Passing(Exception):
    """A fault that may be gone at the next attempt. `wait`: seconds that the server asked for; `final`: what is raised
    when it is not gone."""

    def __init__(self, final: Exception, wait: float | None = None) -> None:
        self.final, self.wait = final, wait
        super().__init__()


@dataclass(frozen=True)
class Wanted:
    """One question. `body`: JSON as bytes; `also`: statuses that are an answer beside 200; `largest`: bytes of the
    answer, where that is less than what the site may send."""

    url: httpx.URL
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    also: frozenset[int] = frozenset()
    largest: int | None = None


@dataclass(frozen=True)
class Answer:
    """An answer whose body is in a file, unless `status` is not 200."""

    status: int
    headers: httpx.Headers
    sha256: str


class Site:
    """One server during one pull, to be used in a `with` statement. `largest`: bytes of one body; `rate`: most
    requests in a second. Raises CitylakeError for a secret that cannot be used."""

    def __init__(
        self, request: Request, connection: str, auth: Auth | None, largest: int, rate: float | None = None
    ) -> None:
        self.connection, self.owner, self.largest, self.rate = connection, request.owner, largest, rate
        text = request.secret(connection)
        try:
            self.secret = Secret.parse(text, auth)
        except BadSecret as error:
            about = {"connection": connection, "names": "、".join(error.missing), "owner": request.owner}
            raise CitylakeError("pull.bad_secret", **about) from None
        self.base = self.secret.url
        self._auth = auth
        self._credentials = credentials(self.secret, auth, self._token)
        self._next = 0.0
        # Government networks have proxies for the way out; a source is reached directly, as its address says.
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False)

    def __enter__(self) -> "Site":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def address(self, path: str, parameters: Mapping[str, str] | None = None) -> httpx.URL:
        """A path below the connection's address, with the query that belongs to each request.

        Raises CitylakeError for a path that cannot be one.
        """
        try:
            found = httpx.URL(path.lstrip("/"))
            joined = f"{self.base.path.rstrip('/')}/{found.path}"
        except httpx.InvalidURL:
            raise self.unreachable("InvalidURL") from None
        return self._with(self.base.copy_with(path=joined), found.params.merge(parameters or {}))

    def linked(self, address: str, near: httpx.URL) -> httpx.URL:
        """An address that the server gave, absolute or relative to `near`; one of ours with what belongs to each
        request, any other without what is secret. Raises CitylakeError if it is none."""
        try:
            found = near.join(address)
        except httpx.InvalidURL:
            raise self.unreachable("InvalidURL") from None
        if found.scheme not in ("http", "https") or not found.host:
            raise self.unreachable("InvalidURL")
        return self._with(found, found.params) if self.is_ours(found) else self._bare(found)

    def next_page(self, address: str, near: httpx.URL) -> str | None:
        """Path and query of an address that the server gave for its next page, for `page`; None if that is on another
        host. Its scheme and port do not count: a server behind a gateway does not know them."""
        found = self.linked(address, near)
        return self._bare(found).raw_path.decode("ascii") if found.host == self.base.host else None

    def page(self, link: str) -> httpx.URL:
        """The address of a page that `next_page` gave."""
        found = self.base.copy_with(raw_path=link.encode("ascii"))
        return self._with(found, found.params)

    def shown(self, url: httpx.URL) -> str:
        """An address without what is secret."""
        return str(self._bare(url))

    def _with(self, url: httpx.URL, parameters: httpx.QueryParams) -> httpx.URL:
        return url.copy_with(params=self.secret.parameters.merge(parameters) or None)

    def _bare(self, url: httpx.URL) -> httpx.URL:
        """An address without the parameters that are ours and secret; those of others may have the same names."""
        secret = {*self.secret.parameters.values(), *self.secret.values.values()}
        pairs = url.params.multi_items()
        kept = [(name, value) for name, value in pairs if value not in secret]
        return url if len(kept) == len(pairs) else url.copy_with(params=kept or None)

    def is_ours(self, url: httpx.URL) -> bool:
        """Whether an address is on the connection's own host: also by https where the connection says http."""
        if url.host != self.base.host:
            return False
        upgraded = (self.base.scheme, url.scheme) == ("http", "https") and url.port is None and self.base.port is None
        return upgraded or (url.scheme, url.port) == (self.base.scheme, self.base.port)

    def unreachable(self, problem: str) -> CitylakeError:
        """That the server cannot be reached. `problem`: a kind of error, no text of others."""
        return CitylakeError("pull.unreachable", connection=self.connection, problem=problem, owner=self.owner)

    def fetch(self, wanted: Wanted, into: Path, read: Callable[[Answer], T]) -> T:
        """Ask, put the body into a file and `read` it there; again after a while when the server does not answer,
        breaks off, says that it is its own fault or that we ask too often, or `read` raises Unreadable.

        Raises Refused, Unreadable, or CitylakeError for everything else that stays so.
        """
        attempt = 1
        while True:
            try:
                return self._attempt(wanted, into, read)
            except _Passing as fault:
                if attempt == ATTEMPTS:
                    raise fault.final from None
                pause = PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1)
                wait = max(pause, fault.wait or 0.0)
            if wait > LONGEST_PAUSE:
                about = {"connection": self.connection, "seconds": round(wait), "owner": self.owner}
                raise CitylakeError("pull.asked_to_wait", **about)
            time.sleep(wait)
            attempt += 1

    def _attempt(self, wanted: Wanted, into: Path, read: Callable[[Answer], T]) -> T:
        try:
            return read(self._ask(wanted, into))
        except Unreadable as error:
            raise _Passing(error) from None
        except httpx.RequestError as error:
            raise _Passing(self.unreachable(type(error).__name__)) from None

    def _ask(self, wanted: Wanted, into: Path) -> Answer:
        """One attempt, redirects followed; once more with another proof if the first is not accepted any more."""
        response = self._arrive(wanted)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._credentials.renew():
            response.close()
            response = self._arrive(wanted)
        try:
            status = response.status_code
            if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
                raise _Passing(Refused(status), _asked_to_wait(response.headers.get("Retry-After")))
            if status != httpx.codes.OK and status not in wanted.also:
                raise Refused(status)
            digest = (
                self._keep(response, into, min(wanted.largest or self.largest, self.largest))
                if status == httpx.codes.OK
                else ""
            )
            return Answer(status, response.headers, digest)
        finally:
            response.close()

    def _arrive(self, wanted: Wanted) -> httpx.Response:
        """The answer at the end of all redirects, its body not read yet."""
        url, method, body = wanted.url, wanted.method, wanted.body
        for _ in range(REDIRECTS + 1):
            self._pace()
            response = self._send(url, method, body, wanted.headers)
            if not response.has_redirect_location:
                return response
            response.close()
            url = self._target(url, response.headers["Location"])
            ours = self.is_ours(url)
            url = url if ours else self._bare(url)
            if method != "GET":
                if response.status_code not in (307, 308):
                    method, body = "GET", None
                elif not ours:
                    raise CitylakeError("pull.sent_elsewhere", connection=self.connection, owner=self.owner)
        raise self.unreachable("TooManyRedirects")

    def _target(self, url: httpx.URL, location: str) -> httpx.URL:
        try:
            found = url.join(location)
        except httpx.InvalidURL:
            raise self.unreachable("InvalidURL") from None
        if found.scheme not in ("http", "https") or not found.host:
            raise self.unreachable("InvalidURL")
        return found

    def _send(self, url: httpx.URL, method: str, body: bytes | None, headers: Mapping[str, str]) -> httpx.Response:
        kind = {} if body is None else {"Content-Type": "application/json"}
        ours = self.is_ours(url)
        sent = {name: value for name, value in headers.items() if ours or name in _FOR_EVERYBODY}
        request = self._client.build_request(method, url, content=body, headers={**sent, **kind})
        if ours:
            self._credentials.sign(request)
        return self._client.send(request, stream=True, auth=None)

    def _pace(self) -> None:
        """Wait until another request may be sent."""
        if self.rate is None:
            return
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + 1 / self.rate

    def _keep(self, response: httpx.Response, into: Path, largest: int) -> str:
        """Write the body to a file as it comes; its SHA-256."""
        digest, size, end = hashlib.sha256(), 0, time.monotonic() + PATIENCE
        with into.open("wb") as file:
            for chunk in response.iter_bytes():
                size += len(chunk)
                if size > largest:
                    about = {"connection": self.connection, "largest": largest, "owner": self.owner}
                    raise CitylakeError("pull.too_large", **about)
                if time.monotonic() > end:
                    raise self.unreachable("TooSlow")
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _token(self) -> str:
        """A new token of the client credentials grant. Raises CitylakeError without telling what was answered."""
        assert self._auth is not None and self._auth["by"] == "oauth2"
        values, in_body = self.secret.values, self._auth.get("sends", "header") == "body"
        known = values["token_url"], values["client_id"], values["client_secret"]
        try:
            return OAuthClient(*known, self._auth.get("scope"), in_body).token(self._client)
        except NoToken as error:
            final = self._no_token(error.problem)
            if error.passing:
                raise _Passing(final, _asked_to_wait(error.retry_after)) from None
            raise final from None

    def _no_token(self, problem: str) -> CitylakeError:
        return CitylakeError("pull.no_token", connection=self.connection, problem=problem, owner=self.owner)


def _asked_to_wait(header: str | None) -> float | None:
    """Seconds of a Retry-After header, a number or a date; None if there is none that can be read."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
