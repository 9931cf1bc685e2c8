"""Lines of CSV cut into records, exactly: RFC 4180 as departments write it, and nothing guessed.

A field begins with a quote or has none that matters. What cannot be taken apart is a record of its own, without fields.
Which bytes the lines were, and what becomes of the records, does not belong here.
"""

import csv
from collections.abc import Callable
from typing import NamedTuple

LONGEST_FIELD = 10_000_000
"""Characters of a quoted field. A longer one is a quote that nobody closed."""


class Record(NamedTuple):
    """The fields of one record, None if it cannot be taken apart, and its text. A blank line is one empty field."""

    fields: list[str] | None
    text: str


class Cutter:
    """Takes lines (without line feeds), gives records. `broken(line)` is what to raise when from a line on nothing can
    be told apart: a quote left open, or closed lines later by something that may have been an opening one."""

    def __init__(self, delimiter: str, broken: Callable[[int], Exception]) -> None:
        csv.field_size_limit(LONGEST_FIELD)
        self.delimiter = delimiter
        self.broken = broken
        self.line = 0
        self.is_open = False
        """Whether the next line goes on with a quoted field."""
        self._start = 0
        self._texts: list[str] = []
        self._fields: list[str] = []
        self._part: list[str] = []
        self._size = 0
        self._damaged = False
        self._doubtful = False

    def feed(self, line: str, damaged: bool = False) -> Record | None:
        """The record that ends with this line; None while a quoted field goes on. `damaged`: bytes of the line were no
        text, so its record has no fields."""
        self.line += 1
        if not self.is_open:
            if '"' not in line:
                text = line.removesuffix("\r")
                return Record(None if damaged or "\r" in text else text.split(self.delimiter), text)
            if not damaged and not self._doubtful and (fields := self._usual(line)) is not None:
                return Record(fields, line.removesuffix("\r"))
            self._start, self._texts, self._fields, self._size, self._damaged = self.line, [], [], 0, False
        self._texts.append(line)
        self._damaged |= damaged
        whole = self._scan(line)
        if self.is_open:
            return None
        if not whole and len(self._texts) > 1:
            raise self.broken(self._start)
        self._doubtful |= not whole or damaged
        text = "\n".join(self._texts).removesuffix("\r")
        return Record(self._fields if whole and not self._damaged else None, text)

    def finish(self) -> None:
        """All lines were fed. Raises `broken` if a quote is still open."""
        if self.is_open:
            raise self.broken(self._start)

    def _usual(self, line: str) -> list[str] | None:
        """The fields of a record that is one well-formed line, which the standard library cuts faster."""
        try:
            return next(csv.reader((line,), delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None

    def _scan(self, line: str) -> bool:
        """Take the fields of a line, going on in an open one. False if a field's end is no end."""
        at = 0
        while True:
            if self.is_open:
                end = line.find('"', at)
                self._keep(line[at:] + "\n" if end < 0 else line[at:end])
                if end < 0:
                    return True
                at = end + 1
                if line.startswith('"', at):
                    self._keep('"')
                    at += 1
                    continue
                self.is_open = False
                self._fields.append("".join(self._part))
                if line[at:] in ("", "\r"):
                    return True
                if not line.startswith(self.delimiter, at):
                    return False
                at += 1
            if line.startswith('"', at):
                self.is_open, self._part = True, []
                at += 1
                continue
            end = line.find(self.delimiter, at)
            field = line[at:].removesuffix("\r") if end < 0 else line[at:end]
            # Once quotes were seen to be wrong, one inside a field may be the other end of an earlier one.
            if "\r" in field or (self._doubtful and '"' in field):
                return False
            self._fields.append(field)
            if end < 0:
                return True
            at = end + 1

    def _keep(self, part: str) -> None:
        self._part.append(part)
        self._size += len(part)
        if self._size > LONGEST_FIELD:
            raise self.broken(self._start)
