"""The reports of a month that is over, made once and kept: files of the home, their hashes in the ledger.

Of the city and of every department that delivers or owns data. A month's row stays its only one, whatever is found out
later.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from catalog.reporting import forms, quality
from catalog.reporting.facts import scope_of
from pipelines.contracts.load import Contracts
from pipelines.evidence import days
from pipelines.failures import Failures
from pipelines.lake.checksums import checksums, differing, named
from pipelines.lake.rewrite import replace_file
from pipelines.register import Register
from pipelines.release.ledger import REPORT, Entry, Ledger, Recorded
from pipelines.run import REPORTS
from pipelines.settings import Settings


def month_before(moment: datetime, zone: ZoneInfo) -> str:
    """The last month that is over at a moment, as 2026-10."""
    return f"{moment.astimezone(zone).replace(day=1) - timedelta(days=1):%Y-%m}"


def keep(settings: Settings, contracts: Contracts, register: Register, month: str, who: str) -> Recorded | None:
    """Make and keep the reports of a month; the ledger's row, None if the month has one. Called under the run lock."""
    ledger, subject = Ledger(register), f"report/{month}"
    if ledger.history(subject, 1):
        return None
    folder = settings.reports / month
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files: list[dict[str, Any]] = []
    for department in (None, *sorted({*days.owners(contracts).values()})):
        document = quality.report(contracts, register, month, organisation=department, url=settings.url)
        name = f"{quality.file_name(month, scope_of(contracts, organisation=department))}.pdf"
        partial = folder / f".{name}.partial"
        forms.write(document, "pdf", partial)
        replace_file(partial, folder / name)  # before the ledger says its hash: the month gets no other row
        files.append({"name": name, "size": (folder / name).stat().st_size, **checksums(folder / name)})
    (row,) = ledger.record([Entry(REPORT, subject, month, None, {"who": who, "files": files})])
    return row


def lacking(contracts: Contracts, register: Register, moment: datetime) -> list[str]:
    """The months that are over at a moment and have no reports, from the first that was measured on, in order."""
    first, last = days.first_day(register), month_before(moment, ZoneInfo(contracts.city.timezone))
    made = {row.edition for row in Ledger(register).of_kind(REPORT)}
    found, month = list[str](), f"{first:%Y-%m}" if first else "9999-12"
    while month <= last:
        found += [month] if month not in made else []
        month = f"{date.fromisoformat(f'{month}-01') + timedelta(days=31):%Y-%m}"
    return found


def make_up(
    settings: Settings, contracts: Contracts, register: Register, failures: Failures, moment: datetime, who: str
) -> list[Recorded]:
    """Keep the reports of every month that lacks them; the ledger's rows. A month that fails is an issue of the
    operator and lacks them until the next time, the others are made. Called under the run lock."""
    found, failed = list[Recorded](), False
    for month in lacking(contracts, register, moment):
        try:
            row = keep(settings, contracts, register, month, who)
        except Exception as error:
            failures.add(REPORTS, contracts.city.operator, error)
            failed = True
            continue
        found += [row] if row else []
    if not failed:
        failures.gone(REPORTS, contracts.city.operator, "run", "lake", "report")
    return found


def different(settings: Settings, ledger: Ledger) -> Iterator[Path]:
    """The kept files that are gone or not what the ledger says."""
    for row in ledger.of_kind(REPORT):
        for said in row.body["files"]:
            file = settings.reports / row.edition / said["name"]
            if differing(file, named(said)):
                yield file
