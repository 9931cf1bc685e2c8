"""Loading: the files of `data_contracts/` put together and checked against each other.

Every mistake is told with file and line.
Nothing else reads YAML of `data_contracts/`. What is loaded is described in `resolved`, whose names are repeated here.
"""

import gc
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from pipelines.connectors.base import connectors
from pipelines.connectors.discovery import load_installed
from pipelines.connectors.formats import formats
from pipelines.contracts.authority import check_computed, resolve_authority
from pipelines.contracts.codelists import load_code_list, load_code_lists
from pipelines.contracts.corrections import check_corrections
from pipelines.contracts.counts import check_counts
from pipelines.contracts.deliveries import check_deliveries
from pipelines.contracts.forms.authority import AuthorityForm
from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.fields import FieldDefinition
from pipelines.contracts.forms.products import (
    ChannelColumn,
    ChannelForm,
    Channels,
    Notice,
    OrganisationRows,
    ProductForm,
    ProductLowering,
)
from pipelines.contracts.forms.sources import Append, SourceForm, WholeTable
from pipelines.contracts.forms.words import NAME, Name, Strict
from pipelines.contracts.joins import check_joins
from pipelines.contracts.located import Located, Place, read
from pipelines.contracts.mistakes import Noted, check_column, check_decided, check_known, error, structure_errors
from pipelines.contracts.product_checks import (
    check_bound,
    check_mask,
    check_moment,
    check_reasons,
    check_shown_until,
    check_unique,
)
from pipelines.contracts.resolve import Resolver
from pipelines.contracts.resolved import (
    ORGANISATIONS,
    PURPOSES,
    CodeList,
    Column,
    Contracts,
    Derived,
    Product,
    ProductContract,
    ShownColumn,
    SourceContract,
    Spellings,
    Step,
    purpose_texts,
    rule_context,
)
from pipelines.contracts.rules import Rule
from pipelines.contracts.source_checks import (
    check_across,
    check_erasure,
    check_ground,
    check_layer,
    check_linkage,
    check_load,
    check_physical,
)
from pipelines.messages import CitylakeError
from pipelines.privacy.masks import masks

__all__ = [
    "CodeList",
    "Column",
    "Contracts",
    "Derived",
    "Product",
    "ProductContract",
    "ShownColumn",
    "SourceContract",
    "Spellings",
    "Step",
    "load",
    "load_code_list",
    "rule_context",
]

T = TypeVar("T")
FIELDS = dict[Name, FieldDefinition]
"""The form of fields.yaml."""
RELEASES_SAY = 2
"""Counts up when releases say more of what they show: then every product is released once to say it."""
NOTICE_LEVEL = 2
"""What issues may say at most: they are told beyond the department that they are about."""
LAYERS = ("lib_", "mart_")
"""How the names of models with a contract begin."""


def load(root: Path) -> Contracts:
    """Read and check all contracts below `root`. Raises CitylakeError with the mistakes of all files, each with file
    and line, or for an installed connector that cannot be used. What depends on what is wrong is not looked at.

    What this process has read before is not read again while every byte is the same.
    """
    load_installed()
    return _loaded(root, stated(root), frozenset(connectors))


def stated(root: Path) -> str:
    """A hash of everything that the contracts below `root` are made of: names and bytes of files, hidden ones left
    out."""
    found = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in inside.parts):
            content = path.read_bytes()
            found.update(f"{inside.as_posix()}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


@lru_cache(maxsize=4)
def _loaded(root: Path, stated: str, installed: frozenset[str]) -> Contracts:
    collecting = gc.isenabled()
    gc.disable()  # nearly all that is made here stays, and would be looked through again and again: a third of the time
    try:
        return _Loader(root).load()
    finally:
        if collecting:
            gc.enable()


class _Loader:
    """One pass over `data_contracts/`; keeps what later files refer to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if not (root / "city.yaml").is_file():
            raise CitylakeError("contract.no_city", file=root / "city.yaml")
        noted = Noted()
        with noted:
            self.codes = load_code_lists(root / "codes")
            if "organisations" not in self.codes:
                raise CitylakeError("contract.no_file", file=root / "codes" / "organisations.csv")
            self.resolver = Resolver(self.codes)
            with noted:
                self.city = self._city(read(root / "city.yaml"))
            fields = read(root / "fields.yaml")
            self.resolver.add_fields(fields, _form(fields, FIELDS))
        if noted.found:
            self._check_forms(noted)
        noted.check()

    def _check_forms(self, noted: Noted) -> None:
        """The forms of all files, where what they mean cannot be asked."""
        with noted:
            _form(read(self.root / "city.yaml"), CityForm)
        with noted:
            _form(read(self.root / "fields.yaml"), FIELDS)
        for folder, form in (("sources", SourceForm), ("products", ProductForm)):
            with noted:
                for path in _files(self.root / folder):
                    with noted:
                        _form(read(path), form)

    def load(self) -> Contracts:
        """The whole of it."""
        noted = Noted()
        sources: list[SourceContract] = []
        products: list[ProductContract] = []
        with noted:
            for path in _files(self.root / "sources"):
                with noted:
                    sources.append(self._source(path))
        with noted:
            for path in _files(self.root / "products"):
                with noted:
                    products.append(self._product(path))
        noted.check()
        with noted:
            check_unique(products)
        known = {contract.form.model: [column.name for column in contract.columns] for contract in products}
        for file, place, model, columns in self.resolver.wanted_models:
            with noted:
                check_known(file, place, "model", model, known)
                for column in columns:
                    check_column(file, place, column, known[model])
        delivered = {source.id: [column.name for column in source.all_columns] for source in sources}
        for file, place, other, columns in self.resolver.wanted_sources:
            with noted:
                check_known(file, place, "source", other, delivered)
                for column in columns:
                    check_column(file, place, column, delivered[other])
        noted.check()
        contracts = Contracts(
            self.root,
            self.city,
            self.resolver.fields,
            self.codes,
            {source.id: source for source in sources},
            {product.form.model: product for product in products},
        )
        for product in products:
            with noted:
                check_computed(product, contracts)
        for source in sources:
            with noted:
                check_ground(source, contracts.sources)
            with noted:
                check_across(source, contracts.sources)
        if book := self.city.addressBook:
            city = read(self.root / "city.yaml")
            for key, named in book.model_dump().items():
                with noted:
                    check_known(city, ("addressBook", key), "source", named, contracts.sources)
        with noted:
            check_deliveries(self.root, contracts)
        with noted:
            contracts = self._with_authority(contracts)
        noted.check()
        return contracts

    def _with_authority(self, contracts: Contracts) -> Contracts:
        """A city whose libraries have one source each needs no matrix."""
        if not (self.root / "authority.yaml").is_file():
            return contracts
        file = read(self.root / "authority.yaml")
        return replace(contracts, authority=resolve_authority(file, _form(file, AuthorityForm), contracts))

    def _city(self, file: Located) -> CityForm:
        city = _form(file, CityForm)
        check_known(file, ("operator",), "organisation", city.operator, self.codes["organisations"].rows)
        for channel, policy in city.channels.items():
            place: Place = ("channels", channel, "maxLevel")
            check_known(file, place, "level", str(policy.maxLevel), [str(level) for level in city.levels])
        return city

    def _source(self, path: Path) -> SourceContract:
        file = read(path)
        form = _form(file, SourceForm)
        org = path.parent.name
        check_known(file, (), "organisation", org, self.codes["organisations"].rows)
        needed = [getattr(form.load, name) for name in ("order", "operation") if hasattr(form.load, name)]
        columns = self.resolver.columns(file, form.properties, [*form.load.key, *needed])
        derived = self.resolver.derived(file, form, columns)
        noted = Noted()
        with noted:
            check_physical(file, form, columns)
        with noted:
            check_load(file, form.load, columns)
            check_corrections(file, form, columns, self.codes)
        with noted:
            check_linkage(file, form, columns, derived)
        with noted:
            check_erasure(file, form, [*columns, *(item.column for item in derived)], form.load.key)
        for index, address in enumerate(form.addresses):
            for key, name in address.model_dump(exclude_none=True).items():
                with noted:
                    check_column(file, ("addresses", index, key), name, [column.name for column in columns])
        with noted:
            check_layer(file, form.layer, columns)
        cells, appends = False, isinstance(form.load, Append)
        with noted:
            connector = self._connector(file, form)
            own = connector.arguments.get("format")
            cells = own is not None and formats[own].about.cells
        with noted:  # judged before anything is derived
            rules = self.resolver.rules(file, form.quality, columns, appends, source=True, cells=cells)
        with noted:
            across = self.resolver.across(file, form.across, [*columns, *(item.column for item in derived)])
        noted.check()
        return SourceContract(
            id=f"{org}/{path.stem}",
            org=org,
            dataset=path.stem,
            path=path,
            form=form,
            columns=columns,
            derived=derived,
            rules=rules,
            connector=connector,
            hash=self._meaning(form, [*columns, *(item.column for item in derived)], rules),
            across=across,
        )

    def _connector(self, file: Located, form: SourceForm) -> Step:
        """The connector of a source, whose connection is known."""
        connector = self.resolver.call(file, ("connector",), connectors, form.connector)
        if "connection" in connector.arguments:
            place = ("connector", connector.verb, "connection")
            check_known(file, place, "connection", connector.arguments["connection"], self.city.connections)
        if connector.arguments.get("together") and isinstance(form.load, WholeTable):
            raise error("contract.together", file, ("connector", connector.verb, "together"), mode=form.load.mode)
        return connector

    def _product(self, path: Path) -> ProductContract:
        file = read(path)
        form = _form(file, ProductForm)
        library, dataset = path.parent.name, path.stem
        names = [f"{layer}{library}__{dataset}" for layer in LAYERS]
        if form.model not in names:
            raise error("contract.model_name", file, ("model",), name=form.model, expected=" / ".join(names))
        check_known(file, ("owner",), "organisation", form.owner, self.codes["organisations"].rows)
        check_reasons(file, form)
        columns = self.resolver.columns(file, form.properties, form.key)
        names = [column.name for column in columns]
        for index, name in enumerate(form.key):
            check_column(file, ("key", index), name, names)
        check_erasure(file, form, columns, form.key)
        self._check_lowered(file, form.lowered, columns)
        self._check_notice(file, form.notice, columns)
        for source, column in form.endedBy.items():
            self.resolver.wanted_sources.append((file, ("endedBy", source), source, [column]))
        check_shown_until(file, form, columns)
        key_rule = self.resolver.rule(file, ("key",), {"unique": {"columns": form.key}}, {}, names)
        judged = self.resolver.rules(file, form.quality, columns, events=False, source=False)
        rules = tuple({rule.id: rule for rule in (key_rule, *judged)}.values())
        views = list(self._views(file, form, columns))
        check_joins(file, rules, [(channel, found) for channel, _, found in views])
        shown = [column.column for _, _, found in views for column in found]
        meaning = self._meaning(form, [*columns, *shown], rules)
        contract = ProductContract(
            id=f"{library}/{dataset}",
            library=library,
            dataset=dataset,
            path=path,
            form=form,
            columns=columns,
            rules=rules,
            products=(),
            hash=self._released_by(form, meaning),
            meaning=meaning,
            advice=tuple(
                self.resolver.rule(file, ("advice", index), call, {}, names) for index, call in enumerate(form.advice)
            ),
        )
        products = tuple(
            Product(f"{channel}/{view.product}", channel, view.product, view, found, contract)
            for channel, view, found in views
        )
        object.__setattr__(contract, "products", products)  # the two point at each other
        return contract

    def _check_lowered(self, file: Located, lowered: ProductLowering | None, columns: Sequence[Column]) -> None:
        """A lowering names fields, or released models for their rows, and columns of the contract."""
        for index, name in enumerate(lowered.sources if lowered else ()):
            if name.startswith(LAYERS):
                self.resolver.wanted_models.append((file, ("lowered", "from", index), name, []))
            else:
                check_known(file, ("lowered", "from", index), "field", name, self.resolver.fields)
        for index, name in enumerate(lowered.columns if lowered else ()):
            check_column(file, ("lowered", "columns", index), name, [column.name for column in columns])

    def _check_notice(self, file: Located, notice: Notice | None, columns: Sequence[Column]) -> None:
        """What a notice groups by stands in issues, so none of it may be sensitive."""
        if notice is None:
            return
        levels = {column.name: column.definition.classification for column in columns}
        grouped = {"to": notice.to, "kind": notice.kind, "ends": notice.ends}
        for key, name in grouped.items():
            check_column(file, ("notice", key), name, levels)
            if levels[name] > NOTICE_LEVEL:
                told = {"name": name, "level": levels[name], "limit": NOTICE_LEVEL}
                raise error("contract.notice_level", file, ("notice", key), **told)
        check_known(file, ("notice", "departments"), "code list", notice.departments, self.codes)
        if (outcome := notice.outcome) is not None:
            wanted = [*grouped.values(), outcome.column]
            self.resolver.wanted_models.append((file, ("notice", "outcome"), outcome.model, wanted))

    def _views(
        self, file: Located, form: ProductForm, columns: Sequence[Column]
    ) -> Iterator[tuple[str, ChannelForm, tuple[ShownColumn, ...]]]:
        by_name = {column.name: column for column in columns}
        for channel in Channels.model_fields:
            view: ChannelForm | None = getattr(form.channels, channel)
            if view is not None:
                check_known(file, ("channels", channel), "channel", channel, self.city.channels)
                yield channel, view, self._view(file, form, channel, view, by_name)

    def _view(
        self,
        file: Located,
        form: ProductForm,
        channel: str,
        view: ChannelForm,
        columns: Mapping[str, Column],
    ) -> tuple[ShownColumn, ...]:
        place: Place = ("channels", channel)
        denied = {"sharing": form.share.type, "open": form.open.type}.get(channel, "")
        if denied.startswith("不予"):
            raise error("contract.share_denied", file, place, type=denied, channel=channel)
        shown: dict[str, ShownColumn] = {}
        for index, item in enumerate(view.properties):
            column = self._shown(file, (*place, "properties", index), channel, item, columns)
            if column.name in shown:
                raise error("contract.duplicate_key", file, (*place, "properties", index), key=column.name)
            shown[column.name] = column
        check_bound(file, place, form, channel, view, shown)
        if view.rows is not None:
            check_column(file, (*place, "rows"), view.rows, shown)
        if view.organisations is not None:
            self._check_organisations(file, (*place, "organisations"), view.organisations, shown)
        if view.lookup is not None:
            check_column(file, (*place, "lookup", "key"), view.lookup.key, shown)
        if view.release.notBefore is not None:
            check_moment(file, (*place, "release", "notBefore"), view.release.notBefore)
        if form.shownUntil is not None:
            until = shown.get(form.shownUntil)
            if until is None or until.mask is not None or until.source != form.shownUntil:
                raise error("contract.shown_until_hidden", file, (*place, "properties"), column=form.shownUntil)
        check_counts(file, place, view, shown)
        return tuple(shown.values())

    def _check_organisations(
        self, file: Located, place: Place, form: OrganisationRows, shown: Mapping[str, ShownColumn]
    ) -> None:
        """What grants are limited by must be shown as it is, and the list must say whose its codes are."""
        check_column(file, (*place, "column"), form.column, shown)
        if shown[form.column].mask is not None:
            raise error("contract.organisations_masked", file, (*place, "column"), column=form.column)
        check_known(file, (*place, "departments"), "code list", form.departments, self.codes)
        rows = self.codes[form.departments].rows.values()
        if form.departments != ORGANISATIONS and not all(row.get("organisation") for row in rows):
            raise error("contract.no_departments", file, (*place, "departments"), name=form.departments)

    def _shown(
        self, file: Located, place: Place, channel: str, item: str | ChannelColumn, columns: Mapping[str, Column]
    ) -> ShownColumn:
        form = ChannelColumn(name=item) if isinstance(item, str) else item
        source = form.source or form.name
        check_column(file, (*place, "from"), source, columns)
        level, definition = columns[source].level, columns[source].definition
        if channel == "open" and definition.schematic:
            raise error("contract.schematic", file, place, column=source)
        if form.mask is not None:
            check_mask(file, (*place, "mask"), form.mask, columns[source])
            level = min(level, masks[form.mask].about.level)
            if masks[form.mask].about.opens and (channel != "sharing" or definition.logicalType != "string"):
                raise error("contract.sealed", file, (*place, "mask"), column=form.name, mask=form.mask)
        self._check_purposes(file, place, form, columns[source])
        shown = columns[source] if form.name == source else self.resolver.column(file, place, form.name)
        made = definition.logicalType if form.mask is None else masks[form.mask].about.made
        if shown.definition.logicalType != made:
            told = {"column": form.name, "type": shown.definition.logicalType, "source": source, "made": made}
            raise error("contract.shown_type", file, place, mask=form.mask or "—", **told)
        covered = purpose_texts(self.codes.get(PURPOSES), form.purposes)
        purposes = (tuple(form.purposes), form.otherwise, covered)
        result = ShownColumn(form.name, source, form.mask, level, shown, *purposes)
        limit = self.city.channels[channel].limit(result.pseudonymised)  # type: ignore[index]
        if level > limit:
            raise error(
                "contract.channel_level", file, place, channel=channel, column=form.name, level=level, limit=limit
            )
        return result

    def _check_purposes(self, file: Located, place: Place, form: ChannelColumn, source: Column) -> None:
        """Purposes are known, and what is shown for others is a mask of the value itself."""
        known = self.codes[PURPOSES].rows if PURPOSES in self.codes else {}
        for index, name in enumerate(form.purposes):
            check_known(file, (*place, "purposes", index), "purpose", name, known)
        if form.otherwise is None:
            return
        at = (*place, "otherwise")
        opens = form.otherwise in masks and masks[form.otherwise].about.opens  # of values that are released plain
        if not form.purposes or form.mask is not None or source.definition.geometry is not None or opens:
            raise error("contract.otherwise", file, at, column=form.name, mask=form.otherwise)
        check_mask(file, at, form.otherwise, source)
        kind, made = source.definition.logicalType, masks[form.otherwise].about.made
        if kind != made:  # one name, and another type for each recipient
            told = {"column": form.name, "mask": form.otherwise, "type": kind, "made": made}
            raise error("contract.otherwise_type", file, at, **told)

    def _released_by(self, form: ProductForm, meaning: str) -> str:
        """SHA-256 of all by which the products of a contract are released anew: what it means, the texts of purposes
        where it names any, which levels ask for a second person, and what releases say of themselves."""
        texts = self.codes[PURPOSES].hash if _names_purposes(form) else None
        asking = sorted(level for level, said in self.city.levels.items() if said.approval)
        return hashlib.sha256(json.dumps([RELEASES_SAY, meaning, texts, asking]).encode()).hexdigest()

    def _meaning(self, form: Strict, columns: Sequence[Column], rules: Sequence[Rule]) -> str:
        """SHA-256 of all that the contract means: its own text, inherited fields and the code lists it uses."""
        listed = {step.arguments["codes"] for column in columns for step in column.clean if "codes" in step.arguments}
        listed |= {rule.arguments["codes"] for rule in rules if "codes" in rule.arguments}
        meaning = {
            "form": form.model_dump(mode="json", by_alias=True),
            "fields": {column.name: column.definition.model_dump(mode="json") for column in columns},
            "codes": {name: self.codes[name].hash for name in sorted(listed)},
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _names_purposes(form: ProductForm) -> bool:
    """Whether a contract shows a column for some purposes only; then it is released anew when the list changes."""
    if form.channels.sharing is None:
        return False
    columns = form.channels.sharing.properties
    return any(isinstance(column, ChannelColumn) and column.purposes for column in columns)


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)


def _form(file: Located, form: type[T]) -> T:
    if file.value is None:
        raise error("contract.empty", file, ())
    check_decided(file)
    adapter, noted = _adapter(form), Noted()  # type: ignore[arg-type]  # types and aliases are hashable
    try:
        checked: T = adapter.validate_python(file.value)
    except ValidationError as found:
        noted.found += structure_errors(file, found, adapter)
    noted.check()
    return checked


def _files(folder: Path) -> list[Path]:
    """The contracts of a folder. Raises CitylakeError for a file that would be overlooked."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    for path in paths:
        inside = path.relative_to(folder)
        if len(inside.parts) != 2 or path.suffix != ".yaml":
            raise CitylakeError("contract.stray_file", file=path, line=1)
        for name in (inside.parts[0], path.stem):
            if not NAME.fullmatch(name):
                raise CitylakeError("contract.file_name", file=path, line=1, name=name)
    return paths
