"""The standard addresses that the public security bureau keeps: where people are registered or lodge and firms have
their seat, with positions. A few addresses are missing, as in any city that builds.

How an address is taken apart belongs to `addresses`; how others write it to `address_dirt`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import cache

from simulator.addresses import StandardAddress, lodging, position, taken_apart
from simulator.chance import Dice
from simulator.defects import CODE, COMPLETENESS, PLAUSIBLE, RANGE
from simulator.divisions import villages
from simulator.mistakes import Mistake, changed, code_mistakes, constant, missing, spelled
from simulator.person import DAY_ZERO
from simulator.register_rows import moment, table
from simulator.registers import Change, Everybody, News, Register, Row

FLOATING, FIRMS = "hzgl.T_LDRK_DJ", "scjg.E_BASEINFO"
_MISSING = 1 / 30
_LONGITUDE, _LATITUDE = 8, 9
# BD-09 lies about this far north-east of CGCS2000 in Lu'an; a constant shift is what a careless export looks like.
_BAIDU = (0.0116, 0.0042)


def registers() -> list[Register]:
    """The register of addresses."""
    return [Addresses()]


class Addresses:
    """Standard addresses, one a row, with the code of their village."""

    place = table("psb", "bzdz", "T_BZDZ", "DZBM XZQHDM JLX MPH LZH DYH SH DZQC JD WD ZBX DZZT", "GXSJ")
    key = 0
    mistakes = (
        *code_mistakes(1, "341524999999"),
        missing(7),
        Mistake("swapped", RANGE, _LONGITUDE, lambda row, dice: _swapped(row)),
        constant("position_lost", RANGE, _LONGITUDE, "0"),
        Mistake("position_half", COMPLETENESS, _LATITUDE, lambda row, dice: _half(row)),
        constant("status_no_code", CODE, 11, "5"),
        spelled("status_word", 11, {"1": "有效", "0": "注销"}),
        changed("datum_word", "cleanable", 10, lambda v, d: d.pick(("EPSG:4490", "国家2000", "2000国家大地坐标系"))),
        Mistake("datum_told_wrong", PLAUSIBLE, _LONGITUDE, lambda row, dice: _baidu(row)),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        for number, one in enumerate(_known(_everywhere(city))):
            day = DAY_ZERO - timedelta(days=city.dice.between(5, 1500))
            yield _row(number, one, moment(city.dice, day), "0" if city.dice.chance(0.01) else "1")

    def day(self, news: News) -> Change:
        homes = {(one.address, one.division) for one in news.day.changed.values()}
        found = {one.text: one for one in _known(_taken(sorted(homes)))}
        rows = news.truth.execute(
            "SELECT row[8] FROM truth.record WHERE dataset = %s AND row[8] = ANY(%s)",
            [self.place.dataset, list(found)],
        )
        for (text,) in rows:
            found.pop(text, None)
        number = news.count(self.place.dataset)
        return Change([_row(number + n, one, moment(news.dice, news.today)) for n, one in enumerate(found.values())])


def _everywhere(city: Everybody) -> Iterator[StandardAddress]:
    """Every address that other registers know, in their order."""
    yield from _taken((person.address, person.division) for person in city.people)
    (count,) = city.truth.execute("SELECT count(*) FROM truth.record WHERE dataset = %s", [FLOATING]).fetchone() or (0,)
    yield from map(lodging, range(int(count)))
    for (text,) in city.truth.execute("SELECT row[11] FROM truth.record WHERE dataset = %s ORDER BY key", [FIRMS]):
        yield from _taken([(str(text), village_named(str(text)))])


def village_named(text: str) -> str:
    """The code of the village whose name an address begins with; of two alike the first."""
    return next((_places()[text[:size]] for size in range(len(text), 0, -1) if text[:size] in _places()), "")


@cache
def _places() -> dict[str, str]:
    return {village.place: village.code for village in reversed(villages())}


def _taken(texts: Iterable[tuple[str, str]]) -> Iterator[StandardAddress]:
    for text, division in texts:
        if division and (one := taken_apart(text, division)) is not None:
            yield one


def _known(addresses: Iterable[StandardAddress]) -> Iterator[StandardAddress]:
    """Each once, without the few that the register does not have."""
    seen: set[str] = set()
    for one in addresses:
        if one.text not in seen:
            seen.add(one.text)
            if not Dice(0, "never surveyed", one.text).chance(_MISSING):
                yield one


def _row(number: int, one: StandardAddress, written: str, status: str = "1") -> Row:
    x, y = position(one)
    parts = [one.street, one.gate, one.building, "", one.room]
    return [
        f"DZ{number:010d}", one.division, *(part or None for part in parts), one.text,
        f"{x:.6f}", f"{y:.6f}", "CGCS2000", status, written,
    ]  # fmt: skip


def _swapped(row: Row) -> list[Row]:
    row[_LONGITUDE], row[_LATITUDE] = row[_LATITUDE], row[_LONGITUDE]
    return [row]


def _half(row: Row) -> list[Row]:
    row[_LATITUDE] = None
    return [row]


def _baidu(row: Row) -> list[Row]:
    row[_LONGITUDE] = f"{float(row[_LONGITUDE] or 0) + _BAIDU[0]:.6f}"
    row[_LATITUDE] = f"{float(row[_LATITUDE] or 0) + _BAIDU[1]:.6f}"
    return [row]
