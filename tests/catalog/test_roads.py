"""Every road gives the same answer for any grant: preview, download, Delta Sharing and row API, one audit row each."""

import asyncio
import csv
import io
import json
from datetime import timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from catalog.app import create_app
from catalog.bodies import MOST_BYTES
from catalog.policy import administration, audit
from catalog.policy.decision import Allowed, decide
from pipelines.register.store import now
from pipelines.register.tables import access
from tests.catalog.reading import cells, downloaded
from tests.catalog.small_city import AGES, DIVISIONS, GUARD, PERSONS, ROWS, URL, City, bearer

OPEN = "/delta-sharing/shares/open/schemas/population/tables/age_structure_by_county"
TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
API = "/api/v1/products"
API_FORMATS = ("json", "csv", "ndjson", "arrow", "parquet", "xlsx")
LISTS = ("list", "products")
NAME = "随机授权"

grants = st.none() | st.fixed_dictionaries(
    {
        "divisions": st.none()
        | st.lists(st.sampled_from(["3415", "341502", "341503001", "341525", "99"]), max_size=2, unique=True),
        "columns": st.none()
        | st.lists(
            st.sampled_from(["person_ref", "name", "division_code", "birth_year", "gone"]), max_size=3, unique=True
        ),
        "valid_from": st.sampled_from([-2, -1, 1]),
        "valid_until": st.sampled_from([-1, 1, 2]),
        "revoked": st.booleans(),
        "pending": st.booleans(),
    }
)


@pytest.fixture(scope="module")
def token(city: City) -> str:
    return city.recipient(NAME)


@pytest.fixture(scope="module")
def browser(city: City) -> TestClient:
    return city.client()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(grants)
def test_every_road_gives_the_same_answer(
    city: City, token: str, browser: TestClient, values: dict[str, Any] | None
) -> None:
    _give(city, values)
    caller = city.callers().from_token(token)
    offering = browser.app.state.desk.listing.snapshot().find(PERSONS)  # type: ignore[attr-defined]
    expected = decide(caller, offering.offer, now())
    before = _last(city)
    answers = _ask(browser, token)
    rows = [row for row in audit.recent(city.register) if row["sequence"] > before]
    assert len(rows) == len(answers)
    lists = ("share.list", "product.list")
    if isinstance(expected, Allowed):
        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 200)
        assert {(row["outcome"], row["grant"]) for row in rows if row["product"]} == {("allowed", expected.grant)}
        _same_data(city, expected, browser, answers)
    else:
        refused = {name: answer for name, answer in answers.items() if name not in LISTS}
        assert {answer.status_code for answer in refused.values()} == {403}
        assert {row["outcome"] for row in rows if row["action"] not in lists} == {"denied"}
        assert {row["body"]["reason"] for row in rows if row["outcome"] == "denied"} == {expected.reason.value}
        assert "sharing" not in [item["name"] for item in answers["list"].json()["items"]]
        assert PERSONS not in [item["id"] for item in answers["products"].json()["products"]]


def _give(city: City, values: dict[str, Any] | None) -> None:
    """Make the recipient's grants exactly this one, past the checks of the command line."""
    with city.register.begin() as connection:
        connection.execute(sa.delete(access).where(access.c.recipient == NAME))
        if values is not None:
            moments = {key: now() + timedelta(days=values[key]) for key in ("valid_from", "valid_until")}
            row = {**values, **moments, "revoked": now() if values["revoked"] else None}
            connection.execute(sa.insert(access).values(recipient=NAME, product=PERSONS, purpose="随机", **row))


def _last(city: City) -> int:
    return max((row["sequence"] for row in audit.recent(city.register, 1)), default=0)


def _ask(browser: TestClient, token: str) -> dict[str, Response]:
    shown = bearer(token)
    return {
        "list": browser.get("/delta-sharing/shares", headers=shown),
        "preview": browser.get(f"/datasets/{PERSONS}/preview", headers=shown),
        "csv": browser.get(f"/datasets/{PERSONS}/download/csv", headers=shown),
        "parquet": browser.get(f"/datasets/{PERSONS}/download/parquet", headers=shown),
        "json": browser.get(f"/datasets/{PERSONS}/download/json", headers=shown),
        "ndjson": browser.get(f"/datasets/{PERSONS}/download/ndjson", headers=shown),
        "xlsx": browser.get(f"/datasets/{PERSONS}/download/xlsx", headers=shown),
        "head": browser.head(TABLE, headers=shown),
        "version": browser.get(f"{TABLE}/version", headers=shown),
        "metadata": browser.get(f"{TABLE}/metadata", headers=shown),
        "query": browser.post(f"{TABLE}/query", headers=shown, json={}),
        "products": browser.get(API, headers=shown),
        "product": browser.get(f"{API}/{PERSONS}", headers=shown),
        "count": browser.get(f"{API}/{PERSONS}/rows?count=*", headers=shown),
        **{f"rows {kind}": browser.get(f"{API}/{PERSONS}/rows?format={kind}", headers=shown) for kind in API_FORMATS},
    }


def _same_data(city: City, expected: Allowed, browser: TestClient, answers: dict[str, Response]) -> None:
    codes = [str(code) for code in city.values(PERSONS, "division_code")]
    mine = [code for code in codes if expected.divisions is None or code.startswith(expected.divisions)]
    table = list(csv.reader(io.StringIO(answers["csv"].content.decode("utf-8-sig"), newline="")))
    assert (tuple(table[0]), len(table) - 1) == (expected.columns, len(mine))
    if "division_code" in expected.columns:
        assert sorted(row[expected.columns.index("division_code")] for row in table[1:]) == sorted(mine)
    assert _parquet(answers["parquet"].content) == (expected.columns, len(mine))
    columns, rows = downloaded(answers["csv"].content, "csv")
    for kind in ("json", "ndjson", "xlsx"):
        assert downloaded(answers[kind].content, kind) == (columns if rows or kind == "xlsx" else [], rows), kind
    for kind in ("csv", "json", "ndjson", "xlsx"):
        assert downloaded(answers[f"rows {kind}"].content, kind) == downloaded(answers[kind].content, kind)
    assert _parquet(answers["rows parquet"].content) == (expected.columns, len(mine))
    arrow = pa.ipc.open_stream(answers["rows arrow"].content).read_all()
    assert (tuple(arrow.column_names), arrow.num_rows) == (expected.columns, len(mine))
    assert answers["count"].json() == [{"count": len(mine)}]
    assert [column["column"] for column in answers["product"].json()["columns"]] == list(expected.columns)
    assert PERSONS in [item["id"] for item in answers["products"].json()["products"]]
    lines = [json.loads(line) for line in answers["query"].text.splitlines()]
    assert (
        tuple(item["name"] for item in json.loads(lines[1]["metaData"]["schemaString"])["fields"]) == expected.columns
    )
    read = [_parquet(browser.get(line["file"]["url"]).content) for line in lines[2:]]
    assert {columns for columns, _ in read} <= {expected.columns} and sum(rows for _, rows in read) == len(mine)
    stats = [json.loads(line["file"]["stats"]) for line in lines[2:]]
    assert all(set(item["minValues"]) <= set(expected.columns) for item in stats)
    all_columns = {column.name for column in city.contracts.products[PERSONS].columns}
    for hidden in all_columns - set(expected.columns) - {"name"}:  # a word of the protocol, looked for above
        assert hidden not in str(cells(answers["xlsx"].content, 1))
        apis = ["product", *(f"rows {kind}" for kind in API_FORMATS if kind != "xlsx")]
        for name in ("csv", "parquet", "json", "ndjson", "query", "metadata", *apis):
            assert hidden.encode() not in answers[name].content.replace(b"person_of_division", b""), hidden
        assert f"<code>{hidden}</code>" not in answers["preview"].text


def _parquet(content: bytes) -> tuple[tuple[str, ...], int]:
    frame = pl.read_parquet(io.BytesIO(content))
    return tuple(frame.columns), frame.height


def test_open_data_needs_no_token_but_a_bad_one_is_refused(city: City, client: TestClient) -> None:
    table = "/delta-sharing/shares/open/schemas/population/tables/age_structure_by_county/metadata"
    for road in (f"/datasets/{AGES}/preview", f"/datasets/{AGES}/download/csv", table):
        assert client.get(road).status_code == 200
        assert client.get(road, headers=bearer("public")).status_code == 200
        answer = client.get(road, headers=bearer("cl_nonsense"))
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert client.get(road, headers={"Authorization": "Basic eDp5"}).status_code == 401


def test_what_is_not_published_does_not_exist(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("撤回测试")
    own_city.grant("撤回测试", DIVISIONS)
    road = f"/datasets/{DIVISIONS}/download/csv"
    assert client.get(road, headers=bearer(token)).status_code == 200
    own_city.withdraw(DIVISIONS)
    assert client.get(road, headers=bearer(token)).status_code == 404
    assert client.get(f"/datasets/{DIVISIONS}").status_code == 404
    assert client.get("/datasets/analyst/age_structure/download/csv", headers=bearer(token)).status_code == 404
    not_found = [row["outcome"] for row in audit.recent(own_city.register, 2)]
    assert not_found == ["not_found", "not_found"]


def test_a_product_whose_contract_vanished_is_closed(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    contracts, client = own_city.own_contracts(), own_city.client()
    monkeypatch.setattr("catalog.listing.CONTRACTS_LOOK_SECONDS", 0.0)
    assert client.get(f"/datasets/{AGES}/preview").status_code == 200
    (contracts / "products" / "population" / "age_structure.yaml").unlink()
    assert client.get(f"/datasets/{AGES}/preview").status_code == 404
    assert client.get("/health").json() == {"status": "ok", "register": "ok", "contracts": "ok", "products": 2}


def test_a_slip_in_a_contract_leaves_the_last_good_ones(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    contracts, client = own_city.own_contracts(), own_city.client()
    monkeypatch.setattr("catalog.listing.CONTRACTS_LOOK_SECONDS", 0.0)
    (contracts / "products" / "population" / "person.yaml").write_text("model: [", "utf-8")
    assert client.get(f"/datasets/{AGES}/preview").status_code == 200
    assert client.get("/health").json()["status"] == "degraded"


def test_new_releases_show_without_a_restart(own_city: City) -> None:
    client = own_city.client()
    assert "96" in client.get(f"/datasets/{AGES}").text
    own_city.release(AGES, 102)
    assert "102" in client.get(f"/datasets/{AGES}").text
    answer = client.get(f"/datasets/{AGES}/download/parquet")
    assert _parquet(answer.content)[1] == 102


def test_a_session_reads_what_the_token_reads(city: City) -> None:
    client, token = city.client(), city.recipient("浏览器测试")
    city.grant("浏览器测试", columns=["name"])
    road = f"/datasets/{PERSONS}/download/csv"
    assert client.get(road).status_code == 401
    answer = client.post("/login", data={"token": token, "next": f"/datasets/{PERSONS}"})
    cookie = answer.headers["set-cookie"]
    assert (answer.status_code, answer.headers["location"]) == (303, f"/datasets/{PERSONS}")
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and token not in cookie
    assert client.get(road).content.startswith(b"\xef\xbb\xbfname\r\n")
    token_id = city.callers().from_token(token).token
    assert token_id is not None
    administration.revoke_token(city.register, token_id, actor=GUARD)
    assert client.get(road).status_code == 401


@pytest.mark.parametrize("road", ["//evil.example/", "https://evil.example/", "/\\evil.example", ""])
def test_signing_in_leads_nowhere_else(city: City, client: TestClient, road: str) -> None:
    token = city.recipient(f"去向测试{len(road)}")
    assert client.post("/login", data={"token": token, "next": road}).headers["location"] == "/access"


def test_forms_of_other_sites_are_refused(city: City, client: TestClient) -> None:
    token = city.recipient("跨站测试")
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post("/login", data={"token": token}, headers=foreign).status_code == 403
        assert client.post("/logout", headers=foreign).status_code == 403
    own = {"Origin": "http://catalogue.test"}
    assert client.post("/login", data={"token": token}, headers=own).status_code == 303
    assert client.post("/logout", headers=own).status_code == 303
    assert "浏览" not in client.get("/access").text


def test_bad_sign_ins_are_audited(city: City, client: TestClient) -> None:
    for text in ("", "cl_wrong", "x" * 10000):
        assert client.post("/login", data={"token": text}).status_code == 401
    rows = audit.recent(city.register, 3)
    assert [(row["action"], row["outcome"]) for row in rows] == [("login", "denied")] * 3


def test_a_forged_session_is_nobody(city: City, client: TestClient) -> None:
    token = city.recipient("伪造测试")
    token_id = city.callers().from_token(token).token
    for forged in (f"{token_id}.9999999999.{'0' * 64}", "a.b.c", "x", f"{token_id}.9999999999"):
        client.cookies.set("citylake_session", forged)
        assert client.get(f"/datasets/{PERSONS}/preview").status_code == 401
        assert client.get("/").status_code == 200


def test_a_mask_that_was_tightened_closes_its_column_on_every_road(own_city: City) -> None:
    columns = {column.name: [column.source, column.mask] for column in own_city.contracts.products[PERSONS].columns}
    before = {**columns, "id_number": ["id_number", None]}
    own_city.release(PERSONS, columns=before)
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    answers = _ask(client, token)
    assert {answer.status_code for answer in answers.values()} == {200}
    for name in ("preview", "csv", "query", "metadata"):
        assert b"id_number" not in answers[name].content, name
    shown, _ = _parquet(answers["parquet"].content)
    assert set(shown) == set(columns) - {"id_number"}
    address = json.loads(answers["query"].text.splitlines()[-1])["file"]["url"]
    assert client.get(address).status_code == 200
    own_city.release(PERSONS)
    answers = _ask(client, token)
    assert set(_parquet(answers["parquet"].content)[0]) == set(columns)


def test_an_address_of_a_version_with_a_looser_mask_ends(own_city: City) -> None:
    """Given before the mask was tightened, used after the next release: the old file still has the old values."""
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    desk = client.app.state.desk  # type: ignore[attr-defined]
    admission = desk.admit(desk.callers.from_token(token), PERSONS, "preview", "test")
    assert desk.at_version(admission, 0).allowed.columns == admission.allowed.columns
    own_city.release(PERSONS, columns={"name": ["name", "surname"], "id_number": ["id_number", None]})
    assert desk.at_version(admission, 1).allowed.columns == ("name",)


def test_released_files_with_a_column_that_closed_are_not_given_out(own_city: City) -> None:
    columns = {column.name: [column.source, column.mask] for column in own_city.contracts.products[AGES].columns}
    own_city.release(AGES, 96, columns={**columns, "persons": ["persons", "year"]})
    client = own_city.client()
    for kind in ("csv", "parquet"):
        answer = client.get(f"/datasets/{AGES}/download/{kind}")
        assert answer.status_code == 200 and b"persons" not in answer.content


@pytest.mark.parametrize("recorded", [True, False])
def test_a_limit_by_a_column_the_version_lacks_is_closed(own_city: City, recorded: bool) -> None:
    product = own_city.contracts.products[PERSONS]
    kept = {c.name: [c.source, c.mask] for c in product.columns if c.name != "division_code"}
    narrow = "select * exclude (division_code) from (" + ROWS[PERSONS] + ")"
    own_city.release(PERSONS, query=narrow, columns=kept if recorded else None)
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"])
    answers = _ask(client, token)
    assert {answer.status_code for name, answer in answers.items() if name not in LISTS} == {403}
    columns = own_city.recipient("乙")
    own_city.grant("乙", columns=["division_code"])
    assert {answer.status_code for name, answer in _ask(client, columns).items() if name not in LISTS} == {403}


@pytest.mark.parametrize("road", ["/login", f"{TABLE}/query", "/logout", "/nowhere"])
def test_large_bodies_are_refused_before_they_are_read(client: TestClient, road: str) -> None:
    large = b"x" * (MOST_BYTES + 1)
    answer = client.post(road, content=large)
    assert answer.status_code == 413 and set(answer.json()) == {"errorCode", "message"}
    page = client.post(road, content=large, headers={"Accept": "text/html"})
    assert page.status_code == 413 and "content-security-policy" in page.headers
    assert ("<h1>" in page.text) != road.startswith("/delta-sharing")


@pytest.mark.parametrize("road", ["/login", f"{TABLE}/query"])
def test_bodies_of_unsaid_length_are_read_no_further_than_the_limit(city: City, road: str) -> None:
    app, taken, sent = create_app(city.settings), list[int](), list[Message]()

    async def receive() -> Message:
        taken.append(1024)
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    about = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "server": ("test", 80)}
    place = {"path": road, "raw_path": road.encode(), "root_path": "", "query_string": b"", "headers": []}
    asyncio.run(app({**about, **place}, receive, send))
    assert (sent[0]["status"], sum(taken)) == (413, MOST_BYTES + 1024)


def test_a_body_of_the_limit_is_read(client: TestClient) -> None:
    assert client.post("/login", content=b"x" * MOST_BYTES).status_code == 401
    assert client.post(f"{OPEN}/query", content=b"{}".ljust(MOST_BYTES)).status_code == 200


def test_unpublished_withdrawn_and_unknown_products_get_one_text(own_city: City) -> None:
    client = own_city.client()
    own_city.withdraw(DIVISIONS)
    roads = [f"/datasets/{name}/preview" for name in (DIVISIONS, "analyst/age_structure", "analyst/nothing")]
    assert len({client.get(road).text for road in roads}) == 1
    assert {client.get(road).status_code for road in roads} == {404}


def test_a_form_of_the_public_address_is_our_own(own_city: City) -> None:
    """Behind a proxy that changes the Host header, browsers still name the address they see."""
    token = own_city.recipient("甲")
    with TestClient(create_app(own_city.settings), base_url="http://127.0.0.1:8080", follow_redirects=False) as local:
        for origin, status in ((URL, 303), ("http://127.0.0.1:8080", 303), ("http://evil.example", 403)):
            assert local.post("/login", data={"token": token}, headers={"Origin": origin}).status_code == status
