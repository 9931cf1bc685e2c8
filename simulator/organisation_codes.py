"""Codes of organisations: unified social credit codes and the organisation codes inside them; the city's authorities.

The simulator's own reading of GB 32100-2015 and GB 11714-1997, deliberately not shared with the engine that will be
tested with it. Identity numbers of people are in `identity`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of a unified social credit code: no I, O, S, V, Z."""
_ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_ORGANISATION_VALUES = {character: value for value, character in enumerate(_ORGANISATION_ALPHABET)}
# A step without common factor with 31 to the 6th visits every number once: codes of neighbours do not look alike.
_STEP, _NUMBERS = 387_420_489, len(ALPHABET) ** 6


@dataclass(frozen=True, slots=True)
class Authority:
    """A department that decides and issues."""

    uscc: str
    name: str
    organisation: str


def organisation_check(body: str) -> str:
    """The ninth character of an organisation code for its first eight."""
    values = map(_ORGANISATION_VALUES.__getitem__, body)
    total = sum(value * weight for value, weight in zip(values, _ORGANISATION_WEIGHTS, strict=True))
    rest = 11 - total % 11
    return {10: "X", 11: "0"}.get(rest, str(rest))


def check_character(body: str) -> str:
    """The last character of a unified social credit code for its first 17."""
    total = sum(_VALUES[character] * weight for character, weight in zip(body, _WEIGHTS, strict=True))
    return ALPHABET[-total % 31]


def social_credit_code(kind: str, county: str, number: int) -> str:
    """The code of the ``number``-th entity of the city: ``kind`` 91 firm, 92 self-employed, 93 cooperative."""
    scattered = number * _STEP % _NUMBERS
    letters = ""
    for _ in range(6):
        scattered, place = divmod(scattered, len(ALPHABET))
        letters += ALPHABET[place]
    organisation = "MA" + letters
    body = kind + county + organisation + organisation_check(organisation)
    return body + check_character(body)


@cache
def authorities() -> dict[str, Authority]:
    """The authorities that decide and issue, by the short name of their organisation (``amr``, ``psb`` ...)."""
    text = files("simulator").joinpath("data/authorities.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["organisation"]: Authority(row["code"], row["name"], row["organisation"]) for row in rows}
