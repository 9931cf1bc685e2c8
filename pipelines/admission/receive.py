"""Receiving: one pull through the contract's connector into immutable raw, hashed, with a receipt.

A delivery equal to the last one is not kept twice. What the rows mean is not looked at here.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial as partial_of
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.admission.profile import Profile
from pipelines.admission.renames import renamed
from pipelines.admission.replays import PARTS
from pipelines.admission.taken import TAKEN, known_files
from pipelines.codecs.sql import identifier, literal, literals
from pipelines.connectors.base import EMPTIED, ERASED, UNREAD, ColumnsMissing, Cursor, Pulled, Request, connectors
from pipelines.contracts.forms.sources import WholeTable, position
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.engine import connect
from pipelines.erasure.marks import NOBODY, Erased
from pipelines.lake.parquet import make_durable, sha256, write_file
from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError
from pipelines.privacy.source_names import shown
from pipelines.register.receipts import REPLAY, RETURNED, Receipt, Receipts, Stage

RAW_FILE = "rows.parquet"
RETURNED_FILE = "returned.xlsx"
"""The file of corrected rows, beside them in raw."""


@dataclass(frozen=True)
class Delivery:
    """A batch in raw. `new` is false when the source delivered nothing since; `more` waits behind this one. `left_out`:
    rows of it that are not in raw, for its contract says that they are no data. `again`: files that came again as they
    were taken before."""

    batch: int
    rows: int
    path: Path
    new: bool
    unknown_columns: tuple[str, ...]
    more: bool = False
    left_out: int = 0
    again: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corrected:
    """A row that the department corrected: text by physical column, and the refused row that it answers."""

    batch: int
    row: int
    values: dict[str, str | None]


def receive(
    contract: SourceContract,
    contracts: Contracts,
    lake: Lake,
    secret: Callable[[str], str],
    receipts: Receipts,
    erased: Erased = NOBODY,
    *,
    made_up: bool = False,
    unmarked: Callable[[str, float], None] = lambda _name, _seconds: None,
) -> Delivery | None:
    """Pull the source and keep what came, without erased persons; None when nothing ever came. `made_up`: whether the
    home holds made-up data; `unmarked`: is told of files that wait for their markers (see `Request`).

    Raises CitylakeError if the source cannot deliver, ColumnsRenamed if it lacks columns, OSError if the disk is full.
    """
    started = time.monotonic()
    folder = lake.raw(contract.org, contract.dataset)
    partial = _emptied(contract, lake)
    last = receipts.last(Stage.PULL, contract.id)
    position = position_of(contract, last, receipts)
    again: list[str] = []
    with ExitStack() as failed:
        failed.callback(shutil.rmtree, partial)  # half a delivery is nothing to keep
        try:
            asked = asking(contract, contracts, lake, partial / RAW_FILE)
            known = partial_of(known_files, contract, asked_of(contract), receipts)
            asked = replace(asked, secret=secret, position=position, made_up=made_up, known=known, again=again.append)
            asked = replace(asked, unmarked=unmarked)
            pulled = _pull(contract, replace(asked, previous=lambda: _previous(contract, lake, last, receipts)))
        except ColumnsMissing as error:
            before = receipts.last(Stage.ADMIT, contract.id)  # one that corrects or repeats hands its profile on
            looks = Profile.read(before.body.get("profile", {}) if before else {}).looks
            raise renamed(contract, contracts, lake.scratch(), error, looks) from None
        if pulled is not None:
            _withhold(contract, contracts, partial, lake, erased)
        failed.pop_all()
    if pulled is None:
        shutil.rmtree(partial)
        if connectors[contract.connector.verb].about.asks:
            receipts.add(Stage.SEEN, contract.id, {"position": position})
        delivered = receipts.last_delivered(contract.id)
        return None if delivered is None else replace(kept(contract, lake, delivered), again=tuple(again))
    unknown = unknown_columns(contract, pulled.columns)
    if (
        last
        and last.body["contract"] == contract.hash
        and _repeats(contract, partial / RAW_FILE, pulled.rows, last, lake)
    ):
        shutil.rmtree(partial)
        receipts.add(Stage.SEEN, contract.id, {"position": dict(pulled.position), **_taken(pulled)})
        return replace(kept(contract, lake, last), unknown_columns=unknown, more=pulled.more, again=tuple(again))
    batch = (last.batch or 0) + 1 if last else 1
    _keep(partial, folder / str(batch))
    path = folder / str(batch) / RAW_FILE
    body = _receipt(pulled, path, contract, time.monotonic() - started)
    receipts.add(Stage.PULL, contract.id, body, batch)
    return Delivery(batch, pulled.rows, path, True, unknown, pulled.more, pulled.left_out, tuple(again))


def _withhold(contract: SourceContract, contracts: Contracts, partial: Path, lake: Lake, erased: Erased) -> None:
    """Empty what a delivery says of erased persons. The files that it came as say it too, so they are not kept."""
    if erased.withhold(contract, contracts, partial / RAW_FILE, lake.scratch()):
        for path in partial.iterdir():
            if path.name != RAW_FILE:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def replayed(
    contract: SourceContract,
    lake: Lake,
    batches: Sequence[Receipt],
    receipts: Receipts,
    corrected: Sequence[tuple[int, int]] = (),
    asked: Mapping[str, str] | None = None,
) -> Delivery:
    """Kept batches once more as one new batch, to be judged by the present contract. Where to go on does not move.

    `corrected`: batch and row of rows that are left out, for what the department said of them later stands. `asked`:
    who asked for it and why.
    """
    started = time.monotonic()
    partial = _emptied(contract, lake)
    paths = {receipt.batch or 0: str(kept(contract, lake, receipt).path) for receipt in batches}
    target = partial / RAW_FILE
    left_out = [(paths[batch], row) for batch, row in corrected if batch in paths]
    with connect(lake.scratch()) as con:
        con.execute("SET preserve_insertion_order = true")  # of two tellings of an event the first counts
        query = f"SELECT * FROM read_parquet([{literals(paths.values())}], union_by_name = true)"
        names = [name for name, *_ in con.execute(f"DESCRIBE {query}").fetchall()]
        absent = _not_kept(contract, paths)
        if left_out:
            options = "union_by_name = true, filename = '_path', file_row_number = true"
            rows = f"SELECT * FROM read_parquet([{literals(paths.values())}], {options})"
            con.execute("CREATE TABLE left_out (path VARCHAR, row BIGINT)")
            con.executemany("INSERT INTO left_out VALUES (?, ?)", left_out)
            gone = "l.path = r._path AND l.row = r.file_row_number"
            order = f"list_position([{literals(paths.values())}], _path), file_row_number"  # a join may lose it
            rest = f"SELECT r.* FROM ({rows}) r ANTI JOIN left_out l ON {gone} ORDER BY {order}"
            query = f"SELECT * EXCLUDE (_path, file_row_number) FROM ({rest})"
        if absent:
            nothing = ", ".join(f"NULL::VARCHAR AS {identifier(name)}" for name in absent)
            query = f"SELECT *, {nothing} FROM ({query})"
        count = write_file(con, query, target)
    without = Counter(batch for batch, _ in set(corrected))
    parts = [[batch, pq.read_metadata(path).num_rows - without[batch]] for batch, path in paths.items()]
    if sum(rows for _, rows in parts) != count:
        raise AssertionError(f"{contract.id}: {count} rows replayed, {parts} kept")
    origin = REPLAY + ",".join(map(str, paths))
    more = {PARTS: parts, **({"replayed": dict(asked)} if asked else {})}
    return _ours(contract, lake, receipts, Pulled(count, tuple(names), origin), started, more)


def _not_kept(contract: SourceContract, paths: Mapping[int, str]) -> list[str]:
    """Columns of the contract that none of these raw files has, for nobody asked the source for them then: they say
    nothing of these rows. Raises CitylakeError if it is one that must say something."""
    kept_in = {batch: set(pq.read_schema(path).names) for batch, path in paths.items()}
    for column in contract.columns:
        lacking = [batch for batch, names in kept_in.items() if column.physical_name not in names]
        if lacking and column.required:
            named = {"column": column.physical_name, "batches": ", ".join(map(str, lacking))}
            raise CitylakeError("replay.not_kept", subject=contract.id, **named)
    return [name for name in _expected(contract) if not any(name in names for names in kept_in.values())]


def returned(
    contract: SourceContract,
    lake: Lake,
    file: Path,
    rows: Sequence[Corrected],
    about: dict[str, Any],
    receipts: Receipts,
) -> Delivery:
    """Rows that the department corrected as a new batch, the file beside them. Where to go on does not move.

    `about`: who took them back and why, for the receipt, which also names the refused row that each row answers.
    """
    started = time.monotonic()
    partial = _emptied(contract, lake)
    names = _expected(contract)
    schema = pa.schema([(name, pa.string()) for name in names])
    pq.write_table(pa.Table.from_pylist([row.values for row in rows], schema), partial / RAW_FILE, compression="zstd")
    shutil.copyfile(file, partial / RETURNED_FILE)
    mark = sha256(partial / RETURNED_FILE)
    answers = [[row.batch, row.row] for row in rows]
    pulled = Pulled(len(rows), names, f"{RETURNED}{RETURNED_FILE}#{mark[:12]}")
    more = {"returned": {**about, "sha256": mark, "answers": answers}}
    return _ours(contract, lake, receipts, pulled, started, more)


def _emptied(contract: SourceContract, lake: Lake) -> Path:
    """The folder in which a batch is made ready."""
    partial = lake.raw(contract.org, contract.dataset) / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _ours(
    contract: SourceContract, lake: Lake, receipts: Receipts, pulled: Pulled, started: float, more: dict[str, Any]
) -> Delivery:
    """Keep a batch that no source delivered; the next pull goes on where the last one ended."""
    folder = lake.raw(contract.org, contract.dataset)
    last = receipts.last(Stage.PULL, contract.id)
    batch = (last.batch or 0) + 1 if last else 1
    pulled = replace(pulled, position=position_of(contract, last, receipts))
    _keep(folder / "partial", folder / str(batch))
    path = folder / str(batch) / RAW_FILE
    body = _receipt(pulled, path, contract, time.monotonic() - started)
    receipts.add(Stage.PULL, contract.id, body | more, batch)
    return Delivery(batch, pulled.rows, path, True, ())


def kept(contract: SourceContract, lake: Lake, receipt: Receipt) -> Delivery:
    """The batch in raw that a receipt of a pull tells of."""
    batch = receipt.batch or 0
    path = lake.raw(contract.org, contract.dataset) / str(batch) / RAW_FILE
    unknown, left_out = unknown_columns(contract, receipt.body["columns"]), receipt.body.get("left_out", 0)
    return Delivery(batch, receipt.body["rows"], path, False, unknown, left_out=left_out)


def position_of(contract: SourceContract, last: Receipt | None, receipts: Receipts) -> dict[str, Any]:
    """Where the next pull goes on: what the newest pull or question returned, or where a steward moved it since.

    Another connector or load starts anew; what it brings again is compared with core, so nothing is applied twice.
    """
    if last is None or last.body.get("asked") != asked_of(contract):
        return {}
    told = (last, receipts.last(Stage.SEEN, contract.id), receipts.last(Stage.POSITION, contract.id))
    newest = max((one for one in told if one), key=lambda one: one.id)
    position: dict[str, Any] = newest.body.get("position", {})
    return position


def _previous(contract: SourceContract, lake: Lake, last: Receipt | None, receipts: Receipts) -> Path | None:
    """The rows of the newest batch where the source delivered it, byte for byte as they came: what was seen since said
    the same. None where a steward moved the position since: they are not the rows of that one."""
    if last is None or last.body["origin"].startswith((REPLAY, RETURNED)):
        return None
    moved = receipts.last(Stage.POSITION, contract.id)
    if moved is not None and moved.id > last.id:
        return None
    path = kept(contract, lake, last).path
    return path if path.is_file() and sha256(path) == last.body["sha256"] else None


def asked_of(contract: SourceContract) -> dict[str, Any]:
    """What a position belongs to: how the source is asked, as the contract writes it."""
    connector = {"verb": contract.connector.verb, **contract.connector.arguments}
    cursor = _cursor(contract)
    asked = cursor and (list(cursor.columns) if cursor.then else cursor.column)
    return {"connector": connector, "cursor": asked}


def _cursor(contract: SourceContract) -> Cursor | None:
    load = contract.form.load
    if not (names := position(load)):
        return None
    physical = {column.name: column.physical_name for column in contract.columns}
    first, *then = (physical[name] for name in names)
    return Cursor(first, load.overlap, tuple(then))  # type: ignore[union-attr]  # a load with a position has an overlap


def _pull(contract: SourceContract, request: Request) -> Pulled | None:
    return connectors[contract.connector.verb].function(request, **contract.connector.arguments)


def asking(contract: SourceContract, contracts: Contracts, lake: Lake, target: Path) -> Request:
    """What is asked for this source, without secrets and position: enough to read again what is in raw."""
    return Request(
        target=target,
        root=contracts.root,
        secret=str,
        owner=contracts.codes["organisations"].rows[contract.org]["name"],
        expected=_expected(contract),
        ignored=tuple(contract.form.ignored),
        scratch=lake.scratch(),
        cursor=_cursor(contract),
        spool=lake.spool(contract.org, contract.dataset),
        sessions=lambda connection: contracts.city.connections[connection].sessions,
    )


def _expected(contract: SourceContract) -> tuple[str, ...]:
    return tuple(column.physical_name for column in contract.columns)


def unknown_columns(contract: SourceContract, columns: Iterable[str]) -> tuple[str, ...]:
    """Columns that the contract neither uses nor ignores, as people may be told of them."""
    known = {UNREAD, ERASED, EMPTIED, *_expected(contract), *contract.form.ignored}
    return shown([name for name in columns if name not in known])


def _repeats(contract: SourceContract, path: Path, rows: int, last: Receipt, lake: Lake) -> bool:
    """Whether a delivery says what the last one said. Its rows are looked at only if there are as many of them and the
    files are not equal byte for byte, as those of an unchanged source mostly are. Their order says something only where
    a key is told twice, and the later row counts."""
    before = lake.raw(contract.org, contract.dataset) / str(last.batch) / RAW_FILE
    if rows != last.body["rows"] or not before.is_file():
        return False
    if sha256(path) == last.body["sha256"]:
        return True
    ordered = connectors[contract.connector.verb].about.placed and not isinstance(contract.form.load, WholeTable)
    with connect(lake.scratch()) as con:
        one, other = (_content(con, file) for file in (path, before))
        return one == other and not (ordered and _twice(con, contract, path))


def _twice(con: duckdb.DuckDBPyConnection, contract: SourceContract, path: Path) -> bool:
    """Whether a raw file has two rows of one key."""
    key = [column.physical_name for column in contract.columns if column.name in contract.form.load.key]
    rows = f"SELECT 1 FROM read_parquet({literal(str(path))}) GROUP BY {', '.join(map(identifier, key))}"
    return con.execute(f"{rows} HAVING count(*) > 1 LIMIT 1").fetchone() is not None


def _content(con: duckdb.DuckDBPyConnection, path: Path) -> tuple[list[Any], Any]:
    """What the rows of a raw file are, whatever their order: its columns with their types, and a sum over all rows."""
    file = f"read_parquet({literal(str(path))})"
    columns = con.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()
    return columns, con.execute(f"SELECT sum(hash(t)::HUGEINT) FROM {file} t").fetchone()


def _keep(partial: Path, final: Path) -> None:
    """Make the batch durable, then visible under its number. A folder without a receipt was left by a killed run."""
    shutil.rmtree(final, ignore_errors=True)
    make_durable(sorted(partial.iterdir()), partial)
    partial.rename(final)
    make_durable([], final.parent)


def _receipt(pulled: Pulled, path: Path, contract: SourceContract, seconds: float) -> dict[str, Any]:
    return {
        "rows": pulled.rows,
        **({"left_out": pulled.left_out} if pulled.left_out else {}),
        "columns": list(pulled.columns),
        "origin": pulled.origin,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "position": dict(pulled.position),
        "asked": asked_of(contract),
        "contract": contract.hash,
        "seconds": round(seconds, 3),
        **_taken(pulled),
    }


def _taken(pulled: Pulled) -> dict[str, Any]:
    """What a receipt says of the files that a pull took, if it took files."""
    return {} if pulled.taken is None else {TAKEN: dict(pulled.taken)}
