"""Counts beside the main one of a row: what groups they are made of, and which of them tell of too few.

Belongs here: one row at a time, all rows at once. Which rows are shown at all belongs to `anonymity`.
"""

from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from pipelines.contracts.forms.products import Breakdown

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
NEAR: Final = 1e-6
"""Counts are whole numbers; equations between them are solved in floating point."""


def equations(breakdown: Breakdown, counts: list[str]) -> Numbers:
    """One row for the main count and one for each of `counts`: of which groups it is the sum."""
    made = [breakdown.groups, *(breakdown.counts[name] for name in counts)]
    return np.array([[float(group in names) for group in breakdown.groups] for names in made])


def determined(breakdown: Breakdown) -> bool:
    """Whether the counts say how many everybody group has: what cannot be told from them cannot be protected."""
    return int(np.linalg.matrix_rank(equations(breakdown, [*breakdown.counts]))) == len(breakdown.groups)


def people(breakdown: Breakdown, total: Numbers, counts: Numbers) -> Numbers:
    """How many each group of each row has; NaN where the counts contradict each other or say nothing."""
    matrix = equations(breakdown, [*breakdown.counts])
    said = np.column_stack([total, counts])
    found = said @ np.linalg.pinv(matrix).T
    wrong = (found < -NEAR).any(axis=1) | (np.abs(found @ matrix.T - said) > NEAR).any(axis=1)
    found[wrong | np.isnan(found).any(axis=1)] = np.nan
    return found


def hidden(breakdown: Breakdown, k: int, total: Numbers, counts: Numbers, told: Flags) -> Flags:
    """Which counts of which rows must not be shown, as few as can be, and of these the smallest.

    `total` (n) is the main count, at least k; `counts` (n x m) are in the order of the breakdown; `told` (n x m) those
    that an earlier release told of the row as it is, so that to withhold them hides nothing. A row whose groups
    are all empty or at least k, of which enough have anybody and which is near enough to the whole table shows
    everything; one that is not diverse or near enough, or contradicts itself, nothing. In any other no group below k,
    and no count that is not shown, can be told from what is shown nearer than to k values.
    """
    found = people(breakdown, total, counts)
    names = [*breakdown.counts]
    hide = np.zeros(counts.shape, bool)
    nothing = np.isnan(found).any(axis=1)
    if breakdown.insensitive is None:
        nothing |= ((found > NEAR).sum(axis=1) < breakdown.diversity) | _far(breakdown, found)
    hide[nothing] = True
    open_rows = np.flatnonzero(~nothing & ((found > NEAR) & (found < k - NEAR)).any(axis=1))
    for size in range(1, len(names) + 1):
        if not len(open_rows):
            break
        cost = np.full(len(open_rows), np.inf)
        best = np.zeros((len(open_rows), len(names)), bool)
        for chosen in combinations(range(len(names)), size):
            without = np.isin(np.arange(len(names)), chosen)
            safe = _safe(breakdown, k, found[open_rows], without & ~told[open_rows])
            loss = np.where(safe, counts[open_rows][:, without].sum(axis=1), np.inf)
            better = loss < cost
            cost[better], best[better] = loss[better], without
        hide[open_rows] = best
        open_rows = open_rows[np.isinf(cost)]
    hide[open_rows] = True
    return hide


def _far(breakdown: Breakdown, found: Numbers) -> Flags:
    if not len(found):
        return np.zeros(0, bool)
    whole = np.nansum(found, axis=0)
    shares = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
    distance = np.abs(shares - whole / max(float(whole.sum()), 1.0)).sum(axis=1) / 2
    return np.asarray(distance > breakdown.closeness + NEAR)


def _safe(breakdown: Breakdown, k: int, found: Numbers, unseen: Flags) -> Flags:
    """Whether what is seen of each row tells neither a small group nor a count that is not seen."""
    safe = np.zeros(len(found), bool)
    for without, rows in alike(unseen):
        safe[rows] = ~few(breakdown, k, found[rows], without, without)
    return safe


def alike(unseen: Flags) -> list[tuple[Flags, npt.NDArray[np.int64]]]:
    """The rows of which the same counts are not seen: which these are, and which rows."""
    kinds, numbers = np.unique(unseen, axis=0, return_inverse=True)
    return [(kind, np.flatnonzero(numbers.ravel() == number).astype(np.int64)) for number, kind in enumerate(kinds)]


def few(
    breakdown: Breakdown, k: int, found: Numbers, without: Flags, asked: Flags, limit: "Limit | None" = None
) -> Flags:
    """Of which rows the counts that are shown (not `without`) tell a small group, or one of the counts that are
    `asked`, nearer than to k values; `limit`: what else is known of them."""
    unseen = equations(breakdown, [*breakdown.counts])[1:][asked]
    low, high = ranges(breakdown, found, without, np.vstack([np.eye(len(breakdown.groups)), unseen]), limit)
    values = np.floor(high + NEAR) - np.ceil(low - NEAR) + 1
    small = (found > NEAR) & (found < k - NEAR)
    told = np.column_stack([small, np.ones((len(found), len(unseen)), bool)])
    return np.asarray(((values < k) & told).any(axis=1))


Limit = tuple[Numbers, Numbers, Numbers]
"""A form, and of each row the least and the greatest that it can be."""


def ranges(
    breakdown: Breakdown, found: Numbers, without: Flags, forms: Numbers, limit: Limit | None = None
) -> tuple[Numbers, Numbers]:
    """The least and the greatest that each form can be (rows x forms), for groups that are not negative, make up the
    counts that are shown as the true ones do, and are within the limit."""
    everything = equations(breakdown, [*breakdown.counts])
    matrix = _independent(everything[np.r_[True, ~without]])
    said = found @ matrix.T
    ends = [_corners(matrix, said, forms, limit)]
    if limit is not None and len(_independent(np.vstack([matrix, limit[0]]))) > len(matrix):
        longer = np.vstack([matrix, limit[0]])
        ends += [_corners(longer, np.column_stack([said, end]), forms, None) for end in limit[1:]]
    return np.minimum.reduce([low for low, _ in ends]), np.maximum.reduce([high for _, high in ends])


def _independent(matrix: Numbers) -> Numbers:
    """Rows of a matrix that say all that it says."""
    kept: list[Numbers] = []
    for row in matrix:
        if np.linalg.matrix_rank(np.array([*kept, row])) > len(kept):
            kept.append(row)
    return np.array(kept)


def _corners(matrix: Numbers, said: Numbers, forms: Numbers, limit: Limit | None) -> tuple[Numbers, Numbers]:
    """The least and the greatest of each form over the corners of what satisfies the equations of each row and is
    within the limit. Forms are linear: their extremes are at corners, which are all tried."""
    groups = matrix.shape[1]
    low, high = np.full((len(said), len(forms)), np.inf), np.full((len(said), len(forms)), -np.inf)
    for basis in combinations(range(groups), len(matrix)):
        square = matrix[:, basis]
        if abs(np.linalg.det(square)) < NEAR:
            continue
        corner = np.zeros((len(said), groups))
        corner[:, basis] = said @ np.linalg.inv(square).T
        possible = (corner >= -NEAR).all(axis=1)
        if limit is not None:
            form, least, greatest = limit
            possible &= (corner @ form >= least - NEAR) & (corner @ form <= greatest + NEAR)
        values = corner @ forms.T
        low[possible] = np.minimum(low[possible], values[possible])
        high[possible] = np.maximum(high[possible], values[possible])
    return low, high
