"""Layers of a published town: every planted mistake is refused and nothing else, and what stands where is the truth."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pyogrio.raw
import pytest
from typer.testing import CliRunner

from catalog.policy import audit
from citylake.compared import rows
from citylake.main import app
from pipelines.contracts.load import load
from pipelines.geo import shapes, wkt
from simulator import Planted
from tests.catalog.small_city import STEWARD
from tests.city import Town, published_town

pytestmark = pytest.mark.server

SOURCES = ("nrpb/parcel", "nrpb/building", "nrpb/road", "umb/component")
PARCELS, BUILDINGS = "dj.T_ZD", "dj.T_ZRZ"
TOLD_WRONG = "datum_told_wrong"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


@pytest.fixture(scope="module")
def planted(town: Town) -> list[Planted]:
    return town.city.planted()


@pytest.mark.parametrize("source", SOURCES)
def test_what_was_planted_is_refused_and_nothing_else(town: Town, planted: list[Planted], source: str) -> None:
    contracts = load(town.settings.contracts)
    found = rows.compare(contracts.sources[source], contracts, town.settings.lake, planted, town.city.today)
    assert not found.strangers and not found.unmended
    assert {"completeness", "format", "code", "range", "consistency", "cleanable"} <= {one.kind for one in found.scores}
    assert all(score.recall == score.precision == 1 for score in found.scores), found.scores


def test_buildings_stand_on_their_parcels_or_it_is_told(town: Town, planted: list[Planted]) -> None:
    """But for parcels that nobody has, and for parcels or buildings that are drawn in another datum than they say."""
    wrong = {name: {item.rybh for item in planted if (item.dataset, item.defect) == (name, TOLD_WRONG)}
             for name in (PARCELS, BUILDINGS)}  # fmt: skip
    parcels = {number for (number,) in town.rows("lib_geography__parcel", "parcel_no")}
    found = town.rows("lib_geography__building", "building_code, parcel_no, parcel_link, position_doubt")
    assert len(found) > 200
    for code, parcel, link, doubt in found:
        shifted = (parcel in wrong[PARCELS], code in wrong[BUILDINGS])
        assert link == ("unknown" if parcel not in parcels else "beside" if any(shifted) else "on"), code
        assert doubt == ("gcj02" if link == "beside" and shifted == (False, True) else "none"), code
    links = {link for _, _, link, _ in found}
    assert links == {"on", "beside", "unknown"}


def test_an_address_is_of_the_building_at_its_gate(town: Town) -> None:
    gate = "division_code, street, gate_no, building_no"
    buildings = {row[0]: row[1:] for row in town.rows("lib_geography__building", f"building_code, {gate}")}
    addresses = town.rows("lib_geography__address", f"building_code, {gate}")
    linked = [row for row in addresses if row[0] is not None]
    assert len(linked) > 100
    assert all(buildings[code] == tuple(rest) for code, *rest in linked)
    once = {gates for gates in buildings.values() if list(buildings.values()).count(gates) == 1}
    assert all(tuple(rest) not in once for code, *rest in addresses if code is None)


def test_counts_are_those_of_the_registers(town: Town) -> None:
    assert {level for (level,) in town.rows("lib_geography__address", "distinct address_level")} == {"gate", "room"}
    addresses = town.rows("lib_geography__address", "division_code, street, gate_no, building_no")
    for *gate, count in town.rows(
        "lib_geography__building", "division_code, street, gate_no, building_no, address_count"
    ):
        assert addresses.count(tuple(gate)) == count
    streets = [row[:2] for row in addresses]
    for division, name, count in town.rows("lib_geography__road", "division_code, road_name, address_count"):
        assert streets.count((division, name)) == count
    assert any(count for (count,) in town.rows("lib_geography__parcel", "unit_count"))


def test_where_a_component_lies_says_its_county(town: Town) -> None:
    found = town.rows("lib_geography__component", "component_no, county_code, position_doubt, longitude, latitude")
    assert len(found) > 500
    doubted = [row for row in found if row[2] != "none"]
    assert len(doubted) < len(found) / 50
    assert all((number[:6] == county) == (doubt == "none") for number, county, doubt, *_ in found)


def test_the_inner_point_of_every_shape_lies_in_it(town: Town) -> None:
    for model, shape in (("parcel", "parcel_boundary"), ("building", "building_outline")):
        for text, x, y in town.rows(f"lib_geography__{model}", f"{shape}, longitude, latitude"):
            assert shapes.covers(shapes.read(text), x, y)
    for text, x, y in town.rows("lib_geography__road", "road_line, longitude, latitude"):
        assert shapes.kilometres_from(shapes.read(text), x, y) < 0.001


def test_no_geometry_leaves_by_the_open_channel(town: Town) -> None:
    for product in load(town.settings.contracts).products.values():
        shown = [column.name for column in product.columns if column.column.definition.geometry]
        assert not shown or product.channel == "sharing", product.id


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_the_steward_writes_a_layer_that_gdal_opens(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    file = tmp_path / f"parcels{suffix}"
    asked = ["layer", "sharing/parcel", str(file), "--who", STEWARD, "--why", "规划"]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = town.rows("sharing/parcel", "parcel_no, parcel_boundary")
    _, _, geometries, fields = pyogrio.raw.read(file, columns=["parcel_no"])
    found = {number: shapes.wound(shapes.read(wkt.of_wkb(blob))) for number, blob in zip(
        fields[0], geometries, strict=True)}  # fmt: skip
    assert found == {number: shapes.wound(shapes.read(text)) for number, text in rows}
    with town.register() as register:
        last = audit.recent(register, 1)[0]
    assert (last["action"], last["outcome"], last["product"]) == ("download", "allowed", "sharing/parcel")
    assert (last["body"]["who"], last["body"]["rows"]) == (STEWARD, len(rows))
    again = CliRunner().invoke(app, asked)
    assert again.exit_code == 1 and "已存在" in again.output  # nothing that is there is replaced


@pytest.mark.parametrize(
    ("product", "name", "message"),
    [
        ("sharing/parcel", "parcels.shp", ".geojson"),
        ("sharing/division", "x.gpkg", "sharing/parcel"),
        ("sharing/standard_address", "x.gpkg", "sharing/road"),
    ],
)
def test_what_cannot_be_written_is_told(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, product: str, name: str, message: str
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    told = CliRunner().invoke(app, ["layer", product, str(tmp_path / name), "--who", STEWARD, "--why", "b"])
    assert told.exit_code == 1 and message in told.output
    assert not (tmp_path / name).exists()
