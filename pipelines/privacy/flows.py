"""What flows into the columns and the rows of a relation: sets of source columns, each set a whole number.

Bit n of a set stands for origin n; which column that is, and its level, is told in `lineage`. Sets as numbers make the
union of two a single instruction, so that a thousand models take seconds. Belongs here: the values that a reader of SQL
(`influence`) puts together. Does not belong here: SQL, levels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

Origins = int
"""A set of origins, bit by bit."""


class Flow(NamedTuple):
    """What one value depends on. `copied`: it may stand there as it is, or inside a longer text. `computed`: the value
    is computed from it. `decided`: it decides which value stands there (conditions, comparisons, which row met which).
    `counted`: it is counted or summed over rows."""

    copied: Origins = 0
    computed: Origins = 0
    decided: Origins = 0
    counted: Origins = 0

    @property
    def value(self) -> Origins:
        """The origins of the value itself."""
        return self.copied | self.computed

    @property
    def all(self) -> Origins:
        """Every origin, in whatever way it flows in."""
        return self.copied | self.computed | self.decided | self.counted

    def computing(self) -> "Flow":
        """The flow of what is computed from this."""
        return Flow(0, self.copied | self.computed, self.decided, self.counted)

    def deciding(self) -> "Flow":
        """The flow of what depends on the outcome of a test of this alone."""
        return Flow(0, 0, self.copied | self.computed | self.decided, self.counted)

    def counting(self) -> "Flow":
        """The flow of a count or a sum of this."""
        return Flow(0, 0, 0, self.all)


NOTHING = Flow()


def merged(flows: Iterable[Flow]) -> Flow:
    """The flow of what depends on all of these."""
    copied = computed = decided = counted = 0
    for flow in flows:
        copied |= flow.copied
        computed |= flow.computed
        decided |= flow.decided
        counted |= flow.counted
    return Flow(copied, computed, decided, counted)


@dataclass(frozen=True)
class Relation:
    """The columns of a relation in order, names in lower case (empty: it has none to be asked by), and the origins that
    decide which rows there are and how many. `key`: columns that no two rows have alike, where that is sure."""

    columns: tuple[tuple[str, Flow], ...]
    rows: Origins
    key: frozenset[str] = frozenset()

    def named(self, name: str) -> Flow | None:
        """The flow of a column by name; of several with one name all of theirs; None: there is none."""
        found = [flow for other, flow in self.columns if other == name]
        return merged(found) if found else None

    def renamed(self, names: Iterable[str]) -> "Relation":
        """The same without a key under other names, from the first column on; those beyond keep theirs."""
        given = [name.lower() for name in names]
        kept = [name for name, _ in self.columns][len(given) :]
        flows = [flow for _, flow in self.columns]
        return Relation(tuple(zip([*given, *kept], flows, strict=True)), self.rows)


def bits(origins: Origins) -> Iterator[int]:
    """The numbers of the origins of a set, in order."""
    while origins:
        lowest = origins & -origins
        yield lowest.bit_length() - 1
        origins ^= lowest
