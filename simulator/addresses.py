"""Standard addresses: what `divisions.address` writes, taken apart, and where on earth it is.

Belongs here: the parts and the position of one address. Does not belong here: the register of addresses, and how people
write them (`address_dirt`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from simulator.chance import Dice
from simulator.divisions import address, random_village
from simulator.places import village_of

_TAIL = re.compile(r"(?P<street>\D*?)(?P<gate>\d+)号(?:(?P<building>\d+)幢)?(?:(?P<room>\d+)室)?")
_NEAR = 0.006
"""Degrees around the middle of a village within which its houses stand: some 600 m."""


@dataclass(frozen=True, slots=True)
class StandardAddress:
    """An address by its parts; `street` is a road, or a group of villagers. Numbers are text, empty where none is."""

    division: str
    text: str
    place: str
    street: str
    gate: str
    building: str
    room: str

    @property
    def tail(self) -> str:
        """What follows the village."""
        return self.text.removeprefix(self.place)


def taken_apart(text: str, division: str) -> StandardAddress | None:
    """The parts of an address that `divisions.address` wrote, None for any other text."""
    place = village_of(division).place
    found = _TAIL.fullmatch(text.removeprefix(place)) if text.startswith(place) else None
    if found is None:
        return None
    parts = {name: value or "" for name, value in found.groupdict().items()}
    return StandardAddress(division, text, place, **parts)


def lodging(number: int) -> StandardAddress:
    """Where the holder of the floating registration of a number lives: the register of addresses knows it too."""
    dice = Dice(0, "lodging", number)
    village = random_village(dice)
    found = taken_apart(address(dice, village), village.code)
    assert found is not None
    return found


def position(one: StandardAddress) -> tuple[float, float]:
    """Longitude and latitude in degrees (CGCS2000) of a house: near the middle of its village, within its county."""
    x, y, inland = middle(one.division)
    dice = Dice(0, "position", one.division, one.street, one.gate, one.building)
    there = x + (dice.random() - 0.5) * 2 * _NEAR, y + (dice.random() - 0.5) * 2 * _NEAR
    if not inland and not _inside(_rings(one.division[:6]), *there):
        there = x, y
    return round(there[0], 6), round(there[1], 6)


@cache
def middle(division: str) -> tuple[float, float, bool]:
    """The middle of a village, and whether all its houses are sure to be within the county."""
    rings = _rings(division[:6])
    xs, ys = [x for x, _ in rings[0]], [y for _, y in rings[0]]
    dice = Dice(0, "middle", division)
    while True:
        x = min(xs) + dice.random() * (max(xs) - min(xs))
        y = min(ys) + dice.random() * (max(ys) - min(ys))
        if _inside(rings, x, y):
            around = [(x + dx * _NEAR, y + dy * _NEAR) for dx in (-1.5, 0, 1.5) for dy in (-1.5, 0, 1.5)]
            return x, y, all(_inside(rings, *one) for one in around)


@cache
def _rings(county: str) -> list[list[tuple[float, float]]]:
    text = files("simulator").joinpath("data/county_boundary.geojson").read_text(encoding="utf-8")
    (shape,) = [one["geometry"] for one in json.loads(text)["features"] if one["properties"]["code"] == county]
    polygons = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
    return [[(x, y) for x, y, *_ in ring] for polygon in polygons for ring in polygon]


def _inside(rings: list[list[tuple[float, float]]], x: float, y: float) -> bool:
    odd = False
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                odd = not odd
    return odd
