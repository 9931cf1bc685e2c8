"""Signed heads of the ledger and of the audit: who kept one elsewhere can tell later that no row up to it was changed.

A head vouches for the rows since the head before it by the root of a Merkle tree (RFC 6962, 2.1: leaves are the texts
that the chain hashes), for all earlier ones by the hash of the head before and of its last row. It is kept with the
hashes of its leaves, so that a changed row is told by its number. Belongs here: making and listing heads, and whether
those of the register fit, by the signatures that release/check verifies. Does not belong here: judging a bundle (that
module, which runs without citylake and says again how heads are hashed).
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding

from pipelines.messages import CitylakeError
from pipelines.register import chain
from pipelines.register.signer import Signer, of_key
from pipelines.register.store import Register, now
from pipelines.register.tables import audit, audit_head, head, head_stamp, ledger
from pipelines.release import check

FORMAT, HANDOVER = "citylake-head/1", "citylake-handover/1"
TABLES = {ledger.name: head, audit.name: audit_head}
"""Where the heads of a chain are, by the name of its table."""
MOST_ROWS = 10_000
"""That one head vouches for: its leaves are read and shown as a whole."""
PAUSE = 0.2
"""Seconds between two heads: longer than SQLite sleeps between its tries, so that others get their turn."""


@dataclass(frozen=True)
class Head:
    """One head: `statement` is the signed text (canonical JSON), the signature is hex, so are the hashes of leaves.
    `stamp`: the time stamp of an authority (stamps), hex. The first one of another key has the `handover` to it."""

    sequence: int
    last: int
    statement: str
    signature: str
    leaves: tuple[str, ...]
    stamp: str | None = None

    @property
    def says(self) -> dict[str, Any]:
        """The statement: format, number, at, utc_offset_minutes, check, first, last, chain, root, previous, algorithm,
        key."""
        return dict(json.loads(self.statement))

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the statement: what the next head names."""
        return hashlib.sha256(self.statement.encode()).hexdigest()

    def line(self) -> str:
        """The head as one line of JSON, as it is exported."""
        stamp = {"stamp": self.stamp} if self.stamp is not None else {}
        kept = {"statement": self.statement, "signature": self.signature, "leaves": self.leaves, **stamp}
        return chain.canonical(kept)


Unfit = Literal["signature", "order", "no_handover", "root"]
"""What can be wrong with a head itself, as check.py names it."""


@dataclass(frozen=True)
class Difference:
    """The first row that is not what a head signed, or is gone; or a head that is itself `unfit`."""

    head: int
    row: int
    unfit: Unfit | None = None


def seal(register: Register, signer: Signer, zone: ZoneInfo, of: sa.Table = ledger) -> Head | None:
    """Sign the rows of a chain since its last head; the newest head then made, None if there are no rows. `zone`: the
    city's, in which days of these rows are told.

    Raises CitylakeError for rows that do not fit the chain or the last head, for a last head that is forged, and for a
    key to which the one before does not hand over: such a chain is not signed.
    """
    newest = None
    while (made := _seal(register, signer, zone, of)) is not None:
        newest = made
        if len(made.leaves) < MOST_ROWS - 1:  # the last row of the head before was read with them
            break  # what came meanwhile is for the next seal: of a busy service there would be no end
        time.sleep(PAUSE)
    return newest


def accept(register: Register, signer: Signer, zone: ZoneInfo, of: sa.Table, said: Mapping[str, str]) -> Head:
    """Sign over heads of a key that the other chain had left, because somebody vouches that they are ours: `said`, who
    and why, stands in the head. Only a key that signed the other chain since can say so.

    Raises CitylakeError as `acceptable` and `seal` do.
    """
    acceptable(register, signer, of)
    made = _seal(register, signer, zone, of, said)
    if made is None:  # somebody else accepted it meanwhile
        raise CitylakeError("heads.nothing_to_accept", chain=of.name)
    return made


def acceptable(register: Register, signer: Signer, of: sa.Table, rows_follow: bool = False) -> int:
    """The number of the last head of a chain, which somebody may vouch for with this key; `rows_follow`: the chain gets
    a row before it is signed.

    Raises CitylakeError for a chain that is signed without it, for another key, for a chain without rows since.
    """
    before = _proved_last(register, of)
    if before is None or not _last_retired(register, before, of):
        raise CitylakeError("heads.nothing_to_accept", chain=of.name)
    _refuse_retired(register, before, signer, of, True)
    if not rows_follow and not _rows_since(register, before, of):
        raise CitylakeError("heads.no_rows_since", chain=of.name, head=before.sequence)
    return before.sequence


def listed(register: Register, of: sa.Table = ledger) -> Iterator[Head]:
    """Every head of a chain, in order."""
    yield from map(_head, register.rows(_stamped(of).order_by(TABLES[of.name].c.sequence)))


def newest(register: Register, of: sa.Table = ledger) -> Head | None:
    """The last head of a chain."""
    found = register.rows(_stamped(of).order_by(TABLES[of.name].c.sequence.desc()).limit(1))
    return _head(found[0]) if found else None


def _stamped(of: sa.Table) -> sa.Select[Any]:
    """The heads of a chain, each with its stamp."""
    table = TABLES[of.name]
    same = (head_stamp.c.chain == of.name) & (head_stamp.c.sequence == table.c.sequence)
    return sa.select(table, head_stamp.c.token.label("stamp")).outerjoin(head_stamp, same)


def difference(register: Register, of: sa.Table = ledger) -> Difference | None:
    """Where a chain is not what its heads signed, None if it is: rows cut off its end show here, in no chain."""
    before = None
    for one in listed(register, of):
        if (wrong := unfit(before, one, of)) is not None:
            return Difference(one.sequence, before.last + 1 if before else 1, wrong)
        before = one
        first = int(one.says["first"])
        span = of.c.sequence.between(first, one.last)
        rows = {row["sequence"]: row for row in register.rows(sa.select(of).where(span))}
        for number, leaf in enumerate(one.leaves, first):
            if number not in rows or leaf_hash(chain.row_text(rows[number])).hex() != leaf:
                return Difference(one.sequence, number)
    return None


def unfit(before: Head | None, one: Head, of: sa.Table) -> Unfit | None:
    """What is wrong with a head that should follow another one, which fits: whoever can write into the register can put
    any text there, with leaves that are those of the rows."""
    try:
        said, leaves = one.says, [bytes.fromhex(leaf) for leaf in one.leaves]
        key, signature = bytes.fromhex(said["key"]), bytes.fromhex(one.signature)
        if not check.signed_with(said["algorithm"], key, signature, one.statement.encode()):
            return "signature"
        place = (said["number"], said["first"], said["previous"], said.get("of", ledger.name))
        follows = (before.sequence + 1, before.last + 1, before.hash) if before else (1, 1, chain.FIRST)
        if place != (*follows, of.name) or (said["number"], said["last"]) != (one.sequence, one.last):
            return "order"
        if before and said["key"] != before.says["key"] and not check.follows(_checked(before), _checked(one)):
            return "no_handover"
        whole = leaves and len(leaves) == said["last"] - said["first"] + 1
        return None if whole and merkle_root(leaves).hex() == said["root"] else "root"
    except (ValueError, LookupError, TypeError, RecursionError):  # no text that we sign
        return "signature"


def _checked(one: Head) -> check.Head:
    return check.Head(one.says, one.statement, list(one.leaves), b"")


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves, at least one (RFC 6962, 2.1): 32 bytes."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1  # the largest power of two below their number
    return hashlib.sha256(b"\x01" + merkle_root(leaves[:half]) + merkle_root(leaves[half:])).digest()


def leaf_hash(text: str) -> bytes:
    """The hash of one leaf: 32 bytes."""
    return hashlib.sha256(b"\x00" + text.encode()).digest()


def _seal(
    register: Register, signer: Signer, zone: ZoneInfo, of: sa.Table, accepted: Mapping[str, str] | None = None
) -> Head | None:
    """One head over the next rows, None if there are none. A device may take its time: the register is not held
    meanwhile, and what another one signed first is signed no second time. `accepted`: who vouches for a last head of a
    retired key, and why."""
    table = TABLES[of.name]
    while True:
        before = _proved_last(register, of)
        rows = _rows_since(register, before, of)
        if not rows:
            return None
        _refuse_retired(register, before, signer, of, accepted is not None)
        made = _made(before, rows, signer, zone, of, accepted)
        row = {**vars(made), "leaves": json.dumps(made.leaves)}
        del row["stamp"]
        with register.begin() as connection:
            chain.take_place(connection, table)
            if _statement(connection, table) == (before.statement if before else None):
                connection.execute(sa.insert(table).values(**row))
                return made


def _proved_last(register: Register, of: sa.Table) -> Head | None:
    """The last head of a chain, proved to be signed and to follow the one before it."""
    found = register.rows(_stamped(of).order_by(TABLES[of.name].c.sequence.desc()).limit(2))
    last, *earlier = [*map(_head, found), None]
    if last is not None and (wrong := unfit(earlier[0], last, of)) is not None:
        raise CitylakeError(f"heads.unfit.{wrong}", chain=of.name, head=last.sequence)
    return last


def _refuse_retired(
    register: Register, before: Head | None, signer: Signer, of: sa.Table, accepted: bool = False
) -> None:
    """Neither the last head, unless somebody `accepted` it, nor the next one is of a key that the other chain had left
    by then, as check.py would tell.

    Raises CitylakeError: a former key hands over where it signed last, not again after whoever stole it.
    """
    if before is None:
        return
    key, other = signer.public_key(Encoding.DER).hex(), _other(of)
    if key == before.says["key"] and _only_of(register, other, key):
        return  # nobody ever changed keys: nothing else is read
    mine, by_now = {one for _, one in _keys(register, of)}, [one for _, one in _keys(register, other)]
    vouched = accepted and key in by_now
    left = _last_retired(register, before, of) and not vouched
    if left or (key in by_now and by_now[-1] not in {*mine, key}):
        raise CitylakeError("heads.retired", chain=of.name, head=before.sequence)


def _last_retired(register: Register, before: Head, of: sa.Table) -> bool:
    """Whether the last head is of a key that the other chain had left when it was made."""
    at, mine = datetime.fromisoformat(before.says["at"]), {one for _, one in _keys(register, of)}
    then = [one for made, one in _keys(register, _other(of)) if made < at]
    return before.says["key"] in then and then[-1] not in mine


def _other(of: sa.Table) -> sa.Table:
    return audit if of is ledger else ledger


def _only_of(register: Register, of: sa.Table, key: str) -> bool:
    """Whether no head of a chain is of another key."""
    table = TABLES[of.name]
    others = ~table.c.statement.contains(f'"key":"{key}"')
    return not register.rows(sa.select(table.c.sequence).where(others).limit(1))


def _keys(register: Register, of: sa.Table) -> list[tuple[datetime, str]]:
    """When each head of a chain was made and by which key, without its leaves."""
    table = TABLES[of.name]
    rows = register.rows(sa.select(table.c.statement).order_by(table.c.sequence))
    said = [json.loads(row["statement"]) for row in rows]
    return [(datetime.fromisoformat(one["at"]), one["key"]) for one in said]


def _rows_since(register: Register, before: Head | None, of: sa.Table) -> list[dict[str, Any]]:
    """The rows after a head, proved to follow it."""
    last, hashed = (before.last, before.says["chain"]) if before else (0, chain.FIRST)
    query = sa.select(of).where(of.c.sequence >= last).order_by(of.c.sequence).limit(MOST_ROWS + 1)
    rows = register.rows(query)
    if before is not None:
        known = rows.pop(0) if rows and rows[0]["sequence"] == last else None
        if known is None or chain.row_hash(known) != hashed:
            raise CitylakeError(f"heads.not_the_{of.name}", head=before.sequence, sequence=last)
    if (broken := chain.first_unfit(rows, hashed, last + 1)) is not None:
        raise CitylakeError("heads.broken" if of is ledger else "heads.broken_audit", sequence=broken)
    return rows


def _made(
    before: Head | None,
    rows: Sequence[dict[str, Any]],
    signer: Signer,
    zone: ZoneInfo,
    of: sa.Table,
    accepted: Mapping[str, str] | None = None,
) -> Head:
    at = now()
    leaves = [leaf_hash(chain.row_text(row)) for row in rows]
    number, last = before.sequence + 1 if before else 1, int(rows[-1]["sequence"])
    statement = chain.canonical(
        {
            "format": FORMAT,
            "number": number,
            "at": at.isoformat(timespec="seconds"),
            "utc_offset_minutes": offset_minutes(at, zone),
            "check": program(),
            "first": rows[0]["sequence"],
            "last": last,
            "chain": rows[-1]["hash"],
            "root": merkle_root(leaves).hex(),
            "previous": before.hash if before else chain.FIRST,
            "algorithm": signer.algorithm,
            "key": signer.public_key(Encoding.DER).hex(),
            **(handover(before, signer) if before else {}),
            **({} if accepted is None else {"accepted": dict(accepted)}),
            **({} if of is ledger else {"of": of.name}),  # heads of the ledger were there first and do not say it
        }
    )
    signature = signer.sign(statement.encode()).hex()
    return Head(number, last, statement, signature, tuple(leaf.hex() for leaf in leaves))


def offset_minutes(at: datetime, zone: ZoneInfo) -> int:
    """How far a zone is from UTC at a moment."""
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None  # a time in a zone has one
    return int(offset.total_seconds()) // 60


@cache
def program() -> str:
    """SHA-256 (hex) of the check.py of this version: heads name it, so that who kept one can tell the program."""
    return check.sha256(Path(check.__file__))


def handover(before: Head, signer: Signer) -> dict[str, str]:
    """What the key of a head signs if another one follows it: which, and after which head. Nothing for the same key.

    Raises CitylakeError if the key of the head is not there any more.
    """
    key, said = signer.public_key(Encoding.DER), before.says
    if said["key"] == key.hex():
        return {}
    known = of_key(signer, bytes.fromhex(said["key"]))
    if known is None:
        about = {"head": before.sequence, "algorithm": said["algorithm"], "key": said["key"][-16:]}
        raise CitylakeError("heads.no_handover", **about)
    follows = {"format": HANDOVER, "algorithm": signer.algorithm, "key": key.hex()}
    text = chain.canonical({**follows, "head": before.hash})
    return {"handover": known.sign(text.encode()).hex()}


def _statement(connection: sa.Connection, table: sa.Table) -> str | None:
    """What the last head says now."""
    last = sa.select(table.c.statement).order_by(table.c.sequence.desc()).limit(1)
    return connection.execute(last).scalar_one_or_none()


def _head(row: dict[str, Any]) -> Head:
    return Head(**{**row, "leaves": tuple(json.loads(row["leaves"]))})
