"""Core as it was: what a source had told by one of its batches, or by the end of a day.

Core is a log, so every state of it is a question. Belongs here: that question. Does not belong here: what libraries
made of it (release/history).
"""

from datetime import date, datetime, time, timedelta, tzinfo

from pipelines.codecs.sql import literal
from pipelines.contracts.load import SourceContract
from pipelines.lake import delta
from pipelines.lake.edition import core_columns, current_state
from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import Ledger
from pipelines.retention import ended


def by_batch(contract: SourceContract, lake: Lake, receipts: Receipts, ledger: Ledger, batch: int, zone: tzinfo) -> str:
    """SQL of the rows in force when this batch had been admitted, by the columns of now and `_op`, `_batch`, `_row`,
    `_known_at`.

    Raises CitylakeError for a batch that was not admitted, and for one whose rows are not all kept any more.
    """
    admitted = receipts.last(Stage.ADMIT, contract.id, batch)
    if admitted is None:
        raise CitylakeError("core.not_admitted", subject=contract.id, batch=batch)
    ended.require_core(ledger, contract.id, admitted.at.astimezone(zone).date())
    return _state(contract, lake, f"_batch <= {batch}")


def by_day(contract: SourceContract, lake: Lake, ledger: Ledger, day: date, zone: tzinfo) -> str:
    """SQL of the rows in force at the end of a day of the city; the columns are those of `by_batch`.

    Raises CitylakeError for a day of which not all rows are kept any more.
    """
    ended.require_core(ledger, contract.id, day)
    midnight = datetime.combine(day + timedelta(1), time(), zone)
    return _state(contract, lake, f"_known_at < TIMESTAMPTZ {literal(midnight.isoformat())}")


def _state(contract: SourceContract, lake: Lake, told: str) -> str:
    location = lake.core(contract.org, contract.dataset)
    version = delta.latest(location)
    if version is None:
        raise CitylakeError("core.nothing", subject=contract.id)
    table = delta.open_table(location, version)
    read = delta.scan(table)
    log = f"(SELECT {read.columns} FROM {read.source} WHERE {told})"
    first = delta.lowest(table, "_batch")
    return current_state(log, contract.form.load.key, core_columns(location, version), first, '"')
