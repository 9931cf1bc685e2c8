"""The words of a model: constructs, functions and types that only one engine understands, each with its line.

Belongs here: what can be seen in a sequence of tokens. Does not belong here: what needs the parsed query
(portable_queries), or where model texts come from (portability).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import Dialect, Token, TokenType


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
HOLE = "jinja_text"  # what stands for an expression of Jinja

# Functions that gave the same values on both engines: tests/slow/test_sail.py asks them all.
FUNCTIONS = _set(
    "abs avg bool_and bool_or cast ceil coalesce concat_ws count date_trunc day dense_rank extract first_value floor "
    "greatest lag last_value lead least left length lower lpad ltrim max min month nullif rank replace right round "
    "row_number rpad rtrim sqrt substr substring sum trim try_cast upper year"
)
SPECIAL_FUNCTIONS = {
    "concat": "concat",
    "safe_cast": "safe_cast",
    **dict.fromkeys(("dateadd", "date_add", "datediff", "date_diff", "date_sub", "last_day"), "date_function"),
    **dict.fromkeys(("now", "today", "current_date", "current_timestamp", "get_current_timestamp"), "clock"),
    "columns": "star",
    "unnest": "nested",
}
TYPES = _set("string tinyint smallint int integer bigint float double boolean date timestamp decimal")

# Words before a parenthesis that call nothing.
NO_FUNCTIONS = _set(
    "all and any as between by case cross distinct else end except exists filter from full group having in inner "
    "intersect interval is join lateral left like ilike limit not on or order outer over partition right select some "
    "then union using values when where window with within materialized anti semi offset"
)
CALLED_KEYWORDS = frozenset(("left", "right"))  # both a join and a function: a call when a parenthesis follows

# Two words or one that only one engine understands, and the rule that says so.
CONSTRUCTS = {
    ("qualify",): "qualify",
    ("group", "by", "all"): "by_all",
    ("order", "by", "all"): "by_all",
    ("*", "exclude"): "star",
    ("*", "except", "("): "star",
    ("*", "replace"): "star",
    ("*", "rename"): "star",
    ("with", "recursive"): "recursive",
    ("pivot",): "pivot",
    ("unpivot",): "pivot",
    ("pivot_wider",): "pivot",
    ("asof",): "join",
    ("positional",): "join",
    ("natural",): "join",
    ("lateral",): "join",
    ("by", "name"): "by_name",
    ("distinct", "on"): "distinct_on",
    ("tablesample",): "sample",
    ("using", "sample"): "sample",
    ("(", "from"): "from_first",
    ("//",): "operator",
    ("div",): "operator",
    ("glob",): "operator",
    ("similar", "to"): "operator",
    ("~",): "operator",
    ("~~",): "operator",
    ("**",): "operator",
    ("current_date",): "clock",
    ("current_timestamp",): "clock",
    ("localtimestamp",): "clock",
}
# A dispatch macro may put these into compiled SQL, so they are looked for only in what the author wrote.
ENGINE_WORDS = {
    ("[",): "nested",
    ("{",): "nested",
    ("->",): "nested",
    ("lambda",): "nested",
    ("ignore", "nulls"): "ignore_nulls",
    ("respect", "nulls"): "ignore_nulls",
}
END_OF_ORDER = _set("rows range groups limit offset union except intersect qualify window ;")


@dataclass(frozen=True)
class Found:
    """One thing that is not portable: the rule (message `lake.sql_<rule>`), what was written, line if known."""

    rule: str
    found: str
    line: int | None


@dataclass(frozen=True)
class Word:
    """One token: text in lower case, kind, line."""

    text: str
    kind: TokenType
    line: int


def without_jinja(raw: str) -> str:
    """What the author of a model wrote, with Jinja replaced and lines kept."""
    return JINJA.sub(lambda match: (HOLE if match[0].startswith("{{") else "") + "\n" * match[0].count("\n"), raw)


def words(sql: str, dialect: str = "duckdb") -> list[Word]:
    """The tokens of SQL; keywords of two words are split."""
    return [word for token in Dialect.get_or_raise(dialect).tokenize(sql) for word in _split(token)]


def _split(token: Token) -> Iterator[Word]:
    if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER):
        yield Word(token.text, token.token_type, token.line)
        return
    for text in token.text.lower().split():
        yield Word(text, token.token_type, token.line)


def unportable_words(found: Sequence[Word], *, written: bool) -> Iterator[Found]:
    """Everything in a sequence of tokens that only one engine understands. `written` also asks what macros may emit."""
    yield from _constructs(found, {**CONSTRUCTS, **ENGINE_WORDS} if written else CONSTRUCTS)
    yield from _orders(found)
    if written:
        yield from _texts(found)
        yield from _calls(found)
        yield from _types(found)


def _constructs(found: Sequence[Word], wanted: dict[tuple[str, ...], str]) -> Iterator[Found]:
    if found and found[0].text == "from":
        yield Found("from_first", "from", found[0].line)
    texts = [_plain(word) for word in found]
    for start, word in enumerate(found):
        for construct, rule in wanted.items():
            if tuple(texts[start : start + len(construct)]) == construct:
                yield Found(rule, " ".join(construct).strip("( "), word.line)


def _plain(word: Word) -> str:
    return "" if word.kind in (TokenType.STRING, TokenType.IDENTIFIER) else word.text


def _orders(found: Sequence[Word]) -> Iterator[Found]:
    texts = [_plain(word) for word in found]
    for start in range(len(found) - 1):
        if texts[start : start + 2] == ["order", "by"] and texts[start + 2 : start + 3] != ["all"]:
            for item in _order_items(found, start + 2):
                ending = [_plain(word) for word in item[-2:]]
                if item[-1].text != HOLE and ending not in (["nulls", "first"], ["nulls", "last"]):
                    yield Found("nulls_order", " ".join(word.text for word in item), item[0].line)


def _order_items(found: Sequence[Word], start: int) -> Iterator[list[Word]]:
    depth, item = 0, list[Word]()
    for word in found[start:]:
        text = _plain(word)
        depth += (text == "(") - (text == ")")
        if depth < 0 or (depth == 0 and text in END_OF_ORDER):
            break
        if depth == 0 and text == ",":
            yield item
            item = []
        else:
            item.append(word)
    if item:
        yield item


def _texts(found: Sequence[Word]) -> Iterator[Found]:
    for word in found:
        if word.kind == TokenType.IDENTIFIER:
            yield Found("double_quotes", word.text, word.line)
        elif word.kind == TokenType.STRING and "'" in word.text:
            yield Found("quote_in_text", word.text, word.line)
        elif word.kind == TokenType.STRING and "\\" in word.text:
            yield Found("backslash", word.text, word.line)


def _calls(found: Sequence[Word]) -> Iterator[Found]:
    for place, word in enumerate(found[:-1]):
        name, before = _plain(word), _plain(found[place - 1]) if place else ""
        if _plain(found[place + 1]) != "(" or not re.fullmatch(r"\w+", name) or before in ("as", "::", ")"):
            continue
        if (name in NO_FUNCTIONS and name not in CALLED_KEYWORDS) or _is_alias(found, place + 1):
            continue
        if before in ("from", "join"):
            yield Found("table_function", name, word.line)
        elif name not in FUNCTIONS:
            rule = "regex" if name.startswith("regexp") else SPECIAL_FUNCTIONS.get(name, "function")
            yield Found(rule, name, word.line)


def _is_alias(found: Sequence[Word], opening: int) -> bool:
    """`name (a, b) as (` names the columns of a query."""
    depth = 0
    for place in range(opening, len(found)):
        text = _plain(found[place])
        depth += (text == "(") - (text == ")")
        if depth == 0:
            return [_plain(word) for word in found[place + 1 : place + 3]] == ["as", "("]
    return False


def _types(found: Sequence[Word]) -> Iterator[Found]:
    casts: list[bool] = []  # for every open parenthesis, whether it belongs to a cast
    for place, word in enumerate(found[:-1]):
        text = _plain(word)
        if text == "(":
            casts.append(place > 0 and _plain(found[place - 1]) in ("cast", "try_cast"))
        elif text == ")" and casts:
            casts.pop()
        elif text == "::" or (text == "as" and casts and casts[-1]):
            kind, after = found[place + 1], [_plain(word) for word in found[place + 2 : place + 5]]
            precise = len(after) == 3 and after[0] == "(" and after[2] == ","
            if kind.text != HOLE and (kind.text not in TYPES or (kind.text == "decimal" and not precise)):
                yield Found("type", kind.text, kind.line)
