"""What the rows of a batch change, by load mode: the SQL between judged rows and the log of core.

Rows are told apart by the hash of their values, so that nothing here holds the values themselves. Reads table `judged`
(`_row`, `_dirty`, what `kept` asks for, failed rules), view `core_log` (the log, with the contract's columns) and, for
whole tables, view `current` (the keys of core with their hashes). Makes

* `late_refused` (_row, _rule): rows that the batch or core itself contradicts,
* `accepted`: of the other good rows the one of each key that counts,
* `known`: the last word of core on the keys concerned,
* `changes` (_row, _dirty, _op): rows to write as I, U or D, and `deleted`: keys to write as D that were not delivered.

Nothing here decides whether they are written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.admission.compile import DIRTY, FRESH, ROW, TOLD
from pipelines.codecs.sql import identifier, literal, repeated
from pipelines.contracts.forms.sources import ChangeLog, Load, newest

HASH = "_hash"
TIED, TOLD_AGAIN = "order.tied", "order.told_again"
"""Findings about rows of one key and one order with different content: nothing says which of them was told last; a
change number that core has with another content."""
DUPLICATE, CHANGED, CORRECTED = "key.duplicate", "key.changed", "row.corrected"
"""Rules that no contract names: two rows of a table with one key; an event told again with another content; a row that
was right by the present contract, had not its department corrected it."""

_SET_ASIDE = f"SELECT {ROW} FROM ranked WHERE _place > 1 UNION ALL SELECT {ROW} FROM late_refused"


@dataclass(frozen=True)
class Changes:
    """The statements of one load. `columns`: the names of the contract; `since`: those that core had not from the
    beginning, with the batch that brought them, be it this one.

    `history`: rules about events together, each with its query (see `Admission`), which look at the columns `watched`.

    `good` is the condition of a good row. `derived`: the derived columns, by name, each with its SQL over a delivered
    row, where they may have changed for rows that did not; else empty. `placed`: whether the place of a row in the
    delivery says when it was told, as in files and pages; a table is told in no order.
    """

    load: Load
    columns: Sequence[str]
    since: Mapping[str, int]
    good: str
    derived: dict[str, str]
    history: Mapping[str, str]
    watched: Sequence[str]
    placed: bool

    def statements(self) -> Iterator[str]:
        """In the order in which they are to run."""
        raise NotImplementedError

    @property
    def compared(self) -> Sequence[str]:
        """The columns by which two rows of a key differ, but for young ones."""
        return [name for name in self.columns if not any(name in names for names in self.young.values())]

    @property
    def young(self) -> dict[int, list[str]]:
        """Columns that are compared apart, by the batch since which core has them: older rows say nothing of them."""
        return {}

    @property
    def hashes(self) -> list[str]:
        """The names of the hashes of a row: of what is compared with every row, and of young columns."""
        return [HASH, *(f"{HASH}_{batch}" for batch in self.young)]

    @property
    def kept(self) -> str:
        """What of a delivered row is looked at here."""
        values = [*map(identifier, self.compared), *self.derived.values()]
        return f"{self.names()}, {self._hashed(values, '')}"

    def stored_hash(self, side: str) -> str:
        """The hashes of a row of core, comparable with those of a delivered one."""
        return self._hashed([side + identifier(name) for name in [*self.compared, *self.derived]], side)

    def _hashed(self, values: Sequence[str], side: str) -> str:
        young = [[side + identifier(name) for name in names] for names in self.young.values()]
        named = zip([values, *young], self.hashes, strict=True)
        return ", ".join(f"hash({', '.join(one)}) AS {name}" for one, name in named)

    def alike(self, left: str, right: str) -> str:
        """That two rows say the same."""
        return " AND ".join(f"{left}.{name} = {right}.{name}" for name in self.hashes)

    def as_stored(self, row: str, stored: str) -> str:
        """That a row says what core has of its key, as far as core could know it then."""
        hashes = ((batch, f"{HASH}_{batch}") for batch in self.young)
        young = "".join(f" AND ({stored}._batch < {since} OR {row}.{name} = {stored}.{name})" for since, name in hashes)
        return f"({row}.{HASH} = {stored}.{HASH}{young})"

    @property
    def counts(self) -> str:
        """The condition of a row that may be accepted, of the table that is ranked."""
        return self.good

    def names(self, side: str = "") -> str:
        """The columns by which rows are told apart and ordered."""
        return ", ".join(side + identifier(name) for name in [*self.load.key, *self._ordering])

    @property
    def _ordering(self) -> list[str]:
        """What of a row is looked at besides its key."""
        operation = getattr(self.load, "operation", None)
        wanted = dict.fromkeys((*newest(self.load), operation, *self.watched))
        return [name for name in wanted if name and name not in self.load.key]

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
        """The order of rows with one key. What was told last comes first; where nothing says so, a tie is at least not
        decided by how rows happened to come."""
        first = "".join(f"{identifier(name)} DESC NULLS LAST, " for name in newest(self.load))
        return f"{first}{self.of_ties}"

    @property
    def of_ties(self) -> str:
        """The order of rows with one key and one order."""
        return f"{', '.join(self.hashes)}, {ROW}"

    def ties(self) -> dict[str, str]:
        """What is to be told of ties that nothing decides: a query of how many keys, by the code of the finding."""
        return {}

    def ranked(self, order: str, among: str = "judged") -> str:
        """Table `ranked`: the rows of `among` whose key another has too, with their place among those.

        Keys that occur once, nearly all, are found by a hash and never sorted.
        """
        return (
            f"CREATE TABLE ranked AS SELECT {ROW}, {self.names()}, {', '.join(self.hashes)}, {self.counts} AS _good, "
            f"row_number() OVER (PARTITION BY {self.keys()} ORDER BY {order}) AS _place FROM {among} "
            f"WHERE hash({self.keys()}) IN ({repeated(self.keys(), among)})"
        )

    def accepted(self, among: str = "judged") -> str:
        """View `accepted`: good rows that no other row of their key outranks, and that were not refused late."""
        return (
            f"CREATE VIEW accepted AS SELECT {ROW}, {DIRTY}, {self.names()}, {', '.join(self.hashes)} FROM {among} a "
            f"ANTI JOIN ({_SET_ASIDE}) o ON o.{ROW} = a.{ROW} WHERE {self.counts}"
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

    table = "judged"
    """What the delivery says."""

    def statements(self) -> Iterator[str]:
        yield self.ranked(self.newest_first, self.table)
        yield f"CREATE TABLE late_refused AS {self.contradicted()}"
        yield self.accepted(self.table)
        yield f"CREATE VIEW known AS SELECT {self.keys()}, {HASH} FROM current"
        yield self.changed(f"CASE WHEN {self.unknown} THEN 'I' ELSE 'U' END", f"{self.unknown} OR a.{HASH} <> k.{HASH}")
        yield from self.gone()

    def contradicted(self) -> str:
        """A query of the rows that another row of their key outranks, with the rule; bad ones fail it besides."""
        return f"SELECT {ROW}, {literal(DUPLICATE)} AS _rule FROM ranked WHERE _place > 1 AND {self.keyed}"

    def gone(self) -> Iterator[str]:
        """Table `deleted`."""
        yield (
            f"CREATE TABLE deleted AS SELECT {self.keys('k.')} FROM known k "
            f"ANTI JOIN {self.table} a ON {self.same_key('k', 'a')}"
        )

    def state(self) -> str:
        """A query of all keys with their hashes as they are once the changes are applied."""
        aside = f"SELECT {ROW} FROM {self.table} WHERE NOT ({self.counts}) UNION ALL {_SET_ASIDE}"  # few
        rest = f"SELECT {self.keys()} FROM {self.table} a SEMI JOIN ({aside}) o ON o.{ROW} = a.{ROW}"
        return (
            f"SELECT {self.keys()}, {HASH} FROM accepted UNION ALL "
            f"SELECT {self.keys('k.')}, k.{HASH} FROM known k SEMI JOIN ({rest}) r ON {self.same_key('k', 'r')} "
            f"ANTI JOIN (SELECT {self.keys()} FROM accepted) a ON {self.same_key('k', 'a')}"
        )


class CorrectedTable(TableChanges):
    """A table that still carries rows for which a correction stands: it is taken as if they had the corrected key.

    Such a row is refused whatever the contract says of it now, so the last accepted row of the corrected key stays:
    the correction. Its own key is deleted unless another row has it. A row that was only one too many of its key is
    answered as long as it is that. A correction ends (table `ended`) when its row is gone, and when another row of
    its key counts. Reads table `corrected` (see `answers`), view `raw` (_row, texts). Makes table `answered`.
    """

    table = "told"

    @property
    def counts(self) -> str:
        return "_good"

    def statements(self) -> Iterator[str]:
        yield from self._answered()
        yield from self._told()
        yield from super().statements()

    def contradicted(self) -> str:
        good = f"(SELECT {ROW} FROM judged SEMI JOIN answered USING ({ROW}) WHERE {self.good})"
        others = f"SELECT * FROM ({super().contradicted()}) ANTI JOIN {good} USING ({ROW})"
        return f"{others} UNION ALL SELECT {ROW}, {literal(CORRECTED)} FROM {good}"

    def gone(self) -> Iterator[str]:
        taken = f"SELECT {self.keys()} FROM accepted"
        yield (
            f"INSERT INTO answered SELECT m.* FROM matched m SEMI JOIN ranked r ON r.{ROW} = m.{ROW} AND r._place > 1 "
            f"ANTI JOIN ({taken}) a ON {self._to('m', 'a')} WHERE m.copied"
        )
        yield from super().gone()
        yield (
            f"CREATE TABLE ended AS SELECT c.batch, c.row FROM corrected c ANTI JOIN "
            f"(SELECT n.batch, n.row FROM answered n ANTI JOIN ({taken}) a ON {self._to('n', 'a')}) s "
            f"ON (s.batch, s.row) = (c.batch, c.row)"
        )

    def _answered(self) -> Iterator[str]:
        """Tables `matched`, the rows that say what a corrected one said, and `answered`, those not overtaken. The
        texts of a row are compared only if its key is that of a corrected one."""
        listed = ", ".join(to_columns(len(self.load.key)))
        same = " AND ".join(f"j.{name} IS NOT DISTINCT FROM c.{name}" for name in map(identifier, self.load.key))
        yield f"CREATE TABLE candidate AS SELECT {ROW} FROM judged j SEMI JOIN corrected c ON {same}"
        yield (
            f"CREATE TABLE matched AS SELECT r.{ROW}, c.batch, c.row, c.copied, {listed} "
            f"FROM raw r SEMI JOIN candidate d ON d.{ROW} = r.{ROW} JOIN corrected c ON c.texts = r.texts "
            f"QUALIFY row_number() OVER (PARTITION BY r.{ROW} ORDER BY c.batch DESC, c.row DESC) = 1"
        )
        taken_out = f"(SELECT {ROW} FROM matched WHERE NOT copied)"
        others = f"(SELECT {self.keys()} FROM judged ANTI JOIN {taken_out} USING ({ROW}) WHERE {self.good})"
        moved = " OR ".join(f"j.{name} IS DISTINCT FROM m.{to}" for name, to in self._pairs())
        yield (
            f"CREATE TABLE answered AS SELECT m.* FROM matched m JOIN judged j ON j.{ROW} = m.{ROW} "
            f"WHERE NOT m.copied AND NOT (({moved}) AND EXISTS (FROM {others} o WHERE {self._to('m', 'o')}))"
        )

    def _told(self) -> Iterator[str]:
        """View `told`: the delivery, answered rows with the key of their correction."""
        keys = ", ".join(
            f"CASE WHEN a.{ROW} IS NULL THEN j.{name} ELSE a.{to} END AS {name}" for name, to in self._pairs()
        )
        rest = "".join(f", j.{identifier(name)}" for name in self._ordering)
        yield (
            f"CREATE VIEW told AS SELECT j.{ROW}, j.{DIRTY}, {keys}{rest}, j.{HASH}, "
            f"({self.good} AND a.{ROW} IS NULL) AS _good "
            f"FROM judged j LEFT JOIN answered a ON a.{ROW} = j.{ROW}"
        )

    def _pairs(self) -> list[tuple[str, str]]:
        return [*zip(map(identifier, self.load.key), to_columns(len(self.load.key)), strict=True)]

    def _to(self, correction: str, row: str) -> str:
        """That a row has the key of a correction."""
        return " AND ".join(f"{row}.{name} = {correction}.{to}" for name, to in self._pairs())


class ReturnedTable(TableChanges):
    """Corrected rows of a table, taken as if they stood in the last delivery instead of those they answer.

    Nothing is deleted. A row may have the key of the one it answers, unless another row of the delivery counts for
    that, or a key that core does not have. Reads tables `corrected`, `own` (see `answers`).
    """

    def contradicted(self) -> str:
        names = [*zip(map(identifier, self.load.key), to_columns(len(self.load.key)), strict=True)]
        same = " AND ".join(f"j.{name} IS NOT DISTINCT FROM w.{name}" for name, _ in names)
        held = " AND ".join(f"c.{to} = j.{name}" for name, to in names)
        return (
            f"{super().contradicted()} UNION SELECT j.{ROW}, {literal(DUPLICATE)} FROM judged j "
            f"JOIN own w ON w.{ROW} = j.{ROW} "
            f"WHERE CASE WHEN {same} THEN w.outranked ELSE EXISTS (FROM current k WHERE {self.same_key('k', 'j')}) END "
            f"OR EXISTS (FROM corrected c WHERE {held})"
        )

    def gone(self) -> Iterator[str]:
        yield f"CREATE TABLE deleted AS SELECT {self.keys()} FROM known WHERE false"

    def state(self) -> str:
        return (
            f"SELECT {self.keys()}, {HASH} FROM accepted UNION ALL "
            f"SELECT {self.keys('k.')}, k.{HASH} FROM known k ANTI JOIN accepted a ON {self.same_key('k', 'a')}"
        )


class IncrementalChanges(Changes):
    """cursor, change_log, append: the delivery is a part; keys that it does not name stay as they are."""

    @property
    def of_ties(self) -> str:
        return f"{ROW} DESC" if self.placed else super().of_ties

    def undecided(self) -> dict[str, str]:
        """The keys of which the row that counts has no better claim than another one of the delivery."""
        if self.placed:
            return {}
        same = " AND ".join(f"a.{name} IS NOT DISTINCT FROM f.{name}" for name in map(identifier, newest(self.load)))
        tied = f"f._place = 1 AND a._place > 1 AND NOT ({self.alike('a', 'f')}) AND {same}"
        keys = f"SELECT DISTINCT {self.keys('f.')} FROM ranked f JOIN ranked a ON {self.same_key('a', 'f')} AND {tied}"
        return {TIED: f"SELECT count(*) FROM ({keys})"}

    def known(self) -> str:
        """Table `known`: the last row of the log, deletions included, of every good key.

        Only the delivered keys are looked up: 10,000 events against 2M rows cost 0.2 CPU s.
        """
        return (
            f"CREATE TABLE known AS SELECT * EXCLUDE (_last) FROM (SELECT {self.names('l.')}, l._op, l._batch, "
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


class ToldOnce(IncrementalChanges):
    """change_log, append: what was told once does not change, but for columns of which nothing could be said then."""

    @property
    def young(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for name in self.columns:
            if name in self.since and name not in self.load.key:
                found.setdefault(self.since[name], []).append(name)
        return found


class CursorChanges(IncrementalChanges):
    """A row counts if it is not older than what is known of its key, and different: overlaps change nothing.

    Of rows with one cursor that of the later delivery counts, and of one delivery the last row.
    """

    def ties(self) -> dict[str, str]:
        return self.undecided()

    def statements(self) -> Iterator[str]:
        yield self.ranked(self.newest_first)
        yield self.nothing_late()
        yield self.accepted()
        yield self.known()
        yield self.nothing_deleted()
        later = self.not_older(newest(self.load), "a", "k")
        gone = f"{self.unknown} OR k._op = 'D'"
        yield self.changed(f"CASE WHEN {gone} THEN 'I' ELSE 'U' END", f"{gone} OR ({later} AND a.{HASH} <> k.{HASH})")

    def not_older(self, order: Sequence[str], row: str, other: str) -> str:
        """That one row of a key is not before another; what cannot be compared is not before."""
        first, *rest = order
        mine, known = f"{row}.{identifier(first)}", f"{other}.{identifier(first)}"
        if not rest:
            return f"coalesce({mine} >= {known}, true)"
        return f"coalesce({mine} > {known} OR ({mine} = {known} AND {self.not_older(rest, row, other)}), true)"


class LogChanges(ToldOnce):
    """A change counts if its order is above all that is known of its key, its deletion included.

    A deletion of a key that core never heard of is written too: an earlier change that comes late must find it. Of
    changes with one number the last row of a delivery counts, and what core knows before it.
    """

    def ties(self) -> dict[str, str]:
        assert isinstance(self.load, ChangeLog)
        order = identifier(self.load.order)
        again = f"{self.same_key('a', 'k')} AND a.{order} = k.{order} AND NOT {self.as_stored('a', 'k')}"
        return self.undecided() | {TOLD_AGAIN: f"SELECT count(*) FROM accepted a JOIN known k ON {again}"}

    def statements(self) -> Iterator[str]:
        assert isinstance(self.load, ChangeLog)
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


class AppendChanges(ToldOnce):
    """An event counts once. Told again it is ignored; told again with another content it is refused.

    What core knows counts first, then the first telling of the batch. Of columns that are younger than what core knows
    nothing was told before: the first telling that has them fills them.
    """

    def statements(self) -> Iterator[str]:
        yield self.known()
        yield self.nothing_deleted()
        yield (
            f"CREATE TABLE late_refused AS SELECT a.{ROW}, {literal(CHANGED)} AS _rule FROM judged a "
            f"JOIN known k ON {self.same_key('a', 'k')} AND k._op <> 'D' "
            f"WHERE {self.good} AND NOT {self.as_stored('a', 'k')}"
        )
        rest = f"SELECT * FROM judged j ANTI JOIN late_refused o ON o.{ROW} = j.{ROW} WHERE {self.good}"
        yield self.ranked(ROW, f"({rest})")
        yield (
            f"INSERT INTO late_refused SELECT a.{ROW}, {literal(CHANGED)} FROM ranked a "
            f"JOIN ranked f ON {self.same_key('a', 'f')} AND f._place = 1 "
            f"WHERE a._place > 1 AND NOT ({self.alike('a', 'f')})"
        )
        yield self.accepted()
        yield from self._contradicted()
        new = f"{self.unknown} OR k._op = 'D'"
        yield self.changed(f"CASE WHEN {new} THEN 'I' ELSE 'U' END", f"{new} OR NOT ({self.alike('a', 'k')})")

    def _contradicted(self) -> Iterator[str]:
        """Events that break a rule about events together are refused late: each is good by itself."""
        if not self.history:
            return
        same = self.same_key("a", "k")
        yield f"CREATE TABLE {FRESH} AS SELECT a.* FROM accepted a ANTI JOIN known k ON {same} AND k._op <> 'D'"
        yield f"CREATE VIEW {TOLD} AS {self.told()}"
        for rule, query in self.history.items():
            yield f"INSERT INTO late_refused SELECT {ROW}, {literal(rule)} FROM ({query})"

    def told(self) -> str:
        """A query of the events of core as they stand: what overtakes one is its end, or a replay that read it anew."""
        return (
            f"SELECT l.* FROM core_log l ANTI JOIN (SELECT {self.keys()}, _batch FROM core_log WHERE _op <> 'I') n "
            f"ON {self.same_key('l', 'n')} AND n._batch > l._batch WHERE l._op <> 'D'"
        )


_MODES: dict[str, type[Changes]] = {
    "full_replace": TableChanges,
    "snapshot_diff": TableChanges,
    "cursor": CursorChanges,
    "change_log": LogChanges,
    "append": AppendChanges,
}


def changes_of(
    load: Load,
    columns: Sequence[str],
    since: Mapping[str, int],
    good: str,
    derived: dict[str, str],
    history: Mapping[str, str],
    watched: Sequence[str],
    placed: bool,
    taken: type[Changes] | None = None,
) -> Changes:
    """The changes of a load's mode; `taken`: how its rows are taken, if not as a delivery like any other."""
    return (taken or _MODES[load.mode])(load, columns, since, good, derived, history, watched, placed)


def to_columns(width: int) -> list[str]:
    """The columns of table `corrected` that hold the key of a correction."""
    return [f"_to_{place}" for place in range(width)]
