"""A look clears what SQL would clear: the same rows, dirty, hashed and failed alike, and the same quarantine."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.admission import screen
from pipelines.admission.compile import Admission, compile_contract, raw_rows
from pipelines.codecs import functions
from pipelines.codecs.sql import identifier
from pipelines.connectors.base import EMPTIED, ERASED
from pipelines.contracts.load import Contracts
from pipelines.contracts.models import CorrectionForm
from tests.admission.conftest import TODAY, Intake
from tests.admission.test_admit import GOOD
from tests.codecs import test_gb11643 as persons
from tests.codecs import test_gb32100 as entities
from tests.codecs.test_cleaning import likely, texts
from tests.memory import connection

SOURCES = ["psb/household_person", "amr/enterprise", "drc/penalty", "dsrb/e_licence", "sto/institution"]
"""Persons' numbers, credit and organisation codes, and a code that is one or the other."""
clean = st.from_regex(r"[A-Z0-9]{1,9}|(20[0-9]{2}-0[1-9]-1[0-9])|皖西大道[0-9]{1,3}号", fullmatch=True)
value = st.one_of(clean, clean, persons.right_numbers, entities.codes, likely, texts, st.just("长" * 201), st.none())


@pytest.fixture(autouse=True)
def looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows there are, and however many suspects."""
    monkeypatch.setattr(screen, "WORTH", 0)
    monkeypatch.setattr(screen, "FEW", 1.0)


@pytest.fixture
def written() -> Iterator[Callable[[pa.Table, Any], Path]]:
    """Write a raw file; `repeating`: the columns with a dictionary."""
    with tempfile.TemporaryDirectory() as folder:

        def write(table: pa.Table, repeating: Any) -> Path:
            path = Path(folder) / "rows.parquet"
            pq.write_table(table, path, use_dictionary=repeating, row_group_size=7)
            return path

        yield write


def answers(admission: Admission, contracts: Contracts, path: Path) -> tuple[list[Any], list[Any]]:
    """All that is said of the rows of a raw file, with a look and without."""
    columns = ", ".join(identifier(column.name) for column in admission.contract.columns)
    suspects = path.with_name("suspects.parquet")
    suspects.unlink(missing_ok=True)
    with connection() as con:
        con.execute("SET TimeZone = 'UTC'")
        query = screen.judged(con, admission, contracts, path, columns, suspects)
        found = con.execute(f"SELECT * FROM ({query}) ORDER BY _row").fetchall()
        full = con.execute(f"SELECT * FROM ({admission.judged(raw_rows(str(path)), columns)}) ORDER BY _row").fetchall()
    return found, full


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_delivery_is_judged_as_without_a_look(source: str, contracts: Contracts, data: st.DataObject) -> None:
    contract = contracts.sources[source]
    names = [column.physical_name for column in contract.columns]
    rows = data.draw(st.integers(0, 20))
    # a list that is drawn once and repeated costs hypothesis less than a cell at a time
    some = data.draw(st.lists(value, min_size=1, max_size=25))
    cells = {name: [some[(row * 7 + place * 3) % len(some)] for row in range(rows)] for place, name in enumerate(names)}
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(contract.columns)).name
        form = contract.form.model_copy(update={"corrections": [_correction(name, contract.form.load.key[0], some)]})
        contract = replace(contract, form=form)
    quarantined = data.draw(st.sets(st.sampled_from([column.name for column in contract.columns]), max_size=1))
    told = {EMPTIED: [None, *(column.name for column in contract.columns)], ERASED: [None, "2026-05-01"]}
    for name in sorted(data.draw(st.sets(st.sampled_from([EMPTIED, ERASED])))):
        cells[name] = [told[name][row % len(told[name])] for row in range(rows)]
    table = pa.table({name: pa.array(column, pa.string()) for name, column in cells.items()})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        repeating = data.draw(st.sampled_from([False, True, names[::2]]))
        pq.write_table(table, path, use_dictionary=repeating, row_group_size=7)
        raw = dict.fromkeys(cells, "VARCHAR")
        found, full = answers(compile_contract(contract, contracts, TODAY, raw, quarantined), contracts, path)
    assert repr(found) == repr(full)


def _correction(column: str, key: str, some: list[str | None]) -> CorrectionForm:
    where = {key: some[-1] or "1"}
    return CorrectionForm.model_construct(
        id="test", column=column, where=where, expect=some[0], set=some[len(some) // 2], reason="测试", status="active"
    )


def test_no_right_number_fails_a_rule_that_is_not_asked_again(contracts: Contracts) -> None:
    for source in SOURCES:
        admission = compile_contract(contracts.sources[source], contracts, TODAY)
        predicates = [one.predicate for one in admission.judgements]
        assert set(functions.asked(predicates)), source


@pytest.mark.parametrize("more", [{}, {ERASED: "2026-05-01"}, {EMPTIED: "id_number"}])
def test_what_nothing_is_wrong_with_is_asked_no_function(
    contracts: Contracts, written: Callable[[pa.Table, Any], Path], more: dict[str, str]
) -> None:
    """The rules of numbers are known to pass, and what other rules ask of the number is known too; also where the
    delivery has rows of an erased person."""
    contract = contracts.sources["psb/household_person"]
    row = {column.physical_name: GOOD.get(column.physical_name) for column in contract.columns} | more
    path = written(pa.table({name: pa.array([value] * 3, pa.string()) for name, value in row.items()}), False)
    admission = compile_contract(contract, contracts, TODAY, dict.fromkeys(row, "VARCHAR"))
    with connection() as con:
        query = screen.judged(con, admission, contracts, path, "1 AS one", path.with_name("suspects.parquet"))
    assert not functions.called(query)
    assert {"id_number.gb11643_format", "id_number.gb11643_check_digit", "id_number.gb11643_content"} <= set(
        screen.Screen(connection(), admission, contracts, path).cleared.rules
    )


@pytest.mark.parametrize("change", [{"GMSFHM": "341502200501010018"}, {"XBDM": "2"}, {"XM": "\u3000张3 "}])
def test_the_quarantine_says_what_was_delivered(
    intake: Callable[..., Intake], change: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the refused rows are among the suspects or not."""
    monkeypatch.setattr(screen.Screen, "_repeats", lambda *_: False)
    source = intake("psb/household_person")
    bad = {**GOOD, "RYBH": "R2", "XM": "张3", **change}
    outcome = source.deliver([GOOD, bad, {**GOOD, "RYBH": "R3", "LXDH": "1"}, {**GOOD, "RYBH": "R4"}])
    assert (outcome.received, outcome.accepted, outcome.refused) == (4, 2, 2)
    told = {row["_row"]: row["delivered"] for row in source.refused(1)}
    assert set(told) == {1, 2}
    assert all(f'"{name}":"{text}"' in told[1] for name, text in bad.items() if name != "CSRQ ")
    assert not list(source.lake.scratch().glob("suspects-*"))


def test_with_many_suspects_all_rows_are_judged_in_full(
    contracts: Contracts, written: Callable[[pa.Table, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "FEW", 0.25)
    contract = contracts.sources["psb/household_person"]
    row = {column.physical_name: GOOD.get(column.physical_name) for column in contract.columns}
    cells = {name: pa.array([value] * 20, pa.string()) for name, value in row.items()}
    cells["GMSFHM"] = pa.array([GOOD["GMSFHM"]] * 10 + [f" {GOOD['GMSFHM']}"] * 10)
    path = written(pa.table(cells), False)
    admission = compile_contract(contract, contracts, TODAY, dict.fromkeys(row, "VARCHAR"))
    found, full = answers(admission, contracts, path)
    assert found == full
    assert not path.with_name("suspects.parquet").exists()


def test_a_type_that_arrow_does_not_have_is_judged_from_raw(contracts: Contracts, tmp_path: Path) -> None:
    contract = contracts.sources["psb/household_person"]
    path = tmp_path / "rows.parquet"
    values = {column.physical_name: GOOD.get(column.physical_name) for column in contract.columns}
    values["GMSFHM"] = "341502200501010018"
    told = ", ".join(
        f"{'NULL' if value is None else repr(value)}::VARCHAR AS {identifier(name)}" for name, value in values.items()
    )
    with connection() as con:
        con.execute(f"COPY (SELECT {told}, uuid() AS strange, TIMETZ '10:00:00+08' AS when) TO '{path}'")
        kinds = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE FROM '{path}'").fetchall()}
    found, full = answers(compile_contract(contract, contracts, TODAY, kinds), contracts, path)
    assert found == full
