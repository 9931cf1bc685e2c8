"""What a store is: it lists files and fetches them. Nothing here or in its kinds decides which are to be taken."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from types import TracebackType
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pipelines.messages import CitylakeError

MARKER = ".ok"
COARSE = 2.0
"""Seconds: times in full seconds, and clocks a little apart."""


class StoreError(Exception):
    """A store did not do what was asked. `problem` is for a message: it holds no part of an address or an account."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


@dataclass(frozen=True)
class StoredFile:
    """A file as a listing shows it. `modified`: seconds since 1970 by the store's clock; `age`: seconds for which
    nothing changed, as far as can be told; `looks`: equal as long as the content is, empty where none can tell."""

    name: str
    size: int
    modified: float
    age: float
    looks: str


def coarse_looks(size: int, modified: float) -> str:
    """The looks of a file whose time is told in seconds: another may come within the one in which it was listed."""
    return f"{size}-{modified:.0f}" if abs(time.time() - modified) > COARSE else ""


class Store(ABC):
    """One folder of one store; a context manager. A listing is made once, at the first question."""

    certain = False
    """Whether `age` can be believed: the clock is ours, or no file is ever seen half-written."""

    def __init__(self, address: str, connection: str, owner: str) -> None:
        self.connection, self.owner = connection, owner
        self.parts: SplitResult = urlsplit(address)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 (a folder has nothing to close)
        """End the connection."""

    @abstractmethod
    def entries(self) -> list[StoredFile]:
        """Every plain file directly in the folder; links are none. Raises StoreError or CitylakeError."""

    @abstractmethod
    def fetch(self, file: StoredFile, target: Path) -> None:
        """Copy a file to this disk. Raises StoreError."""

    def changed(self, marks: Mapping[str, str]) -> str | None:
        """The name of a file that is not any more what was listed and fetched; None when all are. `marks`: their
        SHA-256 by name. Asks for one listing more. Raises StoreError."""
        now = {file.name: (file.size, file.modified) for file in self.entries()}
        files = (self.listed[name] for name in marks)
        return next((file.name for file in files if now.get(file.name) != (file.size, file.modified)), None)

    @cached_property
    def listed(self) -> dict[str, StoredFile]:
        """The entries by name. Names that could lead out of a folder are nobody's honest names, and none here."""
        found = self.entries()
        return {file.name: file for file in found if not (file.name.startswith(".") or set(file.name) & set("/\\\0"))}

    def files(self, pattern: str) -> list[StoredFile]:
        """The files whose names match, in order of their names; markers of others are none. Raises CitylakeError for a
        name among them that is no text."""
        found = [file for name, file in sorted(self.listed.items()) if fnmatchcase(name, pattern)]
        for file in found:
            raw = os.fsencode(file.name)
            if raw.decode(errors="replace") != file.name:
                folder = unquote(self.parts.path).rstrip("/").rpartition("/")[2]
                raise CitylakeError("pull.file_name", folder=folder, file=raw.decode("gb18030", "replace"))
        return [file for file in found if not (file.name.endswith(MARKER) and file.name[: -len(MARKER)] in self.listed)]

    def marked(self, file: StoredFile) -> bool:
        """Whether the marker is there and is this file's: one that is older was that of the file before."""
        marker = self.listed.get(file.name + MARKER)
        return marker is not None and marker.modified >= file.modified

    def option(self, name: str) -> list[str]:
        """The values of an option in the connection string."""
        return parse_qs(self.parts.query).get(name, [])

    def error(self, code: str, **about: object) -> CitylakeError:
        """An error about this store."""
        return CitylakeError(code, connection=self.connection, owner=self.owner, **about)
