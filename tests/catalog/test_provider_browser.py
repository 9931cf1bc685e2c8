"""Signing in by a provider in a real browser that comes from its site: the page that they end on is shown the cookie
of a person, which no other site may have sent."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import oidc_provider_mock
import pytest
from werkzeug.serving import make_server

from catalog.policy import identities
from pipelines.settings import Provider
from tests.catalog.opening import open_page
from tests.catalog.serving import serving
from tests.catalog.small_city import ADMINISTRATOR, STEWARD, City

pytestmark = pytest.mark.server

SUBJECT = "b-1"


class SignedInThere:
    """The mock for a browser that is signed in at the provider already: it is sent back without a question. `/portal`
    leads to our catalogue, as a page of theirs would."""

    def __init__(self) -> None:
        self.mock = oidc_provider_mock.app(require_nonce=True)
        self.leads_to = ""

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/portal":
            start("200 OK", [("Content-Type", "text/html")])
            return [f'<meta http-equiv="refresh" content="0; url={self.leads_to}">'.encode()]
        if environ["PATH_INFO"] == "/oauth2/authorize":
            form = f"sub={SUBJECT}".encode()
            environ |= {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(form), "CONTENT_LENGTH": str(len(form))}
            environ |= {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
        return self.mock(environ, start)


@contextmanager
def running(there: SignedInThere) -> Iterator[str]:
    """On another site than the catalogue, which is at 127.0.0.1."""
    server = make_server("localhost", 0, there, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_browser_that_comes_from_the_provider_is_in(chromium: str, staffed_city: City, tmp_path: Path) -> None:
    there = SignedInThere()
    with running(there) as issuer:
        settings = replace(staffed_city.settings, provider=Provider(issuer, "citylake", "统一认证"))
        settings.store_secret("oidc", "s")
        identities.bind(staffed_city.register, STEWARD, issuer, SUBJECT, actor=ADMINISTRATOR)
        with serving(settings) as address:
            there.leads_to = f"{address}/login/provider?next=/account"
            opened = open_page(chromium, tmp_path, f"{issuer}/portal", "--virtual-time-budget=20000", "--dump-dom")
    assert "我的账户" in opened.stdout and STEWARD in opened.stdout, opened.stdout
    assert "CONSOLE" not in opened.stderr, opened.stderr
