"""Datums and areas: a million points there and back again, five million points in the counties of Lu'an.

`python -m benchmarks.geometry [POINTS]`, 5,000,000 if not said. Points are drawn over the whole box of the city.
"""

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Contender, one
from benchmarks.measure import REPOSITORY, table
from pipelines import geo
from pipelines.geo.areas import NOWHERE, Areas
from pipelines.geo.datums import Datum, transform


def _points(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng()
    return rng.uniform(115.3, 117.3, count), rng.uniform(31.0, 32.7, count)


def _there_and_back(datum: Datum) -> Contender:
    def contender(where: str, folder: Path) -> int:
        x, y = _points(int(where) // 5)
        back = transform(*transform(x, y, Datum.CGCS2000, datum), datum, Datum.CGCS2000)
        return int((np.hypot(back[0] - x, back[1] - y) * 111_320 > 0.001).sum())

    return contender


def _in_counties(where: str, folder: Path) -> int:
    file = REPOSITORY / "data_contracts/codes/county_boundary.geojson"
    features = json.loads(file.read_text("utf-8"))["features"]
    areas = Areas([one["properties"]["code"] for one in features], [geo.to_wkt(one["geometry"]) for one in features])
    return int((areas.locate(*_points(int(where))) != NOWHERE).sum())


CONTENDERS: dict[str, Contender] = {
    "GCJ-02 there and back, a fifth of the points; off by more than 1 mm": _there_and_back(Datum.GCJ02),
    "BD-09 there and back, a fifth of the points; off by more than 1 mm": _there_and_back(Datum.BD09),
    "points in counties; found": _in_counties,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(CONTENDERS[sys.argv[2]], sys.stdin.read())
    else:
        table("benchmarks.geometry", CONTENDERS, sys.argv[1] if len(sys.argv) > 1 else "5000000")
