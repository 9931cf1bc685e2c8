"""k-anonymity of tables of counts: which rows are too few people to be shown, and the proof that none is left.

Judges one table. That a withheld row can be recomputed from totals published elsewhere is not seen here.
"""

from dataclasses import dataclass

import duckdb

from pipelines.codecs.sql import identifier
from pipelines.contracts.models import Anonymity


@dataclass(frozen=True)
class CellCounts:
    """What a table of counts shows.

    `rows`: all rows. `repeated`: rows whose quasi identifiers another row before them has too. `k_min`: the smallest
    group that shares quasi identifiers, in counted units, counts summed where rows repeat; None without a group.
    `violations`: rows whose own count is between 0 and k, negative or missing; a sum never excuses a row.
    """

    rows: int
    repeated: int
    k_min: int | None
    violations: int


def withhold(relation: str, anonymity: Anonymity) -> str:
    """SQL, to stand after FROM, of the rows that may be shown: those that count at least k. Empty groups go too."""
    return f"(SELECT * FROM {relation} WHERE {identifier(anonymity.count)} >= {anonymity.k})"


def small_cells(con: duckdb.DuckDBPyConnection, relation: str, anonymity: Anonymity) -> int:
    """Rows that count more than nothing and less than k."""
    count = identifier(anonymity.count)
    return _number(con, f"SELECT count(*) FROM {relation} WHERE {count} > 0 AND {count} < {anonymity.k}")


def k_anonymous(con: duckdb.DuckDBPyConnection, relation: str, anonymity: Anonymity) -> CellCounts:
    """Measure a table. NULL is a quasi identifier like any other value."""
    count = identifier(anonymity.count)
    groups = ", ".join(identifier(name) for name in anonymity.quasi)
    query = f"""
        WITH cells AS (
            SELECT count(*) AS n, sum({count}) AS people,
                count(*) FILTER (WHERE {count} IS NULL OR {count} <> 0 AND {count} < {anonymity.k}) AS few
            FROM {relation} GROUP BY {groups}
        )
        SELECT coalesce(sum(n), 0), coalesce(sum(n - 1), 0), min(people) FILTER (WHERE people <> 0),
            coalesce(sum(few), 0)
        FROM cells
    """
    ((rows, repeated, k_min, violations),) = con.execute(query).fetchall()
    return CellCounts(int(rows), int(repeated), None if k_min is None else int(k_min), int(violations))


def _number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    ((number,),) = con.execute(query).fetchall()
    return int(number)
