"""The analysts' database: given whole, to holders of a grant of it, with checksum and ranges; every try is audited."""

import hashlib
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
from fastapi.testclient import TestClient

from catalog.delivery.marts import Marts
from catalog.listing import Listing
from catalog.policy import administration, audit
from catalog.policy.decision import MARTS, Caller, Denied, Grant, Reason, decide
from pipelines.messages import CitylakeError
from pipelines.register.store import now
from tests.catalog.small_city import AGES, BY_COUNTY, DIVISIONS, PERSONS, STEWARD, City, bearer, granted

ROAD = "/marts/marts.duckdb"
INDICATORS = "analyst/county_indicator"
CONTRACT = "products/geography/division.yaml"
DAY = timedelta(days=1)
PERIOD = {"purpose": "p", "case_number": None, "valid_from": now() - DAY, "valid_until": now() + DAY, "revoked": None}


@pytest.fixture(scope="module")
def file(city: City) -> bytes:
    city.refresh_marts()
    return city.settings.marts.read_bytes()


@pytest.fixture
def holder(city: City, file: bytes, request: pytest.FixtureRequest) -> dict[str, str]:
    name = f"分析{request.node.name}"[:60]
    token = city.recipient(name)
    city.grant(name, MARTS)
    return bearer(token)


def test_a_holder_gets_the_whole_file(city: City, client: TestClient, holder: dict[str, str], file: bytes) -> None:
    answer = client.get(ROAD, headers=holder)
    assert answer.content == file
    assert answer.headers["x-checksum-sha256"] == hashlib.sha256(file).hexdigest()
    name = city.settings.marts.resolve().name
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    row = audit.recent(city.register, 1)[0]
    assert (row["action"], row["outcome"], row["product"], row["version"]) == ("download", "allowed", MARTS, None)
    assert (row["body"]["file"], row["body"]["bytes"]) == (name, len(file)) and row["grant"] is not None
    part = client.get(ROAD, headers=holder | {"Range": "bytes=8-11"})
    assert (part.status_code, part.content) == (206, b"DUCK")
    head = client.head(ROAD, headers=holder)
    assert head.headers["content-length"] == str(len(file)) and head.content == b""


def test_the_purpose_of_its_grant_may_be_said_by_any_of_its_names(city: City, client: TestClient, file: bytes) -> None:
    token = city.recipient("用途别名")
    granted(city.register, city.contracts, "用途别名", MARTS, purpose="低保核对")
    for said, status in {"低保核查": 200, "subsistence_check": 200, "统计分析": 403}.items():
        answer = client.get(ROAD, headers=bearer(token) | {"Citylake-Purpose": quote(said)})
        assert answer.status_code == status, said


def test_what_was_downloaded_opens(client: TestClient, holder: dict[str, str], tmp_path: Path) -> None:
    target = tmp_path / "marts.duckdb"
    target.write_bytes(client.get(ROAD, headers=holder).content)
    with duckdb.connect(str(target), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM geography.division").fetchall() == [(3,)]


def test_nobody_else_gets_it(city: City, client: TestClient, file: bytes) -> None:
    token = city.recipient("只有单表")
    for product in (DIVISIONS, PERSONS):
        city.grant("只有单表", product)
    assert client.get(ROAD).status_code == 401
    assert client.get(ROAD, headers=bearer(token)).status_code == 403
    assert client.get(ROAD, headers=bearer("cl_wrong")).status_code == 401
    reasons = [row["body"]["reason"] for row in audit.recent(city.register, 3)]
    assert reasons == [Reason.TOKEN_INVALID, Reason.GRANT_REQUIRED, Reason.TOKEN_REQUIRED]
    assert {row["product"] for row in audit.recent(city.register, 3)} == {MARTS}


def test_its_grant_opens_no_product(city: City, client: TestClient, holder: dict[str, str]) -> None:
    for product in (DIVISIONS, PERSONS):
        assert client.get(f"/datasets/{product}/download/csv", headers=holder).status_code == 403
    shares = client.get("/delta-sharing/shares", headers=holder).json()["items"]
    assert [item["name"] for item in shares] == ["open"]
    assert client.get(f"/datasets/{AGES}/preview", headers=holder).status_code == 200


def test_a_grant_that_ended_opens_nothing(city: City, client: TestClient, file: bytes) -> None:
    token = city.recipient("到期分析")
    given = city.grant("到期分析", MARTS)
    administration.revoke_grant(city.register, given.id, actor=STEWARD)
    assert client.get(ROAD, headers=bearer(token)).status_code == 403
    city.grant("到期分析", MARTS, valid_from=now() + timedelta(days=1))
    assert client.get(ROAD, headers=bearer(token)).status_code == 403


def test_it_is_granted_whole(city: City) -> None:
    city.recipient("部分分析")
    for limits in ({"divisions": ["341502"]}, {"columns": ["code"]}):
        with pytest.raises(CitylakeError) as error:
            city.grant("部分分析", MARTS, **limits)
        assert error.value.code == "web.policy.whole_only"


@pytest.mark.parametrize("limits", [{"divisions": ["3415"]}, {"columns": ["code"]}, {"columns": []}])
def test_a_limited_grant_past_the_checks_opens_nothing(city: City, file: bytes, limits: dict[str, list[str]]) -> None:
    given = {"divisions": None, "columns": None, **limits}
    caller = Caller("甲", grants=(Grant(1, "甲", MARTS, **given, **PERIOD),))  # type: ignore[arg-type]
    snapshot = Listing(city.settings.contracts, city.register).snapshot()
    offer = Marts(city.settings.marts, city.settings.lake).offer(snapshot)
    assert decide(caller, offer, now()) == Denied(Reason.GRANT_EMPTY)


def test_without_a_file_there_is_nothing_to_get(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", MARTS)
    assert client.get(ROAD, headers=bearer(token)).status_code == 404
    assert audit.recent(own_city.register, 1)[0]["outcome"] == "not_found"
    assert client.get("/marts", headers=bearer(token)).status_code == 200


def test_a_new_edition_is_a_new_file(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", MARTS)
    own_city.refresh_marts()
    first = client.get(ROAD, headers=bearer(token))
    own_city.release(DIVISIONS, 7)
    assert client.get(ROAD, headers=bearer(token)).status_code == 503, "the file is still that of the edition before"
    own_city.refresh_marts()
    second = client.get(ROAD, headers=bearer(token))
    assert first.headers["content-disposition"] != second.headers["content-disposition"]
    assert second.headers["x-checksum-sha256"] == hashlib.sha256(second.content).hexdigest()


@pytest.fixture
def analysts(own_city: City) -> dict[str, str]:
    """A holder in a city of two analysts' products and their file."""
    own_city.release(INDICATORS, query=BY_COUNTY)
    own_city.refresh_marts()
    token = own_city.recipient("甲")
    own_city.grant("甲", MARTS)
    return bearer(token)


def tables(content: bytes, folder: Path) -> set[str]:
    """What a downloaded file holds besides schema `information`, as `schema.table.column`."""
    file = folder / f"{hashlib.sha256(content).hexdigest()}.duckdb"
    file.write_bytes(content)
    query = "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal"
    with duckdb.connect(str(file), read_only=True) as con:
        return {".".join(row) for row in con.execute(query).fetchall() if row[0] != "information"}


def test_a_withdrawn_product_is_not_given_with_the_old_file(
    own_city: City, analysts: dict[str, str], tmp_path: Path
) -> None:
    client, old = own_city.client(), own_city.settings.marts.resolve()
    assert {name.split(".")[0] for name in tables(client.get(ROAD, headers=analysts).content, tmp_path)} == {
        "geography",
        "smart_city",
    }
    own_city.withdraw(DIVISIONS)
    for method in ("GET", "HEAD"):
        assert client.request(method, ROAD, headers=analysts).status_code == 503
    answer = client.get(ROAD, headers=analysts)
    assert answer.json()["errorCode"] == "TEMPORARILY_UNAVAILABLE"
    assert "撤回" in answer.json()["message"] and "a withdrawal" in answer.json()["message"]
    reads = [row for row in audit.recent(own_city.register, 5) if row["action"] == "download"]
    assert len(reads) == 1, "what is not given is not audited as given"
    assert client.get(ROAD).status_code == 401, "who may not have it is told nothing of its state"
    html = analysts | {"Accept": "text/html"}
    for language, words in (("zh", "撤回"), ("en", "a withdrawal")):
        page = client.get(f"/marts?lang={language}", headers=html)
        assert page.status_code == 200 and words in page.text and old.name not in page.text
        assert words in client.get(f"{ROAD}?lang={language}", headers=html).text
    own_city.refresh_marts()
    answer = client.get(ROAD, headers=analysts)
    assert {name.split(".")[0] for name in tables(answer.content, tmp_path)} == {"smart_city"}
    assert not old.exists(), "the file with the withdrawn product is gone"


def test_when_nothing_is_shown_there_is_no_file(own_city: City, analysts: dict[str, str]) -> None:
    client = own_city.client()
    own_city.withdraw(DIVISIONS)
    own_city.withdraw(INDICATORS)
    assert client.get(ROAD, headers=analysts).status_code == 404, "at once, before the next run"
    own_city.refresh_marts()
    assert client.get(ROAD, headers=analysts).status_code == 404
    assert list(own_city.settings.marts.parent.iterdir()) == []
    own_city.release(DIVISIONS, 3)
    own_city.refresh_marts()
    assert client.get(ROAD, headers=analysts).status_code == 200


@pytest.mark.long
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("      - full_name\n      - area_km2\n", "      - area_km2\n"),
        ("      - full_name\n      - area", "      - {name: full_name, mask: pseudonym}\n      - area"),
        ("      - full_name\n      - area", "      - {name: full_name, from: county_code}\n      - area"),
    ],
)
def test_a_stricter_contract_closes_the_file_and_then_the_column(
    own_city: City, analysts: dict[str, str], tmp_path: Path, old: str, new: str
) -> None:
    closed = {"geography.division.full_name" if "full_name" in old else "geography.division.area_km2"}
    before = tables(own_city.client().get(ROAD, headers=analysts).content, tmp_path)
    edit(own_city, old, new)
    client = own_city.client()
    assert client.get(ROAD, headers=analysts).status_code == 503
    own_city.refresh_marts()
    assert tables(client.get(ROAD, headers=analysts).content, tmp_path) == before - closed


def test_a_contract_of_other_words_only_does_not_close_the_file(own_city: City, analysts: dict[str, str]) -> None:
    first = own_city.settings.marts.resolve().name
    edit(own_city, "行政区划（分析）", "行政区划（供分析）")
    client = own_city.client()
    assert client.get(ROAD, headers=analysts).status_code == 200
    own_city.refresh_marts()
    assert own_city.settings.marts.resolve().name != first, "its comments are others, so is its name"
    assert client.get(ROAD, headers=analysts).status_code == 200


def edit(city: City, old: str, new: str) -> None:
    file = city.own_contracts() / CONTRACT
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), "utf-8")


def test_the_page_shows_the_file_to_holders_only(city: City, client: TestClient, holder: dict[str, str]) -> None:
    checksum = hashlib.sha256(city.settings.marts.read_bytes()).hexdigest()
    html = {"Accept": "text/html"}
    shown, hidden = client.get("/marts?lang=zh", headers=holder | html).text, client.get("/marts?lang=zh").text
    assert checksum in shown and ROAD in shown
    assert checksum not in hidden and ROAD not in hidden and "需要令牌" in hidden and "行政区划（分析）" in hidden
    assert "/marts" in client.get("/access", headers=holder | html).text
    assert client.get(ROAD, headers=html).status_code == 401
    assert 'href="/marts"' in client.get(ROAD, headers=html).text
