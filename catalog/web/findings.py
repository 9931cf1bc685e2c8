"""The evidence of releases, put in order for pages: rules by quality dimension, trend over releases. Judges nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.evidence.scores import ACCESSIBILITY, Score, of_release
from pipelines.release.ledger import RELEASE, Ledger, Recorded

HISTORY = 100


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


def by_dimension(found: Sequence[Mapping[str, Any]], readable: bool) -> list[Score]:
    """All six dimensions in the order of the standard, whether or not a rule measures them."""
    return [*of_release(found), Score(ACCESSIBILITY, 1, 1, 0 if readable else 1)]


def measured(ledger: Ledger, published: Mapping[str, Recorded], entry: Recorded) -> Recorded | None:
    """The release that rules were measured on: that of the model which a dataset is cut from, a model's own."""
    if "model" not in entry.body:
        return entry
    model, version = entry.body["model"], entry.body["model_version"]
    newest = published.get(model)
    if newest is not None and newest.version == version:
        return newest
    return next((old for old in ledger.history(model, HISTORY) if (old.kind, old.version) == (RELEASE, version)), None)


def rules(release: Recorded | None) -> list[Mapping[str, Any]]:
    """What rules found in a release, nothing where it is not known."""
    return release.body.get("rules", []) if release else []


def trend(
    ledger: Ledger, published: Mapping[str, Recorded], history: Iterable[Recorded], most: int = 12
) -> list[TrendPoint]:
    """The newest releases first."""
    releases = [entry for entry in history if entry.kind == RELEASE][:most]
    points = []
    for entry in releases:
        found = rules(measured(ledger, published, entry))
        rows = int(entry.body.get("rows", 0))
        points.append(TrendPoint(entry, rows, _total(found, "evaluated"), _total(found, "failed")))
    return points


def _total(found: Sequence[Mapping[str, Any]], key: str) -> int:
    return sum(int(rule.get(key) or 0) for rule in found)
