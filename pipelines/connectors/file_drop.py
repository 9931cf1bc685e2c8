"""Connector `file_drop`: files that a department puts into a folder, behind SFTP or into a bucket, in any format.

A file counts as complete when its marker `<file>.ok` lies beside it, or when it has not changed for a while. It is kept
unchanged in raw beside its rows, and the rows are read from that copy. Every value stays text; what a row means is
judged by admission, so a row that does not fit its header has only its text, in column UNREAD, and is refused there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipelines.connectors import drop_batch
from pipelines.connectors.base import (
    About,
    Delimiter,
    Encoding,
    Pulled,
    Request,
    connectors,
    first_written,
    require_columns,
)
from pipelines.connectors.drop_box import Complete, DropBox
from pipelines.connectors.formats import Format, HeaderRow, LocalFile, Notes, check_options, opened
from pipelines.connectors.stores import StoreError, open_store
from pipelines.lake.parquet import sha256

LONGEST_NAME = 60
"""Characters of a file's name that its copy keeps: with a prefix, and in any script, the file system can hold them."""


@connectors.register(About(asks=False), check=check_options)
def file_drop(
    request: Request,
    *,
    connection: str,
    files: Annotated[str, Field(pattern=r"^[^/]+$")],
    format: Format,
    complete: Complete = "marker",
    together: bool = False,
    member: str | None = None,
    encoding: Encoding | None = None,
    delimiter: Delimiter | None = None,
    header_row: HeaderRow | None = None,
    header_rows: Annotated[int, Field(ge=1, le=5)] | None = None,
    sheet: str | None = None,
    sheets: Literal["all"] | None = None,
    notes: Notes | None = None,
    records: str | None = None,
    layer: str | None = None,
) -> Pulled | None:
    """Take the first file, by name, that matches `files` and was not taken before; if `together`, all as one batch.

    `member`: files are archives, and this is the pattern of what to read in them. The arguments after it are options of
    the format: `records` says where the records are, keys with slashes in JSON, the element's name in XML.

    Position: of every file still lying there that was taken, by name, the SHA-256 and how it looked. What was taken and
    does not lie there any more is in the receipts. Raises
    CitylakeError for a folder that is missing, a store that does not answer, a file that cannot be read as what it
    is said to be, missing columns, and a file that is changed while it is read.
    """

    def write(copy: Path, origin: str, target: Path) -> drop_batch.Written:
        """The rows of a copied file as Parquet."""
        options = {
            "encoding": encoding,
            "delimiter": delimiter,
            "header_row": header_row,
            "header_rows": header_rows,
            "sheet": sheet,
            "sheets": sheets,
            "notes": notes,
            "records": records,
            "layer": layer,
        }
        into = replace(request, target=target)
        with opened(LocalFile(copy, origin, into), format, member, **options) as table:

            def rows() -> Iterator[Sequence[object]]:
                table.write(into)
                yield from first_written(target, table.names)

            require_columns(request, table.names, origin, rows)
            return drop_batch.Written(table.names, table.write(into), table.left_out())

    with open_store(request.secret(connection), connection, request.owner) as store:
        try:
            box = DropBox(store, request, files, complete)
            return (
                drop_batch.take(box, request, write)
                if together and request.most is None
                else _take_one(box, request, write)
            )
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
    written = write(copy, file.name, request.target)
    drop_batch.require_unchanged(box, {file.name: mark}, request)
    taken, more = {file.name: mark}, next(fresh, None) is not None
    return Pulled(written.rows, written.names, file.name, box.position(taken), more, written.left_out, taken)
