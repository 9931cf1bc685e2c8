"""The Delta Sharing protocol over ASGI: lists and pages, both formats, signed addresses, and a client's mistakes."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from catalog.delivery.sharing import addresses
from catalog.delivery.sharing.errors import BadRequest
from catalog.delivery.sharing.paging import page
from catalog.policy import administration, audit
from pipelines.release.ledger import RETENTION, Entry
from tests.catalog.small_city import AGES, GUARD, PERSONS, STEWARD, URL, City, bearer

ROOT = "/delta-sharing"
OPEN = f"{ROOT}/shares/open/schemas/population/tables/age_structure_by_county"
TABLE = f"{ROOT}/shares/sharing/schemas/population/tables/person_of_division"


@pytest.fixture(scope="module")
def token(city: City) -> str:
    text = city.recipient("协议测试")
    city.grant("协议测试", divisions=["341502"], columns=["person_ref", "name"])
    return text


def lines(client: TestClient, token: str, **capabilities: str) -> list[dict[str, Any]]:
    answer = client.post(f"{TABLE}/query", headers=bearer(token) | capabilities, json={})
    assert answer.status_code == 200 and answer.headers["delta-table-version"] == "0"
    return [json.loads(line) for line in answer.text.splitlines()]


def address(client: TestClient, token: str) -> str:
    return str(lines(client, token)[-1]["file"]["url"])


def test_only_what_the_caller_may_see_is_listed(client: TestClient, token: str) -> None:
    anonymous, mine = (client.get(f"{ROOT}/shares", headers=shown).json() for shown in ({}, bearer(token)))
    assert anonymous == {"items": [{"name": "open", "id": "open"}], "nextPageToken": ""}
    assert [item["name"] for item in mine["items"]] == ["open", "sharing"]
    assert client.get(f"{ROOT}/shares/sharing").status_code == 404
    share = client.get(f"{ROOT}/shares/sharing", headers=bearer(token)).json()
    assert share == {"share": {"name": "sharing", "id": "sharing"}}
    schemas = client.get(f"{ROOT}/shares/sharing/schemas", headers=bearer(token)).json()
    assert schemas["items"] == [{"name": "population", "share": "sharing"}]
    for road in ("schemas/population/tables", "all-tables"):
        (table,) = client.get(f"{ROOT}/shares/sharing/{road}", headers=bearer(token)).json()["items"]
        assert (table["share"], table["schema"], table["name"]) == ("sharing", "population", "person_of_division")


def test_names_are_not_told_apart_by_case(client: TestClient, token: str) -> None:
    shown, share = bearer(token), f"{ROOT}/shares/sharing"
    tables, table = f"{share}/schemas/population/tables", "person_of_division"
    roads = (share, f"{share}/schemas", f"{share}/all-tables", tables, f"{tables}/{table}/metadata")
    for road in roads:
        loud = ROOT + road.removeprefix(ROOT).replace("sharing", "SHARING").replace("population", "Population")
        loud = loud.replace(table, table.upper())
        plain, other = (client.get(one, headers=shown) for one in (road, loud))
        assert (other.status_code, other.text) == (plain.status_code, plain.text) == (200, plain.text), loud
    query = f"{ROOT}/shares/Sharing/schemas/POPULATION/tables/{table.title()}/query"
    assert client.post(query, headers=shown, json={}).headers["delta-table-version"] == "0"


def test_lists_come_in_pages(client: TestClient, token: str) -> None:
    found, query = [], {"maxResults": "1"}
    while True:
        answer = client.get(f"{ROOT}/shares", headers=bearer(token), params=query).json()
        found += [item["name"] for item in answer["items"]]
        if not answer["nextPageToken"]:
            break
        query["pageToken"] = answer["nextPageToken"]
    assert found == ["open", "sharing"]


@given(st.sets(st.text("ab._", min_size=1, max_size=4)), st.integers(0, 4))
def test_pages_hold_everything_once(names: set[str], size: int) -> None:
    items, found, query = {name: name for name in names}, [], {"maxResults": str(max(size, 1))}
    if size == 0:
        nothing = page(items, {"maxResults": "0"})
        assert nothing["items"] == [] and bool(nothing["nextPageToken"]) == bool(items)
        query["pageToken"] = nothing["nextPageToken"]
    while True:
        answer = page(items, query)
        found += answer["items"]
        if not answer["nextPageToken"]:
            break
        query["pageToken"] = answer["nextPageToken"]
    assert found == sorted(names)


@pytest.mark.parametrize(
    "query", [{"maxResults": "-1"}, {"maxResults": "x"}, {"pageToken": "%%%"}, {"pageToken": "b3BlbgAA"}]
)
def test_bad_paging_is_a_bad_request(query: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        page({"a": 1}, query)


def test_both_formats_say_the_same(client: TestClient, token: str) -> None:
    plain = lines(client, token)
    delta = lines(
        client, token, **{"delta-sharing-capabilities": "responseformat=delta;readerfeatures=deletionvectors"}
    )
    assert plain[0] == {"protocol": {"minReaderVersion": 1}}
    assert delta[0] == {"protocol": {"deltaProtocol": {"minReaderVersion": 1, "minWriterVersion": 4}}}
    metadata = delta[1]["metaData"]["deltaMetadata"]
    assert metadata["schemaString"] == plain[1]["metaData"]["schemaString"]
    assert metadata["configuration"]["delta.enableChangeDataFeed"] == "true"
    assert plain[1]["metaData"]["configuration"]["enableChangeDataFeed"] == "true"
    assert metadata["id"] == plain[1]["metaData"]["id"] and metadata["partitionColumns"] == []
    add = delta[2]["file"]["deltaSingleAction"]["add"]
    assert (add["size"], add["stats"]) == (plain[2]["file"]["size"], plain[2]["file"]["stats"])
    assert client.get(add["path"]).content == client.get(plain[2]["file"]["url"]).content


@pytest.mark.parametrize(
    ("asked", "given_back"),
    [
        (None, "responseformat=parquet"),
        ("responseformat=delta,parquet;readerfeatures=deletionvectors", "responseformat=parquet"),
        ("ResponseFormat=Delta", "responseformat=delta"),
        ("readerfeatures=columnmapping", "responseformat=parquet"),
    ],
)
def test_capabilities_are_answered(client: TestClient, asked: str | None, given_back: str) -> None:
    shown = {"delta-sharing-capabilities": asked} if asked else {}
    answer = client.get(f"{OPEN}/metadata", headers=shown)
    assert answer.headers["delta-sharing-capabilities"] == given_back
    assert answer.headers["content-type"].startswith("application/x-ndjson")


def test_version_and_head(client: TestClient) -> None:
    for answer in (client.get(f"{OPEN}/version"), client.head(OPEN)):
        assert (answer.status_code, answer.headers["delta-table-version"]) == (200, "0")


def test_a_predicate_leaves_out_files_that_cannot_have_it(client: TestClient, city: City) -> None:
    column, file = {"op": "column", "name": "county_name", "valueType": "string"}, "a file"
    for value, expected in (("~", []), ("金安区", [file])):
        hint = {"op": "equal", "children": [column, {"op": "literal", "value": value, "valueType": "string"}]}
        answer = client.post(f"{OPEN}/query", json={"jsonPredicateHints": json.dumps(hint)})
        assert [file for _ in answer.text.splitlines()[2:]] == expected
        (read,) = audit.recent(city.register, limit=1)
        assert (read["action"], read["body"]["files"]) == ("table.query", len(expected))


def test_a_limit_leaves_out_files_it_does_not_need(client: TestClient) -> None:
    for limit, files in ((0, 0), (1, 1), (None, 1)):
        answer = client.post(f"{OPEN}/query", json={"limitHint": limit, "predicateHints": ["persons > 0"]})
        assert len(answer.text.splitlines()) == 2 + files


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b'{"limitHint": "x"}',
        b'{"limitHint": -1}',
        b'{"version": "first"}',
        b'{"version": -1}',
        b'{"version": true}',
        b'{"timestamp": "2026-13-01"}',
        b'{"timestamp": "\\ud800"}',
        b'{"version": "\\udfff"}',
        b'{"version": 0, "timestamp": "2026-01-01"}',
        b'{"startingVersion": "first"}',
        b'{"startingVersion": 99}',
        b'{"startingVersion": 0, "version": 0}',
        b'{"startingVersion": 0, "endingVersion": -1}',
        b'{"endingVersion": 1}',
    ],
)
def test_bad_queries_are_the_clients_fault(client: TestClient, body: bytes) -> None:
    _is_error(client.post(f"{OPEN}/query", content=body), 400, "INVALID_PARAMETER_VALUE")


def test_mistakes_of_clients_are_never_5xx(client: TestClient, token: str) -> None:
    mine = bearer(token)
    roads = {
        (f"{ROOT}/shares/attic", 404, "RESOURCE_DOES_NOT_EXIST"),
        (f"{ROOT}/shares/attic/schemas", 404, "RESOURCE_DOES_NOT_EXIST"),
        (f"{ROOT}/shares/open/schemas/attic/tables", 404, "RESOURCE_DOES_NOT_EXIST"),
        (
            f"{ROOT}/shares/open/schemas/geography/tables/age_structure_by_county/version",
            404,
            "RESOURCE_DOES_NOT_EXIST",
        ),
        (f"{ROOT}/shares/analyst/schemas/geography/tables/division/metadata", 403, "PERMISSION_DENIED"),
        (f"{ROOT}/nothing/here", 404, "RESOURCE_DOES_NOT_EXIST"),
        (f"{OPEN}/query", 405, "METHOD_NOT_ALLOWED"),
        (f"{OPEN}/changes", 400, "INVALID_PARAMETER_VALUE"),
        (f"{OPEN}/version?startingTimestamp=9999-01-01T00:00:00Z", 400, "INVALID_PARAMETER_VALUE"),
        (f"{OPEN}/version?startingTimestamp=yesterday", 400, "INVALID_PARAMETER_VALUE"),
        (f"{OPEN}/version?version=0", 400, "INVALID_PARAMETER_VALUE"),
        (f"{OPEN}/metadata?startingVersion=0", 400, "INVALID_PARAMETER_VALUE"),
        (f"{OPEN}/metadata?version={'9' * 30}", 400, "INVALID_PARAMETER_VALUE"),
        (f"{OPEN}/metadata?version=7", 404, "RESOURCE_DOES_NOT_EXIST"),
        (f"{OPEN}/metadata?timestamp=2001-01-01%2000:00:00", 404, "RESOURCE_DOES_NOT_EXIST"),
        (f"{ROOT}/shares?maxResults=many", 400, "INVALID_PARAMETER_VALUE"),
        (f"{ROOT}/shares?pageToken=zzz", 400, "INVALID_PARAMETER_VALUE"),
    }
    for road, status, code in roads:
        _is_error(client.get(road, headers=mine), status, code)
    wrong = {"delta-sharing-capabilities": "responseformat=iceberg"}
    _is_error(client.get(f"{OPEN}/metadata", headers=wrong), 400, "INVALID_PARAMETER_VALUE")
    _is_error(client.get(f"{ROOT}/shares", headers=bearer("wrong")), 401, "UNAUTHENTICATED")
    _is_error(client.get(f"{TABLE}/metadata"), 401, "UNAUTHENTICATED")


def _is_error(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.url
    body = answer.json()
    assert set(body) == {"errorCode", "message"} and body["errorCode"] == code and body["message"]


def test_a_signed_address_serves_its_file_and_ranges(client: TestClient, token: str) -> None:
    url = address(client, token)
    whole, head = client.get(url), client.head(url)
    assert whole.content[:4] == whole.content[-4:] == b"PAR1"
    assert head.headers["content-length"] == str(len(whole.content)) and head.content == b""
    part = client.get(url, headers={"Range": "bytes=-4"})
    assert (part.status_code, part.content) == (206, b"PAR1")
    assert "X-Amz-Signature=" in url and token not in url and token.split("_")[2] not in url


def test_an_address_cannot_be_changed(client: TestClient, token: str, city: City) -> None:
    url = address(client, token)
    name = url.split("/")[-1].split("?")[0]
    product = city.settings.lake.product("sharing", "person_of_division")
    other = next(product.glob("part-*.parquet")).name
    changed = [
        url.replace(name, other),
        url.replace(name, "../view.json"),
        url.replace(name, "view.json"),
        url.replace("/v0/", "/v1/"),
        url.replace("/v0/", "/v²/"),
        url.replace("Signature=", "Signature=0"),
        url.replace("e=", "e=9"),
        url.replace("t=", "t=0"),
        url.split("?")[0],
    ]
    for attempt in changed:
        assert client.get(attempt).status_code in (403, 404), attempt


def test_an_address_ends(client: TestClient, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "LIFE_SECONDS", -1)
    answer = client.get(address(client, token))
    assert answer.status_code == 403 and "过期" in answer.json()["message"]


def test_a_revoked_token_or_grant_ends_addresses_at_once(city: City, client: TestClient) -> None:
    for number, end in enumerate(("token", "grant", "narrower")):
        name = f"地址测试{number}"
        text, given_grant = city.recipient(name), city.grant(name)
        url = address(client, text)
        assert client.get(url).status_code == 200
        if end == "token":
            administration.revoke_token(city.register, city.callers().from_token(text).token or "", actor=GUARD)
        else:
            administration.revoke_grant(city.register, given_grant.id, actor=STEWARD)
        if end == "narrower":
            city.grant(name, columns=["name"])
        assert client.get(url).status_code == (401 if end == "token" else 403)


def test_a_newer_release_leaves_addresses_and_a_withdrawal_ends_them(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"])
    url = address(client, token)
    own_city.release(PERSONS, 60)
    assert client.get(url).status_code == 200, "a client may finish reading the version it began with"
    assert client.get(f"{TABLE}/version", headers=bearer(token)).headers["delta-table-version"] == "1"
    own_city.withdraw(PERSONS)
    assert client.get(url).status_code == 404
    own_city.release(PERSONS, 80)
    assert client.get(url).status_code == 403, "a withdrawn version stays withdrawn"


def test_a_version_whose_period_is_over_is_gone_and_says_so(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"])
    url = address(client, token)
    own_city.release(PERSONS, 60)
    body = {"releases": {PERSONS: {"0": ["f", None]}}, "rows": 40}
    own_city.ledger.record([Entry(RETENTION, "retention-1", "retention-1", None, body)])
    answer = client.get(url)
    assert answer.status_code == 410 and "保存期限已届满" in answer.json()["message"]
    assert client.get(f"{TABLE}/version", headers=bearer(token)).headers["delta-table-version"] == "1"


def test_a_division_without_rows_is_a_table_without_files(city: City, client: TestClient) -> None:
    token = city.recipient("空表测试")
    city.grant("空表测试", divisions=["341525"])
    assert len(lines(client, token)) == 2


def test_the_open_profile_works(client: TestClient) -> None:
    profile = client.get("/open.share").json()
    assert profile["endpoint"] == "http://catalogue.test/delta-sharing"
    shown = bearer(profile["bearerToken"])
    tables = client.get(f"{ROOT}/shares/open/all-tables", headers=shown).json()["items"]
    assert [item["id"] for item in tables] == [AGES]


def test_no_address_of_this_service_comes_from_the_host_header(client: TestClient, token: str) -> None:
    foreign = {"Host": "evil.example"}
    assert client.get("/open.share", headers=foreign).json()["endpoint"] == f"{URL}/delta-sharing"
    answer = client.post(f"{TABLE}/query", headers=bearer(token) | foreign, json={})
    assert json.loads(answer.text.splitlines()[-1])["file"]["url"].startswith(f"{URL}/delta-sharing/files/")
    text = client.get(f"/datasets/{AGES}", headers=foreign).text
    assert "evil.example" not in text and f"{URL}/datasets/{AGES}/download/csv" in text


def test_an_endless_version_is_a_bad_address(client: TestClient) -> None:
    assert client.get(f"{ROOT}/files/a/b/v{'9' * 5000}/k/n").status_code == 403
