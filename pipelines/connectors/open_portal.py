"""Connector `open_portal`: a file of an open-data portal over HTTP, fetched only when it has changed.

What the portal sent is kept unchanged in raw beside its rows.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

import httpx
import polars as pl

from pipelines.connectors.base import About, Pulled, Request, connectors, require_columns
from pipelines.messages import CitylakeError

ATTEMPTS = 3
PAUSE = 1.0
"""Seconds before the second attempt; twice as long before the third."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)


@connectors.register(About(asks=True))
def open_portal(
    request: Request,
    *,
    connection: str,
    path: str,
    format: Literal["csv", "json"] = "csv",
    records: str | None = None,
    largest: int = 500_000_000,
) -> Pulled | None:
    """Fetch `path` below the address of the connection: CSV, or JSON with an array of objects under `records`.

    Position: the portal's validators (ETag, Last-Modified) and the SHA-256 of the body. Raises CitylakeError when the
    portal does not answer, refuses, sends more than `largest` bytes or something that cannot be read.
    """
    address = urljoin(request.secret(connection).rstrip("/") + "/", path.lstrip("/"))
    body = request.target.with_name("original")
    position = _fetch(address, request.position, body, largest, connection, request.owner)
    if position is None or position["sha256"] == request.position.get("sha256"):
        return None
    origin = f"{connection}:{path}"
    frame = _read(body, format, records, origin, request.owner)
    require_columns(request, frame.columns, origin)
    frame.write_parquet(request.target, compression="zstd")
    return Pulled(frame.height, tuple(frame.columns), origin, position)


def _fetch(
    address: str, known: Mapping[str, Any], body: Path, largest: int, connection: str, owner: str
) -> dict[str, str] | None:
    """Stream the body to a file; None when the portal says that nothing changed."""
    asked = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
    headers = {asked[name]: str(known[name]) for name in asked if known.get(name)}
    with _answer(address, headers, connection, owner) as response:
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None
        if response.status_code != httpx.codes.OK:
            about = {"connection": connection, "status": response.status_code, "path": urlsplit(address).path}
            raise CitylakeError("pull.refused_by_portal", **about, owner=owner)
        digest, size = hashlib.sha256(), 0
        with body.open("wb") as file:
            for chunk in response.iter_bytes():
                size += len(chunk)
                if size > largest:
                    raise CitylakeError("pull.too_large", connection=connection, largest=largest, owner=owner)
                digest.update(chunk)
                file.write(chunk)
        validators = {"etag": response.headers.get("ETag", ""), "modified": response.headers.get("Last-Modified", "")}
    return {**validators, "sha256": digest.hexdigest()}


@contextmanager
def _answer(address: str, headers: dict[str, str], connection: str, owner: str) -> Iterator[httpx.Response]:
    """The portal's answer; asked again after a while when it does not answer or says that it is its own fault."""
    # Government networks have proxies for the way out; a source is reached directly, as its address says.
    with httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=True) as client:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with client.stream("GET", address, headers=headers) as response:
                    if response.status_code < 500 or attempt == ATTEMPTS:
                        yield response
                        return
            except httpx.TransportError as error:
                if attempt == ATTEMPTS:
                    about = {"connection": connection, "problem": type(error).__name__}
                    raise CitylakeError("pull.unreachable", **about, owner=owner) from None
            time.sleep(PAUSE * attempt)


def _read(body: Path, format: str, records: str | None, origin: str, owner: str) -> pl.DataFrame:
    """The rows with every value as text."""
    try:
        if format == "csv":
            return pl.read_csv(body, infer_schema=False)
        found = json.loads(body.read_bytes())
        for key in records.split("/") if records else ():
            found = found[key]
        names = dict.fromkeys(name for row in found for name in row)
        return pl.DataFrame({name: [_text(row.get(name)) for row in found] for name in names})
    except (ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        raise CitylakeError("pull.unreadable", origin=origin, problem=type(error).__name__, owner=owner) from error


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
