"""Pages that arrived and are not in raw yet: durable, so that a pull which was broken off or killed goes on from there.

A spool is one file of gzip members, one JSON object each on a line of its own: how the source is asked, then one page
after the other. A member that a kill cut off is dropped. What a page means does not belong here.
"""

import gzip
import json
import os
import secrets
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.lake.parquet import make_durable

ENDING = ".ndjson.gz"
BLOCK = 1 << 20


@dataclass(frozen=True)
class Page:
    """One page. `asked`: what told it from the others, `following`: what tells the next one, None at the end; `count`
    of records that are new in it, the total stated, the keys of those that are objects, whether all is `plain`
    Unicode; the `body` as received, None if the server said that there is no such page.
    """

    asked: dict[str, Any]
    following: dict[str, Any] | None
    count: int
    total: int | None
    names: list[str]
    plain: bool
    body: str | None


class Spool:
    """The spool of one source in `folder`, which holds at most one file. `id` names it, also for the register."""

    def __init__(self, folder: Path, kept: str | None) -> None:
        """`kept`: the id of the one whose rows are in raw; it is removed."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.id = ""
        self.resumed = False
        if kept:
            (folder / f"{kept}{ENDING}").unlink(missing_ok=True)

    @property
    def file(self) -> Path:
        """Where the pages are."""
        return self.folder / f"{self.id}{ENDING}"

    def open(self, question: dict[str, Any], seconds: float) -> None:
        """Go on with what is there if it was asked the same way at most `seconds` ago, else begin anew."""
        for file in sorted(self.folder.glob(f"*{ENDING}")):
            found = self._head(file)
            if found and found["question"] == question and 0 <= time.time() - found["started"] <= seconds:
                self.id, self.resumed = file.name.removesuffix(ENDING), True
                self._cut()
                return
        self.begin(question)

    def begin(self, question: dict[str, Any]) -> None:
        """Begin anew."""
        self.drop()
        self.id, self.resumed = f"{time.time_ns():020d}-{secrets.token_hex(4)}", False
        self._add({"question": question, "started": time.time()})
        make_durable([], self.folder)

    def drop(self) -> None:
        """Forget all pages."""
        for file in self.folder.glob(f"*{ENDING}"):
            file.unlink()

    def add(self, page: Page) -> None:
        """Keep a page; durable when this returns."""
        self._add(asdict(page))

    def pages(self) -> Iterator[Page]:
        """The pages, in the order in which they came."""
        members = (member for member, _ in _members(self.file))
        next(members)
        yield from (Page(**json.loads(member)) for member in members)

    def _add(self, value: dict[str, Any]) -> None:
        with self.file.open("ab") as file:
            file.write(gzip.compress(json.dumps(value).encode() + b"\n", 1))
            file.flush()
            os.fsync(file.fileno())

    def _cut(self) -> None:
        """Drop what follows the last whole member."""
        end = max(end for _, end in _members(self.file))
        os.truncate(self.file, end)

    @staticmethod
    def _head(file: Path) -> dict[str, Any] | None:
        member, _ = next(_members(file), (None, 0))
        return None if member is None else dict(json.loads(member))


def _members(path: Path) -> Iterator[tuple[bytes, int]]:
    """The whole members of a file from its start, each with the offset of its end."""
    with path.open("rb") as file:
        end, rest = 0, b""
        while True:
            unpack, parts = zlib.decompressobj(wbits=31), list[bytes]()
            while not unpack.eof:
                data = rest or file.read(BLOCK)
                if not data:
                    return
                try:
                    parts.append(unpack.decompress(data))
                except zlib.error:
                    return  # a disk that lost its last blocks may hold anything there
                rest = b""
                end += len(data)
            rest = unpack.unused_data
            end -= len(rest)
            yield b"".join(parts), end
