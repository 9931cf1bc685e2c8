"""Where an interface is asked to go on: the greatest cursor value that came, less the overlap, as its source writes it.

How the value reaches the interface, and what comes back, does not belong here.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from pipelines.verbs import STRICT

Written = Literal["iso", "datetime", "date", "compact", "number"]
"""How times are written: ISO 8601, `2026-01-31 08:00:00`, `2026-01-31`, `20260131080000`, or as growing numbers."""


@with_config(STRICT)
class Since(TypedDict):
    """`written`: how the source writes its cursor; `start`: what is asked for at first, everything unless given."""

    written: Written
    start: NotRequired[str]


_FORMS = {"datetime": "%Y-%m-%d %H:%M:%S", "compact": "%Y%m%d%H%M%S"}


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time())


def _reader(written: Written) -> Callable[[str], datetime]:
    if written in _FORMS:
        return lambda text: datetime.strptime(text, _FORMS[written])
    return _day if written == "date" else _iso


def step_back(value: str, overlap: int, written: Written) -> str:
    """A value an overlap earlier: seconds for times, days for dates, units for numbers. Raises ValueError or
    OverflowError for one that is not written so, or has nothing before it."""
    if written == "number":
        return str(int(value) - overlap)
    moment = _reader(written)(value) - (timedelta(days=overlap) if written == "date" else timedelta(seconds=overlap))
    if written == "date":
        return moment.date().isoformat()
    if written == "compact":
        return "".join(filter(str.isdigit, moment.isoformat(" ", "seconds")))
    if written == "datetime":
        return moment.isoformat(" ", "seconds")
    text = moment.isoformat()
    return text.replace("+00:00", "Z") if value.endswith("Z") else text


class Greatest:
    """The greatest value of those shown to it, as it was written; `value` is None when none was one.

    No time of the future counts, less a day for clocks and zones: a wrong year would stop the source for ever.
    """

    def __init__(self, written: Written) -> None:
        self.written = written
        self.value: str | None = None
        self._order: datetime | int | None = None
        self._latest = datetime.now(UTC) + timedelta(days=1)

    def show(self, text: str | None) -> None:
        """Count a value; what is not written as it should be does not count."""
        order = self._ordered(text) if text else None
        if order is not None and (self._order is None or order > self._order):  # type: ignore[operator]
            self._order, self.value = order, text

    def _ordered(self, text: str) -> datetime | int | None:
        try:
            if self.written == "number":
                return int(text)
            moment = _reader(self.written)(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment if moment <= self._latest else None
