"""What an approver of a grant answers for and signs, and whether what opens data is what the audit has of it: grants in
force, tokens that are good, users and recipients, and who is cut off.

Belongs here: reading the audit for it. Does not belong here: giving and approving (administration), keys (keys), the
same question asked of a bundle (pipelines/release/check).
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, get_args

import sqlalchemy as sa

from catalog.policy import epochs, suspension
from catalog.policy.callers import grant_of
from catalog.policy.decision import Grant
from catalog.policy.suspension import Whom
from pipelines.register import Register, chain
from pipelines.register.store import now
from pipelines.register.tables import access, account, audit, recipient, token
from pipelines.register.times import as_utc
from pipelines.release.ledger import Ledger, Recorded
from pipelines.release.signed import Keys, is_signed, keys_of

FORMAT = "citylake-grant-approval/1"
_ENROL, _END, _GIVE, _APPROVE, _REVOKE = "key.enrol", "key.end", "grant.give", "grant.approve", "grant.revoke"
_LATER = frozenset({"id", "recipient", "product", "revoked", "approver", "pending"})
"""Of a grant what has columns of its own in the audit, and what becomes of it after it was given."""
_TERMS = tuple(one.name for one in fields(Grant) if one.name not in _LATER)


def terms(given: Grant) -> dict[str, Any]:
    """What a grant lets be read, for what, how long and by whose word."""
    return {name: getattr(given, name) for name in _TERMS}


def of_grant(given: Grant) -> dict[str, Any]:
    """What an approver of a grant answers for."""
    return _about(given.id, given.recipient, given.product, terms(given))


def unproved(register: Register) -> Iterator[Grant]:
    """Grants, not revoked, of which the audit does not have that they were given so and, if they had to be, approved:
    signed with the approver's own key of then, from the first signed approval on. Or of which it has that they were
    revoked.

    Grants older than users are not asked.
    """
    audited = _Audited(keys_of(Ledger(register)))
    for row in _done(register, (_ENROL, _END, _GIVE, _APPROVE, _REVOKE)):
        audited.read(row)
    standing = sa.select(access).where(access.c.revoked.is_(None), access.c.given_by.is_not(None))
    for given in map(grant_of, register.rows(standing.order_by(access.c.id))):
        if not audited.proves(given):
            yield given


def unissued(register: Register) -> Iterator[str]:
    """Ids of the tokens and clients, not revoked and not over, of which the audit does not have that they were issued
    to this recipient for so long, or has that they were revoked. Their secrets are in no audit."""
    issued, revoked = dict[str, tuple[str, datetime]](), set[str]()
    for row in _done(register, ("token.issue", "token.revoke")):
        said = json.loads(row["body"])
        if row["action"] == "token.issue":
            issued[said["token_id"]] = row["recipient"], datetime.fromisoformat(said["expires"])
        else:
            revoked.add(said["token_id"])
    standing = sa.select(token).where(token.c.revoked.is_(None), token.c.expires > now())
    for row in register.rows(standing.order_by(token.c.created)):
        whose, until = issued.get(row["id"], (None, now()))
        if row["id"] in revoked or whose != row["recipient"] or as_utc(row["expires"]) > until:
            yield row["id"]


def restated(register: Register) -> list[str]:
    """Users who have not ended, and recipients, that the register has otherwise than the audit: of another
    organisation, in other roles, with other epochs of pseudonyms, ended by the audit, or not in it."""
    users, recipients = dict[str, tuple[str, list[str]] | None](), dict[str, list[Any]]()
    for row in _done(register, ("user.create", "user.change", "user.end", "recipient.create", epochs.ROTATE)):
        said, whose = json.loads(row["body"]), row["recipient"]
        if row["action"] == "recipient.create":
            recipients[whose] = [said["organisation"]]
        elif row["action"] == epochs.ROTATE:
            recipients.setdefault(whose, []).append((said["epoch"], datetime.fromisoformat(said["since"])))
        elif row["action"] == "user.end":
            users[said["user"]] = None
        else:
            organisation = said.get("organisation") or (users.get(said["user"]) or ("",))[0]
            users[said["user"]] = organisation, said["roles"]
    kept = register.rows(sa.select(account).where(account.c.ended.is_(None)))
    found = [one["name"] for one in kept if users.get(one["name"]) != (one["organisation"], one["roles"])]
    for one in register.rows(sa.select(recipient)):
        begun = epochs.rotations(register, one["name"])
        now_said = [one["organisation"], *sorted((each.number, each.since) for each in begun)]
        found += [one["name"]] if recipients.get(one["name"]) != now_said else []
    return sorted(found)


def let_in(register: Register) -> list[str]:
    """Recipients and organisations that by the audit are cut off, and by the register are not."""
    standing = set[tuple[str, str]]()
    acts = {f"{whom}.{act}": (whom, act == "suspend") for whom in get_args(Whom) for act in ("suspend", "lift")}
    query = sa.select(audit).where(audit.c.action.in_(acts), audit.c.outcome == "allowed")
    for row in register.rows(query.order_by(audit.c.sequence)):
        whom, cut_off = acts[row["action"]]
        one = (whom, json.loads(row["body"])["name"])
        standing = standing | {one} if cut_off else standing - {one}
    kept = {(one.whom, one.name) for one in suspension.listed(register) if one.lifted is None}
    return sorted(name for _, name in standing - kept)


def _done(register: Register, acts: Collection[str]) -> list[dict[str, Any]]:
    """What the audit has of acts that were done, the oldest first."""
    asked = audit.c.action.in_(acts) & (audit.c.outcome == "allowed")
    return register.rows(sa.select(audit).where(asked).order_by(audit.c.sequence))


class _Audited:
    """What the audit has of grants, row by row."""

    def __init__(self, keys: Keys) -> None:
        self._rows = {row.sequence: row for row in keys.rows}
        self._key: dict[str, Recorded | None] = {}
        self._signing = False
        self._given: dict[int, tuple[str, bool]] = {}
        self._approved: dict[int, tuple[str, str]] = {}
        self._revoked: set[int] = set()

    def read(self, row: Mapping[str, Any]) -> None:
        """One more row, the oldest first."""
        said = json.loads(row["body"])
        if row["action"] in (_ENROL, _END):
            self._key[said["user"]] = self._rows.get(said["row"]) if row["action"] == _ENROL else None
            return
        if row["action"] == _REVOKE:
            self._revoked.add(row["grant"])
            return
        # what an older row does not say was not limited
        about = _about(row["grant"], row["recipient"], row["product"], {name: said.get(name) for name in _TERMS})
        if row["action"] == _GIVE:
            self._given[row["grant"]] = (chain.canonical(about), said.get("pending", False))
        elif self._counts(said, about):
            self._approved[row["grant"]] = (chain.canonical(about), said["actor"])

    def proves(self, given: Grant) -> bool:
        """Whether a grant is what was given, and was approved if it had to be."""
        about = chain.canonical(of_grant(given))
        found, pending = self._given.get(given.id, ("", False))
        approved = given.pending or not pending or self._approved.get(given.id) == (about, given.approver)
        return given.id not in self._revoked and found == about and approved

    def _counts(self, said: Mapping[str, Any], about: Mapping[str, Any]) -> bool:
        if "signature" not in said:
            return not self._signing
        self._signing, key = True, self._key.get(said["actor"])
        return key is not None and is_signed(said, about, said["actor"], key)


def _about(grant: int, recipient: str, product: str, told: Mapping[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "grant": grant, "recipient": recipient, "product": product, **told}
