"""A portal that behaves as portals do: validators, redirects, faults, slow and endless answers. No secret is told."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pipelines.connectors import http
from pipelines.connectors.base import UNREAD, WIDEST
from pipelines.messages import CitylakeError
from tests.connectors.conftest import Puller

pytestmark = pytest.mark.server

SECRETS = ("geheim", "p%40ss", "p@ss")
PATH = "data/macro.csv"
Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    sent = {"Content_Length": str(len(body))} | headers

    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in sent.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return send


class Portal:
    """Gives the prepared answers one after the other, the last one for ever, and notes what it was asked."""

    def __init__(self, puller: Callable[..., Puller]) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        portal = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                portal.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                (portal.answers.pop(0) if len(portal.answers) > 1 else portal.answers[0])(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]
        self.source = puller("open_portal", f"http://u:p%40ss@127.0.0.1:{self.port}/api/?key=geheim", ["id"])

    def pull(self, *answers: Answer, **arguments: Any) -> list[dict[str, Any]] | None:
        self.answers = list(answers)
        return self.source.pull(**{"path": PATH} | arguments)

    def refused(self, *answers: Answer, **arguments: Any) -> CitylakeError:
        with pytest.raises(CitylakeError) as caught:
            self.pull(*answers, **arguments)
        for secret in SECRETS:
            assert secret not in str(caught.value)
        return caught.value


@pytest.fixture
def portal(puller: Callable[..., Puller], monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    monkeypatch.setattr(http, "PAUSE", 0.01)
    found = Portal(puller)
    yield found
    found.server.shutdown()
    found.server.server_close()


CSV = answer(body=b"id\n1\n", ETag='"a"', Last_Modified="Tue, 24 Nov 2026 00:00:00 GMT")


def test_asked_with_the_key_and_the_account(portal: Portal) -> None:
    assert portal.pull(CSV, path="/a b/六安.csv?format=csv") == [{"id": "1", UNREAD: None}]
    path, headers = portal.asked[0]
    assert path == "/api/a%20b/%E5%85%AD%E5%AE%89.csv?key=geheim&format=csv"
    assert headers["authorization"].startswith("Basic ")
    assert "if-none-match" not in headers
    assert (portal.source.batch / "original").read_bytes() == b"id\n1\n"


def test_asked_for_what_changed_only(portal: Portal) -> None:
    portal.pull(CSV)
    assert portal.pull(answer(304)) is None
    assert portal.asked[1][1]["if-none-match"] == '"a"'
    assert portal.asked[1][1]["if-modified-since"] == "Tue, 24 Nov 2026 00:00:00 GMT"
    assert portal.pull(answer(body=b"id\n2\n", ETag='"b"')) == [{"id": "2", UNREAD: None}]
    assert portal.source.position["etag"] == '"b"'


def test_a_portal_without_validators(portal: Portal) -> None:
    portal.pull(answer(body=b"id\n1\n"))
    assert portal.pull(answer(body=b"id\n1\n")) is None
    assert portal.pull(answer(body=b"id\n2\n")) == [{"id": "2", UNREAD: None}]
    assert set(portal.asked[2][1]) & {"if-none-match", "if-modified-since"} == set()


def broken_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.end_headers()
    request.wfile.write(b"id\n1\n")
    request.wfile.flush()
    request.connection.shutdown(2)


def silent(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(2)


garbled = answer(body=b"no gzip", Content_Encoding="gzip")


@pytest.mark.parametrize("fault", [answer(429), answer(500), answer(503), broken_off, silent, garbled])
def test_a_fault_that_passes_is_not_noticed(portal: Portal, fault: Answer) -> None:
    assert portal.pull(fault, fault, CSV) == [{"id": "1", UNREAD: None}]
    assert len(portal.asked) == 3


@pytest.mark.parametrize(
    ("fault", "code", "attempts"),
    [
        (answer(500), "pull.refused_by_portal", 5),
        (answer(404), "pull.refused_by_portal", 1),
        (answer(401), "pull.refused_by_portal", 1),
        (answer(429), "pull.refused_by_portal", 5),
        (answer(206, b"id\n"), "pull.refused_by_portal", 1),
        (broken_off, "pull.unreachable", 5),
        (silent, "pull.unreachable", 5),
        (answer(302, Location=f"/api/{PATH}?key=geheim"), "pull.unreachable", 6),
        (answer(302, Location="http://u:p@ss@x:y/"), "pull.unreachable", 5),
        (answer(302, Location="file:///etc/passwd"), "pull.unreachable", 1),
    ],
)
def test_a_fault_that_stays_is_said(portal: Portal, fault: Answer, code: str, attempts: int) -> None:
    error = portal.refused(fault)
    assert error.code == code
    assert len(portal.asked) == attempts
    if code == "pull.refused_by_portal":
        assert PATH in str(error)


def test_redirects_are_followed(portal: Portal) -> None:
    assert portal.pull(answer(302, Location="/elsewhere"), CSV) == [{"id": "1", UNREAD: None}]


NOBODY = {
    "http://u:geheim@127.0.0.1:1/": "pull.unreachable",
    "http://u:geheim@h:port/": "pull.bad_secret",
    "geheim": "pull.bad_secret",
    "ftp://geheim/x": "pull.bad_secret",
}


@pytest.mark.parametrize("address", NOBODY)
def test_nobody_there(puller: Callable[..., Puller], monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(http, "PAUSE", 0.01)
    with pytest.raises(CitylakeError) as caught:
        puller("open_portal", address, ["id"]).pull(path=PATH)
    assert caught.value.code == NOBODY[address]
    assert "geheim" not in str(caught.value)


def test_an_endless_body_is_stopped(portal: Portal) -> None:
    packed = gzip.compress(b"id\n" + b"1\n" * 1_000_000)
    for body in (answer(body=b"id\n" + b"1\n" * 1000), answer(body=packed, Content_Encoding="gzip")):
        error = portal.refused(body, largest=1000)
        assert (error.code, error.arguments["largest"]) == ("pull.too_large", 1000)


def test_a_slow_portal_is_given_up(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    def drops(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(1200):  # a minute: the whole answer is good, so only who gives up refuses it
            request.wfile.write(b"1\n")
            time.sleep(0.05)

    monkeypatch.setattr(http, "PATIENCE", 0.2)
    assert portal.refused(drops).code == "pull.unreachable"
    monkeypatch.setattr(http, "TIMEOUT", 0.05)
    assert portal.refused(lambda _: time.sleep(0.5)).code == "pull.unreachable"


def test_a_ragged_row_of_a_portal_comes_whole(portal: Portal) -> None:
    assert portal.pull(answer(body=b"id,x\n1,a\n2\n3,c,d\n")) == [
        {"id": "1", "x": "a", UNREAD: None},
        {"id": None, "x": None, UNREAD: "2"},
        {"id": None, "x": None, UNREAD: "3,c,d"},
    ]


def test_a_chinese_encoding(portal: Portal) -> None:
    body = "id;名\n1;六安\n".encode("gbk")
    assert portal.pull(answer(body=body), encoding="gbk", delimiter=";") == [{"id": "1", "名": "六安", UNREAD: None}]


def as_json(value: Any) -> Answer:
    return answer(body=value if isinstance(value, bytes) else json.dumps(value).encode())


def test_json_records(portal: Portal) -> None:
    rows = [{"id": "1", "n": 1.5, "b": True, "nested": {"k": [1, "甲"]}, "nothing": None}, {"id": 12345678901234567890}]
    found = portal.pull(as_json({"result": {"records": rows}}), format="json", records="result/records")
    assert found == [
        {"id": "1", "n": "1.5", "b": "true", "nested": '{"k": [1, "甲"]}', "nothing": None, UNREAD: None},
        {"id": "12345678901234567890", "n": None, "b": None, "nested": None, "nothing": None, UNREAD: None},
    ]


@pytest.mark.parametrize("odd", ["text", 5, None, ["1"], {"id": "\ud800"}, {"id": "1", "": "x"}, {UNREAD: "x"}])
def test_a_record_that_is_no_row_comes_whole(portal: Portal, odd: Any) -> None:
    found = portal.pull(as_json([{"id": "1"}, odd]), format="json")
    assert found == [{"id": "1", UNREAD: None}, {"id": None, UNREAD: json.dumps(odd)}]


def test_keys_without_end_make_no_columns(portal: Portal) -> None:
    found = portal.pull(as_json([{"id": "1"}, *({f"2026-11-24 {n}": n} for n in range(WIDEST + 9))]), format="json")
    assert found is not None
    assert len(found[0]) == WIDEST + 2
    assert sum(row[UNREAD] is not None for row in found) == 9


@pytest.mark.parametrize(
    ("body", "arguments", "code"),
    [
        (b"{", {}, "format.no_json"),
        (b"\xff", {}, "format.encoding"),
        (b"[" * 100_000, {}, "format.no_json"),
        (b'{"records": []}', {"records": "result"}, "format.no_records"),
        (b"{}", {}, "format.no_records"),
        (b"5", {"records": "a"}, "format.no_records"),
        (b'[{"ID": 1, "id": 2}]', {}, "pull.bad_header"),
        (b'[{"other": 1}]', {}, "pull.columns_missing"),
    ],
)
def test_json_that_is_no_table_is_said(portal: Portal, body: bytes, arguments: dict[str, str], code: str) -> None:
    assert portal.refused(as_json(body), format="json", **arguments).code == code
