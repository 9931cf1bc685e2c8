"""Epochs of pseudonyms: a rotation acts on every road at once, nothing leads over its border unseen, and the table that
does is for its recipient alone."""

import csv
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from catalog.delivery.pseudonyms import column_key, key_id
from catalog.policy import audit, callers, epochs, users
from catalog.policy.decision import FIRST_EPOCH
from catalog.policy.receivers import Place, Sure, receivers
from citylake.main import app
from pipelines.messages import CitylakeError
from pipelines.register.store import now
from tests.catalog.following import Follower
from tests.catalog.small_city import GUARD, PERSONS, STEWARD, City, bearer
from tests.city import seed_from_clock

ROWS = f"/api/v1/products/{PERSONS}/rows"
TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
ZONE = "Asia/Shanghai"


def rotate(city: City, name: str = "甲", **how: Any) -> epochs.Rotation:
    return epochs.rotate(city.register, name, "年度更换", actor=GUARD, zone=ZONE, **how)


def shown(city: City, token: str, **question: Any) -> dict[str, str]:
    """By pseudonym what the row API shows beside it."""
    answer = city.client().get(ROWS, headers=bearer(token), params={"limit": 1000, **question})
    assert answer.status_code == 200, answer.text
    return {row["person_ref"]: json.dumps({**row, "person_ref": ""}, ensure_ascii=False) for row in answer.json()}


def test_one_key_for_each_recipient_column_and_epoch() -> None:
    keys = {column_key(b"m" * 32, *about) for about in (("甲", "a", 1), ("乙", "a", 1), ("甲", "b", 1), ("甲", "a", 2))}
    assert len(keys) == 4 and {len(key) for key in keys} == {32}
    assert len({key_id(b"m" * 32, "甲", 1), key_id(b"m" * 32, "甲", 2), key_id(b"n" * 32, "甲", 1)}) == 3


def test_a_rotation_acts_on_every_road_at_once_and_on_one_recipient(own_city: City) -> None:
    tokens = {name: own_city.recipient(name) for name in ("甲", "乙")}
    for name in tokens:
        own_city.grant(name, divisions=["341502"])
    own_city.release(PERSONS)
    client, mine = own_city.client(), bearer(tokens["甲"])
    follower = Follower(client, tokens["甲"], TABLE)
    follower.snapshot()
    before, other = shown(own_city, tokens["甲"]), shown(own_city, tokens["乙"])
    query = client.post(f"{TABLE}/query", headers=mine, json={}).text.splitlines()
    address, table_id = json.loads(query[-1])["file"]["url"], json.loads(query[1])["metaData"]["id"]
    page = client.get(ROWS, headers=mine, params={"limit": 3})
    following = page.links["next"]["url"]
    assert client.get(address).status_code == 200 and client.get(following, headers=mine).status_code == 200
    rotate(own_city)
    after = shown(own_city, tokens["甲"])
    assert not before.keys() & after.keys() and sorted(before.values()) == sorted(after.values())
    assert shown(own_city, tokens["乙"]) == other
    earlier = shown(own_city, tokens["甲"], as_of="0")
    assert not earlier.keys() & before.keys(), "earlier versions are shown with the pseudonyms of now too"
    follower.snapshot()
    place = follower.columns.index("person_ref")
    assert {row[place] for row in follower.rows} == after.keys()
    download = client.get(f"/datasets/{PERSONS}/download/ndjson", headers=mine).text.splitlines()
    assert {json.loads(line)["person_ref"] for line in download} == after.keys()
    assert client.get(address).status_code == 403, "an address of old files ends"
    assert client.get(following, headers=mine).status_code == 400, "a page of the old view leads on to none of the new"
    again = client.post(f"{TABLE}/query", headers=mine, json={}).text.splitlines()
    assert json.loads(again[1])["metaData"]["id"] != table_id, "a client takes it for another table"


def test_snapshot_and_changes_are_the_later_snapshot_over_any_rotations(own_city: City) -> None:
    seed = seed_from_clock()
    print(f"seed {seed}")
    drawn = random.Random(seed)
    token = own_city.recipient("甲")
    own_city.grant("甲")
    client = own_city.client()
    follower, reader = Follower(client, token, TABLE), Follower(client, token, TABLE)
    follower.snapshot()
    refused = 0
    steps = [*"rrvrv", *drawn.choices("vr", k=6), "v"]  # a release, or new pseudonyms
    for step in steps:
        if step == "r":
            rotate(own_city)
            continue
        version = own_city.release(PERSONS, drawn.randrange(20, 60))
        reader.snapshot(version)
        if not follower.follow():
            refused += 1
            follower.snapshot()
        assert follower.rows == reader.rows, steps
        follower.version = version
    assert refused == sum(before == "r" and step == "v" for before, step in pairwise(steps))


def test_a_feed_from_the_beginning_leads_over_a_border(own_city: City) -> None:
    token = own_city.recipient("甲")
    own_city.grant("甲")
    rotate(own_city)
    version = own_city.release(PERSONS, 50)
    client = own_city.client()
    follower, reader = Follower(client, token, TABLE), Follower(client, token, TABLE)
    reader.snapshot(version)
    follower.columns = reader.columns
    assert follower.follow() and follower.rows == reader.rows
    blind = own_city.recipient("乙")
    own_city.grant("乙", columns=["name", "sex"])
    rotate(own_city, "乙")
    follower = Follower(client, blind, TABLE)
    follower.snapshot(0)
    assert follower.follow(), "who is shown no pseudonyms follows as before"


def test_a_rotation_may_begin_with_a_day_to_come(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    own_city.recipient("甲")
    own_city.grant("甲")
    today = now().astimezone(ZoneInfo(ZONE)).date()
    with pytest.raises(CitylakeError, match="已经开始"):
        rotate(own_city, day=today)
    planned = rotate(own_city, day=today + timedelta(days=2))
    assert planned.since.astimezone(ZoneInfo(ZONE)).isoformat() == f"{today + timedelta(days=2)}T00:00:00+08:00"
    asked = own_city.callers()
    assert asked.on_behalf("甲").epoch == FIRST_EPOCH
    urgent = rotate(own_city, compromised=True)
    assert asked.on_behalf("甲").epoch == urgent.epoch and urgent.number == 3
    monkeypatch.setattr(callers, "now", lambda: planned.since - timedelta(seconds=1))
    assert asked.on_behalf("甲").epoch == urgent.epoch
    monkeypatch.setattr(callers, "now", lambda: planned.since)
    assert asked.on_behalf("甲").epoch == planned.epoch
    assert [one.number for one in epochs.rotations(own_city.register, "甲")] == [3, 2]


def test_who_may_and_what_is_told(own_city: City) -> None:
    own_city.recipient("甲")
    with pytest.raises(users.NotAllowed):
        epochs.rotate(own_city.register, "甲", "w", actor=STEWARD, zone=ZONE)
    for name, why in (("无此人", "w"), ("甲", " ")):
        with pytest.raises(CitylakeError):
            epochs.rotate(own_city.register, name, why, actor=GUARD, zone=ZONE)
    assert epochs.rotations(own_city.register, "甲") == []
    rotate(own_city, compromised=True)
    (row,) = audit.recent(own_city.register, 1, recipient="甲")
    assert (row["action"], row["outcome"], row["recipient"]) == ("pseudonym.rotate", "allowed", "甲")
    assert (row["body"]["actor"], row["body"]["epoch"], row["body"]["compromised"]) == (GUARD, 2, True)


@pytest.fixture
def commands(own_city: City, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, ["access", *map(str, arguments)])

    yield run


def test_the_commands_rotate_list_and_lead_on(own_city: City, commands: Any, tmp_path: Path) -> None:
    token = own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"])
    before, file = shown(own_city, token), tmp_path / "对照.csv"
    lead = ("pseudonym-transition", "甲", PERSONS, file, "--who", STEWARD, "--why", "年度更换")
    never = commands(*lead)
    assert never.exit_code == 1 and "没有更换过" in never.output and not file.exists()
    done = commands("rotate-pseudonyms", "甲", "--who", GUARD, "--why", "年度更换")
    assert done.exit_code == 0 and "第 2 期" in done.output, done.output
    after = shown(own_city, token)
    refused = commands(*lead[:5], GUARD, *lead[6:])
    assert refused.exit_code == 1 and not file.exists(), "who guards does not give"
    assert commands(*lead).exit_code == 0
    with file.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert {row["column"] for row in rows} == {"person_ref"} and file.stat().st_mode & 0o077 == 0
    assert {row["old"]: before[row["old"]] for row in rows} == before
    assert all(before[row["old"]] == after[row["new"]] for row in rows) and len(rows) == len(after)
    (row,) = audit.recent(own_city.register, 1, recipient="甲")
    assert (row["action"], row["product"]) == ("pseudonym.transition", PERSONS)
    assert (row["body"]["from"], row["body"]["to"], row["body"]["rows"]) == (1, 2, len(rows))
    assert (row["body"]["divisions"], row["body"]["road"]) == (["341502"], "command")
    for village, sure in (("341502001001", [Sure.WHOLE]), ("341503001001", [])):  # it has rows of its divisions only
        by = {"divisions": "division_code"}
        place = Place(PERSONS, 0, "person_ref", (village,), lambda *_: len(rows), by=by)
        mine = [one for one in receivers(own_city.register, [place]) if one.road == "command"]
        assert [one.sure for one in mine] == sure
    file.unlink()
    commands("rotate-pseudonyms", "甲", "--who", GUARD, "--why", "泄露", "--compromised")
    closed = commands(*lead)
    assert closed.exit_code == 1 and "不出具" in closed.output and not file.exists()
    day = datetime.now(ZoneInfo(ZONE)).date() + timedelta(days=30)
    commands("rotate-pseudonyms", "甲", "--who", GUARD, "--why", "预定", "--from", day)
    listed = [json.loads(line) for line in commands("epochs", "甲").output.splitlines()]
    assert [(one["number"], one["in_force"], one.get("compromised")) for one in listed] == [
        (1, False, None), (2, False, False), (3, True, True), (4, False, False),
    ]  # fmt: skip
    assert commands("epochs", "无此人").exit_code == 1


def test_only_what_the_recipient_is_shown_leads_on(own_city: City, commands: Any, tmp_path: Path) -> None:
    own_city.recipient("甲"), own_city.recipient("乙")
    own_city.grant("乙", columns=["name"])
    for name, why in (("甲", "现在不能读"), ("乙", "没有假名列")):
        rotate(own_city, name)
        told = commands("pseudonym-transition", name, PERSONS, tmp_path / "t.csv", "--who", STEWARD, "--why", "w")
        assert told.exit_code == 1 and why in told.output and not (tmp_path / "t.csv").exists()
