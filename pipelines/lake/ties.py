"""Whether a model can be built for whole groups of keys that are tied to each other: a proof from its compiled SQL.

A model says in `tied` which columns of the views that it reads tie its keys: who lives in one household, is married to
whom. Rows with a value of the key or of such a column in common are of one group, and so is what these are tied to.
If everything that a model joins, sums up, ranks or unites is tied, each of its rows is made from the rows of one group:
for all keys of some groups it gives from their rows alone what it gives from all.

Belongs here: the proof, by the syntax tree alone. Does not belong here: which keys are tied (keys), models whose rows
need only those of their own key (locality).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlglot
from sqlglot import exp

from pipelines.lake.locality import WINDOW_FUNCTIONS, Project, told_of
from pipelines.lake.models import Model
from pipelines.lake.proofs import Aside, Found, Input, Local, Pair, input_rows
from pipelines.lake.query_parts import (
    NotLocal,
    against,
    alone,
    conjuncts,
    given_parts,
    own_nodes,
    relation_of,
    side_of,
    sources_of,
)

PART = "part"
"""The schema under which a proof knows the WITH of a model."""
BASE = "tied_"
"""How the WITH of restricted rows of a view are called: with a number after it."""


def proved(project: Project, name: str) -> Local:
    """The proof that a model can be built by its key, alone or with what it is tied to. Raises NotLocal."""
    if name not in project.proofs:
        tied = project.graph[name].tied
        project.proofs[name] = _proved(project, name) if tied else project.prove(name)
    return project.proofs[name]


def _proved(project: Project, name: str) -> Local:
    model = project.graph[name]
    assert model.key is not None
    proof, found = _Proof(project, model.key, model.tied), Found()
    with told_of(model):
        query = proof.query_of(name)
        if model.key not in _ties(proof.columns_of(query)):
            raise NotLocal("lake.local_key", found=model.key)
        if not proof.known.filled(query, model.key):
            raise NotLocal("lake.local_null", key=model.key)
        restricted = _restricted(project, name, model.key, found)
    return project.proof_of(name, restricted, found, tuple(proof.pairs))


def changing(project: Project, proof: Local) -> tuple[list[Input], list[Aside]]:
    """What changes the rows of a model: its inputs, and of interim results that it reads theirs."""
    inputs, asides = dict[Input, None](), dict.fromkeys(proof.asides)
    for one in proof.inputs:
        if project.is_kept(one.relation):
            below = changing(project, proved(project, one.relation.rpartition(".")[2]))
            inputs |= dict.fromkeys(below[0])
            asides |= dict.fromkeys(below[1])
        else:
            inputs[one] = None
    return list(inputs), list(asides)


def _written(project: Project, name: str) -> exp.Expr:
    """The query of a model as it was written: each WITH where it stands."""
    query = sqlglot.parse_one(project.sql[name], dialect="duckdb")
    for table in query.find_all(exp.Table):
        table.set("catalog", None)
    return query


def _restricted(project: Project, name: str, key: str, found: Found) -> exp.Expr:
    """The query of a model over restricted inputs. A view that it reads is a WITH, so that it is made once."""
    query, made = _written(project, name), dict[str, str]()
    for table in [table for table in query.find_all(exp.Table) if table.db]:
        relation, alias = relation_of(table), table.alias_or_name
        if project.view(relation) is None or project.is_kept(relation):
            table.replace(input_rows(found, relation, key, alias))
            continue
        rows = made.setdefault(relation, f"{BASE}{len(made)}")
        table.replace(exp.alias_(exp.to_table(rows), alias, table=True))
    parts = list[exp.Expr]()
    for relation, rows in made.items():
        source = alone(exp.to_table(relation))
        below = source.root()
        project.restrict(source, key, frozenset(), found)
        parts.append(exp.CTE(this=below, alias=exp.TableAlias(this=exp.to_identifier(rows))))
    written = query.args.get("with_")
    query.set("with_", exp.With(expressions=[*parts, *(written.expressions if written else [])]))
    return query


Columns = Sequence[tuple[str, bool]]
"""The columns of a query in order, and whether each is a tie."""


@dataclass
class _Proof:
    """Which columns of every query are ties: NULL, or a value that the row's group has in a tied column.

    Rows of which every tie is NULL may be of several groups. They meet no others, and have no key in the end.
    `pairs`: what has every tie of the views below, and perhaps more, for these leave rows away."""

    project: Project
    key: str
    tied: tuple[str, ...]
    pairs: dict[Pair, None] = field(default_factory=dict)
    of_relation: dict[str, Columns] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = replace(
            self.project, graph=dict(self.project.graph), sql=dict(self.project.sql), trees=dict(self.project.trees)
        )

    def query_of(self, name: str) -> exp.Expr:
        """The query of a model, of which each WITH is known as a view."""
        query, given = _written(self.project, name), dict[str, str]()
        written = query.args.get("with_") or exp.With(expressions=[])
        query.set("with_", None)
        if written.args.get("recursive"):
            raise against("part", written)
        for part in written.expressions:
            if part.args["alias"].columns:
                raise against("part", part)
            known = f"{name}__{part.alias}"
            self._keep(known, self._named(part.this, given))
            given[part.alias] = known
        return self._named(query, given)

    def _keep(self, known: str, query: exp.Expr) -> None:
        """Make a query known as a view."""
        assert isinstance(self.known.graph, dict) and isinstance(self.known.sql, dict)
        self.known.graph[known] = Model(known, PART, None, None, (), (), "", "")
        self.known.sql[known] = ""
        self.known.trees[known] = query

    def _named(self, query: exp.Expr, given: Mapping[str, str]) -> exp.Expr:
        for table in list(query.find_all(exp.Table)):
            if not table.db and table.name in given:
                part = exp.table_(given[table.name], db=PART)
                table.replace(exp.alias_(part, table.alias_or_name, table=True))
        return query

    def columns_of(self, query: exp.Expr) -> Columns:
        """The columns of a query, and which are ties. Raises NotLocal if a row may be made from several groups."""
        if isinstance(query, exp.Union):
            left, right = self.columns_of(query.left), self.columns_of(query.right)
            if set(given_parts(query)) - {"this", "expression", "distinct"} or len(left) != len(right):
                raise against("query", query)
            return [(name, tie and other) for (name, tie), (_, other) in zip(left, right, strict=True)]
        if isinstance(query, exp.Subquery):
            return self.columns_of(query.this)
        if not isinstance(query, exp.Select):
            raise against("query", query)
        return _Select(self, query).columns()

    def of_source(self, node: exp.Expr) -> Columns | None:
        """The columns of what a select reads; None of constants."""
        if isinstance(node, exp.Values):
            return None
        if isinstance(node, exp.Subquery):
            return self.columns_of(node.this)
        assert isinstance(node, exp.Table)
        relation = relation_of(node)
        if relation not in self.of_relation:
            self.of_relation[relation] = self._of_relation(node, relation)
        return self.of_relation[relation]

    def _of_relation(self, node: exp.Table, relation: str) -> Columns:
        if node.db == PART:
            return self.columns_of(self.known.query(node.name))
        if self.project.is_kept(relation):
            kept = self.project.graph[node.name]
            if (kept.key, kept.tied) != (self.key, self.tied):
                raise against("key", node)
            return self.columns_of(self.query_of(node.name))
        shown = self.known.outputs(exp.to_table(relation))
        if shown is None or self.key not in shown or not self.known.filled(exp.to_table(relation), self.key):
            raise against("join", node)
        of_view = self.project.view(relation) is not None
        others = [one for one in shown if of_view and one in self.tied and one != self.key]
        for other in others:
            self.pairs |= dict.fromkeys(self.project.pairs_of(exp.to_table(relation), self.key, other))
        return [(one, one == self.key or one in others) for one in shown]


class _Select:
    """One select of a proof."""

    def __init__(self, proof: _Proof, query: exp.Select) -> None:
        self.proof, self.project, self.query = proof, proof.known, query
        self.sources = sources_of(query)
        self.project.check(query, self.sources)
        found = {alias: proof.of_source(node) for alias, node in self.sources.items()}
        self.shown = {alias: columns for alias, columns in found.items() if columns is not None}
        self.constants = found.keys() - self.shown.keys()
        self.of_alias = {alias: _ties(columns) for alias, columns in self.shown.items()}

    def columns(self) -> Columns:
        """What the select shows. Raises NotLocal."""
        self._check_joins()
        self._check_groups()
        return list(self._outputs())

    def _check_joins(self) -> None:
        """Each source is joined by ties to one before it."""
        start = self.query.args.get("from_")
        before = {start.this.alias_or_name} - self.constants if start else set()
        if start and not before:
            raise against("join", start)
        for join in self.query.args.get("joins") or []:
            if side_of(join) not in ("inner", "left"):
                raise against("join", join)
            alias = join.alias_or_name
            if alias in self.constants:
                continue
            parts = conjuncts(join.args.get("on"))
            if not any(self._ties(one, other, alias, before) for part in parts for one, other in _equal(part)):
                raise against("join", join)
            before.add(alias)

    def _ties(self, one: exp.Expr, others: Collection[exp.Expr], alias: str, before: set[str]) -> bool:
        """Whether an expression equals one of others, all of them ties, and only one of both sides is of a source."""
        if not all(self._is_tie(part) for part in (one, *others)):
            return False
        left, right = self._aliases(one), {name for part in others for name in self._aliases(part)}
        return any(mine == {alias} and bool(rest) and rest <= before for mine, rest in ((left, right), (right, left)))

    def _aliases(self, node: exp.Expr) -> set[str]:
        """The sources, not constants, of which an expression has columns."""
        return {self._of(column) for column in node.find_all(exp.Column)} - self.constants

    def _of(self, column: exp.Column) -> str:
        return column.table or self.project.owner(column, self.sources)

    def _is_tie(self, node: exp.Expr | None) -> bool:
        if isinstance(node, exp.Column):
            return node.name in self.of_alias.get(self._of(node), ())
        if isinstance(node, exp.Case):
            values = [one.args["true"] for one in node.args["ifs"]]
            default = node.args.get("default")
            return all(self._is_tie(one) for one in [*values, *([default] if default is not None else [])])
        if isinstance(node, exp.Cast):
            return isinstance(node.this, exp.Null)
        if isinstance(node, exp.Coalesce):
            return all(self._is_tie(one) for one in [node.this, *node.expressions])
        return isinstance(node, exp.Null)

    def _check_groups(self) -> None:
        """Whatever looks at several rows looks at tied ones."""
        group = self.query.args.get("group")
        if group and not any(self._is_tie(one) and self._aliases(one) for one in group.expressions):
            raise against("group", group)
        for node in own_nodes(self.query):
            if isinstance(node, exp.Window) and not any(map(self._is_filled_tie, node.args.get("partition_by") or ())):
                raise against("window", node)
            alone_in = node.find_ancestor(exp.Window, exp.Select) is self.query
            if isinstance(node, exp.AggFunc) and not group and alone_in:
                raise against("group", node)
            if isinstance(node, WINDOW_FUNCTIONS) and alone_in:
                raise against("window", node)

    def _is_filled_tie(self, node: exp.Expr) -> bool:
        """A tie by which windows may be: rows where it is NULL would be in one, whatever else ties them."""
        return self._is_tie(node) and self.project.filled_column(self.query, self.sources, node)

    def _outputs(self) -> Iterator[tuple[str, bool]]:
        for item in self.query.expressions:
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
                chosen = [item.table] if isinstance(item, exp.Column) else list(self.sources)
                if item.args.get("except_") or item.args.get("replace") or self.constants.intersection(chosen):
                    raise against("part", item)
                for alias in chosen:
                    yield from self.shown[alias]
            else:
                yield item.alias_or_name, self._is_tie(item.unalias())


def _ties(columns: Columns) -> frozenset[str]:
    """The names of columns that are ties, where only one has the name."""
    names = [name for name, _ in columns]
    return frozenset(name for name, tie in columns if tie and names.count(name) == 1)


def _equal(part: exp.Expr) -> Iterator[tuple[exp.Expr, list[exp.Expr]]]:
    """What a condition says is equal: an expression, and those of which one is."""
    if isinstance(part, exp.EQ):
        yield part.left, [part.right]
    elif isinstance(part, exp.In) and not part.args.get("query"):
        yield part.this, part.expressions
