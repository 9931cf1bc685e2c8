"""Formats `xlsx`, `xls` and `ods`: sheets of a workbook, cell by cell with their own types, read by calamine.

Only so is a number that Excel has ruined told from a text. What a cell shows is kept: an error as its text, a merged
cell in every row that it covers. Formulas are never computed here: one whose result nobody kept comes as its own text.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum
from xlsxwriter.utility import xl_col_to_name

from pipelines.connectors.base import header_names, listed
from pipelines.connectors.formats.cell_errors import errors_of
from pipelines.connectors.formats.delimited import LOOK, HeaderRow
from pipelines.connectors.formats.kinds import kind_of
from pipelines.connectors.formats.notes import NoteRows, Notes
from pipelines.connectors.formats.ods_cells import Cells
from pipelines.connectors.formats.probe import check_readable
from pipelines.connectors.formats.table import FormatAbout, LocalFile, Place, Table, formats, table_of_rows
from pipelines.messages import translate
from pipelines.privacy.source_names import shown

EXACT = 10**15
"""Excel keeps 15 digits. A longer whole number in a cell may have lost its last ones."""
UNSURE = date(1900, 2, 28)
SHEET = "_sheet"
"""The column that says from which sheet a row is, for a contract that expects it."""
JOINT = "_"
"""What stands between the names of a column that several header rows give."""

Line = list[str]


@formats.register(FormatAbout(cells=True), "xlsx")
@formats.register(FormatAbout(cells=True), "xls")
@formats.register(FormatAbout(cells=True), "ods")
def workbook(
    file: LocalFile,
    *,
    sheet: str | None = None,
    sheets: Literal["all"] | None = None,
    header_row: HeaderRow = 1,
    header_rows: Annotated[int, Field(ge=1, le=5)] = 1,
    notes: Notes | None = None,
) -> Table:
    """One sheet, the first visible one if none is named, or all visible ones that hold anything and have the same
    header.

    The header may stand in several rows, the upper ones in merged cells. Rows whose first filled cell is one of `notes`
    (合计, 填报人), or begins with it and a colon, bracket, digit or blank, are no data wherever they stand.

    Raises CitylakeError for a file that is no workbook or needs a password, a sheet that is not there, an unusable
    header, sheets of different headers.
    """
    check_readable(file)
    try:
        with file.path.open("rb") as stream:  # its content says what it is; its name may not
            book = CalamineWorkbook.from_filelike(stream)
            pages = [_page(file, book, name) for name in _names(file, book, sheet, sheets)]
    except (CalamineError, OSError) as error:
        kind = kind_of(file.path)
        about = {f"kind_{language}": translate(f"format.kind.{kind}", language) for language in ("zh", "en")}
        raise file.error("format.no_workbook", **about) from error
    told = NoteRows(notes or ())
    parts = [_part(file, page, header_row, header_rows, told) for page in pages]
    if not parts:
        raise file.error("pull.no_header")
    names = parts[0].names
    for part in parts:
        if part.names != names:
            raise file.error(
                "format.sheets_differ",
                sheet=shown([part.page.name])[0],
                names=listed(shown(part.names)),
                first=listed(shown(names)),
            )
    marked = SHEET in file.request.expected and SHEET not in names
    rows = (
        [*row[:-1], part.page.name, row[-1]] if marked else row
        for part in parts
        for row in (_fitted(line, len(names)) for _, line in part.lines)
    )
    return table_of_rows([*names, SHEET] if marked else names, rows, lambda: _places(file, parts), lambda: told.count)


def sheets_of(file: LocalFile) -> list[str]:
    """The sheets that people see. Raises CitylakeError for a file that is no workbook."""
    check_readable(file)
    try:
        with file.path.open("rb") as stream:
            return _seen(CalamineWorkbook.from_filelike(stream))
    except (CalamineError, OSError) as error:
        raise file.error("format.unreadable", format="workbook", problem=type(error).__name__) from error


def _seen(book: CalamineWorkbook) -> list[str]:
    """People hide a sheet that is not meant, as that of the year before."""
    return [
        one.name
        for one in book.sheets_metadata
        if one.visible == SheetVisibleEnum.Visible and one.typ == SheetTypeEnum.WorkSheet
    ]


def _names(file: LocalFile, book: CalamineWorkbook, sheet: str | None, sheets: str | None) -> list[str]:
    """The sheets to read."""
    seen = _seen(book)
    if sheet is not None and sheet not in book.sheet_names:
        raise file.error("pull.no_sheet", sheet=sheet, names=listed(shown(book.sheet_names)))
    return seen if sheets else [sheet] if sheet else seen[:1]


class _Page:
    """One sheet as lines of texts. `first`: the column at which they begin; `fills`: what merged cells show."""

    def __init__(self, name: str, sheet: CalamineSheet, cells: Cells) -> None:
        self.name = name
        self.sheet = sheet
        self.first = sheet.start[1] if sheet.start else 0
        self.errors = cells.texts
        ranges = cells.merged or sheet.merged_cell_ranges or []
        self.tops = {start: (start, end) for start, end in ranges if start != end}

    def lines(self, header_end: int) -> Iterator[Line]:
        """The lines from the top, merged cells filled to the right in header lines, and downwards in all."""
        open_: dict[int, tuple[int, str]] = {}
        for number, cells in enumerate(self.sheet.iter_rows()):
            line, errors = [text_of(cell) for cell in cells], self.errors.get(number, {})
            for column in range(len(line)):
                place = (number, column + self.first)
                line[column] = errors.get(place[1], line[column])
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


class _Part(NamedTuple):
    """What is read of a sheet: the names in its header, and the rows below it that have any value, with their number in
    the sheet from 1."""

    page: _Page
    names: tuple[str, ...]
    lines: Iterator[tuple[int, Line]]


def _part(file: LocalFile, page: _Page, header_row: HeaderRow, rows: int, told: NoteRows) -> _Part:
    start = _found(file, page, rows) if header_row == "auto" else header_row - 1
    lines = page.lines(start + rows)
    header = list(islice(lines, start, start + rows))
    names = header_names(_joined(header), file.origin, file.request.owner)
    numbered = enumerate(lines, start + rows + 1)
    return _Part(page, names, ((number, line) for number, line in numbered if any(line) and not told.has(line)))


def _places(file: LocalFile, parts: Sequence[_Part]) -> Iterator[Place]:
    for part in parts:
        letters = {name: xl_col_to_name(column + part.page.first) for column, name in enumerate(part.names)}
        for number, _ in part.lines:
            yield Place(file.origin, "row", number, part.page.name, letters)


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
    """A cell as text. A whole number of more than 15 digits is shown as Excel shows it: what it was is lost. So is
    which day the last of February 1900 was: Excel counts a 29th, and calamine gives the 28th for both."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float | int):
        if abs(cell) >= EXACT:
            return f"{float(cell):.14E}"
        return str(int(cell)) if float(cell).is_integer() else repr(cell)
    if isinstance(cell, datetime) and cell.date() == UNSURE:
        return f"{cell.date().isoformat()}?"
    if isinstance(cell, datetime):
        return cell.isoformat(" ") if cell.time() != datetime.min.time() else cell.date().isoformat()
    if cell == UNSURE:
        return f"{cell.isoformat()}?"
    return cell.isoformat() if isinstance(cell, date) else str(cell)
