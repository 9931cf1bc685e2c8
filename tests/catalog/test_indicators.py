"""Indicators: targets as printed, verdicts of the release, missing sources named; the map for whom it may be drawn."""

import re
import xml.etree.ElementTree as ET

import pytest
from fastapi.testclient import TestClient

from catalog.policy import audit
from catalog.web import county_map, targets
from catalog.web.county_map import scale, tiles
from tests.catalog.small_city import AGES, COUNTIES, GEOGRAPHY, PLAN, City, bearer

SVG = "{http://www.w3.org/2000/svg}"
SQUARE = [[[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)]]]


@pytest.fixture(scope="module")
def browser(full_city: City) -> TestClient:
    return full_city.client()


def row_of(text: str, name: str) -> str:
    (found,) = (row for row in re.findall(r"<tr>.*?</tr>", text, re.S) if name in row)
    return str(found)


def test_targets_are_shown_as_printed(browser: TestClient) -> None:
    text = browser.get("/indicators?lang=zh").text
    cloud = row_of(text, "政务系统上云率")
    assert "应上尽上" in cloud and "100" not in cloud, "words are no 100 %"
    assert cloud.index("90%") < cloud.index("达标") < cloud.index("应上尽上") < cloud.index("不适用")
    share = row_of(text, "数字经济")
    assert "达到全省平均水平" in share and "对标值 9.5" in share and "未达标" in share
    health = row_of(text, "电子健康档案覆盖率")
    assert (
        "未达标" in health
        and "94.47 %" in health
        and "4,150,000 / 4,393,000" in health
        and "有档案的常住居民数 / 常住人口" in health
        and "2026-10" in health
    )
    assert text.index("数字基础") < text.index("民生服务")
    assert "2023 年目标" in text and "2025 年目标" in text


def test_what_has_no_value_says_why(browser: TestClient) -> None:
    text = browser.get("/indicators?lang=zh").text
    assert "暂无数据源" in row_of(text, "5G基站") and "市经信局：5G基站台账" in row_of(text, "5G基站")
    card = row_of(text, "电子健康卡")
    assert "待数据" in card
    for row in (card, row_of(text, "5G基站")):
        assert "达标" not in row and "不适用" not in row, "there is nothing to judge"


def test_pages_say_what_is_not_released(client: TestClient) -> None:
    for road, product in (("/indicators", PLAN), ("/indicators/map", COUNTIES)):
        answer = client.get(f"{road}?lang=zh")
        assert answer.status_code == 200 and "还没有发布" in answer.text and product in answer.text


def test_a_release_without_a_column_that_is_needed_shows_nothing(own_city: City) -> None:
    columns = {column.name: [column.source, column.mask] for column in own_city.contracts.products[PLAN].columns}
    own_city.release(PLAN, columns={**columns, "attained": ["attained", "year"]})
    assert "还没有发布" in own_city.client().get("/indicators?lang=zh").text


def test_each_look_is_audited(full_city: City, browser: TestClient) -> None:
    token = full_city.recipient("看图审计")
    browser.get("/indicators")
    browser.get("/indicators/map", headers=bearer(token))
    second, first = audit.recent(full_city.register, 2)
    assert (first["action"], first["product"], first["recipient"], first["body"]["rows"]) == ("page", PLAN, None, 10)
    assert (second["product"], second["recipient"], second["body"]["boundaries"]) == (COUNTIES, "看图审计", True)
    assert browser.get("/indicators", headers=bearer(token[:-1])).status_code == 401


def svg(text: str) -> ET.Element:
    return ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])


def test_the_map_is_well_formed_and_tells_all_it_shows(browser: TestClient) -> None:
    text = browser.get("/indicators/map?indicator=health_record_coverage&lang=zh").text
    drawn = svg(text)
    assert drawn.get("role") == "img"
    titled = {element.get("id") for element in drawn.iter() if element.tag in (f"{SVG}title", f"{SVG}desc")}
    assert set((drawn.get("aria-labelledby") or "").split()) <= titled
    areas = drawn.findall(f"{SVG}path")
    told = [str(area.findtext(f"{SVG}title")) for area in areas]
    assert told[0] == "金安区 81.25" and told[2] == "叶集区 无数据" and len(areas) == 7
    shades = [area.get("class") for area in areas]
    assert shades[2] == "area class-none" and shades[0] == "area class-0" and shades[6] == "area class-4"
    assert text.count('class="swatch') == 6 and "仅供统计分析，非地图产品" in text
    assert "统计期 2026-10" in text
    plain = browser.get("/indicators/map?indicator=aqi_mean&lang=zh").text
    assert "统计期" not in plain and "单位" not in plain
    assert "有档案的常住居民数（人）" in text and "常住人口（人）" in text, "of what 819.5 and 1,000 are"
    assert "各日空气质量指数之和" in plain and "None" not in plain
    assert "99.75" in row_of(text, "霍山县") and "819.5" in row_of(text, "霍山县")


def test_real_boundaries_are_drawn_for_recipients_only(full_city: City, browser: TestClient) -> None:
    token = full_city.recipient("看图测试")
    public, shown = browser.get("/indicators/map"), browser.get("/indicators/map", headers=bearer(token))
    boxes, outlines = (
        [area.get("d") or "" for area in svg(answer.text).findall(f"{SVG}path")] for answer in (public, shown)
    )
    assert all(re.fullmatch(r"M\d+ \d+h\d+v\d+h-\d+z", box) for box in boxes)
    assert all(len(outline) > 300 for outline in outlines)
    assert "审图号" in public.text and "已登录" in shown.text


@pytest.mark.parametrize("change", ["withdrawn", "conditional"])
def test_policy_closes_the_boundaries_again(own_city: City, change: str) -> None:
    own_city.release(COUNTIES)
    own_city.release_model(GEOGRAPHY)
    if change == "withdrawn":
        own_city.withdraw(GEOGRAPHY)
    else:
        file = own_city.own_contracts() / "products" / "geography" / "division.yaml"
        text = file.read_text("utf-8")
        assert "type: 无条件共享" in text
        file.write_text(text.replace("type: 无条件共享", "type: 有条件共享, condition: 按次审批"), "utf-8")
    text = own_city.client().get("/indicators/map", headers=bearer(own_city.recipient("甲"))).text
    assert "审图号" in text and "M0 " in text


def test_an_unknown_indicator_is_not_there(browser: TestClient) -> None:
    assert browser.get("/indicators/map?indicator=nothing").status_code == 404


def test_classes_have_equal_width() -> None:
    found = scale([0.0, 10.0, 4.0])
    assert found is not None and found.classes == [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 8.0), (8.0, 10.0)]
    assert [found.number(value) for value in (0.0, 1.9, 2.0, 9.9, 10.0)] == [0, 0, 1, 4, 4]
    same = scale([3.0, 3.0])
    assert same is not None and (same.classes, same.number(3.0)) == ([(3.0, 3.0)], 0)
    assert scale([]) is None


def test_tiles_stand_where_the_counties_lie() -> None:
    corners = {"a": (0.0, 2.0), "b": (2.0, 2.0), "c": (0.0, 0.0), "d": (2.0, 0.0)}
    moved = {code: [[[(x + dx, y + dy) for x, y in SQUARE[0][0]]]] for code, (dx, dy) in corners.items()}
    places = {shape.code: (shape.x, shape.y) for shape in tiles(list("dcba"), moved).shapes}
    assert places["a"][0] < places["b"][0] and places["a"][1] < places["c"][1]
    assert (places["d"][0], places["c"][1]) == (places["b"][0], places["d"][1])
    assert [shape.code for shape in tiles(list("xyz"), {}).shapes] == ["x", "y", "z"], "also without boundaries"


def test_common_borders_stay_common() -> None:
    east = [[[(x + 1, y) for x, y in SQUARE[0][0]]]]
    drawing = county_map.outlines({"a": SQUARE, "b": east})
    points = [set(re.findall(r"\d+ \d+", shape.path)) for shape in drawing.shapes]
    assert len(points[0] & points[1]) == 2
    assert drawing.width == 1000 and drawing.height in (500, 501), "square degrees near the equator are square"


def test_a_plan_without_rows_is_empty() -> None:
    assert targets.indicators([]) == [] and targets.county_indicators([]) == {}


def test_the_open_products_are_ordinary_datasets(browser: TestClient) -> None:
    for product in (PLAN, COUNTIES, AGES):
        assert browser.get(f"/datasets/{product}").status_code == 200
