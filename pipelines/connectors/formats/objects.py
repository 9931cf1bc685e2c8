"""Formats `json` and `ndjson`: objects whose keys are columns. Numbers keep the text that they were written in.

Nested values stay JSON. A record with a key twice, or that is no object, has only its text, in UNREAD.
"""

import json as stdlib_json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pipelines.connectors.base import UNREAD, Encoding, header_names, object_rows
from pipelines.connectors.formats.encodings import (
    BOM,
    Damage,
    blocks,
    check_damage,
    decoded,
    fitting,
    known_encoding,
    not_encoded,
)
from pipelines.connectors.formats.table import FormatAbout, LocalFile, Place, Table, formats, numbered, table_of_rows

Objects = Callable[[], Iterable[tuple[Any, str]]]
"""Gives all records of a file, as often as it is asked: each the values by name, or something else, and its text."""


@formats.register(FormatAbout())
def json(file: LocalFile, *, records: str | None = None, encoding: Encoding = "utf-8") -> Table:
    """An array of objects, the whole document or what lies under `records`, keys with slashes between them.

    Raises CitylakeError for what is no JSON and when no array is there.
    """
    found = array(file, document(file, encoding), records)
    return table_of_objects(
        file, lambda: ((flat(one), dumped(one)) for one in found), numbered(file, lambda: found, records or "")
    )


@formats.register(FormatAbout())
def ndjson(file: LocalFile, *, encoding: Encoding = "utf-8") -> Table:
    """One JSON object a line. A line that is none, or damaged, is one row with only its text, in UNREAD."""
    known = known_encoding(file, encoding)

    def lines() -> Iterator[tuple[Any, str, int]]:
        damage, first, number = Damage(), True, 0
        for block in blocks(file, known, 0, damage):
            for place, line in enumerate(block.lines):
                number += 1
                text = (line.removeprefix(BOM) if first else line).strip(" \t\r")
                first = False
                if text:
                    yield None if place in block.damaged else _line(text), text, number
        check_damage(file, known, damage)

    return table_of_objects(
        file,
        lambda: ((found, text) for found, text, _ in lines()),
        lambda: (Place(file.origin, "line", number) for *_, number in lines()),
    )


def table_of_objects(file: LocalFile, objects: Objects, places: Callable[[], Iterator[Place]]) -> Table:
    """The columns are all names that occur, so records are gone through twice; a file without any has the expected.
    Raises CitylakeError for a file without any where nothing is expected."""
    request = file.request
    found = dict.fromkeys(name for row in object_rows(objects(), request) for name in row if name != UNREAD)
    if not found and not request.expected:
        raise file.error("format.no_objects")
    names = header_names(list(found or request.expected), file.origin, request.owner)
    rows = ([row.get(name) or "" for name in (*names, UNREAD)] for row in object_rows(objects(), request))
    return table_of_rows(names, rows, places)


def document(file: LocalFile, encoding: Encoding = "utf-8") -> Any:
    """A whole JSON document, decoded by `loads`. Raises CitylakeError for what is none."""
    known = known_encoding(file, encoding)
    try:
        return loads(decoded(file.path.read_bytes(), known).removeprefix(BOM))
    except UnicodeDecodeError:
        raise not_encoded(file, known, fitting(file)) from None  # the error quotes the whole file
    except (ValueError, RecursionError) as error:
        about = {"line": getattr(error, "lineno", 1), "byte": getattr(error, "colno", 1)}
        raise file.error("format.no_json", **about) from None


def arrays(found: Any, under: str = "") -> Iterator[tuple[str, int]]:
    """Where arrays of objects lie in a document, keys with slashes between them, and how long each is."""
    if isinstance(found, list) and found and all(isinstance(one, dict) for one in found):
        yield under, len(found)
    for key, value in found.items() if isinstance(found, dict) else ():
        if "/" not in key:
            yield from arrays(value, f"{under}/{key}" if under else key)


def array(file: LocalFile, found: Any, records: str | None) -> list[Any]:
    """The records of a document. Raises CitylakeError if there is no array, and where a key on the way stands twice."""
    for key in records.split("/") if records else ():
        if isinstance(found, _Repeated):
            raise file.error("format.repeated_key")
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise file.error("format.no_records", records=records or "[…]")
    return found


class _Number(str):
    """A number as it was written."""


class _Repeated(dict[str, Any]):
    """An object in which a key stands twice."""


def loads(text: str) -> Any:
    """JSON with numbers as text. Raises ValueError, also for NaN and Infinity, which JSON does not know."""
    return stdlib_json.loads(
        text, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant, object_pairs_hook=_object
    )


def flat(found: Any) -> dict[str, str | None] | None:
    """An object with all values as text, nested ones as JSON; None for anything else and where a key stands twice."""
    if not isinstance(found, dict) or has_repeated(found):
        return None
    return {name: _text(value) for name, value in found.items()}


def dumped(value: Any, ascii_only: bool = True) -> str:
    """A value that `loads` gave as JSON again, numbers as they were written."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        items = (f"{stdlib_json.dumps(k, ensure_ascii=ascii_only)}: {dumped(v, ascii_only)}" for k, v in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(dumped(one, ascii_only) for one in value)}]"
    return stdlib_json.dumps(value, ensure_ascii=ascii_only)


def coordinate(value: Any) -> str:
    """A number that `loads` gave, as it was written. Raises ValueError for anything else."""
    if not isinstance(value, _Number):
        raise ValueError("a coordinate is a number")
    return str(value)


def _line(text: str) -> dict[str, str | None] | None:
    try:
        return flat(loads(text))
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else dumped(value, ascii_only=False)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Repeated(found)


def has_repeated(value: Any) -> bool:
    """Whether a key stands twice in an object that `loads` gave, or in one within it."""
    if isinstance(value, dict):
        return isinstance(value, _Repeated) or any(map(has_repeated, value.values()))
    return isinstance(value, list) and any(map(has_repeated, value))


def _no_constant(name: str) -> Any:
    raise ValueError(name)
