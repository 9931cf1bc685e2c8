"""Which new column of a source may be a missing one under another name: guessed by name and by values, never applied.

The steward writes the offered line into the contract, or does not.
"""

import re
import unicodedata
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.admission.compile import compile_contract, of_column, raw_rows
from pipelines.admission.profile import Look, profile
from pipelines.connectors.base import ColumnsMissing
from pipelines.contracts.load import Column, Contracts, SourceContract
from pipelines.contracts.rules import Kind
from pipelines.engine import connect
from pipelines.issues import Finding
from pipelines.messages import CitylakeError

RENAMED = "drift.renamed"
"""The code of an offer; its key is the column that is missing."""
ALIKE, FITTING, CLEARLY = 0.75, 0.85, 0.1
"""How alike names, how fitting values must be, and how far the second best must be behind."""
ENOUGH = 5
"""Values that say something about a column."""

_TELLING = (Kind.FORMAT, Kind.CODE, Kind.CHECK_DIGIT)


class ColumnsRenamed(CitylakeError):
    """The columns that are missing, as ColumnsMissing says, with the offers of new ones as findings."""

    def __init__(self, error: ColumnsMissing, findings: Sequence[Finding]) -> None:
        super().__init__(error.code, **error.arguments)
        self.findings = tuple(findings)


@dataclass(frozen=True)
class _Guess:
    """`name`: how alike the names are; `values`: how well the values fit, None if nothing can be told from them."""

    column: Column
    new: str
    name: float
    values: float | None

    @property
    def likely(self) -> bool:
        """Names that are alike are refuted by values that do not fit; values that fit need no name."""
        if self.values is None:
            return self.name >= ALIKE
        return self.values >= FITTING or (self.name >= ALIKE and self.values >= 0.5)

    @property
    def worth(self) -> float:
        """For comparing guesses."""
        return self.name if self.values is None else (self.name + 2 * self.values) / 3


def renamed(
    contract: SourceContract, contracts: Contracts, scratch: Path, error: ColumnsMissing, looks: Mapping[str, Look]
) -> ColumnsRenamed:
    """The error of a pull with an offer for each missing column that has one clear candidate. `looks`: of the last
    admitted batch."""
    missing = [column for column in contract.columns if column.physical_name in error.missing]
    guesses = [
        _Guess(column, new, _alike(column, new), _fitting(contract, contracts, scratch, column, values, looks))
        for column in missing
        for new, values in error.sample.items()
    ]
    return ColumnsRenamed(error, [_finding(guess) for guess in _clear(guesses)])


def _clear(guesses: Sequence[_Guess]) -> Iterator[_Guess]:
    """The likely guesses that are the best of both columns, by a margin."""
    for guess in guesses:
        rivals = [one for one in guesses if one is not guess and (one.column is guess.column or one.new == guess.new)]
        if guess.likely and all(guess.worth >= one.worth + CLEARLY for one in rivals if one.likely):
            yield guess


def _finding(guess: _Guess) -> Finding:
    about = {
        "column": guess.column.name,
        "old": guess.column.physical_name,
        "new": guess.new,
        "name": round(100 * guess.name),
        "values": "—" if guess.values is None else f"{guess.values:.0%}",
    }
    return Finding(RENAMED, about, "error", guess.column.name)


def _alike(column: Column, new: str) -> float:
    """How alike names are, from 0 to 1, whatever their case, width and separators."""
    return max(_ratio(known, new) for known in (column.physical_name, column.name, column.definition.businessName))


def _ratio(one: str, other: str) -> float:
    first, second = (re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name)).casefold() for name in (one, other))
    return SequenceMatcher(None, first, second).ratio()


def _fitting(
    contract: SourceContract,
    contracts: Contracts,
    scratch: Path,
    column: Column,
    values: Sequence[Any],
    looks: Mapping[str, Look],
) -> float | None:
    """How well values fit a column, from 0 to 1: the share that its own rules accept, and how they look beside those
    of the last batch. None if there are too few, or nothing is known of the column by which to tell."""
    if sum(value is not None and value != "" for value in values) < ENOUGH:
        return None
    alone = of_column(contract, column)
    telling = column.definition.logicalType != "string" or any(rule.about.kind in _TELLING for rule in alone.rules)
    file = scratch / f"renamed-{uuid.uuid4().hex}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    texts = [None if value is None else str(value) for value in values]
    try:
        pq.write_table(pa.table({column.physical_name: pa.array(texts, pa.string())}), file)
        with connect(scratch) as con:
            now = profile(con, alone, contracts, file, scratch).looks[column.name]
            if not now.values:
                return None
            passed = _accepted(con, alone, contracts, file)
    finally:
        file.unlink(missing_ok=True)
    was = looks.get(column.name)
    if was is None or was.values < ENOUGH:
        return passed if telling else None
    return passed * _close(was, now)


def _accepted(con: Any, alone: SourceContract, contracts: Contracts, file: Path) -> float:
    admission = compile_contract(alone, contracts, datetime.now(ZoneInfo(contracts.city.timezone)).date())
    judged = admission.judged(raw_rows(str(file)), "1 AS one")
    condition = admission.accepted if admission.judgements else "true"
    found = con.execute(f"SELECT count(*) FILTER ({condition}), count(*) FROM ({judged})").fetchone()
    return float(found[0] / found[1])


def _close(was: Look, now: Look) -> float:
    """How alike two looks are, from 0 to 1: filled, Chinese or not, lengths, and how often values repeat."""
    length = _near(was.longest, now.longest) * _near(was.shortest, now.shortest)
    parts = [1 - abs(was.filled - now.filled), 1 - abs(was.chinese - now.chinese), length]
    parts.append(1 - abs(was.distinct - now.distinct) / 2)
    return sum(parts) / len(parts)


def _near(one: int, other: int) -> float:
    return (min(one, other) + 1) / (max(one, other) + 1)
