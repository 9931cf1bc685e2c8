"""A source contract as SQL over raw: decode, clean, correct, cast, judge.

Text in, judged or decoded rows out; running it and storing the result belongs to `admit`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from pipelines.codecs import cleaning, functions, usual
from pipelines.codecs.local_time import instant, of_our_era
from pipelines.codecs.sql import identifier, literal, literals
from pipelines.codecs.texts import Shape
from pipelines.connectors.base import EMPTIED, ERASED, UNREAD
from pipelines.contracts.forms.sources import CorrectionForm
from pipelines.contracts.load import Column, Contracts, SourceContract, rule_context
from pipelines.contracts.rules import Context, Kind, Rule

ROW, FAILED, DIRTY = "_row", "_failed", "_dirty"
FRESH, TOLD = "fresh", "told"
"""Views of an append load: good events that core does not know, and those that it knows."""
UNREADABLE = "row.unreadable"
"""The rule that no contract names: the connector could not take the row apart, and kept it whole."""
ERASED_ROW = "row.erased"
"""The rule of a row that was withheld, for the person it is about was erased."""
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
    """One way a row can fail: `predicate` is SQL over the cast columns; false refuses the row.

    `after`: rules of which none may have failed, for one defect is told once. `alone`: the column, if it looks at
    nothing but what that was delivered as; `asked`: the rule of the contract, if it is one.
    """

    rule: str
    kind: Kind
    predicate: str
    after: tuple[str, ...] = ()
    alone: str | None = None
    asked: Rule | None = None


@dataclass(frozen=True)
class Cleared:
    """What is known of all rows that are to be judged: columns that are `clean` texts, `closed` days (see `Admission`)
    of which none is an open end, `rules` that no row fails, functions of identity numbers and codes whose answer for a
    column is `right`, and columns of texts for something else that are written as `usual` (see `codecs.usual`)."""

    clean: Collection[str] = ()
    closed: Collection[str] = ()
    rules: Collection[str] = ()
    right: Collection[tuple[str, str]] = ()
    usual: Collection[str] = ()

    def of(self, predicate: str) -> str:
        """A predicate as it is for such rows."""
        for name, column in self.right:
            predicate = functions.answered_right(predicate, name, column)
        return predicate


NOTHING = Cleared()


@dataclass(frozen=True)
class Admission:
    """A compiled contract. Bit i of mask i // 62 belongs to `judgements[i]`.

    What a row is worth and what it says are asked for apart, so that the values of a large delivery never have to stand
    in memory: only rows that change core are decoded once more.
    """

    contract: SourceContract
    judgements: tuple[Judgement, ...]
    replaced: frozenset[str]
    """Columns of which something else may be judged than what was delivered."""
    decode: Callable[..., Iterator[str]]
    carried: tuple[str, ...]
    history: Mapping[str, str]
    """Rules about events together -> query for the `_row` of those in `FRESH` that contradict others or `TOLD`."""
    watched: tuple[str, ...]
    """The columns that those rules look at."""
    stored: Mapping[str, str]
    """The columns that are stored as what they are, with their DuckDB types."""
    closed: frozenset[str]
    """The columns that are stored as days, and are what they are where that is no day that stands for none."""
    context: Context

    def judged(self, raw: str, kept: str, cleared: Cleared = NOTHING) -> str:
        """Every row of `raw` (see `raw_rows`): `_row` (its position), `_dirty` (whether a text may need cleaning),
        `kept` (SQL over the contract's columns), `_failed_0`, `_failed_1`, ... What is known of all of them is not
        asked again."""
        stored = {**self.stored, **dict.fromkeys(cleared.closed, "DATE")}
        decoding = self.decode(stored, self.carried, clean=cleared.clean, usually=cleared.usual)
        rows = _layered(f"SELECT * FROM {raw}", (*decoding, *self._judging(cleared)))
        return f"SELECT {ROW}, {DIRTY}, {kept}, {', '.join(self.masks)} FROM ({rows})"

    def decoded(self, rows: str, usually: Collection[str] = ()) -> str:
        """The contract's columns of some rows, with `_row` and `_op`. `rows`: raw rows with `_op` and `_dirty`.
        `usually`: columns of texts for something else that are written as usual in rows that are not dirty."""
        decoding = self.decode(self.stored, [ROW, "_op", DIRTY], usually=usually)
        return _layered(rows, (*decoding, f"{ROW}, _op, {self._names}"))

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

    @property
    def _names(self) -> str:
        return ", ".join(identifier(column.name) for column in self.contract.columns)

    def _judging(self, cleared: Cleared) -> Iterator[str]:
        """From typed columns to bit masks."""
        kept = f"{ROW}, {DIRTY}, {self._names}"
        answers = {
            judgement.rule: f"_good_{index}"
            for index, judgement in enumerate(self.judgements)
            if judgement.rule not in cleared.rules
        }
        asked = (
            f"{cleared.of(judgement.predicate)} AS {answers[judgement.rule]}"
            for judgement in self.judgements
            if judgement.rule in answers
        )
        yield ", ".join([kept, *asked])
        masks = (self.judgements[start : start + BITS] for start in range(0, len(self.judgements), BITS))
        yield f"{kept}, {', '.join(_mask(mask, answers, number) for number, mask in enumerate(masks))}"


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
    replaced = {*quarantined, *(one.column for one in contract.form.corrections)}
    judgements = tuple(_judgements(contract, context, raw, replaced))
    carried = (ROW, *(name for name in (UNREAD, ERASED, EMPTIED) if name in raw))
    stored = dict(_all_stored(contract, raw, quarantined, cleaning.SPELLING))
    but_open = _all_stored(contract, raw, quarantined, {*cleaning.SPELLING, "open_end"})
    closed = frozenset(name for name, kind in but_open if kind == "DATE" and name not in stored)
    decode = partial(_decoding, contract, contracts, quarantined)
    together = replace(context, relation=FRESH, previous=TOLD)
    events = [rule for rule in contract.rules if rule.about.scope == "history"]
    watched = tuple(dict.fromkeys(name for rule in events for name in rule.columns))
    history = {rule.id: rule.sql(together) for rule in events}
    return Admission(
        contract, judgements, frozenset(replaced), decode, carried, history, watched, stored, closed, context
    )


def raw_rows(raw: str) -> str:
    """The rows of a raw file, to stand after FROM; `file_row_number` is their position."""
    return f"read_parquet({literal(raw)}, file_row_number = true)"


def of_column(contract: SourceContract, column: Column) -> SourceContract:
    """A contract of one column, with the rules about nothing else; what is a geometry is not asked."""
    rules = tuple(rule for rule in contract.rules if rule.columns == (column.name,) and rule.about.scope == "row")
    form = contract.form.model_copy(update={"corrections": [], "ignored": []})
    return replace(contract, form=form, columns=(column,), derived=(), rules=rules)


def cleaned(columns: tuple[Column, ...], contracts: Contracts, rows: str) -> str:
    """Cleaned texts of some columns under their names in the contract, with `_row`. `rows`: a query of raw rows."""
    return _layered(
        rows,
        [_received(columns, (), ROW), _looked_at(columns, ROW, contracts), _cleaned(columns, ROW, contracts, _dirty)],
    )


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
    contract: SourceContract,
    contracts: Contracts,
    quarantined: Collection[str],
    stored: Mapping[str, str],
    carried: Sequence[str],
    clean: Collection[str] = (),
    usually: Collection[str] = (),
) -> Iterator[str]:
    """From raw values to typed columns. The rows say themselves which of them are dirty, unless that is not `carried`:
    then all are looked at, and say it afterwards; columns known to be `clean` are not. Columns written `usually` are so
    in all rows, or in those that say that they are not dirty."""
    texts = [column for column in contract.columns if column.name not in stored]
    kept = ", ".join([*carried, *map(identifier, stored)])
    yield _received(contract.columns, stored, ", ".join(carried), quarantined)
    read = partial(_read, contracts.city.timezone, usually, DIRTY in carried)
    if DIRTY in carried:
        yield _cleaned(texts, kept, contracts, lambda _: DIRTY)
    else:
        looked = [column for column in texts if column.name not in clean]
        kept = ", ".join([kept, *(identifier(column.name) for column in texts if column.name in clean)])
        yield _looked_at(looked, kept, contracts)
        looks = ", ".join(_dirty(column) for column in looked if column.clean)
        carried = [*carried, DIRTY]
        yield _cleaned(
            looked,
            f"{kept}, {f'coalesce(greatest({looks}), false)' if looks else 'false'} AS {DIRTY}",
            contracts,
            _dirty,
        )
    if contract.form.corrections:
        yield _corrected(contract, contracts.city.timezone, ", ".join(carried))
    yield _cast(contract.columns, stored, contracts.city.timezone, ", ".join(carried), read)


def _all_stored(
    contract: SourceContract, raw: Mapping[str, str], quarantined: Collection[str], steps: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The columns that need no reading unless for cleaning steps other than `steps`, none of which changes how a stored
    value prints, with the types in which they are stored. Those that corrections look at are compared as texts."""
    compared = {name for one in contract.form.corrections for name in (one.column, *one.where)}
    read = {*compared, *quarantined}
    for column in contract.columns:
        kind = raw.get(column.physical_name, "")
        fits = column.name not in read and kind in _STORED.get(column.definition.logicalType, ())
        if fits and all(step.verb in steps for step in column.clean):
            yield column.name, kind


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


def _looked_at(texts: Sequence[Column], kept: str, contracts: Contracts) -> str:
    """Texts as they are, and of each whether any of its cleaning steps may change it."""
    names = ", ".join(identifier(column.name) for column in texts)
    looks = (
        f"{cleaning.touched(identifier(column.name), shapes(column, contracts))} AS {_dirty(column)}"
        for column in texts
        if column.clean
    )
    return ", ".join(filter(None, [kept, names, *looks]))


def shapes(column: Column, contracts: Contracts) -> list[Shape]:
    """The shapes of the texts that the cleaning steps of a column may change."""
    steps = ((cleaning.steps[step.verb], step.arguments) for step in column.clean)
    return [verb.about(contracts.spellings, **arguments) for verb, arguments in steps]


def _cleaned(texts: Sequence[Column], kept: str, contracts: Contracts, condition: Callable[[Column], str]) -> str:
    """Texts with their cleaning steps done where a condition says that there may be something to do."""
    return ", ".join([kept, *(_clean(column, contracts, condition(column)) for column in texts)])


def _clean(column: Column, contracts: Contracts, condition: str) -> str:
    """A text with one step inside the other. A lambda names the text of a step, for a step may use it several times."""
    name = identifier(column.name)
    if not column.clean:
        return name
    value = name
    for step, shape in zip(column.clean, shapes(column, contracts), strict=True):
        changed = cleaning.steps[step.verb].function("t", contracts.spellings, **step.arguments)
        changed = f"CASE WHEN {cleaning.touched('t', [shape])} THEN {changed} ELSE t END"
        value = f"list_transform([{value}], lambda t: {changed})[1]"
    return f"CASE WHEN {condition} THEN {value} ELSE {name} END AS {name}"


def _dirty(column: Column) -> str:
    return identifier(f"{column.name}__dirty")


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


def _cast(
    columns: tuple[Column, ...],
    stored: Mapping[str, str],
    timezone: str,
    carried: str,
    read: Callable[[Column], str],
) -> str:
    """Types; a value that cannot be cast leaves NULL and itself beside it, for the type judgement."""
    parts = [carried]
    for column in columns:
        name, kind = identifier(column.name), column.definition.logicalType
        if kind != "string":
            parts.append(f"{name} AS {_text(column.name)}")
        typed = _taken_over(name, stored[column.name], timezone) if column.name in stored else None
        parts.append(f"{typed or read(column)} AS {name}")
    return ", ".join(parts)


def _read(timezone: str, usually: Collection[str], some_dirty: bool, column: Column) -> str:
    """The value of a cleaned text."""
    name, kind = identifier(column.name), column.definition.logicalType
    typed = _typed(name, kind, timezone)
    if column.name not in usually:
        return typed
    short = usual.read(name, kind, timezone)
    return f"CASE WHEN {DIRTY} THEN {typed} ELSE {short} END" if some_dirty else short


def _taken_over(value: str, kind: str, timezone: str) -> str:
    """A stored value as the contract's type: what its text would become."""
    if kind in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):  # infinite ones and those before our era have no text
        end = "9999-12-31" if kind == "DATE" else "9999-12-31 23:59:59.999999"
        taken = of_our_era(instant(value, timezone)) if kind == "TIMESTAMP" else value
        return f"CASE WHEN {value} BETWEEN {kind} '0001-01-01' AND {kind} '{end}' THEN {taken} END"
    if kind == "DOUBLE":
        return f"CASE WHEN isfinite({value}) THEN {value} + 0.0 END"  # not -0
    return f"cast({value} AS BIGINT)" if kind in _STORED["integer"] else value


def _typed(text: str, kind: str, timezone: str) -> str:
    if kind == "string":
        return text
    if kind == "date":
        return cleaning.date_of(text)
    if kind == "timestamp":
        return cleaning.time_of(text, timezone)
    if kind == "integer":
        return cleaning.integer_of(text)
    return cleaning.number_of(text) if kind == "number" else f"try_cast({text} AS {TYPES[kind]})"


def _judgements(
    contract: SourceContract, context: Context, raw: Collection[str], replaced: Collection[str]
) -> Iterator[Judgement]:
    """`raw`: the columns of the delivery; it may have rows that the connector could not take apart, and erased ones."""
    first: tuple[str, ...] = ()
    alone = {column.name: None if column.name in replaced else column.name for column in contract.columns}
    if ERASED in raw:
        yield Judgement(ERASED_ROW, Kind.FORMAT, f"{ERASED} IS NULL")
        first += (ERASED_ROW,)
    if UNREAD in raw:
        yield Judgement(UNREADABLE, Kind.FORMAT, f"{UNREAD} IS NULL", first)
        first += (UNREADABLE,)
    types = {
        column.name: f"{column.name}.type" for column in contract.columns if column.definition.logicalType != "string"
    }
    for name, read in types.items():
        asked = f"{identifier(name)} IS NOT NULL OR {_text(name)} IS NULL"
        yield Judgement(read, Kind.FORMAT, asked, first, alone[name])
    texts = [rule.id for rule in contract.rules if rule.verb == "wkt"]
    for rule in contract.rules:
        if rule.about.of_rows:
            after = (*first, *(types[name] for name in rule.columns if name in types))
            if rule.about.scope == "shape":  # of what is no geometry nothing else is told
                after += tuple(name for name in texts if name.partition(".")[0] in rule.columns)
            asked = rule.sql(context)
            if EMPTIED in raw:  # what was erased is missing by order
                emptied = f"list_has_any(string_split({EMPTIED}, ','), [{literals(rule.columns)}])"
                asked = f"(({asked}) OR coalesce({emptied}, false))"
            about = alone[rule.columns[0]] if len(rule.columns) == 1 else None
            yield Judgement(rule.id, rule.about.kind, asked, after, about, rule)


def _mask(judgements: Sequence[Judgement], answers: Mapping[str, str], number: int) -> str:
    """A bit for each judgement that is false; `answers`: the columns of those that were asked.

    Hardly a row fails, and whether one does is told for a quarter of what it costs to set the bits: least() knows false
    from true and overlooks NULL.
    """
    asked = {bit: judgement for bit, judgement in enumerate(judgements) if judgement.rule in answers}
    if not asked:
        return f"0::BIGINT AS {FAILED}_{number}"
    bits = []
    for bit, judgement in asked.items():
        after = (answers[rule] for rule in judgement.after if rule in answers)
        failed = " AND ".join([f"NOT {answers[judgement.rule]}", *after])
        bits.append(f"(coalesce({failed}, false)::BIGINT << {bit})")
    good = ", ".join(answers[judgement.rule] for judgement in asked.values())
    return f"CASE WHEN coalesce(least({good}), true) THEN 0::BIGINT ELSE {' | '.join(bits)} END AS {FAILED}_{number}"


def _text(name: str) -> str:
    return identifier(f"{name}__text")
