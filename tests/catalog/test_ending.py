"""Grants that end soon are told in time: to who owns the product, to the recipient, with the deliveries that end."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog.delivery import ending
from catalog.policy import administration
from catalog.policy.administration import SOON
from catalog.policy.decision import ROADS, Allowed, Caller, Grant, Offer, decide
from citylake.main import app
from pipelines.contracts.load import load
from pipelines.issues import Issues
from pipelines.register.store import now
from tests.catalog.filing import add_deliveries
from tests.catalog.small_city import PERSONS, STEWARD, City, bearer

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OFFER = Offer(PERSONS, "sharing", "有条件共享", ("a", "b"), "division", frozenset(), 1)
grants = st.builds(
    lambda number, who, start, days, revoked, pending, columns, divisions, roads: Grant(
        *(number, who, PERSONS, divisions, columns, "试", None, NOW + start * DAY, NOW + (start + days) * DAY),
        revoked=NOW if revoked else None,
        pending=pending,
        roads=roads,
    ),
    st.integers(1, 10**6),
    st.sampled_from("甲乙"),
    *(st.integers(-60, 60), st.integers(1, 60), st.booleans(), st.booleans()),
    st.sampled_from([None, None, ("a",), ("b",)]),
    st.sampled_from([None, None, ("3415",), ("341502", "341503")]),
    st.sampled_from([None, None, ("web",), ("tables", "files")]),
)


@given(st.lists(grants, max_size=6, unique_by=lambda one: one.id))
def test_it_is_told_while_the_recipient_would_stand_with_less(drawn: list[Grant]) -> None:
    """By some road it is what is read by until its end, and at its end less is read, as the decision itself says."""
    told = {one.grant.id: one.roads for one in ending.ending(drawn, NOW)}
    for one in drawn:
        caller = Caller(recipient=one.recipient, grants=tuple(drawn))
        stands = one.revoked is None and not one.pending and one.valid_from <= NOW < one.valid_until

        def falls(road: str, one: Grant = one, caller: Caller = caller) -> bool:
            last = decide(caller, OFFER, one.valid_until - timedelta(microseconds=1), road=road)
            then = decide(caller, OFFER, one.valid_until, road=road)
            mine = isinstance(last, Allowed) and last.grant == one.id
            return mine and not (isinstance(then, Allowed) and then.shows(last))

        soon = stands and one.valid_until - NOW <= SOON
        assert told.get(one.id, ()) == (tuple(filter(falls, ROADS)) if soon else ())


def test_a_successor_that_cannot_carry_it_is_none() -> None:
    """Deliveries end with a grant after which one for pages goes on; two that share its roads carry it together."""
    first = Grant(1, "甲", PERSONS, None, ("a",), "试", None, NOW - DAY, NOW + DAY, None)
    wide = replace(first, id=2, valid_from=first.valid_until, valid_until=NOW + 300 * DAY)
    assert ending.ending([first, wide], NOW) == []
    web, rest = replace(wide, roads=("web",)), replace(wide, id=3, roads=tuple(one for one in ROADS if one != "web"))
    assert ending.ending([first, web, rest], NOW) == []
    for less in (
        web,
        replace(wide, columns=("b",)),
        replace(wide, divisions=("341502",)),
        replace(rest, columns=("b",)),
    ):
        (told,) = ending.ending([first, less], NOW)
        assert told.grant == first and "tables" in told.roads
        assert ("web" in told.roads) is (less is not web)


@pytest.fixture
def listed(own_city: City, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, object]]]:
    """What a command prints, a line of JSON for each thing."""

    def run(*arguments: str) -> list[dict[str, object]]:
        monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
        monkeypatch.setenv("CITYLAKE_PROJECT", str(own_city.settings.project))
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.output.splitlines()]

    return run


def codes(city: City) -> dict[str, str]:
    rows = Issues(city.register).open()
    return {row["code"]: row["owner"] for row in rows if row["code"].startswith("ending.")}


def test_who_is_told_and_until_when(own_city: City, listed: Callable[..., list[dict[str, object]]]) -> None:
    to = {"recipient": "甲", "product": PERSONS}
    table = {**to, "connection": "front", "table": "t", "whenEnded": "empty"}
    add_deliveries(own_city, {"front": "postgresql://nobody@127.0.0.1:1/none"}, {"persons": table})
    token = own_city.recipient("甲")
    first = own_city.grant("甲", days=20)
    own_city.recipient("乙")
    other = own_city.grant("乙", days=29)
    own_city.recipient("丙")
    own_city.grant("丙", days=300)
    contracts, register = load(own_city.settings.contracts), own_city.register
    owner = contracts.products[PERSONS].contract.form.owner
    for _ in range(2):
        assert ending.tell(register, contracts, now()) == 2
        assert codes(own_city) == {f"ending.emptied:{first.id}": owner, f"ending.grant:{other.id}": owner}
    text = next(row["text"] for row in Issues(register).open() if row["code"].startswith("ending.emptied"))
    assert "persons" in text["zh"] and "甲" not in text["zh"] and "taken away" in text["en"]
    Issues(register).close_others([])
    assert len(codes(own_city)) == 2, "a run of the pipelines knows nothing of them"
    client = own_city.client()
    page = client.get("/access?lang=en", headers=bearer(token)).text
    assert f"Grant #{first.id}" in page and "what you have of it is taken away" in page
    assert [one["id"] for one in listed("access", "list") if one.get("ends_soon") and one["kind"] == "Grant"] == [
        *(first.id, other.id)
    ]
    assert [one["ends_soon"] for one in listed("deliver", "list") if one["delivery"] == "persons"] == [True]

    administration.revoke_grant(register, other.id, actor=STEWARD)
    own_city.grant("甲", valid_from=first.valid_until, days=200)
    assert ending.tell(register, contracts, now()) == 0 and codes(own_city) == {}
    assert f"Grant #{first.id}" not in client.get("/access?lang=en", headers=bearer(token)).text
    assert not any(one["ends_soon"] for one in listed("deliver", "list"))
