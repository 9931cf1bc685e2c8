"""JSON Schemas for editors (draft 2020-12), generated from `models` and from the names that exist in this city.

They help while typing; the loader decides. The files are generated: change `models` or the contracts, then write again.
"""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pipelines.codecs.cleaning import steps
from pipelines.codecs.derive import derivations
from pipelines.connectors.base import connectors
from pipelines.contracts.forms.authority import AuthorityForm
from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.fields import FieldDefinition
from pipelines.contracts.forms.products import ProductForm
from pipelines.contracts.forms.sources import SourceForm
from pipelines.contracts.forms.words import Name, Strict
from pipelines.contracts.load import load
from pipelines.contracts.resolved import PURPOSES, Contracts
from pipelines.contracts.rules import rules
from pipelines.contracts.texts import LANGUAGES
from pipelines.messages import catalogue
from pipelines.privacy.masks import masks
from pipelines.verbs import CodeListName, ColumnName, ModelName, Registry, Verb, adapter, marks

FOLDER = ".schema"

Schema = dict[str, Any]

_FORMS: dict[str, Any] = {
    "source": SourceForm,
    "product": ProductForm,
    "city": CityForm,
    "fields": dict[Name, FieldDefinition],
    "authority": AuthorityForm,
}
_REGISTRIES: dict[str, Registry[Any, Any]] = {
    "step": steps,
    "rule": rules,
    "connector": connectors,
    "derivation": derivations,
}
_MARKED: dict[type, str] = {ColumnName: "field", CodeListName: "code_list", ModelName: "model"}
"""The list that the arguments of a verb with such a mark are taken from."""
_DEFINITIONS = "#/$defs/"


def render(contracts: Contracts) -> dict[str, Schema]:
    """The schemas by file name."""
    return {f"{name}.json": _document(name, form, contracts) for name, form in _FORMS.items()}


def write(root: Path) -> list[Path]:
    """Write the schemas into `.schema` below the folder of contracts; returns the paths.

    Raises CitylakeError if the contracts cannot be loaded.
    """
    texts = _texts(root)
    (root / FOLDER).mkdir(exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, "utf-8")
    return sorted(texts)


def stale(root: Path) -> list[Path]:
    """The schema files that are missing or differ from what `write` would write. Raises as `write` does."""
    return [path for path, text in _texts(root).items() if not path.is_file() or path.read_text("utf-8") != text]


def _texts(root: Path) -> dict[Path, str]:
    documents = render(load(root))
    return {
        root / FOLDER / name: json.dumps(schema, ensure_ascii=False, indent=1) + "\n"
        for name, schema in documents.items()
    }


def _document(name: str, form: Any, contracts: Contracts) -> Schema:
    schema = TypeAdapter(form).json_schema()
    # A form that nothing refers to stands at the root; all others are definitions under their class name.
    root = form.__name__ if isinstance(form, type) and issubclass(form, Strict) else name
    parts = {root: schema, **schema.get("$defs", {})}
    for part_name, part in parts.items():
        part.pop("description", None)
        for key, entry in part.get("properties", {}).items():
            entry.pop("title", None)
            if description := _described(f"key.{part_name}.{key}", f"key.{key}"):
                entry["description"] = description
    filled: Schema = _filled(schema)
    lists = _referred(filled, _lists(contracts))
    definitions = {"$defs": {**filled.pop("$defs", {}), **lists}}
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"citylake {name}"}
    return {**about, **{key: value for key, value in filled.items() if key != "title"}, **definitions}


def _lists(contracts: Contracts) -> dict[str, Schema]:
    """What stands for each `x-list` mark of the models, and what those refer to."""
    names = {
        "field": contracts.fields,
        "model": contracts.models,
        "code_list": contracts.codes,
        "organisation": contracts.codes["organisations"].rows,
        "mask": masks,
        "purpose": contracts.codes[PURPOSES].rows if PURPOSES in contracts.codes else (),
        "connection": contracts.city.connections,
        "source": contracts.sources,
    }
    lists: dict[str, Schema] = {kind: {"enum": sorted(known)} for kind, known in names.items()}
    return lists | {kind: _call(kind, registry, contracts) for kind, registry in _REGISTRIES.items()}


def _referred(node: Any, lists: Mapping[str, Schema]) -> dict[str, Schema]:
    """The lists that a schema refers to, directly or through another list: each stands once in it."""
    if isinstance(node, list):
        return {name: part for item in node for name, part in _referred(item, lists).items()}
    if not isinstance(node, dict):
        return {}
    found = {name: part for value in node.values() for name, part in _referred(value, lists).items()}
    name = str(node.get("$ref", "")).removeprefix(_DEFINITIONS)
    return {**found, name: lists[name], **_referred(lists[name], lists)} if name in lists else found


def _reference(name: str) -> Schema:
    return {"$ref": f"{_DEFINITIONS}{name}"}


def _filled(node: Any) -> Any:
    """The schema with every marked place referring to the names or calls that may stand there."""
    if isinstance(node, list):
        return [_filled(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("x-list"), str):
        about = {key: node[key] for key in ("description", "default") if key in node}
        return {**about, **_reference(node["x-list"])}
    filled = {key: _filled(value) for key, value in node.items()}
    if "x-list" in node.get("propertyNames", {}) and "patternProperties" in filled:
        (filled["additionalProperties"],) = filled.pop("patternProperties").values()
    return filled


def _call(kind: str, registry: Registry[Any, Any], contracts: Contracts) -> Schema:
    """A call of a verb: its name if no argument is needed, or its name with arguments."""
    given = {"column"} if kind == "rule" else set()  # a rule of a field judges that field
    plain = [name for name, verb in registry.items() if not set(verb.required) - given]
    calls = {name: _arguments(kind, verb) for name, verb in sorted(registry.items())}
    mapping = {"type": "object", "properties": calls, "additionalProperties": False}
    mapping |= {"minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": sorted(plain)}, mapping]} if plain else mapping


def _arguments(kind: str, verb: Verb[Any, Any]) -> Schema:
    properties: Schema = {}
    for name, parameter in verb.parameters.items():
        schema = _whole(adapter(parameter.annotation).json_schema())
        known = next((_MARKED[mark] for mark in marks(parameter.annotation) if mark in _MARKED), None)
        if name == "connection":
            known = "connection"
        if known is not None and schema.get("type") != "object":  # of a mapping the names are the loader's to check
            names = _reference(known)
            schema = {"type": "array", "items": names, "minItems": 1} if schema.get("type") == "array" else names
        properties[name] = schema
    required = [name for name in verb.required if not (kind == "rule" and name == "column")]
    summary = (inspect.getdoc(verb.function) or "").splitlines()[:1]
    return {
        "type": "object",
        "description": _described(f"{kind}.{verb.name}") or "".join(summary),
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _whole(schema: Schema) -> Schema:
    """A schema with its own definitions put where they are named: it will stand inside another one."""
    definitions = schema.pop("$defs", {})

    def inlined(node: Any) -> Any:
        if isinstance(node, list):
            return [inlined(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return inlined(definitions[node["$ref"].rpartition("/")[2]])
        # The mapping of a discriminator names definitions; `oneOf` says the same.
        return {key: inlined(value) for key, value in node.items() if key != "discriminator"}

    whole: Schema = inlined(schema)
    return whole


def _described(*codes: str) -> str:
    """The first of these messages that exists, in both languages; else nothing."""
    found = next((catalogue()[code] for code in codes if code in catalogue()), {})
    return "\n".join(found[language] for language in LANGUAGES if found)
