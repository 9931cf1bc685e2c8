"""What a Spark Connect engine needs of this process beside dbt: an address that answers, strict arithmetic, an end.

Belongs here: everything but the models and their candidates. pyspark and dbt-spark are imported only when used: they
live in an environment of their own (requirements/spark.txt).
"""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from pipelines.lake.errors import BadName, BuildFailed
from pipelines.lake.zones import Lake

ROOT = re.compile(r"[A-Za-z0-9_./-]+")  # Sail 0.7.2 writes below an encoded name where a path needs encoding
ADDRESS = "SPARK_REMOTE"
PATIENCE = 5.0  # seconds; its own client would try for many minutes
STRICT = ("spark.sql.ansi.enabled", "true")


def require(lake: Lake) -> None:
    """Check that the engine can use the lake and answers at SPARK_REMOTE. Raises BadName, BuildFailed."""
    if not ROOT.fullmatch(str(lake.root)):
        raise BadName("lake.spark_root", root=str(lake.root))
    remote = urlsplit(os.environ.get(ADDRESS, ""))
    try:
        socket.create_connection((remote.hostname or "", remote.port or 0), PATIENCE).close()
    except OSError as error:
        raise BuildFailed(
            "lake.spark_unreachable", variable=ADDRESS, address=remote.netloc, problem=str(error)
        ) from error


@contextmanager
def session() -> Iterator[None]:
    """A session in which a value that cannot be cast is an error, as on DuckDB; ended with all its views.

    dbt-spark insists on the other way, in which such values silently become NULL.
    """
    from dbt.adapters.spark.connections import SparkCredentials
    from pyspark.sql import SparkSession  # type: ignore[import-not-found]

    lenient = SparkCredentials.__post_init__

    def strict(credentials: SparkCredentials) -> None:
        lenient(credentials)
        credentials.server_side_parameters |= dict([STRICT])

    SparkCredentials.__post_init__ = strict
    try:
        yield
    finally:
        SparkCredentials.__post_init__ = lenient
        if active := SparkSession.getActiveSession():
            active.stop()
