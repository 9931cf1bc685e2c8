"""People who sign in: what a person with an authenticator does in a browser. No tests."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import httpx
import numpy as np
import pyotp
import pytest
import sqlalchemy as sa
import zxingcpp
from fastapi import FastAPI
from fastapi.testclient import TestClient

from catalog.app import create_app
from catalog.policy import credentials
from catalog.policy.lockout import Origin
from pipelines.register.tables import audit, credential, invitation, session
from pipelines.settings import Settings
from tests.catalog.small_city import ADMINISTRATOR, URL, City

ANYWHERE = Origin("192.0.2.1", 10_000)
CLOCKS = ("signin", "credentials", "logins", "users")


def browsing(city: City) -> TestClient:
    """A browser of somebody; all of one city are at the same service."""
    return TestClient(_service(city.settings), base_url=URL, follow_redirects=False)


@lru_cache(maxsize=2)
def _service(settings: Settings) -> FastAPI:
    return create_app(settings)


class Clock:
    """The time as the sign-in sees it; a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moment = datetime.now(UTC)
        for module in CLOCKS:
            monkeypatch.setattr(f"catalog.policy.{module}.now", lambda: self.moment)

    def pass_by(self, **span: float) -> None:
        """Let time pass."""
        self.moment += timedelta(**span)


class Somebody:
    """A person with a browser, a password they made up and, once set up, an authenticator."""

    def __init__(self, city: City, name: str, clock: Clock) -> None:
        self.city, self.name, self.clock = city, name, clock
        self.password = f"{secrets.token_urlsafe(18)} 雨"
        self.secret: str | None = None
        self.browser = browsing(city)

    def join(self, code: str | None = None) -> httpx.Response:
        """Choose the password by an invitation."""
        shown = code or credentials.invite(self.city.register, self.name, actor=ADMINISTRATOR).code
        form = {"invitation": shown, "new": self.password, "again": self.password}
        return self.browser.post("/join", data=form)

    def set_up(self) -> None:
        """Set up the authenticator by what the page shows."""
        assert self.browser.post("/account/second-factor", data={"password": self.password}).status_code == 303
        page = self.browser.get("/account").text
        found = re.search(r'id="secret">([A-Z2-7]{32})<', page)
        assert found is not None and f"secret={found[1]}" in page
        self.secret = found[1]
        answer = self.browser.post("/account/second-factor/confirm", data={"code": self.code()})
        assert answer.headers["location"] == "/account?done=1"

    def code(self) -> str:
        """What the authenticator shows now, empty without one."""
        return pyotp.TOTP(self.secret).at(self.clock.moment) if self.secret else ""

    def sign_in(self, browser: TestClient | None = None, **wrong: str) -> httpx.Response:
        """Sign in, with something wrong if it is said."""
        form = {"name": self.name, "password": self.password, "code": self.code(), **wrong}
        return (browser or self.browser).post("/login/account", data=form)


def ready(city: City, name: str, clock: Clock, second: bool = True) -> Somebody:
    """Somebody who is signed in, and may sign in again with the next code."""
    person = Somebody(city, name, clock)
    assert person.join().headers["location"] == "/account"
    if second:
        person.set_up()
    clock.pass_by(seconds=30)
    return person


def is_in(browser: TestClient) -> bool:
    """Whether somebody is signed in."""
    return browser.get("/account").status_code == 200


def said(rows: list[dict[str, Any]]) -> list[tuple[str, str, Any]]:
    """What audit rows say of whom, the oldest first."""
    return [(row["action"], row["outcome"], row["body"].get("actor")) for row in reversed(rows)]


def kept(city: City) -> str:
    """Every word that the register holds of signing in, and the audit."""
    tables = (invitation, credential, session, audit)
    return str([city.register.rows(sa.select(table)) for table in tables])


def scanned(page: str, each: int = 5) -> str:
    """What a camera reads on a page, by a decoder of others: the picture is drawn from the lines of its SVG."""
    (picture,) = re.findall(r'<svg[^>]*class="qr">.*?</svg>', page)
    assert "style" not in picture and "<script" not in picture
    (side,) = {int(found) for found in re.findall(r'(?:width|height)="(\d+)"', picture)}
    grey = np.full((side, side), 255, np.uint8)
    (path,) = re.findall(r'stroke="#000" d="([^"]+)"', picture)
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmh])([^Mmh]*)", path):
        first, *rest = (float(one) for one in re.findall(r"-?[\d.]+", numbers))
        if command == "h":
            left, top = int(x) * each, int(y) * each
            grey[top : top + each, left : left + int(first) * each] = 0
            x += first
        else:
            x, y = (first, rest[0]) if command == "M" else (x + first, y + rest[0])
    (found,) = zxingcpp.read_barcodes(grey)
    return str(found.text)
