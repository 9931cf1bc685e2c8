"""Where the things of layers lie, looked at before models are built: doubts, grounds, a delivery in another datum."""

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
from pipelines.geo.layers import layer_doubts, place_layers
from pipelines.lake import delta
from pipelines.lake.edition import Prepared
from tests.city import seed_from_clock

POINTS = 400
LAYERS = ("nrpb/parcel", "nrpb/building", "nrpb/road", "umb/component", "nrpb/county_boundary")


@pytest.fixture
def bench(contracts: Contracts, tmp_path: Path) -> Bench:
    """The counties; things are to be loaded."""
    bench = new_bench(tmp_path, contracts)
    bench.load("nrpb/county_boundary", *(
        {"county_code": code, "county_boundary": text} for code, text in county_texts(contracts)
    ))  # fmt: skip
    return bench


def county_texts(contracts: Contracts) -> list[tuple[str, str]]:
    features = json.loads((contracts.root / "codes/county_boundary.geojson").read_text("utf-8"))["features"]
    return [(one["properties"]["code"], geo.to_wkt(one["geometry"])) for one in features]


def kept(bench: Bench, name: str) -> bool:
    return delta.latest(version.location) is not None if (version := dict(bench.versions()).get(name)) else False


def placed(bench: Bench) -> tuple[Prepared, dict[str, tuple[str, str, str]]]:
    """The table, and by key the county, the doubt and the link of every thing."""
    sources = {name: version for name, version in bench.versions() if name in LAYERS and kept(bench, name)}
    found = place_layers(bench.lake, bench.contracts, sources)
    assert found is not None
    assert place_layers(bench.lake, bench.contracts, sources) == found  # nothing changed, nothing is made again
    source = delta.scan(delta.open_table(found.location, found.version)).source
    rows = duckdb.sql(f"SELECT source_key, position_county, position_doubt, parcel_link FROM {source}").fetchall()
    return found, {key: rest for key, *rest in ((row[0], *row[1:]) for row in rows)}  # type: ignore[misc]


@pytest.mark.long
@pytest.mark.parametrize("written", [Datum.CGCS2000, Datum.GCJ02, Datum.BD09])
def test_a_delivery_in_another_datum_is_told(bench: Bench, written: Datum) -> None:
    index = Areas(*zip(*county_texts(bench.contracts), strict=True))
    seed = seed_from_clock()
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(115.3, 117.3, POINTS * 9), rng.uniform(31.0, 32.7, POINTS * 9)
    area = index.locate(x, y)
    kept = np.flatnonzero(area != NOWHERE)[: POINTS * 4]
    lon, lat = transform(x[kept], y[kept], Datum.CGCS2000, written)
    bench.load("umb/component", *(
        {"component_no": f"{index.codes[county]}0101{number:06d}", "component_position": f"POINT ({east} {north})"}
        for number, (county, east, north) in enumerate(zip(area[kept], lon, lat, strict=True))
    ))  # fmt: skip
    found, rows = placed(bench)
    findings = dict(layer_doubts(found))
    told = [finding.arguments["likely"] for finding in findings.pop("umb/component")]
    assert told == ([] if written == Datum.CGCS2000 else [str(written)])
    assert not any(findings.values())
    assert ({doubt for _, doubt, _ in rows.values()} == {"none"}) == (written == Datum.CGCS2000)


def test_a_building_drawn_elsewhere_than_its_parcel_is_told(bench: Bench) -> None:
    def square(x: float, y: float, half: float = 0.0001) -> str:
        ring = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
        return f"POLYGON (({', '.join(f'{a:.7f} {b:.7f}' for a, b in [*ring, ring[0]])}))"

    here = (116.53, 31.72)
    gcj, bd = (tuple(float(value) for value in transform(*here, Datum.CGCS2000, datum)) for datum in (
        Datum.GCJ02, Datum.BD09))  # fmt: skip
    common = {"division_code": "341502001001", "parcel_no": "P1"}
    drawn = {"right": here, "gcj": gcj, "bd": bd, "away": (116.54, 31.72)}
    bench.load("nrpb/parcel", {**common, "parcel_boundary": square(*here)})
    bench.load("nrpb/building", *(
        {**common, "building_code": name, "building_outline": square(*at, half=0.00005)} for name, at in drawn.items()
    ), {**common, "building_code": "nowhere", "parcel_no": "P2", "building_outline": square(*here)})  # fmt: skip
    _, rows = placed(bench)
    assert {name: tuple(rows[name]) for name in (*drawn, "nowhere", "P1")} == {
        "right": ("341502", "none", "on"),
        "gcj": ("341502", "gcj02", "beside"),
        "bd": ("341502", "bd09", "beside"),
        "away": ("341502", "none", "beside"),
        "nowhere": ("341502", "none", "unknown"),
        "P1": ("341502", "none", None),
    }


def test_without_boundaries_there_is_nothing_to_look_at(bench: Bench) -> None:
    assert place_layers(bench.lake, bench.contracts, {}) is None
