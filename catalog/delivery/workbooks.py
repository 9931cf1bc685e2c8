"""Downloads as XLSX: one sheet with the rows, one with the dictionary and the licence. Written row by row to disk.
Documents as XLSX: one sheet for each section.

Text stays text whatever it looks like: identifiers keep their zeros, and nothing is ever taken for a formula or a
link. Dates are dates; times are UTC. What a sheet cannot hold is refused, never cut.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from catalog.delivery.dictionary import Entry
from pipelines.codecs import books
from pipelines.documents.model import Bars, Cell, Chart, Document, Link, Paragraph, Section, Share, Table
from pipelines.messages import translate

MOST_ROWS = 200_000
"""A sheet has 1,048,576 rows, but offices stop opening such books in reasonable time long before."""
EXACT_DIGITS = 15
"""Spreadsheets keep no more digits of a number; longer ones are written as text."""
FIRST_DATE = date(1900, 3, 1)
"""Earlier dates are written as text: spreadsheets believe in a 29 February 1900."""
BATCH = 2_000

_LONGEST_NAME = 31
_NO_NAME = re.compile(r"[\[\]:*?/\\']")
"""What the name of a sheet may not have."""
_CUT = -2
"""What xlsxwriter answers when it cut a text to the 32,767 characters of a cell."""
_HEADINGS = {
    "column": "web.dictionary.column",
    "name_zh": "web.sheet.name_zh",
    "name_en": "web.sheet.name_en",
    "type": "web.dictionary.type",
    "level": "web.dictionary.level",
    "mask": "web.dictionary.mask",
    "unit": "web.sheet.unit",
    "standard": "web.sheet.standard",
    "codes": "web.dictionary.codes",
    "description": "web.dictionary.about",
    "purposes": "web.dictionary.purposes",
    "otherwise": "web.dictionary.otherwise",
}


class DoesNotFit(Exception):
    """The rows cannot be a sheet; other formats can hold them. `code` is a message id."""

    def __init__(self, code: str, **arguments: object) -> None:
        self.code = code
        self.arguments = arguments
        super().__init__(code)


@dataclass(frozen=True)
class About:
    """What the second sheet says: facts as pairs of message id and text, then the dictionary of the columns shown.

    `made` is when the version was released, so that the same version always gives the same file.
    """

    facts: Sequence[tuple[str, str]]
    entries: Sequence[Entry]
    made: datetime


def require_rows(rows: int) -> None:
    """Raises DoesNotFit for more rows than a sheet is made for."""
    if rows > MOST_ROWS:
        raise DoesNotFit("web.sheet.too_many_rows", rows=f"{rows:,}", most=f"{MOST_ROWS:,}")


def write(con: duckdb.DuckDBPyConnection, query: str, target: Path, about: About) -> None:
    """Write the rows of a query as a book. Raises DoesNotFit for a text that no cell can hold."""
    book = books.streamed(str(target), target.parent)
    book.set_properties({"created": about.made.astimezone(UTC).replace(tzinfo=None)})
    try:
        _write_rows(book, con.execute(query))
        _write_about(book, about)
    finally:
        book.close()


def write_document(document: Document, target: Path) -> None:
    """Write a document as a book: its front, then one sheet for each section; shares are numbers to count with."""
    book = Workbook(str(target), books.OPTIONS)
    book.set_properties({"title": document.title, "created": document.at.astimezone(UTC).replace(tzinfo=None)})
    styles = _Styles(book)
    try:
        front = book.add_worksheet(translate("web.sheet.about", document.language))
        front.set_column(0, 0, 18)
        front.set_column(1, 1, 90, styles.wrapped)
        front.write_string(0, 0, document.title, styles.heading)
        front.write_string(1, 0, document.subtitle)
        for row, (label, text) in enumerate([*document.facts, ("", document.running)], 3):
            front.write_string(row, 0, label, styles.heading)
            front.write_string(row, 1, text)
        for number, section in enumerate(document.sections, 1):
            _write_section(book, styles, f"{number} {_NO_NAME.sub(' ', section.title)}"[:_LONGEST_NAME], section)
    finally:
        book.close()


def _write_section(book: Workbook, styles: "_Styles", name: str, section: Section) -> None:
    sheet, row = book.add_worksheet(name), 0
    sheet.set_column(0, 0, 32, styles.wrapped)
    sheet.set_column(1, 8, 18, styles.wrapped)
    for block in section.blocks:
        if isinstance(block, Paragraph):
            sheet.write_string(row, 0, block.text, styles.running)
            row += 1
            continue
        sheet.write_string(row, 0, block.caption, styles.running)
        headings, rows = _as_rows(block)
        for place, heading in enumerate(headings):
            sheet.write_string(row + 1, place, heading, styles.heading)
        first, row = row + 2 if headings else row + 1, row + (2 if headings else 1)
        for values in rows:
            for place, value in enumerate(values):
                if isinstance(value, Share):
                    sheet.write_number(row, place, value.part, styles.share)
                elif isinstance(value, Link):
                    sheet.write_url(row, place, value.address, string=value.text)
                else:
                    _write_value(sheet, row, place, value, styles, section.title)
            row += 1
        if isinstance(block, Chart) and rows:
            _draw(book, sheet, name, block, first, row)
        row += 1


def _as_rows(block: Table | Chart | Bars) -> tuple[list[str], list[Sequence[Cell]]]:
    """Headings and rows of a block; what is drawn elsewhere is told in numbers."""
    if isinstance(block, Table):
        return [column.heading for column in block.columns], list(block.rows)
    if isinstance(block, Chart):
        return [], [(label, None if part is None else Share(part)) for label, part in block.points]
    return [], [(label, None if part is None else Share(part), said) for label, part, said in block.bars]


def _draw(book: Workbook, sheet: Worksheet, name: str, chart: Chart, first: int, end: int) -> None:
    line = book.add_chart({"type": "line"})
    labels, values = [name, first, 0, end - 1, 0], [name, first, 1, end - 1, 1]
    line.add_series({"categories": labels, "values": values, "marker": {"type": "circle", "size": 4}})
    line.set_y_axis({"min": chart.floor, "max": 1, "num_format": "0%" if chart.floor < 0.98 else "0.0%"})
    line.set_legend({"none": True})
    sheet.insert_chart(first, 3, line)


def _write_rows(book: Workbook, result: duckdb.DuckDBPyConnection) -> None:
    sheet = book.add_worksheet(translate("web.sheet.data", "zh"))
    names = [column[0] for column in result.description]
    styles = _Styles(book)
    sheet.set_column(0, max(0, len(names) - 1), 18)
    sheet.freeze_panes(1, 0)
    for place, name in enumerate(names):
        sheet.write_string(0, place, name, styles.heading)
    row = 0
    while rows := result.fetchmany(BATCH):
        for values in rows:
            row += 1
            for place, value in enumerate(values):
                _write_value(sheet, row, place, value, styles, names[place])


def _write_about(book: Workbook, about: About) -> None:
    sheet, styles = book.add_worksheet(translate("web.sheet.about", "zh")), _Styles(book)
    sheet.set_column(0, len(_HEADINGS) - 1, 22)
    for row, (code, text) in enumerate(about.facts):
        sheet.write_string(row, 0, _both(code), styles.heading)
        sheet.write_string(row, 1, text)
    first = len(about.facts) + 1
    for place, field in enumerate(fields(Entry)):
        sheet.write_string(first, place, _both(_HEADINGS[field.name]), styles.heading)
    for row, entry in enumerate(about.entries, start=first + 1):
        for place, value in enumerate(astuple(entry)):
            _write_value(sheet, row, place, value, styles, _HEADINGS["description"])


class _Styles:
    """The formats of one book."""

    def __init__(self, book: Workbook) -> None:
        self.heading: Format = book.add_format({"bold": True})
        self.day: Format = book.add_format({"num_format": "yyyy-mm-dd"})
        self.share: Format = book.add_format({"num_format": "0.00%"})
        self.wrapped: Format = book.add_format({"text_wrap": True, "valign": "top"})
        self.running: Format = book.add_format({"text_wrap": False})
        self.moment: Format = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})


def _write_value(sheet: Worksheet, row: int, place: int, value: Any, styles: _Styles, column: str) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, place, value)
    elif isinstance(value, int | float | Decimal) and _is_exact(value):
        sheet.write_number(row, place, value)
    elif isinstance(value, datetime) and value.date() >= FIRST_DATE:
        utc = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        sheet.write_datetime(row, place, utc, styles.moment)
    elif isinstance(value, date) and not isinstance(value, datetime) and value >= FIRST_DATE:
        sheet.write_datetime(row, place, value, styles.day)
    elif sheet.write_string(row, place, str(value)) == _CUT:
        raise DoesNotFit("web.sheet.long_text", column=column)


def _is_exact(value: int | float | Decimal) -> bool:
    if isinstance(value, Decimal):
        return len(value.as_tuple().digits) <= EXACT_DIGITS
    return math.isfinite(value) and (isinstance(value, float) or abs(value) < 10**EXACT_DIGITS)


def _both(code: str) -> str:
    """A text in both languages: a file has readers of either."""
    return f"{translate(code, 'zh')} / {translate(code, 'en')}"
