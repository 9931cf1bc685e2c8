"""One question put to libraries about many things: what is true of each, what is said, and why it is not the same."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from citylake.compared.libraries.told import Libraries
from citylake.compared.rows import CLEANABLE, REPORTED_LATE, place

UNEXPLAINED = "unexplained"
Key = Hashable


@dataclass(frozen=True)
class Answers:
    """Things of which something is true, of which something is said, and of which the truth is said. `apart`: the
    others by why they are not the same; `unexplained`: those of them that nothing planted explains."""

    true: int
    said: int
    right: int
    apart: Mapping[str, int] = field(default_factory=dict)
    unexplained: tuple[tuple[Key, Any, Any], ...] = ()

    @property
    def recall(self) -> float:
        """Of what is true the share that is said."""
        return self.right / self.true if self.true else 1.0

    @property
    def precision(self) -> float:
        """Of what is said the share that is true."""
        return self.right / self.said if self.said else 1.0

    def __str__(self) -> str:
        shares = f"recall {self.recall:.4f} precision {self.precision:.4f}"
        return f"true {self.true} said {self.said} right {self.right} {shares} {dict(self.apart)}"


def answers(true: Mapping[Any, Any], said: Mapping[Any, Any], why: Callable[[Any], str]) -> Answers:
    """Compare the answers about each thing. What is not in a mapping has no answer there."""
    wrong = [key for key in true.keys() | said.keys() if key not in true or key not in said or true[key] != said[key]]
    reasons = {key: why(key) for key in wrong}
    unexplained = [key for key in wrong if reasons[key] == UNEXPLAINED]
    told = tuple((key, true.get(key), said.get(key)) for key in sorted(unexplained, key=str))
    right = len(true.keys() | said.keys()) - len(wrong)
    return Answers(len(true), len(said), right, dict(sorted(Counter(reasons.values()).items())), told)


class Planted:
    """What is wrong with rows that were shown, by source and the row's own key, as long as nobody corrected it."""

    def __init__(self, libraries: Libraries) -> None:
        by_place: dict[str, dict[str, str]] = {}
        for item in libraries.city.planted():
            if item.ended is None and item.kind not in (CLEANABLE, REPORTED_LATE):
                kind = "undetectable" if item.undetectable else "refused" if item.refusable else item.kind
                by_place.setdefault(item.dataset, {})[item.rybh] = kind
        self._by_place, self._sources = by_place, libraries.contracts.sources

    def of(self, source: str, key: str | None) -> str | None:
        """The kind of mistake in a row: whether it was to be refused, whether nobody can see it, else what it is."""
        return None if key is None else self._by_place.get(place(self._sources[source]), {}).get(key)
