"""Decisions on credit field by field, what the public sees, and scores, against the clean records of their offices.

Scores are computed again here from what is truly in force, by the published weights and nothing of the models.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from benchmarks.truth.survival import named
from benchmarks.truth.town import LivedTown
from citylake.compared.rows import place

ENTITIES = "amr/enterprise"
PERMIT, PENALTY, LISTING, COMMITMENT = "drc/permit", "drc/penalty", "drc/credit_list", "drc/credit_commitment"
REPAIR = "drc/credit_repair"
MODELS = (
    "lib_geography__division", "lib_legal_entity__entity", "lib_credit__permit", "lib_credit__penalty",
    "lib_credit__listing", "lib_credit__commitment", "lib_credit__repair", "lib_credit__permit_public",
    "lib_credit__penalty_public", "lib_credit__listing_public", "lib_credit__score_event", "lib_credit__score_part",
    "lib_credit__score",
)  # fmt: skip
LIBRARY = {
    PERMIT: ("lib_credit__permit", "credit_record_no"),
    PENALTY: ("lib_credit__penalty", "credit_record_no"),
    LISTING: ("lib_credit__listing", "list_record_no"),
    COMMITMENT: ("lib_credit__commitment", "commitment_no"),
    REPAIR: ("lib_credit__repair", "repair_no"),
}
"""By source the model that has its records, and their key."""
SOLE_TRADER = "9500"
Row = dict[str, Any]


@dataclass(frozen=True)
class Fields:
    """Of one table: decisions there truly are and how many the library has, cells of these and how many are wrong, by
    column."""

    true: int
    known: int
    cells: int
    wrong: Mapping[str, int]


def fields(town: LivedTown, source: str) -> Fields:
    """Every column that the library takes from its source as it is."""
    model, key = LIBRARY[source]
    true = {row[key]: row for row in clean(town, source)}
    told = {column.name for column in town.contracts.sources[source].columns} - {"source_updated_at", key}
    columns = [column.name for column in town.contracts.models[model].columns if column.name in told]
    rows = {row[0]: row[1:] for row in town.rows(model, ", ".join([key, *columns]))}
    wrong: Counter[str] = Counter()
    for number in true.keys() & rows.keys():
        for name, value in zip(columns, rows[number], strict=True):
            wrong[name] += (float(value) if hasattr(value, "quantize") else value) != true[number][name]
    known = len(true.keys() & rows.keys())
    return Fields(len(true), known, known * len(columns), {name: count for name, count in wrong.items() if count})


def clean(town: LivedTown, source: str) -> list[Row]:
    """The clean records of a source by the names of its contract."""
    return [named(row, source, town.contracts) for row in town.city.records(place(town.contracts.sources[source]))]


@dataclass(frozen=True)
class Shown:
    """Of one public view: what should be in it on the day, what is, and what is and should not."""

    true: int
    shown: int
    wrongly: tuple[str, ...]


def public(town: LivedTown) -> dict[str, Shown]:
    """By source. Of legal persons of the register that are no sole traders, valid, and until publicity ends."""
    known, found, records = _companies(town), {}, Records(town)
    for source, rows in (
        (PERMIT, records.valid(PERMIT)),
        (PENALTY, records.in_publicity()),
        (LISTING, records.listed()),
    ):
        model, key = LIBRARY[source]
        true = {row[key] for row in rows if row["subject_category"] == "1" and row["uscc"] in known}
        shown = {number for (number,) in town.rows(f"{model}_public", key)}
        found[source] = Shown(len(true), len(shown), tuple(sorted(shown - true)))
    return found


def _companies(town: LivedTown) -> dict[str, Row]:
    rows = clean(town, ENTITIES)
    return {row["uscc"]: row for row in rows if row["entity_type"] != SOLE_TRADER and row["uscc"][:2] != "92"}


class Records:
    """The clean records that there are on the town's day; with `accepted` only those of which a library has the row."""

    def __init__(self, town: LivedTown, accepted: bool = False) -> None:
        self._today = town.today
        self._rows = {source: clean(town, source) for source in LIBRARY}
        if accepted:
            for source, (model, key) in LIBRARY.items():
                known = {number for (number,) in town.rows(model, key)}
                self._rows[source] = [row for row in self._rows[source] if row[key] in known]

    def valid(self, source: str) -> list[Row]:
        """Decisions that were not taken back."""
        return [row for row in self._rows[source] if row["document_status"] == "1"]

    def in_publicity(self) -> list[Row]:
        """Penalties until publicity ends, or a granted repair ends it."""
        withdrawn, today = self._withdrawn("1"), self._today
        return [
            row
            for row in self.valid(PENALTY)
            if (row["publicity_end"] or today) >= today < withdrawn.get(row["credit_record_no"], date.max)
        ]

    def listed(self) -> list[Row]:
        """Entries in lists until the subject is removed, or a granted repair ends it."""
        withdrawn, today = self._withdrawn("2"), self._today
        return [
            row
            for row in self._rows[LISTING]
            if today < (row["delisted_on"] or date.max) and today < withdrawn.get(row["list_record_no"], date.max)
        ]

    def events(self) -> Iterator[tuple[str, str | None, date]]:
        """What counts in a score: factor, subject, day."""
        for row in self.valid(PERMIT):
            yield "permit", row["uscc"], row["decided_on"]
        for row in self.in_publicity():
            category, fine = row["penalty_category"], row["fine_amount"]
            minor = category == "1" or (category == "2" and fine is not None and fine < 0.5)
            yield "fine_minor" if minor else "fine_major", row["uscc"], row["decided_on"]
        for row in self.listed():
            kind = row["list_type"]
            factor = "honour" if kind == "9" else "list_minor" if kind in ("3", "6") else "list_serious"
            yield factor, row["uscc"], row["listed_on"]
        for row in self._rows[COMMITMENT]:
            if row["commitment_status"] in ("1", "2"):
                yield "kept" if row["commitment_status"] == "1" else "broken", row["uscc"], row["checked_on"]

    def _withdrawn(self, target: str) -> dict[str, date]:
        """The first day on which a repaired record is no longer shown."""
        found: dict[str, date] = {}
        for row in self._rows[REPAIR]:
            day, number = row["withdrawn_on"], row["repaired_record_no"]
            if row["repair_target"] == target and row["repair_result"] == "1" and day is not None:
                found[number] = min(day, found.get(number, day))
        return found


@dataclass(frozen=True)
class Scores:
    """Companies in business: how many there truly are and how many the library scores. Of these `right` have the score
    of all that truly is, `exact` that of the records the library has; `apart`: by how many points the others are off
    that."""

    true: int
    scored: int
    right: int
    exact: int
    apart: Mapping[float, int]


def scores(town: LivedTown) -> Scores:
    """Every score computed again."""
    true, known = _computed(town, Records(town)), _computed(town, Records(town, accepted=True))
    said = {uscc: float(score) for uscc, score in town.rows("lib_credit__score", "uscc, score")}
    off = Counter(said[uscc] - known[uscc] for uscc in known.keys() & said.keys())
    right = sum(said[uscc] == true[uscc] for uscc in true.keys() & said.keys())
    return Scores(len(true), off.total(), right, off.pop(0.0, 0), dict(off))


def _computed(town: LivedTown, records: Records) -> dict[str, float]:
    path = town.contracts.root / "reference" / "credit_weights.csv"
    weights = {row["factor_code"]: row for row in csv.DictReader(path.read_text("utf-8").splitlines())}
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    for factor, uscc, day in records.events():
        years = town.today.year - day.year - ((town.today.month, town.today.day) < (day.month, day.day))
        if day <= town.today and years < int(weights[factor]["window_years"]):
            counts[uscc][factor] += 1
    return {
        uscc: float(weights["base"]["points_each"]) + sum(_points(weights[one], n) for one, n in counts[uscc].items())
        for uscc, row in _companies(town).items()
        if row["entity_status"] == "1"
    }


def _points(weight: Mapping[str, str], count: int) -> float:
    limit = float(weight["points_limit"])
    return max(-limit, min(limit, count * float(weight["points_each"])))
