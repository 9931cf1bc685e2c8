"""The decision alone: default deny, one rule for each channel, grants in force."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalog.delivery.push import PASSING
from catalog.policy.decision import (
    ANONYMOUS,
    ROADS,
    Allowed,
    Caller,
    Denied,
    Grant,
    Offer,
    OfOrganisations,
    Organisations,
    Reason,
    ShownUntil,
    decide,
)

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
COLUMNS = ("person_ref", "name", "division_code")
DAY = timedelta(days=1)


def offer(channel: str = "sharing", share: str = "有条件共享", version: int | None = 3) -> Offer:
    product = f"{channel}/persons"
    return Offer(product, channel, share, COLUMNS, "division_code", frozenset({"person_ref"}), version)


def grant(**changes: object) -> Grant:
    values: dict[str, object] = {
        "id": 1,
        "recipient": "r",
        "product": "sharing/persons",
        "divisions": None,
        "columns": None,
        "purpose": "p",
        "case_number": None,
        "valid_from": NOW - DAY,
        "valid_until": NOW + DAY,
        "revoked": None,
    }
    return Grant(**{**values, **changes})  # type: ignore[arg-type]


def caller(*grants: Grant) -> Caller:
    return Caller("r", "t", NOW + DAY, grants)


def reason(who: Caller, what: Offer | None) -> Reason:
    decision = decide(who, what, NOW)
    assert isinstance(decision, Denied)
    return decision.reason


def test_a_grant_for_rows_of_organisations_shows_no_others() -> None:
    """By what the product says for them; what it does not know, or no longer tells, lets nothing through."""
    codes = frozenset({("psb", "11A"), ("psb", "11B"), ("hc", "11C")})
    known = replace(offer(), organisations=Organisations("name", codes))
    mine = decide(caller(grant(organisations=("psb", "amr"))), known, NOW)
    assert isinstance(mine, Allowed)
    assert mine.organisations == OfOrganisations("name", ("11A", "11B"))
    assert mine.limited and mine.limiting == {"name"} and mine.told["organisations"] == ("11A", "11B")
    both = decide(caller(grant(organisations=("hc",), divisions=("3415",))), known, NOW)
    assert isinstance(both, Allowed) and both.limiting == {"name", "division_code"}
    assert reason(caller(grant(organisations=("amr",))), known) is Reason.GRANT_EMPTY
    assert reason(caller(grant(organisations=())), known) is Reason.GRANT_EMPTY
    assert reason(caller(grant(organisations=("psb",))), offer()) is Reason.GRANT_EMPTY
    whole = decide(caller(grant()), known, NOW)
    assert isinstance(whole, Allowed) and not whole.limited and "organisations" not in whole.told


def test_what_became_sensitive_waits_for_a_second_person() -> None:
    """Nobody had to approve the grant when it was given; by the contracts of today one column asks for it."""
    now_sensitive = replace(offer(), approval=frozenset({"name"}))
    decision = decide(caller(grant(given_by="a")), now_sensitive, NOW)
    assert isinstance(decision, Allowed) and decision.columns == ("person_ref", "division_code")
    approved = decide(caller(grant(given_by="a", approver="b")), now_sensitive, NOW)
    older = decide(caller(grant()), now_sensitive, NOW)  # from before there were users
    assert isinstance(approved, Allowed) and isinstance(older, Allowed)
    assert approved.columns == older.columns == COLUMNS
    alone = grant(given_by="a", columns=("name",))
    assert reason(caller(alone), now_sensitive) is Reason.COLUMNS_PENDING


CLOSED_BY_CONTRACT = {
    Reason.NOT_SHARED: {"share_type": "不予共享"},
    Reason.LOOKUP_ONLY: {"lookup": True},
    Reason.RELEASE_PENDING: {"shown_until": ShownUntil("gone", "UTC")},
    Reason.GRANT_EMPTY: {"columns": ("another",)},
    Reason.GRANT_REQUIRED: {"share_type": "有条件共享"},
}


@pytest.mark.parametrize(("why", "change"), CLOSED_BY_CONTRACT.items())
def test_a_contract_stops_deliveries_and_only_the_end_of_the_grant_ends_them(
    why: Reason, change: dict[str, Any]
) -> None:
    closed = replace(offer(), **change)
    held = () if why is Reason.GRANT_REQUIRED else (grant(columns=("name",)),)  # it was free: nobody had to have one
    assert reason(caller(*held), closed) is why and why in PASSING
    for over in (grant(columns=("name",), revoked=NOW), grant(columns=("name",), valid_until=NOW)):
        assert reason(caller(over), closed) in {Reason.GRANT_REVOKED, Reason.GRANT_EXPIRED} - PASSING
    everybody = replace(closed, channel="open")
    assert reason(caller(grant(revoked=NOW)), replace(everybody, lookup=True)) is Reason.LOOKUP_ONLY


def test_open_products_are_for_anyone() -> None:
    plain = Offer("open/ages", "open", "无条件共享", ("a", "b"), None, frozenset(), 0)
    for who in (ANONYMOUS, caller()):
        decision = decide(who, plain, NOW)
        assert isinstance(decision, Allowed)
        assert (decision.columns, decision.divisions, decision.grant) == (("a", "b"), None, None)


def test_unconditional_sharing_needs_a_token_and_nothing_else() -> None:
    assert reason(ANONYMOUS, offer(share="无条件共享")) is Reason.TOKEN_REQUIRED
    assert isinstance(decide(caller(), offer(share="无条件共享"), NOW), Allowed)


@pytest.mark.parametrize("what", [offer(), offer("analyst", "无条件共享")])
def test_conditional_sharing_and_analysts_need_a_grant(what: Offer) -> None:
    assert reason(ANONYMOUS, what) is Reason.TOKEN_REQUIRED
    assert reason(caller(), what) is Reason.GRANT_REQUIRED
    assert isinstance(decide(caller(grant(product=what.product)), what, NOW), Allowed)


def test_what_no_rule_allows_is_denied() -> None:
    everything = caller(grant(), grant(product="sharing/other"), grant(product="attic/persons"))
    assert reason(everything, None) is Reason.UNKNOWN_PRODUCT
    assert reason(everything, offer(version=None)) is Reason.NOT_PUBLISHED
    assert reason(everything, offer(share="不予共享")) is Reason.NOT_SHARED
    assert reason(everything, offer(channel="attic")) is Reason.NOT_SHARED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"revoked": NOW - DAY}, Reason.GRANT_REVOKED),
        ({"valid_until": NOW}, Reason.GRANT_EXPIRED),
        ({"pending": True}, Reason.GRANT_PENDING),
        ({"pending": True, "revoked": NOW - DAY}, Reason.GRANT_REVOKED),
        ({"valid_from": NOW + timedelta(microseconds=1)}, Reason.GRANT_NOT_YET),
        ({"recipient": "somebody else"}, Reason.GRANT_REQUIRED),
        ({"product": "sharing/other"}, Reason.GRANT_REQUIRED),
        ({"columns": ()}, Reason.GRANT_EMPTY),
        ({"columns": ("gone",)}, Reason.GRANT_EMPTY),
        ({"divisions": ()}, Reason.GRANT_EMPTY),
        ({"divisions": ("",)}, Reason.GRANT_EMPTY),
    ],
)
def test_why_a_grant_does_not_help(changes: dict[str, object], expected: Reason) -> None:
    assert reason(caller(grant(**changes)), offer()) is expected


@pytest.mark.parametrize("road", [*ROADS, None, "other"])
def test_a_grant_for_some_roads_is_for_no_other(road: str | None) -> None:
    some, every = grant(roads=("rows", "web")), grant(id=0)
    decision = decide(caller(some), offer(), NOW, road=road)
    assert isinstance(decision, Allowed) is (road in ("rows", "web"))
    assert isinstance(decision, Allowed) or decision.reason is Reason.GRANT_ROAD
    assert isinstance(decide(caller(every), offer(), NOW, road=road), Allowed)
    both = decide(caller(some, every), offer(), NOW, road=road)
    assert isinstance(both, Allowed) and both.grant == (1 if road in ("rows", "web") else 0)


def test_a_period_includes_its_start_and_not_its_end() -> None:
    assert isinstance(decide(caller(grant(valid_from=NOW)), offer(), NOW), Allowed)
    assert reason(caller(grant(valid_until=NOW)), offer()) is Reason.GRANT_EXPIRED


def test_a_bad_token_is_denied_even_for_open_products() -> None:
    plain = Offer("open/ages", "open", "无条件共享", ("a",), None, frozenset(), 0)
    assert reason(Caller(problem=Reason.TOKEN_REVOKED), plain) is Reason.TOKEN_REVOKED


def test_a_limit_on_rows_that_cannot_be_applied_closes() -> None:
    no_rows = Offer("sharing/persons", "sharing", "有条件共享", COLUMNS, None, frozenset(), 3)
    assert reason(caller(grant(divisions=("3415",))), no_rows) is Reason.GRANT_EMPTY


def test_the_newest_grant_in_force_counts() -> None:
    narrow, wide = grant(id=5, columns=("name",)), grant(id=4)
    decision = decide(caller(narrow, wide), offer(), NOW)
    assert isinstance(decision, Allowed)
    assert (decision.grant, decision.columns) == (5, ("name",))


def test_pseudonyms_are_named_only_where_they_are_visible() -> None:
    shown, hidden = (decide(caller(grant(columns=names)), offer(), NOW) for names in (("person_ref",), ("name",)))
    assert isinstance(shown, Allowed) and isinstance(hidden, Allowed)
    assert (shown.pseudonyms, hidden.pseudonyms) == (("person_ref",), ())


names = st.sampled_from([*COLUMNS, "gone"])
codes = st.sampled_from(["3415", "341502", "341502001", ""])
moments = st.integers(-3, 3).map(lambda days: NOW + days * DAY)
grants = st.builds(
    grant,
    id=st.integers(1, 9),
    recipient=st.sampled_from(["r", "other"]),
    product=st.sampled_from(["sharing/persons", "analyst/persons"]),
    divisions=st.none() | st.lists(codes, max_size=3).map(tuple),
    columns=st.none() | st.lists(names, max_size=4).map(tuple),
    valid_from=moments,
    valid_until=moments,
    revoked=st.none() | moments,
    pending=st.booleans(),
)
offers = st.builds(
    offer,
    st.sampled_from(["sharing", "analyst", "attic"]),
    st.sampled_from(["有条件共享", "不予共享"]),
    st.none() | st.integers(0, 9),
)


@given(st.lists(grants, max_size=4), offers)
def test_never_more_than_one_grant_in_force_gives(given_grants: list[Grant], what: Offer) -> None:
    decision = decide(caller(*given_grants), what, NOW)
    if isinstance(decision, Denied):
        return
    used = next(item for item in given_grants if item.id == decision.grant and _in_force(item, what))
    assert what.version == decision.version
    assert set(decision.columns) <= set(what.columns)
    assert used.columns is None or set(decision.columns) <= set(used.columns)
    assert (used.divisions is None) == (decision.divisions is None)
    assert used.divisions is None or set(decision.divisions or ()) == set(used.divisions)


@given(st.lists(grants, max_size=4), st.sampled_from([*CLOSED_BY_CONTRACT.values()]))
@example([grant(revoked=NOW), grant(id=2, pending=True)], CLOSED_BY_CONTRACT[Reason.NOT_SHARED])
@example([grant(revoked=NOW), grant(id=2, roads=("web",))], CLOSED_BY_CONTRACT[Reason.LOOKUP_ONLY])
@example([grant(valid_until=NOW), grant(id=2, valid_from=NOW + DAY)], CLOSED_BY_CONTRACT[Reason.NOT_SHARED])
def test_a_product_that_its_contract_closed_ends_deliveries_where_an_open_one_does(
    given_grants: list[Grant], change: dict[str, Any]
) -> None:
    """And for the same reason, whichever of somebody's grants is the newest."""

    def ends(what: Offer) -> Reason | None:
        decision = decide(caller(*given_grants), what, NOW, road="tables")
        return decision.reason if isinstance(decision, Denied) and decision.reason not in PASSING else None

    assert ends(replace(offer(), **change)) is ends(offer())


def test_whoever_reads_a_closed_product_for_another_purpose_is_told_that_it_is_closed() -> None:
    other = replace(caller(grant()), purpose="another")
    assert reason(other, offer()) is Reason.PURPOSE_OTHER
    assert reason(other, offer(share="不予共享")) is Reason.NOT_SHARED


def _in_force(item: Grant, what: Offer) -> bool:
    mine = (item.recipient, item.product) == ("r", what.product)
    return mine and item.revoked is None and not item.pending and item.valid_from <= NOW < item.valid_until
