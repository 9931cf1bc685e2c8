"""Refused rows that wait for a correction: one line for a row, however often the source delivered it.

A line is told by the content of its row. It is open until a correction was accepted, or until the source itself said
something that counts instead: of a whole table the next delivery without it, else a good row with the same key that is
not older. What a correction of a whole table is worth ends with a delivery (see `answers`): if that has the row still,
its line is open again. Read from quarantine, core and receipts only; correcting rows belongs to `receive`, showing them
to others.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipelines.admission import answers
from pipelines.admission.changes import CHANGED
from pipelines.admission.compile import ERASED_ROW
from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.drop_batch import FILE
from pipelines.contracts.forms.sources import Append, Load, WholeTable, newest
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.engine import connect
from pipelines.lake import delta
from pipelines.lake.zones import Lake
from pipelines.register.receipts import REPLAY, Receipts, Stage

DELIVERIES = 10_000
"""How many deliveries of a table are looked at for the one that no longer had a row."""
PER_RULE = "SELECT unnest(string_split(rules, ',')) AS rule, * EXCLUDE (rules) FROM line"


@dataclass(frozen=True)
class Line:
    """One refused row: where it was delivered first, and how it stands.

    `first`, `last` (text, by the city's clocks) and `times` count the deliveries with it. `rules` and `values` (text by
    physical column, as delivered) are those of the last correction that was refused too, if there was one. `unread`:
    the text of a row that could not be taken apart; `file`: its file, where a batch is made of several.
    """

    batch: int
    row: int
    first: str
    last: str
    times: int
    rules: str
    values: dict[str, str | None]
    unread: str | None
    file: str | None


@dataclass(frozen=True)
class RuleCount:
    """How many open rows one rule refused, and when they came first and last, by the city's clocks."""

    rule: str
    rows: int
    first: str
    last: str
    times: int


class Quarantine:
    """The refused rows of one source as they stand now. Use it in a `with`."""

    def __init__(self, contract: SourceContract, contracts: Contracts, lake: Lake, receipts: Receipts) -> None:
        self.contract, self.contracts, self.lake, self.receipts = contract, contracts, lake, receipts
        self.physical = [column.physical_name for column in contract.columns]
        self.con = connect(lake.scratch())
        self._read()

    def lines(self) -> list[Line]:
        """The open lines in the order in which they came first."""
        query = (
            "SELECT first.b, first.r, since, until, times, rules, said, file FROM line WHERE settled IS NULL "
            "ORDER BY first.b, first.r"
        )
        return [self._line(*row) for row in self.con.execute(query).fetchall()]

    def positions(self) -> set[tuple[int, int]]:
        """Batch and row of every open line."""
        return set(self.con.execute("SELECT first.b, first.r FROM line WHERE settled IS NULL").fetchall())

    def counts(self) -> list[RuleCount]:
        """The open lines by rule; a row may fail several. No values of rows."""
        query = (
            f"SELECT rule, count(*), min(since), max(until), max(times) FROM ({PER_RULE}) "
            "WHERE settled IS NULL GROUP BY rule ORDER BY rule"
        )
        return [RuleCount(*row) for row in self.con.execute(query).fetchall()]

    def by_rule(self) -> Counter[str]:
        """How many open lines each rule refused."""
        return Counter({count.rule: count.rows for count in self.counts()})

    def settled(self) -> dict[str, set[int]]:
        """Of every rule the batches that brought an accepted row for one that it had refused."""
        rules = "SELECT unnest(string_split(ever, ',')) AS rule, settled FROM line WHERE settled IS NOT NULL"
        found: dict[str, set[int]] = {}
        for rule, batch in self.con.execute(f"SELECT DISTINCT rule, settled FROM ({rules})").fetchall():
            found.setdefault(rule, set()).add(batch)
        return found

    def corrected(self) -> list[tuple[int, int]]:
        """Batch and row of every delivered row for which an accepted correction stands."""
        query = "SELECT m._batch, m._row FROM member m JOIN line l USING (texts) WHERE l.accepted IS NOT NULL"
        return self.con.execute(query).fetchall()

    def named(self, column: str) -> list[str]:
        """What the open lines say in a column, as admission reads it; nothing of those that say nothing there."""
        decoded, name = answers.decoded(self.contract, self.contracts, "own"), identifier(column)
        query = (
            f"SELECT DISTINCT CAST(d.{name} AS VARCHAR) AS named FROM ({decoded}) d JOIN own o ON o.id = d._row "
            f"JOIN line l ON l.texts = o.texts WHERE l.settled IS NULL AND d.{name} IS NOT NULL ORDER BY named"
        )
        return [value for (value,) in self.con.execute(query).fetchall()]

    def _line(
        self, batch: int, row: int, first: str, last: str, times: int, rules: str, texts: Sequence[str], file: str
    ) -> Line:
        values: dict[str, str | None] = dict(zip(self.physical, texts, strict=False))
        return Line(batch, row, first, last, times, rules, values, texts[-1], file)

    def _read(self) -> None:
        """Tables `refused` (a row each time it was refused), `attempt` (corrections) and `line`."""
        self._read_refused()
        self._read_attempts()
        position = "{'b': _batch, 'r': _row}"
        at = f"strftime(timezone({literal(self.contracts.city.timezone)}, {{}}), '%Y-%m-%d %H:%M')"
        replays = ", ".join(str(pull.batch) for pull in self.receipts.pulls(self.contract.id, REPLAY)) or "-1"
        self.con.execute("CREATE TABLE member AS SELECT * FROM refused WHERE _batch NOT IN (SELECT batch FROM attempt)")
        self.con.execute(
            f"CREATE TABLE own AS SELECT texts, min({position}) AS first, max({position}) AS newest, "
            f"{at.format('min(_known_at)')} AS since, {at.format('max(_known_at)')} AS until, "
            f"greatest(count(DISTINCT _batch) FILTER (WHERE _batch NOT IN ({replays})), 1) AS times, "
            f"arg_max(rules, {position}) AS rules, string_agg(DISTINCT rules, ',') AS ever, "
            f"arg_min(file, {position}) AS file, row_number() OVER () AS id FROM member GROUP BY texts"
        )
        self.con.execute(
            "CREATE TABLE tried AS SELECT m.texts, "
            "min(a.batch) FILTER (WHERE r._row IS NULL AND NOT a.ended) AS accepted, "
            "arg_max(r.rules, a.batch) AS rules, arg_max(r.texts, a.batch) AS said, "
            "string_agg(DISTINCT r.rules, ',') AS ever "
            "FROM attempt a JOIN member m ON (m._batch, m._row) = (a.of_batch, a.of_row) "
            "LEFT JOIN refused r ON (r._batch, r._row) = (a.batch, a.row) GROUP BY m.texts"
        )
        self._read_overtaken()
        self.con.execute(
            "CREATE TABLE line AS SELECT o.first, o.since, o.until, o.times, o.file, o.texts, "
            "coalesce(t.said, o.texts) AS said, coalesce(t.rules, o.rules) AS rules, "
            "concat_ws(',', o.ever, t.ever) AS ever, t.accepted, coalesce(t.accepted, v.batch) AS settled "
            "FROM own o LEFT JOIN tried t ON t.texts = o.texts LEFT JOIN overtaken v ON v.id = o.id"
        )

    def _read_refused(self) -> None:
        location = self.lake.quarantine(self.contract.org, self.contract.dataset)
        texts = "CAST(NULL AS VARCHAR[]) AS texts, CAST(NULL AS VARCHAR) AS file"
        if delta.latest(location) is None:
            nothing = "NULL::BIGINT AS _batch, NULL::BIGINT AS _row, NULL::TIMESTAMPTZ AS _known_at, '' AS rules"
            self.con.execute(f"CREATE TABLE refused AS SELECT {nothing}, {texts} WHERE false")
            return
        left_out = ", ".join(map(str, answers.not_admitted(self.receipts, self.contract.id))) or "-1"
        self.con.execute(
            f"CREATE TABLE refused AS SELECT _batch, _row, _known_at, rules, {answers.told(self.contract)} AS texts, "
            f"json_extract_string(delivered, {literal(answers.pointer(FILE))}) AS file "
            f"FROM {delta.scan(delta.open_table(location)).source} WHERE _batch NOT IN ({left_out}) "
            f"AND rules <> {literal(ERASED_ROW)}"  # nobody waits for a correction of these
        )

    def _read_attempts(self) -> None:
        """Corrections that were judged: row `row` of batch `batch` answers row `of_row` of batch `of_batch`; `ended`:
        a later delivery of the table put an end to it."""
        judged, ended = answers.judged(self.receipts, self.contract.id), set[tuple[int, int]]()
        if isinstance(self.contract.form.load, WholeTable):
            ended = answers.ended(self.receipts, self.contract.id)
        over = pa.array(((one.batch, one.row) in ended for one in judged), pa.bool_())
        self.con.register("answers", answers.table(judged).append_column("ended", over))
        self.con.execute("CREATE TABLE attempt AS SELECT * FROM answers")

    def _read_overtaken(self) -> None:
        """Table `overtaken`: the lines for which the source itself said something that counts, and in which batch."""
        load, core = self.contract.form.load, self.lake.core(self.contract.org, self.contract.dataset)
        if isinstance(load, WholeTable):
            deliveries = self.receipts.deliveries_admitted(self.contract.id, DELIVERIES)
            batches = [delivery.batch for delivery in deliveries]
            self.con.execute(
                "CREATE TABLE overtaken AS SELECT o.id, min(d.batch) AS batch FROM own o "
                "JOIN (SELECT unnest(?::BIGINT[]) AS batch) d ON d.batch > o.newest.b GROUP BY o.id",
                [batches],
            )
            return
        last = self.receipts.last(Stage.ADMIT, self.contract.id)
        if last is None or last.body["core_version"] is None:
            self.con.execute("CREATE TABLE overtaken AS SELECT id, 0::BIGINT AS batch FROM own WHERE false")
            return
        known = delta.scan(delta.open_table(core, last.body["core_version"]))
        same_key = " AND ".join(f"k.{name} = d.{name}" for name in map(identifier, load.key))
        decoded = answers.decoded(self.contract, self.contracts, "own")
        self.con.execute(
            f"CREATE TABLE overtaken AS SELECT o.id, min(k._batch) AS batch FROM own o "
            f"JOIN ({decoded}) d ON d._row = o.id JOIN {known.source} k ON {same_key} "
            f"WHERE {_counts_instead(load)} GROUP BY o.id"
        )

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(self, *_: object) -> None:
        self.con.close()


def row_id(source: str, batch: int, row: int) -> str:
    """The name of a refused row in a file that leaves the house: a mistyped or filled-down one is no other row's."""
    check = hashlib.sha256(f"{source} {batch} {row}".encode()).hexdigest()[:6]
    return f"B{batch}R{row}-{check}"


def _counts_instead(load: Load) -> str:
    """That row `k` of core counts instead of the refused row `d` of line `o`."""
    if isinstance(load, Append):  # an event is told once; told again, the first telling counts
        # but who contradicted another telling still does when a replay read that one anew
        return f"k._batch > CASE WHEN contains(o.rules, {literal(CHANGED)}) THEN o.newest.b ELSE o.first.b END"
    order = newest(load)
    later = f"k._batch > o.newest.b AND coalesce({_beyond(order, '>=')}, true)"
    return f"{_beyond(order, '>')} OR ({later})"


def _beyond(order: Sequence[str], sign: str) -> str:
    """That the place of `k` is above that of `d`, the first column deciding; `sign` compares the last."""
    first, *rest = order
    name = identifier(first)
    if not rest:
        return f"k.{name} {sign} d.{name}"
    return f"(k.{name} > d.{name} OR (k.{name} = d.{name} AND {_beyond(rest, sign)}))"
