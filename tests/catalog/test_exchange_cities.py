"""Two cities: one publishes and serves, the other pulls through a contract and admits. And a pull that is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from catalog.policy import administration, tokens
from pipelines.connectors import oauth
from pipelines.connectors.exchange import files, server
from tests.catalog.conftest import released_city
from tests.catalog.recipient import OWNER, SOURCE, Recipient
from tests.catalog.serving import serving
from tests.catalog.small_city import ADMINISTRATOR, GUARD, PERSONS, STEWARD, City
from tests.connectors.sharing_server import SharingServer

pytestmark = pytest.mark.server

REPOSITORY = Path(__file__).resolve().parents[2]


class Pair:
    """The publishing county, its address, and the city that pulls."""

    def __init__(self, county: City, base: str, city: Recipient) -> None:
        self.county, self.base, self.city = county, base, city
        self.issued: administration.IssuedToken | None = None

    def invite(self, **limits: Any) -> None:
        """What the county's steward does, and the city's with the file that comes of it."""
        administration.create_recipient(
            self.county.register, self.county.contracts, "六安市", "dsrb", actor=ADMINISTRATOR
        )
        self.county.grant("六安市", **limits)
        self.token()

    def client(self) -> administration.IssuedClient:
        """Another way to be known by, instead of a token."""
        issued = administration.issue_client(self.county.register, "六安市", actor=ADMINISTRATOR)
        self.city.profile(administration.profile(issued, f"{self.base}/delta-sharing"))
        return issued

    def token(self) -> None:
        self.issued = administration.issue_token(self.county.register, "六安市", actor=ADMINISTRATOR)
        self.city.profile(administration.profile(self.issued, f"{self.base}/delta-sharing"))


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    for module in (server, files):
        monkeypatch.setattr(module, "PAUSE", 0.01)
    county = released_city(tmp_path / "county")
    with serving(county.settings) as base:
        yield Pair(county, base, Recipient(tmp_path / "city"))


def test_a_county_is_pulled_version_by_version(pair: Pair) -> None:
    pair.invite()
    first = pair.city.run()
    assert first.status == "admitted" and first.admitted
    assert (first.admitted.received, first.admitted.inserted, first.admitted.refused) == (40, 40, 0)
    towns = [row["town_name"] for row in pair.city.state().values()]
    assert sorted(towns) == sorted(pair.county.values(PERSONS, "town_name"))
    # nothing new: asked, and nothing fetched
    assert pair.city.run().status == "unchanged"
    assert pair.city.stages() == ["pull", "admit", "seen"]
    pair.county.release(PERSONS, 43)
    third = pair.city.run()
    assert third.admitted and (third.admitted.inserted, third.admitted.deleted) == (3, 0)
    assert len(pair.city.state()) == 43


def test_a_revoked_token_stops_the_pull_and_loses_nothing(pair: Pair) -> None:
    pair.invite()
    pair.city.run()
    before = pair.city.state()
    pair.county.release(PERSONS, 41)
    assert pair.issued
    administration.revoke_token(pair.county.register, pair.issued.id, actor=GUARD)
    failed = pair.city.run()
    assert failed.status == "failed" and OWNER in failed.message
    assert pair.issued.token not in failed.message and "401" in failed.message
    assert pair.city.state() == before and any("撤销" in text for text in pair.city.issues())
    pair.token()
    again = pair.city.run()
    assert again.admitted and again.admitted.inserted == 1
    assert pair.city.issues() == []


@pytest.fixture
def client(pair: Pair) -> administration.IssuedClient:
    """The city is known to the county by a client that gets access tokens, good for minutes."""
    pair.invite()
    return pair.client()


def test_a_city_pulls_as_a_client(pair: Pair, client: administration.IssuedClient) -> None:
    first = pair.city.run()
    assert first.status == "admitted" and first.admitted and first.admitted.inserted == 40
    assert pair.city.run().status == "unchanged"


def test_an_access_token_that_ends_in_mid_pull_is_renewed(
    pair: Pair, client: administration.IssuedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "ACCESS_SECONDS", 1)
    query, token, got = server.Server.query, oauth.OAuthClient.token, list[str]()

    def late(of: server.Server) -> server.Answer:
        time.sleep(1.1)
        return query(of)

    def counted(of: oauth.OAuthClient, http: httpx.Client) -> str:
        got.append(token(of, http))
        return got[-1]

    monkeypatch.setattr(server.Server, "query", late)
    monkeypatch.setattr(oauth.OAuthClient, "token", counted)
    done = pair.city.run()
    assert done.admitted and done.admitted.inserted == 40
    assert len(set(got)) == 2


def test_a_revoked_client_stops_the_pull_and_loses_nothing(pair: Pair, client: administration.IssuedClient) -> None:
    pair.city.run()
    before = pair.city.state()
    pair.county.release(PERSONS, 41)
    administration.revoke_token(pair.county.register, client.client_id, actor=GUARD)
    failed = pair.city.run()
    assert failed.status == "failed" and OWNER in failed.message and "401" in failed.message
    assert client.client_secret not in failed.message
    assert pair.city.state() == before and any("撤销" in text for text in pair.city.issues())
    pair.client()
    again = pair.city.run()
    assert again.admitted and again.admitted.inserted == 1
    assert pair.city.issues() == []


def test_a_grant_of_some_rows_and_columns(pair: Pair) -> None:
    columns = ["person_ref", "town_name", "sex", "county_name"]
    pair.invite(divisions=["341502"], columns=columns)
    done = pair.city.run()
    expected = sum(code.startswith("341502") for code in pair.county.values(PERSONS, "division_code"))
    assert done.admitted and done.admitted.inserted == expected < 40
    assert {row["county_name"] for row in pair.city.state().values()} == {"金安区"}


def test_a_wider_grant_is_seen_at_the_same_version(pair: Pair) -> None:
    pair.invite(divisions=["341502"])
    pair.city.run()
    (given,) = administration.list_grants(pair.county.register, "六安市")
    administration.revoke_grant(pair.county.register, given.id, actor=STEWARD)
    pair.county.grant("六安市")
    assert pair.city.run().status == "admitted"
    assert len(pair.city.state()) == 40


def test_a_grant_without_a_column_of_the_contract_is_said(pair: Pair) -> None:
    pair.invite(columns=["person_ref", "town_name", "county_name"])
    failed = pair.city.run()
    assert failed.status == "failed" and "“sex”" in failed.message


def test_a_withdrawn_product_is_said(pair: Pair) -> None:
    pair.invite()
    pair.city.run()
    pair.county.withdraw(PERSONS)
    failed = pair.city.run()
    assert failed.status == "failed" and "404" in failed.message
    assert len(pair.city.state()) == 40


@pytest.mark.long
def test_a_killed_download_is_begun_again(tmp_path: Path) -> None:
    location = tmp_path / "table"
    rows = [{"person_ref": f"{n:032x}", "town_name": "中市街道", "sex": "1", "county_name": "金安区"} for n in range(6)]
    for half in (rows[:3], rows[3:]):
        write_deltalake(location, pa.Table.from_pylist(half), mode="append")
    foreign, reached, go_on = SharingServer(location), threading.Event(), threading.Event()
    real = foreign.send_file
    sent: list[str] = []

    def halting(request: Any, path: str, query: Any) -> None:
        sent.append(path)
        if len(sent) == 2:
            reached.set()
            go_on.wait(60)
        else:
            real(request, path, query)

    foreign.send_file = halting  # type: ignore[method-assign]
    city = Recipient(tmp_path / "city")
    contract = city.settings.contracts / "sources" / f"{SOURCE}.yaml"
    text = contract.read_text("utf-8").replace("sharing.population.person_of_division", "county.people.residents")
    contract.write_text(text, "utf-8")
    city.profile(json.loads(foreign.profile()))
    command = [sys.executable, "-m", "tests.catalog.recipient", str(tmp_path / "city")]
    process = subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True)
    try:
        assert reached.wait(120)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        go_on.set()
    assert city.stages() == []
    done = city.run()
    assert done.admitted and done.admitted.inserted == 6
    assert city.stages() == ["pull", "admit"]
    assert not list(city.settings.lake.scratch().rglob("*.parquet"))
    foreign.close()
