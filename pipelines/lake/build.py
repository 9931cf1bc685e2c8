"""Building models: one dbt invocation in this process, from a snapshot into candidates.

Belongs here: what is run and what came of it, in words a steward can read. Does not belong here: which edition is
built, evidence, or release.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipelines.lake import spark
from pipelines.lake.adopt import adopt
from pipelines.lake.candidate import clone_released
from pipelines.lake.delta import latest, open_table, row_count
from pipelines.lake.edition import read_snapshot
from pipelines.lake.errors import BuildFailed
from pipelines.lake.keys import ByKey, Keys, Since, columns
from pipelines.lake.locality import Project
from pipelines.lake.models import (
    Model,
    arguments,
    graph,
    invoke,
    parse,
    place_project,
    reason,
    whole_sql,
    without_values,
)
from pipelines.lake.zones import Lake
from pipelines.messages import translate

DUCKDB = "duckdb"
LINES = "keyed.json"
"""The file with a line for each model that is built by key."""
Status = Literal["success", "error", "skipped"]


@dataclass(frozen=True)
class ModelResult:
    """What came of one model. `location`, `version` and `rows` name the candidate; None for views and failures."""

    status: Status
    message: str
    library: str | None
    location: Path | None
    version: int | None
    rows: int | None
    seconds: float


@dataclass(frozen=True)
class TestResult:
    """What came of one dbt test: status pass, warn, fail, error or skipped, and the number of failing rows."""

    __test__ = False  # not a test of ours

    name: str
    models: tuple[str, ...]
    status: str
    failures: int | None
    message: str


@dataclass(frozen=True)
class BuildResult:
    """All models that were to be built (with the views they need), all their tests, wall seconds. `by_key`: of models
    that have a key, whether they were to be built by it; empty when nothing could be."""

    models: dict[str, ModelResult]
    tests: list[TestResult]
    seconds: float
    by_key: dict[str, ByKey] = field(default_factory=dict)


def build(
    project_dir: Path,
    lake: Lake,
    edition: str,
    snapshot: Path,
    select: Sequence[str] | None = None,
    *,
    target: str = DUCKDB,
    threads: int = 2,
    full_refresh: bool = False,
    work: Path | None = None,
    generated: Mapping[str, str] | None = None,
    since: Since | None = None,
) -> BuildResult:
    """Build models, by name, None for all, with the views they read, into candidates of `edition`.

    `snapshot` was written by edition.write_snapshot for the same selection. `generated` are files added to a copy of
    the project under `work` (default: scratch/dbt; a lasting folder keeps dbt's parse cache). A failed model is
    reported and skips only what depends on it. One build at a time: dbt keeps its state in the process.

    With `since` models that have a key are built by it on DuckDB where that is sure to give the rows of a whole build
    (`keys`). Raises NotLocal for one that is not provably local.

    With `target` "sail", in an environment made from requirements/spark.txt, the Spark Connect engine that SPARK_REMOTE
    names computes, one model after the other. Raises BuildFailed when no model could be started at all, BadName when
    the engine cannot use the lake's folder.
    """
    if target != DUCKDB:
        spark.require(lake)
    started = time.monotonic()
    relations = read_snapshot(snapshot)
    bases = {line["name"]: line for line in relations if line["selected"] and line["kind"] == "table"}
    lost = {line["name"]: line["lost"] for line in relations if line["kind"] == "lost"}
    work = work or lake.scratch() / "dbt"
    by_key = dict[str, ByKey]()
    with _folder(lake, edition) as own, _environment(lake, edition, snapshot, own), _session(target):
        project = place_project(project_dir, work, generated or {})
        manifest = parse(project, work, target)
        found = graph(manifest)
        chosen = _with_views(found, select)
        _prepare(lake, edition, bases, [found[name] for name in chosen], clone=target != DUCKDB and not full_refresh)
        if since is not None and target == DUCKDB and not full_refresh:
            known = Project(found, {})
            if since.built:
                known = Project(found, whole_sql(project_dir, work, generated), columns(since.now))
            by_key = _find_keys(known, since, relations, chosen, own)
        options = ["--threads", str(threads if target == DUCKDB else 1), *(["--full-refresh"] if full_refresh else [])]
        outcome = invoke(["build", "--select", *chosen, *options, *arguments(project, work, target)], manifest)
    results = _results(outcome)
    by_name = {result.node.name: result for result in results if result.node.resource_type == "model"}
    if target != DUCKDB:
        _adopt(lake, edition, [found[name] for name, result in by_name.items() if result.status == "success"])
    return BuildResult(
        models={name: _model_result(lake, edition, found[name], by_name, found, lost) for name in chosen},
        tests=[_test_result(manifest, result) for result in results if result.node.resource_type == "test"],
        seconds=time.monotonic() - started,
        by_key=by_key,
    )


def _find_keys(
    project: Project, since: Since, relations: Sequence[Mapping[str, Any]], chosen: Sequence[str], folder: Path
) -> dict[str, ByKey]:
    """Decide what is built by key, and write for each such model the line that the materialisation reads."""
    released = {line["name"]: line for line in relations if line["library"] is not None and line["kind"] == "table"}
    keys = Keys(project, since, released, chosen, folder)
    by_key = keys.find()
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in keys.lines)
    (folder / LINES).write_text(text, encoding="utf-8")
    return by_key


@contextmanager
def _folder(lake: Lake, edition: str) -> Iterator[Path]:
    """A folder for changed keys and interim results. They are about persons: it goes whatever becomes of the build."""
    folder = lake.scratch() / f"{edition}-build"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LINES).write_text("", encoding="utf-8")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _environment(lake: Lake, edition: str, snapshot: Path, own: Path) -> Iterator[None]:
    """What macros and the plugin read; dbt takes it from the environment."""
    (lake.scratch() / "spill").mkdir(parents=True, exist_ok=True)
    given = {
        "CITYLAKE_LAKE": str(lake.root),
        "CITYLAKE_EDITION": edition,
        "CITYLAKE_SNAPSHOT": str(snapshot),
        "CITYLAKE_KEYED": str(own / LINES),
        "CITYLAKE_INTERIM": str(own),
        "CITYLAKE_SPILL": str(lake.scratch() / "spill"),
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _with_views(found: Mapping[str, Model], select: Sequence[str] | None) -> list[str]:
    """The selected models and every view they read through: these live only in this run."""
    if select is None:
        return list(found)
    if unknown := sorted(set(select) - found.keys()):
        raise BuildFailed("lake.unknown_models", models=", ".join(unknown))
    chosen, waiting = set(select), list(select)
    while waiting:
        views = [name for name in found[waiting.pop()].depends_on if found[name].library is None]
        waiting += [name for name in views if name not in chosen]
        chosen.update(views)
    return sorted(chosen)


def _prepare(
    lake: Lake, edition: str, bases: Mapping[str, Mapping[str, Any]], chosen: Sequence[Model], clone: bool
) -> None:
    """Empty the candidates' places. Spark, which cannot call our plugin, also gets the clones it continues."""
    for model in chosen:
        if model.library is None:
            continue
        candidate = lake.candidate(edition, model.library, model.name)
        shutil.rmtree(candidate, ignore_errors=True)
        candidate.parent.mkdir(parents=True, exist_ok=True)  # COPY creates one folder level only
        if clone and model.strategy and model.name in bases:
            base = bases[model.name]
            clone_released(Path(base["location"]), base["version"], candidate)


def _adopt(lake: Lake, edition: str, built: Sequence[Model]) -> None:
    """Give the candidates of another engine a log of ours."""
    for model in built:
        if model.library is not None:
            adopt(lake.candidate(edition, model.library, model.name))


@contextmanager
def _session(target: str) -> Iterator[None]:
    """The engine's session of one build; dbt would hand it, with its old views, to the next."""
    if target != DUCKDB:
        with spark.session():
            yield
        return
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    try:
        yield
    finally:
        DuckDBConnectionManager.close_all_connections()


def _results(outcome: Any) -> list[Any]:
    results = list(getattr(outcome.result, "results", None) or [])
    started = [result for result in results if result.node.resource_type == "model"]
    failed_hooks = [
        result for result in results if result.node.resource_type == "operation" and result.status != "success"
    ]
    if failed_hooks or not started:
        problem = reason(failed_hooks[0].message if failed_hooks else str(outcome.exception))
        raise BuildFailed("lake.build_not_started", problem=problem)
    return results


def _model_result(
    lake: Lake,
    edition: str,
    model: Model,
    results: Mapping[str, Any],
    found: Mapping[str, Model],
    lost: Mapping[str, str],
) -> ModelResult:
    result = results.get(model.name)
    if result is None or result.status == "skipped":
        failed = [name for name in _upstream(model, found) if name in results and results[name].status == "error"]
        message = _one_line("lake.upstream_failed", model=model.name, failed=", ".join(failed))
        return ModelResult("skipped", message, model.library, None, None, None, 0.0)
    if result.status != "success":
        message = _lost_read(model, lost) or f"{model.name}（{model.path}）：{without_values(reason(result.message))}"
        return ModelResult("error", message, model.library, None, None, None, result.execution_time)
    if model.library is None:
        return ModelResult("success", "", None, None, None, None, result.execution_time)
    location = lake.candidate(edition, model.library, model.name)
    rows = row_count(open_table(location))
    return ModelResult("success", "", model.library, location, latest(location), rows, result.execution_time)


def _test_result(manifest: Any, result: Any) -> TestResult:
    models = tuple(sorted(manifest.nodes[key].name for key in result.node.depends_on.nodes if key in manifest.nodes))
    message = "" if result.status == "pass" else without_values(reason(result.message))
    return TestResult(result.node.name, models, str(result.status), result.failures, message)


def _lost_read(model: Model, lost: Mapping[str, str]) -> str | None:
    """Why a model failed when a table it reads lost files: such tables are left out of the run."""
    reads = [*(source.partition(".")[2] for source in model.sources), *model.depends_on]
    found = sorted(name for name in reads if name in lost)
    if not found:
        return None
    named = {"model": model.name, "path": model.path, "relations": ", ".join(found), "file": lost[found[0]]}
    return _one_line("lake.lost_files", **named)


def _upstream(model: Model, found: Mapping[str, Model]) -> list[str]:
    seen: list[str] = []
    waiting = list(model.depends_on)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.append(name)
            waiting += found[name].depends_on
    return sorted(seen)


def _one_line(code: str, **arguments: object) -> str:
    """Both languages on one line: model messages stand inside other messages and in tables."""
    return " / ".join(translate(code, language, **arguments) for language in ("zh", "en"))
