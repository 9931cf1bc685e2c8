"""Catalogues as portals serve them: where a resource is now, and the catalogue itself as rows."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from rdflib import BNode, Graph, Literal, Namespace, URIRef
from rdflib.namespace import DCAT, DCTERMS, FOAF, RDF, XSD

from pipelines.connectors import http
from pipelines.connectors.base import UNREAD, Cursor
from pipelines.messages import CitylakeError
from tests.connectors.conftest import Puller
from tests.connectors.rest_server import Asked, Server, as_json

pytestmark = pytest.mark.server

COLUMNS = ["dataset_id", "title", "publisher", "licence", "modified", "resources"]
HYDRA = Namespace("http://www.w3.org/ns/hydra/core#")
WRITTEN = {"/catalog.ttl": "turtle", "/catalog.xml": "pretty-xml"}
KEY = {"by": "header", "header": "Authorization"}


class CkanPortal:
    """What CKAN's own interface does: sorted search with a filter by time, rows capped, answers with `success`."""

    def __init__(self, count: int = 0, cap: int = 1000) -> None:
        self.datasets = [self.dataset(number) for number in range(count)]
        self.cap = cap
        self.files: dict[str, bytes] = {}
        self.key: str | None = None

    def dataset(self, number: int, **changed: Any) -> dict[str, Any]:
        resource = {
            "id": f"r{number}",
            "name": "观测.csv",
            "format": "CSV",
            "url": "/files/a.csv",
            "url_type": "upload",
        }
        return {
            "id": f"d{number:03}",
            "name": f"dataset-{number}",
            "title": f"数据集 {number}",
            "organization": {"title": "市统计局"},
            "license_title": "CC-BY",
            "metadata_modified": f"2026-11-{number % 28 + 1:02}T08:00:00.123456",
            "resources": [resource | {"last_modified": "2026-11-01T00:00:00"}],
        } | changed

    def __call__(self, asked: Asked) -> Any:
        if self.key is not None and asked.headers.get("authorization") != self.key:
            return as_json({"success": False, "error": {"__type": "Authorization Error"}}, 403)
        if asked.path.startswith("/files/"):
            return self._file(asked)
        if asked.path == "/api/3/action/package_show":
            found = [one for one in self.datasets if asked.query["id"] in (one["id"], one["name"])]
            error = {"success": False, "error": {"__type": "Not Found Error"}}
            return as_json({"success": True, "result": found[0]}) if found else as_json(error, 404)
        assert asked.path == "/api/3/action/package_search"
        return self._search(asked)

    def _file(self, asked: Asked) -> Any:
        body = self.files[asked.path]
        mark = f'"{len(body)}"'
        return (304, {}, b"") if asked.headers.get("if-none-match") == mark else (200, {"ETag": mark}, body)

    def _search(self, asked: Asked) -> Any:
        assert asked.query["sort"] == "id asc"
        found = sorted(self.datasets, key=lambda one: one["id"])
        if filtered := asked.query.get("fq"):
            since = filtered.removeprefix("metadata_modified:[").removesuffix("Z TO *]")
            datetime.fromisoformat(since)
            found = [one for one in found if one["metadata_modified"] >= since]
        start, rows = int(asked.query["start"]), min(int(asked.query["rows"]), self.cap)
        return as_json({"success": True, "result": {"count": len(found), "results": found[start : start + rows]}})


class Portal:
    """A portal and pulls from it."""

    def __init__(self, make: Callable[..., Puller]) -> None:
        self.ckan = CkanPortal()
        self.server = Server(self.ckan)
        self.make = make
        self.lists = 0
        self.source = make("open_portal", self.server.url, ["id"])

    def resource(self, **catalogue: Any) -> list[dict[str, Any]] | None:
        wanted = {"kind": "ckan", "dataset": "dataset-0", "resource": "观测.csv"} | catalogue
        self.server.asked.clear()
        return self.source.pull(catalogue=wanted)

    def paths(self) -> list[str]:
        return [asked.path for asked in self.server.asked]


@pytest.fixture
def portal(puller: Callable[..., Puller], monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    monkeypatch.setattr(http, "PAUSE", 0.001)
    found = Portal(puller)
    yield found
    found.server.stop()


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(CitylakeError) as caught:
        call()
    return caught.value.code


def lists(
    portal: Portal, catalogue: dict[str, Any], cursor: Cursor | None = None
) -> Callable[..., list[dict[str, Any]]]:
    source = portal.make("open_portal", portal.server.url, COLUMNS, cursor)
    portal.lists += 1
    source.folder = source.folder.with_name(f"list-{portal.lists}")
    return lambda **arguments: source.pull(catalogue=catalogue, harvest="list", **arguments)  # type: ignore[return-value]


def test_a_resource_of_ckan_by_its_name(portal: Portal) -> None:
    portal.ckan.datasets = [portal.ckan.dataset(0)]
    portal.ckan.files["/files/a.csv"] = b"id\n1\n"
    assert portal.resource() == [{"id": "1", UNREAD: None}]
    assert json.loads((portal.source.batch / "catalogue.json").read_bytes())["result"]["license_title"] == "CC-BY"
    assert portal.resource() is None
    assert portal.paths() == ["/api/3/action/package_show"]  # CKAN says that the file is the same: it is not asked for


def test_a_new_address_is_followed(portal: Portal) -> None:
    moved = portal.ckan.dataset(0)
    portal.ckan.datasets = [moved]
    portal.ckan.files = {"/files/a.csv": b"id\n1\n", "/files/b.csv": b"id\n2\n"}
    portal.resource()
    moved["resources"][0]["url"] = f"{portal.server.url}/files/b.csv"
    assert portal.resource() == [{"id": "2", UNREAD: None}]
    assert "if-none-match" not in portal.server.asked[1].headers  # that was of another file, with the same mark


def test_a_link_to_elsewhere_is_asked_with_its_validators(portal: Portal) -> None:
    portal.ckan.datasets = [portal.ckan.dataset(0)]
    portal.ckan.datasets[0]["resources"][0]["url_type"] = None
    portal.ckan.files["/files/a.csv"] = b"id\n1\n"
    portal.resource()
    assert portal.resource() is None
    assert portal.server.asked[1].headers["if-none-match"] == '"5"'
    portal.ckan.files["/files/a.csv"] = b"id\n1\n2\n"
    assert len(portal.resource() or []) == 2


def test_what_is_not_in_the_catalogue_is_said(portal: Portal) -> None:
    assert refused(portal.resource) == "pull.not_in_catalogue"
    portal.ckan.datasets = [portal.ckan.dataset(0)]
    assert refused(lambda: portal.resource(resource="x")) == "pull.not_in_catalogue"
    portal.ckan.datasets[0]["resources"] *= 2
    assert refused(portal.resource) == "pull.not_in_catalogue"
    portal.ckan.datasets[0]["resources"] = [{"id": "r0", "name": "观测.csv", "url": ""}]
    assert refused(portal.resource) == "pull.no_address"
    portal.server.handle = lambda _: as_json({"success": True})
    assert refused(portal.resource) == "pull.unreadable"
    portal.server.handle = lambda _: as_json({}, 403)
    assert refused(portal.resource) == "pull.refused_by_portal"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"path": "x", "catalogue": {"kind": "ckan", "dataset": "d", "resource": "r"}},
        {"catalogue": {"kind": "ckan", "dataset": "d"}},
        {"harvest": "list"},
        {"path": "x", "catalogue": {"kind": "ckan"}, "harvest": "list"},
    ],
)
def test_a_contract_must_choose(portal: Portal, arguments: dict[str, Any]) -> None:
    assert refused(lambda: portal.source.pull(**arguments)) == "pull.portal_choice"


def test_the_key_is_for_the_portal_only(portal: Portal) -> None:
    elsewhere = Server(lambda _: (200, {}, b"id\n1\n"), host="127.0.0.2")
    portal.ckan.datasets = [portal.ckan.dataset(0)]
    portal.ckan.datasets[0]["resources"][0]["url"] = f"{elsewhere.url}/x.csv"
    portal.ckan.key = "geheim"
    portal.source.secret = json.dumps({"url": portal.server.url, "key": "geheim"})
    wanted = {"kind": "ckan", "dataset": "dataset-0", "resource": "r0"}
    assert portal.source.pull(catalogue=wanted, auth=KEY) == [{"id": "1", UNREAD: None}]
    elsewhere.stop()
    assert "authorization" not in elsewhere.asked[0].headers
    assert "geheim" not in json.dumps(portal.source.position)


@pytest.mark.parametrize("cap", [1000, 40])
@pytest.mark.parametrize("count", [0, 1, 100, 230])
def test_the_list_of_a_ckan_portal(portal: Portal, count: int, cap: int) -> None:
    portal.server.handle = portal.ckan = CkanPortal(count, cap)
    rows = lists(portal, {"kind": "ckan"})()
    assert [row["dataset_id"] for row in rows] == [f"d{number:03}" for number in range(count)]
    for row in rows[:1]:
        assert {name: row[name] for name in COLUMNS[1:5]} == {
            "title": "数据集 0",
            "publisher": "市统计局",
            "licence": "CC-BY",
            "modified": "2026-11-01T08:00:00.123456",
        }
        assert json.loads(row["resources"])[0]["name"] == "观测.csv"


def test_a_list_is_whole_or_nothing(portal: Portal) -> None:
    portal.server.handle = portal.ckan = CkanPortal(230)
    pull = lists(portal, {"kind": "ckan"})
    portal.server.faults = [""] + ["500"] * http.ATTEMPTS
    assert refused(pull) == "pull.refused_page"
    portal.server.asked.clear()
    assert len(pull()) == 230
    assert portal.server.asked[0].query["start"] == "100"
    portal.ckan.datasets.pop()
    assert len(pull()) == 229  # what was deleted is missing in a whole list


def test_changed_datasets_of_ckan(portal: Portal) -> None:
    portal.server.handle = portal.ckan = CkanPortal(5)
    pull = lists(portal, {"kind": "ckan"}, Cursor("modified", 60))
    assert len(pull()) == 5
    portal.ckan.datasets.append(portal.ckan.dataset(7))
    assert [row["dataset_id"] for row in pull()] == ["d004", "d007"]
    assert portal.server.asked[-1].query["fq"] == "metadata_modified:[2026-11-05T07:59:00.123456Z TO *]"
    wrong = lists(portal, {"kind": "ckan"}, Cursor("title", 0))
    assert refused(wrong) == "pull.listing_cursor"


def dcat_page(url: str, number: int, last: int) -> dict[str, Any]:
    """One page as ckanext-dcat writes it: a flat graph of nodes that refer to each other."""
    dataset, distribution = f"{url}/dataset/{number}", f"{url}/dataset/{number}/resource/1"
    paging: dict[str, Any] = {
        "@id": f"{url}/catalog.jsonld?page={number}",
        "@type": "hydra:PagedCollection",
        "hydra:totalItems": {"@type": "xsd:integer", "@value": str(last)},
    }
    if number < last:
        paging["hydra:nextPage"] = f"{url}/catalog.jsonld?page={number + 1}"
    return {
        "@context": {"dcat": "http://www.w3.org/ns/dcat#"},
        "@graph": [
            paging,
            {"@id": f"{url}/catalog", "@type": "dcat:Catalog", "dcat:dataset": {"@id": dataset}, "dct:title": "目录"},
            {
                "@id": dataset,
                "@type": "dcat:Dataset",
                "dct:identifier": f"id-{number}",
                "dct:title": [{"@language": "en", "@value": "Air"}, {"@language": "zh-CN", "@value": f"空气 {number}"}],
                "dct:publisher": {"@id": "_:org"},
                "dct:modified": {"@type": "xsd:dateTime", "@value": f"2026-11-0{number}T08:00:00+08:00"},
                "dcat:distribution": [{"@id": distribution}],
            },
            {"@id": "_:org", "@type": "foaf:Organization", "foaf:name": "市生态环境局"},
            {
                "@id": distribution,
                "@type": "dcat:Distribution",
                "dct:title": "小时值",
                "dct:license": {"@id": "http://creativecommons.org/licenses/by/4.0/"},
                "dcat:downloadURL": {"@id": f"{url}/files/a.csv"},
                "dcat:mediaType": "text/csv",
            },
        ],
    }


def described(url: str, path: str, number: int, last: int) -> bytes:
    """The same page as ckanext-dcat writes it, in Turtle or RDF/XML; with relative addresses and nameless nodes."""
    page, dataset = URIRef(f"{url}{path}?page={number}"), URIRef(f"{url}/dataset/{number}")
    organisation, distribution = BNode(), BNode()
    found = Graph()
    found.add((page, RDF.type, HYDRA.PagedCollection))
    found.add((page, HYDRA.totalItems, Literal(last)))
    if number < last:
        found.add((page, HYDRA.nextPage, URIRef(f"{url}{path}?page={number + 1}")))
    found.add((URIRef(f"{url}/catalog"), RDF.type, DCAT.Catalog))
    found.add((URIRef(f"{url}/catalog"), DCAT.dataset, dataset))
    found.add((dataset, RDF.type, DCAT.Dataset))
    found.add((dataset, DCTERMS.identifier, Literal(f"id-{number}")))
    found.add((dataset, DCTERMS.title, Literal("Air", lang="en")))
    found.add((dataset, DCTERMS.title, Literal(f"空气 {number}", lang="zh-CN")))
    found.add((dataset, DCTERMS.publisher, organisation))
    found.add((organisation, FOAF.name, Literal("市生态环境局")))
    found.add((dataset, DCTERMS.modified, Literal(f"2026-11-0{number}T08:00:00+08:00", datatype=XSD.dateTime)))
    for name, file in (("小时值", "a.csv"), ("日值", "b.csv"), ("月值", "c.csv")):
        found.add((dataset, DCAT.distribution, distribution))
        found.add((distribution, RDF.type, DCAT.Distribution))
        found.add((distribution, DCTERMS.title, Literal(name)))
        found.add((distribution, DCTERMS.license, URIRef("http://creativecommons.org/licenses/by/4.0/")))
        found.add((distribution, DCAT.downloadURL, URIRef(f"/files/{file}")))
        distribution = BNode()
    return found.serialize(format=WRITTEN[path], encoding="utf-8")


NESTED = {
    "@type": "dcat:Catalog",
    "dataset": [
        {
            "@type": "dcat:Dataset",
            "identifier": "n-1",
            "title": {"en": "Air", "zh": "空气"},
            "publisher": {"@type": "org:Organization", "name": "市生态环境局"},
            "license": "https://example.org/licence",
            "modified": "2026-11-01",
            "distribution": [{"@type": "dcat:Distribution", "title": "a.csv", "downloadURL": "files/a.csv"}],
        }
    ],
}


@pytest.fixture
def dcat(portal: Portal) -> Portal:
    def serve(asked: Asked) -> Any:
        if asked.path.startswith("/files/"):
            return (304, {}, b"") if asked.headers.get("if-none-match") == '"a"' else (200, {"ETag": '"a"'}, b"id\n1\n")
        if asked.path == "/data.json":
            return as_json(NESTED)
        if asked.path in WRITTEN:
            body = described(portal.server.url, asked.path, int(asked.query.get("page", 1)), 3)
            return 200, {"Content-Type": "application/octet-stream"}, body
        return as_json(dcat_page(portal.server.url, int(asked.query.get("page", 1)), 3))

    portal.server.handle = serve
    return portal


@pytest.mark.parametrize(
    "catalogue",
    [
        {"path": "catalog.jsonld", "dataset": "id-2", "resource": "小时值"},
        {"path": "catalog.jsonld", "dataset": "空气 3", "resource": "小时值"},
        {"path": "data.json", "dataset": "n-1", "resource": "a.csv"},
        {"path": "catalog.ttl", "dataset": "id-1", "resource": "小时值"},
        {"path": "catalog.xml", "dataset": "空气 1", "resource": "小时值"},
    ],
)
def test_a_resource_of_a_dcat_catalogue(dcat: Portal, catalogue: dict[str, str]) -> None:
    assert dcat.resource(kind="dcat", **catalogue) == [{"id": "1", UNREAD: None}]
    assert dcat.resource(kind="dcat", **catalogue) is None
    assert refused(lambda: dcat.resource(kind="dcat", **catalogue | {"dataset": "x"})) == "pull.not_in_catalogue"


def test_the_list_of_a_dcat_catalogue(dcat: Portal) -> None:
    rows = lists(dcat, {"kind": "dcat", "path": "catalog.jsonld"})()
    assert [row["dataset_id"] for row in rows] == ["id-1", "id-2", "id-3"]
    assert {name: rows[0][name] for name in COLUMNS[1:5]} == {
        "title": "空气 1",
        "publisher": "市生态环境局",
        "licence": "http://creativecommons.org/licenses/by/4.0/",
        "modified": "2026-11-01T08:00:00+08:00",
    }
    (nested,) = lists(dcat, {"kind": "dcat", "path": "data.json"})()
    assert (nested["title"], nested["publisher"], nested["licence"]) == (
        "空气",
        "市生态环境局",
        "https://example.org/licence",
    )
    (resource,) = json.loads(nested["resources"])
    assert (resource["name"], resource["url"]) == ("a.csv", "files/a.csv")


@pytest.mark.parametrize("path", ["catalog.ttl", "catalog.xml"])
def test_a_catalogue_in_another_writing_has_the_same_list(dcat: Portal, path: str) -> None:
    pulls = [lists(dcat, {"kind": "dcat", "path": path})() for _ in range(3)]
    assert pulls[0] == pulls[1] == pulls[2]  # nameless nodes have other names each time
    about = [
        {name: row[name] for name in COLUMNS[:5]} for row in lists(dcat, {"kind": "dcat", "path": "catalog.jsonld"})()
    ]
    assert [{name: row[name] for name in COLUMNS[:5]} for row in pulls[0]] == about
    resources = json.loads(pulls[0][0]["resources"])
    assert {(one["id"], one["name"], one["url"]) for one in resources} == {
        (None, "小时值", "/files/a.csv"),
        (None, "日值", "/files/b.csv"),
        (None, "月值", "/files/c.csv"),
    }


def test_changed_datasets_of_dcat(dcat: Portal) -> None:
    pull = lists(dcat, {"kind": "dcat", "path": "catalog.jsonld"}, Cursor("modified", 86400))
    assert len(pull()) == 3
    assert [row["dataset_id"] for row in pull()] == ["id-2", "id-3"]


BOMB = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "b">]><rdf:RDF xmlns:rdf="%s">&a;</rdf:RDF>'
NO_CATALOGUES = (
    b"",
    b"[" * 100_000,
    b"<rdf:RDF/>",
    b'<?xml version="1.0"?><html><body>404</body></html>',
    b"<!DOCTYPE html><html><body>404</body></html>",
    b"<html>",
    b"not found",
    b"<a> <b> " + b"[ <b> " * 20_000,
    b"<a> <b> \xb3\xc7",
    BOMB % str(RDF).encode(),
)


@pytest.mark.parametrize("body", NO_CATALOGUES)
def test_what_is_no_catalogue_is_said(dcat: Portal, body: bytes) -> None:
    dcat.server.handle = lambda _: (200, {}, body)
    assert refused(lists(dcat, {"kind": "dcat", "path": "catalog.rdf"})) == "pull.unreadable_page"
    assert refused(lambda: dcat.resource(kind="dcat", path="x", dataset="d", resource="r")) == "pull.unreadable"
