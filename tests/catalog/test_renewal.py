"""Recipients renew what they show: within the city's bounds, for the same and nobody else's, told to its owner."""

import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from catalog.access.router import PREFIX
from catalog.policy import administration, audit, suspension, users
from catalog.policy.administration import Token, list_tokens
from catalog.policy.decision import Reason
from pipelines.register.store import now
from tests.catalog.signing_in import Clock, ready
from tests.catalog.small_city import ADMINISTRATOR, GUARD, City, bearer

RENEW = f"{PREFIX}/renew"


@pytest.fixture
def browser(staffed_city: City) -> TestClient:
    return staffed_city.client()


def token_of(city: City, name: str = "甲") -> Token:
    """The newest token."""
    return list_tokens(city.register, name)[-1]


def refused(answer: Any, city: City, status: int, rule: str) -> None:
    before = len(list_tokens(city.register))
    assert (answer.status_code, answer.json()["rule"]) == (status, rule), answer.text
    assert len(list_tokens(city.register)) == before


def test_a_token_makes_its_successor(staffed_city: City, browser: TestClient) -> None:
    shown = staffed_city.recipient("甲")
    old = token_of(staffed_city)
    answer = browser.post(RENEW, headers=bearer(shown), json={"overlap_hours": 12})
    assert answer.status_code == 201 and answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert (made["succeeds"], made["recipient"]) == (old.id, "甲")
    assert made["profile"]["bearerToken"] == made["token"]
    for text in (shown, made["token"]):
        assert staffed_city.callers().from_token(text).recipient == "甲", "both are good while they overlap"
    kept = {one.id: one for one in list_tokens(staffed_city.register)}
    assert timedelta(hours=11) < kept[old.id].expires - now() <= timedelta(hours=12)
    assert kept[made["id"]].expires - kept[made["id"]].created == old.expires - old.created
    rows = [row for row in audit.recent(staffed_city.register, 2) if row["recipient"] == "甲"]
    assert [(row["action"], row["outcome"]) for row in rows] == [("token.renew", "allowed"), ("token.issue", "allowed")]
    assert rows[0]["body"]["token_id"] == old.id and rows[0]["body"]["successor"] == made["id"]
    assert made["token"].split("_")[2] not in str(audit.recent(staffed_city.register, 50))
    refused(browser.post(RENEW, headers=bearer(shown), json={}), staffed_city, 409, "succeeded")
    page = browser.get("/access", headers=bearer(shown)).text
    assert f"{old.id} 已换发为 {made['id']}" in page, "the owner is told"


def test_a_client_shows_its_secret_and_no_access_token(staffed_city: City, browser: TestClient) -> None:
    client = staffed_city.oauth_client("甲")
    administration.create_application(staffed_city.register, staffed_city.contracts, "系统", "psb", actor=ADMINISTRATOR)
    other = administration.issue_client(staffed_city.register, "甲", 30, "系统", actor=ADMINISTRATOR)
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    access = browser.post("/oauth/token", data=form).json()["access_token"]
    refused(browser.post(RENEW, headers=bearer(access), json={}), staffed_city, 403, "no_secret")
    assert audit.recent(staffed_city.register, 1)[0]["outcome"] == "denied"
    wrong = browser.post(RENEW, auth=(client.client_id, "0" * 64), json={})
    refused(wrong, staffed_city, 401, "token_invalid")
    made = browser.post(RENEW, auth=(other.client_id, other.client_secret), json={"overlap_hours": 0}).json()
    assert made["succeeds"] == other.client_id and made["profile"]["clientSecret"] == made["client_secret"]
    assert token_of(staffed_city).application == "系统" and token_of(staffed_city).client
    assert token_of(staffed_city).expires - token_of(staffed_city).created == timedelta(days=30), "as the old one"
    ended = staffed_city.callers().from_client(other.client_id, other.client_secret)
    assert ended.problem is Reason.TOKEN_EXPIRED
    assert staffed_city.callers().from_client(made["client_id"], made["client_secret"]).problem is None


def test_no_longer_than_the_city_lets(staffed_city: City, browser: TestClient) -> None:
    administration.create_recipient(staffed_city.register, staffed_city.contracts, "甲", "psb", actor=ADMINISTRATOR)
    shown = administration.issue_token(staffed_city.register, "甲", 1000, actor=ADMINISTRATOR).token
    limits = staffed_city.contracts.city.limits.credentials
    long = browser.post(RENEW, headers=bearer(shown), json={"overlap_hours": limits.overlapHours + 1})
    refused(long, staffed_city, 422, "overlap_too_long")
    assert browser.post(RENEW, headers=bearer(shown), json={"overlap_hours": limits.overlapHours}).status_code == 201
    made = token_of(staffed_city)
    assert made.expires - made.created == timedelta(days=limits.renewDays)


def test_who_may_read_nothing_renews_nothing(staffed_city: City, browser: TestClient) -> None:
    shown = {name: staffed_city.recipient(name) for name in ("甲", "乙")}
    register = staffed_city.register
    administration.revoke_token(register, token_of(staffed_city).id, actor=GUARD)
    suspension.suspend(register, staffed_city.contracts, "recipient", "乙", "泄露", actor=GUARD)
    for name, (status, rule) in {"甲": (401, "token_revoked"), "乙": (403, "suspended")}.items():
        refused(browser.post(RENEW, headers=bearer(shown[name]), json={}), staffed_city, status, rule)
        row = audit.recent(register, 1)[0]
        assert (row["action"], row["outcome"], row["recipient"]) == ("token.renew", "denied", name)
    refused(browser.post(RENEW, json={}), staffed_city, 401, "token_required")
    refused(browser.post(RENEW, headers=bearer("cl_no"), json={}), staffed_city, 401, "token_invalid")
    form = browser.post(RENEW, headers=bearer(staffed_city.recipient("丙")), data={"overlap_hours": "1"})
    refused(form, staffed_city, 415, "no_json")


def test_people_renew_what_they_signed_in_with(staffed_city: City, browser: TestClient) -> None:
    shown = staffed_city.recipient("甲")
    mine = token_of(staffed_city)
    administration.issue_token(staffed_city.register, "甲", actor=ADMINISTRATOR)
    browser.post("/login", data={"token": shown})
    page = browser.get("/access").text
    assert page.count('action="/access/renew"') == 1, "of another token of the same recipient its holder does"
    foreign = browser.post("/access/renew", data={"overlap": "1"}, headers={"Origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    long = browser.post("/access/renew", data={"overlap": "9999"})
    assert long.status_code == 422 and 'role="alert"' in long.text
    done = browser.post("/access/renew", data={"overlap": "0"})
    found = re.search(r"cl_[0-9a-f]{16}_[0-9a-f]{64}", done.text)
    assert done.status_code == 200 and found is not None and done.headers["cache-control"] == "no-store"
    assert staffed_city.callers().from_token(found[0]).recipient == "甲"
    assert staffed_city.callers().from_token(shown).problem is Reason.TOKEN_EXPIRED
    assert token_of(staffed_city).succeeds == mine.id
    assert found[0] not in browser.get("/access").text
    again = browser.post("/access/renew", data={"overlap": "0"}, headers={"Accept": "text/html"})
    assert again.status_code == 401, "signed out with the old one"


def test_a_departments_user_renews_their_own_organisations(staffed_city: City, clock: Clock) -> None:
    register = staffed_city.register
    users.create(register, staffed_city.contracts, "科员", "psb", ["department_user"], actor=ADMINISTRATOR)
    staffed_city.recipient("甲"), staffed_city.recipient("乙", "cab")
    mine, other = token_of(staffed_city), token_of(staffed_city, "乙")
    clerk = ready(staffed_city, "科员", clock, second=False).browser
    page = clerk.get("/access").text
    assert mine.id in page and other.id not in page and "甲" in page and "乙" not in page
    denied = clerk.post("/access/renew", data={"token": other.id, "overlap": "24"})
    assert denied.status_code == 403 and len(list_tokens(register)) == 2
    row = audit.recent(register, 1)[0]
    assert (row["action"], row["outcome"]) == ("token.renew", "denied")
    assert row["body"] == {"actor": "科员", "reason": "token.other_organisation"}
    done = clerk.post("/access/renew", data={"token": mine.id, "overlap": "24"})
    assert done.status_code == 200 and 'id="renewed"' in done.text
    assert token_of(staffed_city).succeeds == mine.id
    assert audit.recent(register, 1)[0]["body"]["actor"] == "科员"
    steward = ready(staffed_city, ADMINISTRATOR, clock).browser
    assert mine.id not in steward.get("/access").text
    assert steward.post("/access/renew", data={"token": other.id, "overlap": "1"}).status_code == 403
