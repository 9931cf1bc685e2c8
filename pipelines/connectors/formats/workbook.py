"""Formats `xlsx`, `xls` and `ods`: sheets of a workbook, cell by cell with their own types, read by calamine.

Only so is a number that Excel has ruined told from a text. What a cell shows is kept: an error as its text, a merged
cell in every row that it covers. Formulas are never computed here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Field
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum, WorksheetNotFound

from pipelines.connectors.base import header_names, listed
from pipelines.connectors.formats.cell_errors import errors_of
from pipelines.connectors.formats.delimited import LOOK, HeaderRow
from pipelines.connectors.formats.probe import check_readable
from pipelines.connectors.formats.table import FormatAbout, LocalFile, Table, formats, table_of_rows

EXACT = 10**15
"""Excel keeps 15 digits. A longer whole number in a cell may have lost its last ones."""
SHEET = "_sheet"
"""The column that says from which sheet a row is, for a contract that expects it."""
JOINT = "_"
"""What stands between the names of a column that several header rows give."""

Place = tuple[int, int]
"""Row and column in the sheet, from 0."""
Line = list[str]


@formats.register(FormatAbout(cuts_digits=True), "xlsx")
@formats.register(FormatAbout(cuts_digits=True), "xls")
@formats.register(FormatAbout(cuts_digits=True), "ods")
def workbook(
    file: LocalFile,
    *,
    sheet: str | None = None,
    sheets: Literal["all"] | None = None,
    header_row: HeaderRow = 1,
    header_rows: Annotated[int, Field(ge=1, le=5)] = 1,
) -> Table:
    """One sheet, the first if none is named, or all visible ones that hold anything and have the same header.

    The header may stand in several rows, the upper ones in merged cells. Raises CitylakeError for a file that is no
    workbook or needs a password, a sheet that is not there, an unusable header, sheets of different headers.
    """
    check_readable(file)
    try:
        with file.path.open("rb") as stream:  # its content says what it is; its name may not
            book = CalamineWorkbook.from_filelike(stream)
            pages = [_page(file, book, name) for name in _names(book, sheet, sheets)]
    except (CalamineError, WorksheetNotFound, OSError) as error:
        raise file.error("pull.no_sheet", sheet=sheet or "1") from error
    parts = [_part(file, page, header_row, header_rows) for page in pages]
    if not parts:
        raise file.error("pull.no_header")
    names = parts[0][0]
    for (other, _), page in zip(parts, pages, strict=True):
        if other != names:
            raise file.error("format.sheets_differ", sheet=page.name, names=listed(other), first=listed(names))
    marked = SHEET in file.request.expected and SHEET not in names
    rows = (
        [*row[:-1], page.name, row[-1]] if marked else row
        for (_, lines), page in zip(parts, pages, strict=True)
        for row in lines
    )
    return table_of_rows([*names, SHEET] if marked else names, rows)


def _names(book: CalamineWorkbook, sheet: str | None, sheets: str | None) -> list[str]:
    if sheets is None:
        return [sheet] if sheet else book.sheet_names[:1]
    return [one.name for one in book.sheets_metadata if one.visible == SheetVisibleEnum.Visible]


class _Page:
    """One sheet as lines of texts. `first`: the column at which they begin; `fills`: what merged cells show."""

    def __init__(self, name: str, sheet: CalamineSheet, errors: Mapping[Place, str]) -> None:
        self.name = name
        self.sheet = sheet
        self.first = sheet.start[1] if sheet.start else 0
        self.errors = errors
        ranges = sheet.merged_cell_ranges or []
        self.tops = {start: (start, end) for start, end in ranges if start != end}

    def lines(self, header_end: int) -> Iterator[Line]:
        """The lines from the top, merged cells filled to the right in header lines, and downwards in all."""
        open_: dict[int, tuple[int, str]] = {}
        for number, cells in enumerate(self.sheet.iter_rows()):
            line = [text_of(cell) for cell in cells]
            for column in range(len(line)):
                place = (number, column + self.first)
                line[column] = self.errors.get(place, line[column])
                if column in open_ and open_[column][0] >= number:
                    line[column] = open_[column][1]
                elif place in self.tops:
                    (_, left), (bottom, right) = self.tops[place]
                    covered = range(left, right + 1 if number < header_end else left + 1)
                    open_ |= {one - self.first: (bottom, line[column]) for one in covered}
            yield line


def _page(file: LocalFile, book: CalamineWorkbook, name: str) -> _Page:
    number = book.sheet_names.index(name) if name in book.sheet_names else -1
    return _Page(name, book.get_sheet_by_name(name), errors_of(file, number))


def _part(file: LocalFile, page: _Page, header_row: HeaderRow, rows: int) -> tuple[tuple[str, ...], Iterator[Line]]:
    """The names in the header of a sheet, and the rows below it that have any value."""
    start = _found(file, page, rows) if header_row == "auto" else header_row - 1
    lines = page.lines(start + rows)
    header = list(islice(lines, start, start + rows))
    names = header_names(_joined(header), file.origin, file.request.owner)
    return names, (_fitted(line, len(names)) for line in lines if any(line))


def _found(file: LocalFile, page: _Page, rows: int) -> int:
    """The first line from which on a header has all expected names."""
    expected = set(file.request.expected) - {SHEET}
    above = list(islice(page.lines(LOOK), LOOK))
    for start in range(len(above)):
        if expected <= set(_joined(above[start : start + rows])):
            return start
    raise file.error("format.header_not_found", rows=len(above), names=listed(sorted(expected)))


def _joined(header: Sequence[Line]) -> list[str]:
    """One name for each column: what stands above it, each only once."""
    stacked = ([cell.strip() for cell in cells] for cells in zip(*header, strict=True))
    return [JOINT.join(dict.fromkeys(filter(None, cells))) for cells in stacked]


def _fitted(line: Line, wanted: int) -> Line:
    """A row with one value for each name, or with its text in UNREAD if there is more beside the named columns."""
    if any(line[wanted:]):
        return [*[""] * wanted, "\t".join(line)]
    return [*line[:wanted], *[""] * (wanted + 1 - min(len(line), wanted))]


def text_of(cell: Any) -> str:
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
