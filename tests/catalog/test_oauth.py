"""OAuth clients: the token endpoint as RFC 6749 asks, what access tokens open and when they end. Successors."""

import base64
import json
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx import Response
from typer.testing import CliRunner

from catalog.policy import administration, audit, suspension, tokens
from catalog.policy.administration import IssuedClient
from catalog.policy.decision import Reason
from catalog.policy.users import NotAllowed
from citylake.main import app as commands
from pipelines.messages import CitylakeError
from pipelines.register.store import now
from pipelines.register.tables import token as token_table
from tests.catalog.small_city import ADMINISTRATOR, GUARD, PERSONS, STEWARD, City, bearer
from tests.city import seed_from_clock

ENDPOINT, ROWS = "/oauth/token", f"/api/v1/products/{PERSONS}/rows"
GRANT = {"grant_type": "client_credentials"}


def basic(client_id: str, client_secret: str) -> dict[str, str]:
    """The header of `client_secret_basic`, percent-encoded as RFC 6749, 2.3.1 asks."""
    text = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def exchange(client: TestClient, issued: IssuedClient, **more: str) -> Response:
    shown = basic(issued.client_id, issued.client_secret)
    return client.post(ENDPOINT, data={**GRANT, **more}, headers=shown)


def access_token(client: TestClient, issued: IssuedClient) -> str:
    return str(exchange(client, issued).json()["access_token"])


def test_credentials_are_exchanged_for_a_token_that_opens_what_grants_say(city: City, client: TestClient) -> None:
    issued = city.oauth_client("换取测试")
    city.grant("换取测试", columns=["name"])
    in_body = {"client_id": issued.client_id, "client_secret": issued.client_secret}
    for answer in (exchange(client, issued), client.post(ENDPOINT, data={**GRANT, **in_body, "scope": "read"})):
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
        found = answer.json()
        assert (found["token_type"], found["expires_in"], found["scope"]) == ("Bearer", 900, "read")
        rows = client.get(f"{ROWS}?limit=3", headers=bearer(found["access_token"]))
        assert [list(row) for row in rows.json()] == [["name"]] * 3
    read, *_ = audit.recent(city.register, 1, "换取测试")
    assert (read["action"], read["body"]["token_id"]) == ("rows.read", issued.client_id)
    got = [row for row in audit.recent(city.register, 20, "换取测试") if row["action"] == "token.exchange"]
    assert [(row["outcome"], row["body"]["token_id"]) for row in got] == [("allowed", issued.client_id)] * 2


def test_the_secret_is_stored_hashed_and_shown_once(city: City, client: TestClient) -> None:
    issued = city.oauth_client("密钥测试")
    access = access_token(client, issued)
    (stored,) = city.register.rows(sa.select(token_table).where(token_table.c.id == issued.client_id))
    assert stored["hash"].startswith("$argon2id$") and stored["client"]
    everything = f"{stored} {audit.recent(city.register, 1000)} {issued!r}"
    assert issued.client_secret not in everything and access.rpartition("_")[2] not in everything


BAD: dict[str, tuple[Callable[[IssuedClient], dict[str, Any]], int, str]] = {
    "no grant type": (lambda one: {"data": {"scope": "read"}, "headers": basic(*pair(one))}, 400, "invalid_request"),
    "other grant": (
        lambda one: {"data": {"grant_type": "password"}, "headers": basic(*pair(one))},
        400,
        "unsupported_grant_type",
    ),
    "other scope": (
        lambda one: {"data": {**GRANT, "scope": "read write"}, "headers": basic(*pair(one))},
        400,
        "invalid_scope",
    ),
    "both ways": (
        lambda one: {"data": {**GRANT, "client_secret": one.client_secret}, "headers": basic(*pair(one))},
        400,
        "invalid_request",
    ),
    "another client in the body": (
        lambda one: {"data": {**GRANT, "client_id": "0" * 16}, "headers": basic(*pair(one))},
        400,
        "invalid_request",
    ),
    "twice": (
        lambda one: {
            "content": "grant_type=client_credentials&grant_type=client_credentials",
            "headers": {**basic(*pair(one)), "Content-Type": "application/x-www-form-urlencoded"},
        },
        400,
        "invalid_request",
    ),
    "json": (lambda one: {"json": GRANT, "headers": basic(*pair(one))}, 400, "invalid_request"),
    "not text": (
        lambda one: {"content": b"\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        400,
        "invalid_request",
    ),
    "no client": (lambda one: {"data": GRANT}, 401, "invalid_client"),
    "no secret": (lambda one: {"data": {**GRANT, "client_id": one.client_id}}, 401, "invalid_client"),
    "wrong secret": (
        lambda one: {"data": GRANT, "headers": basic(one.client_id, "0" * 64)},
        401,
        "invalid_client",
    ),
    "unknown client": (
        lambda one: {"data": GRANT, "headers": basic("0" * 16, one.client_secret)},
        401,
        "invalid_client",
    ),
    "not base64": (
        lambda one: {"data": GRANT, "headers": {"Authorization": "Basic !"}},
        401,
        "invalid_client",
    ),
    "other scheme": (
        lambda one: {"data": GRANT, "headers": bearer(one.client_secret)},
        401,
        "invalid_client",
    ),
}


def pair(one: IssuedClient) -> tuple[str, str]:
    return one.client_id, one.client_secret


def test_what_is_wrong_is_answered_as_rfc_6749_says(city: City, client: TestClient) -> None:
    issued = city.oauth_client("错误测试")
    for name, (ask, status, error) in BAD.items():
        answer = client.post(ENDPOINT, **ask(issued))
        found = answer.json()
        assert (answer.status_code, found["error"]) == (status, error), name
        allowed = {chr(number) for number in range(0x20, 0x7F)} - {'"', "\\"}
        assert found["error_description"] and set(found["error_description"]) <= allowed, name
        assert answer.headers["cache-control"] == "no-store", name
        assert ("basic" in answer.headers.get("www-authenticate", "").lower()) == (status == 401), name
        assert "access_token" not in found
    assert client.get(ENDPOINT).status_code == 405 and client.get(ENDPOINT).json()["error"] == "invalid_request"
    token = city.recipient("令牌不是客户端").split("_")
    assert client.post(ENDPOINT, data=GRANT, headers=basic(*token[1:])).json()["error"] == "invalid_client"


def test_a_bad_token_is_told_as_rfc_6750_says(city: City, client: TestClient) -> None:
    """No error code without a token, `invalid_token` for a bad one."""
    key = city.settings.key("access_tokens")
    ended = tokens.access_token(key, city.oauth_client("挑战测试").client_id, int(time.time()))
    for road in (ROWS, "/delta-sharing/shares", f"/datasets/{PERSONS}/download/csv", "/verify/licence/1"):
        for shown in ("cl_wrong", ended, ended[:-1] + "x"):
            answer = client.get(road, headers=bearer(shown))
            assert answer.status_code == 401, (road, shown)
            assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"', (road, shown)
    assert client.get(ROWS).headers["www-authenticate"] == "Bearer"


def test_access_tokens_end_with_their_client_and_are_cut_off_at_once(own_city: City) -> None:
    client, register = own_city.client(), own_city.register
    one, other = own_city.oauth_client("甲"), own_city.oauth_client("乙", "cab")
    own_city.grant("甲"), own_city.grant("乙")
    first, second = access_token(client, one), access_token(client, other)
    lines = client.post(
        "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division/query",
        headers=bearer(first),
        json={},
    ).text.splitlines()
    signed = json.loads(lines[-1])["file"]["url"]
    assert client.get(signed).status_code == 200
    suspension.suspend(register, own_city.contracts, "recipient", "甲", "试", actor=GUARD)
    assert client.get(ROWS, headers=bearer(first)).json()["rule"] == "suspended"
    assert client.get(signed).status_code == 403
    refused = exchange(client, one)
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    suspension.lift(register, "recipient", "甲", "试", actor=GUARD)
    assert client.get(ROWS, headers=bearer(first)).status_code == 200
    administration.revoke_token(register, one.client_id, actor=GUARD)
    assert client.get(ROWS, headers=bearer(first)).json()["rule"] == "token_revoked"
    assert client.get(signed).status_code == 401
    refused = exchange(client, one)
    assert refused.json()["error"] == "invalid_client" and "The client was ended" in refused.text
    assert client.get(ROWS, headers=bearer(second)).status_code == 200, "another's go on"
    with register.begin() as connection:
        connection.execute(sa.update(token_table).where(token_table.c.id == other.client_id).values(expires=now()))
    assert client.get(ROWS, headers=bearer(second)).json()["rule"] == "token_expired"
    refused = exchange(client, other)
    assert refused.json()["error"] == "invalid_client" and "The client has expired" in refused.text


def test_an_access_token_outlives_neither_its_time_nor_its_client(city: City, client: TestClient) -> None:
    issued = city.oauth_client("时限测试")
    soon = now() + timedelta(seconds=800)
    with city.register.begin() as connection:
        connection.execute(sa.update(token_table).where(token_table.c.id == issued.client_id).values(expires=soon))
    assert 0 < exchange(client, issued).json()["expires_in"] <= 800
    key, callers = city.settings.key("access_tokens"), city.callers()
    past = tokens.access_token(key, issued.client_id, int(time.time()))
    assert callers.from_token(past).problem is Reason.TOKEN_EXPIRED


def test_what_was_changed_in_an_access_token_is_seen(city: City, client: TestClient) -> None:
    number = seed_from_clock()
    print("CITYLAKE_TEST_SEED", number)
    draw, callers = random.Random(number), city.callers()
    one, other = city.oauth_client("改动测试甲"), city.oauth_client("改动测试乙")
    good = access_token(client, one)
    assert callers.from_token(good).recipient == "改动测试甲"
    _, _, expires, signature = good.split("_")
    changed = [f"ca_{other.client_id}_{expires}_{signature}", f"ca_{one.client_id}_{int(expires) + 1}_{signature}"]
    for _ in range(50):
        place = draw.randrange(len(good))
        changed.append(
            good[:place] + draw.choice([c for c in "0123456789abcdef_" if c != good[place]]) + good[place + 1 :]
        )
    for text in changed:
        assert callers.from_token(text).problem is Reason.TOKEN_INVALID, text
    assert callers.from_token(tokens.access_token(b"x" * 32, one.client_id, int(expires))).problem


def test_a_session_of_an_access_token_ends_with_it(city: City) -> None:
    client = city.client()
    issued = city.oauth_client("会话时限")
    answer = client.post("/login", data={"token": access_token(client, issued)})
    assert answer.status_code == 303
    expires = int(client.cookies["citylake_session"].split(".")[1])
    assert expires <= time.time() + tokens.ACCESS_SECONDS
    assert client.get("/access").status_code == 200
    assert client.post("/login", data={"token": issued.client_secret}).status_code == 401


def test_without_an_audit_there_is_no_access_token(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    client, issued = own_city.client(), own_city.oauth_client("甲")

    def broken(*_: object, **__: object) -> None:
        raise audit.AuditUnavailable

    monkeypatch.setattr("catalog.oauth.audit.record", broken)
    answer = exchange(client, issued)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "access_token" not in answer.text


def test_the_document_names_the_scheme_and_where_tokens_are_had(city: City, client: TestClient) -> None:
    document = client.get("/api/v1/openapi.json").json()
    flow = document["components"]["securitySchemes"]["oauth"]["flows"]["clientCredentials"]
    issued = city.oauth_client("文档测试")
    answer = client.post(flow["tokenUrl"], data=GRANT, headers=basic(*pair(issued)))
    assert answer.json()["scope"] in flow["scopes"] and {"oauth": ["read"]} in document["security"]


@pytest.mark.parametrize("oauth", [False, True], ids=["token", "client"])
def test_a_successor_takes_over_while_the_old_one_is_still_good(city: City, oauth: bool) -> None:
    name = f"换发{oauth}"
    administration.create_recipient(city.register, city.contracts, name, "psb", actor=ADMINISTRATOR)
    callers = city.callers()

    def shows(issued: Any) -> Reason | None:
        if isinstance(issued, IssuedClient):
            return callers.from_client(issued.client_id, issued.client_secret).problem
        return callers.from_token(issued.token).problem

    issue = administration.issue_client if oauth else administration.issue_token
    old: Any = issue(city.register, name, actor=ADMINISTRATOR)
    old_id = administration.list_tokens(city.register, name)[0].id
    begun = now()
    new = administration.rotate_token(city.register, old_id, timedelta(days=7), actor=ADMINISTRATOR)
    assert type(new) is type(old) and new.succeeds == old_id
    assert shows(old) is None and shows(new) is None
    first, second = administration.list_tokens(city.register, name)
    assert (first.successor, second.succeeds, second.client) == (second.id, first.id, oauth)
    assert timedelta(days=7) <= first.expires - begun < timedelta(days=7, minutes=5)
    rows = audit.recent(city.register, 2, name)
    assert [row["action"] for row in rows] == ["token.rotate", "token.issue"]
    assert (rows[0]["body"]["token_id"], rows[0]["body"]["successor"]) == (first.id, second.id)
    with pytest.raises(CitylakeError) as error:
        administration.rotate_token(city.register, old_id, timedelta(days=7), actor=ADMINISTRATOR)
    assert error.value.code == "token.succeeded"
    last = administration.rotate_token(city.register, second.id, timedelta(), actor=ADMINISTRATOR)
    assert shows(new) is Reason.TOKEN_EXPIRED and shows(last) is None
    with pytest.raises(CitylakeError) as error:
        administration.rotate_token(city.register, second.id, timedelta(days=7), actor=ADMINISTRATOR)
    assert error.value.code == "token.ended"
    with pytest.raises(NotAllowed):
        administration.rotate_token(city.register, old_id, timedelta(), actor=STEWARD)


def test_an_overlap_makes_nothing_longer(city: City) -> None:
    administration.create_recipient(city.register, city.contracts, "重叠换发", "psb", actor=ADMINISTRATOR)
    issued = administration.issue_token(city.register, "重叠换发", days=2, actor=ADMINISTRATOR)
    administration.rotate_token(city.register, issued.id, timedelta(days=30), actor=ADMINISTRATOR)
    assert administration.list_tokens(city.register, "重叠换发")[0].expires == issued.expires


def test_what_ends_soon_is_shown_to_its_recipient_and_in_the_list(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = own_city.register
    own_city.recipient("甲")
    client = own_city.client()
    soon = administration.issue_token(register, "甲", days=29, actor=ADMINISTRATOR)
    other = administration.issue_client(register, "甲", days=29, actor=ADMINISTRATOR)
    new = administration.rotate_token(register, other.client_id, timedelta(days=7), actor=ADMINISTRATOR)
    assert isinstance(new, IssuedClient)
    page = client.get("/access?lang=en", headers=bearer(soon.token)).text
    assert page.count("has no successor") == 1 and f"{soon.id} ends at" in page
    assert new.client_id in page and other.client_id in page
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(own_city.settings.project))
    said = [json.loads(line) for line in CliRunner().invoke(commands, ["access", "list"]).output.splitlines()]
    found = {one["id"]: one for one in said if one["kind"] == "Token"}
    assert [one["id"] for one in found.values() if one["ends_soon"]] == [soon.id]
    assert found[other.client_id]["successor"] == new.client_id


def test_the_commands_write_profiles_of_both_versions(
    own_city: City, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    own_city.recipient("甲")
    for name, value in {
        "CITYLAKE_HOME": str(own_city.settings.home),
        "CITYLAKE_PROJECT": str(own_city.settings.project),
        "CITYLAKE_ACTOR": ADMINISTRATOR,
        "CITYLAKE_URL": "https://lake.example",
    }.items():
        monkeypatch.setenv(name, value)
    runner, file = CliRunner(), tmp_path / "a.share"
    assert runner.invoke(commands, ["access", "client", "甲", "--profile", str(file)]).exit_code == 0
    found = json.loads(file.read_text("utf-8"))
    assert file.stat().st_mode & 0o077 == 0
    assert set(found) - {"clientId", "clientSecret"} == {
        "shareCredentialsVersion",
        "type",
        "endpoint",
        "tokenEndpoint",
        "scope",
    }
    assert (found["shareCredentialsVersion"], found["type"]) == (2, "oauth_client_credentials")
    assert found["endpoint"] == "https://lake.example/delta-sharing"
    assert found["tokenEndpoint"] == "https://lake.example/oauth/token"
    answer = runner.invoke(commands, ["access", "rotate", found["clientId"], "--overlap", "12h"])
    new = json.loads(answer.output)
    assert new["succeeds"] == found["clientId"] and len(new["client_secret"]) == 64
    for wrong in ("7", "d", "-1d", "7 d", "1w", ""):
        assert runner.invoke(commands, ["access", "rotate", new["client_id"], "--overlap", wrong]).exit_code == 1
