"""How tests read downloads: rows as texts, so that formats can be compared with each other."""

import csv
import io
import json
from typing import Any

import polars as pl

Table = tuple[list[str], list[list[str | None]]]


def downloaded(content: bytes, kind: str) -> Table:
    """Columns and rows of a download. CSV cannot tell everything apart that other formats can: empty text is None."""
    if kind == "csv":
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        return lines[0], [[value or None for value in line] for line in lines[1:]]
    if kind == "xlsx":
        frame = sheet(content, 0)
        return frame.columns, [[_text(value) for value in row] for row in frame.rows()]
    records = json.loads(content) if kind == "json" else [json.loads(line) for line in content.splitlines()]
    columns = list(records[0]) if records else []
    return columns, [[_text(value) for value in record.values()] for record in records]


def sheet(content: bytes, number: int) -> pl.DataFrame:
    """A sheet of a book with its first row as names; nothing is guessed of empty cells."""
    return pl.read_excel(io.BytesIO(content), sheet_id=number + 1, infer_schema_length=None, drop_empty_rows=False)


def dictionary_sheet(content: bytes) -> list[tuple[Any, ...]]:
    """The second sheet of a book, all cells."""
    frame = pl.read_excel(io.BytesIO(content), sheet_id=2, has_header=False, drop_empty_rows=False)
    return frame.rows()


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)
