"""Stores behind real servers: a folder, an SFTP server, an S3-compatible one; each with a way to put files into it.

Belongs here: servers and how a department uses them. Does not belong here: tests.
"""

import asyncio
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncssh
import boto3
import httpx
from moto.server import ThreadedMotoServer

USER, PASSWORD = "hc", "p@ss word/geheim"
ACCESS, SECRET = "geheim-key", "geheim/secret+"
OLD = time.time() - 3600


class Backend(ABC):
    """A store that a department writes to, and its connection string."""

    address: str

    @abstractmethod
    def put(self, name: str, content: bytes, modified: float | None = None) -> None:
        """Put a file, whole; `modified` where a store lets its users say."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Take a file away."""

    def close(self) -> None:  # noqa: B027 (a folder has no server)
        """Stop the server."""


class FolderBackend(Backend):
    """A mounted folder."""

    def __init__(self, root: Path) -> None:
        self.root = root / "投放 目录"
        self.root.mkdir()
        self.address = self.root.as_uri()

    def put(self, name: str, content: bytes, modified: float | None = None) -> None:
        (self.root / name).write_bytes(content)
        if modified is not None:
            os.utime(self.root / name, (modified, modified))

    def remove(self, name: str) -> None:
        (self.root / name).unlink()


class SftpBackend(FolderBackend):
    """The same folder behind an SSH server of its own, which shows nothing else. `fetched`: the files it gave out."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = self.root.rename(root / "sftp root")
        (self.root / "投放").mkdir()
        self.top, self.root = self.root, self.root / "投放"
        self.fetched: list[str] = []
        self.logins: list[str] = []
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.server = self._do(self._listen())
        self.port = self.server.get_port()
        self.address = self.address_with(host_key=self.key.get_fingerprint())

    def address_with(self, password: str = PASSWORD, user: str = USER, **options: str) -> str:
        account = f"{user}:{quote(password, safe='')}" if password else user
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        return f"sftp://{account}@127.0.0.1:{self.port}/{quote('投放')}?{query}"

    async def _listen(self) -> Any:
        backend = self

        class Server(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                backend.logins.append(username)
                return (username, password) == (USER, PASSWORD)

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                return key == backend.user_key.convert_to_public()

        class Files(asyncssh.SFTPServer):
            def __init__(self, channel: Any) -> None:
                super().__init__(channel, chroot=str(backend.top))

            def open(self, path: bytes, pflags: int, attrs: Any) -> Any:
                backend.fetched.append(path.decode().rpartition("/")[2])
                return super().open(path, pflags, attrs)

        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Server, server_host_keys=[self.key], sftp_factory=Files
        )

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def close(self) -> None:
        self._do(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def _end(self) -> None:
        self.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class S3Backend(Backend):
    """A bucket of a server that speaks S3."""

    def __init__(self) -> None:
        self.server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.server.start()
        host, self.port = self.server.get_host_and_port()
        httpx.post(f"http://{host}:{self.port}/moto-api/reset")  # all of its servers share their buckets
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{self.port}",
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            region_name="cn-north-1",
        )
        self.client.create_bucket(Bucket="drop", CreateBucketConfiguration={"LocationConstraint": "cn-north-1"})
        self.address = self.address_of("drop")

    def address_of(self, bucket: str, endpoint: str = "") -> str:
        account = f"{quote(ACCESS, safe='')}:{quote(SECRET, safe='')}"
        endpoint = endpoint or f"http://127.0.0.1:{self.port}"
        return f"s3://{account}@{bucket}/{quote('投放/卫健')}?endpoint={quote(endpoint, safe='')}&region=cn-north-1"

    def put(self, name: str, content: bytes, modified: float | None = None) -> None:
        self.client.put_object(Bucket="drop", Key=f"投放/卫健/{name}", Body=content)

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket="drop", Key=f"投放/卫健/{name}")

    def close(self) -> None:
        self.server.stop()


@contextmanager
def backend(kind: str, root: Path) -> Iterator[Backend]:
    """A running store: folder, sftp or s3."""
    made: Backend = {"folder": FolderBackend, "sftp": SftpBackend}[kind](root) if kind != "s3" else S3Backend()
    try:
        yield made
    finally:
        made.close()
