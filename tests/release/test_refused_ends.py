"""What is still public although the row that may end it was refused is told to the owner, record by record."""

from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from pipelines.contracts.load import Contracts
from pipelines.issues import Issues
from pipelines.register import Register
from pipelines.release.refused_ends import AREA, LISTED, still_shown

MODEL, REPAIR, PENALTY = "lib_credit__penalty_public", "drc/credit_repair", "drc/penalty"


def test_records_named_by_a_refused_row_are_listed_until_none_is(contracts: Contracts, tmp_path: Path) -> None:
    contract, table = contracts.models[MODEL], tmp_path / "table"
    assert contract.form.endedBy == {PENALTY: "credit_record_no", REPAIR: "repaired_record_no"}
    write_deltalake(str(table), pa.table({"credit_record_no": ["CF1", "CF2", "CF3"]}))
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    desk = Issues(register)

    def told(repaired: list[str], changed: list[str]) -> list[dict[str, object]]:
        found = list(still_shown(contract, table, 0, {REPAIR: repaired, PENALTY: changed}))
        desk.report(MODEL, contract.form.owner, AREA, found)
        return desk.open(MODEL)

    (one,) = told(["CF2", "CF1", "not public"], ["new one"])
    assert (one["severity"], one["owner"], one["count"]) == ("error", "drc", 2)
    assert "CF1、CF2" in one["text"]["zh"] and REPAIR in one["text"]["en"] and "CF3" not in one["text"]["en"]
    assert {(row["code"], row["count"]) for row in told(["CF2"], ["CF2"])} == {
        (f"publicity.end_refused:{source}", 1) for source in (REPAIR, PENALTY)
    }
    assert told([], []) == []
    register.close()


def test_an_issue_names_some_and_counts_all(contracts: Contracts, tmp_path: Path) -> None:
    names = [f"CF{number:03}" for number in range(LISTED + 5)]
    write_deltalake(str(tmp_path / "table"), pa.table({"credit_record_no": names}))
    (found,) = still_shown(contracts.models[MODEL], tmp_path / "table", 0, {REPAIR: names})
    assert found.rows == LISTED + 5 and names[LISTED - 1] in found.text("zh") and names[LISTED] not in found.text("zh")
