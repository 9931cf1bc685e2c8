"""Approvals of grants are signed with the approver's own key: what is refused, and what somebody changes past the
platform is found by it and by check.py."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding

from catalog.policy import administration, audit, epochs, keys, proved, suspension, users
from catalog.policy.decision import Grant
from pipelines.contracts.load import Contracts
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.tables import access, account, pseudonym_epoch, recipient, token
from pipelines.register.tables import audit as rows_of
from pipelines.register.tables import suspension as suspensions
from pipelines.release import check
from pipelines.release.ledger import APPROVER_KEY, Ledger
from tests.catalog.small_city import (
    ADMINISTRATOR,
    APPROVER,
    AUDITOR,
    GUARD,
    PERSONS,
    SECOND,
    STEWARD,
    enrolled,
    key_of,
    two_approvers,
)


@pytest.fixture
def register(tmp_path: Path, contracts: Contracts) -> Iterator[Register]:
    with two_approvers(tmp_path, contracts) as register:
        yield register


def given(register: Register, contracts: Contracts, name: str) -> Grant:
    administration.create_recipient(register, contracts, name, "cab", actor=ADMINISTRATOR)
    limits: dict[str, Any] = {"divisions": ["341502"], "columns": ["name", "sex"], "roads": ["rows"]}
    return administration.grant(register, contracts, name, PERSONS, purpose="低保核对", actor=STEWARD, **limits)


def checked(register: Register, first: int = 1) -> list[int]:
    """What check.py finds in the rows of the register: numbers of rows that are not signed."""
    audited = register.rows(sa.select(rows_of).order_by(rows_of.c.sequence))
    ledger = [
        check.Row(1, b"", one.sequence, "", one.kind, one.subject, one.version, one.at, dict(one.body))
        for one in Ledger(register).of_kind(APPROVER_KEY)
    ]
    found: list[int] = []
    part = SimpleNamespace(rows=ledger, span=(1, 99), partial=first > 1)
    part.problem = lambda code, row, grant: found.append(row)
    check.Check.grants(cast(check.Check, part), [_seen(row) for row in audited if row["sequence"] >= first])
    return found


def _seen(row: dict[str, Any]) -> check.Row:
    text = chain.row_text(row).encode()
    body = json.loads(json.loads(text)["body"])
    return check.Row(1, text, row["sequence"], "", row["action"], "", row["version"], row["at"], body)


def wrong(register: Register) -> list[int]:
    return [one.id for one in proved.unproved(register)]


def test_a_signature_is_asked_from_the_first_key_on(register: Register, contracts: Contracts) -> None:
    before = given(register, contracts, "甲")
    administration.approve_grant(register, before.id, actor=APPROVER)
    waiting = given(register, contracts, "乙")
    enrolled(register, SECOND)

    def refused(code: str, signer: Any = None) -> None:
        with pytest.raises(CitylakeError) as error:
            administration.approve_grant(register, waiting.id, signer, actor=APPROVER)
        assert error.value.code == code
        assert next(one for one in administration.list_grants(register, "乙")).pending

    refused("approval.key_or_device")
    refused("approver_key.none", key_of(APPROVER))
    enrolled(register, APPROVER)
    refused("approval.other_key", key_of(SECOND))
    approved = administration.approve_grant(register, waiting.id, key_of(APPROVER), actor=APPROVER)
    assert (approved.pending, approved.approver) == (False, APPROVER)
    said = audit.recent(register, 1)[0]["body"]
    assert said["key"] == Ledger(register).of_kind(APPROVER_KEY)[-1].sequence and len(said["signature"]) == 128
    keys.end(register, APPROVER, actor=GUARD)
    assert wrong(register) == [] and checked(register) == [], "ending a key leaves what was approved before"


def test_a_key_that_changes_while_somebody_signs_is_noticed(register: Register, contracts: Contracts) -> None:
    waiting, signer = given(register, contracts, "甲"), enrolled(register, APPROVER)

    class Slow:
        def sign(self, message: bytes) -> bytes:
            keys.end(register, APPROVER, actor=GUARD)
            keys.enrol(register, APPROVER, key_of("新").public_key(Encoding.PEM), actor=ADMINISTRATOR)
            return signer.sign(message)

    with pytest.raises(CitylakeError) as error:
        administration.approve_grant(register, waiting.id, cast(Any, Slow()), actor=APPROVER)
    assert error.value.code == "approval.said_meanwhile"


CHANGES: dict[str, Callable[[Register], Any]] = {
    "columns": lambda _: {"columns": None},
    "rows": lambda _: {"divisions": ["34"]},
    "longer": lambda register: {"valid_until": administration.list_grants(register)[0].valid_until.replace(2099)},
    "purpose": lambda _: {"purpose": "统计分析"},
    "another recipient": lambda _: {"recipient": "丙"},
    "another approver": lambda _: {"approver": SECOND},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_grant_that_is_changed_in_the_register_is_found(
    register: Register, contracts: Contracts, change: str
) -> None:
    signer = enrolled(register, APPROVER)
    administration.create_recipient(register, contracts, "丙", "cab", actor=ADMINISTRATOR)
    one = administration.approve_grant(register, given(register, contracts, "甲").id, signer, actor=APPROVER)
    assert wrong(register) == []
    with register.begin() as connection:
        values = CHANGES[change](register)
        connection.execute(sa.update(access).where(access.c.id == one.id).values(**values))
    assert wrong(register) == [one.id]


def test_a_grant_put_in_force_or_made_past_the_platform_is_found(register: Register, contracts: Contracts) -> None:
    enrolled(register, APPROVER)
    waiting = given(register, contracts, "甲")
    with register.begin() as connection:
        here = access.c.id == waiting.id
        row = dict(connection.execute(sa.select(access).where(here)).mappings().one())
        connection.execute(sa.update(access).where(here).values(pending=False, approver=APPROVER))
        connection.execute(sa.insert(access).values({**row, "id": 77, "pending": False, "product": "sharing/x"}))
    assert wrong(register) == [waiting.id, 77]


@pytest.mark.parametrize("forged", ["no signature", "of another grant", "of another's key"])
def test_a_forged_row_of_the_audit_is_found(register: Register, contracts: Contracts, forged: str) -> None:
    """Whoever can write the audit, chain and all, has not the key of the approver."""
    signer, other = enrolled(register, APPROVER), enrolled(register, SECOND)
    first = administration.approve_grant(register, given(register, contracts, "甲").id, signer, actor=APPROVER)
    genuine = audit.recent(register, 1)[0]["body"]
    waiting = given(register, contracts, "乙")
    said = {**proved.terms(waiting), "approver": APPROVER, "pending": False, "actor": APPROVER}
    if forged == "of another grant":
        said |= {"key": genuine["key"], "signature": genuine["signature"]}
    if forged == "of another's key":
        second = Ledger(register).of_kind(APPROVER_KEY)[-1]
        said |= keys.word(Ledger(register), other, proved.of_grant(waiting), SECOND).said
        assert said["key"] == second.sequence
    with register.begin() as connection:
        about: audit.About = {"recipient": waiting.recipient, "product": PERSONS, "grant": waiting.id}
        audit.append(connection, "grant.approve", "allowed", said, **about)
        pending = sa.update(access).where(access.c.id == waiting.id)
        connection.execute(pending.values(pending=False, approver=APPROVER))
    row = audit.recent(register, 1)[0]["sequence"]
    assert wrong(register) == [waiting.id] and checked(register) == [row]
    assert first.id not in wrong(register) and audit.first_break(register) is None


def test_a_part_of_the_audit_proves_what_is_in_it(
    register: Register, contracts: Contracts, capsys: pytest.CaptureFixture[str]
) -> None:
    signer = enrolled(register, APPROVER)
    enrolment = audit.recent(register, 1)[0]["sequence"]
    administration.approve_grant(register, given(register, contracts, "甲").id, signer, actor=APPROVER)
    assert checked(register, enrolment + 1) == []
    assert "1 are signed by their approver" in capsys.readouterr().out


def written(register: Register, statement: sa.Executable) -> None:
    """Write to the register past the platform."""
    with register.begin() as connection:
        connection.execute(statement)


def test_what_was_revoked_is_not_in_force_again_unseen(register: Register, contracts: Contracts) -> None:
    grant = given(register, contracts, "甲")
    made = administration.issue_token(register, "甲", actor=ADMINISTRATOR)
    administration.revoke_grant(register, grant.id, actor=STEWARD)
    administration.revoke_token(register, made.id, actor=GUARD)
    assert list(proved.unproved(register)) == [] and list(proved.unissued(register)) == []
    written(register, sa.update(access).values(revoked=None))
    written(register, sa.update(token).values(revoked=None))
    assert [one.id for one in proved.unproved(register)] == [grant.id]
    assert list(proved.unissued(register)) == [made.id]


@pytest.mark.parametrize("attack", ["recipient", "expires", "id"])
def test_tokens_are_those_that_were_issued(register: Register, contracts: Contracts, attack: str) -> None:
    for name in ("甲", "乙"):
        administration.create_recipient(register, contracts, name, "cab", actor=ADMINISTRATOR)
    made = administration.issue_token(register, "甲", actor=ADMINISTRATOR)
    administration.issue_client(register, "乙", actor=ADMINISTRATOR)
    assert list(proved.unissued(register)) == []
    changed = {"recipient": "乙", "expires": made.expires + timedelta(hours=1), "id": "other"}[attack]
    written(register, sa.update(token).where(token.c.id == made.id).values({attack: changed}))
    assert list(proved.unissued(register)) == ["other" if attack == "id" else made.id]


@pytest.mark.parametrize("attack", [sa.delete(suspensions), sa.update(suspensions).values(lifted=sa.func.now())])
def test_who_is_cut_off_stays_so(register: Register, contracts: Contracts, attack: sa.Executable) -> None:
    administration.create_recipient(register, contracts, "甲", "cab", actor=ADMINISTRATOR)
    for whom, name in (("recipient", "甲"), ("organisation", "cab"), ("organisation", "psb")):
        suspension.suspend(register, contracts, whom, name, "测试", actor=GUARD)  # type: ignore[arg-type]
    suspension.lift(register, "organisation", "psb", "测试", actor=GUARD)
    assert proved.let_in(register) == []
    written(register, attack)
    assert proved.let_in(register) == ["cab", "甲"]


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (sa.update(account).where(account.c.name == AUDITOR).values(roles=["administrator"]), [AUDITOR]),
        (sa.update(account).where(account.c.name == GUARD).values(organisation="psb"), [GUARD]),
        (sa.update(account).where(account.c.name == SECOND).values(ended=None), [SECOND]),
        (sa.update(account).where(account.c.name == AUDITOR).values(name="另一人"), ["另一人"]),
        (sa.update(recipient).values(organisation="psb"), ["甲"]),
        (sa.delete(pseudonym_epoch), ["甲"]),
        (sa.update(pseudonym_epoch).values(number=7), ["甲"]),
    ],
    ids=["roles", "organisation", "ended", "unknown", "recipient", "epoch", "number"],
)
def test_users_and_recipients_are_those_of_the_audit(
    register: Register, contracts: Contracts, attack: sa.Executable, told: list[str]
) -> None:
    administration.create_recipient(register, contracts, "甲", "cab", actor=ADMINISTRATOR)
    epochs.rotate(register, "甲", "测试", actor=GUARD, zone="Asia/Shanghai")
    users.change(register, GUARD, ["steward"], actor=ADMINISTRATOR)
    users.end(register, SECOND, actor=ADMINISTRATOR)
    assert proved.restated(register) == []
    written(register, attack)
    assert proved.restated(register) == told
