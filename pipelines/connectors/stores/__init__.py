"""Stores: where departments put files. A folder of this machine, a folder behind SFTP, a prefix of an S3 bucket.

The scheme of a connection string chooses. Which files are complete and which were taken is in `drop_box`.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from pipelines.connectors.stores.base import Store, StoredFile, StoreError
from pipelines.connectors.stores.folder import Folder
from pipelines.connectors.stores.s3 import S3
from pipelines.messages import CitylakeError

__all__ = ["Store", "StoreError", "StoredFile", "open_store"]


def _sftp(address: str, connection: str, owner: str) -> Store:
    from pipelines.connectors.stores.sftp import Sftp  # its library costs every other process a third of a second

    return Sftp(address, connection, owner)


SCHEMES: dict[str, Callable[[str, str, str], Store]] = {"file": Folder, "sftp": _sftp, "s3": S3}


def open_store(address: str, connection: str, owner: str) -> Store:
    """The store of a connection string, to be used as a context manager. Nothing of the string is told in messages.

    Raises CitylakeError for a string that is none, a folder that is missing, and a server that cannot be reached, does
    not know the account, or is not the one whose host key was pinned.
    """
    try:
        scheme = urlsplit(address).scheme
        store = SCHEMES[scheme]
    except (ValueError, KeyError):
        raise CitylakeError("pull.no_folder", connection=connection) from None
    return store(address, connection, owner)
