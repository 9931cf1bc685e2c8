"""A prefix of an S3 bucket. Objects appear whole, one by one, so a package is whole when its marker is there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import fs

from catalog.delivery.files.outboxes.base import CHUNK, Outbox
from pipelines.connectors.stores.base import StoreError
from pipelines.connectors.stores.s3 import S3, problem_named


class S3Outbox(Outbox):
    """There is no renaming; what is written is seen."""

    def __init__(self, store: S3, folder: str) -> None:
        super().__init__(store, folder)
        self.files, self.prefix = store.filesystem, f"{store.prefix}/{folder}"

    def hidden(self, package: str) -> str:
        return package

    def names(self) -> list[str]:
        with self.told():
            return sorted(one.base_name for one in self._listed(self.prefix))

    def sizes(self, package: str) -> dict[str, int]:
        with self.told():
            found = self._listed(f"{self.prefix}/{package}")
            return {one.base_name: one.size for one in found if one.type == fs.FileType.File}

    def put(self, name: str, source: Path) -> None:
        target = f"{self.prefix}/{name}"
        with self.told(), source.open("rb") as stream, self.files.open_output_stream(target) as copy:
            shutil.copyfileobj(stream, copy, CHUNK)

    def put_text(self, name: str, text: str) -> None:
        with self.told(), self.files.open_output_stream(f"{self.prefix}/{name}") as copy:
            copy.write(text.encode())

    def read(self, name: str) -> Iterator[bytes]:
        with self.told(), self.files.open_input_stream(f"{self.prefix}/{name}") as stream:
            while piece := stream.read(CHUNK):
                yield piece

    def show(self, package: str) -> None:
        """It has been seen all along; the marker tells that it is whole."""

    def remove(self, name: str) -> None:
        with self.told():
            found = self.files.get_file_info(f"{self.prefix}/{name}")
            if found.type == fs.FileType.File:
                self.files.delete_file(found.path)
            elif found.type == fs.FileType.Directory:
                self.files.delete_dir(found.path)

    def _listed(self, prefix: str) -> list[fs.FileInfo]:
        listed: list[fs.FileInfo] = self.files.get_file_info(fs.FileSelector(prefix, allow_not_found=True))
        return listed

    @contextmanager
    def told(self) -> Iterator[None]:
        with super().told():
            try:
                yield
            except OSError as error:
                raise StoreError(problem_named(error)) from None
