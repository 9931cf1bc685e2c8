"""The audit: one row for each read and denial, a chain that shows changes, no answer without it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx import Response

from catalog.delivery.desk import asked_part, asked_range
from catalog.delivery.formats import FORMATS
from catalog.delivery.verification.licences import PRODUCT as LICENCES
from catalog.metering import DATA
from catalog.policy import audit
from catalog.policy.audit import ACTIONS
from catalog.policy.decision import MARTS, Reason
from catalog.policy.inquiry import AGAIN, Asked, totals
from catalog.policy.users import ACTS, LOOKS
from pipelines.messages import catalogue
from pipelines.register.tables import audit as table
from pipelines.settings import REPOSITORY
from tests.catalog.small_city import AGES, COUNTIES, DIVISIONS, PERSONS, PLAN, City, bearer, outcomes
from tests.catalog.test_verification import rows as licences

TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
LAYER, ROWS = "sharing/component", "/api/v1/products"
signed: dict[Path, str] = {}
"""An address of a file that was given before the audit broke, by city."""
ROADS = (f"/datasets/{AGES}/preview", f"/datasets/{AGES}/download/csv", "/delta-sharing/shares")


def test_one_row_for_each_read_and_denial(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"], columns=["name"], case_number="2026-7")
    client.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(token))
    client.get(f"/datasets/{PERSONS}/download/csv")
    client.get(f"/datasets/{AGES}/preview")
    client.get("/datasets/open/nothing/preview")
    client.get(f"/datasets/{AGES}")
    client.get("/quality")
    rows = audit.recent(own_city.register)
    assert outcomes(rows) == [
        ("download", "allowed"),
        ("download", "denied"),
        ("preview", "allowed"),
        ("preview", "not_found"),
    ]
    read = rows[3]
    assert (read["recipient"], read["product"], read["version"], read["grant"]) == ("甲", PERSONS, 0, 1)
    body = read["body"]
    assert (body["columns"], body["divisions"], body["rows"], body["purpose"]) == (["name"], ["341502"], 20, "核验测试")
    assert audit.first_break(own_city.register) is None


def test_no_value_and_no_token_in_any_row(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    for road in (f"/datasets/{PERSONS}/preview", f"/datasets/{PERSONS}/download/csv"):
        client.get(road, headers=bearer(token))
    client.get(f"/datasets/{PERSONS}/preview", headers=bearer("cl_0123456789abcdef_" + "f" * 64))
    text = str(audit.recent(own_city.register))
    assert "张**" not in text and "341502****" not in text
    assert token.split("_")[2] not in text and "f" * 64 not in text


def test_a_changed_row_shows(own_city: City) -> None:
    client = own_city.client()
    for _ in range(3):
        client.get(f"/datasets/{AGES}/preview")
    with own_city.register.begin() as connection:
        connection.execute(sa.update(table).where(table.c.sequence == 2).values(outcome="denied"))
    assert audit.first_break(own_city.register) == 2


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_no_answer_without_an_audit_row(own_city: City, accept: str) -> None:
    client = own_city.client()
    assert all(client.get(road).status_code == 200 for road in ROADS)
    with _audit_refused(own_city):
        for road in ROADS:
            answer = client.get(road, headers={"Accept": accept})
            assert (answer.status_code, "金安区" in answer.text) == (503, False)
            assert "审计" in answer.text
        assert client.get(f"/datasets/{PERSONS}/preview").status_code == 503, "denials too"
        assert client.get("/").status_code == 200, "pages without data stay"
    assert all(client.get(road).status_code == 200 for road in ROADS)


def roads(city: City, client: TestClient, token: str) -> dict[str, Response]:
    """What every road answers to a recipient who may read everything."""
    shown = bearer(token)

    def got(place: str) -> Response:
        return client.get(place, headers=shown)

    file = signed[city.settings.home]
    found = {
        "verification": got("/verify/licence/00000"),
        "signed file": client.get(file),
        "preview": got(f"/datasets/{PERSONS}/preview"),
        "marts": got("/marts/marts.duckdb"),
        "indicators": got("/indicators"),
        "map": got("/indicators/map"),
        "login": client.post("/login", data={"token": token}),
        "layer": got(f"/datasets/{LAYER}/download/geojson"),
        "head": client.head(TABLE, headers=shown),
        "shares": got("/delta-sharing/shares"),
    }
    client.cookies.clear()
    for kind in FORMATS:
        found[f"download {kind}"] = got(f"/datasets/{PERSONS}/download/{kind}")
    for name in ("", "/schemas", "/all-tables", "/schemas/population/tables"):
        found[f"share {name}"] = got(f"/delta-sharing/shares/sharing{name}")
    for name in ("version", "metadata", "changes?startingVersion=0"):
        found[f"table {name}"] = got(f"{TABLE}/{name}")
    found["query"] = client.post(f"{TABLE}/query", headers=shown, json={})
    for name in ("", f"/{PERSONS}", f"/{PERSONS}/rows"):
        found[f"rows {name}"] = got(f"{ROWS}{name}")
    return found


def test_no_road_answers_without_an_audit_row(own_city: City) -> None:
    own_city.release(LICENCES, query=licences())
    own_city.release(LAYER, 5)
    own_city.release(PLAN), own_city.release(COUNTIES)
    own_city.refresh_marts()
    client, token = own_city.client(), own_city.recipient("甲")
    for product in (PERSONS, LICENCES, LAYER, MARTS):
        own_city.grant("甲", product)
    answer = client.post(f"{TABLE}/query", headers=bearer(token), json={})
    signed[own_city.settings.home] = json.loads(answer.text.splitlines()[-1])["file"]["url"]
    before = roads(own_city, client, token)
    good = {name: answer.status_code for name, answer in before.items() if answer.status_code not in (200, 303)}
    assert good == {}
    with _audit_refused(own_city):
        broken = roads(own_city, client, token)
    assert {name: answer.status_code for name, answer in broken.items()} == dict.fromkeys(broken, 503)
    told = " ".join(answer.text for name, answer in broken.items() if name != "head")
    assert "张**" not in told and "金安区" not in told and "K06" not in told
    for name, answer in broken.items():
        assert name == "head" or "审计" in answer.text, name


@contextmanager
def _audit_refused(city: City) -> Iterator[None]:
    with city.register.begin() as connection:
        connection.execute(
            sa.text("CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
    yield
    with city.register.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER refuse"))


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (None, None),
        ("bytes=0-99", "bytes=0-99"),
        ("bytes=-4, 7-", "bytes=-4, 7-"),
        ("bytes=0-1" + ",2-3" * 6, "other"),
        ("bytes=" + "9" * 100 + "-", "other"),
        ("张三 341502199001011234", "other"),
        ("bytes=0-1\n", "other"),
    ],
)
def test_only_byte_ranges_are_kept_of_a_range_header(asked: str | None, kept: str | None) -> None:
    assert asked_range(asked) == kept


@pytest.mark.parametrize(
    ("asked", "same", "whole"),
    [
        (None, None, False),
        ("bytes=1-", None, True),
        ("bytes=65536-", None, True),
        ("bytes=65537-", None, False),
        ("bytes=65537-", '"e"', False),
        ("bytes=65537-", '"x"', True),
        ("bytes=-999999", None, True),
        ("bytes=-65536", None, True),
        ("bytes=-7", None, False),
        ("bytes=-", None, True),
        ("bytes=70000-, 0-", None, True),
        ("Bytes=70000-", None, True),
    ],
)
def test_what_is_answered_says_whether_a_file_is_counted_again(
    asked: str | None, same: str | None, whole: bool
) -> None:
    headers = {} if asked is None else {"range": asked}
    said = asked_part(headers | ({} if same is None else {"if-range": same}), 131_071, '"e"')
    assert said == {"range": asked_range(asked), **({"whole": True} if whole else {})}


def test_no_header_hides_a_download(staffed_city: City) -> None:
    staffed_city.release(PERSONS)
    shown = bearer(staffed_city.recipient("甲"))
    staffed_city.grant("甲")
    client, counted = staffed_city.client(), list[int]()
    for more in ({}, {"Range": "bytes=1-", "If-Range": '"x"'}, {"Range": "bytes=-999999"}, {"Range": "bytes=1-"}):
        assert client.get(f"/datasets/{PERSONS}/download/csv", headers=shown | more).is_success
        (total,) = totals(staffed_city.register, ZoneInfo("Asia/Shanghai"), Asked(recipient="甲", action="download"))
        counted.append(total.rows)
    assert counted[0] > 0 and counted == [counted[0] * number for number in range(1, 5)]


def test_every_action_and_reason_has_a_name_in_both_languages(own_city: City) -> None:
    asked = {*ACTS, *LOOKS, *DATA, *AGAIN}
    assert asked <= ACTIONS
    names = {f"web.action.{action}" for action in ACTIONS} | {f"web.reason.{reason}" for reason in Reason}
    assert names <= set(catalogue())
    written = "".join(path.read_text("utf-8") for path in (REPOSITORY / "catalog/policy").glob("*.py"))
    codes = set(re.findall(r'NotAllowed\(\s*"([a-z_.]+)"', written))
    administering = ("policy/administration", "policy/limits", "policy/suspension", "access/router", "access/asking")
    written = "".join((REPOSITORY / f"catalog/{name}.py").read_text("utf-8") for name in administering)
    codes |= set(re.findall(r'CitylakeError\(\s*"([a-z_.]+)"', written))
    codes |= {f"access.{rule}" for rule in re.findall(r'Refusal\(\d+, "([a-z_]+)"', written)}
    assert {f"web.reason.{code}" for code in codes} <= set(catalogue()) and codes
    with pytest.raises(ValueError, match=r"rows\.write"):
        audit.record(own_city.register, "rows.write", "allowed", {})


def test_reads_and_denials_name_the_token(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", columns=["name"])
    shown = bearer(token)
    client.get(f"/datasets/{PERSONS}/download/csv", headers=shown | {"Range": "my own words"})
    client.get(f"/datasets/{DIVISIONS}/preview", headers=shown)
    client.get("/delta-sharing/shares", headers=shown)
    client.post("/login", data={"token": token})
    client.cookies.clear()
    client.get(f"/datasets/{AGES}/preview")
    bodies = [row["body"] for row in audit.recent(own_city.register, 5)]
    assert [body.get("token_id") for body in bodies] == [None, *[token.split("_")[1]] * 4]
    assert bodies[-1]["range"] == "other" and "my own words" not in str(bodies)
