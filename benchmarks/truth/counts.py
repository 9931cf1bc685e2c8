"""Counts by town and day against statistics that the simulator publishes from its truth, not from delivered rows."""

from dataclasses import dataclass

from benchmarks.truth.town import LivedTown
from citylake.compared.libraries import persons
from simulator.standing import registered_by_town, residents_by_town

TOWN_DAY, RECONCILIATION = "mart_population__town_day", "mart_population__reconciliation"
MODELS = (*persons.MODELS, TOWN_DAY, RECONCILIATION)
LIVING = ("1", "2", "3")
"""Residence status of who is counted where they are registered, or live."""


@dataclass(frozen=True)
class Counts:
    """Persons by town and residence status: how many there truly are, and by how many the library has too few and too
    many, added up town by town, so that what lacks in one is not made good by another. `reported`: towns of which the
    household office's report of the day was accepted, of all `towns`; `apart`: those in which it says another number of
    registered people than there are."""

    true: int
    few: int
    many: int
    towns: int
    reported: int
    apart: tuple[str, ...]


def counts(town: LivedTown) -> Counts:
    """Of a town that was built last as of its day."""
    true = residents_by_town(town.city)
    rows = town.rows(TOWN_DAY, "town_code, residence_status, persons", f"residence_status in {LIVING}")
    said = {(code, status): persons for code, status, persons in rows}
    gaps = [true[key] - said.get(key, 0) for key in true.keys() | said.keys()]
    published = registered_by_town(town.city)
    day = town.today.isoformat()
    reports = dict(town.rows(RECONCILIATION, "town_code, registered_persons", f"report_day = DATE '{day}'"))
    apart = tuple(sorted(code for code, persons in reports.items() if persons != published[code]))
    few, many = sum(gap for gap in gaps if gap > 0), -sum(gap for gap in gaps if gap < 0)
    return Counts(true.total(), few, many, len(published), len(reports), apart)
