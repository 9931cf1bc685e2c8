"""What a delivery needs of a recipient's folder, whatever store it is in."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.connectors.stores.base import Store, StoreError
from pipelines.messages import CitylakeError

CHUNK = 1 << 20
PART = ".part"
"""The end of a name under which something is written before it appears."""


class Outbox(ABC):
    """One folder of one recipient. Names are those of files and packages (folders of files) in it, or `package/file`.

    Whoever owns the store may change it at any time. Every method raises CitylakeError that tells the connection and
    what went wrong.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store, self.folder = store, folder

    def close(self) -> None:
        """End the connection."""
        self._store.close()

    def hidden(self, package: str) -> str:
        """The name under which a package is written until `show`."""
        return f".{package}{PART}"

    @abstractmethod
    def names(self) -> list[str]:
        """The files and packages in the folder; empty where there is no folder yet."""

    @abstractmethod
    def sizes(self, package: str) -> dict[str, int]:
        """The plain files in a package and their bytes; empty where it is not there."""

    @abstractmethod
    def put(self, name: str, source: Path) -> None:
        """Write a file of a package, over the one of that name."""

    @abstractmethod
    def put_text(self, name: str, text: str) -> None:
        """Write a small file that appears, or changes, at one moment."""

    @abstractmethod
    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of a file."""

    @abstractmethod
    def show(self, package: str) -> None:
        """Let a package appear that was written under its hidden name."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Delete a file, or a package with all in it; nothing if it is not there."""

    def text(self, name: str) -> str | None:
        """A small file, None if it is not there, larger than a receipt or no text."""
        if name not in self.names():
            return None
        found = b""
        for piece in self.read(name):
            found += piece
            if len(found) > CHUNK:
                return None
        with suppress(UnicodeDecodeError):
            return found.decode()
        return None

    def sha256(self, name: str) -> str:
        """The SHA-256 of a file's bytes as the store gives them back."""
        hashed = hashlib.sha256()
        for piece in self.read(name):
            hashed.update(piece)
        return hashed.hexdigest()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Errors of stores as ours: theirs hold addresses and accounts."""
        try:
            yield
            return
        except StoreError as error:
            problem = error.problem
        except (OSError, EOFError) as error:
            problem = type(error).__name__
        about = {"connection": self._store.connection, "owner": self._store.owner, "folder": self.folder}
        raise CitylakeError("deliver.store", problem=problem, **about)
