"""Which area a point lies in: millions of points against polygons, in numpy, exactly.

An area is closed: a point on a boundary belongs to it, of several areas to the first. Coordinates are taken as numbers
of a plane, as boundaries of divisions are drawn; that the earth is round does not change who has a point. Distances and
datums do not belong here.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from pipelines import geo

_CELLS: Final = 512
"""Rows and columns of the grid. Of Lu'an a cell is 400 m wide: 96 % of its area lies in cells without a boundary."""
_AT_ONCE: Final = 1 << 19
"""Points looked at together: what a step needs stays below 100 MB."""
_DOUBT: Final = 4.0 * np.finfo(np.float64).eps
"""Shewchuk's bound on the rounding error of an orientation, relative to its two products."""

Floats = NDArray[np.float64]
Indexes = NDArray[np.int64]
Truths = NDArray[np.bool_]
NOWHERE: Final = -1


class Areas:
    """Polygons or multipolygons in well-known text, ready to be asked which of them a point lies in.

    A grid is laid over them. Cells that no boundary touches know their area; points of the others are judged by the
    edges of the areas whose boundary passes, by the rule of even and odd crossings. Raises ValueError for other text.
    """

    def __init__(self, codes: Sequence[str], boundaries: Sequence[str], cells: int = _CELLS) -> None:
        self.codes = tuple(codes)
        edges = [(area, *edge) for area, wkt in enumerate(boundaries) for edge in _edges(wkt)]
        table = np.array(edges, np.float64).reshape(-1, 5)
        self._area = table[:, 0].astype(np.int64)
        self._x1, self._y1, self._x2, self._y2 = (np.ascontiguousarray(table[:, number]) for number in range(1, 5))
        self._cells = cells
        lows, highs = table[:, 1:].min(axis=0, initial=np.inf), table[:, 1:].max(axis=0, initial=-np.inf)
        (west, south), (east, north) = np.minimum(lows[:2], lows[2:]), np.maximum(highs[:2], highs[2:])
        if not edges:
            west = south = east = north = np.float64(np.nan)  # no point lies in a box of no numbers
        self._box = (float(west), float(south), float(east), float(north))
        self._step = (_positive(east - west) / cells, _positive(north - south) / cells)
        self._by_row = self._edges_by_row()
        self._doubtful = self._touched()
        self._sure = self._owners()

    def places(self, codes: Iterable[str | None]) -> Indexes:
        """The positions of these codes in `codes`, NOWHERE for others."""
        place = {code: number for number, code in enumerate(self.codes)}
        return np.array([place.get(str(code), NOWHERE) for code in codes], np.int64)

    def locate(self, longitude: ArrayLike, latitude: ArrayLike) -> Indexes:
        """For each point the position of its area in `codes`, NOWHERE for none and for what is no number."""
        x, y = np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)
        found = np.full(x.size, NOWHERE, np.int64)
        for start in range(0, x.size, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found[part] = self._locate(x[part], y[part])
        return found

    def code_at(self, longitude: ArrayLike, latitude: ArrayLike) -> "pa.StringArray":
        """For each point the code of its area, null for none."""
        found = self.locate(longitude, latitude)
        return pa.array(self.codes, pa.string()).take(pa.array(found, pa.int64(), mask=found == NOWHERE))

    def contains(self, area: ArrayLike, longitude: ArrayLike, latitude: ArrayLike) -> Truths:
        """For each point whether it lies in the area named beside it by position; false for NOWHERE."""
        areas = np.asarray(area, np.int64)
        x, y = np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)
        inside = np.zeros(x.size, np.bool_)
        asked = np.flatnonzero(self._in_box(x, y) & (areas != NOWHERE))
        for start in range(0, asked.size, _AT_ONCE):
            part = asked[start : start + _AT_ONCE]
            inside[part] = self._inside(areas[part], x[part], y[part])
        return inside

    def _locate(self, x: Floats, y: Floats) -> Indexes:
        found = np.full(x.size, NOWHERE, np.int64)
        within = np.flatnonzero(self._in_box(x, y))
        cell = self._row(y[within]) * self._cells + self._column(x[within])
        found[within] = self._sure[cell]
        starts, areas = self._doubtful
        counts = starts[cell + 1] - starts[cell]
        hard = counts > 0
        if not hard.any():
            return found
        point = np.repeat(within[hard], counts[hard])
        candidate = areas[_ranges(starts[cell[hard]], counts[hard])]
        inside = self._inside(candidate, x[point], y[point])
        best = np.where(found == NOWHERE, len(self.codes), found)
        np.minimum.at(best, point[inside], candidate[inside])
        return np.where(best == len(self.codes), NOWHERE, best)

    def _inside(self, area: Indexes, x: Floats, y: Floats) -> Truths:
        """Whether each point, all of them in the box, lies in the area beside it: odd crossings, or on an edge."""
        starts, edges = self._by_row
        key = area * self._cells + self._row(y)
        counts = starts[key + 1] - starts[key]
        point = np.repeat(np.arange(x.size), counts)
        edge = edges[_ranges(starts[key], counts)]
        y1, y2, py = self._y1[edge], self._y2[edge], y[point]
        beside = (np.minimum(y1, y2) <= py) & (np.maximum(y1, y2) >= py)
        point, edge = point[beside], edge[beside]
        x1, y1, x2, y2 = self._x1[edge], self._y1[edge], self._x2[edge], self._y2[edge]
        px, py = x[point], y[point]
        side = _side(x1, y1, x2, y2, px, py)
        on_edge = (side == 0) & (np.minimum(x1, x2) <= px) & (np.maximum(x1, x2) >= px)
        crossed = ((y1 > py) != (y2 > py)) & ((side > 0) == (y2 > y1))
        odd: Truths = np.bincount(point[crossed], minlength=x.size) % 2 == 1
        odd[point[on_edge]] = True
        return odd

    def _in_box(self, x: Floats, y: Floats) -> Truths:
        west, south, east, north = self._box
        within: Truths = (x >= west) & (x <= east) & (y >= south) & (y <= north)
        return within

    def _column(self, x: Floats) -> Indexes:
        return self._part((x - self._box[0]) / self._step[0])

    def _row(self, y: Floats) -> Indexes:
        return self._part((y - self._box[1]) / self._step[1])

    def _part(self, steps: Floats) -> Indexes:
        part: Indexes = np.minimum(steps.astype(np.int64), self._cells - 1)
        return part

    def _edges_by_row(self) -> tuple[Indexes, Indexes]:
        """The edges that reach each row of the grid, by area and row: where each begins, and the edges.

        `_row` grows with its argument, so a point between the ends of an edge is in a row between theirs.
        """
        low, high = self._row(np.minimum(self._y1, self._y2)), self._row(np.maximum(self._y1, self._y2))
        edge = np.repeat(np.arange(self._area.size), high - low + 1)
        key = self._area[edge] * self._cells + _ranges(low, high - low + 1)
        return _grouped(key, edge, len(self.codes) * self._cells)

    def _touched(self) -> tuple[Indexes, Indexes]:
        """The areas whose boundary touches a cell, by cell. A cell too many costs time, one too few would be wrong."""
        starts, edges = self._by_row
        key = np.repeat(np.arange(starts.size - 1), np.diff(starts))
        row, area = key % self._cells, key // self._cells
        x1, y1, x2, y2 = self._x1[edges], self._y1[edges], self._x2[edges], self._y2[edges]
        bottom, top = self._box[1] + row * self._step[1], self._box[1] + (row + 1) * self._step[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = [x1 + (np.clip(level, np.minimum(y1, y2), np.maximum(y1, y2)) - y1) / (y2 - y1) * (x2 - x1)
                    for level in (bottom, top)]  # fmt: skip
        level = y1 == y2
        left = np.where(level, np.minimum(x1, x2), np.minimum(*ends)) - self._step[0] * 1e-6
        right = np.where(level, np.maximum(x1, x2), np.maximum(*ends)) + self._step[0] * 1e-6
        first, last = (self._column(np.maximum(x, self._box[0])) for x in (left, right))
        # An edge that ends within rounding of a row's border may touch the cells beyond it.
        cells = [
            (np.clip(np.repeat(row, last - first + 1) + beyond, 0, self._cells - 1) * self._cells
             + _ranges(first, last - first + 1)) * len(self.codes) + np.repeat(area, last - first + 1)
            for beyond in (-1, 0, 1)
        ]  # fmt: skip
        unique = np.unique(np.concatenate(cells))
        return _grouped(unique // len(self.codes), unique % len(self.codes), self._cells**2)

    def _owners(self) -> Indexes:
        """For each cell the first area that covers all of it, NOWHERE for none."""
        cells = self._cells
        middle_x = self._box[0] + (np.arange(cells) + 0.5) * self._step[0]
        middle_y = self._box[1] + (np.arange(cells) + 0.5) * self._step[1]
        x, y = np.tile(middle_x, cells), np.repeat(middle_y, cells)
        starts, areas = self._doubtful
        touched = np.zeros((len(self.codes), cells**2), np.bool_)
        touched[areas, np.repeat(np.arange(cells**2), np.diff(starts))] = True
        owner = np.full(cells**2, NOWHERE, np.int64)
        for area in reversed(range(len(self.codes))):
            sure = np.flatnonzero(~touched[area])
            for start in range(0, sure.size, _AT_ONCE):
                part = sure[start : start + _AT_ONCE]
                covered = self._inside(np.full(part.size, area, np.int64), x[part], y[part])
                owner[part[covered]] = area
        return owner


def _edges(wkt: str) -> Iterator[tuple[float, float, float, float]]:
    for polygon in geo.from_wkt(wkt):
        for ring in polygon:
            for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
                yield x1, y1, x2, y2


def _positive(length: float) -> float:
    return length if length > 0 else 1.0


def _side(x1: Floats, y1: Floats, x2: Floats, y2: Floats, x: Floats, y: Floats) -> Floats:
    """Positive where the point is left of the edge, negative right of it, 0 exactly on its line.

    Computed in floating point; where rounding could decide, which is seldom, in fractions.
    """
    left, right = (x2 - x1) * (y - y1), (x - x1) * (y2 - y1)
    side: Floats = left - right
    for number in np.flatnonzero(np.abs(side) <= _DOUBT * (np.abs(left) + np.abs(right))):
        a, b, c, d, e, f = (Fraction(float(value[number])) for value in (x1, y1, x2, y2, x, y))
        exact = (c - a) * (f - b) - (e - a) * (d - b)
        side[number] = (exact > 0) - (exact < 0)
    return side


def _ranges(starts: Indexes, counts: Indexes) -> Indexes:
    """The numbers from each start on, `counts` of them, one range after the other."""
    before = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) - np.repeat(before - starts, counts)


def _grouped(keys: Indexes, values: Indexes, groups: int) -> tuple[Indexes, Indexes]:
    """Values in order of their keys, and where each of the `groups` keys begins (one more for the end)."""
    order = np.argsort(keys, kind="stable")
    starts = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(keys, minlength=groups), out=starts[1:])
    return starts, values[order]
