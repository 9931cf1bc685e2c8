"""Connector `file_drop`: files that a department puts into a folder, CSV or Excel, one file a delivery.

A file counts as complete when its marker `<file>.ok` lies beside it, or when its size has not changed for a while. It
is kept unchanged in raw beside its rows. Every value stays text; what a row means is judged by admission, so a row
with too few or too many fields is delivered without values, with its line in column UNREAD, and refused there.
"""

import csv
import io
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import polars as pl
from python_calamine import CalamineError, CalamineWorkbook, WorksheetNotFound

from pipelines.connectors.base import UNREAD, About, Pulled, Request, connectors, require_columns
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError

STABLE_SECONDS = 30
EXACT = 10**15
"""Excel keeps 15 digits. A longer whole number in a cell may have lost its last ones."""

Complete = Literal["marker", "stable"]


@dataclass(frozen=True)
class Rows:
    """What a file holds: names, and columns of equal length."""

    names: tuple[str, ...]
    values: list[list[str | None]]


@connectors.register(About(asks=False))
def file_drop(
    request: Request,
    *,
    connection: str,
    files: str,
    format: Literal["csv", "xlsx"],
    encoding: Literal["utf-8", "gbk", "gb18030"] = "utf-8",
    delimiter: str = ",",
    sheet: str | None = None,
    complete: Complete = "marker",
) -> Pulled | None:
    """Take the first file, by name, that matches `files` and was not taken before.

    Position: SHA-256 of every file still lying there that was taken, by name. Raises CitylakeError for a folder that
    is missing, bytes that are no text of the encoding, a file that is no workbook, and missing columns.
    """
    folder = folder_of(request.secret(connection), connection)
    taken: Mapping[str, str] = request.position.get("files", {})
    found = waiting(folder, files, complete)
    fresh = [(file, mark) for file in found if (mark := sha256(file)) != taken.get(file.name)]
    if not fresh:
        return None
    file, mark = fresh[0]
    rows = _csv(file, encoding, delimiter, request.owner) if format == "csv" else _excel(file, sheet, request.owner)
    require_columns(request, rows.names, file.name)
    columns = dict(zip(rows.names, rows.values, strict=True))
    pl.DataFrame(columns, dict.fromkeys(columns, pl.String)).write_parquet(request.target, compression="zstd")
    shutil.copyfile(file, request.target.with_name(f"original-{file.name}"))
    if sha256(file) != mark:
        raise CitylakeError("pull.file_changed", file=file.name, owner=request.owner)
    there = {one.name for one in found}
    position = {"files": {name: hash_ for name, hash_ in {**taken, file.name: mark}.items() if name in there}}
    shown = tuple(name for name in rows.names if name != UNREAD)
    return Pulled(len(rows.values[0]) if rows.values else 0, shown, file.name, position, len(fresh) > 1)


def folder_of(address: str, connection: str) -> Path:
    """The folder of a connection string `file:///folder`. Raises CitylakeError for anything else."""
    parts = urlsplit(address)
    folder = Path(unquote(parts.path))
    if parts.scheme != "file" or not folder.is_dir():
        raise CitylakeError("pull.no_folder", connection=connection)
    return folder


def waiting(folder: Path, files: str, complete: Complete) -> list[Path]:
    """The complete files of a folder that match a pattern, in order of their names."""
    found = sorted(file for file in folder.glob(files) if file.is_file() and not file.name.startswith("."))
    if complete == "marker":
        return [file for file in found if file.with_name(f"{file.name}.ok").is_file()]
    return [file for file in found if time.time() - file.stat().st_mtime >= STABLE_SECONDS]


def _csv(file: Path, encoding: str, delimiter: str, owner: str) -> Rows:
    text = _decoded(file, encoding, owner)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False)
    names = _names([name.strip() for name in next(lines, [])], file, owner)
    good, ragged = list[list[str]](), dict[int, str]()
    for number, line in enumerate(line for line in lines if line):
        if len(line) != len(names):
            ragged[number] = delimiter.join(line)
            line = [""] * len(names)
        good.append(line)
    values: list[list[str | None]] = [[value or None for value in column] for column in zip(*good, strict=True)]
    values = values or [[] for _ in names]
    if ragged:
        values.append([ragged.get(number) for number in range(len(good))])
    return Rows((*names, UNREAD) if ragged else names, values)


def _decoded(file: Path, encoding: str, owner: str) -> str:
    data = file.read_bytes()
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        about = {"file": file.name, "line": line, "encoding": encoding, "owner": owner}
        raise CitylakeError("pull.not_encoded", **about) from None  # the error itself quotes the whole file


def _excel(file: Path, sheet: str | None, owner: str) -> Rows:
    """The cells of a sheet as text. Rows and columns without any value at the end are none.

    Cells are read with their own types (polars gives a column one): only so is a ruined number told from a text.
    """
    try:
        book = CalamineWorkbook.from_path(str(file))
        page = book.get_sheet_by_name(sheet) if sheet else book.get_sheet_by_index(0)
    except (CalamineError, WorksheetNotFound, OSError) as error:
        raise CitylakeError("pull.no_sheet", file=file.name, sheet=sheet or "1", owner=owner) from error
    lines = [[_text(cell) for cell in row] for row in page.iter_rows()]
    if not lines:
        raise CitylakeError("pull.no_header", file=file.name, owner=owner)
    names = _names([(name or "").strip() for name in lines[0]], file, owner)
    body = [line for line in lines[1:] if any(value is not None for value in line)]
    columns: list[list[str | None]] = [list(column) for column in zip_longest(*body)] if body else [[] for _ in names]
    return Rows(names, columns[: len(names)])


def _text(cell: Any) -> str | None:
    """A cell as text. A whole number of more than 15 digits is shown as Excel shows it: what it was is lost."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float | int):
        if abs(cell) >= EXACT:
            return f"{float(cell):.14E}"
        return str(int(cell)) if float(cell).is_integer() else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(" ") if cell.time() != datetime.min.time() else cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _names(names: list[str], file: Path, owner: str) -> tuple[str, ...]:
    """The header, without empty columns at its end. Raises CitylakeError if there is none or a name is repeated."""
    while names and not names[-1]:
        names.pop()
    if not names:
        raise CitylakeError("pull.no_header", file=file.name, owner=owner)
    repeated = sorted({name for name in names if names.count(name) > 1 or not name})
    if repeated:
        raise CitylakeError("pull.bad_header", file=file.name, names="、".join(repeated), owner=owner)
    return tuple(names)
