"""How positions that are too exact are told: more than four decimals of a degree, in or near the city's box.

Belongs here: the box, and the SQL tests of a text and of two columns of numbers. Does not belong here: which columns a
contract admits (`pipelines.evidence.gate`).

Four decimals are about 11 m: a house and its neighbours. Five tell the door. The number is the city's own setting, not
printed in the plan.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import permutations

import duckdb

from pipelines.codecs.sql import identifier, literal

DECIMALS = 4
SHARE = 0.6
"""Of the rows that have both numbers, so many must be positions: two figures may lie in the box by chance."""
_NEAR = 1
_MORE = rf"[0-9]{{2,3}}\.[0-9]{{{DECIMALS + 1}}}"
_DEGREES = r"[0-9]{2,3}\.[0-9]+"
_FRACTIONS = ("FLOAT", "DOUBLE", "DECIMAL")


@dataclass(frozen=True)
class Box:
    """Where the city lies, in degrees."""

    west: float
    east: float
    south: float
    north: float

    def holds(self, longitude: str, latitude: str) -> str:
        """Whether two numbers are a position in it or not far from it."""
        east_west = f"{longitude} BETWEEN {self.west - _NEAR} AND {self.east + _NEAR}"
        return f"{east_west} AND {latitude} BETWEEN {self.south - _NEAR} AND {self.north + _NEAR}"

    def text_holds(self, text: str) -> str:
        """Whether a position stands in a text, longitude or latitude first: a pair, well-known text, GeoJSON, words."""
        figures = f"regexp_extract_all({text}, {literal(_DEGREES)})"
        neighbours = f"list_zip({figures}, ({figures})[2:])"
        one, other = "w[1]::DOUBLE", "w[2]::DOUBLE"
        inside = f"({self.holds(one, other)} OR {self.holds(other, one)})"
        exact = f"regexp_matches(w[1] || ' ' || w[2], {literal(_MORE)})"
        found = f"len(list_filter({neighbours}, lambda w: {exact} AND {inside})) > 0"
        return f"CASE WHEN regexp_matches({text}, {literal(_MORE)}) THEN {found} ELSE false END"

    def columns_hold(self, longitude: str, latitude: str) -> str:
        """How many rows of two columns of numbers are too exact positions; 0 if few of them are positions."""
        one, other = (f"{identifier(name)}::DOUBLE" for name in (longitude, latitude))
        inside = self.holds(one, other)
        exact = " OR ".join(f"abs({name} - round({name}, {DECIMALS})) > 1e-9" for name in (one, other))
        enough = f"count(*) FILTER (WHERE {inside}) >= {SHARE} * count({one} + {other})"
        return f"CASE WHEN {enough} THEN count(*) FILTER (WHERE {inside} AND ({exact})) ELSE 0 END"


def too_exact(
    con: duckdb.DuckDBPyConnection, relation: str, box: Box, admitted: Collection[str] = ()
) -> dict[str, int]:
    """Rows with positions that are too exact, by column (two columns of numbers: `longitude, latitude`), in one pass.
    `admitted`: columns that are positions by contract and about nobody."""
    described = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    types = {name: type_ for name, type_, *_ in described if name not in admitted}
    texts = [
        name
        for name, type_ in types.items()
        if type_ in ("VARCHAR", "JSON") or type_[-1] == "]" or type_.startswith(("STRUCT", "MAP"))
    ]
    figures = [name for name, type_ in types.items() if type_.split("(")[0] in _FRACTIONS]
    searches = {name: f"count(*) FILTER (WHERE {box.text_holds(f'{identifier(name)}::VARCHAR')})" for name in texts} | {
        f"{one}, {other}": box.columns_hold(one, other) for one, other in permutations(figures, 2)
    }
    if not searches:
        return {}
    (row,) = con.execute(f"SELECT {', '.join(searches.values())} FROM {relation}").fetchall()
    return {name: rows for name, rows in zip(searches, row, strict=True) if rows}
