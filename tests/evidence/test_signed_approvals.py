"""An approval counts if it is signed with the key that its approver had then: for the platform, and for check.py."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pipelines.register.signer import Ed25519Signer
from pipelines.release import check
from pipelines.release.approval import counting
from pipelines.release.ledger import APPROVAL, APPROVER_KEY, KEYS, PROPOSAL, RELEASE, Recorded
from pipelines.release.signed import Keys, of_release, signature

PRODUCT, AT = "open/ages", datetime(2026, 12, 1, tzinfo=UTC)


def key_of(name: str) -> Ed25519Signer:
    return Ed25519Signer(hashlib.sha256(name.encode()).digest())


def row(sequence: int, kind: str, subject: str, **body: Any) -> Recorded:
    return Recorded(sequence, AT, kind, subject, "e", None, body, "h")


def enrols(sequence: int, name: str, key: str | None = None) -> Recorded:
    public = key_of(key or name).public_key(Encoding.DER).hex()
    return row(sequence, APPROVER_KEY, KEYS, who="管", user=name, algorithm="ed25519", key=public)


def proposes(sequence: int, terms: str) -> Recorded:
    said = {"who": "甲", "why": "试", "from": None, "terms": terms, "contract": "c", "contract_version": "1"}
    return row(sequence, PROPOSAL, PRODUCT, **said)


def approves(sequence: int, proposal: Recorded, key: Recorded, signs: str) -> Recorded:
    said = signature(key_of(signs), of_release(proposal), "乙", key)
    return row(sequence, APPROVAL, PRODUCT, who="乙", proposal=proposal.sequence, terms=proposal.body["terms"], **said)


def without(approval: Recorded, *names: str) -> Recorded:
    return replace(approval, body={name: value for name, value in approval.body.items() if name not in names})


def ended(key: Recorded, sequence: int) -> Recorded:
    return row(sequence, APPROVER_KEY, KEYS, who="管", user=key.body["user"], algorithm=None, key=None)


KEY, OTHER, PROPOSED = enrols(1, "乙"), enrols(2, "丙"), proposes(3, "t")
GOOD = approves(5, PROPOSED, KEY, "乙")
LATE = enrols(9, "乙")
CASES = {
    "signed with their own key": ((KEY, OTHER), PROPOSED, GOOD, True),
    "before any key there was none": ((), PROPOSED, without(GOOD, "key", "signature"), True),
    "the first key came later": ((enrols(9, "丙"),), PROPOSED, without(GOOD, "key", "signature"), True),
    "no signature": ((KEY,), PROPOSED, without(GOOD, "signature"), False),
    "neither key nor signature": ((KEY,), PROPOSED, without(GOOD, "key", "signature"), False),
    "somebody else has a key, they have none": ((OTHER,), PROPOSED, without(GOOD, "key", "signature"), False),
    "signed by somebody else": ((KEY, OTHER), PROPOSED, approves(5, PROPOSED, KEY, "丙"), False),
    "with the key of somebody else": ((KEY, OTHER), PROPOSED, approves(5, PROPOSED, OTHER, "丙"), False),
    "with a key that is enrolled later": ((OTHER, LATE), PROPOSED, approves(5, PROPOSED, LATE, "乙"), False),
    "with a key where none is enrolled yet": ((LATE,), PROPOSED, approves(5, PROPOSED, LATE, "乙"), False),
    "with the key of before": ((KEY, enrols(4, "乙", "新")), PROPOSED, GOOD, False),
    "with a key that was ended": ((KEY, ended(KEY, 4)), PROPOSED, GOOD, False),
    "ended afterwards": ((KEY, ended(KEY, 6)), PROPOSED, GOOD, True),
    "changed terms": ((KEY,), proposes(3, "more"), GOOD, False),
    "another proposal": ((KEY,), proposes(4, "t"), replace(GOOD, body={**GOOD.body, "proposal": 4}), False),
    "another edition": ((KEY,), replace(PROPOSED, edition="f"), GOOD, False),
    "another product": ((KEY,), replace(PROPOSED, subject="open/roads"), GOOD, False),
    "no text": ((KEY,), PROPOSED, replace(GOOD, body={**GOOD.body, "signature": 7}), False),
    "no hexadecimal digits": ((KEY,), PROPOSED, replace(GOOD, body={**GOOD.body, "signature": "xy"}), False),
}


@pytest.mark.parametrize("case", CASES)
def test_only_a_signed_word_counts(case: str) -> None:
    keys, proposal, approval, counts = CASES[case]
    permit = counting([proposal, approval], Keys(keys)).permit
    assert (permit is not None) == counts
    said = {"asks": "standing", "row": 5, "proposal": proposal.sequence, "proposer": "甲", "approver": "乙"}
    release = row(8, RELEASE, PRODUCT, approval={**said, "terms": proposal.body["terms"]})
    about, known = [seen(proposal), seen(approval), seen(release)], [seen(key) for key in keys]
    assert check.backed(about[-1], release.body["approval"], about, known) == counts


@pytest.mark.parametrize(
    ("first", "approval", "found"),
    [
        (1, GOOD, "follow"),
        (1, without(GOOD, "key", "signature"), "problem"),
        (1, replace(GOOD, body={**GOOD.body, "key": 0}), "problem"),
        (1, replace(GOOD, body={**GOOD.body, "key": "1"}), "problem"),
        (2, GOOD, "before"),
        (2, without(GOOD, "key", "signature"), "before"),
        (2, replace(GOOD, body={**GOOD.body, "key": 0}), "problem"),
    ],
)
def test_a_part_of_the_ledger_proves_what_is_in_it(
    first: int, approval: Recorded, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"asks": "standing", "row": 5, "proposal": 3, "proposer": "甲", "approver": "乙", "terms": "t"}
    rows = [KEY, PROPOSED, approval, row(8, RELEASE, PRODUCT, approval=said)]
    problems: list[str] = []
    part = SimpleNamespace(rows=[seen(one) for one in rows if one.sequence >= first], span=(first, 8))
    part.problem = lambda code, **_: problems.append(code)
    check.Check.approvals(cast(check.Check, part))
    counted = {"follow": "1 follow their rows, of 0", "before": "0 follow their rows, of 1"}
    assert (problems == ["approval.unbacked"]) == (found == "problem")
    assert found == "problem" or counted[found] in capsys.readouterr().out


def seen(one: Recorded) -> check.Row:
    """The same row as a bundle has it."""
    text = json.dumps({"edition": one.edition}).encode()
    return check.Row(1, text, one.sequence, "", one.kind, one.subject, one.version, one.at, one.body)
