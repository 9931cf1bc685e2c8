"""Replays of changes: raw of earlier batches judged again, by the contract of now.

A source that delivers changes told them once, in the order of its batches. A replay has them all in one batch, and
core has what an earlier contract read from them. So a replayed row is compared as if it came when its own batch came,
and what core read from the batches that are replayed never stands against what is read from them now. Belongs here:
where rows come from, and what replayed rows change. Does not belong here: which batches are replayed (`pipelines.run`),
and whole tables, of which the delivery in force alone is judged again (`changes`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from pipelines.admission.changes import (
    CHANGED,
    HASH,
    AppendChanges,
    Changes,
    CursorChanges,
    IncrementalChanges,
    LogChanges,
)
from pipelines.admission.compile import FRESH, ROW, TOLD
from pipelines.codecs.sql import identifier, literal, repeated
from pipelines.contracts.forms.sources import ChangeLog, Load, newest
from pipelines.register.receipts import REPLAY, RETURNED, Receipt, Receipts

PARTS = "parts"
"""In the receipt of a replay: number and rows of each batch that it repeats, in the order of its rows."""

Parts = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Origins:
    """Where the rows of batches come from that the source did not deliver as they are.

    `own`: the parts of the batch itself, if it replays others; `replays`: those of all replays; `apart`: batches that
    stand on their own, of corrected rows or of replays of which nobody knows which rows they repeat.
    """

    own: Parts = ()
    replays: tuple[tuple[int, Parts], ...] = ()
    apart: tuple[int, ...] = ()

    @classmethod
    def read(cls, receipts: Receipts, pull: Receipt | None) -> "Origins":
        """From the receipts of a source; nothing for a batch that does not replay changes."""
        if pull is None or not (own := _parts(pull)):
            return cls()
        replays = tuple((one.batch or 0, _parts(one, dict(own))) for one in receipts.pulls(pull.subject, REPLAY))
        returned = (one.batch or 0 for one in receipts.pulls(pull.subject, RETURNED))
        return cls(own, replays, (*returned, *(batch for batch, parts in replays if not parts)))

    def register(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make tables `part` (first, origin): from which row on the batch repeats which other; `told_by` (batch, first,
        origin): the same of earlier replays; `apart` (batch)."""
        parts = list(_starts(self.own))
        earlier = [(batch, *start) for batch, parts in self.replays for start in _starts(parts)]
        _table(con, "part", ("first", "origin"), parts)
        _table(con, "told_by", ("batch", "first", "origin"), earlier)
        _table(con, "apart", ("batch",), [(batch,) for batch in self.apart])


def taken_again(load: Load) -> type[Changes]:
    """How the rows of a replay are taken."""
    return _MODES[load.mode]


def _parts(pull: Receipt, again: Mapping[int, int] | None = None) -> Parts:
    """The parts of a replay. `again`: batches that are replayed now, with their rows.

    Receipts written before there were parts name batches alone, and rows of several lie in raw in no order. Where these
    come from is known if it is one batch; if all are replayed now, it does not matter which one.
    """
    if PARTS in pull.body or not pull.body["origin"].startswith(REPLAY):
        return tuple((batch, rows) for batch, rows in pull.body.get(PARTS, ()))
    told, again = [int(batch) for batch in pull.body["origin"].removeprefix(REPLAY).split(",")], again or {}
    if len(told) > 1 and not again.keys() >= {*told}:
        return ()
    return ((max(told, key=lambda batch: again.get(batch, 0)), pull.body["rows"]),)  # one that has rows now, if any


def _starts(parts: Parts) -> Iterator[tuple[int, int]]:
    first = 0
    for batch, rows in parts:
        if rows:  # two parts that begin at one row could not be told apart
            yield first, batch
        first += rows


def _table(con: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str], rows: Sequence[tuple[int, ...]]) -> None:
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    arrow = pa.table({column: pa.array(list(mine), pa.int64()) for column, mine in zip(columns, values, strict=True)})
    con.register(f"{name}_given", arrow)
    con.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_given")
    con.unregister(f"{name}_given")


class ReplayedChanges(IncrementalChanges):
    """What the three modes of changes have in common when they are replayed.

    `placed` is the delivery with the batch that each row came with. Core's last word on a key is disregarded if it was
    read from one of these batches; else the row that came with the later batch has to beat the other.
    """

    first_stands: bool
    """Whether of two words that nothing puts in order the first one stands, and not the last."""

    def ties(self) -> dict[str, str]:
        """What the batches that are replayed told is not told again."""
        return {}

    def differs(self) -> str:
        """That an accepted row says something else than core."""
        return f"a.{HASH} <> k.{HASH}"

    def beats(self, later: str, earlier: str) -> str:
        """That row `later` replaces row `earlier`, which came before, when neither is a deletion of core."""
        raise NotImplementedError

    def overtakes(self) -> str:
        """That an accepted row replaces what core knows of its key from a batch that is not replayed."""
        later, earlier = self.beats("a", "k"), self.beats("k", "a")
        return f"CASE WHEN a._origin > k._origin THEN k._op = 'D' OR {later} ELSE k._op <> 'D' AND NOT ({earlier}) END"

    def by_batch(self) -> Iterator[str]:
        """View `placed`."""
        batch = f"ASOF JOIN part p ON j.{ROW} >= p.first"
        yield f"CREATE VIEW placed AS SELECT j.*, p.origin AS _origin FROM judged j {batch}"

    def known(self) -> str:
        """Table `known` with the batch that each row came with, and whether that is replayed."""
        # A department's correction is not undone by the row that it corrects, told again in another batch.
        hashes = ", ".join(f"l.{name}" for name in self.hashes)
        apart = "0" if self.first_stands else "l._batch"
        return (
            f"CREATE TABLE known AS SELECT *, _origin IN (SELECT origin FROM part) AS _again FROM ("
            f"SELECT {self.names('l.')}, l._op, {hashes}, CASE WHEN l._batch IN (FROM apart) THEN {apart} "
            f"ELSE coalesce(o.origin, l._batch) END AS _origin FROM ("
            f"SELECT {self.names('l.')}, l._op, l._batch, l.{ROW}, {self.stored_hash('l.')} FROM core_log l "
            f"SEMI JOIN (SELECT {self.keys()} FROM judged WHERE {self.good}) a ON {self.same_key('l', 'a')} "
            f"QUALIFY row_number() OVER (PARTITION BY {self.keys('l.')} ORDER BY l._batch DESC) = 1"
            f") l ASOF LEFT JOIN told_by o ON o.batch = l._batch AND l.{ROW} >= o.first)"
        )

    def counting(self) -> Iterator[str]:
        """Tables `accepted`, of the rows that count, and `known`; nothing is refused late, and nothing missing is
        deleted."""
        yield from self.by_batch()
        yield self.ranked_by_batch()
        yield self.nothing_late()
        yield self.accepted()
        yield self.known()
        yield self.nothing_deleted()

    def replaced(self, operation: str, deletes: str = "false") -> str:
        """Table `changes` of the accepted rows that count now and say something else than core. `deletes`: that one
        deletes its key."""
        differs = f"{self.differs()} OR (k._op = 'D') <> ({deletes})"
        return (
            f"CREATE TABLE changes AS SELECT a.{ROW}, a._dirty, {operation} AS _op "
            f"FROM (SELECT a.*, p.origin AS _origin FROM accepted a ASOF JOIN part p ON a.{ROW} >= p.first) a "
            f"LEFT JOIN known k ON {self.same_key('a', 'k')} WHERE {self.unknown} "
            f"OR ((k._again OR {self.overtakes()}) AND ({differs}))"
        )

    def ranked_by_batch(self) -> str:
        """Table `ranked`, in which a row has a place only if its own batch would have taken it: if it is the newest
        of its key there, and good."""
        origin = "_origin" if self.first_stands else "_origin DESC"
        by_newest = "".join(f"{identifier(name)} DESC NULLS LAST, " for name in newest(self.load))
        twice = repeated(self.keys(), "judged")
        within = f"row_number() OVER (PARTITION BY {self.keys()}, _origin ORDER BY {self.newest_first})"
        place = f"row_number() OVER (PARTITION BY {self.keys()}, _taken ORDER BY {by_newest}{origin})"
        return (
            f"CREATE TABLE ranked AS SELECT *, CASE WHEN _taken THEN {place} ELSE 2 END AS _place FROM ("
            f"SELECT {ROW}, {self.names()}, {HASH}, _origin, {self.counts} AS _good, "
            f"{within} = 1 AND {self.counts} AS _taken FROM placed WHERE hash({self.keys()}) IN ({twice}))"
        )


class ReplayedCursor(ReplayedChanges, CursorChanges):
    """The latest word of a key counts; of two with one cursor that of the later batch."""

    first_stands = False

    def beats(self, later: str, earlier: str) -> str:
        return self.not_older(newest(self.load), later, earlier)

    def statements(self) -> Iterator[str]:
        yield from self.counting()
        yield self.replaced(f"CASE WHEN {self.unknown} OR k._op = 'D' THEN 'I' ELSE 'U' END")


class ReplayedLog(ReplayedChanges, LogChanges):
    """The change with the highest number counts; of two with one number that of the earlier batch."""

    first_stands = True

    @property
    def young(self) -> dict[int, list[str]]:
        """An entry told again says nothing, so all of a row is compared."""
        return {}

    def beats(self, later: str, earlier: str) -> str:
        assert isinstance(self.load, ChangeLog)
        order = identifier(self.load.order)
        return f"coalesce({later}.{order} > {earlier}.{order}, false)"

    def overtakes(self) -> str:
        """A deletion has a number too; only one that the source did not tell has none, and stands."""
        assert isinstance(self.load, ChangeLog)
        order = identifier(self.load.order)
        same = f"a._origin < k._origin AND coalesce(a.{order} = k.{order}, k._op <> 'D')"
        return f"({self.beats('a', 'k')} OR {same})"

    def statements(self) -> Iterator[str]:
        assert isinstance(self.load, ChangeLog)
        yield from self.counting()
        deletes = f"a.{identifier(self.load.operation)} = 'D'"
        gone = f"{self.unknown} OR k._op = 'D'"
        yield self.replaced(f"CASE WHEN {deletes} THEN 'D' WHEN {gone} THEN 'I' ELSE 'U' END", deletes)


class ReplayedAppend(ReplayedChanges, AppendChanges):
    """The first telling of an event counts, as it is read now. One that contradicts another of the replay is refused;
    one that core knows from a batch before is not, for core may have read that one by the old contract."""

    first_stands = True

    def beats(self, later: str, earlier: str) -> str:
        return "false"

    def statements(self) -> Iterator[str]:
        yield from self.by_batch()
        yield self.ranked_by_knowledge()
        yield self.known()
        yield self.nothing_deleted()
        both = (
            f"{self.says('a', one)} AND {self.says('f', one)} AND a.{HASH}_{one} <> f.{HASH}_{one}"
            for one in self.young
        )
        young = "".join(f" OR ({differ})" for differ in both)
        yield (
            f"CREATE TABLE late_refused AS SELECT a.{ROW}, {literal(CHANGED)} AS _rule FROM ranked a "
            f"JOIN ranked f ON {self.same_key('a', 'f')} AND f._place = 1 "
            f"WHERE a._place > 1 AND (a.{HASH} <> f.{HASH}{young})"
        )
        yield self.accepted()
        operation = f"CASE WHEN {self.unknown} OR k._op = 'D' THEN 'I' ELSE 'U' END"
        yield self.replaced(operation)
        if self.history:
            yield from self.contradicted()
            yield "DROP TABLE changes"
            yield self.replaced(operation)

    def differs(self) -> str:
        young = "".join(f" OR ({self.says('a', one)} AND a.{HASH}_{one} <> k.{HASH}_{one})" for one in self.young)
        return super().differs() + young

    def says(self, row: str, since: int) -> str:
        """That a row says something of the columns that core has since a batch, or could have."""
        nothing = f"hash({', '.join('NULL' for _ in self.young[since])})"
        return f"({row}._origin >= {since} OR {row}.{HASH}_{since} <> {nothing})"

    def ranked_by_knowledge(self) -> str:
        """Table `ranked` of events told more than once: first what says the same as the first telling, and of that the
        row with the fewest columns that its batch could not know."""
        twice = repeated(self.keys(), f"judged WHERE {self.good}")
        unknown = "".join(f"CASE WHEN {self.says('t', one)} THEN 0 ELSE 1 END + " for one in self.young)
        order = f"t.{HASH} <> t._first, {unknown}0, t.{ROW}" if unknown else f"t.{HASH} <> t._first, t.{ROW}"
        return (
            f"CREATE TABLE ranked AS SELECT *, row_number() OVER (PARTITION BY {self.keys('t.')} ORDER BY {order}) "
            f"AS _place FROM (SELECT {ROW}, {self.names()}, {', '.join(self.hashes)}, _origin, true AS _good, "
            f"first_value({HASH}) OVER (PARTITION BY {self.keys()} ORDER BY {ROW}) AS _first "
            f"FROM placed WHERE {self.good} AND hash({self.keys()}) IN ({twice})) t"
        )

    def contradicted(self) -> Iterator[str]:
        """Events that are new or read anew are judged together with the others of core."""
        yield f"CREATE TABLE {FRESH} AS SELECT a.* FROM accepted a SEMI JOIN changes c ON c.{ROW} = a.{ROW}"
        same = self.same_key("t", "f")
        yield f"CREATE VIEW {TOLD} AS SELECT t.* FROM ({self.told()}) t ANTI JOIN {FRESH} f ON {same}"
        for rule, query in self.history.items():
            yield f"INSERT INTO late_refused SELECT {ROW}, {literal(rule)} FROM ({query})"


_MODES: dict[str, type[Changes]] = {"cursor": ReplayedCursor, "change_log": ReplayedLog, "append": ReplayedAppend}
