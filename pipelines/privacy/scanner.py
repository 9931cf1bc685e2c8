"""The search for personal values in a released open product: what no contract admitted must not stand in any text.

Looks at values only and returns counts, never a value. Whether a finding closes anything is decided elsewhere; how
numbers and names are told, in `numbers` and `names`.

Kinds:

* `id_number`: 18 characters with the right check digit, a province and a date of this or the last two centuries, at
  any place of the text, whatever signs stand between its parts. Chance makes one of about 20,000 arbitrary numbers of
  18 digits look like it, and one of 11 lists of a division, a day and a number of four digits.
* `id_number_15`: 15 digits, neither more nor fewer, with a province and a date. There is no check digit: about one in
  60 arbitrary numbers looks like it.
* `mobile`: 11 digits from 13 on, neither more nor fewer (86 may stand before), also written 3-4-4, digit by digit, and
  in the other ways that people part them in.
* `landline`: an area code, a sign and 7 or 8 digits.
* `bank_card`: 16 to 19 digits from 62 on with the right check digit; chance makes one of ten such numbers look like it.
* `passport`: one or two letters and 7 to 10 digits after a word for a passport or a permit to cross a border, and 8
  digits after one for the permit of people from Taiwan.
* `email`, `plate`: by their form.
* `account`: of QQ or WeChat, after their name; of WeChat only one with a figure, unless a word says that one follows.
* `home`: an address to the door after a word for living there (家住, 住址, 户籍地 ...). An address by itself is found
  nowhere: most are those of shops and offices.

In a column of numbers a mobile is found only if most of them are (the share of names): an amount may look like one.

* `travel_document`: a whole column of numbers of passports and such permits, told by their form alone.
* `name`: a whole column of names only. Most of its values (at least 60 %, of at least 5 different ones) are a surname
  of the list and one or two characters more, and do not end like a place, a body, a people or a thing; or given names
  of peoples without surnames, or names in pinyin.
* `name_in_text`: a name inside a sentence, where something says that it is one; one row suffices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import duckdb

from pipelines.codecs.sql import identifier, literal, literals
from pipelines.privacy import names, numbers

Kind = Literal[
    "id_number",
    "id_number_15",
    "mobile",
    "landline",
    "bank_card",
    "passport",
    "email",
    "account",
    "home",
    "plate",
    "travel_document",
    "name",
    "name_in_text",
]

KINDS: tuple[Kind, ...] = get_args(Kind)

_WHOLE_COLUMNS: tuple[Kind, ...] = ("name", "travel_document")
NAME_SHARE, NAME_VARIETY = 0.6, 5

# Types that cannot hold an identity number or a text; any other, nested or not, is searched in its written form.
_HARMLESS = frozenset(
    {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT", "DOUBLE"}
    | {"DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
)
_NUMBERS = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DECIMAL")


@dataclass(frozen=True)
class Found:
    """Rows of a column in which one kind of personal value stands."""

    column: str
    kind: Kind
    rows: int


def scan(con: duckdb.DuckDBPyConnection, relation: str, overruled: Sequence[tuple[str, str]] = ()) -> list[Found]:
    """Search every column of a table that can hold a text, in one pass. Empty: nothing found.

    Columns of large whole numbers are searched for identity numbers, and for mobiles as a whole.
    `overruled`: texts of columns in which nothing is to be found; what stands around them, and what goes beyond them (a
    longer name, a number that they are a part of), is found as before.
    """
    columns = _searchable(con, relation)
    searches = [(column, place, kind) for place, (column, kinds) in enumerate(columns.items()) for kind in kinds]
    found = _mobiles_in_numbers(con, relation)
    if not searches:
        return found
    texts = {column: [text for one, text in overruled if one == column] for column in columns}
    wholes = {column: len(columns) + number for number, column in enumerate(one for one in columns if texts[one])}
    values = [*(_replaced(column, texts[column]) for column in columns), *map(identifier, wholes)]
    flags = [
        f"contains({identifier(column)}, {literal(text)}) AS {_flag(place, number)}"
        for column, place in wholes.items()
        for number, text in enumerate(texts[column])
    ]
    tests = list[str]()
    for column, place, kind in searches:
        test = _test(kind, place)
        if column in wholes:
            test = f"({test}) OR ({_beyond(con, kind, wholes[column], texts[column])})"
        tests.append(f"{test} AS {kind}_{place}")
    counts = ", ".join(_count(kind, place, wholes.get(column, place)) for column, place, kind in searches)
    layers = _layers(relation, values, flags)
    (row,) = con.execute(f"SELECT {counts} FROM (SELECT *, {', '.join(tests)} FROM {layers})").fetchall()
    return found + [Found(column, kind, rows) for (column, _, kind), rows in zip(searches, row, strict=True) if rows]


def _mobiles_in_numbers(con: duckdb.DuckDBPyConnection, relation: str) -> list[Found]:
    """The columns of numbers that are mobiles for the most part, whatever their type."""
    types = {
        name: type_.split("(")[0] for name, type_, *_ in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    }
    columns = [name for name, type_ in types.items() if type_ in (*_NUMBERS, "DOUBLE")]
    if not columns:
        return []
    counts = list[str]()
    for value in map(identifier, columns):
        mobile = f"FILTER (WHERE {numbers.is_mobile(value)})"
        most = (
            f"count(*) {mobile} >= {NAME_SHARE} * count({value}) AND count(DISTINCT {value}) {mobile} >= {NAME_VARIETY}"
        )
        counts.append(f"CASE WHEN {most} THEN count(*) {mobile} ELSE 0 END")
    (row,) = con.execute(f"SELECT {', '.join(counts)} FROM {relation}").fetchall()
    return [Found(name, "mobile", rows) for name, rows in zip(columns, row, strict=True) if rows]


def kinds_in(con: duckdb.DuckDBPyConnection, text: str) -> frozenset[Kind]:
    """What a text by itself looks like."""
    return kinds_of(con, [text])[text]


def kinds_of(con: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> dict[str, frozenset[Kind]]:
    """What each of some texts by itself looks like."""
    tests = ", ".join(_test(kind, 0) for kind in KINDS)
    # DuckDB takes neither NUL nor half a character in a statement.
    asked = {text: text.encode(errors="replace").decode().replace("\0", "?") for text in texts}
    given = f"(SELECT unnest([{literals(sorted({*asked.values()}))}]::VARCHAR[]) AS given)"
    rows = con.execute(f"SELECT own, {tests} FROM {_layers(given, ['given'], ['given AS own'])}").fetchall()
    found = {own: frozenset(kind for kind, held in zip(KINDS, row, strict=True) if held) for own, *row in rows}
    return {text: found[said] for text, said in asked.items()}


def without(relation: str, texts: Sequence[tuple[str, str]]) -> str:
    """The table with a sign in the place of each of these texts of a column."""
    columns = dict.fromkeys(column for column, _ in texts)
    listed = ", ".join(
        f"{_replaced(column, [text for one, text in texts if one == column])} AS {identifier(column)}"
        for column in columns
    )
    return f"(SELECT * REPLACE ({listed}) FROM {relation})" if listed else relation


def _replaced(column: str, texts: Sequence[str]) -> str:
    value = identifier(column)
    for text in texts:
        value = f"replace({value}, {literal(text)}, '□')"
    return value


def _layers(relation: str, values: Sequence[str], flags: Sequence[str] = ()) -> str:
    """The forms of each value: `t` normal, `d` with digits, `c` with these joined."""
    places = range(len(values))
    texts = [f"{numbers.normal(f'{value}::VARCHAR')} AS t{place}" for place, value in enumerate(values)]
    digits = ", ".join(f"{numbers.digits(f't{place}')} AS d{place}" for place in places)
    joined = ", ".join(f"{numbers.joined(f'd{place}')} AS c{place}" for place in places)
    return f"(SELECT *, {joined} FROM (SELECT *, {digits} FROM (SELECT {', '.join([*texts, *flags])} FROM {relation})))"


def _flag(place: int, number: int) -> str:
    """The column that says whether a row holds the overruled text of this number."""
    return f"w{place}_{number}"


def _beyond(con: duckdb.DuckDBPyConnection, kind: Kind, place: int, texts: Sequence[str]) -> str:
    """Whether one kind stands in a whole text, and no overruled text in it holds it wholly: a name as a part of it, a
    number as one that is found in it by itself. One that shares some of its characters counts."""
    flags = {_flag(place, number): text for number, text in enumerate(texts)}
    if kind == "name_in_text":
        return names.holds_name(f"t{place}", {flag: numbers.normal(literal(text)) for flag, text in flags.items()})
    if kind == "name":
        held = [f"{flag} AND contains({numbers.normal(literal(text))}, t{place})" for flag, text in flags.items()]
        return f"{_test(kind, place)} AND NOT ({' OR '.join(held) or 'false'})"
    own = {flag: _finds_in(con, kind, text) for flag, text in flags.items()}
    held = [f"({flag} AND w IN ({literals(found)}))" for flag, found in own.items() if found]
    finds = f"list_filter({_finds(kind, place)}, lambda w: NOT ({' OR '.join(held) or 'false'}))"
    return f"CASE WHEN {_test(kind, place)} THEN len({finds}) > 0 ELSE false END"


def _finds_in(con: duckdb.DuckDBPyConnection, kind: Kind, text: str) -> list[str]:
    """The numbers of one kind in a text by itself."""
    row = con.execute(f"SELECT {_finds(kind, 0)} FROM {_layers('(SELECT 1)', [literal(text)])}").fetchone()
    return sorted({*(row[0] or ())}) if row else []


def _finds(kind: Kind, place: int) -> str:
    """The numbers of one kind in a text, as a list."""
    text, digits, joined = f"t{place}", f"d{place}", f"c{place}"
    finds = {
        "id_number": numbers.id_numbers(digits, joined),
        "id_number_15": _in_either(place, numbers.first_generation),
        "mobile": _in_either(place, numbers.mobiles),
        "landline": _in_either(place, numbers.landlines),
        "bank_card": _in_either(place, numbers.bank_cards),
        "passport": numbers.passports(text),
        "email": numbers.emails(text),
        "account": numbers.accounts(text),
        "home": numbers.homes(text),
        "plate": numbers.plates(text),
        "travel_document": numbers.travel_documents(text),
    }
    return finds[kind]


def _searchable(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, tuple[Kind, ...]]:
    """The kinds to search for in each column that can hold any."""
    described = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {
        name: ("id_number",) if type_.split("(")[0] in _NUMBERS else KINDS
        for name, type_, *_ in described
        if type_ not in _HARMLESS
    }


def _test(kind: Kind, place: int) -> str:
    """Whether one kind stands in a text: `t` normal, `d` with digits, `c` with these joined."""
    text, digits, joined = f"t{place}", f"d{place}", f"c{place}"
    tests = {
        "id_number": numbers.holds_id_number(digits, joined),
        "id_number_15": _held_by_either(place, numbers.holds_first_generation),
        "mobile": _held_by_either(place, numbers.holds_mobile),
        "landline": _held_by_either(place, numbers.holds_landline),
        "bank_card": _held_by_either(place, numbers.holds_bank_card),
        "passport": numbers.holds_passport(text),
        "email": numbers.holds_email(text),
        "account": numbers.holds_account(text),
        "home": numbers.holds_home(text),
        "plate": numbers.holds_plate(text),
        "travel_document": numbers.is_travel_document(text),
        "name": names.is_name(text),
        "name_in_text": names.holds_name(text),
    }
    return tests[kind]


def _in_either(place: int, finds: Callable[[str], str]) -> str:
    """What is found as it was written or in figures: of 13800138000三次 the last sign is none of the number's."""
    return f"list_distinct(list_concat({finds(f't{place}')}, {finds(f'd{place}')}))"


def _held_by_either(place: int, holds: Callable[[str], str]) -> str:
    """Whether it is held by either. Few texts have other figures, and only those are asked twice."""
    text, digits = f"t{place}", f"d{place}"
    return f"({holds(digits)} OR CASE WHEN {text} != {digits} THEN {holds(text)} ELSE false END)"


def _count(kind: Kind, place: int, whole: int) -> str:
    """The rows where a kind was found; of what is told of whole columns only if the column, nothing of it replaced,
    consists of them."""
    found = f"{kind}_{place}"
    rows = f"count(*) FILTER (WHERE {found})"
    if kind not in _WHOLE_COLUMNS:
        return rows
    varied = f"count(DISTINCT t{whole}) FILTER (WHERE {found}) >= {NAME_VARIETY}"
    return f"CASE WHEN {rows} >= {NAME_SHARE} * count(t{whole}) AND {varied} THEN {rows} ELSE 0 END"
