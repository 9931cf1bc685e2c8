"""What every delivery to a recipient has in common, whatever it writes into: the grant is asked on the recipient's
behalf and again while something is sent, and each run that changed anything leaves a signed receipt.

What is written, and where a delivery stands, is each road's own.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import duckdb

from catalog.delivery import receipt
from catalog.delivery.changes import key_named, names_rows, shown_key
from catalog.delivery.desk import Admission, Desk
from catalog.delivery.extracts import Extract
from catalog.delivery.timeline import timeline
from catalog.policy.decision import Allowed, Reason
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.signing import signer_of

BY_CONTRACT = frozenset(
    {
        *(Reason.GRANT_EMPTY, Reason.COLUMNS_PENDING, Reason.RELEASE_PENDING, Reason.LOOKUP_ONLY, Reason.NOT_SHARED),
        Reason.GRANT_REQUIRED,
    }
)
"""A contract leaves nothing to deliver, whatever was granted: another contract, a release or an approval may. A grant
is asked for where there never was one: what was delivered before was free then."""
PASSING = BY_CONTRACT | {Reason.SUSPENDED, Reason.TOKEN_INVALID}
"""The denials that may pass: they stop a delivery. By any other nothing covers what the recipient has, and the delivery
ends. A delivery shows no token: whose token is not valid is not registered, so city.yaml names somebody wrongly, and
what was delivered to somebody else is not for that to end."""
KEPT = 1000
"""Receipts of a delivery among which one that the recipient has is looked for."""

How = Literal["snapshot", "changes", "unchanged", "ended"]


@dataclass(frozen=True)
class Delivered:
    """What a delivery did. `rows`: at the recipient's after it; the others: how many it inserted, updated, deleted."""

    delivery: str
    how: How
    version: int | None
    rows: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


def narrowed(allowed: Allowed, division: str) -> Allowed | None:
    """The part of what is allowed that lies in one division, None if nothing does."""
    if allowed.rows is None:
        return None
    granted = (division,) if allowed.divisions is None else allowed.divisions
    inside = {
        max(code, division, key=len) for code in granted if code.startswith(division) or division.startswith(code)
    }
    return replace(allowed, divisions=tuple(sorted(inside))) if inside else None


def key_of(con: duckdb.DuckDBPyConnection, admission: Admission, extract: Extract) -> tuple[str, ...]:
    """The shown columns that name the rows of a view, empty if none do."""
    plain = [name for name in extract.columns if name in admission.allowed.plain]
    key = shown_key(admission.offering.product, plain)
    return key if key and names_rows(con, extract, key) else ()


class Push:
    """One delivery of city.yaml to one recipient; `division`: of the rows of that division only."""

    action: ClassVar[str]
    road: ClassVar[str]

    def __init__(
        self, desk: Desk, name: str, run: str, *, recipient: str, product: str, division: str | None = None
    ) -> None:
        self.desk, self.name = desk, name
        self.recipient, self.product, self.division = recipient, product, division
        self.receipts = Receipts(desk.register, run)
        self.signer = signer_of(desk.settings, desk.listing.snapshot().contracts.city)
        self.made: tuple[str, str] | None = None

    def ask(self) -> Admission:
        """What the recipient may have now. Raises Refused, AuditUnavailable."""
        caller = self.desk.callers.on_behalf(self.recipient)
        asked = self.desk.admit(caller, self.product, self.action, self.road)
        if self.division is None:
            return asked
        allowed = narrowed(asked.allowed, self.division)
        if allowed is None:
            reason = Reason.GRANT_EMPTY if asked.allowed.rows is None else Reason.GRANT_ELSEWHERE
            raise self.desk.refuse(caller, self.product, reason, self.action, self.road)
        return replace(asked, allowed=allowed)

    def admitted(self, asked: Admission) -> Admission:
        """The read of the version that was asked for. Raises CitylakeError if it was taken back just now."""
        admission = self.desk.at_version(asked, asked.allowed.version)
        if admission is None:
            raise CitylakeError("deliver.overtaken", name=self.name)
        return admission

    def ask_again(self, asked: Admission) -> None:
        """Raises CitylakeError if another version or another grant is in force by now; Refused."""
        if self.ask().allowed != asked.allowed:
            raise CitylakeError("deliver.overtaken", name=self.name)

    def audit(self, admission: Admission, **about: object) -> None:
        """Write down what is about to be sent. Raises AuditUnavailable, Refused, and then it must not be."""
        self.desk.answered(admission, self.action, self.road, delivery=self.name, **about)

    def before(self, admission: Admission, version: int) -> Admission | None:
        """The same read of the version that the recipient has, None if no change set leads on from it."""
        if version in timeline(self.desk.listing, self.product).rewritten or version > admission.allowed.version:
            return None
        return self.desk.at_version(admission, version)

    def sign(self, **facts: Any) -> tuple[str, str]:
        """A receipt with these facts and its signature, to be kept once they are true."""
        contracts = self.desk.listing.snapshot().contracts
        about: dict[str, Any] = {
            "delivery": self.name,
            "from": contracts.city.operator,
            "recipient": self.recipient,
            "organisation": self.desk.callers.on_behalf(self.recipient).organisation,
            "product": self.product,
        }
        self.made = receipt.signed(self.signer, **about, **facts)
        return self.made

    def described(self, admission: Admission, columns: tuple[str, ...]) -> dict[str, Any]:
        """What a receipt of rows says of the policy they came by."""
        product, allowed = admission.offering.product, admission.allowed
        ends = (one.valid_until for one in admission.caller.grants if one.id == allowed.grant)
        until = next((moment.isoformat(timespec="seconds") for moment in ends), None)
        titles = {shown.name: shown.column.definition.businessName for shown in product.columns}
        return {
            "columns": [[name, titles[name]] for name in columns],
            "grant": allowed.grant,
            "until": until,
            "purpose": allowed.purpose,
            "licence": product.form.licence,
        }

    def keep(self) -> None:
        """Keep the receipt that this run made, now that it is true."""
        if self.made is not None:
            self._add(*self.made)

    def recover(self, statement: str, signature: str) -> bool:
        """Keep the receipt that the recipient has of a run that was killed before it could; whether it is one.

        The recipient may write what it likes there: only what we signed for this delivery is taken.
        """
        ours = receipt.signed_by(statement, signature, self.signer)
        if ours is None or json.loads(statement).get("delivery") != self.name:
            return False
        self._add(statement, signature)
        return True

    def require_own(self) -> None:
        """Raises CitylakeError if what was delivered last was to another recipient: no denial of this one ends that."""
        last = self.receipts.last(Stage.DELIVERY, self.name)
        whose = self.recipient if last is None else json.loads(last.body["statement"])["recipient"]
        if whose != self.recipient:
            raise CitylakeError("deliver.other_recipient", name=self.name, whose=whose, recipient=self.recipient)

    def _add(self, statement: str, signature: str) -> None:
        known = self.receipts.of_stage(Stage.DELIVERY, self.name, KEPT)
        if all(one.body["statement"] != statement for one in known):
            self.receipts.add(Stage.DELIVERY, self.name, {"statement": statement, "signature": signature})


def policy_of(extract: Extract, key: tuple[str, ...]) -> str:
    """A name of what a grant lets through and how its rows are named."""
    return f"{extract.key}:{key_named(key)}"
