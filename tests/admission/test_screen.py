"""A look clears what SQL would clear: the same rows, dirty, hashed and failed alike, and the same quarantine."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.registers import people
from benchmarks.rules import VALUES, register
from pipelines.admission import screen
from pipelines.admission.compile import Admission, compile_contract, raw_rows
from pipelines.admission.takeover import Told, takeover
from pipelines.codecs import functions
from pipelines.codecs.sql import identifier, literals
from pipelines.connectors.base import EMPTIED, ERASED
from pipelines.contracts.forms.sources import CorrectionForm
from pipelines.contracts.load import Contracts, SourceContract
from tests.admission.conftest import TODAY, Intake
from tests.admission.test_admit import GOOD
from tests.codecs import test_gb11643 as persons
from tests.codecs import test_gb32100 as entities
from tests.codecs.test_cleaning import likely, texts
from tests.draws import draws
from tests.memory import connection

SOURCES = ["psb/household_person", "amr/enterprise", "drc/penalty", "dsrb/e_licence", "sto/institution"]
"""Persons' numbers, credit and organisation codes, and a code that is one or the other."""
TIMES = "20[0-9]{2}-0[1-9]-[1-3][0-9]|19[89][0-9]-0[1-9]-1[0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
NUMBERS = "-?[0-9]{1,8}([.][0-9]{1,4})?|-?[0-9]{1,18}[.][0-9]{1,9}|-0|-0[.]0"
clean = st.from_regex(rf"[A-Z0-9]{{1,9}}|{TIMES}|{NUMBERS}|皖西大道[0-9]{{1,3}}号", fullmatch=True)
odd = st.sampled_from(["长" * 201, "6.22202E+18", "#N/A"])
value = st.one_of(clean, clean, persons.right_numbers, entities.codes, likely, texts, odd, st.none())


@pytest.fixture(autouse=True)
def looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows there are, and however many suspects."""
    monkeypatch.setattr(screen, "WORTH", 0)
    monkeypatch.setattr(screen, "FEW", 1.0)
    monkeypatch.setattr(screen, "_HARDLY", 1.0)


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
    """All that is said of the rows of a raw file, with a look and without, and what they are decoded to. Suspects may
    count as dirty that are not."""
    columns = ", ".join(identifier(column.name) for column in admission.contract.columns)
    suspects = path.with_name("suspects.parquet")
    suspects.unlink(missing_ok=True)
    with connection() as con:
        con.execute("SET TimeZone = 'UTC'")
        judged = screen.judged(con, admission, contracts, path, columns, suspects)
        raw = raw_rows(str(path))
        found = con.execute(f"SELECT * FROM ({judged.query}) ORDER BY _row").fetchall()
        full = con.execute(f"SELECT * FROM ({admission.judged(raw, columns)}) ORDER BY _row").fetchall()
        by_look = f"SELECT r.*, 'I' AS _op, j._dirty FROM {raw} r JOIN ({judged.query}) j ON j._row = r.file_row_number"
        decoded, in_full = (
            con.execute(f"SELECT * FROM ({query}) ORDER BY _row").fetchall()
            for query in (
                admission.decoded(by_look, judged.cleared.usual),
                admission.decoded(f"SELECT *, 'I' AS _op, true AS _dirty FROM {raw}"),
            )
        )
        if ways := takeover(admission.contract, judged, contracts.city.timezone, path):
            others = f"SELECT _row FROM ({judged.query}) WHERE _row % 3 = 1 OR NOT ({admission.accepted})"
            left = {row for (row,) in con.execute(others).fetchall()}
            aside = f"{others} UNION ALL {screen.suspected(suspects)}"
            files = ways.write(con, aside, Told({}, 1, 0), Path(tempfile.mkdtemp(dir=path.parent)))
            written = admission.decoded(screen.suspects_but(others, path, suspects))
            if files:
                taken = f"read_parquet([{literals(file.path for file in files)}])"
                written += f" UNION ALL SELECT _row, _op, {columns} FROM {taken}"
            rest = con.execute(f"SELECT * FROM ({written}) ORDER BY _row").fetchall()
            assert repr(rest) == repr([row for row in in_full if row[0] not in left])
    assert repr(decoded) == repr(in_full)
    if judged.cleared.usual:
        dirty = [row[1] for row in found]
        assert all(more or not less for more, less in zip(dirty, (row[1] for row in full), strict=True))
        full = [(row[0], more, *row[2:]) for row, more in zip(full, dirty, strict=True)]
    return found, full


@pytest.mark.long
@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
@settings(max_examples=draws(8), deadline=None)
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


moments = st.integers(-(10**16), 10**16) | st.integers(10**15, 2 * 10**15) | st.sampled_from([-(2**63) + 1, 2**63 - 1])
days = st.integers(-800_000, 3_000_000) | st.integers(-20_000, 25_000)
ends = st.sampled_from([(date.fromisoformat(day) - date(1970, 1, 1)).days for day in ("9999-12-31", "1900-01-01")])
TYPED: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): value,
    pa.date32(): days | ends | st.none(),
    pa.timestamp("us"): moments | st.none(),
    pa.float64(): st.floats() | st.sampled_from([0.0, -1.0, 10.0**7, 10.0**8]) | st.none(),
    pa.int32(): st.sampled_from([-1, 0, 10**6, 10**6 + 1, -(2**31), 2**31 - 1]) | st.none(),
}
NUMBERED = {pa.date32(): pa.int32(), pa.timestamp("us"): pa.int64()}
"""Days and times that Python does not have are written as the numbers that they are stored as."""


@pytest.fixture(scope="module")
def wide() -> tuple[Contracts, SourceContract, pa.Table]:
    """The register of the benchmark, with 50 rules of nearly all kinds, and rows of it as a database has them."""
    known, contract = register()
    with connection() as con:
        rows = con.execute(f"SELECT *, {VALUES} FROM (SELECT *, record_no::BIGINT AS i FROM ({people(240)}))")
        return known, contract, rows.to_arrow_table().drop_columns(["i"])


@pytest.mark.long
@given(data=st.data())
@settings(max_examples=draws(12), deadline=None)
def test_values_that_are_no_texts_are_judged_as_without_a_look(
    wide: tuple[Contracts, SourceContract, pa.Table], data: st.DataObject
) -> None:
    contracts, contract, rows = wide
    some = rows.take(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=20)))
    cells = {field.name: some[field.name].to_pylist() for field in some.schema}
    kinds = {field.name: field.type for field in some.schema}
    table = {name: pa.array(column, kinds[name]) for name, column in cells.items()}
    for name in data.draw(st.lists(st.sampled_from(sorted(cells)), max_size=12)):
        plain = NUMBERED.get(kinds[name], kinds[name])
        column = table[name].cast(plain).to_pylist()
        for row in data.draw(st.lists(st.integers(0, len(some) - 1), max_size=4)):
            same = [one for one in cells if kinds[one] == kinds[name] == pa.string()]
            other = [cells[one][row] for one in same] or [None]
            column[row] = data.draw(TYPED[kinds[name]] | st.sampled_from(other))
        table[name] = pa.array(column, plain).cast(kinds[name])
    if data.draw(st.booleans()):  # as a file has them
        table |= {name: _texts(column) for name, column in table.items()}
    elif data.draw(st.booleans()):
        table["source_updated_at"] = table["source_updated_at"].cast(pa.timestamp("us", "UTC"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(pa.table(table), path, use_dictionary=data.draw(st.booleans()), row_group_size=7)
        found, full = answers(compile_contract(contract, contracts, TODAY, stored_types(path)), contracts, path)
    assert repr(found) == repr(full)


def _texts(column: pa.Array) -> pa.Array:
    """A column as DuckDB prints it."""
    with connection() as con:
        con.register("t", pa.table({"c": column}))
        return con.execute("SELECT c::VARCHAR AS c FROM t").to_arrow_table()["c"].combine_chunks()


LATE, EARLY = date(2026, 1, 2), date(1850, 1, 1)
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"established_on": LATE}, "ordered"),
    ({"registered_on": LATE}, "ordered(registered_on+cancelled_on)"),
    ({"birth_date": LATE, "source_updated_at": datetime(2026, 1, 1)}, "ordered(birth_date+source_updated_at)"),
    ({"birth_date": LATE, "source_updated_at": datetime(2026, 1, 1, 12)}, "age_at_least"),
    ({"floating_status": "9", "status_date": None}, "status_date.requires"),
    ({"residence_address": "六安市金安区皖西大道0号0室", "address": "六安市金安区皖西大道0号0室"}, "address.differs"),
    ({"record_no": "H0", "household_no": "H0"}, "record_no.differs"),
    ({"floating_status": "1", "residence_address": None}, "residence_address.present_with"),
    ({"address": None, "residence_address": None}, "one_of_present"),
    ({"birth_date": date(1999, 9, 9)}, "birth_date_matches_id"),
    ({"birth_date": EARLY}, "birth_date.between"),
    ({"cancelled_on": EARLY}, "cancelled_on.between"),
    ({"source_updated_at": datetime(2026, 11, 25)}, "source_updated_at.between"),
    ({"registered_capital": -0.5}, "registered_capital.between"),
    ({"total_assets": float("nan")}, "total_assets.type"),
    ({"employees": 1_000_001}, "employees.between"),
    ({"birth_date": None}, "birth_date.required"),
    ({"source_updated_at": None}, "source_updated_at.required"),
    ({"mobile": "12912345678"}, "mobile.matches"),
    ({"name": "张"}, "name.chinese_name"),
    ({"name": "张䷀"}, "name.chinese_name"),
    ({"ethnicity": "99"}, "ethnicity.in_codes"),
]


@pytest.mark.parametrize("repeating", [False, ["floating_status", "residence_address", "sex"], True])
def test_each_rule_is_found_broken(
    wide: tuple[Contracts, SourceContract, pa.Table], written: Callable[[pa.Table, Any], Path], repeating: Any
) -> None:
    """One row for each, and rows that differ in sex from their number."""
    contracts, contract, rows = wide
    good = rows.slice(20, 1).to_pylist()[0]
    cells = [good, *({**good, **change} for change, _ in BROKEN), *({**good, "sex": sex} for sex in "12")]
    path = written(pa.Table.from_pylist(cells, rows.schema), repeating)
    admission = compile_contract(contract, contracts, TODAY, stored_types(path))
    found, full = answers(admission, contracts, path)
    assert repr(found) == repr(full)
    failed = [{one.rule for bit, one in enumerate(admission.judgements) if row[-1] >> bit & 1} for row in found]
    assert failed[0] == set()
    assert [rule for (_, rule), rules in zip(BROKEN, failed[1:], strict=False) if rule not in rules] == []
    assert sorted(failed[-2:], key=len) == [set(), {"sex_matches_id"}]


def stored_types(path: Path) -> dict[str, str]:
    with connection() as con:
        return {name: kind for name, kind, *_ in con.execute(f"DESCRIBE FROM '{path}'").fetchall()}


@pytest.mark.parametrize("repeating", [False, True])
def test_of_rows_that_are_right_nothing_is_asked_again(
    wide: tuple[Contracts, SourceContract, pa.Table], written: Callable[[pa.Table, Any], Path], repeating: bool
) -> None:
    contracts, contract, rows = wide
    few = ["sex", "ethnicity", "household_relation", "division_code", "education", "marital_status", "origin_county"]
    path = written(rows, repeating or [*few, "floating_status", "county_code", "name"])
    admission = compile_contract(contract, contracts, TODAY, stored_types(path))
    with connection() as con:
        screened = screen.Screen(con, admission, contracts, path, path.parent)
        found = screened.suspects(path.with_name("suspects.parquet"))
        bad = con.execute(f"SELECT count(*) FILTER (_failed_0 > 0) FROM ({admission.judged(raw_rows(str(path)), '1')})")
        assert (found,) == bad.fetchone()
    left = {judgement.rule for judgement in admission.judgements} - set(screened.cleared.rules)
    assert left == ({"birth_date_matches_id", "sex_matches_id"} if repeating else set())


def _correction(column: str, key: str, some: list[str | None]) -> CorrectionForm:
    some = [one and one.replace("\0", "?") for one in some]  # YAML has no NUL, so no contract can say one
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
    contracts: Contracts,
    written: Callable[[pa.Table, Any], Path],
    more: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rules of numbers are known to pass, and what other rules ask of the number is known too; also where the
    delivery has rows of an erased person."""
    monkeypatch.setattr(screen, "_HARDLY", 0.02)  # days are written here in another way
    contract = contracts.sources["psb/household_person"]
    row = {column.physical_name: GOOD.get(column.physical_name) for column in contract.columns} | more
    path = written(pa.table({name: pa.array([value] * 3, pa.string()) for name, value in row.items()}), False)
    admission = compile_contract(contract, contracts, TODAY, dict.fromkeys(row, "VARCHAR"))
    with connection() as con:
        found = screen.judged(con, admission, contracts, path, "1 AS one", path.with_name("suspects.parquet"))
    assert not functions.called(found.query)
    assert {"id_number.gb11643_format", "id_number.gb11643_check_digit", "id_number.gb11643_content"} <= set(
        screen.Screen(connection(), admission, contracts, path, path.parent).cleared.rules
    )


@pytest.mark.parametrize("change", [{"GMSFHM": "341502200501010018"}, {"XBDM": "2"}, {"XM": "\u3000张3 "}])
def test_the_quarantine_says_what_was_delivered(
    intake: Callable[..., Intake], change: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the refused rows are among the suspects or not."""
    monkeypatch.setattr(screen, "repeating", lambda _: [])
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
