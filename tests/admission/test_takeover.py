"""Core of a first delivery that is taken over from raw is what SQL makes of it, to the bit and at every restart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars
import pytest
from deltalake import DeltaTable, QueryBuilder

from pipelines.admission import screen, takeover
from pipelines.codecs.sql import literal
from pipelines.lake import delta
from tests.admission.conftest import BOUNDARIES, Intake
from tests.admission.test_admit import GOOD

USUAL = {**GOOD, "CSRQ ": "2005-01-01"}
ROWS = [
    *({**USUAL, "RYBH": f"R{number}", "HH": f"H{number // 3}"} for number in range(12)),
    {**USUAL, "RYBH": "R3", "GXSJ": "2026-01-02 10:00:00"},
    {**USUAL, "RYBH": "R20", "XM": "\u3000张三丰 "},
    {**USUAL, "RYBH": "R21", "GMSFHM": "341502200501010018"},
    {**USUAL, "RYBH": "R22", "CSRQ ": "2005-02-30"},
    {**USUAL, "RYBH": "R23", "LXDH": None, "MZDM": None},
    {**USUAL, "RYBH": "R24", "GXSJ": "1986-05-04 00:30:00"},
    {**USUAL, "RYBH": "R25", "GXSJ": "2026-01-01 24:00:00"},
    {**USUAL, "RYBH": "R26", "CSRQ ": "20050101"},
    {**USUAL, "RYBH": "\u3000R5", "GXSJ": "2026-01-03 10:00:00"},
]
"""Good ones; keys told twice, one of them only when it is cleaned; dirt, a wrong number, a day that never was; nothing
told; times and days of which a look is not sure."""


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """However few rows there are, they are looked at; the files that were taken over."""
    for name, value in {"WORTH": 0, "FEW": 1.0, "_HARDLY": 1.0}.items():
        monkeypatch.setattr(screen, name, value)
    files, write = list[Any](), takeover.write_tables

    def noted(*arguments: Any) -> Any:
        files.extend(found := write(*arguments))
        return found

    monkeypatch.setattr(takeover, "write_tables", noted)
    return files


def rows(query: str) -> list[Any]:
    """The rows of a query with all their values, also those of a double, as text."""
    return [repr(row) for row in duckdb.sql(query).fetchall()]


def left(source: Intake) -> tuple[list[Any], list[Any]]:
    """All rows of core, and of quarantine."""
    read = delta.scan(delta.open_table(source.core))
    return rows(f"SELECT {read.columns} FROM {read.source} ORDER BY _row"), source.refused(1)


def kept(source: Intake) -> list[Any]:
    """The hashes of the rows of core."""
    (file,) = source.lake.hashes(source.contract.org, source.contract.dataset).glob("*.parquet")
    return rows(f"FROM read_parquet({literal(str(file))}) ORDER BY ALL")


def test_what_is_taken_over_is_what_sql_decodes(
    intake: Callable[..., Intake], written: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = intake("psb/household_person")
    other = Intake(tmp_path / "other", source.contracts, source.contract)
    outcome = source.deliver(ROWS)
    assert sum(file.rows for file in written) == 12  # R0 to R11 but two that others outrank, R3 again and R23
    monkeypatch.setattr(screen, "WORTH", len(ROWS) + 1)
    assert vars(outcome) | {"seconds": 0} == vars(other.deliver(ROWS)) | {"seconds": 0}
    assert (left(source), kept(source)) == (left(other), kept(other))
    assert source.deliver(ROWS).core_version == 0  # nothing is new


def test_readers_see_what_was_taken_over(intake: Callable[..., Intake], written: list[Any]) -> None:
    source = intake("psb/household_person")
    source.deliver(ROWS)
    names = ["_row", "record_no", "birth_date", "name", "source_updated_at", "person_id"]
    read = delta.scan(delta.open_table(source.core))
    ours = duckdb.sql(f"SELECT {', '.join(names)} FROM {read.source} ORDER BY _row").fetchall()
    assert polars.scan_delta(str(source.core)).select(names).sort("_row").collect().rows() == ours
    query = f"select {', '.join(names)} from t order by _row"
    assert (
        duckdb.arrow(QueryBuilder().register("t", DeltaTable(source.core)).execute(query).read_all()).fetchall() == ours
    )
    stats = [file.stats for file in delta.table_files(delta.open_table(source.core))]
    assert sorted(one["numRecords"] for one in stats) == sorted([len(ours) - 12, *(file.rows for file in written)])
    assert all("birth_date" in one["minValues"] and "_row" in one["maxValues"] for one in stats)


@pytest.mark.long
@pytest.mark.parametrize("boundary", range(BOUNDARIES + 2))
def test_a_takeover_is_restarted_at_any_step(
    boundary: int, intake: Callable[..., Intake], written: list[Any], tmp_path: Path
) -> None:
    source = intake("psb/household_person")
    undisturbed = Intake(tmp_path / "undisturbed", source.contracts, source.contract)
    expected = vars(undisturbed.deliver(ROWS)) | {"seconds": 0}
    assert vars(source.deliver_killed(ROWS, boundary)) | {"seconds": 0} == expected
    assert left(source) == left(undisturbed)
    source.check_written_once()
