"""Faults of whole deliveries: which there are, what a correct engine finds of each, and the ledger of those committed.

How a table or a file looks under a fault is in `faults` and `file_faults`, which fault is committed where and when in
`drill`. Mistakes in single rows are in `dirt` and `mistakes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from simulator.schema import Connection

NEW_COLUMN, MISSING_COLUMN, RENAMED_COLUMN = "new_column", "missing_column", "renamed_column"
RETYPED_COLUMN, NEW_CODE, GARBLED, FILE_ENCODING = "retyped_column", "new_code", "garbled", "file_encoding"
OTHER_UNIT, SURGE, HALF, VANISHED = "other_unit", "surge", "half", "vanished"
SAME_FILE, REPLAYED, HELD_BACK = "same_file", "replayed", "held_back"
CODES_EXCHANGED, UNIT_DOUBLED, TOO_LATE = "codes_exchanged", "unit_doubled", "too_late"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a correct engine makes of a fault: the codes of the findings that must come (none: it takes the delivery as
    if nothing had been wrong), those that may come as well, and whether no engine can tell."""

    expected: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    undetectable: bool = False


_HELD, _FLOOR, _CEILING, _VOLUME = "admit.drift", "admit.volume_floor", "admit.deletion_ceiling", "drift.volume"
_MIX = "drift.mix"
KINDS: dict[str, Kind] = {
    NEW_COLUMN: Kind(("drift.new_column",)),
    MISSING_COLUMN: Kind(("pull.columns_missing",)),
    RENAMED_COLUMN: Kind(("pull.columns_missing", "drift.renamed")),
    RETYPED_COLUMN: Kind(("drift.retyped",)),
    NEW_CODE: Kind(("drift.codes",)),
    GARBLED: Kind(("drift.encoding", _HELD)),
    FILE_ENCODING: Kind(("format.encoding",)),
    OTHER_UNIT: Kind(("drift.units", _HELD)),
    SURGE: Kind((_VOLUME,)),
    HALF: Kind((_FLOOR,), (_CEILING, _VOLUME)),
    VANISHED: Kind((_CEILING,)),
    SAME_FILE: Kind(),
    REPLAYED: Kind(),
    HELD_BACK: Kind(),
    # Every value is still one of the list, every amount a likely one: only how often they come is another.
    CODES_EXCHANGED: Kind((_MIX,)),
    UNIT_DOUBLED: Kind((_MIX,)),
    # Nobody sees what never comes.
    TOO_LATE: Kind(undetectable=True),
}
"""All faults of whole deliveries."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to commit. `dataset` and `column`: as the source calls them; the column as it is called when nothing is
    wrong. `value`: the new name, code, encoding or factor, of exchanged codes both with a space between. `share`: of
    the records, drawn by `seed`. `keys`: of the rows concerned, found when it is committed."""

    kind: str
    dataset: str
    column: str | None = None
    value: str | None = None
    share: float = 1.0
    seed: int = 0
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """A fault that was committed: seen in deliveries from `day` on, and no longer on the day `ended`."""

    day: date
    fault: Fault
    ended: date | None = None

    @property
    def kind(self) -> Kind:
        """What a correct engine makes of it."""
        return KINDS[self.fault.kind]

    def seen_on(self, day: date) -> bool:
        """Whether a delivery of that day shows it."""
        return self.day <= day and (self.ended is None or day < self.ended)


_COLUMNS = 'kind, dataset, "column", value, share, seed, keys'


def record(truth: Connection, day: date, fault: Fault) -> None:
    """Enter a fault into the ledger."""
    values = [fault.kind, fault.dataset, fault.column, fault.value, fault.share, fault.seed, list(fault.keys)]
    truth.execute(
        f"INSERT INTO truth.fault (day, {_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)".encode(), [day, *values]
    )


def end(truth: Connection, day: date, dataset: str) -> None:
    """Note that a dataset is delivered rightly again."""
    truth.execute("UPDATE truth.fault SET ended = %s WHERE ended IS NULL AND dataset = %s", [day, dataset])


def committed(truth: Connection) -> list[PlantedFault]:
    """The ledger, in order."""
    rows = truth.execute(f"SELECT day, ended, {_COLUMNS} FROM truth.fault ORDER BY number".encode())
    return [PlantedFault(day, Fault(*rest[:-1], keys=tuple(rest[-1])), ended) for day, ended, *rest in rows]


def lasting(truth: Connection, dataset: str) -> list[Fault]:
    """The faults of a dataset that have not ended."""
    return [one.fault for one in committed(truth) if one.ended is None and one.fault.dataset == dataset]
