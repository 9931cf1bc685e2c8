"""Looking for values in a whole home: in bytes, in rows of Parquet and of databases, in what is packed, in journals.

Parquet and DuckDB store texts compressed, so bytes alone prove nothing about them.
"""

import gzip
import sqlite3
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import duckdb

from pipelines.codecs.sql import identifier, literal


def traces(home: Path, texts: Collection[str]) -> set[str]:
    """Files in which any of the texts stands, below the home; keys in secrets/ are left out."""
    found = set()
    wanted = [text.encode() for text in texts]
    stands = " OR ".join(f"contains(t, {literal(text)})" for text in texts)
    for path in sorted(path for path in home.rglob("*") if path.is_file() and "secrets" not in path.parts):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        if any(text in content for text in wanted):
            found.add(str(path.relative_to(home)))
        if path.suffix == ".parquet":
            rows = f"SELECT to_json(r)::VARCHAR AS t FROM read_parquet({literal(str(path))}) r"
            if duckdb.sql(f"SELECT 1 FROM ({rows}) WHERE {stands} LIMIT 1").fetchone():
                found.add(str(path.relative_to(home)))
        if path.suffix == ".duckdb" and not path.is_symlink():
            with duckdb.connect(str(path), read_only=True) as con:
                for schema, name in con.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                    rows = f"SELECT to_json(r)::VARCHAR AS t FROM {identifier(schema)}.{identifier(name)} r"
                    if con.execute(f"SELECT 1 FROM ({rows}) WHERE {stands} LIMIT 1").fetchone():
                        found.add(f"{path.relative_to(home)}:{name}")
    with sqlite3.connect(home / "register.db") as register:
        for (name,) in register.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in register.execute(f"SELECT * FROM {identifier(name)}"):
                if any(text in str(value) for value in row for text in texts):
                    found.add(f"register:{name}")
    return found


def content(file: Path) -> Counter[str]:
    """The rows of a Parquet file as texts, but for what an erasure notes beside them."""
    kept = "SELECT COLUMNS(c -> c NOT IN ('_erased', '_emptied'))"
    rows = (
        f"SELECT to_json(r)::VARCHAR FROM ({kept} FROM read_parquet({literal(str(file))}, hive_partitioning = false)) r"
    )
    return Counter(text for (text,) in duckdb.sql(rows).fetchall())
