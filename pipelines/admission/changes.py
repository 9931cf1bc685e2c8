"""What the rows of a batch change, by load mode: the SQL between judged rows and the log of core.

Reads table `judged` (rows with failed rules) and view `core_log` (the log, with the contract's columns). Makes

* `late_refused` (_row, _rule): good rows that the batch or core itself contradicts,
* `accepted`: of the other good rows the one of each key that counts,
* `known`: the last word of core on the keys concerned,
* `changes`: rows to write with `_op` I, U or D, and `deleted`: keys to write as D that were not delivered.

Nothing here decides whether they are written.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pipelines.admission.compile import ROW
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts import models
from pipelines.lake.edition import CONTROL, current_state

DUPLICATE, CHANGED = "key.duplicate", "key.changed"
"""Rules that no contract names: two rows of a table with one key; an event told again with another content."""


@dataclass(frozen=True)
class Changes:
    """The statements of one load. Column lists are names of the contract; `good` is the condition of a good row.

    `derived`: SQL of the derived columns of a delivered row, each after a comma, where they may have changed for rows
    that did not; else empty.
    """

    load: models.Load
    columns: Sequence[str]
    derived_columns: Sequence[str]
    new_columns: Collection[str]
    good: str
    first_batch: int | None
    derived: str

    def statements(self) -> Iterator[str]:
        """In the order in which they are to run."""
        raise NotImplementedError

    def ranked(self, order: str, among: str) -> str:
        """Table `ranked`: every row of `among` with its place among the rows of its key."""
        return (
            f"CREATE TABLE ranked AS SELECT {ROW}, {self.names()}, {self.good} AS _good, "
            f"row_number() OVER (PARTITION BY {self.keys()} ORDER BY {order}) AS _place FROM {among}"
        )

    @property
    def newest_first(self) -> str:
        """The order of rows with one key, so that a tie is not decided by how rows happened to come."""
        newest = models.newest(self.load)
        first = f"{identifier(newest)} DESC NULLS LAST, " if newest else ""
        return f"{first}hash({self.names()}), {ROW}"

    def accepted(self, condition: str = "_good AND _place = 1") -> str:
        """Table `accepted` from `ranked`."""
        return f"CREATE TABLE accepted AS SELECT {ROW}, {self.names()} FROM ranked WHERE {condition}"

    def names(self, side: str = "") -> str:
        """The delivered columns."""
        return ", ".join(side + identifier(name) for name in self.columns)

    def keys(self, side: str = "") -> str:
        """The key columns."""
        return ", ".join(side + identifier(name) for name in self.load.key)

    def same_key(self, left: str, right: str) -> str:
        """That two rows have one key."""
        return " AND ".join(f"{left}.{name} = {right}.{name}" for name in map(identifier, self.load.key))

    @property
    def keyed(self) -> str:
        """That a row has a key."""
        return " AND ".join(f"{identifier(name)} IS NOT NULL" for name in self.load.key)

    @property
    def unknown(self) -> str:
        """That core `k` had never heard of a row's key."""
        return f"k.{identifier(self.load.key[0])} IS NULL"


class TableChanges(Changes):
    """full_replace, snapshot_diff: the delivery is the table.

    Of several rows with one key the newest counts, also when it is refused: an older one must not come back. A key
    that was delivered is not deleted, even when its row was refused: then the last accepted row stays.
    """

    def statements(self) -> Iterator[str]:
        yield self.ranked(self.newest_first, "judged")
        yield (
            f"CREATE TABLE late_refused AS SELECT {ROW}, {literal(DUPLICATE)} AS _rule "
            f"FROM ranked WHERE _good AND _place > 1 AND {self.keyed}"
        )
        yield self.accepted()
        yield "DROP TABLE ranked"
        kept = [*self.columns, *self.derived_columns]
        state = current_state("core_log", self.load.key, kept, self.first_batch, '"')
        listed = ", ".join(map(identifier, kept))
        yield f"CREATE TABLE known AS SELECT {listed} FROM ({state})"
        new, old = self.names("a."), self.names("k.")
        if self.derived:
            new, old = new + self.derived, ", ".join(f"k.{identifier(name)}" for name in kept)
        yield (
            f"CREATE TABLE changes AS SELECT a.*, CASE WHEN {self.unknown} THEN 'I' ELSE 'U' END AS _op "
            f"FROM accepted a LEFT JOIN known k ON {self.same_key('a', 'k')} "
            f"WHERE {self.unknown} OR ({new}) IS DISTINCT FROM ({old})"
        )
        yield f"CREATE TABLE deleted AS SELECT k.* FROM known k ANTI JOIN judged a ON {self.same_key('k', 'a')}"


class IncrementalChanges(Changes):
    """cursor, change_log, append: the delivery is a part; keys that it does not name stay as they are."""

    def known(self) -> str:
        """Table `known`: the last row of the log, deletions included, of every accepted key.

        Only the delivered keys are looked up: 10,000 events against 2M rows cost 0.2 CPU s.
        """
        listed = ", ".join(f"l.{identifier(name)}" for name in [*self.columns, *CONTROL])
        return (
            f"CREATE TABLE known AS SELECT * EXCLUDE (_last) FROM (SELECT {listed}, row_number() OVER "
            f"(PARTITION BY {self.keys('l.')} ORDER BY l._batch DESC) AS _last FROM core_log l "
            f"SEMI JOIN accepted a ON {self.same_key('l', 'a')}) WHERE _last = 1"
        )

    def nothing_deleted(self) -> str:
        """An empty table `deleted`."""
        listed = ", ".join(map(identifier, [*self.columns, *self.derived_columns]))
        return f"CREATE TABLE deleted AS SELECT {listed} FROM core_log WHERE false"

    def changed(self, operation: str, condition: str) -> str:
        """Table `changes` of the accepted rows that satisfy a condition."""
        return (
            f"CREATE TABLE changes AS SELECT a.*, {operation} AS _op FROM accepted a "
            f"LEFT JOIN known k ON {self.same_key('a', 'k')} WHERE {condition}"
        )

    def nothing_late(self) -> str:
        """An empty table `late_refused`."""
        return f"CREATE TABLE late_refused AS SELECT {ROW}, '' AS _rule FROM judged WHERE false"


class CursorChanges(IncrementalChanges):
    """A row counts if it is not older than what is known of its key, and different: overlaps change nothing."""

    def statements(self) -> Iterator[str]:
        yield self.ranked(self.newest_first, "judged")
        yield self.accepted()
        yield self.nothing_late()
        yield self.known()
        yield self.nothing_deleted()
        newest = identifier(models.newest(self.load) or "")
        different = f"({self.names('a.')}) IS DISTINCT FROM ({self.names('k.')})"
        later = f"coalesce(a.{newest} >= k.{newest}, true)"
        gone = f"{self.unknown} OR k._op = 'D'"
        yield self.changed(f"CASE WHEN {gone} THEN 'I' ELSE 'U' END", f"{gone} OR ({later} AND {different})")


class LogChanges(IncrementalChanges):
    """A change counts if its order is above all that is known of its key, its deletion included.

    A deletion of a key that core never heard of is written too: an earlier change that comes late must find it.
    """

    def statements(self) -> Iterator[str]:
        assert isinstance(self.load, models.ChangeLog)
        yield self.ranked(self.newest_first, "judged")
        yield self.accepted()
        yield self.nothing_late()
        yield self.known()
        yield self.nothing_deleted()
        order, operation = identifier(self.load.order), identifier(self.load.operation)
        gone = f"{self.unknown} OR k._op = 'D'"
        yield self.changed(
            f"CASE WHEN a.{operation} = 'D' THEN 'D' WHEN {gone} THEN 'I' ELSE 'U' END",
            f"{self.unknown} OR a.{order} > k.{order}",
        )


class AppendChanges(IncrementalChanges):
    """An event counts once. Told again it is ignored; told again with another content it is refused.

    What core knows counts first, then the first telling of the batch. Columns that core lacks are not compared.
    """

    def statements(self) -> Iterator[str]:
        yield self.ranked(ROW, f"(SELECT * FROM judged WHERE {self.good})")
        yield self.accepted()
        yield self.known()
        yield self.nothing_deleted()
        yield (
            f"CREATE TABLE late_refused AS SELECT a.{ROW}, {literal(CHANGED)} AS _rule FROM ranked a "
            f"JOIN ranked f ON {self.same_key('a', 'f')} AND f._place = 1 "
            f"ANTI JOIN known k ON {self.same_key('a', 'k')} AND k._op <> 'D' "
            f"WHERE a._place > 1 AND {self._differ('a', 'f')} "
            f"UNION ALL SELECT a.{ROW}, {literal(CHANGED)} FROM ranked a "
            f"JOIN known k ON {self.same_key('a', 'k')} AND k._op <> 'D' WHERE {self._differ('a', 'k')}"
        )
        yield f"DELETE FROM accepted WHERE {ROW} IN (SELECT {ROW} FROM late_refused)"
        yield "DROP TABLE ranked"
        yield self.changed("'I'", f"{self.unknown} OR k._op = 'D'")

    def _differ(self, left: str, right: str) -> str:
        compared = [identifier(name) for name in self.columns if name not in self.new_columns]
        sides = (", ".join(f"{side}.{name}" for name in compared) for side in (left, right))
        return "({}) IS DISTINCT FROM ({})".format(*sides)


_MODES: dict[str, type[Changes]] = {
    "full_replace": TableChanges,
    "snapshot_diff": TableChanges,
    "cursor": CursorChanges,
    "change_log": LogChanges,
    "append": AppendChanges,
}


def changes_of(
    load: models.Load,
    columns: Sequence[str],
    derived_columns: Sequence[str],
    new_columns: Collection[str],
    good: str,
    first_batch: int | None,
    derived: str,
) -> Changes:
    """The changes of a load's mode."""
    return _MODES[load.mode](load, columns, derived_columns, new_columns, good, first_batch, derived)
