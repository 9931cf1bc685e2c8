"""Connector `rest_api`: records of an interface that answers JSON, page by page.

Here: how a contract's arguments become questions, and where records, totals and the next page are in an answer. Every
argument is described with an example in docs/connectors.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from pipelines.connectors import paging as pages
from pipelines.connectors.base import About, Encoding, Pulled, Request, connectors
from pipelines.connectors.credentials import Auth
from pipelines.connectors.http import Site, Unreadable, Wanted
from pipelines.connectors.paged import Interface
from pipelines.connectors.paging import Asked, Paging
from pipelines.connectors.since import Since, step_back
from pipelines.messages import CitylakeError
from pipelines.verbs import STRICT

SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")
"""Headers that a contract cannot state: contracts and receipts are read by many."""


@with_config(STRICT)
class Success(TypedDict):
    """An answer counts only if what is `under` a path is one of `values`: many interfaces say 200 to everything."""

    under: str
    values: list[str | int | bool]


@connectors.register(About(asks=True))
def rest_api(
    request: Request,
    *,
    connection: str,
    path: str,
    records: str = "",
    total: str | None = None,
    success: Success | None = None,
    method: Literal["GET", "POST"] = "GET",
    parameters: dict[str, str | int | bool] | None = None,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    paging: Paging | None = None,
    auth: Auth | None = None,
    since: Since | None = None,
    requests_per_second: Annotated[float, Field(gt=0)] | None = None,
    largest: Annotated[int, Field(ge=1)] = 20_000_000,
    most_pages: Annotated[int, Field(ge=1)] = 100_000,
    resume_within: Annotated[int, Field(ge=0)] = 6 * 3600,
    encoding: Encoding = "utf-8",
) -> Pulled | None:
    """Ask `path` below the address of the connection for all pages; the objects under `records` are the rows.

    With a cursor only rows from the last position on are asked for, by the variable `$since`. Raises CitylakeError for
    a contract that cannot work, a server that refuses, and pages that make no whole.
    """
    known = since_value(request, since)
    question = Question(path, method, parameters or {}, body, headers or {}, paging, known)
    question.check(request, since)
    with Site(request, connection, auth, largest, requests_per_second) as site:
        return Interface(
            request=request,
            site=site,
            path=path,
            wanted=lambda asked: question.wanted(site, asked),
            reader=Paths(records, total, success, paging),
            first=pages.first(paging),
            question={
                "ask": [path, method, parameters, body, headers, paging, known],
                "read": [records, total, success, encoding],
                "cursor": request.cursor.column if request.cursor else None,
            },
            counted=pages.is_counted(paging),
            absent_ends=paging is not None and paging.get("end") == "not_found",
            since=since,
            encoding=encoding,
            most_pages=most_pages,
            resume_within=resume_within,
        ).pull()


def since_value(request: Request, since: Since | None) -> str | int | None:
    """What `$since` is: the last position less the overlap, or where the contract starts; None for everything.

    A position that is not written as the contract says, since that was changed, counts as none: all is asked for again,
    which core compares.
    """
    if request.cursor is None or since is None:
        return None
    value, start = request.position.get("value"), since.get("start")
    if value is None:
        return start
    try:
        found = step_back(value, request.cursor.overlap, since["written"])
    except (ValueError, OverflowError):
        return start
    return int(found) if since["written"] == "number" else found


@dataclass(frozen=True)
class Question:
    """How an interface is asked for a page."""

    path: str
    method: Literal["GET", "POST"]
    parameters: Mapping[str, Any]
    body: Mapping[str, Any] | None
    headers: Mapping[str, str]
    paging: Paging | None
    since: str | int | None

    def check(self, request: Request, since: Since | None) -> None:
        """Raises CitylakeError for a question that would be the same for all pages, cannot go on, or tells a secret."""
        told = sorted(name for name in self.headers if name.lower() in SECRET_HEADERS)
        if told:
            raise CitylakeError("pull.secret_in_contract", path=self.path, header=told[0])
        used = pages.named(self.parameters, self.body or {})
        unknown = sorted(used - {"page", "offset", "cursor", "size", "since"})
        if unknown:
            raise CitylakeError("pull.unknown_variable", path=self.path, variable=f"${unknown[0]}")
        by = self.paging["by"] if self.paging else "link"
        if by != "link" and by not in used:
            raise CitylakeError("pull.no_variable", path=self.path, by=by, variable=f"${by}")
        if request.cursor and (since is None or "since" not in used):
            raise CitylakeError("pull.no_since", path=self.path, column=request.cursor.column)

    def wanted(self, site: Site, asked: Asked) -> Wanted:
        """The question for one page."""
        values = pages.variables(self.paging, asked, self.since)
        parameters = {name: _text(value) for name, value in pages.filled(self.parameters, values).items()}
        url = site.page(asked["link"]) if "link" in asked else site.address(self.path, parameters)
        body = None
        if self.method == "POST":
            body = json.dumps(pages.filled(self.body or {}, values), ensure_ascii=False).encode()
        return Wanted(url, self.method, {"Accept": "application/json", **self.headers}, body)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Paths:
    """Answers that have records, total and cursor under paths of keys."""

    under: str
    total: str | None
    success: Success | None
    paging: Paging | None

    def records(self, found: Any) -> list[Any]:
        """The array under `records`."""
        if self.success is not None:
            said = _at(found, self.success["under"], "success")
            if not any(said == value and type(said) is type(value) for value in self.success["values"]):
                raise Unreadable("success")
        records = _at(found, self.under, "records")
        if not isinstance(records, list):
            raise Unreadable("records")
        return records

    def going_on(self, found: Any, asked: Asked, count: int, header: str) -> tuple[int | None, Asked | None]:
        """By the contract's paging."""
        total = None if self.total is None else _whole(_at(found, self.total, "total"))
        return total, pages.following(self.paging, asked, found, count, header)


def _at(found: Any, path: str, argument: str) -> Any:
    """What is under a path that an argument of the contract names."""
    try:
        return pages.at(found, path)
    except (KeyError, TypeError):
        raise Unreadable(argument) from None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Unreadable("total")
    return int(value)
