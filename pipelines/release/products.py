"""Products before their release: the masked, allow-listed rows of one channel as a candidate, and files to download.

What a recipient may see of a product is decided later, by policy; what no recipient of the channel may see never
leaves this module.
"""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.load import Product
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.parquet import copy_rows, make_durable, sha256
from pipelines.privacy.anonymity import withhold
from pipelines.privacy.masks import masks

TIME = "%Y-%m-%dT%H:%M:%S%.fZ"


def product_query(product: Product, relation: str) -> str:
    """The rows of a product from a relation of its model: each column masked, small cells withheld, in key order."""
    shown = ", ".join(
        f"{_masked(column.source, column.mask)} AS {identifier(column.name)}" for column in product.columns
    )
    rows = f"(SELECT {shown} FROM {relation})"
    if product.form.anonymity is not None:
        rows = withhold(rows, product.form.anonymity)
    return f"SELECT * FROM {rows} ORDER BY ALL"


def write_candidate(con: duckdb.DuckDBPyConnection, product: Product, relation: str, location: Path) -> int:
    """Write a product's candidate table; returns its version. Raises LakeError."""
    shutil.rmtree(location, ignore_errors=True)
    location.parent.mkdir(parents=True, exist_ok=True)
    query = product_query(product, relation)
    schema = query_schema(con, query, product.id)
    return delta.commit(location, schema, "table", None, copy_rows(con, query, location))


def write_files(con: duckdb.DuckDBPyConnection, product: Product, relation: str, folder: Path) -> list[dict[str, Any]]:
    """Write the downloads of a released version: CSV (UTF-8 with byte order mark, RFC 4180) and Parquet.

    Returns `{name, format, size, sha256}` of each. The folder appears whole or not at all.
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
    UTF-8 for the local code page without the mark.
    """
    rows = pl.scan_parquet(str(parquet), glob=False)
    rows.sink_csv(target, include_bom=True, line_terminator="\r\n", datetime_format=TIME, date_format="%Y-%m-%d")


def _described(file: Path, kind: str) -> dict[str, Any]:
    return {"name": file.name, "format": kind, "size": file.stat().st_size, "sha256": sha256(file)}


def _masked(column: str, mask: str | None) -> str:
    return masks[mask].function(identifier(column)) if mask else identifier(column)
