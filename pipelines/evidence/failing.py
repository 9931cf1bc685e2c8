"""Which rows of a version fail a rule: asked again of the version that the evidence is about, by the rule's own SQL.

Nothing is kept: rows that fail are in the version itself, and an erased person is in no answer. Belongs here: the rows
of one rule. Does not belong here: which version and which rules (`pipelines.release.failing`), who may see them, files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import duckdb

from pipelines.codecs.sql import identifier
from pipelines.contracts.rules import Context, Rule
from pipelines.contracts.rules.across import covers
from pipelines.contracts.rules.relations import apart, counts_rows, unique

EXPECTED = "_expected"
"""What a column that counts rows of another model should have said."""
_AT_ONCE = 10_000


@dataclass(frozen=True)
class Row:
    """A row that fails, or an entry that is missing. `key`: empty for what has no row; `values`: of the rule's columns;
    `books`: the raw rows it was made from, as a library keeps them; `expected`: what a count should be."""

    key: Mapping[str, Any]
    values: Mapping[str, Any]
    books: str | None = None
    expected: int | None = None


def of_rule(
    con: duckdb.DuckDBPyConnection, rule: Rule, context: Context, key: Sequence[str], books: str | None, most: int
) -> list[Row] | None:
    """The first `most` rows that fail, in the order of their key; None for a rule about the table as a whole, which no
    row fails. `books`: the column that names raw rows, if there is one.

    Raises duckdb.Error, whose text may quote values of rows, and KeyError for a model that the context lacks.
    """
    query = _query(rule, context, key, books)
    if query is None:
        return None
    found = con.execute(f"SELECT * FROM ({query}) ORDER BY ALL")
    names = [name for name, *_ in found.description or ()]
    return [_row(dict(zip(names, values, strict=True)), key, books) for values in islice(_all(found), most)]


def _all(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := found.fetchmany(_AT_ONCE):
        yield from rows


def _row(values: dict[str, Any], key: Sequence[str], books: str | None) -> Row:
    expected, told = values.pop(EXPECTED, None), values.pop(books, None) if books else None
    return Row({name: values[name] for name in key if name in values}, values, told, expected)


def _query(rule: Rule, context: Context, key: Sequence[str], books: str | None) -> str | None:
    kept = list(dict.fromkeys([*key, *rule.columns, *([books] if books else [])]))
    listed = ", ".join(map(identifier, kept))
    if rule.about.of_rows:
        return f"SELECT {listed} FROM {context.relation} WHERE NOT ({rule.sql(context)})"
    if rule.about.scope == "across":
        return _across(rule, context, kept)
    tables: Mapping[str, Callable[[], str]] = {
        unique.__name__: lambda: _repeated(rule, context, listed),
        counts_rows.__name__: lambda: _apart(rule, context),
    }
    return tables[rule.verb]() if rule.verb in tables else None


def _across(rule: Rule, context: Context, kept: Sequence[str]) -> str:
    """Rows of the version with their key beside what the rule shows; of a register its entries that are missing."""
    shown = rule
    if rule.verb != covers.__name__:
        show = list(dict.fromkeys([*rule.arguments.get("show", ()), *kept]))
        shown = replace(rule, arguments={**rule.arguments, "show": show})
    return f"SELECT * EXCLUDE (_good) FROM ({shown.sql(context)}) WHERE NOT _good"


def _repeated(rule: Rule, context: Context, listed: str) -> str:
    """All rows of each group, the first too: which of them is one too many nobody can tell."""
    names = [identifier(name) for name in rule.columns]
    present = " AND ".join(f"{name} IS NOT NULL" for name in names)
    groups = f"QUALIFY count(*) OVER (PARTITION BY {', '.join(names)}) > 1"
    return f"SELECT {listed} FROM {context.relation} WHERE {present} {groups}"


def _apart(rule: Rule, context: Context) -> str:
    """The groups of which another number is said than there is, and those of which nothing is said."""
    column = identifier(rule.arguments["column"])
    told = f"* EXCLUDE (_said, _counted), _said AS {column}, _counted AS {EXPECTED}"
    return f"SELECT {told} FROM ({apart(context, **rule.arguments)})"
