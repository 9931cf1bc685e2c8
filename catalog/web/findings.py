"""The evidence of releases, put in order for pages: rules by quality dimension. Judges nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.evidence.scores import ACCESSIBILITY, Score, of_release
from pipelines.release.ledger import RELEASE, Ledger, Recorded

HISTORY = 100


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
