"""Derivations: columns computed in Python at admission, because no portable SQL can: keyed hashes and geometry.

Each takes the values of one accepted column and the city's pseudonym key, and returns one value a row.
"""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import geo
from pipelines.codecs import functions, gb11643, sm3
from pipelines.verbs import Column, Registry

derivations: Registry[Callable[..., "pa.Array[pa.Scalar]"], None] = Registry("derivation")


@derivations.register(None)
def keyed_hash(values: "pa.Array[pa.StringScalar]", key: bytes, *, of: Column) -> "pa.Array[pa.StringScalar]":
    """An irreversible identifier: HMAC-SM3 of the value under the city's key, 32 hexadecimal characters."""
    return sm3.keyed_hash(key, values)


@derivations.register(None)
def person_key(values: "pa.Array[pa.StringScalar]", key: bytes, *, of: Column) -> "pa.Array[pa.StringScalar]":
    """The keyed hash of a citizen's identity number that is right (GB 11643); nothing for any other text."""
    right = pc.equal(functions.judge(gb11643.FUNCTION)(values), gb11643.RIGHT)
    return sm3.keyed_hash(key, pc.if_else(right, values, pa.scalar(None, pa.string())))


@derivations.register(None)
def polygon_area(values: "pa.Array[pa.StringScalar]", key: bytes, *, of: Column) -> "pa.Array[pa.DoubleScalar]":
    """The area in km² of a polygon in well-known text, to four decimals."""
    areas = (None if wkt is None else round(geo.area_km2(wkt), 4) for wkt in values.to_pylist())
    return pa.array(areas, pa.float64())
