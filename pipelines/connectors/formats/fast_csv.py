"""CSV into Parquet at DuckDB's speed, for files that can be vouched for: what it writes is what `csv_rows` reads.

DuckDB is trusted only where it was seen to agree: it drops blanks around quoted fields and empty fields at the end of a
row, loses rows when a line break of two bytes is named, and with one thread the last rows when a quote is left open. A
file with anything of that kind, with damaged bytes or
ragged rows is sieved first: lines that are beyond doubt pass as they are, all others are cut exactly and written anew,
unreadable ones behind a mark. Whatever DuckDB then still refuses is written by Python.
"""

import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.codecs.texts import count_of, is_utf8
from pipelines.connectors.base import UNREAD, Request, write_rows
from pipelines.connectors.formats.csv_rows import CsvRows
from pipelines.connectors.formats.encodings import BOM, as_utf8, blocks, byte_blocks, check_damage
from pipelines.engine import connect
from pipelines.lake.parquet import write_file

DAMAGED = b"\xff"


@dataclass(frozen=True)
class _Plain:
    """A UTF-8 file that DuckDB may read. `skip`: lines above the rows; `rows`: how many there are, None if quotes hide
    it, and then `guard` is a last row that must be met; `line_feeds`: lines end in line feeds alone; `mark`: stands
    before the text of an unreadable row."""

    path: Path
    skip: int
    rows: int | None
    line_feeds: bool
    quoted: bool
    guard: str = ""
    mark: str = ""


def write(table: CsvRows, request: Request) -> int:
    """Write all rows to the request's target and count them. Raises CitylakeError for what cannot be read."""
    request.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=request.scratch, prefix="csv-") as folder:
        ways: tuple[Callable[[CsvRows, Path], _Plain | None], ...] = (_vouched, _sieved)
        for way in ways:
            plain = way(table, Path(folder) / f"{way.__name__}.csv")
            if plain is not None and (count := _copied(plain, table, request)) is not None:
                return count
    return write_rows(request, table.layout.names, table.rows())


def _copied(plain: _Plain, table: CsvRows, request: Request) -> int | None:
    """DuckDB's copy; None if it refused the file or found another number of rows."""
    names = table.layout.names
    first, *others = (identifier(f"c{number}") for number in range(len(names)))
    mark = literal(plain.mark)
    selected = [f"{column} AS {identifier(name)}" for column, name in zip(others, names[1:], strict=True)]
    if plain.mark:
        marked = f"starts_with({first}, {mark})"
        selected.insert(0, f"CASE WHEN NOT {marked} THEN {first} END AS {identifier(names[0])}")
        selected.append(f"CASE WHEN {marked} THEN substr({first}, {len(plain.mark) + 1}) END AS {identifier(UNREAD)}")
    else:
        selected.insert(0, f"{first} AS {identifier(names[0])}")
        selected.append(f"NULL::VARCHAR AS {identifier(UNREAD)}")
    query = f"SELECT {', '.join(selected)} FROM {_read_csv(plain, len(names), table.layout.delimiter)}"
    if plain.guard:  # counted when it is met, and left out
        query += f" WHERE CASE WHEN {first} = {literal(plain.guard)} THEN nextval('guards') < 0 ELSE true END"
    with connect(request.scratch, alone=True) as con:  # several would have to guess whether they begin inside of quotes
        con.execute("SET preserve_insertion_order = true")  # places in the file are counted along these rows
        con.execute("CREATE SEQUENCE guards START 0 MINVALUE 0")
        try:
            count = write_file(con, query, request.target)
        except (duckdb.InvalidInputException, UnicodeDecodeError):  # DuckDB's message may quote half a character
            return None
        met = con.execute("SELECT nextval('guards')").fetchone()
    if met != (bool(plain.guard),):
        return None
    return count if plain.rows in (None, count) else None


def _read_csv(plain: _Plain, width: int, delimiter: str) -> str:
    columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(width))
    options = {
        "auto_detect": "false",
        "columns": f"{{{columns}}}",
        "header": "false",
        "skip": str(plain.skip),
        "delim": literal(delimiter),
        "quote": "'\"'",
        "escape": "'\"'",
        "nullstr": "''",
        "null_padding": "false",
        "ignore_errors": "false",
        "strict_mode": "true",
        "parallel": "false" if plain.quoted else "true",
        "compression": "'none'",
        "hive_partitioning": "false",
    }
    if plain.line_feeds:
        options["new_line"] = r"'\n'"
    given = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f"read_csv({literal(str(plain.path))}, {given})"


def _vouched(table: CsvRows, path: Path) -> _Plain | None:
    """The file itself, or its rows in UTF-8 at `path`, if DuckDB can be trusted with it; else None."""
    layout = table.layout
    width = len(layout.names)
    if width < 2 or layout.widest > width or layout.line_break != b"\n" or table.notes:
        return None
    inspector = _Inspector(layout.delimiter.encode(), width)
    if layout.encoding == "utf-8" and layout.plain:
        if not all(inspector.passes(data) for data in byte_blocks(table.file, layout.offset)):
            return None
        if not inspector.quoted and bool(inspector.returns) == layout.returned and inspector.alike:
            path.symlink_to(table.file.path.resolve())  # under a name without wildcards
            return _Plain(path, 1, inspector.rows, not inspector.returns, quoted=False)
        inspector = _Inspector(layout.delimiter.encode(), width)
    guard = secrets.token_hex(16)
    with path.open("wb") as out:
        data = b""
        for data in _utf8(table):
            if not inspector.passes(data):
                return None
            out.write(data)
        if inspector.quoted:
            line_break = b"\r\n" if inspector.returns else b"\n"
            out.write(b"" if data.endswith(b"\n") else line_break)
            out.write(guard.encode() + layout.delimiter.encode() * (width - 1) + line_break)
    if not inspector.alike:
        return None
    if inspector.quoted:
        return _Plain(path, 0, None, not inspector.returns, quoted=True, guard=guard)
    return _Plain(path, 0, inspector.rows, not inspector.returns, quoted=False)


def _utf8(table: CsvRows) -> Iterator[bytes]:
    """The rows as UTF-8, block by block, DAMAGED for one that is none."""
    layout = table.layout
    for data in byte_blocks(table.file, layout.offset):
        if layout.encoding == "utf-8":
            yield data
            continue
        try:
            yield as_utf8(data, layout.encoding)
        except UnicodeDecodeError:
            yield DAMAGED


class _Inspector:
    """Looks through the bytes of a file, block by block, for what DuckDB reads in another way."""

    def __init__(self, delimiter: bytes, width: int) -> None:
        self.delimiter, self.width = delimiter, width
        self.rows = self.delimiters = self.returns = 0
        self.quoted = False
        self.at_start = True

    def passes(self, data: bytes) -> bool:
        """Whether these lines are beyond doubt. Bytes that are no UTF-8 have made DuckDB fail in itself."""
        if not is_utf8(data):
            return False
        rows = count_of(data, b"\n") + (not data.endswith(b"\n"))
        self.rows += rows
        self.delimiters += count_of(data, self.delimiter)
        self.quoted = self.quoted or b'"' in data
        if self.at_start and data.startswith(BOM.encode()):
            return False
        self.at_start = False
        if b"\r" in data:
            returns = data.count(b"\r\n")
            self.returns += returns
            if returns != data.count(b"\r") or returns != rows:
                return False
            data = data.replace(b"\r\n", b"\n") if self.quoted else data
        if self.quoted:
            ends = (self.delimiter, self.delimiter + b'""')
            odd = (b'" ', b' "', *(end + b"\n" for end in ends))
            return not any(one in data for one in odd) and not data.endswith(ends)
        # As many delimiters as there must be: a row with one too many is then betrayed by one with too few.
        return self.delimiters == self.rows * (self.width - 1)

    @property
    def alike(self) -> bool:
        """Whether all lines end in the same way."""
        return self.returns in (0, self.rows)


def _sieved(table: CsvRows, path: Path) -> _Plain:
    """All rows as canonical CSV at `path`. Raises CitylakeError as reading them does."""
    layout = table.layout
    table.begin()
    delimiter, others = layout.delimiter, len(layout.names) - 1
    mark = f"\x1a{secrets.token_hex(16)}\x1a"  # stands in no file
    special = re.compile(f'["\r\n{delimiter}{BOM}]')

    def field(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if special.search(text) or not others else text

    cutter, count = table.cutter(), 0
    with path.open("w", encoding="utf-8", newline="") as out:
        for block in blocks(table.file, layout.encoding, layout.offset, table.damage, layout.line_break):
            clean: list[str] = []
            for place, line in enumerate(block.lines):
                if (
                    line.count(delimiter) == others
                    and '"' not in line
                    and "\r" not in line
                    and not cutter.is_open
                    and place not in block.damaged
                    and others
                    and not line.startswith(BOM)
                    and not table.notes.may_be(line)
                ):
                    cutter.line += 1
                    clean.append(line)
                    continue
                record = cutter.feed(line, place in block.damaged)
                if record is None or not (row := table.row(record)):
                    continue
                *values, unread = row
                if unread:
                    values[0] = mark + unread
                clean.append(delimiter.join(map(field, values)))
            count += len(clean)
            out.writelines(f"{line}\n" for line in clean)
    cutter.finish()
    check_damage(table.file, layout.encoding, table.damage)
    return _Plain(path, 0, count, line_feeds=True, quoted=True, mark=mark)
