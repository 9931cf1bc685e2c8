"""What a connection or a file offers: tables, files and sheets, resources, shared tables, paths; each with the call of
the connector that would read it, and what the source says of it. Rows are read by the connectors themselves.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa

from pipelines.connectors.base import Request, connectors, read_json
from pipelines.connectors.database.described import Described, described, tables
from pipelines.connectors.exchange.profile import read_profile
from pipelines.connectors.exchange.server import Server
from pipelines.connectors.formats import LocalFile, opened
from pipelines.connectors.formats.objects import arrays
from pipelines.connectors.http import Refused, Site, Wanted
from pipelines.connectors.stores import StoredFile, StoreError, open_store
from pipelines.connectors.stores.base import MARKER
from pipelines.contracts.forms.words import LogicalType
from pipelines.contracts.mistakes import call_problem
from pipelines.drafts.fields import SourceColumn
from pipelines.drafts.files import guess
from pipelines.drafts.texts import undecided
from pipelines.messages import CitylakeError
from pipelines.verbs import VerbError

MOST = 1000
"""Rows of a look."""
_EVERYTHING = "*.*.*"
_DIGITS = re.compile(r"[0-9]+")
_TYPES: Sequence[tuple[type[sa.types.TypeEngine[Any]], LogicalType]] = (
    (sa.DateTime, "timestamp"),
    (sa.Date, "date"),
    (sa.Boolean, "boolean"),
    (sa.Integer, "integer"),
    (sa.Numeric, "number"),
    (sa.String, "string"),
)


@dataclass(frozen=True)
class Offer:
    """One thing that can become a dataset. `told`: what the source says of its columns, of which it may know none;
    `notes`: what to say of it, as a draft has them; `read`: writes a sample to the request's target and gives the names
    of its columns, None when there is nothing."""

    name: str
    connector: Mapping[str, Any]
    read: Callable[[Request], tuple[str, ...] | None]
    title: str = ""
    told: Mapping[str, SourceColumn] = field(default_factory=dict)
    keys: Sequence[tuple[str, ...]] = ()
    notes: Sequence[tuple[str, dict[str, Any]]] = ()


@dataclass(frozen=True)
class Asked:
    """What a steward asks for: a connection, by `verb`, with arguments beside those that are found."""

    request: Request
    connection: str
    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def listing(self) -> bool:
        """Whether the source can say what it has."""
        return self.verb in _LISTED and (self.verb != "open_portal" or "catalogue" in self.arguments)

    def names(self) -> list[str]:
        """What there is, by names that `offers` takes. Raises CitylakeError; none where a source cannot list."""
        return _LISTED[self.verb](self) if self.listing else []

    def offers(self, name: str) -> Iterator[Offer]:
        """What is behind one name: several sheets of a file, else one. Raises CitylakeError."""
        return _OFFERED[self.verb](self, name)

    def called(self, **arguments: Any) -> dict[str, Any]:
        """The call of the connector as a contract writes it."""
        return {self.verb: {"connection": self.connection, **arguments, **self.arguments}}

    def offer(self, name: str, call: Mapping[str, Any], **about: Any) -> Offer:
        """An offer that the connector itself reads."""
        return Offer(name, call, lambda request: pulled(request, call), **about)


def pulled(request: Request, call: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The columns of what a connector gives when it is called so; a look."""
    ((verb, arguments),) = call.items()
    done = connectors[verb].function(replace(request, most=MOST), **_bound(verb, arguments))
    return done.columns if done else None


def of_file(path: Path, request: Request, given: Mapping[str, Any]) -> Iterator[Offer]:
    """What a file of this machine offers, as it would come to a drop; `given`: arguments of the connector."""
    local = LocalFile(path, path.name, request)
    for part, options in guess(local, path.name, _of_format(given)):
        call = {"connection": undecided("connection"), "files": _pattern(path.name), **options, **given}
        yield _of_part(path.name, part, {"file_drop": call}, options, lambda _: path)


def _of_format(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `file_drop` that say how a file is read."""
    return {name: value for name, value in given.items() if name not in ("connection", "files", "complete", "together")}


def _bound(verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a connector. Raises CitylakeError for those that it does not take."""
    try:
        return connectors[verb].bind(arguments)
    except VerbError as error:
        about = {"verb": verb, "signature": connectors[verb].signature, **call_problem(error)}
        raise CitylakeError("draft.bad_arguments", **about) from None


def _of_part(
    file: str, part: str, call: Mapping[str, Any], options: Mapping[str, Any], fetch: Callable[[Request], Path]
) -> Offer:
    def read(request: Request) -> tuple[str, ...]:
        _bound("file_drop", call["file_drop"])
        with opened(LocalFile(fetch(request), file, request), **options) as table:
            table.write(request)
            return table.names

    title = part if part and not part.startswith(".") else _name_of(file)
    return Offer(f"{file}#{part}" if part else file, call, read, title="" if title.isascii() else title)


def _name_of(file: str) -> str:
    """What a file is called without the day or number in its name."""
    return Path(_DIGITS.sub("", file)).stem.strip("-_ （）()")


def _database_names(asked: Asked) -> list[str]:
    return tables(asked.request, asked.connection)


def _database(asked: Asked, name: str) -> Iterator[Offer]:
    table = described(asked.request, asked.connection, name)
    told = {column: _source_column(column, one) for column, one in table.columns.items()}
    yield asked.offer(name, asked.called(table=name), title=table.comment, told=told, keys=table.keys)


def _source_column(name: str, said: Described) -> SourceColumn:
    kind = next((logical for type_, logical in _TYPES if isinstance(said.type, type_)), None)
    size = getattr(said.type, "length", None) if kind == "string" else None
    whole = kind == "number" and getattr(said.type, "scale", None) == 0
    known = None if kind == "string" else "integer" if whole else kind  # texts may be dates: their values say so
    return SourceColumn(name, said.comment, known, said.nullable, size)


def _file_names(asked: Asked) -> list[str]:
    """Files by the pattern that those of several days have in common."""
    return sorted(_grouped(asked))


def _grouped(asked: Asked) -> dict[str, StoredFile]:
    with open_store(asked.request.secret(asked.connection), asked.connection, asked.request.owner) as store:
        try:
            files = [file for file in store.files("*") if not file.name.endswith(MARKER)]
        except StoreError as error:
            raise store.error("pull.store_unreachable", problem=error.problem) from None
    return {_pattern(file.name): file for file in sorted(files, key=lambda file: (file.modified, file.name))}


def _files(asked: Asked, name: str) -> Iterator[Offer]:
    newest = _grouped(asked).get(_pattern(name))
    if newest is None:
        raise CitylakeError("draft.not_offered", connection=asked.connection, name=name)
    copy = asked.request.target.with_name("sample")
    with open_store(asked.request.secret(asked.connection), asked.connection, asked.request.owner) as store:
        try:
            store.fetch(store.listed[newest.name], copy)
            marked = store.marked(newest)
        except StoreError as error:
            raise store.error("pull.store_unreachable", problem=error.problem) from None
    for part, options in guess(LocalFile(copy, newest.name, asked.request), newest.name, _of_format(asked.arguments)):
        call = asked.called(files=_pattern(name), **options, **({} if marked else {"complete": "stable"}))
        offer = _of_part(newest.name, part, call, options, lambda _: copy)
        yield replace(offer, notes=[("marked" if marked else "stable", {})])


def _pattern(name: str) -> str:
    """The name of a file with a star for what a day or a number is in it."""
    return _DIGITS.sub("*", name)


def _tables_shared(asked: Asked) -> list[str]:
    profile = read_profile(asked.request.secret(asked.connection), asked.connection, asked.request.owner)
    with Server(profile, asked.connection, _EVERYTHING, asked.request.owner) as server:
        return server.offered()


def _shared(asked: Asked, name: str) -> Iterator[Offer]:
    yield asked.offer(name, asked.called(table=name))


def _resources(asked: Asked) -> list[str]:
    return sorted(_catalogue(asked))


def _catalogue(asked: Asked) -> dict[str, tuple[str, dict[str, Any]]]:
    """The resources that can be read, `dataset/resource`, each with its dataset's title and what it says of itself."""
    if pulled(asked.request, asked.called(harvest="list")) is None:
        return {}
    found = {}
    for row in pq.read_table(asked.request.target).to_pylist():
        for one in json.loads(row.get("resources") or "[]"):
            name = one.get("name") or one.get("id")
            if isinstance(one, dict) and name and str(one.get("format") or "").lower() in ("csv", "json", "text/csv"):
                found[f"{row['dataset_id']}/{name}"] = (row.get("title") or "", one)
    return found


def _portal(asked: Asked, name: str) -> Iterator[Offer]:
    if "catalogue" not in asked.arguments:
        kind = "json" if name.lower().endswith(".json") else "csv"
        yield asked.offer(name, asked.called(path=name, format=kind, **_OPEN[kind]))
        return
    title, one = _catalogue(asked).get(name, ("", None))
    if one is None:
        raise CitylakeError("draft.not_offered", connection=asked.connection, name=name)
    dataset, _, resource = name.partition("/")
    kind = "json" if "json" in str(one["format"]).lower() else "csv"
    catalogue = {**asked.arguments["catalogue"], "dataset": dataset, "resource": resource}
    call = {**asked.called(format=kind, **_OPEN[kind])["open_portal"], "catalogue": catalogue}
    yield asked.offer(name, {"open_portal": call}, title=title)


_OPEN: Mapping[str, dict[str, Any]] = {"csv": {"encoding": "auto", "delimiter": "auto"}, "json": {}}


def _interface(asked: Asked, name: str) -> Iterator[Offer]:
    """A path of an interface; where its records lie is looked up unless it was said."""
    found = {} if "records" in asked.arguments else _records(asked, name)
    notes: Sequence[tuple[str, dict[str, Any]]] = () if "paging" in asked.arguments else (("paging", {}),)
    yield asked.offer(name, asked.called(path=name, **found), notes=notes)


def _records(asked: Asked, path: str) -> dict[str, str]:
    body = asked.request.target.with_name("answer")
    with Site(asked.request, asked.connection, asked.arguments.get("auth"), 20_000_000) as site:
        wanted = Wanted(site.address(path, asked.arguments.get("parameters")), headers={"Accept": "application/json"})
        try:
            found = site.fetch(wanted, body, lambda _: list(arrays(read_json(body.read_bytes()))))
        except Refused as error:
            about = {"connection": asked.connection, "path": path, "owner": asked.request.owner, "page": 1}
            raise CitylakeError("pull.refused_page", status=error.status, **about) from None
        except (ValueError, RecursionError) as error:
            about = {"connection": asked.connection, "path": path, "owner": asked.request.owner, "page": 1}
            raise CitylakeError("pull.unreadable_page", problem=type(error).__name__, **about) from None
    under = max(found, key=lambda one: one[1], default=("", 0))[0]
    return {"records": under} if under else {}


def _topic(asked: Asked, name: str) -> Iterator[Offer]:
    yield asked.offer(name, asked.called(topics=[name], client_id="citylake"), notes=[("session", {})])


_LISTED: Mapping[str, Callable[[Asked], list[str]]] = {
    "database": _database_names,
    "file_drop": _file_names,
    "exchange": _tables_shared,
    "open_portal": _resources,
}
_OFFERED: Mapping[str, Callable[[Asked, str], Iterator[Offer]]] = {
    "database": _database,
    "file_drop": _files,
    "exchange": _shared,
    "open_portal": _portal,
    "rest_api": _interface,
    "mqtt": _topic,
}


def verb_of(address: str) -> str | None:
    """The connector that a connection string asks for; None where several could, as for an address of the web."""
    if address.lstrip().startswith("{"):
        return "exchange" if "shareCredentialsVersion" in address else None
    scheme = address.partition("://")[0].lower() if "://" in address else "postgresql"
    if scheme in ("http", "https"):
        return None
    return {"file": "file_drop", "sftp": "file_drop", "s3": "file_drop", "mqtt": "mqtt", "mqtts": "mqtt"}.get(
        scheme, "database"
    )
