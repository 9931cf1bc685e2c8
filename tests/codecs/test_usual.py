"""Texts that are written as usual are read by a cast to what cleaning reads them to; of all others it is said."""

import re
from collections.abc import Callable
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.codecs import cleaning, usual
from tests.codecs.test_cleaning import amounts, dates, likely, texts
from tests.memory import Planned

ZONE = "Asia/Shanghai"
FULL: dict[str, Callable[[str], str]] = {
    "date": cleaning.date_of,
    "timestamp": lambda text: cleaning.time_of(text, ZONE),
    "integer": cleaning.integer_of,
    "number": cleaning.number_of,
}
NUMBERED = {"date": "{} - DATE '1970-01-01'", "timestamp": "epoch_us({})", "integer": "{}", "number": "{}"}
"""Values as numbers."""
FORMS = {
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}",
    "integer": r"[0-9-]{0,15}",
    "number": r"[\-./0-9]{0,15}",
}
days = st.dates().map(date.isoformat)
moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda at: at.isoformat(" ", "seconds"))
signs = st.text("0123456789", max_size=16) | st.text("0123456789+-./,_eE ", max_size=17)
edges = st.sampled_from(
    [
        *("0000-01-01", "0099-12-31", "0100-01-01", "9999-12-31", "1900-02-29", "2000-02-29", "1582-10-10"),
        *("0099-12-31 23:59:59", "0100-01-01 00:00:00", "9899-12-31 23:59:59", "9900-01-01 00:00:00"),
        *("1986-05-04 00:30:00", "1940-06-03 00:30:00", "2026-01-01 24:00:00", "2026-01-01 23:59:60"),
        *(
            "2026-01-01T10:00:00",
            "2026-01-01 10+08:00",
            "1-1",
            "-",
            "+5",
            "-0",
            "007",
            "--5",
            "5-",
            "3.5",
            "1/2",
            "1,5",
        ),
        *("999999999999999", "9999999999999999", "1_000", "infinity", "nan"),
    ]
)
forms = st.one_of(*(st.from_regex(form, fullmatch=True) for form in FORMS.values()))
any_texts = days | moments | signs | edges | forms | dates | amounts | likely | texts


@pytest.mark.long
@pytest.mark.parametrize("kind", FULL)
@given(column=st.lists(any_texts | st.none(), min_size=1, max_size=30), before=st.integers(0, 2))
@settings(max_examples=250, deadline=None)
def test_what_is_usual_is_read_alike(planned: Planned, kind: str, column: list[str | None], before: int) -> None:
    column = [None if text is None else text.replace("\0", "") for text in column]  # no literal has it
    padded = pa.array([*["x"] * before, *column], pa.string()).slice(before)
    unusual = usual.unusual(padded, kind, ZONE).tolist()
    plain = [text for text, strange in zip(column, unusual, strict=True) if not strange]
    query = f"SELECT {usual.read('v', kind, ZONE)}, {FULL[kind]('v')}, v FROM given"
    for short, full, text in planned.ask(f"SELECT a::VARCHAR, b::VARCHAR, t FROM ({query}) q(a, b, t)", [*plain, None]):
        assert short == full, text
    number = NUMBERED[kind].format(usual.read("v", kind, ZONE))
    said = [(text, value) for text, value in planned.ask(f"SELECT v, {number} FROM given", plain) if value is not None]
    by_arrow = pa.array([text for text, _ in said], pa.string()).cast(usual.ARROW[kind])
    if kind == "timestamp":
        by_arrow = pc.assume_timezone(by_arrow, ZONE)
    if kind in ("date", "timestamp"):
        by_arrow = by_arrow.cast(pa.int32() if kind == "date" else pa.int64())
    assert [value for _, value in said] == by_arrow.to_pylist()


@pytest.mark.parametrize("kind", FULL)
@given(text=days | moments | signs | edges | forms)
def test_it_is_said_which_are_usual(kind: str, text: str) -> None:
    """All of the form, but days of years that calendars may move, times of those in which clocks may be moved, and 24
    o'clock."""
    said = not usual.unusual(pa.array([text], pa.string()), kind, ZONE)[0]
    beyond = kind == "date" and text[:2] == "00"
    beyond |= kind == "timestamp" and (not "1992" <= text[:4] <= "2036" or text[11:13] == "24")
    assert said == (re.fullmatch(FORMS[kind], text) is not None and not beyond)
