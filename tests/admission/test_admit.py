"""Admission: every row is accepted or refused, changes are exact, replays change nothing, half a delivery is held."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.admission import admit as admission
from pipelines.admission.changes import DUPLICATE
from pipelines.admission.compile import compile_contract, raw_rows
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake import delta
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Stage
from tests.admission.conftest import TODAY, Intake

GOOD = {
    "RYBH": "R1",
    "GMSFHM": "341502200501010019",
    "XM": "张三丰",
    "XBDM": "1",
    "MZDM": "01",
    "CSRQ ": "20050101",
    "HH": "H1",
    "YHZGX": "02",
    "SSXQ": "341502001001",
    "HJ XZ": "金安区某路1号",
    "WHCD": "20",
    "HYZK": "10",
    "LXDH": "13800001234",
    "GXSJ": "2026-01-01 10:00:00",
}


def division(code: str, name: str = "某村") -> dict[str, str]:
    return {"code": code, "name": name, "level": "village", "parent_code": "341502001"}


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({}, None),
        ({"GMSFHM": "３４１５０２２００５０１０１００１９"}, None),
        ({"GMSFHM": " 341502050101001 ", "CSRQ ": "19050101"}, None),
        ({"GMSFHM": "34250119850415013x", "CSRQ ": "1985-4-15"}, "id_number.gb11643_check_digit"),
        ({"XBDM": "男性", "MZDM": "汉族", "LXDH": "+86 138 0000 1234"}, None),
        ({"XM": "\u3000张三丰 "}, None),
        ({"XM": "䃥小龙"}, None),
        ({"LXDH": "暂无", "WHCD": r"\N"}, None),
        ({"CSRQ ": "2005/1/1"}, None),
        ({"GMSFHM": "341502********0019"}, "id_number.gb11643_format"),
        ({"GMSFHM": None}, "id_number.required"),
        ({"GMSFHM": "341502200501010018"}, "id_number.gb11643_check_digit"),
        ({"XM": "暂无"}, "name.required"),
        ({"XM": "张3"}, "name.chinese_name"),
        ({"XBDM": "7"}, "sex.in_codes"),
        ({"XBDM": "2"}, "sex_matches_id"),
        ({"CSRQ ": "00:00;00"}, "birth_date.type"),
        ({"CSRQ ": "20230230"}, "birth_date.type"),
        ({"CSRQ ": "20050102"}, "birth_date_matches_id"),
        ({"CSRQ ": "99990909"}, "birth_date.between,birth_date_matches_id"),
        ({"SSXQ": "340422001001"}, "division_code.in_codes"),
        ({"GXSJ": "2999-01-01 00:00:00"}, "source_updated_at.between"),
        ({"LXDH": "12345"}, "mobile.matches"),
        ({"HJ XZ": "长" * 201}, "address.max_length"),
    ],
)
def test_a_row_is_cleaned_or_refused_for_the_right_reason(
    intake: Callable[..., Intake], change: dict[str, Any], rules: str | None
) -> None:
    source = intake("psb/household_person")
    outcome = source.deliver([{**GOOD, **change}])
    assert (outcome.received, outcome.accepted) == (1, 1 if rules is None else 0)
    assert [row["rules"] for row in source.refused(1)] == ([] if rules is None else [rules])


def test_times_without_a_zone_are_the_citys_and_become_utc(intake: Callable[..., Intake]) -> None:
    source = intake("psb/household_person")
    source.deliver([GOOD])
    (row,) = source.current().values()
    assert row["source_updated_at"].isoformat() == "2026-01-01T02:00:00+00:00"
    assert len(row["person_id"]) == 32


def test_of_two_rows_with_one_key_the_newest_counts(intake: Callable[..., Intake]) -> None:
    source = intake("psb/household_person")
    older = {**GOOD, "HJ XZ": "旧址", "GXSJ": "2025-01-01 10:00:00"}
    outcome = source.deliver([older, GOOD, dict(GOOD)])
    assert (outcome.received, outcome.accepted, outcome.refused) == (3, 1, 2)
    assert outcome.by_rule == {DUPLICATE: 2}
    assert [row["_row"] for row in source.refused(1)] == [0, 2]
    assert next(iter(source.current().values()))["address"] == GOOD["HJ XZ"]


def test_a_refused_row_keeps_the_last_accepted_one(intake: Callable[..., Intake]) -> None:
    source = intake("psb/household_person")
    source.deliver([GOOD])
    outcome = source.deliver([{**GOOD, "XM": "李四光", "GMSFHM": "1"}])
    assert (outcome.refused, outcome.deleted) == (1, 0)
    assert source.current()["R1",]["name"] == "张三丰"


def test_a_batch_admitted_twice_changes_nothing(intake: Callable[..., Intake]) -> None:
    source = intake("dsrb/division")
    delivery = source.raw([division("341502001001")])
    first = source.admit(delivery)
    assert source.admit(delivery) == first
    assert delta.latest(source.core) == 0


@pytest.mark.parametrize("point", ["quarantine", "core", "receipt"])
def test_a_batch_killed_on_its_way_is_finished_by_the_next_run(
    intake: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    source = intake("dsrb/division")
    delivery = source.raw([division("341502001001"), division("341502001002", "长" * 70)])

    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    original = admission.delta.commit

    def commit(location: Path, *arguments: Any, **named: Any) -> int:
        version = original(location, *arguments, **named)
        if point in str(location):
            kill()
        return version

    with monkeypatch.context() as patched:
        if point == "receipt":
            patched.setattr(source.receipts, "add", kill)
        else:
            patched.setattr(admission.delta, "commit", commit)
        with pytest.raises(Killed):
            source.admit(delivery)
    outcome = source.admit(delivery)
    assert (outcome.accepted, outcome.refused, outcome.inserted) == (1, 1, 1)
    assert len(source.current()) == len(source.refused(1)) == 1
    assert source.receipts.last(Stage.ADMIT, source.contract.id, 1) is not None


def test_what_a_killed_run_refused_is_judged_anew_with_its_batch(
    intake: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that says tomorrow is right tomorrow: it is in core then, and no more among the refused ones."""
    source = intake("psb/household_person")
    rows = [GOOD, {**GOOD, "RYBH": "R2", "GXSJ": "2026-11-26 10:00:00"}, {**GOOD, "RYBH": "R3", "XM": "张3"}]
    delivery = source.raw(rows)

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(admission.Batch, "_write_core", kill)
        source.admit(delivery)
    assert [row["_row"] for row in source.refused(1)] == [1, 2]
    monkeypatch.setattr("tests.admission.conftest.TODAY", TODAY + timedelta(days=9))
    outcome = source.admit(delivery)
    assert (outcome.accepted, outcome.refused, outcome.by_rule) == (2, 1, {"name.chinese_name": 1})
    assert [row["_row"] for row in source.refused(1)] == [2]
    assert source.current().keys() == {("R1",), ("R2",)}


def test_a_batch_that_is_held_after_a_kill_keeps_no_refused_rows(
    intake: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract became stricter meanwhile. Rows that stood in quarantine then would be shown to nobody."""
    source, strict = intake("dsrb/division"), intake("dsrb/division").contract
    rows = [division(f"3415020010{i:02}") for i in range(40)]
    source.deliver([*rows, division("341502001090", "长" * 70)])
    delivery = source.raw([*rows[:19], division("341502001091", "长" * 70)])

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    lenient = strict.form.load.model_copy(update={"volumeFloor": 0.0, "deletionCeiling": 1.0})
    source.contract = replace(strict, form=strict.form.model_copy(update={"load": lenient}))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(admission.Batch, "_write_core", kill)
        source.admit(delivery)
    assert len(source.refused(2)) == 1
    source.contract = strict
    assert source.admit(delivery).held and source.admit(delivery).held
    assert source.refused(2) == [] and len(source.refused(1)) == 1
    source.receipts.add(Stage.CONFIRM, source.contract.id, {"who": "专员", "why": "撤村并居"}, 2)
    assert source.admit(delivery).refused == len(source.refused(2)) == 1


def test_half_a_delivery_is_held_until_the_steward_confirms(intake: Callable[..., Intake]) -> None:
    source = intake("dsrb/division")
    rows = [division(f"3415020010{i:02}") for i in range(40)]
    source.deliver(rows)
    delivery = source.raw(rows[:20])
    outcome = source.admit(delivery)
    assert set(outcome.held) == {"admit.volume_floor", "admit.deletion_ceiling"}
    assert len(source.current()) == 40
    assert source.receipts.last(Stage.HOLD, source.contract.id, 2) is not None
    source.receipts.add(Stage.CONFIRM, source.contract.id, {"who": "专员", "why": "撤村并居"}, 2)
    assert source.admit(delivery).deleted == 20
    assert len(source.current()) == 20


def test_a_few_deletions_pass(intake: Callable[..., Intake]) -> None:
    source = intake("dsrb/division")
    rows = [division(f"3415020010{i:02}") for i in range(50)]
    source.deliver(rows)
    assert source.deliver(rows[1:]).deleted == 1
    assert source.deliver(rows).inserted == 1


def test_an_older_duplicate_does_not_come_back_when_the_newest_is_refused(intake: Callable[..., Intake]) -> None:
    source = intake("psb/household_person")
    source.deliver([GOOD])
    older = {**GOOD, "HJ XZ": "旧址", "GXSJ": "2020-01-01 10:00:00"}
    newer = {**GOOD, "XM": "9", "GXSJ": "2026-02-01 10:00:00"}
    outcome = source.deliver([older, newer])
    assert (outcome.accepted, outcome.refused, outcome.updated) == (0, 2, 0)
    assert source.current()["R1",]["address"] == GOOD["HJ XZ"]


def test_a_tie_is_not_decided_by_the_order_of_delivery(intake: Callable[..., Intake]) -> None:
    source = intake("psb/household_person")
    one, other = {**GOOD, "HJ XZ": "甲"}, {**GOOD, "HJ XZ": "乙"}
    source.deliver([one, other])
    kept = source.current()
    assert source.deliver([other, one]).updated == 0
    assert source.current() == kept


def test_a_changed_derivation_is_computed_again(intake: Callable[..., Intake]) -> None:
    source = intake("psb/household_person")
    source.deliver([GOOD])
    before = source.current()["R1",]["person_id"]
    (derived,) = source.contract.derived
    step = replace(derived.step, arguments={"of": "record_no"})
    source.contract = replace(source.contract, derived=(replace(derived, step=step),), hash="another")
    assert source.deliver([GOOD]).updated == 1
    assert source.current()["R1",]["person_id"] != before


def test_a_changed_key_is_another_dataset(intake: Callable[..., Intake]) -> None:
    source = intake("psb/household_person")
    source.deliver([GOOD])
    load = source.contract.form.load.model_copy(update={"key": ["id_number"]})
    source.contract = replace(source.contract, form=source.contract.form.model_copy(update={"load": load}))
    with pytest.raises(CitylakeError, match="主键"):
        source.deliver([GOOD])


TYPED = {
    "started_at": "TIMESTAMP",
    "ended_at": "TIMESTAMP WITH TIME ZONE",
    "registered_on": "DATE",
    "promised_days": "INTEGER",
    "registered_capital": "DOUBLE",
}
VALUES = st.one_of(
    st.none(),
    st.sampled_from(["infinity", "-infinity", "0044-03-15 (BC)", "0001-01-01", "9999-12-31", "10000-01-01"]),
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda moment: moment.isoformat(" ")),
)


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(
    moments=st.lists(VALUES, min_size=1, max_size=5),
    number=st.floats() | st.none(),
    days=st.integers(-(2**31), 2**31 - 1),
)
def test_a_value_that_its_source_stored_as_such_is_judged_as_its_text_would_be(
    contracts: Contracts, moments: list[str | None], number: float | None, days: int
) -> None:
    contract = _typed_contract(contracts)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in TYPED.items())})")
        for moment in moments:
            con.execute("INSERT INTO t SELECT try_cast($1 AS TIMESTAMP), try_cast($1 AS TIMESTAMPTZ), "
                        "try_cast($1 AS DATE), $2, $3", [moment, days, number])  # fmt: skip
        con.execute(f"COPY t TO '{folder}/typed.parquet'")
        con.execute(f"COPY (SELECT COLUMNS(*)::VARCHAR FROM t) TO '{folder}/text.parquet'")
        found = []
        for name, raw in (("typed", TYPED), ("text", {})):
            admission = compile_contract(contract, contracts, TODAY, raw)
            query = admission.judged(raw_rows(f"{folder}/{name}.parquet"), ", ".join(f'"{column}"' for column in TYPED))
            found.append(con.execute(f"SELECT * FROM ({query}) ORDER BY _row").fetchall())
        assert repr(found[0]) == repr(found[1])


def _typed_contract(contracts: Contracts) -> SourceContract:
    """A source of one column of each type that a database stores, with the rules of its field."""
    case = contracts.sources["dsrb/service_case"]
    every = {column.name: column for source in contracts.sources.values() for column in source.columns}
    columns = tuple(replace(every[name], physical_name=name, required=False) for name in TYPED)
    rules = {
        rule.id: rule
        for source in contracts.sources.values()
        for rule in source.rules
        if set(rule.columns) <= set(TYPED)
    }
    wanted = tuple(rule for rule in rules.values() if len(rule.columns) == 1 and "required" not in rule.id)
    return replace(case, columns=columns, rules=wanted)
