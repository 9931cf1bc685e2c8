"""What cells of a workbook show that calamine does not tell: which of them are errors (#N/A, #REF!) or formulas without
a result, as programs write them that compute nothing: it gives both as empty, and neither is an empty cell. And what
only the format of a number shows, as the sender saw it: zeros in front of a code (000000), and percentages.

Only that is read here, from the parts of an xlsx; cells themselves come from calamine. Old xls files are looked through
as a whole, and refused if they have an error, a percentage, thousandths or zeros in front.
"""

import re
import struct
import zipfile
from collections.abc import Mapping
from functools import partial
from io import BytesIO
from posixpath import join, normpath
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring, iterparse

from pipelines.connectors.formats.ods_cells import Cells, Texts, cells_of_ods
from pipelines.connectors.formats.percent_cells import (
    BUILT_IN,
    Shown,
    is_percent,
    is_scaled,
    no_result,
    padded,
    padding,
    percent,
    scaled,
    shown_by_xls,
)
from pipelines.connectors.formats.table import LocalFile

LARGEST = 2_000_000_000
"""Bytes that the parts of a workbook may unpack to: it is read into memory."""

NOTHING = Cells({})

_ERROR = re.compile(
    rb"""\st\s*=\s*["']e["']"""
    rb"|(?:</(?:\w+:)?f>|<(?:\w+:)?f\b[^<>]*/>)\s*(?:</(?:\w+:)?c>|<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</)"  # no result
)
_OLD = b"\xd0\xcf\x11\xe0"
_OLD_ERROR = re.compile(
    rb"\x05\x02\x08\0(.{4})..[\0\x07\x0f\x17\x1d\x24\x2a]\x01"  # an error by itself
    rb"|\x06\0..(.{4})..\x02.[\0\x07\x0f\x17\x1d\x24\x2a]\0\0\0\xff\xff",  # the result of a formula
    re.DOTALL,
)
_REFERENCE = re.compile(r"([A-Z]+)([0-9]+)")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def errors_of(file: LocalFile, number: int) -> Cells:
    """The text of every error, every formula without a result and every number shown with zeros in front or as a
    percentage in the sheet with that number, by row and column from 0; of an ods merged cells too, which calamine does
    not tell.

    Raises CitylakeError for a workbook that unpacks to too much or whose parts cannot be read, and for an xls with a
    cell that has an error or shows another number than it holds.
    """
    _check_old(file)
    if not zipfile.is_zipfile(file.path):
        return NOTHING
    try:
        with zipfile.ZipFile(file.path) as parts:
            size = sum(part.file_size for part in parts.infolist())
            if size > LARGEST:
                raise file.error("format.too_large", limit=LARGEST)
            if number >= 0 and "content.xml" in parts.namelist():
                styles_too = parts.read("styles.xml") if "styles.xml" in parts.namelist() else b""
                return cells_of_ods(parts.read("content.xml"), styles_too, number)
            if "xl/workbook.xml" not in parts.namelist() or number < 0:
                return NOTHING
            data = parts.read(_part(parts, number))
            shown = _styles(parts)
            styles = "|".join(shown).encode()
            if not _ERROR.search(data) and not (shown and re.search(rb"""\ss\s*=\s*["'](?:%s)["']""" % styles, data)):
                return NOTHING
            return Cells(_errors(data, shown))
    except (
        zipfile.BadZipFile,
        ParseError,
        DefusedXmlException,
        KeyError,
        RuntimeError,
        IndexError,
        ValueError,
    ) as error:
        raise file.error("format.unreadable", format="workbook", problem=type(error).__name__) from error


def _check_old(file: LocalFile) -> None:
    """Its records are looked for in the bytes: they are neither packed nor, but for rare fragments, torn apart."""
    with file.path.open("rb") as stream:
        if stream.read(len(_OLD)) != _OLD:
            return
        data = stream.read()
    if found := _OLD_ERROR.search(data):
        row, column = struct.unpack("<HH", found[1] or found[2])
        raise file.error("format.cell_error", row=row + 1, column=column + 1)
    if shown := shown_by_xls(data):
        code, row, column = shown
        raise file.error(code, row=row + 1, column=column + 1)


def _part(parts: zipfile.ZipFile, number: int) -> str:
    """The name of the part that holds a sheet."""
    sheets = [one for one in fromstring(parts.read("xl/workbook.xml")).iter() if _local(one) == "sheet"]
    wanted = sheets[number].attrib[_RELATION]
    relations = fromstring(parts.read("xl/_rels/workbook.xml.rels"))
    target = next(str(one.attrib["Target"]) for one in relations if one.attrib["Id"] == wanted)
    return normpath(join("/xl", target)).lstrip("/")


def _styles(parts: zipfile.ZipFile) -> dict[str, Shown]:
    """The styles of cells, by their number, whose format shows more than the number: with what it shows."""
    if "xl/styles.xml" not in parts.namelist():
        return {}
    styles = fromstring(parts.read("xl/styles.xml"))
    shown: dict[str, Shown] = dict.fromkeys(BUILT_IN, percent)
    for one in styles.iter():
        if _local(one) == "numFmt":
            code = one.attrib.get("formatCode", "")
            if width := padding(code):
                shown[one.attrib["numFmtId"]] = partial(padded, width)
            elif is_percent(code):
                shown[one.attrib["numFmtId"]] = percent
            elif is_scaled(code):
                shown[one.attrib["numFmtId"]] = partial(scaled, code)
    cells = next((one for one in styles if _local(one) == "cellXfs"), ())
    formats = (one.get("numFmtId", "") for one in cells)
    return {str(number): shown[one] for number, one in enumerate(formats) if one in shown}


def _shown(cell: Element, styles: Mapping[str, Shown]) -> str | None:
    """What a number shows whose format says more than it; None for another cell."""
    show = styles.get(cell.get("s", ""))
    value = next((one.text or "" for one in cell if _local(one) == "v"), "")
    return show(value) if show is not None and cell.get("t", "n") == "n" else None


def _errors(data: bytes, styles: Mapping[str, Shown]) -> Texts:
    found = dict[int, dict[int, str]]()
    for _, cell in iterparse(BytesIO(data)):
        if _local(cell) == "c":
            text = _said(cell)
            if text is None:
                text = _shown(cell, styles)
            if text is not None:
                letters, row = _REFERENCE.findall(cell.attrib["r"])[0]
                found.setdefault(int(row) - 1, {})[_column(letters)] = text
        elif _local(cell) == "row":
            cell.clear()
    return found


def _said(cell: Element) -> str | None:
    """What an error cell or a formula without a result says; None for another cell. A formula may give an empty text,
    which its type tells."""
    parts = {_local(one): one.text or "" for one in cell}
    kind, value = cell.get("t"), parts.get("v")
    if kind == "e":
        return value or ""
    lacks = not value if kind != "str" else value is None
    return no_result(parts["f"]) if "f" in parts and lacks else None


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]
