"""Asking the audit: every question has the rows that a plain reading of it has, by pages; who may ask about whom."""

import csv
import io
import json
import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from catalog.policy import administration, audit, inquiry, suspension, users
from catalog.policy.inquiry import Asked
from catalog.policy.users import NotAllowed
from citylake.main import app
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.tables import application, recipient
from pipelines.register.tables import audit as table
from tests.catalog.small_city import ADMINISTRATOR, AUDITOR, GUARD, OFFICE, PERSONS, STEWARD, City, bearer
from tests.city import seed_from_clock

ZONE = ZoneInfo("Asia/Shanghai")
ORGANISATIONS = ("psb", "cab", "hc")
RECIPIENTS = {f"方{number}": ORGANISATIONS[number % 3] for number in range(5)}
APPLICATIONS = {f"系统{number}": ORGANISATIONS[number % 3] for number in range(4)}
START = datetime(2026, 4, 29, 15, 0, tzinfo=ZONE)
PURPOSES = ("低保核对", "低保 Check", "100% 核验", "公积金_贷款", None)
ROADS = ("rows", "web", "command")
VALUES: dict[str, tuple[Any, ...]] = {
    "recipient": tuple(RECIPIENTS),
    "organisation": ORGANISATIONS,
    "application": tuple(APPLICATIONS),
    "actor": ("管理员", "专员"),
    "product": ("sharing/a", "open/b", "sharing/c"),
    "road": ROADS,
    "level": (1, 2, 3, 4),
    "action": ("rows.read", "download", "grant.give"),
    "outcome": ("allowed", "denied"),
    "grant": (1, 2, 3),
    "purpose": ("低保", "check", "Check", "%", "_", "100%"),
}


def drawn(chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Rows of an audit in order; now and then two at one moment."""
    moment, found = START, []
    for sequence in range(1, count + 1):
        moment += timedelta(seconds=chance.choice((0, 1, 600, 7200, 40_000)))
        body = {
            "road": chance.choice(ROADS),
            "purpose": chance.choice(PURPOSES),
            "actor": chance.choice((None, "管理员", "专员")),
            "rows": chance.randrange(100),
            "columns": ["name", '"road":"web"'],
        }
        row = {
            "sequence": sequence,
            "at": moment.astimezone(ZoneInfo("UTC")),
            "recipient": chance.choice((None, *RECIPIENTS)),
            "action": chance.choice(VALUES["action"]),
            "product": chance.choice((None, *VALUES["product"])),
            "version": None,
            "outcome": chance.choice(VALUES["outcome"]),
            "grant": chance.choice((None, 1, 2, 3)),
            "application": chance.choice((None, *APPLICATIONS)),
            "level": chance.choice((None, 1, 2, 3, 4)),
            "body": {name: value for name, value in body.items() if value is not None},
            "previous": f"{sequence - 1:064d}",
            "hash": f"{sequence:064d}",
        }
        found.append(row)
    return found


def answers(row: dict[str, Any], asked: Asked) -> bool:
    """A plain reading of the question."""
    day, body = row["at"].astimezone(ZONE).date(), row["body"]
    owner = RECIPIENTS.get(row["recipient"]) if row["recipient"] else APPLICATIONS.get(row["application"])
    return (
        (asked.first is None or day >= asked.first)
        and (asked.last is None or day <= asked.last)
        and (asked.organisation is None or owner == asked.organisation)
        and (asked.level is None or (row["level"] or 0) >= asked.level)
        and (asked.purpose is None or asked.purpose in body.get("purpose", ""))
        and all(getattr(asked, name) in (None, body.get(name)) for name in ("actor", "road"))
        and all(
            getattr(asked, name) in (None, row[name])
            for name in ("recipient", "application", "product", "action", "outcome", "grant")
        )
    )


def question(chance: random.Random) -> Asked:
    """Up to three things that matter, and perhaps a period."""
    chosen = {name: chance.choice(VALUES[name]) for name in chance.sample(list(VALUES), chance.randrange(4))}
    days = [START.date() + timedelta(days=chance.randrange(-1, 30)) for _ in range(2)]
    first, last = (day if chance.random() < 0.5 else None for day in sorted(days))
    return Asked(first=first, last=last, **chosen)


def every_question_has_its_rows(register: Register, questions: int = 150) -> None:
    """Drawn questions to drawn rows; on either database."""
    seed = seed_from_clock()
    chance = random.Random(seed)
    told = drawn(chance, 400)
    named = {"created": START}
    with register.begin() as connection:
        for of, names in ((recipient, RECIPIENTS), (application, APPLICATIONS)):
            made = [{"name": name, "organisation": owner, **named} for name, owner in names.items()]
            connection.execute(sa.insert(of), made)
        connection.execute(sa.insert(table), [row | {"body": chain.canonical(row["body"])} for row in told])
    for asked in (Asked(), *(question(chance) for _ in range(questions))):
        wanted = [row["sequence"] for row in reversed(told) if answers(row, asked)]
        found = list(inquiry.rows(register, ZONE, asked, chance.randrange(1, 60)))
        assert [row["sequence"] for row in found] == wanted, asked
        assert all(row == told[row["sequence"] - 1] for row in found)
        before = chance.randrange(1, len(told) + 1)
        page = inquiry.page(register, ZONE, asked, 7, before)
        assert [row["sequence"] for row in page] == [number for number in wanted if number < before][:7], asked


def test_every_question_has_its_rows(register: Register) -> None:
    every_question_has_its_rows(register)
    assert inquiry.page(register, ZONE, Asked(), 5, before=10_000) == [], "no row has this number"


def test_csv_says_what_rows_say(register: Register) -> None:
    every_question_has_its_rows(register, 0)
    asked = Asked(recipient="方1")
    found = list(inquiry.rows(register, ZONE, asked))
    text = b"".join(inquiry.as_csv(register, ZONE, found))
    assert text.startswith(b"\xef\xbb\xbf") and text.count(b"\r\n") == len(found) + 1
    lines = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline="")))
    assert [int(line["sequence"]) for line in lines] == [row["sequence"] for row in found]
    for line, row in zip(lines, found, strict=True):
        assert json.loads(line["body"]) == row["body"] and line["purpose"] == row["body"].get("purpose", "")
        assert datetime.fromisoformat(line["at"]) == row["at"] and line["at"].endswith("+08:00")
        assert line["organisation"] == "cab" and line["grant"] == ("" if row["grant"] is None else str(row["grant"]))


def read(city: City, name: str, organisation: str) -> None:
    """One read in the name of a new recipient, and one denial."""
    token = city.recipient(name, organisation)
    city.grant(name, PERSONS, columns=["name"])
    client = city.client()
    client.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(token))
    client.get("/datasets/analyst/division/preview", headers=bearer(token))


def test_who_may_ask_about_whom(own_city: City) -> None:
    read(own_city, "甲", "psb"), read(own_city, "乙", "cab")
    register = own_city.register
    users.create(register, own_city.contracts, "民政用户", "cab", ["department_user"], actor=ADMINISTRATOR)
    for who in (AUDITOR, GUARD):
        assert inquiry.permitted(register, Asked(recipient="甲"), who) == Asked(recipient="甲")
    mine = inquiry.permitted(register, Asked(), "民政用户")
    assert {row["recipient"] for row in inquiry.rows(register, ZONE, mine)} == {"乙"}
    for asked in (Asked(recipient="甲"), Asked(application="x"), Asked(actor=ADMINISTRATOR, outcome="denied")):
        narrowed = inquiry.permitted(register, asked, "民政用户")
        assert narrowed == replace(asked, organisation="cab") and not list(inquiry.rows(register, ZONE, narrowed))
    for who, asked in ((ADMINISTRATOR, Asked()), (STEWARD, Asked()), ("民政用户", Asked(organisation="psb"))):
        with pytest.raises(NotAllowed):
            inquiry.permitted(register, asked, who)
        row = audit.recent(register, 1)[0]
        assert (row["action"], row["outcome"], row["body"]["actor"]) == ("audit.read", "denied", who)


def test_names_that_nobody_had_are_told(own_city: City) -> None:
    read(own_city, "甲", "psb")
    good = Asked(recipient="甲", product=PERSONS, organisation="psb", outcome="denied", road="web")
    inquiry.require_known(own_city.register, good)
    wrong: dict[str, Any] = {
        "recipient": "丙",
        "application": "系统",
        "organisation": "hc",
        "product": "sharing/x",
        "outcome": "no",
        "road": "fax",
        "last": date(2026, 1, 1),
    }
    for name, value in wrong.items():
        with pytest.raises(CitylakeError) as error:
            inquiry.require_known(own_city.register, replace(good, first=date(2026, 1, 2), **{name: value}))
        assert error.value.code.startswith("audit.")


def test_the_command_lists_and_writes_what_answers(
    own_city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(own_city, "甲", "psb"), read(own_city, "乙", "cab")
    administration.create_application(own_city.register, own_city.contracts, "系统", "psb", actor=ADMINISTRATOR)
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
    file = tmp_path / "audit.csv"

    def command(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["audit", "list", "--who", AUDITOR, *arguments])
        assert done.exit_code == code, done.output
        return done.output

    (line,) = command("--recipient", "甲", "--outcome", "denied").splitlines()
    assert json.loads(line)["product"] == "analyst/division"
    today = datetime.now(ZONE).date()
    told = command("--from", f"{today - timedelta(days=1)}", "--product", PERSONS, "--limit", "1")
    row = json.loads(told.splitlines()[0])
    assert row["recipient"] == "乙" and f"--before {row['sequence']}" in told
    assert json.loads(command("--product", PERSONS, "--before", str(row["sequence"])).splitlines()[0])["sequence"] == (
        row["sequence"] - 1
    )
    command("--organisation", "psb", "-o", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    lines = list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))
    assert {line["organisation"] for line in lines} == {"psb", ""} and {line["recipient"] for line in lines} == {
        "甲",
        "",
    }
    asked = audit.recent(own_city.register, 1)[0]
    assert (asked["action"], asked["outcome"]) == ("audit.read", "allowed")
    assert asked["body"]["asked"] == {"organisation": "psb"} and asked["body"]["rows"] == len(lines)
    assert asked["body"]["actor"] == AUDITOR and len(asked["body"]["sha256"]) == 64
    assert "从未有过" in command("--application", "系统二", code=1) and "已存在" in command("-o", str(file), code=1)
    assert audit.first_break(own_city.register) is None
    assert OFFICE not in {line["organisation"] for line in lines}


def test_recipients_see_their_own_reads_by_pages_and_as_csv(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    read(own_city, "甲", "psb"), read(own_city, "乙", "psb")
    monkeypatch.setattr("catalog.web.reads.ROWS", 2)
    token = administration.issue_token(own_city.register, "甲", actor=ADMINISTRATOR).token
    suspension.suspend(own_city.register, own_city.contracts, "recipient", "甲", "内部核查中", actor=GUARD)
    suspension.lift(own_city.register, "recipient", "甲", "核查完毕", actor=GUARD)
    client = own_city.client()
    assert client.get("/access/reads").status_code == 303 and client.get("/access/reads.csv").status_code == 303
    assert client.get("/access/reads", headers=bearer("cl_0123456789abcdef_" + "f" * 64)).status_code == 401
    mine = list(inquiry.rows(own_city.register, ZONE, Asked(recipient="甲")))
    shown = client.get("/access/reads", headers=bearer(token)).text
    assert f"before={mine[1]['sequence']}" in shown and "/access/reads.csv" in shown
    denied = client.get("/access/reads?outcome=denied&product=analyst/division&first=", headers=bearer(token)).text
    assert denied.count("<tr><td>") == 1 and "outcome=denied" in denied
    answer = client.get("/access/reads.csv?last=2199-01-01&product=我的话", headers=bearer(token))
    assert answer.content.count(b"\r\n") == 1, "nothing is of that product"
    row = audit.recent(own_city.register, 1)[0]
    assert (row["action"], row["recipient"], row["body"]["road"]) == ("audit.read", "甲", "web")
    assert "我的话" not in str(row["body"]), "the audit keeps no text of a client"
    for query in (
        "first=yesterday",
        "last=2026-02-30",
        "before=-1",
        "outcome=maybe",
        "first=2026-05-02&last=2026-05-01",
    ):
        for road in ("/access/reads", "/access/reads.csv"):
            wrong = client.get(f"{road}?{query}", headers=bearer(token))
            assert wrong.status_code == 400 and 'role="alert"' in wrong.text and "<tr><td>" not in wrong.text, query
    assert audit.recent(own_city.register, 1) == [row], "nothing was asked"
    answer = client.get("/access/reads.csv?recipient=乙&organisation=psb", headers=bearer(token))
    lines = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert {line["recipient"] for line in lines} == {"甲"}
    assert len(lines) == len(mine) + 3, "its own row is written when it is"
    said = answer.content.decode("utf-8-sig")
    assert "recipient.suspend" in said and not any(word in said for word in ("核查", GUARD, ADMINISTRATOR)), "theirs"
