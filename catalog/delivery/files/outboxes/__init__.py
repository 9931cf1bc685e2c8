"""Folders of recipients that we write to: of this machine, behind SFTP, prefixes of S3 buckets.

How a store is reached, and that nothing of a connection string is told, is the reading side's:
`pipelines.connectors.stores`.
"""

from catalog.delivery.files.outboxes.base import Outbox
from catalog.delivery.files.outboxes.folder import FolderOutbox
from catalog.delivery.files.outboxes.s3 import S3Outbox
from pipelines.connectors.stores import open_store
from pipelines.connectors.stores.folder import Folder
from pipelines.connectors.stores.s3 import S3

__all__ = ["Outbox", "open_outbox"]


def open_outbox(address: str, connection: str, owner: str, folder: str) -> Outbox:
    """The folder of a delivery below what a connection string names.

    Raises CitylakeError for a string that is none, a base folder that is missing and a server that cannot be reached,
    does not know the account, or is not the one whose host key was pinned.
    """
    store = open_store(address, connection, owner)
    if isinstance(store, Folder):
        return FolderOutbox(store, folder)
    if isinstance(store, S3):
        return S3Outbox(store, folder)
    from catalog.delivery.files.outboxes.sftp import SftpOutbox  # its library costs every other process time
    from pipelines.connectors.stores.sftp import Sftp

    assert isinstance(store, Sftp)
    return SftpOutbox(store, folder)
