"""The file of observations on the statistics portal: published figures with the mistakes of whoever typed them.

What was published when is in `macro`; serving the file belongs to `portal`. All follows from seed, size, day and rates.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from simulator import macro
from simulator.chance import Dice
from simulator.defects import CLEANABLE, CODE, FORMAT, PLAUSIBLE, RANGE
from simulator.dirt import DirtRates, Planted
from simulator.mistakes import Mistake, changed, missing
from simulator.person import DAY_ZERO
from simulator.registers import FEWEST, Row, with_mistakes
from simulator.special_mistakes import contradicting, only, repeated

OBSERVATIONS = "dataset/macro/observations.csv"
"""Where the file stands on the portal."""
_HARMLESS_UNTIL = "2023"
"""Figures of later periods are never refused: the indicators of the demo are computed from them."""
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A place that is neither table nor dropped file: a sheet on the portal, with a hidden column for the key."""

    dataset: str
    names: tuple[str, ...]


PLACE = Sheet(
    OBSERVATIONS, ("(row)", "indicator", "area", "period", "value", "revision", "published_at", "note", "yoy", "ytd")
)
KEY, INDICATOR, AREA, PERIOD, VALUE, REVISION, PUBLISHED = range(7)
YOY = 8


def _is_old(row: Row) -> bool:
    return str(row[PERIOD]) < _HARMLESS_UNTIL


def _slipped(value: str, dice: Dice) -> str:
    return f"{float(value) * 10:.4f}"


class MacroFeed:
    """The rows of a publication as one batch."""

    place = PLACE
    key = KEY
    mistakes: tuple[Mistake, ...] = (
        *(
            only(_is_old, mistake)
            for mistake in (
                changed("indicator_unknown", CODE, INDICATOR, lambda v, d: f"{v}_new"),
                missing(INDICATOR),
                changed("area_cut_short", FORMAT, AREA, lambda v, d: v[:4]),
                changed("period_in_words", FORMAT, PERIOD, lambda v, d: f"{v}年"),
                missing(VALUE),
                changed("value_with_unit", FORMAT, VALUE, lambda v, d: f"{v}亿元"),
                changed("revision_negative", RANGE, REVISION, lambda v, d: "-1"),
                changed("published_in_future", RANGE, PUBLISHED, lambda v, d: f"{int(v[:4]) + 40}{v[4:]}"),
                changed("decimal_slipped", PLAUSIBLE, VALUE, _slipped),
                changed("growth_misprinted", PLAUSIBLE, YOY, lambda v, d: f"{float(v) + d.pick((-3, 3)):.1f}"),
            )
        ),
        changed("value_full_width", CLEANABLE, VALUE, lambda v, d: v.translate(_FULL_WIDTH)),
        only(_is_old, changed("growth_with_sign", CLEANABLE, YOY, lambda v, d: f"{v}%")),
        changed("value_spaced", CLEANABLE, VALUE, lambda v, d: f" {v} "),
        changed("period_spaced", CLEANABLE, PERIOD, lambda v, d: f"{v}\u3000"),
        repeated(KEY),
        contradicting(KEY, VALUE, lambda v, d: f"{float(v) + 0.1:.4f}"),
    )


def sheet(seed: int, persons: int, rates: DirtRates, by: date) -> bytes:
    """The file as it stands on a day."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(PLACE.names[1:])
    for rows, _ in _publications(seed, persons, rates, by):
        writer.writerows(row[1:] for row in rows)
    return lines.getvalue().encode()


def last_published(seed: int, persons: int, by: date) -> datetime:
    """When the newest figure came out."""
    return macro.published(seed, persons, by)[-1].published


def planted(seed: int, persons: int, rates: DirtRates, by: date) -> list[Planted]:
    """Everything that is wrong in the file as it stands on a day."""
    return [entry for _, entries in _publications(seed, persons, rates, by) for entry in entries]


def _publications(seed: int, persons: int, rates: DirtRates, by: date) -> Iterator[tuple[list[Row], list[Planted]]]:
    """What came out until the first day, then day by day: rows as shown, and what is wrong with them."""
    observations = macro.published(seed, persons, by)
    for day, batch in groupby(observations, key=lambda entry: max(entry.published.date(), DAY_ZERO)):
        dice = Dice(seed, "macro dirt", day.isoformat())
        fewest = FEWEST if day == DAY_ZERO else 0
        delivery, _ = with_mistakes(MacroFeed(), list(map(_row, batch)), rates, day, dice, fewest)
        yield delivery.rows, delivery.planted


def _row(entry: macro.Observation) -> Row:
    return [
        f"{entry.indicator} {entry.area} {entry.period} {entry.revision}",
        entry.indicator,
        entry.area,
        entry.period,
        entry.value,
        str(entry.revision),
        f"{entry.published.isoformat()}+08:00",
        entry.note,
        entry.yoy,
        entry.ytd,
    ]
