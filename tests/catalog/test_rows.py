"""The row API over a released city: what it answers, what it refuses and how, and what it writes down."""

import io
import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx import Response

from catalog.delivery.rows.pages import MEDIA_TYPES
from catalog.delivery.workbooks import MOST_ROWS
from catalog.policy import audit
from pipelines.messages import catalogue
from tests.catalog.reading import cells, downloaded
from tests.catalog.small_city import AGES, COUNTS, PERSONS, URL, City, bearer

API = "/api/v1/products"
ROWS = f"{API}/{AGES}/rows"
PROBLEM = {"type", "title", "status", "detail", "rule", "next"}


def every_page(client: TestClient, address: str, headers: dict[str, str] | None = None) -> Iterator[Response]:
    """The pages of an answer, following the links as a client would."""
    while address:
        answer = client.get(address, headers=headers)
        assert answer.status_code == 200, answer.text
        yield answer
        address = answer.links.get("next", {}).get("url", "")


def rows_of(client: TestClient, address: str, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """All rows of an answer."""
    return [row for page in every_page(client, address, headers) for row in page.json()]


def problem(answer: Response, status: int, rule: str) -> dict[str, Any]:
    """The body of an error, which must be a problem document in both languages."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body: dict[str, Any] = answer.json()
    assert body.keys() - {"parameter"} == PROBLEM and (body["rule"], body["status"]) == (rule, status)
    for text in (body["title"], body["detail"], body["next"]):
        chinese, english = text.split("\n")
        assert not chinese.isascii() and english
    return body


def test_products_list_what_the_caller_may_read(city: City, client: TestClient) -> None:
    token = city.recipient("行接口目录")
    assert [item["id"] for item in client.get(API).json()["products"]] == [AGES]
    city.grant("行接口目录")
    pages = [client.get(f"{API}?limit=1", headers=bearer(token))]
    pages.append(client.get(pages[0].links["next"]["url"], headers=bearer(token)))
    assert [page.json()["products"][0]["id"] for page in pages] == [AGES, PERSONS]
    assert "next" not in pages[1].json() and "link" not in pages[1].headers
    problem(client.get(f"{API}?cursor=AAAA"), 400, "bad_cursor")
    problem(client.get(f"{API}?limit=501"), 400, "bad_limit")
    problem(client.get(f"{API}?sort=name"), 400, "bad_filter")
    problem(client.get(API, headers=bearer("cl_nonsense")), 401, "token_invalid")


def test_a_product_tells_its_dictionary_licence_and_versions(own_city: City) -> None:
    own_city.release(AGES, 102)
    client, token = own_city.client(), own_city.recipient("甲")
    about = client.get(f"{API}/{AGES}").json()
    assert [column["column"] for column in about["columns"]] == list(client.get(ROWS).json()[0])
    assert (about["version"], [item["version"] for item in about["versions"]]) == (1, [1, 0])
    assert about["licence"] and about["key"] == ["county_code", "sex", "age_band"]
    answer = client.get(ROWS)
    assert answer.links["license"]["url"].startswith(f"{URL}/datasets/{AGES}")
    assert answer.links["describedby"]["url"] == f"{URL}{API}/{AGES}"
    own_city.grant("甲", columns=["name", "sex"])
    mine = client.get(f"{API}/{PERSONS}", headers=bearer(token)).json()
    assert [column["column"] for column in mine["columns"]] == ["name", "sex"] and mine["key"] == []


def test_rows_are_filtered_sorted_and_counted(client: TestClient) -> None:
    every = rows_of(client, f"{ROWS}?limit=7")
    assert len(every) == 96 and every == client.get(ROWS).json()
    some = rows_of(client, f"{ROWS}?county_code=in.341502,341504&persons=ge.1105&persons=lt.1208&sort=-persons&limit=5")
    wanted = [row for row in every if row["county_code"] in ("341502", "341504") and 1105 <= row["persons"] < 1208]
    assert some == sorted(wanted, key=lambda row: -row["persons"]) and some
    fields = client.get(f"{ROWS}?fields=persons,sex&limit=3&sort=age_band").json()
    assert [list(row) for row in fields] == [["persons", "sex"]] * 3
    assert client.get(f"{ROWS}?sex=in.").json() == []  # one value: the empty text
    by_day = client.get(f"{ROWS}?as_of=eq.2026-11-01&limit=1")  # a column that is called like a parameter
    assert len(by_day.json()) == 1 and client.get(f"{ROWS}?as_of=lt.2026-11-01").json() == []
    totals = rows_of(client, f"{ROWS}?group=county_code&sum=persons&count=*&min=age_band&avg=persons&limit=2")
    for total in totals:
        mine = [row["persons"] for row in every if row["county_code"] == total["county_code"]]
        said = (total["sum_persons"], total["count"], total["min_age_band"], total["avg_persons"])
        assert said == (sum(mine), len(mine), "00-04", pytest.approx(sum(mine) / len(mine)))
    assert [total["county_code"] for total in totals] == ["341502", "341503", "341504"]
    top = client.get(f"{ROWS}?group=county_code&sum=persons&sort=-sum_persons&limit=1").json()
    assert top == [{"county_code": "341504", "sum_persons": max(total["sum_persons"] for total in totals)}]
    assert client.get(f"{ROWS}?count=*").json() == [{"count": 96}]


def test_all_formats_hold_the_same_values(city: City, client: TestClient) -> None:
    token = city.recipient("行接口格式")
    city.grant("行接口格式")
    for road, shown in ((f"{API}/{PERSONS}/rows?limit=33&sort=-birth_year", bearer(token)), (f"{ROWS}?limit=9", {})):
        answers = {kind: client.get(f"{road}&format={kind}", headers=shown) for kind in MEDIA_TYPES}
        for kind, answer in answers.items():
            assert answer.headers["content-type"] == MEDIA_TYPES[kind]
            asked = client.get(road, headers={**shown, "Accept": MEDIA_TYPES[kind].partition(";")[0]})
            assert asked.headers["content-type"] == answer.headers["content-type"]
        expected = downloaded(answers["json"].content, "json")
        for kind in ("csv", "ndjson", "xlsx"):
            assert downloaded(answers[kind].content, kind) == expected, kind
        frames = [pl.read_parquet(io.BytesIO(answers["parquet"].content))]
        frames.append(pl.DataFrame(pa.ipc.open_stream(answers["arrow"].content).read_all()))
        for frame in frames:
            rows = [[None if value is None else str(value) for value in row] for row in frame.rows()]
            assert (frame.columns, rows) == expected
        assert "许可" in str(cells(answers["xlsx"].content, 1)) or "协议" in str(cells(answers["xlsx"].content, 1))
        nexts = {kind: client.get(answer.links["next"]["url"], headers=shown) for kind, answer in answers.items()}
        assert {kind: answer.headers["content-type"] for kind, answer in nexts.items()} == MEDIA_TYPES


@pytest.mark.parametrize(
    ("query", "rule", "parameter"),
    [
        ("fields=persons,nothing", "unknown_column", "fields"),
        ("nothing=eq.1", "unknown_column", "nothing"),
        ("sort=nothing", "unknown_column", "sort"),
        ("group=nothing", "unknown_column", "group"),
        ("sum=nothing", "unknown_column", "sum"),
        ("persons=3", "bad_filter", "persons"),
        ("colour=red", "bad_filter", "colour"),
        ("persons=eq.three", "bad_value", "persons"),
        ("persons=eq.9223372036854775808", "bad_value", "persons"),
        ("persons=gt.1.5", "bad_value", "persons"),
        ("as_of=eq.2026-02-30", "bad_value", "as_of"),
        ("sex=eq.%00", "bad_value", "sex"),
        ("sex=null.perhaps", "bad_null", "sex"),
        ('sex=in."1', "bad_list", "sex"),
        ("persons=in.", "bad_value", "persons"),
        ("sum=sex", "not_numeric", "sum"),
        ("sum=persons&fields=sex", "fields_and_group", "fields"),
        ("fields=sex,sex", "name_twice", "fields"),
        ("limit=0", "bad_limit", "limit"),
        ("limit=1000001", "bad_limit", "limit"),
        ("limit=%D9%A3", "bad_limit", "limit"),
        ("limit=1&limit=2", "twice", "limit"),
        ("as_of=newest", "bad_version", "as_of"),
        ("cursor=abc", "bad_cursor", "cursor"),
        ("format=pdf", "bad_format", "format"),
        ("&".join(["sex=eq.1"] * 51), "too_many_filters", "sex"),
    ],
)
def test_mistakes_are_named(client: TestClient, query: str, rule: str, parameter: str) -> None:
    assert problem(client.get(f"{ROWS}?{query}"), 400, rule)["parameter"] == parameter


def test_other_refusals_are_problems_too(client: TestClient) -> None:
    problem(client.get(ROWS, headers={"Accept": "image/png"}), 406, "not_acceptable")
    problem(client.post(ROWS), 405, "method")
    problem(client.get("/api/v1/nothing"), 404, "not_found")
    problem(client.get(f"{API}/open/nothing/rows"), 404, "unknown_product")
    problem(client.get(f"{ROWS}?as_of=77"), 404, "version_unknown")
    problem(client.get(f"{API}/{PERSONS}/rows"), 401, "token_required")
    problem(client.get(ROWS, headers=bearer("cl_nonsense")), 401, "token_invalid")
    assert client.head(ROWS).status_code == 200
    assert client.get(ROWS, headers={"Accept": "text/html"}).json()


def test_hidden_columns_are_refused_like_columns_that_do_not_exist(city: City, client: TestClient) -> None:
    token = city.recipient("行接口列")
    city.grant("行接口列", columns=["name", "sex"])
    road = f"{API}/{PERSONS}/rows"
    assert list(client.get(road, headers=bearer(token)).json()[0]) == ["name", "sex"]
    for query in ("fields={}", "sort=-{}", "{}=gt.1900", "{}=1900", "group={}", "max={}", "sum={}", "{}=null.true"):
        hidden, unknown = (
            problem(client.get(f"{road}?{query.format(name)}", headers=bearer(token)), 400, rule)
            for name in ("birth_year", "nineteen_1")
            for rule in ["bad_filter" if query == "{}=1900" else "unknown_column"]
        )
        assert json.dumps(hidden).replace("birth_year", "nineteen_1") == json.dumps(unknown)
    denied = [row for row in audit.recent(city.register, 1000, recipient="行接口列") if row["outcome"] == "denied"]
    assert [(row["body"]["reason"], row["body"]["column"]) for row in denied] == [
        ("column_not_granted", "birth_year")
    ] * 7


def test_every_message_of_the_api_says_what_to_do(client: TestClient) -> None:
    rules = {name for name in catalogue() if name.startswith("rows.") and name.count(".") == 1} - {"rows.engine"}
    assert {name for name in rules if f"{name}.next" not in catalogue()} == set()


def test_a_page_stays_on_its_version_when_another_is_published(own_city: City) -> None:
    client = own_city.client()
    old = client.get(f"{ROWS}?limit=1000").json()
    pages = every_page(client, f"{ROWS}?limit=10&sort=-persons")
    read = next(pages).json()
    own_city.release(AGES, 102, query=COUNTS.replace("1000 +", "2000 +"))
    read += [row for page in pages for row in page.json()]
    assert sorted(map(str, read)) == sorted(map(str, old))
    assert len(client.get(ROWS).json()) == 102 and client.get(f"{ROWS}?as_of=0").json() == old
    begun = client.get(f"{ROWS}?limit=10").links["next"]["url"]
    own_city.withdraw(AGES)
    assert client.get(begun).status_code == 404
    own_city.release(AGES, 96)
    problem(client.get(begun), 404, "version_unknown")


def test_a_cursor_is_good_for_its_question_alone(city: City, client: TestClient) -> None:
    token = city.recipient("行接口游标")
    city.grant("行接口游标", divisions=["341502"])
    road = f"{API}/{PERSONS}/rows?limit=5&sex=eq.1&sort=name"
    cursor = client.get(road, headers=bearer(token)).links["next"]["url"].partition("cursor=")[2]
    assert client.get(f"{road}&cursor={cursor}", headers=bearer(token)).status_code == 200
    assert client.get(
        f"{road}&cursor={cursor}&format=csv".replace("limit=5", "limit=2"), headers=bearer(token)
    ).is_success
    others = [road.replace("eq.1", "eq.2"), road.replace("sort=name", "sort=-name"), f"{road}&fields=name"]
    for other in [*others, f"{ROWS}?limit=5"]:
        problem(client.get(f"{other}&cursor={cursor}", headers=bearer(token)), 400, "bad_cursor")
    stranger = city.recipient("行接口游标二")
    city.grant("行接口游标二", divisions=["341503"])
    problem(client.get(f"{road}&cursor={cursor}", headers=bearer(stranger)), 400, "bad_cursor")
    for place in range(12, len(cursor), 7):
        forged = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        problem(client.get(f"{road}&cursor={forged}", headers=bearer(token)), 400, "bad_cursor")
    first = client.get(road, headers=bearer(token)).json()[-1]["name"]
    assert first not in cursor and first.encode().hex() not in cursor


def test_an_answer_that_is_known_is_not_sent_again(own_city: City) -> None:
    client = own_city.client()
    tag = client.get(ROWS).headers["etag"]
    same = client.get(ROWS, headers={"If-None-Match": f'"x", {tag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert audit.recent(own_city.register, 1)[0]["body"]["status"] == 304
    assert client.get(f"{ROWS}?limit=3", headers={"If-None-Match": tag}).status_code == 200
    own_city.release(AGES, 102)
    assert client.get(ROWS, headers={"If-None-Match": tag}).status_code == 200


def test_an_answer_is_audited_without_any_value(city: City, client: TestClient) -> None:
    token = city.recipient("行接口审计")
    grant = city.grant("行接口审计")
    value = city.values(PERSONS, "name")[0]
    road = f"{API}/{PERSONS}/rows?fields=sex,name&name=eq.{value}&sort=birth_year&format=csv"
    assert client.get(road, headers=bearer(token)).status_code == 200
    row = audit.recent(city.register, 1)[0]
    assert (row["action"], row["outcome"], row["grant"], row["version"]) == ("rows.read", "allowed", grant.id, 0)
    body = row["body"]
    assert (body["columns"], body["used"]) == (["sex", "name"], ["birth_year", "name"])
    assert (body["rows"], body["format"], body["purpose"]) == (10, "csv", "核验测试")
    assert value not in json.dumps(body, ensure_ascii=False)


def test_without_an_audit_there_is_no_answer(own_city: City) -> None:
    client = own_city.client()
    assert client.get(ROWS).status_code == 200
    with own_city.register.begin() as connection:
        connection.execute(sa.text("ALTER TABLE audit RENAME TO gone"))
    for road in (API, f"{API}/{AGES}", ROWS, f"{API}/{PERSONS}/rows"):
        problem(client.get(road), 503, "no_audit")


def test_a_book_above_its_limit_is_refused_with_the_alternative(own_city: City) -> None:
    many = f"select * from ({COUNTS.format(rows=6)}), range(0, {MOST_ROWS // 6 + 1})"
    own_city.release(AGES, query=f"select * exclude (range) from ({many})")
    client = own_city.client()
    refused = problem(client.get(f"{ROWS}?format=xlsx&limit=1000000"), 413, "too_many_rows")
    assert "format=csv" in refused["next"]
    assert client.get(f"{ROWS}?format=xlsx&limit=100").status_code == 200
    answer = client.get(f"{ROWS}?format=csv&limit=1000000")  # larger than what is sent in one piece
    assert len(answer.content) == int(answer.headers["content-length"]) > 1 << 20
    assert len(answer.content.splitlines()) == int(answer.headers["row-count"]) + 1
    assert list((own_city.settings.lake.root / "views" / ".building").glob("*/answer*")) == []
