"""What can go wrong in the lake, as exceptions a steward can read. Their texts are in pipelines/messages/lake.yaml.

Belongs here: exception classes and the translation of "disk full" of three libraries into one. Not: recovery.
"""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.messages import CitylakeError

NO_SPACE = re.compile("no space left on device|database or disk is full", re.IGNORECASE)
LITTLE = 1 << 20  # bytes: a disk with less room is called full when an error does not say so itself


class LakeError(CitylakeError):
    """Anything the lake refuses or cannot do. The old version of a table is intact whenever one is raised."""


class BadName(LakeError):
    """A zone, dataset, model or partition name that cannot be a path or a Delta partition value."""


class RefusedType(LakeError):
    """A column whose DuckDB type Delta cannot hold."""


class MissingTable(LakeError):
    """No Delta table, or not that version of it, at a location."""


class StaleWrite(LakeError):
    """Another writer committed since the version this write was made from."""


class ChangedColumns(LakeError):
    """The columns differ from those of the table and the write does not allow that."""


class TornFile(LakeError):
    """A data file is gone, shorter or longer than its table says, or no Parquet."""


class LacksChecksums(LakeError):
    """A receipt names a file without both checksums: the home is older than they are."""


class LostKey(LakeError):
    """The key is gone, or another, under which values were released: nothing opens them or makes them again."""


class NullPartition(LakeError):
    """A partition column is NULL, which no Delta partition filter would find again."""


class DiskFull(LakeError):
    """No space was left; nothing was committed."""


class RunLocked(LakeError):
    """Another run holds the lock of this home."""


class BuildFailed(LakeError):
    """dbt could not start the models at all."""


@contextmanager
def disk_full_named(location: Path) -> Iterator[None]:
    """Turn the "no space left" of Python, DuckDB, deltalake, polars and SQLite into DiskFull; the rest passes."""
    try:
        yield
    except Exception as error:
        if _means_full(error, location):
            raise DiskFull("lake.disk_full", location=str(location)) from error
        raise


def _means_full(error: Exception, location: Path) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if "disk i/o error" in str(error).lower():  # SQLite's words when it cannot make its shared-memory file
        return shutil.disk_usage(location).free < LITTLE
    return NO_SPACE.search(str(error)) is not None
