"""The search for personal values: what is planted is found, what only resembles it is not."""

import string
from datetime import date
from decimal import Decimal
from functools import cache

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.messages import translate
from pipelines.privacy.scanner import KINDS, Found, Kind, kinds_in, scan
from tests.draws import draws
from tests.memory import connection

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def digit(body: str) -> str:
    return "10X98765432"[sum(w * int(d) for w, d in zip(WEIGHTS, body, strict=True)) % 11]


def found_in(*values: str | None) -> dict[str, int]:
    """Rows by kind in a column of these values."""
    con = _shared()
    con.execute("CREATE OR REPLACE TABLE t (a VARCHAR)")
    con.executemany("INSERT INTO t VALUES (?)", [[value] for value in values])
    return {found.kind: found.rows for found in scan(con, "t")}


@cache
def _shared() -> duckdb.DuckDBPyConnection:
    """One connection of all drawn texts: a connection takes longer than to look at a text."""
    return connection()


bodies = st.builds(
    lambda place, born, number: f"{place}{born:%Y%m%d}{number:03}",
    st.sampled_from(["341502", "110101", "650102", "830000"]),
    st.dates(date(1900, 1, 1), date(2026, 11, 23)),
    st.integers(0, 999),
)
anything = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
lettered = st.text(string.ascii_letters + "，。张县", max_size=20)
wordy = st.text(string.ascii_letters + "，。张三县\n ", max_size=20)


@settings(max_examples=draws(30), deadline=None)
@given(before=anything, body=bodies, after=anything)
def test_an_identity_number_is_found_in_any_text(before: str, body: str, after: str) -> None:
    assert found_in("x", before + body + digit(body) + after, None)["id_number"] == 1


@settings(max_examples=draws(30), deadline=None)
@given(before=wordy, body=bodies, wrong=st.integers(1, 10), after=wordy)
def test_a_wrong_check_digit_is_not_an_identity_number(before: str, body: str, wrong: int, after: str) -> None:
    place = ("10X98765432".index(digit(body)) + wrong) % 11
    assert "id_number" not in found_in(before + "," + body + "10X98765432"[place] + "," + after)


@settings(max_examples=draws(30), deadline=None)
@given(before=wordy, number=st.integers(13_000_000_000, 19_999_999_999), after=wordy)
def test_a_mobile_is_found_between_other_characters(before: str, number: int, after: str) -> None:
    assert found_in(before + str(number) + after) == {"mobile": 1}


def test_figures_beside_a_number_are_none_of_it() -> None:
    """Chinese ones, that are made figures where they stand in a number."""
    assert found_in("请拨13800138000三次") == {"mobile": 1}
    assert found_in("二13800138000三楼") == {"mobile": 1}
    assert found_in("0564-33123456三楼") == {"landline": 1}
    assert found_in("卡号6222021234567894一张") == {"bank_card": 1}


signs = st.sampled_from(["", ".", "_", "\t", "—", "——", "·", "-", " ", " - ", "/", "\u200b", "："])


@settings(max_examples=draws(30), deadline=None)
@given(before=wordy, body=bodies, gaps=st.lists(signs, min_size=5, max_size=5), after=wordy)
def test_no_sign_between_its_parts_hides_an_identity_number(
    before: str, body: str, gaps: list[str], after: str
) -> None:
    parts = (body[:6], body[6:10], body[10:12], body[12:14], body[14:17], digit(body))
    written = "".join(part + gap for part, gap in zip(parts, [*gaps, ""], strict=True))
    assert found_in(before + written + after)["id_number"] == 1


@settings(max_examples=draws(30), deadline=None)
@given(
    before=wordy,
    number=st.integers(13_000_000_000, 19_999_999_999).map(str),
    sign=st.sampled_from([".", "_", "\t", "—", "——", "·", "-", " ", " - ", "\u200b"]),
    after=wordy,
)
def test_no_sign_between_its_parts_hides_a_mobile(before: str, number: str, sign: str, after: str) -> None:
    assert found_in(before + sign.join((number[:3], number[3:7], number[7:])) + after) == {"mobile": 1}


@settings(max_examples=draws(15), deadline=None)
@given(
    values=st.lists(
        st.decimals(-(10**12), 10**12, places=6, allow_nan=False, allow_infinity=False), min_size=1, max_size=200
    )
)
def test_amounts_are_no_numbers_of_persons(values: list[Decimal]) -> None:
    assert found_in(*(f"{value:f}" for value in values), *(f"{value:,f}元" for value in values)) == {}


@settings(max_examples=draws(30), deadline=None)
@given(
    number=st.integers(13_000_000_000, 19_999_999_999).map(str),
    sign=st.sampled_from([" ", "-", "—", "_", "·", "\u3000", " - "]),
    spelt=st.lists(
        st.sampled_from(["0123456789", "〇一二三四五六七八九", "零壹贰叁肆伍陆柒捌玖", "０１２３４５６７８９"]),
        min_size=11,
        max_size=11,
    ),
    before=lettered,
    after=lettered,
)
def test_no_spelling_of_its_digits_hides_a_mobile(
    number: str, sign: str, spelt: list[str], before: str, after: str
) -> None:
    """Digit by digit, and each in a spelling of its own."""
    figures = [spelling[int(digit)] for digit, spelling in zip(number, spelt, strict=True)]
    for joint in (sign, ""):
        assert found_in(before + joint.join(figures) + after)["mobile"] == 1


@settings(max_examples=draws(30), deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=30), st.sampled_from(["、", ",", ", ", ";", "|"]))
def test_counts_beside_each_other_are_no_numbers_of_persons(counts: list[int], sign: str) -> None:
    assert found_in(sign.join(map(str, counts))) == {}


NUMBER = "34150219900101001" + digit("34150219900101001")


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (NUMBER, {"id_number"}),
        (f"身份证{NUMBER[:6]} {NUMBER[6:14]} {NUMBER[14:]}", {"id_number"}),
        ("-".join(NUMBER), {"id_number"}),
        ("".join(chr(ord(sign) + 0xFEE0) for sign in NUMBER), {"id_number"}),
        ("11010519491231002x", {"id_number"}),
        (f"9{NUMBER}9", {"id_number"}),
        ("130503670401001", {"id_number_15"}),
        ("号130503670401001，130503670401001。", {"id_number_15"}),
        ("130503671301001", set()),
        ("1305036704010012", set()),
        ("010503670401001", set()),
        ("138 0013 8000", {"mobile"}),
        ("+86-13800138000", {"mobile"}),
        ("8613800138000", {"mobile"}),
        ("23800138000", set()),
        ("138001380001", set()),
        ("张三 zhang.san@luan.gov.cn。", {"email"}),
        ("zhang@san", set()),
        ("皖N12345", {"plate"}),
        ("皖n·d12345", {"plate"}),
        ("皖N1234", set()),
        ("皖N1234警", {"plate"}),
        ("WJ皖1234X", {"plate"}),
        ("车号：使 224001，停在门口", {"plate"}),
        ("使123456人受益", set()),
        ("341502.19900101.0011", set()),
        (f"{NUMBER[:6]}.{NUMBER[6:14]}.{NUMBER[14:]}", {"id_number"}),
        (f"{NUMBER[:6]}_{NUMBER[6:10]}\t{NUMBER[10:12]}——{NUMBER[12:]}", {"id_number"}),
        ("\u200b".join(NUMBER), {"id_number"}),
        ("·".join(NUMBER), {"id_number"}),
        ("".join("〇一二三四五六七八九"[int(sign)] for sign in NUMBER[:17]) + NUMBER[17], {"id_number"}),
        ("138.0013.8000", {"mobile"}),
        ("138_0013\t8000", {"mobile"}),
        ("138—0013—8000", {"mobile"}),
        ("138\u200b00138000", {"mobile"}),
        ("一三八零零一三八零零零", {"mobile"}),
        ("电话 13800138000.", {"mobile"}),
        ("1 3 8 0 0 1 3 8 0 0 0", {"mobile"}),
        ("电话1-3-8-0-0-1-3-8-0-0-0，请回电", {"mobile"}),
        ("1 3 8 0 0 1 3 8 0 0 0 2026年来电", {"mobile"}),
        ("0 1 3 8 0 0 1 3 8 0 0 0", set()),
        ("1 3 8 0 0 1 3 8 0 0 0 0", set()),
        ("1 2 8 0 0 1 3 8 0 0 0", set()),
        ("138-00138000", {"mobile"}),
        ("1380-013-8000", {"mobile"}),
        ("1380 0138 000", {"mobile"}),
        ("138-001-38000", {"mobile"}),
        ("1980-101-2000", set()),  # of a year
        ("幺三八零零幺三八零零零", {"mobile"}),
        ("138零零幺三8000", {"mobile"}),
        ("一三八-零零一三-八零零零", {"mobile"}),
        ("①③⑧⓪⓪①③⑧⓪⓪⓪", {"mobile"}),
        ("１３８ ００１３ ８０００", {"mobile"}),
        ("二〇二六年十一月二十八日", set()),
        ("一二三四五六七八九十", set()),
        ("QQ：12345678", {"account"}),
        ("加我qq号 1234567890", {"account"}),
        ("QQ群：12345678", set()),
        ("52341500QQ1234567X", set()),
        ("QQ浏览器 1034567", set()),
        ("微信号：zhangsan_1990", {"account"}),
        ("微信号zhangsanfeng", {"account"}),
        ("微信：wxid_k3j2h1g0f9", {"account"}),
        ("联系 VX: zhang3feng", {"account"}),
        ("微信公众号：luanfabu2020", set()),
        ("微信 ALIPAY 均可", set()),
        ("WX20261234", set()),
        ("家住解放南路12号，楼道灯不亮", {"home"}),
        ("住址：金安区三里桥街道皖西路18-2号", {"home"}),
        ("现住在城北乡十里铺村三十二号", {"home"}),
        ("户籍地裕安区小南海小区5栋", {"home"}),
        ("家住梅山路附近，11月28号来电", set()),
        ("居住地派出所3号窗口办理", set()),
        ("住在1号线旁", set()),
        ("梅山路12号超市占道", set()),
        ("经营场所：梅山路12号", set()),
        ("居住证办理：梅山路12号", set()),
        ("0.13800138000", set()),
        ("13800138000.50", set()),
        ("138.00138000", set()),
        ("0564-3312345", {"landline"}),
        ("（0564）3312345", {"landline"}),
        ("电话 010 62345678 转 8001", {"landline"}),
        ("05643312345", set()),  # any code may begin with 0
        ("0564-33123456789", set()),
        ("0564-1312345", set()),
        ("卡号6222021001116245702，", {"bank_card"}),
        ("6222 0210 0111 6245 702", {"bank_card"}),
        ("6222021001116245703", set()),
        ("912102100111624570", set()),
        ("0.6222021001116245702", set()),
        ("护照 E12345678", {"passport"}),
        ("护照号码：EA1234567。", {"passport"}),
        ("E12345678", set()),
        ("护照办理大厅", set()),
        ("港澳通行证：C12345678", {"passport"}),
        ("回乡证号 H1234567801", {"passport"}),
        ("台湾居民来往大陆通行证 12345678", {"passport"}),
        ("通行证办理20260101，台胞证2026-01-01", set()),
        ("车辆通行证 皖K1234", set()),
        ("2026-11-23 10:00:00", set()),
        ("912101021234567890", set()),
        ("d41d13800138000a98ecf8427e4bc9de", set()),
        ("00000000-13800138000-0000", {"mobile"}),
        ("0f8fad5b-d9cb-469f-a165-13800138000b", set()),
    ],
)
def test_forms(value: str, kinds: set[str]) -> None:
    assert set(found_in(value)) == kinds


@pytest.mark.parametrize(
    ("values", "looks_like_names"),
    [
        (["张三", "李小明", "王芳", "赵六", "陈七", "艾力", None], True),
        (["张三", "李小明", "王芳", "赵六"], False),
        (["张三"] * 50, False),
        (["金安区", "裕安区", "叶集区", "霍邱县", "舒城县", "金寨县", "霍山县"], False),
        (["汉族", "满族", "白族", "苗族", "黎族", "高山族"], False),
        (["张三负责此事", "李四", "王五同志已经到场", "赵六", "陈七", "其他情况", "无此事项", "待查之中"], False),
        (["张**", "李*", "王*", "赵*", "陈**"], False),
        (["欧阳明月", "司马光", "诸葛正", "上官云飞", "夏侯杰", "尉迟恭"], True),
        (["张 三", "李　明", "王芳", "赵 六", "陈七"], True),
        (["艾力·买买提", "古丽娜尔·依明", "王芳", "赵六", "陈七"], True),
        (["卓玛", "扎西", "次仁多吉", "格桑央宗", "丹增"], True),
        (["阿依古丽", "买买提艾力", "吐尔逊", "努尔古丽", "巴特尔"], True),
        (["ZHANG WEI", "Li Xiaoming", "Wang, Fang", "OUYANG MINGYUE", "Zhao Yun"], True),
        (["Jin'an Qu", "YE JI QU", "Huoqiu Xian", "LI ZHA ZHEN", "ZHANG DIAN ZHEN", "Shucheng Xian"], False),
        (["LU AN", "MEI SHAN LU", "JIE FANG LU", "WAN XI LU", "HUANG HE LU", "TANG SHAN LU"], False),
        (["拉萨", "呼和浩特", "格桑花", "扎西德勒餐厅", "达瓦路", "古丽商行"], False),
    ],
)
def test_columns_of_names(values: list[str | None], looks_like_names: bool) -> None:
    assert ("name" in found_in(*values)) is looks_like_names


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        (["E12345678", "G23456789", "EA1234567", "PE1234567", "E32345678"], 5),
        (["H12345678", "M1234567801", "C12345678", "CA1234567", "H22345678", "无"], 5),
        (["E12345678"] * 50, 0),
        ([f"G{number:08}" for number in range(50)], 0),  # codes of registers begin with zeros
        ([f"P{number}" for number in range(12345678, 12345728)], 0),
        ([f"CE{number}号" for number in range(12345678, 12345728)], 0),
    ],
)
def test_a_column_of_passports_and_permits(values: list[str], rows: int) -> None:
    assert found_in(*values) == ({"travel_document": rows} if rows else {})


def test_each_column_is_told_apart_whatever_its_type() -> None:
    con = connection()
    relation = f"""(SELECT * FROM (VALUES
        ({NUMBER}::BIGINT, '13800138000', ['a@b.cn'], {{'t': '皖N12345'}}, 13800138000::BIGINT, 1.5, DATE '2020-01-01'),
        (1, 'x', [], NULL, 2, 2.5, NULL)) t(a, "b b", c, d, e, f, g))"""
    assert scan(con, relation) == [
        Found("a", "id_number", 1),
        Found("b b", "mobile", 1),
        Found("c", "email", 1),
        Found("d", "plate", 1),
    ]


@pytest.mark.parametrize("type_", ["BIGINT", "DOUBLE", "DECIMAL(18,2)", "HUGEINT"])
@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ("13800138000 + i", 50),
        ("CASE WHEN i < 30 THEN 13800138000 + i ELSE i END", 30),
        ("CASE WHEN i < 29 THEN 13800138000 + i ELSE i END", 0),  # most are no mobiles
        ("CASE WHEN i < 3 THEN NULL ELSE 13800138000 + i % 4 END", 0),  # four amounts
        ("13800138000 * 1000 + i", 0),
    ],
)
def test_a_column_of_numbers_that_are_mobiles(type_: str, value: str, rows: int) -> None:
    found = scan(connection(), f"(SELECT ({value})::{type_} AS a FROM range(50) r(i))")
    assert found == ([Found("a", "mobile", rows)] if rows else [])


def test_amounts_with_fractions_are_no_mobiles() -> None:
    assert scan(connection(), "(SELECT 13800138000.5 + i AS a FROM range(50) r(i))") == []


def test_nothing_to_search() -> None:
    assert scan(connection(), "(SELECT 1 AS a, DATE '2020-01-01' AS b)") == []
    assert scan(connection(), "(SELECT 'a' AS a WHERE false)") == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("value", "overruled", "found"),
    [
        ("致电13856471234处理", "13", {"mobile"}),
        ("致电13856471234处理", "13856471234", set()),
        ("致电13856471234或13956471234", "13856471234", {"mobile"}),
        ("申请人张三，已办结", "申请人", {"name_in_text"}),
        ("申请人张三，已办结", "申请", {"name_in_text"}),
        ("申请人张三，已办结", "张三", set()),
        ("申请人张三丰，已办结", "张三", {"name_in_text"}),
        ("张三丰故里，申请人张三丰，已办结", "张三丰故里", {"name_in_text"}),
        ("到场的张建国、李秀英，已办结", "张建国", {"name_in_text"}),
        ("到场的张建国、李秀英，已办结", "张建国、李秀英", set()),
        ("zhang.san@luan.gov.cn", "san@luan.gov.cn", {"email"}),
        ("停在皖N123456旁", "皖N12345", {"plate"}),
        ("停在皖N12345旁", "皖N12345", set()),
        ("+86 13856471234", "13856471234", set()),
        (f"流水{NUMBER}号", NUMBER, set()),
        (f"流水{NUMBER}号", f"流水{NUMBER}号", set()),
        (f"流水{NUMBER}号，身份证{NUMBER}", f"流水{NUMBER}号", {"id_number"}),
    ],
)
def test_an_overruled_text_hides_nothing_that_goes_beyond_it(value: str, overruled: str, found: set[str]) -> None:
    assert found_in(value), "found before"
    assert overruled_in(value, overruled) == found


@pytest.mark.long
@settings(max_examples=draws(25), deadline=None)
@given(body=bodies, other=bodies, shared=st.integers(1, 17), before=st.booleans(), sign=st.sampled_from("，- /:"))
def test_a_number_that_an_overruled_text_holds_a_part_of_is_found(
    body: str, other: str, shared: int, before: bool, sign: str
) -> None:
    """Though the text holds another number, the overruled one, wholly."""
    one, two = body + digit(body), other + digit(other)
    value, overruled = f"{one}{sign}{two}", f"{one}{sign}{two[:shared]}"
    if before:
        value, overruled = f"{two}{sign}{one}", f"{two[shared:]}{sign}{one}"
    if one != two:
        assert "id_number" in overruled_in(value, overruled), (value, overruled)
    assert "id_number" not in overruled_in(value, value)


@pytest.mark.parametrize("shared", ["3", "34", "341"])
@pytest.mark.parametrize("signs", ["", "/"])
def test_a_number_that_shares_digits_with_an_overruled_one_is_found(shared: str, signs: str) -> None:
    last = (f"34150219{year}0101{n:03}" for year in range(60, 99) for n in range(1000))
    first = next(f"{body}{digit(body)}" for body in last if f"{body}{digit(body)}".endswith(shared))
    written = signs.join((first[:6], first[6:14], first[14:]))
    rest = signs.join((NUMBER[:6], NUMBER[6:14], NUMBER[14:]))[len(shared) :]
    assert "id_number" in overruled_in(f"{written}{rest}", written)


def overruled_in(value: str, overruled: str) -> set[str]:
    con = connection()
    con.execute("CREATE TABLE t AS SELECT ? AS a", [value])
    return {one.kind for one in scan(con, "t", [("a", overruled)])}


def test_a_part_of_each_name_hides_no_column_of_names() -> None:
    con = connection()
    con.execute("CREATE TABLE t AS SELECT unnest(['张三丰', '张三强', '张三英', '张三秀', '张三国']) AS a")
    assert scan(con, "t", [("a", "张三")]) == [Found("a", "name", 5)]


def test_what_a_text_by_itself_looks_like_is_told() -> None:
    con = connection()
    assert kinds_in(con, "13856471234") == {"mobile"} and kinds_in(con, "张三丰") == {"name"}
    assert kinds_in(con, "13") == kinds_in(con, "申请人") == frozenset()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_texts(kind: Kind) -> None:
    """The gate says what was found, and a draft what the values look like."""
    for language in ("zh", "en"):
        assert "{" not in translate(f"evidence.personal_{kind}", language, column="a", rows=1)
        assert "{" not in translate(f"draft.why.{kind}", language, rows=1, filled=2)
