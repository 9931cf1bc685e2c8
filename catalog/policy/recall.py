"""Who read what was withdrawn: found in the audit, told as issues of their organisations, closed by their answer.

Reads of the analysts' database count for the products that were in it. Belongs here: finding, telling, closing. Does
not belong here: the withdrawal itself (pipelines/release/withdrawal).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.policy import inquiry
from catalog.policy.audit import ABOUT
from catalog.policy.decision import MARTS
from pipelines.contracts.resolved import Contracts
from pipelines.issues import Finding, Issues
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.tables import audit as table
from pipelines.register.tables import issue as issue_table
from pipelines.register.tables import recipient as recipient_table
from pipelines.register.times import as_utc
from pipelines.release.ledger import PAST_WITHDRAWAL, WITHDRAWAL, Ledger, Recorded

AREA = "recall"


@dataclass(frozen=True)
class Reader:
    """Who read versions that were taken back: how often, last when (UTC). `recipient` is None for the public and the
    command line, `organisation` then too. `in_marts`: in the analysts' database, whose versions are not told apart."""

    recipient: str | None
    organisation: str | None
    versions: tuple[int, ...]
    reads: int
    last: datetime
    in_marts: bool


@dataclass(frozen=True)
class Recall:
    """One withdrawal, the versions it took back and who had read them."""

    withdrawal: Recorded
    versions: tuple[int, ...]
    readers: tuple[Reader, ...]


def recalls(register: Register, product: str) -> list[Recall]:
    """Every withdrawal of a product or of one of its versions, in order, with who had read."""
    found = []
    for withdrawal, releases in Ledger(register).taken_back(product):
        versions = tuple(sorted({one.version for one in releases if one.version is not None}))
        readers = [*_readers(register, product, versions), *_readers_of_marts(register, product, withdrawal, releases)]
        found.append(Recall(withdrawal, versions, tuple(readers)))
    return found


def tell(register: Register, contracts: Contracts, product: str) -> list[Recall]:
    """Make the open issues about a product name everybody who read and has not answered; returns all recalls."""
    found = recalls(register, product)
    _report(register, contracts, product, found, answered(register, product), {})
    return found


def tell_all(register: Register, contracts: Contracts) -> int:
    """The same for everything that was ever withdrawn, for whoever withdrew may have been stopped before it was told;
    returns how many have not answered."""
    for product in sorted({one.subject for one in Ledger(register).of_kind(WITHDRAWAL, PAST_WITHDRAWAL)}):
        tell(register, contracts, product)
    return sum(row["code"].startswith(f"{AREA}.") for row in Issues(register).open())


def answer(register: Register, contracts: Contracts, product: str, recipient: str, who: str, why: str) -> int:
    """Close the recalls of a product that a recipient answered; returns how many. Raises CitylakeError for none."""
    found = recalls(register, product)
    done = answered(register, product)
    mine = {
        identity(recall, reader)
        for recall in found
        for reader in recall.readers
        if reader.recipient == recipient and identity(recall, reader) not in done
    }
    if not mine:
        raise CitylakeError("recall.not_asked", subject=product, recipient=recipient)
    _report(register, contracts, product, found, done, {})  # what is closed must have been open
    _report(register, contracts, product, found, done | mine, {"who": who, "why": why})
    return len(mine)


def answered(register: Register, product: str) -> set[str]:
    """The identities of the recalls of a product that were answered."""
    return {row["code"] for row in Issues(register).proved(product) if row["code"].startswith(f"{AREA}.")}


def open_for(register: Register, recipient: str) -> list[dict[str, Any]]:
    """The open issues that tell one recipient of what was withdrawn, the newest first."""
    mine = (issue_table.c.status == "open") & issue_table.c.code.startswith(f"{AREA}.")
    rows = register.rows(sa.select(issue_table).where(mine).order_by(issue_table.c.id.desc()))
    return [row for row in rows if row["code"].partition(":")[2].partition(".")[2] == recipient]


def identity(recall: Recall, reader: Reader) -> str:
    """The identity of the issue that tells a reader."""
    return f"{_code(reader)}:{recall.withdrawal.sequence}.{reader.recipient}"


def _report(
    register: Register,
    contracts: Contracts,
    product: str,
    found: Sequence[Recall],
    done: set[str],
    proof: Mapping[str, str],
) -> None:
    zone = ZoneInfo(contracts.city.timezone)
    findings = [one for one in _findings(product, found, zone) if one.identity not in done]
    known = contracts.products.get(product)
    owner = known.contract.form.owner if known else contracts.city.operator
    Issues(register).report(product, owner, AREA, findings, lambda *_: dict(proof) or None)


def _findings(product: str, found: Sequence[Recall], zone: ZoneInfo) -> Iterator[Finding]:
    for recall in found:
        for reader in recall.readers:
            if reader.recipient is None:
                continue
            about = {
                "recipient": reader.recipient,
                "product": product,
                "versions": "、".join(map(str, reader.versions)),
                "reads": reader.reads,
                "last": reader.last.astimezone(zone).date().isoformat(),
                "row": recall.withdrawal.sequence,
            }
            key = f"{recall.withdrawal.sequence}.{reader.recipient}"
            yield Finding(_code(reader), about, "error", key, reader.reads, reader.organisation)


def _code(reader: Reader) -> str:
    return "recall.read_in_marts" if reader.in_marts else "recall.read"


def _readers(register: Register, product: str, versions: Sequence[int]) -> Iterator[Reader]:
    columns = table.c
    read = (columns.product == product) & columns.version.in_(versions) & (columns.outcome == "allowed")
    query = _counted(columns.version).where(read, columns.action.not_in(ABOUT))
    query = query.group_by(columns.recipient, recipient_table.c.organisation, columns.version)
    rows = inquiry.that_gave(register, query)
    for name in sorted({row["recipient"] for row in rows}, key=lambda name: (name is None, name or "")):
        mine = [row for row in rows if row["recipient"] == name]
        yield Reader(
            recipient=name,
            organisation=mine[0]["organisation"],
            versions=tuple(sorted(row["version"] for row in mine)),
            reads=sum(row["reads"] for row in mine),
            last=max(as_utc(row["last"]) for row in mine),
            in_marts=False,
        )


def _readers_of_marts(
    register: Register, product: str, withdrawal: Recorded, releases: Sequence[Recorded]
) -> Iterator[Reader]:
    """Who downloaded the analysts' database between the first of the releases and the withdrawal."""
    if not product.startswith("analyst/") or not releases:
        return
    columns = table.c
    span = (columns.at >= releases[0].at) & (columns.at <= withdrawal.at)
    read = (columns.product == MARTS) & (columns.outcome == "allowed") & (columns.action == "download")
    query = _counted().where(read, span).group_by(columns.recipient, recipient_table.c.organisation)
    versions = tuple(one.version for one in releases if one.version is not None)
    for row in inquiry.that_gave(register, query.order_by(columns.recipient)):
        yield Reader(row["recipient"], row["organisation"], versions, row["reads"], as_utc(row["last"]), True)


def _counted(*more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    named = table.outerjoin(recipient_table, recipient_table.c.name == table.c.recipient)
    counted = (sa.func.count().label("reads"), sa.func.max(table.c.at, type_=table.c.at.type).label("last"))
    return sa.select(table.c.recipient, recipient_table.c.organisation, *more, *counted).select_from(named)
