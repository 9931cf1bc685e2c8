"""Interfaces as departments run them, against real servers: what arrives is what the server holds, or nothing does."""

import gzip
import json
from itertools import pairwise
from typing import Any

import pytest

from pipelines.connectors import http
from pipelines.connectors.base import UNREAD, Cursor
from tests.connectors.conftest import OWNER
from tests.connectors.rest_interface import WAYS, Interface, ids, numbered
from tests.connectors.rest_server import Asked, Table, as_json

pytestmark = pytest.mark.server


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_every_kind_of_paging(interface: Interface, way: str, count: int) -> None:
    interface.serve(Table(numbered(count)))
    assert ids(interface.pull(way)) == [str(number) for number in range(count)]


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_gives_less_than_is_asked_for(interface: Interface, way: str) -> None:
    interface.serve(Table(numbered(8), cap=2))
    assert ids(interface.pull(way)) == [str(number) for number in range(8)]


def test_without_paging_there_is_one_page(interface: Interface) -> None:
    interface.serve(lambda _: as_json([{"id": 1, "n": 0.12345678901234567890, "w": "x"}, {"id": 2, "n": None}]))
    rows = interface.pull(path="all", paging=None, parameters=None, records="", total=None, success=None)
    assert ids(rows) == ["1", "2"]
    assert len(interface.server.asked) == 1


def test_amounts_keep_their_digits(interface: Interface) -> None:
    body = b'[{"id": 1, "sum": 12345678901234567.89, "same": 1.5, "nested": [0.1234567890123456789]}]'
    interface.serve(lambda _: (200, {}, body))
    rows = interface.pull(path="all", paging=None, parameters=None, records="", total=None, success=None)
    assert rows is not None
    assert (rows[0]["sum"], rows[0]["same"]) == ("12345678901234567.89", "1.5")
    assert "0.1234567890123456789" in rows[0]["nested"]


def test_what_is_no_object_comes_whole(interface: Interface) -> None:
    odd = ["text", 5, None, ["六"], {"id": "\ud800"}, {UNREAD: "x"}]
    interface.serve(Table([{"id": "1"}, *odd]))
    rows = interface.pull("offsets")
    assert rows is not None
    assert rows[0] == {"id": "1", UNREAD: None}
    assert [json.loads(row[UNREAD]) for row in rows[1:]] == odd


def test_raw_keeps_what_was_received_and_how_it_was_asked(interface: Interface) -> None:
    interface.pull()
    text = gzip.decompress((interface.puller.batch / "pages.ndjson.gz").read_bytes()).decode()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["asked"] for line in lines[1:]] == [{"page": 1}, {"page": 2}, {"page": 3}, {"page": 4}]
    assert json.loads(lines[1]["body"])["data"]["list"][0] == {"id": "0", "at": "2026-11-01 08:00:00"}


def test_a_whole_table_that_lacks_a_column_is_said(interface: Interface) -> None:
    interface.puller.expected = ("id", "gone")
    assert interface.refused().code == "pull.columns_missing"
    interface.serve(Table([{"id": "1", "gone": "x"}]))
    assert ids(interface.pull()) == ["1"]  # and what was refused is not kept for the next pull


# What servers do wrong


def test_a_page_that_is_repeated_for_ever(interface: Interface) -> None:
    interface.serve(lambda _: as_json({"data": {"list": numbered(3)}}))
    assert interface.refused("offsets").code == "pull.page_repeated"
    assert len(interface.server.asked) == 2


def test_a_cursor_that_goes_in_a_circle(interface: Interface) -> None:
    def circle(asked: Asked) -> Any:
        now = asked.query.get("after", "a")
        return as_json({"data": {"list": [{"id": now}]}, "next": {"after": {"a": "b", "b": "c", "c": "b"}[now]}})

    interface.serve(circle)
    assert interface.refused("cursors").code == "pull.page_repeated"


def test_a_last_page_that_is_repeated_behind_the_end(interface: Interface) -> None:
    def reasonable(asked: Asked) -> Any:
        page = min(int(asked.query["page"]), 3)
        return as_json({"code": 0, "data": {"list": numbered(8)[(page - 1) * 3 : page * 3], "total": 8}})

    interface.serve(reasonable)
    assert len(ids(interface.pull())) == 8
    interface.server.asked.clear()
    assert interface.refused(total=None).code == "pull.page_repeated"


@pytest.mark.parametrize("total", [7, 9, 0])
def test_a_total_that_disagrees_is_said(interface: Interface, total: int) -> None:
    def wrong(asked: Asked) -> Any:
        start = (int(asked.query["page"]) - 1) * 3
        return as_json({"code": 0, "data": {"list": numbered(8)[start : start + 3], "total": total}})

    interface.serve(wrong)
    error = interface.refused()
    assert (error.code, error.arguments["total"], error.arguments["count"]) == ("pull.total_disagrees", total, 8)
    interface.serve(Table(numbered(8)))
    assert len(ids(interface.pull())) == 8


def test_not_found_behind_the_last_page(interface: Interface) -> None:
    table = Table(numbered(6))

    def strict(asked: Asked) -> Any:
        return table(asked) if int(asked.query.get("page", asked.query.get("offset"))) < 6 else (404, {}, b"")

    interface.serve(strict)
    assert interface.refused("offsets").code == "pull.refused_page"
    assert len(ids(interface.pull("offsets", paging={"by": "offset", "size": 3, "end": "not_found"}))) == 6
    interface.serve(lambda asked: table(asked) if asked.query["page"] in "12" else (404, {}, b""))
    assert len(ids(interface.pull())) == 6  # the total says that this is the end


def test_too_many_pages(interface: Interface) -> None:
    assert interface.refused(most_pages=2).code == "pull.too_many_pages"


def test_an_error_in_an_answer_that_says_200(interface: Interface) -> None:
    interface.serve(lambda _: as_json({"code": 40001, "msg": "geheim", "data": {"list": [], "total": 0}}))
    error = interface.refused()
    assert (error.code, error.arguments["problem"]) == ("pull.unreadable_page", "success")
    assert len(interface.server.asked) == http.ATTEMPTS


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
def test_a_page_that_is_none_is_said(interface: Interface, answer: Any, problem: str) -> None:
    interface.serve(lambda _: answer)
    error = interface.refused()
    assert (error.code, error.arguments["problem"], error.arguments["page"]) == ("pull.unreadable_page", problem, 1)
    assert OWNER in str(error)


def test_a_page_that_is_too_large(interface: Interface) -> None:
    assert interface.refused(largest=100).code == "pull.too_large"


@pytest.mark.parametrize(("status", "attempts"), [(400, 1), (401, 1), (403, 1), (404, 1), (429, 5), (500, 5), (503, 5)])
def test_a_refusal_is_said(interface: Interface, status: int, attempts: int) -> None:
    interface.serve(lambda _: (status, {}, b"geheim"))
    error = interface.refused()
    assert (error.code, error.arguments["status"]) == ("pull.refused_page", status)
    assert len(interface.server.asked) == attempts


def test_contracts_that_cannot_work(interface: Interface) -> None:
    assert interface.refused(parameters={"size": "$size"}).code == "pull.no_variable"
    assert interface.refused(parameters={"page": "$page", "x": "$pages"}).code == "pull.unknown_variable"
    assert interface.refused(headers={"Authorization": "geheim"}).code == "pull.secret_in_contract"
    interface.puller.cursor = Cursor("at", 0)
    assert interface.refused().code == "pull.no_since"
    assert interface.server.asked == []


# Manners


def test_a_server_may_ask_to_wait(interface: Interface, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(http.time, "sleep", slept.append)
    answers: list[Any] = [
        (429, {"Retry-After": "7"}, b""),
        (503, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, b""),
    ]
    interface.serve(lambda asked: answers.pop(0))
    error = interface.refused()
    assert slept == [7.0]
    assert error.code == "pull.asked_to_wait"
    interface.serve(Table(numbered(8)))
    assert len(ids(interface.pull())) == 8


def test_pauses_grow(interface: Interface, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(http, "PAUSE", 1.0)
    monkeypatch.setattr(http.time, "sleep", slept.append)
    interface.serve(lambda _: (500, {}, b""))
    interface.refused()
    assert [0.5 * 2**n <= pause <= 2**n for n, pause in enumerate(slept)] == [True] * 4


def test_no_more_requests_in_a_second_than_agreed(interface: Interface, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    sent: list[float] = []
    table = Table(numbered(8))

    def noted(asked: Asked) -> Any:
        sent.append(now[0])
        return table(asked)

    monkeypatch.setattr(http.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(http.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    interface.serve(noted)
    interface.server.faults = ["", "500"]
    interface.pull(requests_per_second=4)
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(sent))
    assert len(sent) == 4
