"""Where a person stands: positions of rows in the files of every zone that are to go or to be emptied.

Reads only. A plan names files, positions and columns, never values, so that it can be kept until all of it is done.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from pipelines.admission import answers
from pipelines.admission.compile import DIRTY, ROW, compile_contract
from pipelines.codecs.sql import identifier, literal, literals
from pipelines.connectors.base import EMPTIED, ERASED, UNREAD
from pipelines.contracts.load import Contracts, ProductContract, SourceContract
from pipelines.erasure.rows import Fate, Wanted, by_source_key, of_model, of_source, swept
from pipelines.lake.parquet import columns_of, files_of, read_files
from pipelines.lake.rewrite import Change, Planned
from pipelines.lake.zones import Lake
from pipelines.linkage import tables
from pipelines.register.store import now


@dataclass
class Found:
    """What a search found: changes of files, files that go as a whole, and by product the versions that end as a whole,
    for not every row that is to go was found in them."""

    planned: list[Planned] = field(default_factory=list)
    dropped: list[Path] = field(default_factory=list)
    versions: dict[str, list[int]] = field(default_factory=dict)


def in_raw(
    con: duckdb.DuckDBPyConnection, contract: SourceContract, contracts: Contracts, file: Path, wanted: Wanted
) -> Change | None:
    """The change of one file of raw rows; None if nobody who is looked for stands in it. Its rows keep their places."""
    read, raw, decoded = raw_decoded(con, contract, contracts, file)
    fate = of_source(contract, contracts, wanted)
    given = {column.name: column.physical_name for column in contract.columns}
    texts = [name for name, kind in raw.items() if kind == "VARCHAR" and name not in (ERASED, EMPTIED)]
    said, words = _asked(fate, given), sorted(swept(Fate("NULL", {}), texts, wanted.said).cells.items())
    rows = con.execute(
        f"SELECT {ROW}, goes, cells, words FROM (SELECT {ROW}, {fate.goes} AS goes, {_list(said)} AS cells "
        f"FROM ({decoded})) JOIN (SELECT file_row_number AS {ROW}, {_list(words)} AS words FROM {read}) USING ({ROW}) "
        "WHERE goes IS NOT NULL OR list_contains(cells, true) OR list_contains(words, true) ORDER BY ALL"
    ).fetchall()
    names = {physical: name for name, physical in given.items()}
    gone: dict[int, str] = {}
    cells: dict[str, list[int]] = {}
    told: dict[int, str] = {}
    for place, order, hits, seen in rows:
        if order is not None:
            gone[place] = order
            continue
        columns = {given[column] for (column, _), hit in zip(said, hits, strict=False) if hit}
        columns |= {column for (column, _), hit in zip(words, seen, strict=False) if hit}
        for column in columns:
            cells.setdefault(column, []).append(place)
        told[place] = ",".join(sorted(names.get(column, column) for column in columns))
        if UNREAD in columns:  # a row that nobody could take apart may be all about the person
            gone[place] = next(iter(wanted.numbers.values()))
    for places in cells.values():
        places[:] = [place for place in places if place not in gone]
    told = {place: text for place, text in told.items() if place not in gone}
    if not (gone or told):
        return None
    return Change(sorted(gone), {name: at for name, at in cells.items() if at}, {ERASED: gone, EMPTIED: told})


def raw_decoded(
    con: duckdb.DuckDBPyConnection, contract: SourceContract, contracts: Contracts, file: Path
) -> tuple[str, dict[str, str], str]:
    """A file of raw rows, to stand after FROM; its columns with DuckDB's names of their types; and a query of the rows
    as the contract reads them, accepted or not."""
    read = f"read_parquet({literal(str(file))}, file_row_number = true)"
    raw = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()}
    missing = [column.physical_name for column in contract.columns if column.physical_name not in raw]
    filled = "".join(f", NULL::VARCHAR AS {identifier(name)}" for name in missing)
    admission = compile_contract(contract, contracts, now().date(), raw)
    return read, raw, admission.decoded(f"SELECT *{filled}, 'I' AS _op, true AS {DIRTY} FROM {read}")


def _asked(fate: Fate, given: Iterable[str]) -> list[tuple[str, str]]:
    """The conditions on delivered columns, in a fixed order."""
    known = set(given)
    return sorted((name, condition) for name, condition in fate.cells.items() if name in known)


def _list(conditions: Sequence[tuple[str, str]]) -> str:
    return f"[{', '.join(sql for _, sql in conditions) or 'false'}]"


def in_table(
    con: duckdb.DuckDBPyConnection,
    place: str,
    location: Path,
    fate: Fate,
    marks: Collection[str],
    columns: Iterable[str] = (),
) -> list[Planned]:
    """The changes of all files of a Delta table, those of old versions too. `marks`: what must
    stand in no text any more. `columns`: what the fate may ask for,
    though no file has it yet."""
    files = files_of(location)
    if not files:
        return []
    names = columns_of(con, files)
    texts = [name for name, kind in names.items() if kind == "VARCHAR"]
    fate = swept(Fate(fate.goes, {name: sql for name, sql in fate.cells.items() if name in names}), texts, marks)
    asked = sorted(fate.cells.items())
    filled = "".join(f", NULL::VARCHAR AS {identifier(name)}" for name in columns if name not in names)
    rows = con.execute(
        f"SELECT filename, file_row_number, goes IS NOT NULL, cells FROM (SELECT filename, file_row_number, "
        f"{fate.goes} AS goes, {_list(asked)} AS cells FROM (SELECT *{filled} FROM {read_files(files)})) "
        "WHERE goes IS NOT NULL OR list_contains(cells, true) ORDER BY ALL"
    ).fetchall()
    found: dict[str, tuple[list[int], dict[str, list[int]]]] = {}
    for file, position, goes, hits in rows:
        gone, cells = found.setdefault(file, ([], {}))
        if goes:
            gone.append(position)
            continue
        for (name, _), hit in zip(asked, hits, strict=False):
            if hit:
                cells.setdefault(name, []).append(position)
    return [Planned(place, Path(file), Change(*change), location) for file, change in found.items()]


def in_core(
    con: duckdb.DuckDBPyConnection, lake: Lake, contract: SourceContract, contracts: Contracts, wanted: Wanted
) -> list[Planned]:
    """The changes of a core table."""
    location = lake.core(contract.org, contract.dataset)
    fate = of_source(contract, contracts, wanted)
    columns = [column.name for column in contract.all_columns]
    return in_table(con, f"core/{contract.id}", location, fate, wanted.said, columns)


def in_quarantine(
    con: duckdb.DuckDBPyConnection, lake: Lake, contract: SourceContract, contracts: Contracts, wanted: Wanted
) -> list[Planned]:
    """The changes of a table of refused rows. A row in which the person stands at all goes: nobody waits for it."""
    location = lake.quarantine(contract.org, contract.dataset)
    decoded = refused_decoded(con, lake, contract, contracts)
    if decoded is None:
        return []
    fate = of_source(contract, contracts, wanted)
    asked = [sql for _, sql in _asked(fate, [column.name for column in contract.columns])]
    about = " OR ".join([f"{fate.goes} IS NOT NULL", *asked])
    words = " OR ".join(f"contains(delivered, {literal(mark)})" for mark in wanted.said) or "false"
    rows = con.execute(
        f"SELECT filename, place FROM refused r JOIN (SELECT {ROW}, {about} AS about FROM "
        f"({decoded})) d ON d.{ROW} = r.id "
        f"WHERE d.about OR {words} ORDER BY ALL"
    ).fetchall()
    found: dict[str, list[int]] = {}
    for file, place in rows:
        found.setdefault(file, []).append(place)
    return [
        Planned(f"quarantine/{contract.id}", Path(file), Change(places), location) for file, places in found.items()
    ]


def refused_decoded(
    con: duckdb.DuckDBPyConnection, lake: Lake, contract: SourceContract, contracts: Contracts
) -> str | None:
    """A query of a source's refused rows as the contract reads them, over the table `refused` that it makes (`id` is
    the query's `_row`; file and place in it); None if nothing was ever refused."""
    files = files_of(lake.quarantine(contract.org, contract.dataset))
    if not files:
        return None
    con.execute(
        "CREATE OR REPLACE TEMP TABLE refused AS SELECT row_number() OVER () AS id, filename, "
        f"file_row_number AS place, delivered, {answers.told(contract)} AS texts FROM {read_files(files)}"
    )
    return answers.decoded(contract, contracts, "refused")


def in_linkage(con: duckdb.DuckDBPyConnection, lake: Lake, wanted: Wanted) -> Iterator[Planned]:
    """The changes of the tables that say whom rows are about, and of what was matched to their addresses."""
    for name, columns in tables.TABLES.items():
        told = {"claim": wanted.claims, "person_id": wanted.ids, "other": wanted.ids}
        stands = [f"{column} IN ({literals(told[column])})" for column in columns if told.get(column)]
        order = f"CASE WHEN {' OR '.join(stands)} THEN '' END" if stands else "CAST(NULL AS VARCHAR)"
        if name == tables.LINK:
            order = f"coalesce({order}, {by_source_key('dataset', 'row_key', wanted)})"
        yield from in_table(con, f"linkage/{name}", lake.linkage(name), Fate(order, {}), wanted.numbers)
    for name in lake.matched_tables():
        files = files_of(lake.matched(name))
        if files and {"source_dataset", "source_key"} <= columns_of(con, files).keys():
            fate = Fate(by_source_key("source_dataset", "source_key", wanted), {})
            yield from in_table(con, f"matched/{name}", lake.matched(name), fate, wanted.marks)


def in_model(
    con: duckdb.DuckDBPyConnection, lake: Lake, contract: ProductContract, contracts: Contracts, wanted: Wanted
) -> list[Planned]:
    """The changes of a released model, all versions."""
    location = lake.released(contract.library, contract.form.model)
    files = files_of(location)
    if not files:
        return []
    fate = of_model(contract, contracts, wanted, columns_of(con, files))
    return in_table(con, contract.form.model, location, fate, wanted.marks)
