"""The audit as a CSV file for a browser: written in one of the few places for expensive work, then audited, then sent.

So neither many who ask at once nor one who reads slowly keeps others from what they ask for, and no row goes out before
the audit knows how many do.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial

from fastapi.responses import StreamingResponse

from catalog.delivery.folders import PARTIAL, private
from catalog.policy import inquiry
from catalog.web.site import Site
from pipelines.lake.errors import disk_full_named

CHUNK = 1 << 20
_HEADERS = {"Cache-Control": "private, no-store"}


def answer(
    site: Site, asked: inquiry.Asked, name: str, record: Callable[[int], None], hidden: frozenset[str] = frozenset()
) -> StreamingResponse:
    """All rows that answer, as a file of this name. `record` audits how many they are; `hidden`: see `as_csv`.

    Raises Busy, AuditUnavailable, LakeError for a full disk.
    """
    register, zone, folders = site.desk.register, site.zone(), site.desk.views.folders
    folder, rows = folders.root / PARTIAL, 0

    def counted() -> Iterator[dict[str, object]]:
        nonlocal rows
        for row in inquiry.rows(register, zone, asked):
            rows += 1
            yield row

    with folders.work.place(None), disk_full_named(folder):
        private(folders.root, folder)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open while it is sent; nameless, so nothing is left
        file.writelines(inquiry.as_csv(register, zone, counted(), hidden))
    record(rows)
    size = file.tell()
    file.seek(0)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size), **_HEADERS}
    return StreamingResponse(
        iter(partial(file.read, CHUNK), b""), media_type="text/csv; charset=utf-8", headers=headers
    )
