"""How tests read downloads: rows as texts, so that formats can be compared with each other."""

import csv
import io
import json
from typing import Any

from python_calamine import CalamineWorkbook

Table = tuple[list[str], list[list[str | None]]]


def downloaded(content: bytes, kind: str) -> Table:
    """Columns and rows of a download. CSV cannot tell all apart that other formats can: empty text is None, and so is
    the only value of an empty line."""
    if kind == "csv":
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        return lines[0], [[value or None for value in line or [""]] for line in lines[1:]]
    if kind == "xlsx":
        names, *rows = cells(content, 0)
        return names, [[_text(value) for value in row] for row in rows]
    records = json.loads(content) if kind == "json" else [json.loads(line) for line in content.splitlines()]
    columns = list(records[0]) if records else []
    return columns, [[_text(value) for value in record.values()] for record in records]


def sheet(content: bytes, number: int) -> list[dict[str, Any]]:
    """The rows of a sheet by the names in its first row; an empty cell is None."""
    names, *rows = cells(content, number)
    return [dict(zip(names, row, strict=True)) for row in rows]


def cells(content: bytes, number: int) -> list[list[Any]]:
    """All cells of a sheet, row by row. A whole number is an int: files keep every number as a double."""
    found = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(number).to_python()
    return [[_cell(value) for value in row] for row in found]


def _cell(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value == "" else value


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)
