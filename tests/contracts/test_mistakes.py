"""Every mistake an author can make is told with file, line, what is wrong and a hint, in Chinese and in English."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.contracts.load import load
from pipelines.messages import CitylakeError

Edit = Callable[[str, str, str], None]

CITY, FIELDS = "city.yaml", "fields.yaml"
SOURCE, PERSON, COUNT = "sources/psb/person.yaml", "products/population/person.yaml", "products/population/count.yaml"
SEX = "codes/sex.csv"

# file, old text, new text, a text on the line that must be named, words in Chinese, words in English
MUTATIONS = {
    "unknown key with a guess": (SOURCE, "ignored:", "ignord:", "ignord", "是否想写 ignored", "Did you mean ignored"),
    "unknown key before missing": (SOURCE, "description:", "descripton:", "descripton", "是否想写 description", "mean"),
    "unknown nested key": (SOURCE, "physicalName: XB", "physicalNam: XB", "physicalNam: XB", "physicalName", "mean"),
    "unknown key lists its own form": (PERSON, "mode: 平台接口", "zzz: 1", "zzz", "可用：basis, condition", "Known"),
    "missing key": (SOURCE, "status: active\n", "", "name: 户籍人口", "缺少必填键 status", "key status is missing"),
    "missing nested key": (SOURCE, ", volumeFloor: 0.9", "", "load:", "缺少必填键 volumeFloor", "volumeFloor"),
    "duplicate key": (SOURCE, "status: active", "status: active\nname: 又一个", "又一个", "重复", "stands twice"),
    "number for text": (PERSON, '"101001"', "101001", "catalogue", "应为文字，请加引号", "put it in quotes"),
    "text for number": (SOURCE, "0.02", '"0.02"', "load:", "应为数字", "expected a number"),
    "text for boolean": (SOURCE, "XB}", "XB, required: yes}", "XB", "应为true 或 false", "expected true or false"),
    "list for text": (SOURCE, "nameEn: registered population", "nameEn: [a]", "nameEn", "应为文字", "expected text"),
    "text for list": (PERSON, "key: [person_id]", "key: person_id", "key:", "应为列表", "expected a list"),
    "mapping for list": (SOURCE, "ignored: [BZ]", "ignored: {BZ: 1}", "ignored", "应为列表", "expected a list"),
    "number for a column": (PERSON, "  - birth_date\n", "  - 5\n", "- 5", "应为文字或键值对", "text or a mapping"),
    "text for a mapping": (
        SOURCE,
        "slaProperties: {frequency: 每日, retention: 10y}",
        "slaProperties: x",
        "slaP",
        "键值对",
        "mapping",
    ),
    "no value": (SOURCE, "nameEn: registered population", "nameEn:", "nameEn", "值是空的", "no value"),
    "empty text": (SOURCE, "nameEn: registered population", 'nameEn: ""', "nameEn", "不能为空", "not be empty"),
    "empty list": (PERSON, "key: [person_id]", "key: []", "key:", "不能为空", "not be empty"),
    "not one of the values": (
        SOURCE,
        "active",
        "aktive",
        "aktive",
        "draft, active, deprecated, retired",
        "must be one of",
    ),
    "update cycle": (SOURCE, "每日", "daily", "daily", "实时, 每日", "must be one of"),
    "bad version": (SOURCE, "1.0.0", "v1", "v1", "三段数字", "three numbers"),
    "version as a number": (SOURCE, "1.0.0", "1.0", "version", "请加引号", "quotes"),
    "bad retention": (SOURCE, "10y", "10 years", "10 years", "保存期限应为", "retention is written"),
    "name with capitals": (
        PERSON,
        "product: person_of_division",
        "product: Person",
        "Person",
        "小写字母",
        "small letters",
    ),
    "share above one": (SOURCE, "0.02", "2", "load:", "不能大于 1", "at most 1"),
    "share of zero": (SOURCE, "0.02", "0", "load:", "必须大于 0", "above 0"),
    "level out of range": (
        FIELDS,
        "classification: 4",
        "classification: 5",
        "classification: 5",
        "不能大于 4",
        "at most 4",
    ),
    "k of one": (COUNT, "k: 10", "k: 1", "k: 1", "不能小于 2", "at least 2"),
    "two verbs in one entry": (
        PERSON,
        "  - row_count: {minimum: 1}",
        "  - {row_count: {minimum: 1}, required: {column: sex}}",
        "row_count",
        "只能有一项",
        "only one entry",
    ),
    "unknown field": (
        PERSON,
        "  - birth_date\n",
        "  - birth_dat\n",
        "birth_dat",
        "字段 birth_dat 不存在。是否想写 birth_date",
        "no field",
    ),
    "unknown code list": (
        FIELDS,
        "  codes: sex",
        "  codes: sexx",
        "sexx",
        "代码表 sexx 不存在。是否想写 sex",
        "no code list sexx",
    ),
    "unknown code list of a step": (FIELDS, "{codes: sex}", "{codes: sexx}", "sexx", "代码表 sexx", "code list sexx"),
    "unknown step": (
        FIELDS,
        "clean: [trim]",
        "clean: [trimm]",
        "trimm",
        "清洗步骤 trimm 不存在。是否想写 trim",
        "no cleaning step",
    ),
    "unknown rule": (FIELDS, "[chinese_name]", "[chinesename]", "chinesename", "规则 chinesename 不存在", "no rule"),
    "unknown mask": (PERSON, "mask: surname", "mask: surnam", "surnam}", "脱敏方式 surnam 不存在", "no mask surnam"),
    "unknown connector": (SOURCE, "{database:", "{datbase:", "datbase", "连接器 datbase 不存在", "no connector"),
    "unknown derivation": (
        SOURCE,
        "keyed_hash",
        "keyed_hsh",
        "keyed_hsh",
        "派生方式 keyed_hsh 不存在",
        "no derivation",
    ),
    "unknown organisation": (
        PERSON,
        "owner: dsrb",
        "owner: dsr",
        "owner",
        "部门 dsr 不存在。是否想写 dsrb",
        "no organisation",
    ),
    "unknown operator": (
        CITY,
        "operator: dsrb",
        "operator: x",
        "operator",
        "部门 x 不存在。可用：dsrb, psb",
        "Known: dsrb",
    ),
    "unknown connection": (
        SOURCE,
        "connection: psb",
        "connection: psd",
        "connection",
        "连接 psd 不存在",
        "no connection",
    ),
    "unknown model": (
        COUNT,
        "model: lib_population__person",
        "model: lib_population__persn",
        "sums_to",
        "模型 lib",
        "no model",
    ),
    "unknown argument": (
        PERSON,
        "{minimum: 1}",
        "{minimun: 1}",
        "row_count",
        "没有参数 minimun",
        "no argument minimun",
    ),
    "missing argument": (
        SOURCE,
        "{id: id_number, birth: birth_date}",
        "{id: id_number}",
        "matches_id",
        "缺少参数 birth",
        "argument birth",
    ),
    "argument of the wrong type": (
        PERSON,
        "{minimum: 1}",
        '{minimum: "1"}',
        "row_count",
        "minimum 的值“1”应为整数",
        "expected a whole",
    ),
    "argument is no mapping": (PERSON, "{minimum: 1}", "1", "row_count", "键值对", "a mapping"),
    "argument is no column": (
        SOURCE,
        "birth: birth_date",
        "birth: birthdate",
        "birthdate",
        "birthdate 不是本合同的列",
        "not a column",
    ),
    "rule without bounds": (
        PERSON,
        "row_count: {minimum: 1}",
        "between: {column: birth_date}",
        "between",
        "至少要有一个",
        "must be given",
    ),
    "rule stands twice": (
        PERSON,
        "  - row_count: {minimum: 1}",
        "  - row_count: {minimum: 1}\n  - row_count: {minimum: 2}\n  - row_count: {minimum: 3}",
        "minimum: 3",
        "规则 row_count() 出现两次",
        "stands twice",
    ),
    "key is no column": (
        PERSON,
        "key: [person_id]",
        "key: [person]",
        "key:",
        "person 不是本合同的列。是否想写 person_id",
        "not a column",
    ),
    "source key is no column": (
        SOURCE,
        "key: [record_no]",
        "key: [record]",
        "load:",
        "record 不是本合同的列",
        "not a column",
    ),
    "newest is no column": (
        SOURCE,
        "newest: updated_at",
        "newest: updated",
        "load:",
        "updated 不是本合同的列",
        "not a column",
    ),
    "column twice": (
        PERSON,
        "  - birth_date\n",
        "  - {name: sex, unique: false}\n",
        "unique: false",
        "sex 重复",
        "sex stands twice",
    ),
    "derived column twice": (SOURCE, "- person_id: {k", "- sex: {k", "keyed_hash", "sex 重复", "sex stands twice"),
    "physical column twice": (
        SOURCE,
        "physicalName: XB",
        "physicalName: XM",
        "name: sex",
        "XM 重复",
        "XM stands twice",
    ),
    "ignored and used": (SOURCE, "ignored: [BZ]", "ignored: [XM]", "ignored", "XM 重复", "XM stands twice"),
    "channel level too high": (
        PERSON,
        "{name: id_number, mask: id_6_4}",
        "id_number",
        "- id_number",
        "级别为 4，超过该通道允许的 3",
        "has level 4",
    ),
    "mask does not fit": (
        PERSON,
        "{name: name, mask: surname}",
        "{name: name, mask: town}",
        "mask: town",
        "不适用于列 name",
        "not made for",
    ),
    "personal data lowered": (
        PERSON,
        "{name: name, required: true}",
        "{name: name, classification: 1}",
        "classification: 1",
        "个人信息",
        "personal",
    ),
    "channel shows no column": (
        PERSON,
        "from: person_id",
        "from: person",
        "from: person",
        "person 不是本合同的列",
        "not a column",
    ),
    "channel column twice": (
        COUNT,
        "properties: [county_code, sex, persons]",
        "properties: [sex, sex]",
        "[sex, sex]",
        "sex 重复",
        "twice",
    ),
    "row filter is not shown": (
        PERSON,
        "rows: division_code",
        "rows: birth_date",
        "rows",
        "birth_date 不是本合同的列",
        "not a column",
    ),
    "quasi is not shown": (
        COUNT,
        "quasi: [county_code, sex]",
        "quasi: [county]",
        "quasi",
        "county 不是本合同的列",
        "not a column",
    ),
    "open channel with 不予开放": (
        COUNT,
        "无条件开放}",
        "不予开放, basis: 法}",
        "  open:",
        "不能声明通道 open",
        "cannot be declared",
    ),
    "share condition missing": (PERSON, "condition: 凭职责申请, ", "", "share:", "share.condition", "share.condition"),
    "legal basis missing": (PERSON, ", basis: 个人信息保护法", "", "open:", "open.basis", "open.basis"),
    "model of another name": (
        PERSON,
        "model: lib_population__person",
        "model: lib_population__man",
        "model:",
        "应为：lib_population__person",
        "agree",
    ),
    "same catalogue code": (PERSON, '"101001"', '"101002"', "catalogue", "101002/000001 已在", "declared in"),
    "bound of the wrong type": (
        FIELDS,
        "{minimum: 0}",
        '{minimum: "0"}',
        'minimum: "0"',
        "不是 integer 类型的界限",
        "no bound",
    ),
    "no such date": (FIELDS, "1905-01-01", "1905-02-30", "1905", "不是 date 类型的界限", "no bound of type date"),
    "bounds swapped": (
        FIELDS,
        "{minimum: 0}",
        "{minimum: 9, maximum: 1}",
        "minimum: 9",
        "下限 9 大于上限 1",
        "above maximum",
    ),
    "length of a number": (FIELDS, "{minimum: 0}", "{maxLength: 3}", "maxLength: 3", "只用于文字", "for text only"),
    "bad regular expression": (FIELDS, "[0-9a-f]{32}", "(?=a)", "(?=a)", "正则表达式", "regular expression"),
    "tab": (CITY, "  psb:", "\tpsb:", "\tpsb", "制表符", "tab"),
    "two colons": (SOURCE, "description: 户籍", "description: 户: 籍", "description", "两个", "two"),
    "bracket not closed": (SOURCE, "ignored: [BZ]", "ignored: [BZ", "properties", "不是合法的 YAML", "not valid YAML"),
    "quote not closed": (COUNT, "licence: 开放", 'licence: "开放', "licence", "没有闭合", "not closed"),
    "two documents": (SOURCE, "status: active", "---\nstatus: active", "---", "只能有一份合同", "one contract"),
    "anchor": (SOURCE, "derived:\n", "quality: &x []\nderived: *x\nz:\n", "quality: &x", "锚点", "anchors"),
    "tag": (SOURCE, "name: 户籍人口", "name: !!python/name:os.system x", "!!python", "标签", "tags"),
    "control character": (SOURCE, "name: 户籍人口", "name: \x00", "\x00", "控制字符", "control character"),
    "key is a list": (CITY, "connections:", "? [a]\n: 1\nconnections:", "? [a]", "不是文字", "not text"),
    "code list without code": (SEX, "code,name", "kode,name", "kode", "缺少列 code", "column code is missing"),
    "code list with a repeated header": (SEX, "name,aliases", "name,name", "name,name", "重复", "repeated"),
    "blank code": (SEX, "2,女", ",女", ",女,", "code 为空", "code is blank"),
    "blank name": (SEX, "2,女,", "2,,", "2,,", "name 为空", "name is blank"),
    "padded code": (SEX, "2,女,", "2 ,女,", "2 ,", "首尾有空格", "padded"),
    "repeated code": (SEX, "2,女", "1,女", "1,女", "代码 1 重复", "code 1 stands twice"),
    "alias of two codes": (SEX, "女性|F", "女性|M", "女性|M", "别名“M”既指 1 又指 2", "means both 1 and 2"),
    "blank alias": (SEX, "女性|F", "女性||F", "女性||F", "为空", "blank"),
    "row too short": (SEX, "9,未说明的性别,", "9,未说明的性别", "9,", "有 2 列，应为 3 列", "2 values where 3"),
    "open quote": (SEX, "9,未说明", '9,"未说明', "9,", "引号没有闭合", "quote is not closed"),
    "code list with a BOM": (SEX, "code,name", "\ufeffcode,name", "code", "BOM", "BOM"),
}


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
