"""Hourly values of the air stations as their data loggers measure and report them: clean readings, flags, messages.

Calibrated to the published year of 2022 (PM2.5 33.1 µg/m³, 84.7 % good days). When and how often messages are sent
and what is wrong with some of them belongs to `air_dirt`, their delivery to `broker`.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from math import cos, exp, pi, sqrt

from simulator.chance import Dice, deck

POLLUTANTS = ("so2", "no2", "co", "o3", "pm10", "pm25")
NORMAL = "N"
_FAULT_FLAGS = deck("M*3 C*4 D*2 B*2 T")
SHARE_FLAGGED = 0.008
"""Share of hours that carry another flag than normal: up to three values are missing then, never all of them."""

# Year means in µg/m³ (CO in mg/m³); `_SWING` is the seasonal amplitude, winter above summer.
_PM25_MEAN, _PM25_SWING, _PM25_SPREAD = 32.0, 0.55, 0.48
_NO2_MEAN, _SO2_MEAN, _CO_MEAN = 23.0, 7.5, 0.70
# Daily maximum of the 8-hour mean of ozone: low in winter, high in early summer.
_O3_MEAN, _O3_SWING, _O3_SPREAD = 112.0, 40.0, 25.0
_MEMORY = 0.6
"""How much of a day's weather stays on the next day."""
_MEMORY_DAYS = 8
# Stations in the mountains breathe cleaner air than those on the plain.
_LEVELS = {
    "LA01": 1.06,
    "LA02": 1.10,
    "LA03": 1.05,
    "LA04": 1.00,
    "LA05": 1.03,
    "LA06": 0.98,
    "LA07": 0.86,
    "LA08": 0.91,
}

Reading = dict[str, "str | float | None"]
"""One message body: station, ts, the six pollutants, flag, t (℃) and rh (%), in this order."""


@dataclass(frozen=True, slots=True)
class _Weather:
    """What all stations share on one day: standard normal deviations from what the season would have."""

    haze: float
    sun: float
    warmth: float
    damp: float


@cache
def stations() -> tuple[str, ...]:
    """The codes of the stations."""
    text = files("simulator").joinpath("data/air_stations.csv").read_text(encoding="utf-8")
    return tuple(row["code"] for row in csv.DictReader(text.splitlines()))


def reading(seed: int, station: str, day: date, hour: int) -> Reading:
    """What a station reports for an hour of a day."""
    dice = Dice(seed, "air", station, day.isoformat(), hour)
    values = _values(dice, _weather(seed, day), station, day, hour)
    flag = NORMAL
    if dice.chance(SHARE_FLAGGED):
        flag = dice.pick(_FAULT_FLAGS)
        for _ in range(dice.between(1, 3)):
            values[dice.pick(POLLUTANTS)] = None
    t, rh = values.pop("t"), values.pop("rh")
    moment = datetime(day.year, day.month, day.day, hour)
    return {"station": station, "ts": f"{moment.isoformat()}+08:00", **values, "flag": flag, "t": t, "rh": rh}


def topic(station: str) -> str:
    """The topic a station publishes its hours on."""
    return f"luan/air/{station}/hour"


def body(message: Reading) -> str:
    """A message as the logger writes it."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _values(dice: Dice, weather: _Weather, station: str, day: date, hour: int) -> dict[str, float | None]:
    level, winter = _LEVELS[station], _season(day, 15)
    rush = 1 + 0.22 * cos(2 * pi * (hour - 8) / 12) + 0.1 * cos(2 * pi * (hour - 21) / 24)
    haze = exp(_PM25_SPREAD * weather.haze - _PM25_SPREAD**2 / 2)
    night = 1 + 0.12 * cos(2 * pi * (hour - 1) / 24) + 0.07 * cos(2 * pi * (hour - 9) / 12)
    pm25 = _PM25_MEAN * (1 + _PM25_SWING * winter) * haze * night * level * _jitter(dice, 0.08)
    pm10 = pm25 * 1.45 + 12 * _jitter(dice, 0.3)
    ozone_peak = max(25.0, _O3_MEAN + _O3_SWING * _season(day, 165) + _O3_SPREAD * weather.sun)
    return {
        "so2": _whole(_SO2_MEAN * (1 + 0.25 * winter) * rush * level * _jitter(dice, 0.15)),
        "no2": _whole(_NO2_MEAN * (1 + 0.35 * winter) * rush * sqrt(haze) * level * _jitter(dice, 0.12)),
        "co": round(_CO_MEAN * (1 + 0.2 * winter) * sqrt(haze) * rush * _jitter(dice, 0.1), 1),
        "o3": _whole(ozone_peak * _ozone_hours()[hour] * _jitter(dice, 0.05)),
        "pm10": _whole(pm10),
        "pm25": _whole(pm25),
        "t": _temperature(dice, weather, day, hour),
        "rh": min(99, max(18, round(74 + 12 * weather.damp - 13 * _afternoon(hour) + 4 * dice.random()))),
    }


def _whole(value: float) -> int:
    return max(1, round(value))


def _temperature(dice: Dice, weather: _Weather, day: date, hour: int) -> float:
    return round(16.3 + 12.2 * _season(day, 205) + 3.0 * weather.warmth + 4.2 * _afternoon(hour) + dice.random(), 1)


def _afternoon(hour: int) -> float:
    return cos(2 * pi * (hour - 15) / 24)


@cache
def _ozone_hours() -> tuple[float, ...]:
    """Ozone of each hour relative to the day's highest 8-hour mean."""
    raw = [0.38 + 0.75 * exp(-(((hour - 15) / 4.6) ** 2)) for hour in range(24)]
    highest = max(sum(raw[start : start + 8]) / 8 for start in range(17))
    return tuple(value / highest for value in raw)


@lru_cache(maxsize=64)
def _weather(seed: int, day: date) -> _Weather:
    return _Weather(*(_persistent(seed, what, day) for what in ("haze", "sun", "warmth", "damp")))


def _persistent(seed: int, what: str, day: date) -> float:
    """A standard normal deviation that resembles that of the day before."""
    total = sum(_MEMORY**ago * _normal(seed, what, day - timedelta(days=ago)) for ago in range(_MEMORY_DAYS))
    return total * sqrt(1 - _MEMORY**2)


@lru_cache(maxsize=1_024)
def _normal(seed: int, what: str, day: date) -> float:
    dice = Dice(seed, "weather", what, day.isoformat())
    return sum(dice.random() for _ in range(12)) - 6


def _season(day: date, peak: int) -> float:
    """1 on the ``peak``-th day of the year, -1 half a year away."""
    return cos(2 * pi * (day.timetuple().tm_yday - peak) / 365)


def _jitter(dice: Dice, width: float) -> float:
    return 1 + width * (2 * dice.random() - 1)
