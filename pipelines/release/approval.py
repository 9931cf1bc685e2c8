"""What the release of a product waits for besides the gate: the word of two persons, and a moment.

The words are ledger rows: somebody proposes, somebody else approves, and either word can be ended. Belongs here: which
words count, and what speaks against a release. Does not belong here: who may say them (catalog/policy/releases), the
gate (decision).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.products import Approval
from pipelines.contracts.resolved import Contracts, Product
from pipelines.evidence.record import Statement
from pipelines.register import chain
from pipelines.release.ledger import APPROVAL, APPROVAL_END, PROPOSAL, RELEASE, WITHDRAWAL, Entry, Ledger, Recorded
from pipelines.release.signed import Keys, good, keys_of

OVERTAKEN = "evidence.approval_overtaken"
UNAPPROVED, PROPOSED, CHANGED, USED, TOO_EARLY = (
    f"evidence.{name}" for name in ("unapproved", "proposed", "approval_changed", "approval_used", "held_until")
)
WAITS = frozenset({UNAPPROVED, PROPOSED, CHANGED, USED, TOO_EARLY})
"""Reasons that tell of nothing wrong with a version."""


@dataclass(frozen=True)
class Permit:
    """Two persons let a product be released. `row` and `proposal` are ledger rows, `terms` the hash of what they let be
    shown, `since` the moment before which it stays closed; `used`: something was released since."""

    row: int
    proposal: int
    proposer: str
    approver: str
    terms: str
    since: datetime | None
    used: bool = False

    def said(self, asks: Approval) -> dict[str, Any]:
        """What the row of a release says of it."""
        names = ("row", "proposal", "proposer", "approver", "terms")
        return {"asks": asks, **{name: getattr(self, name) for name in names}}

    def backs(self, said: Mapping[str, Any]) -> bool:
        """Whether a release that says this of its approval may follow."""
        return self.said(said["asks"]) == said and not (self.used and said["asks"] == "each")


@dataclass(frozen=True)
class Words:
    """What persons said of one product that still counts: a proposal nobody answered yet, and a permit."""

    proposal: Recorded | None = None
    permit: Permit | None = None


@dataclass(frozen=True)
class Asked:
    """What the release of a product asks for, by its contract and city, what was said, and the moment that it is.

    `terms`: hash of what it shows; moments have a zone.
    """

    now: datetime
    approval: Approval | None = None
    terms: str = ""
    not_before: datetime | None = None
    words: Words = field(default_factory=Words)


def asked(product: Product, city: CityForm, words: Words, now: datetime) -> Asked:
    """What the release of a product asks for at this moment: of contract and channel, whatever is stricter."""
    form, policy = product.form.release, city.channels[product.channel]  # type: ignore[index]
    wanted = {form.approval, *(policy.asks(column.level) for column in product.columns)}
    approval: Approval | None = "each" if "each" in wanted else "standing" if "standing" in wanted else None
    moment = None if form.notBefore is None else local(form.notBefore, city)
    return Asked(now, approval, chain.digest(terms(product)), moment, words)


def local(text: str, city: CityForm) -> datetime:
    """A moment by the city's clocks. Raises ValueError, also for a text that names a zone of its own."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError(text)
    return moment.replace(tzinfo=ZoneInfo(city.timezone))


def terms(product: Product) -> dict[str, Any]:
    """What two persons answer for: columns with their masks and levels, who may have them, and what limits rows.

    Names, descriptions and rules are not in it: a city that publishes daily would be asked again for every word. Of a
    column for some purposes every text is in it that means one: an alias more opens it to whoever was granted that.
    """
    form, contract = product.form, product.contract.form
    whose = {"organisations": form.organisations.model_dump(mode="json")} if form.organisations else {}
    return {
        **whose,
        "product": product.id,
        "model": contract.model,
        "share": contract.share.type,
        "open": contract.open.type,
        "shown_until": contract.shownUntil,
        "rows": form.rows,
        "anonymity": form.anonymity.model_dump(mode="json") if form.anonymity else None,
        "lookup": form.lookup.model_dump(mode="json") if form.lookup else None,
        "columns": {
            column.name: [
                *(column.source, column.mask, column.level),
                *([sorted(column.covered), column.otherwise] if column.purposes else []),
            ]
            for column in product.columns
        },
    }


def after(words: Words, row: Recorded, keys: Keys) -> Words:
    """What counts of one product after one more row of the ledger about it.

    Approving one's own proposal, or one that is not open, says nothing, nor does an approval that is not signed with
    the key that its approver had then. A withdrawal ends all that was said before.
    """
    proposal, permit = words.proposal, words.permit
    if row.kind == PROPOSAL:
        return replace(words, proposal=row)
    if row.kind == WITHDRAWAL:
        return Words()
    if row.kind == RELEASE and permit is not None:
        return replace(words, permit=replace(permit, used=True))
    if row.kind == APPROVAL and proposal is not None and row.body["proposal"] == proposal.sequence:
        counts = row.body["who"] != proposal.body["who"] and good(keys, proposal, row)
        return Words(None, _permit(proposal, row)) if counts else words
    if row.kind == APPROVAL_END:
        ended = row.body["proposal"]
        open_still = proposal if proposal is None or proposal.sequence != ended else None
        return Words(open_still, permit if permit is None or permit.proposal != ended else None)
    return words


def counting(rows: Iterable[Recorded], keys: Keys) -> Words:
    """What counts after these rows about one product, in order."""
    words = Words()
    for row in rows:
        words = after(words, row, keys)
    return words


def heard(ledger: Ledger) -> dict[str, Words]:
    """What counts now of every product that anything was said of."""
    keys = keys_of(ledger)
    return {subject: counting(rows, keys) for subject, rows in _telling(ledger).items()}


def overtaken(ledger: Ledger, releases: Sequence[Entry]) -> dict[str, Recorded]:
    """The releases about to be written whose approval is no longer the one in force, each with the row that changed
    that: somebody ended it or withdrew the product, two persons approved it anew, it was used.

    The words are folded as for the decision, so a word that counts for nothing stops nothing.
    """
    approved = {one.subject: one.body["approval"] for one in releases if "approval" in one.body}
    rows, keys = (_telling(ledger), keys_of(ledger)) if approved else ({}, Keys())
    found = {}
    for subject, said in approved.items():
        permit = counting(rows[subject], keys).permit
        if permit is None or not permit.backs(said):
            found[subject] = _turn(rows[subject], keys)
    return found


def against(subject: str, release: Asked) -> Iterator[Statement]:
    """What speaks against releasing a product now, however good it is."""
    permit, moments = release.words.permit, [release.not_before]
    if release.approval is not None:
        if (missing := _missing(subject, release)) is not None:
            yield missing
        elif permit is not None:
            moments.append(permit.since)
    moment = max((one for one in moments if one is not None), default=None)
    if moment is not None and release.now < moment:
        yield Statement(TOO_EARLY, {"subject": subject, "moment": moment.isoformat(" ", "minutes")})


def waiting(contracts: Contracts, said: Mapping[str, Words], now: datetime) -> dict[str, list[Statement]]:
    """The products that no run may release now, each with what it waits for."""
    found = {}
    for name, product in contracts.products.items():
        release = asked(product, contracts.city, said.get(name, Words()), now)
        if reasons := list(against(name, release)):
            found[name] = reasons
    return found


def unbacked(ledger: Ledger) -> Iterator[Recorded]:
    """Releases that say that two persons let them out, where the rows before them say otherwise."""
    words: dict[str, Words] = {}
    keys = keys_of(ledger)
    for row in ledger.of_kind(PROPOSAL, APPROVAL, APPROVAL_END, WITHDRAWAL, RELEASE):
        standing = words.get(row.subject, Words())
        said = row.body.get("approval") if row.kind == RELEASE else None
        if said is not None and (standing.permit is None or not standing.permit.backs(said)):
            yield row
        words[row.subject] = after(standing, row, keys)


def _telling(ledger: Ledger) -> dict[str, list[Recorded]]:
    """The rows that decide what counts of every product that anything was said of, in order."""
    said = ledger.of_kind(PROPOSAL, APPROVAL, APPROVAL_END)
    subjects = {row.subject for row in said}
    newest = [ledger.newest(kind) for kind in (RELEASE, WITHDRAWAL)] if said else []
    rows = [*said, *(row for one in newest for subject, row in one.items() if subject in subjects)]
    rows.sort(key=lambda row: (row.subject, row.sequence))
    return {subject: list(group) for subject, group in groupby(rows, lambda row: row.subject)}


def _turn(rows: Sequence[Recorded], keys: Keys) -> Recorded:
    """The last of these rows about one product after which another permit is in force, or none."""
    words, turn = Words(), rows[0]
    for row in rows:
        then = after(words, row, keys)
        if then.permit != words.permit:
            turn = row
        words = then
    return turn


def _permit(proposal: Recorded, approval: Recorded) -> Permit:
    said = proposal.body
    since = None if said["from"] is None else datetime.fromisoformat(said["from"])
    return Permit(approval.sequence, proposal.sequence, said["who"], approval.body["who"], said["terms"], since)


def _missing(subject: str, release: Asked) -> Statement | None:
    """Why there is no good word of two persons; None if there is one."""
    proposal, permit = release.words.proposal, release.words.permit
    changed = permit is not None and permit.terms != release.terms
    if permit is not None and not changed and not (permit.used and release.approval == "each"):
        return None
    if proposal is not None and proposal.body["terms"] == release.terms:
        return Statement(PROPOSED, {"subject": subject, "row": proposal.sequence})
    if permit is None:
        return Statement(UNAPPROVED, {"subject": subject})
    return Statement(CHANGED if changed else USED, {"subject": subject, "row": permit.row})
