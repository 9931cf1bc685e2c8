"""Where the columns of a library come from: the authority matrix 一数一源, and what computed columns are computed from.

Checks both against the sources and libraries there are. Which value wins in a row is decided by the models, in SQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipelines.contracts.forms.authority import AuthorityForm, ClaimForm
from pipelines.contracts.forms.fields import ProductColumnForm
from pipelines.contracts.located import Located, Place, read
from pipelines.contracts.mistakes import check_column, check_known, error
from pipelines.contracts.resolved import Authority, Claim, Contracts, ProductContract


@dataclass(frozen=True)
class Origin:
    """What a column is computed from: a column of a source, of a released model, or, without a relation, of the same
    row; or the day of the edition.
    """

    relation: str | None
    column: str


EDITION = Origin("edition", "as_of")


def origin(text: str) -> Origin:
    """What `column`, `<org>/<dataset>.column` or `<model>.column` means."""
    relation, _, column = text.rpartition(".")
    return Origin(relation or None, column)


def check_computed(contract: ProductContract, contracts: Contracts) -> None:
    """Raises CitylakeError with file and line for a computed column whose origin does not exist."""
    if not contract.computed:
        return
    file, own = read(contract.path), [column.name for column in contract.columns]
    for index, item in enumerate(contract.form.properties):
        if isinstance(item, ProductColumnForm):
            for number, text in enumerate(item.transformSourceObjects):
                place = ("properties", index, "transformSourceObjects", number)
                _check_origin(file, place, origin(text), own, contracts)


def _check_origin(file: Located, place: Place, found: Origin, own: Sequence[str], contracts: Contracts) -> None:
    if found == EDITION:
        return
    if found.relation is None:
        check_column(file, place, found.column, own)
    elif "/" in found.relation:
        _check_source(file, (place, place), found.relation, found.column, contracts)
    else:
        check_known(file, place, "model", found.relation, contracts.models)
        check_column(file, place, found.column, [column.name for column in contracts.models[found.relation].columns])


def _check_source(file: Located, places: tuple[Place, Place], source: str, column: str, contracts: Contracts) -> None:
    """The source and its column exist; `places` is where each is named."""
    check_known(file, places[0], "source", source, contracts.sources)
    check_column(file, places[1], column, [known.name for known in contracts.sources[source].all_columns])


def resolve_authority(file: Located, form: AuthorityForm, contracts: Contracts) -> Authority:
    """The matrix. Raises CitylakeError with file and line for names that do not exist and days that make no sense."""
    products = {contract.id: contract for contract in contracts.models.values()}
    matrix = {}
    for entity, fields in form.items():
        check_known(file, (entity,), "product contract", entity, products)
        columns = [column.name for column in products[entity].columns]
        for name in fields:
            check_column(file, (entity, name), name, columns)
        matrix[entity] = {name: _claims(file, (entity, name), forms, contracts) for name, forms in fields.items()}
    return matrix


def _claims(file: Located, place: Place, forms: Sequence[ClaimForm], contracts: Contracts) -> tuple[Claim, ...]:
    claims: list[Claim] = []
    for index, form in enumerate(forms):
        at = (*place, index)
        column = form.column or str(place[-1])
        named = (*at, "column" if form.column else "source")
        _check_source(file, ((*at, "source"), named), form.source, column, contracts)
        since, until = _day(file, (*at, "from"), form.since), _last_day(file, at, form)
        if until is not None and until < since:
            raise error("contract.claim_order", file, (*at, "to"), since=since, until=until)
        claim = Claim(form.source, column, form.basis, form.confidence, since, until)
        if any(_overlap(claim, other) for other in claims):
            raise error("contract.claim_twice", file, (*at, "source"), source=form.source, field=place[-1])
        claims.append(claim)
    return tuple(claims)


def _last_day(file: Located, at: Place, form: ClaimForm) -> date | None:
    return None if form.until is None else _day(file, (*at, "to"), form.until)


def _day(file: Located, place: Place, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as wrong:
        raise error("contract.claim_day", file, place, value=text) from wrong


def _overlap(claim: Claim, other: Claim) -> bool:
    """Whether one source would stand twice on some day."""
    ends = [date.max if item.until is None else item.until for item in (claim, other)]
    return claim.source == other.source and max(claim.since, other.since) <= min(ends)


def order_on(authority: Authority, day: date) -> dict[str, dict[str, list[str]]]:
    """Product contract -> column -> the sources that count on a day, the most trusted first."""
    return {
        entity: {name: [claim.source for claim in claims if claim.counts(day)] for name, claims in fields.items()}
        for entity, fields in authority.items()
    }
