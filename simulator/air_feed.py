"""What reaches the data loggers of the air stations day by day: readings with their mistakes, late ones, replays.

What a station measures is in `air`; delivering belongs to `broker`. Everything follows from seed, day and rates, so
nothing of it is kept anywhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from simulator.air import NORMAL, POLLUTANTS, Reading, body, reading, stations, topic
from simulator.chance import Dice
from simulator.defects import CLEANABLE, CODE, COMPLETENESS, FORMAT, PLAUSIBLE, RANGE
from simulator.dirt import DirtRates, Planted
from simulator.disturbances import MISSING_COLUMN, NEW_COLUMN, OTHER_UNIT, RENAMED_COLUMN, Fault
from simulator.mistakes import Mistake, changed, missing, spelled
from simulator.person import DAY_ZERO
from simulator.registers import FEWEST, Row, with_mistakes
from simulator.special_mistakes import repeated

BACKLOG_DAYS = 7
"""Days before the first one whose readings the loggers still hold."""
SHARE_LATE = 0.01
_LATEST = 2
"""Most days by which a reading is late."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@dataclass(frozen=True, slots=True)
class _Feed:
    """A place that is neither table nor file: messages on topics."""

    dataset: str
    names: tuple[str, ...]


PLACE = _Feed("luan/air/+/hour", ("(message)", "station", "ts", *POLLUTANTS, "flag", "t", "rh"))
KEY, STATION, MOMENT = 0, 1, 2
_AT = PLACE.names.index
_CO, _PM10, _PM25 = _AT("co"), _AT("pm10"), _AT("pm25")


def _broken(row: Row, dice: Dice) -> list[Row]:
    """The message breaks off, as when a logger loses power."""
    text = body(_message(row))
    row[KEY] = text[: dice.between(10, len(text) - 2)]
    return [row]


def _nothing_measured(row: Row, dice: Dice) -> list[Row]:
    for pollutant in POLLUTANTS:
        row[_AT(pollutant)] = None
    return [row]


def _swapped(row: Row, dice: Dice) -> list[Row] | None:
    if row[_PM25] is None or row[_PM10] is None or row[_PM25] == row[_PM10]:
        return None
    row[_PM25], row[_PM10] = row[_PM10], row[_PM25]
    return [row]


def _in_micrograms(value: str, dice: Dice) -> str | None:
    return str(round(float(value) * 1_000)) if float(value) >= 0.3 else None


class AirFeed:
    """The readings of a day as one batch, in which the same clerks of chance err as in any register."""

    place = PLACE
    key = KEY
    mistakes: tuple[Mistake, ...] = (
        # Of a message that cannot be read every column is missing.
        Mistake("broken_json", FORMAT, KEY, _broken, frozenset({COMPLETENESS})),
        missing(STATION),
        changed("station_unknown", CODE, STATION, lambda v, d: "LA09"),
        changed("station_full_width", CLEANABLE, STATION, lambda v, d: v.translate(_FULL_WIDTH)),
        missing(MOMENT),
        changed("moment_is_none", FORMAT, MOMENT, lambda v, d: f"{v[:11]}25:00:00+08:00"),
        changed("clock_runs_ahead", RANGE, MOMENT, lambda v, d: f"{int(v[:4]) + 36}{v[4:]}"),
        changed("pm25_negative", RANGE, _PM25, lambda v, d: f"-{v}"),
        changed("pm10_absurd", RANGE, _PM10, lambda v, d: "99999"),
        changed("co_in_micrograms", RANGE, _CO, _in_micrograms),
        changed("pm25_no_number", FORMAT, _PM25, lambda v, d: d.pick(("ERR", "<LOD", "1.2.3"))),
        changed("pm25_full_width", CLEANABLE, _PM25, lambda v, d: v.translate(_FULL_WIDTH)),
        Mistake("nothing_measured", COMPLETENESS, _PM25, _nothing_measured),
        Mistake("pm_swapped", PLAUSIBLE, _PM25, _swapped),
        changed("flag_unknown", CODE, _AT("flag"), lambda v, d: "Z"),
        spelled("flag_word", _AT("flag"), {NORMAL: "正常", "M": "维护", "D": "故障"}),
        changed("temperature_absurd", RANGE, _AT("t"), lambda v, d: "-99.9"),
        changed("humidity_absurd", RANGE, _AT("rh"), lambda v, d: "999"),
        repeated(KEY),
    )


def messages(seed: int, rates: DirtRates, day: date, faults: Sequence[Fault] = ()) -> list[tuple[str, str]]:
    """Topic and body of everything the loggers get to send on a day, in order; `faults`: what a new firmware does."""
    return [(topic, _under(faults, body)) for (topic, body), _ in _due(seed, rates, day)]


def _under(faults: Sequence[Fault], text: str) -> str:
    """A message as the loggers send it under faults; broken ones stay as they are."""
    try:
        message = json.loads(text) if faults else None
    except json.JSONDecodeError:
        message = None
    if message is None:
        return text
    for fault in faults:
        message = _CHANGES[fault.kind](message, str(fault.column), str(fault.value))
    return json.dumps(message, ensure_ascii=False)


_CHANGES: dict[str, Callable[[Reading, str, str], Reading]] = {
    NEW_COLUMN: lambda message, column, value: message | {column: 1},
    MISSING_COLUMN: lambda message, column, value: {name: found for name, found in message.items() if name != column},
    RENAMED_COLUMN: lambda message, column, value: {
        value if name == column else name: found for name, found in message.items()
    },
    OTHER_UNIT: lambda message, column, value: message | {column: _scaled(message[column], float(value))},
}


def _scaled(value: str | float | None, factor: float) -> str | float | None:
    return round(value * factor, 6) if isinstance(value, int | float) else value


def planted(seed: int, rates: DirtRates, day: date) -> list[Planted]:
    """What is wrong with the messages of a day."""
    return [entry for _, entry in _due(seed, rates, day) if entry is not None]


_Sent = tuple[tuple[str, str], Planted | None]
"""Topic and body of a message, and what is wrong with it."""


def _due(seed: int, rates: DirtRates, day: date) -> list[_Sent]:
    """What was measured on this day and the days before and is handed to the loggers on this one."""
    begins = [day - timedelta(days=ago) for ago in range(_LATEST, -1, -1)]
    return [sent for begin in begins if begin >= DAY_ZERO for sent in _of_batch(seed, rates, begin, day)]


def _of_batch(seed: int, rates: DirtRates, measured: date, sent_on: date) -> list[_Sent]:
    """The part of a day's readings that is sent on a day; the first batch holds the backlog too."""
    clean = _clean(seed, measured)
    fewest = FEWEST if measured == DAY_ZERO else 0
    dice = Dice(seed, "air dirt", measured.isoformat())
    delivery, marks = with_mistakes(AirFeed(), clean, rates, measured, dice, fewest)
    wrong = {entry.rybh: entry for entry in delivery.planted}
    found: list[_Sent] = []
    for position, row in enumerate(clean):
        key = str(row[KEY])
        if _sending_day(seed, key) != sent_on:
            continue
        entry = wrong.get(key)
        if entry is not None:
            entry = replace(entry, day=sent_on)
        for number, shown in enumerate(marks[position][1] if position in marks else [row]):
            text = str(shown[KEY]) if shown[KEY] != key else body(_message(shown))
            found.append(((topic(key[:4]), text), entry if number == 0 else None))
    return found


def _clean(seed: int, measured: date) -> list[Row]:
    """The readings of a day, hour by hour; of the backlog as well if it is the first day."""
    first = measured - timedelta(days=BACKLOG_DAYS) if measured == DAY_ZERO else measured
    days = [first + timedelta(days=number) for number in range((measured - first).days + 1)]
    return [_row(reading(seed, station, day, hour)) for day in days for hour in range(24) for station in stations()]


def _row(found: Reading) -> Row:
    texts = [None if value is None else str(value) for value in found.values()]
    return [f"{found['station']} {found['ts']}", *texts]


def _message(row: Row) -> Reading:
    """The message of a row; what looks like a number is sent as one."""
    return {name: _value(name, value) for name, value in zip(PLACE.names[1:], row[1:], strict=True)}


def _value(name: str, value: str | None) -> str | float | None:
    if value is None or name in ("station", "ts", "flag") or not _NUMBER.fullmatch(value):
        return value
    number: float = json.loads(value)
    return number


def _sending_day(seed: int, key: str) -> date:
    """The day on which a reading is sent: at once, or when the line works again."""
    dice = Dice(seed, "air way", key)
    measured = datetime.fromisoformat(key[5:]).date()
    late = dice.between(1, _LATEST) if dice.chance(SHARE_LATE) else 0
    return max(DAY_ZERO, measured + timedelta(days=late))
