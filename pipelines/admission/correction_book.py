"""Refused rows as an Excel book for the department that owns them, and the book as it comes back.

Every cell is text: identifiers keep all digits, and nothing is ever taken for a formula. The first sheet says whose
data these are and how to correct them. What comes back is checked cell by cell and never guessed at: a book with one
wrong row is refused whole. Judging the corrected rows belongs to admission.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from python_calamine import CalamineError, CalamineWorkbook
from xlsxwriter.worksheet import Worksheet

from pipelines.admission.positions import positions
from pipelines.admission.quarantine import Line, Quarantine, row_id
from pipelines.admission.reasons import reasons, told
from pipelines.admission.receive import Corrected
from pipelines.codecs import books
from pipelines.connectors.formats.workbook import EXACT, text_of
from pipelines.contracts.forms.sources import WholeTable
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError, say, translate
from pipelines.register.receipts import Receipts

MOST_ROWS = 50_000
"""Of one book; the rest follows in the next one."""
LONGEST = 32_767
"""Characters of a cell. A row with a longer value stays behind: a cut value would come back as a correction."""
_ID = re.compile(r"B([0-9]{1,12})R([0-9]{1,12})-[0-9a-f]{6}")
_SHOWN_AS_NUMBER = re.compile(r"[0-9][.][0-9]+E[+][0-9]+")
"""How Excel shows a number too long for it, once somebody made it text."""


@dataclass(frozen=True)
class About:
    """What the first sheet says besides: who exports, and when, by the city's clocks."""

    who: str
    made: str


def write(
    target: BinaryIO,
    contract: SourceContract,
    contracts: Contracts,
    receipts: Receipts,
    lines: Sequence[Line],
    about: About,
    lake: Lake,
) -> list[str]:
    """Write a book of the lines that fit one, the first first; returns the ids of the rows written."""
    fitting = [line for line in lines if _fits(line)][:MOST_ROWS]
    book = books.streamed(target, lake.scratch())
    try:
        _write_about(
            book.add_worksheet(translate("quarantine.sheet.about", "zh")), contract, contracts, about, len(fitting)
        )
        sheet = book.add_worksheet(translate("quarantine.sheet.rows", "zh"))
        text, heading = book.add_format({"num_format": "@"}), book.add_format({"num_format": "@", "bold": True})
        physical = [column.physical_name for column in contract.columns]
        names = [_heading("id"), _heading("reason"), _heading("position"), *physical]
        titles = [_heading("keep"), "", "", *(column.definition.businessName for column in contract.columns)]
        unread = any(line.unread is not None for line in fitting)
        sheet.set_column(0, len(names), 18, text)  # what is typed into any cell stays text
        sheet.freeze_panes(2, 1)
        for row, cells in enumerate((names, titles)):
            _write_row(sheet, row, [*cells, *([_heading("unread") if row == 0 else ""] if unread else [])], heading)
        known, position = reasons(contract, "zh"), positions(contract, contracts, lake, receipts, fitting)
        for row, line in enumerate(fitting, 2):
            said = [row_id(contract.id, line.batch, line.row), told(line.rules, known, "zh"), position(line)]
            _write_row(sheet, row, [*said, *(line.values[name] for name in physical), line.unread], text)
    finally:
        book.close()
    return [row_id(contract.id, line.batch, line.row) for line in fitting]


def read(file: Path, contract: SourceContract, contracts: Contracts, quarantine: Quarantine) -> list[Corrected]:
    """The corrected rows of a book that came back, in its order.

    Columns may stand in another order, others may stand beside them, rows may be missing or empty. Raises
    CitylakeError, with row and column, for everything else; no value of a cell is ever in its text.
    """
    sheet, lines = _rows(file)
    top, names = next((n, cells) for n, cells in lines if _heading("id") in cells)
    wanted = {column.physical_name: column.definition.logicalType for column in contract.columns}
    about: dict[str, Any] = {"file": file.name, "sheet": sheet}
    place = _places(names, [_heading("id"), *wanted], about | {"row": top})
    at = about | {"column": _heading("id")}
    open_rows, found = quarantine.positions(), dict[tuple[int, int], Corrected]()
    seen: dict[tuple[int, int], int] = {}
    for number, cells in lines:
        text = [text_of(cell) for cell in cells]
        name = text[place[_heading("id")]].strip()
        if number <= top or not any(text) or name == _heading("keep"):
            continue
        position = _position(name, contract, contracts, at | {"row": number})
        if position in seen:
            raise CitylakeError("quarantine.repeated_id", **at, row=number, before=seen[position])
        if position not in open_rows:
            raise CitylakeError("quarantine.not_open", **at, row=number)
        seen[position] = number
        for column, kind in wanted.items():
            if _damaged(cells[place[column]], text[place[column]], kind):
                raise CitylakeError("quarantine.damaged", **about, row=number, column=column)
        found[position] = Corrected(*position, {column: text[place[column]] or None for column in wanted})
    if not found:
        raise CitylakeError("quarantine.no_rows", **about)
    return list(found.values())


def _fits(line: Line) -> bool:
    return all(len(value or "") <= LONGEST for value in (*line.values.values(), line.unread))


def _heading(name: str) -> str:
    return translate(f"quarantine.heading.{name}", "zh")


def _write_about(sheet: Worksheet, contract: SourceContract, contracts: Contracts, about: About, rows: int) -> None:
    owner = contracts.codes["organisations"].rows[contract.org]["name"]
    facts = {"subject": contract.id, "name": contract.form.name, "made": about.made, "who": about.who, "rows": rows}
    texts = [say("quarantine.about.personal", owner=owner), say("quarantine.about.source", **facts)]
    texts.append(say("quarantine.about.how"))
    if isinstance(contract.form.load, WholeTable):
        texts.append(say("quarantine.about.whole_table"))
    sheet.set_column(0, 0, 120)
    for row, text in enumerate("\n".join(texts).splitlines()):
        sheet.write_string(row, 0, text)


def _write_row(sheet: Worksheet, row: int, cells: Sequence[str | None], style: Any) -> None:
    for place, text in enumerate(cells):
        if text:
            sheet.write_string(row, place, text, style)


def _rows(file: Path) -> tuple[str, Iterator[tuple[int, list[Any]]]]:
    """The name of the first sheet with a column of row ids, and its rows from 1, as wide as the widest."""
    try:
        book = CalamineWorkbook.from_path(str(file))
        for name in book.sheet_names:
            cells = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            if any(_heading("id") in row for row in cells):
                return name, iter(enumerate(cells, 1))
    except (CalamineError, OSError) as error:
        raise CitylakeError("quarantine.not_a_book", file=file.name, heading=_heading("id")) from error
    raise CitylakeError("quarantine.not_a_book", file=file.name, heading=_heading("id"))


def _places(names: Sequence[Any], wanted: Sequence[str], about: dict[str, Any]) -> dict[str, int]:
    """Where each wanted column stands; programs may cut the spaces at the end of a name."""
    found = {name: [n for n, text in enumerate(names) if str(text).strip() == name.strip()] for name in wanted}
    if missing := [name for name in wanted if not found[name]]:
        raise CitylakeError("quarantine.columns_missing", **about, missing="、".join(missing))
    if repeated := [name for name in wanted if len(found[name]) > 1]:
        raise CitylakeError("quarantine.columns_repeated", **about, repeated="、".join(repeated))
    return {name: places[0] for name, places in found.items()}


def _position(name: str, contract: SourceContract, contracts: Contracts, at: dict[str, Any]) -> tuple[int, int]:
    """Batch and row of a row id. Raises CitylakeError for one that was changed, is missing or is another source's."""
    if not name:
        raise CitylakeError("quarantine.no_id", **at)
    match = _ID.fullmatch(name)
    if match is None:
        raise CitylakeError("quarantine.bad_id", **at)
    batch, row = int(match[1]), int(match[2])
    if row_id(contract.id, batch, row) == name:
        return batch, row
    other = next((source for source in contracts.sources if row_id(source, batch, row) == name), None)
    if other is not None:
        raise CitylakeError("quarantine.foreign", **at, other=other, subject=contract.id)
    raise CitylakeError("quarantine.bad_id", **at)


def _damaged(cell: Any, text: str, kind: str) -> bool:
    """Whether a cell may have lost digits: a number where a text belongs, or one too long for Excel."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return kind == "string" or abs(cell) >= EXACT
    return kind in ("string", "integer") and _SHOWN_AS_NUMBER.fullmatch(text) is not None
