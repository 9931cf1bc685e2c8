"""The step of a run that looks where the things of every layer lie: parcels, buildings, roads, components.

Belongs here: which rows of core, and the table of what was found; models read it as `source('matched', 'layer')`. It is
geometry, so it is no model. Nothing is refused or mended here: positions are compared with the boundaries of counties,
which are drawn coarsely, and with the ground that a row names; a doubt is a hint for the source.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.codecs.sql import identifier
from pipelines.contracts.forms.sources import LayerForm
from pipelines.contracts.load import Contracts
from pipelines.engine import connect
from pipelines.geo import areas, datums, doubts, shapes
from pipelines.geo.areas import Areas
from pipelines.geo.datums import Datum, transform
from pipelines.geo.doubts import Doubt, judge_datum
from pipelines.geo.matching import INPUTS, inputs_hash, kept
from pipelines.geo.positions import county_areas
from pipelines.issues import Finding
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.edition import CoreVersion, Prepared, current_rows
from pipelines.lake.parquet import copy_rows
from pipelines.lake.zones import Lake

NAME: Final = "layer"
_JUDGED: Final = "judged"
"""The metadata of a commit that says what the positions of each source look like together."""
_CODE: Final = [Path(str(module.__file__)) for module in (areas, datums, doubts, shapes)] + [Path(__file__)]
ON, BESIDE, UNKNOWN = "on", "beside", "unknown"
"""The codes of `parcel_link`: how a thing stands on the ground that it names."""


def place_layers(lake: Lake, contracts: Contracts, sources: Mapping[str, CoreVersion]) -> Prepared | None:
    """The table for the current rows of every source with a layer; None while there are none, or no boundaries.

    Columns: source_dataset, source_key (parts of a key joined by |), longitude and latitude of the shape's inner point
    (degrees, six decimals), position_county (null outside of the city), position_doubt, parcel_link (null for what
    names no ground), _batch and _row of the source's row.
    """
    book = contracts.city.addressBook
    layers = {name: one.form.layer for name, one in contracts.sources.items() if one.form.layer and name in sources}
    if book is None or book.boundaries not in sources or not layers:
        return None
    location = lake.matched(NAME)
    grounds = {one.ground.source for one in layers.values() if one and one.ground} & sources.keys()
    read = {name: sources[name].version for name in {*layers, *grounds, book.boundaries}}
    inputs = inputs_hash(read, _CODE, {name: one and one.model_dump() for name, one in layers.items()})
    version = kept(location, inputs)
    if version is None:
        version = _make(lake, {name: one for name, one in layers.items() if one}, sources, book.boundaries, inputs)
    return Prepared(location, version)


def layer_doubts(found: Prepared) -> Iterator[tuple[str, list[Finding]]]:
    """For every source with a layer the finding that its positions fit another datum than CGCS2000, if they do."""
    for source, about in json.loads(delta.commit_metadata(found.location, found.version)[_JUDGED]).items():
        doubted = about["told"] != about["likely"]
        yield source, [Finding("geo.datum", {"subject": source, **about}, "warning")] if doubted else []


def _make(
    lake: Lake, layers: Mapping[str, LayerForm], sources: Mapping[str, CoreVersion], boundaries: str, inputs: str
) -> int:
    location, version = lake.matched(NAME), delta.latest(lake.matched(NAME))
    with connect(lake.scratch()) as con:
        index = county_areas(con, sources[boundaries])
        parts, judged = list[Any](), dict[str, dict[str, str]]()
        for name, layer in layers.items():
            part, judged[name] = _placed(con, name, layer, sources, index)
            parts.append(part)
        con.register("found", pa.concat_tables(parts))
        written = copy_rows(con, "SELECT * FROM found", location)
        schema = query_schema(con, "SELECT * FROM found", NAME)
    metadata = {INPUTS: inputs, _JUDGED: json.dumps(judged)}
    return delta.commit(location, schema, "table", version, written, metadata=metadata)


def _placed(
    con: duckdb.DuckDBPyConnection, name: str, layer: LayerForm, sources: Mapping[str, CoreVersion], index: Areas
) -> tuple[Any, dict[str, str]]:
    """The rows of one source, and what they say together (arguments of the finding)."""
    rows = con.sql(_query(name, layer, sources)).to_arrow_table()
    points = [shapes.inner_point(shapes.read(text)) for text in rows["shape"].to_pylist()]
    x, y = np.array(points, np.float64).reshape(-1, 2).T
    claimed = index.places(rows["county"].to_pylist())
    said = judge_datum(x, y, claimed, index)
    doubt = doubts.doubts(x, y, claimed, index)
    links = _links(layer, x, y, rows["ground"].to_pylist(), doubt)
    found = pa.table({
        "source_dataset": pa.array([name] * len(points), pa.string()),
        "source_key": rows["source_key"],
        "longitude": np.round(x, 6),
        "latitude": np.round(y, 6),
        "position_county": index.code_at(x, y),
        "position_doubt": pa.array(doubt.tolist(), pa.string()),
        "parcel_link": pa.array(links, pa.string()),
        "_batch": rows["_batch"],
        "_row": rows["_row"],
    })  # fmt: skip
    about = {"told": said.told, "likely": said.likely, "points": said.points}
    inside = {"inside_told": said.inside[said.told], "inside_likely": said.inside[said.likely]}
    return found, {key: str(value) for key, value in {**about, **inside}.items()}


def _query(name: str, layer: LayerForm, sources: Mapping[str, CoreVersion]) -> str:
    """The shapes of a layer with their keys, the county they name, and the shape of their ground."""
    key = " || '|' || ".join(f"CAST(t.{identifier(part)} AS VARCHAR)" for part in sources[name].key)
    county = f"substr(t.{identifier(layer.county)}, 1, 6)" if layer.county else "CAST(NULL AS VARCHAR)"
    ground, join = "CAST(NULL AS VARCHAR)", ""
    if layer.ground and layer.ground.source in sources:
        ground, column = f"g.{identifier(layer.ground.shape)}", identifier(layer.ground.key)
        join = f" LEFT JOIN ({current_rows(sources[layer.ground.source])}) g ON g.{column} = t.{column}"
    return (
        f"SELECT {key} AS source_key, t.{identifier(layer.shape)} AS shape, {county} AS county, {ground} AS ground, "
        f"t._batch, t._row FROM ({current_rows(sources[name])}) t{join}"
    )


def _links(
    layer: LayerForm,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    grounds: Sequence[str | None],
    doubt: NDArray[np.str_],
) -> list[str | None]:
    """How each thing stands on its ground. What would stand on it in another datum is doubted for that in `doubt`."""
    if layer.ground is None:
        return [None] * len(grounds)
    others = {other: transform(x, y, datum, Datum.CGCS2000)
              for other, datum in ((Doubt.GCJ02, Datum.GCJ02), (Doubt.BD09, Datum.BD09))}  # fmt: skip
    links: list[str | None] = []
    for number, text in enumerate(grounds):
        if text is None:
            links.append(UNKNOWN)
            continue
        ground = shapes.read(text)
        links.append(ON if shapes.covers(ground, float(x[number]), float(y[number])) else BESIDE)
        if links[-1] == BESIDE and doubt[number] == Doubt.NONE:
            fits = (other for other, (ox, oy) in others.items()
                    if shapes.covers(ground, float(ox[number]), float(oy[number])))  # fmt: skip
            doubt[number] = next(fits, Doubt.NONE)
    return links
