"""What is told of a command that was written wrongly: in both languages, with what is wanted and exit code 2."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from citylake.main import app


@pytest.mark.parametrize(
    ("written", "zh", "en"),
    [
        ("confirm psb/household_person", "缺少 BATCH", "BATCH is missing"),
        ("confirm psb/household_person 1 --why x", "缺少 --who", "--who is missing"),
        ("confirm psb/household_person first", "BATCH 的值不对：应为不大于", "a whole number of at most"),
        ("audit list --limit 0", "应为1 至 1000 的整数", "a whole number from 1 to 1000"),
        ("audit list --from yesterday", "应为日期，如", "a day such as"),
        ("demo up --scale 0", "应为1 至 10000000 的整数", "a whole number from 1 to 10000000"),
        ("access revoke-grant 9223372036854775808", "应为不大于 9223372036854775807 的整数", "9223372036854775807"),
        ("confirm --hwo x", "没有选项 --hwo", "There is no option --hwo"),
        ("issues \udcff", "第 2 个参数（\\xff）不是 UTF-8 文字", "is no UTF-8 text"),
        ("verifi", "没有命令 verifi (verify?)", "There is no command verifi (verify?)"),
        ("audit lits", "没有命令 lits (list?)", "There is no command lits"),
        ("verify one two three", "命令写法有误", "The command is written wrongly"),
    ],
)
def test_what_is_wrong_is_told_in_both_languages(written: str, zh: str, en: str) -> None:
    """A new steward meets these texts first."""
    result = CliRunner().invoke(app, written.split(), env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert zh in result.output
    assert en in result.output


@pytest.mark.parametrize("order", [[], ["--order", " "]])
def test_an_order_to_erase_has_a_number(order: list[str]) -> None:
    result = CliRunner().invoke(app, ["person", "P1", "erase", *order, "--who", "李安全", "--why", "依申请"])
    assert result.exit_code == 1 and "请用 --order 给出删除令编号" in result.output


def test_headings_of_help_are_in_both_languages() -> None:
    """Help is where one looks first."""
    result = CliRunner().invoke(app, ["confirm", "--help"], env={"COLUMNS": "200"})
    assert "参数 / Arguments" in result.output
    assert "选项 / Options" in result.output
    assert "来源，如" in result.output and "批次号，见" in result.output


@pytest.mark.parametrize("written", [[], ["confirm"], ["audit"], ["audit", "list"]])
def test_options_of_every_command_are_told_in_both_languages(written: list[str]) -> None:
    """The whole, a command, a group, a command of a group."""
    result = CliRunner().invoke(app, [*written, "--help"], env={"COLUMNS": "200"})
    assert "显示本说明 / show this" in result.output
    assert ("安装命令补全 / install completion" in result.output) == (not written)


@pytest.mark.parametrize("written", ["contract export {file}", "access key 某人 {file}/none --who 某人"])
def test_what_cannot_be_read_or_written_is_told(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file := tmp_path / "a file").touch()
    monkeypatch.setenv("CITYLAKE_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(app, [part.format(file=file) for part in written.split()])
    assert result.exit_code == 1 and "Not a directory" in result.output


@pytest.mark.parametrize(
    ("address", "told"), [("nonsense", "no address"), ("nosuch://x", "no address"), ("", "not a database")]
)
def test_a_register_that_is_none_is_told(
    address: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text("no database " * 100)
    monkeypatch.setenv("CITYLAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CITYLAKE_REGISTER", address or f"sqlite:///{tmp_path / 'text'}")
    result = CliRunner().invoke(app, ["issues"])
    assert result.exit_code == 1 and told in result.output
