"""The rows of a CSV file, exactly as `cutter` cuts them: what every faster way has to agree with.

Where the rows begin is found in `delimited`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.connectors.formats.cutter import Cutter, Record
from pipelines.connectors.formats.encodings import Damage, Known, blocks, check_damage
from pipelines.connectors.formats.notes import NoteRows
from pipelines.connectors.formats.table import LocalFile, Place


@dataclass(frozen=True)
class Layout:
    """How a file is laid out. `names`: of its columns; `widest`: fields of its header, which may end in empty ones;
    `offset`: where the rows begin, in bytes, after `lines` lines; `line_break`: how lines end; `plain`: the header is
    one line without quotes, and whether it ends in a carriage return too is `returned`."""

    encoding: Known
    delimiter: str
    line_break: bytes
    names: tuple[str, ...]
    widest: int
    offset: int
    lines: int
    plain: bool = False
    returned: bool = False


@dataclass
class CsvRows:
    """The rows below the header, as often as they are asked for."""

    file: LocalFile
    layout: Layout
    notes: NoteRows = field(default_factory=lambda: NoteRows(()))
    damage: Damage = field(default_factory=Damage)

    def cutter(self) -> Cutter:
        """One that counts the file's lines."""
        cutter = cutter_of(self.file, self.layout.delimiter)
        cutter.line = self.layout.lines
        return cutter

    def begin(self) -> None:
        """Nothing was read yet."""
        self.damage, self.notes.count = Damage(), 0

    def rows(self) -> Iterator[list[str]]:
        """Each row with a value for each name and one for UNREAD."""
        return (row for row, _ in self._placed())

    def places(self) -> Iterator[Place]:
        """The physical line on which each row begins."""
        return (Place(self.file.origin, "line", line) for _, line in self._placed())

    def _placed(self) -> Iterator[tuple[list[str], int]]:
        cutter = self.cutter()
        self.begin()
        for block in blocks(self.file, self.layout.encoding, self.layout.offset, self.damage, self.layout.line_break):
            for place, line in enumerate(block.lines):
                record = cutter.feed(line, place in block.damaged)
                if record is not None and (row := self.row(record)):
                    yield row, cutter.line - record.text.count("\n")
        cutter.finish()
        check_damage(self.file, self.layout.encoding, self.damage)

    def row(self, record: Record) -> list[str]:
        """A record as a row; empty for a blank line, and for one that is no data. A delimiter may end rows where it
        ends the header."""
        wanted = len(self.layout.names)
        fields, text = record
        if not text or (fields is not None and self.notes.has(fields)):
            return []
        if fields is None or not wanted <= len(fields) <= self.layout.widest or any(fields[wanted:]):
            return [*[""] * wanted, text]
        return [*fields[:wanted], ""]


def cutter_of(file: LocalFile, delimiter: str) -> Cutter:
    return Cutter(delimiter, lambda line: file.error("pull.csv_broken", line=line))
