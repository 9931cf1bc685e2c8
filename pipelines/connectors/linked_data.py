"""What a DCAT catalogue says, whatever it was written in: subjects, and what is said of them under short names.

Names are taken by their last part (`dcat:distribution`, `distribution` and the whole IRI alike). Reading JSON-LD,
Turtle and RDF/XML, and what rows datasets become, does not belong here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_PAGES = {"PagedCollection", "PartialCollectionView"}
_NAMES = ("name", "title", "prefLabel", "label")
_NOBODY = "_:"
"""How the ids of subjects without a name of their own begin."""


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

    @property
    def name(self) -> str | None:
        """Its id, unless it is one of this document alone."""
        return None if self.id.startswith(_NOBODY) else self.id or None


class Graph:
    """The subjects of one document, in the order in which they were told."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._all: list[Node] = []

    def node(self, name: str) -> Node:
        """The subject of this id, a new one if it is not known or the id is empty."""
        node = self._nodes.get(name) if name else None
        if node is None:
            node = Node(name)
            self._all.append(node)
            if name:
                self._nodes[name] = node
        return node

    def datasets(self) -> list[Node]:
        """The subjects that are datasets."""
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
        return named.value if named else node.name


def local(name: str) -> str:
    """The last part of an IRI or of a prefixed name."""
    return re.split(r"[:/#]", name)[-1]


def _rank(value: Text | Node) -> int:
    language = value.language.lower() if isinstance(value, Text) else ""
    return 0 if language.startswith("zh") else 1 if not language else 2 if language.startswith("en") else 3
