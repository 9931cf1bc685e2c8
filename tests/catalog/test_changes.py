"""Change sets and the change data feed: under any policy snapshot and changes give the later snapshot, nothing hidden
is in any byte, and a feed that cannot lead on says so."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from catalog.policy import administration, audit
from pipelines.register.times import as_utc
from pipelines.release.ledger import ERASURE, RETENTION, Entry
from tests.catalog.following import Follower
from tests.catalog.small_city import AGES, PERSONS, STEWARD, VILLAGES, City, bearer
from tests.draws import draws

TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
OPEN = "/delta-sharing/shares/open/schemas/population/tables/age_structure_by_county"
NAME = "随机变更"
COLUMNS = ("person_ref", "name", "sex", "birth_year", "division_code", "county_name", "education")
TYPES = dict.fromkeys(COLUMNS, "VARCHAR") | {"birth_year": "INTEGER"}

persons = st.dictionaries(
    st.integers(0, 9),
    st.tuples(
        st.sampled_from(["张**", "王**", "李'*"]),
        st.sampled_from(["1", "2"]),
        st.none() | st.integers(1950, 1953),
        st.none() | st.sampled_from(VILLAGES),
        st.sampled_from(["金安区", "裕安区"]),
        st.none() | st.just("20"),
    ),
    max_size=8,
)
releases = st.lists(st.tuples(persons, st.booleans()), min_size=2, max_size=4)
limits = st.fixed_dictionaries(
    {
        "divisions": st.none() | st.lists(st.sampled_from(["341502", "341503", "341504"]), min_size=1, max_size=2),
        "columns": st.none() | st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4, unique=True),
    }
)


def table_of(rows: dict[int, tuple[Any, ...]], columns: tuple[str, ...]) -> str:
    """A query for City.release: braces would be taken for places to fill."""
    values = [dict(zip(COLUMNS, (f"person {number:02}", *row), strict=True)) for number, row in rows.items()]
    cells = [", ".join(_cell(row[name]) for name in columns) for row in values]
    listed = ", ".join(f"({line})" for line in cells) or f"({', '.join(['null'] * len(columns))})"
    typed = ", ".join(f"cast({name} as {TYPES[name]}) as {name}" for name in columns)
    return f"select {typed} from (values {listed}) as t({', '.join(columns)}) where {bool(rows)}"


def _cell(value: object) -> str:
    if value is None:
        return "null"
    return str(value) if isinstance(value, int) else "'{}'".format(str(value).replace("'", "''"))


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> tuple[City, TestClient, str]:
    """A city to which examples release, one after the other."""
    city = City(tmp_path_factory.mktemp("changing"))
    city.release(PERSONS)
    return city, city.client(), city.recipient(NAME)


@settings(
    max_examples=draws(8),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # a released version stays: shrinking would take hours
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(releases, limits, st.sampled_from(["parquet", "delta"]), st.booleans())
def test_snapshot_and_changes_are_the_later_snapshot(
    changing: tuple[City, TestClient, str],
    drawn: list[tuple[dict[int, tuple[Any, ...]], bool]],
    limit: dict[str, Any],
    kind: str,
    by_steps: bool,
) -> None:
    city, client, token = changing
    given_grant = city.grant(NAME, **limit)
    try:
        _follow(city, client, token, drawn, limit, kind, by_steps)
    finally:
        administration.revoke_grant(city.register, given_grant.id, actor=STEWARD)


def _follow(
    city: City,
    client: TestClient,
    token: str,
    drawn: list[tuple[dict[int, tuple[Any, ...]], bool]],
    limit: dict[str, Any],
    kind: str,
    by_steps: bool,
) -> None:
    versions, shown = [], []
    for rows, without in drawn:
        columns = tuple(name for name in COLUMNS if not (without and name == "education"))
        made = city.contracts.products[PERSONS].columns
        body = {column.name: [column.source, column.mask] for column in made if column.name in columns}
        versions.append(city.release(PERSONS, query=table_of(rows, columns), columns=body))
        shown.append(frozenset(columns) & frozenset(limit["columns"] or COLUMNS))
    shown = [one & shown[-1] for one in shown]  # a column that the published version has not is closed in all
    if not all(shown):
        return  # the grant shows nothing of a version
    follower, reader = Follower(client, token, TABLE, kind), Follower(client, token, TABLE)
    follower.snapshot(versions[0])
    assert set(follower.columns) == shown[0]
    ends = versions[1:] if by_steps else versions[-1:]
    for before, end in zip([versions[0], *ends], ends, strict=False):
        passed = shown[versions.index(before) : versions.index(end) + 1]
        reader.snapshot(end)
        if follower.follow(end):
            assert len(set(passed)) == 1 and follower.rows == reader.rows
            follower.version = end  # a release without a change tells no file
        else:
            assert len(set(passed)) > 1, "only other columns end a feed"
            follower.snapshot(end)


def test_a_key_that_is_shown_tells_updates(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    given_grant = own_city.grant("甲", columns=["person_ref", "name", "education"], divisions=["341502", "341503"])
    first = {1: ("张**", "1", 1950, VILLAGES[0], "金安区", None), 2: ("王**", "2", 1951, VILLAGES[0], "金安区", "20")}
    second = {1: ("张**", "1", 1950, VILLAGES[1], "金安区", "20"), 3: first[2]}
    versions = [own_city.release(PERSONS, query=table_of(rows, COLUMNS)) for rows in (first, second)]
    assert _kinds(own_city, client, token, versions[1]) == Counter(
        ["update_preimage", "update_postimage", "delete", "insert"]
    )
    administration.revoke_grant(own_city.register, given_grant.id, actor=STEWARD)
    own_city.grant("甲", columns=["name", "education"])
    kinds = _kinds(own_city, client, token, versions[1])
    assert kinds == Counter(["delete", "insert"]), "without the key an update is a row less and a row more"


def test_who_moves_out_of_the_granted_division_is_deleted_there(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", columns=["person_ref", "name"], divisions=["341502"])
    row = ("张**", "1", 1950, VILLAGES[0], "金安区", None)
    away = (*row[:3], VILLAGES[2], *row[4:])
    versions = [
        own_city.release(PERSONS, query=table_of({1: one, 2: two}, COLUMNS)) for one, two in ((row, away), (away, row))
    ]
    assert _kinds(own_city, client, token, versions[1]) == Counter(["delete", "insert"])


def _kinds(city: City, client: TestClient, token: str, version: int) -> Counter[str]:
    desk = client.app.state.desk  # type: ignore[attr-defined]
    admission = desk.admit(desk.callers.from_token(token), PERSONS, "test", "test")
    before, after = (desk.at_version(admission, number) for number in (version - 1, version))
    return Counter(row[-1] for row in desk.preview(desk.changes(before, after)))


def test_nothing_hidden_is_in_any_byte_of_a_feed(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"], columns=["person_ref", "name"])
    own_city.release(PERSONS, 60)
    own_city.release(PERSONS, 52)
    hidden = ["id_number", "division_code", "birth_year", "education", "裕安区", "叶集区", "341502****", "341503"]
    hidden += own_city.values(PERSONS, "person_ref")
    for kind in ("parquet", "delta"):
        follower = Follower(client, token, TABLE, kind)
        follower.snapshot(0)
        assert follower.follow() and sum(follower.rows.values()) == 26
        views = own_city.settings.lake.root / "views"
        for content in [*follower.told, *(path.read_bytes() for path in views.rglob("*") if path.is_file())]:
            for text in hidden:
                assert text.encode() not in content and json.dumps(text)[1:-1].encode() not in content, text


def test_a_feed_from_the_beginning_gives_everything(own_city: City) -> None:
    own_city.release(AGES, 60)
    client = own_city.client()
    for kind in ("parquet", "delta"):
        follower = Follower(client, client.get("/open.share").json()["bearerToken"], OPEN, kind)
        follower.columns = [column.name for column in own_city.contracts.products[AGES].columns]
        assert follower.follow() and follower.version == 1
        reader = Follower(client, follower.shown["Authorization"].split()[1], OPEN)
        reader.snapshot()
        assert follower.rows == reader.rows and sum(reader.rows.values()) == 60


def test_a_feed_does_not_lead_on_from_what_was_taken_back_ended_or_erased(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", columns=["person_ref", "name"])
    for rows in (50, 60, 70):
        own_city.release(PERSONS, rows)
    followers = [Follower(client, token, TABLE) for _ in range(4)]
    for number, follower in enumerate(followers):
        follower.snapshot(number)
    own_city.ledger.record([Entry(RETENTION, "retention-1", "r", None, {"releases": {PERSONS: {"0": ["f", None]}}})])
    assert not followers[0].follow() and followers[1].follow()
    own_city.ledger.record([Entry(ERASURE, "erasure-1", "e", None, {"releases": {PERSONS: {"2": ["f", "g"]}}})])
    assert not followers[2].follow(), "they may hold the person that was erased"
    own_city.withdraw(PERSONS)
    own_city.release(PERSONS, 80)
    assert not followers[3].follow()
    followers[3].snapshot()
    own_city.release(PERSONS, 90)
    assert followers[3].follow() and sum(followers[3].rows.values()) == 90


def test_a_version_between_that_was_ended_is_passed_over(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", columns=["person_ref", "name"])
    own_city.release(PERSONS, 50)
    own_city.release(PERSONS, 60)
    follower = Follower(client, token, TABLE)
    follower.snapshot(0)
    own_city.ledger.record([Entry(RETENTION, "retention-1", "r", None, {"releases": {PERSONS: {"1": ["f", None]}}})])
    assert follower.follow() and follower.version == 2 and sum(follower.rows.values()) == 60


def test_a_feed_over_a_changed_grant_is_refused_until_a_new_snapshot_is_taken(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    columns, reader = ["person_ref", "division_code", "name"], Follower(client, token, TABLE)
    follower, other = Follower(client, token, TABLE), Follower(client, own_city.recipient("乙"), TABLE)
    own_city.grant("乙", divisions=["341502"], columns=columns)
    given_grant = own_city.grant("甲", divisions=["341502"], columns=columns)
    follower.snapshot()
    other.snapshot()
    for limits in (
        {"divisions": ["341503"]},
        {"divisions": ["341502", "341503"]},
        {"divisions": ["341502", "341503"], "columns": columns[:2]},
        {"columns": columns[:2]},
    ):
        administration.revoke_grant(own_city.register, given_grant.id, actor=STEWARD)
        given_grant = own_city.grant("甲", **{"columns": columns, **limits})
        own_city.release(PERSONS, 60)
        assert not follower.follow(), limits
        follower.snapshot()
        own_city.release(PERSONS, 52)
        reader.snapshot()
        assert follower.follow() and follower.rows == reader.rows
        assert other.follow(), "the grants of others are theirs"


def test_who_stopped_within_a_feed_does_not_go_on_under_another_grant(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    given_grant, follower = own_city.grant("甲", divisions=["341502"]), Follower(client, token, TABLE)
    for rows in (50, 60, 70):
        own_city.release(PERSONS, rows)
    follower.snapshot(0)
    assert follower.follow(2) and follower.version == 2
    administration.revoke_grant(own_city.register, given_grant.id, actor=STEWARD)
    own_city.grant("甲", divisions=["341503"])
    follower.version = 1  # it has put one of the two steps in place
    assert not follower.follow()
    follower.version = 2
    assert not follower.follow()


def test_a_feed_is_asked_for_by_moments_too_and_mistakes_are_the_clients(own_city: City) -> None:
    own_city.release(AGES, 60)
    own_city.release(AGES, 72)
    client = own_city.client()
    at = [as_utc(row.at) for row in reversed(own_city.ledger.history(AGES))]
    tick = timedelta(microseconds=1)

    def files(**question: object) -> list[int] | str:
        answer = client.get(f"{OPEN}/changes", params=question)
        if answer.status_code != 200:
            assert answer.status_code == 400 and answer.json()["errorCode"] == "INVALID_PARAMETER_VALUE"
            return str(answer.json()["message"])
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert lines[1]["metaData"]["configuration"]["enableChangeDataFeed"] == "true"
        assert str(lines[1]["metaData"]["version"]) == answer.headers["delta-table-version"]
        return [next(iter(line.values()))["version"] for line in lines[2:]]

    assert files(startingVersion=0) == [0, 1, 2] and files(startingVersion=1, endingVersion=1) == [1]
    assert files(startingTimestamp=(at[0] + tick).isoformat(), endingTimestamp=(at[2] - tick).isoformat()) == [1]
    assert files(startingTimestamp=at[0].isoformat(), endingVersion=99) == [0, 1, 2]
    assert files(startingVersion=1, includeHistoricalMetadata="True") == [1, 2]
    wrong: list[tuple[dict[str, object], str]] = [
        ({}, "起点"),
        ({"startingVersion": 3}, "现行版本是 2"),
        ({"startingTimestamp": (at[2] + tick).isoformat()}, "现行版本是 2"),
        ({"startingVersion": 2, "endingVersion": 1}, "早于起点"),
        ({"startingVersion": 0, "endingTimestamp": (at[0] - tick).isoformat()}, "早于首次发布"),
        ({"startingVersion": 0, "startingTimestamp": at[0].isoformat()}, "只能给出一个"),
        ({"startingVersion": "x"}, "非负整数"),
        ({"startingVersion": 0, "version": 0}, "不接受参数 version"),
        ({"startingVersion": 0, "includeHistoricalMetadata": "perhaps"}, "true 或 false"),
    ]
    for question, said in wrong:
        assert said in files(**question), question


def test_change_files_are_read_by_their_address_while_the_grant_lasts(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    given_grant = own_city.grant("甲", columns=["person_ref", "name"])
    own_city.release(PERSONS, 60)
    answer = client.get(f"{TABLE}/changes", headers=bearer(token), params={"startingVersion": 1})
    url = json.loads(answer.text.splitlines()[-1])["cdf"]["url"]
    assert client.get(url, headers={"Range": "bytes=0-3"}).content == b"PAR1"
    told = audit.recent(own_city.register, recipient="甲")
    assert [(row["action"], row["version"], row["body"]["rows"]) for row in told[:2]] == [
        ("file.read", 1, 20),
        ("table.changes", 1, 20),
    ]
    assert client.get(url.replace("changes-1-0-", "changes-1-1-")).status_code == 403
    administration.revoke_grant(own_city.register, given_grant.id, actor=STEWARD)
    assert client.get(url).status_code == 403
