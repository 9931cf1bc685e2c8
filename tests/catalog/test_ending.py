"""Grants that end soon are told in time: to who owns the product, to the recipient, with the deliveries that end."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog.delivery import ending
from catalog.policy import administration
from catalog.policy.administration import SOON
from catalog.policy.decision import Grant
from citylake.main import app
from pipelines.contracts.load import load
from pipelines.issues import Issues
from pipelines.register.store import now
from tests.catalog.filing import add_deliveries
from tests.catalog.small_city import PERSONS, STEWARD, City, bearer

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
grants = st.builds(
    lambda number, who, start, days, revoked, pending: Grant(
        *(number, who, PERSONS, None, None, "试", None, NOW + start * DAY, NOW + (start + days) * DAY),
        revoked=NOW if revoked else None,
        pending=pending,
    ),
    st.integers(1, 10**6),
    st.sampled_from("甲乙"),
    *(st.integers(-60, 60), st.integers(1, 60), st.booleans(), st.booleans()),
)


@given(st.lists(grants, max_size=6, unique_by=lambda one: one.id))
def test_it_is_told_while_the_recipient_would_stand_without(drawn: list[Grant]) -> None:
    """Before its end there is a grant, at its end there is none that goes on."""
    told = {one.id for one in ending.ending(drawn, NOW)}
    for one in drawn:
        stands = one.revoked is None and not one.pending and one.valid_from <= NOW < one.valid_until
        others = [other for other in drawn if other.recipient == one.recipient and other.revoked is None]
        at_end = [other for other in others if not other.pending and other.valid_from <= one.valid_until]
        covered = any(other.valid_until > one.valid_until for other in at_end)
        assert (one.id in told) == (stands and one.valid_until - NOW <= SOON and not covered)


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
