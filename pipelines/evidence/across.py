"""Rules that see rows beside others, of another source or their own, asked of what is admitted: how much is looked at,
how much fails, and which.

Which rows or entries fail is nowhere kept: whoever may see them asks again of the very versions that were looked at
(`Looked.versions`), so that nothing personal is stored twice and an erased person is in no answer. Refuses no row and
closes no gate; what fails beyond the tolerance is an issue of the source's owner.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import duckdb

from pipelines.codecs.sql import identifier
from pipelines.contracts.load import Contracts, SourceContract, rule_context
from pipelines.contracts.rules import Rule
from pipelines.contracts.rules.across import beyond
from pipelines.contracts.texts import LANGUAGES
from pipelines.engine import connect
from pipelines.issues import Finding
from pipelines.lake.edition import CoreVersion, current_rows
from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError, translate
from pipelines.register.chain import canonical

AREA = "across"
"""The area of the issues."""
REAL_TIME = "实时"
EMPTY = ("covers", "near_others")
"""Verbs that say nothing where there is nothing to look at: an empty register, groups that are too small."""


@dataclass(frozen=True)
class Looked:
    """What one rule found. `looked`: entries expected, or rows that refer; `failed` of them; `open`: as many, or 0
    within the tolerance; `versions`: of both sources; `arguments`: what was asked, empty in receipts of old."""

    rule: str
    verb: str
    of: str
    kind: str
    dimension: str
    looked: int
    failed: int
    open: int
    versions: Mapping[str, int]
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What all rules of one source found on a day. `waiting`: rules that could not be asked, because nothing
    is admitted of one of their sources yet, or not all columns."""

    inputs: str
    day: str
    looked: tuple[Looked, ...] = ()
    waiting: tuple[str, ...] = field(default=())

    def stored(self) -> dict[str, Any]:
        """As JSON for a receipt."""
        return asdict(self)

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Seen":
        """What `stored` made."""
        return cls(body["inputs"], body["day"], tuple(Looked(**one) for one in body["looked"]), tuple(body["waiting"]))


def inputs(
    contract: SourceContract, contracts: Contracts, sources: Mapping[str, CoreVersion], day: date, rewritings: int
) -> str:
    """SHA-256 of all that the answers depend on: rules, versions of the sources, the day, and how often erasures and
    ended periods changed what these versions hold.

    A source in real time has a batch every few minutes, and each would have its whole history asked again: its first
    batch of the day stands for all of that day.
    """
    names = dict.fromkeys([contract.id, *(_other(rule, contract) for rule in contract.across)])
    versions = {name: _standing(contracts.sources[name], sources[name]) for name in names if name in sources}
    rules = [[rule.id, dict(rule.arguments)] for rule in contract.across]
    return hashlib.sha256(canonical([rules, versions, day.isoformat(), rewritings]).encode()).hexdigest()


def look(
    contract: SourceContract,
    contracts: Contracts,
    sources: Mapping[str, CoreVersion],
    lake: Lake,
    day: date,
    answers_to: str,
) -> Seen:
    """Ask every rule of a source as of these versions; of a source without one all wait. `answers_to`: `inputs`."""
    seen = Seen(answers_to, day.isoformat())
    with connect(lake.scratch()) as con:
        for rule in contract.across:
            if _ready(rule, contract, sources):
                seen = replace(seen, looked=(*seen.looked, _look(con, rule, contract, contracts, sources, day)))
            else:
                seen = replace(seen, waiting=(*seen.waiting, rule.id))
    return seen


def findings(contract: SourceContract, contracts: Contracts, seen: Seen) -> Iterator[Finding]:
    """An issue for each rule with more failures than it tolerates, or without an answer. Counts only: an issue names
    nobody."""
    for one in seen.looked:
        if one.open:
            about = {
                **{"subject": contract.id, "of": one.of, "name": _name(contracts, one.of), "rule": one.rule},
                **{"looked": one.looked, "failed": one.failed, "arrived": one.looked - one.failed},
            }
            yield Finding(f"{AREA}.{one.verb}", about, "warning", one.rule, one.open)
    yield from unanswered(contract, contracts, seen)


def unanswered(contract: SourceContract, contracts: Contracts, seen: Seen) -> Iterator[Finding]:
    """A warning, not an error, for each rule that could not be asked or had nothing to look at: on the first day of an
    installation, and before a first delivery is due, it is nobody's fault."""
    nothing = {one.rule for one in seen.looked if not one.looked and one.verb in EMPTY}
    for rule in contract.across:
        about = {"subject": contract.id, "rule": rule.id, "of": _other(rule, contract)}
        about["name"] = _name(contracts, about["of"])
        if rule.id in seen.waiting:
            yield Finding(f"{AREA}.waiting", about, "warning", rule.id)
        elif rule.id in nothing:
            yield Finding(f"{AREA}.empty_{rule.verb}", about, "warning", rule.id)


def unasked(contract: SourceContract, contracts: Contracts, seen: Seen) -> set[str]:
    """The identities of the problems that nobody could look for: an open one is not solved by that."""
    silent = {finding.key for finding in unanswered(contract, contracts, seen)}
    return {f"{AREA}.{rule.verb}:{rule.id}" for rule in contract.across if rule.id in silent}


def failing(
    contract: SourceContract, contracts: Contracts, lake: Lake, rule: Rule, seen: Seen
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Which ones failed, asked again of the versions that were looked at: names of the columns, and the rows in order.

    Raises StopIteration if the rule was not asked, CitylakeError if it was asked something else than the contract says
    now, LakeError if a version is gone.
    """
    one = next(one for one in seen.looked if one.rule == rule.id)
    if canonical(dict(one.arguments)) != canonical(dict(rule.arguments)):
        raise CitylakeError(f"{AREA}.other_question", subject=contract.id, rule=rule.id, day=seen.day)
    sources = {name: _version(contracts.sources[name], lake, version) for name, version in one.versions.items()}
    with connect(lake.scratch()) as con:
        asked = _query(rule, contract, contracts, sources, date.fromisoformat(seen.day))
        found = con.execute(f"SELECT * EXCLUDE (_good) FROM ({asked}) WHERE NOT _good ORDER BY ALL")
        return [name for name, *_ in found.description or ()], found.fetchall()


def title(name: str, contract: SourceContract, other: SourceContract) -> dict[str, str]:
    """What a column of `failing` is called, by language: its field's name; what was computed is named after that."""
    fields = {column.name: column.definition for column in (*other.all_columns, *contract.all_columns)}
    base, _, computed = (name, "", "") if name in fields else name.rpartition("_")
    names = dict(zip(LANGUAGES, (fields[base].businessName, fields[base].businessNameEn), strict=True))
    if not computed:
        return names
    return {language: translate(f"across.{computed}", language, name=names[language]) for language in LANGUAGES}


def _standing(contract: SourceContract, source: CoreVersion) -> list[Any]:
    if contract.form.slaProperties.frequency == REAL_TIME:
        return sorted(source.columns)
    return [source.version, source.batch]


def _name(contracts: Contracts, source: str) -> str:
    return contracts.sources[source].form.name if source in contracts.sources else source


def _version(contract: SourceContract, lake: Lake, version: int) -> CoreVersion:
    columns = tuple(column.name for column in contract.all_columns)
    return CoreVersion(lake.core(contract.org, contract.dataset), version, 0, tuple(contract.form.load.key), columns)


def _ready(rule: Rule, contract: SourceContract, sources: Mapping[str, CoreVersion]) -> bool:
    """Whether both sources have rows with all the columns that the rule names: a column may be newer than core."""
    mine, theirs = _names(rule)
    known = {name: set(source.columns) for name, source in sources.items()}
    return mine <= known.get(contract.id, set()) and theirs <= known.get(_other(rule, contract), set())


def _other(rule: Rule, contract: SourceContract) -> str:
    """The source that rows are held against; the same one, if none is named."""
    return str(rule.arguments.get("of", contract.id))


def _names(rule: Rule) -> tuple[set[str], set[str]]:
    return set(rule.columns), set(rule.their_columns)


def _look(
    con: duckdb.DuckDBPyConnection,
    rule: Rule,
    contract: SourceContract,
    contracts: Contracts,
    sources: Mapping[str, CoreVersion],
    day: date,
) -> Looked:
    asked = _query(rule, contract, contracts, sources, day)
    ((looked, failed),) = con.execute(f"SELECT count(*), count(*) FILTER (WHERE NOT _good) FROM ({asked})").fetchall()
    of = _other(rule, contract)
    versions = {name: sources[name].version for name in dict.fromkeys((contract.id, of))}
    open_ = beyond(dict(rule.arguments), looked, failed)
    about = rule.verb, of, rule.about.kind.value, rule.about.dimension.value
    return Looked(rule.id, *about, looked, failed, open_, versions, dict(rule.arguments))


def _query(
    rule: Rule, contract: SourceContract, contracts: Contracts, sources: Mapping[str, CoreVersion], day: date
) -> str:
    of = _other(rule, contract)
    mine, theirs = _names(rule)
    context = rule_context(
        contracts,
        today=day,
        relation=_rows(sources[contract.id], mine),
        models={of: _rows(sources[of], theirs)},
    )
    return rule.sql(context)


def _rows(source: CoreVersion, columns: set[str]) -> str:
    listed = ", ".join(map(identifier, sorted(columns)))
    return f"(SELECT {listed} FROM ({current_rows(source, sorted(columns))}))"
