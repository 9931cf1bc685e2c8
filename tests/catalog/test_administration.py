"""What an officer does: names are checked, secrets are shown once, every act is audited."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from catalog.policy import administration, audit, tokens
from catalog.policy.decision import MARTS, Caller, Reason
from catalog.policy.limits import division_prefix
from citylake.main import app
from pipelines.messages import CitylakeError
from pipelines.register.store import now
from pipelines.register.tables import access
from pipelines.register.tables import token as token_table
from tests.catalog.small_city import ADMINISTRATOR, AGES, APPROVER, GUARD, PERMITS, PERSONS, STEWARD, City


def test_a_token_is_shown_once_and_stored_hashed(city: City) -> None:
    text = city.recipient("令牌测试")
    (stored,) = city.register.rows(sa.select(token_table).where(token_table.c.recipient == "令牌测试"))
    made = tokens.parse(text)
    assert made is not None
    assert stored["id"] == made.id
    assert stored["hash"].startswith("$argon2id$") and len(stored["hash"]) <= 200
    assert all(made.secret not in str(value) for value in stored.values())
    assert made.secret not in repr(made)
    assert all(made.secret not in str(row) for row in audit.recent(city.register, 1000))


def test_who_shows_a_token(city: City) -> None:
    text, callers = city.recipient("来者测试"), city.callers()
    assert callers.from_token(text).recipient == "来者测试"
    assert callers.from_token(None) == callers.from_token("public") == Caller()
    for wrong in ("nonsense", text[:-1] + ("0" if text[-1] != "0" else "1"), "cl_" + "0" * 16 + "_" + "0" * 64):
        assert callers.from_token(wrong).problem is Reason.TOKEN_INVALID
        assert callers.from_token(wrong).recipient is None


def test_revocation_acts_at_once_in_spite_of_remembered_secrets(city: City) -> None:
    text, callers = city.recipient("吊销测试"), city.callers()
    caller = callers.from_token(text)
    assert caller.problem is None and caller.token is not None
    first = administration.revoke_token(city.register, caller.token, actor=GUARD)
    assert callers.from_token(text).problem is Reason.TOKEN_REVOKED
    assert administration.revoke_token(city.register, caller.token, actor=GUARD) == first


def test_a_token_expires(city: City) -> None:
    text = city.recipient("过期测试")
    with city.register.begin() as connection:
        mine = token_table.c.recipient == "过期测试"
        connection.execute(sa.update(token_table).where(mine).values(expires=now() - timedelta(seconds=1)))
    assert city.callers().from_token(text).problem is Reason.TOKEN_EXPIRED


def test_argon2_is_not_paid_twice(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    text, callers = city.recipient("缓存测试"), city.callers()
    assert callers.from_token(text).problem is None
    monkeypatch.setattr(tokens, "HASHER", None)
    assert callers.from_token(text).recipient == "缓存测试"


@pytest.mark.parametrize(
    ("code", "prefix"),
    [("341500", "3415"), ("341502", "341502"), ("341502001", "341502001"), ("341502000000", "341502"), ("", "")],
)
def test_a_division_stands_for_all_below_it(code: str, prefix: str) -> None:
    assert division_prefix(code) == prefix


def test_grants_are_checked(city: City) -> None:
    city.recipient("授权测试")
    refused = {
        "web.policy.no_product": {"product": "sharing/nothing"},
        "web.policy.no_columns": {"columns": ["mobile"]},
        "web.policy.nothing": {"columns": []},
        "web.policy.no_divisions": {"divisions": ["999999"]},
        "web.policy.no_rows": {"product": AGES, "divisions": ["341502"]},
        "web.policy.bad_days": {"days": 0},
    }
    for code, arguments in refused.items():
        with pytest.raises(CitylakeError) as error:
            city.grant("授权测试", **{"product": PERSONS, **arguments})
        assert error.value.code == code
    with pytest.raises(CitylakeError, match="36500"):
        city.grant("授权测试", PERSONS, days=36_501)
    for nowhere in ("", "000000"):
        with pytest.raises(CitylakeError, match="divisions"):
            city.grant("授权测试", divisions=[nowhere])
    with pytest.raises(CitylakeError, match="登记"):
        city.grant("没有登记的人")
    with pytest.raises(CitylakeError, match="用途"):
        administration.grant(city.register, city.contracts, "授权测试", PERSONS, purpose=" ", actor=STEWARD)


def test_what_everybody_may_have_is_not_limited(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    own_city.recipient("不限测试")
    free = "sharing/population_conflict_count"
    columns = [column.name for column in own_city.contracts.products[free].columns][:1]
    for product, limits in ((free, {"columns": columns}), (free, {"roads": ["rows"]}), (AGES, {"roads": ["web"]})):
        with pytest.raises(CitylakeError, match="限定不起作用") as error:
            own_city.grant("不限测试", product, **limits)
        assert error.value.code == "web.policy.for_everybody"
    given = own_city.grant("不限测试", free)
    own_city.grant("不限测试", columns=["name"])

    def listed() -> dict[str, bool]:
        monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
        lines = map(json.loads, CliRunner().invoke(app, ["access", "list"]).output.splitlines())
        return {one["product"]: one["limited_in_vain"] for one in lines if one["kind"] == "Grant"}

    assert listed() == {free: False, PERSONS: False}
    with own_city.register.begin() as connection:  # as it was given before
        connection.execute(sa.update(access).where(access.c.id == given.id).values(columns=columns))
    assert listed() == {free: True, PERSONS: False}


def test_grants_are_limited_to_organisations_that_the_product_knows(city: City) -> None:
    city.recipient("单位测试", "hc")
    own = city.grant("单位测试", PERMITS, organisations=["own", "psb"])
    assert own.organisations == ("hc", "psb") and city.grant("单位测试").organisations is None
    for code, arguments in {
        "web.policy.no_organisation_rows": {"product": PERSONS, "organisations": ["own"]},
        "web.policy.nothing": {"organisations": []},
        "web.policy.no_rows_of": {"organisations": ["psb", "umb"]},
        "web.policy.whole_only": {"product": MARTS, "organisations": ["own"]},
    }.items():
        with pytest.raises(CitylakeError) as error:
            city.grant("单位测试", **{"product": PERMITS, **arguments})
        assert error.value.code == code
    city.recipient("无码单位", "umb")
    with pytest.raises(CitylakeError, match="authorities") as error:
        city.grant("无码单位", PERMITS, organisations=["own"])
    assert (
        "umb" in str(error.value) and "organisation" in city.contracts.codes["authorities"].rows["11341500MBX800024J"]
    )
    with pytest.raises(CitylakeError) as error:
        city.grant("单位测试", PERMITS)
    assert error.value.code == "web.policy.overlap"


def test_grants_of_one_product_do_not_overlap(city: City) -> None:
    city.recipient("重叠测试")
    first = city.grant("重叠测试", divisions=["341500"], columns=["name", "person_ref"], case_number="2026-1")
    assert (first.divisions, first.columns) == (("3415",), ("person_ref", "name"))
    with pytest.raises(CitylakeError) as error:
        city.grant("重叠测试")
    assert error.value.code == "web.policy.overlap"
    city.grant("重叠测试", valid_from=first.valid_until)
    assert administration.revoke_grant(city.register, first.id, actor=STEWARD).revoked is not None
    city.grant("重叠测试", days=30)
    assert [item.revoked is None for item in administration.list_grants(city.register, "重叠测试")] == [
        False,
        True,
        True,
    ]


def test_recipients_and_unknown_ids(city: City) -> None:
    city.recipient("名录测试", "dsrb")
    assert "名录测试" in [item.name for item in administration.list_recipients(city.register)]
    cases = {
        "web.policy.recipient_exists": lambda: city.recipient("名录测试"),
        "web.policy.no_organisation": lambda: city.recipient("新来", "nobody"),
        "web.policy.bad_name": lambda: city.recipient(" 空格 "),
        "web.policy.no_token": lambda: administration.revoke_token(city.register, "none", actor=GUARD),
        "web.policy.no_grant": lambda: administration.revoke_grant(city.register, 10**6, actor=STEWARD),
        "web.policy.no_recipient": lambda: administration.issue_token(city.register, "不存在", actor=ADMINISTRATOR),
    }
    for code, act in cases.items():
        with pytest.raises(CitylakeError) as error:
            act()
        assert error.value.code == code


def test_acts_are_audited_and_the_profile_is_the_clients(city: City) -> None:
    administration.create_recipient(city.register, city.contracts, "审计测试", "psb", actor=ADMINISTRATOR)
    issued = administration.issue_token(city.register, "审计测试", days=1, actor=ADMINISTRATOR)
    administration.revoke_grant(city.register, city.grant("审计测试").id, actor=GUARD)
    rows = audit.recent(city.register, 10, "审计测试")
    assert [(row["action"], row["body"]["actor"]) for row in rows] == [
        ("grant.revoke", GUARD),
        ("grant.approve", APPROVER),
        ("grant.give", STEWARD),
        ("token.issue", ADMINISTRATOR),
        ("recipient.create", ADMINISTRATOR),
    ]
    assert [row["body"].get("approver") for row in rows[:3]] == [APPROVER, APPROVER, None]
    assert {row["body"]["given_by"] for row in rows[:3]} == {STEWARD}
    profile = administration.profile(issued, "http://host/delta-sharing")
    assert profile["shareCredentialsVersion"] == 1 and profile["bearerToken"] == issued.token
    assert profile["expirationTime"].endswith("Z")
    assert issued.token not in repr(issued)


def test_a_slip_in_a_division_is_an_error_and_grants_nothing_wider(city: City) -> None:
    city.recipient("错码测试")
    for slip in ("34150", "3", "34", "3415", "3415020", "341502000000", " 341502", "341502 "):
        with pytest.raises(CitylakeError) as error:
            city.grant("错码测试", divisions=["341502", slip])
        assert error.value.code == "web.policy.no_divisions" and slip in str(error.value)
    for code in ("341500", "341502001", "341502001001"):
        given = city.grant("错码测试", divisions=[code])
        assert given.divisions == (division_prefix(code),)
        administration.revoke_grant(city.register, given.id, actor=STEWARD)
