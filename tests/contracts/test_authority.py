"""The authority matrix and what columns are computed from: read strictly, told where wrong, and ordered by the day."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from pipelines.contracts import export
from pipelines.contracts.authority import EDITION, Origin, order_on, origin
from pipelines.contracts.load import Contracts, load
from pipelines.messages import CitylakeError

Edit = Callable[[str, str, str], None]
PERSON = "products/population/person.yaml"
MATRIX = """\
population/person:
  name:
    - {source: psb/person, basis: 户口登记条例, confidence: high, from: "2020-01-01", to: "2025-12-31"}
    - {source: psb/person, basis: 新规定, confidence: high, from: "2026-01-01"}
  person_id:
    - source: psb/person
      column: id_number
      basis: 身份号码
      confidence: medium
      from: "2020-01-01"
"""


def test_the_matrix_says_who_counts_on_which_day(city: Path) -> None:
    (city / "authority.yaml").write_text(MATRIX, "utf-8")
    matrix = load(city).authority
    first, second = matrix["population/person"]["name"]
    assert (first.column, first.basis, first.until) == ("name", "户口登记条例", date(2025, 12, 31))
    days = (date(2019, 12, 31), date(2020, 1, 1), date(2025, 12, 31), date(2026, 1, 1))
    assert [first.counts(day) for day in days] == [False, True, True, False]
    assert second.counts(date(2099, 1, 1))
    assert order_on(matrix, date(2026, 6, 1)) == {
        "population/person": {"name": ["psb/person"], "person_id": ["psb/person"]}
    }
    assert order_on(matrix, date(2019, 1, 1))["population/person"]["name"] == []
    assert matrix["population/person"]["person_id"][0].column == "id_number"


def test_a_city_without_a_matrix_is_a_city(small: Contracts) -> None:
    assert small.authority == {}


MISTAKES = [
    ("population/person:", "population/persons:", "产品合同 population/persons 不存在", "population/person"),
    ("  name:\n", "  nam:\n", "nam 不是本合同的列", "name"),
    ("{source: psb/person, basis: 户", "{source: psb/people, basis: 户", "来源 psb/people 不存在", "psb/person"),
    ("column: id_number", "column: sex_code", "字段 sex_code 不存在|sex_code 不是本合同的列", "sex"),
    ('to: "2025-12-31"', 'to: "2019-12-31"', "终止日 2019-12-31 早于起始日 2020-01-01", ""),
    ('from: "2026-01-01"', 'from: "2025-12-31"', "来源 psb/person 在字段 name 下的有效期重叠", ""),
    ('from: "2026-01-01"', 'from: "2026-02-30"', "2026-02-30 不是日历上的日期", ""),
    ('from: "2026-01-01"', "from: 2026", "请加引号", ""),
    ('from: "2026-01-01"', 'from: "1.1.2026"', "日期写作 YYYY-MM-DD", ""),
    ("basis: 新规定", "bases: 新规定", "不认识的键 bases", "basis"),
    (", basis: 新规定", "", "缺少必填键 basis", ""),
    ("confidence: medium", "confidence: 中", "high|medium|low", ""),
]


@pytest.mark.parametrize(("old", "new", "zh", "hint"), MISTAKES)
def test_a_mistake_is_told_where_it_stands(city: Path, old: str, new: str, zh: str, hint: str) -> None:
    assert MATRIX.count(old) == 1
    text = MATRIX.replace(old, new)
    (city / "authority.yaml").write_text(text, "utf-8")
    with pytest.raises(CitylakeError, match=zh) as caught:
        load(city)
    place = MATRIX[: MATRIX.index(old)].count("\n") + 1
    assert caught.value.arguments["file"] == city / "authority.yaml"
    assert caught.value.arguments["line"] == place
    assert hint in caught.value.text("zh") and hint in caught.value.text("en")


def test_an_empty_matrix_is_told(city: Path) -> None:
    (city / "authority.yaml").write_text("# nothing\n", "utf-8")
    with pytest.raises(CitylakeError, match="文件是空的"):
        load(city)


def test_an_origin_is_a_column_of_the_row_a_source_a_model_or_the_edition() -> None:
    assert origin("sex") == Origin(None, "sex")
    assert origin("psb/person.sex") == Origin("psb/person", "sex")
    assert origin("lib_population__person.sex") == Origin("lib_population__person", "sex")
    assert origin("edition.as_of") == EDITION


@pytest.mark.parametrize("text", ["id_number", "psb/person.person_id", "lib_population__person.sex", "edition.as_of"])
def test_computed_columns_name_what_there_is_and_are_exported(city: Path, edit: Edit, text: str) -> None:
    edit(PERSON, "  - sex\n  - birth_date", f"  - {{name: sex, transformSourceObjects: [{text}]}}\n  - birth_date")
    contracts = load(city)
    contract = contracts.models["lib_population__person"]
    assert contract.computed == {"sex": (text,)}
    properties = {item["name"]: item for item in export.render(contract, contracts)["schema"][0]["properties"]}
    assert properties["sex"]["transformSourceObjects"] == [text]
    assert "transformSourceObjects" not in properties["name"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("idnumber", "idnumber 不是本合同的列。是否想写 id_number？"),
        ("psb/people.sex", "来源 psb/people 不存在"),
        ("psb/person.gender", "gender 不是本合同的列"),
        ("lib_population__persons.sex", "模型 lib_population__persons 不存在"),
        ("lib_population__person.gender", "gender 不是本合同的列"),
        ("edition.id", "模型 edition 不存在"),
    ],
)
def test_an_origin_that_does_not_exist_is_told_where_it_stands(city: Path, edit: Edit, text: str, told: str) -> None:
    edit(PERSON, "  - sex\n  - birth_date", f"  - {{name: sex, transformSourceObjects: [{text}]}}\n  - birth_date")
    with pytest.raises(CitylakeError, match=told) as caught:
        load(city)
    line = next(n for n, content in enumerate((city / PERSON).read_text("utf-8").split("\n"), 1) if text in content)
    assert caught.value.arguments["line"] == line


def test_a_source_cannot_say_what_its_columns_are_computed_from(city: Path, edit: Edit) -> None:
    edit("sources/psb/person.yaml", "physicalName: XB}", "physicalName: XB, transformSourceObjects: [name]}")
    with pytest.raises(CitylakeError, match="transformSourceObjects"):
        load(city)


def test_every_library_of_the_city_can_be_explained(real: Contracts) -> None:
    """Each column of a library names its origin or is a column of some source, so that no cell is without one."""
    columns = {column.name for source in real.sources.values() for column in source.all_columns}
    for name, contract in real.models.items():
        names = {column.name for column in contract.columns}
        if name.startswith("lib_") and ("source_rows" in names or all(r.verb != "counts_rows" for r in contract.rules)):
            claimed = real.authority.get(contract.id, {})
            books = {"source_rows", "attr_source"}
            unknown = names - books - columns - contract.computed.keys() - claimed.keys()
            assert "source_rows" in names, name
            assert unknown == set(), name
