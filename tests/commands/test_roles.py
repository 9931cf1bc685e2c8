"""Commands that see, change or take out what is kept: each asks who acts, before it looks at anything."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import sqlalchemy as sa
from typer.main import get_command
from typer.testing import CliRunner

from catalog.policy import audit, users
from catalog.policy.users import ACTS, LOOKS, ROLES, NotAllowed
from citylake.main import app
from pipelines.contracts.load import Contracts
from pipelines.issues import Issues
from pipelines.issues.feedback import Feedback
from pipelines.register import Register
from pipelines.register.tables import ledger, receipt
from pipelines.settings import Settings
from tests.catalog.small_city import ADMINISTRATOR, AUDITOR, GUARD, OFFICE, STEWARD, appoint

SOURCE, MODEL, PRODUCT = "psb/household_person", "lib_population__person", "sharing/person_of_division"
COMMANDS = {
    "product.withdraw": ["withdraw", PRODUCT, "--why", "试"],
    "product.reinstate": ["reinstate", PRODUCT, "--why", "试"],
    "recall.answer": ["recall", PRODUCT, "--answered", "甲", "--why", "试"],
    "person.see": ["person", "p1", "--why", "试"],
    "person.correct": ["person", "p1", "correct", "--field", "mobile", "--why", "试"],
    "person.erase": ["person", "p1", "erase", "--order", "N-1", "--why", "试"],
    "person.lift": ["person", "p1", "lift-erasure", "--why", "试"],
    "erasure.check": ["person", "p1", "check-erased", "--order", "N-1", "--why", "试"],
    "retention.apply": ["retention", "apply", "--why", "试"],
    "retention.hold": ["retention", "hold", SOURCE, "--why", "试"],
    "retention.release": ["retention", "release", "1", "--why", "试"],
    "batch.confirm": ["confirm", SOURCE, "1", "--why", "试"],
    "batch.reject": ["reject", SOURCE, "1", "--why", "试"],
    "batch.replay": ["replay", SOURCE, "2026-11-01", "2026-11-24", "--why", "试"],
    "volume.confirm": ["confirm-volume", MODEL, "--why", "试"],
    "quarantine.export": ["quarantine", "export", SOURCE, "退回.xlsx", "--why", "试"],
    "quarantine.return": ["quarantine", "return", SOURCE, "退回.xlsx", "--why", "试"],
    "source.rewind": ["source", "rewind", SOURCE, "--batch", "1", "--why", "试"],
    "across.export": ["across", "export", SOURCE, "covers", "缺.xlsx", "--why", "试"],
    "failing.show": ["evidence", "failing", MODEL, "-o", "不合格.xlsx", "--why", "试"],
    "core.export": ["core", SOURCE, "表.csv", "--batch", "1", "--why", "试"],
    "layer.export": ["layer", "sharing/parcel", "地块.gpkg", "--why", "试"],
    "evidence.export": ["evidence", "export", "证据"],
    "linkage.review": ["linkage", "review", "--values"],
    "linkage.decide": ["linkage", "decide", "1", "accept", "--why", "试"],
    "issue.verify": ["issue", "verify", "1"],
    "issue.settle": ["issue", "settle", "1", "--note", "无误", "--unfounded"],
    "notice.acknowledge": ["issue", "acknowledge", "1", "--note", "已更新"],
    "values.show": ["explain", MODEL, "person_id=p1", "--values", "--why", "试"],
    "values.show of a library": ["asof", MODEL, "人.csv", "--known-on", "2026-11-01", "--why", "试"],
    "values.show of its past": ["history", MODEL, "person_id=p1", "--values", "--why", "试"],
}
"""By act the command that asks for it."""
ELSEWHERE = {"access", "audit", "release"}
"""Groups whose acts ask by themselves (tests/catalog/test_users), whoever calls them."""
NOBODY = {("issue", "raise"), ("evidence", "accept-head")}
"""The public raises issues; the other asks in catalog/policy/heads."""


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    monkeypatch.setenv("CITYLAKE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CITYLAKE_ACTOR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    register = Register(f"sqlite:///{tmp_path / 'home' / 'register.db'}")
    register.upgrade()
    yield register
    register.close()


def refused(register: Register, command: list[str], who: str) -> str:
    """What a command says that was refused; it wrote nothing but the refusal."""
    result = CliRunner().invoke(app, [*command, "--who", who])
    assert result.exit_code == 1, (command, result.output, result.exception)
    assert not register.rows(sa.select(ledger)) and not register.rows(sa.select(receipt)), command
    return result.output


def test_every_command_that_names_a_user_is_here() -> None:
    def named(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if isinstance(command, click.Group):
            for name, one in command.commands.items():
                yield from named(one, (*path, name))
        elif any("--who" in parameter.opts for parameter in command.params):
            yield path

    found = {path for path in named(get_command(app), ()) if path[0] not in ELSEWHERE} - NOBODY
    assert found == {tuple(argv[: len(path)]) for path in found for argv in COMMANDS.values() if argv[0] == path[0]}
    assert {name.partition(" ")[0] for name in COMMANDS} <= {*ACTS, *LOOKS}


def test_a_home_without_users_refuses_them_all(register: Register, tmp_path: Path) -> None:
    for command in COMMANDS.values():
        assert "citylake access init" in refused(register, command, "张三")
    assert {row["body"]["reason"] for row in audit.recent(register)} == {"user.none_yet"}
    assert {path.name for path in tmp_path.iterdir()} == {"home"}, "no file is written"


def test_who_is_no_user_or_only_looks_on_is_refused(register: Register, contracts: Contracts, tmp_path: Path) -> None:
    appoint(register, contracts)
    for name, command in COMMANDS.items():
        act = name.partition(" ")[0]
        for who, reason in (("查无此人", "user.unknown"), (ADMINISTRATOR, "user.role"), (AUDITOR, "user.role")):
            if act in LOOKS and who == AUDITOR and "auditor" in LOOKS[act]:
                continue
            refused(register, command, who)
            row = audit.recent(register, 1)[0]
            assert (row["action"], row["outcome"]) == (act, "denied")
            assert row["body"] == {"actor": who, "reason": reason}
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_only_the_roles_of_an_act_may(register: Register, contracts: Contracts) -> None:
    users.begin(register, contracts, ADMINISTRATOR, OFFICE)
    for role in ROLES:
        users.create(register, contracts, role, OFFICE, [role], actor=ADMINISTRATOR)
    for act in {name.partition(" ")[0] for name in COMMANDS}:
        for role in ROLES:
            if role in {**ACTS, **LOOKS}[act]:
                users.permit(register, act, role, {"subject": SOURCE})
                row = audit.recent(register, 1)[0]
                assert (row["action"], row["outcome"]) == (act, "allowed")
                assert row["body"] == {"actor": role, "subject": SOURCE}
            else:
                with pytest.raises(NotAllowed) as error:
                    users.permit(register, act, role, {})
                assert error.value.code == "user.role"
    assert audit.first_break(register) is None


def test_what_is_done_is_in_the_audit_and_in_the_ledger(register: Register, contracts: Contracts) -> None:
    appoint(register, contracts)
    done = CliRunner().invoke(app, ["retention", "hold", SOURCE, "--who", STEWARD, "--why", "法院调取"])
    assert done.exit_code == 0, done.output
    (row,) = register.rows(sa.select(ledger))
    lifting = ["retention", "release", str(row["sequence"]), "--why", "调取完毕", "--who"]
    assert "security_officer" in CliRunner().invoke(app, [*lifting, STEWARD]).output
    assert CliRunner().invoke(app, [*lifting, GUARD]).exit_code == 0
    told = [(row["action"], row["outcome"], row["body"]) for row in reversed(audit.recent(register, 3))]
    assert told == [
        ("retention.hold", "allowed", {"actor": STEWARD, "subject": SOURCE}),
        ("retention.release", "denied", {"actor": STEWARD, "reason": "user.role"}),
        ("retention.release", "allowed", {"actor": GUARD, "number": row["sequence"]}),
    ]


def test_a_slip_that_may_be_a_number_of_somebody_is_not_in_the_audit(register: Register, contracts: Contracts) -> None:
    appoint(register, contracts)
    slip = "341502199001011234"
    assert CliRunner().invoke(app, ["core", slip, "a.csv", "--batch", "1", "--who", STEWARD, "--why", "试"]).exit_code
    assert slip not in str(audit.recent(register, 1))


def test_a_department_answers_its_own_issues(register: Register, contracts: Contracts) -> None:
    appoint(register, contracts)
    for name, organisation in (("公安的", "psb"), ("民政的", "cab")):
        users.create(register, contracts, name, organisation, ["department_user"], actor=ADMINISTRATOR)
    number = Feedback(register, contracts, Settings.from_environment()).raise_(
        SOURCE, None, "public", "某人", "疑有遗漏"
    )
    settle = ["issue", "settle", str(number), "--note", "已核对", "--unfounded"]
    assert "只能答复本单位" in refused(register, settle, "民政的")
    assert audit.recent(register, 1)[0]["body"] == {"actor": "民政的", "reason": "user.other_organisation"}
    assert [issue["id"] for issue in Issues(register).open()] == [number]
    assert CliRunner().invoke(app, [*settle, "--who", "公安的"]).exit_code == 0
    assert Issues(register).open() == []


def test_nobody_sees_values_without_a_name(register: Register) -> None:
    for name in ("values.show", "values.show of its past", "linkage.review"):
        result = CliRunner().invoke(app, COMMANDS[name])
        assert result.exit_code == 1 and "--who" in result.output
