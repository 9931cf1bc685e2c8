"""An officer's word that a product is not given out any more, and that it may be again.

The word is a ledger row and a tombstone: it stays, as do the release rows and the files. Every road reads the published
version from the ledger, so it acts at once. Belongs here: the word. Does not belong here: who read what was withdrawn
(catalog/policy/recall), the gate that keeps it closed (decision).
"""

from pipelines.contracts.resolved import Contracts
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.ledger import PAST_WITHDRAWAL, REINSTATEMENT, RELEASE, WITHDRAWAL, Entry, Ledger, Recorded

DECISIONS = 1_000_000
"""More than any subject will ever have."""


def withdraw(
    register: Register, contracts: Contracts, subject: str, who: str, why: str, version: int | None = None
) -> Recorded:
    """Take a product back, or one version that was replaced already. Naming the published version means the product.

    A product stays closed until it is reinstated, whatever later runs find. What contracts no longer name can be
    withdrawn too. Raises CitylakeError for a model, and for what is not published or never was.
    """
    ledger = Ledger(register)
    if subject in contracts.models:
        raise CitylakeError("withdrawal.model", subject=subject, products=_products(contracts, subject))
    published = ledger.published().get(subject)
    body = {"who": _said(who), "why": _said(why)}
    if version is None or (published is not None and published.version == version):
        if published is None:
            raise CitylakeError("withdrawal.nothing", subject=subject)
        entry = Entry(WITHDRAWAL, subject, published.edition, published.version, body)
    else:
        past = _past(ledger, subject, version)
        entry = Entry(PAST_WITHDRAWAL, subject, past.edition, version, body)
    (recorded,) = ledger.record([entry])
    return recorded


def reinstate(register: Register, subject: str, who: str, why: str) -> Recorded:
    """Let a withdrawn product be released again: by the next run, if the gate finds nothing against it.

    Versions from before stay closed. Raises CitylakeError for what is not withdrawn.
    """
    ledger = Ledger(register)
    withdrawal = ledger.withdrawn().get(subject)
    if withdrawal is None:
        raise CitylakeError("withdrawal.not_withdrawn", subject=subject)
    body = {"who": _said(who), "why": _said(why), "withdrawal": withdrawal.sequence}
    (recorded,) = ledger.record([Entry(REINSTATEMENT, subject, withdrawal.edition, None, body)])
    return recorded


def _past(ledger: Ledger, subject: str, version: int) -> Recorded:
    """The release of a version that was replaced and is not taken back."""
    closed = {one.sequence for _, releases in ledger.taken_back(subject) for one in releases}
    for entry in ledger.history(subject, DECISIONS):
        if (entry.kind, entry.version) == (RELEASE, version) and entry.sequence not in closed:
            return entry
    raise CitylakeError("withdrawal.no_version", subject=subject, version=version)


def _products(contracts: Contracts, model: str) -> str:
    return "、".join(product.id for product in contracts.models[model].products) or "—"


def _said(text: str) -> str:
    if not text.strip():
        raise CitylakeError("withdrawal.who_and_why")
    return text.strip()
