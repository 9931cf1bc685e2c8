"""Contracts as the engine works with them: every name resolved, every argument bound. Plain data.

How they are read and checked is in `load`; how they are written is in `models`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.fields import FieldDefinition, ProductColumnForm
from pipelines.contracts.forms.products import ChannelForm, ProductForm
from pipelines.contracts.forms.sources import SourceForm
from pipelines.contracts.rules import Context, Rule
from pipelines.privacy.masks import masks

Spellings = Mapping[str, Mapping[str, str]]
ORGANISATIONS = "organisations"
"""The code list of the organisations that take part."""
PURPOSES = "purposes"
"""The code list of the purposes that contracts know."""


@dataclass(frozen=True)
class Step:
    """A call of a verb with bound arguments."""

    verb: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column with everything it inherits from fields.yaml. `level` is 1 (public) to 4."""

    name: str
    physical_name: str
    definition: FieldDefinition
    level: int
    required: bool
    unique: bool
    clean: tuple[Step, ...]
    description: str | None


@dataclass(frozen=True)
class Derived:
    """A column computed at admission from an accepted column."""

    column: Column
    step: Step


@dataclass(frozen=True)
class SourceContract:
    """What comes in. `id` is `<org>/<dataset>`."""

    id: str
    org: str
    dataset: str
    path: Path
    form: SourceForm
    columns: tuple[Column, ...]
    derived: tuple[Derived, ...]
    rules: tuple[Rule, ...]
    connector: Step
    hash: str
    across: tuple[Rule, ...] = ()
    """Rules about this source and others, asked after admission."""

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """Delivered columns, then derived ones: the columns of the core table."""
        return self.columns + tuple(item.column for item in self.derived)


@dataclass(frozen=True)
class ShownColumn:
    """A column of a channel: which column of the model it shows and through which mask."""

    name: str
    source: str
    mask: str | None
    level: int
    column: Column
    purposes: tuple[str, ...] = ()
    """Codes of the purposes for which it is shown so, none for any; for others through `otherwise`, or not at all."""
    otherwise: str | None = None
    covered: frozenset[str] = field(default=frozenset(), compare=False)
    """Every text of a grant that means one of these purposes; told of the list, not of the contract, if it changes."""

    @property
    def pseudonymised(self) -> bool:
        """Whether it shows keyed hashes only."""
        return self.mask is not None and masks[self.mask].about.needs_key and not self.sealed

    @property
    def sealed(self) -> bool:
        """Whether it shows values that only a key opens."""
        return self.mask is not None and masks[self.mask].about.opens


@dataclass(frozen=True)
class Product:
    """One channel's view of a released model. `id` is `<channel>/<product>`."""

    id: str
    channel: str
    name: str
    form: ChannelForm
    columns: tuple[ShownColumn, ...]
    contract: "ProductContract" = field(repr=False, compare=False)
    """Back to the contract; left out of comparison, which would never end."""


@dataclass(frozen=True)
class ProductContract:
    """What goes out: a released model. `id` is `<library>/<dataset>`; `products` are its channels."""

    id: str
    library: str
    dataset: str
    path: Path
    form: ProductForm
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    products: tuple[Product, ...]
    hash: str
    meaning: str
    """What releases that do not say what they show named as their contract."""
    advice: tuple[Rule, ...] = ()
    """Rules that do not close the gate; what they find is an issue of the owner."""

    @property
    def computed(self) -> dict[str, tuple[str, ...]]:
        """The columns that are computed, each with what it is computed from, as the contract writes it."""
        forms = [item for item in self.form.properties if isinstance(item, ProductColumnForm)]
        return {form.name: tuple(form.transformSourceObjects) for form in forms if form.transformSourceObjects}


@dataclass(frozen=True)
class Claim:
    """A source that may say what a field of a library is: with which column, on what basis and how surely, on which
    days."""

    source: str
    column: str
    basis: str
    confidence: str
    since: date
    until: date | None

    def counts(self, day: date) -> bool:
        """Whether it may on this day; the first and the last day count."""
        return self.since <= day and (self.until is None or day <= self.until)


Authority = Mapping[str, Mapping[str, tuple[Claim, ...]]]
"""The matrix 一数一源: product contract -> column -> claims, the first that has a value wins."""


@dataclass(frozen=True)
class CodeList:
    """A code list: its rows by code, and every spelling that means a code."""

    name: str
    rows: Mapping[str, Mapping[str, str]]
    spellings: Mapping[str, str]
    hash: str


@dataclass(frozen=True)
class Contracts:
    """All contracts of a city."""

    root: Path
    city: CityForm
    fields: Mapping[str, FieldDefinition]
    codes: Mapping[str, CodeList]
    sources: Mapping[str, SourceContract]
    models: Mapping[str, ProductContract]
    """By dbt model name."""
    authority: Authority = field(default_factory=dict)

    @property
    def shown_to_all(self) -> int:
        """The highest level that everybody may see: that of the open channel."""
        return self.city.channels["open"].limit(False)

    @cached_property
    def products(self) -> dict[str, Product]:
        """Every product of every channel, by `<channel>/<product>`."""
        return {product.id: product for contract in self.models.values() for product in contract.products}

    @cached_property
    def spellings(self) -> Spellings:
        """For cleaning: code list -> spelling -> code."""
        return {name: codes.spellings for name, codes in self.codes.items()}

    def codes_of_organisations(self, departments: str) -> dict[str, tuple[str, ...]]:
        """By organisation the codes that a list of departments gives it; in the list of organisations, its own."""
        found: dict[str, tuple[str, ...]] = {}
        for code, row in self.codes[departments].rows.items():
            organisation = code if departments == ORGANISATIONS else row.get("organisation", "")
            if organisation in self.codes[ORGANISATIONS].rows:
                found[organisation] = (*found.get(organisation, ()), code)
        return found

    @cached_property
    def purposes(self) -> dict[str, str]:
        """By every text that means a purpose, its code."""
        return _purposes(self.codes.get(PURPOSES))

    @cached_property
    def code_sets(self) -> dict[str, frozenset[str]]:
        """For rules: code list -> codes."""
        return {name: frozenset(codes.rows) for name, codes in self.codes.items()}


def purpose_texts(known: CodeList | None, codes: Collection[str]) -> frozenset[str]:
    """Every text that means one of these purposes."""
    return frozenset(text for text, code in _purposes(known).items() if code in codes)


def _purposes(known: CodeList | None) -> dict[str, str]:
    if known is None:
        return {}
    return {row["name"]: code for code, row in known.rows.items()} | dict(known.spellings)


def rule_context(contracts: Contracts, **about: Any) -> Context:
    """The context in which rules of these contracts are compiled."""
    return Context(lists=contracts.code_sets, timezone=contracts.city.timezone, **about)
