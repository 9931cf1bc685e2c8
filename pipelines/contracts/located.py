"""YAML with positions: plain Python values plus the line and the written text of every key and item.

Knows nothing of contracts. Duplicate keys, anchors, tags and the surprises of YAML 1.1 (`no` as a boolean, `010` as
eight, dates) are refused or read as text here, because a contract that means something else than it says is worse
than none.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipelines.contracts.texts import both
from pipelines.messages import CitylakeError

Place = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
# libyaml's wording -> message id; what is not listed here is told as a general syntax error.
_SYNTAX = {
    "found character that cannot start any token": "yaml.character",
    "mapping values are not allowed in this context": "yaml.colon",
    "found unexpected end of stream": "yaml.unclosed",
    "did not find expected": "yaml.indentation",
    "could not find expected ':'": "yaml.no_colon",
    "but found another document": "yaml.documents",
    "found undefined alias": "yaml.anchor",
}


@dataclass(frozen=True)
class Located:
    """The parsed content of one YAML file, the line (1-based) of each place in it, and scalars as they were written."""

    path: Path
    value: Any
    lines: dict[Place, int]
    texts: dict[Place, str] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of `place`, or of its nearest parent that stands in the file."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(path: Path) -> Located:
    """Parse one file. Raises CitylakeError with file and line for anything that is not strict YAML."""
    if not path.is_file():
        raise CitylakeError("contract.no_file", file=path)
    text = read_text(path)
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        # An open quote is found at the end of the file; where it began is what helps.
        quoted = (error.context or "").startswith("while scanning a quoted")
        mark = (error.context_mark if quoted else None) or error.problem_mark
        raise _syntax(path, mark.line + 1 if mark else 1, error.problem or "", text) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _problem(path, line, "yaml.control") from error
    builder = _Builder(path)
    value = None if node is None else builder.build(node, ())
    return Located(path, value, builder.lines, builder.texts)


def read_text(path: Path) -> str:
    """The text of a file that must be UTF-8. Raises CitylakeError with the line of the first byte that is not."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CitylakeError("contract.not_utf8", file=path, line=line) from error


def _syntax(path: Path, line: int, problem: str, text: str) -> CitylakeError:
    lines = text.splitlines()
    if line <= len(lines) and lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())].count("\t"):
        return _problem(path, line, "yaml.tab")
    known = (code for wording, code in _SYNTAX.items() if problem.startswith(wording))
    return _problem(path, line, next(known, "yaml.syntax"))


def _problem(path: Path, line: int, code: str) -> CitylakeError:
    return CitylakeError("contract.yaml", file=path, line=line, **both("problem", code))


class _Builder:
    """Turns YAML nodes into plain values and remembers where each stood."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        self.texts: dict[Place, str] = {}
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, place: Place) -> Any:
        """The value of one node. Raises CitylakeError for aliases, tags and bad keys."""
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        if id(node) in self._seen:
            raise _problem(self.path, line, "yaml.anchor")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*place, index)) for index, item in enumerate(node.value)]
        self.texts[place] = node.value
        return self._scalar(node, line)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str | int, Any]:
        result: dict[str | int, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._scalar(key_node, line) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str | int) or isinstance(key, bool):
                raise CitylakeError("contract.key_type", file=self.path, line=line, key=str(key_node.value)[:40])
            if key in result:
                raise CitylakeError("contract.duplicate_key", file=self.path, line=line, key=key)
            self.lines[(*place, key)] = line
            result[key] = self.build(value_node, (*place, key))
        return result

    def _scalar(self, node: yaml.Node, line: int) -> str | int | float | bool | None:
        """The value of a scalar by the core schema of YAML 1.2; everything else a plain scalar may be is text."""
        kind, text = node.tag.removeprefix(_TAG), str(node.value)
        if kind == "null":
            return None
        if kind == "bool" and text in ("true", "false"):
            return text == "true"
        if kind == "int" and _INTEGER.fullmatch(text):
            return int(text)
        if kind == "float" and _FLOAT.fullmatch(text):
            return float(text)
        if kind in ("str", "bool", "int", "float", "timestamp", "merge", "value"):
            return text
        raise _problem(self.path, line, "yaml.tag")
