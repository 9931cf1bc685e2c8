"""Quality reports of a month: counted by hand from receipts, ledger and issues, the same in every form, audited."""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import python_calamine
import sqlalchemy as sa
from typer.testing import CliRunner

from catalog.reporting import facts, forms, monthly, quality
from citylake.main import app as commands
from pipelines.documents import html, pdf
from pipelines.documents.model import Document, Share, Table, shown
from pipelines.evidence import days, scores
from pipelines.failures import Failures
from pipelines.issues import Finding, Issues, feedback
from pipelines.lake.checksums import checksums, named
from pipelines.messages import CitylakeError
from pipelines.register import heads
from pipelines.register.receipts import RETURNED, Receipts, Stage
from pipelines.register.signer import SIGNING, Ed25519Signer
from pipelines.register.store import now
from pipelines.register.tables import audit, issue
from pipelines.release.ledger import Entry, Ledger, Recorded
from tests.catalog.small_city import AGES, MARRIAGES, REGISTER, RULES, SERIES, URL, City
from tests.documents import reading
from tests.power import flushed

FLOATING = "psb/floating_person"


def month_of(city: City) -> str:
    return f"{now().astimezone(ZoneInfo(city.contracts.city.timezone)):%Y-%m}"


def filled(city: City) -> None:
    """A month of two police sources and one of civil affairs: refused, held and returned rows, issues, decisions."""
    city.admit(REGISTER, 1, 1000, 30, {"name.chinese_name": 30})
    city.admit(FLOATING, 1, 500, 4, {"id_number.gb11643_check_digit": 4})
    city.admit(MARRIAGES, 1, 50, 7, {"male_name.required": 7})
    receipts = Receipts(city.register, "test")
    receipts.add(Stage.PULL, FLOATING, {"rows": 9, "origin": f"{RETURNED}x"}, 2)
    receipts.add(Stage.ADMIT, FLOATING, {"received": 4, "accepted": 3, "refused": 1, "by_rule": {}}, 2)
    receipts.add(Stage.PULL, FLOATING, {"rows": 9, "origin": "x"}, 3)
    receipts.add(Stage.HOLD, FLOATING, {"received": 2}, 3)
    city.waiting(REGISTER, {"name.chinese_name": 28})
    city.waiting(FLOATING, {"id_number.gb11643_check_digit": 1})
    found = [Finding("pull.no_file", {"file": "=1+1"}, "warning"), Finding("pull.no_file", {"file": "y"}, "error", "k")]
    Issues(city.register).report(REGISTER, "psb", "pull", found)
    Issues(city.register).report(REGISTER, "psb", "pull", found[:1])
    city.release_model()
    city.refuse(AGES, "计数过小")
    days.keep(city.contracts, city.register, city.settings.lake, now())
    heads.seal(city.register, Ed25519Signer(city.settings.key(SIGNING)), ZoneInfo("Asia/Shanghai"))


def tables(document: Document) -> dict[str, list[list[object]]]:
    """The rows of the last table of every section, by its title."""
    found = {}
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                found[section.title] = [list(row) for row in block.rows]
    return found


def test_a_department_by_hand(own_city: City) -> None:
    filled(own_city)
    document = quality.report(own_city.contracts, own_city.register, month_of(own_city), organisation="psb", url=URL)
    found = tables(document)
    assert document.title == "市公安局数据质量报告"
    arrived = {str(row[0]).split("\n")[-1]: row[1:] for row in found["本期交付与拒收"]}
    assert arrived == {
        REGISTER: [1, 1000, 970, 30, 0, 0],
        FLOATING: [2, 500, 496, 4, 1, 3],
        "合计": [3, 1500, 1466, 34, 1, 3],
    }
    assert [(row[1], row[-1]) for row in found["主要问题"]] == [
        ("name.chinese_name", 28),
        ("id_number.gb11643_check_digit", 1),
    ], "what was corrected since is no defect of the end of the month"
    assert "姓名为两个以上汉字" in str(found["主要问题"][0][2]) and found["主要问题"][0][3] == "市公安局"
    day = days.newest_day(own_city.register, [REGISTER])
    assert day is not None
    kept = days.measured(own_city.register, [REGISTER, FLOATING], day, day)
    for place, row in enumerate(found["六性得分"]):
        satisfied, evaluated = (sum(getattr(one.scores[place], k) for one in kept) for k in ("satisfied", "evaluated"))
        assert row[2:4] == [satisfied, evaluated]
        assert row[4] == (Share(satisfied / evaluated) if evaluated else None)
    total = scores.total(scores.merged(*(one.scores for one in kept)))
    assert total is not None and dict(document.facts)["总分"] == f"{Share(total).text} · {scores.grade(total)}"
    counts = facts.gather(
        own_city.contracts,
        own_city.register,
        facts.scope_of(own_city.contracts, organisation="psb"),
        facts.period_of(month_of(own_city), ZoneInfo("Asia/Shanghai")),
    ).issues
    assert (counts.opened, counts.closed, counts.open, counts.overdue) == (4, 1, 3, 0)
    (head,) = heads.listed(own_city.register)
    assert head.says["chain"] in document.running
    assert "=1+1" not in str(document), "texts of issues that may quote names of files are for those who signed in"


def test_an_issue_is_closed_in_the_month_in_which_it_was_closed(own_city: City) -> None:
    """Opened and last seen two months ago, and closed now: by a run, by the end of its subject, by an answer."""
    zone, register = ZoneInfo(own_city.contracts.city.timezone), own_city.register
    desk, people = Issues(register), feedback.Feedback(register, own_city.contracts, own_city.settings)
    desk.report(REGISTER, "psb", "pull", [Finding("pull.no_file", {"file": "x"}, "error")])
    desk.report("psb/old", "psb", "pull", [Finding("pull.no_file", {"file": "y"}, "error")])
    number = people.raise_(REGISTER, None, "steward", "x", "有误")
    this = facts.period_of(month_of(own_city), zone)
    before = facts.period_of(monthly.month_before(this.start, zone), zone)
    first = facts.period_of(monthly.month_before(before.start, zone), zone)
    with register.begin() as connection:
        connection.execute(sa.update(issue).values(first_seen=first.start, last_seen=first.start))
    desk.report(REGISTER, "psb", "pull", [])
    desk.close_others([REGISTER])
    people.unfounded(number, "y", "无误")
    own_city.admit(REGISTER, 1, 10, 0, {})  # the register knows of a moment after that
    scope = facts.scope_of(own_city.contracts, organisation="psb")
    counted = [
        (counts.opened, counts.closed, counts.open)
        for period in (first, before, this)
        if (counts := facts.gather(own_city.contracts, register, scope, period).issues)
    ]
    assert counted == [(3, 0, 3), (0, 0, 3), (0, 3, 0)]


def test_what_a_department_has_not_mended_in_time_is_counted(own_city: City) -> None:
    zone, register = ZoneInfo(own_city.contracts.city.timezone), own_city.register
    this = facts.period_of(month_of(own_city), zone)
    Issues(register).report(REGISTER, "psb", "drift", [Finding("drift.new_column", {"column": "x"}, "warning")])
    Issues(register).report("cab/nothing", "cab", "pull", [Finding("pull.no_file", {"file": "x"}, "error")])
    with register.begin() as connection:
        connection.execute(sa.update(issue).where(issue.c.owner == "psb").values(first_seen=this.start - timedelta(60)))
    for name, overdue in (("psb", 1), ("cab", 0)):
        scope = facts.scope_of(own_city.contracts, organisation=name)
        assert facts.gather(own_city.contracts, register, scope, this).issues.overdue == overdue


def test_the_city_has_every_department_and_decision(own_city: City) -> None:
    filled(own_city)
    document = quality.report(own_city.contracts, own_city.register, month_of(own_city), url=URL)
    found = tables(document)
    day = days.newest_day(own_city.register, [REGISTER])
    kept = days.by_organisation(days.measured(own_city.register, days.owners(own_city.contracts), day, day))
    assert {str(row[0]): [row[1], *row[4:]] for row in found["各部门得分"]} == {
        {"psb": "市公安局", "cab": "市民政局", "dsrb": "市数据资源管理局"}[org]: [
            one.datasets,
            one.received,
            one.refused,
        ]
        for org, (one,) in kept.items()
    }
    decided = {str(row[0]).split("\n")[-1]: row[1:] for row in found["发布与拒绝"]}
    refusal = own_city.ledger.history(AGES, 1)[0]
    assert decided[AGES] == [1, 1, 0, None, refusal.sequence, refusal.hash]


def test_forms_say_the_same(own_city: City, tmp_path: Path) -> None:
    filled(own_city)
    document = quality.report(own_city.contracts, own_city.register, month_of(own_city), organisation="psb", url=URL)
    for form in forms.MEDIA_TYPES:
        forms.write(document, form, tmp_path / f"one.{form}")
        again = quality.report(own_city.contracts, own_city.register, month_of(own_city), organisation="psb", url=URL)
        forms.write(again, form, tmp_path / f"two.{form}")
        assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"two.{form}").read_bytes(), form
    copied = "".join(reading.text((tmp_path / "one.pdf").read_bytes()).split())
    page = (tmp_path / "one.html").read_text("utf-8")
    book = python_calamine.CalamineWorkbook.from_path(tmp_path / "one.xlsx")
    cells = [cell for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python() for cell in row]
    for section in document.sections:
        assert section.title in page and "".join(section.title.split()) in copied
        assert any(name.endswith(section.title) for name in book.sheet_names)
        for block in section.blocks:
            for row in block.rows if isinstance(block, Table) else ():
                for cell in row:
                    assert escape(shown(cell)) in page
                    if isinstance(cell, int):
                        assert float(cell) in cells
                    elif isinstance(cell, Share):
                        assert cell.part in cells
    with zipfile.ZipFile(tmp_path / "one.xlsx") as parts:
        assert not any(b"<f>" in parts.read(name) for name in parts.namelist() if name.startswith("xl/worksheets"))
    assert "<script" not in page and "http://" not in page and "https://" not in page
    with pytest.raises(CitylakeError, match="docx"):
        forms.write(document, "docx", tmp_path / "one.docx")


@pytest.mark.parametrize("form", list(forms.MEDIA_TYPES))
def test_a_report_is_downloaded_and_audited(own_city: City, form: str) -> None:
    filled(own_city)
    client = own_city.client()
    answer = client.get(f"/quality/report/{form}", params={"department": "psb", "lang": "en"})
    assert answer.status_code == 200 and answer.headers["content-type"] == forms.MEDIA_TYPES[form]
    name = f"quality-psb-{month_of(own_city)}.{form}"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    begins = {"pdf": b"%PDF-1.7", "xlsx": b"PK", "html": b"<!doctype html>"}[form]
    assert answer.content.startswith(begins)
    (row,) = own_city.register.rows(sa.select(audit).where(audit.c.action == "report"))
    body = json.loads(row["body"])
    assert body["format"] == form and body["department"] == "psb" and row["outcome"] == "allowed"
    assert row["product"] is None, "who read a dataset is another question"


def test_the_command_writes_and_records(own_city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(own_city)
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
    file, month = tmp_path / "report.pdf", month_of(own_city)
    asked = ["evidence", "report", "--department", "psb", "--month", month, "-o", str(file)]
    assert CliRunner().invoke(commands, asked).exit_code == 0
    (row,) = own_city.register.rows(sa.select(audit).where(audit.c.action == "report"))
    assert json.loads(row["body"])["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert CliRunner().invoke(commands, asked).exit_code == 1, "a file that is there is not replaced"
    both = [*asked[:2], "--department", "psb", "--dataset", SERIES, "-o", str(tmp_path / "both.pdf")]
    assert "--dataset" in CliRunner().invoke(commands, both).output


def test_what_is_not_there_is_not_found(own_city: City) -> None:
    client = own_city.client()
    for query in ("month=2026-13", "month=x", "dataset=psb/nothing", "department=nobody", "dataset=a&department=b"):
        assert client.get(f"/quality/report/pdf?{query}").status_code == 404, query
    assert client.get("/quality/report/docx").status_code == 404
    assert own_city.register.rows(sa.select(audit).where(audit.c.action == "report")) == []


def test_a_dataset_and_an_empty_month(own_city: City) -> None:
    own_city.release_model()
    own_city.release(AGES)
    document = quality.report(
        own_city.contracts, own_city.register, month_of(own_city), dataset=AGES, language="en", url=URL
    )
    assert "Releases and refusals" in tables(document)
    before = quality.report(own_city.contracts, own_city.register, "2001-02", dataset=SERIES, url=URL)
    assert dict(before.facts)["总分"] == "本期没有评价记录。"
    assert "没有评价记录" in reading.text(pdf.render(before))


def test_a_paper_leads_to_its_evidence_and_says_what_a_rule_of_a_model_asks(own_city: City, tmp_path: Path) -> None:
    model, proof = own_city.contracts.products[AGES].contract.form.model, "5e" * 32
    rules = [{**RULES[1], "rule": "persons.required", "verb": "required"}]
    own_city.release_model(model, proof=proof, rules=rules)
    own_city.release(AGES, model=model, model_version=0)
    days.keep(own_city.contracts, own_city.register, own_city.settings.lake, now())
    document = quality.report(own_city.contracts, own_city.register, month_of(own_city), dataset=AGES, url=URL)
    found = [row[:4] for row in tables(document)["六性得分"]]
    assert ["准确性", 1, 12342, 12345] in found and ["可访问性", 1, 1, 1] in found
    assert any("必填" in str(row) for rows in tables(document).values() for row in rows)
    page = f"{URL}/quality/evidence/{model}"
    assert f'<a href="{page}">citylake evidence docs {model}</a>' in (told := html.render(document)) and proof in told
    paper = reading.text(pdf.render(document)).replace("\n", "")
    assert proof in paper and page in paper
    forms.write(document, "xlsx", tmp_path / "report.xlsx")
    with zipfile.ZipFile(tmp_path / "report.xlsx") as parts:
        links = [parts.read(name).decode() for name in parts.namelist() if name.endswith(".rels")]
    assert any(f'Target="{page}"' in one for one in links)


def test_a_past_month_stays_as_it_was(own_city: City) -> None:
    """What comes in a later month changes nothing of a report of this one."""
    filled(own_city)
    month = month_of(own_city)
    first = quality.report(own_city.contracts, own_city.register, month, organisation="cab", url=URL)
    later = now() + timedelta(days=40)
    own_city.admit(REGISTER, 9, 10, 1, {"name.chinese_name": 1})
    days.keep(own_city.contracts, own_city.register, own_city.settings.lake, later)
    second = quality.report(own_city.contracts, own_city.register, month, organisation="cab", url=URL)
    assert second.sections == first.sections and second.running == first.running


def test_a_month_whose_reports_failed_is_made_up(own_city: City) -> None:
    """Measured in three months that are over: all are made the next time, and what fails is an issue meanwhile."""
    register, settings, zone = own_city.register, own_city.settings, ZoneInfo(own_city.contracts.city.timezone)
    sources = {name: one for name, one in own_city.contracts.sources.items() if one.org in ("psb", "cab")}
    # two departments: every report is a font to be cut
    contracts = replace(own_city.contracts, sources=sources, models={})
    own_city.admit(REGISTER, 1, 1000, 30, {"name.chinese_name": 30})
    for month in (10, 12):  # nothing ran in November
        days.keep(contracts, register, settings.lake, datetime(2025, month, 9, 4, tzinfo=UTC))
    moment = datetime(2026, 1, 1, 6, 30, tzinfo=zone)
    months = ["2025-10", "2025-11", "2025-12"]
    assert monthly.lacking(contracts, register, moment) == months
    assert monthly.lacking(contracts, register, moment - timedelta(days=1)) == months[:2]
    failures = Failures(Receipts(register, "test"), Issues(register), settings.home / "failures.log")
    asked = (settings, contracts, register, failures, moment, "test")
    settings.reports.mkdir(exist_ok=True)
    (settings.reports / "2025-11").write_text("in the way")
    assert [row.edition for row in monthly.make_up(*asked)] == ["2025-10", "2025-12"]
    assert failures.subjects == ["reports"] and len(Issues(register).open("reports")) == 1
    (settings.reports / "2025-11").unlink()
    assert [row.edition for row in monthly.make_up(*asked)] == ["2025-11"]
    assert Issues(register).open("reports") == [] and monthly.make_up(*asked) == []


@pytest.mark.long
def test_reports_of_a_month_are_on_the_disk_before_the_ledger_has_their_hashes(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, record, there = flushed(monkeypatch), Ledger.record, list[Path]()

    def told(ledger: Ledger, entries: Sequence[Entry]) -> list[Recorded]:
        there.extend(disk)
        return record(ledger, entries)

    monkeypatch.setattr(Ledger, "record", told)
    row = monthly.keep(own_city.settings, own_city.contracts, own_city.register, month_of(own_city), "test")
    folder = own_city.settings.reports / month_of(own_city)
    assert row is not None and {folder / f".{said['name']}.partial" for said in row.body["files"]} <= {*there}
    assert there[-1] == folder


@pytest.mark.long
def test_reports_of_a_month_are_kept_once_with_their_hashes(own_city: City) -> None:
    filled(own_city)
    zone = ZoneInfo(own_city.contracts.city.timezone)
    assert monthly.month_before(datetime(2026, 12, 31, 16, tzinfo=UTC), zone) == "2026-12"
    assert monthly.month_before(datetime(2026, 12, 31, 15, tzinfo=UTC), zone) == "2026-11"
    asked = (own_city.settings, own_city.contracts, own_city.register, month_of(own_city), "test")
    row = monthly.keep(*asked)
    assert row is not None and row.kind == "report" and monthly.keep(*asked) is None
    departments = {*days.owners(own_city.contracts).values()}
    assert len(row.body["files"]) == 1 + len(departments)
    folder = own_city.settings.reports / month_of(own_city)
    kept = {file.name: checksums(file) for file in folder.iterdir()}
    assert kept == {said["name"]: named(said) for said in row.body["files"]}
    assert list(monthly.different(own_city.settings, own_city.ledger)) == []
    victim = folder / f"quality-psb-{month_of(own_city)}.pdf"
    victim.write_bytes(victim.read_bytes() + b" ")
    assert list(monthly.different(own_city.settings, own_city.ledger)) == [victim]
    assert "月度报告" in own_city.client().get("/decisions?lang=zh").text
