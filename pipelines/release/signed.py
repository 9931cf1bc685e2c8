"""Approvals that are signed: the keys of approvers as the ledger enrols them, and what a signature says.

Belongs here: which key counts for an approval, the statement that is signed, whether a row carries a good signature.
Does not belong here: enrolling keys and signing (catalog/policy/keys), which words count (approval, and of grants
catalog/policy/proved).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def of_release(proposal: Recorded) -> dict[str, Any]:
    """What an approver of a release answers for: which proposal, of which product, what it shows, by which contract and
    after which edition."""
    said = {name: proposal.body.get(name) for name in ("terms", "from", "contract", "contract_version")}
    about = {"format": FORMAT, "product": proposal.subject, "proposal": proposal.sequence, "edition": proposal.edition}
    return {**said, **about, "proposer": proposal.body["who"]}


def signature(signer: Signer, about: Mapping[str, Any], who: str, key: Recorded) -> dict[str, Any]:
    """What the row of an approval says of its signature. `about`: what its approver answers for."""
    return {"key": key.sequence, "signature": signer.sign(_statement(about, who, key)).hex()}


def is_signed(said: Mapping[str, Any], about: Mapping[str, Any], who: str, key: Recorded) -> bool:
    """Whether what a row says of its signature is that of somebody, with this key, under what they answer for."""
    if said.get("key") != key.sequence or "signature" not in said:
        return False
    try:
        given = bytes.fromhex(said["signature"])
    except (TypeError, ValueError):
        return False
    return signed_with(key.body["algorithm"], bytes.fromhex(key.body["key"]), given, _statement(about, who, key))


def good(keys: Keys, proposal: Recorded, approval: Recorded) -> bool:
    """Whether an approval is signed with the key that its approver had then, where it must be."""
    said, who = approval.body, approval.body["who"]
    if not keys.asked(approval.sequence) and "key" not in said:
        return True
    key = keys.of(who, approval.sequence)
    return key is not None and is_signed(said, of_release(proposal), who, key)


def _statement(about: Mapping[str, Any], who: str, key: Recorded) -> bytes:
    return chain.canonical({**about, "approver": who, "key": key.sequence}).encode()
