"""Pages: well formed, in one language at a time, without anything from elsewhere; every text is a message."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import catalog
from catalog.delivery.formats import FORMATS
from catalog.web.voice import Voice
from pipelines.contracts.load import Contracts
from pipelines.issues import Finding, Issues
from pipelines.lake.lineage import upstream
from pipelines.messages import catalogue
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.store import now
from pipelines.release.ledger import CONFIRMATION, ERASURE, HOLD, HOLD_END, RELEASE, RETENTION, Entry
from tests.catalog.small_city import (
    AGE_MODEL,
    AGES,
    COUNTIES,
    DIVISIONS,
    GEOGRAPHY,
    MODEL,
    PERSONS,
    PLAN,
    REGISTER,
    SERIES,
    City,
)

HTML = {"Accept": "text/html"}
PAGES = (
    "/",
    "/datasets",
    "/datasets?q=%E4%BA%BA%E5%8F%A3&channel=open&level=1",
    "/datasets?q=%E5%8F%AB%E8%BF%99%E4%B8%AA%E7%9A%84%E6%B2%A1%E6%9C%89&level=1",
    "/datasets?theme=smart_city&theme=population&sort=name",
    "/marts",
    "/indicators",
    "/indicators/map",
    "/indicators/map?indicator=health_record_coverage",
    f"/datasets/{AGES}",
    f"/datasets/{PERSONS}",
    f"/datasets/{DIVISIONS}",
    f"/datasets/{AGES}/preview",
    "/quality",
    f"/quality/{AGES}",
    f"/quality/{MODEL}",
    f"/quality/{AGE_MODEL}",
    f"/quality/evidence/{AGE_MODEL}",
    "/quality/organisations/psb",
    "/quality/organisations/sb",
    f"/quality/sources/{REGISTER}",
    f"/quality/sources/{SERIES}",
    "/decisions",
    "/issues",
    "/access",
    "/login",
    "/join",
)
ERRORS = {
    f"/datasets/{PERSONS}/preview": 401,
    "/nowhere": 404,
    "/datasets/open/nothing": 404,
    "/quality/nothing": 404,
    "/quality/evidence/nothing": 404,
    f"/quality/evidence/{MODEL}": 404,
    "/quality/organisations/nothing": 404,
    "/quality/sources/psb/nothing": 404,
}
ENGLISH = {
    "Parquet",
    "Delta",
    "Sharing",
    "Python",
    "curl",
    "Asia",
    "Shanghai",
    "Checksum",
    "Authorization",
    "HMAC",
    "JSON",
    "NDJSON",
    "XLSX",
    "DuckDB",
    "HTML",
    "Great",
    "Expectations",
}
VOID = {"meta", "link", "input", "br", "wbr", "meter"}


class Reader(HTMLParser):
    """What a test looks at: tags with attributes, and the text outside code and other languages."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.balanced = True
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "title" or "svg" not in [name for name, _ in self.open]:  # a drawing has titles of its own
            self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        self.balanced = self.balanced and bool(self.open) and self.open[-1][0] == tag
        self.open.pop()

    def handle_data(self, data: str) -> None:
        inside = [tag for tag, _ in self.open]
        other = [about["lang"] for tag, about in self.open if tag != "html" and "lang" in about]
        if not other and not {"code", "style"} & set(inside):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [about for name, about in self.tags if name == tag]


@pytest.fixture(scope="module")
def browser(full_city: City) -> TestClient:
    city = full_city
    city.refuse(MODEL, "行数变化 8.2%，超过 5%")
    finding = Finding("pull.no_file", {"file": "secret-host"}, "warning", rows=12345)
    Issues(city.register).report(AGES, "dsrb", "pull", [finding])
    return city.client()


def read(browser: TestClient, road: str, language: str, status: int = 200) -> Reader:
    joined = f"{road}{'&' if '?' in road else '?'}lang={language}"
    answer = browser.get(joined, headers=HTML)
    assert answer.status_code == status, road
    return Reader(answer.text)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("road", "status"), [*((road, 200) for road in PAGES), *ERRORS.items()])
def test_every_page_is_well_formed(browser: TestClient, road: str, status: int, language: str) -> None:
    page = read(browser, road, language, status)
    assert page.balanced and not page.open
    assert page.all("html")[0]["lang"] == ("zh-CN" if language == "zh" else "en")
    assert len(page.all("title")) == len(page.all("h1")) == len(page.all("main")) == 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in about for about in page.all("th"))
    labelled = {about.get("for") for about in page.all("label")}
    fields = [about for about in [*page.all("input"), *page.all("select")] if about.get("type") != "hidden"]
    assert all(about.get("id") in labelled for about in fields)
    ids = [about["id"] for _, about in page.tags if "id" in about]
    assert len(ids) == len(set(ids))
    levels = [int(name[1]) for name, _ in page.tags if re.fullmatch("h[1-6]", name)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("road", [*PAGES, *ERRORS])
def test_nothing_comes_from_elsewhere_and_nothing_is_a_script(browser: TestClient, road: str) -> None:
    page = read(browser, road, "zh", ERRORS.get(road, 200))
    links = [about[key] for _, about in page.tags for key in ("href", "src", "action") if key in about]
    assert all(link is not None and re.match(r"[/#?]", link) and not link.startswith("//") for link in links)
    assert not page.all("script") and not page.all("iframe") and not page.all("style")
    assert not any(key.startswith("on") or key == "style" for _, about in page.tags for key in about)


@pytest.mark.parametrize("road", [*PAGES, *ERRORS])
def test_chinese_pages_speak_chinese(browser: TestClient, road: str) -> None:
    page = read(browser, road, "zh", ERRORS.get(road, 200))
    english = set(re.findall(r"[A-Za-z]{4,}", " ".join(page.words))) - ENGLISH
    assert not english


@pytest.mark.parametrize("road", [*PAGES, *ERRORS])
def test_english_pages_mark_what_is_chinese(browser: TestClient, road: str) -> None:
    page = read(browser, road, "en", ERRORS.get(road, 200))
    assert not re.findall(r"[\u4e00-\u9fff]+", _without_data(" ".join(page.words), road))


def _without_data(text: str, road: str) -> str:
    """The rows of a preview and the unit of measure are data in any language."""
    return "" if road.endswith("/preview") else text.replace("人", "")


def test_the_home_page_counts_departments_that_deliver_not_those_that_publish(
    browser: TestClient, full_city: City
) -> None:
    page = " ".join("".join(read(browser, "/", "zh").words).split())
    orgs = {source.org for source in full_city.contracts.sources.values()}
    assert f"报送数据的部门{len(orgs)}" in page
    assert len(orgs) != len({product.contract.form.owner for product in full_city.contracts.products.values()})


def test_issues_come_in_pages(browser: TestClient, full_city: City) -> None:
    many = [Finding("pull.no_file", {"file": "x"}, "warning", str(number)) for number in range(150)]
    Issues(full_city.register).report(REGISTER, "psb", "pull", many)
    first, last = (browser.get(f"/issues?owner=psb&page={page}").text for page in (1, 2))
    assert first.count("pull.no_file") == 100 and last.count("pull.no_file") == 50
    assert 'href="/issues?owner=psb&amp;page=2" aria-current="page"' in last
    for nothing in ("0", "-1", "x", "999999999999"):
        assert browser.get(f"/issues?owner=psb&page={nothing}").status_code == 200
    assert browser.get("/issues?owner=psb&page=99").text.count("pull.no_file") == 50
    Issues(full_city.register).report(REGISTER, "psb", "pull", [])


@pytest.mark.long
def test_every_link_of_a_page_leads_somewhere(browser: TestClient) -> None:
    seen: set[str] = set()
    for road in PAGES:
        for about in read(browser, road, "zh").all("a"):
            link = (about["href"] or "").split("#")[0]
            if link.startswith("/") and link not in seen:
                seen.add(link)
                assert browser.get(link, headers=HTML, follow_redirects=True).status_code == 200, (road, link)


def test_messages_and_templates_fit() -> None:
    folder = Path(catalog.__file__).parent
    templates = " ".join(path.read_text("utf-8") for path in (folder / "web" / "templates").glob("*.html"))
    code = " ".join(path.read_text("utf-8") for path in folder.rglob("*.py"))
    named = {f"web.{name}" for name in re.findall(r"\bt\('([a-z_.0-9]+)'[,)]", templates)}
    named |= {f"web.{name}" for name in re.findall(r"\bvoice\.t\(\"([a-z_.0-9]+)\"", code)}
    named |= set(re.findall(r"\"(web\.[a-z_.0-9]+)\"", code))
    web = {name for name in catalogue() if name.startswith("web.")}
    assert named <= web, named - web
    by_value = (
        r"web\.(value|type|mask|kind|status|check|check_status|approver|severity|action|outcome|reason|error|nav"
        r"|facet|role|road|library|order|attained|indicator_status)\."
    )
    unused = {name for name in web - named if not re.match(by_value, name) and not _made_up(name, templates)}
    assert not unused, unused
    for name in web:
        texts = catalogue()[name]
        assert set(texts) == {"zh", "en"}
        places = [sorted(re.findall(r"{(\w+)", texts[language])) for language in ("zh", "en")]
        assert places[0] == places[1], name


def _made_up(name: str, templates: str) -> bool:
    """Whether templates put the id together: facts of a dataset, kinds of decisions."""
    last = name.rsplit(".", 1)[1]
    return name.startswith("web.decision.kinds.") or f"fact('{last}'" in templates


def test_a_dataset_says_whether_it_is_late(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what its sources delivered: a release of old data makes nothing fresh, an unchanged source is not late."""
    model, page = own_city.contracts.products[AGES].contract.form.model, f"/datasets/{AGES}?lang=zh"
    sources, browser = upstream(own_city.settings.dbt_project, model).sources, own_city.client()
    assert "更新及时" not in browser.get(page).text and "逾期" not in browser.get(page).text, "nothing is known yet"
    receipts = Receipts(own_city.register, "test")
    for source in sources:
        receipts.add(Stage.PULL, source, {"origin": "x"}, 1)
    text = browser.get(page).text
    assert "更新及时" in text and "数据最近送达" in text and "发布时间" in text
    later = now() + timedelta(days=9, hours=12)
    monkeypatch.setattr("catalog.web.pages.now", lambda: later)
    assert "逾期 8 天未更新" in browser.get(page).text, "daily data have two days"
    assert "更新及时" in browser.get(f"/datasets/{DIVISIONS}?lang=zh").text, "yearly data are in time"
    own_city.release(AGES, 96)
    assert "逾期 8 天未更新" in browser.get(page).text, "a release is no delivery"
    monkeypatch.setattr("pipelines.register.receipts.now", lambda: later)
    *others, last = sources
    for source in others:
        receipts.add(Stage.SEEN, source, {})
    assert "逾期" in browser.get(page).text, "one source is still late"
    receipts.add(Stage.SEEN, last, {})
    assert "更新及时" in browser.get(page).text, "asked, and nothing was new"


def test_a_dataset_offers_every_format_and_says_the_licence(browser: TestClient, full_city: City) -> None:
    text = browser.get(f"/datasets/{AGES}?lang=zh").text
    for kind in FORMATS:
        assert f'class="button" href="/datasets/{AGES}/download/{kind}"' in text
    licence = full_city.contracts.products[AGES].form.licence
    assert licence is not None and licence in text
    assert "只留姓氏" in browser.get(f"/datasets/{PERSONS}?lang=zh").text


def test_numbers_times_and_language(browser: TestClient, full_city: City) -> None:
    city = full_city
    text = browser.get("/?lang=zh").text
    assert "2,469,136" in text
    assert browser.cookies["citylake_language"] == "zh"
    assert 'lang="en"' in browser.get("/?lang=en").text
    assert "Datasets" in browser.get("/datasets").text, "the choice is kept"
    at = city.ledger.published()[AGES].at
    assert f"{(at.hour + 8) % 24:02}:{at.minute:02}" in browser.get(f"/datasets/{AGES}?lang=zh").text


def test_the_list_is_searched_and_filtered(browser: TestClient) -> None:
    def found(query: str) -> set[str]:
        return set(re.findall(r'<h3><a href="/datasets/([^"]+)"', browser.get(f"/datasets?{query}").text))

    assert found("") == {AGES, PERSONS, DIVISIONS, PLAN, COUNTIES}
    assert found("q=age+lu") == found("channel=open&theme=population") == {AGES}
    assert found("q=%E5%88%86%E6%9E%90") == found("provider=nrpb") == {DIVISIONS}
    assert found("share=%E6%9C%89%E6%9D%A1%E4%BB%B6%E5%85%B1%E4%BA%AB") == found("level=3") == {PERSONS}
    assert found("page=999&level=3") == found("page=x&level=3") == {PERSONS}


def test_issue_texts_are_for_recipients(browser: TestClient, full_city: City) -> None:
    city = full_city
    assert "secret-host" not in browser.get("/issues").text + browser.get(f"/quality/{AGES}").text
    signed_in = city.client()
    signed_in.post("/login", data={"token": city.recipient("问题测试")})
    assert "secret-host" in signed_in.get("/issues").text


def test_issues_are_shown_by_owner_under_the_names_of_their_subjects(own_city: City) -> None:
    desk = Issues(own_city.register)
    desk.report("linkage", "psb", "linkage", [Finding("linkage.waiting", {"questions": 3}, "warning")])
    desk.report(
        "psb/household_person", "psb", "drift", [Finding("drift.new_column", {"column": "NEU"}, "warning", "NEU")]
    )
    desk.report("hc/health_record", "hc", "drift", [Finding("drift.new_column", {"column": "NEW"}, "error", "NEW")])
    client = own_city.client()
    everybody, police = client.get("/issues").text, client.get("/issues?owner=psb").text
    assert everybody.index("NEW") < everybody.index("NEU")  # errors first
    assert "NEU" in police and "NEW" not in police
    assert own_city.contracts.sources["psb/household_person"].form.name in police
    assert "人员比对" in police and "linkage of persons" in client.get("/issues?owner=psb&lang=en").text
    assert 'href="/issues?owner=hc"' in police
    assert "NEU" not in client.get("/issues?owner=nobody").text


def test_a_confirmed_volume_stands_among_the_decisions_without_names_of_people(own_city: City) -> None:
    about = {"who": "张专员", "why": "医保停报", "rows": 7, "refusal": 1}
    own_city.ledger.record([Entry(CONFIRMATION, AGE_MODEL, "e", None, about)])
    public = own_city.client().get("/decisions").text
    assert "确认" in public and "张专员" not in public and "医保停报" not in public
    own_city.ledger.record([Entry(ERASURE, "删字1号", "erasure-删字1号", None, {"who": "李专员", "why": "张三申请"})])
    signed_in = own_city.client()
    signed_in.post("/login", data={"token": own_city.recipient("决定测试")})
    told = signed_in.get("/decisions").text
    assert "医保停报" in told and "删除个人数据" in told
    assert "张三" not in told and "李专员" not in told


def test_what_ended_and_what_is_held_stands_among_the_decisions(own_city: City) -> None:
    about = {"who": "李专员", "why": "法院调取", "until": None}
    ended = {**about, "rows": 7, "releases": {}}
    entries = [Entry(HOLD, AGE_MODEL, "h", None, about), Entry(HOLD_END, AGE_MODEL, "h", None, {**about, "hold": 1})]
    own_city.ledger.record([*entries, Entry(RETENTION, "retention-1", "retention-1", None, ended)])
    client = own_city.client()
    client.post("/login", data={"token": own_city.recipient("期满测试")})
    told = client.get("/decisions").text
    assert all(kind in told for kind in ("保全", "解除保全", "保存期限届满"))
    assert "李专员" not in told and "法院调取" not in told


def test_every_library_has_a_name(contracts: Contracts) -> None:
    for contract in contracts.models.values():
        assert set(catalogue()[f"web.library.{contract.library}"]) == {"zh", "en"}


def test_text_of_others_is_escaped(own_city: City) -> None:
    nasty = "<script>alert(1)</script>"
    own_city.refuse(AGES, nasty)
    client = own_city.client()
    client.post("/login", data={"token": own_city.recipient(f"甲{nasty}")})
    own_city.grant(f"甲{nasty}")
    for road in ("/decisions", f"/quality/{AGES}", "/access", f"/datasets?q={nasty}", f"/login?next=/{nasty}"):
        assert nasty not in client.get(road, headers=HTML).text


def test_security_headers_are_on_every_answer(browser: TestClient) -> None:
    for road in (
        "/",
        "/static/citylake.css",
        "/fonts/OFL.txt",
        "/nowhere",
        "/delta-sharing/shares",
        f"/datasets/{AGES}/download/csv",
    ):
        headers = browser.get(road).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff" and "referrer-policy" in headers


def test_machines_get_json_and_people_pages(browser: TestClient) -> None:
    assert browser.get("/nowhere").json()["errorCode"] == "RESOURCE_DOES_NOT_EXIST"
    assert "<h1>" in browser.get("/nowhere", headers=HTML).text
    assert browser.post("/", headers=HTML).status_code == 405
    assert "怎样获得访问" in browser.get(f"/datasets/{PERSONS}/preview?lang=zh", headers=HTML).text


def test_a_dataset_is_measured_where_its_model_was(own_city: City) -> None:
    """Also when the model has been released again and the dataset has not."""
    own_city.release_model()
    browser, ledger = own_city.client(), own_city.ledger
    before = browser.get(f"/quality/{PERSONS}?lang=zh", headers=HTML).text
    model = ledger.published()[MODEL]
    assert f'href="/quality/{MODEL}"' in before and "第 0 版" in before
    for rule in model.body["rules"]:
        assert f"<code>{rule['rule']}</code>" in before
    ledger.record([Entry(RELEASE, MODEL, "2026-11-02.1", 1, {**model.body, "rules": []})])
    browser = own_city.client()
    assert browser.get(f"/quality/{PERSONS}?lang=zh", headers=HTML).text == before
    assert "没有规则记录" not in before
    assert "没有规则记录" in browser.get(f"/quality/{MODEL}?lang=zh", headers=HTML).text


def test_what_is_not_known_any_more_is_called_unknown(own_city: City) -> None:
    """A release that cannot be found is another thing than a model without rules; neither has a total."""
    page = own_city.client().get(f"/quality/{DIVISIONS}?lang=zh", headers=HTML).text
    assert "已查不到" in page and "未知" in page and "没有规则记录" not in page and "没有对应规则" not in page
    assert "等级 <strong>—</strong>" in page
    own_city.release_model(GEOGRAPHY, rules=[])
    page = own_city.client().get(f"/quality/{DIVISIONS}?lang=zh", headers=HTML).text
    assert "没有规则记录" in page and "没有对应规则" in page and "未知" not in page
    assert "等级 <strong>—</strong>" in page


@pytest.mark.parametrize(
    ("language", "value", "text"),
    [
        ("zh", True, "是"),
        ("en", False, "no"),
        ("zh", datetime(2026, 11, 28, 20, 5, tzinfo=UTC), "2026-11-29T04:05:00+08:00"),
        ("en", date(2026, 11, 28), "2026-11-28"),
        ("zh", Decimal("0.10"), "0.10"),
    ],
)
def test_cells_of_a_table_are_in_the_zone_that_the_foot_of_the_page_names(
    language: str, value: object, text: str
) -> None:
    assert Voice(language, "Asia/Shanghai").cell(value) == text
