"""Receiving: one pull through the contract's connector into immutable raw, hashed, with a receipt.

A delivery equal to the last one is not kept twice. What the rows mean is not looked at here.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipelines.codecs.sql import literal
from pipelines.connectors.base import Pulled, Request, connectors
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.engine import connect
from pipelines.lake.parquet import make_durable, sha256
from pipelines.lake.zones import Lake
from pipelines.register.receipts import Receipts, Stage

RAW_FILE = "rows.parquet"


@dataclass(frozen=True)
class Delivery:
    """A batch in raw. `new` is false when the source delivered what it had delivered before."""

    batch: int
    rows: int
    path: Path
    new: bool
    unknown_columns: tuple[str, ...]


def receive(
    contract: SourceContract, contracts: Contracts, lake: Lake, secret: Callable[[str], str], receipts: Receipts
) -> Delivery:
    """Pull the source and keep what came. Raises CitylakeError if it cannot deliver, OSError if the disk is full."""
    started = time.monotonic()
    folder = lake.raw(contract.org, contract.dataset)
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pulled = _pull(contract, contracts, partial / RAW_FILE, lake.scratch(), secret)
    content = _content(partial / RAW_FILE, lake.scratch())
    unknown = tuple(c for c in pulled.columns if c not in _expected(contract) and c not in contract.form.ignored)
    last = receipts.last(Stage.PULL, contract.id)
    if last and (last.body["content"], last.body["contract"]) == (content, contract.hash):
        shutil.rmtree(partial)
        batch = last.batch or 0
        return Delivery(batch, pulled.rows, folder / str(batch) / RAW_FILE, False, unknown)
    batch = (last.batch or 0) + 1 if last else 1
    _keep(partial, folder / str(batch))
    path = folder / str(batch) / RAW_FILE
    body = _receipt(pulled, path, content, contract, time.monotonic() - started)
    receipts.add(Stage.PULL, contract.id, body, batch)
    return Delivery(batch, pulled.rows, path, True, unknown)


def _pull(
    contract: SourceContract, contracts: Contracts, target: Path, scratch: Path, secret: Callable[[str], str]
) -> Pulled:
    request = Request(
        target=target,
        root=contracts.root,
        secret=secret,
        owner=contracts.codes["organisations"].rows[contract.org]["name"],
        expected=_expected(contract),
        ignored=tuple(contract.form.ignored),
        scratch=scratch,
    )
    return connectors[contract.connector.verb].function(request, **contract.connector.arguments)


def _expected(contract: SourceContract) -> tuple[str, ...]:
    return tuple(column.physical_name for column in contract.columns)


def _content(path: Path, scratch: Path) -> str:
    """What the rows are, whatever their order: equal for equal deliveries read by the same engine."""
    with connect(scratch) as con:
        query = f"SELECT count(*), coalesce(sum(hash(t)::HUGEINT), 0) FROM read_parquet({literal(str(path))}) t"
        rows, total = con.execute(query).fetchone() or (0, 0)
    return f"duckdb-{duckdb.__version__}:{rows}:{total:x}"


def _keep(partial: Path, final: Path) -> None:
    """Make the batch durable, then visible under its number. A folder without a receipt was left by a killed run."""
    shutil.rmtree(final, ignore_errors=True)
    make_durable([partial / RAW_FILE], partial)
    partial.rename(final)
    make_durable([], final.parent)


def _receipt(pulled: Pulled, path: Path, content: str, contract: SourceContract, seconds: float) -> dict[str, Any]:
    return {
        "rows": pulled.rows,
        "columns": list(pulled.columns),
        "origin": pulled.origin,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "content": content,
        "contract": contract.hash,
        "seconds": round(seconds, 3),
    }
