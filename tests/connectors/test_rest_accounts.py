"""Who asks an interface: accounts and tokens are shown to their own server only, and no secret is told."""

import gzip
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.connectors.conftest import Puller
from tests.connectors.rest_interface import SECRETS, WAYS, Interface, ids, numbered
from tests.connectors.rest_server import Asked, Handle, Server, Table, Tokens, as_json, verified

pytestmark = pytest.mark.server


def guarded(table: Handle, check: Callable[[Asked], bool]) -> Handle:
    return lambda asked: table(asked) if check(asked) else (401, {}, b"geheim")


TABLE = Table(numbered(8))
ACCOUNTS: dict[str, tuple[dict[str, Any], dict[str, str], Callable[[Asked], bool]]] = {
    "header": (
        {"by": "header", "header": "X-Api-Key", "prefix": "K "},
        {"key": "geheim"},
        lambda asked: asked.headers.get("x-api-key") == "K geheim",
    ),
    "query": (
        {"by": "query", "parameter": "apikey"},
        {"key": "geheim"},
        lambda asked: asked.query.get("apikey") == "geheim",
    ),
    "basic": (
        {"by": "basic"},
        {"user": "u", "password": "geheim"},
        lambda asked: asked.headers.get("authorization") == "Basic dTpnZWhlaW0=",
    ),
    "sm3": (
        {"by": "sm3", "app": "X-App", "timestamp": "X-Time", "nonce": "X-Nonce", "signature": "X-Sign"},
        {"app_id": "city", "app_secret": "geheim"},
        lambda asked, seen=set(): verified(asked, "city", b"geheim", seen),  # type: ignore[misc]
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_accounts(interface: Interface, account: str, way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    auth, values, check = ACCOUNTS[account]
    interface.serve(guarded(TABLE, check))
    interface.secret(**values)
    interface.server.faults = ["500", "", "silent"]
    parameters = {**WAYS[way].get("parameters", {}), "区县": "六安 a+b&c=d", "b": True}
    assert len(ids(interface.pull(way, auth=auth, parameters=parameters))) == 8
    assert (interface.server.asked[0].query["区县"], interface.server.asked[0].query["b"]) == ("六安 a+b&c=d", "true")
    kept = [gzip.decompress((interface.puller.batch / "pages.ndjson.gz").read_bytes()).decode(), caplog.text]
    kept += [json.dumps(interface.puller.position), interface.puller.pulled.origin if interface.puller.pulled else ""]
    assert not [secret for secret in SECRETS for text in kept if secret in text]
    interface.secret(**{name: "wrong" for name in values})
    assert interface.refused(way, auth=auth).arguments["status"] == 401
    interface.secret()
    error = interface.refused(way, auth=auth)
    assert error.code == "pull.bad_secret"
    assert all(name in str(error) for name in values)


def test_a_parameter_in_the_url_of_the_secret(interface: Interface) -> None:
    interface.puller.secret = f"http://u:geheim@127.0.0.1:{interface.server.port}/?token=geheim"
    interface.serve(
        guarded(TABLE, lambda asked: asked.query.get("token") == "geheim" and "authorization" in asked.headers)
    )
    for way in WAYS:
        assert len(ids(interface.pull(way))) == 8
        assert "geheim" not in gzip.decompress((interface.puller.batch / "pages.ndjson.gz").read_bytes()).decode()


@pytest.mark.parametrize("sends", ["header", "body"])
def test_tokens_are_kept_and_renewed(interface: Interface, sends: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = Tokens(TABLE, "city", "geheim", 3, sends)
    interface.serve(tokens)
    interface.secret(client_id="city", client_secret="geheim", token_url=f"{interface.server.url}/token")
    interface.server.faults = ["500"]
    assert len(ids(interface.pull(auth={"by": "oauth2", "sends": sends, "scope": "read"}))) == 8
    assert len(tokens.issued) == 2
    assert "geheim" not in caplog.text


def test_a_token_that_is_not_accepted_is_renewed_once(interface: Interface) -> None:
    tokens = Tokens(TABLE, "city", "geheim", 0)
    interface.serve(tokens)
    interface.secret(client_id="city", client_secret="geheim", token_url=f"{interface.server.url}/token")
    assert interface.refused(auth={"by": "oauth2"}).arguments["status"] == 401
    assert len(tokens.issued) == 2


@pytest.mark.parametrize(
    ("client", "answer", "problem"),
    [
        ("other", None, "401"),
        ("city", as_json({"token": "geheim"}), "access_token"),
        ("city", as_json({"access_token": "geheim\r\nX: y"}), "access_token"),
        ("city", (200, {}, b"geheim"), "access_token"),
        ("city", (302, {"Location": "/elsewhere"}, b""), "302"),
        ("city", (503, {}, b"geheim"), "503"),
    ],
)
def test_no_token_is_said(interface: Interface, client: str, answer: Any, problem: str) -> None:
    tokens = Tokens(TABLE, "city", "geheim", 9)
    interface.serve(lambda asked: answer if answer and asked.path == "/token" else tokens(asked))
    interface.secret(client_id=client, client_secret="geheim", token_url=f"{interface.server.url}/token")
    error = interface.refused(auth={"by": "oauth2"})
    assert (error.code, error.arguments["problem"]) == ("pull.no_token", problem)


@pytest.fixture
def elsewhere(interface: Interface) -> Iterator[Server]:
    found = Server(Table(numbered(8)), host="127.0.0.2")
    yield found
    found.stop()


@pytest.mark.parametrize("account", [*ACCOUNTS, "oauth2"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_host_gets_no_credentials(interface: Interface, elsewhere: Server, account: str, status: int) -> None:
    auth, values, check = ACCOUNTS.get(account, ({"by": "oauth2"}, {}, lambda _: True))
    if account == "oauth2":
        values = {"client_id": "city", "client_secret": "geheim", "token_url": f"{interface.server.url}/token"}
    tokens = Tokens(TABLE, "city", "geheim", 99)

    def moved(asked: Asked) -> Any:
        if account == "oauth2" and asked.path == "/token":
            return tokens(asked)
        if not check(asked):
            return 401, {}, b""
        query = "&".join(f"{name}={value}" for name, value in asked.query.items())  # as careless servers do
        return status, {"Location": f"{elsewhere.url}{asked.path}?{query}"}, b""

    interface.serve(moved)
    interface.secret(**values)
    assert len(ids(interface.pull(auth=auth, headers={"X-Tenant": "t"}))) == 8
    assert {asked.headers["x-tenant"] for asked in interface.server.asked if asked.path != "/token"} == {"t"}
    names = {"x-tenant", "authorization", "x-api-key", "x-sign", "x-app", "x-nonce", "cookie"}
    assert len(elsewhere.asked) == 4
    for asked in elsewhere.asked:
        assert not names & asked.headers.keys()
        assert "geheim" not in asked.raw + str(asked.headers)


def test_another_port_is_another_host(interface: Interface, puller: Callable[..., Puller]) -> None:
    other = Server(Table(numbered(8)))
    auth, values, _ = ACCOUNTS["header"]
    interface.serve(lambda asked: (302, {"Location": f"{other.url}{asked.raw}"}, b""))
    interface.secret(**values)
    interface.pull(auth=auth)
    other.stop()
    assert not [asked for asked in other.asked if "x-api-key" in asked.headers]


def test_the_own_host_gets_them_again(interface: Interface) -> None:
    auth, values, check = ACCOUNTS["sm3"]
    guard = guarded(TABLE, check)
    interface.serve(
        lambda asked: guard(asked) if asked.path != "/old" else (307, {"Location": f"/pages?{asked.raw[5:]}"}, b"")
    )
    interface.secret(**values)
    assert len(ids(interface.pull(path="old", auth=auth))) == 8


def test_a_question_is_not_sent_elsewhere(interface: Interface, elsewhere: Server) -> None:
    interface.serve(lambda asked: (307, {"Location": f"{elsewhere.url}/search"}, b""))
    assert interface.refused("search").code == "pull.sent_elsewhere"
    assert elsewhere.asked == []


def test_a_next_page_on_another_host_is_refused(interface: Interface, elsewhere: Server) -> None:
    link = f'<{elsewhere.url}/links?start=3>; rel="next"'
    interface.serve(lambda asked: as_json({"data": {"list": [{"id": "1"}]}}, Link=link))
    assert interface.refused("links").code == "pull.next_elsewhere"
    assert elsewhere.asked == []
    assert list((interface.puller.folder / "spool").iterdir()) == []


@pytest.mark.parametrize("start", ["https://127.0.0.1", "http://127.0.0.1:9", "https://127.0.0.1:9"])
def test_a_server_behind_a_gateway_does_not_know_its_address(interface: Interface, start: str) -> None:
    table = Table(numbered(8))

    def behind(asked: Asked) -> Any:
        status, headers, body = table(asked)
        return status, {name: value.replace("<", f"<{start}") for name, value in headers.items()}, body

    interface.serve(behind)
    assert len(ids(interface.pull("links"))) == 8


def test_a_next_page_cannot_name_a_host_in_its_path(interface: Interface, elsewhere: Server) -> None:
    link = f"<//127.0.0.1:{interface.server.port}//127.0.0.2:{elsewhere.port}/links>; rel=next"
    interface.serve(
        lambda asked: as_json(
            {"data": {"list": [{"id": asked.path}]}}, **({"Link": link} if asked.path == "/links" else {})
        )
    )
    assert ids(interface.pull("links")) == ["/links", f"/127.0.0.2:{elsewhere.port}/links"]  # http.server drops a slash
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "secret", ["geheim", '{"url": "ftp://geheim"}', '{"key": "geheim"}', '{"geheim', '{"url": 5}', "[]"]
)
def test_a_secret_that_is_none(interface: Interface, secret: str) -> None:
    interface.puller.secret = secret
    assert interface.refused().code == "pull.bad_secret"
