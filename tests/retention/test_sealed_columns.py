"""What goes from a model by order or by age goes from products that show it sealed, too; never under another key."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.contracts.load import Contracts
from pipelines.contracts.resolved import Product, ShownColumn
from pipelines.erasure.order import JOURNAL, Erasure, Order
from pipelines.lake.errors import LostKey
from pipelines.linkage import tables
from pipelines.privacy import channel_keys
from pipelines.release.products import product_query
from pipelines.retention.apply import unfound
from tests.retention.homes import Home, only, values

TODAY = date(2026, 11, 26)
PERSON, HISTORY = "lib_population__person", "lib_population__person_history"
PRODUCT = "sharing/person_of_division"
ORDER = Order("20261126-1", "专员", "本人申请删除")


def sealing(contracts: Contracts, model: str, product: Product, names: dict[str, str | None]) -> Contracts:
    """Contracts in which a product shows just these columns of a model, each through its mask."""
    contract = contracts.models[model]
    given = {column.name: column for column in contract.columns}
    columns = tuple(ShownColumn(name, name, mask, 3, given[name]) for name, mask in names.items())
    shown = replace(product, columns=columns, contract=contract)
    object.__setattr__(shown, "contract", replace(contract, products=(shown,)))
    return replace(contracts, models={**contracts.models, model: shown.contract})


def cut(home: Home, product: Product, rows: str) -> str:
    """A query of what a product shows of rows, sealed and keyed as a release does it."""
    file = home.settings.home / "cut.parquet"
    with duckdb.connect() as con:
        channel_keys.register(con, home.settings.key, product.channel, (one.mask for one in product.columns))
        con.execute(f"COPY ({product_query(product, f'({rows})')}) TO '{file}' (FORMAT parquet)")
    return f"SELECT * FROM '{file}'"


def opened(home: Home, product: Product, column: str) -> list[str]:
    sealer = channel_keys.sealer_of(home.settings.key, product.channel)
    shown = home.rows(home.lake.product(product.channel, product.name), column)
    return sorted(sealer.open(text) for (text,) in shown)


@pytest.fixture
def persons(contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Three persons, whose product shows pseudonyms and sealed numbers."""
    product = contracts.products[PRODUCT]
    masks: dict[str, str | None] = {"person_id": "pseudonym", "id_number": "sealed", "sex": None}
    home = Home(tmp_path, sealing(only(contracts, models=[PERSON]), PERSON, product, masks))
    tables.ensure(home.lake)
    said = values([(f"p{n}", f"34150219800101000{n}", "1") for n in (1, 2, 3)], *masks)
    others = (column.name for column in home.contracts.models[PERSON].columns if column.name not in masks)
    rows = f"SELECT *, {', '.join(f'NULL::VARCHAR AS {name}' for name in others)} FROM ({said})"
    model = home.release(PERSON, TODAY, rows, monkeypatch)
    about = {"model": PERSON, "model_version": model}
    home.release(PRODUCT, TODAY, cut(home, home.contracts.products[PRODUCT], rows), monkeypatch, **about)
    return home


def test_an_erased_person_is_gone_from_a_product_that_shows_numbers_sealed(persons: Home) -> None:
    product = persons.contracts.products[PRODUCT]
    body = Erasure(persons.settings, persons.contracts, persons.register).carry_out("p2", ORDER)
    assert {place: counts["rows"] for place, counts in body["places"].items()} == {PERSON: 1, PRODUCT: 1}
    assert opened(persons, product, "id_number") == ["341502198001010001", "341502198001010003"]


@pytest.mark.parametrize("name", ["sealed_sharing", "pseudonym_sharing"])
def test_under_a_lost_key_nobody_is_told_to_be_erased(persons: Home, name: str) -> None:
    file = persons.settings.key_file(name)
    kept = file.read_bytes()
    file.unlink()
    erasure = Erasure(persons.settings, persons.contracts, persons.register)
    with pytest.raises(LostKey, match=file.name):
        erasure.carry_out("p2", ORDER)
    assert not file.exists() and not (persons.settings.home / JOURNAL).exists() and not persons.ledger.erasures()
    file.write_bytes(kept)
    assert erasure.carry_out("p2", ORDER)["places"][PRODUCT]["rows"] == 1


def test_changes_of_a_history_end_in_a_product_that_shows_them_sealed(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, str | None] = {"history_field": None, "history_before": "sealed"}
    few = only(contracts, models=[PERSON, HISTORY], person_history="30d")
    home = Home(tmp_path, sealing(few, HISTORY, contracts.products[PRODUCT], shown))
    names = ("person_id", "history_field", "known_in", "known_on", "holds_from", "history_before")
    days = {"gone": TODAY - timedelta(60), "stays": TODAY - timedelta(10)}
    rows = values([("p1", said, "e1", day, day, said) for said, day in days.items()], *names)
    model = home.release(HISTORY, TODAY, rows, monkeypatch)
    product = home.contracts.models[HISTORY].products[0]
    about = {"model": HISTORY, "model_version": model}
    home.release(product.id, TODAY, cut(home, product, rows), monkeypatch, **about)
    body = home.retention.apply(TODAY, "甲", "期满")
    assert body is not None and body["rows"] == 1
    assert opened(home, product, "history_before") == ["stays"]


def test_a_row_that_is_not_found_stops_its_history_and_nothing_else(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "lib_population__registered"
    few = only(contracts, models=[PERSON, HISTORY, other], person_history="30d", registered="30d")
    home = Home(tmp_path, sealing(few, HISTORY, contracts.products[PRODUCT], {"history_field": None}))
    names = ("person_id", "history_field", "known_in", "known_on", "holds_from", "history_before")
    long_ago = TODAY - timedelta(60)
    rows = values([("p1", "due", "e1", long_ago, long_ago, "due")], *names)
    model = home.release(HISTORY, TODAY, rows, monkeypatch)
    (product,) = home.contracts.models[HISTORY].products
    about = {"model": HISTORY, "model_version": model}
    home.release(product.id, TODAY, "SELECT 'another' AS history_field", monkeypatch, **about)
    for day in (long_ago, TODAY - timedelta(40), TODAY):
        home.release(other, day, "SELECT 1 AS said", monkeypatch)
    found = home.search.due(TODAY)
    assert [one.dataset for one in found.due] == [other] and found.unfound[HISTORY].code == "erase.unfound"
    retention = home.retention
    body = retention.apply(TODAY, "甲", "期满")
    assert body is not None and {one["dataset"] for one in body["due"]} == {other}
    assert HISTORY not in body["horizons"] and home.rows(home.lake.subject(HISTORY), "history_before") == [("due",)]
    (finding,) = unfound(HISTORY, retention.unfound)
    assert product.id in finding.arguments["reason_zh"] and unfound(other, retention.unfound) == []
