"""What is told of a command that was written wrongly: in both languages, with what is wanted and exit code 2."""

import pytest
from typer.testing import CliRunner

from citylake.main import app


@pytest.mark.parametrize(
    ("written", "zh", "en"),
    [
        ("confirm psb/household_person", "缺少 BATCH", "BATCH is missing"),
        ("confirm psb/household_person 1 --why x", "缺少 --who", "--who is missing"),
        ("confirm psb/household_person first", "BATCH 的值不对：应为整数", "a whole number is wanted"),
        ("audit list --limit 0", "应为1 至 1000 的整数", "a whole number from 1 to 1000"),
        ("audit list --from yesterday", "应为日期，如", "a day such as"),
        ("confirm --hwo x", "没有选项 --hwo", "There is no option --hwo"),
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


def test_headings_of_help_are_in_both_languages() -> None:
    """Help is where one looks first."""
    result = CliRunner().invoke(app, ["confirm", "--help"], env={"COLUMNS": "200"})
    assert "参数 / Arguments" in result.output
    assert "选项 / Options" in result.output
