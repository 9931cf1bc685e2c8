"""The decision, case by case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pipelines.contracts.forms.products import Approval
from pipelines.evidence.record import Check, Evidence, Statement, Status
from pipelines.messages import catalogue
from pipelines.release.approval import Asked, Permit, Words
from pipelines.release.decision import REQUIRED, decide, kind_of
from pipelines.release.editor import _told
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
    ("evidence", "refused", "codes", "waits"),
    [
        (complete(OPEN), [], ["evidence.withdrawn"], True),
        (with_check(OPEN, "rows", "fail"), [], ["evidence.withdrawn", "evidence.check_failed"], False),
        (without(OPEN, "rows"), [], ["evidence.withdrawn", "evidence.check_missing"], False),
        (replace(complete(OPEN), fingerprint="before"), [], ["evidence.withdrawn", "evidence.stale"], False),
        (None, ["a"], ["evidence.withdrawn", "evidence.upstream_refused", "evidence.none"], False),
    ],
)
def test_good_evidence_does_not_undo_a_withdrawal(
    evidence: Evidence | None, refused: list[str], codes: list[str], waits: bool
) -> None:
    for previous in (None, replace(WITHDRAWAL, kind="release", body={"fingerprint": "now"})):
        decision = decide(OPEN, "now", evidence, previous, refused, WITHDRAWAL)
        assert (decision.approved, decision.waits) == (False, waits)
        assert [reason.code for reason in decision.reasons] == codes
        assert "citylake reinstate open/ages" in decision.reasons[0].text("zh")


def test_what_is_approved_does_not_wait() -> None:
    assert not decide(OPEN, "now", complete(OPEN), None).waits


def test_a_version_that_is_published_already_is_unchanged() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    previous = Recorded(1, at, "release", MODEL, "e1", 3, {"fingerprint": "now"}, "h")
    assert decide(MODEL, "now", complete(MODEL), previous).unchanged
    assert not decide(MODEL, "now", complete(MODEL), replace(previous, body={"fingerprint": "before"})).unchanged
    assert not decide(MODEL, "now", complete(MODEL), None).unchanged


def test_every_text_is_there_in_both_languages() -> None:
    texts = {code: text for code, text in catalogue().items() if code.startswith("evidence.")}
    assert texts and all(set(text) == {"zh", "en"} for text in texts.values())


NOW = datetime(2026, 12, 1, 9, tzinfo=ZoneInfo("Asia/Shanghai"))
EARLIER, LATER = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)
PROPOSED = Recorded(8, NOW, "proposal", OPEN, "e1", None, {"who": "甲", "terms": "t", "from": None}, "h")
PERMIT = Permit(9, 8, "甲", "乙", "t", None)
NOBODY, SOMEBODY, BOTH = Words(), Words(PROPOSED), Words(None, PERMIT)


@pytest.mark.parametrize(
    ("asks", "not_before", "words", "code"),
    [
        (None, None, NOBODY, None),
        (None, EARLIER, NOBODY, None),
        (None, NOW, NOBODY, None),
        (None, LATER, NOBODY, "held_until"),
        (None, None, Words(None, replace(PERMIT, since=LATER)), None),  # nobody asks for it any more
        ("standing", None, NOBODY, "unapproved"),
        ("standing", EARLIER, NOBODY, "unapproved"),
        ("standing", None, SOMEBODY, "proposed"),
        ("standing", None, Words(replace(PROPOSED, body={**PROPOSED.body, "terms": "u"})), "unapproved"),
        ("standing", None, BOTH, None),
        ("standing", None, Words(PROPOSED, PERMIT), None),
        ("standing", None, Words(None, replace(PERMIT, used=True)), None),
        ("standing", None, Words(None, replace(PERMIT, terms="u")), "approval_changed"),
        ("standing", None, Words(PROPOSED, replace(PERMIT, terms="u")), "proposed"),
        ("standing", None, Words(None, replace(PERMIT, since=LATER)), "held_until"),
        ("standing", None, Words(None, replace(PERMIT, since=EARLIER)), None),
        ("standing", LATER, BOTH, "held_until"),
        ("standing", LATER, Words(None, replace(PERMIT, since=EARLIER)), "held_until"),
        ("standing", EARLIER, Words(None, replace(PERMIT, since=LATER)), "held_until"),
        ("each", None, NOBODY, "unapproved"),
        ("each", None, BOTH, None),
        ("each", None, Words(None, replace(PERMIT, used=True)), "approval_used"),
        ("each", None, Words(PROPOSED, replace(PERMIT, used=True)), "proposed"),
        ("each", None, Words(None, replace(PERMIT, used=True, terms="u")), "approval_changed"),
    ],
)
def test_what_a_good_version_waits_for(
    asks: Approval | None, not_before: datetime | None, words: Words, code: str | None
) -> None:
    release = Asked(NOW, asks, "t", not_before, words)
    decision = decide(OPEN, "now", complete(OPEN), None, asked=release)
    assert [reason.code for reason in decision.reasons] == ([f"evidence.{code}"] if code else [])
    assert (decision.approved, decision.waits) == (code is None, code is not None)
    assert all(OPEN in reason.text(language) for reason in decision.reasons for language in ("zh", "en"))
    bad = decide(OPEN, "now", with_check(OPEN, "rows", "fail"), None, asked=release)
    assert (bad.approved, bad.waits) == (False, False), "nobody's word makes bad evidence good"
    taken = decide(OPEN, "now", complete(OPEN), None, (), WITHDRAWAL, release)
    assert (taken.approved, taken.waits) == (False, True)


@pytest.mark.parametrize("waits", [False, True])
def test_several_reasons_are_told_as_one_sentence(waits: bool) -> None:
    stopped = Statement("lineage.lowered_idle", {"model": MODEL, "source": "sex", "to": 1})
    for text in _told(OPEN, [stopped, stopped], waits).both().splitlines():
        assert text.endswith(("。", ".")) and not {"。；", "。。", ".;", ".."} & {
            text[n : n + 2] for n in range(len(text))
        }
