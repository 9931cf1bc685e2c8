"""Which value of a golden record survives, against the truth: the matrix, each of its sources alone, every other order.

What is true belongs to the modules of persons and of entities.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from math import sqrt
from typing import Any

from benchmarks.truth.town import LivedTown

DEVIATIONS = 3
"""By so many deviations an order has to be better before it is more than chance."""
Values = Mapping[str, Mapping[str, Any]]
"""Key of a golden record -> column -> value."""


@dataclass(frozen=True)
class Library:
    """A library of golden records. `models` are built for it, the table of `conflicts` once. `digits`: columns of which
    so many characters are compared."""

    contract: str
    model: str
    key: str
    models: tuple[str, ...]
    conflicts: str
    digits: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Cells:
    """Of one column: cells whose truth is known, how many are right and how many empty. `said`: of the others those
    that a source of the matrix had right, by what was kept and who was right; `told`: of these the ones that stand in
    the table of conflicts, so that the department hears of them."""

    cells: int = 0
    right: int = 0
    empty: int = 0
    told: int = 0
    said: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """The share that is right."""
        return self.right / max(self.cells, 1)

    @property
    def lost(self) -> float:
        """The share that the matrix has wrong although a source had it right."""
        return self.said.total() / max(self.cells, 1)


@dataclass(frozen=True)
class Rival:
    """Another order of a column's sources: cells that it alone has right, and that the matrix alone has right."""

    order: tuple[str, ...]
    gains: int
    losses: int

    @property
    def better(self) -> bool:
        """Whether it is measurably better than the matrix."""
        return self.gains - self.losses > DEVIATIONS * sqrt(max(self.gains + self.losses, 1))

    @property
    def worse(self) -> bool:
        """Whether it is measurably worse."""
        return self.losses - self.gains > DEVIATIONS * sqrt(max(self.gains + self.losses, 1))


@dataclass(frozen=True)
class Survivors:
    """What a library says of each column, and each source alone, beside the truth. `told`: column -> source -> key ->
    value; `conflicts`: key, column and source that are in the table of conflicts."""

    columns: Mapping[str, tuple[str, ...]]
    true: Values
    golden: Values
    told: Mapping[str, Mapping[str, Mapping[str, Any]]]
    conflicts: frozenset[tuple[str, str, str]]

    def cells(self) -> dict[str, Cells]:
        """How many cells of each column are right."""
        found: dict[str, Cells] = defaultdict(Cells)
        for key, name, true in self._known():
            cell, value = found[name], self.golden[key][name]
            cell.cells += 1
            cell.right += value == true
            cell.empty += value is None
            said = self._said(name, key)
            right = next((one for one, word in said.items() if word == true), None)
            if value != true and right is not None:
                kept = next((one for one, word in said.items() if word is not None), "nobody")
                cell.said[kept, right] += 1
                cell.told += (key, name, right) in self.conflicts
        return dict(found)

    def rivals(self, name: str) -> list[Rival]:
        """Every order of the sources of a column but that of the matrix."""
        orders = list(permutations(self.columns[name]))
        gains, losses = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
        for key, column, true in self._known():
            if column != name or len(set(self._said(name, key).values())) == 1:
                continue
            said = self._said(name, key)
            ours = first(said, orders[0]) == true
            for order in orders[1:]:
                theirs = first(said, order) == true
                gains[order] += theirs and not ours
                losses[order] += ours and not theirs
        return [Rival(order, gains[order], losses[order]) for order in orders[1:]]

    def _known(self) -> Iterator[tuple[str, str, Any]]:
        """The cells whose truth is known, of records that the library has."""
        for key, truth in self.true.items():
            if key in self.golden:
                yield from ((key, name, true) for name, true in truth.items() if name in self.columns)

    def _said(self, name: str, key: str) -> dict[str, Any]:
        return {source: self.told[name][source].get(key) for source in self.columns[name]}


def first(said: Mapping[str, Any], order: tuple[str, ...]) -> Any:
    """What the first source that says anything says."""
    return next((said[source] for source in order if said[source] is not None), None)


def survive(town: LivedTown, library: Library, true: Values) -> Survivors:
    """Build a library by each of its sources alone, then by the matrix."""
    authority = town.contracts.authority
    matrix = authority[library.contract]
    names = sorted({name for truth in true.values() for name in truth} & matrix.keys())
    columns = {name: tuple(claim.source for claim in matrix[name]) for name in names}
    told: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in names}
    for place in range(max(map(len, columns.values()))):
        alone = {name: matrix[name][place : place + 1] or matrix[name][:1] for name in names}
        town.build(*library.models, authority={**authority, library.contract: {**matrix, **alone}})
        values = _values(town, library, names)
        for name in names:
            if place < len(columns[name]):
                told[name][columns[name][place]] = {key: row[name] for key, row in values.items()}
    town.build(*library.models, library.conflicts)
    return Survivors(columns, true, _values(town, library, names), told, _conflicts(town, library))


def _values(town: LivedTown, library: Library, names: list[str]) -> dict[str, dict[str, Any]]:
    rows = town.rows(library.model, ", ".join([library.key, *names]), f"{library.key} is not null")
    return {
        row[0]: {name: _compared(library, name, value) for name, value in zip(names, row[1:], strict=True)}
        for row in rows
    }


def _compared(library: Library, name: str, value: Any) -> Any:
    return value[: library.digits[name]] if value is not None and name in library.digits else value


def _conflicts(town: LivedTown, library: Library) -> frozenset[tuple[str, str, str]]:
    """Both golden records and conflicts have the library's own key; what is compared is that of the truth."""
    (own,) = [one for one in town.contracts.models[library.model].form.key]
    shown = dict(town.rows(library.model, f"{own}, {library.key}", f"{library.key} is not null"))
    rows = town.rows(library.conflicts, f"{own}, conflict_field, source_other")
    return frozenset((shown[key], name, source) for key, name, source in rows if key in shown)
