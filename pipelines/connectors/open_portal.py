"""Connector `open_portal`: a file of an open-data portal over HTTP, fetched only when it has changed, or its catalogue.

The file is named by its path, or by dataset and resource of a CKAN or DCAT catalogue, which says where it is now. What
the portal sent is kept unchanged in raw beside the rows.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import httpx

from pipelines.connectors.base import (
    About,
    Delimiter,
    Encoding,
    Pulled,
    Request,
    connectors,
    first_written,
    require_columns,
)
from pipelines.connectors.catalogues import Catalogue, Found, listing, locate
from pipelines.connectors.credentials import Auth
from pipelines.connectors.formats import LocalFile, formats
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
    file = LocalFile(body, origin, request)
    if format == "csv":
        table = formats["csv"].function(file, encoding=encoding, delimiter=delimiter)
    else:
        table = formats["json"].function(file, records=records)

    def rows() -> Iterator[Sequence[object]]:
        table.write(request)
        yield from first_written(request.target, table.names)

    require_columns(request, table.names, origin, rows)
    return Pulled(table.write(request), table.names, origin, position)


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
