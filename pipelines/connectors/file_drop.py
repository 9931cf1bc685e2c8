"""Connector `file_drop`: files that a department puts into a folder, in any of the `formats`, one file a delivery.

A file counts as complete when its marker `<file>.ok` lies beside it, or when it has not changed for a while. It is kept
unchanged in raw beside its rows, and the rows are read from that copy. Every value stays text; what a row means is
judged by admission, so a row that does not fit its header has only its text, in column UNREAD, and is refused there.
"""

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field

from pipelines.connectors.base import About, Delimiter, Encoding, Pulled, Request, connectors, require_columns
from pipelines.connectors.formats import Format, HeaderRow, LocalFile, check_options, opened
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError

STABLE_SECONDS = 30
LONGEST_NAME = 60
"""Characters of a file's name that its copy keeps: with a prefix, and in any script, the file system can hold them."""

Complete = Literal["marker", "stable"]


@connectors.register(About(asks=False), check=check_options)
def file_drop(
    request: Request,
    *,
    connection: str,
    files: str,
    format: Format,
    complete: Complete = "marker",
    member: str | None = None,
    encoding: Encoding | None = None,
    delimiter: Delimiter | None = None,
    header_row: HeaderRow | None = None,
    header_rows: Annotated[int, Field(ge=1, le=5)] | None = None,
    sheet: str | None = None,
    sheets: Literal["all"] | None = None,
    records: str | None = None,
    layer: str | None = None,
) -> Pulled | None:
    """Take the first file, by name, that matches `files` and was not taken before.

    `member`: the file is an archive, and this is the pattern of what to read in it. The arguments after it are options
    of the format: `records` says where the records are, keys with slashes in JSON, the element's name in XML.

    Position: of every file still lying there that was taken, by name, the SHA-256 and how it looked. Raises
    CitylakeError for a folder that is missing, a file that cannot be read as what it is said to be, and missing
    columns.
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
    with opened(
        LocalFile(copy, file.name, request),
        format,
        member,
        encoding=encoding,
        delimiter=delimiter,
        header_row=header_row,
        header_rows=header_rows,
        sheet=sheet,
        sheets=sheets,
        records=records,
        layer=layer,
    ) as table:
        require_columns(request, table.names, file.name)
        count = table.write(request)
    if sha256(file) != mark:
        raise CitylakeError("pull.file_changed", file=file.name, owner=request.owner)
    there = {one.name for one in folder.glob(files)}
    entry = {"sha256": mark, "looks": looks}
    position = {"files": {name: one for name, one in {**taken, file.name: entry}.items() if name in there}}
    return Pulled(count, table.names, file.name, position, next(fresh, None) is not None)


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
