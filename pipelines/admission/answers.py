"""Corrections of whole tables: which of them stand, and which delivered rows they answer.

A table is delivered whole again and again, dirty rows included. A correction stands as long as every delivery carries
the row that it answers; `Admitted.ended` says which ended with a delivery. Read from receipts, quarantine and core.
What a standing correction changes in a delivery is in `changes`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from pipelines.admission.changes import DUPLICATE, to_columns
from pipelines.admission.compile import DIRTY, ROW, compile_contract, raw_rows
from pipelines.codecs.sql import identifier, literal, literals
from pipelines.connectors.base import UNREAD
from pipelines.contracts.forms.sources import WholeTable
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake import delta
from pipelines.register.receipts import RETURNED, Receipt, Receipts, Stage
from pipelines.register.store import now

REJECTIONS = 10_000
"""How many of the steward's rejections are looked at."""


class Answer(NamedTuple):
    """Row `row` of the returned batch `batch` answers the refused row `of_row` of batch `of_batch`."""

    batch: int
    row: int
    of_batch: int
    of_row: int


@dataclass(frozen=True)
class Answers:
    """What admission must know of corrections. `standing`: those of admitted batches that no delivery ended, accepted
    or not; `own`: those that the batch itself brings, if it is a returned one, given to `delivered`, the last delivery.
    """

    standing: tuple[Answer, ...] = ()
    own: tuple[Answer, ...] = ()
    delivered: int = 0

    @classmethod
    def read(cls, receipts: Receipts, contract: SourceContract, batch: int) -> "Answers":
        """From the receipts of a source; nothing for one that delivers changes."""
        if not isinstance(contract.form.load, WholeTable):
            return cls()
        pulls = receipts.pulls(contract.id, RETURNED)
        if not pulls:
            return cls()
        over = ended(receipts, contract.id)
        standing = tuple(one for one in judged(receipts, contract.id) if (one.batch, one.row) not in over)
        own = tuple(one for pull in pulls if pull.batch == batch for one in _of(pull))
        (last,) = receipts.deliveries_admitted(contract.id, 1)
        return cls(standing, own, last.batch or 0)

    def register(
        self, con: duckdb.DuckDBPyConnection, contract: SourceContract, contracts: Contracts, quarantine: Path
    ) -> None:
        """Make tables `corrected`, the accepted standing corrections, and `own`, those of the batch itself.

        Both have the key of the refused row under its names. `corrected` (batch, row, texts, copied, _to_0 ...): what
        the row said, whether only another row of its key stood against it, and the key that the correction has.
        `own` (_row, outranked): whether in the last delivery another row of its key counts. Reads view `core_log`.
        """
        con.register("given", table([*self.standing, *self.own]))
        # not the batch itself: a killed run may have left its refused rows, which are judged anew
        concerned = {one.batch for one in self.standing} | {one.of_batch for one in (*self.standing, *self.own)}
        con.execute(
            f"CREATE TABLE said AS SELECT _batch, _row, rules, {told(contract)} AS texts "
            f"FROM {delta.scan(delta.open_table(quarantine)).source} "
            f"WHERE _batch IN ({', '.join(map(str, {*concerned, self.delivered}))})"
        )
        con.execute(
            "CREATE TABLE answered_line AS SELECT row_number() OVER () AS id, g.batch, g.row, s.texts, s.rules "
            "FROM given g JOIN said s ON (s._batch, s._row) = (g.of_batch, g.of_row) "
            "ANTI JOIN said r ON (r._batch, r._row) = (g.batch, g.row)"
        )
        key = [identifier(name) for name in contract.form.load.key]
        written = ", ".join(
            f"CASE WHEN c._batch IS NULL THEN d.{name} ELSE c.{name} END AS {to}"
            for name, to in zip(key, to_columns(len(key)), strict=True)
        )
        lines = f"answered_line l JOIN ({decoded(contract, contracts, 'answered_line')}) d ON d.{ROW} = l.id"
        mine = ", ".join(map(str, {one.batch for one in self.own})) or "-1"
        theirs = ", ".join(map(str, {one.batch for one in self.standing})) or "-1"
        con.execute(
            f"CREATE TABLE corrected AS SELECT l.batch, l.row, l.texts, l.rules = {literal(DUPLICATE)} AS copied, "
            f"{', '.join(f'd.{name}' for name in key)}, {written} FROM {lines} LEFT JOIN "
            f"(SELECT * FROM core_log WHERE _batch IN ({theirs})) c ON (c._batch, c._row) = (l.batch, l.row) "
            f"WHERE l.batch IN ({theirs})"
        )
        outranked = f"bool_and(list_contains(string_split(rules, ','), {literal(DUPLICATE)}))"
        con.execute(
            f"CREATE TABLE own AS SELECT l.row AS {ROW}, {', '.join(f'd.{name}' for name in key)}, n.outranked "
            f"FROM {lines} LEFT JOIN (SELECT texts, {outranked} AS outranked FROM said "
            f"WHERE _batch = {self.delivered} GROUP BY texts) n ON n.texts = l.texts WHERE l.batch IN ({mine})"
        )


def judged(receipts: Receipts, source: str) -> list[Answer]:
    """The answers of the returned batches that were admitted, in order."""
    pending = not_admitted(receipts, source)
    return [one for pull in receipts.pulls(source, RETURNED) if pull.batch not in pending for one in _of(pull)]


def ended(receipts: Receipts, source: str) -> set[tuple[int, int]]:
    """Batch and row of every correction that a later delivery of the table ended."""
    returns = receipts.pulls(source, RETURNED)
    admissions = receipts.since(Stage.ADMIT, source, returns[0].batch or 0) if returns else []
    return {(batch, row) for receipt in admissions for batch, row in receipt.body.get("ended", ())}


def not_admitted(receipts: Receipts, source: str) -> set[int | None]:
    """Batches of which quarantine may hold rows that do not count: what a killed run wrote is not yet said, and what
    the steward rejected never was."""
    rejected = receipts.of_stage(Stage.REJECT, source, REJECTIONS)
    return {receipt.batch for receipt in (*receipts.unsettled(source), *rejected)}


def told(contract: SourceContract) -> str:
    """The SQL of what a row of quarantine said: texts of the contract's columns, then that of a row not read."""
    physical = [column.physical_name for column in contract.columns]
    return f"json_extract_string(delivered, [{literals(map(pointer, [*physical, UNREAD]))}])"


def raw_texts(contract: SourceContract, raw: Collection[str], path: Path) -> str:
    """A query of what the rows of a raw file with the columns `raw` say, as quarantine tells it: `_row`, `texts`."""
    physical = [*(column.physical_name for column in contract.columns), UNREAD]
    texts = (f"CAST({identifier(name) if name in raw else 'NULL'} AS VARCHAR)" for name in physical)
    return f"SELECT file_row_number AS {ROW}, [{', '.join(texts)}] AS texts FROM {raw_rows(str(path))}"


def decoded(contract: SourceContract, contracts: Contracts, lines: str) -> str:
    """A query of lines (`id`, `texts`) as the contract reads them; `_row` is their id."""
    admission = compile_contract(contract, contracts, now().date())
    names = (identifier(column.physical_name) for column in contract.columns)
    texts = ", ".join(f"texts[{place}] AS {name}" for place, name in enumerate(names, 1))
    return admission.decoded(f"SELECT {texts}, id AS file_row_number, 'I' AS _op, true AS {DIRTY} FROM {lines}")


def pointer(name: str) -> str:
    """The JSON pointer of a key."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def table(answers: Sequence[Answer]) -> pa.Table:
    """Answers as a table with their fields as columns."""
    columns = zip(*answers, strict=True) if answers else ((),) * len(Answer._fields)
    return pa.table({name: pa.array(column, pa.int64()) for name, column in zip(Answer._fields, columns, strict=True)})


def _of(pull: Receipt) -> Iterator[Answer]:
    """The answers that a returned batch gives."""
    for row, (of_batch, of_row) in enumerate(pull.body["returned"]["answers"]):
        yield Answer(pull.batch or 0, row, of_batch, of_row)
