"""The SQL function `pseudonym`, which the mask of that name calls: a keyed hash under one recipient's key.

Which recipient gets which key, and where keys are kept, belongs elsewhere.
"""

import duckdb

from pipelines.codecs.sm3 import keyed_hash
from pipelines.privacy.keyed import put

NAME = "pseudonym"


def register(con: duckdb.DuckDBPyConnection, key: bytes, name: str = NAME) -> None:
    """Add `pseudonym(VARCHAR) -> VARCHAR`, or the same of another name, to a connection: 32 hexadecimal characters,
    NULL for NULL.

    A second call replaces the key; a result that was not fetched before is lost.
    """
    put(con, name, lambda values: keyed_hash(key, values))
