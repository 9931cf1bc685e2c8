"""Drift: each change of a source is a named finding, the contract's policy is kept, no value of a person is told."""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.admission.admit import Admitted
from pipelines.admission.drift import HOLD
from pipelines.admission.profile import SAMPLE, _is_misread
from pipelines.admission.receive import REPLAY, Delivery
from pipelines.held import decide_batch
from pipelines.issues import Finding, Issues
from pipelines.lake import delta
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.run import Ingested, opened
from pipelines.settings import REPOSITORY, Settings
from tests.admission.conftest import Intake
from tests.admission.test_admit import GOOD

Rows = list[dict[str, Any]]
PERSON, BIRTH = "psb/household_person", "hc/birth_certificate"
PLANTED = ("341502200501010019", "张三丰", "13800001234", "13912345678", "金安区某路", "王五六", "某路7号")


def persons(count: int = 40, **values: Any) -> Rows:
    """Rows of persons that are all accepted, but for what `values` says of each."""
    return [
        GOOD
        | {"RYBH": f"R{number}", "HJ XZ": f"金安区某路{number}号"}
        | {name.replace("_", " "): value for name, value in values.items()}
        for number in range(count)
    ]


def deliver(source: Intake, rows: Rows) -> Admitted:
    """Rows with just the columns and types they have, as a connector leaves them."""
    source.batch += 1
    path = source.lake.raw(source.contract.org, source.contract.dataset) / str(source.batch) / "rows.parquet"
    path.parent.mkdir(parents=True)
    missing = dict.fromkeys(column.physical_name for column in source.contract.columns)
    frame = pl.DataFrame([missing | row for row in rows], infer_schema_length=None)
    frame.with_columns(pl.col(pl.Null).cast(pl.Utf8)).write_parquet(path)
    return source.admit(Delivery(source.batch, len(rows), path, True, ()))


def with_policy(source: Intake, **policies: str) -> Intake:
    form = source.contract.form
    drift = form.drift.model_copy(update=policies)
    source.contract = replace(source.contract, form=form.model_copy(update={"drift": drift}))
    return source


def codes(outcome: Admitted) -> list[str]:
    return [finding.identity for finding in outcome.findings]


def misread(text: str) -> str:
    return text.encode().decode("gbk", "replace")


CHANGES: dict[str, tuple[Rows, str]] = {
    "a code that no list has": (persons(30) + persons(40, MZDM="Z9")[30:], "drift.codes:ethnicity"),
    "names where codes were": (persons(MZDM="王五六"), "drift.codes:ethnicity"),
    "text that became a number": (persons(SSXQ=341502001001), "drift.retyped:division_code"),
    "UTF-8 read as GBK": (
        [row | {"HJ XZ": misread(row["HJ XZ"] + "某")} for row in persons()],
        "drift.encoding:address",
    ),
    "UTF-8 read as Latin-1": (
        [row | {"HJ XZ": row["HJ XZ"].encode().decode("latin-1")} for row in persons()],
        "drift.encoding:address",
    ),
    "UTF-8 read as Windows-1252": (
        [row | {"HJ XZ": row["HJ XZ"].encode().decode("cp1252", "replace")} for row in persons()],
        "drift.encoding:address",
    ),
    "replacement characters as GBK": (persons(HJ_XZ="锟斤拷锟斤拷7号"), "drift.encoding:address"),
}


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_source_is_a_finding(intake: Callable[..., Intake], change: str) -> None:
    rows, expected = CHANGES[change]
    source = intake(PERSON)
    assert codes(deliver(source, persons())) == []
    found = codes(deliver(source, rows))
    assert found == [expected]


def test_an_unchanged_day_is_none(intake: Callable[..., Intake]) -> None:
    source = intake(PERSON)
    for day in range(7):
        rows = persons(60 + day % 2)
        rows[day]["HJ XZ"], rows[day + 1]["MZDM"] = "裕安区新路", "Z9"  # one slip is no drift
        outcome = deliver(source, rows)
        assert (codes(outcome), outcome.held) == ([], {})


def test_a_first_delivery_and_an_empty_one_are_none(intake: Callable[..., Intake]) -> None:
    source = intake(PERSON, volumeFloor=0.0)
    assert codes(deliver(source, persons(MZDM="Z9"))) == []
    nothing = source.deliver([])
    assert (codes(nothing), nothing.received) == ([], 0)


@pytest.mark.parametrize(("before", "after", "written"), [(3000, 3, "÷1000"), (3, 3000, "×1000"), (30000, 3, "÷10000")])
def test_a_shift_of_units_holds_the_batch(intake: Callable[..., Intake], before: int, after: int, written: str) -> None:
    source = intake(BIRTH)
    deliver(source, births(60, weight=before))
    outcome = deliver(source, births(60, 60, weight=after))
    assert codes(outcome) == ["drift.units:weight_g"]
    (finding,) = outcome.findings
    assert (finding.severity, finding.arguments["factor"]) == ("error", written)
    assert ("万元" in finding.text("zh")) == (written == "÷10000")
    assert list(outcome.held) == [HOLD] and "出生体重" in str(outcome.held[HOLD])


def test_few_amounts_and_a_small_move_are_no_shift_of_units(intake: Callable[..., Intake]) -> None:
    source = intake(BIRTH)
    deliver(source, births(60, weight=3000))
    assert codes(deliver(source, births(20, 60, weight=3))) == []
    assert codes(deliver(source, births(60, 100, weight=6000))) == []


def test_an_unusual_volume_is_told(intake: Callable[..., Intake]) -> None:
    source = intake(BIRTH)
    for day in range(5):
        assert codes(deliver(source, births(60 + day, day * 100))) == []
    outcome = deliver(source, births(300, 1000))
    assert codes(outcome) == ["drift.volume"] and outcome.accepted == 300
    assert "300" in outcome.findings[0].text("zh")


def household(number: int, kept: int = 18) -> str:
    """A number of 18 digits, of which a workbook keeps fewer."""
    return str(341502200001010007 + 7919 * number)[:kept].ljust(18, "0")


@pytest.mark.parametrize("first", [False, True])
def test_long_numbers_that_a_workbook_has_cut_are_told(intake: Callable[..., Intake], first: bool) -> None:
    """Also in the first delivery; three alone may be chance."""
    source = intake(PERSON)
    if not first:
        whole = [row | {"HH": household(number, 15 if number < 3 else 18)} for number, row in enumerate(persons())]
        assert codes(deliver(source, whole)) == []
    outcome = deliver(source, [row | {"HH": household(number * 997, 15)} for number, row in enumerate(persons())])
    assert codes(outcome) == ["drift.digits:household_no"] and list(outcome.held) == [HOLD]
    (finding,) = outcome.findings
    assert finding.severity == "error" and "HH" in finding.text("zh") and household(0, 15) not in finding.text("zh")


def test_a_few_that_end_in_zeros_among_hundreds_are_chance(intake: Callable[..., Intake]) -> None:
    """One number in a thousand does; in a register of three hundred of a drawn city four did, and it was held."""
    rows = [row | {"HH": household(number, 15 if number < 4 else 18)} for number, row in enumerate(persons(310))]
    assert codes(deliver(intake(PERSON), rows)) == []


def test_codes_that_are_filled_up_with_zeros_are_usual_once_the_steward_has_said_so(
    intake: Callable[..., Intake],
) -> None:
    source = with_policy(intake(PERSON), digits="evolve")
    rows = [row | {"HH": f"{341502200001 + number}000000"} for number, row in enumerate(persons())]
    assert [finding.severity for finding in deliver(source, rows).findings] == ["warning"]
    assert codes(deliver(source, rows)) == []


def test_evolve_takes_the_change_for_granted(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(PERSON), retyped="evolve")
    deliver(source, persons())
    outcome = deliver(source, persons(SSXQ=341502001001))
    assert [(one.code, one.severity) for one in outcome.findings] == [("drift.retyped", "warning")]
    assert codes(deliver(source, persons(SSXQ=341502001001))) == []


def test_freeze_stays_an_error_until_the_contract_is_changed(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(PERSON), codes="freeze")
    deliver(source, persons())
    for _ in range(2):
        outcome = deliver(source, persons(MZDM="Z9"))
        assert [(one.code, one.severity) for one in outcome.findings] == [("drift.codes", "error")]
        assert not outcome.held
    source.contract = replace(source.contract, hash="another")  # something else in it has changed
    assert codes(deliver(source, persons(MZDM="Z9"))) == ["drift.codes:ethnicity"]
    with_policy(source, codes="evolve")
    assert codes(deliver(source, persons(MZDM="Z9"))) == []


def test_a_type_that_is_back_ends_its_drift_with_a_single_row(intake: Callable[..., Intake]) -> None:
    source = intake(PERSON, volumeFloor=0.0, deletionCeiling=1.0)
    deliver(source, persons())
    assert codes(deliver(source, persons(SSXQ=341502001001))) == ["drift.retyped:division_code"]
    assert codes(deliver(source, persons(2, SSXQ=341502001001))) == ["drift.retyped:division_code"]
    assert codes(deliver(source, persons(1))) == []
    assert codes(deliver(source, persons(SSXQ=341502001001))) == ["drift.retyped:division_code"]


def test_a_type_that_is_back_does_not_end_another_drift_of_its_column(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(PERSON, volumeFloor=0.0, deletionCeiling=1.0), codes="freeze")
    deliver(source, persons())
    deliver(source, persons(MZDM=77))
    assert codes(deliver(source, persons(1))) == ["drift.unsettled:ethnicity"]
    assert codes(deliver(source, persons())) == []


def test_what_failed_pulls_left_behind_is_no_unusual_volume(intake: Callable[..., Intake]) -> None:
    source = intake(BIRTH)
    for day in range(5):
        deliver(source, births(60 + day, day * 100))
    for _ in range(2):
        source.receipts.add(Stage.FAILURE, BIRTH, {"finding": "pull.columns_missing", "message": ""})
    assert codes(deliver(source, births(180, 1000))) == []
    assert codes(deliver(source, births(180, 2000))) == ["drift.volume"]


def test_frozen_drift_closes_when_the_source_returns(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(PERSON), codes="freeze")
    deliver(source, persons())
    deliver(source, persons(MZDM="Z9"))
    assert codes(deliver(source, persons())) == []


def test_quarantine_takes_the_column_not_over(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(PERSON), codes="quarantine")
    deliver(source, persons())
    outcome = deliver(source, persons(MZDM="Z9"))
    assert (outcome.accepted, outcome.held) == (40, {})
    assert [(one.code, one.severity) for one in outcome.findings] == [("drift.codes", "error")]
    assert {row["ethnicity"] for row in source.current().values()} == {None}
    assert {row["sex"] for row in source.current().values()} == {"1"}
    deliver(source, persons())
    assert {row["ethnicity"] for row in source.current().values()} == {"01"}


def test_a_small_batch_does_not_end_a_quarantine(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(BIRTH), units="quarantine")
    deliver(source, births(60, weight=3000))
    assert codes(deliver(source, births(60, 60, weight=3))) == ["drift.units:weight_g"]
    outcome = deliver(source, births(5, 120, weight=3))
    assert (codes(outcome), outcome.accepted) == (["drift.unsettled:weight_g"], 5)
    assert source.current()["A000000122",]["weight_g"] is None
    assert codes(deliver(source, births(60, 200, weight=3000))) == []
    assert source.current()["A000000200",]["weight_g"] is not None


def test_a_replay_is_not_compared_and_keeps_the_quarantine(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(BIRTH), units="quarantine")
    deliver(source, births(60, weight=3000))
    deliver(source, births(60, 60, weight=3))
    body = {"origin": f"{REPLAY}2", "rows": 60}
    source.receipts.add(Stage.PULL, BIRTH, body, source.batch + 1)
    again = deliver(source, births(60, 200, weight=3))
    assert codes(again) == [] and source.current()["A000000201",]["weight_g"] is None
    assert codes(deliver(source, births(60, 300, weight=3000))) == []


def test_a_required_column_cannot_be_left_out_so_the_batch_is_held(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(PERSON), retyped="quarantine")
    deliver(source, persons())
    outcome = deliver(source, persons(XBDM=1))
    assert list(outcome.held) == [HOLD]


def test_stop_holds_until_the_steward_confirms(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(PERSON), codes="stop")
    deliver(source, persons())
    version = delta.latest(source.core)
    outcome = deliver(source, persons(HJ_XZ="新址", MZDM="Z9"))
    assert list(outcome.held) == [HOLD] and delta.latest(source.core) == version
    assert source.receipts.last(Stage.ADMIT, PERSON, source.batch) is None
    source.receipts.add(Stage.CONFIRM, PERSON, {"who": "x", "why": "y"}, source.batch)
    path = source.lake.raw("psb", "household_person") / str(source.batch) / "rows.parquet"
    again = source.admit(Delivery(source.batch, 40, path, False, ()))
    assert (again.held, [one.severity for one in again.findings]) == ({}, ["warning"])
    assert codes(deliver(source, persons(MZDM="Z9"))) == []


def test_a_new_column_may_stop_the_batch(intake: Callable[..., Intake]) -> None:
    source = with_policy(intake(PERSON), new_column="stop")
    deliver(source, persons())
    assert "BZ" in source.contract.form.ignored
    assert not deliver(source, persons(BZ="x")).held
    assert "XZD" in str(deliver(source, persons(XZD="x")).held[HOLD])


def test_no_value_of_a_person_is_told(intake: Callable[..., Intake]) -> None:
    """Values of persons in every column, code columns too: of those only what looks like a code may be shown."""
    source = with_policy(intake(PERSON), codes="freeze", encoding="freeze", retyped="evolve")
    deliver(source, persons())
    shifted = persons(
        MZDM="13912345678", XBDM="341502200501010019", SSXQ="13912345678", WHCD="王五六", HJ_XZ="锟斤拷某路7号"
    )
    outcome = deliver(source, shifted)
    assert {"drift.codes:ethnicity", "drift.codes:sex", "drift.codes:division_code", "drift.codes:education"} <= set(
        codes(outcome)
    )
    told = json.dumps([vars(receipt)["body"] for receipt in source.receipts.history(PERSON)], ensure_ascii=False)
    told += "".join(finding.text(language) for finding in outcome.findings for language in ("zh", "en"))
    assert [value for value in PLANTED if value in told] == []


def test_a_large_batch_is_sampled_from_all_its_parts(intake: Callable[..., Intake]) -> None:
    source = intake(PERSON)
    count = SAMPLE + 10_000
    missing = dict.fromkeys(column.physical_name for column in source.contract.columns)
    frame = pl.DataFrame([missing | row for row in persons(100)]).with_columns(pl.col(pl.Null).cast(pl.Utf8))
    big = pl.concat([frame] * (count // 100)).with_columns(RYBH=pl.Series([f"R{n}" for n in range(count)]))
    for batch, code in enumerate(("01", "Z9"), 1):
        path = source.lake.raw("psb", "household_person") / str(batch) / "rows.parquet"
        path.parent.mkdir(parents=True)
        half = pl.when(pl.int_range(pl.len()) >= count // 2).then(pl.lit(code)).otherwise(pl.lit("01"))
        big.with_columns(MZDM=half).write_parquet(path, row_group_size=5_000)
        source.batch = batch
        outcome = source.admit(Delivery(batch, count, path, True, ()))
    assert codes(outcome) == ["drift.codes:ethnicity"]
    sample = outcome.findings[0].arguments["sample"]
    assert 0 < sample <= SAMPLE
    assert 0.3 * sample < outcome.findings[0].rows < 0.7 * sample


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=2, max_size=20))
def test_what_was_misread_is_seen(text: str) -> None:
    try:
        garbled = text.encode().decode("gb18030")
    except UnicodeDecodeError:
        return
    assert _is_misread(garbled)


NAMES = (
    "出生证编号 新生儿姓名 性别 出生时间 出生体重（克） 接生机构 母亲姓名 母亲身份证号 父亲姓名 父亲身份证号 居住地区划"
)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def mother(number: int) -> str:
    """An identity number that nobody has: a woman born in 1990."""
    body = f"34150219900101{number * 2 % 1000:03}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


def births(count: int, first: int = 0, weight: int = 3000) -> Rows:
    names = NAMES.split()
    rows = []
    for number in range(first, first + count):
        born, grams = f"2026-01-0{number % 9 + 1} 08:00:00", str(weight + weight * (number % 7) / 100)
        mother_of, here = ("李甲", mother(number)), "341502"
        values = (f"A{number:09}", "甲乙", "1", born, grams, "市人民医院", *mother_of, None, None, here)
        rows.append(dict(zip(names, values, strict=True)))
    return rows


class Department:
    """A home, and the folder that the hospital drops its files into."""

    def __init__(self, root: Path) -> None:
        self.project, home = root / "project", root / "home"
        shutil.copytree(REPOSITORY / "data_contracts", self.project / "data_contracts")
        self.contract = self.project / "data_contracts" / "sources" / f"{BIRTH}.yaml"
        self.folder = root / "drop"
        self.folder.mkdir()
        self.settings = Settings(home, self.project, 0, 0, f"sqlite:///{home / 'register.db'}")
        self.settings.prepare()
        self.settings.store_secret("hc_drop", self.folder.as_uri())

    def change(self, old: str, new: str) -> None:
        text = self.contract.read_text("utf-8")
        assert text.count(old) == 1
        self.contract.write_text(text.replace(old, new), "utf-8")

    def put(self, day: int, rows: Rows, renamed: dict[str, str] | None = None) -> None:
        names = list(rows[0])
        lines = [
            [(renamed or {}).get(name, name) for name in names],
            *([row[name] or "" for name in names] for row in rows),
        ]
        file = self.folder / f"birth_{day:03}.csv"
        file.write_bytes("".join(f"{','.join(line)}\n" for line in lines).encode("gbk"))
        file.with_name(f"{file.name}.ok").touch()

    def run(self) -> Ingested:
        with opened(self.settings, "test") as run:
            return run.ingest(BIRTH)

    def issues(self) -> list[dict[str, Any]]:
        register = Register(self.settings.register_url)
        found = Issues(register).open(BIRTH)
        register.close()
        return found

    def stages(self) -> Sequence[str]:
        register = Register(self.settings.register_url)
        found = [f"{one.stage} {one.batch}" for one in reversed(Receipts(register, "test").history(BIRTH))]
        register.close()
        return found


@pytest.fixture
def department(tmp_path: Path) -> Department:
    return Department(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("column", "old", "new"),
    [
        ("institution_name", "接生机构", "接生机构名称"),
        ("mother_id_number", "母亲身份证号", "MQSFZ"),
        ("born_at", "出生时间", "RQ"),
        ("weight_g", "出生体重（克）", "出生体重(克)"),
    ],
)
def test_a_renamed_column_is_offered_and_not_applied(department: Department, column: str, old: str, new: str) -> None:
    department.put(1, births(40))
    assert department.run().status == "admitted"
    department.put(2, births(40, 40), {old: new})
    assert department.run().status == "failed"
    offers = [issue for issue in department.issues() if issue["code"].startswith("drift.")]
    assert [(issue["code"], issue["owner"], issue["severity"]) for issue in offers] == [
        (f"drift.renamed:{column}", "hc", "error")
    ]
    assert f"physicalName: {new}" in offers[0]["text"]["zh"]
    assert [value for value in (mother(41), "李甲", "甲乙") if value in str(department.issues())] == []
    department.change(f"physicalName: {old}", f'physicalName: "{new}"')
    done = department.run()
    assert done.admitted is not None and (done.status, done.admitted.accepted) == ("admitted", 40)
    assert department.issues() == []


def test_a_missing_column_without_a_likely_new_one_is_not_guessed(department: Department) -> None:
    department.put(1, births(40))
    department.run()
    department.put(2, [row | {"母亲身份证号": "见附件"} for row in births(40, 40)], {"母亲身份证号": "备注"})
    assert department.run().status == "failed"
    assert [issue["code"] for issue in department.issues()] == ["pull.columns_missing"]


def test_a_delivery_that_lacks_a_column_closes_nothing_that_was_told_of_values(department: Department) -> None:
    department.put(1, births(40))
    department.run()
    department.put(2, [row | {"性别": "双"} for row in births(40, 40)])
    department.run()
    for number, renamed in enumerate(({"母亲身份证号": "MQSFZ"}, {"接生机构": "接生机构名称"}, {"性别": "备注"}), 3):
        department.put(3, births(40, 80), renamed)
        assert department.run().status == "failed", number
        told = {issue["code"] for issue in department.issues()}
        assert "drift.codes:sex" in told
        offers = {code for code in told if code.startswith("drift.renamed")}
        assert len(offers) == (number < 5), "an offer of before is over"
    department.put(3, births(40, 80))
    assert department.run().status == "admitted"
    assert [issue["code"] for issue in department.issues() if issue["code"].startswith("drift.")] == []


def test_what_a_rejected_delivery_showed_is_over_and_not_what_stood_before(department: Department) -> None:
    department.put(1, births(60))
    department.run()
    department.put(2, [row | {"性别": "双"} for row in births(60, 60)])
    department.run()
    department.put(3, births(60, 120, weight=3))
    assert department.run().status == "held"
    decide_batch(department.settings, BIRTH, 3, Stage.REJECT, "steward", "asked")
    assert department.run().status == "rejected"
    told = {issue["code"] for issue in department.issues() if issue["code"].startswith("drift.")}
    assert told == {"drift.codes:sex"}


def test_no_batch_of_changes_overtakes_one_that_is_held(department: Department) -> None:
    department.put(1, births(60))
    department.run()
    department.put(2, births(60, 60, weight=3))
    assert department.run().status == "held"
    department.put(3, births(60, 120))
    assert department.run().status == "held"
    assert [stage for stage in department.stages() if stage.startswith(("pull", "admit"))] == [
        "pull 1",
        "admit 1",
        "pull 2",
    ]
    texts = {issue["code"]: issue["text"]["zh"] for issue in department.issues()}
    assert texts.keys() == {HOLD, "drift.units:weight_g"} and f"citylake confirm {BIRTH} 2" in texts[HOLD]
    decide_batch(department.settings, BIRTH, 2, Stage.CONFIRM, "steward", "asked")
    third = department.run()  # grams again: that is a shift of its own
    assert third.status == "held" and "admit 2" in department.stages() and "pull 3" in department.stages()
    decide_batch(department.settings, BIRTH, 3, Stage.REJECT, "steward", "asked")
    assert department.run().status == "rejected"


def test_a_confirmed_batch_is_not_told_as_held_where_the_next_pull_fails(department: Department) -> None:
    department.put(1, births(60))
    department.run()
    department.put(2, births(60, 60, weight=3))
    assert department.run().status == "held"
    decide_batch(department.settings, BIRTH, 2, Stage.CONFIRM, "steward", "asked")
    department.put(3, births(60, 120))
    file = department.folder / "birth_003.csv"
    file.write_bytes(file.read_text("gbk").encode())
    file.with_name(f"{file.name}.ok").touch()
    assert department.run().status == "failed"
    severities = {issue["code"]: issue["severity"] for issue in department.issues()}
    assert severities["format.encoding"] == "error" and HOLD not in severities
    assert severities["drift.units:weight_g"] == "warning"


def test_a_file_that_waits_long_for_its_marker_is_an_issue(department: Department) -> None:
    """Also where nothing ever came: its department says that it sent something."""
    department.put(1, births(40))
    file = department.folder / "birth_001.csv"
    file.with_name(f"{file.name}.ok").unlink()
    assert department.run().status == "waiting"  # an upload may take a while
    assert [issue["code"] for issue in department.issues()] == ["pull.nothing_yet"]
    os.utime(file, (time.time() - 7200,) * 2)
    department.run()
    waiting = next(issue for issue in department.issues() if issue["code"] == "order.no_marker")
    assert "birth_001.csv" in waiting["text"]["zh"] and waiting["owner"] == "hc"
    file.with_name(f"{file.name}.ok").touch()
    assert department.run().status == "admitted" and department.issues() == []


def test_a_new_column_is_told_as_the_policy_says(department: Department) -> None:
    department.change("quality:\n", "drift: {new_column: freeze}\nquality:\n")
    department.put(1, [row | {"新列": "1"} for row in births(40)])
    department.run()
    assert [(issue["code"], issue["severity"]) for issue in department.issues()] == [("drift.new_column:新列", "error")]
    department.run()  # nothing new came, so nothing is solved
    assert [issue["code"] for issue in department.issues()] == ["drift.new_column:新列"]


def test_what_any_delivery_of_a_run_showed_is_told(department: Department) -> None:
    department.put(1, births(40))
    department.run()
    department.put(2, [row | {"性别": "双", "新列": "1"} for row in births(40, 40)])
    department.put(3, births(40, 80))
    assert department.run().status == "admitted"
    told = {issue["code"] for issue in department.issues() if issue["code"].startswith("drift.")}
    assert told == {"drift.codes:sex", "drift.new_column:新列"}


def test_findings_survive_the_register(intake: Callable[..., Intake]) -> None:
    source = intake(PERSON)
    deliver(source, persons())
    outcome = deliver(source, persons(MZDM="Z9"))
    stored = source.receipts.last(Stage.ADMIT, PERSON)
    assert stored is not None and Admitted(**stored.body) == outcome
    assert all(isinstance(finding, Finding) for finding in Admitted(**stored.body).findings)


def test_the_profile_says_how_many_rows_were_left_out(intake: Callable[..., Intake]) -> None:
    """Also of a delivery that is held and admitted later, from its receipt; a row too many is no drift."""
    source = intake("psb/household_person")
    assert "left_out" not in source.deliver(persons()).profile
    outcome = source.admit(replace(source.raw(persons()), left_out=3))
    assert outcome.profile["left_out"] == 3 and not outcome.drift
