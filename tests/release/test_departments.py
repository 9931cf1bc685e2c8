"""What the departments' tables become, counted by hand from the simulator's truth of a published town."""

from collections.abc import Iterator

import pytest

from tests.city import Town, published_town

pytestmark = pytest.mark.server

TAG, PERSON = "lib_population__person_tag", "lib_population__person"
TAGS = {
    "medical_insured": ("yb.PSN_INSU_D", "PSN_NO", "CERTNO", lambda row: row["PSN_INSU_STAS"] in ("1", "2")),
}
"""By tag: the register that says so, its key, whom a row is about, and which rows count."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def right(town: Town, dataset: str, key: str) -> list[dict[str, str | None]]:
    """The true rows of a register, without those that were delivered so wrongly that they must be refused."""
    planted = [item for item in town.city.planted() if item.dataset == dataset and item.ended is None]
    refused = {item.rybh for item in planted if item.refusable and item.kind != "duplicate"}
    return [row for row in town.city.records(dataset) if row[key] not in refused]


@pytest.mark.parametrize("tag", TAGS)
def test_tags_are_those_of_the_truth(town: Town, tag: str) -> None:
    dataset, key, identity, counts = TAGS[tag]
    number = dict(town.rows(PERSON, "person_id, id_number"))
    found = [number[person] for (person,) in town.rows(TAG, "person_id", f"person_tag = '{tag}'")]
    expected = {row[identity] for row in right(town, dataset, key) if counts(row)} & set(number.values())
    assert sorted(found) == sorted(expected)
    assert found
