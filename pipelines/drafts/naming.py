"""Names of a source that are values of a row: those of a file without a header, and keys or sheets that are persons.

Belongs here: how such names are told, and the offer without them. Does not belong here: what the values below a name
look like (`looks`), what a column is called in the draft (`fields`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from pipelines.drafts.offers import Offer
from pipelines.drafts.texts import undecided
from pipelines.messages import CitylakeError
from pipelines.privacy.scanner import Kind, kinds_of

_FIGURES = re.compile(r"[-+0-9.,:/ T]+[Xx]?|[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日|[0-9A-Z]{18}")
_MANY = 5
"""Digits that make a name without any word a number, a day or an amount; years and counted columns have fewer."""
_ADDRESS = re.compile(r"[路街道巷村组镇乡园区]\S*?[0-9]+(?:号|栋|幢|弄|单元|室)")
_PARTS = ("sheet", "layer", "records")
"""Arguments of connectors that name a part of a file."""
_LISTED = re.compile("“([^”]*)”")
"""A name in a message."""
_DELIMITER = re.compile("[,;|\\t，；]")


@dataclass(frozen=True)
class Told:
    """What some names look like."""

    kinds: Mapping[str, frozenset[Kind]]

    def value(self, name: str) -> bool:
        """Whether a name is surely a value: a number of somebody, a day, an amount, an address; or a whole row that
        was not cut, with one of these or a person in it."""
        pieces = _pieces(name)
        if len(pieces) > 1 and any(self.value(one) or self.person(one) for one in pieces):
            return True
        figures = _FIGURES.fullmatch(name.strip()) and sum(map(str.isdigit, name)) >= _MANY
        return bool(figures or _ADDRESS.search(name) or self.kinds[name] - {"name", "name_in_text"})

    def person(self, name: str) -> bool:
        """Whether a name may be that of a person, or hold one."""
        asked = "name" in self.kinds[name] and "name_in_text" in self.kinds[_asked(name)]
        return asked or "name_in_text" in self.kinds[name]

    def speaks(self, remark: str) -> bool:
        """Whether a remark names somebody."""
        return bool(self.kinds[remark] - {"name"})


def told(con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> Told:
    """Look at some names."""
    listed = {text for name in names for text in (name, *_pieces(name))}
    return Told(kinds_of(con, sorted({*listed, *map(_asked, listed)})))


def _pieces(name: str) -> list[str]:
    """What stands between delimiters."""
    return _DELIMITER.split(name)


def _asked(name: str) -> str:
    """A name behind what asks for one: a common word that begins like a name is none there."""
    return f"姓名：{name}"


def persons(
    con: duckdb.DuckDBPyConnection, names: Iterable[str], known: Callable[[str], bool], offer: Offer, owner: str
) -> dict[str, int]:
    """The names of columns that may be those of persons, with their places from 1. `known`: whether a name is surely
    one of a column. Raises CitylakeError, without any name, where one is a value: the header is a row."""
    listed = list(names)
    looks = told(con, listed)
    if any(map(looks.value, listed)):
        raise row_as_header(offer, owner)
    return {name: place for place, name in enumerate(listed, 1) if looks.person(name) and not known(name)}


def unusable(con: duckdb.DuckDBPyConnection, error: CitylakeError, offer: Offer, owner: str) -> CitylakeError:
    """What to say of a header that a format refused, which names what stands twice in it: without values."""
    names = _LISTED.findall(str(error.arguments.get("names", ""))) if error.code == "pull.bad_header" else []
    looks = told(con, names)
    return row_as_header(offer, owner) if any(looks.value(one) or looks.person(one) for one in names) else error


def row_as_header(offer: Offer, owner: str) -> CitylakeError:
    """That the names are values, and which to ask for instead."""
    return CitylakeError("draft.row_as_header", name=offer.name.partition("#")[0], owner=owner)


def discreet(con: duckdb.DuckDBPyConnection, offer: Offer) -> Offer:
    """The offer without parts that are called like somebody, and without remarks that name somebody."""
    ((verb, call),) = offer.connector.items()
    parts = {key: call[key].split("/") for key in _PARTS if isinstance(call.get(key), str)}
    remarks = {offer.title, *(one.title for one in offer.told.values())}
    looks = told(con, remarks.union(*parts.values()))
    hidden: dict[str, Any] = {
        key: undecided("part")
        for key, names in parts.items()
        if any(looks.person(one) or (looks.value(one) and looks.kinds[one]) for one in names)
    }
    return replace(
        offer,
        name=offer.name.partition("#")[0] if hidden else offer.name,
        title="" if hidden or looks.speaks(offer.title) else offer.title,
        connector={verb: {**call, **hidden}},
        told={name: replace(one, title="") if looks.speaks(one.title) else one for name, one in offer.told.items()},
    )
