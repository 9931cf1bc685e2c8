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
from pipelines.evidence.freshness import due
from pipelines.evidence.scores import of_release
from pipelines.lake import delta
from pipelines.lake.zones import Lake
from pipelines.messages import say
from pipelines.register.chain import canonical
from pipelines.release.ledger import Recorded

KEPT = 3

INFORMATION = {
    "edition": {
        "dataset": "VARCHAR",
        "name": "VARCHAR",
        "version": "BIGINT",
        "edition": "VARCHAR",
        "as_of": "DATE",
        "released_at": "TIMESTAMPTZ",
    },
    "freshness": {"dataset": "VARCHAR", "cycle": "VARCHAR", "released_at": "TIMESTAMPTZ", "due": "TIMESTAMPTZ"},
    "quality": {
        "dataset": "VARCHAR",
        "dimension": "VARCHAR",
        "rules": "INTEGER",
        "evaluated": "BIGINT",
        "failed": "BIGINT",
        "passed": "DOUBLE",
    },
}
"""The tables of schema `information`. Their comments are messages `marts.<table>` and `marts.<table>.<column>`."""

INDICATORS = "smart_city.plan_indicator"
"""The analysts' product that schema `information` repeats as table `indicators`."""


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
        _build(wanted, lake, shown, published)
    _point(link, wanted)
    _forget(link, wanted)
    return wanted


def _build(
    target: Path, lake: Lake, shown: Mapping[str, tuple[Product, Recorded]], published: Mapping[str, Recorded]
) -> None:
    partial = target.with_name(f".build-{target.name}")
    partial.unlink(missing_ok=True)
    with duckdb.connect() as con:
        con.execute(f"ATTACH {literal(str(partial))} AS marts")
        _create_information(con)
        for product, entry in shown.values():
            _copy_product(con, lake, product, entry)
            _inform(con, product, entry, published.get(product.contract.form.model))
        _show_indicators(con)
        con.execute("CHECKPOINT marts")
        con.execute("DETACH marts")
    os.replace(partial, target)


def _create_information(con: duckdb.DuckDBPyConnection) -> None:
    """The schema that says what is in this file, how fresh and how good it is."""
    con.execute("CREATE SCHEMA marts.information")
    for table, columns in INFORMATION.items():
        listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        con.execute(f"CREATE TABLE marts.information.{table} ({listed})")
        _comment(con, "TABLE", f"marts.information.{table}", say(f"marts.{table}"))
        for name in columns:
            _comment(con, "COLUMN", f"marts.information.{table}.{name}", say(f"marts.{table}.{name}"))


def _inform(con: duckdb.DuckDBPyConnection, product: Product, entry: Recorded, model: Recorded | None) -> None:
    """The rows of one product in schema `information`. Quality is that of the model it is cut from."""
    dataset, cycle = f"{product.contract.library}.{product.name}", product.contract.form.slaProperties.frequency
    row = [dataset, product.form.name, entry.version, entry.edition, entry.body["as_of"], entry.at]
    con.execute("INSERT INTO marts.information.edition VALUES (?, ?, ?, ?, ?, ?)", row)
    con.execute(
        "INSERT INTO marts.information.freshness VALUES (?, ?, ?, ?)", [dataset, cycle, entry.at, due(cycle, entry.at)]
    )
    for score in of_release(model.body["rules"] if model else []):
        counted = [score.dimension, score.rules, score.evaluated, score.failed, score.passed]
        con.execute("INSERT INTO marts.information.quality VALUES (?, ?, ?, ?, ?, ?)", [dataset, *counted])


def _show_indicators(con: duckdb.DuckDBPyConnection) -> None:
    """Table `information.indicators`, with the comments of the product it repeats.

    A view would name the database it was made in, and the file has another name wherever it is opened.
    """
    schema, _, name = INDICATORS.partition(".")
    columns = con.execute(
        "SELECT column_name, comment FROM duckdb_columns() "
        "WHERE database_name = 'marts' AND schema_name = ? AND table_name = ?",
        [schema, name],
    ).fetchall()
    if not columns:
        return  # not released yet
    con.execute(f"CREATE TABLE marts.information.indicators AS SELECT * FROM marts.{INDICATORS}")
    _comment(con, "TABLE", "marts.information.indicators", say("marts.indicators"))
    for column, comment in columns:
        _comment(con, "COLUMN", f"marts.information.indicators.{identifier(column)}", comment)


def _comment(con: duckdb.DuckDBPyConnection, kind: str, name: str, text: str) -> None:
    con.execute(f"COMMENT ON {kind} {name} IS {literal(text)}")


def _copy_product(con: duckdb.DuckDBPyConnection, lake: Lake, product: Product, entry: Recorded) -> None:
    schema, table = product.contract.library, f"marts.{product.contract.library}.{identifier(product.name)}"
    released = delta.open_table(lake.product(product.channel, product.name), entry.version)
    read = delta.scan(released)
    con.execute(f"CREATE SCHEMA IF NOT EXISTS marts.{identifier(schema)}")
    con.execute(f"CREATE TABLE {table} AS SELECT {read.columns} FROM {read.source}")
    _comment(con, "TABLE", table, f"{product.form.name} / {product.form.nameEn}")
    table_columns = delta.column_types(released.schema())
    for shown in product.columns:
        if shown.name not in table_columns:
            continue  # a column that the contract gained and no release has yet
        about = shown.column.definition
        comment = " ".join(filter(None, (about.businessName, about.unit, "/", about.businessNameEn)))
        _comment(con, "COLUMN", f"{table}.{identifier(shown.name)}", comment)


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
