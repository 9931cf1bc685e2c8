"""Telling goes on where something cannot be read, tells nobody twice, and says to the operator what it could not do."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from deltalake import DeltaTable

from catalog import corrected
from catalog.corrected import Told, tell
from catalog.forward import forward
from catalog.policy.receivers import Sure
from pipelines import engine
from pipelines.issues import Issues
from pipelines.issues.corrections import Correction, notices
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.parquet import copy_rows
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.store import now
from pipelines.release.corrected import named
from pipelines.release.forward import Standing, standings, visible
from pipelines.release.ledger import Ledger, Recorded
from pipelines.release.rows import ReleasedRows
from tests.catalog.small_city import MODEL, PERSONS, REGISTER, City, bearer

WRONG, OTHER = (Correction(number, REGISTER, "5:12", "name", 6, now()) for number in (7, 8))


def told(city: City, correction: Correction) -> list[Told]:
    return [Told(correction, city.contracts.products[PERSONS], "甲", "psb", versions={0}, columns={"name"}, rows={()})]


def test_versions_without_the_key_of_today_count_as_not_kept(own_city: City) -> None:
    contract, query = own_city.contracts.models[MODEL], "SELECT 'p1' AS number, '张三' AS name, '{}' AS source_rows"
    location = own_city.settings.lake.released(contract.library, contract.form.model)
    with engine.connect(own_city.settings.lake.scratch()) as con:
        delta.commit(location, query_schema(con, query, MODEL), "table", None, copy_rows(con, query, location))
    Receipts(own_city.register, "test").add(Stage.PULL, REGISTER, {"rows": 40}, 5)
    own_city.release_model(MODEL, 1, 0)
    with closing((released := ReleasedRows(own_city.contracts, own_city.settings.lake, own_city.register)).con):
        assert list(named(released, Receipts(own_city.register, "test"), WRONG)) == []
        found = forward(own_city.settings, own_city.register, released, contract, {"person_id": "p1"}, "name")
    assert [(one.standing.version, one.standing.known) for one in found if one.standing.product.id == PERSONS] == [
        (0, False)
    ]


def test_what_cannot_be_counted_any_more_is_received_in_part(own_city: City) -> None:
    contract, token = own_city.contracts.models[MODEL], own_city.recipient("甲")
    query = "SELECT 'p1' AS person_id, '341502001001' AS division_code"
    location = own_city.settings.lake.released(contract.library, contract.form.model)
    with engine.connect(own_city.settings.lake.scratch()) as con:
        delta.commit(location, query_schema(con, query, MODEL), "table", None, copy_rows(con, query, location))
    version = own_city.release(PERSONS, columns={"division_code": ["division_code", None]})
    own_city.grant("甲")
    rows = own_city.client().get(f"/api/v1/products/{PERSONS}/rows", params={"limit": 5}, headers=bearer(token))
    assert rows.status_code == 200
    shutil.rmtree(own_city.settings.lake.product(*PERSONS.split("/")))
    with closing((released := ReleasedRows(own_city.contracts, own_city.settings.lake, own_city.register)).con):
        found = forward(own_city.settings, own_city.register, released, contract, {"person_id": "p1"}, "division_code")
    (one,) = (one for one in found if one.standing.product.id == PERSONS and one.standing.version == version)
    assert [got.sure for got in one.received] == [Sure.PART]


def test_a_correction_that_fails_is_the_operators_and_stops_no_other(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = True

    def found(_: object, __: object, ___: object, correction: Correction) -> list[Told]:
        if broken and correction is WRONG:
            raise ValueError("张三 341502199001011234")
        return told(own_city, correction)

    monkeypatch.setattr(corrected, "proved", lambda *_: [WRONG, OTHER])
    monkeypatch.setattr(corrected, "found", found)
    assert tell(own_city.settings, own_city.register, own_city.contracts) == 1
    (issue,) = Issues(own_city.register).open(REGISTER)
    assert (issue["code"], issue["owner"]) == ("telling.failed:7", own_city.contracts.city.operator)
    assert "ValueError" in issue["text"]["zh"] and "张三" not in str(issue)
    broken = False
    assert tell(own_city.settings, own_city.register, own_city.contracts) == 1, "the other is told already"
    assert Issues(own_city.register).open(REGISTER) == []


def test_two_who_tell_at_once_give_one_notice(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def found(*_: object) -> list[Told]:
        if not counts:  # while the first one reads, somebody else tells
            counts.append(0)
            counts[0] = tell(own_city.settings, own_city.register, own_city.contracts)
        return told(own_city, WRONG)

    monkeypatch.setattr(corrected, "proved", lambda *_: [WRONG])
    monkeypatch.setattr(corrected, "found", found)
    assert tell(own_city.settings, own_city.register, own_city.contracts) == 0
    assert counts == [1] and len(notices(own_city.register)) == 1


def test_the_ledger_is_read_once_and_a_version_counted_once(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    read = {"releases": 0, "tables": 0}
    releases, opened = Ledger.kept_releases, delta.open_table

    def kept(ledger: Ledger) -> list[Recorded]:
        read["releases"] += 1
        return releases(ledger)

    def open_table(location: Path, version: int | None = None) -> DeltaTable:
        read["tables"] += 1
        return opened(location, version)

    monkeypatch.setattr(Ledger, "kept_releases", kept)
    monkeypatch.setattr(delta, "open_table", open_table)
    contract, product = own_city.contracts.models[MODEL], own_city.contracts.products[PERSONS]
    with closing((released := ReleasedRows(own_city.contracts, own_city.settings.lake, own_city.register)).con):
        for column in ("name", "sex"):
            list(standings(released, own_city.settings.key, contract, {"person_id": "p1"}, column))
        read["tables"] = 0
        standing = Standing(product, 0, now(), "name", "division_code")
        counts = [visible(released, standing, divisions) for divisions in (("341502",), ("341503",), ("341502",), None)]
    assert counts == [20, 10, 20, 40]
    assert read == {"releases": 1, "tables": 3}
