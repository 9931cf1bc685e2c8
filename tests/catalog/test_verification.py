"""The verification service: one licence a question, with a grant, not too often, and every question in the audit."""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog.delivery.verification.licences import PRODUCT
from catalog.delivery.verification.router import hashed
from catalog.policy import audit
from catalog.policy.rates import TOLD_SECONDS, Rates
from citylake.main import app as commands
from pipelines.codecs.sql import literal
from pipelines.contracts.load import load
from simulator.licences import BUSINESS, identifier, licence_types
from simulator.organisation_codes import authorities
from tests.catalog.serving import serving
from tests.catalog.small_city import City, bearer

ISSUER = authorities()["amr"]
KIND, NAME = licence_types()[BUSINESS]
GOOD, ENDED, UNKNOWN, LATE, REPLACED = (identifier(KIND, ISSUER.uscc, f"{number:012d}", 1) for number in range(1, 6))
HOLDER, FIRM = "欧阳春晓", "六安市某某商贸有限公司"
ISSUED, SUSPENDED, RESUMED, REVOKED = (date(2026, month, 10) for month in (1, 3, 4, 6))
LONG_BEFORE = date(2012, 6, 1)
"""On which LATE was issued, which the catalogue has since ISSUED only."""


def rows() -> str:
    """GOOD was suspended for a month; ENDED ends on a day and was revoked before that; LATE is older
    than its entry in the catalogue; a newer one replaced REPLACED on the day on which GOOD was suspended."""
    changes = [
        (GOOD, 1, ISSUED, SUSPENDED, "1", None, HOLDER),
        (GOOD, 4, SUSPENDED, RESUMED, "7", None, HOLDER),
        (GOOD, 6, RESUMED, None, "1", None, HOLDER),
        (ENDED, 2, ISSUED, REVOKED, "1", date(2026, 5, 1), FIRM),
        (ENDED, 5, REVOKED, None, "4", date(2026, 5, 1), FIRM),
        (LATE, 7, ISSUED, None, "1", None, FIRM),
        (REPLACED, 8, ISSUED, None, "1", None, FIRM),
    ]
    return " union all ".join(
        f"select {literal(number)} as licence_identifier, {change}::bigint as change_no, date '{since}' as since_day, "
        f"{literal(until and str(until))}::date as until_day, '{status}' as licence_status, "
        f"date '{ISSUED}' as valid_from, "
        f"{literal(to and str(to))}::date as valid_to, '{KIND}' as licence_type, '{NAME}' as licence_name, "
        f"'2' as holder_type, '{name[0]}' || repeat('*', {len(name) - 1}) as holder_masked, "
        f"'六安{ISSUER.name}' as issuer_name, '{ISSUER.uscc}' as issuer_uscc, "
        f"date '{LONG_BEFORE if number == LATE else ISSUED}' as issued_on, "
        f"{literal(str(SUSPENDED) if number == REPLACED else None)}::date as superseded_since, "
        f"date '2026-11-01' as as_of"
        for number, change, since, until, status, to, name in changes
    )


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> City:
    made = City(tmp_path_factory.mktemp("verification"))
    made.release(PRODUCT, query=rows())
    return made


@pytest.fixture(scope="module")
def token(town: City) -> str:
    issued = town.recipient("窗口核验")
    town.grant("窗口核验", PRODUCT)
    return issued


@pytest.fixture(scope="module")
def client(town: City) -> Iterator[TestClient]:
    with town.client() as client:
        yield client


def ask(client: TestClient | httpx.Client, number: str, token: str, **query: str) -> Any:
    return client.get(f"/verify/licence/{quote(number)}", headers=bearer(token), params=query)


def told(client: TestClient, number: str, token: str, **query: str) -> dict[str, Any]:
    answer = ask(client, number, token, **query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_genuine_licence_and_what_it_is_today(client: TestClient, token: str) -> None:
    answer = told(client, GOOD, token)
    assert (answer["genuine"], answer["verdict"], answer["inForce"]) == (True, "genuine", True)
    assert answer["knownOn"] == "2026-11-01"
    link = ask(client, GOOD, token).headers["link"]
    assert 'rel="license"' in link and f'/datasets/{PRODUCT}/dictionary.csv>; rel="describedby"' in link
    assert answer["licence"]["issuer_name"] == f"六安{ISSUER.name}" and answer["licence"]["licence_name"] == NAME
    assert answer["licence"]["holder_masked"] == "欧***" and HOLDER not in json.dumps(answer, ensure_ascii=False)


@pytest.mark.parametrize(
    ("number", "day", "verdict", "status", "in_force"),
    [
        (GOOD, ISSUED - timedelta(days=1), "not_yet_issued", None, None),
        (GOOD, ISSUED, "genuine", "1", True),
        (GOOD, SUSPENDED - timedelta(days=1), "genuine", "1", True),
        (GOOD, SUSPENDED, "genuine", "7", False),
        (GOOD, RESUMED, "genuine", "1", True),
        (ENDED, date(2026, 5, 1), "genuine", "1", True),
        (ENDED, date(2026, 5, 2), "genuine", "1", False),
        (ENDED, REVOKED, "genuine", "4", False),
        (LATE, LONG_BEFORE - timedelta(days=1), "not_yet_issued", None, None),
        (LATE, LONG_BEFORE, "status_not_known", None, None),
        (LATE, ISSUED - timedelta(days=1), "status_not_known", None, None),
        (LATE, ISSUED, "genuine", "1", True),
        (REPLACED, SUSPENDED - timedelta(days=1), "genuine", "1", True),
        (REPLACED, SUSPENDED, "genuine", "1", False),
    ],
)
def test_the_status_as_of_a_day(
    client: TestClient, token: str, number: str, day: date, verdict: str, status: str | None, in_force: bool | None
) -> None:
    answer = told(client, number, token, on=day.isoformat())
    assert (answer["verdict"], answer["inForce"], answer["asOf"]) == (verdict, in_force, day.isoformat())
    assert (answer["licence"] or {}).get("licence_status") == status
    assert answer["genuine"] == (verdict != "not_yet_issued")


def test_a_contract_that_drops_its_lookup_changes_nothing_before_the_release(tmp_path: Path) -> None:
    city = City(tmp_path)
    root = city.own_contracts()
    (file,) = (one for one in root.rglob("*.yaml") if " lookup: {" in one.read_text("utf-8"))
    text = file.read_text("utf-8")
    few = re.sub(r"perMinute: \d+", "perMinute: 2", text)
    file.write_text(few, "utf-8")
    city.contracts = load(root)
    city.release(PRODUCT, query=rows())
    issued = city.recipient("窗口")
    city.grant("窗口", PRODUCT)
    for now in (text, re.sub(r"\n *lookup: .*", "", text)):
        file.write_text(now, "utf-8")
        with city.client() as client:
            assert [ask(client, GOOD, issued).status_code for _ in range(4)] == [200, 200, 429, 429]


def test_what_is_no_licence_of_the_city_is_told_apart(client: TestClient, token: str) -> None:
    wrong = GOOD[:-1] + ("0" if GOOD[-1] != "0" else "1")
    for number, verdict in (
        ("12345", "malformed"),
        (GOOD.replace("1.2.156", "1.2.157"), "malformed"),
        (f"{GOOD}' or '1'='1", "malformed"),
        (f"{GOOD}\0", "malformed"),
        (wrong, "wrong_check_character"),
        (UNKNOWN, "not_in_catalogue"),
    ):
        answer = told(client, number, token)
        assert (answer["genuine"], answer["verdict"], answer["licence"]) == (False, verdict, None)
    assert told(client, f" {GOOD.lower()} ", token)["genuine"]


@pytest.mark.parametrize("day", ["2026-13-01", "yesterday", "2026-2-1x", "9999-01-01"])
def test_a_day_that_is_none_or_to_come_is_refused(client: TestClient, token: str, day: str) -> None:
    answer = ask(client, GOOD, token, on=day)
    assert answer.status_code == 400 and "on" in answer.json()["message"] + "on"


def test_only_recipients_with_a_grant_in_force_are_answered(town: City, client: TestClient) -> None:
    assert client.get(f"/verify/licence/{GOOD}").status_code == 401
    assert ask(client, GOOD, "cl_wrong").status_code == 401
    stranger = town.recipient("无授权单位")
    assert ask(client, GOOD, stranger).status_code == 403
    (row,) = audit.recent(town.register, 1)
    assert (row["recipient"], row["outcome"], row["body"]["reason"]) == ("无授权单位", "denied", "grant_required")


def test_a_grant_may_leave_columns_out(town: City, client: TestClient) -> None:
    narrow = town.recipient("只看状态")
    town.grant("只看状态", PRODUCT, columns=["licence_identifier", "since_day", "licence_status"])
    answer = told(client, GOOD, narrow)
    assert set(answer["licence"]) == {"licence_identifier", "since_day", "licence_status"}
    assert answer["inForce"] is None  # the days of validity are not shown
    blind = town.recipient("看不到标识")
    town.grant("看不到标识", PRODUCT, columns=["licence_status"])
    assert ask(client, GOOD, blind).status_code == 403


def test_no_other_road_gives_the_table(town: City, client: TestClient, token: str) -> None:
    shown = bearer(token)
    table = "/delta-sharing/shares/sharing/schemas/e_licence/tables/licence_verify"
    answers = [
        client.get(f"/datasets/{PRODUCT}/preview", headers=shown),
        *(client.get(f"/datasets/{PRODUCT}/download/{kind}", headers=shown) for kind in ("csv", "json", "parquet")),
        client.get(f"{table}/metadata", headers=shown),
        client.post(f"{table}/query", headers=shown, json={}),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert all(GOOD not in answer.text for answer in answers)
    assert client.get("/delta-sharing/shares", headers=shown).json()["items"] == []
    reasons = {row["body"]["reason"] for row in audit.recent(town.register, 7) if row["outcome"] == "denied"}
    assert reasons == {"lookup_only"}


def test_every_question_is_audited_and_no_identifier_is_kept(town: City, client: TestClient, token: str) -> None:
    told(client, GOOD, token, on="2026-03-15")
    (row,) = audit.recent(town.register, 1)
    body = row["body"]
    assert (row["action"], row["outcome"], row["product"]) == ("licence.verify", "allowed", PRODUCT)
    assert row["recipient"] == "窗口核验" and row["grant"] is not None
    assert (body["verdict"], body["as_of"], body["purpose"]) == ("genuine", "2026-03-15", "核验测试")
    assert body["licence"] == hashed(town.settings, town.register, GOOD.lower())
    assert GOOD not in json.dumps(body)
    assert audit.first_break(town.register) is None


@pytest.mark.server
def test_who_asks_too_often_waits_over_a_real_socket(tmp_path: Path) -> None:
    """Six a minute in a contract of its own: however slow the machine, the seventh question comes too early."""
    own = City(tmp_path)
    contract = own.own_contracts() / "products/e_licence/period.yaml"
    contract.write_text(re.sub(r"perMinute: \d+", "perMinute: 6", contract.read_text("utf-8")), "utf-8")
    own.release(PRODUCT, query=rows())
    fast, other = own.recipient("批量核验"), own.recipient("另一窗口")
    for name in ("批量核验", "另一窗口"):
        own.grant(name, PRODUCT)
    with serving(own.settings) as address, httpx.Client(base_url=address, trust_env=False) as client:
        answers = [ask(client, GOOD, fast) for _ in range(12)]
        assert ask(client, GOOD, other).status_code == 200  # each recipient has a bucket of its own
    refused = [answer for answer in answers if answer.status_code == 429]
    assert [answer.status_code for answer in answers[:6]] == [200] * 6 and refused
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 10
    assert refused[0].json()["errorCode"] == "RESOURCE_EXHAUSTED" and GOOD not in refused[0].text
    denied = [row for row in audit.recent(own.register, 40) if row["outcome"] == "denied"]
    assert {row["body"]["reason"] for row in denied} == {"too_many"} and denied[-1]["body"]["tries"] == 1
    assert sum(row["body"]["tries"] for row in denied) <= len(refused)  # those that are not told yet are left


@given(st.lists(st.floats(0, 40), min_size=1, max_size=200), st.integers(1, 60))
def test_every_refusal_is_told_once_and_not_more_often_than_once_a_minute(pauses: list[float], per_minute: int) -> None:
    time = [0.0]
    rates, refused, told = Rates(lambda: time[0]), 0, list[tuple[float, int]]()
    for pause in pauses:
        time[0] += pause
        refused += rates.wait("甲", per_minute) > 0
        if tries := rates.untold("甲"):
            told.append((time[0], tries))
    assert (not refused and not told) or (told[0][1] == 1)
    assert all(later - sooner >= TOLD_SECONDS for (sooner, _), (later, _) in pairwise(told))
    time[0] += TOLD_SECONDS + 1
    assert sum(tries for _, tries in told) + rates.untold("甲") == refused


@given(st.lists(st.floats(0, 40), min_size=1, max_size=200), st.integers(1, 60))
def test_no_minute_has_more_questions_than_two_buckets(pauses: list[float], per_minute: int) -> None:
    """A full bucket and what flows in within a minute; and whoever waits as told is let in."""
    time = [0.0]
    rates, let_in = Rates(lambda: time[0]), list[float]()
    for pause in pauses:
        time[0] += pause
        wait = rates.wait("a", per_minute)
        if wait:
            time[0] += wait
            assert rates.wait("a", per_minute) == 0
        let_in.append(time[0])
    for start in let_in:
        assert sum(start <= moment < start + 60 for moment in let_in) <= 2 * per_minute


def test_the_command_verifies_and_is_audited(town: City, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(town.settings.project))
    good = CliRunner().invoke(commands, ["licence", "verify", GOOD, "--on", SUSPENDED.isoformat()])
    assert good.exit_code == 0, good.output
    answer = json.loads(good.output)
    assert (answer["genuine"], answer["inForce"], answer["licence"]["licence_status"]) == (True, False, "7")
    (row,) = audit.recent(town.register, 1)
    assert (row["action"], row["body"]["road"], row["body"]["verdict"]) == ("licence.verify", "command", "genuine")
    unknown = CliRunner().invoke(commands, ["licence", "verify", UNKNOWN])
    assert unknown.exit_code == 1 and json.loads(unknown.output)["verdict"] == "not_in_catalogue"
    monkeypatch.setenv("CITYLAKE_HOME", str(tmp_path / "empty"))
    nothing = CliRunner().invoke(commands, ["licence", "verify", GOOD])
    assert nothing.exit_code == 1 and "citylake run" in nothing.output
