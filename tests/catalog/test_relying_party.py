"""The protocol of signing in by a provider, without one: what a token must say, keys that change, and a provider that
answers late, never, or what nobody expects."""

import json
import logging
import socket
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey

from catalog import oidc
from catalog.app import create_app
from catalog.oidc import RelyingParty, shown_by
from catalog.policy import audit, identities
from catalog.policy.identities import NotShown
from catalog.web.provider import CALLBACK, START
from pipelines.settings import Provider
from tests.catalog.signing_in import Clock
from tests.catalog.small_city import ADMINISTRATOR, STEWARD, City

FAR = Provider("https://id.example", "citylake", "x")
GOOD: dict[str, Any] = {"iss": FAR.issuer, "aud": "citylake", "sub": "7", "exp": 1000, "iat": 900, "nonce": "n"}


def test_clocks_may_differ_by_a_minute() -> None:
    assert shown_by(GOOD, FAR, "n", 1059.9).subject == "7"
    assert shown_by(GOOD, FAR, "n", 840.1).subject == "7"
    for moment in (1060, 839.9):
        with pytest.raises(NotShown, match="expired"):
            shown_by(GOOD, FAR, "n", moment)


def test_a_token_for_several_names_us_as_the_one_it_was_made_for() -> None:
    for claims, good in (
        ({"aud": ["citylake"]}, True),
        ({"aud": ["citylake", "other"], "azp": "citylake"}, True),
        ({"aud": ["citylake", "other"]}, False),
        ({"aud": ["citylake", "other"], "azp": "other"}, False),
        ({"aud": None}, False),
        ({"aud": {"citylake": 1}}, False),
    ):
        if good:
            assert shown_by({**GOOD, **claims}, FAR, "n", 950).subject == "7"
        else:
            with pytest.raises(NotShown, match="audience"):
                shown_by({**GOOD, **claims}, FAR, "n", 950)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"exp": NaN}', "expired"),
        ('{"exp": Infinity}', "expired"),
        ('{"exp": 1e400}', "expired"),
        (f'{{"exp": 1{"0" * 400}}}', "expired"),
        ('{"iat": NaN}', "expired"),
        ('{"nbf": -Infinity}', "expired"),
        ('{"nonce": "\\ud800"}', "nonce"),
    ],
)
def test_numbers_that_never_come_and_texts_that_are_none(text: str, why: str) -> None:
    with pytest.raises(NotShown, match=why):
        shown_by({**GOOD, **json.loads(text)}, FAR, "n", 950)


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 256, "a\n", "\ud800"])
def test_a_subject_is_a_text(subject: object) -> None:
    with pytest.raises(NotShown, match="subject"):
        shown_by({**GOOD, "sub": subject}, FAR, "n", 950)


class Scripted:
    """A provider whose keys change, and what it was asked."""

    def __init__(self) -> None:
        self.keys = [RSAKey.generate_key(2048, {"kid": "a"})]
        self.asked: list[str] = []
        self.header: dict[str, Any] = {}
        self.about: dict[str, Any] = {
            "issuer": FAR.issuer,
            **{name: f"{FAR.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")},
        }

    def ask(self, method: str, address: str, **sent: Any) -> tuple[int, Mapping[str, Any]]:
        self.asked.append(address)
        if address.endswith("jwks_uri"):
            curve = {"kty": "EC", "crv": "SM2", "kid": "c", "x": "AA", "y": "AA"}
            kinds = [
                {"kty": "SM2", "kid": "s"},
                {"kty": "RSA", "kid": "broken"},
                {"kty": "RSA", "n": 5, "e": []},
                curve,
            ]
            return 200, {"keys": [*kinds, *(key.as_dict(private=False) for key in self.keys)]}
        if address.endswith("token_endpoint"):
            claims = {**GOOD, "nonce": sent["data"]["code"], "exp": 10**10, "iat": 0}
            named = {"kid": self.keys[-1].kid} if self.keys[-1].kid else {}
            token = jwt.encode({"alg": "RS256", **named}, claims, self.keys[-1])
            return 200, {"id_token": self._with_header(token)}
        return 200, self.about

    def _with_header(self, token: str) -> str:
        if not self.header:
            return token
        header = json.dumps({"alg": "RS256", **self.header}).encode()
        signed = f"{urlsafe_b64encode(header).rstrip(b'=').decode()}.{token.split('.')[1]}"
        signature = self.keys[-1].private_key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def enter(party: RelyingParty) -> str:
    flow = party.begin()[1]
    return party.identity(flow, {"state": flow.state, "code": flow.nonce}).subject


@pytest.mark.parametrize(("before", "after"), [({"kid": "a"}, {"kid": "b"}), ({}, {}), ({"kid": "a"}, {"kid": "a"})])
def test_new_keys_are_asked_for_and_not_at_every_token(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Under another name, without any, and under the name of the one before."""
    scripted, at = Scripted(), [0.0]
    scripted.keys = [RSAKey.generate_key(2048, before)]
    monkeypatch.setattr(oidc, "_ask", scripted.ask)
    party = RelyingParty(FAR, "s", "https://here.example/back", lambda: at[0])
    assert [enter(party), enter(party)] == ["7", "7"] and sum("jwks" in one for one in scripted.asked) == 1
    scripted.keys = [RSAKey.generate_key(2048, after)]
    with pytest.raises(NotShown, match="signature"):
        enter(party)
    at[0] = 60.0
    assert enter(party) == "7" and sum("jwks" in one for one in scripted.asked) == 2
    at[0] = 3700.0
    assert enter(party) == "7" and sum("jwks" in one for one in scripted.asked) == 3, "an hour later all is asked again"


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"issuer": "https://id.example/"}, "issuer"),
        ({"token_endpoint": "http://id.example/token"}, "answer"),
        ({"jwks_uri": None}, "answer"),
        ({"authorization_endpoint": "https://host:abc/x"}, "answer"),
        ({"authorization_endpoint": "https://host/\x7f"}, "answer"),
    ],
)
def test_a_description_that_is_another_ones(
    monkeypatch: pytest.MonkeyPatch, about: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    scripted = Scripted()
    scripted.about |= about
    monkeypatch.setattr(oidc, "_ask", scripted.ask)
    with caplog.at_level(logging.ERROR), pytest.raises(NotShown, match=why):
        RelyingParty(FAR, "s", "https://here.example/back").begin()
    assert caplog.records


@pytest.mark.parametrize("header", [{"crit": 5}, {"crit": ["x"]}, {"alg": []}, {"alg": "none"}])
def test_a_header_that_nobody_expects_is_no_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, header: dict[str, Any]
) -> None:
    scripted = Scripted()
    scripted.header = {"kid": "a"}
    monkeypatch.setattr(oidc, "_ask", scripted.ask)
    party = RelyingParty(FAR, "s", "https://here.example/back")
    assert enter(party) == "7", "as it is signed here, it counts"
    scripted.header |= header
    with pytest.raises(NotShown, match="signature"):
        enter(party)


@pytest.mark.parametrize("methods", [None, "client_secret_post", ["client_secret_post"], ["client_secret_basic"]])
def test_how_the_secret_is_shown(monkeypatch: pytest.MonkeyPatch, methods: object) -> None:
    scripted, forms = Scripted(), list[dict[str, Any]]()
    scripted.about["token_endpoint_auth_methods_supported"] = methods

    def noted(method: str, address: str, **sent: Any) -> tuple[int, Mapping[str, Any]]:
        forms.append(sent.get("data", {}))
        return scripted.ask(method, address, **sent)

    monkeypatch.setattr(oidc, "_ask", noted)
    assert enter(RelyingParty(FAR, "s", "https://here.example/back")) == "7"
    assert ("client_secret" in forms[-1]) == (methods == ["client_secret_post"])


def test_an_answer_of_another_form_is_not_asked_for_at_every_click(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def broken(method: str, address: str, **sent: Any) -> tuple[int, Mapping[str, Any]]:
        asked.append(address)
        raise KeyError(address)

    monkeypatch.setattr(oidc, "_ask", broken)
    party = RelyingParty(FAR, "s", "https://here.example/back", lambda: 0.0)
    for why in ("answer", "unreachable", "unreachable"):
        with pytest.raises(NotShown, match=why):
            party.begin()
    assert len(asked) == 1


# a provider that hangs ------------------------------------------------------------------------------------------------


class Hanging(Scripted):
    """It answers once it may. `where`: the end of the addresses where it hangs."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.hangs = where, True
        self.came, self.may = threading.Semaphore(0), threading.Event()

    def ask(self, method: str, address: str, **sent: Any) -> tuple[int, Mapping[str, Any]]:
        if self.hangs and address.endswith(self.where):
            self.came.release()
            assert self.may.wait(30)
        return super().ask(method, address, **sent)


def test_whoever_comes_while_it_hangs_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, at = Hanging("configuration"), [0.0]
    monkeypatch.setattr(oidc, "_ask", hanging.ask)
    monkeypatch.setattr(oidc, "WAIT_SECONDS", 0.05)
    party = RelyingParty(FAR, "s", "https://here.example/back", lambda: at[0])
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(party.begin)
        assert hanging.came.acquire(timeout=20)
        other = pool.submit(party.begin)
        try:
            with pytest.raises(NotShown, match="unreachable"):
                other.result(10)
        finally:
            hanging.may.set()
        assert first.result(20), "whoever asks waits"
        hanging.may.clear()
        at[0] = 3600.0
        first = pool.submit(party.begin)
        assert hanging.came.acquire(timeout=20)
        try:
            assert pool.submit(enter, party).result(10) == "7", "what is known is believed a little longer"
            at[0] = 3660.0
            with pytest.raises(NotShown, match="unreachable"):
                pool.submit(party.begin).result(10)
        finally:
            hanging.may.set()
        assert first.result(20)


def test_codes_of_a_provider_that_hangs_leave_threads_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = Hanging("token_endpoint")
    monkeypatch.setattr(oidc, "_ask", hanging.ask)
    monkeypatch.setattr(oidc, "EXCHANGES", 2)
    party = RelyingParty(FAR, "s", "https://here.example/back")
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(enter, party) for _ in range(2)]
        assert all(hanging.came.acquire(timeout=20) for _ in held)
        third = pool.submit(enter, party)
        try:
            with pytest.raises(NotShown, match="unreachable"):
                third.result(10)
        finally:
            hanging.may.set()
        assert [one.result(20) for one in held] == ["7", "7"]
        assert enter(party) == "7", "and it goes on"


@pytest.mark.server
@pytest.mark.parametrize("before", [b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_an_answer_that_comes_drop_by_drop_is_none(monkeypatch: pytest.MonkeyPatch, before: bytes) -> None:
    monkeypatch.setattr(oidc, "WHOLE_SECONDS", 0.5)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(before)
                while not over.wait(0.1):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        pool.submit(drip)
        threading.Timer(8, over.set).start()
        began = time.monotonic()
        try:
            with pytest.raises(NotShown, match="unreachable"):
                oidc._ask("GET", f"http://127.0.0.1:{server.getsockname()[1]}/")
            assert time.monotonic() - began < 6
        finally:
            over.set()


# cookies --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_cookies_are_for_tls_alone_where_the_public_address_is(
    staffed_city: City, clock: Clock, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """A proxy ends TLS and does not tell: what it sends on comes by http."""
    monkeypatch.setattr(oidc, "_ask", Scripted().ask)
    monkeypatch.setenv("CITYLAKE_SECRET_OIDC", "s")
    identities.bind(staffed_city.register, STEWARD, FAR.issuer, "7", actor=ADMINISTRATOR)
    settings = replace(staffed_city.settings, provider=FAR, url=f"{scheme}://catalogue.test")
    browser = TestClient(create_app(settings), base_url="http://catalogue.test", follow_redirects=False)
    begun = browser.get(START)
    sent = parse_qs(urlsplit(begun.headers["location"]).query)
    flow = begun.headers["set-cookie"].partition(";")[0]
    query = f"state={sent['state'][0]}&code={sent['nonce'][0]}"
    entered = browser.get(f"{CALLBACK}?{query}", headers={"Cookie": flow})
    assert entered.status_code == 200, audit.recent(staffed_city.register, 1)
    (person,) = [one for one in entered.headers.get_list("set-cookie") if one.startswith("citylake_person=")]
    for cookie in (begun.headers["set-cookie"], person):
        assert ("Secure" in cookie.split("; ")) == (scheme == "https")
