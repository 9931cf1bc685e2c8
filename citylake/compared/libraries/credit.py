"""Decisions on credit field by field, what the public sees, and scores, against the clean records of their offices.

Scores are computed again here from what is truly in force, by the published weights and nothing of the models.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from citylake.compared.libraries.answers import UNEXPLAINED, Answers, Planted, answers
from citylake.compared.libraries.entities import ENTITY, Entities
from citylake.compared.libraries.told import Libraries, Row, clean
from simulator.firms import ACTIVE, SELF_EMPLOYED

PERMIT, PENALTY, LISTING, COMMITMENT = "drc/permit", "drc/penalty", "drc/credit_list", "drc/credit_commitment"
REPAIR = "drc/credit_repair"
PUBLIC = (
    "lib_geography__division", ENTITY, "lib_credit__permit", "lib_credit__penalty", "lib_credit__listing",
    "lib_credit__permit_public", "lib_credit__penalty_public", "lib_credit__listing_public",
)  # fmt: skip
"""What the public sees, and what it is made of."""
MODELS = (
    *PUBLIC, "lib_credit__commitment", "lib_credit__repair", "lib_credit__score_event", "lib_credit__score_part",
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
SOLE_TRADER = "92"
"""The first two characters of the code of one."""


@dataclass(frozen=True)
class Fields:
    """Of one table: decisions there truly are and how many the library has, cells of these and how many are wrong, by
    column."""

    true: int
    known: int
    cells: int
    wrong: Mapping[str, int]


def fields(libraries: Libraries, source: str) -> Fields:
    """Every column that the library takes from its source as it is."""
    model, key = LIBRARY[source]
    true = {row[key]: row for row in clean(libraries, source)}
    told = {column.name for column in libraries.contracts.sources[source].columns} - {"source_updated_at", key}
    columns = [column.name for column in libraries.contracts.models[model].columns if column.name in told]
    rows = {row[0]: row[1:] for row in libraries.rows(model, ", ".join([key, *columns]))}
    wrong: Counter[str] = Counter()
    for number in true.keys() & rows.keys():
        for name, value in zip(columns, rows[number], strict=True):
            wrong[name] += (float(value) if hasattr(value, "quantize") else value) != true[number][name]
    known = len(true.keys() & rows.keys())
    return Fields(len(true), known, known * len(columns), {name: count for name, count in wrong.items() if count})


def public(libraries: Libraries, day: date) -> dict[str, Answers]:
    """By source: which records the public sees as of a day, and about whom. Of legal persons of the registers that are
    no sole traders, valid, and until publicity ends."""
    entities, planted = Entities(libraries), Planted(libraries)
    known, found, records = legal_persons(entities), {}, Records(libraries, day)
    for source, rows in (
        (PERMIT, records.valid(PERMIT)),
        (PENALTY, records.in_publicity()),
        (LISTING, records.listed()),
    ):
        model, key = LIBRARY[source]
        true = {row[key]: row["uscc"] for row in rows if row["subject_category"] == "1" and row["uscc"] in known}
        said = dict(libraries.rows(f"{model}_public", f"{key}, uscc"))
        subjects = {row[key]: row["uscc"] for row in records.of(source)}

        def why(number: str, source: str = source, subjects: Mapping[str, str | None] = subjects) -> str:
            own = planted.of(source, number) or records.repair_of(number, planted)
            subject = subjects.get(number)
            return own or (UNEXPLAINED if subject is None else entities.why(subject))

        found[source] = answers(true, said, why)
    return found


def legal_persons(entities: Entities) -> dict[str, Row]:
    """Whom registers truly know, but for sole traders: their names are persons' names."""
    return {
        uscc: row
        for uscc, row in entities.true.items()
        if row["entity_type"] != SELF_EMPLOYED and uscc[:2] != SOLE_TRADER
    }


class Records:
    """The clean records as of a day; with `accepted` only those of which a library has the row."""

    def __init__(self, libraries: Libraries, day: date, accepted: bool = False) -> None:
        self._today = day
        path = libraries.contracts.root / "reference" / "penalty_publicity.csv"
        rows = csv.DictReader(path.read_text("utf-8").splitlines())
        self._years = {row["penalty_category"]: int(row["publicity_years"]) for row in rows}
        self._rows = {source: clean(libraries, source) for source in LIBRARY}
        if accepted:
            for source, (model, key) in LIBRARY.items():
                known = {number for (number,) in libraries.rows(model, key)}
                self._rows[source] = [row for row in self._rows[source] if row[key] in known]

    def of(self, source: str) -> list[dict[str, Any]]:
        """All records of a source."""
        return self._rows[source]

    def repair_of(self, number: str, planted: Planted) -> str | None:
        """What is wrong with the row of a repair of a record."""
        mine = (row["repair_no"] for row in self._rows[REPAIR] if row["repaired_record_no"] == number)
        return next((wrong for one in mine if (wrong := planted.of(REPAIR, one))), None)

    def valid(self, source: str) -> list[dict[str, Any]]:
        """Decisions that were not taken back."""
        return [row for row in self._rows[source] if row["document_status"] == "1"]

    def in_publicity(self) -> list[dict[str, Any]]:
        """Penalties until publicity ends, or the longest time for those without an end, or a granted repair ends it."""
        withdrawn, today = self._withdrawn("1"), self._today
        return [
            row
            for row in self.valid(PENALTY)
            if (row["publicity_end"] or self._longest(row)) >= today < withdrawn.get(row["credit_record_no"], date.max)
        ]

    def listed(self) -> list[dict[str, Any]]:
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
            yield "fine_minor" if _is_minor(row) else "fine_major", row["uscc"], row["decided_on"]
        for row in self.listed():
            kind = row["list_type"]
            factor = "honour" if kind == "9" else "list_minor" if kind in ("3", "6") else "list_serious"
            yield factor, row["uscc"], row["listed_on"]
        for row in self._rows[COMMITMENT]:
            if row["commitment_status"] in ("1", "2"):
                yield "kept" if row["commitment_status"] == "1" else "broken", row["uscc"], row["checked_on"]

    def _longest(self, row: Row) -> date:
        day: date = row["decided_on"]
        leap = (day.month, day.day) == (2, 29)
        return day.replace(year=day.year + self._years[row["penalty_category"]], day=28 if leap else day.day)

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
    """Legal persons in business: how many there truly are and how many the library scores. Of these `right` have the
    score of all that truly is, `exact` that of the records the library has; `apart`: by how many points the others are
    off that."""

    true: int
    scored: int
    right: int
    exact: int
    apart: Mapping[float, int]


def scores(libraries: Libraries) -> Scores:
    """Every score computed again."""
    entities, today = Entities(libraries), libraries.today
    true = _computed(libraries, entities, Records(libraries, today))
    known = _computed(libraries, entities, Records(libraries, today, accepted=True))
    said = {uscc: float(score) for uscc, score in libraries.rows("lib_credit__score", "uscc, score")}
    off = Counter(said[uscc] - known[uscc] for uscc in known.keys() & said.keys())
    right = sum(said[uscc] == true[uscc] for uscc in true.keys() & said.keys())
    return Scores(len(true), off.total(), right, off.pop(0.0, 0), dict(off))


def _computed(libraries: Libraries, entities: Entities, records: Records) -> dict[str, float]:
    path = libraries.contracts.root / "reference" / "credit_weights.csv"
    weights = {row["factor_code"]: row for row in csv.DictReader(path.read_text("utf-8").splitlines())}
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    for factor, uscc, day in records.events():
        years = libraries.today.year - day.year - ((libraries.today.month, libraries.today.day) < (day.month, day.day))
        if day <= libraries.today and years < int(weights[factor]["window_years"]):
            counts[uscc][factor] += 1
    return {
        uscc: float(weights["base"]["points_each"]) + sum(_points(weights[one], n) for one, n in counts[uscc].items())
        for uscc, row in legal_persons(entities).items()
        if row["entity_status"] == ACTIVE
    }


def _is_minor(penalty: Row) -> bool:
    """Whether a penalty only warns, or takes less than 5000 yuan."""
    kinds = {penalty["penalty_category"], penalty["penalty_category_2"]} - {None}
    taken = [amount for name in ("fine_amount", "confiscated_amount") if (amount := penalty[name]) is not None]
    return kinds <= {"1", "2"} and (sum(taken) < 0.5 if taken else kinds == {"1"})


def _points(weight: Mapping[str, str], count: int) -> float:
    limit = float(weight["points_limit"])
    return max(-limit, min(limit, count * float(weight["points_each"])))
