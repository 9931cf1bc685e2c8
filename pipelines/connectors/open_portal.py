"""Connector `open_portal`: a file of an open-data portal over HTTP, fetched only when it has changed, or its catalogue.

The file is named by its path, or by dataset and resource of a CKAN or DCAT catalogue, which says where it is now. What
the portal sent is kept unchanged in raw beside the rows.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx

from pipelines.connectors.base import (
    UNREAD,
    About,
    CsvFile,
    Delimiter,
    Encoding,
    Pulled,
    Request,
    connectors,
    header_names,
    object_rows,
    read_json,
    require_columns,
    write_rows,
)
from pipelines.connectors.catalogues import Catalogue, Found, listing, locate
from pipelines.connectors.credentials import Auth
from pipelines.connectors.http import Answer, Refused, Site, Wanted
from pipelines.messages import CitylakeError


@connectors.register(About(asks=True))
def open_portal(
    request: Request,
    *,
    connection: str,
    path: str | None = None,
    catalogue: Catalogue | None = None,
    harvest: Literal["list"] | None = None,
    format: Literal["csv", "json"] = "csv",
    records: str | None = None,
    auth: Auth | None = None,
    largest: int = 500_000_000,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = ",",
) -> Pulled | None:
    """Fetch `path` below the address of the connection, or the resource that the catalogue names: CSV, or JSON with an
    array of objects under `records`. With `harvest` the rows are the catalogue's datasets.

    Position: the portal's validators (ETag, Last-Modified), the SHA-256 of the body and of its address. Raises
    CitylakeError when the portal does not answer, refuses, sends more than `largest` bytes or something that cannot be
    read.
    """
    named = catalogue is not None and bool(catalogue.get("dataset") and catalogue.get("resource"))
    if [path is not None, named and not harvest, catalogue is not None and bool(harvest)].count(True) != 1:
        raise CitylakeError("pull.portal_choice", connection=connection)
    with Site(request, connection, auth, largest) as site:
        if catalogue is None:
            assert path is not None
            return _pull(request, site, path, Found(site.address(path), ""), format, records, encoding, delimiter)
        if harvest:
            return listing(request, site, catalogue).pull()
        found = locate(site, catalogue, request.target.with_name("catalogue.json"))
        name = f"{catalogue.get('dataset')}/{catalogue.get('resource')}"
        return _pull(request, site, name, found, format, records, encoding, delimiter)


def _pull(
    request: Request,
    site: Site,
    name: str,
    found: Found,
    format: Literal["csv", "json"],
    records: str | None,
    encoding: Encoding,
    delimiter: Delimiter,
) -> Pulled | None:
    """The rows of one file. `name`: how messages call it, never by its address, which may hold a key."""
    origin = f"{site.connection}:{name}"
    body = request.target.with_name("original")
    position = _fetch(request, site, name, found)
    if position is None or position["sha256"] == request.position.get("sha256"):
        return None
    if format == "csv":
        names, rows = CsvFile(body, encoding, delimiter, origin, request.owner).read()
    else:
        names, rows = _json(body, records, origin, request)
    require_columns(request, names, origin, lambda: rows)
    count = write_rows(request, names, rows)
    return Pulled(count, names, origin, position)


def _fetch(request: Request, site: Site, name: str, found: Found) -> dict[str, str] | None:
    """Stream the body to a file; None when nothing changed, which what is known of the same address tells."""
    address = hashlib.sha256(site.shown(found.address).encode()).hexdigest()
    last = request.position if request.position.get("address") == address else {}
    if found.stamp and last.get("stamp") == found.stamp:
        return None
    asked = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
    headers = {asked[key]: str(last[key]) for key in asked if last.get(key)}
    wanted = Wanted(
        found.address, headers=headers, also=frozenset({httpx.codes.NOT_MODIFIED}) if headers else frozenset()
    )
    try:
        answer: Answer = site.fetch(wanted, request.target.with_name("original"), lambda answer: answer)
    except Refused as error:
        about = {"connection": site.connection, "status": error.status, "path": name, "owner": request.owner}
        raise CitylakeError("pull.refused_by_portal", **about) from None
    if answer.status == httpx.codes.NOT_MODIFIED:
        return None
    validators = {"etag": answer.headers.get("ETag", ""), "modified": answer.headers.get("Last-Modified", "")}
    return {**validators, "sha256": answer.sha256, "address": address, "stamp": found.stamp}


def _json(
    body: Path, records: str | None, origin: str, request: Request
) -> tuple[tuple[str, ...], Iterator[list[str]]]:
    """The names of all keys and the rows."""
    try:
        found = read_json(body.read_bytes())
        for key in records.split("/") if records else ():
            found = found[key]
        if not isinstance(found, list):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        about = {"origin": origin, "problem": type(error).__name__, "owner": request.owner}
        raise CitylakeError("pull.unreadable", **about) from error
    rows = list(object_rows(((value, json.dumps(value)) for value in found), request))
    keys = list(dict.fromkeys(name for row in rows for name in row if name != UNREAD))
    names = header_names(keys, origin, request.owner)
    return names, ([row.get(name) or "" for name in (*names, UNREAD)] for row in rows)
