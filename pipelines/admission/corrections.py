"""Guarded corrections of a batch: how often each was applied, and which have outlived what they correct.

They are applied where the contract is compiled; here they are counted and judged.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from pipelines.admission.compile import cleaned, concerns, matches, raw_rows
from pipelines.contracts.forms.sources import CorrectionForm
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.issues import Finding

MATCHED, MENDED, UNUSED = "matched", "mended", "unused"
Counts = dict[str, dict[str, Any]]
"""By correction: `rows` with its key in the batch, `corrected` ones, and its `state`."""


def counted(
    con: duckdb.DuckDBPyConnection,
    contract: SourceContract,
    contracts: Contracts,
    path: Path,
    before: Counts,
    whole: bool,
    again: bool,
) -> Counts:
    """How the corrections of a contract fared in a raw file. `before`: what the last delivery said; `whole`: the file
    has all rows of the source; `again`: it repeats what the source once said."""
    corrections = contract.form.corrections
    if not corrections:
        return {}
    named = {name for one in corrections for name in (one.column, *one.where)}
    columns = tuple(column for column in contract.columns if column.name in named)
    by_name, zone = {column.name: column for column in columns}, contracts.city.timezone
    measures = []
    for one in corrections:
        there = concerns(contract, zone, one)
        measures += [there, f"{there} AND {matches(by_name[one.column], zone, one.expect)}"]
    sums = ", ".join(f"count(*) FILTER ({condition})" for condition in measures)
    rows = cleaned(columns, contracts, f"SELECT * FROM {raw_rows(str(path))}")
    found = con.execute(f"SELECT {sums} FROM ({rows})").fetchone() or ()
    counts = {}
    for index, one in enumerate(corrections):
        there, corrected = found[2 * index], found[2 * index + 1]
        last = before.get(one.id, {}).get("state")
        state = MENDED if again and last == MENDED else _state(there, corrected, last, whole)
        counts[one.id] = {"rows": there, "corrected": corrected, "state": state}
    return counts


def _state(rows: int, corrected: int, before: str | None, whole: bool) -> str:
    """A delivery of changes that does not have the row says nothing about it; one of the whole table does."""
    if corrected:
        return MATCHED
    if not rows and not whole:
        return before or UNUSED
    return MENDED if before in (MATCHED, MENDED) else UNUSED


def outlived(contract: SourceContract, counts: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """What is to be told about the corrections of a contract. Names the correction and its columns, never a value."""
    for one in contract.form.corrections:
        state = counts.get(one.id, {}).get("state")
        if state == MENDED:
            yield Finding("correction.no_longer_matches", _about(contract, one), "warning", one.id)
        elif state == UNUSED:
            yield Finding("correction.unused", _about(contract, one), "warning", one.id)


def _about(contract: SourceContract, one: CorrectionForm) -> dict[str, Any]:
    return {"correction": one.id, "column": one.column, "key": "、".join(one.where), "subject": contract.id}
