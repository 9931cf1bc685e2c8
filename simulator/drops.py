"""Files that departments drop: written hidden first, then shown with their `.ok` marker; never half a file.

Belongs here: folders, names, days and encodings. What stands in a file is its register's.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import xlsxwriter

from simulator.person import DAY_ZERO
from simulator.registers import Files, Register, Row

_HIDDEN = ".waiting-"


def folder(home: Path, name: str) -> Path:
    """Where a department drops its files."""
    return home / "drops" / name


def is_due(place: Files, day: date) -> bool:
    """New births come daily, health records on Mondays, pupils at the start of each term."""
    if not place.whole:
        return True
    if place.kind == "xlsx":
        return (day.month, day.day) in ((3, 1), (9, 1))
    return day.weekday() == 0


def prepare(home: Path, day: date, register: Register, rows: Sequence[Row]) -> None:
    """Write a file that nobody sees yet; `deliver` shows it. Days without rows bring no file."""
    place = register.place
    assert isinstance(place, Files)
    if not rows:
        return
    target = folder(home, place.folder)
    target.mkdir(parents=True, exist_ok=True)
    hidden = target / f"{_HIDDEN}{place.stem}_{day:%Y%m%d}.{place.kind}"
    if place.kind == "xlsx":
        _write_sheet(hidden, place, rows)
    else:
        hidden.write_bytes(_text(place, rows).encode(place.encoding))


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


def _text(place: Files, rows: Sequence[Row]) -> str:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(place.names)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return lines.getvalue()


def _write_sheet(target: Path, place: Files, rows: Sequence[Row]) -> None:
    """Cells are text, except where a value is marked as a number: so Excel ruins identity numbers."""
    with xlsxwriter.Workbook(str(target), {"strings_to_numbers": False}) as book:
        book.set_properties({"created": DAY_ZERO})
        sheet = book.add_worksheet("学生")
        sheet.write_row(0, 0, place.names)
        for number, row in enumerate(rows, 1):
            for column, value in enumerate(row):
                if value is not None and value.startswith(NUMBER):
                    sheet.write_number(number, column, float(value.removeprefix(NUMBER)))
                elif value is not None:
                    sheet.write_string(number, column, value)
        sheet.write_blank(len(rows) + 3, 0, None, book.add_format({"bold": True}))


NUMBER = "\x01"
"""Before a value: the clerk let Excel take it for a number."""
