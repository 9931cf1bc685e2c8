"""How positions that are too exact are told: more than four decimals of a degree, or nearer than ten metres on the map
projection of the land register, in or near the city's box.

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
# Degrees, minutes and seconds, or degrees and minutes; a tenth of a second is 3 m, a thousandth of a minute 2 m.
_MINUTES = "['′’分]"
_SECONDS = '["″”秒]'
_IN_PARTS = rf"[0-9]{{2,3}} ?[°º度] ?[0-9]{{1,2}}(?:\.[0-9]+)? ?{_MINUTES}(?: ?[0-9]{{1,2}}(?:\.[0-9]+)? ?{_SECONDS})?"
_EXACT_PARTS = rf"[°º度] ?[0-9]{{1,2}}(?:\.[0-9]{{3,}} ?{_MINUTES}| ?{_MINUTES} ?[0-9]{{1,2}}\.[0-9]+ ?{_SECONDS})"
_METRES = (110_500, 111_200)
"""The least and the most metres of a degree of latitude."""
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
        decimal = self._pairs(f"regexp_extract_all({text}, {literal(_DEGREES)})", "w[{}]::DOUBLE", _MORE)
        parts = "regexp_extract(w[{}], '^[0-9]+')::DOUBLE"
        sexagesimal = self._pairs(f"regexp_extract_all({text}, {literal(_IN_PARTS)})", parts, _EXACT_PARTS)
        return (
            f"CASE WHEN regexp_matches({text}, {literal(_MORE)}) AND {decimal} THEN true"
            f" WHEN regexp_matches({text}, {literal(_EXACT_PARTS)}) THEN {sexagesimal} ELSE false END"
        )

    def _pairs(self, figures: str, degrees: str, more: str) -> str:
        """Whether two of the figures of a text, beside each other or with one between (a height), are a position and
        one of them is too exact."""
        one, other = degrees.format(1), degrees.format(2)
        inside = f"({self.holds(one, other)} OR {self.holds(other, one)})"
        exact = f"regexp_matches(w[1] || ' ' || w[2], {literal(more)})"
        found = [
            f"list_filter(list_zip({figures}, ({figures})[{at}:]), lambda w: {exact} AND {inside})" for at in (2, 3)
        ]
        return f"len(list_concat({', '.join(found)})) > 0"

    def columns_hold(self, longitude: str, latitude: str) -> str:
        """How many rows of two columns of numbers are too exact positions; 0 if few of them are positions."""
        one, other = (f"{identifier(name)}::DOUBLE" for name in (longitude, latitude))
        inside = self.holds(one, other)
        exact = " OR ".join(f"abs({name} - round({name}, {DECIMALS})) > 1e-9" for name in (one, other))
        enough = f"count(*) FILTER (WHERE {inside}) >= {SHARE} * count({one} + {other})"
        return f"CASE WHEN {enough} THEN count(*) FILTER (WHERE {inside} AND ({exact})) ELSE 0 END"

    def projected_hold(self, easting: str, northing: str) -> str:
        """How many rows of two columns of numbers are too exact positions in metres (Gauss-Krüger, with the number of
        the zone before the easting or without); 0 if few of them are positions."""
        one, other = (f"{identifier(name)}::DOUBLE" for name in (easting, northing))
        west, east = round(self.west - _NEAR), round(self.east + _NEAR)
        zones = {0, *(round(degree / 3) for degree in range(west, east + 1))}
        zones |= {degree // 6 + 1 for degree in range(west, east + 1)}
        south, north = (self.south - _NEAR) * _METRES[0], (self.north + _NEAR) * _METRES[1]
        zone = f"floor({one} / 1000000) IN ({', '.join(map(str, sorted(zones)))})"
        inside = f"{zone} AND {one} % 1000000 BETWEEN 200000 AND 800000 AND {other} BETWEEN {south} AND {north}"
        exact = " OR ".join(f"abs({name} - round({name}, -1)) > 1e-6" for name in (one, other))
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
        f"{one}, {other}": f"{box.columns_hold(one, other)} + {box.projected_hold(one, other)}"
        for one, other in permutations(figures, 2)
    }
    if not searches:
        return {}
    (row,) = con.execute(f"SELECT {', '.join(searches.values())} FROM {relation}").fetchall()
    return {name: rows for name, rows in zip(searches, row, strict=True) if rows}
