"""Opening a local file in a format, out of an archive if the contract says which member. What connectors call."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pipelines.codecs.sql import identifier, literals
from pipelines.connectors.base import UNREAD, Request, listed
from pipelines.connectors.formats.archive import is_archive, is_unknown, unpacked
from pipelines.connectors.formats.table import LocalFile, Table, formats
from pipelines.engine import connect
from pipelines.lake.parquet import write_file
from pipelines.privacy.source_names import shown

Format = Literal["csv", "xlsx", "xls", "ods", "json", "ndjson", "xml", "geojson", "shapefile", "gpkg", "parquet", "dbf"]
"""The formats by name, for signatures of connectors."""
_WORKBOOKS = ("xlsx", "xls", "ods")
"""Read as what they are, whichever of them they are called: an .xls is often an .xlsx."""


@contextmanager
def opened(file: LocalFile, format: Format, member: str | None = None, **options: Any) -> Iterator[Table]:
    """The table in a file, to be written while it is open. `member`: a pattern of the members of an archive to take,
    one table after the other in order of their names; options that are None are those that nobody gave.

    Raises CitylakeError for what cannot be read, and for members with different columns.
    """
    verb = formats[format]
    given = {name: value for name, value in options.items() if value is not None}
    if member is None and not verb.about.archive:
        if format not in _WORKBOOKS and is_archive(file.path):
            raise file.error("format.is_archive", format=format)
        if is_unknown(file.path):
            raise file.error("format.archive_kind")
        yield verb.function(file, **given)
        return
    file.request.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.request.scratch, prefix="members-") as folder:
        members = list(unpacked(file, member or "*", Path(folder), format in _WORKBOOKS))
        if verb.about.archive:
            yield verb.function(_together(file, members, Path(folder)), **given)
        else:
            yield _one_after_the_other(file, members, [verb.function(one, **given) for one in members])


def _together(file: LocalFile, members: Sequence[LocalFile], folder: Path) -> LocalFile:
    """Members that belong to each other, in a folder of their own, by their endings."""
    parts = folder / "parts"
    parts.mkdir()
    for one in members:
        target = parts / f"shape{one.path.suffix}"
        if target.exists():
            raise file.error("format.several", suffix=one.path.suffix)
        one.path.rename(target)
    return LocalFile(parts, file.origin, file.request)


def _one_after_the_other(file: LocalFile, members: Sequence[LocalFile], tables: Sequence[Table]) -> Table:
    first, *others = tables
    for one, table in zip(members[1:], others, strict=True):
        if table.names != first.names:
            raise file.error(
                "format.members_differ",
                member=one.origin,
                names=listed(shown(table.names)),
                first=listed(shown(first.names)),
            )
    if not others:
        return first
    places = (table.places for table in tables)
    return Table(
        first.names,
        lambda request: _write_all(tables, request),
        lambda: chain(*(one() for one in places)),
        lambda: sum(table.left_out() for table in tables),
    )


def _write_all(tables: Sequence[Table], request: Request) -> int:
    """All tables into one file, in their order."""
    with tempfile.TemporaryDirectory(dir=request.scratch, prefix="parts-") as folder, connect(request.scratch) as con:
        parts = [Path(folder) / f"{number}.parquet" for number in range(len(tables))]
        count = sum(table.write(replace(request, target=part)) for table, part in zip(tables, parts, strict=True))
        names = ", ".join(map(identifier, [*tables[0].names, UNREAD]))
        source = f"read_parquet([{literals(map(str, parts))}])"
        con.execute("SET preserve_insertion_order = true")
        write_file(con, f"SELECT {names} FROM {source}", request.target)
    return count
