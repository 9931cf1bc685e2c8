"""What a format is: a function from a local file and options to a table of texts; and the one registry of them.

Where the file came from is a connector's affair, what its rows mean is admission's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipelines.connectors.base import Request, write_rows
from pipelines.messages import CitylakeError
from pipelines.verbs import Registry, VerbError


@dataclass(frozen=True)
class LocalFile:
    """A file on this disk. `origin` is how messages call it; `request`: the pull that it is read for."""

    path: Path
    origin: str
    request: Request

    def error(self, code: str, **arguments: object) -> CitylakeError:
        """Message `code` about this file, to its owner."""
        return CitylakeError(code, file=self.origin, owner=self.request.owner, **arguments)


@dataclass(frozen=True)
class Place:
    """Where a row stands in its file, as people find it there, counted from 1: a `line` of text, a `row` of the sheet
    `of`, or a `record` under `of`. `file` is how messages call the file, with the member of an archive; `letters`: the
    column of the sheet that each name stands above."""

    file: str
    kind: Literal["line", "row", "record"]
    number: int
    of: str = ""
    letters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A file that is open for reading: the names of its columns, and how its rows are written.

    `write` writes all rows in the file's order to the request's target, as text, a row that cannot be taken apart with
    only its text in UNREAD, and returns how many. It raises CitylakeError for what is found on the way. `places` tells
    in the same order where each row stands; a table is written or asked that, and opened again for the other.
    `left_out`: how many rows the contract says are no data, once it was written.
    """

    names: tuple[str, ...]
    write: Callable[[Request], int]
    places: Callable[[], Iterator[Place]]
    left_out: Callable[[], int] = lambda: 0


def table_of_rows(
    names: Sequence[str],
    rows: Iterator[Sequence[str]],
    places: Callable[[], Iterator[Place]],
    left_out: Callable[[], int] = lambda: 0,
) -> Table:
    """A table of rows that Python makes; each has a value for each name and one for UNREAD, empty ones for none."""
    return Table(tuple(names), lambda request: write_rows(request, names, rows), places, left_out)


def numbered(file: LocalFile, records: Callable[[], Iterable[object]], of: str = "") -> Callable[[], Iterator[Place]]:
    """The places of records that have no other than their number."""
    return lambda: (Place(file.origin, "record", number, of) for number, _ in enumerate(records(), 1))


@dataclass(frozen=True)
class FormatAbout:
    """What a format is. `archive`: its files lie in a zip of their own, as a shapefile's do. `cells`: its values are
    cells of a workbook, or were when it was saved as CSV: a long number has lost its last digits there, and a formula
    may have no result."""

    archive: bool = False
    cells: bool = False


formats: Registry[Callable[..., Table], FormatAbout] = Registry("format")
"""A format's first parameter is the LocalFile; its keyword-only ones are its options. What `read` gives them besides
the file is open only while the table is."""


def check_options(arguments: Mapping[str, Any]) -> None:
    """The check of a connector whose arguments name a `format` and its options. Raises VerbError for an option that
    belongs to another format, and for one that is missing or mistyped."""
    verb = formats[arguments["format"]]
    options = {name for other in formats.values() for name in other.parameters}
    for name in arguments:
        if name in options and name not in verb.parameters:
            known = ", ".join(verb.parameters) or "—"
            raise VerbError("arguments.not_of_format", name=name, format=verb.name, known=known)
    verb.bind({name: value for name, value in arguments.items() if name in verb.parameters})
