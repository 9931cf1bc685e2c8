"""Interfaces as departments run them, against real servers: what arrives is what the server holds, or nothing does."""

import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.connectors import http, spool
from pipelines.connectors.base import UNREAD, Cursor
from pipelines.messages import CitylakeError
from tests.connectors.conftest import OWNER, Puller
from tests.connectors.rest_lake import RestLake
from tests.connectors.rest_server import FAULTS, Asked, Handle, Server, Table, Tokens, as_json, verified

pytestmark = pytest.mark.server

WAYS: dict[str, dict[str, Any]] = {
    "pages": {
        "path": "pages",
        "parameters": {"page": "$page", "size": "$size"},
        "paging": {"by": "page", "size": 3},
        "total": "data/total",
        "success": {"under": "code", "values": [0]},
    },
    "offsets": {
        "path": "offsets",
        "parameters": {"offset": "$offset", "limit": "$size"},
        "paging": {"by": "offset", "size": 3},
    },
    "search": {
        "path": "search",
        "method": "POST",
        "body": {"from": "$offset", "size": "$size", "only": [{"org": "六安"}]},
        "paging": {"by": "offset", "size": 3},
        "total": "data/total",
    },
    "cursors": {
        "path": "cursors",
        "parameters": {"after": "$cursor", "limit": "$size"},
        "paging": {"by": "cursor", "under": "next/after", "size": 3},
    },
    "links": {"path": "links", "parameters": {"size": "$size"}, "paging": {"by": "link", "size": 3}},
    "bodylinks": {
        "path": "bodylinks",
        "parameters": {"size": "$size"},
        "paging": {"by": "link", "under": "links/next", "size": 3},
    },
}
SECRETS = ("geheim", "Z2VoZWlt")


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"id": str(number), "at": f"2026-11-{number % 28 + 1:02} 08:00:00"} for number in range(count)]


def ids(rows: list[dict[str, Any]] | None) -> list[str]:
    assert rows is not None
    return [row["id"] for row in rows]


class Source:
    """A server, and pulls from it."""

    def __init__(self, puller: Callable[..., Puller]) -> None:
        self.server = Server(Table(numbered(8)))
        self.make = puller
        self.puller = puller("rest_api", self.server.url, ["id"])

    def serve(self, handle: Handle) -> None:
        self.server.handle = handle

    def secret(self, **values: str) -> None:
        self.puller.secret = json.dumps({"url": self.server.url, **values})

    def pull(self, way: str = "pages", **arguments: Any) -> list[dict[str, Any]] | None:
        return self.puller.pull(**{"records": "data/list"} | WAYS[way] | arguments)

    def refused(self, way: str = "pages", **arguments: Any) -> CitylakeError:
        with pytest.raises(CitylakeError) as caught:
            self.pull(way, **arguments)
        for secret in SECRETS:
            assert secret not in str(caught.value)
        return caught.value

    def paths(self) -> list[str]:
        return [asked.raw for asked in self.server.asked]


@pytest.fixture
def source(puller: Callable[..., Puller], monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setattr(http, "PAUSE", 0.001)
    found = Source(puller)
    yield found
    found.server.stop()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_every_kind_of_paging(source: Source, way: str, count: int) -> None:
    source.serve(Table(numbered(count)))
    assert ids(source.pull(way)) == [str(number) for number in range(count)]


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_gives_less_than_is_asked_for(source: Source, way: str) -> None:
    source.serve(Table(numbered(8), cap=2))
    assert ids(source.pull(way)) == [str(number) for number in range(8)]


def test_without_paging_there_is_one_page(source: Source) -> None:
    source.serve(lambda _: as_json([{"id": 1, "n": 0.12345678901234567890, "w": "x"}, {"id": 2, "n": None}]))
    rows = source.pull(path="all", paging=None, parameters=None, records="", total=None, success=None)
    assert ids(rows) == ["1", "2"]
    assert len(source.server.asked) == 1


def test_amounts_keep_their_digits(source: Source) -> None:
    body = b'[{"id": 1, "sum": 12345678901234567.89, "same": 1.5, "nested": [0.1234567890123456789]}]'
    source.serve(lambda _: (200, {}, body))
    rows = source.pull(path="all", paging=None, parameters=None, records="", total=None, success=None)
    assert rows is not None
    assert (rows[0]["sum"], rows[0]["same"]) == ("12345678901234567.89", "1.5")
    assert "0.1234567890123456789" in rows[0]["nested"]


def test_what_is_no_object_comes_whole(source: Source) -> None:
    odd = ["text", 5, None, ["六"], {"id": "\ud800"}, {UNREAD: "x"}]
    source.serve(Table([{"id": "1"}, *odd]))
    rows = source.pull("offsets")
    assert rows is not None
    assert rows[0] == {"id": "1", UNREAD: None}
    assert [json.loads(row[UNREAD]) for row in rows[1:]] == odd


def test_raw_keeps_what_was_received_and_how_it_was_asked(source: Source) -> None:
    source.pull()
    text = gzip.decompress((source.puller.batch / "pages.ndjson.gz").read_bytes()).decode()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["asked"] for line in lines[1:]] == [{"page": 1}, {"page": 2}, {"page": 3}, {"page": 4}]
    assert json.loads(lines[1]["body"])["data"]["list"][0] == {"id": "0", "at": "2026-11-01 08:00:00"}


def test_a_whole_table_that_lacks_a_column_is_said(source: Source) -> None:
    source.puller.expected = ("id", "gone")
    assert source.refused().code == "pull.columns_missing"
    source.serve(Table([{"id": "1", "gone": "x"}]))
    assert ids(source.pull()) == ["1"]  # and what was refused is not kept for the next pull


# What servers do wrong


def test_a_page_that_is_repeated_for_ever(source: Source) -> None:
    source.serve(lambda _: as_json({"data": {"list": numbered(3)}}))
    assert source.refused("offsets").code == "pull.page_repeated"
    assert len(source.server.asked) == 2


def test_a_cursor_that_goes_in_a_circle(source: Source) -> None:
    def circle(asked: Asked) -> Any:
        now = asked.query.get("after", "a")
        return as_json({"data": {"list": [{"id": now}]}, "next": {"after": {"a": "b", "b": "c", "c": "b"}[now]}})

    source.serve(circle)
    assert source.refused("cursors").code == "pull.page_repeated"


def test_a_last_page_that_is_repeated_behind_the_end(source: Source) -> None:
    def reasonable(asked: Asked) -> Any:
        page = min(int(asked.query["page"]), 3)
        return as_json({"code": 0, "data": {"list": numbered(8)[(page - 1) * 3 : page * 3], "total": 8}})

    source.serve(reasonable)
    assert len(ids(source.pull())) == 8
    source.server.asked.clear()
    assert source.refused(total=None).code == "pull.page_repeated"


@pytest.mark.parametrize("total", [7, 9, 0])
def test_a_total_that_disagrees_is_said(source: Source, total: int) -> None:
    def wrong(asked: Asked) -> Any:
        start = (int(asked.query["page"]) - 1) * 3
        return as_json({"code": 0, "data": {"list": numbered(8)[start : start + 3], "total": total}})

    source.serve(wrong)
    error = source.refused()
    assert (error.code, error.arguments["total"], error.arguments["count"]) == ("pull.total_disagrees", total, 8)
    source.serve(Table(numbered(8)))
    assert len(ids(source.pull())) == 8


def test_not_found_behind_the_last_page(source: Source) -> None:
    table = Table(numbered(6))

    def strict(asked: Asked) -> Any:
        return table(asked) if int(asked.query.get("page", asked.query.get("offset"))) < 6 else (404, {}, b"")

    source.serve(strict)
    assert source.refused("offsets").code == "pull.refused_page"
    assert len(ids(source.pull("offsets", paging={"by": "offset", "size": 3, "end": "not_found"}))) == 6
    source.serve(lambda asked: table(asked) if asked.query["page"] in "12" else (404, {}, b""))
    assert len(ids(source.pull())) == 6  # the total says that this is the end


def test_too_many_pages(source: Source) -> None:
    assert source.refused(most_pages=2).code == "pull.too_many_pages"


def test_an_error_in_an_answer_that_says_200(source: Source) -> None:
    source.serve(lambda _: as_json({"code": 40001, "msg": "geheim", "data": {"list": [], "total": 0}}))
    error = source.refused()
    assert (error.code, error.arguments["problem"]) == ("pull.unreadable_page", "success")
    assert len(source.server.asked) == http.ATTEMPTS


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (as_json({"code": 0}), "records"),
        (as_json({"code": 0, "data": {"list": {}}}), "records"),
        (as_json({"code": 0, "data": {"list": []}}), "total"),
        (as_json({"code": 0, "data": {"list": [], "total": None}}), "total"),
        ((200, {}, b"\xff"), "UnicodeDecodeError"),
        ((200, {}, b"[" * 100_000), "RecursionError"),
    ],
)
def test_a_page_that_is_none_is_said(source: Source, answer: Any, problem: str) -> None:
    source.serve(lambda _: answer)
    error = source.refused()
    assert (error.code, error.arguments["problem"], error.arguments["page"]) == ("pull.unreadable_page", problem, 1)
    assert OWNER in str(error)


def test_a_page_that_is_too_large(source: Source) -> None:
    assert source.refused(largest=100).code == "pull.too_large"


@pytest.mark.parametrize(("status", "attempts"), [(400, 1), (401, 1), (403, 1), (404, 1), (429, 5), (500, 5), (503, 5)])
def test_a_refusal_is_said(source: Source, status: int, attempts: int) -> None:
    source.serve(lambda _: (status, {}, b"geheim"))
    error = source.refused()
    assert (error.code, error.arguments["status"]) == ("pull.refused_page", status)
    assert len(source.server.asked) == attempts


def test_contracts_that_cannot_work(source: Source) -> None:
    assert source.refused(parameters={"size": "$size"}).code == "pull.no_variable"
    assert source.refused(parameters={"page": "$page", "x": "$pages"}).code == "pull.unknown_variable"
    assert source.refused(headers={"Authorization": "geheim"}).code == "pull.secret_in_contract"
    source.puller.cursor = Cursor("at", 0)
    assert source.refused().code == "pull.no_since"
    assert source.server.asked == []


# Manners


def test_a_server_may_ask_to_wait(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(http.time, "sleep", slept.append)
    answers: list[Any] = [
        (429, {"Retry-After": "7"}, b""),
        (503, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, b""),
    ]
    source.serve(lambda asked: answers.pop(0))
    error = source.refused()
    assert slept == [7.0]
    assert error.code == "pull.asked_to_wait"
    source.serve(Table(numbered(8)))
    assert len(ids(source.pull())) == 8


def test_pauses_grow(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(http, "PAUSE", 1.0)
    monkeypatch.setattr(http.time, "sleep", slept.append)
    source.serve(lambda _: (500, {}, b""))
    source.refused()
    assert [0.5 * 2**n <= pause <= 2**n for n, pause in enumerate(slept)] == [True] * 4


def test_no_more_requests_in_a_second_than_agreed(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    sent: list[float] = []
    table = Table(numbered(8))

    def noted(asked: Asked) -> Any:
        sent.append(now[0])
        return table(asked)

    monkeypatch.setattr(http.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(http.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    source.serve(noted)
    source.server.faults = ["", "500"]
    source.pull(requests_per_second=4)
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(sent))
    assert len(sent) == 4


# Going on


def test_going_on_at_the_page_that_failed(source: Source) -> None:
    source.server.faults = ["", ""] + ["500"] * http.ATTEMPTS
    error = source.refused()
    assert (error.code, error.arguments["page"]) == ("pull.refused_page", 3)
    source.server.asked.clear()
    assert len(ids(source.pull())) == 8
    assert [asked.query["page"] for asked in source.server.asked] == ["3", "4"]


def test_what_was_asked_otherwise_is_not_gone_on_with(source: Source) -> None:
    source.server.faults = ["", ""] + ["500"] * http.ATTEMPTS
    source.refused()
    source.server.asked.clear()
    assert len(ids(source.pull(parameters={"page": "$page", "size": "$size", "x": "1"}))) == 8
    assert len(source.server.asked) == 4


def test_what_is_too_old_is_not_gone_on_with(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.server.faults = ["", ""] + ["500"] * http.ATTEMPTS
    source.refused(resume_within=60)
    source.server.asked.clear()
    now = spool.time.time()
    monkeypatch.setattr(spool.time, "time", lambda: now + 61)
    assert len(ids(source.pull(resume_within=60))) == 8
    assert len(source.server.asked) == 4


def test_a_place_that_the_server_forgot_begins_anew(source: Source) -> None:
    table = Table(numbered(8))
    source.server.faults = ["", ""] + ["500"] * http.ATTEMPTS
    source.refused("cursors")
    source.server.asked.clear()
    source.serve(lambda asked: (410, {}, b"") if len(source.server.asked) == 1 else table(asked))
    assert len(ids(source.pull("cursors"))) == 8
    assert len(source.server.asked) == 4


def test_a_pull_that_was_not_kept_needs_no_server(source: Source) -> None:
    first = source.puller.pull(keep=False, records="data/list", **WAYS["pages"])
    source.server.asked.clear()
    assert source.pull() == first
    assert source.server.asked == []
    assert len(ids(source.pull())) == 8  # that one was kept: this is another
    assert len(source.server.asked) == 4


CONSUMER = """
import sys
from pathlib import Path
from tests.connectors.conftest import Puller
from tests.connectors.test_rest_api import WAYS
Puller(Path(sys.argv[1]), "rest_api", sys.argv[2], ["id"]).pull(records="data/list", **WAYS[sys.argv[3]])
"""


@pytest.mark.parametrize("way", ["pages", "cursors", "links"])
def test_a_killed_pull_does_not_ask_for_the_pages_again(source: Source, way: str) -> None:
    """Killed with a page on its way and half a page written, as a kill in the middle of writing leaves it."""
    table, reached = Table(numbered(20)), threading.Event()

    def hanging(asked: Asked) -> Any:
        if len(source.server.asked) < 5:
            return table(asked)
        reached.set()
        threading.Event().wait(20)
        return None

    source.serve(hanging)
    folder = source.puller.folder
    consumer = subprocess.Popen([sys.executable, "-c", CONSUMER, str(folder), source.server.url, way])
    assert reached.wait(60)
    os.kill(consumer.pid, signal.SIGKILL)
    assert consumer.wait() == -signal.SIGKILL
    (file,) = (folder / "spool").iterdir()
    with file.open("ab") as torn:
        torn.write(gzip.compress(b'{"asked": {}}\n')[:-5])
    answered = source.paths()[:4]
    source.serve(table)
    source.server.asked.clear()
    source.puller.count = 1
    assert ids(source.pull(way)) == [str(number) for number in range(20)]
    assert not set(answered) & set(source.paths())
    assert len(source.server.asked) == (4 if way == "pages" else 3)


RECEIVER = """
import os, signal, sys
from pathlib import Path
from pipelines.admission import receive
from pipelines.connectors import paged, spool
from tests.connectors.rest_lake import RestLake

home, address, place, name, calls, before = sys.argv[1:]

def dying(function, left=[int(calls)]):
    def call(*arguments, **named):
        left[0] -= 1
        if left[0] == 0 and before == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = function(*arguments, **named)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    return call

owner = {"receive": receive, "paged": paged, "os": os, "Path": Path, "spool": spool.Spool}[place]
setattr(owner, name, dying(getattr(owner, name)))
RestLake(Path(home)).receive(address)
"""


@pytest.mark.slow
@pytest.mark.parametrize("before", ["before", "after"])
@pytest.mark.parametrize(
    ("place", "name", "calls"),
    [
        ("spool", "begin", 1),
        ("spool", "add", 1),
        ("spool", "add", 7),
        ("os", "fsync", 3),
        ("paged", "write_rows", 1),
        ("receive", "_content", 1),
        ("receive", "_keep", 1),
        ("receive", "_receipt", 1),
    ],
)
def test_killed_anywhere_all_is_received_once(
    source: Source, tmp_path: Path, place: str, name: str, calls: int, before: str
) -> None:
    """A pull dies at each step from the first page to the receipt; the next one delivers everything, in one batch, and
    no page that was kept is asked for a second time."""
    source.serve(Table(numbered(20)))
    command = [sys.executable, "-c", RECEIVER, str(tmp_path / "home"), source.server.url, place, name, str(calls)]
    assert subprocess.run([*command, before], timeout=120).returncode == -signal.SIGKILL
    lake = RestLake(tmp_path / "home")
    assert lake.receive(source.server.url)
    assert lake.ids() == [str(number) for number in range(20)]
    asked = source.paths()
    assert len(asked) - len(set(asked)) <= 1  # the page whose answer was not kept yet
    assert not lake.receive(source.server.url)  # the same rows are no new batch
    assert len(source.paths()) == len(asked) + 8


def test_receipts_and_issues_tell_no_secret(source: Source, tmp_path: Path) -> None:
    secret = json.dumps({"url": f"{source.server.url}/?token=geheim", "key": "geheim"})
    lake = RestLake(tmp_path / "home", auth={"by": "query", "parameter": "apikey"})
    lake.receive(secret)
    source.server.faults = ["500"] * http.ATTEMPTS
    with pytest.raises(CitylakeError) as caught:
        lake.receive(secret)
    assert "geheim" not in str(caught.value)
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"rows.parquet", "pages.ndjson.gz", "register.db"}
    for file in files:
        content = file.read_bytes()
        assert b"geheim" not in (gzip.decompress(content) if file.suffix == ".gz" else content)


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)


def shown(value: Any) -> str | None:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return None if value is None or text == "" else text


@pytest.fixture(scope="module")
def table_server() -> Iterator[Server]:
    server = Server(Table([]))
    yield server
    server.stop()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(st.dictionaries(st.sampled_from(["名称", "n", "x y"]), JSON), max_size=12),
    way=st.sampled_from(sorted(WAYS)),
    size=st.integers(1, 6),
    cap=st.integers(1, 6),
    faults=st.lists(st.sampled_from(["", "", *FAULTS]), max_size=25),
)
def test_what_arrives_is_what_the_server_holds(
    table_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    data: list[Any],
    way: str,
    size: int,
    cap: int,
    faults: list[str],
) -> None:
    """For any data, size of page, limit of the server, and any faults that pass: also over several pulls."""
    monkeypatch.setattr(http, "PAUSE", 0.0)
    records = [{"id": str(number), **record} for number, record in enumerate(data)]
    table_server.handle, table_server.faults = Table(records, cap), faults
    arguments = WAYS[way] | {"records": "data/list", "paging": WAYS[way]["paging"] | {"size": size}}
    with tempfile.TemporaryDirectory() as folder:
        puller = Puller(Path(folder), "rest_api", table_server.url, ["id"])
        while True:
            try:
                rows = puller.pull(**arguments)
                break
            except CitylakeError as error:
                assert error.code in ("pull.refused_page", "pull.unreachable", "pull.unreadable_page")
        assert rows is not None
        found = [{name: value for name, value in row.items() if value is not None} for row in rows]
        expected = [{name: shown(value) for name, value in record.items() if shown(value)} for record in records]
        assert found == expected


# Going on by a cursor


CURSOR = {"parameters": {"page": "$page", "size": "$size", "after": "$since"}}


def test_only_what_changed_since(source: Source) -> None:
    source.puller.cursor = Cursor("at", 3600)
    written = {**CURSOR, "since": {"written": "datetime"}}
    source.serve(Table([*numbered(8), {"id": "late", "at": "9999-12-31 00:00:00"}, {"id": "none"}]))
    assert len(ids(source.pull(**written))) == 10
    assert "after" not in source.server.asked[0].query
    assert source.puller.position["value"] == "2026-11-08 08:00:00"
    source.server.asked.clear()
    source.serve(Table([{"id": "7", "at": "2026-11-08 08:00:00"}]))
    assert ids(source.pull(**written)) == ["7"]
    assert {asked.query["after"] for asked in source.server.asked} == {"2026-11-08 07:00:00"}
    source.serve(Table([]))
    assert source.pull(**written) is None
    source.serve(Table([{"id": "8", "at": "2026-11-09 08:00:00"}]))
    assert ids(source.pull(**written)) == ["8"]  # an empty answer is not kept as one to go on with


def test_where_to_begin(source: Source) -> None:
    source.puller.cursor = Cursor("at", 0)
    source.pull(**CURSOR, since={"written": "datetime", "start": "2026-01-01 00:00:00"})
    assert source.server.asked[0].query["after"] == "2026-01-01 00:00:00"


def test_since_in_a_body(source: Source) -> None:
    source.puller.cursor = Cursor("id", 2)
    body = {"from": "$offset", "size": "$size", "range": {"id": {"gte": "$since"}}, "keep": "$$since"}
    source.pull("search", body=body, since={"written": "number"})
    assert source.server.asked[0].json == {"from": 0, "size": 3, "range": {"id": {}}, "keep": "$since"}
    source.server.asked.clear()
    source.pull("search", body=body, since={"written": "number"})
    assert source.server.asked[0].json["range"] == {"id": {"gte": 5}}


# Who asks


def guarded(table: Handle, check: Callable[[Asked], bool]) -> Handle:
    return lambda asked: table(asked) if check(asked) else (401, {}, b"geheim")


TABLE = Table(numbered(8))
ACCOUNTS: dict[str, tuple[dict[str, Any], dict[str, str], Callable[[Asked], bool]]] = {
    "header": (
        {"by": "header", "header": "X-Api-Key", "prefix": "K "},
        {"key": "geheim"},
        lambda asked: asked.headers.get("x-api-key") == "K geheim",
    ),
    "query": (
        {"by": "query", "parameter": "apikey"},
        {"key": "geheim"},
        lambda asked: asked.query.get("apikey") == "geheim",
    ),
    "basic": (
        {"by": "basic"},
        {"user": "u", "password": "geheim"},
        lambda asked: asked.headers.get("authorization") == "Basic dTpnZWhlaW0=",
    ),
    "sm3": (
        {"by": "sm3", "app": "X-App", "timestamp": "X-Time", "nonce": "X-Nonce", "signature": "X-Sign"},
        {"app_id": "city", "app_secret": "geheim"},
        lambda asked, seen=set(): verified(asked, "city", b"geheim", seen),  # type: ignore[misc]
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_accounts(source: Source, account: str, way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    auth, values, check = ACCOUNTS[account]
    source.serve(guarded(TABLE, check))
    source.secret(**values)
    source.server.faults = ["500", "", "silent"]
    parameters = {**WAYS[way].get("parameters", {}), "区县": "六安 a+b&c=d", "b": True}
    assert len(ids(source.pull(way, auth=auth, parameters=parameters))) == 8
    assert (source.server.asked[0].query["区县"], source.server.asked[0].query["b"]) == ("六安 a+b&c=d", "true")
    kept = [gzip.decompress((source.puller.batch / "pages.ndjson.gz").read_bytes()).decode(), caplog.text]
    kept += [json.dumps(source.puller.position), source.puller.pulled.origin if source.puller.pulled else ""]
    assert not [secret for secret in SECRETS for text in kept if secret in text]
    source.secret(**{name: "wrong" for name in values})
    assert source.refused(way, auth=auth).arguments["status"] == 401
    source.secret()
    error = source.refused(way, auth=auth)
    assert error.code == "pull.bad_secret"
    assert all(name in str(error) for name in values)


def test_a_parameter_in_the_url_of_the_secret(source: Source) -> None:
    source.puller.secret = f"http://u:geheim@127.0.0.1:{source.server.port}/?token=geheim"
    source.serve(
        guarded(TABLE, lambda asked: asked.query.get("token") == "geheim" and "authorization" in asked.headers)
    )
    for way in WAYS:
        assert len(ids(source.pull(way))) == 8
        assert "geheim" not in gzip.decompress((source.puller.batch / "pages.ndjson.gz").read_bytes()).decode()


@pytest.mark.parametrize("sends", ["header", "body"])
def test_tokens_are_kept_and_renewed(source: Source, sends: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = Tokens(TABLE, "city", "geheim", 3, sends)
    source.serve(tokens)
    source.secret(client_id="city", client_secret="geheim", token_url=f"{source.server.url}/token")
    source.server.faults = ["500"]
    assert len(ids(source.pull(auth={"by": "oauth2", "sends": sends, "scope": "read"}))) == 8
    assert len(tokens.issued) == 2
    assert "geheim" not in caplog.text


def test_a_token_that_is_not_accepted_is_renewed_once(source: Source) -> None:
    tokens = Tokens(TABLE, "city", "geheim", 0)
    source.serve(tokens)
    source.secret(client_id="city", client_secret="geheim", token_url=f"{source.server.url}/token")
    assert source.refused(auth={"by": "oauth2"}).arguments["status"] == 401
    assert len(tokens.issued) == 2


@pytest.mark.parametrize(
    ("client", "answer", "problem"),
    [
        ("other", None, "401"),
        ("city", as_json({"token": "geheim"}), "access_token"),
        ("city", as_json({"access_token": "geheim\r\nX: y"}), "access_token"),
        ("city", (200, {}, b"geheim"), "access_token"),
        ("city", (302, {"Location": "/elsewhere"}, b""), "302"),
        ("city", (503, {}, b"geheim"), "503"),
    ],
)
def test_no_token_is_said(source: Source, client: str, answer: Any, problem: str) -> None:
    tokens = Tokens(TABLE, "city", "geheim", 9)
    source.serve(lambda asked: answer if answer and asked.path == "/token" else tokens(asked))
    source.secret(client_id=client, client_secret="geheim", token_url=f"{source.server.url}/token")
    error = source.refused(auth={"by": "oauth2"})
    assert (error.code, error.arguments["problem"]) == ("pull.no_token", problem)


@pytest.fixture
def elsewhere(source: Source) -> Iterator[Server]:
    found = Server(Table(numbered(8)), host="127.0.0.2")
    yield found
    found.stop()


@pytest.mark.parametrize("account", [*ACCOUNTS, "oauth2"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_host_gets_no_credentials(source: Source, elsewhere: Server, account: str, status: int) -> None:
    auth, values, check = ACCOUNTS.get(account, ({"by": "oauth2"}, {}, lambda _: True))
    if account == "oauth2":
        values = {"client_id": "city", "client_secret": "geheim", "token_url": f"{source.server.url}/token"}
    tokens = Tokens(TABLE, "city", "geheim", 99)

    def moved(asked: Asked) -> Any:
        if account == "oauth2" and asked.path == "/token":
            return tokens(asked)
        if not check(asked):
            return 401, {}, b""
        query = "&".join(f"{name}={value}" for name, value in asked.query.items())  # as careless servers do
        return status, {"Location": f"{elsewhere.url}{asked.path}?{query}"}, b""

    source.serve(moved)
    source.secret(**values)
    assert len(ids(source.pull(auth=auth, headers={"X-Tenant": "t"}))) == 8
    assert {asked.headers["x-tenant"] for asked in source.server.asked if asked.path != "/token"} == {"t"}
    names = {"x-tenant", "authorization", "x-api-key", "x-sign", "x-app", "x-nonce", "cookie"}
    assert len(elsewhere.asked) == 4
    for asked in elsewhere.asked:
        assert not names & asked.headers.keys()
        assert "geheim" not in asked.raw + str(asked.headers)


def test_another_port_is_another_host(source: Source, puller: Callable[..., Puller]) -> None:
    other = Server(Table(numbered(8)))
    auth, values, _ = ACCOUNTS["header"]
    source.serve(lambda asked: (302, {"Location": f"{other.url}{asked.raw}"}, b""))
    source.secret(**values)
    source.pull(auth=auth)
    other.stop()
    assert not [asked for asked in other.asked if "x-api-key" in asked.headers]


def test_the_own_host_gets_them_again(source: Source) -> None:
    auth, values, check = ACCOUNTS["sm3"]
    guard = guarded(TABLE, check)
    source.serve(
        lambda asked: guard(asked) if asked.path != "/old" else (307, {"Location": f"/pages?{asked.raw[5:]}"}, b"")
    )
    source.secret(**values)
    assert len(ids(source.pull(path="old", auth=auth))) == 8


def test_a_question_is_not_sent_elsewhere(source: Source, elsewhere: Server) -> None:
    source.serve(lambda asked: (307, {"Location": f"{elsewhere.url}/search"}, b""))
    assert source.refused("search").code == "pull.sent_elsewhere"
    assert elsewhere.asked == []


def test_a_next_page_on_another_host_is_refused(source: Source, elsewhere: Server) -> None:
    link = f'<{elsewhere.url}/links?start=3>; rel="next"'
    source.serve(lambda asked: as_json({"data": {"list": [{"id": "1"}]}}, Link=link))
    assert source.refused("links").code == "pull.next_elsewhere"
    assert elsewhere.asked == []
    assert list((source.puller.folder / "spool").iterdir()) == []


@pytest.mark.parametrize("start", ["https://127.0.0.1", "http://127.0.0.1:9", "https://127.0.0.1:9"])
def test_a_server_behind_a_gateway_does_not_know_its_address(source: Source, start: str) -> None:
    table = Table(numbered(8))

    def behind(asked: Asked) -> Any:
        status, headers, body = table(asked)
        return status, {name: value.replace("<", f"<{start}") for name, value in headers.items()}, body

    source.serve(behind)
    assert len(ids(source.pull("links"))) == 8


def test_a_next_page_cannot_name_a_host_in_its_path(source: Source, elsewhere: Server) -> None:
    link = f"<//127.0.0.1:{source.server.port}//127.0.0.2:{elsewhere.port}/links>; rel=next"
    source.serve(
        lambda asked: as_json(
            {"data": {"list": [{"id": asked.path}]}}, **({"Link": link} if asked.path == "/links" else {})
        )
    )
    assert ids(source.pull("links")) == ["/links", f"/127.0.0.2:{elsewhere.port}/links"]  # http.server drops a slash
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "secret", ["geheim", '{"url": "ftp://geheim"}', '{"key": "geheim"}', '{"geheim', '{"url": 5}', "[]"]
)
def test_a_secret_that_is_none(source: Source, secret: str) -> None:
    source.puller.secret = secret
    assert source.refused().code == "pull.bad_secret"
