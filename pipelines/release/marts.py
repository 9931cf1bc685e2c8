"""`marts.duckdb`: the analysts' database, made from the published products of the analyst channel.

The file's name is derived from the versions in it, so it can be checked against the ledger and rebuilt at any time.
Readers hold whole files: a new edition is a new file, and only the symlink moves.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.load import Contracts, Product
from pipelines.lake import delta
from pipelines.lake.zones import Lake
from pipelines.messages import say
from pipelines.register.chain import canonical
from pipelines.release.ledger import Recorded

KEPT = 3

INFORMATION = {
    "dataset": ("VARCHAR", "marts.dataset"),
    "name": ("VARCHAR", "marts.name"),
    "version": ("BIGINT", "marts.version"),
    "edition": ("VARCHAR", "marts.edition_id"),
    "as_of": ("DATE", "marts.as_of"),
    "released_at": ("TIMESTAMPTZ", "marts.released_at"),
}
"""The columns of information.edition: type and comment."""


def refresh(contracts: Contracts, lake: Lake, published: Mapping[str, Recorded], link: Path) -> Path | None:
    """Make the symlink point to the file that the ledger asks for; returns the file if it had to be built.

    Raises OSError when the disk is full; then the old file stays in place.
    """
    shown = {
        product.id: (product, published[product.id])
        for product in contracts.products.values()
        if product.channel == "analyst" and product.id in published
    }
    if not shown and not link.is_symlink():
        return None
    names = {key: (entry.version, product.contract.hash) for key, (product, entry) in shown.items()}
    wanted = link.with_name(f"marts-{hashlib.sha256(canonical(names).encode()).hexdigest()[:12]}.duckdb")
    if link.is_symlink() and link.resolve() == wanted.resolve() and wanted.is_file():
        return None
    if not wanted.is_file():
        _build(wanted, lake, shown)
    _point(link, wanted)
    _forget(link, wanted)
    return wanted


def _build(target: Path, lake: Lake, shown: Mapping[str, tuple[Product, Recorded]]) -> None:
    partial = target.with_name(f".build-{target.name}")
    partial.unlink(missing_ok=True)
    with duckdb.connect() as con:
        con.execute(f"ATTACH {literal(str(partial))} AS marts")
        _create_information(con)
        for product, entry in shown.values():
            _copy_product(con, lake, product, entry)
        con.execute("CHECKPOINT marts")
        con.execute("DETACH marts")
    os.replace(partial, target)


def _create_information(con: duckdb.DuckDBPyConnection) -> None:
    """The table that says which version of what is in this file."""
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in INFORMATION.items())
    con.execute("CREATE SCHEMA marts.information")
    con.execute(f"CREATE TABLE marts.information.edition ({columns})")
    con.execute(f"COMMENT ON TABLE marts.information.edition IS {literal(say('marts.edition'))}")
    for name, (_, code) in INFORMATION.items():
        con.execute(f"COMMENT ON COLUMN marts.information.edition.{name} IS {literal(say(code))}")


def _copy_product(con: duckdb.DuckDBPyConnection, lake: Lake, product: Product, entry: Recorded) -> None:
    schema, table = product.contract.library, f"marts.{product.contract.library}.{identifier(product.name)}"
    released = delta.open_table(lake.product(product.channel, product.name), entry.version)
    read = delta.scan(released)
    con.execute(f"CREATE SCHEMA IF NOT EXISTS marts.{identifier(schema)}")
    con.execute(f"CREATE TABLE {table} AS SELECT {read.columns} FROM {read.source}")
    con.execute(f"COMMENT ON TABLE {table} IS {literal(f'{product.form.name} / {product.form.nameEn}')}")
    table_columns = delta.column_types(released.schema())
    for shown in product.columns:
        if shown.name not in table_columns:
            continue  # a column that the contract gained and no release has yet
        about = shown.column.definition
        comment = " ".join(filter(None, (about.businessName, about.unit, "/", about.businessNameEn)))
        con.execute(f"COMMENT ON COLUMN {table}.{identifier(shown.name)} IS {literal(comment)}")
    row = [f"{schema}.{product.name}", product.form.name, entry.version, entry.edition, entry.body["as_of"], entry.at]
    con.execute("INSERT INTO marts.information.edition VALUES (?, ?, ?, ?, ?, ?)", row)


def _point(link: Path, target: Path) -> None:
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    os.replace(fresh, link)


def _forget(link: Path, current: Path) -> None:
    """Drop all but the newest files and whatever killed builds left; who has one open keeps it."""
    for left in link.parent.glob(".build-*"):
        left.unlink()
    files = sorted(link.parent.glob("marts-*.duckdb"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in files[KEPT:]:
        if old != current:
            old.unlink()
