"""The parts of a parsed query: its sources, joins and conditions, and which of its expressions are the key of a row.

Belongs here: what can be read off one select. Does not belong here: what follows for a model (locality).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from pipelines.lake.errors import LakeError

SHOWN = 80  # characters of a construct in a message


class NotLocal(LakeError):
    """A model cannot be built by its key: what stands against it."""


def parsed(sql: str) -> exp.Expr:
    """A query with each WITH put in the place of its name, tables called `schema.name`."""
    query = sqlglot.parse_one(sql, dialect="duckdb")
    for table in query.find_all(exp.Table):
        table.set("catalog", None)
    for node in reversed([one for one in query.walk() if one.args.get("with_")]):  # the innermost first
        _inline(node)
    return query


@dataclass
class Same:
    """Expressions of a select that are the key of its row: always, or wherever they are not NULL."""

    always: set[str]
    perhaps: set[str]

    def inner(self, left: str, right: str) -> None:
        """Two expressions that are equal in every row, so neither is NULL."""
        if {left, right} & self.perhaps:
            self.always |= {left, right}
            self.perhaps |= {left, right}

    def left(self, left: str, right: str, joined: str) -> None:
        """Two expressions that are equal wherever the source `joined` has a row."""
        for one, other in ((left, right), (right, left)):
            if one in self.perhaps and source_of(other) == joined:
                self.perhaps.add(other)

    def column_of(self, alias: str) -> str | None:
        """The column of a source that is the key."""
        found = sorted(one for one in self.perhaps if source_of(one) == alias)
        return found[0].partition(".")[2] if found else None


def source_of(text: str) -> str | None:
    alias, dot, column = text.partition(".")
    return alias if dot and alias.isidentifier() and column.isidentifier() else None


def _inline(node: exp.Expr) -> None:
    """Put every WITH of a query in the place of its name."""
    given = node.args["with_"]
    if given.args.get("recursive") or any(cte.args["alias"].columns for cte in given.expressions):
        raise against("part", given)
    node.set("with_", None)
    known: dict[str, exp.Expr] = {}
    for cte in given.expressions:
        known[cte.alias] = _named(cte.this, known)
    _named(node, known)


def _named(query: exp.Expr, known: Mapping[str, exp.Expr]) -> exp.Expr:
    for table in list(query.find_all(exp.Table)):
        if not table.db and table.name in known:
            table.replace(subquery(known[table.name].copy(), table.alias_or_name))
    return query


def alone(table: exp.Table) -> exp.Table:
    """A table in a query of its own, so that it can be replaced."""
    (found,) = exp.select("*").from_(table).find_all(exp.Table)
    return found


def subquery(query: exp.Expr, alias: str) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias)))


def sources_of(query: exp.Select) -> dict[str, exp.Expr]:
    """The sources of a select by alias. Raises NotLocal for anything but tables, subqueries and lists of values."""
    found: dict[str, exp.Expr] = {}
    start = query.args.get("from_")
    for join in query.args.get("joins") or []:
        if set(given_parts(join)) - {"this", "side", "kind", "on"} or side_of(join) is None:
            raise against("join", join)
    for node in [*([start.this] if start else []), *(join.this for join in query.args.get("joins") or [])]:
        allowed = {
            exp.Table: {"this", "db", "alias"},
            exp.Subquery: {"this", "alias"},
            exp.Values: {"expressions", "alias"},
        }
        alias = node.args.get("alias")
        named = not (alias and alias.columns) or isinstance(node, exp.Values)
        if set(given_parts(node)) - allowed.get(type(node), set()) or not node.alias_or_name or not named:
            raise against("join", node)
        if isinstance(node, exp.Subquery) and not isinstance(node.this, exp.Query):
            raise against("join", node)
        if node.alias_or_name in found:
            raise against("join", node)
        found[node.alias_or_name] = node
    return found


def side_of(join: exp.Join) -> str | None:
    """How a join treats rows without a match: inner, left, full; None for any other."""
    side, kind = str(join.args.get("side") or "").lower(), str(join.args.get("kind") or "").lower()
    if side in ("left", "full") and kind in ("", "outer"):
        return side
    return "inner" if not side and kind in ("", "inner", "cross") else None


def own_nodes(query: exp.Select) -> Iterator[exp.Expr]:
    """The nodes of the expressions of a select, without those of its sources and of queries within."""
    places = [*query.expressions, *(query.args.get(name) for name in ("where", "group", "having", "qualify", "order"))]
    places += [join.args.get("on") for join in query.args.get("joins") or []]
    for place in places:
        if place is not None:
            yield from place.walk(prune=lambda node: isinstance(node, exp.Query))


def conjuncts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    if isinstance(condition, exp.And):
        yield from conjuncts(condition.left)
        yield from conjuncts(condition.right)
    elif isinstance(condition, exp.Paren):
        yield from conjuncts(condition.this)
    elif condition is not None:
        yield condition


def where_of(query: exp.Select) -> exp.Expr | None:
    where = query.args.get("where")
    return where.this if where else None


def named_columns(query: exp.Expr) -> frozenset[str] | None:
    """The names of all columns that a query speaks of: no other of what it reads matters, but for what it shows. None
    if rows are compared by columns that it may not name."""
    for node in query.find_all(exp.SetOperation, exp.Select):
        compared = isinstance(node, exp.Except | exp.Intersect) or node.args.get("distinct")
        if compared and any(not isinstance(star.parent, exp.Count) for star in node.find_all(exp.Star)):
            return None
    return frozenset(column.name for column in query.find_all(exp.Column))


def is_coalesce(node: exp.Expr) -> bool:
    return isinstance(node, exp.Coalesce) and len(node.expressions) == 1


def given_parts(node: exp.Expr) -> list[str]:
    return [name for name, value in node.args.items() if value]


def relation_of(table: exp.Table) -> str:
    return f"{table.db}.{table.name}"


def against(rule: str, node: exp.Expr) -> NotLocal:
    return NotLocal(f"lake.local_{rule}", found=node.sql("duckdb")[:SHOWN])
