"""Where the cells of a released library row come from: department, dataset, batch and row, delivery, rule.

A row that only counts rows of another model, as its contract's `counts_rows` says, is explained by the rows it counts;
one of a model that does neither by what its SQL reads, and by the rows of that with the same key.

Belongs here: reading one released row back to the raw rows that it names. Does not belong here: how rows come to name
them (the models write `source_rows` and `attr_source`), and lineage of whole tables.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.admission.receive import RAW_FILE
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.authority import origin
from pipelines.contracts.load import Contracts, ProductContract
from pipelines.contracts.resolved import Claim, SourceContract
from pipelines.contracts.rules import Rule, counts_rows
from pipelines.linkage import tables
from pipelines.linkage.bearers import SHARED
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ingredients import Ingredient, built_by, ingredients
from pipelines.release.ledger import Recorded
from pipelines.release.person import moved_ids
from pipelines.release.rows import ReleasedRows
from pipelines.retention import ended
from pipelines.settings import Settings

ROWS, ATTRIBUTES = "source_rows", "attr_source"
"""The columns in which a library row keeps its books; they are not explained themselves."""

LISTED = 20
"""The most rows that are named of those that a row counts."""


@dataclass(frozen=True)
class Linked:
    """Why a raw row is about another person than the number in it names. `basis`: linked by its other marks, for want
    of a right number, by the `model` (its version) with a `weight` in bits and so many `ahead` of the next person (None
    without one), or by a steward; or its number is on two people, and it is known by itself (`shared`)."""

    basis: str
    model: str | None
    weight: float | None
    ahead: float | None


@dataclass(frozen=True)
class SourceRow:
    """A raw row that a library row was made from. `role` tells a second row of one dataset from the first; `delivered`
    and `origin` are what the receipt of its pull says; `linked` is there if no right number placed the row.
    """

    dataset: str
    organisation: str
    role: str
    batch: int
    number: int
    delivered: datetime | None
    origin: str | None
    linked: Linked | None = None


@dataclass(frozen=True)
class SourceCell:
    """One cell of a raw row. `column` is the contract's name of it, `physical` the source's own; `raw` is the value as
    delivered, None unless it was asked for.
    """

    row: SourceRow
    column: str
    physical: str
    raw: str | None


@dataclass(frozen=True)
class Cell:
    """One library cell. `value` is None unless it was asked for; `empty` says that it has none.

    `basis` is the rule by which the source was chosen, `confidence` how sure it is; `computed_from` are the columns a
    computed cell was made from.
    """

    column: str
    name: str
    empty: bool
    value: str | None
    basis: str | None
    confidence: str | None
    computed_from: tuple[str, ...]
    sources: tuple[SourceCell, ...]


@dataclass(frozen=True)
class CountedRow:
    """A row that another row counts: the raw rows it was made from, and its key, None unless values were asked for."""

    key: Mapping[str, str | None] | None
    sources: tuple[SourceRow, ...]


@dataclass(frozen=True)
class Counted:
    """What stands behind a count, or behind a row (`column` is None): the rows of `model` that have the row's own
    values in the columns `by`.

    `total` is how many there are in `version`, the one published when the count was; `rows` are the first `LISTED`.
    """

    column: str | None
    model: str
    version: int
    by: tuple[str, ...]
    total: int
    rows: tuple[CountedRow, ...]


@dataclass(frozen=True)
class Explanation:
    """A released row and the origin of its cells; of a row that counts others, those it counts. `made_of`: of a row
    with a cell of which no raw row is known, what its model reads; `alike`: the rows of that with the same key.
    `moved`: ids of persons in the key that was asked for that merged or were split since, by column the id of today, of
    which the row is."""

    model: str
    version: int
    edition: str
    released: datetime
    cells: tuple[Cell, ...]
    counted: Counted | None = None
    made_of: tuple[Ingredient, ...] = ()
    alike: tuple[Counted, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)


class Explainer:
    """Explains rows of what is published in one home. With `values`, it tells what stands in the cells."""

    def __init__(self, contracts: Contracts, settings: Settings, register: Register, values: bool = False) -> None:
        self.contracts = contracts
        self.lake, self.project = settings.lake, settings.dbt_project
        self.values = values
        self.receipts = Receipts(register, "explain")
        self.released = ReleasedRows(contracts, self.lake, register)

    def explain(
        self, model: str, key: Mapping[str, str], column: str | None = None, version: int | None = None
    ) -> Explanation:
        """The origin of every cell of one row, or of one column of it, in a version of its model (None: the published
        one). An id of a person that ended is found under that of today.

        The cells of a row that counts others have no raw rows of their own: `counted` leads to them, as `made_of` and
        `alike` do of whatever else names none.

        Raises CitylakeError for a model, column or row that does not exist, and for a key that fits several rows.
        """
        contract, entry = self.released.published_model(model)
        if version is not None and version != entry.version:
            entry = self.released.release(model, version)
        names = [name for name in self.released.columns(contract, entry.version) if name not in (ROWS, ATTRIBUTES)]
        for name in [*key, *([column] if column else [])]:
            if name not in names:
                raise CitylakeError("explain.no_column", model=model, column=name, known="、".join(names))
        there = self.released.count(contract, entry.version, key)
        moved = {} if there else moved_ids(self.released, contract, key)
        row = self.released.one(contract, entry.version, {**key, **moved})
        cells = tuple(self._cell(contract, row, name) for name in names if column in (None, name))
        rule = _counting(contract)
        counted = self._counted(rule, entry, row) if rule else None
        built = built_by(self.released, contract, entry, row)
        told = rule or (_has_books(contract) and all(map(_is_told, cells)))
        made_of = () if told else self._made_of(contract, built)
        alike = tuple(self._alike(contract, made_of, row))
        return Explanation(model, built.version or 0, built.edition, built.at, cells, counted, made_of, alike, moved)

    def _made_of(self, contract: ProductContract, built: Recorded) -> tuple[Ingredient, ...]:
        return tuple(ingredients(self.released, self.receipts, self.project, contract, built))

    def _counted(self, rule: Rule, entry: Recorded, row: Mapping[str, str | None]) -> Counted:
        """The rows that a row counts, in the version that was published when the count was."""
        contract, _ = self.released.published_model(rule.arguments["model"])
        beside = self.released.ledger.release_beside(contract.form.model, entry)
        if beside is None or beside.version is None:
            raise CitylakeError("explain.not_released", model=contract.form.model)
        return self._rows_with(rule.arguments["column"], contract, beside.version, tuple(rule.arguments["by"]), row)

    def _alike(
        self, contract: ProductContract, made_of: Sequence[Ingredient], row: Mapping[str, str | None]
    ) -> Iterator[Counted]:
        """The rows with the key of a row, of the models it is made from that have all columns of it."""
        for one in made_of:
            read, key = self.contracts.models.get(one.name), contract.form.key
            if read is not None and {*key} <= {column.name for column in read.columns}:
                yield self._rows_with(None, read, one.version, tuple(key), row)

    def _rows_with(
        self,
        column: str | None,
        contract: ProductContract,
        version: int,
        by: tuple[str, ...],
        row: Mapping[str, str | None],
    ) -> Counted:
        wanted = {name: row[name] for name in by}
        total = self.released.count(contract, version, wanted)
        order = ", ".join(identifier(name) for name in contract.form.key)
        rows = self.released.some(contract, version, wanted, f"ORDER BY {order} LIMIT {LISTED}")
        named = tuple(self._counted_row(contract, found) for found in rows)
        return Counted(column, contract.form.model, version, by, total, named)

    def _counted_row(self, contract: ProductContract, row: Mapping[str, str | None]) -> CountedRow:
        key = {name: row[name] for name in contract.form.key} if self.values else None
        return CountedRow(key, tuple(self._source_rows(row)))

    def _cell(self, contract: ProductContract, row: Mapping[str, str | None], name: str) -> Cell:
        title = next(item.definition.businessName for item in contract.columns if item.name == name)
        computed = contract.computed.get(name, ())
        rows, chosen = self._source_rows(row), json.loads(row.get(ATTRIBUTES) or "{}")
        claim = None if computed or row[name] is None else self._claim(contract, rows, chosen, name)
        known = row[name] is not None or bool(computed)
        found = self._sources(contract, rows, chosen, name, set()) if known else iter(())
        return Cell(
            column=name,
            name=title,
            empty=row[name] is None,
            value=row[name] if self.values else None,
            basis=claim.basis if claim else None,
            confidence=claim.confidence if claim else None,
            computed_from=computed,
            sources=tuple(dict.fromkeys(found)),
        )

    def _claim(
        self, contract: ProductContract, rows: Sequence[SourceRow], chosen: Mapping[str, str], name: str
    ) -> Claim | None:
        """The claim by which a cell has its value: of the source the row names for it, else of the first it has."""
        claims = self.contracts.authority.get(contract.id, {}).get(name, ())
        present = {row.dataset for row in rows} if name not in chosen else {chosen[name]}
        return next((claim for claim in claims if claim.source in present), None)

    def _sources(
        self,
        contract: ProductContract,
        rows: Sequence[SourceRow],
        chosen: Mapping[str, str],
        name: str,
        seen: set[tuple[str, str]],
    ) -> Iterator[SourceCell]:
        """The raw cells, among the rows a library row names, behind a column of a library.

        Those behind a computed column are found through the columns it is computed from, of whichever library.
        """
        if (contract.id, name) in seen:
            return
        seen.add((contract.id, name))
        if name == ROWS:
            yield from (self._source_cell(row, None) for row in rows)
        elif name in contract.computed:
            for found in map(origin, contract.computed[name]):
                yield from (self._source_cell(row, found.column) for row in rows if row.dataset == found.relation)
                library = contract if found.relation is None else self.contracts.models.get(found.relation)
                if library is not None:
                    yield from self._sources(library, rows, chosen, found.column, seen)
        else:
            claim = self._claim(contract, rows, chosen, name)
            column, dataset = (claim.column, claim.source) if claim else (name, self._dataset_with(rows, name))
            yield from (self._source_cell(row, column) for row in rows if (row.dataset, row.role) == (dataset, ""))

    def _source_rows(self, row: Mapping[str, str | None]) -> list[SourceRow]:
        """The raw rows that a library row names: {"<org>/<dataset>[#role]": "batch:row"}; a count names none."""
        return [self._source_row(name, place) for name, place in json.loads(row.get(ROWS) or "{}").items()]

    def _source_row(self, name: str, place: str) -> SourceRow:
        dataset, _, role = name.partition("#")
        batch, number = map(int, place.split(":"))
        pull = self.receipts.last(Stage.PULL, dataset, batch)
        noted = pull.body.get("origin") if pull else None
        owner = self.contracts.codes["organisations"].rows[self.contracts.sources[dataset].org]["name"]
        at = pull.at if pull else None
        return SourceRow(dataset, owner, role, batch, number, at, noted, self._linked(dataset, batch, number))

    def _linked(self, dataset: str, batch: int, number: int) -> Linked | None:
        """How a raw row came to its person, as the newest linkage that knows the row says."""
        if self.contracts.sources[dataset].form.linkage is None or tables.missing(self.lake):
            return None
        found = self.released.con.execute(
            f"SELECT coalesce(basis, why) AS told, model, weight, ahead FROM {tables.read(self.lake, tables.LINK)} "
            f"WHERE (basis IS NOT NULL OR why = '{SHARED}') AND dataset = {literal(dataset)} AND link_batch = {batch} "
            f"AND link_row = {number}"
        ).fetchone()
        return Linked(*found) if found else None

    def _dataset_with(self, rows: Sequence[SourceRow], name: str) -> str | None:
        """The first of the row's datasets that has a column of this name."""
        return next((item.dataset for item in rows if name in self._columns(item.dataset)), None)

    def _columns(self, dataset: str) -> list[str]:
        return [column.name for column in self.contracts.sources[dataset].all_columns]

    def _source_cell(self, row: SourceRow, column: str | None) -> SourceCell:
        """A raw cell; without a column the raw row as such, told by its key."""
        source = self.contracts.sources[row.dataset]
        name = column or source.form.load.key[0]
        physical = _physical(source, name)
        return SourceCell(row, name, physical, self._raw(source, row, physical) if self.values else None)

    def _raw(self, source: SourceContract, row: SourceRow, physical: str) -> str | None:
        """The value as delivered. Raises CitylakeError when the batch is no longer kept."""
        path = self.lake.raw(source.org, source.dataset) / str(row.batch) / RAW_FILE
        if not path.is_file():
            ended.require_raw(self.released.ledger, source, [row.batch])
            raise CitylakeError("explain.raw_gone", subject=source.id, batch=row.batch)
        read = f"read_parquet({literal(str(path))}, file_row_number = true)"
        query = f"SELECT CAST({identifier(physical)} AS VARCHAR) FROM {read} WHERE file_row_number = {row.number}"
        ((value,),) = self.released.con.execute(query).fetchall()
        return None if value is None else str(value)

    def __enter__(self) -> "Explainer":
        return self

    def __exit__(self, *_: object) -> None:
        self.released.con.close()


def _is_told(cell: Cell) -> bool:
    """Whether a cell's own row says where it is from. One that was joined to the row may not be."""
    return cell.empty or bool(cell.sources or cell.computed_from)


def _has_books(contract: ProductContract) -> bool:
    return ROWS in [column.name for column in contract.columns]


def _counting(contract: ProductContract) -> Rule | None:
    """The rule that says which rows of which model the rows of this one count."""
    return next((rule for rule in contract.rules if rule.verb == counts_rows.__name__), None)


def _physical(source: SourceContract, column: str) -> str:
    """The source's own name of a column; of a derived one, that of the column it is derived from."""
    derived = next((item for item in source.derived if item.column.name == column), None)
    wanted = derived.step.arguments["of"] if derived else column
    return next(item.physical_name for item in source.columns if item.name == wanted)
