"""The API of those who administer: every act by every role, as the command does it, once; who may not is told."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from catalog.access.acts import ACTS, LISTS
from catalog.access.router import PREFIX, build_router
from catalog.delivery import ahead
from catalog.policy import administration, audit, suspension, users
from catalog.web.site import Site
from citylake.main import app
from pipelines.register.tables import access, application, recipient, token
from pipelines.register.tables import suspension as suspension_table
from tests.catalog.conforming import conforms
from tests.catalog.serving import serving
from tests.catalog.signing_in import Clock, Somebody, ready
from tests.catalog.small_city import (
    ADMINISTRATOR,
    APPROVER,
    AUDITOR,
    DIVISIONS,
    GUARD,
    OFFICE,
    PERSONS,
    STEWARD,
    City,
    bearer,
)
from tests.city import seed_from_clock

TABLES = (recipient, application, token, access, suspension_table)
CLERK = "科员"
PEOPLE = {
    ADMINISTRATOR: "administrator",
    STEWARD: "steward",
    APPROVER: "approver",
    GUARD: "security_officer",
    AUDITOR: "auditor",
    CLERK: "department_user",
}


@pytest.fixture
def people(staffed_city: City, clock: Clock) -> dict[str, TestClient]:
    """A browser of each of them, signed in."""
    users.create(staffed_city.register, staffed_city.contracts, CLERK, "psb", ["department_user"], actor=ADMINISTRATOR)
    return {name: ready(staffed_city, name, clock).browser for name in PEOPLE}


def targets(city: City) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every act of the API, with something it can be done to: its address and body."""
    register, contracts = city.register, city.contracts
    city.recipient("甲"), city.recipient("乙", "cab")
    issued = [administration.issue_token(register, "甲", actor=ADMINISTRATOR).id for _ in range(2)]
    first = city.grant("甲", DIVISIONS)
    waiting = administration.grant(register, contracts, "乙", PERSONS, purpose="核验", actor=STEWARD)
    suspension.suspend(register, contracts, "recipient", "乙", "试", actor=GUARD)
    return {
        "/recipients": ("/recipients", {"name": "丙", "organisation": "psb"}),
        "/applications": ("/applications", {"name": "系统", "organisation": "psb"}),
        "/tokens": ("/tokens", {"recipient": "甲"}),
        "/tokens/{token}/rotate": (f"/tokens/{issued[0]}/rotate", {"overlap_hours": 12}),
        "/tokens/{token}/revoke": (f"/tokens/{issued[1]}/revoke", {}),
        "/grants": ("/grants", {"recipient": "甲", "product": PERSONS, "purpose": "核验"}),
        "/grants/{number}/approve": (f"/grants/{waiting.id}/approve", {}),
        "/grants/{number}/revoke": (f"/grants/{first.id}/revoke", {}),
        "/suspensions": ("/suspensions", {"whom": "recipient", "name": "甲", "why": "试"}),
        "/suspensions/lift": ("/suspensions/lift", {"whom": "recipient", "name": "乙", "why": "试"}),
    }


def state(city: City) -> list[list[dict[str, Any]]]:
    return [city.register.rows(sa.select(table)) for table in TABLES]


def test_every_act_by_every_role(staffed_city: City, people: dict[str, TestClient]) -> None:
    found = targets(staffed_city)
    assert found.keys() == {act.path for act in ACTS}
    for act in ACTS:
        path, body = found[act.path]
        allowed = [name for name, role in PEOPLE.items() if role in users.ACTS[act.action]]
        for name in PEOPLE.keys() - set(allowed):
            before = state(staffed_city)
            answer = people[name].post(f"{PREFIX}{path}", json=body)
            assert (answer.status_code, answer.json()["rule"]) == (403, "role"), (act.path, name)
            assert answer.headers["content-type"] == "application/problem+json"
            assert state(staffed_city) == before
            row = audit.recent(staffed_city.register, 1)[0]
            assert (row["action"], row["outcome"], row["body"]["actor"]) == (act.action, "denied", name)
        before = state(staffed_city)
        answer = people[allowed[0]].post(f"{PREFIX}{path}", json=body)
        assert answer.status_code == (201 if act.creates else 200), (act.path, answer.text)
        assert answer.headers["cache-control"] == "no-store" and "RateLimit-Remaining" in answer.headers
        row = audit.recent(staffed_city.register, 1)[0]
        assert (row["action"], row["outcome"], row["body"]["actor"]) == (act.action, "allowed", allowed[0])
        assert state(staffed_city) != before
    assert audit.first_break(staffed_city.register) is None


def test_lists_by_every_role(staffed_city: City, people: dict[str, TestClient]) -> None:
    targets(staffed_city)
    for one in LISTS:
        for name, role in PEOPLE.items():
            answer = people[name].get(f"{PREFIX}{one.path}")
            allowed = role in users.LOOKS["access.list"]
            assert answer.status_code == (200 if allowed else 403), (one.path, name)
            row = audit.recent(staffed_city.register, 1)[0]
            assert (row["action"], row["outcome"]) == ("access.list", "allowed" if allowed else "denied")
    steward = people[STEWARD]
    assert [one["recipient"] for one in steward.get(f"{PREFIX}/grants?recipient=乙").json()["grants"]] == ["乙"]
    assert steward.get(f"{PREFIX}/grants?product={DIVISIONS}").json()["grants"][0]["purpose"] == "核验测试"
    assert not any(one["limited_in_vain"] for one in steward.get(f"{PREFIX}/grants").json()["grants"])
    given = staffed_city.grant("乙", "sharing/population_conflict_count")
    with staffed_city.register.begin() as connection:  # as it was given before that was refused
        connection.execute(sa.update(access).where(access.c.id == given.id).values(roads=["rows"]))
    listed = steward.get(f"{PREFIX}/grants?recipient=乙").json()["grants"]
    assert [one["id"] for one in listed if one["limited_in_vain"]] == [given.id]
    assert steward.get(f"{PREFIX}/grants?who=乙").status_code == 400
    assert "argon2" not in steward.get(f"{PREFIX}/tokens").text
    offered = steward.get(f"{PREFIX}/services").json()["services"]
    assert {one["product"] for one in offered} >= {PERSONS} and not any(one["live"] for one in offered)


def test_lists_come_in_pages_if_asked_to(
    staffed_city: City, people: dict[str, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks for no pages gets everything: nobody overlooks a `next` that they never heard of."""
    monkeypatch.setattr("catalog.access.router.MOST_LISTED", 5)
    steward, names = people[STEWARD], [f"接收方{number}" for number in range(7)]
    for name in names:
        staffed_city.recipient(name)
    for what, key in (("recipients", "name"), ("tokens", "id")):
        whole = steward.get(f"{PREFIX}/{what}").json()
        assert "next" not in whole and len(whole[what]) == 7
        found, asked = list[dict[str, Any]](), {"limit": "3"}
        for page in range(3):
            answer = steward.get(f"{PREFIX}/{what}", params=asked).json()
            found += answer[what]
            assert ("next" in answer) is (page < 2)
            asked |= {"after": answer.get("next", "")}
        assert found == whole[what] and found[2][key] != found[3][key]
    for bad in ({"limit": "0"}, {"limit": "501"}, {"limit": "x"}, {"after": "nobody"}):
        answer = steward.get(f"{PREFIX}/recipients", params=bad)
        assert (answer.status_code, answer.json()["rule"]) == (400, "parameter")
        row, before = audit.recent(staffed_city.register, 2)
        assert (row["outcome"], row["body"]["reason"]) == ("denied", "access.parameter")
        assert row["action"] == "access.list" and (before["outcome"] == "denied") is (bad != {"limit": "0"})


def test_command_and_api_give_the_same_rows(
    staffed_city: City, people: dict[str, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(staffed_city.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(staffed_city.settings.project))

    def command(*arguments: str) -> None:
        result = CliRunner().invoke(app, ["access", *arguments])
        assert result.exit_code == 0, result.output

    command("recipient", "甲", "psb", "--who", ADMINISTRATOR)
    assert people[ADMINISTRATOR].post(f"{PREFIX}/recipients", json={"name": "乙", "organisation": "psb"}).is_success
    limits = ("--purpose", "低保核对", "--division", "341502", "--column", "name", "--case-number", "六民〔2026〕1号")
    command("grant", "甲", PERSONS, *limits, "--road", "rows", "--days", "30", "--who", STEWARD)
    asked = {"recipient": "乙", "product": PERSONS, "purpose": "低保核对", "divisions": ["341502"], "days": 30}
    asked |= {"columns": ["name"], "case_number": "六民〔2026〕1号", "roads": ["rows"]}
    assert people[STEWARD].post(f"{PREFIX}/grants", json=asked).status_code == 201
    rows = [rows_of(staffed_city, name) for name in ("甲", "乙")]
    acts = [row["body"] for row in rows[1] if "body" in row]
    assert [body.pop("road") for body in acts] == ["web", "web"], "what the API does says its road, allowed or not"
    assert rows[0] == rows[1] and len(rows[0]) == 4
    refused = people[AUDITOR].post(f"{PREFIX}/recipients", json={"name": "丙", "organisation": "psb"})
    newest = audit.recent(staffed_city.register, 1)[0]
    assert refused.status_code == 403 and (newest["outcome"], newest["body"]["road"]) == ("denied", "web")


def rows_of(city: City, name: str) -> list[dict[str, Any]]:
    """What the register and the audit have of a recipient, without names, numbers and moments."""
    found = [
        *city.register.rows(sa.select(recipient).where(recipient.c.name == name)),
        *city.register.rows(sa.select(access).where(access.c.recipient == name)),
        *audit.recent(city.register, 100, name),
    ]
    moments = {"id", "name", "recipient", "sequence", "grant", "at", "previous", "hash", "created"}
    moments |= {"valid_from", "valid_until"}
    return [
        {
            key: {part: said for part, said in value.items() if part not in moments} if key == "body" else value
            for key, value in row.items()
            if key not in moments
        }
        for row in found
    ]


def test_asking_twice_does_it_once(staffed_city: City, people: dict[str, TestClient]) -> None:
    administrator, steward = people[ADMINISTRATOR], people[STEWARD]
    for path in ("/recipients", "/applications"):
        body = {"name": "甲", "organisation": "psb"}
        first, again = (administrator.post(f"{PREFIX}{path}", json=body) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
        other = administrator.post(f"{PREFIX}{path}", json={**body, "organisation": "cab"})
        assert other.status_code == 409 and other.json()["rule"].endswith("exists")
    asked = {
        "recipient": "甲",
        "product": PERSONS,
        "purpose": "核验",
        "columns": ["sex", "name"],
        "divisions": ["341502"],
    }
    first, again = (steward.post(f"{PREFIX}/grants", json=asked) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
    for more in (
        {"days": 90},
        {"columns": ["name"]},
        {"divisions": ["341503"]},
        {"roads": ["rows"]},
        {"purpose": "别"},
    ):
        assert steward.post(f"{PREFIX}/grants", json={**asked, **more}).status_code == 409, more
    assert len(staffed_city.register.rows(sa.select(access))) == 1
    for kind in ("token", "client"):
        named = {"Idempotency-Key": f'"{kind}-2026-11"'}
        body = {"recipient": "甲", "kind": kind, "days": 30}
        first, again = (administrator.post(f"{PREFIX}/tokens", json=body, headers=named) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 409)
        assert again.json()["rule"] == "issued_before"
        secret = first.json()["token" if kind == "token" else "client_secret"]
        assert secret not in again.text
        made = first.json()["id" if kind == "token" else "client_id"]
        over = [administrator.post(f"{PREFIX}/tokens/{made}/rotate", json={}) for _ in range(2)]
        assert [answer.status_code for answer in over] == [201, 409]
        assert over[0].json()["succeeds"] == made and over[0].json()["profile"]["shareCredentialsVersion"] in (1, 2)
        assert over[1].json()["rule"] == "succeeded"
    assert len(administration.list_tokens(staffed_city.register)) == 4


def test_a_register_that_fails_after_the_answer_is_logged_by_its_kind(
    staffed_city: City, people: dict[str, TestClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: object) -> None:
        raise sa.exc.OperationalError("SELECT", {"name": "丁"}, OSError())

    staffed_city.recipient("甲")
    monkeypatch.setattr(ahead, "after_grant", gone)
    asked = {"recipient": "甲", "product": PERSONS, "purpose": "核验"}
    assert people[STEWARD].post(f"{PREFIX}/grants", json=asked).status_code == 201
    assert "nothing could be made ahead: OperationalError" in caplog.text and "丁" not in caplog.text


def test_separation_of_duties_is_the_commands(staffed_city: City, people: dict[str, TestClient]) -> None:
    staffed_city.recipient("外"), staffed_city.recipient("内", OFFICE)
    asked = {"recipient": "内", "product": PERSONS, "purpose": "核验"}
    own = people[STEWARD].post(f"{PREFIX}/grants", json=asked)
    assert (own.status_code, own.json()["rule"]) == (403, "own_organisation")
    given = people[STEWARD].post(f"{PREFIX}/grants", json={**asked, "recipient": "外"}).json()
    assert given["pending"] and given["approver"] is None
    users.change(staffed_city.register, STEWARD, ["steward", "approver"], actor=ADMINISTRATOR)
    own = people[STEWARD].post(f"{PREFIX}/grants/{given['id']}/approve", json={})
    assert (own.status_code, own.json()["rule"]) == (403, "own_request")
    approved = people[APPROVER].post(f"{PREFIX}/grants/{given['id']}/approve", json={}).json()
    assert (approved["pending"], approved["approver"]) == (False, APPROVER)
    assert people[APPROVER].post(f"{PREFIX}/grants/{given['id']}/approve", json={}).status_code == 409
    missing = [people[APPROVER].post(f"{PREFIX}/grants/{number}/approve", json={}) for number in ("77", "x", "0")]
    assert {(answer.status_code, answer.json()["rule"]) for answer in missing} == {(404, "no_grant")}


def test_whoever_may_not_learns_of_no_name_and_every_refusal_is_audited(
    staffed_city: City, people: dict[str, TestClient]
) -> None:
    staffed_city.recipient("甲")
    asked = {"recipient": "甲", "purpose": "核验", "product": PERSONS}

    def refused(name: str, path: str, body: object, rule: str, reason: str, **headers: str) -> None:
        before = audit.recent(staffed_city.register, 1)[0]["sequence"]
        answer = people[name].post(f"{PREFIX}{path}", json=body, headers=headers)
        (row,) = (one for one in audit.recent(staffed_city.register, 5) if one["sequence"] > before)
        assert answer.json()["rule"] == rule and row["outcome"] == "denied"
        assert (row["body"]["actor"], row["body"]["reason"]) == (name, reason)

    for wrong in ({"product": "sharing/none"}, {"columns": ["nix"]}, {"divisions": ["11"]}, {"recipient": "无"}, {}):
        refused(CLERK, "/grants", {**asked, **wrong}, "role", "user.role")
    for path in ("/recipients", "/applications"):
        refused(CLERK, path, {"name": "丙", "organisation": "nobody"}, "role", "user.role")
    refused(STEWARD, "/grants", {**asked, "product": "sharing/none"}, "no_product", "web.policy.no_product")
    refused(STEWARD, "/grants", {**asked, "columns": ["nix"]}, "no_columns", "web.policy.no_columns")
    refused(STEWARD, "/grants", {**asked, "more": 1}, "body", "access.body")
    refused(APPROVER, "/grants/77/approve", {}, "no_grant", "web.policy.no_grant")
    key = {"Idempotency-Key": "a b"}
    refused(ADMINISTRATOR, "/tokens", {"recipient": "甲"}, "request_key", "access.request_key", **key)
    assert people[AUDITOR].get(f"{PREFIX}/grants?who=x").status_code == 400
    row = audit.recent(staffed_city.register, 1)[0]
    assert (row["action"], row["outcome"], row["body"]["reason"]) == ("access.list", "denied", "access.parameter")


def test_nobody_else_administers(staffed_city: City, people: dict[str, TestClient], clock: Clock) -> None:
    """No session, a program's token beside a session, a person without second factor, a page of another site."""
    shown, client = staffed_city.recipient("甲"), staffed_city.oauth_client("乙")
    body = {"name": "丙", "organisation": "psb"}
    steward = people[ADMINISTRATOR]
    before = state(staffed_city)

    def refused(status: int, rule: str, browser: TestClient, **headers: str) -> None:
        answer = browser.post(f"{PREFIX}/recipients", json=body, headers=headers)
        assert (answer.status_code, answer.json()["rule"]) == (status, rule), answer.text
        assert "\n" in answer.json()["detail"] and state(staffed_city) == before
        row = audit.recent(staffed_city.register, 1)[0]
        assert (row["action"], row["outcome"]) == ("recipient.create", "denied")

    stranger = staffed_city.client()
    refused(401, "sign_in", stranger)
    assert "WWW-Authenticate" in stranger.get(f"{PREFIX}/grants").headers
    refused(403, "program", steward, **bearer(shown))
    exchanged = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.client_secret,
    }
    access_token = stranger.post("/oauth/token", data=exchanged).json()["access_token"]
    refused(403, "program", steward, **bearer(access_token))
    refused(401, "token_invalid", steward, **bearer("cl_wrong"))
    refused(403, "foreign", steward, Origin="https://elsewhere.example")
    users.create(staffed_city.register, staffed_city.contracts, "新手", OFFICE, ["administrator"], actor=ADMINISTRATOR)
    refused(403, "second_factor", ready(staffed_city, "新手", clock, second=False).browser)
    form = steward.post(f"{PREFIX}/recipients", data=body)
    assert (form.status_code, form.json()["rule"]) == (415, "no_json"), "what a form of another site could send"
    steward.post("/logout")
    refused(401, "sign_in", steward)


@pytest.mark.parametrize(
    ("body", "status", "parameter"),
    [
        (b"", 400, None),
        (b'{"name": "\xff"}', 400, None),
        (b"[]", 422, None),
        (b'{"name": "a", "organisation": "psb", "more": 1}', 422, "more"),
        (b'{"name": "a\\u0000", "organisation": "psb"}', 422, "name"),
        (b'{"name": " a", "organisation": "psb"}', 422, None),
        (b'{"name": "a", "organisation": "nobody"}', 422, None),
        (b" " * 70_000, 413, None),
    ],
)
def test_wrong_bodies_are_told(
    staffed_city: City, clock: Clock, body: bytes, status: int, parameter: str | None
) -> None:
    browser = ready(staffed_city, ADMINISTRATOR, clock).browser
    answer = browser.post(f"{PREFIX}/recipients", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json().get("parameter")) == (status, parameter), answer.text
    assert answer.json()["status"] == status and staffed_city.register.rows(sa.select(recipient)) == []


@pytest.mark.long
@pytest.mark.server
@pytest.mark.parametrize("examples", [pytest.param(6, id="few"), pytest.param(150, id="many", marks=pytest.mark.slow)])
def test_answers_are_as_the_document_says(staffed_city: City, people: dict[str, TestClient], examples: int) -> None:
    number = seed_from_clock()
    print("CITYLAKE_TEST_SEED", number)
    targets(staffed_city)
    document = people[STEWARD].get(f"{PREFIX}/openapi.json").json()
    narrowed = narrow(document, staffed_city)
    for name in (ADMINISTRATOR, STEWARD, GUARD):
        found = conforms(narrowed, people[name], PREFIX, [], examples, number)
        assert {"200", "403"} <= found.keys() and found.keys() & {"201", "409"}, found
    found = conforms(document, staffed_city.client(), PREFIX, ["cl_wrong"], examples // 3, number)
    assert found.keys() == {"200", "401"} | (found.keys() & {"405", "429"}), found


def narrow(document: dict[str, Any], city: City) -> dict[str, Any]:
    """The document with names that there are, so that most requests get far."""
    text = json.loads(json.dumps(document))
    for path, item in text["paths"].items():
        if "post" not in item:
            continue
        properties = item["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        known = {"organisation": ["psb"], "recipient": ["甲", "乙"], "product": [PERSONS, DIVISIONS]}
        known |= {"name": ["甲", "乙", "丁"]} if path != "/applications" else {}
        properties.update({name: {"enum": values} for name, values in known.items() if name in properties})
        for place in item["post"]["parameters"]:
            if place["name"] == "number":
                place["schema"] = {"enum": [str(one.id) for one in administration.list_grants(city.register)]}
            if place["name"] == "token":
                place["schema"] = {"enum": [one.id for one in administration.list_tokens(city.register)]}
    return dict(text)


def test_the_document_names_every_route(staffed_city: City) -> None:
    client = staffed_city.client()
    document = client.get(f"{PREFIX}/openapi.json").json()
    described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    there: Any = build_router(Site(client.app.state.desk)).routes  # type: ignore[attr-defined]
    assert described == {(one.path.removeprefix(PREFIX), method) for one in there for method in one.methods}


@pytest.mark.server
def test_the_commands_of_the_documentation(staffed_city: City, clock: Clock, repository: Path, tmp_path: Path) -> None:
    """The lines of docs/access-api.md, as they stand there, by curl."""
    shown = staffed_city.recipient("cab-family-desk", "cab")
    person = Somebody(staffed_city, STEWARD, clock)
    person.join()
    text = (repository / "docs/access-api.md").read_text("utf-8")
    script, renewing = text.split("```\n")[1::2]
    with serving(staffed_city.settings) as address:
        environment = {
            "CATALOGUE": address,
            "NAME": STEWARD,
            "PASSWORD": person.password,
            "TOKEN": shown,
            "PATH": "/usr/bin:/bin",
        }
        command = ["bash", "-euo", "pipefail", "-c", script + renewing]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    given, listed, renewed = split(done.stdout)
    assert renewed["succeeds"] == shown.split("_")[1] and renewed["profile"]["bearerToken"] == renewed["token"]
    assert (
        given["pending"] and given["given_by"] == STEWARD and listed["grants"] == [given | {"limited_in_vain": False}]
    )


def split(text: str) -> list[dict[str, Any]]:
    """JSON documents one after the other."""
    found, decoder = [], json.JSONDecoder()
    while text.strip():
        one, end = decoder.raw_decode(text.lstrip())
        found.append(one)
        text = text.lstrip()[end:]
    return found
