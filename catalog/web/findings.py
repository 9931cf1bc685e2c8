"""The evidence of releases, put in order for pages: rules by quality dimension. Judges nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.evidence.scores import Score, merged, of_reading, of_release
from pipelines.release.ledger import Recorded

HISTORY = 100


def by_dimension(found: Sequence[Mapping[str, Any]], readable: bool) -> list[Score]:
    """All six dimensions in the order of the standard, whether or not a rule measures them."""
    return merged(of_release(found), of_reading(readable))


def rules(release: Recorded | None) -> list[Mapping[str, Any]]:
    """What rules found in a release, nothing where it is not known."""
    return release.body.get("rules", []) if release else []
