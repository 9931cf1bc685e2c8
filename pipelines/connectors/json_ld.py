"""DCAT catalogues in JSON-LD, as portals serve it: nodes by their @id, nested or in a @graph.

No context is loaded, for that asks servers elsewhere, and nothing is inferred: this is no JSON-LD processor.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.connectors.linked_data import Graph, Node, Text, local

_KEPT = ("@id", "@type", "@value", "@language", "@list", "@set")
_LANGUAGE = re.compile(r"(?!id$)[a-z]{2}(-[A-Za-z0-9]+)*")


def graph(document: Any) -> Graph:
    """The subjects of a JSON value. Raises RecursionError for one that is nested too deep."""
    found = Graph()
    for _ in _values(found, document):
        pass
    return found


def _values(graph: Graph, value: Any) -> Iterator[Text | Node]:
    """What stands at a place, with all subjects in it noted."""
    if isinstance(value, list):
        for item in value:
            yield from _values(graph, item)
    elif isinstance(value, dict):
        yield from _of_object(graph, value)
    elif value is not None:
        yield Text(str(value).lower() if isinstance(value, bool) else str(value))


def _of_object(graph: Graph, value: dict[str, Any]) -> Iterator[Text | Node]:
    if "@value" in value:
        yield from (Text(text.value, str(value.get("@language", ""))) for text in _texts(value["@value"]))
    elif "@list" in value or "@set" in value:
        yield from _values(graph, value.get("@list", value.get("@set")))
    elif value.keys() and all(_LANGUAGE.fullmatch(key) and isinstance(value[key], str) for key in value):
        yield from (Text(text, language) for language, text in value.items())
    else:
        yield _node(graph, value)


def _node(graph: Graph, value: dict[str, Any]) -> Node:
    name = value.get("@id", value.get("id"))
    node = graph.node(name if isinstance(name, str) else "")
    node.types |= {local(text.value) for text in _texts(value.get("@type", value.get("type")))}
    for key, item in value.items():
        if key != "@context" and key not in _KEPT:
            node.said.setdefault(local(key), []).extend(_values(graph, item))
    return node


def _texts(value: Any) -> Iterable[Text]:
    items = value if isinstance(value, list) else [value]
    return [Text(item if isinstance(item, str) else str(item)) for item in items if isinstance(item, str | int | float)]
