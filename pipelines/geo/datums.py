"""Coordinates between CGCS2000, GCJ-02 and BD-09: arrays of longitudes and latitudes in degrees.

CGCS2000 (EPSG:4490, the statutory system) and WGS-84 (EPSG:4326) differ by less than a metre in Lu'an and are taken for
one. GCJ-02 (maps of 高德, 腾讯) and BD-09 (百度) are shifted on purpose. No standard publishes either: the formulas and
constants are those found alike in many open-source programs; confidence high for GCJ-02 (a=6378245, ee=0.00669342...,
checked at one point against another program), medium for BD-09. Both shifts are smooth, so their inverses are exact to
what an eight-byte number holds. Which system a delivery speaks is judged in `doubts`.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Degrees = NDArray[np.float64]
Points = tuple[Degrees, Degrees]
"""Longitudes and latitudes, of one shape."""

_AXIS: Final = 6378245.0
_ECCENTRICITY_SQUARED: Final = 0.00669342162296594323
_BAIDU: Final = np.pi * 3000.0 / 180.0
_WEST, _EAST, _SOUTH, _NORTH = 72.004, 137.8347, 0.8293, 55.8271
"""Outside of these degrees nothing is shifted: the box that the public programs use for China."""
_ROUNDS: Final = 6
"""Each wins two digits or more; the sixth leaves what eight-byte numbers cannot hold."""


class Datum(StrEnum):
    """What the numbers of a position mean."""

    CGCS2000 = "EPSG:4490"
    WGS84 = "EPSG:4326"
    GCJ02 = "GCJ-02"
    BD09 = "BD-09"


def transform(longitude: ArrayLike, latitude: ArrayLike, source: Datum, target: Datum) -> Points:
    """Positions of one datum in another; NaN stays NaN, positions outside China stay as they are.

    There and back again is right to well below a millimetre within China, except within about a kilometre of the box
    above, where a position may have two originals.
    """
    points = np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)
    steps_down: dict[Datum, list[Callable[[Degrees, Degrees], Points]]] = {
        Datum.BD09: [_baidu_shift, _national_shift],
        Datum.GCJ02: [_national_shift],
    }
    down, up = steps_down.get(source, []), steps_down.get(target, [])
    while down and up and down[-1] is up[-1]:  # by way of what both share, not all the way down
        down, up = down[:-1], up[:-1]
    with np.errstate(invalid="ignore", over="ignore"):  # of what is no position nothing is computed that is used
        for shift in down:
            points = _unshifted(points, shift)
        for shift in reversed(up):
            points = _shifted(points, shift)
    return points


def _in_china(points: Points) -> NDArray[np.bool_]:
    x, y = points
    return (x >= _WEST) & (x <= _EAST) & (y >= _SOUTH) & (y <= _NORTH)


def _shifted(points: Points, shift: Callable[[Degrees, Degrees], Points]) -> Points:
    (x, y), (dx, dy), inside = points, shift(*points), _in_china(points)
    return np.where(inside, x + dx, x), np.where(inside, y + dy, y)


def _unshifted(points: Points, shift: Callable[[Degrees, Degrees], Points]) -> Points:
    """The positions that `shift` moves onto these, by fixed-point iteration."""
    x, y = points
    original = points
    for _ in range(_ROUNDS):
        dx, dy = shift(*original)
        original = x - dx, y - dy
    inside = _in_china(original)
    return np.where(inside, original[0], x), np.where(inside, original[1], y)


def _national_shift(longitude: Degrees, latitude: Degrees) -> Points:
    """What GCJ-02 adds, in degrees."""
    x, y = longitude - 105.0, latitude - 35.0
    root, short = np.sqrt(np.abs(x)), 20.0 * np.sin(6.0 * np.pi * x) + 20.0 * np.sin(2.0 * np.pi * x)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north += (short + 20.0 * np.sin(np.pi * y) + 40.0 * np.sin(np.pi / 3.0 * y)) * 2.0 / 3.0
    north += (160.0 * np.sin(np.pi / 12.0 * y) + 320.0 * np.sin(np.pi / 30.0 * y)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east += (short + 20.0 * np.sin(np.pi * x) + 40.0 * np.sin(np.pi / 3.0 * x)) * 2.0 / 3.0
    east += (150.0 * np.sin(np.pi / 12.0 * x) + 300.0 * np.sin(np.pi / 30.0 * x)) * 2.0 / 3.0
    radians = np.radians(latitude)
    flat = 1.0 - _ECCENTRICITY_SQUARED * np.sin(radians) ** 2
    meridian = _AXIS * (1.0 - _ECCENTRICITY_SQUARED) / flat**1.5
    parallel = _AXIS / np.sqrt(flat) * np.cos(radians)
    return np.degrees(east / parallel), np.degrees(north / meridian)


def _baidu_shift(longitude: Degrees, latitude: Degrees) -> Points:
    """What BD-09 adds to GCJ-02, in degrees."""
    radius = np.hypot(longitude, latitude) + 0.00002 * np.sin(latitude * _BAIDU)
    angle = np.arctan2(latitude, longitude) + 0.000003 * np.cos(longitude * _BAIDU)
    return radius * np.cos(angle) + 0.0065 - longitude, radius * np.sin(angle) + 0.006 - latitude
