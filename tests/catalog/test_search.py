"""The list of datasets: words, facets with counts, links that keep the rest, order, pages, and ways out of nothing."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import QueryParams

from catalog.web import search
from catalog.web.cards import Card, ColumnText, Value, folded
from catalog.web.search import Answer, Question
from tests.catalog.small_city import AGES, DIVISIONS, PERSONS, City

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def card(number: int, title: str = "", **facets: str) -> Card:
    values = {"channel": "open", "theme": "population", "provider": "dsrb", "level": "1", "share": "无条件共享"}
    values |= {"open": "无条件开放", "cycle": "每日", **facets}
    return Card(
        id=f"open/d{number}",
        title=title or f"数据{number}",
        abstract="",
        facets={name: Value(code, code) for name, code in values.items()},
        rows=1,
        version=0,
        released=NOW - timedelta(days=number),
        text=folded(title or f"数据{number}"),
        columns=(ColumnText("人数", folded("persons", "人数", "Persons")),),
    )


CARDS = [
    card(1, theme="population", provider="psb", level="3"),
    card(2, theme="population", provider="dsrb", level="1"),
    card(3, theme="geography", provider="nrpb", level="2"),
    card(4, theme="geography", provider="nrpb", level="1", cycle="每年"),
]


def ask(query: str, cards: list[Card] = CARDS) -> Answer:
    return search.answer(cards, search.question(QueryParams(query)), "zh")


def found(answer: Answer) -> list[str]:
    return [item.id.removeprefix("open/d") for item in answer.found]


def counts(answer: Answer, facet: str) -> dict[str, int]:
    return {choice.value.code: choice.count for choice in answer.facets[facet]}


def test_values_of_one_facet_add_up_and_facets_narrow() -> None:
    assert found(ask("theme=geography")) == ["3", "4"]
    assert found(ask("theme=geography&theme=population")) == ["1", "2", "3", "4"]
    assert found(ask("theme=geography&level=1")) == ["4"]


def test_a_facet_counts_what_the_others_leave() -> None:
    answer = ask("theme=geography&level=1")
    assert counts(answer, "theme") == {"population": 1, "geography": 1}, "as many as level 1 has of each"
    assert counts(answer, "level") == {"1": 1, "2": 1, "3": 0}, "as many as geography has of each"
    assert counts(answer, "provider") == {"nrpb": 1, "dsrb": 0, "psb": 0}
    assert sum(counts(ask(""), "cycle").values()) == len(CARDS)


def test_links_keep_everything_else() -> None:
    asked = search.question(QueryParams("q=数据&theme=geography&level=1&sort=name&page=2"))
    assert asked.address == f"/datasets?q={quote('数据')}&theme=geography&level=1&sort=name&page=2"
    assert asked.toggled("level", "2").address.endswith("theme=geography&level=1&level=2&sort=name")
    assert asked.toggled("theme", "geography").address.endswith("&level=1&sort=name")
    assert asked.at(3).address.endswith("&sort=name&page=3")
    assert asked.ordered("updated").address.endswith("theme=geography&level=1")
    assert Question().address == "/datasets"


def test_words_are_looked_for_in_names_and_columns() -> None:
    assert found(ask("q=数据3")) == ["3"]
    assert found(ask("q=数据３")) == ["3"], "full-width digits are digits"
    assert len(found(ask("q=PERSONS"))) == 4
    assert found(ask("q=人数+数据2")) == ["2"], "every word must be found, wherever"
    (hit,) = search.question(QueryParams("q=人数 数据2")).columns_of(CARDS[1])
    assert hit.label == "人数"
    assert search.question(QueryParams("q=数据2")).columns_of(CARDS[1]) == []


def test_order_and_pages() -> None:
    many = [card(number, theme="population") for number in range(1, 46)]
    assert [len(ask(f"page={page}", many).found) for page in (1, 2, 3)] == [20, 20, 5]
    assert ask("page=99", many).question.page == 3
    assert ask("page=0", many).question.page == ask("page=x", many).question.page == 1
    assert found(ask("page=2", many))[0] == "21", "the newest release first"
    named = [card(1, "县区"), card(2, "安全"), card(3, "人口")]
    assert [item.title for item in ask("sort=name", named).found] == ["安全", "人口", "县区"], "by pinyin"


def test_an_empty_answer_tells_ways_out() -> None:
    answer = ask("q=数据1&theme=geography&cycle=每年")
    assert answer.found == []
    assert {(way.left_out, way.count) for way in answer.remedies} == {("words", 1)}
    assert ask("q=数据1&theme=geography").remedies[1].left_out == "theme"
    assert ask("theme=geography").remedies == []


def test_a_value_nobody_has_can_be_taken_back() -> None:
    (choice,) = ask("theme=gone").chosen
    assert (choice.value.label, choice.count, choice.question.address) == ("gone", 0, "/datasets")


def test_an_address_cannot_choose_without_end() -> None:
    asked = search.question(QueryParams("&".join(f"theme=t{number}" for number in range(500))))
    assert len(asked.chosen) == search.MOST_CHOSEN


@pytest.fixture(scope="module")
def browser(city: City) -> TestClient:
    return city.client()


def listed(browser: TestClient, query: str) -> set[str]:
    return set(re.findall(r'<h3><a href="/datasets/([^"]+)"', browser.get(f"/datasets?lang=zh&{query}").text))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("年龄", {AGES}),
        ("age structure", {AGES}),
        ("市公安局", set()),
        ("数据资源管理局", {AGES, PERSONS}),
        ("Natural Resources", {DIVISIONS}),
        ("人口", {AGES, PERSONS}),
        ("公民身份号码", {PERSONS}),
        ("area_km2", {DIVISIONS}),
        ("空间地理", {DIVISIONS}),
        ("mobile", set()),
    ],
)
def test_the_catalogue_is_found_by_what_it_says(browser: TestClient, words: str, expected: set[str]) -> None:
    assert listed(browser, f"q={quote(words)}") == expected


def test_facets_of_the_page_lead_to_what_they_count(browser: TestClient) -> None:
    text = browser.get("/datasets?lang=zh").text.split('id="facets"')[1]
    links = re.findall(r'<a href="(/datasets\?[^"]+)">([^<]+)</a> <span class="count">(\d+)</span>', text)
    assert {label for _, label, _ in links} >= {
        "开放目录",
        "人口",
        "空间地理",
        "公开",
        "每日",
        "不予开放",
        "有条件共享",
    }
    for address, label, count in links:
        answer = browser.get(unescape(address)).text
        assert f"共 {count} 个数据集" in answer, label


def test_what_is_not_published_is_not_counted(own_city: City) -> None:
    client = own_city.client()
    assert "空间地理" in client.get("/datasets?lang=zh").text
    own_city.withdraw(DIVISIONS)
    text = client.get("/datasets?lang=zh").text
    assert "空间地理" not in text and "共 2 个数据集" in text


def test_the_form_keeps_what_is_chosen(browser: TestClient) -> None:
    text = browser.get("/datasets?theme=population&theme=geography&sort=name").text
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', text)
    assert hidden == [("theme", "population"), ("theme", "geography"), ("sort", "name")]
    assert 'aria-current="true"' in text


def test_columns_that_were_found_are_shown(browser: TestClient) -> None:
    text = browser.get(f"/datasets?lang=zh&q={quote('公民身份号码')}").text
    assert "<mark>公民身份号码</mark>" in text
