"""What somebody can infer who has only what is published: the least and the greatest that each withheld count can be.

Linear programmes over everything that is known: rows that are shown, totals, how counts are made up, and the release
before. Written apart from what withholds (`anonymity`, `breakdowns`), so that each finds the other's mistakes; which
totals are known is the one thing both must agree on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from scipy.optimize import linprog
from scipy.sparse import lil_matrix

from pipelines.contracts.models import Anonymity, Breakdown
from pipelines.privacy.anonymity import Before, Cells, Key, counted, known_together
from pipelines.privacy.breakdowns import Numbers, equations, people

NEAR: Final = 1e-6


@dataclass(frozen=True)
class Attack:
    """What became of an attack. `cells`: withheld counts that were attacked; `narrowest`: the fewest values that one of
    them may have, None without any; `broken`: how many may have fewer than k, the true one among them."""

    cells: int
    narrowest: int | None
    broken: int


def bounds(truth: pa.Table, shown: pa.Table, anonymity: Anonymity) -> Attack:
    """Attack one release from itself: the rows that are withheld, and in those shown the counts that are."""
    return _together([_rows(truth, shown, anonymity, None), *_beside(truth, shown, anonymity)], anonymity.k)


def differences(truth: pa.Table, shown: pa.Table, before: Before, anonymity: Anonymity) -> Attack:
    """Attack the withheld rows of a release with the one before, by somebody who knows which of the rows that either of
    them shows are as they were. Rows that the release before showed as they still are were told by it, and are not
    counted."""
    return _together([_rows(truth, shown, anonymity, before)], anonymity.k)


Limits = tuple[float, float | None]
_Found = list[tuple[float, float, float]]
"""Of each withheld count the least, the greatest, and the true one."""


def _together(attacks: list[_Found], k: int) -> Attack:
    every = [cell for found in attacks for cell in found]
    widths = [int(np.floor(high + NEAR) - np.ceil(low - NEAR)) + 1 for low, high, _ in every]
    inside = [low - NEAR <= true <= high + NEAR for low, high, true in every]
    broken = sum(1 for width, hit in zip(widths, inside, strict=True) if width < k and hit)
    return Attack(len(every), min(widths, default=None), broken)


def _rows(truth: pa.Table, shown: pa.Table, anonymity: Anonymity, before: Before | None) -> _Found:
    cells, seen = counted(truth, anonymity), counted(shown, anonymity).by_key
    together = known_together(cells, anonymity.k)
    by_total: dict[int, list[int]] = {}
    for place, key in enumerate(cells.keys):
        if key not in seen:
            by_total.setdefault(together[cells.parts[place]], []).append(place)
    total = float(cells.counts.sum())
    if total < anonymity.k:
        return []  # nobody may know so small a total either
    told = _Told(cells, together, before, anonymity)
    return [cell for number, places in by_total.items() for cell in told.attacked(number, places)]


class _Told:
    """What is known of the withheld rows under each total."""

    def __init__(self, cells: Cells, together: Mapping[Key, int], before: Before | None, anonymity: Anonymity) -> None:
        self.cells, self.together = cells, together
        self.then = counted(before.shown, anonymity).by_key if before else {}
        self.before = counted(before.truth, anonymity) if before else None
        self.then_together = known_together(self.before, anonymity.k) if self.before else {}
        if self.before and self.before.counts.sum() < anonymity.k:
            self.before = None  # nobody knew so small a total

    def attacked(self, number: int, places: list[int]) -> Iterator[tuple[float, float, float]]:
        """Bounds of the withheld rows under one total: what is told of them now, and what was told before."""
        counts, keys = self.cells.counts[places].tolist(), [self.cells.keys[place] for place in places]
        told = [self.then.get(key) == count for key, count in zip(keys, counts, strict=True)]
        limits: list[Limits] = [(n, n) if known else (0.0, None) for known, n in zip(told, counts, strict=True)]
        now = _extremes(np.ones(len(places)), sum(counts), limits)
        same, rest, left = self._then(number, set(keys))
        then = _extremes(np.array([float(key in same) for key in keys] + [rest]), left, [*limits, (0.0, None)])
        for key, known, count, today, before in zip(keys, told, counts, now, then[:-1], strict=True):
            if not known:
                low, high = (max(today[0], before[0]), min(today[1], before[1])) if key in same else today
                yield low, high, count

    def _then(self, number: int, hidden: set[Key]) -> tuple[set[Key], float, float]:
        """What the release before tells of rows that are withheld in both and the same: which these are, whether there
        were others that are not the same any more, and how many all of these were together. What it withheld and is
        shown now, as it was, is known."""
        same, changed, left = set[Key](), 0.0, 0.0
        if self.before is None or not self._known_then(number):
            return same, changed, left
        now = self.cells.by_key
        rows = zip(self.before.keys, self.before.parts, self.before.counts.tolist(), strict=True)
        for key, part, count in rows:
            if self.together.get(part) != number or key in self.then:
                continue
            if now.get(key) != count:
                changed, left = 1.0, left + count
            elif key in hidden:
                same.add(key)
                left += count
        return same, changed, left

    def _known_then(self, number: int) -> bool:
        """Whether the parts under a total of today had totals of their own then."""
        mine = {part for part, one in self.together.items() if one == number}
        of_then = {one for part, one in self.then_together.items() if part in mine}
        return all(part in mine for part, one in self.then_together.items() if one in of_then)


def _extremes(row: Numbers, right: float, limits: list[Limits]) -> list[tuple[float, float]]:
    """The least and greatest of each unknown of one equation. Those that stand in it alike have the same bounds and are
    asked once."""
    asked: dict[tuple[object, ...], tuple[float, float]] = {}
    found = []
    for place, limit in enumerate(limits):
        alike = (row[place], limit)
        if limit[0] == limit[1]:
            asked[alike] = (limit[0], limit[0])
        elif alike not in asked:
            aim = np.zeros(len(limits))
            aim[place] = 1
            asked[alike] = (_least(aim, row, right, limits), -_least(-aim, row, right, limits))
        found.append(asked[alike])
    return found


def _least(aim: Numbers, row: Numbers, right: float, limits: list[Limits]) -> float:
    """The least of a sum of unknowns, minus infinity if there is none. What is attacked exists, so it can be solved."""
    end = linprog(aim, A_eq=row[None, :], b_eq=[right], bounds=limits)
    return float(end.fun) if end.status == 0 else -np.inf


def _beside(truth: pa.Table, shown: pa.Table, anonymity: Anonymity) -> Iterator[_Found]:
    """The counts withheld in rows that are shown, and the groups below k that they are made of."""
    cells, seen = counted(truth, anonymity), counted(shown, anonymity)
    where = dict(zip(seen.keys, seen.places.tolist(), strict=True))
    rows = [(place, where[key]) for key, place in zip(cells.keys, cells.places.tolist(), strict=True) if key in where]
    if not rows:
        return
    true = truth.take(pa.array([place for place, _ in rows]))
    left = shown.take(pa.array([place for _, place in rows]))
    for breakdown in anonymity.breakdowns:
        yield _made_up(breakdown, anonymity, true, left)


def _made_up(breakdown: Breakdown, anonymity: Anonymity, true: pa.Table, left: pa.Table) -> _Found:
    """All rows are one programme: they share nothing, so the sum is at its greatest where each of them is."""
    names = [*breakdown.counts]
    matrix = equations(breakdown, names)
    said = np.column_stack([left[name].cast(pa.float64()).to_numpy() for name in (anonymity.count, *names)])
    total, rest = (true[anonymity.count].cast(pa.float64()).to_numpy(), [true[name] for name in names])
    counts = np.column_stack([column.cast(pa.float64()).to_numpy() for column in rest])
    groups = people(breakdown, np.asarray(total, np.float64), counts)
    known = ~np.isnan(said)
    system, right = lil_matrix((int(known.sum()), groups.size)), said[known]
    for number, (row, form) in enumerate(zip(*np.nonzero(known), strict=True)):
        system[number, row * len(breakdown.groups) : (row + 1) * len(breakdown.groups)] = matrix[form]
    small = (groups > NEAR) & (groups < anonymity.k - NEAR)
    asked = [(form, small[:, place]) for place, form in enumerate(np.eye(len(breakdown.groups)))]
    asked += [(matrix[place], ~known[:, place]) for place in range(1, len(names) + 1)]
    found: _Found = []
    for form, rows in asked:
        if rows.any():
            aim = (rows[:, None] * form[None, :]).ravel()
            low, high = (linprog(sign * aim, A_eq=system.tocsr(), b_eq=right).x for sign in (1, -1))
            ends = [np.asarray(end).reshape(groups.shape) @ form for end in (low, high)]
            found += list(zip(ends[0][rows], ends[1][rows], (groups @ form)[rows], strict=True))
    return found
