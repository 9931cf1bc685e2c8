"""Connector `file_drop`: files that a department puts into a folder, CSV or Excel, one file a delivery.

A file counts as complete when its marker `<file>.ok` lies beside it, or when it has not changed for a while. It is kept
unchanged in raw beside its rows, and the rows are read from that copy. Every value stays text; what a row means is
judged by admission, so a row that does not fit its header has only its text, in column UNREAD, and is refused there.
"""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field
from python_calamine import CalamineError, CalamineWorkbook, WorksheetNotFound

from pipelines.connectors.base import (
    About,
    CsvFile,
    Delimiter,
    Encoding,
    Pulled,
    Request,
    connectors,
    header_names,
    require_columns,
    write_rows,
)
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError

STABLE_SECONDS = 30
EXACT = 10**15
"""Excel keeps 15 digits. A longer whole number in a cell may have lost its last ones."""
LONGEST_NAME = 60
"""Characters of a file's name that its copy keeps: with a prefix, and in any script, the file system can hold them."""

Complete = Literal["marker", "stable"]


@connectors.register(About(asks=False))
def file_drop(
    request: Request,
    *,
    connection: str,
    files: str,
    format: Literal["csv", "xlsx"],
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = ",",
    sheet: str | None = None,
    complete: Complete = "marker",
    header_row: Annotated[int, Field(ge=1)] = 1,
) -> Pulled | None:
    """Take the first file, by name, that matches `files` and was not taken before.

    Position: of every file still lying there that was taken, by name, the SHA-256 and how it looked. Raises
    CitylakeError for a folder that is missing, bytes that are no text of the encoding, a file that is no workbook, and
    missing columns.
    """
    folder = folder_of(request.secret(connection), connection)
    taken: Mapping[str, Mapping[str, str]] = request.position.get("files", {})
    fresh = (file for file in waiting(folder, files, complete) if _is_new(file, taken.get(file.name, {})))
    file = next(fresh, None)
    if file is None:
        return None
    looks = _looks(file)
    copy = request.target.with_name(f"original-{file.name[-LONGEST_NAME:]}")
    shutil.copyfile(file, copy)
    mark = sha256(copy)
    if format == "csv":
        names, rows = CsvFile(copy, encoding, delimiter, file.name, request.owner).read(header_row)
    else:
        names, rows = _excel(copy, sheet, header_row, file.name, request.owner)
    require_columns(request, names, file.name)
    count = write_rows(request, names, rows)
    if sha256(file) != mark:
        raise CitylakeError("pull.file_changed", file=file.name, owner=request.owner)
    there = {one.name for one in folder.glob(files)}
    entry = {"sha256": mark, "looks": looks}
    position = {"files": {name: one for name, one in {**taken, file.name: entry}.items() if name in there}}
    return Pulled(count, names, file.name, position, next(fresh, None) is not None)


def folder_of(address: str, connection: str) -> Path:
    """The folder of a connection string `file:///folder`. Raises CitylakeError for anything else."""
    parts = urlsplit(address)
    folder = Path(unquote(parts.path))
    if parts.scheme != "file" or not folder.is_dir():
        raise CitylakeError("pull.no_folder", connection=connection)
    return folder


def waiting(folder: Path, files: str, complete: Complete) -> list[Path]:
    """The complete files of a folder that match a pattern, in order of their names. Links are none: whoever may drop
    files could name any file of this machine by one. Raises CitylakeError for a name that is no text."""
    found = sorted(file for file in folder.glob(files) if file.is_file() and not file.is_symlink())
    found = [file for file in found if not file.name.startswith(".")]
    for file in found:
        raw = os.fsencode(file.name)
        if raw.decode(errors="replace") != file.name:
            raise CitylakeError("pull.file_name", folder=folder.name, file=raw.decode("gb18030", "replace"))
    return [file for file in found if (_is_marked(file) if complete == "marker" else _is_stable(file))]


def _is_marked(file: Path) -> bool:
    """Whether the marker is there and is this file's: one that is older was that of the file before."""
    marker = file.with_name(f"{file.name}.ok")
    return marker.is_file() and marker.stat().st_mtime_ns >= file.stat().st_mtime_ns


def _is_stable(file: Path) -> bool:
    status, now = file.stat(), time.time()
    # A copy may keep a time that another machine's clock made, even one of the future.
    changed = status.st_mtime if status.st_mtime <= now else status.st_ctime
    return now - changed >= STABLE_SECONDS


def _is_new(file: Path, taken: Mapping[str, str]) -> bool:
    """Whether a file is not the one that was taken under its name. Reads it only if it looks different."""
    return not taken or (_looks(file) != taken["looks"] and sha256(file) != taken["sha256"])


def _looks(file: Path) -> str:
    status = file.stat()
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def _excel(
    file: Path, sheet: str | None, header_row: int, origin: str, owner: str
) -> tuple[tuple[str, ...], Iterator[list[str]]]:
    """The names in the header of a sheet, and the rows below it that have any value.

    Cells are read with their own types (polars gives a column one): only so is a ruined number told from a text.
    """
    try:
        book = CalamineWorkbook.from_path(str(file))
        page = book.get_sheet_by_name(sheet) if sheet else book.get_sheet_by_index(0)
    except (CalamineError, WorksheetNotFound, OSError) as error:
        raise CitylakeError("pull.no_sheet", file=origin, sheet=sheet or "1", owner=owner) from error
    lines = iter([_text(cell) for cell in row] for row in page.iter_rows())
    names = header_names([name.strip() for name in next(islice(lines, header_row - 1, None), [])], origin, owner)
    return names, (_fitted(line, len(names)) for line in lines if any(line))


def _fitted(line: list[str], wanted: int) -> list[str]:
    """A row with one value for each name, or with its text in UNREAD if there is more beside the named columns."""
    if any(line[wanted:]):
        return [*[""] * wanted, "\t".join(line)]
    return [*line[:wanted], *[""] * (wanted + 1 - min(len(line), wanted))]


def _text(cell: Any) -> str:
    """A cell as text. A whole number of more than 15 digits is shown as Excel shows it: what it was is lost."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float | int):
        if abs(cell) >= EXACT:
            return f"{float(cell):.14E}"
        return str(int(cell)) if float(cell).is_integer() else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(" ") if cell.time() != datetime.min.time() else cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date) else str(cell)
