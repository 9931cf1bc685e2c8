"""Wrong credentials too many: refused on every road in its own form, told to the audit once, nobody else's matter."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from catalog.app import create_app
from catalog.policy import administration, audit, tokens
from catalog.policy.administration import IssuedClient
from catalog.policy.callers import LOCK
from catalog.policy.lockout import Locked, Lockout, Origin
from catalog.policy.rates import ROUNDING
from tests.catalog.small_city import ADMINISTRATOR, AGES, GUARD, PERSONS, URL, City, bearer
from tests.city import seed_from_clock

ROWS = f"/api/v1/products/{PERSONS}/rows"
LIMIT = 4


class Service:
    """A service whose city lets so few wrong credentials through, and whose clock is set."""

    def __init__(self, city: City, limit: int = LIMIT) -> None:
        city.limit(f"{{credentials: {{perMinute: {limit}}}}}")
        self.city, self.at = city, 0.0
        self.app: FastAPI = create_app(city.settings)
        self.app.state.desk.callers._lockout = Lockout(lambda: self.at)

    def client(self, address: str = "192.0.2.1") -> TestClient:
        return TestClient(self.app, base_url=URL, follow_redirects=False, client=(address, 1))

    def locks(self) -> list[dict[str, Any]]:
        rows = audit.recent(self.city.register, 1000)
        return [row for row in reversed(rows) if row["action"] == LOCK]


def ask(client: TestClient, token: str) -> Response:
    return client.get(ROWS, headers=bearer(token))


def wrong(token: str) -> str:
    """A token of the same id with another secret."""
    return token[:-1] + ("0" if token[-1] != "0" else "1")


def exchange(client: TestClient, issued: IssuedClient, secret: str) -> Response:
    form = {"grant_type": "client_credentials", "client_id": issued.client_id, "client_secret": secret}
    return client.post("/oauth/token", data=form)


def test_too_many_are_refused_on_every_road_in_its_own_form(own_city: City) -> None:
    service = Service(own_city)
    client = service.client()
    assert [ask(client, "cl_wrong").status_code for _ in range(LIMIT)] == [401] * LIMIT
    before = len(audit.recent(own_city.register, 1000))
    shown, page = bearer("cl_wrong"), {"Accept": "text/html"}
    issued = own_city.oauth_client("甲")
    begun = len(audit.recent(own_city.register, 1000)) - before
    roads: dict[str, Callable[[], Response]] = {
        "rows": lambda: client.get(ROWS, headers=shown),
        "list": lambda: client.head("/api/v1/products", headers=shown),
        "shares": lambda: client.get("/delta-sharing/shares", headers=shown),
        "licence": lambda: client.get("/verify/licence/1", headers=shown),
        "download": lambda: client.get(f"/datasets/{AGES}/download/csv", headers=shown),
        "preview": lambda: client.get(f"/datasets/{AGES}/preview", headers={**shown, **page}),
        "marts": lambda: client.get("/marts/marts.duckdb", headers={**shown, **page}),
        "login": lambda: client.post("/login", data={"token": "cl_wrong"}, headers=page),
        "exchange": lambda: exchange(client, issued, "0" * 64),
    }
    answers = {name: road() for name, road in roads.items()}
    for name, answer in answers.items():
        assert (answer.status_code, answer.headers.get("retry-after")) == (429, "15"), name
    assert answers["rows"].headers["content-type"] == "application/problem+json"
    assert answers["rows"].json()["rule"] == "locked"
    assert answers["shares"].json()["errorCode"] == "RESOURCE_EXHAUSTED"
    assert answers["exchange"].json()["error"] == "temporarily_unavailable"
    assert all("<h1>" in answers[name].text for name in ("preview", "marts", "login"))
    (lock,) = service.locks()
    assert len(audit.recent(own_city.register, 1000)) == before + begun + 1, "told once, not for each attempt"
    assert (lock["outcome"], lock["recipient"]) == ("denied", None) and "192.0.2.1" not in str(lock)
    assert ask(service.client("192.0.2.2"), "cl_wrong").status_code == 401, "another network's are counted apart"
    assert client.get(f"/api/v1/products/{AGES}/rows").status_code == 200, "who shows nothing is not meant"
    service.at += 15
    assert [ask(client, "cl_wrong").status_code for _ in range(2)] == [401, 429] and len(service.locks()) == 1
    service.at += 60
    assert [ask(client, "cl_wrong").status_code for _ in range(LIMIT + 1)] == [401] * LIMIT + [429]
    assert len(service.locks()) == 2, "it was over in between"


def test_nobody_is_kept_out_by_what_others_showed(own_city: City) -> None:
    """Neither who has the token that they name, nor who asks from the same network."""
    service = Service(own_city)
    token, other = own_city.recipient("甲"), own_city.recipient("乙", "cab")
    issued = own_city.oauth_client("丙", "hc")
    for name in ("甲", "乙", "丙"):
        own_city.grant(name)
    client = service.client()
    assert [ask(client, wrong(token)).status_code for _ in range(LIMIT + 2)] == [401] * LIMIT + [429] * 2
    assert [exchange(client, issued, "0" * 64).status_code for _ in range(2)] == [429] * 2
    for address in ("192.0.2.1", "192.0.2.2"):
        client = service.client(address)
        for good in (token, other):
            assert [ask(client, good).status_code for _ in range(2)] == [200, 200]
        answer = exchange(client, issued, issued.client_secret)
        assert answer.status_code == 200 and ask(client, answer.json()["access_token"]).status_code == 200
        assert client.post("/login", data={"token": token}).status_code == 303


def test_an_id_that_is_named_too_often_from_anywhere_is_told_to_its_recipient(own_city: City) -> None:
    service = Service(own_city)
    issued = own_city.oauth_client("甲")
    own_city.grant("甲")
    networks = [service.client(f"198.51.100.{number}") for number in range(2 * LIMIT)]
    found = [exchange(client, issued, "0" * 64).status_code for client in networks]
    assert found == [401] * LIMIT + [429] * LIMIT
    (lock,) = service.locks()
    assert (lock["recipient"], lock["body"]["token_id"]) == ("甲", issued.client_id)
    assert exchange(networks[-1], issued, issued.client_secret).status_code == 200
    good = service.app.state.desk.callers.access_token(own_city.callers().from_client(*pair(issued)))[0]
    assert ask(networks[-1], wrong(good)).status_code == 429, "what passes for its access token counts the same"
    assert "wrong credentials refused" in networks[0].get("/access?lang=en", headers=bearer(good)).text


def pair(issued: IssuedClient) -> tuple[str, str]:
    return issued.client_id, issued.client_secret


def test_what_was_right_and_has_ended_is_not_counted(own_city: City) -> None:
    service = Service(own_city)
    token = own_city.recipient("甲")
    (known,) = administration.list_tokens(own_city.register, "甲")
    administration.revoke_token(own_city.register, known.id, actor=GUARD)
    issued = administration.issue_client(own_city.register, "甲", actor=ADMINISTRATOR)
    ended = tokens.access_token(own_city.settings.key("access_tokens"), issued.client_id, 1)
    client = service.client()
    assert {ask(client, one).status_code for one in (token, ended) * LIMIT * 2} == {401} and service.locks() == []


def test_a_network_that_showed_too_many_is_looked_at_one_at_a_time(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Argon2 is dear: who floods the service with wrong secrets has one of them looked at at once, not forty."""
    service = Service(own_city)
    token = own_city.recipient("甲")
    own_city.grant("甲")
    client, elsewhere = service.client(), service.client("192.0.2.2")
    lockout = service.app.state.desk.callers._lockout
    for _ in range(LIMIT):
        ask(client, wrong(token))
    (network,) = [name for kind, name in map(str.split, lockout._rates._buckets) if kind == "network"]
    for _ in range(LIMIT):
        ask(elsewhere, wrong(token))
    looked, fits = list[int](), tokens.Verifier.fits
    monkeypatch.setattr(tokens.Verifier, "fits", lambda *about: looked.append(1) or fits(*about))
    lockout._looking.add(network)
    assert [ask(client, shown).status_code for shown in (wrong(token), token)] == [429, 429] and not looked
    assert ask(client, token).headers["retry-after"] == "1"
    assert ask(elsewhere, token).status_code == 200, "another network does not wait, though it is locked too"
    assert ask(client, token).status_code == 200, "what was good a moment ago is known"
    lockout._looking.discard(network)
    assert ask(client, wrong(token)).status_code == 429


def test_a_lock_that_the_audit_could_not_be_told_of_is_told_by_the_next(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(own_city)
    client = service.client()
    for _ in range(LIMIT):
        ask(client, "cl_wrong")
    with monkeypatch.context() as broken:

        def unavailable(*_: object, **__: object) -> None:
            raise audit.AuditUnavailable

        broken.setattr(audit, "record", unavailable)
        assert ask(client, "cl_wrong").status_code == 503
    assert not service.locks()
    assert ask(client, "cl_wrong").status_code == 429
    assert len(service.locks()) == 1


class Bucket:
    """What one name has left, written down a second time; `locked`: since it was full last."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute, self.left, self.at, self.locked = per_minute, float(per_minute), 0.0, False

    def wrong(self, at: float) -> tuple[int, bool]:
        """Seconds to wait, and whether a lock begins."""
        self.left, self.at = min(self.per_minute, self.left + (at - self.at) * self.per_minute / 60), at
        self.locked = self.locked and self.left < self.per_minute - ROUNDING
        if self.left >= 1 - ROUNDING:
            self.left = max(0.0, self.left - 1)
            return 0, False
        begins, self.locked = not self.locked, True
        return math.ceil((1 - self.left) * 60 / self.per_minute), begins


def test_locks_against_a_model() -> None:
    """No more wrong ones pass than a bucket allows, and a lock begins once until the bucket was full again."""
    number = seed_from_clock()
    print("CITYLAKE_TEST_SEED", number)
    draw = random.Random(number)
    for _ in range(200):
        one_sequence(draw)


def one_sequence(draw: random.Random) -> None:
    per_minute, at = draw.randint(1, 20), 0.0
    lockout, buckets = Lockout(lambda: at), dict[str, Bucket]()
    for _ in range(draw.randint(1, 60)):
        at += draw.choice((0.0, 0.0, 0.0, draw.uniform(0, 10), draw.uniform(0, 90)))
        network, named = f"n{draw.randint(0, 2)}", draw.choice((None, "a", "b"))
        names = [network] if named is None else [network, named]
        found = lockout.failed(Origin(network, per_minute), named)
        told = [buckets.setdefault(name, Bucket(per_minute)).wrong(at) for name in names]
        wait = max(seconds for seconds, _ in told)
        assert found == (Locked(wait, *(begins for _, begins in told)) if wait else None)
