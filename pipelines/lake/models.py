"""The graph of the dbt project: which models there are, where they belong and what they depend on.

Belongs here: the copy of the project with its generated files, parsing, and the cached graph. Does not belong here:
running models (build). dbt is imported only when something is parsed.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.lake.errors import BuildFailed
from pipelines.lake.parquet import sync
from pipelines.lake.zones import library_of

PARTS = ("dbt_project.yml", "profiles.yml", "macros", "models", "tests")  # what dbt reads of a project folder
# Engines quote values of rows in single quotes ("Could not convert string '...'"); names stand in double ones.
VALUE = re.compile(r"'[^']*'|\b[0-9]{6,}[0-9Xx]*\b")
HEADINGS = ("Runtime Error", "Database Error", "Compilation Error", "compiled code at", "Internal Error")
QUIET = (
    *("--quiet", "--no-use-colors", "--no-use-colors-file", "--no-send-anonymous-usage-stats", "--no-print"),
    "--no-write-json",  # nothing reads manifest.json and run_results.json; they are made and written at every build
)


@dataclass(frozen=True)
class Model:
    """One model: `layer` is its schema (staging, lib, mart), `sources` are like `core.psb__person`, `path` is in the
    project; `strategy` is the incremental strategy of a `delta` model, None when it is always built whole. `key`: the
    column by which it may be built for some rows alone, as locality proves; `fixed`: what it then reads whole; `tied`:
    what ties keys to each other where one cannot be built without others, as ties proves.

    What has no `library` lives only in the build of what reads it: a view, or an interim result, which is a view whose
    rows are kept for that build."""

    name: str
    layer: str
    library: str | None
    strategy: str | None
    depends_on: tuple[str, ...]
    sources: tuple[str, ...]
    path: str
    description: str
    key: str | None = None
    fixed: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compiled:
    """A model in SQL: its file in the project, what its author wrote, what dbt made of it, and the tables it may read
    as `schema.name`."""

    name: str
    path: str
    raw: str
    sql: str
    relations: frozenset[str]


def models(project_dir: Path, cache: Path, generated: Mapping[str, str] | None = None) -> dict[str, Model]:
    """All models by name. Parsed once per content of the project and `generated`, then read from `cache`.

    Raises BuildFailed when the project does not parse.
    """

    def made() -> list[dict[str, Any]]:
        found = graph(parse(place_project(project_dir, cache, generated or {}), cache))
        return [asdict(model) for model in found.values()]

    listed = map(_stored_model, _stored(cache / f"models-{_content_hash(project_dir, generated or {})}.json", made))
    return {model.name: model for model in listed}


def whole_sql(project_dir: Path, cache: Path, generated: Mapping[str, str] | None = None) -> dict[str, str]:
    """All models in SQL by name, as a full build runs them. Compiled once per content, then read from `cache`.

    Raises BuildFailed when the project does not compile.
    """

    def made() -> dict[str, str]:
        project = place_project(project_dir, cache, generated or {})
        return {model.name: model.sql for model in compiled(project, cache, incremental=False)}

    found: dict[str, str] = _stored(cache / f"sql-{_content_hash(project_dir, generated or {})}.json", made)
    return found


def incremental_sql(project_dir: Path, cache: Path, generated: Mapping[str, str] | None = None) -> dict[str, str]:
    """The models with an incremental strategy in SQL by name, as they are built when there is a released version.
    Compiled once per content, then read from `cache`.

    Raises BuildFailed when the project does not compile.
    """
    select = [model.name for model in models(project_dir, cache, generated).values() if model.strategy]

    def made() -> dict[str, str]:
        project = place_project(project_dir, cache, generated or {})
        found = compiled(project, cache, incremental=True, select=select) if select else []
        return {model.name: model.sql for model in found}

    found: dict[str, str] = _stored(cache / f"incremental-{_content_hash(project_dir, generated or {})}.json", made)
    return found


def _stored(file: Path, made: Callable[[], Any]) -> Any:
    """What a file of the cache holds; it is made when it is missing."""
    if not file.exists():
        text = json.dumps(made(), ensure_ascii=False)
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        sync(partial)
        partial.replace(file)  # a killed process must not leave half of it for every later run
    return json.loads(file.read_text(encoding="utf-8"))


def place_project(project_dir: Path, work: Path, generated: Mapping[str, str]) -> Path:
    """A copy of the project with the generated files under `work`. Unchanged files keep their time, so that dbt's parse
    cache holds; files that went away go."""
    wanted = {path: (project_dir / path).read_bytes() for path in _project_files(project_dir)}
    wanted |= {path: text.encode() for path, text in generated.items()}
    project = work / "project"
    for present in [path for path in project.rglob("*") if path.is_file()]:
        if str(present.relative_to(project)) not in wanted:
            present.unlink()
    for path, content in wanted.items():
        target = project / path
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return project


def parse(project: Path, work: Path, target: str = "duckdb") -> Any:
    """dbt's manifest of a placed project. Raises BuildFailed with dbt's own words."""
    outcome = invoke(["parse", *arguments(project, work, target)])
    if outcome.result is None or outcome.exception:
        raise BuildFailed("lake.project_broken", problem=reason(str(outcome.exception)))
    return outcome.result


def compiled(
    project: Path, work: Path, *, incremental: bool, target: str = "duckdb", select: Sequence[str] = ()
) -> list[Compiled]:
    """Every model of a placed project, or the selected ones, in SQL, as a full or an incremental build would run it.
    Needs no data.

    Raises BuildFailed with dbt's own words.
    """
    manifest = parse(project, work, target)
    branch = "incremental" if incremental else "whole"
    options = ["compile", "--no-populate-cache", "--no-introspect", *arguments(project, work, target)]
    options += ["--select", *select] if select else []
    outcome = invoke(options, manifest, {"CITYLAKE_COMPILE": branch})
    results = list(getattr(outcome.result, "results", None) or [])
    failed = [result for result in results if result.status != "success"]
    if failed or outcome.exception:
        problem = failed[0].message if failed else str(outcome.exception)
        raise BuildFailed("lake.project_broken", problem=reason(problem))
    return [_compiled(manifest, result.node) for result in results if result.node.resource_type == "model"]


def _compiled(manifest: Any, node: Any) -> Compiled:
    known = {**manifest.nodes, **manifest.sources}
    read = [known[key] for key in node.depends_on.nodes if key in known]
    relations = frozenset(f"{item.schema}.{item.identifier}" for item in [node, *read])
    return Compiled(node.name, node.original_file_path, node.raw_code, node.compiled_code, relations)


def graph(manifest: Any) -> dict[str, Model]:
    """The models of a dbt manifest by name."""
    nodes = {key: node for key, node in manifest.nodes.items() if node.resource_type == "model"}
    found = [_model(manifest, nodes, node) for node in nodes.values()]
    return {model.name: model for model in sorted(found, key=lambda model: model.name)}


def arguments(project: Path, work: Path, target: str) -> list[str]:
    """Command-line arguments that keep dbt quiet, offline and out of the repository."""
    folders = {"project": project, "profiles": project}
    return [
        *(text for name, folder in folders.items() for text in (f"--{name}-dir", str(folder))),
        *("--target-path", str(work / "target"), "--log-path", str(work / "logs"), "--target", target),
        *("--log-level", "none", "--log-level-file", "none", *QUIET),
    ]


def invoke(arguments: Sequence[str], manifest: Any = None, environment: Mapping[str, str] | None = None) -> Any:
    """Run dbt in this process; returns its dbtRunnerResult. The working folder and environment are given back."""
    from dbt.cli.main import dbtRunner

    with _kept_surroundings():
        os.environ.update(environment or {})
        return dbtRunner(manifest=manifest).invoke(list(arguments))


def reason(message: str | None) -> str:
    """The line of a message of dbt that says what is wrong."""
    lines = [line.strip() for line in (message or "").splitlines()]
    telling = [line for line in lines if line and not line.startswith(HEADINGS)]
    return telling[0] if telling else (message or "unknown error")


def without_values(message: str) -> str:
    """A message of an engine without what it quotes of rows: issues and logs are read by many."""
    return VALUE.sub("'…'", message)


@contextmanager
def _kept_surroundings() -> Iterator[None]:
    before, folder = dict(os.environ), os.getcwd()
    os.environ["DO_NOT_TRACK"] = "1"
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)


def _model(manifest: Any, nodes: Mapping[str, Any], node: Any) -> Model:
    parents = node.depends_on.nodes
    sources = [manifest.sources[key] for key in parents if key in manifest.sources]
    own_key = node.config.get("key")
    if own_key is not None and not isinstance(own_key, str):  # a list, as other dbt configs have, names no column
        raise BuildFailed("lake.key_name", path=node.original_file_path, found=own_key)
    return Model(
        name=node.name,
        layer=node.schema,
        library=library_of(node.name) if node.config.materialized == "delta" else None,
        strategy=node.config.get("incremental_strategy"),
        depends_on=tuple(sorted(nodes[key].name for key in parents if key in nodes)),
        sources=tuple(sorted(f"{source.schema}.{source.identifier}" for source in sources)),
        path=node.original_file_path,
        description=node.description,
        key=own_key,
        fixed=tuple(node.config.get("fixed", [])),
        tied=tuple(node.config.get("tied", [])),
    )


def _stored_model(entry: Mapping[str, Any]) -> Model:
    return Model(**{**entry, **{name: tuple(entry[name]) for name in ("depends_on", "sources", "fixed", "tied")}})


def _content_hash(project_dir: Path, generated: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for path in _project_files(project_dir):
        digest.update(f"{path}\0{hashlib.sha256((project_dir / path).read_bytes()).hexdigest()}\0".encode())
    digest.update(json.dumps(dict(generated), sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _project_files(project_dir: Path) -> list[str]:
    roots = [project_dir / part for part in PARTS]
    files = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()]
    return sorted(str(path.relative_to(project_dir)) for path in files)
