"""What core held by a batch or a day, as a file; and a register judged again with its corrections standing."""

from pathlib import Path

import polars as pl
from typer.testing import CliRunner, Result

from citylake.main import app
from pipelines.register.receipts import Stage
from pipelines.release.ledger import RETENTION, Entry, Ledger
from tests.catalog.small_city import STEWARD
from tests.commands.test_quarantine import SECRET, SOURCE, WORD, Home, home, person, project, take_back
from tests.commands.test_table_returns import DAILY, DIRTY, register, returned

__all__ = ["home", "project", "register"]


def core(file: Path, *options: str, source: str = SOURCE) -> Result:
    result = CliRunner().invoke(app, ["core", source, str(file), *WORD, *options])
    assert "Traceback" not in result.output and SECRET not in result.output
    return result


def keys(file: Path) -> set[str]:
    table = pl.read_parquet(file) if file.suffix == ".parquet" else pl.read_csv(file, infer_schema=False)
    assert set(table["origin_address"]) == {SECRET} and table["record_no"].is_unique().all()
    return set(table["record_no"])


def test_the_table_of_a_source_is_restored_as_of_any_batch(register: Home, tmp_path: Path) -> None:
    daily = {row["DJBH"] for row in DAILY}
    register.deliver(*DAILY, *DIRTY)
    assert take_back(returned(register, tmp_path)).exit_code == 0
    register.deliver(*DAILY[1:], *DIRTY, person("F61"))
    expected = {1: daily, 2: daily | {"F70", "F71", "F72"}, 3: daily - {"F0"} | {"F61", "F70", "F71", "F72"}}
    for batch, rows in expected.items():
        file = tmp_path / f"{batch}.{'csv' if batch == 2 else 'parquet'}"
        result = core(file, "--batch", str(batch))
        assert result.exit_code == 0 and f" {len(rows)} " in result.output, result.output
        assert keys(file) == rows
    today = register.run(lambda run: run.today)
    assert core(tmp_path / "today.parquet", "--known-on", today.isoformat()).exit_code == 0
    assert core(tmp_path / "before.csv", "--known-on", "2020-01-01").exit_code == 0
    assert keys(tmp_path / "today.parquet") == expected[3]
    assert (tmp_path / "before.csv").read_text("utf-8").count("\n") == 1
    bodies = [receipt.body for receipt in register.receipts(Stage.EXPORT) if "core" in receipt.body]
    assert [body["core"] for body in bodies][-3:] == [{"batch": 3}, {"batch": 2}, {"batch": 1}]
    assert {body["who"] for body in bodies} == {STEWARD}


def test_what_cannot_be_restored_is_refused_by_name(register: Home, tmp_path: Path) -> None:
    assert "还没有入库" in core(tmp_path / "a.csv", "--known-on", "2026-01-01").output
    register.deliver(*DAILY)
    for options, said in (
        (["--batch", "9"], "第 9 批没有入库"),
        ([], "之一"),
        (["--batch", "1", "--known-on", "2026-01-01"], "之一"),
    ):
        result = core(tmp_path / "a.csv", *options)
        assert result.exit_code == 1 and said in result.output
    assert ".parquet、.csv" in core(tmp_path / "a.txt", "--batch", "1").output
    assert "没有来源 psb/nobody" in core(tmp_path / "a.csv", "--batch", "1", source="psb/nobody").output
    body = {"horizons": {SOURCE: "2098-12-31"}, "places": {f"core/{SOURCE}": {}}, "batches": {}, "releases": {}}
    register.asked(lambda one: Ledger(one).record([Entry(RETENTION, "retention-x", "retention-x", None, body)]))
    assert "2098-12-31" in core(tmp_path / "a.csv", "--batch", "1").output
    assert core(tmp_path / "a.csv", "--known-on", "2099-01-01").exit_code == 0
    assert {file.name for file in tmp_path.glob("*.*")} == {"a.csv"}


def test_a_register_is_judged_again_with_its_corrections(register: Home, tmp_path: Path) -> None:
    register.deliver(*DAILY, *DIRTY)
    assert take_back(returned(register, tmp_path)).exit_code == 0
    register.deliver(*DAILY, *DIRTY, person("F61"))
    before = register.current()
    again = register.run(lambda run: run.replay(SOURCE, run.today, run.today)).admitted
    assert (again.received, again.inserted, again.updated, again.deleted) == (64, 0, 0, 0)
    assert register.current() == before and register.issues() == []
    outcome = register.deliver(*DAILY, *DIRTY, person("F61"), person("F62"))
    assert (outcome.admitted.inserted, outcome.admitted.deleted) == (1, 0)
    assert register.issues() == []
