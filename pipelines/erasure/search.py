"""What is to be looked for: the numbers of a person, the keys of the rows about the person, and what else only the
person has, from what departments ever said.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import duckdb

from pipelines.codecs.sql import identifier, literal, literals
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.erasure.find import raw_decoded, refused_decoded
from pipelines.erasure.rows import MOBILE, NAME, Wanted, of_kind, of_source, persons, referring, row_persons, told_of
from pipelines.lake.edition import row_key
from pipelines.lake.parquet import columns_of, files_of, read_files
from pipelines.lake.zones import Lake
from pipelines.linkage import tables
from pipelines.linkage.bearers import BEARER, SHARED


def wanted(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    contracts: Contracts,
    ids: Sequence[str],
    claims: Sequence[str],
    order: str,
    refused: Sequence[str] = (),
) -> Wanted:
    """Everything about the person with these ids (the first is the golden one) and claims. `refused`: sources that
    are left."""
    core = {name: rows for name, rows in _core(con, lake, contracts) if name not in refused}
    linked, elsewhere = _links(con, lake, ids[0])
    numbers: set[str] = set()
    names, heard = set[str](), set[str]()
    mobiles: set[str] = set()
    keys: dict[str, dict[str, str]] = {}
    others: dict[str, set[str]] = {}
    disputed: dict[str, list[str]] = {}
    for name, rows in core.items():
        contract = contracts.sources[name]
        said, kinds = of_kind(contract.columns, NAME), of_kind(contract.columns, MOBILE)
        shown = ", ".join([row_key(contract.form.load.key), *map(identifier, (*said, *kinds))])
        about = row_persons(contract)
        for person, number in persons(contract).items():
            ours = f"FROM {rows} WHERE {identifier(person)} IN ({literals(claims)})"
            numbers |= {own for (own,) in con.execute(f"SELECT DISTINCT {identifier(number)} {ours}").fetchall()}
        mine = [f"{identifier(person)} IN ({literals(claims)})" for person in about]
        if name in linked:
            mine.append(f"{row_key(contract.form.load.key)} IN ({literals(linked[name])})")
        query = f"SELECT DISTINCT {shown} FROM {rows} WHERE {' OR '.join(mine) or 'false'}"
        found = con.execute(query).fetchall()
        registers = contract.form.linkage is not None and contract.form.linkage.registers  # linking told these apart
        doubtful = _disputed(con, contract, rows, claims, {key for key, *_ in found} - {*linked.get(name, ())})
        if doubtful:
            disputed[name] = sorted(doubtful)
        for key, *texts in found:
            if key in elsewhere.get(name, ()):
                others.setdefault(name, set()).add(key)
                continue
            keys.setdefault(name, {})[key] = order
            (names if registers else heard).update(text for text in texts[: len(said)] if text)
            mobiles |= {text for text in texts[len(said) :] if text}
    numbers.discard("")
    if not disputed and not others:  # else a row of the other man that nobody corrected would bring in his name
        names |= heard
    for name, rows in core.items():
        for column, source in referring(contracts, contracts.sources[name]).items():
            if source in keys:
                refers = f"{identifier(column)} IN ({literals(keys[source])})"
                query = f"SELECT {row_key(contracts.sources[name].form.load.key)} FROM {rows} WHERE {refers}"
                keys.setdefault(name, {}).update({key: order for (key,) in con.execute(query).fetchall()})
    known = Wanted(
        dict.fromkeys(sorted(numbers), order),
        {name: found for name, found in keys.items() if found},
        linked,
        {name: sorted(found) for name, found in others.items()},
        disputed,
        list(claims),
        list(ids),
        names=sorted(names),
        subjects=_subjects(con, lake, contracts, core, ids, claims),
    )
    own = {one for one in mobiles if not _shared(con, contracts, core, one, claims, keys)}
    own -= _of_others(con, lake, contracts, own, known)
    return replace(known, mobiles=dict.fromkeys(sorted(own), order))


def _core(con: duckdb.DuckDBPyConnection, lake: Lake, contracts: Contracts) -> Iterator[tuple[str, str]]:
    """All rows that every source ever said, by source, with the contract's columns."""
    for name, contract in contracts.sources.items():
        files = files_of(lake.core(contract.org, contract.dataset))
        if files:
            known = columns_of(con, files)
            missing = [column.name for column in contract.all_columns if column.name not in known]
            filled = "".join(f", NULL::VARCHAR AS {identifier(column)}" for column in missing)
            yield name, f"(SELECT *{filled} FROM {read_files(files)})"


def _links(
    con: duckdb.DuckDBPyConnection, lake: Lake, person: str
) -> tuple[Mapping[str, list[str]], Mapping[str, set[str]]]:
    """By source the keys of rows that were linked to the person, and of those that were linked to somebody else, or to
    nobody: a number in them is not believed."""
    mine: dict[str, list[str]] = {}
    others: dict[str, set[str]] = {}
    if not tables.missing(lake):
        rows = con.execute(f"SELECT dataset, row_key, person_id FROM {tables.read(lake, tables.LINK)} ORDER BY ALL")
        for dataset, key, one in rows.fetchall():
            if one == person:
                mine.setdefault(dataset, []).append(key)
            else:
                others.setdefault(dataset, set()).add(key)
    return mine, others


def sharing(
    con: duckdb.DuckDBPyConnection, lake: Lake, contracts: Contracts, person: str, claims: Sequence[str]
) -> set[str]:
    """The registers in which a number of a person also stands for somebody who is told apart."""
    if tables.missing(lake):
        return set()
    core = dict(_core(con, lake, contracts))
    link = f"{tables.read(lake, tables.LINK)} WHERE why IN ('{SHARED}', '{BEARER}')"
    borne: list[tuple[str, str, str, str]] = []
    for (name,) in con.execute(f"SELECT DISTINCT dataset FROM {link}").fetchall():
        form, key = contracts.sources[name].form, row_key(contracts.sources[name].form.load.key)
        if name in core and form.linkage is not None:
            claim = f"arg_max({identifier(form.linkage.person)}, _batch) AS claim"
            now = f"(SELECT {key} AS row_key, {claim} FROM {core[name]} GROUP BY ALL)"
            mine = f"(SELECT row_key, person_id, why FROM {link} AND dataset = {literal(name)})"
            query = f"SELECT claim, person_id, why FROM {mine} JOIN {now} USING (row_key)"
            borne += [(name, *row) for row in con.execute(query).fetchall()]
    ours = {*claims, *(claim for _, claim, one, _ in borne if one == person)}
    return {name for name, claim, _, why in borne if why == SHARED and claim in ours}


def _disputed(
    con: duckdb.DuckDBPyConnection, contract: SourceContract, rows: str, claims: Sequence[str], keys: Collection[str]
) -> set[str]:
    """Those of some keys of a source's rows under which the number of somebody else stood too."""
    key = row_key(contract.form.load.key)
    others = " OR ".join(f"{identifier(person)} NOT IN ({literals(claims)})" for person in row_persons(contract))
    if not keys or not others:
        return set()
    query = f"SELECT DISTINCT {key} FROM {rows} WHERE {key} IN ({literals(sorted(keys))}) AND ({others})"
    return {one for (one,) in con.execute(query).fetchall()}


def _subjects(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    contracts: Contracts,
    core: Mapping[str, str],
    ids: Sequence[str],
    claims: Sequence[str],
) -> dict[str, list[str]]:
    """What the released models hold about something else, by name of their key: the keys of rows with the person, by
    the id, and by what sources say, for no id stands in rows of a time when the number was on two people."""
    found: dict[str, set[str]] = {}
    for model, contract in contracts.models.items():
        if len(contract.form.key) != 1 or not contract.form.erasure.cells:
            continue
        column = contract.form.key[0]
        key, files = identifier(column), files_of(lake.released(contract.library, model))
        known = columns_of(con, files) if files else {}
        asked = [
            f"{read_files(files)} WHERE {identifier(person)} IN ({literals(ids)})"
            for person in contract.form.erasure.cells
            if {person, column} <= known.keys()
        ]
        asked += [
            f"{core[name]} WHERE {identifier(person)} IN ({literals(claims)})"
            for name, source in contracts.sources.items()
            if name in core and column in {one.name for one in source.all_columns}
            for person in source.form.erasure.cells
        ]
        for rows in asked:
            said = con.execute(f"SELECT DISTINCT {key} FROM {rows} AND {key} IS NOT NULL").fetchall()
            found.setdefault(column, set()).update(one for (one,) in said)
    return {name: sorted(keys) for name, keys in found.items()}


def _shared(
    con: duckdb.DuckDBPyConnection,
    contracts: Contracts,
    core: Mapping[str, str],
    mobile: str,
    claims: Sequence[str],
    keys: Mapping[str, Collection[str]],
) -> bool:
    """Whether a telephone also stands in an accepted row about somebody else, or about nobody who is named."""
    for name, rows in core.items():
        contract = contracts.sources[name]
        columns, about = of_kind(contract.columns, MOBILE), persons(contract)
        if columns and about:
            stands = " OR ".join(f"{identifier(column)} = {literal(mobile)}" for column in columns)
            mine = [f"{identifier(person)} IN ({literals(claims)})" for person in about]
            if name in keys:
                mine.append(f"{row_key(contract.form.load.key)} IN ({literals(keys[name])})")
            ours = " OR ".join(mine)
            query = f"SELECT 1 FROM {rows} WHERE ({stands}) AND NOT coalesce({ours}, false) LIMIT 1"
            if con.execute(query).fetchone():
                return True
    return False


def _of_others(
    con: duckdb.DuckDBPyConnection, lake: Lake, contracts: Contracts, mobiles: Collection[str], wanted: Wanted
) -> set[str]:
    """Those of some telephones that also stand in a row which names somebody else, as it was received: refused, held
    and rejected rows too, and those of sources that keep theirs by law."""
    found: set[str] = set()
    for contract in contracts.sources.values():
        columns = of_kind(contract.columns, MOBILE)
        if not (mobiles and columns and persons(contract)):
            continue
        others = f"{told_of(contract)} AND {of_source(contract, contracts, wanted).goes} IS NULL"
        raw = sorted(lake.raw(contract.org, contract.dataset).glob("*/rows.parquet"))
        refused = refused_decoded(con, lake, contract, contracts)  # some whose raw batch has gone since
        said = [raw_decoded(con, contract, contracts, file)[2] for file in raw] + ([refused] if refused else [])
        for decoded in said:
            for column in map(identifier, columns):
                query = (
                    f"SELECT DISTINCT {column} FROM ({decoded}) WHERE {column} IN ({literals(mobiles)}) AND {others}"
                )
                found |= {mobile for (mobile,) in con.execute(query).fetchall()}
    return found
