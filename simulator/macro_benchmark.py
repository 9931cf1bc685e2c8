"""Figures of the province and the nation beside the city's own, as one more file on the statistics portal.

All of it is invented: plausible growth paths, and every row says so. What the city publishes is in `macro`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime

from simulator import macro
from simulator.chance import Dice
from simulator.defects import CODE, FORMAT, RANGE
from simulator.dirt import DirtRates, Planted
from simulator.macro_feed import Sheet
from simulator.mistakes import Mistake, changed, missing
from simulator.person import DAY_ZERO
from simulator.registers import Row, with_mistakes
from simulator.special_mistakes import only, repeated

BENCHMARKS = "dataset/macro/benchmarks.csv"
"""Where the file stands on the portal."""
PROVINCE, NATION = "340000", "000000"
NOTE = "模拟数据，非真实统计"
_HARMLESS_UNTIL = "2023"

# Values of 2019 and yearly growth: province, nation.
_ANNUAL = {
    "gdp": ((36_800.0, 0.058), (986_500.0, 0.052)),
    "urbanisation_rate": ((55.8, 0.012), (60.6, 0.010)),
    "income_urban": ((37_540.0, 0.058), (42_359.0, 0.050)),
    "income_rural": ((15_416.0, 0.078), (16_021.0, 0.072)),
}
# Around which a month's figure lies: province, nation.
_MONTHLY = {
    "cpi": (100.2, 100.3),
    "industrial_growth": (8.1, 5.9),
    "fixed_investment_growth": (4.0, 2.8),
}
_AREAS = (PROVINCE, NATION)

PLACE = Sheet(BENCHMARKS, ("(row)", "indicator", "area", "period", "value", "revision", "published_at", "note"))
_KEY, _INDICATOR, _AREA, _PERIOD, _VALUE, _REVISION, _PUBLISHED, _NOTE = range(8)


def _is_old(row: Row) -> bool:
    return str(row[_PERIOD]) < _HARMLESS_UNTIL


class Benchmarks:
    """The rows of a publication as one batch."""

    place = PLACE
    key = _KEY
    mistakes: tuple[Mistake, ...] = (
        *(
            only(_is_old, mistake)
            for mistake in (
                changed("indicator_unknown", CODE, _INDICATOR, lambda v, d: f"{v}_new"),
                changed("area_cut_short", FORMAT, _AREA, lambda v, d: v[:4]),
                changed("period_in_words", FORMAT, _PERIOD, lambda v, d: f"{v}年"),
                missing(_VALUE),
                changed("value_with_unit", FORMAT, _VALUE, lambda v, d: f"{v}亿元"),
                changed("published_in_future", RANGE, _PUBLISHED, lambda v, d: f"{int(v[:4]) + 40}{v[4:]}"),
                missing(_NOTE),
            )
        ),
        repeated(_KEY),
    )


def published(seed: int, by: date) -> list[Row]:
    """Everything published until and on a day, in order of publication."""
    rows = [*_annual(seed, by), *_monthly(seed, by)]
    known = [row for row in rows if str(row[_PUBLISHED])[:10] <= by.isoformat()]
    return sorted(known, key=lambda row: (str(row[_PUBLISHED]), str(row[_KEY])))


def sheet(seed: int, rates: DirtRates, by: date) -> bytes:
    """The file as it stands on a day."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(PLACE.names[1:])
    for rows, _ in _publications(seed, rates, by):
        writer.writerows(row[1:] for row in rows)
    return lines.getvalue().encode()


def last_published(seed: int, by: date) -> datetime:
    """When the newest figure came out."""
    return datetime.fromisoformat(str(published(seed, by)[-1][_PUBLISHED]))


def planted(seed: int, rates: DirtRates, by: date) -> list[Planted]:
    """Everything that is wrong in the file as it stands on a day."""
    return [entry for _, entries in _publications(seed, rates, by) for entry in entries]


def _publications(seed: int, rates: DirtRates, by: date) -> Iterator[tuple[list[Row], list[Planted]]]:
    """What came out until the first day as one batch, then what each day brought; mistakes in the first batch only."""
    rows = published(seed, by)
    first = [row for row in rows if str(row[_PUBLISHED])[:10] <= DAY_ZERO.isoformat()]
    delivery, _ = with_mistakes(Benchmarks(), first, rates, DAY_ZERO, Dice(seed, "benchmark dirt"))
    yield delivery.rows, delivery.planted
    yield rows[len(first) :], []


def _annual(seed: int, by: date) -> Iterator[Row]:
    for code, paths in _ANNUAL.items():
        for area, (start, growth) in zip(_AREAS, paths, strict=True):
            for year in range(macro.FIRST_YEAR, by.year):
                dice = Dice(seed, "benchmark", code, area, str(year))
                value = start * (1 + growth) ** (year - macro.FIRST_YEAR) * (1 + 0.004 * (dice.random() - 0.5))
                yield _row(code, area, str(year), f"{value:.2f}", macro.first_release(code, year))


def _monthly(seed: int, by: date) -> Iterator[Row]:
    for code, centres in _MONTHLY.items():
        for area, centre in zip(_AREAS, centres, strict=True):
            for year, month in macro.months_before(by):
                dice = Dice(seed, "benchmark", code, area, f"{year}-{month:02d}")
                value = centre + 0.8 * (dice.random() - 0.5)
                moment = macro.monthly_release(code, year, month)
                yield _row(code, area, f"{year}-{month:02d}", f"{value:.1f}", moment)


def _row(code: str, area: str, period: str, value: str, moment: datetime) -> Row:
    return [f"{code} {area} {period} 0", code, area, period, value, "0", f"{moment.isoformat()}+08:00", NOTE]
