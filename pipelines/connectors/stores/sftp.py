"""A folder behind SFTP: `sftp://user:password@host:port/folder?host_key=SHA256:…`.

The server must be the one that was pinned, by `host_key` (once for each of its keys) or by a file `known_hosts`;
a key that nobody pinned is never accepted. `key` names the file of a private key; the password then opens that file.
"""

import stat
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import paramiko

from pipelines.connectors.stores.base import Store, StoredFile, StoreError, coarse_looks
from pipelines.messages import CitylakeError

PORT = 22
PATIENCE = 20.0
"""Seconds for the server to answer."""
WINDOW = 64
"""Requests of 32 kB on their way at a time: otherwise all of a file would be asked for at once."""


class _WrongKey(paramiko.SSHException):
    """The server's host key is not pinned."""


class _Pinned(paramiko.MissingHostKeyPolicy):
    """Lets pass only keys with pinned fingerprints."""

    def __init__(self, fingerprints: list[str]) -> None:
        self.fingerprints = {text.removeprefix("SHA256:").rstrip("=") for text in fingerprints}

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Raises _WrongKey."""
        if b64encode(sha256(key.asbytes()).digest()).decode().rstrip("=") not in self.fingerprints:
            raise _WrongKey("host key")


class Sftp(Store):
    """Times are the server's. Names must be UTF-8."""

    def __init__(self, address: str, connection: str, owner: str) -> None:
        super().__init__(address, connection, owner)
        self.path = unquote(self.parts.path) or "."
        self._client = paramiko.SSHClient()
        try:
            self.session = self._connect()
        except (_WrongKey, paramiko.BadHostKeyException):
            self._client.close()
            raise self.error("pull.store_host_key") from None
        except (OSError, EOFError, ValueError, paramiko.SSHException) as error:
            self._client.close()
            raise self.error("pull.store_unreachable", problem=type(error).__name__) from None

    def _connect(self) -> paramiko.SFTPClient:
        fingerprints, known, keys = self.option("host_key"), self.option("known_hosts"), self.option("key")
        if not fingerprints and not known:
            raise _WrongKey("none pinned")
        for file in known:
            self._client.load_host_keys(file)
        self._client.set_missing_host_key_policy(_Pinned(fingerprints))
        password = unquote(self.parts.password) if self.parts.password else None
        self._client.connect(
            self.parts.hostname or "",
            self.parts.port or PORT,
            unquote(self.parts.username or ""),
            password=None if keys else password,
            passphrase=password if keys else None,
            key_filename=keys or None,
            timeout=PATIENCE,
            banner_timeout=PATIENCE,
            auth_timeout=PATIENCE,
            channel_timeout=PATIENCE,
            allow_agent=False,
            look_for_keys=False,
        )
        session = self._client.open_sftp()
        session.get_channel().settimeout(PATIENCE)
        return session

    def close(self) -> None:
        self._client.close()

    def entries(self) -> list[StoredFile]:
        """Raises CitylakeError for a folder that is missing and a name that is no text."""
        try:
            found = self.session.listdir_attr(self.path)
        except UnicodeDecodeError as error:
            folder, name = self.path.rpartition("/")[2], error.object.decode("gb18030", "replace")
            raise CitylakeError("pull.file_name", folder=folder, file=name) from None
        except FileNotFoundError:
            raise self.error("pull.store_no_folder") from None
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise StoreError(type(error).__name__) from None
        return [_entry(one.filename, one) for one in found if one.st_mode is None or stat.S_ISREG(one.st_mode)]

    def fetch(self, file: StoredFile, target: Path) -> None:
        try:
            with target.open("wb") as copy:
                self.session.getfo(f"{self.path}/{file.name}", copy, max_concurrent_prefetch_requests=WINDOW)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise StoreError(type(error).__name__) from None


def _entry(name: str, status: paramiko.SFTPAttributes) -> StoredFile:
    size, modified = int(status.st_size or 0), float(status.st_mtime or 0)
    return StoredFile(name, size, modified, time.time() - modified, coarse_looks(size, modified))
