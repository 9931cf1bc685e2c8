"""Rules about a geometry: predicates that functions of `pipelines.geo.judging` decide, asked at admission only."""

from pipelines.codecs.sql import identifier
from pipelines.contracts.rules.base import Context, Dimension, Kind, shape
from pipelines.verbs import Column


@shape(Kind.FORMAT, Dimension.NORMALISATION)
def shape_closed(_: Context, *, column: Column) -> str:
    """Every ring of the geometry ends where it begins."""
    return f"shape_closed({identifier(column)})"


@shape(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def shape_simple(_: Context, *, column: Column) -> str:
    """No ring of the geometry crosses or touches itself or another of its polygon (OGC 06-103r4)."""
    return f"shape_simple({identifier(column)})"


@shape(Kind.RANGE, Dimension.ACCURACY)
def shape_within(_: Context, *, column: Column, west: float, south: float, east: float, north: float) -> str:
    """All positions of the geometry lie within these degrees."""
    bounds = ", ".join(f"{bound}::DOUBLE" for bound in (west, south, east, north))
    return f"shape_within({identifier(column)}, {bounds})"


@shape(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def shape_size(_: Context, *, column: Column, size: Column, tolerance: float, least: float = 0.0) -> str:
    """The area (m²) of a polygon or the length (m) of a line is `size`, give or take this share, or `least`."""
    return f"shape_size({identifier(column)}, {identifier(size)}, {tolerance}::DOUBLE, {least}::DOUBLE)"


@shape(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def shape_in_county(_: Context, *, column: Column, code: Column, kilometres: float) -> str:
    """The geometry's inner point lies in the county that `code` begins with, or at most so far from it: boundaries are
    drawn coarsely. NULL for a county without a boundary."""
    return f"shape_in_county({identifier(column)}, substr({identifier(code)}, 1, 6), {kilometres}::DOUBLE)"
