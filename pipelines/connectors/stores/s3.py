"""A prefix of a bucket in an S3-compatible store: `s3://key:secret@bucket/prefix?endpoint=https://host:port`.

Options: `endpoint`, `region`, `style` (`path`, the default, or `virtual`). Without key and secret nobody is asked
for any: no profile of this machine, no metadata service of a cloud.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from shutil import copyfileobj
from urllib.parse import unquote, urlsplit

from pyarrow import fs

from pipelines.connectors.stores.base import Store, StoredFile, StoreError, coarse_looks

CONNECT, REQUEST = 10.0, 60.0
"""Seconds for a connection and for an answer."""
ATTEMPTS = 3
_TOLD = re.compile(r"AWS Error ([A-Z_]{3,40})")


class S3(Store):
    """An object appears whole or not at all, so none is ever too young. Times are the store's, to the second."""

    certain = True

    def __init__(self, address: str, connection: str, owner: str) -> None:
        super().__init__(address, connection, owner)
        self.prefix = f"{self.parts.hostname or ''}/{unquote(self.parts.path).strip('/')}".rstrip("/")
        os.environ["AWS_EC2_METADATA_DISABLED"] = (
            "true"  # the library reads it; a lookup would hang where there is none
        )
        try:
            self.filesystem = self._connect()
        except (OSError, ValueError) as error:
            raise self.error("pull.store_unreachable", problem=problem_named(error)) from None

    def _connect(self) -> fs.S3FileSystem:
        """Raises ValueError for an endpoint that is none."""
        endpoint = urlsplit(next(iter(self.option("endpoint")), ""))
        if not self.parts.hostname or endpoint.scheme not in ("http", "https") or not endpoint.netloc:
            raise ValueError
        account: dict[str, str | bool] = {
            "access_key": unquote(self.parts.username or ""),
            "secret_key": unquote(self.parts.password or ""),
        }
        return fs.S3FileSystem(
            **(account if account["access_key"] else {"anonymous": True}),
            endpoint_override=endpoint.netloc,
            scheme=endpoint.scheme,
            region=next(iter(self.option("region")), "us-east-1"),
            force_virtual_addressing="virtual" in self.option("style"),
            connect_timeout=CONNECT,
            request_timeout=REQUEST,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            allow_delayed_open=True,  # what is small is written by one request
        )

    def entries(self) -> list[StoredFile]:
        try:
            found = self.filesystem.get_file_info(fs.FileSelector(self.prefix, recursive=False, allow_not_found=True))
        except OSError as error:
            raise StoreError(problem_named(error)) from None
        if not found:
            self._require_bucket()
        return [_entry(one) for one in found if one.type == fs.FileType.File]

    def _require_bucket(self) -> None:
        """A prefix is there as soon as an object is; only the bucket can be missing."""
        with suppress(OSError):  # an account may be allowed to list a prefix and not to ask for its bucket
            if self.filesystem.get_file_info(self.prefix.partition("/")[0]).type == fs.FileType.NotFound:
                raise self.error("pull.store_no_folder")

    def fetch(self, file: StoredFile, target: Path) -> None:
        try:
            with self.filesystem.open_input_stream(f"{self.prefix}/{file.name}") as source, target.open("wb") as copy:
                copyfileobj(source, copy, 1 << 20)
        except OSError as error:
            raise StoreError(problem_named(error)) from None


def _entry(found: fs.FileInfo) -> StoredFile:
    modified = found.mtime_ns / 1e9
    return StoredFile(found.base_name, found.size, modified, float("inf"), coarse_looks(found.size, modified))


def problem_named(error: Exception) -> str:
    """What went wrong, by the store's own name for it: texts of this library hold addresses and keys."""
    told = _TOLD.search(str(error))
    return told[1] if told else type(error).__name__
