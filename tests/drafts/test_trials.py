"""Trying a source and moving where it is read on from, against real servers, as a steward does it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from citylake.main import app
from pipelines.admission.position import alike
from pipelines.contracts.load import Contracts
from pipelines.register import Register, tables
from pipelines.register.receipts import Stage
from pipelines.run import opened
from pipelines.settings import Settings
from simulator.server import Server
from tests.catalog.small_city import STEWARD, appoint
from tests.connectors.databases import Engine, MariaDB, mysql_engine, postgres_engine

pytestmark = pytest.mark.server

runner = CliRunner()
SOURCE = "psb/trial"
CONTRACT = """
name: 试验
nameEn: trial
version: 1.0.0
status: active
description: 试验
connector: {{database: {{connection: psb, table: {table}}}}}
load: {{mode: cursor, key: [record_no], cursor: source_updated_at}}
slaProperties: {{frequency: 每日, retention: 10y}}
properties:
  - {{name: record_no, physicalName: bh}}
  - {{name: sex, physicalName: xb, required: true}}
  - {{name: source_updated_at, physicalName: gxsj, required: true}}
"""
COLUMNS = {"bh": "integer", "xb": "varchar(10)", "gxsj": "time"}


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("server")
    if request.param == "mysql":
        mariadb = MariaDB(folder)
        yield mysql_engine(mariadb)
        mariadb.stop()
        return
    server = Server(folder)
    server.start()
    yield postgres_engine(server)
    server.stop()


@pytest.fixture
def home(
    tmp_path: Path, repository: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, contracts: Contracts
) -> Path:
    """A city whose one source is a table of the server, with one row in ten that admission refuses."""
    import shutil

    own = tmp_path / "project" / "data_contracts"
    (own / "sources" / "psb").mkdir(parents=True)
    for name in ("codes", "fields.yaml", "city.yaml"):
        copy = shutil.copytree if (repository / "data_contracts" / name).is_dir() else shutil.copy
        copy(repository / "data_contracts" / name, own / name)
    city = own / "city.yaml"
    city.write_text(re.sub(r"^addressBook: .*\n", "", city.read_text("utf-8"), flags=re.MULTILINE), "utf-8")
    city.write_text(re.sub(r"^deliveries:\n(?:[ #].*\n|\n)*", "", city.read_text("utf-8"), flags=re.MULTILINE), "utf-8")
    (own / "sources" / "psb" / "trial.yaml").write_text(CONTRACT.format(table=engine.table), "utf-8")
    monkeypatch.setenv("CITYLAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(tmp_path / "project"))
    monkeypatch.setenv("CITYLAKE_SECRET_PSB_DSN", engine.address)
    engine.fill(COLUMNS, [])
    for n in range(20):
        row = [str(n), "'火星'" if n % 10 == 9 else "'男'", f"'2026-01-{n + 1:02} 08:00:00'"]
        engine.add([row])
    Settings.from_environment().prepare()
    register = Register(Settings.from_environment().register_url)
    register.upgrade()
    appoint(register, contracts)
    register.close()
    return tmp_path


def tried(code: int) -> str:
    result = runner.invoke(app, ["source", "test", SOURCE])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output and "火星" not in result.output
    return result.output


def test_a_good_source_and_what_admission_would_refuse(home: Path) -> None:
    told = tried(0)
    assert "看了 20 行，其中 2 行入库时会退回" in told and "2 行 · sex.in_codes" in told
    assert list((home / "home" / "lake" / "raw").iterdir()) == []
    assert list((home / "home" / "lake" / "scratch").glob("trial-*")) == []


def dropped_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the source is delivered as files, in place of a table."""
    contract, drop = home / "project/data_contracts/sources/psb/trial.yaml", home / "drop"
    dropped = "connector: {file_drop: {connection: psb, files: 't_*.csv', format: csv, complete: marker}}"
    text = re.sub(r"connector: .*", dropped, CONTRACT.format(table="t"))
    text = text.replace("mode: cursor", "mode: snapshot_diff").replace("cursor: source_updated_at", "volumeFloor: 1")
    contract.write_text(text, "utf-8")
    drop.mkdir()
    monkeypatch.setenv("CITYLAKE_SECRET_PSB_DSN", drop.as_uri())
    return drop


def test_the_file_that_the_next_run_takes_is_tried(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop = dropped_files(home, monkeypatch)

    def laid_down(name: str, sex: str) -> None:
        rows = "".join(f"{number},{sex},2026-01-02 08:00:00\n" for number in range(10))
        (drop / name).write_text(f"bh,xb,gxsj\n{rows}", "utf-8")
        (drop / f"{name}.ok").touch()

    laid_down("t_01.csv", "男")
    assert "没有新的交付" not in tried(0)
    assert ingest() == 10
    assert "没有新的交付" in tried(0)
    laid_down("t_02.csv", "火星")
    told = tried(1)
    assert "半数以上" in told and "没有新的交付" not in told


def test_what_a_run_would_hold_is_not_good(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that Excel has cut, in the first file that a department shows."""
    drop = dropped_files(home, monkeypatch)
    rows = "".join(f"{341502200501010 + number}000,男,2026-01-02 08:00:00\n" for number in range(10))
    (drop / "t_01.csv").write_text(f"bh,xb,gxsj\n{rows}", "utf-8")
    assert "没有完成标记" in tried(1)
    (drop / "t_01.csv.ok").touch()
    assert "号码被截断“bh”" in tried(1)


@pytest.mark.long
def test_what_is_wrong_is_told(home: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.run(f"ALTER TABLE {engine.table} ADD extra varchar(10)")
    assert "extra" in tried(0)
    engine.run(f"ALTER TABLE {engine.table} ADD 李建国 varchar(10)")
    told = tried(0)
    assert "extra" in told and "#2" in told and "李建国" not in told
    engine.run(f"UPDATE {engine.table} SET xb = '火星'")
    assert "半数以上" in tried(1)
    engine.run(f"UPDATE {engine.table} SET xb = '男'")
    engine.run(f"ALTER TABLE {engine.table} RENAME COLUMN xb TO xbdm")
    assert "xb" in tried(1) and "缺" in tried(1)
    engine.run(f"DROP TABLE {engine.table}")
    assert engine.table in tried(1)
    wrong = re.sub(r"//([^:]+):[^@]*@", r"//\1:geheim@", engine.address)
    for address in (wrong, re.sub(r":[0-9]+/", ":1/", engine.address), "dm://a:geheim@127.0.0.1/x"):
        monkeypatch.setenv("CITYLAKE_SECRET_PSB_DSN", address)
        assert "geheim" not in tried(1)
    assert "dmSQLAlchemy" in tried(1)
    monkeypatch.delenv("CITYLAKE_SECRET_PSB_DSN")
    assert "CITYLAKE_SECRET_PSB_DSN" in tried(1)


def ingest() -> int:
    """The rows of the last delivery after one more run of the source."""
    with opened(Settings.from_environment(), "run") as run:
        done = run.ingest(SOURCE)
        assert done.status in ("admitted", "unchanged"), done.message
        assert done.admitted is not None
        return done.admitted.received


def moved(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, ["source", "rewind", SOURCE, "--who", STEWARD, "--why", "部门补录", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def receipts(stage: Stage = Stage.POSITION) -> list[dict[str, Any]]:
    register = Register(Settings.from_environment().register_url)
    try:
        return list(register.rows(sa.select(tables.receipt).where(tables.receipt.c.stage == stage)))
    finally:
        register.close()


@pytest.mark.long
def test_a_range_is_read_again_from_the_source(home: Path, engine: Engine) -> None:
    moved("--value", "2026-01-05 00:00:00", code=1)  # nothing was pulled yet
    assert ingest() == 20
    engine.run(f"UPDATE {engine.table} SET xb = '女' WHERE bh = 5")  # mended without a new time: no pull would see it
    told = moved("--value", "2026-01-05 08:00:00")
    assert "2026-01-20" in told and "2026-01-05" in told
    assert ingest() == 16
    with opened(Settings.from_environment(), "look") as run:
        body = run.receipts.last_delivered(SOURCE)
        assert body is not None and body.body["position"]["value"].startswith("2026-01-20")
        admitted = run.receipts.deliveries_admitted(SOURCE, 1)[0].body
    assert (admitted["updated"], admitted["inserted"]) == (1, 0)
    (act,) = receipts()
    assert (act["body"]["who"], act["body"]["why"]) == (STEWARD, "部门补录")
    assert act["body"]["before"]["value"].startswith("2026-01-20")
    assert "之后" not in told
    assert "之后" not in moved("--batch", "1")
    assert "其间的行不会取来" in moved("--batch", "2")
    moved("--batch", "1")
    assert ingest() == 20
    assert receipts()[-1]["body"]["position"] == {}


def test_a_move_forward_says_that_rows_are_left_out(home: Path, engine: Engine) -> None:
    assert ingest() == 20
    assert "其间的行不会取来" in moved("--value", "2026-02-01 00:00:00")
    engine.add([["50", "'男'", "'2026-01-25 08:00:00'"]])
    assert "其间的行不会取来" not in moved("--value", "2026-01-20 08:00:00")
    assert ingest() == 2


@pytest.mark.parametrize(
    ("known", "good", "bad"),
    [
        ("2026-11-02 08:00:00", ["2026-02-28 00:00:00", "2026-02-28 00:00:00.5"],
         ["2026-13-45 00:00:00", "2026-02-30 00:00:00", "2026-11-02", "2026-11-02T08:00:00", "20261102 080000",
          "2026-11-02 08:00:00+08:00", "5"]),
        ("2026-11-02T08:00:00+08:00", ["2026-11-01T00:00:00Z"], ["2026-11-01T00:00:00", "2026-11-01 00:00:00+08:00"]),
        ("2026-11-02", ["2024-02-29"], ["2026-02-29", "2026-W01-1", "20261101", "2026-11-01 00:00:00"]),
        ("20261102", ["20240229"], ["20260229", "5", "99999999", "20261102000000", "-0261102", "2026-11-02"]),
        ("20261102080000", ["20261101000000"], ["20261101250000", "20261101", "5"]),
        ("4711", ["5", "99999999"], ["x", "5.0", "2026-11-02"]),
        (20261102, ["5"], ["x"]),
        ("0004711", ["0000005"], ["5"]),
        ("2026/11/02", ["2026/11/01"], ["2026-11-01", "5"]),
    ],
)  # fmt: skip
def test_a_position_is_of_the_kind_of_the_one_before(known: Any, good: list[str], bad: list[str]) -> None:
    assert [one for one in good if not alike(one, known, False)] == []
    assert [one for one in bad if alike(one, known, False)] == []


def test_digits_of_a_column_of_numbers_are_no_day() -> None:
    assert alike("5", "20261102", True) and not alike("soon", "20261102", True)


def test_what_cannot_be_moved_is_said(home: Path) -> None:
    assert ingest() == 20
    for arguments in (
        ["--value", "5"],
        ["--value", "soon"],
        ["--value", "2026-01-05"],
        ["--value", "2026-13-45 00:00:00"],
        ["--value", "20260105"],
        ["--batch", "9"],
        [],
    ):
        assert "Traceback" not in moved(*arguments, code=1)
    assert receipts() == []


def test_a_replay_says_who_wanted_it_and_why(home: Path) -> None:
    assert ingest() == 20
    days = ["replay", SOURCE, "2020-01-01", "2030-01-01"]
    assert runner.invoke(app, days).exit_code == 2
    said = runner.invoke(app, [*days, "--who", STEWARD, "--why", "规则已改"])
    assert json.loads(said.output.splitlines()[-1])["received"] == 20
    assert receipts(Stage.PULL)[-1]["body"]["replayed"] == {"who": STEWARD, "why": "规则已改"}
