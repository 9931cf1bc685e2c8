"""`marts.duckdb`: the analysts' database, made from the published products of the analyst channel.

The file's name is derived from all that is in it, so it can be checked against the ledger and rebuilt at any time:
first comes what is shown (`opening`), then what is said of it. Readers hold whole files: a new edition is a new file,
and only the symlink moves.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.resolved import Contracts, Product, ShownColumn
from pipelines.engine import connect
from pipelines.evidence.freshness import last_delivery, of_dataset
from pipelines.evidence.scores import of_release
from pipelines.lake import delta, scratch
from pipelines.lake.content import content_hash
from pipelines.lake.lineage import upstream
from pipelines.lake.zones import Lake
from pipelines.messages import say
from pipelines.register import Register
from pipelines.register.chain import canonical
from pipelines.register.receipts import Receipts
from pipelines.register.times import as_utc
from pipelines.release import publicity
from pipelines.release.ledger import Ledger, Recorded
from pipelines.release.shown import released_columns, shown_until
from pipelines.settings import Settings

INFORMATION = {
    "edition": {
        "dataset": "VARCHAR",
        "name": "VARCHAR",
        "version": "BIGINT",
        "edition": "VARCHAR",
        "as_of": "DATE",
        "released_at": "TIMESTAMPTZ",
        "licence": "VARCHAR",
    },
    "freshness": {
        "dataset": "VARCHAR",
        "cycle": "VARCHAR",
        "released_at": "TIMESTAMPTZ",
        "delivered": "DATE",
        "due": "DATE",
    },
    "quality": {
        "dataset": "VARCHAR",
        "dimension": "VARCHAR",
        "rules": "INTEGER",
        "evaluated": "BIGINT",
        "failed": "BIGINT",
        "passed": "DOUBLE",
    },
}
"""The tables of schema `information`. Their comments are messages `marts.<table>` and `marts.<table>.<column>`. Days of
freshness are those of the city: a file that told the hour of every delivery would be another one after every run."""

INDICATORS = "smart_city.plan_indicator"
"""The analysts' product that schema `information` repeats as table `indicators`."""

Rows = Mapping[str, Sequence[Sequence[Any]]]
Comments = Mapping[str, str]


@dataclass(frozen=True)
class Shown:
    """A product in the file: the release and those of its columns that may be shown, on which day."""

    product: Product
    release: Recorded
    columns: tuple[ShownColumn, ...]
    day: date

    @property
    def dataset(self) -> str:
        """Schema and table, as readers write them."""
        return f"{self.product.contract.library}.{self.product.name}"


def shown(contracts: Contracts, published: Mapping[str, Recorded]) -> list[Shown]:
    """What belongs into the file now: the published products of the analyst channel, each with the columns that its
    release made as the contract makes them now. One without such a column is not in it, nor one whose release does not
    say until when its rows may be shown."""
    found, day = [], publicity.today(contracts)
    for name, product in sorted(contracts.products.items()):
        if product.channel == "analyst" and name in published:
            open_now = released_columns(product, published[name].body)
            columns = tuple(column for column in product.columns if column.name in open_now)
            until = shown_until(product, published[name].body)
            found += [Shown(product, published[name], columns, day)] if columns and until in {None, *open_now} else []
    return found


def opening(lake: Lake, products: Sequence[Shown]) -> str:
    """How the name of the file with these products begins: one digest over their releases, how columns are made, and
    the last day that is over where rows are left away because of it. Raises LakeError."""
    listed = {
        one.product.id: [one.release.hash, [[column.name, column.source, column.mask] for column in one.columns]]
        + ([ended.isoformat()] if (ended := _last_ended(lake, one)) else [])
        for one in products
    }
    return f"marts-{_digest(listed)}-"


def refresh(settings: Settings, contracts: Contracts, register: Register) -> Path | None:
    """Make the symlink point to the file that contracts, ledger and receipts ask for; returns it if it did not before.

    Every other file is deleted, and the link too when nothing is shown: an empty database would look like one of no
    rows. Who has a file open keeps it. Raises OSError when the disk is full; then the old file stays in place.
    """
    link, products = settings.marts, shown(contracts, Ledger(register).published())
    if not products:
        link.unlink(missing_ok=True)
        _forget(link, None)
        return None
    rows, comments = _information(settings, contracts, register, products), _comments(products)
    wanted = _wanted(settings, products, rows, comments)
    stood = wanted.is_file() and link.is_symlink() and link.resolve() == wanted.resolve()
    if not wanted.is_file():
        _build(wanted, settings.lake, products, rows, comments)
    if not stood:
        _point(link, wanted)
    _forget(link, wanted)
    if opening(settings.lake, shown(contracts, Ledger(register).published())) != opening(settings.lake, products):
        link.unlink(missing_ok=True)  # something was withdrawn meanwhile
        return refresh(settings, contracts, register)
    return None if stood else wanted


def altered(settings: Settings, contracts: Contracts, register: Register) -> list[str]:
    """What of the file is not as it would be made now: tables, with their rows, columns and comments; the name of the
    file where it cannot be opened. Nothing of a file that shows other products, which nobody is given. Of one that says
    other things of the same ones, as it does until the next run, the products are compared."""
    found, products = settings.marts.resolve(), shown(contracts, Ledger(register).published())
    if not (products and found.is_file() and found.name.startswith(opening(settings.lake, products))):
        return []
    rows, comments = _information(settings, contracts, register, products), _comments(products)
    named = _wanted(settings, products, rows, comments).name
    with scratch.folder(settings.lake.scratch(), "marts") as folder, connect(settings.lake.scratch()) as con:
        try:
            con.execute(f"ATTACH {literal(str(found))} AS found (READ_ONLY)")
            made = Path(folder) / named
            _build(made, settings.lake, products, rows, comments)
            con.execute(f"ATTACH {literal(str(made))} AS made (READ_ONLY)")
            theirs, ours = (_contents(con, one, found.name == named) for one in ("found", "made"))
        except duckdb.Error:
            return [found.name]
    return sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))


def _contents(con: duckdb.DuckDBPyConnection, database: str, said: bool) -> dict[str, object]:
    """What a file holds by table or view: kind, columns and the content hash of a table's rows. Whoever wrote a view
    says what is done when it is read. `said`: with all comments, and what schema `information` says of the products."""
    own = f"database_name = {literal(database)} AND NOT internal"
    listed = "schema_name, {kind}_name, comment, '{kind}' FROM duckdb_{kind}s()"
    every = " UNION ALL ".join(f"SELECT {listed.format(kind=kind)} WHERE {own}" for kind in ("table", "view"))
    columns = f"SELECT column_name, data_type, comment FROM duckdb_columns() WHERE {own} AND schema_name = ? AND"
    found: dict[str, object] = {}
    for schema, name, comment, kind in con.execute(every).fetchall():
        if not said and schema == "information" and name in INFORMATION:
            continue
        place = f"{database}.{identifier(schema)}.{identifier(name)}"
        named = con.execute(f"{columns} table_name = ? ORDER BY column_index", [schema, name]).fetchall()
        types = {column: of_type for column, of_type, _ in named}
        words = (comment, [word for *_, word in named]) if said else None
        rows = content_hash(con, place, types) if kind == "table" else None
        found[f"{schema}.{name}"] = (kind, list(types.items()), words, rows)
    return found


def _wanted(settings: Settings, products: Sequence[Shown], rows: Rows, comments: Comments) -> Path:
    """The file that holds this, by its name."""
    named = f"{opening(settings.lake, products)}{_digest([INFORMATION, rows, comments])}.duckdb"
    return settings.marts.with_name(named)


def _information(settings: Settings, contracts: Contracts, register: Register, products: Sequence[Shown]) -> Rows:
    """The rows of schema `information`. Quality is that of the model version which a product was cut from."""
    zone, receipts = ZoneInfo(contracts.city.timezone), Receipts(register, "marts")
    delivered = cache(lambda source: last_delivery(receipts, source))
    measured = Ledger(register).measured(one.release for one in products)
    found: dict[str, list[list[Any]]] = {name: [] for name in INFORMATION}
    for one in products:
        release, form = one.release, one.product.contract.form
        released = as_utc(release.at)
        about = [one.product.form.name, release.version, release.edition, release.body["as_of"], released]
        found["edition"].append([one.dataset, *about, one.product.form.licence])
        cycle = form.slaProperties.frequency
        fresh = of_dataset(contracts, cycle, upstream(settings.dbt_project, form.model).sources, delivered)
        found["freshness"].append([one.dataset, cycle, released, _day(fresh.last, zone), _day(fresh.due, zone)])
        model = measured.get(release.sequence)
        for score in of_release(model.body["rules"] if model else []):
            counted = [score.dimension, score.rules, score.evaluated, score.failed, score.passed]
            found["quality"].append([one.dataset, *counted])
    return found


def _comments(products: Sequence[Shown]) -> Comments:
    """The comment of every table and column, by name; DuckDB has none for schemas."""
    found = {f"information.{table}": say(f"marts.{table}") for table in [*INFORMATION, "indicators"]}
    for table, columns in INFORMATION.items():
        found |= {f"information.{table}.{name}": say(f"marts.{table}.{name}") for name in columns}
    for one in products:
        made_up = " [is_test]" if one.release.body.get(delta.IS_TEST) else ""
        found[one.dataset] = f"{one.product.form.name} / {one.product.form.nameEn}{made_up}"
        tables = [one.dataset, "information.indicators"] if one.dataset == INDICATORS else [one.dataset]
        for column in one.columns:
            about = column.column.definition
            text = " ".join(filter(None, (about.businessName, about.unit, "/", about.businessNameEn)))
            found |= {f"{table}.{column.name}": text for table in tables}
    return found


def _build(target: Path, lake: Lake, products: Sequence[Shown], rows: Rows, comments: Comments) -> None:
    partial = target.with_name(f".build-{target.name}")
    partial.unlink(missing_ok=True)
    with connect(lake.scratch()) as con:
        con.execute("SET preserve_insertion_order = true")  # products lie in the order of their keys
        con.execute(f"ATTACH {literal(str(partial))} AS marts")
        con.execute("CREATE SCHEMA marts.information")
        for table, columns in INFORMATION.items():
            _create(con, "information", table, [f"{name} {kind}" for name, kind in columns.items()], rows[table])
            _comment(con, comments, "information", table, list(columns))
        for one in products:
            _copy(con, lake, one)
            names = [column.name for column in one.columns]
            _comment(con, comments, one.product.contract.library, one.product.name, names)
            if one.dataset == INDICATORS:
                # a view would name the database it was made in, and the file has another name wherever it is opened
                con.execute(f"CREATE TABLE marts.information.indicators AS SELECT * FROM marts.{INDICATORS}")
                _comment(con, comments, "information", "indicators", names)
        con.execute("CHECKPOINT marts")
        con.execute("DETACH marts")
    os.replace(partial, target)


def _create(
    con: duckdb.DuckDBPyConnection, schema: str, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    con.execute(f"CREATE TABLE marts.{schema}.{table} ({', '.join(columns)})")
    places = ", ".join("?" * len(columns))
    for row in rows:
        con.execute(f"INSERT INTO marts.{schema}.{table} VALUES ({places})", list(row))


def _copy(con: duckdb.DuckDBPyConnection, lake: Lake, one: Shown) -> None:
    schema = f"marts.{identifier(one.product.contract.library)}"
    read = delta.scan(delta.open_table(lake.product(one.product.channel, one.product.name), one.release.version))
    columns = ", ".join(identifier(column.name) for column in one.columns)
    until = shown_until(one.product, one.release.body)
    where = "" if until is None else f" WHERE {publicity.shown_on(until, one.day)}"
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    con.execute(
        f"CREATE TABLE {schema}.{identifier(one.product.name)} AS "
        f"SELECT {columns} FROM (SELECT {read.columns} FROM {read.source}){where}"
    )


def _last_ended(lake: Lake, one: Shown) -> date | None:
    until, version = shown_until(one.product, one.release.body), one.release.version
    if until is None or version is None:
        return None
    return publicity.last_ended(lake.product(one.product.channel, one.product.name), version, until, one.day)


def _comment(
    con: duckdb.DuckDBPyConnection, comments: Comments, schema: str, table: str, columns: Sequence[str]
) -> None:
    place = f"marts.{identifier(schema)}.{identifier(table)}"
    con.execute(f"COMMENT ON TABLE {place} IS {literal(comments[f'{schema}.{table}'])}")
    for name in columns:
        text = literal(comments[f"{schema}.{table}.{name}"])
        con.execute(f"COMMENT ON COLUMN {place}.{identifier(name)} IS {text}")


def _point(link: Path, target: Path) -> None:
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    os.replace(fresh, link)


def _forget(link: Path, current: Path | None) -> None:
    """Delete all other files, which may hold what was withdrawn or masked since, and whatever killed builds left."""
    for left in [*link.parent.glob(".build-*"), *link.parent.glob("marts-*.duckdb")]:
        if left != current:
            left.unlink()


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:12]


def _day(moment: datetime | None, zone: ZoneInfo) -> date | None:
    return moment.astimezone(zone).date() if moment else None
