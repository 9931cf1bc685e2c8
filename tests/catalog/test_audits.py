"""The auditors' page: drawn reads by page and as CSV, held against the register; who sees what; asking is told."""

import csv
import io
import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from catalog.delivery.folders import PARTIAL
from catalog.delivery.work import Work
from catalog.policy import administration, audit, inquiry, users
from catalog.web.audits import ROWS
from pipelines.contracts.forms.limits import WorkForm
from pipelines.issues import Finding, Issues
from pipelines.register import chain
from pipelines.register.tables import access
from pipelines.register.tables import audit as audit_table
from tests.catalog.signing_in import Clock, browsing, ready
from tests.catalog.small_city import ADMINISTRATOR, APPROVER, AUDITOR, GUARD, OFFICE, PERSONS, STEWARD, City
from tests.city import seed_from_clock

MAY = datetime(2026, 4, 30, 16, tzinfo=UTC)
"""When May begins in Lu'an."""


@pytest.fixture(scope="module")
def audit_city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """A spring of drawn reads by applications of two organisations."""
    city = City(tmp_path_factory.mktemp("audited"))
    chance = random.Random(seed_from_clock())
    for name, organisation in (("甲", "psb"), ("乙", "cab")):
        city.recipient(name, organisation)
        administration.create_application(
            city.register, city.contracts, f"系统{name}", organisation, actor=ADMINISTRATOR
        )
    first = len(audit.recent(city.register, 1000)) + 1
    moments = sorted(MAY + timedelta(minutes=chance.randrange(-60 * 24 * 20, 60 * 24 * 45)) for _ in range(900))
    with city.register.begin() as connection:
        rows = [read(chance, number, at) for number, at in enumerate(moments, first)]
        connection.execute(sa.insert(audit_table), rows)
    return city


def read(chance: random.Random, number: int, at: datetime) -> dict[str, Any]:
    """A drawn row of the audit; its hashes are no chain."""
    who = chance.choice("甲甲甲乙")
    body = {"road": chance.choice(("web", "rows")), "rows": chance.randrange(100), "purpose": "核验"}
    return {
        "sequence": number,
        "at": at,
        "recipient": who,
        "application": f"系统{who}",
        "action": chance.choice(("download", "rows.read")),
        "product": PERSONS,
        "version": 0,
        "outcome": chance.choice(("allowed", "allowed", "denied")),
        "grant": chance.choice((None, 7)),
        "level": chance.choice((3, 4, 4)),
        "body": chain.canonical(body),
        "previous": f"{number - 1:064d}",
        "hash": f"{number:064d}",
    }


def wanted_rows(city: City) -> list[dict[str, Any]]:
    """A plain reading: level 4, by 系统甲, in May of the city."""
    june = MAY + timedelta(days=31)
    rows = city.register.rows(sa.select(audit_table).order_by(audit_table.c.at.desc(), audit_table.c.sequence.desc()))
    return [
        row
        for row in rows
        if row["application"] == "系统甲" and (row["level"] or 0) >= 4 and MAY <= row["at"].replace(tzinfo=UTC) < june
    ]


@pytest.fixture
def auditor(audit_city: City, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    return signed_in(audit_city, AUDITOR, Clock(monkeypatch))


def signed_in(city: City, name: str, clock: Clock) -> TestClient:
    return ready(city, name, clock).browser


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"第 (\d+) 条", text)]


def test_all_reads_of_level_4_by_one_application_in_may(audit_city: City, auditor: TestClient) -> None:
    wanted = wanted_rows(audit_city)
    assert len(wanted) > ROWS, "more than a page"
    question = {"application": "系统甲", "level": "4", "first": "2026-05-01", "last": "2026-05-31"}
    road, seen, pages = f"/audit?{urlencode(question)}", [], 0
    while road:
        answer = auditor.get(road)
        assert answer.status_code == 200
        seen += numbers(answer.text)
        pages += 1
        further = re.search(r'href="(/audit\?[^"]*before=\d+)"', answer.text)
        road = further[1].replace("&amp;", "&") if further else ""
    assert seen == [row["sequence"] for row in wanted] and pages == -(-len(wanted) // ROWS)
    file = auditor.get(f"/audit.csv?{urlencode(question)}")
    assert file.headers["content-type"].startswith("text/csv") and "attachment" in file.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"), newline="")))
    assert [int(line["sequence"]) for line in lines] == seen
    assert {line["organisation"] for line in lines} == {"psb"}
    totals = auditor.get(f"/audit?{urlencode(question)}").text.partition('id="totals"')[2].partition("</table>")[0]
    for outcome, named in (("allowed", "允许"), ("denied", "拒绝")):
        told = [row for row in wanted if row["outcome"] == outcome]
        given = sum(int(re.search(r'"rows":(\d+)', row["body"])[1]) for row in told)  # type: ignore[index]
        found = re.search(
            rf"{named}</span></th><td class=\"number\">([\d,]+)</td><td class=\"number\">([\d,]+)<", totals
        )
        assert found and [int(text.replace(",", "")) for text in found.groups()] == [len(told), given]
    older = auditor.get(f"/audit?{urlencode({**question, 'before': seen[ROWS - 1]})}")
    assert numbers(older.text) == seen[ROWS : 2 * ROWS] and 'id="totals"' not in older.text, "they were told before"
    pages += 1
    asked = [row["body"] for row in audit.recent(audit_city.register, pages + 2) if row["action"] == "audit.read"]
    assert len(asked) == pages + 2, "each page and the file is a row"
    said = {"application": "系统甲", "level": 4, "first": "2026-05-01", "last": "2026-05-31"}
    assert all({k: str(v) for k, v in row["asked"].items()} == {k: str(v) for k, v in said.items()} for row in asked)
    assert {row["actor"] for row in asked} == {AUDITOR} and {row["road"] for row in asked} == {"web"}


def test_a_file_takes_one_of_the_few_places(
    audit_city: City, auditor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds them taken is told so and gets nothing; nothing is left of files on disk."""
    folders = auditor.app.state.desk.views.folders  # type: ignore[attr-defined]
    monkeypatch.setattr(folders, "work", Work(WorkForm(places=1, waiting=1, seconds=0.05)))
    before = audit.recent(audit_city.register, 1)[0]["sequence"]
    with folders.work.place(None):
        busy = auditor.get("/audit.csv?application=系统甲")
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "10")
        assert auditor.get("/audit.csv?grant=99").status_code == 503, "to find that there are none is the work"
    assert audit.recent(audit_city.register, 1)[0]["sequence"] == before
    full = auditor.get("/audit.csv?application=系统甲")
    assert full.status_code == 200 and int(full.headers["content-length"]) == len(full.content)
    lines = len(list(csv.DictReader(io.StringIO(full.content.decode("utf-8-sig"), newline=""))))
    assert audit.recent(audit_city.register, 1)[0]["body"]["rows"] == lines > 100
    assert not [path for path in (folders.root / PARTIAL).iterdir() if path.is_file()]


def test_totals_count_rows_of_delta_sharing_once(own_city: City) -> None:
    """A question and the files it names, a file by parts, headers alone: each row that was given is told once."""
    register = own_city.register
    own_city.recipient("甲")
    said = [
        ("table.query", {"rows": 40}),
        ("file.read", {"rows": 40}),
        ("file.read", {"rows": 40, "range": "bytes=0-99"}),
        ("download", {"rows": 7, "range": "bytes=0-9"}),
        ("download", {"rows": 7, "range": "bytes=10-99"}),
        ("download", {"rows": 7, "method": "HEAD"}),
        ("rows.read", {"rows": 2, "method": "GET"}),
    ]
    for action, body in said:
        audit.record(register, action, "allowed", body, recipient="甲", product=PERSONS)
    zone = ZoneInfo("Asia/Shanghai")
    (total,) = inquiry.totals(register, zone, inquiry.Asked(product=PERSONS))
    assert (total.count, total.rows) == (len(said), 40 + 7 + 2)


def test_every_filter_is_the_registers_own(audit_city: City, auditor: TestClient) -> None:
    rows = audit_city.register.rows(sa.select(audit_table).where(audit_table.c.product == PERSONS))
    for name, value in (("outcome", "denied"), ("action", "download"), ("grant", "7"), ("recipient", "乙")):
        file = auditor.get(f"/audit.csv?{urlencode({name: value, 'product': PERSONS})}").content.decode("utf-8-sig")
        found = [int(line["sequence"]) for line in csv.DictReader(io.StringIO(file, newline=""))]
        assert sorted(found) == sorted(row["sequence"] for row in rows if str(row[name]) == value), name
    file = auditor.get("/audit.csv?organisation=cab&road=rows").content.decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(file, newline="")))
    assert lines and {(line["recipient"], line["road"]) for line in lines} == {("乙", "rows")}


def test_a_case_number_finds_the_reads_on_its_grants(audit_city: City, auditor: TestClient) -> None:
    grant = administration.grant(
        audit_city.register, audit_city.contracts, "甲", PERSONS, purpose="p", case_number="案1号", actor=STEWARD
    )
    with audit_city.register.begin() as connection:
        connection.execute(sa.update(access).where(access.c.id == grant.id).values(id=7))
    wanted = audit_city.register.rows(sa.select(audit_table.c.sequence).where(audit_table.c.grant == 7))
    file = auditor.get(f"/audit.csv?{urlencode({'case': '案1号'})}").content.decode("utf-8-sig")
    found = [int(line["sequence"]) for line in csv.DictReader(io.StringIO(file, newline=""))]
    assert sorted(found) == sorted(row["sequence"] for row in wanted) and found
    with audit_city.register.begin() as connection:
        connection.execute(sa.delete(access).where(access.c.id == 7))


def test_a_department_user_sees_their_own_organisation_whatever_they_ask(
    audit_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    users.create(audit_city.register, audit_city.contracts, "局员", "cab", ["department_user"], actor=ADMINISTRATOR)
    browser = ready(audit_city, "局员", Clock(monkeypatch), second=False).browser
    page = browser.get("/audit")
    assert page.status_code == 200 and "甲" not in page.text.partition("<tbody>")[2] and "乙" in page.text
    file = browser.get("/audit.csv").content.decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(file, newline="")))
    columns = audit_table.c
    mine = (columns.recipient == "乙") | (columns.recipient.is_(None) & (columns.application == "系统乙"))
    theirs = audit_city.register.rows(sa.select(columns.sequence).where(mine))
    assert {int(line["sequence"]) for line in lines} == {row["sequence"] for row in theirs}
    for road in ("/audit?organisation=psb", "/audit.csv?organisation=psb"):
        refused = browser.get(f"{road}&lang=zh", headers={"Accept": "text/html"})
        assert refused.status_code == 403 and "本单位" in refused.text and "sequence" not in refused.text
        row = audit.recent(audit_city.register, 1)[0]
        assert (row["action"], row["outcome"], row["body"]["actor"]) == ("audit.read", "denied", "局员")
    for road in ("/audit?recipient=甲", "/audit?application=系统甲"):
        assert numbers(browser.get(road).text) == [], "their own rows alone, and of these none is 甲's"
    assert browser.get("/audit/anomalies").status_code == 403


def test_who_has_no_such_role_is_told_what_to_do(audit_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for name in (STEWARD, APPROVER, ADMINISTRATOR):
        browser = signed_in(audit_city, name, clock)
        for road in ("/audit", "/audit.csv", "/audit/anomalies"):
            answer = browser.get(f"{road}?lang=zh", headers={"Accept": "text/html"})
            assert answer.status_code == 403 and "请由有此角色的人操作，或请管理员调整角色" in answer.text, (name, road)
            assert audit.recent(audit_city.register, 1)[0]["outcome"] == "denied"
    nobody = browsing(audit_city)
    for road in ("/audit", "/audit.csv", "/audit/anomalies"):
        answer = nobody.get(road)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={road}")


def test_without_the_second_factor_nothing_is_open(audit_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = ready(audit_city, GUARD, Clock(monkeypatch), second=False).browser
    for road in ("/audit", "/audit.csv", "/audit/anomalies"):
        assert browser.get(road).headers["location"] == "/account"


def test_anomalies_are_listed_and_looking_is_told(audit_city: City, auditor: TestClient) -> None:
    with audit_city.register.begin() as connection:
        about = {"day": "2026-11-26", "count": 30, "products": 2, "row": 7}
        number = Issues.open_one(connection, "audit", OFFICE, Finding("anomaly.beyond", about, "warning"))
    text = auditor.get("/audit/anomalies?lang=zh").text
    assert f"<code>{number}</code>" in text and "30 次读取超出其授权" in text
    row = audit.recent(audit_city.register, 1)[0]
    assert (row["action"], row["outcome"], row["body"]["road"]) == ("anomaly.list", "allowed", "web")


def test_a_question_about_nobody_or_that_cannot_be_read_is_an_error(audit_city: City, auditor: TestClient) -> None:
    for question in ({"application": "系统丙"}, {"first": "2026-05-02", "last": "2026-05-01"}, {"road": "sea"}):
        answer = auditor.get(f"/audit?{urlencode(question)}")
        assert answer.status_code == 400 and 'role="alert"' in answer.text
        assert auditor.get(f"/audit.csv?{urlencode(question)}").status_code == 400
    every = Counter(numbers(auditor.get("/audit").text)).total()
    asked = len(audit.recent(audit_city.register, 2000))
    for query in ("level=x", "first=yesterday", "last=2026-02-30", "before=-1", "grant=1e9"):
        for road in ("/audit", "/audit.csv"):
            answer = auditor.get(f"{road}?{query}&lang=zh")
            assert answer.status_code == 400 and "无法识别" in answer.text and numbers(answer.text) == [], query
            assert query.partition("=")[2] in answer.text, "which value it was"
    assert len(audit.recent(audit_city.register, 2000)) == asked, "nothing was asked"
    for query in ("level=", "purpose=%00", "first=&last=&grant="):
        answer = auditor.get(f"/audit?{query}")
        assert answer.status_code == 200 and len(numbers(answer.text)) == every == ROWS
        assert answer.headers["cache-control"] == "no-store"
    nasty = "<script>alert(1)</script>"
    assert nasty not in auditor.get(f"/audit?{urlencode({'purpose': nasty})}").text


def test_an_empty_register_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = signed_in(City(tmp_path), GUARD, Clock(monkeypatch))
    assert "没有符合条件的记录" in browser.get("/audit?level=4&lang=zh").text
    assert browser.get("/audit?lang=en").status_code == 200
