"""People sign in by a provider, a mock made by others: the whole way, and each thing that must not be right."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from oidc_provider_mock import run_server_in_thread

from catalog import oidc
from catalog.app import create_app
from catalog.policy import audit, identities, users
from catalog.web.provider import CALLBACK, START
from pipelines.messages import CitylakeError
from pipelines.settings import Provider, Settings
from tests.catalog.signing_in import Clock, browsing, is_in, kept, ready
from tests.catalog.small_city import ADMINISTRATOR, AUDITOR, GUARD, STEWARD, URL, City

MFA = {"amr": ["pwd", "mfa"]}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with run_server_in_thread(require_client_registration=True, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture(scope="module")
def provider(issuer: str, door_city: City) -> Provider:
    """This installation is a client of the provider, which knows the one address to send browsers back to."""
    asked = {"redirect_uris": [f"{URL}{CALLBACK}"], "scope": "openid profile"}
    made = httpx.post(f"{issuer}/oauth2/clients", json=asked).json()
    door_city.settings.store_secret("oidc", made["client_secret"])
    return Provider(issuer, made["client_id"], "六安统一认证", ("profile",), ("urn:six:mfa",))


@pytest.fixture
def federated(staffed_city: City, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> City:
    monkeypatch.setattr(staffed_city, "settings", replace(staffed_city.settings, provider=provider))
    return staffed_city


def bound(city: City, name: str, subject: str) -> str:
    assert city.settings.provider is not None
    identities.bind(city.register, name, city.settings.provider.issuer, subject, actor=ADMINISTRATOR)
    return subject


def way_back(browser: TestClient, subject: str, claims: Mapping[str, Any] = MFA, next: str = "") -> str:
    """Go to the provider and sign in there as somebody; where it sends the browser."""
    begun = browser.get(f"{START}?next={next}")
    assert begun.status_code == 303
    address = begun.headers["location"]
    there = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}"
    httpx.put(f"{there}/users/{subject}", json=dict(claims))
    sent = httpx.post(address, data={"sub": subject})
    assert sent.status_code == 302, sent.text
    back: str = sent.headers["location"]
    assert back.startswith(f"{URL}{CALLBACK}?")
    return back


def reason(city: City) -> object:
    """Why the last one was not let in, as the audit has it."""
    row = audit.recent(city.register, 1)[0]
    assert (row["action"], row["outcome"]) == ("sign_in", "denied")
    return row["body"]["reason"]


# the whole way --------------------------------------------------------------------------------------------------------


@pytest.mark.server
def test_an_auditor_signs_in_by_the_provider(federated: City, clock: Clock) -> None:
    subject, browser = bound(federated, AUDITOR, "oidc-7731"), browsing(federated)
    assert "用六安统一认证登录" in browser.get("/login?lang=zh&next=/audit").text
    answer = browser.get(way_back(browser, subject, next="/audit"))
    assert answer.status_code == 200 and '<meta http-equiv="refresh" content="0; url=/audit">' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    cookies = answer.headers.get_list("set-cookie")
    (person,) = [one for one in cookies if one.startswith("citylake_person=")]
    assert "HttpOnly" in person and "SameSite=strict" in person
    assert is_in(browser) and browser.get("/audit").status_code == 200
    page = browser.get("/account?lang=zh").text
    assert ADMINISTRATOR in page and "更换口令" not in page, "who bound it is told; no password is meant"
    row = next(row for row in audit.recent(federated.register, 9) if row["action"] == "sign_in")
    assert (row["outcome"], row["body"]["actor"]) == ("allowed", AUDITOR) and row["body"]["issuer"]
    assert subject not in str(audit.recent(federated.register, 50)), "the audit names the user"
    assert browser.post("/logout").status_code == 303 and not is_in(browser)
    browser.cookies.set("citylake_person", person.split("=", 1)[1].split(";")[0], "catalogue.test", "/")
    assert not is_in(browser), "the session here is over"
    assert audit.first_break(federated.register) is None


@pytest.mark.server
def test_what_the_provider_is_asked(
    federated: City, provider: Provider, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, ask = list[dict[str, Any]](), oidc._ask

    def noted(method: str, address: str, **sent: Any) -> tuple[int, Mapping[str, Any]]:
        asked.append({"address": address, **sent.get("data", {})})
        return ask(method, address, **sent)

    monkeypatch.setattr(oidc, "_ask", noted)
    subject, browser = bound(federated, AUDITOR, "7"), browsing(federated)
    begun = browser.get(START)
    flow = begun.headers["set-cookie"]
    assert "SameSite=lax" in flow and "HttpOnly" in flow and f"Path={START}" in flow and "Max-Age=600" in flow
    query = parse_qs(urlsplit(begun.headers["location"]).query)
    assert query["scope"] == ["openid profile"] and query["acr_values"] == ["urn:six:mfa"]
    assert query["code_challenge_method"] == ["S256"] and query["redirect_uri"] == [f"{URL}{CALLBACK}"]
    sent = httpx.post(begun.headers["location"], data={"sub": subject})
    browser.get(sent.headers["location"])
    (exchange,) = [one for one in asked if "code_verifier" in one]
    digest = hashlib.sha256(exchange["code_verifier"].encode()).digest()
    assert query["code_challenge"] == [base64.urlsafe_b64encode(digest).rstrip(b"=").decode()]
    assert "client_secret" not in exchange, "in the header, where no log has it"
    again = parse_qs(urlsplit(browser.get(START).headers["location"]).query)
    assert all(again[name] != query[name] for name in ("state", "nonce", "code_challenge"))


@pytest.mark.server
def test_neither_account_nor_role_comes_from_what_the_provider_says(federated: City, clock: Clock) -> None:
    browser, before = browsing(federated), users.listed(federated.register)
    identities.bind(federated.register, GUARD, "https://elsewhere.example", ADMINISTRATOR, actor=ADMINISTRATOR)
    claims = {**MFA, "name": ADMINISTRATOR, "preferred_username": ADMINISTRATOR, "roles": ["administrator"]}
    assert browser.get(way_back(browser, ADMINISTRATOR, claims)).status_code == 303
    assert reason(federated) == "oidc.unbound" and not is_in(browser), "a subject is one of its provider alone"
    browser.get(way_back(browser, bound(federated, STEWARD, "s-1"), claims))
    assert is_in(browser) and users.listed(federated.register) == before
    assert "管理员</" not in browser.get("/account?lang=zh").text.partition("<h2>")[0]
    assert browser.get("/audit", headers={"Accept": "text/html"}).status_code == 403


@pytest.mark.server
def test_roles_that_guard_need_a_second_factor_there(federated: City, clock: Clock) -> None:
    subject = bound(federated, AUDITOR, "a-2")
    for claims in ({}, {"amr": ["pwd"]}, {"amr": "mfa"}, {"acr": "urn:six:password"}):
        browser = browsing(federated)
        assert browser.get(way_back(browser, subject, claims)).status_code == 303
        assert reason(federated) == "oidc.second_factor" and not is_in(browser)
        assert audit.recent(federated.register, 1)[0]["body"]["actor"] == AUDITOR
    browser = browsing(federated)
    browser.get(way_back(browser, subject, {"acr": "urn:six:mfa"}))
    assert browser.get("/audit").status_code == 200
    plain = browsing(federated)
    plain.get(way_back(plain, bound(federated, STEWARD, "s-2"), {}))
    assert is_in(plain), "a steward needs none"
    users.change(federated.register, STEWARD, ["approver"], actor=ADMINISTRATOR)
    assert not is_in(plain), "and has to show one once the role asks for it"


@pytest.mark.server
def test_a_binding_is_one_and_ends_at_once(federated: City, provider: Provider, clock: Clock) -> None:
    register, browser = federated.register, browsing(federated)
    subject = bound(federated, STEWARD, "s-3")
    with pytest.raises(CitylakeError) as taken:
        bound(federated, GUARD, subject)
    assert taken.value.code == "identity.taken"
    for bad in ("", " x", "x" * 256, "a\nb"):
        with pytest.raises(CitylakeError) as error:
            bound(federated, STEWARD, bad)
        assert error.value.code == "identity.bad"
    browser.get(way_back(browser, subject))
    assert is_in(browser)
    other = bound(federated, STEWARD, "s-4")
    assert not is_in(browser), "the one before counts no more"
    assert browser.get(way_back(browser, subject)).status_code == 303 and reason(federated) == "oidc.unbound"
    browser.get(way_back(browser, other))
    assert is_in(browser) and len(identities.listed(register, STEWARD)) == 1
    identities.unbind(register, STEWARD, actor=GUARD)
    assert not is_in(browser)
    with pytest.raises(CitylakeError, match="没有绑定"):
        identities.unbind(register, STEWARD, actor=GUARD)
    bound(federated, STEWARD, other)
    users.end(register, STEWARD, actor=ADMINISTRATOR)
    assert browser.get(way_back(browser, other)).status_code == 303 and reason(federated) == "oidc.ended"


@pytest.mark.server
def test_beginning_at_the_provider_ends_the_session_of_before(federated: City, clock: Clock) -> None:
    person = ready(federated, STEWARD, clock, second=False)
    cookie = person.browser.cookies["citylake_person"]
    person.browser.get(START)
    stolen = browsing(federated)
    stolen.cookies.set("citylake_person", cookie, "catalogue.test", "/")
    assert not is_in(stolen)


# what must not be right -----------------------------------------------------------------------------------------------


@pytest.mark.server
@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"aud": "another-client"}, "audience"),
        ({"aud": ["another-client"]}, "audience"),
        ({"azp": "another-client"}, "audience"),
        ({"exp": 1_700_000_000}, "expired"),
        ({"exp": None}, "expired"),
        ({"iat": 4_000_000_000}, "expired"),
        ({"nbf": 4_000_000_000}, "expired"),
        ({"nonce": "of another sign-in"}, "nonce"),
        ({"nonce": None}, "nonce"),
    ],
)
def test_a_token_that_is_signed_and_not_ours(
    federated: City, clock: Clock, claims: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider signs it all the same."""
    subject, browser = bound(federated, AUDITOR, "a-9"), browsing(federated)
    answer = browser.get(way_back(browser, subject, {**MFA, **claims}))
    refused(federated, browser, answer, why)
    assert "Traceback" not in caplog.text


def refused(city: City, browser: TestClient, answer: httpx.Response, why: str) -> None:
    assert reason(city) == f"oidc.{why}"
    assert answer.status_code == 303 and urlsplit(answer.headers["location"]).path == "/login"
    page = browser.get(answer.headers["location"])
    assert "没有能经六安统一认证登录" in page.text, "the audit alone says why"
    assert not is_in(browser) and "citylake_person" not in browser.cookies
    assert "citylake_flow" not in browser.cookies, "whoever failed begins again"


def unsigned(token: str) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


def shared_key(token: str) -> str:
    """As if the client's secret, which the provider knows too, could sign."""
    text = f"{encoded({'alg': 'HS256'})}.{token.split('.')[1]}"
    signature = hmac.digest(b"secret", text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def own_key(token: str) -> str:
    header, claims, _ = token.split(".")
    named = {**decoded(header), "alg": "RS256"}
    return jwt.encode(named, decoded(claims), RSAKey.generate_key(2048))


def changed(token: str) -> str:
    header, claims, signature = token.split(".")
    return f"{header}.{encoded({**decoded(claims), 'amr': ['mfa'], 'more': 1})}.{signature}"


def encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@pytest.mark.server
@pytest.mark.parametrize("forge", [unsigned, shared_key, own_key, changed, lambda token: "x.y.z", lambda token: ""])
def test_a_token_that_the_provider_did_not_sign(
    federated: City, clock: Clock, monkeypatch: pytest.MonkeyPatch, forge: Callable[[str], str]
) -> None:
    ask = oidc._ask

    def forged(method: str, address: str, **sent: Any) -> tuple[int, Mapping[str, Any]]:
        status, body = ask(method, address, **sent)
        return status, {**body, "id_token": forge(body["id_token"])} if "id_token" in body else body

    subject, browser = bound(federated, AUDITOR, "a-8"), browsing(federated)
    monkeypatch.setattr(oidc, "_ask", forged)
    refused(federated, browser, browser.get(way_back(browser, subject)), "signature")


@pytest.mark.server
def test_an_answer_that_this_browser_did_not_ask_for(federated: City, clock: Clock) -> None:
    subject = bound(federated, AUDITOR, "a-7")
    victim, thief = browsing(federated), browsing(federated)
    stolen = way_back(thief, subject)
    refused(federated, victim, victim.get(stolen), "flow")
    way_back(victim, subject)
    refused(federated, victim, victim.get(stolen), "state")
    for changed_cookie in ("x", "a.b.c.9999999999.L2F1ZGl0.0", "a.b.c.x.y.z"):
        browser = browsing(federated)
        back = way_back(browser, subject)
        browser.cookies.set("citylake_flow", changed_cookie, "catalogue.test", START)
        assert browser.get(back).status_code == 303 and reason(federated) in ("oidc.flow", "oidc.state")


@pytest.mark.server
def test_a_code_counts_once(federated: City, clock: Clock) -> None:
    subject, browser = bound(federated, AUDITOR, "a-6"), browsing(federated)
    back = way_back(browser, subject)
    flow = browser.cookies["citylake_flow"]
    assert browser.get(back).status_code == 200
    again = browsing(federated)
    again.cookies.set("citylake_flow", flow, "catalogue.test", START)
    refused(federated, again, again.get(back), "code")
    state = parse_qs(urlsplit(back).query)["state"][0]
    for query in (f"state={state}", f"state={state}&error=access_denied", f"state={state}&code="):
        again.cookies.set("citylake_flow", flow, "catalogue.test", START)
        refused(federated, again, again.get(f"{CALLBACK}?{query}"), "refused")
    again.cookies.set("citylake_flow", flow, "catalogue.test", START)
    refused(federated, again, again.get(f"{back}&iss=https://elsewhere.example"), "issuer")


@pytest.mark.server
def test_whoever_takes_too_long_begins_again(federated: City, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, browser = bound(federated, AUDITOR, "a-5"), browsing(federated)
    monkeypatch.setattr("catalog.web.sessions.FLOW_SECONDS", -1)
    begun = browser.get(START)
    (flow,) = re.findall(r"citylake_flow=([^;]+)", begun.headers["set-cookie"])
    back = httpx.post(begun.headers["location"], data={"sub": subject}).headers["location"]
    browser.cookies.set("citylake_flow", flow, "catalogue.test", START)
    refused(federated, browser, browser.get(back), "flow")


@pytest.mark.server
def test_nothing_that_opens_a_door_is_in_the_register(federated: City, clock: Clock) -> None:
    subject, browser = bound(federated, AUDITOR, "a-4"), browsing(federated)
    back = way_back(browser, subject)
    flow = browser.cookies["citylake_flow"]
    browser.get(back)
    everything = kept(federated)
    parts = [*parse_qs(urlsplit(back).query)["code"], *flow.split(".")[:3], browser.cookies["citylake_person"]]
    assert not [part for part in parts if part.partition(".")[0] in everything]


# without a provider ---------------------------------------------------------------------------------------------------


def test_without_a_provider_there_is_no_such_way(staffed_city: City) -> None:
    browser = browsing(staffed_city)
    assert START not in browser.get("/login").text
    assert browser.get(START).status_code == browser.get(CALLBACK).status_code == 404


@pytest.mark.server
def test_a_provider_out_of_reach_stops_nobody_else(
    staffed_city: City, monkeypatch: pytest.MonkeyPatch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    away = Provider("http://127.0.0.1:9", "citylake", "远方")
    monkeypatch.setattr(staffed_city, "settings", replace(staffed_city.settings, provider=away))
    monkeypatch.setenv("CITYLAKE_SECRET_OIDC", "s")
    browser = browsing(staffed_city)
    asked, ask = list[str](), oidc._ask

    def noted(method: str, address: str, **sent: Any) -> tuple[int, Mapping[str, Any]]:
        asked.append(address)
        return ask(method, address, **sent)

    monkeypatch.setattr(oidc, "_ask", noted)
    monkeypatch.setattr(oidc, "AGAIN_SECONDS", 10_000)  # pages may take their time
    for _ in range(3):
        answer = browser.get(f"{START}?lang=zh")
        assert answer.status_code == 503 and "现在联系不上远方" in answer.text
    assert len(asked) == 1, "it is not waited for again at once"
    assert "Traceback" not in caplog.text and "ConnectError" in caplog.text
    assert ready(staffed_city, STEWARD, clock, second=False)


def test_a_provider_whose_secret_is_not_there_is_told_when_the_service_starts(
    staffed_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "_places", lambda settings, secret: ("CITYLAKE_SECRET_NONE", settings.home / "none"))
    with pytest.raises(CitylakeError, match="CITYLAKE_SECRET_NONE"):
        create_app(replace(staffed_city.settings, provider=Provider("https://id.example", "citylake", "x")))


def test_what_a_provider_may_be_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def setting(**values: str) -> Provider | None:
        for name in ("ISSUER", "CLIENT", "NAME", "SCOPES", "ACR"):
            monkeypatch.setenv(f"CITYLAKE_OIDC_{name}", values.get(name, ""))
        return Settings.from_environment().provider

    assert setting() is None
    assert setting(ISSUER="https://id.luan.example/realms/gov", CLIENT="c") == Provider(
        "https://id.luan.example/realms/gov", "c", "id.luan.example"
    )
    made = setting(ISSUER="http://localhost:9000", CLIENT="c", NAME="甲", SCOPES="openid profile", ACR="urn:a urn:b")
    assert made == Provider("http://localhost:9000", "c", "甲", ("profile",), ("urn:a", "urn:b"))
    for issuer in (
        "",
        "http://id.luan.example",
        "id.luan.example",
        "https://id.example/?x=1",
        "https://",
        "ftp://a",
        "https://a:b",
    ):
        with pytest.raises(CitylakeError) as error:
            setting(ISSUER=issuer, CLIENT="c")
        assert error.value.code == "run.bad_provider"
    with pytest.raises(CitylakeError):
        setting(ISSUER="https://id.example")
