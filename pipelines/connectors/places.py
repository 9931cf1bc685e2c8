"""Where rows of a kept delivery stand in the files that it came as: sheet and row, line, record, member of an archive.

Asked only for rows that somebody is shown, by reading the kept files once more as they were read then; nothing of it is
stored. Files that are no longer kept have no places.
"""

import shutil
import tarfile
import tempfile
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.connectors.base import Request
from pipelines.connectors.drop_batch import ARCHIVE, FILE
from pipelines.connectors.formats import LocalFile, Place, formats, opened
from pipelines.messages import CitylakeError

ORIGINAL = "original*"
"""The name of the kept file, where a delivery came as one."""


def places(
    request: Request, arguments: Mapping[str, Any], folder: Path, origin: str, rows: Collection[int]
) -> dict[int, Place]:
    """The places of some rows of a delivery, by their number in raw from 0; none for one that cannot be looked up.

    `arguments`: how the connector was asked then; `folder`: the delivery in raw; `origin`: how messages call its file.
    """
    if arguments.get("format", "csv") not in formats:
        return {}
    try:
        if (folder / ARCHIVE).is_file():
            return _of_several(request, arguments, folder, rows)
        file = next(folder.glob(ORIGINAL), None)
        return _of_file(LocalFile(file, origin, request), arguments, rows) if file else {}
    except (CitylakeError, OSError, tarfile.TarError):  # read once already: now it is damaged, and told elsewhere
        return {}


def _of_several(
    request: Request, arguments: Mapping[str, Any], folder: Path, rows: Collection[int]
) -> dict[int, Place]:
    """Of a delivery of many files: its rows follow each other as its files do."""
    found: dict[int, Place] = {}
    asked = sorted(rows)
    request.scratch.mkdir(parents=True, exist_ok=True)
    with (
        tarfile.open(folder / ARCHIVE, encoding="utf-8") as archive,
        tempfile.TemporaryDirectory(prefix="places-", dir=request.scratch) as copies,
    ):
        for name, start, end in files_of(folder / request.target.name):
            first, last = bisect_left(asked, start), bisect_left(asked, end)
            if wanted := [row - start for row in asked[first:last]]:
                stream = archive.extractfile(name)
                assert stream is not None  # only plain files were packed
                copy = Path(copies) / "copy"
                with stream, copy.open("wb") as out:
                    shutil.copyfileobj(stream, out)
                placed = _of_file(LocalFile(copy, name, request), arguments, wanted)
                found |= {row + start: place for row, place in placed.items()}
    return found


def files_of(batch: Path) -> Iterator[tuple[str, int, int]]:
    """The files of a batch of many, each with its first row and the one behind its last. Names are never held by row:
    a batch of millions would take hundreds of megabytes for them."""
    name, first, end = "", 0, 0
    with pq.ParquetFile(batch) as file:
        for group in file.iter_batches(columns=[FILE]):
            runs, begun = pc.run_end_encode(group.column(0)), end
            for one, until in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                if one != name:
                    if end > first:
                        yield name, first, end
                    name, first = one, end
                end = begun + until
    if end > first:
        yield name, first, end


def _of_file(file: LocalFile, arguments: Mapping[str, Any], rows: Collection[int]) -> dict[int, Place]:
    format = arguments.get("format", "csv")
    options = {name: value for name, value in arguments.items() if name in formats[format].parameters}
    wanted, last, found = set(rows), max(rows), dict[int, Place]()
    with opened(file, format, arguments.get("member"), **options) as table:
        for number, place in enumerate(table.places()):
            if number in wanted:
                found[number] = place
            if number >= last:
                break
    return found
