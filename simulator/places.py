"""What places are called in short: counties, towns and villages by their codes.

Where people live and what addresses look like belongs to `divisions`.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from simulator.chance import Dice
from simulator.divisions import Village, villages


@cache
def names() -> dict[str, str]:
    """The names of all divisions by code (6, 9 or 12 digits)."""
    text = files("simulator").joinpath("data/luan_divisions.csv").read_text(encoding="utf-8")
    return {row["code"]: row["name"] for row in csv.DictReader(text.splitlines())}


@cache
def village_of(code: str) -> Village:
    """The village with a 12-digit code."""
    return _by_code()[code]


@cache
def _by_code() -> dict[str, Village]:
    return {village.code: village for village in villages()}


# Roughly the middle of each county, in degrees of CGCS2000; places scatter around it.
_MIDDLES = {
    "341502": (116.53, 31.72),
    "341503": (116.30, 31.68),
    "341504": (115.90, 31.83),
    "341522": (116.20, 32.30),
    "341523": (116.85, 31.45),
    "341524": (115.85, 31.62),
    "341525": (116.30, 31.40),
}


@cache
def position(code: str) -> tuple[str, str]:
    """Longitude and latitude of something in a village, with six decimals: near its county's middle, not surveyed."""
    dice = Dice(0, "position", code)
    longitude, latitude = _MIDDLES[code[:6]]
    return f"{longitude + 0.2 * (dice.random() - 0.5):.6f}", f"{latitude + 0.2 * (dice.random() - 0.5):.6f}"
