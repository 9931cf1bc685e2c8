"""The trend of a model or dataset over its releases: scores by dimension of each, and the line drawn of the totals.

How scores come about belongs to `pipelines.evidence.scores`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.evidence import scores
from pipelines.release.ledger import RELEASE, Ledger, Recorded

MOST = 12
"""So many releases make a trend."""
SPARK_WIDTH, SPARK_HEIGHT = 240, 48
"""The line drawn beside its table, in pixels."""


@dataclass(frozen=True)
class Point:
    """One release. `scores`: the five dimensions that rules measure; None where it is not known what rules found."""

    entry: Recorded
    scores: list[scores.Score] | None

    @property
    def failed(self) -> int | None:
        """Values with a finding, over all rules."""
        return sum(score.failed for score in self.scores) if self.scores is not None else None

    @property
    def total(self) -> float | None:
        """The weighted total; None where nothing was evaluated."""
        return scores.total(self.scores) if self.scores is not None else None


def over_releases(ledger: Ledger, history: Sequence[Recorded]) -> list[Point]:
    """The releases among the decisions about one subject, newest first.

    A dataset counts as the release of the model that it was cut from.
    """
    releases = [entry for entry in history if entry.kind == RELEASE][:MOST]
    measured = ledger.measured(releases)
    return [_point(entry, measured.get(entry.sequence)) for entry in releases]


def spark(values: Sequence[float | None]) -> str:
    """Points of a polyline: the totals over time, 0.5 at the bottom and 1 at the top; empty for fewer than two."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    step = SPARK_WIDTH / (len(known) - 1)
    heights = (SPARK_HEIGHT * (1 - (max(value, 0.5) - 0.5) * 2) for value in known)
    return " ".join(f"{place * step:.1f},{height:.1f}" for place, height in enumerate(heights))


def _point(entry: Recorded, measured: Recorded | None) -> Point:
    return Point(entry, scores.of_release(measured.body.get("rules", [])) if measured else None)
