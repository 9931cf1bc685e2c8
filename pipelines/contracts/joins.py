"""Whether rows of two channels could be matched one by one although one of them carries pseudonyms.

Every channel has pseudonyms of its own (decision 0015); a key that both show as it is would undo that. How much a
column may show is checked in `load`.
"""

from collections.abc import Sequence
from itertools import combinations

from pipelines.contracts.located import Located, Place
from pipelines.contracts.mistakes import error
from pipelines.contracts.resolved import ShownColumn
from pipelines.contracts.rules import Rule

Views = Sequence[tuple[str, Sequence[ShownColumn]]]


def check_joins(file: Located, rules: Sequence[Rule], views: Views) -> None:
    """No unique key of a model's rows is shown unmasked in two channels of which one carries a pseudonym.

    `rules` are those of the model, `views` its channels with their columns. Raises CitylakeError.
    """
    keys = [rule.columns for rule in rules if rule.verb == "unique"]
    for (one, these), (other, those) in combinations(views, 2):
        if not any(column.pseudonymised for column in (*these, *those)):
            continue
        for key in keys:
            if set(key) <= _plain(these) & _plain(those):
                place = _place(other, those, key[0])
                raise error("contract.channels_join", file, place, one=one, other=other, key=", ".join(key))


def _plain(columns: Sequence[ShownColumn]) -> set[str]:
    """The columns of the model that are shown as they are."""
    return {column.source for column in columns if column.mask is None}


def _place(channel: str, columns: Sequence[ShownColumn], source: str) -> Place:
    shown = next(index for index, column in enumerate(columns) if (column.source, column.mask) == (source, None))
    return ("channels", channel, "properties", shown)
