"""Queries drawn by lot over `core.t` and `core.u`: names that hide each other, any case, subqueries and joins anywhere.

Many are not valid (a name may be ambiguous); whoever uses them asks the engine and drops those.
"""

from dataclasses import dataclass, field
from random import Random

COLUMNS = ("id", "a", "b", "s")
ALIASES = ("t", "u", "a", "s", "x")
JOINS = ("join", "left join", "right join", "full join", "cross join", "semi join", "anti join", ",")
NAMES = ("a", "b", "s", "id", "c", "x", "t")


@dataclass
class Drawn:
    """A writer of queries. `chance` makes every choice."""

    chance: Random
    ctes: dict[str, list[str]] = field(default_factory=dict)

    def query(self, depth: int = 3) -> str:
        """A query with its columns named."""
        return self._query(depth, [])[0]

    def _pick(self, *choices: str) -> str:
        return self.chance.choice(choices)

    def _maybe(self, share: float = 0.5) -> bool:
        return self.chance.random() < share

    def _cased(self, name: str) -> str:
        return self._pick(name, name, name.upper(), f'"{name}"')

    def _query(self, depth: int, around: list[str]) -> tuple[str, list[str]]:
        """A query and its columns; `around`: what may be named of queries around it."""
        if depth > 0 and self._maybe(0.15):
            return self._set_operation(depth, around)
        if depth > 0 and self._maybe(0.2):
            name, kept = self._pick(*ALIASES), dict(self.ctes)
            inner, columns = self._query(depth - 1, [])
            self.ctes[name] = columns
            body, shown = self._query(depth - 1, around)
            self.ctes = kept
            return f"with {name} as ({inner}) {body}" if not body.startswith("with") else body, shown
        return self._select(depth, around)

    def _set_operation(self, depth: int, around: list[str]) -> tuple[str, list[str]]:
        left, columns = self._select(depth - 1, around)
        right, others = self._select(depth - 1, around)
        count = min(len(columns), len(others))
        cut = [
            f"select {', '.join(f'z.c{at}' for at in range(count))} from ({one}) z ({', '.join(named)})"
            for one, named in (
                (left, [f"c{at}" for at in range(len(columns))]),
                (right, [f"c{at}" for at in range(len(others))]),
            )
        ]
        verb = self._pick("union all", "union", "except", "intersect", "except all", "union all")
        named = [f"c{at}" for at in range(count)]
        return f"{cut[0]} {verb} {cut[1]}", named

    def _source(self, depth: int, before: list[str]) -> tuple[str, str, list[str]]:
        """A source, its alias, its columns."""
        if self.ctes and self._maybe(0.3):
            name = self.chance.choice(sorted(self.ctes))
            alias = self._pick(name, *ALIASES)
            return (f"{name} as {alias}", alias, self.ctes[name])
        if depth > 0 and self._maybe(0.35):
            around = before if self._maybe(0.3) else []
            inner, columns = self._query(depth - 1, around)
            alias = self._pick(*ALIASES)
            return f"({inner}) {alias}", alias, columns
        table = self._pick("t", "u")
        if self._maybe(0.3):
            return f"core.{table}", table, list(COLUMNS)
        alias = self._pick(*ALIASES)
        return f"core.{table} {alias}", alias, list(COLUMNS)

    def _select(self, depth: int, around: list[str]) -> tuple[str, list[str]]:
        text, alias, columns = self._source(depth, [])
        refs = _named(alias, columns)
        froms = f"from {text}"
        for _ in range(self.chance.choice((0, 0, 1, 1, 2))):
            joined, other, others = self._source(depth, refs)
            while f"{other}.{others[0]}" in refs and self._maybe(0.97):
                joined, other, others = self._source(depth, refs)
            new = _named(other, others)
            kind = self._pick(
                "join", "left join", "right join", "full join", "cross join", "semi join", "anti join", ","
            )
            shared = [name for name in others if name in columns]
            if kind == ",":
                froms += f", {joined}"
            elif kind == "cross join":
                froms += f" cross join {joined}"
            elif shared and self._maybe(0.2):
                froms += f" {kind} {joined} using ({self.chance.choice(shared)})"
            elif self._maybe(0.1) and kind in ("join", "left join"):
                froms += f" natural {kind} {joined}"
            else:
                left = self.chance.choice(refs)
                right = f"{other}.id" if "id" in others and self._maybe(0.4) else self.chance.choice(new)
                more = f" and {self._condition(refs + new, 0, [])}" if self._maybe(0.3) else ""
                froms += f" {kind} {joined} on {left} = {right}{more}"
            if kind not in ("semi join", "anti join"):
                refs += new
                columns = columns + others
        refs = _sure(refs) if self._maybe(0.9) else refs
        known = refs + (around if self._maybe(0.4) else [])
        where = f" where {self._condition(known, depth, refs)}" if self._maybe(0.45) else ""
        if self._maybe(0.35):
            return self._aggregate(froms, where, refs, known, depth)
        if self._maybe(0.1):
            names = list(dict.fromkeys(columns))
            return f"select * {froms}{where}", names
        shown, names = [], []
        for _ in range(self.chance.choice((1, 2, 3))):
            name = self._pick(*NAMES)
            reused = [*known, *names] if self._maybe(0.2) else known
            value = self._window(refs, depth) if self._maybe(0.15) else self._value(reused, depth, refs)
            shown.append(f"{value} as {self._cased(name)}")
            names.append(name)
        distinct = "distinct " if self._maybe(0.12) else ""
        tail = ""
        if self._maybe(0.08):
            tail = f" order by {', '.join(str(at + 1) for at in range(len(names)))} limit {self._pick('2', '3')}"
        elif self._maybe(0.08):
            tail = f" qualify {self._window(refs, depth)} <= 2"
        return f"select {distinct}{', '.join(shown)} {froms}{where}{tail}", names

    def _aggregate(
        self, froms: str, where: str, refs: list[str], known: list[str], depth: int
    ) -> tuple[str, list[str]]:
        keys = [self.chance.choice(refs) for _ in range(self.chance.choice((0, 1, 1, 2)))]
        shown, names = [], []
        for key in keys:
            if self._maybe(0.8):
                name = self._pick(*NAMES)
                shown.append(f"{key} as {name}")
                names.append(name)
        for _ in range(self.chance.choice((1, 2))):
            name = self._pick(*NAMES)
            value = self._value(known, min(depth, 1), refs)
            call = self._pick(
                "count(*)",
                f"count({value})",
                f"sum({value})",
                f"max({value})",
                f"min({value})",
                f"count(distinct {value})",
            )
            if self._maybe(0.25):
                call += f" filter (where {self._condition(known, 0, refs)})"
            shown.append(f"{call} as {name}")
            names.append(name)
        group = f" group by {', '.join(keys)}" if keys else ""
        having = f" having {self._pick('count(*)', f'max({self.chance.choice(refs)})')} > 1" if self._maybe(0.2) else ""
        return f"select {', '.join(shown)} {froms}{where}{group}{having}", names

    def _window(self, refs: list[str], depth: int) -> str:
        """A window that does not depend on the order of equal rows."""
        part = f"partition by {self.chance.choice(refs)} " if self._maybe(0.6) else ""
        one = self.chance.choice(refs)
        order = self.chance.choice(refs)
        function = self._pick("count(*)", f"sum({one})", f"max({one})", "rank()", "dense_rank()", f"min({one})")
        return f"{function} over ({part}order by {order})" if self._maybe(0.8) else f"sum({one}) over ({part})"

    def _value(self, refs: list[str], depth: int, own: list[str]) -> str:
        one, two = self.chance.choice(refs), self.chance.choice(refs)
        drawn = self.chance.random()
        if drawn < 0.4:
            return self._maybe_cased(one)
        if drawn < 0.5:
            return f"{one} + {two}"
        if drawn < 0.6:
            return f"coalesce({one}, {two}, 0)"
        if drawn < 0.65:
            return f"nullif({one}, {two})"
        if drawn < 0.85:
            return f"case when {self._condition(refs, depth - 1, own)} then {one} else {two} end"
        if drawn < 0.95 and depth > 0:
            source, alias, columns = self._source(depth - 1, own)
            inner = _named(alias, columns)
            where = self._condition(inner + refs, 0, [])
            call = self._pick("max", "min", "sum", "count")
            return f"(select {call}({self.chance.choice(inner + refs)}) from {source} where {where})"
        return self._pick("1", "2")

    def _maybe_cased(self, ref: str) -> str:
        return ".".join(self._cased(part) for part in ref.split(".")) if self._maybe(0.3) else ref

    def _condition(self, refs: list[str], depth: int, own: list[str]) -> str:
        one, two = self.chance.choice(refs), self.chance.choice(refs)
        drawn = self.chance.random()
        if drawn < 0.3:
            return f"{one} {self._pick('=', '<', '<>', '>=')} {two}"
        if drawn < 0.5:
            return f"{one} {self._pick('=', '<', '<>', '>')} {self._pick('1', '2')}"
        if drawn < 0.6:
            return f"({one} is null or {two} > 1)"
        if drawn < 0.7:
            return f"not ({one} in (1, 2))"
        if drawn < 0.95 and depth > 0:
            source, alias, columns = self._source(depth - 1, own)
            inner = _named(alias, columns)
            picked = self.chance.choice(inner)
            where = self._condition(inner + refs, 0, [])
            if self._maybe():
                return f"{self._pick('', 'not ')}exists (select {picked} from {source} where {where})"
            return f"{one} {self._pick('', 'not ')}in (select {picked} from {source} where {where})"
        return f"{one} between {self._pick('0', '1')} and {two}"


def _named(alias: str, columns: list[str]) -> list[str]:
    """How columns of a source may be called: with its alias, or without, which several sources may share."""
    return [f"{alias}.{name}" for name in columns] + list(columns)


def _sure(refs: list[str]) -> list[str]:
    """The same without names that two sources have."""
    bare = [name for name in refs if "." not in name]
    return [name for name in refs if "." in name or bare.count(name) == 1]
