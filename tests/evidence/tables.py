"""Small dirty tables, a rule of every verb on them, and what each rule means, said once more in plain Python."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from hypothesis import strategies as st
from stdnum.iso7064 import mod_37_36

from pipelines.contracts.rules import Context, Rule, rules
from tests.memory import connection

TODAY = date(2026, 11, 23)
PREVIOUS_ROWS, MODEL_ROWS = 5, 7
CODES = frozenset({"1", "2", "9", "it's"})
COLUMNS = (
    "number", "birth", "sex", "name", "shape", "amount", "code",
    "credit", "organisation", "certificate", "phone", "plate", "day", "time", "fine",
)  # fmt: skip
TYPES = (
    "VARCHAR", "DATE", "VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "VARCHAR",
    "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "DATE", "TIMESTAMPTZ", "VARCHAR",
)  # fmt: skip

CONTEXT = Context(
    lists={"codes": CODES},
    today=TODAY,
    relation="dirty",
    previous=f"range({PREVIOUS_ROWS})",
    models={
        "model": f"range({MODEL_ROWS})",
        "people": "(SELECT unnest(['1', '1', '1', '1', '1', '2', NULL]) AS sex, '{x}' AS remark)",
    },
)

Row = tuple[Any, ...]
Verdict = bool | None


def check_digit(body: str) -> str:
    """The digit that makes 17 digits an identity number."""
    return "10X98765432"[sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(body)) % 11]


@st.composite
def numbers(draw: st.DrawFn) -> str | None:
    """Identity numbers: right ones, and each kind of wrong."""
    born = draw(st.dates(date(1900, 1, 1), date(2030, 12, 31)))
    written = draw(
        st.sampled_from([f"{born:%Y%m%d}", f"{born:%Y%m%d}", "00000101", "20230229", "19001301", "20240229"])
    )
    body = draw(st.sampled_from(["341502", "110101", "830000", "990101", "010101", "660101"])) + written
    body += f"{draw(st.integers(0, 999)):03}"
    wrong = draw(st.sampled_from("0123456789Xx"))
    return draw(
        st.sampled_from([body + check_digit(body)] * 4 + [body + wrong, body, " " + body, "", "{x}", "１" * 18, None])
    )


NAMES = [
    "张三",
    "买买提·艾力",
    "·张三",
    "张三·",
    "张··三",
    "张",
    "",
    "Li",
    "𠀀𠀁",
    "张\n三",
    "㐀㐁",
    "张三1",
    "豈張",
    "测试",
    "TESTER",
    "王（测试）",
    "软件测试",
    None,
]
SHAPES = [
    "POLYGON((116.1 31.2, 116.2 31.2, 116.2 31.3, 116.1 31.2))",
    "MULTIPOLYGON (((1 2,1 3,2 3,1 2),(1 2,1 3,2 3,1 2)), ((-1 -2,1 3,2 3,1 2)))",
    "POLYGON((116.1 31.2, 116.2 31.2, 116.1 31.2))",
    "POLYGON((1165 31.2, 116.2 31.2, 116.2 31.3, 116.1 31.2))",
    "POLYGON((p, p, p, p))",
    "POLYGON r",
    "polygon((1 2,1 3,2 3,1 2))",
    "POINT(1 2)",
    "POINT(1 2, 3 4)",
    "LINESTRING (116.1 31.2, 116.2 31.2)",
    "MULTILINESTRING ((1 2,3 4), (5 6, 7 8,9 10))",
    "LINESTRING (116.1 31.2)",
    "",
    None,
]
FINES = [
    "罚款人民币50000元",
    "罚款6万元",
    "罚款10000元，没收违法所得60000元；",
    "罚款0元",
    "警告",
    "罚款元",
    "12345",
    "",
    None,
]
RIGHT_SHAPES = set(SHAPES[:2])

_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_KINDS = re.compile("1[1239]|2[19]|3[123459]|4[19]|5[12349]|6[129]|7[129]|8[19]|9[123]|A[19]|N[1239]|Y1")
# each right, wrong in the last character, wrong inside with a right last character
CREDIT_CODES = [
    "11430000006122244L",
    "91341502MA2N12344B",
    "N2341502MF12345670",
    "91341502MA2N12344C",
    "91341502MA2N123458",
]
_ROOT = "1.2.156.3005.2."
_FIELDS = "11100000000013338W011.11430000006122244L.20230000403."
CERTIFICATES = [
    _ROOT + _FIELDS + "002.S", _ROOT + _FIELDS + "001.U", _ROOT + "11100000MB03271699022.340100.000000016.001.9",
    _ROOT + _FIELDS + "002.T", _ROOT + _FIELDS + "02.S", _FIELDS + "002.S", _ROOT + _FIELDS + "002.S.0", "", None,
]  # fmt: skip
NOT_WHOLE = ["1.38123456780000E+17", "6.22202E+18", "#N/A", "#NO_RESULT!=A1\n&B1"]
PHONES = [
    "13812345678", "0564-3312345", "010-62345678-801", "05513312345", "12812345678", "138****5678", *NOT_WHOLE, "", None
]  # fmt: skip
PLATES = {
    "皖N12345": True, "皖ND12345": True, "皖N12345D": True, "皖N1234挂": True, "皖NI2345": False, "皖N1234l": False,
    "皖N123456": False, "皖NDA123": True, "皖NLA1234": False, "皖O12345": False, "六N12345": False, "皖N1***5": False,
    "": False, "皖N_1234": False,
}  # fmt: skip
DAYS = [date(2026, 2, 28), date(2026, 3, 1), date(2008, 2, 29), date(2008, 3, 1), date(2028, 2, 28), TODAY, None]
# 00:30, 07:59 and 16:00 in China are days apart in UTC
TIMES = [datetime(2026, 2, 27, 16, 30, tzinfo=UTC), datetime(2026, 2, 28, 16, tzinfo=UTC), None]
TIMES += [datetime(2026, 11, 22, 23, 59, tzinfo=UTC), datetime(2008, 2, 29, 8, tzinfo=UTC)]


@st.composite
def credit_codes(draw: st.DrawFn) -> str | None:
    """Unified social credit codes: known ones, ones of chance, of wrong kinds and forms."""
    kind, body = draw(st.sampled_from(["91", "54", "N2", "A1", "98", "55", "Z1"])), draw(_signs)
    chance = f"{kind}341502{body}{draw(st.sampled_from('0123456789XA'))}{draw(st.sampled_from(_CREDIT + 'I'))}"
    return draw(st.sampled_from([*CREDIT_CODES, chance, chance.lower(), chance[:17], "", "{x}", "１" * 18, None]))


@st.composite
def organisation_codes(draw: st.DrawFn) -> str | None:
    """Organisation codes: half of them right."""
    body, last = draw(_signs), draw(st.sampled_from("0123456789XA"))
    right = next(body + digit for digit in "0123456789X" if organisation_digit(body + digit))
    return draw(st.sampled_from([right, right, right[:8] + "-" + right[8], body + last, body, "", None]))


_signs = st.text(st.sampled_from(_CREDIT), min_size=8, max_size=8)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """One row; dates of birth and sex often fit the number."""
    number = draw(numbers())
    told = number is not None and draw(st.booleans())
    born = birth_of(number) if told and content(number) else draw(st.sampled_from([None, date(1850, 1, 1), TODAY]))
    return (
        number,
        born,
        draw(st.sampled_from(["1", "2", "0", "9", "x", None])),
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(SHAPES)),
        draw(st.sampled_from([-1, 0, 1, 5, 6, None])),
        draw(st.sampled_from([*sorted(CODES), "3", "{x} :y", "", None])),
        draw(credit_codes()),
        draw(organisation_codes()),
        draw(st.sampled_from(CERTIFICATES)),
        draw(st.sampled_from(PHONES)),
        draw(st.sampled_from([*PLATES, None])),
        draw(st.sampled_from(DAYS)),
        draw(st.sampled_from(TIMES)),
        draw(st.sampled_from(FINES)),
    )


tables = st.lists(rows(), max_size=12)


def filled(table: Sequence[Row]) -> duckdb.DuckDBPyConnection:
    """A connection with the rows in `dirty`."""
    con = connection()
    con.execute(f"CREATE TABLE dirty ({', '.join(f'{n} {t}' for n, t in zip(COLUMNS, TYPES, strict=True))})")
    if table:
        con.executemany(f"INSERT INTO dirty VALUES ({', '.join('?' * len(COLUMNS))})", list(table))
    return con


def content(number: str | None) -> Verdict:
    """Province and date exist; None if an earlier rule failed."""
    if not right_digit(number) or number is None:
        return None
    provinces = ["11-15", "21-23", "31-37", "41-46", "50-54", "61-65", "71-71", "81-83", "90-99"]
    known = any(int(low) <= int(number[:2]) <= int(high) for low, high in (pair.split("-") for pair in provinces))
    return known and birth_of(number) is not None


def right_digit(number: str | None) -> Verdict:
    """The check digit fits; None if the number is not well formed."""
    if number is None or not re.fullmatch("[1-9][0-9]{16}[0-9X]", number):
        return None
    return number[17] == check_digit(number[:17])


def birth_of(number: str | None) -> date | None:
    """The date in a number, None if there is none in the calendar."""
    assert number is not None
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


def organisation_digit(code: str | None) -> Verdict:
    """The check digit of an organisation code fits; None if it is not well formed."""
    if code is None or not re.fullmatch("[0-9A-Z]{8}[0-9X]", code):
        return None
    total = sum(int(sign, 36) * weight for sign, weight in zip(code, (3, 7, 9, 10, 5, 8, 4, 2), strict=False))
    return {10: "X", 11: "0"}.get(11 - total % 11, str(11 - total % 11)) == code[8]


def id_form(number: str) -> bool:
    """An identity number by the letter."""
    return re.fullmatch("[1-9][0-9]{16}[0-9X]", number) is not None


def credit_form(code: str) -> bool:
    """A credit code by the letter."""
    signs = len(code) == 18 and set(code) <= set(_CREDIT) and code[16] in "0123456789X"
    return signs and code[2:8].isdecimal() and code[2] != "0" and _CREDIT_KINDS.fullmatch(code[:2]) is not None


def credit_digits(code: str | None) -> Verdict:
    """Both check digits of a credit code fit; None if it is not well formed."""
    if code is None or not credit_form(code):
        return None
    rest = sum(_CREDIT.index(sign) * 3**place for place, sign in enumerate(code[:17])) % 31
    return (rest + _CREDIT.index(code[17])) % 31 == 0 and organisation_digit(code[8:17])


def certificate_form(code: str) -> bool:
    """A certificate identifier by the letter."""
    *root, kind, issuer, serial, version, check = code.split(".") if code.count(".") == 9 else [""] * 10
    signs = (kind + issuer + serial + version + check).isalnum()
    sizes = (len(kind), len(issuer), len(version), len(check))
    return signs and ".".join([*root, ""]) == _ROOT and sizes in {(21, 18, 3, 1), (21, 6, 3, 1)} and serial != ""


def certificate_field(code: str | None, place: int) -> str | None:
    """A field of a certificate identifier; None if it is not well formed."""
    return code.split(".")[place] if code is not None and certificate_form(code) else None


def certificate_issuer(code: str | None) -> str | None:
    """The credit code of the issuer in a certificate identifier; None if there is another or none."""
    issuer = certificate_field(code, 6)
    return issuer if issuer is not None and len(issuer) == 18 else None


def certificate_digit(code: str | None) -> Verdict:
    """The check character fits; None if the identifier is not well formed."""
    if code is None or not certificate_form(code):
        return None
    return bool(mod_37_36.is_valid(code.removeprefix(_ROOT).replace(".", "")))


def local(time: datetime) -> date:
    """The day in China."""
    return time.astimezone(ZoneInfo("Asia/Shanghai")).date()


def old_enough(birth: date, day: date, years: int) -> bool:
    """The birthday, or the end of its month, is not after the day."""
    try:
        return birth.replace(year=birth.year + years) <= day
    except ValueError:
        return date(birth.year + years, 2, 28) <= day


def named(name: str) -> bool:
    """A name by the letter: Han characters, single dots between them."""
    blocks = ((0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x3FFFF))
    parts = name.split("·")
    han = all(part and all(any(a <= ord(c) <= b for a, b in blocks) for c in part) for part in parts)
    return han and len("".join(parts)) >= 2


def stated(amount: int, text: str) -> Verdict:
    """One of the amounts in a text is this one, in 万元; None where the text has none."""
    found = [float(number) * (10_000 if unit else 1) for number, unit in re.findall("([0-9.]+)(万?)元", text)]
    return amount * 10_000 in found if found else None


def of(value: Any, test: Callable[[Any], bool]) -> Verdict:
    return None if value is None else test(value)


def both(one: Any, other: Any, test: Callable[[Any, Any], bool]) -> Verdict:
    return None if one is None or other is None else test(one, other)


def _born_as_told(row: Mapping[str, Any]) -> Verdict:
    return of(row["birth"], lambda born: born == birth_of(row["number"])) if content(row["number"]) else None


def _sex_as_told(row: Mapping[str, Any]) -> Verdict:
    if row["sex"] not in ("1", "2") or not content(row["number"]):
        return None
    return bool(row["sex"] == ("1" if int(row["number"][16]) % 2 else "2"))


@dataclass(frozen=True)
class Case:
    """A rule and its meaning: a verdict on a row, or (evaluated, failed) of a table."""

    rule: Rule
    row: Callable[[Mapping[str, Any]], Verdict] | None = None
    table: Callable[[Sequence[Mapping[str, Any]]], tuple[int, int]] | None = None

    def expected(self, table: Sequence[Row]) -> tuple[int, int]:
        """(evaluated, failed) in a table."""
        dicts = [dict(zip(COLUMNS, row, strict=True)) for row in table]
        if self.table:
            return self.table(dicts)
        assert self.row
        verdicts = [verdict for verdict in map(self.row, dicts) if verdict is not None]
        return len(verdicts), verdicts.count(False)


def rule(verb: str, /, **arguments: Any) -> Rule:
    columns = tuple(dict.fromkeys(rules[verb].columns(arguments)))
    return Rule(f"{verb}({','.join(columns)})", verb, columns, arguments)


def _unique(*names: str) -> Callable[[Sequence[Mapping[str, Any]]], tuple[int, int]]:
    def count(table: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
        keys = [key for key in (tuple(row[name] for name in names) for row in table) if None not in key]
        return len(keys), len(keys) - len(Counter(keys))

    return count


def _total(table: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    amounts = [row["amount"] for row in table if row["amount"] is not None]
    return len(amounts), abs(sum(amounts) - MODEL_ROWS)


def _counted(table: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    return _of_people(table, Counter({"1": 5, "2": 1, None: 1}))


def _counted_placed(table: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    return _of_people(table, Counter({"1": 5, "2": 1}))


def _of_people(table: Sequence[Mapping[str, Any]], people: Counter[str | None]) -> tuple[int, int]:
    told: dict[str | None, list[int | None]] = {}
    for row in table:
        told.setdefault(row["sex"], []).append(row["amount"])
    right = {sex for sex, found in told.items() if None not in found and sum(found) == people[sex]}  # type: ignore[arg-type]
    evaluated = sum(None not in (row["sex"], row["amount"]) for row in table)
    return evaluated, len({*told, *people} - right)


def _moved(table: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    moved = abs(len(table) - PREVIOUS_ROWS)
    return len(table), max(moved - PREVIOUS_ROWS * 2 // 10, 0)


CASES = [
    Case(rule("required", column="name"), lambda row: row["name"] is not None),
    Case(rule("max_length", column="name", length=2), lambda row: of(row["name"], lambda v: len(v) <= 2)),
    Case(
        rule("matches", column="code", pattern="[0-9]|i.+s"),
        lambda row: of(row["code"], lambda v: re.fullmatch("[0-9]|i.+s", v) is not None),
    ),
    Case(rule("in_codes", column="code", codes="codes"), lambda row: of(row["code"], lambda v: v in CODES)),
    Case(rule("between", column="amount", minimum=0, maximum=5), lambda row: of(row["amount"], lambda v: 0 <= v <= 5)),
    Case(
        rule("between", column="birth", minimum="1900-01-01", maximum="today"),
        lambda row: of(row["birth"], lambda v: date(1900, 1, 1) <= v <= TODAY),
    ),
    Case(
        rule("gb11643_format", column="number"),
        lambda row: of(row["number"], id_form),
    ),
    Case(rule("gb11643_check_digit", column="number"), lambda row: right_digit(row["number"])),
    Case(rule("gb11643_content", column="number"), lambda row: content(row["number"])),
    Case(rule("birth_date_matches_id", id="number", birth="birth"), _born_as_told),
    Case(rule("sex_matches_id", id="number", sex="sex"), _sex_as_told),
    Case(rule("chinese_name", column="name"), lambda row: of(row["name"], named)),
    Case(rule("gb32100_format", column="credit"), lambda row: of(row["credit"], credit_form)),
    Case(rule("gb32100_check_digit", column="credit"), lambda row: credit_digits(row["credit"])),
    Case(
        rule("gb11714_format", column="organisation"),
        lambda row: of(row["organisation"], lambda v: organisation_digit(v) is not None),
    ),
    Case(rule("gb11714_check_digit", column="organisation"), lambda row: organisation_digit(row["organisation"])),
    Case(rule("certificate_format", column="certificate"), lambda row: of(row["certificate"], certificate_form)),
    Case(rule("certificate_check_digit", column="certificate"), lambda row: certificate_digit(row["certificate"])),
    Case(
        rule("certificate_says", column="certificate", part="issuer", other="credit"),
        lambda row: both(certificate_issuer(row["certificate"]), row["credit"], lambda told, other: told == other),
    ),
    Case(
        replace(rule("certificate_says", column="certificate", part="version", other="amount"), id="version"),
        lambda row: both(
            certificate_field(row["certificate"], 8), row["amount"], lambda told, other: int(told) == other
        ),
    ),
    Case(rule("phone", column="phone"), lambda row: of(row["phone"], lambda v: v == PHONES[0])),
    Case(
        replace(rule("phone", column="phone", kind="any"), id="any phone"),
        lambda row: of(row["phone"], lambda v: v in PHONES[:4]),
    ),
    Case(rule("plate", column="plate"), lambda row: of(row["plate"], lambda v: PLATES[v])),
    Case(rule("cell_whole", column="phone"), lambda row: of(row["phone"], lambda v: v not in NOT_WHOLE)),
    Case(rule("not_masked", column="phone"), lambda row: of(row["phone"], lambda v: "*" not in v)),
    Case(
        rule("requires", column="name", when="code", values=["9", "it's", "{x} :y"]),
        lambda row: row["name"] is not None if row["code"] in ("9", "it's", "{x} :y") else None,
    ),
    Case(
        rule("requires", column="credit", when="amount", values=["0", "5"]),
        lambda row: row["credit"] is not None if row["amount"] in (0, 5) else None,
    ),
    Case(
        rule("present_with", column="credit", other="day"),
        lambda row: row["credit"] is not None if row["day"] is not None else None,
    ),
    Case(rule("adds_up", column="amount", parts=["amount", "amount"]), lambda row: of(row["amount"], lambda v: v == 0)),
    Case(
        rule("one_of_present", columns=["credit", "organisation", "day"]),
        lambda row: any(row[name] is not None for name in ("credit", "organisation", "day")),
    ),
    Case(rule("ordered", earlier="birth", later="day"), lambda row: both(row["birth"], row["day"], date.__le__)),
    Case(
        rule("ordered", earlier="day", later="time"),
        lambda row: both(row["day"], row["time"], lambda a, b: a <= local(b)),
    ),
    Case(
        rule("ordered", earlier="time", later="day"),
        lambda row: both(row["time"], row["day"], lambda a, b: local(a) <= b),
    ),
    Case(rule("differs", column="sex", other="code"), lambda row: both(row["sex"], row["code"], str.__ne__)),
    Case(
        rule("part_of_whole", part="birth", whole="day", when="sex", values=["1", "9"]),
        lambda row: both(row["birth"], row["day"], date.__le__) if row["sex"] in ("1", "9") else None,
    ),
    Case(
        rule("not_test", column="name"),
        lambda row: of(row["name"], lambda v: not re.search("(?i)^(测试|test)|[(（]测试[)）]$", v)),
    ),
    Case(
        rule("told_in_text", column="amount", text="fine", per=10000),
        lambda row: both(row["amount"], row["fine"], stated),
    ),
    Case(
        rule("gb11643_sex", column="number", sex="2"),
        lambda row: int(row["number"][16]) % 2 == 0 if content(row["number"]) else None,
    ),
    Case(
        rule("gb11643_age", column="number", at="day", years=18),
        lambda row: (
            of(row["day"], lambda day: old_enough(birth_of(row["number"]), day, 18)) if content(row["number"]) else None
        ),
    ),
    Case(
        rule("subject_code_format", column="number", kind="sex", person="1"),
        lambda row: of(row["number"], id_form if row["sex"] == "1" else credit_form),
    ),
    Case(
        rule("subject_code_check_digit", column="credit", kind="sex", person="1"),
        lambda row: right_digit(row["credit"]) if row["sex"] == "1" else credit_digits(row["credit"]),
    ),
    Case(
        rule("age_at_least", birth="birth", at="day", years=18),
        lambda row: both(row["birth"], row["day"], lambda a, b: old_enough(a, b, 18)),
    ),
    Case(
        rule("age_at_least", birth="day", at="time", years=18),
        lambda row: both(row["day"], row["time"], lambda a, b: old_enough(a, local(b), 18)),
    ),
    Case(
        replace(rule("age_at_least", birth="day", at="time", years=0), id="born"),
        lambda row: both(row["day"], row["time"], lambda a, b: a <= local(b)),
    ),
    Case(rule("wkt", column="shape", geometry="polygon"), lambda row: of(row["shape"], lambda v: v in RIGHT_SHAPES)),
    Case(
        replace(rule("wkt", column="shape", geometry="line"), id="line"),
        lambda row: of(row["shape"], lambda v: v.endswith(("116.2 31.2)", "9 10))")) and "LINESTRING" in v),
    ),
    Case(
        replace(rule("wkt", column="shape", geometry="point"), id="point"),
        lambda row: of(row["shape"], lambda v: v == "POINT(1 2)"),
    ),
    Case(
        rule("same_part", column="number", other="credit", length=4, start=2, other_start=3),
        lambda row: both(row["number"], row["credit"], lambda a, b: a[1:5] == b[2:6]),
    ),
    Case(rule("unique", columns=["number"]), table=_unique("number")),
    Case(rule("unique", columns=["name", "code"]), table=_unique("name", "code")),
    Case(rule("row_count", minimum=3), table=lambda table: (len(table), max(3 - len(table), 0))),
    Case(rule("volume_change", maximum=0.2), table=_moved),
    Case(rule("sums_to", column="amount", model="model"), table=_total),
    Case(rule("counts_rows", column="amount", model="people", by=["sex"]), table=_counted),
    Case(
        replace(rule("counts_rows", column="amount", model="people", by=["sex"], placed=True), id="placed"),
        table=_counted_placed,
    ),
]
RULES = [case.rule for case in CASES]
