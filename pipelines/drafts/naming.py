"""Names of a source that are values of a row: those of a file without a header, and keys or sheets that are persons.

Belongs here: the offer without them. Does not belong here: how such names are told (`privacy.source_names`), what the
values below a name look like (`looks`), what a column is called in the draft (`fields`).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import duckdb

from pipelines.drafts.offers import Offer
from pipelines.drafts.texts import undecided
from pipelines.messages import CitylakeError
from pipelines.privacy.source_names import told

_PARTS = ("sheet", "layer", "records")
"""Arguments of connectors that name a part of a file."""


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
