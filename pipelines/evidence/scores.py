"""Scores of the six quality characteristics of GB/T 36344-2018, from counts of rules: X = A / B.

A is what satisfies a rule, B what was evaluated. Scores inform; gates are separate and judge each rule by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.admission.compile import ERASED_ROW, UNREADABLE
from pipelines.contracts.load import SourceContract
from pipelines.contracts.rules import Dimension

ACCESSIBILITY = "可访问性"
DIMENSIONS = (*(dimension.value for dimension in Dimension), ACCESSIBILITY)
WEIGHTS = {"规范性": 0.20, "完整性": 0.20, "准确性": 0.25, "一致性": 0.15, "时效性": 0.15, ACCESSIBILITY: 0.05}
"""Shares in the total. No standard gives them: they are this platform's proposal and shown with every total."""
GRADES = ((0.95, "A"), (0.90, "B"), (0.80, "C"), (0.70, "D"), (0.0, "E"))


@dataclass(frozen=True)
class Score:
    """One characteristic: how many rules measure it, how many values they evaluated and how many failed."""

    dimension: str
    rules: int
    evaluated: int
    failed: int

    @property
    def satisfied(self) -> int:
        """A: the values that satisfy; B is `evaluated`."""
        return self.evaluated - min(self.failed, self.evaluated)

    @property
    def passed(self) -> float | None:
        """X = A / B; None where nothing was evaluated."""
        return self.satisfied / self.evaluated if self.evaluated else None


def of_release(rules: Sequence[Mapping[str, Any]]) -> list[Score]:
    """The five characteristics that rules measure, from the rule proofs of one released version."""
    found = []
    for dimension in DIMENSIONS[:-1]:
        mine = [rule for rule in rules if rule.get("dimension") == dimension]
        found.append(Score(dimension, len(mine), _total(mine, "evaluated"), _total(mine, "failed")))
    return found


def of_batch(contract: SourceContract, received: int, by_rule: Mapping[str, int]) -> list[Score]:
    """The same for one admitted batch: every rule looks at every received row, and a NULL where none is due passes.

    Failures by rules that the present contract does not know any more count as 准确性, so that none is lost.
    """
    dimensions = {rule.id: rule.about.dimension.value for rule in contract.rules if rule.about.of_rows}
    dimensions |= {f"{column.name}.type": Dimension.NORMALISATION.value for column in contract.columns}
    dimensions |= {UNREADABLE: Dimension.NORMALISATION.value} if UNREADABLE in by_rule else {}
    found = []
    for dimension in DIMENSIONS[:-1]:
        rules = {name for name, measured in dimensions.items() if measured == dimension}
        wrong = by_rule.keys() - {ERASED_ROW}  # what was withheld by order says nothing of its source
        failing = {name for name in wrong if dimensions.get(name, Dimension.ACCURACY.value) == dimension}
        failed = sum(by_rule[name] for name in failing)
        found.append(Score(dimension, len(rules | failing), received * len(rules | failing), failed))
    return found


def of_service(timely: bool, readable: bool) -> list[Score]:
    """What is measured on the service and not on rows: delivered in time, and readable now."""
    return [Score(Dimension.TIMELINESS.value, 1, 1, int(not timely)), *of_reading(readable)]


def of_reading(readable: bool) -> list[Score]:
    """Whether a dataset can be read now."""
    return [Score(ACCESSIBILITY, 1, 1, int(not readable))]


def merged(*lists: Sequence[Score]) -> list[Score]:
    """Scores of several measurements together, in the order of the standard."""
    found = []
    for dimension in DIMENSIONS:
        mine = [score for scores in lists for score in scores if score.dimension == dimension]
        counts = (sum(getattr(score, name) for score in mine) for name in ("rules", "evaluated", "failed"))
        found.append(Score(dimension, *counts))
    return found


def total(scores: Sequence[Score]) -> float | None:
    """The weighted mean of the characteristics that were measured, 0 to 1; None where none was."""
    measured = [(WEIGHTS[score.dimension], score.passed) for score in scores if score.passed is not None]
    weight = sum(share for share, _ in measured)
    return sum(share * passed for share, passed in measured) / weight if weight else None


def grade(score: float) -> str:
    """A (from 0.95), B (0.90), C (0.80), D (0.70) or E."""
    return next(letter for floor, letter in GRADES if score >= floor)


def _total(rules: Sequence[Mapping[str, Any]], key: str) -> int:
    return sum(int(rule.get(key) or 0) for rule in rules)
