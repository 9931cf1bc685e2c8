"""What was planted between registers against what rules about two sources found: recall and precision of each kind.

A planted mistake is found if the rules of its source name it; of one whose counterpart was refused, or is not in force
by the contract, nothing is asked. What is named is right if anything was planted, in either
source, in a row with its key: a refused row leaves a gap that is to be told too.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from citylake.compared.rows import HARMLESS, place
from citylake.compared.scores import Score
from pipelines.contracts.forms.sources import ChangeLog
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.contracts.rules import Rule
from pipelines.evidence.across import Seen, failing
from pipelines.lake.zones import Lake
from simulator import DemoCity, Planted

KINDS = {"covers": "absent", "refers_to": "reference", "totals": "apart", "near_others": "outlying"}
"""What each rule verb is to find."""

Key = tuple[str, ...]


def compare(contracts: Contracts, lake: Lake, city: DemoCity, seen: Mapping[str, Seen]) -> Iterator[Score]:
    """One score for each rule of each source that was looked at. `seen`: what was found last, by source."""
    registers = _Registers(contracts, city)
    for source, found in seen.items():
        contract = contracts.sources[source]
        for rule in contract.across:
            if any(one.rule == rule.id for one in found.looked):
                yield _score(contract, contracts, lake, rule, found, registers)


def _score(
    contract: SourceContract, contracts: Contracts, lake: Lake, rule: Rule, found: Seen, registers: "_Registers"
) -> Score:
    other = contracts.sources[rule.arguments.get("of", contract.id)]
    mine = list(rule.arguments.get("columns") or rule.arguments.get("by") or contract.form.load.key)
    theirs = list(rule.arguments.get("their") or mine)
    names, rows = failing(contract, contracts, lake, rule, found)
    keyed = theirs if rule.verb == "covers" else mine
    places = [names.index(name) for name in keyed]
    told = [tuple(str(row[at]) for at in places) for row in rows]
    kind = KINDS[rule.verb]
    # details are summed in the other source: that is where what does not add up was planted
    where, columns = (other, theirs) if rule.verb == "totals" else (contract, mine)
    due = [registers.key(where, item, columns) for item in registers.planted(where) if item.kind == kind]
    if rule.verb in ("covers", "totals"):
        summary, by = (contract, mine) if rule.verb == "totals" else (other, theirs)
        due = registers.standing(summary, by, due, dict(rule.arguments.get("where", {})) if summary is other else {})
    causes = registers.touched(contract, mine) | registers.touched(other, theirs)
    named = set(told)
    return Score(kind, len(due), sum(key in named for key in due), len(told), sum(key in causes for key in told))


class _Registers:
    """The clean rows of registers and what was planted in them and not corrected since."""

    def __init__(self, contracts: Contracts, city: DemoCity) -> None:
        self._city = city
        self._by_place: dict[str, list[Planted]] = defaultdict(list)
        for item in city.planted():
            if item.ended is None and item.kind not in HARMLESS:
                self._by_place[item.dataset].append(item)
        self._rows: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def planted(self, source: SourceContract) -> Sequence[Planted]:
        """What was planted in a source; nothing in one that comes with the contracts."""
        return [] if source.connector.verb == "reference" else self._by_place[place(source)]

    def key(self, source: SourceContract, item: Planted, columns: Sequence[str]) -> Key:
        """What the row of a mistake says in these columns, as delivered."""
        physical = {column.name: column.physical_name for column in source.all_columns}
        row = self._row(source, item.rybh)
        names = [physical[name] for name in columns]
        return tuple(str(item.shown if name == item.column else row.get(name)) for name in names)

    def touched(self, source: SourceContract, columns: Sequence[str]) -> set[Key]:
        """The keys of all rows in which anything was planted, as delivered and as they should be, and of those that the
        register itself took back: what is missing with them is missing in truth."""
        physical = {column.name: column.physical_name for column in source.all_columns}
        found = set[Key]()
        for item in self.planted(source):
            row = self._row(source, item.rybh)
            found |= {self.key(source, item, columns), tuple(str(row.get(physical[name])) for name in columns)}
        load = source.form.load
        if isinstance(load, ChangeLog):
            rows = self._city.records(place(source))
            gone = (row for row in rows if row[physical[load.operation]] == "D")
            found |= {tuple(str(row[physical[name]]) for name in columns) for row in gone}
        return found

    def standing(
        self, source: SourceContract, columns: Sequence[str], keys: Sequence[Key], where: Mapping[str, Sequence[str]]
    ) -> list[Key]:
        """Those keys whose row of a register was not refused and is one of `where`; they are its record numbers."""
        if not keys:
            return []
        assert list(source.form.load.key) == list(columns), source.id
        physical = {column.name: column.physical_name for column in source.all_columns}
        refused = {item.rybh for item in self.planted(source) if item.refusable and item.kind != "duplicate"}
        numbers = [" ".join(key) for key in keys]
        rows = self._city.records_of(place(source), numbers)
        return [
            key
            for key, number in zip(keys, numbers, strict=True)
            if number in rows
            and number not in refused
            and all(rows[number].get(physical[name]) in values for name, values in where.items())
        ]

    def _row(self, source: SourceContract, number: str) -> Mapping[str, Any]:
        dataset = place(source)
        if dataset not in self._rows:
            known = {item.rybh for item in self._by_place[dataset]}
            self._rows[dataset] = self._city.records_of(dataset, known)
        return self._rows[dataset].get(number, {})
