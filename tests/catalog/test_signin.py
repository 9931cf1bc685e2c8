"""People sign in: invitations, passwords, codes that count once, sessions that end at once, and what is told of it."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog.policy import audit, credentials, passwords, second_factor, users
from catalog.policy.credentials import SecondFactors
from catalog.policy.signin import SignIn
from citylake.main import app
from pipelines.contracts.forms.limits import SignInForm
from pipelines.issues import Finding, Issues
from pipelines.messages import CitylakeError
from tests.catalog.signing_in import ANYWHERE, Clock, Somebody, browsing, is_in, kept, ready, said, scanned
from tests.catalog.small_city import ADMINISTRATOR, APPROVER, AUDITOR, GUARD, OFFICE, STEWARD, City

# codes ----------------------------------------------------------------------------------------------------------------

moments = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@settings(max_examples=150, deadline=None)
@given(moments, st.integers(-200, 200), st.binary(min_size=20, max_size=20))
def test_a_code_counts_within_one_step_and_no_further(at: datetime, away: int, raw: bytes) -> None:
    secret = base64.b32encode(raw).decode()
    made = at + timedelta(seconds=away)
    code, step = pyotp.TOTP(secret).at(made), int(made.timestamp()) // 30
    near = range(int(at.timestamp()) // 30 - 1, int(at.timestamp()) // 30 + 2)
    same = [one for one in near if pyotp.TOTP(secret).generate_otp(one) == code]
    found = second_factor.step(secret, code, at, None)
    assert found == (max(same) if same else None)
    assert (step in near) <= (found is not None)


@settings(max_examples=150, deadline=None)
@given(moments, st.integers(0, 120), st.binary(min_size=20, max_size=20))
def test_no_code_counts_twice(at: datetime, later: int, raw: bytes) -> None:
    """Whatever the time, what counts after a code is a later step's own."""
    secret = base64.b32encode(raw).decode()
    code = pyotp.TOTP(secret).at(at)
    taken = second_factor.step(secret, code, at, None)
    assert taken is not None
    again = second_factor.step(secret, code, at + timedelta(seconds=later), taken)
    assert again is None or (again > taken and pyotp.TOTP(secret).generate_otp(again) == code)


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B, SHA-1; the last six of the eight digits."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037"), (20000000000, "353130")):
        at = datetime.fromtimestamp(seconds, UTC)
        assert second_factor.step(secret, code, at, None) == seconds // 30
        assert second_factor.step(secret, f"{code[:3]} {code[3:]}", at, None) == seconds // 30
    assert (
        second_factor.step(secret, "", at, None) is None
        and second_factor.step(secret, "二七九〇三七", at, None) is None
    )


def test_a_sealed_secret_is_of_one_account() -> None:
    key, secret = b"k" * 32, second_factor.make()
    sealed = second_factor.seal(key, "甲", secret)
    assert secret not in sealed and second_factor.unseal(key, "甲", sealed) == secret
    assert second_factor.unseal(key, "乙", sealed) is None and second_factor.unseal(b"x" * 32, "甲", sealed) is None


def test_a_secret_that_somebody_else_saw_never_counts(staffed_city: City, clock: Clock) -> None:
    """Whoever had the password begins to set up a second factor; its owner changes the password, or begins again."""
    person = ready(staffed_city, AUDITOR, clock, second=False)
    factors = SecondFactors(staffed_city.register, lambda: b"k" * 32)
    factors.begin(AUDITOR)
    seen = factors.pending(AUDITOR)
    factors.begin(AUDITOR)
    again = factors.pending(AUDITOR)
    assert seen and again and seen != again
    assert factors.confirm(AUDITOR, pyotp.TOTP(seen).at(clock.moment), SignInForm()) is None
    door = SignIn(staffed_city.register, factors.key, SignInForm)
    assert door.change_password(AUDITOR, person.password, "", "一只白鹭飞过淠河两岸九百里", ANYWHERE, []).session
    assert factors.pending(AUDITOR) is None


def test_a_password_alone_makes_no_second_factor(staffed_city: City, clock: Clock) -> None:
    """Whoever found it, or the secret that its owner never confirmed, has nothing; an administrator invites again."""
    person = ready(staffed_city, AUDITOR, clock, second=False)
    person.browser.post("/account/second-factor", data={"password": person.password})
    (secret,) = re.findall(r'id="secret">([A-Z2-7]{32})<', person.browser.get("/account").text)
    clock.pass_by(hours=25)
    assert person.sign_in().status_code == 303
    page = person.browser.get("/account").text
    assert secret not in page and "24 小时内" in page and 'action="/account/second-factor"' not in page
    code = pyotp.TOTP(secret).at(clock.moment)
    assert person.browser.post("/account/second-factor/confirm", data={"code": code}).status_code == 400
    refused = person.browser.post("/account/second-factor", data={"password": person.password})
    assert refused.status_code == 403 and "邀请" in refused.text
    person.join()
    clock.pass_by(seconds=30)
    new = "一只白鹭飞过淠河两岸九百里"
    changed = {"password": person.password, "new": new, "again": new}
    assert person.browser.post("/account/password", data=changed).status_code == 303
    person.password = new
    denied = person.browser.post("/account/second-factor", data={"password": person.password})
    assert denied.status_code == 403, "nor does a password that somebody chose themselves"
    person.join()
    person.set_up()


# passwords ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weak",
    [
        "",
        "short",
        "password1234",
        "aaaaaaaaaaaaaaaa",
        "qwertyuiop123",
        "abcdefghijklm",
        "王主任王主任王主任王主任",
        "Luan123456!!",
    ],
)
def test_weak_passwords_are_refused(weak: str) -> None:
    with pytest.raises(CitylakeError) as error:
        passwords.require_good(weak, 12, ["王主任", "六安市", "Lu'an", "citylake"])
    assert error.value.code.startswith("signin.password_")


def test_any_script_makes_a_good_password_and_keyboards_agree() -> None:
    for good in ("春雨铁塔八十三只鹭鸶飞过", "correct horse battery staple", "x7#Kp92!vQmZ4t"):
        passwords.require_good(good, 12, ["王主任"])
        stored = passwords.hashed(good)
        assert (
            stored.startswith("$argon2id$") and passwords.fits(stored, good) and not passwords.fits(stored, good + "x")
        )
    assert passwords.fits(passwords.hashed("ＡＢＣ春雨铁塔"), "ABC春雨铁塔")
    assert not passwords.fits(None, "no password has this hash") and not passwords.fits("damaged", "x")


# the whole way --------------------------------------------------------------------------------------------------------


def test_an_auditor_signs_in_with_password_and_code(staffed_city: City, clock: Clock) -> None:
    person = Somebody(staffed_city, AUDITOR, clock)
    assert not is_in(person.browser)
    assert person.join().headers["location"] == "/account"
    page = person.browser.get("/account?lang=zh").text
    assert "须用动态码" in page and "审计员" in page
    person.set_up()
    assert "须用动态码登录" not in person.browser.get("/account").text
    clock.pass_by(seconds=30)
    elsewhere = browsing(staffed_city)
    answer = person.sign_in(elsewhere, next="/decisions")
    assert answer.status_code == 303 and answer.headers["location"] == "/decisions"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert AUDITOR in elsewhere.get("/").text and is_in(elsewhere)
    replay = person.sign_in(browsing(staffed_city), code=pyotp.TOTP(person.secret or "").at(clock.moment))
    assert replay.status_code == 401, "a code counts once"
    assert elsewhere.post("/logout").status_code == 303 and not is_in(elsewhere)
    elsewhere.cookies.set("citylake_person", cookie.split("=", 1)[1].split(";")[0], "catalogue.test", "/")
    assert not is_in(elsewhere), "signed out is signed out, whoever kept the cookie"
    rows = said(audit.recent(staffed_city.register, 20))
    acts = [row for row in rows if row[0] in ("user.invite", "user.join", "second_factor.set", "sign_in", "sign_out")]
    assert acts == [
        ("user.invite", "allowed", ADMINISTRATOR),
        ("user.join", "allowed", AUDITOR),
        ("sign_in", "allowed", AUDITOR),
        ("sign_out", "allowed", AUDITOR),
        ("second_factor.set", "allowed", AUDITOR),
        ("sign_in", "allowed", AUDITOR),
        ("sign_in", "denied", AUDITOR),
        ("sign_out", "allowed", AUDITOR),
    ]
    everything = kept(staffed_city)
    for secret in (person.password, person.secret, cookie.split("=", 1)[1].split(".")[0]):
        assert secret and secret not in everything, "nothing that opens the door is in the register"
    assert audit.first_break(staffed_city.register) is None


def test_a_camera_reads_the_secret(staffed_city: City, clock: Clock) -> None:
    """By a decoder of others: the code in the page is the address beside it, and lets its owner in."""
    person = ready(staffed_city, STEWARD, clock, second=False)
    person.browser.post("/account/second-factor", data={"password": person.password})
    page = person.browser.get("/account?lang=zh").text
    assert "<title>动态码密钥的二维码</title>" in page
    address = scanned(page)
    assert f"<code>{address.replace('&', '&amp;')}</code>" in page
    person.secret = pyotp.parse_uri(address).secret
    assert pyotp.parse_uri(address).name == STEWARD
    assert person.browser.post("/account/second-factor/confirm", data={"code": person.code()}).status_code == 303
    clock.pass_by(seconds=30)
    assert person.sign_in(browsing(staffed_city)).status_code == 303


def test_a_steward_needs_no_code_but_may_have_one(staffed_city: City, clock: Clock) -> None:
    person = ready(staffed_city, STEWARD, clock, second=False)
    browser = browsing(staffed_city)
    assert person.sign_in(browser).status_code == 303 and is_in(browser)
    assert "须用动态码登录" not in browser.get("/account?lang=zh").text
    person.set_up()
    assert not is_in(browser), "whoever knew the password alone is out"
    assert person.sign_in(browsing(staffed_city), code="").status_code == 401
    clock.pass_by(seconds=30)
    assert person.sign_in(browsing(staffed_city)).status_code == 303


def test_people_who_signed_in_read_what_an_issue_says(staffed_city: City, clock: Clock) -> None:
    """As recipients do; somebody whose second factor is still to be set up reads what everybody may."""
    found = Finding("pull.no_file", {"file": "某主机"}, "warning")
    Issues(staffed_city.register).report("psb/household_person", "psb", "pull", [found])
    steward = ready(staffed_city, STEWARD, clock, second=False)
    auditor = ready(staffed_city, AUDITOR, clock, second=False)
    told = [one.get("/issues?lang=zh").text for one in (steward.browser, auditor.browser, browsing(staffed_city))]
    assert "某主机" in told[0] and "登录后可以看到" not in told[0]
    for page in told[1:]:
        assert "某主机" not in page and "未能取到数据" in page and "登录后可以看到" in page


def test_an_invitation_is_good_once_for_a_while_and_ends_what_was_before(staffed_city: City, clock: Clock) -> None:
    first, second = (credentials.invite(staffed_city.register, GUARD, actor=ADMINISTRATOR).code for _ in range(2))
    person = Somebody(staffed_city, GUARD, clock)
    assert person.join(first).status_code == 401, "a later one took its place"
    assert person.join(second[:-1] + ("0" if second[-1] != "0" else "1")).status_code == 401
    short = person.browser.post("/join", data={"invitation": second, "new": "short", "again": "short"})
    assert short.status_code == 400
    other = person.browser.post("/join", data={"invitation": second, "new": person.password, "again": "another"})
    assert other.status_code == 400
    assert person.join(second).status_code == 303 and is_in(person.browser)
    person.set_up()
    assert Somebody(staffed_city, GUARD, clock).join(second).status_code == 401, "it was used"
    late = credentials.invite(staffed_city.register, GUARD, 1, actor=ADMINISTRATOR).code
    clock.pass_by(hours=1)
    assert Somebody(staffed_city, GUARD, clock).join(late).status_code == 401
    again = Somebody(staffed_city, GUARD, clock)
    again.browser, old = browsing(staffed_city), person.browser
    person.sign_in()
    assert is_in(old) and again.join().status_code == 303
    assert (
        not is_in(old)
        and person.sign_in().status_code == 401
        and again.sign_in(browsing(staffed_city)).status_code == 303
    )
    for hours in (0, 10_000):
        with pytest.raises(CitylakeError, match="小时"):
            credentials.invite(staffed_city.register, GUARD, hours, actor=ADMINISTRATOR)
    users.end(staffed_city.register, GUARD, actor=ADMINISTRATOR)
    with pytest.raises(CitylakeError, match="没有在用的用户"):
        credentials.invite(staffed_city.register, GUARD, actor=ADMINISTRATOR)


def test_an_invitation_says_its_end_by_the_citys_clocks(staffed_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(staffed_city.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(staffed_city.settings.project))
    told = CliRunner().invoke(app, ["access", "invite", STEWARD, "--who", ADMINISTRATOR])
    assert told.exit_code == 0 and re.search(r"20[0-9-]+T[0-9:]{5}\+08:00", told.output), told.output


def test_one_invitation_for_many_at_once(staffed_city: City) -> None:
    code = credentials.invite(staffed_city.register, STEWARD, actor=ADMINISTRATOR).code
    door = SignIn(staffed_city.register, lambda: b"k" * 32, SignInForm)
    with ThreadPoolExecutor(4) as pool:
        tried = list(pool.map(lambda n: door.join(code, f"春雨铁塔八十三只鹭鸶飞过{n}", ANYWHERE, []), range(8)))
    assert sum(one.session is not None for one in tried) == 1


def test_one_code_for_many_at_once(staffed_city: City, clock: Clock) -> None:
    person = ready(staffed_city, APPROVER, clock)
    key = staffed_city.settings.key(second_factor.KEY)
    door, code = SignIn(staffed_city.register, lambda: key, lambda: SignInForm(tries=20)), person.code()
    with ThreadPoolExecutor(4) as pool:
        tried = list(pool.map(lambda _: door.with_password(APPROVER, person.password, code, ANYWHERE), range(8)))
    assert sum(one.session is not None for one in tried) == 1


# sessions end ---------------------------------------------------------------------------------------------------------


def test_what_ends_a_session_at_once(staffed_city: City, clock: Clock) -> None:
    def signed_in() -> TestClient:
        clock.pass_by(seconds=30)
        browser = browsing(staffed_city)
        assert person.sign_in(browser).status_code == 303 and is_in(browser)
        return browser

    register = staffed_city.register
    users.create(register, staffed_city.contracts, "来者", OFFICE, ["steward"], actor=ADMINISTRATOR)
    person = ready(staffed_city, "来者", clock)
    one, two = signed_in(), signed_in()
    assert users.end_sessions(register, "来者", actor=GUARD) == 3
    assert not is_in(one) and not is_in(two)
    one, two = signed_in(), signed_in()
    clock.pass_by(seconds=30)
    new = {
        "password": person.password,
        "code": person.code(),
        "new": "铁塔春雨鹭鸶八十三只 x",
        "again": "铁塔春雨鹭鸶八十三只 x",
    }
    wrong = {**new, "password": "not this one at all"}
    assert two.post("/account/password", data=wrong).status_code == 401 and is_in(one)
    assert two.post("/account/password", data={**new, "again": "other"}).status_code == 400
    assert two.post("/account/password", data={**new, "new": "kurz", "again": "kurz"}).status_code == 400
    assert two.post("/account/password", data=new).headers["location"] == "/account?done=1"
    assert is_in(two) and not is_in(one)
    assert person.sign_in(browsing(staffed_city)).status_code == 401
    person.password = new["new"]
    one = signed_in()
    users.end(register, "来者", actor=ADMINISTRATOR)
    assert not is_in(one) and not is_in(two)
    clock.pass_by(seconds=30)
    assert person.sign_in(browsing(staffed_city)).status_code == 401


def test_a_session_ends_when_left_alone_and_after_hours(staffed_city: City, clock: Clock) -> None:
    form = staffed_city.contracts.city.signIn
    person = ready(staffed_city, AUDITOR, clock)
    person.sign_in()
    began = clock.moment
    for _ in range(3):
        clock.pass_by(minutes=form.idleMinutes - 1)
        assert is_in(person.browser)
    clock.pass_by(minutes=form.idleMinutes)
    assert not is_in(person.browser)
    person.sign_in()
    began = clock.moment
    while clock.moment + timedelta(minutes=20) < began + timedelta(hours=form.hours):
        clock.pass_by(minutes=20)
        assert is_in(person.browser)
    clock.pass_by(minutes=20)
    assert not is_in(person.browser)


def test_roles_count_as_they_are_now(staffed_city: City, clock: Clock) -> None:
    register = staffed_city.register
    users.create(register, staffed_city.contracts, "来者", OFFICE, ["steward"], actor=ADMINISTRATOR)
    person = ready(staffed_city, "来者", clock, second=False)
    assert "须用动态码登录" not in person.browser.get("/account?lang=zh").text
    users.change(register, "来者", ["approver"], actor=ADMINISTRATOR)
    assert "须用动态码登录" in person.browser.get("/account").text
    form = staffed_city.contracts.city.signIn
    assert form.passwordDays is not None
    clock.pass_by(days=form.passwordDays)
    users.change(register, "来者", ["steward"], actor=ADMINISTRATOR)
    assert person.sign_in().status_code == 303
    assert "已到更换期" in person.browser.get("/account").text


def test_a_cookie_is_nobodys_but_ours(staffed_city: City, clock: Clock) -> None:
    person = ready(staffed_city, STEWARD, clock, second=False)
    session, _, signature = person.browser.cookies["citylake_person"].partition(".")
    for forged in (session, f"{session}.", f"{session}.{signature[:-1]}x", f".{signature}", f"{'0' * 64}.{signature}"):
        browser = browsing(staffed_city)
        browser.cookies.set("citylake_person", forged, "catalogue.test", "/")
        assert not is_in(browser)
    browser = browsing(staffed_city)
    browser.cookies.set("citylake_person", f"{session}.{signature}", "catalogue.test", "/")
    before = browser.cookies["citylake_person"]
    assert is_in(browser) and person.sign_in(browser).status_code == 303
    assert browser.cookies["citylake_person"] != before and not is_in(person.browser), "a new id, the former one ended"


def test_forms_of_other_sites_do_nothing(staffed_city: City, clock: Clock) -> None:
    person = ready(staffed_city, STEWARD, clock, second=False)
    foreign = {"Origin": "https://elsewhere.example"}
    for road in (
        "/login/account",
        "/join",
        "/account/second-factor",
        "/account/second-factor/confirm",
        "/account/password",
    ):
        assert person.browser.post(road, data={"name": STEWARD, "code": "1"}, headers=foreign).status_code == 403, road
    assert person.browser.post("/logout", headers=foreign).status_code == 403 and is_in(person.browser)
    for next_page in ("https://elsewhere.example", "//elsewhere.example", "\\\\elsewhere"):
        assert person.sign_in(browsing(staffed_city), next=next_page).headers["location"] == "/account"


def test_one_signs_in_as_a_person_or_as_a_recipient(staffed_city: City, clock: Clock) -> None:
    person = ready(staffed_city, STEWARD, clock, second=False)
    token = staffed_city.recipient("甲")
    assert person.browser.post("/login", data={"token": token}).status_code == 303
    assert not is_in(person.browser) and "甲" in person.browser.get("/access").text
    assert person.sign_in().status_code == 303 and is_in(person.browser)
    assert "citylake_session" not in person.browser.cookies
