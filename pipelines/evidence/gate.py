"""The proof of one candidate: every check made, none skipped, and all findings put together as evidence.

A bad candidate never raises here: what cannot be checked is an `error`. Whether the evidence suffices is decided in
`pipelines.release.decision`.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Protocol, TypeVar

import duckdb
import pyarrow as pa

from pipelines.contracts.load import Contracts, Product, ProductContract
from pipelines.contracts.models import LogicalType
from pipelines.contracts.rules import Context
from pipelines.evidence.expectations.shape import COLUMNS, type_of
from pipelines.evidence.record import Check, Evidence, RuleProof, Statement, Value
from pipelines.evidence.rules import RuleResult, measure
from pipelines.evidence.suite import Disagreement, Opinion, SecondOpinion, SuiteError, agreement, second_opinion
from pipelines.privacy.anonymity import Before, k_anonymous
from pipelines.privacy.attack import bounds, differences
from pipelines.privacy.positions import DECIMALS, Box, too_exact
from pipelines.privacy.scanner import scan
from pipelines.privacy.sensitivity import ROWS, Sensitivity

logger = logging.getLogger(__name__)

Made = TypeVar("Made")


class Counts(Protocol):
    """A table of counts: what its candidate is cut from, and what was released of it before."""

    @property
    def truth(self) -> pa.Table:
        """All its rows, small or not."""

    @property
    def before(self) -> Before | None:
        """The release before, None if there is none that could be compared."""


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
    schema = _guarded("schema", lambda: _schema(con, contract, context.relation))
    measured = _attempt(lambda: measure(con, contract.rules, context))
    asked = _attempt(lambda: second_opinion(con, contract.rules, context, _promised(contract)))
    results = [] if isinstance(measured, Exception) else measured
    opinions = SecondOpinion((), {}) if isinstance(asked, Exception) else asked
    differing = agreement([*results, *_shape(contract, schema)], opinions.opinions)
    checks = (
        schema,
        _error("rules", measured) if isinstance(measured, Exception) else _rules(contract.form.model, results),
        _error("second_opinion", asked) if isinstance(asked, Exception) else _agreed(differing),
    )
    rules = tuple(_rule_proofs(results, opinions))
    return Evidence(contract.form.model, fingerprint, checks, rules, opinions.suite)


def prove_product(
    con: duckdb.DuckDBPyConnection,
    product: Product,
    contracts: Contracts,
    relation: str,
    model_rows: int,
    fingerprint: str,
    counts: Counts | None,
    sensitivity: Sensitivity,
) -> Evidence:
    """Check the candidate of a product as its channel will show it. `model_rows`: rows of the model it is cut from;
    `counts`: the whole of a table of counts, None for any other; `sensitivity`: of the models as they are built.

    Open products are also searched for personal values, and always state their anonymity and what attacks on it gave.
    """
    checks: dict[str, Callable[[], Check]] = {
        "allow_list": partial(_allow_list, con, product, relation),
        "levels": partial(_levels, product, contracts),
        "lineage": partial(_lineage, product, sensitivity),
        "rows": partial(_rows, con, relation, model_rows, product.form.anonymity is not None),
    }
    if product.channel == "open":
        checks["personal_values"] = partial(_personal_values, con, product, contracts, relation)
    if product.channel == "open" or product.form.anonymity is not None:
        checks["anonymity"] = partial(_anonymity, con, product, relation)
        checks["attack"] = partial(_attack, con, product, relation, counts)
    found = tuple(_guarded(name, check) for name, check in checks.items())
    derived = _attempt(lambda: _derived(product, sensitivity))
    return Evidence(product.id, fingerprint, found, levels=None if isinstance(derived, Exception) else derived)


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


def _schema(con: duckdb.DuckDBPyConnection, contract: ProductContract, relation: str) -> Check:
    found = _columns(con, relation)
    promised = _promised(contract)
    deviations = list(_names(promised, found))
    for name, logical in promised.items():
        # a list of decimals, DECIMAL(10,2)[], is none
        if name in found and re.sub(r"^DECIMAL\(\d+,\d+\)$", "DECIMAL", found[name]) not in TYPES[logical]:
            about: dict[str, Value] = {"column": name, "expected": logical, "found": found[name]}
            deviations.append(Statement("evidence.column_type", about))
    return _verdict("schema", deviations)


def _promised(contract: ProductContract) -> dict[str, LogicalType]:
    return {column.name: column.definition.logicalType for column in contract.columns}


def _shape(contract: ProductContract, schema: Check) -> Iterator[Opinion]:
    """What the check of the schema found, under the names by which the second opinion is asked; nothing if it could
    not be made."""
    if schema.status == "error":
        return
    wrong = [detail.arguments["column"] for detail in schema.details if detail.code == "evidence.column_type"]
    yield Opinion(COLUMNS, None, len(schema.details) - len(wrong))
    for name in _promised(contract):
        yield Opinion(type_of(name), None, int(name in wrong))


def _rules(model: str, results: Sequence[RuleResult]) -> Check:
    return _verdict("rules", [_broken(model, result) for result in results if result.failed])


def _broken(model: str, result: RuleResult) -> Statement:
    if result.verb == VOLUME:
        about: dict[str, Value] = {"subject": model, "rule": result.rule_id, "beyond": result.failed}
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
    found = [
        Statement(f"evidence.personal_{found.kind}", {"column": found.column, "rows": found.rows})
        for found in scan(con, relation)
    ]
    box = _box(contracts)
    admitted = _admitted_positions(product)
    for column, rows in too_exact(con, relation, box, admitted).items() if box else ():
        about: dict[str, Value] = {"column": column, "rows": rows, "decimals": DECIMALS}
        found.append(Statement("evidence.personal_position", about))
    return _verdict("personal_values", found)


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
    """The fewest values that a withheld count may have, for somebody who has this release and the one before."""
    anonymity = product.form.anonymity
    if anonymity is None:
        return Check("attack", "pass", None, None)
    if counts is None:
        raise ValueError("a table of counts is proved together with what it was cut from")
    shown = con.sql(f"SELECT * FROM {relation}").to_arrow_table()
    attacks = {"evidence.cells_bounded": bounds(counts.truth, shown, anonymity)}
    if counts.before is not None:
        attacks["evidence.cells_differ"] = differences(counts.truth, shown, counts.before, anonymity)
    found = tuple(
        Statement(code, {"cells": attack.broken, "k": anonymity.k}) for code, attack in attacks.items() if attack.broken
    )
    narrowest = min((one.narrowest for one in attacks.values() if one.narrowest is not None), default=None)
    return Check("attack", "fail" if found else "pass", narrowest, anonymity.k, found)


def _anonymity(con: duckdb.DuckDBPyConnection, product: Product, relation: str) -> Check:
    """The smallest group against k; a product that declares no counts of people has neither."""
    anonymity = product.form.anonymity
    if anonymity is None:
        return Check("anonymity", "pass", None, None)
    cells = k_anonymous(con, relation, anonymity)
    if not cells.violations:
        return Check("anonymity", "pass", cells.k_min, anonymity.k)
    about: dict[str, Value] = {"rows": cells.violations, "k": anonymity.k}
    return Check("anonymity", "fail", cells.k_min, anonymity.k, (Statement("evidence.small_cells", about),))
