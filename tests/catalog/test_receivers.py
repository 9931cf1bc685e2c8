"""Who received a row by the roads that give no rows of a product themselves: the analysts' database, questions for one
licence, deliveries."""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from catalog.delivery.desk import Desk
from catalog.delivery.push import Push
from catalog.delivery.verification.licences import PRODUCT as LICENCES
from catalog.delivery.verification.router import hashed
from catalog.policy.decision import MARTS
from catalog.policy.receivers import Place, Sure, receivers
from pipelines.register.store import now
from pipelines.release import withdrawal
from pipelines.release.forward import Standing, visible
from pipelines.release.rows import ReleasedRows
from tests.catalog.filing import RECIPIENT, add_deliveries, put_into
from tests.catalog.small_city import AUTHORITIES, DIVISIONS, PERMITS, PERSONS, VILLAGES, City, bearer
from tests.catalog.test_verification import ENDED, GOOD, UNKNOWN
from tests.catalog.test_verification import rows as licences
from tests.connectors.store_servers import FolderBackend

FILE = "/marts/marts.duckdb"


def found(city: City, *places: Place) -> dict[tuple[str | None, int], Sure]:
    """By recipient and version how surely."""
    return {(one.recipient, one.version): one.sure for one in receivers(city.register, places)}


def place(product: str, version: int, column: str | None, rows: int, **about: Any) -> Place:
    by = {"divisions": "division_code", "organisations": "authority_uscc"}
    return Place(product, version, column, about.pop("divisions", None), lambda *_: rows, by=by, **about)


def test_the_analysts_database_counts_for_the_versions_that_were_in_it(own_city: City) -> None:
    tokens = {name: own_city.recipient(name) for name in ("甲", "乙", "丙", "丁", "戊")}
    for name in tokens:
        own_city.grant(name, MARTS)
    client = own_city.client()
    own_city.refresh_marts()
    assert client.get(FILE, headers=bearer(tokens["甲"])).status_code == 200
    assert client.get(FILE, headers=bearer(tokens["乙"]) | {"Range": "bytes=0-99"}).status_code == 206
    assert client.head(FILE, headers=bearer(tokens["丙"])).status_code == 200
    second = own_city.release(DIVISIONS, 2)
    own_city.refresh_marts()
    assert client.get(FILE, headers=bearer(tokens["丁"])).status_code == 200
    withdrawal.withdraw(own_city.register, own_city.contracts, DIVISIONS, "王", "漏")
    own_city.refresh_marts()
    client.get(FILE, headers=bearer(tokens["戊"]))
    places = [place(DIVISIONS, version, "division_name", 3) for version in (0, second)]
    assert found(own_city, *places) == {("甲", 0): Sure.WHOLE, ("乙", 0): Sure.PART, ("丁", second): Sure.WHOLE}
    assert found(own_city, place(PERSONS, 0, "name", 40)) == {}, "it is in no analysts' product"


def test_who_may_read_other_organisations_rows_did_not_receive_this_one(own_city: City) -> None:
    own_city.release(PERMITS, 15)
    tokens = {name: own_city.recipient(name) for name in ("全", "本", "他")}
    for name, organisations in (("全", None), ("本", ["own"]), ("他", ["hc", "amr"])):
        own_city.grant(name, PERMITS, organisations=organisations)
    client = own_city.client()
    for token in tokens.values():
        answer = client.get(f"/api/v1/products/{PERMITS}/rows", headers=bearer(token), params={"limit": "1000"})
        assert answer.status_code == 200
    with closing((released := ReleasedRows(own_city.contracts, own_city.settings.lake, own_city.register)).con):
        standing = Standing(own_city.contracts.products[PERMITS], 0, now(), None, belongs="authority_uscc")
        counted = partial(visible, released, standing)
        for code, told in ((AUTHORITIES[0], {"全", "本"}), (AUTHORITIES[1], {"全", "他"}), (AUTHORITIES[3], {"全"})):
            here = Place(PERMITS, 0, None, None, counted, organisations=(code,), by={"organisations": "authority_uscc"})
            assert found(own_city, here) == {(name, 0): Sure.WHOLE for name in told}
            dropped = Place(PERMITS, 0, None, None, counted)
            other = Place(PERMITS, 0, None, None, counted, organisations=("别",), by={"organisations": "holder"})
            for unknown in (dropped, other):  # by what the contract says now nobody can tell who saw the row
                possible = dict.fromkeys((("本", 0), ("他", 0)), Sure.PART) | {("全", 0): Sure.WHOLE}
                assert found(own_city, unknown) == possible


@pytest.mark.parametrize(
    ("audited", "told"),
    [
        ({"limited_by": {"divisions": "division_code"}}, False),
        ({}, None),  # written before audits said by which column: the contract of then may have named another one
        ({"limited_by": {"divisions": "birth_division_code"}}, None),
    ],
)
def test_a_limit_by_an_unknown_column_keeps_nobody_out(audited: dict[str, Any], told: bool | None) -> None:
    here = place(PERSONS, 0, "name", 40, divisions=("341502001001",))
    assert here.within({"divisions": ["341503"], **audited}) is told
    assert here.within({"divisions": ["341503"], "organisations": None, **audited}) is told
    assert here.within({"divisions": None}) is True


def test_who_asked_for_a_licence_received_the_rows_of_that_licence(own_city: City) -> None:
    own_city.release(LICENCES, query=licences())
    client = own_city.client()
    asked = {"甲": GOOD, "乙": ENDED, "丙": UNKNOWN, "丁": f" {GOOD.lower()} "}
    for name, number in asked.items():
        token = own_city.recipient(name)
        columns = ["licence_identifier", "licence_status"] if name == "丁" else None
        own_city.grant(name, LICENCES, columns=columns)
        assert client.get(f"/verify/licence/{number}", headers=bearer(token)).status_code == 200
    early = own_city.recipient("戊")
    own_city.grant("戊", LICENCES)
    answer = client.get(f"/verify/licence/{GOOD}", headers=bearer(early), params={"on": "2025-01-01"})
    assert answer.json()["genuine"] is False, "before it was issued; no row was shown"
    marks = {hashed(own_city.settings, own_city.register, GOOD): Sure.PART}
    holder, status = (
        found(own_city, place(LICENCES, 0, column, 5, lookups=marks)) for column in ("holder_masked", "licence_status")
    )
    assert holder == {("甲", 0): Sure.PART}
    assert status == {("甲", 0): Sure.PART, ("丁", 0): Sure.PART}


@pytest.fixture
def desk(own_city: City, tmp_path: Path) -> Desk:
    store = FolderBackend(tmp_path)
    form = {"recipient": RECIPIENT, "product": PERSONS, "formats": ["csv"], "connection": "box", "folder": "persons"}
    add_deliveries(own_city, {"box": store.address}, {"files": form})
    own_city.recipient(RECIPIENT)
    return Desk(own_city.settings, own_city.register)


def test_what_a_receipt_says_arrived_is_whole_and_what_was_begun_is_part(
    own_city: City, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_city.grant(RECIPIENT, divisions=[VILLAGES[0][:6]])
    here, elsewhere = (VILLAGES[0],), (VILLAGES[2],)
    put_into(desk, "files")
    second = own_city.release(PERSONS, 39)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(Push, "keep", interrupt)
        put_into(desk, "files")
    places = [place(PERSONS, version, "name", 20, divisions=here) for version in (0, second)]
    assert found(own_city, *places) == {(RECIPIENT, 0): Sure.WHOLE, (RECIPIENT, second): Sure.PART}
    assert found(own_city, place(PERSONS, 0, "name", 20, divisions=elsewhere)) == {}
    put_into(desk, "files")
    assert found(own_city, *places)[RECIPIENT, second] is Sure.WHOLE, "the receipt was made up for"


def interrupt(push: Push) -> None:
    raise KeyboardInterrupt
