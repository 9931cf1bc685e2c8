"""A follower of a shared table: takes a snapshot, applies what the change data feed tells, and takes another snapshot
when the feed says so. Reads the protocol as a client does, by its lines and addresses."""

import io
import json
from collections import Counter
from typing import Any

import pyarrow.parquet as pq
from fastapi.testclient import TestClient

from tests.catalog.small_city import bearer

Row = tuple[Any, ...]


class Follower:
    """One table as one recipient holds it: rows by how often each is there."""

    def __init__(self, client: TestClient, token: str, table: str, kind: str = "parquet") -> None:
        self.client = client
        self.table = table
        self.shown = bearer(token) | {"delta-sharing-capabilities": f"responseformat={kind}"}
        self.columns: list[str] = []
        self.rows: Counter[Row] = Counter()
        self.version = -1
        self.told: list[bytes] = []
        """Every byte that came: answers and files."""

    def snapshot(self, version: int | None = None) -> None:
        """Read the whole of a version."""
        question = {} if version is None else {"version": version}
        answer = self.client.post(f"{self.table}/query", headers=self.shown, json=question)
        assert answer.status_code == 200, answer.text
        self.columns, self.rows = self._columns(answer.text), Counter()
        for line in self._lines(answer.text)[2:]:
            self.rows.update(self._file(line["file"], self.columns))
        self.version = int(answer.headers["delta-table-version"])

    def follow(self, end: int | None = None) -> bool:
        """Apply the changes since the version that is held; False if the answer asks for a new snapshot."""
        question = {"startingVersion": self.version + 1} | ({} if end is None else {"endingVersion": end})
        answer = self.client.get(f"{self.table}/changes", headers=self.shown, params=question)
        if answer.status_code != 200:
            assert answer.status_code == 400 and "重新读取整张表" in answer.json()["message"], answer.text
            return False
        assert self._columns(answer.text) == self.columns
        for line in self._lines(answer.text)[2:]:
            self._apply(line)
        return True

    def _apply(self, line: dict[str, Any]) -> None:
        about = line["file"] if "file" in line else next(iter(line.values()))
        assert about["version"] > self.version - 1
        self.version = about["version"]
        whole = "add" in line or "add" in about.get("deltaSingleAction", ())
        gone, come = Counter[Row](), Counter[Row]()
        for *row, kind in self._file(about, self.columns if whole else [*self.columns, "_change_type"], whole):
            (come if kind in ("insert", "update_postimage") else gone)[tuple(row)] += 1
        assert gone <= self.rows, "only rows that are held go"
        assert not whole or not self.rows
        self.rows = self.rows - gone + come

    def _file(self, about: dict[str, Any], columns: list[str], whole: bool = False) -> list[Row]:
        action = next(iter(about["deltaSingleAction"].values())) if "deltaSingleAction" in about else about
        answer = self.client.get(action["path"] if "path" in action else action["url"])
        assert answer.status_code == 200 and len(answer.content) == about["size"]
        self.told.append(answer.content)
        table = pq.read_table(io.BytesIO(answer.content))
        assert set(table.column_names) == set(columns)
        rows = list(zip(*(table[name].to_pylist() for name in columns), strict=True))
        return [(*row, "insert") for row in rows] if whole else rows

    def _columns(self, text: str) -> list[str]:
        metadata = self._lines(text)[1]["metaData"]
        schema = metadata.get("deltaMetadata", metadata)["schemaString"]
        return [field["name"] for field in json.loads(schema)["fields"]]

    def _lines(self, text: str) -> list[dict[str, Any]]:
        self.told.append(text.encode())
        return [json.loads(line) for line in text.splitlines()]
