"""A key under which something was made is never made anew: what needs it is refused with its file, and nothing else is.
A key that never was is made. The key of recipients: test_sealed."""

from contextlib import closing
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.delivery.verification.licences import PRODUCT
from catalog.delivery.verification.router import hashed
from catalog.policy import audit
from pipelines.erasure.order import KEY
from pipelines.lake.errors import LostKey
from pipelines.privacy import channel_keys
from pipelines.register.receipts import Receipts
from pipelines.register.store import now
from pipelines.release.editor import Editor, Outcome
from pipelines.release.forward import row_of_product, standings
from pipelines.release.ledger import ERASURE, RELEASE, Entry
from pipelines.release.rows import ReleasedRows
from pipelines.run import opened
from tests.catalog.small_city import AGES, MODEL, PERSONS, REGISTER, City, bearer
from tests.power import flushed

CHANNEL = channel_keys.pseudonym_key("sharing")


def editor(city: City) -> Editor:
    """One that is about to decide about products."""
    nothing: Any = None
    made = Editor(
        *(city.settings, city.contracts, city.ledger, Receipts(city.register, "test"), {}, nothing),
        *(date(2026, 11, 1), now()),
    )
    made.edition, made.newest = SimpleNamespace(id="2026-11-02.1"), city.ledger.newest(RELEASE)  # type: ignore[assignment]
    return made


def test_the_name_of_a_new_key_is_on_the_disk_before_it_is_used(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = flushed(monkeypatch)
    assert own_city.settings.key("new")
    assert disk[-1] == own_city.settings.key_file("new").parent and len(disk) == 2


def test_a_release_makes_no_second_key_for_a_channel(own_city: City) -> None:
    """Only the product that needs it is closed, and told with the file."""
    file, outcomes = own_city.settings.key_file(CHANNEL), dict[str, Outcome]()
    editor(own_city)._decide_product(own_city.contracts.products[PERSONS], "(SELECT 1)", 1, [], outcomes, [])
    (finding,) = outcomes[PERSONS].findings
    assert finding.code == "build.failed" and not file.exists()
    assert all(str(file) in finding.text(language) for language in ("zh", "en"))
    with editor(own_city).con as con:
        channel_keys.register(con, editor(own_city)._channel_key, "sharing", [None, "surname"])
        channel_keys.register(con, editor(own_city)._channel_key, "analyst", ["pseudonym"])
    assert not file.exists() and own_city.settings.has_key(channel_keys.pseudonym_key("analyst")), "that never was"


def test_a_key_of_a_column_that_newer_releases_dropped_is_made_no_second_time(own_city: City) -> None:
    for subject in own_city.ledger.published():
        if subject.startswith("sharing/"):
            own_city.release(subject, columns={"name": ["name", None]})
    with editor(own_city).con as con, pytest.raises(LostKey, match=CHANNEL):
        channel_keys.register(con, editor(own_city)._channel_key, "sharing", ["pseudonym"])


def test_nobody_is_told_where_a_row_stands_by_another_key(own_city: City) -> None:
    contract, key = own_city.contracts.models[MODEL], own_city.settings.kept_key
    product, entry = own_city.contracts.products[PERSONS], own_city.ledger.published()[PERSONS]
    with closing((released := ReleasedRows(own_city.contracts, own_city.settings.lake, own_city.register)).con):
        with pytest.raises(LostKey, match=CHANNEL):
            list(standings(released, key, contract, {"person_id": "p1"}, "person_id"))
        with pytest.raises(LostKey, match=CHANNEL):
            row_of_product(released, key, product, entry, {"person_ref": "x"})
    assert not own_city.settings.has_key(CHANNEL)


def test_persons_get_no_second_ids_and_who_was_erased_does_not_come_back(own_city: City) -> None:
    contract, delivery = own_city.contracts.sources[REGISTER], SimpleNamespace(batch=2)
    with opened(own_city.settings, "test") as run:
        own_city.admit(REGISTER, 1, 5, 0, {})
        with pytest.raises(LostKey, match=r"pseudonym\.key"):
            run._admit(contract, delivery)  # type: ignore[arg-type]
    own_city.settings.key_file(KEY).unlink()
    with opened(own_city.settings, "again"):
        assert own_city.settings.has_key(KEY), "nobody was erased"
    body = {"order": "删1号", "person": "p", "marks": {}, "releases": {}, "places": {}}
    own_city.ledger.record([Entry(ERASURE, "删1号", "删1号", None, body)])
    own_city.settings.key_file(KEY).unlink()
    with pytest.raises(LostKey, match=KEY), opened(own_city.settings, "without"):
        pass
    assert not own_city.settings.has_key(KEY)


def test_who_asked_for_a_licence_is_found_by_the_key_of_then(own_city: City) -> None:
    said = hashed(own_city.settings, own_city.register, "91341500MA2N0XXX1X")
    about = {"road": "verification", "licence": said}
    audit.record(own_city.register, "licence.verify", "allowed", about, recipient="甲", product=PRODUCT, version=0)
    own_city.settings.key_file("audit").unlink()
    with pytest.raises(LostKey):
        hashed(own_city.settings, own_city.register, "91341500MA2N0XXX1X")


def test_what_shows_nothing_keyed_needs_no_key(own_city: City) -> None:
    shown = {column.mask for column in own_city.contracts.products[AGES].columns}
    assert channel_keys.needed("open", shown) == set()
    assert channel_keys.needed("sharing", ["pseudonym", "sealed", "year", None]) == {CHANNEL, "sealed_sharing"}


def test_who_only_asked_for_the_version_is_shown_rows_all_the_same(own_city: City) -> None:
    """That is what clients of Delta Sharing ask first, before there is a key of recipients."""
    token, client = own_city.recipient("甲"), own_city.client()
    own_city.grant("甲")
    address = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
    assert not own_city.settings.has_key("recipients")
    assert client.get(f"{address}/version", headers=bearer(token)).status_code == 200
    assert client.get(f"/api/v1/products/{PERSONS}", headers=bearer(token)).status_code == 200
    assert client.post(f"{address}/query", headers=bearer(token), json={}).status_code == 200
    own_city.settings.key_file("recipients").unlink()
    assert client.post(f"{address}/query", headers=bearer(token), json={}).status_code == 503
