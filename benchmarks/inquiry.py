"""What a question to an audit of a million rows takes, by its kind, on SQLite: a page, and all rows as CSV.

Rows of a year, drawn: 69 applications of 40 recipients in 20 organisations, 60 products, levels 1 to 4 (4 is rare).
"""

import random
import resource
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.policy import inquiry
from catalog.policy.inquiry import Asked
from pipelines.register import Register, chain
from pipelines.register.tables import application, audit, recipient

ROWS = 1_000_000
ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 1, 1, tzinfo=UTC)
MAY = (date(2026, 5, 1), date(2026, 5, 31))
BODY = {"columns": ["person_ref", "name", "division_code"], "divisions": ["341502"], "purpose": "低保核对"}
QUESTIONS = {
    "level 4 of one application in May": Asked(*MAY, application="a7", level=4),
    "denials in May": Asked(*MAY, outcome="denied"),
    "one product in May by Delta Sharing": Asked(*MAY, product="sharing/p3", road="delta_sharing"),
    "one organisation": Asked(organisation="o3"),
    "one grant": Asked(grant=17),
    "a purpose that nobody has": Asked(purpose="无人"),
    "everything": Asked(),
}


def fill(register: Register) -> None:
    """Recipients, applications and a million rows; their hashes are only distinct."""
    random.seed(1)
    with register.begin() as connection:
        named = {"created": START}
        people = [{"name": f"r{number}", "organisation": f"o{number % 20}", **named} for number in range(40)]
        connection.execute(sa.insert(recipient), people)
        systems = [{"name": f"a{number}", "organisation": f"o{number % 20}", **named} for number in range(69)]
        connection.execute(sa.insert(application), systems)
        for part in range(0, ROWS, 50_000):
            connection.execute(sa.insert(audit), [_row(number) for number in range(part + 1, part + 50_001)])


def _row(number: int) -> dict[str, object]:
    system = random.randrange(69)
    denied = random.random() < 0.02
    road = random.choice(("rows", "delta_sharing", "web"))
    body = {"road": road, "rows": random.randrange(5000), **BODY}
    return {
        "sequence": number,
        "at": START + timedelta(seconds=number * 31),
        "recipient": f"r{system % 20 + random.choice((0, 20))}",
        "action": "rows.read",
        "product": f"sharing/p{random.randrange(60)}",
        "version": 3,
        "outcome": "denied" if denied else "allowed",
        "grant": None if denied else random.randrange(200),
        "application": f"a{system}",
        "level": None if denied else random.choices((1, 2, 3, 4), (50, 30, 18, 2))[0],
        "body": chain.canonical(body),
        "previous": f"{number - 1:064x}",
        "hash": f"{number:064x}",
    }


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        register = Register(f"sqlite:///{Path(folder) / 'register.db'}")
        register.upgrade()
        fill(register)
        print("| question | page of 50, ms | rows | all as CSV, s |\n|---|---|---|---|")
        for name, asked in QUESTIONS.items():
            started = time.perf_counter()
            inquiry.page(register, ZONE, asked, 50)
            page = (time.perf_counter() - started) * 1000
            started, rows = time.perf_counter(), 0
            for piece in inquiry.as_csv(register, ZONE, inquiry.rows(register, ZONE, asked)):
                rows += piece.count(b"\r\n")
            print(f"| {name} | {page:.1f} | {rows - 1:,} | {time.perf_counter() - started:.1f} |")
        print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
