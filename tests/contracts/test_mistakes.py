"""Every mistake an author can make is told with file, line, what is wrong and a hint, in Chinese and in English."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mutated_files import CITY, COUNT, FIELDS, PERSON, SEX, SOURCE
from mutations import MUTATIONS

from pipelines.contracts.load import load
from pipelines.contracts.mistakes import Mistakes
from pipelines.messages import CitylakeError

Edit = Callable[[str, str, str], None]


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mistake_is_told_where_it_stands(city: Path, edit: Edit, mutation: str) -> None:
    file, old, new, at, zh, en = MUTATIONS[mutation]
    edit(file, old, new)
    lines = (city / file).read_text("utf-8").split("\n")
    expected = next(number for number, line in enumerate(lines, start=1) if at in line)
    with pytest.raises(CitylakeError) as caught:
        load(city)
    chinese, english = caught.value.text("zh"), caught.value.text("en")
    assert caught.value.arguments["file"] == city / file
    assert caught.value.arguments["line"] == expected, chinese
    assert f"第 {expected} 行" in chinese and f"line {expected}:" in english
    assert zh in chinese
    assert en in english
    assert "{" not in chinese.replace("{32}", "").split("行：")[1].split("应为：")[0]


AT_ONCE = {
    "forms and columns": [
        (SOURCE, "{name: sex,", "{name: sx,", "第 14 行：字段 sx 不存在"),
        (SOURCE, "{name: name,", "{name: nam,", "第 13 行：字段 nam 不存在"),
        (COUNT, "version: 1.0.0", "version: one", "第 3 行：version 的值"),
        (COUNT, "status: active", "statu: active", "第 4 行：不认识的键 statu"),
    ],
    "what one contract names": [
        (SOURCE, "newest: updated_at", "newest: updated", "第 7 行：updated 不是本合同的列"),
        (SOURCE, "connection: psb", "connection: pbs", "第 6 行：连接 pbs 不存在"),
        (SOURCE, "birth: birth_date}", "birth: birth_dat}\n  - nonsense", "第 21 行：birth_dat 不是"),
        (SOURCE, "  - nonsense", "  - nonsenses", "第 22 行：规则 nonsenses 不存在"),
    ],
    "under a wrong code list": [
        (SEX, "未知的性别", "", "第 2 行：代码表有误"),
        (CITY, "operator:", "operater:", "不认识的键 operater"),
        (SOURCE, "version: 1.0.0", "versio: 1.0.0", "第 3 行：不认识的键 versio"),
    ],
}


@pytest.mark.parametrize("edits", AT_ONCE.values(), ids=AT_ONCE)
def test_all_mistakes_of_all_files_are_told_at_once(
    city: Path, edit: Edit, edits: list[tuple[str, str, str, str]]
) -> None:
    """Each with its file and line, and nothing that only follows from another."""
    for file, old, new, _ in edits:
        edit(file, old, new)
    with pytest.raises(Mistakes) as caught:
        load(city)
    each = [one.text("zh") for one in caught.value.each]
    assert len(each) == len(edits), each
    for file, _, _, told in edits:
        assert any(str(city / file) in one and told in one for one in each), (told, each)
        assert told in str(caught.value)


def test_the_table_of_mistakes_is_long_enough() -> None:
    assert len(MUTATIONS) >= 30


@pytest.mark.parametrize("file", [CITY, FIELDS, SOURCE, PERSON])
@pytest.mark.parametrize("content", ["", "# only a comment\n"])
def test_an_empty_file_is_told(city: Path, file: str, content: str) -> None:
    (city / file).write_text(content, "utf-8")
    with pytest.raises(CitylakeError, match="文件是空的"):
        load(city)


@pytest.mark.parametrize("file", [SOURCE, SEX])
def test_a_file_that_is_not_utf8_is_told_with_the_line(city: Path, file: str) -> None:
    lines = (city / file).read_text("utf-8").splitlines()
    (city / file).write_bytes("\n".join(lines[:2]).encode() + "\n户籍".encode("gbk"))
    with pytest.raises(CitylakeError, match="第 3 行：文件不是 UTF-8"):
        load(city)


@pytest.mark.parametrize("file", [CITY, FIELDS, "codes/organisations.csv"])
def test_a_file_that_is_not_there_is_told(city: Path, file: str) -> None:
    (city / file).unlink()
    with pytest.raises(CitylakeError, match=f"{Path(file).name} 不存在"):
        load(city)


def test_a_folder_that_is_no_organisation_is_told(city: Path) -> None:
    (city / "sources/psb").rename(city / "sources/police")
    with pytest.raises(CitylakeError, match="部门 police 不存在"):
        load(city)


@pytest.mark.parametrize(
    "name", ["sources/person.yaml", "sources/psb/person.yml", "products/population/old/person.yaml"]
)
def test_a_file_that_would_be_overlooked_is_told(city: Path, name: str) -> None:
    (city / name).parent.mkdir(exist_ok=True)
    (city / name).write_text("name: x\n", "utf-8")
    with pytest.raises(CitylakeError, match="不会被读取"):
        load(city)


def test_a_file_name_that_is_no_name_is_told(city: Path) -> None:
    (city / SOURCE).rename(city / "sources/psb/Person-1.yaml")
    with pytest.raises(CitylakeError, match="Person-1 只能用小写字母"):
        load(city)


def test_a_city_without_a_used_channel_is_told(edit: Edit, city: Path) -> None:
    edit(CITY, "  sharing: {name: 共享目录, nameEn: sharing, maxLevel: 3}\n", "")
    with pytest.raises(CitylakeError, match="通道 sharing 不存在"):
        load(city)


def test_a_code_list_without_codes_is_told(city: Path) -> None:
    (city / SEX).write_text("code,name\n", "utf-8")
    with pytest.raises(CitylakeError, match="没有任何代码"):
        load(city)


def test_the_same_model_twice_is_told(city: Path) -> None:
    text = (city / COUNT).read_text("utf-8").replace("count_by_county", "another").replace('"101002"', '"101003"')
    (city / "products/population/number.yaml").write_text(
        text.replace("population__count", "population__number"), "utf-8"
    )
    load(city)
    (city / "products/population/number.yaml").write_text(
        text.replace("population__count", "population__number").replace("another", "count_by_county"), "utf-8"
    )
    with pytest.raises(CitylakeError, match="open/count_by_county 已在"):
        load(city)


def test_a_correction_does_not_write_down_a_personal_key(city: Path, edit: Edit) -> None:
    edit(SOURCE, "key: [record_no]", "key: [id_number]")
    entry = '{id: a, column: division_code, where: {id_number: "1"}, expect: "9", set: "341502"'
    edit(SOURCE, "quality:", f'corrections:\n  - {entry}, reason: r, status: open, since: "2026-11-01"}}\nquality:')
    with pytest.raises(CitylakeError) as caught:
        load(city)
    assert (caught.value.code, caught.value.arguments["column"]) == ("contract.correction_sensitive", "id_number")
