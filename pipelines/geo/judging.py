"""The functions that shape rules of contracts call, put into the connection of an admission.

A text that is no geometry has no answer (NULL): that it is none is told by the rule `wkt`. What the functions compute
belongs to `shapes`, what a contract may demand to `contracts.rules`.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from pipelines.contracts.resolved import Contracts
from pipelines.geo import shapes, to_wkt
from pipelines.geo.shapes import Shape

Boundaries = Mapping[str, Shape]
"""The boundary of each county, by its code."""

_PARAMETERS: Final = {
    "shape_closed": [],
    "shape_simple": [],
    "shape_within": ["DOUBLE"] * 4,
    "shape_size": ["DOUBLE"] * 3,
    "shape_in_county": ["VARCHAR", "DOUBLE"],
}


def register(con: duckdb.DuckDBPyConnection, contracts: Contracts) -> None:
    """Create the functions on a connection. Counties are those of the file that the city's `addressBook` names."""
    known = _boundaries(contracts)

    def in_county(shape: Shape, code: str, kilometres: float) -> bool | None:
        return _in_county(known[code], shape, kilometres) if code in known else None

    judges: dict[str, Callable[..., bool | None]] = {
        "shape_closed": shapes.closed,
        "shape_simple": shapes.simple,
        "shape_within": _within,
        "shape_size": _size,
        "shape_in_county": in_county,
    }
    for name, judge in judges.items():
        types: list[Any] = ["VARCHAR", *_PARAMETERS[name]]
        con.create_function(
            name,
            _each(judge, len(types)),
            types,
            "BOOLEAN",
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )


def _each(judge: Callable[..., bool | None], columns: int) -> Callable[..., Any]:
    """A judge of one shape as a function of so many columns."""

    def judged(*columns: Any) -> Any:
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        found = ((None if None in row else _read(row[0]), row[1:]) for row in rows)
        return pa.array((None if shape is None else judge(shape, *rest) for shape, rest in found), pa.bool_())

    # DuckDB looks how many parameters a function has.
    parameters = [Parameter(f"column_{number}", Parameter.POSITIONAL_ONLY) for number in range(columns)]
    judged.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return judged


@lru_cache(maxsize=8192)
def _read(text: str) -> Shape | None:
    """A text taken apart once for all rules that ask about it."""
    try:
        return shapes.read(text)
    except ValueError:
        return None


def _within(shape: Shape, west: float, south: float, east: float, north: float) -> bool:
    found = shape.box
    return found[0] >= west and found[1] >= south and found[2] <= east and found[3] <= north


def _size(shape: Shape, told: float, tolerance: float, least: float) -> bool:
    measured = shapes.area_m2(shape) if shape.polygons else shapes.length_m(shape)
    return abs(measured - told) <= max(measured * tolerance, least)


def _in_county(boundary: Shape, shape: Shape, kilometres: float) -> bool:
    x, y = shapes.inner_point(shape)
    return shapes.covers(boundary, x, y) or shapes.kilometres_from(boundary, x, y) <= kilometres


def _boundaries(contracts: Contracts) -> Boundaries:
    """The boundaries that the city's address book names, if a file of the contracts has them."""
    book = contracts.city.addressBook
    connector = None if book is None else contracts.sources[book.boundaries].connector
    if connector is None or connector.verb != "reference":
        return {}
    return _of_file(contracts.root / connector.arguments["file"])


def _of_file(path: Path) -> Boundaries:
    features = json.loads(path.read_text("utf-8"))["features"]
    return {str(one["properties"]["code"]): shapes.read(to_wkt(one["geometry"])) for one in features}
