"""What of a released product may be shown now: the one rule that every channel, the analysts' database too, asks.

A release keeps what it was let out to show (`terms` of its approval). A contract that is stricter since acts at once;
one that shows more waits for the next release, which asks for approval where the city does. Compares a contract with
a ledger entry's body. Who may see it is decided by policy; nothing here opens data.
"""

from collections.abc import Mapping
from typing import Any

from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.resolved import Product, ShownColumn
from pipelines.release.approval import terms

_NARROW = ("不予共享", "有条件共享", "无条件共享")


def said_of(product: Product, city: CityForm) -> dict[str, Any]:
    """What the body of a release says of what it shows, and which columns ask for a second person's word."""
    columns = {column.name: [column.source, column.mask] for column in product.columns}
    asking = sorted(column.name for column in product.columns if city.levels[column.level].approval)
    return {"columns": columns, "shows": {**terms(product), "asking": asking}}


def released_columns(product: Product, body: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of the contract that a release made just as the contract makes them now: from that source, so masked.

    An allow-list or mask that was tightened since acts at once: the column is closed until the next release. A release
    that does not say how its columns were made shows none; nor does one that does not say what else it showed, once its
    contract is another one: what that opens cannot be told. Another column with the last day of a row is closed too,
    and with it the product: which rows may be shown by both was not asked.
    """
    if "shows" not in body and body.get("contract") != product.contract.meaning:
        return ()
    released, until = body.get("columns") or {}, shown_until(product, body)
    moved = until if _shows(body).get("shown_until") not in {None, until} else None
    same = (column for column in product.columns if released.get(column.name) == [column.source, column.mask])
    return tuple(column.name for column in same if column.name != moved)


def bound_columns(product: Product, body: Mapping[str, Any]) -> dict[str, tuple[frozenset[str], str | None]]:
    """The columns that are for some purposes only, by contract or release: the texts of grants that see them as they
    are by both, and the mask for others, None if they do not see them.

    A release that does not say for whom it shows a column shows one that is for some only to nobody.
    """
    found = {}
    for column in product.columns:
        now = (column.covered, column.otherwise) if column.purposes else None
        then = _released_purposes(column.name, body)
        both = now or then
        if now is not None and "shows" not in body:
            both = (frozenset(), None)
        elif now is not None and then is not None:
            both = (now[0] & then[0], now[1] if now[1] == then[1] else None)
        if both is not None:
            found[column.name] = both
    return found


def asking_columns(product: Product, body: Mapping[str, Any], city: CityForm) -> frozenset[str]:
    """The columns that ask for a second person's word on grants: by the levels of city or release, whichever are
    higher, or since they did when they were released."""
    then = _shows(body).get("asking", ())
    levels = {column.name: _released_level(column, body) for column in product.columns}
    return frozenset(name for name, level in levels.items() if name in then or city.levels[level].approval)


def share_type(product: Product, body: Mapping[str, Any]) -> str:
    """The share type by contract or release, whichever is narrower."""
    now: str = product.contract.form.share.type
    then: str = _shows(body).get("share", now)
    return min(now, then, key=_NARROW.index)


def lookups_a_minute(product: Product, body: Mapping[str, Any]) -> int | None:
    """How many times a minute a recipient may ask for one key, by contract or release, whichever says fewer; None if
    both give rows as a table."""
    now, then = product.form.lookup, _shows(body).get("lookup")
    said = ([now.perMinute] if now else []) + ([then["perMinute"]] if then else [])
    return min(said, default=None)


def shown_until(product: Product, body: Mapping[str, Any]) -> str | None:
    """The column with the last day of a row; one that a contract dropped stays until the next release."""
    return product.contract.form.shownUntil or _shows(body).get("shown_until")


def same_limit(product: Product, body: Mapping[str, Any], limit: str) -> bool:
    """Whether `rows` or `organisations`, by which grants are limited, are what the release says, if it says any: what a
    grant names was meant for that column."""
    said, says = _shows(body).get(limit), getattr(product.form, limit)
    return said is None or said == (says if limit == "rows" or says is None else says.model_dump(mode="json"))


def _released_level(column: ShownColumn, body: Mapping[str, Any]) -> int:
    """The level of a column by contract or release, whichever is higher."""
    said = _shows(body)["columns"].get(column.name)
    return max(column.level, said[2]) if said else column.level


def _shows(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return body.get("shows") or {"columns": {}}


def _released_purposes(name: str, body: Mapping[str, Any]) -> tuple[frozenset[str], str | None] | None:
    """The texts that a release shows a column to, and the mask for others; None for one that it shows to all."""
    said = _shows(body)["columns"].get(name, ())[3:]
    return (frozenset(said[0]), said[1]) if said else None
