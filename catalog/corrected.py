"""Who received what a source has corrected since: each recipient is told once, by a notice that waits for its word.

Belongs here: from which version on a product is right, and the notices. Does not belong here: which rows were wrong
(pipelines/release/corrected), who received them (forward), and closing notices (pipelines/issues/corrections).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile

import sqlalchemy as sa

from catalog.forward import Forward, forward
from catalog.policy.receivers import Received, Sure
from pipelines.contracts.resolved import Contracts, Product
from pipelines.issues import Finding, Issues
from pipelines.issues.corrections import AREA, Correction, proved
from pipelines.messages import translate
from pipelines.register import Register
from pipelines.register.receipts import Receipts
from pipelines.register.store import now
from pipelines.register.tables import issue as issues
from pipelines.register.times import as_utc
from pipelines.release.corrected import Named, named
from pipelines.release.ledger import Recorded
from pipelines.release.rows import ReleasedRows
from pipelines.settings import Settings

FAILED = "telling"
"""The area of issues about corrections that could not be looked at."""
LOOKED_AT = timedelta(days=90)
"""How long after its proof a correction is looked at: it may be published late, and an old version read late."""


@dataclass(frozen=True)
class Span:
    """The versions of a product that show a wrong value, in order, and the first one after them. `gone`: that has not
    the row any more."""

    wrong: tuple[int, ...]
    right: int
    gone: bool


@dataclass
class Told:
    """What one recipient received of a product that a correction made right since. `rows`: the wrong ones, by the key
    of their model; `has`: whether it had all of a right version too."""

    correction: Correction
    product: Product
    recipient: str
    organisation: str | None
    gone: bool = True
    right: int = 0
    has: bool = False
    sure: Sure = Sure.USED
    versions: set[int] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    rows: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def identity(self) -> str:
        """What makes the notice of it the same one."""
        return f"{AREA}.received:{self.correction.issue}.{self.recipient}"


def tell(settings: Settings, register: Register, contracts: Contracts) -> int:
    """Open a notice for everybody who received what was corrected and was not told; returns how many.

    A correction that cannot be looked at is an issue of the operator, and the others are told all the same.
    """
    released, opened = ReleasedRows(contracts, settings.lake, register), 0
    problems: dict[str, list[Finding]] = {one: [] for one in _failed_before(register)}
    try:
        for correction in proved(register, now() - LOOKED_AT):
            failed = problems.setdefault(correction.source, [])
            try:
                opened += sum(_notify(register, told) for told in found(settings, register, released, correction))
            except Exception as problem:  # only its kind is told: the text of what nobody foresaw may quote rows
                about = {"number": correction.issue, "source": correction.source, "problem": type(problem).__name__}
                failed.append(Finding(f"{FAILED}.failed", about, "error", str(correction.issue)))
    finally:
        released.con.close()
    for source, findings in problems.items():
        Issues(register).report(source, contracts.city.operator, FAILED, findings)
    return opened


def _failed_before(register: Register) -> set[str]:
    """The sources with a correction that could not be looked at the last time."""
    return {row["subject"] for row in Issues(register).open() if row["code"].startswith(f"{FAILED}.")}


def _notify(register: Register, told: Told) -> bool:
    """Open a notice, unless there is one; whether it was opened."""
    mine = (issues.c.subject == told.product.id) & (issues.c.code == told.identity)
    owner = told.organisation or told.product.contract.form.owner
    with register.begin() as connection:  # looked up in here: somebody else may be telling at the same time
        if connection.execute(sa.select(issues.c.id).where(mine)).first() is not None:
            return False
        Issues.open_one(connection, told.product.id, owner, _finding(told))
    return True


def found(settings: Settings, register: Register, released: ReleasedRows, correction: Correction) -> list[Told]:
    """Who received what a correction made right, by product and recipient. Nobody while it is not published."""
    everybody: dict[tuple[str, str], Told] = {}
    for one in named(released, Receipts(register, AREA), correction):
        for column in one.columns:
            read = forward(settings, register, released, one.contract, one.key, column)
            for product in one.contract.products:
                mine = [answer for answer in read if answer.standing.product.id == product.id]
                entries = [entry for entry in released.kept if entry.subject == product.id]
                states = {answer.standing.version: answer.standing.state for answer in mine if answer.standing.known}
                lost = {answer.standing.version for answer in mine if not answer.standing.known}
                legible = [entry for entry in entries if entry.version not in lost]
                when = span(legible, states, one.version, correction.since)
                if when is not None:
                    _add(everybody, correction, product, one, mine, when)
    return [everybody[key] for key in sorted(everybody)]


def span(entries: Sequence[Recorded], states: Mapping[int, int], last: int, since: datetime) -> Span | None:
    """Which of the releases of a product show a wrong value; None if it was not shown, or nothing else is yet.

    `states`: by version a number for what it says, none where it has not the row. What was cut from version `last` of
    the model at the latest is wrong, back to where another value was shown: what was the same before that may have been
    true. The first release after `since` that says something else is right.
    """
    shown = [one for one in entries if one.body["model_version"] <= last and one.version in states]
    if not shown:
        return None
    said = states[_version(shown[-1])]
    right = next((one for one in entries if as_utc(one.at) > since and states.get(_version(one)) != said), None)
    if right is None:
        return None
    *_, first = takewhile(lambda one: states[_version(one)] == said, reversed(shown))
    good = states.get(_version(right))
    before = [one for one in entries if first.sequence <= one.sequence < right.sequence]
    wrong = [one for one in before if states.get(_version(one)) not in (None, good)]
    if not wrong:
        return None
    mended = next(one for one in entries if one.sequence > wrong[-1].sequence)
    return Span(tuple(map(_version, wrong)), _version(mended), good is None)


def _version(release: Recorded) -> int:
    assert release.version is not None  # releases have one
    return release.version


def _add(
    everybody: dict[tuple[str, str], Told],
    correction: Correction,
    product: Product,
    row: Named,
    read: Sequence[Forward],
    when: Span,
) -> None:
    later = {got.recipient for got in _received(read, when.right, None) if got.sure is Sure.WHOLE}
    for got in _received(read, when.wrong[0], when.wrong):
        if got.recipient is None:  # the public, or the command line: nobody to tell
            continue
        place = (product.id, got.recipient)
        told = everybody.setdefault(place, Told(correction, product, got.recipient, got.organisation))
        told.gone &= when.gone
        told.right = max(told.right, when.right)
        told.has |= got.recipient in later
        told.sure = max(told.sure, got.sure)
        told.versions.add(got.version)
        told.columns.update(
            answer.standing.column
            for answer in read
            if answer.standing.version == got.version and answer.standing.column is not None
        )
        told.rows.add(tuple(row.key.values()))


def _received(read: Sequence[Forward], first: int, versions: Sequence[int] | None) -> Iterator[Received]:
    """What was received of these versions, None for all, from the first on."""
    for answer in read:
        version = answer.standing.version
        if version >= first and (versions is None or version in versions):
            yield from answer.received


def _finding(told: Told) -> Finding:
    """The notice: versions, columns and counts, never a key or a value."""
    right = "corrected.gone" if told.gone else "corrected.right"
    about = {
        "recipient": told.recipient,
        "product": told.product.id,
        "versions": "、".join(map(str, sorted(told.versions))),
        "columns": "、".join(sorted(told.columns)),
        "rows": len(told.rows),
        "number": told.correction.issue,
        "source": told.correction.source,
        "batch": told.correction.batch,
    }
    for language in ("zh", "en"):
        about |= {
            f"sure_{language}": translate(f"corrected.sure.{told.sure.name.lower()}", language),
            f"right_{language}": translate(right, language, version=told.right),
            f"has_{language}": translate("corrected.has", language) if told.has else "",
        }
    key = told.identity.partition(":")[2]
    return Finding(f"{AREA}.received", about, "error", key, len(told.rows), told.organisation)
