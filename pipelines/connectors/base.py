"""What a connector is: a verb that writes one pull as Parquet. Registered here, found by name in contracts.

And what several connectors need: rows of text written in pieces, so that a large delivery does not have to fit into
memory, and JSON objects as such rows. Where rows come from does not belong here; files are read in `formats`.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.messages import CitylakeError
from pipelines.privacy.source_names import has_value, shown
from pipelines.verbs import Registry

T = TypeVar("T")
UNREAD = "_unread"
"""The column in which a connector delivers, whole, a row that it could not take apart; NULL for all others."""
ERASED, EMPTIED = "_erased", "_emptied"
"""The columns of raw rows that were erased: by which order a row went and left its place empty; which of the contract's
columns of a row were emptied. NULL for all others; a file without such rows has no such columns."""
PIECE = 50_000
"""Rows written together."""
LOOKED_AT = 1000
"""Rows that are read to guess what was renamed."""
WIDEST = 300
"""Most keys that objects may have beside the contract's: a device that uses times as keys would make millions."""

Encoding = Literal["utf-8", "gbk", "gb18030", "auto"]
Delimiter = Literal[",", ";", "|", "\t", "auto"]


@dataclass(frozen=True)
class Cursor:
    """A source is read from where the last pull ended. `column`: physical name; `overlap`: how far to step back, in
    seconds for times, days for dates, units for numbers, so that late rows are not missed. `then`: the columns that
    decide between rows with one value of `column`.
    """

    column: str
    overlap: int
    then: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the position, the deciding one first."""
        return (self.column, *self.then)


@dataclass(frozen=True)
class Request:
    """One pull. `target`: the Parquet file to write, all columns VARCHAR or the source's own type.

    `root`: the folder of contracts. `secret`: gives a connection string by connection name. `expected`: the physical
    columns that the contract uses; `ignored`: those it lists as ignored. `owner`: whom to ask. `scratch`: spill room.
    `position`: what the connector returned with the last pull that was kept, empty at first. `cursor`: set when only
    rows from the position on are wanted. `spool`: this source's durable folder for what was received and is not yet
    in raw; the connector makes it if it needs it. `previous`: gives the rows that were there at the position, as a
    raw file; None if they are not kept any more as they came, or no source delivered the newest batch. `made_up`:
    whether this home holds made-up data, so that more of them may come. `most`: only a look is taken and nothing kept:
    about so many rows are enough, and a broker forgets none of them. Files come whole all the same: where one is
    damaged is not known before. `known`: gives the SHA-256 of the file that was taken last under each name; `again`:
    told the name of a file that came again as it was taken before, and is left where it lies; `unmarked`: that of a new
    file which waits for its marker, and for how many seconds it has lain there. `sessions`: how many the
    server of a connection stands, None if nobody said.
    """

    target: Path
    root: Path
    secret: Callable[[str], str]
    owner: str
    expected: tuple[str, ...]
    ignored: tuple[str, ...]
    scratch: Path
    position: Mapping[str, Any] = field(default_factory=dict)
    cursor: Cursor | None = None
    spool: Path = Path("spool")
    previous: Callable[[], Path | None] = lambda: None
    made_up: bool = False
    most: int | None = None
    known: Callable[[], Mapping[str, str]] = dict
    again: Callable[[str], None] = lambda _: None
    unmarked: Callable[[str, float], None] = lambda _name, _seconds: None
    sessions: Callable[[str], int | None] = lambda _: None


@dataclass(frozen=True)
class Pulled:
    """What a pull brought: rows written, the columns found at the source, and how the source names itself.

    `position` (plain JSON, no secret) comes back in the next request once this pull is kept in raw. `more`: another
    delivery waits behind this one. `left_out`: rows that the contract says are no data, as totals in a workbook.
    `taken`: the SHA-256 of every file that was taken, by name, None where there are none.
    """

    rows: int
    columns: tuple[str, ...]
    origin: str
    position: Mapping[str, Any] = field(default_factory=dict)
    more: bool = False
    left_out: int = 0
    taken: Mapping[str, str] | None = None


class ColumnsMissing(CitylakeError):
    """Columns of the contract are not at the source. `sample`: some values of each new column, none where the
    connector cannot look; they tell what was renamed, and must not be shown. Columns that are called like somebody
    stand there by their place."""

    def __init__(self, origin: str, missing: Sequence[str], sample: Mapping[str, Sequence[Any]]) -> None:
        extra = shown(list(sample))
        super().__init__("pull.columns_missing", table=origin, missing=listed(missing), extra=listed(extra))
        self.missing = tuple(missing)
        self.sample = dict(zip(extra, sample.values(), strict=True))


def taken(request: Request, columns: Mapping[str, T]) -> dict[str, T]:
    """The columns of a table that are pulled: what the contract ignores never leaves its department."""
    return {name: about for name, about in columns.items() if name not in request.ignored}


def require_columns(
    request: Request,
    columns: Sequence[str],
    origin: str,
    rows: Callable[[], Iterable[Sequence[Any]]] | None = None,
) -> None:
    """Raise ColumnsMissing naming missing and new columns unless all expected ones are there, or CitylakeError, without
    any name, where a row stands in the place of the names.

    `rows`: rows of the source, values in the order of `columns`; asked only if a column is missing.
    """
    missing = [name for name in request.expected if name not in columns]
    if missing:
        extra = [name for name in columns if name not in request.expected and name not in request.ignored]
        if has_value(extra):
            raise CitylakeError("pull.row_as_header", file=origin, missing=listed(missing), owner=request.owner)
        seen = _first(rows) if rows and extra else []
        places = {name: columns.index(name) for name in extra}
        raise ColumnsMissing(origin, missing, {name: [row[at] for row in seen] for name, at in places.items()})


def _first(rows: Callable[[], Iterable[Sequence[Any]]]) -> list[Sequence[Any]]:
    """Some rows to guess from. Where none can be read the missing columns are still the first thing to tell."""
    found: list[Sequence[Any]] = []
    with contextlib.suppress(CitylakeError):
        found.extend(islice(rows(), LOOKED_AT))
    return found


def first_written(path: Path, names: Sequence[str]) -> Iterator[Sequence[Any]]:
    """Rows of a Parquet file that a connector wrote, values in the order of `names`."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(LOOKED_AT, columns=list(names)):
            yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def listed(names: Sequence[str]) -> str:
    """Names for a message. Those that a source gives are `shown` first."""
    return "、".join(f"“{name}”" for name in names) or "—"


@dataclass(frozen=True)
class About:
    """What a connector is. `asks`: an empty answer says that the source has nothing new, so what is there is fresh;
    otherwise only that nothing was sent. `placed`: rows come in the order in which the source told them, so that of two
    rows of one key the last one is the later word; false for what is read in no order.
    """

    asks: bool
    placed: bool = True


connectors: Registry[Callable[..., Pulled | None], About] = Registry("connector")
"""A connector returns None when there is nothing that was not pulled before; then `target` is not looked at."""


def write_rows(request: Request, names: Sequence[str], rows: Iterator[Sequence[str]]) -> int:
    """Write rows of text to the target and count them. A row has a value for each name and one for UNREAD; empty ones
    become NULL."""
    schema = pa.schema([(name, pa.string()) for name in (*names, UNREAD)])
    nothing = pa.scalar(None, pa.string())
    count = 0
    with pq.ParquetWriter(request.target, schema, compression="zstd") as file:
        while piece := list(islice(rows, PIECE)):
            arrays = [pa.array(column, pa.string()) for column in zip(*piece, strict=True)]
            file.write_table(pa.table([pc.if_else(pc.equal(a, ""), nothing, a) for a in arrays], schema))
            count += len(piece)
    return count


def header_names(names: list[str], origin: str, owner: str) -> tuple[str, ...]:
    """The names of a header, without empty ones at its end. Raises CitylakeError if there is none, one has a NUL in it,
    or is repeated, also in other letter case: DuckDB would give the values of the first for both."""
    while names and not names[-1]:
        names.pop()
    if not names:
        raise CitylakeError("pull.no_header", file=origin, owner=owner)
    folded = [name.casefold() for name in (*names, UNREAD)]
    repeated = sorted({name for name in names if folded.count(name.casefold()) > 1 or not name or "\0" in name})
    if repeated:
        if has_value(names):
            raise CitylakeError("pull.row_as_header", file=origin, missing="—", owner=owner)
        repeated = [one for name, one in zip(names, shown(names), strict=True) if name in repeated]
        raise CitylakeError("pull.bad_header", file=origin, names=listed(repeated), owner=owner)
    return tuple(names)


def read_json(text: str | bytes) -> Any:
    """A JSON value. A number that a float would change is its text: amounts keep all their digits.

    Raises ValueError, or RecursionError for one so deep that nobody can read it.
    """
    return json.loads(text, parse_float=_exact)


def _exact(text: str) -> float | str:
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else text


def object_rows(
    objects: Iterable[tuple[Any, str]], request: Request, reserved: Sequence[str] = ()
) -> Iterator[dict[str, str | None]]:
    """JSON values, each with its text, as rows: the keys of an object with their values as text, nested ones as JSON.
    What is no object, or has keys that cannot be columns, has only its text, in UNREAD. `reserved`: names that are
    the connector's own."""
    known = {*request.expected, *request.ignored}
    limit = len(known) + WIDEST
    for found, text in objects:
        if not isinstance(found, dict) or not _storable(found, text):
            yield {UNREAD: text}
            continue
        if not found.keys() <= known:
            wider = known | found.keys()
            if len(wider) > limit or wider & {"", UNREAD, *reserved}:
                yield {UNREAD: text}
                continue
            known = wider
        yield {name: _text(value) for name, value in found.items()}


def _storable(found: dict[str, Any], text: str) -> bool:
    """Whether all is Unicode: JSON may name half a character, which no file can hold."""
    if "\\u" not in text:
        return True
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
