"""Fetching the files of one version: each whole, by addresses that may end before all files have come.

A file that came is kept while the server is asked for fresh addresses of the others. What the files say is in `rows`.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from pipelines.connectors.exchange.answers import Kind, SharedFile, SharedTable
from pipelines.connectors.exchange.server import ATTEMPTS, PATIENCE, PAUSE, Answer, Interrupted, Server


@dataclass(frozen=True)
class Part:
    """One file on disk. `rows`: how many it should have, None where the server does not say."""

    path: Path
    rows: int | None
    partition: Mapping[str, str | None]
    kind: Kind = "insert"


def download(server: Server, folder: Path, ask: Callable[[], Answer]) -> tuple[SharedTable, list[Part]]:
    """All files that an answer names, below `folder`; `ask`: has fresh addresses each time.

    Raises CitylakeError when some do not come whole however often they are asked for, or when new versions are
    published faster than they can be fetched."""
    fetched: dict[str, Path] = {}
    table: SharedTable | None = None
    fruitless, replaced = 0, 0
    while True:
        shared, files = ask()
        if table is not None and shared.position != table.position:
            replaced += 1
            if replaced == ATTEMPTS:
                raise server.error("pull.exchange_changing")
            for path in fetched.values():
                path.unlink()
            fetched.clear()
        table, before = shared, len(fetched)
        try:
            for number, file in enumerate(files, 1):
                if file.id not in fetched:
                    path = folder / f"{len(fetched)}.parquet"
                    _fetch(server, file, path, f"{number}/{len(files)}")
                    fetched[file.id] = path
            return table, [Part(fetched[file.id], file.rows, file.partition, file.kind) for file in files]
        except Interrupted as problem:
            fruitless = 0 if len(fetched) > before else fruitless + 1
            if fruitless == ATTEMPTS:
                raise server.error(problem.code, **problem.about) from None
            time.sleep(PAUSE * max(fruitless, 1))


def _fetch(server: Server, file: SharedFile, path: Path, name: str) -> None:
    """Stream one file to disk. Raises Interrupted unless it came whole."""
    if file.expires is not None and file.expires <= time.monotonic():
        raise Interrupted("pull.exchange_file", file=name, problem="Expired")
    try:
        with server.files.stream("GET", file.url, headers={"Accept-Encoding": "identity"}) as response:
            if response.status_code != httpx.codes.OK:
                raise Interrupted("pull.exchange_file", file=name, problem=f"HTTP {response.status_code}")
            size, digest = _keep(response, path, file.size)
            told = response.headers.get("content-md5")
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise Interrupted("pull.exchange_file", file=name, problem=type(error).__name__) from None
    if file.size and size != file.size:
        raise Interrupted("pull.exchange_file", file=name, problem=f"{size} ≠ {file.size} bytes")
    if told and told != digest:
        raise Interrupted("pull.exchange_file", file=name, problem="Content-MD5")


def _keep(response: httpx.Response, path: Path, expected: int) -> tuple[int, str]:
    """Write a body to a file as it comes, no further than it may be long; its bytes and its MD5 as HTTP writes it."""
    size, digest, end = 0, hashlib.md5(usedforsecurity=False), time.monotonic() + PATIENCE
    with path.open("wb") as file:
        for chunk in response.iter_bytes():
            size += len(chunk)
            file.write(chunk)
            digest.update(chunk)
            if expected and size > expected:
                break
            if time.monotonic() > end:
                raise httpx.ReadTimeout("")
    return size, base64.b64encode(digest.digest()).decode()
