"""Look-ups by key give the bytes of the long way, from an index that goes when views go."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from catalog.policy import audit
from tests.catalog.small_city import AGES, DIVISIONS, PERSONS, City, bearer
from tests.catalog.test_rows import API, every_page

ROWS = f"{API}/{AGES}/rows"


def indexes(city: City) -> list[Path]:
    return list((city.settings.lake.root / "views").glob("*/*/v*/*-keys*/keys.sqlite"))


def both(client: TestClient, query: str, filters: str, headers: dict[str, str]) -> tuple[Response, Response]:
    """The same question by the index, and by the long way: with a filter more that hides no row."""
    short = client.get(f"{query}&{filters}", headers=headers)
    first = filters.partition("=")[0]
    return short, client.get(f"{query}&{filters}&{first}=null.false", headers=headers)


texts = st.none() | st.text('ab"\\/\n 张\u2028\x1f', max_size=3)
tables = st.lists(
    st.fixed_dictionaries(
        {
            "code": st.none() | st.sampled_from(["a", 'b"', "张", "", "a\n"]),
            "division_name": texts,
            "in_force_from": st.none() | st.dates(),
            "area_km2": st.none() | st.sampled_from([0.1, -0.0, 1e300, 1e-7, 2.0, float("inf")]),
        }
    ),
    min_size=1,
    max_size=12,
)


# No shrinking: every example releases a version.
@settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(table=tables, data=st.data())
def test_an_answer_by_key_has_the_bytes_of_the_long_way(
    drawn_city: tuple[City, TestClient, str], table: list[dict[str, Any]], data: st.DataObject
) -> None:
    city, client, token = drawn_city
    kinds = {"code": "varchar", "division_name": "varchar", "in_force_from": "date", "area_km2": "double"}
    lines = [", ".join(f"{_sql(row[name])}::{kind}" for name, kind in kinds.items()) for row in table]
    values = ", ".join(f"({line})" for line in lines)
    rows = f"select * from (values {values}) as t({', '.join(kinds)})"
    city.release(DIVISIONS, query=rows.replace("{", "{{").replace("}", "}}"))
    road, shown = f"{API}/{DIVISIONS}/rows", bearer(token)
    for code in {row["code"] for row in table if row["code"] is not None} | {"nobody"}:
        for kind in ("json", "ndjson"):
            query = str(client.build_request("GET", road, params={"code": f"eq.{code}"}).url.query, "ascii")
            limit = data.draw(st.integers(1, 3))
            short, long = both(client, f"{road}?format={kind}&limit={limit}", query, shown)
            assert (short.status_code, short.content) == (200, long.content)
            assert ("next" in short.links, short.headers["row-count"]) == (
                "next" in long.links,
                long.headers["row-count"],
            )
            every = b"".join(
                page.content for page in every_page(client, f"{road}?format={kind}&limit={limit}&{query}", shown)
            )
            whole = b"".join(
                page.content
                for page in every_page(client, f"{road}?format={kind}&limit={limit}&{query}&code=null.false", shown)
            )
            assert every == whole
            fields = client.get(f"{road}?format=json&fields=area_km2,code&{query}", headers=shown).json()
            assert fields == [
                {"area_km2": row["area_km2"], "code": row["code"]}
                for row in client.get(f"{road}?format=json&{query}", headers=shown).json()
            ]
    assert indexes(city)


@pytest.fixture(scope="module")
def drawn_city(tmp_path_factory: pytest.TempPathFactory) -> tuple[City, TestClient, str]:
    """A city of its own that releases drawn tables, its client, and a token for them."""
    made = City(tmp_path_factory.mktemp("keys"))
    made.release(DIVISIONS, 3)
    token = made.recipient("索引")
    made.grant("索引", DIVISIONS)
    return made, made.client(), token


def test_the_index_is_asked_by_the_whole_key_alone(own_city: City) -> None:
    client = own_city.client()
    key = "county_code=eq.341502&sex=eq.1&age_band=eq.00-04"
    for query in ("county_code=eq.341502", f"{key}&persons=ge.0", f"{key}&sort=sex", "group=sex", f"{key}&format=csv"):
        assert client.get(f"{ROWS}?{query}").status_code == 200
        assert indexes(own_city) == []
    (row,) = client.get(f"{ROWS}?{key}").json()
    assert (row["county_code"], row["sex"], row["age_band"], len(indexes(own_city))) == ("341502", "1", "00-04", 1)
    assert client.get(f"{ROWS}?{key.replace('341502', '999999')}").json() == []


def test_each_recipient_finds_by_his_own_pseudonyms_within_his_rows(own_city: City) -> None:
    client, road = own_city.client(), f"{API}/{PERSONS}/rows"
    refs = dict[str, list[str]]()
    tokens = {name: own_city.recipient(name) for name in ("甲", "乙")}
    for name, token in tokens.items():
        own_city.grant(name, divisions=["341502"])
        refs[name] = [
            row["person_ref"] for row in client.get(f"{road}?fields=person_ref", headers=bearer(token)).json()
        ]
    for name, token in tokens.items():
        for other, known in refs.items():
            answers = [client.get(f"{road}?person_ref=eq.{ref}", headers=bearer(token)).json() for ref in known]
            assert [len(answer) for answer in answers] == [int(name == other)] * len(known)
    third = own_city.recipient("丙")
    own_city.grant("丙", columns=["name", "sex"])  # without the key there is nothing to look up by
    assert client.get(f"{road}?person_ref=eq.{refs['甲'][0]}", headers=bearer(third)).status_code == 400


def test_a_look_up_is_audited_and_ends_with_the_views(own_city: City) -> None:
    client, road = own_city.client(), f"{ROWS}?county_code=eq.341502&sex=eq.1&age_band=eq.00-04"
    answer = client.get(road)
    body = audit.recent(own_city.register, 1)[0]["body"]
    assert (body["rows"], body["used"]) == (1, ["age_band", "county_code", "sex"])
    assert client.get(road, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    shutil.rmtree(own_city.settings.lake.root / "views")  # as an order to erase does
    assert client.get(road).json() == answer.json() and len(indexes(own_city)) == 1
    paged = f"{ROWS}?sort=persons"
    before = client.get(paged).json()
    shutil.rmtree(own_city.settings.lake.root / "views")
    assert client.get(paged).json() == before
    own_city.release(AGES, 102)
    assert client.get(road).headers["product-version"] == "1" and len(indexes(own_city)) == 1


def _sql(value: Any) -> str:
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
