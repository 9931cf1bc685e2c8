"""What a database says when something is wrong, told without secrets and without values of rows."""

from urllib.parse import quote, quote_plus, unquote, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from pipelines.connectors.base import Request
from pipelines.messages import CitylakeError

_SECRET = ("password", "passwd", "pwd", "secret", "token")
"""Parts of the names of options whose values are secrets."""


def unreachable(request: Request, connection: str, error: Exception, address: str) -> CitylakeError:
    """The error about a connection that failed. `address` is its connection string."""
    problem = safe(error, address)
    return CitylakeError("pull.unreachable", connection=connection, problem=problem, owner=request.owner)


def no_table(connection: str, table: str, problem: str = "no columns visible") -> CitylakeError:
    """The error about a table that is missing or not to be seen."""
    return CitylakeError("pull.no_table", connection=connection, table=table, problem=problem)


def safe(error: Exception, address: str) -> str:
    """The first line of a driver's message without the connection string or any part of it that is secret."""
    secrets = _secrets(address)
    if secrets is None:
        return type(error).__name__  # a string that cannot be read may be anything, a bare password too
    text = (str(error).strip().splitlines() or [""])[0].replace(address, "…")
    written = {way(secret) for secret in secrets for way in (str, quote, _quoted_whole, quote_plus, _escaped)}
    for secret in sorted(written - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text[:300]


def _secrets(address: str) -> set[str] | None:
    """The passwords in a connection string, as they are; None if it cannot be read."""
    if "://" not in address:
        try:
            return {str(value) for key, value in conninfo_to_dict(address).items() if _is_secret(key)}
        except ProgrammingError:
            return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    login = parts.netloc.rpartition("@")[0]
    if "@" in login + parts.path + parts.query + parts.fragment:
        return None  # a password that was not encoded: where it ends nobody knows
    found = {login.partition(":")[2]}
    options = (option.partition("=") for option in parts.query.split("&"))
    found |= {value for key, _, value in options if _is_secret(key)}
    return found | {unquote(secret) for secret in found}


def _is_secret(option: str) -> bool:
    return any(part in option.lower() for part in _SECRET)


def _quoted_whole(secret: str) -> str:
    return quote(secret, safe="")


def _escaped(secret: str) -> str:
    return secret.replace("\\", "\\\\").replace("'", "\\'")
