"""Cleaning steps repair spelling, never guess, and change nothing when done twice."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.codecs.cleaning import NULL_WORDS, date_of, integer_of, number_of, steps, time_of, touched
from pipelines.codecs.texts import Shape
from tests.memory import connection

Run = Callable[..., Any]

LISTS = {"sex": {"1": "1", "2": "2", "男": "1", "男性": "1", "女": "2", "it's": "2"}, "bare": {"1": "1"}}
ARGUMENTS: dict[str, dict[str, Any]] = {"code_of": {"codes": "sex"}, "rounded": {"places": 2}}

# step, text, result
CASES = [
    ("trim", "  x y \t\r\n", "x y"),
    ("trim", "\u3000张三\u3000", "张三"),
    ("trim", "\u00a0\ufeff\u200bx\u2003\x0b\x00", "x"),
    ("trim", "\u3000 \t", ""),
    ("trim", "", ""),
    ("half_width", "３４１５０２Ｘ", "341502X"),
    ("half_width", "（六安）\u3000！～", "(六安) !~"),
    ("half_width", "ｱ、。", "ｱ、。"),
    ("middle_dot", "买买提•艾力", "买买提·艾力"),
    ("middle_dot", "买买提 ・ 艾力", "买买提·艾力"),
    ("middle_dot", "a‧b．c∙d⋅e･f", "a·b·c·d·e·f"),
    ("middle_dot", "买买提·艾力", "买买提·艾力"),
    ("middle_dot", "3.14", "3.14"),
    ("upper", "34150x", "34150X"),
    ("null_words", "", None),
    ("null_words", "null", None),
    ("null_words", "None", None),
    ("null_words", r"\N", None),
    ("null_words", "n/a", None),
    ("null_words", "不详", None),
    ("null_words", "--", None),
    ("null_words", "无名", "无名"),
    ("null_words", "0", "0"),
    ("gb11643_upgrade", "342401850415013", "342401198504150139"),
    ("gb11643_upgrade", "342401198504150139", "342401198504150139"),
    ("organisation_code", "M000100Y-4", "M000100Y4"),
    ("organisation_code", " M000 100Y - 4\u3000", "M000100Y4"),
    ("organisation_code", "91341502 MA2N12344B", "91341502MA2N12344B"),
    ("organisation_code", "M000-100Y4", "M000-100Y4"),
    ("open_end", "9999-12-31", None),
    ("open_end", "99991231", None),
    ("open_end", "9999/12/31", None),
    ("open_end", "9999.09.09", None),
    ("open_end", "2099-12-31 00:00:00.000", None),
    ("open_end", "9999-12-31T23:59:59+08:00", None),
    ("open_end", "1899-12-31", None),
    ("open_end", "1900-01-01 08:05:43", None),
    ("open_end", "长期", None),
    ("open_end", "永久", None),
    ("open_end", "2026-12-31", "2026-12-31"),
    ("open_end", "2026/12/31", "2026/12/31"),
    ("open_end", "1900-01-02", "1900-01-02"),
    ("open_end", "9999-12-31 起", "9999-12-31 起"),
    ("open_end", "长期有效至换证", "长期有效至换证"),
    ("thousands", "5,000,000", "5000000"),
    ("thousands", "5，000，000.25", "5000000.25"),
    ("thousands", "-1,234", "-1234"),
    ("thousands", "5,000000", "5,000000"),
    ("thousands", "5000,000", "5000,000"),
    ("thousands", "5,00", "5,00"),
    ("thousands", "5,0000", "5,0000"),
    ("thousands", "0,500", "0,500"),
    ("thousands", "1,234,5.6", "1,234,5.6"),
    ("thousands", "5000000", "5000000"),
    ("microseconds", "2024-05-01 08:00:00.1234567", "2024-05-01 08:00:00.123456"),
    ("microseconds", "2024-05-01T08:00:00.123456789+08:00", "2024-05-01T08:00:00.123456+08:00"),
    ("microseconds", "1.12345678", "1.12345678"),
    ("percent", "12.5%", "12.5"),
    ("percent", "-3 ％", "-3"),
    ("percent", ".5%", ".5"),
    ("percent", "1.2.5%", "1.2.5%"),
    ("percent", "约 5%", "约 5%"),
    ("percent", "12.5", "12.5"),
    ("rounded", "33.33333333333333333333", "33.33"),
    ("rounded", "-0.125", "-0.13"),
    ("rounded", "99999999999999999999.995", "100000000000000000000.00"),
    ("rounded", ".005", "0.01"),
    ("rounded", "123456789012345678901.125", "123456789012345678901.125"),
    ("rounded", "1.5", "1.5"),
    ("rounded", "1.125E3", "1.125E3"),
    ("rounded", "1.1.125", "1.1.125"),
    ("document_number", "六市监罚〔2021〕15号", "六市监罚〔2021〕15号"),
    ("document_number", "六市监罚（2018）15号", "六市监罚〔2018〕15号"),
    ("document_number", "六市监罚(2018)15号", "六市监罚〔2018〕15号"),
    ("document_number", "六市监罚[ 2021 ]15号", "六市监罚〔2021〕15号"),
    ("document_number", "六市监罚［2021］15号", "六市监罚〔2021〕15号"),
    ("document_number", "六市监罚【2021】15号", "六市监罚〔2021〕15号"),
    ("document_number", "六市监（开）罚(2018)15号（补）", "六市监（开）罚〔2018〕15号（补）"),
    ("document_number", "六市监罚[20211]15号", "六市监罚[20211]15号"),
    ("mobile", "+86 138-1234-5678", "13812345678"),
    ("mobile", "008613812345678", "13812345678"),
    ("mobile", "8613812345678", "13812345678"),
    ("mobile", "(138)12345678", "13812345678"),
    ("mobile", "8612345678901", "8612345678901"),
    ("mobile", "0564-3312345", "05643312345"),
    ("mobile", "13812345678", "13812345678"),
    ("code_of", "男", "1"),
    ("code_of", "it's", "2"),
    ("code_of", "1", "1"),
    ("code_of", "男生", "男生"),
]


def apply(name: str) -> Callable[[str], str]:
    return lambda text: steps[name].function(text, LISTS, **ARGUMENTS.get(name, {}))


@pytest.mark.parametrize(("name", "text", "result"), CASES)
def test_a_step(run: Run, name: str, text: str, result: str | None) -> None:
    assert run(apply(name), text) == result


def test_every_step_is_tried() -> None:
    assert {name for name, *_ in CASES} == steps.keys()


@pytest.mark.parametrize("name", steps)
def test_null_stays_null(run: Run, name: str) -> None:
    assert run(apply(name), None) is None


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
likely = st.text(st.sampled_from("0123456789Xx １２Ｘ\u3000男女性无null-/·•．+8613()\\N"), max_size=20)
codes = st.from_regex(r"[A-Z0-9]{8} ?[-—–]{0,2} ?[0-9X] ?", fullmatch=True)
dates = st.from_regex(
    r"(9999|1900|2099|20[0-9]{2})[-/.]?(12|01|09)[-/.]?(31|01|09)([ T][0-9:.Z+-]{0,8})?", fullmatch=True
)
amounts = st.from_regex(r"[+-]?[0-9]{1,4}([,，][0-9]{2,4}){0,3}([.][0-9]{0,5})?( ?[%％])?", fullmatch=True)
documents = st.from_regex(
    r"([六罚()（）〔〕\[\]【】［］ ]{0,3}(2021|18|号)[()（）〔〕\[\]【】［］ ]{0,3}){1,3}", fullmatch=True
)


@pytest.mark.parametrize("name", steps)
@given(text=texts | likely | codes | dates | amounts | documents)
@settings(max_examples=150, deadline=None)
def test_doing_it_twice_changes_nothing_more(run: Run, name: str, text: str) -> None:
    once = run(apply(name), text)
    assert run(apply(name), once) == once


def shape(name: str) -> Shape:
    return steps[name].about(LISTS, **ARGUMENTS.get(name, {}))


@pytest.mark.parametrize(("name", "text", "result"), CASES)
def test_what_a_step_changes_has_its_shape(run: Run, name: str, text: str, result: str | None) -> None:
    assert result == text or run(lambda v: touched(v, [shape(name)]), text) is True


@pytest.mark.parametrize("name", steps)
@given(text=texts | likely | codes | dates | amounts | documents)
@settings(max_examples=150, deadline=None)
def test_a_text_of_another_shape_is_not_changed(run: Run, name: str, text: str) -> None:
    if run(lambda v: touched(v, [shape(name)]), text) is False:
        assert run(apply(name), text) == text


@pytest.mark.parametrize("name", steps)
def test_no_character_is_changed_outside_of_the_shape(name: str) -> None:
    with connection() as con:
        numbers = "range(1, 65536) r(c) WHERE c NOT BETWEEN 55296 AND 57343"  # translate() is too slow for all planes
        con.execute(f"CREATE TABLE signs AS SELECT chr(c::INTEGER) AS s FROM {numbers}")
        for text in ("s", "s || 'x'", "'x' || s", "'1' || s || '1'"):
            others = f"SELECT v FROM (SELECT {text} AS v FROM signs) WHERE NOT {touched('v', [shape(name)])}"
            changed = f"SELECT count(*) FROM ({others}) WHERE {apply(name)('v')} IS DISTINCT FROM v"
            assert con.execute(changed).fetchone() == (0,)


def test_shapes_of_a_column_are_looked_for_at_once(run: Run) -> None:
    def any_of(text: str) -> str:
        return touched(text, [shape("trim"), shape("null_words"), shape("code_of")])

    assert [run(any_of, text) for text in (" x", "x\n", "n/A", "", "男", "x", "x y")] == [True] * 5 + [False] * 2
    assert run(any_of, None) is None


@given(text=texts)
@settings(max_examples=150, deadline=None)
def test_full_width_agrees_with_unicode(run: Run, text: str) -> None:
    expected = "".join(
        chr(ord(sign) - 0xFEE0) if "\uff01" <= sign <= "\uff5e" else " " if sign == "\u3000" else sign for sign in text
    )
    assert run(apply("half_width"), text) == expected


def test_null_words_are_in_capitals() -> None:
    assert all(word == word.upper() for word in NULL_WORDS)


def test_a_contract_names_its_own_open_ends(run: Run) -> None:
    def named(text: str) -> str:
        return steps["open_end"].function(text, LISTS, values=["29991231", "无固定期限"])

    assert run(named, "2999-12-31 00:00:00") is None
    assert run(named, "无固定期限") is None
    assert run(named, "9999-12-31") == "9999-12-31"


def test_a_percentage_may_be_a_fraction(run: Run) -> None:
    def fraction(text: str) -> str:
        return number_of(f"({steps['percent'].function(text, LISTS, fraction=True)})")

    assert [run(fraction, text) for text in ("12.5%", "-0.1 ％", "100%", "0.3")] == [0.125, -0.001, 1.0, 0.3]


def test_a_list_without_aliases_changes_nothing(run: Run) -> None:
    assert run(lambda text: steps["code_of"].function(text, LISTS, codes="bare"), "男") == "男"
    assert run(lambda text: touched(text, [steps["code_of"].about(LISTS, codes="bare")]), "男") is False


DATES = [
    ("20260228", date(2026, 2, 28)),
    ("2026-02-28", date(2026, 2, 28)),
    ("2026/2/8", date(2026, 2, 8)),
    ("2026.2.08", date(2026, 2, 8)),
    ("20000229", date(2000, 2, 29)),
    ("00010101", date(1, 1, 1)),
    ("20260230", None),
    ("19000229", None),
    ("2026-02-30", None),
    ("2026-13-01", None),
    ("20261301", None),
    ("00000101", None),
    ("0000-01-01", None),
    ("26-02-28", None),
    ("2026-02", None),
    ("202602", None),
    ("2026-02/28", None),
    ("28.02.2026", None),
    ("02/28/2026", None),
    ("2026-02-28 00:00:00", date(2026, 2, 28)),
    ("2026/2/28 0:00:00", date(2026, 2, 28)),
    ("2026-02-28T00:00:00.000", date(2026, 2, 28)),
    ("2026-02-28 00:00:01", None),
    ("2026-02-28 08:00", None),
    ("2026年2月28日", date(2026, 2, 28)),
    ("2026年02月28日", date(2026, 2, 28)),
    ("2026年2月30日", None),
    ("2026年2月", None),
    ("2026年2-28", None),
    ("二〇二六年二月", None),
    (" 2026-02-28", None),
    ("2026-02-28\n", None),
    ("2026-02-28 (BC)", None),
    ("２０２６０２２８", None),
    ("today", None),
    ("infinity", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("text", "result"), DATES)
def test_a_date_is_read_or_refused(run: Run, text: str | None, result: date | None) -> None:
    assert run(date_of, text) == result


@given(
    day=st.dates(),
    signs=st.sampled_from(["--", "//", "..", "年月日"]),
    padded=st.booleans(),
    midnight=st.sampled_from(["", " 00:00:00", " 0:00", "T00:00:00.0"]),
)
@settings(max_examples=200, deadline=None)
def test_every_real_date_is_read(run: Run, day: date, signs: str, padded: bool, midnight: str) -> None:
    month, number = (f"{day.month:02d}", f"{day.day:02d}") if padded else (str(day.month), str(day.day))
    assert run(date_of, f"{day.year:04d}{signs[0]}{month}{signs[1]}{number}{signs[2:]}{midnight}") == day
    assert run(date_of, f"{day.year:04d}{day.month:02d}{day.day:02d}") == day


@given(text=texts | st.text(st.sampled_from("0123456789-/.年月日 :"), max_size=11))
@settings(max_examples=300, deadline=None)
def test_what_is_read_is_what_is_written(run: Run, text: str) -> None:
    found = run(date_of, text)
    if found is not None:
        written = re.split(r"[ T]0?0:00", text)[0]
        digits = [int(part) for part in re.findall("[0-9]+", written)]
        compact = [int(text[:4]), int(text[4:6]), int(text[6:])] if len(digits) == 1 else digits
        assert [found.year, found.month, found.day] == compact


@pytest.mark.parametrize(
    "text", ["3.5", "1.38E+10", "1e3", "0x1F", "0b11", "1_000", "1e-1", "2.50", "", "-", "٣", "1 2", None]
)
def test_what_is_no_whole_number_is_never_rounded_to_one(run: Run, text: str | None) -> None:
    assert run(integer_of, text) is None


@given(number=st.integers(-(2**63), 2**63 - 1), ending=st.sampled_from(["", ".0", ".00", "."]))
@settings(max_examples=100, deadline=None)
def test_whole_numbers_are_read_with_all_their_digits(run: Run, number: int, ending: str) -> None:
    assert run(integer_of, f"{number}{ending}") == number


@given(text=st.text(st.sampled_from("0123456789.eE+-x_ "), max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_whole_number_is_what_is_written(run: Run, text: str) -> None:
    found = run(integer_of, text)
    if found is not None:
        assert int(text.strip(" ").removesuffix(".").split(".")[0]) == found == float(text)


@pytest.mark.parametrize(
    "text",
    ["NaN", "nan", "Infinity", "-inf", "1_000", "1e999", "1,5", "", None, "1e-400", "-0.5e-999", "9007199254740993",
     "9007199254740993.0", " -9007199254740993", "123456789012345678901234567890123456789012", "12345678901234567.89",
     "99999999999999.9951", "9.9999999999999999999", "0.10000000000000000555", "1.2345678e-320",
     "33.333333333333333333"],
)  # fmt: skip
def test_what_is_no_number_would_spoil_every_sum(run: Run, text: str | None) -> None:
    assert run(number_of, text) is None


@given(number=st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=100, deadline=None)
def test_numbers_are_read_exactly(run: Run, number: float) -> None:
    assert run(number_of, repr(number)) == number


@given(number=st.integers(-(10**20), 10**20), ending=st.sampled_from(["", ".0", ".", " "]))
@settings(max_examples=200, deadline=None)
def test_a_number_keeps_the_digits_of_a_whole_one_or_is_none(run: Run, number: int, ending: str) -> None:
    found = run(number_of, f"{number}{ending}")
    assert found == number if Decimal(repr(float(number))) == number else found is None


@given(
    text=st.from_regex(r"[+-]?([0-9]{1,20}[.]?[0-9]{0,20}|[.][0-9]{1,20})([eE][+-]?[0-9]{1,3})?", fullmatch=True)
    | st.decimals(allow_nan=False, allow_infinity=False).map(str)
)
@settings(max_examples=300, deadline=None)
def test_a_number_is_what_is_written_to_its_last_digit_or_is_none(run: Run, text: str) -> None:
    found, nearest = run(number_of, text), float(text)
    assert found is None if Decimal(repr(nearest)) != Decimal(text) else repr(found) == repr(nearest + 0.0)


@pytest.mark.parametrize("text", ["0", "-0", "0.000", "-0.000", "0e5", " 0 ", ".0"])
def test_nought_is_a_number(run: Run, text: str) -> None:
    assert repr(run(number_of, text)) == "0.0"


def moment(text: str) -> str:
    return time_of(text, "Asia/Shanghai")


@pytest.mark.parametrize(
    "text",
    ["2024-05-01 08:00:00 UTC", "24-05-01 08:00", "0000-01-01 00:00", "2024-05-01 (BC)", "99999-01-01", "infinity",
     "epoch", "2024-02-30 00:00:00", "20240501", "2024-05-01 25:00:00", "2024 05 01 08:00", "", None,
     "2024-05-01 08:00:00+99:99", "2024-05-01 08:00:00+15:00", "2024-05-01 08:00:00-08:60", " 0000-01-01 00:00:00",
     "2024-05-01 08:00:00.1234567", "2024-05-01T08:00:00.000000001+08:00", "20240501250000", "20240230080000",
     "2024050108000", "00000101000000", "2024年5月1日 25:00", "2024年2月30日", "2024年5月1日 8", "2024年5月1日 8时0:00",
     "0001-01-01 00:00:00", "0001-01-01 00:00:00+14:00", "9999-12-31 23:59:59-12:00"],
)  # fmt: skip
def test_what_is_no_time_is_none(run: Run, text: str | None) -> None:
    assert run(moment, text) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("0001-01-01 00:00:00Z", datetime(1, 1, 1)),
        ("0001-01-02 08:05:43", datetime(1, 1, 2)),  # Shanghai was 8:05:43 ahead before 1901
        ("9999-12-31 23:59:59", datetime(9999, 12, 31, 15, 59, 59)),
        ("9999-12-31 23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("20240501080000", datetime(2024, 5, 1)),
        ("2024年5月1日 8:00", datetime(2024, 5, 1)),
        ("2024年05月01日08:00:01.5", datetime(2024, 5, 1, 0, 0, 1, 500000)),
        ("2024年5月1日8时5分", datetime(2024, 5, 1, 0, 5)),
        ("2024年5月1日 8时", datetime(2024, 5, 1)),
        ("2024年5月1日 12时5分9秒", datetime(2024, 5, 1, 4, 5, 9)),
        ("2024年5月1日", datetime(2024, 4, 30, 16)),
        ("2024-05-01 08:00:00.1234560", datetime(2024, 5, 1, 0, 0, 0, 123456)),
        ("2024-05-01 08:00:00-14:59", datetime(2024, 5, 1, 22, 59)),
    ],
)
def test_times_of_our_calendar_are_read_to_its_ends(run: Run, text: str, at: datetime) -> None:
    assert run(moment, text) == at.replace(tzinfo=UTC)


@given(
    at=st.datetimes(datetime(1992, 1, 1), datetime(2037, 1, 1)).map(lambda at: at.replace(microsecond=0)),
    sign=st.sampled_from("-/"),
    between=st.sampled_from(" T"),
    hours=st.none() | st.integers(-12, 14),
)
@settings(max_examples=100, deadline=None)
def test_times_are_read_with_their_offset_or_as_the_city_s(
    run: Run, at: datetime, sign: str, between: str, hours: int | None
) -> None:
    text = at.isoformat(between).replace("-", sign) + ("" if hours is None else f"{hours:+03d}:00")
    zone = timezone(timedelta(hours=8 if hours is None else hours))
    assert run(moment, text) == at.replace(tzinfo=zone)
