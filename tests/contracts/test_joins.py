"""Two channels never show the same unique key as it is when one of them carries pseudonyms."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts, Product
from pipelines.messages import CitylakeError

Edit = Callable[[str, str, str], None]
PERSON = "products/population/person.yaml"
ANALYST = """      - division_code
  analyst:
    product: person
    name: 人口（分析）
    nameEn: persons (analysts)
    properties:
      - sex
      - {name: division_code%s}
"""


@pytest.fixture
def two_channels(edit: Edit) -> Callable[[str, str], None]:
    """Sharing shows a pseudonym and `division_code`; so do analysts, masked or not. `rule` is one of the model."""

    def change(rule: str, mask: str) -> None:
        edit(PERSON, "      - division_code\n", ANALYST % mask)
        edit(PERSON, "  - row_count: {minimum: 1}\n", f"  - row_count: {{minimum: 1}}\n{rule}")

    return change


@pytest.mark.parametrize("columns", ["[division_code]", "[division_code, sex]"])
def test_a_key_that_both_channels_show_is_a_mistake(
    city: Path, two_channels: Callable[[str, str], None], columns: str
) -> None:
    two_channels(f"  - unique: {{columns: {columns}}}\n", "")
    with pytest.raises(CitylakeError) as caught:
        load(city)
    lines = (city / PERSON).read_text("utf-8").split("\n")
    assert caught.value.code == "contract.channels_join"
    assert lines[int(str(caught.value.arguments["line"])) - 1].strip() == "- {name: division_code}"
    assert "唯一键 division_code" in caught.value.text("zh") and "sharing and analyst" in caught.value.text("en")


@pytest.mark.parametrize(
    ("rule", "mask"),
    [
        ("", ""),  # no key: many persons of a division
        ("  - unique: {columns: [division_code, birth_date]}\n", ""),  # only part of the key is shown
        ("  - unique: {columns: [division_code]}\n", ", mask: town"),
    ],
)
def test_what_is_no_key_or_masked_may_be_shown_twice(
    city: Path, two_channels: Callable[[str, str], None], rule: str, mask: str
) -> None:
    two_channels(rule, mask)
    assert {product.channel for product in load(city).models["lib_population__person"].products} == {
        "sharing",
        "analyst",
    }


def test_without_a_pseudonym_a_key_may_be_shown_twice(
    city: Path, edit: Edit, two_channels: Callable[[str, str], None]
) -> None:
    two_channels("  - unique: {columns: [division_code]}\n", "")
    edit(PERSON, "      - {name: person_ref, from: person_id, mask: pseudonym}\n", "")
    assert len(load(city).models["lib_population__person"].products) == 2


def test_no_contract_of_the_city_shows_a_key_beside_pseudonyms(contracts: Contracts) -> None:
    """Read from the loaded contracts, apart from the check: which rows of two channels could be matched."""
    pairs = [pair for model in contracts.models.values() for pair in combinations(model.products, 2)]
    matched = [(one.id, other.id) for one, other in pairs if _keyed(one, other) and _pseudonyms(one, other)]
    assert matched == []
    assert [pair for pair in pairs if _keyed(*pair)], "some products without pseudonyms do share a key"
    assert [pair for pair in pairs if _pseudonyms(*pair)]


def _keyed(one: Product, other: Product) -> bool:
    shown = [{column.source for column in product.columns if column.mask is None} for product in (one, other)]
    keys = [set(one.contract.form.key), *({column.name} for column in one.contract.columns if column.unique)]
    return any(key <= shown[0] and key <= shown[1] for key in keys)


def _pseudonyms(one: Product, other: Product) -> bool:
    return any(column.mask == "pseudonym" for product in (one, other) for column in product.columns)
