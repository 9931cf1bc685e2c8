"""Publishing what was approved: promote, read back, write downloads, then one ledger transaction for the edition.

Until the ledger rows are written nobody reads the new versions; a run killed before that changes nothing for readers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import QueryBuilder

from pipelines.codecs.sql import identifier
from pipelines.contracts.load import Product
from pipelines.lake import delta
from pipelines.lake.candidate import fingerprint, promote
from pipelines.lake.content import content_hash
from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError
from pipelines.release.files import changes_of, data_files
from pipelines.release.ledger import RELEASE, Entry, Recorded
from pipelines.release.products import write_files

APPLICATION = "citylake.release"
Counts = dict[str, int]
ROWS = "_rows"


@dataclass(frozen=True)
class Approved:
    """An approved candidate. `target`: its table in `released/`; `body`: what the ledger will say of it."""

    subject: str
    location: Path
    version: int
    fingerprint: str
    target: Path
    product: Product | None
    body: dict[str, Any]


def publish(
    approved: Sequence[Approved],
    edition: str,
    number: int,
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    newest: Mapping[str, Recorded],
    rewritings: Sequence[Recorded],
) -> list[Entry]:
    """Promote every approved candidate and prove it by reading it back; returns the ledger entries to record.

    `number` grows with every edition; `newest`: the newest release of each subject before it; `rewritings`: all
    receipts of orders and ended periods. Raises CitylakeError when a candidate changed since its evidence or the public
    version reads differently from it; LakeError, DiskFull.
    """
    entries: list[Entry] = []
    changes = changes_of(rewritings)
    for item in approved:
        before = newest.get(item.subject)
        entry = _publish_one(item, edition, number, lake, con, before)
        assert entry.version is not None  # it was promoted
        entry.body["data"] = data_files(lake, item.target, entry.version, before, changes)
        entries.append(entry)
        if item.product is not None:
            model = item.product.contract.form.model
            entries[-1].body["model_version"] = next(entry.version for entry in entries if entry.subject == model)
    return entries


def _publish_one(
    item: Approved, edition: str, number: int, lake: Lake, con: duckdb.DuckDBPyConnection, before: Recorded | None
) -> Entry:
    if fingerprint(item.location, item.version) != item.fingerprint:
        raise CitylakeError("release.changed", subject=item.subject)
    version = promote(
        item.location,
        item.version,
        item.target,
        allow_schema_change=True,
        metadata={"edition": edition, "contract": item.body["contract"], **_marked(item)},
        transaction=(APPLICATION, number),
    )
    if fingerprint(item.target, version) != item.fingerprint:
        raise CitylakeError("release.read_back", subject=item.subject, version=version, columns="—")
    _require_equal(item, version, con)
    files = []
    if item.product is not None and item.product.channel == "open":
        files = write_downloads(con, lake, item.product, version)
    content = _content(item, version, con, before)
    return Entry(RELEASE, item.subject, edition, version, {**item.body, "content": content, "files": files})


def _marked(item: Approved) -> dict[str, str]:
    """What the log of a table says of made-up data."""
    return {delta.IS_TEST: "true"} if item.body.get(delta.IS_TEST) else {}


def _content(item: Approved, version: int, con: duckdb.DuckDBPyConnection, before: Recorded | None) -> str:
    """The canonical content hash of the public version; that of the release before if it has the same files."""
    if before is not None and before.body["fingerprint"] == item.fingerprint and "content" in before.body:
        return str(before.body["content"])
    table = delta.open_table(item.target, version)
    read = delta.scan(table)
    return content_hash(con, f"(SELECT {read.columns} FROM {read.source})", delta.column_types(table.schema()))


def write_downloads(con: duckdb.DuckDBPyConnection, lake: Lake, product: Product, version: int) -> list[dict[str, Any]]:
    """Write the downloads of a released version, or write them again; returns what the ledger says of them."""
    read = delta.scan(delta.open_table(lake.product(product.channel, product.name), version))
    return write_files(
        con, product, f"(SELECT {read.columns} FROM {read.source})", files_folder(lake, product, version)
    )


def files_folder(lake: Lake, product: Product, version: int) -> Path:
    """Where the downloads of a version lie."""
    return lake.root / "released" / "files" / product.channel / product.name / f"v{version}"


def _require_equal(item: Approved, version: int, con: duckdb.DuckDBPyConnection) -> None:
    """Read the public version with another reader than the one that wrote it: rows and empty cells must agree."""
    read = delta.scan(delta.open_table(item.location, item.version))
    written = _counted_by_duckdb(con, read)
    public = _counted_by_datafusion(item.target, version)
    if written != public:
        differing = sorted(name for name in written | public if written.get(name) != public.get(name))
        raise CitylakeError("release.read_back", subject=item.subject, version=version, columns=", ".join(differing))


def _counted_by_duckdb(con: duckdb.DuckDBPyConnection, read: delta.Scan) -> Counts:
    """Filled cells per column, and all rows under ROWS."""
    cursor = con.execute(
        f"SELECT count(*) AS {ROWS}, count(COLUMNS(*)) FROM (SELECT {read.columns} FROM {read.source})"
    )
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchone() or (), strict=True))


def _counted_by_datafusion(location: Path, version: int) -> Counts:
    """The same, through the Delta log and the reader that comes with deltalake."""
    table = delta.open_table(location, version)
    counted = ", ".join(
        f"count({identifier(name)}) AS {identifier(name)}" for name in delta.column_types(table.schema())
    )
    reader = QueryBuilder().register("released", table).execute(f"SELECT count(*) AS {ROWS}, {counted} FROM released")
    (row,) = pa.table(reader.read_all()).to_pylist()
    return {name: int(value) for name, value in row.items()}
