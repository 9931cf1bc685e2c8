"""The terms under which data ends without anybody looking: period, way of loading, how far the period reaches today.

A contract edited by mistake (6m for 6y), a table that is said to be a log of events, or a clock that is years ahead
would have the daily job end what must stay. So it ends only under terms that it has met before, moved on by no more
than the days of a month; for others a steward's word is needed. What stood last is in the receipt of the last time.
"""

from collections.abc import Mapping
from datetime import date, timedelta

from pipelines.contracts.load import Contracts
from pipelines.register.receipts import Receipts, Stage
from pipelines.retention.period import horizon

SUBJECT = "retention"
"""Whose receipts say the terms of all datasets."""
LEAP = timedelta(31)

Terms = tuple[str, str, str | None]
"""Period, load mode (empty for a model), and the newest day that is due (ISO, None: nothing ever is)."""


def of(contracts: Contracts, today: date) -> dict[str, Terms]:
    """The terms of every source and model on a day of the city."""
    modes = {name: (source.form, source.form.load.mode) for name, source in contracts.sources.items()}
    forms = modes | {name: (model.form, "") for name, model in contracts.models.items()}
    found = {}
    for name, (form, mode) in forms.items():
        until = horizon(today, form.slaProperties.retention)
        found[name] = (form.slaProperties.retention, mode, until.isoformat() if until else None)
    return found


def stood(receipts: Receipts) -> dict[str, Terms]:
    """The terms that were in force the last time anything could end."""
    last = receipts.last(Stage.RETENTION, SUBJECT)
    return {name: (period, mode, until) for name, (period, mode, until) in last.body.items()} if last else {}


def stand(receipts: Receipts, terms: Mapping[str, Terms]) -> None:
    """Keep the terms that are in force from now on."""
    receipts.add(Stage.RETENTION, SUBJECT, {name: list(one) for name, one in terms.items()})


def changed(now: Mapping[str, Terms], before: Mapping[str, Terms]) -> set[str]:
    """The datasets whose terms are others than before; not those that had none."""
    return {name for name in now.keys() & before.keys() if _differ(now[name], before[name])}


def _differ(now: Terms, before: Terms) -> bool:
    if now[:2] != before[:2] or now[2] is None or before[2] is None:
        return now != before
    return date.fromisoformat(now[2]) - date.fromisoformat(before[2]) > LEAP
