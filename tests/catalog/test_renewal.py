"""Recipients renew what they show: within the city's bounds, for the same and nobody else's, told to its owner."""

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from catalog.access.router import PREFIX
from catalog.policy import administration, audit, renewal, suspension, tokens, users
from catalog.policy.administration import Token, list_tokens
from catalog.policy.decision import Reason
from pipelines.contracts.forms.limits import CredentialsForm
from pipelines.messages import CitylakeError
from pipelines.register.store import now
from pipelines.register.tables import token
from pipelines.register.times import as_utc
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
    row = audit.recent(staffed_city.register, 1)[0]
    assert (row["outcome"], row["body"]["reason"], row["recipient"]) == ("denied", "token.no_secret", "甲")
    for how in ({"headers": bearer(access)}, {}):
        if not how:
            assert browser.post("/login", data={"token": access}, follow_redirects=False).status_code == 303
        assert 'action="/access/renew"' not in browser.get("/access", **how).text
        done = browser.post("/access/renew", data={"overlap": "0", "secret": access}, **how)
        assert done.status_code == 422 and "clientSecret" not in done.text, "a quarter of an hour makes no months"
    browser.post("/logout")
    assert len(list_tokens(staffed_city.register)) == 2
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
    long = browser.post("/access/renew", data={"overlap": "9999", "secret": shown})
    assert long.status_code == 422 and 'role="alert"' in long.text
    other = administration.issue_token(staffed_city.register, "甲", actor=ADMINISTRATOR).token
    for wrong in ("", other, f"{shown[:-1]}{'0' if shown[-1] != '0' else '1'}"):
        answer = browser.post("/access/renew", data={"overlap": "0", "secret": wrong})
        assert answer.status_code == 422 and "粘贴的不是登录所用的令牌" in answer.text, "a cookie alone makes no secret"
        row = audit.recent(staffed_city.register, 1)[0]
        assert (row["action"], row["outcome"], row["body"]["token_id"]) == ("token.renew", "denied", mine.id)
    done = browser.post("/access/renew", data={"overlap": "0", "secret": shown})
    found = re.search(r"cl_[0-9a-f]{16}_[0-9a-f]{64}", done.text)
    assert done.status_code == 200 and found is not None and done.headers["cache-control"] == "no-store"
    assert staffed_city.callers().from_token(found[0]).recipient == "甲"
    assert staffed_city.callers().from_token(shown).problem is Reason.TOKEN_EXPIRED
    assert token_of(staffed_city).succeeds == mine.id
    assert found[0] not in browser.get("/access").text
    again = browser.post("/access/renew", data={"overlap": "0", "secret": shown}, headers={"Accept": "text/html"})
    assert again.status_code == 401, "signed out with the old one"


def test_a_departments_user_renews_their_own_organisations(staffed_city: City, clock: Clock) -> None:
    register = staffed_city.register
    users.create(register, staffed_city.contracts, "科员", "psb", ["department_user"], actor=ADMINISTRATOR)
    staffed_city.recipient("甲"), staffed_city.recipient("乙", "cab")
    mine, other = token_of(staffed_city), token_of(staffed_city, "乙")
    clerk = ready(staffed_city, "科员", clock).browser
    page = clerk.get("/access").text
    assert mine.id in page and other.id not in page and "甲" in page and "乙" not in page
    for wrong in ("\0", other.id):
        denied = clerk.post("/access/renew", data={"token": wrong, "overlap": "24"})
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


def test_a_password_alone_renews_nothing(staffed_city: City, clock: Clock) -> None:
    register = staffed_city.register
    users.create(register, staffed_city.contracts, "科员", "psb", ["department_user"], actor=ADMINISTRATOR)
    staffed_city.recipient("甲")
    clerk = ready(staffed_city, "科员", clock, second=False).browser
    page = clerk.get("/access").text
    assert "只用口令登录" in page and 'action="/access/renew"' not in page
    english = clerk.get("/access?lang=en").text
    assert "by password alone renews no tokens" in english
    denied = clerk.post("/access/renew", data={"token": token_of(staffed_city).id, "overlap": "1"})
    assert denied.status_code == 403 and "cl_" not in denied.text
    assert audit.recent(register, 1)[0]["body"] == {"actor": "科员", "reason": "token.second_factor"}
    assert len(list_tokens(register)) == 1


def test_revoking_ends_what_was_renewed(staffed_city: City, browser: TestClient) -> None:
    register = staffed_city.register
    shown = [staffed_city.recipient("甲")]
    for _ in range(2):
        shown.append(browser.post(RENEW, headers=bearer(shown[-1]), json={"overlap_hours": 1}).json()["token"])
    rotated = administration.rotate_token(register, shown[2][3:19], timedelta(days=1), actor=ADMINISTRATOR)
    assert isinstance(rotated, administration.IssuedToken)
    administration.revoke_token(register, shown[0][3:19], actor=GUARD)
    for text in shown:
        assert staffed_city.callers().from_token(text).problem is Reason.TOKEN_REVOKED
    assert staffed_city.callers().from_token(rotated.token).problem is None, "an administrator gave it to somebody"
    rows = [row for row in audit.recent(register, 10) if row["action"] == "token.revoke"]
    assert [row["body"] for row in reversed(rows)] == [
        {"actor": GUARD, "token_id": shown[0][3:19]},
        *({"actor": GUARD, "token_id": text[3:19], "renewed_from": shown[0][3:19]} for text in shown[1:]),
    ]
    administration.revoke_token(register, shown[0][3:19], actor=GUARD)
    assert [row for row in audit.recent(register, 10) if row["action"] == "token.revoke"] == rows, "nothing changes"


def test_renewing_what_somebody_renewed_is_told(staffed_city: City, browser: TestClient) -> None:
    shown = staffed_city.recipient("甲")
    browser.post(RENEW, headers=bearer(shown), json={})
    refused(browser.post(RENEW, headers=bearer(shown), json={}), staffed_city, 409, "succeeded")
    row = audit.recent(staffed_city.register, 1)[0]
    assert (row["action"], row["outcome"], row["recipient"]) == ("token.renew", "denied", "甲")
    assert row["body"] == {"road": "oauth", "token_id": shown[3:19], "reason": "token.succeeded"}


@pytest.mark.parametrize(("whom", "name"), [("recipient", "甲"), ("organisation", "psb")])
def test_a_user_renews_nothing_of_who_is_suspended(
    staffed_city: City, clock: Clock, whom: suspension.Whom, name: str
) -> None:
    register = staffed_city.register
    users.create(register, staffed_city.contracts, "科员", "psb", ["department_user"], actor=ADMINISTRATOR)
    staffed_city.recipient("甲")
    clerk = ready(staffed_city, "科员", clock).browser
    suspension.suspend(register, staffed_city.contracts, whom, name, "泄露", actor=GUARD)
    done = clerk.post("/access/renew", data={"token": token_of(staffed_city).id, "overlap": "1"})
    assert done.status_code == 422 and "已被暂停" in done.text
    assert len(list_tokens(register)) == 1
    row = audit.recent(register, 1)[0]
    assert (row["outcome"], row["recipient"], row["body"]["reason"]) == ("denied", "甲", "token.suspended")


def test_no_overlap_hides_no_renewal(staffed_city: City, browser: TestClient) -> None:
    shown = staffed_city.recipient("甲")
    old = token_of(staffed_city)
    owner = administration.issue_token(staffed_city.register, "甲", actor=ADMINISTRATOR).token
    made = browser.post(RENEW, headers=bearer(shown), json={"overlap_hours": 0}).json()
    assert f"{old.id} 已换发为 {made['id']}" in browser.get("/access", headers=bearer(owner)).text
    tokens, moment = list_tokens(staffed_city.register, "甲"), now()
    assert [one.id for one in renewal.lately(tokens, moment + timedelta(days=29))] == [old.id]
    assert renewal.lately(tokens, moment + timedelta(days=31)) == []


def test_renewals_end_by_what_was_issued(staffed_city: City) -> None:
    register, form = staffed_city.register, CredentialsForm(renewUntilDays=15)
    staffed_city.recipient("甲")
    issued: Any = administration.issue_token(register, "甲", 10, actor=ADMINISTRATOR)

    def renewed(shown: str) -> tuple[Any, timedelta]:
        made: Any = renewal.by_holder(register, form, staffed_city.callers().from_token(shown), 1, "oauth")
        return made, made.expires - now()

    first, life = renewed(issued.token)
    assert timedelta(days=9) < life <= timedelta(days=10)
    with register.begin() as connection:  # as if eight days had gone by
        kept = token.c.id.in_([issued.id, first.id])
        for row in connection.execute(sa.select(token).where(kept)).mappings().all():
            past = {name: as_utc(row[name]) - timedelta(days=8) for name in ("created", "expires")}
            connection.execute(sa.update(token).where(token.c.id == row["id"]).values(**past))
        connection.execute(
            sa.text("UPDATE audit SET at = :at"), {"at": (now() - timedelta(days=8)).replace(tzinfo=None)}
        )
    second, life = renewed(first.token)
    assert timedelta(days=6) < life <= timedelta(days=7), "fifteen days from the issue"
    rotated: Any = administration.rotate_token(register, second.id, timedelta(), 10, actor=ADMINISTRATOR)
    _, life = renewed(rotated.token)
    assert timedelta(days=9) < life, "an administrator decided anew"


def test_a_city_may_let_nobody_renew(staffed_city: City) -> None:
    caller = staffed_city.callers().from_token(staffed_city.recipient("甲"))
    with pytest.raises(CitylakeError) as refusal:
        renewal.by_holder(staffed_city.register, CredentialsForm(renewDays=0), caller, 0, "oauth")
    assert refusal.value.code == "token.renewal_off" and len(list_tokens(staffed_city.register)) == 1


def test_secrets_are_hashed_before_the_register_is_kept_from_others(
    staffed_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    register, hashed, free = staffed_city.register, tokens.hashed, []

    def looks(made: tokens.Secret) -> str:
        with register.begin() as connection:
            connection.execute(sa.update(token).values(application=None))
        free.append(made.id)
        return hashed(made)

    caller = staffed_city.callers().from_token(staffed_city.recipient("甲"))
    monkeypatch.setattr(tokens, "hashed", looks)
    made = renewal.by_holder(register, CredentialsForm(), caller, 0, "oauth")
    assert isinstance(made, administration.IssuedToken)
    rotated = administration.rotate_token(register, made.id, timedelta(), actor=ADMINISTRATOR)
    assert free == [made.id, rotated.id]  # type: ignore[union-attr]


def test_a_revoked_token_is_shown_nothing_of_whose_it_was(staffed_city: City, browser: TestClient) -> None:
    shown = staffed_city.recipient("甲")
    staffed_city.grant("甲")
    own = ('id="quota"', 'id="tokens"')
    page = browser.get("/access", headers=bearer(shown)).text
    assert all(part in page for part in own)
    administration.revoke_token(staffed_city.register, token_of(staffed_city).id, actor=GUARD)
    page = browser.get("/access", headers=bearer(shown)).text
    assert not any(part in page for part in own)
