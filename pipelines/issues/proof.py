"""What may prove that what somebody doubted was corrected: a batch of a source that says it, and, where a row is known,
one that changed its cell or ended the row.

Belongs here: which sources say a subject or a column of it, and what a batch did to a row of core. Does not belong
here: the life of issues (feedback), and where the wrong row was published (release/corrected).
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipelines.codecs.sql import identifier
from pipelines.contracts.authority import origin
from pipelines.contracts.resolved import Contracts, ProductContract, SourceContract
from pipelines.engine import connect
from pipelines.lake import delta
from pipelines.lake.edition import core_columns
from pipelines.lake.lineage import upstream
from pipelines.lake.zones import Lake


def sources_of(contracts: Contracts, project: Path, subject: str, column: str | None) -> frozenset[str]:
    """The sources that say a source, model or product, or a column of it: the source itself; of a column those of the
    authority matrix, through what it is computed from; otherwise all that the SQL of the model reads. `project`: the
    models. None for what no contract names any more."""
    if subject in contracts.sources:
        return frozenset({subject})
    product = contracts.products.get(subject)
    contract = product.contract if product else contracts.models.get(subject)
    if contract is None:
        return frozenset()
    own = next((one.source for one in product.columns if one.name == column), None) if product else column
    said = frozenset(_say(contracts, project, contract, own, set())) if own is not None else frozenset()
    return said or frozenset(upstream(project, contract.form.model).sources)


def _say(
    contracts: Contracts, project: Path, contract: ProductContract, name: str, seen: set[tuple[str, str]]
) -> Iterator[str]:
    if (contract.id, name) in seen:
        return
    seen.add((contract.id, name))
    for found in map(origin, contract.computed.get(name, ())):
        library = contract if found.relation is None else contracts.models.get(found.relation)
        if library is not None:
            yield from _say(contracts, project, library, found.column, seen)
        elif found.relation is not None and found.relation in contracts.sources:
            yield found.relation
    if name not in contract.computed:
        claims = contracts.authority.get(contract.id, {}).get(name, ())
        yield from (one.source for one in claims) if claims else upstream(project, contract.form.model).sources


def corrected_by(lake: Lake, source: SourceContract, row: str, column: str, batch: int) -> bool:
    """Whether a batch says another value for the cell of a row (`batch:number`) or ends the row, and nothing later says
    the old one again."""
    location = lake.core(source.org, source.dataset)
    version = delta.latest(location)
    if version is None or column not in core_columns(location, version):
        return False
    log, (of_batch, _, number) = delta.scan(delta.open_table(location, version)).source, row.partition(":")
    keys, cell = ", ".join(map(identifier, source.form.load.key)), identifier(column)
    differs = f"(n._op = 'D' OR n.{cell} IS DISTINCT FROM w.cell)"
    with closing(connect(lake.scratch())) as con:
        ((done, still),) = con.execute(
            f"SELECT bool_or({differs}) FILTER (WHERE n._batch = {batch}), arg_max({differs}, n._batch) FROM {log} n "
            f"JOIN (SELECT {keys}, {cell} AS cell, _batch AS of_batch FROM {log} "
            f"WHERE _batch = {of_batch} AND _row = {number} AND _op <> 'D') w USING ({keys}) "
            "WHERE n._batch > w.of_batch"
        ).fetchall()
    return bool(done and still)
