"""Escalation: an issue whose deadline is over becomes an issue of the operator too, until it is closed.

Belongs here: finding what is late, and saying so. Does not belong here: deadlines themselves (feedback.due).
"""

from datetime import date

import sqlalchemy as sa

from pipelines.contracts.forms.city import CityForm
from pipelines.issues import Finding, Issues
from pipelines.issues.feedback import DUTIES, due
from pipelines.register import Register
from pipelines.register.tables import issue as issues

AREA = "overdue"


def escalate(register: Register, city: CityForm, today: date) -> int:
    """Make the operator's issues name exactly the open ones whose last day is over; returns how many that are."""
    areas = (*DUTIES, AREA)
    waiting = (issues.c.status == "open") & sa.or_(*(issues.c.code.startswith(f"{area}.") for area in areas))
    late: dict[str, list[Finding]] = {}
    for row in register.rows(sa.select(issues).where(waiting).order_by(issues.c.id)):
        found = late.setdefault(row["subject"], [])
        last = due(row, city)
        if last is not None and last.day < today:
            duty = DUTIES[row["code"].partition(".")[0]]
            about = {"number": row["id"], "owner": row["owner"], "day": last.day.isoformat()}
            found.append(Finding(f"{AREA}.{duty}", about, "warning", str(row["id"])))
    for subject, found in late.items():
        Issues(register).report(subject, city.operator, AREA, found)
    return sum(map(len, late.values()))
