"""Small dirty tables, a rule of every verb on them, and what each rule means, said once more in plain Python."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
from hypothesis import strategies as st

from pipelines.contracts.rules import Context, Rule, rules

TODAY = date(2026, 11, 23)
PREVIOUS_ROWS, MODEL_ROWS = 5, 7
CODES = frozenset({"1", "2", "9", "it's"})
COLUMNS = ("number", "birth", "sex", "name", "shape", "amount", "code")
TYPES = ("VARCHAR", "DATE", "VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "VARCHAR")

CONTEXT = Context(
    lists={"codes": CODES},
    today=TODAY,
    relation="dirty",
    previous=f"range({PREVIOUS_ROWS})",
    models={"model": f"range({MODEL_ROWS})"},
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
    "",
    None,
]
RIGHT_SHAPES = set(SHAPES[:2])


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
        draw(st.sampled_from([*sorted(CODES), "3", "", None])),
    )


tables = st.lists(rows(), max_size=12)


def filled(table: Sequence[Row]) -> duckdb.DuckDBPyConnection:
    """A connection with the rows in `dirty`."""
    con = duckdb.connect()
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


def named(name: str) -> bool:
    """A name by the letter: Han characters, single dots between them."""
    blocks = ((0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x3FFFF))
    parts = name.split("·")
    han = all(part and all(any(a <= ord(c) <= b for a, b in blocks) for c in part) for part in parts)
    return han and len("".join(parts)) >= 2


def of(value: Any, test: Callable[[Any], bool]) -> Verdict:
    return None if value is None else test(value)


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
        lambda row: of(row["number"], lambda v: re.fullmatch("[1-9][0-9]{16}[0-9X]", v) is not None),
    ),
    Case(rule("gb11643_check_digit", column="number"), lambda row: right_digit(row["number"])),
    Case(rule("gb11643_content", column="number"), lambda row: content(row["number"])),
    Case(rule("birth_date_matches_id", id="number", birth="birth"), _born_as_told),
    Case(rule("sex_matches_id", id="number", sex="sex"), _sex_as_told),
    Case(rule("chinese_name", column="name"), lambda row: of(row["name"], named)),
    Case(rule("wkt_polygon", column="shape"), lambda row: of(row["shape"], lambda v: v in RIGHT_SHAPES)),
    Case(rule("unique", columns=["number"]), table=_unique("number")),
    Case(rule("unique", columns=["name", "code"]), table=_unique("name", "code")),
    Case(rule("row_count", minimum=3), table=lambda table: (len(table), max(3 - len(table), 0))),
    Case(rule("volume_change", maximum=0.2), table=_moved),
    Case(rule("sums_to", column="amount", model="model"), table=_total),
]
RULES = [case.rule for case in CASES]
