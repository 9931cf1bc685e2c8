"""Maps of counties as plain drawings: outlines or equal tiles, and values put into classes. Pure geometry.

Who may see outlines is decided by policy (`catalog.delivery.boundaries`); the SVG around the paths is a template.
Outlines are drawn equirectangular with one scale east and north at the middle latitude, which is right to a per mille
within one city.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from catalog.delivery.boundaries import Polygons, Position

WIDTH = 1000
"""Drawing units from west to east."""
GRID = 2
"""Points are moved to a grid of so many units and repeats left out: common borders stay common, paths get short."""
GAP = 16
CLASSES = 5

Cell = tuple[int, int]


@dataclass(frozen=True)
class Shape:
    """One county: the data of an SVG path, and the middle of its label."""

    code: str
    path: str
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """All counties in drawing units, the origin in the north-west."""

    width: int
    height: int
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Scale:
    """Classes of equal width from the lowest value to the highest; one class where all values are the same."""

    edges: tuple[float, ...]

    @property
    def classes(self) -> list[tuple[float, float]]:
        """From and to of each class, the lowest first."""
        return [(low, high) for low, high in zip(self.edges, self.edges[1:], strict=False)]

    def number(self, value: float) -> int:
        """The class of a value, from 0."""
        return max(0, sum(1 for edge in self.edges[1:-1] if value >= edge))


def scale(values: Iterable[float]) -> Scale | None:
    """The classes of these values, None without any."""
    known = sorted(values)
    if not known:
        return None
    low, high = known[0], known[-1]
    if low == high:
        return Scale((low, high))
    return Scale((*(low + (high - low) * step / CLASSES for step in range(CLASSES)), high))


def outlines(boundaries: Mapping[str, Polygons]) -> Drawing:
    """The counties as they lie. `boundaries` must not be empty."""
    points = [point for polygons in boundaries.values() for ring in _rings(polygons) for point in ring]
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    south, north = min(y for _, y in points), max(y for _, y in points)
    narrowing = math.cos(math.radians((south + north) / 2))
    units = WIDTH / ((east - west) * narrowing)

    def place(point: Position) -> Cell:
        x, y = (point[0] - west) * narrowing * units, (north - point[1]) * units
        return GRID * round(x / GRID), GRID * round(y / GRID)

    shapes = []
    for code, polygons in sorted(boundaries.items()):
        path = "".join(_closed([place(point) for point in ring]) for ring in _rings(polygons))
        x, y = place(_middle(polygons))
        shapes.append(Shape(code, path, x, y))
    return Drawing(WIDTH, math.ceil((north - south) * units), tuple(shapes))


def tiles(codes: Sequence[str], boundaries: Mapping[str, Polygons]) -> Drawing:
    """The counties as equal boxes, each roughly on its side of the city; in the order of codes without boundaries."""
    side = math.ceil(math.sqrt(len(codes)))
    cells = [(column, row) for row in range(side) for column in range(side)]
    middles = {code: _middle(boundaries[code]) for code in codes if code in boundaries}
    placed = _placed(middles, cells, side) if len(middles) == len(codes) > 1 else dict(zip(codes, cells, strict=False))
    size = (WIDTH + GAP) // side - GAP
    step, shapes = size + GAP, []
    for code in codes:
        x, y = placed[code][0] * step, placed[code][1] * step
        shapes.append(Shape(code, f"M{x} {y}h{size}v{size}h-{size}z", x + size // 2, y + size // 2))
    rows = max(row for _, row in placed.values()) + 1
    return Drawing(WIDTH, rows * step - GAP, tuple(shapes))


def _placed(middles: Mapping[str, Position], cells: Sequence[Cell], side: int) -> dict[str, Cell]:
    """A cell for each county, exchanged in pairs while that brings counties nearer to where they lie."""
    wanted = _stretched(middles, side)
    seats: list[str | None] = [*sorted(middles), *[None] * (len(cells) - len(middles))]

    def far(place: int, code: str | None) -> float:
        return 0.0 if code is None else math.dist(cells[place], wanted[code]) ** 2

    better = True
    while better:
        better = False
        for one, other in combinations(range(len(cells)), 2):
            now = far(one, seats[one]) + far(other, seats[other])
            if far(one, seats[other]) + far(other, seats[one]) < now - 1e-9:
                seats[one], seats[other], better = seats[other], seats[one], True
    return {code: cell for code, cell in zip(seats, cells, strict=True) if code is not None}


def _stretched(middles: Mapping[str, Position], side: int) -> dict[str, tuple[float, float]]:
    """The middles stretched over the cells, north above."""
    west, east = min(x for x, _ in middles.values()), max(x for x, _ in middles.values())
    south, north = min(y for _, y in middles.values()), max(y for _, y in middles.values())
    wide, high = (east - west) or 1.0, (north - south) or 1.0
    return {code: ((x - west) / wide * (side - 1), (north - y) / high * (side - 1)) for code, (x, y) in middles.items()}


def _rings(polygons: Polygons) -> Iterable[list[Position]]:
    return (ring for polygon in polygons for ring in polygon)


def _closed(points: Sequence[Cell]) -> str:
    kept = [point for before, point in zip([None, *points], points, strict=False) if point != before]
    if len(kept) > 1 and kept[0] == kept[-1]:
        kept.pop()
    return "M" + "L".join(f"{x} {y}" for x, y in kept) + "z" if len(kept) > 2 else ""


def _middle(polygons: Polygons) -> Position:
    """The centre of gravity of the largest outer ring."""
    return max((_gravity(polygon[0]) for polygon in polygons), key=lambda found: found[1])[0]


def _gravity(ring: Sequence[Position]) -> tuple[Position, float]:
    """Centre and area in square degrees."""
    double = x_sum = y_sum = 0.0
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        cross = x1 * y2 - x2 * y1
        double += cross
        x_sum += (x1 + x2) * cross
        y_sum += (y1 + y2) * cross
    return (x_sum / (3 * double), y_sum / (3 * double)), abs(double) / 2
