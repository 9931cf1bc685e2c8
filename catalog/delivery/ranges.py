"""What part of a file a request asks for, read once: before the audit is told and before anything is sent.

By RFC 9110, 14: of HEAD, in another unit or malformed a Range is ignored and the whole file is the answer; so it is
where the file is another one by now (If-Range). Belongs here: that reading. Does not belong here: sending
(`downloads`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SET = re.compile(r"\s*bytes\s*=(.*)", re.ASCII | re.IGNORECASE)
_ONE = re.compile(r"[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII)
MOST = 100
"""Ranges of one request; whoever asks for more gets the whole."""
MOST_TOLD = 6
"""Ranges that the audit keeps by their numbers."""
LATER = 65_536
"""Bytes of a file behind which a part begins that continues another one. One that begins sooner is the file again."""


class NotSatisfiable(Exception):
    """No byte of the file is in what was asked for. `size`: of the file."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(size)


@dataclass(frozen=True)
class Asked:
    """Parts of a file of `size` bytes, `spans` from and to, the last byte included; None for the whole, none at all if
    no byte of it was asked for. `text`: what was asked, as the audit may keep it."""

    size: int
    spans: tuple[tuple[int, int], ...] | None = None
    text: str | None = None

    @property
    def header(self) -> str | None:
        """A Range that asks for just these parts, None for the whole."""
        return None if not self.spans else "bytes=" + ",".join(f"{first}-{last}" for first, last in self.spans)

    @property
    def said(self) -> dict[str, Any]:
        """What an audit body says of it: its range, whether the answer is the `whole` file all the same, or nearly so,
        and the status of an answer without a byte."""
        if self.spans is None:
            return {"range": None}
        if not self.spans:
            return {"range": self.text, "status": 416}
        again = len(self.spans) > 1 or self.spans[0][0] <= LATER
        return {"range": self.text, **({"whole": True} if again else {})}

    def require_bytes(self) -> None:
        """Raises NotSatisfiable if there is nothing to send."""
        if self.spans == ():
            raise NotSatisfiable(self.size)


def asked(method: str, headers: Mapping[str, str], size: int, etag: str) -> Asked:
    """What a request asks for of a file of `size` bytes."""
    found = _SET.fullmatch(headers.get("range", ""))
    if found is None or method != "GET" or headers.get("if-range", etag) != etag:
        return Asked(size)
    parts = [_ONE.fullmatch(part) for part in found[1].split(",")]
    numbers = [part.groups() for part in parts if part is not None and any(part.groups())]
    if len(numbers) < len(parts) or len(numbers) > MOST or any(_backwards(*pair) for pair in numbers):
        return Asked(size)
    spans = (_span(first, last, size) for first, last in numbers)
    text = "bytes=" + ",".join(f"{first}-{last}" for first, last in numbers) if len(numbers) <= MOST_TOLD else "other"
    return Asked(size, tuple(span for span in spans if span is not None), text)


def _backwards(first: str, last: str) -> bool:
    return bool(first and last) and int(last) < int(first)


def _span(first: str, last: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a part, None if it has none. Without a first it is the end of the file."""
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    return (start, end) if start <= end else None
