"""Format `csv`: its header found, its rows cut. Clean files go through DuckDB in `fast_csv`, with the same result.

Bytes become text in `encodings`, lines become records in `cutter`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from pipelines.connectors.base import Delimiter, Encoding, header_names, listed
from pipelines.connectors.formats import fast_csv
from pipelines.connectors.formats.csv_rows import CsvRows, Layout, cutter_of
from pipelines.connectors.formats.cutter import Record
from pipelines.connectors.formats.encodings import (
    BOM,
    Known,
    byte_blocks,
    decoded,
    fitting,
    known_encoding,
    not_encoded,
    shown,
)
from pipelines.connectors.formats.notes import NoteRows, Notes
from pipelines.connectors.formats.table import FormatAbout, LocalFile, Table, formats
from pipelines.messages import CitylakeError

HeaderRow = Annotated[int, Field(ge=1)] | Literal["auto"]
"""The number of the header among the rows, from 1; `auto`: the first row that has all expected names."""
LOOK = 100
"""Rows in which a header is looked for."""
DELIMITERS = (",", ";", "|", "\t")


@formats.register(FormatAbout(cells=True))
def csv(
    file: LocalFile,
    *,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = ",",
    header_row: HeaderRow = 1,
    notes: Notes | None = None,
) -> Table:
    """Delimited text. A row that is damaged, or of too few or too many fields, has only its text, in UNREAD. Rows whose
    first filled field is one of `notes`, as in a workbook, are no data, however many fields they have.

    Raises CitylakeError for an encoding that is plainly another, quotes that leave rows untold, an unusable header,
    while the rows are read too.
    """
    known = known_encoding(file, encoding)
    layout = _layout(file, known, delimiter, header_row)
    rows = CsvRows(file, layout, NoteRows(notes or (), layout.delimiter))
    return Table(layout.names, lambda request: fast_csv.write(rows, request), rows.places, lambda: rows.notes.count)


def _layout(file: LocalFile, encoding: Known, delimiter: Delimiter, header_row: HeaderRow) -> Layout:
    """Where the header is. Of the delimiters that `auto` tries, the one that gives all expected names, else most."""
    line_break = _line_break(file)
    if delimiter != "auto":
        return _header(file, encoding, delimiter, line_break, header_row)
    found: list[Layout] = []
    refused: CitylakeError | None = None
    for one in DELIMITERS:
        try:
            found.append(_header(file, encoding, one, line_break, header_row))
        except CitylakeError as error:
            refused = refused or error
    if not found:
        raise refused or file.error("pull.no_header")
    return max(found, key=lambda layout: (set(file.request.expected) <= set(layout.names), len(layout.names)))


def _line_break(file: LocalFile) -> bytes:
    """A line feed, unless the file begins with carriage returns alone, as old programs end lines."""
    start = next(byte_blocks(file), b"")
    return b"\n" if b"\n" in start or b"\r" not in start else b"\r"


def _header(file: LocalFile, encoding: Known, delimiter: str, line_break: bytes, header_row: HeaderRow) -> Layout:
    """The layout by a header stated or found. Raises CitylakeError if there is none or it cannot be used."""
    expected = set(file.request.expected)
    limit = LOOK if header_row == "auto" else header_row
    layout = Layout(encoding, delimiter, line_break, (), 0, 0, 0)
    row = 0
    damaged = False
    for record, lines, offset, returned in _records(file, layout):
        row += 1
        damaged = damaged or record.fields is None
        names = [name.strip() for name in record.fields or []]
        if header_row == row or (header_row == "auto" and expected <= set(names)):
            if record.fields is None:
                raise not_encoded(file, encoding, fitting(file))
            header = header_names(list(names), file.origin, file.request.owner)
            plain = lines == 1 and '"' not in record.text
            found = replace(layout, names=header, widest=len(names), offset=offset, lines=lines)
            return replace(found, plain=plain, returned=returned)
        if row == limit:
            break
    if damaged and fitting(file) not in (encoding, None):
        raise not_encoded(file, encoding, fitting(file))
    if header_row == "auto" and row:
        raise file.error("format.header_not_found", rows=row, names=listed(sorted(expected)))
    raise file.error("pull.no_header")


def _records(file: LocalFile, layout: Layout) -> Iterator[tuple[Record, int, int, bool]]:
    """The records from the file's beginning, each with the lines and bytes up to its end, and whether a carriage return
    ended it."""
    cutter = cutter_of(file, layout.delimiter)
    offset = 0
    for data in byte_blocks(file, 0, layout.line_break):
        for line in data.removesuffix(layout.line_break).split(layout.line_break):
            first = not offset
            offset += len(line) + len(layout.line_break)
            try:
                text, damaged = decoded(line, layout.encoding), False
            except UnicodeDecodeError:
                text, damaged = shown(line, layout.encoding), True
            record = cutter.feed(text.removeprefix(BOM) if first else text, damaged)
            if record is not None:
                yield record, cutter.line, offset, text.endswith("\r")
    cutter.finish()
