"""Wrong tries at the door: the right one waits too, nobody learns a name, the audit is not filled, and what is right
already is asked for again before it is replaced."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
import sqlalchemy as sa

from catalog.policy import audit, second_factor, tokens, users
from catalog.policy.lockout import Lockout
from catalog.policy.signin import SignIn
from pipelines.contracts.forms.limits import SignInForm
from pipelines.register import Register
from tests.catalog.signing_in import ANYWHERE, Clock, Somebody, browsing, is_in, kept, ready, said
from tests.catalog.small_city import ADMINISTRATOR, APPROVER, AUDITOR, OFFICE, STEWARD, City


def test_after_some_wrong_tries_the_right_one_waits_too(staffed_city: City, clock: Clock) -> None:
    form = staffed_city.contracts.city.signIn
    person = ready(staffed_city, AUDITOR, clock)
    for rounds in range(3):
        for _ in range(form.tries):
            assert person.sign_in(browsing(staffed_city), password="wrong wrong wrong").status_code == 401
        lock = audit.recent(staffed_city.register, 1)[0]
        assert (lock["action"], lock["body"]["actor"], lock["body"]["reason"]) == ("credential.lock", AUDITOR, "locked")
        clock.pass_by(minutes=form.lockMinutes * 2**rounds - 0.5)
        assert person.sign_in(browsing(staffed_city)).status_code == 401, "closed, whoever asks"
        clock.pass_by(minutes=0.5)
    assert person.sign_in(browsing(staffed_city)).status_code == 303
    for _ in range(form.tries - 1):
        assert person.sign_in(browsing(staffed_city), code="000000").status_code == 401
    clock.pass_by(seconds=30)
    assert person.sign_in(browsing(staffed_city)).status_code == 303, "a right one forgets the wrong ones"


def test_many_tries_at_once_are_not_more_than_many_in_a_row(staffed_city: City, clock: Clock) -> None:
    ready(staffed_city, AUDITOR, clock)
    key = staffed_city.settings.key(second_factor.KEY)
    door = SignIn(staffed_city.register, lambda: key, SignInForm)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: door.with_password(AUDITOR, f"wrong {n}", "", ANYWHERE), range(24)))
    rows = [row["body"] for row in audit.recent(staffed_city.register, 100) if row["action"] == "sign_in"]
    assert sum(row.get("reason") == "wrong" for row in rows) == SignInForm().tries
    assert sum(row.get("reason") == "closed" for row in rows) == 24 - SignInForm().tries


def test_whether_a_name_exists_is_not_told(staffed_city: City, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the same to the byte, and argon2 is paid for every name."""
    person = ready(staffed_city, AUDITOR, clock)
    users.create(staffed_city.register, staffed_city.contracts, "走者", OFFICE, ["steward"], actor=ADMINISTRATOR)
    ready(staffed_city, "走者", clock, second=False)
    users.end(staffed_city.register, "走者", actor=ADMINISTRATOR)
    chance = random.Random(clock.moment.timestamp())
    strangers = [f"无此人{chance.randrange(10**9)}", "", "x" * 64, "名\0", STEWARD, "走者"]

    verified = list[str]()

    class Watched:
        """The hasher, and which hashes it was asked about."""

        def verify(self, stored: str, password: str) -> bool:
            verified.append(stored)
            return hasher.verify(stored, password)

    hasher = tokens.HASHER
    monkeypatch.setattr(tokens, "HASHER", Watched())

    def answer(name: str) -> tuple[int, str, int]:
        before = len(verified)
        found = browsing(staffed_city).post(
            "/login/account", data={"name": name, "password": "wrong wrong", "code": "1"}
        )
        return found.status_code, re.sub(r"\s+", " ", found.text), len(verified) - before

    known = [answer(person.name) for _ in range(7)]  # closed after the fifth
    unknown = [answer(name) for name in strangers]
    assert {*known, *unknown} == {known[0]} and known[0][2] == 1
    assert len({stored.rpartition("$")[0].rpartition("$")[0] for stored in verified}) == 1, "with the same parameters"
    assert "无此人" not in kept(staffed_city), "the audit keeps no text of a stranger"


def test_too_many_wrong_ones_of_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staffed_city = City(tmp_path)
    monkeypatch.setattr("catalog.policy.signin.Lockout", lambda: Lockout(lambda: 0.0))
    staffed_city.limit("{credentials: {perMinute: 3}}")
    browser, statuses = browsing(staffed_city), []
    for number in range(5):
        found = browser.post("/login/account", data={"name": f"人{number}", "password": "x", "code": ""})
        statuses.append(found.status_code)
    assert statuses == [401, 401, 401, 429, 429] and int(found.headers["Retry-After"]) > 0
    locks = [row for row in audit.recent(staffed_city.register, 20) if row["action"] == "credential.lock"]
    assert len(locks) == 1 and "network" in locks[0]["body"]
    assert browser.post("/join", data={"invitation": "x", "new": "y", "again": "y"}).status_code == 429


def test_a_flood_does_not_fill_the_audit(tmp_path: Path) -> None:
    """Each try is a row, and tries too many are one together, told once a minute."""
    staffed_city = City(tmp_path)
    staffed_city.limit("{callers: {anonymous: {perMinute: 4, rowsPerDay: 1, bytesPerDay: 1}}}")
    browser = browsing(staffed_city)
    browser.app.state.desk.quotas._rates._clock = lambda: 0.0  # type: ignore[attr-defined]
    before = len(audit.recent(staffed_city.register, 1000))
    tries = {"/login/account": {"name": "甲"}, "/join": {"invitation": "x", "new": "y", "again": "y"}}
    found = [browser.post(road, data=form) for road, form in tries.items() for _ in range(10)]
    assert [one.status_code for one in found] == [401] * 4 + [429] * 16
    assert int(found[-1].headers["Retry-After"]) > 0
    rows = audit.recent(staffed_city.register, 1000)
    assert len(rows) == before + 5 and rows[0]["body"]["reason"] == "too_many"
    assert "甲" not in str(rows[:5]), "no text of a stranger"


def test_another_password_is_another_and_the_present_one_is_asked_first(staffed_city: City, clock: Clock) -> None:
    person = ready(staffed_city, AUDITOR, clock)
    form = staffed_city.contracts.city.signIn

    def change(new: str, **wrong: str) -> httpx.Response:
        shown = {"password": person.password, "code": person.code(), "new": new, "again": new, **wrong}
        return person.browser.post("/account/password", data=shown)

    person.browser.get("/account?lang=zh")
    assert "太容易猜到" not in change("password1234", password="not this one at all").text, (
        "whoever guesses learns nothing"
    )
    assert "太容易猜到" not in change("password1234", code="000000").text
    for _ in range(form.tries):
        same = change(person.password)
        assert same.status_code == 400 and "与现在的口令相同" in same.text
        assert "太容易猜到" in change("password1234").text
    assert change("铁塔春雨鹭鸶八十三只 x").status_code == 303, (
        "what was right is no wrong try, nor is its code used up"
    )


def test_setting_up_a_second_factor_asks_for_the_password(staffed_city: City, clock: Clock) -> None:
    person = ready(staffed_city, STEWARD, clock, second=False)
    stolen = browsing(staffed_city)
    stolen.cookies.set("citylake_person", person.browser.cookies["citylake_person"], "catalogue.test", "/")
    assert is_in(stolen)
    for shown in ({}, {"password": "not this one at all"}):
        answer = stolen.post("/account/second-factor", data=shown)
        assert answer.status_code == 401 and 'id="secret"' not in stolen.get("/account").text
    person.set_up()
    assert not is_in(stolen)


def test_joining_ends_the_session_of_before(staffed_city: City, clock: Clock) -> None:
    first = ready(staffed_city, STEWARD, clock, second=False)
    cookie = first.browser.cookies["citylake_person"]
    second = Somebody(staffed_city, APPROVER, clock)
    second.browser = first.browser
    assert second.join().status_code == 303
    kept = browsing(staffed_city)
    kept.cookies.set("citylake_person", cookie, "catalogue.test", "/")
    assert not is_in(kept) and is_in(second.browser)
    assert ("sign_out", "allowed", STEWARD) in said(audit.recent(staffed_city.register, 5))


def test_a_register_that_cannot_be_written_still_lets_pages_tell_so(
    staffed_city: City, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = ready(staffed_city, AUDITOR, clock)
    clock.pass_by(minutes=2)

    def unwritable(_: Register) -> NoReturn:
        raise sa.exc.OperationalError("UPDATE", {}, Exception())

    monkeypatch.setattr(Register, "begin", unwritable)
    page = {"Accept": "text/html"}
    missing = person.browser.get("/no-such-page", headers=page)
    assert missing.status_code == 404 and "<h1>" in missing.text and AUDITOR in missing.text
    assert missing.headers["cache-control"] == "no-store"


def test_pages_speak_the_language_that_was_chosen(staffed_city: City, clock: Clock) -> None:
    person = Somebody(staffed_city, AUDITOR, clock)
    wrong = {"name": AUDITOR, "password": "x", "code": "", "next": ""}
    said_by: dict[str, Any] = {}
    for language in ("zh", "en"):
        person.browser.get(f"/login?lang={language}")
        said_by[language] = person.browser.post("/login/account", data=wrong).text
    assert "动态码不对" in said_by["zh"] and "code is not right" in said_by["en"]
