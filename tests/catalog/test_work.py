"""How much is made at once: places, a short wait, one build for all who ask, and cheap reads that go on."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.delivery import file_hashes
from catalog.delivery.folders import Folders
from catalog.delivery.rows.pages import looked_at
from catalog.delivery.rows.question import Question
from catalog.delivery.work import CHEAP_ROWS, Busy, Work
from pipelines.contracts.forms.limits import WorkForm
from tests.catalog.small_city import AGES, DIVISIONS, PERSONS, City, bearer

API = "/api/v1/products"
TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"


@pytest.fixture
def narrow(own_city: City, monkeypatch: pytest.MonkeyPatch) -> tuple[City, TestClient, str]:
    """A city whose service makes one thing at once and finds its 40 persons many, a client, a token with a grant."""
    monkeypatch.setattr("catalog.delivery.work.CHEAP_ROWS", 39)
    own_city.limit("{work: {places: 1, waiting: 1, seconds: 0.05}}")
    token = own_city.recipient("甲")
    own_city.grant("甲")
    return own_city, own_city.client(), token


@contextmanager
def all_taken(client: TestClient) -> Iterator[None]:
    with client.app.state.desk.views.folders.work.place(40):  # type: ignore[attr-defined]
        yield


def test_who_finds_all_places_taken_is_told_when_to_come_again(narrow: tuple[City, TestClient, str]) -> None:
    """On each road in its own form; nothing is given, and afterwards everything is."""
    city, client, token = narrow
    shown, page = bearer(token), {"Accept": "text/html"}
    expensive = {
        "rows": lambda: client.get(f"{API}/{PERSONS}/rows", headers=shown),
        "query": lambda: client.get(f"/datasets/{PERSONS}/download/xlsx", headers=shown),
        "page": lambda: client.get(f"/datasets/{PERSONS}/download/json", headers={**shown, **page}),
    }
    before = sorted(city.settings.lake.root.glob("views/*/*/v*/*"))
    with all_taken(client):
        answers = {name: ask() for name, ask in expensive.items()}
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers.values()} == {(503, "10")}
    assert answers["rows"].headers["content-type"] == "application/problem+json"
    assert answers["rows"].json()["rule"] == "busy"
    assert answers["query"].json()["errorCode"] == "TEMPORARILY_UNAVAILABLE"
    assert "服务正忙" in answers["page"].text
    assert sorted(city.settings.lake.root.glob("views/*/*/v*/*")) == before
    assert {ask().status_code for ask in expensive.values()} == {200}


def test_cheap_reads_go_on_while_all_places_are_taken(narrow: tuple[City, TestClient, str]) -> None:
    city, client, token = narrow
    city.grant("甲", DIVISIONS)
    shown = bearer(token)
    (row, *_) = client.get(f"{API}/{PERSONS}/rows?limit=1", headers=shown).json()
    key = f"{API}/{PERSONS}/rows?person_ref=eq.{row['person_ref']}"
    assert client.get(key, headers=shown).json() == [row]
    cheap = [
        key,
        f"{API}/{PERSONS}/rows?limit=39",
        f"{API}/{DIVISIONS}/rows?group=county_name&count=*",
        f"{API}/{PERSONS}",
        f"/datasets/{DIVISIONS}/download/xlsx",
        f"{TABLE}/metadata",
        f"/datasets/{PERSONS}/preview",
        f"/datasets/{AGES}/download/csv",
        "/datasets",
    ]
    with all_taken(client):
        assert {path: client.get(path, headers=shown).status_code for path in cheap} == dict.fromkeys(cheap, 200)


def test_large_questions_need_a_place_and_small_ones_do_not(
    narrow: tuple[City, TestClient, str],
) -> None:
    _, client, token = narrow
    shown, rows = bearer(token), f"{API}/{PERSONS}/rows"
    assert client.get(rows, headers=shown).status_code == 200
    large = ["group=sex&count=*", "sort=name", "sex=eq.1", "limit=40", "format=xlsx&limit=4"]
    with all_taken(client):
        assert {client.get(f"{rows}?{asked}", headers=shown).status_code for asked in large} == {503}
        assert {client.get(f"{rows}?{asked}", headers=shown).status_code for asked in ("limit=39", "limit=3")} == {200}
    assert {client.get(f"{rows}?{asked}", headers=shown).status_code for asked in large} == {200}


@given(st.integers(0, 100_000), st.integers(1, 100_000))
def test_what_an_answer_looks_at(rows: int, limit: int) -> None:
    assert looked_at(Question(()), rows, limit) == min(rows, limit)
    assert looked_at(Question((), filters=((),)), rows, limit) == rows  # type: ignore[arg-type]


def test_one_builds_and_the_others_get_the_same_or_come_again(tmp_path: Path) -> None:
    """However many ask: one build; so many wait, the others are sent away at once and keep no thread."""
    folders = Folders(tmp_path, Work(WorkForm(places=2, waiting=3, seconds=60)))
    go_on, builds = threading.Event(), list[Path]()
    begun = threading.Event()

    def build(partial: Path) -> None:
        builds.append(partial)
        begun.set()
        assert go_on.wait(60)

    def ask(_: int) -> str:
        try:
            return folders.get(tmp_path / "a" / "b", build, CHEAP_ROWS + 1).name
        except Busy:
            return "busy"

    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(ask, 0)
        assert begun.wait(60)
        others = [pool.submit(ask, number) for number in range(1, 11)]
        while sum(one.done() for one in others) < 7:
            threading.Event().wait(0.01)
        assert {one.result() for one in others if one.done()} == {"busy"}
        go_on.set()
        found = [first.result(), *(one.result() for one in others)]
    assert len(builds) == 1 and (found.count("b"), found.count("busy")) == (4, 7)
    assert folders._locks == {}, "locks of what is built are forgotten"


def test_a_build_that_fails_frees_its_place_and_its_lock(tmp_path: Path) -> None:
    folders, many = Folders(tmp_path, Work(WorkForm(places=1, waiting=0, seconds=0.01))), CHEAP_ROWS + 1

    def fails(_: Path) -> None:
        raise ValueError("disk")

    for _ in range(3):
        with pytest.raises(ValueError, match="disk"):
            folders.get(tmp_path / "a", fails, many)
    assert folders.get(tmp_path / "a", lambda partial: None, many).is_dir() and folders._locks == {}


def test_one_reads_a_file_for_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a place for expensive work; the others wait for the hash, or come again."""
    folders = Folders(tmp_path, Work(WorkForm(places=1, waiting=2, seconds=60)))
    hashes, file = file_hashes.FileHashes(folders), tmp_path / "rows.parquet"
    file.write_bytes(b"rows")
    go_on, begun, reads = threading.Event(), threading.Event(), list[Path]()

    def read(path: Path) -> str:
        reads.append(path)
        begun.set()
        assert go_on.wait(60)
        return "f" * 64

    monkeypatch.setattr(file_hashes, "sha256", read)

    def ask(_: int) -> str:
        try:
            return hashes.get(file, CHEAP_ROWS + 1)
        except Busy:
            return "busy"

    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(ask, 0)
        assert begun.wait(60)
        others = [pool.submit(ask, number) for number in range(1, 6)]
        while sum(one.done() for one in others) < 3:
            threading.Event().wait(0.01)
        go_on.set()
        found = [first.result(), *(one.result() for one in others)]
    assert reads == [file] and (found.count("f" * 64), found.count("busy")) == (3, 3)


def test_the_first_part_of_a_large_file_needs_a_place(narrow: tuple[City, TestClient, str]) -> None:
    """It is read whole for its hash; afterwards no part is."""
    _, client, token = narrow
    lines = client.post(f"{TABLE}/query", headers=bearer(token), json={}).text.splitlines()
    url, part = json.loads(lines[-1])["file"]["url"], {"Range": "bytes=0-9"}
    with all_taken(client):
        assert client.get(url, headers=part).status_code == 503
    assert client.get(url, headers=part).status_code == 206
    with all_taken(client):
        assert client.get(url, headers=part).status_code == 206


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(0, 6), st.integers(1, 16))
def test_never_more_at_once_than_there_are_places(places: int, waiting: int, asking: int) -> None:
    """Of so many at once: as many as there are places work, as many as may wait wait, the rest is sent away."""
    work, inside, most = Work(WorkForm(places=places, waiting=waiting, seconds=60)), list[int](), list[int]()
    go_on, guard = threading.Event(), threading.Lock()

    def ask(number: int) -> bool:
        try:
            with work.place(CHEAP_ROWS + 1):
                with guard:
                    inside.append(number)
                    most.append(len(inside))
                assert go_on.wait(60)
                with guard:
                    inside.remove(number)
                return True
        except Busy:
            return False

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, number) for number in range(asking)]
        away = max(0, asking - places - waiting)
        while sum(one.done() for one in asked) < away or len(inside) < min(places, asking):
            threading.Event().wait(0.001)
        go_on.set()
        served = [one.result() for one in asked]
    assert max(most) <= places and served.count(False) <= away
    assert inside == []
