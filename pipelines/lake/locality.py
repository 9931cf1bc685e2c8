"""Whether a model can be built for some keys alone: a proof from its compiled SQL, and the SQL that does it.

A query is local in a column when, for any set K of values, its rows with one of them are what it gives from only those
rows of its inputs that carry one of them. It holds where every changing input meets the others by that column: joined,
grouped, partitioned and united by it. A relation that a model declares as `fixed` need not carry the key; while it
changes, the model is built whole.

Belongs here: the proof, by the syntax tree alone. Does not belong here: which keys changed (keys), or running anything.
What cannot be proved is refused: a model with a `key` that is not provably local is a mistake of the project.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlglot import exp

from pipelines.contracts.dbt import LOG
from pipelines.lake.models import Model
from pipelines.lake.proofs import Aside, Found, Input, Local, Lookup, Pair, RowWise, input_rows
from pipelines.lake.query_parts import (
    NotLocal,
    Same,
    against,
    alone,
    conjuncts,
    given_parts,
    is_coalesce,
    named_columns,
    own_nodes,
    parsed,
    relation_of,
    side_of,
    source_of,
    sources_of,
    subquery,
    where_of,
)

CORE = "core."

SELECT_PARTS = {"expressions", "from_", "joins", "where", "group", "having", "qualify", "distinct", "order", "with_"}
ROW_FUNCTIONS = (
    *(exp.Cast, exp.TryCast, exp.Coalesce, exp.Case, exp.If, exp.Nullif, exp.Greatest, exp.Least, exp.Connector),
    *(exp.Substring, exp.Concat, exp.ConcatWs, exp.Lower, exp.Upper, exp.Length, exp.Trim, exp.Replace, exp.Pad),
    *(exp.Left, exp.Right, exp.StrPosition, exp.Year, exp.Month, exp.Day, exp.Extract, exp.DateTrunc),
    *(exp.TimestampTrunc, exp.Round, exp.Floor, exp.Ceil, exp.Abs, exp.Sqrt, exp.TsOrDsToDate),
)
"""Functions that give one value from one row, whenever they are asked."""
WINDOW_FUNCTIONS = (exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue)


@dataclass(frozen=True)
class Project:
    """The models of a project, and what dbt made of each, in SQL. `columns`: of sources, in order, where known."""

    graph: Mapping[str, Model]
    sql: Mapping[str, str]
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    trees: dict[str, exp.Expr] = field(default_factory=dict)
    proofs: dict[str, Local] = field(default_factory=dict)

    def query(self, name: str) -> exp.Expr:
        """The query of a model; not to be changed."""
        if name not in self.trees:
            self.trees[name] = parsed(self.sql[name])
        return self.trees[name]

    def prove(self, name: str) -> Local:
        """The proof that a model is local in its key, which ties nothing. Raises NotLocal."""
        model = self.graph[name]
        assert model.key is not None
        found, query = Found(), self.query(name).copy()
        with told_of(model):
            if not self.filled(query, model.key):
                raise NotLocal("lake.local_null", key=model.key)
            query = self._restricted(query, model.key, frozenset(model.fixed), found)
            if unused := sorted(set(model.fixed) - {one.rpartition(".")[2] for one in found.fixed}):
                raise NotLocal("lake.local_fixed", relations=", ".join(unused))
        return self.proof_of(name, query, found)

    def proof_of(self, name: str, query: exp.Expr, found: Found, pairs: Sequence[Pair] = ()) -> Local:
        """The proof of a model: its query over restricted inputs, and what was found about it."""
        key, named, columns = self.graph[name].key, named_columns(query), dict[Input, tuple[str, ...]]()
        shown = self.outputs(self.query(name))
        assert key is not None
        for one in found.inputs if named is not None and shown is not None else ():
            of_input = self.outputs(exp.to_table(one.relation))
            if of_input is not None:
                columns[one] = tuple(column for column in of_input if column in {*(named or ()), *(shown or ())})
        parts = tuple(found.inputs), tuple(found.asides), tuple(sorted(found.fixed))
        return Local(name, key, query.sql("duckdb"), *parts, columns, tuple(pairs))

    def row_wise(self, relation: str, keys: Mapping[str, tuple[str, ...]]) -> RowWise | None:
        """The proof that a view stands for single rows of one source; None if there is none. `keys`: by source."""
        query = self.flat(relation)
        read = {relation_of(table) for table in query.find_all(exp.Table)}
        sources = {name.removesuffix(LOG) for name in read if name.startswith(CORE)}
        if len(sources) != 1:
            return None
        (source,) = sources
        fixed = frozenset(name.partition(".")[2] for name in read if not name.startswith(CORE))
        for key in keys[source]:
            found, made = Found(), query.copy()
            try:
                lookups = tuple(self._lookups(made, fixed))
                made = self._restricted(made, key, fixed, found)
            except NotLocal:
                continue
            if all(one.column == key for one in found.inputs) and not found.asides:
                return RowWise(source, key, made.sql("duckdb"), tuple(one.relation for one in found.inputs), lookups)
        return None

    def _lookups(self, query: exp.Expr, fixed: Collection[str]) -> Iterator[Lookup]:
        """How the fixed relations are read: each joined by a column of the source. Raises NotLocal."""
        for table in (table for table in query.find_all(exp.Table) if table.name in fixed):
            join = table.parent
            if not isinstance(join, exp.Join) or not isinstance(join.parent, exp.Select):
                raise against("join", table)
            sources, alias = sources_of(join.parent), table.alias_or_name
            for part in conjuncts(join.args.get("on")):
                sides = [part.left, part.right] if isinstance(part, exp.EQ) else []
                columns = {one.table: one for one in sides if isinstance(one, exp.Column) and one.table}
                if len(columns) == 2 and (mine := columns.pop(alias, None)) is not None:
                    (other,) = columns.values()
                    if (of := self._traced(other, sources)) is not None:
                        yield Lookup(relation_of(table), mine.name, of)
                        break
            else:
                raise against("join", table)

    def _traced(self, column: exp.Column, sources: Mapping[str, exp.Expr]) -> str | None:
        """The column of a source of core that a column shows as it is."""
        node = sources[column.table or self.owner(column, sources)]
        if isinstance(node, exp.Table):
            return column.name if relation_of(node).startswith(CORE) else None
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
            below = sources_of(node.this)
            shown = self._shown(node.this, below, column.name)
            return self._traced(shown, below) if isinstance(shown, exp.Column) else None
        return None

    def flat(self, relation: str) -> exp.Expr:
        """The query of a view with every view below it put in its place; of anything else SELECT * of it."""
        query = self.view(relation)
        query = exp.select("*").from_(exp.to_table(relation)) if query is None else query.copy()
        for table in list(query.find_all(exp.Table)):
            if self.view(relation_of(table)) is not None:
                table.replace(subquery(self.flat(relation_of(table)), table.alias_or_name))
        return query

    def view(self, relation: str) -> exp.Expr | None:
        """The query of a relation, None if it is no view."""
        name = relation.rpartition(".")[2]
        shown = name in self.graph and self.graph[name].library is None
        return self.query(name) if shown and relation == f"{self.graph[name].layer}.{name}" else None

    def is_kept(self, relation: str) -> bool:
        """Whether a relation is an interim result that may be made for some keys alone."""
        name = relation.rpartition(".")[2]
        return self.view(relation) is not None and self.graph[name].key is not None

    def _restricted(self, query: exp.Expr, key: str, fixed: frozenset[str], found: Found) -> exp.Expr:
        """The query over restricted inputs. Raises NotLocal."""
        if isinstance(query, exp.Union):
            if set(given_parts(query)) - {"this", "expression", "distinct"}:
                raise against("query", query)
            other = self._beside(query, key)
            query.set("this", self._restricted(query.left, key, fixed, found))
            query.set("expression", self._restricted(query.right, other, fixed, found))
            return query
        if isinstance(query, exp.Subquery) and set(given_parts(query)) == {"this"}:
            query.set("this", self._restricted(query.this, key, fixed, found))
            return query
        if not isinstance(query, exp.Select):
            raise against("query", query)
        sources = sources_of(query)
        self.check(query, sources)
        same = self._same(query, sources, key)
        self._check_groups(query, sources, same)
        changing = {alias: node for alias, node in sources.items() if not self._is_fixed(node, fixed)}
        for node in (node for alias, node in sources.items() if alias not in changing):
            found.fixed.update(relation_of(table) for table in node.find_all(exp.Table))
        restricted = {alias: column for alias in changing if (column := same.column_of(alias)) is not None}
        for alias in changing.keys() - restricted.keys():  # first, while all sources are as they were written
            found.asides.append(self._aside(query, alias, sources, same, fixed))
        for alias, column in restricted.items():
            self.restrict(changing[alias], column, fixed, found)
        return query

    def check(self, query: exp.Select, sources: Mapping[str, exp.Expr]) -> None:
        """Nothing may stand in a select whose effect on single keys is unknown."""
        for part in set(given_parts(query)) - SELECT_PARTS:
            raise against("part", query.args[part] if isinstance(query.args[part], exp.Expr) else query)
        if (distinct := query.args.get("distinct")) and distinct.args.get("on"):
            raise against("part", distinct)
        if (group := query.args.get("group")) and set(given_parts(group)) - {"expressions"}:
            raise against("part", group)
        for node in own_nodes(query):
            if isinstance(node, exp.Column) and not self._is_own(node, query, sources):
                raise against("column", node)
            if isinstance(node, exp.Query | exp.Exists) or (isinstance(node, exp.In) and node.args.get("query")):
                raise against("subquery", node)
            if isinstance(node, exp.Func) and not isinstance(node, (*ROW_FUNCTIONS, *WINDOW_FUNCTIONS, exp.AggFunc)):
                raise against("function", node)
            if isinstance(node, exp.AnonymousAggFunc | exp.CombinedAggFunc):
                raise against("function", node)

    def _is_own(self, column: exp.Column, query: exp.Select, sources: Mapping[str, exp.Expr]) -> bool:
        """Whether a column is of the select itself: a source that looks at the row beside it is not understood."""
        if column.table:
            return column.table in sources
        outputs = [self.outputs(node) for node in sources.values()]
        shown = {item.alias for item in query.expressions if isinstance(item, exp.Alias)}
        return bool(outputs) and (column.name in shown or any(one is None or column.name in one for one in outputs))

    def _check_groups(self, query: exp.Select, sources: Mapping[str, exp.Expr], same: Same) -> None:
        """Whatever looks at several rows may look at rows of one key only."""

        def by_key(parts: Collection[exp.Expr]) -> bool:
            return any(self.text(part, sources) in same.always for part in parts)

        group = query.args.get("group")
        if group and not by_key(group.expressions):
            raise against("group", group)
        for node in own_nodes(query):
            if isinstance(node, exp.Window) and not by_key(node.args.get("partition_by") or ()):
                raise against("window", node)
            if isinstance(node, exp.AggFunc) and not group and node.find_ancestor(exp.Window, exp.Select) is query:
                raise against("group", node)
            if isinstance(node, WINDOW_FUNCTIONS) and node.find_ancestor(exp.Window, exp.Select) is query:
                raise against("window", node)

    def restrict(self, node: exp.Expr, column: str, fixed: frozenset[str], found: Found) -> None:
        """Put the restricted rows of a source in its place."""
        if isinstance(node, exp.Subquery):
            node.set("this", self._restricted(node.this, column, fixed, found))
            return
        assert isinstance(node, exp.Table)
        relation, alias = relation_of(node), node.alias_or_name
        if (view := self.view(relation)) is not None:
            below = Found(list(found.inputs), list(found.asides), set(found.fixed))
            try:
                node.replace(subquery(self._restricted(view.copy(), column, fixed, below), alias))
            except NotLocal:  # then the rows that the view shows are the input
                pass
            else:
                found.inputs, found.asides, found.fixed = below.inputs, below.asides, below.fixed
                return
        node.replace(input_rows(found, relation, column, alias))

    def _is_fixed(self, node: exp.Expr, fixed: frozenset[str]) -> bool:
        return all(table.name in fixed for table in node.find_all(exp.Table))

    def _aside(
        self, query: exp.Select, alias: str, sources: Mapping[str, exp.Expr], same: Same, fixed: frozenset[str]
    ) -> Aside:
        """How a source is looked up that is not about the key: by a column that stands beside the key in another.

        Where no row of it changed that some key looks up, the rows of that key are what they were.
        """
        node = sources[alias]
        for join in query.args.get("joins") or []:
            if join.this is not node or side_of(join) == "full" or not isinstance(node, exp.Table):
                continue
            for left, right in self._equal(join.args.get("on"), sources):
                for mine, other in ((left, right), (right, left)):
                    by, column = source_of(other), mine.partition(".")[2]
                    key = same.column_of(by) if by is not None and by != alias else None
                    if source_of(mine) == alias and by is not None and key is not None:
                        pairs = tuple(self.pairs_of(sources[by], key, other.partition(".")[2]))
                        below = self._changes_of(relation_of(node), column, fixed)
                        return Aside(tuple(below.inputs), tuple(below.asides), pairs)
        raise against("join", node)

    def _changes_of(self, relation: str, column: str, fixed: frozenset[str]) -> Found:
        """What changes the rows of a relation that have some value in a column."""
        below, source = Found(), exp.to_table(relation)
        self.restrict(alone(source), column, fixed, below)
        if below.fixed:
            raise against("join", source)
        return below

    def pairs_of(self, node: exp.Expr, key: str, other: str) -> Iterator[Pair]:
        """The relations of which a source shows two columns beside each other."""
        if isinstance(node, exp.Union):
            for query in (node.left, node.right):
                names = [key, other] if query is node.left else [self._beside(node, key), self._beside(node, other)]
                yield from self.pairs_of(query, *names)
        elif isinstance(node, exp.Subquery):
            yield from self.pairs_of(node.this, key, other)
        elif isinstance(node, exp.Table):
            view = self.view(relation_of(node))
            try:
                below = [] if view is None else list(self.pairs_of(view, key, other))
            except NotLocal:
                below = []
            yield from below or [Pair(relation_of(node), key, other)]
        elif isinstance(node, exp.Select):
            sources = sources_of(node)
            shown = [_or_null(self._shown(node, sources, name)) for name in (key, other)]
            columns = [one for one in shown if isinstance(one, exp.Column)]
            owners = {one.table or self.owner(one, sources) for one in columns}
            if len(columns) != 2 or len(owners) != 1 or node.args.get("group"):
                raise against("key", node)
            yield from self.pairs_of(sources[owners.pop()], *(one.name for one in columns))
        else:
            raise against("query", node)

    def _same(self, query: exp.Select, sources: Mapping[str, exp.Expr], key: str) -> Same:
        """Which expressions of a select are the key of its row."""
        shown = self._shown(query, sources, key)
        text = self.text(shown, sources)
        joins = query.args.get("joins") or []
        if any(side_of(join) == "full" for join in joins):
            same = self._same_of_full_join(query, sources, shown, text)
        elif isinstance(shown, exp.Column):
            same = Same({text}, {text})
        else:
            raise against("key", shown)
        size = -1
        while size != len(same.always) + len(same.perhaps):
            size = len(same.always) + len(same.perhaps)
            for join in joins:
                for left, right in self._equal(join.args.get("on"), sources):
                    if side_of(join) == "left":
                        same.left(left, right, join.alias_or_name)
                    elif side_of(join) == "inner":
                        same.inner(left, right)
            for left, right in self._equal(where_of(query), sources):
                same.inner(left, right)
        return same

    def _same_of_full_join(
        self, query: exp.Select, sources: Mapping[str, exp.Expr], shown: exp.Expr, text: str
    ) -> Same:
        """A full join of the first two sources, whose key is the first that either has."""
        first, *later = query.args["joins"]
        sides = {self.text(one, sources) for one in [shown.this, *shown.expressions]} if is_coalesce(shown) else set()
        pairs = [{left, right} for left, right in self._equal(first.args.get("on"), sources)]
        if side_of(first) != "full" or any(side_of(one) == "full" for one in later) or sides not in pairs:
            raise against("key", shown)
        return Same({text}, {text, *sides})

    def _equal(self, condition: exp.Expr | None, sources: Mapping[str, exp.Expr]) -> Iterator[tuple[str, str]]:
        for part in conjuncts(condition):
            if isinstance(part, exp.EQ):
                yield self.text(part.left, sources), self.text(part.right, sources)

    def text(self, node: exp.Expr, sources: Mapping[str, exp.Expr]) -> str:
        """An expression as text, every column with the source that it is of."""

        def named(part: exp.Expr) -> exp.Expr:
            if isinstance(part, exp.Column) and not isinstance(part.this, exp.Star):
                return exp.column(part.name.lower(), (part.table or self.owner(part, sources)).lower())
            return part

        return node.copy().transform(named).sql("duckdb")

    def owner(self, column: exp.Column, sources: Mapping[str, exp.Expr]) -> str:
        """The source of a column that is written without one."""
        if len(sources) == 1:
            return next(iter(sources))
        having = [alias for alias, node in sources.items() if column.name in (self.outputs(node) or [column.name])]
        if len(having) != 1:
            raise against("column", column)
        return having[0]

    def _shown(self, query: exp.Select, sources: Mapping[str, exp.Expr], name: str) -> exp.Expr:
        """The expression that a select shows under a name."""
        found: list[exp.Expr] = []
        for item in query.expressions:
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
                if item.args.get("except_") or item.args.get("replace") or item.args.get("rename"):
                    raise against("part", item)
                chosen = {item.table: sources[item.table]} if isinstance(item, exp.Column) else sources
                only = len(chosen) == 1 and not any(one.alias_or_name == name for one in query.expressions)
                for alias, node in chosen.items():
                    outputs = self.outputs(node)
                    if outputs is None and not only:
                        raise against("column", item)
                    if outputs is None or name in outputs:
                        found.append(exp.column(name, alias))
            elif item.alias_or_name == name:
                found.append(item.unalias())
        if len(found) != 1:
            raise NotLocal("lake.local_column", found=name)
        return found[0]

    def _beside(self, union: exp.Union, key: str) -> str:
        """The column of the second query of a union that stands where the first has the key."""
        first, second = self.outputs(union.left), self.outputs(union.right)
        if first is None or second is None or first.count(key) != 1 or len(first) != len(second):
            raise against("column", union)
        return second[first.index(key)]

    def outputs(self, node: exp.Expr) -> list[str] | None:
        """The columns of a relation in order; None where only data could tell."""
        if isinstance(node, exp.Union):
            return self.outputs(node.left)
        if isinstance(node, exp.Values):
            return [column.name for column in node.args["alias"].columns] if node.args.get("alias") else None
        if isinstance(node, exp.Subquery):
            return self.outputs(node.this)
        if isinstance(node, exp.Table):
            if node.db and node.name in self.sql:
                return self.outputs(self.query(node.name))
            known = self.columns.get(relation_of(node))
            return None if known is None else list(known)
        if not isinstance(node, exp.Select):
            return None
        columns, sources = list[str](), sources_of(node)
        for item in node.expressions:
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
                for alias in [item.table] if isinstance(item, exp.Column) else sources:
                    below = self.outputs(sources[alias])
                    if below is None:
                        return None
                    columns += below
            else:
                columns.append(item.alias_or_name)
        return columns

    def filled(self, query: exp.Expr, key: str) -> bool:
        """Whether the key is surely never NULL in the rows of a query. Raises NotLocal."""
        if isinstance(query, exp.Union):
            return self.filled(query.left, key) and self.filled(query.right, self._beside(query, key))
        if isinstance(query, exp.Subquery):
            return self.filled(query.this, key)
        if isinstance(query, exp.Table):
            model = self.graph.get(query.name)
            if model is None:
                return False
            return model.key == key or (model.library is None and self.filled(self.query(query.name), key))
        if not isinstance(query, exp.Select):
            return False
        sources = sources_of(query)
        shown = self._shown(query, sources, key)
        if is_coalesce(shown):
            return all(self.filled_column(query, sources, one) for one in [shown.this, *shown.expressions])
        if isinstance(shown, exp.Case) and (default := shown.args.get("default")) is not None:
            chosen = [*(one.args["true"] for one in shown.args["ifs"]), default]
            return all(self.filled_column(query, sources, one) for one in chosen)
        return isinstance(shown, exp.Column) and self.filled_column(query, sources, shown)

    def filled_column(self, query: exp.Select, sources: Mapping[str, exp.Expr], column: exp.Expr) -> bool:
        """Whether a column of a source is filled in all rows that a select keeps; of a full join: where its side is."""
        if not isinstance(column, exp.Column):
            return False
        text, joins = self.text(column, sources), query.args.get("joins") or []
        asked = [join.args.get("on") for join in joins if side_of(join) == "inner"] + [where_of(query)]
        for part in (part for condition in asked for part in conjuncts(condition)):
            if isinstance(part, exp.EQ) and text in (self.text(part.left, sources), self.text(part.right, sources)):
                return True
            test = part.this if isinstance(part, exp.Not) else None
            tested = test.this if isinstance(test, exp.Is) and isinstance(test.expression, exp.Null) else None
            if tested is not None and self.text(tested, sources) == text:
                return True
        alias = column.table or self.owner(column, sources)
        outer = {join.alias_or_name for join in joins if side_of(join) == "left"}
        return alias not in outer and self.filled(sources[alias], column.name)


def _or_null(node: exp.Expr) -> exp.Expr:
    """What an expression shows where it is not NULL, if that is one expression."""
    one = node.args["ifs"] if isinstance(node, exp.Case) and node.args.get("default") is None else []
    return one[0].args["true"] if len(one) == 1 else node


@contextmanager
def told_of(model: Model) -> Iterator[None]:
    """What stands against a proof is told of the model."""
    try:
        yield
    except NotLocal as error:
        reasons = {f"reason_{language}": error.text(language) for language in ("zh", "en")}
        raise NotLocal("lake.local_not", path=model.path, key=model.key, **reasons) from error
