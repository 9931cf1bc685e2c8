"""The decision about one version of one model or product: may it be released, and if not, why not.

Pure: it reads no clock, file or table. Making evidence belongs to `pipelines.evidence`, acting on the decision to the
release itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.evidence.record import Check, Evidence, Statement
from pipelines.release.approval import WAITS, Asked, against
from pipelines.release.ledger import Recorded

Kind = Literal["model", "open", "product"]

_CONTRACT = frozenset({"schema", "rules", "second_opinion"})
_SHOWN = _CONTRACT | {"allow_list", "levels", "lineage", "rows"}
REQUIRED: Mapping[Kind, frozenset[str]] = {
    "model": _CONTRACT,
    "open": _SHOWN | {"personal_values", "anonymity", "attack"},
    "product": _SHOWN,
}
"""The checks without which a subject stays closed. Further checks in the evidence must pass as well."""


WITHDRAWN = "evidence.withdrawn"


@dataclass(frozen=True)
class Decision:
    """`approved` if there is no reason against it. `unchanged`: the version is, file for file, the published one."""

    approved: bool
    reasons: tuple[Statement, ...]
    unchanged: bool

    @property
    def waits(self) -> bool:
        """Whether nothing is wrong with the version: it waits for somebody's word (a person withdrew the subject, or
        has to approve it) or for a moment."""
        return bool(self.reasons) and all(reason.code in {WITHDRAWN, *WAITS} for reason in self.reasons)


def decide(
    subject: str,
    fingerprint: str,
    evidence: Evidence | None,
    previous: Recorded | None,
    upstream_refused: Sequence[str] = (),
    withdrawal: Recorded | None = None,
    asked: Asked | None = None,
) -> Decision:
    """Decide about the version `fingerprint` of `subject`, a model or `<channel>/<product>`.

    `previous` is the published release, `upstream_refused` names what the subject is built from and was refused in
    this edition, `withdrawal` is the one in force, `asked` what a product waits for besides and what was said of that,
    None for a model. No evidence, evidence about something else, a missing, failed or
    impossible check, a withdrawal, a word or moment that is awaited: closed. Good evidence does not undo what a person
    decided, nor do two persons undo what evidence says.
    """
    words = (*_withdrawn(withdrawal), *(against(subject, asked) if asked is not None else ()))
    reasons = (*words, *_reasons(subject, fingerprint, evidence, upstream_refused))
    unchanged = previous is not None and previous.body.get("fingerprint") == fingerprint
    return Decision(not reasons, reasons, unchanged)


def kind_of(subject: str) -> Kind:
    """What a subject is, by its name."""
    if "/" not in subject:
        return "model"
    return "open" if subject.startswith("open/") else "product"


def _withdrawn(withdrawal: Recorded | None) -> Iterator[Statement]:
    if withdrawal is not None:
        yield Statement(WITHDRAWN, {"subject": withdrawal.subject, "row": withdrawal.sequence})


def _reasons(
    subject: str, fingerprint: str, evidence: Evidence | None, upstream_refused: Sequence[str]
) -> Iterator[Statement]:
    for name in upstream_refused:
        yield Statement("evidence.upstream_refused", {"subject": subject, "upstream": name})
    if evidence is None:
        yield Statement("evidence.none", {"subject": subject})
        return
    if evidence.subject != subject:
        yield Statement("evidence.other_subject", {"subject": subject, "other": evidence.subject})
    if evidence.fingerprint != fingerprint:
        yield Statement("evidence.stale", {"subject": subject})
    for name in sorted(REQUIRED[kind_of(subject)] - {check.check for check in evidence.checks}):
        yield Statement("evidence.check_missing", {"subject": subject, "check": name})
    for check in evidence.checks:
        yield from _against(subject, check)


def _against(subject: str, check: Check) -> Iterator[Statement]:
    if check.status == "pass":
        return
    if check.details:
        yield from check.details
    else:
        yield Statement("evidence.check_failed", {"subject": subject, "check": check.check})
