"""DuckDB connections: one place for memory, spill folder, functions and extensions.

In memory, one per stream of work.
"""

import importlib.util
import os
from pathlib import Path

import duckdb

from pipelines.codecs import functions
from pipelines.codecs.sql import literal
from pipelines.lake.scratch import own

MEMORY = os.environ.get("CITYLAKE_MEMORY", "2GB")
ADMISSION_MEMORY = os.environ.get("CITYLAKE_ADMISSION_MEMORY", "400MB")
"""What a batch is admitted with, whatever its size: the rest of a process that stays below 1 GB is Python's."""


def connect(scratch: Path, memory: str = MEMORY, alone: bool = False) -> duckdb.DuckDBPyConnection:
    """An in-memory connection that spills below `scratch`, works in UTC and never reaches for the network.

    `memory` is DuckDB's limit; it spills before it fails. `alone`: by one thread, which takes less CPU and memory: that
    of Python asks without a pause for more work while others end theirs.
    It knows the functions that rules of identity numbers and codes call.
    Every connection has a spill folder of its own: two databases that spill into one folder crash the process.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect()
    con.execute(f"SET memory_limit = '{memory}'")
    # As a literal: given values from Python, DuckDB loads all of pandas to see whether they are of its kinds.
    con.execute(f"SET temp_directory = {literal(str(scratch / own('spill')))}")
    con.execute("SET GLOBAL TimeZone = 'UTC'")  # a cursor has settings of its own, and would go by the machine's zone
    con.execute("SET autoinstall_known_extensions = false")
    con.execute("SET preserve_insertion_order = false")
    if alone:
        con.execute("SET threads = 1")
    functions.add_to(con)
    return con


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load a signed extension from its wheel; nothing is downloaded. Raises ModuleNotFoundError if it is missing."""
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(package)
    (binary,) = Path(next(iter(spec.submodule_search_locations))).rglob("*.duckdb_extension")
    con.execute(f"LOAD '{binary}'")
