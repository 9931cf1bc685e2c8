"""Code lists: strict reading of `codes/*.csv` (RFC 4180, UTF-8 without BOM, columns `code,name[,aliases,...]`).

What a list is used for is decided by fields and rules, not here.
"""

import csv
import hashlib
import io
from pathlib import Path
from typing import NoReturn

from pipelines.contracts.located import read_text
from pipelines.contracts.mistakes import Noted
from pipelines.contracts.resolved import CodeList
from pipelines.contracts.texts import both
from pipelines.messages import CitylakeError


def load_code_lists(folder: Path) -> dict[str, CodeList]:
    """All lists of a folder by name. Raises CitylakeError for the first mistake of each, with file and line."""
    lists, noted = dict[str, CodeList](), Noted()
    for path in sorted(folder.glob("*.csv")):
        with noted:
            lists[path.stem] = load_code_list(path)
    noted.check()
    return lists


def load_code_list(path: Path) -> CodeList:
    """Read one CSV code list.

    Raises CitylakeError for a BOM, missing or repeated columns, rows of the wrong length, blank, padded or repeated
    codes, blank names, and an alias that means two codes.
    """
    text = read_text(path)
    if text.startswith("\ufeff"):
        _wrong(path, 1, "codes.bom")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_header(path, header)
        rows: dict[str, dict[str, str]] = {}
        lines: dict[str, int] = {}
        for values in reader:
            row = _row(path, reader.line_num, header, values)
            if row["code"] in rows:
                _wrong(path, reader.line_num, "codes.duplicate", code=row["code"])
            rows[row["code"]], lines[row["code"]] = row, reader.line_num
    except csv.Error:
        _wrong(path, reader.line_num, "codes.quotes")
    if not rows:
        _wrong(path, 1, "codes.no_rows")
    return CodeList(path.stem, rows, _spellings(path, rows, lines), hashlib.sha256(text.encode()).hexdigest())


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in ("code", "name") if name not in header]
    if missing:
        _wrong(path, 1, "codes.no_column", column=", ".join(missing))
    repeated = [name for name in header if not name or header.count(name) > 1]
    if repeated:
        _wrong(path, 1, "codes.bad_header", column=repeated[0])


def _row(path: Path, line: int, header: list[str], values: list[str]) -> dict[str, str]:
    if len(values) != len(header):
        _wrong(path, line, "codes.length", found=len(values), expected=len(header))
    row = dict(zip(header, values, strict=True))
    for column in ("code", "name"):
        if not row[column].strip():
            _wrong(path, line, "codes.blank", column=column)
        if row[column] != row[column].strip():
            _wrong(path, line, "codes.padded", column=column, value=row[column])
    return row


def _spellings(path: Path, rows: dict[str, dict[str, str]], lines: dict[str, int]) -> dict[str, str]:
    spellings = {code: code for code in rows}
    for code, row in rows.items():
        for alias in row["aliases"].split("|") if row.get("aliases") else ():
            if not alias or alias != alias.strip():
                _wrong(path, lines[code], "codes.padded", column="aliases", value=alias)
            if spellings.setdefault(alias, code) != code:
                _wrong(path, lines[code], "codes.alias", alias=alias, code=code, other=spellings[alias])
    return spellings


def _wrong(path: Path, line: int, message: str, **arguments: object) -> NoReturn:
    raise CitylakeError("contract.code_list", file=path, line=line, **both("problem", message, **arguments))
