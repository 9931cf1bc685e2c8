"""DCAT catalogues in JSON-LD, as portals serve them: datasets with their distributions, and the page that follows.

Names are taken by their last part (`dcat:distribution`, `distribution` and the whole IRI alike), nodes by their @id,
nested or in a @graph. No context is loaded and nothing is inferred: this is no JSON-LD processor. Turtle and RDF/XML
are not read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_KEPT = ("@id", "@type", "@value", "@language", "@list", "@set")
_PAGES = {"PagedCollection", "PartialCollectionView"}
_NAMES = ("name", "title", "prefLabel", "label")
_LANGUAGE = re.compile(r"(?!id$)[a-z]{2}(-[A-Za-z0-9]+)*")


@dataclass(frozen=True)
class Text:
    """A literal, or the id of a node that is described elsewhere or not at all."""

    value: str
    language: str = ""


@dataclass
class Node:
    """One subject: its id, empty if it has none, its types and what is said of it."""

    id: str
    types: set[str] = field(default_factory=set)
    said: dict[str, list["Text | Node"]] = field(default_factory=dict)


class Graph:
    """The subjects of one document. Raises RecursionError for one that is nested too deep."""

    def __init__(self, document: Any) -> None:
        self._nodes: dict[str, Node] = {}
        self._all: list[Node] = []
        for _ in self._values(document):
            pass

    def datasets(self) -> list[Node]:
        """The subjects that are datasets, in the order of the document."""
        return [node for node in self._all if "Dataset" in node.types]

    def following(self) -> str | None:
        """The address of the next page of the catalogue, by Hydra; None on the last."""
        pages = [node for node in self._all if node.types & _PAGES]
        found = (self.text(node, "nextPage") or self.text(node, "next") for node in pages)
        return next((address for address in found if address), None)

    def total(self) -> int | None:
        """The number of datasets that the catalogue says it has on all pages. Raises ValueError if it is none."""
        found = (self.text(node, "totalItems") for node in self._all)
        return next((int(total) for total in found if total), None)

    def text(self, node: Node, *names: str) -> str | None:
        """The first of these that is said of a node, Chinese before others; of a subject its name, else its id."""
        for name in names:
            found = sorted((_rank(one), text) for one in node.said.get(name, []) if (text := self._name(one)))
            if found:
                return found[0][1]
        return None

    def nodes(self, node: Node, name: str) -> Iterator[Node]:
        """The subjects that a node refers to under a name."""
        for value in node.said.get(name, []):
            found = value if isinstance(value, Node) else self._nodes.get(value.value)
            if found is not None:
                yield found

    def _name(self, value: Text | Node) -> str | None:
        node = value if isinstance(value, Node) else self._nodes.get(value.value)
        if node is None:
            return value.value if isinstance(value, Text) else None
        said = [one for name in _NAMES for one in node.said.get(name, []) if isinstance(one, Text)]
        named = min(said, key=_rank, default=None)
        return named.value if named else (None if node.id.startswith("_:") else node.id) or None

    def _values(self, value: Any) -> Iterator[Text | Node]:
        """What stands at a place, with all subjects in it noted."""
        if isinstance(value, list):
            for item in value:
                yield from self._values(item)
        elif isinstance(value, dict):
            yield from self._of_object(value)
        elif value is not None:
            yield Text(str(value).lower() if isinstance(value, bool) else str(value))

    def _of_object(self, value: dict[str, Any]) -> Iterator[Text | Node]:
        if "@value" in value:
            yield from (Text(text.value, str(value.get("@language", ""))) for text in _texts(value["@value"]))
        elif "@list" in value or "@set" in value:
            yield from self._values(value.get("@list", value.get("@set")))
        elif value.keys() and all(_LANGUAGE.fullmatch(key) and isinstance(value[key], str) for key in value):
            yield from (Text(text, language) for language, text in value.items())
        else:
            yield self._node(value)

    def _node(self, value: dict[str, Any]) -> Node:
        name = value.get("@id", value.get("id"))
        name = name if isinstance(name, str) else ""
        node = self._nodes.get(name) if name else None
        if node is None:
            node = Node(name)
            self._all.append(node)
            if name:
                self._nodes[name] = node
        types = value.get("@type", value.get("type"))
        node.types |= {_local(text.value) for text in _texts(types)}
        for key, item in value.items():
            if key != "@context" and key not in _KEPT:
                node.said.setdefault(_local(key), []).extend(self._values(item))
        return node


def _texts(value: Any) -> Iterable[Text]:
    items = value if isinstance(value, list) else [value]
    return [Text(item if isinstance(item, str) else str(item)) for item in items if isinstance(item, str | int | float)]


def _local(name: str) -> str:
    return re.split(r"[:/#]", name)[-1]


def _rank(value: Text | Node) -> int:
    language = value.language.lower() if isinstance(value, Text) else ""
    return 0 if language.startswith("zh") else 1 if not language else 2 if language.startswith("en") else 3
