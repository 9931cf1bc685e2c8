"""Trials: some rows of a source, pulled and judged by its contract as a run would, and nothing of them kept.

The connector reads them, admission judges them in a lake of its own that is gone when the trial ends. What a run does
with what it receives is in `receive` and `admit`.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.admission.admit import Batch, Before
from pipelines.admission.drift import HOLD
from pipelines.admission.profile import Look
from pipelines.admission.receive import RAW_FILE, Delivery, asking, unknown_columns
from pipelines.admission.renames import renamed
from pipelines.connectors.base import ColumnsMissing, connectors
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake.scratch import folder as scratch_folder
from pipelines.lake.zones import Lake
from pipelines.register.store import now

MOST = 1000
"""Rows of a trial. Of a file the first ones; all of it is read, for damage may stand anywhere."""


@dataclass(frozen=True)
class Trial:
    """What a trial found. `rows`: those that were judged; `by_rule`: refused ones by rule, a row may fail several;
    `unknown`: columns that the contract neither uses nor ignores; `origin`: how the source names itself; `new`: whether
    they are more than what was taken before, which is tried where nothing new waits; `held`: why a run would hold a
    first delivery like them (arguments of the guard), nothing if it would not."""

    rows: int
    refused: int
    by_rule: Mapping[str, int]
    unknown: tuple[str, ...]
    origin: str
    new: bool
    held: Mapping[str, Any]

    @property
    def good(self) -> bool:
        """Whether a run would take the source in: most rows are accepted, and they are not held."""
        return not self.held and self.rows > 0 and self.refused * 2 < self.rows


def trial(
    contract: SourceContract,
    contracts: Contracts,
    secret: Callable[[str], str],
    scratch: Path,
    today: date,
    looks: Mapping[str, Look],
    *,
    made_up: bool,
    position: Mapping[str, Any],
    known: Callable[[], Mapping[str, str]],
    unmarked: Callable[[str, float], None],
) -> Trial | None:
    """Try a source; None when it has nothing to show now. `looks`: of the last admitted batch; `position` and `known`:
    where the next run goes on, and the files that it leaves alone; `unmarked`: is told of files that wait for a marker.

    Raises CitylakeError for what a run would end with, ColumnsRenamed for missing columns.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with scratch_folder(scratch, "trial") as folder:
        lake = Lake(Path(folder) / "lake")
        lake.prepare()
        target = lake.raw(contract.org, contract.dataset) / "1" / RAW_FILE
        target.parent.mkdir(parents=True)
        request = replace(
            asking(contract, contracts, lake, target), secret=secret, most=MOST, made_up=made_up, unmarked=unmarked
        )
        verb, arguments = connectors[contract.connector.verb], contract.connector.arguments
        try:
            # Behind a cursor there may be one row that is known: from the beginning there is more to judge.
            going_on = {} if "value" in position else position
            pulled = verb.function(replace(request, position=going_on, known=known), **arguments)
            new = pulled is not None
            if pulled is None and going_on:
                pulled = verb.function(request, **arguments)
        except ColumnsMissing as error:
            raise renamed(contract, contracts, lake.scratch(), error, looks) from None
        if pulled is None:
            return None
        rows = _cut(target)
        delivery = Delivery(1, rows, target, True, ())
        batch = Batch(contract, contracts, lake, secrets.token_bytes(32), delivery, today, now().isoformat())
        judged = batch.run(Before(), confirmed=bool(looks))
        unknown = unknown_columns(contract, pulled.columns)
        return Trial(rows, judged.refused, judged.by_rule, unknown, pulled.origin, new, judged.held.get(HOLD, {}))


def _cut(path: Path) -> int:
    """Leave the first rows of a file; how many there are."""
    with pq.ParquetFile(path) as file:
        if file.metadata.num_rows <= MOST:
            return int(file.metadata.num_rows)
        first = next(file.iter_batches(MOST))
    with pq.ParquetWriter(path, first.schema) as out:
        out.write_batch(first)
    return int(first.num_rows)
