"""What a rule about two sources found missing or wrong, as an Excel book for the steward and the department.

Every cell is text. Who may have it, and the record of who did, belong to the command that writes it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.contracts.load import SourceContract
from pipelines.evidence import text_book
from pipelines.evidence.across import Looked, title
from pipelines.messages import say


def write(
    target: BinaryIO,
    contract: SourceContract,
    other: SourceContract,
    looked: Looked,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    about: dict[str, str],
    scratch: Path,
) -> int:
    """Write the rows that fit, the first first; returns how many. `about`: day, moment and who, for the first sheet."""
    fitting = rows[: text_book.MOST_ROWS]
    facts = {"subject": contract.id, "of": other.id, "rule": looked.rule, "looked": looked.looked}
    text = say("across.about", **facts, failed=looked.failed, rows=len(fitting), name=other.form.name, **about)
    titles = [title(name, contract, other)["zh"] for name in names]
    text_book.write(target, text, titles, (list(map(text_book.text, row)) for row in fitting), scratch)
    return len(fitting)
