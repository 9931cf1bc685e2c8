"""Swapped, lost and shifted positions are told, and points that are where they say are left alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import geo
from pipelines.geo.areas import NOWHERE, Areas
from pipelines.geo.datums import Datum, transform
from pipelines.geo.doubts import Doubt, doubts, judge_datum
from tests.city import seed_from_clock

BOUNDARIES = Path(__file__).parents[2] / "data_contracts/codes/county_boundary.geojson"
FEATURES = json.loads(BOUNDARIES.read_text("utf-8"))["features"]
COUNTIES = Areas(
    [feature["properties"]["code"] for feature in FEATURES], [geo.to_wkt(feature["geometry"]) for feature in FEATURES]
)
Floats = NDArray[np.float64]


def points(count: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Points anywhere in the city, and the county each lies in."""
    seed = seed_from_clock()
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(115.3, 117.3, count * 3), rng.uniform(31.0, 32.7, count * 3)
    area = COUNTIES.locate(x, y)
    found = np.flatnonzero(area != NOWHERE)[:count]
    return x[found], y[found], area[found]


@pytest.mark.parametrize("datum", [Datum.CGCS2000, Datum.WGS84, Datum.GCJ02, Datum.BD09])
def test_the_datum_of_a_delivery_is_found(datum: Datum) -> None:
    x, y, area = points(4000)
    said = judge_datum(*transform(x, y, Datum.CGCS2000, datum), area, COUNTIES)
    assert said.likely == (Datum.CGCS2000 if datum is Datum.WGS84 else datum)
    assert said.points == 4000 and said.inside[said.likely] == pytest.approx(4000, abs=2)


def test_a_datum_that_was_told_rightly_is_not_doubted() -> None:
    x, y, area = points(4000)
    for datum in (Datum.GCJ02, Datum.BD09):
        assert judge_datum(*transform(x, y, Datum.CGCS2000, datum), area, COUNTIES, datum).likely is datum


def test_few_points_or_wrong_areas_prove_nothing() -> None:
    x, y, area = points(4000)
    shifted = transform(x, y, Datum.CGCS2000, Datum.BD09)
    assert judge_datum(shifted[0][:20], shifted[1][:20], area[:20], COUNTIES).likely is Datum.CGCS2000
    assert judge_datum(x, y, np.full(x.size, NOWHERE), COUNTIES).points == 0
    other = (area + 1) % len(COUNTIES.codes)
    assert judge_datum(x, y, other, COUNTIES).likely is Datum.CGCS2000


def test_each_doubtful_point_says_why() -> None:
    x, y, area = points(20_000)
    assert set(doubts(x, y, area, COUNTIES)) == {Doubt.NONE}
    assert set(doubts(y, x, area, COUNTIES)) == {Doubt.SWAPPED}
    assert set(doubts(np.zeros(2), [0, np.nan], [0, 0], COUNTIES)) == {Doubt.MISSING}
    assert set(doubts([121.5, 31.2], [31.2, 121.5], [0, NOWHERE], COUNTIES)) == {Doubt.OUTSIDE}
    baidu = doubts(*transform(x, y, Datum.CGCS2000, Datum.BD09), area, COUNTIES)
    told = dict(zip(*np.unique(baidu, return_counts=True), strict=True))
    assert set(told) <= {Doubt.NONE, Doubt.BD09, Doubt.GCJ02}
    assert told[Doubt.NONE] > 18_000  # most shifted points stay in their county: only together do they tell
    assert told[Doubt.BD09] + told.get(Doubt.GCJ02, 0) > 200


def test_a_point_without_an_area_may_lie_anywhere_in_the_city() -> None:
    x, y, _ = points(1000)
    nowhere = np.full(x.size, NOWHERE)
    assert set(doubts(x, y, nowhere, COUNTIES)) == {Doubt.NONE}
    assert set(doubts(y, x, nowhere, COUNTIES)) == {Doubt.SWAPPED}
