"""Which rows of the version of a model that evidence is about fail its rules: of the refused candidate, as long as its
refusal stands, or of the published version, which fails advice only.

Belongs here: which version that is, what its rules were asked of, which candidates are kept for it. Does not belong
here: the rows of one rule (`pipelines.evidence.failing`), who may see them, files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from pipelines.contracts.load import Contracts, ProductContract, rule_context
from pipelines.contracts.rules import Context, Rule
from pipelines.engine import connect
from pipelines.evidence.failing import Row, of_rule
from pipelines.lake import delta
from pipelines.lake.errors import LakeError
from pipelines.lake.zones import Lake, library_of
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipt, Receipts, Stage
from pipelines.release.explain import ROWS
from pipelines.release.ledger import RELEASE, Ledger

ASKED = "asked"
"""What the receipt of a model's evidence calls `RulesAsked`; receipts of old have none."""
Places = Sequence[tuple[str, str]]
"""Raw rows: the source, with the role if there are several of it, and `batch:row`."""


@dataclass(frozen=True)
class RulesAsked:
    """Of what the rules of a model were asked. `contract`: its hash; `previous`: the version published then; `beside`:
    the versions of the other models that rules name, None for a candidate of the same edition."""

    contract: str
    day: date
    version: int
    previous: int | None
    confirmed: int | None
    beside: Mapping[str, int | None]

    def stored(self) -> dict[str, Any]:
        """As JSON for a receipt."""
        return {**asdict(self), "day": self.day.isoformat()}

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "RulesAsked":
        """What `stored` made."""
        return cls(**{**body, "day": date.fromisoformat(body["day"])})


@dataclass(frozen=True)
class Found:
    """What a rule found. `failed`: as the evidence says, None of advice; `rows`: None for a rule about the table as a
    whole."""

    rule: Rule
    failed: int | None
    rows: Sequence[Row] | None


@dataclass(frozen=True)
class Judged:
    """A version and its failing rows. `refused`: whether it is a candidate that was refused, else it is published."""

    model: str
    edition: str
    version: int
    refused: bool
    found: tuple[Found, ...]


def models_of(contract: ProductContract) -> list[str]:
    """The other models that rules of a contract look at."""
    rules = (*contract.rules, *contract.advice)
    named = (rule.arguments.get("model") or rule.arguments.get("of") for rule in rules)
    return sorted({name for name in named if isinstance(name, str)} - {contract.form.model})


def kept_candidates(contracts: Contracts, receipts: Receipts, lake: Lake) -> list[Path]:
    """The candidates of which somebody may ask which rows failed: of each model the last one that was judged, if rows
    of it failed, and what its rules saw beside it. They go when the next one is judged."""
    found = []
    for model in contracts.models:
        last = receipts.last(Stage.EVIDENCE, model)
        if last is not None and _some_failed(last):
            beside = [name for name, version in last.body[ASKED]["beside"].items() if version is None]
            found += [lake.candidate(last.body["edition"], library_of(name), name) for name in (model, *beside)]
    return found


def failing(
    contracts: Contracts,
    ledger: Ledger,
    receipts: Receipts,
    lake: Lake,
    model: str,
    rule: str | None,
    most: int,
    published: bool = False,
) -> Judged:
    """Of each rule that rows fail, or of one, the first `most` of them: of the candidate that was refused last, or, if
    none is or `published` is asked for, of the published version.

    Raises CitylakeError for a model of which nothing is judged or kept, or whose contract is another one since.
    """
    contract = _contract(contracts, model, rule)
    version = _refused(receipts, lake, model) if not published else None
    version = version or _published(ledger, receipts, lake, model)
    if version is None:
        raise CitylakeError("failing.nothing_judged", subject=model)
    asked, edition = RulesAsked.read(version.evidence[ASKED]), version.evidence["edition"]
    if asked.contract != contract.hash:
        raise CitylakeError("failing.other_contract", subject=model, edition=edition)
    context = _context(contracts, ledger, lake, model, edition, asked, _relation(version.location, version.version))
    failed = {one["rule"]: one["failed"] for one in version.evidence["rules"]}
    failing_rules = (one for one in contract.rules if failed.get(one.id))
    rules = [one for one in (*failing_rules, *contract.advice) if rule in (None, one.id)]
    books = next((column.name for column in contract.columns if column.name == ROWS), None)
    with connect(lake.scratch()) as con:
        found = []
        for one in rules:
            try:
                rows = of_rule(con, one, context, contract.form.key, books, most)
            except duckdb.Error as error:  # its text may quote values
                about = {"subject": model, "rule": one.id, "problem": type(error).__name__}
                raise CitylakeError("failing.cannot_ask", **about) from None
            found.append(Found(one, failed.get(one.id), rows))
    return Judged(
        model, edition, version.version, version.refused, tuple(one for one in found if one.failed or one.rows)
    )


def places(row: Row) -> Places:
    """The raw rows that a row was made from."""
    return tuple(json.loads(row.books).items()) if row.books else ()


def _some_failed(evidence: Receipt) -> bool:
    """Whether rules failed, and what they were asked of is told: evidence of old does not tell it."""
    return ASKED in evidence.body and any(rule["failed"] for rule in evidence.body["rules"])


@dataclass(frozen=True)
class _Version:
    """A version that was judged: where it lies, and the body of its evidence."""

    evidence: Mapping[str, Any]
    location: Path
    version: int
    refused: bool


def _contract(contracts: Contracts, model: str, rule: str | None) -> ProductContract:
    if model in contracts.products:
        raise CitylakeError("failing.of_product", subject=model, model=contracts.products[model].contract.form.model)
    if model not in contracts.models:
        raise CitylakeError("explain.no_model", model=model, known="、".join(sorted(contracts.models)))
    contract = contracts.models[model]
    known = [one.id for one in (*contract.rules, *contract.advice)]
    if rule is not None and rule not in known:
        raise CitylakeError("failing.no_rule", subject=model, rule=rule, known="、".join(known))
    return contract


def _refused(receipts: Receipts, lake: Lake, model: str) -> _Version | None:
    """The candidate that was judged last, if rows of it failed. Raises CitylakeError if it is gone."""
    last = receipts.last(Stage.EVIDENCE, model)
    if last is None or not _some_failed(last):
        return None
    location = lake.candidate(last.body["edition"], library_of(model), model)
    if not location.is_dir():
        raise CitylakeError("failing.candidate_gone", subject=model, edition=last.body["edition"])
    return _Version(last.body, location, last.body[ASKED]["version"], True)


def _published(ledger: Ledger, receipts: Receipts, lake: Lake, model: str) -> _Version | None:
    """The published version, if its evidence says what rules were asked of."""
    entry = ledger.published().get(model)
    told = receipts.of_edition(Stage.EVIDENCE, model, entry.edition) if entry else []
    if entry is None or entry.version is None or not told or ASKED not in told[0].body:
        return None
    return _Version(told[0].body, lake.released(library_of(model), model), entry.version, False)


def _context(
    contracts: Contracts, ledger: Ledger, lake: Lake, model: str, edition: str, asked: RulesAsked, relation: str
) -> Context:
    previous = (
        _relation(lake.released(library_of(model), model), asked.previous) if asked.previous is not None else None
    )
    beside = {name: _beside(ledger, lake, name, version, edition) for name, version in asked.beside.items()}
    about = {"today": asked.day, "previous": previous, "confirmed": asked.confirmed, "models": beside}
    return rule_context(contracts, relation=relation, **about)


def _beside(ledger: Ledger, lake: Lake, model: str, version: int | None, edition: str) -> str:
    """Another model as it was looked at. What stood beside a candidate in its edition was released by it, or refused
    too and is kept."""
    released = lake.released(library_of(model), model)
    if version is None:
        candidate = lake.candidate(edition, library_of(model), model)
        if candidate.is_dir():
            newest = delta.latest(candidate)
            return _relation(candidate, newest if newest is not None else 0)
        releases = [one for one in ledger.history(model) if one.kind == RELEASE and one.edition == edition]
        version = releases[0].version if releases else None
    if version is None:
        raise CitylakeError("failing.beside_gone", model=model, edition=edition)
    return _relation(released, version)


def _relation(location: Path, version: int) -> str:
    """SQL of a version. Raises CitylakeError if it is gone."""
    try:
        read = delta.scan(delta.open_table(location, version))
    except LakeError as error:
        raise CitylakeError("failing.version_gone", location=location.name, version=version) from error
    return f"(SELECT {read.columns} FROM {read.source})"
