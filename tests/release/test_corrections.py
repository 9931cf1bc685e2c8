"""What a department corrects reaches libraries and products: a refused row that comes back in a file, and one that the
source itself tells anew; what it takes back is gone from them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter

from pipelines.admission.quarantine import Line, Quarantine, row_id
from pipelines.contracts.load import Contracts
from pipelines.lake import delta
from pipelines.release.explain import Explainer
from pipelines.run import Run, opened
from tests.city import Town, published_town

pytestmark = [pytest.mark.server, pytest.mark.long]

SOURCE, TABLE, LIBRARY = "drc/permit", 'xygs."T_XZXK"', "lib_credit__permit"
HOUSEHOLD, REGISTERED, PERSON = "psb/household_person", "lib_population__registered", "lib_population__person"
ID = "citylake行标识"
PLAIN = {"ethnicity", "division_code", "education", "marital_status", "address", "registration_kind", "name"}
"""Columns that no other column of a person must agree with."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("corrections"))
    yield town
    town.close()


def open_lines(run: Run, source: str = SOURCE) -> list[Line]:
    with Quarantine(run.contracts.sources[source], run.contracts, run.lake, run.receipts) as quarantine:
        return quarantine.lines()


def good_values(town: Town, source: str = SOURCE) -> dict[str, str | None]:
    """A row that was accepted, as it was delivered."""
    table = delta.open_table(town.settings.lake.core(*source.split("/")))
    ((batch, row),) = duckdb.sql(f"SELECT _batch, _row FROM {delta.scan(table).source} LIMIT 1").fetchall()
    return raw_row(town, source, batch, row)


def raw_row(town: Town, source: str, batch: int, row: int) -> dict[str, str | None]:
    raw = town.settings.lake.raw(*source.split("/")) / str(batch) / "rows.parquet"
    query = (
        f"SELECT COLUMNS(*)::VARCHAR FROM read_parquet('{raw}', file_row_number = true) WHERE file_row_number = {row}"
    )
    return dict(duckdb.sql(query).to_arrow_table().to_pylist()[0])


def book(file: Path, name: str, values: dict[str, str | None]) -> Path:
    with xlsxwriter.Workbook(str(file)) as written:
        sheet = written.add_worksheet()
        for place, (heading, text) in enumerate({ID: name, **values}.items()):
            sheet.write_string(0, place, heading)
            sheet.write_string(1, place, text or "")
    return file


def test_a_returned_row_is_published_and_explained(town: Town, contracts: Contracts, tmp_path: Path) -> None:
    with opened(town.settings, "return") as run:
        line = next(line for line in open_lines(run) if line.values["XK_BH"] and line.unread is None)
        key = str(line.values["XK_BH"])
        corrected = {**good_values(town), "XK_BH": key}
        wanted = {name: corrected[name] for name in line.values}
        file = book(tmp_path / "back.xlsx", row_id(SOURCE, line.batch, line.row), wanted)
        admitted = run.take_back(SOURCE, file, "专员", "核对")
    assert (admitted.accepted, admitted.inserted + admitted.updated) == (1, 1)
    assert town.rows(LIBRARY, where=f"credit_record_no = '{key}'") == []
    town.run("after", sources=[])
    ((rows,),) = town.rows(LIBRARY, "source_rows", f"credit_record_no = '{key}'")
    assert f'"{admitted.batch}:0"' in rows
    with (
        town.register() as register,
        Explainer(contracts, town.settings, register, values=True) as explainer,
    ):
        (cell,) = explainer.explain(LIBRARY, {"credit_record_no": key}, "document_no").cells
    (source,) = cell.sources
    assert source.row.batch == admitted.batch and source.row.origin.startswith("returned:")
    assert source.raw == wanted["XK_WSH"]


def test_a_row_that_the_source_tells_anew_is_published_and_no_longer_open(town: Town) -> None:
    with opened(town.settings, "look") as run:
        line = next(line for line in open_lines(run) if line.values["XK_BH"] and line.unread is None)
    key, good = str(line.values["XK_BH"]), good_values(town)
    change = {name: good[name] for name in line.values if name not in ("XK_BH", "GXSJ")}
    sets = ", ".join(f'"{name}" = %s' for name in change)
    newest = f'(SELECT max("GXSJ") FROM {TABLE})'
    told(town, "drc", f'UPDATE {TABLE} SET {sets}, "GXSJ" = {newest} WHERE "XK_BH" = %s', *change.values(), key)
    town.run("corrected at the source", sources=[SOURCE])
    assert len(town.rows(LIBRARY, where=f"credit_record_no = '{key}'")) == 1
    with opened(town.settings, "look again") as run:
        assert key not in {line.values["XK_BH"] for line in open_lines(run)}


def test_what_the_source_takes_back_is_gone(town: Town) -> None:
    ((before,),) = town.rows(REGISTERED, "count(*)")
    ((rows,),) = town.rows(REGISTERED, "min(source_rows)", f"json_keys(source_rows) = ['{HOUSEHOLD}']")
    batch, _, row = json.loads(rows)[HOUSEHOLD].partition(":")
    record = raw_row(town, HOUSEHOLD, int(batch), int(row))["RYBH"]
    told(town, "psb", 'DELETE FROM hzgl."T_CZRK_JBXX" WHERE "RYBH" = %s', record)
    town.run("taken back", sources=[HOUSEHOLD])
    assert town.rows(REGISTERED, "count(*)") == [(before - 1,)]
    assert town.rows(REGISTERED, "1", f"source_rows = '{rows}'") == []


def test_a_row_of_a_register_that_comes_whole_each_day_stays_corrected(
    town: Town, contracts: Contracts, tmp_path: Path
) -> None:
    """The register goes on sending it as it was."""
    physical = {column.name: column.physical_name for column in contracts.sources[HOUSEHOLD].columns}
    with opened(town.settings, "return to the register") as run:
        lines = [line for line in open_lines(run, HOUSEHOLD) if line.rules.partition(".")[0] in PLAIN]
        line, name = lines[0], physical[lines[0].rules.partition(".")[0]]
        wanted = line.values | {name: good_values(town, HOUSEHOLD)[name]}
        file = book(tmp_path / "back.xlsx", row_id(HOUSEHOLD, line.batch, line.row), wanted)
        admitted = run.take_back(HOUSEHOLD, file, "专员", "核对")
    assert (admitted.accepted, admitted.inserted, admitted.deleted) == (1, 1, 0)
    town.city.tick()
    outcomes = town.run("the next day", sources=[HOUSEHOLD])
    done = outcomes[HOUSEHOLD].admitted
    assert done.batch == admitted.batch + 1 and done.received > 1_000 and done.refused >= 1 and done.ended == []
    ((person,),) = town.rows(PERSON, "person_id", f'source_rows LIKE \'%"{HOUSEHOLD}"%"{admitted.batch}:0"%\'')
    with (
        town.register() as register,
        Explainer(contracts, town.settings, register, values=True) as explainer,
    ):
        (cell,) = explainer.explain(PERSON, {"person_id": person}, "name").cells
    assert (admitted.batch, wanted["XM"]) in {(one.row.batch, one.raw) for one in cell.sources}
    with opened(town.settings, "look at the register") as run:
        assert (line.batch, line.row) not in {(one.batch, one.row) for one in open_lines(run, HOUSEHOLD)}


def told(town: Town, database: str, statement: str, *values: Any) -> None:
    """The department changes its own table."""
    with town.city._server.connect(database, autocommit=True) as connection:
        assert connection.execute(statement, values).rowcount == 1
