"""What a run makes of rules across sources: which issues open, which stay and which close, on a core of a few rows."""

import csv
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts.load import Contracts, SourceContract
from pipelines.evidence import across
from pipelines.evidence.across import Seen
from pipelines.failures import Failures
from pipelines.issues import Issues
from pipelines.lake.edition import CoreVersion
from pipelines.linkage.reviews import Reviews
from pipelines.messages import CitylakeError
from pipelines.preparation import Preparation, compared
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import ERASURE, Entry, Ledger
from pipelines.settings import REPOSITORY, Settings
from tests.dbt.libraries import Bench

SHARES, REGISTER = "amr/shareholder", "amr/enterprise"
COVERS, REFERS = f"covers(subject_no:{REGISTER})", f"refers_to(subject_no:{REGISTER})"
HOURS, STATIONS = "eeb/air_station_hour", "eeb/air_station"
REFERS_HOURS = f"refers_to(station_no:{STATIONS})"
REFERS_ISSUE = f"across.refers_to:{REFERS_HOURS}"
COMPANY = {"entity_type": "1100", "established_on": "2020-05-04"}
TODAY = date(2026, 11, 23)


class Home:
    """An installation whose core is filled by hand."""

    def __init__(self, root: Path, contracts: Contracts) -> None:
        home = root / "home"
        self.settings = Settings(home, REPOSITORY, 0, 0, f"sqlite:///{home / 'register.db'}")
        self.settings.prepare()
        self.register = Register(self.settings.register_url)
        self.register.upgrade()
        self.contracts, self.bench = contracts, Bench(self.settings.lake, contracts, root / "dbt")
        self.receipts, self.issues = Receipts(self.register, "test"), Issues(self.register)

    def compare(self, *sources: str, day: date = TODAY, **more: CoreVersion) -> None:
        """As a run does that has admitted these sources."""
        failures = Failures(self.receipts, self.issues, self.settings.home / "logs" / "test.log")
        reviews = Reviews(self.register)
        preparation = Preparation(self.settings, self.contracts, self.receipts, self.issues, reviews, failures, day)
        known = dict(self.bench.versions())
        preparation.compare({name: known[name] for name in sources} | more)

    def open(self, source: str = SHARES) -> set[str]:
        return {row["code"] for row in self.issues.open(source)}

    def seen(self, source: str = SHARES) -> Seen:
        last = self.receipts.last(Stage.ACROSS, source)
        assert last is not None
        return Seen.read(last.body)

    def receipts_of(self, source: str = SHARES) -> int:
        return len(self.receipts.of_stage(Stage.ACROSS, source, 10))


@pytest.fixture
def home(tmp_path: Path, contracts: Contracts) -> Iterator[Home]:
    made = Home(tmp_path, contracts)
    yield made
    made.register.close()


def companies(home: Home, *numbers: str, batch: int = 1, **more: Any) -> None:
    home.bench.load(REGISTER, *({"subject_no": number, **COMPANY, **more} for number in numbers), batch=batch)


def shares(home: Home, *numbers: str, batch: int = 1) -> None:
    home.bench.load(SHARES, *({"investment_no": f"i{one}", "subject_no": one} for one in numbers), batch=batch)


def waiting(rules: Collection[str]) -> set[str]:
    return {f"across.waiting:{rule}" for rule in rules}


def test_a_source_that_never_came_is_told_and_has_a_receipt(home: Home) -> None:
    companies(home, "a")
    home.compare(REGISTER)
    assert set(home.seen().waiting) == {COVERS, REFERS}
    assert home.open() == waiting([COVERS, REFERS])
    assert {row["severity"] for row in home.issues.open(SHARES)} == {"warning"}
    shares(home, "a")
    home.compare(SHARES, REGISTER)
    assert home.open() == set()


def test_what_could_not_be_asked_is_not_solved(home: Home) -> None:
    companies(home, "a", "b")
    shares(home, "a", "x")
    home.compare(SHARES, REGISTER)
    found = {f"across.covers:{COVERS}", f"across.refers_to:{REFERS}"}
    assert home.open() == found
    (before,) = [row for row in home.issues.open(SHARES) if row["code"] == f"across.covers:{COVERS}"]
    home.compare(SHARES)  # the register is not there any more
    assert home.open() == found | waiting([COVERS, REFERS])
    (after,) = [row for row in home.issues.open(SHARES) if row["code"] == f"across.covers:{COVERS}"]
    assert after == before
    shares(home, "b", batch=2)
    home.compare(SHARES, REGISTER)
    assert home.open() == {f"across.refers_to:{REFERS}"}


def test_an_empty_register_covers_nothing(home: Home) -> None:
    companies(home, "a")
    shares(home, "b")
    home.compare(SHARES, REGISTER)
    assert f"across.covers:{COVERS}" in home.open()
    companies(home, "a", batch=2, entity_type="9999")  # none is of a kind that is expected
    home.compare(SHARES, REGISTER)
    assert {f"across.covers:{COVERS}", f"across.empty_covers:{COVERS}"} <= home.open()
    assert [one.looked for one in home.seen().looked if one.rule == COVERS] == [0]


def test_groups_that_are_too_small_are_told(home: Home) -> None:
    reports = [{"report_no": str(n), "subject_no": "a", "total_assets": float(n)} for n in range(1, 30)]
    home.bench.load("amr/annual_report", *reports)
    home.compare("amr/annual_report")
    (rule,) = [rule.id for rule in home.contracts.sources["amr/annual_report"].across if rule.verb == "near_others"]
    assert f"across.empty_near_others:{rule}" in home.open("amr/annual_report")
    home.bench.load("amr/annual_report", {"report_no": "30", "total_assets": 30.0}, batch=2)
    home.compare("amr/annual_report")
    assert f"across.empty_near_others:{rule}" not in home.open("amr/annual_report")


def test_a_source_that_fails_stops_no_other(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    companies(home, "a")
    shares(home, "b")
    known, asked = dict(home.bench.versions()), across.look
    first = min([SHARES, REGISTER], key=list(home.contracts.sources).index)
    last = {SHARES: REGISTER, REGISTER: SHARES}[first]

    def look(contract: SourceContract, *rest: Any) -> Seen:
        if contract.id == first:
            raise OSError("gone")
        return asked(contract, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(across, "look", look)
        home.compare(**{name: known[name] for name in (SHARES, REGISTER)})
    assert home.receipts.last(Stage.ACROSS, first) is None and home.seen(last).looked
    assert home.open(compared(first)) == {"run.failed"} and home.open(compared(last)) == set()
    home.compare(SHARES, REGISTER)
    assert home.open(compared(first)) == set() and home.seen(first).looked


def test_who_is_killed_before_the_receipt_loses_no_issue(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    companies(home, "a")
    shares(home, "b")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        for kind, step in ((Receipts, "add"), (Issues, "report")):  # whichever comes second is not reached
            patch.setattr(kind, step, _then(getattr(kind, step), killed))
        home.compare(SHARES, REGISTER)
    home.compare(SHARES, REGISTER)
    assert f"across.covers:{COVERS}" in home.open()


def _then(step: Callable[..., Any], killed: Callable[..., None]) -> Callable[..., None]:
    def both(self: Any, first: Any, *rest: Any, **more: Any) -> None:
        step(self, first, *rest, **more)
        if (first, rest[0]) == (Stage.ACROSS, SHARES) or (first == SHARES and across.AREA in rest):
            killed()

    return both


def test_the_list_answers_the_question_that_was_counted(home: Home) -> None:
    companies(home, "a", "b")
    shares(home, "x")
    home.compare(SHARES, REGISTER)
    contract = home.contracts.sources[SHARES]
    (rule,) = [rule for rule in contract.across if rule.id == COVERS]
    _, rows = across.failing(contract, home.contracts, home.settings.lake, rule, home.seen())
    assert [row[0] for row in rows] == ["a", "b"]
    other = replace(rule, arguments={**rule.arguments, "where": {"entity_type": ["9999"]}})
    with pytest.raises(CitylakeError, match="citylake run"):
        across.failing(contract, home.contracts, home.settings.lake, other, home.seen())


def test_counts_are_taken_anew_after_an_erasure(home: Home) -> None:
    companies(home, "a")
    shares(home, "a")
    home.compare(SHARES, REGISTER)
    home.compare(SHARES, REGISTER)
    assert home.receipts_of() == 1
    Ledger(home.register).record([Entry(ERASURE, "order", "", None, {"places": {}})])
    home.compare(SHARES, REGISTER)
    assert home.receipts_of() == 2


def hours(home: Home, stations: Collection[str], batch: int) -> None:
    moments = [f"2026-11-{batch:02} {hour:02}:00:00+08" for hour in range(10)]
    rows = [{"station_no": station, "observed_at": moment} for station in stations for moment in moments]
    home.bench.load(HOURS, *rows, batch=batch)


def test_a_source_in_real_time_is_asked_once_a_day(home: Home) -> None:
    home.bench.load(STATIONS, {"station_no": "a"})
    hours(home, ["a"], 1)
    home.compare(HOURS)
    home.compare(HOURS, STATIONS)  # what it refers to has come: at once
    assert home.receipts_of(HOURS) == 2 and REFERS_HOURS not in home.seen(HOURS).waiting
    hours(home, ["x"], 2)
    home.compare(HOURS, STATIONS)
    assert home.receipts_of(HOURS) == 2 and REFERS_ISSUE not in home.open(HOURS)
    home.compare(HOURS, STATIONS, day=TODAY + timedelta(days=1))
    assert home.receipts_of(HOURS) == 3 and REFERS_ISSUE in home.open(HOURS)


def test_a_new_station_is_no_mistake_until_the_yearly_list_comes(home: Home) -> None:
    with (REPOSITORY / "data_contracts" / "codes" / "air_stations.csv").open(encoding="utf-8") as file:
        known = [row["code"] for row in csv.DictReader(file)]
    home.bench.load(STATIONS, *({"station_no": station} for station in known))
    hours(home, [*known, "new"], 1)
    home.compare(HOURS, STATIONS)
    assert REFERS_ISSUE not in home.open(HOURS)
    hours(home, [f"{station}?" for station in known], 2)  # a column that went astray
    home.compare(HOURS, STATIONS, day=TODAY + timedelta(days=1))
    assert REFERS_ISSUE in home.open(HOURS)
