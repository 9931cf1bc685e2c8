"""Where a model comes from, as its SQL says: the models and sources it refers to, itself or through macros.

Needs no dbt, so that pages and repairs can ask. The graph that builds follow is dbt's own, in `models`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.contracts.dbt import LOG

_REF = re.compile(r"ref\(\s*['\"]([a-z0-9_]+)['\"]\s*\)")
_SOURCE = re.compile(r"source\(\s*['\"]core['\"]\s*,\s*['\"]([a-z0-9]+)__([a-z0-9_]+)['\"]\s*\)")
_CALL = re.compile(r"\b(\w+)\(")
_MACRO = re.compile(r"{%-?\s*macro\s+(\w+)\(.*?{%-?\s*endmacro", re.DOTALL)


@dataclass(frozen=True)
class Upstream:
    """What a model reads, directly or through others: other released models and sources `<org>/<dataset>`."""

    models: tuple[str, ...]
    sources: tuple[str, ...]


def upstream(project: Path, model: str, until: Collection[str] = ()) -> Upstream:
    """What the SQL of a model refers to, but not through the models `until`; empty for one whose SQL is not there."""
    files = {path.stem: path for path in (project / "models").rglob("*.sql")}
    walk = _Walk(files, _macros(project), until)
    walk.follow_model(model)
    released = sorted(name for name in walk.models if not name.startswith("stg_"))
    return Upstream(tuple(released), tuple(sorted(walk.sources)))


def _macros(project: Path) -> dict[str, str]:
    """The macros, each with its text."""
    texts = (path.read_text("utf-8") for path in sorted((project / "macros").rglob("*.sql")))
    return {macro[1]: macro[0] for text in texts for macro in _MACRO.finditer(text)}


@dataclass
class _Walk:
    """A walk up from a model. `models` and `sources` are what it met."""

    files: dict[str, Path]
    macros: dict[str, str]
    until: Collection[str]
    models: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    followed: set[str] = field(default_factory=set)

    def follow_model(self, model: str) -> None:
        if model in self.files:
            self.follow_text(self.files[model].read_text("utf-8"))

    def follow_text(self, text: str) -> None:
        for name in {*_CALL.findall(text)} & self.macros.keys() - self.followed:
            self.followed.add(name)  # what a macro refers to is the same wherever it is called
            self.follow_text(self.macros[name])
        for org, dataset in _SOURCE.findall(text):
            self.sources.add(f"{org}/{dataset.removesuffix(LOG)}")
        for parent in _REF.findall(text):
            if parent not in self.models:
                self.models.add(parent)
                if parent not in self.until:
                    self.follow_model(parent)
