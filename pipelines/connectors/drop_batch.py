"""Many small files of one drop as one batch: one commit for all of them instead of one each.

Each row carries the name of its file in column FILE; the files themselves lie unchanged in one archive beside the rows.
What a single file holds, and which are taken, is not decided here.
"""

import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pipelines.codecs.sql import identifier, literals
from pipelines.connectors.base import UNREAD, Pulled, Request
from pipelines.connectors.drop_box import DropBox
from pipelines.connectors.stores import StoredFile
from pipelines.engine import connect
from pipelines.lake.parquet import sha256, write_file
from pipelines.messages import CitylakeError

FILE = "_file"
"""The column in which rows of a batch of files carry the name of theirs."""
ARCHIVE = "originals.tar"
MOST_FILES, MOST_BYTES = 10_000, 2 << 30
"""Of one batch. What is beyond waits for the next one, which follows at once."""


class Written(NamedTuple):
    """What was written of a file: column names, how many rows, and how many its contract leaves out as no data."""

    names: tuple[str, ...]
    rows: int
    left_out: int


Write = Callable[[Path, str, Path], Written]
"""Write the rows of a copied file, called by its name in messages, to a Parquet file."""


def take(box: DropBox, request: Request, write: Write) -> Pulled | None:
    """Take all complete files that were not taken before, in order of their names; None if there is none.

    Raises CitylakeError for the first file that cannot be read; then none is taken. Raises StoreError.
    """
    files, more = _chosen(box)
    if not files:
        return None
    marks: dict[str, str] = {}
    names: dict[str, str] = {}  # by what DuckDB takes for the same name
    parts: list[Path] = []
    total = left_out = 0
    request.scratch.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="drop-", dir=request.scratch) as folder,
        tarfile.open(request.target.with_name(ARCHIVE), "w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for number, file in enumerate(files):
            copy, part = Path(folder) / "copy", Path(folder) / f"{number}.parquet"
            box.store.fetch(file, copy)
            marks[file.name] = sha256(copy)
            written = write(copy, file.name, part)
            archive.add(copy, file.name, recursive=False)
            for name in written.names:
                names.setdefault(name.casefold(), name)
            parts.append(part)
            total += written.rows
            left_out += written.left_out
        _join(request, list(names.values()), files, parts)
        require_unchanged(box, marks, request)
    return Pulled(total, tuple(names.values()), _origin(files), box.position(marks), more, left_out, marks)


def require_unchanged(box: DropBox, marks: Mapping[str, str], request: Request) -> None:
    """Raise CitylakeError if a file was changed while it was read. `marks`: SHA-256 of what was read, by name."""
    if (name := box.store.changed(marks)) is not None:
        raise CitylakeError("pull.file_changed", file=name, owner=request.owner)


def _chosen(box: DropBox) -> tuple[list[StoredFile], bool]:
    """The files of one batch, and whether others wait behind it."""
    chosen: list[StoredFile] = []
    size = 0
    for file in box.fresh():
        if chosen and (len(chosen) == MOST_FILES or size + file.size > MOST_BYTES):
            return chosen, True
        chosen.append(file)
        size += file.size
    return chosen, False


def _join(request: Request, names: list[str], files: list[StoredFile], parts: list[Path]) -> None:
    """All rows in the order of their files, each with its file's name. A column that a file lacks is NULL there."""
    if FILE in map(str.casefold, names):
        raise CitylakeError("pull.bad_header", file=_origin(files), names=f"“{FILE}”", owner=request.owner)
    columns = ", ".join(map(identifier, (*names, UNREAD)))
    read = f"read_parquet([{literals(map(str, parts))}], union_by_name = true, filename = '_path')"
    # Looked up by the number that a part is named by: a join could give rows in another order.
    name = f"list_extract([{literals(file.name for file in files)}], parse_filename(_path, true)::INTEGER + 1)"
    with connect(request.scratch) as con:
        con.execute("SET preserve_insertion_order = true")
        query = f"SELECT {columns}, {name} AS {FILE} FROM {read}"
        write_file(con, query, request.target)


def _origin(files: list[StoredFile]) -> str:
    return files[0].name if len(files) == 1 else f"{files[0].name} … {files[-1].name} ({len(files)})"
