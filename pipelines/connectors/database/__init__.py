"""Connector `database`: a table or view of a database, pulled over one connection that can only read.

Here is the verb and the choice of the way in by the scheme of the connection string. How an engine is read is in the
module of its name; everything without a way of its own goes through SQLAlchemy (`generic`).
"""

import re
from collections.abc import Callable

from pipelines.connectors.base import About, Pulled, Request, connectors
from pipelines.connectors.database import generic, mysql, postgres, sqlite
from pipelines.connectors.database.turns import turn

Pull = Callable[[Request, str, str, str], Pulled | None]
"""Pulls a table: the request, the connection's name, the table as the contract writes it, the connection string."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9_.+-]*)://")
_NAMES = {"postgres": "postgresql", "mariadb": "mysql"}
_WAYS: dict[str, Pull] = {"postgresql": postgres.pull, "mysql": mysql.pull, "sqlite": sqlite.pull}


def scheme_of(address: str) -> str:
    """The way in of a connection string: postgresql, mysql, sqlite, or the scheme of another dialect."""
    found = _SCHEME.match(address)
    # Without a scheme it is PostgreSQL's other form, `host=... dbname=...`; with a driver named, SQLAlchemy's.
    scheme = found[1].lower() if found else "postgresql"
    return _NAMES.get(scheme, scheme)


@connectors.register(About(asks=True, placed=False))
def database(request: Request, *, connection: str, table: str) -> Pulled | None:
    """Pull `schema.table`. Raises CitylakeError if the driver, the server, the table or a column of the contract is
    missing, and for a cell that has no exact text."""
    address = request.secret(connection)
    with turn(connection, request.sessions(connection), request.owner):
        return _WAYS.get(scheme_of(address), generic.pull)(request, connection, table, address)
