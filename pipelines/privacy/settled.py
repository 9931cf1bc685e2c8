"""Counts that wait: what of a table of counts may stand beside what was published before, so that no two releases tell
of fewer than k.

Belongs here: which rows are of periods that are over, and which stay as they were released. What of the rows is
withheld belongs to `anonymity`; whether any two releases tell of fewer than k to `attack`, which shares none of this.
"""

from collections.abc import Set
from datetime import date

import numpy as np
import pyarrow as pa

from pipelines.contracts.forms.products import Anonymity
from pipelines.privacy.anonymity import Before, Key, beside_columns, cell_columns, counted, figures
from pipelines.privacy.breakdowns import Numbers, people
from pipelines.privacy.periods import is_over

Said = tuple[float, ...]
"""What a row says of people: the main count, those beside it, and the groups that they are made of; NaN: nothing."""


class Settling:
    """The releases of a table of counts, told one by one, the oldest first, and what may come after them.

    A row of which a count or group moved by fewer than k since any release stays as it was in the last; so do the rows
    in which its counts stand again. Of a row below k nothing is seen but that it is: only its count is compared, and
    not with another below k. A period that no release told of comes as it is.
    """

    def __init__(self, anonymity: Anonymity) -> None:
        self.anonymity = anonymity
        groups = sum(len(breakdown.groups) for breakdown in anonymity.breakdowns)
        self.nobody: Said = (0.0,) * (1 + len(beside_columns(anonymity)) + groups)
        self.seen: dict[Key, set[Said]] = {}
        self.periods = set[object]()
        self.last: tuple[pa.Table, dict[Key, Said]] | None = None

    def next(self, truth: pa.Table, day: date) -> pa.Table:
        """Of the whole table of a day what is published, before small cells are withheld."""
        over = self._over(truth, day)
        if self.last is None:
            return over
        now, (table, then) = _said(over, self.anonymity), self.last
        keys = (key for key in now.keys() | then.keys() if self._period(key) in self.periods)
        waiting = {key for key in keys if self._waits(key, now.get(key, self.nobody), then.get(key, self.nobody))}
        return self._with(over, table, waiting)

    def released(self, shown: pa.Table, truth: pa.Table, day: date) -> Before:
        """Go on to the next release: what it showed, and the whole table of its day.

        What was released by another rule, or after releases that are gone, is as it was shown.
        """
        was, told = self.next(truth, day), _said(shown, self.anonymity)
        for source in (truth, shown):
            then, right = (_said(one, self.anonymity) for one in (was, source))
            wrong = {key for key, said in told.items() if not _agree(said, then.get(key))}
            was = self._with(
                was, source, {key for key in wrong if source is shown or _agree(told[key], right.get(key))}
            )
        self._remember(was)
        return Before(shown, was)

    def _over(self, truth: pa.Table, day: date) -> pa.Table:
        name = self.anonymity.period
        if name is None:
            return truth
        return truth.filter(pa.array([is_over(value, day) for value in truth[name].to_pylist()], pa.bool_()))

    def _remember(self, table: pa.Table) -> None:
        then = _said(table, self.anonymity)
        self.last = table, then
        for key, said in then.items():
            before = {self.nobody} if self._period(key) in self.periods else set[Said]()
            self.seen.setdefault(key, before).add(said)
        for key in self.seen.keys() - then.keys():
            self.seen[key].add(self.nobody)
        self.periods |= set(map(self._period, then))

    def _waits(self, key: Key, now: Said, then: Said) -> bool:
        return now != then and not all(_apart(now, one, self.anonymity.k) for one in self.seen.get(key, {then}))

    def _period(self, key: Key) -> object:
        """The period of a row; all rows of a table without any are of one."""
        period = self.anonymity.period
        return key[_identity(self.anonymity).index(period)] if period is not None else None

    def _with(self, table: pa.Table, source: pa.Table, keys: Set[Key]) -> pa.Table:
        """A table with these rows, and those in which their counts stand again, as another has them."""
        only, every = self.anonymity.only, set(keys)
        names = _identity(self.anonymity)
        if only is not None and only.column in names:
            at = names.index(only.column)
            for kind, origin in only.alike.items():
                every |= {(*key[:at], kind, *key[at + 1 :]) for key in keys if key[at] == origin}
        return _replaced(table, source, every, self.anonymity) if every else table


def _apart(one: Said, other: Said, k: int) -> bool:
    """Whether two rows tell of nobody, or of at least k: every figure is the same in both, or that far away."""
    if one[0] < k and other[0] < k:
        return True
    seen = len(one) if one[0] >= k and other[0] >= k else 1
    return all(mine == theirs or abs(mine - theirs) >= k for mine, theirs in zip(one[:seen], other[:seen], strict=True))


def _agree(told: Said, whole: Said | None) -> bool:
    """Whether a row that was told is this one, as far as it was."""
    return whole is not None and all(mine == theirs or np.isnan(mine) for mine, theirs in zip(told, whole, strict=True))


def _identity(anonymity: Anonymity) -> list[str]:
    """The columns that tell who is counted."""
    return [name for name in anonymity.quasi if name not in anonymity.notPeriods]


def _said(table: pa.Table, anonymity: Anonymity) -> dict[Key, Said]:
    """What the rows that count anybody say. A column that a table of old lacks says nothing."""
    cells = counted(table, anonymity)
    rows = table.take(pa.array(cells.places))
    keys = list(zip(*(rows[name].to_pylist() for name in _identity(anonymity)), strict=True))
    beside = {name: _numbers(rows, name) for name in beside_columns(anonymity)}
    groups = [
        people(breakdown, cells.counts, np.column_stack([beside[name] for name in breakdown.counts]))
        for breakdown in anonymity.breakdowns
    ]
    every = np.column_stack([cells.counts, *beside.values(), *(np.round(one) for one in groups)])
    return dict(zip(keys, map(tuple, every.tolist()), strict=True))


def _numbers(table: pa.Table, name: str) -> Numbers:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64)


def _replaced(table: pa.Table, source: pa.Table, keys: Set[Key], anonymity: Anonymity) -> pa.Table:
    """A table in which these rows are named and counted as in another. One that the other lacks is left out, or emptied
    where every row is shown."""
    size, there = table.num_rows, {key: place for place, key in enumerate(_keys(source, anonymity))}
    rows: list[tuple[int | None, int | None, int | None]] = []
    """Of each row where its figures, its names and what stands beside are: those of the other table after these."""
    mine = _keys(table, anonymity)
    gone = there.keys() & keys - set(mine)
    for place, key in enumerate(mine):
        if key not in keys:
            rows.append((place, place, place))
        elif key in there:
            rows.append((size + there[key], size + there[key], place))
        elif anonymity.emptied:
            rows.append((None, place, place))
    rows += [(size + place, size + place, None) for key, place in there.items() if key in gone]
    counts, names = figures(anonymity), cell_columns(anonymity)
    taken = [pa.array([row[kind] for row in rows], pa.int64()) for kind in range(3)]
    columns = []
    for field in table.schema:
        kind = 0 if field.name in counts else 1 if field.name in names else 2
        none = pa.nulls(source.num_rows, field.type)
        other = source[field.name].cast(field.type).chunks if field.name in source.column_names else [none]
        columns.append(pa.chunked_array([*table[field.name].chunks, *other], field.type).take(taken[kind]))
    schema = pa.schema([field.with_nullable(True) for field in table.schema])
    return pa.Table.from_arrays(columns, schema=schema)


def _keys(table: pa.Table, anonymity: Anonymity) -> list[Key]:
    return list(zip(*(table[name].to_pylist() for name in _identity(anonymity)), strict=True))
