"""One delivery of files: find what leads from the last package to the published version, write it into the recipient's
folder, read it back, and only then say that it is there.

A package has a number. It is written under a name that says it is not whole, shown, and told by its marker `.ok`, which
holds the signed receipt, as does `_citylake_position.json`; ours is kept last. Whatever a killed run left has no
marker, and the next one goes on with it or takes it away.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

from cryptography.hazmat.primitives.serialization import Encoding

from catalog.delivery.changes import SchemaChanged, counted
from catalog.delivery.desk import Admission, Desk, Refused
from catalog.delivery.extracts import Extract
from catalog.delivery.files.outboxes import Outbox, open_outbox
from catalog.delivery.files.package import Packed, described, packed
from catalog.delivery.push import KEPT, PASSING, Delivered, How, Push, key_of, policy_of
from catalog.policy.decision import Reason
from pipelines.lake.lock import run_lock
from pipelines.messages import CitylakeError, translate
from pipelines.register.receipts import Stage

MARKER = ".ok"
POSITION = "_citylake_position.json"
RECALL = "RECALL.txt"
CURRENT = "current"
"""The state of a position whose packages may be used; any other is the reason why not."""
STATEMENT, SIGNATURE, KEY = "statement.json", "signature.bin", "key.pem"
_OURS = re.compile(r"\.?([0-9]{6,})-v[0-9]+(-v[0-9]+)?(\.part|\.ok|\.ok\.part)?", re.ASCII)


@dataclass(frozen=True)
class FileTask:
    """A delivery of files, with everything that city.yaml says of it. `division`: of the rows of that division only."""

    recipient: str
    product: str
    connection: str
    folder: str
    formats: tuple[str, ...]
    content: Literal["full", "changes"]
    when_ended: Literal["keep", "empty"]
    division: str | None = None


@dataclass(frozen=True)
class DeliveredFiles(Delivered):
    """A package that was delivered; `redone`: an earlier run had left it, or another one, half done."""

    package: str = ""
    redone: bool = False


@dataclass(frozen=True)
class _Goal:
    """What the recipient is to have: the published version as the grant shows it. `asked`: the answer that this was
    made of; `key`: the columns that name rows, empty if none do; `rewritten`: the last row of the ledger, before it was
    read, that tells of erased or ended rows."""

    asked: Admission
    admission: Admission
    extract: Extract
    key: tuple[str, ...]
    rewritten: int

    @property
    def policy(self) -> str:
        return policy_of(self.extract, self.key)


@dataclass(frozen=True)
class _Content:
    """The rows of a package: all of a view, or a change set from version `since`, with what it does."""

    how: How
    held: Extract
    since: int | None
    counts: dict[str, int]


def deliver(desk: Desk, name: str, task: FileTask, run: str, anew: bool = False) -> Delivered:
    """Bring the folder of one delivery up to date; `anew`: by all rows, whatever was delivered before.

    Raises CitylakeError for a store that cannot be reached or refuses, for files that are not what was sent, and when
    another run delivers the same; Refused for a denial that may pass; AuditUnavailable; LakeError.
    """
    with run_lock(desk.settings.home / "deliveries" / name, f"deliver {name}"):
        return _Delivery(desk, name, task, run).run(anew)


class _Delivery(Push):
    action: ClassVar[str] = "file.deliver"
    road: ClassVar[str] = "files"

    def __init__(self, desk: Desk, name: str, task: FileTask, run: str) -> None:
        super().__init__(desk, name, run, recipient=task.recipient, product=task.product, division=task.division)
        self.task = task

    def run(self, anew: bool) -> Delivered:
        try:
            asked = self.ask()
        except Refused as refused:
            if refused.reason in PASSING:
                self._stop(refused)
            elif ended := self._end(refused.reason):
                return ended
            raise
        rewritten = max((row.sequence for row in self.desk.listing.ledger.rewritings()), default=0)
        admission = self.admitted(asked)
        extract = self.desk.views.extract(admission.allowed)
        with self.desk.views.folders.connection() as con:
            goal = _Goal(asked, admission, extract, key_of(con, admission, extract), rewritten)
        outbox = self._open()
        try:
            return self._bring_up(outbox, goal, anew)
        finally:
            outbox.close()

    def _open(self) -> Outbox:
        connection = self.desk.listing.snapshot().contracts.city.connections[self.task.connection]
        address = self.desk.settings.connection_string(self.task.connection, connection.secret)
        return open_outbox(address, self.task.connection, self.task.recipient, self.task.folder)

    def _bring_up(self, outbox: Outbox, goal: _Goal, anew: bool) -> Delivered:
        last = self._last(outbox)
        version, policy = goal.extract.version, goal.policy
        torn = [last["package"]] if self._torn(outbox, last) else []
        outdated, unreplaced = self._outdated(outbox, policy)
        moved = last["number"] > 0 and any(last.get(name) != value for name, value in self._place.items())
        anew = anew or bool(torn) or moved or unreplaced or self._rewritten(last) or self._half_ended(outbox, last)
        if not anew and (last.get("version"), last.get("policy"), last["state"]) == (version, policy, CURRENT):
            self._tidy(outbox, last)
            self._take_away(outbox, outdated)
            return Delivered(self.name, "unchanged", version, goal.extract.rows)
        content = self._content(goal, {} if anew else last)
        number = last["number"] + 1
        span = f"v{version}" if content.since is None else f"v{content.since}-v{version}"
        package = f"{number:06d}-{span}"
        redone = self._clear(outbox, number, package) or bool(torn)
        files = packed(self.desk, goal.admission, content.held, self.task.formats, goal.key, content.since)
        self.audit(goal.admission, package=package, rows=content.held.rows, files=[one.name for one in files])
        self._write(outbox, goal, content, package, number, files)
        self._take_away(outbox, {*torn, *outdated})
        done = Delivered(self.name, content.how, version, goal.extract.rows, **content.counts)
        return DeliveredFiles(**vars(done), package=package, redone=redone)

    @property
    def _place(self) -> dict[str, str]:
        """What a receipt must be about for the next package to lead on from it."""
        about = {"product": self.product, "recipient": self.recipient}
        return {**about, "connection": self.task.connection, "folder": self.task.folder}

    def _take_away(self, outbox: Outbox, packages: Iterable[str]) -> list[str]:
        """Take packages away, all their markers first; which they were."""
        listed = sorted(packages)
        for name in (*(f"{one}{MARKER}" for one in listed), *listed):
            outbox.remove(name)
        return listed

    def _content(self, goal: _Goal, last: dict[str, Any]) -> _Content:
        """A change set if one leads from the last package to the published version, else everything."""
        if self.task.content == "changes" and last.get("state") == CURRENT and last["policy"] == goal.policy:
            before = self.before(goal.admission, last["version"])
            try:
                changes = self.desk.changes(before, goal.admission) if before else None
            except SchemaChanged:
                changes = None
            if changes is not None:
                with self.desk.views.folders.connection() as con:
                    return _Content("changes", changes, last["version"], counted(con, changes))
        counts = {"inserted": goal.extract.rows, "updated": 0, "deleted": 0}
        return _Content("snapshot", goal.extract, None, counts)

    def _write(
        self, outbox: Outbox, goal: _Goal, content: _Content, package: str, number: int, files: list[Packed]
    ) -> None:
        """Write the package, read it back, show it, and say so; the grant is asked again before each file."""
        hidden = outbox.hidden(package)
        there = outbox.sizes(hidden)
        for file in files:
            self._still(outbox, goal, hidden)
            name = f"{hidden}/{file.name}"
            if there.get(file.name) != file.size or outbox.sha256(name) != file.sha256:
                outbox.put(name, file.path)
                self._require(outbox, name, file)
        statement, signature = self.sign(
            number=number,
            package=package,
            state=CURRENT,
            how=content.how,
            since=content.since,
            version=goal.extract.version,
            rewritten=goal.rewritten,
            policy=goal.policy,
            connection=self.task.connection,
            folder=self.task.folder,
            division=self.task.division,
            rows=goal.extract.rows,
            **content.counts,
            **self.described(goal.admission, goal.extract.columns),
            files=[[file.name, file.size, file.sha256] for file in files],
        )
        with TemporaryDirectory() as folder:
            receipt = self._receipt_files(Path(folder), statement, signature)
            for file in receipt:
                outbox.put(f"{hidden}/{file.name}", file.path)
                self._require(outbox, f"{hidden}/{file.name}", file)
        wanted = {file.name: file.size for file in [*files, *receipt]}
        for name in there.keys() - wanted.keys():
            outbox.remove(f"{hidden}/{name}")
        if outbox.sizes(hidden) != wanted:
            raise CitylakeError("deliver.files", name=self.name, file=package, folder=self.task.folder)
        self._still(outbox, goal, hidden)
        outbox.show(package)
        outbox.put_text(f"{package}{MARKER}", _envelope(CURRENT, statement, signature))
        outbox.put_text(POSITION, _envelope(CURRENT, statement, signature))
        outbox.remove(RECALL)
        self.keep()

    def _still(self, outbox: Outbox, goal: _Goal, hidden: str) -> None:
        """Raises as `ask_again` does; what was written then goes, because nothing covers it any more."""
        try:
            self.ask_again(goal.asked)
        except Exception:
            outbox.remove(hidden)
            raise

    def _require(self, outbox: Outbox, name: str, file: Packed) -> None:
        """Raises CitylakeError unless the store gives back just what was sent."""
        if outbox.sha256(name) != file.sha256:
            raise CitylakeError("deliver.files", name=self.name, file=file.name, folder=self.task.folder)

    def _receipt_files(self, folder: Path, statement: str, signature: str) -> list[Packed]:
        (folder / STATEMENT).write_text(statement, "utf-8")
        (folder / SIGNATURE).write_bytes(bytes.fromhex(signature))
        (folder / KEY).write_bytes(self.signer.public_key(Encoding.PEM))
        return described(sorted(folder.iterdir()))

    def _last(self, outbox: Outbox) -> dict[str, Any]:
        """What the last receipt says; one that the recipient has and we could not keep, because we were killed or our
        register is an older copy, counts too.

        Raises CitylakeError if somebody else delivers into the folder.
        """
        names = outbox.names()
        newest = self._kept()["number"]
        for name in (POSITION, *sorted(name for name in names if name.endswith(MARKER) and _number(name) > newest)):
            envelope = _opened(outbox.text(name) if name in names else None)
            number = _facts(envelope["statement"]).get("number") if envelope else None
            if envelope and isinstance(number, int) and number > newest:
                newest = number if self.recover(envelope["statement"], envelope["signature"]) else newest
        if any(name.endswith(MARKER) and _number(name) > newest for name in names):
            raise CitylakeError("deliver.not_our_folder", connection=self.task.connection, folder=self.task.folder)
        return self._kept()

    def _kept(self) -> dict[str, Any]:
        kept = self.receipts.last(Stage.DELIVERY, self.name)
        return {"number": 0, "state": "", **(json.loads(kept.body["statement"]) if kept else {})}

    def _rewritten(self, said: dict[str, Any]) -> bool:
        """Whether an erasure or the end of a period has changed, after this receipt, a version that it is about."""
        versions = {str(said[name]) for name in ("since", "version") if said.get(name) is not None}
        later = (row for row in self.desk.listing.ledger.rewritings() if row.sequence > said.get("rewritten", 0))
        return any(not versions.isdisjoint(row.body["releases"].get(self.product, ())) for row in later)

    def _half_ended(self, outbox: Outbox, last: dict[str, Any]) -> bool:
        """Whether a killed run had begun to end the delivery, so that packages that nobody took may be gone."""
        return self.task.when_ended == "empty" and last["state"] == CURRENT and RECALL in outbox.names()

    def _tidy(self, outbox: Outbox, last: dict[str, Any]) -> None:
        """Take away what a killed run left beside the last package, and say again where the delivery stands."""
        self._clear(outbox, last["number"] + 1)
        kept = self.receipts.last(Stage.DELIVERY, self.name)
        assert kept is not None
        told = _envelope(CURRENT, kept.body["statement"], kept.body["signature"])
        if outbox.text(POSITION) != told:
            outbox.put_text(POSITION, told)
        outbox.remove(RECALL)

    def _packages(self) -> list[dict[str, Any]]:
        """What the receipts of packages say."""
        kept = (json.loads(one.body["statement"]) for one in self.receipts.of_stage(Stage.DELIVERY, self.name, KEPT))
        return [said for said in kept if said.get("package")]

    def _outdated(self, outbox: Outbox, policy: str) -> tuple[list[str], bool]:
        """The packages that are still there and hold what was erased, ended or withdrawn since, or came by another
        policy; and whether all rows must come anew, because none that came after these replaces them."""
        there, packages = set(outbox.names()), self._packages()
        readable = self.desk.listing.readable_versions(self.product).keys()

        def out(said: dict[str, Any]) -> bool:
            held = {said[name] for name in ("since", "version") if said[name] is not None}
            closed = not held <= readable
            return closed or said["policy"] != policy or self._rewritten(said)

        found = [said for said in packages if said["package"] in there and out(said)]
        newest = max((said["number"] for said in found), default=0)
        later = (said for said in packages if said["how"] == "snapshot" and said["number"] > newest)
        return [said["package"] for said in found], bool(found) and all(map(out, later))

    def _torn(self, outbox: Outbox, last: dict[str, Any]) -> bool:
        """Whether the last package is still there and not what was delivered; what was taken away was received."""
        package = last.get("package")
        if package is None or f"{package}{MARKER}" not in outbox.names():
            return False
        there = outbox.sizes(package)
        return any(there.get(name, size) != size for name, size, _ in last["files"])

    def _clear(self, outbox: Outbox, number: int, package: str = "") -> bool:
        """Take away what killed runs left, but for the beginning of this package; whether there was anything."""
        left = [name for name in outbox.names() if _number(name) >= number]
        for name in left:
            if name != outbox.hidden(package):
                outbox.remove(name)
        return bool(left)

    def _stop(self, refused: Refused) -> None:
        """Nothing ends and nothing is told, but what was erased goes all the same. Raises the refusal, with the error
        behind it, if the store cannot be reached or refuses."""
        try:
            outbox = self._open()
            try:
                self._take_away(outbox, self._erased(outbox))
            finally:
                outbox.close()
        except CitylakeError as problem:
            raise refused from problem

    def _end(self, reason: Reason) -> Delivered | None:
        """Tell the recipient that the delivery ended; None if there never was one."""
        outbox = self._open()
        try:
            last = self._last(outbox)
            self.require_own()
            self._clear(outbox, last["number"] + 1)
            if last["number"] == 0:
                return None
            emptied = self.task.when_ended == "empty"
            if last["state"] != reason.value:
                self._recall(outbox, last["version"], reason)
            removed = self._empty(outbox) if emptied else self._take_away(outbox, self._erased(outbox))
            if last["state"] != reason.value:
                self._tell_end(outbox, last, reason, removed)
            return Delivered(self.name, "ended", None, 0 if emptied else last["rows"])
        finally:
            outbox.close()

    def _erased(self, outbox: Outbox) -> list[str]:
        """The packages that are still there and hold what was erased or ended: they go whatever else stays."""
        there = set(outbox.names())
        return [said["package"] for said in self._packages() if said["package"] in there and self._rewritten(said)]

    def _recall(self, outbox: Outbox, version: int, reason: Reason) -> None:
        """The notice for people, before anything else."""
        about = {"name": self.name, "recipient": self.recipient, "product": self.product, "version": version}
        texts = (
            translate("deliver.recall", language, **about, reason=translate(f"web.reason.{reason.value}", language))
            for language in ("zh", "en")
        )
        outbox.put_text(RECALL, "\n".join(texts) + "\n")

    def _tell_end(self, outbox: Outbox, last: dict[str, Any], reason: Reason, removed: Sequence[str]) -> None:
        statement, signature = self.sign(
            number=last["number"] + 1,
            state=reason.value,
            how="ended",
            told=translate(f"web.reason.{reason.value}", "zh"),
            version=last["version"],
            policy=last["policy"],
            connection=self.task.connection,
            folder=self.task.folder,
            division=self.task.division,
            rows=last["rows"],
            removed=list(removed),
        )
        outbox.put_text(POSITION, _envelope(reason.value, statement, signature))
        self.keep()

    def _empty(self, outbox: Outbox) -> list[str]:
        """Take away every package that is still there, its marker first."""
        ours = sorted((name for name in outbox.names() if _number(name)), key=lambda name: not name.endswith(MARKER))
        for name in ours:
            outbox.remove(name)
        return [name for name in ours if not name.endswith(MARKER)]


def _number(name: str) -> int:
    """The number of the package that a name belongs to, 0 for any other name."""
    found = _OURS.fullmatch(name)
    return int(found[1]) if found else 0


def _envelope(state: str, statement: str, signature: str) -> str:
    return json.dumps({"state": state, "statement": statement, "signature": signature}, ensure_ascii=False) + "\n"


def _opened(text: str | None) -> dict[str, str] | None:
    """What an envelope holds, None for anything else: the recipient may write there what it likes."""
    try:
        found = json.loads(text or "")
        return {name: str(found[name]) for name in ("statement", "signature")}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _facts(statement: str) -> dict[str, Any]:
    try:
        found = json.loads(statement)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
