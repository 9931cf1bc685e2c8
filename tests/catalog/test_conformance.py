"""Our own OpenAPI document and that of Delta Sharing against the real service over a published town."""

import copy
import json
import random
import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from fastapi.testclient import TestClient

from catalog.app import create_app
from catalog.delivery.rows import router
from catalog.delivery.rows.question import FUNCTIONS
from catalog.delivery.verification import licences
from catalog.policy import administration
from catalog.policy.lockout import Lockout
from pipelines.contracts.load import load
from tests.catalog.conforming import conforms
from tests.catalog.small_city import ADMINISTRATOR, appoint, bearer, granted
from tests.city import Town, published_town, seed_from_clock

pytestmark = pytest.mark.server
PROTOCOL = Path(__file__).parents[3] / "shared/conformance/delta-sharing-openapi.yml"
NAME = "一致性检验"
ROWS_ONLY = ("cursor", "group", *FUNCTIONS)
AGGREGATES_ONLY = ("cursor", "fields", "sort")
"""Parameters that are left out, so that what is left makes sense together more often."""
SHARED = "sharing/person_of_division"
FILES = "/files/{channel}/{product}/v{version}/{key}/{name}"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = published_town(tmp_path_factory, tmp_path_factory.mktemp("conformance"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(town: Town) -> Iterator[TestClient]:
    """A client of the town, whose many wrong tokens are a minute apart each: none is one too many."""
    app, minutes = create_app(town.settings), count(step=60)
    app.state.desk.callers._lockout = Lockout(lambda: next(minutes))
    with TestClient(app, base_url="http://127.0.0.1:8080", follow_redirects=False) as browser:
        yield browser


@pytest.fixture(scope="module")
def token(town: Town, client: TestClient) -> str:
    """A recipient's token, with a grant of two columns less than all of the persons."""
    contracts = client.app.state.desk.listing.snapshot().contracts  # type: ignore[attr-defined]
    with town.register() as register:
        appoint(register, contracts)
        administration.create_recipient(register, contracts, NAME, "psb", actor=ADMINISTRATOR)
        shown = [column.name for column in contracts.products[SHARED].columns][2:]
        granted(register, contracts, NAME, SHARED, purpose="一致性检验", columns=shown)
        return administration.issue_token(register, NAME, actor=ADMINISTRATOR).token


@pytest.mark.long
@pytest.mark.parametrize("examples", [pytest.param(12, id="few"), pytest.param(300, id="many", marks=pytest.mark.slow)])
def test_rows_answer_as_their_document_says(client: TestClient, token: str, examples: int) -> None:
    number = seed_from_clock()
    print("CITYLAKE_TEST_SEED", number)
    document = client.get(f"{router.PREFIX}/openapi.json").json()
    open_products = [item["id"] for item in client.get(f"{router.PREFIX}/products").json()["products"]]
    for product, without in ((random.Random(number).choice(open_products), ROWS_ONLY), (SHARED, AGGREGATES_ONLY)):
        about = client.get(f"{router.PREFIX}/products/{product}", headers={"Authorization": f"Bearer {token}"}).json()
        narrowed = _about(document, about, without)
        found = conforms(narrowed, client, router.PREFIX, [token, token, token, "cl_wrong"], examples, number)
        assert found.get("200", 0) >= examples // 3, (product, found)
    found = conforms(document, client, router.PREFIX, [token], examples // 3, number)
    assert found.get("404", 0) > examples // 3, found


def test_what_was_granted_comes_before_what_every_department_may_have(client: TestClient, token: str) -> None:
    page = client.get("/access", headers={"Authorization": f"Bearer {token}"}).text
    listed = re.findall(r'<th scope="row"><a href="/datasets/([^"]+)"', page)
    assert listed[0] == SHARED and len(listed) > 5


def test_the_document_names_every_route_of_the_api(client: TestClient) -> None:
    document = client.get(f"{router.PREFIX}/openapi.json").json()
    described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    routes = {
        (route.path.removeprefix(router.PREFIX), method)
        for route in router.build_router(client.app.state.desk).routes  # type: ignore[attr-defined]
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert described == routes


@pytest.mark.long
@pytest.mark.parametrize("examples", [pytest.param(12, id="few"), pytest.param(300, id="many", marks=pytest.mark.slow)])
def test_delta_sharing_answers_as_the_protocol_says(client: TestClient, token: str, examples: int) -> None:
    if not PROTOCOL.is_file():
        pytest.skip(f"conformance material is not there: {PROTOCOL.name}, the REST protocol of Delta Sharing")
    number = seed_from_clock()
    print("CITYLAKE_TEST_SEED", number)
    document = yaml.safe_load(PROTOCOL.read_text("utf-8"))
    about = _about_table(document, ("sharing", "population", "person_of_division"))
    found = conforms(about, client, "/delta-sharing", [token, token, token, "cl_wrong"], examples, number)
    assert found.get("200", 0) >= examples // 3, found


@pytest.mark.parametrize("examples", [pytest.param(8, id="few"), pytest.param(200, id="many", marks=pytest.mark.slow)])
def test_licences_and_files_answer_as_their_documents_say(
    town: Town, client: TestClient, token: str, examples: int
) -> None:
    number = seed_from_clock()
    print("CITYLAKE_TEST_SEED", number)
    with town.register() as register:
        granted(register, load(town.settings.contracts), NAME, licences.PRODUCT, purpose="一致性检验")
    document = client.get("/verify/openapi.json").json()
    found = conforms(document, client, "/verify", [token, "cl_wrong"], examples, number)
    assert found.get("200", 0) >= examples // 4, found
    document = client.get("/delta-sharing/openapi.json").json()
    query = client.post(
        "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division/query",
        json={},
        headers=bearer(token),
    )
    address = urlsplit(json.loads(query.text.splitlines()[2])["file"]["url"])
    given = dict(zip(("channel", "product", "version", "key", "name"), address.path.split("/")[3:], strict=True))
    given |= {"version": given["version"].removeprefix("v")} | dict(parse_qsl(address.query))
    parameters = document["paths"][FILES]["get"]["parameters"]
    for one in parameters:
        one["schema"] = {"enum": [given[one["name"]]]} if one["name"] in given else one["schema"]
        one["required"] = one["name"] in given
    found = conforms(document, client, "/delta-sharing", [], examples, number)
    assert found.get("200", 0) >= examples // 2, found
    for asked, status in (("bytes=0-9", 206), ("bytes=0-1,5-6", 206), (f"bytes={10**9}-", 416)):
        answer = client.get(f"{address.path}?{address.query}", headers={"Range": asked})
        described = document["paths"][FILES]["get"]["responses"][str(status)]
        kind = answer.headers["content-type"].partition(";")[0]
        assert answer.status_code == status and ("$ref" in described or kind in described["content"])
        assert status == 416 or "license" in answer.headers["link"]


def _about(document: dict[str, Any], product: dict[str, Any], without: Sequence[str] = ()) -> dict[str, Any]:
    """The document with this product's names where it says only what names look like, so that most requests get far."""
    found = copy.deepcopy(document)
    found["components"]["parameters"]["channel"]["schema"] = {"enum": [product["channel"]]}
    found["components"]["parameters"]["name"]["schema"] = {"enum": [product["name"]]}
    columns = {column["column"]: column["type"] for column in product["columns"]}
    numbers = [name for name, kind in columns.items() if kind in ("integer", "number")]
    narrow = {
        **{key: {"enum": list(columns)} for key in ("fields", "group", "min", "max")},
        **{key: {"enum": numbers or ["nothing"]} for key in ("sum", "avg")},
        "sort": {"enum": [f"{sign}{name}" for name in columns for sign in ("", "-")]},
        "count": {"enum": ["*", *columns]},
        "as_of": {"enum": [product["version"]]},
    }
    filters = {
        name: {"type": "string", "pattern": _FILTERS.get(kind, _FILTERS["date"])} for name, kind in columns.items()
    }
    narrow["filters"] = {"type": "object", "properties": filters, "maxProperties": 2, "additionalProperties": False}
    for item in found["paths"]["/products/{channel}/{name}/rows"].values():
        named = {part.get("name", part.get("$ref", "").rpartition("/")[2]): part for part in item["parameters"]}
        item["parameters"] = [
            {**part, "schema": narrow[name]} if name in narrow else part
            for name, part in named.items()
            if name not in without
        ]
    return found


_FILTERS = {
    "string": r"^((eq|ne|lt|le|gt|ge)\.[0-9a-z张]{0,6}|in\.[0-9a-z]{0,6}(,[0-9a-z]{0,6})?|null\.(true|false))$",
    "integer": r"^((eq|ne|lt|le|gt|ge)\.-?[0-9]{1,6}|in\.[0-9]{1,6}(,[0-9]{1,6})?|null\.(true|false))$",
    "number": r"^((eq|ne|lt|le|gt|ge)\.-?[0-9]{1,6}(\.[0-9]{1,3})?|null\.(true|false))$",
    "date": r"^((eq|ne|lt|le|gt|ge)\.20[0-9]{2}-1[0-2]-[0-2][1-8]|null\.(true|false))$",
}
"""What filters on a column look like, by the type that the dictionary says."""


def _about_table(document: dict[str, Any], table: tuple[str, str, str]) -> dict[str, Any]:
    """The protocol's document with the names of one table."""
    found = copy.deepcopy(document)
    for item in found["paths"].values():
        for operation in (part for part in item.values() if isinstance(part, dict)):
            for parameter in operation.get("parameters", []):
                if parameter.get("in") == "path":
                    place = ("share", "schema", "table").index(parameter["name"])
                    parameter["schema"] = {"enum": [table[place]]}
    return found
