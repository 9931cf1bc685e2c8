"""The command line: errors are messages in both languages with exit code 1, never tracebacks."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from citylake.main import app
from pipelines.messages import catalogue
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.settings import Settings

runner = CliRunner()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CITYLAKE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_contracts_of_the_repository_are_valid() -> None:
    result = runner.invoke(app, ["contract", "check"])
    assert result.exit_code == 0
    assert "合同检查通过" in result.output and "Contracts are valid" in result.output


def test_a_mistake_is_told_with_file_line_and_hint(tmp_path: Path, repository: Path) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(repository / "data_contracts", contracts)
    path = contracts / "sources" / "psb" / "household_person.yaml"
    lines = path.read_text("utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("load:"))
    lines[place] = lines[place].replace("deletionCeiling", "deletionCieling")
    path.write_text("\n".join(lines), "utf-8")
    result = runner.invoke(app, ["contract", "check", "--contracts", str(contracts)])
    assert result.exit_code == 1
    assert f"{path} 第 {place + 1} 行" in result.output
    assert "deletionCeiling" in result.output
    assert "Traceback" not in result.output


@pytest.mark.long
def test_export_writes_one_document_a_contract(tmp_path: Path) -> None:
    result = runner.invoke(app, ["contract", "export", str(tmp_path / "odcs")])
    assert result.exit_code == 0
    assert len(list((tmp_path / "odcs").rglob("*.yaml"))) == len(result.output.split())


@pytest.mark.long
def test_levels_derived_from_sql_are_told(home: Path) -> None:
    result = runner.invoke(app, ["contract", "lineage"])
    assert result.exit_code == 0, result.output
    assert "都不高于合同" in result.output
    told = runner.invoke(app, ["contract", "lineage", "mart_population__age_structure", "age_band"])
    assert told.exit_code == 0 and "birth_date → " in told.output
    unknown = runner.invoke(app, ["contract", "lineage", "mart_population__age_structure", "age"])
    assert unknown.exit_code == 1


def test_a_batch_that_is_not_held_cannot_be_confirmed(home: Path, administrator: str) -> None:
    told("user", "张专员", "dsrb", "--role", "steward")
    result = runner.invoke(app, ["confirm", "psb/household_person", "7", "--who", "张专员", "--why", "核实"])
    assert result.exit_code == 1
    assert "没有批次 7" in result.output and "no batch 7" in result.output


@pytest.mark.parametrize(
    ("word", "source", "follows"),
    [
        ("confirm", "psb/household_person", "下次运行时入库"),
        ("reject", "psb/household_person", "下一次整表照常取用"),
        ("reject", "drc/penalty", "citylake source rewind drc/penalty --batch 1"),
    ],
)
def test_what_follows_the_word_about_a_held_batch_is_said(
    home: Path, administrator: str, word: str, source: str, follows: str
) -> None:
    told("user", "张专员", "dsrb", "--role", "steward")
    register = Register(Settings.from_environment().register_url)
    for stage in (Stage.PULL, Stage.HOLD):
        Receipts(register, "test").add(stage, source, {"origin": "test"}, 1)
    register.close()
    result = runner.invoke(app, [word, source, "1", "--who", "张专员", "--why", "核实"])
    assert result.exit_code == 0 and follows in " ".join(result.output.split())


def told(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, ["access", *arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def administrator(monkeypatch: pytest.MonkeyPatch) -> str:
    """The first administrator, who acts in what follows."""
    assert "citylake access init" in told("recipient", "cab-desk", "cab", "--who", "管理员", code=1)
    told("init", "管理员", "dsrb")
    monkeypatch.setenv("CITYLAKE_ACTOR", "管理员")
    return "管理员"


def test_a_recipient_gets_a_grant_and_a_token_that_is_stored_hashed(home: Path, administrator: str) -> None:
    assert runner.invoke(app, ["access", "recipient", "cab-desk", "cab"]).exit_code == 0
    given = [
        "access",
        "grant",
        "cab-desk",
        "sharing/person_of_division",
        "--purpose",
        "低保核对",
        "--division",
        "341502",
    ]
    told("user", "张专员", "dsrb", "--role", "steward")
    told("user", "审批员", "dsrb", "--role", "approver")
    assert "需要其中之一：steward" in told(*given[1:], code=1), "who makes accounts gives nothing"
    pending = json.loads(told(*given[1:], "--who", "张专员"))
    assert (pending["given_by"], pending["pending"], pending["approver"]) == ("张专员", True, None)
    assert "需要其中之一" in told("approve", str(pending["id"]), code=1)
    approved = json.loads(told("approve", str(pending["id"]), "--who", "审批员"))
    assert (approved["given_by"], approved["pending"], approved["approver"]) == ("张专员", False, "审批员")
    assert "不能再次初始化" in told("init", "另一人", "cab", code=1)
    assert {"User", "Recipient", "Grant"} == {json.loads(line)["kind"] for line in told("list").splitlines()}
    token = json.loads(runner.invoke(app, ["access", "token", "cab-desk"]).output)["token"]
    assert token.startswith("cl_")
    assert token.split("_")[-1].encode() not in (home / "register.db").read_bytes()
    assert runner.invoke(app, ["verify"]).output.count("OK") == 5


def test_a_grant_is_approved_with_a_key_and_one_that_was_widened_is_told(
    home: Path, administrator: str, tmp_path: Path
) -> None:
    told("user", "张专员", "dsrb", "--role", "steward")
    told("user", "审批员", "dsrb", "--role", "approver")
    told("recipient", "cab-desk", "cab")
    about = ("cab-desk", "sharing/person_of_division", "--purpose", "低保核对", "--division", "341502")
    number = str(json.loads(told("grant", *about, "--who", "张专员"))["id"])
    secret, public = tmp_path / "key.pem", tmp_path / "public.pem"
    key = Ed25519PrivateKey.generate()
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    told("key", "审批员", str(public))
    by = ("--who", "审批员")
    assert "--key" in told("approve", number, *by, code=1)
    assert not json.loads(told("approve", number, *by, "--key", str(secret)))["pending"]
    before = runner.invoke(app, ["verify"])
    assert before.exit_code == 0 and "access revoke-grant" not in before.output, before.output
    with closing(sqlite3.connect(home / "register.db")) as register, register:
        register.execute("UPDATE access SET divisions = NULL")
    after = runner.invoke(app, ["verify"])
    assert after.exit_code == 1 and f"citylake access revoke-grant {number}" in after.output, after.output


def test_the_readme_shows_how_a_small_office_gives_data(
    home: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of the README, as they stand there, one after the other."""
    lines = (repository / "README.md").read_text("utf-8").splitlines()
    shown = [
        line.partition(" #")[0].rstrip()
        for line in lines
        if line.startswith(("citylake access ", "export CITYLAKE_ACTOR="))
    ]
    assert {line.split()[2] for line in shown if line.startswith("citylake")} >= {"init", "user", "grant", "approve"}
    monkeypatch.chdir(tmp_path)
    for line in shown:
        if line.startswith("export"):
            monkeypatch.setenv(*line.removeprefix("export ").split("="))
        else:
            told(*shlex.split(line)[2:])
    made = {shlex.split(line)[3] for line in shown if line.startswith(("citylake access init", "citylake access user"))}
    acting = [line for line in lines if line.startswith("citylake ") and "issue raise" not in line]
    assert {name for line in acting for name in re.findall(r"--who (\S+)", line)} <= made


def test_a_profile_file_is_for_its_owner_only(home: Path, tmp_path: Path, administrator: str) -> None:
    runner.invoke(app, ["access", "recipient", "cab-desk", "cab"])
    profile = tmp_path / "cab.share"
    assert runner.invoke(app, ["access", "token", "cab-desk", "--profile", str(profile)]).exit_code == 0
    assert profile.stat().st_mode & 0o777 == 0o600
    assert json.loads(profile.read_text("utf-8"))["endpoint"].endswith("/delta-sharing")
    kept, listed = profile.read_bytes(), runner.invoke(app, ["access", "list"]).output
    refused = runner.invoke(app, ["access", "token", "cab-desk", "--profile", str(profile)])
    assert refused.exit_code == 1 and "已存在" in refused.output, "a file that is there may be open to others"
    assert (profile.read_bytes(), runner.invoke(app, ["access", "list"]).output) == (kept, listed), "nothing is issued"


def test_an_unknown_organisation_is_an_error_with_a_hint(administrator: str) -> None:
    result = runner.invoke(app, ["access", "recipient", "x", "cabb"])
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_make_says_which_python_it_needs(repository: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\ncase $1 in --version) echo Python 3.9.18;; *) exit 1;; esac\n")
    old.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(old)}
    command = ["make", "python", f"PYTHON={old}"]
    result = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert result.returncode != 0
    assert "3.11" in result.stdout and "Python 3.9.18" in result.stdout


def test_every_stage_of_a_run_has_a_line() -> None:
    assert [stage for stage in Stage if f"progress.{stage}" not in catalogue()] == []
