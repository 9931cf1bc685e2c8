"""Excel books in which a text stays the text it is, whatever it looks like: a number, a formula, a link, formatting.

Belongs here: how xlsxwriter is told so. Does not belong here: what stands in a book, which its writers know.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

OPTIONS: Final = {"strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}


class _Sheet(Worksheet):  # type: ignore[misc]
    """A sheet without formatting inside of cells."""

    def _xml_rich_inline_string(self, string: str, attributes: Sequence[tuple[str, object]] = ()) -> None:
        """A text that begins with `<r>` and ends with `</r>`: xlsxwriter takes it for XML of its own, and writes it as
        it is."""
        self._xml_inline_string(string, False, attributes)


def streamed(target: BinaryIO | str, scratch: Path) -> Workbook:
    """A book that is written row by row, with its sheets below `scratch` until it is closed."""
    book = Workbook(target, {**OPTIONS, "constant_memory": True, "tmpdir": str(scratch)})
    book.worksheet_class = _Sheet
    return book
