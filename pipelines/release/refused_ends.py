"""Records that are still shown while the row that may end them waits in quarantine: findings of the model's owner.

A repair, a removal or a withdrawal that was refused leaves what stood before. Belongs here: which published rows such a
row names. Does not belong here: until when a row is shown (`publicity`), and refused rows in general (`quarantine`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from pipelines.codecs.sql import identifier, literals
from pipelines.contracts.resolved import ProductContract
from pipelines.issues import Finding
from pipelines.lake import delta

AREA = "publicity"
LISTED = 20
"""So many records are named in an issue; the file of refused rows has all."""


def still_shown(
    contract: ProductContract, location: Path, version: int, named: Mapping[str, list[str]]
) -> Iterator[Finding]:
    """A finding for each source of which refused rows name rows of a published version. `named`: by source what its
    open refused rows name."""
    key = contract.form.key[0]
    for source, names in named.items():
        if not names:
            continue
        read = delta.scan(delta.open_table(location, version))
        query = f"SELECT DISTINCT {identifier(key)} FROM {read.source} WHERE {identifier(key)} IN ({literals(names)})"
        with duckdb.connect() as con:
            shown = [value for (value,) in con.execute(f"{query} ORDER BY 1").fetchall()]
        if shown:
            records = "、".join(shown[:LISTED]) + ("……" if len(shown) > LISTED else "")
            about = {"source": source, "rows": len(shown), "records": records}
            yield Finding("publicity.end_refused", about, "error", source, len(shown))
