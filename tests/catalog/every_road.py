"""How tests read a product by every road: what each answers, in one form, and what it left in the audit.

Belongs here: asking over HTTP and putting answers in one form. Does not belong here: what ought to be answered.
"""

import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
from fastapi.testclient import TestClient
from httpx import Response

from catalog.policy import audit
from tests.catalog.reading import downloaded
from tests.catalog.small_city import City, bearer

Row = tuple[str | None, ...]


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder for a city that is asked thousands of questions: each is a durable row of the audit, which on a busy
    disk takes longer than all the rest. On disk where there is no such file system."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Seen:
    """One answer: status, columns, rows by how often each is there, signed addresses that came with it, and the audit
    rows of it (outcome, reason, grant, version)."""

    status: int
    columns: tuple[str, ...] = ()
    rows: Counter[Row] = field(default_factory=Counter)
    addresses: tuple[str, ...] = ()
    audited: tuple[tuple[str, str | None, int | None, int | None], ...] = ()


class Roads:
    """All roads of one city, for one caller after the other."""

    def __init__(self, city: City, client: TestClient) -> None:
        self.city = city
        self.client = client

    def read(self, way: str, product: str, token: str | None, version: int | None = None) -> Seen:
        """A product by one of `WAYS`; `version`: one of the past, by the ways in `PAST`."""
        before = self._last()
        seen = WAYS[way][1](self, product, token, version)
        return Seen(seen.status, seen.columns, seen.rows, seen.addresses, self._since(before))

    def open(self, address: str) -> Seen:
        """The file of a signed address."""
        before = self._last()
        seen = _parquet(self.client.get(address))
        return Seen(seen.status, seen.columns, seen.rows, (), self._since(before))

    def table(self, product: str) -> str:
        """The path of a product's table in Delta Sharing."""
        channel, name = product.split("/")
        known = self.city.contracts.products.get(product)
        library = known.contract.library if known else "population"
        return f"/delta-sharing/shares/{channel}/schemas/{library}/tables/{name}"

    def get(self, path: str, token: str | None, **more: Any) -> Response:
        """A page or document as a program asks for it."""
        return self.client.get(path, headers=bearer(token) if token else {}, **more)

    def _last(self) -> int:
        return max((row["sequence"] for row in audit.recent(self.city.register, 1)), default=0)

    def _since(self, before: int) -> tuple[tuple[str, str | None, int | None, int | None], ...]:
        rows = [row for row in audit.recent(self.city.register, 60) if row["sequence"] > before]
        return tuple(
            (row["outcome"], row["body"].get("reason"), row["grant"], row["version"]) for row in reversed(rows)
        )


def _download(kind: str) -> Callable[[Roads, str, str | None, int | None], Seen]:
    def read(roads: Roads, product: str, token: str | None, _: int | None) -> Seen:
        return _table(roads.get(f"/datasets/{product}/download/{kind}", token), kind)

    return read


def _rows(kind: str) -> Callable[[Roads, str, str | None, int | None], Seen]:
    def read(roads: Roads, product: str, token: str | None, version: int | None) -> Seen:
        asked = {"format": kind, "limit": "100000"} | ({} if version is None else {"as_of": str(version)})
        return _table(roads.get(f"/api/v1/products/{product}/rows", token, params=asked), kind)

    return read


def _shared(roads: Roads, product: str, token: str | None, version: int | None) -> Seen:
    asked = {} if version is None else {"version": version}
    shown = bearer(token) if token else {}
    answer = roads.client.post(f"{roads.table(product)}/query", headers=shown, json=asked)
    if answer.status_code != 200:
        return Seen(answer.status_code)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    columns = tuple(item["name"] for item in json.loads(lines[1]["metaData"]["schemaString"])["fields"])
    addresses, rows = tuple(line["file"]["url"] for line in lines[2:]), Counter[Row]()
    for address in addresses:
        file = _parquet(roads.client.get(address))
        assert (file.status, file.columns) == (200, columns)
        rows += file.rows
    return Seen(200, columns, rows, addresses)


def _table(answer: Response, kind: str) -> Seen:
    if answer.status_code != 200:
        return Seen(answer.status_code)
    if kind == "parquet":
        return _parquet(answer)
    columns, rows = downloaded(answer.content, kind)
    return Seen(200, tuple(columns), Counter(tuple(row) for row in rows))


def _parquet(answer: Response) -> Seen:
    if answer.status_code != 200:
        return Seen(answer.status_code)
    table = pq.read_table(io.BytesIO(answer.content))
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return Seen(200, tuple(table.column_names), Counter(tuple(text(value) for value in row) for row in rows))


def text(value: Any) -> str | None:
    """A value as all formats can tell it."""
    return None if value in (None, "") else str(value)


WAYS: Mapping[str, tuple[str, Callable[[Roads, str, str | None, int | None], Seen]]] = {
    **{f"download {kind}": ("web", _download(kind)) for kind in ("csv", "ndjson", "parquet", "xlsx", "json")},
    "query": ("delta_sharing", _shared),
    **{f"rows {kind}": ("rows", _rows(kind)) for kind in ("ndjson", "parquet", "csv", "json", "xlsx")},
}
"""Ways to read all rows of a product, with the road of `decision.ROADS` that each belongs to."""
PAST = ("query", "rows ndjson", "rows parquet")
"""Those that read a version of the past."""
QUICK = ("download csv", "download ndjson", "query", "rows ndjson", "rows parquet")
"""One or two of each road."""
