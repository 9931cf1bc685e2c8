"""Connector `file_drop`: files that a department puts into a folder, behind SFTP or into a bucket, CSV or Excel.

A file counts as complete when its marker `<file>.ok` lies beside it, or when it has not changed for a while. It is kept
unchanged in raw beside its rows, and the rows are read from that copy. Every value stays text; what a row means is
judged by admission, so a row that does not fit its header has only its text, in column UNREAD, and is refused there.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from python_calamine import CalamineError, CalamineWorkbook, WorksheetNotFound

from pipelines.connectors import drop_batch
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
from pipelines.connectors.drop_box import Complete, DropBox
from pipelines.connectors.stores import StoreError, open_store
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError

EXACT = 10**15
"""Excel keeps 15 digits. A longer whole number in a cell may have lost its last ones."""
LONGEST_NAME = 60
"""Characters of a file's name that its copy keeps: with a prefix, and in any script, the file system can hold them."""


@connectors.register(About(asks=False))
def file_drop(
    request: Request,
    *,
    connection: str,
    files: Annotated[str, Field(pattern=r"^[^/]+$")],
    format: Literal["csv", "xlsx"],
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = ",",
    sheet: str | None = None,
    complete: Complete = "marker",
    header_row: Annotated[int, Field(ge=1)] = 1,
    together: bool = False,
) -> Pulled | None:
    """Take the first file, by name, that matches `files` and was not taken before; if `together`, all as one batch.

    Position: of every file still lying there that was taken, by name, the SHA-256 and how it looked. Raises
    CitylakeError for a folder that is missing, a store that does not answer, bytes that are no text of the encoding, a
    file that is no workbook, missing columns, and a file that is changed while it is read.
    """

    def write(copy: Path, origin: str, target: Path) -> tuple[tuple[str, ...], int]:
        """The rows of a copied file as Parquet; the names of its columns, and how many rows."""
        if format == "csv":
            names, rows = CsvFile(copy, encoding, delimiter, origin, request.owner).read(header_row)
        else:
            names, rows = _excel(copy, sheet, header_row, origin, request.owner)
        require_columns(request, names, origin, lambda: rows)
        return names, write_rows(replace(request, target=target), names, rows)

    with open_store(request.secret(connection), connection, request.owner) as store:
        try:
            box = DropBox(store, request, files, complete)
            return drop_batch.take(box, request, write) if together else _take_one(box, request, write)
        except StoreError as error:
            raise store.error("pull.store_unreachable", problem=error.problem) from None


def _take_one(box: DropBox, request: Request, write: drop_batch.Write) -> Pulled | None:
    fresh = box.fresh()
    file = next(fresh, None)
    if file is None:
        return None
    copy = request.target.with_name(f"original-{file.name[-LONGEST_NAME:]}")
    box.store.fetch(file, copy)
    mark = sha256(copy)
    names, count = write(copy, file.name, request.target)
    drop_batch.require_unchanged(box, {file.name: mark}, request)
    return Pulled(count, names, file.name, box.position({file.name: mark}), next(fresh, None) is not None)


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
