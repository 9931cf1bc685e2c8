"""Pulling as the engine does: again and again, each pull told where the last one ended."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.connectors import http
from pipelines.connectors.base import UNREAD, Cursor, Pulled, Request, connectors
from tests.connectors.rest_interface import Interface

OWNER = "市生态环境局"


class Puller:
    """One source: its connection string, and what the pulls so far returned."""

    def __init__(
        self, folder: Path, verb: str, secret: str, expected: Sequence[str], cursor: Cursor | None = None
    ) -> None:
        self.folder, self.verb, self.secret, self.cursor = folder, verb, secret, cursor
        self.expected = tuple(expected)
        self.position: dict[str, Any] = {}
        self.pulled: Pulled | None = None
        self.count = 0
        self.kept: Path | None = None
        self.made_up = False

    def request(self) -> Request:
        self.count += 1
        target = self.folder / str(self.count) / "rows.parquet"
        target.parent.mkdir(parents=True)
        return Request(
            target=target,
            root=self.folder,
            secret=lambda _: self.secret,
            owner=OWNER,
            expected=self.expected,
            ignored=(),
            scratch=self.folder / "scratch",
            position=self.position,
            cursor=self.cursor,
            spool=self.folder / "spool",
            previous=lambda: self.kept,
            made_up=self.made_up,
        )

    def pull(
        self, keep: bool = True, columns: list[str] | None = None, **arguments: Any
    ) -> list[dict[str, Any]] | None:
        """The rows of the next pull, None when there is nothing new. `keep`: the register learns of it."""
        request = self.request()
        self.pulled = connectors[self.verb].function(request, connection="source", **arguments)
        if self.pulled is None:
            return None
        if keep:
            self.position = json.loads(json.dumps(dict(self.pulled.position)))
            self.kept = request.target
        rows = pl.read_parquet(request.target, columns=columns).to_dicts()
        assert self.pulled.rows == len(rows)
        assert UNREAD not in self.pulled.columns
        return rows

    @property
    def batch(self) -> Path:
        """The folder of the last pull."""
        return self.folder / str(self.count)


@pytest.fixture
def puller(tmp_path: Path) -> Iterator[Callable[..., Puller]]:
    def make(verb: str, secret: str, expected: Sequence[str], cursor: Cursor | None = None) -> Puller:
        return Puller(tmp_path / "pulls", verb, secret, expected, cursor)

    yield make


@pytest.fixture
def interface(puller: Callable[..., Puller], monkeypatch: pytest.MonkeyPatch) -> Iterator[Interface]:
    """An interface that holds eight records; what fails is asked again at once."""
    monkeypatch.setattr(http, "PAUSE", 0.001)
    found = Interface(puller)
    yield found
    found.server.stop()
