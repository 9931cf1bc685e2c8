"""DCAT catalogues in Turtle and RDF/XML, read by rdflib. Nothing is fetched that a document refers to, and entities of
XML are refused, for they may be bombs or other files."""

import logging
import re

import rdflib
from defusedxml.ElementTree import fromstring
from rdflib.namespace import RDF

from pipelines.connectors.linked_data import Graph, Text, local

_XML = re.compile(r"\s*<(\?xml|!|[\w.-]*:?RDF[\s>])")
_NOWHERE = "http://catalogue.invalid"
"""Stands for the portal's address, which may hold a key, while relative addresses are completed."""

rdflib.NORMALIZE_LITERALS = False  # days and numbers stay as the portal wrote them
logging.getLogger("rdflib.term").addFilter(lambda _: False)  # it logs what documents say


def graph(text: str, path: str) -> Graph:
    """The subjects of a document. `path`: its own, to which relative addresses in it refer.

    Raises ValueError for what is neither Turtle nor RDF/XML, or says nothing.
    """
    try:
        triples = _xml(text, path) if _XML.match(text) else _parsed(text, "turtle", path)
    except Exception as error:  # both parsers raise whatever they stumble over, IndexError among others
        raise ValueError(type(error).__name__) from None
    if not triples:
        raise ValueError("empty")
    found = Graph()
    for subject, predicate, value in _in_order(triples):
        node = found.node(_written(subject))
        if predicate == RDF.type:
            node.types.add(local(str(value)))
        else:
            language = value.language or "" if isinstance(value, rdflib.Literal) else ""
            node.said.setdefault(local(str(predicate)), []).append(Text(_written(value), language))
    return found


def _xml(text: str, path: str) -> rdflib.Graph:
    # Any XML is triples to rdflib: a portal's page of errors would be a catalogue without datasets.
    if fromstring(text.encode(), forbid_entities=True).tag != f"{{{RDF}}}RDF":
        raise ValueError("root")
    return _parsed(text, "xml", path)


def _parsed(text: str, written: str, path: str) -> rdflib.Graph:
    return rdflib.Graph().parse(data=text.encode(), format=written, publicID=f"{_NOWHERE}{path}")


def _in_order(triples: rdflib.Graph) -> list[tuple[rdflib.term.Node, rdflib.term.Node, rdflib.term.Node]]:
    """The same order each time. rdflib keeps none, and names blank nodes anew: they stand by what is said of them."""
    said = dict[rdflib.term.Node, list[str]]()
    for subject, predicate, value in triples:
        if isinstance(subject, rdflib.BNode) and not isinstance(value, rdflib.BNode):
            said.setdefault(subject, []).append(f"{predicate} {value}")
    places = {node: "_:" + "\n".join(sorted(texts)) for node, texts in said.items()}
    return sorted(triples, key=lambda triple: [places.get(part, _written(part)) for part in triple])


def _written(term: rdflib.term.Node) -> str:
    return f"_:{term}" if isinstance(term, rdflib.BNode) else str(term).removeprefix(_NOWHERE)
