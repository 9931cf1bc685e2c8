"""Connector `exchange`: a table that another citylake, or any Delta Sharing server, shares with this city.

A county, the province or a neighbouring city is connected so. The published version is pulled, and only when it is not
the one that was pulled last; what its rows change is for the load mode of the contract to say. It comes whole, or, if
the contract says `follow`, as its change feed where one leads there from the rows that are kept.
"""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipelines.connectors.base import About, Pulled, Request, connectors, require_columns
from pipelines.connectors.exchange.answers import SharedTable
from pipelines.connectors.exchange.files import download
from pipelines.connectors.exchange.follow import followed, shape
from pipelines.connectors.exchange.profile import read_profile
from pipelines.connectors.exchange.rows import write_files
from pipelines.connectors.exchange.server import Answer, NoFeed, Server
from pipelines.lake.delta import IS_TEST

__all__ = ["exchange"]

log = logging.getLogger(__name__)

TableName = Annotated[str, Field(pattern=r"^[^./]+\.[^./]+\.[^./]+$")]


@connectors.register(About(asks=True, placed=False))
def exchange(request: Request, *, connection: str, table: TableName, follow: bool = False) -> Pulled | None:
    """Pull `share.schema.table`, named as the profile's owner names it; `follow`: by its change feed where it can be.

    The connection's secret is the profile file that the owner handed out. Position: the version, and what the table
    looks like to this recipient, for a grant may change without a new version. Raises CitylakeError when the profile
    is none or has expired, the server does not answer or refuses, the table needs a reader that this one is not, its
    rows are made up and those of this home are not, or a file does not come whole.
    """
    profile = read_profile(request.secret(connection), connection, request.owner)
    with Server(profile, connection, table, request.owner) as server:
        seen = server.metadata()
        _require_real(request, seen, server)
        if seen.position.items() <= dict(request.position).items():
            return None
        require_columns(request, seen.columns, f"{connection}:{table}")
        request.scratch.mkdir(parents=True, exist_ok=True)
        if follow and (made := _followed(request, server, seen)) is not None:
            return _pulled(made, seen, server, {"by": "changes"})
        with tempfile.TemporaryDirectory(prefix="exchange-", dir=request.scratch) as folder:
            shared, parts = download(server, Path(folder), _asking(request, server))
            _require_real(request, shared, server)
            require_columns(request, shared.columns, f"{connection}:{table}")  # a newer version may have come
            rows = write_files(request, shared, parts, server)
    return _pulled(rows, shared, server, {"by": "snapshot"} if follow else {})


def _asking(request: Request, server: Server) -> Callable[[], Answer]:
    """How the server is asked for the version: for all its files, or for the first one where a look is enough."""

    def first() -> Answer:
        shared, files = server.query()
        return shared, files[:1]

    return server.query if request.most is None else first


def _require_real(request: Request, shared: SharedTable, server: Server) -> None:
    """What a demo shares would be published here as a city's own; a home without the mark takes none of it."""
    if shared.made_up and not request.made_up:
        raise server.error("pull.exchange_made_up", mark=IS_TEST)


def _followed(request: Request, server: Server, seen: SharedTable) -> int | None:
    """The rows written by the change feed, None where none leads to the version: then the snapshot is pulled."""
    with tempfile.TemporaryDirectory(prefix="exchange-", dir=request.scratch) as folder:
        try:
            return followed(request, server, seen, Path(folder))
        except NoFeed as problem:
            if request.position:
                log.warning("%s", server.error("pull.exchange_whole", why=problem.why))
            return None


def _pulled(rows: int, shared: SharedTable, server: Server, more: dict[str, str]) -> Pulled:
    position = {**shared.position, "shape": shape(shared), **more}
    origin = f"{server.connection}:{server.table}@{shared.version}"
    return Pulled(rows, shared.columns, origin, position if more else shared.position)
