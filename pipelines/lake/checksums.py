"""The two checksums by which a receipt knows a file: SHA-256 and SM3 (GB/T 32905-2016), from one reading of it.

Belongs here: reading a file for both, and telling which of them a file is not. Does not belong here: which file a
receipt names (release/files), marks by which one version of a file is known from the next (`parquet.sha256`).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from cryptography.hazmat.primitives import hashes

from pipelines.lake.errors import LacksChecksums

NAMES = {"sha256": "SHA-256", "sm3": "SM3"}
"""The keys of a receipt, and what messages call them."""
PART = 1 << 20


class Checksums(TypedDict):
    """Both checksums of a file's bytes, in lower-case hexadecimal."""

    sha256: str
    sm3: str


def checksums(file: Path) -> Checksums:
    """Both checksums of a file. It is read once, in parts."""
    international, national = hashlib.sha256(), hashes.Hash(hashes.SM3())
    with file.open("rb") as stream:
        while part := stream.read(PART):
            international.update(part)
            national.update(part)
    return {"sha256": international.hexdigest(), "sm3": national.finalize().hex()}


def named(said: Mapping[str, Any]) -> Checksums:
    """The checksums of what a receipt says of a file. Raises LacksChecksums for one from before there were both."""
    if not said.keys() >= NAMES.keys():
        raise LacksChecksums("lake.lacks_checksums", file=said.get("path") or said.get("name"))
    return {"sha256": said["sha256"], "sm3": said["sm3"]}


def differing(file: Path, expected: Checksums) -> list[str]:
    """The names of the checksums that a file does not have; both when it is gone."""
    if not file.is_file():
        return list(NAMES.values())
    found = checksums(file)
    return [name for key, name in NAMES.items() if found[key] != expected[key]]  # type: ignore[literal-required]
