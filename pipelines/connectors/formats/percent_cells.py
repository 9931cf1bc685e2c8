"""Cells that show another number than they hold: a workbook keeps 0.125 of what everybody sees as 12.5%, and 12345 of
what the format `0!.0,` shows as 1.2, in 万.

Belongs here: which formats do that, the text of such a cell, and whether an old xls has any. Does not belong here: how
cells of an xlsx are found (`cell_errors`), or of an ods (`ods_cells`).
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation

Shown = Callable[[str], str | None]
"""From the number in a cell to the text that its format shows; None if that says no more than the number."""
NO_RESULT = "#NO_RESULT!"
"""The mark of a formula without a result, written as errors are, for people type texts that begin with = too. The rule
`cell_whole` refuses it."""
WIDEST = 15
"""Digits of a number that Excel keeps."""
BUILT_IN = ("9", "10")
"""The number formats 0% and 0.00%, which no part of a workbook spells out."""
_HIDDEN = re.compile(r'"[^"]*"|[\\!].|_.|\*.|\[[^\]]*\]')
"""What a number format shows as it stands, or does not show: quoted, escaped, filling signs; colours and conditions."""
_STYLES = re.compile(rb"(?:\xe0\0\x14\0.{20})+", re.DOTALL)
_STYLE = struct.Struct("<4xHH16x")
_NUMBER_FORMAT = re.compile(rb"\x1e\x04..(..)(..)([\0\x01])", re.DOTALL)
_NUMBERS = re.compile(rb"(?:\x03\x02\x0e\0|\x7e\x02\x0a\0|\x06\0..)(....)(..)", re.DOTALL)
_SEVERAL = re.compile(rb"\xbd\0(..)(....)", re.DOTALL)


def is_percent(code: str) -> bool:
    """Whether a number format shows percentages."""
    return "%" in _HIDDEN.sub("", code)


def percent(value: str) -> str | None:
    """The percentage that a number is, with all its digits; None if it is no number."""
    try:
        number = Decimal(repr(float(value))) * 100
        return f"{number.normalize():f}%" if number.is_finite() else None
    except (ValueError, InvalidOperation):
        return None


_THOUSANDTHS = re.compile(r"[0#?],+(?![0#?,])")
_PADDED = re.compile(r"(0{2,})(?:;.*)?")
"""A number format that gives zeros in front and nothing else."""


def padding(code: str) -> int:
    """To how many digits a number format fills up with zeros in front; 0: it does not."""
    found = _PADDED.fullmatch(code)
    return len(found[1]) if found else 0


def padded(width: int, value: str) -> str | None:
    """A whole number with zeros in front."""
    return value.zfill(width) if value.isascii() and value.isdigit() and len(value) <= WIDEST else None


def no_result(formula: str) -> str:
    """The text of a formula whose result nobody kept."""
    return f"{NO_RESULT}={formula}"


def is_scaled(code: str) -> bool:
    """Whether a number format shows thousandths of the number, or what a point set by hand makes of them."""
    return _THOUSANDTHS.search(_HIDDEN.sub("", code)) is not None


def scaled(code: str, value: str) -> str:
    """The text of a number that is shown so. It is no number: nobody can tell whether the number is meant or what
    people see."""
    return f"{value} [{code}]"


_REFUSED = {"format.cell_percent": is_percent, "format.cell_scaled": is_scaled, "format.cell_padded": padding}
"""Which formats an old workbook must not have, for nobody sees there what its cells show: the error, and its sign."""


def shown_by_xls(data: bytes) -> tuple[str, int, int] | None:
    """A cell of an old workbook that shows another number than it holds, if there is any: the error that says how, row
    and column from 0. Its records are looked for in the bytes."""
    formats = {int(code): "format.cell_percent" for code in BUILT_IN}
    for found in _NUMBER_FORMAT.finditer(data):
        (number,), (length,) = struct.unpack("<H", found[1]), struct.unpack("<H", found[2])
        wide = found[3] == b"\x01"
        text = data[found.end() : found.end() + length * (2 if wide else 1)]
        code = text.decode("utf-16-le" if wide else "latin-1", "replace")
        if error := next((error for error, told in _REFUSED.items() if told(code)), None):
            formats[number] = error
    styles = max(_STYLES.findall(data), key=len, default=b"")
    numbers = enumerate(number for _, number in _STYLE.iter_unpack(styles))
    shown = {place: formats[number] for place, number in numbers if number in formats}
    return next(_cells_in(data, shown), None) if shown else None


def _cells_in(data: bytes, styles: Mapping[int, str]) -> Iterator[tuple[str, int, int]]:
    """The cells with one of some styles, with what the style is known by: numbers and formulas, one to a record or
    several in a row."""
    for found in _NUMBERS.finditer(data):
        (style,) = struct.unpack("<H", found[2])
        if style in styles:
            row, column = struct.unpack("<HH", found[1])
            yield styles[style], row, column
    for found in _SEVERAL.finditer(data):
        (length,), (row, first) = struct.unpack("<H", found[1]), struct.unpack("<HH", found[2])
        count, rest = divmod(length - 6, 6)
        cells = data[found.end() : found.end() + 6 * max(count, 0) + 2]
        if rest or len(cells) != 6 * count + 2 or struct.unpack("<H", cells[-2:])[0] != first + count - 1:
            continue
        for place, (style, _) in enumerate(struct.iter_unpack("<HI", cells[:-2])):
            if style in styles:
                yield styles[style], row, first + place
