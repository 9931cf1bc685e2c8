"""What an edition must build: the models whose inputs differ from those of their published version.

A model's inputs are everything its rows can depend on: its SQL, macros, the authority matrix of the day, contract,
upstream inputs, versions of sources and, where it reads the edition, the day. Equal inputs mean equal rows, so nothing
is built twice. The levels of source columns are among them, for they decide whether it may be published.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from pipelines.contracts.dbt import BEFORE, LOG, MACROS, generated
from pipelines.contracts.load import Contracts
from pipelines.lake import edition, keys, locality, query_parts, ties
from pipelines.lake.models import Model
from pipelines.privacy.sensitivity import source_levels
from pipelines.register.chain import canonical
from pipelines.release.ledger import Recorded

ENGINE: Final = [Path(str(module.__file__)) for module in (edition, keys, locality, query_parts, ties)]


def model_inputs(
    models: Mapping[str, Model], project: Path, contracts: Contracts, versions: Mapping[str, int | str], as_of: date
) -> dict[str, str]:
    """For each model with a contract whose sources all have a version: SHA-256 of its inputs.

    `versions`: core version by dbt source name (`core.psb__household_person`).
    """
    generated_macros = {path: text for path, text in generated(contracts, as_of).items() if path.startswith(MACROS)}
    shared = _hash(_files_hash(sorted((project / "macros").rglob("*.sql"))), generated_macros)
    known = {**{name: str(version) for name, version in versions.items()}, "lake.edition": as_of.isoformat()}
    known |= {"lake.build": "", **{f"{BEFORE}.{name}": "" for name in models}}  # they say when, and since when
    levels = source_levels(contracts)  # a source that became more sensitive: what is made from it is judged again
    found: dict[str, str | None] = {}

    def inputs(name: str) -> str | None:
        if name not in found:
            model = models[name]
            upstream = [inputs(parent) for parent in model.depends_on]
            sources = [known.get(source.removesuffix(LOG)) for source in model.sources]
            if None in upstream or None in sources:
                found[name] = None
            else:
                contract = contracts.models.get(name)
                found[name] = _hash(
                    shared,
                    _files_hash([project / model.path]),
                    contract.hash if contract else "",
                    upstream,
                    dict(zip(model.sources, sources, strict=True)),
                    {source: levels[source] for source in model.sources if source in levels},
                )
        return found[name]

    return {name: value for name in contracts.models if name in models and (value := inputs(name)) is not None}


def model_code(
    models: Mapping[str, Model], project: Path, contracts: Contracts, versions: Collection[str], as_of: date
) -> dict[str, str]:
    """For the same models: SHA-256 of what their rows depend on besides rows: SQL, macros, contracts of sources too,
    and the engine that shows sources and finds keys."""
    hashes = {f"core.{name.replace('/', '__')}": contract.hash for name, contract in contracts.sources.items()}
    engine = _hash(_files_hash(ENGINE), duckdb.__version__)
    return model_inputs(models, project, contracts, {name: hashes.get(name, "") + engine for name in versions}, as_of)


def relation(place: str) -> str:
    """The dbt name of a place that receipts of rewritings name: `core/psb/household_person` is
    `core.psb__household_person`."""
    return place.replace("/", ".", 1).replace("/", "__")


def rewritten(versions: Mapping[str, int], rewritings: Sequence[Recorded]) -> dict[str, int | str]:
    """Versions by dbt source name, with the orders and ended periods that changed a core version since it was written:
    what is made from it is to be made again."""
    found: dict[str, int | str] = {**versions}
    for entry in rewritings:
        for place in entry.body["places"]:
            name = relation(place)
            if name in found:
                found[name] = f"{found[name]} {entry.subject}"
    return found


def outdated(
    inputs: Mapping[str, str], published: Mapping[str, Recorded], closed: Collection[str], contracts: Contracts
) -> list[str]:
    """The models to build: they, or one of their products, are not published, or published from other inputs.

    A product that is `closed` (withdrawn, or waiting for a word or a moment) is no reason to build: it would be refused
    every day.
    """

    def subjects(name: str) -> list[str]:
        return [name, *(product.id for product in contracts.models[name].products if product.id not in closed)]

    def stands(subject: str, value: str) -> bool:
        return subject in published and published[subject].body["inputs"] == value

    return sorted(name for name, value in inputs.items() if not all(stands(s, value) for s in subjects(name)))


def in_order(models: Mapping[str, Model], chosen: list[str]) -> list[str]:
    """The chosen models, each after all chosen ones it depends on."""
    done: list[str] = []

    def visit(name: str) -> None:
        for parent in models[name].depends_on:
            visit(parent)
        if name in chosen and name not in done:
            done.append(name)

    for name in chosen:
        visit(name)
    return done


def upstream(models: Mapping[str, Model], name: str) -> set[str]:
    """All models that a model is built from, directly or not."""
    direct = models[name].depends_on
    return set(direct).union(*(upstream(models, parent) for parent in direct))


def _files_hash(files: list[Path]) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _hash(*parts: object) -> str:
    return hashlib.sha256(canonical(parts).encode()).hexdigest()
