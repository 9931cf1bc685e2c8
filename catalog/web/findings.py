"""The evidence of releases, put in order for pages: rules by quality dimension, trend over releases. Judges nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.release.ledger import RELEASE, Recorded

DIMENSIONS = ("规范性", "完整性", "准确性", "一致性", "时效性", "可访问性")
"""GB/T 36344-2018. The last is measured on the service: whether the released version can be read now."""


@dataclass(frozen=True)
class DimensionResult:
    """Rules of one dimension: how many, how many rows they looked at and how many failed."""

    dimension: str
    rules: int
    evaluated: int
    failed: int

    @property
    def passed(self) -> float | None:
        """The share of values without a finding; None where nothing was looked at."""
        return 1 - min(self.failed, self.evaluated) / self.evaluated if self.evaluated else None


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


def by_dimension(rules: Sequence[Mapping[str, Any]], readable: bool) -> list[DimensionResult]:
    """All six dimensions in the order of the standard, whether or not a rule measures them."""
    found = []
    for dimension in DIMENSIONS[:-1]:
        mine = [rule for rule in rules if rule.get("dimension") == dimension]
        found.append(DimensionResult(dimension, len(mine), _total(mine, "evaluated"), _total(mine, "failed")))
    return [*found, DimensionResult(DIMENSIONS[-1], 1, 1, 0 if readable else 1)]


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
