"""Care for the elderly and what departments have built: of places and subjects that the city has."""

from __future__ import annotations

import pytest

from simulator.care_registers import Pupils
from simulator.elderly_registers import Elderly, Institutions
from simulator.facility_registers import Farms, SmartSchools, Stations, Venues, VillageCredit
from simulator.organisation_codes import check_character, organisation_check
from simulator.places import names
from tests.simulator.towns import Town, people

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


def test_the_elderly_are_old_and_the_dead_are_struck_off(town: Town) -> None:
    known = people(town.city)
    rows = town.city.records(Elderly.place.dataset)
    assert len(rows) > 30
    for row in rows:
        one = known[row["GMSFHM"]]
        assert one["status"] != "dead" and int(row["BTQSRQ"][:4]) - one["birth"].year >= 65
    assert {row["DJBZ"] for row in rows} == {"0", "1"}


def test_institutions_have_codes_and_no_more_guests_than_beds(town: Town) -> None:
    rows = town.city.records(Institutions.place.dataset)
    codes = [row["统一社会信用代码"] for row in rows]
    assert len(codes) == len(set(codes)) >= 146
    for row, code in zip(rows, codes, strict=True):
        assert code[17] == check_character(code[:17]) and code[16] == organisation_check(code[8:16])
        assert int(row["护理型床位数"]) <= int(row["床位数"]) >= int(row["入住人数"])


def test_smart_schools_are_the_schools_that_have_pupils(town: Town) -> None:
    pupils = {row["学校标识码"] for row in town.city.records(Pupils.place.dataset)}
    schools = town.city.records(SmartSchools.place.dataset)
    assert {row["学校标识码"] for row in schools} == pupils
    assert {row["城乡类型"] for row in schools} == {"1", "2", "3"}
    assert all((row["建成日期"] is None) == (row["智慧学校等级"] == "0") for row in schools)


def test_facilities_lie_in_the_city(town: Town) -> None:
    for dataset, longitude, latitude, county in (
        (Institutions.place.dataset, "经度", "纬度", "县区代码"),
        (Stations.place.dataset, "经度", "纬度", "县区代码"),
        (Venues.place.dataset, "lon", "lat", "county"),
        (Farms.place.dataset, "lon", "lat", "county"),
    ):
        rows = town.city.records(dataset)
        assert rows
        for row in rows:
            assert 115.2 < float(row[longitude]) < 117.3 and 30.9 < float(row[latitude]) < 32.8
            assert row[county] in names()


def test_farms_are_of_cooperatives_and_villages_are_of_the_city(town: Town) -> None:
    cooperatives = {
        row["UNI_ SOCIAL_CRD_ CD"] for row in town.city.records("scjg.E_BASEINFO") if row["ENTTYPE"] == "9100"
    }
    assert {row["uscc"] for row in town.city.records(Farms.place.dataset)} <= cooperatives
    villages = town.city.records(VillageCredit.place.dataset)
    assert all(names()[row["区划代码"]] == row["村名"] for row in villages)
    assert all(int(row["授信户数"]) <= int(row["评级户数"]) for row in villages)


def test_there_are_as_many_stations_as_the_plan_asks_for(town: Town) -> None:
    stations = town.city.records(Stations.place.dataset)
    assert sum(row["状态"] == "1" for row in stations) > 10_000
    assert len({row["站址编码"] for row in stations}) == len(stations)
