"""Approvals that are signed: the keys of approvers as the ledger enrols them, and what a signature says.

Belongs here: which key counts for an approval, the statement that is signed, whether a row carries a good signature.
Does not belong here: enrolling keys and signing (catalog/policy/keys, releases), which words count (approval).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from pipelines.register import chain
from pipelines.register.signer import Signer
from pipelines.release.check import signed_with
from pipelines.release.ledger import APPROVER_KEY, Ledger, Recorded

FORMAT = "citylake-approval/1"


@dataclass(frozen=True)
class Keys:
    """The ledger's rows about keys of approvers, in order."""

    rows: tuple[Recorded, ...] = ()

    def of(self, who: str, before: int) -> Recorded | None:
        """The key with which somebody signed before a row; None if there was none, or it was ended."""
        mine = [row for row in self.rows if row.sequence < before and row.body["user"] == who]
        return mine[-1] if mine and mine[-1].body["key"] is not None else None

    def asked(self, before: int) -> bool:
        """Whether a row must be signed: from the first key on. What older versions wrote is not."""
        return any(row.sequence < before for row in self.rows)


def keys_of(ledger: Ledger) -> Keys:
    """All keys that there ever were."""
    return Keys(tuple(ledger.of_kind(APPROVER_KEY)))


def statement(proposal: Recorded, who: str, key: int) -> bytes:
    """What an approver signs: which proposal, of which product, what it shows, by which contract and after which
    edition, and with which key (its row)."""
    said = {name: proposal.body.get(name) for name in ("terms", "from", "contract", "contract_version")}
    about = {"format": FORMAT, "product": proposal.subject, "proposal": proposal.sequence, "edition": proposal.edition}
    return chain.canonical({**said, **about, "proposer": proposal.body["who"], "approver": who, "key": key}).encode()


def signature(signer: Signer, proposal: Recorded, who: str, key: Recorded) -> dict[str, Any]:
    """What the row of an approval says of its signature."""
    return {"key": key.sequence, "signature": signer.sign(statement(proposal, who, key.sequence)).hex()}


def same_key(signer: Signer, said: Mapping[str, Any]) -> bool:
    """Whether somebody signs with the key that a row enrols."""
    return bool(signer.public_key(Encoding.DER).hex() == said["key"])


def good(keys: Keys, proposal: Recorded, approval: Recorded) -> bool:
    """Whether an approval is signed with the key that its approver had then, where it must be."""
    said, who = approval.body, approval.body["who"]
    if not keys.asked(approval.sequence) and "key" not in said:
        return True
    key = keys.of(who, approval.sequence)
    if key is None or said.get("key") != key.sequence or "signature" not in said:
        return False
    try:
        given = bytes.fromhex(said["signature"])
    except (TypeError, ValueError):
        return False
    return signed_with(
        key.body["algorithm"], bytes.fromhex(key.body["key"]), given, statement(proposal, who, key.sequence)
    )
