"""What a proof leaves behind: checks, rule results and the suite, bound to one version, and their form as JSON.

Types only; making them belongs to `gate`, judging them to `pipelines.release.decision`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipelines.messages import translate

Status = Literal["pass", "fail", "error"]
Value = int | float | str | None


@dataclass(frozen=True)
class Statement:
    """A sentence to be said in the reader's language: a message id and what fills its places."""

    code: str
    arguments: Mapping[str, Value]

    def text(self, language: str) -> str:
        """The sentence in `zh` or `en`. Raises KeyError for an unknown id."""
        return translate(self.code, language, **self.arguments)


@dataclass(frozen=True)
class Check:
    """One check of one version. `error`: it could not be made, which closes like `fail`.

    `measured` is to be compared with `threshold`, in the unit of the check: deviations, rules, rows or a level.
    """

    check: str
    status: Status
    measured: Value
    threshold: Value
    details: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class RuleProof:
    """What a rule found and what the second opinion found, None where there is none."""

    rule: str
    verb: str
    kind: str
    dimension: str
    columns: tuple[str, ...]
    evaluated: int
    failed: int
    second_opinion: int | None


@dataclass(frozen=True)
class Evidence:
    """All that was found out about the version `fingerprint` of a model or product. `suite` holds no values of rows.
    `levels`: of a product, by column and for its rows (`*`) the levels derived from its SQL: `value` and `influence`.
    """

    subject: str
    fingerprint: str
    checks: tuple[Check, ...]
    rules: tuple[RuleProof, ...] = ()
    suite: Mapping[str, Any] | None = None
    levels: Mapping[str, Mapping[str, int]] | None = None

    def check(self, name: str) -> Check | None:
        """The check of that name."""
        return next((check for check in self.checks if check.check == name), None)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dictionaries under the names of the fields."""
        return asdict(self) | {
            "checks": [asdict(check) | {"details": [asdict(item) for item in check.details]} for check in self.checks],
            "rules": [asdict(rule) | {"columns": list(rule.columns)} for rule in self.rules],
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Evidence":
        """What `to_json` made. Raises TypeError or KeyError for anything else."""
        checks = (
            Check(**{**check, "details": tuple(Statement(**item) for item in check["details"])})
            for check in body["checks"]
        )
        rules = (RuleProof(**{**rule, "columns": tuple(rule["columns"])}) for rule in body["rules"])
        levels = body.get("levels")  # older evidence has none
        return cls(body["subject"], body["fingerprint"], tuple(checks), tuple(rules), body["suite"], levels)
