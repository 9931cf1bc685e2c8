"""An interface of records behind a real server, in every way of paging, and pulls from it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.messages import CitylakeError
from tests.connectors.rest_server import Handle, Server, Table

WAYS: dict[str, dict[str, Any]] = {
    "pages": {
        "path": "pages",
        "parameters": {"page": "$page", "size": "$size"},
        "paging": {"by": "page", "size": 3},
        "total": "data/total",
        "success": {"under": "code", "values": [0]},
    },
    "offsets": {
        "path": "offsets",
        "parameters": {"offset": "$offset", "limit": "$size"},
        "paging": {"by": "offset", "size": 3},
    },
    "search": {
        "path": "search",
        "method": "POST",
        "body": {"from": "$offset", "size": "$size", "only": [{"org": "六安"}]},
        "paging": {"by": "offset", "size": 3},
        "total": "data/total",
    },
    "cursors": {
        "path": "cursors",
        "parameters": {"after": "$cursor", "limit": "$size"},
        "paging": {"by": "cursor", "under": "next/after", "size": 3},
    },
    "links": {"path": "links", "parameters": {"size": "$size"}, "paging": {"by": "link", "size": 3}},
    "bodylinks": {
        "path": "bodylinks",
        "parameters": {"size": "$size"},
        "paging": {"by": "link", "under": "links/next", "size": 3},
    },
}
SECRETS = ("geheim", "Z2VoZWlt")


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"id": str(number), "at": f"2026-11-{number % 28 + 1:02} 08:00:00"} for number in range(count)]


def ids(rows: list[dict[str, Any]] | None) -> list[str]:
    assert rows is not None
    return [row["id"] for row in rows]


class Interface:
    """A server, and pulls from it."""

    def __init__(self, puller: Callable[..., Any]) -> None:
        self.server = Server(Table(numbered(8)))
        self.puller = puller("rest_api", self.server.url, ["id"])

    def serve(self, handle: Handle) -> None:
        self.server.handle = handle

    def secret(self, **values: str) -> None:
        self.puller.secret = json.dumps({"url": self.server.url, **values})

    def pull(self, way: str = "pages", **arguments: Any) -> list[dict[str, Any]] | None:
        return self.puller.pull(**{"records": "data/list"} | WAYS[way] | arguments)

    def refused(self, way: str = "pages", **arguments: Any) -> CitylakeError:
        with pytest.raises(CitylakeError) as caught:
            self.pull(way, **arguments)
        for secret in SECRETS:
            assert secret not in str(caught.value)
        return caught.value

    def paths(self) -> list[str]:
        return [asked.raw for asked in self.server.asked]
