"""What cells of an ods show that calamine does not tell: errors and formulas without a result, which it gives as empty;
tabs and breaks within a text, which it leaves out; percentages; what only a format shows (zeros in front, thousandths);
and which cells are merged.

Does not belong here: how the text of such a number is written (`percent_cells`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import NamedTuple
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring, iterparse

from pipelines.connectors.formats.percent_cells import Shown, no_result, padded, percent, scaled

Cell = tuple[int, int]
"""Row and column in the sheet, from 0."""
Texts = Mapping[int, Mapping[int, str]]
"""By row and column from 0; rows that are repeated share what they show."""
_SPACES = ("office", "table", "text", "style", "datastyle")
_OFFICE, _TABLE, _TEXT, _STYLE, _NUMBER = (f"{{urn:oasis:names:tc:opendocument:xmlns:{one}:1.0}}" for one in _SPACES)
_MOST = 2**20
"""Rows of a sheet, and how often one is repeated at most."""
_CALC_ERROR = re.compile(r"Err:[0-9]+")
"""How LibreOffice shows errors that Excel has not."""
_ERROR = re.compile(r"#[A-Z/0?]+[!?A]?")


class Cells(NamedTuple):
    """The text of every cell of a sheet that shows other than what calamine gives, and the first and last cell of each
    merged range."""

    texts: Texts
    merged: Sequence[tuple[Cell, Cell]] = ()


def cells_of_ods(content: bytes, styles: bytes, number: int) -> Cells:
    """The cells of the sheet with that number, from the parts content.xml and styles.xml (empty: none)."""
    common = [fromstring(styles)] if styles else []
    formats, columns = _formats(common), list[tuple[int, str]]()
    texts = dict[int, dict[int, str]]()
    merged: list[tuple[Cell, Cell]] = []
    sheet, row = -1, 0
    for event, one in iterparse(BytesIO(content), ("start", "end")):
        if event == "start":
            sheet += one.tag == f"{_TABLE}table"
        elif one.tag == f"{_OFFICE}automatic-styles":
            formats = _formats([one, *common])
        elif one.tag == f"{_TABLE}table-column" and sheet == number:
            end = (columns[-1][0] if columns else 0) + _repeated(one, "columns")
            columns.append((end, one.get(f"{_TABLE}default-cell-style-name", "")))
        elif one.tag == f"{_TABLE}table-row":
            if sheet == number:
                lines, line = _repeated(one, "rows"), dict[int, str]()
                for first, cell in _cells(one):
                    if (text := _shown(cell, formats, _style(cell, one, columns, first))) is not None:
                        line |= dict.fromkeys(range(first, first + min(_repeated(cell, "columns"), _MOST)), text)
                    down, right = (_number(cell, f"number-{what}-spanned") - 1 for what in ("rows", "columns"))
                    if down or right:
                        merged.append(((row, first), (row + down, first + right)))
                if line:
                    texts |= dict.fromkeys(range(row, row + min(lines, _MOST)), line)
                row += lines
            one.clear()
    return Cells(texts, merged)


def _cells(line: Element) -> Iterator[tuple[int, Element]]:
    """The cells of a row with the column that each begins at."""
    column = 0
    for cell in line:
        yield column, cell
        column += _repeated(cell, "columns")


def _shown(cell: Element, formats: Mapping[str, Shown], style: str) -> str | None:
    """What a cell shows, if calamine gives another."""
    kind, formula = cell.get(f"{_OFFICE}value-type"), cell.get(f"{_TABLE}formula")
    value = cell.get(f"{_OFFICE}value", "")
    if formula is not None and kind is None:
        return no_result(formula)
    if kind == "percentage":
        return percent(value)
    if kind in ("float", "currency") and (show := formats.get(style)) is not None and (text := show(value)) is not None:
        return text
    if formula is None and kind != "string":
        return None
    text = "\n".join("".join(_letters(part)) for part in cell.findall(f"{_TEXT}p"))
    if formula is not None and (_ERROR.fullmatch(text) or _CALC_ERROR.fullmatch(text)):
        return text if text.startswith("#") else no_result(formula)
    has_marks = cell.find(f".//{_TEXT}tab") is not None or cell.find(f".//{_TEXT}line-break") is not None
    return text if has_marks and kind == "string" else None


def _letters(part: Element) -> Iterator[str]:
    """The letters of a paragraph, as people see them."""
    yield part.text or ""
    for one in part:
        if one.tag == f"{_TEXT}s":
            yield " " * int(one.get(f"{_TEXT}c", "1"))
        elif one.tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
            yield "\t" if one.tag == f"{_TEXT}tab" else "\n"
        elif one.tag != f"{_OFFICE}annotation":
            yield from _letters(one)
        yield one.tail or ""


def _formats(parts: Sequence[Element]) -> dict[str, Shown]:
    """By the name of a style of cells what it shows that its number does not say."""
    numbers = {name: show for part in parts for name, show in _number_formats(part)}
    own: dict[str, str] = {}
    parents: dict[str, str] = {}
    for part in reversed(parts):  # what the sheet itself says goes before what the document does
        for one in part.iter(f"{_STYLE}style"):
            name = one.get(f"{_STYLE}name", "")
            parents[name] = one.get(f"{_STYLE}parent-style-name", "")
            if data := one.get(f"{_STYLE}data-style-name"):
                own[name] = data
    found = {}
    for name in parents:
        style, seen = name, set[str]()
        while style and style not in own and style not in seen:
            seen.add(style)
            style = parents.get(style, "")
        if (show := numbers.get(own.get(style, ""))) is not None:
            found[name] = show
    return found


def _number_formats(part: Element) -> Iterator[tuple[str, Shown]]:
    for tag in ("number-style", "currency-style"):
        for one in part.iter(f"{_NUMBER}{tag}"):
            number = one.find(f"{_NUMBER}number")
            if number is None:
                continue
            factor = number.get(f"{_NUMBER}display-factor", "1")
            if factor != "1":
                yield one.get(f"{_STYLE}name", ""), partial(scaled, f"÷{factor}")
                continue
            width = int(number.get(f"{_NUMBER}min-integer-digits", "1"))
            alone = not any(other.tag == f"{_NUMBER}text" for other in one)
            if width > 1 and alone and number.get(f"{_NUMBER}decimal-places", "0") == "0":
                yield one.get(f"{_STYLE}name", ""), partial(padded, width)


def _style(cell: Element, line: Element, columns: Sequence[tuple[int, str]], column: int) -> str:
    """The style of a cell: its own, else that of its row, else that of its column. `columns`: the styles of columns,
    each with the column, from 0, that it ends before."""
    own = cell.get(f"{_TABLE}style-name") or line.get(f"{_TABLE}default-cell-style-name")
    return own or next((style for end, style in columns if column < end), "")


def _repeated(element: Element, what: str) -> int:
    return _number(element, f"number-{what}-repeated")


def _number(element: Element, name: str) -> int:
    return int(element.get(f"{_TABLE}{name}", "1"))
