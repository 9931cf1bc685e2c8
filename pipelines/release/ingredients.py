"""What a row was made from whose model names no raw rows: the released models and sources that its SQL reads, in the
versions of the edition that built the row.

Does not belong here: rows that name their raw rows, or count those of another model (explain).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipelines.contracts.resolved import ProductContract
from pipelines.lake.lineage import upstream
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import RELEASE, Recorded
from pipelines.release.rows import ReleasedRows

DECISIONS = 100_000
"""How many decisions about a model are looked through for the one that built a day of it."""
_DAY = "as_of"
"""The key column of models that keep every day as it was known then."""


@dataclass(frozen=True)
class Ingredient:
    """A released model, or a source, that a model reads. `version`: of its table. Of a source also whose it is, the
    newest `batch` in that version, when it was delivered and from where."""

    name: str
    version: int
    organisation: str | None = None
    batch: int | None = None
    delivered: datetime | None = None
    origin: str | None = None


def built_by(
    released: ReleasedRows, contract: ProductContract, entry: Recorded, row: Mapping[str, str | None]
) -> Recorded:
    """The release that built a row of the release `entry`: of a model that keeps its days the last one of the day.

    Raises CitylakeError if there is none.
    """
    if _DAY not in contract.form.key:
        return entry
    of_day = (
        one
        for one in released.ledger.history(contract.form.model, DECISIONS)
        if one.kind == RELEASE and one.body.get(_DAY) == row[_DAY]
    )
    found = next(of_day, None)
    if found is None:
        raise CitylakeError("explain.no_edition", model=contract.form.model, day=row[_DAY])
    return found


def ingredients(
    released: ReleasedRows, receipts: Receipts, project: Path, contract: ProductContract, entry: Recorded
) -> Iterator[Ingredient]:
    """What a release of a model was made from: released models first, then the sources that it reads past them."""
    contracts = released.contracts
    read = upstream(project, contract.form.model, contracts.models)
    for name in read.models:
        beside = released.ledger.release_beside(name, entry) if name in contracts.models else None
        if beside is not None and beside.version is not None:
            yield Ingredient(name, beside.version)
    edition = receipts.last(Stage.EDITION, entry.edition)
    versions = edition.body["sources"] if edition else {}
    for name in read.sources:
        if (version := versions.get(f"core.{name.replace('/', '__')}")) is not None:
            yield _source(released, receipts, name, version)


def _source(released: ReleasedRows, receipts: Receipts, name: str, version: int) -> Ingredient:
    owner = released.contracts.codes["organisations"].rows[released.contracts.sources[name].org]["name"]
    admitted = receipts.of_stage(Stage.ADMIT, name, DECISIONS)
    batch = next((one.batch for one in admitted if one.body["core_version"] == version), None)
    pull = None if batch is None else receipts.last(Stage.PULL, name, batch)
    origin = pull.body.get("origin") if pull else None
    return Ingredient(name, version, owner, batch, pull.at if pull else None, origin)
