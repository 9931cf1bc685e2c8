"""What places are called in short: counties, towns and villages by their codes.

Where people live and what addresses look like belongs to `divisions`.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

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
