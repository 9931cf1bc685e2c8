"""The parsed query of a model: types, aliases and relations that the engines understand differently.

Belongs here: what needs the syntax tree of the compiled SQL in DuckDB's dialect. Does not belong here: words
(portable_tokens).
"""

from collections.abc import Collection, Iterator

from sqlglot import exp

from pipelines.lake.portable_tokens import Found

INTEGERS = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
FRACTIONS = (exp.DType.FLOAT, exp.DType.DOUBLE, exp.DType.DECIMAL)
TIMESTAMPS = (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.DATETIME)
SHOWN = 60  # characters of a construct in a message
BRANCHES = (exp.Paren, exp.Coalesce, exp.Nullif, exp.Case, exp.If, exp.Greatest, exp.Least, exp.Min, exp.Max)
ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg)
ENGINE_TYPED = (exp.Sum, exp.Avg, exp.Round, exp.Floor, exp.Ceil, exp.Sqrt, exp.RowNumber, exp.Rank, exp.DenseRank)
ENGINE_TYPED_PARTS = (exp.Year, exp.Month, exp.Day, exp.Extract, exp.Length, exp.DateTrunc, exp.TimestampTrunc)


def unportable_query(query: exp.Expr, relations: Collection[str]) -> Iterator[Found]:
    """Everything in a parsed model that the engines understand differently; lines are those of the compiled SQL.

    `relations` are what the model may read, as `schema.name`.
    """
    if not isinstance(query, exp.Query):
        yield _found("no_query", query)
        return
    yield from _relations(query, relations)
    for node in query.walk():
        if rule := _rule(node):
            yield _found(rule, node)
    for select in query.find_all(exp.Select):
        yield from _reused_aliases(select)
    yield from _outputs(query)


def _found(rule: str, node: exp.Expr) -> Found:
    lines = (part.meta["line"] for part in node.walk() if "line" in part.meta)
    return Found(rule, node.sql("duckdb")[:SHOWN], min(lines, default=None))


def _relations(query: exp.Query, relations: Collection[str]) -> Iterator[Found]:
    named = {cte.alias for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            yield _found("table_function", table)
        elif f"{table.db}.{table.name}" not in relations and (table.db or table.name not in named):
            yield _found("relation", table)


def _rule(node: exp.Expr) -> str | None:
    """The rule a single node breaks."""
    if isinstance(node, exp.Cast) and node.to.this in INTEGERS:
        if isinstance(node, exp.TryCast):
            return "try_cast"
        return "fraction" if _is_fraction(node.this) else None
    if isinstance(node, exp.Interval | exp.DateTrunc | exp.TimestampTrunc):
        return None if _cast_to_time(node) else "date_cast"
    if isinstance(node, exp.Avg | exp.Div) and not _is_exact_division(node):
        return "division"
    if isinstance(node, exp.Div | exp.Mod):
        return None if _is_never_zero(node.expression) else "zero_division"
    if isinstance(node, exp.Substring) and _number(node.args.get("start")) < 1:
        return "substr_start"
    if isinstance(node, exp.Window):
        return "range_frame" if _is_range_over_dates(node) else None
    return None


def _is_fraction(node: exp.Expr) -> bool:
    """Whether a value surely can have decimals. Of a bare column nothing is known."""
    if isinstance(node, exp.Round | exp.Floor | exp.Ceil):
        return False
    if isinstance(node, exp.Div | exp.Avg | exp.Sqrt):
        return True
    if isinstance(node, exp.Cast):
        return node.to.this in FRACTIONS
    if isinstance(node, exp.Literal):
        return not node.is_string and "." in node.name
    if isinstance(node, (*BRANCHES, *ARITHMETIC, exp.Sum)):
        return any(_is_fraction(part) for part in _values(node))
    return False


def _is_exact_division(node: exp.Avg | exp.Div) -> bool:
    """Whether no decimals can be divided: the engines keep different numbers of digits."""
    parts = [node.this] if isinstance(node, exp.Avg) else [node.this, node.expression]
    return any(_is_double(part) for part in parts) or all(_is_integer(part) for part in parts)


def _is_never_zero(node: exp.Expr) -> bool:
    """Whether a divisor is a number other than zero, or NULL where it would be zero."""
    if isinstance(node, exp.Literal):
        return float(node.name or 0) != 0
    return isinstance(node, exp.Nullif) or (isinstance(node, exp.Cast | exp.Paren) and _is_never_zero(node.this))


def _is_double(node: exp.Expr) -> bool:
    if isinstance(node, exp.Cast):
        return node.to.this in (exp.DType.FLOAT, exp.DType.DOUBLE)
    return isinstance(node, (*BRANCHES, *ARITHMETIC)) and any(_is_double(part) for part in _values(node))


def _is_integer(node: exp.Expr) -> bool:
    """Whether a value surely is a whole number of an integer type. Of a bare column nothing is known."""
    if isinstance(node, exp.Cast):
        return node.to.this in INTEGERS
    if isinstance(node, exp.Literal):
        return not node.is_string and node.name.isdigit()
    if isinstance(node, exp.Count | exp.Year | exp.Month | exp.Day | exp.Length):
        return True
    parts = isinstance(node, (exp.Paren, exp.Nullif, exp.Coalesce, exp.Add, exp.Sub, exp.Mul, exp.Neg))
    return parts and all(_is_integer(part) for part in _values(node))


def _values(node: exp.Expr) -> Iterator[exp.Expr]:
    """The parts of an expression that give it its value, without conditions."""
    for name, part in node.args.items():
        if isinstance(node, exp.If) and name == "this":
            continue
        yield from (item for item in (part if isinstance(part, list) else [part]) if isinstance(item, exp.Expr))


def _cast_to_time(node: exp.Expr) -> bool:
    """Whether a date computation stands inside a cast to date or timestamp, or in a window frame."""
    above = node.parent
    while isinstance(above, exp.Add | exp.Sub | exp.Paren | exp.DateTrunc | exp.TimestampTrunc):
        above = above.parent
    if isinstance(above, exp.Cast):
        return above.to.this in (exp.DType.DATE, *TIMESTAMPS)
    return isinstance(above, exp.WindowSpec)


def _number(node: exp.Expr | None) -> int:
    """A literal whole number; 1 for anything else."""
    if isinstance(node, exp.Neg):
        return -_number(node.this)
    return int(node.name) if isinstance(node, exp.Literal) and node.name.isdigit() else 1


def _is_range_over_dates(window: exp.Window) -> bool:
    frame, order = window.args.get("spec"), window.args.get("order")
    if frame is None or str(frame.args.get("kind")).lower() != "range" or not frame.find(exp.Interval):
        return False
    first = order.expressions[0].this if order else None
    return not (isinstance(first, exp.Cast) and first.to.this in TIMESTAMPS)


def _reused_aliases(select: exp.Select) -> Iterator[Found]:
    """Unqualified names that one engine takes for an alias of the same select."""
    aliases = {
        item.alias: item
        for item in select.expressions
        if isinstance(item, exp.Alias) and not any(column.name == item.alias for column in item.find_all(exp.Column))
    }
    places = [select.args.get(name) for name in ("where", "group", "having")] + select.expressions
    for place in places:
        for column in _own_columns(place) if place else ():
            if not column.table and column.name in aliases:
                yield _found("alias_reuse", column)


def _own_columns(node: exp.Expr) -> Iterator[exp.Column]:
    return (part for part in node.walk(prune=lambda part: isinstance(part, exp.Query)) if isinstance(part, exp.Column))


def _outputs(query: exp.Query) -> Iterator[Found]:
    selects = [query]
    while selects:
        select = selects.pop()
        if isinstance(select, exp.SetOperation):
            selects += [select.left, select.right]
        elif isinstance(select, exp.Subquery):
            selects.append(select.this)
        else:
            yield from (_found("output_type", item) for item in select.expressions if _is_engine_typed(item))


def _is_engine_typed(node: exp.Expr) -> bool:
    """Whether the engines give an output column different types: sums, arithmetic, parts of dates, ranks."""
    if isinstance(node, exp.Alias | exp.Window | exp.Filter):
        return _is_engine_typed(node.this)
    if isinstance(node, BRANCHES):
        return any(_is_engine_typed(part) for part in _values(node))
    return isinstance(node, (*ARITHMETIC, *ENGINE_TYPED, *ENGINE_TYPED_PARTS))
