"""What a proof that a model can be built for some keys alone says: the inputs that it restricts, what it looks up.

Belongs here: what is said. Does not belong here: how it is found out (locality, ties), or what is made of it (keys).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

ROWS = "keyed_rows_"
"""How the relations are called that stand for the restricted inputs: with the number of the input after it."""


@dataclass(frozen=True)
class Input:
    """A relation (`schema.name`) of which only rows whose `column` is a key are read."""

    relation: str
    column: str


@dataclass(frozen=True)
class Pair:
    """A relation whose rows say in `other` what is looked up for the key in `key`."""

    relation: str
    key: str
    other: str


@dataclass(frozen=True)
class Aside:
    """Rows about others that a row looks up: of whom, as the `pairs` say, and what changes them, by their own key."""

    inputs: tuple[Input, ...]
    asides: tuple["Aside", ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Local:
    """A proof: `sql` gives the rows of a model for some keys when ROWS and a number stand for the restricted inputs,
    in order; `fixed` are the relations that it reads whole, `asides` what it looks up of others. `columns`: of an input
    those that matter, where that is known. `pairs`: of a model that is local only in groups of keys, the relations that
    say which are of one group."""

    model: str
    key: str
    sql: str
    inputs: tuple[Input, ...]
    asides: tuple[Aside, ...]
    fixed: tuple[str, ...]
    columns: Mapping[Input, tuple[str, ...]]
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Lookup:
    """A relation of which a row matters only where `column` is what the source says in `of`."""

    relation: str
    column: str
    of: str


@dataclass(frozen=True)
class RowWise:
    """A proof that rows of a view stand for rows of one source (`core.name`), told by `key`, one of its key columns:
    what the view shows of other rows changes neither with them nor with rows of `lookups` about others.

    `sql` gives the view's rows when ROWS and a number stand for the restricted `inputs`: the source or its log."""

    source: str
    key: str
    sql: str
    inputs: tuple[str, ...]
    lookups: tuple[Lookup, ...]


@dataclass
class Found:
    """What a proof has found so far."""

    inputs: list[Input] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    fixed: set[str] = field(default_factory=set)


def input_rows(found: Found, relation: str, column: str, alias: str) -> exp.Expr:
    """What stands for the restricted rows of an input."""
    one = Input(relation, column)
    if one not in found.inputs:
        found.inputs.append(one)
    return exp.alias_(exp.to_table(f"{ROWS}{found.inputs.index(one)}"), alias, table=True)
