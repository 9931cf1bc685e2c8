"""Who may act: every act with every role, what lies apart, and that refusals change nothing and are audited."""

from collections.abc import Callable
from datetime import timedelta
from itertools import combinations

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.policy import (
    administration,
    anomalies,
    audit,
    credentials,
    epochs,
    identities,
    keys,
    logins,
    releases,
    renewal,
    suspension,
    users,
)
from catalog.policy.decision import MARTS
from catalog.policy.logins import Person
from catalog.policy.users import ACTS, ROLES, NotAllowed
from pipelines.contracts.forms.limits import CredentialsForm
from pipelines.issues import Finding, Issues
from pipelines.messages import CitylakeError
from pipelines.register.store import now
from pipelines.register.tables import (
    access,
    account,
    application,
    identity,
    invitation,
    issue,
    ledger,
    pseudonym_epoch,
    recipient,
    token,
)
from pipelines.register.tables import session as session_table
from pipelines.register.tables import suspension as suspension_table
from tests.catalog.small_city import (
    ADMINISTRATOR,
    APPROVER,
    DIVISIONS,
    GUARD,
    OFFICE,
    PERSONS,
    STEWARD,
    City,
    asking_for,
    bearer,
    enrolled,
    key_of,
)
from tests.commands.test_roles import COMMANDS

TABLES = (
    *(account, invitation, identity, session_table, application, recipient, token, access, suspension_table),
    *(ledger, issue, pseudonym_epoch),
)
Act = Callable[[City, str], object]
TOGETHER = (
    {"department_user", "administrator"},
    {"department_user", "security_officer"},
    {"department_user", "steward"},
    {"department_user", "approver"},
    {"steward", "approver"},
    {"steward", "security_officer"},
    {"approver", "security_officer"},
)
"""The pairs of roles that one person may hold."""


def acts(city: City) -> dict[str, Act]:
    """Every act, each with something it can be done to."""
    city.recipient("甲"), city.recipient("乙", "cab")
    issued = administration.issue_token(city.register, "甲", actor=ADMINISTRATOR)
    city.recipient("内", OFFICE)
    theirs = administration.issue_token(city.register, "内", actor=ADMINISTRATOR).id
    first = city.grant("甲", DIVISIONS)
    waiting = administration.grant(city.register, city.contracts, "乙", PERSONS, purpose="p", actor=STEWARD)
    users.create(city.register, city.contracts, "来者", OFFICE, ["department_user"], actor=ADMINISTRATOR)
    suspension.suspend(city.register, city.contracts, "recipient", "乙", "试", actor=GUARD)
    suspension.suspend(city.register, city.contracts, "organisation", "hc", "试", actor=GUARD)
    register, contracts = city.register, city.contracts
    asking = asking_for(contracts, "standing")
    releases.propose(register, asking, PERSONS, "试", actor=STEWARD)
    with register.begin() as connection:
        about = {"day": "2026-11-26", "count": 30, "products": 2, "row": 7}
        logins.begin(connection, "来者", "password", contracts.city.signIn)
        odd = Issues.open_one(connection, "audit", OFFICE, Finding("anomaly.beyond", about, "warning"))
    return {
        "user.create": lambda _, who: users.create(register, contracts, "新人", OFFICE, ["steward"], actor=who),
        "user.change": lambda _, who: users.change(register, "来者", ["steward"], actor=who),
        "user.invite": lambda _, who: credentials.invite(register, "来者", actor=who),
        "session.end": lambda _, who: users.end_sessions(register, "来者", actor=who),
        "identity.bind": lambda _, who: identities.bind(register, "来者", "https://id.example", "7", actor=who),
        "identity.unbind": lambda _, who: identities.unbind(register, "来者", actor=who),
        "user.end": lambda _, who: users.end(register, "来者", actor=who),
        "application.create": lambda _, who: administration.create_application(
            register, contracts, "系统", "psb", actor=who
        ),
        "recipient.create": lambda _, who: administration.create_recipient(register, contracts, "丙", "psb", actor=who),
        "recipient.suspend": lambda _, who: suspension.suspend(register, contracts, "recipient", "甲", "试", actor=who),
        "recipient.lift": lambda _, who: suspension.lift(register, "recipient", "乙", "试", actor=who),
        "organisation.suspend": lambda _, who: suspension.suspend(
            register, contracts, "organisation", "psb", "试", actor=who
        ),
        "organisation.lift": lambda _, who: suspension.lift(register, "organisation", "hc", "试", actor=who),
        "token.issue": lambda _, who: administration.issue_token(register, "甲", actor=who),
        "token.rotate": lambda _, who: administration.rotate_token(register, issued.id, timedelta(days=7), actor=who),
        "token.renew": lambda _, who: renewal.by_user(register, CredentialsForm(), theirs, 24, "web", signed_in(who)),
        "token.revoke": lambda _, who: administration.revoke_token(register, issued.id, actor=who),
        "grant.give": lambda _, who: administration.grant(register, contracts, "甲", MARTS, purpose="p", actor=who),
        "grant.approve": lambda _, who: administration.approve_grant(register, waiting.id, key_of(who), actor=who),
        "grant.revoke": lambda _, who: administration.revoke_grant(register, first.id, actor=who),
        "release.propose": lambda _, who: releases.propose(register, asking, DIVISIONS, "试", actor=who),
        "release.approve": lambda _, who: releases.approve(register, asking, PERSONS, key_of(who), actor=who),
        "key.enrol": lambda _, who: keys.enrol(register, GUARD, key_of(GUARD).public_key(Encoding.PEM), actor=who),
        "key.end": lambda _, who: keys.end(register, APPROVER, actor=who),
        "release.refuse": lambda _, who: releases.refuse(register, PERSONS, "试", actor=who),
        "pseudonym.rotate": lambda _, who: epochs.rotate(register, "甲", "试", actor=who, zone="Asia/Shanghai"),
        "anomaly.settle": lambda _, who: anomalies.settle(register, odd, "已核实", actor=who),
    }


def signed_in(name: str) -> Person:
    """Somebody with a second factor; the register says what they may."""
    return Person(users.User(name, "psb", (), now(), None, None), "", "password_totp", now(), None)


def state(city: City) -> list[list[dict[str, object]]]:
    return [city.register.rows(sa.select(table)) for table in TABLES]


def test_every_act_by_every_role(own_city: City) -> None:
    every = acts(own_city)
    elsewhere = {"pseudonym.transition", "sealing.key", "head.accept", *COMMANDS}
    assert every.keys() == ACTS.keys() - elsewhere, (
        "two write a file (test_epochs, test_sealed), one signs (test_handover), commands ask (test_roles)"
    )
    for role in ROLES:
        users.create(own_city.register, own_city.contracts, role, OFFICE, [role], actor=ADMINISTRATOR)
    enrolled(own_city.register, "approver"), enrolled(own_city.register, APPROVER)
    for act, do in every.items():
        for role in [role for role in ROLES if role not in ACTS[act]]:
            before = state(own_city)
            with pytest.raises(NotAllowed) as error:
                do(own_city, role)
            assert error.value.code == "user.role" and state(own_city) == before
            row = audit.recent(own_city.register, 1)[0]
            assert (row["action"], row["outcome"]) == (act, "denied")
            assert row["body"] == {"actor": role, "reason": "user.role"}
        before = state(own_city)
        do(own_city, next(role for role in ROLES if role in ACTS[act]))
        row = audit.recent(own_city.register, 1)[0]
        assert (row["action"], row["outcome"]) == (act, "allowed") and row["body"]["actor"] in ACTS[act]
        assert state(own_city) != before
    assert not any("auditor" in roles for roles in ACTS.values()), "whoever looks on changes nothing"
    assert audit.first_break(own_city.register) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*ROLES, "root", ""]), max_size=4))
def test_which_roles_go_together(city: City, roles: list[str]) -> None:
    """Whatever is asked for, nobody ends with two roles that lie apart."""
    wrong = not roles or not set(roles) <= set(ROLES)
    apart = any(set(pair) <= set(roles) for pair in combinations(sorted(set(roles)), 2) if set(pair) not in TOGETHER)
    name = "多面手"
    if name not in [user.name for user in users.listed(city.register)]:
        users.create(city.register, city.contracts, name, OFFICE, ["steward"], actor=ADMINISTRATOR)
    if wrong or apart:
        with pytest.raises(CitylakeError) as error:
            users.change(city.register, name, roles, actor=ADMINISTRATOR)
        assert error.value.code == ("user.no_role" if wrong else "user.apart")
    else:
        assert set(users.change(city.register, name, roles, actor=ADMINISTRATOR).roles) == set(roles)


def test_nobody_both_makes_accounts_and_uses_them(own_city: City) -> None:
    """Whatever roles one person may hold together: who makes users, recipients or tokens neither gives nor approves a
    grant, also with roles from before they lay apart."""
    register, contracts = own_city.register, own_city.contracts
    makes = {act for act in ACTS if act.endswith(".create") or act in ("user.change", "token.issue")}
    uses = {"grant.give", "grant.approve", "release.propose", "release.approve"}
    for held in (*({role} for role in ROLES), *TOGETHER):
        may = {act for act, roles in ACTS.items() if roles & held}
        assert not (may & makes and may & uses), held
    own_city.recipient("甲")
    with register.begin() as connection:
        old = sa.update(account).where(account.c.name == STEWARD)
        connection.execute(old.values(roles=["steward", "approver", "administrator"]))
    with pytest.raises(NotAllowed) as error:
        administration.grant(register, contracts, "甲", PERSONS, purpose="p", actor=STEWARD)
    assert error.value.code == "user.role"
    assert administration.create_recipient(register, contracts, "丁", "psb", actor=STEWARD).name == "丁"
    assert users.change(register, STEWARD, ["steward", "approver"], actor=ADMINISTRATOR).roles == (
        "steward",
        "approver",
    )
    assert administration.grant(register, contracts, "甲", PERSONS, purpose="p", actor=STEWARD).pending


def test_only_the_first_needs_nobody(own_city: City) -> None:
    with pytest.raises(CitylakeError) as error:
        users.begin(own_city.register, own_city.contracts, "第二位", OFFICE)
    assert error.value.code == "user.begun"
    with own_city.register.begin() as connection:
        connection.execute(sa.delete(account))
    with pytest.raises(NotAllowed, match="access init"):
        own_city.recipient("甲")
    assert users.begin(own_city.register, own_city.contracts, "第一位", OFFICE).roles == ("administrator",)


def test_accounts_are_checked(own_city: City) -> None:
    register, contracts = own_city.register, own_city.contracts
    users.create(register, contracts, "去者", OFFICE, ["steward"], actor=ADMINISTRATOR)
    users.end(register, "去者", actor=GUARD)
    cases: dict[str, Callable[[], object]] = {
        "user.exists": lambda: users.create(register, contracts, "去者", OFFICE, ["steward"], actor=ADMINISTRATOR),
        "user.bad_name": lambda: users.create(register, contracts, " 甲", OFFICE, ["steward"], actor=ADMINISTRATOR),
        "web.policy.no_organisation": lambda: users.create(
            register, contracts, "甲", "nobody", ["steward"], actor=ADMINISTRATOR
        ),
        "user.gone": lambda: users.change(register, "去者", ["steward"], actor=ADMINISTRATOR),
        "user.own_account": lambda: users.change(register, ADMINISTRATOR, ["steward"], actor=ADMINISTRATOR),
        "user.last": lambda: users.end(register, ADMINISTRATOR, actor=GUARD),
        "user.ended": lambda: administration.grant(register, contracts, "甲", PERSONS, purpose="p", actor="去者"),
        "user.unknown": lambda: administration.grant(register, contracts, "甲", PERSONS, purpose="p", actor="无人"),
    }
    for code, act in cases.items():
        before = state(own_city)
        with pytest.raises(CitylakeError) as error:
            act()
        assert error.value.code == code and state(own_city) == before


def test_two_persons_for_a_grant_of_sensitive_data(own_city: City) -> None:
    register, contracts, client = own_city.register, own_city.contracts, own_city.client()
    token_ = own_city.recipient("甲", "cab")
    users.create(register, contracts, "双职", OFFICE, ["steward", "approver"], actor=ADMINISTRATOR)
    users.create(register, contracts, "民政人", "cab", ["steward", "approver"], actor=ADMINISTRATOR)
    road = f"/datasets/{PERSONS}/download/csv"

    def refused(code: str, act: Callable[[], object]) -> None:
        with pytest.raises(CitylakeError) as error:
            act()
        assert error.value.code == code
        assert client.get(road, headers=bearer(token_)).status_code == 403

    def give(who: str) -> object:
        return administration.grant(register, contracts, "甲", PERSONS, purpose="p", actor=who)

    refused("user.own_organisation", lambda: give("民政人"))
    given_ = administration.grant(register, contracts, "甲", PERSONS, purpose="p", actor="双职")
    assert (given_.pending, given_.given_by, given_.approver) == (True, "双职", None)
    refused("web.policy.overlap", lambda: give(STEWARD))
    refused("user.own_request", lambda: administration.approve_grant(register, given_.id, actor="双职"))
    refused("user.own_organisation", lambda: administration.approve_grant(register, given_.id, actor="民政人"))
    assert audit.recent(register, 1)[0]["body"]["reason"] == "grant_pending", "the read before"
    approved = administration.approve_grant(register, given_.id, actor=APPROVER)
    assert (approved.pending, approved.given_by, approved.approver) == (False, "双职", APPROVER)
    assert client.get(road, headers=bearer(token_)).status_code == 200
    with pytest.raises(CitylakeError, match="不在待审批"):
        administration.approve_grant(register, given_.id, actor=APPROVER)
    administration.revoke_grant(register, given_.id, actor=APPROVER)
    again = administration.grant(register, contracts, "甲", PERSONS, purpose="p", actor=STEWARD)
    administration.revoke_grant(register, again.id, actor=APPROVER)  # refused
    refused("user.not_pending", lambda: administration.approve_grant(register, again.id, actor=APPROVER))


def test_what_needs_no_second_person(own_city: City) -> None:
    """By the levels of the columns that are shown, not by those of the product."""
    own_city.recipient("甲")
    plain = administration.grant(own_city.register, own_city.contracts, "甲", DIVISIONS, purpose="p", actor=STEWARD)
    narrow = administration.grant(
        own_city.register, own_city.contracts, "甲", PERSONS, purpose="p", columns=["division_code"], actor=STEWARD
    )
    whole = administration.grant(own_city.register, own_city.contracts, "甲", MARTS, purpose="p", actor=STEWARD)
    levels = {column.name: column.level for column in own_city.contracts.products[PERSONS].columns}
    assert max(levels.values()) >= 3 > levels["division_code"]
    assert (plain.pending, narrow.pending, whole.pending) == (False, False, True)
