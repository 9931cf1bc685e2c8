"""Whether what was released is still what the ledger says: every version of every subject, by its fingerprint, and what
it was proved by and built from, by its hash.

A version that an order to erase a person changed is neither unchanged nor corrupt: the receipt says what it was before
and what it is since. Nor is one that was ended, or a history that was shortened, because a contract's period was over.

Belongs here: the comparison. Does not belong here: the chain itself (register/chain).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.lake import delta
from pipelines.lake.candidate import fingerprint
from pipelines.lake.checksums import NAMES, Checksums, differing, named
from pipelines.lake.errors import LacksChecksums, LakeError
from pipelines.lake.zones import Lake
from pipelines.register import chain
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.files import below, changes_of, followed
from pipelines.release.ledger import ERASURE, REFUSAL, RELEASE, Ledger, Recorded

State = Literal["unchanged", "erased", "shortened", "ended", "corrupt"]


@dataclass(frozen=True)
class Verified:
    """What one release is like now. `orders`: the subjects of the receipts by which rows went from it, or by which it
    ended as a whole, in order; `what`: the file that is missing or differs, and by which checksums; empty for none."""

    subject: str
    version: int
    state: State
    orders: tuple[str, ...] = ()
    what: str = ""


def releases(lake: Lake, ledger: Ledger) -> Iterator[Verified]:
    """Every release in the ledger, oldest first."""
    ended, files = ledger.ended_versions(), Files(lake, ledger)
    for entry in ledger.releases():
        if entry.version is None:
            continue
        if word := ended.get(entry.subject, {}).get(entry.version):
            yield Verified(entry.subject, entry.version, "ended", (word.subject,))
        else:
            yield verified(files, entry, entry.version)


def unproved(ledger: Ledger, receipts: Receipts) -> Iterator[Recorded]:
    """The decisions of which the evidence, or the list of what was built from what, is gone or is not what the ledger
    says."""
    rows = ledger.of_kind(RELEASE, REFUSAL)
    built = {chain.digest(body) for body in receipts.bodies(Stage.EDITION)}
    by_subject: dict[str, list[Recorded]] = {}
    for row in rows:
        by_subject.setdefault(row.subject, []).append(row)
    for subject, mine in by_subject.items():
        proofs = {chain.digest(body) for body in receipts.bodies(Stage.EVIDENCE, subject)}
        for row in mine:
            asked = ((row.body.get("proof"), proofs), (row.body.get("built_from"), built))
            if any(said is not None and said not in known for said, known in asked):
                yield row


class Files:
    """The files of the lake, each read once however many versions have it, and what the ledger says of them."""

    def __init__(self, lake: Lake, ledger: Ledger) -> None:
        self.lake = lake
        self.rewritings = ledger.rewritings()
        """Every receipt of an order or an ended period, in order."""
        self.changes = changes_of(self.rewritings)
        self.marks: dict[str, set[bool]] = {}
        """Whether releases of a subject say that its rows are made up. A home may have got its mark later; a table is
        described as its first release says."""
        for entry in ledger.releases():
            self.marks.setdefault(entry.subject, set()).add(delta.IS_TEST in entry.body)
        self._found: dict[tuple[str, str, str], list[str]] = {}

    def differing(self, name: str, expected: Checksums) -> list[str]:
        """The names of the checksums that a file below the lake does not have."""
        asked = (name, expected["sha256"], expected["sm3"])
        if asked not in self._found:
            self._found[asked] = differing(self.lake.root / name, expected)
        return self._found[asked]


def verified(files: Files, entry: Recorded, version: int) -> Verified:
    """What one release is like now that was not ended. Raises LacksChecksums if its receipt does not say."""
    location = files.lake.subject(entry.subject)
    try:
        mark = fingerprint(location, version)
        table = delta.open_table(location, version)
        present, strange = delta.table_files(table), delta.strange(table, files.marks[entry.subject])
    except LakeError:
        return Verified(entry.subject, version, "corrupt", what=str(location))
    expected, orders, states = str(entry.body["fingerprint"]), list[str](), set[str]()
    for one in files.rewritings:
        before, after = one.body["releases"].get(entry.subject, {}).get(str(version), (None, None))
        if before == expected and after != before:
            expected, orders = after, [*orders, one.subject]
            states.add(one.kind)
    names = [below(files.lake, location / file.path) for file in present]
    if wrong := next(_wrong(files, entry, version, names), None):
        return Verified(entry.subject, version, "corrupt", tuple(orders), wrong)
    if mark != expected:
        return Verified(entry.subject, version, "corrupt", tuple(orders), str(location))
    if strange:
        log = f"{location / '_delta_log'} ({', '.join(strange)})"
        return Verified(entry.subject, version, "corrupt", tuple(orders), log)
    state: State = "erased" if ERASURE in states else "shortened" if orders else "unchanged"
    return Verified(entry.subject, version, state, tuple(orders))


def _wrong(files: Files, entry: Recorded, version: int, data: Sequence[str]) -> Iterator[str]:
    """The files of a release that are gone or are not what the ledger says, with the checksums that differ. `data`: the
    data files of the version as they are named below the lake."""
    if "data" not in entry.body:
        raise LacksChecksums("lake.lacks_checksums", file=f"{entry.subject} v{version}")
    said = {one["path"]: named(one) for one in entry.body["data"]}
    downloads = f"released/files/{entry.subject}/v{version}"
    said |= {f"{downloads}/{one['name']}": named(one) for one in entry.body["files"]}
    for name in sorted({*said, *data}):
        expected = followed(files.lake, name, said[name], entry, files.changes) if name in said else None
        if wrong := files.differing(name, expected) if expected else list(NAMES.values()):
            yield f"{files.lake.root / name} ({', '.join(wrong)})"
