"""SQL of what an erasure does to a row: whether it goes, and which of its cells are emptied.

Looked for are values as contracts read them: numbers, keys of rows, telephones. Nothing here reads or writes files.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.codecs import gb11643
from pipelines.codecs.sql import identifier, literal, literals
from pipelines.contracts.load import Column, Contracts, ProductContract, SourceContract
from pipelines.lake.edition import row_key

PERSON, NUMBER, NAME, MOBILE = "person", "id_number", "name", "mobile"
"""What fields.yaml calls columns of persons."""

Orders = Mapping[str, str]
"""By value the order by which it is erased."""


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    `numbers`: identity numbers. `keys`: by source the keys of rows that go. `linked`: those of them that go whatever
    number stands in them. `others`: by source the keys of rows in which a number stands that are about somebody else.
    `disputed`: those of the keys of rows that go under which somebody else's number stood too, before or after.
    `claims`: the person's in sources, `ids`: in libraries. `mobiles`: telephones that stand in no row about others.
    `names`: of the person. `subjects`: by name of a key the rows about something else in which the person stands
    (codes of firms).
    """

    numbers: Orders
    keys: Mapping[str, Orders] = field(default_factory=dict)
    linked: Mapping[str, Collection[str]] = field(default_factory=dict)
    others: Mapping[str, Collection[str]] = field(default_factory=dict)
    disputed: Mapping[str, Collection[str]] = field(default_factory=dict)
    claims: Collection[str] = ()
    ids: Collection[str] = ()
    mobiles: Orders = field(default_factory=dict)
    names: Collection[str] = ()
    subjects: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def marks(self) -> list[str]:
        """What must stand in no text any more that tells of persons by their ids, whatever the column."""
        return sorted({*self.numbers, *self.ids})

    @property
    def said(self) -> list[str]:
        """What must stand in no text of a source any more, whatever the column."""
        return sorted({*self.numbers, *self.claims})


@dataclass(frozen=True)
class Fate:
    """What becomes of rows. `goes`: SQL of the order by which a row goes, NULL if it stays; `cells`: by column the
    condition that it is emptied."""

    goes: str
    cells: Mapping[str, str]


def persons(contract: SourceContract) -> dict[str, str]:
    """The columns of a source with ids of persons, each with the column of the number that it is derived from."""
    derived = [item for item in contract.derived if item.column.definition.personal == PERSON]
    return {item.column.name: str(item.step.arguments["of"]) for item in derived}


def row_persons(contract: SourceContract) -> dict[str, str]:
    """Those of them whose row goes with the person."""
    cells = contract.form.erasure.cells
    return {person: number for person, number in persons(contract).items() if person not in cells}


def of_kind(columns: Iterable[Column], kind: str) -> list[str]:
    """The columns of one kind of personal data."""
    return [column.name for column in columns if column.definition.personal == kind]


def referring(contracts: Contracts, contract: SourceContract) -> dict[str, str]:
    """Of a source without persons: the columns that are the key of a source whose rows go, with that source."""
    if persons(contract):
        return {}
    targets = {
        other.form.load.key[0]: name
        for name, other in contracts.sources.items()
        if len(other.form.load.key) == 1 and row_persons(other)
    }
    return {column.name: targets[column.name] for column in contract.columns if column.name in targets}


def of_source(contract: SourceContract, contracts: Contracts, wanted: Wanted) -> Fate:
    """The fate of the rows of a source, over the contract's delivered columns."""
    key, keys = row_key(contract.form.load.key), wanted.keys.get(contract.id, {})
    others = wanted.others.get(contract.id, ())
    elsewhere = _among(key, others)
    about = row_persons(contract)
    whole = [
        _order(identifier(number), wanted.numbers, f"NOT coalesce({elsewhere}, false)") for number in about.values()
    ]
    if keys:
        # a key may have become somebody else's since
        right = _names_somebody(about.values())
        ours = _among(key, wanted.linked.get(contract.id, ()))
        whole.append(_order(key, keys, f"({ours} OR NOT {right})"))
    for column, source in referring(contracts, contract).items():
        whole.append(_order(identifier(column), wanted.keys.get(source, {})))
    cells: dict[str, list[str]] = {}
    for person, names in contract.form.erasure.cells.items():
        number = persons(contract)[person]
        for name in {number, person, *names}:
            cells.setdefault(name, []).append(_among(identifier(number), wanted.numbers))
    for person, number in about.items():
        for name in (number, person):
            cells.setdefault(name, []).append(f"{_among(identifier(number), wanted.numbers)} AND {elsewhere}")
    for name in of_kind(contract.columns, MOBILE):
        cells.setdefault(name, []).append(f"{_among(identifier(name), wanted.mobiles)} AND NOT {told_of(contract)}")
    return Fate(_first(whole), {name: _either(conditions) for name, conditions in cells.items()})


def told_of(contract: SourceContract) -> str:
    """SQL of whether a row of a source says whom it is about: a right number of anybody stands in it. What else stands
    in such a row is that person's too; without one, a telephone that only one person has tells who it is."""
    return _names_somebody(persons(contract).values())


def _names_somebody(numbers: Iterable[str]) -> str:
    right = " OR ".join(gb11643.content_right(identifier(number)) for number in numbers) or "false"
    return f"coalesce({right}, false)"


def of_model(contract: ProductContract, contracts: Contracts, wanted: Wanted, columns: Collection[str]) -> Fate:
    """The fate of the rows of a released model, over those of its columns that a file has.

    Where no id stands, for the model has none or the number was on two people then: rows with the key of a source's row
    that goes, if the contract says that they hold personal data; and the person's name in what is told of firms.
    """
    order = next(iter(wanted.numbers.values()), "")
    ids = [name for name in of_kind(contract.columns, PERSON) if name in columns]
    texts = [column.name for column in contract.columns if column.definition.logicalType == "string"]
    texts = [name for name in texts if name in columns]
    emptied = contract.form.erasure.cells
    gone = {name: order for name in wanted.ids}
    whole = [_order(identifier(name), gone) for name in ids if name not in emptied]
    cells: dict[str, list[str]] = {}
    for person, names in emptied.items():
        if person in columns:
            for name in {person, *names} & set(columns):
                cells.setdefault(name, []).append(_among(identifier(person), wanted.ids))
            for name in {*names} & {*texts}:
                for told in _told_of_subjects(name, wanted, columns):
                    cells.setdefault(name, []).append(f"{identifier(person)} IS NULL AND {told}")
    if {"source_dataset", "source_key"} <= set(columns):
        whole.append(by_source_key("source_dataset", "source_key", wanted))
    if of_kind(contract.columns, PERSON):
        whole += _without_id(contract, contracts, wanted, texts, [name for name in ids if name not in emptied])
    else:
        if any(column.definition.personal for column in contract.columns):
            for source, keys in wanted.keys.items():
                named = contracts.sources[source].form.load.key
                if len(named) == 1 and named[0] in columns and row_persons(contracts.sources[source]):
                    whole.append(_order(identifier(named[0]), keys))
        for name in texts:
            for told in _told_of_subjects(name, wanted, columns):
                cells.setdefault(name, []).append(told)
    return Fate(_first(whole), {name: _either(conditions) for name, conditions in cells.items()})


def _told_of_subjects(name: str, wanted: Wanted, columns: Collection[str]) -> list[str]:
    """SQL, by key of subjects, of whether a text is the person's name in a row about such a subject."""
    return [
        f"{_among(identifier(key), subjects)} AND {_among(identifier(name), wanted.names)}"
        for key, subjects in wanted.subjects.items()
        if key in columns and key != name
    ]


def _without_id(
    contract: ProductContract, contracts: Contracts, wanted: Wanted, texts: Collection[str], ids: Collection[str]
) -> list[str]:
    """SQL of the orders by which rows of a model with persons go though no id stands in them: those that were made, one
    from one, of a source's row that goes. A disputed key does not say whose the row is, so there the name must too."""
    orders = []
    for source, keys in wanted.keys.items():
        key = contracts.sources[source].form.load.key
        if key != contract.form.key or len(key) != 1 or not {key[0], "source_rows"} <= {*texts}:
            continue
        if row_persons(contracts.sources[source]):
            position = f'"{source}":'
            made = f"contains(source_rows, {literal(position)})"
            nobody = [f"{identifier(name)} IS NULL" for name in ids]
            named = " OR ".join(_among(identifier(name), wanted.names) for name in texts if name != key[0]) or "false"
            ours = f"(NOT {_among(identifier(key[0]), wanted.disputed.get(source, ()))} OR coalesce({named}, false))"
            orders.append(_order(identifier(key[0]), keys, " AND ".join([made, *nobody, ours])))
    return orders


def by_source_key(dataset: str, key: str, wanted: Wanted) -> str:
    """SQL of the order by which a row goes that names a row of a source."""
    return _first(
        _order(identifier(key), keys, same)
        for source, keys in wanted.keys.items()
        for same in [f"{identifier(dataset)} = {literal(source)}"]
    )


def swept(fate: Fate, texts: Sequence[str], marks: Collection[str]) -> Fate:
    """A fate that also empties every text in which a mark of the person stands."""
    cells = dict(fate.cells)
    for name in texts if marks else ():
        found = " OR ".join(f"contains({identifier(name)}, {literal(mark)})" for mark in marks)
        cells[name] = _either([*filter(None, [cells.get(name)]), found])
    return Fate(fate.goes, cells)


def _order(value: str, orders: Orders, condition: str = "true") -> str:
    if not orders:
        return "NULL"
    told = f"MAP {{{', '.join(f'{literal(one)}: {literal(order)}' for one, order in orders.items())}}}[{value}]"
    return f"CASE WHEN {_among(value, orders)} AND {condition} THEN {told} END"


def _first(orders: Iterable[str]) -> str:
    found = [order for order in orders if order != "NULL"]
    return f"CAST(coalesce({', '.join(found)}) AS VARCHAR)" if found else "CAST(NULL AS VARCHAR)"


def _among(value: str, found: Collection[str]) -> str:
    return f"{value} IN ({literals(sorted(found))})" if found else "false"


def _either(conditions: Sequence[str]) -> str:
    return f"coalesce({' OR '.join(f'({one})' for one in conditions)}, false)"
