"""Guarded corrections: applied only where the delivered value is the expected one, counted, and told when outlived."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipelines.admission.admit import Admitted
from pipelines.contracts.forms.sources import CorrectionForm
from pipelines.register.receipts import REPLAY, Stage
from tests.admission.conftest import Intake
from tests.admission.test_admit import GOOD
from tests.admission.test_drift import BIRTH, PERSON, births, deliver, persons


def correction(name: str = "wrong_code", **values: Any) -> CorrectionForm:
    given = {"column": "education", "where": {"record_no": "R1"}, "expect": "77", "set": "20"}
    about = {"reason": "系统迁移写错", "status": "sent", "since": "2026-11-01"}
    return CorrectionForm(id=name, **(about | given | values))


def correcting(source: Intake, *corrections: CorrectionForm) -> Intake:
    form = source.contract.form.model_copy(update={"corrections": list(corrections)})
    source.contract = replace(source.contract, form=form)
    return source


def told(outcome: Admitted) -> list[str]:
    return [finding.identity for finding in outcome.findings]


def test_only_the_row_and_the_value_expected_are_corrected(intake: Callable[..., Intake]) -> None:
    source = correcting(intake(PERSON), correction())
    rows = [GOOD | {"RYBH": f"R{number}", "WHCD": value} for number, value in enumerate(("77", " ７７", "10"))]
    outcome = deliver(source, rows)
    assert (outcome.accepted, outcome.by_rule) == (2, {"education.in_codes": 1})
    assert {key: row["education"] for (key,), row in source.current().items()} == {"R1": "20", "R2": "10"}
    assert outcome.corrections == {"wrong_code": {"rows": 1, "corrected": 1, "state": "matched"}}
    receipt = source.receipts.last(Stage.ADMIT, PERSON)
    assert receipt is not None and receipt.body["corrections"]["wrong_code"]["corrected"] == 1
    assert told(outcome) == []


def test_raw_stays_as_it_was_received(intake: Callable[..., Intake]) -> None:
    source = correcting(intake(PERSON), correction(set="98"))
    deliver(source, [GOOD | {"RYBH": "R1", "WHCD": "77"}])
    (refused,) = source.refused(1)
    assert refused["rules"] == "education.in_codes" and json.loads(refused["delivered"])["WHCD"] == "77"


@pytest.mark.parametrize(
    ("expect", "set_", "delivered", "becomes"),
    [
        ("2005-01-01", "2005-01-02", "20050101", "2005-01-02"),
        ("2005-01-01", "2005-01-02", "2005/1/1", "2005-01-02"),
        ("00:00;00", "2005-01-02", "00:00;00", "2005-01-02"),
        ("2005-01-01", "2005-01-02", "20050103", "2005-01-03"),
        (None, "2005-01-02", None, "2005-01-02"),
    ],
)
def test_a_date_is_the_same_however_it_is_written(
    intake: Callable[..., Intake], expect: str | None, set_: str, delivered: str | None, becomes: str
) -> None:
    source = intake(PERSON)
    source.contract = replace(source.contract, rules=())
    correcting(source, correction(column="birth_date", expect=expect, set=set_))
    deliver(source, [GOOD | {"RYBH": "R1", "CSRQ ": delivered, "XM": "张三"}])
    assert str(source.current()["R1",]["birth_date"]) == becomes


def test_a_value_may_be_taken_away(intake: Callable[..., Intake]) -> None:
    source = correcting(intake(PERSON), correction(set=None))
    deliver(source, [GOOD | {"RYBH": "R1", "WHCD": "77"}])
    assert source.current()["R1",]["education"] is None


def test_what_the_source_mended_is_told_until_it_is_removed(intake: Callable[..., Intake]) -> None:
    source = correcting(intake(PERSON), correction())
    assert told(deliver(source, persons(40, WHCD="77"))) == []
    for _ in range(2):
        outcome = deliver(source, persons(40, WHCD="10"))
        assert told(outcome) == ["correction.no_longer_matches:wrong_code"]
        assert source.current()["R1",]["education"] == "10"
    assert "wrong_code" in outcome.findings[0].text("zh") and "77" not in outcome.findings[0].text("zh")
    assert told(deliver(correcting(source), persons(40, WHCD="10"))) == []


def test_what_returns_is_corrected_again(intake: Callable[..., Intake]) -> None:
    source = correcting(intake(PERSON), correction())
    for value in ("77", "10", "77"):
        rows = persons(40)
        rows[1]["WHCD"] = value
        outcome = deliver(source, rows)
    assert told(outcome) == [] and source.current()["R1",]["education"] == "20"


def test_a_row_that_is_gone_from_the_whole_table_is_told(intake: Callable[..., Intake]) -> None:
    source = correcting(intake(PERSON, deletionCeiling=1.0), correction(where={"record_no": "R39"}))
    deliver(source, persons(40, WHCD="77"))
    assert told(deliver(source, persons(39, WHCD="10"))) == ["correction.no_longer_matches:wrong_code"]


def test_a_correction_that_never_matched_is_told(intake: Callable[..., Intake]) -> None:
    source = correcting(intake(PERSON), correction(where={"record_no": "R999"}))
    for _ in range(2):
        assert told(deliver(source, persons())) == ["correction.unused:wrong_code"]


def test_a_delivery_of_changes_without_the_row_says_nothing(intake: Callable[..., Intake]) -> None:
    where = {"birth_certificate_no": "A000000001"}
    source = correcting(intake(BIRTH), correction(column="division_code", where=where, expect="341502", set="341503"))
    assert told(deliver(source, births(5))) == []
    assert told(deliver(source, births(5, 5))) == []
    assert source.current()["A000000001",]["division_code"] == "341503"
    assert source.current()["A000000002",]["division_code"] == "341502"
    mended = [row | {"居住地区划": "341503"} for row in births(2)]
    assert told(deliver(source, mended)) == ["correction.no_longer_matches:wrong_code"]


def test_a_replay_of_what_the_source_has_mended_since_is_told_still(intake: Callable[..., Intake]) -> None:
    where = {"birth_certificate_no": "A000000001"}
    source = correcting(intake(BIRTH), correction(column="division_code", where=where, expect="341502", set="341503"))
    old = births(5)
    deliver(source, old)
    deliver(source, [row | {"居住地区划": "341503"} for row in births(2)])
    replay = source.raw(old)
    source.receipts.add(Stage.PULL, BIRTH, {"origin": f"{REPLAY}1", "rows": len(old)}, replay.batch)
    assert told(source.admit(replay)) == ["correction.no_longer_matches:wrong_code"]


def test_several_corrections_of_one_row_and_column_do_not_follow_each_other(intake: Callable[..., Intake]) -> None:
    chain = correction("first"), correction("second", expect="20", set="10")
    source = correcting(intake(PERSON), *chain)
    outcome = deliver(source, [GOOD | {"RYBH": "R1", "WHCD": "77"}])
    assert source.current()["R1",]["education"] == "20"
    assert told(outcome) == ["correction.unused:second"]
