"""A source contract as SQL over raw: decode, clean, correct, cast, judge.

Text in, judged or decoded rows out; running it and storing the result belongs to `admit`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from pipelines.codecs import cleaning
from pipelines.codecs.sql import identifier, literal, where
from pipelines.connectors.base import UNREAD
from pipelines.contracts.load import Column, Contracts, SourceContract, rule_context
from pipelines.contracts.models import CorrectionForm
from pipelines.contracts.rules import Context, Kind, Rule

ROW, FAILED = "_row", "_failed"
FRESH, TOLD = "fresh", "told"
"""Views of an append load: good events that core does not know, and those that it knows."""
UNREADABLE = "row.unreadable"
"""The rule that no contract names: the connector could not take the row apart, and kept it whole."""
BITS = 62
"""Rules in one bit mask: a BIGINT without its sign and one spare."""

TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
}
"""The DuckDB type of each logical type."""
_STORED = {
    "integer": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
    "number": ("DOUBLE",),
    "boolean": ("BOOLEAN",),
    "date": ("DATE",),
    "timestamp": ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
}
"""What a source may store that is taken over as it is; everything else is read as the text that it prints as."""


@dataclass(frozen=True)
class Judgement:
    """One way a row can fail: `predicate` is SQL over the cast columns; false refuses the row."""

    rule: str
    kind: Kind
    predicate: str


@dataclass(frozen=True)
class Admission:
    """A compiled contract. Bit i of mask i // 62 belongs to `judgements[i]`.

    What a row is worth and what it says are asked for apart, so that the values of a large delivery never have to stand
    in memory: only rows that change core are decoded once more.
    """

    contract: SourceContract
    judgements: tuple[Judgement, ...]
    judging: tuple[str, ...]
    decoding: tuple[str, ...]
    history: Mapping[str, str]
    """Rules about events together -> query for the `_row` of those in `FRESH` that contradict others or `TOLD`."""
    watched: tuple[str, ...]
    """The columns that those rules look at."""

    def judged(self, raw: str, kept: str) -> str:
        """Every row of the Parquet file `raw`: `_row` (its position), `kept` (SQL over the contract's columns),
        `_failed_0`, `_failed_1`, ..."""
        rows = _layered(f"SELECT * FROM {raw_rows(raw)}", self.judging)
        return f"SELECT {ROW}, {kept}, {', '.join(self.masks)} FROM ({rows})"

    def decoded(self, rows: str) -> str:
        """The contract's columns of some rows, with `_row` and `_op`. `rows`: a query of raw rows and `_op`."""
        return _layered(rows, self.decoding)

    @property
    def masks(self) -> list[str]:
        """The names of the mask columns."""
        return [f"{FAILED}_{number}" for number in range((len(self.judgements) + BITS - 1) // BITS)]

    @property
    def accepted(self) -> str:
        """The condition of an accepted row."""
        return " AND ".join(f"{mask} = 0" for mask in self.masks)

    def failed(self, index: int) -> str:
        """The condition that judgement `index` failed."""
        return f"({FAILED}_{index // BITS} >> {index % BITS}) & 1 = 1"


def compile_contract(
    contract: SourceContract,
    contracts: Contracts,
    today: date,
    raw: Mapping[str, str] | None = None,
    quarantined: Collection[str] = (),
) -> Admission:
    """Compile a source contract for deliveries judged on `today`.

    `raw`: the columns of the delivery with their DuckDB types, by physical name; without it all are taken for texts.
    `quarantined`: columns whose values are not taken over.
    """
    raw = raw or {}
    context = rule_context(contracts, today=today)
    judgements = tuple(_judgements(contract, context))
    carried = [ROW]
    if UNREAD in raw:  # such a row is one defect: nothing else is said of it
        carried.append(UNREAD)
        readable = f"{UNREAD} IS NULL"
        others = (replace(one, predicate=where(one.predicate, readable)) for one in judgements)
        judgements = (Judgement(UNREADABLE, Kind.FORMAT, readable), *others)
    masks = (
        " | ".join(
            f"(coalesce(NOT ({judgement.predicate}), false)::BIGINT << {bit})"
            for bit, judgement in enumerate(judgements[start : start + BITS])
        )
        + f" AS {FAILED}_{start // BITS}"
        for start in range(0, len(judgements), BITS)
    )
    names = ", ".join(identifier(column.name) for column in contract.columns)
    decode = partial(_decoding, contract, contracts, raw, quarantined)
    judging = (*decode(", ".join(carried)), f"{ROW}, {names}, {', '.join(masks)}")
    decoding = (*decode(f"{ROW}, _op"), f"{ROW}, _op, {names}")
    together = replace(context, relation=FRESH, previous=TOLD)
    events = [rule for rule in contract.rules if rule.about.scope == "history"]
    watched = tuple(dict.fromkeys(name for rule in events for name in rule.columns))
    return Admission(contract, judgements, judging, decoding, {rule.id: rule.sql(together) for rule in events}, watched)


def raw_rows(raw: str) -> str:
    """The rows of a raw file, to stand after FROM; `file_row_number` is their position."""
    return f"read_parquet({literal(raw)}, file_row_number = true)"


def cleaned(columns: tuple[Column, ...], contracts: Contracts, rows: str) -> str:
    """Cleaned texts of some columns under their names in the contract, with `_row`. `rows`: a query of raw rows."""
    return _layered(rows, [_received(columns, (), ROW), *_cleaned(columns, contracts, ROW)])


def matches(column: Column, timezone: str, value: str | None) -> str:
    """The condition that a cleaned text is `value`, or however else it is written the same number, date or time."""
    name, kind = identifier(column.name), column.definition.logicalType
    if value is None:
        return f"{name} IS NULL"
    same = f"{name} = {literal(value)}"
    if kind == "string":
        return f"coalesce({same}, false)"
    return f"coalesce({same} OR {_typed(name, kind, timezone)} = {_typed(literal(value), kind, timezone)}, false)"


def concerns(contract: SourceContract, timezone: str, correction: CorrectionForm) -> str:
    """The condition on cleaned texts that a row has the key a correction names."""
    columns = {column.name: column for column in contract.columns}
    return " AND ".join(matches(columns[name], timezone, value) for name, value in correction.where.items())


def _layered(query: str, layers: Iterable[str]) -> str:
    for layer in layers:
        query = f"SELECT {layer} FROM ({query})"
    return query


def _decoding(
    contract: SourceContract, contracts: Contracts, raw: Mapping[str, str], quarantined: Collection[str], carried: str
) -> Iterator[str]:
    """From raw values to typed columns."""
    compared = {name for one in contract.form.corrections for name in (one.column, *one.where)}  # as texts
    read = {*compared, *quarantined}
    plain = [column for column in contract.columns if column.name not in read]
    stored = {column.name: kind for column in plain if (kind := _stored(column, raw))}
    yield _received(contract.columns, stored, carried, quarantined)
    yield from _cleaned(contract.columns, contracts, carried, stored)
    if contract.form.corrections:
        yield _corrected(contract, contracts.city.timezone, carried)
    yield _cast(contract.columns, stored, contracts.city.timezone, carried)


def _stored(column: Column, raw: Mapping[str, str]) -> str | None:
    """The type in which a source stored a value that needs no reading: no step would change how it prints."""
    kind = raw.get(column.physical_name)
    fits = kind in _STORED.get(column.definition.logicalType, ())
    return kind if fits and all(step.verb in cleaning.SPELLING for step in column.clean) else None


def _received(
    columns: tuple[Column, ...], stored: Collection[str], carried: str, quarantined: Collection[str] = ()
) -> str:
    """Every physical column under the contract's name, as text unless it is stored as what it is."""
    values = []
    for column in columns:
        value = "NULL" if column.name in quarantined else identifier(column.physical_name)
        taken = value if column.name in stored else f"cast({value} AS VARCHAR)"
        values.append(f"{taken} AS {identifier(column.name)}")
    return f"file_row_number AS {carried}, {', '.join(values)}"


def _cleaned(
    columns: tuple[Column, ...], contracts: Contracts, carried: str, stored: Collection[str] = ()
) -> Iterator[str]:
    """One layer per cleaning step, so that a step's text is written once however often the next step uses it."""
    texts = [column for column in columns if column.name not in stored]
    for place in range(max((len(column.clean) for column in texts), default=0)):
        steps = (_step(column, place, contracts) for column in texts)
        yield ", ".join([carried, *map(identifier, stored), *steps])


def _step(column: Column, place: int, contracts: Contracts) -> str:
    name = identifier(column.name)
    if place >= len(column.clean):
        return name
    step = column.clean[place]
    cleaned = cleaning.steps[step.verb].function(name, contracts.spellings, **step.arguments)
    return f"{cleaned} AS {name}"


def _corrected(contract: SourceContract, timezone: str, carried: str) -> str:
    """Cleaned texts, each replaced where a correction of the contract expects just this value in just this row."""
    parts = [carried]
    for column in contract.columns:
        whens = "".join(
            f" WHEN {concerns(contract, timezone, one)} AND {matches(column, timezone, one.expect)} "
            f"THEN {'NULL' if one.set is None else literal(one.set)}"
            for one in contract.form.corrections
            if one.column == column.name
        )
        name = identifier(column.name)
        parts.append(f"CASE{whens} ELSE {name} END AS {name}" if whens else name)
    return ", ".join(parts)


def _cast(columns: tuple[Column, ...], stored: Mapping[str, str], timezone: str, carried: str) -> str:
    """Types; a value that cannot be cast leaves NULL and itself beside it, for the type judgement."""
    parts = [carried]
    for column in columns:
        name, kind = identifier(column.name), column.definition.logicalType
        if kind != "string":
            parts.append(f"{name} AS {_text(column)}")
        typed = _taken_over(name, stored[column.name], timezone) if column.name in stored else None
        parts.append(f"{typed or _typed(name, kind, timezone)} AS {name}")
    return ", ".join(parts)


def _taken_over(value: str, kind: str, timezone: str) -> str:
    """A stored value as the contract's type: what its text would become."""
    if kind == "DATE":  # infinite days and those before our era have no text that is a day
        return f"CASE WHEN {value} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN {value} END"
    if kind == "TIMESTAMP":
        return f"timezone({literal(timezone)}, {value})"
    return f"cast({value} AS BIGINT)" if kind in _STORED["integer"] else value


def _typed(text: str, kind: str, timezone: str) -> str:
    if kind == "string":
        return text
    if kind == "date":
        return cleaning.date_of(text)
    if kind == "timestamp":
        # A time with a zone keeps it; a time without one is the city's.
        zoned = f"regexp_matches({text}, '(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$')"
        local = f"timezone({literal(timezone)}, try_cast({text} AS TIMESTAMP))"
        return f"CASE WHEN {zoned} THEN try_cast({text} AS TIMESTAMPTZ) ELSE {local} END"
    return f"try_cast({text} AS {TYPES[kind]})"


def _judgements(contract: SourceContract, context: Context) -> Iterator[Judgement]:
    typed = {column.name: column for column in contract.columns if column.definition.logicalType != "string"}
    for column in typed.values():
        readable = f"{identifier(column.name)} IS NOT NULL OR {_text(column)} IS NULL"
        yield Judgement(f"{column.name}.type", Kind.FORMAT, readable)
    for rule in contract.rules:
        if rule.about.scope == "row":
            yield Judgement(rule.id, rule.about.kind, _after_type(rule, typed, rule.sql(context)))


def _after_type(rule: Rule, typed: dict[str, Column], predicate: str) -> str:
    """A value that could not be cast is one defect: rules about it do not apply."""
    unread = [
        f"({identifier(name)} IS NULL AND {_text(typed[name])} IS NOT NULL)" for name in rule.columns if name in typed
    ]
    return where(predicate, f"NOT ({' OR '.join(unread)})") if unread else predicate


def _text(column: Column) -> str:
    return identifier(f"{column.name}__text")
