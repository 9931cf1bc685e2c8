"""Policy, audit, delivery and sign-in with the register on PostgreSQL, as in production: what other modules test on
SQLite, once more. Belongs here: which tests those are. Does not belong here: tests of their own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pipelines.register import Register
from simulator.server import HOST, Server
from tests.catalog import (
    test_applications,
    test_audit,
    test_basis,
    test_changes,
    test_epochs,
    test_files,
    test_lockout,
    test_oauth,
    test_purposes,
    test_quotas,
    test_receipts_of_reads,
    test_releases,
    test_renewal,
    test_row_keys,
    test_sharing,
    test_signin,
    test_users,
    test_withdrawal,
    test_wrong_tries,
)
from tests.catalog.conftest import door, released_city
from tests.catalog.signing_in import Clock
from tests.catalog.small_city import PERSONS, City, bearer
from tests.connectors.store_servers import backend

pytestmark = pytest.mark.server

READING: tuple[Callable[..., None], ...] = (
    test_audit.test_one_row_for_each_read_and_denial,
    test_audit.test_a_changed_row_shows,
    test_audit.test_reads_and_denials_name_the_token,
    test_applications.test_every_row_of_the_audit_names_the_application,
    test_users.test_every_act_by_every_role,
    test_users.test_two_persons_for_a_grant_of_sensitive_data,
    test_releases.test_two_persons_and_what_was_proposed,
    test_epochs.test_a_rotation_acts_on_every_road_at_once_and_on_one_recipient,
    test_basis.test_every_writing_about_callers_is_heard_at_once,
    test_basis.test_every_word_about_a_release_is_heard_at_once,
    test_changes.test_who_moves_out_of_the_granted_division_is_deleted_there,
    test_sharing.test_a_newer_release_leaves_addresses_and_a_withdrawal_ends_them,
    test_row_keys.test_a_look_up_is_audited_and_ends_with_the_views,
    test_oauth.test_access_tokens_end_with_their_client_and_are_cut_off_at_once,
    test_lockout.test_an_id_that_is_named_too_often_from_anywhere_is_told_to_its_recipient,
    test_quotas.test_bytes_are_those_that_were_sent,
    test_purposes.test_what_anybody_says_is_kept_only_if_it_is_a_purpose,
    test_receipts_of_reads.test_a_receipt_tells_what_was_read_and_is_verified_offline,
    test_withdrawal.test_a_new_token_of_a_suspended_organisation_opens_nothing,
    test_withdrawal.test_suspensions_are_checked,
)
ENTERING: tuple[Callable[..., None], ...] = (
    test_signin.test_an_auditor_signs_in_with_password_and_code,
    test_signin.test_an_invitation_is_good_once_for_a_while_and_ends_what_was_before,
    test_signin.test_one_invitation_for_many_at_once,
    test_signin.test_one_code_for_many_at_once,
    test_signin.test_what_ends_a_session_at_once,
    test_wrong_tries.test_after_some_wrong_tries_the_right_one_waits_too,
    test_wrong_tries.test_many_tries_at_once_are_not_more_than_many_in_a_row,
    test_renewal.test_a_token_makes_its_successor,
    test_renewal.test_a_departments_user_renews_their_own_organisations,
    test_renewal.test_revoking_ends_what_was_renewed,
)

FILING: tuple[Callable[..., None], ...] = (
    test_files.test_new_pseudonyms_send_everything_anew_and_old_packages_go,
    test_files.test_packages_of_a_withdrawn_version_go,
    test_files.test_an_end_is_told_and_takes_packages_away_only_if_the_target_says_so,
)


class Databases:
    """One server with a database that has the tables, of which each city gets a copy."""

    def __init__(self, server: Server) -> None:
        self._server, self._names = server, count()
        self._run("CREATE DATABASE empty")
        register = Register(self._address("empty"))
        register.upgrade()
        register.close()

    @contextmanager
    def one(self) -> Iterator[str]:
        """The address of a register without rows. It goes with all its connections: services that a test began have
        theirs as long as the process lives, and together they were more than the server takes."""
        name = f"city{next(self._names)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE empty")
        yield self._address(name)
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with self._server.connect("postgres", autocommit=True) as connection:
            connection.execute(statement)

    def _address(self, name: str) -> str:
        with self._server.connect("postgres") as connection:
            owner = f"{connection.info.user}:{quote(connection.info.password)}"
        return f"postgresql+psycopg://{owner}@{HOST}:{self._server.port}/{name}"


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield Databases(server)
    server.stop()


@pytest.fixture
def register(databases: Databases) -> Iterator[str]:
    with databases.one() as address:
        yield address


def run(test: Callable[..., None], city: City, **more: Any) -> None:
    """Run a test of another module with this city."""
    try:
        known = {"own_city": city, "staffed_city": city, **more}
        test(**{name: known[name] for name in signature(test).parameters})
    finally:
        city.register.close()


@pytest.mark.long
@pytest.mark.parametrize("test", READING, ids=lambda test: str(test.__name__))
def test_what_is_read_and_told(
    register: str, tmp_path: Path, test: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    city = released_city(tmp_path / "city", register)
    moment = test_quotas.fixed(monkeypatch)
    run(test, city, tmp_path=tmp_path, monkeypatch=monkeypatch, moment=moment)


@pytest.mark.long
@pytest.mark.parametrize("test", ENTERING, ids=lambda test: str(test.__name__))
def test_who_comes_in(
    register: str, tmp_path: Path, test: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    city = door(tmp_path / "city", register)
    run(test, city, clock=Clock(monkeypatch), browser=city.client(), monkeypatch=monkeypatch, tmp_path=tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("test", FILING, ids=lambda test: str(test.__name__))
def test_what_is_delivered(register: str, tmp_path: Path, test: Callable[..., None]) -> None:
    store, taken = tmp_path / "store", tmp_path / "taken"
    for folder in (store, taken):
        folder.mkdir()
    with backend("folder", store) as outbox:
        city, desk = test_files.with_outboxes(released_city(tmp_path / "city", register), {"folder": outbox})
        run(test, city, filing=test_files.begun(city, desk, outbox, "folder", taken))


def test_a_character_that_it_keeps_in_no_text_is_the_clients_fault(register: str, tmp_path: Path) -> None:
    """U+0000, wherever a client may put a text that is looked for."""
    city = released_city(tmp_path / "city", register)
    client, shown = city.client(), bearer(token := city.recipient("甲"))
    city.grant("甲")
    name, table = "%00", "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
    found = {
        place: client.get(place, headers=shown).status_code
        for place in (
            f"/delta-sharing/files/{PERSONS}/v0/whole/part.parquet?t={name}&e=1&X-Amz-Signature={name}",
            f"/delta-sharing/shares/{name}/schemas/{name}/tables/{name}/metadata",
            f"/delta-sharing/shares?pageToken={name}",
            f"{table}/changes?startingVersion={name}",
            f"/api/v1/products/{name}/{name}/rows",
            f"/api/v1/products/{PERSONS}/rows?name=eq.{name}",
            f"/api/v1/products/{PERSONS}/rows?{name}=eq.1&cursor={name}",
            f"/api/v1/receipt?first=2026-11-01&last=2026-11-30&product={name}",
            f"/verify/licence/{name}",
            f"/datasets/{name}/{name}",
            f"/datasets/{PERSONS}/download/{name}",
            f"/access/deliveries/{name}/1/receipt.zip",
            f"/access/reads?product={name}&outcome={name}",
            f"/datasets?q={name}",
            f"/issues?owner={name}",
            *(f"/quality/{place}" for place in (name, f"evidence/{name}", f"data-docs/{name}", f"failing/{name}")),
            *(f"/quality/{place}" for place in (f"organisations/{name}", f"sources/{name}/{name}/rules/{name}")),
        )
    }
    for place, form in {
        "/login": {"token": "\0", "next": "/\0"},
        "/login/account": {"name": "\0", "password": "\0", "code": "\0"},
        "/join": {"invitation": "\0", "new": "\0", "again": "\0"},
        "/oauth/token": {"grant_type": "client_credentials", "client_id": "\0", "client_secret": "\0"},
    }.items():
        found[place] = client.post(place, data=form).status_code
    assert client.post("/login", data={"token": token}).status_code == 303
    for place, form in {
        "/access/acknowledge": {"notice": "1", "note": "\0"},
        "/access/renew": {"overlap": "1", "token": "\0", "secret": "\0"},
    }.items():
        found[place] = client.post(place, data=form).status_code
    city.register.close()
    assert {place: status for place, status in found.items() if status >= 500} == {}
