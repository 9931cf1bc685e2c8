"""A person asks for a correction: the issue of the department, the corrected value in library and products, and the end
of both when the department delivers it itself.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.admission import granted
from pipelines.codecs.sql import literal
from pipelines.contracts.load import Contracts
from pipelines.issues import Issues, corrections
from pipelines.register.receipts import Receipts
from pipelines.register.store import now
from pipelines.release.corrected import named
from pipelines.release.rows import ReleasedRows
from tests.catalog.small_city import STEWARD
from tests.city import Town, published_town, seed_from_clock

pytestmark = [pytest.mark.server, pytest.mark.slow]
SOURCE = "psb/household_person"
RIGHT = "13900000001"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def issues(town: Town) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    with town.register() as register:
        found = Issues(register)
        return tuple(
            [row for row in rows if str(row["code"]).startswith("rights.")]
            for rows in (found.open(SOURCE), found.proved(SOURCE))
        )  # type: ignore[return-value]


def test_a_correction_counts_until_the_department_delivers_it(
    town: Town, contracts: Contracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    seed = seed_from_clock()
    print(f"CITYLAKE_TEST_SEED={seed}")
    said_by = "mobile IS NOT NULL AND residence_status = '1'"
    rows = town.rows("lib_population__person", "person_id, mobile, attr_source, source_rows", said_by)
    rows = [row for row in rows if json.loads(row[2])["mobile"] == SOURCE]
    person, wrong, _, books = rows[seed % len(rows)]
    place = json.loads(books)[SOURCE]

    def ask(*arguments: str) -> str:
        who = ["--who", STEWARD, "--why", "本人申请更正"]
        told = CliRunner().invoke(app, ["person", person, "correct", *arguments, *who])
        assert not told.exception or isinstance(told.exception, SystemExit), told.exception
        return f"{told.exit_code} {told.output}"

    assert ask("--field", "mobile", "--from", "13800000000", "--to", RIGHT).startswith("1 ")
    assert ask("--field", "mobile", "--from", wrong, "--to", "12").startswith("1 ")
    assert ask("--field", "age", "--from", "1", "--to", "2").startswith("1 ")
    assert not issues(town)[0]
    assert ask("--field", "mobile", "--from", wrong, "--to", RIGHT, "--apply").startswith("0 ")
    ((issue,), nothing) = issues(town)
    assert issue["owner"] == "psb" and not nothing
    assert wrong not in str(issue) and RIGHT not in str(issue) and person not in str(issue)

    mine = f"person_id = {literal(person)}"
    assert not town.run("corrected", sources=[SOURCE])["lib_population__person"].findings
    assert town.rows("lib_population__person", "mobile", mine) == [(RIGHT,)]
    assert len(issues(town)[0]) == 1

    (asked,) = granted.read(town.settings.lake, contracts.sources[SOURCE])
    with town.city._server.connect("psb") as department:
        done = department.execute(
            'UPDATE hzgl."T_CZRK_JBXX" SET "LXDH" = %s WHERE "RYBH" = %s', [RIGHT, asked.where["record_no"]]
        )
        assert done.rowcount == 1
    town.run("mended", sources=[SOURCE])
    still, (closed,) = issues(town)
    assert not still and closed["text"]["proof"]["batches"]  # type: ignore[index]
    assert granted.read(town.settings.lake, contracts.sources[SOURCE]) == []
    assert town.rows("lib_population__person", "mobile", mine) == [(RIGHT,)]
    with town.register() as register:
        (one,) = corrections.proved(register, now() - timedelta(1))
        released = ReleasedRows(contracts, town.settings.lake, register)
        with closing(released.con):
            places = list(named(released, Receipts(register, "test"), one))
    assert (one.source, one.row, one.column, one.batch) == (
        SOURCE,
        place,
        "mobile",
        closed["text"]["proof"]["batches"][0],
    )  # type: ignore[index]
    assert {"person_id": person} in [found.key for found in places]
    assert all("mobile" in found.columns for found in places if found.key == {"person_id": person})
