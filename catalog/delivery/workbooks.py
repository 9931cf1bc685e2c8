"""Downloads as XLSX: one sheet with the rows, one with the dictionary and the licence. Written row by row to disk.

Text stays text whatever it looks like: identifiers keep their zeros, and nothing is ever taken for a formula or a
link. Dates are dates; times are UTC. What a sheet cannot hold is refused, never cut.
"""

import math
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
from pipelines.messages import translate

MOST_ROWS = 200_000
"""A sheet has 1,048,576 rows, but offices stop opening such books in reasonable time long before."""
EXACT_DIGITS = 15
"""Spreadsheets keep no more digits of a number; longer ones are written as text."""
FIRST_DATE = date(1900, 3, 1)
"""Earlier dates are written as text: spreadsheets believe in a 29 February 1900."""
BATCH = 2_000

_CUT = -2
"""What xlsxwriter answers when it cut a text to the 32,767 characters of a cell."""
_OPTIONS = {
    "constant_memory": True,
    "strings_to_numbers": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
}
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
    book = Workbook(str(target), {**_OPTIONS, "tmpdir": str(target.parent)})
    book.set_properties({"created": about.made.astimezone(UTC).replace(tzinfo=None)})
    try:
        _write_rows(book, con.execute(query))
        _write_about(book, about)
    finally:
        book.close()


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
