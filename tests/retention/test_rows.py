"""Rows of sources: exactly those are ended whose period is over, whatever was drawn; killed, the same."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.admission import granted
from pipelines.admission.granted import Asked
from pipelines.contracts.load import Contracts
from pipelines.lake import delta, rewrite
from pipelines.lake.edition import current_state
from pipelines.linkage import tables
from pipelines.linkage.reviews import Question, Reviews
from pipelines.register.receipts import REPLAY
from pipelines.release.ledger import RETENTION
from pipelines.retention.apply import JOURNAL
from tests.draws import draws
from tests.retention.homes import Home, noon, only, values
from tests.traces import traces

TODAY = date(2026, 11, 26)
UNITS = {"d": "days", "m": "months", "y": "years"}
TABLE, EVENTS = "psb/household_person", "hsb/settlement"
QUICK = settings(max_examples=draws(4), deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Row:
    """A row of a change log: what it says does not matter, but is found again."""

    key: int
    batch: int
    op: str
    known: date
    event: date | None = None

    @property
    def mark(self) -> str:
        return f"z{self.key}b{self.batch}z"


def over(start: date, period: str) -> bool:
    return start + relativedelta(**{UNITS[period[-1]]: int(period[:-1])}) <= TODAY


def ended(log: list[Row], period: str, events: bool) -> set[Row]:
    """What is due, key by key and row by row."""
    found = set()
    for key in {row.key for row in log}:
        mine = sorted((row for row in log if row.key == key), key=lambda row: row.batch)
        for place, row in enumerate(mine):
            last = place == len(mine) - 1
            if not last or row.op == "D":
                if over(max(one.known for one in mine[: place + 2]), period):
                    found.add(row)
            elif events and over(row.event or row.known, period):
                found.add(row)
    return found


PERIODS = st.builds(lambda count, unit: f"{count}{unit}", st.integers(1, 40), st.sampled_from("dm"))
DAYS = st.dates(TODAY - timedelta(120), TODAY)
LOGS = st.lists(
    st.builds(Row, st.integers(0, 15), st.integers(1, 4), st.sampled_from("IUD"), DAYS),
    min_size=5,
    max_size=50,
    unique_by=lambda row: (row.key, row.batch),
)
EVENT_LOGS = st.lists(
    st.builds(Row, st.integers(0, 60), st.integers(1, 4), st.just("I"), DAYS, st.none() | DAYS),
    min_size=5,
    max_size=50,
    unique_by=lambda row: row.key,
)


def put_core(home: Home, source: str, log: list[Row]) -> Path:
    """A core table, each batch a commit."""
    contract = home.contracts.sources[source]
    location, key = home.lake.core(contract.org, contract.dataset), contract.form.load.key[0]
    names = (key, "said", "source_updated_at", "_op", "_batch", "_row", "_known_at")
    for batch in sorted({row.batch for row in log}):
        rows = [
            (f"k{one.key}", one.mark, one.event and noon(one.event), one.op, batch, place, noon(one.known))
            for place, one in enumerate(row for row in log if row.batch == batch)
        ]
        home.put(
            location,
            f"SELECT * REPLACE (source_updated_at::TIMESTAMPTZ AS source_updated_at) FROM ({values(rows, *names)})",
        )
    return location


def state(home: Home, source: str) -> list[tuple[str, ...]]:
    contract = home.contracts.sources[source]
    table = delta.open_table(home.lake.core(contract.org, contract.dataset))
    query = current_state(
        delta.scan(table).source, contract.form.load.key, ["said"], delta.lowest(table, "_batch"), '"'
    )
    with duckdb.connect() as con:
        return con.execute(f"SELECT said FROM ({query}) ORDER BY ALL").fetchall()


@pytest.fixture(scope="module")
def small(contracts: Contracts) -> Callable[..., Contracts]:
    return lambda source, period: only(contracts, [source], **{source.partition("/")[2]: period})


@QUICK
@given(LOGS, PERIODS)
def test_ended_rows_go_and_what_is_valid_stays(small: Callable[..., Contracts], log: list[Row], period: str) -> None:
    _exactly(small(TABLE, period), TABLE, log, ended(log, period, False), True)


@QUICK
@given(EVENT_LOGS, PERIODS)
def test_events_go_by_their_own_time(small: Callable[..., Contracts], log: list[Row], period: str) -> None:
    _exactly(small(EVENTS, period), EVENTS, log, ended(log, period, True), False)


def _exactly(contracts: Contracts, source: str, log: list[Row], gone: set[Row], valid: bool) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        home = Home(root, contracts)
        location = put_core(home, source, log)
        before = state(home, source)
        body = home.retention.apply(TODAY, "甲", "期满")
        assert (body["rows"] if body else 0) == len(gone)
        left = [(row.mark,) for row in log if row not in gone]
        assert home.rows(location, "said") == sorted(left)
        assert not valid or state(home, source) == before
        table = delta.open_table(location)
        assert delta.row_count(table) == len(left) and not delta.torn_files(location, delta.table_files(table))
        assert not gone or not traces(home.settings.home, [row.mark for row in gone])
        assert home.retention.apply(TODAY, "甲", "期满") is None and not home.search.due(TODAY).due
        assert len(home.ledger.of_kind(RETENTION)) == bool(gone)
        home.register.close()
    finally:
        shutil.rmtree(root)


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@QUICK
@given(LOGS, PERIODS, st.integers(1, 6))
def test_killed_at_any_file_and_opened_again_it_ends_the_same(
    small: Callable[..., Contracts], log: list[Row], period: str, at: int
) -> None:
    root = Path(tempfile.mkdtemp())
    left, replaced = at, rewrite.replace_file

    def dying(partial: Path, file: Path) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        replaced(partial, file)

    try:
        home = Home(root, small(TABLE, period))
        location, gone = put_core(home, TABLE, log), ended(log, period, False)
        try:
            rewrite.replace_file = dying
            home.retention.apply(TODAY, "甲", "期满")
        except Killed:
            pass
        finally:
            rewrite.replace_file = replaced
        home.retention.finish() or home.retention.apply(TODAY, "甲", "期满")
        assert home.rows(location, "said") == sorted((row.mark,) for row in log if row not in gone)
        assert [entry.body["rows"] for entry in home.ledger.of_kind(RETENTION)] == ([len(gone)] if gone else [])
        assert not (home.settings.home / JOURNAL).exists() and home.ledger.first_break() is None
        home.register.close()
    finally:
        shutil.rmtree(root)


def day(ago: int) -> date:
    return TODAY - timedelta(ago)


def test_raw_batches_go_whole_but_not_what_waits_or_is_valid(contracts: Contracts, tmp_path: Path) -> None:
    home = Home(tmp_path, only(contracts, [EVENTS, TABLE], settlement="30d", household_person="30d"))
    events, table = home.contracts.sources[EVENTS], home.contracts.sources[TABLE]
    query = "SELECT 'marker-{}' AS said"
    for batch, ago in ((1, 40), (2, 30), (3, 29)):
        home.raw(events, batch, day(ago), query.format(batch))
    home.raw(events, 4, day(40), query.format(4), admitted=False)
    home.raw(events, 5, day(1), query.format(5), origin=f"{REPLAY}2,3")
    home.raw(table, 1, day(60), query.format(8), admitted=False)  # held, and overtaken by the next delivery
    home.raw(table, 2, day(50), query.format(6))
    home.raw(table, 3, day(40), query.format(7))
    body = home.retention.apply(TODAY, "甲", "期满")
    assert body is not None and body["batches"] == {EVENTS: [1, 2, 5], TABLE: [1, 2]}
    assert not traces(home.settings.home, [f"marker-{one}" for one in (1, 2, 5, 6, 8)])
    for one in (3, 4, 7):
        assert traces(home.settings.home, [f"marker-{one}"])
    assert {path.name for path in home.lake.raw("hsb", "settlement").iterdir()} == {"3", "4"}


def test_refused_rows_go_by_the_day_they_were_refused(contracts: Contracts, tmp_path: Path) -> None:
    home = Home(tmp_path, only(contracts, [EVENTS], settlement="30d"))
    rows = [(1, place, noon(day(ago)), "r", f"refused-{ago}-x") for place, ago in enumerate((50, 30, 29))]
    location = home.lake.quarantine("hsb", "settlement")
    home.put(location, values(rows, "_batch", "_row", "_known_at", "rules", "delivered"))
    assert [(one.layer, one.rows, one.since) for one in home.search.due(TODAY).due] == [("quarantine", 2, day(20))]
    home.retention.apply(TODAY, "甲", "期满")
    assert home.rows(location, "delivered") == [("refused-29-x",)]
    assert not traces(home.settings.home, ["refused-50-x", "refused-30-x"])


def test_what_is_known_about_a_row_goes_with_the_last_of_its_key(contracts: Contracts, tmp_path: Path) -> None:
    """Whom it is about, what a steward is asked about it, what a person asked to correct in it."""
    home = Home(tmp_path, only(contracts, [TABLE], household_person="30d"))
    source = home.contracts.sources[TABLE]
    put_core(home, TABLE, [Row(1, 1, "I", day(60)), Row(1, 2, "D", day(40)), Row(2, 1, "I", day(60))])
    tables.ensure(home.lake)
    link = values([(TABLE, "k1"), (TABLE, "k2"), ("hc/other", "k1")], "dataset", "row_key")
    rest = ", ".join(
        f"NULL AS {name}" for name in tables.TABLES[tables.LINK] if name not in ("dataset", "row_key", "why")
    )
    with duckdb.connect() as con:
        for why in ("then", "now"):  # the version before says the same
            tables.replace(con, home.lake, tables.LINK, f"SELECT *, '{why}' AS why, {rest} FROM ({link})")
    questions = [Question(TABLE, key, "1:1", None, "p" * 32, "uncertain", 1.0, "m") for key in ("k1", "k2")]
    Reviews(home.register).ask(questions)
    asked = [
        Asked(f"a{key}", "name", {"record_no": key}, key, "旧", "新", False, "甲", "依申请", "2026-01-01")
        for key in ("k1", "k2")
    ]
    granted.write(home.lake, source, asked)
    body = home.retention.apply(TODAY, "甲", "期满")
    assert body is not None and body["places"]["linkage/link"]["rows"] == 2, "in the version before too"
    assert home.rows(home.lake.linkage(tables.LINK), "dataset, row_key") == [("hc/other", "k1"), (TABLE, "k2")]
    assert [one["row_key"] for one in Reviews(home.register).open()] == ["k2"]
    assert [one.row_key for one in granted.read(home.lake, source)] == ["k2"]
