"""Seeded randomness: everything the demo city leaves to chance is drawn here, so that one seed gives one city.

No people and no probabilities belong here, only the dice.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A stream of chance named by a seed and labels (a village code, a day, a purpose).

    Streams with different labels are independent, so a change in one village or day does not shift the others.
    Only ``random.Random.random`` is used: it is the one method whose stream Python promises to keep.
    """

    __slots__ = ("random",)

    def __init__(self, seed: int, *labels: object) -> None:
        digest = blake2b(repr((seed, *labels)).encode(), digest_size=8).digest()
        self.random = Random(int.from_bytes(digest, "big")).random

    def below(self, limit: int) -> int:
        """A whole number in ``0 .. limit - 1``."""
        return int(self.random() * limit)

    def between(self, low: int, high: int) -> int:
        """A whole number in ``low .. high``, both included."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.random() < probability

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, all equally likely (repeat a choice, or use ``deck``, to make it likelier)."""
        return choices[int(self.random() * len(choices))]

    def shuffle(self, cards: list[T] | bytearray) -> None:
        """Shuffle in place (Fisher-Yates)."""
        for last in range(len(cards) - 1, 0, -1):
            other = int(self.random() * (last + 1))
            cards[last], cards[other] = cards[other], cards[last]  # type: ignore[assignment]


def deck(text: str) -> tuple[str, ...]:
    """A weighted deck from text: ``"王*8 李*5 欧阳"`` holds 王 eight times, 李 five times, 欧阳 once."""
    cards: list[str] = []
    for word in text.split():
        card, _, copies = word.partition("*")
        cards.extend([card] * int(copies or 1))
    return tuple(cards)
