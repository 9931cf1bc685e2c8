"""Counts beside the main one of which another open table tells the totals: which more must be emptied for them.

Belongs here: the rows under one total together. A row by itself belongs to `breakdowns`; which rows there are, and
whose totals anybody may know, to `anonymity`.

Whoever knows the sum of a count over all rows of a part takes away what is shown; the rest lies in the rows that hide
it. How far one of them can be from the truth is how far it can be by itself, and no further than the others can make
up for: that is exact, for nothing but this one sum joins them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.contracts.forms.products import Breakdown
from pipelines.privacy.breakdowns import NEAR, Flags, Numbers, alike, equations, few, ranges


def told_elsewhere(form: Numbers, groups: Numbers, k: int) -> bool:
    """Whether a total of a part may be known: whoever publishes it withholds it where it or what is left of the whole
    counts fewer than k. Where either is nobody, the other table itself says that all are alike."""
    told = float((groups @ form).sum())
    return told >= k - NEAR and float(groups.sum()) - told >= k - NEAR


def emptied_for(breakdown: Breakdown, total: str, k: int, groups: Numbers, hide: Flags, told: Flags) -> Flags:
    """Which counts of the rows of one part must not be shown when the part's `total` of one of them is known.

    `groups` (rows x groups): how many each group has, of rows that are shown and of what is not; `hide`: what is
    emptied anyhow; `told`: what earlier releases told of it, so that emptying it hides nothing. One row after the other
    is emptied wholly, first the one that helps most for what is lost, until the total tells of nobody.
    """
    hide, names = hide.copy(), [*breakdown.counts]
    part = _Part(breakdown, names.index(total), equations(breakdown, [total])[1], k, groups, hide, told)
    while len(unsafe := part.unsafe()):
        row = part.next_to_empty(unsafe)
        if row is None:
            break
        hide[row] = True
    return hide


@dataclass(frozen=True)
class _Part:
    """The rows under one total. `hide` is changed from outside as rows are emptied."""

    breakdown: Breakdown
    place: int
    form: Numbers
    k: int
    groups: Numbers
    hide: Flags
    told: Flags

    @property
    def unseen(self) -> Flags:
        """The counts that nobody has."""
        return np.asarray(self.hide & ~self.told)

    def unsafe(self) -> Sequence[int]:
        """The rows of which a group or a count that is not shown is told nearer than to k values."""
        true = self.groups @ self.form
        low, high = self._alone(true)
        more, less = high - true, true - low
        least = np.maximum(low, true - (more.sum() - more))
        greatest = np.minimum(high, true + (less.sum() - less))
        found: list[int] = []
        for without, rows in alike(self.unseen):
            if not without[self.place]:
                continue  # the count is shown: the total tells nothing more of it
            limit = (self.form, least[rows], greatest[rows])
            asked = without.copy()
            asked[self.place] = len(self.groups) > 1  # of a row alone the total is the figure itself
            tells = few(self.breakdown, self.k, self.groups[rows], without, asked, limit)
            found += rows[tells].tolist()
        return found

    def next_to_empty(self, unsafe: Sequence[int]) -> int | None:
        """The row that costs least for the room it gives the others, on the side where they have less of it; else one
        that tells itself; None: nothing is left that helps."""
        true = self.groups @ self.form
        low, high = self._alone(true)
        whole = self.groups.sum(axis=1)
        left = np.asarray((~self.hide & ~self.told).any(axis=1), bool)
        upwards, downwards = np.minimum(whole - high, self.k), np.minimum(low, self.k)
        scarce_upwards = (high - true).sum() <= (true - low).sum()
        for room in (upwards, downwards) if scarce_upwards else (downwards, upwards):
            helping = np.flatnonzero(np.asarray(left & (room > NEAR)))
            if len(helping):
                return int(helping[np.argmin(whole[helping] / room[helping])])
        return next((row for row in unsafe if left[row]), None)

    def _alone(self, true: Numbers) -> tuple[Numbers, Numbers]:
        """The least and the greatest that the count can be in each row by itself."""
        low, high = true.copy(), true.copy()
        for without, rows in alike(self.unseen):
            if without[self.place]:
                ends = ranges(self.breakdown, self.groups[rows], without, self.form[None, :])
                low[rows], high[rows] = ends[0][:, 0], ends[1][:, 0]
        return low, high
