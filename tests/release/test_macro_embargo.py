"""A figure that is delivered ahead of its publication stands in no output before its time; wrong growth is told."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from fastapi.testclient import TestClient

from catalog.app import create_app
from catalog.policy import administration
from pipelines.contracts.load import Contracts
from pipelines.issues import Issues
from pipelines.run import Run
from tests.catalog.small_city import ADMINISTRATOR, appoint
from tests.city import Town, published_town
from tests.release.personal import decoded

pytestmark = [pytest.mark.server, pytest.mark.slow]

SOURCE, VALUE, REVISED = "sb/macro_observation", "7654.3219", "8765.4321"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def shown(town: Town, contracts: Contracts, token: str) -> str:
    """Everything that is given out or lies in a released table, file or database of the libraries with such figures."""
    texts = [decoded(town.settings.marts.resolve())]
    published = town.published()
    for name in published:
        if name.startswith(("lib_macro", "mart_macro", "mart_smart_city")):
            texts.append(str(town.rows(name)))
    with TestClient(create_app(town.settings)) as client:
        for product in contracts.products.values():
            if product.contract.library == "macro" and product.channel != "analyst":
                for road in ("download/csv", "download/json", "preview"):
                    answer = client.get(f"/datasets/{product.id}/{road}", headers={"Authorization": f"Bearer {token}"})
                    assert answer.status_code == 200, product.id
                    texts.append(answer.text)
    return "\n".join(texts)


def test_nothing_embargoed_is_in_any_output_before_its_time(town: Town, contracts: Contracts) -> None:
    start = date.fromisoformat(town.published()["lib_macro__observation"].body["as_of"])
    release = start + timedelta(days=1)
    sheet = town.city.home / "portal" / "dataset/macro/observations.csv"
    with sheet.open("a", encoding="utf-8") as file:
        file.write(f"cpi,341500,2026-10,{VALUE},0,{start - timedelta(days=9)}T09:30:00+08:00,月度,,\n")
        file.write(f"cpi,341500,2026-10,{REVISED},1,{release}T09:30:00+08:00,修订,,\n")
    with town.register() as register:
        appoint(register, contracts)
        administration.create_recipient(register, contracts, "统计查询", "sb", actor=ADMINISTRATOR)
        token = administration.issue_token(register, "统计查询", actor=ADMINISTRATOR).token
    replaced = []
    for days in range(3):

        def later(run: Run, days: int = days) -> None:
            run.started += timedelta(days=days)

        town.run(f"day {days}", before=later, sources=[SOURCE])
        text = shown(town, contracts, token)
        assert VALUE in text
        # on the day itself the nightly run comes before half past nine
        assert (REVISED in text) == (days == 2), days
        replaced += town.rows("lib_macro__observation", "replaced_at", f"series_value = {VALUE}")
    assert [row[0] is None for row in replaced] == [True, True, False]  # nor that it will be replaced
    assert town.rows("lib_macro__observation", "revision_no", f"series_value = {REVISED}") == [(1,)]


def test_growth_that_was_told_wrongly_is_an_issue_of_the_bureau(town: Town) -> None:
    told = town.rows("lib_macro__growth", "series_code, area_code, period, revision_no", "not yoy_agrees")
    planted = [item for item in town.city.planted() if item.dataset == "dataset/macro/observations.csv"]
    misprinted = {item.rybh for item in planted if item.defect == "growth_misprinted"}
    slipped = {item.rybh for item in planted if item.defect == "decimal_slipped"}
    found = {" ".join(map(str, row)) for row in told}
    checked = town.rows("lib_macro__growth", "series_code, area_code, period, revision_no")
    assert misprinted & {" ".join(map(str, row)) for row in checked} <= found

    def year_before(key: str) -> set[str]:
        series, area, period, _ = key.split()
        return {f"{series} {area} {int(period[:4]) - 1}{period[4:]} {revision}" for revision in range(3)}

    assert all(key in misprinted | slipped or year_before(key) & slipped for key in found)
    with town.register() as register:
        issues = [one for one in Issues(register).open("lib_macro__growth") if one["code"].startswith("advice.")]
    assert [one["owner"] for one in issues] == (["sb"] if found else [])
