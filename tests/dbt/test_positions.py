"""Where standard addresses lie, looked at before models are built: doubts by row, and a delivery in another datum."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest
from libraries import Bench, new_bench

from pipelines import geo
from pipelines.contracts.load import Contracts
from pipelines.geo.areas import NOWHERE, Areas
from pipelines.geo.datums import Datum, transform
from pipelines.geo.positions import datum_doubt, place_addresses
from pipelines.lake import delta
from tests.city import seed_from_clock

POINTS = 1500


@pytest.fixture
def bench(contracts: Contracts, tmp_path: Path) -> Bench:
    """The counties; addresses are to be loaded."""
    bench = new_bench(tmp_path, contracts)
    features = json.loads((contracts.root / "codes/county_boundary.geojson").read_text("utf-8"))["features"]
    rows = [
        {"county_code": one["properties"]["code"], "county_boundary": geo.to_wkt(one["geometry"])} for one in features
    ]
    bench.load("nrpb/county_boundary", *rows)
    return bench


def houses(bench: Bench, written: Datum, told: str) -> None:
    """Addresses anywhere in the city, positions written in a datum and said to be in one."""
    index = Areas(*zip(*county_texts(bench.contracts), strict=True))
    seed = seed_from_clock()
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(115.3, 117.3, POINTS * 3), rng.uniform(31.0, 32.7, POINTS * 3)
    area = index.locate(x, y)
    kept = np.flatnonzero(area != NOWHERE)[:POINTS]
    lon, lat = transform(x[kept], y[kept], Datum.CGCS2000, written)
    bench.load("psb/standard_address", *(
        {"address_id": f"DZ{number}", "division_code": f"{index.codes[county]}001001", "longitude": float(east),
         "latitude": float(north), "datum": told, "address_status": "1"}
        for number, (county, east, north) in enumerate(zip(area[kept], lon, lat, strict=True))
    ))  # fmt: skip


def county_texts(contracts: Contracts) -> list[tuple[str, str]]:
    features = json.loads((contracts.root / "codes/county_boundary.geojson").read_text("utf-8"))["features"]
    return [(one["properties"]["code"], geo.to_wkt(one["geometry"])) for one in features]


@pytest.mark.long
@pytest.mark.parametrize(
    ("written", "told", "doubted"),
    [
        (Datum.CGCS2000, "CGCS2000", None),
        (Datum.BD09, "CGCS2000", "BD-09"),
        (Datum.GCJ02, "CGCS2000", "GCJ-02"),
        (Datum.BD09, "BD09", None),
        (Datum.GCJ02, "GCJ02", None),
    ],
)
def test_a_delivery_in_another_datum_is_told(bench: Bench, written: Datum, told: str, doubted: str | None) -> None:
    houses(bench, written, told)
    sources = {
        name: version for name, version in bench.versions() if name in ("psb/standard_address", "nrpb/county_boundary")
    }
    found = place_addresses(bench.lake, bench.contracts, sources)
    assert found is not None
    findings = datum_doubt(bench.contracts, found)
    assert [finding.arguments["likely"] for finding in findings] == ([doubted] if doubted else [])
    assert all("坐标" in finding.text("zh") and str(doubted) in finding.text("en") for finding in findings)
    source = delta.scan(delta.open_table(found.location, found.version)).source
    rows = dict(duckdb.sql(f"SELECT position_doubt, count(*) FROM {source} GROUP BY 1").fetchall())
    assert sum(rows.values()) == POINTS
    assert (rows == {"none": POINTS}) == (doubted is None)
    assert place_addresses(bench.lake, bench.contracts, sources) == found  # nothing changed, nothing is made again


def test_without_addresses_or_boundaries_there_is_nothing_to_look_at(bench: Bench) -> None:
    assert place_addresses(bench.lake, bench.contracts, {}) is None
