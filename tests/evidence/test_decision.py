"""The decision, case by case."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipelines.evidence.record import Check, Evidence, Statement, Status
from pipelines.messages import catalogue
from pipelines.release.decision import REQUIRED, decide, kind_of
from pipelines.release.ledger import Recorded

MODEL, OPEN, SHARED = "lib_population__person", "open/ages", "sharing/persons"
FAILED = Statement("evidence.rule_failed", {"rule": "name.required", "failed": 2, "evaluated": 9})


def complete(subject: str) -> Evidence:
    checks = (Check(name, "pass", 0, 0) for name in sorted(REQUIRED[kind_of(subject)]))
    return Evidence(subject, "now", tuple(checks))


def without(subject: str, name: str) -> Evidence:
    whole = complete(subject)
    return replace(whole, checks=tuple(check for check in whole.checks if check.check != name))


def with_check(subject: str, name: str, status: Status, *details: Statement) -> Evidence:
    return replace(without(subject, name), checks=(*without(subject, name).checks, Check(name, status, 1, 0, details)))


@pytest.mark.parametrize(
    ("subject", "evidence", "refused", "codes"),
    [
        (MODEL, complete(MODEL), [], []),
        (OPEN, complete(OPEN), [], []),
        (SHARED, complete(SHARED), [], []),
        (MODEL, None, [], ["evidence.none"]),
        (MODEL, replace(complete(MODEL), fingerprint="before"), [], ["evidence.stale"]),
        (MODEL, replace(complete(MODEL), subject=OPEN), [], ["evidence.other_subject"]),
        (MODEL, replace(complete(MODEL), checks=()), [], ["evidence.check_missing"] * 3),
        (MODEL, without(MODEL, "second_opinion"), [], ["evidence.check_missing"]),
        (OPEN, without(OPEN, "personal_values"), [], ["evidence.check_missing"]),
        (OPEN, without(OPEN, "anonymity"), [], ["evidence.check_missing"]),
        (SHARED, without(SHARED, "allow_list"), [], ["evidence.check_missing"]),
        (MODEL, with_check(MODEL, "rules", "fail", FAILED), [], ["evidence.rule_failed"]),
        (MODEL, with_check(MODEL, "rules", "fail"), [], ["evidence.check_failed"]),
        (MODEL, with_check(MODEL, "rules", "error"), [], ["evidence.check_failed"]),
        (SHARED, with_check(SHARED, "anonymity", "fail"), [], ["evidence.check_failed"]),
        (MODEL, complete(MODEL), ["lib_geography__division"], ["evidence.upstream_refused"]),
        (MODEL, None, ["a", "b"], ["evidence.upstream_refused", "evidence.upstream_refused", "evidence.none"]),
    ],
)
def test_decisions(subject: str, evidence: Evidence | None, refused: list[str], codes: list[str]) -> None:
    decision = decide(subject, "now", evidence, None, refused)
    assert [reason.code for reason in decision.reasons] == codes
    assert decision.approved is (not codes)
    assert all(reason.text(language) for reason in decision.reasons for language in ("zh", "en"))


WITHDRAWAL = Recorded(7, datetime(2026, 11, 23, tzinfo=UTC), "withdrawal", OPEN, "e1", 3, {}, "h")


@pytest.mark.parametrize(
    ("evidence", "refused", "codes", "only_withdrawn"),
    [
        (complete(OPEN), [], ["evidence.withdrawn"], True),
        (with_check(OPEN, "rows", "fail"), [], ["evidence.withdrawn", "evidence.check_failed"], False),
        (without(OPEN, "rows"), [], ["evidence.withdrawn", "evidence.check_missing"], False),
        (replace(complete(OPEN), fingerprint="before"), [], ["evidence.withdrawn", "evidence.stale"], False),
        (None, ["a"], ["evidence.withdrawn", "evidence.upstream_refused", "evidence.none"], False),
    ],
)
def test_good_evidence_does_not_undo_a_withdrawal(
    evidence: Evidence | None, refused: list[str], codes: list[str], only_withdrawn: bool
) -> None:
    for previous in (None, replace(WITHDRAWAL, kind="release", body={"fingerprint": "now"})):
        decision = decide(OPEN, "now", evidence, previous, refused, WITHDRAWAL)
        assert (decision.approved, decision.only_withdrawn) == (False, only_withdrawn)
        assert [reason.code for reason in decision.reasons] == codes
        assert "citylake reinstate open/ages" in decision.reasons[0].text("zh")


def test_what_is_approved_is_not_withheld() -> None:
    assert not decide(OPEN, "now", complete(OPEN), None).only_withdrawn


def test_a_version_that_is_published_already_is_unchanged() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    previous = Recorded(1, at, "release", MODEL, "e1", 3, {"fingerprint": "now"}, "h")
    assert decide(MODEL, "now", complete(MODEL), previous).unchanged
    assert not decide(MODEL, "now", complete(MODEL), replace(previous, body={"fingerprint": "before"})).unchanged
    assert not decide(MODEL, "now", complete(MODEL), None).unchanged


def test_every_text_is_there_in_both_languages() -> None:
    texts = {code: text for code, text in catalogue().items() if code.startswith("evidence.")}
    assert texts and all(set(text) == {"zh", "en"} for text in texts.values())
