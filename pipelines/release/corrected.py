"""Where a corrected row of a source was published: the library rows that named it, before it was replaced.

Belongs here: finding rows by the place they name, and which of their columns a source's column reaches. Does not belong
here: in which versions of products they stood (forward), and telling anybody.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.authority import origin
from pipelines.contracts.resolved import Contracts, ProductContract, SourceContract
from pipelines.issues.corrections import Correction
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.times import as_utc
from pipelines.release.explain import ATTRIBUTES, ROWS
from pipelines.release.rows import UNREADABLE, ReleasedRows


@dataclass(frozen=True)
class Named:
    """A row of a model that was made from the wrong row. `version`: the last one of the model in which it was."""

    contract: ProductContract
    version: int
    key: Mapping[str, str]
    columns: tuple[str, ...]


def named(released: ReleasedRows, receipts: Receipts, correction: Correction) -> Iterator[Named]:
    """The rows of libraries that named the wrong row, each as it was last before the row was replaced. Nothing of a
    model whose published version names it still: there the correction has yet to come."""
    pulled = receipts.last(Stage.PULL, correction.source, int(correction.row.partition(":")[0]))
    source = released.contracts.sources.get(correction.source)
    if pulled is None or source is None:
        return
    for contract in released.contracts.models.values():
        columns = reached(released.contracts, contract, source, correction.column)
        if not columns:
            continue
        mine = [
            one for one in released.kept if one.subject == contract.form.model and as_utc(one.at) >= as_utc(pulled.at)
        ]
        for nth, entry in enumerate(sorted(mine, key=lambda one: one.sequence, reverse=True)):
            keys = _keys(released, contract, entry.version, correction)
            for key in keys if nth else ():
                yield Named(contract, entry.version or 0, key, columns)
            if keys:
                break


def reached(contracts: Contracts, contract: ProductContract, source: SourceContract, column: str) -> tuple[str, ...]:
    """The columns of a model with books that a source's column may reach: said by it, or computed from it."""
    names = [one.name for one in contract.columns if one.name not in (ROWS, ATTRIBUTES)]
    if ROWS not in (one.name for one in contract.columns):
        return ()
    derived = (one.column.name for one in source.derived if one.step.arguments.get("of") == column)
    wanted = {(source.id, name) for name in (column, *derived)}
    return tuple(name for name in names if _reaches(contracts, contract, name, wanted, set()))


def _reaches(
    contracts: Contracts,
    contract: ProductContract,
    name: str,
    wanted: set[tuple[str, str]],
    seen: set[tuple[str, str]],
) -> bool:
    if (contract.id, name) in seen:
        return False
    seen.add((contract.id, name))
    for text in contract.computed.get(name, ()):
        found = origin(text)
        library = contract if found.relation is None else contracts.models.get(found.relation)
        if library is None and (found.relation, found.column) in wanted:
            return True
        if library is not None and _reaches(contracts, library, found.column, wanted, seen):
            return True
    if name in contract.computed:
        return False
    claims = contracts.authority.get(contract.id, {}).get(name, ())
    said = {(one.source, one.column) for one in claims} if claims else {(source, name) for source, _ in wanted}
    return not said.isdisjoint(wanted)


def _keys(
    released: ReleasedRows, contract: ProductContract, version: int | None, correction: Correction
) -> list[dict[str, str]]:
    """The keys of the rows that name the wrong row; none where the version cannot be read any more."""
    names = contract.form.key
    listed = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in (ROWS, *names))
    holds = f"contains({identifier(ROWS)}, {literal(json.dumps(correction.row))})"
    try:
        relation = released.relation(contract, version)
        found = released.con.execute(f"SELECT {listed} FROM {relation} WHERE {holds}").fetchall()
    except UNREADABLE:
        return []
    return [dict(zip(names, key, strict=True)) for books, *key in found if _names(books, correction)]


def _names(books: str, correction: Correction) -> bool:
    places: dict[str, str] = json.loads(books)
    return any(
        dataset.partition("#")[0] == correction.source and place == correction.row for dataset, place in places.items()
    )
