"""The proof of one candidate: every check made, none skipped, and all findings put together as evidence.

A bad candidate never raises here: what cannot be checked is an `error`. Whether the evidence suffices is decided in
`pipelines.release.decision`.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from typing import Any, Protocol, TypeVar

import duckdb
import pyarrow as pa

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.forms.products import OpenChannelForm, Overruled
from pipelines.contracts.forms.words import LogicalType
from pipelines.contracts.load import Contracts, Product, ProductContract, rule_context
from pipelines.contracts.rules import Context, Rule
from pipelines.evidence.expectations.shape import COLUMNS, type_of
from pipelines.evidence.record import Check, Evidence, RuleProof, Statement, Value
from pipelines.evidence.rules import RuleResult, measure
from pipelines.evidence.shown import shown_rules, shown_types
from pipelines.evidence.suite import Disagreement, Opinion, SecondOpinion, SuiteError, agreement, second_opinion
from pipelines.privacy.anonymity import Before, k_anonymous, separating, twins, unsaid_periods
from pipelines.privacy.attack import bounds, differences, moves
from pipelines.privacy.positions import DECIMALS, Box, too_exact
from pipelines.privacy.scanner import kinds_in, scan, without
from pipelines.privacy.sensitivity import ROWS, Sensitivity

logger = logging.getLogger(__name__)

Made = TypeVar("Made")


class Counts(Protocol):
    """A table of counts: what its candidate is cut from, and what was released of it before, the oldest first."""

    @property
    def truth(self) -> pa.Table:
        """All its rows, small or not."""

    @property
    def earlier(self) -> Sequence[Before]:
        """The releases that can still be had and compared."""


DEGREE = "度"
"""The unit of fields that are longitudes and latitudes."""
VOLUME = "volume_change"
"""The rule whose refusal a steward may overrule (`pipelines.release.volume`)."""

TYPES: Mapping[LogicalType, frozenset[str]] = {
    "string": frozenset({"VARCHAR"}),
    "integer": frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}),
    "number": frozenset({"FLOAT", "DOUBLE", "DECIMAL"}),
    "boolean": frozenset({"BOOLEAN"}),
    "date": frozenset({"DATE"}),
    "timestamp": frozenset({"TIMESTAMP WITH TIME ZONE"}),
}
"""The DuckDB types that may hold a logical type."""


def prove_model(
    con: duckdb.DuckDBPyConnection, contract: ProductContract, context: Context, fingerprint: str
) -> Evidence:
    """Check the candidate `context.relation` of a model: schema, rules, second opinion.

    The relation and everything else the context names must be readable on `con`.
    """
    promised = {column.name: column.definition.logicalType for column in contract.columns}
    schema = _guarded("schema", lambda: _schema(con, promised, context.relation))
    asked = _asked(con, contract.form.model, contract.rules, context, promised, (schema,))
    return Evidence(contract.form.model, fingerprint, (schema, *asked.checks), asked.rules, asked.suite)


def prove_product(
    con: duckdb.DuckDBPyConnection,
    product: Product,
    contracts: Contracts,
    relation: str,
    model_rows: int,
    fingerprint: str,
    counts: Counts | None,
    sensitivity: Sensitivity,
    today: date,
) -> Evidence:
    """Check the candidate of a product as its channel will show it. `model_rows`: rows of the model it is cut from;
    `counts`: the whole of a table of counts, None for any other; `sensitivity`: of the models as they are built;
    `today`: the day of the edition.

    The rules of the contract that hold for what is shown, and its types, are asked of it too, by both. Open products
    are also searched for personal values, and always state their anonymity and what attacks on it gave.
    """
    checks: dict[str, Callable[[], Check]] = {
        "allow_list": partial(_allow_list, con, product, relation),
        "levels": partial(_levels, product, contracts),
        "lineage": partial(_lineage, product, sensitivity),
        "rows": partial(_rows, con, relation, model_rows, product.form.anonymity is not None),
        "schema": partial(_types, con, shown_types(product), relation),
    }
    if product.channel == "open":
        checks["personal_values"] = partial(_personal_values, con, product, contracts, relation)
    if product.channel == "open" or product.form.anonymity is not None:
        checks["anonymity"] = partial(_anonymity, con, product, relation, counts)
        checks["attack"] = partial(_attack, con, product, relation, counts)
    found = {name: _guarded(name, check) for name, check in checks.items()}
    context = rule_context(contracts, today=today, relation=relation)
    shape = (found["allow_list"], found["schema"])
    asked = _asked(con, product.id, shown_rules(product), context, shown_types(product), shape)
    derived = _attempt(lambda: _derived(product, sensitivity))
    levels = None if isinstance(derived, Exception) else derived
    return Evidence(product.id, fingerprint, (*found.values(), *asked.checks), asked.rules, asked.suite, levels)


@dataclass(frozen=True)
class _Asked:
    """What both found of the rules: the checks of them and of their agreement, each rule, and the suite."""

    checks: tuple[Check, Check]
    rules: tuple[RuleProof, ...]
    suite: Mapping[str, Any]


def _asked(
    con: duckdb.DuckDBPyConnection,
    subject: str,
    rules: Sequence[Rule],
    context: Context,
    promised: Mapping[str, LogicalType],
    shape: Sequence[Check],
) -> _Asked:
    """Measure the rules and ask for the second opinion of them and of the promised columns. `shape`: what we found of
    the columns."""
    measured = _attempt(lambda: measure(con, rules, context))
    asked = _attempt(lambda: second_opinion(con, rules, context, promised))
    results = [] if isinstance(measured, Exception) else measured
    opinions = SecondOpinion((), {}) if isinstance(asked, Exception) else asked
    differing = agreement([*results, *_shape(promised, shape)], opinions.opinions)
    checks = (
        _error("rules", measured) if isinstance(measured, Exception) else _rules(subject, results),
        _error("second_opinion", asked) if isinstance(asked, Exception) else _agreed(differing),
    )
    return _Asked(checks, tuple(_rule_proofs(results, opinions)), opinions.suite)


def _attempt(action: Callable[[], Made]) -> Made | Exception:
    """The result, or whatever was raised: a candidate may be broken in ways nobody listed, and each closes."""
    try:
        return action()
    except Exception as error:
        logger.warning("evidence.attempt_failed", extra={"problem": _problem(error)})
        return error


def _guarded(name: str, action: Callable[[], Check]) -> Check:
    made = _attempt(action)
    return _error(name, made) if isinstance(made, Exception) else made


def _error(name: str, error: Exception) -> Check:
    problem = _problem(error)
    return Check(name, "error", None, None, (Statement("evidence.check_error", {"check": name, "problem": problem}),))


def _problem(error: Exception) -> str:
    """What went wrong without the text of the error, which may quote values of rows."""
    return f"SuiteError: {error}" if isinstance(error, SuiteError) else type(error).__name__


def _verdict(name: str, deviations: Sequence[Statement]) -> Check:
    """A check that counts deviations and allows none."""
    return Check(name, "fail" if deviations else "pass", len(deviations), 0, tuple(deviations))


def _columns(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Name and DuckDB type of each column."""
    return {name: type_ for name, type_, *_ in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


def _names(promised: Collection[str], found: Collection[str]) -> Iterator[Statement]:
    """Columns that are missing or too many."""
    for name in promised:
        if name not in found:
            yield Statement("evidence.column_missing", {"column": name})
    for name in found:
        if name not in promised:
            yield Statement("evidence.column_extra", {"column": name})


def _schema(con: duckdb.DuckDBPyConnection, promised: Mapping[str, LogicalType], relation: str) -> Check:
    """Columns and their types."""
    wrong = _wrong_types(promised, found := _columns(con, relation))
    return _verdict("schema", [*_names(promised, found), *wrong])


def _types(con: duckdb.DuckDBPyConnection, promised: Mapping[str, LogicalType], relation: str) -> Check:
    """Types only: which columns there are is the allow list's."""
    return _verdict("schema", list(_wrong_types(promised, _columns(con, relation))))


def _wrong_types(promised: Mapping[str, LogicalType], found: Mapping[str, str]) -> Iterator[Statement]:
    for name, logical in promised.items():
        # a list of decimals, DECIMAL(10,2)[], is none
        if name in found and re.sub(r"^DECIMAL\(\d+,\d+\)$", "DECIMAL", found[name]) not in TYPES[logical]:
            about: dict[str, Value] = {"column": name, "expected": logical, "found": found[name]}
            yield Statement("evidence.column_type", about)


def _shape(promised: Mapping[str, LogicalType], checks: Sequence[Check]) -> Iterator[Opinion]:
    """What the checks of columns found, under the names by which the second opinion is asked; nothing if one of them
    could not be made."""
    if any(check.status == "error" for check in checks):
        return
    details = [detail for check in checks for detail in check.details]
    wrong = [detail.arguments["column"] for detail in details if detail.code == "evidence.column_type"]
    yield Opinion(COLUMNS, None, len(details) - len(wrong))
    for name in promised:
        yield Opinion(type_of(name), None, int(name in wrong))


def _rules(subject: str, results: Sequence[RuleResult]) -> Check:
    return _verdict("rules", [_broken(subject, result) for result in results if result.failed])


def _broken(subject: str, result: RuleResult) -> Statement:
    if result.verb == VOLUME:
        about: dict[str, Value] = {"subject": subject, "rule": result.rule_id, "beyond": result.failed}
        return Statement("evidence.volume_moved", about)
    about = {"rule": result.rule_id, "failed": result.failed, "evaluated": result.evaluated}
    return Statement("evidence.rule_failed", about)


def _agreed(disagreements: Sequence[Disagreement]) -> Check:
    return _verdict(
        "second_opinion",
        [
            Statement("evidence.opinion_differs", {"rule": item.rule_id, "ours": item.ours, "theirs": item.theirs})
            for item in disagreements
        ],
    )


def _rule_proofs(results: Sequence[RuleResult], opinion: SecondOpinion) -> Iterator[RuleProof]:
    failed = {item.rule_id: item.failed for item in opinion.opinions}
    for result in results:
        yield RuleProof(
            rule=result.rule_id,
            verb=result.verb,
            kind=result.kind,
            dimension=result.dimension,
            columns=result.columns,
            evaluated=result.evaluated,
            failed=result.failed,
            second_opinion=failed.get(result.rule_id),
        )


def _allow_list(con: duckdb.DuckDBPyConnection, product: Product, relation: str) -> Check:
    return _verdict("allow_list", list(_names([column.name for column in product.columns], _columns(con, relation))))


def _levels(product: Product, contracts: Contracts) -> Check:
    policy = contracts.city.channels[product.channel]  # type: ignore[index]
    limits = {column.name: policy.limit(column.pseudonymised) for column in product.columns}
    above = tuple(
        Statement("evidence.level_above", {"column": column.name, "level": column.level, "limit": limits[column.name]})
        for column in product.columns
        if column.level > limits[column.name]
    )
    highest = max(column.level for column in product.columns)
    return Check("levels", "fail" if above else "pass", highest, max(limits.values()), above)


def _lineage(product: Product, sensitivity: Sensitivity) -> Check:
    """What the SQL makes columns and rows of, against what the contract says they are."""
    return _verdict("lineage", [Statement(found.code, found.arguments) for found in sensitivity.of_product(product)])


def _derived(product: Product, sensitivity: Sensitivity) -> dict[str, dict[str, int]]:
    """The derived levels of what a product shows, before masks."""
    levels = sensitivity.levels(product.contract.form.model)
    shown = {ROWS: ROWS, **{column.name: column.source for column in product.columns}}
    return {name: asdict(levels[source]) for name, source in shown.items()}


def _rows(con: duckdb.DuckDBPyConnection, relation: str, model_rows: int, withholds: bool) -> Check:
    """No more rows than the model has, and not none, unless every one may be too small to be shown (`withholds`)."""
    ((rows,),) = con.execute(f"SELECT count(*) FROM {relation}").fetchall()
    # an empty model passed its own gate: whether it may be empty is a rule of its contract (row_count)
    if rows <= model_rows and (rows or withholds or not model_rows):
        return Check("rows", "pass", rows, model_rows)
    code = "evidence.too_many_rows" if rows else "evidence.no_rows"
    return Check("rows", "fail", rows, model_rows, (Statement(code, {"rows": rows, "model_rows": model_rows}),))


def _personal_values(con: duckdb.DuckDBPyConnection, product: Product, contracts: Contracts, relation: str) -> Check:
    overruled = product.form.overruled if isinstance(product.form, OpenChannelForm) else []
    box = _box(contracts)
    positions = [one for one in overruled if box and too_exact(con, f"(SELECT {literal(one.text)} AS text)", box)]
    found = [
        Statement("evidence.overruled_nothing", {"column": one.column, "reason": one.reason})
        for one in overruled
        if one not in positions and not kinds_in(con, one.text)
    ]
    found += [
        Statement(f"evidence.personal_{found.kind}", {"column": found.column, "rows": found.rows})
        for found in scan(con, relation, _texts(overruled))
    ]
    searched = without(relation, _texts(positions))
    admitted = _admitted_positions(product)
    for column, rows in too_exact(con, searched, box, admitted).items() if box else ():
        about: dict[str, Value] = {"column": column, "rows": rows, "decimals": DECIMALS}
        found.append(Statement("evidence.personal_position", about))
    if found:
        return _verdict("personal_values", found)
    return Check("personal_values", "pass", 0, 0, tuple(_overruled(con, relation, one) for one in overruled))


def _texts(overruled: Sequence[Overruled]) -> list[tuple[str, str]]:
    return [(one.column, one.text) for one in overruled]


def _overruled(con: duckdb.DuckDBPyConnection, relation: str, one: Overruled) -> Statement:
    """In how many rows a steward overruled the search, and why; or that the text stands nowhere any more."""
    holds = f"contains({identifier(one.column)}, {literal(one.text)})"
    ((rows,),) = con.execute(f"SELECT count(*) FILTER (WHERE {holds}) FROM {relation}").fetchall()
    if not rows:
        return Statement("evidence.overruled_idle", {"column": one.column, "reason": one.reason})
    return Statement("evidence.overruled", {"column": one.column, "rows": rows, "reason": one.reason})


def _box(contracts: Contracts) -> Box | None:
    """Where the city lies, as its fields of longitude and latitude say; None: it has none, and so no positions."""
    sides = [
        contracts.fields[name].logicalTypeOptions for name in ("longitude", "latitude") if name in contracts.fields
    ]
    ends = [end for side in sides for end in (side.minimum, side.maximum) if end is not None]
    return Box(*map(float, ends)) if len(ends) == 4 else None


def _admitted_positions(product: Product) -> frozenset[str]:
    """Columns that are positions by contract, of a product that says why nothing in it is about persons."""
    if getattr(product.form, "notAboutPersons", None) is None:
        return frozenset()
    fields = {column.name: column.column.definition for column in product.columns}
    return frozenset(name for name, field in fields.items() if field.geometry is not None or field.unit == DEGREE)


def _attack(con: duckdb.DuckDBPyConnection, product: Product, relation: str, counts: Counts | None) -> Check:
    """The fewest values that a withheld count may have, for somebody who has this release and all before that can still
    be had."""
    anonymity = product.form.anonymity
    if anonymity is None:
        return Check("attack", "pass", None, None)
    if counts is None:
        raise ValueError("a table of counts is proved together with what it was cut from")
    shown = con.sql(f"SELECT * FROM {relation}").to_arrow_table()
    attacks = {"evidence.cells_bounded": bounds(counts.truth, shown, anonymity)}
    if counts.earlier:
        attacks["evidence.cells_differ"] = differences(counts.truth, shown, counts.earlier, anonymity)
    broken = {code: attack.broken for code, attack in attacks.items()}
    broken["evidence.cells_moved"] = moves(shown, counts.earlier, anonymity)
    found = tuple(Statement(code, {"cells": cells, "k": anonymity.k}) for code, cells in broken.items() if cells)
    narrowest = min((one.narrowest for one in attacks.values() if one.narrowest is not None), default=None)
    return Check("attack", "fail" if found else "pass", narrowest, anonymity.k, found)


def _anonymity(con: duckdb.DuckDBPyConnection, product: Product, relation: str, counts: Counts | None) -> Check:
    """The smallest group against k; a product that declares no counts of people has neither."""
    anonymity = product.form.anonymity
    if anonymity is None:
        return Check("anonymity", "pass", None, None)
    cells = k_anonymous(con, relation, anonymity)
    told = separating(con, relation, _columns(con, relation), anonymity)
    found = [Statement("evidence.separating", {"column": name}) for name in told]
    found += [
        Statement("evidence.period_unsaid", {"column": name}) for name in unsaid_periods(con, relation, anonymity)
    ]
    for kind, column, other in twins(counts.truth, anonymity) if counts else ():
        found.append(Statement("evidence.twin", {"kind": kind, "column": column, "other": other}))
    if cells.violations:
        found.append(Statement("evidence.small_cells", {"rows": cells.violations, "k": anonymity.k}))
    return Check("anonymity", "fail" if found else "pass", cells.k_min, anonymity.k, tuple(found))
