"""A contract that shows more than its release was let out to show opens nothing; one that shows less acts at once."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product as pairs
from pathlib import Path
from typing import Any

import pytest

from catalog.delivery.marts import Marts
from catalog.listing import Offering, Snapshot
from catalog.policy.decision import MARTS, Allowed, Denied, Offer, Reason, decide
from pipelines.contracts.forms.products import Lookup
from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts, Product, ShownColumn
from pipelines.lake.zones import Lake
from pipelines.release.ledger import RELEASE, Recorded
from pipelines.release.shown import asking_columns, lookups_a_minute, released_columns, said_of
from pipelines.settings import REPOSITORY
from tests.catalog.test_decision import NOW, caller, grant

FIGURES, BOUND = "sharing/annual_report", "revenue"
Way = tuple[frozenset[str] | None, str | None]
WAYS: list[Way] = [
    (texts, mask)
    for texts in (frozenset("ab"), frozenset("a"), frozenset("bc"))
    for mask in (None, "pseudonym", "town")
] + [(None, None)]
"""For which texts a column is shown as it is (None: for all), and how for others."""


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load(REPOSITORY / "data_contracts")


def bound(product: Product, way: Way) -> Product:
    """A product whose one column is shown this way."""

    def made(column: ShownColumn) -> ShownColumn:
        if column.name != BOUND:
            return replace(column, purposes=(), covered=frozenset(), otherwise=None)
        texts, mask = way
        return replace(column, purposes=tuple(texts or ()), covered=texts or frozenset(), otherwise=mask)

    return replace(product, columns=tuple(made(column) for column in product.columns))


def offered(now: Product, body: dict[str, Any]) -> Offer:
    return Offering(now, Recorded(1, NOW, RELEASE, now.id, "e", 3, body, "")).offer


def seen(offer: Offer, text: str) -> str | None:
    """How a grant for a purpose is shown the column: `plain`, by a mask, or not at all (None)."""
    decision = decide(caller(grant(product=offer.product, purpose=text)), offer, NOW)
    assert isinstance(decision, Allowed)
    if BOUND not in decision.columns:
        return None
    return "pseudonym" if BOUND in decision.pseudonyms else dict(decision.masks).get(BOUND, "plain")


@pytest.mark.long
def test_no_purpose_sees_more_than_contract_and_release_both_show(contracts: Contracts) -> None:
    """All pairs of ways; the same way in both is shown as it is."""
    product = contracts.products[FIGURES]
    for then, now in pairs(WAYS, WAYS):
        offers = [
            offered(bound(product, one), said(bound(product, two)))
            for one, two in ((now, then), (now, now), (then, then))
        ]
        for text in "abcx":
            found, *alone = (seen(offer, text) for offer in offers)
            if found == "plain":
                assert alone == ["plain", "plain"], (then, now, text)
            elif found is not None:
                assert all(one in (found, "plain") for one in alone), (then, now, text)
            if then == now:
                assert found == alone[0]
            if alone[1] == "plain" and (then[0] is None or alone[0] == "plain"):
                assert found == alone[0], "a contract that shows less acts at once"


def test_a_release_of_before_shows_columns_for_purposes_to_nobody(contracts: Contracts) -> None:
    product = bound(contracts.products[FIGURES], WAYS[0])
    body = of_before(product)
    assert seen(offered(product, body), "a") is None and seen(offered(product, said(product)), "a") == "plain"
    assert seen(offered(bound(product, WAYS[-1]), body), "x") == "plain"


@pytest.mark.parametrize(
    ("product", "words"),
    [("sharing/licence_verify", "lookup: {"), ("sharing/credit_list", "shownUntil: "), (FIGURES, "# nothing\n")],
)
def test_a_release_of_before_is_closed_by_another_contract(tmp_path: Path, product: str, words: str) -> None:
    """What a file of contracts drops opens nothing, although the release does not say that it was there."""
    root = tmp_path / "data_contracts"
    shutil.copytree(REPOSITORY / "data_contracts", root)
    shutil.copytree(REPOSITORY / "dbt_project", tmp_path / "dbt_project")
    before = load(root).products[product]
    assert before.contract.hash != before.contract.meaning, "so that the next run releases it"
    file, lines = before.contract.path, before.contract.path.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.lstrip().startswith(words)]
    file.write_text("".join(kept), "utf-8")
    now = load(root).products[product]
    assert bool(released_columns(now, of_before(before))) == (kept == lines)
    assert released_columns(before, of_before(before)) and released_columns(now, said(before))


def said(product: Product) -> dict[str, Any]:
    return said_of(product, load(REPOSITORY / "data_contracts").city)


def of_before(product: Product) -> dict[str, Any]:
    """The body of a release that does not say what it shows, only by which contract it was made."""
    return {"columns": said(product)["columns"], "contract": product.contract.meaning}


def test_a_level_that_asks_for_nobody_any_more_waits_for_the_release(contracts: Contracts) -> None:
    product = contracts.products["sharing/person_of_division"]
    asking = {column.name for column in product.columns if contracts.city.levels[column.level].approval}
    levels = {level: form.model_copy(update={"approval": False}) for level, form in contracts.city.levels.items()}
    lax, strict = contracts.city.model_copy(update={"levels": levels}), contracts.city
    now = {
        (now, then): asking_columns(product, said_of(product, lax if then else strict), lax if now else strict)
        for now, then in pairs((False, True), (False, True))
    }
    assert asking and now == {pair: set() if all(pair) else asking for pair in pairs((False, True), (False, True))}


def test_nor_does_such_a_level_open_the_analysts_database(contracts: Contracts, tmp_path: Path) -> None:
    """It is given whole, so one column of one product in it that waits is enough."""
    products = [one for one in contracts.products.values() if one.channel == "analyst"]
    levels = {level: form.model_copy(update={"approval": False}) for level, form in contracts.city.levels.items()}
    lax = replace(contracts, city=contracts.city.model_copy(update={"levels": levels}))
    link, alone = tmp_path / "marts.duckdb", caller(grant(product=MARTS, given_by="a"))
    link.touch()
    for then, opens in ((contracts.city, False), (lax.city, True)):
        shown = {one.id: Recorded(1, NOW, RELEASE, one.id, "e", 3, said_of(one, then), "") for one in products}
        offer = Marts(link, Lake(tmp_path)).offer(Snapshot(lax, shown, None))
        decision = decide(alone, offer, NOW)
        assert isinstance(decision, Allowed) if opens else decision == Denied(Reason.COLUMNS_PENDING)


Changed = Callable[[Product], Product]


def of_contract(**changes: Any) -> Changed:
    def changed(product: Product) -> Product:
        form = product.contract.form.model_copy(update=changes)
        return replace(product, contract=replace(product.contract, form=form))

    return changed


def test_other_terms_are_the_stricter_of_contract_and_release(contracts: Contracts) -> None:
    product = contracts.products[FIGURES]
    form = product.contract.form
    free = of_contract(share=form.share.model_copy(update={"type": "无条件共享"}))(product)
    assert offered(free, said(product)).share_type == offered(product, said(free)).share_type == "有条件共享"
    assert offered(free, said(free)).share_type == "无条件共享"
    few, many = (
        replace(product, form=product.form.model_copy(update={"lookup": Lookup(key="a", perMinute=most)}))
        for most in (5, 60)
    )
    both = list(pairs((few, many, product), (few, many)))
    assert [lookups_a_minute(now, said(then)) for now, then in both] == [5, 5, 5, 60, 5, 60]
    assert all(offered(now, said(then)).lookup for now, then in both)
    assert lookups_a_minute(few, said(product)) == 5 and offered(few, said(product)).lookup
    assert lookups_a_minute(product, said(product)) is None and not offered(product, said(product)).lookup
    first, second, *_ = (column.name for column in product.columns)
    until = of_contract(shownUntil=first)(product)
    kept = offered(product, said(until))
    assert kept.shown_until is not None and kept.shown_until.column == first, "a limit that was dropped stays"
    other = of_contract(shownUntil=second)(product)
    assert second not in released_columns(other, said(until))
    moved = decide(caller(grant(product=FIGURES)), offered(other, said(until)), NOW)
    assert moved == Denied(Reason.RELEASE_PENDING), "which rows both show was not asked"
    rows = replace(product, form=product.form.model_copy(update={"rows": second}))
    before = replace(product, form=product.form.model_copy(update={"rows": first}))
    assert offered(rows, said(before)).rows is None, "a grant's divisions were meant for another column"
    assert offered(rows, said(rows)).rows == second
