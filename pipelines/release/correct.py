"""The right to have one's data corrected (《个人信息保护法》第四十六条): which row of which department says a value
of the population library, as the authority matrix chose it, and the correction that is asked of it.

Does not belong here: applying corrections (admission), and the issue of the department (run).
"""

import uuid
from collections.abc import Mapping

from pipelines.admission.granted import Asked
from pipelines.codecs.sql import identifier
from pipelines.contracts.corrections import broken
from pipelines.contracts.load import Contracts
from pipelines.lake.edition import CoreVersion, current_rows
from pipelines.messages import CitylakeError
from pipelines.release.explain import Explainer

LIBRARY = "lib_population__person"


def asked(
    explainer: Explainer,
    contracts: Contracts,
    versions: Mapping[str, CoreVersion],
    person: str,
    field: str,
    said: str | None,
    wanted: str | None,
    about: Mapping[str, str],
    applied: bool,
) -> tuple[str, Asked, str]:
    """The source that says the `field` of a person, the correction that is asked of it, and the place of its row,
    `batch:number`. `about`: who, why, since.

    Raises CitylakeError for a field that no single source says, one that the row is told by, a value that the source
    does not say, and one that its contract would refuse. No value is in its text.
    """
    (cell,) = explainer.explain(LIBRARY, {"person_id": person}, field).cells
    if len(cell.sources) != 1 or cell.computed_from:
        raise CitylakeError("rights.no_source", field=field)
    (source,) = cell.sources
    contract, version = contracts.sources[source.row.dataset], versions[source.row.dataset]
    column = next((item for item in contract.columns if item.name == source.column), None)
    place = {"subject": contract.id, "column": source.column}
    if column is None or column.name in contract.form.load.key:
        raise CitylakeError("rights.no_source", field=field)
    key = [f"CAST({identifier(name)} AS VARCHAR)" for name in version.key]
    listed = ", ".join([*key, f"CAST({identifier(column.name)} AS VARCHAR)"])
    at = f"_batch = {source.row.batch} AND _row = {source.row.number}"
    found = explainer.released.con.execute(f"SELECT {listed} FROM ({current_rows(version)}) WHERE {at}").fetchone()
    *keys, value = found or (None,)
    if not keys or value != said or said == wanted:
        raise CitylakeError("rights.not_said", **place)
    if wrong := next(broken(column, wanted, contracts.codes), None):
        raise CitylakeError("rights.bad_value", **place, rule=wrong)
    where = dict(zip(version.key, keys, strict=True))
    number = f"r{uuid.uuid4().hex[:12]}"
    asked = Asked(number, column.name, where, " ".join(keys), said, wanted, applied, **about)
    return contract.id, asked, f"{source.row.batch}:{source.row.number}"
