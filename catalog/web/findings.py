"""The evidence of releases, put in order for pages: rules by quality dimension, trend over releases. Judges nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.evidence.scores import ACCESSIBILITY, Score, of_release
from pipelines.release.ledger import RELEASE, Recorded


@dataclass(frozen=True)
class TrendPoint:
    """One release in the trend."""

    entry: Recorded
    rows: int
    evaluated: int
    failed: int

    @property
    def passed(self) -> float | None:
        """The share of values without a finding, over all rules."""
        return 1 - min(self.failed, self.evaluated) / self.evaluated if self.evaluated else None


def by_dimension(rules: Sequence[Mapping[str, Any]], readable: bool) -> list[Score]:
    """All six dimensions in the order of the standard, whether or not a rule measures them."""
    return [*of_release(rules), Score(ACCESSIBILITY, 1, 1, 0 if readable else 1)]


def trend(history: Iterable[Recorded], most: int = 12) -> list[TrendPoint]:
    """The newest releases first."""
    releases = [entry for entry in history if entry.kind == RELEASE][:most]
    return [
        TrendPoint(
            entry,
            int(entry.body.get("rows", 0)),
            _total(entry.body.get("rules", []), "evaluated"),
            _total(entry.body.get("rules", []), "failed"),
        )
        for entry in releases
    ]


def _total(rules: Sequence[Mapping[str, Any]], key: str) -> int:
    return sum(int(rule.get(key) or 0) for rule in rules)
