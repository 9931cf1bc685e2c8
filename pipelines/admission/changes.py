"""What the rows of a batch change, by load mode: the SQL between judged rows and the log of core.

Rows are told apart by the hash of their values, so that nothing here holds the values themselves. Reads table `judged`
(`_row`, `_dirty`, what `kept` asks for, failed rules), view `core_log` (the log, with the contract's columns) and, for
whole tables, view `current` (the keys of core with their hashes). Makes

* `late_refused` (_row, _rule): good rows that the batch or core itself contradicts,
* `accepted`: of the other good rows the one of each key that counts,
* `known`: the last word of core on the keys concerned,
* `changes` (_row, _dirty, _op): rows to write as I, U or D, and `deleted`: keys to write as D that were not delivered.

Nothing here decides whether they are written.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.admission.compile import DIRTY, FRESH, ROW, TOLD
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts import models

HASH = "_hash"
DUPLICATE, CHANGED = "key.duplicate", "key.changed"
"""Rules that no contract names: two rows of a table with one key; an event told again with another content."""

_SET_ASIDE = f"SELECT {ROW} FROM ranked WHERE _place > 1 UNION ALL SELECT {ROW} FROM late_refused"


@dataclass(frozen=True)
class Changes:
    """The statements of one load. `columns`: the names of the contract; `new_columns`: those that core has not yet.

    `history`: rules about events together, each with its query (see `Admission`), which look at the columns `watched`.

    `good` is the condition of a good row. `derived`: the derived columns, by name, each with its SQL over a delivered
    row, where they may have changed for rows that did not; else empty.
    """

    load: models.Load
    columns: Sequence[str]
    new_columns: Collection[str]
    good: str
    derived: dict[str, str]
    history: Mapping[str, str]
    watched: Sequence[str]

    def statements(self) -> Iterator[str]:
        """In the order in which they are to run."""
        raise NotImplementedError

    @property
    def compared(self) -> Sequence[str]:
        """The columns by which two rows of a key differ."""
        return self.columns

    @property
    def kept(self) -> str:
        """What of a delivered row is looked at here."""
        values = [*map(identifier, self.compared), *self.derived.values()]
        return f"{self.names()}, hash({', '.join(values)}) AS {HASH}"

    def stored_hash(self, side: str) -> str:
        """The hash of a row of core, comparable with that of a delivered one."""
        return f"hash({', '.join(side + identifier(name) for name in [*self.compared, *self.derived])}) AS {HASH}"

    def names(self, side: str = "") -> str:
        """The columns by which rows are told apart and ordered."""
        operation = getattr(self.load, "operation", None)
        wanted = (*self.load.key, *models.newest(self.load), operation, *self.watched)
        return ", ".join(side + identifier(name) for name in dict.fromkeys(wanted) if name)

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

    @property
    def newest_first(self) -> str:
        """The order of rows with one key, so that a tie is not decided by how rows happened to come."""
        first = "".join(f"{identifier(name)} DESC NULLS LAST, " for name in models.newest(self.load))
        return f"{first}{HASH}, {ROW}"

    def ranked(self, order: str, among: str = "judged") -> str:
        """Table `ranked`: the rows of `among` whose key another has too, with their place among those.

        Keys that occur once, nearly all, are found by a hash and never sorted.
        """
        twice = f"SELECT hash({self.keys()}) FROM {among} GROUP BY 1 HAVING count(*) > 1"
        return (
            f"CREATE TABLE ranked AS SELECT {ROW}, {self.names()}, {HASH}, {self.good} AS _good, "
            f"row_number() OVER (PARTITION BY {self.keys()} ORDER BY {order}) AS _place FROM {among} "
            f"WHERE hash({self.keys()}) IN ({twice})"
        )

    def accepted(self) -> str:
        """View `accepted`: good rows that no other row of their key outranks, and that were not refused late."""
        return (
            f"CREATE VIEW accepted AS SELECT {ROW}, {DIRTY}, {self.names()}, {HASH} FROM judged a "
            f"ANTI JOIN ({_SET_ASIDE}) o ON o.{ROW} = a.{ROW} WHERE {self.good}"
        )

    def not_accepted(self) -> str:
        """A query of the `_row` of all others: few, however large the delivery."""
        return f"SELECT {ROW} FROM judged WHERE NOT ({self.good}) UNION ALL {_SET_ASIDE}"

    def changed(self, operation: str, condition: str) -> str:
        """Table `changes` of the accepted rows that satisfy a condition."""
        return (
            f"CREATE TABLE changes AS SELECT a.{ROW}, a.{DIRTY}, {operation} AS _op FROM accepted a "
            f"LEFT JOIN known k ON {self.same_key('a', 'k')} WHERE {condition}"
        )


class TableChanges(Changes):
    """full_replace, snapshot_diff: the delivery is the table.

    Of several rows with one key the newest counts, also when it is refused: an older one must not come back. A key
    that was delivered is not deleted, even when its row was refused: then the last accepted row stays.
    """

    def statements(self) -> Iterator[str]:
        yield self.ranked(self.newest_first)
        yield (
            f"CREATE TABLE late_refused AS SELECT {ROW}, {literal(DUPLICATE)} AS _rule "
            f"FROM ranked WHERE _good AND _place > 1 AND {self.keyed}"
        )
        yield self.accepted()
        yield f"CREATE VIEW known AS SELECT {self.keys()}, {HASH} FROM current"
        yield self.changed(f"CASE WHEN {self.unknown} THEN 'I' ELSE 'U' END", f"{self.unknown} OR a.{HASH} <> k.{HASH}")
        yield (
            f"CREATE TABLE deleted AS SELECT {self.keys('k.')} FROM known k "
            f"ANTI JOIN judged a ON {self.same_key('k', 'a')}"
        )

    def state(self) -> str:
        """A query of all keys with their hashes as they are once the changes are applied."""
        rest = f"SELECT {self.keys()} FROM judged a ANTI JOIN accepted o ON o.{ROW} = a.{ROW}"
        return (
            f"SELECT {self.keys()}, {HASH} FROM accepted UNION ALL "
            f"SELECT {self.keys('k.')}, k.{HASH} FROM known k SEMI JOIN ({rest}) r ON {self.same_key('k', 'r')} "
            f"ANTI JOIN (SELECT {self.keys()} FROM accepted) a ON {self.same_key('k', 'a')}"
        )


class IncrementalChanges(Changes):
    """cursor, change_log, append: the delivery is a part; keys that it does not name stay as they are."""

    def known(self) -> str:
        """Table `known`: the last row of the log, deletions included, of every good key.

        Only the delivered keys are looked up: 10,000 events against 2M rows cost 0.2 CPU s.
        """
        return (
            f"CREATE TABLE known AS SELECT * EXCLUDE (_last) FROM (SELECT {self.names('l.')}, l._op, "
            f"{self.stored_hash('l.')}, row_number() OVER (PARTITION BY {self.keys('l.')} ORDER BY l._batch DESC) "
            f"AS _last FROM core_log l SEMI JOIN (SELECT {self.keys()} FROM judged WHERE {self.good}) a "
            f"ON {self.same_key('l', 'a')}) WHERE _last = 1"
        )

    def nothing_deleted(self) -> str:
        """An empty table `deleted`."""
        return f"CREATE TABLE deleted AS SELECT {self.keys()} FROM core_log WHERE false"

    def nothing_late(self) -> str:
        """An empty table `late_refused`."""
        return f"CREATE TABLE late_refused AS SELECT {ROW}, '' AS _rule FROM judged WHERE false"


class CursorChanges(IncrementalChanges):
    """A row counts if it is not older than what is known of its key, and different: overlaps change nothing."""

    def statements(self) -> Iterator[str]:
        yield self.ranked(self.newest_first)
        yield self.nothing_late()
        yield self.accepted()
        yield self.known()
        yield self.nothing_deleted()
        later = self.not_older(models.newest(self.load))
        gone = f"{self.unknown} OR k._op = 'D'"
        yield self.changed(f"CASE WHEN {gone} THEN 'I' ELSE 'U' END", f"{gone} OR ({later} AND a.{HASH} <> k.{HASH})")

    def not_older(self, order: Sequence[str]) -> str:
        """That a delivered row `a` is not before the known one `k`; what cannot be compared is not before."""
        first, *rest = order
        mine, known = f"a.{identifier(first)}", f"k.{identifier(first)}"
        if not rest:
            return f"coalesce({mine} >= {known}, true)"
        return f"coalesce({mine} > {known} OR ({mine} = {known} AND {self.not_older(rest)}), true)"


class LogChanges(IncrementalChanges):
    """A change counts if its order is above all that is known of its key, its deletion included.

    A deletion of a key that core never heard of is written too: an earlier change that comes late must find it.
    """

    def statements(self) -> Iterator[str]:
        assert isinstance(self.load, models.ChangeLog)
        yield self.ranked(self.newest_first)
        yield self.nothing_late()
        yield self.accepted()
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

    @property
    def compared(self) -> Sequence[str]:
        return [name for name in self.columns if name not in self.new_columns]

    def statements(self) -> Iterator[str]:
        yield self.ranked(ROW, f"(SELECT * FROM judged WHERE {self.good})")
        yield self.known()
        yield self.nothing_deleted()
        yield (
            f"CREATE TABLE late_refused AS SELECT a.{ROW}, {literal(CHANGED)} AS _rule FROM ranked a "
            f"JOIN ranked f ON {self.same_key('a', 'f')} AND f._place = 1 "
            f"ANTI JOIN known k ON {self.same_key('a', 'k')} AND k._op <> 'D' "
            f"WHERE a._place > 1 AND a.{HASH} <> f.{HASH} "
            f"UNION ALL SELECT a.{ROW}, {literal(CHANGED)} FROM judged a "
            f"JOIN known k ON {self.same_key('a', 'k')} AND k._op <> 'D' WHERE {self.good} AND a.{HASH} <> k.{HASH}"
        )
        yield self.accepted()
        yield from self._contradicted()
        yield self.changed("'I'", f"{self.unknown} OR k._op = 'D'")

    def _contradicted(self) -> Iterator[str]:
        """Events that break a rule about events together are refused late: each is good by itself."""
        if not self.history:
            return
        same = self.same_key("a", "k")
        yield f"CREATE TABLE {FRESH} AS SELECT a.* FROM accepted a ANTI JOIN known k ON {same} AND k._op <> 'D'"
        yield f"CREATE VIEW {TOLD} AS SELECT * FROM core_log WHERE _op <> 'D'"
        for rule, query in self.history.items():
            yield f"INSERT INTO late_refused SELECT {ROW}, {literal(rule)} FROM ({query})"


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
    new_columns: Collection[str],
    good: str,
    derived: dict[str, str],
    history: Mapping[str, str],
    watched: Sequence[str],
) -> Changes:
    """The changes of a load's mode."""
    return _MODES[load.mode](load, columns, new_columns, good, derived, history, watched)
