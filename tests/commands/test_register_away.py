"""Commands on a register that cannot be written: a message and an exit code, no answer, no file, no traceback."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from catalog.policy import inquiry
from citylake.main import app
from pipelines.register import store

AUDITOR = "周审计"


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A register with an auditor and something to see; whoever finds it locked waits 50 ms in place of 30 s."""
    monkeypatch.setenv("CITYLAKE_HOME", str(tmp_path))
    configure = store._configure_sqlite

    def impatient(connection: sqlite3.Connection, record: object) -> None:
        configure(connection, record)
        connection.execute("PRAGMA busy_timeout = 50")

    monkeypatch.setattr(store, "_configure_sqlite", impatient)
    for line in (
        ["init", "王主任", "dsrb"],
        ["user", AUDITOR, "hc", "--role", "auditor", "--who", "王主任"],
        ["recipient", "cab-desk", "cab", "--who", "王主任"],
    ):
        assert run("access", *line).exit_code == 0
    return tmp_path / "register.db"


@pytest.fixture
def locked_before_the_audit(register: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another process takes the register once the question is understood, and keeps it."""
    known = inquiry.require_known
    with closing(sqlite3.connect(register, isolation_level=None)) as other:

        def then_locked(*asked: object) -> None:
            known(*asked)  # type: ignore[arg-type]
            other.execute("BEGIN IMMEDIATE")

        monkeypatch.setattr(inquiry, "require_known", then_locked)
        yield


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def told(result: Result, *words: str) -> None:
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    assert "Traceback" not in result.output and "cab-desk" not in result.output
    assert all(word in result.output for word in words), result.output


def test_what_the_audit_cannot_record_is_not_listed(locked_before_the_audit: None) -> None:
    told(run("audit", "list", "--who", AUDITOR), "审计无法写入（database is locked）", "The audit cannot be written")


def test_what_the_audit_cannot_record_is_not_exported(locked_before_the_audit: None, tmp_path: Path) -> None:
    file = tmp_path.parent / "审计.csv"
    told(run("audit", "list", "--who", AUDITOR, "-o", str(file)), "审计无法写入（database is locked）")
    assert not file.exists() and not list(file.parent.glob("*.partial"))


ACTS = (["audit", "anomalies", "--who", AUDITOR], ["access", "recipient", "sb-desk", "sb", "--who", "王主任"])
LOOKS = (["audit", "list", "--who", AUDITOR], ["access", "list"], ["verify"])


@pytest.mark.parametrize("command", [*ACTS, *LOOKS])
def test_a_locked_register_is_told(register: Path, command: list[str]) -> None:
    with closing(sqlite3.connect(register, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told(run(*command), "登记库无法读写（database is locked）", "The register cannot be read or written")


@pytest.mark.parametrize(("command", "what"), [*((act, "登记库无法读写") for act in ACTS), (LOOKS[0], "审计无法写入")])
def test_a_register_that_can_only_be_read_is_told(
    register: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], what: str
) -> None:
    monkeypatch.setenv("CITYLAKE_REGISTER", f"sqlite:///file:{register}?mode=ro&uri=true")
    told(run(*command), f"{what}（attempt to write a readonly database）")
