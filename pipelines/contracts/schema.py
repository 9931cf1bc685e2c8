"""JSON Schemas for editors (draft 2020-12), generated from `models` and from the names that exist in this city.

They help while typing; the loader decides. The files are generated: change `models` or the contracts, then write again.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pipelines.codecs.cleaning import steps
from pipelines.codecs.derive import derivations
from pipelines.connectors.base import connectors
from pipelines.contracts import models
from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts
from pipelines.contracts.rules import rules
from pipelines.contracts.texts import LANGUAGES
from pipelines.messages import catalogue
from pipelines.privacy.masks import masks
from pipelines.verbs import CodeListName, ColumnName, ModelName, Registry, Verb, adapter, marks

FOLDER = ".schema"

Schema = dict[str, Any]

_FORMS: dict[str, Any] = {
    "source": models.SourceForm,
    "product": models.ProductForm,
    "city": models.CityForm,
    "fields": dict[models.Name, models.FieldDefinition],
    "authority": models.AuthorityForm,
}
_REGISTRIES: dict[str, Registry[Any, Any]] = {
    "step": steps,
    "rule": rules,
    "connector": connectors,
    "derivation": derivations,
}


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
    root = form.__name__ if isinstance(form, type) and issubclass(form, models.Strict) else name
    parts = {root: schema, **schema.get("$defs", {})}
    for part_name, part in parts.items():
        part.pop("description", None)
        for key, entry in part.get("properties", {}).items():
            entry.pop("title", None)
            if description := _described(f"key.{part_name}.{key}", f"key.{key}"):
                entry["description"] = description
    filled: Schema = _filled(schema, _lists(contracts))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **filled, "title": f"citylake {name}"}


def _lists(contracts: Contracts) -> dict[str, Schema]:
    """What stands for each `x-list` mark of the models."""
    names = {
        "field": contracts.fields,
        "code_list": contracts.codes,
        "organisation": contracts.codes["organisations"].rows,
        "mask": masks,
        "connection": contracts.city.connections,
        "source": contracts.sources,
    }
    lists: dict[str, Schema] = {kind: {"enum": sorted(known)} for kind, known in names.items()}
    return lists | {kind: _call(kind, registry, contracts) for kind, registry in _REGISTRIES.items()}


def _filled(node: Any, lists: Mapping[str, Schema]) -> Any:
    """The schema with every marked place replaced by the names or calls that may stand there."""
    if isinstance(node, list):
        return [_filled(item, lists) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("x-list"), str):
        about = {key: node[key] for key in ("description", "default") if key in node}
        return {**about, **lists[node["x-list"]]}
    filled = {key: _filled(value, lists) for key, value in node.items()}
    if "propertyNames" in node and "x-list" in node["propertyNames"]:
        (filled["additionalProperties"],) = filled.pop("patternProperties").values()
    return filled


def _call(kind: str, registry: Registry[Any, Any], contracts: Contracts) -> Schema:
    """A call of a verb: its name if no argument is needed, or its name with arguments."""
    given = {"column"} if kind == "rule" else set()  # a rule of a field judges that field
    plain = [name for name, verb in registry.items() if not set(verb.required) - given]
    calls = {name: _arguments(kind, verb, contracts) for name, verb in sorted(registry.items())}
    mapping = {"type": "object", "properties": calls, "additionalProperties": False}
    mapping |= {"minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": sorted(plain)}, mapping]} if plain else mapping


def _arguments(kind: str, verb: Verb[Any, Any], contracts: Contracts) -> Schema:
    names: dict[type, Callable[[], Schema]] = {
        ColumnName: lambda: {"enum": sorted(contracts.fields)},
        CodeListName: lambda: {"enum": sorted(contracts.codes)},
        ModelName: lambda: {"enum": sorted(contracts.models)},
    }
    properties: Schema = {}
    for name, parameter in verb.parameters.items():
        schema = _whole(adapter(parameter.annotation).json_schema())
        known = next((names[mark]() for mark in marks(parameter.annotation) if mark in names), None)
        if name == "connection":
            known = {"enum": sorted(contracts.city.connections)}
        if known is not None:
            schema = {"type": "array", "items": known, "minItems": 1} if schema.get("type") == "array" else known
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
