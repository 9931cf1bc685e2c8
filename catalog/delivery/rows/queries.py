"""SQL of a question: text made of checked names only, every value a bound parameter.

Pages are by key, not by number: a page begins after the values of the last row before it, in the order asked for,
NULL last, and at the end the position of the row, so that no two rows share a place.
"""

from dataclasses import dataclass
from pathlib import Path

from catalog.delivery.rows.columns import Column
from catalog.delivery.rows.cursors import Place
from catalog.delivery.rows.question import OPERATORS, Aggregate, Filter, Order, Question
from pipelines.codecs.sql import identifier, literal

POSITION = Column("file_row_number", "integer", "BIGINT", (63,))
FEW = 20_000
"""Rows up to which a page is cut by LIMIT, which ends the reading but holds all its rows in memory to keep their order.
More rows are cut at a place that is looked for before, and stream."""


@dataclass(frozen=True)
class Query:
    """SQL text with a question mark for each parameter."""

    text: str
    parameters: tuple[str, ...] = ()


def place_column(number: int) -> str:
    """The name of an ordering column in a page: no contract's column has a space in its name."""
    return f"order {number}"


def orders(question: Question) -> tuple[Order, ...]:
    """All columns that order an answer, until no two rows are equal."""
    return question.order if question.aggregated else (*question.order, Order(POSITION))


def page(question: Question, file: Path, after: Place | None, rows: int) -> Query:
    """At most `rows` rows of a file after a place: the columns shown, then the ordering columns as text."""
    chosen = _chosen(question, file, after)
    text = f"SELECT {_shown(question)} FROM {chosen.text}{_order_by(question)} LIMIT {int(rows)}"
    return Query(text, chosen.parameters)


def streams(question: Question, rows: int) -> bool:
    """Whether a page of at most so many rows is to be cut at a place: `last` looks for it, `until` has the rows."""
    return rows > FEW and not question.aggregated


def last(question: Question, file: Path, after: Place | None, rows: int) -> Query:
    """The place of the row that is the `rows`th after a place, as text; no row if there are fewer."""
    chosen = _chosen(question, file, after)
    names = (identifier(order.column.name) for order in orders(question))
    ordered = f"SELECT {', '.join(names)} FROM {chosen.text}{_order_by(question)} LIMIT 1 OFFSET {int(rows) - 1}"
    return Query(f"SELECT {_places(question)} FROM ({ordered})", chosen.parameters)


def until(question: Question, file: Path, after: Place | None, end: Place | None) -> Query:
    """All rows of a file after a place up to another one, that included, as `page` has them; to the end without one."""
    chosen = _chosen(question, file, after)
    beyond = Query("FALSE") if end is None else _after(orders(question), end)
    text = f"SELECT {_shown(question)} FROM {chosen.text} AND NOT {beyond.text}{_order_by(question)}"
    return Query(text, (*chosen.parameters, *beyond.parameters))


def _chosen(question: Question, file: Path, after: Place | None) -> Query:
    """The rows after a place, as what stands behind FROM."""
    source = _source(question, file)
    begin = Query("TRUE") if after is None else _after(orders(question), after)
    return Query(f"({source.text}) WHERE {begin.text}", (*source.parameters, *begin.parameters))


def _shown(question: Question) -> str:
    return ", ".join([*(identifier(column.name) for column in question.shown), *filter(None, [_places(question)])])


def _places(question: Question) -> str:
    """The ordering columns as text."""
    return ", ".join(
        f"CAST({identifier(order.column.name)} AS VARCHAR) AS {identifier(place_column(number))}"
        for number, order in enumerate(orders(question))
    )


def _order_by(question: Question) -> str:
    """Nothing where rows come in the order of the file as it is: reading then ends with the last one wanted."""
    ordering = orders(question)
    if not ordering or ordering[0].column is POSITION:
        return ""
    by = ", ".join(f"{identifier(o.column.name)} {'DESC' if o.descending else 'ASC'} NULLS LAST" for o in ordering)
    return f" ORDER BY {by}"


def _source(question: Question, file: Path) -> Query:
    filters = [_filter(item) for item in question.filters]
    parameters = tuple(value for query in filters for value in query.parameters)
    where = f" WHERE {' AND '.join(query.text for query in filters)}" if filters else ""
    rows = f"read_parquet({literal(str(file))}, file_row_number = true){where}"
    if not question.aggregated:
        return Query(f"SELECT * FROM {rows}", parameters)
    keys = [identifier(column.name) for column in question.group]
    shown = ", ".join([*keys, *map(_aggregate, question.aggregates)])
    return Query(f"SELECT {shown} FROM {rows}{' GROUP BY ' if keys else ''}{', '.join(keys)}", parameters)


def _aggregate(item: Aggregate) -> str:
    of = "*" if item.column is None else identifier(item.column.name)
    return f"CAST({item.function}({of}) AS {item.output.sql}) AS {identifier(item.output.name)}"


def _filter(item: Filter) -> Query:
    name = identifier(item.column.name)
    if item.operator == "null":
        return Query(f"{name} IS {'' if item.values == ('true',) else 'NOT '}NULL")
    if item.operator == "in":
        return Query(f"{name} IN ({', '.join([_value(item.column)] * len(item.values))})", item.values)
    return Query(f"{name} {OPERATORS[item.operator]} {_value(item.column)}", item.values)


def _value(column: Column) -> str:
    return f"CAST(? AS {column.sql})"


def _after(ordering: tuple[Order, ...], place: Place) -> Query:
    """Whether a row comes after a place: equal in the first columns and later in the next one."""
    later, parameters, equal = list[str](), list[str](), Query("")
    for order, value in zip(ordering, place, strict=True):
        name = identifier(order.column.name)
        if value is not None:
            beyond = f"({name} {'<' if order.descending else '>'} {_value(order.column)} OR {name} IS NULL)"
            later.append(f"({equal.text}{beyond})")
            parameters += [*equal.parameters, value]
        same = f"{name} IS NULL" if value is None else f"{name} = {_value(order.column)}"
        values = () if value is None else (value,)
        equal = Query(f"{equal.text}{same} AND ", (*equal.parameters, *values))
    return Query(f"({' OR '.join(later) or 'FALSE'})", tuple(parameters))
