"""`datapackage.json` of a package: Frictionless Data Package 2.0 (datapackage.org), readable as version 1 too.

Pure: what the files are is told by whoever wrote them. Properties of ours begin with `citylake:`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catalog.delivery.changes import AFTER, BEFORE, CHANGE_TYPE, DELETE, INSERT
from catalog.delivery.extracts import Extract
from catalog.listing import Offering
from pipelines.contracts.resolved import Contracts, ShownColumn
from pipelines.messages import translate
from pipelines.register.times import as_utc
from pipelines.synthetic import IS_TEST

PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
LICENCE = "LICENCE.txt"
MEDIA = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "json": "application/json"}
MEDIA["ndjson"] = "application/x-ndjson"
MEDIA["xlsx"] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MEDIA["geojson"] = "application/geo+json"
_TYPES = {
    "string": "string",
    "byte": "integer",
    "short": "integer",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "date": "date",
    "timestamp": "datetime",
    "timestamp_ntz": "datetime",
    "boolean": "boolean",
}


@dataclass(frozen=True)
class DataFile:
    """A file of rows: name, format, bytes, SHA-256 in hexadecimal."""

    name: str
    format: str
    size: int
    sha256: str


def describe(
    contracts: Contracts,
    offering: Offering,
    held: Extract,
    key: Sequence[str],
    since: int | None,
    files: list[DataFile],
    masks: Mapping[str, str],
    *,
    made_up: bool,
) -> dict[str, Any]:
    """The descriptor of a package. `held`: the rows in each of its files, a view or a change set from version `since`;
    `key`: the columns that name a row of the view; `masks`: columns that are masked because of the purpose;
    `made_up`: whether the home's data are (pipelines.synthetic)."""
    product, release = offering.product, offering.release
    assert release is not None
    names = contracts.codes["organisations"].rows
    operator, owner = (names[code]["name"] for code in (contracts.city.operator, product.contract.form.owner))
    about: dict[str, Any] = {
        "$schema": PROFILE,
        "name": product.name,
        "title": product.form.name,
        "description": product.form.description or product.contract.form.description,
        "version": str(held.version),
        "created": as_utc(release.at).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "licenses": [{"path": LICENCE, "title": product.form.licence}],
        "sources": [{"title": owner}],
        "contributors": [{"title": operator, "roles": ["publisher"]}],
        "citylake:product": product.id,
        "citylake:asOf": str(release.body.get("as_of", "")),
        **({f"citylake:{IS_TEST}": True} if made_up else {}),
        "resources": [_resource(one, held, key, since, offering, masks) for one in files],
    }
    return about if since is None else {**about, "citylake:since": since}


def _resource(
    file: DataFile, held: Extract, key: Sequence[str], since: int | None, offering: Offering, masks: Mapping[str, str]
) -> dict[str, Any]:
    name, title = offering.product.name, offering.product.form.name
    shown = {one.name: replace(one, mask=masks.get(one.name, one.mask)) for one in offering.product.columns}
    assert offering.release is not None
    # what the contract asks for now was not asked of a version that was released under another one
    asked = offering.release.body.get("contract") == offering.product.contract.hash
    schema: dict[str, Any] = {"fields": [_field(field, shown, key, since, asked) for field in held.fields]}
    if key and since is None:
        schema["primaryKey"] = list(key)
    if file.format == "csv":
        schema["missingValues"] = [""]
    resource: dict[str, Any] = {
        "name": f"{name}-{file.format}",
        "title": title,
        "path": file.name,
        "format": file.format,
        "mediatype": MEDIA[file.format],
        "bytes": file.size,
        "hash": f"sha256:{file.sha256}",
    }
    if file.format == "geojson":  # no table: its columns are described in the file itself
        resource["citylake:rows"] = held.rows
    else:
        resource |= {"rows": held.rows, "type": "table", "schema": schema}
    if file.format == "xlsx":
        resource["dialect"] = {"sheetName": translate("web.sheet.data", "zh")}
    if file.format not in ("parquet", "xlsx"):
        resource["encoding"] = "utf-8"
    if file.format == "csv":
        resource["dialect"] = {"delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"', "doubleQuote": True}
    return resource


def _field(
    field: Mapping[str, Any], shown: Mapping[str, ShownColumn], key: Sequence[str], since: int | None, asked: bool
) -> dict[str, Any]:
    name, kind = field["name"], field["type"]
    told = "number" if isinstance(kind, str) and kind.startswith("decimal") else _TYPES.get(str(kind), "any")
    said: dict[str, Any] = {"name": name, "type": told}
    if told == "datetime":
        said["format"] = "any"
    if name == CHANGE_TYPE:
        return {**said, "constraints": {"required": True, "enum": [INSERT, BEFORE, AFTER, DELETE]}}
    column = shown[name].column
    said |= {"title": column.definition.businessName}
    if description := column.description or column.definition.description:
        said["description"] = description
    if mask := shown[name].mask:
        said["citylake:mask"] = mask
    if column.definition.codes:
        said["citylake:codes"] = column.definition.codes
    if name in key or (asked and column.required and shown[name].mask is None):
        said["constraints"] = {"required": True}
    if list(key) == [name] and since is None:
        said["constraints"]["unique"] = True
    return said
