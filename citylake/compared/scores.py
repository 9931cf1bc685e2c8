"""Recall and precision of one kind, their sums, and the table in which people read them."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.messages import translate


@dataclass(frozen=True)
class Score:
    """One kind: how many were planted and how many of these found; how many the platform told of, and how many of those
    rightly. `told` is None where the platform tells of nothing: it is to take what is planted as if nothing were wrong.
    """

    kind: str
    planted: int
    found: int
    told: int | None = None
    right: int = 0

    @property
    def recall(self) -> float:
        """The share of the planted ones that was found; 1 if none was planted."""
        return self.found / self.planted if self.planted else 1.0

    @property
    def precision(self) -> float:
        """The share of what was told that is right; 1 if nothing was told."""
        return self.right / self.told if self.told else 1.0

    def __add__(self, other: "Score") -> "Score":
        told = None if self.told is None and other.told is None else (self.told or 0) + (other.told or 0)
        return Score(self.kind, self.planted + other.planted, self.found + other.found, told, self.right + other.right)


def summed(scores: Iterable[Score]) -> list[Score]:
    """One score for each kind, in the order in which the kinds first come."""
    total: dict[str, Score] = {}
    for score in scores:
        total[score.kind] = total[score.kind] + score if score.kind in total else score
    return list(total.values())


PLANTED = ("planted.of", "planted.planted", "planted.found", "planted.recall", "planted.told", "planted.precision")
TRUE = ("truth.of", "truth.true", "truth.right", "planted.recall", "truth.said", "planted.precision")
"""Heads of the columns, of what was planted and of what is true."""


def table(scores: Iterable[Score], undetectable: Mapping[str, int], head: Sequence[str] = PLANTED) -> str:
    """The scores as a table, Chinese first. `undetectable`: what was declared so in advance, with how often it was."""
    rows = [[_both(name) for name in head]]
    for score in summed(scores):
        told = ["—", "—"] if score.told is None else [f"{score.told:,}", f"{score.precision:.4f}"]
        rows.append([name_of(score.kind), f"{score.planted:,}", f"{score.found:,}", f"{score.recall:.4f}", *told])
    for kind, count in undetectable.items():
        rows.append([f"{name_of(kind)} · {_both('planted.undetectable')}", f"{count:,}", "0", "—", "—", "—"])
    return "\n".join(_aligned(rows))


def name_of(kind: str) -> str:
    """A kind in Chinese and English."""
    return _both(f"planted.{kind}")


def _both(code: str) -> str:
    return f"{translate(code, 'zh')} {translate(code, 'en')}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Columns of equal width on a terminal, the first to the left, numbers to the right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        cells = [name + " " * (widths[0] - _width(name))]
        cells += [" " * (width - _width(cell)) + cell for cell, width in zip(numbers, widths[1:], strict=True)]
        yield "  ".join(cells)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
