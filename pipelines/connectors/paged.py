"""Pulling page by page: what arrived is durable, a pull that broke off goes on there, and the whole becomes rows.

The same for every interface; how one is asked and what its answers mean is told by an `Interface`. A page is in memory
at a time, never the whole.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

import httpx

from pipelines.connectors.base import (
    UNREAD,
    WIDEST,
    Encoding,
    Pulled,
    Request,
    header_names,
    object_rows,
    read_json,
    require_columns,
    write_rows,
)
from pipelines.connectors.http import Answer, Refused, Site, Unreadable, Wanted
from pipelines.connectors.paging import Asked
from pipelines.connectors.since import Greatest, Since
from pipelines.connectors.spool import Page, Spool
from pipelines.messages import CitylakeError

PAGES_FILE = "pages.ndjson.gz"
"""What was received, beside the rows."""
_HALVES = re.compile(r"\\u[dD][89a-fA-F]")
"""Escapes of halves of characters, which may stand alone."""
_FORGOTTEN = (400, 404, 410, 422)
"""What servers say about a place to go on from that they do not know any more."""


class Reader(Protocol):
    """What the answers of an interface mean. Both raise KeyError, TypeError or ValueError for what is no page."""

    def records(self, found: Any) -> list[Any]:
        """The records of a page."""

    def going_on(self, found: Any, asked: Asked, count: int, header: str) -> tuple[int | None, Asked | None]:
        """The total that a page of `count` records states, and what tells the next page; None if there is none.
        `header`: the Link headers."""


@dataclass(frozen=True)
class Interface:
    """One interface during one pull.

    `path`: how messages call it. `wanted`: the question for a page. `counted`: pages are told by counting; then
    `absent_ends`: status 404 says that there is no further one. `question`: plain JSON, what a spool belongs to.
    `since`: how the cursor is written, where only new rows are wanted. `parsed`: what the reader reads of a page's
    text; raises ValueError or RecursionError for what is no page.
    """

    request: Request
    site: Site
    path: str
    wanted: Callable[[Asked], Wanted]
    reader: Reader
    first: Asked
    question: dict[str, Any]
    counted: bool = False
    absent_ends: bool = False
    since: Since | None = None
    encoding: Encoding = "utf-8"
    parsed: Callable[[str], Any] = read_json
    most_pages: int = 100_000
    resume_within: int = 6 * 3600

    def pull(self) -> Pulled | None:
        """All pages as rows; None if only new rows were wanted and there are none. Position: the spool that holds the
        pages, and the greatest cursor value. Raises CitylakeError."""
        spool = Spool(self.request.spool, self.request.position.get("spool"))
        question = {**self.question, "server": hashlib.sha256(str(self.site.base).encode()).hexdigest()}
        spool.open(question, self.resume_within)
        self._gather(spool, question)
        try:
            pulled = _deliver(self, spool)
        except CitylakeError:
            spool.drop()  # these pages will never be rows; the next pull asks anew
            raise
        if pulled is None:
            spool.drop()
        return pulled

    def _gather(self, spool: Spool, question: dict[str, Any]) -> None:
        """Fetch what the spool lacks."""
        gathering = _Gathering(self, spool)
        try:
            gathering.run()
        except Refused as error:
            if not (spool.resumed and gathering.untried and error.status in _FORGOTTEN):
                raise self.failure("pull.refused_page", page=gathering.number, status=error.status) from None
            spool.begin(question)
            self._gather(spool, question)

    def failure(self, code: str, **about: object) -> CitylakeError:
        """Message `code` about this interface."""
        about |= {"connection": self.site.connection, "path": self.path, "owner": self.request.owner}
        return CitylakeError(code, **about)


class _Gathering:
    """The pages of one interface, from the last one in the spool to the end."""

    def __init__(self, interface: Interface, spool: Spool) -> None:
        self.interface, self.spool = interface, spool
        self.body = interface.request.target.with_name("page")
        self.following: Asked | None = interface.first
        self.number, self.count = 1, 0
        self.total: int | None = None
        self.seen: set[str] = set()
        self.untried = True
        """Whether no page has come since the spool was opened."""
        self.last: list[Any] = []
        """The records of the last page."""
        last = None
        for page in spool.pages():
            self._count(page)
            last = page
        if last is not None and last.body is not None:
            self.last = interface.reader.records(interface.parsed(last.body))

    def run(self) -> None:
        """Fetch until the end. Raises Refused with all pages kept, CitylakeError with none if they make no whole."""
        while self.following is not None:
            page, records = self._fetch(self.following)
            self.untried = False
            if records and records == self.last:
                page = self._repeated(page)
            enough = self._enough(page)
            page = replace(page, following=None) if enough else page
            problem = None if enough else self._problem(page)
            if problem is not None:
                self.spool.drop()
                raise problem
            self.spool.add(page)
            self._count(page)
            self.last = records
        self.body.unlink(missing_ok=True)

    def _enough(self, page: Page) -> bool:
        """Whether a look has seen what it wants with this page; then what follows is not asked for."""
        most = self.interface.request.most
        return most is not None and self.count + page.count >= most

    def _count(self, page: Page) -> None:
        self.seen.add(json.dumps(page.asked, sort_keys=True))
        self.following = page.following
        self.count += page.count
        self.total = self.total if page.total is None else page.total
        self.number += 1

    def _repeated(self, page: Page) -> Page:
        """A page that equals the one before: the end, if counted pages have brought all. Else raises CitylakeError."""
        if self.interface.counted and self.total == self.count:
            return replace(page, following=None, count=0)
        self.spool.drop()
        raise self.interface.failure("pull.page_repeated", page=self.number)

    def _problem(self, page: Page) -> CitylakeError | None:
        """Why the pages so far, with this one, make no whole."""
        if page.following is None:
            count, total = self.count + page.count, self.total if page.total is None else page.total
            if total is not None and total != count:
                return self.interface.failure("pull.total_disagrees", total=total, count=count)
            return None
        if json.dumps(page.following, sort_keys=True) in self.seen or page.following == page.asked:
            return self.interface.failure("pull.page_repeated", page=self.number + 1)
        if self.number >= self.interface.most_pages:
            return self.interface.failure("pull.too_many_pages", most=self.interface.most_pages)
        return None

    def _fetch(self, asked: Asked) -> tuple[Page, list[Any]]:
        interface = self.interface
        wanted = interface.wanted(asked)
        if interface.counted and self.number > 1 and (interface.absent_ends or self.total == self.count):
            wanted = replace(wanted, also=frozenset({httpx.codes.NOT_FOUND}))
        try:
            return interface.site.fetch(wanted, self.body, lambda answer: self._read(answer, asked, wanted))
        except Unreadable as error:
            raise interface.failure("pull.unreadable_page", page=self.number, problem=error.problem) from None

    def _read(self, answer: Answer, asked: Asked, wanted: Wanted) -> tuple[Page, list[Any]]:
        """The page that an answer is, and its records. Raises Unreadable, CitylakeError for a next page elsewhere."""
        if answer.status == httpx.codes.NOT_FOUND:
            return Page(asked, None, 0, None, [], True, None), []
        reader = self.interface.reader
        try:
            body = self.body.read_bytes().decode(self.interface.encoding).removeprefix("\ufeff")
            found = self.interface.parsed(body)
            records = reader.records(found)
            header = ", ".join(answer.headers.get_list("Link"))
            total, following = reader.going_on(found, asked, len(records), header)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unreadable(type(error).__name__) from None
        if following == asked and not records:
            following = None  # a cursor that stays where it is, behind the last record
        names = list(dict.fromkeys(chain.from_iterable(one for one in records if isinstance(one, dict))))
        plain = not _HALVES.search(body)
        return Page(asked, self._linked(following, wanted), len(records), total, names, plain, body), records

    def _linked(self, following: Asked | None, wanted: Wanted) -> Asked | None:
        """A link as path and query on our own host, without what is secret in it."""
        if following is None or "link" not in following:
            return following
        link = self.interface.site.next_page(following["link"], wanted.url)
        if link is None:
            self.spool.drop()
            raise self.interface.failure("pull.next_elsewhere", page=self.number)
        return {"link": link}


def _deliver(interface: Interface, spool: Spool) -> Pulled | None:
    """The pages of a complete spool as rows, and what was received beside them."""
    request, origin = interface.request, f"{interface.site.connection}:{interface.path}"
    count = sum(page.count for page in spool.pages())
    if request.cursor is not None and not count:
        return None
    names, sure = _names(interface, spool)
    if count and request.cursor is None:
        require_columns(request, names, origin)
    # A column that none of a few changed rows has, and those of an empty table, are there and empty.
    columns = header_names(list(dict.fromkeys((*names, *request.expected))), origin, request.owner)
    greatest = Greatest(interface.since["written"]) if interface.since and request.cursor else None
    watched = request.cursor.column if request.cursor else ""

    def rows() -> Iterator[list[str]]:
        for row in object_rows(_objects(interface, spool, sure), request):
            if greatest is not None:
                greatest.show(row.get(watched))
            yield [row.get(name) or "" for name in (*columns, UNREAD)]

    written = write_rows(request, columns, rows())
    shutil.copyfile(spool.file, request.target.with_name(PAGES_FILE))
    position: dict[str, Any] = {"spool": spool.id}
    if value := (greatest.value if greatest else None) or request.position.get("value"):
        position["value"] = value
    return Pulled(written, names, origin, position)


def _names(interface: Interface, spool: Spool) -> tuple[tuple[str, ...], bool]:
    """The names of all columns that rows have, in the order in which they came, and whether all objects are rows."""
    request, names, plain = interface.request, dict[str, None](), True
    for page in spool.pages():
        names |= dict.fromkeys(page.names)
        plain = plain and page.plain
    known = {*request.expected, *request.ignored}
    if plain and not names.keys() & {"", UNREAD} and len(known | names.keys()) <= len(known) + WIDEST:
        return tuple(names), True
    found = dict[str, None]()
    for row in object_rows(_objects(interface, spool, False), request):
        found |= dict.fromkeys(row)
    return tuple(name for name in found if name != UNREAD), False


def _objects(interface: Interface, spool: Spool, sure: bool) -> Iterator[tuple[Any, str]]:
    """All records, each with its text, which nobody needs of objects that are rows for `sure`."""
    for page in spool.pages():
        if page.count and page.body is not None:
            for value in interface.reader.records(interface.parsed(page.body)):
                # Escapes keep what is no Unicode; without need of them the text is as people write it.
                needed = not (sure and isinstance(value, dict))
                yield value, json.dumps(value, ensure_ascii=not page.plain) if needed else ""
