"""How long a server is waited for: a pull that hangs would hold the run, and every run after it."""

CONNECT = 10
"""Seconds in which the server must answer to a connection."""
LOCK = 60
"""Seconds for which a pull may wait until somebody lets go of the table."""
SILENCE = 600
"""Seconds for which a server may be silent within an answer. A big sort before the first row takes minutes."""
PROBE, PROBES = 30, 4
"""After so many seconds without a byte the other host is asked whether it is there; given up after so many times."""
