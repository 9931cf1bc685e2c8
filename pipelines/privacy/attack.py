"""What somebody can infer who has only what is published: the least and the greatest that each withheld count can be.

Linear programmes over everything that is known: rows that are shown, totals, how counts are made up, what other open
tables tell of the same counts, and all releases that can still be had. Written apart from what withholds (`anonymity`,
`breakdowns`, `totals`), so that each finds the other's mistakes; which totals are known is the one thing both must
agree on.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from operator import itemgetter
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.optimize import linprog
from scipy.sparse import lil_matrix

from pipelines.contracts.forms.products import Anonymity, Breakdown
from pipelines.privacy.anonymity import Before, Cells, Key, beside_columns, counted, known_together
from pipelines.privacy.breakdowns import Flags, Numbers, equations, people
from pipelines.privacy.totals import told_elsewhere

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
    return _together([_rows(truth, shown, anonymity, ()), *_beside(truth, shown, anonymity, ())], anonymity.k)


def differences(truth: pa.Table, shown: pa.Table, earlier: Sequence[Before], anonymity: Anonymity) -> Attack:
    """Attack what a release withholds with earlier ones, the oldest first, by somebody who has all of them and knows
    since when each row that one of them shows has been as it is. Rows and counts that one showed as they still are were
    told by it, and are not counted."""
    attacks = [_rows(truth, shown, anonymity, earlier), *_beside(truth, shown, anonymity, earlier)]
    return _together(attacks, anonymity.k)


def moves(shown: pa.Table, earlier: Sequence[Before], anonymity: Anonymity) -> int:
    """By how many rows of a release somebody who has an earlier one can tell of fewer than k: what both show of a row,
    or what follows from it by subtraction, moved by that few. A row as an earlier one showed it tells nothing new."""
    before = [_shown_figures(one.shown, anonymity) for one in earlier]
    told = 0
    for key, now in _shown_figures(shown, anonymity).items():
        were = [one[key] for one in before if key in one]
        told += now not in were and any(_moved(now, then, anonymity) for then in were)
    return told


def _shown_figures(table: pa.Table, anonymity: Anonymity) -> dict[Key, dict[str, float]]:
    """What a release shows of each row that counts anybody, and of each in which these counts stand again."""
    only, names = anonymity.only, [anonymity.count, *beside_columns(anonymity)]
    kind = only.column if only is not None else None
    identity = [name for name in anonymity.quasi if name not in {*anonymity.notPeriods, kind}]
    found: dict[Key, dict[str, float]] = {}
    for row in table.to_pylist():
        said = {name: float(row[name]) for name in names if row.get(name) is not None}
        found[row[kind] if kind else None, *(row[name] for name in identity)] = said
    if only is None:
        return found
    counting = {key: said for key, said in found.items() if key[0] in only.values}
    again = {
        (kind, *key[1:]): {name: one for name, one in found[kind, *key[1:]].items() if one in said.values()}
        for key, said in counting.items()
        for kind, origin in only.alike.items()
        if origin == key[0] and (kind, *key[1:]) in found
    }
    return counting | again


def _moved(now: Mapping[str, float], then: Mapping[str, float], anonymity: Anonymity) -> bool:
    both = now.keys() & then.keys()
    by = {name: now[name] - then[name] for name in both}
    differences = list(by.values())
    for breakdown in anonymity.breakdowns:
        made = {anonymity.count: {*breakdown.groups}} | {name: {*of} for name, of in breakdown.counts.items()}
        pairs = permutations(made.keys() & both, 2)
        differences += [by[whole] - by[part] for whole, part in pairs if made[part] < made[whole]]
    return any(NEAR < abs(one) < anonymity.k - NEAR for one in differences)


Limits = tuple[float, float | None]
_Found = list[tuple[float, float, float]]
"""Of each withheld count the least, the greatest, and the true one."""


def _together(attacks: list[_Found], k: int) -> Attack:
    every = [cell for found in attacks for cell in found]
    widths = [int(np.floor(high + NEAR) - np.ceil(low - NEAR)) + 1 for low, high, _ in every]
    inside = [low - NEAR <= true <= high + NEAR for low, high, true in every]
    broken = sum(1 for width, hit in zip(widths, inside, strict=True) if width < k and hit)
    return Attack(len(every), min(widths, default=None), broken)


def _rows(truth: pa.Table, shown: pa.Table, anonymity: Anonymity, earlier: Sequence[Before]) -> _Found:
    cells, seen = counted(truth, anonymity), counted(shown, anonymity).by_key
    together = known_together(cells, anonymity.k)
    by_total: dict[int, list[int]] = {}
    for place, key in enumerate(cells.keys):
        if key not in seen:
            by_total.setdefault(together[cells.parts[place]], []).append(place)
    total = float(cells.counts.sum())
    if total < anonymity.k:
        return []  # nobody may know so small a total either
    told = _Told(cells, set(seen), together, earlier, anonymity)
    return [cell for number, places in by_total.items() for cell in told.attacked(number, places)]


@dataclass(frozen=True)
class _Then:
    """What an earlier release tells: which parts had a total together (`under`: by its number), and by part the rows
    that it withheld, each with its count and the number of its run."""

    together: Mapping[Key, int]
    under: Mapping[int, Sequence[Key]]
    hidden: Mapping[Key, Sequence[tuple[Key, float, int]]]


class _Told:
    """What is known of the withheld rows under each total.

    A row as it stays the same over releases is a run: whoever sees it once in a run has it for all of them.
    """

    def __init__(
        self,
        cells: Cells,
        seen: set[Key],
        together: Mapping[Key, int],
        earlier: Sequence[Before],
        anonymity: Anonymity,
    ) -> None:
        self.cells, self.under = cells, _under(together)
        self.runs: dict[Key, tuple[float, int]] = {}
        self.told = set[tuple[Key, int]]()
        self.then: list[_Then] = []
        self.asked: dict[tuple[int, bool, float], tuple[float, float]] = {}
        for one in earlier:
            self._read(one, anonymity)
        self._run(cells)
        self.told |= {(key, self.runs[key][1]) for key in seen if key in self.runs}

    def _read(self, one: Before, anonymity: Anonymity) -> None:
        then, shown = counted(one.truth, anonymity), counted(one.shown, anonymity).by_key
        self._run(then)
        runs = self.runs
        self.told |= {(key, runs[key][1]) for key, count in shown.items() if key in runs and runs[key][0] == count}
        if then.counts.sum() < anonymity.k:
            return  # nobody knew so small a total
        hidden: dict[Key, list[tuple[Key, float, int]]] = {}
        for key, part, count in zip(then.keys, then.parts, then.counts.tolist(), strict=True):
            if key not in shown:
                hidden.setdefault(part, []).append((key, count, runs[key][1]))
        together = known_together(then, anonymity.k)
        self.then.append(_Then(together, _under(together), hidden))

    def _run(self, cells: Cells) -> None:
        """Go on to the next release: a row that counts otherwise, or is not there, begins another run."""
        now = cells.by_key
        for key in self.runs.keys() - now.keys():
            self.runs[key] = (0.0, self.runs[key][1] + 1)
        for key, count in now.items():
            before, run = self.runs.get(key, (count, 0))
            self.runs[key] = (count, run if before == count else run + 1)

    def attacked(self, number: int, places: list[int]) -> Iterator[tuple[float, float, float]]:
        """Bounds of the withheld rows under one total: what is told of them now, and what was told before."""
        counts, keys = self.cells.counts[places].tolist(), [self.cells.keys[place] for place in places]
        told = [(key, self.runs[key][1]) in self.told for key in keys]
        limits: list[Limits] = [(n, n) if known else (0.0, None) for known, n in zip(told, counts, strict=True)]
        ends = dict(zip(keys, _extremes(np.ones(len(places)), sum(counts), limits), strict=True))
        for then in self.then:
            same, others, left = self._equation(then, number, ends.keys())
            for key in same:
                low, high = self._bounds(len(same), others, left)
                ends[key] = max(ends[key][0], low), min(ends[key][1], high)
        for key, known, count in zip(keys, told, counts, strict=True):
            if not known:
                yield *ends[key], count

    def _equation(self, then: _Then, number: int, hidden: Collection[Key]) -> tuple[list[Key], bool, float]:
        """What an earlier release tells of rows that were withheld then and are now, the same ever since: which these
        are, whether there were others that changed, and how many all of these were together. What any release shows of
        the same run is known and not among them."""
        same, others, left = list[Key](), False, 0.0
        if not self._known_then(then, number):
            return same, others, left
        for key, count, run in (row for part in self.under[number] for row in then.hidden.get(part, ())):
            if (key, run) in self.told:
                continue
            left += count
            if self.runs[key][1] == run and key in hidden:
                same.append(key)
            else:
                others = True
        return same, others, left

    def _bounds(self, same: int, others: bool, left: float) -> tuple[float, float]:
        """The least and the greatest of one of some unknowns that are `left` together, with others or without."""
        asked = same, others, left
        if asked not in self.asked:
            unknowns = same + others
            self.asked[asked] = _extremes(np.ones(unknowns), left, [(0.0, None)] * unknowns)[0]
        return self.asked[asked]

    def _known_then(self, then: _Then, number: int) -> bool:
        """Whether the parts under a total of today had totals of their own then."""
        mine = {*self.under[number]}
        of_then = {then.together[part] for part in mine & then.together.keys()}
        return all(part in mine for one in of_then for part in then.under[one])


def _under(together: Mapping[Key, int]) -> dict[int, list[Key]]:
    """The parts under each total."""
    found: dict[int, list[Key]] = {}
    for part, number in together.items():
        found.setdefault(number, []).append(part)
    return found


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


@dataclass(frozen=True)
class _Rows:
    """Rows that make up a breakdown: what is told of each (the main count, then the others; NaN: withheld), how many
    each of its groups truly has, and the number of the total that it is under."""

    said: Numbers
    groups: Numbers
    parts: npt.NDArray[np.int64]


def _beside(truth: pa.Table, shown: pa.Table, anonymity: Anonymity, earlier: Sequence[Before]) -> Iterator[_Found]:
    """The counts withheld in rows whose number is told, and the groups below k that they are made of."""
    cells = counted(truth, anonymity)
    together = known_together(cells, anonymity.k)
    parts = np.array([together[part] for part in cells.parts], np.int64)
    figures = _told(cells, [*earlier, Before(shown, truth)], anonymity)
    for breakdown, said in zip(anonymity.breakdowns, figures, strict=True):
        groups = _groups(breakdown, anonymity, truth.take(pa.array(cells.places)))
        told = ~np.isnan(said[:, 0])
        rows = _Rows(said[told], groups[told], parts[told])
        totals = [name for name in breakdown.counts if name in anonymity.totals]
        if totals:
            rows = _with_pools(rows, groups[~told], parts[~told], anonymity.k)
        if len(rows.parts):
            yield _made_up(breakdown, anonymity.k, rows, totals)


def _told(cells: Cells, releases: Sequence[Before], anonymity: Anonymity) -> list[Numbers]:
    """Of each breakdown and cell the main count and those beside it, where one of the releases, the present one last,
    shows them and all have been as they are ever since; NaN: none does."""
    told = [_ToldBeside([anonymity.count, *breakdown.counts], cells) for breakdown in anonymity.breakdowns]
    every = sorted({name for one in told for name in one.names})
    for release in reversed(releases if told else ()):
        then, shown = (_by_key(table, anonymity, every) for table in (release.truth, release.shown))
        for one in told:
            one.read(then, shown, [every.index(name) for name in one.names])
    return [one.said for one in told]


class _ToldBeside:
    """What is told of one breakdown, read from the newest release backwards. `said`: of each cell its figures."""

    def __init__(self, names: Sequence[str], cells: Cells) -> None:
        self.names, self.places = names, dict(zip(cells.keys, range(len(cells.keys)), strict=True))
        self.said = np.full((len(self.places), len(names)), np.nan)
        self.since: dict[Key, tuple[float, ...]] | None = None

    def read(self, then: Mapping[Key, list[float]], shown: Mapping[Key, list[float]], columns: Sequence[int]) -> None:
        """One release: a cell that was another one then was told nothing of by it, nor by any before."""
        keys = self.places.keys() if self.since is None else self.since.keys()
        of = itemgetter(*columns)
        truth = {key: of(then[key]) for key in keys if key in then}
        if self.since is not None:
            truth = {key: figures for key, figures in truth.items() if figures == self.since[key]}
        self.since = truth
        for key in truth.keys() & shown.keys():
            for place, (one, true) in enumerate(zip(of(shown[key]), truth[key], strict=True)):
                if one == true:  # what was rewritten since may show what no longer is
                    self.said[self.places[key], place] = true
            if not np.isnan(self.said[self.places[key]]).any():
                del truth[key]  # nothing is left to be told


def _by_key(table: pa.Table, anonymity: Anonymity, names: Sequence[str]) -> dict[Key, list[float]]:
    """Figures of the cells of a table, NaN where it shows or has none: no two of these are the same."""
    cells = counted(table, anonymity)
    rows, none = table.take(pa.array(cells.places)), np.full(len(cells.keys), np.nan)
    figures = [_figures(rows, [name])[:, 0] if name in table.column_names else none for name in names]
    return dict(zip(cells.keys, np.column_stack(figures).tolist(), strict=True))


def _figures(table: pa.Table, names: list[str]) -> Numbers:
    return np.column_stack([np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64) for name in names])


def _groups(breakdown: Breakdown, anonymity: Anonymity, table: pa.Table) -> Numbers:
    said = _figures(table, [anonymity.count, *breakdown.counts])
    return people(breakdown, said[:, 0], said[:, 1:])


def _with_pools(rows: _Rows, groups: Numbers, parts: npt.NDArray[np.int64], k: int) -> _Rows:
    """With one more row for each part: all that are not shown together, of which only the number is known. A number
    below k nobody may know: it is the whole table's."""
    for part in np.unique(parts):
        pool = np.nansum(groups[parts == part], axis=0)
        if pool.sum() < k:
            continue
        said = np.r_[pool.sum(), np.full(rows.said.shape[1] - 1, np.nan)]
        rows = _Rows(np.vstack([rows.said, said]), np.vstack([rows.groups, pool]), np.append(rows.parts, part))
    return rows


def _made_up(breakdown: Breakdown, k: int, rows: _Rows, totals: list[str]) -> _Found:
    """All rows are one programme: they share nothing but a total, of which `_within_total` says what it leaves to each
    row, so the sum is at its greatest where each of them is."""
    names, groups = [*breakdown.counts], rows.groups
    matrix = equations(breakdown, names)
    known = ~np.isnan(rows.said)
    system, right = lil_matrix((int(known.sum()), groups.size)), rows.said[known]
    for number, (row, form) in enumerate(zip(*np.nonzero(known), strict=True)):
        system[number, row * len(breakdown.groups) : (row + 1) * len(breakdown.groups)] = matrix[form]
    told: dict[str, object] = {"A_eq": system.tocsr(), "b_eq": right}
    for name in totals:
        told |= _within_total(matrix[1 + names.index(name)], k, rows, told)
    small, lone = (groups > NEAR) & (groups < k - NEAR), ~_several(rows.parts)
    asked = [(form, small[:, place]) for place, form in enumerate(np.eye(len(breakdown.groups)))]
    for place, name in enumerate(names, start=1):
        asked.append((matrix[place], ~known[:, place] & ~(lone & (name in totals))))
    found: _Found = []
    for form, of in asked:
        if of.any():
            low, high = (ends[of] for ends in _ends(form, of, rows, told))
            found += list(zip(low, high, (groups @ form)[of], strict=True))
    return found


def _several(parts: npt.NDArray[np.int64]) -> Flags:
    """Which rows have others under their total: that of a row alone is the figure itself, told by the other table."""
    _, numbers, sizes = np.unique(parts, return_inverse=True, return_counts=True)
    return np.asarray(sizes[numbers.ravel()] > 1)


def _ends(form: Numbers, of: Flags, rows: _Rows, told: dict[str, object]) -> tuple[Numbers, Numbers]:
    """The least and the greatest of a form in each of some rows."""
    aim = (of[:, None] * form[None, :]).ravel()
    low, high = (np.asarray(linprog(sign * aim, **told).x).reshape(rows.groups.shape) @ form for sign in (1, -1))
    return low, high


def _within_total(form: Numbers, k: int, rows: _Rows, told: dict[str, object]) -> dict[str, object]:
    """What the totals of a count, told by another table, leave to each row: no further from the truth than the others
    under the same total can make up for."""
    true = rows.groups @ form
    low, high = _ends(form, np.ones(len(true), bool), rows, told)
    least, greatest = np.full(len(true), -np.inf), np.full(len(true), np.inf)
    for part in np.unique(rows.parts):
        mine = np.flatnonzero((rows.parts == part) & ~np.isnan(true))
        if told_elsewhere(form, rows.groups[mine], k):
            more, less = (high - true)[mine], (true - low)[mine]
            least[mine] = true[mine] - (more.sum() - more)
            greatest[mine] = true[mine] + (less.sum() - less)
    limited = np.flatnonzero(np.isfinite(least))
    size, most = len(form), list[float]()
    system = lil_matrix((2 * len(limited), rows.groups.size))
    for number, row in enumerate(limited):
        for place, sign, end in ((2 * number, 1, greatest[row]), (2 * number + 1, -1, -least[row])):
            system[place, row * size : (row + 1) * size] = sign * form
            most.append(float(end))
    return {"A_ub": system.tocsr(), "b_ub": np.array(most)} if most else {}
