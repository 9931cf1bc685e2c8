"""The second opinion: the contract's rules asked again by Great Expectations of the same candidate, and compared.

What each rule becomes stands in `expectations`; whether a disagreement closes anything is decided elsewhere. Great
Expectations costs 4-9 CPU seconds to import, so it is imported at the first question and once.
"""

import importlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import duckdb

from pipelines.codecs.sql import identifier
from pipelines.contracts.forms.words import LogicalType
from pipelines.contracts.rules import Context, Rule
from pipelines.evidence.expectations import Asker, Question, question
from pipelines.evidence.expectations.shape import shape
from pipelines.evidence.rules import RuleResult

# Counts only. Without these three the result quotes up to 20 values of each column.
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}


@dataclass(frozen=True)
class Opinion:
    """What Great Expectations found for one rule. `evaluated` is None where it does not count that."""

    rule_id: str
    evaluated: int | None
    failed: int


@dataclass(frozen=True)
class SecondOpinion:
    """All opinions, and `suite`: the validation result as JSON without any value of a row."""

    opinions: tuple[Opinion, ...]
    suite: dict[str, Any]


@dataclass(frozen=True)
class Disagreement:
    """A rule on which the two counts differ: failed rows, or evaluated rows where those agree; None: not answered."""

    rule_id: str
    ours: int | None
    theirs: int | None


class SuiteError(Exception):
    """Great Expectations could not answer for `rule_ids`. Its own words are left out: they may quote values."""

    def __init__(self, rule_ids: Sequence[str]) -> None:
        self.rule_ids = tuple(rule_ids)
        super().__init__(", ".join(rule_ids))


def second_opinion(
    con: duckdb.DuckDBPyConnection,
    rules: Sequence[Rule],
    context: Context,
    columns: Mapping[str, LogicalType] | None = None,
) -> SecondOpinion:
    """Ask every rule again of `context.relation`, on the same connection, and what its columns are if these are given.

    Raises SuiteError for rules without an answer, KeyError for a verb without an expectation or a model that the
    context lacks, duckdb.Error when the relation cannot be read.
    """
    asker = Asker(library(), con, context)
    questions = {rule.id: question(asker, rule) for rule in rules}
    questions |= shape(asker, columns) if columns is not None else {}
    with _view(con, context.relation) as view:
        results = _validate(asker.gx, con, view, questions)
    unanswered = [rule_id for rule_id in questions if not results[rule_id]["result"]]
    if unanswered:
        raise SuiteError(unanswered)
    opinions = tuple(Opinion(name, *asked.read(results[name]["result"])) for name, asked in questions.items())
    meta = {"great_expectations_version": asker.gx.__version__}
    return SecondOpinion(opinions, {"meta": meta, "results": list(results.values())})


def agreement(results: Sequence[RuleResult | Opinion], opinions: Sequence[Opinion]) -> list[Disagreement]:
    """The rules on which measurement and second opinion differ, or which only one of them answered."""
    ours, theirs = {result.rule_id: result for result in results}, {opinion.rule_id: opinion for opinion in opinions}
    compared = (_compare(rule_id, ours.get(rule_id), theirs.get(rule_id)) for rule_id in ours | theirs)
    return [found for found in compared if found is not None]


def _compare(rule_id: str, ours: RuleResult | Opinion | None, theirs: Opinion | None) -> Disagreement | None:
    if ours is None or theirs is None:
        return Disagreement(rule_id, ours.failed if ours else None, theirs.failed if theirs else None)
    if ours.failed != theirs.failed:
        return Disagreement(rule_id, ours.failed, theirs.failed)
    if theirs.evaluated not in (None, ours.evaluated):
        return Disagreement(rule_id, ours.evaluated, theirs.evaluated)
    return None


@cache
def library() -> ModuleType:
    """Great Expectations, told to send nothing, and its dialect. Imported once a process."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import pipelines.evidence.duckdb_dialect  # noqa: F401  (registers itself)

    return importlib.import_module("great_expectations")


@contextmanager
def _view(con: duckdb.DuckDBPyConnection, relation: str) -> Iterator[str]:
    name = f"candidate_{secrets.token_hex(4)}"
    con.execute(f"CREATE TEMP VIEW {identifier(name)} AS SELECT * FROM {relation}")
    try:
        yield name
    finally:
        con.execute(f"DROP VIEW {identifier(name)}")


def _validate(
    gx: ModuleType, con: duckdb.DuckDBPyConnection, view: str, questions: Mapping[str, Question]
) -> dict[str, dict[str, Any]]:
    """The result of each question, by rule."""
    from pipelines.evidence.duckdb_dialect import shared

    for rule_id, asked in questions.items():
        asked.expectation.meta = {"rule": rule_id}
    suite = gx.ExpectationSuite("contract", expectations=[asked.expectation for asked in questions.values()])
    with shared(con) as address, _made_once():
        source = quiet_context(gx).data_sources.add_sql("candidate", connection_string=address)
        batch = source.add_table_asset("candidate", table_name=view).add_batch_definition_whole_table("all").get_batch()
        validation = batch.validate(suite, result_format=RESULT_FORMAT)
    results = (_without_values(result.to_json_dict()) for result in validation.results)
    return {result["expectation_config"]["meta"]["rule"]: result for result in results}


@contextmanager
def _made_once() -> Iterator[None]:
    """During one validation Great Expectations makes each expectation eight times from its configuration, asks it some
    ninety times for that configuration and writes it out anew each time, code lists of thousands of values included,
    and tells metrics apart by a walk through all their arguments: two thirds of the CPU. None of them changes, so each
    is made once, and arguments are told apart by the JSON that the standard library writes."""
    from great_expectations.core.id_dict import IDDict
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.util import convert_to_json_serializable

    def to_id(self: Any, id_keys: Any = None, id_ignore_keys: Any = None) -> Any:
        keys = set(self if id_keys is None else id_keys) - set(id_ignore_keys or self._id_ignore_keys)
        told = {key: self[key] for key in keys}
        return json.dumps(told, sort_keys=True, default=convert_to_json_serializable) if told else ()

    written, made, told_apart = Expectation.configuration, ExpectationConfiguration.to_domain_obj, IDDict.to_id
    Expectation.configuration = property(_once(written.fget))
    ExpectationConfiguration.to_domain_obj = _once(made)
    IDDict.to_id = to_id
    try:
        yield
    finally:
        Expectation.configuration, ExpectationConfiguration.to_domain_obj, IDDict.to_id = written, made, told_apart


def _once(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    made = dict[int, tuple[Any, Any]]()

    def once(self: Any) -> Any:
        if id(self) not in made:
            made[id(self)] = self, make(self)  # what it was made from is kept too, or its id could be another's
        return made[id(self)][1]

    return once


def quiet_context(gx: ModuleType) -> Any:
    """A context in memory that writes no files, sends nothing and draws no progress bars."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _without_values(result: dict[str, Any]) -> dict[str, Any]:
    """A result as JSON without words of exceptions, which may quote values, and without the text of code lists."""
    config = result["expectation_config"]
    kwargs = {name: value for name, value in config["kwargs"].items() if name not in ("batch_id", "value_set")}
    if "value_set" in config["kwargs"]:
        kwargs["value_set_size"] = len(config["kwargs"]["value_set"])
    kept = {"type": config["type"], "kwargs": kwargs, "meta": config["meta"]}
    return {"success": result["success"], "expectation_config": kept, "result": result["result"]}
