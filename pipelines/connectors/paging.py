"""How pages of an interface follow each other: by number, offset, cursor or link. Pure: nothing is asked here.

A page is told by variables (`page`, `offset`, `cursor`, `size`) that stand in the contract's parameters and body as
`$page`, or by a `link` that the server gave.
"""

import json
import re
from collections.abc import Mapping
from string import Template
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from pipelines.verbs import STRICT


@with_config(STRICT)
class ByPage(TypedDict):
    """`$page` counts from `first`; `$size` records are wanted on each. `end`: what a server says behind the last."""

    by: Literal["page"]
    size: NotRequired[Annotated[int, Field(ge=1)]]
    first: NotRequired[int]
    end: NotRequired[Literal["empty", "not_found"]]


@with_config(STRICT)
class ByOffset(TypedDict):
    """`$offset` is the number of records that came so far, `$size` how many are wanted."""

    by: Literal["offset"]
    size: NotRequired[Annotated[int, Field(ge=1)]]
    end: NotRequired[Literal["empty", "not_found"]]


@with_config(STRICT)
class ByCursor(TypedDict):
    """`$cursor` is what the last page has under `under`; none on the first, and none there at the end."""

    by: Literal["cursor"]
    under: str
    size: NotRequired[Annotated[int, Field(ge=1)]]


@with_config(STRICT)
class ByLink(TypedDict):
    """The next page is where the answer says: in its Link header (RFC 8288, `rel=next`), or `under` a path of it."""

    by: Literal["link"]
    under: NotRequired[str]
    size: NotRequired[Annotated[int, Field(ge=1)]]


Paging = Annotated[ByPage | ByOffset | ByCursor | ByLink, Field(discriminator="by")]
Asked = dict[str, Any]

SIZE = 100
_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s;,="<>]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"<>]*))?)*)')
_PARAMETER = re.compile(r';\s*([^\s;,="<>]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s;,"<>]*))?')


def at(found: Any, path: str) -> Any:
    """What is under a path of keys, `data/list`; the whole for an empty one. Raises KeyError or TypeError."""
    for key in path.split("/") if path else ():
        if not isinstance(found, dict):
            raise TypeError
        found = found[key]
    return found


def first(paging: Paging | None) -> Asked:
    """What tells the first page."""
    if paging is None or paging["by"] in ("cursor", "link"):
        return {}
    return {"page": paging.get("first", 1)} if paging["by"] == "page" else {"offset": 0}


def is_counted(paging: Paging | None) -> bool:
    """Whether pages are told by counting, so that there is always one more to be asked for."""
    return paging is not None and paging["by"] in ("page", "offset")


def following(paging: Paging | None, asked: Asked, found: Any, count: int, header: str) -> Asked | None:
    """What tells the page after one that has `count` records; None at the end. A link is as the server wrote it.
    `header`: its Link headers. Raises TypeError for a cursor or link that is none."""
    if paging is None:
        return None
    if paging["by"] == "page":
        return {"page": asked["page"] + 1} if count else None
    if paging["by"] == "offset":
        return {"offset": asked["offset"] + count} if count else None
    if paging["by"] == "link" and "under" not in paging:
        link = next_link(header)
        return {"link": link} if link else None
    value = _optional(found, paging["under"])
    if value in (None, "", False):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError
    return {paging["by"]: value}


def _optional(found: Any, path: str) -> Any:
    """What is under a path; None where keys or objects on the way are missing."""
    try:
        return at(found, path)
    except (KeyError, TypeError):
        return None


def next_link(header: str) -> str | None:
    """The target of the first link with relation `next` in the Link headers, joined by commas."""
    for target, parameters in _LINK.findall(header):
        named = [(name.lower(), value.strip('"')) for name, value in _PARAMETER.findall(parameters)]
        relation = next((value for name, value in named if name == "rel"), "")
        if "next" in relation.lower().split():
            return str(target)
    return None


def variables(paging: Paging | None, asked: Asked, since: str | int | None) -> dict[str, str | int]:
    """What `$page`, `$offset`, `$cursor`, `$size` and `$since` are for a page, without those that have no value."""
    known = {name: value for name, value in asked.items() if name != "link"}
    if paging is not None:
        known["size"] = paging.get("size", SIZE)
    return known if since is None else {**known, "since": since}


def filled(template: Mapping[str, Any], values: Mapping[str, str | int]) -> dict[str, Any]:
    """A template with its variables filled in; keys whose variables have no value are left out. A value that is one
    variable keeps its type."""
    found = {key: _filled(value, values) for key, value in template.items()}
    return {key: value for key, value in found.items() if value is not _NOTHING}


_NOTHING = object()


def _filled(value: Any, values: Mapping[str, str | int]) -> Any:
    if isinstance(value, dict):
        return filled(value, values)
    if isinstance(value, list):
        return [one for one in (_filled(item, values) for item in value) if one is not _NOTHING]
    if not isinstance(value, str):
        return value
    template = Template(value)
    names = template.get_identifiers()
    if not names:
        return template.safe_substitute()
    if any(name not in values for name in names):
        return _NOTHING
    if value in (f"${names[0]}", f"${{{names[0]}}}"):
        return values[names[0]]
    return template.safe_substitute(values)


def named(*templates: Mapping[str, Any]) -> set[str]:
    """The variables that stand in templates."""
    return set(Template(json.dumps(templates)).get_identifiers())
