"""Positions that do not lie where their row says: swapped coordinates, and another datum than the one told.

One point near a boundary proves nothing about a datum; a delivery as a whole speaks one, and many points tell which.
Where a point lies belongs to `areas`, how it moves to `datums`. Nothing is mended here: the source is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.geo.areas import NOWHERE, Areas
from pipelines.geo.datums import Datum, transform

CERTAIN: Final = 3.29
"""Standard deviations by which one datum must fit better than the one told: by chance once in a thousand deliveries."""
FEWEST: Final = 10
"""Points that must fit only under the other datum before a delivery is doubted."""
MOST: Final = 0.9
"""The share of all points that must fit under the other datum: where few do, the areas are wrong, not the datum."""


class Doubt(StrEnum):
    """What a position that is not in its area looks like."""

    NONE = "none"
    MISSING = "missing"
    """No numbers, or 0, 0, where the Gulf of Guinea is and lost positions are."""
    SWAPPED = "swapped"
    """In its area once longitude and latitude change places."""
    GCJ02 = "gcj02"
    BD09 = "bd09"
    """In its area once taken for GCJ-02 or BD-09. Where both fit GCJ-02, the smaller shift, is told."""
    OUTSIDE = "outside"


@dataclass(frozen=True)
class Judgement:
    """What the points of a delivery say together. `inside`: by datum, how many points lie in their area."""

    told: Datum
    likely: Datum
    points: int
    inside: Mapping[Datum, int]


def doubts(longitude: ArrayLike, latitude: ArrayLike, claimed: ArrayLike, areas: Areas) -> NDArray[np.str_]:
    """For each point what is doubtful about it (a `Doubt`). `claimed`: positions in `areas.codes`.

    A point that names no area (NOWHERE) is held to lie anywhere in them.
    """
    x, y, area = np.asarray(longitude, np.float64), np.asarray(latitude, np.float64), np.asarray(claimed, np.int64)

    def fits(fx: ArrayLike, fy: ArrayLike) -> NDArray[np.bool_]:
        named = areas.contains(area, fx, fy)
        return np.where(area == NOWHERE, areas.locate(fx, fy) != NOWHERE, named)

    found = np.full(x.size, Doubt.OUTSIDE, dtype="<U8")
    found[fits(*transform(x, y, Datum.BD09, Datum.CGCS2000))] = Doubt.BD09
    found[fits(*transform(x, y, Datum.GCJ02, Datum.CGCS2000))] = Doubt.GCJ02
    found[fits(y, x)] = Doubt.SWAPPED
    found[fits(x, y)] = Doubt.NONE
    found[~np.isfinite(x) | ~np.isfinite(y) | ((x == 0) & (y == 0))] = Doubt.MISSING
    return found


def judge_datum(
    longitude: ArrayLike, latitude: ArrayLike, claimed: ArrayLike, areas: Areas, told: Datum = Datum.CGCS2000
) -> Judgement:
    """The datum that fits the areas which the points of a delivery name; the one told unless another fits far better.

    McNemar's test on the points that are in their area under one datum only. Points without an area say nothing.
    """
    area = np.asarray(claimed, np.int64)
    named = area != NOWHERE
    x, y, area = np.asarray(longitude, np.float64)[named], np.asarray(latitude, np.float64)[named], area[named]
    inside = {
        datum: areas.contains(area, *transform(x, y, datum, Datum.CGCS2000))
        for datum in dict.fromkeys((told, Datum.CGCS2000, Datum.GCJ02, Datum.BD09))
    }
    likely, best = told, 0.0
    for datum, fits in inside.items():
        gained, lost = int((fits & ~inside[told]).sum()), int((~fits & inside[told]).sum())
        lead = (gained - lost) / sqrt(gained + lost) if gained + lost else 0.0
        if gained >= FEWEST and fits.mean() >= MOST and lead > max(best, CERTAIN):
            likely, best = datum, lead
    return Judgement(told, likely, int(named.sum()), {datum: int(fits.sum()) for datum, fits in inside.items()})
