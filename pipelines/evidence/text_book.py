"""An Excel book of two sheets, every cell text: what the list is, and the list.

Does not belong here: what is listed (`across_book`, `pipelines.release.failing_list`), who may have it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from pipelines.codecs import books
from pipelines.messages import translate

MOST_ROWS = 1_000_000
"""Of one sheet; Excel has room for 1,048,576."""
LONGEST = 32_767
"""Characters of a cell."""


def write(
    target: BinaryIO, about: str, titles: Sequence[str], rows: Iterable[Sequence[str | None]], scratch: Path
) -> None:
    """Write the book; there are no more rows than `MOST_ROWS`. `about`: lines of the first sheet."""
    book = books.streamed(target, scratch)
    try:
        first = book.add_worksheet(translate("across.sheet.about", "zh"))
        first.set_column(0, 0, 120)
        for number, line in enumerate(about.splitlines()):
            first.write_string(number, 0, line)
        sheet = book.add_worksheet(translate("across.sheet.rows", "zh"))
        plain, bold = book.add_format({"num_format": "@"}), book.add_format({"num_format": "@", "bold": True})
        sheet.set_column(0, len(titles), 22, plain)
        sheet.freeze_panes(1, 0)
        for place, name in enumerate(titles):
            sheet.write_string(0, place, name, bold)
        for number, row in enumerate(rows, 1):
            for place, text in enumerate(row):
                if text is not None:
                    sheet.write_string(number, place, text[:LONGEST], plain)
    finally:
        book.close()


def text(value: object) -> str | None:
    """A value as a cell says it."""
    if value is None:
        return None
    return f"{value:.10g}" if isinstance(value, float) else str(value)
