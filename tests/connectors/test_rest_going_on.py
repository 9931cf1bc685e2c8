"""Pulls from interfaces that go on: after a failure, a kill or a pull that was not kept, and from a cursor on."""

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.connectors import http, spool
from pipelines.connectors.base import Cursor
from pipelines.messages import CitylakeError
from tests.connectors.conftest import Puller
from tests.connectors.raw_lake import RestLake
from tests.connectors.rest_interface import WAYS, Interface, ids, numbered
from tests.connectors.rest_server import FAULTS, Asked, Server, Table
from tests.draws import draws

pytestmark = pytest.mark.server


def test_going_on_at_the_page_that_failed(interface: Interface) -> None:
    interface.server.faults = ["", ""] + ["500"] * http.ATTEMPTS
    error = interface.refused()
    assert (error.code, error.arguments["page"]) == ("pull.refused_page", 3)
    interface.server.asked.clear()
    assert len(ids(interface.pull())) == 8
    assert [asked.query["page"] for asked in interface.server.asked] == ["3", "4"]


def test_what_was_asked_otherwise_is_not_gone_on_with(interface: Interface) -> None:
    interface.server.faults = ["", ""] + ["500"] * http.ATTEMPTS
    interface.refused()
    interface.server.asked.clear()
    assert len(ids(interface.pull(parameters={"page": "$page", "size": "$size", "x": "1"}))) == 8
    assert len(interface.server.asked) == 4


def test_what_is_too_old_is_not_gone_on_with(interface: Interface, monkeypatch: pytest.MonkeyPatch) -> None:
    interface.server.faults = ["", ""] + ["500"] * http.ATTEMPTS
    interface.refused(resume_within=60)
    interface.server.asked.clear()
    now = spool.time.time()
    monkeypatch.setattr(spool.time, "time", lambda: now + 61)
    assert len(ids(interface.pull(resume_within=60))) == 8
    assert len(interface.server.asked) == 4


def test_a_place_that_the_server_forgot_begins_anew(interface: Interface) -> None:
    table = Table(numbered(8))
    interface.server.faults = ["", ""] + ["500"] * http.ATTEMPTS
    interface.refused("cursors")
    interface.server.asked.clear()
    interface.serve(lambda asked: (410, {}, b"") if len(interface.server.asked) == 1 else table(asked))
    assert len(ids(interface.pull("cursors"))) == 8
    assert len(interface.server.asked) == 4


def test_a_pull_that_was_not_kept_needs_no_server(interface: Interface) -> None:
    first = interface.puller.pull(keep=False, records="data/list", **WAYS["pages"])
    interface.server.asked.clear()
    assert interface.pull() == first
    assert interface.server.asked == []
    assert len(ids(interface.pull())) == 8  # that one was kept: this is another
    assert len(interface.server.asked) == 4


CONSUMER = """
import sys
from pathlib import Path
from tests.connectors.conftest import Puller
from tests.connectors.rest_interface import WAYS
Puller(Path(sys.argv[1]), "rest_api", sys.argv[2], ["id"]).pull(records="data/list", **WAYS[sys.argv[3]])
"""


@pytest.mark.parametrize("way", ["pages", "cursors", "links"])
def test_a_killed_pull_does_not_ask_for_the_pages_again(interface: Interface, way: str) -> None:
    """Killed with a page on its way and half a page written, as a kill in the middle of writing leaves it."""
    table, reached = Table(numbered(20)), threading.Event()

    def hanging(asked: Asked) -> Any:
        if len(interface.server.asked) < 5:
            return table(asked)
        reached.set()
        threading.Event().wait(20)
        return None

    interface.serve(hanging)
    folder = interface.puller.folder
    consumer = subprocess.Popen([sys.executable, "-c", CONSUMER, str(folder), interface.server.url, way])
    assert reached.wait(60)
    os.kill(consumer.pid, signal.SIGKILL)
    assert consumer.wait() == -signal.SIGKILL
    (file,) = (folder / "spool").iterdir()
    with file.open("ab") as torn:
        torn.write(gzip.compress(b'{"asked": {}}\n')[:-5])
    answered = interface.paths()[:4]
    interface.serve(table)
    interface.server.asked.clear()
    interface.puller.count = 1
    assert ids(interface.pull(way)) == [str(number) for number in range(20)]
    assert not set(answered) & set(interface.paths())
    assert len(interface.server.asked) == (4 if way == "pages" else 3)


RECEIVER = """
import os, signal, sys
from pathlib import Path
from pipelines.admission import receive
from pipelines.connectors import paged, spool
from tests.connectors.raw_lake import RestLake

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
        ("receive", "_keep", 1),
        ("receive", "_receipt", 1),
    ],
)
def test_killed_anywhere_all_is_received_once(
    interface: Interface, tmp_path: Path, place: str, name: str, calls: int, before: str
) -> None:
    """A pull dies at each step from the first page to the receipt; the next one delivers everything, in one batch, and
    no page that was kept is asked for a second time."""
    interface.serve(Table(numbered(20)))
    command = [sys.executable, "-c", RECEIVER, str(tmp_path / "home"), interface.server.url, place, name, str(calls)]
    assert subprocess.run([*command, before], timeout=120).returncode == -signal.SIGKILL
    lake = RestLake(tmp_path / "home")
    assert lake.receive(interface.server.url)
    assert lake.ids(lake.batches()[-1:]) == [str(number) for number in range(20)]
    asked = interface.paths()
    assert len(asked) - len(set(asked)) <= 1  # the page whose answer was not kept yet
    assert not lake.receive(interface.server.url)  # the same rows are no new batch
    assert len(interface.paths()) == len(asked) + 8


def test_receipts_and_issues_tell_no_secret(interface: Interface, tmp_path: Path) -> None:
    secret = json.dumps({"url": f"{interface.server.url}/?token=geheim", "key": "geheim"})
    lake = RestLake(tmp_path / "home", auth={"by": "query", "parameter": "apikey"})
    lake.receive(secret)
    interface.server.faults = ["500"] * http.ATTEMPTS
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


@settings(max_examples=draws(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_only_what_changed_since(interface: Interface) -> None:
    interface.puller.cursor = Cursor("at", 3600)
    written = {**CURSOR, "since": {"written": "datetime"}}
    interface.serve(Table([*numbered(8), {"id": "late", "at": "9999-12-31 00:00:00"}, {"id": "none"}]))
    assert len(ids(interface.pull(**written))) == 10
    assert "after" not in interface.server.asked[0].query
    assert interface.puller.position["value"] == "2026-11-08 08:00:00"
    interface.server.asked.clear()
    interface.serve(Table([{"id": "7", "at": "2026-11-08 08:00:00"}]))
    assert ids(interface.pull(**written)) == ["7"]
    assert {asked.query["after"] for asked in interface.server.asked} == {"2026-11-08 07:00:00"}
    interface.serve(Table([]))
    assert interface.pull(**written) is None
    interface.serve(Table([{"id": "8", "at": "2026-11-09 08:00:00"}]))
    assert ids(interface.pull(**written)) == ["8"]  # an empty answer is not kept as one to go on with


def test_where_to_begin(interface: Interface) -> None:
    interface.puller.cursor = Cursor("at", 0)
    interface.pull(**CURSOR, since={"written": "datetime", "start": "2026-01-01 00:00:00"})
    assert interface.server.asked[0].query["after"] == "2026-01-01 00:00:00"


def test_since_in_a_body(interface: Interface) -> None:
    interface.puller.cursor = Cursor("id", 2)
    body = {"from": "$offset", "size": "$size", "range": {"id": {"gte": "$since"}}, "keep": "$$since"}
    interface.pull("search", body=body, since={"written": "number"})
    assert interface.server.asked[0].json == {"from": 0, "size": 3, "range": {"id": {}}, "keep": "$since"}
    interface.server.asked.clear()
    interface.pull("search", body=body, since={"written": "number"})
    assert interface.server.asked[0].json["range"] == {"id": {"gte": 5}}
