"""What stands on the ground: parcels of registered real estate, and the buildings on them.

Units of real estate carry the numbers of their parcel and building; both lie where the standard address of the unit
says. A few parcels were never surveyed: their buildings stand on a parcel that nobody has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from math import pi

from simulator import shapes
from simulator.address_registers import village_named
from simulator.addresses import StandardAddress, position, taken_apart
from simulator.chance import Dice
from simulator.defects import CODE, COMPLETENESS, CONSISTENCY, FORMAT, PLAUSIBLE, RANGE
from simulator.estate_registers import PLACE, UNIT, USE, Estates
from simulator.mistakes import Mistake, changed, code_mistakes, missing
from simulator.person import DAY_ZERO
from simulator.register_rows import moment, table
from simulator.registers import Change, Everybody, News, Register, Row
from simulator.schema import Connection
from simulator.special_mistakes import repeated

PARCEL, BUILDING = 19, 24
"""How much of the number of a unit (GB/T 37346) is that of its parcel, and that of its building."""
NEVER_SURVEYED = 1 / 40
_FARM_HOUSE = "14"
_ELSEWHERE = {"341524": (116.53, 31.72)}
"""Where something of 金寨县 does not lie; of the other counties it is the middle of 金寨县."""
_JINZHAI = (115.85, 31.62)


def registers() -> list[Register]:
    """The registers of this module, made anew."""
    return [Parcels(), Buildings()]


def shape_mistakes(column: int, area: int, datum: int) -> tuple[Mistake, ...]:
    """What is wrong with the drawing of an area, its size in m², or the datum that it is said to be in."""
    return (
        Mistake("shape_missing", COMPLETENESS, column, lambda row, dice: [_with(row, column, None)]),
        changed("ring_open", FORMAT, column, lambda v, d: shapes.polygon(shapes.positions(v)[:-1])),
        changed("ring_crossed", CONSISTENCY, column, lambda v, d: _crossed(v)),
        changed("shape_swapped", FORMAT, column, lambda v, d: shapes.swapped(v)),
        changed("point_for_area", FORMAT, column, lambda v, d: shapes.point(*shapes.positions(v)[0])),
        changed("shape_of_nowhere", RANGE, column, lambda v, d: shapes.shifted(v, -2.5, 0), CONSISTENCY),
        changed("shape_in_gauss", FORMAT, column, lambda v, d: v.replace("POLYGON ((11", "POLYGON ((39511")),
        changed("size_with_unit", FORMAT, area, lambda v, d: f"{v}平方米"),
        changed("size_in_mu", CONSISTENCY, area, lambda v, d: f"{float(v) / 666.67:.2f}"),
        changed("size_differs", CONSISTENCY, area, lambda v, d: f"{float(v) * (1.1 + d.random()):.2f}"),
        Mistake("datum_other", FORMAT, datum, lambda row, dice: [_in_gcj(row, column, datum, "GCJ02")]),
        changed("datum_no_code", CODE, datum, lambda v, d: "西安80", FORMAT),
        changed("datum_word", "cleanable", datum, lambda v, d: d.pick(("EPSG:4490", "国家2000"))),
        Mistake("datum_told_wrong", PLAUSIBLE, column, lambda row, dice: [_in_gcj(row, column, datum, "CGCS2000")]),
    )


def elsewhere(column: int, code: int) -> Mistake:
    """A drawing in another county than the one that the code of its row begins with."""

    def plant(row: Row, dice: Dice) -> list[Row] | None:
        text = row[column]
        if text is None:
            return None
        (x, y), (east, north) = shapes.positions(text)[0], _ELSEWHERE.get(str(row[code])[:6], _JINZHAI)
        row[column] = shapes.shifted(text, east - x, north - y)
        return [row]

    return Mistake("in_another_county", CONSISTENCY, column, plant)


class Parcels:
    """Parcels, with their use, area and boundary."""

    place = table("nrpb", "dj", "T_ZD", "ZDDM XZQHDM TDYT ZDMJ ZBX ZDT", "GXSJ")
    key = 0
    mistakes: tuple[Mistake, ...] = (
        *code_mistakes(1, "341521001001", CONSISTENCY),
        changed("division_of_another_county", CONSISTENCY, 1, lambda v, d: _other_county(v)),
        *code_mistakes(2, "98"),
        missing(3),
        *shape_mistakes(5, 3, 4),
        elsewhere(5, 1),
        repeated(0),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """Those on which registered units stand, but for the few that were never surveyed."""
        for number, use, address in _grounds(city.truth):
            if Dice(0, "never surveyed", number).chance(NEVER_SURVEYED):
                continue
            wide, deep, turned = _ground(number, use)
            day = DAY_ZERO - timedelta(days=city.dice.between(5, 2_500))
            yield [
                number,
                address.division,
                use,
                f"{wide * deep:.2f}",
                "CGCS2000",
                shapes.rectangle(*position(address), wide, deep, turned),
                moment(city.dice, day),
            ]

    def day(self, news: News) -> Change:
        """A parcel is given another use."""
        rows = news.some(self.place.dataset, 1)
        for row in rows:
            row[2], row[6] = "11", moment(news.dice, news.today)
        return Change(rows)


class Buildings:
    """Buildings, with the address of their gate and their outline; the whole register each day."""

    place = table("nrpb", "dj", "T_ZRZ", "ZRZH ZDDM XZQHDM JLX MPH LZH ZCS JGND ZZDMJ ZBX ZRZT", "GXSJ")
    key = 0
    mistakes: tuple[Mistake, ...] = (
        changed("parcel_of_another", CONSISTENCY, 1, lambda v, d: f"{v[:14]}{(int(v[14:]) + 1) % 100_000:05d}"),
        changed("parcel_short", FORMAT, 1, lambda v, d: v[:-2], CONSISTENCY),
        missing(1),
        changed("floors_beyond", RANGE, 6, lambda v, d: f"{int(v) + 120}"),
        changed("floors_in_words", FORMAT, 6, lambda v, d: f"{v}层"),
        changed("built_in_future", RANGE, 7, lambda v, d: "2199"),
        *shape_mistakes(10, 8, 9),
        elsewhere(10, 2),
        Mistake("exact_copy", "duplicate", 0, lambda row, dice: [row, list(row)]),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """One on every parcel."""
        dice = city.dice
        for number, use, address in _grounds(city.truth, BUILDING):
            wide, deep, turned = _ground(number[:PARCEL], use)
            yield [
                number,
                number[:PARCEL],
                address.division,
                address.street,
                address.gate,
                address.building or None,
                str(dice.between(1, 3) if use == _FARM_HOUSE else dice.between(3, 26)),
                str(dice.between(1985, 2025)),
                f"{wide * deep * 0.36:.2f}",
                "CGCS2000",
                shapes.rectangle(*position(address), wide * 0.6, deep * 0.6, turned),
                moment(dice, DAY_ZERO - timedelta(days=dice.between(5, 2_500))),
            ]

    def day(self, news: News) -> Change:
        """A building is raised by a floor."""
        rows = news.some(self.place.dataset, 1)
        for row in rows:
            row[6], row[11] = str(int(str(row[6])) + 1), moment(news.dice, news.today)
        return Change(rows)


def _grounds(truth: Connection, length: int = PARCEL) -> Iterator[tuple[str, str, StandardAddress]]:
    """Every parcel (or building) of a registered unit, with the use and the address of the first that names it."""
    rows: Iterable[tuple[Row]] = truth.execute(
        "SELECT row FROM truth.record WHERE dataset = %s ORDER BY key", [Estates.place.dataset]
    )
    seen: set[str] = set()
    for (row,) in rows:
        number, text = str(row[UNIT])[:length], str(row[PLACE])
        division = "" if number in seen else village_named(text)
        if division and (address := taken_apart(text, division)) is not None:
            seen.add(number)
            yield number, str(row[USE]), address


def _ground(number: str, use: str) -> tuple[float, float, float]:
    """Width and depth of a parcel in metres, and how it is turned."""
    dice = Dice(0, "ground", number)
    wide, deep = (dice.between(10, 16), dice.between(9, 14)) if use == _FARM_HOUSE else (dice.between(24, 70), 30)
    return wide + dice.random(), deep + dice.random(), dice.random() * pi / 2


def _with(row: Row, column: int, value: str | None) -> Row:
    row[column] = value
    return row


def _crossed(text: str) -> str:
    first, second, third, *rest = shapes.positions(text)
    return shapes.polygon([first, third, second, *rest])


def _in_gcj(row: Row, column: int, datum: int, told: str) -> Row:
    row[column], row[datum] = shapes.in_gcj(str(row[column])), told
    return row


def _other_county(code: str) -> str:
    return "341524100001" if code[:6] != "341524" else "341502001001"
