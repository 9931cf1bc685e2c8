"""The step of a run that matches the addresses of all sources to standard ones, before models are built.

Belongs here: which rows of core, and the table of what was found. How a text is matched belongs to `addresses`.
Matching is no portable SQL, so it is no model; models read its table as `source('matched', 'address')`. It is made
again when one of its sources or the matcher has changed, and on no other occasion.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.forms.city import AddressBookForm
from pipelines.contracts.load import Contracts
from pipelines.engine import connect
from pipelines.geo import addresses
from pipelines.geo.addresses import MATCHED, match
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.edition import CoreVersion, Prepared, current_rows, row_key
from pipelines.lake.parquet import copy_rows
from pipelines.lake.zones import Lake
from pipelines.register.chain import canonical

NAME: Final = "address"
INPUTS: Final = "inputs"
"""The metadata of a commit that says what the table was made from."""
_CODE: Final = [Path(addresses.__file__).with_name(name) for name in ("address_text.py", "addresses.py", "matching.py")]


def match_addresses(lake: Lake, contracts: Contracts, sources: Mapping[str, CoreVersion]) -> Prepared | None:
    """The table for the current rows of these sources; None while standard addresses or divisions are missing.

    Columns: source_dataset, source_key (`row_key`), address_field, address_match_status,
    address_match_basis, address_id, matched_division, _batch and _row of the source's row. No text of an address.
    """
    book = contracts.city.addressBook
    asked = {name for name, source in contracts.sources.items() if source.form.addresses and name in sources}
    if book is None or not asked or not {book.standard, book.divisions} <= sources.keys():
        return None
    location = lake.matched(NAME)
    said = {name: [one.model_dump() for one in contracts.sources[name].form.addresses] for name in asked}
    inputs = inputs_hash({name: sources[name].version for name in {*asked, book.standard, book.divisions}}, _CODE, said)
    version = kept(location, inputs)
    if version is None:
        version = _make(lake, contracts, sources, book, inputs)
    return Prepared(location, version)


def inputs_hash(versions: Mapping[str, int], code: Iterable[Path], said: object = None) -> str:
    """A hash of everything the rows depend on: versions of sources, the code, and what contracts say."""
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in code]
    return hashlib.sha256(canonical([dict(versions), said, hashes]).encode()).hexdigest()


def kept(location: Path, inputs: str) -> int | None:
    """The newest version of a table if it was made from these inputs."""
    version = delta.latest(location)
    made_from = None if version is None else delta.commit_metadata(location, version).get(INPUTS)
    return version if made_from == inputs else None


def _make(
    lake: Lake,
    contracts: Contracts,
    sources: Mapping[str, CoreVersion],
    book: AddressBookForm,
    inputs: str,
) -> int:
    location, version = lake.matched(NAME), delta.latest(lake.matched(NAME))
    with connect(lake.scratch()) as con:
        listed = f"SELECT code, division_name, division_level FROM ({current_rows(sources[book.divisions])})"
        divisions = con.execute(listed).fetchall()
        con.execute(f"CREATE TEMP TABLE said AS {' UNION ALL '.join(_texts(contracts, sources))}")
        standard = (
            "SELECT address_id, division_code, street, gate_no AS gate, building_no AS building, "
            f"building_unit AS unit, room_no AS room FROM ({current_rows(sources[book.standard])}) "
            "WHERE address_status = '1'"
        )
        match(con, "SELECT text, hint FROM said", standard, divisions)
        query = (
            "SELECT s.source_dataset, s.source_key, s.address_field, m.status AS address_match_status, "
            "m.basis AS address_match_basis, m.address_id, m.division_code AS matched_division, s._batch, s._row "
            f"FROM said s JOIN {MATCHED} m ON m.text = s.text AND m.hint IS NOT DISTINCT FROM s.hint"
        )
        schema = query_schema(con, query, NAME)
        written = copy_rows(con, query, location)
    return delta.commit(location, schema, "table", version, written, metadata={INPUTS: inputs})


def _texts(contracts: Contracts, sources: Mapping[str, CoreVersion]) -> Iterator[str]:
    """SQL of every text that is to be matched, with where it stands."""
    for name, source in contracts.sources.items():
        for address in source.form.addresses if name in sources else ():
            hint = "CAST(NULL AS VARCHAR)" if address.division is None else identifier(address.division)
            yield (
                f"SELECT {literal(name)} AS source_dataset, {row_key(sources[name].key)} AS source_key, "
                f"{literal(address.column)} AS address_field, {identifier(address.column)} AS text, {hint} AS hint, "
                f"_batch, _row FROM ({current_rows(sources[name])}) WHERE {identifier(address.column)} IS NOT NULL"
            )
