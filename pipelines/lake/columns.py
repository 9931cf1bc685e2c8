"""Column types: which DuckDB types a Delta table can hold, and how each is called on the other side.

Belongs here: the two mappings and the refusals. Does not belong here: contracts, SQL, or files.
"""

from collections.abc import Iterable
from typing import Any

import duckdb
from deltalake import Field, Schema
from deltalake.schema import ArrayType, DataType, MapType, PrimitiveType, StructType

from pipelines.codecs.sql import identifier
from pipelines.lake.errors import RefusedType

TO_DELTA = {
    "boolean": "boolean",
    "tinyint": "byte",
    "smallint": "short",
    "integer": "integer",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "varchar": "string",
    "blob": "binary",
    "date": "date",
    "timestamp with time zone": "timestamp",
}
TO_DUCKDB = {delta: name.upper() for name, delta in TO_DELTA.items()} | {"timestamp_ntz": "TIMESTAMP"}

# What to write instead. HUGEINT is the type of sum() over BIGINT; DuckDB would write it to Parquet as DOUBLE.
INSTEAD = {
    "hugeint": "BIGINT",
    "uhugeint": "BIGINT",
    "bignum": "BIGINT",
    "ubigint": "BIGINT",
    "uinteger": "BIGINT",
    "usmallint": "INTEGER",
    "utinyint": "SMALLINT",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_s": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ms": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ns": "TIMESTAMP WITH TIME ZONE",
    "interval": "BIGINT",
}


def query_schema(con: duckdb.DuckDBPyConnection, query: str, subject: str) -> Schema:
    """Delta schema of a query's result, without running it. Raises RefusedType naming `subject` and the column."""
    relation = con.sql(query)
    return Schema([_field(subject, *column) for column in zip(relation.columns, relation.types, strict=True)])


def delta_schema(subject: str, columns: Iterable[tuple[str, str]]) -> Schema:
    """Delta schema of (name, DuckDB type) pairs. Raises RefusedType naming `subject` and the column."""
    with duckdb.connect() as con:  # parsing a type text needs a connection, and the default one is not thread-safe
        return Schema([_field(subject, name, duckdb.sqltype(text, connection=con)) for name, text in columns])


def duckdb_type(kind: DataType) -> str:
    """DuckDB's name of a Delta type, e.g. `DECIMAL(18,2)` or `STRUCT("a" BIGINT)[]`. Raises RefusedType."""
    if isinstance(kind, ArrayType):
        return f"{duckdb_type(kind.element_type)}[]"
    if isinstance(kind, MapType):
        return f"MAP({duckdb_type(kind.key_type)}, {duckdb_type(kind.value_type)})"
    if isinstance(kind, StructType):
        return (
            "STRUCT(" + ", ".join(f"{identifier(field.name)} {duckdb_type(field.type)}" for field in kind.fields) + ")"
        )
    if not isinstance(kind, PrimitiveType):
        raise RefusedType("lake.unreadable_type", kind=str(kind))
    return TO_DUCKDB.get(kind.type) or kind.type.upper()  # decimal(p,s) reads the same on both sides


def _field(subject: str, name: str, kind: Any) -> Field:
    return Field(name, _delta_type(subject, name, kind))


def _delta_type(subject: str, column: str, kind: Any) -> DataType:
    if kind.id in TO_DELTA and str(kind) != "JSON":  # JSON is a VARCHAR that Parquet marks as something else
        return PrimitiveType(TO_DELTA[kind.id])
    if kind.id == "decimal":
        return PrimitiveType("decimal({precision},{scale})".format(**dict(kind.children)))
    if kind.id == "list":
        return ArrayType(_delta_type(subject, column, kind.children[0][1]), contains_null=True)
    if kind.id == "map":
        key, value = (_delta_type(subject, column, child) for _, child in kind.children)
        return MapType(key, value, value_contains_null=True)
    if kind.id == "struct":
        return StructType([Field(name, _delta_type(subject, column, child)) for name, child in kind.children])
    instead = INSTEAD.get(kind.id, "VARCHAR")
    raise RefusedType("lake.refused_type", subject=subject, column=column, kind=str(kind), instead=instead)
