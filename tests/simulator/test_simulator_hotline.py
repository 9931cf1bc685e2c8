"""The hotline and urban management: one truth, told page by page to whoever has the key."""

from __future__ import annotations

import json
from datetime import date

import httpx
import pytest

from simulator.hotline_registers import ORDERS
from simulator.portal import KEY_HEADER
from tests.simulator.towns import Town, people

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

CASES = "cg.T_AJ"


@pytest.fixture
def interface(town: Town) -> tuple[str, dict[str, str]]:
    secret = json.loads(town.city.connections()["hotline_api"])
    return f"{secret['url']}/{ORDERS.dataset}", {KEY_HEADER: secret["key"]}


def test_pages_together_are_the_orders_as_they_stand(town: Town, interface: tuple[str, dict[str, str]]) -> None:
    url, key = interface
    found, page = [], 1
    while True:
        told = httpx.get(url, params={"page": page, "size": 37}, headers=key).json()["data"]
        if not told["list"]:
            break
        found += told["list"]
        page += 1
    assert len(found) == told["total"]
    wrong = {item.rybh for item in town.planted if item.dataset == ORDERS.dataset}
    right = {row["orderNo"]: row for row in found if row["orderNo"] not in wrong}
    truth = {row["orderNo"]: row for row in town.city.records(ORDERS.dataset) if row["orderNo"] not in wrong}
    assert right == truth
    assert [row["updateTime"] for row in found] == sorted(row["updateTime"] for row in found)


def test_only_what_was_written_since_is_told(town: Town, interface: tuple[str, dict[str, str]]) -> None:
    url, key = interface
    since = f"{town.city.today} 00:00:00"
    told = httpx.get(url, params={"updatedAfter": since, "size": 1000}, headers=key).json()["data"]["list"]
    assert told and all(row["updateTime"] >= since for row in told)


def test_nobody_is_answered_without_the_key(interface: tuple[str, dict[str, str]]) -> None:
    url, key = interface
    assert httpx.get(url).status_code == httpx.get(url, headers={KEY_HEADER: "guessed"}).status_code == 401
    for path in ("/../hotline/orders", "x"):
        assert httpx.get(url + path, headers=key).status_code == 404


def test_callers_are_of_the_city_and_the_anonymous_tell_no_telephone(town: Town) -> None:
    living = {one["name"]: one for one in people(town.city).values()}
    assert living
    orders = town.city.records(ORDERS.dataset)
    assert any(row["anonymous"] == "1" for row in orders) and any(row["repeatOf"] for row in orders)
    known = {row["orderNo"] for row in orders}
    for row in orders:
        assert row["anonymous"] == "0" or row["caller"] is None
        assert row["repeatOf"] is None or row["repeatOf"] in known
        assert row["callTime"] <= row["dispatchTime"] <= (row["finishTime"] or "9")
        assert (
            max(value for name, value in row.items() if name.endswith("Time") and name != "dueTime" and value)
            <= (row["updateTime"])
        )
        assert date.fromisoformat(row["updateTime"][:10]) <= town.city.today


def test_what_the_hotline_hands_over_is_a_case_of_urban_management(town: Town) -> None:
    handed = {row["dispatchTime"] for row in town.city.records(ORDERS.dataset) if row["typeCode"].startswith("01")}
    cases = [row for row in town.city.records(CASES) if row["AJLY"] == "2"]
    assert cases and {row["SBSJ"] for row in cases} <= handed
    late = {moment for moment in handed if moment[:10] >= town.city.today.isoformat()}
    assert handed - {row["SBSJ"] for row in cases} <= late  # handed over near midnight: shown on the next day


def test_cases_follow_the_clock(town: Town) -> None:
    rows = town.city.records(CASES)
    assert any(row["JASJ"] for row in rows)
    for row in rows:
        assert row["SBSJ"] <= row["PQSJ"] <= (row["CZSJ"] or "9") <= (row["JASJ"] or "9")
        assert (row["BJBM"] is not None) == row["DLDM"].startswith("1")
        assert row["BJBM"] is None or row["BJBM"][:10] == row["WGBH"][:6] + row["DLDM"][1:] + row["XLDM"]
        assert row["GXSJ"][:10] <= town.city.today.isoformat()
