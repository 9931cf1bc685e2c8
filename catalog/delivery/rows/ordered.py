"""The rows of an extract in one file and one order, beside its view: what pages are counted through.

The order is that of all visible columns, so the place of a row follows from what the caller may see and is the same
whenever the file is built again: rows that are equal in everything shown cannot be told apart anyway. The file goes
when views go, for instance after an order to erase; its fingerprint then changes, and old cursors end.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from catalog.delivery.extracts import Extract
from catalog.delivery.views import Views
from catalog.policy.decision import Allowed
from pipelines.codecs.sql import literal

FORMAT = 1
"""Part of the folder's name: raise it when files are built differently."""
_FILE, _ABOUT = "rows.parquet", "rows.json"


@dataclass(frozen=True)
class Ordered:
    """Where the rows lie, how many there are, and a fingerprint of their content (hexadecimal)."""

    path: Path
    rows: int
    fingerprint: str


def named(extract: Extract) -> str:
    """What the folder of an extract's ordered rows is called among the views of its version."""
    return f"{extract.key}-rows{FORMAT}"


def ordered(views: Views, allowed: Allowed, extract: Extract) -> Ordered:
    """The rows of an extract, written if nobody asked before. Raises LakeError."""

    def build(partial: Path) -> None:
        target = literal(str(partial / _FILE))
        with views.folders.connection() as con:
            query = f"SELECT * FROM {extract.relation} ORDER BY ALL"
            con.execute(f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION zstd)")
            content = f"SELECT count(*), coalesce(sum(hash(t)), 0) FROM read_parquet({target}) AS t"
            ((rows, total),) = con.execute(content).fetchall()
        about = {"rows": rows, "fingerprint": f"{int(total) % 2**128:032x}"}
        (partial / _ABOUT).write_text(json.dumps(about), "utf-8")

    folder = views.beside(allowed, named(extract), build, extract.rows)
    return Ordered(folder / _FILE, **json.loads((folder / _ABOUT).read_text("utf-8")))
