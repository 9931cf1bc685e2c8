"""With which earlier releases a table of counts is compared: all that somebody may still have, as the ledger tells.

Belongs here: which releases, and reading them. Does not belong here: what follows from them (`pipelines.privacy`).
"""

from datetime import date
from typing import Final

import duckdb

from pipelines.contracts.load import Product
from pipelines.lake import delta
from pipelines.lake.zones import Lake, library_of
from pipelines.privacy.anonymity import Before
from pipelines.privacy.settled import Settling
from pipelines.release.ledger import PAST_WITHDRAWAL, RELEASE, WITHDRAWAL, Ledger, Recorded
from pipelines.release.products import Counted, released_before, whole

MOST: Final = 400
"""So many are compared, the newest: more than a year of days."""
DECISIONS: Final = 100_000
"""How many decisions about a product are looked through."""
COMPARED: Final = "compared"
"""How the ledger row of a release says with how many it was compared; in rows of old it was the one before."""


def earlier(ledger: Ledger, product: str, before: int | None = None) -> list[Recorded]:
    """The releases of a product that can be had, the oldest first: neither withdrawn nor ended. The newest counts even
    if it is withdrawn, for who has it can compare. `before`: as things were at that row of the ledger.
    """
    rows = [one for one in reversed(ledger.history(product, DECISIONS)) if before is None or one.sequence < before]
    found, open_ = list[Recorded](), set[int]()
    for one in rows:
        if one.kind == RELEASE and one.version is not None:
            found.append(one)
            open_.add(one.version)
        elif one.kind == WITHDRAWAL:
            open_.clear()
        elif one.kind == PAST_WITHDRAWAL:
            open_ -= {one.version}
    open_ |= {one.version for one in found[-1:] if one.version is not None}
    open_ -= _ended(ledger, product, before)
    return [one for one in found if one.version in open_][-MOST:]


def _ended(ledger: Ledger, product: str, before: int | None) -> set[int]:
    return {
        version
        for version, order in ledger.ended_versions().get(product, {}).items()
        if before is None or order.sequence < before
    }


def counted(
    con: duckdb.DuckDBPyConnection,
    product: Product,
    relation: str,
    day: date,
    lake: Lake,
    ledger: Ledger,
    releases: list[Recorded],
) -> Counted | None:
    """What the candidate of a table of counts is cut from on a day, after these releases; None for a product that
    counts nobody. One that was taken out of the lake, or was another table, cannot be compared and is left out."""
    if product.form.anonymity is None:
        return None
    settling, model, found = Settling(product.form.anonymity), product.contract.form.model, list[Before]()
    for one in releases:
        truth = one.body.get("model_version")
        if truth is None:
            beside = ledger.release_beside(model, one)  # rows of old do not say
            truth = beside.version if beside else None
        places = [
            (lake.product(product.channel, product.name), one.version),
            (lake.released(library_of(model), model), truth),
        ]
        if all(version is not None and delta.is_readable(location, version) for location, version in places):
            tables = (delta.scan(delta.open_table(*place)) for place in places)
            relations = (f"(SELECT {table.columns} FROM {table.source})" for table in tables)
            table = released_before(con, product, *relations)
            if table is not None:
                found.append(settling.released(table.shown, table.truth, date.fromisoformat(one.body["as_of"])))
    return Counted(settling.next(whole(con, product, relation), day), tuple(found))
