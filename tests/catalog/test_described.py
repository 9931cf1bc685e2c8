"""Whichever way rows are taken, their licence and the address of their dictionary come with them, and can be opened."""

import json
from collections.abc import Callable, Mapping

import duckdb
import pytest
from fastapi.testclient import TestClient
from httpx import Response

from catalog.policy.decision import MARTS
from tests.catalog.every_road import LAYERS, WAYS
from tests.catalog.small_city import COMPONENTS, PERSONS, URL, City, bearer

TABLE = f"/delta-sharing/shares/sharing/schemas/population/tables/{PERSONS.split('/')[1]}"
Told = Mapping[str, str]


def linked(answer: Response) -> Told:
    return {name: link["url"] for name, link in answer.links.items()}


def shared(client: TestClient, token: str) -> Told:
    """What a table says of itself in both response formats, and each file by its header."""
    found = list[Told]()
    for kind in ("parquet", "delta"):
        header = {"delta-sharing-capabilities": f"responseformat={kind}", **bearer(token)}
        lines = [json.loads(line) for line in client.post(f"{TABLE}/query", headers=header, json={}).text.splitlines()]
        metadata = lines[1]["metaData"]
        found.append(metadata.get("deltaMetadata", metadata)["configuration"])
        if kind == "parquet":
            found.append(linked(client.get(lines[2]["file"]["url"])))
    plain, file, delta = found
    assert plain["citylake.licence"] == delta["citylake.licence"] and file["describedby"] == file_of(plain)
    assert file_of(plain) == file_of(delta)
    return {"license": f"{URL}/datasets/{PERSONS}#licence", "describedby": file_of(plain)}


def file_of(configuration: Told) -> str:
    return configuration["citylake.dictionary"]


@pytest.fixture
def asked(own_city: City) -> Callable[[str], Told]:
    """The links that come with the rows of a way."""
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.release(COMPONENTS, 5)
    for product in (PERSONS, COMPONENTS):
        own_city.grant("甲", product)

    def ask(way: str) -> Told:
        kind, product = way.split()[-1], COMPONENTS if way in LAYERS else PERSONS
        if way == "query":
            return shared(client, token)
        if way == "preview":  # a page, which leads to the page of the product
            text = client.get(f"/datasets/{product}/preview", headers=bearer(token)).text
            assert f'href="/datasets/{product}"' in text
            page = f"{URL}/datasets/{product}"
            return {"license": f"{page}#licence", "describedby": f"{page}/dictionary.csv"}
        path = f"/api/v1/products/{product}/rows" if way.startswith("rows ") else f"/datasets/{product}/download/{kind}"
        answer = client.get(path, params={"format": kind} if "rows" in path else {}, headers=bearer(token))
        assert answer.status_code == 200
        return linked(answer)

    return ask


def test_every_way_tells_licence_and_dictionary(asked: Callable[[str], Told], own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("乙")
    own_city.grant("乙")
    for way in (*WAYS, *LAYERS):
        told = asked(way)
        assert {"license", "describedby"} <= told.keys(), way
        page, _, anchor = told["license"].removeprefix(URL).partition("#")
        assert f'id="{anchor}"' in client.get(page).text, way
        dictionary = client.get(told["describedby"].removeprefix(URL), headers=bearer(token))
        assert dictionary.status_code == 200 and ("component_no" if way in LAYERS else "county_name") in dictionary.text


def test_the_analysts_database_tells_licences(own_city: City) -> None:
    own_city.refresh_marts()
    own_city.recipient("甲")
    own_city.grant("甲", MARTS)
    shown = [one for one in own_city.contracts.products.values() if one.channel == "analyst"]
    licences = {f"{one.contract.library}.{one.name}": one.form.licence for one in shown}
    with duckdb.connect(str(own_city.settings.marts.resolve()), read_only=True) as con:
        for dataset, licence in con.execute("SELECT dataset, licence FROM information.edition").fetchall():
            assert licence == licences[dataset]
