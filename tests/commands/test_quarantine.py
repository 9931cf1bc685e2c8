"""Refused rows on their way out and back, by the command line: one source that delivers its changes as files."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook
from typer.testing import CliRunner, Result

from citylake.main import app
from pipelines.contracts.load import Contracts, load
from pipelines.issues import Issues
from pipelines.lake import delta
from pipelines.lake.edition import current_state
from pipelines.register import Register
from pipelines.register.receipts import REPLAY, RETURNED, Receipt, Receipts, Stage
from pipelines.release.explain import Explainer
from pipelines.run import Ingested, Run, opened
from pipelines.settings import Settings
from tests.catalog.small_city import STEWARD, appoint
from tests.city import REPOSITORY

SOURCE, OTHER = "psb/floating_person", "dsrb/case_step"
ID, REASON, POSITION = "citylake行标识", "退回原因", "来源位置"
SECRET = "秘密村"
"""Stands in every row; it may be in the exported file only."""
WORD = ["--who", STEWARD, "--why", "核对"]
runner = CliRunner()


class Home:
    """A home whose source takes CSV files that the test drops."""

    def __init__(self, folder: Path) -> None:
        self.drop = folder / "drop"
        self.drop.mkdir()
        self.settings = Settings.from_environment()
        self.columns = [column.physical_name for column in load(self.settings.contracts).sources[SOURCE].columns]
        self.files = 0

    def deliver(self, *rows: Mapping[str, str]) -> Ingested:
        """One file, and a run of the source."""
        self.put(*rows)
        return self.run(lambda run: run.ingest(SOURCE))

    def put(self, *rows: Mapping[str, str]) -> None:
        """One file."""
        self.files += 1
        lines = [",".join(self.columns), *(",".join(row.get(name, "") for name in self.columns) for row in rows)]
        (self.drop / f"{self.files:03}.csv").write_text("\n".join(lines) + "\n", "utf-8")
        (self.drop / f"{self.files:03}.csv.ok").touch()

    def run(self, step: Callable[[Run], Any]) -> Any:
        with opened(self.settings, "test") as run:
            return step(run)

    def explained(self, row: str, column: str) -> tuple[str, Any]:
        """Where a row (`batch:row`) came from, and what a cell of it was delivered as."""
        contracts = load(self.settings.contracts)

        def told(register: Register) -> tuple[str, Any]:
            with Explainer(contracts, self.settings, register, values=True) as explainer:
                found = explainer._source_row(SOURCE, row)
                return found.origin, explainer._source_cell(found, column).raw

        found: tuple[str, Any] = self.asked(told)
        return found

    def current(self) -> dict[str, dict[str, Any]]:
        """Core by key."""
        table = delta.open_table(self.settings.lake.core(*SOURCE.split("/")))
        names = [name for name in delta.column_types(table.schema()) if not name.startswith("_")]
        query = current_state(f"(SELECT * FROM {delta.scan(table).source})", ["record_no"], names, None, '"')
        return {row["record_no"]: row for row in duckdb.sql(query).to_arrow_table().to_pylist()}

    def asked(self, question: Callable[[Register], Any]) -> Any:
        register = Register(self.settings.register_url)
        try:
            return question(register)
        finally:
            register.close()

    def receipts(self, stage: Stage) -> list[Receipt]:
        return self.asked(lambda register: Receipts(register, "test").of_stage(stage, SOURCE, 100))

    def issues(self) -> list[dict[str, Any]]:
        return [row for row in self.asked(lambda r: Issues(r).open(SOURCE)) if row["code"].startswith("admit.refused")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real project with one source that takes dropped files."""
    project = tmp_path_factory.mktemp("quarantine") / "project"
    shutil.copytree(REPOSITORY / "data_contracts", project / "data_contracts")
    shutil.copytree(REPOSITORY / "dbt_project", project / "dbt_project")
    contract = project / "data_contracts" / "sources" / f"{SOURCE}.yaml"
    lines = contract.read_text("utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("connector:"))
    lines[place] = 'connector: {file_drop: {connection: hc, files: "*.csv", format: csv}}'
    contract.write_text("\n".join(lines) + "\n", "utf-8")
    return project


@pytest.fixture
def home(project: Path, contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("CITYLAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(project))
    monkeypatch.setenv("CITYLAKE_SECRET_HC_DROP", (tmp_path / "drop").as_uri())
    home = Home(tmp_path)
    home.settings.prepare()

    def begun(register: Register) -> None:
        register.upgrade()
        appoint(register, contracts)

    home.asked(begun)
    yield home


def deliver_book(home: Home, rows: Sequence[Mapping[str, str]], sheet: str) -> None:
    """The rows as a workbook with a title above them and an empty line between them, and a run of the source."""
    with xlsxwriter.Workbook(str(home.drop / "名册.xlsx")) as written:
        page = written.add_worksheet(sheet)
        page.write_string(0, 1, "流动人口登记表")
        page.write_row(2, 1, home.columns)
        for number, row in enumerate(rows):
            page.write_row(3 + 2 * number, 1, [row.get(name, "") for name in home.columns])
    (home.drop / "名册.xlsx.ok").touch()
    home.run(lambda run: run.ingest(SOURCE))


def person(number: str, day: int = 1, **change: str) -> dict[str, str]:
    return {
        "DJBH": number,
        "GMSFHM": "341502200501010019",
        "XM": "张三丰",
        "XBDM": "1",
        "HJXZQH": "341502",
        "HJDZ": SECRET,
        "JZXZQH": "341502001001",
        "DJRQ": "20250101",
        "DJZT": "1",
        "GXSJ": f"2026-01-{day:02} 10:00:00",
        **change,
    }


def call(*arguments: str | Path) -> Result:
    result = runner.invoke(app, ["quarantine", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result


def export(file: Path) -> list[dict[str, Any]]:
    """The rows of a fresh export, by heading."""
    result = call("export", SOURCE, file, *WORD)
    assert result.exit_code == 0, result.output
    assert SECRET not in result.output
    return rows_of(file)


def rows_of(file: Path) -> list[dict[str, Any]]:
    names, _, *rows = CalamineWorkbook.from_path(str(file)).get_sheet_by_index(1).to_python()
    return [dict(zip(names, row, strict=True)) for row in rows]


def book(file: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Path:
    """A book as an office would save it: one sheet, cells of their own types."""
    names = list(columns or rows[0])
    with xlsxwriter.Workbook(str(file)) as written:
        sheet = written.add_worksheet("Sheet1")
        for row, cells in enumerate([dict(zip(names, names, strict=True)), *rows]):
            for place, name in enumerate(names):
                value = cells.get(name)
                if isinstance(value, int | float):
                    sheet.write_number(row, place, value)
                elif value:
                    sheet.write_string(row, place, value)
    return file


def take_back(file: Path, source: str = SOURCE) -> Result:
    return call("return", source, file, *WORD)


def test_a_refused_row_of_a_workbook_is_told_by_its_cells(
    project: Path, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts = tmp_path / "project" / "data_contracts"
    shutil.copytree(project / "data_contracts", contracts)
    (tmp_path / "project" / "dbt_project").symlink_to(project / "dbt_project")
    contract = contracts / "sources" / f"{SOURCE}.yaml"
    contract.write_text(
        contract.read_text("utf-8").replace("*.csv", "*.xlsx").replace("csv", "xlsx, header_row: 3"), "utf-8"
    )
    monkeypatch.setenv("CITYLAKE_PROJECT", str(tmp_path / "project"))
    home.settings = Settings.from_environment()
    bad = [person("F2", GMSFHM="341502200501010018"), person("F3", XM="#N/A", GXSJ="昨天"), person("F4", DJBH="")]
    deliver_book(home, [person("F1"), *bad], "企业 A")
    letter = {name: chr(ord("B") + place) for place, name in enumerate(home.columns)}
    positions = [row[POSITION] for row in export(tmp_path / "out.xlsx")]
    cells = [(2, 6, ["GMSFHM"]), (3, 8, ["XM", "GXSJ"]), (4, 10, ["DJBH"])]
    for position, (row, number, names) in zip(positions, cells, strict=True):
        start, _, rest = position.removeprefix("文件 名册.xlsx，单元格 企业 A!").partition("（")
        assert set(start.split("、")) == {f"{letter[name]}{number}" for name in names}
        assert rest == f"第 1 批数据第 {row} 行）"


@pytest.mark.long
def test_a_refused_row_goes_out_comes_back_and_closes_its_issue(home: Home, tmp_path: Path) -> None:
    home.deliver(person("F1"), person("F2", GMSFHM="341502200501010018"), person("F3", XM="暂无"))
    assert {row["code"] for row in home.issues()} == {
        "admit.refused:id_number.gb11643_check_digit",
        "admit.refused:name.required",
    }
    listed = call("list")
    assert listed.exit_code == 0
    assert "id_number.gb11643_check_digit：1 行" in listed.output and "公民身份号码校验码正确" in listed.output
    rows = export(tmp_path / "out.xlsx")
    assert (tmp_path / "out.xlsx").stat().st_mode & 0o777 == 0o600
    assert [row["DJBH"] for row in rows] == ["F2", "F3"]
    assert rows[0]["GMSFHM"] == "341502200501010018"  # all 18 digits, as text
    assert "公民身份号码" in rows[0][REASON] and "GMSFHM" in rows[0][REASON]
    assert rows[0][POSITION] == "文件 001.csv，文件第 3 行（第 1 批数据第 2 行）"
    notice = CalamineWorkbook.from_path(str(tmp_path / "out.xlsx")).get_sheet_by_index(0).to_python()
    assert "个人信息" in notice[0][0] and "公安" in notice[0][0]
    rows[0]["GMSFHM"], rows[1]["XM"] = "341502200501010019", "李四光"
    shuffled = [rows[1], {}, rows[0], {}]  # in another order, with empty rows
    position = home.receipts(Stage.PULL)[0].body["position"]
    result = take_back(book(tmp_path / "back.xlsx", shuffled, [*reversed(rows[0]), "备注"]))
    assert result.exit_code == 0, result.output
    done = json.loads(result.output)
    assert (done["batch"], done["accepted"], done["refused"], done["inserted"]) == (2, 2, 0, 2)
    assert home.current()["F2"]["id_number"] == "341502200501010019"
    assert home.current()["F3"]["name"] == "李四光"
    pull = home.receipts(Stage.PULL)[0]
    assert pull.body["origin"].startswith(RETURNED) and pull.body["position"] == position
    assert {name: pull.body["returned"][name] for name in ("who", "why", "answers")} == {
        "who": "专员", "why": "核对", "answers": [[1, 2], [1, 1]],
    }  # fmt: skip
    kept = home.settings.lake.raw(*SOURCE.split("/")) / "2" / "returned.xlsx"
    assert kept.read_bytes() == (tmp_path / "back.xlsx").read_bytes()
    assert home.issues() == []
    closed = home.asked(lambda register: Issues(register).proved(SOURCE))
    assert [row["text"]["proof"] for row in closed] == [{"batches": [2]}] * 2
    assert "由第 2 批" in call("list", SOURCE, "--closed").output
    assert call("list").output == ""
    assert call("export", SOURCE, tmp_path / "again.xlsx", *WORD).exit_code == 1
    home.deliver(person("F4"))  # the source goes on where it was
    assert set(home.current()) == {"F1", "F2", "F3", "F4"}


@pytest.mark.long
def test_the_same_dirty_row_on_five_days_is_one_line(home: Home, tmp_path: Path) -> None:
    dirty = person("F2", GMSFHM="341502200501010018")
    for day in range(1, 6):
        home.deliver(person("F1", day), dirty)
    (issue,) = home.issues()
    assert issue["count"] == 1
    assert "1 行待改正，最多送来 5 次" in call("list", SOURCE).output
    (row,) = export(tmp_path / "out.xlsx")
    row["GMSFHM"] = "341502200501010019"
    assert take_back(book(tmp_path / "back.xlsx", [row])).exit_code == 0
    home.deliver(person("F1", 6), dirty)  # and it arrives once more
    assert home.issues() == []
    assert home.current()["F2"]["id_number"] == "341502200501010019"


def test_a_row_refused_again_stays_open_with_its_new_reason(home: Home, tmp_path: Path) -> None:
    home.deliver(person("F2", GMSFHM="341502200501010018"))
    (row,) = export(tmp_path / "1.xlsx")
    row |= {"GMSFHM": "341502200501010019", "XM": "9"}
    told = take_back(book(tmp_path / "back.xlsx", [row])).output.splitlines()
    done = json.loads(told[-1])
    assert (done["batch"], done["accepted"], done["by_rule"]) == (2, 0, {"name.chinese_name": 1})
    assert told[0].startswith(f"{SOURCE} 第 2 批 1 行中退回 1 行") and "1 of 1 rows were refused" in told[1]
    assert told[2].startswith("  1 行 · name.chinese_name：姓名（XM）") and "1 rows · name.chinese_name" in told[3]
    (again,) = export(tmp_path / "2.xlsx")
    assert again[ID] == row[ID] and again["XM"] == "9"
    assert "XM" in again[REASON] and "GMSFHM" not in again[REASON]
    assert [issue["code"] for issue in home.issues()] == ["admit.refused:name.chinese_name"]
    again["XM"] = "李四光"
    assert take_back(book(tmp_path / "back2.xlsx", [again])).exit_code == 0
    assert home.issues() == [] and home.current()["F2"]["name"] == "李四光"


def test_a_replay_says_why_it_refuses(home: Home) -> None:
    home.deliver(person("F1"), person("F2", GMSFHM="341502200501010018"))
    today = home.run(lambda run: run.today.isoformat())
    told = runner.invoke(app, ["replay", SOURCE, today, today, *WORD]).output.splitlines()
    done = json.loads(told[-1])
    assert (done["batch"], done["received"], done["by_rule"]) == (2, 2, {"id_number.gb11643_check_digit": 1})
    assert told[0].startswith(f"{SOURCE} 第 2 批 2 行中退回 1 行")
    assert told[2].startswith("  1 行 · id_number.gb11643_check_digit：公民身份号码")


@pytest.mark.parametrize("day", [1, 2])
def test_a_correction_at_the_source_closes_the_line_with_its_batch(home: Home, day: int) -> None:
    home.deliver(person("F2", GMSFHM="341502200501010018"))
    home.deliver(person("F2", day))
    assert home.issues() == []
    (closed,) = home.asked(lambda register: Issues(register).proved(SOURCE))
    assert closed["text"]["proof"] == {"batches": [2]}


def test_an_older_row_of_the_source_is_no_correction(home: Home) -> None:
    home.deliver(person("F2", 5, GMSFHM="341502200501010018"))
    home.deliver(person("F2", 4))
    assert len(home.issues()) == 1


def test_what_looks_like_a_formula_stays_text(home: Home, tmp_path: Path) -> None:
    home.deliver(person("F2", XM="=1+1", HJDZ="@SUM(A1)"))
    (row,) = export(tmp_path / "out.xlsx")
    assert (row["XM"], row["HJDZ"]) == ("=1+1", "@SUM(A1)")


def change(name: str, value: Any) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    return lambda row: [row | {name: value}]


@pytest.mark.long
@pytest.mark.parametrize(
    ("spoil", "word", "where"),
    [
        (change(ID, "B1R1-000000"), "被改动", "第 2 行"),
        (change(ID, "B1R2"), "被改动", ID),
        (change(ID, ""), "没有行标识", ID),
        (change("GMSFHM", 341502200501010019), "第 15 位", "GMSFHM"),
        (change("DJBH", 7), "数字单元格", "DJBH"),
        (change("GMSFHM", "3.41502200501010E+17"), "第 15 位", "GMSFHM"),
        (lambda row: [row, row], "相同", "第 3 行"),
        (lambda row: [{name: row[name] for name in row if name != "XM"}], "缺少列：XM", "第 1 行"),
        (lambda row: [{name: row[name] for name in row if name != ID}], "没有带", ID),
        (lambda row: [dict.fromkeys(row, "")], "没有更正行", "Sheet1"),
    ],
)
def test_a_spoilt_file_is_refused_whole_and_told_where(
    home: Home, tmp_path: Path, spoil: Callable[[dict[str, Any]], list[dict[str, Any]]], word: str, where: str
) -> None:
    home.deliver(person("F1", XM="9"), person("F2", GMSFHM="341502200501010018"))
    row = export(tmp_path / "out.xlsx")[1] | {"GMSFHM": "341502200501010019"}
    result = take_back(book(tmp_path / "back.xlsx", spoil(row)))
    assert result.exit_code == 1
    assert word in result.output and where in result.output and "back.xlsx" in result.output
    assert SECRET not in result.output and "3415022005" not in result.output
    assert len(home.receipts(Stage.PULL)) == 1


def test_a_stale_export_a_foreign_file_and_no_book_are_refused(home: Home, tmp_path: Path) -> None:
    home.deliver(person("F2", GMSFHM="341502200501010018"))
    (row,) = export(tmp_path / "out.xlsx")
    back = book(tmp_path / "back.xlsx", [row | {"GMSFHM": "341502200501010019"}])
    columns = [column.physical_name for column in load(home.settings.contracts).sources[OTHER].columns]
    foreign = take_back(book(tmp_path / "foreign.xlsx", [row], [ID, *columns]), OTHER)
    assert foreign.exit_code == 1 and f"属于来源 {SOURCE}" in foreign.output
    assert take_back(back).exit_code == 0
    stale = take_back(back)
    assert stale.exit_code == 1 and "已不待改正" in stale.output
    (tmp_path / "no.xlsx").write_text("no book", "utf-8")
    assert "不是可读的 xlsx" in take_back(tmp_path / "no.xlsx").output
    assert "不是可读的 xlsx" in take_back(tmp_path / "none.xlsx").output
    assert "没有来源" in take_back(back, "psb/nothing").output


def test_an_export_is_recorded_and_kept_out_of_the_lake(home: Home, tmp_path: Path) -> None:
    home.deliver(person("F2", GMSFHM="341502200501010018"))
    inside = call("export", SOURCE, home.settings.home / "lake" / "out.xlsx", *WORD)
    assert inside.exit_code == 1 and "之内" in inside.output
    (tmp_path / "there.xlsx").write_text("kept", "utf-8")
    assert call("export", SOURCE, tmp_path / "there.xlsx", *WORD).exit_code == 1
    assert (tmp_path / "there.xlsx").read_text("utf-8") == "kept"
    assert home.receipts(Stage.EXPORT) == []
    (row,) = export(tmp_path / "out.xlsx")
    (receipt,) = home.receipts(Stage.EXPORT)
    assert {name: receipt.body[name] for name in ("who", "why", "rows", "ids")} == {
        "who": "专员", "why": "核对", "rows": 1, "ids": [row[ID]],
    }  # fmt: skip


def test_the_rows_of_one_rule_go_out_alone(home: Home, tmp_path: Path) -> None:
    home.deliver(person("F1"), person("F2", GMSFHM="341502200501010018"), person("F3", XM="暂无"))
    out = tmp_path / "one rule.xlsx"
    assert call("export", SOURCE, out, "--rule", "name.required", *WORD).exit_code == 0
    (row,) = [row for row in CalamineWorkbook.from_path(str(out)).get_sheet_by_index(1).to_python() if "F3" in row]
    assert not any("F2" in str(cell) for cell in row)
    (receipt,) = home.receipts(Stage.EXPORT)
    assert (receipt.body["rule"], receipt.body["rows"]) == ("name.required", 1)
    wrong = call("export", SOURCE, tmp_path / "none.xlsx", "--rule", "sex.in_codes", *WORD)
    assert wrong.exit_code == 1 and "sex.in_codes" in wrong.output and not (tmp_path / "none.xlsx").exists()


@pytest.mark.long
def test_no_value_of_a_row_is_in_the_register_or_the_list(home: Home, tmp_path: Path) -> None:
    home.deliver(person("F2", GMSFHM="341502200501010018"))
    (row,) = export(tmp_path / "out.xlsx")
    assert take_back(book(tmp_path / "back.xlsx", [row])).exit_code == 0
    shown = call("list").output + call("list", "--closed").output
    register = b"".join(file.read_bytes() for file in home.settings.home.glob("register.db*"))
    for secret in (SECRET, "341502200501010018"):
        assert secret not in shown and secret.encode() not in register


@pytest.mark.long
def test_a_return_killed_before_it_was_admitted_is_finished_by_the_next_run(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.deliver(person("F2", GMSFHM="341502200501010018"))
    (row,) = export(tmp_path / "out.xlsx")
    back = book(tmp_path / "back.xlsx", [row | {"GMSFHM": "341502200501010019"}])

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Run, "_admit", kill)
        home.run(lambda run: run.take_back(SOURCE, back, "专员", "核对"))
    assert "1 行待改正" in call("list").output
    home.deliver(person("F3"))
    assert home.issues() == [] and set(home.current()) == {"F2", "F3"}


def test_a_replay_leaves_corrections_alone(home: Home, tmp_path: Path) -> None:
    contract = home.settings.contracts / "sources" / f"{SOURCE}.yaml"
    lax = contract.read_text("utf-8")
    strict = "quality:\n  - differs: {column: origin_address, other: residence_address}\n"
    contract.write_text(lax.replace("quality:\n", strict), "utf-8")
    home.deliver(person("F1"), person("F2", JZDZ=SECRET))
    (row,) = export(tmp_path / "out.xlsx")
    assert take_back(book(tmp_path / "back.xlsx", [row | {"JZDZ": "新址"}])).exit_code == 0
    contract.write_text(lax, "utf-8")  # by which what the source had delivered is right too
    home.run(lambda run: run.replay(SOURCE, run.today, run.today))
    pull = home.receipts(Stage.PULL)[0]
    assert (pull.body["origin"], pull.body["rows"]) == (f"{REPLAY}1", 1)  # F1; the returned batch is no source's
    assert home.current()["F2"]["residence_address"] == "新址"
    assert home.issues() == []


def test_explain_leads_to_the_returned_batch(home: Home, tmp_path: Path) -> None:
    home.deliver(person("F2", GMSFHM="341502200501010018"))
    (row,) = export(tmp_path / "out.xlsx")
    assert take_back(book(tmp_path / "back.xlsx", [row | {"GMSFHM": "341502200501010019"}])).exit_code == 0
    origin, raw = home.explained("2:0", "id_number")
    assert origin.startswith("returned:returned.xlsx#") and raw == "341502200501010019"


def test_a_core_that_cannot_be_read_fails_its_source_and_not_the_run(home: Home) -> None:
    home.deliver(person("F1"), person("F2", GMSFHM="341502200501010018"))
    for file in home.settings.lake.core(*SOURCE.split("/")).glob("*.parquet"):
        file.unlink()
    assert home.run(lambda run: run.ingest(SOURCE)).status == "failed"  # which rows are open cannot be told


def test_a_failed_export_leaves_nothing_behind(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.deliver(person("F2", GMSFHM="341502200501010018"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("citylake.quarantine.sha256", full)
    (tmp_path / "out").mkdir()
    result = call("export", SOURCE, tmp_path / "out" / "x.xlsx", *WORD)
    assert result.exit_code == 1 and "No space left" in result.output
    assert list((tmp_path / "out").iterdir()) == [] and home.receipts(Stage.EXPORT) == []
