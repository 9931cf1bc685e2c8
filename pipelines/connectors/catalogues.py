"""Catalogues of open-data portals, CKAN and DCAT: where a resource is now, and the catalogue itself as rows.

Fetching the resource, and what is in it, does not belong here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import httpx
from pydantic import Field, with_config
from typing_extensions import TypedDict

from pipelines.connectors import json_ld, rdf
from pipelines.connectors.base import Request, read_json
from pipelines.connectors.http import Answer, Refused, Site, Unreadable, Wanted
from pipelines.connectors.linked_data import Graph, Node
from pipelines.connectors.paged import Interface
from pipelines.connectors.paging import Asked, ByOffset, first
from pipelines.connectors.rest_api import Paths, Question, Success, since_value
from pipelines.connectors.since import Since
from pipelines.messages import CitylakeError
from pipelines.verbs import STRICT

ACTION = "api/3/action/"
MODIFIED = "modified"
"""The column of a harvested catalogue that a load may go on from."""
MOST_PAGES = 1000
LARGEST = 50_000_000
"""Bytes of one answer about a catalogue, which has to fit into memory."""
_ACCEPTED = "application/ld+json, application/json, text/turtle;q=0.9, application/rdf+xml;q=0.8"
_ISO: Since = {"written": "iso"}
_SUCCESS: Success = {"under": "success", "values": [True]}
_OFFSET: ByOffset = {"by": "offset", "size": 100}


@with_config(STRICT)
class Ckan(TypedDict):
    """A CKAN portal; `dataset` by name or id, `resource` by name or id."""

    kind: Literal["ckan"]
    dataset: NotRequired[str]
    resource: NotRequired[str]


@with_config(STRICT)
class Dcat(TypedDict):
    """A DCAT catalogue in JSON-LD, Turtle or RDF/XML at `path`; `dataset`, `resource` by @id, identifier or title."""

    kind: Literal["dcat"]
    path: str
    dataset: NotRequired[str]
    resource: NotRequired[str]


Catalogue = Annotated[Ckan | Dcat, Field(discriminator="kind")]


@dataclass(frozen=True)
class Found:
    """Where a resource is. `stamp`: when the portal last stored its bytes, empty if it does not say so reliably."""

    address: httpx.URL
    stamp: str


def locate(site: Site, catalogue: Catalogue, into: Path) -> Found:
    """The current address of the resource that a contract names; `into` keeps what the catalogue said.

    Raises CitylakeError if there is not exactly one, or the catalogue cannot be read.
    """
    dataset, name = catalogue.get("dataset", ""), catalogue.get("resource", "")
    try:
        if catalogue["kind"] == "ckan":
            url, address, stamp = _on_ckan(site, dataset, name, into)
        else:
            url, address, stamp = _on_dcat(site, catalogue["path"], dataset, name, into)
    except Refused as error:
        if error.status == httpx.codes.NOT_FOUND and catalogue["kind"] == "ckan":
            raise _none_such(site, dataset, 0) from None
        about = {"connection": site.connection, "status": error.status, "path": dataset, "owner": site.owner}
        raise CitylakeError("pull.refused_by_portal", **about) from None
    except Unreadable as error:
        about = {"origin": f"{site.connection}:{dataset}", "problem": error.problem, "owner": site.owner}
        raise CitylakeError("pull.unreadable", **about) from None
    if not address:
        raise CitylakeError("pull.no_address", connection=site.connection, name=name, owner=site.owner)
    return Found(site.linked(address, url), stamp)


def _none_such(site: Site, name: str, count: int) -> CitylakeError:
    return CitylakeError("pull.not_in_catalogue", connection=site.connection, name=name, count=count, owner=site.owner)


def _on_ckan(site: Site, dataset: str, name: str, into: Path) -> tuple[httpx.URL, str, str]:
    url = site.address(f"{ACTION}package_show", {"id": dataset})

    def resources() -> list[dict[str, Any]]:
        found = _parsed(into)
        try:
            return [one for one in found["result"]["resources"] if name in (one["id"], one.get("name"))]
        except (KeyError, TypeError) as error:
            raise Unreadable(type(error).__name__) from None

    matching = site.fetch(_question(url), into, lambda _: resources())
    if len(matching) != 1:
        raise _none_such(site, name, len(matching))
    (one,) = matching
    # CKAN knows when a file that it holds itself was stored; of links to elsewhere it knows nothing.
    stamp = one.get("last_modified") if one.get("url_type") == "upload" else None
    # A relative address is relative to the portal, not to its interface.
    return site.address(""), str(one.get("url") or ""), str(stamp or "")


def _on_dcat(site: Site, path: str, dataset: str, name: str, into: Path) -> tuple[httpx.URL, str, str]:
    url = site.address(path)
    for _ in range(MOST_PAGES):
        graph = site.fetch(_question(url), into, partial(_graph_in, into, url.path))
        named = [node for node in graph.datasets() if _is_named(graph, node, dataset)]
        if len(named) > 1:
            raise _none_such(site, dataset, len(named))
        if named:
            return _distribution(site, graph, named[0], name, url)
        address = graph.following()
        link = site.next_page(address, url) if address else None
        if link is None:
            break
        url = site.page(link)
    raise _none_such(site, dataset, 0)


def _distribution(site: Site, graph: Graph, dataset: Node, name: str, url: httpx.URL) -> tuple[httpx.URL, str, str]:
    matching = [node for node in graph.nodes(dataset, "distribution") if _is_named(graph, node, name)]
    if len(matching) != 1:
        raise _none_such(site, name, len(matching))
    return url, graph.text(matching[0], "downloadURL", "accessURL") or "", ""


def _is_named(graph: Graph, node: Node, name: str) -> bool:
    return name in (node.id, graph.text(node, "identifier"), graph.text(node, "title"))


def _question(url: httpx.URL) -> Wanted:
    return Wanted(url, headers={"Accept": _ACCEPTED}, largest=LARGEST)


def _parsed(file: Path) -> Any:
    try:
        return read_json(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from None


def _graph_in(file: Path, path: str, _: Answer) -> Graph:
    try:
        return _graph(file.read_text("utf-8-sig"), path)
    except (ValueError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from None


def _graph(text: str, path: str) -> Graph:
    """A catalogue's page by how it begins: portals name the type of Turtle in many ways. `path`: of its address.
    Raises ValueError or RecursionError for what is none."""
    if text.lstrip()[:1] in ("{", "["):
        return json_ld.graph(read_json(text))
    return rdf.graph(text, path)


def listing(request: Request, site: Site, catalogue: Catalogue) -> Interface:
    """The catalogue itself: a row for each dataset with dataset_id, title, publisher, licence, modified and resources,
    a JSON array. With a cursor, which can only be `modified`, what changed since. Raises CitylakeError."""
    if request.cursor is not None and request.cursor.column != MODIFIED:
        raise CitylakeError("pull.listing_cursor", connection=site.connection, column=request.cursor.column)
    since = since_value(request, _ISO)
    if catalogue["kind"] == "ckan":
        return _ckan_listing(request, site, str(since) if since else None)
    path = catalogue["path"]
    return Interface(
        request=request,
        site=site,
        path=path,
        wanted=lambda asked: _question(site.page(asked["link"]) if "link" in asked else site.address(path)),
        reader=_DcatDatasets(str(since) if since else None),
        parsed=partial(_graph, path=site.address(path).path),
        first={},
        question={"listing": catalogue, "since": since},
        since=_ISO,
    )


def _ckan_listing(request: Request, site: Site, since: str | None) -> Interface:
    path = f"{ACTION}package_search"
    # Sorted by what does not change, so that no dataset moves to a page that was read already.
    parameters = {"rows": "$size", "start": "$offset", "sort": "id asc", "fq": "metadata_modified:[${since} TO *]"}
    question = Question(path, "GET", parameters, None, {}, _OFFSET, _solr_time(since) if since else None)
    return Interface(
        request=request,
        site=site,
        path=path,
        wanted=lambda asked: replace(question.wanted(site, asked), largest=LARGEST),
        reader=_CkanDatasets(),
        first=first(_OFFSET),
        question={"listing": "ckan", "since": since},
        counted=True,
        since=_ISO,
    )


def _solr_time(since: str) -> str:
    """A time as CKAN's index wants it, in UTC, which is how CKAN writes times without a zone."""
    moment = datetime.fromisoformat(since)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return moment.replace(tzinfo=None).isoformat() + "Z"


class _CkanDatasets:
    """Answers of CKAN's package_search."""

    def __init__(self) -> None:
        self._paths = Paths("result/results", "result/count", _SUCCESS, _OFFSET)

    def records(self, found: Any) -> list[Any]:
        return [_ckan_row(one) if isinstance(one, dict) else one for one in self._paths.records(found)]

    def going_on(self, found: Any, asked: Asked, count: int, header: str) -> tuple[int | None, Asked | None]:
        return self._paths.going_on(found, asked, count, header)


def _ckan_row(found: dict[str, Any]) -> dict[str, Any]:
    organisation, resources = found.get("organization"), found.get("resources")
    kept = ("id", "name", "format", "url", "last_modified", "size", "hash")
    return {
        "dataset_id": found.get("id"),
        "title": found.get("title") or found.get("name"),
        "publisher": organisation.get("title") if isinstance(organisation, dict) else None,
        "licence": found.get("license_title") or found.get("license_id"),
        MODIFIED: found.get("metadata_modified"),
        "resources": [
            {name: one.get(name) for name in kept} if isinstance(one, dict) else one
            for one in (resources if isinstance(resources, list) else [])
        ],
    }


class _DcatDatasets:
    """Pages of a DCAT catalogue. It cannot be asked for what changed, so what did not is left out here."""

    def __init__(self, since: str | None) -> None:
        self._since = _moment(since)

    def records(self, found: Graph) -> list[Any]:
        return list(self._rows(found))

    def going_on(self, found: Graph, asked: Asked, count: int, header: str) -> tuple[int | None, Asked | None]:
        link = found.following()
        return (found.total() if self._since is None else None), {"link": link} if link else None

    def _rows(self, graph: Graph) -> Iterator[dict[str, Any]]:
        for node in graph.datasets():
            modified = graph.text(node, "modified")
            moment = _moment(modified)
            if self._since is None or moment is None or moment >= self._since:
                yield _dcat_row(graph, node, modified)


def _dcat_row(graph: Graph, node: Node, modified: str | None) -> dict[str, Any]:
    distributions = list(graph.nodes(node, "distribution"))
    licences = (graph.text(one, "license") for one in (node, *distributions))
    return {
        "dataset_id": graph.text(node, "identifier") or node.name,
        "title": graph.text(node, "title"),
        "publisher": graph.text(node, "publisher"),
        "licence": next((licence for licence in licences if licence), None),
        MODIFIED: modified,
        "resources": [
            {
                "id": one.name,
                "name": graph.text(one, "title"),
                "format": graph.text(one, "format", "mediaType"),
                "url": graph.text(one, "downloadURL", "accessURL"),
                "last_modified": graph.text(one, "modified"),
            }
            for one in distributions
        ],
    }


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
