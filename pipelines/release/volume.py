"""A steward's word that a subject may have as many rows as the candidate that `volume_change` refused.

The word is a ledger row: it opens a gate, so it is kept as what the gate said. It counts until the next release of the
subject, and only for that rule: the next candidate is compared with the number of rows confirmed, by the same limits.
"""

from collections.abc import Mapping

from pipelines.evidence.gate import VOLUME
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.ledger import CONFIRMATION, REFUSAL, RELEASE, Entry, Ledger, Recorded


def confirm_volume(register: Register, subject: str, who: str, why: str) -> int:
    """Confirm the number of rows of the newest decision about a model, which must be a refusal by its volume.

    Returns the number. Raises CitylakeError if there is nothing to confirm.
    """
    ledger = Ledger(register)
    refusal = ledger.newest(RELEASE, REFUSAL, CONFIRMATION).get(subject)
    if refusal is None or refusal.kind != REFUSAL or not _moved(refusal):
        raise CitylakeError("volume.nothing", subject=subject)
    rows = int(refusal.body["rows"])
    body = {"who": who, "why": why, "rows": rows, "refusal": refusal.sequence}
    ledger.record([Entry(CONFIRMATION, subject, refusal.edition, None, body)])
    return rows


def confirmed_volumes(ledger: Ledger) -> Mapping[str, Recorded]:
    """The confirmations that count, by subject."""
    newest = ledger.newest(RELEASE, CONFIRMATION)
    return {subject: entry for subject, entry in newest.items() if entry.kind == CONFIRMATION}


def _moved(refusal: Recorded) -> bool:
    return any(rule["verb"] == VOLUME and rule["failed"] for rule in refusal.body["rules"])
