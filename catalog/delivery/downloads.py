"""Downloads: one file of what a caller may read, in any format, with its checksum.

Open products are served from the files made at release where there are any; everything else is written once from the
policy's extract, so that all formats have the same rows and columns. CSV is RFC 4180: UTF-8 with byte order mark,
comma, CRLF, quotes where needed; an empty field is NULL and `""` is an empty text; values are unaltered, so a text
that begins like a formula stays as it is (XLSX is for spreadsheets); times are ISO 8601 in UTC.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from catalog.delivery import dictionary, formats, layers, workbooks
from catalog.delivery.extracts import Extract
from catalog.delivery.formats import FORMATS, GEOGRAPHIC, Format
from catalog.delivery.ranges import Asked
from catalog.delivery.views import Views
from catalog.delivery.work import BOOK_COST
from catalog.listing import Offering
from catalog.policy.decision import Allowed
from pipelines.lake.errors import TornFile
from pipelines.lake.parquet import sha256
from pipelines.register.times import as_utc
from pipelines.settings import Settings
from pipelines.synthetic import IS_TEST


@dataclass(frozen=True)
class Download:
    """One file: where it lies, bytes, SHA-256 in hexadecimal."""

    path: Path
    format: Format
    size: int
    sha256: str


class Downloads:
    """Finds or writes the file of a product that a decision lets through."""

    def __init__(self, settings: Settings, views: Views, url: str, made_up: Callable[[], bool]) -> None:
        """`made_up`: whether the home's data are."""
        self._made_up = made_up
        self._settings = settings
        self._views = views
        self._url = url

    def formats(self, offering: Offering, columns: Sequence[str] | None = None) -> tuple[Format, ...]:
        """In which formats a product can be had, by who sees these columns; by default all of them."""
        return FORMATS + (GEOGRAPHIC if self._layer(offering, columns) else ())

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
        """The file in one of its `formats`, written if nobody asked before. Raises LakeError, DoesNotFit for XLSX."""
        for file in self.released(offering, allowed):
            if file.format == kind:
                if not file.path.is_file() or file.path.stat().st_size != file.size:
                    raise TornFile("lake.torn_file", file=str(file.path))
                return file
        extract = self._views.extract(allowed)
        if kind == "xlsx":
            workbooks.require_rows(extract.rows)
        name, about = f"{offering.product.name}.{kind}", self._about(offering, allowed, extract, kind)
        said = "" if about is None else f"-{hashlib.sha256(repr(about).encode()).hexdigest()[:12]}"

        def build(partial: Path) -> None:
            self._write(extract, partial / name, kind, about)

        cost = extract.rows * (BOOK_COST if kind == "xlsx" else 1)
        folder = self._views.beside(allowed, f"{extract.key}-{kind}{said}", build, cost)
        written = json.loads((folder / "file.json").read_text("utf-8"))
        return Download(folder / name, kind, written["size"], written["sha256"])

    def _about(
        self, offering: Offering, allowed: Allowed, extract: Extract, kind: Format
    ) -> layers.Layer | workbooks.About | None:
        """What a file says besides its rows, None for a format that has no place for it."""
        if kind == "xlsx":
            return about_book(offering, self._url, allowed, extract.columns, extract.rows, self._made_up())
        return self._layer(offering, extract.columns, allowed) if kind in GEOGRAPHIC else None

    def _write(
        self, extract: Extract, target: Path, kind: Format, about: layers.Layer | workbooks.About | None
    ) -> None:
        query = f"SELECT * FROM {extract.relation} ORDER BY ALL"
        with self._views.folders.connection() as con:
            if isinstance(about, layers.Layer):
                layers.WRITERS[kind](con, query, target, about)
            elif about is not None:
                workbooks.write(con, query, target, about)
            else:
                formats.WRITERS[kind](con, query, target)
        written = {"size": target.stat().st_size, "sha256": sha256(target)}
        target.with_name("file.json").write_text(json.dumps(written), "utf-8")

    def _layer(
        self, offering: Offering, columns: Sequence[str] | None, allowed: Allowed | None = None
    ) -> layers.Layer | None:
        product, release = offering.product, offering.release
        shown = [column.name for column in product.columns] if columns is None else columns
        masks = {} if allowed is None else dict(allowed.masks)
        return None if release is None else layers.layer_of(product, release, shown, masks)


def about_book(
    offering: Offering, url: str, allowed: Allowed, columns: Sequence[str], rows: int, made_up: bool
) -> workbooks.About:
    """What the second sheet of a book says of these columns. The licence travels with the data. `made_up`: whether the
    home's data are."""
    product, release = offering.product, offering.release
    assert release is not None
    facts = {
        "web.sheet.dataset": f"{product.form.name} / {product.form.nameEn}",
        "web.sheet.address": f"{url}/datasets/{product.id}",
        "web.dataset.version": str(allowed.version),
        "web.dataset.as_of": str(release.body.get("as_of", "—")),
        "web.dataset.rows": f"{rows:,}",
        "web.dataset.licence": product.form.licence or "—",
        **({"web.sheet.is_test": "true"} if made_up else {}),
    }
    entries = dictionary.entries(product, columns, allowed.masks)
    return workbooks.About(list(facts.items()), entries, as_utc(release.at))


def headers(download: Download, title: str, product: str, version: int, made_up: bool) -> dict[str, str]:
    """HTTP headers of a download: a file name in Chinese with an ASCII one beside it, and the checksum three ways. The
    name of a file of made-up data says so: a CSV file has no other place for it that stays with the file."""
    rest = f"v{version}{f'_{IS_TEST}' if made_up else ''}.{download.format}"
    plain, chinese = f"{product}_{rest}", f"{title}_{rest}"
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(chinese, safe='')}",
        **checksum_headers(download.sha256),
        "Cache-Control": "private, no-cache",
    }


class SentFile(FileResponse):
    """What was asked for of a file as an answer, or its head. In pieces of 1 MiB a large one is sent as fast as nginx
    sends it; in Starlette's own of 64 KiB passing the pieces on takes four times as long."""

    chunk_size = 1 << 20

    def __init__(self, path: Path, part: Asked, headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(path, headers=headers, media_type=media_type)
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send just what the audit was told: what the request says of parts was read before."""
        headers = [pair for pair in scope["headers"] if pair[0] not in (b"range", b"if-range")]
        if self._part.header is not None:
            headers.append((b"range", self._part.header.encode()))
        await super().__call__({**scope, "headers": headers}, receive, send)


def checksum_headers(sha256: str) -> dict[str, str]:
    """A SHA-256 in hexadecimal as HTTP headers tell it."""
    digest = b64encode(bytes.fromhex(sha256)).decode()
    return {
        "ETag": f'"{sha256}"',
        "X-Checksum-SHA256": sha256,
        "Digest": f"SHA-256={digest}",
        "Repr-Digest": f"sha-256=:{digest}:",
    }
