"""What flows into a query: a reader of parsed SQL that derives the flow of every column and of the rows.

Rows depend on filters, conditions of joins, keys of groups, DISTINCT, QUALIFY, ORDER BY and LIMIT, set operations; a
column on everything that its expression names, conditions of CASE and the rows of subqueries among it. What a filtered
source says of its rows goes on to whatever reads it.

Only what is on the lists here is understood; anything else raises NotUnderstood, and its model counts as the most
sensitive there is. So does a name that could mean two things of which one is not understood. Belongs here: one query.
Does not belong here: models, levels, contracts (`lineage`). Names follow DuckDB: no difference of case, a column of the
query before an alias of its select; where it is not sure which of two is meant, both flow in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from pipelines.lake.query_parts import SHOWN, conjuncts, given_parts
from pipelines.privacy.flows import NOTHING, Flow, Origins, Relation, merged

Lookup = Callable[[str], Relation | None]
"""A relation by `schema.name`, in lower case; None for one that is not known."""

TESTS = (
    *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.Between),
    *(exp.Like, exp.ILike, exp.Escape),
)
"""What tells of its parts whether they fit, not what they are."""
KEPT = (
    *(exp.Literal, exp.Null, exp.Boolean, exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.Paren),
    *(exp.Coalesce, exp.Greatest, exp.Least, exp.Concat, exp.ConcatWs, exp.DPipe, exp.Tuple, exp.Distinct),
    *(exp.Lower, exp.Upper, exp.Trim, exp.Replace, exp.Pad),
)
"""What shows its parts, or one of them, as they are."""
COMPUTED = (
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.And, exp.Or, exp.Not, exp.Interval),
    *(exp.Length, exp.Left, exp.Right, exp.Substring, exp.StrPosition, exp.Year, exp.Month, exp.Day, exp.Extract),
    *(exp.TsOrDsToDate, exp.Round, exp.Floor, exp.Ceil, exp.Abs, exp.Sqrt),
)
"""What is computed from its parts and from nothing else."""
COUNTS = (exp.Count, exp.CountIf, exp.Sum, exp.Avg, exp.LogicalAnd, exp.LogicalOr)
CHOICES = (exp.Max, exp.Min, exp.FirstValue, exp.LastValue, exp.Lag, exp.Lead)
"""Functions over rows that show a value of one of them."""
PLACES = (exp.RowNumber, exp.Rank, exp.DenseRank)
SELECT_PARTS = {
    *("expressions", "from_", "joins", "where", "group", "having", "qualify", "distinct", "order"),
    *("limit", "offset", "with_"),
}
UNION_PARTS = {"this", "expression", "distinct", "with_", "order", "limit", "offset"}
JOIN_PARTS = {"this", "side", "kind", "method", "on", "using"}


class NotUnderstood(Exception):
    """Something in a query that this module cannot judge: the start of its text."""

    def __init__(self, node: exp.Expr | str) -> None:
        self.found = node if isinstance(node, str) else f"{type(node).__name__}: {node.sql('duckdb')[:SHOWN]}"
        super().__init__(self.found)


def read(query: exp.Expr, lookup: Lookup) -> Relation:
    """What flows into a query. Raises NotUnderstood."""
    return _Reader(lookup).query(query, None, {})


@dataclass
class _Source:
    """A source of a select. `hidden`: columns that USING put together with those of an earlier source."""

    alias: str
    columns: list[tuple[str, Flow]]
    hidden: set[str] = field(default_factory=set)

    def named(self, name: str) -> list[Flow]:
        return [flow for other, flow in self.columns if other == name]

    def add(self, flow: Flow) -> None:
        """Let something flow into every column."""
        self.columns = [(name, merged((old, flow))) for name, old in self.columns]


@dataclass
class _Scope:
    """What names of a select mean: sources, then aliases of its items; then what the query around it knows.

    `rows`: what decides which rows there are. `open`: aliases whose meaning is being looked up."""

    outer: "_Scope | None"
    ctes: Mapping[str, Relation]
    sources: list[_Source] = field(default_factory=list)
    rows: Origins = 0
    aliases: dict[str, list[exp.Expr]] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def around(self) -> "Iterator[_Scope]":
        """This scope and those around it."""
        at: _Scope | None = self
        while at is not None:
            yield at
            at = at.outer

    def everything(self) -> Origins:
        """The origins of all columns of all sources."""
        return merged(flow for source in self.sources for _, flow in source.columns).all


class _Reader:
    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup

    # queries

    def query(self, node: exp.Expr, outer: _Scope | None, ctes: Mapping[str, Relation]) -> Relation:
        if isinstance(node, exp.Subquery):
            _check(node, {"this", "alias"})
            return self._as(self.query(node.this, outer, ctes), node)
        if isinstance(node, exp.Values):
            return self._as(self._values(node, outer, ctes), node)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, outer, self._with(node, outer, ctes))
        if type(node) is exp.Select:
            return self._select(node, outer, self._with(node, outer, ctes))
        raise NotUnderstood(node)

    def _as(self, found: Relation, node: exp.Expr) -> Relation:
        """A relation under the column names that its alias gives."""
        alias = node.args.get("alias")
        if alias is None:
            return found
        _check(alias, {"this", "columns"})
        names = [column.name for column in alias.columns]
        if len(names) > len(found.columns):
            raise NotUnderstood(node)
        return found.renamed(names) if names else found

    def _with(self, node: exp.Expr, outer: _Scope | None, ctes: Mapping[str, Relation]) -> Mapping[str, Relation]:
        """The common table expressions that a query may name."""
        given = node.args.get("with_")
        if given is None:
            return ctes
        _check(given, {"expressions"})
        known = dict(ctes)
        for cte in given.expressions:
            _check(cte, {"this", "alias", "materialized"})
            known[cte.alias.lower()] = self._as(self.query(cte.this, outer, known), cte)
        return known

    def _values(self, node: exp.Values, outer: _Scope | None, ctes: Mapping[str, Relation]) -> Relation:
        _check(node, {"expressions", "alias"})
        scope = _Scope(outer, ctes)
        rows = [item.expressions if isinstance(item, exp.Tuple) else [item] for item in node.expressions]
        if len({len(row) for row in rows}) != 1:
            raise NotUnderstood(node)
        cells = [[self._expression(cell, scope) for cell in row] for row in rows]
        return Relation(tuple((f"col{at}", merged(column)) for at, column in enumerate(zip(*cells, strict=True))), 0)

    def _set_operation(self, node: exp.SetOperation, outer: _Scope | None, ctes: Mapping[str, Relation]) -> Relation:
        _check(node, UNION_PARTS)
        left, right = self.query(node.this, outer, ctes), self.query(node.expression, outer, ctes)
        if len(left.columns) != len(right.columns):
            raise NotUnderstood(node)
        pairs = zip(left.columns, right.columns, strict=True)
        columns = tuple((name, merged((one, other))) for (name, one), (_, other) in pairs)
        rows, everything = left.rows | right.rows, merged(flow for _, flow in columns).all
        compared = node.args.get("distinct") or not isinstance(node, exp.Union)
        if compared or any(node.args.get(part) for part in ("order", "limit", "offset")):
            rows |= everything  # whatever the order is by, it is of these columns
        for part in ("order", "limit", "offset"):
            if node.args.get(part) and node.args[part].find(exp.Query, exp.Func):
                raise NotUnderstood(node.args[part])
        return Relation(columns, rows)

    def _select(self, node: exp.Select, outer: _Scope | None, ctes: Mapping[str, Relation]) -> Relation:
        _check(node, SELECT_PARTS)
        scope = _Scope(outer, ctes)
        self._from(node, scope)
        for item in node.expressions:
            if isinstance(item, exp.Alias):
                scope.aliases.setdefault(item.alias.lower(), []).append(item.this)
        if where := node.args.get("where"):
            scope.rows |= self._expression(where.this, scope).all
        items = [column for item in node.expressions for column in self._item(item, scope)]
        rows = self._grouped(node, scope, items)
        for part in ("having", "qualify"):
            if node.args.get(part):
                rows |= self._expression(node.args[part].this, scope).all
        rows |= self._chosen(node, scope, items)
        return Relation(tuple(items), rows)

    def _grouped(self, node: exp.Select, scope: _Scope, items: list[tuple[str, Flow]]) -> Origins:
        """What decides which rows there are after grouping: of one group over all rows nothing does."""
        group = node.args.get("group")
        if group is not None:
            _check(group, {"expressions"})
            return scope.rows | merged(self._placed(key, scope, items) for key in group.expressions).all
        return 0 if _is_one_group(node, scope) else scope.rows

    def _placed(self, key: exp.Expr, scope: _Scope, items: list[tuple[str, Flow]]) -> Flow:
        """A key of a group or an order; a number stands for one of the items."""
        if isinstance(key, exp.Literal):
            return merged(flow for _, flow in items)
        return self._expression(key, scope)

    def _chosen(self, node: exp.Select, scope: _Scope, items: list[tuple[str, Flow]]) -> Origins:
        """What DISTINCT, ORDER BY and LIMIT add to what decides the rows.

        An order counts even without a limit: it can be seen, and a limit further out would go by it. A limit may cut
        by what stands in no order at all, so every column that is there may decide.
        """
        found = 0
        if distinct := node.args.get("distinct"):
            _check(distinct, {"on"})
            found |= merged(flow for _, flow in items).all
            if distinct.args.get("on"):
                found |= self._expression(distinct.args["on"], scope).all | scope.everything()
        if order := node.args.get("order"):
            _check(order, {"expressions"})
            found |= merged(self._placed(key.this, scope, items) for key in self._keys(order)).all
        for part in ("limit", "offset"):
            if limit := node.args.get(part):
                _check(limit, {"expression"})
                found |= self._expression(limit.expression, scope).all | scope.everything() | scope.rows
                found |= merged(flow for _, flow in items).all
        return found

    def _keys(self, order: exp.Expr) -> Iterator[exp.Ordered]:
        for key in order.expressions:
            if not isinstance(key, exp.Ordered) or key.args.get("with_fill"):
                raise NotUnderstood(key)
            yield key

    # sources

    def _from(self, node: exp.Select, scope: _Scope) -> None:
        start = node.args.get("from_")
        if start is not None:
            _check(start, {"this"})
            scope.rows |= self._add_source(start.this, scope).rows
        for join in node.args.get("joins") or []:
            self._join(join, scope)

    def _add_source(self, node: exp.Expr, scope: _Scope) -> Relation:
        """A source of a select; a subquery among them may name columns of those before it."""
        if isinstance(node, exp.Table):
            found = self._table(node, scope)
        elif isinstance(node, exp.Subquery | exp.Values):
            found = self.query(node, scope, scope.ctes)
        else:
            raise NotUnderstood(node)
        alias = node.alias_or_name.lower()
        if alias and any(source.alias == alias for source in scope.sources):
            raise NotUnderstood(node)  # after a semi join `*` leaves out both sources of the name
        scope.sources.append(_Source(alias, _told_apart(found.columns)))
        return found

    def _table(self, node: exp.Table, scope: _Scope) -> Relation:
        _check(node, {"this", "db", "catalog", "alias"})
        if not isinstance(node.this, exp.Identifier):
            raise NotUnderstood(node)
        name = node.name.lower()
        found = self.lookup(f"{node.db.lower()}.{name}") if node.db else scope.ctes.get(name)
        if found is None:
            raise NotUnderstood(node)
        return self._as(found, node)

    def _join(self, join: exp.Join, scope: _Scope) -> None:
        _check(join, JOIN_PARTS)
        side, kind, method = (str(join.args.get(part) or "").lower() for part in ("side", "kind", "method"))
        known = side in ("", "left", "right", "full") and kind in ("", "inner", "outer", "cross", "semi", "anti")
        if not known or method not in ("", "natural"):
            raise NotUnderstood(join)
        before = list(scope.sources)
        found = self._add_source(join.this, scope)
        met = self._expression(join.args["on"], scope).all if join.args.get("on") else 0
        met |= self._using(join, before, scope.sources[-1], method)
        if side == "left" and kind in ("", "outer") and _meets_one(join, found):
            scope.sources[-1].add(Flow(decided=found.rows | met))
        else:  # a side without a match shows NULL: which rows meet decides the rows, and so counts for every column
            scope.rows |= found.rows | met
        if kind in ("semi", "anti"):
            scope.sources.pop()

    def _using(self, join: exp.Join, before: list[_Source], joined: _Source, method: str) -> Origins:
        """Put columns of one name together; returns what decides which rows meet."""
        names = [part.name.lower() for part in join.args.get("using") or []]
        if method == "natural":
            shown = {name for source in before for name, _ in source.columns}
            names = [name for name, _ in joined.columns if name in shown]
        met = 0
        for name in names:
            both = [flow for source in (*before, joined) for flow in source.named(name)]
            if not joined.named(name) or len(both) < 2:
                raise NotUnderstood(join)
            together = merged(both)
            met |= together.all
            for source in (*before, joined):
                source.columns = [(one, together if one == name else flow) for one, flow in source.columns]
            joined.hidden.add(name)
        return met

    # items and names

    def _item(self, item: exp.Expr, scope: _Scope) -> Iterator[tuple[str, Flow]]:
        """The columns that an item of a select stands for."""
        if isinstance(item, exp.Star):
            _check(item, set())
            if not scope.sources:
                raise NotUnderstood(item)
            for source in scope.sources:
                yield from ((name, flow) for name, flow in source.columns if name not in source.hidden)
        elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            _check(item, {"this", "table"})
            _check(item.this, set())
            chosen = next((one for one in scope.sources if one.alias == item.table.lower()), None)
            if chosen is None:
                raise NotUnderstood(item)
            yield from chosen.columns
        else:
            name = item.alias if isinstance(item, exp.Alias) else _shown_name(item)
            yield name.lower(), self._expression(item.unalias(), scope)

    def _column(self, node: exp.Column, scope: _Scope) -> Flow:
        _check(node, {"this", "table", "db"})
        if not isinstance(node.this, exp.Identifier):
            raise NotUnderstood(node)
        if node.table:
            return self._of_table(node, scope)
        return self._of_name(node, node.name.lower(), scope)

    def _of_table(self, node: exp.Column, scope: _Scope) -> Flow:
        """A column with its table's name. Where it could also be a field of a column, it is not understood."""
        table, name = node.table.lower(), node.name.lower()
        if node.db and any(node.db.lower() in _names(at) for at in scope.around()):
            raise NotUnderstood(node)
        for at in scope.around():
            chosen = next((source for source in at.sources if source.alias == table), None)
            if chosen is not None:
                if not chosen.named(name):
                    raise NotUnderstood(node)
                return merged(chosen.named(name))
            if table in _names(at):
                raise NotUnderstood(node)
        raise NotUnderstood(node)

    def _of_name(self, node: exp.Column, name: str, scope: _Scope) -> Flow:
        """A column by its name alone. The name of a source means its whole row: that is not understood."""
        found = list[Flow]()
        for at in scope.around():
            columns = [flow for source in at.sources for flow in source.named(name)]
            found += columns
            aliases = at.aliases.get(name, []) if name not in at.open else []
            if aliases:
                at.open.add(name)
                found += [self._expression(one, at) for one in aliases]
                at.open.discard(name)
            if columns:
                return merged(found)
            if any(source.alias == name or source.named("") for source in at.sources):
                raise NotUnderstood(node)
        if not found:
            raise NotUnderstood(node)
        return merged(found)

    # expressions

    def _expression(self, node: exp.Expr, scope: _Scope) -> Flow:
        if isinstance(node, exp.Column):
            return self._column(node, scope)
        if isinstance(node, exp.Query):
            found = self.query(node, scope, scope.ctes)
            return merged([*(flow for _, flow in found.columns), Flow(decided=found.rows)])
        kind = type(node)
        if kind in KEPT:
            return self._parts(node, scope)
        if kind in COMPUTED:
            return self._parts(node, scope).computing()
        if kind in (exp.DateTrunc, exp.TimestampTrunc):
            return self._truncated(node, scope)
        if kind in TESTS or kind is exp.Exists:
            return self._parts(node, scope).deciding()
        if kind is exp.In:
            _check(node, {"this", "expressions", "query"})
            return self._parts(node, scope).deciding()
        if kind in (exp.Case, exp.If):
            return self._case(node, scope)
        if kind is exp.Nullif:
            return merged((self._expression(node.this, scope), self._expression(node.expression, scope).deciding()))
        return self._over_rows(node, scope)

    def _parts(self, node: exp.Expr, scope: _Scope) -> Flow:
        """What flows in from all parts of an expression; the unit of an interval and the part of a date are words."""
        found = NOTHING
        for part in node.args.values():
            for one in part if isinstance(part, list) else (part,):
                word = isinstance(one, exp.Var) and isinstance(node, exp.Interval | exp.Extract)
                if isinstance(one, exp.Expr) and not isinstance(one, exp.Identifier) and not word:
                    found = merged((found, self._expression(one, scope)))
        return found

    def _truncated(self, node: exp.Expr, scope: _Scope) -> Flow:
        """The parser takes a column that is named as the unit for the unit's name."""
        _check(node, {"this", "unit"})
        unit = node.args["unit"]
        if not isinstance(unit, exp.Literal | exp.Var) or any(unit.name.lower() in _names(at) for at in scope.around()):
            raise NotUnderstood(node)
        return self._expression(node.this, scope).computing()

    def _case(self, node: exp.Expr, scope: _Scope) -> Flow:
        """The tests decide, the branches are shown."""
        _check(node, {"this", "ifs", "default", "true", "false"})
        tested = self._expression(node.this, scope).deciding() if node.this else NOTHING
        branches = [*(node.args.get("ifs") or []), *(node.args.get(name) for name in ("true", "false", "default"))]
        return merged([tested, *(self._expression(one, scope) for one in branches if one is not None)])

    def _over_rows(self, node: exp.Expr, scope: _Scope) -> Flow:
        """A function over rows: what decides which rows there are flows in too."""
        if isinstance(node, exp.Window):
            return self._window(node, scope)
        if isinstance(node, exp.Filter):
            condition, function = self._expression(node.expression.this, scope), self._over_rows(node.this, scope)
            return merged((function, condition.counting() if type(node.this) in COUNTS else condition.deciding()))
        if isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
            return self._over_rows(node.this, scope)
        rows = Flow(counted=scope.rows)
        if type(node) is exp.Count and isinstance(node.this, exp.Star):
            _check(node.this, set())
            return rows
        if type(node) in COUNTS:
            return merged((self._parts(node, scope).counting(), rows))
        if type(node) in CHOICES or (type(node) in PLACES and not any(node.args.values())):
            return merged((self._parts(node, scope), rows))
        raise NotUnderstood(node)

    def _window(self, node: exp.Window, scope: _Scope) -> Flow:
        _check(node, {"this", "partition_by", "order", "spec", "over"})
        found = [self._over_rows(node.this, scope)]
        found += [self._expression(one, scope).deciding() for one in node.args.get("partition_by") or []]
        if order := node.args.get("order"):
            _check(order, {"expressions"})
            found += [self._expression(key.this, scope).deciding() for key in self._keys(order)]
        if spec := node.args.get("spec"):
            bounds = [spec.args.get(name) for name in ("start", "end")]
            found += [self._expression(one, scope).deciding() for one in bounds if isinstance(one, exp.Expr)]
        above = node.find_ancestor(exp.Select)
        group = above.args.get("group") if above is not None else None
        if group is not None:  # it looks at the groups, and their keys decide which there are
            found += [Flow(counted=self._group_keys(group, scope))]
        return merged(found)

    def _group_keys(self, group: exp.Expr, scope: _Scope) -> Origins:
        return merged(self._expression(key, scope) for key in group.expressions).all


def _check(node: exp.Expr, allowed: set[str]) -> None:
    """Raise NotUnderstood for a part that nobody thought of."""
    if not allowed.issuperset(given_parts(node)):
        raise NotUnderstood(node)


def _meets_one(join: exp.Join, joined: Relation) -> bool:
    """Whether every row finds at most one in a joined table: by all columns of its key, from those before it."""
    alias = join.this.alias_or_name.lower()
    asked = set[str]()
    for part in conjuncts(join.args.get("on")):
        for one, other in ((part.left, part.right), (part.right, part.left)) if isinstance(part, exp.EQ) else ():
            tables = [column.table.lower() for column in other.find_all(exp.Column)]
            if isinstance(one, exp.Column) and one.table.lower() == alias and not {"", alias}.intersection(tables):
                asked |= set() if other.find(exp.Query) else {one.name.lower()}
    return bool(joined.key) and joined.key <= asked


def _told_apart(columns: Sequence[tuple[str, Flow]]) -> list[tuple[str, Flow]]:
    """Columns of a source: of several with one name the engine renames all but the first, in its own way."""
    seen, found = set[str](), list[tuple[str, Flow]]()
    for name, flow in columns:
        found.append(("" if name in seen else name, flow))
        seen.add(name)
    return found


def _names(scope: _Scope) -> set[str]:
    """What the sources of a scope and their columns are called."""
    columns = {name for source in scope.sources for name, _ in source.columns}
    return columns | {source.alias for source in scope.sources}


def _shown_name(item: exp.Expr) -> str:
    """The name of an item without an alias; empty where the engine makes one up."""
    while isinstance(item, exp.Paren):
        item = item.this
    return item.name if isinstance(item, exp.Column) else ""


def _is_one_group(node: exp.Select, scope: _Scope) -> bool:
    """Whether a select without GROUP BY gives one row for all: an aggregate stands in it that is no window.

    One that names columns of the query around it alone may be that query's, and is not counted.
    """
    own = {name for source in scope.sources for name, _ in source.columns}
    found = (
        part
        for place in (*node.expressions, node.args.get("having"))
        if place is not None
        for part in place.walk(prune=lambda one: isinstance(one, exp.Query))
        if type(part) in (*COUNTS, exp.Max, exp.Min) and not _is_window(part)
    )
    named = ([column.name.lower() for column in part.find_all(exp.Column)] for part in found)
    return any(not names or not own.isdisjoint(names) for names in named)


def _is_window(node: exp.Expr) -> bool:
    """Whether an aggregate is one over a window."""
    part, above = node, node.parent
    while isinstance(above, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        part, above = above, above.parent
    return isinstance(above, exp.Window) and above.this is part
