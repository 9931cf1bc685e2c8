"""DuckDB connections: one place for memory, threads, spill folder and extensions. In memory, one per stream of work."""

import importlib.util
import os
import uuid
from pathlib import Path

import duckdb

MEMORY_LIMIT = os.environ.get("CITYLAKE_MEMORY", "2GB")


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory connection that spills below `scratch`, works in UTC and never reaches for the network.

    Every connection has a spill folder of its own: two databases that spill into one folder crash the process.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect()
    con.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    con.execute("SET temp_directory = ?", [str(scratch / f"spill-{uuid.uuid4().hex}")])
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET autoinstall_known_extensions = false")
    con.execute("SET preserve_insertion_order = false")
    return con


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load a signed extension from its wheel; nothing is downloaded. Raises ModuleNotFoundError if it is missing."""
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(package)
    (binary,) = Path(next(iter(spec.submodule_search_locations))).rglob("*.duckdb_extension")
    con.execute(f"LOAD '{binary}'")
