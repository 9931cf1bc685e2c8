"""Which source columns flow into the columns and rows of every model, how sensitive that makes them, and along which
path.

A model whose SQL is not understood counts as made from something of the highest level, and so does all that reads it.
Belongs here: the graph of models, from compiled SQL and the levels of source columns alone. Does not belong here: one
query (`influence`), what contracts declare and lower (`sensitivity`).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pipelines.privacy.flows import Flow, Origins, Relation, bits, merged
from pipelines.privacy.influence import NotUnderstood, read

UNKNOWN: Origins = 1
"""The origin that stands for everything: what is not understood is made from it."""
HIGHEST = 4


@dataclass(frozen=True)
class Origin:
    """A column that others are derived from: of a source, or of a model that says what its column is. `relation`:
    `schema.name`."""

    relation: str
    column: str
    level: int

    def __str__(self) -> str:
        return f"{self.relation}.{self.column}"


@dataclass(frozen=True)
class Step:
    """One station of a path: a column of a relation; None: its rows."""

    relation: str
    column: str | None


Declare = Callable[[str, Relation], Relation]
"""What readers of a relation are told it is made from, of what was derived."""


@dataclass
class Lineage:
    """`models`: relation -> its SQL, several texts where it is built in several ways. `sources`: relation -> column ->
    level; a column that is not there is not known. `keys`: of sources, where no two rows have the same. `declare`: see
    Declare."""

    models: Mapping[str, Sequence[str]]
    sources: Mapping[str, Mapping[str, int]]
    keys: Mapping[str, Collection[str]] = field(default_factory=dict)
    declare: Declare = lambda relation, found: found
    origins: list[Origin] = field(default_factory=lambda: [Origin("", "", HIGHEST)])
    problems: dict[str, str] = field(default_factory=dict)
    """What was not understood, by relation."""
    _numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    _levels: dict[int, Origins] = field(default_factory=lambda: {HIGHEST: UNKNOWN})
    _derived: dict[str, Relation | None] = field(default_factory=dict)
    _shown: dict[str, Relation | None] = field(default_factory=dict)

    def derived(self, relation: str) -> Relation | None:
        """What flows into a model; None: it is not understood, its columns and rows are of the highest level."""
        if relation not in self._derived:
            self._derived[relation] = None  # while it is being read: one that reads itself is not understood
            try:
                self._derived[relation] = self._of_all(self._queries(relation), self.shown)
            except NotUnderstood as error:
                self.problems[relation] = error.found
        return self._derived[relation]

    def shown(self, relation: str) -> Relation | None:
        """What a reader of a relation gets, as declared."""
        if relation not in self._shown:
            self._shown[relation] = None
            if relation in self.sources:
                self._shown[relation] = self._source(relation)
            elif relation in self.models and (found := self.derived(relation)) is not None:
                self._shown[relation] = self.declare(relation, found)
        return self._shown[relation]

    def level(self, origins: Origins) -> int:
        """The highest level of any of these; 1 for none."""
        return max((level for level, of_level in self._levels.items() if origins & of_level), default=1)

    def above(self, origins: Origins, level: int) -> Origins:
        """Those of a higher level."""
        return sum(origins & of_level for at, of_level in self._levels.items() if at > level)

    def named(self, origins: Origins) -> list[Origin]:
        """The columns that a set stands for."""
        return [self.origins[number] for number in bits(origins)]

    def origin(self, relation: str, column: str, level: int) -> Origins:
        """A column as an origin of its own."""
        key = (relation, column)
        if key not in self._numbers:
            number = self._numbers[key] = len(self.origins)
            self.origins.append(Origin(relation, column, level))
            self._levels[level] = self._levels.get(level, 0) | 1 << number
        return 1 << self._numbers[key]

    def path(self, relation: str, column: str | None, origins: Origins) -> list[Step]:
        """One way from one of these origins to a column of a model, or to its rows: the shortest in models."""
        waiting, seen = [[Step(relation, column)]], {Step(relation, column)}
        while waiting:
            way = waiting.pop(0)
            first = way[0]
            if first.relation not in self.models or (len(way) > 1 and self._is_own(first, origins)):
                return way
            for step in self._parents(first):
                if step not in seen and self._carries(step, origins):
                    seen.add(step)
                    waiting.append([step, *way])
        return [Step(relation, column)]

    def _queries(self, relation: str) -> list[exp.Expr]:
        """The parsed SQL of a model; not kept, for a thousand trees take 300 MB. Raises NotUnderstood."""
        try:
            found = [sqlglot.parse(text, dialect="duckdb") for text in self.models.get(relation, ())]
        except (SqlglotError, RecursionError) as error:
            raise NotUnderstood(str(error).splitlines()[0]) from error
        if not found or any(len(one) != 1 or one[0] is None for one in found):
            raise NotUnderstood("0 / 2+ SELECT")
        return [query for one in found for query in one if query is not None]

    def _of_all(self, queries: Sequence[exp.Expr], lookup: Callable[[str], Relation | None]) -> Relation:
        """What flows into a relation that is made by one query or another. Raises NotUnderstood."""
        try:
            first, *others = [read(query, lookup) for query in queries]
        except RecursionError as error:
            raise NotUnderstood("...") from error
        for other in others:
            if [name for name, _ in other.columns] != [name for name, _ in first.columns]:
                raise NotUnderstood("SELECT")
            pairs = zip(first.columns, other.columns, strict=True)
            columns = tuple((name, merged((one, two))) for (name, one), (_, two) in pairs)
            first = Relation(columns, first.rows | other.rows)
        return first

    def _source(self, relation: str) -> Relation:
        columns = self.sources[relation]
        return Relation(
            tuple((name.lower(), Flow(self.origin(relation, name, level))) for name, level in columns.items()),
            0,
            frozenset(self.keys.get(relation, ())),
        )

    def _is_own(self, step: Step, origins: Origins) -> bool:
        """Whether a column is one of these origins itself, or one of what its model says of its rows (`*`)."""
        numbers = (self._numbers.get((step.relation, name)) for name in (step.column or "*", "*"))
        return any(number is not None and origins >> number & 1 for number in numbers)

    def _carries(self, step: Step, origins: Origins) -> bool:
        """Whether any of these flows through a column, or decides the rows, of a relation."""
        found = self.shown(step.relation)
        if found is None:
            return bool(origins & UNKNOWN)
        if step.column is None:
            return bool(found.rows & origins)
        flow = found.named(step.column)
        return flow is not None and bool(flow.all & origins)

    def _parents(self, step: Step) -> Iterator[Step]:
        """The columns and rows that a column, or the rows, of a model are directly made from."""
        atoms, steps = dict[Step, int](), list[Step]()

        def atom(one: Step) -> Origins:
            if one not in atoms:
                atoms[one] = len(steps)
                steps.append(one)
            return 1 << atoms[one]

        def lookup(relation: str) -> Relation | None:
            found = self.shown(relation)
            if found is None:
                return None
            columns = tuple((name, Flow(atom(Step(relation, name)))) for name, _ in found.columns)
            return Relation(columns, atom(Step(relation, None)), found.key)

        queries = list[exp.Expr]()
        try:
            queries = self._queries(step.relation)
            local = self._of_all(queries, lookup)
        except NotUnderstood:
            tables = {table for query in queries for table in query.find_all(exp.Table)}
            yield from (Step(f"{table.db}.{table.name}".lower(), None) for table in tables)
            return
        flow = local.named(step.column) if step.column is not None else None
        wanted = flow.all if flow is not None else local.rows
        yield from (steps[number] for number in bits(wanted))
