"""Downloads: one CSV or Parquet file of what a caller may read, with its checksum.

Open products are served from the files made at release; everything else is written once from the policy's extract.
CSV is RFC 4180: UTF-8 with byte order mark, comma, CRLF, quotes where needed; an empty field is NULL and `""` is an
empty text; values are unaltered, times are ISO 8601 in UTC.
"""

import json
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from catalog.delivery.extracts import Extract
from catalog.delivery.folders import Folders
from catalog.delivery.views import Views
from catalog.listing import Offering
from catalog.policy.decision import Allowed
from pipelines.codecs.sql import literal
from pipelines.lake.errors import TornFile
from pipelines.lake.parquet import sha256
from pipelines.release.products import write_csv
from pipelines.settings import Settings

Format = Literal["csv", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "parquet")
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True)
class Download:
    """One file: where it lies, bytes, SHA-256 in hexadecimal."""

    path: Path
    format: Format
    size: int
    sha256: str


class Downloads:
    """Finds or writes the file of a product that a decision lets through."""

    def __init__(self, settings: Settings, views: Views) -> None:
        self._settings = settings
        self._views = views
        self._folders: Folders = views.folders

    def released(self, offering: Offering, allowed: Allowed) -> list[Download]:
        """The files made at release, where the caller may have all of them: no limits, no column dropped since."""
        if offering.release is None or not self._views.needs_none(allowed):
            return []
        folder = self._settings.lake.root / "released" / "files" / allowed.product / f"v{allowed.version}"
        return [
            Download(folder / file["name"], file["format"], file["size"], file["sha256"])
            for file in offering.release.body.get("files", [])
            if file["format"] in FORMATS and Path(file["name"]).name == file["name"]
        ]

    def get(self, offering: Offering, allowed: Allowed, kind: Format) -> Download:
        """The file in one format, written now if nobody asked before. Raises LakeError."""
        for file in self.released(offering, allowed):
            if file.format == kind:
                if not file.path.is_file() or file.path.stat().st_size != file.size:
                    raise TornFile("lake.torn_file", file=str(file.path))
                return file
        extract = self._views.extract(allowed)
        target = self._views.folder(allowed.product, allowed.version) / f"{extract.key}-{kind}"
        name = f"{offering.product.name}.{kind}"
        folder = self._folders.get(target, lambda partial: self._write(extract, partial / name, kind))
        about = json.loads((folder / "file.json").read_text("utf-8"))
        return Download(folder / name, kind, about["size"], about["sha256"])

    def _write(self, extract: Extract, target: Path, kind: Format) -> None:
        ordered = target.with_name("rows.parquet") if kind == "csv" else target
        with self._folders.connection() as con:
            query = f"SELECT * FROM {extract.relation} ORDER BY ALL"
            con.execute(f"COPY ({query}) TO {literal(str(ordered))} (FORMAT parquet, COMPRESSION zstd)")
        if kind == "csv":
            write_csv(ordered, target)
            ordered.unlink()
        about = {"size": target.stat().st_size, "sha256": sha256(target)}
        target.with_name("file.json").write_text(json.dumps(about), "utf-8")


def headers(download: Download, title: str, product: str, version: int) -> dict[str, str]:
    """HTTP headers of a download: a file name in Chinese with an ASCII one beside it, and the checksum three ways."""
    digest = b64encode(bytes.fromhex(download.sha256)).decode()
    plain, chinese = f"{product}_v{version}.{download.format}", f"{title}_v{version}.{download.format}"
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(chinese, safe='')}",
        "ETag": f'"{download.sha256}"',
        "X-Checksum-SHA256": download.sha256,
        "Digest": f"SHA-256={digest}",
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, no-cache",
    }
