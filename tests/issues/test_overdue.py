"""What nobody answers in time becomes an issue of the operator, and ends with the answer."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy as sa

from pipelines.contracts.calendar import WorkCalendar
from pipelines.contracts.forms.city import Duty
from pipelines.contracts.load import Contracts
from pipelines.issues import Finding, Issues, corrections
from pipelines.issues.feedback import DUTIES, Feedback, due
from pipelines.issues.overdue import escalate
from pipelines.messages import say
from pipelines.register import Register
from pipelines.register.tables import issue as table
from pipelines.settings import REPOSITORY, Settings

SUBJECT, MONDAY = "psb/household_person", datetime(2026, 11, 2, 4, tzinfo=UTC)


@pytest.fixture
def feedback(register: Register, contracts: Contracts, tmp_path: Path) -> Feedback:
    return Feedback(register, contracts, Settings(tmp_path, REPOSITORY, 0, 0, ""))


def late(register: Register) -> set[tuple[str, str, str]]:
    return {
        (row["code"], row["subject"], row["owner"])
        for row in Issues(register).open()
        if row["code"].startswith("overdue.")
    }


def test_the_operator_is_told_of_each_from_the_day_after_its_last(
    register: Register, contracts: Contracts, feedback: Feedback
) -> None:
    doubt = feedback.raise_(SUBJECT, "name", "steward", "张专员", "姓名有误")
    words = (
        "product",
        "versions",
        "columns",
        "source",
        "sure_zh",
        "sure_en",
        "right_zh",
        "right_en",
        "has_zh",
        "has_en",
    )
    about = dict.fromkeys(words, "1") | {"recipient": "甲", "rows": 1, "number": 7, "batch": 1}
    with register.begin() as connection:
        told = Finding("corrected.received", about, "error", "7.甲")
        notice = Issues.open_one(connection, "open/age_structure_by_county", "cab", told)
        connection.execute(sa.update(table).values(first_seen=MONDAY))
    Issues(register).report(SUBJECT, "psb", "drift", [Finding("drift.new_column", {"column": "x"}, "warning")])
    rows = {row["id"]: row for row in Issues(register).open()}
    last = {number: due(rows[number], contracts.city) for number in (doubt, notice)}
    days = {number: one.day for number, one in last.items() if one is not None}
    assert days == {doubt: date(2026, 11, 16), notice: date(2026, 11, 9)}
    city, day = contracts.city, timedelta(1)
    assert escalate(register, city, days[notice]) == 0 and late(register) == set()
    of_notice = (f"overdue.acknowledgement:{notice}", "open/age_structure_by_county", city.operator)
    of_doubt = (f"overdue.verification:{doubt}", SUBJECT, city.operator)
    assert escalate(register, city, days[notice] + day) == 1 and late(register) == {of_notice}
    for _ in range(2):
        assert escalate(register, city, days[doubt] + day) == 2 and late(register) == {of_notice, of_doubt}
    feedback.unfounded(doubt, "psb", "与户籍一致")
    with register.begin() as connection:
        corrections.acknowledge(connection, notice, "王工", "已更新")
    assert escalate(register, city, days[doubt] + day) == 0 and late(register) == set()
    assert len(Issues(register).open()) == 1, "what a run found today is not late"


@pytest.mark.parametrize(
    ("finding", "duty"),
    [
        (Finding("admit.refused", {"rule": "x", "rows": 3}, "error", "x", 3), "correction"),
        (Finding("drift.new_column", {"column": "x"}, "warning"), "correction"),
        (Finding("across.references", {}, "warning", "x"), "correction"),
        (Finding("rights.correction", {}, "warning", "r1"), "correction"),
        (Finding("freshness.late", {}, "warning"), "delivery"),
        (Finding("pull.nothing_yet", {"subject": SUBJECT}, "warning"), "delivery"),
        (Finding("recall.read", {}, "error", "1.甲"), "recall"),
    ],
)
def test_what_runs_find_has_a_day_and_ends_with_the_run_that_finds_it_no_more(
    register: Register, contracts: Contracts, monkeypatch: pytest.MonkeyPatch, finding: Finding, duty: Duty
) -> None:
    monkeypatch.setattr(Finding, "text", lambda *_: "said elsewhere")
    issues, city = Issues(register), contracts.city
    assert city.workCalendar is not None
    area = finding.code.partition(".")[0]
    issues.report(SUBJECT, "psb", area, [finding])
    with register.begin() as connection:
        connection.execute(sa.update(table).values(first_seen=MONDAY))
    (row,) = issues.open()
    last = due(row, city)
    assert last is not None and last == WorkCalendar(city.workCalendar).due(MONDAY.date(), city.deadlines[duty].days)
    issues.report(SUBJECT, "psb", area, [finding])  # seen again: the day does not move
    assert due(issues.open()[0], city) == last
    assert escalate(register, city, last.day) == 0
    assert escalate(register, city, last.day + timedelta(1)) == 1
    assert late(register) == {(f"overdue.{duty}:{row['id']}", SUBJECT, city.operator)}
    assert escalate(register, city.model_copy(update={"deadlines": {}}), last.day + timedelta(1)) == 0
    assert escalate(register, city, last.day + timedelta(1)) == 1
    issues.report(SUBJECT, "psb", area, [])
    assert escalate(register, city, last.day + timedelta(1)) == 0 and issues.open() == []


def test_every_duty_is_said_in_words_and_has_a_day_in_the_city(contracts: Contracts) -> None:
    assert contracts.city.deadlines.keys() == set(DUTIES.values()) == set(get_args(Duty))
    for duty in get_args(Duty):
        about = {"number": 1, "owner": "psb", "day": "2026-11-30"}
        for code in (f"overdue.{duty}", *(f"overdue.{duty}.{state}" for state in ("due", "provisional", "overdue"))):
            assert "2026-11-30" in say(code, **about), code
