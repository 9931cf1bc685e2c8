"""What the rows of sources say of the persons they are about, as relations of one shape: their contracts say where."""

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from pipelines.codecs import gb11643
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.forms.sources import LinkageForm
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake import delta
from pipelines.lake.edition import CoreVersion, current_rows, row_key
from pipelines.linkage.matching import MARKS

Participant = tuple[SourceContract, CoreVersion]


def participants(contracts: Contracts, sources: Mapping[str, CoreVersion]) -> dict[str, Participant]:
    """The sources of an edition that say whom their rows are about."""
    return {
        name: (contracts.sources[name], version)
        for name, version in sorted(sources.items())
        if contracts.sources[name].form.linkage is not None
    }


def form_of(contract: SourceContract) -> LinkageForm:
    """What the contract of a participant says of linkage."""
    assert contract.form.linkage is not None
    return contract.form.linkage


def view(con: duckdb.DuckDBPyConnection, name: str, sources: Iterable[Participant]) -> None:
    """A view of the rows of some sources: `dataset`, `row_key`, `place` (batch:row), `claim` and the marks."""
    empty = ", ".join(f"NULL::{'DATE' if mark == 'birth_date' else 'VARCHAR'} AS {mark}" for mark in MARKS)
    nobody = f"SELECT '' AS dataset, '' AS row_key, '' AS place, '' AS claim, {empty} WHERE false"
    parts = [nobody, *(marks_of(contract, version) for contract, version in sources)]
    con.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL BY NAME '.join(parts)}")


def marks_of(contract: SourceContract, source: CoreVersion) -> str:
    """The current rows of a source as marks. What a row does not say of sex and birth, a right number says."""
    form = form_of(contract)
    named = {mark: identifier(column) for mark, column in form.marks.items()}
    number = named["id_number"]
    said = {mark: named.get(mark, "NULL") for mark in MARKS}
    said["sex"] = f"CASE WHEN {said['sex']} IN ('1', '2') THEN {said['sex']} END"
    if form.registers:
        parity = f"substr('21', CAST(substr({number}, 17, 1) AS INT) % 2 + 1, 1)"
        said["sex"] = f"coalesce({said['sex']}, {parity})"
        said["birth_date"] = f"coalesce({said['birth_date']}, {gb11643.birth_date(number)})"
    marks = ", ".join(f"{value} AS {mark}" for mark, value in said.items())
    place = "_batch || ':' || _row"
    columns = list(dict.fromkeys([*source.key, *form.marks.values(), form.person]))
    where = f"{literal(contract.id)} AS dataset, {row_key(source.key)} AS row_key, {place} AS place"
    return f"SELECT {where}, {identifier(form.person)} AS claim, {marks} FROM ({current_rows(source, columns)})"


def log_of(source: CoreVersion) -> str:
    """SQL of all that a source ever said."""
    read = delta.scan(delta.open_table(source.location, source.version))
    return f"(SELECT {read.columns} FROM {read.source})"


def of_question(
    con: duckdb.DuckDBPyConnection, sources: Mapping[str, Participant], question: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """What the row and the person of a question say of themselves now; None for what is no longer told."""
    view(con, "everybody", sources.values())
    registers = ", ".join(literal(name) for name, (contract, _) in sources.items() if form_of(contract).registers)
    registered = f"dataset IN ({registers}) AND claim = "
    row = f"dataset = {literal(question['dataset'])} AND row_key = {literal(question['row_key'])}"
    if not question["dataset"]:
        row = registered + literal(question["own"])
    found = []
    for where in (row, f"{registered}{literal(question['person'])} AND NOT ({row})"):
        relation = con.execute(f"SELECT dataset, {', '.join(MARKS)} FROM everybody WHERE {where} ORDER BY ALL LIMIT 1")
        names = [column[0] for column in relation.description]
        values = relation.fetchone()
        found.append(dict(zip(names, values, strict=True)) if values else None)
    con.execute("DROP VIEW everybody")
    return found[0], found[1]
