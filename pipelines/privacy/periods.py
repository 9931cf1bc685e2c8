"""The periods by which open tables count: how they are written, and which are over on a day of the city."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

FORMS: Final = (
    (re.compile(r"(19|20)\d\d"), "{0.year}"),
    (re.compile(r"(19|20)\d\dQ[1-4]"), "{0.year}Q{1}"),
    (re.compile(r"(19|20)\d\d-(0[1-9]|1[0-2])"), "{0:%Y-%m}"),
    (re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])"), "{0:%Y%m}"),
    (re.compile(r"(19|20)\d\d-\d\d-\d\d"), "{0:%Y-%m-%d}"),
)
"""A year, a quarter, a month written either way, a day; and how a day says which of them it is in. Of one form the
earlier sorts first."""


def is_over(period: object, day: date) -> bool:
    """Whether a period is over on this day. One that is written otherwise is not: nobody knows when it ends."""
    text = _text(period)
    of_day = next((said.format(day, (day.month + 2) // 3) for form, said in FORMS if form.fullmatch(text)), None)
    return of_day is not None and text < of_day


def all_periods(values: Iterable[object]) -> bool:
    """Whether there are values and all of them, as far as there are any, are periods."""
    texts = {_text(value) for value in values if value is not None}
    return bool(texts) and all(any(form.fullmatch(text) for form, _ in FORMS) for text in texts)


def _text(period: object) -> str:
    """A period as text; a moment by its day."""
    return str(period.date() if isinstance(period, datetime) else period)
