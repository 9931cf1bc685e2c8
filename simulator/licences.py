"""Electronic licences: their types, identifiers (GB/T 36904-2018) and how long they are valid.

Only single licences, in memory; the log of their changes belongs to `licence_registers`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from hashlib import blake2b
from importlib.resources import files

from simulator.chance import Dice
from simulator.organisation_codes import Authority, authorities
from simulator.population import office_second

ID_CARD, SOCIAL_CARD, BUSINESS, FOOD, BIRTH, MARRIAGE, CONSTRUCTION = "001", "002", "003", "004", "005", "006", "007"
"""Last three digits of the type codes."""
VALID, EXPIRED, CANCELLED, REVOKED, CHANGED, SUSPENDED = "1", "2", "3", "4", "6", "7"
"""Codes of the status of a licence."""
PERSON, ENTITY = "1", "2"
"""Codes of the type of holder."""
ROOT = "1.2.156.3005.2"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_ISSUERS = {ID_CARD: "psb", SOCIAL_CARD: "hrssb", BUSINESS: "amr", FOOD: "amr", CONSTRUCTION: "hurd"}
_NUMBERS = {BUSINESS: "YYZZ", FOOD: "JY", CONSTRUCTION: "D3"}
"""What the licence's own number begins with; cards of persons bear the identity number."""


@dataclass(frozen=True, slots=True)
class Licence:
    """An electronic licence as its catalogue entry says it is."""

    kind: str
    serial: int
    version: int
    holder_kind: str
    holder: str
    holder_code: str
    issued: date
    valid_to: date | None
    status: str
    handled: datetime

    @property
    def identifier(self) -> str:
        """The identifier with its check character."""
        return identifier(licence_types()[self.kind][0], self.issuer.uscc, f"{self.serial:012d}", self.version)

    @property
    def number(self) -> str:
        """The licence's own number; that of a card is its holder's identity number."""
        if self.holder_kind == PERSON:
            return self.holder_code
        return f"{_NUMBERS[self.kind]}3415{self.serial:010d}"

    @property
    def former(self) -> str | None:
        """The identifier of the version that this one replaces."""
        if self.version == 1:
            return None
        return identifier(licence_types()[self.kind][0], self.issuer.uscc, f"{self.serial:012d}", self.version - 1)

    @property
    def case_number(self) -> str | None:
        """The case in which it was granted; cards are made without one."""
        if self.holder_kind == PERSON:
            return None
        return f"3415{self.issued:%Y%m%d}9{self.serial % 10_000_000:07d}"

    @property
    def issuer(self) -> Authority:
        """Who issued it."""
        return authorities()[_ISSUERS[self.kind]]


@cache
def licence_types() -> dict[str, tuple[str, str]]:
    """Type code and name of the types by their last three digits."""
    text = files("simulator").joinpath("data/licence_type.csv").read_text(encoding="utf-8")
    return {row["code"][-3:]: (row["code"], row["name"]) for row in csv.DictReader(text.splitlines())}


def identifier(kind: str, issuer: str, serial: str, version: int) -> str:
    """An identifier; its last character checks all fields after the root (ISO 7064 MOD 37,36)."""
    state = _through(_state_after(kind + issuer), f"{serial}{version:03d}")
    return f"{ROOT}.{kind}.{issuer}.{serial}.{version:03d}.{_ALPHABET[(37 - state) % 36]}"


@lru_cache(maxsize=64)
def _state_after(text: str) -> int:
    return _through(36, text)


def _through(state: int, text: str) -> int:
    for character in text:
        state = ((state + _VALUES[character]) % 36 or 36) * 2 % 37
    return state


def file_hash(identifier: str) -> str:
    """The hash of a licence's file, which itself never leaves the department."""
    return blake2b(identifier.encode(), digest_size=32).hexdigest()


def id_card_term(birth: date, issued: date) -> date | None:
    """The last day of an identity card issued on a day: 10 years under 26, 20 under 46, for ever after that."""
    age = issued.year - birth.year - ((issued.month, issued.day) < (birth.month, birth.day))
    return None if age >= 46 else issued.replace(year=issued.year + (10 if age < 26 else 20), day=min(issued.day, 28))


def with_status(dice: Dice, licence: Licence, status: str, day: date) -> Licence:
    """The same licence with another status since a day, handled after whatever was done to it before."""
    moment = max(office_moment(dice, day), licence.handled + timedelta(minutes=1))
    return replace(licence, status=status, handled=moment)


def office_moment(dice: Dice, day: date) -> datetime:
    """A moment in the office hours of a day."""
    return datetime(day.year, day.month, day.day) + timedelta(seconds=office_second(dice))
