"""What the stations' data loggers keep until somebody has acknowledged it: messages by day, acknowledgements by client.

Only files; who is sent what over which connection belongs to `broker`, what the messages say to `air`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import quote

FOLDER = "air"
"""The folder of the outbox under the home."""


class Key(NamedTuple):
    """A message's place: the day it was handed to the loggers and its number on that day."""

    day: str
    number: int


class Message(NamedTuple):
    """A message as it will be published."""

    key: Key
    topic: str
    payload: bytes


class Outbox:
    """The loggers' memory under ``folder``: ``<day>.jsonl`` (topic and payload) and ``acknowledged/<client>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._receipts = folder / "acknowledged"

    def put(self, day: date, messages: Iterable[tuple[str, str]]) -> None:
        """Hand over a day's messages (topic, payload); does nothing when the day was handed over before."""
        file = self._folder / f"{day.isoformat()}.jsonl"
        if file.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in messages), "utf-8")
        fresh.replace(file)

    def days(self) -> list[str]:
        """The days that have messages, in order."""
        return sorted(file.stem for file in self._folder.glob("*.jsonl"))

    def messages(self, day: str) -> list[Message]:
        """A day's messages in the order in which they are to be published."""
        lines = (self._folder / f"{day}.jsonl").read_text("utf-8").split("\n")[:-1]
        entries = (json.loads(line) for line in lines)
        return [Message(Key(day, number), topic, body.encode()) for number, (topic, body) in enumerate(entries)]

    def acknowledged(self, client: str) -> set[Key]:
        """The messages a client has acknowledged."""
        file = self._receipt_of(client)
        if not file.exists():
            return set()
        # A line that a killed daemon left incomplete does not count: the message is sent again.
        lines = file.read_text().split("\n")[:-1]
        return {Key(day, int(number)) for day, _, number in (line.partition(" ") for line in lines)}

    def receipts(self, client: str) -> IO[str]:
        """The open file to which a client's acknowledgements are added, with ``receipt``."""
        self._receipts.mkdir(parents=True, exist_ok=True)
        return self._receipt_of(client).open("a", buffering=1)

    def _receipt_of(self, client: str) -> Path:
        return self._receipts / quote(client, safe="")


def receipt(key: Key) -> str:
    """One line of the file of acknowledgements."""
    return f"{key.day} {key.number}\n"
