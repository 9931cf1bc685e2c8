"""How long a server is waited for: a pull that hangs would hold the run, and every run after it."""

CONNECT = 10
"""Seconds in which the server must answer to a connection."""
LOCK = 60
"""Seconds for which a pull may wait until somebody lets go of the table."""
SILENCE = 600
"""Seconds for which a server may be silent within an answer. A big sort before the first row takes minutes."""
PROBE, PROBES = 30, 4
"""After so many seconds without a byte the other host is asked whether it is there; given up after so many times."""


def of_driver(driver: str) -> dict[str, int]:
    """What a driver that SQLAlchemy calls is told about waiting, in its own words; nothing for one whose are not known
    (docs/databases.md)."""
    known = {
        "psycopg": {"connect_timeout": CONNECT, "tcp_user_timeout": PROBE * PROBES * 1000},
        "pymysql": {"connect_timeout": CONNECT, "read_timeout": SILENCE},
        "oracledb": {"tcp_connect_timeout": CONNECT},
        "pyodbc": {"timeout": CONNECT},
        "pymssql": {"login_timeout": CONNECT, "timeout": SILENCE},
    }
    return known.get(driver, {})
