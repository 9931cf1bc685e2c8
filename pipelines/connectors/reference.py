"""Connector `reference`: files that ship with the contracts (code lists, boundaries). UTF-8 CSV or GeoJSON."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from pipelines import geo
from pipelines.connectors.base import About, Pulled, Request, connectors, require_columns
from pipelines.messages import CitylakeError


@connectors.register(About(asks=True))
def reference(request: Request, *, file: str) -> Pulled:
    """Read `file` (relative to the folder of contracts) with every column as text."""
    path = (request.root / file).resolve()
    if not path.is_relative_to(request.root.resolve()) or not path.is_file():
        raise CitylakeError("pull.no_file", file=file)
    try:
        frame = _geojson(path) if path.suffix == ".geojson" else pl.read_csv(path, infer_schema=False)
    except (ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        problem = type(error).__name__
        raise CitylakeError("pull.unreadable", origin=file, problem=problem, owner=request.owner) from error
    require_columns(request, frame.columns, file, frame.iter_rows)
    frame.write_parquet(request.target, compression="zstd")
    return Pulled(frame.height, tuple(frame.columns), file)


def _geojson(path: Path) -> pl.DataFrame:
    features: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["features"]
    rows = [
        {**{key: str(value) for key, value in item["properties"].items()}, "geometry": geo.to_wkt(item["geometry"])}
        for item in features
    ]
    return pl.DataFrame(rows)
