"""From which version on a product is right after a correction, and which before it showed what was wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from catalog.corrected import Span, span
from pipelines.release.ledger import RELEASE, Recorded

START = datetime(2026, 11, 1, tzinfo=UTC)


def releases(*model_versions: int) -> list[Recorded]:
    """Version n of a product was released on day n, from these versions of its model."""
    return [
        Recorded(10 + n, START + timedelta(n), RELEASE, "sharing/p", "e", n, {"model_version": model}, "")
        for n, model in enumerate(model_versions)
    ]


@pytest.mark.parametrize(
    ("states", "last", "proved", "expected"),
    [
        ("11100", 2, 2, Span((0, 1, 2), 3, False)),
        ("22110", 3, 3, Span((2, 3), 4, False)),  # what it said before was another value, and perhaps true then
        ("-1110", 3, 3, Span((1, 2, 3), 4, False)),  # the row came with the second version
        ("11122", 2, 2, Span((0, 1, 2), 3, False)),
        ("11210", 1, 3, Span((0, 1, 2, 3), 4, False)),  # and wrong again
        ("11200", 1, 2, Span((0, 1, 2), 3, False)),  # mended wrongly first: that was wrong too
        ("11002", 1, 1, Span((0, 1), 2, False)),  # a later change of the world is no correction
        ("110-2", 1, 1, Span((0, 1), 2, False)),
        ("11--", 1, 1, Span((0, 1), 2, True)),  # taken back at the source
        ("1111", 2, 2, None),  # not published, or behind a mask
        ("11111", 4, 4, None),
        ("---00", 2, 2, None),  # it was never shown
    ],
)
def test_which_versions_were_wrong(states: str, last: int, proved: int, expected: Span | None) -> None:
    """`states`: a digit for what each version says, `-` for one without the row. The batch that proves it came after
    version `proved` was released; the row stood until version `last` of the model."""
    said = {n: int(state) for n, state in enumerate(states) if state != "-"}
    moment = START + timedelta(proved, hours=1)
    assert span(releases(*range(len(states))), said, last, moment) == expected
