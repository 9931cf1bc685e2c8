"""Connector `open_portal`: a file of an open-data portal over HTTP, fetched only when it has changed.

What the portal sent is kept unchanged in raw beside its rows.
"""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import httpx

from pipelines.connectors.base import (
    About,
    Delimiter,
    Encoding,
    Pulled,
    Request,
    connectors,
    require_columns,
)
from pipelines.connectors.formats import LocalFile, formats
from pipelines.messages import CitylakeError

ATTEMPTS = 3
PAUSE = 1.0
"""Seconds before the second attempt; twice as long before the third."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
PATIENCE = 1800.0
"""Seconds that a body may take: a portal that sends a byte now and then would hold up everything."""


@connectors.register(About(asks=True))
def open_portal(
    request: Request,
    *,
    connection: str,
    path: str,
    format: Literal["csv", "json"] = "csv",
    records: str | None = None,
    largest: int = 500_000_000,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = ",",
) -> Pulled | None:
    """Fetch `path` below the address of the connection: CSV, or JSON with an array of objects under `records`.

    Position: the portal's validators (ETag, Last-Modified) and the SHA-256 of the body. Raises CitylakeError when the
    portal does not answer, refuses, sends more than `largest` bytes or something that cannot be read.
    """
    origin = f"{connection}:{path}"
    body = request.target.with_name("original")
    position = _fetch(_Resource(request, connection, path, largest), body)
    if position is None or position["sha256"] == request.position.get("sha256"):
        return None
    file = LocalFile(body, origin, request)
    if format == "csv":
        table = formats["csv"].function(file, encoding=encoding, delimiter=delimiter)
    else:
        table = formats["json"].function(file, records=records)
    require_columns(request, table.names, origin)
    return Pulled(table.write(request), table.names, origin, position)


class _Resource:
    """What is asked for, and how messages name it: never by its address, which may hold a key."""

    def __init__(self, request: Request, connection: str, path: str, largest: int) -> None:
        self.connection, self.path, self.largest, self.owner = connection, path, largest, request.owner
        self.known: Mapping[str, Any] = request.position
        try:
            base, resource = httpx.URL(request.secret(connection)), httpx.URL(path.lstrip("/"))
        except httpx.InvalidURL:
            raise self.unreachable("InvalidURL") from None
        joined = f"{base.path.rstrip('/')}/{resource.path}"
        self.address = base.copy_with(path=joined, params=base.params.merge(resource.params) or None)

    def unreachable(self, problem: str) -> CitylakeError:
        return CitylakeError("pull.unreachable", connection=self.connection, problem=problem, owner=self.owner)


def _fetch(resource: _Resource, body: Path) -> dict[str, str] | None:
    """Stream the body to a file; None when nothing changed. Asked again after a while when the portal does not answer,
    breaks off, or says that it is its own fault."""
    attempt = 1
    while True:
        try:
            return _ask(resource, body)
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if status < 500 or attempt == ATTEMPTS:
                about = {"connection": resource.connection, "status": status, "path": resource.path}
                raise CitylakeError("pull.refused_by_portal", **about, owner=resource.owner) from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            if attempt == ATTEMPTS:
                raise resource.unreachable(type(error).__name__) from None
        time.sleep(PAUSE * attempt)
        attempt += 1


def _ask(resource: _Resource, body: Path) -> dict[str, str] | None:
    """One attempt. Raises httpx.HTTPStatusError for an answer that is neither the body nor "not modified"."""
    asked = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
    headers = {asked[name]: str(resource.known[name]) for name in asked if resource.known.get(name)}
    # Government networks have proxies for the way out; a source is reached directly, as its address says.
    with (
        httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=True) as client,
        client.stream("GET", resource.address, headers=headers) as response,
    ):
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None
        if response.status_code != httpx.codes.OK:
            raise httpx.HTTPStatusError("", request=response.request, response=response)
        digest = _keep(response, body, resource)
        validators = {"etag": response.headers.get("ETag", ""), "modified": response.headers.get("Last-Modified", "")}
    return {**validators, "sha256": digest}


def _keep(response: httpx.Response, body: Path, resource: _Resource) -> str:
    """Write the body to a file as it comes; its SHA-256."""
    digest, size, end = hashlib.sha256(), 0, time.monotonic() + PATIENCE
    with body.open("wb") as file:
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > resource.largest:
                about = {"connection": resource.connection, "largest": resource.largest, "owner": resource.owner}
                raise CitylakeError("pull.too_large", **about)
            if time.monotonic() > end:
                raise resource.unreachable("TooSlow")
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
