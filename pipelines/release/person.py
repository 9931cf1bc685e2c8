"""What is kept of one person, by golden id: rows of libraries and of sources. The right to see it (《个人信息保护法》
第四十五条) is answered from here.

Belongs here: finding the rows. Does not belong here: what stands behind a cell (explain), correcting and erasing.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from pipelines.codecs.sql import identifier, literal, literals
from pipelines.contracts.load import Column, Contracts, ProductContract, SourceContract
from pipelines.lake.edition import CoreVersion, current_rows, row_key
from pipelines.lake.zones import Lake
from pipelines.linkage import numbering, tables
from pipelines.messages import CitylakeError, translate
from pipelines.release.rows import ReleasedRows, Row

PERSON = "person"
"""What fields.yaml calls a column that holds ids of persons."""


@dataclass(frozen=True)
class Kept:
    """The rows of one place that are about a person. `place`: a model, or a source `<org>/<dataset>`; `name` and
    `owner` as the contract says them; `columns`: where the id stands; every value as text. Where a row is about
    somebody else too (a relative, a partner of a marriage), what tells who that is says only so."""

    place: str
    name: str
    owner: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class Person:
    """One person of the crosswalk. Ids that became part of another person's resolve to that one. Who stands in no
    register of persons, but in another library (somebody from elsewhere who represents a firm), has one claim, the id.

    `ids`: under which libraries ever had the person, the one of today first. `claims`: which sources say. They are not
    the same: a number may be somebody else's since, and the id that was named after it stays with whom it was given to.
    A number that proves nothing is nobody's.

    Raises CitylakeError for an id that nobody ever had.
    """

    def __init__(self, released: ReleasedRows, text: str) -> None:
        self.released = released
        lake = released.lake
        if tables.missing(lake):
            raise CitylakeError("person.unknown", person=text)
        crosswalk, now = tables.read(lake, tables.CROSSWALK), _found_now(lake)
        found = present_id(released, text)
        if found is None:
            self.id, self.ids, self.claims = text, (text,), (text,)
            if not any(self.libraries()):
                raise CitylakeError("person.unknown", person=text)
            return
        self.id = found
        same = f"SELECT claim FROM {crosswalk} WHERE person_id = {literal(self.id)}"
        mine = [claim for (claim,) in released.con.execute(f"{same} ORDER BY claim").fetchall()]
        before = released.con.execute(f"SELECT text, person_id FROM {now} ORDER BY text").fetchall()
        former = [one for one, person in before if person == self.id]
        taken = f"SELECT person_id FROM {crosswalk} SEMI JOIN ({same}) s ON s.claim = person_id"
        others = {one for one, person in before if person != self.id}
        others |= {one for (one,) in released.con.execute(taken).fetchall()} - {self.id}
        shared = f"SELECT claim FROM {tables.read(lake, tables.ALIAS)} SEMI JOIN ({same}) USING (claim)"
        closed = {claim for (claim,) in released.con.execute(f"{shared} WHERE person_id IS NULL").fetchall()}
        self.ids = tuple(dict.fromkeys([self.id, *former, *(claim for claim in mine if claim not in others)]))
        self.claims = tuple(claim for claim in mine if claim not in closed)

    def libraries(self) -> Iterator[Kept]:
        """What the published models hold, by name of model; models without such rows are left out."""
        for model, contract in sorted(self.released.contracts.models.items()):
            if model not in self.released.published:
                continue
            version = self.released.published[model].version
            there = self.released.columns(contract, version)  # nobody stands in one that came since
            columns = tuple(name for name in _of_persons(contract.columns) if name in there)
            if columns:
                found = [
                    self.released.some(contract, version, {column: one}, _order(contract.form.key))
                    for column in columns
                    for one in self.ids
                ]
                rows = {tuple(row.values()): row for rows in found for row in rows}
                if rows:
                    owner = _organisation(self.released.contracts, contract.form.owner)
                    cells = {column: _telling(contract, column) for column in columns}
                    shown = tuple(_without_others(row, cells, self.ids) for row in rows.values())
                    yield Kept(model, contract.form.name, owner, columns, shown)

    def sources(self, versions: Mapping[str, CoreVersion]) -> Iterator[Kept]:
        """What departments say at present, rows that were linked included; sources without such rows are left out."""
        for name, version in sorted(versions.items()):
            contract = self.released.contracts.sources[name]
            columns = _of_persons(contract.all_columns)
            if columns:
                rows = _rows(self.released.con, self.released.lake, contract, version, columns, self)
                if rows:
                    owner = _organisation(self.released.contracts, contract.org)
                    yield Kept(name, contract.form.name, owner, columns, tuple(rows))


def present_id(released: ReleasedRows, text: str) -> str | None:
    """The id of today of the person that an id, or a claim, means; None if none is known."""
    if tables.missing(released.lake):
        return None
    crosswalk = tables.read(released.lake, tables.CROSSWALK)
    for column, ids in (("person_id", crosswalk), ("text", _found_now(released.lake)), ("claim", crosswalk)):
        one = f"SELECT person_id FROM {ids} WHERE {column} = {literal(text)} LIMIT 1"
        if (found := released.con.execute(one).fetchone()) is not None:
            return str(found[0])  # an id is its owner's, whoever has the number it is named after now
    return None


def moved_ids(released: ReleasedRows, contract: ProductContract, key: Mapping[str, str]) -> dict[str, str]:
    """Of a key with which a model has no row: ids of persons in it that ended, by column the id of today."""
    found = {name: present_id(released, key[name]) for name in _of_persons(contract.columns) if name in key}
    return {name: now for name, now in found.items() if now is not None and now != key[name]}


def _found_now(lake: Lake) -> str:
    """SQL of the ids that ended (`text`), each with the id under which its person is found today."""
    crosswalk, ended = tables.read(lake, tables.CROSSWALK), numbering.ended_ids(lake)
    return f"(SELECT e.person_id AS text, c.person_id FROM {ended} e JOIN {crosswalk} c USING (claim))"


def _rows(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    contract: SourceContract,
    version: CoreVersion,
    columns: Sequence[str],
    person: Person,
) -> list[Row]:
    """The current rows of a source in which a claim of the person stands, or that were linked to the person.

    Of a row that was linked, or is about nobody, what the linkage says holds, not the number in it.
    """
    listed = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in version.columns)
    linked, about = "false", None
    said = " OR ".join(f"{identifier(column)} IN ({literals(person.claims)})" for column in columns)
    if contract.form.linkage is not None:
        links = f"{tables.read(lake, tables.LINK)} WHERE dataset = {literal(contract.id)}"
        key = row_key(version.key)
        linked = f"{key} IN (SELECT row_key FROM {links} AND person_id = {literal(person.id)})"
        said = f"{linked} OR (({said}) AND {key} NOT IN (SELECT row_key FROM {links}))"
        about = contract.form.linkage.person
    rows = f"SELECT {listed}, {linked} FROM ({current_rows(version)}) WHERE {said} ORDER BY ALL"
    cells = _cells_of_persons(contract)
    found = []
    for *values, ours in con.execute(rows).fetchall():  # whoever's number stands in a row that was linked
        theirs = {column: names for column, names in cells.items() if not (ours and column == about)}
        found.append(_without_others(dict(zip(version.columns, values, strict=True)), theirs, person.claims))
    return found


def _cells_of_persons(contract: SourceContract) -> dict[str, list[str]]:
    """By column with ids of persons of a source: the number it is made of and what else tells of that person."""
    made = {item.column.name: str(item.step.arguments["of"]) for item in contract.derived}
    return {column: [made[column], *_telling(contract, column)] for column in _of_persons(contract.all_columns)}


def _telling(contract: SourceContract | ProductContract, column: str) -> list[str]:
    """The cells that tell who the person of a column is, besides the id."""
    return [*contract.form.erasure.cells.get(column, ()), *contract.form.tells.get(column, ())]


def _without_others(row: Row, cells: Mapping[str, Sequence[str]], known: Collection[str]) -> Row:
    """A row without what tells of others. `cells`: by column with ids of persons the cells that go with it. Where no id
    stands, for a number was left out or proves nothing, a name beside it is somebody else's too."""
    hidden = {name for column, names in cells.items() if row[column] not in known for name in (column, *names)}
    text = f"{translate('person.other', 'zh')} / {translate('person.other', 'en')}"
    return {name: text if name in hidden and value is not None else value for name, value in row.items()}


def _of_persons(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns if column.definition.personal == PERSON)


def _order(key: Sequence[str]) -> str:
    return f"ORDER BY {', '.join(identifier(name) for name in key)}"


def _organisation(contracts: Contracts, code: str) -> str:
    return str(contracts.codes["organisations"].rows[code]["name"])
