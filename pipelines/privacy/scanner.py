"""The search for personal values in a released open product: what no contract admitted must not stand in any text.

Looks at values only and returns counts, never a value. Whether a finding closes anything is decided elsewhere.

Kinds and how they are told:

* `id_number`: 18 characters with the right check digit, a province and a date of this or the last two centuries, at
  any place of the text; spaces and hyphens between digits do not hide it. Chance makes
  one of about 20,000 arbitrary numbers of 18 digits look like it.
* `id_number_15`: 15 digits, neither more nor fewer, with a province and a date. There is no check digit: about one in
  60 arbitrary numbers looks like it.
* `mobile`: 11 digits from 13 on, neither more nor fewer (86 may stand before), also written 3-4-4.
* `email`, `plate`: by their form.
* `name`: a whole column of names only. Most of its values (at least 60 %, of at least 5 different ones) are a surname
  of the list and one or two characters more, and do not end like a place, a body, a people or a thing. A name inside
  a sentence is not found.
"""

from dataclasses import dataclass
from typing import Literal

import duckdb

from pipelines.codecs import gb11643
from pipelines.codecs.cleaning import half_width
from pipelines.codecs.sql import identifier, literal

Kind = Literal["id_number", "id_number_15", "mobile", "email", "plate", "name"]

KINDS: tuple[Kind, ...] = ("id_number", "id_number_15", "mobile", "email", "plate", "name")

NAME_SHARE, NAME_VARIETY = 0.6, 5

# Types that cannot hold an identity number or a text; any other, nested or not, is searched in its written form.
_HARMLESS = frozenset(
    {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT", "DOUBLE"}
    | {"DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
)
_NUMBERS = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DECIMAL")

_DATED = "[1-9][0-9]{5}(18|19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9X]"
_FIRST_GENERATION = "[1-9][0-9]{7}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}"
_MOBILE = "(^|[^0-9])((00|[+])?86[ -]?)?1[3-9][0-9]([ -]?[0-9]{4}){2}([^0-9]|$)"
_EMAIL = r"[A-Z0-9_%+-]@[A-Z0-9-]+(\.[A-Z0-9-]+)*\.[A-Z]{2,}"
_PLATE = (
    "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][ ·-]?"
    "[A-HJ-NP-Z0-9]{4,5}[A-HJ-NP-Z0-9挂学警港澳]"
)
# A digest or UUID, which holds eleven digits between letters often enough.
_DIGEST = "[0-9A-F]{32}|[0-9A-F]{40}|[0-9A-F]{64}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范"
    "金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄"
    "聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈"
    "饶解牟艾尤阳时穆司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇"
    "桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
)
_NAME = f"^[{_SURNAMES}][\\x{{3400}}-\\x{{9FFF}}\\x{{20000}}-\\x{{3FFFF}}]{{1,2}}$"
_THING = (
    "[省市区县镇乡村组街道路巷号院校所局厅处科室部委会社店场站厂司队班级类型族人员民户数率比量值费年月日元件次个项业产品以上下"
    "内外中河湖山桥塘岗冲铺集园城门口]$"
)


@dataclass(frozen=True)
class Found:
    """Rows of a column in which one kind of personal value stands."""

    column: str
    kind: Kind
    rows: int


def scan(con: duckdb.DuckDBPyConnection, relation: str) -> list[Found]:
    """Search every column of a table that can hold a text, in one pass. Empty: nothing found.

    Columns of large whole numbers are searched for identity numbers only: an amount may well look like a mobile.
    """
    columns = _searchable(con, relation)
    searches = [(column, place, kind) for place, (column, kinds) in enumerate(columns.items()) for kind in kinds]
    if not searches:
        return []
    texts = ", ".join(f"{_normal(column)} AS t{place}" for place, column in enumerate(columns))
    compact = ", ".join(f"{_compact(f't{place}')} AS c{place}" for place in range(len(columns)))
    tests = ", ".join(f"{_test(kind, place)} AS {kind}_{place}" for _, place, kind in searches)
    counts = ", ".join(_count(kind, place) for _, place, kind in searches)
    layers = f"(SELECT *, {compact} FROM (SELECT {texts} FROM {relation}))"
    (row,) = con.execute(f"SELECT {counts} FROM (SELECT *, {tests} FROM {layers})").fetchall()
    found = zip(searches, row, strict=True)
    return [Found(column, kind, rows) for (column, _, kind), rows in found if rows]


def _searchable(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, tuple[Kind, ...]]:
    """The kinds to search for in each column that can hold any."""
    described = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {
        name: ("id_number",) if type_.split("(")[0] in _NUMBERS else KINDS
        for name, type_, *_ in described
        if type_ not in _HARMLESS
    }


def _normal(column: str) -> str:
    """The written form in capitals and half-width characters; NULL for a value that is nothing but a digest."""
    text = half_width(f"upper(cast({identifier(column)} AS VARCHAR))", {})
    digest = f"regexp_full_match(upper({identifier(column)}::VARCHAR), '{_DIGEST}')"
    return f"CASE WHEN {digest} AND regexp_matches({text}, '[A-F]') THEN NULL ELSE {text} END"


def _compact(text: str) -> str:
    """The text without spaces and hyphens between digits."""
    joined = text
    for _ in range(2):  # the first round misses every second separator of 1-2-3
        joined = f"regexp_replace({joined}, '([0-9])[ -]+([0-9X])', '\\1\\2', 'g')"
    return f"CASE WHEN regexp_matches({text}, '[0-9][ -]+[0-9X]') THEN {joined} ELSE {text} END"


def _test(kind: Kind, place: int) -> str:
    """Whether one kind stands in a text: `t` normal, `c` compact. Cheap tests first; few rows reach the dear ones."""
    text, compact = f"t{place}", f"c{place}"
    if kind == "id_number":
        windows = f"list_transform(range(1, length({compact}) - 16), lambda i: substr({compact}, i, 18))"
        dated = f"regexp_full_match(w, {literal(_DATED)})"
        right = f"len(list_filter({windows}, lambda w: {dated} AND {gb11643.content_right('w')})) > 0"
        return f"CASE WHEN regexp_matches({compact}, {literal(_DATED)}) THEN {right} ELSE false END"
    if kind == "id_number_15":
        whole = f"list_filter(regexp_extract_all({text}, '[0-9]+X?'), lambda w: length(w) = 15)"
        upgraded = f"list_transform({whole}, lambda w: {gb11643.upgrade('w')})"
        right = f"len(list_filter({upgraded}, lambda w: {gb11643.content_right('w')})) > 0"
        return f"CASE WHEN regexp_matches({text}, {literal(_FIRST_GENERATION)}) THEN {right} ELSE false END"
    if kind == "email":
        return f"contains({text}, '@') AND regexp_matches({text}, {literal(_EMAIL)})"
    if kind == "name":
        return f"regexp_matches({text}, {literal(_NAME)}) AND NOT regexp_matches({text}, {literal(_THING)})"
    return f"regexp_matches({text}, {literal(_MOBILE if kind == 'mobile' else _PLATE)})"


def _count(kind: Kind, place: int) -> str:
    """The rows where a kind was found; for names only if the column consists of them."""
    found = f"{kind}_{place}"
    rows = f"count(*) FILTER (WHERE {found})"
    if kind != "name":
        return rows
    varied = f"count(DISTINCT t{place}) FILTER (WHERE {found}) >= {NAME_VARIETY}"
    return f"CASE WHEN {rows} >= {NAME_SHARE} * count(t{place}) AND {varied} THEN {rows} ELSE 0 END"
