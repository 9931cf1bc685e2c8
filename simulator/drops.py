"""Files that departments drop: written hidden first, then shown with their `.ok` marker; never half a file.

Belongs here: folders, names, days and encodings. What stands in a file is its register's.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import xlsxwriter

from simulator import shapes
from simulator.chance import Dice
from simulator.defects import ENCODING, FORMAT
from simulator.disturbances import SAME_FILE, Fault
from simulator.file_faults import faulty
from simulator.mistakes import Mistake, changed
from simulator.person import DAY_ZERO
from simulator.registers import MONTHLY, TERMLY, Files, Register, Row

_HIDDEN, _RIGHT = ".waiting-", ".right-"
NUMBER = "\x01"
"""Before a value: the clerk let Excel take it for a number."""
_STRAY, _TORN, _IN_UTF8 = "\x02", "\x03", "\x04"
"""After a value: a byte that is no character follows; its last character is cut in two; its line is UTF-8."""


def folder(home: Path, name: str) -> Path:
    """Where a department drops its files."""
    return home / "drops" / name


def is_due(place: Files, day: date) -> bool:
    """News come daily, whole registers on Mondays, on the first of a month or at the start of each term."""
    if not place.whole:
        return True
    if place.cadence == TERMLY:
        return (day.month, day.day) in ((3, 1), (9, 1))
    return day.day == 1 if place.cadence == MONTHLY else day.weekday() == 0


def prepare(home: Path, day: date, register: Register, rows: Sequence[Row], faults: Sequence[Fault] = ()) -> None:
    """Write a file that nobody sees yet; `deliver` shows it. Days without rows bring no file."""
    place = register.place
    assert isinstance(place, Files)
    if not rows:
        return
    target = folder(home, place.folder)
    target.mkdir(parents=True, exist_ok=True)
    hidden = target / f"{_HIDDEN}{place.stem}_{day:%Y%m%d}.{place.kind}"
    if any(fault.kind == SAME_FILE for fault in faults):
        hidden.write_bytes(_last(target, place).read_bytes())
        return
    if faults:
        _write(target / f"{_RIGHT}{hidden.name.removeprefix(_HIDDEN)}", place, rows)
    for fault in faults:
        place, rows = faulty(place, rows, register.key, fault)
    _write(hidden, place, rows)


def _last(target: Path, place: Files) -> Path:
    """The file that was delivered last, as it is once what is ready is shown."""
    shown = {file.name: file for file in target.glob(place.pattern)}
    shown |= {file.name.removeprefix(_HIDDEN): file for file in target.glob(f"{_HIDDEN}{place.pattern}")}
    return shown[max(shown)]


def correct(home: Path, register: Register) -> None:
    """Make ready the right files in place of those delivered wrongly; `deliver` shows them under the same names."""
    place = register.place
    assert isinstance(place, Files)
    for right in folder(home, place.folder).glob(f"{_RIGHT}{place.pattern}"):
        right.replace(right.with_name(f"{_HIDDEN}{right.name.removeprefix(_RIGHT)}"))


def _write(target: Path, place: Files, rows: Sequence[Row]) -> None:
    if place.kind == "xlsx":
        _write_sheet(target, place, rows)
    elif place.kind == "zip":
        _write_archive(target, place, rows)
    elif place.kind == "json":
        records = [dict(zip(place.names, row, strict=True)) for row in rows]
        target.write_text(json.dumps(records, ensure_ascii=False, indent=0), "utf-8")
    elif place.kind == "geojson":
        target.write_text(shapes.feature_collection(place.names, rows), "utf-8")
    elif place.kind == "gpkg":
        shapes.write_package(target, place.stem, place.names, rows)
    elif place.kind == "xml":
        target.write_bytes(_markup(place, rows))
    else:
        target.write_bytes(_encoded(place, _text(place, rows)))


def deliver(home: Path, day: date) -> None:
    """Show what was prepared up to this day, and throw away what a day prepared that never came to be."""
    for hidden in sorted((home / "drops").glob(f"*/{_HIDDEN}*")):
        name = hidden.name.removeprefix(_HIDDEN)
        if name.rpartition("_")[2][:8] > f"{day:%Y%m%d}":
            hidden.unlink()
            continue
        final = hidden.with_name(name)
        hidden.replace(final)
        final.with_name(f"{name}.ok").touch()


def encoding_mistakes(column: int, encoding: str) -> tuple[Mistake, ...]:
    """A line of a text file that cannot be decoded: a stray byte, half a character, a line in UTF-8."""

    def torn(value: str, dice: Dice) -> str | None:
        return f"{value}{_TORN}" if len(value[-1].encode(encoding)) == 2 else None

    def in_utf8(row: Row, dice: Dice) -> list[Row] | None:
        row[column] = f"{row[column]}{_IN_UTF8}"
        line = ",".join(value or "" for value in row).replace(_IN_UTF8, "").encode()
        # An even number of bytes may happen to be other characters: nobody can tell then.
        return [row] if _undecodable(line, encoding) else None

    also = frozenset({FORMAT})
    return (
        changed("stray_byte", ENCODING, column, lambda v, d: f"{v}{_STRAY}", *also),
        changed("torn_character", ENCODING, column, torn, *also),
        Mistake("line_in_utf8", ENCODING, column, in_utf8, also),
    )


def _undecodable(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return True
    return False


def _encoded(place: Files, text: str) -> bytes:
    """The file as bytes, damaged where a value says so."""
    lines = (
        line.replace(_IN_UTF8, "").encode("utf-8" if _IN_UTF8 in line else place.encoding)
        for line in text.split("\r\n")
    )
    data = b"\r\n".join(lines).replace(_STRAY.encode(), b"\xff")
    return re.sub(rb"(.).\x03", rb"\1", data, flags=re.DOTALL)


def _text(place: Files, rows: Sequence[Row]) -> str:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(place.names)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return lines.getvalue()


def _write_archive(target: Path, place: Files, rows: Sequence[Row]) -> None:
    """The text of a CSV file, packed; the archive says nothing of the real day."""
    member = zipfile.ZipInfo(f"{place.stem}.csv", (DAY_ZERO.year, DAY_ZERO.month, DAY_ZERO.day, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(member, _encoded(place, _text(place, rows)))


def _markup(place: Files, rows: Sequence[Row]) -> bytes:
    """One element for each row, and in it one for each value; there is none for nothing."""
    root = ElementTree.Element("DATA")
    for row in rows:
        record = ElementTree.SubElement(root, "RECORD")
        for name, value in zip(place.names, row, strict=True):
            if value is not None:
                ElementTree.SubElement(record, name).text = value
    return ElementTree.tostring(root, place.encoding, xml_declaration=True)


def _write_sheet(target: Path, place: Files, rows: Sequence[Row]) -> None:
    """Cells are text, except where a value is marked as a number: so Excel ruins identity numbers."""
    with xlsxwriter.Workbook(str(target), {"strings_to_numbers": False}) as book:
        book.set_properties({"created": DAY_ZERO})
        sheet = book.add_worksheet(place.stem)
        sheet.write_row(0, 0, place.names)
        for number, row in enumerate(rows, 1):
            for column, value in enumerate(row):
                if value is not None and value.startswith(NUMBER):
                    sheet.write_number(number, column, _as_excel_keeps(value.removeprefix(NUMBER)))
                elif value is not None:
                    sheet.write_string(number, column, value)
        sheet.write_blank(len(rows) + 3, 0, None, book.add_format({"bold": True}))


def _as_excel_keeps(value: str) -> float:
    """Digits as the number that a cell keeps of them: beyond the fifteenth all are 0."""
    return float(value[:15].ljust(len(value), "0"))
