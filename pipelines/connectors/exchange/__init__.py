"""Connector `exchange`: a table that another citylake, or any Delta Sharing server, shares with this city.

A county, the province or a neighbouring city is connected so. The published version is pulled whole, and only when it
is not the one that was pulled last; what its rows change is for the load mode of the contract to say. The change feed
of the protocol is not used.
"""

import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipelines.connectors.base import About, Pulled, Request, connectors, require_columns
from pipelines.connectors.exchange.files import download
from pipelines.connectors.exchange.profile import read_profile
from pipelines.connectors.exchange.rows import write_files
from pipelines.connectors.exchange.server import Server

__all__ = ["exchange"]

TableName = Annotated[str, Field(pattern=r"^[^./]+\.[^./]+\.[^./]+$")]


@connectors.register(About(asks=True))
def exchange(request: Request, *, connection: str, table: TableName) -> Pulled | None:
    """Pull `share.schema.table`, named as the profile's owner names it.

    The connection's secret is the profile file that the owner handed out. Position: the version, and what the table
    looks like to this recipient, for a grant may change without a new version. Raises CitylakeError when the profile
    is none or has expired, the server does not answer or refuses, the table needs a reader that this one is not, or a
    file does not come whole.
    """
    profile = read_profile(request.secret(connection), connection, request.owner)
    with Server(profile, connection, table, request.owner) as server:
        seen = server.metadata()
        if seen.position == dict(request.position):
            return None
        require_columns(request, seen.columns, f"{connection}:{table}")
        request.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="exchange-", dir=request.scratch) as folder:
            shared, parts = download(server, Path(folder))
            require_columns(request, shared.columns, f"{connection}:{table}")  # a newer version may have come
            rows = write_files(request, shared, parts, server)
    return Pulled(rows, shared.columns, f"{connection}:{table}@{shared.version}", shared.position)
