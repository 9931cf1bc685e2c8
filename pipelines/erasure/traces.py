"""What is left of a person outside tables: rows of the register, spooled pages, logs of failures.

The chained tables (ledger, audit) are never changed; they hold no ids of persons inside the lake.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from pipelines.erasure.rows import Wanted
from pipelines.register import Register
from pipelines.register.tables import issue, issue_act, linkage_review, receipt


@dataclass(frozen=True)
class Traces:
    """What is looked for in the register: `texts`, and questions about `rows` (source, key). `questions`: whether
    those about the person go too."""

    order: str
    texts: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    questions: bool


def of_register(register: Register, traces: Traces) -> None:
    """Take a person out of receipts, issues and questions of linkage."""
    with register.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        for table, column in ((receipt, receipt.c.body), (issue, issue.c.text), (issue_act, issue_act.c.proof)):
            stands = sa.or_(*(sa.cast(column, sa.String).contains(text, autoescape=True) for text in traces.texts))
            for number, body in connection.execute(sa.select(table.c.id, column).where(stands)).all():
                said = json.dumps(body, ensure_ascii=False)
                for text in traces.texts:
                    said = said.replace(text, f"erased:{traces.order}")
                told = {column.name: json.loads(said)}
                connection.execute(sa.update(table).where(table.c.id == number).values(**told))
        for text in traces.texts:
            noted = issue_act.c.note.contains(text, autoescape=True)
            without = sa.func.replace(issue_act.c.note, text, f"erased:{traces.order}")
            connection.execute(sa.update(issue_act).where(noted).values(note=without))
        if traces.questions:
            ours = sa.or_(linkage_review.c.person.in_(traces.texts), linkage_review.c.own.in_(traces.texts))
            connection.execute(sa.delete(linkage_review).where(ours))
    forget_rows(register, traces.rows if traces.questions else ())


def forget_rows(register: Register, rows: Iterable[tuple[str, str]]) -> None:
    """Drop the questions about rows (source, key) of linked sources; SQLite keeps no copy in free pages."""
    with register.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        asked = connection.execute(sa.select(linkage_review.c.dataset, linkage_review.c.row_key).distinct()).all()
        for dataset, key in {*map(tuple, asked)} & {*rows}:
            row = (linkage_review.c.dataset == dataset) & (linkage_review.c.row_key == key)
            connection.execute(sa.delete(linkage_review).where(row))
    if register.engine.dialect.name == "sqlite":
        raw = register.engine.raw_connection()
        try:
            for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                raw.cursor().execute(statement)
        finally:
            raw.close()


def traces_in(home: Path, wanted: Wanted) -> Iterator[Path]:
    """Spooled files and logs in which a number, an id or a telephone of the person stands; they go as a whole. So do
    pages that a kill cut off: whom the last of them was about nobody can tell, and they are asked for again."""
    texts = [text.encode() for text in (*wanted.marks, *wanted.mobiles)]
    for folder in (home / "lake" / "spool", home / "logs"):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and ((content := _bytes(path)) is None or any(text in content for text in texts)):
                yield path


def _bytes(path: Path) -> bytes | None:
    """What a file says; None if it was cut off where it is packed."""
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
