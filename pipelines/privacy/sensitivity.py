"""Whether models are as sensitive as their contracts say: derived levels against declared ones, and what lowers them.

The value of a column must not be above the level that its contract declares for it. What decides which rows a product
has, and which values stand in them, must not be above what the product's channel may show. Where honest SQL makes
something less sensitive, the field or the product contract says so (`lowered`); what says so in vain is a mistake.
Readers of a released model begin at what it declares, so nothing is lowered twice. Masks come after this: they work on
columns whose level is right.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pipelines.contracts.counts import FIGURES, counts_persons
from pipelines.contracts.dbt import BEFORE, LOG, generated
from pipelines.contracts.forms.fields import FieldDefinition
from pipelines.contracts.forms.products import OpenChannelForm
from pipelines.contracts.resolved import Column, Contracts, Product, ProductContract, SourceContract
from pipelines.lake.edition import CONTROL
from pipelines.lake.models import Model, incremental_sql, models, whole_sql
from pipelines.privacy.flows import NOTHING, Flow, Origins, Relation, merged
from pipelines.privacy.lineage import HIGHEST, UNKNOWN, Lineage, Origin, Step

ROWS = "*"
"""Stands for the rows of a relation where others have the name of a column."""
POSITION = "source_rows"
"""The field whose level control columns have: where a row lies."""
WITHOUT_NUMBERS = ("date", "boolean")
"""The logical types of which no value can hold an identity number."""

PREPARED: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "linkage.alias": (("claim",), {"claim": "person_id", "person_id": "person_id"}),
    "linkage.link": (
        ("dataset", "row_key"),
        {
            **{"dataset": "source_dataset", "row_key": "source_key", "person_id": "person_id"},
            **{"link_batch": POSITION, "link_row": POSITION, "why": "link_reason"},
        },
    ),
    "matched.address": (
        ("source_dataset", "source_key", "address_field"),
        {
            **{name: name for name in ("source_dataset", "source_key", "address_field", "address_id")},
            **{name: name for name in ("address_match_status", "address_match_basis", "matched_division")},
            **{"_batch": POSITION, "_row": POSITION},
        },
    ),
    "matched.position": (
        ("address_id",),
        {
            **{name: name for name in ("address_id", "position_county", "position_doubt")},
            **{"_batch": POSITION, "_row": POSITION},
        },
    ),
    "matched.layer": (
        ("source_dataset", "source_key"),
        {
            **{name: name for name in ("source_dataset", "source_key", "longitude", "latitude")},
            **{name: name for name in ("position_county", "position_doubt", "parcel_link")},
            **{"_batch": POSITION, "_row": POSITION},
        },
    ),
    **{f"lake.{name}": ((), {"as_of": "as_of", "edition_id": "known_in"}) for name in ("edition", "build")},
}
"""Tables that are made of core before models are built: their key, and of each column the field that it means. What is
not named here has the highest level."""


@dataclass(frozen=True)
class Problem:
    """Something that is more sensitive than it says, or says so in vain: a message id and what fills its places."""

    code: str
    arguments: Mapping[str, str | int]


@dataclass(frozen=True)
class Derived:
    """Derived levels of a column, or of the rows of a model: of its value, and of what decides which value it is."""

    value: int
    influence: int


@dataclass
class Sensitivity:
    """`sql`: the models in SQL, once for each way to build them."""

    contracts: Contracts
    graph: Mapping[str, Model]
    sql: Sequence[Mapping[str, str]]
    lineage: Lineage = field(init=False)
    drawn: Lineage = field(init=False)
    """The same models from end to end, with columns of schematic geometries above all others."""
    numbered: Lineage = field(init=False)
    """The same with columns of identity numbers above all others; a released date or yes/no cannot hold one, and ends
    the way."""
    attributed: Lineage = field(init=False)
    """The same with what registers of persons say of them above all others (`_attributes`)."""
    _by_relation: dict[str, ProductContract] = field(init=False)
    _of_figures: dict[str, frozenset[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_relation = {self.relation(name): found for name, found in self.contracts.models.items()}
        texts = {
            self.relation(name): list(dict.fromkeys(one[name] for one in self.sql if name in one))
            for name in self.graph
        }
        given = {**texts, **self._before()}
        self.lineage = Lineage(given, source_levels(self.contracts), _keys(self.contracts), self._declare)
        self.drawn = Lineage(given, source_levels(self.contracts, _schematic_level), _keys(self.contracts))
        numbers = source_levels(self.contracts, _number_level)
        self.numbered = Lineage(given, numbers, _keys(self.contracts), self._without_numbers)
        self.attributed = Lineage(given, _attributes(self.contracts), _keys(self.contracts))

    def relation(self, model: str) -> str:
        """The relation of a model; a model that is not there has none that anybody reads."""
        return f"{self.graph[model].layer}.{model}" if model in self.graph else model

    def problems(self) -> list[Problem]:
        """Everything that is wrong with any model, product or field."""
        found = list[Problem]()
        for contract in self.contracts.models.values():
            found += self._of_model(contract, {column.name for column in contract.columns})
            for product in contract.products:
                found += [*self._influence(product), *self._never(product)]
        return [*found, *self._idle()]

    def of_product(self, product: Product) -> list[Problem]:
        """What stands against a product: what its columns, its rows and its contract's lowering say wrongly."""
        shown = {column.source for column in product.columns}
        return [*self._of_model(product.contract, shown), *self._influence(product), *self._never(product)]

    def levels(self, model: str) -> dict[str, Derived]:
        """The derived levels of the columns of a model, and under ROWS those of its rows."""
        found, contract = self.lineage.derived(self.relation(model)), self.contracts.models.get(model)
        if found is None:
            names = [column.name for column in contract.columns] if contract else []
            return dict.fromkeys((ROWS, *names), Derived(HIGHEST, HIGHEST))
        level = self.lineage.level
        ways = {ROWS: (0, found.rows)}
        for name, _ in found.columns:
            ways[name] = (_flow(found, name).value, _influence(found, name))
        return {name: Derived(level(value), level(influence)) for name, (value, influence) in ways.items()}

    def highest(self, model: str, column: str, way: str) -> Origins:
        """The origins with the highest level that flow into a column, or ROWS: into its `value`, or as `influence`."""
        found = self.lineage.derived(self.relation(model))
        if found is None:
            return UNKNOWN
        flow = Flow() if column == ROWS else _flow(found, column)
        origins = flow.value if way == "value" else _influence(found, column)
        return self.lineage.above(origins, self.lineage.level(origins) - 1)

    def path(self, model: str, column: str, origins: Origins) -> list[Step]:
        """The way from a source column, one of these origins or what it is made from, to a column or to ROWS."""
        way = self.lineage.path(self.relation(model), None if column == ROWS else column, origins)
        while way[0].relation in self._by_relation:
            above = self._most(way[0])
            longer = self.lineage.path(way[0].relation, way[0].column, above) if above else way[:1]
            if len(longer) == 1:
                break
            way = [*longer[:-1], *way]
        return way

    def _most(self, step: Step) -> Origins:
        """The most sensitive origins of a column, or of rows; of a column by its value before what decides it."""
        found = self.lineage.derived(step.relation)
        if found is None:
            return UNKNOWN
        flow = _flow(found, step.column) if step.column is not None else Flow(decided=found.rows)
        for origins in (flow.value, flow.all):
            if level := self.lineage.level(origins) if origins else 0:
                return self.lineage.above(origins, level - 1)
        return 0

    # what stands against models and products

    def _of_model(self, contract: ProductContract, shown: Iterable[str]) -> Iterator[Problem]:
        """Columns whose values are above what is declared, and a lowering that does not fit."""
        model = contract.form.model
        found = self.lineage.derived(self.relation(model))
        if found is None:
            problem = self.lineage.problems.get(self.relation(model), model)
            yield Problem("lineage.not_understood", {"model": model, "found": problem, "level": HIGHEST})
            return
        for column in contract.columns:
            above = self._above(contract, column, _flow(found, column.name))
            if above and column.name in shown:
                told: dict[str, str | int] = {"model": model, "column": column.name, "declared": column.level}
                yield Problem("lineage.value_above", {**told, **self._told(model, column.name, above)})
        yield from self._misfit(contract, found)

    def _influence(self, product: Product) -> Iterator[Problem]:
        """What decides the rows and values of a product and is above its channel; the first of them."""
        contract, policy = product.contract, self.contracts.city.channels[product.channel]  # type: ignore[index]
        limit = policy.limit(any(column.pseudonymised for column in product.columns))
        found, lowered = self.lineage.derived(self.relation(contract.form.model)), contract.form.lowered
        if found is None:
            return
        for name in (ROWS, *dict.fromkeys(column.source for column in product.columns)):
            above = self.lineage.above(_influence(found, name), limit)
            if lowered is not None and lowered.to <= limit:
                above &= ~self._meant(above, lowered.sources)
            if above:
                told: dict[str, str | int] = {"product": product.id, "column": name, "limit": limit}
                yield Problem("lineage.influence_above", {**told, **self._told(contract.form.model, name, above)})
                return

    def _never(self, product: Product) -> Iterator[Problem]:
        """Columns of an open product that a schematic geometry or an identity number is in, or can be made into,
        whatever their level and whatever lowers it."""
        if product.channel != "open":
            return
        logical = {column.source: column.column.definition.logicalType for column in product.columns}
        texts = [name for name, type_ in logical.items() if type_ == "string"]
        yield from self._made_from(product, texts, self.drawn, "lineage.schematic")
        able = [name for name, type_ in logical.items() if type_ not in WITHOUT_NUMBERS]
        yield from self._made_from(product, able, self.numbered, "lineage.id_number")
        yield from self._identifying(product)
        yield from self._beside(product)

    def _identifying(self, product: Product) -> Iterator[Problem]:
        """Columns of an open product that are made from attributes of persons and that its contract neither counts by
        nor has reviewed; and reviewed ones that are made from none and are no numbers of persons."""
        form = product.form
        assert isinstance(form, OpenChannelForm)
        declared = set(form.anonymity.columns) if form.anonymity else set[str]()
        sources = {column.name: column.source for column in product.columns}
        found = self.lineage.derived(self.relation(product.contract.form.model))
        asked = [source for name, source in sources.items() if name not in declared | form.reviewed.keys()]
        yield from self._made_from(product, asked, self.attributed, "lineage.quasi_identifier")
        persons = {column.name for column in product.columns if counts_persons(column)}
        for name in sorted(form.reviewed.keys() - persons) if found is not None else ():
            if name not in sources or not any(self._made_from(product, [sources[name]], self.attributed, "")):
                yield Problem("lineage.reviewed_idle", {"product": product.id, "column": name})

    def _beside(self, product: Product) -> Iterator[Problem]:
        """Open tables of counts that are made from one register of persons with this product, or this one with them,
        and that do not name the other; what is named in vain, and what shows totals with less care."""
        if self._figures(product) & UNKNOWN:
            return  # closed anyhow, and nobody can say what it shares
        form = product.form.anonymity
        for counts, other in self._counted_together():
            if product.id in (counts.id, other.id) and other.id not in counts.form.anonymity.beside:  # type: ignore[union-attr]
                sources = "、".join(sorted(self._registers(counts) & self._registers(other)))
                yield Problem("lineage.counts_shared", {"product": counts.id, "other": other.id, "sources": sources})
        shared = {other.id: other for counts, other in self._counted_together() if counts.id == product.id}
        for name, one in form.beside.items() if form else ():
            if name not in shared:
                yield Problem("lineage.beside_idle", {"product": product.id, "other": name})
            elif (its := shared[name].form.anonymity) and one.totals and form and its.k < form.k:
                told: dict[str, str | int] = {"product": product.id, "other": name, "k": form.k, "less": its.k}
                yield Problem("lineage.totals_smaller", told)

    def _counted_together(self) -> Iterator[tuple[Product, Product]]:
        """Each open table of counts with each other open product that has figures from a register of persons which it
        counts."""
        products = [one for one in self.contracts.products.values() if one.channel == "open"]
        for counts in products:
            for other in products:
                if counts.form.anonymity and counts is not other and self._registers(counts) & self._registers(other):
                    yield counts, other

    def _registers(self, product: Product) -> frozenset[str]:
        """The sources that hold something of persons and that figures of a product are made from, in whatever way; all
        of them where that is not understood."""
        if product.id not in self._of_figures:
            found, persons = self._figures(product), _of_persons(self.contracts)
            sources = persons if found & UNKNOWN else {origin.relation for origin in self.drawn.named(found)}
            self._of_figures[product.id] = persons & sources
        return self._of_figures[product.id]

    def _figures(self, product: Product) -> Origins:
        """What flows into the figures of a product, in whatever way."""
        relation = self.drawn.derived(self.relation(product.contract.form.model))
        if relation is None:
            return UNKNOWN
        figures = (one for one in product.columns if one.column.definition.logicalType in FIGURES)
        return merged(_flow(relation, one.source) for one in figures).all

    def _made_from(self, product: Product, names: Iterable[str], lineage: Lineage, code: str) -> Iterator[Problem]:
        """Those columns into whose values something flows that a lineage puts above all else."""
        relation = self.relation(product.contract.form.model)
        found = lineage.derived(relation)
        if found is None:
            return
        for name in sorted(names):
            if origins := lineage.above(_flow(found, name).value, 1):
                path = shown_path(lineage.path(relation, name, origins))
                yield Problem(code, {"product": product.id, "column": name, "path": path})

    def _misfit(self, contract: ProductContract, found: Relation) -> Iterator[Problem]:
        """What a lowering names and need not."""
        lowered = contract.form.lowered
        if lowered is None:
            return
        by_name = {column.name: column for column in contract.columns}
        told: dict[str, str | int] = {"model": contract.form.model, "to": lowered.to}
        needed = self.lineage.above(_influences(found), lowered.to)
        for name in lowered.columns:
            above = self.lineage.above(_flow(found, name).value, by_name[name].level)
            needed |= above
            if not above:
                yield Problem("lineage.lowered_column", {**told, "column": name})
        meant = {self._meaning(origin) for origin in self.lineage.named(needed)}
        for source in lowered.sources:
            if source not in meant:
                yield Problem("lineage.lowered_idle", {**told, "source": source})

    def _idle(self) -> Iterator[Problem]:
        """Fields that say they are made from what they are made from nowhere, or from what is no more sensitive."""
        used = set[tuple[str, str]]()
        for relation, contract in self._by_relation.items():
            if (found := self.lineage.derived(relation)) is None:
                continue
            for column in contract.columns:
                above = self.lineage.above(_flow(found, column.name).value, column.level)
                used |= {(column.name, self._meaning(origin)) for origin in self.lineage.named(above)}
        for name, definition in self.contracts.fields.items():
            for source in definition.lowered.sources if definition.lowered else ():
                if (name, source) not in used:
                    yield Problem("lineage.field_idle", {"field": name, "source": source})

    def _above(self, contract: ProductContract, column: Column, flow: Flow) -> Origins:
        """The origins of a column's value that are above what is declared and that nothing lowers."""
        above = self.lineage.above(flow.value, column.level)
        lowered, group = column.definition.lowered, contract.form.lowered
        if above and group is not None and column.name in group.columns:
            above &= ~self._meant(above, group.sources)
        if above and lowered is not None:
            meant = self._meant(above, lowered.sources)
            above &= ~(meant if lowered.by != "generalised" else meant & ~flow.copied)
        return above

    def _meant(self, origins: Origins, names: Collection[str]) -> Origins:
        """Those of some origins that are one of these fields, or the rows of one of these models."""
        found = 0
        for origin in self.lineage.named(origins):
            if self._meaning(origin) in names:
                found |= self.lineage.origin(origin.relation, origin.column, origin.level)
        return found

    def _meaning(self, origin: Origin) -> str:
        """The field that a column of a source, or of a released model, is; of rows the name of the model."""
        if origin.column == ROWS:
            return origin.relation.partition(".")[2]
        if origin.column in CONTROL:
            return POSITION
        _, columns = PREPARED.get(origin.relation, ((), {}))
        return columns.get(origin.column, origin.column)

    def _told(self, model: str, column: str, origins: Origins) -> dict[str, str | int]:
        """Level and path of some origins, as messages say them."""
        level = self.lineage.level(origins)
        way = self.path(model, column, self.lineage.above(origins, level - 1))
        return {"level": level, "path": shown_path(way)}

    # what readers of released models begin at

    def _declare(self, relation: str, found: Relation) -> Relation:
        contract = self._by_relation.get(relation)
        if contract is None:
            return found
        columns = []
        for column in contract.columns:
            flow = _flow(found, column.name)
            own = self._above(contract, column, flow) or self.lineage.origin(relation, column.name, column.level)
            decided, counted = (self._kept(relation, contract, one) for one in (flow.decided, flow.counted))
            columns.append((column.name, Flow(own, 0, decided, counted)))
        return Relation(tuple(columns), self._kept(relation, contract, found.rows), frozenset(contract.form.key))

    def _without_numbers(self, relation: str, found: Relation) -> Relation:
        """A released model without what flows into columns that cannot hold an identity number."""
        contract = self._by_relation.get(relation)
        if contract is None:
            return found
        ends = {one.name for one in contract.columns if one.definition.logicalType in WITHOUT_NUMBERS}
        return Relation(tuple((name, NOTHING if name in ends else flow) for name, flow in found.columns), found.rows)

    def _kept(self, relation: str, contract: ProductContract, origins: Origins) -> Origins:
        """What readers of a model are told decides its rows and values: all that is no more sensitive than it says, or
        that it lowers, is its rows of that level."""
        lowered = contract.form.lowered
        if lowered is None:
            return origins
        above = self.lineage.above(origins, lowered.to)
        above &= ~self._meant(above, lowered.sources)
        if self.lineage.level(origins & ~above) == 1:
            return origins
        return above | self.lineage.origin(relation, ROWS, lowered.to)

    def _before(self) -> dict[str, list[str]]:
        """By relation what a history finds of its subject's earlier version: the columns of the subject."""
        found = {}
        for name, model in self.graph.items():
            if f"{BEFORE}.{name}" in model.sources:
                (subject,) = model.depends_on
                found[f"{BEFORE}.{name}"] = [f"select * from {self.relation(subject)}"]
        return found


def sensitivity(contracts: Contracts, project_dir: Path, cache: Path, day: date) -> Sensitivity:
    """That of a dbt project under contracts as they count on a day. `cache` keeps compiled SQL.

    Raises BuildFailed when the project does not compile.
    """
    files = generated(contracts, day)
    sql = [make(project_dir, cache, files) for make in (whole_sql, incremental_sql)]
    return Sensitivity(contracts, models(project_dir, cache, files), sql)


def shown_path(way: Sequence[Step]) -> str:
    """A path as one line."""
    return " → ".join(f"{step.relation}.{step.column or ROWS}" for step in way)


def _flow(found: Relation, name: str) -> Flow:
    """What flows into a column; of a column that the model lacks nothing is known."""
    return found.named(name) or Flow(UNKNOWN)


def _influence(found: Relation, name: str) -> Origins:
    """What decides the rows of a relation, or which value stands in a column."""
    if name == ROWS:
        return found.rows
    flow = _flow(found, name)
    return flow.decided | flow.counted


def _influences(found: Relation) -> Origins:
    """What decides the rows of a relation, or any value in them."""
    flow = merged(flow for _, flow in found.columns)
    return found.rows | flow.decided | flow.counted


def source_levels(
    contracts: Contracts, of: Callable[[FieldDefinition, int], int] = lambda definition, level: level
) -> dict[str, dict[str, int]]:
    """The levels of all columns that models find in sources, by relation; `of`: what counts for one."""
    level = {name: of(definition, definition.classification) for name, definition in contracts.fields.items()}
    levels = {
        relation: {column: level.get(meaning, HIGHEST) for column, meaning in columns.items()}
        for relation, (_, columns) in PREPARED.items()
    }
    for source in contracts.sources.values():
        found = {column.name: of(column.definition, column.level) for column in source.all_columns}
        found |= dict.fromkeys(CONTROL, level.get(POSITION, HIGHEST))
        levels |= {f"{_core(source)}{suffix}": found for suffix in ("", LOG)}
    return levels


def _number_level(definition: FieldDefinition, level: int) -> int:
    """The highest for an identity number, the lowest for all else."""
    return HIGHEST if definition.personal == "id_number" else 1


def _schematic_level(definition: FieldDefinition, level: int) -> int:
    """The highest for a geometry that is schematic, the lowest for all else."""
    return HIGHEST if definition.schematic else 1


def _attributes(contracts: Contracts) -> dict[str, dict[str, int]]:
    """The highest level for what a source that names persons says of level 2 or more, the lowest for all else."""
    levels = {relation: dict.fromkeys(columns, 1) for relation, columns in source_levels(contracts).items()}
    for source in contracts.sources.values():
        if any(column.definition.personal in ("person", "id_number") for column in source.all_columns):
            said = [column.name for column in source.all_columns if column.level > 1]
            for suffix in ("", LOG):
                levels[f"{_core(source)}{suffix}"] |= dict.fromkeys(said, HIGHEST)
    return levels


def _of_persons(contracts: Contracts) -> frozenset[str]:
    """The sources that hold something of persons: whom they name, or how to find them."""
    sources = contracts.sources.values()
    return frozenset(_core(one) for one in sources if any(column.definition.personal for column in one.all_columns))


def _keys(contracts: Contracts) -> dict[str, tuple[str, ...]]:
    """The keys of sources; a log has none."""
    keys = {relation: key for relation, (key, _) in PREPARED.items()}
    return keys | {_core(source): tuple(source.form.load.key) for source in contracts.sources.values()}


def _core(source: SourceContract) -> str:
    return f"core.{source.org}__{source.dataset}"
