"""A store that a department drops files into, and the source that takes them. Stores are in store_servers."""

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.messages import CitylakeError
from tests.connectors.store_servers import ACCESS, OLD, PASSWORD, SECRET, Backend

NAMES = ("id", "name")
HEADER = "id,name\n"


class Drop:
    """A store that a department writes to, and the source that takes what lies there."""

    def __init__(self, store: Backend, puller: Callable[..., Any]) -> None:
        self.store = store
        self.source = puller("file_drop", store.address, NAMES)

    def put(self, name: str, content: str | bytes, marker: bool = True, modified: float | None = None) -> str:
        """Put a file and perhaps its marker; returns its name."""
        self.store.put(name, content if isinstance(content, bytes) else content.encode(), modified)
        if marker:
            self.store.put(f"{name}.ok", b"")
        return name

    def put_rows(self, name: str, text: str, marker: bool = True, modified: float | None = OLD) -> None:
        """Put a file of NAMES that was written long ago."""
        self.put(name, HEADER + text, marker, modified)

    def pull(self, **arguments: Any) -> list[dict[str, Any]] | None:
        return self.source.pull(**{"files": "birth_*", "format": "csv"} | arguments)

    def ids(self, **arguments: Any) -> list[str] | None:
        rows = self.pull(**arguments)
        return None if rows is None else [row["id"] for row in rows]

    def refused(self, **arguments: Any) -> CitylakeError:
        """Why the next pull is refused; nothing of a secret is told."""
        with pytest.raises(CitylakeError) as caught:
            self.pull(**arguments)
        said = str(caught.value) + repr(caught.value.arguments)
        assert not [secret for secret in (PASSWORD, ACCESS, SECRET, "geheim") if secret in said]
        return caught.value
