"""What pages are told by, where a pull goes on, and what a disk may leave of a spool: without any server."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors import json_ld
from pipelines.connectors.base import read_json
from pipelines.connectors.paging import filled, next_link
from pipelines.connectors.since import Greatest, Written, step_back
from pipelines.connectors.spool import Page, Spool


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://h/x?page=2>; rel="next"', "https://h/x?page=2"),
        ("<?a=1,2;3>; rel=next", "?a=1,2;3"),
        ('</a>; rel="prev", </b>; rel="next"', "/b"),
        ('</a>;title="x, </c>; rel=next";rel="prev" , </b> ; REL = "last NEXT"', "/b"),
        ('</a>; rel="first"; rel="next"', None),
        ('</a>; title="\\"; rel=next"', None),
        ('</a>; rel="nextish"', None),
        ("</a>", None),
        ("", None),
    ],
)
def test_link_headers(header: str, target: str | None) -> None:
    assert next_link(header) == target


def test_templates() -> None:
    values: dict[str, str | int] = {"page": 2, "size": 10, "since": "2026"}
    template = {
        "a": "$page",
        "b": "${page}",
        "c": "p$page-$size",
        "d": "$cursor",
        "e": ["$cursor", "$size", 1],
        "f": "$$x",
    }
    assert filled({**template, "g": {"h": "x[$cursor]", "i": None}}, values) == {
        "a": 2,
        "b": 2,
        "c": "p2-10",
        "e": [10, 1],
        "f": "$x",
        "g": {"i": None},
    }


@given(st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:f}" if number else "0"))
def test_no_number_is_changed(text: str) -> None:
    found = read_json(text)
    assert json.dumps(found) == text or found == text or float(text) == found


FORMS = {"datetime": "%Y-%m-%d %H:%M:%S", "compact": "%Y%m%d%H%M%S", "date": "%Y-%m-%d"}


@given(
    st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2026, 1, 1)), min_size=1),
    st.integers(0, 10_000),
    st.sampled_from(sorted(FORMS)),
)
def test_the_greatest_value_and_what_is_before_it(times: list[datetime], overlap: int, written: Written) -> None:
    greatest = Greatest(written)
    shown = [time.strftime(FORMS[written]) for time in times]
    for text in [*shown, None, "", "x", "9999-12-31", "99991231000000"]:
        greatest.show(text)
    assert greatest.value == max(shown)
    back = datetime.strptime(step_back(max(shown), overlap, written), FORMS[written])
    step = timedelta(days=overlap) if written == "date" else timedelta(seconds=overlap)
    assert datetime.strptime(max(shown), FORMS[written]) - back == step


@pytest.mark.parametrize(
    ("value", "overlap", "written", "expected"),
    [
        ("2026-11-24T08:00:00Z", 60, "iso", "2026-11-24T07:59:00Z"),
        ("2026-11-24T08:00:00+08:00", 60, "iso", "2026-11-24T07:59:00+08:00"),
        ("2026-11-24T08:00:00.123456", 0, "iso", "2026-11-24T08:00:00.123456"),
        ("20260101000000", 1, "compact", "20251231235959"),
        ("41", 2, "number", "39"),
    ],
)
def test_a_step_back_keeps_the_form(value: str, overlap: int, written: Written, expected: str) -> None:
    assert step_back(value, overlap, written) == expected


def test_times_of_two_zones_are_compared_as_times() -> None:
    greatest = Greatest("iso")
    for text in ("2026-01-01T09:00:00+08:00", "2026-01-01T02:00:00Z", "2026-01-01T01:30:00"):
        greatest.show(text)
    assert greatest.value == "2026-01-01T02:00:00Z"
    numbers = Greatest("number")
    for text in ("9", "10", "x"):
        numbers.show(text)
    assert numbers.value == "10"


def test_tomorrow_counts_and_the_day_after_does_not() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    greatest = Greatest("iso")
    greatest.show((now + timedelta(hours=20)).isoformat())
    greatest.show((now + timedelta(hours=30)).isoformat())
    assert greatest.value == (now + timedelta(hours=20)).isoformat()


def page(number: int) -> Page:
    return Page({"page": number}, {"page": number + 1}, 1, None, ["id"], True, "六" * number * 50)


@given(st.integers(0, 6), st.integers(0, 10_000), st.binary(max_size=40))
def test_whatever_a_kill_leaves_of_a_spool_is_its_first_pages(
    tmp_path_factory: pytest.TempPathFactory, count: int, cut: int, garbage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    first = Spool(folder, None)
    first.open({"q": 1}, 60)
    for number in range(count):
        first.add(page(number))
    size = first.file.stat().st_size
    os.truncate(first.file, max(0, size - cut))
    with first.file.open("ab") as file:
        file.write(garbage)
    again = Spool(folder, None)
    again.open({"q": 1}, 60)
    found = list(again.pages())
    assert found == [page(number) for number in range(len(found))]
    assert cut or len(found) == count
    again.add(page(len(found)))
    third = Spool(folder, None)
    third.open({"q": 1}, 60)
    assert list(third.pages()) == [page(number) for number in range(len(found) + 1)]


def test_a_spool_belongs_to_one_question(tmp_path: Path) -> None:
    first = Spool(tmp_path, None)
    first.open({"q": 1}, 60)
    first.add(page(0))
    other = Spool(tmp_path, None)
    other.open({"q": 2}, 60)
    assert not other.resumed
    assert len(list(tmp_path.iterdir())) == 1
    assert not list(Spool(tmp_path, other.id).folder.iterdir())


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["@id", "@type", "@value", "@graph", "@list", "title", "dct:title", "dcat:distribution", "zh"]
            ),
            inner | st.sampled_from(["Dataset", "dcat:Dataset", "a", "b"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(ANY_JSON)
def test_no_document_breaks_the_reading_of_catalogues(document: object) -> None:
    graph = json_ld.graph(document)
    for node in graph.datasets():
        for name in ("title", "distribution"):
            assert graph.text(node, name) is None or isinstance(graph.text(node, name), str)
        list(graph.nodes(node, "distribution"))
    graph.following()
