"""Roads of towns, and the components of urban management that stand beside them.

The roads are those that standard addresses name. Components are those that cases name, and some more on every road.
Both are files with the whole register: roads as GeoJSON, components as a GeoPackage without any code of a division.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from math import cos, pi, sin

from simulator import shapes
from simulator.address_registers import Addresses
from simulator.addresses import middle
from simulator.chance import Dice, deck
from simulator.defects import CODE, COMPLETENESS, CONSISTENCY, FORMAT, PLAUSIBLE, RANGE
from simulator.divisions import ROADS
from simulator.land_registers import elsewhere
from simulator.mistakes import Mistake, changed, code_mistakes, date_mistakes, duplicate, missing, spelled
from simulator.person import DAY_ZERO
from simulator.places import village_of
from simulator.register_rows import column_names
from simulator.registers import Change, Everybody, Files, News, Register, Row
from simulator.schema import Connection
from simulator.urban_registers import SMALL_CLASSES, UrbanCases

FAST, MAIN, SECONDARY, BRANCH = "1", "2", "3", "4"
"""Codes of the class of a road."""
_LENGTHS = (300, 900)
_NAMES = sorted(set(ROADS))
_IN_USE = deck("1*18 2*2 3")
_CLASSES = deck("01*9 02*6 03*5 04*4 05")


def registers() -> list[Register]:
    """The registers of this module, made anew."""
    return [Roads(), Components()]


def _place_mistakes(column: int) -> tuple[Mistake, ...]:
    """What is wrong with where something is drawn."""
    return (
        Mistake("shape_missing", COMPLETENESS, column, lambda row, dice: [[*row[:column], None, *row[column + 1 :]]]),
        changed("shape_swapped", FORMAT, column, lambda v, d: shapes.swapped(v)),
        changed("shape_of_nowhere", RANGE, column, lambda v, d: shapes.shifted(v, -2.5, 0), CONSISTENCY),
        elsewhere(column, 0),
        changed("datum_told_wrong", PLAUSIBLE, column, lambda v, d: shapes.in_gcj(v)),
    )


class Roads:
    """The middle lines of roads, each week."""

    place = Files(
        "nrpb_exchange", "road", "geojson", column_names("DLBM DLMC XZQHDM DLDJ DLKD DLCD geometry"), whole=True
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        missing(1),
        *code_mistakes(2, "341521001001", CONSISTENCY),
        *code_mistakes(3, "9"),
        spelled("class_word", 3, {MAIN: "主干路", SECONDARY: "次干路", BRANCH: "支路"}),
        changed("width_with_unit", FORMAT, 4, lambda v, d: f"{v}米"),
        changed("width_beyond", RANGE, 4, lambda v, d: f"{float(v) + 120:g}"),
        changed("length_in_km", CONSISTENCY, 5, lambda v, d: f"{float(v) / 1000:.3f}"),
        changed("point_for_line", FORMAT, 6, lambda v, d: shapes.point(*shapes.positions(v)[0])),
        *_place_mistakes(6),
        duplicate(0),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """Every road that a standard address of a town names."""
        for village, name in _named_roads(city.truth):
            dice = Dice(0, "road", village, name)
            path = _path(village, name)
            sort = MAIN if name.endswith("大道") else dice.pick(deck(f"{SECONDARY}*3 {BRANCH}*5"))
            yield [
                f"{village}{_NAMES.index(name):02d}",
                name,
                village,
                sort,
                str({MAIN: 40, SECONDARY: 24, BRANCH: 12}[sort] + dice.below(6)),
                f"{_length(path):.1f}",
                shapes.line(path),
            ]

    def day(self, news: News) -> Change:
        """A road is made wider."""
        rows = news.some(self.place.dataset, 1)
        for row in rows:
            row[4] = str(int(str(row[4])) + 2)
        return Change(rows)


class Components:
    """Components, each week; nothing but the number and the position says where they are."""

    place = Files("umb_exchange", "component", "gpkg", column_names("BJBM BJLX BJZT QSDW CJRQ geometry"), whole=True)
    key = 0
    mistakes: tuple[Mistake, ...] = (
        changed("class_no_code", CODE, 1, lambda v, d: "0199", CONSISTENCY),
        changed("class_of_another", CONSISTENCY, 1, lambda v, d: "0301" if v != "0301" else "0201"),
        *code_mistakes(2, "9"),
        spelled("status_word", 2, {"1": "完好", "2": "破损", "3": "丢失"}),
        missing(3),
        *date_mistakes(4),
        *_place_mistakes(5),
        duplicate(0),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """Those that cases name, and some on each road."""
        taken = set[str]()
        for number, village in _named_by_cases(city.truth):
            taken.add(number)
            yield self._row(number, village)
        for village, name in _named_roads(city.truth):
            dice = Dice(0, "components", village, name)
            for _ in range(dice.between(1, 3)):
                sort = dice.pick(_CLASSES)
                small = dice.between(1, SMALL_CLASSES[f"1{sort}"])
                number = f"{village[:6]}{sort}{small:02d}{dice.below(1_000_000):06d}"
                if number not in taken:
                    taken.add(number)
                    yield self._row(number, village, name)

    def day(self, news: News) -> Change:
        """One breaks or is mended; those that today's cases name are entered."""
        rows = news.some(self.place.dataset, 1)
        for row in rows:
            row[2] = "1" if row[2] == "2" else "2"
        known = "SELECT 1 FROM truth.record c WHERE c.dataset = %s AND c.key = r.row[5]"
        found = _named_by_cases(news.truth, f" AND NOT EXISTS ({known})", self.place.dataset)
        return Change([*rows, *(self._row(number, village) for number, village in found)])

    def _row(self, number: str, village: str, road: str | None = None) -> Row:
        dice = Dice(0, "component", number)
        path = _path(village, road or dice.pick(_NAMES))
        (x1, y1), (x2, y2) = path[:2] if dice.chance(0.5) else path[1:]
        along = dice.random()
        x, y = shapes.moved(x1 + (x2 - x1) * along, y1 + (y2 - y1) * along, dice.between(-9, 9), dice.between(-9, 9))
        day = DAY_ZERO - timedelta(days=dice.below((DAY_ZERO - date(2015, 1, 1)).days))
        unit = dice.pick(("市政设施管理处", "市园林管理处", "市环境卫生管理处", "供电公司", "自来水公司"))
        return [number, number[6:10], dice.pick(_IN_USE), unit, day.isoformat(), shapes.point(x, y)]


def _named_roads(truth: Connection) -> list[tuple[str, str]]:
    """The villages and roads that standard addresses of towns name."""
    rows = truth.execute(
        "SELECT DISTINCT row[2], row[3] FROM truth.record WHERE dataset = %s ORDER BY 1, 2", [Addresses.place.dataset]
    )
    return [(village, name) for village, name in rows if name in _NAMES and village_of(village).urban]


def _named_by_cases(truth: Connection, also: str = "", *values: str) -> list[tuple[str, str]]:
    """Numbers of components that cases name, each with the village of its grid cell."""
    rows = truth.execute(
        "SELECT row[5], min(left(row[2], 12)) FROM truth.record r "
        f"WHERE dataset = %s AND row[5] IS NOT NULL{also} GROUP BY 1 ORDER BY 1",
        [UrbanCases.place.dataset, *values],
    )
    return [(number, village) for number, village in rows]


def _path(village: str, name: str) -> list[shapes.Position]:
    """The middle line of a road: two straight pieces through the middle of the village."""
    x, y, inland = middle(village)
    dice = Dice(0, "path", village, name)
    reach = dice.between(*_LENGTHS) / 2 if inland else 60
    turned, bent = dice.random() * pi, (dice.random() - 0.5) * 0.6
    beside = dice.between(-300, 300) if inland else 0
    x, y = shapes.moved(x, y, -sin(turned) * beside, cos(turned) * beside)
    ends = [shapes.moved(x, y, sign * reach * cos(turned + way), sign * reach * sin(turned + way))
            for sign, way in ((-1, 0.0), (1, bent))]  # fmt: skip
    return [ends[0], (x, y), ends[1]]


def _length(path: list[shapes.Position]) -> float:
    """In metres."""
    total = 0.0
    for (x1, y1), (x2, y2) in pairwise(path):
        east, north = shapes.metres((y1 + y2) / 2)
        total += (((x2 - x1) * east) ** 2 + ((y2 - y1) * north) ** 2) ** 0.5
    return total
