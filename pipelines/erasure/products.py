"""Where the rows of a model that are to go stand in its products, which show them masked and may show no id.

A product's row is found by what it must say: the model's row through the masks of the channel. Of rows that say the
same as others just as many go.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.load import Product
from pipelines.lake import delta
from pipelines.lake.parquet import columns_of, read_files
from pipelines.lake.rewrite import Change, Planned
from pipelines.lake.zones import Lake
from pipelines.release.ledger import Recorded
from pipelines.release.products import product_query

Position = tuple[str, int]


def in_product(
    con: duckdb.DuckDBPyConnection, lake: Lake, product: Product, versions: Sequence[Recorded], model: Sequence[Planned]
) -> Iterator[Planned]:
    """The changes of a product that follow from those of its model. `versions`: all its releases; the
    functions of keyed masks of its channel are registered on the connection (`channel_keys.register_kept`)."""
    location = lake.product(product.channel, product.name)
    source = lake.released(product.contract.library, product.contract.form.model)
    done: set[str] = set()
    for entry in versions:
        if entry.version is None:
            continue
        named = {str(source / file.path) for file in _files(source, entry.body["model_version"])}
        changes = [one for one in model if str(one.file) in named]
        files = [location / file.path for file in _files(location, entry.version)]
        files = [file for file in files if str(file) not in done and file.is_file()]
        if changes and files:
            done |= {str(file) for file in files}
            yield from _in_version(con, product, location, files, changes)


def _files(location: Path, version: int) -> list[delta.TableFile]:
    return delta.table_files(delta.open_table(location, version))


def _in_version(
    con: duckdb.DuckDBPyConnection, product: Product, location: Path, files: Sequence[Path], changes: Sequence[Planned]
) -> Iterator[Planned]:
    whole = {(str(one.file), place) for one in changes for place in one.change.gone}
    gone = _found(con, product, files, whole, changes)
    found = {position: frozenset[str]() for position in gone}
    for emptied, positions in _alike(changes).items():
        shown = frozenset(column.name for column in product.columns if column.source in emptied)
        if shown:
            found |= {at: shown for at in _found(con, product, files, positions, changes) if at not in gone}
    for file in files:
        mine = {place: shown for (name, place), shown in found.items() if name == str(file)}
        at: Mapping[str, list[int]] = {
            name: sorted(place for place, columns in mine.items() if name in columns)
            for name in sorted({name for columns in mine.values() for name in columns})
        }
        if mine:
            change = Change(sorted(place for place, columns in mine.items() if not columns), at)
            yield Planned(product.id, file, change, location)


def _alike(changes: Sequence[Planned]) -> dict[frozenset[str], set[Position]]:
    """The positions of rows of the model that stay, by the columns in which they are emptied."""
    cells: dict[Position, set[str]] = {}
    for one in changes:
        for column, places in one.change.cells.items():
            for place in places:
                cells.setdefault((str(one.file), place), set()).add(column)
    found: dict[frozenset[str], set[Position]] = {}
    for position, columns in cells.items():
        found.setdefault(frozenset(columns), set()).add(position)
    return found


def _found(
    con: duckdb.DuckDBPyConnection,
    product: Product,
    files: Sequence[Path],
    positions: set[Position],
    changes: Sequence[Planned],
) -> set[Position]:
    """The positions in a product's files of rows that say what some rows of its model say, as many as there are."""
    if not positions:
        return set()
    model = [one.file for one in changes]
    listed = ", ".join(f"({literal(file)}, {place})" for file, place in sorted(positions))
    there = columns_of(con, model)
    lacking = {column.source for column in product.columns} - there.keys()
    filled = "".join(f", NULL AS {identifier(name)}" for name in sorted(lacking))
    rows = f"(SELECT *{filled} FROM {read_files(model)} WHERE (filename, file_row_number) IN ({listed}))"
    con.execute(f"CREATE OR REPLACE TEMP TABLE said AS {product_query(product, rows)}")
    known = columns_of(con, files)
    names = [identifier(column.name) for column in product.columns if column.name in known]
    same = " AND ".join(f"p.{name} IS NOT DISTINCT FROM s.{name}" for name in names)
    told = ", ".join(names)
    query = (
        f"SELECT filename, file_row_number FROM (SELECT p.filename, p.file_row_number, s.n, row_number() OVER "
        f"(PARTITION BY {', '.join(f'p.{name}' for name in names)} ORDER BY p.filename, p.file_row_number) AS place "
        f"FROM {read_files(files)} p JOIN (SELECT {told}, count(*) AS n FROM said GROUP BY ALL) s ON {same}) "
        "WHERE place <= n"
    )
    return set(con.execute(query).fetchall())
