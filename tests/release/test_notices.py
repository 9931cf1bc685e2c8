"""Departments are told in time of what ends: one issue each, counts only, closed with what became of the rows."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from citylake.output import proof_text
from pipelines.contracts.forms.products import Notice
from pipelines.contracts.load import Contracts
from pipelines.issues import Issues
from pipelines.lake.build import BuildResult
from pipelines.lake.edition import Edition
from pipelines.register import Register
from pipelines.release.editor import Editor, Judged, Outcome
from pipelines.release.ledger import Ledger
from pipelines.release.notices import AREA, Notices, notices
from pipelines.run import Built, Run, opened
from pipelines.settings import Settings
from tests.city import REPOSITORY

EXPIRING = "lib_e_licence__expiring"
FOOD, CARD = "食品经营许可证", "社会保障卡"
AMR, HRSSB, NOBODY = "11341500MBX8000408", "11341500MBX800032D", "11341500MBX800999X"
DAY = date(2026, 11, 24)
Licence = tuple[str, str, str, date, str]
"""Identifier, issuer, name, last day, status."""


@pytest.fixture
def desk(register: Register) -> Issues:
    return Issues(register)


def told(contracts: Contracts, licences: list[Licence], day: date) -> Notices:
    contract = contracts.models[EXPIRING]
    assert isinstance(contract.form.notice, Notice)
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE licence (licence_identifier VARCHAR, issuer_uscc VARCHAR, licence_name VARCHAR, "
            "valid_to DATE, licence_status VARCHAR)"
        )
        for licence in licences:
            con.execute("INSERT INTO licence VALUES (?, ?, ?, ?, ?)", licence)
        expiring = f"(SELECT * FROM licence WHERE licence_status = '1' AND valid_to >= DATE '{day}')"
        return notices(con, contract, contract.form.notice, expiring, "licence", contracts, day)


def test_each_department_has_an_issue_for_each_kind_and_month(contracts: Contracts, desk: Issues) -> None:
    licences: list[Licence] = [
        ("a", AMR, FOOD, date(2026, 12, 24), "1"),
        ("b", AMR, FOOD, date(2026, 12, 3), "1"),
        ("c", AMR, FOOD, date(2027, 1, 1), "1"),
        ("d", HRSSB, CARD, date(2026, 12, 5), "1"),
        ("e", NOBODY, CARD, date(2026, 12, 5), "1"),
        ("f", AMR, FOOD, date(2026, 12, 4), "6"),
    ]
    found = told(contracts, licences, DAY)
    desk.report(EXPIRING, "dsrb", AREA, found.findings, found.proof)
    seen = {(row["owner"], row["count"], row["code"].rpartition(".")[2]) for row in desk.open()}
    assert seen == {("amr", 2, "202612"), ("amr", 1, "202701"), ("hrssb", 1, "202612"), ("dsrb", 1, "202612")}
    (food,) = (row["text"] for row in desk.open() if row["count"] == 2)
    assert FOOD in food["zh"] and "2026-12-03" in food["zh"] and "2026-12-03" in food["en"]
    # one is renewed, the other ends: the issue closes with both, the rest stays
    later = date(2026, 12, 25)
    after = [(*one[:4], "6" if one[0] == "a" else one[4]) for one in licences]
    found = told(contracts, after, later)
    desk.report(EXPIRING, "dsrb", AREA, found.findings, found.proof)
    assert [(row["owner"], row["count"]) for row in desk.open()] == [("amr", 1)]
    (closed,) = (row for row in desk.proved() if row["owner"] == "amr")
    assert closed["text"]["proof"] == {"day": "2026-12-25", "rows": 3, "ended": 3, "became": {"有效": 1, "变更": 2}}
    assert f"{FOOD}.202612 已办结：截至 2026-12-25，共 3 份，已过有效期 3 份；现状 有效 1、变更 2" in proof_text(closed)


def test_nothing_ends(contracts: Contracts, desk: Issues) -> None:
    assert told(contracts, [], DAY) == Notices()
    only_past = told(contracts, [("a", AMR, FOOD, DAY - timedelta(days=1), "1")], DAY)
    assert only_past.findings == ()


def test_the_issuer_is_told_of_licences_that_a_newer_one_replaced(contracts: Contracts, desk: Issues) -> None:
    """One issue for each issuer and type, not for each month; it closes when none is left."""
    model = "lib_e_licence__licence"
    contract = contracts.models[model]
    notice = contract.form.notice
    assert isinstance(notice, Notice)
    with duckdb.connect() as con:
        con.execute("CREATE TABLE licence (issuer_uscc VARCHAR, licence_name VARCHAR, superseded_since DATE)")
        rows = [(AMR, FOOD, date(2020, 1, 5)), (AMR, FOOD, date(2024, 3, 1)), (HRSSB, CARD, DAY), (AMR, CARD, None)]
        con.executemany("INSERT INTO licence VALUES (?, ?, ?)", rows)
        for left in (2, 0):
            found = notices(con, contract, notice, "licence", None, contracts, DAY)
            desk.report(model, "dsrb", AREA, found.findings, found.proof)
            assert len(desk.open()) == left
            if left:
                assert {(row["owner"], row["count"]) for row in desk.open()} == {("amr", 2), ("hrssb", 1)}
                (food,) = (row["text"] for row in desk.open() if row["owner"] == "amr")
                assert FOOD in food["zh"] and "2020-01-05" in food["zh"] and "2020-01-05" in food["en"]
            con.execute("UPDATE licence SET superseded_since = NULL")


def test_departments_are_told_of_what_they_reported_late(contracts: Contracts, desk: Issues) -> None:
    """One issue for each authority, kind by its name, and month of the report; it closes when none is told any more."""
    model = "lib_credit__reporting"
    contract = contracts.models[model]
    notice = contract.form.notice
    assert isinstance(notice, Notice)
    with duckdb.connect() as con:
        con.execute("CREATE TABLE decision (authority_uscc VARCHAR, decision_kind VARCHAR, late_reported_on DATE)")
        rows = [(AMR, "1", date(2026, 10, 9)), (AMR, "1", date(2026, 10, 30)), (AMR, "2", DAY), (AMR, "2", None)]
        con.executemany("INSERT INTO decision VALUES (?, ?, ?)", rows)
        found = notices(con, contract, notice, "decision", None, contracts, DAY)
        desk.report(model, "drc", AREA, found.findings, found.proof)
        assert {(row["owner"], row["count"], row["code"].partition(".")[2]) for row in desk.open()} == {
            ("amr", 2, f"late:{AMR}.1.202610"),
            ("amr", 1, f"late:{AMR}.2.202611"),
        }
        (permits,) = (row["text"]["zh"] for row in desk.open() if row["count"] == 2)
        assert "行政许可" in permits and "2026-10 报送" in permits and "2026-10-09" in permits
        con.execute("UPDATE decision SET late_reported_on = NULL")
        found = notices(con, contract, notice, "decision", None, contracts, DAY)
        desk.report(model, "drc", AREA, found.findings, found.proof)
        assert desk.open() == []


def test_departments_are_told_before_a_version_is_published(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No run looks again at a version that is in the ledger: whom a killed one had not told would not be told."""
    settings = Settings(tmp_path, REPOSITORY, 0, 0, f"sqlite:///{tmp_path / 'register.db'}")
    ends = told(contracts, [("a", AMR, FOOD, date(2026, 12, 24), "1")], DAY)
    judged = Judged({EXPIRING: Outcome(EXPIRING, "dsrb", None, 1, (), None, notices=ends)}, [], [])

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("pipelines.run.sensitivity", lambda *_: None)
    monkeypatch.setattr(Run, "_models", lambda _: {})
    monkeypatch.setattr(Editor, "judge", lambda *_: judged)
    monkeypatch.setattr(Ledger, "publish", kill)
    with pytest.raises(Killed), opened(settings, "killed") as run:
        run._release(Built(Edition("e1", DAY, {}), 1, {}, (EXPIRING,), BuildResult({}, [], 0)))
    register = Register(settings.register_url)
    assert [row["owner"] for row in Issues(register).open(EXPIRING)] == ["amr"]
    register.close()


def test_issues_hold_no_identifier(contracts: Contracts) -> None:
    (finding,) = told(contracts, [("1.2.156.3005.2.X", AMR, FOOD, DAY, "1")], DAY).findings
    assert "1.2.156" not in finding.text("zh") + finding.text("en") + finding.identity
    assert replace(finding, rows=2).identity == finding.identity
