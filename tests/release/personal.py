"""Looking for personal values in a DuckDB file: in its bytes, and in every value as a reader of the file gets it.

DuckDB stores texts compressed (dictionaries, FSST), so bytes alone prove nothing about them.
"""

from collections.abc import Iterable
from pathlib import Path

import duckdb

from pipelines.codecs.sql import identifier


def found_in(file: Path, values: Iterable[str]) -> set[str]:
    """Those of the values that stand in the file, as a value of any column or within one, or in its bytes."""
    data, text = file.read_bytes(), decoded(file)
    return {value for value in values if value in text or value.encode() in data}


def decoded(file: Path) -> str:
    """Every distinct value of every column of every table, and every comment, as text, one a line."""
    with duckdb.connect(str(file), read_only=True) as con:
        places = con.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
        parts = [f"SELECT comment FROM duckdb_{kind}s() WHERE NOT internal" for kind in ("table", "column")]
        for schema, table, column in places:
            relation = f"{identifier(schema)}.{identifier(table)}"
            parts.append(f"SELECT DISTINCT CAST({identifier(column)} AS VARCHAR) FROM {relation}")
        return "\n".join(row[0] for part in parts for row in con.execute(part).fetchall() if row[0] is not None)
