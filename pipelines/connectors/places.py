"""Where rows of a kept delivery stand in the files that it came as: sheet and row, line, record, member of an archive.

Asked only for rows that somebody is shown, by reading the kept files once more as they were read then; nothing of it is
stored. Files that are no longer kept have no places.
"""

import shutil
import tarfile
import tempfile
from collections.abc import Collection, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

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
    names = pq.read_table(folder / request.target.name, columns=[FILE]).column(FILE).to_pylist()
    found: dict[int, Place] = {}
    start = 0
    request.scratch.mkdir(parents=True, exist_ok=True)
    with (
        tarfile.open(folder / ARCHIVE, encoding="utf-8") as archive,
        tempfile.TemporaryDirectory(prefix="places-", dir=request.scratch) as copies,
    ):
        for name, group in groupby(names):
            end = start + sum(1 for _ in group)
            if wanted := [row - start for row in rows if start <= row < end]:
                stream = archive.extractfile(name)
                assert stream is not None  # only plain files were packed
                copy = Path(copies) / "copy"
                with stream, copy.open("wb") as out:
                    shutil.copyfileobj(stream, out)
                placed = _of_file(LocalFile(copy, name, request), arguments, wanted)
                found |= {row + start: place for row, place in placed.items()}
            start = end
    return found


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
