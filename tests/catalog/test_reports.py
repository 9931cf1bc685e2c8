"""Quality reports: scores of receipts counted by hand, the trend, the evidence of a real suite, and files that stand
alone: nothing in them leads anywhere, and no value or name of others becomes markup.
"""

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipelines.evidence import days
from pipelines.issues import Finding, Issues
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.release.ledger import RELEASE, WITHDRAWAL, Entry
from tests.catalog.small_city import (
    AGE_CELLS,
    AGE_MODEL,
    AGES,
    COUNTED,
    DIVISIONS,
    MARRIAGES,
    MODEL,
    PERSONS,
    REGISTER,
    RULES,
    SERIES,
    City,
)

HTML = {"Accept": "text/html"}
REPORTS = (
    f"/quality/{AGES}",
    f"/quality/{AGE_MODEL}",
    f"/quality/{DIVISIONS}",
    "/quality/organisations/psb",
    "/quality/organisations/nrpb",
    "/quality/departments",
    f"/quality/sources/{SERIES}/rules/series_name.required",
    f"/quality/sources/{REGISTER}",
    f"/quality/sources/{SERIES}",
    f"/quality/evidence/{AGE_MODEL}",
)
MARK = "机密值7f3a"
NASTY = '"><script>alert(1)</script>'


class Tables(HTMLParser):
    """The rows of all tables as texts, and every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._inside = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] = " ".join([*self.rows[-1][-1].split(), *data.split()])

    def row(self, first: str) -> list[str]:
        """The cells after the one that begins so, of the one row that begins so."""
        (found,) = (cells[1:] for cells in self.rows if cells and cells[0].startswith(first))
        return found


def read(client: TestClient, road: str, **query: str) -> Tables:
    answer = client.get(road, params={"lang": "zh", **query}, headers=HTML)
    assert answer.status_code == 200, road
    return Tables(answer.text)


def core_of(city: City, source: str) -> Path:
    return city.settings.lake.core(*source.split("/"))


def test_scores_of_a_source_by_hand(own_city: City) -> None:
    """Twelve columns with a type each, 12 rules of 规范性 more, 8 columns required; the last whole table counts."""
    own_city.admit(SERIES, 1, 60, 50, {"series_code.in_codes": 50})
    own_city.admit(SERIES, 2, 40, 3, {"series_code.in_codes": 2, "series_name.required": 1})
    client = own_city.client()
    page = read(client, f"/quality/sources/{SERIES}")
    head = next(place for place, cells in enumerate(page.rows) if cells[:1] == ["规范性"])
    # (0.20 * 958 / 960 + 0.20 * 319 / 320 + 0.15 + 0.05 * 0) / 0.60, for its core table is not there
    assert page.rows[head + 1] == [
        "99.79% 958 / 960",
        "99.69% 319 / 320",
        "—",
        "—",
        "100% 1 / 1",
        "0.00% 0 / 1",
        "91.49%",
        "B",
    ]
    core_of(own_city, SERIES).mkdir(parents=True)
    scores = read(client, f"/quality/sources/{SERIES}").rows[head + 1]
    assert scores[5:] == ["100% 1 / 1", "99.83%", "A"]
    assert page.row("series_code.in_codes") == ["指标代码", "2"] and page.row("series_name.required")[1] == "1"


def test_the_trend_of_a_source_has_every_batch(own_city: City) -> None:
    for batch, refused in enumerate((20, 10, 0), 1):
        own_city.admit(MARRIAGES, batch, 100, refused, {"county_code.required": refused} if refused else {})
    page = read(own_city.client(), f"/quality/sources/{MARRIAGES}")
    trend = [cells[1:5] + cells[6:7] + cells[-1:] for cells in page.rows if len(cells) == 12]
    # 9 columns are required: 900 values a batch. The total is of 规范性 20, 完整性 20, 准确性 25 and 一致性 15.
    whole = [f"{100 * (1 - 0.25 * refused / 900):.2f}%" for refused in (20, 10)]
    assert trend[1:] == [
        ["3", "100", "100", "0", "100%", "100%"],
        ["2", "100", "90", "10", "100%", whole[1]],
        ["1", "100", "80", "20", "100%", whole[0]],
    ]
    assert page.row("county_code.required") == ["县区代码", "30"], "refused changes stand until they come again"
    (line,) = [about["points"] for tag, about in page.tags if tag == "polyline"]
    heights = [float(point.split(",")[1]) for point in str(line).split()]
    assert len(heights) == 3 and heights == sorted(heights, reverse=True) and heights[-1] == 0


def test_refused_rows_are_told_to_their_owner(own_city: City) -> None:
    own_city.admit(REGISTER, 1, 1000, 30, {"name.chinese_name": 30})
    own_city.admit("psb/floating_person", 1, 500, 4, {"id_number.gb11643_check_digit": 4})
    own_city.admit(MARRIAGES, 1, 50, 7, {"male_name.required": 7})
    Issues(own_city.register).report(
        REGISTER, "psb", "pull", [Finding("pull.no_file", {"file": "x"}, "warning", rows=2)]
    )
    client = own_city.client()
    police = read(client, "/quality/organisations/psb")
    delivered, problem = (cells for cells in police.rows if cells and cells[0] == f"户籍人口 {REGISTER}")
    assert delivered[-3:-1] == ["1,000", "30"]
    assert problem[2] == "未能取到数据 pull.no_file", "its issues, without their text for those who did not sign in"
    assert police.row("流动人口")[-3:-1] == ["500", "4"]
    assert police.row("本部门合计")[:2] == ["1,500", "34"]
    civil = read(client, "/quality/organisations/cab")
    assert civil.row("本部门合计")[:2] == ["50", "7"]
    assert not [cells for cells in civil.rows if REGISTER in cells[0]]


def test_a_source_that_never_delivered_has_no_score(own_city: City) -> None:
    text = own_city.client().get(f"/quality/sources/{SERIES}?lang=zh", headers=HTML).text
    assert "还没有交付" in text
    (cells,) = (cells for cells in read(own_city.client(), "/quality/organisations/sb").rows if SERIES in cells[0])
    assert cells[7:9] == ["—", "—"]


@pytest.mark.long
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("road", REPORTS)
def test_a_printed_file_stands_alone(full_city: City, road: str, language: str) -> None:
    answer = full_city.client().get(road, params={"print": "1", "lang": language})
    name = re.fullmatch(r'attachment; filename="([a-z0-9_.-]+)\.html"', answer.headers["content-disposition"])
    assert name is not None and answer.headers["content-type"].startswith("text/html")
    page = Tables(answer.text)
    loading = {"src", "href", "action", "srcset", "data", "poster", "background", "xlink:href", "formaction"}
    assert [(tag, key) for tag, about in page.tags for key in about if key in loading or key.startswith("on")] == []
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "base", "iframe", "img", "object", "embed", "a", "form"}
    assert not re.search(r"https?:|url\(|@import", answer.text)
    assert [tag for tag, _ in page.tags].count("style") == 1 and {"h1", "title", "main"} <= tags
    if language == "en":
        assert 'lang="en"' in answer.text and "Made at" in answer.text
    else:
        assert "生成时间" in answer.text


@pytest.mark.parametrize("road", REPORTS)
def test_every_report_says_how_it_is_printed(full_city: City, road: str) -> None:
    page = read(full_city.client(), road)
    assert [about["href"] for tag, about in page.tags if tag == "a" and about.get("class") == "button"] == ["?print=1"]


def test_the_total_of_a_dataset_by_hand(own_city: City) -> None:
    own_city.release_model()
    page = read(own_city.client(), f"/quality/{PERSONS}")
    # 完整性 1, 准确性 1 - 3 / 12345, 可访问性 1; nothing measures the others
    assert page.row("总分") == [f"{100 * (1 - 0.25 * 3 / 12345 / 0.5):.2f}% · 等级 A"]
    assert page.row("准确性") == ["1", "12,345", "3", "99.98%"]
    rules = [cells[0] for cells in page.rows if cells[0] in {rule["rule"] for rule in RULES}]
    assert rules == ["persons.between", "county_code.required"], "failing rules first"
    assert page.row("persons.between")[-2:] == ["3", "不一致：4"]


def test_the_trend_of_a_dataset_is_that_of_its_models(own_city: City) -> None:
    for version, failed in ((1, 600), (2, 0)):
        rule = {**RULES[0], "evaluated": 1000, "failed": failed}
        own_city.release_model(version=version, rules=[rule])
        own_city.release(PERSONS, model_version=version)
    own_city.release(PERSONS, model_version=9)
    page = read(own_city.client(), f"/quality/{PERSONS}")
    trend = [cells[1:] for cells in page.rows if len(cells) in (4, 10) and cells[0].startswith("20")]
    assert trend == [
        ["3", "40", "未知"],
        ["2", "40", "0", "—", "100%", "—", "—", "—", "100%"],
        ["1", "40", "600", "—", "40.00%", "—", "—", "—", "40.00%"],
        ["0", "40", "3", "—", "100%", "99.98%", "—", "—", "99.99%"],
    ]


def test_a_page_reads_few_rows_of_the_ledger(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve releases of a dataset on twelve releases of a model that has a long history of its own."""
    body = own_city.ledger.published()[PERSONS].body
    for version in range(30):
        own_city.release_model(version=version)
        own_city.ledger.record([Entry(RELEASE, PERSONS, "e", version, {**body, "model_version": version})])
        for day in range(4):
            own_city.refuse(MODEL, f"第 {day} 天")
    read_rows: list[int] = []
    original = Register.rows

    def counted(register: Register, statement: Any) -> list[dict[str, Any]]:
        found = original(register, statement)
        read_rows.append(len(found) if "ledger.body" in str(statement) else 0)
        return found

    client = own_city.client()
    client.get("/quality")  # the listing has looked at the ledger
    monkeypatch.setattr(Register, "rows", counted)
    read(client, f"/quality/{PERSONS}")
    assert 12 < sum(read_rows) <= 12 + 31 + 1


def test_the_evidence_of_a_real_suite_tells_no_values(own_city: City) -> None:
    bad = AGE_CELLS.replace("'金安区', '1'", f"'{MARK}', '{MARK}'").replace("'85+'", f"'{MARK}'")
    evidence = own_city.prove(AGE_MODEL, bad, COUNTED)
    failed = {rule.rule for rule in evidence.rules if rule.failed}
    assert {"sex.in_codes", "age_band.matches"} <= failed
    client = own_city.client()
    page = read(client, f"/quality/evidence/{AGE_MODEL}")
    rows = [cells for cells in page.rows if cells[-1] in ("符合", "不符合")]
    assert [cells[0].replace(" ", "") for cells in rows if cells[-1] == "不符合"] == [
        cells[0].replace(" ", "") for cells in rows[: len(failed)]
    ], "what is not met comes first"
    by_rule = {cells[0].replace(" ", ""): cells[3:] for cells in rows}
    types = {f"{column.name}.type" for column in own_city.contracts.models[AGE_MODEL].columns}
    assert set(by_rule) == {rule.rule for rule in evidence.rules} | types | {"columns"}
    assert by_rule["persons.type"] == ["—", "—", "BIGINT", "符合"]
    assert by_rule["sex.in_codes"] == ["2", "1", "—", "不符合"]
    assert by_rule["county_name.required"] == ["2", "0", "—", "符合"]
    assert by_rule["row_count"] == ["—", "—", "2", "符合"]
    for road in (f"/quality/evidence/{AGE_MODEL}", f"/quality/evidence/{AGE_MODEL}?print=1", f"/quality/{AGE_MODEL}"):
        text = client.get(road).text
        assert MARK not in text and MARK.encode("unicode_escape").decode() not in text


def test_a_dataset_leads_to_the_suite_of_its_model(own_city: City) -> None:
    link = f'href="/quality/evidence/{AGE_MODEL}"'
    own_city.prove(AGE_MODEL, AGE_CELLS, COUNTED)
    client = own_city.client()
    assert link in client.get(f"/quality/{AGES}").text and link in client.get(f"/quality/{AGE_MODEL}").text
    assert client.get(f"/quality/evidence/{AGE_MODEL}").status_code == 200
    assert "/quality/evidence/" not in client.get(f"/quality/{PERSONS}").text, "its model was released without one"
    own_city.release_model(AGE_MODEL, version=1)
    assert link not in own_city.client().get(f"/quality/{AGES}").text, "the dataset is older than what is published"
    own_city.ledger.record([Entry(WITHDRAWAL, AGE_MODEL, "e", None, {})])
    assert own_city.client().get(f"/quality/evidence/{AGE_MODEL}").status_code == 404


def test_names_of_others_are_no_markup(own_city: City) -> None:
    contracts = own_city.own_contracts()
    for file, old in (("sources/sb/macro_series.yaml", "name: "), ("products/population/age_structure.yaml", "name: ")):
        text = (contracts / file).read_text("utf-8")
        (contracts / file).write_text(text.replace(old, f"name: '{NASTY}' #", 1), "utf-8")
    listed = contracts / "codes" / "organisations.csv"
    listed.write_text(listed.read_text("utf-8").replace("市统计局", '"<img src=x onerror=alert(1)>"'), "utf-8")
    own_city.admit(SERIES, 1, 10, 4, {f"{NASTY}.required": 4})
    evidence = own_city.prove(AGE_MODEL, AGE_CELLS.replace("'00-04'", f"'{NASTY}'"), COUNTED)
    own_city.release_model(AGE_MODEL, rules=[{**rule, "rule": NASTY} for rule in evidence.to_json()["rules"]])
    own_city.refuse(AGES, NASTY)
    client = own_city.client()
    for road in (
        f"/quality/sources/{SERIES}",
        "/quality/organisations/sb",
        f"/quality/{AGES}",
        f"/quality/{AGE_MODEL}",
        f"/quality/evidence/{AGE_MODEL}",
    ):
        for query in ("?lang=zh", "?lang=zh&print=1"):
            text = client.get(road + query, headers=HTML).text
            assert "alert(1)" in text, road
            tags = Tables(text).tags
            assert not [tag for tag, about in tags if tag in ("script", "img") or "onerror" in about], road


def test_departments_by_day_add_up(own_city: City) -> None:
    own_city.admit(REGISTER, 1, 1000, 30, {"name.chinese_name": 30})
    own_city.admit("psb/floating_person", 1, 500, 4, {"id_number.gb11643_check_digit": 4})
    own_city.admit(MARRIAGES, 1, 50, 7, {"male_name.required": 7})
    client = own_city.client()
    assert "没有评价记录" in client.get("/quality/departments?lang=zh", headers=HTML).text
    days.keep(own_city.contracts, own_city.register, own_city.settings.lake, now())
    page = read(client, "/quality/departments")
    police, civil = page.row("市公安局"), page.row("市民政局")
    assert police[0] == "" and police[8:] == ["2", "1,500", "34", "0"] and civil[8:] == ["1", "50", "7", "0"]
    kept = days.measured(own_city.register, [REGISTER, "psb/floating_person"], date.min, date.max)
    for place in range(6):
        a, b = (sum(getattr(one.scores[place], name) for one in kept) for name in ("satisfied", "evaluated"))
        assert police[place + 1].endswith(f"{a:,} / {b:,}") if b else police[place + 1] == "—"
    own = read(client, "/quality/organisations/psb")
    head = next(place for place, cells in enumerate(own.rows) if cells[:1] == ["规范性"])
    assert own.rows[head + 1] == police[1:8]
    for nothing in ("1999-01-01", "9999-12-31", "0001-01-01"):
        assert "没有评价记录" in client.get(f"/quality/departments?lang=zh&day={nothing}", headers=HTML).text
    assert client.get("/quality/departments?day=x%00", headers=HTML).status_code == 200
    (by_day,) = (cells for cells in read(client, f"/quality/sources/{REGISTER}").rows if cells[0] == str(kept[0].day))
    assert by_day[-2:] == ["1,000", "30"]


def test_a_department_that_delivers_nothing_has_the_scores_of_what_it_owns(own_city: City) -> None:
    own_city.release_model(AGE_MODEL)
    own_city.release(AGES, model=AGE_MODEL, model_version=0)
    days.keep(own_city.contracts, own_city.register, own_city.settings.lake, now())
    client = own_city.client()
    owner = own_city.contracts.models[AGE_MODEL].form.owner
    kept = days.measured(own_city.register, days.owners(own_city.contracts), date.min, date.max)
    once = 12345 * len({one.on for one in kept if one.organisation == owner})
    page = read(client, f"/quality/organisations/{owner}")
    (model,) = (cells for cells in page.rows if cells[:1] and cells[0].endswith(AGE_MODEL))
    (product,) = (cells for cells in page.rows if len(cells) == 9 and cells[0].endswith(AGES))
    assert product[1:6] == model[1:6] and (model[6], product[6]) == ("0.00%", "100%"), "the model lies in no lake here"
    assert f"{once:,} / {once:,}" in str(page.rows), "the rules of one version count once"
    for subject, total in ((AGES, product[7]), (AGE_MODEL, model[7])):
        (day,) = (cells for cells in read(client, f"/quality/{subject}").rows if cells[:1] == [f"{_day(own_city)}"])
        assert day[-1] == total
    assert f"/quality/organisations/{owner}" in client.get("/quality/departments?lang=zh", headers=HTML).text


def _day(city: City) -> date | None:
    return days.newest_day(city.register, [AGES])


def test_a_rule_tells_counts_and_where_the_rows_are(own_city: City) -> None:
    for batch, refused in enumerate((5, 2), 1):
        own_city.admit(SERIES, batch, 60, refused, {"series_name.required": refused})
        own_city.waiting(SERIES, {"series_name.required": refused - 1})
        days.keep(own_city.contracts, own_city.register, own_city.settings.lake, now())
    client, road = own_city.client(), f"/quality/sources/{SERIES}"
    assert f'href="{road}/rules/series_name.required"' in client.get(road, headers=HTML).text
    page, text = read(client, f"{road}/rules/series_name.required"), client.get(f"{road}/rules/series_name.required")
    assert [cells[1:] for cells in page.rows if len(cells) == 4][1:] == [["2", "60", "2"], ["1", "60", "5"]]
    assert "citylake quarantine export sb/macro_series macro_series.xlsx --rule 'series_name.required'" in text.text
    assert [cells[1] for cells in page.rows if len(cells) == 2][1:] == ["1"], "the last word of the day"
    assert "目前仍被拒收：1 行" in client.get(f"{road}/rules/series_name.required?lang=zh").text
    assert client.get(f"{road}/rules/no_such_rule").status_code == 404
    assert client.get("/quality/sources/psb/nothing/rules/name.required").status_code == 404


def test_hard_gates_stand_apart_from_scores(own_city: City) -> None:
    owner = own_city.contracts.products[AGES].contract.form.owner
    closed = [{"check": "匿名性", "status": "fail", "measured": 3, "threshold": 10, "details": []}]
    own_city.ledger.record(
        [Entry("refusal", AGES, "2026-11-03.1", None, {"evidence": closed, "reasons": [], "rows": 1})]
    )
    page = read(own_city.client(), f"/quality/organisations/{owner}")
    (row,) = (cells for cells in page.rows if len(cells) == 3 and cells[0].endswith(AGES))
    assert row[1:] == ["拒绝", "匿名性"]


def test_pages_of_quality_say_how_many_rows_were_left_out(own_city: City) -> None:
    own_city.admit(REGISTER, 1, 40, 0, {})
    client = own_city.client()
    pages = ("/quality", f"/quality/sources/{REGISTER}")
    assert all("未读入" in client.get(page).text and "4,321" not in client.get(page).text for page in pages)
    own_city.admit(REGISTER, 2, 40, 0, {}, profile={"left_out": 4321})
    assert all("4,321" in client.get(page).text for page in pages)
