"""Which refused rows are open, by load mode: against a plain model of it, and with the cases a model leaves out."""

import json
import re
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.admission.changes import CHANGED, DUPLICATE
from pipelines.admission.compile import UNREADABLE
from pipelines.admission.quarantine import Line, Quarantine, row_id
from pipelines.admission.reasons import reasons
from pipelines.admission.receive import Delivery
from pipelines.contracts.load import Contracts
from pipelines.contracts.resolved import SourceContract
from pipelines.register.receipts import Stage
from tests.admission.conftest import Intake
from tests.admission.test_admit import division
from tests.admission.test_load_modes import (
    APPEND,
    BATCHES,
    COMPOSITE,
    CURSOR,
    LOG,
    Told,
    insurance_row,
    intake,
    lakes,
    newest,
    step_row,
    tied_row,
)

BAD_DAY = "2026-13-01 00:00:00"


def lines(source: Intake) -> list[Line]:
    with Quarantine(source.contract, source.contracts, source.lake, source.receipts) as quarantine:
        return quarantine.lines()


def refused_step(row: Told) -> dict[str, str]:
    """The step, refused when the row is bad: a code outside its list would do too, but this list has none."""
    return step_row(row) | ({} if row.good else {"KSSJ": BAD_DAY})


@pytest.mark.long
@lakes
@given(BATCHES, st.sampled_from(["cursor", "composite", "log"]))
def test_a_row_is_open_until_its_key_is_told_later(contracts: Contracts, batches: list[list[Told]], mode: str) -> None:
    load, make = {"cursor": (CURSOR, refused_step), "composite": (COMPOSITE, tied_row), "log": (LOG, insurance_row)}[
        mode
    ]
    name = "hrssb/insurance" if mode == "log" else "dsrb/case_step"
    first: dict[tuple[Any, ...], int] = {}
    last: dict[tuple[Any, ...], int] = {}
    times: dict[tuple[Any, ...], set[int]] = {}
    written: list[tuple[str, int, int]] = []
    known: dict[str, Told] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = intake(folder, contracts, name, load)
        for number, batch in enumerate(batches, 1):
            source.deliver([make(row) for row in batch])
            for row in (row for row in batch if not row.good):
                content = (row.key, row.order, row.operation if mode == "log" else "")
                first.setdefault(content, number)
                last[content] = number
                times.setdefault(content, set()).add(number)
            for row in (row for row in newest(batch) if row.good):
                before = known.get(row.key)
                again = before is not None and (before.order, before.value) == (row.order, row.value)
                if (
                    before is None
                    or row.order > before.order
                    or (mode != "log" and row.order == before.order and not again)
                ):
                    known[row.key] = row
                    written.append((row.key, row.order, number))
        expected = {
            content
            for content in first
            if not any(
                key == content[0] and (order > content[1] or (number > last[content] and order >= content[1]))
                for key, order, number in written
            )
        }
        found = {content_of(line, mode): line for line in lines(source)}
        assert set(found) == expected
        assert {content: (line.batch, line.times) for content, line in found.items()} == {
            content: (first[content], len(times[content])) for content in expected
        }


def test_very_many_refused_rows_are_written_in_parts(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery of millions that is refused whole is larger than the memory of admission."""
    monkeypatch.setattr("pipelines.admission.admit._TOGETHER", 2)
    source = intake(str(tmp_path), contracts, "dsrb/case_step", CURSOR)
    rows = [refused_step(Told(f"k{number}", 1, "bad" if number % 3 else "1")) for number in range(10)]
    outcome = source.deliver(rows)
    assert (outcome.received, outcome.refused) == (10, 6)
    assert [(line.row, line.values["HJBH"]) for line in lines(source)] == [
        (number, f"k{number}") for number in range(10) if number % 3
    ]


def content_of(line: Line, mode: str) -> tuple[Any, ...]:
    if mode == "cursor":
        return line.values["HJBH"], int(str(line.values["GXSJ"])[-2:]), ""
    if mode == "composite":
        first, second = (int(str(line.values[name])[-2:]) for name in ("GXSJ", "KSSJ"))
        return line.values["HJBH"], first * 6 + second, ""
    return line.values["AAC001"], int(str(line.values["BGXH"])) - 1, line.values["BGLX"]


def test_the_second_cursor_column_says_what_is_later(contracts: Contracts, tmp_path: Path) -> None:
    """Both rows changed at one moment; the one that started later in it is the later word."""
    source = intake(str(tmp_path), contracts, "dsrb/case_step", COMPOSITE)
    source.deliver([tied_row(Told("a", 8, "bad")), tied_row(Told("b", 8, "bad"))])
    source.deliver([tied_row(Told("a", 9, "1")), tied_row(Told("b", 7, "1"))])
    (line,) = lines(source)
    assert line.values["HJBH"] == "b"
    source.deliver([tied_row(Told("b", 8, "1"))])  # not older, and in a later batch
    assert lines(source) == []


def test_open_rows_say_whom_they_name_as_admission_reads_it(contracts: Contracts, tmp_path: Path) -> None:
    """Not those that were told right later, and nothing of those that name nobody."""
    source = intake(str(tmp_path), contracts, "dsrb/case_step", CURSOR)
    assert named(source) == []
    nobody = refused_step(Told("d", 1, "bad")) | {"HJBH": ""}
    source.deliver([*(refused_step(Told(key, 1, "bad")) for key in "ab"), refused_step(Told("c", 1, "1")), nobody])
    source.deliver([refused_step(Told("b", 2, "1")), refused_step(Told("c", 2, "bad")) | {"HJBH": " c "}])
    assert named(source) == ["a", "c"]


def named(source: Intake) -> list[str]:
    with Quarantine(source.contract, source.contracts, source.lake, source.receipts) as quarantine:
        return quarantine.named("step_no")


def test_an_event_told_right_later_closes_the_wrong_one_for_good(contracts: Contracts, tmp_path: Path) -> None:
    source = intake(str(tmp_path), contracts, "dsrb/case_step", APPEND)
    wrong, right = (refused_step(Told("a", 0, value)) for value in ("bad", "1"))
    source.deliver([wrong])
    assert len(lines(source)) == 1
    source.deliver([right])
    source.deliver([wrong])  # the file with all events comes again
    assert lines(source) == []


def test_an_event_told_differently_later_is_open(contracts: Contracts, tmp_path: Path) -> None:
    source = intake(str(tmp_path), contracts, "dsrb/case_step", APPEND)
    source.deliver([step_row(Told("a", 0, "1"))])
    source.deliver([step_row(Told("a", 0, "2"))])
    (line,) = lines(source)
    assert (line.rules, line.values["HJMC"]) == (CHANGED, "2")


def test_of_a_whole_table_the_last_delivery_says_what_is_open(intake: Callable[..., Intake]) -> None:
    source = intake("dsrb/division")
    good = [division(f"3415020010{i:02}") for i in range(40)]
    wrong, other = division("341502001090", "长" * 70), division("341502001091", "长" * 71)
    source.deliver([*good, wrong, other])
    source.deliver([*good, wrong])
    (line,) = lines(source)
    assert (line.batch, line.row, line.times, line.values["code"]) == (1, 40, 2, "341502001090")
    source.deliver([*good, division("341502001090")])
    assert lines(source) == []


def test_what_a_killed_run_wrote_says_nothing_until_the_batch_is_admitted(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = intake(str(tmp_path), contracts, "dsrb/case_step", CURSOR)
    delivery = source.raw([refused_step(Told("a", 0, "bad"))])
    source.receipts.add(Stage.PULL, source.contract.id, {"origin": "t"}, delivery.batch)

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(source.receipts, "add", kill)
        source.admit(delivery)
    assert len(source.refused(delivery.batch)) == 1 and lines(source) == []
    source.admit(delivery)
    assert len(lines(source)) == 1
    source.receipts.add(Stage.REJECT, source.contract.id, {}, delivery.batch)
    assert lines(source) == []


def test_values_are_kept_as_exactly_as_they_were_judged(contracts: Contracts, tmp_path: Path) -> None:
    """A database delivers exact numbers, of which JSON would make floats."""
    source = intake(str(tmp_path), contracts, "dsrb/case_step", CURSOR)
    path = source.lake.raw("dsrb", "case_step") / "1" / "rows.parquet"
    path.parent.mkdir(parents=True)
    number = Decimal("12345678901234567890.10")
    query = (
        f"SELECT {number}::DECIMAL(22, 2) AS HJBH, 'C' AS BJBH, NULL::VARCHAR AS HJMC, "
        "TIMESTAMP '2026-01-01 10:00:00' AS KSSJ, NULL::TIMESTAMP AS JSSJ, TIMESTAMP '2026-01-01 10:00:00' AS GXSJ"
    )
    duckdb.execute(f"COPY ({query}) TO '{path}'")
    source.admit(Delivery(1, 1, path, True, ()))
    (line,) = lines(source)
    assert line.values == {
        "HJBH": str(number), "BJBH": "C", "HJMC": None,
        "KSSJ": "2026-01-01 10:00:00", "JSSJ": None, "GXSJ": "2026-01-01 10:00:00",
    }  # fmt: skip
    assert "file_row_number" not in json.loads(source.refused(1)[0]["delivered"])


def test_every_rule_of_every_source_has_a_reason_in_both_languages(contracts: Contracts) -> None:
    for contract in contracts.sources.values():
        rules = judged(contract)
        for language in ("zh", "en"):
            known = reasons(contract, language)
            assert rules <= known.keys()
            assert all("{" not in known[rule] or "matches" in rule for rule in rules)
        given = "|".join(re.escape(column.physical_name) for column in contract.all_columns)
        assert not [said for said in known.values() if {*"（），；"} & {*re.sub(given, "", said)}], "signs of Chinese"
    household = reasons(contracts.sources["psb/household_person"], "zh")
    assert household["address.max_length"] == "户籍地址（HJ XZ）：不符合“长度不超过上限”（最多 200 个字符）"
    assert household["birth_date.between"].endswith("（不早于 1905-01-01，不晚于判定当日）")
    assert reasons(contracts.sources["cab/marriage"], "en")["registered_on.between"].endswith(
        " (not before 1949-10-01, not after 1 day(s) after it is judged)"
    )


def judged(contract: SourceContract) -> set[str]:
    """Whatever quarantine may name."""
    types = {f"{column.name}.type" for column in contract.columns if column.definition.logicalType != "string"}
    rules = {rule.id for rule in contract.rules if rule.about.scope == "row"}
    return types | rules | {DUPLICATE, CHANGED, UNREADABLE}


def test_a_row_id_filled_down_or_carried_over_is_no_other_rows() -> None:
    name, check = row_id("psb/floating_person", 12, 345).split("-")
    assert name == "B12R345"
    assert row_id("psb/floating_person", 12, 346) != f"B12R346-{check}"
    assert row_id("psb/floating_person", 123, 45) != f"B123R45-{check}"
    assert row_id("dsrb/case_step", 12, 345) != f"{name}-{check}"
