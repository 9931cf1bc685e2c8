"""Rules that see a row beside others: a register that is to be covered, what a row refers to, totals that another
dataset details, and amounts far from all others of their group.

Each is one query of all that is looked at, with `_good` beside the columns by which a steward knows it again; so the
same query says how many were expected, how many are missing and which. A contract of a source names another source, of
which the newest admitted rows count when a run has pulled everything: what comes first, the row or what it refers to,
does not matter within a run. Over days it does: `since` and `days` give what is younger time to arrive. A contract of a
model names another model of the edition.
"""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from pipelines.codecs.sql import identifier, literal, literals
from pipelines.contracts.rules.base import Context, Dimension, Kind, Values, across, day
from pipelines.verbs import Column, ColumnName, Relation, TheirColumn, TheirColumnName

MAD = 1.4826
"""Of a normal distribution: standard deviations in a median absolute deviation."""
Ours = Annotated[dict[str, Values], ColumnName]
"""Rows of the dataset that count: columns with the values, as text, of which they have one."""
Theirs = Annotated[dict[str, Values], TheirColumnName]
"""The same of the other dataset."""
Days = Annotated[int, Field(ge=0, le=3660)]
Tolerance = Annotated[float, Field(ge=0)]
"""Below 1 a share of what is looked at, else a number: so many may be wrong."""


@across(Kind.COMPLETENESS, Dimension.COMPLETENESS)
def covers(
    context: Context,
    *,
    columns: list[Column],
    of: Relation,
    their: list[TheirColumn],
    where: Theirs = {},  # noqa: B006 (never changed)
    among: Ours = {},  # noqa: B006
    since: TheirColumn = "",
    until: TheirColumn = "",
    days: Days = 0,
    show: list[TheirColumn] = [],  # noqa: B006
    tolerance: Tolerance = 0,
) -> str:
    """Every entry of the register `of` has a row here. An entry is expected that is one of `where`, from `days` after
    the day `since` on, before the day `until`; of the rows here those `among` count. `show`: more columns of the
    register by which it is known. Entries without a key are not asked for.
    """
    other = context.models[of]
    names, more = [identifier(name) for name in their], [identifier(name) for name in show if name not in their]
    expected = [*_present(their), *_one_of(where)]
    if since:
        expected.append(f"({_old(context, since, days)})")
    if until:
        ends = day(context, until)
        expected.append(f"({identifier(until)} IS NULL OR {ends} > {_today(context)})")
    listed = ", ".join([*names, *(f"any_value({name}) AS {name}" for name in more)])
    register = f"SELECT {listed} FROM {other} WHERE {' AND '.join(expected)} GROUP BY {', '.join(names)}"
    here = _keys(context.relation, columns, among)
    shown = ", ".join(f"r.{name}" for name in [*names, *more])
    return f"SELECT {shown}, h.k0 IS NOT NULL AS _good FROM ({register}) r LEFT JOIN ({here}) h ON {_same('r', their)}"


@across(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def refers_to(
    context: Context,
    *,
    columns: list[Column],
    of: Relation,
    their: list[TheirColumn],
    where: Theirs = {},  # noqa: B006
    among: Ours = {},  # noqa: B006
    since: Column = "",
    days: Days = 0,
    show: list[Column] = [],  # noqa: B006
    tolerance: Tolerance = 0,
) -> str:
    """Each row `among` these refers to something that is in `of`, to one of `where` there; rows younger than `days` by
    `since` are given time. `show`: more columns by which a row is known. A row without all `columns` refers to nothing.
    """
    known = _keys(context.models[of], their, where)
    asked = [*_present(columns), *_one_of(among)]
    if since:
        asked.append(f"({_old(context, since, days)})")
    shown = ", ".join(f"d.{identifier(name)}" for name in dict.fromkeys([*show, *columns]))
    rows = f"SELECT * FROM {context.relation} WHERE {' AND '.join(asked)}"
    return f"SELECT {shown}, h.k0 IS NOT NULL AS _good FROM ({rows}) d LEFT JOIN ({known}) h ON {_same('d', columns)}"


@across(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def totals(
    context: Context,
    *,
    column: Column,
    by: list[Column],
    of: Relation,
    their: list[TheirColumn],
    amount: TheirColumn,
    where: Theirs = {},  # noqa: B006
    among: Ours = {},  # noqa: B006
    within: Annotated[float, Field(ge=0)] = 0,
    share: Annotated[float, Field(ge=0, le=1)] = 0,
    show: list[Column] = [],  # noqa: B006
    tolerance: Tolerance = 0,
) -> str:
    """What a row says for its `by` is the sum of `amount` over the rows of `of` with the same, give or take `within` or
    this `share` of it, whichever is more. Asked only where both say something: what is not there is told by `covers`.
    """
    names = [identifier(name) for name in by]
    keys = ", ".join(f"{identifier(name)} AS k{number}" for number, name in enumerate(their))
    counted = [*_present([*their, amount]), *_one_of(where)]
    sums = (
        f"SELECT {keys}, sum({identifier(amount)}) AS _sum FROM {context.models[of]} "
        f"WHERE {' AND '.join(counted)} GROUP BY {', '.join(identifier(name) for name in their)}"
    )
    asked = [*_present([*by, column]), *_one_of(among)]
    more = [identifier(name) for name in show if name not in (*by, column)]
    told, rows = identifier(column), f"SELECT * FROM {context.relation} WHERE {' AND '.join(asked)}"
    # sums of fractions are not exact: a millionth of the total is no difference
    allowed = f"greatest({within}, {share} * abs(d.{told}), 1e-6 * abs(d.{told}))"
    shown = ", ".join(f"d.{name}" for name in [*names, *more, told])
    good = f"abs(d.{told} - s._sum) <= {allowed} AS _good"
    return f"SELECT {shown}, s._sum AS {identifier(amount + '_sum')}, {good} FROM ({rows}) d JOIN ({sums}) s ON " + (
        " AND ".join(f"s.k{number} = d.{name}" for number, name in enumerate(names))
    )


@across(Kind.RANGE, Dimension.ACCURACY)
def near_others(
    context: Context,
    *,
    column: Column,
    by: list[Column] = [],  # noqa: B006
    season: Column = "",
    logarithmic: bool = False,
    deviations: Annotated[float, Field(ge=3)] = 8,
    fewest: Annotated[int, Field(ge=10)] = 30,
    among: Ours = {},  # noqa: B006
    show: list[Column] = [],  # noqa: B006
    tolerance: Tolerance = 0,
) -> str:
    """No value is further from the median of its group than so many deviations (1.4826 MAD, which a few wrong values
    hardly move); of their logarithms, if `logarithmic`: then only values above 0 are looked at. A group are the rows
    with the same values in `by`, and of the same month of the year by `season`, at least `fewest`; one in which most
    values are the same has no deviation and is not judged. Beside each value stand the median and how far is usual.
    """
    value = identifier(column)
    scaled = f"ln({value})" if logarithmic else f"cast({value} AS DOUBLE)"
    asked = [*_present([column]), *_one_of(among), *([f"{value} > 0"] if logarithmic else [])]
    month = f"month({day(context, season)})" if season else "0"
    groups = [*(identifier(name) for name in by), "_month"]
    listed, same = ", ".join(groups), " AND ".join(f"m.{name} IS NOT DISTINCT FROM v.{name}" for name in groups)
    rows = f"SELECT *, {scaled} AS _value, {month} AS _month FROM {context.relation} WHERE {' AND '.join(asked)}"
    middles = f"SELECT {listed}, median(_value) AS _median FROM ({rows}) GROUP BY {listed} HAVING count(*) >= {fewest}"
    placed = f"SELECT v.*, m._median FROM ({rows}) v JOIN ({middles}) m ON {same}"
    spread = f"{MAD} * median(abs(_value - _median))"
    spreads = f"SELECT {listed}, {spread} AS _spread FROM ({placed}) GROUP BY {listed} HAVING {spread} > 0"
    shown = ", ".join(f"v.{identifier(name)}" for name in dict.fromkeys([*show, *by, column]))
    far = f"{deviations} * m._spread"
    told = {"median": "v._median", "low": f"v._median - {far}", "high": f"v._median + {far}"}
    back = "exp" if logarithmic else ""
    usual = ", ".join(f"{back}({formula}) AS {identifier(f'{column}_{name}')}" for name, formula in told.items())
    good = f"abs(v._value - v._median) <= {far} AS _good"
    return f"SELECT {shown}, {usual}, {good} FROM ({placed}) v JOIN ({spreads}) m ON {same}"


def beyond(arguments: dict[str, Any], looked: int, failed: int) -> int:
    """How many failed, 0 while they are within the rule's tolerance."""
    tolerance = float(arguments.get("tolerance", 0))
    allowed = tolerance * looked if tolerance < 1 else tolerance
    return failed if failed > allowed else 0


def _keys(relation: str, columns: list[str], conditions: dict[str, list[str]]) -> str:
    """The different keys of some rows of a relation, as k0, k1, ..."""
    keys = ", ".join(f"{identifier(name)} AS k{number}" for number, name in enumerate(columns))
    return f"SELECT DISTINCT {keys} FROM {relation} WHERE {' AND '.join([*_present(columns), *_one_of(conditions)])}"


def _same(alias: str, columns: list[str]) -> str:
    return " AND ".join(f"h.k{number} = {alias}.{identifier(name)}" for number, name in enumerate(columns))


def _present(columns: list[str]) -> list[str]:
    return [f"{identifier(name)} IS NOT NULL" for name in columns]


def _one_of(conditions: dict[str, list[str]]) -> list[str]:
    return [f"cast({identifier(name)} AS VARCHAR) IN ({literals(values)})" for name, values in conditions.items()]


def _old(context: Context, column: str, days: int) -> str:
    """Whether a day is so many days ago, or unknown."""
    return f"{identifier(column)} IS NULL OR {day(context, column)} <= {_today(context, days)}"


def _today(context: Context, ago: int = 0) -> str:
    if context.today is None:
        return f"current_date - {ago}"
    return f"DATE {literal((context.today - timedelta(days=ago)).isoformat())}"
