"""What versions are made by, as the receipt of their edition says it: the engines, and every file of code by its hash.

Belongs here: telling this of today. Does not belong here: comparing it with what a receipt says (reproduce).
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path

from pipelines.contracts.dbt import MACROS, generated
from pipelines.contracts.load import Contracts
from pipelines.lake.models import Model

MADE, ENGINES, FILES = "made", "engines", "files"
"""Where the receipt of an edition has this."""
PACKAGES = ("citylake", "dbt-core", "dbt-duckdb", "deltalake", "duckdb", "pyarrow")
"""What writes released files, or has a say in it."""


def engines() -> dict[str, str]:
    """The versions of what writes released files, and with how many threads it computes."""
    return {**{name: version(name) for name in PACKAGES}, "threads": os.environ.get("CITYLAKE_THREADS", "2")}


def code_files(
    models: Mapping[str, Model], project: Path, contracts: Contracts, names: Collection[str], day: date
) -> dict[str, str]:
    """SHA-256 of every file by which the rows of these models are made of what they read, by path in the dbt project:
    their SQL, that of the views they read, all macros, and the authority matrix of the day."""
    read = sorted({*names, *(view for name in names for view in views(models, name))})
    files = [*sorted((project / "macros").rglob("*.sql")), *(project / models[name].path for name in read)]
    found = {str(file.relative_to(project)): file.read_bytes() for file in files}
    found |= {path: text.encode() for path, text in generated(contracts, day).items() if path.startswith(MACROS)}
    return {path: hashlib.sha256(content).hexdigest() for path, content in found.items()}


def views(models: Mapping[str, Model], name: str) -> set[str]:
    """The views through which a model reads: they live only in its build."""
    return {parent for parent in _parents(models, name) if models[parent].library is None}


def tables(models: Mapping[str, Model], name: str) -> set[str]:
    """The released models that a model reads, directly or through views."""
    return {parent for parent in _parents(models, name) if models[parent].library is not None}


def _parents(models: Mapping[str, Model], name: str) -> Iterator[str]:
    """What a model reads, up to the first table on every way."""
    for parent in models[name].depends_on:
        yield parent
        if models[parent].library is None:
            yield from _parents(models, parent)
