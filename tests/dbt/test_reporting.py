"""Whether decisions are reported within seven working days: over New Year, a spring festival, make-up days and a year
of which nobody knows yet which days are off; by authority and month."""

from collections.abc import Iterator
from datetime import date

import pytest
from libraries import Bench, new_bench

from pipelines.contracts.load import Contracts

REPORTING, MONTHS = "lib_credit__reporting", "mart_credit__reporting_month"
DECISIONS = ("lib_geography__division", "lib_legal_entity__entity", "lib_credit__permit", "lib_credit__penalty")
MODELS = (*DECISIONS, REPORTING, MONTHS)
AMR, HC = "11341500MBX8000408", "11341500MBX8000670"
DAY = date(2027, 1, 31)
OLD = {"credit_record_no": "OLD", "decided_on": "2020-01-01", "source_updated_at": "2026-01-01 00:00:00+00"}
IN_TIME, LATE, UNTOLD = "1", "2", "3"
REPORTED = {  # the day of the decision, of the report, working days by the calendar, what is told
    "same day": ("2026-03-03", "2026-03-03", 0, IN_TIME),
    "new year": ("2025-12-24", "2026-01-05", 7, IN_TIME),  # Sunday 4 January is worked
    "new year, a day later": ("2025-12-24", "2026-01-06", 8, LATE),
    "spring festival": ("2026-02-12", "2026-02-28", 7, IN_TIME),  # two Saturdays are worked
    "the Sunday after": ("2026-02-12", "2026-03-01", 8, LATE),
    "decided on a day of rest": ("2026-05-02", "2026-05-13", 7, IN_TIME),  # Saturday 9 May is worked
    "late when the source was taken over": ("2025-12-19", "2026-01-05", 10, UNTOLD),
    "long before the calendar": ("2019-06-01", "2026-06-01", 1347, UNTOLD),
    "next year, whatever is announced": ("2026-12-30", "2027-01-02", 2, IN_TIME),
    "next year, by what is announced": ("2026-12-28", "2027-01-06", 6, UNTOLD),
    "late before the year began": ("2026-12-15", "2027-01-04", 13, LATE),
    "before the decision": ("2026-07-02", "2026-07-01", None, UNTOLD),
}


def row(number: str, decided: str, reported: str, **given: object) -> dict[str, object]:
    """A decision as its source has it, entered at the first hour of a day in the city."""
    day = date.fromisoformat(reported)
    return {
        "credit_record_no": number, "decided_on": decided, "authority_uscc": AMR, "authority_name": "市场监管局",
        "subject_category": "1", "document_status": "1", "source_updated_at": f"{day} 00:30:00+08", **given,
    }  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Bench]:
    bench = new_bench(tmp_path_factory.mktemp("reporting"), contracts)
    limits = ({"decision_kind": kind, "limit_days": 7} for kind in "12")
    bench.load("drc/reporting_limit", *limits)
    bench.load("drc/permit", OLD, row("old", "2025-01-01", "2025-12-31"))
    bench.load("drc/penalty", row("old", "2025-01-01", "2025-12-31"))
    permits = [row(number, decided, reported) for number, (decided, reported, *_) in REPORTED.items()]
    bench.load("drc/permit", *permits, row("gone", "2026-01-05", "2026-06-01"), batch=2)
    # said again later, by whatever day; and the day of the decision corrected
    bench.load(
        "drc/permit",
        row("old", "2025-01-01", "2026-12-01", document_status="2"),
        row("same day", "2026-03-03", "2026-12-01", document_status="2"),
        row("corrected", "2026-12-10", "2026-12-11"),
        row("withdrawn when first seen", "2026-11-02", "2026-11-27", document_status="2"),
        batch=3,
    )
    bench.load("drc/permit", {"credit_record_no": "gone"}, batch=4, op="D")
    bench.load("drc/permit", row("corrected", "2026-11-20", "2026-12-20"), batch=5)
    bench.load(
        "drc/penalty",
        row("F1", "2026-12-01", "2026-12-11", authority_uscc=HC, authority_name="六安市卫生健康委员会"),
        row("F2", "2026-12-01", "2026-12-10", authority_uscc=HC, authority_name="六安市卫生健康委员会"),
        batch=2,
    )
    bench.build(*MODELS, day=DAY)
    yield bench


def test_working_days_and_what_they_say(bench: Bench) -> None:
    columns = "credit_record_no, decided_on::varchar, first_reported_on::varchar, working_days, reporting_state"
    found = {number: told for number, *told in bench.rows(REPORTING, columns, "decision_kind = '1'")}
    corrected, withdrawn = found.pop("corrected"), found.pop("withdrawn when first seen")
    assert found == {number: list(told) for number, told in REPORTED.items()}
    assert corrected == ["2026-11-20", "2026-12-11", 15, LATE], "the first report of the decision as it truly was"
    assert withdrawn == ["2026-11-02", "2026-11-27", 19, UNTOLD], "its source may have had it before"


def test_of_what_came_with_the_first_batch_nothing_is_told(bench: Bench) -> None:
    known = bench.rows(REPORTING, "decision_kind, credit_record_no", "lower(credit_record_no) = 'old'")
    assert known == [] and len(bench.rows("lib_credit__permit", "1", "lower(credit_record_no) = 'old'")) == 2


def test_each_row_names_its_first_version_and_its_limit(bench: Bench) -> None:
    rows = dict(bench.rows(REPORTING, "credit_record_no, source_rows"))
    assert rows["same day"] == '{"drc/permit":"3:1","drc/reporting_limit":"1:0","drc/permit#first":"2:0"}'
    assert rows["F2"] == '{"drc/penalty":"2:1","drc/reporting_limit":"1:1","drc/penalty#first":"2:1"}'


def test_authorities_are_told_of_late_reports_of_the_newest_two_months(bench: Bench) -> None:
    told = bench.rows(REPORTING, "credit_record_no, late_reported_on", "late_reported_on is not null")
    late = {"corrected": date(2026, 12, 11), "late before the year began": date(2027, 1, 4), "F1": date(2026, 12, 11)}
    assert dict(told) == late


def test_each_authority_has_its_share_for_each_month(bench: Bench) -> None:
    columns = (
        "authority_uscc, month, decisions_reported, reported_in_time, reported_late, reporting_untold, reporting_told, "
        "timely_rate"
    )
    found = bench.rows(MONTHS, columns)
    assert (AMR, "2026-01", 3, 1, 1, 1, 2, 0.5) in found
    assert (AMR, "2027-01", 3, 1, 1, 1, 2, 0.5) in found
    assert (AMR, "2026-07", 1, 0, 0, 1, 0, None) in found, "without any that is told there is no share"
    assert (HC, "2026-12", 2, 1, 1, 0, 2, 0.5) in found
    assert sum(row[2] for row in found) == len(bench.rows(REPORTING, "1"))
