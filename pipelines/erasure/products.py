"""Where the rows of a model that are to go stand in its products, which show them masked and may show no id.

A product's row is found by what it must say: the model's row through the masks that this release was made with, which
the ledger keeps; those of today may be others. Of rows that say the same as others just as many go. A release in which
a row is not found is told, or ends as a whole: nobody may believe that it is gone.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.codecs.sql import identifier
from pipelines.contracts.load import Product
from pipelines.lake import delta
from pipelines.lake.parquet import columns_of, read_files
from pipelines.lake.rewrite import Change, Planned
from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError
from pipelines.privacy import channel_keys
from pipelines.privacy.masks import masks
from pipelines.release.ledger import Recorded
from pipelines.release.products import Made, made_columns, made_now, made_then

Position = tuple[str, int]
Going = Mapping[Position, frozenset[str]]
"""By position of a row the columns in which it is emptied; none if all of it goes."""


def in_product(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    kept_key: Callable[[str], bytes],
    product: Product,
    versions: Sequence[Recorded],
    model: Sequence[Planned],
    ended: dict[str, list[int]] | None = None,
) -> Iterator[Planned]:
    """The changes of a product that follow from those of its model; none if it was made anonymous, for then it has no
    row of its model. `versions`: all its releases; `kept_key`: the key of this name, for keyed masks of its channel.
    `ended`: where given, takes the releases in which not every row is found, which are to end as a whole.

    Raises LostKey, and CitylakeError for a release in which not every row is found and that is the newest or may not
    end.
    """
    location = lake.product(product.channel, product.name)
    if product.form.anonymity is not None or not location.is_dir():
        return
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
            made, about = made_then(entry.body) or made_now(product), {"product": product.id, "version": entry.version}
            if gone := {mask for _, mask in made.values() if mask is not None} - masks.keys():
                problem = CitylakeError("erase.mask_gone", **about, mask="、".join(sorted(gone)))
            else:
                channel_keys.register(con, kept_key, product.channel, (mask for _, mask in made.values()))
                found, lacking = _found(con, made, files, changes)
                if not lacking:
                    done |= {str(file) for file in files}
                    yield from _planned(product, location, made, files, found)
                    continue
                problem = CitylakeError("erase.unfound", **about, rows=lacking)
            if ended is None or entry.version in {versions[-1].version, delta.latest(location)}:
                raise problem
            ended.setdefault(product.id, []).append(entry.version)  # its files may be of a later one, which is searched


def _files(location: Path, version: int) -> list[delta.TableFile]:
    return delta.table_files(delta.open_table(location, version))


def _planned(product: Product, location: Path, made: Made, files: Sequence[Path], found: Going) -> Iterator[Planned]:
    """The changes of a product's files by which rows go, or are emptied in what they show of emptied cells."""
    shown = {
        at: frozenset(name for name, (source, _) in made.items() if source in cells) for at, cells in found.items()
    }
    for file in files:
        mine = {place: found[name, place] for name, place in found if name == str(file)}
        gone = sorted(place for place, cells in mine.items() if not cells)
        emptied = {place: shown[str(file), place] for place, cells in mine.items() if cells}
        at = {
            name: sorted(place for place, columns in emptied.items() if name in columns)
            for name in sorted({name for columns in emptied.values() for name in columns})
        }
        if gone or at:
            yield Planned(product.id, file, Change(gone, at), location)


def _going(changes: Iterable[Planned], shown: Collection[str]) -> Going:
    """What becomes of the rows of the model that do not stay as they are in a product that shows these columns."""
    cells: dict[Position, set[str]] = {}
    for one in changes:
        for column, places in one.change.cells.items():
            for place in places if column in shown else ():
                cells.setdefault((str(one.file), place), set()).add(column)
    gone = {(str(one.file), place): frozenset[str]() for one in changes for place in one.change.gone}
    return {at: frozenset(columns) for at, columns in cells.items()} | gone


def _found(
    con: duckdb.DuckDBPyConnection, made: Made, files: Sequence[Path], changes: Sequence[Planned]
) -> tuple[Going, int]:
    """The rows in a product's files that say what these rows of its model say, one for one, and how many are not there.

    Of rows that say the same first those go that go as a whole.
    """
    sources = {source for source, _ in made.values()}
    going = _going(changes, sources)
    if not going:
        return {}, 0
    fates = sorted({*going.values()}, key=sorted)
    listed = [(name, place, fates.index(cells)) for (name, place), cells in going.items()]
    names, places, numbers = zip(*listed, strict=True)
    con.register("going", pa.table({"_file": names, "_at": places, "_fate": numbers}))
    model = sorted({one.file for one in changes})
    lacking = sources - columns_of(con, model).keys()
    filled = "".join(f", NULL AS {identifier(name)}" for name in sorted(lacking))
    columns = ", ".join(identifier(name) for name in made)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE said AS SELECT *, row_number() OVER (PARTITION BY {columns} ORDER BY _fate) "
        f"AS _place FROM (SELECT {made_columns(made)}, _fate FROM (SELECT *{filled} FROM {read_files(model)}) "
        "JOIN going ON filename = _file AND file_row_number = _at)"
    )
    said = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE SELECT {columns} FROM said").fetchall()}
    if not said.items() <= columns_of(con, files).items():  # it was made otherwise
        return {}, len(going)
    same = " AND ".join(f"p.{identifier(name)} IS NOT DISTINCT FROM s.{identifier(name)}" for name in made)
    rows = con.execute(
        f"SELECT p.filename, p.file_row_number, s._fate FROM (SELECT p.*, row_number() OVER (PARTITION BY {columns} "
        f"ORDER BY filename, file_row_number) AS _place FROM {read_files(files)} p "
        f"SEMI JOIN said s ON {same}) p JOIN said s ON {same} AND p._place = s._place"
    ).fetchall()
    return {(name, place): fates[fate] for name, place, fate in rows}, len(going) - len(rows)
