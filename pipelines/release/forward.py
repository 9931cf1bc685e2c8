"""Where a row of a model went: in which versions of which products it stands, and which cell of it a column became.

Belongs here: reading released versions of products and of their models. Does not belong here: who received them (the
audit is the catalogue's), and where the row came from (explain).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.forms.products import Anonymity
from pipelines.contracts.resolved import Product, ProductContract
from pipelines.messages import CitylakeError
from pipelines.privacy import channel_keys
from pipelines.privacy.anonymity import beside_columns, cell_columns
from pipelines.release.ledger import Recorded
from pipelines.release.products import Made, made_now, made_then, masked
from pipelines.release.rows import UNREADABLE, ReleasedRows, fits


@dataclass(frozen=True)
class Standing:
    """A row of a model in one version of a product.

    `column`: what the product calls the asked column, None if the row as a whole was asked for. `rows`: the column that
    grants are limited by, `divisions` its values in the row (several if the key fits several rows); `belongs` and
    `organisations`: the same of the column that says whose a row is. `state`: a number
    for what the cell says, or the row as far as the product shows it: the same number, the same values; 0 for those
    of the newest version asked about. `known`: whether the version of the model can still be read; nothing else is told
    then.
    """

    product: Product
    version: int
    released: datetime
    column: str | None
    rows: str | None = None
    divisions: tuple[str | None, ...] = ()
    state: int = 0
    known: bool = True
    belongs: str | None = None
    organisations: tuple[str | None, ...] = ()

    @property
    def same(self) -> bool:
        """Whether it says what the newest version says."""
        return self.state == 0


def standings(
    released: ReleasedRows,
    key: Callable[[str], bytes],
    contract: ProductContract,
    row: Mapping[str, str],
    column: str | None,
) -> Iterator[Standing]:
    """Every version, kept or current, of every product of a model in which a row stands and shows a column of the model
    (None: any); the newest first. `key`: the key of this name, for the keyed masks of channels; what it raises for one
    that is gone passes through."""
    for product in contract.products:
        states: list[list[tuple[str | None, ...]]] = []
        entries = [one for one in released.kept if one.subject == product.id]
        for entry in sorted(entries, key=lambda one: one.sequence, reverse=True):
            columns = made_then(entry.body)
            shown = [name for name, (source, _) in columns.items() if column in (None, source)]
            if entry.version is None or not shown:
                continue
            limited = product.form.rows if product.form.rows in columns else None
            whose = product.form.organisations.column if product.form.organisations else None
            belongs = whose if whose in columns else None
            limits = [name for name in (limited, belongs) if name is not None]
            channel_keys.register(released.con, key, product.channel, (columns[name][1] for name in (*limits, *shown)))
            about = Standing(product, entry.version, entry.at, None if column is None else shown[0], limited)
            try:
                found = _found(released, product, entry, row, columns, [*limits, *shown])
            except UNREADABLE:
                yield Standing(product, entry.version, entry.at, about.column, known=False)
                continue
            if found:
                cells = [one[len(limits) :] for one in found]
                if cells not in states:
                    states.append(cells)
                said = {name: tuple(one[place] for one in found) for place, name in enumerate(limits)}
                yield replace(
                    about,
                    divisions=said.get(limited or "", ()),
                    state=states.index(cells),
                    belongs=belongs,
                    organisations=said.get(belongs or "", ()),
                )


def row_of_product(
    released: ReleasedRows, key: Callable[[str], bytes], product: Product, entry: Recorded, shown: Mapping[str, str]
) -> tuple[dict[str, str], int]:
    """The key, in the product's model, of the row that a released version shows with these values (pseudonyms too), and
    the version of the model that says what is shown: of counts that wait an earlier one than the release was cut from.

    Raises CitylakeError for a column the product does not show, and unless just one row fits.
    """
    made = {column.name: column for column in product.columns}
    for name in shown:
        if name not in made:
            raise CitylakeError("explain.no_column", model=product.id, column=name, known="、".join(made))
    channel_keys.register(released.con, key, product.channel, (made[name].mask for name in shown))
    wanted, earlier = shown, list[Recorded]()
    if product.form.anonymity is not None:
        wanted = _told_of_people(released, product, product.form.anonymity, entry, shown)
        earlier = [one for one in released.kept if one.subject == product.id and one.sequence < entry.sequence]
    found = list[dict[str, str]]()
    for release in (entry, *reversed(earlier)):
        try:
            found = _rows_that_say(released, product, release, wanted)
        except UNREADABLE:
            if release is entry:
                raise
            continue
        if found:
            break
    _require_one(product, found)
    return found[0], int(release.body["model_version"])


def _told_of_people(
    released: ReleasedRows, product: Product, anonymity: Anonymity, entry: Recorded, shown: Mapping[str, str]
) -> dict[str, str]:
    """What the one row of a table of counts with these values says of people: whom it counts, and the figures that it
    shows."""
    names = list(dict.fromkeys([*cell_columns(anonymity), *beside_columns(anonymity)]))
    columns = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in names)
    relation = released.relation_of_product(product, entry.version)
    query = f"SELECT {columns} FROM {relation} WHERE {fits(shown)} LIMIT 2"
    rows = released.con.execute(query).fetchall()
    _require_one(product, rows)
    return {name: value for name, value in zip(names, rows[0], strict=True) if value is not None}


def _rows_that_say(
    released: ReleasedRows, product: Product, release: Recorded, wanted: Mapping[str, str]
) -> list[dict[str, str]]:
    """The keys of rows, at most two, of the model version that a release was cut from, that a product shows so."""
    made, names = made_now(product), product.contract.form.key
    fitting = " AND ".join(
        f"CAST({masked(*made[name])} AS VARCHAR) = {literal(value)}" for name, value in wanted.items()
    )
    columns = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in names)
    relation = released.relation(product.contract, release.body["model_version"])
    query = f"SELECT {columns} FROM {relation} WHERE {fitting or 'true'} LIMIT 2"
    return [dict(zip(names, row, strict=True)) for row in released.con.execute(query).fetchall()]


def _require_one(product: Product, rows: Sequence[object]) -> None:
    """Raises CitylakeError if there is no row, or several."""
    if len(rows) != 1:
        code = "explain.several_rows" if rows else "explain.no_row"
        raise CitylakeError(code, model=product.id, key="、".join(column.name for column in product.columns))


def visible(
    released: ReleasedRows,
    standing: Standing,
    divisions: tuple[str, ...] | None,
    organisations: tuple[str, ...] | None = None,
) -> int:
    """How many rows of a product's version lie in some divisions and are of some organisations, by the codes that the
    product has for them (None: of all). Raises LakeError."""
    within = "true"
    if divisions is not None:
        starts = (f"starts_with({identifier(standing.rows or '')}, {literal(code)})" for code in divisions)
        within = " OR ".join(starts) or "false"
    if organisations is not None:
        codes = ", ".join(map(literal, organisations)) or "NULL"
        within = f"({within}) AND {identifier(standing.belongs or '')} IN ({codes})"
    return released.count_of_product(standing.product, standing.version, within)


def _found(
    released: ReleasedRows,
    product: Product,
    entry: Recorded,
    row: Mapping[str, str],
    columns: Made,
    names: list[str],
) -> list[tuple[str | None, ...]]:
    """What a version of a product shows of the rows with a key, as texts, ordered. What a table of counts shows is not
    what its model says: some of it is withheld, some waits."""
    if product.form.anonymity is None:
        shown = ", ".join(f"CAST({masked(*columns[name])} AS VARCHAR)" for name in names)
        relation, wanted = released.relation(product.contract, entry.body["model_version"]), row
    else:
        shown = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in names)
        relation = released.relation_of_product(product, entry.version)
        wanted = {name: row[source] for name, (source, _) in columns.items() if source in row}
    return released.con.execute(f"SELECT {shown} FROM {relation} WHERE {fits(wanted)} ORDER BY ALL").fetchall()
