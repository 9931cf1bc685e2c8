"""Connectors outside the list: one Python file each, registered by the entry points of installed packages.

A package declares `<verb> = <module>` in the group `citylake.connectors`; importing the module registers a function of
that name in `pipelines.connectors.base.connectors`. What a connector does does not belong here.
"""

import threading
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from pipelines.connectors.base import connectors
from pipelines.messages import CitylakeError

GROUP = "citylake.connectors"
OURSELVES = "citylake"

_loaded: dict[str, str] = {}
"""Verb -> package, of what was loaded."""
_lock = threading.Lock()


@cache
def load_installed() -> None:
    """Register the connectors of all installed packages, once in the life of a process.

    Raises CitylakeError naming the package for one that cannot be loaded, registers something else than it declares, or
    takes a name that another has. A contract would run with whichever came first, so nothing runs then.
    """
    with _lock:
        for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, _package(point))):
            package = _package(point)
            if _loaded.get(point.name) == package:
                continue
            if point.name in connectors:
                other = _loaded.get(point.name, OURSELVES)
                raise CitylakeError("connector.clash", name=point.name, package=package, other=other)
            _load(point, package)
            _loaded[point.name] = package


def _load(point: EntryPoint, package: str) -> None:
    """Import the module of one entry point; the registry stays as it was unless that brings what it declares."""
    before = dict(connectors)
    try:
        point.load()
    except Exception as error:  # others' code may raise anything; its text is theirs and may tell a secret
        _restore(before)
        about = {"name": point.name, "package": package, "problem": type(error).__name__}
        raise CitylakeError("connector.broken", **about) from error
    if set(connectors) - set(before) != {point.name}:
        _restore(before)
        raise CitylakeError("connector.not_registered", name=point.name, package=package)


def _restore(before: Mapping[str, object]) -> None:
    for name in set(connectors) - set(before):
        del connectors[name]


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
