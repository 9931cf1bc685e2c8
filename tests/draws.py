"""How often tests draw whose every example costs a lake, a server or an exact solution.

`make test` draws so often that it is done in a quarter of an hour, and anew each time; CITYLAKE_TEST_DRAWS=4 draws four
times as often.
"""

import os

_TIMES = int(os.environ.get("CITYLAKE_TEST_DRAWS") or 1)


def draws(often: int) -> int:
    """`often`, or as many times that as is asked for."""
    return often * _TIMES
