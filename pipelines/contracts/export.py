"""Complete Open Data Contract Standard (ODCS 3.2) documents, rendered from resolved contracts.

What ODCS has no slot for stands in customProperties. One way only: nothing is ever read back from an export.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from pipelines.contracts.export_quality import rule_entry
from pipelines.contracts.forms.products import ChannelForm, ProductForm
from pipelines.contracts.forms.sources import SourceForm
from pipelines.contracts.resolved import (
    Column,
    Contracts,
    Derived,
    Product,
    ProductContract,
    ShownColumn,
    SourceContract,
    Step,
)
from pipelines.contracts.rules import Rule, days_after_today

_ENUM_LIMIT = 100
"""Longer code lists are named, not spelt out."""

_PHYSICAL = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "boolean": "BOOLEAN",
}
# Update cycle of the catalogue -> value and unit (d days, mo months, y years); the others have no length.
_CYCLES = {
    "每日": (1, "d"),
    "每周": (7, "d"),
    "每月": (1, "mo"),
    "每季度": (3, "mo"),
    "每半年": (6, "mo"),
    "每年": (1, "y"),
}

Document = dict[str, Any]


def render(contract: SourceContract | ProductContract, contracts: Contracts) -> Document:
    """The ODCS document of one contract as plain data, keys in reading order."""
    body = _source(contract, contracts) if isinstance(contract, SourceContract) else _product(contract, contracts)
    return {"apiVersion": "v3.2.0", "kind": "DataContract", **_filled(body)}


def text(contract: SourceContract | ProductContract, contracts: Contracts) -> str:
    """The ODCS document of one contract as YAML text."""
    return yaml.dump(render(contract, contracts), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)


def write(contracts: Contracts, folder: Path) -> list[Path]:
    """Write all documents as `<folder>/<sources or products>/<id>.odcs.yaml`; returns the paths."""
    written = []
    groups: Mapping[str, Iterable[SourceContract | ProductContract]] = {
        "sources": contracts.sources.values(),
        "products": contracts.models.values(),
    }
    for group, members in groups.items():
        for contract in members:
            path = folder / group / f"{contract.id}.odcs.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(contract, contracts), "utf-8")
            written.append(path)
    return written


class _Dumper(yaml.SafeDumper):
    """Writes shared values out each time; anchors would puzzle readers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _source(contract: SourceContract, contracts: Contracts) -> Document:
    form = contract.form
    key = list(form.load.key)
    columns = [_column(column, contracts, key, contract.rules) for column in contract.columns]
    columns += [_derived(item, contracts, key) for item in contract.derived]
    path = f"lake/core/{contract.id}"
    return {
        **_head(contract, contracts, "source"),
        "domain": contracts.codes["organisations"].rows[contract.org]["name"],
        "description": {"purpose": form.description},
        "servers": [_server("core", path)],
        "schema": [
            {
                **_table(contract.dataset, path, form, columns),
                "quality": _table_rules(contract.rules, contracts, "quarantine"),
            }
        ],
        "team": _team(contract.org, contracts),
        "slaProperties": _sla(form.slaProperties.frequency, form.slaProperties.retention),
        "customProperties": _custom(
            direction="in",
            nameEn=form.nameEn,
            contractHash=contract.hash,
            connector=_call(contract.connector),
            loadMode=form.load.mode,
            loadKey=key,
            **form.load.model_dump(exclude={"mode", "key"}, exclude_none=True),
            ignoredColumns=list(form.ignored),
            securityLevel=max(column.level for column in contract.all_columns),
        ),
    }


def _table(name: str, path: str, form: SourceForm | ProductForm | ChannelForm, columns: Sequence[Document]) -> Document:
    """A table as an object of the schema. `path`: where it lies in the lake."""
    return {
        "id": name,
        "name": name,
        "physicalName": path,
        "logicalType": "object",
        "physicalType": "table",
        "businessName": form.name,
        "description": form.description,
        "properties": columns,
    }


def _product(contract: ProductContract, contracts: Contracts) -> Document:
    form = contract.form
    key = list(form.key)
    columns = [_column(column, contracts, key, contract.rules, contract) for column in contract.columns]
    path = f"lake/released/{contract.library}/{form.model}"
    return {
        **_head(contract, contracts, "product"),
        "domain": contract.library,
        "dataProduct": form.model,
        "description": {"purpose": form.description},
        "servers": [
            _server("released", path),
            *(_server(product.channel, f"lake/released/products/{product.id}") for product in contract.products),
        ],
        "schema": [
            {
                **_table(form.model, path, form, columns),
                "quality": _table_rules(contract.rules, contracts, "withhold"),
            },
            *(_view(product, contracts) for product in contract.products),
        ],
        "team": _team(form.owner, contracts),
        "roles": [_role(product, contracts) for product in contract.products],
        "slaProperties": _sla(form.slaProperties.frequency, form.slaProperties.retention),
        "customProperties": _custom(
            direction="out",
            nameEn=form.nameEn,
            contractHash=contract.hash,
            catalogueCode=f"{form.catalogue.classCode}/{form.catalogue.number:06d}",
            catalogueFormat=form.catalogue.format,
            shareType=form.share.type,
            shareCondition=form.share.condition,
            shareLegalBasis=form.share.basis,
            shareMode=form.share.mode,
            openType=form.open.type,
            openCondition=form.open.condition,
            openLegalBasis=form.open.basis,
            securityLevel=max(column.level for column in contract.columns),
        ),
    }


def _head(contract: SourceContract | ProductContract, contracts: Contracts, kind: str) -> Document:
    form = contract.form
    return {
        "id": f"urn:citylake:{contracts.city.division}:{kind}:{contract.id}",
        "name": form.name,
        "version": form.version,
        "status": form.status,
        "tenant": contracts.city.name,
    }


def _view(product: Product, contracts: Contracts) -> Document:
    """A channel's product as a schema object of its own: what a recipient sees."""
    form, name = product.form, f"{product.channel}_{product.name}"
    anonymity = form.anonymity.model_dump() if form.anonymity else None
    columns = [_shown(column, product, contracts) for column in product.columns]
    view = {
        **_table(name, f"lake/released/products/{product.id}", form, columns),
        "customProperties": _custom(
            channel=product.channel,
            nameEn=form.nameEn,
            licence=form.licence,
            rowPredicate={"column": form.rows, "within": "grant"} if form.rows else None,
            organisationPredicate=form.organisations.model_dump() if form.organisations else None,
            shownUntil=product.contract.form.shownUntil,
            anonymity=anonymity,
            lookup=form.lookup.model_dump() if form.lookup else None,
            release=form.release.model_dump(exclude_none=True) or None,
        ),
    }
    return _filled(view)


def _column(
    column: Column,
    contracts: Contracts,
    key: Sequence[str],
    rules: Sequence[Rule] = (),
    contract: ProductContract | None = None,
) -> Document:
    own = [rule for rule in rules if rule.about.of_rows and rule.columns == (column.name,)]
    on_fail = "quarantine" if contract is None else "withhold"
    return _filled(
        {
            "id": column.name,
            "name": column.name,
            "physicalName": column.physical_name,
            "primaryKey": True if column.name in key else None,
            "primaryKeyPosition": key.index(column.name) + 1 if column.name in key else None,
            **_meaning(column, contracts),
            "required": column.required,
            "unique": True if column.unique or list(key) == [column.name] else None,
            "classification": _level(column.level),
            "transformSourceObjects": list(contract.computed.get(column.name, ())) if contract else None,
            "quality": [rule_entry(rule, contracts, on_fail) for rule in own],
            "customProperties": _custom(
                **_about(column),
                cleanSteps=[_call(step) for step in column.clean],
                masks=_masks(column, contract) if contract else None,
            ),
        }
    )


def _derived(item: Derived, contracts: Contracts, key: Sequence[str]) -> Document:
    arguments = {name: value for name, value in item.step.arguments.items() if name != "of"}
    return {
        **_column(item.column, contracts, key),
        "transformSourceObjects": [str(item.step.arguments["of"])] if "of" in item.step.arguments else [],
        "transformLogic": item.step.verb + (f" {arguments}" if arguments else ""),
    }


def _shown(shown: ShownColumn, product: Product, contracts: Contracts) -> Document:
    column = shown.column
    return _filled(
        {
            "id": f"{product.channel}_{shown.name}",
            "name": shown.name,
            **_meaning(column, contracts),
            "classification": _level(shown.level),
            "transformSourceObjects": [f"{product.contract.form.model}.{shown.source}"],
            "transformLogic": shown.mask,
            "customProperties": _custom(
                **_about(column), mask=shown.mask, purposes=list(shown.purposes) or None, otherwise=shown.otherwise
            ),
        }
    )


def _meaning(column: Column, contracts: Contracts) -> Document:
    """What a value means: type, limits, names, standard, code list."""
    definition = column.definition
    kind, options = definition.logicalType, definition.logicalTypeOptions.model_dump(exclude_none=True)
    length = f"({options['maxLength']})" if "maxLength" in options else ""
    fixed = {name: value for name, value in options.items() if days_after_today(value) is None}
    standard = definition.standard
    urn = f"urn:citylake:standard:{quote(standard)}" if standard else ""
    codes = contracts.codes[definition.codes].rows if definition.codes else {}
    enum = [{"value": code, "label": row["name"]} for code, row in codes.items()]
    return {
        "businessName": definition.businessName,
        "description": column.description,
        "logicalType": kind,
        "logicalTypeOptions": fixed | ({"timezone": True} if kind == "timestamp" else {}),
        "physicalType": _PHYSICAL[kind] + length,
        "enum": enum if len(enum) <= _ENUM_LIMIT else [],
        "authoritativeDefinitions": [{"type": "standard", "url": urn, "description": standard}] if standard else [],
    }


def _about(column: Column) -> dict[str, Any]:
    definition, options = column.definition, column.definition.logicalTypeOptions
    moving = {f"relative{name.capitalize()}": getattr(options, name) for name in ("minimum", "maximum")}
    return {
        "businessNameEn": definition.businessNameEn,
        "unit": definition.unit,
        "codeList": definition.codes,
        "personal": definition.personal,
        "geometry": definition.geometry.model_dump() if definition.geometry else None,
        **{name: value for name, value in moving.items() if days_after_today(value) is not None},
    }


def _masks(column: Column, contract: ProductContract) -> dict[str, Any]:
    """For each channel that shows the column: under which name and through which mask."""
    return {
        product.channel: {"as": shown.name, "mask": shown.mask or "none"}
        for product in contract.products
        for shown in product.columns
        if shown.source == column.name
    }


def _table_rules(rules: Sequence[Rule], contracts: Contracts, on_fail: str) -> list[Document]:
    """Rules about the table or about several columns."""
    wide = (rule for rule in rules if not rule.about.of_rows or len(rule.columns) != 1)
    return [rule_entry(rule, contracts, on_fail) for rule in wide]


def _team(organisation: str, contracts: Contracts) -> Document:
    row = contracts.codes["organisations"].rows[organisation]
    return {"id": organisation, "name": row["name"], "description": row.get("name_en") or row["name"]}


def _role(product: Product, contracts: Contracts) -> Document:
    policy = contracts.city.channels[product.channel]  # type: ignore[index]
    share = product.contract.form.share.type if product.channel == "sharing" else None
    approver = contracts.codes["organisations"].rows[product.contract.form.owner]["name"]
    return _filled(
        {
            "role": f"{product.channel}_reader",
            "access": "read",
            "description": policy.name,
            "firstLevelApprovers": approver if share == "有条件共享" else None,
        }
    )


def _sla(frequency: str, retention: str) -> list[Document]:
    value, unit = _CYCLES.get(frequency, (frequency, None))
    kept: Document = {"value": retention}
    if retention != "永久":
        kept = {"value": int(retention[:-1]), "unit": {"d": "d", "m": "mo", "y": "y"}[retention[-1]]}
    return [
        _filled({"id": "frequency", "property": "frequency", "value": value, "unit": unit, "description": frequency}),
        {"id": "retention", "property": "retention", **kept, "description": retention},
    ]


def _server(name: str, path: str) -> Document:
    return {"id": name, "server": name, "type": "local", "path": path, "format": "delta"}


def _level(level: int) -> str:
    return f"L{level}"


def _call(step: Step) -> Any:
    return {step.verb: dict(step.arguments)} if step.arguments else step.verb


def _custom(**properties: Any) -> list[Document]:
    return [{"property": name, "value": value} for name, value in properties.items() if value not in (None, [], {})]


def _filled(document: Mapping[str, Any]) -> Document:
    """Without what is not there."""
    return {key: value for key, value in document.items() if value not in (None, [], {})}
