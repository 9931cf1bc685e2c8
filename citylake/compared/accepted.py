"""What was planted in values that rules accept, against what libraries tell of them: values about which departments
disagree, licences that say otherwise than their own identifier, and decisions that were reported late.

A disagreement is to be told where both departments are heard: of a row that was refused nothing is asked. What is told
is right if anything was planted in a row of the same person, or of the same licence. Of decisions that were late
when the platform began nothing is asked.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from citylake.compared.libraries import credit
from citylake.compared.libraries.licences import LICENCE, LOG
from citylake.compared.libraries.persons import PERSON
from citylake.compared.libraries.told import Libraries, doubtful_numbers
from citylake.compared.rows import HARMLESS, REPORTED_LATE, delivered_until, place
from citylake.compared.scores import Score
from pipelines.contracts.load import SourceContract
from pipelines.contracts.rules import Context
from simulator import Planted
from simulator.credit_registers import TIME_TO_REPORT
from simulator.department import DATASET
from simulator.office_hours import working_days_later
from simulator.person import DAY_ZERO

CERTIFICATE, DISPUTED = "certificate", "disputed"
CONFLICT = "lib_population__conflict"
REPORTING = "lib_credit__reporting"
DECISIONS = {"1": credit.PERMIT, "2": credit.PENALTY}
"""By kind of decision the source that reports it."""
MODELS = (PERSON, CONFLICT, LICENCE, REPORTING, *(credit.LIBRARY[source][0] for source in DECISIONS.values()))
"""The models that are asked."""
FIELDS = ("sex", "birth_date", "died_on")
"""What departments are made to disagree about. Names and telephones differ without anybody's mistake."""
REGISTER, CREMATIONS = "psb/household_person", "cab/cremation"


def compare(libraries: Libraries) -> Iterator[Score]:
    """A score of what departments say otherwise, one of what identifiers do, one of late reports if there are any."""
    yield _disputed(libraries)
    yield _certificates(libraries)
    if reported := _reported(libraries):
        yield reported


def _disputed(libraries: Libraries) -> Score:
    people = libraries.rows(PERSON, "person_id, id_number, source_rows, death_kind")
    numbers = {person: number for person, number, *_ in people}
    heard = {number: _heard(json.loads(books), death_kind) for _, number, books, death_kind in people}
    conflicts = libraries.rows(
        CONFLICT, "person_id, conflict_field, source_kept, source_other", f"conflict_field IN {FIELDS}"
    )
    found = {(numbers[person], name, source) for person, name, *sources in conflicts for source in sources}
    doubtful = {*doubtful_numbers(libraries.city), None}
    due, causes = set(), set[str | None](doubtful)
    matrix = libraries.contracts.authority["population/person"]
    sources = {claim.source for field in FIELDS for claim in matrix[field]}
    for source in map(libraries.contracts.sources.__getitem__, sorted(sources)):
        for item, number in _about(libraries, source):
            causes |= {number, item.shown}
            cell = (number, _column(source, item), source.id)
            if item.kind == DISPUTED and number not in doubtful and source.id in heard.get(number, {}).get(cell[1], ()):
                due.add(cell)
    right = sum(numbers[person] in causes for person, *_ in conflicts)
    return Score(DISPUTED, len(due), len(due & found), len(conflicts), right)


def _heard(books: Mapping[str, str], death_kind: str | None) -> dict[str, Sequence[str]]:
    """By field the sources that a library has heard about a person. How somebody died the household office alone says,
    and it has the day as well; a cremation by itself disagrees with nobody."""
    both = death_kind is not None and CREMATIONS in books
    return {"sex": list(books), "birth_date": list(books), "died_on": (REGISTER, CREMATIONS) if both else ()}


def _about(libraries: Libraries, source: SourceContract) -> Iterator[tuple[Planted, str | None]]:
    """What is wrong with rows of a source about persons, each with the true number of the person."""
    planted = _planted(libraries, source)
    if place(source) == DATASET:
        numbers = {one.rybh: one.id_number for one in libraries.city.people()}
        yield from ((item, numbers[item.rybh]) for item in planted)
    else:
        (column,) = (one.physical_name for one in source.columns if one.name == "id_number")
        rows = libraries.city.records_of(place(source), {item.rybh for item in planted})
        yield from ((item, rows[item.rybh][column]) for item in planted if item.rybh in rows)


def _certificates(libraries: Libraries) -> Score:
    """Of each licence its last change counts that was accepted."""
    source = libraries.contracts.sources[LOG]
    (key, order, operation) = (
        next(one.physical_name for one in source.columns if one.name == name)
        for name in ("licence_identifier", "change_no", "operation")
    )
    planted = _planted(libraries, source)
    refused = {item.rybh for item in planted if item.refusable}
    last = {}
    for row in sorted(libraries.city.records(place(source)), key=lambda row: int(row[order] or 0)):
        if row[order] not in refused:
            last[row[key]] = row
    shown = {row[order]: number for number, row in last.items() if row[operation] != "D"}
    due = {
        (shown[item.rybh], _column(source, item)) for item in planted if item.kind == CERTIFICATE and item.rybh in shown
    }
    rules = [rule for rule in libraries.contracts.models[LICENCE].advice if rule.verb == "certificate_says"]
    told = {
        (number, rule.arguments["other"])
        for rule in rules
        for (number,) in libraries.rows(LICENCE, "licence_identifier", f"NOT ({rule.sql(Context({}, None))})")
    }
    return Score(CERTIFICATE, len(due), len(due & told), len(told), len(due & told))


def _reported(libraries: Libraries) -> Score | None:
    """A late report is told of for ever, whatever becomes of the decision. Of one that is not valid nothing is asked:
    it may have been withdrawn before it was first read."""
    planted = {
        (kind, item.rybh): date.fromisoformat(str(item.true))
        for kind, source in DECISIONS.items()
        for item in _delivered(libraries, libraries.contracts.sources[source])
        if item.kind == REPORTED_LATE
    }
    rows = libraries.rows(REPORTING, "decision_kind, credit_record_no, reporting_state = '2'")
    known, valid = {(kind, number) for kind, number, _ in rows}, set[tuple[str, str]]()
    for kind, source in DECISIONS.items():
        model, key = credit.LIBRARY[source]
        valid |= {(kind, number) for (number,) in libraries.rows(model, key, "document_status = '1'")}
    begun = {one for one, day in planted.items() if working_days_later(day, TIME_TO_REPORT) >= DAY_ZERO}
    due = begun & known & valid
    told = {(kind, number) for kind, number, late in rows if late}
    right = len(planted.keys() & told)
    return Score(REPORTED_LATE, len(due), len(due & told), len(told), right) if due or told else None


def _planted(libraries: Libraries, source: SourceContract) -> list[Planted]:
    """What is wrong with rows of a source that were delivered, and lasts."""
    return [item for item in _delivered(libraries, source) if item.ended is None and item.kind not in HARMLESS]


def _delivered(libraries: Libraries, source: SourceContract) -> list[Planted]:
    last = delivered_until(source, libraries.city)
    return [item for item in libraries.city.planted() if item.dataset == place(source) and item.day <= last]


def _column(source: SourceContract, item: Planted) -> str:
    return next((one.name for one in source.columns if one.physical_name == item.column), item.column)
