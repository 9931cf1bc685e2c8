"""Interfaces that answer JSON page by page: what the files dropped for them say, the newest of each record.

Serving belongs to `portal`, making the files ready to `drops`. The first field of a record is its key, the last the
moment at which it was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.drops import folder

PATH = "api/"
"""Below it lie the interfaces: ``api/<folder>/<stem>``."""
_LARGEST_PAGE = 1_000


class Interfaces:
    """The interfaces of the city under ``home``; what was read stays in memory until another file is delivered."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._kept: dict[str, tuple[object, list[dict[str, Any]]]] = {}

    def answer(self, name: str, query: Mapping[str, str]) -> bytes:
        """The page that ``query`` asks for: ``page`` (from 1), ``size``, ``updatedAfter`` (inclusive), and
        ``omit``, fields to leave out, with commas between them.

        Raises:
            ValueError: there is no such interface, or a number is none.
        """
        since = query.get("updatedAfter", "")
        found = [record for record in self._records(name) if _moment(record) >= since]
        page, size = int(query.get("page", "1")), min(int(query.get("size", "100")), _LARGEST_PAGE)
        begin = (page - 1) * size
        omitted = query.get("omit", "").split(",")
        told = [
            {field: value for field, value in record.items() if field not in omitted}
            for record in found[begin : begin + size]
        ]
        body = {"code": 0, "data": {"total": len(found), "list": told}}
        return json.dumps(body, ensure_ascii=False).encode()

    def _records(self, name: str) -> list[dict[str, Any]]:
        """All records in order of their moments."""
        where, _, stem = name.partition("/")
        files = sorted(folder(self._home, where).glob(f"{stem}_*.json")) if stem.isalpha() and where.isalpha() else []
        if not files:
            raise ValueError(name)
        looks = [(file.name, file.stat().st_mtime_ns) for file in files]
        if self._kept.get(name, (None,))[0] != looks:
            newest: dict[str, Sequence[dict[str, Any]]] = {}
            for file in files:
                newest |= _by_key(json.loads(file.read_bytes()))
            records = [record for told in newest.values() for record in told]
            self._kept[name] = looks, sorted(records, key=_moment)
        return self._kept[name][1]


def _by_key(records: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The records of one file; it may tell one twice."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        found.setdefault(next(iter(record.values())), []).append(record)
    return found


def _moment(record: Mapping[str, Any]) -> str:
    return str(next(reversed(record.values())))
