"""Rewriting files that were written for ever, because an order or a contract says so: rows go or cells are emptied, the
rest stays.

A file keeps its name, so every version of a table that has it stays a version; the log is mended to say the new sizes
and statistics. Whoever rewrites writes a journal first and is done when it is gone: killed in between, the journal is
carried out again. Belongs here: files, logs, journals. Does not belong here: which rows.
"""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import Schema

from pipelines.codecs.sql import identifier, literal
from pipelines.lake.checksums import checksums
from pipelines.lake.delta import latest, log_lines, open_table
from pipelines.lake.file_stats import written_stats
from pipelines.lake.parquet import TABLE, make_durable, sha256, write_file

LAST_CHECKPOINT = "_last_checkpoint"


@dataclass(frozen=True)
class Change:
    """What becomes of one Parquet file: positions of rows that go, and by column those whose cell is emptied.

    `marks`: columns of text that are added, or filled where they are there already, by position; with them rows that
    go leave an empty row behind, so that all others keep their place.
    """

    gone: Sequence[int] = ()
    cells: Mapping[str, Sequence[int]] = field(default_factory=dict)
    marks: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """What is to be done to one file of a place (`raw/psb/household_person`). `table`: the Delta table it is of."""

    place: str
    file: Path
    change: Change
    table: Path | None = None

    def stored(self, home: Path) -> dict[str, Any]:
        """As a journal keeps it: paths below the home, the file with its checksums before."""
        change = {"gone": self.change.gone, "cells": self.change.cells, "marks": self.change.marks}
        table = str(self.table.relative_to(home)) if self.table else None
        about = {"place": self.place, "file": str(self.file.relative_to(home)), "table": table}
        return {**about, "before": checksums(self.file), "change": change}


def write_journal(file: Path, journal: Mapping[str, Any]) -> None:
    """Keep what is about to be done, whole or not at all, for this account only."""
    partial = file.with_name(f".{file.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(journal, ensure_ascii=False), "utf-8")
    replace_file(partial, file)


def carry_out(
    con: duckdb.DuckDBPyConnection, home: Path, files: Sequence[Mapping[str, Any]], tables: Iterable[str] = ()
) -> None:
    """Rewrite the files of a journal that were not rewritten before a kill, then make the logs of their tables say the
    same. `tables`: others whose logs are to forget files that are gone. Can be repeated.
    """
    named: dict[str, list[str]] = {table: [] for table in tables}
    for one in files:
        file = home / one["file"]
        if sha256(file) == one["before"]["sha256"]:
            rewrite(con, file, _change(one["change"]))
        if one["table"] is not None:
            named.setdefault(one["table"], []).append(str(file.relative_to(home / one["table"])))
    for table, changed in named.items():
        if latest(home / table) is not None:
            mend_log(con, home / table, changed)


def drop(home: Path, names: Iterable[str]) -> None:
    """Remove files as a whole, durably; those that are gone already too."""
    for name in names:
        (home / name).unlink(missing_ok=True)
        if (home / name).parent.is_dir():
            make_durable([], (home / name).parent)


def _change(said: Mapping[str, Any]) -> Change:
    texts = {name: {int(place): text for place, text in marked.items()} for name, marked in said["marks"].items()}
    return Change(said["gone"], said["cells"], texts)


def rewrite(con: duckdb.DuckDBPyConnection, file: Path, change: Change) -> None:
    """Replace a file by one that is changed, whole or not at all. Raises DuckDB's own errors, OSError."""
    read = f"read_parquet({literal(str(file))}, file_row_number = true, hive_partitioning = false)"
    names = [name for name, *_ in con.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {read}").fetchall()]
    shown = [_cell(name, change) for name in names if name not in change.marks]
    for name, texts in change.marks.items():
        old = f"CAST({identifier(name)} AS VARCHAR)" if name in names else "CAST(NULL AS VARCHAR)"
        whens = "".join(f" WHEN {place} THEN {literal(text)}" for place, text in texts.items())
        shown.append(f"{f'CASE file_row_number{whens} ELSE {old} END' if whens else old} AS {identifier(name)}")
    kept = ""
    if change.gone and not change.marks:
        # as a table: a long list in the query is looked through for every row
        con.register("gone_place", pa.table({"place": pa.array(change.gone, pa.int64())}))
        kept = " ANTI JOIN gone_place ON gone_place.place = file_row_number"
    partial = file.with_name(f".{file.name}.partial")
    write_file(con, f"SELECT {', '.join(shown)} FROM {read}{kept} ORDER BY file_row_number", partial, TABLE)
    replace_file(partial, file)


def replace_file(partial: Path, file: Path) -> None:
    """Put a finished file in the place of another, durably."""
    make_durable([partial], file.parent)
    os.replace(partial, file)
    make_durable([], file.parent)


def mend_log(con: duckdb.DuckDBPyConnection, location: Path, files: Collection[str]) -> None:
    """Make the log of a table say what rewritten files are like now; `files`: their paths below `location`.

    Of files that are gone it keeps no smallest and greatest values, which are values of rows. Checkpoints repeat the
    entries: they go before, readers then have the entries, and a table that had one gets another. Can be repeated.
    """
    schema, log = open_table(location).schema(), location / "_delta_log"
    checkpoints = [*log.glob("*.checkpoint*")]
    fresh = {name: (_size(location / name), _stats(con, location / name, schema)) for name in files}
    for entry in sorted(log.glob("[0-9]*.json")):
        new = b"".join(_mended(line, location, fresh) + b"\n" for line in log_lines(entry))
        if new != entry.read_bytes():
            partial = entry.with_name(f".{entry.name}.partial")
            partial.write_bytes(new)
            replace_file(partial, entry)
    (log / LAST_CHECKPOINT).unlink(missing_ok=True)  # first: a table whose hint leads nowhere cannot be opened
    make_durable([], log)
    for checkpoint in checkpoints:
        checkpoint.unlink()
    make_durable([], log)
    if checkpoints:
        open_table(location).create_checkpoint()


def _cell(name: str, change: Change) -> str:
    places = {*change.cells.get(name, ()), *(change.gone if change.marks else ())}
    column = identifier(name)
    return f"CASE WHEN {_at(sorted(places))} THEN NULL ELSE {column} END AS {column}" if places else column


def _at(places: Sequence[int]) -> str:
    """That a row stands at one of these places. Rows that end together mostly stand together, so runs are told by their
    ends: a million places are no text of a million numbers."""
    single = [str(first) for first, last in _runs(places) if first == last]
    runs = [f"file_row_number BETWEEN {first} AND {last}" for first, last in _runs(places) if first < last]
    listed = [f"file_row_number IN ({', '.join(single)})"] if single else []
    return " OR ".join([*listed, *runs]) or "false"


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of every run of neighbours, in order."""
    ordered = sorted(places)
    starts = [at for at, place in enumerate(ordered) if at == 0 or place > ordered[at - 1] + 1]
    for start, end in zip(starts, [*starts[1:], len(ordered)], strict=False):  # of nothing there is no run
        yield ordered[start], ordered[end - 1]


def _size(file: Path) -> int:
    return file.stat().st_size


def _mended(line: bytes, location: Path, fresh: Mapping[str, tuple[int, dict[str, Any]]]) -> bytes:
    action = json.loads(line)
    for kind in ("add", "remove"):
        if (about := action.get(kind)) is None:
            continue
        name = unquote(about["path"])
        if name in fresh:
            about["size"], stats = fresh[name]
        elif (location / name).is_file():
            return line
        else:
            stats = {"numRecords": json.loads(about.get("stats") or "{}").get("numRecords", 0)}
        if about.get("stats") is not None:
            about["stats"] = json.dumps(stats, ensure_ascii=False)
        return json.dumps(action, ensure_ascii=False).encode()
    return line


def _stats(con: duckdb.DuckDBPyConnection, file: Path, schema: Schema) -> dict[str, Any]:
    """The statistics of a file as Delta writes them, found by reading it."""
    read = f"read_parquet({literal(str(file))}, hive_partitioning = false)"
    names = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()}
    bounded = [identifier(name) for name, kind in names.items() if "[" not in kind and "(" not in kind]
    asked = "".join(
        f", CAST(min({name}) AS VARCHAR), CAST(max({name}) AS VARCHAR), count(*) - count({name})" for name in bounded
    )
    found = con.execute(f"SELECT count(*){asked} FROM {read}").fetchone() or (0,)
    seen = {
        name: {"min": found[3 * place + 1], "max": found[3 * place + 2], "null_count": str(found[3 * place + 3])}
        for place, name in enumerate(bounded)
    }
    return written_stats(schema, int(found[0]), seen)
