"""Applications, roads of grants, levels in the audit, and services counted from it."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from catalog.policy import administration, audit
from catalog.policy.decision import MARTS, ROADS
from catalog.policy.services import LIVE_DAYS, services
from citylake.main import app as commands
from pipelines.messages import CitylakeError
from pipelines.register.store import now
from pipelines.register.tables import audit as table
from tests.catalog.small_city import ADMINISTRATOR, AGES, DIVISIONS, PERSONS, STEWARD, City, bearer

SHARED = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
BY_ROAD = {
    "web": f"/datasets/{PERSONS}/download/csv",
    "delta_sharing": f"{SHARED}/metadata",
    "rows": f"/api/v1/products/{PERSONS}/rows",
}


def token_of(city: City, name: str, system: str) -> str:
    """A token of a new recipient for an application of its organisation."""
    administration.create_application(city.register, city.contracts, system, "psb", actor=ADMINISTRATOR)
    city.recipient(name)
    return administration.issue_token(city.register, name, application_name=system, actor=ADMINISTRATOR).token


def test_every_row_of_the_audit_names_the_application(own_city: City) -> None:
    client, token = own_city.client(), token_of(own_city, "甲", "户籍系统")
    own_city.grant("甲", columns=["division_code", "county_name"])
    before = audit.recent(own_city.register, 1)[0]["sequence"]
    for road in (*BY_ROAD.values(), "/delta-sharing/shares", "/api/v1/products", f"/datasets/{DIVISIONS}/preview"):
        client.get(road, headers=bearer(token))
    client.post("/login", data={"token": token})
    rows = [row for row in audit.recent(own_city.register) if row["sequence"] > before]
    assert len(rows) == 7 and {row["application"] for row in rows} == {"户籍系统"}
    assert audit.first_break(own_city.register) is None


def test_the_level_is_the_highest_of_what_was_read(own_city: City) -> None:
    own_city.refresh_marts()
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲"), own_city.grant("甲", MARTS)
    levels = {column.name: column.level for column in own_city.contracts.products[PERSONS].columns}

    def read(road: str) -> int | None:
        assert client.get(road, headers=bearer(token)).status_code == 200
        level: int | None = audit.recent(own_city.register, 1)[0]["level"]
        return level

    assert read(BY_ROAD["web"]) == max(levels.values()) == 3
    assert read(f"{BY_ROAD['rows']}?fields=division_code") == levels["division_code"] < 3
    assert read(f"/datasets/{AGES}/preview") == 1
    assert read("/marts/marts.duckdb") == 3
    client.get(BY_ROAD["web"])
    assert audit.recent(own_city.register, 1)[0]["level"] is None, "nothing was read"


@pytest.mark.parametrize("road", BY_ROAD)
def test_a_grant_for_one_road_opens_no_other(own_city: City, road: str) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", roads=[road])
    for other, place in BY_ROAD.items():
        answer = client.get(place, headers=bearer(token))
        assert answer.status_code == (200 if other == road else 403), (road, other)
        if other != road:
            assert "读取方式" in answer.text
    shares = client.get("/delta-sharing/shares", headers=bearer(token)).json()["items"]
    assert ("sharing" in [item["name"] for item in shares]) is (road == "delta_sharing")
    listed = client.get("/api/v1/products", headers=bearer(token)).json()["products"]
    assert (PERSONS in str(listed)) is (road == "rows")


def test_names_are_checked(own_city: City) -> None:
    own_city.recipient("甲", "psb"), own_city.recipient("乙", "cab")
    register, contracts = own_city.register, own_city.contracts
    administration.create_application(register, contracts, "系统", "psb", actor=ADMINISTRATOR)
    cases: dict[str, Callable[[], object]] = {
        "application.exists": lambda: administration.create_application(
            register, contracts, "系统", "cab", actor=ADMINISTRATOR
        ),
        "web.policy.bad_name": lambda: administration.create_application(
            register, contracts, " ", "cab", actor=ADMINISTRATOR
        ),
        "application.unknown": lambda: administration.issue_token(
            register, "乙", application_name="系统", actor=ADMINISTRATOR
        ),
        "application.no_road": lambda: administration.grant(
            register, contracts, "甲", PERSONS, purpose="p", roads=["fax"], actor=STEWARD
        ),
    }
    for code, act in cases.items():
        with pytest.raises(CitylakeError) as error:
            act()
        assert error.value.code == code
    with pytest.raises(CitylakeError):
        own_city.grant("甲", roads=[])
    assert own_city.grant("甲", roads=["web", "rows", "web"]).roads == ("web", "rows") and "rows" in ROADS


def test_services_are_live_by_what_was_answered(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    client = own_city.client()
    one, two = token_of(own_city, "甲", "系统一"), own_city.recipient("乙")
    own_city.grant("甲")

    def found() -> dict[str, tuple[bool, int, int, int]]:
        made = services(own_city.register, own_city.contracts, own_city.ledger.published(), now())
        assert [item.product for item in made] == [*sorted(own_city.contracts.products), MARTS]
        return {item.product: (item.live, item.calls, item.recipients, item.applications) for item in made}

    assert not any(live for live, *_ in found().values())
    client.get(BY_ROAD["web"], headers=bearer(two))  # denied
    client.get(f"{SHARED}/metadata", headers=bearer(one))  # shows no row
    assert found()[PERSONS] == (False, 0, 0, 0)
    for _ in range(2):
        client.get(BY_ROAD["web"], headers=bearer(one))
    client.get(f"/datasets/{AGES}/preview")
    assert (found()[PERSONS], found()[AGES]) == ((True, 2, 1, 1), (True, 1, 0, 0))
    with own_city.register.begin() as connection:
        old = now() - timedelta(days=LIVE_DAYS, minutes=1)
        connection.execute(sa.update(table).where(table.c.product == PERSONS).values(at=old))
    assert found()[PERSONS] == (False, 0, 0, 0), "ninety days are over"
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(own_city.settings.project))
    *lines, _, _ = CliRunner().invoke(commands, ["access", "services"]).output.splitlines()
    told = {item["product"]: item for item in map(json.loads, lines)}
    assert told[AGES]["live"] and told[AGES]["published"] and not told[PERSONS]["live"]
    assert isinstance(client, TestClient)
