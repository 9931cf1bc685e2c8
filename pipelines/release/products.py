"""Products before their release: the masked, allow-listed rows of one channel as a candidate, and files to download.

What a recipient may see of a product is decided later, by policy; what no recipient of the channel may see never
leaves this module.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.load import Product
from pipelines.lake import delta
from pipelines.lake.checksums import checksums
from pipelines.lake.columns import query_schema
from pipelines.lake.parquet import copy_rows, make_durable
from pipelines.privacy.anonymity import Before, cell_columns, figures, protect
from pipelines.privacy.masks import masks

TIME = "%Y-%m-%dT%H:%M:%S%.fZ"

Made = Mapping[str, tuple[str, str | None]]
"""How the columns of a product are made: by name the column of the model, and the mask it goes through."""


@dataclass(frozen=True)
class Counted:
    """What the candidate of a table of counts is cut from (what waits is in it as it was released), and what was
    released of it before and can still be had, the oldest first."""

    truth: pa.Table
    earlier: tuple[Before, ...] = ()


def made_now(product: Product) -> Made:
    """How the contract makes the columns of a product."""
    return {column.name: (column.source, column.mask) for column in product.columns}


def made_then(body: Mapping[str, Any]) -> Made:
    """How a release made them, as its ledger row says; of one from before the ledger said so nothing."""
    return {name: (source, mask) for name, (source, mask) in (body.get("columns") or {}).items()}


def product_query(product: Product, relation: str) -> str:
    """The rows of a product from a relation of its model, in key order: each column masked, no count withheld."""
    return f"SELECT {made_columns(made_now(product))} FROM {relation} ORDER BY ALL"


def made_columns(made: Made) -> str:
    """The columns of a product, each masked, to stand after SELECT over a relation of its model."""
    return ", ".join(f"{masked(source, mask)} AS {identifier(name)}" for name, (source, mask) in made.items())


def masked(column: str, mask: str | None) -> str:
    """SQL of a column of a model as a channel shows it."""
    return masks[mask].function(identifier(column)) if mask else identifier(column)


def whole(con: duckdb.DuckDBPyConnection, product: Product, relation: str) -> pa.Table:
    """A table of counts before anything of it waits or is withheld."""
    return con.sql(product_query(product, relation)).to_arrow_table()


def released_before(con: duckdb.DuckDBPyConnection, product: Product, shown: str, relation: str) -> Before | None:
    """What a version of a table of counts showed, and the whole table of its day, as far as they tell of people. None
    if it lacks a column that tells which cells there are: it was another table. Other figures it may lack."""
    assert product.form.anonymity is not None
    made = made_now(product)
    shows, had = (set(con.sql(f"SELECT * FROM {one}").columns) for one in (shown, relation))
    others = figures(product.form.anonymity)[1:]
    beside = [name for name in dict.fromkeys(others) if name in shows and made[name][0] in had]
    names = [*cell_columns(product.form.anonymity), *beside]
    columns = ", ".join(map(identifier, names))
    cells = {name: how for name, how in made.items() if name in names}
    try:
        return Before(
            con.sql(f"SELECT {columns} FROM {shown}").to_arrow_table(),
            con.sql(f"SELECT {columns} FROM (SELECT {made_columns(cells)} FROM {relation})").to_arrow_table(),
        )
    except duckdb.BinderException:
        return None


def write_candidate(
    con: duckdb.DuckDBPyConnection, product: Product, relation: str, location: Path, counts: Counted | None
) -> int:
    """Write a product's candidate table, of `counts` what may be shown; returns its version. Raises LakeError."""
    shutil.rmtree(location, ignore_errors=True)
    location.parent.mkdir(parents=True, exist_ok=True)
    query = product_query(product, relation)
    schema = query_schema(con, query, product.id)
    if counts is not None and product.form.anonymity is not None:
        con.register("protected", protect(counts.truth, product.form.anonymity, counts.earlier))
        query = "SELECT * FROM protected ORDER BY ALL"
    return delta.commit(location, schema, "table", None, copy_rows(con, query, location))


def write_files(con: duckdb.DuckDBPyConnection, product: Product, relation: str, folder: Path) -> list[dict[str, Any]]:
    """Write the downloads of a released version: CSV (UTF-8 with byte order mark, RFC 4180) and Parquet.

    Returns `{name, format, size, sha256, sm3}` of each. The folder appears whole or not at all.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    query = f"SELECT * FROM {relation} ORDER BY ALL"
    parquet, text = partial / f"{product.name}.parquet", partial / f"{product.name}.csv"
    con.execute(f"COPY ({query}) TO {literal(str(parquet))} (FORMAT parquet, COMPRESSION zstd)")
    write_csv(parquet, text)
    make_durable([parquet, text], partial)
    described = [_described(text, "csv"), _described(parquet, "parquet")]
    shutil.rmtree(folder, ignore_errors=True)  # left by a run killed before its ledger row: nobody was told of it
    partial.rename(folder)
    make_durable([], folder.parent)
    return described


def write_csv(parquet: Path, target: Path) -> None:
    """A Parquet file as CSV by RFC 4180: UTF-8 with byte order mark, comma, CRLF, quotes where needed.

    An empty field is NULL, `""` an empty text; values are unaltered; times are ISO 8601 in UTC. Spreadsheets take
    UTF-8 for the local code page without the mark. In a file of one column NULL is `""` too: many readers pass over an
    empty line, and the file would have fewer rows for them.
    """
    rows = pl.scan_parquet(str(parquet), glob=False)
    rows.sink_csv(
        target,
        include_bom=True,
        line_terminator="\r\n",
        datetime_format=TIME,
        date_format="%Y-%m-%d",
        null_value='""' if len(rows.collect_schema()) == 1 else None,
    )


def _described(file: Path, kind: str) -> dict[str, Any]:
    return {"name": file.name, "format": kind, "size": file.stat().st_size, **checksums(file)}
