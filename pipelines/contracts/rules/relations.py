"""Rules that need more than one row: of a table as a whole, and of events one after another."""

from pipelines.codecs.sql import identifier, literals, repeated
from pipelines.contracts.rules.base import Context, Dimension, Kind, Values, history, table
from pipelines.verbs import Column, Model, SharedColumn


@table(Kind.DUPLICATE, Dimension.ACCURACY)
def unique(context: Context, *, columns: list[Column]) -> str:
    """No two rows agree in all `columns`; counts the rows beyond the first of each group. Rows with a NULL pass."""
    names = ", ".join(identifier(name) for name in columns)
    present = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in columns)
    rows = f"{context.relation} WHERE {present}"
    among = f"{rows} AND hash({names}) IN ({repeated(names, rows)})"
    groups = f"SELECT count(*) AS n FROM {among} GROUP BY {names} HAVING count(*) > 1"
    return f"(SELECT coalesce(sum(n - 1), 0) FROM ({groups}))"


@table(Kind.VOLUME, Dimension.COMPLETENESS)
def row_count(context: Context, *, minimum: int) -> str:
    """At least `minimum` rows; counts the missing ones."""
    return f"(SELECT greatest({minimum} - count(*), 0) FROM {context.relation})"


@table(Kind.VOLUME, Dimension.COMPLETENESS)
def volume_change(context: Context, *, maximum: float, rows: int = 0) -> str:
    """The row count moved by at most this share since the last release, or by at most so many rows: of a small table
    a share says nothing. Counts the rows beyond it. A count that a steward confirmed stands for that of the release."""
    if context.previous is None:
        return "0"
    now, last = (f"(SELECT count(*) FROM {relation})" for relation in (context.relation, context.previous))
    before = last if context.confirmed is None else str(context.confirmed)
    return f"greatest(cast(ceil(abs({now} - {before}) - greatest({before} * {maximum}, {rows})) AS BIGINT), 0)"


@table(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def sums_to(context: Context, *, column: Column, model: Model) -> str:
    """The column adds up to the row count of another model; counts the difference."""
    total = f"(SELECT coalesce(sum({identifier(column)}), 0) FROM {context.relation})"
    return f"abs({total} - (SELECT count(*) FROM {context.models[model]}))"


@table(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def counts_rows(context: Context, *, column: Column, model: Model, by: list[SharedColumn], placed: bool = False) -> str:
    """The column says how many rows of another model have the same values in `by`, and no such values are left out;
    counts the values for which it does not. `placed`: rows of the other model in which one of `by` is empty are counted
    nowhere. `citylake explain` follows a count to those rows.
    """
    return f"(SELECT count(*) FROM ({apart(context, column=column, model=model, by=by, placed=placed)}))"


def apart(context: Context, *, column: str, model: str, by: list[str], placed: bool = False) -> str:
    """The values of `by` for which a column says another number (`_said`) than another model has rows (`_counted`)."""
    names, number = ", ".join(identifier(name) for name in by), identifier(column)
    said = f"CASE WHEN count({number}) = count(*) THEN sum({number}) END"
    told = f"(SELECT {names}, {said} AS n FROM {context.relation} GROUP BY {names})"
    some = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in by if placed) or "true"
    there = f"(SELECT {names}, count(*) AS n FROM {context.models[model]} WHERE {some} GROUP BY {names})"
    same = " AND ".join(f"a.{identifier(name)} IS NOT DISTINCT FROM b.{identifier(name)}" for name in by)
    either = ", ".join(f"coalesce(a.{name}, b.{name}) AS {name}" for name in map(identifier, by))
    return (
        f"SELECT {either}, a.n AS _said, coalesce(b.n, 0) AS _counted "
        f"FROM {told} a FULL JOIN {there} b ON {same} WHERE a.n IS DISTINCT FROM coalesce(b.n, 0)"
    )


@history(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def one_open_per(
    context: Context,
    *,
    columns: list[Column],
    event: Column,
    opens: Values,
    closes: Values,
    at: Column,
    ended: list[Column],
    values: Values,
) -> str:
    """Nobody named in `columns` has two open at once: between two events that open lies one that closes.

    `event` says what an event is, `at` on which day it was; of one day the closing comes first. `ended` has one column
    for each of `columns`: where it holds one of `values`, what was open before had ended without an event (a spouse
    had died). Of two that contradict each other the later is at fault, unless it is known already. Who contradicts an
    event that is refused itself is refused with it: which of the two holds is for the department to say.
    """
    parts = [
        f"SELECT {row} AS _row, {identifier(column)} AS _who, {identifier(at)} AS _at, "
        f"{identifier(event)} IN ({literals(opens)}) AS _opens, "
        f"coalesce({identifier(free)} IN ({literals(values)}), false) AS _free "
        f"FROM {relation} WHERE {identifier(event)} IN ({literals([*opens, *closes])})"
        for relation, row in ((context.relation, "_row"), (context.previous or "", "NULL::BIGINT"))
        for column, free in zip(columns, ended, strict=True)
        if relation
    ]
    order = "PARTITION BY _who ORDER BY _at, _opens, _row NULLS FIRST"
    events = f"SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE _who IS NOT NULL AND _at IS NOT NULL"
    concerned = f"SELECT _who FROM ({events}) WHERE _row IS NOT NULL"
    beside = (
        f"SELECT *, lag(_opens) OVER ({order}) AS _before, "
        f"lead(_opens AND NOT _free AND _row IS NULL) OVER ({order}) AS _after "
        f"FROM ({events}) WHERE _who IN ({concerned})"
    )
    twice = "(_before AND NOT _free) OR _after"
    return f"SELECT DISTINCT _row FROM ({beside}) WHERE _row IS NOT NULL AND _opens AND ({twice})"


@history(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def preceded_by(context: Context, *, of: Column, event: Column, events: Values, needs: Values, at: Column) -> str:
    """Each event of one of the kinds `events` has one of the kinds `needs` about the same `of`, not after it.

    `event` says what an event is, `at` when it was. Nothing is asked of events without `of` or `at`.
    """
    about, when = identifier(of), identifier(at)
    told = _known_and_new(
        context, f"SELECT {about} AS _of, {when} AS _at", f"{identifier(event)} IN ({literals(needs)})"
    )
    first = f"SELECT _of, min(_at) AS _at FROM ({told}) GROUP BY _of"
    return (
        f"SELECT e._row FROM {context.relation} e LEFT JOIN ({first}) f ON f._of = e.{about} "
        f"WHERE e.{identifier(event)} IN ({literals(events)}) AND e.{about} IS NOT NULL AND e.{when} IS NOT NULL "
        f"AND (f._at IS NULL OR f._at > e.{when})"
    )


@history(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def adds_up_to(context: Context, *, column: Column, by: Column, total: float, tolerance: float = 0.0) -> str:
    """The values of all events with the same `by` add up to `total`, give or take `tolerance`.

    Which of them is wrong nobody can tell: the new ones are refused together, as is one of whose companions one was
    refused itself. Nothing is asked where none has a value.
    """
    group, number = identifier(by), identifier(column)
    told = _known_and_new(context, f"SELECT {group} AS _by, {number} AS _value")
    sums = f"SELECT _by, sum(_value) AS _sum FROM ({told}) GROUP BY _by"
    return (
        f"SELECT e._row FROM {context.relation} e JOIN ({sums}) s ON s._by = e.{group} "
        f"WHERE abs(s._sum - {total}) > {tolerance}"
    )


def _known_and_new(context: Context, selected: str, condition: str = "true") -> str:
    """What is selected of the new events and of those that were known before."""
    relations = filter(None, (context.relation, context.previous))
    return " UNION ALL ".join(f"{selected} FROM {relation} WHERE {condition}" for relation in relations)
