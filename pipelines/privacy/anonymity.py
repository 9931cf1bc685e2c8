"""k-anonymity of tables of counts: what of them may be shown, and the proof that nothing too small is left.

Belongs here: which rows are withheld, together with the counts in a row (`breakdowns`). What can be inferred from what
is shown is tried by `attack`, which shares none of this but who knows which totals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.forms.products import Anonymity, Breakdown
from pipelines.privacy.breakdowns import Flags, Numbers, equations, hidden, people
from pipelines.privacy.periods import all_periods
from pipelines.privacy.totals import emptied_for, told_elsewhere

Key = tuple[object, ...]
WHOLE: Final = 0


@dataclass(frozen=True)
class CellCounts:
    """What a table of counts shows.

    `rows`: all rows. `repeated`: rows whose quasi identifiers another row before them has too. `k_min`: the smallest
    group that shares quasi identifiers, in counted units, counts summed where rows repeat; None without a group.
    `violations`: rows whose own count is between 0 and k or negative, or missing beside other counts; a sum never
    excuses a row. So is a row that shows figures although the channel never shows those of its kind.
    """

    rows: int
    repeated: int
    k_min: int | None
    violations: int


@dataclass(frozen=True)
class Before:
    """An earlier release: what was shown, and what it was cut from, both as tables of the product's columns."""

    shown: pa.Table
    truth: pa.Table


@dataclass(frozen=True)
class Cells:
    """The rows of a table that count anybody: by their quasi identifiers, how many, and in which part of the table."""

    keys: list[Key]
    counts: Numbers
    parts: list[Key]
    places: npt.NDArray[np.int64]
    """Where in the table they stand."""

    @property
    def by_key(self) -> dict[Key, float]:
        """The count of each."""
        return dict(zip(self.keys, self.counts.tolist(), strict=True))


def figures(anonymity: Anonymity) -> list[str]:
    """The columns that say something of people: the count, those beside it, and what is computed from these."""
    return [anonymity.count, *beside_columns(anonymity), *anonymity.rates]


def cell_columns(anonymity: Anonymity) -> list[str]:
    """The columns that tell which cells there are, and how many each counts."""
    only = [anonymity.only.column] if anonymity.only else []
    return list(dict.fromkeys([*anonymity.quasi, *anonymity.parts, *only, anonymity.count]))


def beside_columns(anonymity: Anonymity) -> list[str]:
    """The counts beside the main one."""
    return list(dict.fromkeys(name for breakdown in anonymity.breakdowns for name in breakdown.counts))


def protect(table: pa.Table, anonymity: Anonymity, earlier: Sequence[Before] = ()) -> pa.Table:
    """What may be shown of a table of counts. `earlier`: the releases that can still be had, the oldest first.

    The total of the table may be known (row counts of what it was counted from are public), and so may the totals of
    each part in `within` and of each period. What is withheld must not follow from them: of the rows under a known
    total at least two go, and together they count at least k. What an earlier release showed, and is so ever since,
    hides nothing: others go first; what the last withheld stays withheld as long as it is the same and there are small
    rows beside it. Of equals the smallest goes first. Empty groups go too. In what is left, counts beside the main one
    are withheld as `breakdowns` tells, and where another open table shows their totals as `totals` does; one that an
    earlier release told of the row as it has been ever since hides nothing either. Columns and their types stay as they
    are; withheld figures are null.
    """
    cells = counted(table, anonymity)
    withheld = np.zeros(table.num_rows, bool)
    withheld[_bad(table, anonymity)] = True
    withheld[cells.places[_withheld(cells, anonymity, earlier)]] = True
    withheld[_empty(table, anonymity) | _unshown(table, anonymity)] = True
    hide, total = dict.fromkeys(figures(anonymity), withheld), _numbers(table, anonymity.count)
    rows = np.flatnonzero(_counting(table, anonymity) & ~withheld & ~np.isnan(total))
    for breakdown, told in zip(anonymity.breakdowns, _told(table, anonymity, cells, earlier), strict=True):
        names = [*breakdown.counts]
        counts = np.column_stack([_numbers(table, name)[rows] for name in names])
        unseen = hidden(breakdown, anonymity.k, total[rows], counts, told[rows, 1:])
        for name in anonymity.totals & breakdown.counts.keys():
            unseen = _for_total(name, breakdown, table, anonymity, rows, unseen, told)
        for place, name in enumerate(names):
            hide[name] = withheld.copy()
            hide[name][rows] = unseen[:, place]
    hide |= {rate: hide[name] for rate, name in anonymity.rates.items()}
    again = _again(table, anonymity, np.logical_or.reduce([*hide.values()]))
    hide = {name: flags | again for name, flags in hide.items()}
    for name, flags in hide.items():
        column = table[name]
        emptied = pc.if_else(pa.array(flags), pa.scalar(None, column.type), column)
        table = table.set_column(table.column_names.index(name), table.schema.field(name).with_nullable(True), emptied)
    return table if anonymity.emptied else table.filter(pa.array(~withheld))


def _told(table: pa.Table, anonymity: Anonymity, cells: Cells, earlier: Sequence[Before]) -> list[Flags]:
    """Of every breakdown and row, whether an earlier release told the main count and those of the breakdown, and
    all have been as they are ever since."""
    every = [anonymity.count, *beside_columns(anonymity)]
    places = [[0, *map(every.index, breakdown.counts)] for breakdown in anonymity.breakdowns]
    told = [np.zeros((table.num_rows, len(mine)), bool) for mine in places]
    if not earlier or not places:
        return told
    where = dict(zip(cells.keys, cells.places.tolist(), strict=True))
    now, same = _said(table, anonymity, every), [set(cells.keys) for _ in places]
    for before in reversed(earlier):
        truth, shown = (_said(one, anonymity, every) for one in (before.truth, before.shown))
        for number, mine in enumerate(places):
            of = itemgetter(*mine)
            same[number] = {key for key in same[number] if key in truth and of(truth[key]) == of(now[key])}
            for key in same[number] & shown.keys():
                told[number][where[key]] |= [one is not None for one in of(shown[key])]
                if None not in of(shown[key]):
                    same[number].remove(key)  # nothing is left to be told
    return told


def _said(table: pa.Table, anonymity: Anonymity, names: Sequence[str]) -> dict[Key, Key]:
    """What a table says of its cells in some columns, None where it has none."""
    cells = counted(table, anonymity)
    rows, none = table.take(pa.array(cells.places)), [None] * len(cells.keys)
    said = [rows[name].to_pylist() if name in table.column_names else none for name in names]
    return dict(zip(cells.keys, zip(*said, strict=True), strict=True))


def _for_total(
    name: str,
    breakdown: Breakdown,
    table: pa.Table,
    anonymity: Anonymity,
    rows: npt.NDArray[np.int64],
    unseen: Flags,
    told: Flags,
) -> Flags:
    """Which counts of the rows that are shown must not be, when another open table tells the totals of one of them.
    Rows that are not shown are known only together, but for those that an earlier release told."""
    cells = counted(table, anonymity)
    together = known_together(cells, anonymity.k)
    parts = {place: together[part] for place, part in zip(cells.places.tolist(), cells.parts, strict=True)}
    counts = np.column_stack([_numbers(table, one) for one in breakdown.counts])
    groups, form = people(breakdown, _numbers(table, anonymity.count), counts), equations(breakdown, [name])[1]
    right, shown = ~np.isnan(groups).any(axis=1), np.isin(np.arange(table.num_rows), rows)
    of_part, found = np.array([parts.get(place, -1) for place in range(table.num_rows)]), unseen.copy()
    for number in set(parts.values()):
        mine = right & (of_part == number)
        if told_elsewhere(form, groups[mine], anonymity.k):
            here, apart, rest = mine[rows], mine & ~shown & told[:, 0], groups[mine & ~shown & ~told[:, 0]]
            pool = rest.sum(axis=0, keepdims=True)[: len(rest)]
            whole = np.vstack([groups[rows][here], groups[apart], pool])
            known = np.vstack([told[rows][here], told[apart], np.zeros((len(pool), told.shape[1]), bool)])[:, 1:]
            hide = np.vstack([unseen[here], np.ones((len(whole) - here.sum(), unseen.shape[1]), bool)])
            found[here] = emptied_for(breakdown, name, anonymity.k, whole, hide, known)[: here.sum()]
    return found


def _again(table: pa.Table, anonymity: Anonymity, lost: Flags) -> Flags:
    """The rows in which counts stand again that some other row loses."""
    only = anonymity.only
    if only is None or not only.alike:
        return np.zeros(table.num_rows, bool)
    kinds, places = table[only.column].to_pylist(), _places(table, anonymity)
    without = {(kind, place) for kind, place, flag in zip(kinds, places, lost.tolist(), strict=True) if flag}
    return np.array([(only.alike.get(kind), place) in without for kind, place in zip(kinds, places, strict=True)], bool)


def twins(table: pa.Table, anonymity: Anonymity) -> list[tuple[str, str, str]]:
    """Rows outside those that count people in which one of their counts stands again, as the whole table shows, and of
    which the contract does not say so: the kind of row, its column, and the kind that counts. Equal in all places that
    have both, and not one number everywhere."""
    only = anonymity.only
    if only is None:
        return []
    kinds, places = table[only.column].to_pylist(), _places(table, anonymity)
    said: dict[tuple[str, str], dict[Key, object]] = {}
    for name in figures(anonymity):
        for kind, place, value in zip(kinds, places, table[name].to_pylist(), strict=True):
            if value is not None:
                said.setdefault((kind, name), {})[place] = value
    found = list[tuple[str, str, str]]()
    for (kind, name), mine in said.items():
        free = kind not in only.values and kind not in only.unshown
        for (other, count), theirs in said.items():
            counting = other in only.values and count not in anonymity.rates
            if free and counting and only.alike.get(kind) != other and _same(mine, theirs):
                found.append((kind, name, other))
    return sorted(set(found))


def _same(mine: Mapping[Key, object], theirs: Mapping[Key, object]) -> bool:
    """Whether two figures are the same in every place that has both, and not one number everywhere."""
    both = mine.keys() & theirs.keys()
    return len({mine[place] for place in both}) > 1 and all(mine[place] == theirs[place] for place in both)


def _places(table: pa.Table, anonymity: Anonymity) -> list[Key]:
    """What each row is about besides its kind."""
    kind = anonymity.only.column if anonymity.only else None
    names = [name for name in anonymity.quasi if name != kind]
    return list(zip(*(table[name].to_pylist() for name in names), strict=True)) if names else [()] * table.num_rows


def counted(table: pa.Table, anonymity: Anonymity) -> Cells:
    """The cells of a table that count anybody."""
    count = _numbers(table, anonymity.count)
    places = np.flatnonzero(_counting(table, anonymity) & (count > 0))
    rows = table.take(pa.array(places))
    keys = list(zip(*(rows[name].to_pylist() for name in anonymity.quasi), strict=True))
    within = [rows[name].to_pylist() for name in anonymity.parts]
    parts: list[Key] = list(zip(*within, strict=True)) if within else [()] * len(places)
    return Cells(keys, count[places], parts, places)


def known_together(cells: Cells, k: int) -> dict[Key, int]:
    """Which parts have a total that anybody may know: those of one number only together.

    Whoever publishes totals withholds those below k too, and with them the smallest others, until two or more are
    withheld and count at least k; of all these only the sum is known, from the total of the table.
    """
    totals: dict[Key, float] = {}
    for part, count in zip(cells.parts, cells.counts.tolist(), strict=True):
        totals[part] = totals.get(part, 0.0) + count
    ordered = sorted(totals, key=lambda part: totals[part])
    together = {part for part in ordered if totals[part] < k}
    for part in ordered:
        if not together or (len(together) >= 2 and sum(totals[one] for one in together) >= k):
            break
        together.add(part)
    return {part: WHOLE if part in together else number for number, part in enumerate(ordered, start=1)}


def k_anonymous(con: duckdb.DuckDBPyConnection, relation: str, anonymity: Anonymity) -> CellCounts:
    """Measure a table as it is shown. NULL is a quasi identifier like any other value."""
    count = identifier(anonymity.count)
    groups = ", ".join(identifier(name) for name in anonymity.quasi)
    others = [f"{identifier(name)} IS NOT NULL" for name in figures(anonymity)[1:]]
    lone = " OR ".join(others) if anonymity.emptied or anonymity.only else "true"
    query = f"""
        WITH cells AS (
            SELECT count(*) AS n, sum({count}) AS people,
                count(*) FILTER (
                    WHERE {count} IS NULL AND ({lone or "false"}) OR {count} <> 0 AND {count} < {anonymity.k}
                ) AS few
            FROM {_only(relation, anonymity)} GROUP BY {groups}
        )
        SELECT coalesce(sum(n), 0), coalesce(sum(n - 1), 0), min(people) FILTER (WHERE people <> 0),
            coalesce(sum(few), 0)
        FROM cells
    """
    ((rows, repeated, k_min, violations),) = con.execute(query).fetchall()
    least = None if k_min is None else int(k_min)
    return CellCounts(int(rows), int(repeated), least, int(violations) + _said_unshown(con, relation, anonymity))


def _said_unshown(con: duckdb.DuckDBPyConnection, relation: str, anonymity: Anonymity) -> int:
    """Rows that show figures although the channel must not."""
    if anonymity.only is None or not anonymity.only.unshown:
        return 0
    said = " OR ".join(f"{identifier(name)} IS NOT NULL" for name in figures(anonymity))
    where = f"{identifier(anonymity.only.column)} IN ({', '.join(map(literal, anonymity.only.unshown))})"
    ((rows,),) = con.execute(f"SELECT count(*) FROM {relation} WHERE {where} AND ({said})").fetchall()
    return int(rows)


def separating(
    con: duckdb.DuckDBPyConnection, relation: str, columns: Mapping[str, str], anonymity: Anonymity
) -> list[str]:
    """Which of these columns, told with their types, the contract does not name although they are neither one value nor
    the name of one quasi identifier: they tell groups apart that are counted as one, or say something of everybody in
    one.

    NULL is a value: who is not "poor" is known by it too. A name is a text, and another one for each value of the quasi
    identifier: of a village that nobody shares a group with, a figure or a state would be "its name" as well.
    """
    rows, found = _only(relation, anonymity), list[str]()
    for name, type_ in columns.items():
        if name in anonymity.columns:
            continue
        ((values,),) = con.execute(f"SELECT {_different(name)} FROM {rows}").fetchall()
        names = type_ == "VARCHAR" and any(_one_to_one(con, rows, name, quasi) for quasi in anonymity.quasi)
        if values > 1 and not names:
            found.append(name)
    return found


def unsaid_periods(con: duckdb.DuckDBPyConnection, relation: str, anonymity: Anonymity) -> list[str]:
    """The quasi identifiers whose every value is a period although the contract names neither them as the one that is
    counted by, nor why they are none."""
    said, found = {anonymity.period, *anonymity.notPeriods}, list[str]()
    for name in anonymity.quasi:
        values = con.execute(f"SELECT DISTINCT {identifier(name)} FROM {_only(relation, anonymity)}").fetchall()
        if name not in said and all_periods(value for (value,) in values):
            found.append(name)
    return found


def _one_to_one(con: duckdb.DuckDBPyConnection, rows: str, name: str, quasi: str) -> bool:
    """Whether each value of one column stands beside one of the other only, both ways."""
    told = " UNION ALL ".join(
        f"SELECT max(n) FROM (SELECT {_different(one)} AS n FROM {rows} GROUP BY {identifier(other)})"
        for one, other in ((name, quasi), (quasi, name))
    )
    ((most,),) = con.execute(f"SELECT max(n) FROM ({told}) t(n)").fetchall()
    return bool(most == 1)


def _different(name: str) -> str:
    """How many values of a column there are, NULL among them."""
    value = identifier(name)
    return f"count(DISTINCT {value}) + coalesce(max(({value} IS NULL)::INTEGER), 0)"


def _only(relation: str, anonymity: Anonymity) -> str:
    if anonymity.only is None:
        return relation
    values = ", ".join(map(literal, anonymity.only.values))
    return f"(SELECT * FROM {relation} WHERE {identifier(anonymity.only.column)} IN ({values}))"


def _numbers(table: pa.Table, name: str) -> Numbers:
    """A column of counts, NaN where there is none."""
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64)


def _counting(table: pa.Table, anonymity: Anonymity) -> Flags:
    """The rows that count people."""
    if anonymity.only is None:
        return np.ones(table.num_rows, bool)
    return _among(table, anonymity.only.column, anonymity.only.values)


def _unshown(table: pa.Table, anonymity: Anonymity) -> Flags:
    """The rows whose figures are never shown."""
    if anonymity.only is None:
        return np.zeros(table.num_rows, bool)
    return _among(table, anonymity.only.column, anonymity.only.unshown)


def _among(table: pa.Table, name: str, values: Sequence[str]) -> Flags:
    column = table[name]
    return np.asarray(pc.is_in(column, pa.array(values, column.type)).to_numpy(), bool)


def _bad(table: pa.Table, anonymity: Anonymity) -> Flags:
    """Rows that count fewer than nothing, or say something of a number that they do not tell."""
    count = _numbers(table, anonymity.count)
    said = np.zeros(table.num_rows, bool)
    for name in figures(anonymity)[1:]:
        said |= np.asarray(table[name].is_valid().to_numpy(), bool)
    unknown = np.isnan(count) & (said if anonymity.emptied or anonymity.only else True)
    return np.asarray(_counting(table, anonymity) & (unknown | (count < 0)))


def _empty(table: pa.Table, anonymity: Anonymity) -> Flags:
    return np.asarray(_counting(table, anonymity) & (_numbers(table, anonymity.count) == 0))


def _withheld(cells: Cells, anonymity: Anonymity, earlier: Sequence[Before]) -> npt.NDArray[np.int64]:
    """The places in `cells` of the rows that are withheld."""
    known, kept = _seen(cells, anonymity, earlier)
    together = known_together(cells, anonymity.k)
    under: dict[int, list[int]] = {}
    for place, part in enumerate(cells.parts):
        under.setdefault(together[part], []).append(place)
    found: list[int] = []
    for places in under.values():
        found += _under_one_total(places, cells.counts, anonymity.k, known, kept)
    return np.array(found, np.int64)


def _seen(cells: Cells, anonymity: Anonymity, earlier: Sequence[Before]) -> tuple[Flags, Flags]:
    """Which cells an earlier release showed as they have been ever since, and which the last withheld as they still
    are."""
    same, known, kept = cells.by_key, set[Key](), set[Key]()
    for number, before in enumerate(reversed(earlier)):
        shown, truth = counted(before.shown, anonymity).by_key, counted(before.truth, anonymity).by_key
        same = {key: count for key, count in same.items() if truth.get(key) == count}
        known |= {key for key, count in same.items() if shown.get(key) == count}
        kept |= set() if number else same.keys() - shown.keys()
    return np.array([key in known for key in cells.keys], bool), np.array([key in kept for key in cells.keys], bool)


def _under_one_total(places: Sequence[int], counts: Numbers, k: int, known: Flags, kept: Flags) -> list[int]:
    few = [place for place in places if counts[place] < k]
    if not few:
        return []
    others = sorted((place for place in places if counts[place] >= k), key=lambda place: counts[place])
    chosen = few + [place for place in others if kept[place]]
    for willing in ([place for place in others if not known[place]], others):
        for place in willing:
            hiding = [one for one in chosen if not known[one]] if willing is not others else chosen
            if len(hiding) >= 2 and counts[hiding].sum() >= k:
                break
            if place not in chosen:
                chosen.append(place)
    return chosen
