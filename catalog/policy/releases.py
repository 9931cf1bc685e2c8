"""The words of persons about the release of products, each by a user with a role for it.

Belongs here: who may say what. Does not belong here: which words count (pipelines/release/approval) and the gate.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalog.policy import audit, keys, users
from pipelines.contracts.resolved import Contracts, Product
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.signer import Signer
from pipelines.register.store import now
from pipelines.register.tables import ledger as table
from pipelines.release.approval import Asked, Words, asked, heard, terms
from pipelines.release.ledger import (
    APPROVAL,
    APPROVAL_END,
    PROPOSAL,
    REFUSAL,
    RELEASE,
    Entry,
    Ledger,
    Recorded,
    appended,
)
from pipelines.release.signed import of_release


def propose(
    register: Register, contracts: Contracts, product: str, why: str, since: datetime | None = None, *, actor: str
) -> Recorded:
    """Propose that a product be released as its contract shows it now, not before `since` (with a zone).

    Raises CitylakeError for a product that is unknown, asks for nobody, or is proposed already; NotAllowed.
    """
    known, reason = _known(contracts, product), _reason(why)
    with users.acting(register, "release.propose", actor) as (connection, _):
        release, ledger = _asked(connection, register, contracts, known)
        if release.approval is None:
            raise CitylakeError("approval.not_asked", subject=product)
        standing = release.words.proposal
        if standing is not None and standing.body["terms"] == release.terms:
            raise CitylakeError("approval.proposed_already", subject=product, row=standing.sequence)
        last = ledger.newest(RELEASE, REFUSAL).get(product)
        body = {
            "who": actor,
            "why": reason,
            "from": since.isoformat() if since else None,
            "terms": release.terms,
            "shows": terms(known),
            "contract": known.contract.hash,
            "contract_version": known.contract.form.version,
            "refusal": last.sequence if last is not None and last.kind == REFUSAL else None,
        }
        return _say(connection, "release.propose", Entry(PROPOSAL, product, _edition(last), None, body))


def approve(register: Register, contracts: Contracts, product: str, signer: Signer, *, actor: str) -> Recorded:
    """Approve what another person proposed, signed with the approver's own key.

    Raises CitylakeError if nothing waits, or if what the product shows now is not what was proposed, and for who has no
    key; NotAllowed, also for who proposed it and for a key that is not theirs.
    """
    known, before = _known(contracts, product), Ledger(register)
    waits = heard(before).get(product, Words()).proposal
    word = keys.word(before, signer, None if waits is None else of_release(waits), actor)
    with users.acting(register, "release.approve", actor) as (connection, _):
        release, ledger = _asked(connection, register, contracts, known)
        proposal = release.words.proposal
        if proposal is None:
            raise CitylakeError("approval.none_waits", subject=product)
        if proposal.body["who"] == actor:
            raise users.NotAllowed("approval.own_proposal", actor=actor, subject=product)
        if proposal.body["terms"] != release.terms:
            raise CitylakeError("approval.terms_changed", subject=product, row=proposal.sequence)
        signed = word.proved(ledger, of_release(proposal), actor, product)
        body = {"who": actor, "proposal": proposal.sequence, "terms": release.terms, **signed}
        return _say(connection, "release.approve", Entry(APPROVAL, product, proposal.edition, None, body))


def refuse(register: Register, product: str, why: str, *, actor: str) -> Recorded:
    """Refuse the proposal that waits; if none does, end the approval in force. What contracts no longer name too.

    An approval stays in force beside a proposal that is refused; the row says which of both was `ended`.
    Raises CitylakeError if there is neither; NotAllowed.
    """
    reason = _reason(why)
    with users.acting(register, "release.refuse", actor) as (connection, _):
        chain.take_place(connection, table)
        words = heard(Ledger(register)).get(product, Words())
        number = words.proposal.sequence if words.proposal else words.permit.proposal if words.permit else None
        if number is None:
            raise CitylakeError("approval.nothing_to_end", subject=product)
        ended = PROPOSAL if words.proposal else APPROVAL
        body = {"who": actor, "why": reason, "proposal": number, "ended": ended}
        return _say(connection, "release.refuse", Entry(APPROVAL_END, product, _edition(None), None, body))


def _known(contracts: Contracts, product: str) -> Product:
    if product not in contracts.products:
        raise CitylakeError("web.policy.no_product", product=product)
    return contracts.products[product]


def _asked(
    connection: sa.Connection, register: Register, contracts: Contracts, product: Product
) -> tuple[Asked, Ledger]:
    """What the product asks for, and was said of it, in this transaction: nobody else says a word before its end."""
    chain.take_place(connection, table)
    ledger = Ledger(register)
    return asked(product, contracts.city, heard(ledger).get(product.id, Words()), now()), ledger


def _say(connection: sa.Connection, act: str, entry: Entry) -> Recorded:
    row = appended(connection, entry)
    body: dict[str, Any] = {"actor": entry.body["who"], "row": row.sequence}
    audit.append(connection, act, "allowed", body, product=entry.subject)
    return row


def _edition(last: Recorded | None) -> str:
    """The edition that was looked at, or the day."""
    return last.edition if last is not None else f"release-{now():%Y-%m-%d}"


def _reason(why: str) -> str:
    if not why.strip():
        raise CitylakeError("approval.why")
    return why.strip()
