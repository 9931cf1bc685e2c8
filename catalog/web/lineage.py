"""Where a model comes from, as a summary for pages: what its SQL refers to, down to sources. It proves nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_REF = re.compile(r"ref\(\s*['\"]([a-z0-9_]+)['\"]\s*\)")
_SOURCE = re.compile(r"source\(\s*['\"]core['\"]\s*,\s*['\"]([a-z0-9]+)__([a-z0-9_]+)['\"]\s*\)")


@dataclass(frozen=True)
class Upstream:
    """What a model reads, directly or through others: other released models and sources `<org>/<dataset>`."""

    models: tuple[str, ...]
    sources: tuple[str, ...]


def upstream(project: Path, model: str) -> Upstream:
    """What the SQL of a model refers to; empty for a model whose SQL is not there."""
    files = {path.stem: path for path in (project / "models").rglob("*.sql")}
    models: dict[str, None] = {}
    sources: dict[str, None] = {}
    _follow(files, model, models, sources)
    released = sorted(name for name in models if not name.startswith("stg_"))
    return Upstream(tuple(released), tuple(sorted(sources)))


def _follow(files: Mapping[str, Path], model: str, models: dict[str, None], sources: dict[str, None]) -> None:
    if model not in files:
        return
    text = files[model].read_text("utf-8")
    for org, dataset in _SOURCE.findall(text):
        sources[f"{org}/{dataset}"] = None
    for parent in _REF.findall(text):
        if parent not in models:
            models[parent] = None
            _follow(files, parent, models, sources)
