"""A published row, or a cell of it, forward to everyone who received it: the versions it stands in, joined with the
audit of each. Belongs here: the join. Does not belong here: rows (pipelines/release/forward), the audit (receivers).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from catalog.delivery.verification import licences, router
from catalog.policy.receivers import Codes, Place, Received, Sure, receivers
from pipelines.contracts.resolved import ProductContract
from pipelines.register import Register
from pipelines.release.forward import Standing, standings, visible
from pipelines.release.rows import UNREADABLE, ReleasedRows
from pipelines.settings import Settings


@dataclass(frozen=True)
class Forward:
    """One version of a product with the row, and who received it."""

    standing: Standing
    received: tuple[Received, ...]


def forward(
    settings: Settings,
    register: Register,
    released: ReleasedRows,
    contract: ProductContract,
    row: Mapping[str, str],
    column: str | None,
) -> list[Forward]:
    """Where a row of a model, or a column of it, stands in products, the newest version first, and who received it.

    Raises LakeError, for a key that is gone too.
    """
    found = list(standings(released, settings.kept_key, contract, row, column))
    places = [_place(settings, register, released, one, contract, row) for one in found if one.known]
    by_version: dict[tuple[str, int], list[Received]] = {}
    for one in receivers(register, places):
        by_version.setdefault((one.product, one.version), []).append(one)
    return [Forward(one, tuple(by_version.get((one.product.id, one.version), ()))) for one in found]


def _place(
    settings: Settings,
    register: Register,
    released: ReleasedRows,
    standing: Standing,
    contract: ProductContract,
    row: Mapping[str, str],
) -> Place:
    lookups = {}
    if standing.product.id == licences.PRODUCT and licences.KEY in row:
        alone = contract.form.key == [licences.KEY]  # else an answer shows one of several rows
        lookups[router.hashed(settings, register, row[licences.KEY])] = Sure.WHOLE if alone else Sure.PART
    counted: Callable[[Codes, Codes], int | None] = partial(_counted, released, standing)
    return Place(
        product=standing.product.id,
        version=standing.version,
        column=standing.column,
        divisions=standing.divisions if standing.rows else None,
        visible=counted,
        lookups=lookups,
        organisations=standing.organisations if standing.belongs else None,
        by={"divisions": standing.rows, "organisations": standing.belongs},
    )


def _counted(released: ReleasedRows, standing: Standing, divisions: Codes, organisations: Codes) -> int | None:
    """How many rows of a version lie in divisions and are of organisations; None if its own files cannot be read any
    more."""
    try:
        return visible(released, standing, divisions, organisations)
    except UNREADABLE:
        return None
