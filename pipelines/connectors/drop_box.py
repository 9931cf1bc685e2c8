"""Which files of a store a pull takes: the complete ones that were not taken before, told by name, looks and content.

What is known of earlier pulls comes with the position, and of files that were gone in between from the receipts. What
is only worth not doing twice (a look at a file that was still young, a file that was touched and is the same) is noted
in the source's spool and may be lost.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pipelines.connectors.base import Request
from pipelines.connectors.stores import Store, StoredFile
from pipelines.lake.parquet import sha256

STABLE_SECONDS = 30
NOTES = "looks.json"

Complete = Literal["marker", "stable"]
Looks = Mapping[str, tuple[str, float]]


def waiting(store: Store, pattern: str, complete: Complete, earlier: Looks | None = None) -> list[StoredFile]:
    """The complete files that match a pattern, in order of their names.

    `earlier`: how files looked when they were first seen so, and when, by name. Where a store's clock is not ours, a
    file that still looks as it did STABLE_SECONDS ago is complete too, whatever its time says. Raises StoreError.
    """
    found = store.files(pattern)
    if complete == "marker":
        return [file for file in found if store.marked(file)]
    return [file for file in found if file.age >= STABLE_SECONDS or _seen(file, earlier or {})]


def _seen(file: StoredFile, earlier: Looks) -> bool:
    looks, since = earlier.get(file.name, ("", 0.0))
    return looks == file.looks != "" and time.time() - since >= STABLE_SECONDS


class DropBox:
    """The files of one store that one source takes. `taken`: of every file that was, by name, hash and looks."""

    def __init__(self, store: Store, request: Request, pattern: str, complete: Complete) -> None:
        self.store, self.pattern = store, pattern
        self.taken: dict[str, Mapping[str, str]] = dict(request.position.get("files", {}))
        self._request, self._known = request, dict[str, str]()
        self._scratch, self._notes = request.scratch, request.spool / NOTES
        notes = self._noted()
        self._same: dict[str, str] = notes["same"]
        young = {name: (looks, since) for name, (looks, since) in notes["young"].items()}
        self.files = waiting(store, pattern, complete, young)
        if complete == "stable" and not store.certain:
            self._note_young(young)
        if complete == "marker":
            self._tell_unmarked()

    def _tell_unmarked(self) -> None:
        """Tell of new files that wait for their markers; a marker may be taken away behind a file that was taken."""
        ready = {file.name for file in self.files}
        for file in self.store.files(self.pattern):
            taken = self.taken.get(file.name)
            known = taken["looks"] == file.looks if taken else file.name in self._known_files()
            if file.name not in ready and not known:
                self._request.unmarked(file.name, file.age)

    def fresh(self) -> Iterator[StoredFile]:
        """The complete files that were not taken. Raises StoreError."""
        return (file for file in self.files if self._is_new(file))

    def position(self, marks: Mapping[str, str]) -> dict[str, Any]:
        """The position after taking files. `marks`: their SHA-256 by name."""
        listed = self.store.listed
        now = {name: {"sha256": mark, "looks": listed[name].looks} for name, mark in marks.items()}
        there = {file.name for file in self.store.files(self.pattern)}
        return {"files": {name: one for name, one in {**self.taken, **now}.items() if name in there}}

    def _is_new(self, file: StoredFile) -> bool:
        """Whether a file is not the one that was taken under its name. Fetches it only if it looks different."""
        taken = self.taken.get(file.name, {})
        mark = taken.get("sha256") or self._known_files().get(file.name)
        if mark is None:
            return True
        if file.looks and file.looks in (taken.get("looks"), self._same.get(file.name)):
            return False
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="drop-", dir=self._scratch) as folder:
            copy = Path(folder) / "copy"
            self.store.fetch(file, copy)
            if sha256(copy) != mark:
                return True
        if not taken and file.name not in self._same:
            self._request.again(file.name)
        self._same = {name: looks for name, looks in self._same.items() if name in self.store.listed}
        self._same[file.name] = file.looks
        self._write(same=self._same)
        return False

    def _known_files(self) -> Mapping[str, str]:
        """The SHA-256 of what was taken last under each name; asked for only if something lies there that is new."""
        self._known = self._known or dict(self._request.known())
        return self._known

    def _note_young(self, before: Looks) -> None:
        """Note how files look that are not complete yet, and since when."""
        ready, now = {file.name for file in self.files}, time.time()
        young = {}
        for file in self.store.files(self.pattern):
            if file.name not in ready:
                looks, since = before.get(file.name, ("", now))
                young[file.name] = (file.looks, since if looks == file.looks else now)
        kept = {name: seen for name, seen in before.items() if name in ready}  # until taken: a pull may fail
        self._write(young={**kept, **young})

    def _noted(self) -> dict[str, Any]:
        try:
            found = json.loads(self._notes.read_text("utf-8"))
        except (OSError, ValueError):
            found = {}
        return {"same": {}, "young": {}, **found}

    def _write(self, **changed: Any) -> None:
        before = self._noted()
        notes = {**before, **changed}
        if notes == before:
            return
        self._notes.parent.mkdir(parents=True, exist_ok=True)
        partial = self._notes.with_name(f"{NOTES}.partial")
        partial.write_text(json.dumps(notes, ensure_ascii=False), "utf-8")
        os.replace(partial, self._notes)
