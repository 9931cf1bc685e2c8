"""The audit: one row for each read and denial, a chain that shows changes, no answer without it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx import Response

from catalog.delivery import ranges
from catalog.delivery.formats import FORMATS
from catalog.delivery.verification.licences import PRODUCT as LICENCES
from catalog.metering import DATA
from catalog.policy import audit
from catalog.policy.audit import ACTIONS
from catalog.policy.decision import MARTS, Reason
from catalog.policy.inquiry import AGAIN, Asked, totals
from catalog.policy.reads import summed
from catalog.policy.recall import recalls
from catalog.policy.services import services
from catalog.policy.users import ACTS, LOOKS
from pipelines.messages import catalogue
from pipelines.register.store import now
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


MANY = ",".join(f"{number}-{number}" for number in range(7))


@pytest.mark.parametrize(
    ("asked", "sent", "said"),
    [
        (None, None, {"range": None}),
        ("bytes=0-99", "bytes=0-99", {"range": "bytes=0-99", "whole": True}),
        ("Bytes = 70000-999999", "bytes=70000-131070", {"range": "bytes=70000-999999"}),
        ("bytes=65536-", "bytes=65536-131070", {"range": "bytes=65536-", "whole": True}),
        ("bytes=65537-", "bytes=65537-131070", {"range": "bytes=65537-"}),
        ("bytes=-7", "bytes=131064-131070", {"range": "bytes=-7"}),
        ("bytes=-999999", "bytes=0-131070", {"range": "bytes=-999999", "whole": True}),
        ("bytes=-4, 7-", "bytes=131067-131070,7-131070", {"range": "bytes=-4,7-", "whole": True}),
        ("bytes=131071-, 70000-70001", "bytes=70000-70001", {"range": "bytes=131071-,70000-70001"}),
        (f"bytes={MANY}", f"bytes={MANY}", {"range": "other", "whole": True}),
        ("bytes=131071-", None, {"range": "bytes=131071-", "status": 416}),
        ("bytes=-0", None, {"range": "bytes=-0", "status": 416}),
        *((text, None, {"range": None}) for text in ("bytes=", "bytes=-", "bytes=abc", "bytes=5-3", "bytes=0-1,5-3")),
        *(
            (text, None, {"range": None})
            for text in ("items=0-1", "bytes=1-2\n", "张三 341502199001011234", "bytes=0-1;2")
        ),
        ("bytes=" + "9" * 19 + "-", None, {"range": None}),
        ("bytes=" + ",".join(["0-0"] * 101), None, {"range": None}),
    ],
)
def test_a_range_is_read_once_and_what_is_none_is_ignored(
    asked: str | None, sent: str | None, said: dict[str, Any]
) -> None:
    headers = {} if asked is None else {"range": asked}
    found = ranges.asked("GET", headers, 131_071, '"e"')
    assert (found.header, found.said) == (sent, said)
    assert ranges.asked("GET", headers | {"if-range": '"e"'}, 131_071, '"e"') == found
    whole = ranges.Asked(131_071)
    assert ranges.asked("HEAD", headers, 131_071, '"e"') == whole
    assert ranges.asked("GET", headers | {"if-range": '"x"'}, 131_071, '"e"') == whole


def test_what_gave_nothing_is_no_read_for_anybody(own_city: City) -> None:
    client, shown = own_city.client(), bearer(own_city.recipient("甲"))
    own_city.grant("甲")
    path, rows = f"/datasets/{PERSONS}/download/csv", f"/api/v1/products/{PERSONS}/rows"
    query = client.post(f"{TABLE}/query", headers=shown, json={})
    url = json.loads(query.text.splitlines()[2])["file"]["url"]
    size = int(client.head(path, headers=shown).headers["content-length"])
    behind = {"Range": f"bytes={size * 9}-"}
    for at, language in ((path, "zh"), (url, "zh"), (path, "en")):
        beyond = client.get(at, headers=shown | behind)
        assert beyond.status_code == 416 and beyond.headers["content-range"].startswith("bytes */")
        assert beyond.json()["errorCode"] == "INVALID_PARAMETER_VALUE"
        assert {"zh": "文件末尾", "en": "end of the file"}[language] in beyond.json()["message"]
    page = client.get(path, headers=shown | behind | {"Accept": "text/html"})
    assert page.status_code == 416 and "没有这一段" in page.text
    assert client.get(rows, headers=shown | {"If-None-Match": "*"}).status_code == 304
    zone = ZoneInfo("Asia/Shanghai")

    def calls() -> int:
        found = services(own_city.register, own_city.contracts, own_city.ledger.published(), now())
        return next(one.calls for one in found if one.product == PERSONS)

    def told() -> list[tuple[str, int]]:
        entries = summed(own_city.register, zone, Asked(recipient="甲")).entries
        return [(one["action"], one["reads"]) for one in entries if one["product"] == PERSONS]

    assert calls() == 1 and told() == [("table.query", 1)]
    (total,) = totals(own_city.register, zone, Asked(recipient="甲", action="download"))
    assert (total.outcome, total.rows) == ("allowed", 0)
    for wrong in ("items=0-1", "bytes=5-3"):
        whole = client.get(path, headers=shown | {"Range": wrong})
        assert whole.status_code == 200 and len(whole.content) == size
    assert client.get(url, headers={"Range": "bytes=0-3"}).content == b"PAR1"
    assert calls() == 4 and told() == [("table.query", 1), ("download", 2), ("file.read", 1)]
    other = bearer(own_city.recipient("乙"))
    own_city.grant("乙")
    assert client.head(path, headers=other).is_success
    own_city.withdraw(PERSONS)
    (recall,) = recalls(own_city.register, PERSONS)
    assert [one.recipient for one in recall.readers] == ["甲"], "who asked for the head alone read nothing"


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
    assert bodies[-1]["range"] is None and "my own words" not in str(bodies)
