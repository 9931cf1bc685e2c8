"""The step of a run that looks where standard addresses lie: in which county, and whether that is the one they name.

Belongs here: which rows of core, and the table of what was found; models read it as `source('matched', 'position')`.
Areas, datums and doubts have modules of their own. Positions are compared with the boundaries of counties, which are
drawn coarsely: a doubt is a hint for the source, and no row is refused for it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from pipelines.contracts.load import Contracts
from pipelines.engine import connect
from pipelines.geo import areas, datums, doubts
from pipelines.geo.areas import Areas
from pipelines.geo.datums import Datum, transform
from pipelines.geo.doubts import judge_datum
from pipelines.geo.matching import INPUTS, inputs_hash, kept
from pipelines.issues import Finding
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.edition import CoreVersion, Prepared, current_rows
from pipelines.lake.parquet import copy_rows
from pipelines.lake.zones import Lake

NAME: Final = "position"
_DATUMS: Final = {"CGCS2000": Datum.CGCS2000, "GCJ02": Datum.GCJ02, "BD09": Datum.BD09}
"""The datums of the code list `datum`."""
_CODE: Final = [Path(str(module.__file__)) for module in (areas, datums, doubts)] + [Path(__file__)]


def place_addresses(lake: Lake, contracts: Contracts, sources: Mapping[str, CoreVersion]) -> Prepared | None:
    """The table for the current standard addresses; None while these or the boundaries of counties are missing.

    Columns: address_id, position_county (where the position lies, null outside of the city), position_doubt, _batch and
    _row of the address. What the delivery as a whole looks like is told by `datum_doubt`.
    """
    book = contracts.city.addressBook
    if book is None or not {book.standard, book.boundaries} <= sources.keys():
        return None
    location = lake.matched(NAME)
    inputs = inputs_hash({name: sources[name].version for name in (book.standard, book.boundaries)}, _CODE)
    version = kept(location, inputs)
    if version is None:
        version = _make(lake, sources[book.standard], sources[book.boundaries], inputs)
    return Prepared(location, version)


def datum_doubt(contracts: Contracts, found: Prepared) -> list[Finding]:
    """A finding about the source of standard addresses if its positions fit another datum than they say."""
    metadata = delta.commit_metadata(found.location, found.version)
    book = contracts.city.addressBook
    assert book is not None
    if metadata["told"] == metadata["likely"]:
        return []
    about = {key: metadata[key] for key in ("told", "likely", "points", "inside_told", "inside_likely")}
    return [Finding("geo.datum", {"subject": book.standard, **about}, "warning")]


def county_areas(con: duckdb.DuckDBPyConnection, boundaries: CoreVersion) -> Areas:
    """The counties, ready to be asked which of them a position lies in."""
    counties = con.execute(
        f"SELECT county_code, county_boundary FROM ({current_rows(boundaries)}) ORDER BY 1"
    ).fetchall()
    return Areas([code for code, _ in counties], [wkt for _, wkt in counties])


def _make(lake: Lake, standard: CoreVersion, boundaries: CoreVersion, inputs: str) -> int:
    location, version = lake.matched(NAME), delta.latest(lake.matched(NAME))
    with connect(lake.scratch()) as con:
        index = county_areas(con, boundaries)
        rows = con.sql(
            "SELECT address_id, substr(division_code, 1, 6) AS county, CAST(longitude AS DOUBLE) AS longitude, "
            f"CAST(latitude AS DOUBLE) AS latitude, datum, _batch, _row FROM ({current_rows(standard)})"
        ).to_arrow_table()
        x, y = (rows[name].to_numpy() for name in ("longitude", "latitude"))
        told = np.array(rows["datum"].to_pylist(), dtype="<U8")
        for name, datum in _DATUMS.items():
            x, y = (np.where(told == name, new, old) for new, old in zip(
                transform(x, y, datum, Datum.CGCS2000), (x, y), strict=True))  # fmt: skip
        claimed = index.places(rows["county"].to_pylist())
        said = judge_datum(x, y, claimed, index)
        found = pa.table({
            "address_id": rows["address_id"],
            "position_county": index.code_at(x, y),
            "position_doubt": pa.array(doubts.doubts(x, y, claimed, index).tolist(), pa.string()),
            "_batch": rows["_batch"],
            "_row": rows["_row"],
        })  # fmt: skip
        con.register("found", found)
        written = copy_rows(con, "SELECT * FROM found", location)
        schema = query_schema(con, "SELECT * FROM found", NAME)
    metadata = {INPUTS: inputs, "told": str(said.told), "likely": str(said.likely), "points": str(said.points),
                "inside_told": str(said.inside[said.told]), "inside_likely": str(said.inside[said.likely])}  # fmt: skip
    return delta.commit(location, schema, "table", version, written, metadata=metadata)
