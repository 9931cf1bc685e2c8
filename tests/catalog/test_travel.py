"""Reading earlier versions by the protocol: by number and by moment, only while they may be read."""

import io
import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from catalog.delivery.sharing.errors import BadRequest
from catalog.delivery.sharing.travel import asked
from catalog.policy import audit
from pipelines.register.times import as_utc
from pipelines.release.ledger import RETENTION, Entry
from tests.catalog.filing import end_grants
from tests.catalog.small_city import PERSONS, City, bearer

TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
ROWS = (40, 60, 80)


@pytest.fixture
def follower(own_city: City) -> tuple[TestClient, dict[str, str]]:
    """A client with a grant for half of the persons, of which three versions were released."""
    for rows in ROWS[1:]:
        own_city.release(PERSONS, rows)
    token = own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"])
    return own_city.client(), bearer(token)


def query(follower: tuple[TestClient, dict[str, str]], **question: Any) -> list[dict[str, Any]]:
    client, shown = follower
    answer = client.post(f"{TABLE}/query", headers=shown, json=question)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def moments(city: City) -> list[Any]:
    return [as_utc(row.at) for row in reversed(city.ledger.history(PERSONS))]


def test_every_version_can_be_read_by_number_and_moment(own_city: City, follower: Any) -> None:
    client, shown = follower
    tick = timedelta(microseconds=1)
    local = ZoneInfo(own_city.contracts.city.timezone)
    for version, (rows, at) in enumerate(zip(ROWS, moments(own_city), strict=True)):
        ways = [{"version": version}, {"version": str(version)}, {"timestamp": at.isoformat()}]
        ways.append({"timestamp": at.astimezone(local).strftime("%Y-%m-%d %H:%M:%S.%f")})
        for way in ways:
            metadata, file = query(follower, **way)[1:]
            assert metadata["metaData"]["version"] == file["file"]["version"] == version, way
            assert json.loads(file["file"]["stats"])["numRecords"] == rows // 2
            assert file["file"]["timestamp"] == int(at.timestamp() * 1000)
            assert client.get(file["file"]["url"]).content[:4] == b"PAR1"
            answer = client.get(f"{TABLE}/metadata", headers=shown, params=way)
            assert answer.headers["delta-table-version"] == str(version)
        for moment, found in ((at, version), (at - tick, version), (at + tick, version + 1)):
            answer = client.get(
                f"{TABLE}/version",
                headers=shown,
                params={"startingTimestamp": moment.isoformat().replace("+00:00", "Z")},
            )
            if found == len(ROWS):
                assert answer.status_code == 400 and "现行版本是 2" in answer.json()["message"]
            else:
                assert answer.headers["delta-table-version"] == str(found)
    assert query(follower)[1]["metaData"]["version"] == 2


def test_a_query_since_a_version_tells_which_files_each_release_replaced(own_city: City, follower: Any) -> None:
    """What streams of Spark ask for. Whoever adds and removes files as they are told holds the newest version."""
    client, shown = follower
    for kind in ("parquet", "delta"):
        asked, held = {**shown, "delta-sharing-capabilities": f"responseformat={kind}"}, dict[str, str]()
        answer = client.post(f"{TABLE}/query", headers=asked, json={"startingVersion": 0})
        assert answer.headers["delta-table-version"] == "0"
        told = []
        for line in map(json.loads, answer.text.splitlines()[2:]):
            about = line["file"] if kind == "delta" else next(iter(line.values()))
            (name, action), *_ = about["deltaSingleAction"].items() if kind == "delta" else line.items()
            told.append((name, about["version"]))
            address = action["path" if kind == "delta" else "url"]
            assert client.get(address).status_code == 200 and about["expirationTimestamp"] and about["timestamp"]
            if name == "add":
                held[about["id"]] = address
            else:
                del held[about["id"]]
        assert told == [("add", 0), ("remove", 1), ("add", 1), ("remove", 2), ("add", 2)]
        (newest,) = (pq.read_table(io.BytesIO(client.get(one).content)) for one in held.values())
        assert newest.num_rows == ROWS[2] // 2 and "341503" not in str(newest.to_pylist())
    row = audit.recent(own_city.register, 20, recipient="甲")
    (said,) = {str(one["body"]) for one in row if one["action"] == "table.query"}
    assert "'since': 0" in said and f"'rows': {sum(ROWS) // 2 + (ROWS[0] + ROWS[1]) // 2}" in said
    assert [next(iter(line)) for line in query(follower, startingVersion=1, endingVersion=1)[2:]] == ["remove", "add"]
    end_grants(own_city, "甲")
    own_city.grant("甲", divisions=["341503"])
    answer = client.post(f"{TABLE}/query", headers=shown, json={"startingVersion": 2})
    assert answer.status_code == 400 and "重新读取整张表" in answer.json()["message"], (
        "it holds files of another policy"
    )


def test_what_was_read_is_audited_with_its_version(own_city: City, follower: Any) -> None:
    query(follower, version=1)
    row = audit.recent(own_city.register, recipient="甲")[0]
    assert (row["action"], row["outcome"], row["version"]) == ("table.query", "allowed", 1)


def test_versions_before_a_withdrawal_are_closed_by_number_and_moment(own_city: City, follower: Any) -> None:
    client, shown = follower
    before = moments(own_city)[1].isoformat()
    own_city.withdraw(PERSONS)
    own_city.release(PERSONS, 100)
    for way in ({"version": 1}, {"timestamp": before}):
        answer = client.post(f"{TABLE}/query", headers=shown, json=way)
        assert answer.status_code == 404 and answer.json()["errorCode"] == "RESOURCE_DOES_NOT_EXIST"
        assert "撤回" in answer.json()["message"]
    row = audit.recent(own_city.register, recipient="甲")[0]
    assert (row["outcome"], row["body"]["reason"]) == ("denied", "version_unknown")
    answer = client.get(f"{TABLE}/version", headers=shown, params={"startingTimestamp": before})
    assert answer.headers["delta-table-version"] == "3"
    assert query(follower, version=3)[1]["metaData"]["version"] == 3


def test_a_version_whose_period_is_over_says_so(own_city: City, follower: Any) -> None:
    client, shown = follower
    body = {"releases": {PERSONS: {"0": ["f", None]}}, "rows": 40}
    own_city.ledger.record([Entry(RETENTION, "retention-1", "retention-1", None, body)])
    answer = client.post(f"{TABLE}/query", headers=shown, json={"version": 0})
    assert answer.status_code == 410 and "保存期限已届满" in answer.json()["message"]
    assert query(follower, version=1)[1]["metaData"]["version"] == 1


def test_an_earlier_version_shows_no_column_that_was_made_otherwise(own_city: City) -> None:
    made = {column.name: [column.source, column.mask] for column in own_city.contracts.products[PERSONS].columns}
    own_city.release(PERSONS, columns={**made, "id_number": ["id_number", None]})
    own_city.release(PERSONS)
    token = own_city.recipient("甲")
    own_city.grant("甲")
    follower = own_city.client(), bearer(token)
    shown = [json.loads(query(follower, version=number)[1]["metaData"]["schemaString"]) for number in (1, 2)]
    names = [{field["name"] for field in one["fields"]} for one in shown]
    assert names[1] - names[0] == {"id_number"}


@given(st.text(max_size=40) | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers()))
def test_any_value_is_a_moment_and_a_version_or_a_bad_request(value: Any) -> None:
    for name in ("version", "timestamp"):
        try:
            found = asked({name: value}, "version", "timestamp", "Asia/Shanghai")
        except BadRequest:
            continue
        assert found.anything is (value is not None)


@given(st.datetimes(datetime(1992, 1, 1), datetime(9000, 1, 1), timezones=st.just(ZoneInfo("Asia/Shanghai"))))
def test_moments_are_read_back(moment: datetime) -> None:
    for text in (moment.isoformat(), as_utc(moment).isoformat().replace("+00:00", "Z")):
        assert asked({"t": text}, "v", "t", "UTC").moment == moment
    assert asked({"t": moment.strftime("%Y-%m-%d %H:%M:%S.%f")}, "v", "t", "Asia/Shanghai").moment == moment
    short = f"{moment.year}-{moment.month}-{moment.day} {moment.hour}:{moment.minute}:{moment.second}"
    assert asked({"t": short}, "v", "t", "Asia/Shanghai").moment == moment.replace(microsecond=0)
