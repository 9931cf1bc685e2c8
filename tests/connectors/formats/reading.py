"""Reading one file in one format, as connectors do, back from the Parquet that was written."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.connectors.base import UNREAD, Request
from pipelines.connectors.formats import LocalFile, opened

OWNER = "市卫生健康委"


def request(folder: Path, expected: Sequence[str] = ()) -> Request:
    return Request(
        target=folder / "rows.parquet",
        root=folder,
        secret=lambda name: name,
        owner=OWNER,
        expected=tuple(expected),
        ignored=(),
        scratch=folder / "scratch",
    )


def local(folder: Path, data: bytes, expected: Sequence[str] = (), name: str = "交付[1].csv") -> LocalFile:
    path = folder / name
    path.write_bytes(data)
    return LocalFile(path, name, request(folder, expected))


def read_file(file: LocalFile, format: Any, **options: Any) -> list[dict[str, str | None]]:
    """The rows of a file; nothing of its own is left behind."""
    with opened(file, format, **options) as table:
        count = table.write(file.request)
    frame = pl.read_parquet(file.request.target)
    assert frame.height == count
    assert frame.columns == [*table.names, UNREAD]
    assert set(frame.dtypes) == {pl.String}
    assert not list(file.request.scratch.glob("[!s]*"))
    return frame.to_dicts()


def read(data: bytes, format: Any = "csv", expected: Sequence[str] = (), **options: Any) -> list[dict[str, str | None]]:
    """The rows of a file with this content, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return read_file(local(Path(folder), data, expected), format, **options)
