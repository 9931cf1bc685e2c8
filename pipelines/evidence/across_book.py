"""What a rule about two sources found missing or wrong, as an Excel book for the steward and the department.

Every cell is text. Who may have it, and the record of who did, belong to the command that writes it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from xlsxwriter import Workbook

from pipelines.contracts.load import SourceContract
from pipelines.evidence.across import Looked, title
from pipelines.messages import say, translate

MOST_ROWS = 1_000_000
"""Of one sheet; Excel has room for 1,048,576."""
LONGEST = 32_767
"""Characters of a cell."""


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
    options = {"constant_memory": True, "strings_to_numbers": False, "strings_to_formulas": False}
    book = Workbook(target, {**options, "strings_to_urls": False, "tmpdir": str(scratch)})
    fitting = rows[:MOST_ROWS]
    try:
        first = book.add_worksheet(translate("across.sheet.about", "zh"))
        first.set_column(0, 0, 120)
        facts = {"subject": contract.id, "of": other.id, "rule": looked.rule, "looked": looked.looked}
        text = say("across.about", **facts, failed=looked.failed, rows=len(fitting), name=other.form.name, **about)
        for number, line in enumerate(text.splitlines()):
            first.write_string(number, 0, line)
        sheet = book.add_worksheet(translate("across.sheet.rows", "zh"))
        plain, bold = book.add_format({"num_format": "@"}), book.add_format({"num_format": "@", "bold": True})
        sheet.set_column(0, len(names), 22, plain)
        sheet.freeze_panes(1, 0)
        for place, name in enumerate(names):
            sheet.write_string(0, place, title(name, contract, other)["zh"], bold)
        for number, row in enumerate(fitting, 1):
            for place, value in enumerate(row):
                if value is not None:
                    text = f"{value:.10g}" if isinstance(value, float) else str(value)
                    sheet.write_string(number, place, text[:LONGEST], plain)
    finally:
        book.close()
    return len(fitting)
