"""How tests read a product by every road: what each answers, in one form, and what it left in the audit.

Belongs here: asking over HTTP and putting answers in one form. Does not belong here: what ought to be answered.
"""

import html
import io
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
from fastapi.testclient import TestClient
from httpx import Response

from catalog.delivery.desk import PREVIEW_ROWS
from catalog.policy import audit
from pipelines.geo import wkt
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
        """A product by one of `WAYS` or `LAYERS`; `version`: one of the past, by the ways in `PAST`."""
        before = self._last()
        seen = (WAYS.get(way) or LAYERS[way])[1](self, product, token, version)
        return Seen(seen.status, seen.columns, seen.rows, seen.addresses, self._since(before))

    def open(self, address: str) -> Seen:
        """The file of a signed address."""
        before = self._last()
        seen = _parquet(self.client.get(address))
        return Seen(seen.status, seen.columns, seen.rows, (), self._since(before))

    def answered(self, ask: Callable[[], Response]) -> Seen:
        """Status and audit rows of an answer whose rows are looked at elsewhere."""
        statuses: list[int] = []
        told = self.audited(lambda: statuses.append(ask().status_code))
        return Seen(statuses[0], audited=told)

    def audited(self, act: Callable[[], object]) -> tuple[tuple[str, str | None, int | None, int | None], ...]:
        """The audit rows that an act leaves."""
        before = self._last()
        act()
        return self._since(before)

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


def _preview(roads: Roads, product: str, token: str | None, _: int | None) -> Seen:
    """The first rows, as the page shows them."""
    answer = roads.get(f"/datasets/{product}/preview", token)
    found = re.search(r'<table class="data">.*?</table>', answer.text, re.S)
    if answer.status_code != 200 or found is None:
        return Seen(answer.status_code)
    head, _, body = found[0].partition("<tbody>")
    columns = tuple(re.findall("<code>(.*?)</code>", head))
    rows = (re.findall("<td.*?>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", body, re.S))
    empty = '<span class="quiet">'
    told = (tuple(None if cell.startswith(empty) else text(html.unescape(cell)) for cell in row) for row in rows)
    return Seen(200, columns, Counter(told))


def _layer(kind: str) -> Callable[[Roads, str, str | None, int | None], Seen]:
    def read(roads: Roads, product: str, token: str | None, _: int | None) -> Seen:
        answer = roads.get(f"/datasets/{product}/download/{kind}", token)
        return Seen(answer.status_code) if answer.status_code != 200 else _FEATURES[kind](answer.content)

    return read


def _geojson(content: bytes) -> Seen:
    features = json.loads(content)["features"]
    rows = [
        {**one["properties"], "geometry": "POINT ({} {})".format(*one["geometry"]["coordinates"])} for one in features
    ]
    return _of_records(rows)


def _geopackage(content: bytes) -> Seen:
    with closing(sqlite3.connect(":memory:")) as package:
        package.deserialize(content)
        package.row_factory = sqlite3.Row
        ((table, geometry),) = package.execute("SELECT table_name, column_name FROM gpkg_geometry_columns")
        rows = [dict(row) for row in package.execute(f'SELECT * FROM "{table}"')]
    return _of_records([{**row, geometry: wkt.of_wkb(row[geometry][8:])} for row in rows], geometry)


def _geoparquet(content: bytes) -> Seen:
    table = pq.read_table(io.BytesIO(content))
    geometry = json.loads(pq.read_metadata(io.BytesIO(content)).metadata[b"geo"])["primary_column"]
    return _of_records([{**row, geometry: wkt.of_wkb(row[geometry])} for row in table.to_pylist()], geometry)


_FEATURES = {"geojson": _geojson, "gpkg": _geopackage, "geoparquet": _geoparquet}


def _of_records(rows: list[dict[str, Any]], geometry: str = "geometry") -> Seen:
    """Features with points: columns in no order, the geometry under one name in all formats."""
    told = [{("geometry" if name == geometry else name): text(value) for name, value in row.items()} for row in rows]
    columns = tuple(sorted(told[0].keys() - {"fid"})) if told else ()
    return Seen(200, columns, Counter(tuple(row[name] for name in columns) for row in told))


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
    "preview": ("web", _preview),
    **{f"rows {kind}": ("rows", _rows(kind)) for kind in ("ndjson", "parquet", "csv", "json", "xlsx")},
}
"""Ways to read all rows of a product, or the first (`preview`), with the road of `decision.ROADS` of each."""
PAST = ("query", "rows ndjson", "rows parquet")
"""Those that read a version of the past."""
QUICK = ("download csv", "preview", "query", "rows ndjson", "rows parquet")
"""One or two of each road."""
LAYERS: Mapping[str, tuple[str, Callable[[Roads, str, str | None, int | None], Seen]]] = {
    f"download {kind}": ("web", _layer(kind)) for kind in _FEATURES
}
"""Ways to read a product as a layer, if it shows where things are."""


def agrees(way: str, rows: Counter[Row], whole: Counter[Row]) -> bool:
    """Whether rows that were read by a way are those that there are."""
    if way == "preview":
        return rows <= whole and rows.total() == min(PREVIEW_ROWS, whole.total())
    return rows == whole
