"""Addresses of a published town: rightly matched or not at all, matched again only when something changed, and a
matcher that fails stops nothing but its own model."""

from collections.abc import Iterator

import pytest

from pipelines import preparation
from pipelines.geo.addresses import Status
from pipelines.issues import Issues
from pipelines.lake import delta
from simulator.addresses import lodging
from tests.city import Town, published_town

pytestmark = [pytest.mark.server, pytest.mark.long]

MODEL = "lib_geography__address_match"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def test_lodgings_are_matched_to_where_they_are_and_never_elsewhere(town: Town) -> None:
    texts = dict(town.rows("lib_geography__address", "address_id, full_address", "address_status = '1'"))
    registered = set(texts.values())
    rows = town.rows(MODEL, "source_key, address_match_status, address_id", "source_dataset = 'psb/floating_person'")
    true = {key: lodging(int(key[2:])).text for key, _, _ in rows}
    assert [key for key, _, found in rows if found is not None and texts[found] != true[key]] == []
    known = [row for row in rows if true[row[0]] in registered]
    assert sum(found is not None for _, _, found in known) > 0.8 * len(known) > 20
    assert {status for _, status, _ in rows} <= {status.value for status in Status}
    assert len({status for _, status, _ in rows}) > 2


def test_addresses_of_households_and_firms_are_found(town: Town) -> None:
    for dataset in ("psb/household_person", "hc/health_record", "amr/enterprise"):
        rows = town.rows(MODEL, "address_match_status, count(*)", f"source_dataset = '{dataset}' group by 1")
        assert dict(rows)["matched"] > 0.85 * sum(count for _, count in rows), (dataset, rows)


def test_no_text_of_an_address_is_kept(town: Town) -> None:
    location = town.settings.lake.matched("address")
    columns = delta.column_types(delta.open_table(location).schema())
    assert set(columns) == {
        "source_dataset", "source_key", "address_field", "address_match_status", "address_match_basis", "address_id",
        "matched_division", "_batch", "_row",
    }  # fmt: skip


def test_it_is_made_again_only_when_something_changed(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    location = town.settings.lake.matched("address")
    before, published = delta.latest(location), town.published()[MODEL].version
    town.run("same", sources=["psb/floating_person", "psb/standard_address"])
    assert (delta.latest(location), town.published()[MODEL].version) == (before, published)
    town.city.tick()

    def fails(*_: object) -> None:
        raise ValueError("安徽省六安市")

    with monkeypatch.context() as broken:
        broken.setitem(preparation.MATCHED, "address", fails)
        outcomes = town.run("broken", sources=["psb/floating_person", "psb/standard_address"])
    assert "lib_geography__address" in outcomes and MODEL not in outcomes
    assert town.published()[MODEL].version == published
    with town.register() as register:
        open_issues = [issue for issue in Issues(register).open() if issue["subject"] == preparation.ADDRESSES]
    assert len(open_issues) == 1 and "六安" not in str(open_issues)
    outcomes = town.run("mended", sources=["psb/floating_person"])
    assert MODEL in outcomes and delta.latest(location) == (before or 0) + 1
    with town.register() as register:
        assert preparation.ADDRESSES not in {issue["subject"] for issue in Issues(register).open()}
